"""The program is killed twenty times under load and loses nothing, nor does anything twice."""

from pathlib import Path

from tests.killing import torment
from tests.nursery import Nursery
from tests.people import unique
from tests.postgres import Server


async def test_kills_on_sqlite_lose_nothing(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    report = await torment(tmp_path, nursery, kills=20, seed=seed)
    print(report)
    assert report.problems == [], str(report)
    assert report.kills == 20


async def test_kills_on_postgresql_lose_nothing(
    tmp_path: Path, nursery: Nursery, seed: int, postgres: Server
) -> None:
    name = unique("linli_killed")
    report = await torment(tmp_path, nursery, kills=5, seed=seed, url=postgres.create_database(name))
    print(report)
    postgres.drop_database(name)
    assert report.problems == [], str(report)
    assert report.kills == 5
