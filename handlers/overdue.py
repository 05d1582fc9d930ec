"""The overdue list: one message on the board that always shows which repairs are late, and the same on request."""

from dataclasses import replace

from sqlmodel import col, select

from conversations.words import Reader, Say
from handlers.actions import action
from handlers.repair_cards import WORK, where
from handlers.talk import here
from handlers.tell import Button, latest, places_of_kind, post, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Repair

ABOUT = "overdue"
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
    late = overdue_repairs(tx, community_id, but)
    if late or any(latest(tx, f"board:{ABOUT}", place.id) for place in boards):
        lines = _lines(tx, late, tx.reader(community_id))
        post(tx, community_id, "overdue.list" if late else "overdue.none", about=ABOUT, list=lines)


@action("overdue", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """The same list for whoever asks; from the admin group a button leads to each."""
    late, to = overdue_repairs(tx, person.community_id), here(tx, person)
    in_group = tx.place is not None and tx.place.kind == "staff"
    shown = [Button(f"repair.show:{each.id}", number=each.number) for each in late[:MOST]]
    tell(
        tx,
        to,
        "overdue.list" if late else "overdue.none",
        list=_lines(tx, late, reader_of(tx, to)),
        buttons=shown if in_group else (),
    )


def _lines(tx: Tx, late: list[Repair], reader: Reader) -> str:
    """What everybody may read of them: no room, no name, no word of who reported it."""
    reader = replace(reader, lasting=True)
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
