"""What becomes of a notice that was sent: corrected, withdrawn, read; every edition of it is kept."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.announcement import ANNOUNCEMENT, WITHDRAWAL, title_in
from conversations.errors import Refused
from conversations.steps import Answers
from handlers.actions import action
from handlers.announcement_cards import (
    about,
    audience_of,
    brief,
    edition_of,
    is_for_all,
    is_reader,
    of_announcement,
    read_buttons,
    send_copies,
    show_on_board,
    staff_card,
    state,
    tell_here,
    tell_readers,
)
from handlers.matters import add_event, set_files
from handlers.notices import outdate, pin
from handlers.talk import Known, end_about, know, no_facts, start
from handlers.tell import Button, places_of_kind, take_away
from handlers.timers import awake, set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Announcement, Edition, Media, Person, Reading, Talk

REMINDED = timedelta(days=2)
"""After which whoever has not tapped that they have read it is reminded, once."""


# --- editions ---------------------------------------------------------------------------------------


def write_edition(tx: Tx, person: Person, made: Announcement, answers: Mapping[str, Any]) -> Edition:
    """The edition with these words; one that nobody has got yet is changed."""
    which = select(Edition).where(Edition.announcement_id == made.id, Edition.version == made.version)
    edition = tx.session.exec(which).first() or Edition(
        community_id=made.community_id, announcement_id=made.id, version=made.version, title="", text=""
    )
    edition.title, edition.text = answers["title"], answers["text"]
    edition.pseudonym, edition.at = person.pseudonym, tx.now
    tx.session.add(edition)
    tx.session.flush()
    set_files(tx, person, f"edition:{edition.id}", answers.get("files"))
    return edition


def answers_of(tx: Tx, made: Announcement) -> Answers:
    """The words and files of a notice, as answers to the questions."""
    edition = edition_of(tx, made)
    rows = tx.session.exec(
        select(Media).where(Media.about == f"edition:{edition.id}").order_by(col(Media.id))
    )
    files = [
        {"kind": each.kind, "storage": each.storage, "mime": each.mime, "size": each.size, "name": each.name}
        for each in rows
    ]
    read = {"read": edition.title} if title_in(edition.text) == edition.title else {}
    return {
        "text": edition.text,
        "title": edition.title,
        **read,
        "files": {"files": files, "done": True} if files else None,
    }


def must_be(made: Announcement, *states: str) -> None:
    """Refuse what this state allows no more."""
    if made.state not in states:
        raise Refused("announcement.over", number=made.number, state=state(made))


# --- corrected --------------------------------------------------------------------------------------


@action("announcement.correct", Announcement, button=True, stays=True)
def correct(tx: Tx, person: Person, made: Announcement) -> None:
    """Write what was sent anew."""
    must_be(made, "sent")
    answers = {**answers_of(tx, made), "base": made.version}
    start(tx, person, ANNOUNCEMENT.name, about=about(made), answers=answers)


def correct_to(tx: Tx, person: Person, made: Announcement, answers: Mapping[str, Any]) -> None:
    """A new edition: for whom it was, and whoever got an earlier one; what stands already says that it is outdated."""
    before = edition_of(tx, made)
    shown = _stored(tx, before)
    if (before.title, before.text, shown) == (answers["title"], answers["text"], _given(answers)):
        raise Refused("announcement.same", number=made.number)
    made.version += 1
    edition = write_edition(tx, person, made, answers)
    end_about(tx, about(made))
    add_event(
        tx,
        about(made),
        "announcement.event.corrected",
        person,
        community_id=made.community_id,
        version=made.version,
    )
    outdate(tx, made.community_id, about(made), "announcement.outdated", version=made.version)
    anew = is_for_all(made.audience) and shown != _stored(tx, edition)
    if anew:  # no change of a message changes its photos
        for place in places_of_kind(tx, made.community_id, "board"):
            take_away(tx, f"board:{about(made)}", place)
    show_on_board(tx, made)
    if anew:
        pin(tx, made.community_id, about(made))
    send_copies(tx, made, audience_of(made, "editions"))
    remind_later(tx, made)
    staff_card(tx, made, anew=True)


def _stored(tx: Tx, edition: Edition) -> set[str]:
    """Where the photos and files of an edition are kept."""
    return set(tx.session.exec(select(Media.storage).where(Media.about == f"edition:{edition.id}")))


def _given(answers: Mapping[str, Any]) -> set[str]:
    return {each["storage"] for each in (answers.get("files") or {}).get("files", [])}


# --- withdrawn --------------------------------------------------------------------------------------


def _of_withdrawal(tx: Tx, talk: Talk) -> dict[str, Any]:
    made = of_announcement(tx, talk)
    assert made is not None
    return {"number": made.number, "title": brief(tx, made), "reason": talk.answers.get("reason") or ""}


know(Known(WITHDRAWAL, no_facts, about=_of_withdrawal))


@action("announcement.withdraw", Announcement, button=True, stays=True)
def withdraw(tx: Tx, person: Person, made: Announcement) -> None:
    """Ask why it does not hold; everybody who got it will read that."""
    must_be(made, "sent")
    start(tx, person, WITHDRAWAL.name, about=about(made))


@action("announcement.withdrawn", Announcement)
def withdrawn(tx: Tx, person: Person, made: Announcement, reason: str, sure: bool = True) -> None:
    """It holds no more, and everybody whom it has reached hears why."""
    must_be(made, "sent")
    made.state = "withdrawn"
    stop_timer(tx, f"announcement.remind:{made.id}")
    end_about(tx, about(made))
    add_event(
        tx,
        about(made),
        "announcement.event.withdrawn",
        person,
        community_id=made.community_id,
        reason=reason,
    )
    outdate(tx, made.community_id, about(made), "announcement.no_more")
    show_on_board(tx, made)
    if is_for_all(made.audience):
        pin(tx, made.community_id, about(made), off=True)
    tell_readers(tx, made, "announcement.withdrawn", audience_of(made, "copies"), reason=reason)
    staff_card(tx, made, anew=True)


# --- read -------------------------------------------------------------------------------------------


def remind_later(tx: Tx, made: Announcement) -> None:
    """Where proof is asked for, whoever gives none is reminded."""
    if made.receipt:
        at = awake(tx, made.community_id, tx.now + REMINDED)
        set_timer(tx, made.community_id, f"announcement.remind:{made.id}", at)


def asks_still(tx: Tx, person: Person, tapped: str) -> bool:
    """Whether the notice of a button waits for this reader's word."""
    number = tapped.rpartition(":")[2]
    made = tx.session.get(Announcement, int(number)) if number.isdecimal() else None
    if made is None or not made.receipt or made.state != "sent":
        return False
    read = select(Reading.id).where(
        Reading.announcement_id == made.id,
        Reading.person_id == person.id,
        Reading.version == made.version,
    )
    return tx.session.exec(read).first() is None


