"""The canvass list of a vote or a notice on paper: a page to print, by a link that one of the staff was sent."""

import asyncio
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from bot.app import App
from bot.page_door import Door, Sorry
from bot.personal_pages import PersonalPages
from conversations.words import Reader
from handlers import board_page, links
from handlers.turnout import Sheet, sheet_of

PAGES = Path(__file__).parent / "pages"


def routes(app: App) -> list[Route]:
    """Everything under /canvass."""
    made = CanvassPages(app)
    return [
        Route("/canvass/canvass.css", Door(made, GET=made.style)),
        Route("/canvass/{token}", Door(made, GET=made.show)),
    ]


class CanvassPages(PersonalPages):
    """The page of a list; whoever has no such link reads what every personal page says."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
        self.sheet_template = templates.get_template("canvass.html")

    async def style(self, request: Request) -> Response:
        """The style sheet, for the screen and for paper."""
        headers = {"Cache-Control": "no-cache"}
        return FileResponse(PAGES / "canvass.css", media_type="text/css", headers=headers)

    async def show(self, request: Request) -> Response:
        """The list as it is now, one table for each building."""
        reader, sheet, ends, board = await asyncio.to_thread(self._sheet, request.path_params["token"])
        say = reader.say
        html = self.sheet_template.render(
            language=reader.language,
            community=sheet.community,
            board=urlsplit(board).path,
            board_name=say("board_page.both_names"),
            title=reader.show(sheet.title),
            until=reader.show(sheet.told),
            secret=say("turnout.sheet.secret", at=ends),
            nobody=reader.show(sheet.nobody),
            columns=[
                say("turnout.sheet.room"),
                say("turnout.sheet.owner"),
                say("turnout.sheet.phone"),
                say("turnout.sheet.told"),
                say("turnout.sheet.sign"),
            ],
            buildings=[
                (say("where.building", building=building), rows) for building, rows in sheet.buildings.items()
            ],
        )
        return Response(html, media_type="text/html")

    def _sheet(self, token: str) -> tuple[Reader, Sheet, datetime, str]:
        """The list, who reads it, until when it can be opened, and the address of the board's page."""
        with self.app.database.read() as session:
            tx = self._tx(session)
            link = links.find(session, token, tx.now)
            found = sheet_of(tx, link) if link is not None else None
            if link is not None and found is not None and link.community_id is not None:
                return *found, link.expires_at, board_page.address(tx, link.community_id)
        raise Sorry(404, "page.gone")
