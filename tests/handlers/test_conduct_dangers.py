"""Listings, the group and the rules under people in a hurry, spammers, false friends and a late clock."""

from collections.abc import Callable

import pytest
from sqlmodel import col, select

from handlers.inbox import failed
from store.tables import CommunityRule, Listing, Outgoing, Ruling, Talk
from tests.people import Building, Phone

DESK = "出一张实木书桌，1.4米，自提180"
BAD = "出代代券，面值500卖300"
DOUBTFUL = "出一张闪闪券，卖200"


@pytest.fixture(autouse=True)
def ruled(building: Building) -> None:
    """Two rules of the community's own, so that these tests do not depend on the words of the file."""

    building.add_rule("C1", "代代券", "violation")
    building.add_rule("C2", "闪闪券", "hold")


def no_crash(building: Building) -> None:
    with building.app.database.read() as session:
        assert [each.error for each in failed(session)] == []


async def edit(owner: Phone, text: str) -> None:
    await owner.forges("listing.change:1")
    await owner.says("内容")
    await owner.says(text)
    await owner.says("确认发布")


def states(building: Building) -> list[str]:
    return building.read(select(Listing.state).order_by(col(Listing.id)))


def rulings(building: Building) -> list[str]:
    return building.read(select(Ruling.state).order_by(col(Ruling.id)))


