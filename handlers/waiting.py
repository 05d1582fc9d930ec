"""/waiting (待办): everything that waits for the property office, the committee or a manager, and since when."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlmodel import select

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.calendar import working_morning
from handlers.my import NEVER
from handlers.my import show as show_own
from handlers.overdue import refresh_list
from handlers.people import committee_of, works
from handlers.people import is_resident as lives_here
from handlers.repair_lists import open_list
from handlers.rights import staff
from handlers.talk import here
from handlers.tell import Button, places_of_kind, reader_of, tell
from handlers.timers import set_timer
from handlers.times import span
from handlers.tx import Tx
from store.tables import Community, Person, Place

FITS = 10
"""Lines of one page, each with the button that opens it."""
MONDAY = 1
PAGE = re.compile(r"p\d{1,3}", re.ASCII)


@dataclass(frozen=True)
class Wait:
    """One thing that waits, in a line of the list of staff; its kind is a text below "wait.kind".

    `by`: who has to act. `homes`: how many people or homes it concerns. `due` may be unknown. `button` opens it.
    """

    kind: str
    title: Any
    since: datetime
    due: datetime | None = None
    by: Literal["office", "committee", "manager", "crew", "owner"] = "office"
    number: int = 0
    homes: int = 1
    button: Button | None = None

    def late(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.due is not None and self.due <= now


Queue = Callable[[Tx, int], list[Wait]]
QUEUES: list[Queue] = []


def know_queue(queue: Queue) -> None:
    """Let what `queue` finds waiting in a community stand in the list of staff."""
    QUEUES.append(queue)


def waits_of(tx: Tx, community_id: int) -> list[Wait]:
    """All that waits: what is late the longest first, then what is due soonest, then what waits longest."""
    found = [each for queue in QUEUES for each in queue(tx, community_id)]
    return sorted(found, key=lambda each: (each.due or NEVER, each.since))


# --- asked for --------------------------------------------------------------------------------------


@action("waiting", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """In the admin group all that waits; in somebody's own chat what is theirs."""
    show_mine(tx, person)


@action("waits.page", button=True, stays=True, words=PAGE)
def page(tx: Tx, person: Person, which: str) -> None:
    """One page of the list of staff."""
    to = here(tx, person)
    if isinstance(to, Place):
        _put(tx, to, person.community_id, int(which[1:] or 0))


@action("my", button=True, stays=True)
def show_mine(tx: Tx, person: Person) -> None:
    """One's own matters: what waits for an owner and what they wait for, what crew and staff have to do."""
    to = here(tx, person)
    if isinstance(to, Place) and staff(tx, person, None):
        _put(tx, to, person.community_id)
    elif works(tx, person) and not lives_here(tx, person):
        open_list(tx, person)
    else:
        show_own(tx, person)


def _put(tx: Tx, to: Place, community_id: int, number: int = 0) -> None:
    _show(tx, to, waits_of(tx, community_id), number=number, key="wait.list", last="waiting")


