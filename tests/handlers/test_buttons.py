"""Buttons go when they have done their work, and the message says what was chosen, and by whom."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from conversations.said import Said
from conversations.words import cut
from handlers.tell import MOST, tell
from handlers.tx import Tx
from store.tables import Audit, Event, Outgoing, Person, Place, Rest
from tests.people import Building, Phone, Shown


def buttons_in(phone: Phone) -> list[str]:
    """Every button that stands anywhere in a chat."""
    return [label for message in phone.chat.messages for label in message.buttons]


def message_with(phone: Phone, text: str) -> Shown:
    return next(message for message in reversed(phone.chat.messages) if text in message.text)


async def reported(owner: Phone, what: str = "厨房水龙头滴水") -> None:
    await owner.says(what)
    for label in ("随时可以", "跳过", "提交"):
        await owner.taps(label)


async def test_an_answered_question_shows_the_choice_and_no_buttons(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    await owner.taps("电梯")
    first = owner.chat.messages[0]
    assert (first.text.splitlines()[-1], first.buttons) == ("✓ 电梯", {})
    owner.sees("什么坏了")
    owner.sees_nothing()  # what is closed is no news


async def test_a_typed_answer_takes_the_buttons_without_a_word(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    asked = owner.last.text
    await owner.says("电梯")
    assert (owner.chat.messages[0].text, owner.chat.messages[0].buttons) == (asked, {})


@pytest.mark.parametrize("end", ["/cancel", "取消", "tap"])
async def test_a_talk_that_ends_leaves_no_question_with_buttons(
    building: Building, owner: Phone, end: str
) -> None:
    await owner.says("/repair")
    await (owner.taps("取消") if end == "tap" else owner.says(end))
    assert "电梯" not in buttons_in(owner)


async def test_a_talk_that_expires_leaves_no_question_with_buttons(building: Building, owner: Phone) -> None:
    await owner.says("/repair")
    await building.later(hours=25)
    assert "电梯" not in buttons_in(owner)


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
    assert list(crew.last.buttons) == ["我出发了", "修好了", "去不了"]
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


# --- long texts -------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(
    st.text(st.sampled_from("水管。漏！ a.\n👩\u200d🔧e\u0301🇨🇳🏽"), max_size=200),
    st.integers(min_value=2, max_value=60),
)
def test_pieces_fit_and_together_are_the_text(text: str, most: int) -> None:
    pieces, rest = [], text
    while rest:
        piece, rest = cut(rest, most)
        assert 0 < len(piece) <= most
        pieces.append(piece)
    assert "".join(pieces) == text


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("第一句话。第二句话。第三", "第一句话。第二句话。"),
        ("one two three four", "one two "),
        ("水" * 20, "水" * 11),
        ("水" * 10 + "e\u0301é", "水" * 10),
        ("水" * 9 + "👩\u200d🔧。", "水" * 9),
        ("水" * 10 + "🇨🇳。", "水" * 10),
    ],
)
def test_a_text_is_cut_at_a_sentence_else_between_characters(text: str, begun: str) -> None:
    assert cut(text, 11)[0] == begun


def tell_long(building: Building, name: str, kind: str = "person") -> str:
    words = "".join(f"第{number}句话在这里。" for number in range(1500))

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        to = (
            session.exec(select(Person).where(Person.name == name)).one()
            if kind == "person"
            else session.exec(select(Place).where(Place.external_id == building.chat_id(name))).one()
        )
        tell(tx, to, "rest.text", text=words)

    building.app.database.write_now(work)
    return words


async def test_a_long_text_arrives_whole_one_piece_after_the_other(building: Building, owner: Phone) -> None:
    words = tell_long(building, "陈女士")
    await building.settle()
    while "接着看" in owner.last.buttons:
        await owner.taps("接着看")
    pieces = [message.text for message in owner.chat.messages]
    assert "".join(pieces) == words
    assert len(pieces) == 4
    assert all(len(piece) <= MOST for piece in pieces)


async def test_nobody_else_reads_the_rest(building: Building, owner: Phone, neighbour: Phone) -> None:
    tell_long(building, "陈女士")
    await building.settle()
    (rest,) = building.read(select(Rest))
    await neighbour.forges(f"rest.show:{rest.id}")
    neighbour.sees("不归您办理")


async def test_what_hangs_on_the_board_is_read_to_its_end_in_one_s_own_chat(
    building: Building, owner: Phone, board: Phone
) -> None:
    tell_long(building, "board", "place")
    await building.settle()
    reader = type(owner)(building, "陈女士", "board", "board")
    await reader.taps("接着看")
    assert owner.last.text.startswith("第")
    assert len(board.chat.messages) == 1
