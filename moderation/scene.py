"""One text with the finds of its rules: which rules hold, and in what light. The engine of both judgements."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice

from moderation import segment
from moderation.rulebook import SEVERITY, Cue, Found, Rule, RuleSet, Span, Starts, Weight, few
from moderation.text import HAN, Read

# Longer texts are judged by their beginning and their end: a report has its danger in one of them.
_LONGEST = 4096
# A find of up to this many characters may be an accident of two neighbouring words, so jieba is asked.
_SHORT = 3
_MOST_MATCHES = 8
_LONGEST_WORD = 40
_BREAK = re.compile(f"[,.。!?;、:~\n()](?![0-9])|(?<=[{HAN}]) +(?=[{HAN}])")
# What a reader's eye counts: an English word as one character, a full stop as four.
_STEP = re.compile(r"([a-z0-9']+)|([。!?\n])|\s+")


@dataclass(frozen=True, slots=True)
class Why:
    """One reason of a verdict: the rule, the person's own words, and the rule's sentence to show."""

    rule: str
    words: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Match:
    """One rule found at one place, and what the words around make of it."""

    order: int
    rule: Rule
    spans: tuple[Span, ...]
    weight: Weight
    cue: Cue | None = None

    def place(self) -> tuple[int, int, tuple[Span, ...]]:
        """By the order of the file, then one word before several, then by the text: the same in every process."""
        return self.order, len(self.spans), self.spans


def shortened(text: str) -> str:
    """The beginning and the end of a very long text."""
    return text if len(text) <= _LONGEST else text[: _LONGEST // 2] + "\n" + text[-_LONGEST // 2 :]


def reasons(said: Read, matches: Sequence[Match], language: str) -> tuple[Why, ...]:
    """Why a text is judged as it is: for each deciding rule, or cue that took it back, the person's own words."""
    found: dict[str, Why] = {}
    for match in matches:
        source: Rule | Cue = match.cue if match.cue and not SEVERITY[match.weight] else match.rule
        words = tuple(said.words(*span).strip() for span in sorted(match.spans) if span[0] < span[1])
        found.setdefault(source.id, Why(source.id, words, source.says(language)))
    return tuple(found.values())


