"""The playground: the phones of one community side by side in a browser, for anybody to try the product."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from bot.ranges import PLAYED, in_parts
from store.media import ENDINGS

log = logging.getLogger(__name__)

PAGES = Path(__file__).parent / "pages"
COOKIE = "linli_playground"
BODY_CAP = 25 * 1024 * 1024
TEXT_CAP = 4000
MOST_PHOTOS = 12
SHORTEST_KEY = 16
CLOCK_MOVES = (60, 600, 3600, 86400)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PHONE = re.compile(r"\+?[\d\s().\-]{5,24}")
SHOWN_IMAGES = ("image/jpeg", "image/png", "image/webp")
HEARTBEAT_SECONDS = 10.0

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Person:
    """Somebody who can hold a phone; `account` is the external id in the browser messenger."""

    account: str
    name: str
    note: str  # e.g. "3 号楼 1201"
    place: str  # the chat seen on this phone: the person's own, or the one the whole group shares


@dataclass(frozen=True)
class Phone:
    """One of the five screens; one with nobody in `people` is only read."""

    slot: str  # owner, neighbour, staff, crew, board
    title: str
    people: tuple[Person, ...] = ()
    who: str = ""  # the account that holds the phone until somebody else is chosen on the page
    place: str = ""  # only where there are no people: what this screen shows
    any_file: bool = False  # whether more than photos and recordings can be sent from here
    words_only: bool = False  # whether nothing but words can be
    replies: bool = False  # whether one can reply to a message of ours
    page: str = ""  # the address of a web page that shows the same


@dataclass(frozen=True)
class Button:
    """One answer that can be tapped."""

    label: str
    value: str


@dataclass(frozen=True)
class Recording:
    """A voice message or a video: its address under /playground/media/, and its type."""

    address: str
    mime: str


@dataclass(frozen=True)
class Document:
    """A file that is only handed over: its address under /playground/media/, and its name."""

    address: str
    name: str


@dataclass(frozen=True)
class Message:
    """One message as one person sees it."""

    id: str
    mine: bool
    text: str
    at: str  # "09:41"
    sender: str = ""  # shown in the staff group
    photos: tuple[str, ...] = ()  # addresses under /playground/media/
    recordings: tuple[Recording, ...] = ()
    documents: tuple[Document, ...] = ()
    files: tuple[str, ...] = ()  # names of what somebody sent that is none of these
    buttons: tuple[Button, ...] = ()
    asks_number: bool = False  # below it stands the button that shares the phone's number
    edited: bool = False
    deleted: bool = False
    urgent: bool = False
    silent: bool = False
    pinned: bool = False
    key: str = ""  # of a message sent from this page: the key it came with, so that it is not shown twice
    day: str = ""  # "周日 11-22": a line is drawn where it changes


@dataclass(frozen=True)
class Upload:
    """A file that somebody attached."""

    name: str
    mime: str
    data: bytes


class Backend(Protocol):
    """What the page needs from the messenger behind it; plain methods may block and are called in threads."""

    community: str

    def phones(self, language: str) -> Sequence[Phone]:
        """The five screens and who may hold them; `language` is "zh" or "en"."""

    def history(self, place: str, who: str, limit: int = 100) -> Sequence[Message]:
        """The last messages of a place, oldest first, as `who` sees them."""

    async def say(
        self,
        *,
        place: str,
        who: str,
        key: str,
        text: str = "",
        tap: str = "",
        on: str = "",
        replies_to: str = "",
        contact: str = "",
        uploads: Sequence[Upload] = (),
    ) -> str:
        """Take one message: "" once committed, else a sentence for its sender. A repeated key acts once.

        `contact` is the number of the phone, when it is shared; `replies_to` the message to which it is a reply.
        """

    def media(self, key: str, place: str, who: str) -> tuple[bytes, str] | None:
        """The bytes and the type of a photo or recording, or None when `who` may not see it at that place."""

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[frozenset[str]]]:
        """Sets of places that changed, until shutdown; an empty set means all of them (a reset)."""

    async def move_clock(self, seconds: int) -> bool:
        """Move the clock on; False when a real community is on show, whose time is not played with."""

    async def reset(self) -> bool:
        """Begin again with a sample community; False when a real one is on show."""

    def now(self) -> str:
        """The community's clock, e.g. "周日 11-22 14:05"."""


