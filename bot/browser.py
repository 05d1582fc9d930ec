"""The browser messenger: its chats are read from the rows that came in and went out; nothing else is stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog
from sqlmodel import Session, col, select, union

from bot.delivery import Letter, Taken
from bot.playground import Button, Document, Message, Person, Phone, Recording, Upload
from conversations.said import Contact, File, Said
from conversations.steps import RECORDINGS
from conversations.words import LANGUAGES, texts
from handlers import board_page
from handlers.equipment_file import import_register
from handlers.holidays import begin_calendar
from handlers.inbox import said_in
from handlers.people import bind_account, homes_of
from handlers.phones import masked, normal_phone
from handlers.repair_cards import address
from handlers.roster import add_community, add_place, import_roster, read_roster
from handlers.tell import REMOVAL, URGENT
from handlers.tx import Tx
from store import tables
from store.database import StoreUnavailable
from store.media import recording_type
from store.tables import (
    Account,
    Community,
    CommunitySetting,
    HomeRole,
    Inbox,
    Media,
    Member,
    Outgoing,
    Place,
    Post,
    Role,
    Timer,
)
from store.vault import WrongKey

if TYPE_CHECKING:
    from bot.app import App

log = structlog.get_logger()

NAME = "browser"
ROSTER = Path(__file__).parent / "demo" / "roster.csv"
EQUIPMENT = ROSTER.with_name("equipment.csv")
DEMO = "阳光花园（演示）"
SHIFT = "playground.clock_shift"
DEMO_STATE = "playground.demo"
RESTS = "rests"
STRANGERS = ("stranger", "stranger2", "stranger3")
MOST_RESIDENTS = 40
HISTORY = 400
SEALED_FILE = "application/octet-stream"
KINDS = {"image": "photo", "audio": "voice", "video": "video"}
"""What a file is by the first half of its type."""
TITLES = {
    "owner": ("业主", "Owner"),
    "neighbour": ("另一位业主", "Another owner"),
    "staff": ("物业管理群", "Admin group"),
    "crew": ("维修师傅", "Repair crew"),
    "board": ("业主群与公示栏", "Owners' group and board"),
}
A_STRANGER = ("陌生人", "Stranger")
NOT_YET = ("未登记", "not registered")


class Browser:
    """The messenger behind the playground: `say` is its way in, `send` its way out."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self.watchers: set[asyncio.Queue[frozenset[str] | None]] = set()
        self.community = DEMO
        self.community_id = 0
        self.is_demo = False
        self.zone = ZoneInfo("Asia/Shanghai")

    # --- the two functions of a messenger ---

    async def say(
        self,
        *,
        place: str,
        who: str,
        key: str,
        text: str = "",
        tap: str = "",
        on: str = "",
        replies_to: str = "",
        contact: str = "",
        uploads: Sequence[Upload] = (),
    ) -> str:
        """Take one message; "" once it is committed, else a sentence for its sender."""
        in_group, among_owners = place == self._chat("staff"), place == self._chat("board")
        try:
            if among_owners and (
                refused := await asyncio.to_thread(self._refused_in_group, place, who, uploads)
            ):
                return refused
            if not await asyncio.to_thread(self._knows, who):
                await self.app.database.write(self._welcome)
            files = tuple([await self._kept(upload, in_group) for upload in uploads])
        except StoreUnavailable as error:
            log.error("a message was not kept", error=str(error))
            return texts("zh")["failed.not_kept"]
        said = Said(
            messenger=NAME,
            key=f"{who}:{key}",
            place=place,
            sender=who,
            at=self.app.clock.now(),
            place_kind="group" if in_group or among_owners else "private",
            name=await asyncio.to_thread(self._name_of, who) if among_owners else "",
            text=text,
            tap=tap,
            on=on.removeprefix("o"),
            replies_to=replies_to.removeprefix("o"),
            contact=Contact(phone=contact, own=True) if contact and not (in_group or among_owners) else None,
            files=files,
        )
        try:
            await self.app.receive(said)
        except StoreUnavailable as error:
            log.error("a message was not kept", error=str(error))
            return texts("zh")["failed.not_kept"]
        self._changed(place)
        return ""

    def _refused_in_group(self, place: str, who: str, uploads: Sequence[Upload]) -> str:
        """Why somebody cannot write in the owners' group now, in words; empty if they can."""
        if uploads:
            return texts("zh")["playground.words_only"]
        with self.app.database.read() as session:
            found = select(Member).join(Place, col(Place.id) == col(Member.place_id))
            member = session.exec(
                found.where(Place.messenger == NAME, Place.external_id == place, Member.account == who)
            ).first()
            until = member.silent_until if member is not None else None
            if until is None or until <= self.app.clock.now():
                return ""
            reader = Tx(session, self.app.clock.now(), self.app.house).reader(self.community_id)
            return reader.say("playground.silent", until=until)

    def _name_of(self, who: str) -> str:
        with self.app.database.read() as session:
            return self._names(session, {who}).get(who, "")

    async def _kept(self, upload: Upload, in_group: bool) -> File:
        """A photo or a recording; in the admin group also a file that is none.

        What the browser has no name for, its first bytes may tell.
        """
        kind = KINDS.get(upload.mime.partition("/")[0], "")
        if not kind and recording_type(upload.data, "video"):
            kind = "video"
        kind = kind or ("file" if in_group else "photo")
        return await self.app.keep(kind, upload.data, upload.name if kind == "file" else "")

    async def send(self, letter: Letter) -> Taken:
        """Deliver one letter: its row is the message. What is removed, and who is silent, stands in rows of its own."""
        return Taken(letter.message_id or str(letter.row.id))

    def delivered(self, letter: Letter) -> None:
        """Let the pages look again."""
        if letter.place.messenger == NAME:
            self._changed(letter.place.external_id)

    # --- what the page needs ---

    def phones(self, language: str) -> list[Phone]:
        """The five screens and who may hold them."""
        column = LANGUAGES.index(language)
        with self.app.database.read() as session:
            residents, staff, crew = self._people(session)
            strangers = self._strangers(session, column)
            page = board_page.address(Tx(session, self.app.clock.now(), self.app.house), self.community_id)
        owners, workers = (*residents, *strangers), (*crew, strangers[-1])
        group, board = self._chat("staff"), self._chat("board")
        neighbours = tuple(Person(each.account, each.name, each.note, board) for each in residents)
        members = tuple(Person(each.account, each.name, each.note, group) for each in staff)
        at_work = members[0].account if members else ""
        return [
            Phone("owner", TITLES["owner"][column], owners, owners[0].account),
            Phone("neighbour", TITLES["neighbour"][column], owners, owners[1 % len(owners)].account),
            Phone("staff", TITLES["staff"][column], members, at_work, group, any_file=True, replies=True),
            Phone("crew", TITLES["crew"][column], workers, workers[0].account),
            Phone(
                "board",
                TITLES["board"][column],
                neighbours,
                neighbours[0].account if neighbours else "",
                board,
                words_only=True,
                page=page,
            ),
        ]

    def _people(self, session: Session) -> tuple[list[Person], list[Person], list[Person]]:
        tx = Tx(session, self.app.clock.now(), self.app.house)
        at_home = select(HomeRole.person_id).where(HomeRole.community_id == self.community_id)
        residents = session.exec(
            select(tables.Person)
            .where(col(tables.Person.id).in_(at_home), tables.Person.name != "")
            .order_by(col(tables.Person.id))
            .limit(MOST_RESIDENTS)
        )
        shown = []
        for person in residents:
            home = homes_of(tx, person)[0]
            note = tx.reader(self.community_id).show(address(home))
            shown.append(self._holder(person, note))
        work: dict[str, list[Person]] = {"staff": [], "crew": []}
        for person, role in session.exec(
            select(tables.Person, Role)
            .join(Role, col(Role.person_id) == col(tables.Person.id))
            .where(Role.community_id == self.community_id, col(Role.role).in_(list(work)))
            .order_by(col(tables.Person.id))
        ):
            work[role.role].append(self._holder(person, role.duty))
        return shown, work["staff"], work["crew"]

    def _strangers(self, session: Session, column: int) -> list[Person]:
        """Phones of whoever comes from outside; once they have come in, with the name."""
        accounts = [self._chat(name) for name in STRANGERS]
        names = self._names(session, set(accounts))
        return [
            Person(account, f"{A_STRANGER[column]} {number}", names.get(account) or NOT_YET[column], account)
            for number, account in enumerate(accounts, 1)
        ]

    def _holder(self, person: tables.Person, note: str) -> Person:
        account = self._chat(f"p{person.id}")
        return Person(account, person.name, note, account)

    def history(self, place: str, who: str, limit: int = 100) -> list[Message]:
        """The last messages of a chat, oldest first: what came in, and what was sent, with its later edits."""
        with self.app.database.read() as session:
            chat = session.exec(
                select(Place).where(Place.messenger == NAME, Place.external_id == place)
            ).first()
            heard: Sequence[Inbox] = ()
            posts: Sequence[Post] = ()
            if chat is not None and chat.kind == "board":
                theirs = select(Post).where(Post.place_id == chat.id)
                posts = session.exec(theirs.order_by(col(Post.id).desc()).limit(HISTORY)).all()
            else:
                heard = session.exec(
                    select(Inbox)
                    .where(Inbox.messenger == NAME, Inbox.place == place)
                    .order_by(col(Inbox.id).desc())
                    .limit(HISTORY)
                ).all()
            names = self._names(session, {row.sender for row in heard})
            sent: Sequence[Outgoing] = ()
            if chat is not None:
                sent = session.exec(
                    select(Outgoing)
                    .where(Outgoing.place_id == chat.id, Outgoing.state == "sent", Outgoing.lane != REMOVAL)
                    .order_by(col(Outgoing.id).desc())
                    .limit(HISTORY)
                ).all()
            shown = {photo for row in sent for photo in row.photos}
            files = {each.id: each for each in session.exec(select(Media).where(col(Media.id).in_(shown)))}
        labels = {button["value"]: button["label"] for row in reversed(sent) for button in row.buttons}
        lines = [(row.received_at, 0, row.id, self._heard(row, who, names, labels)) for row in heard]
        lines += [(row.at, 0, row.id, self._posted(row, who)) for row in posts]
        private = chat is not None and chat.kind == "private"
        lines += [(row.created_at, 1, row.id, message) for row, message in self._sent(sent, private, files)]
        lines.sort(key=lambda line: line[:3])
        return [message for *_, message in lines][-limit:]

    def _posted(self, row: Post, who: str) -> Message:
        """What a member said in the owners' group."""
        return Message(
            id=f"p{row.id}",
            mine=row.account == who,
            text="" if row.removed_at else row.text,
            sender=row.name,
            edited=row.edited_at is not None,
            deleted=row.removed_at is not None,
            key=row.message_id.partition(":")[2],
            at=self._hour(row.at),
            day=self._day(row.at),
        )

    def _heard(self, row: Inbox, who: str, names: dict[str, str], labels: dict[str, str]) -> Message:
        said = said_in(row, self.app.house.vault)
        usual = texts("zh").get(f"button.{said.tap.partition(':')[0]}", said.tap)
        text = said.text or labels.get(said.tap, usual)
        if said.contact is not None:
            text = f"📱 {masked(normal_phone(said.contact.phone) or said.contact.phone)}"
        return Message(
            id=f"i{row.id}",
            mine=row.sender == who,
            text=text,
            sender=names.get(row.sender, ""),
            photos=tuple(
                f"/playground/media/{file.storage}"
                for file in said.files
                if file.kind == "photo" and file.storage
            ),
            recordings=tuple(
                Recording(f"/playground/media/{file.storage}", file.mime)
                for file in said.files
                if file.kind in RECORDINGS and file.storage
            ),
            files=tuple(file.name for file in said.files if file.kind == "file"),
            key=row.key.partition(":")[2],
            at=self._hour(row.received_at),
            day=self._day(row.received_at),
        )

    def _sent(
        self, rows: Sequence[Outgoing], private: bool, media: dict[int, Media]
    ) -> list[tuple[Outgoing, Message]]:
        shown: dict[str, tuple[Outgoing, Message]] = {}
        keyboard = next((row for row in rows if row.keyboard and private), None)
        for row in reversed(rows):
            first, edited, pinned = row, False, False
            if row.message_id != str(row.id):
                if row.message_id not in shown:
                    continue  # older than what the page shows
                first, before = shown[row.message_id]
                edited = before.edited or row.change == "edit"
                pinned = row.change == "pin" or (before.pinned and row.change != "unpin")
            deleted = row.change == "delete"
            files = [] if deleted else row.photos or first.photos
            kinds = {each: media[each].kind if each in media else "photo" for each in files}
            shown[row.message_id] = (
                first,
                Message(
                    id=f"o{first.id}",
                    mine=False,
                    text="" if deleted else self.app.house.vault.reveal(row.text),
                    photos=tuple(
                        f"/playground/media/{each}" for each, kind in kinds.items() if kind == "photo"
                    ),
                    recordings=tuple(
                        Recording(f"/playground/media/{each}", media[each].mime)
                        for each, kind in kinds.items()
                        if kind in RECORDINGS
                    ),
                    documents=tuple(
                        Document(f"/playground/media/{each}", media[each].name)
                        for each, kind in kinds.items()
                        if kind == "file"
                    ),
                    buttons=tuple(Button(each["label"], each["value"]) for each in row.buttons),
                    asks_number=first is keyboard
                    and first.keyboard == "contact"
                    and not (row.buttons or deleted),
                    edited=edited,
                    deleted=deleted,
                    urgent=first.lane == URGENT,
                    silent=first.silent,
                    pinned=pinned,
                    at=self._hour(first.created_at),
                    day=self._day(first.created_at),
                ),
            )
        return list(shown.values())

    def _day(self, at: datetime) -> str:
        local = at.astimezone(self.zone)
        return f"{texts('zh')[f'day.{local.isoweekday()}']} {local:%m-%d}"

    def _hour(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%H:%M}"

    def _names(self, session: Session, senders: set[str]) -> dict[str, str]:
        rows = session.exec(
            select(Account.external_id, tables.Person.name)
            .join(tables.Person, col(tables.Person.id) == col(Account.person_id))
            .where(Account.messenger == NAME, col(Account.external_id).in_(senders))
        )
        return dict(rows.all())

    def media(self, key: str, place: str, who: str) -> tuple[bytes, str] | None:
        """A photo or any other file that stands in a chat: by its number if it was sent there, else by its hash."""
        chat = self.history(place, who, HISTORY)
        shown = {photo.rpartition("/")[2]: "image/jpeg" for message in chat for photo in message.photos}
        shown |= {
            each.address.rpartition("/")[2]: each.mime for message in chat for each in message.recordings
        }
        shown |= {
            each.address.rpartition("/")[2]: SEALED_FILE for message in chat for each in message.documents
        }
        if key not in shown:
            return None
        with self.app.database.read() as session:
            query = select(Media.storage, Media.mime)
            found = session.exec(
                query.where(Media.id == int(key)) if len(key) < 18 else query.where(Media.storage == key)
            ).first()
        storage, mime = found or (key, shown[key])
        try:
            return self.app.media.read_as(mime, storage), mime
        except (FileNotFoundError, WrongKey):
            return None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[frozenset[str]]]:
        """Sets of chats that changed, until the program stops."""
        queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self.watchers.add(queue)
        try:
            yield _until_none(queue)
        finally:
            self.watchers.discard(queue)

    def stop(self) -> None:
        """End every open stream of changes."""
        for queue in self.watchers:
            queue.put_nowait(None)

    def now(self) -> str:
        """The community's clock for the header."""
        now = self.app.clock.now()
        return f"{self._day(now)} {self._hour(now)}"

    async def move_clock(self, seconds: int) -> bool:
        """Move the installation's time on, let what became due happen, and keep the shift over a restart."""
        if not self.is_demo:
            return False
        self.app.clock.shift += timedelta(seconds=seconds)
        await self.app.database.write(self._keep_shift)
        await self.app.ticker.tick()
        return True

    def _keep_shift(self, session: Session) -> None:
        _set(session, self.community_id, SHIFT, self.app.clock.shift.total_seconds())

    async def reset(self) -> bool:
        """Begin again with a new demo community; the old one rests, since its audit log may not be deleted."""
        if not self.is_demo:
            return False
        await self.app.database.write(self._retire)
        self.app.clock.shift = timedelta()
        await self.open()
        for queue in self.watchers:
            queue.put_nowait(frozenset())
        return True

    def _retire(self, session: Session) -> None:
        old = session.get_one(Community, self.community_id)
        old.name = f"{old.name} #{old.id}"
        session.add(old)
        _set(session, self.community_id, DEMO_STATE, RESTS)
        for timer in session.exec(
            select(Timer).where(Timer.community_id == self.community_id, Timer.state == "waiting")
        ):
            timer.state = "done"
            session.add(timer)

    # --- the community on show ---

    async def open(self) -> None:
        """Show the newest community, or make the demo community if there is none; everybody gets a phone."""
        community = await self.app.database.write(self._open)
        self.community, self.community_id = community.name, community.id
        self.zone = ZoneInfo(community.time_zone)
        with self.app.database.read() as session:
            shift = session.get(CommunitySetting, (community.id, SHIFT))
            self.is_demo = session.get(CommunitySetting, (community.id, DEMO_STATE)) is not None
        self.app.clock.shift = timedelta(seconds=shift.value if shift and self.is_demo else 0)

    def _open(self, session: Session) -> Community:
        tx = Tx(session, self.app.clock.now(), self.app.house)
        shown = select(Community).where(col(Community.id).not_in(resting(session)))
        community = session.exec(shown.order_by(col(Community.id).desc())).first()
        if community is None:
            community = add_community(tx, DEMO, time_zone="Asia/Shanghai", language="zh")
            import_roster(tx, community, read_roster(ROSTER.read_bytes()))
            import_register(tx, community.id, EQUIPMENT.read_bytes())
            begin_calendar(tx, community)
            _set(session, community.id, "office_phone", "021-5555 0110")
            _set(session, community.id, DEMO_STATE, "on show")
        self._give_phones(tx, community)
        return community

    def _knows(self, who: str) -> bool:
        if who in map(self._chat, STRANGERS):
            return True
        with self.app.database.read() as session:
            account = select(Account.id).where(Account.messenger == NAME, Account.external_id == who)
            return session.exec(account).first() is not None

    def _welcome(self, session: Session) -> None:
        """Somebody came with a roster that was imported while we run."""
        tx = Tx(session, self.app.clock.now(), self.app.house)
        self._give_phones(tx, session.get_one(Community, self.community_id))

    def _give_phones(self, tx: Tx, community: Community) -> None:
        """An account and a chat for everybody of the roster who has none, and the chats of the community.

        Whoever holds such a phone only tries a part: it counts as having agreed.
        """
        known = set(tx.session.exec(select(Account.external_id).where(Account.messenger == NAME)))
        of_roster = union(select(HomeRole.person_id), select(Role.person_id))
        for person in tx.session.exec(
            select(tables.Person)
            .where(
                tables.Person.community_id == community.id, tables.Person.name != ""
            )  # not who is forgotten
            .where(col(tables.Person.id).in_(of_roster))
        ).all():
            name = f"{community.id}.p{person.id}"
            if name not in known:
                bind_account(tx, person, NAME, name)
        for account in tx.session.exec(
            select(Account)
            .where(Account.messenger == NAME, col(Account.agreed_at).is_(None))
            .where(col(Account.external_id).startswith(f"{community.id}.p"))
        ):
            account.agreed_at = tx.now
            tx.session.add(account)
        chats = set(tx.session.exec(select(Place.external_id).where(Place.messenger == NAME)))
        strangers = [(name, "private") for name in STRANGERS]
        for name, kind in (("staff", "staff"), ("board", "board"), *strangers):
            if f"{community.id}.{name}" not in chats:
                add_place(tx, community, NAME, f"{community.id}.{name}", kind)

    def _chat(self, name: str) -> str:
        return f"{self.community_id}.{name}"

    def _changed(self, place: str) -> None:
        for queue in self.watchers:
            queue.put_nowait(frozenset({place}))


def resting(session: Session) -> list[int]:
    """The demo communities that a reset has put aside."""
    states = session.exec(select(CommunitySetting).where(CommunitySetting.name == DEMO_STATE))
    return [state.community_id for state in states if state.value == RESTS]


def _set(session: Session, community_id: int, name: str, value: object) -> None:
    session.merge(CommunitySetting(community_id=community_id, name=name, value=value))


async def _until_none(queue: asyncio.Queue[frozenset[str] | None]) -> AsyncIterator[frozenset[str]]:
    while (changed := await queue.get()) is not None:
        yield changed
