"""The public page of a vote: by which rule, how to take part, what it came to, and all files to count it again."""

import asyncio
import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from bot.app import App
from bot.page_door import CURRENT, Door, Sorry, answer, language_of
from conversations.words import LANGUAGES, Say, texts
from handlers.ballot_log import line, sha256
from handlers.ballot_sheet import is_sealed
from handlers.bundle import pack
from handlers.bundle_file import SHEET
from handlers.tx import Tx
from handlers.vote_page import Look, Turnout, find, look, turnout_by_building
from handlers.vote_picture import picture
from handlers.vote_words import in_words, one_line
from handlers.votes import published, roster_of
from store.tables import Vote

T = TypeVar("T")

PAGES = Path(__file__).parent / "pages"
NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
KEPT_BYTES = 64 * 1024 * 1024
"""So much of what takes long to make is kept in memory."""
FILES = {
    "policy.json": "application/json",
    "roster.json": "application/json",
    "bundle.zip": "application/zip",
    "ballots.csv": "text/csv; charset=utf-8",
    "result.png": "image/png",
}


@dataclass(frozen=True)
class Closed:
    """What is made of a closed vote once: the files for download, and who took part."""

    bundle: bytes
    sheet: bytes
    turnout: Sequence[Turnout]


def routes(app: App) -> list[Route]:
    """Everything under /votes."""
    made = VotePages(app)
    return [
        Route("/votes/vote.css", Door(made, GET=made.style)),
        Route("/votes/{community}/{number}", Door(made, GET=made.show)),
        Route("/votes/{community}/{number}/{name}", Door(made, GET=made.file)),
        Route("/votes", Door(made, GET=made.nothing)),
        Route("/votes/{nothing:path}", Door(made, GET=made.nothing)),
    ]


