"""What staff answer to a complaint, in public: by a reply to its card in the admin group, or by a button."""

from typing import Any

from sqlmodel import col, select

from conversations.complaint import ANSWER, ASK_MORE, UNSOLVED, answer_in
from conversations.errors import Refused, Unclear
from conversations.said import Said
from conversations.words import Say, normal, spoken
from handlers.actions import action, perform
from handlers.complaint_cards import (
    OFFICE,
    OWNER,
    about,
    add_event,
    answer_photos,
    author_of,
    called,
    latest_of,
    of_complaint,
    refresh,
    tell_joiners,
    tell_owner,
)
from handlers.complaint_clock import close, run_clock, wait_for_word
from handlers.complaint_words import masked
from handlers.complaints import (
    add_statement,
    heard_words,
    masked_mark,
    must_be,
    must_say_something,
    not_too_many_words,
    of_words,
    urgent_in_complaint,
)
from handlers.matters import add_photos, photos_of
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import shown_under, tell
from handlers.tx import Tx
from store.tables import Complaint, Media, Outgoing, Person, Place, Statement

CARD, NOTED = "complaint:", "answered:"
"""How the complaint's cards are named in the group, and what says there that an answer was published."""
ALBUMS = 200
"""Among so many of the last cards with photos it is looked for one of whose photos somebody replied to."""


# --- a reply in the admin group ---------------------------------------------------------------------


def take_reply(tx: Tx, person: Person | None, said: Said) -> bool:
    """Take a reply to a complaint's card, or the change of one, as its public answer; False if it is none.

    Nobody answers in the name of the group alone.
    """
    place = tx.place
    assert place is not None
    if said.tap or not (said.replies_to or said.edited):
        return False
    before = _given_in(tx, place, said.number)
    complaint = tx.session.get_one(Complaint, before.complaint_id) if before is not None else None
    complaint = complaint or _replied_to(tx, place, said.replies_to)
    if complaint is None or normal(said.text) in spoken("command"):
        return False
    if person is None:
        tell(tx, place, "place.anonymous")
        return True
    if complaint.community_id != person.community_id:
        raise Refused("complaint.of_another")
    if before is not None and not said.edited:
        return False  # one message is one answer
    if before is not None and before.text == said.text.strip():
        return True  # its words are the same: a link was shown, or a photo changed
    perform(tx, person, f"complaint.answered:{complaint.id}", message=_answer_in(said))
    return True


def _answer_in(said: Said) -> dict[str, Any]:
    """The answer in a reply. What colleagues say to each other (收到) is none, and is not published by mistake."""
    if normal(said.text) in spoken("chatter"):
        raise Refused("complaint.no_answer", words=said.text.strip())
    try:
        return answer_in(said)
    except Unclear as error:  # nobody was asked anything
        raise Refused(error.key, **error.facts) from error


def _given_in(tx: Tx, place: Place, number: str) -> Statement | None:
    """The latest answer that was given in a message."""
    given = select(Statement).where(Statement.place_id == place.id, Statement.message_id == number)
    return tx.session.exec(given.order_by(col(Statement.id).desc()).limit(1)).first() if number else None


def _replied_to(tx: Tx, place: Place, message: str) -> Complaint | None:
    """The complaint that a message of a group shows, in its words or in the photos below them."""
    if not message:
        return None
    shown = shown_under(tx, place, message)
    card = shown.card if shown is not None else _card_of_photo(tx, place, message)
    card = (card or "").removeprefix(NOTED)
    if not card.startswith(CARD):
        return None
    return tx.session.get(Complaint, int(card.removeprefix(CARD)))


def _card_of_photo(tx: Tx, place: Place, message: str) -> str | None:
    with_photos = (
        select(Outgoing)
        .where(Outgoing.place_id == place.id, col(Outgoing.card).startswith(CARD))
        .where(Outgoing.change == "send")
        .order_by(col(Outgoing.id).desc())
        .limit(ALBUMS)
    )
    return next((each.card for each in tx.session.exec(with_photos) if message in each.parts), None)


# --- the answer -------------------------------------------------------------------------------------


know(Known(ANSWER, no_facts, about=of_complaint))


@action("complaint.answer", Complaint, button=True, stays=True)
def answer(tx: Tx, person: Person, complaint: Complaint) -> None:
    """Ask staff for their public answer, where they do not reply to the card."""
    _must_be_answerable(complaint)
    start(tx, person, ANSWER.name, about=about(complaint))


