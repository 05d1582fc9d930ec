"""The clock: each timer fires once, late ones in order, failing ones later and later; notices reach everyone once."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert
from sqlmodel import Session, col, select

from bot import settings
from bot.app import App
from bot.clock import Clock, Ticker, scheduler
from handlers.actions import ACTIONS, Action
from handlers.notices import FAN_OUT, publish
from handlers.rights import CLOCK, RIGHTS
from handlers.timers import TRIES, set_timer, stop_timer
from handlers.tx import Tx
from store.database import Database
from store.tables import Account, Community, Counter, Home, HomeRole, Notice, Outgoing, Person, Place, Timer
from tests.people import HOUSE

MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Ringing:
    """A database with a ticker whose time stands still, and an action that writes down that it was performed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.at = MORNING
        self.woken = 0
        self.rung: list[tuple[int, datetime]] = []
        """Which row was performed, and when: also performances that were rolled back."""
        self.broken: set[int] = set()
        self.ticker = self.another()
        database.write_now(lambda session: session.add(Community(id=1, name="阳光花园", created_at=MORNING)))

    def another(self) -> Ticker:
        """One more process on the same database."""
        return Ticker(self.database, HOUSE, lambda: self.at, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def perform(self, tx: Tx, person: None, row: Person) -> None:
        self.rung.append((row.id, tx.now))
        counter = tx.session.get(Counter, (1, f"rung {row.id}")) or Counter(
            community_id=1, name=f"rung {row.id}", value=0
        )
        counter.value += 1
        tx.session.add(counter)
        tx.session.flush()
        if row.id in self.broken:
            raise KeyError(f"broken {row.id}")

    def set(self, number: int, due_at: datetime) -> None:
        def work(session: Session) -> None:
            if session.get(Person, number) is None:
                session.add(
                    Person(id=number, community_id=1, name=f"P{number}", pseudonym=number, created_at=MORNING)
                )
            set_timer(Tx(session, self.at, HOUSE), 1, f"test.ring:{number}", due_at)

        self.database.write_now(work)

    def timer(self, number: int) -> Timer:
        with self.database.read() as session:
            return session.exec(select(Timer).where(Timer.action == f"test.ring:{number}")).one()

    def counted(self) -> dict[str, int]:
        """How often each was performed and committed."""
        with self.database.read() as session:
            return {row.name: row.value for row in session.exec(select(Counter).order_by(Counter.name))}


@pytest.fixture
def ringing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ringing]:
    database = Database(database_url, durable=False)
    made = Ringing(database)
    monkeypatch.setitem(ACTIONS, "test.ring", Action("test.ring", made.perform, Person, button=False))
    monkeypatch.setitem(RIGHTS, "test.ring", (CLOCK,))  # type: ignore[arg-type]
    yield made
    database.close()


# --- timers -----------------------------------------------------------------------------------------


async def test_a_timer_fires_at_its_time_and_once(ringing: Ringing) -> None:
    ringing.set(1, MORNING + timedelta(seconds=10))
    await ringing.ticker.tick()
    ringing.at += timedelta(seconds=9)
    await ringing.ticker.tick()
    assert ringing.rung == []
    ringing.at += timedelta(seconds=1)
    for _ in range(3):
        await ringing.ticker.tick()
    assert ringing.rung == [(1, ringing.at)]
    assert ringing.timer(1).state == "done"


async def test_a_timer_fires_once_also_after_a_restart(ringing: Ringing) -> None:
    ringing.set(1, MORNING)
    ringing.set(2, MORNING + timedelta(hours=1))
    await ringing.another().tick()
    ringing.at += timedelta(hours=2)
    await ringing.another().tick()
    await ringing.another().tick()
    assert [number for number, _ in ringing.rung] == [1, 2]


async def test_a_timer_fires_once_with_several_tickers_at_once(ringing: Ringing) -> None:
    for number in range(1, 31):
        ringing.set(number, MORNING)
    await asyncio.gather(*(ringing.another().tick() for _ in range(3)))
    assert ringing.counted() == {f"rung {number}": 1 for number in range(1, 31)}


