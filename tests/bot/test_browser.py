"""The browser messenger on its own: numbers that are shared, files of the staff, and phones for strangers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, col, select

from bot import settings
from bot.app import App
from bot.browser import Browser
from bot.playground import Message, Upload
from conversations.said import Contact, File, Said
from handlers.inbox import said_in
from handlers.people import add_account, new_person
from handlers.posts import take_out
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.migrations import upgrade
from store.tables import Account, Inbox, Member, Person, Place, Post, Role
from tests.people import StoppedClock, photo, recording


class Room:
    """The playground's demo community, without its pages."""

    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def browser(self) -> Browser:
        return self.app.browser

    def chat(self, name: str) -> str:
        return f"{self.browser.community_id}.{name}"

    async def says(self, who: str, key: str, *, place: str = "", **what: Any) -> None:
        chat = self.chat(place or who)
        assert await self.browser.say(place=chat, who=self.chat(who), key=key, **what) == ""

    async def tells(self, name: str, keyboard: str = "", **options: Any) -> None:
        """Let a message go out to a chat."""

        def work(session: Session) -> None:
            tx = Tx(session, self.app.clock.now(), self.app.house)
            place = session.exec(select(Place).where(Place.external_id == self.chat(name))).one()
            tell(tx, place, "rest.text", text="请登记", keyboard=keyboard, **options)

        await self.app.database.write(work)
        await self.delivers()

    async def delivers(self) -> None:
        while await self.app.delivery.once():
            pass

    def shown(self, who: str, place: str = "") -> list[Message]:
        return self.browser.history(self.chat(place or who), self.chat(who))

    def asking(self, name: str) -> list[bool]:
        """Of each message in a chat, whether the contact button stands below it."""
        return [message.asks_number for message in self.shown(name)]

    def read(self, query: Any) -> list[Any]:
        with self.app.database.read() as session:
            return list(session.exec(query).all())

    def heard(self) -> Said:
        row = self.read(select(Inbox).order_by(col(Inbox.id)))[-1]
        return said_in(row, self.app.house.vault)

    def holders(self, slot: str) -> list[str]:
        phone = next(phone for phone in self.browser.phones("zh") if phone.slot == slot)
        return [f"{person.name} · {person.note}" for person in phone.people]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    app = App(settings.load(store={"data": str(tmp_path)}), clock=StoppedClock())
    await asyncio.to_thread(upgrade, app.database.engine)
    await app.browser.open()
    yield Room(app)
    await app.stop()


# --- a number -----------------------------------------------------------------------------------------


async def test_the_button_stands_below_the_newest_message_that_asks(room: Room) -> None:
    await room.tells("stranger", "contact")
    await room.tells("stranger")
    assert room.asking("stranger") == [True, False]
    await room.tells("stranger", "contact")
    assert room.asking("stranger") == [False, False, True]
    await room.tells("stranger", "remove")
    assert room.asking("stranger") == [False] * 4


async def test_like_on_a_real_messenger_it_stands_in_private_chats_and_without_buttons(room: Room) -> None:
    await room.tells("staff", "contact")
    await room.tells("stranger", "contact", buttons=(Button("help"),))
    assert [message.asks_number for message in room.shown("p1", "staff")] == [False]
    assert room.asking("stranger") == [False]


async def test_a_number_that_is_shared_is_the_phone_s_own(room: Room) -> None:
    await room.says("stranger", "1", contact="+86 138 0013 8000")
    assert room.heard().contact == Contact(phone="+86 138 0013 8000", own=True)
    assert "0013 8000" not in str(room.read(select(Inbox))[-1].payload)  # it is kept sealed
    (first, *_) = room.shown("stranger")
    assert (first.text, first.mine) == ("📱 138****8000", True)
    await room.says("p1", "2", place="staff", contact="13800138000")
    assert room.heard().contact is None


# --- files --------------------------------------------------------------------------------------------

