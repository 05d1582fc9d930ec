"""Who may do what: one table, asked at the moment of acting."""

from collections.abc import Callable, Mapping
from typing import Any

from handlers.people import is_resident, roles_of
from handlers.tx import Tx
from store.tables import Person

Capacity = Callable[[Tx, Person, Any], bool]
"""As what somebody acts, on the row that the action is about (None if it is about none)."""


def resident(tx: Tx, person: Person, row: Any) -> bool:
    """Owner or tenant of a home in the community."""
    return is_resident(tx, person)


def reporter(tx: Tx, person: Person, row: Any) -> bool:
    """Who brought the matter."""
    return row is not None and row.person_id == person.id


def staff(tx: Tx, person: Person, row: Any) -> bool:
    """Property staff."""
    return "staff" in roles_of(tx, person)


def crew(tx: Tx, person: Person, row: Any) -> bool:
    """Repair crew."""
    return "crew" in roles_of(tx, person)


def crew_in_charge(tx: Tx, person: Person, row: Any) -> bool:
    """The member of the crew who has this very ticket."""
    return row is not None and row.crew_id == person.id and crew(tx, person, row)


def shown_to(tx: Tx, person: Person, row: Any) -> bool:
    """Whom the beginning of a text was shown to: a person, the people of a chat, or everybody."""
    if row is None or (row.person_id, row.place_id) == (None, None):
        return row is not None
    return row.person_id == person.id or (tx.place is not None and row.place_id == tx.place.id)


def anybody(tx: Tx, person: Person, row: Any) -> bool:
    """Everybody whom the community knows."""
    return True


CLOCK = "clock"

RIGHTS: Mapping[str, tuple[Capacity | str, ...]] = {
    "help": (anybody,),
    "thanks": (anybody,),
    "my": (anybody,),
    "language": (anybody,),
    "link": (staff,),
    "rest.show": (shown_to,),
    "roster": (staff,),
    "roster.apply": (staff,),
    "roster.drop": (staff,),
    "talk.expire": (CLOCK,),
    "repair.start": (resident,),
    "repair.report": (resident,),
    "repair.emergency": (resident, crew, staff),
    "repair.unconfirmed": (CLOCK,),
    "repair.affirm": (reporter,),
    "repair.locate": (reporter,),
    "repair.located": (reporter,),
    "repair.more": (reporter,),
    "repair.add": (reporter,),
    "repair.raise": (reporter, staff),
    "repair.withdraw": (reporter,),
    "repair.page": (CLOCK,),
    "repair.overdue": (CLOCK,),
    "repair.silence": (CLOCK,),
    "repair.accept": (crew,),
    "repair.decline": (crew,),
    "repair.go": (crew_in_charge,),
    "repair.finish": (crew_in_charge,),
    "repair.done": (crew_in_charge,),
    "repair.confirm": (reporter,),
    "repair.dispute": (reporter,),
    "repair.reopen": (reporter,),
    "repair.show": (reporter, crew, staff),
    "repair.open": (staff, crew),
}


def may(tx: Tx, person: Person | None, action: str, row: Any) -> Capacity | str | None:
    """The first capacity in which the person may perform the action on the row; None: no right.

    The clock is nobody, and may do what stands under CLOCK.
    """
    for capacity in RIGHTS[action]:
        if isinstance(capacity, str):
            if person is None:
                return capacity
        elif person is not None and capacity(tx, person, row):
            return capacity
    return None


def acts_for_community(capacity: Capacity | str) -> bool:
    """Whether acting in this capacity belongs into the audit log."""
    return capacity in (staff, crew, crew_in_charge)
