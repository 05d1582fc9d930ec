"""The numbers of a month in words: the lines of a message, and the tiles of its picture. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from conversations.words import Reader, Say
from handlers.month import Facts, is_empty
from handlers.times import FEW, span

NONE = Say("figures.nothing")
HAPPENED = ("count", "done", "decided", "sold", "judged", "appealed", "restored", "approved")
"""What of a line is a number of things that happened in the month, also where nothing new came."""


def percent(share: Sequence[int] | None) -> Any:
    """A share in percent, cut after one decimal: 99.95 % is not 100 %."""
    if share is None:
        return NONE
    part, whole = share
    tenths = 1000 * part // whole
    return Say("figures.percent", value=f"{tenths // 10}.{tenths % 10}" if tenths % 10 else f"{tenths // 10}")


def took(times: Sequence[int] | None) -> Any:
    """A median, and the 90th percentile unless there are too few to say it."""
    if times is None:
        return NONE
    median, most, count = times
    if count < FEW:
        return span(median)
    return Say("figures.both", median=span(median), most=span(most))


def change(now: int, before: int | None) -> Any:
    """What it is more or less than the month before; nothing if that is not known."""
    if before is None:
        return ""
    if now == before:
        return Say("figures.same_mark")
    return Say("figures.more_mark" if now > before else "figures.less_mark", by=abs(now - before))


def than(now: int, before: int | None) -> Any:
    """The same, to stand before other words."""
    if before is None:
        return ""
    if now == before:
        return Say("figures.than.same_mark")
    return Say("figures.than.more_mark" if now > before else "figures.than.less_mark", by=abs(now - before))


def turnout(votes: Sequence[Facts], by: str) -> list[int] | None:
    """The part of all who could vote that did, over all votes of a month; by area in whole units of the smallest."""
    if by == "people":
        known = [each["people"] for each in votes if each["people"]]
        return [sum(each[0] for each in known), sum(each[1] for each in known)] if known else None
    areas = [[Fraction(part) for part in each["area"]] for each in votes]
    whole = sum((each[1] for each in areas), Fraction(0))
    part = sum((each[0] for each in areas), Fraction(0))
    together = part / whole if whole else None
    return [together.numerator, together.denominator] if together is not None else None


def lines(facts: Facts, before: Facts | None, *, staff: bool = False) -> list[Say]:
    """A month beside the one before, a line each; `staff` also read what only they ask for."""
    if is_empty(facts) and not staff:
        return [Say("figures.empty")]
    repairs, complaints, conduct = facts["repairs"], facts["complaints"], facts["conduct"]

    def last(*path: str) -> int | None:
        found: Any = before
        for name in path:
            found = found[name] if found is not None else None
        return len(found) if isinstance(found, list) else found

    public = [
        Say(
            "figures.repairs",
            count=repairs["reported"],
            change=change(repairs["reported"], last("repairs", "reported")),
            done=repairs["done"],
            punctual=percent(repairs["in_time"]),
            stars=_stars(repairs["stars"]),
        ),
        *(
            Say(f"figures.{name}", response=took(group["response"]), repair=took(group["repair"]))
            for name, group in (("urgent", repairs["urgent"]), ("ordinary", repairs["ordinary"]))
            if group["reported"] or group["done"]
        ),
        Say(
            "figures.complaints",
            count=complaints["new"],
            change=change(complaints["new"], last("complaints", "new")),
            answered=complaints["answered"],
            punctual=percent(complaints["in_time"]),
            took=took(complaints["took"]),
            helped=percent(complaints["helped"]),
        ),
        Say(
            "figures.requests",
            count=facts["requests"]["new"],
            change=change(facts["requests"]["new"], last("requests", "new")),
            decided=facts["requests"]["decided"],
        ),
        Say(
            "figures.votes",
            count=len(facts["votes"]),
            change=change(len(facts["votes"]), last("votes")),
            people=percent(turnout(facts["votes"], "people")),
            area=percent(turnout(facts["votes"], "area")),
        ),
        Say(
            "figures.listings",
            count=facts["listings"]["new"],
            change=change(facts["listings"]["new"], last("listings", "new")),
            sold=facts["listings"]["sold"],
        ),
        Say(
            "figures.conduct",
            **{name: conduct[name] for name in ("judged", "deleted", "held", "appealed", "restored")},
            change=change(conduct["judged"], last("conduct", "judged")),
            took=took(conduct["took"]),
        ),
    ]
    office = [
        Say("figures.joins", count=facts["joins"]["new"], approved=facts["joins"]["approved"]),
        Say(
            "figures.messages",
            count=facts["messages"],
            change=change(facts["messages"], last("messages")),
        ),
    ]
    return [each for each in (*public, *(office if staff else ())) if _tells(each)]


def _tells(line: Say) -> bool:
    """Whether something of it happened in this month or in the one before."""
    counted = [line.facts[name] for name in HAPPENED if name in line.facts]
    changed = line.facts.get("change")
    return not counted or any(counted) or (isinstance(changed, Say) and changed.key != "figures.same_mark")


def _stars(share: Sequence[int] | None) -> Any:
    if share is None:
        return ""
    tenths = 10 * share[0] // share[1]
    return Say("figures.stars_mark", average=f"{tenths // 10}.{tenths % 10}", count=share[1])


# --- the picture's tiles ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One number of the picture, in words, with what it was in the months before (None: nothing to measure)."""

    title: str
    value: str
    note: str
    series: list[Fraction | None]


