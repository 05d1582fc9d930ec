"""The migrations make the schema that the tables declare, once, after a backup, on both databases."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import SQLModel, select

from store.database import Database, write_ahead
from store.migrations import backup, upgrade
from store.tables import Audit, Community, Lease
from tests.people import unique
from tests.postgres import Server

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, on SQLite and on PostgreSQL."""
    made = Database(database_url, durable=False)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a schema."""
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'empty.db'}", durable=False)
        yield made
        made.close()
        return
    server: Server = request.getfixturevalue("postgres")
    name = unique("linli_empty")
    made = Database(server.create_database(name), threads=2)
    yield made
    made.close()
    server.drop_database(name)


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


# --- the schema -------------------------------------------------------------------------------------


def test_a_fresh_upgrade_is_what_the_tables_declare(empty: Database) -> None:
    assert upgrade(empty.engine) is True
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_the_partial_indexes_have_their_predicates(database: Database) -> None:
    dialect = f"{database.engine.dialect.name}_where"
    predicates = {
        index["name"]: str(index["dialect_options"][dialect])
        for table in ("outgoing", "timer", "notice", "inbox")
        for index in inspect(database.engine).get_indexes(table)
        if dialect in index.get("dialect_options", {})
    }
    # PostgreSQL adds brackets and types.
    plain = {
        name: re.sub(r"[()]|::(text|character varying)", "", where).strip()
        for name, where in predicates.items()
    }
    assert plain == {
        "ix_outgoing_head": "state = 'waiting'",
        "ix_outgoing_digest": "state = 'held'",
        "ix_outgoing_held": "state = 'held'",
        "ix_outgoing_waiting": "state = 'waiting'",
        "ix_timer_due": "state = 'waiting'",
        "ix_notice_open": "done_at IS NULL",
        "ix_inbox_failed": "state = 'failed'",
    }


def test_upgrading_twice_does_nothing(empty: Database) -> None:
    assert [upgrade(empty.engine), upgrade(empty.engine)] == [True, False]


def test_a_fresh_sqlite_file_needs_no_backup(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'linli.db'}")
    upgrade(database.engine)
    database.close()
    assert [path.name for path in tmp_path.glob("*before*")] == []


UPGRADE = """
import sys
from store.database import Database
from store.migrations import upgrade

