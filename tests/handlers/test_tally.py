"""The count of votes: worked cases, corners, and thousands of random votes that two implementations must agree on."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import tally
from tests.handlers import second_tally
from tests.handlers.elections import poll_cases, statutory_cases

Case = dict[str, Any]
HERE = Path(__file__).parent / "votes"
SCHEMA = json.loads((HERE / "schema.json").read_text(encoding="utf-8"))
WORKED = json.loads((HERE / "dev.json").read_text(encoding="utf-8"))["cases"]
BOTH = [pytest.param(tally, id="product"), pytest.param(second_tally, id="second")]


def thoroughly(examples: int) -> settings:
    """So many votes, the same ones in every run."""
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None)


# --- worked cases, and the form of all cases


@pytest.mark.parametrize("counter", BOTH)
@pytest.mark.parametrize("case", WORKED, ids=lambda case: case["name"])
def test_worked_case(case: Case, counter: Any) -> None:
    assert counter.count(case) == case["expected"]


@pytest.mark.parametrize("counter", BOTH)
def test_counting_leaves_the_case_as_it_was(counter: Any) -> None:
    before = json.dumps(WORKED)
    for case in WORKED:
        counter.count(case)
    assert json.dumps(WORKED) == before


def faults(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Where a value breaks a schema: of JSON Schema, what schema.json uses."""
    if "$ref" in schema:
        yield from faults(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    named = schema.get("type", [])
    if named and type(value) not in [kinds[kind] for kind in ([named] if isinstance(named, str) else named)]:
        yield f"{path}: is no {named}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: is none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path}: is not like {schema['pattern']}"
    if isinstance(value, int) and value < schema.get("minimum", value):
        yield f"{path}: is too small"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{path}: is too short"
        for place, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), f"{path}/{place}")
    if isinstance(value, dict):
        yield from (f"{path}: misses {key}" for key in schema.get("required", []) if key not in value)
        for key, item in value.items():
            allowed = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
            if allowed is False:
                yield f"{path}: has {key}"
            else:
                yield from faults(item, allowed, f"{path}/{key}")
    if "oneOf" in schema and sum(not list(faults(value, option, path)) for option in schema["oneOf"]) != 1:
        yield f"{path}: is not one of the alternatives"


def test_worked_cases_have_the_form_of_vectors() -> None:
    assert list(faults({"format": "owner-vote-vectors/1", "set": "dev", "cases": WORKED}, SCHEMA)) == []


def test_what_breaks_the_form_is_seen() -> None:
    broken = json.loads(json.dumps(WORKED[0]))
    broken["roster"]["units"][0]["area"] = "100"
    broken["options"]["revote"] = None
    assert len(list(faults(broken, SCHEMA["$defs"]["case"]))) == 2


@thoroughly(300)
@given(statutory_cases())
def test_drawn_votes_and_their_counts_have_the_form_of_vectors(case: Case) -> None:
    counted = {**case, "expected": second_tally.count(case)}
    assert list(faults(counted, SCHEMA["$defs"]["case"])) == []


# --- two implementations agree


@thoroughly(3000)
@given(statutory_cases())
def test_statutory_votes_are_counted_alike(case: Case) -> None:
    assert tally.count(case) == second_tally.count(case)


@thoroughly(1000)
@given(poll_cases())
def test_polls_are_counted_alike(case: Case) -> None:
    assert tally.count_poll(case) == second_tally.count_poll(case)


# --- the drawn votes are varied enough for that to mean something


def over_drawn(strategy: st.SearchStrategy[Case], examples: int, look: Callable[[Case], None]) -> None:
    """Look at so many drawn votes."""

    @thoroughly(examples)
    @given(strategy)
    def each(case: Case) -> None:
        look(case)

    each()


CODES = (
    "EARLY", "LATE", "INVALID_CHOICE", "NOT_ENTITLED", "WARD_CANNOT_VOTE", "AGENT_INVALID", "PROXY_BARRED",
    "PROXY_INVALID", "PROXY_LIMIT", "NOT_REPRESENTATIVE", "DUPLICATE",
)  # fmt: skip
OUTCOMES = {"counted", "conflict", "superseded", *("rejected:" + code for code in CODES)}
OPTIONS = SCHEMA["$defs"]["case"]["properties"]["options"]["properties"]
CLOSED_OPTIONS = {
    key: schema.get("enum", [False, True])
    for key, schema in OPTIONS.items()
    if "enum" in schema or schema.get("type") == "boolean"
}


def test_drawn_statutory_votes_show_everything() -> None:
    seen: Counter[Any] = Counter()

    def look(case: Case) -> None:
        result = second_tally.count(case)
        ratios, options = result["ratios"], case["options"]
        seen[result["reason"]] += 1
        seen.update(set(result["ballot_outcomes"]))
        seen.update((key, options[key]) for key in CLOSED_OPTIONS)
        seen["deemed", result["deemed"]["as"]] += 1
        for key in ("participation_area", "participation_people"):
            seen[key, "exact"] += ratios[key] == "2/3"
            seen[key, "nothing"] += ratios[key] is None
        for key in ("for_area", "for_people"):
            bound = {"ordinary": "1/2", "special": "3/4"}[case["rule"]]
            seen[key, case["rule"], "exact"] += result["valid"] and ratios[key] == bound
            seen[key, "nothing"] += ratios[key] is None
        seen["three decimals"] += any(
            len(result[key]["area"].split(".")[1]) > 2 for key in ("total", "cast", "for")
        )

    over_drawn(statutory_cases(), 3000, look)
    reasons = SCHEMA["$defs"]["case"]["properties"]["expected"]["properties"]["reason"]["enum"]
    wanted = {
        *reasons,
        *OUTCOMES,
        *((key, value) for key, values in CLOSED_OPTIONS.items() for value in values),
    }
    wanted |= {("deemed", side) for side in (None, "for", "against", "abstain")}
    assert {thing: seen[thing] for thing in {*wanted, *seen} if seen[thing] < 5} == {}


