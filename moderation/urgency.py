"""Judges how urgent a repair report is, and says which words and which rule decided."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal

from moderation import segment
from moderation.rulebook import (
    CommunityRule,
    Cue,
    Found,
    Rule,
    RuleSet,
    Span,
    Starts,
    Weight,
    compile_rules,
    few,
)
from moderation.text import HAN, Read, read
from moderation.tone import Tone, load_tone

__all__ = ["DEFAULT", "CommunityRule", "RuleSet", "Verdict", "Why", "judge", "load", "warm"]

DEFAULT = Path(__file__).parent / "rules" / "urgency.toml"
TONE = Path(__file__).parent / "rules" / "urgency-tone.json"

# The second opinion's part, by what the rules say: below the first it is ordinary, from the second on urgent, and
# between them the person is asked. Measured on texts that it was not taught. Where a rule sees danger it must be very
# sure of the contrary, for a missed emergency is worse than a false page; where a cue takes a danger back, of danger.
_BANDS: dict[str, tuple[int, int]] = {
    "urgent": (-300, -100),
    "ask": (-300, 300),
    "silent": (-100, 50),
    "normal": (100, 250),
}
# So many lists of the rules must have a word in a text in which no rule holds, before its tone counts: what people
# answer to a question (水管, 3号楼1201) has none.
_SUSPECT = 3
# A cry of so few characters (快来人, 昨晚电梯困人) has no tone: what the rules say of it stands.
_CRY = 8
_SOUNDS: dict[tuple[str, bool], tuple[str, str]] = {
    ("urgent", True): ("听起来正在发生危险", "this sounds like a danger right now"),
    ("ask", True): ("听起来紧急，想确认有没有危险", "this sounds urgent: is anybody in danger?"),
    ("ask", False): (
        "说到了危险，但听起来不像正在发生，想确认一下",
        "a danger is named, but this does not sound like one right now: is anybody in danger?",
    ),
    ("normal", False): (
        "说到了危险，但听起来是平常的事",
        "a danger is named, but this sounds like an ordinary matter",
    ),
}

# Longer texts are judged by their beginning and their end: a report has its danger in one of them.
_LONGEST = 4096
# A find of up to this many characters may be an accident of two neighbouring words, so jieba is asked.
_SHORT = 3
_MOST_MATCHES = 8
_LONGEST_WORD = 40
_SEVERITY: dict[Weight, int] = {"normal": 0, "ask": 1, "urgent": 2}
_BREAK = re.compile(f"[,.。!?;、:~\n()](?![0-9])|(?<=[{HAN}]) +(?=[{HAN}])")
# What a reader's eye counts: an English word as one character, a full stop as four.
_STEP = re.compile(r"([a-z0-9']+)|([。!?\n])|(\s+)|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Why:
    """One reason of a verdict: the rule, the person's own words, and the rule's sentence to show."""

    rule: str
    words: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a report is. `ask`: it sounds dangerous but is unclear, so the person is asked with one tap.

    `kind` is "other" when the text names nothing to repair.
    """

    verdict: Literal["urgent", "ask", "normal"]
    kind: str
    why: tuple[Why, ...] = ()


@dataclass(frozen=True, slots=True)
class _Match:
    """One rule found at one place, and what the words around make of it."""

    order: int
    rule: Rule
    spans: tuple[Span, ...]
    weight: Weight
    cue: Cue | None = None

    def place(self) -> tuple[int, int, tuple[Span, ...]]:
        """By the order of the file, then one word before several, then by the text: the same in every process."""
        return self.order, len(self.spans), self.spans


def load(path: Path = DEFAULT, extra: Sequence[CommunityRule] = ()) -> RuleSet:
    """Compile the rule file, with a community's own rules on top. Raises BadRules or OSError."""
    return compile_rules(path, extra)


def warm() -> None:
    """Load what the first judgement needs: the rules and jieba. For a thread beside the start."""
    _standard()
    _tone()
    segment.warm()


