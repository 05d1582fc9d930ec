"""A community of any size with any number of old messages, made in bulk by SQL."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import text

from bot import logs, settings
from bot.app import App
from bot.delivery import Letter, Taken
from conversations.said import Said
from store.migrations import upgrade
from tests import postgres
from tests.people import unique

MESSENGER = "test"
CREW = 5
HOMES_PER_BUILDING = 250
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
PEOPLE = """
INSERT INTO community (name, time_zone, language, created_at) VALUES ('小区', 'Asia/Shanghai', 'zh', {now});
INSERT INTO person (community_id, name, language, pseudonym, created_at)
    {numbers} SELECT 1, '住户' || i, 'zh', i, {now} FROM n;
INSERT INTO home (community_id, building, entrance, room, area)
    {numbers} SELECT 1, CAST(i / {homes} + 1 AS TEXT), '1', CAST(i % {homes} AS TEXT), 89350 FROM n;
INSERT INTO home_role (community_id, home_id, person_id, role) {numbers} SELECT 1, i, i, 'owner' FROM n;
INSERT INTO account (community_id, person_id, messenger, external_id, agreed_at)
    {numbers} SELECT 1, i, 'test', 'p' || i, {now} FROM n;
INSERT INTO place (community_id, messenger, external_id, kind, person_id, heard_at)
    {numbers} SELECT 1, 'test', 'p' || i, 'private', i, {now} FROM n;
INSERT INTO person (community_id, name, language, pseudonym, created_at)
    {crew} SELECT 1, '师傅' || i, 'zh', 1000000 + i, {now} FROM n;
INSERT INTO role (community_id, person_id, role, skills, duty)
    {crew} SELECT 1, {count} + i, 'crew', {list}, '' FROM n;
INSERT INTO account (community_id, person_id, messenger, external_id, agreed_at)
    {crew} SELECT 1, {count} + i, 'test', 'crew' || i, {now} FROM n;
INSERT INTO place (community_id, messenger, external_id, kind, person_id)
    {crew} SELECT 1, 'test', 'crew' || i, 'private', {count} + i FROM n;
INSERT INTO place (community_id, messenger, external_id, kind) VALUES (1, 'test', 'staff', 'staff');
INSERT INTO place (community_id, messenger, external_id, kind) VALUES (1, 'test', 'board', 'board')
"""
OLD = """
INSERT INTO inbox (community_id, messenger, key, place, sender, payload, state, error, received_at)
    {numbers} SELECT 1, 'test', 'old' || i, 'p' || (i % {people} + 1), 'p' || (i % {people} + 1),
    {dict}, 'done', '', {now} FROM n;
INSERT INTO outgoing (community_id, inbox_id, person_id, place_id, lane, change, text, buttons, photos,
    silent, state, tries, error, message_id, created_at, sent_at)
    SELECT 1, id, id % {people} + 1, id % {people} + 1, 1, 'send', '您好，报修 ' || id || ' 已登记。',
    {list}, {list}, {false}, 'sent', 0, '', CAST(id AS TEXT), {now}, {now} FROM inbox WHERE key LIKE 'old%'
"""


@dataclass
class Town:
    """An App on a database of that size; it takes messages, and delivers only when it is told to."""

    app: App
    people: int
    keys: Iterator[int] = field(default_factory=itertools.count)

    def said(self, person: int, text: str = "", *, tap: str = "") -> Said:
        """What person number so-and-so (from 1) says in their private chat."""
        who = f"p{person}"
        return Said(
            messenger=MESSENGER,
            key=f"{next(self.keys)}",
            place=who,
            sender=who,
            at=self.app.clock.now(),
            text=text,
            tap=tap,
        )

    def add_old_messages(self, count: int) -> None:
        """So many messages that came in, were answered, and are long sent."""
        self._run(OLD, count, people=self.people)

    def add_people(self) -> None:
        """Everybody with a home, an account and a chat, the crew, and the chats of the community."""
        self._run(PEOPLE, self.people, crew=NUMBERS.format(count=CREW), homes=HOMES_PER_BUILDING)

    def _run(self, script: str, count: int, **names: object) -> None:
        if self.app.database.is_sqlite:
            words = {"now": "'2026-03-02 01:00:00.000000'", "list": "'[]'", "dict": "'{}'", "false": "0"}
        else:
            words = {
                "now": "CAST('2026-03-02 01:00:00+00' AS TIMESTAMPTZ)",
                "list": "CAST('[]' AS JSONB)",
                "dict": "CAST('{}' AS JSONB)",
                "false": "FALSE",
            }
        filled = script.format(numbers=NUMBERS.format(count=count), count=count, **words, **names)
        engine = self.app.database.engine
        with engine.begin() as connection:
            for statement in filled.split(";\n"):
                connection.execute(text(statement))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # a database that grew by itself knows its size


async def taken(letter: Letter) -> Taken:
    """A messenger that takes everything at once."""
    return Taken(str(letter.row.id))


@contextmanager
def town(people: int, server: postgres.Server | None, **sections: Any) -> Iterator[Town]:
    """A Town on SQLite, or on the PostgreSQL server; further settings by section."""
    logs.set_up("error")
    with tempfile.TemporaryDirectory(prefix="linli-town-") as folder:
        url = server.create_database(unique("linli_town")) if server else ""
        found = settings.load(
            store={"data": str(Path(folder)), "url": url},
            policy={"reports_a_day": 1000, "office_phone": "021-5555 0110"},
            **sections,
        )
        app = App(found, senders={MESSENGER: taken})
        try:
            upgrade(app.database.engine)
            made = Town(app, people)
            made.add_people()
            yield made
        finally:
            app.database.close()
            app.lock.close()


@contextmanager
def durable_postgresql() -> Iterator[postgres.Server]:
    """The tests' PostgreSQL, but with every commit flushed to the disk as in real use."""
    with (
        patch.dict(postgres.SETTINGS, {"fsync": "on", "full_page_writes": "on"}),
        postgres.Server() as server,
    ):
        yield server
