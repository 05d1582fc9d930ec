"""Votes as they are published: made by hand, so that a test may change any part and pack it again consistently."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from handlers.ballot_log import START, entry_after, line, receipt, sealed, sha256
from handlers.bundle import Bundle, case_of, pack
from handlers.tally import result
from handlers.vote_words import readme

OPENS = datetime(2026, 11, 1, tzinfo=UTC)
DEADLINE = OPENS + timedelta(days=15)
OPTIONS: Mapping[str, Any] = {
    "people_count": "interp9", "person_merge": "exact_owner_set", "parking_votes": False,
    "scope": {"buildings": None, "entrances": None, "floors": None, "homes": None}, "multi_unit": "owner_wide",
    "co_owner_no_rep": "agree_or_invalid", "revote": "last", "principal_vs_proxy": "principal_wins",
    "channel_conflict": "latest", "proxy_max_principals": 3, "proxy_barred": [], "proxy_follow_instruction": True,
    "silence": "not_participating", "abstain_in_denominator": True, "blank_ballot": "invalid",
}  # fmt: skip
POLL: Mapping[str, Any] = {
    "electorate": "homes", "weight": "heads", "quorum": "1/2", "threshold": "1/2", "of": "for_against",
    "question": "yes_no", "choices": [], "most": 1, "visible": "by_room",
}  # fmt: skip


def unit(number: int, *owners: str, **changed: Any) -> dict[str, Any]:
    """A home of its owners, in building 1."""
    return {
        "id": f"1-{number}", "building": "1", "entrance": "1", "floor": str(number // 100), "kind": "residential",
        "status": "sold_delivered", "area": f"{50 + number % 40}.50", "owners": list(owners), "developer": None,
        "buyers": [], "rep": None, **changed,
    }  # fmt: skip


def ballot(voter: str, choice: Any = "for", **changed: Any) -> tuple[str, dict[str, Any]]:
    """A ballot of somebody's own on all their homes, as kind and body of an entry."""
    return "ballot", {
        "voter": voter, "on_behalf_of": None, "capacity": "self", "units": "all", "choice": choice, "channel": "bot",
        "at": "2026-11-02T09:00:00+08:00", "evidence": None, **changed,
    }  # fmt: skip


def proxy(agent: str, principal: str, **changed: Any) -> tuple[str, dict[str, Any]]:
    """A written paper for the whole vote, as kind and body of an entry."""
    return "proxy", {
        "agent": agent, "principal": principal, "units": "all", "from": "2026-11-01T00:00:00+08:00",
        "until": "9999-12-31T23:59:59+08:00", "instruction": None, "form": "written", **changed,
    }  # fmt: skip


Acts = Sequence[tuple[str, Mapping[str, Any]]]
UNITS = (
    unit(101, "1"), unit(102, "1"), unit(201, "2", "3"), unit(202, "4"), unit(301, "5"),
    unit(302, status="unsold", developer="9"), unit(303, "6", area="150.005"),
)  # fmt: skip
ACTS: Acts = (
    ballot("1"),
    ballot("2", "against"),
    proxy("1", "5"),
    ballot("2", at="2026-11-02T10:00:00Z"),
    ballot("1", on_behalf_of="5", capacity="proxy", channel="paper", evidence="0" * 64),
    ballot("6", None),
    proxy("2", "4"),
    ("revoke", {"proxy": 8}),
    ballot("9", "against", units=["1-302"]),
)


@dataclass
class Vote:
    """What a vote is made of; `packed` closes it and packs it, with all hashes, sums and the count in order."""

    units: Iterable[Mapping[str, Any]] = UNITS
    acts: Acts = ACTS
    poll: Mapping[str, Any] | None = None
    policy: dict[str, Any] = field(default_factory=dict)
    roster: dict[str, Any] = field(default_factory=dict)
    closing: dict[str, Any] = field(default_factory=dict)
    """What the closing entry says otherwise; `at` is when it was written."""
    result: dict[str, Any] = field(default_factory=dict)
    """What the result says otherwise than the tally."""

    def bundle(self) -> Bundle:
        """The vote, closed."""
        policy = {
            "kind": "statutory" if self.poll is None else "poll",
            "title": "3 号楼加装充电桩",
            "rule": "ordinary" if self.poll is None else None,
            "options": dict(OPTIONS),
            "poll": None if self.poll is None else {**POLL, **self.poll},
            "clause": None,
            "opens_at": OPENS.isoformat(),
            "deadline": DEADLINE.isoformat(),
            "time_zone": "Asia/Shanghai",
            **self.policy,
        }
        roster = {"record_date": "2026-10-31", "units": list(self.units), "legal_agents": [], **self.roster}
        hidden = policy["poll"] is not None and policy["poll"]["visible"] == "totals"
        acts = [("open", {"roster": sha256(line(roster)), "policy": sha256(line(policy))}), *self.acts]
        plain = chained(acts)
        last = [*plain, {"kind": "close", "body": {"undelivered": [], **self.closing}}]
        right = result(case_of(policy, roster, last))
        counted = {**right, **self.result}
        if hidden:
            acts = [(kind, sealed(body, "0" * 32) if kind == "ballot" else body) for kind, body in acts]
        words = readme(policy, right, roster["record_date"])
        hashes = {"result": sha256(line(counted)), "readme": sha256(words.encode())}
        close = {"entries": len(acts), "undelivered": [], **hashes, **self.closing}
        at = close.pop("at", DEADLINE + timedelta(days=5))
        log = chained([*acts, ("close", close)], at)
        return Bundle(policy, roster, log, counted, words)

    def packed(self) -> bytes:
        """The zip."""
        return pack(self.bundle())


def chained(acts: Acts, closed: datetime | None = None) -> list[dict[str, Any]]:
    """Entries of these kinds and bodies, each bound to the one before; the last is written at `closed`."""
    log: list[dict[str, Any]] = []
    prev = START
    for n, (kind, body) in enumerate(acts, 1):
        at = closed if closed and n == len(acts) else OPENS + timedelta(minutes=n)
        log.append(entry_after(n, prev, kind, body, at, nonce=f"{n:032x}"))
        prev = log[-1]["hash"]
    return log


def rechained(bundle: Bundle, log: Iterable[Mapping[str, Any]]) -> Bundle:
    """The bundle with another log of which all numbers and hashes are made anew, as a forger would."""
    made: list[dict[str, Any]] = []
    prev = START
    for n, entry in enumerate(log, 1):
        at = datetime.fromisoformat(entry["at"])
        made.append(entry_after(n, prev, entry["kind"], entry["body"], at, nonce=entry["nonce"]))
        prev = made[-1]["hash"]
    return replace(bundle, log=made)


def receipt_of(bundle: Bundle, n: int) -> str:
    """The receipt of an entry."""
    return str(receipt(n, bundle.log[n - 1]["hash"]))