@action("announcement.read", Announcement, button=True)
def read(tx: Tx, person: Person, made: Announcement) -> None:
    """Its reader says that they have read the edition that counts."""
    if not made.receipt or made.state != "sent" or not is_reader(tx, person, made):
        raise Refused("announcement.asks_nobody", number=made.number)
    which = select(Reading).where(Reading.announcement_id == made.id, Reading.person_id == person.id)
    reading = tx.session.exec(which).first() or Reading(
        community_id=made.community_id,
        announcement_id=made.id,
        person_id=person.id,
        version=made.version,
        at=tx.now,
    )
    if reading.version != made.version:
        reading.version, reading.at = made.version, tx.now
    tx.session.add(reading)
    tx.session.flush()
    if tx.mark is None:  # else the message itself says so
        tell_here(tx, person, made, "announcement.read_noted")


@action("announcement.remind", Announcement)
def remind(tx: Tx, person: None, made: Announcement) -> None:
    """Whoever has not said that they have read it is asked once more."""
    if made.state == "sent":
        unread = audience_of(made, "unread")
        tell_readers(
            tx, made, "announcement.reminder", unread, buttons=[*read_buttons(made), show_button(made)]
        )


def show_button(made: Announcement) -> Button:
    """The way to all of it."""
    return Button(f"announcement.show:{made.id}", number=made.number)
