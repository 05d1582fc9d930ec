"""Holding a vote: it is made, announced, and its ballots go out."""

from typing import Any

from handlers.tx import Tx
from handlers.votes import open_vote
from store.tables import Person, Purchase, Vote


def hold(
    tx: Tx, community_id: int, by: Person | None, *, purchase: Purchase | None = None, **what: Any
) -> Vote:
    """Make a vote of `what` open_vote takes, and let everybody know of it; Refused as open_vote says."""
    vote = open_vote(tx, community_id, **what)
    if purchase is not None:
        purchase.vote_id = vote.id
        tx.session.add(purchase)
        tx.session.flush()
    return vote
