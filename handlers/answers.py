"""Answers that go back in the very request that brought the message: they count as sent when it is committed."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from handlers.inbox import Receipt
from store.tables import Attempt, Outgoing

Fits = Callable[[Sequence[Outgoing]], int]
"""How many of these rows, from the first on, the request can take along."""


def take(session: Session, receipt: Receipt, *, rung: str, now: datetime, fits: Fits = len) -> list[Outgoing]:
    """The rows that answer a message in its own chat and go along with its request, urgent ones first.

    They are sent from now on, each by one try on this `rung`. A repetition of the message gets the very same rows.
    """
    answers = select(Outgoing).where(Outgoing.inbox_id == receipt.inbox_id)
    answers = answers.order_by(col(Outgoing.lane), col(Outgoing.id))
    if not receipt.new:
        tried = select(Attempt.outgoing_id).where(Attempt.rung == rung, Attempt.error == "")
        return list(session.exec(answers.where(col(Outgoing.id).in_(tried))))
    waiting = session.exec(answers.where(Outgoing.state == "waiting")).all()
    rows = list(waiting[: fits(waiting)])
    for row in rows:
        row.state, row.sent_at, row.message_id = "sent", now, str(row.id)
        session.add(row)
        session.add(
            Attempt(
                community_id=row.community_id,
                outgoing_id=row.id,
                place_id=row.place_id,
                at=now,
                rung=rung,
            )
        )
    session.flush()
    return rows
