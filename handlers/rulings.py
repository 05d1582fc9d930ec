"""Rulings: their authors appeal with one tap, staff decide with one tap, and a clock runs on those who must decide."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.words import Say
from handlers.actions import action
from handlers.conduct import (
    WAITING,
    end_ruling,
    facts,
    happened,
    is_numbered,
    judged_of,
    keep_example,
    known_author,
    must_not_ask_too_often,
    show_to_staff,
    staff_buttons,
    subject_of,
    tell_author,
    wait_for_staff,
)
from handlers.matters import timeline
from handlers.overdue import refresh_list
from handlers.people import committee_of
from handlers.repair_cards import cut_short
from handlers.rights import accused
from handlers.talk import here
from handlers.tell import Button, close_everywhere, reader_of, tell
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Person, Ruling

AGAIN = timedelta(days=1)
SHOWN = timedelta(days=7)
"""How long a deletion that nobody appealed stands in the list of staff."""
MOST = 10


def _must_be(ruling: Ruling, *states: str) -> None:
    if ruling.state not in states:
        raise Refused("ruling.over", number=ruling.number, state=Say(f"ruling.state.{ruling.state}"))


# --- the author -------------------------------------------------------------------------------------


@action("ruling.appeal", Ruling, button=True)
def appeal(tx: Tx, person: Person, ruling: Ruling) -> None:
    """Its author says that it was judged wrongly: staff decide, and until when stands in the answer."""
    _must_be(ruling, "deleted")
    row = subject_of(tx, ruling)
    if row is None or row.ruling_id != ruling.id:
        raise Refused("ruling.moot", number=ruling.number)
    must_not_ask_too_often(tx, person)
    ruling.state, ruling.appealed_at = "appealed", tx.now
    happened(tx, ruling, "ruling.event.appealed", person)
    wait_for_staff(tx, ruling)
    tell(tx, here(tx, person), "ruling.appealed", **facts(tx, ruling))


# --- who decides ------------------------------------------------------------------------------------


@action("ruling.allow", Ruling, button=True)
def allow(tx: Tx, person: Person, ruling: Ruling) -> None:
    """It breaks no rule: it stands as it was written, and the same text is never held up again."""
    _must_be(ruling, *WAITING, "deleted")
    row = _decide(tx, person, ruling, "restored")
    if row is None:
        return
    keep_example(tx, ruling, "ok", person)
    judged_of(ruling).restore(tx, row, ruling)
    _tell_of_it(tx, person, ruling)


@action("ruling.uphold", Ruling, button=True)
def uphold(tx: Tx, person: Person, ruling: Ruling) -> None:
    """It breaks a rule: it goes, and its author hears it."""
    _must_be(ruling, *WAITING)
    row = _decide(tx, person, ruling, "upheld")
    if row is None:
        return
    keep_example(tx, ruling, "violation", person)
    judged_of(ruling).uphold(tx, row, ruling)
    _tell_of_it(tx, person, ruling)


def _decide(tx: Tx, person: Person, ruling: Ruling, state: str) -> Any:
    """The row that is decided on; None if it was changed or taken back meanwhile, which is said."""
    row = subject_of(tx, ruling, locked=True)
    if row is None or row.ruling_id != ruling.id:
        end_ruling(tx, ruling, "moot")
        tell(tx, here(tx, person), "ruling.moot", number=ruling.number)
        return None
    waited = ruling.state in WAITING
    ruling.pseudonym = person.pseudonym
    end_ruling(tx, ruling, state)
    if not waited:  # it has had no card
        show_to_staff(tx, ruling)
    return row


def _tell_of_it(tx: Tx, person: Person, ruling: Ruling) -> None:
    close_everywhere(tx, f"overdue-ruling:{ruling.id}")
    author = known_author(tx, ruling)
    if author is not None:
        tell_author(tx, author, ruling)
    if tx.place is not None and tx.place.kind != "staff":  # one of the committee
        tell(tx, person, f"ruling.done_{ruling.state}", number=ruling.number)


# --- the list of staff ------------------------------------------------------------------------------


@action("ruling.list", button=True, stays=True)
def list_rulings(tx: Tx, person: Person) -> None:
    """What waits to be decided, oldest first, and what was deleted of late."""
    mine = select(Ruling).where(Ruling.community_id == person.community_id)
    waits = mine.where(col(Ruling.state).in_(WAITING)).order_by(col(Ruling.id)).limit(MOST)
    gone = mine.where(Ruling.state == "deleted", col(Ruling.at) > tx.now - SHOWN)
    waiting = tx.session.exec(waits).all()
    deleted = tx.session.exec(gone.order_by(col(Ruling.id).desc()).limit(MOST)).all()
    to = here(tx, person)
    reader = reader_of(tx, to)
    lines = [reader.say("ruling.line", **_line(tx, each)) for each in [*waiting, *deleted]]
    buttons = [Button(f"ruling.show:{each.id}", number=each.number) for each in [*waiting, *deleted]]
    key = "ruling.list" if lines else "ruling.list_none"
    tell(tx, to, key, list="\n".join(lines), count=len(waiting), buttons=buttons)


def _line(tx: Tx, ruling: Ruling) -> dict[str, Any]:
    """One ruling in a line of the list: by its rules' numbers, or what else is said against it."""
    rules = [each for each in ruling.rules if is_numbered(each)]
    return {**facts(tx, ruling), "text": cut_short(ruling.text), "rules": rules or ruling.why[:1]}