def _show(tx: Tx, to: Place, waits: Sequence[Wait], *, number: int = 0, key: str, **options: Any) -> None:
    reader = reader_of(tx, to)
    number = min(number, max(0, (len(waits) - 1) // FITS))
    shown = waits[number * FITS : (number + 1) * FITS]
    left = len(waits) - number * FITS - len(shown)
    late = sum(each.late(tx.now) for each in waits)
    pages = [
        *([Button(f"waits.page:p{number - 1}", "my.earlier")] if number else []),
        *([Button(f"waits.page:p{number + 1}", "my.later")] if left else []),
    ]
    buttons = {each.button.action: each.button for each in shown if each.button is not None}
    tell(
        tx,
        to,
        key if waits else "wait.none",
        count=len(waits),
        late=Say("wait.late_mark", count=late) if late else "",
        kinds=_kinds(waits, tx.now),
        list="\n".join(_line(reader, each, tx.now) for each in shown),
        rest=Say("wait.rest_mark", count=left) if left else "",
        buttons=[*buttons.values(), *pages],
        **options,
    )


def _kinds(waits: Sequence[Wait], now: datetime) -> list[Say]:
    """How many of each kind, and how many of these are late."""
    counts: dict[str, list[int]] = {}
    for each in waits:
        count = counts.setdefault(each.kind, [0, 0])
        count[0] += 1
        count[1] += each.late(now)
    ranked = sorted(counts.items(), key=lambda kind: (-kind[1][1], -kind[1][0]))
    return [
        Say(
            "wait.kind_late" if late else "wait.kind_of",
            kind=Say(f"wait.kind.{kind}"),
            count=count,
            late=late,
        )
        for kind, (count, late) in ranked
    ]


def _line(reader: Reader, wait: Wait, now: datetime) -> str:
    late = wait.late(now)
    when: Any = ""
    if wait.due is not None:
        passed = int((now - wait.due).total_seconds())
        when = Say("wait.over", span=span(passed)) if late else Say("wait.until", due=wait.due)
    return reader.say(
        "wait.line",
        mark="⏰ " if late else "",
        kind=Say(f"wait.kind.{wait.kind}"),
        number=Say("my.number_mark", number=wait.number) if wait.number else "",
        title=wait.title,
        since=wait.since,
        when=when,
        by=Say(f"wait.by.{wait.by}"),
        homes=Say("wait.homes_mark", count=wait.homes) if wait.homes > 1 else "",
    )


# --- by the clock -----------------------------------------------------------------------------------


def begin_summaries(tx: Tx) -> None:
    """Let every community have its summaries: staff each working morning, the committee once a week."""
    for community_id in tx.session.exec(select(Community.id)).all():
        for name, weekday in (("morning", 0), ("week", MONDAY)):
            at = working_morning(tx, community_id, weekday=weekday)
            set_timer(tx, community_id, f"waiting.{name}:{community_id}", at, move=False)


@action("waiting.morning", Community)
def morning(tx: Tx, person: None, community: Community) -> None:
    """What waits, once a working day: with a sound only if something is late, and not at all if nothing waits."""
    waits = waits_of(tx, community.id)
    late = any(each.late(tx.now) for each in waits)
    for place in places_of_kind(tx, community.id, "staff") if waits else ():
        _show(tx, place, waits, key="wait.morning", silent=not late, last="waiting")
    refresh_list(tx, community.id)
    set_timer(tx, community.id, f"waiting.morning:{community.id}", working_morning(tx, community.id))


@action("waiting.week", Community)
def week(tx: Tx, person: None, community: Community) -> None:
    """The committee hears once a week what is late, in numbers: what each says is for those who decide on it."""
    late = [each for each in waits_of(tx, community.id) if each.late(tx.now)]
    for member in committee_of(tx, community.id) if late else ():
        lines = [
            Say(
                "wait.week_line",
                kind=Say(f"wait.kind.{kind}"),
                by=Say(f"wait.by.{by}"),
                count=count,
                span=span(most),
            )
            for (kind, by), (count, most) in _worst(late, tx.now).items()
        ]
        reader = reader_of(tx, member)
        text = "\n".join(str(reader.show(each)) for each in lines)
        tell(tx, member, "wait.week", count=len(late), list=text, buttons=("my",), silent=True)
    at = working_morning(tx, community.id, weekday=MONDAY)
    set_timer(tx, community.id, f"waiting.week:{community.id}", at)


def _worst(late: Sequence[Wait], now: datetime) -> dict[tuple[str, str], tuple[int, int]]:
    """Of each kind and who has to act: how many are late, and by how many seconds the worst of them."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for each in late:
        assert each.due is not None
        count, most = found.get((each.kind, each.by), (0, 0))
        passed = int((now - each.due).total_seconds())
        found[each.kind, each.by] = count + 1, max(most, passed)
    return found
