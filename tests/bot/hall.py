"""One community on the strict Telegram server, without a loop: the test takes updates, delivers, moves time."""

import asyncio
import itertools
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import telegram
from aiohttp import web
from sqlmodel import Session, col, select
from telegram.request import HTTPXRequest

from bot import settings
from bot.app import App
from handlers.people import bind_account
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.tx import Tx
from store.migrations import upgrade
from store.tables import Community, Home, HomeRole, Outgoing, Person
from tests.bot_api import BotApi, Call, How, User
from tests.people import MORNING, ROSTER, StoppedClock

# So many that only what Telegram itself refuses makes anybody wait.
WITHOUT_LIMITS = {"per_second": 10**7, "chat_per_second": 10**7, "group_per_minute": 10**8}
NAMES = {
    "owner": "陈女士",
    "neighbour": "周先生",
    "crew": "李师傅",
    "plumber": "王师傅",
    "boss": "刘经理",
}
NUMBER = "X-Test-Request"
MOST_PASSES = 2_000


# --- a client that waits for no clock -----------------------------------------------------------------


class ToldApi(BotApi):
    """The strict server; it says which request it lets hang, so that the client need not wait to find out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(flood=False, **options)
        self.hanging: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def _break(self, request: web.Request, call: Call, how: How, body: bytes) -> web.StreamResponse:
        if isinstance(how, str) and how.startswith("timeout"):
            self.hanging[request.headers[NUMBER]].set()
        return await super()._break(request, call, how, body)


class Impatient(httpx.AsyncBaseTransport):
    """Gives a request up in the moment in which the server lets it hang, and never otherwise."""

    numbers = itertools.count(1)

    def __init__(self, api: ToldApi) -> None:
        self.api = api
        self.inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = f"{next(self.numbers)}"
        request.headers[NUMBER] = number
        answer = asyncio.ensure_future(self.inner.handle_async_request(request))
        hangs = asyncio.ensure_future(self.api.hanging[number].wait())
        try:
            await asyncio.wait({answer, hangs}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise httpx.ReadTimeout("the server lets it hang", request=request)
        finally:
            for task in (answer, hangs):
                task.cancel()
            await asyncio.gather(answer, hangs, return_exceptions=True)
            self.api.hanging.pop(number, None)

    async def aclose(self) -> None:
        await self.inner.aclose()


def impatient_bot(api: ToldApi) -> telegram.Bot:
    """The library's bot on such a client."""
    requests = [
        HTTPXRequest(
            read_timeout=600,
            write_timeout=600,
            connect_timeout=600,
            pool_timeout=600,
            httpx_kwargs={"transport": Impatient(api)},
        )
        for _ in range(2)
    ]
    return telegram.Bot(
        api.token,
        base_url=api.base_url,
        base_file_url=api.base_file_url,
        request=requests[0],
        get_updates_request=requests[1],
    )


async def some_turns(seconds: float) -> None:
    """Wait by turns of the loop, not by a clock: whatever can come in by then has come."""
    for _ in range(500):
        await asyncio.sleep(0)


def made_app(data: Path, api: ToldApi, **sections: Any) -> App:
    """The program on this data; its client gives up at once, its clock is the test's, and nothing is waited for."""
    found = settings.load(
        **{
            "store": {"data": str(data)},
            "telegram": {"token": api.token, "base_url": api.url, **WITHOUT_LIMITS},
            "policy": {"office_phone": "021-5555 0110", "reports_a_day": 1000},
            **sections,
        }
    )
    clock = StoppedClock()
    app = App(found, clock=clock)
    assert app.telegram is not None
    app.telegram.bot = impatient_bot(api)
    app.telegram.sleep = some_turns

    def seconds() -> float:
        return (clock.at - MORNING).total_seconds()

    app.delivery.paces["telegram"].now = seconds
    return app


def open_port() -> int:
    """A port that is free now, of those that no connection of this machine takes by itself."""
    chance = random.SystemRandom()
    while True:
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", chance.randrange(20_000, 32_000)))
            return int(tried.getsockname()[1])


def clock_of(app: App) -> StoppedClock:
    """The clock that the test moves."""
    assert isinstance(app.clock, StoppedClock)
    return app.clock


def move_to_next_try(app: App) -> int:
    """Let the time pass until more may be sent; how many messages wait."""
    clock = clock_of(app)
    with app.database.read() as session:
        waiting = session.exec(select(Outgoing.retry_at).where(Outgoing.state == "waiting")).all()
    later = [at for at in waiting if at is not None and at > clock.at]
    clock.at = min(later, default=clock.at + timedelta(seconds=0.1))
    return len(waiting)


