"""Linli on Telegram: the real client talks with a strict server, from the claim of the admin group to a repair done."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from bot import settings
from bot.app import App
from handlers.codes import claim_codes, invitations
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.tables import Community, Inbox, Outgoing
from tests.bot_api import BotApi, Group, User
from tests.people import ROSTER, photo

QUICK = {"per_second": 1000, "chat_per_second": 1000, "group_per_minute": 60000}
MEMBERS = {"owner": "陈女士", "neighbour": "周先生", "crew": "李师傅", "plumber": "王师傅"}


class Town:
    """A community on the strict server: its people with their phones, its groups, and the program."""

    def __init__(self, app: App, api: BotApi) -> None:
        self.app, self.api = app, api
        self.community = app.database.write_now(self._furnish)
        names = {"owner": "Chen", "neighbour": "Zhou", "crew": "Li", "plumber": "Wang", "boss": "刘经理"}
        self.people = {role: api.user(name) for role, name in names.items()}

    def _furnish(self, session: Session) -> Community:
        tx = Tx(session, self.app.clock.now(), self.app.house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        return community

    def write(self, work: Callable[[Tx], Any]) -> Any:
        return self.app.database.write_now(
            lambda session: work(Tx(session, self.app.clock.now(), self.app.house))
        )

    def code(self, name: str) -> str:
        made = self.write(lambda tx: invitations(tx, self.community, name, "telegram"))
        return str(made[0].code)

    def claim_code(self) -> str:
        return str(self.write(lambda tx: claim_codes(tx, "telegram", but=()))[0][1])

    async def sees(self, who: User | Group, text: str, *labels: str) -> Any:
        return await self.api.until(lambda: who.sees(text, *labels), within=10)

    async def taps(self, who: User, label: str, where: User | Group | None = None, text: str = "") -> Any:
        shown = await self.sees(where or who, text, label)
        return who.taps(shown, label)

    async def moves_in(self) -> None:
        """Everybody comes in by their link; the groups are claimed and linked."""
        for role, name in MEMBERS.items():
            self.people[role].starts(self.code(name))
            await self.sees(self.people[role], f"{name}，")
        boss = self.people["boss"]
        self.office = self.api.group("物业管理群", boss)
        self.office.adds_bot(boss)
        await self.sees(self.office, "还没有连到小区")
        boss.writes(f"/claim {self.claim_code()}", self.office)
        await self.taps(boss, "连接业主群", self.office)
        command = (await self.sees(self.office, "一小时内")).text.splitlines()[-1]
        self.board = self.api.group("阳光花园业主群", self.people["neighbour"])
        self.board.adds_bot(self.people["neighbour"])
        self.people["neighbour"].writes(command, self.board)
        await self.sees(self.board, "业主群")
        await self.sees(self.office, "业主群已连上")

    def read(self, query: Any) -> list[Any]:
        with self.app.database.read() as session:
            return list(session.exec(query).all())


@asynccontextmanager
async def program(data: Path, api: BotApi, **sections: Any) -> AsyncIterator[App]:
    """The program on this data, started; the playground is part of it."""
    found = settings.load(
        store={"data": str(data)},
        telegram={"token": api.token, "base_url": api.url, **QUICK},
        policy={"office_phone": "021-5555 0110"},
        **sections,
    )
    app = App(found)
    assert app.telegram is not None
    app.telegram.album_seconds = 0.05
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    async with BotApi(flood=False) as made:
        yield made
        assert made.mistakes == []


@pytest.fixture
async def town(api: BotApi, tmp_path: Path) -> AsyncIterator[Town]:
    async with program(tmp_path / "data", api) as app:
        made = Town(app, api)
        await made.moves_in()
        yield made


async def test_a_repair_goes_its_whole_way(town: Town) -> None:
    owner, neighbour, crew, plumber, boss = (
        town.people[role] for role in ("owner", "neighbour", "crew", "plumber", "boss")
    )
    owner.writes("厨房水龙头滴水")
    await town.taps(owner, "随时可以")
    owner.sends_album([photo(30), photo(31), photo(32)])
    await town.taps(owner, "好了", text="收到 3 张")
    await town.taps(owner, "提交", text="厨房水龙头滴水")
    await town.sees(owner, "王师傅")
    await town.sees(town.office, "厨房水龙头滴水", "升级为紧急")
    await town.sees(town.board, "水龙头")
    await town.sees(neighbour, "水龙头")
    assert "1201" not in town.board.sees("水龙头").text
    await town.taps(plumber, "接单")
    await town.sees(owner, "王师傅已接单")
    await town.taps(plumber, "我出发了")
    await town.taps(plumber, "修好了")
    plumber.sends_photo(photo(50), caption="换了垫圈")
    await town.taps(plumber, "好了", text="收到 1 张")
    await town.taps(owner, "确认修好", text="王师傅")
    await town.sees(town.board, "已修好")
    assert sum(shown.photos for shown in plumber.messages if shown.sender_id == town.api.bot_id) == 3
    assert [row.state for row in town.read(select(Outgoing).where(Outgoing.state == "failed"))] == []
    assert town.read(select(Inbox).where(Inbox.state == "failed")) == []
    assert all(tap.answered for tap in town.api.taps.values())
    assert crew.messages
    assert boss.id


async def test_an_emergency_reaches_the_crew_at_once(town: Town) -> None:
    owner, crew, boss = (town.people[role] for role in ("owner", "crew", "boss"))
    owner.writes("电梯里困了人")
    await town.sees(crew, "紧急报修", "接单")
    await town.sees(town.office, "紧急报修")
    await town.taps(crew, "接单")
    await town.sees(owner, "李师傅已接单")
    boss.writes("/tickets", town.office)
    await town.sees(town.office, "1", "查看 1")
