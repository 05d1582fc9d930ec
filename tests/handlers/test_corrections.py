"""Judgement corrected by people: raised with one tap, lowered by staff with a reason, put right by who reported it."""

import pytest
from sqlmodel import select

from store.tables import Example, Repair
from tests.handlers.test_repair import report
from tests.people import Building, Phone


def urgent(building: Building) -> list[bool]:
    return building.read(select(Repair.urgent).order_by(Repair.id))


# --- lowered ----------------------------------------------------------------------------------------


async def test_staff_lower_with_a_reason_and_the_paging_stops(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await owner.says("厨房水管爆了")
    office.sees("🚨 紧急报修 1", "改为一般")
    await office.taps("改为一般")
    office.sees("报修 1 为什么不紧急？")
    await office.says("")
    await building.restart()
    await office.says("电话问过，只是阀门滴水，已关")
    owner.sees("按一般报修处理", "升级为紧急", "撤回")
    assert "因为：电话问过，只是阀门滴水，已关" in owner.last.text
    assert urgent(building) == [False]
    (repair,) = building.read(select(Repair))
    assert repair.due_at is not None and repair.crew_id is not None
    pages = len(crew.chat.messages)
    await building.later(minutes=10)
    assert len([m for m in crew.chat.messages[pages:] if "🚨" in m.text]) == 0
    (example,) = building.read(select(Example))
    assert (example.text, example.verdict, example.label) == ("厨房水管爆了", "urgent", "normal")
    assert example.reason == "电话问过，只是阀门滴水，已关"
    await owner.taps("升级为紧急")
    assert urgent(building) == [True]
    crew.sees("紧急报修 1", "接单")


async def test_what_is_ordinary_cannot_be_lowered_and_owners_cannot_lower(
    building: Building, owner: Phone, office: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await office.forges("repair.lower:1")
    office.sees("报修 1 已经按一般报修处理")
    await owner.forges("repair.lower:1")
    owner.sees("这件事不归您办理")


# --- raised -----------------------------------------------------------------------------------------


async def test_what_people_raise_is_kept_as_an_example_without_private_data(
    building: Building, owner: Phone, office: Phone
) -> None:
    await report(owner, "厨房水龙头滴水，我是陈女士，1201室，电话13800138000")
    await owner.taps("升级为紧急")
    (example,) = building.read(select(Example))
    assert (example.verdict, example.label) == ("normal", "urgent")
    for private in ("13800138000", "1201", "陈女士"):
        assert private not in example.text


async def test_what_the_rules_say_too_is_no_example(building: Building, owner: Phone, office: Phone) -> None:
    await owner.says("厨房水管爆了")
    await office.taps("改为一般")
    await office.says("只是滴水")
    await owner.taps("升级为紧急")
    assert [each.label for each in building.read(select(Example))] == ["normal"]


# --- put right --------------------------------------------------------------------------------------


@pytest.mark.by_hand
async def test_a_report_is_put_right(building: Building, owner: Phone, plumber: Phone, board: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("更正")
    owner.sees("报修 1 现在是这样", "提交", "修改")
    await owner.taps("修改")
    await owner.taps("问题")
    await owner.says("")
    await owner.sends_photo()
    await owner.says("卫生间水龙头滴水")
    owner.sees("问题：卫生间水龙头滴水")
    await owner.taps("提交")
    owner.sees("已改好：报修 1 · 3 号楼 2 单元 1201 · 卫生间水龙头滴水")
    assert "卫生间水龙头滴水" in plumber.last.text
    await owner.says("我的")
    owner.sees("卫生间水龙头滴水")


async def test_what_has_become_dangerous_is_raised(building: Building, owner: Phone, crew: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("更正")
    await owner.taps("修改")
    await owner.taps("问题")
    await owner.says("厨房煤气味好大")
    crew.sees("紧急报修", "接单")
    assert urgent(building)[0] is True or len(urgent(building)) == 2


async def test_the_place_is_put_right(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    for answer in ("楼道", "灯不亮", "1号楼", "跳过", "提交"):
        await owner.says(answer)
    await owner.taps("更正")
    await owner.taps("修改")
    await owner.taps("楼栋")
    await owner.says("3号楼")
    await owner.taps("提交")
    owner.sees("已改好：报修 1 · 3 号楼 楼道 · 灯不亮")
    (repair,) = building.read(select(Repair))
    assert repair.building == "3"


# --- without a word ---------------------------------------------------------------------------------


async def test_a_lone_photo_pages_after_a_minute_of_silence(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await owner.sends_photo()
    owner.sees("收到了。现在有危险", "是，马上派人", "不是，普通报修")
    await building.restart()
    await building.later(seconds=61)
    assert crew.sees("未确认", "接单").photos == 1
    crew_card = crew.last.text
    assert "只发来照片或语音" in crew_card
    owner.sees("没有等到您的回答", "撤回")
    assert urgent(building) == [True]


@pytest.mark.parametrize("answer", ["不是，普通报修", "取消", "水龙头滴水"])
async def test_whoever_answers_is_not_paged(
    building: Building, owner: Phone, crew: Phone, answer: str
) -> None:
    await owner.sends_photo()
    await owner.says(answer)
    await building.later(minutes=2)
    assert urgent(building) == []
    crew.sees_nothing()


async def test_a_photo_of_danger_pages_at_once(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.sends_photo()
    await owner.says("是")
    assert crew.sees("紧急报修 1", "接单").photos == 1
    assert urgent(building) == [True]
