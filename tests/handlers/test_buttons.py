"""Buttons go when they have done their work, and the message says what was chosen, and by whom."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from conversations.said import Said
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.tables import Audit, Event, Outgoing, Person, Place, Repair, Talk
from tests.handlers.test_repair import AT_WORK, finish, report
from tests.people import Building, Phone, Shown


def buttons_in(phone: Phone) -> list[str]:
    """Every button that stands anywhere in a chat."""
    return [label for message in phone.chat.messages for label in message.buttons]


def message_with(phone: Phone, text: str) -> Shown:
    return next(message for message in reversed(phone.chat.messages) if text in message.text)


async def reported(owner: Phone, what: str = "厨房水龙头滴水") -> None:
    await owner.says(what)
    await owner.taps("提交")


@pytest.mark.in_place
async def test_an_answered_question_shows_the_choice_and_no_buttons(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    await owner.taps("电梯")
    first = owner.chat.messages[0]
    assert (first.text.splitlines()[-1], first.buttons) == ("✓ 电梯", {})
    owner.sees("什么坏了")
    owner.sees_nothing()  # what is closed is no news


@pytest.mark.in_place
async def test_a_typed_answer_takes_the_buttons_without_a_word(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    asked = owner.last.text
    await owner.says("电梯")
    assert (owner.chat.messages[0].text, owner.chat.messages[0].buttons) == (asked, {})


@pytest.mark.parametrize("end", ["/cancel", "取消", "tap"])
@pytest.mark.in_place
async def test_a_talk_that_is_cancelled_leaves_no_question_with_buttons(
    building: Building, owner: Phone, end: str
) -> None:
    await owner.says("/repair")
    await (owner.taps("取消") if end == "tap" else owner.says(end))
    assert "电梯" not in buttons_in(owner)


@pytest.mark.in_place
async def test_only_the_last_message_about_a_repair_has_buttons(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await reported(owner)
    await plumber.taps("接单")
    await plumber.taps("我出发了")
    assert buttons_in(owner).count("撤回") == 1
    assert "撤回" in message_with(owner, "出发").buttons
    await owner.taps("撤回")
    assert buttons_in(owner) == []
    assert message_with(owner, "出发").text.endswith("✓ 撤回")


async def test_after_the_acceptance_no_older_page_can_be_accepted(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await building.later(minutes=3)
    await building.later(minutes=3)
    await crew.taps("接单")
    assert "接单" not in buttons_in(crew) + buttons_in(plumber)
    assert crew.last.text.endswith("✓ 接单")
    assert list(crew.last.buttons) == AT_WORK
    assert [row.change for row in building.read(select(Outgoing)) if "✓ 接单" in row.text] == ["edit"]


async def test_in_a_group_the_message_says_who_chose(building: Building, owner: Phone, office: Phone) -> None:
    await reported(owner)
    await office.taps("升级为紧急")
    assert any(message.text.endswith("✓ 升级为紧急 · 刘经理") for message in office.chat.messages)
    assert "升级为紧急" not in buttons_in(office)


async def test_a_second_press_does_nothing(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    page = crew.sees("紧急", "接单")
    value = page.buttons["接单"]
    await crew._send(tap=value, on=page.id)
    before = len(owner.chat.messages)
    await crew._send(tap=value, on=page.id)
    crew.sees_nothing()
    assert len(owner.chat.messages) == before
    assert len(building.read(select(Event).where(Event.key == "event.accepted"))) == 1
    assert len(building.read(select(Audit))) == 1
    building.clock.at += timedelta(minutes=2)
    await crew._send(tap=value, on=page.id)
    crew.sees("报修 1")  # later it is no slip of the finger: it is answered


@pytest.mark.in_place
async def test_a_second_press_of_an_answer_does_nothing(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    question = owner.last
    value = question.buttons["电梯"]
    await owner._send(tap=value, on=question.id)
    await owner._send(tap=value, on=question.id)
    owner.sees_nothing()


async def test_of_two_who_press_at_once_one_accepts_and_the_other_hears_so(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await building.later(minutes=3)
    pages = [(phone, phone.sees("紧急", "接单")) for phone in (crew, plumber)]
    for phone, page in pages:  # the second has not seen the card change yet
        await phone._send(tap=page.buttons.get("接单", "repair.accept:1"), on=page.id)
    plumber.sees("李师傅已经接单了")
    assert "接单" not in buttons_in(plumber)


async def test_a_menu_stays(building: Building, owner: Phone) -> None:
    await owner.says("/help")
    await owner.taps("我的")
    assert "我的" in owner.chat.messages[0].buttons


async def test_starting_a_talk_is_not_the_end_of_a_button(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await reported(owner)
    await plumber.taps("接单")
    await plumber.taps("修好了")
    await plumber.taps("取消")
    await plumber.taps("修好了")
    plumber.sees("照片")


@pytest.mark.in_place
async def test_what_can_never_work_again_goes(building: Building, owner: Phone, plumber: Phone) -> None:
    await reported(owner)
    old = owner.last
    value = old.buttons["撤回"]
    await plumber.taps("接单")
    await plumber.taps("修好了")
    for label in ("跳过", "跳过"):
        await plumber.taps(label)
    await owner._send(tap=value, on=old.id)
    owner.sees("这一步不用再做了")
    assert "撤回" not in buttons_in(owner)


async def test_a_stranger_s_press_takes_no_button_from_the_group(
    building: Building, owner: Phone, office: Phone
) -> None:
    await reported(owner)
    other = building.group("张师傅")
    await other.forges("repair.accept:999")
    assert "升级为紧急" in buttons_in(office)


async def test_a_tap_without_its_message_acts_as_ever(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await crew.forges("repair.accept:1")
    owner.sees("李师傅已接单")


@pytest.mark.by_hand
async def test_a_restart_between_the_answer_and_the_closing_changes_nothing(
    building: Building, owner: Phone
) -> None:
    await owner.says("/repair")
    question = owner.last
    await building.app.receive(
        Said(
            messenger="test",
            key="direct",
            place=owner.place,
            sender=owner.account,
            at=building.clock.now(),
            tap=question.buttons["电梯"],
            on=question.id,
        )
    )
    await building.restart()
    assert (question.text.splitlines()[-1], question.buttons) == ("✓ 电梯", {})
    assert "什么坏了" in owner.last.text


# --- over whole talks --------------------------------------------------------------------------------


def standing(phone: Phone) -> list[list[str]]:
    """The labels of each message that has buttons."""
    return [list(message.buttons) for message in phone.chat.messages if message.buttons]


def again(phone: Phone, message: Shown) -> Shown:
    """A message as it stands now."""
    return next(each for each in phone.chat.messages if each.id == message.id)


def one_by_one(building: Building) -> None:
    """No message was closed twice, and each change reached the message that it was written for."""
    rows = building.read(select(Outgoing).where(Outgoing.state == "sent").order_by(col(Outgoing.id)))
    closed = Counter((row.place_id, row.message_id) for row in rows if row.change == "close")
    assert [key for key, count in closed.items() if count > 1] == []
    sent: dict[Any, str] = {}
    for row in rows:
        if row.change == "send":
            sent[row.card, row.place_id] = row.message_id
        assert sent[row.card, row.place_id] == row.message_id
    assert building.read(select(Outgoing.id).where(col(Outgoing.state).in_(["failed", "waiting"]))) == []


@pytest.mark.in_place
async def test_a_question_that_is_asked_again_is_the_only_one_with_buttons(
    building: Building, owner: Phone
) -> None:
    await owner.says("报修")
    await owner.says("", other="sticker")
    await owner.says("我的")
    await owner.taps("我家")
    await owner.taps("返回")
    await owner.taps("我家")
    await owner.says("水龙头滴水")
    await owner.taps("随时可以")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.taps("修改")
    assert [labels for labels in standing(owner) if "取消" in labels] == []
    await owner.taps("问题")
    assert [labels for labels in standing(owner) if "取消" in labels] == [["返回", "取消"]]
    one_by_one(building)


@pytest.mark.parametrize("end", ["submitted", "expired", "dropped"])
@pytest.mark.in_place
async def test_a_talk_that_ends_leaves_no_question_with_buttons(
    building: Building, owner: Phone, end: str
) -> None:
    await report(owner, "厨房水龙头滴水", until="对不对")
    if end == "submitted":
        await owner.taps("提交")
    elif end == "expired":
        await building.later(days=7)
    else:
        await owner.says("电梯里困了人")
        await owner.says("取消")
    assert building.read(select(Talk)) == []
    assert [labels for labels in standing(owner) if "提交" in labels or "取消" in labels] == []
    one_by_one(building)


@pytest.mark.in_place
async def test_only_the_last_message_to_the_reporter_has_buttons(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.taps("补充照片或说明")
    await owner.taps("跳过")
    await owner.says("阀门在水槽下面")
    await finish(plumber)
    await owner.says("我的")
    await owner.taps("查看 1")
    assert standing(owner) == [["查看 1"], ["确认修好", "还没修好", "补充照片或说明", "写给师傅"]]
    shown = owner.last
    await owner.taps("确认修好")
    assert again(owner, shown).text.endswith("\n\n✓ 确认修好")
    stars = ["★★★★★ 很好", "★★★★ 好", "★★★ 一般", "★★ 不太好", "★ 很差"]
    assert standing(owner) == [["查看 1"], [*stars, "还没修好", "写给师傅"]]
    one_by_one(building)


async def test_after_the_acceptance_no_page_in_any_chat_can_be_accepted(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    for _ in range(3):
        await building.later(minutes=3)
    await crew.taps("接单")
    assert standing(crew) == [AT_WORK]
    for master in (crew, plumber, building.phone("张师傅")):
        assert [labels for labels in standing(master) if "接单" in labels] == []
    assert [labels for labels in standing(office) if "升级为紧急" in labels] == []
    one_by_one(building)


@pytest.mark.in_place
async def test_what_is_withdrawn_leaves_no_buttons(
    building: Building, owner: Phone, crew: Phone, plumber: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    await plumber.says("我的")
    await plumber.taps("查看 1")
    await owner.taps("撤回")
    assert standing(owner) == []
    for phone in (crew, plumber, office):
        assert [labels for labels in standing(phone) if not labels[0].startswith("查看")] == []
    one_by_one(building)


async def test_who_was_called_and_looks_has_one_message_with_the_buttons(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.says("我的")
    await crew.taps("查看 1")
    assert standing(crew) == [["查看 1"], ["接单", "去不了"]]
    await crew.taps("接单")
    assert standing(crew) == [["查看 1"], AT_WORK]
    one_by_one(building)


async def test_who_only_looks_can_accept_and_gets_the_card(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await plumber.says("我的")
    await plumber.taps("查看 1")
    looked = plumber.last
    await plumber.taps("接单")
    looked = again(plumber, looked)
    assert (looked.text.splitlines()[-1], looked.buttons) == ("✓ 接单", {})
    plumber.sees("已接单 · 王师傅", "我出发了", "修好了")
    assert "接单" not in crew.last.buttons
    one_by_one(building)


async def test_who_only_looked_loses_the_button_when_somebody_else_accepts(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await plumber.says("我的")
    await plumber.taps("查看 1")
    await crew.taps("接单")
    assert standing(plumber) == [["查看 1"]]


async def test_what_was_chosen_stays_while_nothing_else_changes(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await owner.says("跳过")  # every card is looked at again
    assert crew.last.text.endswith("✓ 接单")


@pytest.mark.by_hand
async def test_a_question_of_a_talk_that_is_over_loses_all_its_buttons(
    building: Building, owner: Phone
) -> None:
    show(building, "陈女士", "99.place=lift", "99.place!cancel")
    await building.settle()
    message = owner.last
    await owner.taps("99.place=lift")
    owner.sees("这个选项是以前的")
    assert (message.text, message.buttons) == ("不客气。有什么坏了随时说。", {})


@pytest.mark.by_hand
async def test_nobody_takes_the_buttons_of_somebody_else_s_question(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.says("报修")
    (talk,) = building.read(select(Talk))
    show(building, "刘经理", f"{talk.id}.place=lift", place="staff")
    await building.settle()
    message = office.last
    await office.taps(f"{talk.id}.place=lift")
    office.sees("这个选项是以前的")
    assert list(message.buttons) == [f"{talk.id}.place=lift"]


def show(building: Building, name: str, *values: str, place: str = "") -> None:
    """Let a message with these buttons stand in somebody's chat, or in the place."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        person = session.exec(select(Person).where(Person.name == name)).one()
        to = session.exec(select(Place).where(Place.external_id == place)).one() if place else person
        tell(tx, to, "thanks.answer", buttons=[Button(value, label=value) for value in values])

    building.app.database.write_now(work)