# --- the community ------------------------------------------------------------------------------------


class Hall:
    """People and groups on the server who belong to the community already, and the program, not running."""

    def __init__(self, app: App, api: ToldApi) -> None:
        assert app.telegram is not None
        self.app, self.api, self.telegram = app, api, app.telegram
        self.people: dict[str, User] = {}
        for role, name in NAMES.items():
            self.people[role] = api.user(name)
            self.people[role].started = True
        self.stranger = api.user("Nobody")
        self.office = api.group("物业管理群", self.people["boss"])
        self.board = api.group("阳光花园业主群", self.people["neighbour"])
        for group in (self.office, self.board):
            group.adds_bot()
        self.office.joins(self.people["crew"])
        api.queue.pending.clear()
        self.taken = len(api.updates)
        self.community = app.database.write_now(self._furnish)

    def _furnish(self, session: Session) -> Community:
        tx = Tx(session, self.app.clock.now(), self.app.house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for role, name in NAMES.items():
            person = session.exec(select(Person).where(Person.name == name)).one()
            bind_account(tx, person, "telegram", str(self.people[role].id), agreed=True)
        add_place(tx, community, "telegram", str(self.office.id), "staff")
        add_place(tx, community, "telegram", str(self.board.id), "board")
        return community

    def add_owners(self, number: int) -> list[User]:
        """So many more owners with a private chat each."""
        users = [self.api.user(f"O{each}") for each in range(number)]
        for user in users:
            user.started = True

        def work(session: Session) -> None:
            tx = Tx(session, self.app.clock.now(), self.app.house)
            for at, user in enumerate(users):
                home = Home(community_id=self.community.id, building="9号楼", room=f"{at}", area=90_000)
                person = Person(
                    community_id=self.community.id,
                    name=f"O{at}",
                    pseudonym=10**6 + at,
                    created_at=tx.now,
                )
                session.add_all([home, person])
                session.flush()
                session.add(
                    HomeRole(
                        community_id=self.community.id, home_id=home.id, person_id=person.id, role="owner"
                    )
                )
                bind_account(tx, person, "telegram", str(user.id), agreed=True)

        self.app.database.write_now(work)
        return users

    # --- in and out

    def fresh_updates(self) -> list[dict[str, Any]]:
        """What the people have done since the last time, as Telegram's JSON."""
        fresh = self.api.updates[self.taken :]
        self.taken = len(self.api.updates)
        return fresh

    async def takes(self, updates: Iterable[dict[str, Any]]) -> None:
        """Take all of these at once."""
        await asyncio.gather(*(self.telegram.take(raw) for raw in updates))

    async def delivers(self) -> None:
        """Let timers fire and deliver, moving the time, until nothing waits."""
        await self.app.ticker.tick()
        for _ in range(MOST_PASSES):
            if not await self.app.delivery.once() and not move_to_next_try(self.app):
                return
        raise AssertionError(f"this is never delivered: {self.rows(state='waiting')[:3]}")

    async def settles(self) -> None:
        """Take what came, and let everything that follows from it go out."""
        while updates := self.fresh_updates():
            await self.takes(updates)
            await self.delivers()

    def write(self, work: Callable[[Tx], Any]) -> Any:
        return self.app.database.write_now(
            lambda session: work(Tx(session, self.app.clock.now(), self.app.house))
        )

    def read(self, query: Any) -> list[Any]:
        with self.app.database.read() as session:
            return list(session.exec(query).all())

    def rows(self, **where: Any) -> list[Outgoing]:
        """The ledger's rows to send, oldest first."""
        return self.read(select(Outgoing).filter_by(**where).order_by(col(Outgoing.id)))


@asynccontextmanager
async def hall(data: Path, **sections: Any) -> AsyncIterator[Hall]:
    """A hall on a server of its own; at the end the server has met no mistake of ours."""
    async with ToldApi() as api:
        app = made_app(data, api, **sections)
        try:
            await asyncio.to_thread(upgrade, app.database.engine)
            assert app.telegram is not None
            await app.telegram.bot.initialize()
            yield Hall(app, api)
        finally:
            await app.stop()
        assert api.mistakes == []


# --- faults -------------------------------------------------------------------------------------------


def at_random(
    chance: random.Random, hows: list[How], methods: Iterable[str] = (), *, share: float
) -> Callable[[str, dict[str, Any]], How | None]:
    """A chooser of faults: one of these in this share of the calls of some methods, or of all."""
    chosen = set(methods)

    def choose(method: str, params: dict[str, Any]) -> How | None:
        if (chosen and method not in chosen) or chance.random() >= share:
            return None
        return chance.choice(hows)

    return choose
