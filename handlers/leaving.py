"""Leaving: whoever loses the last tie to a community is a guest again, and nothing that was theirs goes on."""

from handlers import listings
from handlers.agents import revoke_all
from handlers.codes import end_codes
from handlers.people import is_guest
from handlers.talk import end_about, end_all
from handlers.tx import Tx
from store.tables import Agent, Person


def lost_a_tie(tx: Tx, who: Person) -> list[Agent]:
    """Somebody has just lost a tie. If it was the last, their talks, codes and powers end; the powers that did."""
    tx.known.clear()
    if not is_guest(tx, who):
        return []
    end_all(tx, who)
    end_about(tx, f"person:{who.id}")
    listings.leave(tx, who)
    end_codes(tx, who.community_id, [who.id])
    who.left_at = tx.now
    tx.session.add(who)
    return revoke_all(tx, who)
