"""A repair waits for parts, for access or for its owner's yes: its clock stands, and goes on by itself on the day."""

from collections.abc import Callable, Collection
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from conversations.moments import moment_in
from conversations.steps import Answers
from conversations.words import Say
from conversations.work import ACCESS, PARTS
from handlers.actions import action
from handlers.assigning import set_deadline, stop_deadline
from handlers.policy import policy_of
from handlers.repair_cards import (
    IN_HAND,
    PAUSED,
    add_event,
    day_of,
    must_be,
    of_repair,
    refresh,
    show_card,
    staff_card,
    tell_concerned,
)
from handlers.talk import Known, ask, know, start
from handlers.tell import URGENT, reader_of
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair, Talk

FARTHEST = 60
"""Days that a repair may wait at a time."""
SUGGESTED = (1, 3, 7)
"""Days ahead that can be tapped."""


def settle_clock(tx: Tx, repair: Repair) -> None:
    """Let its clock stand while it waits for somebody else than the crew; then its deadline moves by that time."""
    waits = repair.state in PAUSED or repair.cost_state == "asked"
    if waits and repair.paused_at is None:
        repair.paused_at = tx.now
        stop_deadline(tx, repair)
    elif not waits and repair.paused_at is not None:
        stood = tx.now - repair.paused_at
        repair.paused_seconds += round(stood.total_seconds())
        repair.paused_at = repair.paused_until = None
        if repair.due_at is not None:
            set_deadline(tx, repair, repair.due_at + stood)
    tx.session.add(repair)


# --- until when -------------------------------------------------------------------------------------


def _zone(tx: Tx, community_id: int) -> ZoneInfo:
    return ZoneInfo(tx.community(community_id).time_zone)


def day_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """The days that can be tapped, with their dates."""
    reader = reader_of(tx, person)

    def days() -> list[tuple[str, str]]:
        made = []
        for ahead in SUGGESTED:
            then = tx.now.astimezone(_zone(tx, person.community_id)) + timedelta(days=ahead)
            label = reader.say(f"work.ahead.{ahead}", day=day_of(tx, person.community_id, then))
            made.append((then.date().isoformat(), label))
        return made

    return {"days": days}


def heard_day(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """What was written must be a day to come, and not too far."""
    if "until" not in changed:
        return False
    now = tx.now.astimezone(_zone(tx, person.community_id))
    moment = moment_in(str(talk.answers["until"]), now)
    if moment is not None and 0 < (moment.date() - now.date()).days <= FARTHEST:
        talk.answers = {"until": moment.date().isoformat()}
        return False
    talk.answers = {}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead="unclear.day", most=FARTHEST)
    return True


for script in (PARTS, ACCESS):
    know(Known(script, day_facts, heard=heard_day, about=of_repair))


# --- it waits ---------------------------------------------------------------------------------------


@action("repair.parts", Repair, button=True, stays=True)
def parts(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask when the parts will be there."""
    must_be(repair, *IN_HAND)
    start(tx, person, PARTS.name, about=f"repair:{repair.id}")


@action("repair.access", Repair, button=True, stays=True)
def access(tx: Tx, person: Person, repair: Repair) -> None:
    """Nobody opens: ask when somebody goes there again."""
    must_be(repair, *IN_HAND)
    start(tx, person, ACCESS.name, about=f"repair:{repair.id}")


@action("repair.wait_parts", Repair)
def wait_for_parts(tx: Tx, person: Person, repair: Repair, until: str) -> None:
    """It waits for parts, until a day."""
    must_be(repair, *IN_HAND)
    repair.state = "parts"
    day = _wait(tx, repair, until)
    add_event(tx, repair, "event.parts", person, until=day)
    tell_concerned(tx, repair, "repair.waits_parts", who=person.name, until=day)
    refresh(tx, repair)


@action("repair.wait_access", Repair)
def wait_for_access(tx: Tx, person: Person, repair: Repair, until: str) -> None:
    """It waits for access, until a day; the owner is asked when it suits."""
    must_be(repair, *IN_HAND)
    repair.state = "access"
    day = _wait(tx, repair, until)
    add_event(tx, repair, "event.access", person, until=day)
    tell_concerned(tx, repair, "repair.waits_access", who=person.name, until=day)
    refresh(tx, repair)


def _wait(tx: Tx, repair: Repair, until: str) -> Say:
    """Let the clock stand until the morning of a day, or the later one if it stands already; that day in words."""
    zone = _zone(tx, repair.community_id)
    starts = time.fromisoformat(policy_of(tx, repair.community_id).day_starts)
    morning = datetime.combine(datetime.fromisoformat(until).date(), starts, zone)
    later = max(filter(None, (morning, repair.paused_until)))
    repair.paused_until = later
    settle_clock(tx, repair)
    tx.session.flush()
    set_timer(tx, repair.community_id, f"repair.resume:{repair.id}", later)
    if repair.urgent:  # an emergency that waits is the office's matter, too
        staff_card(tx, repair, key="work.waits_staff", anew=True, lane=URGENT)
    return day_of(tx, repair.community_id, later)


# --- it goes on -------------------------------------------------------------------------------------


@action("repair.resume", Repair)
def resume(tx: Tx, person: None, repair: Repair) -> None:
    """The day has come: it is the crew's again."""
    if repair.state not in PAUSED or repair.paused_until is None or repair.paused_until > tx.now:
        return
    go_on(tx, repair, None)
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, key="work.today", anew=True)
    refresh(tx, repair)


def go_on(tx: Tx, repair: Repair, person: Person | None) -> None:
    """It waits no more: everybody concerned hears of the deadline that was promised, and of the one that holds now."""
    why, before = Say(f"work.for_{repair.state}"), repair.due_at
    repair.state = "accepted"
    stop_timer(tx, f"repair.resume:{repair.id}")
    settle_clock(tx, repair)
    due: Any = ""
    if before is not None and repair.due_at != before:
        due = Say("work.moved_mark", before=before, due=repair.due_at, why=why)
    add_event(tx, repair, "event.resumed", person, due=due)
    tell_concerned(tx, repair, "repair.resumed", due=due)
