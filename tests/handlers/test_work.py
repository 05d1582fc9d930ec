"""The work on a repair and its end: handed over, waiting, paid for, done, rated, and taps that come late."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from handlers.repair_lists import in_order
from store.tables import Audit, Event, Follower, Person, Repair
from tests.handlers.test_repair import finish, report
from tests.people import Building, Phone

TAP = "厨房水龙头滴水"


def the_repair(building: Building) -> Repair:
    found: Repair = building.read(select(Repair))[0]
    return found


def follow(building: Building, name: str) -> None:
    """Let somebody follow the only repair."""

    def write(session: object) -> None:
        person = session.exec(select(Person).where(Person.name == name)).one()  # type: ignore[attr-defined]
        repair = session.exec(select(Repair)).one()  # type: ignore[attr-defined]
        repair.homes = 2
        row = Follower(
            community_id=repair.community_id,
            repair_id=repair.id,
            person_id=person.id,
            at=building.clock.now(),
        )
        session.add_all([row, repair])  # type: ignore[attr-defined]

    building.app.database.write_now(write)


# --- times, and who hears ---------------------------------------------------------------------------


async def test_when_it_was_accepted_and_done_is_kept(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await building.later(minutes=30)
    await plumber.taps("接单")
    await building.later(hours=1)
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.taps("跳过")
    row = the_repair(building)
    assert row.accepted_at == row.reported_at + timedelta(minutes=30)
    assert row.done_at == row.reported_at + timedelta(minutes=90)


async def test_who_follows_hears_of_each_step(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await plumber.taps("接单")
    neighbour.sees("您也报过的报修 1：王师傅已接单", "查看 1", "写给师傅")
    await plumber.taps("我出发了")
    neighbour.sees("您也报过的报修 1：王师傅已出发")
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.taps("跳过")
    neighbour.sees("说已经修好", "还没修好")
    await owner.taps("确认修好")
    neighbour.sees("您也报过的报修 1 已修好", "还没修好")


# --- handed over ------------------------------------------------------------------------------------


async def test_an_ordinary_repair_is_handed_over_with_its_deadline(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    due = the_repair(building).due_at
    await plumber.taps("转给同事")
    plumber.sees("报修 1 转给谁？", "李师傅（全部工种 · 在班）", "张师傅（全部工种）")
    await plumber.taps("李师傅（全部工种 · 在班）")
    plumber.sees("已转给李师傅")
    owner.sees("报修 1 由李师傅接手")
    crew.sees("同事转给您：报修 1 · 3 号楼 2 单元 1201\n水龙头：厨房水龙头滴水", "接单", "去不了")
    assert (the_repair(building).state, the_repair(building).due_at) == ("waiting", due)
    await crew.taps("接单")
    owner.sees("李师傅已接单")
    await plumber.says("我的")
    plumber.sees("没有未完成的报修")


async def test_who_gets_it_handed_over_can_say_that_they_cannot_go(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("转给同事")
    await plumber.taps("李师傅（全部工种 · 在班）")
    await crew.taps("去不了")
    crew.sees("会找别的师傅")
    plumber.sees("报修 1 · 3 号楼 2 单元 1201", "接单", "去不了")


async def test_an_emergency_that_is_handed_over_is_paged_unless_it_is_accepted_soon(
    building: Building, owner: Phone, plumber: Phone, crew: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await crew.taps("转给同事")
    await crew.taps(_label(crew, "王师傅"))
    assert plumber.sees("同事转给您：🚨 紧急报修 1", "接单", "去不了").urgent
    owner.sees("报修 1 由王师傅接手")
    await building.restart()
    await building.later(minutes=3)
    office.sees("还没有人接单（第 2 次呼叫）")
    plumber.sees("🚨 紧急报修 1", "接单")
    crew.sees("🚨 紧急报修 1", "接单")
    await plumber.taps("接单")
    owner.sees("王师傅已接单")
    paged = len(crew.chat.messages)
    await building.later(minutes=30)
    assert len(crew.chat.messages) == paged


def _label(phone: Phone, begin: str) -> str:
    for message in reversed(phone.chat.messages):
        for label in message.buttons:
            if label.startswith(begin):
                return label
    raise AssertionError(f"no button {begin}:\n{phone}")


# --- it waits ---------------------------------------------------------------------------------------


async def test_waiting_for_parts_stops_the_clock_until_the_day(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, office: Phone, board: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await plumber.taps("接单")
    await plumber.taps("等配件")
    plumber.sees(
        "哪天能接着修？", "明天（3月3日周二）", "三天后（3月5日周四）", "一周后（3月9日周一）", "取消"
    )
    await plumber.taps("三天后（3月5日周四）")
    plumber.sees("等配件，期限暂停到 3月5日周四 · 王师傅", "我出发了", "修好了", "还要等", "转给同事")
    owner.sees("报修 1 要等配件，3月5日周四接着修", "写给师傅", "撤回")
    neighbour.sees("您也报过的报修 1 要等配件")
    office.sees("等配件，期限暂停到 3月5日周四 · 王师傅 · 期限：暂停中（原定 3月4日周三 18:00）")
    assert board.last.text.endswith("等配件，期限暂停到 3月5日周四")
    await building.restart()
    await building.later(days=2, hours=12)  # its deadline was on the evening before
    assert "已过期" not in str(plumber)
    await building.later(hours=11, minutes=30)
    plumber.sees("报修 1 今天该继续了", "我出发了", "等配件")
    owner.sees("报修 1 接着修。原期限 昨天 18:00，因等配件顺延到 周六 17:30。")
    neighbour.sees("接着修")
    row = the_repair(building)
    assert (row.state, row.paused_at, row.paused_seconds) == ("accepted", None, 71.5 * 3600)
    await owner.says("我的")
    await owner.taps("查看 1")
    owner.sees("今天 08:30 继续处理 原期限 昨天 18:00，因等配件顺延到 周六 17:30。")


async def test_going_earlier_ends_the_wait(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("等配件")
    await plumber.says("一周后")
    await building.later(days=1)
    await plumber.taps("我出发了")
    owner.sees("原期限 明天 18:00，因等配件顺延到 周四 18:00")
    owner.sees("王师傅已出发")
    before = len(plumber.chat.messages)
    await building.later(days=1, hours=6)
    await building.later(hours=2)
    assert len(plumber.chat.messages) == before
    assert the_repair(building).paused_seconds == 24 * 3600


async def test_what_waits_can_be_finished_at_once(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("等配件")
    await plumber.taps("明天（3月3日周二）")
    await building.later(hours=1)
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.taps("换了阀芯")
    owner.sees("做了：换了阀芯", "确认修好")
    row = the_repair(building)
    assert (row.state, row.paused_at, row.paused_seconds) == ("done", None, 3600)
    before = len(plumber.chat.messages)
    await building.later(days=2)
    assert len(plumber.chat.messages) == before


async def test_of_two_waits_the_later_day_counts(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("等配件")
    await plumber.taps("三天后（3月5日周四）")
    await plumber.taps("还要等")
    await plumber.taps("明天（3月3日周二）")
    plumber.sees("等配件，期限暂停到 3月5日周四")
    await plumber.taps("还要等")
    await plumber.says("3月12日")
    plumber.sees("等配件，期限暂停到 3月12日周四")
    before = len(plumber.chat.messages)
    await building.later(days=9)
    assert len(plumber.chat.messages) == before
    await building.later(days=1)
    plumber.sees("今天该继续了")


async def test_a_closed_door_is_told_and_asks_when_it_suits(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("进不了门")
    await plumber.taps("明天（3月3日周二）")
    owner.sees("王师傅上门时进不了门（报修 1），先等到3月3日周二", "写给师傅")
    await owner.taps("写给师傅")
    await owner.says("明天上午在家")
    plumber.sees("明天上午在家", "回复")


async def test_an_emergency_that_waits_is_told_to_the_office_at_once(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await crew.taps("进不了门")
    await crew.taps("明天（3月3日周二）")
    office.sees("⏸ 🚨 紧急报修 1 停下来等：等进门，期限暂停到 3月3日周二")
    await building.later(hours=6)  # longer than an emergency may take
    assert "已过期" not in str(office)


@pytest.mark.parametrize("words", ["昨天", "今天", "等等看", "13月40日", "2027-12-01"])
async def test_a_day_that_is_none_is_asked_again(owner: Phone, plumber: Phone, words: str) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("等配件")
    await plumber.says(words)
    plumber.sees("没看懂是哪一天。请选明天以后、60 天以内的日子", "明天（3月3日周二）")
    await plumber.says("下周三")
    plumber.sees("等配件，期限暂停到 3月11日周三")


# --- what it costs ----------------------------------------------------------------------------------


async def priced(owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("要收费")
    plumber.sees("报修 1 要收多少钱？", "50 元", "100 元", "200 元")
    await plumber.says("80")
    plumber.sees("收的是什么钱？", "换阀芯", "跳过")
    await plumber.taps("换阀芯")


async def test_a_cost_is_agreed_before_the_work(
    building: Building, owner: Phone, plumber: Phone, office: Phone, board: Phone
) -> None:
    await priced(owner, plumber)
    plumber.sees("报修 1 收 80 元（换阀芯）：已问业主")
    owner.sees("王师傅说报修 1 要收 80 元（换阀芯）。同意后才会修", "同意费用", "不同意费用")
    office.sees("收费：80 元（换阀芯）（等业主同意）")
    assert "修好了" not in plumber.last.buttons
    await plumber.forges("repair.finish:1")
    plumber.sees("业主还没有同意费用")
    await building.later(hours=2)
    await owner.taps("同意费用")
    owner.sees("收 80 元（换阀芯），已告诉师傅")
    plumber.sees("业主同意收费：报修 1", "修好了")
    office.sees("收费：80 元（换阀芯）（业主已同意）")
    row = the_repair(building)
    assert (row.cost, row.cost_state, row.paused_seconds) == (8000, "agreed", 7200)
    assert row.due_at is not None
    assert row.due_at.astimezone(UTC).hour == 12  # 18:00 in Shanghai, and the two hours
    public = [*building.read(select(Event.key)), *(m.text for m in board.chat.messages)]
    assert "event.price_agreed" in public
    assert "80" not in str(public)
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.taps("跳过")
    owner.sees("说已经修好")


async def test_a_cost_that_is_refused_is_named_anew_or_nothing(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await priced(owner, plumber)
    await owner.taps("不同意费用")
    plumber.sees("业主不同意收费", "免费修好", "要收费")
    await plumber.forges("repair.finish:1")
    plumber.sees("业主不同意费用。请再点「要收费」报一个价")
    await plumber.taps("要收费")
    await plumber.taps("50 元")
    await plumber.taps("跳过")
    owner.sees("要收 50 元。", "同意费用")
    await owner.taps("不同意费用")
    await plumber.taps("免费修好")
    owner.sees("报修 1 不收费了")
    plumber.sees("拍一张修好的照片")
    await plumber.taps("跳过")
    await plumber.taps("跳过")
    owner.sees("说已经修好")
    assert (the_repair(building).cost, the_repair(building).cost_state) == (None, "")


async def test_nobody_agrees_to_a_price_that_they_have_not_seen(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    """Where old buttons stay, as on WeChat, one of an earlier question must not agree to a later one."""
    await priced(owner, plumber)
    old = owner.sees("要收 80 元")
    value = old.buttons["同意费用"]
    await building.later(minutes=5)
    await plumber.taps("要收费")
    await plumber.taps("200 元")
    await plumber.taps("跳过")
    if building.messenger_of("陈女士") != "test":
        return
    await owner._send(tap=value, on=old.id)
    assert the_repair(building).cost_state == "asked"
    owner.sees("费用改过了：报修 1 现在要收 200 元", "同意费用")
    await owner.taps("同意费用")
    assert (the_repair(building).cost, the_repair(building).cost_state) == (20000, "agreed")
    await owner.forges(value)
    owner.sees("报修 1 的费用已经有结果了")


async def test_who_does_not_answer_about_a_cost_is_reminded_once(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await priced(owner, plumber)
    await building.later(days=1)
    owner.sees("师傅还在等您回答：报修 1 要收 80 元（换阀芯）", "同意费用")
    office.sees("业主一天没有回答收费：报修 1")
    told = len(owner.chat.messages)
    await building.later(days=5)
    assert len(owner.chat.messages) == told
    assert sum("没有回答收费" in message.text for message in office.chat.messages) == 1


@pytest.mark.parametrize("words", ["0", "-5", "三四百", "1000001", "很多"])
async def test_an_amount_that_is_none_is_asked_again(owner: Phone, plumber: Phone, words: str) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("要收费")
    await plumber.says(words)
    plumber.sees("报修 1 要收多少钱？", "50 元")


async def test_nobody_pays_for_what_is_everybodys(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    assert "要收费" not in crew.last.buttons
    await crew.forges("repair.price:1")
    crew.sees("报修 1 不在业主家里")


# --- taps that come twice or late -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["go", "finish", "parts", "access", "hand", "price"])
async def test_a_tap_after_the_end_does_no_harm(
    building: Building, owner: Phone, plumber: Phone, name: str
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await plumber.forges(f"repair.{name}:1")
    plumber.sees("报修 1 现在是「已修，等业主确认」，这一步不用再做了")
    assert the_repair(building).state == "done"


@pytest.mark.parametrize("name", ["go", "finish", "parts", "access", "hand", "price", "free"])
async def test_a_tap_after_the_hand_over_says_who_has_it(
    building: Building, owner: Phone, plumber: Phone, crew: Phone, name: str
) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("转给同事")
    await plumber.taps("李师傅（全部工种 · 在班）")
    await plumber.forges(f"repair.{name}:1")
    plumber.sees("报修 1 现在由李师傅负责，您不用再管了")
    await crew.taps("接单")
    await plumber.forges(f"repair.{name}:1")
    plumber.sees("报修 1 现在由李师傅负责")
    assert the_repair(building).state == "accepted"


async def test_accepting_what_was_withdrawn_says_so(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    value = plumber.last.buttons["接单"]
    await owner.taps("撤回")
    await plumber.forges(value)
    plumber.sees("报修 1 现在是「已撤回」")


async def test_done_twice_is_done_once(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    value = plumber.last.buttons["修好了"]
    await plumber.forges(value)
    await plumber.forges(value)
    plumber.sees("拍一张修好的照片")
    await plumber.taps("跳过")
    skip = plumber.last.buttons["跳过"]
    await plumber.forges(skip)
    await plumber.forges(skip)
    await plumber.forges(value)
    plumber.sees("已修，等业主确认")
    assert [m.text for m in owner.chat.messages if "说已经修好" in m.text] != []
    assert len([e for e in building.read(select(Event)) if e.key == "event.done"]) == 1


async def test_a_button_of_a_card_three_states_old_does_what_can_be_done_now(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    accept = plumber.last.buttons["接单"]
    await plumber.taps("接单")
    await plumber.taps("等配件")
    await plumber.taps("三天后（3月5日周四）")
    await plumber.forges(accept)
    plumber.sees("等配件，期限暂停到 3月5日周四 · 王师傅", "我出发了")
    assert the_repair(building).state == "parts"
    await plumber.taps("我出发了")
    await plumber.forges(accept)
    assert the_repair(building).state == "on_way"


async def test_a_day_that_is_chosen_twice_is_chosen_once(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("等配件")
    value = plumber.last.buttons["三天后（3月5日周四）"]
    await plumber.forges(value)
    await plumber.forges(value)
    assert len([e for e in building.read(select(Event)) if e.key == "event.parts"]) == 1


async def test_the_acts_of_the_crew_are_in_the_log(building: Building, owner: Phone, plumber: Phone) -> None:
    await priced(owner, plumber)
    await owner.taps("同意费用")
    acts = [row.action for row in building.read(select(Audit).order_by(Audit.id))]
    assert acts == ["repair.accept:1", "repair.price:1", "repair.priced:1"]


# --- the list ---------------------------------------------------------------------------------------


def row(number: int, **what: object) -> Repair:
    now = datetime(2026, 3, 2, 1, tzinfo=UTC)
    usual = {"community_id": 1, "person_id": 1, "what": "", "reported_at": now, "building": "1"}
    return Repair.model_construct(
        **{**Repair(**usual, number=number).model_dump(), "id": number, "number": number, **what}
    )


def test_the_crew_goes_where_it_is_needed_first() -> None:
    now = datetime(2026, 3, 5, 1, tzinfo=UTC)
    soon, later, past = now + timedelta(hours=5), now + timedelta(days=1), now - timedelta(days=1)
    rows = [
        row(1, due_at=later, building="2"),
        row(2, due_at=later, building="10"),
        row(3, due_at=later, building="2"),
        row(4, due_at=later, homes=3, building="10"),
        row(5, due_at=soon),
        row(6, due_at=past),
        row(7, urgent=True, due_at=None),
        row(8, state="parts", paused_at=past, paused_until=later, due_at=past),
        row(9, state="access", paused_at=past, paused_until=soon, due_at=soon),
    ]
    assert [each.number for each in in_order(rows, now)] == [7, 6, 5, 4, 1, 3, 2, 9, 8]


async def test_the_list_has_a_line_and_a_button_for_each(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    for number in range(2, 14):
        await owner.says(f"厨房水龙头滴水 第{number}处")
        for label in ("不是，另外一件", "提交"):
            await owner.taps(label)
    await plumber.says("我的")
    shown = plumber.sees(
        "还没完成的报修，按先后：\n1 · 3 号楼 2 单元 1201 · 厨房水龙头滴水 · 周三 18:00 · 2 户"
    )
    lines = shown.text.splitlines()
    buttons = [label for label in shown.buttons if label.startswith("查看")]
    listed = [line for line in lines if " · " in line]
    assert len(listed) == len(buttons) == min(10, len(listed))
    await plumber.taps("查看 1")
    plumber.sees("报修 1 · 3 号楼 2 单元 1201", "接单")


# --- the end ----------------------------------------------------------------------------------------


async def test_the_owner_rates_with_one_tap_and_the_crew_hears(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    owner.sees("报修 1 完成，谢谢您。", "★★★★★ 很好", "★ 很差", "还没修好")
    await owner.taps("★★★★★ 很好")
    owner.sees("记下了 ★★★★★", "再说一句")
    plumber.sees("报修 1：业主给了 ★★★★★")
    office.sees("评价：★★★★★")
    await owner.taps("再说一句")
    await owner.says("师傅很准时")
    owner.sees("谢谢，已经记下了")
    plumber.sees("业主给了 ★★★★★ 「师傅很准时」")
    office.sees("评价：★★★★★ 「师傅很准时」")
    assert (the_repair(building).stars, the_repair(building).praise) == (5, "师傅很准时")


async def test_a_bad_rating_goes_to_the_office_and_not_to_the_crew(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    before = len(plumber.chat.messages)
    await owner.taps("★★ 不太好")
    office.sees("报修 1 业主不满意 · 3 号楼 2 单元 1201")
    assert len(plumber.chat.messages) == before


async def test_who_does_not_rate_is_left_alone(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    told = len(owner.chat.messages)
    await building.later(days=3)
    assert len(owner.chat.messages) == told
    await owner.says("卧室灯不亮")
    owner.sees("请看一下对不对")
    assert the_repair(building).stars is None


async def test_the_first_time_it_is_open_again_at_once(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("还没修好")
    owner.sees("报修 1 已重新打开：厨房水龙头滴水\n周三 18:00 前再次处理。")
    owner.sees("还有什么不对？", "跳过")
    plumber.sees("业主说还没修好", "接单")
    await owner.says("还在滴")
    owner.sees("已补充到报修 1")
    assert "厨房水龙头滴水；还在滴" in plumber.last.text
    assert the_repair(building).reopened == 1


async def test_the_second_time_it_goes_to_another_and_the_office_hears(
    building: Building, owner: Phone, plumber: Phone, crew: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("还没修好")
    await owner.taps("跳过")
    await finish(plumber)
    await owner.taps("还没修好")
    asked = owner.sees("还有什么不对？请说一句", "取消")
    assert "跳过" not in asked.buttons
    assert the_repair(building).state == "done"
    await owner.says("还是滴，一晚上一桶")
    owner.sees("报修 1 已重新打开：厨房水龙头滴水；还是滴，一晚上一桶")
    office.sees("第 2 次返修：报修 1")
    crew.sees("报修 1 · 3 号楼 2 单元 1201", "接单", "去不了")
    assert the_repair(building).reopened == 2


async def test_who_follows_can_say_that_it_is_not_repaired(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await finish(plumber)
    await neighbour.taps("还没修好")
    neighbour.sees("您也报过的报修 1 还没修好，已重新打开")
    owner.sees("报修 1 已重新打开")
    plumber.sees("业主说还没修好", "接单")


async def test_danger_in_what_is_still_wrong_pages(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("还没修好")
    await owner.says("水管爆了，水喷到天花板了")
    owner.sees("已升级为紧急")
    crew.sees("🚨 紧急报修 1", "接单")


async def test_who_says_it_is_not_repaired_by_a_stale_button_after_the_reopening(
    building: Building, phone: Callable[[str], Phone], owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    value = owner.last.buttons["还没修好"]
    await owner.forges(value)
    await owner.forges(value)
    owner.sees("报修 1 现在是「等待接单」，这一步不用再做了")
    assert the_repair(building).reopened == 1
