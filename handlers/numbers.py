"""The numbers by which people call a matter: 1, 2, 3 … in each community."""

from sqlmodel import select

from handlers.tx import Tx
from store.tables import Counter


def wait_turn(tx: Tx, community_id: int, name: str) -> Counter | None:
    """Wait until no other transaction is about to make a matter of this kind; until this one ends, others wait.

    None: there has been no such matter yet.
    """
    return tx.session.exec(
        select(Counter)
        .where(Counter.community_id == community_id, Counter.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def begin_turn(tx: Tx, community_id: int, name: str) -> Counter:
    """The same, also for the very first matter of a kind: of two that begin at once one fails, and is tried again."""
    counter = wait_turn(tx, community_id, name)
    if counter is None:
        counter = Counter(community_id=community_id, name=name, value=0)
        tx.session.add(counter)
        tx.session.flush()
    return counter


def next_number(tx: Tx, community_id: int, name: str) -> int:
    """The next number of a kind of matter; whoever asks at the same moment waits."""
    counter = begin_turn(tx, community_id, name)
    counter.value += 1
    tx.session.add(counter)
    tx.session.flush()
    return counter.value
