"""Personal links: only their hash is kept, they open for a while, act once, and lead to what is one's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from handlers.links import find, new_link, use
from handlers.notices import publish, take_back
from handlers.pages import View, key_of, pressed, view
from handlers.people import accounts_of
from handlers.privacy import begin_retention
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import Link, Outgoing, Person, Place
from tests.handlers.test_repair import AT_WORK
from tests.people import Building, Phone

pytestmark = pytest.mark.by_hand  # what holds for one messenger's chats holds for all


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def place(tx: Tx, name: str) -> Place:
    return tx.session.exec(select(Place).where(Place.external_id == name)).one()


def last_row(building: Building, name: str, text: str = "") -> Outgoing:
    rows = select(Outgoing).join(Place).where(Place.external_id == name, col(Outgoing.text).contains(text))
    row: Outgoing = building.read(rows.order_by(col(Outgoing.id).desc()))[0]
    return row


def link_to(building: Building, name: str, row: Outgoing | None, hours: float = 72) -> str:
    outgoing_id = None if row is None else row.id
    token: str = write(
        building, lambda tx: new_link(tx, place(tx, name), outgoing_id=outgoing_id, hours=hours)
    )
    return token


def seen(building: Building, token: str) -> View | None:
    def look(tx: Tx) -> View | None:
        link = find(tx.session, token, tx.now)
        return view(tx, link) if link is not None else None

    found: View | None = write(building, look)
    return found


def words(building: Building, token: str) -> str:
    found = seen(building, token)
    assert found is not None and found.message is not None
    return found.message.words


async def test_only_the_hash_is_kept(building: Building, owner: Phone) -> None:
    await owner.says("厨房水龙头滴水")
    token = link_to(building, "陈女士", last_row(building, "陈女士"))
    [link] = building.read(select(Link))
    assert (len(token), len(link.hash)) == (40, 64)
    assert token not in str(link.model_dump())
    assert (link.used_at, link.expires_at - building.clock.now()) == (None, timedelta(hours=72))


async def test_a_link_is_told_again_while_it_has_time_and_was_not_used(
    building: Building, owner: Phone
) -> None:
    await owner.says("帮助")
    row = last_row(building, "陈女士")

    def use_it(token: str) -> bool:
        def work(tx: Tx) -> bool:
            link = find(tx.session, token, tx.now)
            return link is not None and use(tx, link)

        used: bool = write(building, work)
        return used

    first = link_to(building, "陈女士", row)
    assert link_to(building, "陈女士", row) == first != link_to(building, "陈女士", None)
    assert use_it(first)
    second = link_to(building, "陈女士", row)
    assert use_it(second) and len({first, second, link_to(building, "陈女士", row)}) == 3
    consent = link_to(building, "陈女士", None)
    building.clock.at += timedelta(hours=37)
    assert link_to(building, "陈女士", None) != consent
    assert all(seen(building, token) is not None for token in (first, second, consent))


async def test_a_link_opens_until_it_expires(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    token = link_to(building, "陈女士", last_row(building, "陈女士"), hours=1)
    building.clock.at += timedelta(minutes=59)
    assert seen(building, token) is not None
    building.clock.at += timedelta(minutes=1)
    assert seen(building, token) is None


@pytest.mark.parametrize("token", ["", "x", "邻里", "\ud800", "x" * 50_000, "' OR 1=1 --", "\0"])
async def test_what_is_no_token_finds_nothing(building: Building, owner: Phone, token: str) -> None:
    await owner.says("帮助")
    link_to(building, "陈女士", last_row(building, "陈女士"))
    assert seen(building, token) is None


async def test_a_link_is_used_once_even_at_once(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    token = link_to(building, "陈女士", last_row(building, "陈女士"))

    def use_it(tx: Tx) -> bool:
        link = find(tx.session, token, tx.now)
        assert link is not None
        return use(tx, link)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(lambda _: write(building, use_it), range(8))) == [False] * 7 + [True]
    [link] = building.read(select(Link))
    assert link.used_at == building.clock.now()
    assert seen(building, token) is not None  # it can still be looked at


async def test_a_page_shows_the_newest_state(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    token = link_to(building, "陈女士", last_row(building, "陈女士", "已按紧急"))
    before = seen(building, token)
    assert before is not None and before.message is not None
    assert (before.community, before.state, len(before.timeline)) == ("阳光花园", "等待接单", 2)
    assert "已按紧急报修处理" in before.message.words and before.message.button("repair.withdraw:1")
    await crew.taps("接单")
    after = seen(building, token)
    assert after is not None and after.message is not None
    assert (after.state, len(after.timeline)) == ("已接单", 3)
    assert after.message.words == "李师傅已接单（报修 1）。"
    await owner.taps("撤回")
    gone = seen(building, token)
    assert gone is not None and gone.message is not None
    assert (gone.state, gone.message.buttons) == ("已撤回", ())


async def test_the_crew_s_card_is_one_message(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    token = link_to(building, "李师傅", last_row(building, "李师傅"))
    await crew.taps("接单")
    found = seen(building, token)
    assert found is not None and found.message is not None
    assert [button["label"] for button in found.message.buttons] == AT_WORK
    assert found.message.on == crew.chat.messages[0].id


async def test_a_neighbour_sees_what_the_public_may_see(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await neighbour.says("帮助")
    await owner.says("电梯里困了人")
    row = last_row(building, "周先生", "报修 1")
    found = seen(building, link_to(building, "周先生", row))
    assert found is not None and found.message is not None
    assert (found.state, [button["label"] for button in found.message.buttons]) == (
        "等待接单",
        ["我也是", "查看 1"],
    )
    assert "1201" not in found.message.words + str(found.timeline)


async def test_photos_are_those_of_the_message_and_of_what_took_its_place(
    building: Building, owner: Phone
) -> None:
    await owner.says("帮助")

    def say(photos: list[int]) -> str:
        write(
            building,
            lambda tx: tell(
                tx, place(tx, "陈女士"), "rest.text", text=f"{photos}", photos=photos, last="mine:9"
            ),
        )
        return link_to(building, "陈女士", last_row(building, "陈女士"))

    def photos(token: str) -> tuple[int, ...]:
        found = seen(building, token)
        assert found is not None and found.message is not None
        return found.message.photos

    plain = link_to(building, "陈女士", last_row(building, "陈女士"))
    first = say([7, 8])
    assert (photos(first), photos(plain)) == ((7, 8), ())
    second = say([8, 9])
    assert (photos(first), photos(second), photos(plain)) == ((7, 8, 9), (8, 9), ())


async def test_a_copy_that_was_taken_back_shows_no_photos(building: Building, neighbour: Phone) -> None:
    await neighbour.says("帮助")
    write(
        building,
        lambda tx: publish(tx, building.community.id, "rest.text", text="停水", about="water", photos=[7]),
    )
    await building.settle()
    token = link_to(building, "周先生", last_row(building, "周先生", "停水"))
    before = seen(building, token)
    assert before is not None and before.message is not None and before.message.photos == (7,)
    write(building, lambda tx: take_back(tx, building.community.id, "water"))
    await building.settle()
    after = seen(building, token)
    assert after is not None and after.message is not None
    assert (after.message.photos, after.message.buttons) == ((), ()) and "停水" not in after.message.words


async def test_what_is_hidden_in_the_words_is_opened(building: Building, owner: Phone) -> None:
    await owner.says("帮助")

    def secret(tx: Tx) -> None:
        tell(tx, place(tx, "陈女士"), "rest.text", text=f"邀请码 {tx.house.vault.hide('K7-29')}")

    write(building, secret)
    row = last_row(building, "陈女士")
    assert "K7-29" not in row.text
    assert words(building, link_to(building, "陈女士", row)) == "邀请码 K7-29"


async def test_a_link_of_another_account_s_message_shows_nothing(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await owner.says("我的数据")
    await neighbour.says("帮助")
    assert seen(building, link_to(building, "周先生", last_row(building, "陈女士"))) is None


async def test_a_chat_that_has_come_to_somebody_else_shows_nothing_of_before(
    building: Building, owner: Phone
) -> None:
    await owner.says("我的数据")
    token, consent = (link_to(building, "陈女士", row) for row in (last_row(building, "陈女士"), None))
    assert seen(building, token) is not None and seen(building, consent) is not None

    def hand_over(tx: Tx) -> None:
        chen = tx.session.exec(select(Person).where(Person.name == "陈女士")).one()
        other = tx.session.exec(select(Person).where(Person.name == "周先生")).one()
        for account in accounts_of(tx, chen):
            account.person_id = other.id
            tx.session.add(account)

    write(building, hand_over)
    assert seen(building, token) is None and seen(building, consent) is None


async def test_whoever_is_forgotten_has_no_page(building: Building, owner: Phone) -> None:
    await owner.says("我的数据")
    tokens = [link_to(building, "陈女士", row) for row in (last_row(building, "陈女士"), None)]
    await owner.says("注销")
    await owner.taps("确定注销")
    assert [seen(building, token) for token in tokens] == [None, None]
    await building.later(minutes=5)
    assert building.read(select(Link)) == []


async def test_a_page_is_in_its_reader_s_language(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    token = link_to(building, "陈女士", last_row(building, "陈女士", "已按紧急"))
    await owner.says("English")
    found = seen(building, token)
    assert found is not None and found.reader.language == "en"
    assert found.state.isascii()


async def test_a_link_without_a_message_is_for_its_holder(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    found = seen(building, link_to(building, "陈女士", None))
    assert found is not None and (found.message, found.community) == (None, "阳光花园")
    stranger = building.phone("路人")
    await stranger.says("你好")
    assert seen(building, link_to(building, "路人", None)) is None


async def test_a_group_has_no_links(building: Building, owner: Phone, office: Phone) -> None:
    await owner.says("电梯里困了人")
    with pytest.raises(AssertionError):
        link_to(building, "staff", last_row(building, "staff"))


async def test_the_key_of_a_press(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    token = link_to(building, "陈女士", last_row(building, "陈女士"))

    def keys(tx: Tx) -> list[str]:
        link = find(tx.session, token, tx.now)
        assert link is not None
        assert pressed(tx.session, place(tx, "陈女士"), key_of(link, "my", "a")) is None
        values = ["repair.withdraw:1", "repair.accept:1", "17.place=lift", "my", "my"]
        return [key_of(link, value, press) for value, press in zip(values, "abcde", strict=True)]

    made = write(building, keys)
    assert len(set(made[:3])) == 1 and len(set(made)) == 3
    assert not any(token in key for key in made)


async def test_expired_links_are_forgotten_with_the_rest(building: Building, owner: Phone) -> None:
    await owner.says("帮助")
    link_to(building, "陈女士", last_row(building, "陈女士"))
    write(building, begin_retention)
    await building.later(days=40)
    assert building.read(select(Link)) == []
