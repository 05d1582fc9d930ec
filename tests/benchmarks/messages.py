"""Messages a second through the whole door: Said, one transaction, committed with its rows to send."""

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from sqlmodel import col, select, update

from conversations.said import Said
from moderation.urgency import warm
from store.tables import Outgoing, Repair, Talk
from tests import postgres
from tests.benchmarks.measure import Figure, shown, table
from tests.benchmarks.town import Town, durable_postgresql, town
from tests.people import unique

MANY = 40
"""How many people speak at the same time."""
KINDS = {
    "hello": "chat that is no report",
    "form": "/repair: form opens",
    "place": "tap: where it is",
    "sentence": "sentence: what is broken",
    "entry": "tap: when to come",
    "skip": "tap: no photo",
    "sure": "tap: report registered",
    "mine": "/my",
    "again": "key seen before (twice)",
}
RAW = 300


@dataclass
class Measured:
    """What one series of rounds gave: messages a second, processor time, and the pace of each kind."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    kinds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rows: float = 0.0


def main(*, quick: bool = False) -> None:
    """Both databases, three sizes, many senders and one."""
    warm()
    many, old, rounds = (1_000, 10_000, 3) if quick else (100_000, 1_000_000, 5)
    _on("SQLite, synchronous=FULL", None, many, old, rounds)
    with durable_postgresql() as server:
        _on("PostgreSQL 4 threads, fsync on", server, many, old, rounds)


def _on(name: str, server: postgres.Server | None, many: int, old: int, rounds: int) -> None:
    raw = Figure([_raw(server) for _ in range(rounds)])
    results: dict[str, tuple[Measured, Measured]] = {}
    with town(100, server) as small:
        results["100 people"] = _both(small, rounds)
    with town(many, server) as large:
        results[f"{many:,} people"] = _both(large, rounds)
        large.add_old_messages(old)
        results[f"{many:,} people, {old:,} old messages"] = _both(large, rounds)
    _print(name, raw, results)


def _both(where: Town, rounds: int) -> tuple[Measured, Measured]:
    people = _in_turn(where)
    asyncio.run(_round(where, people, 8, Measured()))  # statements are compiled, files are warm
    many, one = Measured(), Measured()
    for _ in range(rounds):  # turn by turn, so that a busy moment hits both
        asyncio.run(_round(where, people, MANY, many))
        asyncio.run(_round(where, people, 4, one, together=False))
    return many, one


def _in_turn(where: Town) -> Iterator[int]:
    """Everybody's number, spread over the town, again and again."""
    while True:
        yield from (1 + at * 37 % where.people for at in range(where.people))


async def _round(
    where: Town, people: Iterator[int], senders: int, measured: Measured, *, together: bool = True
) -> None:
    """Everybody says hello, reports a repair by form, and looks at it; a few messages come twice."""
    who = [next(people) for _ in range(senders)]
    spent = cpu = count = 0.0
    before = _rows(where)
    sentences = [where.said(each, "厨房水龙头滴水") for each in who]

    async def phase(kind: str, said: Sequence[Said]) -> None:
        nonlocal spent, cpu, count
        began, used = time.perf_counter(), time.process_time()
        if together:
            await asyncio.gather(*map(where.app.receive, said))
        else:
            for each in said:
                await where.app.receive(each)
        took = time.perf_counter() - began
        spent, cpu, count = spent + took, cpu + time.process_time() - used, count + len(said)
        measured.kinds[kind].append(took / len(said) * 1000)

    await phase("hello", [where.said(each, "你好") for each in who])
    await phase("form", [where.said(each, "/repair") for each in who])
    talks = _talks(where)

    async def tapped(step: str, choice: str) -> list[Said]:
        taps = [where.said(each, tap=f"{talks[each]}.{step}{choice}") for each in who]
        await phase("skip" if step == "photos" else step, taps)
        return taps

    await tapped("place", "=home")
    await phase("sentence", sentences)
    await tapped("entry", "=any_time")
    await tapped("photos", "!skip")
    taps = await tapped("sure", "=yes")
    await phase("mine", [where.said(each, "/my") for each in who])
    await phase("again", [*sentences, *taps])
    measured.rate.append(count / spent)
    measured.cpu.append(cpu / count * 1000)
    measured.rows = (_rows(where) - before) / count
    _repairs(where, len(who))