database = Database(sys.argv[1], threads=1)
print("ready", flush=True)
sys.stdin.read()
upgrade(database.engine)
database.close()
"""


def test_two_processes_that_start_at_once_upgrade_once(empty: Database) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    for each in started:
        assert each.stdout
        assert each.stdout.readline() == b"ready\n"
    for each in started:
        assert each.stdin
        each.stdin.close()
        each.stdin = None
    complaints = [each.communicate(timeout=30)[1].decode()[-300:] for each in started]
    assert complaints == ["", ""]
    assert upgrade(empty.engine) is False


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that has no write-ahead log yet, as another process may have it open."""
    with closing(sqlite3.connect(tmp_path / "linli.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE a (b)")
        yield connection


def test_the_switch_to_the_write_ahead_log_waits_by_itself(
    plain: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            plain.execute("ROLLBACK")

    monkeypatch.setattr("store.database.time.sleep", wait)
    plain.execute("BEGIN")
    plain.execute("SELECT * FROM a").fetchall()
    # Refused at once, as SQLite refuses one of two switches whatever the busy timeout.
    with closing(sqlite3.connect(tmp_path / "linli.db", timeout=0)) as second:
        write_ahead(second)
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(waits) == 3


def test_only_a_busy_file_is_tried_again(
    plain: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("store.database.time.sleep", waits.append)
    database = Database(f"sqlite:///file:{tmp_path}/linli.db?mode=ro&uri=true", threads=1)
    with pytest.raises(OperationalError, match="readonly"):
        database.engine.connect()
    database.close()
    assert waits == []


# --- the backup -------------------------------------------------------------------------------------


def test_an_existing_sqlite_file_is_backed_up_before_a_further_migration(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "linli.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    database.write_now(lambda session: session.add(Lease(name="kept", holder="h", until=AT)))
    set_revision(database.engine, "0000")
    with pytest.raises(Exception, match="0000"):  # there is nothing from which 0000 could be upgraded
        upgrade(database.engine)
    database.close()
    (copy,) = tmp_path.glob("linli.db.before-*")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT name FROM lease").fetchall() == [("kept",)]
    connection.close()


def test_a_backup_of_a_database_in_use_is_complete(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "linli.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")

    def fill(session: Any) -> None:
        session.add_all(Lease(name=f"{n:04}", holder="h", until=AT) for n in range(1000))

    def half(session: Any) -> None:
        session.add(Lease(name="not yet", holder="h", until=AT))
        session.flush()
        with database.readers.connect() as reader:
            reader.exec_driver_sql("SELECT count(*) FROM lease").scalar()
            backup(database.readers, tmp_path / "copy.db")

    database.write_now(fill)  # it lies in the write-ahead log, not in the file
    database.write_now(half)
    database.close()
    copy = Database(f"sqlite:///{tmp_path / 'copy.db'}")
    with copy.read() as session:
        assert session.exec(select(Lease.name).order_by(Lease.name)).all() == [f"{n:04}" for n in range(1000)]
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert upgrade(copy.engine) is False
    assert copy.write_now(lambda session: session.get_one(Lease, "0007").holder) == "h"
    copy.close()


def test_a_backup_overwrites_nothing(sqlite_template: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_bytes(b"mine")
    database = Database(f"sqlite:///{sqlite_template}")
    with pytest.raises((sqlite3.Error, DBAPIError)):
        backup(database.engine, target)
    database.close()
    assert target.read_bytes() == b"mine"


# --- what the schema guards -------------------------------------------------------------------------


def audited(database: Database) -> None:
    def work(session: Any) -> None:
        session.add(Community(id=1, name="阳光花园", created_at=AT))
        session.flush()
        session.add(Audit(community_id=1, at=AT, pseudonym=7, action="repair.accept:1"))

    database.write_now(work)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET pseudonym = 8",
        "UPDATE audit SET facts = '{}' WHERE id = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE id = 1",
    ],
)
def test_the_audit_log_refuses_to_be_changed(database: Database, statement: str) -> None:
    audited(database)
    with pytest.raises(DBAPIError), database.engine.begin() as connection:
        connection.execute(text(statement))
    with database.read() as session:
        (row,) = session.exec(select(Audit)).all()
    assert (row.pseudonym, row.action) == (7, "repair.accept:1")


def test_the_audit_log_cannot_be_emptied_at_once(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    audited(database)
    with pytest.raises(DBAPIError), database.engine.begin() as connection:
        connection.execute(text("TRUNCATE audit"))


def test_the_audit_log_cannot_be_overwritten_by_its_key(database: Database) -> None:
    audited(database)
    insert = (
        "INSERT OR REPLACE INTO audit (id, community_id, at, pseudonym, action, facts)"
        " VALUES (1, 1, '2026-03-02 01:00:00', 8, 'x', '{}')"
        if database.is_sqlite
        else "INSERT INTO audit (id, community_id, at, pseudonym, action, facts)"
        " VALUES (1, 1, '2026-03-02 01:00:00Z', 8, 'x', '{}')"
        " ON CONFLICT (id) DO UPDATE SET pseudonym = 8"
    )
    with pytest.raises(DBAPIError), database.engine.begin() as connection:
        connection.exec_driver_sql(insert)
    with database.read() as session:
        assert [row.pseudonym for row in session.exec(select(Audit)).all()] == [7]


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    at = AT.replace(tzinfo=None)
    with pytest.raises(Exception, match="without a time zone"):
        database.write_now(lambda session: session.add(Lease(name="a", holder="h", until=at)))


def test_a_time_comes_back_as_the_same_instant_in_utc(database: Database) -> None:
    at = datetime.fromisoformat("2026-03-02T09:00:00.123456+08:00")
    database.write_now(lambda session: session.add(Lease(name="a", holder="h", until=at)))
    with database.read() as session:
        kept = session.get_one(Lease, "a").until
    assert (kept, kept.tzinfo) == (at, UTC)
