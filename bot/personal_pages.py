"""Personal pages: one matter on a phone, reached by a link of one's own from a message, without any login."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from jinja2 import Environment, FileSystemLoader
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from bot.app import App
from bot.page_door import POLICY, Door, Sorry
from bot.ranges import PLAYED, in_parts
from conversations.said import Said
from conversations.words import LANGUAGES, Reader, texts
from handlers import links, pages
from handlers.answers import take
from handlers.inbox import Receipt
from handlers.pages import Message, View
from handlers.tell import without_mark
from handlers.tx import Tx
from store.media import ENDINGS
from store.tables import Link, Outgoing
from store.vault import WrongKey

log = structlog.get_logger()

PAGES = Path(__file__).parent / "pages"
BODY_CAP = 4096
PRESS = re.compile(r"[\w-]{12}", re.ASCII)
SHOWN_IMAGES = ("image/jpeg", "image/png", "image/webp")
SDK = "https://res.wx.qq.com"

# The open tag is drawn in a frame of WeChat's own, as its documentation asks for.
CONSENT_POLICY = f"{POLICY}; script-src 'self' {SDK}; frame-src https://*.qq.com webcompt:"

Sign = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Signs an address for WeChat's JS-SDK: appId, timestamp, nonceStr and signature."""


@dataclass(frozen=True)
class Card:
    """One message on a page, and the token of the link by which its buttons act and its photos are seen.

    `files` are the types and names of its photos, recordings and other files.
    """

    token: str
    message: Message
    files: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def routes(app: App, sign: Sign | None = None) -> list[Route]:
    """Everything under /p. Without `sign`, whoever is to agree to notifications reads what to do instead."""
    if sign is None and app.wechat is not None:
        sign = app.wechat.client.js_signature
    made = PersonalPages(app, sign)
    return [
        Route("/p/personal.css", Door(made, GET=made.file)),
        Route("/p/personal_consent.js", Door(made, GET=made.file)),
        Route("/p/{token}", Door(made, GET=made.show, POST=made.press)),
        Route("/p/{token}/photos/{photo:int}", Door(made, GET=made.photo)),
        Route("/p/{nothing:path}", Door(made, GET=made.nothing)),
    ]


