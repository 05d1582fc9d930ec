"""The tally: what a vote's ballots come to, exactly; a pure function of a frozen roster, a policy and the ballots.

The meaning of every field and option is sections 1 to 3 of docs/votes.md. Areas are integers, shares are fractions.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, NamedTuple

FORMAT = "linli-result/1"
SIDES = ("for", "against", "abstain")
READINGS = ("not_participating", "abstain_participating", "follow_majority")
REASONS = (
    "PASSED",
    *(
        f"{why}_{of}"
        for why in ("INVALID_PARTICIPATION", "REJECTED_APPROVAL")
        for of in ("AREA", "PEOPLE", "BOTH")
    ),
    *("ADOPTED", "QUORUM_NOT_MET", "TIED", "NOT_ADOPTED"),
)
"""Of a statutory vote, and of a poll."""
PARTICIPATION = Fraction(2, 3)
SPECIAL = Fraction(3, 4)
HALF = Fraction(1, 2)

Case = Mapping[str, Any]
"""A vote as section 1 needs it: rule, options, opens_at, deadline, roster, ballots; `poll` if it is one."""
Choice = Any
"""for, against or abstain; where one chooses among several, a frozenset of their names, or abstain."""


@dataclass(slots=True)
class Sum:
    """How much area, in the smallest unit in which the roster measures it, and how many heads."""

    area: int = 0
    heads: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.area + other.area, self.heads + other.heads)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(self.area - other.area, self.heads - other.heads)


MEASURES: Mapping[str, tuple[Callable[[Sum], int], ...]] = {
    "area": (lambda amount: amount.area,),
    "heads": (lambda amount: amount.heads,),
    "both": (lambda amount: amount.area, lambda amount: amount.heads),
}


# --- who may vote -----------------------------------------------------------------------------------


class Unit(NamedTuple):
    """A unit in scope: its area, and those who vote for it, each once and in order."""

    id: str
    area: int
    owners: tuple[str, ...]
    rep: str | None


@dataclass(slots=True)
class Slot:
    """What holds one choice: a unit, or all units of a person."""

    person: int
    units: list[Unit]
    area: int
    reps: frozenset[str]
    ballots: list["Ballot"] = field(default_factory=list)
    """Those that were admitted and reach it, in the order of the log."""
    choice: Choice | None = None
    """What they come to; None: it takes no part."""


@dataclass
class Electorate:
    """The units in scope, as persons and slots."""

    places: int
    """Decimals of the areas."""
    units: dict[str, Unit]
    """By their ids, in the order of the roster."""
    persons: list[list[Unit]]
    slots: list[Slot]
    slot_of: dict[str, int]
    """The slot of a unit, by its id."""
    slots_of: dict[str, list[int]]
    """The slots of an owner, once for each unit."""

    @property
    def total(self) -> Sum:
        """All in scope, by persons."""
        return Sum(sum(unit.area for unit in self.units.values()), len(self.persons))

    def touched(self, principal: str, named: Sequence[str] | str) -> list[int]:
        """The slots of the principal's units that a ballot names."""
        if named == "all":
            return list(dict.fromkeys(self.slots_of.get(principal, ())))
        # By those that are named, and not by all that are owned: one may own many, and vote for each by itself.
        theirs = (unit for unit in named if unit in self.units and principal in self.units[unit].owners)
        return list(dict.fromkeys(self.slot_of[unit] for unit in theirs))

    def owned_in(self, principal: str, slots: Iterable[int]) -> set[str]:
        """The principal's units in these slots."""
        return {unit.id for slot in slots for unit in self.slots[slot].units if principal in unit.owners}


