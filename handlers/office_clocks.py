"""The clock that runs on the property office for what only it can answer: who asks to come in, and letters to it."""

from datetime import timedelta

from handlers.calendar import working_deadline
from handlers.tell import close_everywhere
from handlers.timers import set_due, stop_due
from handlers.tx import Tx
from store.tables import JoinRequest, Letter

BEFORE = timedelta(days=1)
Asked = JoinRequest | Letter


def named(row: Asked) -> str:
    """As what its clocks know it: join or letter."""
    return "join" if isinstance(row, JoinRequest) else "letter"


def card(row: Asked) -> str:
    """The name of what staff are told while it waits."""
    return f"silence-{named(row)}:{row.id}"


def run(tx: Tx, row: Asked, days: int) -> None:
    """Give the office so many working days; it is reminded a day before."""
    row.due_at = working_deadline(tx, row.community_id, days)
    tx.session.add(row)
    tx.session.flush()
    set_due(tx, row.community_id, f"{named(row)}:{row.id}", row.due_at, row.due_at - BEFORE)


def stop(tx: Tx, row: Asked) -> None:
    """Nobody has to answer it any more."""
    row.due_at = None
    tx.session.add(row)
    tx.session.flush()
    stop_due(tx, f"{named(row)}:{row.id}")
    close_everywhere(tx, card(row))
