"""One community on WeChat, on Telegram and in the playground: the served program beside both strict servers."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from sqlmodel import col, select

from bot import settings
from bot.app import App
from bot.web import Server
from handlers.codes import invitations
from store.tables import Attempt, Inbox, Notice, Outgoing, Person
from tests.bot.hall import open_port
from tests.bot.test_telegram import QUICK, Town
from tests.bot.wechat_settings import settings_of
from tests.bot_api import BotApi, Group
from tests.bot_api import User as TelegramUser
from tests.people import StoppedClock, photo
from tests.serving import RESTED
from tests.wechat_api import Shown, User, WeChatApi

WITHIN = 60
"""Seconds, by the real clock, after which what does not come will not come."""
LINK = re.compile(r"http://\S+/p/\w+")
REPORT = (
    ("报修", "哪里需要报修？"),
    ("99", "没看懂您选哪一个"),
    ("我家", "什么坏了？"),
    ("书房的灯不亮", "师傅什么时候可以上门？"),
    ("返回", "什么坏了？"),
    ("{what}", "师傅什么时候可以上门？"),
    ("42", "没看懂您选哪一个"),
    ("1", "有照片吗？"),
    ("", "收到 1 张"),
    ("好了", "{what}"),
    ("7", "还没有提交"),
    ("提交", "已登记"),
)
"""What an owner says from the first word to the last, and what is then said to them; "" is a photo."""

HELD = select(Outgoing.id).where(Outgoing.state == "held")


class Estate(Town):
    """The community with its owners on both messengers, and the program as the network reaches it."""

    def __init__(self, app: App, telegram: BotApi, wechat: WeChatApi, clock: StoppedClock) -> None:
        super().__init__(app, telegram)
        self.wechat, self.clock = wechat, clock
        self.http = httpx.AsyncClient(
            base_url=app.settings.web.address, trust_env=False, timeout=60, limits=RESTED
        )
        wechat.deliver = self._deliver

    async def _deliver(self, method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        answer = await self.http.request(method, "/wechat", params=query, content=body)
        return answer.status_code, answer.content

    def wechat_code(self, name: str) -> str:
        made = self.write(lambda tx: invitations(tx, self.community, name, "wechat"))
        return str(made[0].code)

    async def scans_in(self, name: str) -> "OnWechat":
        """An owner scans the QR code of their invitation, reads what is stored, and agrees by typing."""
        assert self.app.wechat is not None
        code, owner = self.wechat_code(name), OnWechat(self, self.wechat.user(name))
        await self.app.wechat.client.create_qr(code, 3600)
        await owner.user.scans(code)
        await self._agrees(owner, name)
        return owner

    async def types_in(self, name: str) -> "OnWechat":
        """An owner follows by themselves and types the code of their invitation."""
        owner = OnWechat(self, self.wechat.user(name))
        await owner.user.follows()
        await owner.sees("我还不认识您")
        await owner.says(self.wechat_code(name))
        await self._agrees(owner, name)
        return owner

    async def _agrees(self, owner: "OnWechat", name: str) -> None:
        await owner.sees(f"{name}，您好，欢迎来到")
        await owner.says("这是什么")
        await owner.sees("还没有开始")
        await owner.says("同意")
        await owner.sees("直接打字告诉我")

    async def later(self, **time: float) -> None:
        """Let time pass, and what became due happen."""
        self.clock.at += timedelta(**time)
        await self.app.ticker.tick()

    async def settles(self) -> None:
        """Wait until every notice has reached everybody and everything is delivered."""
        opened = select(Notice.id).where(col(Notice.done_at).is_(None))
        waiting = select(Outgoing.id).where(Outgoing.state == "waiting")
        await self.api.until(lambda: not (self.read(opened) or self.read(waiting)), within=WITHIN)


class Owner(Protocol):
    """Somebody who reports, wherever they are."""

    async def says(self, text: str) -> None: ...
    async def sends_photo(self) -> None: ...
    async def sees(self, text: str) -> Any: ...


class OnWechat:
    """An owner on WeChat."""

    def __init__(self, estate: Estate, user: User) -> None:
        self.estate, self.user = estate, user
        self.before = 0

    async def says(self, text: str) -> None:
        self.before = len(self.user.chat)
        await self.user.writes(text)

    async def sends_photo(self) -> None:
        self.before = len(self.user.chat)
        await self.user.sends_photo(photo())

    async def sees(self, text: str, rung: str = "") -> Shown:
        """What has come since they wrote last and holds the text."""

        def found() -> Shown | None:
            fresh = [each for each in self.user.chat[self.before :] if text in each.text]
            return next((each for each in fresh if rung in ("", each.rung)), None)

        try:
            shown = await self.estate.api.until(found, within=WITHIN)
        except AssertionError as error:
            raise AssertionError(f"no {text!r} {rung} in {self.user.chat[self.before :]}") from error
        assert shown is not None
        return shown

    async def opens(self, link: str) -> httpx.Response:
        """Open a page whose address stands in a message or behind it."""
        found = LINK.search(link)
        assert found is not None, link
        page = await self.estate.http.get(found[0])
        assert page.status_code == 200, page.text
        return page

    async def presses(self, page: httpx.Response, label: str) -> str:
        """Press a button of a page; the page that answers."""
        (action,) = set(re.findall(r'<form method="post" action="(.*?)">', page.text))
        (press,) = re.findall(r'name="press" value="(.*?)"', page.text)
        buttons = re.findall(r'<button name="value" value="(.*?)">(.*?)</button>', page.text)
        values = {unescape(name): unescape(value) for value, name in buttons}
        form = {"press": press, "value": values[label]}
        answer = await self.estate.http.post(action, data=form)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)


class OnTelegram:
    """An owner on Telegram."""

    def __init__(self, estate: Estate, user: TelegramUser) -> None:
        self.estate, self.user = estate, user
        self.before = 0

    async def says(self, text: str) -> None:
        self.before = len(self.user.chat.messages)
        self.user.writes(text)

    async def sends_photo(self) -> None:
        self.before = len(self.user.chat.messages)
        self.user.sends_photo(photo())

    async def sees(self, text: str) -> Any:
        return await self.estate.api.until(
            lambda: [each for each in self.user.chat.messages[self.before :] if text in each.text],
            within=WITHIN,
        )


# --- who works there ----------------------------------------------------------------------------------


class Desk(Protocol):
    """Somebody who works for the community, or the board, on one of the messengers."""

    async def asks(self, text: str) -> str: ...
    async def sees(self, text: str, *labels: str) -> None: ...
    async def taps(self, label: str, text: str = "") -> None: ...


class TelegramDesk:
    """In a private chat or a group on Telegram."""

    def __init__(self, estate: Estate, user: TelegramUser, group: Group | None = None) -> None:
        self.estate, self.user, self.group = estate, user, group

    async def asks(self, text: str) -> str:
        chat = self.group or self.user.chat
        before = len(chat.from_bot)
        self.user.writes(text, self.group)
        answers = await self.estate.api.until(lambda: chat.from_bot[before:], within=WITHIN)
        return str(answers[0].text)

    async def sees(self, text: str, *labels: str) -> None:
        await self.estate.sees(self.group or self.user, text, *labels)

    async def taps(self, label: str, text: str = "") -> None:
        await self.estate.taps(self.user, label, self.group, text)


class PlaygroundDesk:
    """On a screen of the playground, as its page calls the program."""

    keys = itertools.count(1)

    def __init__(self, estate: Estate, slot: str, name: str = "") -> None:
        self.estate = estate
        number = estate.community.id
        (person,) = estate.read(select(Person.id).where(Person.name == name)) if name else [0]
        self.seat = {"slot": slot, "who": f"{number}.p{person}" if name else ""}

    async def asks(self, text: str) -> str:
        before = {each["id"] for each in await self._messages()}
        await self._say(text=text)
        async with asyncio.timeout(WITHIN):
            while True:
                fresh = [each for each in await self._messages() if each["id"] not in before]
                if answers := [each for each in fresh if not each["mine"]]:
                    return str(answers[0]["text"])
                await asyncio.sleep(0.02)

    async def sees(self, text: str, *labels: str) -> None:
        await self._found(text, labels)

    async def taps(self, label: str, text: str = "") -> None:
        shown = await self._found(text, (label,))
        value = next(each["value"] for each in shown["buttons"] if each["label"] == label)
        await self._say(tap=value, on=shown["id"])

    async def _say(self, **fields: str) -> None:
        said = {**self.seat, "key": f"{next(self.keys)}", **fields}
        answer = await self.estate.http.post("/playground/say", data=said)
        assert answer.json() == {}

    async def _found(self, text: str, labels: tuple[str, ...]) -> dict[str, Any]:
        """The last message that holds the text and has these buttons, as soon as there is one."""
        async with asyncio.timeout(WITHIN):
            while True:
                for shown in reversed(await self._messages()):
                    has = {each["label"] for each in shown["buttons"]}
                    if not shown["mine"] and text in shown["text"] and set(labels) <= has:
                        return shown
                await asyncio.sleep(0.02)

    async def _messages(self) -> list[dict[str, Any]]:
        answer = await self.estate.http.get("/playground/history", params=self.seat)
        return list(answer.json()["messages"])


class Desks:
    """Where staff, crew and the board are."""

    def __init__(self, crew: Desk, plumber: Desk, staff: Desk, board: Desk) -> None:
        self.crew, self.plumber, self.staff, self.board = crew, plumber, staff, board


async def desks_on_telegram(estate: Estate) -> Desks:
    await estate.moves_in(("neighbour", "crew", "plumber"))
    people = estate.people
    return Desks(
        TelegramDesk(estate, people["crew"]),
        TelegramDesk(estate, people["plumber"]),
        TelegramDesk(estate, people["boss"], estate.office),
        TelegramDesk(estate, people["neighbour"], estate.board),
    )


async def desks_in_the_playground(estate: Estate) -> Desks:
    await estate.app.browser.open()
    await estate.comes_in("neighbour")
    return Desks(
        PlaygroundDesk(estate, "crew", "李师傅"),
        PlaygroundDesk(estate, "crew", "王师傅"),
        PlaygroundDesk(estate, "staff", "刘经理"),
        PlaygroundDesk(estate, "board"),
    )


# --- the program --------------------------------------------------------------------------------------


@asynccontextmanager
async def estate_in(data: Path, *, playground: bool = False, **wechat: Any) -> AsyncIterator[Estate]:
    """The program on a free port of this machine, which both strict servers call; at the end neither has a mistake."""
    clock = StoppedClock()

    def now() -> float:
        return clock.now().timestamp()

    async with (
        WeChatApi(now=now) as their,
        BotApi(flood=False, now=now, insecure_webhooks=True) as telegram,
    ):
        port = open_port()
        found = settings.load(
            store={"data": str(data)},
            web={"port": port, "address": f"http://127.0.0.1:{port}"},
            telegram={"token": telegram.token, "base_url": telegram.url, **QUICK},
            wechat=settings_of(their, **wechat).model_dump(),
            playground={"enabled": playground},
            policy={"office_phone": "021-5555 0110"},
        )
        app = App(found, clock=clock)
        server = Server(app)
        await app.start()
        serving = asyncio.create_task(server.serve(sockets=[server.socket]))
        estate = Estate(app, telegram, their, clock)
        try:
            await telegram.until(lambda: server.started and telegram.queue.webhook.url, within=WITHIN)
            yield estate
            await estate.settles()
            assert estate.read(select(Inbox).where(Inbox.state == "failed")) == []
            assert estate.read(select(Outgoing).where(Outgoing.state == "failed")) == []
        finally:
            await estate.http.aclose()
            app.browser.stop()
            server.should_exit = True
            await serving
            await app.stop()
        assert their.mistakes == []
        assert telegram.mistakes == []


async def reports(owner: Owner, what: str) -> None:
    """Report step by step, with slips, one step back and a photo."""
    for says, sees in REPORT:
        if says:
            await owner.says(says.format(what=what))
        else:
            await owner.sends_photo()
        await owner.sees(sees.format(what=what))


# --- the whole way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["telegram", "playground"])
async def test_owners_on_both_messengers_are_of_one_community(tmp_path: Path, where: str) -> None:
    """Their matters stand on one board and in each other's chats, at once or in a digest."""
    in_playground = where == "playground"
    digest_at = "" if in_playground else "09:30"
    async with estate_in(tmp_path / "data", playground=in_playground, digest_at=digest_at) as estate:
        desks = await (desks_in_the_playground if in_playground else desks_on_telegram)(estate)
        chen = await (estate.types_in if in_playground else estate.scans_in)("陈女士")
        zhou = OnTelegram(estate, estate.people["neighbour"])
        await reports(chen, "厨房水龙头滴水")
        await zhou.sees("报修 1 · 3 号楼 · 水龙头")
        await reports(zhou, "家里的水龙头松了")
        for words in ("厨房水龙头滴水", "家里的水龙头松了"):
            await desks.board.sees(words)
            await desks.staff.sees(words, "升级为紧急")
        if digest_at:
            await reports(zhou, "卫生间马桶堵了")
        await sees_of_the_other(estate, chen, digest=bool(digest_at))
        await is_repaired(estate, desks, chen)
        await zhou_confirms(estate, desks, zhou)
        photos = estate.read(select(Inbox).where(col(Inbox.messenger) == "wechat"))
        assert sum(len(row.payload["files"]) for row in photos) == 1