async def test_late_timers_fire_in_the_order_of_their_due_times(ringing: Ringing) -> None:
    for number, minutes in {1: 30, 2: 10, 3: 20, 4: 10, 5: 90}.items():
        ringing.set(number, MORNING + timedelta(minutes=minutes))
    ringing.at += timedelta(hours=1)
    await ringing.ticker.tick()
    assert [number for number, _ in ringing.rung] == [2, 4, 3, 1]


async def test_setting_the_same_action_again_moves_it(ringing: Ringing) -> None:
    ringing.set(1, MORNING + timedelta(minutes=1))
    ringing.set(1, MORNING + timedelta(minutes=5))
    ringing.at += timedelta(minutes=1)
    await ringing.ticker.tick()
    assert ringing.rung == []
    ringing.at += timedelta(minutes=4)
    await ringing.ticker.tick()
    assert ringing.rung == [(1, ringing.at)]
    ringing.set(1, ringing.at + timedelta(minutes=1))  # what is done can be due again
    ringing.at += timedelta(minutes=1)
    await ringing.ticker.tick()
    assert len(ringing.rung) == 2


async def test_a_stopped_timer_does_not_fire(ringing: Ringing) -> None:
    ringing.set(1, MORNING)
    ringing.database.write_now(lambda session: stop_timer(Tx(session, MORNING, HOUSE), "test.ring:1"))
    await ringing.ticker.tick()
    assert ringing.rung == []


async def test_a_timer_whose_row_is_gone_is_done(ringing: Ringing) -> None:
    ringing.set(1, MORNING)
    ringing.database.write_now(lambda session: session.delete(session.get_one(Person, 1)))
    await ringing.ticker.tick()
    assert (ringing.rung, ringing.timer(1).state) == ([], "done")


async def test_a_failing_timer_is_put_off_with_growing_gaps_and_then_laid_aside(ringing: Ringing) -> None:
    ringing.broken = {1}
    ringing.set(1, MORNING)
    gaps = []
    while (timer := ringing.timer(1)).state == "waiting":
        ringing.at = timer.due_at
        await ringing.ticker.tick()
        gaps.append((ringing.timer(1).due_at - ringing.at).total_seconds())
    assert len(gaps) == TRIES
    assert gaps == sorted(set(gaps))
    assert (timer.state, timer.tries, timer.error) == ("failed", TRIES, "KeyError('broken 1')")
    assert ringing.counted() == {}  # nothing of a failed performance stays
    ringing.at += timedelta(days=30)
    await ringing.ticker.tick()
    assert len(ringing.rung) == TRIES


async def test_a_failing_timer_does_not_hold_up_the_others(ringing: Ringing) -> None:
    ringing.broken = {1}
    ringing.set(1, MORNING)
    ringing.set(2, MORNING)
    await ringing.ticker.tick()
    assert ringing.counted() == {"rung 2": 1}


async def test_a_timer_that_works_again_fires(ringing: Ringing) -> None:
    ringing.broken = {1}
    ringing.set(1, MORNING)
    await ringing.ticker.tick()
    ringing.broken = set()
    ringing.at = ringing.timer(1).due_at
    await ringing.ticker.tick()
    assert (ringing.counted(), ringing.timer(1).state) == ({"rung 1": 1}, "done")


async def test_more_timers_than_one_look_finds_all_fire(ringing: Ringing) -> None:
    def many(session: Session) -> None:
        for number in range(1, 251):
            session.add(
                Person(id=number, community_id=1, name=f"P{number}", pseudonym=number, created_at=MORNING)
            )
            session.add(
                Timer(
                    community_id=1, action=f"test.ring:{number}", due_at=MORNING + timedelta(seconds=number)
                )
            )

    ringing.database.write_now(many)
    ringing.at += timedelta(hours=1)
    for _ in range(3):
        await ringing.ticker.tick()
    assert [number for number, _ in ringing.rung] == list(range(1, 251))


async def test_every_tick_wakes_the_delivery(ringing: Ringing) -> None:
    await ringing.ticker.tick()
    assert ringing.woken == 1


async def test_a_tick_without_a_database_is_no_crash(ringing: Ringing) -> None:
    ringing.set(1, MORNING)
    await asyncio.to_thread(ringing.database._writer.close)
    await ringing.ticker.tick()
    assert ringing.rung == []