def tiles(months: Sequence[Facts], reader: Reader) -> list[Tile]:
    """The tiles of the last of these months; `months` are the oldest first."""
    now, before = months[-1], months[-2] if len(months) > 1 else None

    def tile(name: str, value: Any, series: Sequence[Any], **note: Any) -> Tile:
        # A percent sign alone in the next line would be read as another thing.
        said = reader.say(f"figures.tile.{name}_note", **note).replace(" %", "%")
        shown = [None if each is None else Fraction(each) for each in series]
        return Tile(reader.say(f"figures.tile.{name}"), str(reader.show(value)), said, shown)

    def part(found: Sequence[int] | None) -> Fraction | None:
        return Fraction(*found) if found else None

    def median(times: Sequence[int] | None) -> int | None:
        return times[0] if times else None

    repairs, complaints, conduct = now["repairs"], now["complaints"], now["conduct"]
    people = [turnout(each["votes"], "people") for each in months]
    return [
        tile(
            "repairs",
            repairs["reported"],
            [each["repairs"]["reported"] for each in months],
            than=than(repairs["reported"], before["repairs"]["reported"] if before else None),
            done=repairs["done"],
        ),
        tile(
            "in_time",
            percent(repairs["in_time"]),
            [part(each["repairs"]["in_time"]) for each in months],
            stars=_stars(repairs["stars"]),
            count=repairs["in_time"][1] if repairs["in_time"] else 0,
        ),
        tile(
            "response",
            span(repairs["response"][0]) if repairs["response"] else NONE,
            [median(each["repairs"]["response"]) for each in months],
            urgent=took(repairs["urgent"]["response"]),
        ),
        tile(
            "took",
            span(repairs["repair"][0]) if repairs["repair"] else NONE,
            [median(each["repairs"]["repair"]) for each in months],
            most=Say("figures.within", span=span(repairs["repair"][1]))
            if repairs["repair"] and repairs["repair"][2] >= FEW
            else NONE,
        ),
        tile(
            "complaints",
            complaints["new"],
            [each["complaints"]["new"] for each in months],
            punctual=percent(complaints["in_time"]),
            helped=percent(complaints["helped"]),
        ),
        tile(
            "votes",
            percent(people[-1]),
            [part(each) for each in people],
            count=len(now["votes"]),
            area=percent(turnout(now["votes"], "area")),
        ),
        tile(
            "listings",
            now["listings"]["new"],
            [each["listings"]["new"] for each in months],
            than=than(now["listings"]["new"], before["listings"]["new"] if before else None),
            sold=now["listings"]["sold"],
        ),
        tile(
            "conduct",
            conduct["deleted"],
            [each["conduct"]["deleted"] for each in months],
            appealed=conduct["appealed"],
            restored=conduct["restored"],
        ),
    ]
