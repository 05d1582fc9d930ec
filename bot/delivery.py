"""Delivery: the rows that wait are sent, in order per chat and urgent ones first; each try goes into the ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import insert
from sqlmodel import Session, col, select

from store.database import Database, StoreUnavailable
from store.tables import Attempt, Outgoing, Place

log = structlog.get_logger()

AT_ONCE = 200
LONGEST_WAIT = timedelta(minutes=10)


class Later(Exception):
    """The messenger cannot take the message now; `seconds` until it may, if it said so."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Never(Exception):
    """The messenger will never take this message."""


class Blocked(Exception):
    """The chat takes no messages any more."""


@dataclass(frozen=True)
class Letter:
    """One row as a messenger gets it; `message_id` is the message to edit or delete, empty for a new one."""

    row: Outgoing
    place: Place
    message_id: str


Send = Callable[[Letter], Awaitable[str]]
"""Sends one letter and returns the messenger's id of the message; raises Later, Never or Blocked."""


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

    async def run(self) -> None:
        """Send whatever waits, whenever woken, until cancelled."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            try:
                while await self.once():
                    pass
            except StoreUnavailable as error:
                log.error("delivery waits for the database", error=str(error))

    async def once(self) -> int:
        """Send the first waiting row of each chat; how many were tried."""
        letters = await asyncio.to_thread(self._waiting)
        await asyncio.gather(*(self._deliver(letter) for letter in letters))
        return len(letters)

    def _waiting(self) -> list[Letter]:
        """The head of each chat's queue, urgent lanes first; a chat that must wait blocks nobody else."""
        with self.database.read() as session:
            now = self.now()
            resting = select(Outgoing.place_id).where(
                Outgoing.state == "waiting", col(Outgoing.retry_at) > now
            )
            rows = session.exec(
                select(Outgoing, Place)
                .join(Place, col(Place.id) == col(Outgoing.place_id))
                .where(
                    Outgoing.state == "waiting",
                    col(Place.messenger).in_(list(self.senders)),
                    col(Outgoing.place_id).not_in(resting),
                )
                .order_by(col(Outgoing.lane), col(Outgoing.id))
                .limit(AT_ONCE)
            ).all()
            heads: dict[int, Letter] = {}
            for row, place in rows:
                if place.id not in heads:
                    heads[place.id] = Letter(row, place, _target(session, row))
            return list(heads.values())

    async def _deliver(self, letter: Letter) -> None:
        try:
            message_id = await self.senders[letter.place.messenger](letter)
        except Later as error:
            await self._later(letter, error)
        except (Never, Blocked) as error:
            await self._lay_aside(letter, error)
        except Exception as error:
            log.exception("sending failed", outgoing=letter.row.id)
            await self._later(letter, Later(repr(error)))
        else:
            await self.database.write(lambda session: self._sent(session, letter, message_id))
            self.delivered(letter)

    def _sent(self, session: Session, letter: Letter, message_id: str) -> None:
        _update(session, letter.row.id, state="sent", sent_at=self.now(), message_id=message_id, error="")
        self._attempt(session, letter)

    async def _later(self, letter: Letter, error: Later) -> None:
        tries = letter.row.tries + 1
        wait = timedelta(seconds=error.seconds) if error.seconds else timedelta(seconds=2 ** min(tries, 9))
        retry_at = self.now() + min(wait, LONGEST_WAIT)

        def work(session: Session) -> None:
            _update(session, letter.row.id, tries=tries, error=str(error), retry_at=retry_at)
            self._attempt(session, letter, str(error))

        await self.database.write(work)

    async def _lay_aside(self, letter: Letter, error: Never | Blocked) -> None:
        blocked = isinstance(error, Blocked)

        def work(session: Session) -> None:
            _update(session, letter.row.id, state="unreachable" if blocked else "failed", error=str(error))
            self._attempt(session, letter, str(error))
            if blocked:
                place = session.get_one(Place, letter.place.id)
                place.blocked_at = self.now()
                session.add(place)

        await self.database.write(work)

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


def _update(session: Session, outgoing_id: int, **values: object) -> None:
    table = Outgoing.__table__  # type: ignore[attr-defined]
    session.connection().execute(table.update().where(table.c.id == outgoing_id).values(**values))


def _target(session: Session, row: Outgoing) -> str:
    """The message that an edit or a deletion means: the latest one sent with its card to its chat."""
    if row.change == "send":
        return ""
    return (
        session.exec(
            select(Outgoing.message_id)
            .where(
                Outgoing.card == row.card,
                Outgoing.place_id == row.place_id,
                Outgoing.change == "send",
                Outgoing.state == "sent",
                col(Outgoing.id) < row.id,
            )
            .order_by(col(Outgoing.id).desc())
            .limit(1)
        ).first()
        or ""
    )
