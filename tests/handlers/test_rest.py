"""Long texts: each message fits, a button shows the rest, and only to those who got its beginning."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import col, select

from handlers.notices import FAN_OUT, publish
from handlers.tell import MOST, tell
from handlers.tx import Tx
from store.tables import Notice, Outgoing, Person, Place, Rest
from tests.handlers.test_buttons import again
from tests.handlers.test_repair import AT_WORK
from tests.people import NAME, Building, Phone

LONG = "".join(f"第{number}条：请住户注意安全，不要在楼道堆放杂物。" for number in range(1, 400))[:10_000]


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    return building.app.database.write_now(
        lambda session: work(Tx(session, building.clock.now(), building.app.house))
    )


def person(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def say(building: Building, name: str, text: str) -> None:
    write(building, lambda tx: tell(tx, person(tx, name), "rest.text", text=text))


async def read_on(phone: Phone, label: str = "接着看") -> list[str]:
    """Everything that is there to read, piece by piece."""
    read = [phone.last.text]
    while label in phone.last.buttons:
        await phone.taps(label)
        read.append(phone.last.text)
    return read


@pytest.mark.parametrize(("language", "label"), [("zh", "接着看"), ("en", "Read on")])
async def test_ten_thousand_characters_arrive_whole(
    building: Building, owner: Phone, language: str, label: str
) -> None:
    if language == "en":
        await owner.says("English")
    say(building, "陈女士", LONG)
    await building.settle()
    read = await read_on(owner, label)
    assert (len(read), "".join(read)) == (3, LONG)
    assert all(len(piece) <= MOST and piece.endswith("。") for piece in read[:-1])


async def test_the_way_to_the_rest_stays(building: Building, owner: Phone) -> None:
    say(building, "陈女士", LONG)
    await building.settle()
    first = owner.last
    for _ in range(2):
        await owner._send(tap=first.buttons["接着看"], on=first.id)
        assert LONG.startswith(first.text + owner.last.text)
    assert list(first.buttons) == ["接着看"]
    await owner.says("接着看")  # typed, it means the latest
    assert LONG.startswith(first.text + owner.chat.messages[1].text + owner.last.text)


async def test_a_question_that_is_closed_keeps_the_way_to_its_rest(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人，" + "快来救命。" * 810)
    page = crew.last
    assert list(page.buttons) == ["接单", "去不了", "接着看"]
    rests = len(building.read(select(Rest)))
    await crew.taps("接单")
    page = again(crew, page)
    assert list(page.buttons) == [*AT_WORK, "接着看"]
    await owner.taps("撤回")
    page = again(crew, page)
    assert list(page.buttons) == ["接着看"]
    await crew.taps("接着看")
    assert crew.last.text.startswith("快来救命。")
    assert len(page.text) <= 4096
    assert len(building.read(select(Rest))) <= rests + 6


async def test_a_card_that_does_not_change_keeps_its_rest(building: Building, owner: Phone) -> None:
    def post(tx: Tx) -> None:
        tell(tx, person(tx, "陈女士"), "rest.text", text=LONG, card="note:1")

    write(building, post)
    write(building, post)
    assert len(building.read(select(Rest))) == len(building.read(select(Outgoing))) == 1


@pytest.mark.in_place
async def test_on_the_board_everybody_may_ask_and_reads_it_in_their_own_chat(
    building: Building, neighbour: Phone, board: Phone, phone: Callable[[str], Phone]
) -> None:
    def post(tx: Tx) -> None:
        board = tx.session.exec(select(Place).where(Place.external_id == building.chat_id("board"))).one()
        tell(tx, board, "rest.text", text=LONG)

    write(building, post)
    await building.settle()
    message = board.last
    at_the_board = type(neighbour)(building, "周先生", "board", "board")
    await at_the_board.taps("接着看")
    assert (len(board.chat.messages), list(message.buttons)) == (1, ["接着看"])
    read = await read_on(neighbour)
    assert message.text + "".join(read) == LONG
    for name in ("路人", "周先生"):
        for value in ("rest.show:999", "language", "1.place=lift"):
            await type(neighbour)(building, name, "board", "board").forges(value)
    assert (len(board.chat.messages), len(neighbour.chat.messages)) == (1, 2)


async def test_nobody_else_reads_the_rest(building: Building, owner: Phone, neighbour: Phone) -> None:
    say(building, "陈女士", LONG)
    await building.settle()
    (rest,) = building.read(select(Rest))
    await neighbour.says("/help")
    await neighbour.forges(f"rest.show:{rest.id}")
    neighbour.sees("不归您办理")


async def test_in_the_admin_group_the_rest_comes_there(building: Building, office: Phone) -> None:
    def post(tx: Tx) -> None:
        staff = tx.session.exec(select(Place).where(Place.external_id == building.chat_id("staff"))).one()
        tell(tx, staff, "rest.text", text=LONG)

    write(building, post)
    await building.settle()
    assert "".join(await read_on(office)) == LONG


async def test_a_notice_has_one_rest_a_language_in_all_its_batches(
    building: Building, monkeypatch: pytest.MonkeyPatch, phone: Callable[[str], Phone]
) -> None:
    assert FAN_OUT > 4
    monkeypatch.setattr("handlers.notices.FAN_OUT", 2)
    await phone("Mr Smith").says("/language")
    write(
        building,
        lambda tx: publish(tx, building.community.id, "rest.text", about="note:1", text=LONG),
    )
    await building.settle()
    assert building.read(select(Notice.error)) == [""]
    for name, label in (("周先生", "接着看"), ("王奶奶", "接着看"), ("Mr Smith", "Read on")):
        assert "".join(await read_on(phone(name), label)) == LONG
    published = select(Rest).where(col(Rest.person_id).is_(None), col(Rest.place_id).is_(None))
    assert len(building.read(published)) == 1  # the text is the same in both languages


async def test_a_long_report_is_whole_for_everybody(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await owner.says("电梯里困了人，" + "快来救命。" * 815)
    assert neighbour.last.text.startswith("报修 1 · 电梯")
    text = "".join(await read_on(neighbour))
    assert text.count("快来救命。") == 815


@pytest.mark.by_hand
async def test_a_stranger_s_chat_has_no_rest_to_keep(building: Building) -> None:
    def work(tx: Tx) -> None:
        place = Place(messenger=NAME, external_id="路人")
        tx.session.add(place)
        tx.session.flush()
        tell(tx, place, "rest.text", text=LONG)

    write(building, work)
    await building.settle()
    assert (len(building.phone("路人").last.text) <= MOST, building.read(select(Rest))) == (True, [])