def judge(text: str, rules: RuleSet | None = None, language: str = "zh", tone: Tone | None = None) -> Verdict:
    """Judge one report. Never raises, whatever the text is; the same text and rules give the same verdict."""
    rules = rules or _standard()
    said = read(text if len(text) <= _LONGEST else text[: _LONGEST // 2] + "\n" + text[-_LONGEST // 2 :])
    found = rules.find(said.plain)
    if not found:
        return Verdict("normal", "other")
    scene = _Scene(said, rules, found)
    dangers = scene.dangers()
    weights: list[Weight] = ["normal", *(match.weight for match in dangers)]
    top = max(weights, key=_SEVERITY.__getitem__)
    deciding = sorted((match for match in dangers if match.weight == top), key=_Match.place)
    kind = deciding[0].rule.kind if top != "normal" else scene.kind(deciding)
    ruled = Verdict(top, kind, _reasons(said, deciding, language))
    if "tone" in rules.silent or any(match.rule.own for match in deciding):
        return ruled  # what staff have ruled themselves stands
    if len(said.plain) <= _CRY if deciding else not scene.is_suspect():
        return ruled
    return _second(said, ruled, rules, language, tone or _tone())


def _second(said: Read, ruled: Verdict, rules: RuleSet, language: str, tone: Tone) -> Verdict:
    """The verdict of the rules in the light of the second opinion."""
    score = tone.score(said.plain)
    low, high = _BANDS[ruled.verdict if ruled.why else "silent"]
    verdict: Weight = "normal" if score < low else "urgent" if score >= high else "ask"
    if verdict != "normal" and not ruled.why and rules.has_silenced and _is_ruled(said):
        # What staff silenced must not come back through the tone.
        verdict = "ask" if verdict == "urgent" else "normal"
    if verdict == ruled.verdict:
        return ruled
    alarms = _SEVERITY[verdict] > _SEVERITY[ruled.verdict]
    if alarms:
        words = tuple(
            said.words(place, place + len(piece))
            for piece in tone.alarming(said.plain)
            if (place := said.plain.find(piece)) >= 0
        )
    else:
        words = tuple(dict.fromkeys(word for why in ruled.why for word in why.words))
    if not words:
        return ruled
    sentence = _SOUNDS[verdict, alarms][0 if language.startswith("zh") else 1]
    return Verdict(verdict, ruled.kind, (Why("tone", words, sentence),))


def _is_ruled(said: Read) -> bool:
    """Whether the rules of the file, none of them silenced, find a danger."""
    rules = _standard()
    return any(match.weight == "urgent" for match in _Scene(said, rules, rules.find(said.plain)).dangers())


@lru_cache(maxsize=1)
def _tone() -> Tone:
    return load_tone(TONE)


@lru_cache(maxsize=1)
def _standard() -> RuleSet:
    return load()


def _reasons(said: Read, matches: Sequence[_Match], language: str) -> tuple[Why, ...]:
    reasons: dict[str, Why] = {}
    for match in matches:
        source: Rule | Cue = match.cue if match.cue and match.weight == "normal" else match.rule
        words = tuple(said.words(*span).strip() for span in sorted(match.spans))
        reasons.setdefault(source.id, Why(source.id, words, source.says(language)))
    return tuple(reasons.values())


class _Scene:
    """One text with its finds: which rules hold, and in what light."""

    def __init__(self, said: Read, rules: RuleSet, found: Found) -> None:
        self.said = said
        self.rules = rules
        self.found = found
        self._present = frozenset(found)

    def dangers(self) -> list[_Match]:
        """The rules of danger that hold, in the light of the cues around them."""
        return [
            self._lit(order, self.rules.rules[order], spans)
            for order, need in self._possible(self.rules.dangers)
            for spans in self._finds(order, need)
            if self._stands(spans)
        ]

    def is_suspect(self) -> bool:
        """Whether enough words of danger stand about, though no rule holds, to hear the second opinion."""
        return len(self._present & self.rules.alarming) >= _SUSPECT

    def kind(self, muted: Sequence[_Match]) -> str:
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
        silent = self.rules.silenced.get(rule.id, frozenset())

        def extend(chosen: tuple[Span, ...]) -> Iterator[tuple[Span, ...]]:
            if len(chosen) == len(need):
                yield chosen
                return
            for span in few(self.found[need[len(chosen)]]):
                if self.said.plain[slice(*span)] not in silent and self._near(chosen, span, rule.within):
                    yield from extend((*chosen, span))

        return extend(())

    def _near(self, chosen: tuple[Span, ...], span: Span, within: int) -> bool:
        if not chosen:
            return True
        gaps = [self._gap(other, span) for other in chosen]
        return min(gaps) >= 0 and min(gaps) <= within

    def _gap(self, one: Span, other: Span) -> int:
        """Steps between two finds, negative when they overlap."""
        first, second = sorted((one, other))
        return -1 if second[0] < first[1] else self._steps[second[0]] - self._steps[first[1]]

    @cached_property
    def _steps(self) -> list[int]:
        steps = [0] * (len(self.said.plain) + 1)
        total = 0
        for step in _STEP.finditer(self.said.plain):
            word, stop, space = step.groups()
            total += 1 if word else 4 if stop else 0 if space else 1
            for place in range(step.start() + 1, step.end() + 1):
                steps[place] = total
        return steps

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
    def _words(self) -> frozenset[int]:
        return segment.boundaries(self.said.plain)

    def _stands(self, spans: tuple[Span, ...]) -> bool:
        """A short word that decides alone must not be the end of one word and the start of the next (停电|到).

        Only its beginning is tested: at its end jieba joins harmless endings (火苗子, 味儿), and a missed
        emergency is worse. Several words together are no accident.
        """
        start, end = spans[0]
        if len(spans) > 1 or end - start > _SHORT or self.said.plain[start:end].isascii():
            return True
        return start in self._words

    def _lit(self, order: int, rule: Rule, spans: tuple[Span, ...]) -> _Match:
        weight, reason = rule.verdict, None
        for cue in self._cues:
            if cue.id in rule.deaf or (cue.rules and not rule.id.startswith(cue.rules)):
                continue
            if (cue.only and cue.only != rule.verdict) or not self._shades(cue, spans):
                continue
            if reason is None or _SEVERITY[cue.makes] < _SEVERITY[weight]:
                weight = min(weight, cue.makes, key=_SEVERITY.__getitem__)
                reason = cue
        return _Match(order, rule, spans, weight, reason)

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