def other_values(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every option with each value that it does not have now."""
    lists = {
        "proxy_barred": ([], ["A1"], ["P1", "A2"]),
        "proxy_max_principals": (None, 0, 1, 2),
        "scope": (
            {"buildings": None, "entrances": None},
            {"buildings": ["1"], "entrances": None},
            {"buildings": None, "entrances": ["1/1", "1/2"]},
            {"buildings": [], "entrances": None},
        ),
    }
    for key, values in {**CLOSED_OPTIONS, **lists}.items():
        for value in values:
            if value != options[key]:
                yield key, value


def test_each_option_changes_the_counts_of_drawn_votes() -> None:
    changed: Counter[str] = Counter()
    enough = 5

    def look(case: Case) -> None:
        result = second_tally.count(case)
        for key, value in other_values(case["options"]):
            name = f"{key}: {value}"
            if key == "silence" and case["options"]["multi_unit"] == "per_unit":
                continue
            if changed[name] < enough:
                other = {**case, "options": {**case["options"], key: value}}
                changed[name] += second_tally.count(other) != result

    over_drawn(statutory_cases(), 1000, look)
    assert {name: times for name, times in changed.items() if times < enough} == {}
    assert len(changed) == sum(map(len, CLOSED_OPTIONS.values())) + 3 + 4 + 4


POLL_VALUES = {
    "electorate": ("homes", "persons"),
    "weight": ("heads", "area", "both"),
    "threshold": ("plurality", "1/2", "2/3", "3/4"),
    "of": ("for_against", "cast", "eligible"),
    "question": ("yes_no", "choose"),
    "most": (1, 2, 3),
    "visible": ("totals", "by_room", "named"),
}


def test_drawn_polls_show_everything() -> None:
    seen: Counter[Any] = Counter()

    def look(case: Case) -> None:
        poll, result = case["poll"], second_tally.count_poll(case)
        seen[poll["question"], result["reason"]] += 1
        seen.update(set(result["ballot_outcomes"]))
        seen.update((key, poll[key]) for key in POLL_VALUES)
        seen["adopted", min(len(result["adopted"]), 2)] += 1
        seen["some floors only"] += case["options"]["scope"].get("floors") is not None
        seen["some homes only"] += case["options"]["scope"].get("homes") is not None
        base = result[{"for_against": "decided", "cast": "cast", "eligible": "total"}[poll["of"]]]
        for measure in ("heads", "area"):
            if poll["weight"] not in (measure, "both"):
                continue
            parts = [
                amount[measure] for name, amount in result["counts"].items() if name not in ("against", "")
            ]
            shares = {
                Fraction(part) / Fraction(base[measure]) for part in parts if Fraction(base[measure]) > 0
            }
            for bound in ("1/2", "2/3", "3/4"):
                if poll["threshold"] == bound and result["quorum_met"]:
                    seen[measure, bound, "exact"] += Fraction(bound) in shares
            total = Fraction(result["total"][measure])
            exact = total > 0 and Fraction(result["cast"][measure]) / total == Fraction(poll["quorum"])
            seen["quorum", measure, "exact"] += exact
            seen["quorum", measure, "nothing"] += total == 0

    over_drawn(poll_cases(), 2000, look)
    wanted = {(key, value) for key, values in POLL_VALUES.items() for value in values} | OUTCOMES
    wanted |= {
        (question, reason)
        for question in POLL_VALUES["question"]
        for reason in ("QUORUM_NOT_MET", "ADOPTED", "TIED", "NOT_ADOPTED")
    }
    assert {thing: seen[thing] for thing in {*wanted, *seen} if seen[thing] < 5} == {}


# --- corners, by hand

DEFAULTS: dict[str, Any] = WORKED[0]["options"]


def unit(name: str, *owners: str, area: str = "100.00", **changes: Any) -> dict[str, Any]:
    """A delivered home in entrance 1 of the building that its name begins with."""
    return {
        "id": name, "building": name.split("-", maxsplit=1)[0], "entrance": "1", "kind": "residential",
        "status": "sold_delivered", "area": area, "owners": list(owners), "developer": None, "buyers": [],
        "rep": None, "floor": None, **changes,
    }  # fmt: skip


def ballot(voter: str, choice: Any, *units: str, **changes: Any) -> dict[str, Any]:
    """A ballot for all of one's units, or for some."""
    return {
        "seq": 1, "voter": voter, "on_behalf_of": None, "capacity": "self", "units": list(units) or "all",
        "choice": choice, "channel": "bot", "at": "2025-06-02T09:00:00+08:00", **changes,
    }  # fmt: skip


def by_proxy(agent: str, principal: str, choice: Any, *units: str, **changes: Any) -> dict[str, Any]:
    """A ballot that an agent casts."""
    return ballot(agent, choice, *units, on_behalf_of=principal, **{"capacity": "proxy", **changes})


def proxy(agent: str, principal: str, *units: str, **changes: Any) -> dict[str, Any]:
    """A written proxy for the whole vote."""
    return {
        "agent": agent, "principal": principal, "units": list(units) or "all",
        "from": "2025-06-01T00:00:00+08:00", "until": "2025-06-16T23:59:59+08:00",
        "instruction": None, "form": "written", "revoked_at": None, **changes,
    }  # fmt: skip


def legal(agent: str, principal: str, kind: str = "guardian") -> dict[str, str]:
    """Somebody who acts for another by law."""
    return {"agent": agent, "principal": principal, "kind": kind}


def vote(
    units: list[dict[str, Any]],
    ballots: list[dict[str, Any]],
    proxies: tuple[dict[str, Any], ...] = (),
    legal_agents: tuple[dict[str, str], ...] = (),
    undelivered: tuple[str, ...] = (),
    rule: str = "ordinary",
    **options: Any,
) -> Case:
    """A statutory vote under the defaults, but for some options."""
    return {
        "name": "", "rule": rule, "why": "", "policy_note": "", "uses_defaults": False,
        "options": {**DEFAULTS, **options},
        "opens_at": "2025-06-01T00:00:00+08:00", "deadline": "2025-06-16T23:59:59+08:00",
        "roster": {
            "record_date": "2025-05-31", "units": units, "proxies": list(proxies),
            "legal_agents": list(legal_agents), "undelivered_owners": list(undelivered),
        },
        "ballots": ballots,
    }  # fmt: skip


@pytest.fixture(params=BOTH)
def counter(request: pytest.FixtureRequest) -> Any:
    """The product's count, and the second one."""
    return request.param


def outcomes(counter: Any, case: Case) -> list[str]:
    """What became of the ballots, without the word that all rejections share."""
    return [outcome.removeprefix("rejected:") for outcome in counter.count(case)["ballot_outcomes"]]


def sums(counter: Any, case: Case, *keys: str) -> list[tuple[str, int]]:
    """Some sums of a count."""
    result = counter.count(case)
    return [(result[key]["area"], result[key]["people"]) for key in keys]


# Who is a person, and what is in scope


def test_an_empty_scope_keeps_nothing_and_nothing_is_valid(counter: Any) -> None:
    for scope in ({"buildings": [], "entrances": None}, {"buildings": None, "entrances": []}):
        result = counter.count(vote([unit("1-1", "P1")], [ballot("P1", "for")], scope=scope))
        assert result["total"] == {"area": "0.00", "people": 0}
        assert set(result["ratios"].values()) == {None}
        assert result["reason"] == "INVALID_PARTICIPATION_BOTH"
        assert result["ballot_outcomes"] == ["rejected:NOT_ENTITLED"]


def test_an_entrance_is_named_with_its_building(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("2-1", "P2"), unit("1-2", "P3", entrance="2")]
    case = vote(units, [], scope={"buildings": None, "entrances": ["1/1", "1", "9/9"]})
    assert sums(counter, case, "total") == [("100.00", 1)]


def test_units_without_any_area_make_a_vote_invalid_by_area_alone(counter: Any) -> None:
    nowhere = unit("1-1", "P1", areas={"registered": None, "surveyed": None, "contract": None})
    del nowhere["area"]
    result = counter.count(vote([nowhere], [ballot("P1", "for")]))
    assert result["reason"] == "INVALID_PARTICIPATION_AREA"
    assert result["ratios"]["participation_area"] is None
    assert result["ratios"]["participation_people"] == "1/1"


@pytest.mark.parametrize(
    ("areas", "total"),
    [
        (["0.005", "0.005"], "0.01"),
        (["0.005", "1.00"], "1.005"),
        (["66.670", "33.330"], "100.00"),
        (["0.0001", "0.10"], "0.1001"),
        (["0.00"], "0.00"),
    ],
)
def test_areas_are_exact_with_two_decimals_or_more(counter: Any, areas: list[str], total: str) -> None:
    units = [unit(f"1-{place}", f"P{place}", area=area) for place, area in enumerate(areas)]
    assert sums(counter, vote(units, []), "total") == [(total, len(areas))]


def test_owners_in_any_order_and_through_others_are_one_person(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("1-2", "P3"), unit("1-3", "P2", "P1"), unit("1-4", "P3", "P2")]
    assert sums(counter, vote(units, []), "total") == [("400.00", 3)]
    assert sums(counter, vote(units, [], person_merge="any_common_owner"), "total") == [("400.00", 1)]
    assert sums(counter, vote(units, [], people_count="per_unit"), "total") == [("400.00", 4)]


def test_units_without_owners_have_the_same_owners_but_none_in_common(counter: Any) -> None:
    units = [unit("1-1"), unit("1-2", status="unsold")]
    assert sums(counter, vote(units, []), "total") == [("200.00", 1)]
    assert sums(counter, vote(units, [], person_merge="any_common_owner"), "total") == [("200.00", 2)]
    assert sums(counter, vote(units, [], silence="abstain_participating"), "deemed") == [("0.00", 0)]


def test_owners_of_what_is_not_delivered_join_nobody(counter: Any) -> None:
    units = [unit("1-1", "P1", status="unsold", developer="D"), unit("1-2", "P1", developer="D")]
    assert sums(counter, vote(units, [], person_merge="any_common_owner"), "total") == [("200.00", 2)]


# Representatives


def test_a_representative_is_the_principal_and_not_the_hand(counter: Any) -> None:
    """The representative may be voted for, but does not carry the ballot of a co-owner."""
    units = [unit("1-1", "P1", "P2", rep="P1")]
    ballots = [by_proxy("P1", "P2", "against"), by_proxy("P2", "P1", "for")]
    case = vote(units, ballots, proxies=(proxy("P1", "P2"), proxy("P2", "P1")))
    assert outcomes(counter, case) == ["NOT_REPRESENTATIVE", "counted"]


def test_the_representative_of_one_unit_speaks_for_all_units_of_the_slot(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("1-2", "P2", "P1", rep="P2")]
    ballots = [ballot("P1", "for", "1-1"), ballot("P2", "against", "1-1")]
    assert outcomes(counter, vote(units, ballots)) == ["NOT_REPRESENTATIVE", "counted"]
    assert outcomes(counter, vote(units, ballots, multi_unit="per_unit")) == ["conflict", "conflict"]


def test_two_representatives_of_one_person_both_reach(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2", "P3", rep="P1"), unit("1-2", "P1", "P2", "P3", rep="P2")]
    ballots = [ballot("P1", "for"), ballot("P2", "against"), ballot("P3", "for")]
    assert outcomes(counter, vote(units, ballots)) == ["conflict", "conflict", "NOT_REPRESENTATIVE"]


def test_a_representative_out_of_scope_bars_nobody(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("2-1", "P1", "P2", rep="P2")]
    case = vote(units, [ballot("P1", "for")], scope={"buildings": ["1"], "entrances": None})
    assert outcomes(counter, case) == ["counted"]


def test_whom_a_ballot_does_not_reach_stays_silent(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1", "P2", rep="P2")]
    case = vote(units, [ballot("P1", "for")], silence="abstain_participating")
    assert outcomes(counter, case) == ["counted"]
    assert sums(counter, case, "for", "deemed") == [("100.00", 1), ("100.00", 1)]


def test_a_slot_out_of_reach_does_not_weigh_in_the_outcome(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2", rep="P2"), unit("1-2", "P1")]
    ballots = [ballot("P1", "for", "1-2"), ballot("P1", "against")]
    assert outcomes(counter, vote(units, ballots, revote="first")) == ["counted", "DUPLICATE"]


# Admitting


def test_the_first_test_that_fails_gives_the_code(counter: Any) -> None:
    late = "2025-06-17T00:00:00+08:00"
    ballots = [
        ballot("X", None, at=late),
        ballot("X", None),
        by_proxy("B", "X", "for"),
        by_proxy("B", "P1", "for"),
        by_proxy("A", "P1", "for"),
        ballot("P1", "for"),
        ballot("P2", "for"),
    ]
    case = vote(
        [unit("1-1", "P1", "P3", rep="P3"), unit("1-2", "P2")],
        ballots,
        proxies=(proxy("B", "P1"),),
        legal_agents=(legal("G", "P2"),),
        proxy_barred=["B"],
    )
    assert outcomes(counter, case) == [
        "LATE", "INVALID_CHOICE", "NOT_ENTITLED", "PROXY_BARRED", "PROXY_INVALID", "NOT_REPRESENTATIVE",
        "WARD_CANNOT_VOTE",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("at", "outcome"),
    [
        ("2025-05-31T16:00:00Z", "counted"),
        ("2025-05-31T15:59:59Z", "EARLY"),
        ("2025-06-01T05:59:59+14:00", "EARLY"),
        ("2025-05-31T12:00:00-04:00", "counted"),
        ("2025-06-16T15:59:59Z", "counted"),
        ("2025-06-16T16:00:00Z", "LATE"),
        ("2025-06-17T05:59:59+14:00", "counted"),
        ("2025-06-16T12:00:00-04:00", "LATE"),
    ],
)
def test_instants_are_compared_and_not_their_texts(counter: Any, at: str, outcome: str) -> None:
    assert outcomes(counter, vote([unit("1-1", "P1")], [ballot("P1", "for", at=at)])) == [outcome]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"from": "2025-06-02T01:00:00Z"}, "counted"),
        ({"from": "2025-06-02T01:00:01Z"}, "PROXY_INVALID"),
        ({"until": "2025-06-02T01:00:00Z"}, "counted"),
        ({"until": "2025-06-02T00:59:59Z"}, "PROXY_INVALID"),
        ({"revoked_at": "2025-06-02T01:00:00Z"}, "PROXY_INVALID"),
        ({"revoked_at": "2025-06-02T01:00:01Z"}, "counted"),
        ({"form": "oral"}, "PROXY_INVALID"),
        ({"instruction": "against"}, "PROXY_INVALID"),
        ({"instruction": "for"}, "counted"),
        ({"units": ["1-2"]}, "PROXY_INVALID"),
        ({"units": ["1-2", "1-1", "9-9"]}, "counted"),
    ],
)
def test_what_a_proxy_needs(counter: Any, changes: dict[str, Any], outcome: str) -> None:
    case = vote([unit("1-1", "P1")], [by_proxy("A", "P1", "for")], proxies=({**proxy("A", "P1"), **changes},))
    assert outcomes(counter, case) == [outcome]


