"""A broadcast through a messenger's limits, in simulated time: how fast it goes, and how long all others wait."""

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, select

from bot.delivery import Delivery, Letter, Taken
from bot.pace import Pace
from handlers.tell import ANSWER, BROADCAST, URGENT, tell
from handlers.tx import Tx
from store.tables import Notice, Place
from tests.benchmarks import simulated
from tests.benchmarks.measure import Figure, shown, table
from tests.benchmarks.town import MESSENGER, Town, durable_postgresql, town

BEGAN = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TAKES = 0.1  # seconds until the messenger has taken a message
ANSWERS_EVERY = 0.97  # seconds, no part of a whole one: they come at all moments of it
PAGES_EVERY = 9.7


@dataclass
class Traffic:
    """When each letter of a lane set out, and how long it had waited; in simulated seconds."""

    began: dict[str, float] = field(default_factory=dict)
    """When what a chat waits for was committed."""
    sent: list[float] = field(default_factory=list)
    waits: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    broadcast: Counter[str] = field(default_factory=Counter)
    """How often each chat got the broadcast."""

    def note(self, letter: Letter, now: float) -> None:
        """A letter sets out."""
        self.sent.append(now)
        chat = letter.place.external_id
        if letter.lane == BROADCAST:
            self.broadcast[chat] += 1
        else:
            self.waits[letter.lane].append(now - self.began[chat])

    def a_second(self) -> list[int]:
        """How many set out in each second but the first and the last, which are no whole ones."""
        counts = Counter(int(at) for at in self.sent)
        return [counts[second] for second in range(int(self.sent[0]) + 1, int(self.sent[-1]))]

    def most(self) -> int:
        """The most that set out within any one second."""
        return max(
            sum(1 for at in self.sent[first : first + 100] if at - begins < 1)
            for first, begins in enumerate(self.sent)
        )


def nearly_all(waits: list[float]) -> float:
    """What 95 of 100 did not wait longer than."""
    return sorted(waits)[int(len(waits) * 0.95)]


async def broadcast(where: Town) -> Traffic:
    """Send a notice to everybody, while people write and pages go out, until everybody has it."""
    loop, traffic, done = asyncio.get_running_loop(), Traffic(), asyncio.Event()

    async def send(letter: Letter) -> Taken:
        traffic.note(letter, loop.time())
        if traffic.broadcast.total() == where.people:
            done.set()
        await asyncio.sleep(TAKES)
        return Taken(str(letter.row.id))

    def now() -> datetime:
        return BEGAN + timedelta(seconds=loop.time())

    simulated.at_once(where.app.database)
    where.app.delivery = delivery = Delivery(
        where.app.database, {MESSENGER: send}, now, paces={MESSENGER: Pace(now=loop.time)}
    )
    where.app.database.write_now(lambda session: session.add(_notice()))
    await where.app.ticker.tick()
    tasks = [
        asyncio.create_task(each)
        for each in (delivery.run(), _people(where, traffic), _pages(where, traffic))
    ]
    await done.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return traffic


def _notice() -> Notice:
    return Notice(community_id=1, about="repair:1", key="kind.lift", lane=BROADCAST, created_at=BEGAN)


async def _people(where: Town, traffic: Traffic) -> None:
    """Somebody writes each second, from all over the town."""
    for number in itertools.count(1):
        await asyncio.sleep(ANSWERS_EVERY)
        said = where.said(number * 37 % where.people + 1, "/help")
        traffic.began[said.place] = asyncio.get_running_loop().time()
        await where.app.receive(said)


async def _pages(where: Town, traffic: Traffic) -> None:
    """Now and then an emergency: a page to one of the crew and to the admin group."""
    chats: Iterator[str] = itertools.cycle(f"crew{number}" for number in range(1, 6))
    for chat in chats:
        await asyncio.sleep(PAGES_EVERY)
        for paged in (chat, "staff"):
            traffic.began[paged] = asyncio.get_running_loop().time()
            where.app.database.write_now(lambda session, paged=paged: _page(where, session, paged))
        where.app.delivery.wake.set()


def _page(where: Town, session: Session, chat: str) -> None:
    place = session.exec(select(Place).where(Place.external_id == chat)).one()
    tell(Tx(session, BEGAN, where.app.house), place, "kind.lift", lane=URGENT)


def main(*, quick: bool = False) -> None:
    """Both databases; the seconds are simulated, the processor's are not."""
    people = 1_000 if quick else 10_000
    rows = []
    with durable_postgresql() as server:
        for name, where in (("SQLite", town(people, None)), ("PostgreSQL", town(people, server))):
            with where as furnished:
                began = time.process_time()
                traffic = simulated.run(broadcast(furnished))
                cpu = (time.process_time() - began) / len(traffic.sent) * 1000
            answers, pages = traffic.waits[ANSWER], traffic.waits[URGENT]
            rows.append((
                name, Figure(traffic.a_second()), traffic.most(), Figure(answers), shown(nearly_all(answers)),
                Figure(pages), shown(cpu),
            ))  # fmt: skip
    columns = (
        "",
        "sends/s",
        "most in a second",
        "answers wait, s",
        "95 % under",
        "pages wait, s",
        "CPU ms/letter",
    )
    table(f"A notice to {people:,} people within a messenger's limits", columns, rows)


if __name__ == "__main__":
    main()
