"""The end of a repair: its owner confirms or says that it is not repaired; silence confirms, too."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import select

from conversations.repair import REOPEN
from conversations.said import File
from conversations.words import Say
from handlers import judge
from handlers.actions import action, perform
from handlers.assigning import assign, deadline_for, set_deadline
from handlers.paging import ring
from handlers.people import roles_of
from handlers.policy import policy_of
from handlers.repair_cards import (
    add_event,
    add_words,
    brief,
    can_be_reached,
    events,
    must_be,
    private,
    refresh,
    show_card,
    tell_owner,
)
from handlers.talk import Known, end, end_about, know, no_facts, start
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair, Talk

UNSAID = timedelta(minutes=10)
"""How long who says that it is not repaired has to say what is wrong; then the crew hears of it without."""


def still_works(tx: Tx, crew: Person) -> bool:
    return "crew" in roles_of(tx, crew) and can_be_reached(tx, crew)


def ask_again_later(tx: Tx, repair: Repair) -> Any:
    days = policy_of(tx, repair.community_id).confirm_days
    set_timer(tx, repair.community_id, f"repair.silence:{repair.id}", tx.now + timedelta(days=days))
    return tx.now + timedelta(days=days)


@action("repair.silence", Repair)
def silence(tx: Tx, person: None, repair: Repair) -> None:
    """The owner has not said whether it is repaired: ask once more, then take it as repaired."""
    if repair.state != "done":
        return
    finished = [event for event in events(tx, repair) if event.key in ("event.done", "event.reminded")]
    if finished[-1].key == "event.done":
        add_event(tx, repair, "event.reminded", None)
        tell_owner(tx, repair, "repair.remind", until=ask_again_later(tx, repair), what=brief(repair))
        return
    repair.state = "closed"
    add_event(tx, repair, "event.closed_silent", None)
    tell_owner(tx, repair, "repair.closed_silent", what=brief(repair))
    refresh(tx, repair)


@action("repair.confirm", Repair, button=True)
def confirm(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is repaired: the end."""
    must_be(repair, "done")
    repair.state = "closed"
    stop_timer(tx, f"repair.silence:{repair.id}")
    end_about(tx, f"repair:{repair.id}", REOPEN.name)
    add_event(tx, repair, "event.closed", person)
    tell_owner(tx, repair, "repair.closed")
    refresh(tx, repair)


@action("repair.dispute", Repair, button=True, stays=True)
def dispute(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is not repaired: ask what is wrong."""
    must_be(repair, "done", "closed")
    start(tx, person, "reopen", about=f"repair:{repair.id}")
    set_timer(tx, repair.community_id, f"repair.disputed:{repair.id}", tx.now + UNSAID)


@action("repair.disputed", Repair)
def disputed(tx: Tx, person: None, repair: Repair) -> None:
    """It is not repaired, the owner said, and did not say what is wrong: the crew hears of it all the same."""
    asked = select(Talk).where(Talk.script == REOPEN.name, Talk.about == f"repair:{repair.id}")
    for talk in tx.session.exec(asked).all():
        owner = tx.session.get_one(Person, talk.person_id)
        end(tx, talk)
        reopen_without_words(tx, owner, talk)


@action("repair.reopen", Repair)
def reopen(tx: Tx, person: Person, repair: Repair, why: str) -> None:
    """Back to the crew in charge with a new deadline; an emergency, or what has become one, is paged."""
    must_be(repair, "done", "closed")
    repair.state, repair.due_at = "waiting", None
    for clock in ("silence", "disputed"):
        stop_timer(tx, f"repair.{clock}:{repair.id}")
    add_words(repair, why)
    add_event(tx, repair, "event.reopened", person)
    said = {"what": why, "place": repair.place}
    verdict = judge.report(tx, person.community_id, said)
    if verdict.verdict == "urgent":
        repair.urgent, repair.kind, repair.why = (
            True,
            verdict.kind,
            judge.reasons(tx, person.community_id, said),
        )
    if repair.urgent:
        repair.ring, repair.crew_id = 0, None
        ring(tx, repair)
    elif repair.crew_id is not None and still_works(tx, crew := tx.session.get_one(Person, repair.crew_id)):
        set_deadline(tx, repair, deadline_for(tx, repair))
        show_card(tx, repair, crew, key="repair.reopened_crew", anew=True)
    else:
        assign(tx, repair)
    after = Say("repair.next_due", due=repair.due_at) if repair.due_at else Say("repair.next_urgent")
    tell_owner(tx, repair, "repair.reopened", after=after, **private(tx, repair))
    refresh(tx, repair)


def urgent_in_reopening(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """What is still wrong is dangerous."""
    end(tx, talk)
    perform(tx, person, f"repair.reopen{talk.about.removeprefix('repair')}", why=text)


def reopen_without_words(tx: Tx, person: Person, talk: Talk) -> bool:
    """Take a dispute whose question stays unanswered for what it is: it is not repaired."""
    repair = tx.session.get(Repair, int(talk.about.removeprefix("repair:")))
    if repair is None or repair.state not in ("done", "closed"):
        return False
    reopen(tx, person, repair, "")
    return True


know(Known(REOPEN, no_facts, urgent=urgent_in_reopening, dropped=reopen_without_words))
