"""What the files of a vote must look like: what comes from outside is looked at before anybody counts with it.

Pure. A shape is a test of one value; a dict of shapes, all of which must be there but those with a question mark (what
else stands there is let be); a list with one shape, that of each element; or a tuple of shapes, of which one must fit.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from handlers.tally import instant

TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
AREA = re.compile(r"[0-9]{1,15}\.[0-9]{2,15}")
LONG_AREA = re.compile(r"[0-9]{1,1000}\.[0-9]{2,1000}")
FRACTION = re.compile(r"[0-9]{1,9}/[1-9][0-9]{0,8}")
HASH = re.compile(r"[0-9a-f]{64}")
NONCE = re.compile(r"[0-9a-f]{32}")
Test = Callable[[Any], bool]
YEARS = range(1990, 2200)
"""Those of a vote: far from where a time zone leads out of the calendar."""
MOST_LETTERS = 10_000
MOST = 1_000_000_000


def misfit(value: Any, shape: Any) -> str | None:
    """Where a value is first unlike its shape ("units.3.area"); "" is the value itself, None: it fits."""
    if callable(shape):
        return None if shape(value) else ""
    if isinstance(shape, tuple):
        return "" if all(misfit(value, each) is not None for each in shape) else None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return ""
        parts: Iterator[tuple[str, Any, Any]] = ((str(at), part, shape[0]) for at, part in enumerate(value))
    else:
        if not isinstance(value, dict):
            return ""
        parts = _parts(value, shape)
    for name, part, each in parts:
        found = misfit(part, each)
        if found is not None:
            return f"{name}.{found}" if found else name
    return None


MISSING = object()
"""What no test takes for anything."""


def _parts(value: Mapping[str, Any], shape: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The parts of an object that are looked at, each with its shape."""
    for key, each in shape.items():
        name = key.rstrip("?")
        if name in value or name == key:
            yield name, value.get(name, MISSING), each


# --- tests of one value -----------------------------------------------------------------------------


def text(value: Any) -> bool:
    """Words of any sort, if there are not too many."""
    return isinstance(value, str) and len(value) <= MOST_LETTERS


def nothing(value: Any) -> bool:
    """What is not known or not set."""
    return value is None


