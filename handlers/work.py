"""The crew's taps: accept, cannot go, on the way, done."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.repair import DONE
from conversations.words import Say
from handlers.actions import action
from handlers.assigning import IN_ORDER, assign, set_deadline, stop_deadline
from handlers.paging import ring
from handlers.policy import policy_of
from handlers.repair_cards import (
    ON_IT,
    WORK,
    add_event,
    add_photos,
    assigned,
    close_cards,
    must_be,
    name_of,
    refresh,
    show_card,
    tell_concerned,
    tell_owner,
)
from handlers.repair_end import ask_again_later
from handlers.talk import Known, end_about, know, no_facts, start
from handlers.tell import URGENT, tell
from handlers.timers import stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair

know(Known(DONE, no_facts))


@action("repair.accept", Repair, button=True)
def accept(tx: Tx, person: Person, repair: Repair) -> None:
    """One tap, and it is theirs; a second tap of the same person does no harm. An emergency now has a deadline."""
    if repair.state in ON_IT and repair.crew_id == person.id:
        show_card(tx, repair, person, anew=True)
        return
    if repair.state in ON_IT:
        raise Refused("refused.taken", who=name_of(tx, repair.crew_id))
    must_be(repair, "waiting")
    repair.state, repair.crew_id = "accepted", person.id
    stop_timer(tx, f"repair.page:{repair.id}")
    if repair.urgent:
        hours = policy_of(tx, repair.community_id).urgent_hours
        set_deadline(tx, repair, tx.now + timedelta(hours=hours))
    add_event(tx, repair, "event.accepted", person)
    tell_concerned(tx, repair, "repair.accepted", who=person.name, lane=URGENT if repair.urgent else None)
    refresh(tx, repair)


def release(tx: Tx, person: Person) -> tuple[int, int]:
    """Give the tickets of somebody who has left the crew to others; how many, and for how many nobody was left."""
    theirs = select(Repair).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    given = tx.session.exec(theirs.order_by(*IN_ORDER).with_for_update()).all()
    for repair in given:
        promised = repair.state in ON_IT
        give_back(tx, person, repair)
        if repair.crew_id is not None and not promised:  # its owner was told who would come
            tell_owner(tx, repair, "repair.reassigned", who=assigned(tx, repair), due=repair.due_at)
    close_cards(tx, person)
    return len(given), sum(repair.crew_id is None and not repair.urgent for repair in given)


@action("repair.decline", Repair, button=True)
def decline(tx: Tx, person: Person, repair: Repair) -> None:
    """Cannot go: an emergency goes on paging the others, an ordinary ticket goes to somebody else."""
    if repair.crew_id not in (None, person.id):
        raise Refused("refused.taken", who=name_of(tx, repair.crew_id))
    must_be(repair, *WORK)
    tell(tx, person, "repair.declined", number=repair.number)
    give_back(tx, person, repair)


def give_back(tx: Tx, person: Person, repair: Repair) -> None:
    """Somebody else has to go."""
    was_theirs, was_promised = repair.crew_id == person.id, repair.state in ON_IT
    repair.state, repair.crew_id = "waiting", None
    end_about(tx, f"repair:{repair.id}", "done")
    add_event(tx, repair, "event.declined", person)
    if was_promised:
        tell_owner(tx, repair, "repair.declined_owner", who=person.name)
    if repair.urgent:
        repair.due_at = None
        stop_deadline(tx, repair)
        ring(tx, repair, but=person)
    elif was_theirs:
        assign(tx, repair, but=person)
    refresh(tx, repair)


@action("repair.go", Repair, button=True)
def go(tx: Tx, person: Person, repair: Repair) -> None:
    """On the way."""
    must_be(repair, *ON_IT)
    if repair.state == "accepted":
        repair.state = "on_way"
        add_event(tx, repair, "event.on_way", person)
        tell_owner(tx, repair, "repair.on_way", who=person.name)
    refresh(tx, repair)


@action("repair.finish", Repair, button=True, stays=True)
def finish(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask for a photo and a word on what was done; both may be skipped."""
    must_be(repair, *ON_IT)
    start(tx, person, "done", about=f"repair:{repair.id}")


@action("repair.done", Repair)
def done(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The work is done: the owner is asked whether it is."""
    must_be(repair, *ON_IT)
    repair.state = "done"
    photos = add_photos(tx, person, repair, answers.get("photos"))
    note = answers.get("note") or ""
    add_event(tx, repair, "event.done", person, note=note)
    stop_deadline(tx, repair)
    tell(tx, person, "repair.done_crew", number=repair.number)
    tell_owner(
        tx,
        repair,
        "repair.done",
        who=person.name,
        note=Say("repair.note", note=note) if note else "",
        photos=photos,
    )
    ask_again_later(tx, repair)
    refresh(tx, repair)
