"""The board as web pages: what goes on by kind, building and state, each matter, what is overdue, rules and figures.

They only show. Whoever asks for many pages waits in a queue of their own, and never in that of the bot.
"""

import asyncio
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import NAMESPACE_URL, uuid5

import segno
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot.app import App
from bot.page_door import CURRENT, Door, Sorry, answer, language_of
from conversations.words import LANGUAGES, Reader, Say, texts
from handlers import board_page
from handlers.board_page import MOST, NOTICES, PRINTED, Found, Wanted
from handlers.public import MATTERS, state_in
from handlers.rules import in_force
from handlers.tx import Tx
from store.tables import Community, Entry, Media, Vote
from store.vault import WrongKey

T = TypeVar("T")

PAGES = Path(__file__).parent / "pages"
AT_ONCE = 2
"""Pages that are made at the same time ..."""
WAITING = 40
"""... and that may wait for their turn; who comes then is asked to come again."""
AGAIN = "5"
"""After so many seconds."""
STATES = {"open": True, "done": False}
MONTH = re.compile(r"20[0-9]{2}-[01][0-9]", re.ASCII)
FILES = {"picture.png": "picture", "sheet.xlsx": "sheet"}
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")
"""What no XML may hold, and what turns the words around it about."""
NOW = "\0now\0"
"""Stands in a page for the moment at which it was made, until its tag is made of the rest."""
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept-Language"}
"""No copy between us and the reader: an address may be a secret, or somebody's own."""


def routes(app: App) -> list[Route]:
    """Everything under /board, and what crawlers are told."""
    made = BoardPages(app)
    pages = {
        "": made.list,
        "/": made.list,
        "/overdue": made.overdue,
        "/rules": made.rules,
        "/figures": made.figures,
        "/print": made.print,
        "/feed.xml": made.feed,
        "/qr.svg": made.qr,
        "/figures/{month}/{name}": made.month_file,
        "/{kind}/{number}": made.matter,
        "/{kind}/{number}/photos/{photo}": made.photo,
    }
    return [
        Route("/robots.txt", Door(made, GET=made.robots)),
        Route("/board/board.css", Door(made, GET=made.style)),
        *(Route(f"/board/{{door}}{path}", Door(made, GET=page)) for path, page in pages.items()),
        Route("/board", Door(made, GET=made.nothing)),
        Route("/board/{nothing:path}", Door(made, GET=made.nothing)),
    ]


@dataclass(frozen=True)
class Look:
    """One look at a board: the transaction, whose it is, how the reader reads, and how their links begin."""

    tx: Tx
    community: Community
    reader: Reader
    here: str
    lang: str
    """The language that the address names; empty: that of the browser."""

    def link(self, path: str = "", **wanted: object) -> str:
        """The address of another page of this board."""
        asked = {name: value for name, value in {**wanted, "lang": self.lang}.items() if value}
        return f"{self.here}{path}{'?' if asked else ''}{urlencode(asked)}"


@dataclass(frozen=True)
class Line:
    """A line of the board in the reader's words."""

    address: str
    kind: str
    number: int
    name: str
    title: str
    state: str
    building: str
    at: str
    late: str
    open: bool
    entry: Entry