def electorate_of(case: Case) -> Electorate:
    """Who votes for which units, before any ballot."""
    kept = _in_scope(case)
    areas = {unit["id"]: area_of(unit) or "0.00" for unit in kept}
    places = max([2, *(len(text.partition(".")[2]) for text in areas.values())])
    units = {
        unit["id"]: Unit(unit["id"], _scaled(areas[unit["id"]], places), owners_of(unit), unit["rep"])
        for unit in kept
    }
    persons = list(_persons(list(units.values()), case["options"]))
    person_of = {unit.id: number for number, theirs in enumerate(persons) for unit in theirs}
    slots: list[Slot] = []
    slot_of = {}
    # In the order in which the roster names them first: of two rejections the first one stands.
    for held in [[unit] for unit in units.values()] if _by_unit(case) else persons:
        slot_of.update({unit.id: len(slots) for unit in held})
        reps = frozenset(unit.rep for unit in held if unit.rep is not None)
        slots.append(Slot(person_of[held[0].id], held, sum(unit.area for unit in held), reps))
    slots_of = defaultdict(list)
    for unit in units.values():
        for owner in unit.owners:
            slots_of[owner].append(slot_of[unit.id])
    return Electorate(places, units, persons, slots, slot_of, dict(slots_of))


def _in_scope(case: Case) -> list[Mapping[str, Any]]:
    """The units that the scope keeps."""
    units, options = case["roster"]["units"], case["options"]
    kept = [unit for unit in units if unit["kind"] != "parking" or options["parking_votes"]]
    for name, key in SCOPES.items():
        only = options["scope"].get(name)
        if only is not None:
            among = set(only)
            kept = [unit for unit in kept if key(unit) in among]
    return kept


SCOPES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "buildings": lambda unit: unit["building"],
    "entrances": lambda unit: f"{unit['building']}/{unit['entrance']}",
    "floors": lambda unit: unit["floor"],
    "homes": lambda unit: unit["id"],
}


def area_of(unit: Mapping[str, Any]) -> str | None:
    """The area of a unit as its roster writes it, of several the one that goes before the others; None: not known."""
    areas = unit.get("areas", {})
    known = [unit.get("area"), *(areas.get(basis) for basis in ("registered", "surveyed", "contract"))]
    return next((str(area) for area in known if area is not None), None)


def _scaled(text: str, places: int) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(places, "0"))


def _shown(area: int, places: int) -> str:
    """An area as a decimal with two places, or as many as it needs."""
    digits = str(area).rjust(places + 1, "0")
    whole, part = digits[:-places], digits[-places:]
    return f"{whole}.{part[:2]}{part[2:].rstrip('0')}"


def owners_of(unit: Mapping[str, Any]) -> tuple[str, ...]:
    """Who votes for a unit, each once and in order."""
    if unit["status"] == "sold_delivered":
        return tuple(sorted(set(unit["owners"])))
    return () if unit["developer"] is None else (unit["developer"],)


def _by_unit(case: Case) -> bool:
    """Whether each unit holds a choice of its own."""
    poll = case.get("poll")
    return bool(poll["electorate"] == "homes" if poll else case["options"]["multi_unit"] == "per_unit")


def _persons(units: Sequence[Unit], options: Mapping[str, Any]) -> Iterator[list[Unit]]:
    """The units of each person, in the order in which the roster names the persons first."""
    if options["people_count"] == "per_unit":
        yield from ([unit] for unit in units)
        return
    merged = _connected(units) if options["person_merge"] == "any_common_owner" else {}
    groups: dict[Any, list[Unit]] = {}
    for unit in units:
        groups.setdefault(merged.get(unit.id, unit.owners), []).append(unit)
    yield from groups.values()


def _connected(units: Sequence[Unit]) -> dict[str, str]:
    """For each unit, by its id, one of the owners of all units to which shared owners connect it."""
    parent: dict[str, str] = {}

    def root(owner: str) -> str:
        parent.setdefault(owner, owner)
        while parent[owner] != owner:
            parent[owner] = parent[parent[owner]]
            owner = parent[owner]
        return owner

    for unit in units:
        for owner in unit.owners:
            parent[root(owner)] = root(unit.owners[0])
    # Without an owner nothing connects it to another: a name that no owner has.
    return {unit.id: root(unit.owners[0]) if unit.owners else f"\0{unit.id}" for unit in units}


# --- which ballots are admitted ---------------------------------------------------------------------


