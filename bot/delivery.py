"""Delivery: the rows that wait are sent, in order per chat and urgent ones first; each try goes into the ledger."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Table, and_, bindparam, case, insert, literal, literal_column, or_, true
from sqlmodel import Session, col, select

from bot.pace import Pace
from handlers.places import move
from handlers.tell import ANSWER, BROADCAST, CAUGHT_UP, NEWS, ONLY_TRIED, OWN_CHAT, REMOVAL, URGENT
from handlers.wishes import DIGESTS
from store.database import Database, StoreUnavailable
from store.tables import Account, Attempt, Outgoing, Place

log = structlog.get_logger()

AT_ONCE = 200
KEPT_FREE = 50  # of those for pages and answers, when a messenger is slow
AHEAD = 0.25  # seconds of work that are read at once for a messenger with a pace
FINISH_SECONDS = 5.0
REMOVED_AT_ONCE = 90  # messages; some have further parts
LONGEST_WAIT = timedelta(minutes=10)
OTHERWISE = "its words were changed while it was on its way"
KNOWN_WITHIN = 2.0  # seconds for which an answer waits for what it answers
OUR_TRIES = 8  # of a message on which we ourselves stumble, some eight minutes
WAITING: ColumnElement[str] = literal_column("'waiting'")  # literally, as the partial indexes have it
HELD: ColumnElement[str] = literal_column("'held'")


class Later(Exception):
    """The messenger cannot take the message now; `seconds` until it may, if it said so.

    `halts`: it told us to send this chat nothing for that time. That is kept to the letter and is no failed try.
    """

    def __init__(self, reason: str, seconds: float | None = None, *, halts: bool = False) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.halts = halts and seconds is not None


class Never(Exception):
    """The messenger will never take this message."""


class Blocked(Exception):
    """The chat takes no messages any more."""


class Held(Exception):
    """Nobody reaches the reader of this chat now; it may be sent when they were heard."""


class Moved(Exception):
    """The chat is now another one, `external_id`; it has none of the old one's messages and topics."""

    def __init__(self, external_id: str) -> None:
        super().__init__(f"moved to {external_id}")
        self.external_id = external_id


@dataclass(frozen=True)
class Try:
    """One rung of a messenger that has several, and why it was not taken there."""

    rung: str
    error: str


@dataclass(frozen=True)
class Letter:
    """One row as a messenger gets it; `first` is the row that made the message to change, None for a new one."""

    row: Outgoing
    place: Place
    first: Outgoing | None = None
    lane: int = NEWS
    """The lane in which it goes: its own, or that of the change behind it."""
    shown: bool = False
    """Whether the message to change says all this already."""
    missed: list[Try] = field(default_factory=list)
    """The rungs that its messenger has tried in vain before the one that ended the try."""
    more: Sequence[Outgoing] = ()
    """Of a removal: what else has to go from the same chat and can go with it."""
    refused: dict[int, str] = field(default_factory=dict)
    """Of a removal: what the messenger did not let go, by the row's id, with the reason."""

    @property
    def stream(self) -> int:
        """What goes one after another: the messages of a chat by its number, what is removed there by its negative."""
        return -self.place.id if self.lane == REMOVAL else self.place.id

    @property
    def chat(self) -> tuple[str, str]:
        """The messenger, and what it calls the chat."""
        return self.place.messenger, self.place.external_id

    @property
    def message_id(self) -> str:
        """The messenger's id of the message to change; empty for a new one."""
        return self.first.message_id if self.first is not None else ""


@dataclass(frozen=True)
class Taken:
    """The messenger's id of a message that it took, and of further ones that belong to it, such as photos."""

    message_id: str
    parts: tuple[str, ...] = ()
    rung: str = ""


Send = Callable[[Letter], Awaitable[Taken]]
"""Sends one letter; raises Later, Never, Blocked, Held or Moved."""


@dataclass(frozen=True)
class _Room:
    """How many letters some messengers may be given in the coming moments, and which of their chats none."""

    messengers: Collection[str]
    most: int
    closed: float = 0.0
    """Seconds until they may be given anything at all."""
    held: Mapping[int, float] = field(default_factory=dict)
    """Seconds for which a chat may have nothing, by its place ..."""
    held_urgent: Mapping[int, float] = field(default_factory=dict)
    """... and nothing urgent either."""