# The page's own words: Chinese, English. What the bot says comes from the backend.
WORDS: dict[str, tuple[str, str]] = {
    "title": ("邻里试用场", "Linli playground"),
    "badge": ("试用场", "Playground"),
    "about": (
        "这里是试用场：五块屏幕是同一个小区里不同的人，在一块上说话，看其他几块怎么变。",
        "A playground: five screens, different people of one community. Speak on one, watch the others.",
    ),
    "try": ("试试说：", "Try:"),
    "clock": ("小区时间", "Community time"),
    "clock_move": ("把时间拨快", "Move the clock on"),
    "move_60": ("+1 分钟", "+1 min"),
    "move_600": ("+10 分钟", "+10 min"),
    "move_3600": ("+1 小时", "+1 hour"),
    "move_86400": ("+1 天", "+1 day"),
    "reset": ("重置", "Reset"),
    "reset_sure": (
        "要清空所有消息，从头开始吗？正在看这个页面的人都会受影响。",
        "Clear every message and begin again? This affects everybody on this page.",
    ),
    "yes": ("清空重来", "Clear all"),
    "no": ("取消", "Cancel"),
    "tools": ("时间与说明", "Clock and help"),
    "screens": ("屏幕", "Screens"),
    "who": ("谁在用", "Held by"),
    "messages": ("消息", "Messages"),
    "say": ("说点什么…", "Message…"),
    "send": ("发送", "Send"),
    "reply": ("回复", "Reply"),
    "replying": ("回复：", "Reply to: "),
    "no_reply": ("不回复这一条", "Do not reply to it"),
    "attach": ("添加照片、语音或视频", "Add photos, voice messages or videos"),
    "attach_any": ("添加照片、语音、视频或文件", "Add photos, recordings or files"),
    "remove": ("移除", "Remove"),
    "contact": ("📱 用手机号登记", "📱 Share my number"),
    "number": ("这部手机的号码", "This phone's number"),
    "number_hint": (
        "试用场里的手机没有真号码，请写一个。",
        "A phone of the playground has no real number: please make one up.",
    ),
    "share": ("登记", "Share"),
    "bad_number": (
        "这不像手机号。请写完整的号码，例如 13800138000。",
        "This does not look like a phone number. Please write all of it, for example 13800138000.",
    ),
    "photo": ("照片", "Photo"),
    "voice": ("语音", "Voice message"),
    "video": ("视频", "Video"),
    "save": ("播放不了？点这里下载", "Does it not play? Download it here"),
    "close": ("关闭", "Close"),
    "page": ("看网页", "Web page"),
    "board_only": ("全小区可见 · 只供查看", "Seen by everybody · read only"),
    "empty": ("还没有消息", "No messages yet"),
    "empty_board": ("还没有公示", "Nothing posted yet"),
    "newest": ("新消息", "New messages"),
    "unread": ("有新消息", "new messages"),
    "edited": ("已编辑", "edited"),
    "deleted": ("消息已撤回", "Message withdrawn"),
    "urgent": ("紧急", "Urgent"),
    "silent": ("静音送达", "Sent silently"),
    "sending": ("正在发送…", "Sending…"),
    "unsent": ("没发出去", "Not sent"),
    "retry": ("重试", "Try again"),
    "drop": ("不发了", "Discard"),
    "away": ("连接中断，正在重连…", "Connection lost, reconnecting…"),
    "unreachable": (
        "现在连不上服务，消息还在这里，请稍后重试。",
        "The service cannot be reached. Your message is kept here; please try again soon.",
    ),
    "too_large": (
        "太大了：每个文件最多 20 MB，一次最多 25 MB。请少选几个或压缩后再发；也可以放到网盘，把链接发来。",
        "Too large: at most 20 MB a file, and 25 MB at once. Please send fewer, compress them, or send a link.",
    ),
    "too_many": (
        "一次最多发 12 个照片、录音或文件。请分几次发。",
        "At most 12 photos, recordings or files at once. Please send them in turns.",
    ),
    "pinned": ("置顶", "Pinned"),
    "too_long": (
        "这段话太长了，一次最多 4000 字。请分几次发。",
        "This text is too long: at most 4,000 characters. Please send it in parts.",
    ),
    "nothing": (
        "还没有内容。请写一句话或选一张照片。",
        "Nothing to send yet. Please write a line or choose a photo.",
    ),
    "unread_form": (
        "没能读出您发的内容，请再发一次。",
        "What you sent could not be read. Please send it again.",
    ),
    "read_only": ("公示栏只供查看。请在自己的手机上说。", "The board is only read. Please write on a phone."),
    "gone": ("这位不在试用场里了，请重新选择。", "This person has left the playground. Please choose again."),
    "no_media": ("这个照片或录音看不了了。", "This photo or recording can no longer be seen."),
    "bad_move": (
        "时间只能往前拨，一次最多 31 天。",
        "The clock only moves forward, at most 31 days at once.",
    ),
    "real_community": (
        "这是您自己的小区：时间不能拨，消息也不能清空。",
        "This is your own community: its clock is not moved and its messages are not cleared.",
    ),
    "bad_host": (
        "试用场只在本机打开：请用 127.0.0.1 或 localhost 访问。",
        "This playground opens on its own machine only: please use 127.0.0.1 or localhost.",
    ),
    "bad_origin": (
        "这个请求来自别的网站，没有执行。",
        "This request came from another site and was not carried out.",
    ),
    "need_key": (
        "进入试用场需要口令：请打开完整的链接（以 ?key= 结尾的那个）。",
        "This playground needs a key: please open the whole link (the one ending in ?key=…).",
    ),
    "failed": (
        "抱歉，刚才这一步我们出错了，请再试一次。",
        "Sorry, something went wrong on our side. Please try again.",
    ),
    "no_script": (
        "这个页面需要 JavaScript。请在浏览器里打开它，再刷新。",
        "This page needs JavaScript. Please switch it on and reload.",
    ),
}

