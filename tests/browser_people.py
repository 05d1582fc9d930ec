"""The people of the tests in the playground: the same says and taps, on the phones that its page shows."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot import settings
from bot.app import App
from bot.playground import Message, Upload
from conversations.said import File
from tests.people import VOICES, Building, Phone, Shown, StoppedClock, photo, recording

COMMUNITY = 1
"""The only one of a fresh database; the playground names its chats by it."""


class BrowserBuilding(Building):
    """A community whose people all hold phones of the playground."""

    messenger = "browser"

    def __init__(self, data: Path, url: str, clock: StoppedClock) -> None:
        super().__init__(data, url, clock)
        self._show()

    def _app(self) -> App:
        found = settings.load(store={"data": str(self.data), "url": self.url}, policy=self.policy)
        return App(found, clock=self.clock)

    def _show(self) -> None:
        """Let the playground show this community, without phones of its own for everybody."""
        browser = self.app.browser
        browser.community, browser.community_id = self.community.name, self.community.id
        browser.zone = ZoneInfo(self.community.time_zone)

    async def restart(self) -> None:
        await self.app.stop()
        self.app = self._app()
        self._show()
        await self.settle()

    def account(self, name: str) -> str:
        return f"{COMMUNITY}.{name}"

    def chat_id(self, name: str) -> str:
        return self.account(name)

    def phone(self, name: str) -> Phone:
        return BrowserPhone(self, name, name)

    def group(self, member: str) -> Phone:
        return BrowserPhone(self, member, "staff", "staff")

    @property
    def board(self) -> Phone:
        return BrowserPhone(self, "board", "board", "board")

    @property
    def talk(self) -> list[str]:
        board = self.account("board")
        shown = self.app.browser.history(board, board)
        return [each.text for each in shown if each.id.startswith("p") and not each.deleted]


class BrowserChat:
    """A chat as its page shows it."""

    keyboard = ""

    def __init__(self, phone: "BrowserPhone") -> None:
        self.phone = phone
        self.known: dict[str, Shown] = phone.seen_before

    @property
    def messages(self) -> list[Shown]:
        phone, building = self.phone, self.phone.building
        history = building.app.browser.history(building.account(phone.place), building.account(phone.account))
        return [self._shown(each) for each in history if each.id.startswith("o") and not each.deleted]

    def _shown(self, message: Message) -> Shown:
        buttons = {button.label: button.value for button in message.buttons}
        assert len(buttons) == len(message.buttons), f"two buttons with one label: {message.buttons}"
        new = Shown(
            message.id,
            message.text,
            buttons,
            len(message.photos) + len(message.recordings),
            message.silent,
            message.urgent,
            message.edited,
        )
        old = self.known.setdefault(message.id, new)
        if (old.text, old.buttons) != (new.text, new.buttons):
            if old.text != new.text:
                old.seen = False
            old.text, old.buttons, old.edited = new.text, new.buttons, new.edited
        return old


class BrowserPhone(Phone):
    """A phone of the playground's page."""

    def __init__(self, building: Building, account: str, chat: str, kind: str = "private") -> None:
        super().__init__(building, account, chat, kind)
        known = building.__dict__.setdefault("screens", {})
        self.seen_before: dict[str, Shown] = known.setdefault(chat, {})

    @property
    def chat(self) -> Any:
        return BrowserChat(self)

    async def sends_photo(self, data: bytes | None = None) -> None:
        await self._send(uploads=[Upload("photo.jpg", "image/jpeg", data if data is not None else photo())])

    async def sends_recording(self, form: str = "ogg", data: bytes | None = None, *, words: str = "") -> None:
        if words:
            pytest.skip("the playground does not tell what a voice message says")
        mime = f"{'audio' if form in VOICES else 'video'}/{form}"
        upload = Upload(f"a.{form}", mime, data if data is not None else recording(form))
        await self._send(uploads=[upload])

    async def replies(self, text: str, to: Shown, *, edits: str = "", **what: Any) -> str:
        assert not edits, "nothing can be changed in the playground"
        await self._send(text=text, replies_to=to.id, **what)
        return ""

    async def posts(self, text: str = "", *, edits: str = "", at_once: bool = False, **what: Any) -> str:
        if edits:
            pytest.skip("nothing can be changed in the playground's group")
        assert not what
        self._look()
        building, key = self.building, f"{next(self.building.keys)}"
        board = building.account("board")
        said = await building.app.browser.say(
            place=board, who=building.account(self.account), key=key, text=text
        )
        assert said == "", said
        if not at_once:
            await building.settle()
        return key

    async def _send(self, *, key: str = "", files: tuple[File, ...] = (), **what: Any) -> None:
        assert not files, "photos are sent as they are chosen on the page"
        self._look()
        building = self.building
        said = await building.app.browser.say(
            place=building.account(self.place),
            who=building.account(self.account),
            key=key or f"{next(building.keys)}",
            **{name: value for name, value in what.items() if value},
        )
        assert said == "", said
        await building.settle()