class Scene:
    """One text with its finds: which rules hold, and in what light."""

    def __init__(self, said: Read, rules: RuleSet, found: Found) -> None:
        self.said = said
        self.rules = rules
        self.found = found
        self._present = frozenset(found)

    def dangers(self) -> list[Match]:
        """The rules of danger that hold, in the light of the cues around them."""
        return [
            self._lit(order, self.rules.rules[order], spans)
            for order, need in self._possible(self.rules.dangers)
            for spans in self._finds(order, need)
            if self._stands(spans)
        ]

    def worst_first(self) -> Iterator[Match]:
        """The same one by one, the gravest rules first and then by the file, for whoever needs only some."""
        rules = self.rules.rules
        for order, need in sorted(
            self._possible(self.rules.dangers), key=lambda one: (-SEVERITY[rules[one[0]].verdict], one)
        ):
            for spans in self._finds(order, need):
                if self._stands(spans):
                    yield self._lit(order, rules[order], spans)

    def suspicions(self) -> int:
        """Of how many lists that rules of danger are made of words stand about, whether or not a rule holds."""
        return len(self._present & self.rules.alarming)

    def kind(self, muted: Sequence[Match]) -> str:
        """What an ordinary report is about: the first rule of the file that the cues leave standing, or any."""
        kinds = [match.rule.kind for match in muted]
        for order, need in sorted(self._possible(self.rules.ordinary)):
            rule = self.rules.rules[order]
            for spans in self._finds(order, need):
                if self._lit(order, rule, spans).cue is None:
                    return rule.kind
                kinds.append(rule.kind)
        return kinds[0] if kinds else "other"

    def _possible(self, starts: Starts) -> list[tuple[int, tuple[str, ...]]]:
        """The alternatives of which every group was found somewhere; rules without finds cost nothing."""
        present = self._present
        return [
            (order, need)
            for group in present & starts.keys()
            for order, need, groups in starts[group]
            if groups <= present
        ]

    def _finds(self, order: int, need: tuple[str, ...]) -> list[tuple[Span, ...]]:
        """Where one alternative of a rule stands in the text."""
        rule = self.rules.rules[order]
        matches = list(islice(self._together(need, rule), _MOST_MATCHES))
        if len(matches) < 2 or len(need) == 1:
            return matches
        # What one clause says by itself (之前地漏返水) is not read again across its end.
        whole = [spans for spans in matches if self._clause(*spans[0]) == self._clause(*spans[-1])]
        return whole + [
            spans
            for spans in matches
            if spans not in whole and not any(set(spans) & set(other) for other in whole)
        ]

    def _together(self, need: tuple[str, ...], rule: Rule) -> Iterator[tuple[Span, ...]]:
        """One find of each group, near to one another and not overlapping."""
        places = [few(self.found[group]) for group in need]
        if silent := self.rules.silenced.get(rule.id):
            places = [
                [span for span in spans if self.said.plain[slice(*span)] not in silent] for spans in places
            ]
        if len(need) == 1:
            return ((span,) for span in places[0])
        return self._chains(places, rule.within)

    def _chains(self, places: list[list[Span]], within: int) -> Iterator[tuple[Span, ...]]:
        """One of the last places after each chain of those before it that it is near to."""
        *before, last = places
        chains = self._chains(before, within) if len(before) > 1 else ((span,) for span in before[0])
        for chain in chains:
            for span in last:
                if self._near(chain, span, within):
                    yield (*chain, span)

    def _near(self, chosen: tuple[Span, ...], span: Span, within: int) -> bool:
        start, end = span
        steps, nearest = self._steps, within + 1
        for other in chosen:
            first, last = other
            if last <= start:
                gap = steps[start] - steps[last]
            elif end <= first:
                gap = steps[first] - steps[end]
            else:
                return False
            nearest = min(nearest, gap)
        return nearest <= within

    def _gap(self, one: Span, other: Span) -> int:
        """Steps between two finds, negative when they overlap."""
        first, second = (one, other) if one <= other else (other, one)
        return -1 if second[0] < first[1] else self._steps[second[0]] - self._steps[first[1]]

    @cached_property
    def _steps(self) -> list[int]:
        steps = [1] * len(self.said.plain)
        for step in _STEP.finditer(self.said.plain):
            start, end = step.span()
            steps[start:end] = [0] * (end - start)
            if step.lastindex:
                steps[start] = 1 if step.lastindex == 1 else 4
        return list(accumulate(steps, initial=0))

    @cached_property
    def _breaks(self) -> list[Span]:
        return [found.span() for found in _BREAK.finditer(self.said.plain)]

    def _clause(self, start: int, end: int) -> Span:
        """The clause, or clauses, that hold a find."""
        before = bisect_right(self._breaks, (start, start)) - 1
        after = bisect_left(self._breaks, (end, 0))
        return (
            self._breaks[before][1] if before >= 0 else 0,
            self._breaks[after][0] if after < len(self._breaks) else len(self.said.plain),
        )

    @cached_property
    def _words(self) -> segment.Cut:
        return segment.cut(self.said.plain)

    def _stands(self, spans: tuple[Span, ...]) -> bool:
        """A short word that decides alone must not be the end of one word and the start of the next (停电|到).

        Only its beginning is tested: at its end jieba joins harmless endings (火苗子, 味儿), and a missed
        emergency is worse. Several words together are no accident.
        """
        if len(spans) > 1 and not self.rules.strict:
            return True
        return all(
            end - start > _SHORT or self.said.plain[start:end].isascii() or start in self._words
            for start, end in spans
        )

    def _lit(self, order: int, rule: Rule, spans: tuple[Span, ...]) -> Match:
        weight, reason = rule.verdict, None
        for cue in self._cues:
            if cue.id in rule.deaf or (cue.rules and not rule.id.startswith(cue.rules)):
                continue
            if (cue.only and cue.only != rule.verdict) or not self._shades(cue, spans):
                continue
            if reason is None or SEVERITY[cue.makes] < SEVERITY[weight]:
                weight = min(weight, cue.makes, key=SEVERITY.__getitem__)
                reason = cue
        return Match(order, rule, spans, weight, reason)

    @cached_property
    def _cues(self) -> list[Cue]:
        return [cue for cue in self.rules.cues if cue.words in self._present]

    @cached_property
    def _every(self) -> list[Span]:
        return sorted({span for spans in self.found.values() for span in spans})

    def _is_piece(self, span: Span) -> bool:
        """A cue must be a word of its own: not 没 in 没电 (a longer word of a rule), nor 会 in 机会 (jieba's)."""
        if any(_inside(span, other) for other in _around(self._every, span)):
            return True
        start, end = span
        return end - start == 1 and not (start in self._words and end in self._words)

    def _shades(self, cue: Cue, spans: tuple[Span, ...]) -> bool:
        start, end = min(spans)[0], max(last for _, last in spans)
        for place in few(self.found[cue.words]):
            if not self._is_where(cue, place, spans) or self._is_piece(place):
                continue
            clause = self._clause(min(start, place[0]), max(end, place[1]))
            if cue.also and not self._any_in(cue.also, clause):
                continue
            until = len(self.said.plain) if cue.where == "after" else clause[1]
            if cue.unless and self._any_in(cue.unless, (place[1], until)):
                continue
            return True
        return False

    def _is_where(self, cue: Cue, place: Span, spans: tuple[Span, ...]) -> bool:
        start, end = min(spans)[0], max(last for _, last in spans)
        match cue.where:
            case "text":
                return True
            case "after":
                return place[0] >= start
            case "clause":
                return _inside_or_same(place, self._clause(start, end))
            case "clause_before":
                # Speech that was typed by a machine has no commas: what was said long before is no cue.
                near = place[1] > start or self._gap(place, (start, end)) <= cue.within
                return self._clause(start, end)[0] <= place[0] < end and near
            case "just_before" | "just_before_all":
                # 不是电梯坏了，是人卡在里面: a denial of the first clause alone leaves the second standing.
                whole = cue.where == "just_before_all"
                return any(
                    place[1] <= span[0]
                    and self._clause(*span)[0] <= place[0]
                    and (not whole or self._clause(*span)[1] >= end)
                    and self._gap(place, span) <= cue.within
                    for span in (self._phrase(place, span) for span in spans)
                )
            case "just_after":
                return any(
                    span[1] <= place[0]
                    and place[1] <= self._clause(*span)[1]
                    and self._gap(span, place) <= cue.within
                    for span in spans
                )

    def _phrase(self, place: Span, span: Span) -> Span:
        """A find together with those behind `place` that run into it: in 没有煤气味 the 味 is denied too."""
        starts = (a for a, b in _around(self._dangers, span) if place[1] <= a <= span[0] < b)
        return min(starts, default=span[0]), span[1]

    @cached_property
    def _dangers(self) -> list[Span]:
        groups = self._present - self.rules.shades
        return sorted({span for name in groups for span in self.found[name]})

    def _any_in(self, group: str, region: Span) -> bool:
        return any(
            _inside_or_same(span, region) and not self._is_piece(span)
            for span in few(self.found.get(group, []))
        )


def _around(spans: list[Span], span: Span) -> list[Span]:
    """Those of many sorted finds that can overlap one."""
    return spans[bisect_left(spans, (span[0] - _LONGEST_WORD, 0)) : bisect_left(spans, (span[1], 0))]


def _inside_or_same(span: Span, cover: Span) -> bool:
    return cover[0] <= span[0] and span[1] <= cover[1]


def _inside(span: Span, cover: Span) -> bool:
    return span != cover and _inside_or_same(span, cover)
