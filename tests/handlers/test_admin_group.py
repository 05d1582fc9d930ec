"""The admin group: of many ordinary cards most stand in one summary, and what is urgent is never behind them."""

import itertools
from functools import partial
from typing import Any

import pytest
from sqlmodel import col, select

from bot.pace import Pace
from handlers.complaint_cards import staff_card
from handlers.tell import tell_staff
from handlers.tx import Tx
from store.tables import Complaint, Outgoing, Repair
from tests.handlers.test_complaints import complains
from tests.handlers.test_preferences import write
from tests.handlers.test_repair import report
from tests.people import Building, Phone

SUMMARY = "件一般事项，点一下看卡"


async def cards(building: Building, count: int, begin: int = 1, **options: Any) -> None:
    """So many ordinary cards for the admin group, each of its own transaction."""
    for number in range(begin, begin + count):
        write(building, partial(_card, building=building, number=number, **options))
    await building.settle()


def _card(tx: Tx, *, building: Building, number: int, **options: Any) -> None:
    words = f"🧾 报修 {number} · <b>*卧室*</b> 灯不亮"
    shown: Any = {"card": f"test:{number}", "buttons": ["times"], "lead": words, **options}
    tell_staff(tx, building.community.id, "thanks.answer", **shown)


def summaries(office: Phone) -> list[str]:
    return [message.text for message in office.chat.messages if SUMMARY in message.text]


async def test_few_come_at_once_and_further_ones_in_one_summary(building: Building, office: Phone) -> None:
    await cards(building, 5)
    assert len(office.chat.messages) == 5
    await cards(building, 3, 6)
    assert len(office.chat.messages) == 5
    await building.later(seconds=15)
    summary = office.sees(f"还有 3 {SUMMARY}：\n· 🧾 报修 8 · <b>*卧室*</b> 灯不亮\n· 🧾 报修 7")
    assert summary.silent and len(summary.buttons) == 3
    await building.restart()
    await cards(building, 2, 9)
    await building.later(seconds=15)
    (text,) = summaries(office)  # changed in place
    assert text.startswith("🧾 还有 5 件")
    await office.taps(next(label for label in summary.buttons if "报修 7" in label))
    opened = office.sees("🧾 报修 7 · <b>*卧室*</b> 灯不亮\n\n", "时效")
    assert "报修 8" not in opened.text
    await cards(building, 1, 11)
    await building.later(seconds=15)
    assert "报修 7" not in summaries(office)[0] and "报修 11" in summaries(office)[0]


async def test_there_is_a_new_summary_at_most_every_ten_minutes(building: Building, office: Phone) -> None:
    for minute in range(30):
        await cards(building, 10, 10 * minute)
        await building.later(minutes=1)
    found = summaries(office)
    assert len(found) <= 4
    assert len(office.chat.messages) <= 5 * 3 + len(found) + 2
    await building.later(minutes=11)
    await cards(building, 1, 999)
    assert "报修 999" in office.last.text  # calm again


async def test_what_is_changed_before_it_is_opened_shows_the_present(
    building: Building, office: Phone
) -> None:
    await cards(building, 6)
    await building.later(seconds=15)
    write(building, partial(_card, building=building, number=6, lead="🧾 报修 6 · 已修好"))
    await building.settle()
    await office.taps("🧾 报修 6 · <b>*卧室*</b> 灯"[:20].strip(" ·"))
    office.sees("🧾 报修 6 · 已修好", "时效")
    write(building, partial(_card, building=building, number=6, lead="🧾 报修 6 · 已确认"))
    await building.settle()
    assert office.last.text.startswith("🧾 报修 6 · 已确认")
    (row,) = building.read(
        select(Outgoing).where(Outgoing.card == "test:6", Outgoing.change == "send", Outgoing.lane == 1)
    )
    await office.forges(f"group.open:{row.id}")  # pressed once more
    assert office.last.text.startswith("🧾 报修 6 · 已确认")


