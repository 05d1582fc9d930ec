"""The canvass list: whom nothing reached, for staff to call or to visit."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import col, or_, select

from conversations.words import Say
from handlers.actions import action
from handlers.digests import begun
from handlers.people import homes_of
from handlers.phones import phone_of
from handlers.repair_cards import address
from handlers.talk import here
from handlers.tell import ANSWER, OWN_CHAT, reader_of, tell
from handlers.tx import Tx
from store.tables import Account, Notice, Outgoing, Person, Place

CALLED_WITHIN = timedelta(days=7)
"""How long somebody stands on the list: then the matter is over, or they were called."""


@dataclass(frozen=True)
class Unreached:
    """Somebody whom a notice with sound has not reached: the latest of them, and how many there are."""

    person: Person
    row: Outgoing
    count: int


def unreached(tx: Tx, community_id: int) -> list[Unreached]:
    """Whom to call or to visit, what is urgent first: no rung reached them, and they were not heard since."""
    since = tx.now - CALLED_WITHIN
    spoke = (
        select(Place.id)
        .join(Account, OWN_CHAT)
        .where(Account.person_id == Outgoing.person_id, col(Place.heard_at) > col(Outgoing.created_at))
    )
    quiet = select(Notice.id).where(Notice.silent)  # whoever wants to hear of it at once is not called for it
    missing = (
        select(func.max(Outgoing.id), func.count(), func.min(Outgoing.lane))
        .where(
            Outgoing.community_id == community_id, col(Outgoing.state).in_(["held", "unreachable", "failed"])
        )
        .where(
            ~col(Outgoing.silent),
            Outgoing.lane != ANSWER,
            col(Outgoing.person_id).is_not(None),
            Outgoing.created_at > since,
        )
        .where(col(Outgoing.change).in_(["send", "edit"]), ~spoke.exists())
        .where(or_(col(Outgoing.notice_id).is_(None), col(Outgoing.notice_id).not_in(quiet)))
        .group_by(col(Outgoing.person_id))
        .order_by(func.min(Outgoing.lane), func.max(Outgoing.id))
    )
    found = []
    for number, count, _ in tx.session.exec(missing).all():
        row = tx.session.get_one(Outgoing, number)
        found.append(Unreached(tx.session.get_one(Person, row.person_id), row, count))
    return found


@action("canvass", button=True, stays=True)
def canvass(tx: Tx, person: Person) -> None:
    """The canvass list: whom nothing reached, with the home and what they should know."""
    reader = reader_of(tx, here(tx, person))
    lines = [
        reader.say(
            "canvass.line",
            who=each.person.name,
            home=home_of(tx, each.person),
            phone=_to_dial(tx, each.person),
            what=begun(each.row.text),
            more=Say("canvass.more", count=each.count - 1) if each.count > 1 else "",
        )
        for each in unreached(tx, person.community_id)
    ]
    tell(tx, here(tx, person), "canvass.list" if lines else "canvass.none", list="\n".join(lines))


def _to_dial(tx: Tx, person: Person) -> Say | str:
    """The whole number, since it is to be called; it is opened on its way out, and not kept in the message."""
    phone = phone_of(tx, person)
    return tx.house.vault.hide(phone) if phone else Say("talk.none")


def home_of(tx: Tx, person: Person) -> Say | str:
    """Where to find somebody: their first home."""
    homes = homes_of(tx, person)
    return address(homes[0]) if homes else "—"
