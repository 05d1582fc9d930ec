"""The program is killed while owners write to it on WeChat: nothing that it took is lost, nothing acts twice."""

from pathlib import Path

from tests.killing_wechat import torment
from tests.nursery import Nursery
from tests.people import unique
from tests.postgres import Server


async def test_kills_on_sqlite_lose_nothing(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    report = await torment(tmp_path, nursery, kills=8, seed=seed)
    print(report)
    assert report.problems == [], str(report)


async def test_kills_on_postgresql_lose_nothing(
    tmp_path: Path, nursery: Nursery, seed: int, postgres: Server
) -> None:
    name = unique("linli_killed")
    report = await torment(tmp_path, nursery, kills=4, seed=seed, url=postgres.create_database(name))
    print(report)
    postgres.drop_database(name)
    assert report.problems == [], str(report)
