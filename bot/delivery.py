"""Delivery: the rows that wait are sent, in order per chat and urgent ones first; each try goes into the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import ColumnElement, Table, and_, insert, literal_column, or_
from sqlmodel import Session, col, select

from handlers.tell import ANSWER, BROADCAST
from store.database import Database, StoreUnavailable
from store.tables import Attempt, Outgoing, Place

log = structlog.get_logger()

AT_ONCE = 200
KEPT_FREE = 50  # of those for pages and answers, when a messenger is slow
FINISH_SECONDS = 5.0
LONGEST_WAIT = timedelta(minutes=10)
OUR_TRIES = 8  # of a message on which we ourselves stumble, some eight minutes
WAITING: ColumnElement[str] = literal_column("'waiting'")  # literally, as the partial indexes have it


class Later(Exception):
    """The messenger cannot take the message now; `seconds` until it may, if it said so."""

    def __init__(self, reason: str, seconds: float | None = None, *, halts: bool = False) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.halts = halts


class Moved(Exception):
    """The chat is now another one, `external_id`."""

    def __init__(self, external_id: str) -> None:
        super().__init__(f"moved to {external_id}")
        self.external_id = external_id


class Never(Exception):
    """The messenger will never take this message."""


class Blocked(Exception):
    """The chat takes no messages any more."""


@dataclass(frozen=True)
class Letter:
    """One row as a messenger gets it; `first` is the row that made the message to change, None for a new one."""

    row: Outgoing
    place: Place
    first: Outgoing | None = None

    @property
    def message_id(self) -> str:
        """The messenger's id of the message to change; empty for a new one."""
        return self.first.message_id if self.first is not None else ""


@dataclass(frozen=True)
class Taken:
    """The messenger's id of a message that it took, and of further ones that belong to it, such as photos."""

    message_id: str
    parts: tuple[str, ...] = ()


Send = Callable[[Letter], Awaitable[Taken]]
"""Sends one letter; raises Later, Never or Blocked."""


class Delivery:
    """The one sender of this process; `delivered` hears of each letter that the ledger says is sent."""

    def __init__(
        self,
        database: Database,
        senders: Mapping[str, Send],
        now: Callable[[], datetime],
        delivered: Callable[[Letter], None] = lambda letter: None,
    ) -> None:
        self.database = database
        self.senders = senders
        self.now = now
        self.delivered = delivered
        self.wake = asyncio.Event()
        self.busy: dict[int, asyncio.Task[None]] = {}
        """The letter in hand of each chat, by its place."""

    async def run(self) -> None:
        """Send whatever waits, whenever woken, no chat waiting for another; when cancelled, finish what is in hand."""
        try:
            while True:
                await self.wake.wait()
                self.wake.clear()
                try:
                    letters = await asyncio.to_thread(self._waiting)
                except StoreUnavailable as error:
                    log.error("delivery waits for the database", error=str(error))
                    letters = []
                for letter in letters:
                    task = asyncio.create_task(self._deliver(letter))
                    self.busy[letter.place.id] = task
                    task.add_done_callback(partial(self._sent_or_not, letter))
        finally:
            await self._finish()

    def _sent_or_not(self, letter: Letter, task: "asyncio.Task[None]") -> None:
        del self.busy[letter.place.id]
        self.wake.set()  # for the next message to this chat
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
        """Send the first waiting row of each chat; how many were tried."""
        letters = await asyncio.to_thread(self._waiting)
        await asyncio.gather(*(self._deliver(letter) for letter in letters))
        return len(letters)

    def _waiting(self) -> list[Letter]:
        """The head of each chat's queue, urgent lanes first; one that must wait holds back only what is behind it."""
        with self.database.read() as session:
            now = self.now()
            room = AT_ONCE - len(self.busy)
            heads = session.exec(
                select(Outgoing)
                .where(
                    Outgoing.state == WAITING,
                    MESSENGER.in_(list(self.senders)),
                    or_(col(Outgoing.retry_at).is_(None), col(Outgoing.retry_at) <= now),
                    ~BEFORE_IT.exists(),
                    col(Outgoing.place_id).not_in(list(self.busy)),
                    col(Outgoing.lane) <= (BROADCAST if room > KEPT_FREE else ANSWER),
                )
                .order_by(col(Outgoing.lane), col(Outgoing.id))
                .limit(max(room, 0))
            ).all()
            rows = [_changed_first(session, head) for head in heads]
            chosen = select(Place).where(col(Place.id).in_([row.place_id for row in rows]))
            places = {place.id: place for place in session.exec(chosen)} if rows else {}
            return [
                Letter(row, places[row.place_id], _first(session, row))
                for row in rows
                if row.place_id is not None and (row.retry_at is None or row.retry_at <= now)
            ]

    async def _deliver(self, letter: Letter) -> None:
        try:
            taken = await self.senders[letter.place.messenger](letter)
        except Later as error:
            await self._later(letter, error)
        except (Never, Blocked) as error:
            await self._lay_aside(letter, error)
        except Exception as error:
            log.exception("sending failed", outgoing=letter.row.id)
            if letter.row.tries + 1 < OUR_TRIES:
                await self._later(letter, Later(repr(error)))
            else:
                await self._lay_aside(letter, Never(repr(error)))
        else:
            await self._record(lambda session: self._sent(session, letter, taken))
            self.delivered(letter)

    async def _record(self, work: Callable[[Session], None]) -> None:
        """Write into the ledger, however long the database is away: what was sent must not be sent again."""
        while True:
            try:
                await self.database.write(work)
                return
            except StoreUnavailable as error:
                log.error("the ledger waits for the database", error=str(error))
                await asyncio.sleep(1)

    def _sent(self, session: Session, letter: Letter, taken: Taken) -> None:
        _update(
            session,
            letter.row.id,
            state="sent",
            sent_at=self.now(),
            message_id=taken.message_id,
            parts=list(taken.parts),
            error="",
        )
        self._attempt(session, letter)

    async def _later(self, letter: Letter, error: Later) -> None:
        tries = letter.row.tries + 1
        wait = timedelta(seconds=error.seconds) if error.seconds else timedelta(seconds=2 ** min(tries, 9))
        retry_at = self.now() + min(wait, LONGEST_WAIT)

        def work(session: Session) -> None:
            _update(session, letter.row.id, tries=tries, error=str(error), retry_at=retry_at)
            self._attempt(session, letter, str(error))

        await self._record(work)

    async def _lay_aside(self, letter: Letter, error: Never | Blocked) -> None:
        def work(session: Session) -> None:
            self._attempt(session, letter, str(error))
            if isinstance(error, Never):
                _update(session, letter.row.id, state="failed", error=str(error))
                return
            place = session.get_one(Place, letter.place.id)
            place.blocked_at = self.now()
            session.add(place)
            session.flush()
            self._send_elsewhere(session, place, str(error))

        await self._record(work)

    def _send_elsewhere(self, session: Session, place: Place, error: str) -> None:
        """What waits for a chat that takes nothing goes to the person's other chat, or is marked as unreachable."""
        other = session.exec(
            select(Place.id)
            .where(Place.person_id == place.person_id, col(Place.person_id).is_not(None))
            .where(col(Place.blocked_at).is_(None), col(Place.messenger).in_(list(self.senders)))
            .order_by(col(Place.heard_at).desc().nulls_last(), col(Place.id))
            .limit(1)
        ).first()
        waiting = OUTGOING.update().where(OUTGOING.c.place_id == place.id, OUTGOING.c.state == WAITING)
        if other is not None:  # what it says is new there; there is nothing to delete
            elsewhere = waiting.where(OUTGOING.c.change != "delete").values(place_id=other, change="send")
            session.connection().execute(elsewhere)
        session.connection().execute(waiting.values(state="unreachable", error=error))

    def _attempt(self, session: Session, letter: Letter, error: str = "") -> None:
        session.connection().execute(
            insert(Attempt),
            {
                "community_id": letter.row.community_id,
                "outgoing_id": letter.row.id,
                "place_id": letter.place.id,
                "at": self.now(),
                "error": error,
            },
        )


