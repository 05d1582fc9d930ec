"""Personal links: the page of one message, for the holder of the private chat to which it was sent."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from handlers.tx import Tx
from store.tables import Link, Outgoing, Place

LENGTH = 40
"""Characters of a token, 160 bits."""


BOARD = "board"
"""What a link leads to that opens the public page to a member."""


def new_link(
    tx: Tx,
    place: Place,
    *,
    outgoing_id: int | None = None,
    hours: float,
    leads: str = "",
    community_id: int | None = None,
) -> str:
    """The token of a link that speaks for the holder of a private chat; only its hash is kept.

    It leads to the page of one message of that chat; without one to what `leads` says, of this community, or else to
    the page on which its holder agrees to notifications. While one stands that was not used and has half of its time
    before it, it is the same again: a reply that is repeated must read the same.
    """
    assert place.kind == "private", place.kind
    links = select(Link).where(
        Link.place_id == place.id, Link.outgoing_id == outgoing_id, Link.leads == leads
    )
    if community_id is not None:
        links = links.where(Link.community_id == community_id)
    what = f"{leads}{community_id}" if leads else f"{outgoing_id or 0}"
    fresh = links.where(Link.expires_at > tx.now + timedelta(hours=hours / 2), col(Link.used_at).is_(None))
    link = tx.session.exec(fresh.order_by(col(Link.id).desc()).limit(1)).first()
    if link is not None:
        return _token(tx, link.place_id, what, link.expires_at)
    row = tx.session.get_one(Outgoing, outgoing_id) if outgoing_id is not None else None
    ends = tx.now + timedelta(hours=hours)
    while _exists(tx.session, token := _token(tx, place.id, what, ends)):
        ends += timedelta(seconds=1)  # one of this very instant was used
    tx.session.add(
        Link(
            community_id=community_id or (place.community_id if row is None else row.community_id),
            place_id=place.id,
            outgoing_id=outgoing_id,
            leads=leads,
            hash=_hash(token),
            expires_at=ends,
        )
    )
    tx.session.flush()
    return token


def find(session: Session, token: str, now: datetime, leads: str = "") -> Link | None:
    """The link of a token, used or not; None for one that is unknown, has expired or leads elsewhere.

    The work is the same for all.
    """
    link = session.exec(select(Link).where(Link.hash == _hash(token))).first()
    return link if link is not None and link.expires_at > now and link.leads == leads else None


def use(tx: Tx, link: Link) -> bool:
    """Use a link up; False if it was used before, or is gone with what it led to. Its row is locked until the end."""
    unused = update(Link).where(col(Link.id) == link.id, col(Link.used_at).is_(None))
    return bool(tx.session.connection().execute(unused.values(used_at=tx.now)).rowcount)


def _token(tx: Tx, place_id: int, what: str, ends: datetime) -> str:
    """Made from the installation's key, so that it can be told again and is nowhere written down."""
    return tx.house.vault.hash(f"link {place_id} {what} {ends.timestamp()}")[:LENGTH]


def _exists(session: Session, token: str) -> bool:
    return session.exec(select(Link.id).where(Link.hash == _hash(token))).first() is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
