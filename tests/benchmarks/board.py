"""How fast the board's web pages are made, and whether that grows with what stands on the board."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import insert
from sqlmodel import Session
from starlette.applications import Starlette

from bot.board_pages import routes
from conversations.words import Say, pack
from handlers.board_page import address
from handlers.tx import Tx
from store.database import Database
from store.migrations import upgrade
from store.tables import Entry
from tests.benchmarks.measure import Figure, out, table
from tests.bot.board_scene import furnish, write
from tests.people import Building
from tests.postgres import Server

HOST = "https://linli.example"
SIZES = (1_000, 100_000)
KINDS = ("repair", "purchase", "vote", "listing")
ROUNDS = 40
PAGES = {
    "newest": "",
    "one kind": "?kind=repair",
    "one building": "?building=3",
    "all three filters": "?kind=repair&building=3&state=open",
    "only done": "?state=done",
    "far back": "?before={deep}",
    "overdue": "/overdue",
    "one matter": "/repair/1",
    "a vote": "/vote/1",
    "rules": "/rules",
    "months": "/figures",
    "print": "/print",
    "feed": "/feed.xml",
}


def main(quick: bool = False) -> None:
    """Each page on a small and on a large board, in turn, on both databases."""
    with Server() as server:
        for name in ("sqlite", "postgresql"):
            with ExitStack() as stack:
                boards = [stack.enter_context(_board(name, server, size)) for size in SIZES]
                asyncio.run(_measure(name, boards, 10 if quick else ROUNDS))


@contextmanager
def _board(name: str, server: Server, size: int) -> Iterator[Building]:
    """A community with a bit of everything, and so many more lines of its board."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/linli.db"
        if name == "postgresql":
            url = server.create_database(f"board_{size}")
        database = Database(url, threads=1)
        upgrade(database.engine)
        database.close()
        building = Building(Path(folder) / "data", url)
        building.app.house = replace(building.app.house, board_page=lambda path: f"{HOST}/board/{path}")
        furnish(building)
        building.app.database.write_now(lambda session: _fill(session, building, size))
        yield building
        asyncio.run(building.close())


async def _measure(name: str, boards: Sequence[Building], rounds: int) -> None:
    doors = [write(each, lambda tx: address(tx, 1)).rpartition("/")[2] for each in boards]
    clients = [
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=Starlette(routes=routes(each.app))), base_url=HOST
        )
        for each in boards
    ]
    rows = []
    for page, path in PAGES.items():
        took: list[list[float]] = [[] for _ in SIZES]
        for number in range(rounds + 3):
            for at, (client, door, size) in enumerate(zip(clients, doors, SIZES, strict=True)):
                asked = f"/board/{door}{path.format(deep=size // 2)}"
                start = time.perf_counter()
                answer = await client.get(asked)
                if number >= 3:  # the first ones compile the template and the queries
                    took[at].append((time.perf_counter() - start) * 1000)
                assert answer.status_code == 200, (asked, answer.status_code)
        small, large = map(Figure, took)
        rows.append((page, small, large, large.beside(small)))
    sizes = [f"{size:,} ms" for size in SIZES]
    table(
        f"The board's pages, whole requests through the application, {name}", ("page", *sizes, "ratio"), rows
    )
    slowest = max(rows, key=lambda row: row[2].median)
    out.print(f"the slowest at {SIZES[1]:,} lines: {slowest[0]}, {slowest[2].median:.1f} ms")
    for client in clients:
        await client.aclose()


def _fill(session: Session, building: Building, size: int) -> None:
    """Lines of all kinds and buildings; every tenth is open, every twentieth overdue."""
    now = Tx(session, building.clock.now(), building.app.house).now
    state = pack({"state": Say("state.waiting")})
    rows = [
        {
            "community_id": 1,
            "about": f"{KINDS[number % len(KINDS)]}:{1_000_000 + number}",
            "kind": KINDS[number % len(KINDS)],
            "number": number,
            "building": str(number % 31) if number % 5 else "",
            "wide": number % 7 != 0,
            "title": f"第 {number} 件：电梯按钮不亮，要按好几次才有反应",
            "state": state,
            "open": number % 10 == 0,
            "due_at": now - timedelta(minutes=number) if number % 20 == 0 else None,
            "at": now - timedelta(minutes=size - number),
            "changed_at": now - timedelta(minutes=size - number),
        }
        for number in range(size)
    ]
    for start in range(0, len(rows), 5000):
        session.connection().execute(insert(Entry), rows[start : start + 5000])


if __name__ == "__main__":
    main()