class Ballot(NamedTuple):
    """One ballot that was admitted: whose choice, by whom and how it came."""

    place: int
    """Where it stands among all ballots."""
    principal: str
    choice: Choice
    by_proxy: bool
    paper: bool


class Rejected(Exception):
    """A ballot is not admitted; its text is the code of section 1 that says why, such as LATE."""


class Admission:
    """The ballots in the order of the log: each is admitted to the slots that it reaches, or rejected with a code."""

    def __init__(self, case: Case, electorate: Electorate) -> None:
        """Nothing is admitted yet."""
        self.options = case["options"]
        self.poll = case.get("poll")
        self.electorate = electorate
        self.opens_at, self.deadline = instant(case["opens_at"]), instant(case["deadline"])
        roster = case["roster"]
        self.legal = {(each["kind"], each["agent"], each["principal"]) for each in roster["legal_agents"]}
        self.wards = {each["principal"] for each in roster["legal_agents"] if each["kind"] == "guardian"}
        self.proxies = defaultdict(list)
        for proxy in roster["proxies"]:
            self.proxies[proxy["agent"], proxy["principal"]].append(proxy)
        self.principals_of = defaultdict[str, set[str]](set)
        """For whom an agent was admitted by proxy."""

    def admit(self, place: int, ballot: Mapping[str, Any]) -> None:
        """Put the ballot into the slots that it reaches; raises Rejected with the code of the first test that fails."""
        at = instant(ballot["at"])
        if at < self.opens_at:
            raise Rejected("EARLY")
        if at > self.deadline:
            raise Rejected("LATE")
        choice = self._choice(ballot["choice"])
        if choice is None:
            raise Rejected("INVALID_CHOICE")
        voter, capacity = ballot["voter"], ballot["capacity"]
        principal = voter if ballot["on_behalf_of"] is None else ballot["on_behalf_of"]
        touched = self.electorate.touched(principal, ballot["units"])
        if not touched:
            raise Rejected("NOT_ENTITLED")
        if capacity == "self":
            if voter in self.wards:
                raise Rejected("WARD_CANNOT_VOTE")
        elif capacity == "proxy":
            self._check_proxy(voter, principal, touched, choice, at)
        elif (capacity, voter, principal) not in self.legal:
            raise Rejected("AGENT_INVALID")
        slots = map(self.electorate.slots.__getitem__, touched)
        reached = [slot for slot in slots if not slot.reps or principal in slot.reps]
        if not reached:
            raise Rejected("NOT_REPRESENTATIVE")
        if capacity == "proxy":
            self._take_principal(voter, principal)
        admitted = Ballot(place, principal, choice, capacity == "proxy", ballot["channel"] == "paper")
        for slot in reached:
            slot.ballots.append(admitted)

    def _choice(self, given: Any) -> Choice | None:
        """What was chosen; None: nothing that can be chosen here."""
        if given is None:
            return "abstain" if self.options["blank_ballot"] == "abstain" else None
        if isinstance(given, str):
            allowed = SIDES if not self._chooses else ("abstain",)
            return given if given in allowed else None
        if not self._chooses or self.poll is None:
            return None
        picked = frozenset(given)
        fits = len(picked) == len(given) <= self.poll["most"] and picked <= set(self.poll["choices"])
        return picked if fits else None

    @property
    def _chooses(self) -> bool:
        return self.poll is not None and self.poll["question"] == "choose"

    def _check_proxy(
        self, agent: str, principal: str, touched: Sequence[int], choice: Choice, at: datetime
    ) -> None:
        """Whether a paper lets the agent cast this choice for the principal at this instant."""
        if agent in self.options["proxy_barred"]:
            raise Rejected("PROXY_BARRED")
        needed = self.electorate.owned_in(principal, touched)
        follows = self.options["proxy_follow_instruction"]
        for paper in self.proxies.get((agent, principal), ()):
            covers = paper["units"] == "all" or needed <= set(paper["units"])
            told = self._choice(paper["instruction"]) if paper["instruction"] is not None else choice
            holds = (
                paper["form"] == "written"
                and instant(paper["from"]) <= at <= instant(paper["until"])
                and (paper["revoked_at"] is None or at < instant(paper["revoked_at"]))
            )
            if holds and covers and (told == choice or not follows):
                return
        raise Rejected("PROXY_INVALID")

    def _take_principal(self, agent: str, principal: str) -> None:
        """Let the agent have one more principal, if it is one more and there may be as many."""
        most = self.options["proxy_max_principals"]
        if most is not None and len(self.principals_of[agent] - {principal}) >= most:
            raise Rejected("PROXY_LIMIT")
        self.principals_of[agent].add(principal)


