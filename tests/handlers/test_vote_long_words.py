"""Votes with as many words as there can be: forty buildings, the longest title, the most and the longest choices."""

from typing import Any

import pytest
from sqlmodel import select

from handlers.tx import Tx
from store.tables import Vote
from tests.handlers.test_ballots import held, write
from tests.handlers.test_votes import adds_home
from tests.people import Building, Phone

BUILDINGS = 40
STRANGE = [
    "门" * 100,
    "{title}{0} %s <b>&amp;</b> _*`[",
    "👨‍👩‍👧‍👦" * 12,
    "اختبار " * 14,
    "a\u0301" * 50,
    "\u202eabc\u200b",
]


def town(building: Building) -> None:
    def work(tx: Tx) -> None:
        for number in range(BUILDINGS):
            adds_home(tx, "101", f"业主{number}", building=f"A{number + 10}")

    write(building, work)


async def test_a_long_result_arrives_whole(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    town(building)
    names = [f"{number}号方案：" + "长" * 41 for number in range(10, 30)]
    poll: dict[str, Any] = {"question": "choose", "choices": names, "most": 20, "quorum": "0/1"}
    await held(building, title="题" * 100, text="说" * 1000, poll=poll)
    await owner.taps("去投票")
    owner.sees("请选")
    await owner.says("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20")
    owner.sees("已记录：10号方案")
    await office.taps("投票进度")
    office.sees("题" * 100)
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    assert vote.state == "closed"
    owner.sees("题" * 100)
    board.sees("题" * 100)
    await owner.forges("vote.show:1")
    owner.sees("题" * 100)


@pytest.mark.parametrize("title", STRANGE)
async def test_a_strange_title_is_shown_and_closed(building: Building, owner: Phone, title: str) -> None:
    poll = {"question": "choose", "choices": [title[:80], "另一个"], "quorum": "0/1"}
    await held(building, title=title, text=title, poll=poll)
    await owner.taps("去投票")
    await owner.says("1")
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    assert vote.state == "closed"
    owner.sees("结果：选定")
    await building.later(days=7, seconds=10)
    assert building.read(select(Vote))[0].final_at is not None
