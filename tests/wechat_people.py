"""The owners of the tests on WeChat: the same says and taps, by numbers where there are no buttons."""

import html
import re
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from bot import settings
from bot.app import App
from bot.web import web
from conversations.said import File
from store.tables import Community, Outgoing, Place
from tests.people import VOICES, Building, Phone, Shown, StoppedClock, photo, recording
from tests.wechat_api import Shown as Message
from tests.wechat_api import User, WeChatApi

WORKERS = ("李师傅", "王师傅", "张师傅", "孙师傅", "刘经理", "staff", "board")
"""Who works for the community is on the messenger of the tests, as they would be on Telegram or in the playground."""
ADDRESS = "https://linli.test"
UNLIMITED = 10**6
LARGEST_PHOTO = 10 * 1024 * 1024
NUMBERED = re.compile(r"(?m)^(\d+)\. (.+)$")
TYPED = re.compile(r"(?:可以回复：|You can reply: |Or reply: )(.+)$", re.MULTILINE)
CHOICES = re.compile(
    r"\n\n(?:(?:\d+\. .+\n)+(?:回复数字选择。|Reply with a number\.).*|(?:可以回复：|You can reply: ).+)(?=\n\n|$)"
)
"""The lines that stand for buttons, which others see below the words."""
PHOTOS = re.compile(
    r"(?:(?:照片|语音|视频) (\d+) [张段]|(?:photos|voice messages|videos): (\d+))(?=[^\n]*(?:：|See )https?:)"
)
WORDS = re.compile('<p class="words">(.*?)</p>', re.DOTALL)
WHOLE = re.compile(rf"(?:全文：|The whole text: ){re.escape(ADDRESS)}(\S+)")


