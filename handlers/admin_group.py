"""The admin group is not flooded: of many ordinary cards at once most stand in one summary, and one tap brings each."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from handlers.actions import action
from handlers.digests import begun
from handlers.tell import ANSWER, GROUP, NEWS, Button, distinct, know_gathering, latest, reader_of, tell
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Outgoing, Person, Place
from store.vault import without_hidden

FEW = 5
"""Ordinary cards that come by themselves within the window."""
WINDOW = timedelta(minutes=10)
"""Also how long a summary is added to, before there is a new one."""
SOON = timedelta(seconds=15)
"""After which a summary shows what has come: a group takes few messages and changes a minute."""
LOOKED_AT = 200
FITS = 15
"""Cards in one message, each with a button."""
KEPT = timedelta(days=7)
LONGEST_LABEL = 20
PAGE = re.compile(r"p\d{1,4}")
SUMMARY = "summary:"


def gathers(tx: Tx, place: Place) -> bool:
    """Whether enough ordinary cards have come to an admin group lately; then the next goes into its summary."""
    newest = (
        select(
            Outgoing.created_at,
            Outgoing.change,
            Outgoing.lane,
            Outgoing.inbox_id,
            Outgoing.card,
            Outgoing.digest,
        )  # type: ignore[call-overload]
        .where(Outgoing.place_id == place.id)
        .order_by(col(Outgoing.id).desc())
        .limit(LOOKED_AT)
    )
    came = 0
    rows = tx.session.exec(newest).all()
    for at, change, lane, inbox_id, card, digest in rows:
        if at <= tx.now - WINDOW:
            break
        ordinary = (change, lane, inbox_id, digest) == ("send", NEWS, None, "")
        came += ordinary and not (card or SUMMARY).startswith(SUMMARY)
    else:
        came += FEW if len(rows) == LOOKED_AT else 0
    if came < FEW:
        return False
    assert place.community_id is not None
    set_timer(tx, place.community_id, f"group.summary:{place.id}", tx.now + SOON, move=False)
    return True


know_gathering(gathers)


@action("group.summary", Place)
def summarise(tx: Tx, person: None, place: Place) -> None:
    """Let the present summary of a group name what was gathered in its time; every ten minutes there is a new one."""
    begins = tx.now - timedelta(seconds=(tx.now - SOON).timestamp() % WINDOW.total_seconds()) - SOON
    rows = [row for row in _gathered(tx, place) if row.created_at >= begins]
    if rows:
        _show(tx, place, rows, 0, card=f"{SUMMARY}{int(begins.timestamp())}")


@action("group.list", button=True, stays=True, words=PAGE)
def show_list(tx: Tx, person: Person, page: str) -> None:
    """All that was gathered in the last days and nobody has opened."""
    assert tx.place is not None
    rows = _gathered(tx, tx.place)
    number = min(int(page[1:] or 0), max(0, (len(rows) - 1) // FITS))
    if rows:
        _show(tx, tx.place, rows, number, last=f"{SUMMARY}list")
    else:
        tell(tx, tx.place, "group.none")


def _gathered(tx: Tx, place: Place) -> Sequence[Outgoing]:
    """What waits for somebody to open it, the newest first."""
    held = select(Outgoing).where(Outgoing.place_id == place.id, Outgoing.state == "held")
    kept = held.where(Outgoing.digest == GROUP, Outgoing.created_at > tx.now - KEPT)
    return tx.session.exec(kept.order_by(col(Outgoing.id).desc())).all()


def _show(tx: Tx, place: Place, rows: Sequence[Outgoing], page: int, **how: Any) -> None:
    shown = rows[page * FITS : (page + 1) * FITS]
    left = len(rows) - page * FITS - len(shown)
    titles = [begun(_head(row)) for row in shown]
    labels = distinct(begun(row.text)[:LONGEST_LABEL].strip(" ·") for row in shown)
    reader = reader_of(tx, place)
    opens = [Button(f"group.open:{row.id}", label=label) for row, label in zip(shown, labels, strict=True)]
    rest = [Button(f"group.list:p{page + 1}", label=reader.say("group.rest", count=left))] if left else []
    tell(
        tx,
        place,
        "group.summary",
        count=len(rows),
        lines="\n".join(f"· {title}" for title in titles),
        left=reader.say("group.left_mark", count=left) if left else "",
        buttons=[*opens, *rest],
        silent=True,
        alone=True,
        **how,
    )


def _head(row: Outgoing) -> str:
    """What it is, and what is said in it: the first two lines of a card, unless it is a paragraph for itself."""
    first, _, rest = without_hidden(row.text).strip().partition("\n\n")[0].partition("\n")
    return f"{first} {rest.partition(chr(10))[0]}".strip()


@action("group.open", Outgoing, button=True, stays=True)
def open_card(tx: Tx, person: Person, row: Outgoing) -> None:
    """The card itself, with its buttons; one that has come already comes once more as it is now."""
    assert tx.place is not None
    if row.state == "held" and row.digest == GROUP:
        row.state, row.lane, row.inbox_id, row.created_at = "waiting", ANSWER, tx.inbox_id, tx.now
        tx.session.add(row)
        return
    now = latest(tx, row.card, tx.place.id) if row.card is not None else None
    if now is None or now.change == "delete" or now.state == "dropped":
        tell(tx, tx.place, "group.gone")
        return
    again = [Button.of(each) for each in now.buttons]
    tell(tx, tx.place, "rest.text", text=now.text, card=row.card, anew=True, buttons=again)
