"""What members say in the community's group: judged, taken out, told, brought back."""

import pytest
from sqlmodel import col, select

from store.tables import Example, Inbox, Member, Person, Post, Role, Ruling
from tests.people import Building, Phone

pytestmark = [pytest.mark.playground, pytest.mark.in_group]

BAD = "这里有蓝词甲，快来"
DOUBTFUL = "这里有绿词乙，看看"
FINE = "今晚小区停水到几点？"
GONE = "您在业主群里的一条消息已删除"


@pytest.fixture(autouse=True)
def rules(building: Building) -> None:
    """Rules of this community alone, so that the file may change: one for what goes, one for what is doubtful."""

    building.add_rule("C甲", "蓝词甲", "violation", "不要写蓝词甲")
    building.add_rule("C乙", "绿词乙", "hold", "不要写绿词乙")


def rulings(building: Building) -> list[tuple[str, str]]:
    """Each ruling's state and category."""
    return [(each.state, each.category) for each in building.read(select(Ruling).order_by(col(Ruling.id)))]


def is_unanswered(phone: Phone) -> bool:
    return not any(not message.seen for message in phone.chat.messages)


# --- what breaks a rule -----------------------------------------------------------------------------


async def test_what_breaks_a_rule_goes_at_once_and_its_author_hears_why(
    building: Building, owner: Phone, neighbour: Phone, board: Phone
) -> None:
    await owner.posts(FINE)
    await owner.posts(BAD)
    assert building.talk == [FINE]
    told = owner.sees(GONE, "判错了，申诉").text
    assert all(words in told for words in (BAD, "不要写蓝词甲", "「蓝词甲」", "30 天内第 1 次"))
    for other in (board, neighbour):
        other.sees_nothing()