class BoardPages:
    """The pages of all boards."""

    kind = "board"
    refused, away, failed = (
        Sorry(405, "board_page.refused"),
        Sorry(503, "board_page.away"),
        Sorry(500, "board_page.failed"),
    )

    def __init__(self, app: App) -> None:
        self.app = app
        self.turns = Turns(AT_ONCE, WAITING)
        self.templates = Environment(
            loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        # Where a proxy serves us under a path, links begin with it.
        self.root = urlsplit(app.settings.web.address).path.rstrip("/")
        self.templates.globals["at"] = f"{self.root}/board"

    async def robots(self, request: Request) -> Response:
        """Nothing here is for search engines."""
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def style(self, request: Request) -> Response:
        """The style sheet."""
        return FileResponse(PAGES / "board.css", media_type="text/css", headers=CURRENT)

    async def nothing(self, request: Request) -> Response:
        """Any other address."""
        raise Sorry(404, "board_page.gone")

    # --- pages ---

    async def list(self, request: Request) -> Response:
        """The lines of the board, the newest first."""
        return await self._page(request, "board_list.html", self._list)

    async def overdue(self, request: Request) -> Response:
        """What should have been done by now."""
        return await self._page(request, "board_list.html", self._overdue)

    async def matter(self, request: Request) -> Response:
        """All that everybody may know of one matter."""
        return await self._page(request, "board_matter.html", self._matter)

    async def rules(self, request: Request) -> Response:
        """The rules in force."""
        return await self._page(request, "board_rules.html", self._rules)

    async def figures(self, request: Request) -> Response:
        """The months."""
        return await self._page(request, "board_figures.html", self._figures)

    async def print(self, request: Request) -> Response:
        """What hangs in the lobby."""
        return await self._page(request, "board_print.html", self._print)

    async def feed(self, request: Request) -> Response:
        """What has changed of late, for feed readers."""
        return await self._page(request, "board_feed.xml", self._feed, "application/atom+xml; charset=utf-8")

    async def _page(
        self,
        request: Request,
        template: str,
        facts: Callable[[Request, Look], dict[str, Any]],
        mime: str = "text/html; charset=utf-8",
    ) -> Response:
        """A page, made in a thread of its own kind; a copy without the minute is as good as a new one."""

        def made() -> tuple[str, str, Look]:
            with self._looks(request) as look:
                about = {"look": look, "say": look.reader.say, "language": look.reader.language, "now": NOW}
                html = self.templates.get_template(template).render(
                    **about, **self._frame(request, look), **facts(request, look)
                )
                return html, look.reader.moment(look.tx.now), look

        html, now, look = await self.turns.take(made)
        tag = f'W/"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
        headers = {**PRIVATE, "Content-Language": look.reader.language}
        return answer(request, html.replace(NOW, now).encode(), mime, tag=tag, **headers)

    @contextmanager
    def _looks(self, request: Request, *, barred: bool = False) -> Iterator[Look]:
        """Open the door of a request in one look at the database; Sorry if it leads nowhere.

        `barred`: it need only lead to the words that say how to get in.
        """
        door = request.path_params["door"]
        with self.app.database.read() as session:
            tx = Tx(session, self.app.clock.now(), self.app.house)
            opened = board_page.enter(tx, door)
            if opened is None:
                raise Sorry(404, "board_page.gone")
            if opened.barred and not barred:
                raise Sorry(403, "board_page.members")
            community, lang = opened.community, request.query_params.get("lang", "")
            language = language_of(request) or community.language
            reader = Reader(language, community.time_zone, tx.now, lasting=True)
            here = f"{self.root}/board/{door}"
            yield Look(tx, community, reader, here, lang if lang in LANGUAGES else "")

    def _frame(self, request: Request, look: Look) -> dict[str, Any]:
        """What stands around every page."""
        say, whole = look.reader.say, f"/board/{request.path_params['door']}"
        name = request.url.path.removeprefix(self.root).removeprefix(whole).strip("/")
        parts = [
            ("", say("board_page.name"), look.link()),
            *(
                (part, say(f"board_page.{part}"), look.link(f"/{part}"))
                for part in ("overdue", "rules", "figures")
            ),
        ]
        other = next(each for each in LANGUAGES if each != look.reader.language)
        asked = {**request.query_params, "lang": other}
        known = {
            each: asked[each] for each in ("kind", "building", "state", "before", "lang") if asked.get(each)
        }
        return {
            "sections": [(title, address, part == name) for part, title, address in parts],
            "other": (other, texts(other)["board_page.language"], f"?{urlencode(known)}"),
            "qr": board_page.address(look.tx, look.community.id) != "",
        }

    def _list(self, request: Request, look: Look) -> dict[str, Any]:
        asked, say = request.query_params, look.reader.say
        kind, building, state = (asked.get(each, "") for each in ("kind", "building", "state"))
        places = board_page.buildings(look.tx, look.community.id)
        known = kind in ("", *MATTERS) and building in ("", *places) and state in ("", *STATES)
        if not known:
            raise Sorry(404, "board_page.gone")
        wanted = Wanted(kind, building, STATES.get(state), self._before(look, asked.get("before", "")))
        found = board_page.lines(look.tx, look.community.id, wanted)
        chosen = {"kind": kind, "building": building, "state": state}

        def choices(name: str, words: Sequence[tuple[str, str]]) -> list[tuple[str, str, bool]]:
            return [
                (title, look.link("", **{**chosen, name: value}), chosen[name] == value)
                for value, title in words
            ]

        kinds = [("", say("board_page.all")), *((each, say(f"board_page.kind.{each}")) for each in MATTERS)]
        states = [("", say("board_page.all_states")), *((each, say(f"board_page.{each}")) for each in STATES)]
        where = [
            ("", say("board_page.all_buildings")),
            *((each, self._building(look, each)) for each in places),
        ]
        narrowed = [
            title
            for options, chosen_here in ((states, state), (where, building))
            for value, title in options
            if value and value == chosen_here
        ]
        return {
            "narrowed": "".join(f" · {each}" for each in narrowed),
            "title": say("board_page.where", community=look.community.name),
            "heading": look.community.name,
            "filters": [
                (say("board_page.which_kind"), choices("kind", kinds)),
                (say("board_page.which_state"), choices("state", states)),
                (say("board_page.which_building"), choices("building", where)),
            ],
            **self._lines(look, found, wanted.before, say("board_page.more"), **chosen),
        }

    def _lines(
        self,
        look: Look,
        found: Sequence[Entry],
        before: Entry | None,
        more: str,
        path: str = "",
        **chosen: str,
    ) -> dict[str, Any]:
        """What a page of lines shows of what was found, and the ways to the next page and to the first."""
        last = found[MOST - 1].id if len(found) > MOST else 0
        return {
            "lines": [self._line(look, each) for each in found[:MOST]],
            "more": (more, look.link(path, **chosen, before=last)) if last else None,
            "newest": look.link(path, **chosen) if before is not None else "",
        }

    def _before(self, look: Look, typed: str) -> Entry | None:
        """The line below which a page begins; Sorry if there is none: nobody can make up addresses without end."""
        if not typed:
            return None
        entry = None
        if board_page.NUMBER.fullmatch(typed):
            entry = board_page.line_of(look.tx, look.community.id, int(typed))
        if entry is None:
            raise Sorry(404, "board_page.gone")
        return entry

    def _overdue(self, request: Request, look: Look) -> dict[str, Any]:
        say, after = look.reader.say, self._before(look, request.query_params.get("before", ""))
        found = board_page.overdue(look.tx, look.community.id, after)
        return {
            "title": say("board_page.overdue"),
            "heading": say("board_page.overdue"),
            "why": say("board_page.overdue_why"),
            "filters": [],
            **self._lines(look, found, after, say("board_page.more_late"), "/overdue"),
        }

    def _line(self, look: Look, entry: Entry) -> Line:
        reader, late = look.reader, board_page.is_late(entry, look.tx.now)
        return Line(
            address=look.link(f"/{entry.about.replace(':', '/')}"),
            kind=entry.kind,
            number=entry.number,
            name=reader.say(
                "board_page.title", kind=Say(f"board_page.kind.{entry.kind}"), number=entry.number
            ),
            title=entry.title,
            state=reader.show(state_in(entry)),
            building=self._building(look, entry.building) if entry.building else "",
            at=reader.moment(entry.at),
            late=reader.say("board_page.late_since", due=entry.due_at) if late else "",
            open=entry.open,
            entry=entry,
        )

    @staticmethod
    def _building(look: Look, name: str) -> str:
        return look.reader.say("where.building", building=name)

    def _matter(self, request: Request, look: Look) -> dict[str, Any]:
        found, tx, say = self._found(request, look), look.tx, look.reader.say
        row, matter = found.row, found.matter
        line = self._line(look, found.entry)
        path = f"/{found.entry.about.replace(':', '/')}"
        media = [tx.session.get(Media, each) for each in matter.photos(tx, row)]
        photos, files = (
            [
                (look.link(f"{path}/photos/{each.id}"), say(f"board_page.{name}", number=number), each.name)
                for number, each in enumerate(
                    (each for each in media if each and is_photo(each) == wanted), 1
                )
            ]
            for name, wanted in (("photo", True), ("file", False))
        )
        return {
            "title": f"{line.name} · {line.title}",
            "line": line,
            "card": look.reader.show(matter.card(tx, row)).strip(),
            "photos": photos,
            "files": files,
            "timeline": matter.timeline(tx, row, look.reader),
            "vote": self._vote(look, row) if isinstance(row, Vote) else None,
            "back": look.link(),
        }

    def _vote(self, look: Look, vote: Vote) -> dict[str, str]:
        """Where the page of a vote stands, and, once it is counted, its picture and its files."""
        page = f"{self.root}/votes/{vote.community_id}/{vote.number}"
        lang = f"?lang={look.reader.language}"
        closed = vote.state == "closed"
        return {
            "page": page + lang,
            "picture": f"{page}/result.png{lang}" if closed else "",
            "bundle": f"{page}/bundle.zip" if closed else "",
        }

    def _found(self, request: Request, look: Look) -> Found:
        kind, number = (request.path_params[each] for each in ("kind", "number"))
        found = board_page.find(look.tx, look.community.id, kind, number)
        if found is None:
            raise Sorry(404, "board_page.gone")
        return found

    def _rules(self, request: Request, look: Look) -> dict[str, Any]:
        words = look.reader.say("rules.all", **in_force(look.tx, look.community.id, look.reader))
        return {"title": look.reader.say("board_page.rules"), "words": words.strip()}

    def _figures(self, request: Request, look: Look) -> dict[str, Any]:
        say = look.reader.say
        return {
            "title": say("board_page.figures"),
            "months": [
                (
                    each.month,
                    look.link(f"/figures/{each.month}/picture.png") if each.picture_id else "",
                    look.link(f"/figures/{each.month}/sheet.xlsx") if each.sheet_id else "",
                )
                for each in board_page.months(look.tx, look.community.id)
            ],
        }

    def _print(self, request: Request, look: Look) -> dict[str, Any]:
        tx, community = look.tx, look.community
        opened = board_page.lines(tx, community.id, Wanted(open=True), PRINTED)
        late = board_page.overdue(tx, community.id)
        notices = board_page.lines(tx, community.id, Wanted(kind=board_page.ANNOUNCEMENT), NOTICES)[:NOTICES]
        return {
            "title": look.reader.say("board_page.where", community=community.name),
            "overdue": [self._line(look, each) for each in late[:MOST]],
            # What is overdue stands above already.
            "opened": [
                self._line(look, each)
                for each in opened[:PRINTED]
                if each.id not in {other.id for other in late[:MOST]}
            ],
            "notices": [self._line(look, each) for each in notices],
            "cut": len(opened) > PRINTED or len(late) > MOST,
        }

    def _feed(self, request: Request, look: Look) -> dict[str, Any]:
        base = self._base(request)
        found = board_page.changed(look.tx, look.community.id)
        updated = found[0].changed_at if found else look.community.created_at
        community = look.community
        return {
            "title": INVALID.sub("", look.reader.say("board_page.where", community=community.name)),
            "id": f"urn:uuid:{uuid5(NAMESPACE_URL, f'linli/{community.name}/{community.id}')}",
            "updated": _rfc3339(updated),
            "base": base,
            "entries": [
                {
                    "id": f"urn:uuid:{uuid5(NAMESPACE_URL, f'linli/{community.name}/{each.about}')}",
                    "address": f"{base}{line.address}",
                    "title": INVALID.sub("", f"{line.name} · {line.title}"),
                    "state": INVALID.sub("", " · ".join(filter(None, (line.state, line.late)))),
                    "kind": each.kind,
                    "at": _rfc3339(each.at),
                    "changed": _rfc3339(each.changed_at),
                }
                for each in found
                for line in [self._line(look, each)]
            ],
        }

    def _base(self, request: Request) -> str:
        """How absolute addresses begin."""
        web = urlsplit(self.app.settings.web.address)
        return (
            f"{web.scheme}://{web.netloc}" if web.netloc else f"{request.url.scheme}://{request.url.netloc}"
        )

    # --- files ---

    async def qr(self, request: Request) -> Response:
        """The QR code of the address that everybody may open."""

        def drawn() -> bytes:
            with self._looks(request, barred=True) as look:
                address = board_page.address(look.tx, look.community.id)
            if not address:
                raise Sorry(404, "board_page.gone")
            data = io.BytesIO()
            segno.make(address, error="m", micro=False).save(
                data, kind="svg", border=4, scale=4, light="#fff"
            )
            return data.getvalue()

        return answer(request, await self.turns.take(drawn), "image/svg+xml", **CURRENT)

    async def photo(self, request: Request) -> Response:
        """A photo or a file of a matter, if everybody may see it."""

        def kept() -> Media | None:
            number = request.path_params["photo"]
            with self._looks(request) as look:
                found = self._found(request, look)
                return board_page.photo(look.tx, found, int(number)) if _is_number(number) else None

        return await self._media(request, kept)

    async def month_file(self, request: Request) -> Response:
        """The picture or the sheet of a month."""
        month, name = request.path_params["month"], request.path_params["name"]
        if MONTH.fullmatch(month) is None or name not in FILES:
            raise Sorry(404, "board_page.gone")

        def kept() -> Media | None:
            with self._looks(request) as look:
                return board_page.month_file(look.tx, look.community.id, month, FILES[name])

        saved = f"linli-{month}.xlsx" if name == "sheet.xlsx" else ""
        return await self._media(request, kept, saved, SHEET if saved else "")

    async def _media(
        self, request: Request, kept: Callable[[], Media | None], saved: str = "", mime: str = ""
    ) -> Response:
        """What is kept; shown if it is a picture, else handed over as a file."""

        def read() -> tuple[Media, bytes]:
            media = kept()
            try:
                if media is not None:
                    read = self.app.media.read if is_photo(media) else self.app.media.read_file
                    return media, read(media.storage)
            except (FileNotFoundError, WrongKey):
                pass
            raise Sorry(404, "board_page.gone")

        media, data = await self.turns.take(read)
        headers = dict(CURRENT)
        if not is_photo(media) or saved:
            name = quote(saved or media.name or f"linli-{media.id}", safe="")
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        return answer(request, data, mime or media.mime, **headers)

    # --- whatever goes wrong ---

    def sorry(self, sorry: Sorry, **headers: str) -> Response:
        """A page that only says what is the matter, the same for whoever asks."""
        if sorry.status == 503:
            headers = {"Retry-After": AGAIN, **headers}
        html = self.templates.get_template("board_sorry.html").render(
            language="zh", plain=[(each, texts(each)[sorry.key]) for each in LANGUAGES]
        )
        return Response(html, sorry.status, media_type="text/html", headers=headers)


class Turns:
    """Threads for work that may wait; whoever comes while too many wait is asked to come again."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self.threads = ThreadPoolExecutor(at_once, thread_name_prefix="board")
        self.most = at_once + waiting
        self.inside = 0

    async def take(self, work: Callable[[], T]) -> T:
        """Do the work in its turn; Sorry if too many wait already."""
        if self.inside >= self.most:
            raise Sorry(503, "board_page.busy")
        self.inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, work)
        finally:
            self.inside -= 1


def is_photo(media: Media) -> bool:
    """Whether it is a picture to be looked at."""
    return media.kind == "photo"


def _is_number(typed: str) -> bool:
    return board_page.NUMBER.fullmatch(typed) is not None


def _rfc3339(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
