"""The clock: what time it is, and the tick that lets due timers fire and notices go out."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlmodel import Session

from handlers.tell import fan_out, lay_aside, open_notice
from handlers.timers import due, fire, put_off
from handlers.tx import House, Tx
from store.database import Database, StoreUnavailable

log = structlog.get_logger()


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

    async def tick(self) -> None:
        """Fire what is due, in the order of the due times, and write what notices still owe."""
        async with self.busy:
            try:
                await self._fire_due()
                while await self._fan_out():
                    self.wake()
                    await self._fire_due()  # a notice to thousands puts off no deadline
            except StoreUnavailable as error:
                log.error("the clock waits for the database", error=str(error))
            self.wake()

    async def _fire_due(self) -> None:
        now = self.now()
        for timer_id in await asyncio.to_thread(self._due, now):
            try:
                await self.database.write(partial(fire, timer_id=timer_id, now=now, house=self.house))
            except StoreUnavailable:
                raise
            except Exception as error:
                log.exception("a timer failed", timer=timer_id)
                await self.database.write(partial(put_off, timer_id=timer_id, error=repr(error), now=now))

    def _due(self, now: datetime) -> list[int]:
        with self.database.read() as session:
            return due(session, now)

    async def _fan_out(self) -> bool:
        """Write one batch of the oldest open notice; False when there is nothing left to do."""
        notice_id = await asyncio.to_thread(self._open_notice)
        if notice_id is None:
            return False
        try:
            return await self.database.write(lambda session: fan_out(self._tx(session), notice_id))
        except StoreUnavailable:
            raise
        except Exception as error:
            log.exception("a notice failed", notice=notice_id)
            reason = repr(error)
            await self.database.write(lambda session: lay_aside(self._tx(session), notice_id, reason))
        return True

    def _open_notice(self) -> int | None:
        with self.database.read() as session:
            return open_notice(session)

    def _tx(self, session: Session) -> Tx:
        return Tx(session, self.now(), self.house)


def scheduler(tick: Callable[[], Awaitable[None]], seconds: float = 1.0) -> AsyncIOScheduler:
    """APScheduler as nothing but a tick: it holds no state, and a late tick is one tick."""
    made = AsyncIOScheduler(timezone=UTC)
    made.add_job(tick, "interval", seconds=seconds, coalesce=True, misfire_grace_time=None, max_instances=1)
    return made
