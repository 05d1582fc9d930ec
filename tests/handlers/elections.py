"""Random votes: small communities, in which owners, agents, times and channels meet as often as possible.

A case is cut from strips of bytes, one for the policy, one for each unit, proxy, legal agent and ballot. That draws
fast, and shrinks well: a strip can be left out, and a byte that is 0 picks the plainest of its alternatives.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

OPENS = datetime(2025, 5, 31, 16, 0, 0, tzinfo=UTC)
# Instants that mean something, as seconds after the opening.
DAY = 24 * 60 * 60
STARTS = 2 * DAY  # some proxies
REVOKED = 5 * DAY  # some proxies
ENDS = 8 * DAY  # some proxies
DEADLINE = 16 * DAY - 1
ORDINARY = (DAY, 3 * DAY, 4 * DAY + 61, 6 * DAY, 7 * DAY + 3599)
EXACT = (STARTS, REVOKED, ENDS)
SECONDS = (
    *ORDINARY * 5,
    *EXACT * 2,
    *(second - 1 for second in EXACT),
    *(second + 1 for second in EXACT),
    9 * DAY,
    0,
    -1,
    DEADLINE,
    DEADLINE + 1,
    -8 * 60 * 60 + 5,  # in time, were the offset overlooked
    DEADLINE + 8 * 60 * 60,
)
PROXY_SECONDS = (*SECONDS, *EXACT * 8)
OFFSETS = (480, 480, 480, 0, 0, 840, -210, -720, 345)  # minutes

AREAS = (
    *(("100.00",),) * 4,
    ("33.33", "66.66", "99.99"),
    ("50.00", "100.00", "150.00"),
    ("88.50", "120.005", "0.01", "66.670", "1234.56", "100.00", "0.005"),
    ("100.00", "0.00"),
)
OWNERS = (
    *(("own",),) * 8,
    *(("P1",), ("P2",), ("P3",)) * 2,
    *(("P1", "P2"), ("P2", "P1"), ("P2", "P3"), ("P3", "P4")) * 3,
    ("P1", "P2", "P3"),
    ("P3", "P2", "P1"),
    ("own", "P1"),
    ("own", "P3"),
    ("P4",),
    (),
)
# A1 and A2 own nothing.
AGENTS = ("A1", "A1", "A1", "A2", "P1", "P2", "P3", "D1")
BUILDINGS = (*(None,) * 28, *(["1"],) * 3, ["2"], ["1", "2"], ["2", "9"], ["1", "9"], [])
ENTRANCES = (*(None,) * 28, *(["1/1"], ["1/1", "1/2"], ["1/2", "2/1"], ["1/1", "9/9"]) * 2, ["9/9"], [])
# What everybody says in turn: the first or the second choice, any, or nothing.
PATTERNS = ((), (0,), *(("any",),) * 4, (0, 1), (0, 0, 1), (0, 0, 0, 1), (0, 0, None), (0, 1, None))
AT_THRESHOLD = {"plurality": (0, 1, 0, 1, 2), "1/2": (0, 1), "2/3": (0, 0, 1), "3/4": (0, 0, 0, 1)}
CHOICES = ("for", "against", "abstain")
NAMES = ("swing", "bench", "lamp", "gate")


class Strip:
    """Decides by its bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def pick(self, alternatives: Sequence[T]) -> T:
        """One of the alternatives; the first is the plainest."""
        return alternatives[next(self._bytes) % len(alternatives)]

    def number(self) -> int:
        """A number below 256."""
        return next(self._bytes)


def strips(size: int, least: int, most: int) -> st.SearchStrategy[list[bytes]]:
    """Some strips of so many bytes each."""
    return st.lists(st.binary(min_size=size, max_size=size), min_size=least, max_size=most)


def written(seconds: int, strip: Strip) -> str:
    """An instant, with one offset or another."""
    moment = OPENS + timedelta(seconds=seconds)
    offset = strip.pick(OFFSETS)
    if offset == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.astimezone(timezone(timedelta(minutes=offset))).isoformat()


