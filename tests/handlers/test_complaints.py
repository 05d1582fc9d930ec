"""Complaints and suggestions, as talks: published straight, masked, changed, shared, withdrawn."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from handlers.complaint_words import masked
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from store.tables import Complaint, Entry, Joiner, Person, Repair, Statement, Talk
from tests.handlers.test_preferences import chooses
from tests.people import ROSTER, Building, Phone, photo

DIRTY = "3 号楼楼道三天没打扫，垃圾堆在门口"


def complaints(building: Building) -> list[Complaint]:
    return building.read(select(Complaint).order_by(Complaint.id))


def entries(building: Building) -> list[Entry]:
    return building.read(select(Entry).where(Entry.kind == "complaint").order_by(Entry.id))


async def complains(owner: Phone, text: str = DIRTY, *, scope: str = "全小区") -> None:
    """From the command to the last look, with whatever is asked on the way."""
    await owner.says(f"投诉：{text}")
    if "关于哪一方面" in owner.last.text:
        await owner.taps("其他")
    await owner.says("跳过")
    await owner.taps(scope)
    await owner.taps("确认公开")


def neighbours(building: Building, lines: str) -> None:
    """People who move in."""
    found = f"{ROSTER}{lines}"
    building.app.database.write_now(
        lambda session: import_roster(
            Tx(session, building.clock.now(), building.app.house),
            building.community,
            read_roster(found.encode()),
        )
    )


async def test_a_complaint_is_published_straight_and_staff_get_a_card(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await owner.says("/complain")
    owner.sees("是投诉，还是建议？", "投诉", "建议", "取消")
    await owner.taps("投诉")
    owner.sees("请写清楚什么事、在哪里", "返回")
    await building.restart()
    await owner.says("门口的石墩子挡路，婴儿车过不去")
    owner.sees("关于哪一方面", "物业人员", "保洁", "公共设施", "其他")
    await owner.taps("公共设施")
    owner.sees("有照片吗", "跳过")
    await owner.sends_photo()
    await owner.taps("好了")
    owner.sees("给谁看", "全小区", "只给 3 号楼 的人")
    await owner.taps("全小区")
    look = owner.sees("【投诉 · 公共设施】3 号楼\n门口的石墩子挡路", "确认公开", "修改", "返回")
    assert look.photos == 1
    for each in (office, board, neighbour):
        each.sees_nothing()
    await owner.taps("确认公开")
    told = owner.sees("投诉 1 已公开", "改写", "撤回投诉建议", "看全文 1")
    assert "3月12日 09:00" in told.text
    shown = board.sees("【投诉 1 · 公共设施】3 号楼\n门口的石墩子挡路")
    assert shown.photos == 1 and "等物业答复" in shown.text
    assert not any(word in shown.text for word in ("陈", "1201"))
    notice = neighbour.sees("门口的石墩子挡路", "我也有同感", "看全文 1")
    assert notice.silent or not building.changes
    card = office.sees("门口的石墩子挡路", "答复 1", "看全文 1")
    assert not card.silent and "陈" not in card.text
    (entry,) = entries(building)
    assert (entry.title, entry.wide, entry.open) == ("门口的石墩子挡路，婴儿车过不去", True, True)
    assert entry.due_at is not None


async def test_one_sentence_is_enough_and_a_suggestion_is_one(
    building: Building, owner: Phone, board: Phone
) -> None:
    await owner.says("建议 东门口加一盏路灯")
    owner.sees("有照片吗")
    await owner.says("没有")
    await owner.says("1")
    owner.sees("【建议 · 公共设施】", "确认公开")
    await owner.says("确认公开")
    owner.sees("建议 1 已公开")
    board.sees("【建议 1 · 公共设施】")
    assert [(each.kind, each.topic) for each in complaints(building)] == [("suggestion", "facility")]
    assert building.read(select(Talk)) == []


async def test_a_free_sentence_is_offered_with_one_tap_and_may_be_a_repair(
    building: Building, owner: Phone
) -> None:
    await owner.says("我要投诉保安，上班时间睡觉")
    owner.sees("要公开投诉或建议吗？", "是，公开", "不是，是报修")
    await owner.taps("是，公开")
    owner.sees("有照片吗")
    await owner.says("取消")
    await owner.says("我要投诉，楼道灯坏了没人修")
    await owner.taps("不是，是报修")
    assert "楼道灯坏了没人修" in owner.last.text or building.read(select(Talk.script)) == ["repair"]
    await owner.says("取消")
    await owner.says("我要投诉，电梯里困了人没人管")
    assert [each.urgent for each in building.read(select(Repair))] == [True]


async def test_what_is_no_complaint_is_left_alone(building: Building, owner: Phone) -> None:
    for words in ("投诉电话是多少", "你有什么建议？", "投诉结果呢"):
        await owner.says(words)
        assert building.read(select(Talk.script)) == [], words
    await owner.says("出一张实木书桌，自提180，有建议可以提")
    assert building.read(select(Talk.script)) == ["listing"]


async def test_a_danger_in_the_midst_goes_first(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("投诉")
    await owner.says("电梯里困了人")
    crew.sees("紧急报修")


async def test_abuse_and_private_data_are_masked_and_the_author_is_told_why(
    building: Building, owner: Phone, board: Phone, neighbour: Phone, office: Phone
) -> None:
    words = "保安态度差，全是傻逼。我是陈女士，电话 138 1234 5678，住1201。周先生和2号楼1504的也看见了，刘经理不管"
    await owner.says(f"投诉：{words}")
    if "关于哪一方面" in owner.last.text:
        await owner.taps("安保")
    await owner.says("跳过")
    await owner.says("1")
    look = owner.sees("有些字显示为 ***", "确认公开")
    for shown in ("傻逼", "规则 I1", "电话等号码不公开", "房号不公开", "姓名不公开"):
        assert shown in look.text
    await owner.taps("确认公开")
    told = owner.sees("投诉 1 已公开", "改写")
    assert "有些字显示为 ***" in told.text
    for each in (board.sees("保安态度差"), neighbour.sees("保安态度差"), office.sees("保安态度差")):
        assert "全是***。我是***，电话 ***，住***。***和2号楼***的也看见了，刘经理不管" in each.text
    (said,) = building.read(select(Statement))
    assert said.text == words and len(said.why) == 4 and set(said.why[0]) == {"zh", "en"}


@pytest.mark.by_hand
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("晚上10点30到12点，20:30-22:00没人巡逻", ""),
        ("2026-03-01 20:30 至 22:30 在13号楼2单元门口", ""),
        ("物业费 1201 元，停车 300 块一个月，2025年涨到 1504 元", ""),
        ("早高峰 1 号门堵 45 分钟", ""),
        ("公共收益 1,234,567.00 元没公示", ""),
        ("电话139 1234 5678或者021-5555 0110", "电话***或者***"),
        ("楼上1202太吵，3-2-1201和3号楼803", "楼上***太吵，3-2-***和3号楼***"),
        ("周 先生和mr smith吵架，Smithson先生没有", "周 先生和***吵架，Smithson先生没有"),
        ("王师傅和李师傅收红包", ""),
        ("保安都是废物，门口没人管", "保安都是***，门口没人管"),
        ("保安老是在岗亭睡觉，真他妈的废物", "保安老是在岗亭睡觉，真他妈的***"),
        ("楼道垃圾三天没人清，臭得恶心", ""),
        ("ＳＢ物业，电梯三天没修", "***物业，电梯三天没修"),
        ("京A12345和沪 AD·12345天天堵消防通道，1号楼A座12345", "***和***天天堵消防通道，1号楼A座12345"),
        ("代开发票找我，另外路灯不亮", "***找我，另外路灯不亮"),
    ],
)
def test_only_what_is_private_or_abusive_is_masked(building: Building, words: str, shown: str) -> None:
    def work(session: Session) -> str:
        tx = Tx(session, building.clock.now(), building.app.house)
        author = session.exec(select(Person).where(Person.name == "陈女士")).one()
        return masked(tx, building.community.id, author, words).shown

    assert building.app.database.write_now(work) == (shown or words)


async def test_the_kind_typed_in_the_midst_loses_nothing(building: Building, owner: Phone) -> None:
    await owner.says("/complain")
    await owner.says("门口的石墩子挡路")
    owner.sees("是投诉，还是建议？")
    await owner.says("建议")
    await owner.taps("公共设施")
    await owner.says("跳过")
    owner.sees("给谁看")
    await owner.says("投诉")
    await owner.says("1")
    owner.sees("【投诉 · 公共设施】3 号楼\n门口的石墩子挡路", "确认公开")


async def test_what_is_said_twice_stands_there_once(building: Building, owner: Phone) -> None:
    await owner.says(f"投诉：{DIRTY}")
    await owner.says("返回")
    await owner.says(DIRTY)
    await owner.says("已经三天了")
    await owner.says(DIRTY)
    await owner.says("三天了")  # which only stands within a line
    await owner.says("跳过")
    await owner.taps("全小区")
    assert f"】3 号楼\n{DIRTY}\n已经三天了\n三天了\n\n" in owner.last.text


async def test_photos_stay_when_their_sender_goes_back_past_them(
    building: Building, owner: Phone, board: Phone
) -> None:
    await owner.says(f"投诉：{DIRTY}")
    await owner.sends_photo()
    await owner.says("返回")
    owner.sees("关于哪一方面")
    await building.restart()
    await owner.taps("保洁")
    await owner.taps("好了")
    await owner.taps("全小区")
    for _ in range(2):
        await owner.says("返回")
    owner.sees("收到 1 张", "好了")
    await owner.sends_photo(photo(90))
    await owner.taps("好了")
    await owner.taps("全小区")
    await owner.taps("确认公开")
    assert board.sees(DIRTY).photos == 2


async def test_an_answer_typed_twice_is_no_part_of_the_complaint(building: Building, owner: Phone) -> None:
    await owner.says("/complain")
    await owner.says("投诉")
    await owner.says("门口的石墩子挡路")
    for _ in range(2):
        await owner.says("公共设施")
    owner.sees("有照片吗")
    await owner.sends_photo()
    for _ in range(2):
        await owner.says("好了")
    owner.sees("给谁看")
    await owner.taps("全小区")
    assert "】3 号楼\n门口的石墩子挡路\n\n" in owner.last.text


async def test_what_staff_forbid_does_not_blacken_what_is_said_of_them(
    building: Building, owner: Phone, board: Phone
) -> None:
    building.add_rule("C1", "没打扫", "violation")
    await complains(owner)
    assert DIRTY in board.sees("没打扫").text


async def test_what_says_nothing_without_its_abuse_is_asked_again(building: Building, owner: Phone) -> None:
    await owner.says("投诉")
    await owner.says("傻逼！")
    owner.sees("没有内容了。请换个说法")
    await owner.says("?")
    owner.sees("至少 2 个字")
    await owner.says("长" * 2001)
    owner.sees("2001")
    await owner.sends_photo()
    owner.sees("照片收到了")
    await owner.sends_recording("mp4")
    owner.sees("视频")
    await owner.says(DIRTY)
    await owner.taps("好了")
    for _ in range(6):
        await owner.says("返回")
    await owner.says("取消")
    owner.sees("已取消")
    assert complaints(building) == []


async def test_markup_is_shown_as_typed(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    words = "<b>楼道</b> *脏* _很_ [看](http://x) {name} %s 😀&amp;"
    await complains(owner, words)
    assert words in board.sees("楼道").text
    card = office.sees("楼道")
    assert words in card.text
    answer = "<i>已扫</i> **好** {words} & </p>"
    await office.replies(answer, card)
    owner.sees(answer)
    assert answer in board.last.text


async def test_for_one_building_alone_it_stands_in_no_group_and_reaches_its_people(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone, phone: Any
) -> None:
    granny = phone("王奶奶")
    await complains(owner, scope="只给 3 号楼 的人")
    board.sees_nothing()
    granny.sees_nothing()
    neighbour.sees("只给 3 号楼 的人看", "我也有同感")
    card = office.sees("只给 3 号楼 的人看")
    assert entries(building) == []  # the page is everybody's
    for what in ("join", "show"):
        await granny.forges(f"complaint.{what}:1")
        granny.sees("这件事不归您办理")
    assert building.read(select(Joiner)) == []
    await neighbour.taps("我也有同感")
    neighbour.sees("您对投诉 1 也有同感，现在有 1 位邻居", "取消同感")
    await office.replies("今天下午打扫", card)
    owner.sees("今天下午打扫", "解决了")
    neighbour.sees("今天下午打扫")
    board.sees_nothing()
    assert all("今天下午" not in each.text for each in granny.chat.messages)


async def test_neighbours_join_are_counted_and_can_leave(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, phone: Any
) -> None:
    await complains(owner)
    await owner.forges("complaint.join:1")
    owner.sees("是您自己写的")
    tenant = phone("Mr Smith")
    for each in (neighbour, tenant):
        await each.forges("complaint.join:1")
        await each.forges("complaint.join:1")
    assert "另有 2 位邻居有同感" in board.last.text
    await neighbour.says("取消同感")
    neighbour.sees("已取消")
    assert "另有 1 位邻居有同感" in board.last.text
    assert len(building.read(select(Joiner))) == 1
    await neighbour.says("看投诉 1")
    seen = neighbour.sees("另有 1 位邻居有同感", "我也有同感")
    assert "已公开" in seen.text and "陈" not in seen.text
    await neighbour.says("投诉 7")
    neighbour.sees("没有编号 7")
    await neighbour.says("我的")
    assert "投诉 1" not in neighbour.last.text
    await tenant.says("我的")
    tenant.sees("投诉 1 · ")


async def test_its_author_words_it_anew_until_it_is_answered(
    building: Building, owner: Phone, board: Phone, office: Phone, neighbour: Phone
) -> None:
    await complains(owner)
    await owner.taps("改写")
    owner.sees("现在是这样写的", "取消")
    await owner.says("3 号楼楼道五天没打扫，傻逼")
    owner.sees("3 号楼楼道五天没打扫，***", "换上")
    await owner.taps("换上")
    owner.sees("已改好")
    assert "（第 2 版，改于 " in board.last.text and "五天没打扫，***" in board.last.text
    card = office.sees("五天没打扫")
    await neighbour.says("看投诉 1")
    seen = neighbour.sees("五天没打扫")
    assert "三天没打扫" in seen.text and "第 1 版" in seen.text
    await office.replies("今天打扫", card)
    await owner.forges("complaint.reword:1")
    owner.sees("现在是「已答复」")


async def test_it_is_withdrawn_with_its_photos(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await owner.says(f"投诉：{DIRTY}")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.says("1")
    await owner.taps("确认公开")
    await neighbour.taps("我也有同感")
    await owner.says("撤回投诉建议")
    owner.sees("投诉 1 已撤回")
    neighbour.sees("已由写的人撤回")
    assert [each.text for each in board.chat.messages] == ["【投诉 1】已由本人撤回"]
    assert board.last.photos == 0
    assert "没打扫" not in office.last.text
    (entry,) = entries(building)
    assert (entry.title, entry.open) == ("（本人已撤回）", False)
    await neighbour.says("投诉 1")
    assert "没打扫" not in neighbour.last.text
    if building.changes:
        assert not any("没打扫" in each.text for each in neighbour.chat.messages if "同感" not in each.text)


async def test_a_day_has_a_limit(building: Building, owner: Phone) -> None:
    building.set_policy("complaints_a_day", 2)
    for number in range(2):
        await complains(owner, f"楼道第{number}次没打扫")
    await owner.says("投诉")
    owner.sees("这是一天的上限")
    await building.later(days=1, minutes=1)
    await owner.says("投诉")
    owner.sees("请写清楚")


async def test_only_those_who_live_here_complain_and_only_in_their_own_chat(
    building: Building, office: Phone, crew: Phone
) -> None:
    for each in (office, crew):
        await each.says("/complain")
        each.sees("这件事不归您办理")
    assert complaints(building) == []


async def test_who_is_forgotten_has_complained_of_nothing(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.forges("complaint.join:1")
    await owner.says("/mydata")
    assert DIRTY in "".join(each.text for each in owner.chat.messages)
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(minutes=2)
    (complaint,) = complaints(building)
    assert complaint.state == "withdrawn"
    assert building.read(select(Statement.text)) == [""]
    assert "没打扫" not in board.last.text
    neighbour.sees("已由写的人撤回")
    await neighbour.says("/forget")
    await neighbour.taps("确定注销")
    await building.later(minutes=2)
    assert building.read(select(Joiner)) == []


@pytest.mark.by_hand
async def test_two_confirm_the_last_look_at_once(building: Building, owner: Phone) -> None:
    await owner.says(f"投诉：{DIRTY}")
    await owner.says("跳过")
    await owner.says("1")
    label = owner.last.buttons["确认公开"]
    await owner.forges(label)
    await owner.forges(label)
    assert len(complaints(building)) == 1


async def test_for_one_building_alone_it_is_in_its_peoples_digest_until_it_is_withdrawn(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(neighbour, "投诉建议", "每天汇总")
    await complains(owner, scope="只给 3 号楼 的人")
    assert not [each for each in neighbour.chat.messages if "石墩子" in each.text]
    await building.later(days=1)
    digest = neighbour.sees("公示栏今日汇总", "投诉建议 1")
    assert "等物业答复" in digest.text
    await neighbour.taps("投诉建议 1")
    neighbour.sees("只给 3 号楼 的人看")


async def test_of_a_withdrawn_one_nobody_is_offered_what_cannot_be_done(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.taps("我也有同感")
    await owner.taps("撤回投诉建议")
    told = neighbour.sees("已由写的人撤回", "看全文 1")
    assert "取消同感" not in told.buttons
    cards = [each for each in office.chat.messages if "【投诉 1】已由本人撤回" in each.text]
    assert cards and not any("公开的答复" in each.text for each in cards)


async def test_no_building_tells_who_wrote(building: Building, board: Phone, phone: Any) -> None:
    """Building 2 is one home; and who has homes in two buildings writes to the people of one as one of them."""
    smith = phone("Mr Smith")
    await smith.says("投诉：保安晚上睡觉")
    await smith.says("跳过")
    await smith.taps("全小区")
    look = smith.sees("保安晚上睡觉", "确认公开")
    assert "2 号楼" not in look.text
    await smith.taps("确认公开")
    assert "2 号楼" not in board.sees("保安晚上睡觉").text


async def test_of_what_is_for_one_building_no_other_building_is_named(
    building: Building, neighbour: Phone, phone: Any
) -> None:
    neighbours(building, "3号楼,1单元,301,80.00,王奶奶,业主,,,7\n")
    granny = phone("王奶奶")
    await complains(granny, scope="只给 3 号楼 的人")
    assert "1 号楼" not in neighbour.sees("只给 3 号楼 的人看").text


async def test_who_was_down_is_told_that_it_is_late_and_not_that_it_soon_will_be(
    building: Building, owner: Phone, office: Phone
) -> None:
    await complains(owner)
    building.clock.at += timedelta(days=20)
    await building.restart()
    await building.settle()
    office.sees("过期没有答复")
    assert not any("期限快到了" in message.text for message in office.chat.messages)
