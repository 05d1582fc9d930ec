"""Incidents: what concerns a building or all, opened by staff; it gathers the reports and answers them together."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.incidents import INCIDENT, MERGE, NEWS, OVER
from conversations.moments import moment_in
from conversations.steps import Answers
from handlers import judge
from handlers.actions import action
from handlers.following import ALONE, likeness, merge, scene_in
from handlers.notices import notify, post
from handlers.numbers import next_number
from handlers.people import buildings_of
from handlers.repair_cards import (
    OPEN,
    WORK,
    add_event,
    board_buttons,
    brief,
    expected_mark,
    must_be,
    of_repair,
    public,
    refresh,
    staff_card,
    where,
)
from handlers.talk import Known, ask, end_about, here, know, no_facts, start
from handlers.tell import Button, reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair, Talk

MOST_TARGETS = 8


# --- the talks --------------------------------------------------------------------------------------


def _facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    reader = reader_of(tx, here(tx, person))

    def buildings() -> list[tuple[str, str]]:
        names = buildings_of(tx, person.community_id)
        return [(name, reader.say("where.building", building=name)) for name in names]

    return {"buildings": buildings}


def _heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """A time that was written must be one, and must not be past."""
    written = talk.answers.get("expected") if "expected" in changed else None
    if not written or _moment(tx, talk.community_id, written) is not None:
        return False
    talk.answers = {name: answer for name, answer in talk.answers.items() if name != "expected"}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead="incident.no_time")
    return True


def _moment(tx: Tx, community_id: int, written: str | None) -> datetime | None:
    zone = ZoneInfo(tx.community(community_id).time_zone)
    found = moment_in(written, tx.now.astimezone(zone)) if written else None
    return found if found is not None and found > tx.now else None


know(Known(INCIDENT, _facts, _heard))
know(Known(NEWS, no_facts, _heard, about=of_repair))
know(Known(OVER, no_facts, about=of_repair))


# --- an incident ------------------------------------------------------------------------------------


@action("incident.list", button=True, stays=True)
def show_all(tx: Tx, person: Person) -> None:
    """The incidents that go on."""
    rows = select(Repair).where(
        Repair.community_id == person.community_id, col(Repair.incident), col(Repair.state).in_(OPEN)
    )
    going_on = tx.session.exec(rows.order_by(col(Repair.id))).all()
    to = here(tx, person)
    reader = reader_of(tx, to)
    lines = [
        reader.say("incident.line", number=each.number, what=brief(each), count=each.homes - 1)
        for each in going_on
    ]
    tell(
        tx,
        to,
        "incident.list" if lines else "incident.list_none",
        list="\n".join(lines),
        buttons=[
            *(Button(f"incident.card:{each.id}", number=each.number) for each in going_on),
            "incident.start",
        ],
    )


@action("incident.card", Repair, button=True, stays=True)
def show_card_again(tx: Tx, person: Person, repair: Repair) -> None:
    """Show an incident's card anew: the first one may stand far up."""
    staff_card(tx, repair, anew=True)


@action("incident.start", button=True, stays=True)
def begin(tx: Tx, person: Person) -> None:
    """Ask what has happened, and where."""
    start(tx, person, INCIDENT.name)


@action("incident.opened")
def opened(tx: Tx, person: Person, what: str, building: str, expected: str | None = None, **_: Any) -> None:
    """Everybody whom it concerns is told, and whoever reports it from now on follows it."""
    repair = Repair(
        community_id=person.community_id,
        number=next_number(tx, person.community_id, "repair"),
        person_id=person.id,
        what=what,
        kind=judge.urgency(tx, person.community_id, what).kind,
        building="" if building == "all" else building,
        incident=True,
        reported_at=tx.now,
    )
    tx.session.add(repair)
    tx.session.flush()
    _expect(tx, repair, expected)
    add_event(tx, repair, "event.incident", person)
    staff_card(tx, repair, anew=True)
    post(tx, repair.community_id, "incident.board", about=f"repair:{repair.id}", **_facts_of(tx, repair))
    _tell_all(tx, repair, "incident.opened", silent=False)


def _expect(tx: Tx, repair: Repair, written: str | None) -> None:
    at = _moment(tx, repair.community_id, written)
    if at is None:
        return
    repair.expected_at = at
    set_timer(tx, repair.community_id, f"incident.due:{repair.id}", at)
    tx.session.add(repair)


def _facts_of(tx: Tx, repair: Repair) -> dict[str, Any]:
    return {**public(tx, repair), "expected": expected_mark(repair)}


def _tell_all(tx: Tx, repair: Repair, key: str, *, silent: bool, **facts: Any) -> None:
    """Tell everybody of the building and whoever follows it."""
    over = repair.state not in WORK
    notify(
        tx,
        repair.community_id,
        key,
        about=f"repair:{repair.id}",
        audience=f"concerned:{repair.id}",
        silent=silent,
        buttons=[Button("repair.start")] if over else board_buttons(repair),
        **{**_facts_of(tx, repair), **facts},
    )


