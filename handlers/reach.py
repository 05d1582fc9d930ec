"""Reach: where a messenger lets us write only for a while, and what waits there for its reader."""

from datetime import timedelta

from sqlmodel import col, select

from conversations.said import Change
from handlers.digests import gather
from handlers.links import new_link
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import Attempt, Outgoing, Place

LOOKED_AT = 200
"""Messages among which one that was not brought is looked for."""


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
    for row in tx.session.exec(brought.order_by(col(Outgoing.id).desc()).limit(LOOKED_AT)):
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
