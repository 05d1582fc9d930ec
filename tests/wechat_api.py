"""A strict WeChat service account (服务号) on this machine: the network's edge for tests, in safe mode.

async with WeChatApi() as api:
    api.deliver = ...  # how the program is called; the program calls {api.url}/cgi-bin/...
    chen = api.user("陈女士")
    await chen.follows()
    await chen.writes("电梯坏了")
    assert "电梯" in chen.chat[-1].text
    assert not api.mistakes
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import random
import re
import socket
import struct
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from xml.sax.saxutils import escape

from aiohttp import BodyPartReader, web

from tests import wechat_api_facts as facts
from tests.wechat_api_facts import Body, Refused, Template, known, text_of, wrong
from tests.wechat_api_methods import Media, Methods, Upload, answer_of, as_text, is_bytes
from tests.wechat_api_peer import PeerError, peer
from tests.wechat_api_people import MESSAGE_HOURS, Fields, Shown, User

__all__ = ["Answer", "Refused", "Shown", "Template", "User", "WeChatApi", "xml_of"]

Deliver = Callable[[str, dict[str, str], bytes], Awaitable[tuple[int, bytes]]]
"""Calls the program: HTTP method, query and body in; status and body out; OSError where it cannot be reached."""
ANSWERED = {"subscribe", "SCAN", "CLICK"}
"""The events whose passive reply is shown."""
FAULTS = ("500", "timeout", "garbage", "cut")
CONTENT = "物业服务:{{thing1.DATA}}\n内容:{{thing2.DATA}}\n时间:{{time3.DATA}}\n"
ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])[0-9a-fA-F]{4}")


@dataclass
class Answer:
    """What the program answered to one delivery."""

    status: int
    """0 when nothing came in time."""
    text: str = ""
    """The passive reply; "" for an empty answer or `success`."""
    xml: str = ""
    """The reply as it was decrypted."""
    seconds: float = 0
    """How long it took, by the real clock."""
    broken: bool = False
    """Whether it is no reply that WeChat could show; `mistakes` says why."""

    @property
    def arrived(self) -> bool:
        return 200 <= self.status < 300 and not self.broken


class WeChatApi:
    """WeChat's API and its callbacks, the people who use it, and a record of all that happened.

    `now` is the clock in Unix seconds; only `patience`, how many seconds an answer may take, is real time.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        free_messages: int = 5,
        free_hours: float = MESSAGE_HOURS,
        tap_messages: int = 3,
        menu_options: int = 10,
        patience: float = 5,
        port: int = 0,
    ) -> None:
        self.now = now
        self.free_hours = free_hours
        self.free_messages, self.tap_messages = free_messages, tap_messages
        self.menu_options = menu_options
        """The most options of a menu message. There is an error code (45098), but no documented number."""
        self.patience = patience
        self.port = port

        self.app_id = "wx5823bf96d3bd56c7"
        self.app_secret = "0123456789abcdef0123456789abcdef"
        self.token = "QDG6eKtestToken"
        self.aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE"
        self.account = "gh_7f083739789a"
        """The account's own id, to which people write."""
        self.verified = True
        self.videos_as_bytes = False
        """Whether a video is handed out itself, instead of where it is."""
        self.limits: dict[str, int] = {}
        """Calls a day by path, such as "message/custom/send"."""
        self.counts: Counter[tuple[str, int]] = Counter()

        self.deliver: Deliver | None = None
        self.choose: Callable[[str, Any], int | str | None] | None = None
        """Asked before each call, with path and payload as in `calls`, what is to go wrong: an errcode; "500",
        "timeout" or "garbage" before anything is done; or "cut": the connection ends after it is done."""
        self.mistakes: list[str] = []
        self.calls: list[tuple[str, Any]] = []
        """Path without /cgi-bin/, such as "message/custom/send" or "wxaapi/newtmpl/gettemplate", and payload: the JSON
        of a POST, else the query without its token; None where it could not be read."""
        self.users: dict[str, User] = {}
        self.templates: dict[str, Template] = {}
        self.notifications: dict[str, Template] = {}
        self.methods = Methods(self)

        self._random = random.Random(1)
        self._numbers = itertools.count(1)
        self._tokens: dict[str, float] = {}
        self._newest = ""
        self._events: dict[tuple[str, str], int] = {}
        self._forced: list[float] = []
        self._abandoned: set[asyncio.Future[Any]] = set()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.template = self.add_template("工单进度提醒", CONTENT).id
        """The id of a template with thing1, thing2 and time3."""
        self.notification = self.add_template("物业服务通知", CONTENT, notification=True).id
        """The id of a notification with the same fields."""

    # --- the server

    async def __aenter__(self) -> Self:
        self.peer = peer()
        self._stopping = asyncio.Event()
        app = web.Application(client_max_size=4 * facts.IMAGE_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._stopping.set()
        for task in self._abandoned:
            task.cancel()
        await asyncio.gather(*self._abandoned, return_exceptions=True)
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What stands for https://api.weixin.qq.com."""
        return f"http://127.0.0.1:{self.port}"

    # --- people and things

    def user(self, name: str) -> User:
        """Somebody new, who does not follow yet."""
        digest = hashlib.sha256(f"{name} {next(self._numbers)}".encode()).digest()
        openid = f"o6_bm{base64.urlsafe_b64encode(digest).decode()[:23]}"
        self.users[openid] = User(self, name, openid)
        return self.users[openid]

    def add_template(self, title: str, content: str, *, notification: bool = False) -> Template:
        """A template (or a notification) as the account's administrators choose one; `content` has {{thing1.DATA}}."""
        digest = hashlib.sha256(f"{title} {next(self._numbers)}".encode()).digest()
        made = Template(base64.urlsafe_b64encode(digest).decode()[:43], title, content)
        (self.notifications if notification else self.templates)[made.id] = made
        return made

    def shown(self, kind: Any, text: str, **more: Any) -> Shown:
        return Shown(next(self._numbers), kind, text, **more)

    def next_number(self) -> int:
        """A new id of 64 bits, beyond what a double holds."""
        return 23_000_000_000_000_001 + 2 * next(self._numbers) + self._random.randrange(10**15) * 1000

    def keep_media(self, kind: str, data: bytes) -> str:
        """Keep a file for three days: its media_id."""
        digest = hashlib.sha512(f"{next(self._numbers)}".encode()).digest()
        media_id = base64.urlsafe_b64encode(digest).decode()[:64]
        self.methods.media[media_id] = Media(kind, data, self.now() + facts.MEDIA_SECONDS)
        return media_id

    def is_expired(self, scene: str) -> bool:
        """Whether all codes of this scene have run out; a scene without any may stand on some old paper."""
        codes = [each for each in self.methods.codes if each.scene == scene]
        return bool(codes) and all(each.until is not None and each.until <= self.now() for each in codes)

    def ticket_of(self, scene: str) -> str:
        codes = [each.ticket for each in self.methods.codes if each.scene == scene]
        return codes[-1] if codes else f"gQ{hashlib.sha512(scene.encode()).hexdigest()[:94]}=="

    # --- tokens

    def end_tokens(self, *, expired: bool = False) -> None:
        """Let the tokens fail from now on, as invalid (40001, somebody else renewed them) or as expired (42001)."""
        for token in self._tokens:
            self._tokens[token] = self.now() if expired else 0
        self._newest = ""

    def _stable_token(self, given: Body) -> Body:
        known(given, "grant_type", "appid", "secret", "force_refresh")
        if given.get("grant_type") != "client_credential":
            raise wrong(40002, f"{given.get('grant_type')!r}")
        if text_of(given, "appid", 41002) != self.app_id:
            raise Refused(40013)
        if text_of(given, "secret", 41004) != self.app_secret:
            raise Refused(40125)
        forced = given.get("force_refresh", False)
        if not isinstance(forced, bool):
            raise wrong(47001, f"force_refresh {forced!r}")
        if forced:
            self._force()
        if self._tokens.get(self._newest, 0) - self.now() <= facts.TOKEN_OVERLAP:
            self._newest = f"84_{self._random.randbytes(96).hex()}"
            self._tokens[self._newest] = self.now() + facts.TOKEN_SECONDS
        left = round(self._tokens[self._newest] - self.now())
        return {"access_token": self._newest, "expires_in": left}

    def _force(self) -> None:
        today = [at for at in self._forced if _day(at) == _day(self.now())]
        if len(today) >= facts.FORCED_A_DAY:
            raise Refused(45009)
        if today and self.now() - today[-1] < facts.FORCED_PAUSE:
            raise Refused(45011)
        self._forced.append(self.now())
        self.end_tokens()

    def _check_token(self, token: str | None) -> None:
        if not token:
            raise wrong(41001)
        until = self._tokens.get(token, 0)
        if until == 0:
            raise Refused(40001)
        if until <= self.now():
            raise Refused(42001)

    # --- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/video/"):
            return self._film(request)
        path = request.path.lstrip("/").removeprefix("cgi-bin/")
        query = dict(request.query)
        token = query.pop("access_token", None)
        try:
            payload, upload = await self._payload(request, query)
        except Refused as error:
            self.calls.append((path, None))
            return self._refusal(path, error)
        self.calls.append((path, payload))
        how = self.choose(path, payload) if self.choose else None
        if isinstance(how, int):
            return self._refusal(path, Refused(how))
        assert how is None or how in FAULTS, f"unknown fault {how!r}"
        if how and how != "cut":
            return await self._break(how)
        try:
            answer = self._perform(request, path, token, payload, upload)
        except Refused as error:
            answer = self._refusal(path, error)
        if how == "cut":
            _cut(request)
        return answer

    async def _payload(self, request: web.Request, query: dict[str, str]) -> tuple[Any, Upload | None]:
        """The JSON of a POST or the query of a GET, and the file of a form."""
        if request.method != "POST":
            return query, None
        if request.content_type == "multipart/form-data":
            upload = await _file(request)
            return {**query, "media": as_text(upload)}, upload
        return self._read(await request.read()), None

    def _read(self, body: bytes) -> Body:
        if not body:
            raise wrong(44002)
        try:
            found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise wrong(47001, str(error)) from None
        if not isinstance(found, dict):
            raise wrong(47001, "not an object")
        # JSON must hold the characters themselves: in a message people read \u7535 as it stands, a menu is refused.
        if ESCAPED.search(body):
            raise wrong(40033, f"{body[:80]!r}")
        return found

    def _perform(
        self, request: web.Request, path: str, token: str | None, payload: Any, upload: Upload | None
    ) -> web.Response:
        if path == "token":
            raise wrong(48001, "the classic token: POST stable_token does not end the tokens of others")
        if path == "stable_token":
            if request.method != "POST":
                raise wrong(43002)
            return _json(self._stable_token(payload))
        prefix = "/" if path.startswith("wxaapi/") else "/cgi-bin/"
        if path not in self.methods.paths or request.path != prefix + path:
            raise wrong(40066, request.path)
        method, perform, verified_only = self.methods.paths[path]
        if request.method != method:
            raise wrong(43002 if method == "POST" else 43001)
        self._check_token(token)
        if verified_only and not self.verified:
            raise Refused(48001)
        counted = (path, _day(self.now()))
        if self.counts[counted] >= self.limits.get(path, 10**9):
            raise Refused(45009)
        self.counts[counted] += 1
        self.methods.upload = upload
        result = perform(payload)
        if is_bytes(path, result):
            return self._file(payload["media_id"])
        return _json(answer_of(result))

    def _film(self, request: web.Request) -> web.Response:
        """Where a video is: a server that needs no token, and that nobody should tell it."""
        if request.method != "GET" or request.query:
            self.mistakes.append(f"{request.method} {request.path_qs}")
        media = self.methods.media.get(request.path.removeprefix("/video/"))
        if media is None or media.kind != "video":
            return web.Response(status=404)
        return web.Response(body=media.data, content_type="video/mp4")

    def _file(self, media_id: str) -> web.Response:
        media = self.methods.media[media_id]
        ending = media.content_type.partition("/")[2].replace("jpeg", "jpg")
        headers = {"Content-disposition": f'attachment; filename="{media_id}.{ending}"'}
        return web.Response(body=media.data, content_type=media.content_type, headers=headers)

    def _refusal(self, path: str, error: Refused) -> web.Response:
        if error.mistake:
            self.mistakes.append(f"{path}: {error}")
        rid = self._random.randbytes(12).hex()
        about = facts.ERRORS.get(error.code, "error")
        return _json({"errcode": error.code, "errmsg": f"{about} rid: {rid[:8]}-{rid[8:16]}-{rid[16:]}"})

    async def _break(self, how: str) -> web.StreamResponse:
        if how == "timeout":
            await self._stopping.wait()
        if how == "garbage":
            return web.Response(
                text="<html><body>Welcome to this WiFi</body></html>", content_type="text/html"
            )
        return web.Response(
            status=500, text="<html>500 Internal Server Error</html>", content_type="text/html"
        )

    # --- callbacks

    async def checks_url(self) -> bool:
        """What WeChat does when the server's address is saved: whether exactly the echostr came back."""
        query = self._signed(str(int(self.now())), self._nonce())
        query["echostr"] = str(self._random.randrange(10**18, 10**19))
        status, body = await self.raw(query, b"", method="GET")
        return status == 200 and body == query["echostr"].encode()

    async def finish_templates(self, status: str = "success") -> list[Answer]:
        """Tell the program how all templates and notifications ended that were sent since the last time.

        "success", "failed:user block" or "failed: system failed"; what failed goes from the person's screen.
        """
        jobs, self.methods.jobs = self.methods.jobs, []
        answers: list[Answer] = []
        for job in jobs:
            if status != "success":
                job.user.chat.remove(job.shown)
            fields: Fields = {
                "MsgType": "event",
                "Event": "TEMPLATESENDJOBFINISH",
                "MsgID": job.number,
                "Status": status,
            }
            if job.kind == "notification":
                code = 0 if status == "success" else 43101
                each = {
                    "TemplateId": job.template.id,
                    "MsgID": str(job.number),
                    "ErrorCode": code,
                    "ErrorStatus": status,
                }
                fields = {"MsgType": "event", "Event": "subscribe_msg_sent_event"}
                fields["SubscribeMsgSentEvent"] = {"List": [each]}
            answers += await self.deliver_to_program(job.user, fields, message=False)
        return answers

    def sealed(self, fields: Fields | str, **overrides: str) -> tuple[dict[str, str], bytes]:
        """A callback as WeChat would send it, from fields or from any XML: its query and body.

        `timestamp`, `nonce`, `token`, `aes_key`, `app_id`, `to` and `openid` make other ones than the account's;
        `signature`, `msg_signature`, `encrypt_type` and `encrypted` replace what comes of them; what is "" is
        left out of the query.
        """
        given = {
            "timestamp": str(int(self.now())), "nonce": self._nonce(), "token": self.token, "aes_key": self.aes_key,
            "app_id": self.app_id, "to": self.account, "encrypt_type": "aes", **overrides,
        }  # fmt: skip
        inner = fields if isinstance(fields, str) else xml_of(fields)
        encrypted = given.get("encrypted", self.peer.encrypt(given["aes_key"], inner, given["app_id"]))
        stamp, nonce, token = given["timestamp"], given["nonce"], given["token"]
        openid = fields.get("FromUserName", "") if isinstance(fields, dict) else ""
        query = {
            "signature": given.get("signature", self.peer.signature(token, stamp, nonce)),
            "timestamp": stamp,
            "nonce": nonce,
            "openid": given.get("openid", openid),
            "encrypt_type": given["encrypt_type"],
            "msg_signature": given.get("msg_signature", self.peer.signature(token, stamp, nonce, encrypted)),
        }
        body = xml_of({"ToUserName": given["to"], "Encrypt": encrypted})
        return {name: value for name, value in query.items() if value}, body.encode()

    async def raw(self, query: Mapping[str, str], body: bytes, method: str = "POST") -> tuple[int, bytes]:
        """Call the program with just this, and without judging the answer."""
        assert self.deliver, "the test has not said how the program is called"
        return await self.deliver(method, dict(query), body)

    async def deliver_to_program(
        self, user: User, fields: Fields, *, message: bool, deliveries: int = 1, overlapping: bool = False
    ) -> list[Answer]:
        """Deliver one message or event, again when it fails, three times in all."""
        assert 1 <= deliveries <= 3, "WeChat delivers three times at most"
        at = int(self.now()) if message else self._event_time(user, fields)
        whole = {"ToUserName": self.account, "FromUserName": user.openid, "CreateTime": at, **fields}
        if message:
            whole["MsgId"] = self.next_number()
        about = str(whole.get("MsgId") or f"{at}:{fields['Event']}")
        if overlapping:
            answers = list(
                await asyncio.gather(*(self._once(user, whole, each) for each in range(deliveries)))
            )
        else:
            answers = [await self._once(user, whole, each) for each in range(deliveries)]
            while not answers[-1].arrived and not answers[-1].broken and len(answers) < 3:
                answers.append(await self._once(user, whole, len(answers)))
        arrived = [each for each in answers if each.arrived]
        if len({each.xml for each in arrived}) > 1:
            self.mistakes.append(f"{about}: answered differently {[each.xml for each in arrived]}")
        if fields.get("Event", "CLICK") not in ANSWERED:
            if any(each.text for each in arrived):
                self.mistakes.append(f"{about}: nobody reads an answer to this event")
        elif not arrived:
            user.chat.append(self.shown("trouble", facts.OUT_OF_SERVICE))
        elif arrived[-1].text:
            user.chat.append(self.shown("text", arrived[-1].text, rung="passive", passive_to=about))
        return answers

    def _event_time(self, user: User, fields: Fields) -> int:
        """The CreateTime of an event: nobody does the same twice in a second, even while the test's clock stands."""
        about = (user.openid, xml_of(fields))
        self._events[about] = max(int(self.now()), self._events.get(about, 0) + 1)
        return self._events[about]

    async def _once(self, user: User, whole: Fields, attempt: int) -> Answer:
        """One delivery; one that takes too long goes on unheard, as behind a broken connection."""
        query, body = self.sealed(whole, timestamp=str(int(self.now()) + round(attempt * self.patience)))
        began = time.monotonic()
        task = asyncio.ensure_future(self.raw(query, body))
        await asyncio.wait([task], timeout=self.patience)
        seconds = time.monotonic() - began
        if not task.done():
            self._abandoned.add(task)
            task.add_done_callback(self._abandoned.discard)
            return Answer(0, seconds=seconds)
        try:
            status, answer = task.result()
        except OSError:
            return Answer(0, seconds=seconds)
        if not 200 <= status < 300 or answer in (b"", b"success"):
            return Answer(status, seconds=seconds)
        try:
            inner = self._opened(answer)
            return Answer(status, self._reply(inner, user), inner, seconds)
        except (ValueError, PeerError) as error:
            self.mistakes.append(f"passive reply: {error}: {answer[:300]!r}")
            return Answer(status, seconds=seconds, broken=True)

    def _opened(self, answer: bytes) -> str:
        """What a passive reply holds, once its seal is found whole."""
        found = _fields(answer.decode(), {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"})
        if not re.fullmatch(r"\d{10}", found["TimeStamp"]) or not found["Nonce"]:
            raise ValueError("TimeStamp or Nonce is none")
        signature = self.peer.signature(self.token, found["TimeStamp"], found["Nonce"], found["Encrypt"])
        if signature != found["MsgSignature"]:
            raise ValueError("MsgSignature is wrong")
        inner, app_id = self.peer.decrypt(self.aes_key, found["Encrypt"])
        if app_id != self.app_id:
            raise ValueError(f"encrypted for {app_id!r}")
        return inner

    def _reply(self, inner: str, user: User) -> str:
        """The text of a passive reply, once it is found to be one."""
        found = _fields(inner, {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"})
        if (found["ToUserName"], found["FromUserName"]) != (user.openid, self.account):
            raise ValueError("from or to somebody else")
        if not re.fullmatch(r"\d{10}", found["CreateTime"]) or found["MsgType"] != "text":
            raise ValueError("CreateTime or MsgType is wrong")
        if not 1 <= facts.size(found["Content"]) <= facts.TEXT_BYTES:
            raise ValueError(f"a Content of {facts.size(found['Content'])} bytes")
        return found["Content"]

    def _signed(self, stamp: str, nonce: str) -> dict[str, str]:
        signature = self.peer.signature(self.token, stamp, nonce)
        return {"signature": signature, "timestamp": stamp, "nonce": nonce}

    def _nonce(self) -> str:
        return str(self._random.randrange(10**8, 10**10))


def xml_of(fields: Fields, tag: str = "xml") -> str:
    """Fields as WeChat writes them: texts in CDATA, numbers plain, a list as repeated tags."""
    inside = ""
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                inside += xml_of(each, name)
            elif isinstance(each, str):
                inside += f"<{name}><![CDATA[{each.replace(']]>', ']]]]><![CDATA[>')}]]></{name}>"
            else:
                inside += f"<{name}>{escape(str(each))}</{name}>"
    return f"<{tag}>{inside}</{tag}>"


def _fields(document: str, names: set[str]) -> dict[str, str]:
    """The fields of a flat XML document; ValueError unless it has exactly these, once each."""
    if "<!" in re.sub(r"<!\[CDATA\[.*?\]\]>", "", document, flags=re.DOTALL):
        raise ValueError("a declaration")
    try:
        root = ET.fromstring(document)
    except ET.ParseError as error:
        raise ValueError(f"no XML: {error}") from None
    tags = [each.tag for each in root]
    if root.tag != "xml" or sorted(tags) != sorted(names) or any(len(each) or each.attrib for each in root):
        raise ValueError(f"<{root.tag}> with {tags}")
    if any((beside or "").strip() for beside in (root.text, *(each.tail for each in root))):
        raise ValueError("text between the fields")
    return {each.tag: each.text or "" for each in root}


def _day(at: float) -> int:
    """The day in China, by which limits are counted."""
    return int((at + 8 * 3600) // 86400)


def _json(body: Body) -> web.Response:
    """An answer with WeChat's own content type, which names no charset."""
    headers = {"Content-Type": "application/json; encoding=utf-8"}
    return web.Response(body=json.dumps(body, ensure_ascii=False).encode(), headers=headers)


def _once(pairs: list[tuple[str, Any]]) -> Body:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a name twice: {names}")
    return dict(pairs)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


async def _file(request: web.Request) -> Upload | None:
    """The file of a form, if it is one file called `media` with a filename."""
    found: list[Upload] = []
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name != "media" or not part.filename:
                return None
            found.append(Upload(part.filename, bytes(await part.read())))
    except ValueError:
        return None
    return found[0] if len(found) == 1 else None


def _cut(request: web.Request) -> None:
    """End the connection with a reset, so that the client never hears the answer."""
    assert request.transport
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
