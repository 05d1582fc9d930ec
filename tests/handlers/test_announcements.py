"""Notices of the property office, as talks: written, sent, corrected, withdrawn, read."""

import pytest
from sqlmodel import Session, select

from conversations.announcement import NoSuch, places_in, title_in
from conversations.said import File
from handlers.people import new_person
from handlers.tx import Tx
from store.tables import Announcement, Edition, Entry, Home, HomeRole, Media, Notice, Person, Reading, Role
from tests.handlers.test_preferences import chooses
from tests.people import Building, Phone

WORDS = "3月5日 9:00 到 17:00 停水。\n水箱清洗，请提前储水。"
PDF = b"%PDF-1.7 a plan"


async def writes(office: Phone, words: str = WORDS, *taps: str, send: bool = True) -> None:
    """A notice from the first word to the last look, with some settings changed by taps, and sent."""
    await office.says(f"/notice {words}")
    for label in taps:
        await office.taps(label)
    if send:
        await office.taps("发出去")


def pinned(board: Phone) -> list[str]:
    """The words of what is pinned in the community's group, without the first line."""
    return [each.text.partition("\n")[2] for each in board.chat.messages if each.pinned]


def rows(building: Building) -> list[Announcement]:
    return building.read(select(Announcement).order_by(Announcement.id))


# --- written and sent -------------------------------------------------------------------------------


async def test_a_notice_in_one_line_reaches_everybody_and_is_pinned(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await office.says(f"/notice {WORDS}")
    look = office.sees("业主会看到：", "发出去", "换范围", "只发业主", "要已读", "改为紧急", "换时间", "修改")
    assert f"📢 通知\n{WORDS}" in look.text
    assert "发给：全小区的业主和住户（5 户、4 人）\n马上发出" in look.text
    await building.restart()
    await office.taps("发出去")
    office.sees(
        "📢 通知 1「3月5日 9:00 到 17:00 停水」", "更正", "撤回通知", "没送到的", "最新数字", "看全文"
    )
    for phone in (owner, neighbour):
        assert not phone.sees(f"📢 通知 1\n{WORDS}").silent
    board.sees(f"📢 通知 1\n{WORDS}")
    assert pinned(board) == [WORDS]
    (made,) = rows(building)
    assert (made.state, made.number, made.version, made.audience) == (
        "sent",
        1,
        1,
        {"places": [], "owners": False},
    )
    assert building.read(select(Entry.kind)) == ["announcement"]
    await office.taps("最新数字")
    office.sees("送到 4 · 等着送 0 · 没发成 0 · 联系不上 0")


async def test_step_by_step_with_a_photo_and_a_file(building: Building, owner: Phone, office: Phone) -> None:
    await office.says("发通知")
    office.sees("要通知什么？", "取消")
    await office.says("通知\n各位业主：\n电梯年检，请看附件")
    assert "标题" not in office.last.text
    office.sees("📢 通知 · 电梯年检，请看附件\n通知\n各位业主：")
    await office.sends_photo()
    office.sees("收到 1 张", "好了")
    await office.sends_file(PDF, "年检报告.pdf")
    office.sees("收到 2 个")
    await office.taps("好了")
    assert office.sees("业主会看到").photos == 2
    await office.taps("发出去")
    assert owner.sees("📢 通知 1").photos == 2 or not building.changes
    kept = building.read(select(Media.kind, Media.name).order_by(Media.id))
    assert [tuple(each) for each in kept] == [("photo", ""), ("file", "年检报告.pdf")]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("3号楼", [["3"]]),
        ("3、5号楼", [["3"], ["5"]]),
        ("三号楼2单元", [["3", "2"]]),
        ("3号楼1、2单元和5栋的业主", [["3", "1"], ["3", "2"], ["5"]]),
        ("３－２", [["3", "2"]]),
        ("3到5号楼", [["3"], ["4"], ["5"]]),
        ("全小区", []),
        ("Building 3, A座", [["3"], ["A"]]),
        ("12号楼", [["12"]]),
        ("全部业主", []),
    ],
)
def test_places_are_read_leniently(typed: str, found: list[list[str]]) -> None:
    there = {"3": ["1", "2"], "4": [], "5": ["1"], "12": ["1"], "A": ["1"]}
    assert places_in(typed, there) == found


