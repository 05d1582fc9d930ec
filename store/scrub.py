"""Scrubbing: words that must not be stored any more are replaced wherever a community's rows hold them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Table, Text, cast, or_, select, true
from sqlmodel import Session, SQLModel

# Where words of people stand; the audit log holds none, since it names people by their numbers.
HOLDS_WORDS = {
    "outgoing": ("text", "buttons", "error"),
    "inbox": ("payload", "error"),
    "talk": ("answers",),
    "repair": ("what", "spot", "added", "why"),
    "event": ("facts",),
    "notice": ("facts", "error"),
    "rest": ("text",),
    "join_request": ("name", "home"),
    "agent": ("scope",),
    "attempt": ("error",),
    "timer": ("error",),
    "roster_file": ("name",),
}
BETWEEN = r"[^\w\n]{0,3}"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True)
class Word:
    """A word to look for: in the forms in which people write it, and as what SQL can find first."""

    pattern: str
    parts: tuple[str, ...]
    """What must stand in a text in this order, so that the pattern may match; one string for each way to write it."""


def exact(text: str) -> Word:
    """A word that is only ever written in one way; a number is not looked for within a longer one."""
    pattern = re.escape(text)
    return Word(rf"(?<!\d){pattern}(?!\d)" if text.isdecimal() else pattern, (_like(text),))


def number(phone: str) -> Word:
    """A telephone number, however it is broken up, in digits of either width, with or without 86."""
    digits = [f"[{each}{each.translate(FULL_WIDTH)}]" if each.isdecimal() else r"\+" for each in phone]
    country = rf"(?:(?:\+|00)?86{BETWEEN})?" if not phone.startswith("+") else ""
    wide = phone.translate(FULL_WIDTH)
    return Word(rf"(?<!\d){country}{BETWEEN.join(digits)}(?!\d)", (_apart(phone), _apart(wide)))


def name(text: str) -> Word:
    """A name; one of Chinese characters may be spaced out, one of letters is no part of a longer word."""
    if text.isascii():
        return Word(rf"(?<![A-Za-z]){re.escape(text)}(?![A-Za-z])", (_like(text),))
    letters = [each for each in text if not each.isspace()]
    return Word(r"[ \u3000]?".join(map(re.escape, letters)), (_apart("".join(letters)),))


def scrub(
    session: Session,
    community_id: int,
    words: Sequence[Word],
    mark: str,
    among: Mapping[str, ColumnElement[bool]] | None = None,
) -> None:
    """Put `mark` in the place of words in all rows of a community, or only `among` some rows of some tables."""
    if not words:
        return
    pattern = re.compile("|".join(each.pattern for each in words))
    for table in among if among is not None else HOLDS_WORDS:
        which = among[table] if among is not None else true()
        _scrub(
            session.connection(),
            SQLModel.metadata.tables[table],
            community_id=community_id,
            words=words,
            which=which,
            pattern=pattern,
            mark=mark,
        )


def _scrub(
    connection: Connection,
    table: Table,
    *,
    community_id: int,
    words: Sequence[Word],
    which: ColumnElement[bool],
    pattern: re.Pattern[str],
    mark: str,
) -> None:
    columns = [table.c[each] for each in HOLDS_WORDS[table.name]]
    ascii_json = connection.dialect.name == "sqlite"
    found = or_(*(_may_hold(column, word, ascii_json) for column in columns for word in words))
    rows = select(table.c.id, *columns).where(table.c.community_id == community_id, which, found)
    for row in connection.execute(rows.with_for_update()).mappings().all():
        after = {column.name: _replaced(row[column.name], pattern, mark) for column in columns}
        changed = {key: value for key, value in after.items() if value != row[key]}
        if changed:
            connection.execute(table.update().where(table.c.id == row["id"]).values(**changed))


def _replaced(value: Any, pattern: re.Pattern[str], mark: str) -> Any:
    """A text, or all texts within JSON, with the mark in the place of what the pattern finds."""
    if isinstance(value, str):
        return pattern.sub(lambda _: mark, value)
    if isinstance(value, list):
        return [_replaced(each, pattern, mark) for each in value]
    if isinstance(value, dict):
        return {key: _replaced(each, pattern, mark) for key, each in value.items()}
    return value


def _may_hold(column: Any, word: Word, ascii_json: bool) -> ColumnElement[bool]:
    is_json = isinstance(column.type, JSON)
    shown = cast(column, Text) if is_json else column
    # SQLite keeps JSON as the text that Python wrote, PostgreSQL with every letter as it is.
    ways = [_as_json(each) if is_json and ascii_json else each for each in word.parts]
    return or_(*(shown.like(each, escape="~") for each in ways))


def _like(text: str) -> str:
    return f"%{_escaped(text)}%"


def _apart(text: str) -> str:
    return f"%{'%'.join(map(_escaped, text))}%"


def _escaped(text: str) -> str:
    return re.sub(r"([~%_])", r"~\1", text)


def _as_json(like: str) -> str:
    return json.dumps(like)[1:-1]
