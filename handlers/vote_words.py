"""A vote's result in words that a layman follows: the arithmetic, each share as a fraction beside its percentage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

from conversations.words import LANGUAGES, Reader, Say
from handlers.ballot_sheet import is_sealed
from handlers.bundle_file import shown
from handlers.tally import BASES, HALF, PARTICIPATION, READINGS, SIDES, SPECIAL, instant

Amounts = Mapping[str, Any]
"""An area and a number of people, homes or both, as the result has them."""
NOTHING: Amounts = {"area": "0.00", "people": 0}
HEADS = {"homes": "home", "persons": "person"}


def percent(share: Fraction, threshold: Fraction | None = None) -> str:
    """The share in percent, with two decimals, or with as many as keep it on its side of the threshold."""
    digits = 2
    while True:
        shown = Fraction(floor(share * 100 * 10**digits + HALF), 10**digits)
        if threshold is None or _side(shown, threshold * 100) == _side(share, threshold):
            return f"{_decimal(shown, digits)}"
        if share == threshold:  # a share such as 2/3 has no decimals of its own
            return _decimal(shown, digits)
        digits += 1


def _side(value: Fraction, threshold: Fraction) -> int:
    return (value > threshold) - (value < threshold)


def _decimal(value: Fraction, digits: int) -> str:
    """A value that has at most so many decimals, written with them."""
    whole = str(int(value * 10**digits)).rjust(digits + 1, "0")
    return f"{whole[:-digits]}.{whole[-digits:]}"


def one_line(text: str) -> str:
    """What somebody wrote, so that it stands in one line, and no line of it passes for one of the result's."""
    return shown(" ".join(text.splitlines()), len(text))


def in_words(policy: Mapping[str, Any], result: Mapping[str, Any], language: str) -> str:
    """The result, why it is so, and what is counted; `policy` and `result` as in the bundle."""
    return "\n".join(Words(policy, result, reader_of(policy, result, language)).lines())


def verdict_in_words(policy: Mapping[str, Any], result: Mapping[str, Any]) -> Say:
    """What came out, in a few words."""
    return Words(policy, result, reader_of(policy, result, LANGUAGES[0])).verdict(result)


def readme(policy: Mapping[str, Any], result: Mapping[str, Any], record_date: str) -> str:
    """The bundle's README.txt, in every language: the result, how to find one's home, and how to count again."""
    hidden = is_sealed(policy)
    parts = []
    for language in LANGUAGES:
        say = reader_of(policy, result, language).say
        parts.append(in_words(policy, result, language))
        parts.append(say("count.roster", date=record_date))
        if policy.get("text"):
            parts.append(say("count.text", text=policy["text"]))
        parts.append(say("count.only_totals" if hidden else "count.own_home"))
        if not hidden:
            parts.append(say("count.again"))
    return "\n\n".join(parts) + "\n"


def rule_in_words(policy: Mapping[str, Any]) -> Say:
    """By what it is decided, in one sentence; `policy` as in the bundle."""
    poll = policy.get("poll")
    if poll is None:
        return Say(
            "ballot.rule.statutory",
            participation=PARTICIPATES.text("eligible"),
            approval=enough_in_words(policy),
            silent=Say(f"count.silent.{policy['options']['silence']}"),
        )
    quorum = Bar(Fraction(poll["quorum"]))
    return Say(
        "ballot.rule.choose" if poll["question"] == "choose" else "ballot.rule.yes_no",
        by=Say(f"ballot.by.{poll['electorate']}_{poll['weight']}"),
        participation=quorum.text("eligible") if quorum.threshold else Say("ballot.rule.any"),
        rule=enough_in_words(policy),
        most=poll["most"],
    )


def bar_of(policy: Mapping[str, Any]) -> "Bar | None":
    """What must be reached in favour; None: more than others is enough."""
    poll = policy.get("poll")
    if poll is None:
        return Bar(SPECIAL) if policy["rule"] == "special" else Bar(HALF, passed=True)
    if poll["threshold"] == "plurality":
        return None
    share = Fraction(poll["threshold"])
    return Bar(share, passed=share == HALF)


def share_of(policy: Mapping[str, Any]) -> str:
    """Of what it must be reached, as the words name it."""
    poll = policy.get("poll")
    if poll is None:
        return "participating" if policy["options"]["abstain_in_denominator"] else "for_against"
    return "chose" if poll["question"] == "choose" and poll["of"] == "for_against" else str(poll["of"])


def enough_in_words(policy: Mapping[str, Any]) -> Say:
    """How much in favour is enough."""
    bar = bar_of(policy)
    if bar is not None:
        return bar.text(share_of(policy))
    return Say("count.most_votes" if policy["poll"]["question"] == "choose" else "count.more_for")


def reader_of(policy: Mapping[str, Any], result: Mapping[str, Any], language: str) -> Reader:
    """Somebody who reads the result in a language, at the place and the end of the vote."""
    return Reader(language, policy["time_zone"], instant(result["deadline"]))