@pytest.mark.parametrize(
    ("typed", "building", "entrance"),
    [
        ("9号楼", "9", ""),
        ("3号楼5单元", "3", "5"),
        ("3、9号楼", "9", ""),
        ("东门", "东门", ""),
        ("1号楼", "1", ""),
    ],
)
def test_what_does_not_exist_is_named(typed: str, building: str, entrance: str) -> None:
    with pytest.raises(NoSuch) as caught:
        places_in(typed, {"3": ["1", "2"], "12": ["1"]})
    assert (caught.value.building, caught.value.entrance) == (building, entrance)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("停水通知", "停水通知"),
        ("通知\n各位业主：\n明天停水。请储水", "明天停水。请储水"),
        ("尊敬的业主：\n" + "因小区供水管道检修，" * 5, "因小区供水管道检修"),
        ("停" * 60, "停" * 39 + "…"),
        ("🚰🚰 123", ""),
        ("<b>停水</b> *明天*", "<b>停水</b> *明天*"),
    ],
)
def test_a_title_is_read_in_the_first_words(text: str, title: str) -> None:
    assert title_in(text) == title


async def test_a_title_that_cannot_be_read_is_asked_for(
    building: Building, owner: Phone, office: Phone
) -> None:
    await office.says("/notice 🚰 3.5 9:00-17:00 !!")
    office.sees("给这条通知起个标题")
    await office.says("3月5日停水")
    await office.taps("发出去")
    owner.sees("📢 通知 1 · 3月5日停水\n🚰 3.5 9:00-17:00 !!")


