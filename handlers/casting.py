"""Casting a ballot: what the tally would reject with certainty is refused in words, all else goes into the log."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from handlers.ballot_log import Receipt, receipt, sealed, written
from handlers.ballot_sheet import is_sealed
from handlers.proxies import papers
from handlers.tally import Admission, Rejected, electorate_of, owners_of
from handlers.tx import Tx
from handlers.vote_log import append, entry_in, locked, voter_of
from handlers.vote_shapes import CHOICE, misfit
from store.tables import Ballot, Home, Person, RosterEntry, Vote, Voter


@dataclass(frozen=True)
class Cast:
    """What was written for a ballot, and whom its receipt concerns besides who cast it."""

    entry: Mapping[str, Any]
    receipt: Receipt
    owners: list[Person]
    """All other owners of the homes for which it speaks."""
    choice: Any
    """What was chosen, as the log has it."""


def cast(
    tx: Tx,
    vote: Vote,
    voter: Person,
    *,
    on_behalf_of: Person | None = None,
    capacity: str = "self",
    homes: Sequence[Home] | None = None,
    choice: Any,
    channel: str = "bot",
    at: datetime | None = None,
    evidence: str | None = None,
) -> Cast:
    """Write a ballot into the log; Refused is said in words where the tally would reject it with certainty.

    `at` is when it came in, now unless it is given. Without `homes` it is for all that the principal owns.
    """
    if (capacity == "self") != (on_behalf_of is None) or channel not in ("bot", "paper"):
        raise ValueError(f"no such ballot: {capacity}, {on_behalf_of is not None}, {channel}")
    vote, at = locked(tx, vote), at or tx.now
    if at > tx.now:
        raise ValueError(f"no ballot has come in yet: {at}")
    if vote.state != "open":
        raise Refused("vote.closed")
    choice = list(choice) if isinstance(choice, tuple) else choice
    if misfit(choice, CHOICE) is not None:
        raise Refused("vote.unknown_choice")
    mine, principal = voter_of(tx, vote, voter), voter_of(tx, vote, on_behalf_of or voter)
    owned = _units(tx, vote, principal.homes) if principal is not None else {}
    body = {
        "voter": _number(mine),
        "on_behalf_of": _number(principal) if on_behalf_of is not None else None,
        "capacity": capacity,
        "units": "all" if homes is None else [owned[place]["id"] for place in _named(tx, vote, owned, homes)],
        "choice": choice,
        "channel": channel,
        "at": written(at),
        "evidence": evidence,
    }
    owners = _admitted(tx, vote, mine, principal, owned=owned, body=body)
    if isinstance(choice, list):  # as the question names them
        body["choice"] = [name for name in vote.policy["poll"]["choices"] if name in choice]
    nonce = secrets.token_hex(16) if is_sealed(vote.policy) else ""
    entry = append(
        tx,
        vote,
        "ballot",
        sealed(body, nonce) if nonce else body,
        voter=mine,
        principal=principal,
        opened={"body": body, "nonce": nonce} if nonce else None,
    )
    return Cast(
        entry, receipt(entry["n"], entry["hash"]), _people(tx, vote, owners, but=voter), body["choice"]
    )


def _number(voter: Voter | None) -> str:
    """Somebody's number; who has none gets one that owns nothing and holds no paper."""
    return voter.number if voter is not None else ""


def _admitted(
    tx: Tx,
    vote: Vote,
    voter: Voter | None,
    principal: Voter | None,
    *,
    owned: Mapping[int, Mapping[str, Any]],
    body: Mapping[str, Any],
) -> set[str]:
    """The owners of all that the ballot speaks for, by the tally's own admission; else Refused.

    The roster is never read as a whole: what a ballot touches hangs on the principal's units, and on those that are one
    person with them.
    """
    options = vote.policy["options"]
    units = _connected(tx, vote, owned) if options["person_merge"] == "any_common_owner" else owned
    known = papers(tx, vote, voter, principal) if voter is not None and principal is not None else []
    case = {
        **vote.policy,
        "deadline": written(vote.deadline),  # which may have been extended
        "roster": {
            "units": [units[place] for place in sorted(units)],
            "proxies": [{**paper.body, "revoked_at": paper.revoked_at} for paper in known],
            "legal_agents": vote.roster["legal_agents"],
        },
    }
    electorate = electorate_of(case)
    admission = Admission(case, electorate)
    if voter is not None and options["proxy_max_principals"] is not None:
        admission.principals_of[voter.number] = _principals(tx, voter)
    try:
        admission.admit(0, body)
    except Rejected as rejected:
        raise _refusal(vote, str(rejected), body["choice"]) from None
    return {
        owner for slot in electorate.slots if slot.ballots for unit in slot.units for owner in unit.owners
    }


