"""A published vote as one file: what is in it, how it is packed, and how anybody finds whether it holds.

Pure: bytes in, bytes out. The format is sections 4 and 5 of docs/votes.md.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from conversations.words import Say
from handlers.ballot_log import START, Receipt, canonical, hash_of, line, read_receipt, receipt, sha256
from handlers.ballot_sheet import is_sealed, principal_of, write_sheet
from handlers.bundle_file import (
    LOG,
    POLICY,
    README,
    RESULT,
    ROSTER,
    SHEET,
    Broken,
    archive,
    files_of,
    shown,
)
from handlers.tally import Electorate, counted_apart, electorate_of, instant, what_follows
from handlers.tally import result as tallied
from handlers.vote_shapes import (
    BODIES,
    ENTRY,
    SEALED,
    misfit,
    misfit_of_policy,
    misfit_of_roster,
    misfit_of_totals,
)

MOST_ENTRIES = 1_000_000
MOST_LINES = 5_000_000
"""Of the table: one ballot of a developer stands at each of their homes."""
MOST_NAMED = 10
"""So many homes are named in a sentence."""


@dataclass(frozen=True)
class Bundle:
    """What is published of a vote: `log` are its entries up to the closing one, `readme` are words for people."""

    policy: dict[str, Any]
    roster: dict[str, Any]
    log: list[dict[str, Any]]
    result: dict[str, Any]
    readme: str


@dataclass(frozen=True)
class Verified:
    """A bundle of which everything holds; `held` says what the entry of the receipt holds, if one was given."""

    bundle: Bundle
    ballots: int
    head: Receipt
    held: Say | None

    @property
    def is_sealed(self) -> bool:
        """Whether only the keeper can count again."""
        return is_sealed(self.bundle.policy)

    @property
    def entries(self) -> int:
        """How many the log has."""
        return len(self.bundle.log)


# --- writing ----------------------------------------------------------------------------------------


def pack(bundle: Bundle) -> bytes:
    """The zip; the same bundle makes the same bytes. Its log is whole and closed, its result that of the tally."""
    return archive(
        {
            README: bundle.readme.encode(),
            POLICY: line(bundle.policy),
            ROSTER: line(bundle.roster),
            LOG: b"".join(map(line, bundle.log)),
            SHEET: _sheet(bundle),
            RESULT: line(bundle.result),
        }
    )


def case_of(
    policy: Mapping[str, Any], roster: Mapping[str, Any], log: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The case that the tally counts: ballots in the order of the log, `seq` the number of their entry.

    Papers come from the entries that give and revoke them, the undelivered from the closing entry, if it is there yet.
    Ballots of which only the keeper knows the choice are left out.
    """
    revoked = {entry["body"]["proxy"]: entry["at"] for entry in log if entry["kind"] == "revoke"}
    extended = [entry["body"]["deadline"] for entry in log if entry["kind"] == "extend"]
    closing = [entry["body"] for entry in log if entry["kind"] == "close"]
    return {
        "name": policy["title"],
        "rule": policy.get("rule"),
        "options": policy["options"],
        "opens_at": policy["opens_at"],
        "deadline": [policy["deadline"], *extended][-1],
        "roster": {
            "record_date": roster.get("record_date"),
            "units": roster["units"],
            "proxies": [
                {**entry["body"], "revoked_at": revoked.get(entry["n"])}
                for entry in log
                if entry["kind"] == "proxy"
            ],
            "legal_agents": roster["legal_agents"],
            "undelivered_owners": closing[-1]["undelivered"] if closing else [],
        },
        "ballots": [
            {"seq": entry["n"], **{name: entry["body"][name] for name in CAST}} for entry in _ballots(log)
        ],
        "poll": policy.get("poll"),
    }


CAST = ("voter", "on_behalf_of", "capacity", "units", "choice", "channel", "at")
"""What of a ballot is counted."""


