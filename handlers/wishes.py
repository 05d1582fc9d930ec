"""How people want to hear of what is published: at once, without a sound, in a digest, or on the board only."""

from collections.abc import Collection

from sqlmodel import col, or_, select

from handlers.tx import Tx
from store.tables import Notice, Outgoing, Preference

KINDS = ("repair", "listing", "complaint", "announcement", "purchase", "report")
"""What one may choose to hear of otherwise; all else always comes."""
HOWS = ("now", "silent", "day", "week", "board")
USUAL = {"announcement": "now"}
"""How it comes to whoever has chosen nothing: without a sound, but for these."""
DIGESTS = ("day", "week")
ALL = "all"
"""The kind of a mute, which goes before whatever was chosen for one kind."""


def chosen(tx: Tx, kind: str, people: Collection[int]) -> dict[int, str]:
    """What each of these people chose for one kind; who has chosen nothing is not named."""
    theirs = select(Preference).where(
        col(Preference.person_id).in_(people),
        col(Preference.kind).in_((kind, ALL)),
        or_(col(Preference.until).is_(None), col(Preference.until) > tx.now),
    )
    found = sorted(tx.session.exec(theirs), key=lambda each: each.kind == ALL)
    return {each.person_id: each.how for each in found}


def preference_of(tx: Tx, person_id: int, kind: str) -> Preference | None:
    """What somebody chose for a kind, if it holds still."""
    theirs = select(Preference).where(Preference.person_id == person_id, Preference.kind == kind)
    found = tx.session.exec(theirs).first()
    return None if found is not None and found.until is not None and found.until <= tx.now else found


def muted(tx: Tx, people: Collection[int]) -> set[int]:
    """Who of these people wants to hear of nothing ordinary now."""
    return {person_id for person_id, how in chosen(tx, ALL, people).items() if how == "board"}


def is_ordinary(tx: Tx, row: Outgoing) -> bool:
    """Whether a message is of a kind of which its reader may choose to hear otherwise; a change is what it changes."""
    number = row.notice_id
    if number is None and row.card is not None and row.card.startswith("board:") and row.place_id is not None:
        of_card = select(Outgoing.notice_id).where(
            Outgoing.card == row.card, Outgoing.place_id == row.place_id, Outgoing.change == "send"
        )
        number = tx.session.exec(of_card.order_by(col(Outgoing.id).desc()).limit(1)).first()
    return number is not None and tx.once("wish", number, lambda: _wish(tx, number)) != ""


def _wish(tx: Tx, notice_id: int) -> str:
    notice = tx.session.get(Notice, notice_id)
    return notice.wish if notice is not None else ""