async def test_a_number_never_means_an_older_menu(owner: Phone) -> None:
    """What stands last has done its work: its numbers still stand there, and are no other menu's."""
    await owner.says("/help")
    owner.sees("这里是阳光花园的邻里", "报修", "我的")
    await report(owner, "厨房水龙头滴水")
    await owner.taps("撤回")
    owner.sees("报修 1 已撤回。")
    await owner.says("1")
    owner.sees("报修 1 现在是「已撤回」，这一步不用再做了。")
    await owner.says("5")
    owner.sees("没看懂这句话")


async def test_what_cannot_be_undone_is_typed_by_its_words(building: Building, owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    owner.sees("报修 1 已登记", "升级为紧急", "更正", "撤回")
    for slip in ("5", "6", "第五个", "第六个"):
        await owner.says(slip)
        owner.sees("没看懂这句话")
    assert building.read(select(Repair.state)) == ["waiting"]
    await owner.says("撤回")
    owner.sees("报修 1 已撤回。")


@pytest.mark.parametrize("choice", ["3", "３", "三", "第三个", "选3", "我选三", "3号", "3 。"])
async def test_people_choose_by_numbers_as_they_say_them(owner: Phone, choice: str) -> None:
    await owner.says("/repair")
    owner.sees("哪里需要报修？", "电梯")
    await owner.says(choice)
    owner.sees("什么坏了？")
    await owner.says("灯不亮")
    owner.sees("在哪一栋？")
