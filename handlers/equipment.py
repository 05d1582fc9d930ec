"""The equipment register: what the community has, where, since when, and how often it was repaired of late."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.equipment import (
    EQUIP,
    LONGEST_KIND,
    LONGEST_NOTE,
    LONGEST_SPOT,
    PICK,
    REEQUIP,
    WHOLE,
    year_in,
)
from conversations.errors import Refused
from conversations.steps import Answers
from conversations.words import Say, normal, texts
from handlers import judge
from handlers.actions import action
from handlers.masking import without_numbers
from handlers.numbers import next_number
from handlers.people import buildings_of, numbers_as_numbers
from handlers.rights import staff
from handlers.talk import Known, ask, end_about, here, know, no_facts, start
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from moderation.likeness import Said, alike, names, said
from store.tables import Equipment, Person, Repair, Talk

OLDEST = 1900
LATELY = timedelta(days=365)
OF_ONE_THING = ("lift", "intercom")
"""Kinds of repair that are about one kind of thing; "power" may be a charger's or a home's."""
PLACES = ("lift", "garage", "hall")


# --- what others ask --------------------------------------------------------------------------------


def register(tx: Tx, community_id: int) -> list[Equipment]:
    """What the community has now: the most frequent kind first, each from the first building to the last."""
    lines = select(Equipment).where(
        Equipment.community_id == community_id, col(Equipment.retired_at).is_(None)
    )
    found = list(tx.session.exec(lines.order_by(col(Equipment.number))))
    often = Counter(each.kind for each in found)
    return sorted(
        found,
        key=lambda each: (
            -often[each.kind],
            each.kind,
            each.building != "",
            numbers_as_numbers(each.building),
        ),
    )


def kinds(tx: Tx, community_id: int) -> list[str]:
    """The kinds in use, the most frequent first."""
    return list(dict.fromkeys(each.kind for each in register(tx, community_id)))


def lines_for(tx: Tx, community_id: int, words: str, building: str) -> list[Equipment]:
    """What the register has like these words, nearest building first: that one, the whole community, the others."""
    like: dict[str, bool] = {}
    lines = register(tx, community_id)
    for each in lines:
        if each.kind not in like:
            like[each.kind] = alike(each.kind, words)
    return sorted(
        (each for each in lines if like[each.kind]), key=lambda each: _distance(each.building, building)
    )


def _distance(there: str, here_: str) -> tuple[int, int]:
    if there in ("", here_):
        return (0 if there == here_ else 1, 0)
    both = there.isdecimal() and here_.isdecimal()
    return (2, abs(int(there) - int(here_)) if both else 0)


def facts(tx: Tx, equipment: Equipment) -> Say:
    """One line for people: what, how many, where, since when, and its repairs of the last year."""
    times = _repairs_of(tx, equipment)
    last = max(times, default=None)
    day = last.astimezone(ZoneInfo(tx.community(equipment.community_id).time_zone)) if last else None
    return Say(
        "equipment.line",
        kind=without_numbers(equipment.kind),
        count=equipment.count,
        where=_where(equipment),
        since=Say("equipment.since_mark", year=equipment.since) if equipment.since else "",
        repairs=Say(
            "equipment.repairs_mark", count=len(times), day=Say("day.date", month=day.month, day=day.day)
        )
        if day
        else Say("equipment.no_repairs_mark"),
    )


def put_up(
    tx: Tx, community_id: int, *, kind: str, building: str, spot: str, count: int, since: int | None
) -> Equipment:
    """Something was installed: more of what stands there already, or a new line."""
    kind, spot = tidy(kind)[:LONGEST_KIND], tidy(spot)[:LONGEST_SPOT]
    row = same_line(tx, community_id, kind, building, spot)
    if row is None:
        return add_line(tx, community_id, kind=kind, building=building, spot=spot, count=count, since=since)
    row.count += count
    if since is not None and row.since != since:
        more = tx.reader(community_id).say("equipment.more", year=since, count=count)
        row.note = "；".join(filter(None, (row.note, more)))[-LONGEST_NOTE:]
    tx.session.add(row)
    return row


# --- keeping lines ----------------------------------------------------------------------------------


def add_line(
    tx: Tx,
    community_id: int,
    *,
    kind: str,
    building: str = "",
    spot: str = "",
    count: int = 1,
    since: int | None = None,
    note: str = "",
) -> Equipment:
    """A new line with its number."""
    row = Equipment(
        community_id=community_id,
        number=next_number(tx, community_id, "equipment"),
        kind=kind,
        building=building,
        spot=spot,
        count=count,
        since=since,
        note=note,
        created_at=tx.now,
    )
    tx.session.add(row)
    tx.session.flush()
    return row


def tidy(words: str) -> str:
    """Words in one line, with ordinary letters and single blanks."""
    return " ".join(unicodedata.normalize("NFKC", words).split())


def key_of(kind: str, building: str, spot: str) -> tuple[str, str, str]:
    """What tells one line from another."""
    return normal(kind), building, normal(spot)


def same_line(tx: Tx, community_id: int, kind: str, building: str, spot: str) -> Equipment | None:
    """The line of this kind in this place."""
    wanted = key_of(kind, building, spot)
    lines = register(tx, community_id)
    return next((each for each in lines if key_of(each.kind, each.building, each.spot) == wanted), None)


# --- its repairs ------------------------------------------------------------------------------------


class _Report(NamedTuple):
    """A repair of the last year, with its words as names are compared."""

    building: str
    words: Said
    kind: str
    at: datetime


def _repairs_of(tx: Tx, equipment: Equipment) -> list[datetime]:
    """When a repair of it was reported in the last year, those that nobody withdrew."""
    found = tx.once(
        f"repairs of {equipment.kind}", equipment.community_id, lambda: _repairs_of_kind(tx, equipment)
    )
    return [each.at for each in found if not equipment.building or each.building in ("", equipment.building)]


def _repairs_of_kind(tx: Tx, equipment: Equipment) -> list[_Report]:
    community_id, thing = equipment.community_id, equipment.kind
    told = tx.once("repairs of the year", community_id, lambda: _repairs_of_year(tx, community_id))
    kind = judge.urgency(tx, community_id, thing).kind
    return [each for each in told if (each.kind == kind and kind in OF_ONE_THING) or names(thing, each.words)]


def _repairs_of_year(tx: Tx, community_id: int) -> list[_Report]:
    """In one query, however many lines of the register ask."""
    asked = select(Repair.building, Repair.place, Repair.kind, Repair.reported_at).add_columns(
        col(Repair.what), col(Repair.spot), col(Repair.added)
    )
    rows = tx.session.execute(
        asked.where(
            col(Repair.community_id) == community_id,
            col(Repair.state) != "withdrawn",
            col(Repair.reported_at) > tx.now - LATELY,
        )
    )
    return [
        _Report(building, said("，".join((_thing_of(place), what, spot, added))), kind, at)
        for building, place, kind, at, what, spot, added in rows
    ]


def _thing_of(place: str) -> str:
    """A place that is a thing, such as the lift, counts as said."""
    return texts("zh")[f"repair.place.{place}"] if place in PLACES else ""


# --- showing ----------------------------------------------------------------------------------------


def _where(equipment: Equipment) -> Say | str:
    place = (
        Say("where.building", building=equipment.building) if equipment.building else Say("equipment.whole")
    )
    spot = without_numbers(equipment.spot)
    if not spot:
        return place
    return Say("equipment.spot", place=place, spot=spot) if equipment.building else spot


@action("equipment", button=True, stays=True)
def show_register(tx: Tx, person: Person) -> None:
    """What the community has, kind by kind; staff see the numbers, and what they can do."""
    reader, keeps = reader_of(tx, here(tx, person)), staff(tx, person, None)
    groups: dict[str, list[str]] = {}
    for each in register(tx, person.community_id):
        line = facts(tx, each)
        shown = Say("equipment.numbered", number=each.number, line=line) if keeps else line
        groups.setdefault(each.kind, []).append(reader.show(shown))
    tell(
        tx,
        here(tx, person),
        "equipment.list" if groups else "equipment.none",
        list="\n\n".join("\n".join(lines) for lines in groups.values()),
        buttons=["equipment.add", *(["equipment.find"] if groups else []), "equipment.explain"]
        if keeps
        else (),
    )


def _show(tx: Tx, person: Person, row: Equipment, *, lead: Say | str = "") -> None:
    """One line, and what staff can do with it."""
    kept = [
        f"equipment.{name}:{row.id}" for name in (("restore",) if row.retired_at else ("change", "retire"))
    ]
    tell(
        tx,
        here(tx, person),
        "equipment.card",
        lead=reader_of(tx, here(tx, person)).show(lead),
        number=row.number,
        line=facts(tx, row),
        note=Say("equipment.note_mark", note=row.note) if row.note else "",
        retired=Say("equipment.retired_mark") if row.retired_at else "",
        buttons=[Button(each, number=row.number) for each in kept],
        last=f"equipment:{row.id}",
    )


# --- staff keep it in chat --------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """Where something can be: in one of the buildings, or somewhere in the community."""
    reader = reader_of(tx, here(tx, person))

    def buildings() -> list[tuple[str, str]]:
        ours = buildings_of(tx, person.community_id)
        return [(WHOLE, reader.say("equipment.whole"))] + [
            (name, reader.say("where.building", building=name)) for name in ours
        ]

    return {"buildings": buildings}


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """A year is kept as a number; what is none, or is still to come, is asked for again."""
    words = talk.answers.get("since")
    if "since" not in changed or not isinstance(words, str):
        return False
    year, now = year_in(words), this_year(tx, person.community_id)
    ahead = year is not None and year > now
    lead = "equipment.year_ahead" if ahead else "equipment.wrong_year"
    if year is not None and OLDEST <= year <= now:
        talk.answers = {**talk.answers, "since": year}
        tx.session.add(talk)
        return False
    talk.answers = {name: answer for name, answer in talk.answers.items() if name != "since"}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead=lead, said=words, year=now)
    return True


def this_year(tx: Tx, community_id: int) -> int:
    """The year that it is in the community."""
    return tx.now.astimezone(ZoneInfo(tx.community(community_id).time_zone)).year


def which(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which line a change is about, for its words."""
    row = tx.session.get(Equipment, int(talk.about.partition(":")[2] or 0))
    return {"number": row.number if row is not None else ""}