def policy(strip: Strip) -> dict[str, Any]:
    """The options of a vote."""
    multi_unit = strip.pick(("owner_wide", "per_unit"))
    silence = strip.pick(("not_participating", "abstain_participating", "follow_majority", "follow_majority"))
    return {
        "people_count": strip.pick(("interp9", "interp9", "interp9", "per_unit")),
        "person_merge": strip.pick(("exact_owner_set", "any_common_owner")),
        "parking_votes": strip.pick((False, True)),
        "scope": {"buildings": strip.pick(BUILDINGS), "entrances": strip.pick(ENTRANCES)},
        "multi_unit": multi_unit,
        "co_owner_no_rep": strip.pick(("agree_or_invalid", "agree_or_abstain", "first", "last")),
        "revote": strip.pick(("last", "first")),
        "principal_vs_proxy": strip.pick(("principal_wins", "latest")),
        "channel_conflict": strip.pick(("latest", "paper_wins", "electronic_wins")),
        "proxy_max_principals": strip.pick((None, None, 1, 1, 1, 2, 2, 3, 0)),
        "proxy_barred": strip.pick(([], [], [], [], ["A1"], ["A2"], ["P1", "A2"])),
        "proxy_follow_instruction": strip.pick((True, False)),
        # A choice for each unit is defined for the strict reading of silence only.
        "silence": "not_participating" if multi_unit == "per_unit" else silence,
        "abstain_in_denominator": strip.pick((True, True, False)),
        "blank_ballot": strip.pick(("invalid", "abstain")),
    }


def roster_unit(strip: Strip, number: int, areas: Sequence[str]) -> dict[str, Any]:
    """A unit; most are sold, and some have the same owners as others."""
    building, entrance = strip.pick(("1", "1", "1", "2")), strip.pick(("1", "1", "2"))
    status = strip.pick(("sold_delivered",) * 10 + ("unsold", "unsold", "sold_undelivered"))
    owners = [f"P{number + 1}" if name == "own" else name for name in strip.pick(OWNERS)]
    owners = list(dict.fromkeys(owners))  # P1 with P1 is P1
    developer = strip.pick(("D1", "D1", "D1", "D2", None))
    area = strip.pick(areas)
    other = strip.pick(areas)
    sold = status == "sold_delivered"
    unit = {
        "id": f"{building}-{entrance}{number + 1:02}",
        "building": building,
        "entrance": entrance,
        "kind": strip.pick(("residential",) * 6 + ("commercial", "parking")),
        "status": status,
        "owners": owners if sold or strip.pick((False, False, True)) else [],
        "developer": strip.pick((None, None, "D1")) if sold else developer,
        "buyers": owners if status == "sold_undelivered" else [],
        "rep": strip.pick((None,) * 8 + (0, 0, 1, 1, "P1", "P2", "D1")),
    }
    if isinstance(unit["rep"], int):  # the first or the second of the owners
        unit["rep"] = dict(enumerate(owners)).get(unit["rep"])
    known = strip.pick((None, None, None, None, "rsc", "sc", "c", "rc", "s", ""))
    if known is None:
        unit["area"] = area
    else:
        unit["areas"] = {
            "registered": area if "r" in known else None,
            "surveyed": (other if "r" in known else area) if "s" in known else None,
            "contract": (area if known == "c" else other) if "c" in known else None,
        }
    return unit


def entitled(unit: dict[str, Any]) -> list[str]:
    """Those who may vote for a unit, to make most ballots theirs."""
    return unit["owners"] if unit["status"] == "sold_delivered" else list(filter(None, [unit["developer"]]))


def units_for(strip: Strip, principal: str, units: list[dict[str, Any]]) -> str | list[str]:
    """The units that a ballot or a proxy of somebody names."""
    owned = [unit["id"] for unit in units if principal in entitled(unit)]
    first, any_unit = owned[:1] or [units[0]["id"]], units[strip.number() % len(units)]["id"]
    named: str | list[str] = strip.pick(
        (
            *("all",) * 6,
            *(first,) * 2,
            *(owned[-1:] or first,) * 2,
            owned or first,
            ["9-999", *first],
            [any_unit],
            [units[0]["id"], any_unit],
            ["9-999"],
        )
    )
    return named