def instant(text: str) -> datetime:
    """An instant with its offset, "2026-06-01T09:00:00+08:00"; ValueError if the text is no time."""
    return datetime.fromisoformat(text)


# --- which of them decide ---------------------------------------------------------------------------

STRENGTH = {"counted": 3, "conflict": 2, "superseded": 1}
"""Of what became of a ballot in its slots the strongest stands; all others are rejections."""


class Outcomes:
    """What became of each ballot."""

    def __init__(self, many: int) -> None:
        """Nothing became of any yet."""
        self.of = [""] * many

    def mark(self, ballots: Iterable[Ballot], outcome: str) -> None:
        """What became of these in one slot."""
        for ballot in ballots:
            held = self.of[ballot.place]
            if not held or STRENGTH.get(outcome, 0) > STRENGTH.get(held, 0):
                self.of[ballot.place] = outcome


def _resolve(slot: Slot, options: Mapping[str, Any], outcomes: Outcomes) -> Choice | None:
    """The one choice of a slot; None: it takes no part."""
    by_principal: dict[str, list[Ballot]] = {}
    for ballot in slot.ballots:
        by_principal.setdefault(ballot.principal, []).append(ballot)
    finals = [_final(theirs, options, outcomes) for theirs in by_principal.values()]
    if len({final.choice for final in finals}) <= 1:
        outcomes.mark(finals, "counted")
        return finals[0].choice if finals else None
    rule = options["co_owner_no_rep"]
    if rule in ("agree_or_invalid", "agree_or_abstain"):
        outcomes.mark(finals, "conflict")
        return "abstain" if rule == "agree_or_abstain" else None
    if rule == "first":  # in the order of their earliest ballots
        decides, others = finals[0], "rejected:NOT_REPRESENTATIVE"
    else:
        decides, others = max(finals), "superseded"  # by their places
    outcomes.mark([decides], "counted")
    outcomes.mark([final for final in finals if final is not decides], others)
    return decides.choice


def _final(ballots: list[Ballot], options: Mapping[str, Any], outcomes: Outcomes) -> Ballot:
    """The one ballot of a principal that stands in a slot."""
    if options["principal_vs_proxy"] == "principal_wins":
        ballots = _prefer(ballots, lambda ballot: not ballot.by_proxy, outcomes)
    if options["channel_conflict"] == "paper_wins":
        ballots = _prefer(ballots, lambda ballot: ballot.paper, outcomes)
    elif options["channel_conflict"] == "electronic_wins":
        ballots = _prefer(ballots, lambda ballot: not ballot.paper, outcomes)
    if options["revote"] == "last":
        outcomes.mark(ballots[:-1], "superseded")
        return ballots[-1]
    outcomes.mark(ballots[1:], "rejected:DUPLICATE")
    return ballots[0]


def _prefer(ballots: list[Ballot], better: Callable[[Ballot], bool], outcomes: Outcomes) -> list[Ballot]:
    """Those that go before the others, if there are any; the others are superseded."""
    kept = [ballot for ballot in ballots if better(ballot)]
    if not kept:
        return ballots
    outcomes.mark((ballot for ballot in ballots if not better(ballot)), "superseded")
    return kept


@dataclass
class Counted:
    """A vote up to its verdict: every slot has its choice, and something became of each ballot."""

    case: Case
    electorate: Electorate
    outcomes: list[str]


