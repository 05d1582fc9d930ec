"""The database: one writer with group commit on SQLite, threads on PostgreSQL, the same calls for both."""

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import Session

T = TypeVar("T")
Work = Callable[[Session], T]

BATCH = 200
BEHIND = 10
"""Jobs of those that let others go first in one commit: so few that nobody waits for it."""
LOG_SECONDS = 0.5  # how long the writer may be held up when its log is emptied
REWRITE_SECONDS = 10.0
TRIES = 5
# PostgreSQL's codes for deadlock, serialisation, lock not available, and a key that another writer took first.
LOST_RACES = {"40P01", "40001", "55P03", "23505"}
READ_ONLY = "25006"  # a standby, or a server set so; psycopg calls it an internal error


class StoreUnavailable(Exception):
    """Nothing can be kept at the moment (disk full, read-only, server away): nothing was accepted."""


class _Restart(Exception):
    """SQLite gave up the whole transaction by itself: the batch's work must be done again, one by one."""


class Database:
    """Reads in the caller's thread, writes in the database's own; a finished write is on the disk.

    `url` is SQLAlchemy's, `sqlite:///file` or `postgresql+psycopg://…`; `durable=False` is for tests that
    need speed more than the power cut.
    """

    def __init__(self, url: str, *, threads: int = 4, durable: bool = True) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self.engine = _sqlite(url, begin="BEGIN IMMEDIATE", durable=durable)
            self.readers = _sqlite(url, begin="BEGIN", durable=durable)
            self._writer: _Writer | _Threads = _Writer(self.engine)
        else:
            self.engine = self.readers = create_engine(
                url, pool_size=threads + threads // 2 + 4, pool_pre_ping=True, hide_parameters=True
            )
            self._writer = _Threads(self.engine, threads)
        self.closed = False
        for engine in {self.engine, self.readers}:
            event.listen(engine, "checkin", self._returned)

    def _returned(self, dbapi: Any, _: Any) -> None:
        if (
            self.closed and dbapi is not None
        ):  # its reader outlived us: nobody takes it from the pool any more
            dbapi.close()

    async def write(self, work: Work[T], *, behind: bool = False) -> T:
        """Run `work` in one transaction and return what it returns, after the commit.

        What is `behind` lets all else go first: somebody waits for that, and nobody for this.

        `work` may run more than once (a lost race is run again), so it must do nothing outside its session.
        Raises what `work` raises, after a rollback, and StoreUnavailable if the commit itself fails.
        """
        return await asyncio.wrap_future(self._writer.submit(work, behind=behind))

    def write_now(self, work: Work[T]) -> T:
        """`write` for callers without an event loop: the command line and tests."""
        return self._writer.submit(work).result()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment of the database and changes nothing. StoreUnavailable as for `write`."""
        try:
            with Session(self.readers, expire_on_commit=False) as session:
                yield session
        except OperationalError as error:
            raise StoreUnavailable(str(error.orig)) from error
        except NoConnection as error:
            raise StoreUnavailable(str(error)) from error

    def empty_log(self) -> None:
        """Let SQLite's write-ahead log, which holds older states of rows, be written back and emptied.

        Costs nothing if it is empty; if somebody reads just now, it is done at the next call.
        """
        if self.is_sqlite and _size(f"{self.engine.url.database}-wal"):
            self._alone("PRAGMA wal_checkpoint(TRUNCATE)", LOG_SECONDS)

    def rewrite(self) -> None:
        """Write SQLite's file anew: pages hold remains of rows that moved to another one and were deleted there."""
        if self.is_sqlite:
            self._alone("VACUUM", REWRITE_SECONDS)
            self.empty_log()

    def size(self) -> int:
        """The bytes of SQLite's file; 0 for PostgreSQL."""
        return _size(self.engine.url.database or "") if self.is_sqlite else 0

    def _alone(self, statement: str, seconds: float) -> None:
        with closing(sqlite3.connect(self.engine.url.database or "", timeout=seconds)) as connection:
            connection.execute(statement)

    def close(self) -> None:
        """Finish the writes in hand and let go of the database."""
        self._writer.close()
        self.closed = True
        self.engine.dispose()
        self.readers.dispose()


