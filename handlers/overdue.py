"""The overdue list: one message on the board that always shows what is late, and the same on request.

Repairs, requests that staff have not reviewed or ordered, and complaints without an answer stand there one by one; what
waits to be decided (on posts, and on results) only as a number.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.notices import post
from handlers.purchase_cards import masked
from handlers.repair_cards import WORK, cut_short, where
from handlers.talk import here
from handlers.tell import Button, latest, places_of_kind, reader_of, tell
from handlers.tx import Tx
from store.tables import Complaint, Objection, Person, Purchase, Repair, Ruling

ABOUT = "overdue"
DECIDE = timedelta(days=7)
"""After so long what is said against a result counts as late: no setting gives whoever decides a day."""
MOST = 20
"""Lines that it shows; of the others it says how many there are."""


def overdue_repairs(tx: Tx, community_id: int, but: Repair | None = None) -> list[Repair]:
    """The open repairs whose deadline has passed and whose clock runs, the longest first."""
    late = select(Repair).where(
        Repair.community_id == community_id,
        col(Repair.state).in_(WORK),
        col(Repair.paused_at).is_(None),
        col(Repair.due_at) <= tx.now,
    )
    found = tx.session.exec(late.order_by(col(Repair.due_at), col(Repair.id)))
    return [each for each in found if but is None or each.id != but.id]


def refresh_list(tx: Tx, community_id: int, but: Repair | None = None) -> None:
    """Let the board show which repairs are late; it is first put there when one is.

    `but` is about to be no longer one of them.
    """
    boards = places_of_kind(tx, community_id, "board")
    parts = _parts(tx, community_id, overdue_repairs(tx, community_id, but), tx.reader(community_id))
    if parts or any(latest(tx, f"board:{ABOUT}", place.id) for place in boards):
        post(
            tx,
            community_id,
            "overdue.all" if parts else "overdue.none",
            about=ABOUT,
            text="\n\n".join(parts),
        )


@action("overdue", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """The same list for whoever asks; from the admin group a button leads to each."""
    late, to = overdue_repairs(tx, person.community_id), here(tx, person)
    in_group = tx.place is not None and tx.place.kind == "staff"
    shown = [Button(f"repair.show:{each.id}", number=each.number) for each in late[:MOST]]
    parts = _parts(tx, person.community_id, late, reader_of(tx, to))
    tell(
        tx,
        to,
        "overdue.all" if parts else "overdue.none",
        text="\n\n".join(parts),
        buttons=shown if in_group else (),
    )


def _parts(tx: Tx, community_id: int, late: list[Repair], reader: Reader) -> list[str]:
    """What is late, in parts: the repairs, then what the office owes."""
    reader = replace(reader, lasting=True)
    owed = _owed(tx, community_id, reader)
    return [
        *([reader.say("overdue.list", list=_lines(tx, late, reader))] if late else []),
        *([reader.say("overdue.owed", list="\n".join(owed))] if owed else []),
    ]


def _owed(tx: Tx, community_id: int, reader: Reader) -> list[str]:
    """What else has not been done in time: requests and complaints by number, decisions only counted."""
    requests = select(Purchase).where(
        Purchase.community_id == community_id,
        col(Purchase.state).in_(("review", "approved")),
        col(Purchase.due_at) <= tx.now,
    )
    complaints = select(Complaint).where(
        Complaint.community_id == community_id,
        Complaint.state == "open",
        col(Complaint.overdue_at).is_not(None),
    )
    found: list[tuple[Any, Say]] = [
        (
            each.due_at,
            Say(
                f"overdue.{each.state}",
                number=each.number,
                what=cut_short(masked(tx, each, each.what)),
                due=each.due_at,
            ),
        )
        for each in tx.session.exec(requests.order_by(col(Purchase.due_at)).limit(MOST + 1))
    ]
    found += [
        (
            each.overdue_at,
            Say(f"overdue.{each.kind}", number=each.number, due=each.due_at or each.overdue_at),
        )
        for each in tx.session.exec(complaints.order_by(col(Complaint.overdue_at)).limit(MOST + 1))
    ]
    lines = [str(reader.show(each)) for _, each in sorted(found, key=lambda each: each[0])]
    more = [reader.say("overdue.more_owed")] if len(lines) > MOST else []
    counts = (
        ("rulings", _late_rulings(tx, community_id)),
        ("objections", _late_objections(tx, community_id)),
    )
    decisions = [reader.say(f"overdue.{what}", count=count) for what, count in counts if count]
    return [*lines[:MOST], *more, *decisions]


def _late_rulings(tx: Tx, community_id: int) -> int:
    late = select(func.count()).where(
        Ruling.community_id == community_id,
        col(Ruling.state).in_(("held", "appealed")),
        col(Ruling.due_at) <= tx.now,
    )
    return tx.session.exec(late).one()


def _late_objections(tx: Tx, community_id: int) -> int:
    late = select(func.count()).where(
        Objection.community_id == community_id,
        Objection.state == "waiting",
        col(Objection.at) <= tx.now - DECIDE,
    )
    return tx.session.exec(late).one()


def _lines(tx: Tx, late: list[Repair], reader: Reader) -> str:
    """What everybody may read of them: no room, no name, no word of who reported it."""
    lines = [
        reader.say(
            "overdue.line",
            number=each.number,
            where=where(tx, each, public=True),
            kind=Say(f"kind.{each.kind}"),
            due=each.due_at,
        )
        for each in late[:MOST]
    ]
    more = len(late) - MOST
    return "\n".join([*lines, *([reader.say("overdue.more", count=more)] if more > 0 else [])])
