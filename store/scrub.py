"""Scrubbing: words that must not be stored any more are replaced wherever a community's rows hold them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Table, Text, cast, func, or_, select, true
from sqlmodel import Session, SQLModel

# Where words of people stand; the audit log holds none, since it names people by their numbers.
HOLDS_WORDS = {
    "notice": ("facts", "error"),
    "outgoing": ("text", "buttons", "error"),
    "inbox": ("payload", "error"),
    "talk": ("answers",),
    "repair": ("what", "spot", "added", "why", "cost_for", "praise"),
    "follower": ("what",),
    "letter": ("text",),
    "spot": ("spot",),
    "example": ("text", "reason"),
    "event": ("facts",),
    "rest": ("text",),
    "join_request": ("name", "home"),
    "agent": ("scope",),
    "attempt": ("error",),
    "timer": ("error",),
    "roster_file": ("name",),
    "post": ("text", "files"),
    "equipment": ("kind", "spot", "note"),
    "purchase": ("what", "spot", "why", "note", "reason"),
    "opening": ("vote",),
    "objection": ("what", "answer"),
    "entry": ("title", "state"),
    "listing": ("title", "text", "details", "draft"),
    "ruling": ("text", "why"),
    "flag": ("reason",),
    "statement": ("text", "shown", "why"),
    "edition": ("title", "text"),
    "media": ("name",),
}
BETWEEN = r"[^\w\n]{0,3}"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True)
class Word:
    """A word to look for, in the forms in which people write it."""

    core: str
    """A pattern that begins with a letter, so that it is quickly seen not to match ..."""
    parts: tuple[str, ...]
    """... and what SQL can ask for first: LIKE's patterns, one for each way to write it."""
    before: str = ""
    after: str = ""

    @property
    def pattern(self) -> str:
        """What is replaced."""
        return f"{self.before}{self.core}{self.after}"


def exact(text: str) -> Word:
    """A word that is only ever written in one way; a number is not looked for within a longer one."""
    alone = (r"(?<!\d)", r"(?!\d)") if text.isdecimal() else ()
    return Word(re.escape(text), (_like(text),), *alone)


def number(phone: str) -> Word:
    """A telephone number, however it is broken up, in digits of either width, with or without 86."""
    digits = [f"[{each}{each.translate(FULL_WIDTH)}]" if each.isdecimal() else r"\+" for each in phone]
    country = rf"(?:(?:\+|00)?86{BETWEEN})?" if not phone.startswith("+") else ""
    wide = phone.translate(FULL_WIDTH)
    return Word(BETWEEN.join(digits), (_apart(phone), _apart(wide)), rf"(?<!\d){country}", r"(?!\d)")


def name(text: str) -> Word:
    """A name; one of Chinese characters may be spaced out, one of letters is no part of a longer word."""
    if text.isascii():
        return Word(re.escape(text), (_like(text),), "(?<![A-Za-z])", "(?![A-Za-z])")
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
    found: dict[str, list[int]] = {}
    for table in HOLDS_WORDS:
        if among is None or table in among:
            found[table] = _scrub(
                session.connection(),
                SQLModel.metadata.tables[table],
                community_id=community_id,
                words=words,
                which=among[table] if among is not None else _worth_reading(table, found),
                pattern=pattern,
                mark=mark,
            )


def _worth_reading(table: str, found: Mapping[str, list[int]]) -> ColumnElement[bool]:
    """All rows, but of the thousands of copies of a notice only those of one whose facts held a word."""
    if table != "outgoing":
        return true()
    notice = SQLModel.metadata.tables[table].c.notice_id
    return or_(notice.is_(None), notice.in_(found["notice"]))


def _scrub(
    connection: Connection,
    table: Table,
    *,
    community_id: int,
    words: Sequence[Word],
    which: ColumnElement[bool],
    pattern: re.Pattern[str],
    mark: str,
) -> list[int]:
    """The ids of the rows that held a word."""
    ids: list[int] = []
    columns = [table.c[each] for each in HOLDS_WORDS[table.name]]
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.create_function("json_holds", 2, _json_holds)  # type: ignore[union-attr]
    found = or_(*(_may_hold(connection, column, words) for column in columns))
    rows = select(table.c.id, *columns).where(table.c.community_id == community_id, which, found)
    for row in connection.execute(rows.with_for_update()).mappings().all():
        after = {column.name: _replaced(row[column.name], pattern, mark) for column in columns}
        changed = {key: value for key, value in after.items() if value != row[key]}
        if changed:
            connection.execute(table.update().where(table.c.id == row["id"]).values(**changed))
            ids.append(row["id"])
    return ids


def _replaced(value: Any, pattern: re.Pattern[str], mark: str) -> Any:
    """A text, or all texts within JSON, with the mark in the place of what the pattern finds."""
    if isinstance(value, str):
        return pattern.sub(lambda _: mark, value)
    if isinstance(value, list):
        return [_replaced(each, pattern, mark) for each in value]
    if isinstance(value, dict):
        return {key: _replaced(each, pattern, mark) for key, each in value.items()}
    return value


def _may_hold(connection: Connection, column: Any, words: Sequence[Word]) -> ColumnElement[bool]:
    """What SQL can say of a column: that nothing else in it needs to be looked at."""
    is_json = isinstance(column.type, JSON)
    shown = cast(column, Text) if is_json else column
    if is_json and connection.dialect.name == "sqlite":
        return func.json_holds(shown, "|".join(each.core for each in words)) == 1
    return or_(*(shown.like(part, escape="~") for word in words for part in word.parts))


def _json_holds(shown: str | None, pattern: str) -> bool:
    """Whether JSON as SQLite keeps it, all in ASCII, holds what is looked for; its escapes are full of digits."""
    if shown is None:
        return False
    if r"\ud" in shown:  # halves of characters
        return re.search(pattern, json.dumps(json.loads(shown), ensure_ascii=False)) is not None
    return re.search(pattern, shown.encode().decode("unicode_escape")) is not None


def _like(text: str) -> str:
    return f"%{_escaped(text)}%"


def _apart(text: str) -> str:
    return f"%{'%'.join(map(_escaped, text))}%"


def _escaped(text: str) -> str:
    return re.sub(r"([~%_])", r"~\1", text)