async def test_chosen_buildings_and_owners_only(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    granny = building.phone("王奶奶")
    await office.says("/notice 电梯年检")
    await office.taps("换范围")
    office.sees("发给哪里？", "全小区", "1 号楼", "3 号楼")
    await office.says("9号楼")
    office.sees("没有「9」。有：1、2、3。")
    await office.says("3号楼7单元")
    office.sees("3 号楼没有 7 单元。有：")
    await office.says("3号楼2单元")
    office.sees("发给：3 号楼 2 单元的业主和住户（")
    await office.taps("只发业主")
    office.sees("发给：3 号楼 2 单元的业主（", "住户也发")
    await office.taps("发出去")
    owner.sees("📢 通知 1\n电梯年检")
    granny.sees_nothing()
    assert not any("电梯年检" in each.text for each in board.chat.messages)
    assert building.read(select(Entry)) == []  # what is for owners only stands on no public page
    assert rows(building)[0].audience == {"places": [["3", "2"]], "owners": True}


async def test_a_notice_for_one_building_stands_under_it_alone(building: Building, office: Phone) -> None:
    await office.says("/notice 电梯年检")
    await office.taps("换范围")
    await office.says("3号楼")
    await office.taps("发出去")
    (entry,) = building.read(select(Entry))
    assert (entry.building, entry.wide, entry.open, entry.title) == ("3", False, True, "电梯年检")


# --- when -------------------------------------------------------------------------------------------


async def test_what_is_ordinary_waits_for_the_morning_and_what_is_urgent_does_not(
    building: Building, owner: Phone, office: Phone
) -> None:
    await building.later(hours=14)  # 23:00
    await writes(office, send=False)
    assert "定于 3月3日周二 08:30 发出（夜里不打扰" in office.last.text or "明天 08:30" in office.last.text
    await office.taps("发出去")
    office.sees("📢 通知 1", "现在发", "改通知", "不发了")
    owner.sees_nothing()
    await office.taps("现在发")
    office.sees("现在是休息时间，通知 1")
    owner.sees_nothing()
    await writes(office, "燃气泄漏，请马上到室外", "改为紧急")
    urgent = owner.sees("🔴 紧急通知 2\n燃气泄漏")
    assert not urgent.silent
    (row,) = building.read(select(Notice).where(Notice.about == "announcement:2"))
    assert (row.wish, row.lane) == ("", 2)
    await building.restart()
    await building.later(hours=10)
    owner.sees("📢 通知 1")


async def test_later_is_changed_dropped_and_survives_a_restart(
    building: Building, owner: Phone, office: Phone
) -> None:
    await office.says("/notice 周末消杀")
    await office.taps("换时间")
    office.sees("什么时候发？", "马上发", "明天 9:00")
    await office.says("昨天")
    office.sees("没看懂时间，或者已经过了")
    await office.says("2026-03-01 9:00")
    office.sees("没看懂时间，或者已经过了")
    await office.says("明天 10点")
    office.sees("定于")
    await office.taps("发出去")
    office.sees("定于 3月3日周二 10:00 发出")
    await office.taps("改通知")
    office.sees("周末消杀", "发出去")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("周六消杀，请关好门窗")
    await office.taps("发出去")
    await building.restart()
    await building.later(hours=25, minutes=30)
    owner.sees("周六消杀，请关好门窗")
    assert building.read(select(Edition.version)) == [1]
    await office.says("/notice 不发的")
    await office.taps("换时间")
    await office.says("后天 9:00")
    await office.taps("发出去")
    await office.taps("不发了")
    office.sees("不发了，谁也没有收到")
    await building.later(days=3)
    assert not any("不发的" in each.text for each in owner.chat.messages)


async def test_a_time_that_passes_under_the_last_look_is_asked_for_again(
    building: Building, office: Phone
) -> None:
    await office.says("/notice 周末消杀")
    await office.taps("换时间")
    await office.says("今天 10:00")
    await building.later(hours=2)
    await office.taps("发出去")
    office.sees("定的时间已经过了")
    assert rows(building) == []
    await office.taps("换时间")
    await office.taps("马上发")
    await office.taps("发出去")
    assert [each.state for each in rows(building)] == ["sent"]


async def test_the_group_decides_on_what_somebody_planned_who_has_left(
    building: Building, owner: Phone, office: Phone
) -> None:
    await office.says("/notice 周末消杀")
    await office.taps("换时间")
    await office.says("明天 10点")
    await office.taps("发出去")
    colleague = building.group("王奶奶")
    await colleague.says("/notices")

    def leaves(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "刘经理")).one()
        for role in session.exec(select(Role).where(Role.person_id == person.id)).all():
            session.delete(role)

    building.app.database.write_now(leaves)
    await building.later(hours=26)
    colleague.sees("❗ 通知 1「周末消杀」到了发出的时间，但写的人（刘经理）已经不在物业", "现在发", "不发了")
    owner.sees_nothing()
    await building.later(days=1)  # nobody has decided: the group is asked again
    colleague.sees("❗ 通知 1")
    owner.sees_nothing()
    await colleague.taps("现在发")
    owner.sees("📢 通知 1\n周末消杀")
    (made,) = rows(building)
    names = building.read(select(Person.name).where(Person.id == made.person_id))
    assert (made.state, names) == ("sent", ["王奶奶"])


# --- corrected and withdrawn ------------------------------------------------------------------------


