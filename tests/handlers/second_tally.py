"""A second count of the votes, written from the rules alone, against which the product's count is held.

It shares no code with the product, and it is as slow and as literal as it can be: fractions, sets and loops,
in the order of docs/votes.md, so that somebody can read it beside the rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

# A choice: "for", "against", "abstain", or, where one chooses among several, the set of what was chosen.
Choice = str | frozenset[str]

STRENGTH = ("counted", "conflict", "superseded", "rejected")


@dataclass(frozen=True)
class Unit:
    """A unit in scope, with those who may vote for it."""

    id: str
    area: Fraction
    owners: frozenset[str]
    rep: str | None


@dataclass(frozen=True)
class Ballot:
    """A ballot that was admitted, with the slots that it reaches."""

    place: int  # in the list of ballots
    principal: str
    capacity: str
    channel: str
    choice: Choice
    reaches: tuple[int, ...]


# --- who may vote


def units_in_scope(case: Mapping[str, Any]) -> list[Unit]:
    """The units that are kept, in the order of the roster."""
    options = case["options"]
    scope = options["scope"]
    kept = []
    for unit in case["roster"]["units"]:
        if scope["buildings"] is not None and unit["building"] not in scope["buildings"]:
            continue
        entrance = unit["building"] + "/" + unit["entrance"]
        if scope["entrances"] is not None and entrance not in scope["entrances"]:
            continue
        if scope.get("floors") is not None and unit["floor"] not in scope["floors"]:
            continue
        if scope.get("homes") is not None and unit["id"] not in scope["homes"]:
            continue
        if unit["kind"] == "parking" and not options["parking_votes"]:
            continue
        kept.append(Unit(unit["id"], area_of(unit), owners_of(unit), unit["rep"]))
    return kept


def area_of(unit: Mapping[str, Any]) -> Fraction:
    """The area, from the register, else from the survey, else from the contract, else nothing."""
    if "area" in unit:
        return Fraction(unit["area"])
    for source in ("registered", "surveyed", "contract"):
        if unit["areas"][source] is not None:
            return Fraction(unit["areas"][source])
    return Fraction(0)


def owners_of(unit: Mapping[str, Any]) -> frozenset[str]:
    """The owners; of what is not sold or not delivered, the developer alone."""
    if unit["status"] == "sold_delivered":
        return frozenset(unit["owners"])
    return frozenset() if unit["developer"] is None else frozenset([unit["developer"]])


def persons_of(units: list[Unit], options: Mapping[str, Any]) -> list[list[Unit]]:
    """The units of each person, persons in the order of their first units."""
    persons: list[list[Unit]] = []
    if options["people_count"] == "per_unit":
        return [[unit] for unit in units]
    if options["person_merge"] == "exact_owner_set":
        for unit in units:
            for person in persons:
                if person[0].owners == unit.owners:
                    person.append(unit)
                    break
            else:
                persons.append([unit])
        return persons
    left = list(units)
    while left:
        person = [left.pop(0)]
        grown = True
        while grown:
            grown = False
            for unit in list(left):
                if any(unit.owners & member.owners for member in person):
                    person.append(unit)
                    left.remove(unit)
                    grown = True
        persons.append(person)
    return persons


def slots_of(units: list[Unit], persons: list[list[Unit]], multi_unit: str) -> list[list[Unit]]:
    """The units of each slot: a slot a person, or a slot a unit."""
    if multi_unit == "owner_wide":
        return [list(person) for person in persons]
    return [[unit] for unit in units]


def can_reach(slot: list[Unit], principal: str) -> bool:
    """Whether ballots of a principal reach a slot: one of its representatives, if it has any."""
    reps = {unit.rep for unit in slot if unit.rep is not None}
    return not reps or principal in reps


# --- which ballots are admitted


def instant(text: str) -> datetime:
    """A time that can be compared, whatever its offset."""
    return datetime.fromisoformat(text)


def meant(choice: Any) -> Any:
    """A choice that can be compared: of names, their set."""
    return frozenset(choice) if isinstance(choice, list) else choice


def is_choice(choice: Any, poll: Mapping[str, Any] | None) -> bool:
    """Whether that can be chosen in this vote."""
    if choice == "abstain":
        return True
    if poll is None or poll["question"] == "yes_no":
        return choice in ("for", "against")
    return (
        isinstance(choice, list)
        and all(name in poll["choices"] for name in choice)
        and len(set(choice)) == len(choice)
        and len(choice) <= poll["most"]
    )


def admit(
    case: Mapping[str, Any], units: list[Unit], slots: list[list[Unit]]
) -> tuple[list[Ballot], dict[int, str]]:
    """The admitted ballots in their order, and the codes of those that were not, by their places."""
    admitted: list[Ballot] = []
    codes: dict[int, str] = {}
    principals_by_proxy: dict[str, set[str]] = {}  # of each agent
    for place, ballot in enumerate(case["ballots"]):
        principal = ballot["voter"] if ballot["on_behalf_of"] is None else ballot["on_behalf_of"]
        choice = ballot["choice"]
        if choice is None and case["options"]["blank_ballot"] == "abstain":
            choice = "abstain"
        # The principal's own units in scope among those that the ballot names, and the slots that hold them.
        named = [
            unit
            for unit in units
            if principal in unit.owners and (ballot["units"] == "all" or unit.id in ballot["units"])
        ]
        touched = [number for number, slot in enumerate(slots) if any(unit in slot for unit in named)]
        others = principals_by_proxy.get(ballot["voter"], set()) - {principal}
        code = (
            time_code(case, ballot)
            or (None if is_choice(choice, case.get("poll")) else "INVALID_CHOICE")
            or (None if named else "NOT_ENTITLED")
            or capacity_code(case, ballot, principal, choice, [slots[number] for number in touched])
            or (None if any(can_reach(slots[n], principal) for n in touched) else "NOT_REPRESENTATIVE")
            or limit_code(case, ballot, others)
        )
        if code is not None:
            codes[place] = code
            continue
        if ballot["capacity"] == "proxy":
            principals_by_proxy.setdefault(ballot["voter"], set()).add(principal)
        reaches = tuple(number for number in touched if can_reach(slots[number], principal))
        admitted.append(
            Ballot(place, principal, ballot["capacity"], ballot["channel"], meant(choice), reaches)
        )
    return admitted, codes


def time_code(case: Mapping[str, Any], ballot: Mapping[str, Any]) -> str | None:
    """Test 1: not before the opening, not after the deadline."""
    if instant(ballot["at"]) < instant(case["opens_at"]):
        return "EARLY"
    if instant(ballot["at"]) > instant(case["deadline"]):
        return "LATE"
    return None


def capacity_code(
    case: Mapping[str, Any],
    ballot: Mapping[str, Any],
    principal: str,
    choice: Any,
    touched: list[list[Unit]],
) -> str | None:
    """Test 4: whether the voter may vote in that capacity."""
    voter, capacity = ballot["voter"], ballot["capacity"]
    if capacity == "self":
        for entry in case["roster"]["legal_agents"]:
            if entry["kind"] == "guardian" and entry["principal"] == voter:
                return "WARD_CANNOT_VOTE"
        return None
    if capacity in ("guardian", "legal_rep"):
        for entry in case["roster"]["legal_agents"]:
            if (entry["agent"], entry["principal"], entry["kind"]) == (voter, principal, capacity):
                return None
        return "AGENT_INVALID"
    if voter in case["options"]["proxy_barred"]:
        return "PROXY_BARRED"
    needed = {unit.id for slot in touched for unit in slot if principal in unit.owners}
    for proxy in case["roster"]["proxies"]:
        if proxy_holds(proxy, case["options"], ballot, principal, choice, needed):
            return None
    return "PROXY_INVALID"


def proxy_holds(
    proxy: Mapping[str, Any],
    options: Mapping[str, Any],
    ballot: Mapping[str, Any],
    principal: str,
    choice: Any,
    needed: set[str],
) -> bool:
    """Whether this proxy alone carries the ballot."""
    at = instant(ballot["at"])
    if proxy["agent"] != ballot["voter"] or proxy["principal"] != principal:
        return False
    if proxy["form"] != "written":
        return False
    if not instant(proxy["from"]) <= at <= instant(proxy["until"]):
        return False
    if proxy["revoked_at"] is not None and not at < instant(proxy["revoked_at"]):
        return False
    if proxy["units"] != "all" and not needed <= set(proxy["units"]):
        return False
    if options["proxy_follow_instruction"]:
        return proxy["instruction"] is None or meant(proxy["instruction"]) == meant(choice)
    return True


def limit_code(case: Mapping[str, Any], ballot: Mapping[str, Any], others: set[str]) -> str | None:
    """Test 6: how many other principals the agent has already voted for by proxy."""
    most = case["options"]["proxy_max_principals"]
    if ballot["capacity"] == "proxy" and most is not None and len(others) >= most:
        return "PROXY_LIMIT"
    return None


# --- what each slot says


def resolve(ballots: list[Ballot], options: Mapping[str, Any]) -> tuple[Choice | None, dict[int, str]]:
    """The choice of a slot (None if it takes no part), and what became of each ballot that reached it."""
    became: dict[int, str] = {}
    final: list[Ballot] = []
    principals: list[str] = []  # in the order of their earliest ballots
    for ballot in ballots:
        if ballot.principal not in principals:
            principals.append(ballot.principal)
    for principal in principals:
        mine = [ballot for ballot in ballots if ballot.principal == principal]
        # (a)
        if options["principal_vs_proxy"] == "principal_wins":
            mine = keep_if_any(mine, {b.place for b in mine if b.capacity != "proxy"}, became)
        # (b)
        if options["channel_conflict"] == "paper_wins":
            mine = keep_if_any(mine, {b.place for b in mine if b.channel == "paper"}, became)
        if options["channel_conflict"] == "electronic_wins":
            mine = keep_if_any(mine, {b.place for b in mine if b.channel == "bot"}, became)
        # (c)
        kept = mine[-1] if options["revote"] == "last" else mine[0]
        for ballot in mine:
            if ballot is not kept:
                became[ballot.place] = "superseded" if options["revote"] == "last" else "rejected:DUPLICATE"
        final.append(kept)
    if not final:
        return None, became
    # Across co-owners.
    if len({ballot.choice for ballot in final}) == 1:
        for ballot in final:
            became[ballot.place] = "counted"
        return final[0].choice, became
    if options["co_owner_no_rep"] in ("agree_or_invalid", "agree_or_abstain"):
        for ballot in final:
            became[ballot.place] = "conflict"
        return (None if options["co_owner_no_rep"] == "agree_or_invalid" else "abstain"), became
    if options["co_owner_no_rep"] == "first":
        decides, lost = next(b for b in final if b.principal == principals[0]), "rejected:NOT_REPRESENTATIVE"
    else:
        decides, lost = max(final, key=lambda ballot: ballot.place), "superseded"
    for ballot in final:
        became[ballot.place] = "counted" if ballot is decides else lost
    return decides.choice, became


def keep_if_any(ballots: list[Ballot], places: set[int], became: dict[int, str]) -> list[Ballot]:
    """Only the ballots at some places, if there are any; the others are superseded."""
    if not places:
        return ballots
    for ballot in ballots:
        if ballot.place not in places:
            became[ballot.place] = "superseded"
    return [ballot for ballot in ballots if ballot.place in places]


@dataclass(frozen=True)
class Resolved:
    """What the slots say, which of them any admitted ballot reached, and what became of every ballot."""

    choices: list[Choice | None]
    reached: set[int]
    outcomes: list[str]


def resolve_all(case: Mapping[str, Any], units: list[Unit], slots: list[list[Unit]]) -> Resolved:
    """Admit the ballots, resolve every slot, and give each ballot its strongest outcome."""
    admitted, codes = admit(case, units, slots)
    choices: list[Choice | None] = []
    reached: set[int] = set()
    statuses: dict[int, list[str]] = {ballot.place: [] for ballot in admitted}
    for number in range(len(slots)):
        here = [ballot for ballot in admitted if number in ballot.reaches]
        if here:
            reached.add(number)
        choice, became = resolve(here, case["options"])
        choices.append(choice)
        for place, status in became.items():
            statuses[place].append(status)
    outcomes = []
    for place in range(len(case["ballots"])):
        if place in codes:
            outcomes.append("rejected:" + codes[place])
        else:
            outcomes.append(strongest(statuses[place]))
    return Resolved(choices, reached, outcomes)


def strongest(statuses: list[str]) -> str:
    """The strongest status; of two rejections, that of the first slot in the roster's order."""
    for strength in STRENGTH:
        for status in statuses:
            if status.split(":")[0] == strength:
                return status
    raise AssertionError("an admitted ballot reaches a slot")