def counted(case: Case) -> Counted:
    """Admit all ballots and resolve all slots."""
    with collector_paused():
        electorate = electorate_of(case)
        admission, outcomes = Admission(case, electorate), Outcomes(len(case["ballots"]))
        for place, ballot in enumerate(case["ballots"]):
            try:
                admission.admit(place, ballot)
            except Rejected as rejected:
                outcomes.of[place] = f"rejected:{rejected}"
        for slot in electorate.slots:
            slot.choice = _resolve(slot, case["options"], outcomes)
    return Counted(case, electorate, outcomes.of)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing made here needs the collector, which would look through a large case again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# --- the verdict of a statutory vote ----------------------------------------------------------------


def count(case: Case) -> dict[str, Any]:
    """The result of a statutory vote under its own policy, as `expected` in the vectors."""
    votes = counted(case)
    return _statutory(votes, _cast(votes), case["options"]["silence"])


def _cast(votes: Counted) -> dict[str, Sum]:
    """What was cast for each side: the area of the slots, and the persons, who count once."""
    sums = {side: Sum() for side in SIDES}
    says: dict[int, str] = {}
    for slot in votes.electorate.slots:
        if slot.choice is not None:
            sums[slot.choice].area += slot.area
            agrees = says.get(slot.person, slot.choice) == slot.choice
            says[slot.person] = slot.choice if agrees else "abstain"
    for said in says.values():
        sums[said].heads += 1
    return sums


def _deemed(votes: Counted, cast: Mapping[str, Sum], silence: str) -> tuple[Sum, str | None]:
    """What silence adds under a reading, and to which side; None: nothing."""
    if silence == "not_participating":
        return Sum(), None
    undelivered = set(votes.case["roster"]["undelivered_owners"])
    spoke = {slot.person for slot in votes.electorate.slots if slot.ballots}
    added = Sum()
    for number, units in enumerate(votes.electorate.persons):
        owners = {owner for unit in units for owner in unit.owners}
        if number not in spoke and not owners <= undelivered:
            added += Sum(sum(unit.area for unit in units), 1)
    if added.heads == 0:
        return added, None
    side = "abstain"
    if silence == "follow_majority":
        yes, no = cast["for"], cast["against"]
        if yes.area > no.area and yes.heads > no.heads:
            side = "for"
        elif yes.area < no.area and yes.heads < no.heads:
            side = "against"
    return added, side


def _statutory(votes: Counted, cast: Mapping[str, Sum], silence: str) -> dict[str, Any]:
    """The verdict under one reading of silence."""
    options, total = votes.case["options"], votes.electorate.total
    sums = dict(cast)
    deemed, side = _deemed(votes, cast, silence)
    if side is not None:
        sums[side] = sums[side] + deemed
    participating = sums["for"] + sums["against"] + sums["abstain"]
    base = participating if options["abstain_in_denominator"] else sums["for"] + sums["against"]
    ratios = {
        "participation_area": _ratio(participating.area, total.area),
        "participation_people": _ratio(participating.heads, total.heads),
        "for_area": _ratio(sums["for"].area, base.area),
        "for_people": _ratio(sums["for"].heads, base.heads),
    }
    takes_part = [ratios[f"participation_{of}"] for of in ("area", "people")]
    approves = [ratios[f"for_{of}"] for of in ("area", "people")]
    too_few = _failing([ratio is None or ratio < PARTICIPATION for ratio in takes_part])
    if votes.case["rule"] == "special":
        against = _failing([ratio is None or ratio < SPECIAL for ratio in approves])
    else:
        against = _failing([ratio is None or ratio <= HALF for ratio in approves])
    reason = "PASSED"
    if too_few:
        reason = f"INVALID_PARTICIPATION_{too_few}"
    elif against:
        reason = f"REJECTED_APPROVAL_{against}"
    places = votes.electorate.places

    def shown(amount: Sum) -> dict[str, Any]:
        return {"area": _shown(amount.area, places), "people": amount.heads}

    return {
        "total": shown(total),
        "cast": shown(cast["for"] + cast["against"] + cast["abstain"]),
        "deemed": {**shown(deemed), "as": side},
        "participating": shown(participating),
        "not_participating": shown(total - participating),
        **{name: shown(sums[name]) for name in SIDES},
        "ratios": {name: None if ratio is None else _fraction(ratio) for name, ratio in ratios.items()},
        "valid": not too_few,
        "passed": reason == "PASSED",
        "reason": reason,
        "ballot_outcomes": votes.outcomes,
    }


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _fraction(ratio: Fraction) -> str:
    return f"{ratio.numerator}/{ratio.denominator}"


