"""Casting a ballot: what the tally would reject with certainty is refused in words, all else goes into the log."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from handlers.ballot_log import Receipt, receipt, sealed, written
from handlers.proxies import papers
from handlers.tx import Tx
from handlers.vote_log import append, entry_in, locked, numbered, voter_of
from store.tables import Ballot, Home, Person, RosterEntry, Vote, Voter

CHOICES = ("for", "against", "abstain")


@dataclass(frozen=True)
class Cast:
    """What was written for a ballot, and whom its receipt concerns besides who cast it."""

    entry: Mapping[str, Any]
    receipt: Receipt
    owners: list[Person]
    """All other owners of the homes for which it speaks."""


@dataclass(frozen=True)
class _Slot:
    """The units that hold one choice together."""

    units: list[Mapping[str, Any]]

    @property
    def ids(self) -> set[str]:
        return {unit["id"] for unit in self.units}

    @property
    def owners(self) -> set[str]:
        return {owner for unit in self.units for owner in _owners(unit)}

    def reached_by(self, principal: str) -> bool:
        reps = {unit["rep"] for unit in self.units} - {None}
        return not reps or principal in reps


def _owners(unit: Mapping[str, Any]) -> list[str]:
    return list(unit["owners"]) if unit["status"] == "sold_delivered" else [unit["developer"]]


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
    _check_open(vote, at)
    chosen = _choice(vote, choice)
    principal = voter_of(tx, vote, on_behalf_of or voter)
    owned = _units(tx, vote, principal.homes) if principal is not None else {}
    named = list(owned) if homes is None else _named(tx, vote, owned, homes)
    if principal is None or not named:
        raise Refused("vote.not_entitled", date=vote.record_date.isoformat())
    slots = [slot for slot in _slots(tx, vote, owned) if slot.ids & {owned[each]["id"] for each in named}]
    mine = voter_of(tx, vote, voter)
    needed = {unit["id"] for unit in owned.values()} & {name for slot in slots for name in slot.ids}
    _check_agent(tx, vote, mine, principal, capacity=capacity, needed=needed, at=at)
    reached = [slot for slot in slots if slot.reached_by(principal.number)]
    if not reached:
        raise Refused("vote.represented")
    if capacity == "proxy":
        _check_limit(tx, vote, mine, principal)
    mine = mine or numbered(tx, vote, voter)
    body = {
        "voter": mine.number,
        "on_behalf_of": principal.number if on_behalf_of is not None else None,
        "capacity": capacity,
        "units": "all" if homes is None else [owned[each]["id"] for each in named],
        "choice": chosen,
        "channel": channel,
        "at": written(at),
        "evidence": evidence,
    }
    nonce = secrets.token_hex(16) if _is_sealed(vote) else ""
    entry = append(
        tx,
        vote,
        "ballot",
        sealed(body, nonce) if nonce else body,
        voter=mine,
        principal=principal,
        opened={"body": body, "nonce": nonce} if nonce else None,
    )
    numbers = {owner for slot in reached for owner in slot.owners}
    return Cast(entry, receipt(entry["n"], entry["hash"]), _people(tx, vote, numbers, but=voter))


def _is_sealed(vote: Vote) -> bool:
    poll = vote.policy["poll"]
    return poll is not None and poll["visible"] == "totals"


def _check_open(vote: Vote, at: datetime) -> None:
    if vote.state != "open":
        raise Refused("vote.closed")
    if at < vote.opens_at:
        raise Refused("vote.early", at=vote.opens_at)
    if at > vote.deadline:
        raise Refused("vote.late", at=vote.deadline)


def _choice(vote: Vote, choice: Any) -> Any:
    """What was chosen as the log keeps it: names in the order of the question."""
    poll, blank = vote.policy["poll"], vote.policy["options"]["blank_ballot"]
    if choice is None and blank == "abstain":
        return None
    if poll is None or poll["question"] == "yes_no":
        if choice not in CHOICES:
            raise Refused("vote.unknown_choice")
        return choice
    if choice == "abstain":
        return choice
    if not isinstance(choice, list | tuple) or any(name not in poll["choices"] for name in choice):
        raise Refused("vote.unknown_choice")
    if len(choice) > poll["most"] or len(set(choice)) < len(choice):
        raise Refused("vote.too_many", most=poll["most"])
    return [name for name in poll["choices"] if name in choice]


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


def _slots(tx: Tx, vote: Vote, owned: Mapping[int, Mapping[str, Any]]) -> list[_Slot]:
    """The slots of somebody's units, as section 1 of docs/votes.md makes them; the roster is never read as a whole."""
    options = vote.policy["options"]
    if options["multi_unit"] == "per_unit" or options["people_count"] == "per_unit":
        return [_Slot([unit]) for unit in owned.values()]
    if options["person_merge"] == "any_common_owner":
        return [_Slot(list(_connected(tx, vote, owned).values()))]
    groups: dict[frozenset[str], list[Mapping[str, Any]]] = defaultdict(list)
    for unit in owned.values():
        groups[frozenset(_owners(unit))].append(unit)
    return [_Slot(units) for units in groups.values()]


def _connected(tx: Tx, vote: Vote, owned: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """All units that shared owners connect to these."""
    found, asked = dict(owned), set[str]()
    while new := {owner for unit in found.values() for owner in _owners(unit)} - asked:
        asked |= new
        rows = select(Voter.homes).where(Voter.vote_id == vote.id, col(Voter.number).in_(new))
        positions = {at for homes in tx.session.exec(rows) for at in homes} - set(found)
        found |= _units(tx, vote, positions)
    return found


def _check_agent(
    tx: Tx,
    vote: Vote,
    voter: Voter | None,
    principal: Voter,
    *,
    capacity: str,
    needed: set[str],
    at: datetime,
) -> None:
    """Whether somebody may vote for themselves, or in this capacity for the principal, with the units `needed`."""
    legal = vote.roster["legal_agents"]
    if capacity == "self":
        if any((each["kind"], each["principal"]) == ("guardian", principal.number) for each in legal):
            raise Refused("vote.ward")
        return
    number = voter.number if voter is not None else ""
    if capacity != "proxy":
        if {"agent": number, "principal": principal.number, "kind": capacity} not in legal:
            raise Refused("vote.no_guardian")
        return
    if number in vote.policy["options"]["proxy_barred"]:
        raise Refused("vote.barred")
    known = papers(tx, vote, voter, principal) if voter is not None else []
    if not any(paper.holds(needed, at) for paper in known):
        raise Refused("vote.no_proxy")


def _check_limit(tx: Tx, vote: Vote, agent: Voter | None, principal: Voter) -> None:
    """An agent has no more principals than the vote allows."""
    most = vote.policy["options"]["proxy_max_principals"]
    if most is None or agent is None:
        return
    cast_by = select(Ballot).where(Ballot.voter_id == agent.id, Ballot.kind == "ballot")
    others = {
        row.principal_id
        for row in tx.session.exec(cast_by)
        if row.principal_id != principal.id and entry_in(row, opened=True)["body"]["capacity"] == "proxy"
    }
    if len(others) >= most:
        raise Refused("vote.proxy_limit", most=most)


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