# --- sums, and how they are written


def written(number: Fraction) -> str:
    """An area with all its decimals, at least two."""
    decimals = 2
    while (number * 10**decimals).denominator != 1:
        decimals += 1
    digits = str((number * 10**decimals).numerator).zfill(decimals + 1)
    return digits[:-decimals] + "." + digits[-decimals:]


def over(part: Fraction, whole: Fraction) -> Fraction | None:
    """A share; of nothing, there is none."""
    return None if whole == 0 else part / whole


def fraction(share: Fraction | None) -> str | None:
    """A reduced fraction, as text."""
    return None if share is None else f"{share.numerator}/{share.denominator}"


@dataclass
class Sum:
    """Area and people (or heads)."""

    area: Fraction = Fraction(0)
    people: Fraction = Fraction(0)

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.area + other.area, self.people + other.people)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(self.area - other.area, self.people - other.people)

    def shown(self, people: str = "people") -> dict[str, Any]:
        return {"area": written(self.area), people: int(self.people)}


def whole_area(units: Iterable[Unit]) -> Fraction:
    """The area of some units together."""
    return sum((unit.area for unit in units), Fraction(0))


# --- statutory


def count(case: Mapping[str, Any]) -> dict[str, Any]:
    """Count a statutory vote: the `expected` of a case."""
    options = case["options"]
    units = units_in_scope(case)
    persons = persons_of(units, options)
    slots = slots_of(units, persons, options["multi_unit"])
    resolved = resolve_all(case, units, slots)

    total = Sum(whole_area(units), Fraction(len(persons)))
    says: dict[str, Any] = {}  # what each unit says
    for slot, choice in zip(slots, resolved.choices, strict=True):
        for unit in slot:
            says[unit.id] = choice

    sides = {"for": Sum(), "against": Sum(), "abstain": Sum()}
    for unit in units:
        if says[unit.id] is not None:
            sides[says[unit.id]].area += unit.area
    for person in persons:
        said = {says[unit.id] for unit in person} - {None}
        if len(said) == 1:
            sides[said.pop()].people += 1
        elif said:
            sides["abstain"].people += 1
    cast = sides["for"] + sides["against"] + sides["abstain"]

    # Silence: of the persons that no admitted ballot reached.
    reached = {unit.id for number in resolved.reached for unit in slots[number]}
    deemed = Sum()
    side = None
    if options["silence"] != "not_participating":
        undelivered = set(case["roster"]["undelivered_owners"])
        for person in persons:
            silent = all(unit.id not in reached for unit in person)
            owners = {owner for unit in person for owner in unit.owners}
            if silent and owners - undelivered:
                deemed += Sum(whole_area(person), Fraction(1))
        if deemed.people > 0:
            side = "abstain"
            yes, no = sides["for"], sides["against"]
            if options["silence"] == "follow_majority":
                if yes.area > no.area and yes.people > no.people:
                    side = "for"
                if yes.area < no.area and yes.people < no.people:
                    side = "against"
            sides[side] += deemed

    participating = cast + deemed
    base = participating if options["abstain_in_denominator"] else sides["for"] + sides["against"]
    participation_area = over(participating.area, total.area)
    participation_people = over(participating.people, total.people)
    for_area = over(sides["for"].area, base.area)
    for_people = over(sides["for"].people, base.people)
    takes_part = [
        at_least(participation_area, Fraction(2, 3)),
        at_least(participation_people, Fraction(2, 3)),
    ]
    if case["rule"] == "ordinary":
        approved = [more_than(for_area, Fraction(1, 2)), more_than(for_people, Fraction(1, 2))]
    else:
        approved = [at_least(for_area, Fraction(3, 4)), at_least(for_people, Fraction(3, 4))]
    if not all(takes_part):
        reason = "INVALID_PARTICIPATION_" + failing(takes_part)
    elif not all(approved):
        reason = "REJECTED_APPROVAL_" + failing(approved)
    else:
        reason = "PASSED"
    return {
        "total": total.shown(),
        "cast": cast.shown(),
        "deemed": {**deemed.shown(), "as": side},
        "participating": participating.shown(),
        "not_participating": (total - participating).shown(),
        "for": sides["for"].shown(),
        "against": sides["against"].shown(),
        "abstain": sides["abstain"].shown(),
        "ratios": {
            "participation_area": fraction(participation_area),
            "participation_people": fraction(participation_people),
            "for_area": fraction(for_area),
            "for_people": fraction(for_people),
        },
        "valid": all(takes_part),
        "passed": all(takes_part) and all(approved),
        "reason": reason,
        "ballot_outcomes": resolved.outcomes,
    }


