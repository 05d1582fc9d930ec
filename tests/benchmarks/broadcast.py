"""A notice to thousands: how fast its rows are written and sent, and how long everybody else waits meanwhile."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlmodel import Session, select

from bot.delivery import Letter, Taken
from bot.pace import Pace
from handlers.digests import begin_digests
from handlers.notices import notify, take_back
from handlers.preferences import drop_ordinary
from handlers.tell import BROADCAST
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Notice, Outgoing
from tests.benchmarks.measure import Figure, shown, table
from tests.benchmarks.town import Town, durable_postgresql, taken, town

ALONE = 120
PAUSE = 0.02
SELDOM = 0.3
"""The pause where a messenger takes 30 messages a second in all, of which a broadcast leaves one to answers."""
LONGEST = 30.0
"""Seconds for which is looked at what takes long."""
ABOUT = "listing:1"


def main(*, quick: bool = False) -> None:
    """Both databases."""
    people = 1_000 if quick else 10_000
    with town(people, None) as where:
        asyncio.run(_Run(where).measure("SQLite, synchronous=FULL"))
    with durable_postgresql() as server, town(people, server) as where:
        asyncio.run(_Run(where).measure("PostgreSQL, fsync on"))


class _Run:
    """What others wait, for their message to be kept and for its answer to be sent, while something large goes on."""

    def __init__(self, where: Town) -> None:
        self.where = where
        self.waits: dict[str, tuple[str, list[float]]] = {}
        self.seconds: dict[str, float] = {}
        self.answered = asyncio.Event()
        self.askers = itertools.cycle(range(1, 501))  # a private chat takes one message a second
        where.app.delivery.senders = {"test": self._sent}

    async def _sent(self, letter: Letter) -> Taken:
        if letter.row.inbox_id is not None:
            self.answered.set()
        return await taken(letter)

    async def _commit(self) -> None:
        await self.where.app.receive(self.where.said(next(self.askers), "/help"))

    async def _answer(self) -> None:
        self.answered.clear()
        await self._commit()
        await self.answered.wait()

    async def _beside(
        self,
        title: str,
        work: Awaitable[object],
        ask: Callable[[], Awaitable[None]],
        until: str,
        pause: float = PAUSE,
    ) -> None:
        """Somebody writes now and then while the work goes on; this is no load test.

        What is measured `until` the same is beside each other, the first of it alone.
        """
        began = time.perf_counter()
        busy = asyncio.ensure_future(work)
        waits: list[float] = []
        while not busy.done():
            waits.append(await _took(ask))
            await asyncio.sleep(pause)
        await busy
        self.waits[title] = (until, waits)
        self.seconds[title] = time.perf_counter() - began

    def _write(self, work: Callable[[Tx], object]) -> None:
        app = self.where.app

        def within(session: Session) -> object:
            return work(Tx(session, app.clock.now(), app.house))

        app.database.write_now(within)

    async def measure(self, name: str) -> None:
        """Everything, with what it takes alone before and after."""
        app, ticker = self.where.app, self.where.app.ticker
        for _ in range(20):
            await self._commit()
        await self._beside("alone", _later(ALONE * PAUSE), self._commit, "kept")
        self._write(_announce)
        await self._beside("the rows are written", ticker.tick(), self._commit, "kept")
        self._write(lambda tx: take_back(tx, 1, ABOUT))
        await self._beside("it is taken back", ticker.tick(), self._commit, "kept")
        self._empty()
        self._write(_announce)
        await ticker.tick()
        self._write(_gather)
        await self._beside("one mutes", self._mutes(), self._commit, "kept")
        self._write(_digests)
        await self._beside("all get a digest", ticker.tick(), self._commit, "kept")
        self._empty()
        delivering = asyncio.ensure_future(app.delivery.run())
        await self._beside("alone, sent", _later(ALONE * PAUSE), self._answer, "sent")
        app.delivery.paces = {"test": Pace()}
        await self._beside("alone, 30 a second", _later(LONGEST), self._answer, "paced", SELDOM)
        self._write(_announce)
        await self._beside("written and sent, 30 a second", self._some_sent(), self._answer, "paced", SELDOM)
        app.delivery.paces = {}
        app.delivery.wake.set()
        await self._beside("sent as fast as we can", self._all_sent(), self._answer, "sent")
        await self._beside("alone, sent, after it", _later(ALONE * PAUSE), self._answer, "sent")
        delivering.cancel()
        await asyncio.wait({delivering})
        self._print(name)

    async def _mutes(self) -> None:
        def mute(tx: Tx, person: int) -> None:
            drop_ordinary(tx, person)

        for person in range(2, 22):
            await self.where.app.database.write(
                lambda session, person=person: mute(
                    Tx(session, self.where.app.clock.now(), self.where.app.house), person
                )
            )
            await asyncio.sleep(10 * PAUSE)

    async def _some_sent(self) -> None:
        """The rows are written while the first are sent at a messenger's pace, for a while."""
        began = time.perf_counter()
        await self.where.app.ticker.tick()
        await asyncio.sleep(max(0.0, LONGEST - (time.perf_counter() - began)))

    async def _all_sent(self) -> None:
        """Until no row of the notice waits any more."""
        waits = select(Outgoing.id).where(Outgoing.state == "waiting", Outgoing.lane == BROADCAST).limit(1)
        while True:
            with self.where.app.database.read() as session:
                if session.exec(waits).first() is None:
                    return
            await asyncio.sleep(PAUSE)

    def _empty(self) -> None:
        self._write(lambda tx: _delete(tx.session))

    def _print(self, name: str) -> None:
        rows = []
        alone: dict[str, Figure] = {}
        for title, (what, values) in self.waits.items():
            base = alone.setdefault(what, Figure(values))
            figure = Figure(values)
            rate = (
                "" if title.startswith(("alone", "one")) else shown(self.where.people / self.seconds[title])
            )
            rows.append(
                (
                    title,
                    what,
                    len(values),
                    rate if "30 a second" not in title else "",
                    Figure([each * 1000 for each in values]),
                    shown(_late(figure) * 1000),
                    figure.beside(base),
                    f"{_late(figure) / _late(base):.2f}×",
                )
            )
        table(
            f"A notice to {self.where.people:,} people: {name}",
            ("while", "until", "n", "a second", "others wait, ms", "95 % under", "to alone", "95 % to alone"),
            rows,
        )


def _late(figure: Figure) -> float:
    return sorted(figure.values)[int(len(figure.values) * 0.95)]


def _announce(tx: Tx) -> None:
    notify(tx, 1, "kind.lift", about=ABOUT, wish="listing")


def _gather(tx: Tx) -> None:
    """As if everybody had chosen a daily digest."""
    tx.session.connection().execute(
        text("UPDATE outgoing SET state = 'held', digest = 'day' WHERE notice_id IS NOT NULL")
    )


def _digests(tx: Tx) -> None:
    begin_digests(tx)
    set_timer(tx, 1, "digest.send:1", tx.now)


def _delete(session: Session) -> None:
    for statement in ("DELETE FROM attempt", "DELETE FROM outgoing", f"DELETE FROM {Notice.__tablename__}"):
        session.connection().execute(text(statement))


async def _took(ask: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


async def _later(seconds: float) -> None:
    await asyncio.sleep(seconds)


if __name__ == "__main__":
    main()
