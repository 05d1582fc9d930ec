"""Pages: what the page of a personal link shows to the holder of its chat, and what can be pressed there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from conversations.words import Reader
from handlers.actions import ACTIONS, stays
from handlers.matters import timeline
from handlers.people import works
from handlers.repair_cards import public_timeline
from handlers.rights import may
from handlers.talk import VALUE
from handlers.tell import latest
from handlers.tx import Tx
from store.tables import Account, Inbox, Link, Media, Outgoing, Person, Place, Repair

REPAIR_CARD = re.compile(r"(?:mine|look|repair|board:repair):(\d{1,17})", re.ASCII)


@dataclass(frozen=True)
class Message:
    """What a message shows now; its buttons as the row keeps them, its photos by their ids.

    `on` is the messenger's own name of the message, empty if it gave none.
    """

    words: str
    photos: tuple[int, ...]
    buttons: tuple[dict[str, str], ...]
    on: str

    def button(self, value: str) -> dict[str, str] | None:
        """The button of this value, if it stands there."""
        return next((button for button in self.buttons if button["value"] == value), None)


@dataclass(frozen=True)
class View:
    """All that the page of a link shows; without a message it is the page on which one agrees to notifications.

    `state` and `timeline` are those of a repair, as far as the reader may see them; else they are empty.
    """

    place: Place
    reader: Reader
    community: str
    message: Message | None = None
    state: str = ""
    timeline: tuple[str, ...] = ()


def view(tx: Tx, link: Link) -> View | None:
    """What a link's page shows now; None if it is nobody's any more, such as that of somebody who was forgotten.

    A message is shown to the person to whom it was sent as long as the chat is theirs.
    """
    place = tx.session.get(Place, link.place_id)
    row = tx.session.get(Outgoing, link.outgoing_id) if link.outgoing_id is not None else None
    if place is None or place.kind != "private":
        return None
    if link.outgoing_id is not None and (row is None or row.place_id != place.id):
        return None
    person = _holder(tx, place, row)
    if person is None and (row is None or row.person_id is not None):
        return None
    reader, community = _reader(tx, person, row)
    if row is None:
        return View(place, reader, community)
    message = shown(tx, row)
    state, timeline = _about_repair(tx, row, person, reader)
    if all(line in message.words for line in timeline):
        timeline = ()  # its words tell it already
    return View(place, reader, community, message, state, timeline)


def _reader(tx: Tx, person: Person | None, row: Outgoing | None) -> tuple[Reader, str]:
    """How whoever holds the chat reads, and the name of their community."""
    if person is not None:
        community = tx.community(person.community_id)
        return tx.reader(community.id, person.language), community.name
    if row is not None and row.community_id is not None:
        return tx.reader(row.community_id), tx.community(row.community_id).name
    reader = Reader("zh", "Asia/Shanghai", tx.now)
    return reader, reader.say("page.name")


def _holder(tx: Tx, place: Place, row: Outgoing | None) -> Person | None:
    """Whom the chat belongs to, in the community of the message; None if that is nobody, or not who it was sent to."""
    whose = place.person_id if row is None or row.person_id is None else row.person_id
    return tx.session.exec(
        select(Person)
        .join(Account, col(Account.person_id) == col(Person.id))
        .where(
            Person.id == whose,
            Account.messenger == place.messenger,
            Account.external_id == place.external_id,
        )
    ).first()


def shown(tx: Tx, row: Outgoing) -> Message:
    """What a message shows now: the newest state of its card in that chat, with what can be pressed there.

    Its photos are those that it came with, and those of the message that has taken its place.
    """
    newest, made = row, row
    if row.card is not None and row.place_id is not None:
        newest = latest(tx, row.card, row.place_id) or row
        sent = select(Outgoing).where(
            Outgoing.card == row.card, Outgoing.place_id == row.place_id, Outgoing.change == "send"
        )
        made = tx.session.exec(sent.order_by(col(Outgoing.id).desc()).limit(1)).first() or row
    photos = () if newest.change == "delete" else dict.fromkeys((*row.photos, *made.photos))
    return Message(
        tx.house.vault.reveal(newest.text),
        tuple(photos),
        tuple(button for button in newest.buttons if _can_be_pressed(button["value"])),
        newest.message_id or made.message_id or row.message_id,
    )


def _can_be_pressed(value: str) -> bool:
    act = ACTIONS.get(value.partition(":")[0])
    return VALUE.fullmatch(value) is not None or (act is not None and act.button)


def _about_repair(
    tx: Tx, row: Outgoing, person: Person | None, reader: Reader
) -> tuple[str, tuple[str, ...]]:
    """The present state of the repair that a message is about, and its timeline for who may look at it."""
    about = REPAIR_CARD.fullmatch(row.card or "")
    repair = tx.session.get(Repair, int(about[1])) if about is not None else None
    if repair is None or repair.community_id != row.community_id:
        return "", ()
    lines: Sequence[str] = ()
    if person is not None and may(tx, person, "repair.show", repair) is not None:
        private = repair.person_id == person.id or works(tx, person)
        lines = (
            timeline(tx, f"repair:{repair.id}", reader) if private else public_timeline(tx, repair, reader)
        )
    return reader.say(f"state.{repair.state}"), tuple(lines)


def files(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """The types and the names of these photos and other files, as far as they are still kept."""
    rows = session.exec(select(Media.id, Media.mime, Media.name).where(col(Media.id).in_(ids)))
    return {number: (mime, name) for number, mime, name in rows}


def file(session: Session, media_id: int) -> tuple[str, str, str] | None:
    """Where a photo or another file is stored, its type and its name; None if it was deleted."""
    found = select(Media.storage, Media.mime, Media.name).where(Media.id == media_id)
    return session.exec(found).first()


# --- what is pressed there --------------------------------------------------------------------------


def uses_up(value: str) -> bool:
    """Whether pressing this button uses the link up: it does something, and does not only show or ask something."""
    return not stays(value)


def key_of(link: Link, value: str, press: str) -> str:
    """The key of a press, so that a second one is harmless: one a link, or of what only shows something one a `press`.

    Not by the link's number, which a database may give again after the row is gone.
    """
    once = f"page:{link.hash[:32]}"
    return once if uses_up(value) else f"{once}:{press}"


def pressed(session: Session, place: Place, key: str) -> str | None:
    """The value of the button that was pressed by this key; None if none was."""
    found = select(Inbox.payload).where(Inbox.messenger == place.messenger, Inbox.key == key)
    payload = session.exec(found).first()
    return None if payload is None else str(payload.get("tap", ""))
