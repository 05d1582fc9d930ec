"""The crew's taps: accept, cannot go, hand over, on the way, done."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.steps import Answers
from conversations.words import Say, texts
from conversations.work import ACCESS, DONE, HAND, PARTS, PRICE
from handlers.actions import action
from handlers.assigning import assign, deadline_for, set_deadline, stop_deadline
from handlers.paging import ring, stop_paging
from handlers.pausing import go_on, settle_clock
from handlers.people import crew_of, is_on_duty
from handlers.policy import policy_of
from handlers.price import ask_of_kind, numbered, take_back
from handlers.repair_cards import (
    IN_HAND,
    PAUSED,
    WORK,
    add_event,
    add_photos,
    assigned,
    can_be_reached,
    close_cards,
    must_be,
    name_of,
    of_repair,
    refresh,
    show_card,
    staff_card,
    tell_concerned,
    tell_owner,
)
from handlers.repair_end import ask_again_later
from handlers.rings import has_declined
from handlers.talk import Known, end_about, know, start
from handlers.tell import URGENT, distinct, reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair, Role

CREW_ASKED = (DONE, PARTS, ACCESS, HAND, PRICE)
MOST_SKILLS = 3
"""Kinds of repair that stand beside a colleague's name."""


def done_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What is often done in this kind of repair, to be tapped."""

    def did() -> list[tuple[str, str]]:
        own = f"did.{answers.get('kind')}"
        return numbered(texts(reader_of(tx, person).language)[own if own in texts("zh") else "did.other"])

    return {"did": did}


def hand_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """To whom a repair can be handed over."""
    return {"colleagues": lambda: _labelled(tx, person, colleagues(tx, person))}


def colleagues(tx: Tx, person: Person) -> list[tuple[Person, Role]]:
    """The others of the crew whom a message reaches, those on duty first."""
    others = [
        each
        for each in crew_of(tx, person.community_id)
        if each[0].id != person.id and can_be_reached(tx, each[0])
    ]
    return sorted(others, key=lambda each: not is_on_duty(tx, each[1]))


def _labelled(tx: Tx, person: Person, crew: list[tuple[Person, Role]]) -> list[tuple[str, str]]:
    """Each with their trade, and whether it is their hours."""
    reader, labels = reader_of(tx, person), []
    for colleague, role in crew:
        skills = [Say(f"kind.{kind}") for kind in role.skills[:MOST_SKILLS]] or Say("crew.all_kinds")
        here = is_on_duty(tx, role)
        labels.append(
            reader.say("work.on_duty" if here else "work.off_duty", name=colleague.name, skills=skills)
        )
    return [(str(each.id), label) for (each, _), label in zip(crew, distinct(labels), strict=True)]


know(Known(DONE, done_facts))
know(Known(HAND, hand_facts, about=of_repair))


@action("repair.accept", Repair, button=True)
def accept(tx: Tx, person: Person, repair: Repair) -> None:
    """One tap, and it is theirs; a second tap of the same person does no harm. An emergency now has a deadline."""
    if repair.state in IN_HAND and repair.crew_id == person.id:
        show_card(tx, repair, person, anew=True)
        return
    if repair.state in IN_HAND:
        raise Refused("refused.taken", who=name_of(tx, repair.crew_id))
    must_be(repair, "waiting")
    take(tx, person, repair)
    add_event(tx, repair, "event.accepted", person)
    tell_concerned(tx, repair, "repair.accepted", who=person.name, lane=URGENT if repair.urgent else None)
    refresh(tx, repair)


def take(tx: Tx, person: Person, repair: Repair) -> None:
    """They have it in hand: nobody else is called, and an emergency has a deadline from now on."""
    repair.state, repair.crew_id = "accepted", person.id
    repair.accepted_at = repair.accepted_at or tx.now
    stop_paging(tx, repair)
    if repair.urgent:
        set_deadline(tx, repair, deadline_for(tx, repair))


def release(tx: Tx, person: Person) -> tuple[int, int]:
    """Give the tickets of somebody who has left the crew to others; how many, and for how many nobody was left."""
    theirs = select(Repair).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    in_order = (col(Repair.urgent).desc(), col(Repair.due_at).nulls_first(), col(Repair.id))
    given = tx.session.exec(theirs.order_by(*in_order).with_for_update()).all()
    for repair in given:
        promised = repair.state in IN_HAND
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
    if repair.crew_id is None and has_declined(tx, person, repair):  # the tap came twice
        return
    give_back(tx, person, repair)


def give_back(tx: Tx, person: Person, repair: Repair) -> None:
    """Somebody else has to go."""
    was_theirs, was_promised = repair.crew_id == person.id, repair.state in IN_HAND
    let_go(tx, repair)
    add_event(tx, repair, "event.declined", person)
    if was_promised:
        tell_owner(tx, repair, "repair.declined_owner", who=person.name)
    if repair.urgent:
        ring(tx, repair, but=person)
    elif was_theirs:
        assign(tx, repair, but=person)
    refresh(tx, repair)


def let_go(tx: Tx, repair: Repair) -> None:
    """It is nobody's, and waits for the crew alone; what its crew was asked about it is asked no more.

    The deadline of an emergency, which is paged now, begins when somebody accepts.
    """
    repair.state, repair.crew_id = "waiting", None
    for script in CREW_ASKED:
        end_about(tx, f"repair:{repair.id}", script.name)
    stop_timer(tx, f"repair.resume:{repair.id}")
    settle_clock(tx, repair)
    if repair.urgent:
        repair.due_at = None
        stop_deadline(tx, repair)
    tx.session.flush()


# --- handed over ------------------------------------------------------------------------------------


@action("repair.hand", Repair, button=True, stays=True)
def hand(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask which colleague takes it over."""
    must_be(repair, *IN_HAND)
    if not colleagues(tx, person):
        raise Refused("refused.no_colleague", number=repair.number)
    start(tx, person, HAND.name, about=f"repair:{repair.id}")