def at_least(share: Fraction | None, bound: Fraction) -> bool:
    """Whether a share reaches a bound; a share of nothing does not."""
    return share is not None and share >= bound


def more_than(share: Fraction | None, bound: Fraction) -> bool:
    """Whether a share exceeds a bound; a share of nothing does not."""
    return share is not None and share > bound


def failing(held: list[bool]) -> str:
    """Which of area and people fails."""
    if not any(held):
        return "BOTH"
    return "PEOPLE" if held[0] else "AREA"


# --- polls


def count_poll(case: Mapping[str, Any]) -> dict[str, Any]:
    """Count a poll."""
    poll = case["poll"]
    units = units_in_scope(case)
    persons = persons_of(units, case["options"])
    slots = slots_of(units, persons, {"homes": "per_unit", "persons": "owner_wide"}[poll["electorate"]])
    resolved = resolve_all(case, units, slots)

    names = ["for", "against"] if poll["question"] == "yes_no" else [*poll["choices"], ""]
    counts = {name: Sum() for name in names}
    total, cast, abstain = Sum(), Sum(), Sum()
    for slot, choice in zip(slots, resolved.choices, strict=True):
        size = Sum(whole_area(slot), Fraction(1))
        total += size
        if choice is None:
            continue
        cast += size
        if choice == "abstain":
            abstain += size
        elif isinstance(choice, str):
            counts[choice] += size
        elif not choice:
            counts[""] += size
        else:
            for name in choice:
                counts[name] += size
    decided = cast - abstain

    measures = {"heads": ["people"], "area": ["area"], "both": ["people", "area"]}[poll["weight"]]
    base = {"for_against": decided, "cast": cast, "eligible": total}[poll["of"]]
    quorum_met = all(
        at_least(over(getattr(cast, measure), getattr(total, measure)), Fraction(poll["quorum"]))
        for measure in measures
    )

    def adopted(ties_win: bool) -> list[str]:
        """What is adopted; or what would be, if "at least" were enough everywhere."""
        candidates = ["for"] if poll["question"] == "yes_no" else poll["choices"]
        return [
            name
            for name in candidates
            if all(
                qualifies(
                    name,
                    {other: getattr(counts[other], measure) for other in names},
                    getattr(base, measure),
                    poll,
                    ties_win,
                )
                for measure in measures
            )
        ]

    result = adopted(ties_win=False) if quorum_met else []
    if not quorum_met:
        reason = "QUORUM_NOT_MET"
    elif result:
        reason = "ADOPTED"
    elif adopted(ties_win=True):
        reason = "TIED"
    else:
        reason = "NOT_ADOPTED"
    return {
        "total": total.shown("heads"),
        "cast": cast.shown("heads"),
        "decided": decided.shown("heads"),
        "abstain": abstain.shown("heads"),
        "counts": {name: amount.shown("heads") for name, amount in counts.items()},
        "quorum_met": quorum_met,
        "adopted": result,
        "reason": reason,
        "ballot_outcomes": resolved.outcomes,
    }


def qualifies(
    name: str, amounts: Mapping[str, Fraction], base: Fraction, poll: Mapping[str, Any], ties_win: bool
) -> bool:
    """Whether something is adopted by one measure alone."""
    mine = amounts[name]
    if not mine > 0:
        return False
    if poll["threshold"] == "1/2" and not exceeds(mine, base / 2, ties_win):
        return False
    if poll["threshold"] == "2/3" and not mine >= base * Fraction(2, 3):
        return False
    if poll["threshold"] == "3/4" and not mine >= base * Fraction(3, 4):
        return False
    if poll["question"] == "yes_no":
        return poll["threshold"] != "plurality" or exceeds(mine, amounts["against"], ties_win)
    if not exceeds(mine, amounts[""], ties_win):
        return False
    rivals = [amounts[other] for other in poll["choices"] if other != name]
    if ties_win:
        before = [amount for amount in rivals if amount > mine]
    else:
        before = [amount for amount in rivals if amount >= mine]
    return len(before) < poll["most"]


def exceeds(mine: Fraction, bound: Fraction, ties_win: bool) -> bool:
    """More than; or, if ties win, at least."""
    return mine >= bound if ties_win else mine > bound
