"""Talks as people really hold them: in fear, in a hurry, with half answers, and at the wrong place."""

from collections.abc import Callable

import pytest
from sqlmodel import select

from conversations.said import File
from store.tables import Media, Repair, Talk
from tests.handlers.test_repair import DOUBTFUL, finish, report
from tests.people import Building, Phone


def photo_file(storage: str = "a" * 64) -> File:
    return File(storage=storage, mime="image/jpeg", size=1)


# --- danger in the midst of something else ----------------------------------------------------------


@pytest.mark.parametrize("words", ["厨房着火了", "电梯里困了人", "我家煤气漏了", "车库着火了"])
@pytest.mark.parametrize("until", ["哪里需要报修", "什么坏了", "什么时候可以上门", "有照片吗", "对不对"])
async def test_a_short_cry_in_mid_form_is_paged(
    building: Building, owner: Phone, crew: Phone, words: str, until: str
) -> None:
    await report(owner, "水龙头滴水", until=until)
    await owner.says(words)
    owner.sees("已按紧急报修处理，编号 1")
    crew.sees("🚨 紧急报修 1", "接单")
    assert words in crew.last.text


async def test_another_danger_in_the_emergency_talk_gets_its_own_advice(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("着火了")
    owner.sees("师傅该去哪里？")
    await owner.says("厨房有煤气味")
    owner.sees("关闭燃气总阀")
    crew.sees("紧急报修 2")


async def test_a_number_that_is_no_choice_is_asked_again_but_a_room_is_where_to_go(
    owner: Phone, crew: Phone
) -> None:
    await owner.says("着火了")
    owner.sees("师傅该去哪里？")
    await owner.says("9")
    owner.sees("没看懂您选哪一个")
    await owner.says("1201")
    assert "没看懂" not in owner.last.text
    crew.sees("紧急报修 1 · 1201\n")


async def test_danger_among_what_is_added_raises_the_report(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await owner.says("水管爆了，水喷到天花板")
    owner.sees("请先关总水阀", "撤回")
    assert "报修 1 已升级为紧急" in owner.last.text
    crew.sees("🚨 紧急报修 1", "接单")
    office.sees("🚨 紧急报修 1")
    assert building.read(select(Talk)) == []


async def test_a_file_that_is_no_photo_does_not_hide_its_words(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人", files=[File(kind="video", problem="not_a_recording")])
    crew.sees("🚨 紧急报修 1", "接单")
    owner.sees("已按紧急报修处理")
    owner.sees("这个文件不是能播放的语音或视频")


async def test_the_caption_of_a_photo_is_read(building: Building, owner: Phone, crew: Phone) -> None:
    await report(owner, "水龙头滴水", until="有照片吗")
    await owner.says("水管爆了，水喷到天花板了", files=[photo_file()])
    assert crew.sees("🚨 紧急报修 1", "接单").photos == 1


async def test_a_photo_with_the_answer_is_kept(building: Building, owner: Phone) -> None:
    await report(owner, "", until="什么坏了")
    await owner.says("灯不亮", files=[photo_file()])
    await owner.says("随时")
    owner.sees("收到 1 张", "好了")


async def test_the_same_photo_twice_is_kept_once(building: Building, owner: Phone) -> None:
    await report(owner, "水龙头滴水", until="有照片吗")
    for storage in ("a", "b", "a"):
        await owner.says("", files=[photo_file(storage * 64)])
    await owner.says("好了")
    await owner.says("提交")
    kept = [row.storage for row in building.read(select(Media))]
    assert (len(kept), len(set(kept))) == (2, 2)


async def test_more_photos_than_are_taken_are_said_to_be_too_many(building: Building, owner: Phone) -> None:
    await report(owner, "水龙头滴水", until="有照片吗")
    await owner.says("", files=[photo_file(f"{number}" * 64) for number in range(9)])
    owner.sees("照片、语音、视频最多一共收 6 个，多的没有收。\n\n请看一下对不对", "提交")


async def test_a_doubtful_report_that_is_pushed_aside_is_paged(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    more = owner.last.buttons["补充照片或说明"]
    await owner.says(DOUBTFUL)
    owner.sees("现在正在发生吗？")
    await owner.forges(more)
    crew.sees("（未确认，报修人没有回答）", "接单")
    owner.sees("请发照片")


async def test_a_form_that_is_pushed_aside_is_said_to_be(building: Building, owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    more = owner.last.buttons["补充照片或说明"]
    await owner.says("卧室灯不亮")
    await owner.forges(more)
    owner.sees("刚才没填完的内容先放下了，没有提交。")


async def test_no_danger_was_said_of_other_words(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says(DOUBTFUL)
    await owner.says("不是")
    owner.sees("在哪一栋？")
    await owner.says("轿厢晃得厉害还有异响")
    owner.sees("现在正在发生吗？")
    await building.later(seconds=60)
    crew.sees("（未确认，报修人没有回答）", "接单")


async def test_hesitation_does_not_put_the_page_off(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says(DOUBTFUL)
    await building.later(seconds=50)
    await owner.says("我也不知道啊")
    await building.later(seconds=10)
    crew.sees("（未确认，报修人没有回答）", "接单")


async def test_an_unconfirmed_page_can_be_confirmed(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says(DOUBTFUL)
    await building.later(minutes=1)
    owner.sees("没有等到您的回答", "是，正在发生", "撤回")
    await owner.says("是，正在发生")
    owner.sees("确有危险")
    assert "未确认" not in crew.last.text


async def test_a_doubt_that_is_taken_back_pages_nobody(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says(DOUBTFUL)
    await owner.says("取消")
    await building.later(minutes=2)
    crew.sees_nothing()


# --- the same emergency, and another ----------------------------------------------------------------


async def test_the_same_danger_elsewhere_is_another_emergency(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("3号楼电梯里困了人")
    await crew.taps("接单")
    await building.later(minutes=40)
    await owner.says("1号楼电梯里困了人")
    owner.sees("不要扒门")
    crew.sees("紧急报修 2 · 1 号楼 电梯", "接单")


async def test_who_has_it_hears_what_is_told_again(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("救命")
    await crew.taps("接单")
    crew.sees("已接单")
    await owner.says("电梯里困了人，快来")
    owner.sees("不要扒门")
    owner.sees("师傅该去哪里？")
    card = crew.sees("救命；电梯里困了人，快来", "修好了")
    assert (card.urgent, card.edited) == (True, False)
    assert len(building.read(select(Repair))) == 1


async def test_a_form_ends_with_its_emergency(building: Building, owner: Phone) -> None:
    await owner.says("着火了")
    await owner.says("取消")
    await owner.says("报修")
    await owner.says("我家")
    await owner.says("厨房着火了快来")
    owner.sees("已补充到报修 1")
    assert building.read(select(Talk)) == []


async def test_photos_of_an_emergency_reach_the_crew_once(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("着火了", files=[photo_file()])
    assert crew.sees("🚨 紧急报修 1", "接单").photos == 1
    await owner.says("我家")
    await owner.says("", files=[photo_file("b" * 64)])
    assert crew.last.photos == 2
    await building.later(days=2)
    assert len(building.read(select(Media))) == 2


async def test_words_about_the_place_are_never_bounced(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    owner.sees("在哪一栋？")
    await owner.says("卡在12楼和13楼之间")
    owner.sees("已记下这句话。\n\n在哪一栋？")
    assert "（卡在12楼和13楼之间）" in crew.last.text
    await owner.says("3")
    await owner.says("跳过")
    owner.sees("报修 1 · 3 号楼 电梯（卡在12楼和13楼之间）")


async def test_nobody_in_fear_must_answer(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("着火了")
    await owner.says("1号楼")
    owner.sees("具体在哪里？", "跳过")
    await owner.says("跳过")
    await owner.says("跳过")
    owner.sees("已告诉师傅：报修 1 · 1 号楼")
    assert "1 号楼" in crew.last.text


async def test_no_more_questions_is_no_withdrawal(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await owner.says("取消")
    owner.sees("报修仍在处理，师傅照常来")
    assert "接单" in crew.last.buttons
    assert "电梯（楼栋待确认，报修人住 3 号楼 2 单元 1201）" in crew.last.text


async def test_an_emergency_elsewhere_inherits_nothing_of_the_form(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水", until="什么时候可以上门")
    await owner.says("等等，电梯里困了人！快来")
    owner.sees("刚才没填完的内容先放下了")
    crew.sees("紧急报修 1 · 电梯")
    assert "水龙头" not in crew.last.text


async def test_the_owner_hears_that_nobody_has_accepted_yet(building: Building, owner: Phone) -> None:
    await owner.says("电梯里困了人")
    await building.later(minutes=9)
    assert [m.text for m in owner.chat.messages if "还没有师傅接单" in m.text] == [
        "报修 1 还没有师傅接单，正在再次呼叫，更多的师傅和物业也收到了。请同时直接打物业电话：021-5555 0110。"
    ]


async def test_who_was_paged_hears_of_the_withdrawal(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await owner.taps("撤回")
    crew.sees("不用去了")


async def test_photos_that_are_added_are_shown_to_who_has_it(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.taps("跳过")
    assert (plumber.last.photos, list(plumber.last.buttons)) == (1, ["接单", "去不了"])


# --- plain words for buttons ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["是", "是的", "是的，正在发生", "对，快来", "对", "yes", "1", "是，马上派人"]
)
async def test_yes_is_yes(building: Building, owner: Phone, crew: Phone, words: str) -> None:
    await owner.says(DOUBTFUL)
    await owner.says(words)
    crew.sees("🚨 紧急报修 1", "接单")
    assert crew.last.text.splitlines()[1] == f"电梯故障：{DOUBTFUL}"


@pytest.mark.parametrize("words", ["不是", "没有", "不是，好好的", "no", "2"])
async def test_no_is_no(building: Building, owner: Phone, crew: Phone, words: str) -> None:
    await owner.says(DOUBTFUL)
    await owner.says(words)
    owner.sees("在哪一栋？")
    await building.later(minutes=2)
    crew.sees_nothing()


@pytest.mark.parametrize(
    ("words", "answer"),
    [("你好", "直接打字告诉我"), ("谢谢", "不客气"), ("物业电话多少", "物业电话：021-5555 0110")],
)
async def test_courtesy_and_questions_get_a_fitting_answer(owner: Phone, words: str, answer: str) -> None:
    await owner.says(words)
    owner.sees(answer)


async def test_the_place_that_was_named_counts_for_the_next_cry(
    building: Building, owner: Phone, crew: Phone
) -> None:
    for words in ("救命", "电梯", "困住了"):
        await owner.says(words)
    owner.sees("不要扒门")
    assert "电梯故障：救命；困住了" in crew.last.text


async def test_the_form_understands_plain_words(building: Building, owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水", until="什么时候可以上门")
    await owner.says("随时")
    owner.sees("有照片吗？")
    await owner.says("没有")
    owner.sees("问题：厨房水龙头滴水\n上门：随时可以", "提交")
    await owner.says("没问题")
    owner.sees("报修 1 已登记")


async def test_a_yes_is_no_part_of_a_report(building: Building, owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水", until="什么时候可以上门")
    await owner.says("好的")
    owner.sees("没看懂您选哪一个", "随时可以")


async def test_an_answer_may_read_like_a_button(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.says("修好了")
    owner.sees("做了：修好了", "还没修好")
    await owner.taps("还没修好")
    await owner.says("还没修好")
    plumber.sees("业主说还没修好", "接单")


async def test_finishing_twice_goes_on_where_it_was(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await plumber.taps("修好了")
    await plumber.sends_photo()
    await plumber.says("修好了")
    plumber.sees("收到 1 张", "好了")


async def test_a_talk_whose_end_is_refused_is_over(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await owner.taps("跳过")
    withdraw = next(m for m in owner.chat.messages if "撤回" in m.buttons).buttons["撤回"]
    await owner.forges(withdraw)
    await owner.says("卧室灯不亮")
    owner.sees("请看一下对不对")


async def test_who_declines_is_asked_for_no_photo_of_it(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    decline = plumber.last.buttons["去不了"]
    await plumber.taps("修好了")
    await plumber.forges(decline)
    plumber.sees("会找别的师傅")
    await plumber.says("我的")
    plumber.sees("没有未完成的报修")
    assert building.read(select(Talk)) == []


async def test_words_can_still_be_added_to_what_is_said_to_be_done(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await finish(plumber)
    await owner.taps("跳过")
    await owner.says("总阀在门口")
    owner.sees("已补充到报修 1", "确认修好", "还没修好")


# --- typed numbers ----------------------------------------------------------------------------------


async def test_a_typed_number_is_that_of_the_matter(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await owner.says("3号楼电梯里困了人")
    await neighbour.says("着火了")
    await crew.says("接单 3")
    crew.sees("没看懂这句话")
    await crew.says("接单")
    crew.sees("请在后面加上编号")
    await crew.says("接单 1")
    crew.sees("报修 1 · 3 号楼 电梯", "我出发了")
    await owner.says("跳过")
    await owner.says("撤回 1")
    owner.sees("报修 1 已撤回")


async def test_a_number_means_the_message_that_stands_last(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await owner.says("3号楼电梯里困了人")
    await neighbour.says("着火了")
    await owner.says("就在一楼")  # changes the card of 1, which stands above that of 2
    await crew.says("1")
    crew.sees("报修 2", "我出发了")


async def test_a_number_among_colleagues_does_nothing(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await office.says("1")
    office.sees_nothing()
    crew.sees_nothing()


async def test_what_is_typed_is_answered_where_it_is_seen(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.says("接单")
    assert not crew.sees("已接单", "我出发了").edited
    await crew.says("我出发了")
    assert not crew.sees("师傅在路上", "修好了").edited


# --- who hears of what ------------------------------------------------------------------------------


async def test_who_cannot_go_is_not_paged_again_and_the_owner_hears(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    owner.sees("李师傅已接单")
    before = len(crew.chat.messages)
    await crew.taps("去不了")
    assert [m.text for m in crew.chat.messages[before:]] == ["好的，报修 1 会找别的师傅。"]
    owner.sees("李师傅临时去不了（报修 1），正在另找师傅。")
    plumber.sees("🚨 紧急报修 1", "接单")


async def test_a_promised_deadline_stays(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(days=1)
    await plumber.taps("去不了")
    crew.sees("3月4日周三 18:00 前", "接单")


async def test_a_ticket_that_nobody_can_take_goes_to_the_office_and_stays_in_the_crews_list(
    building: Building, owner: Phone, office: Phone, plumber: Phone, phone: Callable[[str], Phone]
) -> None:
    await report(owner, "厨房水龙头滴水")
    for name in ("王师傅", "李师傅", "张师傅"):
        master = phone(name)
        if "去不了" in (master.last.buttons if master.chat.messages else {}):
            await master.taps("去不了")
    await plumber.says("我的")
    plumber.sees("1 · 3 号楼 2 单元 1201", "查看 1")


async def test_a_page_stands_in_the_list_of_the_crew(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await crew.says("我的")
    crew.sees("🚨 1 · 电梯", "查看 1")


async def test_an_accepted_emergency_has_a_deadline(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await building.later(hours=4)
    office.sees("⏰ 🚨 紧急报修 1 已过期")
    crew.sees("⏰ 🚨 紧急报修 1 已过期", "修好了")
    owner.sees("抱歉，报修 1")


async def test_an_owner_who_says_nothing_is_asked_again_and_then_it_is_repaired(
    building: Building, owner: Phone, plumber: Phone, board: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await building.later(days=3)
    owner.sees("师傅说已经修好，请看一下。", "确认修好", "还没修好")
    await building.later(days=3)
    owner.sees("没有收到您的回复，已按修好处理", "还没修好")
    assert board.last.text.endswith("已修好")
    await owner.taps("还没修好")
    await owner.says("又滴了")
    plumber.sees("业主说还没修好", "接单")
    await building.later(days=30)
    assert [m.text for m in owner.chat.messages if "按修好处理" in m.text][2:] == []


async def test_the_owner_hears_of_an_overdue_repair_also_after_days_of_standstill(
    building: Building, owner: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(days=9)
    owner.sees("抱歉，报修 1")
    await building.later(days=9)
    assert len([m for m in owner.chat.messages if m.text.startswith("抱歉")]) == 1


async def test_a_reopened_emergency_is_paged(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await owner.says("取消")
    await finish(crew)
    await owner.taps("还没修好")
    owner.sees("已按紧急处理，正在通知值班师傅")
    crew.sees("🚨 紧急报修 1", "接单")
    await owner.says("门还是打不开")
    assert "门还是打不开" in crew.last.text


async def test_the_crew_reads_why_in_its_own_language(
    building: Building, phone: Callable[[str], Phone], crew: Phone
) -> None:
    smith = phone("Mr Smith")
    await smith.says("/language")
    await smith.says("strong smell of gas in the kitchen")
    smith.sees("there may be a leak")
    assert "可能正在泄漏" in crew.sees("🚨 紧急报修 1", "接单").text


async def test_somebody_of_the_crew_can_report_an_emergency(
    building: Building, plumber: Phone, crew: Phone
) -> None:
    await plumber.says("3号楼电梯里困了人")
    crew.sees("🚨 紧急报修 1 · 3 号楼 电梯", "接单")


@pytest.mark.parametrize(
    "private",
    ["1301室", "陈女士", "138.0000.1111", "138—0000—1111", "138 - 0000 - 1111", "2单元1301", "1201"],
)
async def test_the_board_and_the_neighbours_see_nothing_private(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, private: str
) -> None:
    await report(owner, f"楼上{private}漏水到我家，我是{private}", until="")
    for seen in (board, neighbour):
        assert not any(private in message.text for message in seen.chat.messages)


async def test_what_stands_for_days_names_the_day(building: Building, owner: Phone, board: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    board.sees("3月4日周三 18:00 前")
    await building.later(days=1)
    await owner.says("我的")
    owner.sees("明天 18:00")