# What a chip types for its owner: label in Chinese, label in English, the text that is sent.
CHIPS = (("报修", "Repair", "报修"), ("我的", "Mine", "我的"), ("帮助", "Help", "帮助"))
SUGGESTIONS = (
    ("电梯里困了人", "Stuck in the lift", "电梯里困了人"),
    ("厨房水龙头滴水", "Dripping tap", "厨房水龙头滴水"),
    ("厨房煤气味好大", "Smell of gas", "厨房煤气味好大"),
    ("路灯不亮", "Lamp out", "3号楼门口路灯不亮"),
    ("插座有火花", "Sparks", "客厅插座冒火花"),
)


class Refusal(Exception):
    """A request that is answered with a sentence instead of what it asked for."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status
        self.word = word


def refusal_to_start(address: str, *, key: str, public: bool) -> str:
    """Why the playground must not listen on `address`, or "": beyond this machine it needs both."""
    if _is_loopback(address):
        return ""
    if not public:
        return (
            f"The playground would be open to everybody who reaches {address!r}: allow that explicitly first."
        )
    if len(key) < SHORTEST_KEY:
        return f"A playground on {address!r} needs a key of at least {SHORTEST_KEY} characters."
    return ""


def routes(backend: Backend, *, key: str, hosts: Sequence[str] = ()) -> list[Route]:
    """Everything under /playground.

    `key`: "" only on this machine. `hosts`: its public names; without any, the key alone opens it under all.
    """
    page = Pages(backend)
    door = [Middleware(Guard, key=key, hosts=hosts)]
    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/playground", page.show),
        ("GET", "/playground/playground.css", page.file),
        ("GET", "/playground/playground.js", page.file),
        ("GET", "/playground/phones", page.phones),
        ("GET", "/playground/history", page.history),
        ("GET", "/playground/events", page.events),
        ("GET", "/playground/media/{key:path}", page.media),
        ("POST", "/playground/say", page.say),
        ("POST", "/playground/clock", page.clock),
        ("POST", "/playground/reset", page.reset),
    ]
    return [
        Route(path, _answered(endpoint), methods=[method], middleware=door)
        for method, path, endpoint in table
    ]


class Guard:
    """Lets a request through only from this machine or with the key, and never a body that is too large."""

    def __init__(self, app: ASGIApp, *, key: str, hosts: Sequence[str]) -> None:
        self.app = app
        self.key = key.encode()
        # The cookie proves the key without holding it.
        self.pass_ = hmac.new(self.key, b"linli playground", hashlib.sha256).hexdigest() if key else ""
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self.any_host = bool(key) and not hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            response = self._refuse(request)
        except Refusal as refusal:
            response = _refused(refusal, request)
        if response is not None:
            await response(scope, receive, _with_headers(send))
        else:
            await self.app(scope, _capped(receive), _with_headers(send))

    def _refuse(self, request: Request) -> Response | None:
        self._check_origin(request)
        if self.key:
            entered = self._check_key(request)
            if entered is not None:
                return entered
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_CAP:
            raise Refusal(413, "too_large")
        return None

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "")
        known = self.any_host or _hostname(host) in (self.hosts if self.key else LOOPBACK)
        # Without a key a page of another site must not reach us by a name that it points at this machine,
        # nor a stranger through a proxy that runs on it.
        proxied = not self.key and ("x-forwarded-for" in request.headers or "forwarded" in request.headers)
        if not known or proxied:
            raise Refusal(403, "bad_host")
        origin = request.headers.get("origin")
        if request.method in {"GET", "HEAD"} or origin is None:
            return
        netloc = origin.partition("://")[2].lower()
        if netloc != host.lower() and not (self.key and _hostname(netloc) in self.hosts - {*LOOPBACK}):
            raise Refusal(403, "bad_origin")

    def _check_key(self, request: Request) -> Response | None:
        shown = request.query_params.get("key")
        if shown is None:
            held = request.cookies.get(COOKIE, "")
            if not hmac.compare_digest(held.encode(), self.pass_.encode()):
                raise Refusal(401, "need_key")
            return None
        if not hmac.compare_digest(shown.encode(), self.key):
            raise Refusal(401, "need_key")
        # The key leaves the address bar, and with it the history and any screenshot.
        rest = urlencode(
            [(name, value) for name, value in request.query_params.multi_items() if name != "key"]
        )
        response = RedirectResponse(request.url.path + (f"?{rest}" if rest else ""), status_code=303)
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, self.pass_, path="/playground", httponly=True, samesite="strict", secure=secure
        )
        return response


class Pages:
    """The page and what it fetches and sends."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.template = Environment(loader=FileSystemLoader(PAGES), autoescape=True).get_template(
            "playground.html"
        )

    async def show(self, request: Request) -> Response:
        """The empty page; its script fills it."""
        language = _language(request)
        words = {key: both[language == "en"] for key, both in WORDS.items()}
        html = self.template.render(
            language=language,
            w=words,
            page={"words": words, "language": language, "bodyCap": BODY_CAP, "mostPhotos": MOST_PHOTOS},
            community=self.backend.community,
            moves=CLOCK_MOVES,
            text_cap=TEXT_CAP,
            chips=[(label[language == "en"], text) for *label, text in CHIPS],
            suggestions=[(label[language == "en"], text) for *label, text in SUGGESTIONS],
        )
        return Response(html, media_type="text/html")

    async def file(self, request: Request) -> Response:
        """The style sheet or the script."""
        name = request.url.path.rpartition("/")[2]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return FileResponse(PAGES / name, media_type=kind, headers={"Cache-Control": "no-cache"})

    async def phones(self, request: Request) -> Response:
        """The five screens, who may hold them, and the clock."""
        phones = await run_in_threadpool(self.backend.phones, _language(request))
        now = await run_in_threadpool(self.backend.now)
        return JSONResponse({"now": now, "phones": [asdict(phone) for phone in phones]})

    async def history(self, request: Request) -> Response:
        """The messages on one screen for the one who holds it."""
        seat = await self._seat(request.query_params, _language(request))
        messages = await run_in_threadpool(self.backend.history, seat.place, seat.who)
        query = urlencode({"slot": seat.slot, "who": seat.who})
        shown = [
            asdict(message)
            | {
                "photos": [f"{photo}?{query}" for photo in message.photos],
                "recordings": [
                    {"address": f"{each.address}?{query}", "mime": each.mime} for each in message.recordings
                ],
                "documents": [
                    {"address": f"{each.address}?{query}", "name": each.name} for each in message.documents
                ],
            }
            for message in messages
        ]
        return JSONResponse({"messages": shown})

    async def media(self, request: Request) -> Response:
        """A picture or a recording; whatever is neither is only handed over as a file."""
        seat = await self._seat(request.query_params, _language(request))
        key = request.path_params["key"]
        found = await run_in_threadpool(self.backend.media, key, seat.place, seat.who)
        if found is None:
            raise Refusal(404, "no_media")
        data, mime = found
        headers = {"Cache-Control": "private, max-age=300"}
        if mime in PLAYED and "save" not in request.query_params:
            response = in_parts(request, data, mime)
            response.headers.update(headers)
            return response
        if mime not in SHOWN_IMAGES:
            mime = "application/octet-stream"
            name = f"{key.rpartition('/')[2]}{ENDINGS.get(found[1], '')}"
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return Response(data, media_type=mime, headers=headers)

    async def say(self, request: Request) -> Response:
        """One message or one tap, confirmed once it is committed."""
        async with request.form(max_files=2 * MOST_PHOTOS, max_fields=16) as form:
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            uploads = await _uploads(form)
        seat = await self._seat(fields, _language(request))
        if not seat.who:
            raise Refusal(403, "read_only")
        text, tap, key = fields.get("text", ""), fields.get("tap", ""), fields.get("key", "")
        on, contact = fields.get("on", ""), fields.get("contact", "")
        if not key or not (text.strip() or tap or contact or uploads):
            raise Refusal(422, "nothing")
        if len(text) > TEXT_CAP:
            raise Refusal(422, "too_long")
        if contact and not PHONE.fullmatch(contact):
            raise Refusal(422, "bad_number")
        sentence = await self.backend.say(
            place=seat.place,
            who=seat.who,
            key=key,
            text=text,
            tap=tap,
            on=on,
            replies_to=fields.get("replies_to", ""),
            contact=contact,
            uploads=uploads,
        )
        return JSONResponse({"error": sentence}, status_code=422) if sentence else JSONResponse({})

    async def clock(self, request: Request) -> Response:
        """Move the clock on, so that deadlines can be seen."""
        async with request.form(max_files=0, max_fields=4) as form:
            seconds = str(form.get("seconds", ""))
        short = seconds.isascii() and seconds.isdecimal() and len(seconds) < 8
        if not (short and 0 < int(seconds) <= 31 * 86400):
            raise Refusal(422, "bad_move")
        if not await self.backend.move_clock(int(seconds)):
            raise Refusal(409, "real_community")
        return JSONResponse({"now": await run_in_threadpool(self.backend.now)})

    async def reset(self, request: Request) -> Response:
        """Begin again."""
        if not await self.backend.reset():
            raise Refusal(409, "real_community")
        return JSONResponse({})

    async def events(self, request: Request) -> Response:
        """The stream that tells the page which places changed."""
        # The header keeps a proxy from holding events back.
        return Stream(self._changes(), headers={"X-Accel-Buffering": "no"})

    async def _changes(self) -> AsyncGenerator[str, None]:
        async with self.backend.watch() as changes:
            # Sent only now that nothing can be missed: the page fetches everything when it reads this.
            yield _event("hello", None, retry=2000)
            next_ = asyncio.ensure_future(_next(changes))
            try:
                while True:
                    await asyncio.wait({next_}, timeout=HEARTBEAT_SECONDS)
                    if not next_.done():
                        yield _event("now", await run_in_threadpool(self.backend.now))
                    elif (places := next_.result()) is None:
                        return
                    else:
                        next_ = asyncio.ensure_future(_next(changes))
                        yield _event("places", sorted(places))
            finally:
                next_.cancel()
                await asyncio.wait({next_})

    async def _seat(self, fields: Mapping[str, str], language: str) -> Seat:
        phones = await run_in_threadpool(self.backend.phones, language)
        phone = next((phone for phone in phones if phone.slot == fields.get("slot")), None)
        if phone is None:
            raise Refusal(404, "gone")
        if not phone.people:
            return Seat(phone.slot, phone.place, "")
        who = fields.get("who") or phone.who
        person = next((person for person in phone.people if person.account == who), None)
        if person is None:
            raise Refusal(404, "gone")
        return Seat(phone.slot, person.place, person.account)


