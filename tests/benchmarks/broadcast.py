"""A notice to thousands: how fast its rows are written and sent, and how long everybody else waits meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sqlmodel import select

from bot.delivery import Letter, Taken
from handlers.tell import BROADCAST
from store.tables import Notice, Outgoing
from tests.benchmarks.measure import Figure, shown, table
from tests.benchmarks.town import Town, durable_postgresql, taken, town

ALONE = 60
PAUSE = 0.02


def main(*, quick: bool = False) -> None:
    """Both databases."""
    people = 1_000 if quick else 10_000
    with town(people, None) as where:
        asyncio.run(_measure("SQLite, synchronous=FULL", where))
    with durable_postgresql() as server, town(people, server) as where:
        asyncio.run(_measure("PostgreSQL, fsync on", where))


async def _measure(name: str, where: Town) -> None:
    waits: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    answered = asyncio.Event()

    async def sent(letter: Letter) -> Taken:
        if letter.row.inbox_id is not None:
            answered.set()
        return await taken(letter)

    async def commit() -> None:
        await where.app.receive(where.said(1, "/help"))

    async def answer() -> None:
        answered.clear()
        await commit()
        await answered.wait()

    async def beside(title: str, work: Awaitable[object], ask: Callable[[], Awaitable[None]]) -> None:
        began = time.perf_counter()
        busy = asyncio.ensure_future(work)
        waits[title] = []
        while not busy.done():
            waits[title].append(await _took(ask))
            await asyncio.sleep(PAUSE)  # somebody writes now and then; this is no load test
        await busy
        seconds[title] = time.perf_counter() - began

    where.app.delivery.senders = {"test": sent}
    await commit()
    await beside("alone", _later(ALONE * PAUSE), commit)
    where.app.database.write_now(lambda session: session.add(_notice(where)))
    await beside("while the rows are written", where.app.ticker.tick(), commit)
    delivering = asyncio.ensure_future(where.app.delivery.run())
    await beside("until the answer is sent, while they are sent", _all_sent(where), answer)
    await beside("until the answer is sent, alone", _later(ALONE * PAUSE), answer)
    delivering.cancel()
    await asyncio.wait({delivering})
    base = Figure(waits["alone"])
    table(
        f"A notice to {where.people:,} people: {name}",
        ("", "rows/s", "others wait, ms", "95 % under", "to alone"),
        [
            (
                title,
                shown(where.people / seconds[title]) if title.endswith(("written", "they are sent")) else "",
                Figure([each * 1000 for each in values]),
                shown(sorted(values)[int(len(values) * 0.95)] * 1000),
                Figure(values).beside(base),
            )
            for title, values in waits.items()
        ],
    )


def _notice(where: Town) -> Notice:
    return Notice(
        community_id=1,
        about="repair:1",
        key="kind.lift",
        facts={},
        lane=BROADCAST,
        created_at=where.app.clock.now(),
    )


async def _took(ask: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


async def _later(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _all_sent(where: Town) -> None:
    """Until no row of the notice waits any more."""
    waits = select(Outgoing.id).where(Outgoing.state == "waiting", Outgoing.lane == BROADCAST).limit(1)
    where.app.delivery.wake.set()
    while True:
        with where.app.database.read() as session:
            if session.exec(waits).first() is None:
                return
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    main()
