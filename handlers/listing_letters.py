"""Letters through a listing: neighbours and who published it write to each other, without name, number or account."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from conversations.errors import NotNow, Refused
from conversations.listing import ASK_ABOUT
from conversations.words import Say
from handlers.actions import action
from handlers.conduct import about
from handlers.listing_cards import brief, of_listing, state
from handlers.matters import keep_letter
from handlers.people import homes_of, is_resident
from handlers.repair_cards import address
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import Button, tell, tell_staff
from handlers.tx import Tx
from store.tables import Letter, Listing, Person

MOST_A_DAY = 30
"""Letters that one person may write through listings."""
AFTER_END = timedelta(days=7)
"""How long both can still answer after it was sold or has expired, to hand things over."""


def is_one(letter: Letter) -> bool:
    """Whether it was written through a listing."""
    return letter.about.startswith("listing:")


def listing_of(tx: Tx, letter: Letter) -> Listing:
    """The listing through which a letter was written."""
    return tx.session.get_one(Listing, int(letter.about.removeprefix("listing:")))


# --- who writes to whom -----------------------------------------------------------------------------


@action("listing.write", Listing, button=True, stays=True)
def write(tx: Tx, person: Person, listing: Listing) -> None:
    """Ask a neighbour what they want to tell whoever published it."""
    _must_be_open(tx, person, listing)
    _must_be_few(tx, person)
    start(tx, person, ASK_ABOUT.name, about=about(listing))


@action("listing.wrote", Listing)
def wrote(tx: Tx, person: Person, listing: Listing, message: dict[str, Any]) -> None:
    """It goes to whoever published it."""
    _must_be_open(tx, person, listing)
    _send(tx, person, listing, message, tx.session.get_one(Person, listing.person_id))


def must_be_answerable(tx: Tx, person: Person, letter: Letter) -> None:
    """Refuse an answer long after the end, to who has left, or beyond the day's limit."""
    listing = listing_of(tx, letter)
    ended = listing.closed_at if listing.state == "closed" else listing.expires_at
    lately = listing.state in ("closed", "expired") and ended is not None and ended > tx.now - AFTER_END
    if listing.state != "open" and not lately:
        raise Refused("listing.over_now", number=listing.number, state=state(listing))
    if not is_resident(tx, tx.session.get_one(Person, letter.person_id)):
        raise Refused("listing.writer_gone", number=listing.number)
    _must_be_few(tx, person)


def answer(tx: Tx, person: Person, letter: Letter, message: dict[str, Any]) -> None:
    """It goes to who wrote the letter."""
    must_be_answerable(tx, person, letter)
    _send(tx, person, listing_of(tx, letter), message, tx.session.get_one(Person, letter.person_id))


def _must_be_open(tx: Tx, person: Person, listing: Listing) -> None:
    if listing.state != "open":
        raise Refused("listing.over_now", number=listing.number, state=state(listing))
    if listing.person_id == person.id:
        raise Refused("listing.own", number=listing.number)


def _must_be_few(tx: Tx, person: Person) -> None:
    """What rings at neighbours has a limit."""
    written = select(func.count()).where(
        Letter.person_id == person.id,
        col(Letter.about).startswith("listing:"),
        Letter.at > tx.now - timedelta(days=1),
    )
    if tx.session.exec(written).one() >= MOST_A_DAY:
        raise NotNow("listing.too_many_letters", most=MOST_A_DAY)


def _send(tx: Tx, person: Person, listing: Listing, message: dict[str, Any], to: Person) -> None:
    """Keep a letter and put it into the chat of whom it is for, who can answer or report it."""
    _must_be_few(tx, person)
    letter = keep_letter(tx, person, about(listing), message, to)
    tell(
        tx,
        to,
        "listing.letter",
        who=_called(tx, listing, person),
        number=listing.number,
        title=brief(listing),
        words=letter.text or Say("letter.files", count=len(letter.files)),
        photos=letter.files,
        buttons=[Button(f"letter.{name}:{letter.id}", number=listing.number) for name in ("reply", "report")],
    )
    tell(tx, here(tx, person), "listing.letter_sent", number=listing.number, whom=_called(tx, listing, to))


def _called(tx: Tx, listing: Listing, person: Person) -> Say:
    """What the other one calls somebody: who published it, or a neighbour of a building."""
    if person.id == listing.person_id:
        return Say("listing.publisher")
    building = next((home.building for home in homes_of(tx, person)), "")
    where = Say("listing.neighbour_mark", where=Say("where.building", building=building)) if building else ""
    return Say("listing.neighbour", where=where)


@action("letter.report", Letter, button=True)
def report(tx: Tx, person: Person, letter: Letter) -> None:
    """Staff see a letter that should not have been written: its words, and who wrote it."""
    writer = tx.session.get_one(Person, letter.person_id)
    homes = homes_of(tx, writer)
    tell_staff(
        tx,
        letter.community_id,
        "listing.letter_card",
        card=f"letter:{letter.id}",
        who=writer.name or Say("person.forgotten"),
        home=address(homes[0]) if homes else "",
        words=letter.text or Say("letter.files", count=len(letter.files)),
        photos=letter.files,
        at=letter.at,
    )
    tell(tx, here(tx, person), "listing.letter_reported")


know(Known(ASK_ABOUT, no_facts, about=of_listing))
