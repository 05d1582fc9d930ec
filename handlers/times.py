"""How fast repairs are answered and done, for the staff: medians and 90th percentiles, and what owners think of it."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.repair_cards import OPEN, WORK, name_of
from handlers.talk import here
from handlers.tell import reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Repair

DAYS = 90
FEW = 5
"""Of fewer values no percentile is said."""
MOST = 8
"""Lines of one table; the rest is summed in one more."""
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Done:
    """One repair: how long until somebody had it and until it was done, in seconds (None: not yet), and its stars."""

    urgent: bool
    kind: str
    crew_id: int | None
    building: str
    response: int | None
    repair: int | None
    stars: int | None


def quantile(values: Iterable[int], percent: int) -> int:
    """The percentile by the nearest rank: the smallest value that so many percent of all do not exceed.

    It is always one of the values, and exact: nothing is interpolated, and no rank is computed with fractions.
    """
    ordered = sorted(values)
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def repairs_since(tx: Tx, community_id: int, since: datetime) -> list[Done]:
    """The repairs reported since then.

    Not those that were withdrawn, that are part of another one, or that staff announced themselves (incidents). What
    is open has no time of repair yet, and one that was reopened none until it is done again; the time in which its
    clock stood does not count. Nights and week ends do.
    """
    asked = select(Repair).where(
        Repair.community_id == community_id,
        col(Repair.reported_at) > since,
        col(Repair.state).not_in(("withdrawn", "merged")),
        ~col(Repair.incident),
    )
    return [done_of(each) for each in tx.session.exec(asked)]


def done_of(repair: Repair) -> Done:
    """One repair as it counts."""
    response = _seconds(repair.reported_at, repair.accepted_at)
    took = _seconds(repair.reported_at, repair.done_at) if repair.state not in WORK else None
    return Done(
        repair.urgent,
        repair.kind,
        repair.crew_id,
        repair.building,
        response,
        None if took is None else max(took - repair.paused_seconds, 0),
        repair.stars,
    )


def _seconds(begins: datetime, ends: datetime | None) -> int | None:
    return None if ends is None else max(int((ends - begins).total_seconds()), 0)


# --- in words ---------------------------------------------------------------------------------------


@action("times", button=True, stays=True)
def times(tx: Tx, person: Person) -> None:
    """The figures of the last 90 days, for the admin group."""
    to = here(tx, person)
    reader, since = reader_of(tx, to), tx.now - timedelta(days=DAYS)
    found = repairs_since(tx, person.community_id, since)
    if not found:
        tell(tx, to, "times.none", days=DAYS)
        return
    tell(tx, to, "times.all", text="\n\n".join(_parts(tx, person.community_id, found, reader)))


def _parts(tx: Tx, community_id: int, found: Sequence[Done], reader: Reader) -> list[str]:
    urgent, ordinary = ([each for each in found if each.urgent is which] for which in (True, False))
    head = [
        reader.say("times.head", days=DAYS, count=len(found), open=_still_open(tx, community_id)),
        reader.say("times.urgent", **_times(urgent)),
        reader.say("times.ordinary", **_times(ordinary)),
    ]
    people = {each.crew_id: name_of(tx, each.crew_id) or Say("person.forgotten") for each in found}
    return [
        "\n".join(head),
        _table(reader, Say("times.by_kind"), found, lambda each: each.kind, lambda kind: Say(f"kind.{kind}")),
        _table(
            reader,
            Say("times.by_crew"),
            [each for each in found if each.crew_id is not None],
            lambda each: each.crew_id,
            lambda crew_id: people[crew_id],
            stars=True,
        ),
        _table(reader, Say("times.by_building"), found, lambda each: each.building, building_named),
    ]


def _still_open(tx: Tx, community_id: int) -> int:
    waits = select(Repair.id).where(Repair.community_id == community_id, col(Repair.state).in_(OPEN))
    return len(tx.session.exec(waits).all())


def building_named(name: str) -> Say:
    """A building as a table names it; things outside have none."""
    return Say("where.building", building=name) if name else Say("times.nowhere")


def _table(
    reader: Reader,
    title: Say,
    found: Sequence[Done],
    key: Callable[[Done], Hashable],
    name: Callable[[Any], Any],
    *,
    stars: bool = False,
) -> str:
    """One line a group, those with the most first; of many groups the rest in one line."""
    groups: dict[Hashable, list[Done]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    shown = [(name(which), theirs) for which, theirs in ranked[:MOST]]
    rest = ranked[MOST:]
    if rest:
        shown.append((Say("times.rest", count=len(rest)), [each for _, theirs in rest for each in theirs]))
    lines = [
        reader.say(
            "times.line",
            name=called,
            count=len(theirs),
            **_times(theirs),
            stars=_stars(theirs) if stars else "",
        )
        for called, theirs in shown
    ]
    return "\n".join([reader.show(title), *lines]) if lines else ""


def _times(found: Sequence[Done]) -> dict[str, Any]:
    """Both times of some repairs, each in words."""
    return {
        "response": _both([each.response for each in found if each.response is not None]),
        "repair": _both([each.repair for each in found if each.repair is not None]),
    }


def _both(values: Sequence[int]) -> Say:
    """The median and the 90th percentile, or how few values there are."""
    if not values:
        return Say("talk.none")
    if len(values) < FEW:
        return Say("times.few", count=len(values))
    return Say(
        "times.both", median=span(quantile(values, 50)), most=span(quantile(values, 90)), count=len(values)
    )


def _stars(found: Sequence[Done]) -> Say | str:
    given = [each.stars for each in found if each.stars is not None]
    if not given:
        return ""
    return Say("times.stars_mark", average=f"{sum(given) / len(given):.1f}", count=len(given))


def span(seconds: int) -> Say:
    """A length of time as people say it: 8 分钟, 3 小时, 3 小时 20 分, 2 天 4 小时."""
    if seconds < MINUTE:
        return Say("span.less")
    days, hours, minutes = seconds // DAY, seconds % DAY // HOUR, seconds % HOUR // MINUTE
    if days:
        return Say("span.days_and", days=days, hours=hours) if hours else Say("span.days", days=days)
    if hours:
        return (
            Say("span.hours_and", hours=hours, minutes=minutes) if minutes else Say("span.hours", hours=hours)
        )
    return Say("span.minutes", minutes=minutes)