ROSTER = Upload("名册.csv", "text/csv", b"a,b")


async def test_a_file_in_the_admin_group_is_kept_sealed_and_named(room: Room) -> None:
    picture = Upload("a.jpg", "image/jpeg", photo())
    await room.says("p1", "1", place="staff", uploads=[ROSTER, picture])
    file, shown = room.heard().files
    assert (file.kind, file.name, file.size, file.problem) == ("file", "名册.csv", 3, "")
    assert room.app.media.read_file(file.storage) == b"a,b"
    assert (shown.kind, shown.name, shown.mime) == ("photo", "", "image/jpeg")
    (message,) = room.shown("p1", "staff")
    assert message.files == ("名册.csv",)
    assert message.photos == (f"/playground/media/{shown.storage}",)
    chat, who = room.chat("staff"), room.chat("p1")
    assert room.browser.media(file.storage, chat, who) is None
    assert room.browser.media(shown.storage, chat, who) is not None


async def test_elsewhere_a_file_is_a_photo_that_is_none(room: Room) -> None:
    await room.says("p1", "1", uploads=[ROSTER])
    assert room.heard().files == (File(problem="not_a_photo"),)


# --- phones -------------------------------------------------------------------------------------------


async def test_three_strangers_and_one_at_work_are_called_by_their_name_once_they_have_come_in(
    room: Room,
) -> None:
    for slot, numbers in (("owner", (1, 2, 3)), ("neighbour", (1, 2, 3)), ("crew", (3,))):
        strangers = [each for each in room.holders(slot) if each.startswith("陌生人")]
        assert strangers == [f"陌生人 {number} · 未登记" for number in numbers]
    assert len([each for each in room.holders("staff") if "陌生人" in each]) == 0

    def comes_in(session: Session) -> None:
        tx = Tx(session, room.app.clock.now(), room.app.house)
        for name, account in (("陈女士", "stranger2"), ("", "stranger3")):
            person = new_person(tx, room.browser.community_id, name)
            add_account(tx, person, "browser", room.chat(account))

    await room.app.database.write(comes_in)
    assert room.holders("owner")[-3:] == ["陌生人 1 · 未登记", "陌生人 2 · 陈女士", "陌生人 3 · 未登记"]
    for who in ("stranger", "stranger2", "stranger3"):
        await room.says(who, "1", text="你好")
        await room.delivers()
        assert len(room.shown(who)) > 1
    english = room.browser.phones("en")[0].people[-3]
    assert (english.name, english.note) == ("Stranger 1", "not registered")


async def test_who_is_of_the_roster_has_a_phone_and_has_agreed(room: Room) -> None:
    def work(session: Session) -> None:
        tx = Tx(session, room.app.clock.now(), room.app.house)
        known, guest = (new_person(tx, room.browser.community_id, name) for name in ("新来的", "客人"))
        session.add(Role(community_id=known.community_id, person_id=known.id, role="committee"))
        add_account(tx, guest, "browser", room.chat("stranger"))

    await room.app.database.write(work)
    await room.browser.open()
    accounts = room.read(select(Person.name, Account.external_id, Account.agreed_at).join(Person))
    agreed = {name for name, external_id, at in accounts if at is not None}
    assert {"陈女士", "李师傅", "刘经理", "新来的"} <= agreed
    assert [external_id for name, external_id, at in accounts if at is None] == [room.chat("stranger")]
    assert room.holders("staff") == ["刘经理 · ", "小何 · "]


async def test_who_forgot_themselves_gets_no_phone_again(room: Room) -> None:
    await room.says("p1", "1", text="/forget")
    await room.says("p1", "2", tap="erase")
    assert [message.text for message in room.shown("p1") if message.mine] == ["确定注销"]
    await room.browser.open()
    assert [name for name in room.holders("owner") if "3 号楼 2 单元 1201" in name] == []
    assert room.read(select(Account).where(Account.external_id == room.chat("p1"))) == []