async def test_a_report_decides_on_what_stands_there_and_not_on_a_refused_edit(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await owner.offers(DESK)
    await edit(owner, BAD)
    owner.sees("这条信息没有发布")
    await neighbour.forges("listing.report:1")
    office.sees("有邻居举报")
    assert "代代券" not in office.last.text
    await office.taps("没违规，放行 2")
    assert "代代券" not in "".join(each.text for each in board.chat.messages)
    assert building.read(select(Listing.text)) == [DESK]
    await edit(owner, f"{DESK}，可小刀")
    assert building.read(select(Listing.text)) == [f"{DESK}，可小刀"]
    await edit(owner, BAD)
    await neighbour.forges("listing.report:1")
    await office.taps("违规，删除 4")
    assert states(building) == ["refused"]
    no_crash(building)


async def test_a_bad_edit_does_not_end_what_neighbours_reported(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await owner.offers(DESK)
    await neighbour.forges("listing.report:1")
    await edit(owner, DOUBTFUL)
    owner.sees("物业正在看")
    await edit(owner, BAD)
    owner.sees("物业正在看")
    assert rulings(building) == ["held"]
    await office.taps("违规，删除 1")
    assert states(building) == ["refused"]
    no_crash(building)


async def test_an_edit_that_waits_shields_nobody_from_reports(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.offers(DESK)
    await edit(owner, DOUBTFUL)
    for name in ("周先生", "王奶奶", "Mr Smith"):
        await phone(name).forges("listing.report:1")
    await office.taps("违规，删除 1")
    office.sees("有邻居举报\n举报 3 人", "没违规，放行 2")
    owner.sees("有 3 位邻居举报，先不显示")
    assert states(building) == ["held"]
    await office.taps("没违规，放行 2")
    assert building.read(select(Listing.text)) == [DESK]
    no_crash(building)


async def test_the_same_friends_do_not_hide_an_honest_neighbour_again(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.offers(DESK)
    for name in ("周先生", "王奶奶", "Mr Smith"):
        await phone(name).forges("listing.report:1")
    assert states(building) == ["held"]
    await office.taps("没违规，放行 1")
    await phone("王奶奶").forges("listing.report:1")
    assert states(building) == ["open"]
    await edit(owner, f"{DESK}，可小刀")
    await phone("王奶奶").forges("listing.report:1")
    assert states(building) == ["open"]
    await phone("Mr Smith").forges("listing.report:1")
    assert states(building) == ["open"]
    no_crash(building)


async def test_who_is_forgotten_leaves_nothing_that_breaks_the_list_or_the_clock(
    building: Building, owner: Phone, office: Phone
) -> None:
    if building.has_group:
        for words in ("这里有代代券", "这里有闪闪券", "这里有代代券了"):
            await owner.posts(words)
        await owner.taps("判错了，申诉")
    await owner.offers(BAD)
    await owner.offers(DOUBTFUL)
    assert "闪闪券" in office.last.text
    await owner.says("/forget")
    await owner.taps("确定注销")
    assert "发布人已注销" in office.last.text or not building.changes
    await office.says("/rulings")
    office.sees("现在没有待裁定的内容")
    assert set(rulings(building)) == {"moot"}
    assert set(building.read(select(Ruling.text))) == {""}
    kept = str(building.read(select(Outgoing.text)))
    assert "闪闪券" not in kept and "代代券" not in kept
    await building.later(hours=49)
    await office.forges(f"ruling.show:{building.read(select(Ruling.id))[0]}")
    await office.forges(f"ruling.allow:{building.read(select(Ruling.id))[0]}")
    office.sees("不用再办")
    no_crash(building)


async def test_goods_with_dangerous_names_page_nobody_and_a_danger_in_their_midst_does(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    for words in (
        "出一个煤气灶，天然气的，八成新，150",
        "卖煤气罐一个，带阀门，100",
        "整租两居，水电燃气齐全，有电梯，3000",
    ):
        await owner.says(words)
        owner.sees("这是要发布到小区公示栏的信息吗", "发布到公示栏", "不是，是报修")
        await owner.says("取消")
    await owner.says("发布")
    await owner.says("电瓶车充电器，冒过一次烟，修好了，20")
    await owner.says("制氧机，老人走了用不上了")
    crew.sees_nothing()
    office.sees_nothing()
    await owner.says("厨房煤气味好大")
    crew.sees("紧急报修", "接单")
    no_crash(building)


@pytest.mark.in_group
async def test_what_was_judged_in_the_group_is_not_kept_longer_than_the_group_s_words(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.posts("这里有代代券")
    await owner.posts("这里有闪闪券")
    await building.later(days=8)
    assert building.read(select(Ruling.text).order_by(col(Ruling.id))) == ["", "这里有闪闪券"]
    await owner.taps("判错了，申诉")
    owner.sees("裁定 1 不用办了")
    await office.forges(f"ruling.show:{building.read(select(Ruling.id).order_by(col(Ruling.id)))[0]}")
    office.sees("裁定 1 · 业主群消息 · 已删除")
    await owner.says("/mydata")
    await building.later(minutes=5)
    await owner.posts("这里也有代代券")
    owner.sees("第 2 次")
    no_crash(building)


@pytest.mark.by_hand  # everybody on Telegram's test server has a chat
async def test_a_name_that_is_an_advert_is_not_spread_by_us(building: Building, board: Phone) -> None:
    await building.phone("代代券加我").posts("这里有代代券")
    shown = board.sees("有人 的消息不合小区的规则")
    assert "代代券" not in shown.text


async def test_staff_at_once_and_in_a_hurry_change_the_rules(building: Building, office: Phone) -> None:
    number = building.read(select(CommunityRule.id).order_by(col(CommunityRule.id)))[0]
    other = building.group("李主任")
    await office.forges(f"rule.drop:{number}")
    await other.forges(f"rule.drop:{number}")
    await office.says("撤下")
    office.sees("已撤下：C1 代代券")
    await other.says("撤下")
    office.sees("这个选项已经不能用了")
    assert building.read(select(Talk)) == []
    await office.says("/rules")
    await office.taps("加一个词")
    for words in ("+", ".*", "…", "、", "👍"):
        await office.says(words)
        office.sees("没看懂是哪些词", "取消")
    await office.sends_photo()
    await office.says("出" * 300)
    office.sees("要加哪些词？")
    await office.says("的")
    await office.says("返回")
    await office.says("出、[a-z]+、(")
    await office.taps("直接删除")
    assert "试了" not in office.last.text
    await office.taps("返回")
    await office.taps("直接删除")
    await office.taps("广告推广")
    await building.restart()
    await office.taps("跳过")
    office.sees("会误拦", "生效", "修改")
    await office.taps("修改")
    await office.taps("词")
    await office.says("!!!")
    office.sees("没看懂是哪些词")
    await office.says("晶晶卡")
    office.sees("没有误拦", "生效")
    for part, answer in (("处理", "先等物业看"), ("类别", "诈骗借贷")):
        await office.taps("修改")
        await office.taps(part)
        await office.taps(answer)
        office.sees("没有误拦", "生效")
    await office.taps("生效")
    office.sees("已生效")
    no_crash(building)


@pytest.mark.in_group
async def test_the_group_bears_whatever_is_written_there(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    building.set_policy("silence_hours", "")
    for words in ("这里有代代券甲", "这里有代代券乙"):
        await owner.posts(words)
        await owner.taps("判错了，申诉")
        await office.taps(f"没违规，放行 {len(rulings(building))}")
    for words in ("这里有代代券甲", "这里有代代券乙", "好"):  # each of which staff let stand
        await neighbour.posts(words)
    assert len(building.talk) == 3
    no_crash(building)
    for words in ("代代券" * 1365, "👍" * 2000, "/help@bot 代代券", "/link 代代券", "🐔" * 40, "．" * 4000):
        await building.later(minutes=5)
        await owner.posts(words)
    assert not [each for each in building.talk if each.startswith(("代代券", "/"))]
    await owner.taps("判错了，申诉")
    await office.says("/rulings")
    office.sees("待裁定 1 条")
    no_crash(building)


async def test_an_edit_begun_before_three_reports_brings_nothing_back(
    building: Building, owner: Phone, office: Phone, board: Phone, phone: Callable[[str], Phone]
) -> None:
    await owner.offers(DESK)
    await owner.forges("listing.change:1")
    await owner.says("内容")
    await owner.says(f"{DESK}，可小刀")
    for name in ("周先生", "王奶奶", "Mr Smith"):
        await phone(name).forges("listing.report:1")
    await owner.says("确认发布")
    owner.sees("物业正在看")
    assert states(building) == ["held"]
    await office.taps("没违规，放行 1")
    await owner.says("确认发布")
    assert building.read(select(Listing.text)) == [f"{DESK}，可小刀"]
    no_crash(building)


async def test_what_was_refused_can_be_taken_off_one_s_list(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.offers(BAD)
    await owner.says("判错了，申诉")
    await owner.says("撤下信息")
    owner.sees("信息 1（代代券）已撤下")
    assert (states(building), rulings(building)) == (["withdrawn"], ["moot"])
    await owner.says("我的")
    assert "代代券" not in owner.last.text
    await building.later(hours=25)
    await office.forges("ruling.allow:1")
    office.sees("已改过或撤回")
    no_crash(building)


async def test_nobody_rings_at_staff_again_and_again(
    building: Building, owner: Phone, office: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.conduct.MOST_A_DAY", 2)
    await owner.offers(BAD)
    await owner.says("判错了，申诉")
    await edit(owner, DOUBTFUL)
    owner.sees("要等物业看一下")
    await edit(owner, f"{DOUBTFUL}，可小刀")
    owner.sees("今天已经请物业裁定了 2 次")
    assert rulings(building) == ["moot", "held"]
    await edit(owner, BAD)
    await owner.forges(f"ruling.appeal:{max(building.read(select(Ruling.id)))}")
    owner.sees("今天已经请物业裁定了 2 次")
    await building.later(days=1)
    await owner.forges(f"ruling.appeal:{max(building.read(select(Ruling.id)))}")
    owner.sees("已申诉（裁定 3）")
    no_crash(building)