class Delivery:
    """The one sender of this process; `delivered` hears of each letter that the ledger says is sent.

    `paces` say, by messenger, what it may be sent now; one without a pace is sent whatever waits, but no more
    letters at once than `at_once` says.
    """

    def __init__(
        self,
        database: Database,
        senders: Mapping[str, Send],
        now: Callable[[], datetime],
        delivered: Callable[[Letter], None] = lambda letter: None,
        paces: Mapping[str, Pace] | None = None,
        *,
        at_once: Mapping[str, int] | None = None,
    ) -> None:
        self.database = database
        self.senders = senders
        self.now = now
        self.delivered = delivered
        self.paces = dict(paces or {})
        self.at_once = dict(at_once or {})
        self.in_hand: Counter[str] = Counter()
        """The letters that each messenger has."""
        self.wake = asyncio.Event()
        self.letters: list[Letter] = []
        """What was read and may go within moments, as the paces allow it."""
        self.resting = False
        self.freed = False
        """Whether a chat became free since `letters` were read."""
        self.busy: dict[int, asyncio.Task[None]] = {}
        """The letter in hand of each stream."""
        self.sending: dict[tuple[str, str], asyncio.Task[None]] = {}
        """The message in hand of each chat, as its messenger calls it."""

    async def run(self) -> None:
        """Send what waits as soon as it may go, no chat waiting for another; when cancelled, finish what is in hand."""
        try:
            while True:
                self.wake.clear()
                self.resting = False
                pause = await self._read_or_wait()
                while self.letters:
                    for letter in self._ready():
                        self._start(letter)
                    if self.wake.is_set():  # not before, or with a wake in each reading nothing would go out
                        break
                    await self._pause(min(map(self._wait, self.letters), default=0.0))
                if not self.freed:
                    self.resting = True
                    await self._pause(pause)
        finally:
            self.letters = []
            await self._finish()

    async def _read_or_wait(self) -> float | None:
        try:
            return await self._read()
        except StoreUnavailable as error:
            log.error("delivery waits for the database", error=str(error))
            return None

    async def _pause(self, seconds: float | None) -> None:
        """Until woken, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()

    def _ready(self) -> list[Letter]:
        """Take from the letters those that may go now."""
        ready, soon = [], []
        for letter in self.letters:
            wait = self._wait(letter)
            if not wait:
                ready.append(letter)
                self._count(letter)
            elif wait <= AHEAD:
                soon.append(letter)
            else:
                self.wake.set()  # it was told to wait after it was read: something else may go instead
        self.letters = soon
        return ready

    def _wait(self, letter: Letter) -> float:
        pace = self.paces.get(letter.place.messenger)
        return pace.wait(letter.place, letter.lane) if pace and letter.lane != REMOVAL else 0.0

    def _count(self, letter: Letter, messages: int = 1) -> None:
        if letter.lane == REMOVAL:  # messengers limit what is said
            return
        if pace := self.paces.get(letter.place.messenger):
            # Somebody who taps quickly must not wait for the change of the message before.
            quiet = letter.place.kind == "private" and letter.first is not None
            pace.took(letter.place, messages, into_chat=not quiet)

    def _start(self, letter: Letter) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._deliver(letter))
        self.busy[letter.stream] = task
        if letter.lane != REMOVAL:  # which nobody answers
            self.sending[letter.chat] = task
        self.in_hand[letter.place.messenger] += 1
        task.add_done_callback(partial(self._sent_or_not, letter))
        return task

    def _sent_or_not(self, letter: Letter, task: "asyncio.Task[None]") -> None:
        del self.busy[letter.stream]
        if self.sending.get(letter.chat) is task:
            del self.sending[letter.chat]
        self.in_hand[letter.place.messenger] -= 1
        if self.resting or letter.place.messenger not in self.paces:
            self.wake.set()  # for the next message to this chat
        else:
            self.freed = True  # that is soon enough when the letters in hand are out: no reading for each one
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivery stumbled", outgoing=letter.row.id, exc_info=error)

    async def _finish(self) -> None:
        in_hand = set(self.busy.values())
        if in_hand:
            _, late = await asyncio.wait(in_hand, timeout=FINISH_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def once(self) -> int:
        """Send what may go now, one row a chat; how many were tried."""
        await self._read()
        tasks = [self._start(letter) for letter in self._ready()]
        self.letters = []
        await asyncio.gather(*tasks)
        return len(tasks)

    async def _read(self) -> float | None:
        """Read what may go within moments; seconds until more may, None: not before a wake."""
        self.letters, self.freed = [], False
        busy = list(self.busy)  # taken first: what is finished meanwhile may look unsent in the database
        self.letters, pause = await asyncio.to_thread(self._waiting, busy, self._rooms(AT_ONCE - len(busy)))
        return pause

    def _rooms(self, most: int) -> list[_Room]:
        """The messengers that nothing limits share one, each other has its own."""
        rooms = [_Room(self.senders.keys() - self.paces.keys() - self.at_once.keys(), most)]
        for messenger in self.senders.keys() & self.at_once.keys():
            rooms.append(_Room([messenger], min(most, self.at_once[messenger] - self.in_hand[messenger])))
        for messenger in self.senders.keys() & self.paces.keys():
            pace = self.paces[messenger]
            soon = min(most, ceil(pace.per_second * AHEAD))
            rooms.append(_Room([messenger], soon, pace.closed(), pace.held(ANSWER), pace.held(URGENT)))
        return [room for room in rooms if room.messengers and room.most > 0]

    def _waiting(self, busy: list[int], rooms: list[_Room]) -> tuple[list[Letter], float | None]:
        """What may go within moments, and the seconds until more may."""
        letters: list[Letter] = []
        pauses: list[float] = []
        with self.database.read() as session:
            for room in rooms:
                if room.closed > AHEAD:
                    pauses.append(room.closed)
                    continue
                found = self._heads(session, busy, room)
                letters += found
                more = len(found) == room.most < AT_ONCE - len(busy)
                pauses += [0.0] if more else _held_back(session, room, self.now())
        return letters, min(pauses, default=None)

    def _heads(self, session: Session, busy: list[int], room: _Room) -> list[Letter]:
        """The head of each chat's queue, urgent lanes first; one that must wait holds back only what is behind it."""
        given = {
            "messengers": list(room.messengers),
            "now": self.now(),
            "none": [*(each for each in busy if each > 0), *room.held_urgent],
            "removing": [-each for each in busy if each < 0],
            "no_news": list(room.held),
            "lowest": BROADCAST if AT_ONCE - len(busy) > KEPT_FREE else ANSWER,
            "most": max(room.most, 0),
        }
        if not self.database.is_sqlite:
            # PostgreSQL, which just saw nobody wait, would fetch all whom a notice left waiting, and sort them.
            session.connection().exec_driver_sql("SET LOCAL enable_sort = off")
        heads = session.exec(HEADS, params=given).all()
        rows = [(_changed_first(session, head), head.lane) for head in heads]
        chosen = select(Place).where(col(Place.id).in_([row.place_id for row, _ in rows]))
        places = {place.id: place for place in session.exec(chosen)} if rows else {}
        letters = []
        for row, lane in rows:
            if row.place_id is not None:
                first, last = _first_and_last(session, row)
                more = _also_removed(session, row, self.now()) if row.change == "remove" else ()
                letters.append(Letter(row, places[row.place_id], first, lane, _shows(last, row), more=more))
        return letters

    async def _deliver(self, letter: Letter) -> None:
        if letter.first is None and letter.row.change in ("close", "delete", "pin", "unpin"):
            await self._lay_aside(letter, Never("there is no message to change"))
            return
        words = letter.row.text
        try:
            if letter.shown:
                taken = Taken(letter.message_id)
            else:
                taken = await self.senders[letter.place.messenger](letter)
        except Later as error:
            await self._later(letter, error)
        except (Never, Blocked) as error:
            await self._lay_aside(letter, error)
        except Held as error:
            await self._record(partial(self._hold, letter=letter, reason=str(error)))
        except Moved as error:
            await self._record(partial(self._follow, letter=letter, moved=error))
        except Exception as error:
            log.exception("sending failed", outgoing=letter.row.id)
            if letter.row.tries + 1 < OUR_TRIES:
                await self._later(letter, Later(repr(error)))
            else:
                await self._lay_aside(letter, Never(repr(error)))
        else:
            if letter.first is None:
                self._count(letter, len(taken.parts))
            many = letter.lane == BROADCAST
            await self._record(lambda session: self._sent(session, letter, taken, words), behind=many)
            self.delivered(letter)

    async def written(self, messenger: str, chat: str) -> None:
        """Wait for a moment until what is being sent to a chat stands in the ledger.

        It may be read and answered before the messenger tells us that it took it: then a button would not be found,
        and a number be taken for one of the message before.
        """
        if sending := self.sending.get((messenger, chat)):
            await asyncio.wait({sending}, timeout=KNOWN_WITHIN)

    async def _record(self, work: Callable[[Session], None], *, behind: bool = False) -> None:
        """Write into the ledger, however long the database is away: what was sent must not be sent again.

        What is sent to thousands lets all else go first (`behind`).
        """
        while True:
            try:
                await self.database.write(work, behind=behind)
                return
            except StoreUnavailable as error:
                log.error("the ledger waits for the database", error=str(error))
                await asyncio.sleep(1)

    def _sent(self, session: Session, letter: Letter, taken: Taken, words: str) -> None:
        if letter.lane == REMOVAL:
            self._removed(session, letter)
            return
        _update(
            session,
            letter.row.id,
            state="sent",
            sent_at=self.now(),
            message_id=taken.message_id,
            parts=list(taken.parts),
            error=case((OUTGOING.c.text == words, ""), else_=OTHERWISE),
        )
        self._attempt(session, letter, rung=taken.rung)

    def _removed(self, session: Session, letter: Letter) -> None:
        """What was to go is gone, but for what the messenger refused."""
        for row in (letter.row, *letter.more):
            error = letter.refused.get(row.id, "")
            _update(session, row.id, state="failed" if error else "sent", sent_at=self.now(), error=error)
            self._attempt(session, replace(letter, row=row), error)

    async def _later(self, letter: Letter, error: Later) -> None:
        tries = letter.row.tries + (0 if error.halts else 1)
        wait = timedelta(seconds=error.seconds) if error.seconds else timedelta(seconds=2 ** min(tries, 9))
        retry_at = self.now() + (wait if error.halts else min(wait, LONGEST_WAIT))
        pace = self.paces.get(letter.place.messenger) if letter.lane != REMOVAL else None
        if error.halts and error.seconds and pace is not None:
            pace.halt(letter.place, error.seconds)

        def work(session: Session) -> None:
            for row in (letter.row, *letter.more):
                _update(session, row.id, tries=tries, error=str(error), retry_at=retry_at)
            self._attempt(session, letter, str(error))

        await self._record(work)

    async def _lay_aside(self, letter: Letter, error: Never | Blocked) -> None:
        def work(session: Session) -> None:
            self._attempt(session, letter, str(error))
            if isinstance(error, Never):
                _update(session, letter.row.id, state="failed", error=str(error))
                return
            place = session.get(Place, letter.place.id)
            if place is None:  # its holder was forgotten meanwhile
                return
            place.blocked_at = self.now()
            session.add(place)
            session.flush()
            self._send_elsewhere(session, place, str(error))

        await self._record(work)

    def _hold(self, session: Session, letter: Letter, reason: str) -> None:
        """It goes to the person's other chat, or waits until they are heard."""
        self._attempt(session, letter, reason)
        found = select(Place).where(Place.id == letter.place.id)
        place = session.exec(found.with_for_update(key_share=True)).first()
        heard = place is not None and place.free_until != letter.place.free_until
        if place is not None and heard and place.free_left and (place.free_until or self.now()) > self.now():
            return  # they were heard this very moment
        other = (
            None
            if letter.row.change in ("close", "delete")
            else self._other_chat(session, letter.place, untried=letter.row.id)
        )
        if other is not None:
            _update(session, letter.row.id, place_id=other, change="send", error=reason)
        else:
            _update(session, letter.row.id, state="held", error=reason)

    def _other_chat(self, session: Session, place: Place, *, untried: int | None = None) -> int | None:
        """Another chat of its holder that takes messages, the one in which they were heard last.

        For a row that is only held it is one in which this row (`untried`) was not tried yet, so that two chats out of
        reach do not pass it to each other for ever, and none in the playground, where anybody may try their part.
        """
        tries = select(Attempt.id).where(Attempt.outgoing_id == untried, Attempt.place_id == Place.id)
        return session.exec(
            select(Place.id)
            .join(Account, OWN_CHAT)
            .where(Account.person_id == place.person_id, Place.id != place.id)
            .where(col(Place.blocked_at).is_(None), col(Place.messenger).in_(list(self.senders)))
            .where(true() if untried is None else ~ONLY_TRIED & ~tries.exists())
            .order_by(col(Place.heard_at).desc().nulls_last(), col(Place.id))
            .limit(1)
        ).first()

    def _send_elsewhere(self, session: Session, place: Place, error: str) -> None:
        """What waits for a chat that takes nothing goes to the person's other chat, or is marked as unreachable."""
        other = self._other_chat(session, place)
        waiting = OUTGOING.update().where(
            OUTGOING.c.place_id == place.id, or_(OUTGOING.c.state == WAITING, OUTGOING.c.state == HELD)
        )
        if other is not None:  # what it says is new there; there is nothing to close or to delete
            elsewhere = waiting.where(OUTGOING.c.change.in_(["send", "edit"])).values(
                place_id=other,
                change="send",
                state=case((OUTGOING.c.digest.in_(DIGESTS), OUTGOING.c.state), else_="waiting"),
            )
            session.connection().execute(elsewhere)
        session.connection().execute(waiting.values(state="unreachable", error=error))

    def _follow(self, session: Session, letter: Letter, moved: Moved) -> None:
        self._attempt(session, letter, str(moved))
        move(session, session.get_one(Place, letter.place.id), moved.external_id)

    def _attempt(self, session: Session, letter: Letter, error: str = "", rung: str = "") -> None:
        """Write a try down, each rung of it, unless its row was erased while the messenger had it."""
        for each in (*letter.missed, Try(rung, error)):
            self._write_try(session, letter, each)

    def _write_try(self, session: Session, letter: Letter, tried: Try) -> None:
        values = {
            "community_id": letter.row.community_id,
            "outgoing_id": letter.row.id,
            "at": self.now(),
            "rung": tried.rung,
            "error": tried.error,
        }
        columns: list[Any] = [literal(value, ATTEMPT.c[name].type) for name, value in values.items()]
        columns.append(select(Place.id).where(Place.id == letter.place.id).scalar_subquery())
        there = select(*columns).where(OUTGOING.c.id == letter.row.id)
        session.connection().execute(insert(Attempt).from_select([*values, "place_id"], there))


