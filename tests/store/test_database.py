"""The database keeps its word: what was confirmed is on the disk, what failed left nothing, nobody hurts another."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from store.database import TRIES, Database, StoreUnavailable
from store.tables import Lease
from tests.postgres import Server

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
PATIENCE = 60.0  # seconds until a test that waits for a thread gives up
ROOT = Path(__file__).resolve().parent.parent.parent

Open = Callable[..., Database]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Databases that are closed in the end."""
    made: list[Database] = []

    def open_(url: str, **options: Any) -> Database:
        made.append(Database(url, **options))
        return made[-1]

    yield open_
    for each in made:
        each.close()


@pytest.fixture
def database(database_url: str, opened: Open) -> Database:
    """A migrated database, on SQLite and on PostgreSQL."""
    return opened(database_url, durable=False)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file of one's own."""
    path = tmp_path / "own.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: Server, postgres_template: str) -> Iterator[str]:
    name = f"{postgres_template}_own"
    yield postgres.create_database(name, postgres_template)
    postgres.drop_database(name)


def add(*names: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        for name in names:
            session.add(Lease(name=name, holder="h", until=AT))
            session.flush()
        return names[-1]

    return work


def wrong(name: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        add(name)(session)
        raise ValueError(name)

    return work


def kept(url: str) -> list[str]:
    """The names that a second connection, which knows nothing of the first, finds."""
    if url.startswith("sqlite"):
        with sqlite3.connect(make_url(url).database or "") as connection:
            rows = connection.execute("SELECT name FROM lease ORDER BY name").fetchall()
        connection.close()
        return [name for (name,) in rows]
    engine = create_engine(url)
    with engine.connect() as connection:
        names = [row[0] for row in connection.exec_driver_sql("SELECT name FROM lease")]
    engine.dispose()
    return sorted(names)


class Gate:
    """A job that holds the writer until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, session: Session) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE)


# --- what is confirmed, and what is not -------------------------------------------------------------


async def test_one_failing_job_does_not_hurt_the_others(database: Database) -> None:
    jobs = [wrong(f"{n:03}") if n % 7 == 3 else add(f"{n:03}") for n in range(300)]
    outcomes = await asyncio.gather(*(database.write(job) for job in jobs), return_exceptions=True)
    good = [f"{n:03}" for n in range(300) if n % 7 != 3]
    assert [each for each in outcomes if isinstance(each, str)] == good
    assert [str(each) for each in outcomes if isinstance(each, ValueError)] == [
        f"{n:03}" for n in range(300) if n % 7 == 3
    ]
    assert kept(database.url) == good


def test_a_write_that_has_returned_is_there_for_everybody(database: Database) -> None:
    for name in "abc":
        assert database.write_now(add(name)) == name
        assert kept(database.url)[-1] == name


def test_a_job_of_a_batch_is_confirmed_only_after_the_commit(sqlite_url: str, opened: Open) -> None:
    database = opened(sqlite_url)
    before, within = Gate(), Gate()
    submit = database._writer.submit
    first = submit(before)
    assert before.reached.wait(PATIENCE)
    early, last, late = submit(add("early")), submit(within), submit(add("late"))
    before.opened.set()
    assert within.reached.wait(PATIENCE)  # the work of "early" is done, but nothing is committed
    assert (early.done(), kept(sqlite_url)) == (False, [])
    within.opened.set()
    assert [each.result(PATIENCE) for each in (first, early, last, late)] == [None, "early", None, "late"]
    assert kept(sqlite_url) == ["early", "late"]


def test_a_failed_job_leaves_nothing_half_written(database: Database) -> None:
    database.write_now(add("a"))
    with pytest.raises(IntegrityError):
        database.write_now(add("b", "c", "a"))
    assert kept(database.url) == ["a"]


def test_a_reader_is_not_kept_waiting_and_sees_only_what_is_committed(database: Database) -> None:
    database.write_now(add("a"))
    gate = Gate()

    def work(session: Session) -> None:
        add("b")(session)
        gate(session)

    writing = database._writer.submit(work)
    assert gate.reached.wait(PATIENCE)
    with database.read() as session:
        assert session.exec(select(Lease.name)).all() == ["a"]
    gate.opened.set()
    writing.result(PATIENCE)
    with database.read() as session:
        assert session.exec(select(Lease.name).order_by(col(Lease.name))).all() == ["a", "b"]


class Odd(BaseException):
    """Not an Exception, like SystemExit and CancelledError."""


def test_the_writer_outlives_whatever_a_job_raises(database: Database) -> None:
    def work(session: Session) -> None:
        add("odd")(session)
        raise Odd

    with pytest.raises(Odd):
        database._writer.submit(work).result(3)
    assert database._writer.submit(add("next")).result(3) == "next"
    assert kept(database.url) == ["next"]


async def test_the_work_of_a_caller_that_went_away_is_done_whole_or_not_at_all(database: Database) -> None:
    gate = Gate()
    holding = database._writer.submit(gate)
    assert await asyncio.to_thread(gate.reached.wait, PATIENCE)
    impatient = asyncio.create_task(database.write(add("x", "y")))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await asyncio.wrap_future(holding)
    assert await database.write(add("z")) == "z"
    await asyncio.to_thread(database.close)
    assert kept(database.url) in (["z"], ["x", "y", "z"])


def test_close_finishes_the_writes_in_hand(database: Database) -> None:
    gate = Gate()
    jobs = [database._writer.submit(gate)]
    assert gate.reached.wait(PATIENCE)
    jobs += [database._writer.submit(add(f"{n:02}")) for n in range(30)]
    closing = threading.Thread(target=database.close)
    closing.start()
    gate.opened.set()
    closing.join(PATIENCE)
    assert [job.done() for job in jobs] == [True] * 31
    assert kept(database.url) == [f"{n:02}" for n in range(30)]


async def test_a_closed_database_takes_nothing(database: Database) -> None:
    await asyncio.to_thread(database.close)
    with pytest.raises(StoreUnavailable):
        await database.write(add("a"))
    assert kept(database.url) == []


# --- nothing can be kept ----------------------------------------------------------------------------


def limit_pages(database: Database, more: int) -> None:
    """Let the file of the writer's own connection grow by no more than this many pages: a full disk."""
    with database.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count={pages + more}")


def test_a_full_disk_is_said_and_leaves_nothing_half_written(sqlite_url: str, opened: Open) -> None:
    database = opened(sqlite_url)
    database.write_now(add("before"))
    limit_pages(database, 4)
    with pytest.raises(StoreUnavailable, match="full"):
        database.write_now(add("small", "large" * 100_000))
    assert kept(sqlite_url) == ["before"]
    limit_pages(database, 100_000)
    assert database.write_now(add("after")) == "after"
    assert kept(sqlite_url) == ["after", "before"]


def test_a_full_disk_confirms_no_job_of_a_batch_that_is_not_kept(sqlite_url: str, opened: Open) -> None:
    database = opened(sqlite_url)
    limit_pages(database, 40)
    gate = Gate()
    holding = database._writer.submit(gate)
    assert gate.reached.wait(PATIENCE)
    jobs = {f"{n:02}": database._writer.submit(add(f"{n:02}", f"{n:02}" * 7_000)) for n in range(30)}
    gate.opened.set()
    holding.result(PATIENCE)
    errors = {name: job.exception(PATIENCE) for name, job in jobs.items()}
    assert {type(error) for error in errors.values()} == {type(None), StoreUnavailable}
    confirmed = [name for name, error in errors.items() if error is None]
    assert [name for name in kept(sqlite_url) if len(name) == 2] == confirmed


def test_a_read_only_file_is_said(sqlite_url: str, opened: Open) -> None:
    opened(sqlite_url).write_now(add("a"))
    path = make_url(sqlite_url).database
    database = opened(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StoreUnavailable, match="readonly"):
        database.write_now(add("b"))
    with database.read() as session:
        assert session.exec(select(Lease.name)).all() == ["a"]


def test_a_file_that_was_taken_away_keeps_nothing_and_says_so(sqlite_url: str, opened: Open) -> None:
    database = opened(sqlite_url)
    database.write_now(add("a"))
    path = Path(make_url(sqlite_url).database or "")
    path.rename(path.with_suffix(".moved"))
    with pytest.raises(StoreUnavailable, match="gone"):
        database.write_now(add("b"))
    path.with_suffix(".moved").rename(path)
    assert database.write_now(add("c")) == "c"
    assert kept(sqlite_url) == ["a", "c"]


def test_a_file_that_is_no_database_is_said(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "linli.db"
    path.write_bytes(b"not a database " * 500)
    with pytest.raises(StoreUnavailable, match="not a database"):
        opened(f"sqlite:///{path}").write_now(add("a"))


def test_a_read_only_server_is_said(postgres_url: str, opened: Open) -> None:
    url = make_url(postgres_url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    with pytest.raises(StoreUnavailable, match="read-only"):
        opened(url.render_as_string(hide_password=False)).write_now(add("a"))
    assert kept(postgres_url) == []


def test_a_server_that_is_away_is_said(tmp_path: Path, opened: Open) -> None:
    database = opened(f"postgresql+psycopg://somebody@/linli?host={tmp_path}")
    with pytest.raises(StoreUnavailable):
        database.write_now(add("a"))


def test_a_server_that_comes_back_is_used_again(postgres_url: str, postgres: Server, opened: Open) -> None:
    database = opened(postgres_url, threads=1)
    database.write_now(add("a"))
    name = make_url(postgres_url).database
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert database.write_now(add("b")) == "b"
    assert kept(postgres_url) == ["a", "b"]


# --- lost races -------------------------------------------------------------------------------------


def test_a_deadlock_is_run_again(postgres_url: str, opened: Open) -> None:
    database = opened(postgres_url, threads=2)
    database.write_now(add("a", "b"))
    both = threading.Barrier(2)
    runs: list[str] = []

    def cross(first: str, second: str) -> Callable[[Session], None]:
        tries = iter([True])

        def work(session: Session) -> None:
            session.connection().exec_driver_sql("SET LOCAL deadlock_timeout = '20ms'")
            runs.append(first)
            for name in (first, second):
                row = session.exec(select(Lease).where(Lease.name == name).with_for_update()).one()
                row.holder += first
                session.add(row)
                session.flush()
                if name == first and next(tries, False):
                    both.wait(PATIENCE)

        return work

    jobs = [database._writer.submit(cross("a", "b")), database._writer.submit(cross("b", "a"))]
    assert [job.result(PATIENCE) for job in jobs] == [None, None]
    assert len(runs) == 3
    with database.read() as session:
        holders = session.exec(select(Lease.holder).order_by(col(Lease.name))).all()
    assert [sorted(holder) for holder in holders] == [["a", "b", "h"]] * 2


def test_a_key_that_another_writer_took_first_is_looked_at_again(postgres_url: str, opened: Open) -> None:
    database = opened(postgres_url, threads=2)
    both = threading.Barrier(2)

    def first_or_second() -> Callable[[Session], str]:
        tries = iter([True])

        def work(session: Session) -> str:
            if session.get(Lease, "a") is not None:
                return "second"
            if next(tries, False):
                both.wait(PATIENCE)
            add("a")(session)
            return "first"

        return work

    jobs = [database._writer.submit(first_or_second()) for _ in range(2)]
    assert sorted(job.result(PATIENCE) for job in jobs) == ["first", "second"]


def test_a_row_that_another_writer_deleted_is_looked_for_again(postgres_url: str, opened: Open) -> None:
    database = opened(postgres_url, threads=2)
    database.write_now(add("a"))
    read, deleted = threading.Event(), threading.Event()

    def change(session: Session) -> str:
        row = session.get(Lease, "a")
        if row is None:
            return "gone"
        read.set()
        assert deleted.wait(PATIENCE)
        row.holder = "changed"
        session.add(row)
        session.flush()
        return "changed"

    changing = database._writer.submit(change)
    assert read.wait(PATIENCE)
    database.write_now(lambda session: session.delete(session.get_one(Lease, "a")))
    deleted.set()
    assert changing.result(PATIENCE) == "gone"


def test_a_key_that_is_taken_for_good_is_an_error(database: Database) -> None:
    runs = []
    database.write_now(add("a"))

    def work(session: Session) -> None:
        runs.append(1)
        add("a")(session)

    with pytest.raises(IntegrityError):
        database.write_now(work)
    assert len(runs) == (1 if database.is_sqlite else TRIES)


# --- several writers on one SQLite file -------------------------------------------------------------


COUNT = """
import sys
from datetime import UTC, datetime
from store.database import Database
from store.tables import Lease

def work(session):
    row = session.get(Lease, "count")
    row.holder = str(int(row.holder) + 1)
    session.add(row)

database = Database(sys.argv[1], durable=False)
print("ready", flush=True)
sys.stdin.read()
for _ in range(40):
    database.write_now(work)
database.close()
"""


def count(session: Session) -> None:
    row = session.get_one(Lease, "count")
    row.holder = str(int(row.holder) + 1)
    session.add(row)


def test_read_then_write_of_several_processes_loses_nothing(sqlite_url: str, opened: Open) -> None:
    mine = opened(sqlite_url, durable=False)
    another = opened(sqlite_url, durable=False)
    mine.write_now(lambda session: session.add(Lease(name="count", holder="0", until=AT)))
    with subprocess.Popen(
        [sys.executable, "-c", COUNT, sqlite_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"ready\n"
        threads = [
            threading.Thread(target=lambda each=each: [each.write_now(count) for _ in range(40)])
            for each in (mine, another)
        ]
        process.stdin.close()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert process.returncode == 0
    with mine.read() as session:
        assert session.get_one(Lease, "count").holder == "120"


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 0)])
def test_sqlite_is_opened_as_promised(sqlite_url: str, opened: Open, durable: bool, synchronous: int) -> None:
    database = opened(sqlite_url, durable=durable)
    asked = ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")

    def work(session: Session) -> list[Any]:
        return [session.connection().exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]

    assert database.write_now(work) == ["wal", 1, 10000, synchronous]


def test_a_reader_that_outlives_the_database_leaves_no_connection_open(database_url: str) -> None:
    database = Database(database_url)
    with database.read() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        database.close()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError)):
        connection.execute("SELECT 1")