async def test_ticks_of_one_process_do_not_overlap(ringing: Ringing) -> None:
    for number in range(1, 6):
        ringing.set(number, MORNING)
    await asyncio.gather(*(ringing.ticker.tick() for _ in range(3)))
    assert ringing.counted() == {f"rung {number}": 1 for number in range(1, 6)}


def test_the_scheduler_holds_one_tick_that_is_never_dropped() -> None:
    async def tick() -> None: ...

    (job,) = scheduler(tick, seconds=2).get_jobs()
    assert (job.func, job.coalesce, job.misfire_grace_time, job.max_instances) == (tick, True, None, 1)
    assert job.trigger.interval == timedelta(seconds=2)


def test_the_clock_is_the_real_time_and_its_shift() -> None:
    before = datetime.now(UTC)
    assert before <= Clock().now() <= before + timedelta(minutes=1)
    assert before <= Clock(timedelta(days=-1)).now() + timedelta(days=1) <= before + timedelta(minutes=1)


# --- notices ----------------------------------------------------------------------------------------

CROWD = 1200
KNOWS = 700
AWAY = {5, 501, 1199}
BLOCKED = {9}


def crowd(session: Session) -> None:
    """1,200 residents with a chat each, but for a few; and one of the crew, who is no owner."""
    connection = session.connection()
    connection.execute(
        insert(Person),
        [
            {
                "id": n,
                "community_id": 1,
                "name": f"P{n}",
                "language": "en" if n % 10 == 0 else "zh",
                "pseudonym": n,
                "created_at": MORNING,
            }
            for n in range(1, CROWD + 2)
        ],
    )
    connection.execute(
        insert(Home),
        [{"id": 1, "community_id": 1, "building": "1", "entrance": "", "room": "1", "area": 1000}],
    )
    connection.execute(
        insert(HomeRole),
        [{"community_id": 1, "home_id": 1, "person_id": n, "role": "owner"} for n in range(1, CROWD + 1)],
    )
    connection.execute(
        insert(Account),
        [
            {"community_id": 1, "person_id": n, "messenger": "test", "external_id": f"{n}"}
            for n in range(1, CROWD + 2)
        ],
    )
    connection.execute(
        insert(Place),
        [
            {
                "id": n,
                "community_id": 1,
                "messenger": "test",
                "external_id": f"{n}",
                "kind": "private",
                "person_id": n,
                "blocked_at": MORNING if n in BLOCKED else None,
            }
            for n in range(1, CROWD + 2)
            if n not in AWAY
        ],
    )


def announce(session: Session) -> None:
    tx = Tx(session, MORNING, HOUSE)
    knows = session.get_one(Person, KNOWS)
    publish(tx, 1, "announcement.list", about="repair:1", but=knows, photos=[], list="电梯{停}")


def sent_of(database: Database) -> list[Outgoing]:
    with database.read() as session:
        return list(session.exec(select(Outgoing).order_by(col(Outgoing.person_id))))


