"""Looking at repairs: one with its timeline, the tickets of the crew and of the staff, and one's own."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select

from conversations.words import Say
from handlers.actions import action
from handlers.assigning import IN_ORDER
from handlers.following import followed_by
from handlers.matters import timeline
from handlers.people import roles_of
from handlers.repair_cards import (
    OPEN,
    WORK,
    assigned,
    brief,
    buttons_for,
    files_of,
    follows,
    is_common,
    looked_at,
    photos_of,
    private,
    public,
    public_timeline,
    staff_choices,
    tell_owner,
)
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Repair


@action("repair.show", Repair, button=True, stays=True)
def show(tx: Tx, person: Person, repair: Repair) -> None:
    """One repair with its timeline, and what the person can do with it."""
    staff_here = tx.place is not None and tx.place.kind == "staff"
    to = tx.place if staff_here and tx.place else person
    reader = reader_of(tx, to)
    concerned = staff_here or repair.person_id == person.id or "crew" in roles_of(tx, person)
    lines = timeline(tx, f"repair:{repair.id}", reader) if concerned else public_timeline(tx, repair, reader)
    tell(
        tx,
        to,
        "repair.show" if concerned else "repair.show_public",
        **(private(tx, repair) if concerned else public(tx, repair)),
        assigned=assigned(tx, repair),
        timeline="\n".join(lines),
        photos=_shown(tx, repair, concerned),
        buttons=staff_choices(repair) if staff_here else buttons_for(tx, repair, person),
        last=None if staff_here else looked_at(tx, repair, person),
    )


def _shown(tx: Tx, repair: Repair, concerned: bool) -> list[int]:
    """Recordings are for those whom it concerns; the public sees the photos of what belongs to all."""
    if concerned:
        return files_of(tx, repair)
    return photos_of(tx, repair) if is_common(repair) else []


@action("repair.open", button=True, stays=True)
def open_list(tx: Tx, person: Person) -> None:
    """The open tickets: the crew's own in the order in which to go, or all of them for staff in the group."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    all_of_them = in_group or "crew" not in roles_of(tx, person)
    repairs = _open_repairs(tx, person.community_id) if all_of_them else _to_do(tx, person)
    _list(tx, person, repairs, "repair.tickets")


def show_waiting(tx: Tx, person: Person) -> None:
    """What waits for an answer: work that its reporter has not confirmed, tickets that the crew has in hand."""
    asked = select(Repair).where(Repair.person_id == person.id, Repair.state == "done")
    for repair in tx.session.exec(asked.order_by(col(Repair.id)).limit(10)).all():
        tell_owner(tx, repair, "repair.waits", what=brief(repair))
    if "crew" in roles_of(tx, person) and _to_do(tx, person):
        open_list(tx, person)


def mine(tx: Tx, person: Person) -> None:
    """What the person reported, newest first: the open ones, else the last few."""
    everything = select(Repair).where(Repair.person_id == person.id).order_by(col(Repair.id).desc())
    opened = tx.session.exec(everything.where(col(Repair.state).in_(OPEN)).limit(10)).all()
    shown = [*opened, *followed_by(tx, person)]
    _list(tx, person, shown or tx.session.exec(everything.limit(3)).all(), "repair.mine")


def _list(tx: Tx, person: Person, repairs: Sequence[Repair], key: str) -> None:
    to = tx.place if tx.place is not None and tx.place.kind == "staff" else person
    reader = reader_of(tx, to)
    lines = [
        reader.say(
            "repair.line_urgent" if repair.urgent else "repair.line",
            **{**_facts(tx, repair, person), "what": brief(repair)},
        )
        for repair in repairs
    ]
    tell(
        tx,
        to,
        key if lines else f"{key}_none",
        list="\n".join(lines),
        buttons=[Button(f"repair.show:{repair.id}", number=repair.number) for repair in repairs[:10]],
    )


def _facts(tx: Tx, repair: Repair, person: Person) -> dict[str, Any]:
    """What somebody who lists it may know: who only follows it knows what the public does."""
    known = {**private(tx, repair), "due": repair.due_at or Say("due.now")}
    return {**known, **public(tx, repair)} if follows(tx, person, repair) else known


def _open_repairs(tx: Tx, community_id: int) -> Sequence[Repair]:
    at_work = select(Repair).where(Repair.community_id == community_id, col(Repair.state).in_(WORK))
    return tx.session.exec(at_work.order_by(*IN_ORDER).limit(20)).all()


def _tickets(tx: Tx, person: Person) -> Sequence[Repair]:
    """What a member of the crew has in hand."""
    theirs = select(Repair).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    return tx.session.exec(theirs.order_by(*IN_ORDER).limit(20)).all()


def _to_do(tx: Tx, person: Person) -> Sequence[Repair]:
    """What a member of the crew has in hand, and what waits for anybody."""
    free = select(Repair).where(
        Repair.community_id == person.community_id, Repair.state == "waiting", col(Repair.crew_id).is_(None)
    )
    waiting = tx.session.exec(free.order_by(*IN_ORDER).limit(20)).all()
    return [
        *(each for each in waiting if each.urgent),
        *_tickets(tx, person),
        *(e for e in waiting if not e.urgent),
    ]
