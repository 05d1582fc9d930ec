"""A number that is shared, a button that asks for one, and files of the staff, on the strict Telegram server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import telegram
from sqlmodel import col, select

from bot.telegram_said import said_from
from conversations.said import Contact, File, Said
from handlers.inbox import said_in
from handlers.tell import Button, place_of, tell
from handlers.tx import Tx
from store.tables import Inbox, Outgoing, Person, Place
from tests.bot.hall import Hall, hall
from tests.bot_api import BotApi, User
from tests.people import photo
from tests.telegram_people import TelegramBuilding

LABEL = "📱 用手机号登记 Share my number"


# --- in -----------------------------------------------------------------------------------------------


def said(update: dict[str, Any]) -> Said:
    bot: Any = SimpleNamespace(id=123456789, username="linli_test_bot")
    found = said_from(telegram.Update.de_json(update), bot, datetime.now(UTC))
    assert found is not None
    return found


@pytest.fixture
def anna() -> User:
    return BotApi().user("Anna")


@pytest.mark.parametrize("phone", ["8613800138000", "+8613800138000"])
def test_whose_number_it_is_is_what_telegram_says(anna: User, phone: str) -> None:
    li = anna.api.user("Li")
    anna.sends_contact(phone, anna.id)
    anna.sends_contact(phone, li.id)
    anna.sends_contact(phone)
    anna.sends_contact(phone, anna.id, forwarded_from=li)
    heard = [said(update) for update in anna.api.updates]
    assert [each.contact for each in heard] == [
        Contact(phone="+8613800138000", own=True),
        *[Contact(phone=phone, own=False)] * 3,
    ]
    assert {(each.text, each.other, each.place_kind) for each in heard} == {("", "", "private")}


def test_in_a_group_a_card_is_no_number_of_anybody(anna: User) -> None:
    group = anna.api.group("Yard", anna)
    group.adds_bot()
    anna.sends_contact("+8613800138000", anna.id, group)
    heard = said(anna.api.updates[-1])
    assert (heard.contact, heard.other, heard.place_kind) == (None, "contact", "group")


# --- out ----------------------------------------------------------------------------------------------


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Hall]:
    async with hall(tmp_path / "data") as made:
        yield made


async def tells(there: Hall, keyboard: str, *, place: str = "", **options: Any) -> None:
    """Let a message with a keyboard go out, to the owner or to a place of this kind."""

    def work(tx: Tx) -> None:
        person = tx.session.exec(select(Person).where(Person.name == "陈女士")).one()
        chat = select(Place).where(Place.kind == place, Place.messenger == "telegram")
        to = tx.session.exec(chat).one() if place else person
        tell(tx, to, "rest.text", text="请登记", keyboard=keyboard, **options)

    there.write(work)
    await there.delivers()


async def test_the_button_is_offered_used_and_taken_away(there: Hall) -> None:
    owner = there.people["owner"]
    await tells(there, "contact")
    (key,) = owner.chat.keys
    assert (key, owner.chat.keys_once) == ({"text": LABEL, "request_contact": True}, True)
    owner.shares_contact("+8613800138000")
    await there.settles()
    (row,) = there.read(select(Inbox).where(col(Inbox.key).contains(f".{owner.id}.")))
    assert row.payload["contact"]["own"] is True
    await tells(there, "contact")
    await tells(there, "")
    assert owner.chat.keyboard == [LABEL]
    await tells(there, "remove")
    assert owner.chat.keyboard == []
    assert [shown.buttons for shown in owner.chat.from_bot[:1]] == [{}]


@pytest.mark.parametrize("place", ["staff", "board"])
async def test_a_group_is_asked_for_no_number(there: Hall, place: str) -> None:
    await tells(there, "contact", place=place)
    await tells(there, "remove", place=place)
    group = there.office if place == "staff" else there.board
    assert [shown.text for shown in group.from_bot[-2:]] == ["请登记", "请登记"]
    assert group.keyboard == []
    assert {row.state for row in there.rows()} == {"sent"}


async def test_buttons_go_before_a_keyboard(there: Hall) -> None:
    owner = there.people["owner"]
    await tells(there, "contact", buttons=(Button("help"),))
    assert owner.sees("请登记", "帮助") and owner.chat.keyboard == []


async def test_a_change_of_a_message_with_a_keyboard_comes_as_a_new_one(there: Hall) -> None:
    owner = there.people["owner"]

    def work(tx: Tx, text: str, keyboard: str = "") -> None:
        person = tx.session.exec(select(Person).where(Person.name == "陈女士")).one()
        assert place_of(tx, person) is not None
        tell(tx, person, "rest.text", text=text, card="note:1", keyboard=keyboard)

    there.write(lambda tx: work(tx, "请登记", "contact"))
    await there.delivers()
    there.write(lambda tx: work(tx, "登记好了"))
    await there.delivers()
    assert [shown.text for shown in owner.chat.from_bot] == ["请登记", "登记好了"]
    assert owner.chat.keyboard == [LABEL]
    # The server calls such a change a mistake: what is to be changed should have no keyboard.
    assert there.api.mistakes == ["editMessageText: Bad Request: message can't be edited"]
    there.api.mistakes.clear()


# --- files --------------------------------------------------------------------------------------------


def files(there: Hall) -> list[File]:
    rows = there.read(select(Inbox).order_by(col(Inbox.id)))
    return [file for row in rows for file in Said.model_validate(row.payload).files]


async def test_a_file_of_the_staff_is_kept_sealed(there: Hall) -> None:
    boss, data = there.people["boss"], "楼栋,单元,房号".encode("gb18030")
    boss.sends_document(data, "名册.csv", "text/csv", "新名册", there.office)
    await there.settles()
    (file,) = files(there)
    assert (file.kind, file.name, file.size, file.problem) == ("file", "名册.csv", len(data), "")
    media = there.app.media
    assert media.read_file(file.storage) == data
    assert data not in media.read(file.storage)


async def test_a_file_that_is_too_large_or_does_not_come_says_so(
    there: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = there.people["boss"]
    boss.sends_document(b"x", "大.zip", "application/zip", chat=there.office, size=30_000_000)
    await there.settles()
    there.api.fails("file", 502, times=3)
    boss.sends_document(b"x", "小.zip", "application/zip", chat=there.office)
    await there.settles()
    assert [(file.kind, file.name, file.problem, file.storage) for file in files(there)] == [
        ("file", "大.zip", "too_large", ""),
        ("file", "小.zip", "not_fetched", ""),
    ]


async def test_elsewhere_a_file_is_not_fetched(there: Hall) -> None:
    owner, neighbour, boss = (there.people[role] for role in ("owner", "neighbour", "boss"))
    owner.sends_document(b"%PDF", "a.pdf", "application/pdf")
    neighbour.sends_document(b"%PDF", "a.pdf", "application/pdf", "/help", there.board)
    boss.sends_voice(chat=there.office)
    await there.settles()
    owner.sees("不是照片")
    assert {(file.kind, file.storage, file.name) for file in files(there)} == {
        ("file", "", ""),
        ("voice", "", ""),
    }
    assert [call for call in there.api.calls if call.method in ("getFile", "file")] == []


async def test_a_picture_that_is_sent_as_a_file_is_a_photo(there: Hall) -> None:
    there.people["boss"].sends_document(photo(), "a.jpg", "image/jpeg", chat=there.office)
    await there.settles()
    (file,) = files(there)
    assert (file.kind, file.mime, file.name) == ("photo", "image/jpeg", "")


# --- the people of the tests --------------------------------------------------------------------------


async def test_the_people_of_the_tests_share_and_send(building: Any, owner: Any, office: Any) -> None:
    def work(session: Any) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        person = tx.session.exec(select(Person).where(Person.name == "陈女士")).one()
        tell(tx, person, "rest.text", text="请登记", keyboard="contact")

    with pytest.raises(AssertionError, match="no button asks"):
        await owner.shares_contact("13800138000")
    building.app.database.write_now(work)
    await building.settle()
    assert owner.chat.keyboard == "contact"
    await owner.shares_contact("138 0013 8000")
    assert owner.chat.keyboard == ""
    await owner.shares_contact("13900139000", own=False)
    await office.sends_file(b"a,b", "a.csv")
    await owner.sends_file(b"a,b", "a.csv")
    rows = building.read(select(Inbox).order_by(col(Inbox.id)))
    heard = [said_in(row, building.app.house.vault) for row in rows]
    plus = "+86" if isinstance(building, TelegramBuilding) else ""
    shared = [each.contact for each in heard if each.contact is not None]
    assert [(each.phone.replace(" ", ""), each.own) for each in shared] == [
        (f"{plus}13800138000", True),
        ("13900139000", False),
    ]
    kept, loose = (file for each in heard for file in each.files)
    assert building.app.media.read_file(kept.storage) == b"a,b"
    assert (kept.name, kept.kind, loose.kind, loose.storage) == ("a.csv", "file", "file", "")
    assert building.read(select(Outgoing).where(Outgoing.state == "failed")) == []
