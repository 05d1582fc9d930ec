"""Reach: where a messenger lets us write only for a while, and what waits there for its reader or for a digest."""

from datetime import time, timedelta
from typing import Any

from sqlalchemy import func, insert, update
from sqlmodel import Session, col, select

from conversations.said import Change
from conversations.words import texts
from handlers.actions import action
from handlers.links import new_link
from handlers.tell import BROADCAST, FRESH, fitting, reader_of, shown_buttons, tell
from handlers.timers import next_at, set_timer
from handlers.tx import Tx
from store.tables import Attempt, Community, Outgoing, Person, Place

AT_ONCE = 200
"""Chats whose digests are written in one transaction."""
SOON = timedelta(seconds=1)
MOST_PHOTOS = 9
LONGEST_BEGINNING = 40
CARD = "digest:"


# --- what a messenger lets us write -----------------------------------------------------------------


def heard(tx: Tx, place: Place, opens: tuple[int, float]) -> None:
    """The holder of a chat was heard: so much may be written there freely, and what waited for them goes out."""
    messages, seconds = opens
    until = tx.now + timedelta(seconds=seconds)
    if not place.free_left or place.free_until is None or until >= place.free_until:
        place.free_until, place.free_left = until, messages
        tx.session.add(place)
        tx.session.flush()  # the row is locked: what delivery holds after this it need not hold
    gather(tx, place)


def undelivered(tx: Tx, place: Place, change: Change) -> None:
    """What the messenger took, but did not bring, waits for its reader."""
    brought = select(Outgoing).where(Outgoing.place_id == place.id, Outgoing.state == "sent")
    for row in tx.session.exec(brought.order_by(col(Outgoing.id).desc()).limit(AT_ONCE)):
        if change.message in row.parts:
            row.state, row.error = "held", change.reason
            tx.session.add(row)
            tx.session.add(
                Attempt(
                    community_id=row.community_id,
                    outgoing_id=row.id,
                    place_id=place.id,
                    at=tx.now,
                    rung="template",
                    error=change.reason,
                )
            )


def consented(tx: Tx, place: Place, change: Change) -> None:
    """The holder of a chat agreed to so many more notifications, or to none any more."""
    consents = dict(place.consents)
    for template, more in change.consents.items():
        consents[template] = 0 if more is None else consents.get(template, 0) + more
    place.consents = consents
    tx.session.add(place)


def ask_for_consent(tx: Tx) -> None:
    """At the end of a talk: where notifications need consent, and none is left, offer the page to give it."""
    place = tx.place
    if place is None or place.kind != "private" or tx.house.page is None:
        return
    template = tx.house.notifications.get(place.messenger)
    if template and place.consents.get(template, 0) < 1:
        token = new_link(tx, place, hours=tx.house.link_hours)
        tell(tx, tx.person or place, "reach.consent", link=tx.house.page(token))


# --- digests ----------------------------------------------------------------------------------------


def begin_digests(tx: Tx) -> None:
    """Let each community have its digests, if there is a messenger that needs them."""
    if not (tx.house.digest_at and tx.house.scarce):
        return
    for community_id in tx.session.exec(select(Community.id)).all():
        at = next_at(tx, community_id, time.fromisoformat(tx.house.digest_at))
        set_timer(tx, community_id, f"digest.send:{community_id}", at, move=False)


@action("digest.send", Community)
def send_digests(tx: Tx, person: None, community: Community) -> None:
    """Write the digest of each chat for which something soundless is held; some now, the others soon."""
    chats = (
        select(Outgoing.place_id)
        .where(Outgoing.state == "held", Outgoing.silent, Outgoing.community_id == community.id)
        .where(
            ~func.coalesce(Outgoing.card, "").startswith(CARD)
        )  # one that reached nobody waits for what is new
        .distinct()
        .order_by(col(Outgoing.place_id))
        .limit(AT_ONCE)
    )
    places = tx.session.exec(chats).all()
    for place_id in places:
        _digest(tx, tx.session.get_one(Place, place_id))
    if len(places) == AT_ONCE:
        set_timer(tx, community.id, f"digest.send:{community.id}", tx.now + SOON)
    elif tx.house.digest_at:
        at = next_at(tx, community.id, time.fromisoformat(tx.house.digest_at))
        set_timer(tx, community.id, f"digest.send:{community.id}", at)