@action("complaint.answered", Complaint)
def answered(tx: Tx, person: Person, complaint: Complaint, message: dict[str, Any]) -> None:
    """It is published at once, as one more version if there was one; author and neighbours hear it."""
    _must_be_answerable(complaint)
    place, number = tx.place, tx.said.number if tx.said is not None else ""
    assert place is not None
    found = masked(tx, complaint.community_id, author_of(tx, complaint), message["text"])
    if not found.says_something:
        raise Refused("complaint.all_masked")
    edited = _given_in(tx, place, number)
    round_ = edited.round if edited is not None else complaint.round
    before = latest_of(tx, complaint, OFFICE, round_)
    said = add_statement(tx, complaint, person, OFFICE, message["text"], found=found, round_=round_)
    said.place_id, said.message_id = place.id, number
    tx.session.add(said)
    photos = add_photos(tx, person, answer_photos(said), message)
    if edited is not None and not photos:  # a change of words leaves the photos as they are
        _take_photos_along(tx, person, edited, said)
        photos = photos_of(tx, answer_photos(said))
    first = before is None and round_ == complaint.round
    if first:
        _first_answer(tx, person, complaint)
    else:
        add_event(tx, complaint, "complaint.event.changed", person, version=said.version)
        if complaint.state == "answered" and round_ == complaint.round:
            wait_for_word(tx, complaint)
    refresh(tx, complaint)
    told: dict[str, Any] = {"words": found.shown, "photos": photos}
    tell_owner(tx, complaint, "complaint.answer" if first else "complaint.answer_changed", **told)
    tell_joiners(tx, complaint, "complaint.answer_joiner" if first else "complaint.changed_joiner", **told)
    tell(
        tx,
        here(tx, person),
        "complaint.answer_noted",
        card=f"{NOTED}{about(complaint)}",
        anew=True,
        name=called(complaint),
        version=said.version,
        other=_other(tx, person, before),
        masked=masked_mark(found),
        late=Say("complaint.was_late_mark") if first and complaint.overdue_at is not None else "",
    )


def _must_be_answerable(complaint: Complaint) -> None:
    must_be(complaint, "open", "answered", "closed")


def _first_answer(tx: Tx, person: Person, complaint: Complaint) -> None:
    """It is its author's turn; one that has ended stays so."""
    key = "complaint.event.answered" if complaint.overdue_at is None else "complaint.event.answered_late"
    add_event(tx, complaint, key, person)
    complaint.answered_at = tx.now
    complaint.state = "answered"
    wait_for_word(tx, complaint)


def _other(tx: Tx, person: Person, before: Statement | None) -> Any:
    """That somebody else has answered already: both answers are kept, and the later one counts."""
    if before is None or before.person_id in (None, person.id):
        return ""
    name = tx.session.get_one(Person, before.person_id).name or Say("person.forgotten")
    return Say("complaint.other_mark", who=name, at=before.at)


def _take_photos_along(tx: Tx, person: Person, before: Statement, said: Statement) -> None:
    shown = photos_of(tx, answer_photos(before))
    files = [tx.session.get_one(Media, each) for each in shown]
    kept = [{"storage": each.storage, "mime": each.mime, "size": each.size} for each in files]
    add_photos(tx, person, answer_photos(said), {"files": kept})


# --- the author's last word -------------------------------------------------------------------------

for _script in (UNSOLVED, ASK_MORE):
    know(Known(_script, no_facts, heard_words, urgent=urgent_in_complaint, about=of_words))


@action("complaint.solved", Complaint, button=True)
def solved(tx: Tx, person: Person, complaint: Complaint) -> None:
    """The answer helped."""
    must_be(complaint, "answered")
    close(tx, complaint, helped=True)
    add_event(tx, complaint, "complaint.event.solved", person)
    refresh(tx, complaint)
    tell_owner(tx, complaint, "complaint.solved")


@action("complaint.unsolved", Complaint, button=True, stays=True)
def unsolved(tx: Tx, person: Person, complaint: Complaint) -> None:
    """It did not help: what is missing is asked, and may be left unsaid."""
    must_be(complaint, "answered")
    start(tx, person, UNSOLVED.name, about=about(complaint))


@action("complaint.more", Complaint, button=True, stays=True)
def more(tx: Tx, person: Person, complaint: Complaint) -> None:
    """Its author asks further."""
    _must_be_askable(complaint)
    start(tx, person, ASK_MORE.name, about=about(complaint))


@action("complaint.followed", Complaint)
def followed(tx: Tx, person: Person, complaint: Complaint, what: str | None = None, **rest: Any) -> None:
    """A further question begins a new round, with a clock of its own; without one it ends as not solved."""
    if not what:
        must_be(complaint, "answered")
        close(tx, complaint, helped=False)
        add_event(tx, complaint, "complaint.event.unsolved", person)
        refresh(tx, complaint)
        tell_owner(tx, complaint, "complaint.unsolved")
        return
    _must_be_askable(complaint)
    not_too_many_words(tx, person)
    found = masked(tx, complaint.community_id, person, what)
    must_say_something(found)
    complaint.state, complaint.helped, complaint.closed_at = "open", None, None
    complaint.round += 1
    add_statement(tx, complaint, person, OWNER, what, found=found)
    run_clock(tx, complaint)
    add_event(tx, complaint, "complaint.event.more", person)
    refresh(tx, complaint, "complaint.more_staff", anew=True)
    tell_owner(tx, complaint, "complaint.asked", masked=masked_mark(found))
    tell_joiners(tx, complaint, "complaint.more_joiner", words=found.shown)


def _must_be_askable(complaint: Complaint) -> None:
    """One may ask further after an answer, also when it has ended in silence."""
    must_be(complaint, *(("answered",) if complaint.helped else ("answered", "closed")))