async def test_what_comes_by_itself_later_stands_in_no_summary_any_more(
    building: Building, office: Phone
) -> None:
    await cards(building, 6)
    await building.later(seconds=15)
    await cards(building, 1, 6, alone=True, anew=True)  # its deadline has passed, say
    office.sees("报修 6", "时效")
    await office.taps("🧾 报修 6 · <b>*卧室*</b> 灯"[:20].strip(" ·"))
    assert list(office.sees("报修 6", "时效").buttons) == ["时效"]
    await cards(building, 1, 7)
    await building.later(seconds=15)
    (text,) = summaries(office)
    assert "还有 1 件" in text and "报修 6" not in text


async def test_a_complaint_that_waits_too_long_comes_by_itself_and_takes_its_answer_there(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await cards(building, 10)
    await complains(owner)
    await building.later(seconds=15)
    assert "· 📣 【投诉 1 · 保洁】3 号楼 3 号楼楼道三天没打扫" in office.sees(SUMMARY).text
    (complaint,) = building.read(select(Complaint))
    write(building, partial(staff_card, complaint=complaint, key="complaint.remind_staff", anew=True))
    await building.settle()
    card = office.sees("【投诉 1", "答复 1")
    await office.replies("从明天起每天打扫", to=card)
    board.sees("从明天起每天打扫")


async def test_what_has_become_dangerous_comes_by_itself(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await cards(building, 10)
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await plumber.taps("我出发了")
    assert "水龙头" not in "".join(message.text for message in office.chat.messages)
    (repair,) = building.read(select(Repair))
    await owner.forges(f"repair.raise:{repair.id}")
    office.sees("水龙头")


async def test_more_than_fit_are_one_tap_away(building: Building, office: Phone) -> None:
    await cards(building, 40)
    await building.later(seconds=15)
    summary = office.sees("还有 35 件", "其余 20 件")
    assert "另有 20 件" in summary.text and len(summary.buttons) == 16
    await office.taps("其余 20 件")
    assert office.last.text.count("\n· ") == 15
    await office.taps("其余 5 件")
    assert office.last.text.count("\n· ") == 5


async def test_what_has_a_clock_comes_by_itself(building: Building, office: Phone) -> None:
    await cards(building, 10)
    await cards(building, 1, 11, alone=True, silent=True)
    assert "报修 11" in office.last.text
    await office.says("时效")  # an answer to somebody there
    assert "报修" in office.last.text or "近" in office.last.text


@pytest.mark.by_hand
async def test_an_emergency_is_not_behind_a_hundred_reports(
    building: Building, office: Phone, owner: Phone
) -> None:
    """At the pace of a messenger that takes twenty messages a minute in a group, and on a clock that stands."""
    ticks = itertools.count()  # letters go out evenly: each look at the clock takes a moment
    building.app.delivery.paces = {
        "test": Pace(now=lambda: building.clock.now().timestamp() + next(ticks) / 50)
    }
    await cards(building, 10)
    await cards(building, 90, 11, alone=True)
    usual = len(office.chat.messages)
    assert usual == 15  # the last five of a minute are kept
    await owner.says("厨房煤气味好大，快来")
    page = next(message for message in office.chat.messages if "煤气" in message.text)
    assert page.urgent
    for _ in range(30):
        await building.later(minutes=1)
    waits = building.read(
        select(Outgoing).where(Outgoing.state == "waiting", col(Outgoing.card).like("test:%"))
    )
    assert waits == []


@pytest.mark.by_hand
async def test_a_card_is_opened_in_its_own_group_only(
    building: Building, office: Phone, owner: Phone
) -> None:
    await cards(building, 6)
    (row,) = building.read(select(Outgoing).where(Outgoing.digest == "group"))
    await owner.forges(f"group.open:{row.id}")
    owner.sees("不归您办理")
    await owner.forges("group.list:p0")
    owner.sees("不归您办理")
    assert building.read(select(Outgoing.state).where(Outgoing.id == row.id)) == ["held"]
