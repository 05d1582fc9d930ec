"""Scrubbing: a word that must not be stored any more is replaced wherever a community's rows hold it."""

import json

from sqlalchemy import JSON, text
from sqlmodel import Session, SQLModel

# Where words of people stand; the audit log holds none, since it names people by their numbers.
HOLDS_WORDS = {
    "outgoing": ("text", "buttons"),
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
}


def scrub(session: Session, community_id: int, word: str, mark: str) -> None:
    """Put `mark` in the place of a word in all rows of a community; a word in more than one form needs more calls."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    connection = session.connection()
    for table, columns in HOLDS_WORDS.items():
        for column in columns:
            is_json = isinstance(SQLModel.metadata.tables[table].c[column].type, JSON)
            # SQLite keeps JSON as the text that Python wrote, PostgreSQL with every letter as it is.
            old, new = (
                _within_json(each, ascii_only=is_sqlite) if is_json else each for each in (word, mark)
            )
            shown = f"CAST({column} AS text)" if is_json and not is_sqlite else column
            changed = f"replace({shown}, :old, :new)"
            changed = f"CAST({changed} AS jsonb)" if is_json and not is_sqlite else changed
            found = f"instr({shown}, :old)" if is_sqlite else f"strpos({shown}, :old)"
            connection.execute(
                text(f"UPDATE {table} SET {column} = {changed} WHERE community_id = :it AND {found} > 0"),  # noqa: S608
                {"old": old, "new": new, "it": community_id},
            )


def _within_json(word: str, *, ascii_only: bool) -> str:
    return json.dumps(word, ensure_ascii=ascii_only)[1:-1]
