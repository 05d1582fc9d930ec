"""WeChat's API, on wechatpy's client: one token for all processes, calls that block nobody, errors without secrets.

Sources: developers.weixin.qq.com/doc/service/api, and for what wechatpy does, its code (1.8.18).
"""

import asyncio
import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

import requests
import structlog
from requests.adapters import HTTPAdapter
from sqlmodel import Session, select
from urllib3.exceptions import HTTPError
from wechatpy.client.base import BaseWeChatClient
from wechatpy.exceptions import WeChatClientException

from bot.settings import Wechat
from store.database import Database
from store.lease import hold, let_go
from store.tables import Token
from store.vault import Vault, WrongKey

log = structlog.get_logger()

T = TypeVar("T")
WECHAT = "https://api.weixin.qq.com"
CONNECT_SECONDS, READ_SECONDS = 5, 10
ANSWER_SECONDS, MEDIA_SECONDS = 20, 60
"""How long a whole answer may take, if it trickles."""
AT_ONCE = 16
LARGEST_ANSWER = 1024 * 1024
LARGEST_MEDIA = 20 * 1024 * 1024
TOO_MUCH = "too much"
UPLOADED = {
    "audio/amr": ("voice", "voice.amr", 2 * 1024 * 1024),
    "audio/mpeg": ("voice", "voice.mp3", 2 * 1024 * 1024),
    "video/mp4": ("video", "video.mp4", 10 * 1024 * 1024),
}
"""The recordings that WeChat takes, by their types: what it calls them, a name of a file, and the most bytes."""
EARLY = timedelta(minutes=5)
"""How long before its end a token is renewed; WeChat hands out the next one from then on."""
LEASE_SECONDS = 30
"""Longer than an answer takes."""
FORCED_SECONDS = 30
"""WeChat takes one forced renewal in so many seconds, twenty a day."""
REFUSED = (40001, 40014, 42001)
"""The token is not, or is no longer, WeChat's."""
NO_MENU = 46003
JSON = {"Content-Type": "application/json; charset=utf-8"}
IN_ADDRESS = re.compile(r"(?<=access_token=)[^&\s'\")]+")


class Trouble(Exception):
    """WeChat says no: its errcode (-1: it is busy, try again) and its words, without what is secret."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Away(Exception):
    """WeChat was not reached or its answer cannot be read; whether the call did something is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _WithoutTokens(logging.Filter):
    """Takes tokens out of the addresses that the HTTP library logs, for example with headers it cannot read."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = IN_ADDRESS.sub("***", record.getMessage()), ()
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_WithoutTokens())


class Kept(NamedTuple):
    """A token, and until when it is used."""

    value: str
    until: datetime


OURS, THEIRS = "ours", "theirs"


def real_time() -> datetime:
    """Now, also in a playground whose clock was moved: WeChat's tokens know nothing of it."""
    return datetime.now(UTC)


