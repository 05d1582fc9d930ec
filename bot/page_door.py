"""What all our pages for people have: their headers, and a page with words for whatever goes wrong."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from conversations.words import LANGUAGES
from store.database import StoreUnavailable

log = structlog.get_logger()

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


CURRENT = {"Cache-Control": "no-cache"}
"""A copy may be kept, but each time we are asked whether it still holds."""


class Sorry(Exception):
    """A request that is answered with a sentence, in all languages, since nobody knows who asks."""

    def __init__(self, status: int, key: str) -> None:
        super().__init__(key)
        self.status = status
        self.key = key


class Pages(Protocol):
    """Pages of one kind, and what they say when a method is refused, the database is away, or we fail."""

    kind: str
    refused: Sorry
    away: Sorry
    failed: Sorry

    def sorry(self, sorry: Sorry, **headers: str) -> Response:
        """A page that only says what to do."""


class Door:
    """Answers each method by its function, and whatever goes wrong by a page with words; no address is logged."""

    def __init__(self, pages: Pages, **methods: Callable[[Request], Awaitable[Response]]) -> None:
        self.pages = pages
        self.methods = methods | {"HEAD": methods["GET"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        pages = self.pages
        try:
            if request.method not in self.methods:
                return pages.sorry(pages.refused, Allow=", ".join(sorted(self.methods)))
            return await self.methods[request.method](request)
        except Sorry as sorry:
            return pages.sorry(sorry)
        except ClientDisconnect:
            return pages.sorry(Sorry(400, pages.refused.key))
        except StoreUnavailable as error:
            log.error(f"a {pages.kind} page waits for the database", error=str(error))
            return pages.sorry(pages.away, **{"Retry-After": "60"})
        except Exception:
            log.exception(f"a {pages.kind} page failed")
            return pages.sorry(pages.failed)


def language_of(request: Request) -> str | None:
    """The language that the reader chose, or that their browser prefers among ours; None: neither says one."""
    chosen = request.query_params.get("lang")
    if chosen in LANGUAGES:
        return chosen
    wanted = []
    for part in request.headers.get("Accept-Language", "")[:500].split(","):
        tag, _, weight = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        match = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", weight, re.ASCII)
        if name in LANGUAGES:
            wanted.append((float(match[1]) if match else 1.0, name))
    best = max(wanted, key=lambda each: each[0], default=(0.0, ""))
    return best[1] if best[0] > 0 else None


def answer(request: Request, data: bytes, kind: str, *, tag: str = "", **headers: str) -> Response:
    """The data, or that the copy which the reader has still holds; `tag` names it, if not all its bytes count."""
    tag = tag or f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers["ETag"] = tag
    held = request.headers.get("If-None-Match", "")
    same = (each.strip().removeprefix("W/") for each in held.split(","))
    if held.strip() == "*" or tag.removeprefix("W/") in same:
        return Response(status_code=304, headers=headers)
    return Response(data, headers={"Content-Type": kind, **headers})
