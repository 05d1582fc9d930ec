"""Telegram: an update becomes a Said, a row to send becomes a message; polling or the webhook around them."""

import asyncio
import hashlib
import hmac
import os
import time
import unicodedata
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import structlog
import telegram
from sqlmodel import Session, col, select
from telegram import (
    Bot,
    ChatPermissions,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    KeyboardButton,
    LinkPreviewOptions,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from bot.delivery import Blocked, Later, Letter, Moved, Never, Taken
from bot.settings import Telegram as Settings
from bot.telegram_introduction import introduce, introduce_group
from bot.telegram_said import NAME, album_of, files_of, is_in, is_no_word_to_us, said_from
from conversations.said import Change, File, Said
from conversations.steps import RECORDINGS
from conversations.words import LANGUAGES, texts
from handlers.posts import RESTORED
from store.database import StoreUnavailable
from store.media import ENDINGS
from store.tables import Community, Media, Member, Outgoing, Place, Post, Talk
from store.vault import WrongKey

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

# A wait is then a timedelta, as it will be in the library's next version; without this, reading it warns.
os.environ.setdefault("PTB_TIMEDELTA", "1")

T = TypeVar("T")
POLL_SECONDS = 50
HEARD = ["message", "edited_message", "callback_query", "my_chat_member", "chat_member"]
LONGEST_CAPTION = 1024
LONGEST_TEXT = 4096
ALBUM = 10
WIDEST_ROW = 26  # columns; a Chinese character takes two
MOST_IN_ROW = 4
TRIES_TO_FETCH = 3
FETCHED_AT_ONCE = 4  # of up to 20 MB each
ASK_AGAIN = 600  # seconds
TRIES_TO_KEEP = 20  # of an update on which we ourselves stumble
REMEMBERED = 1000
MOST_DELETED = 100  # messages in one request
ADMINISTRATORS_LAST = 60  # seconds; where we are an administrator, we hear of changes at once
UNKNOWN_BOT = (
    "Telegram 不认识这个 token，请检查 LINLI_TELEGRAM__TOKEN。"
    "Telegram does not know the token; please check it."
)
NO_NETWORK = (
    "Telegram 连不上，会一直重试；请检查网络（需要代理就设 HTTPS_PROXY）。"
    "Telegram cannot be reached and is tried again; please check the network."
)
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
# What Telegram answers to a change of a message that is not there, or not ours, or too old.
NOT_THERE = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message to delete not found",
    "there is no text in the message to edit",
    "there is no caption in the message to edit",
)
WAYS = {
    "audio/ogg": ("voice", "document"),
    "audio/mpeg": ("voice", "audio", "document"),
    "audio/mp4": ("voice", "audio", "document"),
    "video/mp4": ("video", "document"),
}
"""How a recording is sent, by its type: as what plays in the chat, if that is refused as a file; others are files.

Voice messages of a bot are Ogg, MP3 or M4A, videos MPEG4; whoever has Premium may refuse voice messages.
"""
TOPICS = ("repair",)
"""The kinds of matters that have a topic of their own in a group with topics."""


@dataclass
class Begun:
    """How far a message has come that was broken off: its words stand there, and so many of its files behind them."""

    message_id: str
    parts: list[str] = field(default_factory=list)
    groups: int = 0