def _refusal(vote: Vote, code: str, choice: Any) -> Refused:
    """Why the tally would not admit a ballot, in words."""
    poll, most = vote.policy["poll"], vote.policy["options"]["proxy_max_principals"]
    named = {*choice} if isinstance(choice, list) else set()
    if code == "INVALID_CHOICE" and poll and named and named <= {*poll["choices"]}:
        return Refused("vote.too_many", most=poll["most"])
    return {
        "EARLY": Refused("vote.early", at=vote.opens_at),
        "LATE": Refused("vote.late", at=vote.deadline),
        "INVALID_CHOICE": Refused("vote.unknown_choice"),
        "NOT_ENTITLED": Refused("vote.not_entitled", date=vote.record_date.isoformat()),
        "WARD_CANNOT_VOTE": Refused("vote.ward"),
        "AGENT_INVALID": Refused("vote.no_guardian"),
        "PROXY_BARRED": Refused("vote.barred"),
        "PROXY_INVALID": Refused("vote.no_proxy"),
        "NOT_REPRESENTATIVE": Refused("vote.represented"),
        "PROXY_LIMIT": Refused("vote.proxy_limit", most=most),
    }[code]


def _units(tx: Tx, vote: Vote, positions: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    """The units that stand at these positions of the frozen roster."""
    rows = select(RosterEntry.position, RosterEntry.unit).where(
        RosterEntry.vote_id == vote.id, col(RosterEntry.position).in_(list(positions))
    )
    return dict(tx.session.exec(rows.order_by(col(RosterEntry.position))).all())


def _named(tx: Tx, vote: Vote, owned: Iterable[int], homes: Sequence[Home]) -> list[int]:
    """The positions, among those owned, of the homes that a ballot names."""
    rows = select(RosterEntry.position).where(
        RosterEntry.vote_id == vote.id,
        col(RosterEntry.position).in_(list(owned)),
        col(RosterEntry.home_id).in_([home.id for home in homes]),
    )
    return list(tx.session.exec(rows.order_by(col(RosterEntry.position))))


def _connected(tx: Tx, vote: Vote, owned: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """All units that shared owners connect to these."""
    found, asked = dict(owned), set[str]()
    while new := {owner for unit in found.values() for owner in owners_of(unit)} - asked:
        asked |= new
        rows = select(Voter.homes).where(Voter.vote_id == vote.id, col(Voter.number).in_(new))
        positions = {at for homes in tx.session.exec(rows) for at in homes} - set(found)
        found |= _units(tx, vote, positions)
    return found


def _principals(tx: Tx, agent: Voter) -> set[str]:
    """The numbers of all for whom somebody has voted by proxy."""
    rows = select(Ballot).where(Ballot.voter_id == agent.id, Ballot.kind == "ballot")
    bodies = [entry_in(row, opened=True)["body"] for row in tx.session.exec(rows)]
    return {body["on_behalf_of"] for body in bodies if body["capacity"] == "proxy"}


def _people(tx: Tx, vote: Vote, numbers: Iterable[str], *, but: Person) -> list[Person]:
    """Who has these numbers, without one, and without those who were forgotten."""
    rows = (
        select(Person)
        .join(Voter, col(Voter.person_id) == col(Person.id))
        .where(Voter.vote_id == vote.id, col(Voter.number).in_(list(numbers)))
        .where(Person.id != but.id, Person.name != "")
        .order_by(col(Person.id))
    )
    return list(tx.session.exec(rows))