async def test_a_notice_reaches_everyone_once(ringing: Ringing) -> None:
    ringing.database.write_now(crowd)
    ringing.database.write_now(announce)
    await ringing.ticker.tick()
    rows = sent_of(ringing.database)
    assert [row.person_id for row in rows] == [n for n in range(1, CROWD + 1) if n != KNOWS]
    unreachable = {
        row.person_id: (row.state, row.error, row.place_id) for row in rows if row.state != "waiting"
    }
    assert unreachable == dict.fromkeys(AWAY | BLOCKED, ("unreachable", "no chat", None))
    assert {row.text for row in rows} == {"最近的通知：\n电梯{停}", "The last notices:\n电梯{停}"}
    assert {row.person_id for row in rows if row.text.startswith("The")} == set(range(10, CROWD + 1, 10)) - {
        KNOWS
    }
    batches = -(-CROWD // FAN_OUT)
    assert ringing.woken == batches + 1 + (CROWD % FAN_OUT == 0)  # after each, and at the end of the tick
    await ringing.ticker.tick()
    assert len(sent_of(ringing.database)) == len(rows)


async def test_a_notice_is_written_in_batches_that_survive_a_restart(ringing: Ringing) -> None:
    ringing.database.write_now(crowd)
    ringing.database.write_now(announce)
    ticker = ringing.another()
    (notice_id,) = (await asyncio.to_thread(ticker._to_do, MORNING))[1:]
    assert notice_id is not None and await ticker._fan_out(notice_id) is True
    with ringing.database.read() as session:
        assert session.exec(select(func.count()).select_from(Outgoing)).one() == FAN_OUT
        assert session.exec(select(Notice.reached, Notice.done_at)).one() == (FAN_OUT, None)
    await ringing.another().tick()
    people = [row.person_id for row in sent_of(ringing.database)]
    assert people == [n for n in range(1, CROWD + 1) if n != KNOWS]


async def test_two_tickers_write_a_notice_once(ringing: Ringing) -> None:
    ringing.database.write_now(crowd)
    ringing.database.write_now(announce)
    await asyncio.gather(*(ringing.another().tick() for _ in range(2)))
    people = [row.person_id for row in sent_of(ringing.database)]
    assert people == [n for n in range(1, CROWD + 1) if n != KNOWS]


async def test_a_crowd_of_exactly_one_batch_is_reached_and_the_notice_ends(ringing: Ringing) -> None:
    def work(session: Session) -> None:
        crowd(session)
        session.connection().exec_driver_sql(f"DELETE FROM home_role WHERE person_id > {FAN_OUT}")

    ringing.database.write_now(work)
    ringing.database.write_now(announce)
    await ringing.ticker.tick()
    assert [row.person_id for row in sent_of(ringing.database)] == list(range(1, FAN_OUT + 1))
    with ringing.database.read() as session:
        assert session.exec(select(Notice.done_at)).one() == MORNING


async def test_an_older_notice_goes_first(ringing: Ringing) -> None:
    ringing.database.write_now(crowd)
    for _ in range(2):
        ringing.database.write_now(announce)
    await ringing.ticker.tick()
    with ringing.database.read() as session:
        order: list[Any] = list(session.exec(select(Outgoing.notice_id).order_by(col(Outgoing.id))))
    assert order == sorted(order)
    assert len(order) == 2 * (CROWD - 1)


async def test_a_notice_that_cannot_be_written_holds_no_other_one_up(ringing: Ringing) -> None:
    ringing.database.write_now(crowd)
    ringing.database.write_now(
        lambda session: session.add(Notice(community_id=1, key="no.such.text", lane=3, created_at=MORNING))
    )
    ringing.database.write_now(announce)
    await ringing.ticker.tick()
    assert len(sent_of(ringing.database)) == CROWD - 1
    with ringing.database.read() as session:
        errors = session.exec(select(Notice.error).order_by(col(Notice.id))).all()
    assert errors == ["KeyError('no.such.text')", ""]


async def test_a_deadline_does_not_wait_for_a_notice_to_thousands(ringing: Ringing) -> None:
    """Between two batches what has become due meanwhile fires."""
    ringing.database.write_now(crowd)
    ringing.database.write_now(announce)
    fired: list[int] = []
    fire = ringing.ticker._fire

    async def counted(timers: Sequence[int], now: datetime) -> None:
        fired.append(len(sent_of(ringing.database)))
        await fire(timers, now)

    ringing.ticker._fire = counted  # type: ignore[method-assign]
    await ringing.ticker.tick()
    assert fired[:3] == [0, FAN_OUT, 2 * FAN_OUT]


async def test_the_program_ends_in_the_middle_of_a_notice_and_a_later_start_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The round in hand is written, no other begins, and nothing is called an error."""
    caplog.set_level("ERROR")
    found = settings.load(store={"data": str(tmp_path)})

    def begin(session: Session) -> None:
        session.add(Community(id=1, name="阳光花园", created_at=MORNING))
        session.flush()
        crowd(session)
        announce(session)

    app = App(found)
    fan_out, batch = app.ticker._fan_out, asyncio.Event()

    async def noted(notice_id: int) -> bool:
        batch.set()
        return await fan_out(notice_id)

    app.ticker._fan_out = noted  # type: ignore[method-assign]
    await app.start()
    await app.database.write(begin)
    await batch.wait()
    await app.stop()
    assert caplog.record_tuples == []
    app = App(found)
    begun = len(sent_of(app.database))
    assert 0 < begun < CROWD - 1
    await app.ticker.tick()
    assert len(sent_of(app.database)) == CROWD - 1
    await app.stop()
    assert caplog.record_tuples == []