class Tokens:
    """Something that WeChat lets us in with for a while; one for all processes, sealed in the database.

    `fetch(force)` gets a new one from WeChat: it and its seconds. It may raise Trouble and Away, which then
    everybody gets who waits for it.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        fetch: Callable[[bool], Awaitable[tuple[str, float]]],
        now: Callable[[], datetime] = real_time,
        name: str = "wechat",
    ) -> None:
        self._database = database
        self._vault = vault
        self._fetch = fetch
        self._now = now
        self._name = name
        self._holder = secrets.token_hex(8)
        self._kept = Kept("", now())
        self._renewal: asyncio.Task[str] | None = None
        self._forced_at = -float(FORCED_SECONDS)

    async def value(self) -> str:
        """The token, at least for some minutes more. Raises what `fetch` raises, and StoreUnavailable."""
        return await self.renew("")

    async def renew(self, refused: str) -> str:
        """Another one than the refused: what somebody has fetched since, else a new one. Raises as `value`."""
        if self._kept.value != refused and self._now() < self._kept.until:
            return self._kept.value
        while True:
            mine = self._renewal is None or self._renewal.done()
            if self._renewal is None or mine:
                self._renewal = asyncio.create_task(self._renewed(refused))
                self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
            value = await asyncio.shield(self._renewal)  # all that wait get the same token, or the same error
            if mine or value != refused:
                return value

    async def close(self) -> None:
        """Give up a renewal that is under way, so that another process need not wait for its lease to run out."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _renewed(self, refused: str) -> str:
        while True:
            found = await self._database.write(lambda session: self._found(session, refused))
            if found == OURS:
                found = await self._fetched(refused)
            if isinstance(found, Kept):
                self._kept = found
                return found.value
            await asyncio.sleep(0.1)  # another process is at it

    def _found(self, session: Session, refused: str) -> Kept | str:
        """The token that the database has, else whose turn it is to renew it."""
        found = self._stored(session, refused)
        if found is not None:
            return found
        if not hold(session, self._name, self._holder, now=real_time(), seconds=LEASE_SECONDS):
            return THEIRS
        session.flush()
        found = self._stored(session, refused)  # whoever held the lease may just have renewed it
        if found is None:
            return OURS
        let_go(session, self._name, self._holder)
        return found

    def _stored(self, session: Session, refused: str) -> Kept | None:
        row = session.exec(select(Token.value, Token.expires_at).where(Token.name == self._name)).first()
        if row is None or self._now() >= row[1] - EARLY:
            return None
        try:
            value = self._vault.open(row[0])
        except WrongKey:
            return None
        return Kept(value, row[1] - EARLY) if value != refused else None

    async def _fetched(self, refused: str) -> Kept:
        force = bool(refused) and time.monotonic() - self._forced_at >= FORCED_SECONDS
        if force:
            self._forced_at = time.monotonic()
        try:
            value, seconds = await self._fetch(force)
        except BaseException:
            await self._database.write(lambda session: let_go(session, self._name, self._holder))
            raise
        lasts, now = timedelta(seconds=seconds), self._now()
        await self._database.write(lambda session: self._store(session, value, now + lasts))
        # One that ends soon is asked for again only after a while.
        return Kept(value, now + max(lasts - EARLY, min(lasts / 2, EARLY)))

    def _store(self, session: Session, value: str, expires_at: datetime) -> None:
        row = session.get(Token, self._name) or Token(name=self._name, value="", expires_at=expires_at)
        row.value, row.expires_at = self._vault.seal(value), expires_at
        session.add(row)
        let_go(session, self._name, self._holder)


class Answer(NamedTuple):
    """What came back, cut soon after it is more than was asked for."""

    status: int
    body: bytes


class _Http(BaseWeChatClient):  # type: ignore[misc]
    """wechatpy's client without its tokens, its retries and its reading: an answer is bytes, of so many at most."""

    def __init__(self, app_id: str, base_url: str) -> None:
        super().__init__(app_id, timeout=(CONNECT_SECONDS, READ_SECONDS), auto_retry=False)
        self.API_BASE_URL = base_url.rstrip("/")
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=AT_ONCE)
        self._http.mount("https://", adapter)
        self._http.mount("http://", adapter)

    def ask(self, path: str, most: int, **request: Any) -> bytes:
        """The body of the answer to one request. Away for all that goes wrong, without any of its words."""
        method = "get" if request.get("data") is None and request.get("files") is None else "post"
        try:
            # A redirection would carry the token and the secret elsewhere.
            answer: Answer = self._request(
                method, path, stream=True, allow_redirects=False, result_processor=most, **request
            )
        except WeChatClientException as error:
            error.response.close()
            reason = f"HTTP {error.response.status_code}"
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            reason = type(error).__name__
        else:
            if answer.status == 200 and len(answer.body) <= most:
                return answer.body
            reason = f"HTTP {answer.status}" if answer.status != 200 else TOO_MUCH
        raise Away(reason)  # outside, so that no exception with an address hangs on it

    def _handle_result(
        self, res: Any, method: Any = None, url: Any = None, result_processor: int = 0, **_: Any
    ) -> Answer:
        body = bytearray()
        with res:
            for part in res.iter_content(64 * 1024):
                body += part
                if len(body) > result_processor:
                    break
        return Answer(res.status_code, bytes(body))

    def close(self) -> None:
        self._http.close()


