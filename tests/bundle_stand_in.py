"""What handlers/bundle.py does, as far as these tests need it, until it is there (tests/conftest.py)."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from handlers.ballot_log import canonical


def case_of(
    policy: Mapping[str, Any], roster: Mapping[str, Any], log: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    deadline = policy["deadline"]
    proxies: dict[int, dict[str, Any]] = {}
    ballots, undelivered = [], []
    for entry in log:
        body = entry["body"]
        if entry["kind"] == "ballot":
            ballots.append({"seq": entry["n"], **body})
        elif entry["kind"] == "proxy":
            proxies[entry["n"]] = {**body, "revoked_at": None}
        elif entry["kind"] == "revoke":
            proxies[body["proxy"]]["revoked_at"] = entry["at"]
        elif entry["kind"] == "extend":
            deadline = body["deadline"]
        elif entry["kind"] == "close":
            undelivered = body["undelivered"]
    return {
        "rule": policy["rule"],
        "options": policy["options"],
        "poll": policy["poll"],
        "opens_at": policy["opens_at"],
        "deadline": deadline,
        "roster": {
            "units": roster["units"],
            "proxies": list(proxies.values()),
            "legal_agents": roster["legal_agents"],
            "undelivered_owners": undelivered,
        },
        "ballots": ballots,
    }


def pack(
    policy: Mapping[str, Any],
    roster: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    readme: str,
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("policy.json", canonical(policy) + b"\n")
        made.writestr("roster.json", canonical(roster) + b"\n")
        made.writestr("log.jsonl", b"".join(canonical(each) + b"\n" for each in log))
        made.writestr("result.json", canonical(result) + b"\n")
    return out.getvalue()
