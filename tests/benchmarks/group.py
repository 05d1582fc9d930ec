"""A flood in the community's group: how long each message that breaks a rule stands there, to its deletion at Telegram.

The whole program, its polling, its pace and its database, against the strict server, which refuses what goes too fast;
once as near as this machine is, and once with a network that takes as long as the one to Telegram does.
"""

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

import moderation.conduct
from bot import logs, settings
from bot.app import App
from bot.telegram import HEARD
from handlers.people import bind_account
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.tx import Tx
from store.tables import Person
from tests.benchmarks.measure import shown, table
from tests.benchmarks.town import durable_postgresql
from tests.bot_api import BotApi, Group, User
from tests.people import unique

PEOPLE = 40
A_SECOND = 20
FAR = 0.15  # seconds that each request takes on its way to Telegram and back
BAD = "代开发票，餐饮住宿都有，单号"
FINE = (
    "今晚小区停水到几点",
    "三号楼门口的路灯又不亮了",
    "谁家的猫在车库",
    "明天一起去菜场吗",
    "谢谢邻居帮忙",
)


@dataclass
class Flood:
    """When each message was written and when it was gone, by its number."""

    written: dict[int, float] = field(default_factory=dict)
    gone: dict[int, float] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)

    def delays(self) -> list[float]:
        """How long each bad message stood, in milliseconds, the shortest first."""
        return sorted((self.gone[number] - self.written[number]) * 1000 for number in self.bad)


def main(*, quick: bool = False) -> None:
    """Half of all messages break a rule, then all of them; on both databases."""
    logs.set_up("critical")
    moderation.conduct.warm()
    seconds = 5 if quick else 20
    rows = []
    for name, share, far in (
        ("half break a rule", 0.5, 0.0),
        ("all break a rule", 1.0, 0.0),
        (f"all, {FAR * 1000:.0f} ms to Telegram", 1.0, FAR),
    ):
        rows.append((f"SQLite, {name}", *asyncio.run(_flood(None, seconds, share, far))))
    with durable_postgresql() as server:
        url = server.create_database(unique("linli_group"))
        rows.append(("PostgreSQL, all break a rule", *asyncio.run(_flood(url, seconds, 1.0, 0.0))))
    columns = (
        "",
        "messages",
        "deleted",
        "median ms",
        "95 % ms",
        "99 % ms",
        "longest ms",
        "requests to delete",
    )
    table(f"{A_SECOND} messages a second in the group: from a message to its deletion", columns, rows)


async def _flood(url: str | None, seconds: int, share: float, far: float) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="linli-group-") as folder:
        async with BotApi() as api, _program(Path(folder), url, api) as (app, group, people):
            flood = Flood()
            _watch(app, flood, far)
            await _write(group, people, flood, seconds, share)
            await api.until(lambda: flood.bad <= flood.gone.keys(), within=60)
            assert not flood.gone.keys() - flood.bad and api.mistakes == [], api.mistakes
            requests = sum(call.method.startswith("deleteMessage") for call in api.calls)
    delays = flood.delays()

    def part(share: float) -> str:
        return shown(delays[min(int(len(delays) * share), len(delays) - 1)])

    counts = (f"{len(flood.written)}", f"{len(delays)}")
    return (*counts, part(0.5), part(0.95), part(0.99), part(1.0), f"{requests}")


async def _write(group: Group, people: list[User], flood: Flood, seconds: int, share: float) -> None:
    chance, began, sender = random.Random(7), time.monotonic(), itertools.cycle(people)
    for number in range(seconds * A_SECOND):
        await asyncio.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        bad = chance.random() < share
        words = f"{BAD} {number}" if bad else f"{chance.choice(FINE)}？{number}"
        sent = next(sender).writes(words, group)["message_id"]
        flood.written[sent] = time.monotonic()
        if bad:
            flood.bad.add(sent)


def _watch(app: App, flood: Flood, far: float) -> None:
    """Note when messages are gone; each request then takes as long as the way to Telegram and back."""
    assert app.telegram is not None
    request = app.telegram.bot.request
    do = request.do_request

    async def slow(url: str, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(far / 2)
        done = await do(url, *args, **options)
        if "deleteMessage" in url:
            given = options["request_data"].parameters
            for each in given.get("message_ids", [given.get("message_id")]):
                flood.gone[each] = time.monotonic()
        await asyncio.sleep(far / 2)
        return done

    request.do_request = slow  # type: ignore[method-assign]


@asynccontextmanager
async def _program(
    folder: Path, url: str | None, api: BotApi
) -> AsyncIterator[tuple[App, Group, list[User]]]:
    """The program, polling, with a group of whom everybody is one of the community."""
    store = {"data": str(folder), **({"url": url} if url else {})}
    telegram = {"token": api.token, "base_url": api.url}
    found = settings.load(store=store, telegram=telegram, playground={"enabled": False}, web={"port": 0})
    api.queue.allowed = HEARD
    boss = api.user("物业")
    group = api.group("业主群", boss)
    people = [api.user(f"住户{number}") for number in range(PEOPLE)]
    for each in people:
        each.starts()
        group.settles(each)
    api.queue.pending.clear()
    app = App(found)
    await app.start()
    await app.database.write(lambda session: _furnish(session, app, group, people))
    group.adds_bot()
    try:
        yield app, group, people
    finally:
        await app.stop()


def _furnish(session: Session, app: App, group: Group, people: list[User]) -> None:
    tx = Tx(session, app.clock.now(), app.house)
    community = add_community(tx, "小区", time_zone="Asia/Shanghai", language="zh")
    lines = [f"1号楼,1单元,{number},90,住户{number},业主" for number in range(1, PEOPLE + 1)]
    import_roster(tx, community, read_roster("\n".join(["楼栋,单元,房号,面积,姓名,身份", *lines]).encode()))
    for person, user in zip(session.exec(select(Person).order_by(col(Person.id))), people, strict=True):
        bind_account(tx, person, "telegram", str(user.id), agreed=True)
    add_place(tx, community, "telegram", str(group.id), "board")


if __name__ == "__main__":
    main()
