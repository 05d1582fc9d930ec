"""The web server: the pages that this process serves, and its orderly end."""

import hmac
import json
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bot import board_pages, canvass_pages, personal_pages, vote_pages
from bot.app import App
from bot.playground import SHORTEST_KEY, refusal_to_start, routes
from bot.settings import BadSettings, from_here
from store.database import StoreUnavailable

if TYPE_CHECKING:
    from bot.telegram import Telegram
    from bot.wechat import Wechat

log = structlog.get_logger()

MOST_BYTES = 1024 * 1024
PLAYGROUND_OPEN = (
    "试用场会对所有打开 {address} 的人敞开，谁都能扮成任何人。请关掉它：LINLI_PLAYGROUND__ENABLED=false；"
    "或者设 LINLI_PLAYGROUND__PUBLIC=true 和一把至少 {most} 个字符的 LINLI_PLAYGROUND__KEY。"
    "The playground would be open to everybody who reaches {address}: turn it off, or allow it and give it a key."
)


def web(app: App) -> Starlette:
    """All pages of one App. BadSettings when the playground would be open to strangers."""
    settings = app.settings
    pages = [Route("/health", _health), *vote_pages.routes(app), *board_pages.routes(app)]
    if app.telegram is not None and settings.web.address:
        pages.append(Route("/telegram", _telegram(app, app.telegram), methods=["POST"]))
    if app.wechat is not None:
        pages += [Route("/wechat", _wechat(app.wechat), methods=["GET", "POST"]), *personal_pages.routes(app)]
    if app.house.canvass_page is not None:
        pages += canvass_pages.routes(app)
    if settings.playground.enabled:
        key = settings.playground.key.get_secret_value()
        # What a public address leads to is open to all who know it, wherever we listen.
        for reached in filter(None, (urlsplit(settings.web.address).hostname, settings.web.host)):
            if refusal_to_start(reached, key=key, public=settings.playground.public):
                raise BadSettings(PLAYGROUND_OPEN.format(address=reached, most=SHORTEST_KEY))
        pages += [Route("/", _to_playground), *routes(app.browser, key=key)]
    return Starlette(routes=pages)


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")


def _telegram(app: App, messenger: "Telegram") -> Callable[[Request], Awaitable[Response]]:
    """Where Telegram brings an update: it is confirmed after its commit, and only if Telegram brought it."""

    async def webhook(request: Request) -> Response:
        secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(secret.encode(), messenger.secret.encode()):
            return PlainTextResponse("not Telegram", 403)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return PlainTextResponse("too large", 413)
        try:
            raw = json.loads(body)
            int(raw["update_id"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return PlainTextResponse("no update", 400)
        if not await messenger.is_reached():
            return PlainTextResponse("not ready", 503)
        try:
            await messenger.take(raw)
        except StoreUnavailable as error:
            log.error("an update was not kept", error=str(error))
            return PlainTextResponse("please again", 503)
        return PlainTextResponse("ok")

    return webhook


def _wechat(messenger: "Wechat") -> Callable[[Request], Awaitable[Response]]:
    """Where WeChat brings a message: it is answered after its commit, and only if WeChat brought it."""
    from bot.wechat_seal import BadCallback

    async def callback(request: Request) -> Response:
        try:
            if request.method == "GET":
                return PlainTextResponse(messenger.seal.echo(request.query_params))
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    break
            return Response(await messenger.called(request.query_params, bytes(body)), media_type="text/xml")
        except BadCallback as error:
            log.warning("a callback was refused", reason=error.reason)
            return PlainTextResponse("not WeChat", error.status)
        except StoreUnavailable as error:
            log.error("a message was not kept", error=str(error))
            return PlainTextResponse("please again", 503)

    return callback


async def _to_playground(request: Request) -> Response:
    return RedirectResponse("/playground")


class Server(uvicorn.Server):
    """uvicorn that ends the pages' open streams when it is told to stop.

    It holds its port from the beginning: OSError when that is taken.
    """

    def __init__(self, app: App) -> None:
        host, port = app.settings.web.host, app.settings.web.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, port), family=family)
        super().__init__(
            uvicorn.Config(
                web(app),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                server_header=False,
            )
        )
        self.app = app

    @property
    def address(self) -> str:
        """What people open."""
        return f"{from_here(*self.socket.getsockname()[:2])}/playground"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C and SIGTERM: take no more, finish what is in hand; a second Ctrl-C waits for nobody.

        uvicorn's own raises the signal again when it has stopped, which would end us before our App stops.
        """
        self.app.browser.stop()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