def _areas(value: Any) -> Iterator[str]:
    """Every area in a result."""
    for key, each in value.items() if isinstance(value, Mapping) else ():
        if key == "area" and isinstance(each, str):  # a choice may have that name, too
            yield each
        yield from _areas(each)


@dataclass(frozen=True)
class Bar:
    """What a share must reach: the threshold, and whether reaching it is enough or it must be passed."""

    threshold: Fraction
    passed: bool = False

    def holds(self, share: Fraction) -> bool:
        """Whether a share is enough."""
        return share > self.threshold if self.passed else share >= self.threshold

    def least(self, whole: int) -> int:
        """The least amount, in whole units, that is enough."""
        exact = whole * self.threshold
        return floor(exact) + 1 if self.passed else ceil(exact)

    def text(self, of: str) -> Say:
        """The bar in words, and of what it is a share."""
        share = f"{self.threshold.numerator}/{self.threshold.denominator}"
        return Say(
            "count.more_than" if self.passed else "count.at_least", share=share, of=Say(f"count.of.{of}")
        )


PARTICIPATES = Bar(PARTICIPATION)
BOTH = ("area", "heads")
MEASURES = {"area": BOTH[:1], "heads": BOTH[1:], "both": BOTH}
"""By what is measured, by the weight of a poll."""