know(Known(EQUIP, facts_for, heard))
know(Known(REEQUIP, facts_for, heard, about=which))
know(Known(PICK, no_facts))


@action("equipment.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask what there is."""
    start(tx, person, "equip")


@action("equipment.added")
def added(tx: Tx, person: Person, **answers: Any) -> None:
    """A new line; what stands in the register already is shown instead."""
    told = _line_of(answers)
    row = same_line(tx, person.community_id, told["kind"], told["building"], told["spot"])
    if row is not None:
        _show(tx, person, row, lead=Say("equipment.already"))
        return
    row = add_line(tx, person.community_id, **told)
    _show(tx, person, row, lead=Say("equipment.added"))


def _line_of(answers: Answers) -> dict[str, Any]:
    """The answers as a line holds them."""
    building = answers["building"]
    return {
        "kind": tidy(answers["kind"]),
        "building": "" if building == WHOLE else building,
        "spot": tidy(answers.get("spot") or ""),
        "count": answers["count"],
        "since": answers.get("since"),
        "note": answers.get("note") or "",
    }


@action("equipment.find", button=True, stays=True)
def find(tx: Tx, person: Person) -> None:
    """Ask for the number of a line."""
    start(tx, person, "pick")


@action("equipment.found")
def found(tx: Tx, person: Person, number: str) -> None:
    """Show the line of this number, with what can be done."""
    digits = re.search(r"[0-9]{1,9}", unicodedata.normalize("NFKC", number))
    line = select(Equipment).where(
        Equipment.community_id == person.community_id, Equipment.number == int(digits[0] if digits else 0)
    )
    row = tx.session.exec(line).first()
    if row is None:
        tell(tx, here(tx, person), "equipment.no_such", said=number, buttons=("equipment.find", "equipment"))
    else:
        _show(tx, person, row)


@action("equipment.change", Equipment, button=True, stays=True)
def change(tx: Tx, person: Person, row: Equipment) -> None:
    """Ask what has changed: the last look at the present answers, each of which can be asked again."""
    _must_stand(row)
    present = {
        "kind": row.kind,
        "building": row.building or WHOLE,
        "spot": row.spot or None,
        "count": row.count,
        "since": row.since,
        "note": row.note or None,
    }
    start(tx, person, "reequip", about=f"equipment:{row.id}", answers=present)


@action("equipment.changed", Equipment)
def changed(tx: Tx, person: Person, row: Equipment, **answers: Any) -> None:
    """The line is as staff say now; never the same as another one."""
    _must_stand(row)
    told = _line_of(answers)
    other = same_line(tx, row.community_id, told["kind"], told["building"], told["spot"])
    if other is not None and other.id != row.id:
        _show(tx, person, other, lead=Say("equipment.already"))
        return
    for name, value in told.items():
        setattr(row, name, value)
    tx.session.add(row)
    tx.session.flush()
    _show(tx, person, row, lead=Say("equipment.changed"))


@action("equipment.retire", Equipment, button=True, grave=True)
def retire(tx: Tx, person: Person, row: Equipment) -> None:
    """It is there no more; the line is kept, but shown to nobody."""
    _must_stand(row)
    row.retired_at = tx.now
    tx.session.add(row)
    end_about(tx, f"equipment:{row.id}")
    _show(tx, person, row)


@action("equipment.restore", Equipment, button=True)
def restore(tx: Tx, person: Person, row: Equipment) -> None:
    """It is there after all."""
    if row.retired_at is not None:
        other = same_line(tx, row.community_id, row.kind, row.building, row.spot)
        if other is not None:
            _show(tx, person, other, lead=Say("equipment.already"))
            return
    row.retired_at = None
    tx.session.add(row)
    _show(tx, person, row)


def _must_stand(row: Equipment) -> None:
    if row.retired_at is not None:
        raise Refused("equipment.gone", number=row.number)