def test_an_instruction_is_overlooked_only_if_the_policy_says_so(counter: Any) -> None:
    units, ballots = [unit("1-1", "P1")], [by_proxy("A", "P1", "for")]
    proxies = (proxy("A", "P1", instruction="against"),)
    assert outcomes(counter, vote(units, ballots, proxies, proxy_follow_instruction=False)) == ["counted"]


def test_a_blank_that_abstains_follows_the_instruction_to_abstain(counter: Any) -> None:
    proxies = (proxy("A", "P1", instruction="abstain"),)
    case = vote([unit("1-1", "P1")], [by_proxy("A", "P1", None)], proxies, blank_ballot="abstain")
    assert outcomes(counter, case) == ["counted"]


def test_a_proxy_covers_every_unit_of_the_slot_that_is_the_principals(counter: Any) -> None:
    """Also those that the ballot does not name; not those of others; and out of scope nothing."""
    units = [
        unit("1-1", "P1"),
        unit("1-2", "P1"),
        unit("2-1", "P1"),
        unit("1-3", "P1", "P2"),
        unit("1-4", "P2"),
    ]
    ballots, proxies = [by_proxy("A", "P1", "for", "1-1")], (proxy("A", "P1", "1-1", "1-2"),)
    scope = {"buildings": ["1"], "entrances": None}
    everywhere = vote(units, ballots, proxies)
    assert outcomes(counter, everywhere) == ["PROXY_INVALID"]
    assert outcomes(counter, vote(units, ballots, proxies, multi_unit="per_unit")) == ["counted"]
    assert outcomes(counter, vote(units, ballots, proxies, scope=scope)) == ["counted"]
    together = vote(units, ballots, proxies, scope=scope, person_merge="any_common_owner")
    assert outcomes(counter, together) == ["PROXY_INVALID"]
    together["roster"]["proxies"][0]["units"].append("1-3")
    assert outcomes(counter, together) == ["counted"]


