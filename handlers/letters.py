"""Letters: people write to each other through a repair or a listing, and see no numbers; never on the board."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from conversations.errors import Refused
from conversations.said import File
from conversations.words import Say
from conversations.work import LETTER, LETTER_TO_OWNER, REPLY
from handlers import judge, listing_letters, office_clocks, repair_end
from handlers.actions import action
from handlers.matters import keep_letter
from handlers.paging import danger_about
from handlers.people import works
from handlers.policy import policy_of
from handlers.repair import add, read_free
from handlers.repair_cards import IN_HAND, OPEN, advice, events, must_be, of_repair, where
from handlers.rights import follower, reporter
from handlers.talk import Known, end, here, know, no_facts, start
from handlers.tell import Button, tell, tell_staff
from handlers.tx import Tx
from store.tables import Letter, Person, Repair, Talk

MOST_A_DAY = 30
"""Letters that one person may write through one repair."""
AFTER_END = timedelta(days=7)


# --- who writes to whom -----------------------------------------------------------------------------


@action("repair.write", Repair, button=True, stays=True)
def write(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask a reporter, or who follows, what they want to tell the crew."""
    must_be_open(tx, repair)
    _must_be_few(tx, person, repair)
    start(tx, person, LETTER.name, about=f"repair:{repair.id}")


@action("repair.wrote", Repair)
def wrote(tx: Tx, person: Person, repair: Repair, message: dict[str, Any]) -> None:
    """It goes to the crew in charge, or to the office if nobody is; what sounds dangerous raises the repair."""
    must_be_open(tx, repair)
    _from_resident(tx, person, repair, message, _crew_in_charge(tx, repair))