OUTGOING: Table = Outgoing.__table__  # type: ignore[attr-defined]
ATTEMPT: Table = Attempt.__table__  # type: ignore[attr-defined]
# Not a join: SQLite would then rather go through all the chats than through the few rows that wait.
MESSENGER = select(Place.messenger).where(col(Place.id) == OUTGOING.c.place_id).scalar_subquery()
_EARLIER = OUTGOING.alias("earlier")
_REMOVAL: ColumnElement[int] = literal_column(f"({REMOVAL})")
BEFORE_IT = select(_EARLIER.c.id).where(
    _EARLIER.c.place_id == OUTGOING.c.place_id,
    _EARLIER.c.state == WAITING,
    (_EARLIER.c.lane == _REMOVAL) == (OUTGOING.c.lane == _REMOVAL),
    or_(
        _EARLIER.c.lane != _REMOVAL,
        _EARLIER.c.retry_at.is_(None),
        _EARLIER.c.retry_at <= bindparam("now"),
    ),
    or_(
        _EARLIER.c.lane < OUTGOING.c.lane,
        and_(_EARLIER.c.lane == OUTGOING.c.lane, _EARLIER.c.id < OUTGOING.c.id),
    ),
)
"""What goes into the same chat before a row: the urgent first, then the older.

What is to be removed is no part of that, and holds up nothing when it has to be tried again.
"""
_CHANGED = select(_EARLIER.c.id).where(
    _EARLIER.c.place_id == OUTGOING.c.place_id,
    _EARLIER.c.state == WAITING,
    _EARLIER.c.card == OUTGOING.c.card,
    _EARLIER.c.id < OUTGOING.c.id,
)
"""What a change means and still waits itself."""

