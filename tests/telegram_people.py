"""The people of the tests on Telegram: the same says and taps, through the real client and the strict server."""

import asyncio
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot import settings
from bot.app import App
from bot.telegram import HEARD
from conversations.said import File
from handlers.phones import normal_phone
from tests.bot_api import BotApi, Group, User
from tests.bot_api import Shown as Message
from tests.bot_api_people import SERVICE
from tests.people import VOICES, Building, Phone, Shown, StoppedClock, photo, recording

UNLIMITED = 10**7
FILES = ("photo", "voice", "audio", "video", "document")


class TelegramBuilding(Building):
    """A community whose people are all on Telegram."""

    messenger = "telegram"

    def __init__(self, data: Path, url: str, clock: StoppedClock, api: BotApi) -> None:
        self.api = api
        api.queue.allowed = HEARD
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.shown: dict[int, TelegramChat] = {}
        super().__init__(data, url, clock)

    def _app(self) -> App:
        limits = ("per_second", "chat_per_second", "group_per_minute")
        found = settings.load(
            store={"data": str(self.data), "url": self.url},
            playground={"enabled": False},
            telegram={
                "token": self.api.token,
                "base_url": self.api.url,
                **dict.fromkeys(limits, UNLIMITED),
            },
            policy=self.policy,
        )
        app = App(found, clock=self.clock)
        assert app.telegram is not None
        app.telegram.album_seconds = 0
        return app

    def user(self, name: str) -> User:
        """Somebody's account, who has started the bot."""
        if name not in self.users:
            self.users[name] = self.api.user(name)
            self.users[name].starts()
            self.api.queue.pending.clear()
        return self.users[name]

    def account(self, name: str) -> str:
        return str(self.user(name).id)

    def chat_id(self, name: str) -> str:
        if name in ("staff", "board"):
            return str(self.group_of(name).id)
        return self.account(name)

    def group_of(self, name: str) -> Group:
        """The admin group or the owners' group, of which the bot is an administrator."""
        if name not in self.groups:
            founder = self.user("刘经理")
            self.groups[name] = self.api.group(name, founder)
            self.groups[name].adds_bot(founder)
        return self.groups[name]

    async def open(self) -> None:
        telegram = self.app.telegram
        assert telegram is not None
        assert await telegram.is_reached()

    async def restart(self) -> None:
        await self.app.stop()
        self.app = self._app()
        await self.open()
        await self.settle()

    def phone(self, name: str) -> Phone:
        return TelegramPhone(self, name, name)

    def group(self, member: str) -> Phone:
        return TelegramPhone(self, member, "staff", "staff")

    @property
    def board(self) -> Phone:
        return TelegramPhone(self, "board", "board", "board")

    @property
    def talk(self) -> list[str]:
        bot = self.api.bot_id
        messages = self.group_of("board").messages
        return [each.text for each in messages if each.sender_id != bot and each.kind not in SERVICE]

    def is_silent(self, name: str) -> bool:
        return self.group_of("board").is_silenced(self.user(name).id)

    async def take(self, before: int, *, at_once: bool = False) -> None:
        """Let the program have what was sent since there were so many updates, and everything that follows."""
        telegram = self.app.telegram
        assert telegram is not None
        await asyncio.gather(*(telegram.take(raw) for raw in self.api.updates[before:]))
        if at_once:
            return
        await self.settle()
        for task in list(telegram.beside):
            await task


class TelegramChat:
    """A chat on the strict server, as `Phone` looks at one: a text and the photos below it are one message."""

    def __init__(self, building: TelegramBuilding, name: str) -> None:
        self.building, self.name = building, name
        self.known: dict[int, Shown] = {}

    @property
    def keyboard(self) -> str:
        keys = self.building.api.chats[int(self.building.chat_id(self.name))].keys
        return "contact" if any(key.get("request_contact") for key in keys) else ""

    @property
    def messages(self) -> list[Shown]:
        number = int(self.building.chat_id(self.name))
        standing: list[Shown] = []
        pinned = self.building.api.chats[number].pinned
        for message in self.building.api.chats[number].from_bot:
            if message.kind == "pinned_message":
                continue
            if message.kind in FILES and not message.text:
                standing[-1].photos += 1
            else:
                standing.append(self._shown(message, message.photos))
                standing[-1].pinned = message.message_id in pinned
        return standing

    def _shown(self, message: Message, photos: int) -> Shown:
        now = Shown(
            str(message.message_id),
            message.text,
            message.buttons,
            photos,
            message.silent,
            urgent=not message.silent,
        )
        old = self.known.setdefault(message.message_id, now)
        old.photos = photos
        if (old.text, old.buttons) != (now.text, now.buttons):
            words = now.text.partition("\n\n✓ ")[0]
            closed = words == old.text and set(now.buttons) < set(old.buttons)
            old.text, old.buttons = now.text, now.buttons
            if not closed:
                old.edited, old.seen = True, False
        return old