def proxy(
    strip: Strip, people: Sequence[str], units: list[dict[str, Any]], instructions: Sequence[Any]
) -> dict[str, Any]:
    """A proxy; most are written, in time and for all."""
    agent, principal = strip.pick(AGENTS), strip.pick(people)
    starts = strip.pick((0, 0, 0, -DAY, STARTS))
    ends = strip.pick((DEADLINE, DEADLINE, DEADLINE, DEADLINE + DAY, ENDS))
    revoked = strip.pick((None, None, None, REVOKED))
    return {
        "agent": agent,
        "principal": principal,
        "units": units_for(strip, principal, units),
        "from": written(starts, strip),
        "until": written(ends, strip),
        "instruction": strip.pick(instructions),
        "form": strip.pick(("written",) * 6 + ("oral",)),
        "revoked_at": None if revoked is None else written(revoked, strip),
    }


def legal_agent(strip: Strip, people: Sequence[str]) -> dict[str, Any]:
    """Somebody who acts for another by law."""
    return {
        "agent": strip.pick(("A1", "A1", "A2", "P1", "P2")),
        "principal": strip.pick(people),
        "kind": strip.pick(("legal_rep", "guardian")),
    }


def ballot(
    strip: Strip, people: Sequence[str], roster: dict[str, Any], choices: Sequence[Any]
) -> dict[str, Any]:
    """A ballot; most are by somebody who may cast it."""
    voter, principal, capacity = strip.pick(people), None, "self"
    kind = strip.pick(("self",) * 8 + ("proxy",) * 8 + ("legal",) * 4 + ("pretended", "stranger", "odd"))
    which = strip.number()
    if kind == "proxy" and roster["proxies"]:
        granted = roster["proxies"][which % len(roster["proxies"])]
        voter, principal, capacity = granted["agent"], granted["principal"], "proxy"
    elif kind == "legal" and roster["legal_agents"]:
        entry = roster["legal_agents"][which % len(roster["legal_agents"])]
        voter, principal = entry["agent"], entry["principal"]
        capacity = strip.pick((*(entry["kind"],) * 4, "guardian", "legal_rep"))
    elif kind == "pretended":
        voter, principal = AGENTS[which % len(AGENTS)], voter
        capacity = strip.pick(("proxy", "guardian", "legal_rep"))
    elif kind == "stranger":
        unit = roster["units"][which % len(roster["units"])]  # a buyer, a developer who has sold
        voter = [*unit["buyers"], *unit["owners"], unit["developer"] or "A1", "A2", "A2"][which % 3]
    elif kind == "odd":  # on nobody's behalf, or on one's own
        capacity = strip.pick(("proxy", "guardian", "self"))
        principal = voter if capacity == "self" else None
    said = strip.pick(choices)
    if kind == "proxy" and roster["proxies"] and granted["instruction"] is not None:
        said = strip.pick((said, *obedient(granted["instruction"])))
    return {
        "seq": 0,
        "voter": voter,
        "on_behalf_of": principal,
        "capacity": capacity,
        "units": units_for(strip, principal or voter, roster["units"]),
        "choice": said,
        "channel": strip.pick(("bot", "bot", "paper")),
        "at": written(strip.pick(PROXY_SECONDS if kind == "proxy" else SECONDS), strip),
    }


def obedient(instruction: Any) -> list[Any]:
    """What follows an instruction, in more words than one."""
    if isinstance(instruction, list):
        return [instruction, instruction[::-1]]
    return [instruction, None] if instruction == "abstain" else [instruction]