async def sees_of_the_other(estate: Estate, chen: OnWechat, *, digest: bool) -> None:
    """What the neighbour reported comes into the owner's chat, and its page shows the photo."""
    if digest:
        await estate.settles()
        assert not [each for each in chen.user.chat if "家里的水龙头松了" in each.text]
        await estate.later(hours=1)
    shown = await chen.sees("报修 2", "custom")
    assert ("公示栏有 2 条新消息" in shown.text) == digest
    assert "1202" not in shown.text
    if digest:  # its page is one tap away
        assert not LINK.search(shown.text)
        await estate.settles()  # nobody is quicker than the answer to the request that brought it
        await chen.says("1")
        shown = await chen.sees("家里的水龙头松了")
    page = await chen.opens(shown.text)
    assert "家里的水龙头松了" in page.text
    assert "1202" not in page.text
    images = re.findall(r'<img src="(.*?)"', page.text)
    assert len(images) == 1
    for image in images:
        picture = await estate.http.get(image)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


async def is_repaired(estate: Estate, desks: Desks, chen: OnWechat) -> None:
    """The plumber comes two days later; the owner, who was not heard since, confirms on the page of the template."""
    await desks.plumber.taps("接单", "厨房水龙头滴水")
    await chen.sees("王师傅已接单", "custom")
    await estate.later(hours=49)
    await desks.plumber.taps("我出发了", "厨房水龙头滴水")
    await chen.sees("王师傅已出发", "template")
    await desks.plumber.taps("修好了", "厨房水龙头滴水")
    await desks.plumber.taps("跳过", "拍一张修好的照片")
    await desks.plumber.taps("跳过", "做了什么？")
    shown = await chen.sees("说已经修好", "template")
    await estate.wechat.finish_templates()
    page = await chen.opens(shown.url)
    assert "已修，等业主确认" in page.text
    assert "报修 1 完成" in await chen.presses(page, "确认修好")
    assert "已修好" in (await chen.opens(shown.url)).text
    await desks.board.sees("厨房水龙头滴水\n已修好")
    await desks.staff.sees("已修好 · 王师傅")
    await desks.plumber.sees("已修好 · 王师傅")