def _failing(fails: Sequence[bool]) -> str:
    """Which of area and people fail, as a reason names them; empty: neither."""
    area, people = fails
    if area and people:
        return "BOTH"
    return "AREA" if area else "PEOPLE" if people else ""


# --- the verdict of a poll --------------------------------------------------------------------------


def count_poll(case: Case) -> dict[str, Any]:
    """The result of a poll: the sums of every choice ("" is 以上都不选), what is adopted, and the reason."""
    return _poll(counted(case))


def _poll(votes: Counted) -> dict[str, Any]:
    poll = votes.case["poll"]
    chooses = poll["question"] == "choose"
    sums = {name: Sum() for name in counted_apart(poll)}
    cast, abstain = Sum(), Sum()
    for slot in votes.electorate.slots:
        if slot.choice is None:
            continue
        one = Sum(slot.area, 1)
        cast += one
        if slot.choice == "abstain":
            abstain += one
            continue
        for name in (slot.choice or [""]) if chooses else [slot.choice]:
            sums[name] += one
    total = Sum(votes.electorate.total.area, len(votes.electorate.slots))
    amounts = {"total": total, "cast": cast, "decided": cast - abstain, "abstain": abstain}
    places = votes.electorate.places

    def shown(amount: Sum) -> dict[str, Any]:
        return {"area": _shown(amount.area, places), "heads": amount.heads}

    return {
        **{name: shown(amount) for name, amount in amounts.items()},
        "counts": {name: shown(amount) for name, amount in sums.items()},
        **_verdict(amounts, sums, poll),
        "ballot_outcomes": votes.outcomes,
    }


def counted_apart(poll: Mapping[str, Any]) -> list[str]:
    """What a poll has a sum of."""
    return [*poll["choices"], ""] if poll["question"] == "choose" else ["for", "against"]