class PersonalPages:
    """The pages. GET shows and never does anything: previews and crawlers fetch links, too."""

    kind = "personal"
    refused, away, failed = (Sorry(405, "page.refused"), Sorry(503, "page.away"), Sorry(500, "page.failed"))

    def __init__(self, app: App, sign: Sign | None = None) -> None:
        self.app = app
        self.sign = sign
        templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
        # Where a proxy serves us under a path, links begin with it.
        templates.globals["at"] = f"{urlsplit(app.settings.web.address).path.rstrip('/')}/p"
        self.template = templates.get_template("personal.html")
        self.consent_template = templates.get_template("personal_consent.html")

    async def show(self, request: Request) -> Response:
        """The matter as it is now, or the page on which its holder agrees to notifications."""
        token = request.path_params["token"]
        link, view = await asyncio.to_thread(self._look, token)
        return await self._shown(request, token, link, view)

    async def file(self, request: Request) -> Response:
        """The style sheet or the script."""
        name = request.url.path.rpartition("/")[2]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return FileResponse(PAGES / name, media_type=kind, headers={"Cache-Control": "no-cache"})

    async def nothing(self, request: Request) -> Response:
        """Any other address."""
        raise Sorry(404, "page.gone")

    async def photo(self, request: Request) -> Response:
        """A photo or a recording of the message; whatever is neither is only handed over as a file."""
        data, mime, called = await asyncio.to_thread(
            self._photo, request.path_params["token"], request.path_params["photo"]
        )
        if mime in SHOWN_IMAGES:
            return Response(data, media_type=mime)
        if mime in PLAYED and "save" not in request.query_params:
            return in_parts(request, data, mime)
        name = f'; filename="linli{ENDINGS[mime]}"' if mime in ENDINGS else ""
        if called:
            name = f"; filename*=UTF-8''{quote(called, safe='')}"
        headers = {"Content-Disposition": f"attachment{name}"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    async def press(self, request: Request) -> Response:
        """What a button does, once, and the answer to it; the second press shows the same answer."""
        # No Origin to check: with our own Referrer-Policy browsers send "null".
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Sorry(403, "page.refused")
        value, press = await _form(request)
        token = request.path_params["token"]
        link, view = await asyncio.to_thread(self._look, token)
        message = view.message
        if message is None:
            raise Sorry(405, "page.refused")
        key = pages.key_of(link, value, press)
        button = message.button(value)
        before = await asyncio.to_thread(self._pressed, view, key)
        spent = link.used_at is not None and pages.uses_up(value)
        if before != value and (before is not None or spent):
            return await self._shown(
                request, token, link, view, status=409, notice=view.reader.say("page.used")
            )
        if before is None and button is None:
            return await self._shown(
                request, token, link, view, status=409, notice=view.reader.say("page.changed")
            )
        cards = await self._perform(link, view, message, key=key, value=value)
        return await self._answered(token, view, cards, label=button["label"] if button else "")

    async def _perform(self, link: Link, view: View, message: Message, *, key: str, value: str) -> list[Card]:
        """Let the press come in through the one door; the messages that answer it."""
        said = Said(
            messenger=view.place.messenger,
            key=key,
            place=view.place.external_id,
            sender=view.place.external_id,
            at=self.app.clock.now(),
            tap=value,
            on=message.on,
        )
        cards: list[Card] = []

        def claim(session: Session, receipt: Receipt) -> None:
            tx = self._tx(session)
            if receipt.new and pages.uses_up(value):
                links.use(tx, link)
            rows = take(session, receipt, rung="page", now=tx.now)
            cards[:] = [self._card(tx, view, row) for row in rows if row.change in ("send", "edit")]

        await self.app.receive(said, claim)
        return cards

    def _card(self, tx: Tx, view: View, row: Outgoing) -> Card:
        """An answer as it was given, with those of its buttons that still stand, under a link of its own."""
        now = pages.shown(tx, row)
        buttons = tuple(button for button in now.buttons if button in row.buttons)
        words = tx.house.vault.reveal(without_mark(row.text))  # what was chosen stands above
        token = ""
        if buttons or row.photos:
            hours = self.app.settings.pages.link_hours
            token = links.new_link(tx, view.place, outgoing_id=row.id, hours=hours)
        message = Message(words, tuple(row.photos), buttons, now.on)
        return Card(token, message, pages.files(tx.session, message.photos))

    async def _answered(self, token: str, view: View, cards: list[Card], *, label: str) -> Response:
        """The page after a press: the answers, or what the message says now if that was the answer."""
        if not cards:
            try:
                _, now = await asyncio.to_thread(self._look, token)
            except Sorry:  # with what was done, the message has gone, too
                now = None
            if now is not None and now.message is not None:
                cards = [Card("", Message(now.message.words, (), (), ""))]
        say = view.reader.say
        return self._page(
            view.reader,
            community=view.community,
            notice=say("mark.chosen", label=label) if label else "",
            cards=cards,
            plain="" if cards else say("page.done"),
            back=token,
            foot=[say("page.in_chat")],
        )

    async def _shown(
        self, request: Request, token: str, link: Link, view: View, *, status: int = 200, notice: str = ""
    ) -> Response:
        """The page of a link; a used one shows no button any more that would do something."""
        say, message = view.reader.say, view.message
        if message is None:
            return await self._consent(request, view)
        buttons = message.buttons
        if link.used_at is not None:
            buttons = tuple(button for button in buttons if not pages.uses_up(button["value"]))
            notice = notice or (say("page.used") if len(buttons) < len(message.buttons) else "")
        message = Message(message.words, message.photos, buttons, message.on)
        return self._page(
            view.reader,
            status=status,
            community=view.community,
            notice=notice,
            state=say("page.state", state=view.state) if view.state else "",
            cards=[Card(token, message, await asyncio.to_thread(self._files, message.photos))],
            timeline=view.timeline,
            foot=[say("page.in_chat"), say("page.yours", until=link.expires_at)],
        )

    async def _consent(self, request: Request, view: View) -> Response:
        """The page on which one agrees to be notified; without WeChat's signature it says what to do instead."""
        template = self.app.settings.wechat.notification
        signed: Mapping[str, Any] | None = None
        if template and self.sign is not None:
            try:
                signed = await self.sign(self._address(request))
            except Exception as error:  # whatever WeChat says: the page must still open
                log.error("a page could not be signed", kind=type(error).__name__)
        say = view.reader.say
        html = self.consent_template.render(
            language=view.reader.language,
            community=view.community,
            template=template,
            signed=signed,
            sdk=f"{SDK}/open/js/jweixin-1.6.0.js",
            why=say("page.consent"),
            agree=say("page.agree"),
            thanks=say("page.agreed"),
            otherwise=say("page.cannot_agree"),
        )
        policy = CONSENT_POLICY if signed else POLICY
        return Response(html, media_type="text/html", headers={"Content-Security-Policy": policy})

    def _address(self, request: Request) -> str:
        """The address that the reader's browser shows: before a proxy it is not the one that we see."""
        url = request.url
        base = self.app.settings.web.address.rstrip("/") or f"{url.scheme}://{url.netloc}"
        return f"{base}{url.path}" + (f"?{url.query}" if url.query else "")

    def _page(self, reader: Reader, *, status: int = 200, **shown: Any) -> Response:
        html = self.template.render(
            language=reader.language,
            press=secrets.token_urlsafe(9),
            back_label=reader.say("page.back"),
            timeline_label=reader.say("page.timeline"),
            photo_label=lambda number: reader.say("page.photo", number=number),
            voice_label=reader.say("page.voice"),
            video_label=reader.say("page.video"),
            save_label=reader.say("page.save"),
            file_label=lambda name: reader.say("page.file", name=name),
            **shown,
        )
        return Response(html, status, media_type="text/html")

    def sorry(self, sorry: Sorry, **headers: str) -> Response:
        """A page that only says what to do, the same for whoever asks."""
        html = self.template.render(
            language="zh",
            community=" · ".join(texts(language)["page.name"] for language in LANGUAGES),
            plain="\n\n".join(texts(language)[sorry.key] for language in LANGUAGES),
        )
        return Response(html, sorry.status, media_type="text/html", headers=headers)

    # --- in a thread, in one look at the database ---

    def _tx(self, session: Session) -> Tx:
        return Tx(session, self.app.clock.now(), self.app.house)

    def _look(self, token: str) -> tuple[Link, View]:
        """The link and what its page shows. Sorry if there is none, whatever the reason."""
        with self.app.database.read() as session:
            tx = self._tx(session)
            link = links.find(session, token, tx.now)
            view = pages.view(tx, link) if link is not None else None
        if link is None or view is None:
            raise Sorry(404, "page.gone")
        return link, view

    def _pressed(self, view: View, key: str) -> str | None:
        with self.app.database.read() as session:
            return pages.pressed(session, view.place, key)

    def _files(self, photos: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        with self.app.database.read() as session:
            return pages.files(session, photos)

    def _photo(self, token: str, photo: int) -> tuple[bytes, str, str]:
        _, view = self._look(token)
        if view.message is None or photo not in view.message.photos:
            raise Sorry(404, "page.gone")
        with self.app.database.read() as session:
            found = pages.file(session, photo)
        try:
            if found is not None:
                storage, mime, name = found
                return self.app.media.read_as(mime, storage), mime, name
        except (FileNotFoundError, WrongKey):
            pass
        raise Sorry(404, "page.gone")


async def _form(request: Request) -> tuple[str, str]:
    """The value of the button, and the name of the press. Sorry if the body is too large or is no such form."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_CAP:
            raise Sorry(413, "page.refused")
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)
        [value], [press] = fields["value"], fields["press"]
    except (ValueError, KeyError):
        raise Sorry(400, "page.refused") from None
    if not PRESS.fullmatch(press):
        raise Sorry(400, "page.refused")
    return value, press
