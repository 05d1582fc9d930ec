"""How long a roster of 5,000 homes and 8,000 people takes from the file to the database, twice."""

import csv
import io
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import xlsxwriter
from sqlmodel import Session, select

from handlers.roster import add_community, import_roster, plan_roster, read_roster
from handlers.tx import Tx
from store.database import Database
from store.migrations import upgrade
from store.tables import Community
from tests import postgres
from tests.benchmarks.measure import Figure, table
from tests.benchmarks.town import durable_postgresql
from tests.people import HOUSE, MORNING, unique

HOMES, PEOPLE, CREW = 5_000, 8_000, 20
HEADINGS = (
    "楼栋,单元,房号,面积,业主,电话,身份,份额,共有人,共有人电话,代表,车位,状态,开发商,工种,负责楼栋,值班"
)
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"


def big_roster(homes: int = HOMES, people: int = PEOPLE) -> list[list[str]]:
    """Headings and rows: every home with an owner, some with co-owners, spaces or nobody yet, and the crew."""
    rows = [HEADINGS.split(",")]
    numbers = iter(range(people))
    co_owned = people - (homes - homes // 50) - CREW - 1  # one is the developer
    for at in range(homes):
        building, floor = str(at // 100 + 1), at % 100 // 4 + 1
        address = [
            f"{building}号楼",
            f"{at % 2 + 1}单元",
            f"{floor}{at % 4 + 1:02}",
            f"{60 + at % 9000 / 100:.2f}",
        ]
        space = f"B1-{at:04}" if at % 3 == 0 else ""
        if at % 50 == 0:
            rows.append([*address, "", "", "", "", "", "", "", space, "未售", "阳光置业有限公司", "", "", ""])
            continue
        name, phone = _somebody(next(numbers))
        other, other_phone = _somebody(next(numbers)) if co_owned > 0 else ("", "")
        co_owned -= 1
        share, speaks = ("1/2、1/2", name) if other else ("", "")
        rows.append(
            [*address, name, phone, "", share, other, other_phone, speaks, space, "已交付", "", "", "", ""]
        )
    for at in range(CREW):
        rows.append(
            [
                "",
                "",
                "",
                "",
                f"师傅{at}",
                f"139{at:08}",
                "维修",
                *[""] * 7,
                "水龙头、马桶",
                "1、2",
                "08:00-20:00",
            ]
        )
    return rows


def _somebody(number: int) -> tuple[str, str]:
    """A name, of which there are several, and a telephone number of which there is one."""
    return SURNAMES[number % 20] + GIVEN[number // 20 % 20] + GIVEN[number // 400 % 20], f"138{number:08}"


def as_csv(rows: list[list[str]]) -> bytes:
    """The rows as a CSV file in GBK, as Excel in China saves it."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("gb18030")


def as_xlsx(rows: list[list[str]]) -> bytes:
    """The rows as a workbook, with areas and telephone numbers as numbers."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"strings_to_numbers": True}) as book:
        sheet = book.add_worksheet("名册")
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    return out.getvalue()


def main(*, quick: bool = False) -> None:
    """Turn by turn: the bare inserts, the first import and the second, on both databases, from both kinds of file."""
    rows = big_roster()
    files = {"CSV": as_csv(rows), "xlsx": as_xlsx(rows)}
    seconds: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        server = stack.enter_context(durable_postgresql())
        for _ in range(2 if quick else 5):
            for kind, data in files.items():
                began = time.perf_counter()
                read_roster(data)
                seconds[f"{kind}: read"].append(time.perf_counter() - began)
            for name in ("SQLite", "PostgreSQL"):
                with tempfile.TemporaryDirectory(prefix="linli-roster-") as folder:
                    _once(name, Path(folder), server, files["xlsx"], seconds)
    shown = []
    for name, values in seconds.items():
        base = Figure(seconds[f"{name.partition(':')[0]}: bare inserts"]) if "SQL" in name else None
        shown.append((name, Figure(values), Figure(values).beside(base) if base else ""))
    table(f"A roster of {HOMES:,} homes and {PEOPLE:,} people", ("", "seconds", "to bare"), shown)


def _once(
    name: str, folder: Path, server: postgres.Server, data: bytes, seconds: dict[str, list[float]]
) -> None:
    url = f"sqlite:///{folder / 'linli.db'}" if name == "SQLite" else server.create_database(unique("roster"))
    database = Database(url)
    try:
        upgrade(database.engine)

        def found(session: Session) -> None:
            add_community(Tx(session, MORNING, HOUSE), "小区", time_zone="Asia/Shanghai", language="zh")

        def whole(session: Session) -> None:
            community = session.exec(select(Community)).one()
            import_roster(Tx(session, MORNING, HOUSE), community, read_roster(data))

        database.write_now(found)
        began = time.perf_counter()
        _bare(database)
        seconds[f"{name}: bare inserts"].append(time.perf_counter() - began)
        for what in ("first import", "second import"):
            began = time.perf_counter()
            database.write_now(whole)
            seconds[f"{name}: {what}"].append(time.perf_counter() - began)
        with database.read() as session:
            tx, community = Tx(session, MORNING, HOUSE), session.exec(select(Community)).one()
            assert plan_roster(tx, community, read_roster(data)).is_empty
    finally:
        database.close()


def _bare(database: Database) -> None:
    """As many rows as the roster has, by the driver alone, into a table without rules."""
    mark = "?" if database.is_sqlite else "%s"
    rows = [(at, f"name {at}", "x" * 120) for at in range(2 * PEOPLE + HOMES)]
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE bare (id integer, name text, more text)")
        cursor.execute("BEGIN") if database.is_sqlite else None
        cursor.executemany(f"INSERT INTO bare VALUES ({mark}, {mark}, {mark})", rows)
        connection.commit()
    finally:
        connection.close()
