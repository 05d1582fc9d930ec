"""The people of the tests: one more messenger on the same door, and a building that can be restarted."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from sqlalchemy import Table
from sqlmodel import Session, SQLModel, select

from bot import settings
from bot.app import App
from bot.clock import Clock
from bot.delivery import Letter, Never, Taken
from conversations.said import Contact, File, Said
from handlers.people import bind_account
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.tx import House, Tx
from store.tables import Community, CommunityRule, CommunitySetting, Member, Person
from store.vault import Vault

NAME = "test"
KEY = "a key of the tests"
HOUSE = House(Vault(KEY))
# A Monday, 09:00 in Shanghai.
MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
ROSTER = """楼栋,单元,房号,面积,姓名,身份,工种,值班,编号
3号楼,2单元,1201,89.35,陈女士,业主,,,
3号楼,2单元,1202,126.80,周先生,业主,,,
1号楼,1单元,101,102.46,王奶奶,业主,,,7
1号楼,2单元,803,118.20,王奶奶,业主,,,7
2号楼,1单元,1504,76.50,Mr Smith,租户,,,
,,,,李师傅,维修,,,
,,,,王师傅,维修,tap drain toilet leak pipe,08:00-20:00,
,,,,张师傅,维修,,20:00-08:00,
,,,,刘经理,物业,,,
"""


class StoppedClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.at = MORNING

    def now(self) -> datetime:
        return self.at


@dataclass
class Shown:
    """One message as it stands in a chat."""

    id: str
    text: str
    buttons: dict[str, str]
    photos: int
    silent: bool
    urgent: bool
    edited: bool = False
    seen: bool = False
    keyboard: str = ""
    pinned: bool = False


@dataclass
class Chat:
    """What one chat of the test messenger shows; it refuses what a real messenger would."""

    messages: list[Shown] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    """Of the community's group: what its members wrote and still stands, by its number."""
    keyboard: str = ""
    """"contact" while a button to share one's own number is offered."""

    def take(self, letter: Letter, number: str) -> str:
        row = letter.row
        if row.change == "remove":
            for each in (letter.row, *letter.more):
                self.members.pop(each.message_id, None)
            return ""
        if row.change == "silence":
            return ""
        if row.keyboard and (row.buttons or row.change != "send"):
            raise Never("a keyboard together with buttons, or with a change")
        if row.keyboard == "contact" and letter.place.kind != "private":
            raise Never("a number can be asked for in private chats only")
        if row.change == "delete" and not letter.message_id:
            raise Never("no message to delete")
        if row.change != "delete" and not 0 < len(row.text) <= 4096:
            raise Never("a text of a wrong size")
        if len(row.buttons) > 100 or any(
            not b["label"] or not 0 < len(b["value"].encode()) <= 64 for b in row.buttons
        ):
            raise Never("a button without a label, or with a value over 64 bytes")
        buttons = {button["label"]: button["value"] for button in row.buttons}
        assert len(buttons) == len(row.buttons), f"two buttons with one label: {row.buttons}"
        shown = Shown(
            number, row.text, buttons, len(row.photos), row.silent, row.lane == 0, keyboard=row.keyboard
        )
        if row.change in ("close", "pin", "unpin") and not letter.message_id:
            raise Never("no message to close or to pin")
        if row.change == "send" or not letter.message_id:
            self.messages.append(shown)
            if row.keyboard:
                self.keyboard = row.keyboard.replace("remove", "")
            return number
        (old,) = (message for message in self.messages if message.id == letter.message_id)
        if row.change == "delete":
            self.messages.remove(old)
            return old.id
        if row.change in ("pin", "unpin"):
            old.pinned = row.change == "pin"
            return old.id
        if (old.text, old.buttons) == (shown.text, shown.buttons):
            return old.id  # a real messenger says "not modified", which its adapter takes as done
        if old.keyboard:
            raise Never("a message with a keyboard can't be changed")
        old.text, old.buttons = shown.text, shown.buttons
        if row.change == "edit":  # what is closed is no news
            old.edited, old.seen = True, False
        return old.id