HEADS = (
    select(Outgoing)
    .where(
        Outgoing.state == WAITING,
        MESSENGER.in_(bindparam("messengers", expanding=True)),
        or_(col(Outgoing.retry_at).is_(None), col(Outgoing.retry_at) <= bindparam("now")),
        ~BEFORE_IT.exists(),
        or_(col(Outgoing.change) == "send", ~_CHANGED.where(_EARLIER.c.retry_at > bindparam("now")).exists()),
        or_(
            and_(
                col(Outgoing.lane) == _REMOVAL,
                col(Outgoing.place_id).not_in(bindparam("removing", expanding=True)),
            ),
            and_(
                col(Outgoing.lane) == URGENT,
                col(Outgoing.place_id).not_in(bindparam("none", expanding=True)),
            ),
            and_(
                col(Outgoing.lane) > URGENT,
                col(Outgoing.place_id).not_in(bindparam("none", expanding=True)),
                col(Outgoing.place_id).not_in(bindparam("no_news", expanding=True)),
            ),
        ),
        col(Outgoing.lane) <= bindparam("lowest"),
    )
    .order_by(col(Outgoing.lane), col(Outgoing.id))
    .limit(bindparam("most"))
)
"""The head of each chat's queue; made once, since to make the statement took longer than to run it."""


