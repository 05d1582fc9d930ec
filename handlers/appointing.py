"""Appointing: staff, who have telephoned, say who goes to a repair that nobody has accepted."""

from collections.abc import Callable
from typing import Any

from conversations.errors import Refused
from conversations.paging import APPOINT
from conversations.steps import Answers
from conversations.words import Say
from handlers.actions import action
from handlers.crew import trades
from handlers.people import crew_of, is_on_duty, managers_of
from handlers.phones import number_to_call
from handlers.repair_cards import (
    add_event,
    assigned,
    can_be_reached,
    must_be,
    name_of,
    of_repair,
    refresh,
    show_card,
    tell_concerned,
    tell_owner,
)
from handlers.talk import Known, ask, end_about, here, know, open_talk, start
from handlers.tell import URGENT, distinct, drop, reader_of, tell
from handlers.tx import Tx
from handlers.work import take
from store.tables import Person, Repair

LONGEST_LABEL = 40


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """Who can be sent, each with what they do: who is on duty first, then the others, and the managers."""
    return {"crew": lambda: _who_can_go(tx, person)}


def _who_can_go(tx: Tx, person: Person) -> list[tuple[str, str]]:
    reader = reader_of(tx, here(tx, person))
    crew = sorted(
        crew_of(tx, person.community_id), key=lambda each: (not is_on_duty(tx, each[1]), each[0].id)
    )
    known = {each.id for each, _ in crew}
    managers = [each for each in managers_of(tx, person.community_id) if each.id not in known]
    people = [each for each, _ in crew] + managers
    labels = [
        "".join(
            [
                who.name or reader.say("person.forgotten"),
                reader.say("repair.duty_mark") if is_on_duty(tx, role) else "",
                f" · {reader.show(trades(role.skills))}" if role.skills else "",
            ]
        )
        for who, role in crew
    ] + [f"{who.name}{reader.say('repair.manager_mark')}" for who in managers]
    marks = ["" if can_be_reached(tx, who) else reader.say("repair.silent_mark") for who in people]
    short = [
        f"{label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + '…'}{mark}"
        for label, mark in zip(labels, marks, strict=True)
    ]
    return [(str(who.id), label) for who, label in zip(people, distinct(short), strict=True)]


know(Known(APPOINT, facts_for, about=of_repair))


@action("repair.appoint", Repair, button=True, stays=True)
def appoint(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask who goes."""
    must_be(repair, "waiting")
    if not _who_can_go(tx, person):
        raise Refused("repair.nobody_to_appoint")
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == (APPOINT.name, f"repair:{repair.id}"):
        ask(tx, person, talk)
        return
    start(tx, person, APPOINT.name, about=f"repair:{repair.id}")


@action("repair.appointed", Repair)
def appointed(tx: Tx, person: Person, repair: Repair, who: str) -> None:
    """They have it: an emergency calls nobody any more, an ordinary repair waits for them to say when they begin."""
    must_be(repair, "waiting")
    if who not in dict(_who_can_go(tx, person)):
        raise Refused("refused.unknown")
    chosen, before = tx.session.get_one(Person, int(who)), repair.crew_id
    end_about(tx, f"repair:{repair.id}", APPOINT.name)  # a colleague has been asked the same
    if repair.urgent:
        take(tx, chosen, repair)
    repair.crew_id = chosen.id
    tx.session.add(repair)
    tx.session.flush()
    add_event(tx, repair, "event.appointed", person)
    lane = URGENT if repair.urgent else None
    drop(tx, f"repair:{repair.id}", chosen)
    show_card(tx, repair, chosen, key="repair.appointed", anew=True, lane=lane)
    if repair.urgent:
        tell_concerned(tx, repair, "repair.accepted", who=assigned(tx, repair), lane=lane)
    elif before != chosen.id:
        tell_owner(tx, repair, "repair.reassigned", who=assigned(tx, repair), due=repair.due_at)
    if before not in (None, chosen.id):
        gone = tx.session.get_one(Person, before)
        tell(tx, gone, "repair.appointed_other", number=repair.number, who=assigned(tx, repair))
    refresh(tx, repair)
    _say_who_goes(tx, person, repair, chosen)


def _say_who_goes(tx: Tx, person: Person, repair: Repair, chosen: Person) -> None:
    facts: dict[str, Any] = {
        "number": repair.number,
        "who": name_of(tx, chosen.id) or Say("person.forgotten"),
    }
    if can_be_reached(tx, chosen):
        tell(tx, here(tx, person), "repair.appointed_staff", **facts)
        return
    phone = number_to_call(tx, chosen) or Say("repair.no_phone")
    tell(tx, here(tx, person), "repair.appointed_unreached", phone=phone, **facts)
