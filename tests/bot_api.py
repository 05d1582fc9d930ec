"""A strict Telegram Bot API on this machine: the network's edge for tests, with people, groups and faults.

async with BotApi() as api:
    anna = api.user("Anna")
    anna.starts()
    ...  # the bot, with base_url=api.base_url, answers
    anna.taps(anna.sees("Hello", "Yes"), "Yes")
    assert not api.mistakes
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from aiohttp import BodyPartReader, ClientPayloadError, web

from tests.bot_api_facts import BY_LOWER, Refused, Upload, bad, checked, flooded, wrong
from tests.bot_api_flood import Flood
from tests.bot_api_methods import UPLOAD_BYTES, Methods
from tests.bot_api_people import Body, Chat, Group, Shown, Stored, Tap, User, sizes
from tests.bot_api_updates import Queue, Update

__all__ = ["BotApi", "Call", "Chat", "Group", "How", "Refused", "Sent", "Shown", "Tap", "User", "flooded"]

TOKEN = "123456789:AAF-test_server_token_0123456789abcd"
How = str | int | Refused
"""A fault: "timeout", "reset" or "garbage", these with "_accepted", a status like 502, or a refusal."""
HOWS = {f"{how}{suffix}" for how in ("timeout", "reset", "garbage") for suffix in ("", "_accepted")}
FOLDERS = {
    "photo": "photos",
    "video": "videos",
    "voice": "voice",
    "document": "documents",
    "sticker": "stickers",
}
ENDINGS = {"photo": ".jpg", "video": ".mp4", "voice": ".oga", "sticker": ".webp"}
ERRORS = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
T = TypeVar("T")


@dataclass
class Call:
    """One request and what became of it."""

    at: float
    method: str
    params: Body
    ok: bool
    """Whether it was accepted, even if the client never heard of it."""
    description: str = ""
    fault: str = ""
    """What kept the answer from the client, if anything did."""
    result: Any = None


@dataclass
class Sent:
    """One message or change that was accepted."""

    at: float
    method: str
    chat_id: int
    message_id: int
    text: str


@dataclass
class Fault:
    """Something that is to go wrong."""

    method: str
    how: How
    times: int
    chat: int | None
    after: int


@dataclass
class Request:
    """One request as it came."""

    given: Body
    as_text: bool
    uploads: dict[str, Upload] = field(default_factory=dict)


class BotApi:
    """The server, the people who use it, and a record of all that happened."""

    def __init__(
        self,
        token: str = TOKEN,
        *,
        now: Callable[[], float] = time.time,
        flood: bool = True,
        privacy: bool = True,
        insecure_webhooks: bool = False,
        callback_seconds: float = 15,
        username: str = "linli_test_bot",
        first_name: str = "Linli",
        webhook_backoff: float = 0.05,
        port: int = 0,
    ) -> None:
        self.token = token
        self.now = now
        self.privacy = privacy
        self.insecure_webhooks = insecure_webhooks
        self.callback_seconds = callback_seconds
        self.username = username
        self.first_name = first_name
        self.port = port
        self.bot_id = int(token.split(":", maxsplit=1)[0])

        self.mistakes: list[str] = []
        self.calls: list[Call] = []
        self.accepted: list[Sent] = []
        self.users: dict[int, User] = {}
        self.chats: dict[int, Chat] = {}
        self.upgraded: dict[Any, int] = {}
        self.files: dict[str, Stored] = {}
        self.taps: dict[str, Tap] = {}
        self.commands: dict[tuple[tuple[Any, ...], str], list[Body]] = {}
        self.words: dict[tuple[str, str], str] = {}
        self.menu_buttons: dict[int | None, Body] = {}
        self.logged_out = False

        self.queue = Queue(now, webhook_backoff)
        self.flood = Flood(now, flood)
        self.methods = Methods(self)
        self._faults: list[Fault] = []
        self._chooser: Callable[[str, Body], How | None] | None = None
        self._attached: dict[str, Upload] = {}
        self._numbers = itertools.count(1)
        self._message_ids = itertools.count(101)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # --- the server

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop again on the same port, with all that was there."""
        self._stopping = asyncio.Event()
        app = web.Application(client_max_size=4 * UPLOAD_BYTES)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.queue.start()

    async def stop(self) -> None:
        """End everything that hangs and close the port."""
        self._stopping.set()
        await self.queue.stop()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The address that python-telegram-bot appends the token to."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        return f"{self.url}/file/bot"

    async def until(self, condition: Callable[[], T], within: float = 60.0) -> T:
        """Wait for something to become true, by the real clock; it may also be a `sees` that fails first."""
        end = time.monotonic() + within
        while True:
            error: AssertionError | None = None
            try:
                if found := condition():
                    return found
            except AssertionError as not_yet:
                error = not_yet
            if time.monotonic() > end:
                raise error or AssertionError(
                    f"not within {within} seconds; the last calls: {self.calls[-5:]}"
                )
            await asyncio.sleep(0.005)

    # --- people and groups

    def user(
        self, first_name: str, *, last_name: str = "", username: str = "", language_code: str = "zh-hans"
    ) -> User:
        """Somebody new; like newer accounts with a number beyond 32 bits."""
        number = 5_000_000_000 + next(self._numbers)
        self.users[number] = User(self, number, first_name, last_name, username, language_code)
        return self.users[number]

    def group(self, title: str, creator: User, *, forum: bool = False, supergroup: bool = True) -> Group:
        """A new group, without the bot."""
        return Group(self, title, creator, forum=forum, supergroup=supergroup)

    def bot_card(self) -> Body:
        """The bot's User object."""
        name = self.words.get(("name", "")) or self.first_name
        return {"id": self.bot_id, "is_bot": True, "first_name": name, "username": self.username}

    def user_cards(self) -> Mapping[int, Body]:
        return {number: user.card() for number, user in self.users.items()}

    def place_of(self, message: Any) -> tuple[Chat, int]:
        """The chat and number of a message, which is a Shown or a Bot API object."""
        if isinstance(message, Shown):
            number, chat_id = message.message_id, message.chat_id
        else:
            number, chat_id = message["message_id"], message["chat"]["id"]
        return self.chats[chat_id], number

    def menu_of(self, user: User, chat: Group | None) -> dict[str, str]:
        """The commands a person sees: the first scope and language that has any."""
        if chat:
            admin = chat.status(user.id) in ("creator", "administrator")
            scopes: list[tuple[Any, ...]] = [("chat_member", chat.id, user.id)]
            scopes += [("chat_administrators", chat.id)] * admin + [("chat", chat.id)]
            scopes += [("all_chat_administrators",)] * admin + [("all_group_chats",)]
        else:
            scopes = [("chat", user.id), ("all_private_chats",)]
        for scope in [*scopes, ("default",)]:
            for language in (user.language_code[:2], ""):
                if commands := self.commands.get((scope, language)):
                    return {each["command"]: each["description"] for each in commands}
        return {}

    # --- updates

    def push(self, kind: str, body: Body) -> Update | None:
        """Make an update as of now; None when the bot does not want its kind."""
        return self.queue.push(kind, body)

    @property
    def updates(self) -> list[Update]:
        """All updates made so far, as JSON holds them."""
        return self.queue.made

    @property
    def pending(self) -> list[Update]:
        """The updates that are not confirmed yet."""
        return list(self.queue.pending.values())

    @property
    def confirmed(self) -> set[int]:
        """The numbers of the updates that the bot has confirmed, by an offset or by a 2xx to the webhook."""
        return self.queue.confirmed

    def redeliver(self, times: int = 1, *, shuffled: bool = False, seed: int = 0) -> None:
        """Hand out all confirmed updates again."""
        self.queue.redeliver(times, shuffled, seed)

    # --- faults

    def fails(self, method: str, how: How, *, times: int = 1, chat: Any = None, after: int = 0) -> None:
        """Let calls of a method ("*": of any; "file": a download) fail, in one chat, after so many good ones."""
        assert not isinstance(how, str) or how in HOWS, f"unknown fault {how!r}"
        self._faults.append(Fault(method, how, times, getattr(chat, "id", chat), after))

    def fails_by(self, chooser: Callable[[str, Body], How | None] | None) -> None:
        """Ask before every call what is to go wrong: random faults with a seed, for instance."""
        self._chooser = chooser

    def _fault(self, method: str, params: Body) -> How | None:
        for fault in self._faults:
            if fault.method not in ("*", method) or fault.times <= 0:
                continue
            if fault.chat is not None and str(params.get("chat_id")) != str(fault.chat):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            return fault.how
        return self._chooser(method, params) if self._chooser else None

    # --- records

    def accept(self, method: str, body: Body) -> None:
        """Remember a message or a change that was accepted."""
        text = body.get("text") or body.get("caption") or ""
        self.accepted.append(Sent(self.now(), method, body["chat"]["id"], body["message_id"], text))

    def counts(self, chat: Any = None) -> Counter[tuple[int, str]]:
        """How often each text was accepted as a new message, by chat."""
        number = getattr(chat, "id", chat)
        sends = (each for each in self.accepted if each.method.startswith("send"))
        return Counter((each.chat_id, each.text) for each in sends if number in (None, each.chat_id))

    def times_sent(self, text: str, chat: Any = None) -> int:
        """How often a message with exactly this text was accepted."""
        return sum(count for (_, said), count in self.counts(chat).items() if said == text)

    # --- numbers and files

    def next_message_id(self) -> int:
        return next(self._message_ids)

    def next_group_id(self, supergroup: bool) -> int:
        return -(1_002_000_000_000 if supergroup else 4_000_000_000) - next(self._numbers)

    def next_album(self) -> str:
        return str(13_900_000_000_000_000 + next(self._numbers))

    def next_tap(self) -> str:
        return str(4_000_000_000_000_000_000 + next(self._numbers))

    def next_link(self) -> str:
        return f"https://t.me/+{hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()[:16]}"

    def store(self, kind: str, data: bytes, about: Body, size: int | None = None) -> Body:
        """Keep a file: what a message says of it."""
        size = len(data) if size is None else size
        number = next(self._numbers)
        digest = hashlib.sha256(data).hexdigest()
        file_id = f"BQACAgUAAxkBAAI{number:06d}{digest[:48]}AAIeBA"
        ids = {"file_id": file_id, "file_unique_id": f"AgAD{digest[:12]}", "file_size": size}
        path = f"{FOLDERS.get(kind, kind)}/file_{number}{ENDINGS.get(kind, '')}"
        if kind == "document" and "." in about.get("file_name", ""):
            path += "." + about["file_name"].rsplit(".", 1)[1]
        self.files[file_id] = Stored(kind, data, size, path, {**ids, **about})
        return self.files[file_id].about

    def store_photo(self, data: bytes) -> list[Body]:
        """Keep a photo in its sizes: what a message says of them."""
        about = [
            self.store("photo", each, {"width": width, "height": height})
            for width, height, each in sizes(data)
        ]
        for letter, each in zip("sy", about, strict=True):  # each size is a file of its own
            each["file_unique_id"] += letter
        for each in about:
            self.files[each["file_id"]].about = about  # type: ignore[assignment]
        return about

    def attached(self, name: str) -> Upload:
        """The file of the present request that `attach://name` means."""
        if name not in self._attached:
            raise wrong(f"attached file {name} is missing")
        return self._attached[name]

    # --- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return _refusal(Refused(401, "Unauthorized"))
        method = BY_LOWER.get(name.lower())
        if not method:
            self.mistakes.append(f"unknown method {name}")
            return _refusal(Refused(404, "Not Found"))
        call = Call(self.now(), method, {}, False)
        self.calls.append(call)
        try:
            came = await _read(request)
            call.params = {
                **came.given,
                **{n: f"<{u.name}, {len(u.data)} bytes>" for n, u in came.uploads.items()},
            }
        except Refused as error:
            return self._refused(call, error)
        except (ConnectionError, ClientPayloadError):
            call.fault = "broken off"
            return web.Response(status=400)
        how = self._fault(method, call.params)
        if how is not None and not (isinstance(how, str) and how.endswith("_accepted")):
            return await self._break(request, call, how, b"")
        try:
            call.result = await self._perform(method, came, call)
            call.ok = True
            answer = _answer(method, call)
        except Refused as error:
            answer = self._refused(call, error)
        except Exception as error:
            self.mistakes.append(f"the test server itself fails at {method}: {error!r}")
            raise
        if how is not None:
            body = answer.body
            assert isinstance(body, bytes)
            return await self._break(request, call, how, body)
        return answer

    async def _perform(self, method: str, came: Request, call: Call) -> Any:
        if self.logged_out:
            raise bad("Logged out")
        direct = {
            name: upload for name, upload in came.uploads.items() if name not in _attach_names(came.given)
        }
        params = checked(method, {**came.given, **direct}, as_text=came.as_text)
        call.params |= {name: value for name, value in params.items() if name not in direct}
        perform = getattr(self.methods, method, None)
        if not perform:
            raise wrong("method is not simulated")
        # Nothing awaits between here and the use of the files, so that requests do not mix.
        self._attached = came.uploads
        result = perform(params)
        return await result if asyncio.iscoroutine(result) else result

    def _refused(self, call: Call, error: Refused) -> web.Response:
        call.description = error.description
        if error.mistake:
            self.mistakes.append(f"{call.method}: {error.description}")
        return _refusal(error)

    async def _break(self, request: web.Request, call: Call, how: How, body: bytes) -> web.StreamResponse:
        """Answer with a fault instead."""
        if isinstance(how, Refused):
            call.description = how.description
            return _refusal(how)
        call.fault = str(how)
        if isinstance(how, int):
            page = f"<html><head><title>{how} {ERRORS.get(how, '')}</title></head></html>"
            if how == 502:
                return web.Response(status=how, text=page, content_type="text/html")
            return _refusal(Refused(how, ERRORS.get(how, "Error")))
        if how.startswith("garbage"):
            half = body[: max(1, len(body) // 2)]
            return web.Response(body=half or b"<html><body>Welcome to this WiFi</body></html>")
        if how.startswith("timeout"):
            await self._stopping.wait()
        if request.transport:
            sock = request.transport.get_extra_info("socket")
            if sock and how.startswith("reset"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        return web.Response(status=500)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return _refusal(Refused(401, "Unauthorized"))
        path = request.match_info["path"]
        stored = next((each for each in self.files.values() if each.path == path), None)
        call = Call(self.now(), "file", {"path": path}, stored is not None)
        self.calls.append(call)
        how = self._fault("file", call.params)
        if how is not None:
            return await self._break(request, call, how, stored.data if stored else b"")
        if not stored:
            return _refusal(Refused(404, "Not Found"))
        return web.Response(body=stored.data, content_type="application/octet-stream")


def _attach_names(given: Body) -> set[str]:
    """The names of the files that the parameters speak of."""
    text = json.dumps(given)
    return {part.split('"')[0].split("\\")[0] for part in text.split("attach://")[1:]}


def _answer(method: str, call: Call) -> web.Response:
    body: Body = {"ok": True, "result": call.result}
    if method in ("setWebhook", "deleteWebhook"):
        set_up = method == "setWebhook" and call.params.get("url")
        body["description"] = "Webhook was set" if set_up else "Webhook was deleted"
    return _json(body, 200)


def _refusal(error: Refused) -> web.Response:
    body: Body = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    return _json(body, error.code)


def _json(body: Body, status: int) -> web.Response:
    text = json.dumps(body, ensure_ascii=False)
    return web.Response(body=text.encode(), status=status, content_type="application/json")


async def _read(request: web.Request) -> Request:
    """The parameters of a request: of its address and of its body, which is JSON, a form or multipart."""
    came = Request(dict(request.query), True)
    kind = request.content_type
    if kind == "application/json" and request.can_read_body:
        try:
            body = json.loads(await request.text())
        except ValueError:
            raise wrong("can't parse request JSON object") from None
        if not isinstance(body, dict):
            raise wrong("request body must be a JSON object")
        return Request({**came.given, **body}, False)
    if kind == "application/x-www-form-urlencoded":
        came.given |= {name: str(value) for name, value in (await request.post()).items()}
    elif kind == "multipart/form-data":
        await _read_parts(request, came)
    elif await request.read():
        raise wrong(f"unsupported content type {kind}")
    return came


async def _read_parts(request: web.Request, came: Request) -> None:
    too_big = False
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            raise wrong("a part has no name")
        data = bytes(await part.read())
        if part.name in came.given or part.name in came.uploads:
            raise wrong(f"{part.name} came twice")
        too_big = too_big or len(data) > UPLOAD_BYTES
        if part.filename is None:
            came.given[part.name] = data.decode()
        else:
            mime = part.headers.get("Content-Type", "application/octet-stream")
            came.uploads[part.name] = Upload(part.filename, data, mime)
    if too_big:
        raise Refused(413, "Request Entity Too Large", mistake=True)
