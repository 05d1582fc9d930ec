"""Two processes on one PostgreSQL: WeChat brings its messages to either, or the same one to both at once."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session, col, select

from bot import settings
from bot.app import App
from bot.web import web
from handlers.people import bind_account
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.tables import Attempt, Inbox, Notice, Outgoing, Person, Repair, Talk
from tests.bot.wechat_settings import settings_of
from tests.people import KEY, ROSTER, photo, unique
from tests.postgres import Server
from tests.wechat_api import User, WeChatApi

NAMES = ("陈女士", "周先生", "王奶奶")
TOKEN = "stable_token"


class Pair:
    """Two Apps with what they share: the database, the key and the service account."""

    def __init__(self, apps: list[App], api: WeChatApi) -> None:
        self.apps, self.api = apps, api
        self.people = {name: api.user(name) for name in NAMES}
        self.clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(web(app)), base_url="https://linli.test")
            for app in apps
        ]
        self.turn: Iterator[int] = itertools.cycle(range(len(apps)))
        api.deliver = self.deliver
        apps[0].database.write_now(self._furnish)

    def _furnish(self, session: Session) -> None:
        tx = Tx(session, self.apps[0].clock.now(), self.apps[0].house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for name, user in self.people.items():
            person = session.exec(select(Person).where(Person.name == name)).one()
            bind_account(tx, person, "wechat", user.openid, agreed=True)
            user.following = True

    async def deliver(self, method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Bring each callback to the next of them."""
        client = self.clients[next(self.turn)]
        answer = await client.request(method, "/wechat", params=query, content=body)
        return answer.status_code, answer.content

    async def writes(self, user: User, text: str, **how: Any) -> str:
        """Write a text; the reply to it, which every delivery got."""
        answers = await user.writes(text, **how)
        assert {each.status for each in answers} == {200}
        (reply,) = {each.text for each in answers}
        return reply

    async def settles(self) -> None:
        """Wait until every notice has reached everybody and everything is delivered."""
        opened = select(Notice.id).where(col(Notice.done_at).is_(None))
        waiting = select(Outgoing.id).where(Outgoing.state == "waiting")
        async with asyncio.timeout(60):
            while self.read(opened) or self.read(waiting):
                await asyncio.sleep(0.02)

    def read(self, query: Any) -> list[Any]:
        with self.apps[0].database.read() as session:
            return list(session.exec(query).all())


@pytest.fixture
async def pair(
    tmp_path: Path, postgres: Server, postgres_template: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setattr("bot.wechat.PATIENCE", 3600.0)  # a slow machine is no reason to answer later
    name = unique("linli_several")
    url = postgres.create_database(name, postgres_template)
    async with WeChatApi(patience=3600) as api, AsyncExitStack() as stack:
        apps = []
        for number in range(2):
            found = settings.load(
                store={"data": str(tmp_path / f"data{number}"), "url": url},
                web={"address": "https://linli.test"},
                wechat=settings_of(api).model_dump(),
                privacy={"key": KEY},
                playground={"enabled": False},
            )
            apps.append(App(found))
            stack.push_async_callback(apps[-1].stop)
            await apps[-1].start()
        made = Pair(apps, api)
        for client in made.clients:
            stack.push_async_callback(client.aclose)
        yield made
        await made.settles()
    assert api.mistakes == []
    postgres.drop_database(name)


def fetched(pair: Pair) -> int:
    """How many access tokens were fetched."""
    return sum(path == TOKEN for path, _ in pair.api.calls)


async def test_an_owner_whose_messages_come_to_either_is_understood(pair: Pair) -> None:
    chen = pair.people["陈女士"]
    assert "哪里需要报修" in await pair.writes(chen, "报修")
    assert "没看懂您选哪一个" in await pair.writes(chen, "9")
    assert "什么坏了" in await pair.writes(chen, "1")
    assert "什么时候可以上门" in await pair.writes(chen, "厨房水龙头滴水")
    assert "有照片吗" in await pair.writes(chen, "1")
    answers = await chen.sends_photo(photo())
    assert "收到 1 张" in answers[0].text
    assert "请看一下对不对" in await pair.writes(chen, "好了")
    assert "报修 1 已登记" in await pair.writes(chen, "提交")
    assert [repair.what for repair in pair.read(select(Repair))] == ["厨房水龙头滴水"]
    await pair.settles()
    assert fetched(pair) == 1


async def test_the_same_message_at_both_at_once_acts_once_and_has_one_answer(pair: Pair) -> None:
    """Each text and each photo is brought three times at once, to one process and to the other."""

    async def reports(user: User) -> None:
        how = {"deliveries": 3, "overlapping": True}
        await pair.writes(user, f"厨房水龙头滴水{user.name}", **how)
        if user.name == "王奶奶":  # who has two homes
            await pair.writes(user, "1", **how)
        answers = await user.sends_photo(photo(), **how)
        assert "收到 1 张" in answers[0].text
        assert len({each.xml for each in answers}) == 1
        await pair.writes(user, "好了", **how)
        assert "已登记" in await pair.writes(user, "提交", **how)

    await asyncio.gather(*map(reports, pair.people.values()))
    repairs = pair.read(select(Repair))
    assert sorted(repair.what for repair in repairs) == sorted(f"厨房水龙头滴水{name}" for name in NAMES)
    assert sorted(repair.number for repair in repairs) == [1, 2, 3]
    assert pair.read(select(Talk)) == []
    kept = Counter(row.key for row in pair.read(select(Inbox)))
    assert (len(kept), set(kept.values())) == (3 * 4 + 1, {1})
    await pair.settles()
    tries = Counter(pair.read(select(Attempt.outgoing_id).where(Attempt.error == "")))
    assert set(tries.values()) == {1}
    assert fetched(pair) == 1


async def test_both_fetch_one_token_together_also_when_it_was_ended(pair: Pair) -> None:
    async def tokens(refused: str = "") -> str:
        clients = [app.wechat.client for app in pair.apps if app.wechat is not None]
        found = await asyncio.gather(*(each.tokens.renew(refused) for each in clients * 4))
        (token,) = set(found)
        return str(token)

    token = await tokens()
    assert fetched(pair) == 1
    pair.api.end_tokens()
    assert await tokens(token) != token
    assert fetched(pair) == 2