@action("repair.handed", Repair)
def handed(tx: Tx, person: Person, repair: Repair, to: str) -> None:
    """It is a colleague's, with the deadline that was promised; an emergency is paged again unless they accept soon."""
    must_be(repair, *IN_HAND)
    chosen = [each for each, _ in colleagues(tx, person) if str(each.id) == to]
    if not chosen:  # has left the crew meanwhile
        raise Refused("refused.no_colleague", number=repair.number)
    colleague = chosen[0]
    let_go(tx, repair)
    add_event(tx, repair, "event.handed", person)
    if repair.urgent:
        minutes = policy_of(tx, repair.community_id).page_again_minutes
        set_timer(tx, repair.community_id, f"repair.page:{repair.id}", tx.now + timedelta(minutes=minutes))
        show_card(tx, repair, colleague, key="work.handed_page", anew=True, lane=URGENT)
    else:
        repair.crew_id = colleague.id
        tx.session.flush()
        show_card(tx, repair, colleague, key="work.handed", anew=True)
    tell(tx, person, "work.handed_over", number=repair.number, who=colleague.name)
    tell_concerned(tx, repair, "repair.handed", who=colleague.name)
    refresh(tx, repair)


# --- the work ---------------------------------------------------------------------------------------


@action("repair.go", Repair, button=True)
def go(tx: Tx, person: Person, repair: Repair) -> None:
    """On the way, also before the day until which it waits."""
    must_be(repair, *IN_HAND)
    if repair.state in PAUSED:
        go_on(tx, repair, person)
    if repair.state == "accepted":
        repair.state = "on_way"
        add_event(tx, repair, "event.on_way", person)
        tell_concerned(tx, repair, "repair.on_way", who=person.name)
    refresh(tx, repair)


@action("repair.finish", Repair, button=True, stays=True)
def finish(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask for a photo and a word on what was done; both may be skipped."""
    must_be(repair, *IN_HAND)
    _must_be_agreed(repair)
    ask_of_kind(tx, person, repair, DONE.name)


@action("repair.free", Repair, button=True)
def free(tx: Tx, person: Person, repair: Repair) -> None:
    """It is repaired for nothing: what was asked for is taken back."""
    must_be(repair, *IN_HAND)
    if repair.cost_state in ("asked", "refused"):
        take_back(tx, repair, person)
    refresh(tx, repair)
    finish(tx, person, repair)


def _must_be_agreed(repair: Repair) -> None:
    """Nothing is repaired for money to which its owner has not agreed."""
    if repair.cost_state == "asked":
        raise Refused("refused.price_open", number=repair.number)
    if repair.cost_state == "refused":
        raise Refused("refused.price_refused", number=repair.number)


@action("repair.done", Repair)
def done(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The work is done: the owner is asked whether it is."""
    must_be(repair, *IN_HAND)
    _must_be_agreed(repair)
    repair.state, repair.done_at = "done", tx.now
    settle_clock(tx, repair)
    photos = add_photos(tx, person, repair, answers.get("photos"))
    note = answers.get("note") or ""
    add_event(tx, repair, "event.done", person, note=note)
    stop_deadline(tx, repair)
    stop_timer(tx, f"repair.resume:{repair.id}")
    tell(tx, person, "repair.done_crew", number=repair.number)
    tell_concerned(
        tx,
        repair,
        "repair.done",
        who=person.name,
        note=Say("repair.note", note=note) if note else "",
        photos=photos,
    )
    ask_again_later(tx, repair)
    if repair.incident:  # staff say to all that it is over
        staff_card(tx, repair, key="incident.repaired", anew=True)
    refresh(tx, repair)
