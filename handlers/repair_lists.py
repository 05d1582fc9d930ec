"""Looking at repairs: one with its timeline, the tickets of the crew and of the staff, and one's own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import and_, col, or_, select

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.matters import timeline
from handlers.people import numbers_as_numbers, roles_of, works
from handlers.repair_cards import (
    WORK,
    assigned,
    brief,
    buttons_for,
    files_of,
    for_crew,
    is_common,
    looked_at,
    photos_of,
    private,
    public,
    public_timeline,
    staff_choices,
    state_of,
    tell_owner,
    where,
)
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Letter, Person, Repair

FITS = 10
"""Tickets that are listed at a time, each with a button."""
LETTERS_SHOWN = 10


@action("repair.show", Repair, button=True, stays=True)
def show(tx: Tx, person: Person, repair: Repair) -> None:
    """One repair with its timeline, and what the person can do with it."""
    staff_here = tx.place is not None and tx.place.kind == "staff"
    to = tx.place if staff_here and tx.place else person
    reader = reader_of(tx, to)
    at_work = staff_here or works(tx, person)
    concerned = at_work or repair.person_id == person.id
    lines = timeline(tx, f"repair:{repair.id}", reader) if concerned else public_timeline(tx, repair, reader)
    tell(
        tx,
        to,
        "repair.show" if concerned else "repair.show_public",
        **(for_crew if at_work else private if concerned else public)(tx, repair),
        assigned=assigned(tx, repair),
        timeline="\n".join(lines),
        letters=_letters(tx, repair, reader, None if _sees_all_letters(tx, person, repair) else person),
        photos=_shown(tx, repair, concerned),
        buttons=staff_choices(repair) if staff_here else buttons_for(tx, repair, person),
        last=None if staff_here else looked_at(tx, repair, person),
    )


def _shown(tx: Tx, repair: Repair, concerned: bool) -> list[int]:
    """Recordings are for those whom it concerns; the public sees the photos of what belongs to all."""
    if concerned:
        return files_of(tx, repair)
    return photos_of(tx, repair) if is_common(repair) else []


def _sees_all_letters(tx: Tx, person: Person, repair: Repair) -> bool:
    """Staff in the group and the crew; others see what they wrote and what was written to them."""
    staff_here = tx.place is not None and tx.place.kind == "staff"
    return staff_here or (repair.person_id != person.id and works(tx, person))


def _letters(tx: Tx, repair: Repair, reader: Reader, only: Person | None) -> Any:
    """The latest letters about it, or those of one person."""
    about = select(Letter, Person).join(Person, col(Person.id) == col(Letter.person_id))
    about = about.where(Letter.about == f"repair:{repair.id}")
    if only is not None:
        about = about.where(or_(col(Letter.person_id) == only.id, col(Letter.to_id) == only.id))
    rows = tx.session.exec(about.order_by(col(Letter.id).desc()).limit(LETTERS_SHOWN)).all()
    lines = [
        reader.say(
            "letter.line",
            at=letter.at,
            who=writer.name or Say("person.forgotten"),
            words=letter.text or Say("letter.files", count=len(letter.files)),
        )
        for letter, writer in reversed(rows)
    ]
    return Say("letter.list_mark", lines="\n".join(lines)) if lines else ""


@action("repair.open", button=True, stays=True)
def open_list(tx: Tx, person: Person) -> None:
    """The open tickets in the order in which to go: the crew's own and the free ones, or all for staff in the group."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    all_of_them = in_group or "crew" not in roles_of(tx, person)
    repairs = _open_repairs(tx, person.community_id) if all_of_them else _to_do(tx, person)
    to = tx.place if in_group and tx.place is not None else person
    reader = reader_of(tx, to)
    lines = [_ticket_line(tx, repair, reader) for repair in repairs[:FITS]]
    left = len(repairs) - len(lines)
    tell(
        tx,
        to,
        "repair.tickets" if lines else "repair.tickets_none",
        list="\n".join(lines),
        rest=Say("work.rest_mark", count=left) if left else "",
        buttons=[Button(f"repair.show:{repair.id}", number=repair.number) for repair in repairs[:FITS]],
    )


def _ticket_line(tx: Tx, repair: Repair, reader: Reader) -> str:
    """Number, place, what, until when, and for how many homes."""
    if repair.paused_at is not None:
        mark, until = "⏸ ", state_of(tx, repair)
    elif repair.urgent:
        mark, until = "🚨 ", Say(f"state.{repair.state}")
    else:
        late = repair.due_at is not None and repair.due_at <= tx.now
        mark, until = "⏰ " if late else "", Say("work.until", due=repair.due_at or Say("due.now"))
    homes = Say("work.homes_mark", count=repair.homes) if repair.homes > 1 else ""
    facts = {"number": repair.number, "where": where(tx, repair), "what": brief(repair)}
    return reader.say("work.line", mark=mark, until=until, homes=homes, **facts)


def in_order(repairs: Sequence[Repair], now: datetime) -> list[Repair]:
    """As the crew goes: what is urgent, then what is overdue, then by deadline, more homes first, then by building.

    What waits for somebody else comes last, by the day until which it waits.
    """
    never = datetime.max.replace(tzinfo=UTC)

    def place(repair: Repair) -> tuple[Any, ...]:
        stands = repair.paused_at is not None
        due = (repair.paused_until if stands else repair.due_at) or (never if stands else repair.reported_at)
        late = not stands and not repair.urgent and repair.due_at is not None and repair.due_at <= now
        return (
            stands,
            not repair.urgent,
            not late,
            due,
            -repair.homes,
            numbers_as_numbers(repair.building),
            repair.id,
        )

    return sorted(repairs, key=place)


def show_waiting(tx: Tx, person: Person) -> None:
    """What waits for an answer: work that its reporter has not confirmed, tickets that the crew has in hand."""
    asked = select(Repair).where(Repair.person_id == person.id, Repair.state == "done")
    for repair in tx.session.exec(asked.order_by(col(Repair.id)).limit(10)).all():
        tell_owner(tx, repair, "repair.waits", what=brief(repair))
    if works(tx, person) and _to_do(tx, person):
        open_list(tx, person)


def _open_repairs(tx: Tx, community_id: int) -> list[Repair]:
    at_work = select(Repair).where(Repair.community_id == community_id, col(Repair.state).in_(WORK))
    return in_order(tx.session.exec(at_work).all(), tx.now)


def _to_do(tx: Tx, person: Person) -> list[Repair]:
    """What a member of the crew has in hand, and what waits for anybody."""
    free = and_(col(Repair.state) == "waiting", col(Repair.crew_id).is_(None))
    theirs = and_(col(Repair.crew_id) == person.id, col(Repair.state).in_(WORK))
    asked = select(Repair).where(Repair.community_id == person.community_id, or_(free, theirs))
    return in_order(tx.session.exec(asked).all(), tx.now)