def gather(tx: Tx, place: Place) -> None:
    """Let everything that is held for a chat go out, what is soundless as one digest."""
    aloud = update(Outgoing).where(
        col(Outgoing.place_id) == place.id, col(Outgoing.state) == "held", ~col(Outgoing.silent)
    )
    tx.session.connection().execute(aloud.values(state="waiting", retry_at=None))
    _digest(tx, place)


def _digest(tx: Tx, place: Place) -> None:
    """Everything soundless that is held for a chat, as one message; what stands alone goes as it is.

    Who is at home in two communities gets one for each: a row is erased with the person to whom it was sent.

    The clock may be at it in another process: the second of them waits here, and finds nothing left.
    """
    tx.session.exec(select(Place.id).where(Place.id == place.id).with_for_update(key_share=True)).first()
    held = _held(tx, place)
    for whose in dict.fromkeys((row.community_id, row.person_id) for row in held):
        rows = [row for row in held if (row.community_id, row.person_id) == whose]
        if len(rows) == 1:
            rows[0].state = "waiting"
            tx.session.add(rows[0])
        else:
            _write_digest(tx, place, rows)


def _held(tx: Tx, place: Place) -> list[Outgoing]:
    """What is soundless and held, and what was in a digest that reached nobody; but nothing that was taken back."""
    held = select(Outgoing).where(Outgoing.place_id == place.id, Outgoing.state == "held", Outgoing.silent)
    found = tx.session.exec(held.order_by(col(Outgoing.id))).all()
    stale = [row for row in found if (row.card or "").startswith(CARD)]
    rows = [row for row in found if row not in stale]
    if not rows:
        return list(found)
    numbers = [row.id for row in stale]
    within = tx.session.exec(select(Outgoing).where(col(Outgoing.digest_id).in_(numbers))).all()
    rows = sorted([*within, *rows], key=lambda row: row.id)
    unread = {row.card for row in rows if row.change != "delete"}
    gone = unread & {row.card for row in rows if row.change == "delete"}
    for row in (*stale, *(row for row in rows if row.card in gone)):
        row.state = "dropped"
        tx.session.add(row)
    return [row for row in rows if row.card not in gone]


def _write_digest(tx: Tx, place: Place, rows: list[Outgoing]) -> None:
    person = tx.session.get(Person, rows[0].person_id) if rows[0].person_id else None
    reader = reader_of(tx, person or place)
    words = reader.say(
        "digest.all",
        count=len(rows),
        notices="\n\n".join(words_of(tx.session, row, reader.language) for row in rows),
    )
    whose = {"person_id": person.id} if person else {"place_id": place.id}
    text, rest = fitting(tx, words, rows[0].community_id, **whose)
    digest = {
        "community_id": rows[0].community_id,
        "person_id": rows[0].person_id,
        "place_id": place.id,
        "lane": BROADCAST,
        "card": f"{CARD}{rows[-1].id}",
        "change": "send",
        "text": text,
        "buttons": shown_buttons(reader, rest),
        "photos": [photo for row in rows for photo in row.photos][:MOST_PHOTOS],
        "silent": True,
        **FRESH,
        "created_at": tx.now,
    }
    table: Any = Outgoing.__table__  # type: ignore[attr-defined]
    number = tx.session.connection().execute(insert(table).returning(table.c.id), digest).scalar_one()
    for row in rows:
        row.state, row.digest_id, row.message_id = "digested", number, str(row.id)
        tx.session.add(row)
    tx.session.flush()


def words_of(session: Session, row: Outgoing, language: str) -> str:
    """What a row says where nothing that was sent can be changed: also what became of which message."""
    if row.change == "edit":
        return f"{texts(language)['reach.changed']}\n{row.text}"
    if row.change != "delete":
        return row.text
    made = select(Outgoing.text).where(
        Outgoing.card == row.card, Outgoing.place_id == row.place_id, Outgoing.change == "send"
    )
    before = session.exec(made.order_by(col(Outgoing.id).desc()).limit(1)).first() or ""
    return texts(language)["reach.taken_back"].format(begun=begun(before), words=row.text)


def begun(text: str) -> str:
    """The first line of a message, for naming it."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= LONGEST_BEGINNING else f"{first[: LONGEST_BEGINNING - 1]}…"
