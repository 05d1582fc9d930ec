"""Repairs, as talks."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from store.tables import Audit, Repair
from tests.people import Building, Phone

DOUBTFUL = "电梯抖得厉害"
AT_WORK = ["我出发了", "修好了", "等配件", "进不了门", "写给业主", "转给同事", "去不了"]
"""What whoever has accepted a repair can tap, where nobody can be asked to pay."""


async def test_a_stuck_lift_reaches_the_crew(
    building: Building, owner: Phone, office: Phone, crew: Phone, board: Phone
) -> None:
    await owner.says("/repair")
    owner.sees("哪里需要报修？", "我家", "楼道", "电梯", "车库", "其他地方")
    await owner.taps("电梯")
    await building.restart()
    await owner.says("里面困了人，快来")
    owner.sees("不要扒门")
    owner.sees("在哪一栋？", "3 号楼", "1 号楼", "2 号楼")
    crew.sees("🚨 紧急报修 1 · 电梯", "接单", "去不了")
    office.sees("🚨 紧急报修 1")
    board.sees("报修 1 · 电梯 · 电梯故障 · 紧急")
    await owner.taps("3 号楼")
    crew.sees("报修 1 · 3 号楼 电梯")
    await crew.taps("接单")
    owner.sees("李师傅已接单")
    office.sees("已接单 · 李师傅")


async def test_a_dripping_tap_goes_its_whole_way(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, plumber: Phone, board: Phone
) -> None:
    await owner.says("报修")
    await owner.taps("我家")
    await owner.says("厨房水龙头滴水")
    owner.sees("师傅什么时候可以上门？", "随时可以", "先打电话", "取消")
    await owner.taps("先打电话")
    owner.sees("有照片吗", "跳过")
    await owner.sends_photo()
    owner.sees("收到 1 张", "好了")
    await owner.taps("好了")
    owner.sees(
        "位置：我家\n问题：厨房水龙头滴水\n上门：先打电话\n附件：照片 1 张", "提交", "修改", "返回", "取消"
    )
    await owner.taps("提交")
    owner.sees("报修 1 已登记：3 号楼 2 单元 1201 · 厨房水龙头滴水", "升级为紧急", "撤回")
    assert board.sees("报修 1 · 3 号楼 · 水龙头").photos == 1
    notice = neighbour.sees("报修 1 · 3 号楼 · 水龙头")
    assert notice.silent or not building.changes
    office.sees("🧾 报修 1")
    plumber.sees(
        "报修 1 · 3 号楼 2 单元 1201\n水龙头：厨房水龙头滴水\n上门：先打电话 · 3月4日周三 18:00 前", "接单"
    )
    await plumber.taps("接单")
    owner.sees("王师傅已接单")
    await plumber.taps("我出发了")
    owner.sees("王师傅已出发")
    await plumber.taps("修好了")
    plumber.sees("拍一张修好的照片", "跳过")
    await plumber.sends_photo()
    await plumber.taps("好了")
    await plumber.says("换了阀芯")
    plumber.sees("等业主确认")
    assert owner.sees("做了：换了阀芯", "确认修好", "还没修好").photos == 1
    await owner.taps("确认修好")
    owner.sees("报修 1 完成")
    assert "已修好" in board.last.text


async def test_a_gas_smell_is_paged_before_any_question(
    building: Building, owner: Phone, crew: Phone, office: Phone, neighbour: Phone
) -> None:
    await owner.says("厨房煤气味好大")
    advice = owner.sees("关闭燃气总阀", "撤回")
    assert "因为：有燃气味，可能正在泄漏（煤气味）" in advice.text
    assert crew.sees("🚨 紧急报修 1 · 3 号楼 2 单元 1201\n燃气：厨房煤气味好大", "接单", "去不了").urgent
    office.sees("已呼叫：李师傅")
    neighbour.sees("报修 1 · 3 号楼 · 燃气 · 紧急")
    owner.sees("安全的话拍张照片发来", "跳过")


@pytest.mark.parametrize("words", ["着火", "漏气", "救命，电梯掉下来了", "有人触电了", "水管爆了水漫金山"])
async def test_short_words_of_danger_are_never_bounced(
    building: Building, owner: Phone, crew: Phone, words: str
) -> None:
    await owner.says(words)
    owner.sees("已按紧急报修处理，编号 1")
    crew.sees("🚨 紧急报修 1", "接单")


async def test_a_page_is_repeated_louder_until_somebody_accepts(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    plumber.sees_nothing()
    await building.later(minutes=3)
    assert crew.sees("🚨 紧急报修 1").buttons == {}  # only the newest page has buttons
    crew.sees("🚨 紧急报修 1", "接单")
    plumber.sees("🚨 紧急报修 1", "接单")
    office.sees("还没有人接单（第 2 次呼叫）")
    await building.restart()
    await building.later(minutes=3)
    office.sees("还没有人接单（第 3 次呼叫）")
    await plumber.taps("接单")
    owner.sees("王师傅已接单")
    assert list(crew.last.buttons) == []
    assert crew.last.text.endswith("已接单 · 王师傅")
    await crew.says("接单")
    crew.sees("王师傅已经接单了，您不用再去。")
    paged = len(crew.chat.messages)
    await building.later(hours=2)
    assert len(crew.chat.messages) == paged


async def test_accepting_twice_does_no_harm(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    value = crew.last.buttons["接单"]
    await crew.forges(value)
    await crew.forges(value)
    assert "我出发了" in crew.last.buttons
    assert [m.text for m in owner.chat.messages if "已接单（" in m.text] == ["李师傅已接单（报修 1）。"]


async def test_somebody_in_fear_who_writes_again_makes_no_second_report(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("着火了")
    await owner.taps("取消")
    await owner.says("着火了快来人啊")
    owner.sees("已补充到报修 1")
    assert "着火了；着火了快来人啊" in crew.last.text
    assert len(building.read(select(Repair))) == 1


async def test_what_sounds_dangerous_is_asked_and_paged_as_unconfirmed_after_a_minute(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says(DOUBTFUL)
    owner.sees("现在正在发生吗？", "是，马上派人", "不是，普通报修")
    await building.restart()
    await building.later(seconds=59)
    crew.sees_nothing()
    await building.later(seconds=1)
    crew.sees("（未确认，报修人没有回答）", "接单")
    owner.sees("没有等到您的回答", "撤回")
    await owner.taps("撤回")
    owner.sees("报修 1 已撤回")
    assert list(crew.last.buttons) == []


async def test_a_calm_answer_makes_it_an_ordinary_report(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says(DOUBTFUL)
    await owner.taps("不是，普通报修")
    owner.sees("在哪一栋？")
    await building.later(minutes=5)
    crew.sees_nothing()


async def test_a_confirmed_danger_is_paged_at_once(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says(DOUBTFUL)
    await owner.taps("是，马上派人")
    owner.sees("因为：")
    crew.sees("🚨 紧急报修 1", "接单")


async def test_danger_in_a_later_answer_leaves_the_form(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await report(owner, "水龙头滴水", until="有照片吗")
    await owner.says("水管爆了，水喷到天花板了")
    owner.sees("请先关总水阀")
    crew.sees("🚨 紧急报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_an_ordinary_repair_is_overdue_once_and_everybody_hears(
    building: Building, owner: Phone, plumber: Phone, office: Phone, board: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(days=2, hours=9)
    plumber.sees("⏰ 报修 1 已过期（3月4日周三 18:00）", "接单")
    office.sees("⏰ 报修 1 已过期", "升级为紧急", "查看 1")
    owner.sees("抱歉，报修 1")
    await building.later(days=1)
    office.sees("⏰ 报修 1 已过期")
    assert [m.text[:6] for m in owner.chat.messages].count("抱歉，报修 ") == 1


async def test_who_cannot_go_hands_it_to_somebody_else(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("去不了")
    plumber.sees("会找别的师傅")
    assert list(plumber.chat.messages[0].buttons) == []
    crew.sees("报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_what_is_told_after_the_report_is_not_for_the_board(
    building: Building, owner: Phone, plumber: Phone, board: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    for label in ("提交", "补充照片或说明", "跳过"):
        await owner.taps(label)
    await owner.says("门锁密码是 135790，小狗在家")
    assert "135790" in plumber.last.text
    assert "135790" not in str([message.text for message in board.chat.messages])


async def test_danger_added_to_an_emergency_comes_as_a_new_page_with_advice(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await owner.says("客厅灯不亮")
    await owner.taps("提交")
    await office.taps("升级为紧急")
    pages = len(crew.chat.messages)
    await owner.taps("补充照片或说明")
    await owner.says("厨房着火了！")
    owner.sees("119")
    assert len(crew.chat.messages) == pages + 1
    crew.sees("厨房着火了", "接单")


async def test_not_repaired_goes_back_to_the_crew(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.taps("还没修好")
    owner.sees("报修 1 已重新打开：厨房水龙头滴水\n周三 18:00 前再次处理。")
    owner.sees("还有什么不对？")
    plumber.sees("业主说还没修好", "接单")
    await owner.says("还在滴")
    owner.sees("已补充到报修 1")
    await finish(plumber)
    await owner.taps("确认修好")
    owner.sees("报修 1 完成")
    await owner.says("我的")
    owner.sees("1 · 3 号楼 2 单元 1201 · 厨房水龙头滴水 · 已修好", "查看 1")


async def test_not_repaired_counts_also_without_a_word_more(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    """Who said so again and closed the page must not be taken to agree by silence."""
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.taps("还没修好")
    await owner.taps("跳过")
    await finish(plumber)
    await owner.taps("还没修好")
    owner.sees("10 分钟内没说，也照样告诉师傅和物业。")
    await building.later(minutes=11)
    owner.sees("报修 1 已重新打开：厨房水龙头滴水\n周三 18:00 前再次处理。")
    await owner.says("卧室灯不亮")
    owner.sees("请看一下对不对")


async def test_what_is_still_wrong_is_not_asked_for_ever(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.taps("还没修好")
    await building.later(minutes=11)
    await owner.says("卧室灯不亮")
    owner.sees("请看一下对不对")


async def test_not_repaired_counts_when_another_matter_comes_between(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.taps("还没修好")
    await owner.taps("跳过")
    await finish(plumber)
    await owner.taps("还没修好")
    await owner.says("/repair")
    assert building.read(select(Repair))[0].state == "waiting"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("修好了", "报修 1 完成"),
        ("好了！", "报修 1 完成"),
        ("没修好", "还有什么不对？"),
        ("还没修好，还在滴", "还有什么不对？"),
        ("Not fixed", "还有什么不对？"),
    ],
)
async def test_whether_it_is_repaired_can_be_said_in_ones_own_words(
    owner: Phone, plumber: Phone, words: str, answer: str
) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.says(words)
    owner.sees(answer)


@pytest.mark.parametrize("words", ["没有照片", "不拍了", "好了", "提交", "没有", "no photo"])
async def test_whoever_has_no_photo_says_so_in_many_ways(owner: Phone, words: str) -> None:
    await report(owner, "厨房水龙头滴水", until="有照片吗")
    await owner.says(words)
    owner.sees("请看一下对不对：\n位置：我家\n问题：厨房水龙头滴水\n上门：随时可以\n附件：无", "提交")


async def test_what_is_said_in_passing_is_no_part_of_a_report(owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水", until="有照片吗")
    await owner.says("收到")
    owner.sees("有照片吗")
    await owner.says("跳过")
    owner.sees("问题：厨房水龙头滴水\n")


async def test_a_withdrawn_repair_is_over_for_all(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, board: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    neighbour.sees("报修 1 · 3 号楼 · 水龙头")
    await owner.taps("撤回")
    if building.changes:
        assert neighbour.chat.messages == []
    else:
        neighbour.sees("「报修 1 · 3 号楼 · 水龙头」（已撤回）")
    owner.sees("报修 1 已撤回。")
    plumber.sees("不用去了")
    assert board.last.text.endswith("已撤回")
    before = len(plumber.chat.messages)
    await building.later(days=3)
    assert len(plumber.chat.messages) == before


async def test_staff_can_make_it_urgent_and_it_is_in_the_audit_log(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await office.taps("升级为紧急")
    owner.sees("物业已把报修 1 升级为紧急")
    crew.sees("🚨 紧急报修 1", "接单")
    await owner.says("/my")
    assert [row.action for row in building.read(select(Audit))] == ["repair.raise:1"]


async def test_the_board_shows_no_room_and_no_phone(building: Building, owner: Phone, board: Phone) -> None:
    await report(owner, "1201室水龙头滴水，打我电话 138 0000 1111 或 021-55550000", until="")
    text = board.sees("报修 1 · 3 号楼 · 水龙头").text
    assert "1201" not in text
    assert "138" not in text
    assert "5555" not in text


async def test_the_second_home_is_asked_for(building: Building, phone: Callable[[str], Phone]) -> None:
    wang = phone("王奶奶")
    await wang.says("我家下水道堵了")
    wang.sees("是哪一户？", "1 号楼 1 单元 101", "1 号楼 2 单元 803")
    await wang.says("2")
    await wang.says("随时可以")
    await wang.says("跳过")
    await wang.says("提交")
    wang.sees("报修 1 已登记：1 号楼 2 单元 803")


async def test_a_tenant_reads_english(building: Building, phone: Callable[[str], Phone]) -> None:
    smith = phone("Mr Smith")
    await smith.says("/language")
    smith.sees("English from now on")
    await smith.says("my kitchen tap drips")
    smith.sees("Is this right?", "Submit", "Change", "Back", "Cancel")
    await smith.says("submit")
    smith.sees("Repair 1 registered: Building 2, entrance 1, 1504", "Withdraw")


async def test_reports_have_a_daily_limit_and_emergencies_none(building: Building, owner: Phone) -> None:
    building.set_policy("reports_a_day", 1)
    await report(owner, "厨房水龙头滴水")
    await report(owner, "卧室灯不亮")
    owner.sees("今天已经收到您 1 件报修")
    await owner.says("取消")
    await owner.says("着火了")
    owner.sees("已按紧急报修处理，编号 2")


async def test_photos_and_words_can_be_added(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.says("阀门在水槽下面")
    owner.sees("已补充到报修 1")
    assert "厨房水龙头滴水；阀门在水槽下面" in plumber.last.text


async def test_a_lone_photo_starts_a_report(building: Building, owner: Phone, board: Phone) -> None:
    await owner.sends_photo()
    owner.sees("收到了。现在有危险", "是，马上派人", "不是，普通报修")
    await owner.says("不是")
    owner.sees("哪里需要报修？")
    await owner.says("楼道")
    await owner.says("灯不亮")
    await owner.says("3号楼")
    await owner.says("提交")
    assert board.sees("报修 1 · 3 号楼 楼道 · 灯").photos == 1


async def test_the_timeline_tells_what_happened(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(minutes=5)
    await plumber.taps("接单")
    await owner.says("我的")
    await owner.taps("查看 1")
    owner.sees("今天 09:00 已登记\n今天 09:05 师傅已接单")


async def report(owner: Phone, what: str, until: str = "") -> None:
    """Go through the form of an ordinary repair at home, or up to a question."""
    await owner.says("报修")
    for answer in ("我家", what, "随时可以", "跳过", "提交"):
        if until and until in owner.last.text:
            return
        if "是同一件事吗" in owner.last.text:
            await owner.says("不是")
        await owner.says(answer)


async def finish(crew: Phone) -> None:
    """Accept and finish the latest ticket."""
    await crew.taps("接单")
    await crew.taps("修好了")
    await crew.taps("跳过")
    await crew.taps("跳过")


async def test_a_list_of_repairs_shows_each_in_one_short_line(owner: Phone) -> None:
    await owner.says("楼道灯\n一直不亮" + "很黑" * 30)
    for _ in range(4):
        if "提交" in owner.last.buttons:
            break
        await owner.taps("3 号楼" if "3 号楼" in owner.last.buttons else "跳过")
    await owner.taps("提交")
    await owner.says("我的")
    owner.sees("1 · 3 号楼 楼道 · 楼道灯 一直不亮" + "很黑" * 15 + "很… · 等待接单 · ")
