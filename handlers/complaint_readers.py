"""Complaints as their readers see them: the whole thread, and the neighbours who say the same."""

from typing import Any

from conversations.errors import Refused
from handlers import complaint_cards
from handlers.actions import action
from handlers.complaint_cards import (
    COUNTS,
    OWNER,
    about,
    author_buttons,
    board,
    brief,
    called,
    joined,
    joiner_buttons,
    latest_of,
    neighbour_buttons,
    seen,
    staff_buttons,
    to_author,
)
from handlers.complaint_words import Masked
from handlers.complaints import masked_mark, must_be
from handlers.people import is_resident, joiner_of
from handlers.talk import here
from handlers.tell import reader_of, tell
from handlers.tx import Tx
from store.tables import Complaint, Joiner, Person

TELLING = (1, 2, 3, 5)
"""At which numbers of neighbours who say the same the board is changed, and then at each tenth."""


# --- looking ------------------------------------------------------------------------------------------


@action("complaint.show", Complaint, button=True, stays=True)
def show(tx: Tx, person: Person, complaint: Complaint) -> None:
    """The whole thread with every version of what was said, and its timeline."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    to = here(tx, person)
    own = complaint.person_id == person.id and not in_group
    joins = joiner_of(tx, complaint, person) is not None
    last: dict[str, Any]
    if in_group:
        buttons, last = staff_buttons(complaint)[:1], {"card": about(complaint), "anew": True}
    elif own:
        buttons, last = author_buttons(complaint)[:-1], {"last": to_author(complaint)}
    else:
        able = joiner_buttons(complaint) if joins else neighbour_buttons(complaint)
        buttons = able[:-1] if is_resident(tx, person) else []
        last = {"last": seen(complaint)}
    said = latest_of(tx, complaint, OWNER)
    tell(
        tx,
        to,
        "complaint.show",
        shown=complaint_cards.card(tx, complaint, versions=True),
        masked=masked_mark(Masked(said.shown, said.why)) if own and said is not None and said.why else "",
        timeline="\n".join(complaint_cards.timeline(tx, complaint, reader_of(tx, to))),
        photos=complaint_cards.photos_of(tx, complaint),
        buttons=buttons,
        **last,
    )


# --- saying the same ----------------------------------------------------------------------------------


@action("complaint.join", Complaint, button=True)
def join(tx: Tx, person: Person, complaint: Complaint) -> None:
    """A neighbour says the same, and hears what becomes of it."""
    must_be(complaint, *COUNTS)
    if complaint.person_id == person.id:
        raise Refused("complaint.own", name=called(complaint))
    if joiner_of(tx, complaint, person) is None:
        row = {"community_id": person.community_id, "complaint_id": complaint.id, "person_id": person.id}
        tx.session.add(Joiner.model_validate({**row, "at": tx.now}))
        tx.session.flush()
        _count(tx, complaint)
    _tell_joiner(tx, person, complaint, "complaint.joined")


@action("complaint.leave", Complaint, button=True)
def leave(tx: Tx, person: Person, complaint: Complaint) -> None:
    """A neighbour does not say so any more."""
    row = joiner_of(tx, complaint, person)
    if row is not None:
        tx.session.delete(row)
        tx.session.flush()
        _count(tx, complaint)
    _tell_joiner(tx, person, complaint, "complaint.left")


def _count(tx: Tx, complaint: Complaint) -> None:
    """The board counts them, but is not changed at each one: a group takes few messages a minute."""
    count = joined(tx, complaint)
    if count in TELLING or count % 10 == 0:
        board(tx, complaint)


def _tell_joiner(tx: Tx, person: Person, complaint: Complaint, key: str) -> None:
    joins = joiner_of(tx, complaint, person) is not None
    tell(
        tx,
        person,
        key,
        name=called(complaint),
        brief=brief(tx, complaint),
        count=joined(tx, complaint),
        buttons=joiner_buttons(complaint) if joins else neighbour_buttons(complaint),
        last=seen(complaint),
    )