# --- the demo community -----------------------------------------------------------------------------


async def test_the_demo_community_has_a_register_of_equipment(room: Room) -> None:
    await room.says("p1", "1", text="设备")
    await room.delivers()
    shown = room.shown("p1")[-1].text
    assert "电动车充电桩 4 个 · 3 号楼东侧 · 2021 年装 · 近一年没有报修" in shown
    assert "监控摄像头 12 个 · 各出入口" in shown


@pytest.mark.parametrize(
    ("form", "claimed", "kind", "mime"),
    [
        ("ogg", "audio/ogg", "voice", "audio/ogg"),
        ("amr", "application/octet-stream", "voice", "audio/amr"),
        ("mp4", "video/mp4", "video", "video/mp4"),
        ("webm", "", "video", "video/webm"),
        ("m4a", "video/mp4", "voice", "audio/mp4"),
    ],
)
async def test_a_recording_is_shown_and_played_where_it_was_sent(
    room: Room, form: str, claimed: str, kind: str, mime: str
) -> None:
    await room.says("p1", "k", uploads=[Upload(f"a.{form}", claimed, recording(form))])
    (file,) = room.heard().files
    assert (file.kind, file.mime, file.problem) == (kind, mime, "")
    message = next(each for each in room.shown("p1") if each.mine)
    assert [(each.address, each.mime) for each in message.recordings] == [
        (f"/playground/media/{file.storage}", mime)
    ]
    assert (message.photos, message.files) == ((), ())
    one, other = room.chat("p1"), room.chat("p2")
    assert room.browser.media(file.storage, one, one) == (recording(form), mime)
    assert room.browser.media(file.storage, other, other) is None


# --- the owners' group --------------------------------------------------------------------------------


async def test_owners_talk_in_their_group_and_see_what_is_gone(room: Room) -> None:
    owner, neighbour = (phone.who.partition(".")[2] for phone in room.browser.phones("zh")[:2])
    (board,) = [phone for phone in room.browser.phones("zh") if phone.slot == "board"]
    assert {person.place for person in board.people} == {room.chat("board")} and board.words_only
    await room.says(owner, "1", place="board", text="今晚停水到几点？")
    shown = room.shown(neighbour, "board")
    assert [(each.text, each.mine, bool(each.sender)) for each in shown] == [
        ("今晚停水到几点？", False, True)
    ]
    assert room.shown(owner, "board")[0].mine
    await room.app.database.write(lambda session: _takes_out(session, room))
    await room.delivers()
    assert [(each.text, each.deleted) for each in room.shown(owner, "board")] == [("", True)]


async def test_whoever_is_silent_cannot_write_in_the_group_and_nobody_sends_files_there(room: Room) -> None:
    owner = room.browser.phones("zh")[0].who
    board, clock = room.chat("board"), room.app.clock
    say = partial(room.browser.say, place=board, who=owner)
    assert (
        await say(key="1", uploads=[Upload("a.jpg", "image/jpeg", photo())]) == "试用场的业主群只能发文字。"
    )

    def silences(session: Session) -> None:
        place = session.exec(select(Place).where(Place.external_id == board)).one()
        until = clock.now() + timedelta(hours=1)
        row = {"community_id": place.community_id, "place_id": place.id, "account": owner}
        session.add(Member.model_validate({**row, "silent_until": until}))

    await room.app.database.write(silences)
    assert await say(key="2", text="你好") == "您在业主群里禁言到 今天 10:00，到时自动解除。"
    assert room.read(select(Post)) == []
    assert isinstance(clock, StoppedClock)
    clock.at += timedelta(hours=1)
    assert await say(key="3", text="你好") == ""


def _takes_out(session: Session, room: Room) -> None:
    tx = Tx(session, room.app.clock.now(), room.app.house)
    post = session.exec(select(Post)).one()
    take_out(tx, session.get_one(Place, post.place_id), post)
