"""How fast repairs are answered and done: exact quantiles, and what the staff reads of them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from conversations.words import Reader
from handlers.times import quantile, repairs_since, span
from handlers.tx import Tx
from store.tables import Person, Repair
from tests.people import MORNING, Building, Phone

RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=300)
HOUR = 3600


@pytest.mark.parametrize(
    ("values", "median", "most"),
    [
        ([7], 7, 7),
        ([1, 2], 1, 2),
        ([1, 2, 3], 2, 3),
        ([1, 2, 3, 4], 2, 4),
        ([5, 1, 4, 2, 3], 3, 5),
        (list(range(1, 11)), 5, 9),
        (list(range(1, 12)), 6, 10),
        ([0, 0, 0, 0, 100], 0, 100),
    ],
)
def test_quantiles_are_those_of_the_nearest_rank(values: list[int], median: int, most: int) -> None:
    assert (quantile(values, 50), quantile(values, 90)) == (median, most)


@RANDOM
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 100))
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(values: list[int], percent: int) -> None:
    found = quantile(values, percent)
    enough = [each for each in values if 100 * sum(v <= each for v in values) >= percent * len(values)]
    assert found == min(enough)


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "不到 1 分钟", "under 1 min"),
        (59, "不到 1 分钟", "under 1 min"),
        (60, "1 分钟", "1 min"),
        (3599, "59 分钟", "59 min"),
        (3600, "1 小时", "1 h"),
        (86399, "23 小时 59 分", "23 h 59 min"),
        (86400, "1 天", "1 d"),
        (9 * 86400 + 7 * 3600, "9 天 7 小时", "9 d 7 h"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: int, zh: str, en: str) -> None:
    said = [Reader(language, "Asia/Shanghai", MORNING).show(span(seconds)) for language in ("zh", "en")]
    assert said == [zh, en]


def reported(building: Building, *repairs: Mapping[str, Any]) -> None:
    """Write repairs down: each with `after` and `took`, the hours until it was accepted and done, and any column."""

    def work(session: Session) -> None:
        people = {person.name: person.id for person in session.exec(select(Person)).all()}
        for number, given_ in enumerate(repairs, 1):
            each = dict(given_)
            ago, after, took = each.pop("ago", 24 * 10), each.pop("after", None), each.pop("took", None)
            begins = building.clock.now() - timedelta(hours=ago)
            crew = each.pop("crew", "王师傅")
            session.add(
                Repair(
                    **{
                        "community_id": building.community.id,
                        "number": number,
                        "person_id": people["陈女士"],
                        "what": "坏了",
                        "kind": "tap",
                        "building": "3",
                        "state": "waiting" if took is None else "closed",
                        "crew_id": people[crew] if crew else None,
                        "reported_at": begins,
                        "accepted_at": None if after is None else begins + timedelta(hours=after),
                        "done_at": None if took is None else begins + timedelta(hours=took),
                        **each,
                    }
                )
            )

    building.app.database.write_now(work)


async def test_the_staff_reads_how_fast_repairs_are(building: Building, office: Phone) -> None:
    ordinary = [{"after": n, "took": 10 * n, "stars": n if n < 6 else None} for n in range(1, 11)]
    urgent = [
        {"urgent": True, "kind": "lift", "crew": "李师傅", "building": "1", "after": 0.05, "took": 2}
        for _ in range(5)
    ]
    few = [{"kind": "lamp", "building": "", "after": 1, "took": 3, "crew": "李师傅"}]
    reported(building, *ordinary, *urgent, *few, {"crew": None, "kind": "lamp"})
    await office.says("/times")
    text = office.sees("近 90 天报修 17 件，现在还没完成 1 件。").text
    assert text.split("\n")[2:] == [
        "🚨 紧急：接单 3 分钟 / 3 分钟（5 件）；修好 2 小时 / 2 小时（5 件）",
        "一般：接单 5 小时 / 9 小时（11 件）；修好 2 天 2 小时 / 3 天 18 小时（11 件）",
        "",
        "按种类",
        "· 水龙头 10 件：接单 5 小时 / 9 小时（10 件）；修好 2 天 2 小时 / 3 天 18 小时（10 件）",
        "· 电梯故障 5 件：接单 3 分钟 / 3 分钟（5 件）；修好 2 小时 / 2 小时（5 件）",
        "· 灯 2 件：接单 1 件，太少不算；修好 1 件，太少不算",
        "",
        "按师傅",
        "· 王师傅 10 件：接单 5 小时 / 9 小时（10 件）；修好 2 天 2 小时 / 3 天 18 小时（10 件）"
        "；评价 3.0 星（5 次）",
        "· 李师傅 6 件：接单 3 分钟 / 1 小时（6 件）；修好 2 小时 / 3 小时（6 件）",
        "",
        "按楼栋",
        "· 3 号楼 11 件：接单 5 小时 / 9 小时（10 件）；修好 2 天 2 小时 / 3 天 18 小时（10 件）",
        "· 1 号楼 5 件：接单 3 分钟 / 3 分钟（5 件）；修好 2 小时 / 2 小时（5 件）",
        "· 楼栋未知 1 件：接单 1 件，太少不算；修好 1 件，太少不算",
    ]


async def test_many_buildings_are_summed_in_one_line(building: Building, office: Phone) -> None:
    reported(building, *[{"building": str(n), "after": 1, "took": 2} for n in range(1, 31)])
    await office.says("时效")
    text = office.sees("按楼栋").text
    table = text.split("按楼栋\n")[1].split("\n")
    assert len(table) == 9
    assert table[-1] == "· 其余 22 项 22 件：接单 1 小时 / 1 小时（22 件）；" + (
        "修好 2 小时 / 2 小时（22 件）"
    )
    assert len(text) < 4000


async def test_without_repairs_it_says_so(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("/times")
    office.sees("近 90 天没有报修。")
    await owner.says("/times")
    owner.sees("不归您办理")


@pytest.mark.by_hand
def test_what_counts(building: Building) -> None:
    """The time in which a clock stood does not count; nor does what was withdrawn, merged, announced or is too old."""
    reported(
        building,
        {"after": 1, "took": 10, "paused_seconds": 4 * HOUR},
        {"after": 1, "took": 10, "state": "waiting"},  # reopened
        {"after": 1, "took": 1, "paused_seconds": 9 * HOUR},
        {"after": 2, "state": "accepted"},
        {"state": "withdrawn"},
        {"state": "merged", "after": 1},
        {"incident": True, "took": 3},
        {"ago": 24 * 91, "after": 1, "took": 2},
    )
    with building.app.database.read() as session:
        tx = Tx(session, building.clock.now(), building.app.house)
        found = repairs_since(tx, building.community.id, tx.now - timedelta(days=90))
    times = sorted((each.response, each.repair) for each in found if each.repair is not None)
    assert times == [(HOUR, 0), (HOUR, 6 * HOUR)]
    assert sorted(each.response for each in found if each.repair is None) == [HOUR, 2 * HOUR]