@action("repair.write_owner", Repair, button=True, stays=True)
def write_owner(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask the crew what they want to tell the reporter."""
    must_be(repair, *IN_HAND)
    _must_have_reporter(repair)
    _must_be_few(tx, person, repair)
    start(tx, person, LETTER_TO_OWNER.name, about=f"repair:{repair.id}")


@action("repair.wrote_owner", Repair)
def wrote_owner(tx: Tx, person: Person, repair: Repair, message: dict[str, Any]) -> None:
    """It goes to the reporter alone."""
    must_be_open(tx, repair)
    _must_have_reporter(repair)
    reported = tx.session.get_one(Person, repair.person_id)
    _send(tx, person, repair, message, to=reported, by=person.name)


@action("letter.reply", Letter, button=True, stays=True)
def reply(tx: Tx, person: Person, letter: Letter) -> None:
    """Ask what to answer."""
    if listing_letters.is_one(letter):
        listing_letters.must_be_answerable(tx, person, letter)
        start(tx, person, REPLY.name, about=f"letter:{letter.id}")
        return
    repair = _repair_of(tx, letter)
    must_be_open(tx, repair)
    _must_be_few(tx, person, repair)
    start(tx, person, REPLY.name, about=f"letter:{letter.id}")


@action("letter.replied", Letter)
def replied(tx: Tx, person: Person, letter: Letter, message: dict[str, Any]) -> None:
    """It goes to who wrote the letter; but what is written to the crew, to whoever has the repair now."""
    if listing_letters.is_one(letter):
        listing_letters.answer(tx, person, letter, message)
        return
    repair = _repair_of(tx, letter)
    must_be_open(tx, repair)
    writer = tx.session.get_one(Person, letter.person_id)
    if letter.to_id is None:
        _send(tx, person, repair, message, to=writer, by=Say("letter.office"))
        _answered(tx, writer, repair)
    elif reporter(tx, person, repair) or follower(tx, person, repair):
        by_crew = works(tx, writer)
        _from_resident(tx, person, repair, message, _crew_in_charge(tx, repair) if by_crew else None)
    elif works(tx, person):
        _send(tx, person, repair, message, to=writer, by=person.name)
    else:  # who has left the crew
        raise Refused("refused.not_yours")


def _answered(tx: Tx, writer: Person, repair: Repair) -> None:
    """One answer is the answer to all that they wrote to the office about it."""
    waits = select(Letter).where(
        Letter.about == f"repair:{repair.id}", Letter.person_id == writer.id, col(Letter.due_at).is_not(None)
    )
    for each in tx.session.exec(waits).all():
        office_clocks.stop(tx, each)


def _crew_in_charge(tx: Tx, repair: Repair) -> Person | None:
    crew = tx.session.get(Person, repair.crew_id) if repair.crew_id is not None else None
    return crew if crew is not None and repair_end.still_works(tx, crew) else None


def _repair_of(tx: Tx, letter: Letter) -> Repair:
    return tx.session.get_one(Repair, int(letter.about.removeprefix("repair:")))


# --- what is in the way -----------------------------------------------------------------------------


def must_be_open(tx: Tx, repair: Repair) -> None:
    """Refuse letters where it is over: it is being worked on, or its end is not long ago."""
    if repair.state == "closed":
        told = [event.at for event in events(tx, repair)]
        if max([*told, repair.done_at or repair.reported_at]) < tx.now - AFTER_END:
            raise Refused("refused.letter_late", number=repair.number, days=AFTER_END.days)
        return
    must_be(repair, *OPEN)


def _must_have_reporter(repair: Repair) -> None:
    if repair.incident:
        raise Refused("refused.letter_incident", number=repair.number)


def _must_be_few(tx: Tx, person: Person, repair: Repair) -> None:
    """What rings at others has a limit; a danger can be told at any time."""
    written = select(func.count()).where(
        Letter.about == f"repair:{repair.id}",
        Letter.person_id == person.id,
        Letter.at > tx.now - timedelta(days=1),
    )
    if tx.session.exec(written).one() >= MOST_A_DAY:
        raise Refused("refused.too_many_letters", number=repair.number, most=MOST_A_DAY)


# --- written and sent -------------------------------------------------------------------------------


def _from_resident(
    tx: Tx, person: Person, repair: Repair, message: dict[str, Any], to: Person | None
) -> None:
    """A letter of its reporter, or of a neighbour who follows it."""
    own = reporter(tx, person, repair)
    by = Say("letter.reporter", where=where(tx, repair)) if own else Say("letter.follower")
    verdict = judge.report(tx, person.community_id, {"what": message["text"], "place": repair.place})
    danger = bool(message["text"]) and verdict.verdict == "urgent"
    _send(tx, person, repair, message, to=to, by=by, limited=not danger)
    if not danger:
        return
    if repair.state == "closed":
        repair_end.reopen(tx, person, repair, message["text"])
    else:
        add(tx, person, repair, note=message["text"])
    if not own:
        tell(tx, person, "letter.danger", number=repair.number, advice=advice(verdict.kind))


def _send(
    tx: Tx,
    person: Person,
    repair: Repair,
    message: dict[str, Any],
    *,
    to: Person | None,
    by: Say | str,
    limited: bool = True,
) -> None:
    """Keep a letter and put it into the chat of a person, or of the admin group; `by` is what they call its writer."""
    if limited:
        _must_be_few(tx, person, repair)
    letter = keep_letter(tx, person, f"repair:{repair.id}", message, to)
    if to is None:
        office_clocks.run(tx, letter, policy_of(tx, repair.community_id).letter_days)
    shown: dict[str, Any] = {
        "who": by,
        "number": repair.number,
        "words": letter.text or Say("letter.files", count=len(letter.files)),
        "photos": letter.files,
        "buttons": [Button(f"letter.reply:{letter.id}", number=repair.number)],
    }
    if to is not None:
        tell(tx, to, "letter.text", **shown)
    else:
        tell_staff(tx, repair.community_id, "letter.text", **shown)
    whom = _called(tx, repair, to)
    tell(tx, here(tx, person), "letter.sent", number=repair.number, whom=whom)


def _called(tx: Tx, repair: Repair, to: Person | None) -> Say | str:
    """What its writer calls who gets a letter."""
    if to is None:
        return Say("letter.office")
    if to.id == repair.person_id:
        return Say("letter.owner")
    return to.name if works(tx, to) else Say("letter.follower")


# --- in the midst of writing ------------------------------------------------------------------------


def urgent_in_letter(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger is the letter, if it goes to the crew or the office."""
    letter = tx.session.get(Letter, int(talk.about.partition(":")[2])) if talk.script == REPLY.name else None
    if letter is not None and listing_letters.is_one(letter):
        read_free(tx, person, text, files)
        return
    message = {"text": text, "files": [file.model_dump() for file in files]}
    finish = {LETTER.name: "repair.wrote", REPLY.name: "letter.replied"}[talk.script]
    end(tx, talk)
    what = f"{finish}:{talk.about.partition(':')[2]}"
    danger_about(tx, person, what, text, files, message=message)


know(Known(LETTER, no_facts, urgent=urgent_in_letter, about=of_repair))
know(Known(LETTER_TO_OWNER, no_facts, about=of_repair))
know(Known(REPLY, no_facts, urgent=urgent_in_letter))