@dataclass(frozen=True)
class Seat:
    """Who sits at which screen; the page names screen and account, never a place."""

    slot: str
    place: str
    who: str


class Stream(StreamingResponse):
    """A stream that closes its source in the task that read it, whichever way the reader left."""

    def __init__(self, source: AsyncGenerator[str, None], *, headers: Mapping[str, str]) -> None:
        super().__init__(source, media_type="text/event-stream", headers=headers)
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.source.aclose()


def _answered(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Whatever goes wrong, the sender reads a sentence and the log gets the rest."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            return _refused(refusal, request)
        except HTTPException:  # the form reader's way to say that it could not read
            return _refused(Refusal(400, "unread_form"), request)
        except Exception:
            log.exception("the playground failed on %s", request.url.path)
            return _refused(Refusal(500, "failed"), request)

    return answer


def _refused(refusal: Refusal, request: Request) -> Response:
    sentence = WORDS[refusal.word][_language(request) == "en"]
    if request.url.path == "/playground":  # read by a person, not by the script
        return Response(sentence, refusal.status, media_type="text/plain")
    return JSONResponse({"error": sentence}, refusal.status)


def _capped(receive: Receive) -> Receive:
    """A body sent without its length is counted as it comes in."""
    taken = 0

    async def counted() -> Event:
        nonlocal taken
        event = await receive()
        taken += len(event.get("body", b""))
        if taken > BODY_CAP:
            raise Refusal(413, "too_large")
        return event

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(event: Event) -> None:
        if event["type"] == "http.response.start":
            headers = MutableHeaders(scope=event)
            headers["Content-Security-Policy"] = POLICY
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers.setdefault("Cache-Control", "no-store")
        await send(event)

    return sent


async def _uploads(form: FormData) -> list[Upload]:
    files = [file for file in form.getlist("photos") if isinstance(file, UploadFile) and file.size]
    if len(files) > MOST_PHOTOS:
        raise Refusal(422, "too_many")
    return [
        Upload(file.filename or "", file.content_type or "application/octet-stream", await file.read())
        for file in files
    ]


async def _next(changes: AsyncIterator[frozenset[str]]) -> frozenset[str] | None:
    return await anext(changes, None)


def _event(name: str, data: object, *, retry: int | None = None) -> str:
    wait = f"retry: {retry}\n" if retry else ""
    return f"{wait}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _language(request: Request) -> str:
    return "en" if request.query_params.get("lang") == "en" else "zh"


def _hostname(netloc: str) -> str:
    try:
        return "" if "@" in netloc else (urlsplit(f"//{netloc}").hostname or "")
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