class VotePages:
    """The pages of all votes; they only show, to anybody."""

    kind = "vote"
    refused, away, failed = (
        Sorry(405, "vote_page.refused"),
        Sorry(503, "vote_page.away"),
        Sorry(500, "vote_page.failed"),
    )

    def __init__(self, app: App) -> None:
        self.app = app
        self.kept = Kept()
        templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True)
        # Where a proxy serves us under a path, links begin with it.
        templates.globals["at"] = f"{urlsplit(app.settings.web.address).path.rstrip('/')}/votes"
        self.template = templates.get_template("vote.html")

    async def style(self, request: Request) -> Response:
        """The style sheet."""
        return FileResponse(PAGES / "vote.css", media_type="text/css", headers=CURRENT)

    async def nothing(self, request: Request) -> Response:
        """Any other address."""
        raise Sorry(404, "vote_page.gone")

    async def show(self, request: Request) -> Response:
        """The vote as it is now."""
        shown = await asyncio.to_thread(self._look, *_named(request), language_of(request))
        closed = await self._closed(shown.vote) if shown.vote.state == "closed" else None
        html = await asyncio.to_thread(self._page, shown, closed)
        headers = {**CURRENT, "Vary": "Accept-Language", "Content-Language": shown.reader.language}
        return answer(request, html.encode(), "text/html; charset=utf-8", **headers)

    async def file(self, request: Request) -> Response:
        """One of the files, in the very bytes of which the log or the bundle has the SHA-256."""
        name = request.path_params["name"]
        if name not in FILES:
            raise Sorry(404, "vote_page.gone")
        community, number = _named(request)
        shown = await asyncio.to_thread(self._look, community, number, language_of(request))
        data = await self._file(shown, name)
        headers = CURRENT
        if name == "result.png":
            headers = {**CURRENT, "Vary": "Accept-Language"}
        how = "inline" if name == "result.png" else "attachment"
        named = f'{how}; filename="{file_name(number, name)}"'
        return answer(request, data, FILES[name], **headers, **{"Content-Disposition": named})

    async def _file(self, shown: Look, name: str) -> bytes:
        vote = shown.vote
        if name == "policy.json":
            return line(vote.policy)
        if name == "roster.json":
            # In a named poll it names everybody, which is what the end publishes, and not the beginning.
            if vote.state != "closed" and "names" in vote.roster:
                raise Sorry(404, "vote_page.names_later")
            return await self.kept.get(("roster", vote.id), lambda: self._roster(vote), len)
        if vote.state != "closed":
            raise Sorry(404, "vote_page.not_yet")
        if name == "result.png":
            language = shown.reader.language
            made: Callable[[], bytes] = lambda: picture(vote.policy, vote.result, language)  # noqa: E731
            return await self.kept.get(("picture", language, vote.id, vote.head), made, len)
        if name == "ballots.csv" and is_sealed(vote.policy):
            raise Sorry(404, "vote_page.only_totals")
        closed = await self._closed(vote)
        return closed.bundle if name == "bundle.zip" else closed.sheet

    async def _closed(self, vote: Vote) -> Closed:
        def size(closed: Closed) -> int:
            homes = sum(each.homes for each in closed.turnout)
            return len(closed.bundle) + len(closed.sheet) + 100 * homes

        return await self.kept.get(("closed", vote.id, vote.head), lambda: self._made(vote), size)

    def _page(self, shown: Look, closed: Closed | None) -> str:
        vote, reader, say = shown.vote, shown.reader, shown.reader.say
        other = next(language for language in LANGUAGES if language != reader.language)
        files = [("policy.json", vote.policy_hash)]
        if closed is not None or "names" not in vote.roster:
            files.append(("roster.json", vote.roster_hash))
        result = ""
        if closed is not None:
            result = in_words(vote.policy, vote.result, reader.language)
            # The title and the kind stand above.
            result = result.split("\n", 1)[1]
            if not is_sealed(vote.policy):
                files.insert(0, ("ballots.csv", sha256(closed.sheet)))
            files.insert(0, ("bundle.zip", sha256(closed.bundle)))
        deadline = shown.time(vote.deadline)
        return self.template.render(
            say=say,
            look=shown,
            vote=vote,
            language=reader.language,
            other=(other, texts(other)["vote_page.language"]),
            community=shown.community,
            board=urlsplit(shown.board).path,
            title=one_line(vote.title),
            kind=say(f"count.kind.{vote.kind}"),
            text=vote.policy["text"],
            state=say(
                f"vote_page.state.{shown.state}",
                opens=shown.time(vote.opens_at),
                deadline=deadline,
                until=shown.time(vote.objections_until) if vote.objections_until else "",
                at=shown.time(vote.annulled_at or vote.final_at or vote.deadline),
            ),
            period=say("count.period", start=shown.time(vote.opens_at), end=deadline),
            result=result,
            roster_hash=vote.roster_hash,
            turnout=closed.turnout if closed is not None else (),
            sealed=is_sealed(vote.policy),
            objections=self._objections(shown),
            files=[
                (name, say(f"vote_page.file.{name.partition('.')[0]}"), hashed, file_name(vote.number, name))
                for name, hashed in files
            ],
            bundle_name=file_name(vote.number, "bundle.zip"),
        )

    @staticmethod
    def _objections(shown: Look) -> str:
        found = shown.objections
        if not found:
            return ""
        states = [
            Say(f"vote_page.objection.{state}", count=found[state])
            for state in ("waiting", "upheld", "rejected")
            if state in found
        ]
        return shown.reader.say("vote_page.objections", count=sum(found.values()), states=states)

    def sorry(self, sorry: Sorry, **headers: str) -> Response:
        """A page that only says what is the matter, the same for whoever asks."""
        html = self.template.render(
            language="zh",
            community=" · ".join(texts(language)["page.name"] for language in LANGUAGES),
            plain="\n\n".join(texts(language)[sorry.key] for language in LANGUAGES),
        )
        return Response(html, sorry.status, media_type="text/html", headers=headers)

    # --- in a thread, in one look at the database ---

    def _tx(self, session: Session) -> Tx:
        return Tx(session, self.app.clock.now(), self.app.house)

    def _look(self, community: int, number: int, language: str | None) -> Look:
        """The vote; Sorry if there is none."""
        with self.app.database.read() as session:
            tx = self._tx(session)
            vote = find(tx, community, number)
            if vote is None:
                raise Sorry(404, "vote_page.gone")
            return look(tx, vote, language)

    def _roster(self, vote: Vote) -> bytes:
        with self.app.database.read() as session:
            return line(roster_of(self._tx(session), vote))

    def _made(self, vote: Vote) -> Closed:
        with self.app.database.read() as session:
            bundle = published(self._tx(session), vote)
        data = pack(bundle)
        sheet = zipfile.ZipFile(io.BytesIO(data)).read(SHEET)
        return Closed(data, sheet, turnout_by_building(bundle))


class Kept:
    """What takes long to make, made once and one at a time; what was not asked for longest is let go first."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.most = most
        self.held: OrderedDict[tuple[Any, ...], tuple[int, Any]] = OrderedDict()
        self.making = asyncio.Lock()

    async def get(self, key: tuple[Any, ...], make: Callable[[], T], size: Callable[[T], int]) -> T:
        """What is kept under the key, made in a thread if it is not."""
        if key not in self.held:
            async with self.making:
                if key not in self.held:  # somebody else may have waited for the same
                    made = await asyncio.to_thread(make)
                    self.held[key] = (size(made), made)
                    while len(self.held) > 1 and sum(size for size, _ in self.held.values()) > self.most:
                        self.held.popitem(last=False)
        self.held.move_to_end(key)
        return cast(T, self.held[key][1])


def file_name(number: int, name: str) -> str:
    """How a file is called where it is kept."""
    return f"linli-vote-{number}{'.zip' if name == 'bundle.zip' else f'-{name}'}"


def _named(request: Request) -> tuple[int, int]:
    """The community and the number of the vote in the address; Sorry if they are no such numbers."""
    found = [request.path_params[name] for name in ("community", "number")]
    if not all(NUMBER.fullmatch(each) for each in found):
        raise Sorry(404, "vote_page.gone")
    return int(found[0]), int(found[1])
