"""/my: what waits for somebody, what they wait for, and what has ended of late, in one message."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Person

FITS = 8
"""Lines of one page, each with the button that opens it."""
LATELY = timedelta(days=30)
LAST = 3
"""Of what has ended, where nothing else is to be shown."""
PAGE = re.compile(r"p\d{1,3}", re.ASCII)
NEVER = datetime.max.replace(tzinfo=UTC)
"""Sorts what has no end last."""


@dataclass(frozen=True)
class Item:
    """One matter of somebody's in a line: its kind (a text below "my.kind"), its state, since and until when.

    `part`: "yours" (it waits for them), "open" (they wait for it) or "over" (it has ended of late). `button` opens it.
    """

    part: Literal["yours", "open", "over"]
    kind: str
    title: Any
    state: Any
    since: datetime
    number: int = 0
    until: Any = None
    """An instant, or words for it."""
    button: Button | None = None


Waits = Callable[[Tx, Person], list[Item]]
WAITS: list[Waits] = []


def know_waits(waits: Waits) -> None:
    """Let the matters that `waits` finds for somebody stand in their list."""
    WAITS.append(waits)


def items_of(tx: Tx, person: Person) -> list[Item]:
    """Everything of somebody's: what waits for them and is soonest over first, then what they have waited for longest.

    What has ended comes last, the latest first.
    """
    return sorted((each for waits in WAITS for each in waits(tx, person)), key=_order)


def _order(item: Item) -> tuple[Any, ...]:
    if item.part == "over":
        return 2, -item.since.timestamp(), 0.0
    until = item.until if isinstance(item.until, datetime) else NEVER
    if item.part == "yours":
        return 0, until.timestamp(), item.since.timestamp()
    return 1, item.since.timestamp(), until.timestamp()


def show(tx: Tx, person: Person, page: int = 0) -> None:
    """Put the list into the person's own chat."""
    found = items_of(tx, person)
    waiting = [each for each in found if each.part != "over"]
    over = [each for each in found if each.part == "over"]
    listed = waiting or over[:LAST]
    if not listed:
        tell(tx, person, "my.none", buttons=("repair.start",))
        return
    page = min(page, (len(listed) - 1) // FITS)
    shown = listed[page * FITS : (page + 1) * FITS]
    left = len(listed) - page * FITS - len(shown)
    reader = reader_of(tx, person)
    parts = [_section(reader, part, shown) for part in ("yours", "open", "over")]
    if over and waiting and not left:
        parts.append(reader.say("my.ended", list=_counted(over), days=LATELY.days))
    if left:
        parts.append(reader.say("my.rest", count=left))
    pages = [
        *([Button(f"mine.page:p{page - 1}", "my.earlier")] if page else []),
        *([Button(f"mine.page:p{page + 1}", "my.later")] if left else []),
    ]
    buttons = {each.button.action: each.button for each in shown if each.button is not None}
    tell(
        tx,
        person,
        "my.all",
        text="\n\n".join(filter(None, parts)),
        buttons=[*buttons.values(), *pages],
        last="my",
    )


def _section(reader: Reader, part: str, items: Sequence[Item]) -> str:
    lines = [_line(reader, each) for each in items if each.part == part]
    return "\n".join([reader.say(f"my.{part}"), *lines]) if lines else ""


def _line(reader: Reader, item: Item) -> str:
    return reader.say(
        "my.line",
        kind=Say(f"my.kind.{item.kind}"),
        number=Say("my.number_mark", number=item.number) if item.number else "",
        title=item.title,
        state=item.state,
        until=_until(item.until),
        since=Say("my.ended_mark" if item.part == "over" else "my.since_mark", at=item.since),
    )


def _until(until: Any) -> Any:
    if until is None:
        return ""
    return Say("my.until_mark" if isinstance(until, datetime) else "my.now_mark", until=until)


def _counted(over: Sequence[Item]) -> list[Say]:
    counts = Counter(each.kind for each in over)
    return [Say("my.count", kind=Say(f"my.kind.{kind}"), count=count) for kind, count in counts.most_common()]


@action("mine.page", button=True, stays=True, words=PAGE)
def page(tx: Tx, person: Person, which: str) -> None:
    """One page of the list."""
    show(tx, person, int(which[1:] or 0))
