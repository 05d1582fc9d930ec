"""Housekeeping: files that nothing names any more, old backups, and what SQLite's log still holds of erased rows."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Text, cast, delete
from sqlmodel import Session, col, select

from store.database import Database, StoreUnavailable
from store.media import MediaStorage
from store.tables import Inbox, Media, RosterFile, Talk, Timer

log = structlog.get_logger()

EVERY = 60.0
"""Seconds between two looks."""
SWEEP = timedelta(days=1)
UNNAMED = timedelta(days=1)
"""How long a file may wait for the message that names it to be committed."""
BACKUPS = timedelta(days=30)
SMALL = 256 * 1024 * 1024
"""Bytes of a database that is rewritten within seconds; a larger one is rewritten once a day."""
CLEARED = (
    col(Timer.action) >= "forget.clear:",
    col(Timer.action) < "forget.clear;",
    col(Timer.state) == "done",
)
NO_FILES = '%"files": []%'


def real_now() -> datetime:
    """The real time, in which files are dated: the playground's may jump."""
    return datetime.now(UTC)


class Housekeeper:
    """What the one process that leads does beside its work: each minute, and some of it each day."""

    def __init__(
        self, database: Database, media: MediaStorage, now: Callable[[], datetime] = real_now
    ) -> None:
        self.database = database
        self.media = media
        self.now = now
        self.swept_at: datetime | None = None

    async def run(self) -> None:
        """Look each minute, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Do what is due; what goes wrong is tried again at the next look."""
        looking = asyncio.create_task(asyncio.to_thread(self._look))
        try:
            await asyncio.shield(looking)
        except asyncio.CancelledError:  # the thread must not outlive the database that it reads
            await asyncio.wait([looking])
            raise
        except (OSError, StoreUnavailable) as error:
            log.error("housekeeping waits", error=str(error))
        except Exception:  # whatever it is: delivery, which runs beside it, must go on
            log.exception("housekeeping failed")

    def _look(self) -> None:
        now = self.now()
        daily = self.swept_at is None or now - self.swept_at >= SWEEP
        if daily or self.database.size() < SMALL:
            self.wipe()
        self.database.empty_log()
        if daily:
            self.sweep(now)

    def wipe(self) -> None:
        """Once the chat of somebody who was forgotten is cleared: free the database's file of its remains."""
        with self.database.read() as session:
            cleared = session.exec(select(Timer.id).where(*CLEARED)).all()
        if cleared:
            self.database.rewrite()
            done = delete(Timer).where(
                *CLEARED, col(Timer.id).in_(cleared)
            )  # not before: a kill must not lose it
            self.database.write_now(lambda session: session.connection().execute(done))

    def sweep(self, now: datetime) -> None:
        """Delete the files and the backups that are due."""
        self.swept_at = now
        files, backups = self.sweep_files(now), self.sweep_backups(now)
        if files or backups:
            log.info("swept", files=files, backups=backups)

    def sweep_files(self, now: datetime) -> int:
        """Delete the files older than a day that no row names; how many."""
        old = set(
            self.media.older_than(now - UNNAMED)
        )  # found before the rows are read: what comes later is young
        if not old:
            return 0
        with self.database.read() as session:
            unnamed = old - set(_named(session))
        return sum(self.media.drop(key, now - UNNAMED) for key in unnamed)

    def sweep_backups(self, now: datetime) -> int:
        """Delete the copies that upgrades made of an SQLite database, when they are old; how many."""
        file = Path(self.database.engine.url.database or "")
        if not self.database.is_sqlite or not file.name:
            return 0
        old = [
            each
            for each in file.parent.glob(f"{file.name}.before-*")
            if datetime.fromtimestamp(each.stat().st_mtime, UTC) < now - BACKUPS
        ]
        for each in old:
            each.unlink()
        return len(old)


def _named(session: Session) -> Iterator[str]:
    """The keys of all files that a matter, a roster, an open talk or a kept message names."""
    yield from session.exec(select(Media.storage))
    yield from session.exec(select(RosterFile.storage))
    for answers in session.exec(select(Talk.answers)):
        yield from _storages(answers)
    with_files = select(Inbox.payload).where(cast(col(Inbox.payload), Text).not_like(NO_FILES))
    for payload in session.exec(with_files.execution_options(yield_per=1000)):
        yield from _storages(payload)


def _storages(value: Any) -> Iterator[str]:
    """Every `storage` within JSON."""
    if isinstance(value, dict):
        if isinstance(value.get("storage"), str):
            yield value["storage"]
        for each in value.values():
            yield from _storages(each)
    elif isinstance(value, list):
        for each in value:
            yield from _storages(each)
