"""Incidents: a building is told once, whoever reports it follows it, and all concerned hear that it is over."""

import pytest
from sqlmodel import select

from store.tables import Follower, Repair
from tests.handlers.test_repair import report
from tests.people import Building, Phone


async def opens(
    office: Phone, what: str = "3号楼停水，水泵坏了", where: str = "3 号楼", when: str = "今天18点"
) -> None:
    await office.says("事件")
    await office.taps("新事件")
    await office.says(what)
    await office.says(where)
    if when:
        await office.says(when)
    else:
        await office.taps("跳过")
    await office.taps("发出去")


async def test_a_building_without_water_from_the_first_word_to_the_last(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone, crew: Phone
) -> None:
    granny = building.phone("王奶奶")
    await opens(office)
    office.sees("📣 事件 1 · 3 号楼", "更新进展", "已恢复", "并入同类报修")
    board.sees(
        "📣 事件 1 · 3 号楼\n3号楼停水，水泵坏了",
    )
    for phone in (owner, neighbour):
        notice = phone.sees(
            "📣 3 号楼：3号楼停水，水泵坏了\n物业已在处理（事件 1）。预计 3月2日周一 18:00 恢复。",
            "我也是",
            "查看 1",
        )
        assert not notice.silent
    granny.sees_nothing()  # she lives in building 1
    await owner.taps("我也是")
    owner.sees("已记下：报修 1（3 号楼）")
    await building.restart()
    await neighbour.says("家里没水了，整栋楼都停水了")
    assert "编号 2" not in neighbour.last.text
    await neighbour.says("我的")
    neighbour.sees("1 · 3 号楼")
    assert building.read(select(Repair.homes)) == [3]
    await office.taps("更新进展")
    await office.says("水泵已拆下，在换轴承")
    await office.says("刚才")
    office.sees("没看懂时间，或者已经过了")
    await office.says("今天20点")
    owner.sees(
        "📣 事件 1（3号楼停水，水泵坏了）的新情况：\n水泵已拆下，在换轴承\n预计 3月2日周一 20:00 恢复。"
    )
    await building.later(hours=12)
    office.sees("⏰ 事件 1 预计的时间到了", "已恢复")
    await office.taps("已恢复")
    await office.says("水泵已换，先放一会儿黄水")
    for phone in (owner, neighbour):
        phone.sees("✅ 事件 1 结束：3号楼停水，水泵坏了", "报修")
    granny.sees_nothing()
    assert building.read(select(Repair.state)) == ["closed"]
    await owner.taps("报修")
    owner.sees("哪里需要报修？")


async def test_reports_before_it_are_gathered(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, plumber: Phone
) -> None:
    await report(owner, "家里没有热水，暖气也不热")
    await neighbour.says("报修")
    for answer in ("我家", "家里暖气不热", "不是，另外一件", "随时可以", "跳过", "提交"):
        await neighbour.says(answer)
    office.sees("🧾 报修 2")
    await opens(office, "3号楼暖气不热，锅炉在修", when="")
    await office.taps("并入同类报修")
    office.sees("已把 2 件同类报修并入事件 3")
    for phone, number in ((owner, 1), (neighbour, 2)):
        phone.sees(f"您的报修 {number} 和报修 3 是同一件事")
    assert building.read(select(Repair.state).order_by(Repair.id)) == ["merged", "merged", "waiting"]
    assert len(building.read(select(Follower))) == 2
    await building.later(days=4)
    assert "已过期" not in "".join(m.text for m in office.chat.messages if "报修 1" in m.text)


async def test_one_report_is_made_part_of_another(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await report(owner, "厨房天花板滴水")
    await report(neighbour, "卫生间地面渗水")
    await office.says("/tickets")
    await office.taps("查看 1")
    await office.taps("并入另一件")
    office.sees("报修 1（厨房天花板滴水）并入哪一件？")
    await office.says("1")
    office.sees("报修 1 已并入 2")
    owner.sees("您的报修 1 和报修 2 是同一件事")
    assert building.read(select(Repair.state).order_by(Repair.id)) == ["merged", "waiting"]
    await owner.forges("repair.withdraw:1")
    owner.sees("报修 1")
    assert building.read(select(Repair.state).order_by(Repair.id)) == ["merged", "waiting"]


async def test_another_danger_in_the_same_building_still_pages(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await opens(office, "3号楼停电，在抢修", when="")
    await owner.says("3号楼电梯里困了人")
    owner.sees("已按紧急报修处理，编号 2")
    crew.sees("紧急报修 2", "接单")


@pytest.mark.parametrize("value", ["incident.start", "incident.end:1", "incident.update:1", "repair.merge:1"])
async def test_only_staff_open_and_end_incidents(
    building: Building, owner: Phone, office: Phone, value: str
) -> None:
    await opens(office)
    await owner.forges(value)
    owner.sees("这件事不归您办理")


async def test_an_incident_of_all_buildings_and_bad_answers(
    building: Building, owner: Phone, office: Phone
) -> None:
    await office.says("/incidents")
    office.sees("没有正在处理的事件", "新事件")
    await office.taps("新事件")
    await office.says("水")
    office.sees("至少 2 个字")
    await office.says("全小区停水")
    await office.says("9号楼")
    office.sees("在哪一栋？", "全小区")
    await office.taps("全小区")
    await office.taps("跳过")
    office.sees("事件：全小区停水\n范围：全小区")
    await office.taps("返回")
    office.sees("预计什么时候恢复？")
    await office.taps("跳过")
    await office.taps("发出去")
    building.phone("王奶奶").sees("全小区停水")
    owner.sees("全小区停水")
    await office.says("事件")
    office.sees("1 · 全小区停水 · 0 户来问", "查看 1")
