"""The numbers by which people call a matter: 1, 2, 3 … in each community."""

from sqlmodel import select

from handlers.tx import Tx
from store.tables import Counter


def next_number(tx: Tx, community_id: int, name: str) -> int:
    """The next number of a kind of matter; whoever asks at the same moment waits."""
    counter = tx.session.exec(
        select(Counter).where(Counter.community_id == community_id, Counter.name == name).with_for_update()
    ).first() or Counter(community_id=community_id, name=name, value=0)
    counter.value += 1
    tx.session.add(counter)
    tx.session.flush()
    return counter.value