def test_two_proxies_do_not_add_up(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1")]
    proxies = (proxy("A", "P1", "1-1"), proxy("A", "P1", "1-2"))
    assert outcomes(counter, vote(units, [by_proxy("A", "P1", "for")], proxies)) == ["PROXY_INVALID"]


def test_a_proxy_covers_also_the_slots_that_it_cannot_reach(counter: Any) -> None:
    """The proxy is looked at before the representatives are."""
    units = [unit("1-1", "P1"), unit("1-2", "P1", "P2", rep="P2")]
    case = vote(units, [by_proxy("A", "P1", "for")], (proxy("A", "P1", "1-1"),))
    assert outcomes(counter, case) == ["PROXY_INVALID"]


def test_an_agent_is_limited_in_other_principals_by_proxy(counter: Any) -> None:
    units = [unit(f"1-{n}", f"P{n}") for n in range(1, 5)] + [unit("1-9", "A")]
    ballots = [
        ballot("A", "for"),
        ballot("A", "for", on_behalf_of="P1", capacity="guardian"),
        by_proxy("A", "P2", "for"),
        by_proxy("A", "P2", "against"),
        by_proxy("A", "P3", "for"),
        by_proxy("B", "P3", "for"),
        ballot("P2", "for"),
    ]
    case = vote(
        units,
        ballots,
        proxies=tuple(proxy(agent, f"P{n}") for agent in "AB" for n in range(1, 5)),
        legal_agents=(legal("A", "P1"),),
        proxy_max_principals=1,
    )
    limited = ["counted", "counted", "superseded", "superseded", "PROXY_LIMIT", "counted", "counted"]
    assert outcomes(counter, case) == limited
    case["options"]["proxy_max_principals"] = 0
    assert outcomes(counter, case)[2:6] == ["PROXY_LIMIT"] * 4


def test_who_acts_by_law_is_entered_in_that_capacity(counter: Any) -> None:
    ballots = [
        ballot("G", "for", on_behalf_of="P1", capacity="legal_rep"),
        ballot("G", "for", on_behalf_of="P1", capacity="guardian"),
        ballot("P1", "for"),
        by_proxy("A", "P1", "for"),
        ballot("L", "for", on_behalf_of="P2", capacity="legal_rep"),
        ballot("P2", "for"),
    ]
    case = vote(
        [unit("1-1", "P1"), unit("1-2", "P2")],
        ballots,
        proxies=(proxy("A", "P1"),),
        legal_agents=(legal("G", "P1"), legal("L", "P2", "legal_rep")),
        principal_vs_proxy="latest",
    )
    # A ward gives a proxy, as far as the rules go; and only wards are kept from voting themselves.
    expected = ["AGENT_INVALID", "superseded", "WARD_CANNOT_VOTE", "counted", "superseded", "counted"]
    assert outcomes(counter, case) == expected


# One slot


def test_the_last_is_the_last_of_the_list(counter: Any) -> None:
    """Neither the time nor the number of a ballot orders it."""
    ballots = [
        ballot("P1", "for", at="2025-06-09T09:00:00+08:00", seq=2),
        ballot("P1", "against", at="2025-06-03T09:00:00+08:00", seq=1),
    ]
    assert outcomes(counter, vote([unit("1-1", "P1")], ballots)) == ["superseded", "counted"]
    assert outcomes(counter, vote([unit("1-1", "P1")], ballots, revote="first")) == ["counted", "DUPLICATE"]


def test_channels_are_compared_after_proxies_have_gone(counter: Any) -> None:
    ballots = [ballot("P1", "for"), by_proxy("A", "P1", "against", channel="paper")]
    units, proxies = [unit("1-1", "P1")], (proxy("A", "P1"),)
    case = vote(units, ballots, proxies, channel_conflict="paper_wins")
    assert outcomes(counter, case) == ["counted", "superseded"]
    latest = vote(units, ballots, proxies, channel_conflict="paper_wins", principal_vs_proxy="latest")
    assert outcomes(counter, latest) == ["superseded", "counted"]


def test_what_went_before_the_revote_is_superseded_and_no_duplicate(counter: Any) -> None:
    ballots = [ballot("P1", "for", channel="paper"), ballot("P1", "for"), ballot("P1", "against")]
    case = vote([unit("1-1", "P1")], ballots, channel_conflict="electronic_wins", revote="first")
    assert outcomes(counter, case) == ["superseded", "counted", "DUPLICATE"]


def test_first_goes_by_the_earliest_ballot_also_of_who_voted_again(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2", "P3")]
    ballots = [ballot("P1", "for"), ballot("P2", "against"), ballot("P3", "abstain"), ballot("P1", "abstain")]
    case = vote(units, ballots, co_owner_no_rep="first")
    # P3 says the same as P1, but is not the one who decides.
    assert outcomes(counter, case) == ["superseded", "NOT_REPRESENTATIVE", "NOT_REPRESENTATIVE", "counted"]
    assert sums(counter, case, "abstain", "cast") == [("100.00", 1), ("100.00", 1)]


def test_first_goes_by_the_ballots_of_the_slot_alone(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1", "P2")]
    ballots = [ballot("P1", "for", "1-1"), ballot("P2", "against"), ballot("P1", "for", "1-2")]
    case = vote(units, ballots, co_owner_no_rep="first")
    assert outcomes(counter, case) == ["counted", "counted", "NOT_REPRESENTATIVE"]


def test_last_goes_by_the_final_ballots(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2")]
    ballots = [ballot("P1", "for"), ballot("P2", "against"), ballot("P1", "for")]
    case = vote(units, ballots, co_owner_no_rep="last", revote="first")
    assert outcomes(counter, case) == ["superseded", "counted", "DUPLICATE"]
    case = vote(units, ballots, co_owner_no_rep="last")
    assert outcomes(counter, case) == ["superseded", "superseded", "counted"]


def test_who_agrees_is_counted_once(counter: Any) -> None:
    for option in ("agree_or_invalid", "agree_or_abstain", "first", "last"):
        case = vote(
            [unit("1-1", "P1", "P2")], [ballot("P1", "for"), ballot("P2", "for")], co_owner_no_rep=option
        )
        assert outcomes(counter, case) == ["counted", "counted"]
        assert sums(counter, case, "for") == [("100.00", 1)]


def test_of_two_rejections_the_first_slot_of_the_roster_gives_the_code(counter: Any) -> None:
    alone, shared = unit("1-1", "P1"), unit("1-2", "P1", "P2")
    ballots = [ballot("P2", "against"), ballot("P1", "for", "1-1"), ballot("P1", "for")]
    options = {"co_owner_no_rep": "first", "revote": "first"}
    assert outcomes(counter, vote([alone, shared], ballots, **options))[2] == "DUPLICATE"
    assert outcomes(counter, vote([shared, alone], ballots, **options))[2] == "NOT_REPRESENTATIVE"


def test_slots_stand_in_the_order_of_the_roster_and_not_of_the_persons(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("1-2", "P1", "P3"), unit("1-3", "P1", "P2")]
    ballots = [ballot("P1", "for", "1-2"), ballot("P2", "against", "1-3"), ballot("P1", "for", "1-2", "1-3")]
    case = vote(units, ballots, multi_unit="per_unit", co_owner_no_rep="first", revote="first")
    assert outcomes(counter, case) == ["counted", "counted", "DUPLICATE"]


def test_the_outcome_of_a_ballot_is_its_strongest(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1", "P2"), unit("1-3", "P1", "P3")]
    ballots = [ballot("P1", "for"), ballot("P2", "against"), ballot("P1", "against", "1-1")]
    assert outcomes(counter, vote(units, ballots[:2])) == ["counted", "conflict"]
    assert outcomes(counter, vote(units[:2], ballots)) == ["conflict", "conflict", "counted"]


# A person with several units


def test_units_that_differ_make_an_abstention_of_one_person(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1", area="30.00"), unit("1-3", "P1", area="7.00")]
    ballots = [ballot("P1", "for", "1-1"), ballot("P1", "against", "1-2")]
    case = vote(units, ballots, multi_unit="per_unit")
    expected = [("100.00", 0), ("30.00", 0), ("0.00", 1), ("130.00", 1), ("7.00", 0)]
    assert sums(counter, case, "for", "against", "abstain", "cast", "not_participating") == expected


def test_a_unit_in_conflict_is_no_voted_unit_unless_it_abstains(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("1-2", "P1", "P2")]
    ballots = [ballot("P1", "for"), ballot("P2", "against", "1-2")]
    case = vote(units, ballots, multi_unit="per_unit")
    assert sums(counter, case, "for", "abstain", "cast") == [("100.00", 1), ("0.00", 0), ("100.00", 1)]
    case = vote(units, ballots, multi_unit="per_unit", co_owner_no_rep="agree_or_abstain")
    assert sums(counter, case, "for", "abstain", "cast") == [("100.00", 0), ("100.00", 1), ("200.00", 1)]


# Silence and verdict


def test_who_is_in_conflict_is_not_silent(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2"), unit("1-2", "P3"), unit("1-3", "P4", "P5"), unit("1-4", "P6")]
    ballots = [ballot("P1", "for"), ballot("P2", "against"), ballot("P3", None)]
    case = vote(units, ballots, undelivered=("P4", "P6"), silence="abstain_participating")
    # P3's ballot is not admitted; P5 has the paper, and nobody of 1-4 has.
    assert sums(counter, case, "deemed", "not_participating") == [("200.00", 2), ("200.00", 2)]


@pytest.mark.parametrize(
    ("choices", "side"),
    [
        ("fff", "for"),
        ("aaa", "against"),
        ("ffa", "abstain"),  # more people for, as much area against
        ("fa", "abstain"),
        ("", "abstain"),
        ("fffaa", None),  # nobody is silent
    ],
)
def test_the_silent_follow_a_majority_of_both(counter: Any, choices: str, side: str | None) -> None:
    units = [unit(f"1-{n}", f"P{n}", area="200.00" if n == 2 else "100.00") for n in range(5)]
    words = {"f": "for", "a": "against"}
    ballots = [ballot(f"P{n}", words[choice]) for n, choice in enumerate(choices)]
    result = counter.count(vote(units, ballots, silence="follow_majority"))
    assert result["deemed"]["as"] == side
    assert result["deemed"]["people"] == 5 - len(choices)


def test_for_over_nothing_is_no_approval(counter: Any) -> None:
    case = vote([unit("1-1", "P1")], [ballot("P1", "abstain")], abstain_in_denominator=False)
    result = counter.count(case)
    assert (result["reason"], result["valid"]) == ("REJECTED_APPROVAL_BOTH", True)
    assert result["ratios"]["for_area"] is result["ratios"]["for_people"] is None
    case["options"]["abstain_in_denominator"] = True
    assert counter.count(case)["ratios"]["for_area"] == "0/1"


# Polls

HOUSES = [unit(f"1-{n}", f"P{n}") for n in range(6)]


def asked(
    units: list[dict[str, Any]],
    ballots: list[dict[str, Any]],
    options: dict[str, Any] | None = None,
    scope: dict[str, Any] | None = None,
    **poll: Any,
) -> Case:
    """A poll as it is by default, without a quorum."""
    case = vote(units, ballots, **(options or {}))
    case["options"]["scope"] = {"buildings": None, "entrances": None, **(scope or {})}
    asks = {
        "electorate": "homes", "weight": "heads", "quorum": "0/1", "threshold": "1/2", "of": "for_against",
        "question": "yes_no", "choices": [], "most": 1, "visible": "by_room", **poll,
    }  # fmt: skip
    return {**case, "rule": None, "poll": asks}


def choosing(*choices: Any, **poll: Any) -> Case:
    """A poll in which each home chooses."""
    ballots = [
        ballot(f"P{n}", choice if choice == "abstain" else list(choice)) for n, choice in enumerate(choices)
    ]
    return asked(HOUSES, ballots, **{"question": "choose", "choices": ["x", "y", "z"], **poll})


@pytest.mark.parametrize(
    ("choices", "poll", "adopted", "reason"),
    [
        (["x", "x", "y"], {}, ["x"], "ADOPTED"),
        (["x", "y"], {"threshold": "plurality"}, [], "TIED"),
        (["x", "x", "y", "y", "z"], {"threshold": "plurality"}, [], "TIED"),
        (["x", "y"], {}, [], "TIED"),  # both have half
        (["x", ""], {"threshold": "plurality"}, [], "TIED"),  # as much as none of these
        (["x", "", ""], {"threshold": "plurality"}, [], "NOT_ADOPTED"),
        (["", ""], {"threshold": "plurality"}, [], "NOT_ADOPTED"),
        (["abstain"], {"threshold": "plurality"}, [], "NOT_ADOPTED"),
        # Up to two: the first is adopted, those that tie for the second place are not.
        (["xy", "xz"], {"most": 2, "threshold": "plurality"}, ["x"], "ADOPTED"),
        (["zy", "zx", "y"], {"most": 2, "threshold": "plurality"}, ["y", "z"], "ADOPTED"),
        (["xy", "xz", "yz"], {"most": 2, "threshold": "2/3"}, [], "TIED"),
        (["xy", "xz", "yz"], {"most": 2, "threshold": "3/4"}, [], "NOT_ADOPTED"),
        (["xyz", "xyz"], {"most": 3, "threshold": "plurality"}, ["x", "y", "z"], "ADOPTED"),
        # None of these is decided, too; abstaining is cast only.
        (["x", "x", ""], {"threshold": "2/3"}, ["x"], "ADOPTED"),
        (["x", "x", "abstain"], {"threshold": "3/4"}, ["x"], "ADOPTED"),
        (["x", "x", "abstain"], {"threshold": "3/4", "of": "cast"}, [], "NOT_ADOPTED"),
        (["x", "x", "x"], {"of": "eligible"}, [], "TIED"),
        (["x", "x", "x", "x"], {"of": "eligible", "threshold": "2/3"}, ["x"], "ADOPTED"),
        (["x", "x", "x"], {"quorum": "1/2"}, ["x"], "ADOPTED"),
        (["x", "x"], {"quorum": "1/2"}, [], "QUORUM_NOT_MET"),
    ],
)
def test_choosing(
    counter: Any, choices: list[str], poll: dict[str, Any], adopted: list[str], reason: str
) -> None:
    result = counter.count_poll(choosing(*choices, **poll))
    assert (result["adopted"], result["reason"]) == (adopted, reason)


@pytest.mark.parametrize(
    ("choices", "poll", "reason"),
    [
        ("f", {}, "ADOPTED"),
        ("fa", {}, "TIED"),
        ("fa", {"threshold": "plurality"}, "TIED"),
        ("ffa", {"threshold": "2/3"}, "ADOPTED"),
        ("fffa", {"threshold": "3/4"}, "ADOPTED"),
        ("ffao", {"of": "cast"}, "TIED"),
        ("ffao", {}, "ADOPTED"),
        ("ffao", {"of": "cast", "threshold": "plurality"}, "ADOPTED"),
        ("", {}, "NOT_ADOPTED"),  # nothing is not a tie
        ("o", {"threshold": "plurality"}, "NOT_ADOPTED"),
        ("o", {"threshold": "2/3"}, "NOT_ADOPTED"),
    ],
)
def test_yes_or_no(counter: Any, choices: str, poll: dict[str, Any], reason: str) -> None:
    words = {"f": "for", "a": "against", "o": "abstain"}
    ballots = [ballot(f"P{n}", words[choice]) for n, choice in enumerate(choices)]
    result = counter.count_poll(asked(HOUSES, ballots, **poll))
    assert result["reason"] == reason
    assert result["adopted"] == (["for"] if reason == "ADOPTED" else [])


def test_every_measure_must_hold(counter: Any) -> None:
    units = [
        unit("1-1", "P1", area="10.00"),
        unit("1-2", "P2", area="10.00"),
        unit("1-3", "P3", area="50.00"),
    ]
    ballots = [ballot("P1", "for"), ballot("P2", "for"), ballot("P3", "against")]
    reasons = {
        weight: counter.count_poll(asked(units, ballots, weight=weight))["reason"]
        for weight in ("heads", "area", "both")
    }
    assert reasons == {"heads": "ADOPTED", "area": "NOT_ADOPTED", "both": "NOT_ADOPTED"}
    units[2]["area"] = "20.00"  # as much: by area a tie
    assert counter.count_poll(asked(units, ballots, weight="both"))["reason"] == "TIED"


def test_no_quorum_is_met_over_nothing(counter: Any) -> None:
    result = counter.count_poll(asked(HOUSES, [ballot("P1", "for")], scope={"floors": ["1"]}))
    assert (result["reason"], result["quorum_met"]) == ("QUORUM_NOT_MET", False)
    assert result["total"] == {"area": "0.00", "heads": 0}


def test_floors_and_homes_limit_the_scope(counter: Any) -> None:
    units = [unit("1-1", "P1", floor="1"), unit("1-2", "P2", floor="2"), unit("1-3", "P3", floor=None)]

    def homes(**scope: Any) -> int:
        heads: int = counter.count_poll(asked(units, [], scope=scope))["total"]["heads"]
        return heads

    assert homes() == homes(floors=None, homes=None) == 3
    assert homes(floors=["1", "2"]) == 2
    assert homes(homes=["1-1", "1-3", "9-9"]) == 2
    assert homes(floors=["2"], homes=["1-1"]) == 0


def test_the_electorate_says_what_a_head_is(counter: Any) -> None:
    units = [unit("1-1", "P1"), unit("1-2", "P1"), unit("1-3", "P2")]
    ballots = [ballot("P1", "for", "1-1"), ballot("P2", "against")]
    for multi_unit in ("owner_wide", "per_unit"):
        options = {"multi_unit": multi_unit, "silence": "abstain_participating"}
        result = counter.count_poll(asked(units, ballots, options, electorate="homes"))
        assert (result["total"]["heads"], result["cast"]) == (3, {"area": "200.00", "heads": 2})
        result = counter.count_poll(asked(units, ballots, options, electorate="persons"))
        assert (result["total"]["heads"], result["cast"]) == (2, {"area": "300.00", "heads": 2})


def test_the_same_set_is_the_same_choice(counter: Any) -> None:
    units = [unit("1-1", "P1", "P2")]
    ballots = [ballot("P1", ["x", "y"]), ballot("P2", ["y", "x"])]
    case = asked(units, ballots, question="choose", choices=["y", "x"], most=2)
    result = counter.count_poll(case)
    assert result["ballot_outcomes"] == ["counted", "counted"]
    assert result["counts"] == {
        "y": {"area": "100.00", "heads": 1},
        "x": {"area": "100.00", "heads": 1},
        "": {"area": "0.00", "heads": 0},
    }
    assert result["adopted"] == ["y", "x"]
    case["roster"]["proxies"] = [proxy("A", "P1", instruction=["y", "x"])]
    case["ballots"] = [by_proxy("A", "P1", ["x", "y"]), by_proxy("A", "P1", ["x"])]
    assert counter.count_poll(case)["ballot_outcomes"] == ["counted", "rejected:PROXY_INVALID"]


def test_what_cannot_be_chosen_is_no_choice(counter: Any) -> None:
    wrong = [["w"], ["x", "x"], ["x", "y", "z"], "for", "x", None]
    case = asked(
        HOUSES, [ballot("P1", choice) for choice in wrong], question="choose", choices=["x", "y", "z"]
    )
    case["poll"]["most"] = 2
    assert counter.count_poll(case)["ballot_outcomes"] == ["rejected:INVALID_CHOICE"] * len(wrong)
    yes_no = asked(HOUSES, [ballot("P1", choice) for choice in ([], ["for"], "x", "")])
    assert counter.count_poll(yes_no)["ballot_outcomes"] == ["rejected:INVALID_CHOICE"] * 4


def test_a_conflict_that_abstains_is_cast(counter: Any) -> None:
    units, ballots = [unit("1-1", "P1", "P2")], [ballot("P1", "for"), ballot("P2", "against")]
    for option, heads in (("agree_or_abstain", 1), ("agree_or_invalid", 0)):
        result = counter.count_poll(asked(units, ballots, {"co_owner_no_rep": option}))
        assert [result[key]["heads"] for key in ("cast", "abstain", "decided")] == [heads, heads, 0]
        assert result["ballot_outcomes"] == ["conflict", "conflict"]