class Words:
    """The lines of one result in one language."""

    def __init__(self, policy: Mapping[str, Any], result: Mapping[str, Any], reader: Reader) -> None:
        self.policy, self.result, self.reader = policy, result, reader
        self.poll: Any = policy.get("poll")
        self.heads = "heads" if self.poll else "people"
        self.head = HEADS[self.poll["electorate"]] if self.poll else "person"
        self.places = max(len(area.partition(".")[2]) for area in _areas(result))

    def lines(self) -> Iterator[str]:
        say = self.reader.say
        kind = Say(f"count.kind.{self.policy['kind']}")
        yield say("count.title", kind=kind, title=one_line(self.policy["title"]))
        yield say("count.outcome", verdict=self.verdict(self.result))
        yield say("count.period", start=self.time("opens_at"), end=self.time("deadline"))
        before = self.policy["deadline"]
        if instant(before) != instant(self.result["deadline"]):
            yield say("count.extended", before=self.shown_time(before))
        yield ""
        yield from self.poll_lines() if self.poll else self.statutory_lines()

    def time(self, name: str) -> str:
        return self.shown_time(self.result[name])

    def shown_time(self, written: str) -> str:
        at: datetime = instant(written).astimezone(ZoneInfo(self.policy["time_zone"]))
        return f"{at:%Y-%m-%d %H:%M}"

    def verdict(self, verdict: Mapping[str, Any]) -> Say:
        if self.poll is None:
            return Say(f"count.verdict.{verdict['reason']}")
        if self.poll["question"] == "choose" and verdict["adopted"]:
            return Say("count.adopted", names=list(map(one_line, verdict["adopted"])))
        return Say(f"count.{self.poll['question']}.{verdict['reason']}")

    # --- a statutory vote ---

    def statutory_lines(self) -> Iterator[str]:
        say, result = self.reader.say, self.result
        yield say("count.participation", bar=PARTICIPATES.text("eligible"))
        yield from self.measured(result["participating"], result["total"], PARTICIPATES, BOTH)
        base, bar = self.approval()
        rule = Say(f"count.rule.{result['rule']}")
        yield say("count.approval", rule=rule, bar=enough_in_words(self.policy))
        yield from self.measured(result["for"], base, bar, BOTH)
        if self.policy["options"]["multi_unit"] == "per_unit":
            yield say("count.by_home")
        yield ""
        for side in SIDES:
            added = result["deemed"] if side == result["deemed"]["as"] else NOTHING
            cast = self.amount(self.add(result[side], added, -1))
            yield say("count.sum", name=Say(f"count.side.{side}"), amount=cast)
        yield from self.left_out()
        if result["deemed"]["as"] is not None:
            as_side = Say(f"count.side.{result['deemed']['as']}")
            yield say("count.deemed", amount=self.amount(result["deemed"]), side=as_side)
        yield ""
        yield from self.reading_lines()

    def approval(self) -> tuple[Amounts, Bar]:
        """Of what the approval of a statutory vote is a share, and what it must reach."""
        result, bar = self.result, bar_of(self.policy)
        assert bar is not None
        everybody = share_of(self.policy) == "participating"
        return result["participating"] if everybody else self.add(result["for"], result["against"]), bar

    def reading_lines(self) -> Iterator[str]:
        """What each reading of silence comes to, and whether it matters which one holds."""
        say, silence = self.reader.say, self.policy["options"]["silence"]
        clause = self.policy.get("clause")
        law = Say("count.clause_mark", clause=one_line(clause)) if clause else ""
        yield say("count.silence", reading=Say(f"count.silent.{silence}"), clause=law)
        others = [each for each in READINGS if each != silence and each in self.result["readings"]]
        for each in others:
            verdict = self.verdict(self.result["readings"][each])
            yield say("count.reading", reading=Say(f"count.silent.{each}"), verdict=verdict)
        yield from self.robustness()

    def robustness(self) -> Iterator[str]:
        """Whether it matters how the silent count; nothing where only one reading is defined."""
        say = self.reader.say
        passed = {reading["passed"] for reading in self.result["readings"].values()}
        if self.result["robust"]:
            yield say("count.robust")
        elif self.result["robust"] is not None:
            yield say(
                "count.fails_anyhow" if len(passed) == 1 else "count.fragile",
                verdict=self.verdict(self.result),
            )

    # --- a poll ---

    def poll_lines(self) -> Iterator[str]:
        say, result, poll = self.reader.say, self.result, self.poll
        measures, quorum = MEASURES[poll["weight"]], Bar(Fraction(poll["quorum"]))
        yield say("count.participation", bar=quorum.text("eligible"))
        yield from self.measured(result["cast"], result["total"], quorum, measures)
        base, bar, chooses = result[BASES[poll["of"]]], bar_of(self.policy), poll["question"] == "choose"
        rule = enough_in_words(self.policy)
        yield say("count.choosing" if chooses else "count.agreeing", rule=rule, most=poll["most"])
        if bar is not None and not chooses:
            yield from self.measured(result["counts"]["for"], base, bar, measures)
        yield ""
        # The published file sorts its keys; people read the choices in the order of the question.
        for name in [*poll["choices"], ""] if chooses else SIDES[:2]:
            amounts = result["counts"][name]
            label = (one_line(name) or Say("count.none_of_these")) if chooses else Say(f"count.side.{name}")
            chosen = Say("count.chosen_mark") if chooses and name in result["adopted"] else ""
            yield say("count.choice", name=label, amount=self.amount(amounts), chosen=chosen)
            if bar is not None and chooses and name:
                yield from self.measured(amounts, base, bar, measures)
        yield say("count.sum", name=Say("count.side.abstain"), amount=self.amount(result["abstain"]))
        yield from self.left_out()

    # --- what both have ---

    def left_out(self) -> Iterator[str]:
        """What was not cast."""
        yield self.reader.say(
            "count.sum", name=Say("count.silent_name"), amount=self.amount(self.result["silent"])
        )
        if self.result["conflict"][self.heads]:
            conflict = self.amount(self.result["conflict"])
            yield self.reader.say("count.sum", name=Say("count.conflict_name"), amount=conflict)
        rejected = sum(outcome.startswith("rejected") for outcome in self.result.get("ballot_outcomes", ()))
        if rejected:
            yield self.reader.say("count.rejected", count=rejected)

    def name(self, measure: str) -> Say:
        """What is measured: area, homes or people."""
        return Say("count.area" if measure == "area" else f"count.{self.head}s")

    def enough(self, some: int, whole: int, bar: Bar, measure: str) -> Say:
        """Whether a part is enough of something; what is missing if it is not."""
        if not bar.holds(Fraction(some, whole)):
            return Say("count.short", missing=self.with_unit(bar.least(whole) - some, measure))
        return Say("count.exactly" if Fraction(some, whole) == bar.threshold else "count.enough")

    def measured(self, part: Amounts, whole: Amounts, bar: Bar, measures: Sequence[str]) -> Iterator[str]:
        """One line a measure: the division, the fraction, the percentage, and whether it is enough."""
        for measure in measures:
            name = self.name(measure)
            some, all_of_it = self.number(part, measure), self.number(whole, measure)
            if all_of_it == 0:
                yield self.reader.say("count.nothing", measure=name)
                continue
            share = Fraction(some, all_of_it)
            yield self.reader.say(
                "count.division",
                measure=name,
                part=self.shown(some, measure),
                whole=self.shown(all_of_it, measure),
                fraction=f"{share.numerator}/{share.denominator}",
                percent=percent(share, bar.threshold),
                enough=self.enough(some, all_of_it, bar, measure),
            )

    def number(self, amounts: Amounts, measure: str) -> int:
        """An amount in whole numbers: the area in its last decimal."""
        if measure == "area":
            return int(Fraction(amounts["area"]) * 10**self.places)
        return int(amounts[self.heads])

    def shown(self, number: int, measure: str) -> str:
        return _decimal(Fraction(number, 10**self.places), self.places) if measure == "area" else str(number)

    def with_unit(self, number: int, measure: str) -> Say:
        of = "area" if measure == "area" else self.head
        one = "_one" if number == 1 and measure != "area" else ""
        return Say(f"count.number.{of}{one}", number=self.shown(number, measure))

    def amount(self, amounts: Amounts) -> Say:
        heads, area = (
            self.with_unit(self.number(amounts, measure), measure) for measure in ("heads", "area")
        )
        return Say("count.amount", heads=heads, area=area)

    def add(self, one: Amounts, other: Amounts, sign: int = 1) -> Amounts:
        area = self.number(one, "area") + sign * self.number(other, "area")
        return {"area": self.shown(area, "area"), self.heads: one[self.heads] + sign * other[self.heads]}
