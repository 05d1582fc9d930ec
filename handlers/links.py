"""Personal links: whoever holds one speaks, on one page and for a short time, for the holder of a private chat."""

import hashlib
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from handlers.tx import Tx
from store.tables import Link, Place

LENGTH = 40
"""Characters of a token, 160 bits."""


def new_link(tx: Tx, place: Place, *, outgoing_id: int | None = None, hours: float) -> str:
    """The token of a link to the page of a message, or without one to the page on which its holder consents.

    While one stands that was not used, it is the same again: a reply that is repeated must read the same.
    """
    links = select(Link).where(Link.place_id == place.id, Link.outgoing_id == outgoing_id)
    standing = links.where(Link.expires_at > tx.now, col(Link.used_at).is_(None))
    link = tx.session.exec(standing.order_by(col(Link.id).desc()).limit(1)).first()
    if link is not None:
        return _token(tx, link.place_id, link.outgoing_id, link.expires_at)
    ends = tx.now + timedelta(hours=hours)
    while find(tx.session, token := _token(tx, place.id, outgoing_id, ends), tx.now) is not None:
        ends += timedelta(seconds=1)  # one of this very instant was used
    tx.session.add(
        Link(
            community_id=place.community_id,
            place_id=place.id,
            outgoing_id=outgoing_id,
            hash=_hash(token),
            expires_at=ends,
        )
    )
    tx.session.flush()
    return token


def find(session: Session, token: str, now: datetime) -> Link | None:
    """The link of a token, used or not; None if there is none, or if its time is over."""
    link = session.exec(select(Link).where(Link.hash == _hash(token))).first()
    return link if link is not None and link.expires_at > now else None


def use(tx: Tx, link: Link) -> bool:
    """Let something be done by a link, once; False if that has happened."""
    locked = tx.session.exec(select(Link).where(Link.id == link.id).with_for_update()).first()
    if locked is None or locked.used_at is not None:
        return False
    locked.used_at = tx.now
    tx.session.add(locked)
    return True


def _token(tx: Tx, place_id: int, outgoing_id: int | None, ends: datetime) -> str:
    """Made from the installation's key, so that it can be told again and is nowhere written down."""
    return tx.house.vault.hash(f"link {place_id} {outgoing_id or 0} {ends.timestamp()}")[:LENGTH]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