async def zhou_confirms(estate: Estate, desks: Desks, zhou: OnTelegram) -> None:
    """The neighbour's repair goes the short way: done and confirmed where they are."""
    await desks.crew.taps("接单", "家里的水龙头松了")
    await zhou.sees("李师傅已接单（报修 2）")
    await desks.crew.taps("修好了", "家里的水龙头松了")
    await desks.crew.taps("跳过", "拍一张修好的照片")
    await desks.crew.taps("跳过", "做了什么？")
    await estate.taps(zhou.user, "确认修好", text="报修 2")
    await desks.board.sees("家里的水龙头松了\n已修好")


# --- further down the ladder --------------------------------------------------------------------------


async def agrees_to_one_notification(estate: Estate, chen: OnWechat) -> None:
    """At the end of a report its owner opens the page and agrees, once."""
    asked = next(each.text for each in chen.user.chat if "点开同意一次通知" in each.text)
    page = await chen.opens(asked.partition("点开同意一次通知")[2])
    assert "wx-open-subscribe" in page.text
    await chen.user.answers_consent(estate.wechat.notification)


async def test_who_was_not_heard_for_two_days_is_reached_by_the_next_rung_or_stands_on_the_list(
    tmp_path: Path,
) -> None:
    """The template refuses, so there is one notification; what comes after it waits, and staff read whom to call."""
    async with estate_in(tmp_path / "data", playground=True, template="") as estate:
        desks = await desks_in_the_playground(estate)
        chen = await estate.scans_in("陈女士")
        await reports(chen, "厨房水龙头滴水")
        await agrees_to_one_notification(estate, chen)
        await estate.later(hours=49)
        await desks.plumber.taps("接单", "厨房水龙头滴水")
        shown = await chen.sees("王师傅已接单", "subscribe")
        assert "王师傅" in (await chen.opens(shown.url)).text
        await estate.settles()
        assert "都通知到了" in await desks.staff.asks("名单")
        await desks.plumber.taps("我出发了", "厨房水龙头滴水")
        await estate.api.until(lambda: estate.read(HELD), within=WITHIN)
        assert re.search("3 号楼 2 单元 1201 陈女士.*：王师傅已出发", await desks.staff.asks("名单"))
        tried = select(Attempt.rung).where(Attempt.outgoing_id == estate.read(HELD)[0], Attempt.error != "")
        assert set(estate.read(tried)) >= {"free", "template", "notification"}
        await chen.says("在吗")
        await chen.sees("王师傅已出发")
        await estate.settles()
        assert "都通知到了" in await desks.staff.asks("名单")
        assert estate.read(HELD) == []