@action("ruling.show", Ruling, button=True, stays=True)
def show(tx: Tx, person: Person, ruling: Ruling) -> None:
    """One ruling with its timeline: what can be decided on it, or what its author can still do."""
    to = here(tx, person)
    own = accused(tx, person, ruling) and to is person
    appeal = [Button(f"ruling.appeal:{ruling.id}", number=ruling.number)] if ruling.state == "deleted" else []
    tell(
        tx,
        to,
        "ruling.show_own" if own else "ruling.show",
        card=None if own else f"ruling:{ruling.id}",
        anew=not own,
        last=f"judged:{ruling.about}" if own else None,
        buttons=appeal if own else staff_buttons(ruling),
        timeline="\n".join(timeline(tx, f"ruling:{ruling.id}", reader_of(tx, to))),
        shown=Say("ruling.card", **facts(tx, ruling)),
        **facts(tx, ruling),
    )


# --- the clock --------------------------------------------------------------------------------------


@action("ruling.remind", Ruling)
def remind(tx: Tx, person: None, ruling: Ruling) -> None:
    """A quarter of the time is left."""
    if ruling.state in WAITING:
        show_to_staff(tx, ruling, "ruling.remind_card", anew=True)


@action("ruling.overdue", Ruling)
def overdue(tx: Tx, person: None, ruling: Ruling) -> None:
    """The time is over: staff hear it daily, its author once, and the owners' committee may decide, too."""
    if ruling.state not in WAITING or ruling.due_at is None:
        return
    show_to_staff(tx, ruling, "ruling.overdue_card", anew=True)
    if tx.now - ruling.due_at < AGAIN / 2:
        happened(tx, ruling, "ruling.event.late")
        refresh_list(tx, ruling.community_id)
        author = known_author(tx, ruling)
        if author is not None:
            tell_author(tx, author, ruling, "ruling.late")
        for member in committee_of(tx, ruling.community_id):
            if member.id != ruling.person_id:
                tell(
                    tx,
                    member,
                    "ruling.overdue_committee",
                    card=f"overdue-ruling:{ruling.id}",
                    buttons=staff_buttons(ruling),
                    **facts(tx, ruling),
                )
    set_timer(tx, ruling.community_id, f"ruling.overdue:{ruling.id}", tx.now + AGAIN)