async def test_a_correction_reaches_whoever_got_the_first(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await writes(office, "3月5日停水")
    owner.sees("📢 通知 1\n3月5日停水")
    await office.taps("更正")
    look = office.sees("📢 通知 1 · 更正（第 2 版）\n3月5日停水", "发出去", "修改")
    assert "改为紧急" not in look.buttons
    await office.taps("发出去")
    office.sees("内容没有变，没有发更正")
    await office.taps("更正")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("3月6日停水")
    await office.taps("发出去")
    owner.sees("📢 通知 1 · 更正（第 2 版）\n3月6日停水")
    if building.changes:
        assert any(
            each.text == "⚠️ 这一版已更正，请看第 2 版。\n\n📢 通知 1\n3月5日停水"
            for each in owner.chat.messages
        )
    standing = [each.text for each in board.chat.messages if "通知 1" in each.text]
    assert standing == ["📢 通知 1 · 更正（第 2 版）\n3月6日停水"]
    assert pinned(board) == ["3月6日停水"]
    await owner.says("/notices")
    owner.sees("1 · 3月6日停水", "通知 1")
    await owner.taps("通知 1")
    owner.sees("以前的版本：\n第 1 版")
    assert [each.text for each in building.read(select(Edition).order_by(Edition.id))] == [
        "3月5日停水",
        "3月6日停水",
    ]


async def test_a_correction_with_another_photo_replaces_the_board_s_message(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await writes(office, "停水范围见图")
    await office.taps("更正")
    await office.sends_photo()
    await office.taps("好了")
    await office.taps("发出去")
    standing = [each for each in board.chat.messages if "通知 1" in each.text]
    assert [each.photos for each in standing] == [1]
    assert pinned(board) == ["停水范围见图"]


async def test_who_lives_there_no_more_hears_of_the_correction(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await writes(office, "停水", send=False)
    await office.taps("换范围")
    await office.says("3-2")
    await office.taps("发出去")
    owner.sees("停水")

    def narrows(session: Session) -> None:
        made = session.exec(select(Announcement)).one()
        made.audience = {"places": [["1"]], "owners": False}
        session.add(made)

    building.app.database.write_now(narrows)
    await office.taps("更正")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("不停水了")
    await office.taps("发出去")
    owner.sees("不停水了")
    building.phone("王奶奶").sees("不停水了")


async def test_a_withdrawal_says_why_and_nothing_is_pinned_any_more(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await writes(office, "3月5日停水")
    await office.taps("撤回通知")
    office.sees("为什么撤回通知 1")
    await office.says("停水改期")
    await office.taps("确认撤回")
    owner.sees("⛔ 通知 1「3月5日停水」已撤回，请不要照着做。\n原因：停水改期")
    assert pinned(board) == []
    assert [each.text for each in board.chat.messages if "通知 1" in each.text] == [
        "⛔ 已撤回：停水改期\n\n📢 通知 1\n3月5日停水"
    ]
    (entry,) = building.read(select(Entry))
    assert not entry.open
    await office.forges("announcement.correct:1")
    office.sees("这一步不能做了")


async def test_two_of_the_staff_at_one_correction(building: Building, office: Phone) -> None:
    colleague = building.group("王奶奶")
    await writes(office, "停水")
    await colleague.taps("更正")
    await office.taps("更正")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("停水一天")
    await office.taps("发出去")
    await colleague.says("发出去")  # said to colleagues: the form has been closed
    assert [each.text for each in building.read(select(Edition).order_by(Edition.id))] == ["停水", "停水一天"]


# --- read -------------------------------------------------------------------------------------------


async def test_who_has_read_it_is_counted_and_the_others_are_reminded_once(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await writes(office, "消防演习", "要已读")
    owner.sees("看完请点「已读」" if building.changes else "已读", "已读")
    await owner.taps("已读")
    assert len(building.read(select(Reading))) == 1
    await office.taps("最新数字")
    office.sees("已读 1/4 人（")
    await office.taps("没读的")
    office.sees("户没人点已读。请打电话或上门：")
    assert "周先生" in office.last.text and "陈女士" not in office.last.text
    await building.later(days=2, hours=1)
    neighbour.sees("通知 1「消防演习」还等您点「已读」", "已读", "看全文")
    owner.sees_nothing()
    await neighbour.says("收到")
    neighbour.sees("您已读。谢谢")
    assert len(building.read(select(Reading))) == 2
    await building.later(days=5)
    neighbour.sees_nothing()
    await owner.forges("announcement.read:1")
    assert len(building.read(select(Reading))) == 2


async def test_a_correction_asks_anew_whether_it_was_read(
    building: Building, owner: Phone, office: Phone
) -> None:
    await writes(office, "消防演习", "要已读")
    await owner.taps("已读")
    await office.taps("更正")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("消防演习改到周日")
    await office.taps("发出去")
    await office.taps("最新数字")
    office.sees("已读 0/4 人")
    await owner.taps("已读")
    await office.taps("最新数字")
    office.sees("已读 1/4 人")


# --- the ledger -------------------------------------------------------------------------------------


async def test_whom_nothing_reaches_is_counted_and_listed(building: Building, office: Phone) -> None:
    def settles(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        home = session.exec(select(Home).where(Home.room == "1202")).one()
        person = new_person(tx, building.community.id, "赵先生")
        other = Home(community_id=building.community.id, building="3", entrance="2", room="1203", area=1)
        session.add(other)
        session.flush()
        assert home.id
        row = {"community_id": building.community.id, "home_id": other.id, "person_id": person.id}
        session.add(HomeRole(**row, role="owner"))

    building.app.database.write_now(settles)
    await writes(office)
    await office.taps("最新数字")
    office.sees("送到 4 · 等着送 0 · 没发成 0 · 联系不上 1")
    await office.taps("没送到的")
    office.sees("户没送到")
    assert "3 号楼 2 单元 1203 赵先生" in office.last.text


# --- bad input --------------------------------------------------------------------------------------


async def test_only_staff_write_notices_and_others_hear_how(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.says("/notice 我要发通知")
    owner.sees("通知由物业在管理群里发")
    await building.phone("刘经理").says("/notice")
    building.phone("刘经理").sees("通知由物业在管理群里发")
    await writes(office)
    for value in ("announcement.correct:1", "announcement.withdraw:1", "announcement.canvass:1"):
        await owner.forges(value)
        owner.sees("这件事不归您办理")


@pytest.mark.parametrize(
    "words", ["<b>停水</b>", "*停水* [a](http://x) `y`", "{title} {0}", "停水 %s \\n", "🚰停水"]
)
async def test_words_are_shown_as_typed(building: Building, owner: Phone, office: Phone, words: str) -> None:
    await writes(office, words)
    owner.sees(f"📢 通知 1\n{words}")


async def test_words_that_are_too_long_make_no_form(building: Building, office: Phone) -> None:
    await office.says("/notice " + "停水" * 1600)
    office.sees("写了 3200 个字，有点长，最多 3000 个字")
    await office.says("/notice " + "停水，" * 990)
    office.sees("业主会看到")
    await office.taps("发出去")
    assert [each.state for each in rows(building)] == ["sent"]


@pytest.mark.by_hand
async def test_a_file_that_is_too_large_or_of_another_kind(building: Building, office: Phone) -> None:
    large = File(kind="file", name="图纸.pdf", problem="too_large")
    await office.says("/notice 见附件", files=[large])
    office.sees("文件最多 20 MB")
    await office.says("发出去")
    assert rows(building) == []
    await office.says("/notice 见附件")
    await office.says("", files=[large])
    office.sees("文件最多 20 MB", "发出去")
    await office.sends_file(b"MZ", "virus.exe")
    office.sees("这种文件不能随通知发")
    await office.taps("发出去")
    assert building.read(select(Media)) == []


async def test_a_stale_form_of_a_colleague_is_theirs(building: Building, office: Phone) -> None:
    colleague = building.group("王奶奶")
    await office.says("/notice 停水")
    await colleague.taps("发出去")
    colleague.sees("这是刘经理正在填的")
    await office.taps("发出去")
    assert len(rows(building)) == 1


async def test_a_notice_for_owners_only_is_in_the_digest_of_who_chose_one(
    building: Building, owner: Phone, office: Phone
) -> None:
    """It has no line on the board, and nobody may miss it for that."""
    await chooses(owner, "物业通知", "每天汇总")
    await writes(office, "物业费调整说明会周六上午九点，在物业办公室。", "只发业主")
    assert not [each for each in owner.chat.messages if "说明会" in each.text]
    await building.later(days=1)
    owner.sees("说明会周六上午九点", "通知 1")
    await owner.taps("通知 1")
    owner.sees("在物业办公室")


async def test_a_notice_that_was_withdrawn_before_a_digest_does_not_come(
    building: Building, owner: Phone, office: Phone
) -> None:
    await chooses(owner, "物业通知", "每天汇总")
    await writes(office, "物业费调整说明会周六上午九点，在物业办公室。", "只发业主")
    await office.taps("撤回通知")
    await office.says("改期了")
    await office.taps("确认撤回")
    await building.later(days=1)
    assert not [each for each in owner.chat.messages if "在物业办公室" in each.text]


async def test_a_notice_whose_time_passed_while_we_were_away_is_not_sent_by_itself(
    building: Building, owner: Phone, office: Phone
) -> None:
    await office.says("/notice 今晚八点到十点停电检修")
    await office.taps("换时间")
    await office.says("今天 15:00")
    await office.taps("发出去")
    await building.later(hours=11)  # nobody was there at its time
    office.sees("今晚八点到十点停电检修", "现在发", "改通知", "不发了")
    await office.says("待办")
    office.sees("等决定发不发的通知 1（超期 1）")
    assert not any("停电" in each.text for each in owner.chat.messages)
    await building.restart()
    await office.taps("不发了")
    office.sees("不发了，谁也没有收到")
    await building.later(days=2)
    assert not any("停电" in each.text for each in owner.chat.messages)


async def test_a_correction_is_written_straight_under_its_last_look(
    building: Building, owner: Phone, office: Phone
) -> None:
    await writes(office)
    await office.taps("更正")
    office.sees("把改好的全文发来", "发出去")
    await office.says("3月6日 9:00 到 17:00 停水。\n请提前储水。")
    look = office.sees("3月6日 9:00 到 17:00 停水。\n请提前储水。", "发出去")
    assert "3月5日" not in look.text
    await office.taps("发出去")
    owner.sees("更正（第 2 版）\n3月6日")


async def test_the_numbers_of_a_notice_stand_in_lines_of_their_own(building: Building, office: Phone) -> None:
    await writes(office, WORDS, "要已读")
    assert "4 人）\n送到 " in office.last.text and "联系不上 0\n已读 0/4 人" in office.last.text


async def test_the_number_of_a_notice_opens_it_for_whom_it_is(
    building: Building, owner: Phone, office: Phone
) -> None:
    await writes(office)
    await owner.says("通知 1")
    owner.sees(f"📢 通知 1\n{WORDS}\n\n———\n")
    await owner.says("看通知2")
    owner.sees("没有编号 2 的通知")
    await office.says("通知 1")
    office.sees("📢 通知 1「", "更正", "撤回通知")
    await writes(office, "物业费说明会周六开。", "只发业主")
    tenant = building.phone("Mr Smith")
    await tenant.says("通知 2")
    tenant.sees("没有编号 2 的通知")


async def test_a_correction_at_night_says_that_it_rings(building: Building, office: Phone) -> None:
    await writes(office)
    await building.later(hours=14)  # 23:00
    await office.taps("更正")
    office.sees("现在是休息时间，收到的人手机会响")


@pytest.mark.parametrize("word", ["已读", "收到"])
async def test_a_word_of_having_read_is_said_of_what_still_asks(
    building: Building, owner: Phone, office: Phone, word: str
) -> None:
    await writes(office, "消防演习周六上午", "要已读")
    await writes(office, "周五停水半天", "要已读")
    await office.taps("撤回通知")
    await office.says("不停了")
    await office.taps("确认撤回")
    await owner.says(word)
    owner.sees("已记下：通知 1「消防演习周六上午」您已读")
    assert [each.announcement_id for each in building.read(select(Reading))] == [1]
