"""What staff answer to complaints, in public; the clocks on them; and their authors' last word."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from conversations.said import File
from handlers.matters import events_of
from handlers.places import ANONYMOUS
from handlers.roster import add_community
from handlers.tx import Tx
from store.tables import Audit, Entry, Outgoing, Person, Place, Role, Statement
from tests.handlers.test_complaints import DIRTY, complains, complaints
from tests.people import Building, Phone, Shown, photo

FIRST, SECOND, THIRD = "已安排今天打扫", "改到明天上午打扫", "今天下午三点打扫"


def answers(building: Building) -> list[Statement]:
    said = select(Statement).where(Statement.side == "office")
    return building.read(said.order_by(Statement.round, Statement.version))


def keys(building: Building) -> list[str]:
    """The timeline of the first complaint."""
    with building.app.database.read() as session:
        tx = Tx(session, building.clock.now(), building.app.house)
        return [each.key.removeprefix("complaint.event.") for each in events_of(tx, "complaint:1")]


@pytest.mark.playground
async def test_a_reply_to_the_card_is_the_public_answer(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.taps("我也有同感")
    await office.replies(FIRST, office.sees(DIRTY))
    office.sees("已公开答复投诉 1（第 1 版）")
    told = owner.sees(FIRST, "解决了", "没解决", "追问")
    assert not told.silent
    neighbour.sees(FIRST, "取消同感", "看全文 1")
    shown = board.last
    assert f"物业答复：{FIRST}" in shown.text and "已答复" in shown.text and "刘" not in shown.text
    assert len([each for each in board.chat.messages if "投诉 1" in each.text]) == 1 or not building.changes
    assert f"物业答复：{FIRST}" in "".join(each.text for each in office.chat.messages)
    (complaint,) = complaints(building)
    assert (complaint.state, complaint.answered_at) == ("answered", building.clock.now())
    assert keys(building) == ["made", "answered"]
    assert building.read(select(Audit.action)) == ["complaint.answered:1"]
    await owner.taps("解决了")
    owner.sees("已结束：解决了")
    assert "已解决" in board.last.text


@pytest.mark.by_hand
async def test_nobody_answers_in_the_name_of_the_group(
    building: Building, owner: Phone, office: Phone
) -> None:
    await complains(owner)
    nobody = Phone(building, ANONYMOUS, "staff", "staff")
    await nobody.replies(FIRST, office.sees(DIRTY))
    nobody.sees("您现在是匿名管理员")
    assert answers(building) == []


async def test_words_that_are_no_reply_to_a_card_stay_among_colleagues(
    building: Building, owner: Phone, office: Phone
) -> None:
    await complains(owner)
    card = office.sees(DIRTY)
    await office.says(FIRST)
    office.sees_nothing()
    await office.replies("/help", card)
    office.sees("这里是物业管理群")
    help_ = office.last
    await office.replies("这个我来", help_)
    await office.replies("收到", card)
    office.sees("「收到」没有当作公开答复")
    await office.replies("。", card)
    office.sees("公开答复要有文字")
    await office.replies("傻逼", card)
    office.sees("没有公开")
    assert answers(building) == []


async def test_every_version_is_kept_and_the_last_one_counts(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.taps("我也有同感")
    card = office.sees(DIRTY)
    number = await office.replies(FIRST, card)
    owner.sees(FIRST)
    neighbour.sees(FIRST)
    await building.later(days=1)
    await office.replies(SECOND, card)
    office.sees("第 2 版")
    owner.sees(f"物业改了对投诉 1（{DIRTY}）的答复，现在是：\n{SECOND}", "解决了")
    neighbour.sees(SECOND)
    assert f"（第 2 版，改于 3月3日周二 09:00）{SECOND}" in board.last.text
    assert FIRST not in board.last.text
    await building.restart()
    await building.later(days=7)
    (complaint,) = complaints(building)
    assert complaint.state == "closed"  # in silence
    await office.replies(THIRD, card, edits=number)
    office.sees("第 3 版")
    owner.sees(THIRD)
    assert f"（第 3 版，改于 3月10日周二 09:00）{THIRD}" in board.last.text
    await office.replies(THIRD, card, edits=number)
    office.sees_nothing()
    assert [each.text for each in answers(building)] == [FIRST, SECOND, THIRD]
    assert keys(building) == ["made", "answered", "changed", "silent", "changed"]
    await neighbour.says("看投诉 1")
    seen = neighbour.sees(THIRD)
    assert all(each in seen.text for each in (FIRST, SECOND, "第 1 版", "第 2 版"))


async def test_two_answer_at_once_and_both_are_kept(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    card = office.sees(DIRTY)
    another = building.group("王经理")
    await office.replies(FIRST, card)
    await another.replies(SECOND, card)
    office.sees("刘经理 3月2日周一 09:00 已经答复过：两份都保留，现在以您这份为准")
    assert [each.version for each in answers(building)] == [1, 2]
    assert SECOND in board.last.text and FIRST not in board.last.text


async def test_an_answer_is_masked_as_well_and_staff_are_told(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await office.replies("陈女士您好，1201门口今天打扫，您电话13812345678没打通，傻逼", office.sees(DIRTY))
    told = office.sees(
        "已公开答复",
    )
    assert "房号不公开" in told.text and "姓名不公开" in told.text
    assert "***您好，***门口今天打扫，您电话***没打通，***" in board.last.text
    owner.sees("***您好")


async def test_staff_answer_by_the_button_too(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await office.taps("答复 1")
    office.sees("请发来对投诉 1", "取消")
    await office.sends_photo()
    office.sees("公开答复要有文字")
    await office.says("收到")
    await office.says(FIRST)
    office.sees("已公开答复投诉 1（第 1 版）")
    owner.sees(FIRST)
    assert FIRST in board.last.text


async def test_a_photo_with_words_goes_with_the_answer(
    building: Building, owner: Phone, board: Phone, office: Phone, neighbour: Phone
) -> None:
    await complains(owner)
    kept = building.app.media.keep_photo(photo())
    files = [File(storage=kept.storage, mime=kept.mime, size=kept.size)]
    card = office.sees(DIRTY)
    await office.replies("", card, files=files)
    office.sees("公开答复要有文字")
    await office.replies(FIRST, card, files=files)
    assert owner.sees(FIRST).photos == 1
    assert "附照片 1 张" in board.last.text
    await neighbour.says("投诉 1")
    assert neighbour.sees(FIRST).photos == 1


async def test_a_reply_to_an_older_card_or_to_its_photo_counts(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.says(f"投诉：{DIRTY}")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.says("1")
    await owner.taps("确认公开")
    card = office.sees(DIRTY)
    await office.taps("看全文 1")
    await office.replies(FIRST, card)
    office.sees("第 1 版")
    rows = building.read(select(Outgoing).where(Outgoing.card == "complaint:1", Outgoing.change == "send"))
    parts = [each for row in rows for each in row.parts]
    if parts:  # on Telegram
        await office.replies(SECOND, Shown(parts[0], "", {}, 1, silent=False, urgent=False))
        office.sees("第 2 版")


@pytest.mark.by_hand
async def test_a_card_of_another_community_is_answered_nowhere(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await complains(owner)
    card = office.sees(DIRTY)

    def moves(session: Session) -> None:
        """The group is claimed for another community, in which 刘经理 works, too."""
        tx = Tx(session, building.clock.now(), building.app.house)
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        place = session.exec(select(Place).where(Place.external_id == "staff")).one()
        place.community_id = other.id

    building.app.database.write_now(moves)
    await office.replies(FIRST, card)
    office.sees("是另一个小区的，您的答复没有公开")
    assert answers(building) == [] and FIRST not in board.last.text
    assert owner.last.text.count(FIRST) == 0


async def test_the_clock_on_staff(
    building: Building, owner: Phone, board: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    def furnish(session: Session) -> None:
        for name, role in (("周先生", "committee"), ("李师傅", "manager")):
            who = session.exec(select(Person).where(Person.name == name)).one()
            session.add(Role(community_id=who.community_id, person_id=who.id, role=role))

    building.app.database.write_now(furnish)
    await complains(owner)
    office.sees(DIRTY)
    await building.later(days=8)
    assert not office.sees("答复期限快到了", "答复 1").silent
    await building.later(days=2)
    late = office.sees("过期没有答复", "答复 1")
    for name in ("周先生", "李师傅"):
        phone(name).sees("物业没有按期答复", "看全文 1")
    owner.sees("物业没有按期答复")
    board.sees("未答复（已过期）")
    (entry,) = building.read(select(Entry).where(Entry.kind == "complaint"))
    assert entry.open and entry.due_at is not None and entry.due_at <= building.clock.now()
    await building.later(days=7)
    office.sees("过期没有答复")
    await office.replies(FIRST, late)
    office.sees("逾期答复")
    board.sees("已答复 · 逾期答复")
    assert keys(building) == ["made", "overdue", "answered_late"]
    await building.later(days=3)
    owner.sees("没有等到您的回复，就当作结束了", "追问")
    board.sees("已结束 · 逾期答复")


async def test_what_was_not_solved_begins_a_new_round(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.taps("我也有同感")
    await office.replies(FIRST, office.sees(DIRTY))
    neighbour.sees(FIRST)
    await owner.taps("没解决")
    owner.sees("还有什么没解决？", "跳过", "取消")
    await owner.says("返回")
    await building.restart()
    await owner.says("没有人来，陈女士等了一天")
    owner.sees("没有人来，***等了一天", "公开追问", "修改", "返回")
    await owner.taps("公开追问")
    owner.sees("您的追问已公开")
    card = office.sees("业主追问", "答复 1")
    neighbour.sees("没有人来，***等了一天")
    assert f"物业答复：{FIRST}\n追问：没有人来，***等了一天" in board.last.text
    (complaint,) = complaints(building)
    assert (complaint.state, complaint.round) == ("open", 2)
    assert complaint.due_at == building.clock.now() + timedelta(days=5)
    await office.replies(THIRD, card)
    office.sees("第 1 版")
    owner.sees(THIRD, "没解决")
    await owner.taps("没解决")
    await owner.taps("跳过")
    owner.sees("已结束，写明「没解决」")
    assert "没解决" in board.last.text
    (complaint,) = complaints(building)
    assert (complaint.state, complaint.helped) == ("closed", False)
    await owner.taps("追问")
    owner.sees("想追问什么")
    await owner.says("还是没人来")
    await owner.taps("公开追问")
    assert complaints(building)[0].round == 3


async def test_a_late_change_of_the_first_answer_answers_no_later_question(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await complains(owner)
    card = office.sees(DIRTY)
    number = await office.replies(FIRST, card)
    await owner.taps("追问")
    await owner.says("几点来？")
    await owner.taps("公开追问")
    await office.replies(SECOND, card, edits=number)
    office.sees("第 2 版")
    assert [(each.round, each.version) for each in answers(building)] == [(1, 1), (1, 2)]
    assert complaints(building)[0].state == "open"
    assert f"{SECOND}\n追问：几点来？" in board.last.text


async def test_what_was_withdrawn_is_not_answered(building: Building, owner: Phone, office: Phone) -> None:
    await complains(owner)
    card = office.sees(DIRTY)
    await owner.says("撤回投诉建议")
    owner.sees("已撤回")
    await office.replies(FIRST, card)
    office.sees("投诉 1 现在是「已由本人撤回」")
    assert answers(building) == []


async def test_an_answer_while_the_author_words_it_anew(
    building: Building, owner: Phone, office: Phone
) -> None:
    await complains(owner)
    await owner.taps("改写")
    await owner.says("楼道五天没打扫")
    await office.replies(FIRST, office.sees(DIRTY))
    await owner.taps("换上")
    owner.sees("现在是「已答复」")
    said: list[Any] = building.read(select(Statement.text).where(Statement.side == "owner"))
    assert said == [DIRTY]


async def test_a_reply_to_what_says_that_an_answer_was_published_is_the_next_version(
    building: Building, owner: Phone, board: Phone, office: Phone
) -> None:
    await complains(owner)
    await office.replies(FIRST, office.sees(DIRTY))
    await office.replies("改在明天上午打扫", office.sees("已公开答复投诉 1（第 1 版）"))
    office.sees("已公开答复投诉 1（第 2 版）")
    owner.sees("改在明天上午打扫")
    assert "改在明天上午打扫" in board.last.text


async def test_the_number_of_one_is_looked_up_in_the_midst_of_a_form(
    building: Building, owner: Phone, office: Phone
) -> None:
    await complains(owner)
    await owner.taps("改写")
    await owner.says("投诉 1")
    owner.sees("经过：")
    assert "请发来新的写法" in owner.last.text