def _ballots(log: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The entries of ballots that can be read."""
    return (entry for entry in log if entry["kind"] == "ballot" and "sealed" not in entry["body"])


def _sheet(bundle: Bundle) -> bytes:
    """The table as it must be; its outcomes are those of the result, which was counted from the same ballots."""
    outcomes = bundle.result.get("ballot_outcomes", [])
    return write_sheet(bundle.policy, bundle.roster, bundle.log, _electorate(bundle), outcomes)


def _electorate(bundle: Bundle) -> Electorate:
    """Who votes for which units; raises Broken if the ballots touch too many of them to be looked at."""
    electorate = electorate_of(case_of(bundle.policy, bundle.roster, bundle.log))
    lines = 0
    for entry in _ballots(bundle.log):
        for slot in electorate.touched(principal_of(entry["body"]), entry["body"]["units"]):
            lines += len(electorate.slots[slot].units)
        if lines > MOST_LINES:
            raise Broken(SHEET, Say("bundle.too_many", most=MOST_LINES))
    return electorate


# --- reading ----------------------------------------------------------------------------------------


def open_bundle(data: bytes) -> Bundle:
    """What is in the zip, if it is one of ours and each file has its form; raises Broken. The rest is for `verify`."""
    return _opened(files_of(data))


def _opened(files: Mapping[str, bytes]) -> Bundle:
    try:
        readme = files[README].decode()
    except UnicodeDecodeError:
        raise Broken(README, Say("bundle.no_text")) from None
    policy, roster, result = (_object(files[name], name) for name in (POLICY, ROSTER, RESULT))
    for name, where in ((POLICY, misfit_of_policy(policy)), (ROSTER, misfit_of_roster(roster))):
        if where is not None:
            raise Broken(name, Say("bundle.misfit", at=shown(where)))
    log = list(_entries(files[LOG], sealed=is_sealed(policy)))
    return Bundle(policy, roster, log, result, readme)


def _object(data: bytes, where: str) -> dict[str, Any]:
    """The one JSON object that a line holds, if it is written in the one way in which it can be."""

    def refuse(_: str) -> NoReturn:
        raise ValueError("all numbers are whole")

    try:
        value = json.loads(data, parse_float=refuse, parse_constant=refuse)
        again = line(value)
    except (ValueError, RecursionError):
        raise Broken(where, Say("bundle.no_json")) from None
    if not isinstance(value, dict):
        raise Broken(where, Say("bundle.no_json"))
    if again != data:
        pairs = enumerate(zip(again, data, strict=False))
        same = next((at for at, (one, other) in pairs if one != other), min(len(again), len(data)))
        raise Broken(where, Say("bundle.not_canonical", at=same + 1))
    return value


def _entries(data: bytes, *, sealed: bool) -> Iterator[dict[str, Any]]:
    begin, n = 0, 0
    while begin < len(data):
        n += 1
        if n > MOST_ENTRIES:
            raise Broken(LOG, Say("bundle.too_many", most=MOST_ENTRIES))
        end = data.find(b"\n", begin) + 1 or len(data)
        entry = _object(data[begin:end], f"{LOG}:{n}")
        _check_shape(n, entry, sealed=sealed)
        yield entry
        begin = end


def _check_shape(n: int, entry: dict[str, Any], *, sealed: bool) -> None:
    wrong = _misfit_exactly(entry, ENTRY)
    if wrong is None:
        kind, body = entry["kind"], entry["body"]
        shape = SEALED if kind == "ballot" and sealed else BODIES[kind]
        wrong = _misfit_exactly(body, shape)
        if wrong is not None:
            wrong = f"body.{wrong}" if wrong else "body"
    if wrong is not None:
        raise Broken(f"{LOG}:{n}", Say("bundle.misfit", at=shown(wrong)))
    # The names are the same in all entries; kept once, a long log takes less room.
    entry["body"] = {name: body[name] for name in shape}


def _misfit_exactly(value: Mapping[str, Any], shape: Mapping[str, Any]) -> str | None:
    """Where an object of the log is unlike its shape; it must have nothing else."""
    wrong = misfit(value, shape)
    if wrong is None and len(value) != len(shape):
        return next(name for name in value if name not in shape)
    return wrong


# --- checking ---------------------------------------------------------------------------------------


def verify(data: bytes, copied: str = "") -> Verified:
    """Look at all that can be looked at, and count again; `copied` is a receipt as somebody typed it.

    Raises Broken with the first thing that is wrong, in the order: archive, SHA256SUMS, form of each file, log,
    result, table, receipt. README.txt is words for people: it is what was written when the vote was closed.
    """
    files = files_of(data)
    bundle = _opened(files)
    _Log(bundle, files).check()
    outcomes = _check_result(bundle)
    expected = _sheet(bundle)
    if files[SHEET] != expected:
        at = _line_that_differs(files[SHEET], expected)
        raise Broken(f"{SHEET}:{at}", Say("bundle.sheet"))
    last = bundle.log[-1]
    head = receipt(last["n"], last["hash"])
    ballots = sum(entry["kind"] == "ballot" for entry in bundle.log)
    held = _held(bundle, outcomes, copied) if copied.strip() else None
    return Verified(bundle, ballots, head, held)


class _Log:
    """The log, entry by entry: what stands before one says whether it may stand there."""

    def __init__(self, bundle: Bundle, files: Mapping[str, bytes]) -> None:
        self.bundle = bundle
        self.files = files
        self.deadline = instant(bundle.policy["deadline"])
        self.extended = False
        self.known = persons(bundle.roster, bundle.policy)
        self.open_papers: set[int] = set()
        self.sealed = is_sealed(bundle.policy)

    def check(self) -> None:
        """Raise Broken at the first entry that does not hold."""
        prev, log = START, self.bundle.log
        for n, entry in enumerate(log, 1):
            self.where = f"{LOG}:{n}"
            if entry["n"] != n:
                self._complain(Say("bundle.number", expected=n, found=entry["n"]))
            if entry["prev"] != prev:
                self._complain(Say("bundle.prev", expected=prev[:16], found=entry["prev"][:16]))
            prev = hash_of(entry)
            if entry["hash"] != prev:
                self._complain(Say("bundle.hash", expected=prev[:16], found=entry["hash"][:16]))
            kind = entry["kind"]
            if (kind == "open") != (n == 1):
                self._complain(Say("bundle.open"))
            if kind == "close" and n != len(log):
                self._complain(Say("bundle.after_close", count=len(log) - n))
            getattr(self, f"_{kind}")(entry["body"], entry)
        if not log or log[-1]["kind"] != "close":
            raise Broken(LOG, Say("bundle.not_closed", count=len(log)))

    def _complain(self, what: Say) -> NoReturn:
        raise Broken(self.where, what)

    def _open(self, body: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        for name, file in (("policy", POLICY), ("roster", ROSTER)):
            if body[name] != sha256(self.files[file]):
                self._complain(Say("bundle.other_file", file=file))

    def _ballot(self, body: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        if self.sealed:
            return
        if (body["capacity"] == "self") != (body["on_behalf_of"] is None):
            self._complain(Say("bundle.misfit", at="body.on_behalf_of"))
        for name in ("voter", "on_behalf_of"):
            if body[name] is not None and body[name] not in self.known:
                self._complain(Say("bundle.unknown", person=shown(body[name])))

    def _proxy(self, body: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        if body["principal"] not in self.known:
            self._complain(Say("bundle.unknown", person=shown(body["principal"])))
        self.known.add(body["agent"])
        self.open_papers.add(entry["n"])

    def _revoke(self, body: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        if body["proxy"] not in self.open_papers:
            self._complain(Say("bundle.revoke", n=body["proxy"]))
        self.open_papers.remove(body["proxy"])

    def _extend(self, body: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        if self.bundle.policy["kind"] != "poll":
            self._complain(Say("bundle.extend_statutory"))
        if self.extended:
            self._complain(Say("bundle.extend_twice"))
        if instant(body["deadline"]) <= self.deadline or instant(entry["at"]) >= self.deadline:
            self._complain(Say("bundle.extend_late"))
        self.extended = True
        self.deadline = instant(body["deadline"])

    def _close(self, body: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        if body["entries"] != entry["n"] - 1:
            self._complain(Say("bundle.close_count", expected=entry["n"] - 1, found=body["entries"]))
        if instant(entry["at"]) < self.deadline:
            self._complain(Say("bundle.close_early"))
        for name, file in (("result", RESULT), ("readme", README)):
            if body[name] != sha256(self.files[file]):
                self._complain(Say("bundle.other_file", file=file))


def persons(roster: Mapping[str, Any], policy: Mapping[str, Any]) -> set[str]:
    """Everybody whom a roster and a policy name, by their number."""
    named = [roster.get("names", {}), policy["options"]["proxy_barred"]]
    for unit in roster["units"]:
        named += [unit["owners"], unit.get("buyers", []), [unit["developer"], unit["rep"]]]
    for agent in roster["legal_agents"]:
        named.append([agent["agent"], agent["principal"]])
    return {person for persons in named for person in persons if person is not None}


def recount(bundle: Bundle) -> dict[str, Any]:
    """The result by roster, policy and log; raises Broken if it cannot be counted, or only by the keeper."""
    if is_sealed(bundle.policy):
        raise Broken(LOG, Say("bundle.only_keeper"))
    return _tallied(bundle)


def _tallied(bundle: Bundle) -> dict[str, Any]:
    try:
        _electorate(bundle)  # before anything is kept for each of its lines
        return tallied(case_of(bundle.policy, bundle.roster, bundle.log))
    except Broken:
        raise
    except Exception as error:  # whatever somebody wrote into a file, who looks at it gets a sentence
        raise Broken(LOG, Say("bundle.uncountable", error=shown(repr(error)))) from error


def _check_result(bundle: Bundle) -> Sequence[str]:
    """Count again and compare; what became of each ballot. Of sealed ballots only what does not depend on them."""
    expected, found = json.loads(canonical(_tallied(bundle))), bundle.result
    if is_sealed(bundle.policy):
        expected = {name: expected[name] for name in FRAME} | _follows(bundle)
        found = {name: found.get(name, NOTHING) for name in expected}
    if line(expected) != line(found):
        try:
            where, right, there = _difference(expected, found)
        except RecursionError:  # what is there is nested as deep as could just be read
            where, right, there = "", NOTHING, NOTHING
        raise Broken(RESULT, Say("bundle.result", at=shown(where), expected=shown(right), found=shown(there)))
    outcomes: Sequence[str] = expected.get("ballot_outcomes", [])
    return outcomes


def _follows(bundle: Bundle) -> dict[str, Any]:
    """What of a result follows from its sums, of which only the keeper knows that they are those of the ballots."""
    poll = bundle.policy["poll"]
    where = misfit_of_totals(bundle.result, counted_apart(poll))
    if where is not None:
        raise Broken(RESULT, Say("bundle.misfit", at=shown(where)))
    return what_follows(poll, bundle.result)


FRAME = ("format", "kind", "opens_at", "deadline", "total")
"""What of a result no ballot changes."""
NOTHING = "—"
"""What is shown in the place of what is not there."""


def _difference(expected: Any, found: Any) -> tuple[str, Any, Any]:
    """The first place ("for.area") in which two values of JSON differ, and what stands there in each."""
    where: list[str] = []
    while True:
        if isinstance(expected, dict) and isinstance(found, dict):
            keys: Iterable[Any] = [*expected, *(key for key in found if key not in expected)]
            parts = [(key, expected.get(key, NOTHING), found.get(key, NOTHING)) for key in keys]
        elif isinstance(expected, list) and isinstance(found, list):
            both = zip_longest(expected, found, fillvalue=NOTHING)
            parts = [(number, one, other) for number, (one, other) in enumerate(both, 1)]
        else:
            return ".".join(where), expected, found
        # Types count, too: for Python true is 1.
        key, expected, found = next(part for part in parts if repr(part[1]) != repr(part[2]))
        where.append(str(key))


def _line_that_differs(found: bytes, expected: bytes) -> int:
    """The number of the first line that is another, from 1."""
    pairs = zip(found.split(b"\n"), expected.split(b"\n"), strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
    return 1 + (same if same is not None else min(found.count(b"\n"), expected.count(b"\n")))


# --- receipts ---------------------------------------------------------------------------------------


def _held(bundle: Bundle, outcomes: Sequence[str], copied: str) -> Say:
    """What the entry of a receipt holds; raises Broken if it is none of this log."""
    asked = read_receipt(copied)
    if asked is None:
        raise Broken("", Say("bundle.receipt.unread", example="17-ABCD-EFGH-IJKL-MNOP"))
    if not 1 <= asked.n <= len(bundle.log):
        raise Broken("", Say("bundle.receipt.no_entry", n=asked.n, count=len(bundle.log)))
    entry = bundle.log[asked.n - 1]
    if receipt(asked.n, entry["hash"]) != asked:
        raise Broken("", Say("bundle.receipt.other", n=asked.n))
    if entry["kind"] != "ballot":
        kind = Say(f"bundle.kind.{entry['kind']}")
        return Say("bundle.receipt.head", n=asked.n, kind=kind, at=_moment(bundle, entry["at"]))
    if is_sealed(bundle.policy):
        return Say("bundle.receipt.sealed", n=asked.n, at=_moment(bundle, entry["at"]))
    body = entry["body"]
    electorate = _electorate(bundle)
    touched = electorate.touched(principal_of(body), body["units"])
    homes = [unit.id for slot in touched for unit in electorate.slots[slot].units]
    numbers = [each["n"] for each in bundle.log if each["kind"] == "ballot"]
    outcome = outcomes[numbers.index(asked.n)].removeprefix("rejected:")
    return Say(
        "bundle.receipt.ballot",
        n=asked.n,
        homes=_named(homes),
        choice=_choice(body["choice"]),
        at=_moment(bundle, body["at"]),
        outcome=Say(f"bundle.outcome.{outcome}"),
    )


def _named(homes: list[str]) -> Any:
    """Homes in a sentence; of many the first ones and how many there are."""
    if not homes:
        return Say("bundle.receipt.no_home")
    first = [shown(home) for home in homes[:MOST_NAMED]]
    return first if len(first) == len(homes) else Say("bundle.receipt.homes", first=first, count=len(homes))


def _choice(choice: Any) -> Any:
    if choice is None:
        return Say("bundle.choice.blank")
    if choice in ("for", "against", "abstain"):
        return Say(f"bundle.choice.{choice}")
    if isinstance(choice, str):
        return shown(choice)
    return [shown(each) for each in choice] or Say("bundle.choice.none")


def _moment(bundle: Bundle, at: str) -> str:
    """A time as the table writes it."""
    local = instant(at).astimezone(ZoneInfo(bundle.policy["time_zone"]))
    return f"{local:%Y-%m-%d %H:%M:%S}"
