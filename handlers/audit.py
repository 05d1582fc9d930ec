"""The log of what staff and crew did, as staff read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from conversations.words import Say
from handlers.actions import ACTIONS, action
from handlers.talk import here
from handlers.tell import reader_of, tell
from handlers.tx import Tx
from store.tables import Announcement, Audit, Equipment, Listing, Person, Purchase, Repair, Ruling, Spot, Vote

MOST = 100
MATTERS = (Repair, Purchase, Equipment, Spot, Vote, Listing, Ruling, Announcement)
"""What has a number by which people call it."""


@action("audit", button=True, stays=True)
def audit(tx: Tx, person: Person) -> None:
    """The latest acts, the newest first: when, who, what."""
    rows = tx.session.exec(
        select(Audit, Person)
        .join(Person, col(Person.pseudonym) == col(Audit.pseudonym), isouter=True)
        .where(Audit.community_id == person.community_id)
        .order_by(col(Audit.id).desc())
        .limit(MOST)
    ).all()
    reader = reader_of(tx, here(tx, person))
    names = _names(tx, [row.facts["about"] for row, _ in rows if "about" in row.facts])
    lines = [
        reader.say("audit.line", at=row.at, who=_name(who), what=_what(tx, row, names)) for row, who in rows
    ]
    tell(tx, here(tx, person), "audit.list" if lines else "audit.none", list="\n".join(lines))


def _names(tx: Tx, numbers: Sequence[int]) -> dict[int, Person]:
    """Whom the log's numbers mean."""
    found = tx.session.exec(select(Person).where(col(Person.pseudonym).in_(set(numbers))))
    return {each.pseudonym: each for each in found}


def _name(person: Person | None) -> Say | str:
    return (person.name if person is not None else "") or Say("person.forgotten")


def _what(tx: Tx, row: Audit, names: Mapping[int, Person]) -> Say:
    """The act, with the number of the matter or the name of whom it was about."""
    name, _, subject = row.action.partition(":")
    act = ACTIONS.get(name)
    if act is None:
        return Say("audit.gone", action=name)
    about: Say | str = ""
    if "about" in row.facts:
        about = Say("audit.who_mark", who=_name(names.get(row.facts["about"])))
    elif act.table in MATTERS and subject:
        matter: Any = tx.session.get(act.table, int(subject))
        about = (
            Say(f"audit.{act.table.__tablename__}_mark", number=matter.number) if matter is not None else ""
        )
    return Say("audit.what", act=Say(f"act.{name}"), about=about)