class Phone:
    """Somebody who talks with Linli in one chat."""

    def __init__(self, building: "Building", account: str, chat: str, kind: str = "private") -> None:
        self.building = building
        self.account = account
        self.place = chat
        self.kind = kind

    @property
    def chat(self) -> Chat:
        return self.building.chats.setdefault(self.place, Chat())

    async def says(self, text: str, *, files: Iterable[File] = (), key: str = "", other: str = "") -> None:
        """Type a text (or send files) and let everything that follows from it happen."""
        await self._send(text=text, files=tuple(files), other=other, key=key)

    async def offers(self, text: str) -> None:
        """Publish something, from one sentence to the last look."""
        for words in ("/sell", text, "跳过", "确认发布"):
            await self.says(words)

    async def taps(self, label: str) -> None:
        """Tap the latest button with this label."""
        for message in reversed(self.chat.messages):
            if label in message.buttons:
                await self._send(tap=message.buttons[label], on=message.id)
                return
        raise AssertionError(f"{self.account} has no button {label!r}:\n{self}")

    async def replies(self, text: str, to: Shown, *, edits: str = "", **what: Any) -> str:
        """Reply to a message, or change what one has replied; what the chat calls the reply."""
        number = edits or f"r{next(self.building.keys)}"
        await self._send(text=text, replies_to=to.id, number=number, edited=bool(edits), **what)
        return number

    async def forges(self, value: str) -> None:
        """Send a button that was never shown."""
        await self._send(tap=value)

    async def sends_photo(self, data: bytes | None = None) -> None:
        """Send a photo."""
        kept = self.building.app.media.keep_photo(data if data is not None else photo())
        await self.says(
            "", files=[File(storage=kept.storage, mime=kept.mime, size=kept.size, problem=kept.problem)]
        )

    async def sends_recording(self, form: str = "ogg", data: bytes | None = None, *, words: str = "") -> None:
        """Send a voice message or a video; of some messengers also with what was said in it."""
        kind = "voice" if form in VOICES else "video"
        bytes_ = data if data is not None else recording(form)
        kept = self.building.app.media.keep_recording(bytes_, kind)
        file = File(kind=kind, storage=kept.storage, mime=kept.mime, size=kept.size, problem=kept.problem)
        await self.says(words, files=[file.model_copy(update={"heard": bool(words)})])

    async def shares_contact(self, number: str, *, own: bool = True) -> None:
        """Press the button that shares one's own number; or send the card of somebody else."""
        if own:
            assert self.chat.keyboard == "contact", f"no button asks for {self.account}'s number:\n{self}"
            self.chat.keyboard = ""
        await self._send(contact=Contact(phone=number, own=own))

    async def sends_file(self, data: bytes, name: str) -> None:
        """Send a file that is no photo; like a real adapter it is kept in the admin group alone."""
        file = File(kind="file", size=len(data))
        if self.kind == "staff":
            kept = self.building.app.media.keep_file(data)
            file = File(kind="file", storage=kept.storage, size=kept.size, problem=kept.problem, name=name)
        await self._send(files=(file,))

    async def posts(self, text: str = "", *, edits: str = "", at_once: bool = False, **what: Any) -> str:
        """Say something in the community's group, or change what one has said there; what the group calls it.

        `at_once`: more follows before anything else happens.
        """
        self._look()
        building = self.building
        number = edits or f"m{next(building.keys)}"
        group = building.chats.setdefault("board", Chat())
        assert not edits or edits in group.members, "what is gone cannot be changed"
        assert not building.is_silent(self.account), f"{self.account} may not write in the group"
        group.members[number] = text
        said = Said(
            messenger=NAME,
            key=f"{self.account}-{next(building.keys)}",
            place="board",
            sender=self.account,
            name=self.account,
            at=building.clock.now(),
            place_kind="group",
            text=text,
            number=number,
            edited=bool(edits),
            **what,
        )
        await (building.app.receive(said) if at_once else building.receive(said))
        return number

    def _look(self) -> None:
        for message in self.chat.messages:
            message.seen = True

    async def _send(self, *, key: str = "", **what: Any) -> None:
        self._look()
        key = key or f"{self.account}-{next(self.building.keys)}"
        await self.building.receive(
            Said(
                messenger=NAME,
                key=key,
                place=self.place,
                sender=self.account,
                at=self.building.clock.now(),
                place_kind="private" if self.kind == "private" else "group",
                **what,
            )
        )

    def sees(self, text: str, *labels: str) -> Shown:
        """The first message since this person last did something that holds the text and has these buttons."""
        for message in self.chat.messages:
            if not message.seen and text in message.text and set(labels) <= set(message.buttons):
                message.seen = True
                return message
        raise AssertionError(f"{self.account} does not see {text!r} {labels}:\n{self}")

    def sees_nothing(self) -> None:
        """No message has come since this person last did something."""
        assert [message.text for message in self.chat.messages if not message.seen] == []

    @property
    def last(self) -> Shown:
        return self.chat.messages[-1]

    def __str__(self) -> str:
        return "\n".join(
            f"  {'·' if m.seen else '*'} {m.text!r} {list(m.buttons)}" for m in self.chat.messages[-8:]
        )