@action("incident.gather", Repair, button=True)
def gather(tx: Tx, person: Person, repair: Repair) -> None:
    """Put the open reports of the same thing under the incident."""
    must_be(repair, *WORK)
    _must_be_incident(repair)
    found = similar_open(tx, repair)
    for each in found:
        merge(tx, person, each, repair)
    tell(tx, here(tx, person), "incident.gathered", number=repair.number, count=len(found))
    refresh(tx, repair)


def similar_open(tx: Tx, repair: Repair) -> Sequence[Repair]:
    """The open reports that an incident is likely to be about; locked."""
    opened_ones = select(Repair).where(
        Repair.community_id == repair.community_id,
        col(Repair.incident).is_(False),
        col(Repair.urgent).is_(False),  # a danger is paged by itself
        col(Repair.kind).not_in(ALONE),
        col(Repair.state).in_(WORK),
    )
    rows = tx.session.exec(opened_ones.order_by(col(Repair.id)).with_for_update()).all()
    about = scene_in(tx, repair)
    return [each for each in rows if likeness(scene_in(tx, each), about) == "same"]


@action("incident.update", Repair, button=True, stays=True)
def update(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask what is new."""
    must_be(repair, *OPEN)
    _must_be_incident(repair)
    start(tx, person, NEWS.name, about=f"repair:{repair.id}")


@action("incident.updated", Repair)
def updated(tx: Tx, person: Person, repair: Repair, words: str, expected: str | None = None) -> None:
    """One answer for all who wait."""
    must_be(repair, *OPEN)
    _must_be_incident(repair)
    _expect(tx, repair, expected)
    add_event(tx, repair, "event.news", person, words=words)
    _tell_all(tx, repair, "incident.news", silent=False, words=words)
    refresh(tx, repair)


@action("incident.end", Repair, button=True, stays=True)
def finish(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask for a last word; everybody will read it."""
    must_be(repair, *OPEN)
    _must_be_incident(repair)
    start(tx, person, OVER.name, about=f"repair:{repair.id}")


@action("incident.ended", Repair)
def ended(tx: Tx, person: Person, repair: Repair, words: str | None = None) -> None:
    """It is over, and all concerned hear of it."""
    must_be(repair, *OPEN)
    _must_be_incident(repair)
    repair.state, repair.done_at = "closed", repair.done_at or tx.now
    stop_timer(tx, f"incident.due:{repair.id}")
    end_about(tx, f"repair:{repair.id}")
    add_event(tx, repair, "event.ended", person, words=words or "")
    _tell_all(tx, repair, "incident.ended", silent=False, words=words or "")
    refresh(tx, repair)


@action("incident.due", Repair)
def due(tx: Tx, person: None, repair: Repair) -> None:
    """It should be over by now: staff say what is new, since people wait."""
    if repair.state in OPEN:
        staff_card(tx, repair, key="incident.late", anew=True)


def _must_be_incident(repair: Repair) -> None:
    if not repair.incident:
        raise Refused("refused.unknown")


# --- one report is part of another ------------------------------------------------------------------


def _targets_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    reader = reader_of(tx, here(tx, person))

    def targets() -> list[tuple[str, str]]:
        opened_ones = select(Repair).where(
            Repair.community_id == person.community_id,
            col(Repair.state).in_(WORK),
            Repair.id != answers.get("from"),
        )
        rows = tx.session.exec(opened_ones.order_by(col(Repair.incident).desc(), col(Repair.id).desc())).all()
        one = tx.session.get(Repair, answers.get("from", 0))
        near = sorted(rows, key=lambda each: one is not None and each.building != one.building)
        return [
            (
                str(each.id),
                reader.say("incident.target", number=each.number, where=where(tx, each), what=brief(each)),
            )
            for each in near[:MOST_TARGETS]
        ]

    return {"targets": targets}


know(Known(MERGE, _targets_for, about=of_repair))


@action("repair.merge", Repair, button=True, stays=True)
def begin_merge(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask of which other one it is part."""
    must_be(repair, *WORK)
    if not _targets_for(tx, person, {"from": repair.id})["targets"]():
        raise Refused("incident.no_target")
    start(tx, person, MERGE.name, about=f"repair:{repair.id}", answers={"from": repair.id})


@action("repair.merged", Repair)
def merged(tx: Tx, person: Person, repair: Repair, into: str) -> None:
    """It is part of another one."""
    must_be(repair, *WORK)
    other = tx.session.get_one(Repair, int(into), with_for_update=True)
    if other.community_id != repair.community_id or other.id == repair.id:
        raise Refused("refused.unknown")
    must_be(other, *WORK)
    if repair.urgent and not other.urgent:
        raise Refused("incident.urgent_stays", number=repair.number)
    merge(tx, person, repair, other)
    tell(tx, here(tx, person), "incident.merged", number=repair.number, into=other.number)
    refresh(tx, other)