class Client:
    """The service account's API. Every method raises Trouble and Away, and StoreUnavailable for want of a token."""

    def __init__(
        self,
        settings: Wechat,
        database: Database,
        vault: Vault,
        now: Callable[[], datetime] = real_time,
    ) -> None:
        self._app_id = settings.app_id
        self._secret = settings.app_secret.get_secret_value()
        self._http = _Http(settings.app_id, settings.base_url or WECHAT)
        # Of its own: while WeChat does not answer, nobody else's work waits behind it.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wechat")
        name = f"wechat {settings.app_id}"
        self.tokens = Tokens(database, vault, self._fetch_token, now, f"{name} access_token")
        self.tickets = Tokens(database, vault, self._fetch_ticket, now, f"{name} jsapi_ticket")
        self._now = now
        self._closed = False

    async def close(self) -> None:
        """Let go of the connections; what is still on its way is not waited for."""
        self._closed = True
        await self.tickets.close()
        await self.tokens.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    # --- calls ---

    async def call(
        self, path: str, data: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What WeChat answers to one call: POST if it has data (sent as JSON in UTF-8), else GET.

        A refused token is renewed once and the call tried once more.
        """
        request: dict[str, Any] = {} if data is None else {"data": _json(data), "headers": JSON}
        return await self._with_token(lambda token: self._answer(token, path, params or {}, **request))

    async def _with_token(self, attempt: Callable[[str], Awaitable[T]]) -> T:
        token = await self.tokens.value()
        try:
            return await attempt(token)
        except Trouble as trouble:
            if trouble.code not in REFUSED:
                raise
            log.info("WeChat refuses the token, which is renewed", code=trouble.code)
        return await attempt(await self.tokens.renew(token))

    async def _answer(
        self, token: str, path: str, params: Mapping[str, str], **request: Any
    ) -> dict[str, Any]:
        request["params"] = {**params, "access_token": token}
        return self._read(await self._ask(path, **request), token)

    async def _ask(
        self, path: str, most: int = LARGEST_ANSWER, seconds: float | None = None, **request: Any
    ) -> bytes:
        if self._closed:
            raise Away("closed")
        work = partial(self._http.ask, path, most, **request)
        try:
            async with asyncio.timeout(seconds or ANSWER_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            pass
        raise Away("too slow")

    def _read(self, body: bytes, token: str = "") -> dict[str, Any]:
        """An answer; Trouble if it is an error, Away if it is none at all."""
        try:
            answer = json.loads(body)
            code = int(answer.get("errcode", 0))
        except (ValueError, TypeError, AttributeError, RecursionError):
            answer = None
        if answer is None:
            raise Away("no answer of WeChat's")
        if code:
            raise Trouble(code, self._harmless(str(answer.get("errmsg", "")), token))
        return dict(answer)

    def _harmless(self, words: str, token: str) -> str:
        for secret in filter(None, (self._secret, token)):
            words = words.replace(secret, "***")
        return words[:200]

    async def _fetch_token(self, force: bool) -> tuple[str, float]:
        data = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._secret,
            "force_refresh": force,
        }
        # Parameters that are no dict: wechatpy would add a token.
        request: dict[str, Any] = {"params": (), "data": _json(data), "headers": JSON}
        body = await self._ask("/cgi-bin/stable_token", **request)
        return _token(self._read(body), "access_token")

    async def _fetch_ticket(self, _: bool) -> tuple[str, float]:
        return _token(await self.call("/cgi-bin/ticket/getticket", params={"type": "jsapi"}), "ticket")

    async def try_token(self) -> None:
        """Raise what keeps WeChat from giving us a token; the one in use stays good."""
        await self._fetch_token(False)

    # --- messages to one owner ---

    async def send_text(self, openid: str, text: str) -> None:
        """A text, 2,048 bytes at most, to somebody who was heard lately (else Trouble 45015 or 45047)."""
        await self._send(openid, "text", {"content": text})

    async def send_menu(self, openid: str, head: str, options: Sequence[tuple[str, str]], tail: str) -> None:
        """A text with choices, each an id and its label; a tap comes back as the label and `bizmsgmenuid`."""
        choices = [{"id": id_, "content": label} for id_, label in options]
        await self._send(openid, "msgmenu", {"head_content": head, "list": choices, "tail_content": tail})

    async def send_image(self, openid: str, media_id: str) -> None:
        """An image that was uploaded before."""
        await self._send(openid, "image", {"media_id": media_id})

    async def send_recording(self, openid: str, mime: str, media_id: str) -> None:
        """A voice message or a video that was uploaded before; its picture is WeChat's choice."""
        await self._send(openid, UPLOADED[mime][0], {"media_id": media_id})

    async def _send(self, openid: str, kind: str, what: Mapping[str, Any]) -> None:
        await self.call("/cgi-bin/message/custom/send", {"touser": openid, "msgtype": kind, kind: what})

    async def send_template(
        self, openid: str, template_id: str, url: str, fields: Mapping[str, str], *, once: str = ""
    ) -> str:
        """A template message whose link is `url` ("" for none); its msgid, by which TEMPLATESENDJOBFINISH names it.

        What is sent again within ten minutes with the same `once` (32 characters at most) arrives once.
        """
        data = _filled(openid, template_id, fields) | ({"url": url} if url else {})
        data |= {"client_msg_id": once} if once else {}
        return str((await self.call("/cgi-bin/message/template/send", data)).get("msgid", ""))

    async def send_notification(
        self, openid: str, template_id: str, page_url: str, fields: Mapping[str, str]
    ) -> str:
        """The notification to which its reader agreed (else Trouble 43101); its msgid if WeChat tells one, else ""."""
        data = _filled(openid, template_id, fields) | ({"page": page_url} if page_url else {})
        return str((await self.call("/cgi-bin/message/subscribe/bizsend", data)).get("msgid", ""))

    # --- files ---

    async def upload_image(self, data: bytes) -> str:
        """Keep a JPEG or PNG (10 MB at most) at WeChat for three days; its media id."""
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        return await self._upload("image", (f"photo.{kind}", data, f"image/{kind}"))

    async def upload_recording(self, data: bytes, mime: str) -> str:
        """Keep a recording of one of the types of UPLOADED at WeChat for three days; its media id."""
        kind, name, _ = UPLOADED[mime]
        return await self._upload(kind, (name, data, mime))

    async def _upload(self, kind: str, file: tuple[str, bytes, str]) -> str:
        path, params = "/cgi-bin/media/upload", {"type": kind}
        request: dict[str, Any] = {"files": {"media": file}, "seconds": MEDIA_SECONDS}
        answer = await self._with_token(lambda token: self._answer(token, path, params, **request))
        return _field(answer, "media_id")

    async def fetch_media(self, media_id: str) -> bytes:
        """A photo or a recording that an owner sent.

        Trouble 40007 if WeChat has it no more, Away (TOO_MUCH) above 20 MB.
        """
        found = await self._with_token(lambda token: self._media(token, media_id))
        return found if isinstance(found, bytes) else await self._film(found)

    async def _media(self, token: str, media_id: str) -> bytes | dict[str, Any]:
        params = {"media_id": media_id, "access_token": token}
        body = await self._ask("/cgi-bin/media/get", LARGEST_MEDIA, MEDIA_SECONDS, params=params)
        # No file begins so: an error, a proxy's page, or where a video is, which may also come itself.
        return self._read(body, token) if body.lstrip()[:1] in (b"{", b"<") else body

    async def _film(self, answer: Mapping[str, Any]) -> bytes:
        """The video from where WeChat says that it is; nobody there needs our token."""
        address = answer.get("video_url")
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            raise Away("no file")
        # Parameters that are no dict: wechatpy would add a token.
        return await self._ask(address, LARGEST_MEDIA, MEDIA_SECONDS, params=())

    # --- the account ---

    async def create_menu(self, menu: Mapping[str, Any]) -> None:
        """Put this menu, {"button": […]}, under everybody's chat; their phones show it within a day."""
        await self.call("/cgi-bin/menu/create", menu)

    async def get_menu(self) -> dict[str, Any]:
        """The menu as it was created by the API, {"button": […]}; {} if there is none."""
        try:
            answer = await self.call("/cgi-bin/menu/get")
        except Trouble as trouble:
            if trouble.code != NO_MENU:
                raise
            return {}
        menu = answer.get("menu")
        return menu if isinstance(menu, dict) else {}

    async def create_qr(self, scene: str, seconds: int) -> str:
        """What a QR code has to say that brings `scene` (64 characters at most) for so long (30 days at most)."""
        data = {
            "expire_seconds": seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        return _field(await self.call("/cgi-bin/qrcode/create", data), "url")

    async def create_lasting_qr(self, scene: str) -> str:
        """What a QR code has to say that brings `scene` for ever."""
        data = {"action_name": "QR_LIMIT_STR_SCENE", "action_info": {"scene": {"scene_str": scene}}}
        return _field(await self.call("/cgi-bin/qrcode/create", data), "url")

    async def templates(self) -> list[dict[str, Any]]:
        """The account's templates: template_id, title, content with {{thing1.DATA}}, …"""
        return _list(await self.call("/cgi-bin/template/get_all_private_template"), "template_list")

    async def notifications(self) -> list[dict[str, Any]]:
        """The account's templates of notifications: priTmplId, title, content with {{thing1.DATA}}, …"""
        return _list(await self.call("/wxaapi/newtmpl/gettemplate"), "data")

    async def callback_ips(self) -> list[str]:
        """From which addresses WeChat calls us, some with a mask (1.2.3.0/24)."""
        return _list(await self.call("/cgi-bin/getcallbackip"), "ip_list")

    # --- pages within WeChat ---

    async def js_ticket(self) -> str:
        """The ticket by which pages are signed, kept like the token."""
        return await self.tickets.value()

    async def js_signature(self, url: str) -> dict[str, Any]:
        """What `wx.config` of the page at `url` needs: appId, timestamp, nonceStr, signature."""
        nonce, timestamp = secrets.token_hex(8), int(self._now().timestamp())
        words = "&".join(
            (
                f"jsapi_ticket={await self.js_ticket()}",
                f"noncestr={nonce}",
                f"timestamp={timestamp}",
                f"url={url.partition('#')[0]}",
            )
        )
        signature = hashlib.sha1(words.encode()).hexdigest()  # noqa: S324  as WeChat signs
        return {
            "appId": self._app_id,
            "timestamp": timestamp,
            "nonceStr": nonce,
            "signature": signature,
        }


def _json(data: Mapping[str, Any]) -> bytes:
    """As WeChat reads it: what is escaped (\\u4e00) it shows as it stands."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def _filled(openid: str, template_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        "touser": openid,
        "template_id": template_id,
        "data": {name: {"value": value} for name, value in fields.items()},
    }


def _field(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise Away(f"no {name}")
    return value


def _token(answer: Mapping[str, Any], name: str) -> tuple[str, float]:
    seconds = answer.get("expires_in")
    if not isinstance(seconds, int | float) or not 0 < seconds <= 86400:
        raise Away("no expires_in")
    return _field(answer, name), float(seconds)


def _list(answer: Mapping[str, Any], name: str) -> list[Any]:
    value = answer.get(name)
    return value if isinstance(value, list) else []