_furnished: dict[str, dict[Table, list[dict[str, Any]]]] = {}
"""The rows of a building that was just furnished, by all that they depend on."""


def _write_again(session: Session, rows: dict[Table, list[dict[str, Any]]]) -> None:
    connection = session.connection()
    for table, found in rows.items():
        connection.execute(table.insert(), found)
    if connection.dialect.name == "postgresql":  # which does not count what came with its number
        counted = [table.name for table in rows if "id" in table.c]
        numbers = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), max(id)) FROM {0}"
        connection.exec_driver_sql(" UNION ALL ".join(map(numbers.format, counted)))


class Building:
    """A community with its people, on one database, with a clock that the test moves."""

    messenger = NAME
    has_group = True
    """Whether its messenger has a group of the community in which members write."""
    changes = True
    """Whether its messages can be changed and taken back, and come without a sound."""
    policy: ClassVar = {"office_phone": "021-5555 0110"}

    def __init__(self, data: Path, url: str, clock: StoppedClock | None = None) -> None:
        self.data = data
        self.url = url
        self.clock = clock or StoppedClock()
        self.chats: dict[str, Chat] = {}
        self.keys: Iterator[int] = itertools.count(1)
        self.numbers: Iterator[int] = itertools.count(1)
        self.app = self._app()
        self.community = self.app.database.write_now(self._furnish)

    def _app(self) -> App:
        found = settings.load(store={"data": str(self.data), "url": self.url}, policy=self.policy)
        return App(found, clock=self.clock, senders={NAME: self._send})

    def _furnish(self, session: Session) -> Community:
        """The community and its people; what this writes is worked out once, and written again for all alike."""
        names = dict.fromkeys(line.split(",")[4] for line in ROSTER.splitlines()[1:])
        people = {name: (self.messenger_of(name), self.account(name)) for name in names}
        places = {kind: (self.messenger_of(kind), self.chat_id(kind)) for kind in ("staff", "board")}
        alike = repr((self.app.house.policy, self.clock.at, people, places))
        if alike in _furnished:
            _write_again(session, _furnished[alike])
            return session.exec(select(Community)).one()
        tx = Tx(session, self.clock.now(), self.app.house)
        community = add_community(tx, "阳光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for person in session.exec(select(Person)).all():
            bind_account(tx, person, *people[person.name], agreed=True)
        for kind, place in places.items():
            add_place(tx, community, *place, kind)
        session.flush()
        tables = SQLModel.metadata.sorted_tables
        rows = {each: session.connection().execute(each.select()).mappings().all() for each in tables}
        _furnished[alike] = {table: list(map(dict, found)) for table, found in rows.items() if found}
        return community

    def messenger_of(self, name: str) -> str:
        """Where somebody of this name is, the admin group ("staff") or the board."""
        return self.messenger

    def account(self, name: str) -> str:
        """What the messenger calls the account of somebody of this name."""
        return name

    def chat_id(self, name: str) -> str:
        """What the messenger calls somebody's chat, the admin group ("staff") or the board."""
        return name

    async def open(self) -> None:
        """Let the messenger be reached."""

    async def _send(self, letter: Letter) -> Taken:
        chat = self.chats.setdefault(letter.place.external_id, Chat())
        return Taken(chat.take(letter, str(next(self.numbers))))

    def phone(self, name: str) -> Phone:
        """The private chat of somebody of the roster, or of a stranger."""
        return Phone(self, name, name)

    def group(self, member: str) -> Phone:
        """The admin group, used by this member."""
        return Phone(self, member, "staff", "staff")

    @property
    def board(self) -> Phone:
        return Phone(self, "board", "board", "board")

    @property
    def talk(self) -> list[str]:
        """What members said in the community's group and still stands there."""
        return list(self.chats.setdefault("board", Chat()).members.values())

    def is_silent(self, name: str) -> bool:
        """Whether a member of the group may not write there now."""
        found = self.read(select(Member).where(Member.account == self.account(name)))
        return any(each.silent_until is not None and each.silent_until > self.clock.now() for each in found)

    def set_policy(self, name: str, value: Any) -> None:
        """Let the community differ from the installation's default."""
        row = CommunitySetting(community_id=self.community.id, name=name, value=value)
        self.app.database.write_now(lambda session: session.merge(row))

    def add_rule(self, rule: str, word: str, verdict: str, sentence: str = "不得买卖券") -> None:
        """Let a word of its own count in the community, so that a test does not depend on the words of the file."""
        row = CommunityRule(
            community_id=self.community.id,
            judgement="conduct",
            rule=rule,
            words=[word],
            verdict=verdict,
            kind="ad",
            sentence=sentence,
            created_at=self.clock.now(),
        )
        self.app.database.write_now(lambda session: session.add(row))

    async def receive(self, said: Said) -> None:
        """Let a message come in, and everything that follows from it go out."""
        await self.app.receive(said)
        await self.settle()

    async def settle(self) -> None:
        """Let due timers fire, and deliver until nothing waits."""
        await self.app.ticker.tick()
        while await self.app.delivery.once():
            pass

    async def later(self, **time: float) -> None:
        """Move the clock on and let what became due happen."""
        self.clock.at += timedelta(**time)
        await self.settle()

    async def restart(self) -> None:
        """Stop the program and start it again on the same data."""
        await self.app.stop()
        self.app = self._app()
        await self.settle()

    async def close(self) -> None:
        await self.app.stop()

    def read(self, query: Any) -> list[Any]:
        """The rows of a query."""
        with self.app.database.read() as session:
            return list(session.exec(query).all())


RECORDINGS = {
    "ogg": b"OggS\0\2 a voice",
    "amr": b"#!AMR\n a voice",
    "mp3": b"ID3\4 a voice",
    "m4a": b"\0\0\0\x20ftypM4A a voice",
    "mp4": b"\0\0\0\x18ftypmp42 a video",
    "mov": b"\0\0\0\x14ftypqt   a video",
    "3gp": b"\0\0\0\x14ftyp3gp5 a video",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm a video",
}
"""As much of a recording as tells what it is."""
VOICES = ("ogg", "amr", "mp3", "m4a")


def recording(form: str, size: int = 0, name: str = "") -> bytes:
    """The bytes of a voice message or a video, perhaps of this size."""
    return (RECORDINGS[form] + name.encode()).ljust(size, b"\0")


def photo(width: int = 40, height: int = 30, **options: Any) -> bytes:
    """The bytes of a JPEG."""
    out = BytesIO()
    Image.new("RGB", (width, height), "orange").save(out, "JPEG", **options)
    return out.getvalue()


def unique(name: str) -> str:
    """A database's name that no other run uses."""
    return f"{name}_{os.getpid()}_{next(_numbers)}"


_numbers = itertools.count(1)