def _sqlite(url: str, *, begin: str, durable: bool) -> Engine:
    # What people wrote stands in the parameters: it must not get into an error's words, and so into a log.
    engine = create_engine(
        url, connect_args={"timeout": 10, "check_same_thread": False}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def connect(dbapi: sqlite3.Connection, _: Any) -> None:
        dbapi.isolation_level = None  # SQLAlchemy, not the driver, says when a transaction begins
        for pragma in (
            "busy_timeout=10000",
            "foreign_keys=ON",
            f"synchronous={'FULL' if durable else 'OFF'}",
            "secure_delete=ON",  # what is deleted is gone from the file, too
        ):
            dbapi.execute(f"PRAGMA {pragma}")
        write_ahead(dbapi)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _size(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:
        return 0


def write_ahead(dbapi: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; of two that switch a fresh file at once SQLite refuses one without waiting."""
    last = time.monotonic() + 10
    while True:
        try:
            dbapi.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the low byte, without the details
            if not busy or time.monotonic() > last:
                raise
            time.sleep(0.02)


class _Job:
    """One piece of work and the promise of its result."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()
        self.outcome: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return  # its caller has gone away; the work is done all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)


class _Writer:
    """SQLite's one writer: whatever waits goes into one commit, each job in a savepoint of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.jobs: deque[_Job] = deque()
        self.behind: deque[_Job] = deque()
        self.closed = False
        self.inode: int | None = None
        self.door = threading.Condition()  # nothing may enter the queues behind their end
        self.thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.thread.start()

    def submit(self, work: Work[T], *, behind: bool = False) -> Future[T]:
        job = _Job(work)
        with self.door:
            if self.closed:
                raise StoreUnavailable("closed")
            (self.behind if behind else self.jobs).append(job)
            self.door.notify()
        return job.future

    def close(self) -> None:
        with self.door:
            self.closed = True
            self.door.notify()
        self.thread.join()

    def _next(self, *, behind: bool) -> list[_Job]:
        """What goes into the next commit; empty: nothing ever more. `behind`: it is the turn of what lets others go."""
        with self.door:
            self.door.wait_for(lambda: self.jobs or self.behind or self.closed)
            if self.behind and (behind or not self.jobs):
                return [self.behind.popleft() for _ in range(min(BEHIND, len(self.behind)))]
            return [self.jobs.popleft() for _ in range(min(BATCH, len(self.jobs)))]

    def _run(self) -> None:
        others = False  # whether what waits behind may go next: what goes first has had its turn
        while batch := self._next(behind=others):
            others = not others
            try:
                self._commit(batch)
            except _Restart:
                for one in batch:
                    self._commit_alone(one)
            for done in batch:
                done.settle()

    def _commit(self, batch: list[_Job]) -> None:
        """Do all of the batch in one transaction, or raise _Restart when SQLite dropped it underway."""
        if self._is_gone():
            for job in batch:
                job.error = StoreUnavailable("the database file is gone")
            return
        try:
            with self.engine.connect() as connection, connection.begin():
                for job in batch:
                    job.error = None
                    _in_savepoint(connection, job)
                    if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                        raise _Restart  # a commit would now say nothing and keep nothing
        except DBAPIError as error:
            if len(batch) > 1:
                raise _Restart from error
            batch[0].error = StoreUnavailable(str(error.orig))

    def _is_gone(self) -> bool:
        """Whether the file was removed or replaced while it is open: what is written then nobody will ever read."""
        path = self.engine.url.database
        try:
            found = os.stat(path).st_ino if path and not path.startswith("file:") else None  # noqa: PTH116
        except OSError:
            found = 0
        if self.inode is None:
            self.inode = found or None  # the first write makes the file
        return self.inode is not None and found != self.inode

    def _commit_alone(self, job: _Job) -> None:
        try:
            self._commit([job])
        except _Restart:
            job.error = job.error or StoreUnavailable("the transaction was given up")


def _in_savepoint(connection: Connection, job: _Job) -> None:
    """Run one job in its own savepoint; its error stays its own, whatever it is: the writer outlives it."""
    with Session(
        bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False
    ) as session:
        try:
            job.outcome = job.work(session)
            session.commit()
        except OperationalError as error:
            job.error = StoreUnavailable(str(_first(error).orig))
        except BaseException as error:
            job.error = error
        if job.error is not None:
            try:
                session.rollback()
            except OperationalError as error:  # SQLite has rolled all back already, the savepoint too
                session.invalidate()
                raise _Restart from error


def _first(error: DBAPIError) -> DBAPIError:
    """What went wrong first: after a full disk SQLAlchemy complains only of the savepoint, which went with it."""
    while isinstance(error.__context__, DBAPIError):
        error = error.__context__
    return error


class _Threads:
    """PostgreSQL's writers: a commit for each job; a lost race (deadlock, serialisation) is run again."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self.engine = engine
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="writer")
        self.behind = ThreadPoolExecutor(max(1, threads // 2), thread_name_prefix="behind")

    def submit(self, work: Work[T], *, behind: bool = False) -> Future[T]:
        try:
            return (self.behind if behind else self.pool).submit(self._commit, work)
        except RuntimeError as error:  # after close
            raise StoreUnavailable("closed") from error

    def close(self) -> None:
        self.pool.shutdown()
        self.behind.shutdown()

    def _commit(self, work: Work[T]) -> T:
        for attempt in range(TRIES):
            try:
                with Session(self.engine, expire_on_commit=False) as session:
                    outcome = work(session)
                    session.commit()
                    return outcome
            except NoConnection as error:
                raise StoreUnavailable(str(error)) from error
            except StaleDataError:  # another writer deleted the row that this one had read
                if attempt == TRIES - 1:
                    raise
            except DBAPIError as error:
                code = getattr(error.orig, "sqlstate", None)
                if code in LOST_RACES and attempt < TRIES - 1:
                    continue
                if isinstance(error, OperationalError) or code == READ_ONLY:
                    raise StoreUnavailable(str(error.orig)) from error
                raise
        raise AssertionError("unreachable")