@dataclass
class Album:
    """The parts of an album that have come so far, and the task that takes them together."""

    came: list[tuple[Said, Sequence[tuple[str, Any]]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Telegram:
    """The messenger on python-telegram-bot: `take` is its way in, `send` its way out."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self.bot = bot_of(app.settings.telegram)
        token = app.settings.telegram.token.get_secret_value()
        self.secret = hmac.new(token.encode(), b"linli webhook", hashlib.sha256).hexdigest()
        self.turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One chat's updates act one after another."""
        self.albums: dict[str, Album] = {}
        self.album_seconds = 0.5
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        """How it waits until it tries again, and for the rest of an album."""
        self.fetching = asyncio.Semaphore(FETCHED_AT_ONCE)
        self.beside: set[asyncio.Task[None]] = set()
        """Answers to presses of buttons, which nobody waits for."""
        self.uploaded: dict[str, str] = {}
        """Telegram's names of files that it has already, by the way in which they went and their key in our storage."""
        self.trouble = ""
        """A sentence for the person at the terminal: why Telegram is not reached."""
        self.begun: dict[tuple[int, int], Begun] = {}
        """What stands of a row already, by row and place: only the files that are missing are tried again."""
        self.administrators: dict[str, tuple[float, frozenset[str]]] = {}
        """Who administrates a community's group, and when Telegram said so."""
        self.members: set[tuple[str, str]] = set()
        """Who is known to be in which group."""
        self.no_topics: dict[int, float] = {}
        """Until when groups that let us make no topic are not asked again."""
        self.gone_topics: set[tuple[int, int]] = set()
        """Topics in which somebody spoke and that are not there any more, each with its place."""
        self.introduced: set[int] = set()

    # --- the start ---

    async def is_reached(self) -> bool:
        """Whether Telegram has told us who we are, so that updates can be read; asks if it has not yet."""
        try:
            await self.bot.initialize()
        except InvalidToken:
            self.trouble = UNKNOWN_BOT
        except TelegramError as error:
            log.warning("Telegram is not reached", error=str(error))
            self.trouble = NO_NETWORK
        else:
            self.trouble = ""
        return not self.trouble

    def link(self, code: str) -> str:
        """The address that brings the holder of a code in; "" until Telegram has told us our name."""
        try:
            return f"https://t.me/{self.bot.username}?start={code}"
        except RuntimeError:  # not reached yet
            return ""

    async def run(self) -> None:
        """Take updates for as long as this process is the one that does."""
        while not await self.is_reached():  # nobody tells us when the network is back
            log.error(self.trouble)
            await self.sleep(5)
        self._beside(introduce(self.bot))
        if self.app.settings.web.address and await self._set_webhook():
            await asyncio.Event().wait()  # the pages take what comes
        await self._poll()

    async def close(self) -> None:
        """Let go of the connections."""
        for task in list(self.beside):
            task.cancel()
        await asyncio.gather(*self.beside, return_exceptions=True)
        await self.bot.shutdown()

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.beside.add(task)
        task.add_done_callback(self.beside.discard)

    async def _set_webhook(self) -> bool:
        """Let Telegram call us; False if it refuses to, for example because of the port."""
        url = f"{self.app.settings.web.address.rstrip('/')}/telegram"
        while True:
            try:
                await self.bot.set_webhook(
                    url, secret_token=self.secret, allowed_updates=HEARD, max_connections=40
                )
                return True
            except BadRequest as error:
                log.error("Telegram refuses the webhook, we poll instead", error=str(error))
                return False
            except TelegramError as error:
                log.error("the webhook is not set yet", error=str(error))
                await self.sleep(_seconds(error, 5))

    # --- the way in ---

    async def _poll(self) -> None:
        """Fetch updates; one is confirmed to Telegram only after it, and all before it, are committed."""
        taking: dict[int, asyncio.Task[None]] = {}
        offset = 0
        try:
            await self._try_until_done(self.bot.delete_webhook)
            while True:
                done = [number for number, task in sorted(taking.items()) if task.done()]
                open_ = [number for number in taking if number not in done]
                offset = min(open_) if open_ else max(done, default=offset - 1) + 1
                updates = await self._try_until_done(partial(self._updates, offset, wait=not open_))
                for number in [number for number in taking if number < offset]:
                    del taking[number]
                for raw in updates:
                    if raw["update_id"] not in taking:
                        taking[raw["update_id"]] = asyncio.create_task(self._take_surely(raw))
                if taking:
                    await asyncio.wait(taking.values(), timeout=0.5)
        finally:
            if taking:
                _, late = await asyncio.wait(taking.values(), timeout=5)
                for task in late:
                    task.cancel()

    async def _updates(self, offset: int, *, wait: bool) -> list[dict[str, Any]]:
        # The library's get_updates reads all of them or none: one that it cannot read would stop us for ever.
        seconds = POLL_SECONDS if wait else 0
        data = {"offset": offset, "timeout": seconds, "allowed_updates": HEARD}
        raws: Any = await self.bot._post("getUpdates", data, read_timeout=seconds + 10)
        return list(raws)

    async def _try_until_done(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while True:
            try:
                return await work()
            except Conflict as error:
                log.error("another program takes this bot's updates: only one may run", error=str(error))
                await self.sleep(5)
            except TelegramError as error:
                log.warning("Telegram does not answer", error=str(error))
                await self.sleep(_seconds(error, 2))

    async def _take_surely(self, raw: dict[str, Any]) -> None:
        tries = 1
        while True:
            try:
                await self.take(raw)
                return
            except StoreUnavailable as error:
                log.error("an update waits for the database", update=raw["update_id"], error=str(error))
                await self.sleep(1)
            except Exception:  # not kept, so not confirmed; but one such update must not stop us for ever
                log.exception("an update was not kept", update=raw["update_id"], tries=tries)
                if tries == TRIES_TO_KEEP:
                    return
                tries += 1
                await self.sleep(5)

    async def take(self, raw: dict[str, Any]) -> None:
        """Let one update act; on return it is committed, and may be confirmed.

        Raises StoreUnavailable when nothing could be kept. An update that nobody can read is logged and passed over.
        """
        try:
            update = telegram.Update.de_json(raw, self.bot)
            said = said_from(update, self.bot, self.app.clock.now())
        except Exception:
            log.exception("an update cannot be read", update=raw.get("update_id"))
            return
        if update.chat_member is not None:  # somebody may be an administrator now, or no more
            self.administrators.pop(str(update.chat_member.chat.id), None)
        if said is not None:
            if said.sent is not None:  # by the clock of this installation, which the playground moves
                said = said.model_copy(update={"sent": said.sent + self.app.clock.shift})
            album = album_of(update)
            if album:
                await self._take_part(f"{said.place} {album}", said, update)
            else:
                await self._take_in_turn(said, files_of(update))
        if update.callback_query is not None:
            self._beside(self._answer(update.callback_query.id))

    async def _take_in_turn(self, said: Said, sources: Sequence[tuple[str, Any]]) -> None:
        turn = self.turns.setdefault(said.place, asyncio.Lock())
        async with turn:
            shown = said.place_kind == "group" and not (said.tap or said.change)
            if shown and await asyncio.to_thread(self._is_board, said):
                said = said.model_copy(update={"official": await self._is_official(said)})
            elif shown and is_no_word_to_us(said):
                return
            else:
                files = tuple([await self._kept(said, kind, source) for kind, source in sources])
                said = said.model_copy(update={"files": files})
            outsider = said.place_kind == "group" and await self._is_outsider(said)
            await self.app.receive(said.model_copy(update={"outsider": outsider}))

    def _is_board(self, said: Said) -> bool:
        """Whether it was said in a community's group, where files are only shown again, and never fetched."""
        here = (Place.messenger == said.messenger, Place.external_id == said.place, Place.kind == "board")
        with self.app.database.read() as session:
            return session.exec(select(Place.id).where(*here)).first() is not None

    async def _is_official(self, said: Said) -> bool:
        """Whether the group itself or one of its administrators speaks; if Telegram does not say, it is taken for so.

        What an administrator wrote must never be deleted; that a message slips through meanwhile is the smaller harm.
        """
        if said.official:
            return True
        asked, known = self.administrators.get(said.place, (0.0, frozenset[str]()))
        if not asked or time.monotonic() - asked > ADMINISTRATORS_LAST:
            try:
                found = await self.bot.get_chat_administrators(said.place)
            except TelegramError as error:
                log.warning("nobody knows the administrators of the group", error=str(error))
                return not asked or said.sender in known
            known = frozenset(str(each.user.id) for each in found)
            self.administrators[said.place] = time.monotonic(), known
        return said.sender in known

    async def _is_outsider(self, said: Said) -> bool:
        """Whether who presses a button in a group may have left it: whoever writes there is in it."""
        if said.change is not None:
            self.members.discard((said.place, said.change.account))
            return False
        member = (said.place, said.sender)
        if said.tap and member not in self.members:
            try:
                found = await self.bot.get_chat_member(said.place, int(said.sender))
            except TelegramError as error:
                log.warning("nobody knows whether somebody is in the group", error=str(error))
                return True
            if not is_in(found):
                return True
        if len(self.members) >= REMEMBERED:
            self.members.clear()
        self.members.add(member)
        return False

    async def _take_part(self, album: str, said: Said, update: telegram.Update) -> None:
        """The photos of an album come as updates of their own: those that come together are one message."""
        parts = self.albums.setdefault(album, Album())
        parts.came.append((said, files_of(update)))
        if parts.task is None:
            parts.task = asyncio.create_task(self._take_album(album))
        await asyncio.shield(parts.task)

    async def _take_album(self, album: str) -> None:
        await self.sleep(self.album_seconds)
        parts = {said.key: (said, sources) for said, sources in self.albums.pop(album).came}
        came = [parts[key] for key in sorted(parts, key=lambda key: (len(key), key))]
        first = next((said for said, _ in came if said.text), came[0][0])
        captions = [each.text for each, _ in came if each.text and each is not first]
        said = came[0][0].model_copy(
            update={
                "text": first.text,
                "also": tuple(part.key for part, _ in came[1:]),
                "parts": tuple(part.number for part, _ in came[1:] if part.number),
                "beside": (*captions, *(line for part, _ in came for line in part.beside)),
                "files": tuple(file for part, _ in came for file in part.files),
            }
        )
        await self._take_in_turn(said, [source for _, sources in came for source in sources[:1]])

    async def _answer(self, query: str) -> None:
        """Let the button on the person's screen stop turning; the words come as a message."""
        try:
            await self.bot.answer_callback_query(query)
        except TelegramError as error:  # too old, or answered before
            log.info("a press was not answered", error=str(error))

    async def _kept(self, said: Said, kind: str, source: Any) -> File:
        """The file as the talk knows it; it is fetched from where it may belong to a matter."""
        mime, size = getattr(source, "mime_type", None) or "", source.file_size or 0
        if not await asyncio.to_thread(self._takes, kind, said):
            return File(kind=kind, mime=mime, size=size)  # type: ignore[arg-type]
        async with self.fetching:
            data = await self._fetched(source.file_id)
        name = (source.file_name or "") if kind == "file" else ""
        if isinstance(data, str):
            return File(kind=kind, name=name, problem=data)  # type: ignore[arg-type]
        return await self.app.keep(kind, data, name)

    def _takes(self, kind: str, said: Said) -> bool:
        """Photos and recordings in private chats, photos and other files in the admin group; nothing in other groups.

        What colleagues tell each other aloud is fetched only while one of them answers questions there.
        """
        if said.place_kind == "private":
            return kind != "file"
        here = (Place.messenger == said.messenger, Place.external_id == said.place, Place.kind == "staff")
        with self.app.database.read() as session:
            found = select(Place.id).where(*here)
            if kind in RECORDINGS:
                found = found.join(Talk, col(Talk.place_id) == col(Place.id))
            return session.exec(found.limit(1)).first() is not None

    async def _fetched(self, file_id: str) -> bytes | str:
        """The bytes of a file, or the reason why there are none."""
        for tries in range(TRIES_TO_FETCH):
            try:
                file = await self.bot.get_file(file_id)
                data = bytes(await file.download_as_bytearray(read_timeout=30))
                if len(data) >= (file.file_size or 0):
                    return data
                raise NetworkError(f"only {len(data)} of {file.file_size} bytes came")
            except BadRequest as error:
                return "too_large" if "too big" in str(error).lower() else "not_fetched"
            except TelegramError as error:
                log.warning("a file does not come", error=str(error))
                if tries < TRIES_TO_FETCH - 1:
                    await self.sleep(min(_seconds(error, 1), 5))
        return "not_fetched"

    # --- the way out ---

    async def send(self, letter: Letter) -> Taken:
        """Deliver one letter; raises Later, Moved, Never or Blocked."""
        try:
            return await self._send(letter)
        except RetryAfter as error:
            raise Later(str(error), _seconds(error, 1), halts=True) from error
        except ChatMigrated as error:
            raise Moved(str(error.new_chat_id)) from error
        except Forbidden as error:
            raise Blocked(str(error)) from error
        except BadRequest as error:
            if "chat not found" in str(error).lower():
                raise Blocked(str(error)) from error
            raise Never(str(error)) from error
        except TelegramError as error:  # away, timed out or nonsense: it may have been taken, nobody knows
            raise Later(str(error)) from error

    async def _send(self, letter: Letter) -> Taken:
        row = letter.row
        if row.change == "remove":
            return await self._remove(letter)
        if row.change == "silence":
            return await self._silence(letter)
        if row.change == "delete":
            return await self._delete(letter)
        if row.change in ("pin", "unpin"):
            return await self._pin(letter)
        if letter.first is not None:
            try:
                await self._edit(letter, letter.first)
            except BadRequest as error:
                if not str(error).lower().startswith(NOT_THERE) or row.change == "close":
                    raise
            else:
                return Taken(letter.message_id)
        if letter.place.kind == "staff" and letter.place.id not in self.introduced:
            self.introduced.add(letter.place.id)
            self._beside(introduce_group(self.bot, letter.place.external_id))
        return await self._send_anew(letter)

    async def _delete(self, letter: Letter) -> Taken:
        """Take a message back; after two days Telegram deletes none, and its words are changed instead."""
        assert letter.first is not None
        chat = letter.place.external_id
        ids = [int(each) for each in (letter.message_id, *letter.first.parts)]
        try:
            if len(ids) == 1:
                await self.bot.delete_message(chat, ids[0])
            else:
                await self.bot.delete_messages(chat, ids)
        except BadRequest as error:
            if "not found" in str(error).lower() and "chat" not in str(error).lower():
                return Taken(letter.message_id)  # somebody else has deleted it
            if "can't be deleted" not in str(error).lower():
                raise
            await self._edit(letter, letter.first)
        return Taken(letter.message_id)

    async def _pin(self, letter: Letter) -> Taken:
        """Pin a message of ours, without a sound since it made its own, or pin it no more."""
        chat, number = letter.place.external_id, int(letter.message_id)
        try:
            if letter.row.change == "pin":
                await self.bot.pin_chat_message(chat, number, disable_notification=True)
            else:
                await self.bot.unpin_chat_message(chat, number)
        except BadRequest as error:
            words = str(error).lower()
            if "not enough rights" in words or "admin_required" in words:
                await self._powerless(letter.place, "pin", "")
            elif letter.row.change == "unpin" and "not found" in words:
                return Taken(letter.message_id)  # somebody else has done it
            raise
        return Taken(letter.message_id)

    async def _remove(self, letter: Letter) -> Taken:
        """Take away what members wrote; what is gone already is gone."""
        rows = [letter.row, *letter.more]
        chat = letter.place.external_id
        ids = [int(each) for row in rows for each in (row.message_id, *row.parts)]
        try:
            for some in range(0, len(ids), MOST_DELETED):
                await self.bot.delete_messages(chat, ids[some : some + MOST_DELETED])
        except BadRequest:  # one that cannot go keeps none of the others
            for row in rows:
                await self._remove_one(letter, row)
        return Taken(letter.row.message_id)

    async def _remove_one(self, letter: Letter, row: Outgoing) -> None:
        for each in (row.message_id, *row.parts):
            try:
                await self.bot.delete_message(letter.place.external_id, int(each))
            except BadRequest as error:
                if "message to delete not found" in str(error).lower():
                    continue
                letter.refused[row.id] = str(error)
                await self._powerless(letter.place, "old" if "for everyone" in str(error) else "rights", each)

    async def _silence(self, letter: Letter) -> Taken:
        """Let a member write nothing until their time is over, or again; Telegram ends it by itself."""
        account, until = await asyncio.to_thread(self._silenced, letter.row)
        if not account:  # forgotten meanwhile, or gone
            return Taken("")
        try:
            if until is not None:
                none = ChatPermissions.no_permissions()
                await self.bot.restrict_chat_member(
                    letter.place.external_id, int(account), none, until_date=until
                )
            else:
                everything = ChatPermissions.all_permissions()
                await self.bot.restrict_chat_member(letter.place.external_id, int(account), everything)
        except BadRequest as error:
            words = str(error).lower()
            if "supergroup" in words:
                await self._powerless(letter.place, "basic", "")
            elif "not enough rights" in words or "admin_required" in words:
                await self._powerless(letter.place, "rights", "")
            raise
        return Taken("")

    def _silenced(self, row: Outgoing) -> tuple[str, datetime | None]:
        """The member whom a row is about, and until when they may write nothing; None: they may."""
        with self.app.database.read() as session:
            member = session.get(Member, int((row.card or "").partition(":")[2]))
        now = self.app.clock.now()
        if member is None:
            return "", None
        return member.account, member.silent_until if (member.silent_until or now) > now else None

    async def _powerless(self, place: Place, reason: str, message: str) -> None:
        """Let staff know, once a day, that the group does not let us do what its rules ask for."""
        now = self.app.clock.now()
        what = message if reason == "old" else f"{now:%Y-%m-%d}"
        await self.app.receive(
            Said(
                messenger=NAME,
                key=f"{self.bot.id}.{place.external_id}.powerless.{reason}.{what}",
                place=place.external_id,
                place_kind="group",
                sender="",
                at=now,
                change=Change(kind="powerless", reason=reason),
            )
        )

    async def _edit(self, letter: Letter, first: Outgoing) -> None:
        chat, number, row = letter.place.external_id, int(letter.message_id), letter.row
        try:
            if _is_caption(first):
                await self.bot.edit_message_caption(
                    chat, number, caption=_within(row.text, LONGEST_CAPTION), reply_markup=_keyboard(row)
                )
            else:
                await self.bot.edit_message_text(
                    _within(row.text, LONGEST_TEXT),
                    chat,
                    number,
                    reply_markup=_keyboard(row),
                    link_preview_options=NO_PREVIEW,
                )
        except BadRequest as error:
            if not str(error).lower().startswith("message is not modified"):
                raise

    async def _send_anew(self, letter: Letter) -> Taken:
        """The words first, with their buttons, then the photos and all other files: a page must not wait for them."""
        row, chat, place = letter.row, letter.place.external_id, (letter.row.id, letter.place.id)
        files = await asyncio.to_thread(self._files, row.photos) if row.photos else []
        photos = [file for file in files if file.kind not in (*RECORDINGS, "file")]
        documents = [file for file in files if file.kind == "file"]
        thread = await self._thread(letter)
        common: dict[str, Any] = {"disable_notification": row.silent, "message_thread_id": thread}
        try:
            if photos and _is_caption(row):
                sent = await self._send_photos(chat, photos, {**common, "caption": row.text})
                if sent:
                    return Taken(sent[0])
            if documents and _is_caption(row):
                sent = await self._send_file(chat, documents[0], {**common, "caption": row.text})
                if sent:
                    return Taken(sent[0])
            if place not in self.begun:
                message = await self.bot.send_message(
                    chat,
                    _within(row.text, LONGEST_TEXT),
                    reply_markup=_below(letter),
                    link_preview_options=NO_PREVIEW,
                    **common,
                )
                self.begun[place] = Begun(str(message.message_id))
        except BadRequest as error:
            if thread is None or "thread not found" not in str(error).lower():
                raise
            await self._forget_topic(letter.place, thread)
            raise Later(str(error), 0.1) from error
        begun, common["disable_notification"] = self.begun[place], True
        others = [file for file in files if file.kind in RECORDINGS] + documents
        again = await asyncio.to_thread(self._taken_away, row)
        sends = [
            partial(self._send_photos, chat, photos, common),
            *(partial(self._send_file, chat, file, common) for file in others),
            *(partial(self._show_again, chat, file, common) for file in again),
        ]
        for send in sends[begun.groups :]:
            begun.parts += await send()
            begun.groups += 1
        del self.begun[place]
        return Taken(begun.message_id, tuple(begun.parts))

    async def _show_again(self, chat: str, file: dict[str, Any], common: dict[str, Any]) -> tuple[str, ...]:
        """A file of a message that was taken away wrongly, by the name that Telegram gave it."""
        way, _, file_id = file["remote"].partition(":")
        try:
            message = await getattr(self.bot, f"send_{way}")(chat, file_id, **common)
        except BadRequest as error:
            log.warning("a file was not shown again", way=way, error=str(error))
            return ()
        return (str(message.message_id),)

    def _taken_away(self, row: Outgoing) -> list[dict[str, Any]]:
        """The files of the messages that a row brings back."""
        if not (row.card or "").startswith(RESTORED):
            return []
        ruling = int((row.card or "").removeprefix(RESTORED))
        with self.app.database.read() as session:
            posts = session.exec(select(Post.files).where(Post.ruling_id == ruling).order_by(col(Post.id)))
            return [file for files in posts for file in files]

    async def _send_photos(
        self, chat: str, photos: Sequence[Media], common: dict[str, Any]
    ) -> tuple[str, ...]:
        """The photos as one album; what Telegram refuses, or what is lost, must not take the words with it."""
        sent: Sequence[telegram.Message] = ()
        try:
            if len(photos) == 1:
                sent = [await self.bot.send_photo(chat, self._content("photo", photos[0]), **common)]
            elif photos:
                media = [InputMediaPhoto(self._content("photo", each)) for each in photos[:ALBUM]]
                sent = await self.bot.send_media_group(chat, media, **common)
        except (FileNotFoundError, BadRequest) as error:
            if "thread not found" in str(error).lower() and "caption" in common:
                raise
            log.error("photos were not sent", error=str(error))
            for each in photos:
                self.uploaded.pop(f"photo {each.storage}", None)
        for each, message in zip(photos, sent, strict=False):
            self._remember("photo", each, message)
        return tuple(str(message.message_id) for message in sent)

    async def _send_file(self, chat: str, file: Media, common: dict[str, Any]) -> tuple[str, ...]:
        """A voice message or a video, as it plays if Telegram takes it so, else as a file; any other file as one."""
        for way in WAYS.get(file.mime, ("document",)):
            for _ in range(2 if f"{way} {file.storage}" in self.uploaded else 1):  # its name may be worn out
                try:
                    content = await asyncio.to_thread(self._content, way, file)
                    message = await self._send_as(way, chat, content, {**common, "filename": _filename(file)})
                except (FileNotFoundError, WrongKey) as error:
                    log.error("a file is lost", error=str(error))
                    return ()
                except BadRequest as error:
                    log.warning("a file was not sent", way=way, error=str(error))
                    self.uploaded.pop(f"{way} {file.storage}", None)
                else:
                    self._remember(way, file, message)
                    return (str(message.message_id),)
        return ()

    async def _send_as(
        self, way: str, chat: str, content: str | bytes, more: dict[str, Any]
    ) -> telegram.Message:
        if way == "voice":
            return await self.bot.send_voice(chat, content, **more)
        if way == "audio":
            return await self.bot.send_audio(chat, content, **more)
        if way == "video":
            return await self.bot.send_video(chat, content, supports_streaming=True, **more)
        return await self.bot.send_document(chat, content, **more)

    def _files(self, ids: Sequence[int]) -> list[Media]:
        """The photos and recordings of a message, by their ids."""
        with self.app.database.read() as session:
            return list(session.exec(select(Media).where(col(Media.id).in_(ids)).order_by(col(Media.id))))

    def _content(self, way: str, file: Media) -> str | bytes:
        return self.uploaded.get(f"{way} {file.storage}") or self.app.media.read_as(file.mime, file.storage)

    def _remember(self, way: str, file: Media, message: telegram.Message) -> None:
        """The same file goes to many: it is uploaded once. Telegram may have made something else of it."""
        made = getattr(message, way)
        if made:
            if len(self.uploaded) >= REMEMBERED:
                self.uploaded.clear()
            self.uploaded[f"{way} {file.storage}"] = (made[-1] if way == "photo" else made).file_id

    # --- topics ---

    async def _thread(self, letter: Letter) -> int | None:
        """The topic in which a message belongs: where somebody spoke, or that of its kind of matter."""
        place, row = letter.place, letter.row
        if row.thread and (place.id, int(row.thread)) not in self.gone_topics:
            return int(row.thread)
        kind = next((part for part in (row.card or "").split(":") if part in TOPICS), "")
        if not place.forum or not kind or self.no_topics.get(place.id, 0) > time.monotonic():
            return None
        return int(place.topics.get(kind) or await self._new_topic(place, kind) or 0) or None

    async def _new_topic(self, place: Place, kind: str) -> str:
        with self.app.database.read() as session:
            community = session.get_one(Community, place.community_id)
        try:
            topic = await self.bot.create_forum_topic(
                place.external_id, texts(community.language)[f"topic.{kind}"]
            )
        except BadRequest as error:
            log.warning("the group lets us make no topic", place=place.id, error=str(error))
            self.no_topics[place.id] = time.monotonic() + ASK_AGAIN
            return ""
        number = str(topic.message_thread_id)
        await self._set_topics(place, {**place.topics, kind: number})
        return number

    async def _forget_topic(self, place: Place, thread: int) -> None:
        """Somebody deleted the topic: a new one is made, and answers to what was said there stand in no topic."""
        self.gone_topics.add((place.id, thread))
        topics = {kind: number for kind, number in place.topics.items() if number != str(thread)}
        await self._set_topics(place, topics)

    async def _set_topics(self, place: Place, topics: dict[str, str]) -> None:
        def work(session: Session) -> None:
            row = session.get_one(Place, place.id)
            row.topics = topics
            session.add(row)

        await self.app.database.write(work)
        place.topics = topics


def bot_of(settings: Settings) -> Bot:
    """The library's bot with this installation's token and server."""
    base = settings.base_url.rstrip("/")
    where: dict[str, Any] = {"base_url": f"{base}/bot", "base_file_url": f"{base}/file/bot"} if base else {}
    return Bot(
        settings.token.get_secret_value(),
        # After a timeout nobody knows whether a message was taken, and it is sent again: be patient.
        request=HTTPXRequest(read_timeout=30, connect_timeout=10, pool_timeout=10),
        get_updates_request=HTTPXRequest(connection_pool_size=2, read_timeout=10),
        **where,
    )


def _seconds(error: TelegramError, usual: float) -> float:
    """How long to wait after an error; Telegram may have said so."""
    if not isinstance(error, RetryAfter):
        return usual
    wait = error.retry_after
    return float(wait if isinstance(wait, (int, float)) else wait.total_seconds())


def _is_caption(row: Outgoing) -> bool:
    """Whether the words stand under a photo or a file: in a copy for everybody, which saves a message each.

    Else they are a message of their own, since what is changed later may outgrow a caption.
    """
    few = len(row.photos) == 1 and len(row.text) <= LONGEST_CAPTION
    return row.notice_id is not None and few and not row.buttons


def _filename(file: Media) -> str:
    """What a file is called: as its sender called it; a recording has no name of its own."""
    return file.name or f"{file.kind}{ENDINGS.get(file.mime, '')}"


def _within(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _below(letter: Letter) -> InlineKeyboardMarkup | ReplyKeyboardMarkup | ReplyKeyboardRemove | None:
    """What stands below a new message: its buttons, else what one may press in the place of writing."""
    row = letter.row
    if (
        row.buttons or letter.place.kind != "private"
    ):  # Telegram has no room for both, and groups share no number
        return _keyboard(row)
    if row.keyboard == "contact":
        button = KeyboardButton(texts(LANGUAGES[0])["button.contact"], request_contact=True)
        return ReplyKeyboardMarkup([[button]], resize_keyboard=True, one_time_keyboard=True)
    return ReplyKeyboardRemove() if row.keyboard == "remove" else None


def _keyboard(row: Outgoing) -> InlineKeyboardMarkup | None:
    """The buttons, several short ones in a row."""
    rows: list[list[InlineKeyboardButton]] = []
    room = 0
    for each in row.buttons:
        button = InlineKeyboardButton(each["label"], callback_data=each["value"])
        width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in each["label"]) + 2
        if rows and width <= room and len(rows[-1]) < MOST_IN_ROW:
            rows[-1].append(button)
            room -= width
        else:
            rows.append([button])
            room = WIDEST_ROW - width
    return InlineKeyboardMarkup(rows) if rows else None
