"""The program is killed while people write to it on Telegram, by polling and by the webhook: nothing is lost."""

from pathlib import Path

import pytest

from tests.killing_telegram import WAYS, torment
from tests.nursery import Nursery
from tests.people import unique
from tests.postgres import Server


@pytest.mark.parametrize("way", WAYS)
async def test_kills_on_sqlite_lose_nothing(tmp_path: Path, nursery: Nursery, seed: int, way: str) -> None:
    report = await torment(tmp_path, nursery, way=way, kills=10, seed=seed)
    print(report)
    assert report.problems == [], str(report)


@pytest.mark.parametrize("way", WAYS)
async def test_kills_on_postgresql_lose_nothing(
    tmp_path: Path, nursery: Nursery, seed: int, way: str, postgres: Server
) -> None:
    name = unique("linli_killed")
    report = await torment(tmp_path, nursery, way=way, kills=5, seed=seed, url=postgres.create_database(name))
    print(report)
    postgres.drop_database(name)
    assert report.problems == [], str(report)
