"""Housekeeping: what nothing names goes after a day, what somebody needs stays, and erased rows leave no remains."""

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from bot.delivery import Delivery, Letter, Taken
from conversations.said import File
from store.database import LOG_SECONDS, Database
from store.tables import Attempt, Inbox, Media, Outgoing, Person, Place, RosterFile, Talk, Timer
from tests.people import Building, Phone, photo

pytestmark = pytest.mark.by_hand
NOW = datetime(2026, 3, 9, 1, 0, tzinfo=UTC)
OLD = timedelta(days=1, minutes=1)


def keep(building: Building, width: int, age: timedelta = OLD) -> str:
    """The key of a photo that was kept so long ago."""
    key = building.app.media.keep_photo(photo(width)).storage
    dated(building.data / "media" / key[:2] / key, age)
    return key


def dated(file: Path, age: timedelta) -> None:
    at = (NOW - age).timestamp()
    os.utime(file, (at, at))


def kept(building: Building) -> set[str]:
    return {each.name for each in (building.data / "media").rglob("*") if each.is_file()}


async def look(building: Building, at: datetime = NOW) -> None:
    building.app.housekeeper.now = lambda: at
    await building.app.housekeeper.look()


def add(building: Building, *rows: Any) -> None:
    building.app.database.write_now(lambda session: session.add_all(rows))


async def test_only_old_files_that_nothing_names_go(building: Building, owner: Phone) -> None:
    names = ("matter", "roster", "talk", "message", "young", "nobody's")
    files = {name: keep(building, 30 + number) for number, name in enumerate(names) if name != "young"}
    files["young"] = keep(building, 90, timedelta(hours=23))
    (person,) = building.read(select(Person).where(Person.name == "陈女士"))
    (place,) = building.read(select(Place).where(Place.external_id == "陈女士"))
    ours: dict[str, Any] = {"community_id": building.community.id, "person_id": person.id}
    answer = {"photos": {"files": [File(storage=files["talk"]).model_dump()], "done": False}}
    payload = {"text": "看", "files": [File(storage=files["message"]).model_dump()]}
    add(
        building,
        Media(**ours, storage=files["matter"], mime="image/jpeg", size=1, created_at=NOW),
        RosterFile(**ours, storage=files["roster"], name="roster.csv", created_at=NOW),
        Talk(**ours, place_id=place.id, script="repair", answers=answer, touched_at=NOW),
        Inbox(
            messenger="x", key="1", place="x", sender="x", payload=payload, state="failed", received_at=NOW
        ),
    )
    draft = building.data / "media" / "ab" / "abcdef.17.17"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(b"half a photo")
    dated(draft, OLD)
    await look(building)
    assert kept(building) == set(files.values()) - {files["nobody's"]}


async def test_files_are_looked_through_once_a_day(building: Building, owner: Phone) -> None:
    await look(building)
    keep(building, 30)
    await look(building, NOW + timedelta(hours=23))
    assert len(kept(building)) == 1
    await look(building, NOW + timedelta(days=1))
    assert kept(building) == set()


async def test_a_photo_that_is_sent_again_is_as_young_as_its_new_message(
    building: Building, owner: Phone
) -> None:
    """Its first matter is gone, and its second is just about to be committed."""
    key = keep(building, 30)
    assert list(building.app.media.older_than(NOW - timedelta(days=1))) == [key]
    assert building.app.media.keep_photo(photo(30)).storage == key
    assert not building.app.media.drop(key, datetime.now(UTC) - timedelta(days=1))
    await look(building, datetime.now(UTC))
    assert kept(building) == {key}


async def test_the_photos_of_a_message_that_is_kept_stay_to_be_seen(building: Building, owner: Phone) -> None:
    await owner.says("厨房水龙头滴水")
    await owner.sends_photo(photo(30))
    for name in kept(building):
        dated(building.data / "media" / name[:2] / name, OLD)
    await look(building)
    assert len(kept(building)) == 1
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(minutes=2)
    await look(building, NOW + timedelta(days=1))
    assert kept(building) == set()