OUTGOING: Table = Outgoing.__table__  # type: ignore[attr-defined]
# Not a join: SQLite would then rather go through all the chats than through the few rows that wait.
MESSENGER = select(Place.messenger).where(col(Place.id) == OUTGOING.c.place_id).scalar_subquery()
_EARLIER = OUTGOING.alias("earlier")
BEFORE_IT = select(_EARLIER.c.id).where(
    _EARLIER.c.place_id == OUTGOING.c.place_id,
    _EARLIER.c.state == WAITING,
    or_(
        _EARLIER.c.lane < OUTGOING.c.lane,
        and_(_EARLIER.c.lane == OUTGOING.c.lane, _EARLIER.c.id < OUTGOING.c.id),
    ),
)
"""What goes into the same chat before a row: the urgent first, then the older."""


def _update(session: Session, outgoing_id: int, **values: object) -> None:
    session.connection().execute(OUTGOING.update().where(OUTGOING.c.id == outgoing_id).values(**values))


def _changed_first(session: Session, row: Outgoing) -> Outgoing:
    """The row itself, or the message that it changes while that waits still: it then goes in the change's lane."""
    if row.change == "send":
        return row
    older = select(Outgoing).where(
        Outgoing.card == row.card,
        Outgoing.place_id == row.place_id,
        Outgoing.state == WAITING,
        col(Outgoing.id) < row.id,
    )
    return session.exec(older.order_by(col(Outgoing.id)).limit(1)).first() or row


def _first(session: Session, row: Outgoing) -> Outgoing | None:
    """The row that made the message which a change means: the latest one sent with its card to its chat."""
    if row.change == "send":
        return None
    sent = select(Outgoing).where(
        Outgoing.card == row.card,
        Outgoing.place_id == row.place_id,
        Outgoing.state == "sent",
        col(Outgoing.id) < row.id,
    )
    latest = session.exec(sent.order_by(col(Outgoing.id).desc()).limit(1)).first()
    if latest is None:
        return None
    made = select(Outgoing).where(
        Outgoing.place_id == row.place_id, Outgoing.message_id == latest.message_id, Outgoing.state == "sent"
    )
    return session.exec(made.order_by(col(Outgoing.id)).limit(1)).first()
