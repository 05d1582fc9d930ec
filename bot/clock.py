"""The clock: what time it is, and the tick that lets due timers fire and notices go out."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlmodel import Session

from handlers.notices import fan_out, lay_aside, open_notice
from handlers.timers import due, fire, put_off
from handlers.tx import House, Tx
from store.database import Database, StoreUnavailable

log = structlog.get_logger()

REST = 4
"""How many times as long as a batch took nothing is written after it, so that the writer is free for others ..."""
REST_AT_MOST = 0.5
"""... but never for longer than so many seconds: after a slow one, what is due waits too."""
ROUNDS = 2000
"""How often at most is looked for more to do in one tick."""


class Clock:
    """The installation's time; only the playground ever moves it on."""

    def __init__(self, shift: timedelta = timedelta()) -> None:
        self.shift = shift

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC) + self.shift


class Ticker:
    """Looks for due timers and open notices; all state is in their rows."""

    def __init__(
        self, database: Database, house: House, now: Callable[[], datetime], wake: Callable[[], None]
    ) -> None:
        self.database = database
        self.house = house
        self.now = now
        self.wake = wake
        self.busy = asyncio.Lock()
        self.ended = False

    async def tick(self) -> None:
        """Fire what is due, in the order of the due times, and write what notices still owe."""
        async with self.busy:
            try:
                await self._work()
            except StoreUnavailable as error:
                log.error("the clock waits for the database", error=str(error))
            self.wake()

    async def stop(self) -> None:
        """Let the round in hand end, and begin no other: what is left stays due."""
        self.ended = True
        await asyncio.sleep(0)  # a tick that was only just begun sees it too
        async with self.busy:
            pass

    async def _work(self) -> None:
        """Round for round what is due and a batch of the next notice: one to thousands puts off no deadline.

        Between two rounds the writer is left to others, so that nobody waits for long, however many are told.
        """
        took = 0.0
        for _ in range(ROUNDS):
            if self.ended:
                return
            now = self.now()
            timers, notice_id = await asyncio.to_thread(self._to_do, now)
            if not timers and notice_id is None:
                return
            await asyncio.sleep(min(took * REST, REST_AT_MOST))
            began = time.perf_counter()
            await self._fire(timers, now)
            if notice_id is not None and not await self._fan_out(notice_id) and not timers:
                return
            took = time.perf_counter() - began
            self.wake()

    async def _fire(self, timers: Sequence[int], now: datetime) -> None:
        for timer_id in timers:
            try:
                await self.database.write(partial(fire, timer_id=timer_id, now=now, house=self.house))
            except StoreUnavailable:
                raise
            except Exception as error:
                log.exception("a timer failed", timer=timer_id)
                await self.database.write(partial(put_off, timer_id=timer_id, error=repr(error), now=now))

    def _to_do(self, now: datetime) -> tuple[list[int], int | None]:
        with self.database.read() as session:
            return due(session, now), open_notice(session)

    async def _fan_out(self, notice_id: int) -> bool:
        """Write one batch of an open notice; False if another process is at it."""
        try:
            return await self.database.write(
                lambda session: fan_out(self._tx(session), notice_id), behind=True
            )
        except StoreUnavailable:
            raise
        except Exception as error:
            log.exception("a notice failed", notice=notice_id)
            reason = repr(error)
            await self.database.write(lambda session: lay_aside(self._tx(session), notice_id, reason))
        return True

    def _tx(self, session: Session) -> Tx:
        return Tx(session, self.now(), self.house)


def scheduler(tick: Callable[[], Awaitable[None]], seconds: float = 1.0) -> AsyncIOScheduler:
    """APScheduler as nothing but a tick: it holds no state, and a late tick is one tick."""
    made = AsyncIOScheduler(timezone=UTC)
    made.add_job(tick, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None, max_instances=1)
    return made
