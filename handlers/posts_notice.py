"""What is said of a message that was taken out of the group to whoever has no chat with us as one of the community."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.words import Say
from handlers.actions import action
from handlers.conduct import weigh
from handlers.repair_cards import office
from handlers.tell import NEWS, latest, take_away, tell
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Place, Post, Ruling

STANDS = timedelta(seconds=60)
MOST_NAMES = 5
LONGEST_NAME = 40


def tell_stranger(tx: Tx, place: Place, post: Post, ruling: Ruling, more: Any) -> bool:
    """Tell somebody whom the community does not know in their chat with us; False if they have none."""
    own = select(Place).where(
        Place.messenger == place.messenger, Place.external_id == post.account, Place.kind == "private"
    )
    chat = tx.session.exec(own.where(col(Place.blocked_at).is_(None))).first()
    if chat is None or tx.person is not None:
        return False
    language = tx.community(place.community_id).language if place.community_id is not None else "zh"
    why = [each[language] for each in ruling.why]
    key = "post.deleted_stranger" if post.removed_at is not None else "post.held_stranger"
    tell(
        tx,
        chat,
        key,
        reads=language,
        text=post.text or "—",
        why=why,
        more=more,
        phone=office(tx, post.community_id),
    )
    return True


def tell_in_group(tx: Tx, place: Place, post: Post) -> None:
    """Say in the group whose messages are gone, not what they said; after a minute that goes, too."""
    if post.removed_at is None:
        return
    card = f"notice:{place.id}"
    gone = select(Post.name).where(
        Post.place_id == place.id, col(Post.removed_at) > tx.now - STANDS, col(Post.person_id).is_(None)
    )
    names = dict.fromkeys([*tx.session.exec(gone.order_by(col(Post.id)).limit(100)), post.name])
    if len(names) > MOST_NAMES:  # each more would be one more change in a group that has enough to read
        return
    before = latest(tx, card, place.id)
    tell(
        tx,
        place,
        "post.gone",
        card=card,
        anew=before is not None and before.change == "delete",
        lane=NEWS,
        silent=True,
        who=[_called(tx, post.community_id, each) for each in names],
        phone=office(tx, post.community_id),
    )
    set_timer(tx, post.community_id, f"post.unsay:{place.id}", tx.now + STANDS)


def _called(tx: Tx, community_id: int, name: str) -> str | Say:
    """How somebody calls themselves, unless that is what may not be said there either."""
    if not name or weigh(tx, community_id, name).verdict != "ok":
        return Say("post.somebody")
    return name[:LONGEST_NAME]


@action("post.unsay", Place)
def unsay(tx: Tx, person: None, place: Place) -> None:
    """What was said in the group about messages that are gone is gone, too."""
    take_away(tx, f"notice:{place.id}", place)