class TelegramPhone(Phone):
    """Somebody who talks with Linli on Telegram."""

    building: TelegramBuilding

    @property
    def chat(self) -> Any:
        return self.building.shown.setdefault(
            int(self.building.chat_id(self.place)), TelegramChat(self.building, self.place)
        )

    async def sends_photo(self, data: bytes | None = None) -> None:
        bytes_ = data if data is not None else photo()
        await self._lets(lambda: self.user.sends_photo(bytes_, chat=self.where))

    async def sends_recording(self, form: str = "ogg", data: bytes | None = None, *, words: str = "") -> None:
        if words:
            pytest.skip("Telegram does not tell what a voice message says")
        bytes_ = data if data is not None else recording(form)
        if form in VOICES:
            await self._lets(lambda: self.user.sends_voice(bytes_, self.where))
        else:
            await self._lets(lambda: self.user.sends_video(bytes_, chat=self.where))

    async def shares_contact(self, number: str, *, own: bool = True) -> None:
        known = normal_phone(number)
        account = known if known.startswith("+") else f"+86{known}"
        await self._lets(
            lambda: self.user.shares_contact(account) if own else self.user.sends_contact(number)
        )

    async def sends_file(self, data: bytes, name: str) -> None:
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        await self._lets(lambda: self.user.sends_document(data, name, mime, chat=self.where))

    async def posts(self, text: str = "", *, edits: str = "", at_once: bool = False, **what: Any) -> str:
        assert not what, f"Telegram has no {what} of this shape"
        group, before = self.building.group_of("board"), len(self.building.api.updates)
        self._look()
        group.settles(self.user)
        old = group.kept[int(edits)].shown() if edits else None
        body = self.user.writes(text, group) if old is None else self.user.edits(old, text)
        await self.building.take(before, at_once=at_once)
        return str(body["message_id"])

    async def replies(self, text: str, to: Shown, *, edits: str = "", **what: Any) -> str:
        assert self.where is not None, "staff reply in their group"
        if edits:
            old = self.where.kept[int(edits)].shown()
            await self._lets(lambda: self.user.edits(old, text))
            return edits
        card = next(each for each in self.where.from_bot if str(each.message_id) == to.id)
        sent: list[dict[str, Any]] = []
        files = tuple(what.pop("files", ()))
        assert not what, f"Telegram has no {what} of this shape"
        if files:
            await self._lets(
                lambda: sent.append(
                    self.user.sends_photo(self._bytes(files[0]), text, self.where, reply_to=card)
                )
            )
        else:
            await self._lets(lambda: sent.append(self.user.writes(text, self.where, reply_to=card)))
        return str(sent[0]["message_id"])

    async def _lets(self, does: Callable[[], object]) -> None:
        """Let somebody do something, in a group as its member, and all that follows from it."""
        self._look()
        before = len(self.building.api.updates)
        if self.where is not None and self.user.id not in self.where.members:
            self.where.joins(self.user)
        does()
        await self.building.take(before)

    @property
    def user(self) -> User:
        return self.building.user(self.account)

    @property
    def where(self) -> Group | None:
        return None if self.kind == "private" else self.building.group_of(self.place)

    async def _send(self, *, key: str = "", **what: Any) -> None:
        await self._lets(lambda: self._does(**what))

    def _does(
        self,
        *,
        text: str = "",
        tap: str = "",
        on: str = "",
        files: tuple[File, ...] = (),
        other: str = "",
        edited: bool = False,
        thread: str = "",
        **more: Any,
    ) -> None:
        if more or thread:
            pytest.skip(f"Telegram has no {more} of this shape")
        user, where = self.user, self.where
        if tap:
            user.forges(self._message(on), tap)
        elif edited:
            user.edits([each for each in user.chat.messages if each.sender_id == user.id][-1], text)
        elif other == "sticker":
            user.sends_sticker(where)
        elif files:
            self._sends_files(text, files)
        elif text.strip() and len(text) <= 4096:
            user.writes(text, where)
        else:
            pytest.skip("nobody can send such a text on Telegram")

    def _message(self, on: str) -> Message:
        chat = self.where or self.user.chat
        found = [message for message in chat.from_bot if on in ("", str(message.message_id))]
        if not found:
            pytest.skip("Telegram knows no press of a button without its message")
        return found[-1]

    def _sends_files(self, text: str, files: tuple[File, ...]) -> None:
        first, user, where = files[0], self.user, self.where
        photos = [self._bytes(file) for file in files]
        if first.kind == "video":
            user.sends_video(b"no video", text, where)
        elif first.problem == "too_large":
            user.sends_document(b"x", "a.jpg", "image/jpeg", text, where, size=30_000_000)
        elif first.kind != "photo" or first.problem:
            user.sends_document(b"no photo", "a.jpg", "image/jpeg", text, where)
        elif len(photos) > 1:
            user.sends_album(photos, text, where)
        else:
            user.sends_photo(photos[0], text, where)

    def _bytes(self, file: File) -> bytes:
        try:
            return self.building.app.media.read(file.storage)
        except FileNotFoundError:  # a made-up name stands for a photo of its own
            return photo(20 + sum(map(ord, file.storage[:3])) % 400)