def first_round(
    strip: Strip,
    roster: dict[str, Any],
    people: Sequence[str],
    choices: Sequence[Any],
    patterns: Sequence[Sequence[Any]],
) -> list[dict[str, Any]]:
    """Plain ballots by everybody or by some, so that votes are often valid, and often at a threshold."""
    pattern = strip.pick(patterns)
    granted = roster["proxies"] if strip.pick((False, False, True)) else []
    voters = [(person, None) for person in people] + [(row["agent"], row["principal"]) for row in granted]
    rows = []
    for place, (voter, principal) in enumerate(voters):
        by_pattern = pattern[place % len(pattern)] if pattern else None
        number = strip.number() % 6 if by_pattern == "any" else by_pattern
        if number is None or number == 5:
            continue
        rows.append(
            {
                "seq": 0,
                "voter": voter,
                "on_behalf_of": principal,
                "capacity": "self" if principal is None else "proxy",
                "units": "all",
                "choice": choices[number % len(choices)],
                "channel": "bot",
                "at": written(DAY + 60 * place, strip),
            }
        )
    return rows


def election(
    head: Strip,
    units: list[bytes],
    proxies: list[bytes],
    legal_agents: list[bytes],
    ballots: list[bytes],
    choices: Sequence[Any],
    instructions: Sequence[Any],
    of_first_round: Sequence[Any],
    thresholds: Sequence[Sequence[Any]],
) -> dict[str, Any]:
    """A case without its verdict; `choices` are drawn with null and with what is no choice."""
    patterns: Sequence[Sequence[Any]]
    options = policy(head)
    areas = head.pick(AREAS)
    staged = head.pick((False, False, False, True))  # one owner, one home, one ballot, and no accident
    if staged:  # as many as come out even
        patterns = [head.pick(thresholds)]
        size = len(patterns[0])
        units = [units[number % len(units)] for number in range(-(-len(units) // size) * size)]
    else:
        patterns = PATTERNS
    rows = [roster_unit(Strip(data), number, areas) for number, data in enumerate(units)]
    if staged:
        options["scope"] = {"buildings": None, "entrances": None}
        alone = {
            "kind": "residential",
            "status": "sold_delivered",
            "developer": None,
            "buyers": [],
            "rep": None,
        }
        rows = [{**row, **alone, "owners": [f"P{number + 1}"]} for number, row in enumerate(rows)]
        proxies = legal_agents = ballots = []
    # Who has more homes stands here more often.
    voters = [name for unit in rows for name in entitled(unit)] or ["P1"]
    people = list(dict.fromkeys(voters))
    reached = head.pick((0xFF, 0xFF, 0xF0, 0xAA, 0x01, 0x00))
    roster = {
        "record_date": "2025-05-31",
        "units": rows,
        "proxies": [proxy(Strip(data), voters, rows, instructions) for data in proxies],
        "legal_agents": [legal_agent(Strip(data), voters) for data in legal_agents],
        "undelivered_owners": [name for place, name in enumerate(people) if not reached >> (place % 8) & 1],
    }
    opens_at, deadline = written(0, head), written(DEADLINE, head)
    backwards = head.pick((False,) * 7 + (True,))
    strewn = [ballot(Strip(data), voters, roster, choices) for data in ballots]
    plain = first_round(head, roster, people, of_first_round, patterns)
    cast_ballots = [*strewn, *plain] if head.pick((False, False, True)) else [*plain, *strewn]
    for place, row in enumerate(cast_ballots):
        row["seq"] = len(cast_ballots) - place if backwards else place + 1  # the list's order is what counts
    return {
        "name": "drawn",
        "rule": head.pick(("ordinary", "special")),
        "why": "",
        "policy_note": "",
        "uses_defaults": False,
        "options": options,
        "opens_at": opens_at,
        "deadline": deadline,
        "roster": roster,
        "ballots": cast_ballots,
    }


PARTS = (
    strips(24, 2, 9),  # units
    strips(20, 0, 4),  # proxies
    strips(3, 0, 3),  # legal agents
    strips(16, 0, 16),  # ballots
)


def statutory_cases() -> st.SearchStrategy[dict[str, Any]]:
    """Statutory votes, as the vectors have them, but without `expected`."""

    def build(head: bytes, *parts: list[bytes]) -> dict[str, Any]:
        return unshared(
            election(
                Strip(head),
                *parts,
                choices=(*CHOICES * 4, None),
                instructions=(None, None, *CHOICES),
                of_first_round=("for", "against", "for", "abstain"),
                thresholds=[(0, 1), (0, 0, 1), (0, 0, 0, 1), (0, 0, None), (0, 1, None)],
            )
        )

    return st.builds(build, st.binary(min_size=96, max_size=96), *PARTS)


def poll_cases() -> st.SearchStrategy[dict[str, Any]]:
    """Polls: the same cases, with floors, lists of homes, and several choices."""

    def build(head: bytes, settings: bytes, *parts: list[bytes]) -> dict[str, Any]:
        strip = Strip(settings)
        poll = poll_policy(strip)
        choices, instructions, of_first_round = poll_choices(poll, strip)
        case = election(
            Strip(head),
            *parts,
            choices=choices,
            instructions=instructions,
            of_first_round=of_first_round,
            thresholds=[AT_THRESHOLD[poll["threshold"]]],
        )
        for unit in case["roster"]["units"]:
            unit["floor"] = strip.pick(("1", "1", "2", None))
        options, ids = case["options"], [unit["id"] for unit in case["roster"]["units"]]
        options["silence"] = strip.pick(
            ("not_participating", "not_participating", "abstain_participating", "follow_majority")
        )
        options["multi_unit"] = strip.pick(("owner_wide", "per_unit"))  # the electorate decides instead
        floors = strip.pick((0,) * 9 + (None, ["1"], ["1", "2"], ["2", "9"], []))
        homes = strip.pick((0,) * 9 + (None, ids[:1], ids[1:], [*ids[::2], "9-999"], []))
        if floors != 0:
            options["scope"]["floors"] = floors
        if homes != 0:
            options["scope"]["homes"] = homes
        return unshared({**case, "rule": None, "poll": poll})

    return st.builds(build, st.binary(min_size=96, max_size=96), st.binary(min_size=32, max_size=32), *PARTS)


def poll_policy(strip: Strip) -> dict[str, Any]:
    """What a poll asks, and what it needs."""
    question = strip.pick(("yes_no", "choose", "choose"))
    return {
        "electorate": strip.pick(("homes", "persons")),
        "weight": strip.pick(("heads", "area", "both")),
        "quorum": strip.pick(("1/2", "1/2", "0/1", "0/1", "0/1", "1/3", "2/3", "1/1", "1/4")),
        "threshold": strip.pick(("1/2", "plurality", "2/3", "plurality", "3/4")),
        "of": strip.pick(("for_against", "cast", "eligible")),
        "question": question,
        "choices": list(NAMES[: strip.pick((2, 3, 3, 4, 1))]) if question == "choose" else [],
        "most": strip.pick((1, 1, 2, 2, 3)) if question == "choose" else 1,
        "visible": strip.pick(("by_room", "totals", "named")),
    }


def poll_choices(poll: dict[str, Any], strip: Strip) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """What ballots say, what proxies instruct, and what the first round says."""
    if poll["question"] == "yes_no":
        choices = (*CHOICES * 3, None, *CHOICES * 3, [], ["for"], "swing")
        return choices, (None, None, *CHOICES), ("for", "against", "for", "abstain")
    names = poll["choices"]
    some = [[name] for name in names]
    if poll["most"] > 1 and len(names) > 1:
        some += [names[:2], names[1::-1]] * 2 + [names[-2:], names[: poll["most"]]]
    rival = strip.pick((some[-1], []))  # of the first; or none of these
    wrong = [["moon"], [names[0], names[0]], "for", names[0]]
    if poll["most"] < len(names):
        wrong.append(names[: poll["most"] + 1])
    choices = (*some * 3, [], [], "abstain", "abstain", None, *wrong)
    return choices, (None, None, "abstain", [], *some), (some[0], rival, *some, [], "abstain")


def unshared(case: dict[str, Any]) -> dict[str, Any]:
    """The case with no list that stands in it twice, as if it had been read from a file."""
    result: dict[str, Any] = json.loads(json.dumps(case))
    return result
