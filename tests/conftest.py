"""Fixtures: a building on each database, and the people in it."""

import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bot.logs import set_up
from store.database import Database
from store.migrations import upgrade
from tests.bot_api import BotApi
from tests.browser_people import BrowserBuilding
from tests.nursery import Nursery
from tests.people import Building, Phone, StoppedClock, unique
from tests.postgres import Server
from tests.sharing import share
from tests.telegram_people import TelegramBuilding
from tests.wechat_api import WeChatApi
from tests.wechat_people import UNLIMITED, WechatBuilding

DATABASES = ("sqlite", "postgresql")
set_up("critical")
share()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One PostgreSQL a run, with a migrated template."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Server) -> str:
    name = unique("linli_template")
    _migrated(postgres.create_database(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "linli.db"
    _migrated(f"sqlite:///{path}")
    return path


def _migrated(url: str) -> None:
    database = Database(url, threads=1)
    upgrade(database.engine)
    database.close()


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty migrated database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "linli.db")
        yield f"sqlite:///{tmp_path / 'linli.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    name = server.lend(unique("linli"), request.getfixturevalue("postgres_template"))
    yield server.url_of(name)
    server.give_back(name)


PHONES = {"phone", "owner", "neighbour", "crew", "plumber", "office", "board"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All runs on both databases, and every talk on Telegram and WeChat unless its messages are made by hand.

    Such a talk is on SQLite there, and on PostgreSQL on the messenger of the tests.
    """
    names = set(metafunc.fixturenames)
    if "database_url" in names and "messenger" not in names:
        metafunc.parametrize("database_url", DATABASES, indirect=True)
    if "messenger" not in names:
        return
    where = [("test", name) for name in DATABASES]
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "on_sqlite" in marks:
        where = [("test", "sqlite")]
    elif PHONES & names and "by_hand" not in marks:
        where = [
            ("test", "postgresql"),
            ("telegram", "sqlite"),
            *([] if {"in_place", "in_group"} & marks else [("wechat", "sqlite")]),
        ]
    where += [("browser", "sqlite")] if "playground" in marks else []
    ids = [database if messenger == "test" else messenger for messenger, database in where]
    metafunc.parametrize(("messenger", "database_url"), where, indirect=True, ids=ids)


@pytest.fixture
def messenger(request: pytest.FixtureRequest) -> str:
    """Which messenger the people of this test use."""
    return str(request.param)


@pytest.fixture
async def building(messenger: str, database_url: str, tmp_path: Path) -> AsyncIterator[Building]:
    """A community with its people."""
    if messenger == "test":
        made = Building(tmp_path / "data", database_url)
        yield made
        await made.close()
        return
    clock = StoppedClock()
    if messenger == "browser":
        made = BrowserBuilding(tmp_path / "data", database_url, clock)
        yield made
        await made.close()
        return
    if messenger == "wechat":
        unlimited = {"free_messages": UNLIMITED, "free_hours": UNLIMITED}
        async with WeChatApi(now=lambda: clock.now().timestamp(), **unlimited) as api:
            made = WechatBuilding(tmp_path / "data", database_url, clock, api)
            yield made
            await made.close()
            assert api.mistakes == []
        return
    async with BotApi(flood=False, now=lambda: clock.now().timestamp()) as api:
        made = TelegramBuilding(tmp_path / "data", database_url, clock, api)
        await made.open()
        yield made
        await made.close()
        assert api.mistakes == []


@pytest.fixture
def phone(building: Building) -> Callable[[str], Phone]:
    return building.phone


@pytest.fixture
def owner(building: Building) -> Phone:
    """陈女士, who lives in 3 号楼 2 单元 1201."""
    return building.phone("陈女士")


@pytest.fixture
def neighbour(building: Building) -> Phone:
    return building.phone("周先生")


@pytest.fixture
def crew(building: Building) -> Phone:
    """李师傅, who can do everything and is always on duty."""
    return building.phone("李师傅")


@pytest.fixture
def plumber(building: Building) -> Phone:
    """王师傅, who does water and works in the day."""
    return building.phone("王师傅")


@pytest.fixture
def office(building: Building) -> Phone:
    """The admin group, in which 刘经理 writes."""
    return building.group("刘经理")


@pytest.fixture
def board(building: Building) -> Phone:
    return building.board


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """The process from which most starts of a killed program are forked."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def seed() -> int:
    """New instants each run; a failure prints the seed."""
    return random.SystemRandom().randrange(10**6)
