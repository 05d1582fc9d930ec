"""What the office discloses from time to time, and the clock on it."""

import pytest

from handlers.disclosures import begin_disclosures
from handlers.policy import months_in
from handlers.tx import Tx
from tests.people import Building, Phone


def begins(building: Building) -> None:
    building.app.database.write_now(
        lambda session: begin_disclosures(Tx(session, building.clock.now(), building.app.house))
    )


async def test_what_was_never_published_is_asked_for_published_and_due_again(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("disclosures", "fees 12m, fund 6m")
    await owner.says("公开事项")
    owner.sees("· 收费项目与标准：还没有公开过\n· 维修资金使用情况：还没有公开过")
    begins(building)
    await building.restart()
    await building.later(days=1)  # the office opens
    office.sees("⏰ 两周内要向业主公开：\n· 收费项目与标准（", "公开收费标准", "公开维修资金")
    await office.taps("公开收费标准")
    office.sees("要通知什么？")
    await office.says("2026 年收费标准：物业费 2.8 元/㎡·月")
    assert "【收费项目与标准】" in office.last.text
    await office.taps("发出去")
    owner.sees("📢 通知 1 · 【收费项目与标准】\n2026 年收费标准")
    await building.later(days=15)
    office.sees("❗ 到期了，要向业主公开：\n· 维修资金使用情况（", "公开维修资金")
    assert "收费" not in office.last.text
    await owner.says("/disclosures")
    shown = owner.sees("《民法典》第 943 条只说「定期」", "通知 1").text
    assert "公开过（通知 1「2026 年收费标准：物业费 2.8 元/㎡·月」），下次 3月3日" in shown
    assert "· 维修资金使用情况：还没有公开过，❗ 应在" in shown
    await owner.taps("通知 1")
    owner.sees("2026 年收费标准")
    await building.later(days=337)  # two weeks before it is due again
    assert any("两周内要向业主公开：\n· 收费项目与标准" in each.text for each in office.chat.messages)


async def test_what_went_to_one_building_or_was_withdrawn_discloses_nothing(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("disclosures", "fund 6m")
    for where in ("3号楼", ""):
        await office.says("/disclosures")
        await office.taps("公开维修资金")
        await office.says("维修资金余额 120 万元")
        if where:
            await office.taps("换范围")
            await office.says(where)
        await office.taps("发出去")
    await owner.says("公开事项")
    owner.sees("通知 2")
    await office.taps("撤回通知")
    await office.says("数字有误")
    await office.taps("确认撤回")
    await owner.says("公开事项")
    owner.sees("还没有公开过")


async def test_nobody_else_opens_the_form_and_a_forged_topic_is_none(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.forges("announcement.disclose:fees")
    owner.sees("这件事不归您办理")
    await office.forges("announcement.disclose:bribes")
    office.sees("这个选项已经不能用了")


@pytest.mark.parametrize(
    ("text", "months"),
    [("fees 12m, fund 6m", {"fees": 12, "fund": 6}), ("", {}), ("revenue 1m", {"revenue": 1})],
)
def test_intervals_are_read(text: str, months: dict[str, int]) -> None:
    assert months_in(text) == months


@pytest.mark.parametrize("text", ["fees", "fees 12", "fees 0m", "fees 99m", "gold 6m", "fees 6m, fees 12m"])
def test_intervals_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"「|「fees」|not"):
        months_in(text)


async def test_what_was_disclosed_to_owners_only_is_named_to_nobody_else(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("disclosures", "fund 6m")
    await office.says("公开事项")
    await office.taps("公开维修资金")
    await office.says("维修资金上半年用了三万元")
    await office.taps("只发业主")
    await office.taps("发出去")
    await owner.says("公开事项")
    owner.sees("公开过（通知 1「维修资金上半年用了三万元」）", "通知 1")
    tenant = building.phone("Mr Smith")
    await tenant.says("公开事项")
    assert "通知 1" not in tenant.last.buttons
    assert "公开过（只发业主），下次 " in tenant.last.text and "三万元" not in tenant.last.text
