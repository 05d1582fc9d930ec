"""Repairs from the first word to 修好了: an emergency that nobody takes, and an ordinary one with all that may come."""

import pytest
from sqlmodel import select

from store.tables import Event, Repair
from tests.people import Building, Phone


@pytest.mark.playground
async def test_an_emergency_that_nobody_takes_until_somebody_does(
    building: Building,
    owner: Phone,
    neighbour: Phone,
    office: Phone,
    crew: Phone,
    plumber: Phone,
    board: Phone,
) -> None:
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    owner.sees("请先关总水阀")
    office.sees("🚨 紧急报修 1", "指派", "改为一般")
    plumber.sees("🚨 紧急报修 1 · 3 号楼 楼道", "接单", "去不了")
    night = building.phone("张师傅")
    night.sees_nothing()  # who works at night
    await neighbour.says("3号楼楼道水管爆裂！")
    neighbour.sees("已有 2 户报了这件事", "不是同一件")
    await building.later(minutes=3)
    plumber.sees("🚨🚨 紧急报修 1 还没有人接单（第 2 次呼叫）", "接单")
    crew.sees("🚨🚨 紧急报修 1 还没有人接单（第 2 次呼叫）", "接单")
    owner.sees("还没有师傅接单")
    await building.restart()
    await plumber.taps("去不了")
    await building.later(minutes=3)
    assert "请马上打电话找人" in office.last.text
    assert "没有留电话" in office.last.text
    await office.taps("指派")
    await office.taps("李师傅 · 值班")
    crew.sees("物业指派给您：🚨 紧急报修 1", "我出发了")
    for phone in (owner, neighbour):
        phone.sees("李师傅已接单")
    rings = building.read(select(Event).where(Event.key.startswith("event.paged")))
    await building.later(minutes=30)
    assert building.read(select(Event).where(Event.key.startswith("event.paged"))) == rings
    await crew.taps("我出发了")
    await crew.forges("repair.go:1")  # the line is bad: it comes twice
    await crew.taps("修好了")
    await crew.sends_photo()
    await crew.taps("好了")
    await crew.taps("跳过")
    neighbour.sees("报修 1", "还没修好")
    assert owner.sees("修好了吗", "确认修好").photos == 1
    await owner.taps("确认修好")
    await owner.taps("★★★★★ 很好")
    owner.sees("记下了 ★★★★★")
    assert board.sees("报修 1 · 3 号楼 楼道").text.count("已修好") == 1
    assert building.read(select(Repair.state, Repair.homes, Repair.stars)) == [("closed", 2, 5)]


@pytest.mark.playground
async def test_an_ordinary_one_with_all_that_may_come(
    building: Building, owner: Phone, office: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    owner.sees("会按一般报修处理（水龙头）", "提交")
    await owner.taps("提交")
    owner.sees("报修 1 已登记：3 号楼 2 单元 1201 · 厨房水龙头滴水", "写给师傅", "催单", "更正")
    await owner.taps("催单")
    plumber.sees("业主催单：报修 1", "接单")
    await plumber.taps("接单")
    await plumber.taps("转给同事")
    await plumber.taps("李师傅（全部工种 · 在班）")
    owner.sees("报修 1 由李师傅接手")
    await crew.taps("接单")
    await owner.taps("写给师傅")
    await owner.says("下午三点以后在家")
    crew.sees("下午三点以后在家", "回复")
    await crew.taps("回复")
    await crew.says("好，三点半到")
    owner.sees("好，三点半到", "回复")
    await crew.taps("等配件")
    await crew.says("3月5日")
    owner.sees("报修 1 要等配件，3月5日周四接着修")
    await building.restart()
    await building.later(days=3)
    crew.sees("报修 1", "我出发了", "要收费")
    await crew.taps("要收费")
    await crew.says("80")
    await crew.says("换阀芯")
    owner.sees("要收 80 元（换阀芯）。同意后才会修", "同意费用")
    await owner.taps("同意费用")
    crew.sees("业主同意收费：报修 1", "修好了")
    await crew.taps("修好了")
    await crew.taps("跳过")
    await crew.says("换了阀芯")
    owner.sees("做了：换了阀芯", "确认修好", "还没修好")
    await owner.taps("还没修好")
    owner.sees("报修 1 已重新打开")
    await owner.says("还在滴")
    crew.sees("业主说还没修好", "接单")
    await crew.taps("接单")
    for label in ("修好了", "跳过", "跳过"):
        await crew.taps(label)
    await owner.says("修好了")
    await owner.taps("★★★★ 好")
    owner.sees("★★★★")
    await owner.says("我的")
    await owner.taps("查看 1")
    owner.sees("等配件，期限暂停到")
    await office.says("/times")
    office.sees("近 90 天报修 1 件")
    assert building.read(select(Repair.state, Repair.reopened, Repair.stars)) == [("closed", 1, 4)]