async def test_a_wrong_judgement_is_undone_within_two_taps_and_is_not_made_again(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await owner.posts(BAD)
    await owner.taps("判错了，申诉")
    owner.sees("已申诉")
    await office.taps("没违规，放行 1")
    board.sees(f"陈女士（3 号楼）的消息已恢复：\n\n{BAD}")
    owner.sees("已按原样放回业主群")
    await owner.posts("这里有 蓝 词 甲！快来")
    assert building.talk == ["这里有 蓝 词 甲！快来"]
    assert rulings(building) == [("restored", "ad")]


async def test_a_clean_message_that_is_edited_into_an_advert_goes(building: Building, owner: Phone) -> None:
    number = await owner.posts(FINE)
    await owner.posts(f"{FINE} 还有蓝词甲", edits=number)
    assert building.talk == []
    owner.sees(GONE)
    (post,) = building.read(select(Post))
    assert post.edited_at is not None and "蓝词甲" in post.text


async def test_a_command_in_front_of_an_advert_does_not_help(
    building: Building, owner: Phone, board: Phone
) -> None:
    await owner.posts(f"/help {BAD}")
    assert building.talk == []
    owner.sees(GONE)
    board.sees_nothing()
    await owner.posts("/help")
    assert building.talk == ["/help"]
    board.sees("请私聊我")


async def test_the_property_s_own_people_are_not_judged(building: Building) -> None:
    await building.phone("刘经理").posts(BAD)
    assert building.talk == [BAD] or building.messenger == "browser"  # which shows what is judged
    assert building.read(select(Post)) == []


# --- what is doubtful -------------------------------------------------------------------------------


async def test_what_a_neighbour_says_stays_until_staff_have_decided(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await owner.posts(DOUBTFUL)
    assert building.talk == [DOUBTFUL]
    assert "还留在群里" in owner.sees("要等物业看一下").text
    office.sees(DOUBTFUL, "没违规，放行 1", "违规，删除 1")
    await office.taps("违规，删除 1")
    assert building.talk == []
    owner.sees("30 天内第 1 次")
    owner.sees("确实不能发在群里")
    await owner.posts(DOUBTFUL)
    assert building.talk == []
    owner.sees("同样的内容，物业裁定过违规")


async def test_what_staff_let_stand_is_not_asked_again(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await owner.posts(DOUBTFUL)
    await office.taps("没违规，放行 1")
    owner.sees("没有违规")
    board.sees_nothing()
    await neighbour.posts(DOUBTFUL)
    assert building.talk == [DOUBTFUL, DOUBTFUL]
    assert rulings(building) == [("restored", "ad")]
    assert [each.label for each in building.read(select(Example))] == ["ok"]


async def test_what_is_put_right_by_an_edit_need_not_be_decided(
    building: Building, owner: Phone, office: Phone
) -> None:
    number = await owner.posts(DOUBTFUL)
    await owner.posts(FINE, edits=number)
    assert rulings(building) == [("moot", "ad")]
    assert building.talk == [FINE]


async def test_a_stranger_s_first_doubtful_message_is_put_aside(
    building: Building, office: Phone, board: Phone
) -> None:
    stranger = building.phone("生人")
    await stranger.posts(DOUBTFUL)
    assert building.talk == []
    office.sees(DOUBTFUL, "没违规，放行 1")
    await office.taps("没违规，放行 1")
    board.sees(f"的消息已恢复：\n\n{DOUBTFUL}")
    await stranger.posts(f"{DOUBTFUL} 另一条")
    assert building.talk == [f"{DOUBTFUL} 另一条"]  # they are known in the group by now


# --- again and again --------------------------------------------------------------------------------


async def test_the_ladder_warns_and_then_silences_for_a_time_that_ends_by_itself(
    building: Building, owner: Phone
) -> None:
    async def breaks(number: int) -> str:
        await building.later(minutes=5)
        await owner.posts(f"{BAD} {number}")
        return owner.sees(GONE).text

    assert "第 1 次，先提醒" in await breaks(1)
    assert "第 2 次，警告一次；再有一次，会在群里禁言 1 小时" in await breaks(2)
    assert not building.is_silent("陈女士")
    for number, hours in ((3, 1), (4, 24), (5, 168), (6, 168)):
        assert f"第 {number} 次，您在群里禁言到" in await breaks(number)
        await building.later(hours=hours, minutes=-1)
        assert building.is_silent("陈女士")
        await building.later(minutes=1)
        assert not building.is_silent("陈女士")
    await building.later(days=31)
    assert "第 1 次" in await breaks(7)


async def test_a_silence_ends_with_the_ruling_that_brought_it(
    building: Building, owner: Phone, office: Phone
) -> None:
    for number in (1, 2, 3):
        await building.later(minutes=5)
        await owner.posts(f"{BAD} {number}")
    assert building.is_silent("陈女士")
    await owner.taps("判错了，申诉")
    await office.taps("没违规，放行 3")
    assert not building.is_silent("陈女士")
    await owner.posts(FINE)
    assert building.talk == [FINE]


async def test_the_committee_is_judged_but_never_silenced(
    building: Building, owner: Phone, office: Phone
) -> None:
    (chen,) = building.read(select(Person).where(Person.name == "陈女士"))
    role = Role(community_id=chen.community_id, person_id=chen.id, role="committee")
    building.app.database.write_now(lambda session: session.add(role))
    for number in (1, 2, 3, 4):
        await building.later(minutes=5)
        await owner.posts(f"{BAD} {number}")
    assert "第 4 次，请留意" in owner.sees(GONE).text
    assert not building.is_silent("陈女士")
    assert building.talk == []


# --- floods, and what is said in pieces -------------------------------------------------------------


async def test_the_same_three_times_is_one_thing(building: Building, owner: Phone, office: Phone) -> None:
    for _ in range(6):
        await owner.posts("有没有人一起拼车去机场", at_once=True)
    await building.settle()
    assert building.talk == ["有没有人一起拼车去机场"]
    owner.sees("发得太快，多出来的已收走", "判错了，申诉")
    assert is_unanswered(owner)
    assert rulings(building) == [("deleted", "flood")]


async def test_a_flood_is_cut_off_with_one_word_and_one_strike(building: Building, owner: Phone) -> None:
    for number in range(20):
        await owner.posts(f"第 {number} 句闲话", at_once=True)
    await building.settle()
    assert building.talk == [f"第 {number} 句闲话" for number in range(7)]
    assert "10 秒内发了 8 条" in owner.sees("发得太快").text
    assert is_unanswered(owner)
    await building.later(seconds=11)
    await owner.posts(FINE)
    assert building.talk[-1] == FINE


async def test_the_same_advert_many_times_is_one_ruling(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    for _ in range(5):
        await owner.posts(BAD, at_once=True)
    await building.settle()
    assert building.talk == []
    owner.sees("第 1 次")
    assert is_unanswered(owner)
    assert rulings(building) == [("deleted", "ad")]


async def test_short_answers_are_no_flood(building: Building, owner: Phone) -> None:
    for _ in range(4):
        await owner.posts("收到")
        await building.later(seconds=5)
    assert building.talk == ["收到"] * 4


async def test_what_is_said_in_pieces_is_read_as_one(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    long = "我家猫昨天晚上跑出去了，到现在还没有回来，大家见到了告诉我一声"
    for words in (long, "蓝", "词"):
        await owner.posts(words)
    await neighbour.posts("说的是什么？")
    await owner.posts("甲")
    assert building.talk == [long, "说的是什么？"]
    owner.sees(GONE, "判错了，申诉")
    assert rulings(building) == [("deleted", "ad")]
    await owner.taps("判错了，申诉")
    await office.taps("没违规，放行 1")
    board.sees("的消息已恢复：\n\n蓝\n词\n甲")


async def test_longer_pieces_are_doubtful_and_whole_sentences_are_none(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    for words in ("大家来看这里的蓝", "词甲真的不错哦"):
        await owner.posts(words)
    assert len(building.talk) == 2
    office.sees("大家来看这里的蓝词甲真的不错哦", "违规，删除 1")
    for words in ("邻居们晚上好，请大家都来看这里的蓝", "词甲真的很不错，我家用了很久了"):
        await neighbour.posts(words)
    assert rulings(building) == [("held", "ad")]
    await office.taps("违规，删除 1")
    assert len(building.talk) == 2


async def test_a_piece_that_is_doubtful_alone_is_a_piece_all_the_same(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.posts("绿词乙蓝")
    office.sees("绿词乙蓝", "违规，删除 1")
    await owner.posts("词甲")
    assert building.talk == []
    assert rulings(building) == [("moot", "ad"), ("deleted", "ad")]


async def test_what_is_edited_into_pieces_is_read_as_one(building: Building, owner: Phone) -> None:
    first = await owner.posts("早上好")
    await owner.posts("词甲")
    assert len(building.talk) == 2
    await owner.posts("蓝", edits=first)
    assert building.talk == []


async def test_pieces_of_a_minute_ago_are_none(building: Building, owner: Phone) -> None:
    await owner.posts("蓝词")
    await building.later(seconds=61)
    await owner.posts("甲")
    assert building.talk == ["蓝词", "甲"]


async def test_what_staff_let_stand_does_not_make_the_next_words_wrong(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.posts(BAD)
    await owner.taps("判错了，申诉")
    await office.taps("没违规，放行 1")
    await owner.posts(BAD)
    await owner.posts("谢谢")
    assert building.talk == [BAD, "谢谢"]


# --- who has no chat with us ------------------------------------------------------------------------


# Everybody on Telegram's test server has a chat: tests/bot/test_telegram_group.py.
@pytest.mark.by_hand
async def test_without_a_chat_of_their_own_it_is_said_in_the_group_and_goes_after_a_minute(
    building: Building, board: Phone
) -> None:
    stranger = building.phone("生人")
    await stranger.posts(BAD)
    shown = board.sees("的消息不合小区的规则，已从群里收走")
    assert "蓝词甲" not in shown.text
    await building.later(seconds=61)
    assert shown.id not in [message.id for message in board.chat.messages]
    await building.later(seconds=10)
    await stranger.posts(f"{BAD}，又来")
    board.sees("的消息不合小区的规则，已从群里收走")


# --- what is kept -----------------------------------------------------------------------------------


async def test_words_of_the_group_are_kept_for_a_week(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.posts(FINE)
    await owner.posts(DOUBTFUL)
    await building.later(days=6)
    assert [each.text for each in building.read(select(Post).order_by(col(Post.id)))] == [FINE, DOUBTFUL]
    await building.later(days=2)
    assert [each.text for each in building.read(select(Post))] == [DOUBTFUL]  # nobody has decided yet
    await office.taps("没违规，放行 1")
    await building.later(days=1)
    assert building.read(select(Post)) == []
    assert FINE not in str([row.payload for row in building.read(select(Inbox))])


async def test_mydata_shows_what_was_said_in_the_group_and_forget_erases_it(
    building: Building, owner: Phone
) -> None:
    await owner.posts(FINE)
    await owner.says("/mydata")
    owner.sees(f"业主群：{FINE}")
    await owner.says("/forget")
    await owner.taps("确定注销")
    assert building.read(select(Post)) == []
    assert building.read(select(Member)) == []