def what_follows(poll: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Of a poll's result what its other sums tell: all that can be counted again where only totals are published."""
    given = [found[name] for name in ("total", "silent", "conflict", "abstain")]
    places = max(len(each["area"].partition(".")[2]) for each in (*given, *found["counts"].values()))

    def read(amount: Mapping[str, Any]) -> Sum:
        return Sum(_scaled(amount["area"], places), amount["heads"])

    total, silent, conflict, abstain = map(read, given)
    sums = {name: read(amount) for name, amount in found["counts"].items()}
    cast = total - silent - conflict
    decided = cast - abstain
    if poll["question"] == "yes_no":
        sums["against"] = decided - sums["for"]

    def shown(amount: Sum) -> dict[str, Any]:
        return {"area": _shown(amount.area, places), "heads": amount.heads}

    return {
        "cast": shown(cast),
        "decided": shown(decided),
        "counts": {name: shown(amount) for name, amount in sums.items()},
        **_verdict({"total": total, "cast": cast, "decided": decided}, sums, poll),
    }


def _verdict(amounts: Mapping[str, Sum], sums: Mapping[str, Sum], poll: Mapping[str, Any]) -> dict[str, Any]:
    quorum = _enough(amounts, poll)
    adopted = _adopted(amounts, sums, poll, ties=False) if quorum else []
    reason = "QUORUM_NOT_MET"
    if adopted:
        reason = "ADOPTED"
    elif quorum:
        reason = "TIED" if _adopted(amounts, sums, poll, ties=True) else "NOT_ADOPTED"
    return {"quorum_met": quorum, "adopted": adopted, "reason": reason}


def _enough(amounts: Mapping[str, Sum], poll: Mapping[str, Any]) -> bool:
    """Whether the quorum is met in every measure."""
    shares = [_ratio(of(amounts["cast"]), of(amounts["total"])) for of in MEASURES[poll["weight"]]]
    return all(share is not None and share >= Fraction(poll["quorum"]) for share in shares)


def _adopted(
    amounts: Mapping[str, Sum], sums: Mapping[str, Sum], poll: Mapping[str, Any], *, ties: bool
) -> list[str]:
    """What is adopted; with `ties`, what would be if a tie were no bar."""
    chooses = poll["question"] == "choose"
    able, against = (poll["choices"], "") if chooses else (["for"], "against")
    base = amounts[BASES[poll["of"]]]
    leads = chooses or poll["threshold"] == "plurality"

    def qualifies(name: str, of: Callable[[Sum], int]) -> bool:
        amount = of(sums[name])
        ahead = [other for other in able if _beats(of(sums[other]), amount, ties=not ties)]
        return (
            amount > 0
            and _meets(amount, of(base), poll["threshold"], ties=ties)
            and (not leads or _beats(amount, of(sums[against]), ties=ties))
            and len([other for other in ahead if other != name]) < poll["most"]
        )

    return [name for name in able if all(qualifies(name, of) for of in MEASURES[poll["weight"]])]


BASES = {"for_against": "decided", "cast": "cast", "eligible": "total"}


def _beats(amount: int, other: int, *, ties: bool) -> bool:
    return amount >= other if ties else amount > other


def _meets(amount: int, base: int, threshold: str, *, ties: bool) -> bool:
    """Whether the amount meets the threshold of the base; what must be more than half may with `ties` be the half."""
    if threshold == "plurality":
        return True
    share = Fraction(threshold)
    return _beats(amount * share.denominator, base * share.numerator, ties=ties or share != HALF)


# --- all that is published --------------------------------------------------------------------------


def result(case: Case) -> dict[str, Any]:
    """What result.json holds: the count, and of a statutory vote the verdict under every reading of silence.

    `silent` and `conflict` are what was not cast: by nobody, and by co-owners who contradict each other.
    """
    votes = counted(case)
    heads = "heads" if case.get("poll") else "people"
    shared = {
        "format": FORMAT,
        "opens_at": case["opens_at"],
        "deadline": case["deadline"],
        **{
            name: {"area": _shown(amount.area, votes.electorate.places), heads: amount.heads}
            for name, amount in _left_out(votes).items()
        },
    }
    if case.get("poll"):
        found = {**shared, "kind": "poll", **_poll(votes)}
        if case["poll"]["visible"] == "totals":
            # Whoever has the receipts of both would read from it whether a co-owner chose the same.
            del found["ballot_outcomes"]
        return found
    cast = _cast(votes)
    readings = {}
    for silence in READINGS[:1] if _by_unit(case) else READINGS:
        reading = _statutory(votes, cast, silence)
        readings[silence] = {name: reading[name] for name in reading if name not in SHARED}
    verdicts = {(reading["valid"], reading["passed"]) for reading in readings.values()}
    return {
        **shared,
        "kind": "statutory",
        "rule": case["rule"],
        **_statutory(votes, cast, case["options"]["silence"]),
        "readings": readings,
        "robust": len(verdicts) == 1 if len(readings) > 1 else None,
    }


SHARED = ("total", "cast", "ballot_outcomes")
"""What no reading of silence changes."""


def _left_out(votes: Counted) -> dict[str, Sum]:
    """What was not cast: with no ballot, and with ballots that contradict each other."""
    is_poll = bool(votes.case.get("poll"))
    left = {"silent": Sum(), "conflict": Sum()}
    spoke, voted = set(), set()
    for number, slot in enumerate(votes.electorate.slots):
        head = number if is_poll else slot.person
        if slot.choice is None:
            left["conflict" if slot.ballots else "silent"].area += slot.area
        else:
            voted.add(head)
        if slot.ballots:
            spoke.add(head)
    everybody = votes.electorate.slots if is_poll else votes.electorate.persons
    left["silent"].heads = len(everybody) - len(spoke)
    left["conflict"].heads = len(spoke - voted)
    return left
