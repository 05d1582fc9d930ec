"""The log of a vote as the database keeps it: entries that are only ever added, and who has which number in them."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import col, or_, select

from handlers.ballot_log import START, Receipt, canonical, entry_after, line, receipt, sha256
from handlers.tx import Tx
from handlers.vote_shapes import BODIES, misfit
from store.tables import Ballot, Person, Vote, Voter

# --- entries ----------------------------------------------------------------------------------------


def append(
    tx: Tx,
    vote: Vote,
    kind: str,
    body: Mapping[str, Any],
    *,
    voter: Voter | None = None,
    principal: Voter | None = None,
    opened: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write one more entry; the vote's row is locked by whoever asks for it.

    Raises ValueError for what no published log may hold: nobody could take it out again.
    """
    wrong = misfit(opened["body"] if opened is not None else body, BODIES[kind])
    if wrong is not None:
        raise ValueError(f"no such {kind}: {wrong}")
    entry = entry_after(vote.entries + 1, vote.head or START, kind, body, tx.now)
    tx.session.add(
        Ballot(
            community_id=vote.community_id,
            vote_id=vote.id,
            n=entry["n"],
            kind=kind,
            voter_id=voter.id if voter is not None else None,
            principal_id=principal.id if principal is not None else None,
            entry=canonical(entry).decode(),
            opened=canonical(opened).decode() if opened is not None else "",
        )
    )
    vote.entries, vote.head = entry["n"], entry["hash"]
    tx.session.add(vote)
    tx.session.flush()
    return entry


def locked(tx: Tx, vote: Vote) -> Vote:
    """The vote as it stands when nobody else can write its log any more: of two at once one waits here."""
    row = select(Vote).where(Vote.id == vote.id).with_for_update(key_share=True)
    return tx.session.exec(row.execution_options(populate_existing=True)).one()


def log_of(tx: Tx, vote: Vote, *, opened: bool = False) -> list[dict[str, Any]]:
    """The entries of a vote's log; `opened`: sealed ballots as they were cast, which only the keeper may see."""
    rows = select(Ballot).where(Ballot.vote_id == vote.id).order_by(col(Ballot.n))
    return [entry_in(row, opened=opened) for row in tx.session.exec(rows)]


def entry_in(row: Ballot, *, opened: bool) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(row.entry)
    return {**entry, "body": json.loads(row.opened)["body"]} if opened and row.opened else entry


def ballots_of(tx: Tx, voter: Voter) -> list[Ballot]:
    """The entries that somebody made, or that were made for them."""
    theirs = or_(col(Ballot.voter_id) == voter.id, col(Ballot.principal_id) == voter.id)
    return list(tx.session.exec(select(Ballot).where(theirs).order_by(col(Ballot.n))))


def head_of(vote: Vote) -> Receipt:
    """The receipt of the last entry, which holds everything before it."""
    return receipt(vote.entries, vote.head)


def open_votes(tx: Tx, community_id: int) -> list[Vote]:
    """The open votes, locked, always in the same order."""
    rows = select(Vote).where(Vote.community_id == community_id, Vote.state == "open").order_by(col(Vote.id))
    locked = rows.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(tx.session.exec(locked))


def file_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a file of the bundle: canonical JSON, and a newline."""
    return sha256(line(content))


# --- who is who -------------------------------------------------------------------------------------


def voter_of(tx: Tx, vote: Vote, person: Person) -> Voter | None:
    """The number that somebody has in a vote; None: none."""
    row = select(Voter).where(Voter.vote_id == vote.id, Voter.person_id == person.id)
    return tx.session.exec(row).first()


def numbered(tx: Tx, vote: Vote, person: Person) -> Voter:
    """Somebody's number; who has none gets the next one. The vote's row is locked."""
    known = voter_of(tx, vote, person)
    if known is not None:
        return known
    many = tx.session.exec(select(func.count()).select_from(Voter).where(Voter.vote_id == vote.id)).one()
    made = Voter(community_id=vote.community_id, vote_id=vote.id, person_id=person.id, number=f"P{many + 1}")
    tx.session.add(made)
    tx.session.flush()
    return made
