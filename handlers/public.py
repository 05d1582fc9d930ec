"""What everybody may know of each matter: one line of the board a matter, kept as the matter goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import SQLModel, select

from conversations.words import Reader, Say, pack, unpack
from handlers.tx import Tx
from store.tables import Entry


@dataclass(frozen=True)
class Line:
    """A matter in one line, free of names, numbers and rooms; `title` are its author's words, masked.

    `building`: "" if it concerns all; not `wide`: it stands under that building only. `due` is when the next thing
    has to be done about it, and None while no clock runs.
    """

    number: int
    title: str
    state: Say
    at: datetime
    building: str = ""
    wide: bool = True
    open: bool = True
    due: datetime | None = None


@dataclass(frozen=True)
class Matter:
    """A kind of matter that stands on the board, and how everybody may look at one.

    `line` is None for one that must not stand there (any more). `card` is what the board says of it, `timeline` its
    lines and `photos` the ids of what may be seen; `show` is the action that opens it in a chat. `inner` is the line of
    what does not stand there, but is sent to some: they read it in their digest.
    """

    kind: str
    table: type[SQLModel]
    line: Callable[[Tx, Any], Line | None]
    card: Callable[[Tx, Any], Say]
    timeline: Callable[[Tx, Any, Reader], list[str]]
    photos: Callable[[Tx, Any], Sequence[int]] = lambda tx, row: ()
    show: str = ""
    inner: Callable[[Tx, Any], Line | None] = lambda tx, row: None


MATTERS: dict[str, Matter] = {}


def know_matter(matter: Matter) -> None:
    """Let matters of this kind stand on the board."""
    MATTERS[matter.kind] = matter


def matter_of(about: str) -> tuple[Matter, int] | None:
    """The kind of "repair:17" and its row's id; None for what is no matter, such as the overdue list."""
    kind, _, number = about.partition(":")
    matter = MATTERS.get(kind)
    return (matter, int(number)) if matter is not None and number.isdecimal() else None


def put(tx: Tx, about: str) -> None:
    """Let the board's line of a matter say how it is now; one that must not stand there goes."""
    found = matter_of(about)
    if found is None:
        return
    matter, number = found
    tx.session.flush()
    row = tx.session.get(matter.table, number)
    line = matter.line(tx, row) if row is not None else None
    entry = entry_of(tx, about)
    if row is None or line is None:
        if entry is not None:
            tx.session.delete(entry)
        return
    if entry is None:
        community_id: int = row.community_id  # type: ignore[attr-defined]
        entry = Entry(community_id=community_id, about=about, kind=matter.kind, number=0, title="")
        entry.at = entry.changed_at = line.at
    else:
        entry.changed_at = tx.now
    entry.number, entry.title, entry.state = line.number, line.title, pack({"state": line.state})
    entry.building, entry.wide, entry.open, entry.due_at = line.building, line.wide, line.open, line.due
    tx.session.add(entry)


def entry_of(tx: Tx, about: str) -> Entry | None:
    """What stands on the board about a matter."""
    return tx.session.exec(select(Entry).where(Entry.about == about)).first()


def inner_line(tx: Tx, about: str) -> Line | None:
    """The line of a matter for those to whom it was sent, where everybody's board has none; None if it has gone."""
    found = matter_of(about)
    row = tx.session.get(found[0].table, found[1]) if found is not None else None
    return found[0].inner(tx, row) if found is not None and row is not None else None


def state_in(entry: Entry) -> Say:
    """The state that a line of the board tells."""
    said: Say = unpack(entry.state)["state"]
    return said