def _held_back(session: Session, room: _Room, now: datetime) -> list[float]:
    """Seconds until each chat that is held back may have what waits for it."""
    if not room.held:
        return []
    heads = select(Outgoing.place_id, Outgoing.lane).where(
        Outgoing.state == WAITING,
        Outgoing.lane != _REMOVAL,
        col(Outgoing.place_id).in_(list(room.held)),
        ~BEFORE_IT.exists(),
    )
    waits = [
        (room.held_urgent if lane == URGENT else room.held).get(place_id or 0, 0.0)
        for place_id, lane in session.exec(heads, params={"now": now})
    ]
    return [seconds for seconds in waits if seconds]  # nothing: the chat is in hand, and its end wakes us


def _update(session: Session, outgoing_id: int, **values: object) -> None:
    session.connection().execute(OUTGOING.update().where(OUTGOING.c.id == outgoing_id).values(**values))


def _changed_first(session: Session, row: Outgoing) -> Outgoing:
    """The row itself, or the message that it changes while that waits still: it then goes in the change's lane."""
    if row.change == "send" or row.lane == REMOVAL:
        return row
    older = select(Outgoing).where(
        Outgoing.card == row.card,
        Outgoing.place_id == row.place_id,
        Outgoing.state == WAITING,
        col(Outgoing.id) < row.id,
    )
    return session.exec(older.order_by(col(Outgoing.id)).limit(1)).first() or row