def yes_or_no(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def number(value: Any) -> bool:
    """A whole number from 0 on; for Python true is one, too, and here it is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def whole(value: Any) -> bool:
    """A number without a fraction, as JSON Schema means it: 2.0 is one, and it may be less than 0."""
    return type(value) is int or (type(value) is float and value.is_integer())


def storey(value: Any) -> bool:
    """A floor as a number; those below the ground are less than 0."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1000


def positive(value: Any) -> bool:
    """A whole number from 1 on."""
    return number(value) and value > 0


def time(value: Any) -> bool:
    """An instant with its offset, in any year: a paper may hold for ever."""
    try:
        return isinstance(value, str) and TIME.fullmatch(value) is not None and bool(instant(value))
    except ValueError:
        return False


def moment(value: Any) -> bool:
    """An instant at which something of a vote happens, so that it is shown in its time zone, too."""
    return time(value) and int(value[:4]) in YEARS


def zone(value: Any) -> bool:
    """The name of a time zone."""
    try:
        return isinstance(value, str) and bool(ZoneInfo(value).key)
    except (KeyError, ValueError, OSError):  # unknown, a path that leads elsewhere, a folder
        return False


def one_of(*values: Any) -> Test:
    """One of these, and of their very type."""
    return lambda value: any(value == each and type(value) is type(each) for each in values)


def written_as(pattern: re.Pattern[str]) -> Test:
    """A text of this form."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def different(value: Any) -> bool:
    """Texts that are not empty, none of them twice."""
    return (
        isinstance(value, list)
        and all(text(each) and each for each in value)
        and len(set(value)) == len(value)
    )


# --- the files --------------------------------------------------------------------------------------

TEXTS = [text]
UNITS = (one_of("all"), TEXTS)
CHOICE = (nothing, text, TEXTS)
KNOWN_TEXT = (nothing, text)
LISTED = (nothing, TEXTS)
FLOOR = (text, storey)

OPTIONS: Mapping[str, Any] = {
    "people_count": one_of("interp9", "per_unit"),
    "person_merge": one_of("exact_owner_set", "any_common_owner"),
    "parking_votes": yes_or_no,
    "scope": {"buildings": LISTED, "entrances": LISTED, "floors?": (nothing, [FLOOR]), "homes?": LISTED},
    "co_owner_no_rep": one_of("agree_or_invalid", "agree_or_abstain", "first", "last"),
    "revote": one_of("last", "first"),
    "principal_vs_proxy": one_of("principal_wins", "latest"),
    "channel_conflict": one_of("latest", "paper_wins", "electronic_wins"),
    "proxy_max_principals": (nothing, number),
    "proxy_barred": TEXTS,
    "proxy_follow_instruction": yes_or_no,
    "blank_ballot": one_of("invalid", "abstain"),
}
STATUTORY: Mapping[str, Any] = {
    **OPTIONS,
    "multi_unit": one_of("owner_wide", "per_unit"),
    "silence": one_of("not_participating", "abstain_participating", "follow_majority"),
    "abstain_in_denominator": yes_or_no,
}
POLL: Mapping[str, Any] = {
    "electorate": one_of("homes", "persons"),
    "weight": one_of("heads", "area", "both"),
    "quorum": written_as(FRACTION),
    "threshold": one_of("plurality", "1/2", "2/3", "3/4"),
    "of": one_of("for_against", "cast", "eligible"),
    "question": one_of("yes_no", "choose"),
    "choices": different,
    "most": positive,
    "visible": one_of("totals", "by_room", "named"),
}
POLICY: Mapping[str, Any] = {
    "kind": one_of("statutory", "poll"),
    "title": text,
    "opens_at": moment,
    "deadline": moment,
    "time_zone": zone,
    "clause?": KNOWN_TEXT,
}
UNIT: Mapping[str, Any] = {
    "id": text,
    "building": text,
    "entrance": KNOWN_TEXT,
    "floor?": (nothing, *FLOOR),
    "kind": text,
    "status": one_of("sold_delivered", "sold_undelivered", "unsold"),
    "owners": TEXTS,
    "developer": KNOWN_TEXT,
    "buyers?": TEXTS,
    "rep": KNOWN_TEXT,
}
LEGAL_AGENT: Mapping[str, Any] = {
    "agent": text,
    "principal": text,
    "kind": one_of("guardian", "legal_rep"),
}
ROSTER: Mapping[str, Any] = {"units": [UNIT], "legal_agents": [LEGAL_AGENT]}
BALLOT: Mapping[str, Any] = {
    "voter": text,
    "on_behalf_of": KNOWN_TEXT,
    "capacity": one_of("self", "proxy", "guardian", "legal_rep"),
    "units": UNITS,
    "choice": CHOICE,
    "channel": one_of("bot", "paper"),
    "at": moment,
}
PROXY: Mapping[str, Any] = {
    "agent": text,
    "principal": text,
    "units": UNITS,
    "from": time,
    "until": time,
    "instruction": CHOICE,
    "form": one_of("written", "oral"),
}
IS_HASH = written_as(HASH)
BODIES: Mapping[str, Mapping[str, Any]] = {
    "open": {"roster": IS_HASH, "policy": IS_HASH},
    "ballot": {**BALLOT, "evidence": (nothing, IS_HASH)},
    "proxy": PROXY,
    "revoke": {"proxy": positive},
    "extend": {"deadline": moment},
    "close": {"entries": positive, "undelivered": TEXTS, "result": IS_HASH, "readme": IS_HASH},
}
SEALED: Mapping[str, Any] = {"sealed": IS_HASH}
ENTRY: Mapping[str, Any] = {
    "n": positive,
    "prev": IS_HASH,
    "at": lambda value: written_as(WRITTEN)(value) and moment(value),
    "kind": one_of(*BODIES),
    "body": lambda value: isinstance(value, dict),
    "nonce": written_as(NONCE),
    "hash": IS_HASH,
}


AMOUNT: Mapping[str, Any] = {"area": written_as(LONG_AREA), "heads": number}


def misfit_of_totals(result: Any, choices: Collection[str]) -> str | None:
    """Where the sums of a poll's result are first unlike what they have to be; None: they fit."""
    names = ("total", "silent", "conflict", "cast", "decided", "abstain")
    where = misfit(result, {**dict.fromkeys(names, AMOUNT), "counts": lambda value: isinstance(value, dict)})
    if where is not None:
        return where
    counts = result["counts"]
    fits = set(counts) == set(choices) and all(misfit(each, AMOUNT) is None for each in counts.values())
    return None if fits else "counts"


def misfit_of_policy(policy: Any) -> str | None:
    """Where a policy.json is first unlike what it has to be; None: it fits."""
    where = misfit(policy, POLICY)
    if where is not None:
        return where
    if policy["kind"] == "statutory":
        rest = {"rule": one_of("ordinary", "special"), "options": STATUTORY, "poll?": nothing}
    else:
        rest = {"options": OPTIONS, "poll": POLL}
    return misfit(policy, rest)


def misfit_of_roster(roster: Any, area: re.Pattern[str] = AREA) -> str | None:
    """Where a roster.json is first unlike what it has to be; None: it fits."""
    known: Any = (nothing, written_as(area))
    areas = {"areas": dict.fromkeys(("registered", "surveyed", "contract"), known)}
    where = misfit(roster, ROSTER)
    if where is not None:
        return where
    seen = set()
    for at, unit in enumerate(roster["units"]):
        if unit["id"] in seen:
            return f"units.{at}.id"
        seen.add(unit["id"])
        where = misfit(unit, {"area": written_as(area)} if "area" in unit else areas)
        if where is not None:
            return f"units.{at}.{where}"
    names = roster.get("names", {})
    if not isinstance(names, dict) or not all(map(text, names.values())):
        return "names"
    return None


def misfit_of_case(case: Any) -> str | None:
    """Where a case of a file of vectors is first unlike what can be counted; None: it fits.

    It is counted and not shown: its times may lie in any year, and its areas be as long as one likes.
    """
    where = misfit(
        case,
        {
            "name": lambda value: isinstance(value, str),
            "rule": one_of("ordinary", "special"),
            "options": {**STATUTORY, "proxy_max_principals": (nothing, whole)},
            "opens_at": time,
            "deadline": time,
            "roster": {
                "proxies": [{**PROXY, "revoked_at": (nothing, time)}],
                "undelivered_owners": TEXTS,
            },
            "ballots": [{**BALLOT, "at": time}],
        },
    )
    if where is None:
        where = misfit_of_roster(case["roster"], LONG_AREA)
        return None if where is None else f"roster.{where}"
    return where