# --- SQLite's own files -----------------------------------------------------------------------------


@pytest.fixture
def file(building: Building) -> Path:
    if not building.app.database.is_sqlite:
        pytest.skip("PostgreSQL has no such file")
    return Path(building.app.database.engine.url.database or "")


async def test_old_automatic_backups_go_and_nothing_else(
    building: Building, owner: Phone, file: Path
) -> None:
    ages = {
        "linli.db.before-0003-20260101000000": timedelta(days=31),
        "linli.db.before-0004-20260301000000": timedelta(days=29),
        "linli.db.mine": timedelta(days=400),
        "copy.db": timedelta(days=400),
    }
    for name, age in ages.items():
        (file.parent / name).write_bytes(b"x")
        dated(file.parent / name, age)
    await look(building)
    assert sorted(name for name in ages if (file.parent / name).exists()) == sorted([*ages][1:])


async def test_the_log_is_emptied_each_minute(building: Building, owner: Phone, file: Path) -> None:
    await owner.says("厨房水龙头滴水")
    assert Path(f"{file}-wal").stat().st_size > 0
    await look(building)
    assert Path(f"{file}-wal").stat().st_size == 0
    await owner.taps("修改")
    owner.sees("要改哪一项")


async def test_a_reader_who_takes_long_only_puts_it_off(building: Building, owner: Phone, file: Path) -> None:
    await owner.says("厨房水龙头滴水")
    reader = sqlite3.connect(file)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM inbox").fetchone()
    await owner.taps("修改")
    assert LOG_SECONDS < 1  # so long it waits at most
    await look(building)
    assert Path(f"{file}-wal").stat().st_size > 0
    reader.close()
    await look(building)
    assert Path(f"{file}-wal").stat().st_size == 0


async def test_the_file_is_rewritten_once_after_somebody_was_forgotten(
    building: Building, owner: Phone, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    rewrite: Callable[[Database], None] = Database.rewrite
    monkeypatch.setattr(Database, "rewrite", lambda self: (times.append(1), rewrite(self)))
    await look(building)
    await owner.says("/forget")
    await owner.taps("确定注销")
    await look(building)
    assert times == []  # the last word is still there
    await building.later(minutes=1)
    await building.restart()
    for _ in range(3):
        await look(building)
    assert times == [1]
    assert building.read(select(Timer).where(Timer.action.startswith("forget."))) == []
    await building.phone("周先生").says("/help")
    building.phone("周先生").sees("周先生，您好")


async def test_a_large_file_is_rewritten_once_a_day(
    building: Building, owner: Phone, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.housekeeping.SMALL", 0)
    await look(building)
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(minutes=1)
    await look(building, NOW + timedelta(hours=1))
    cleared = select(Timer).where(Timer.action.startswith("forget."), Timer.state == "done")
    assert len(building.read(cleared)) == 1
    await look(building, NOW + timedelta(days=1))
    assert building.read(cleared) == []


async def test_what_goes_wrong_in_the_house_stops_nothing(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(building.app.housekeeper, "sweep", fail)
    await look(building)


# --- a message that was erased while the messenger had it -------------------------------------------


async def test_a_row_that_was_erased_on_its_way_out_leaves_no_try(building: Building, owner: Phone) -> None:
    (place,) = building.read(select(Place).where(Place.external_id == "陈女士"))
    row = Outgoing(place_id=place.id, lane=1, text="您好", created_at=building.clock.now())
    add(building, row)

    async def send(letter: Letter) -> Taken:
        def erase(session: Session) -> None:
            session.delete(session.get_one(Outgoing, letter.row.id))

        building.app.database.write_now(erase)
        return Taken("1")

    delivery = Delivery(building.app.database, {"test": send}, building.clock.now)
    assert await delivery.once() == 1
    assert building.read(select(Attempt)) == []