def _also_removed(session: Session, row: Outgoing, now: datetime) -> Sequence[Outgoing]:
    """What else has to go from the same chat: a flood of messages is taken away at once."""
    same = select(Outgoing).where(
        Outgoing.place_id == row.place_id,
        Outgoing.state == WAITING,
        Outgoing.lane == _REMOVAL,
        Outgoing.change == "remove",
        Outgoing.id != row.id,
        or_(col(Outgoing.retry_at).is_(None), col(Outgoing.retry_at) <= now),
    )
    return session.exec(same.order_by(col(Outgoing.id)).limit(REMOVED_AT_ONCE - 1)).all()


def _shows(last: Outgoing | None, row: Outgoing) -> bool:
    """Whether a change finds the message as it should be: what waited was changed before it went out.

    Only where that was so: elsewhere a row may have been scrubbed, and the message says still what it said. One that
    was tried before may have come in its old words, when only its photos or the answer were lost.
    """
    if last is None or row.error != CAUGHT_UP or last.error == OTHERWISE or last.tries:
        return False
    return (last.text, last.buttons, last.state) == (row.text, row.buttons, "sent")


def _first_and_last(session: Session, row: Outgoing) -> tuple[Outgoing | None, Outgoing | None]:
    """The row that made the message which a change means, and the last one that went out of it; None if none did.

    It is the last message with its card in its chat, if it was sent. What went out in a digest was sent, too.
    """
    if row.change == "send" or row.lane == REMOVAL:
        return None, None
    of_card = (Outgoing.card == row.card, Outgoing.place_id == row.place_id, col(Outgoing.id) < row.id)
    newest = select(Outgoing).where(*of_card).order_by(col(Outgoing.id).desc()).limit(1)
    made = session.exec(newest.where(Outgoing.change == "send")).first()
    out = col(Outgoing.state).in_(["sent", "digested"])
    latest = session.exec(newest.where(out)).first()
    if made is None or latest is None or latest.id < made.id or not latest.message_id:
        return None, None  # it failed for good, or its chat has moved
    makers = select(Outgoing).where(
        Outgoing.place_id == row.place_id, Outgoing.message_id == latest.message_id, out
    )
    return session.exec(makers.order_by(col(Outgoing.id)).limit(1)).first(), latest
