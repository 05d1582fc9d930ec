"""The office does not answer: it is reminded, then managers hear of it, then whoever waits is told whom to call."""

from datetime import timedelta
from typing import Any

from conversations.errors import Refused
from conversations.words import Say
from handlers import letters
from handlers.actions import action
from handlers.matters import add_event
from handlers.office_clocks import Asked, card, named, stop
from handlers.people import managers_of
from handlers.repair_cards import cut_short, office
from handlers.tell import Button, tell, tell_staff
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import JoinRequest, Letter, Person, Repair

AGAIN = timedelta(days=1)


@action("join.remind", JoinRequest)
def remind_of_request(tx: Tx, person: None, asked: JoinRequest) -> None:
    """A day is left to decide on somebody who asks to come in."""
    if asked.state == "waiting" and _in_time(tx, asked):
        _tell_office(tx, asked, "silence.remind")


@action("join.overdue", JoinRequest)
def request_overdue(tx: Tx, person: None, asked: JoinRequest) -> None:
    """Nobody has decided on it in time."""
    if asked.state == "waiting":
        _overdue(tx, asked)


@action("letter.remind", Letter)
def remind_of_letter(tx: Tx, person: None, letter: Letter) -> None:
    """A day is left to answer a letter to the office."""
    if _waits(tx, letter) and _in_time(tx, letter):
        _tell_office(tx, letter, "silence.remind")


@action("letter.overdue", Letter)
def letter_overdue(tx: Tx, person: None, letter: Letter) -> None:
    """Nobody has answered it in time."""
    if _waits(tx, letter):
        _overdue(tx, letter)


def _in_time(tx: Tx, row: Asked) -> bool:
    """Whether it can still be answered in time: when we were down for long, that it is late is said alone."""
    return row.due_at is not None and tx.now < row.due_at


def _waits(tx: Tx, letter: Letter) -> bool:
    """Whether a letter has no answer and can still get one; else its clock ends."""
    if letter.due_at is None:
        return False
    try:
        letters.must_be_open(tx, _repair_of(tx, letter))
    except Refused:
        stop(tx, letter)
        return False
    return True


def _repair_of(tx: Tx, letter: Letter) -> Repair:
    return tx.session.get_one(Repair, int(letter.about.removeprefix("repair:")))


def _overdue(tx: Tx, row: Asked) -> None:
    """At the deadline staff and managers hear of it; a day later whoever asked hears whom to call."""
    if row.due_at is None:
        return
    if tx.now < row.due_at + AGAIN / 2:
        if isinstance(row, JoinRequest):
            add_event(tx, f"join:{row.id}", "join.event.late", None, community_id=row.community_id)
        _tell_office(tx, row, "silence.overdue")
        for manager in managers_of(tx, row.community_id):
            tell(tx, manager, "silence.manager", due=row.due_at, **_facts(tx, row))
        set_timer(tx, row.community_id, f"{named(row)}.overdue:{row.id}", tx.now + AGAIN)
        return
    asker = tx.session.get_one(Person, row.person_id)
    facts = {"phone": office(tx, row.community_id), "due": row.due_at}
    if isinstance(row, JoinRequest):
        tell(tx, asker, "silence.join_asker", **facts)
    else:
        tell(tx, asker, "silence.letter_asker", number=_repair_of(tx, row).number, **facts)


def _tell_office(tx: Tx, row: Asked, key: str) -> None:
    number = _facts(tx, row)["number"]
    button = (
        Button(f"join.show:{row.id}", number=row.id)
        if isinstance(row, JoinRequest)
        else Button(f"letter.reply:{row.id}", number=number)
    )
    tell_staff(
        tx,
        row.community_id,
        key,
        card=card(row),
        anew=True,
        alone=True,
        buttons=[button],
        due=row.due_at,
        **_facts(tx, row),
    )


def _facts(tx: Tx, row: Asked) -> dict[str, Any]:
    """What is not answered, in words; a manager reads no more of it than staff do."""
    if isinstance(row, JoinRequest):
        return {"what": Say("silence.join", home=row.home), "since": row.created_at, "number": 0}
    number = _repair_of(tx, row).number
    words = cut_short(row.text) or Say("letter.files", count=len(row.files))
    return {"what": Say("silence.letter", number=number, words=words), "since": row.at, "number": number}