def _talks(where: Town) -> dict[int, int]:
    with where.app.database.read() as session:
        return dict(session.exec(select(Talk.person_id, Talk.id)).all())


def _rows(where: Town) -> int:
    with where.app.database.read() as session:
        return session.exec(select(Outgoing.id).order_by(Outgoing.id.desc()).limit(1)).first() or 0  # type: ignore[attr-defined]


def _repairs(where: Town, wanted: int) -> None:
    """The round did what it should; its repairs are over, so that whoever comes again reports something new."""
    with where.app.database.engine.begin() as connection:
        done = connection.execute(update(Repair).where(col(Repair.state) == "waiting").values(state="closed"))
        assert done.rowcount == wanted, (done.rowcount, wanted)


# --- the baseline: the least that any program must write for a message -------------------------------

TABLES = (
    "CREATE TABLE event (id {id}, what TEXT)",
    "CREATE TABLE matter (id INTEGER PRIMARY KEY, state TEXT)",
    "CREATE TABLE outbox (id {id}, chat INTEGER, text TEXT)",
    "INSERT INTO matter VALUES (1, 'new')",
)


def _raw(server: postgres.Server | None) -> float:
    """Transactions a second of the bare driver: insert an event, update a row, insert three rows to send."""
    if server is not None:
        url = server.create_database(unique("linli_raw")).replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            return _hand_written(
                connection.execute, connection.commit, "%s", "BIGINT GENERATED ALWAYS AS IDENTITY"
            )
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(sqlite3.connect(Path(folder) / "raw.db")) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return _hand_written(connection.execute, connection.commit, "?", "INTEGER PRIMARY KEY")


def _hand_written(
    execute: Callable[..., object], commit: Callable[[], None], mark: str, identity: str
) -> float:
    for statement in TABLES:
        execute(statement.format(id=identity))
    commit()
    began = time.perf_counter()
    for number in range(RAW):
        execute(f"INSERT INTO event (what) VALUES ({mark})", ("厨房水龙头滴水",))
        execute(f"UPDATE matter SET state = {mark} WHERE id = 1", (str(number),))
        for chat in range(3):
            execute(f"INSERT INTO outbox (chat, text) VALUES ({mark}, {mark})", (chat, "报修 1 已登记"))
        commit()
    return RAW / (time.perf_counter() - began)


# --- the tables --------------------------------------------------------------------------------------


def _print(name: str, raw: Figure, results: dict[str, tuple[Measured, Measured]]) -> None:
    first = next(iter(results.values()))
    rows: list[Sequence[object]] = [("raw driver, a commit each, one sender", raw, "1.00×", "", "", "")]
    for title, pair in results.items():
        for at, sender in enumerate((f"{MANY} senders", "one sender")):
            rate = Figure(pair[at].rate)
            rows.append((
                f"{title}, {sender}", rate, rate.beside(raw), rate.beside(Figure(first[at].rate)),
                Figure(pair[at].cpu), shown(pair[at].rows),
            ))  # fmt: skip
    columns = ("", "messages/s", "to raw", "to 100 people", "CPU ms/message", "rows to send/message")
    table(f"Messages: {name}", columns, rows)
    titles = list(results)
    kinds = [(KINDS[kind], *(Figure(pair[0].kinds[kind]) for pair in results.values())) for kind in KINDS]
    table(f"ms a message by kind, {MANY} senders: {name}", ("", *titles), kinds)


if __name__ == "__main__":
    main()