class WechatBuilding(Building):
    """A community whose owners and strangers are on WeChat; staff, crew and the board are elsewhere."""

    messenger = "wechat"
    has_group = False
    changes = False

    def __init__(self, data: Path, url: str, clock: StoppedClock, api: WeChatApi, **limits: Any) -> None:
        self.api = api
        self.limits = limits or {"free_messages": UNLIMITED, "free_hours": UNLIMITED, "digest_at": ""}
        """The settings of WeChat beside the account's own."""
        api.deliver = self.deliver
        self.users: dict[str, User] = {}
        self.screens: dict[str, WechatChat] = {}
        super().__init__(data, url, clock)

    def _app(self) -> App:
        api = self.api
        found = settings.load(
            store={"data": str(self.data), "url": self.url},
            web={"address": ADDRESS},
            playground={"enabled": False},
            wechat={
                "app_id": api.app_id,
                "app_secret": api.app_secret,
                "token": api.token,
                "aes_key": api.aes_key,
                "base_url": api.url,
                **self.limits,
            },
            policy=self.policy,
        )
        app = App(found, clock=self.clock, senders={"test": self._send})
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(web(app)), base_url=ADDRESS)
        return app

    async def deliver(self, method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Bring a callback to the program as it now runs."""
        answer = await self.http.request(method, "/wechat", params=query, content=body)
        return answer.status_code, answer.content

    def _furnish(self, session: Session) -> Community:
        community = super()._furnish(session)
        ends = self.clock.now() + timedelta(hours=UNLIMITED)
        for place in session.exec(select(Place).where(Place.messenger == "wechat")):
            place.free_until, place.free_left = ends, UNLIMITED  # as if they had just written
            session.add(place)
        return community

    def messenger_of(self, name: str) -> str:
        return "test" if name in WORKERS else "wechat"

    def user(self, name: str) -> User:
        """Somebody's account, who follows the service account and has written to it."""
        if name not in self.users:
            self.users[name] = user = self.api.user(name)
            self.screens[name] = WechatChat(self, user)
            user.following = True
            user.talk.until, user.talk.left = self.api.now() + UNLIMITED * 3600, UNLIMITED
        return self.users[name]

    def account(self, name: str) -> str:
        return name if name in WORKERS else self.user(name).openid

    def chat_id(self, name: str) -> str:
        return self.account(name)

    def phone(self, name: str) -> Phone:
        return super().phone(name) if name in WORKERS else WechatPhone(self, name, name)

    def values(self, openid: str) -> dict[str, str]:
        """What the buttons would be worth that were written to a chat, by their labels, the latest first."""
        rows = select(Outgoing).join(Place, Place.id == Outgoing.place_id).where(Place.external_id == openid)
        return {
            each["label"]: each["value"]
            for row in self.read(rows.order_by(Outgoing.id))
            for each in row.buttons
        }

    async def settle(self) -> None:
        await super().settle()
        for screen in self.screens.values():
            for message in screen.messages:
                if (link := WHOLE.search(message.text)) is not None and message.id not in screen.read:
                    page = (await self.http.get(link[1])).text
                    screen.read[message.id] = html.unescape(WORDS.findall(page)[0])

    async def close(self) -> None:
        await super().close()
        await self.http.aclose()


class WechatChat:
    """What a person's screen shows, as `Phone` looks at it: one message may hold several of ours."""

    keyboard = ""

    def __init__(self, building: WechatBuilding, user: User) -> None:
        self.building, self.user = building, user
        self.known: dict[int, Shown] = {}
        self.read: dict[str, str] = {}
        """The pages of long texts that were opened, by message."""
        self.ways: dict[tuple[str, str], tuple[str, str]] = {}
        """How to choose each label of a message: by a number, by its words, or by a tap on its line."""
        self.fresh: set[str] = set()
        """What was seen since its holder acted last."""

    @property
    def messages(self) -> list[Shown]:
        return [self._shown(message) for message in self.user.chat]

    def _shown(self, message: Message) -> Shown:
        if message.id not in self.known:
            photos = [int(count or other) for count, other in PHOTOS.findall(message.text)]
            self.known[message.id] = Shown(
                str(message.id),
                message.text,
                self._buttons(message),
                sum(photos),
                silent=False,
                urgent=True,
            )
        shown = self.known[message.id]
        words = CHOICES.sub("", message.text)
        for _, content in message.options:
            words = words.replace(f"\n{content}", "", 1)
        shown.text = self.read.get(shown.id, words)
        return shown

    def _buttons(self, message: Message) -> dict[str, str]:
        """What can be chosen, by label."""
        found = {label: ("number", number) for number, label in NUMBERED.findall(message.text)}
        for line in TYPED.findall(message.text):
            found |= {label: ("words", label) for label in re.split("[、,] ?", line)}
        found |= {re.sub(r"^\d+\. ", "", content): ("tap", number) for number, content in message.options}
        for label, way in list(found.items()):
            if way[0] == "words":  # with the number of its matter, "接单 17"
                found.setdefault(re.sub(r" \d+$", "", label), way)
        self.ways |= {(str(message.id), label): way for label, way in found.items()}
        values = self.building.values(self.user.openid) if found else {}
        return {label: values.get(label, "") for label in found}


class WechatPhone(Phone):
    """Somebody who talks with Linli on WeChat."""

    building: WechatBuilding

    @property
    def chat(self) -> Any:
        self.building.user(self.account)
        return self.building.screens[self.account]

    @property
    def user(self) -> User:
        return self.building.user(self.account)

    def sees(self, text: str, *labels: str) -> Shown:
        """One message of WeChat may hold several of ours: it can be seen more than once until one acts again."""
        for message in self.chat.messages:
            fresh = not message.seen or message.id in self.chat.fresh
            reads = text in message.text or text.replace("点「", "回复「") in message.text
            if fresh and reads and set(labels) <= set(message.buttons):
                message.seen = True
                self.chat.fresh.add(message.id)
                return message
        raise AssertionError(f"{self.account} does not see {text!r} {labels}:\n{self}")

    async def taps(self, label: str) -> None:
        for message in reversed(self.chat.messages):
            if label in message.buttons:
                how, what = self.chat.ways[message.id, label]
                if how == "tap":
                    await self._lets(lambda: self.user.taps(what, label))
                else:  # whoever looks further up writes the words: there other numbers stand below
                    words = what if message is self.last else label
                    await self._lets(lambda: self.user.writes(words))
                return
        raise AssertionError(f"{self.account} cannot choose {label!r}:\n{self}")

    async def sends_photo(self, data: bytes | None = None) -> None:
        bytes_ = data if data is not None else photo()
        if len(bytes_) > LARGEST_PHOTO:
            pytest.skip("WeChat makes such a photo smaller on its way")
        await self._lets(lambda: self.user.sends_photo(bytes_))

    async def sends_recording(self, form: str = "ogg", data: bytes | None = None, *, words: str = "") -> None:
        if form in VOICES:  # WeChat's own form
            bytes_ = data if data is not None else recording("amr")
            await self._lets(lambda: self.user.sends_voice(words, bytes_))
        else:
            bytes_ = data if data is not None else recording(form)
            await self._lets(lambda: self.user.sends_video(bytes_))

    async def shares_contact(self, number: str, *, own: bool = True) -> None:
        pytest.skip("WeChat has no button that shares one's number")

    async def sends_file(self, data: bytes, name: str) -> None:
        pytest.skip("nobody can send a file to a service account")

    async def _lets(self, *does: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._look()
        for each in does:
            await each()
            await self.building.settle()

    def _look(self) -> None:
        self.chat.fresh.clear()
        for message in self.chat.messages:
            message.seen = True

    async def _send(self, *, key: str = "", **what: Any) -> None:
        await self._lets(*self._does(**what))

    def _does(
        self,
        *,
        text: str = "",
        tap: str = "",
        on: str = "",
        files: tuple[File, ...] = (),
        other: str = "",
        **more: Any,
    ) -> list[Callable[[], Coroutine[Any, Any, object]]]:
        user = self.user
        if more:
            pytest.skip(f"WeChat has no {more} of this shape")
        if tap:
            return [lambda: user.taps(f"{on or 0}:{tap}", tap)]
        if other == "sticker":
            return [lambda: user.writes("【收到不支持的消息类型，暂无法显示】")]
        if re.search("[\0-\x08]", text):
            pytest.skip("nobody can send such a text on WeChat")
        if files and text:
            pytest.skip("a photo has no caption on WeChat")
        if files:
            return [self._sends(file) for file in files]
        if not text.strip():
            pytest.skip("nobody can send such a text on WeChat")
        return [lambda: user.writes(text)]

    def _sends(self, file: File) -> Callable[[], Coroutine[Any, Any, object]]:
        user = self.user
        if file.kind == "video":
            return lambda: user.sends_video(b"no video")
        if file.kind == "voice":
            return user.sends_voice
        if file.kind != "photo" or file.problem:  # a photo that is too large is made smaller on the way
            pytest.skip("nobody can send a file to a service account")
        return lambda: user.sends_photo(self._bytes(file))

    def _bytes(self, file: File) -> bytes:
        try:
            return self.building.app.media.read(file.storage)
        except FileNotFoundError:  # a made-up name stands for a photo of its own
            return photo(20 + sum(map(ord, file.storage[:3])) % 400)
