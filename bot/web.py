"""The web server: the pages that this process serves, and its orderly end."""

import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.app import App
from bot.playground import refusal_to_start, routes
from bot.settings import BadSettings


def web(app: App) -> Starlette:
    """All pages of one App. BadSettings when the playground would be open to strangers."""
    settings = app.settings
    pages = [Route("/health", _health)]
    if settings.playground.enabled:
        key = settings.playground.key.get_secret_value()
        refusal = refusal_to_start(settings.web.host, key=key, public=settings.playground.public)
        if refusal:
            raise BadSettings(f"playground: {refusal}")
        pages += [Route("/", _to_playground), *routes(app.browser, key=key)]
    return Starlette(routes=pages)


async def _health(request: Request) -> Response:
    return PlainTextResponse("ok")


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
        host, port = self.socket.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
        return f"http://{host}:{port}/playground"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C and SIGTERM: take no more, finish what is in hand; a second Ctrl-C waits for nobody.

        uvicorn's own raises the signal again when it has stopped, which would end us before our App stops.
        """
        self.app.browser.stop()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
