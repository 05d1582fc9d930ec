"""Reads a rule file and compiles it into one automaton that finds all its words in one pass."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from ahocorasick_rs import AhoCorasick

from moderation.cloak import Ear
from moderation.text import read

Span = tuple[int, int]
Found = dict[str, list[Span]]
# A group leads to the alternatives that need it: the rule's place in the file, its groups in order and as a set.
Starts = Mapping[str, tuple[tuple[int, tuple[str, ...], frozenset[str]], ...]]
# What a danger needs: groups of words, which of them more than once, and shapes. A group is a bit of a number.
Told = tuple[int, tuple[tuple[int, int], ...], tuple[re.Pattern[str], ...]]
Weight = Literal["urgent", "ask", "normal", "violation", "hold", "ok"]
Scale = tuple[Weight, Weight, Weight]  # the weights of one judgement, from the calm one to the worst
URGENCY: Scale = ("normal", "ask", "urgent")
CONDUCT: Scale = ("ok", "hold", "violation")
SEVERITY: dict[Weight, int] = {
    weight: place for scale in (URGENCY, CONDUCT) for place, weight in enumerate(scale)
}
Where = Literal["just_before", "just_before_all", "just_after", "clause_before", "clause", "after", "text"]

INNOCENT = "innocent"
HIDDEN = "hidden"  # somebody took pains so that the words of a text are not found
_ENDING = re.compile(r"(.)(?:\1?(?:e?s|e?d|ing)|'s)?(?![a-z0-9])", re.DOTALL)
# A group's first and last finds are enough to judge by; without a limit a flood of words would cost its square.
_MOST = 12
_FAR = 10_000
_SUSPECT = 5
_TELLS = 1  # the bit of whatever word is a danger by itself


class BadRules(ValueError):
    """A rule file says something that cannot be compiled."""


@dataclass(frozen=True, slots=True)
class CommunityRule:
    """What the staff of one community added (words, verdict, kind, sentence) or silenced.

    A word may ask for several together: "道闸 + 砸". A silenced rule (or cue) without words is silent as a whole;
    with words, only these no longer count in it. The words of one that is added as harmless ("normal", "ok") are a
    context: what is found inside them counts for nothing.
    """

    id: str
    words: tuple[str, ...] = ()
    verdict: Weight = "urgent"
    kind: str = "other"
    sentence: str = ""
    sentence_en: str = ""
    silenced: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of judgement: these words together mean this."""

    id: str
    kind: str
    verdict: Weight
    needs: tuple[
        tuple[str, ...], ...
    ]  # each alternative: the groups of which one word each must stand together
    within: int
    deaf: frozenset[str]  # cues that do not soften this rule
    sentence: str
    sentence_en: str
    own: bool = False  # of a community's staff

    def says(self, language: str) -> str:
        return self.sentence if language.startswith("zh") else self.sentence_en or self.sentence


@dataclass(frozen=True, slots=True)
class Cue:
    """Words around a find that change what it means: negation, past, a question."""

    id: str
    words: str  # the group of its words
    where: Where
    within: int
    makes: Weight
    rules: tuple[str, ...]  # ids, or beginnings of ids, of the rules it softens; empty: all
    also: str | None  # a group of which a word must stand in the same clause
    unless: str | None  # a group of which any word after the cue undoes it
    only: Weight | None  # softens finds of this weight only
    sentence: str
    sentence_en: str

    def says(self, language: str) -> str:
        return self.sentence if language.startswith("zh") else self.sentence_en or self.sentence


@dataclass(slots=True)
class RuleSet:
    """Rules compiled once: safe to share between threads, because nothing in it changes afterwards."""

    rules: tuple[Rule, ...]
    cues: tuple[Cue, ...]
    groups: Mapping[str, tuple[str, ...]]
    silenced: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # words that no longer count, by rule
    silent: frozenset[str] = frozenset()  # ids of what a community silenced as a whole
    shapes: Mapping[str, re.Pattern[str]] = field(default_factory=dict)  # groups of what is no word: a price
    strict: bool = False  # whether a word must begin where jieba begins one also beside others of its rule
    ear: Ear | None = None  # hears their words in what is written otherwise, where a judgement wants that
    _automaton: AhoCorasick = field(init=False)
    _roles: list[tuple[str, ...]] = field(init=False)
    _by_word: dict[str, tuple[str, ...]] = field(init=False)
    _latin: list[bool] = field(init=False)
    _marks: list[int] = field(init=False)  # the groups of each word, as far as dangers need them
    _told: Mapping[int, tuple[Told, ...]] = field(init=False)  # what each danger needs, by one of its groups
    _leading: int = field(init=False)  # the groups of that
    dangers: Starts = field(init=False)
    ordinary: Starts = field(init=False)
    alone: tuple[re.Pattern[str], ...] = field(init=False)  # shapes that need no word beside them
    shades: frozenset[str] = field(init=False)  # groups of cue words
    alarming: frozenset[str] = field(init=False)  # groups of which a rule of danger is made

    def __post_init__(self) -> None:
        roles: dict[str, list[str]] = defaultdict(list)
        for group, words in self.groups.items():
            for word in words:
                if group not in roles[word]:
                    roles[word].append(group)
        self._roles = [tuple(names) for names in roles.values()]
        self._by_word = dict(zip(roles, self._roles, strict=True))
        self._latin = [any(_is_latin(one) for one in word) for word in roles]
        self._automaton = AhoCorasick(list(roles))
        self.dangers = _by_rarest_group(self.rules, ordinary=False)
        self.ordinary = _by_rarest_group(self.rules, ordinary=True)
        dangers = [rule for rule in self.rules if SEVERITY[rule.verdict]]
        alone = {
            next(iter(set(need))) for rule in dangers for need in rule.needs if len(need) == 1
        } & self.shapes.keys()
        self.alone = tuple(self.shapes[name] for name in sorted(alone))
        self.alarming = frozenset(name for rule in dangers for need in rule.needs for name in need)
        self.shades = frozenset(name for name in self.groups if name.startswith("cue."))
        self._tell(roles.values())

    def _tell(self, roles: Iterable[Iterable[str]]) -> None:
        """Number the groups that dangers need, and say of each word, in its order, to which of them it belongs."""
        needs = [
            (group, need, groups)
            for group, entries in self.dangers.items()
            for _, need, groups in entries
            if HIDDEN not in groups
        ]
        telling = {group for group, need, _ in needs if len(need) == 1}
        bits = dict.fromkeys(telling, _TELLS)
        others = sorted(self.alarming - telling - self.shapes.keys() - {HIDDEN})
        bits |= {name: 2 << place for place, name in enumerate(others)}
        told: dict[int, set[Told]] = defaultdict(set)
        for group, need, groups in needs:
            named = sorted(groups - self.shapes.keys())
            if named and telling.isdisjoint(named):
                repeated = tuple((bits[name], need.count(name)) for name in named if need.count(name) > 1)
                shapes = tuple(self.shapes[name] for name in sorted(groups & self.shapes.keys()))
                leading = bits[group if group in named else named[0]]
                told[leading].add((sum(map(bits.__getitem__, named)), repeated, shapes))
        self._told = {group: tuple(them) for group, them in told.items()}
        self._leading = sum(self._told)
        self._marks = [sum({bits.get(name, 0) for name in names}) for names in roles]

    def groups_of(self, word: str) -> tuple[str, ...]:
        """The groups that hold a word."""
        return self._by_word.get(word, ())

    @property
    def has_silenced(self) -> bool:
        return bool(self.silent or self.silenced)

    def with_word(self, word: str) -> list[str]:
        """The ids of the rules that count this very word, in their order."""
        plain = _plain(word)
        groups = {name for name, words in self.groups.items() if plain in words}
        return [rule.id for rule in self.rules if any(groups & set(need) for need in rule.needs)]

    def may_hold(self, plain: str) -> bool:
        """Whether a rule of danger may hold here, or words of so many stand about that it is worth a closer look.

        Cheap, and never wrongly no.
        """
        hits = self._automaton.find_matches_as_indexes(plain, overlapping=True)
        if hits and self._may_tell(plain, hits):
            return True
        for shape in self.alone:  # noqa: SIM110 - the generator of any() would take longer than the search
            if shape.search(plain):
                return True
        return False

    def _may_tell(self, plain: str, hits: list[tuple[int, int, int]]) -> bool:
        marks, present = self._marks, 0
        for hit in hits:
            present |= marks[hit[0]]
        if not present:
            return False
        if present & _TELLS or present.bit_count() >= _SUSPECT:
            return True
        left = present & self._leading
        while left:
            group = left & -left
            left ^= group
            for groups, repeated, shapes in self._told[group]:
                if (
                    present & groups == groups
                    and all(
                        sum(bool(marks[index] & one) for index, _, _ in hits) >= count
                        for one, count in repeated
                    )
                    and all(shape.search(plain) for shape in shapes)
                ):
                    return True
        return False

    def find(self, plain: str) -> Found:
        """Every rule word in `plain`, by group, each in the order of the text."""
        found: Found = {}
        for index, start, end in self._automaton.find_matches_as_indexes(plain, overlapping=True):
            if self._latin[index] and not _is_word(plain, start, end):
                continue  # a piece of a longer English word
            span = start, end
            for group in self._roles[index]:
                if group in found:
                    found[group].append(span)
                else:
                    found[group] = [span]
        if found:
            for name, shape in self.shapes.items():
                if shape.search(plain):
                    found.setdefault(name, []).extend(match.span() for match in shape.finditer(plain))
        return _without_innocent(found) if INNOCENT in found else found


def compile_rules(path: Path, extra: Sequence[CommunityRule] = (), scale: Scale = URGENCY) -> RuleSet:
    """Compile a rule file, with a community's own rules on top. Raises BadRules when a rule cannot work."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    variants: Mapping[str, str] = raw.get("variants", {})
    groups: dict[str, tuple[str, ...]] = {name: _words(text, variants) for name, text in raw["words"].items()}
    silent = frozenset(one.id for one in extra if one.silenced and not one.words)
    rules = [_rule(row, groups, variants) for row in raw["rule"] if row["id"] not in silent]
    added = [one for one in extra if not one.silenced]
    rules += [_added(one, groups, variants) for one in added if one.verdict != scale[0]]
    contexts = "、".join(word for one in added if one.verdict == scale[0] for word in one.words)
    groups[INNOCENT] = (*groups.get(INNOCENT, ()), *_words(contexts, variants))
    cues = [_cue(row, groups, variants) for row in raw.get("cue", []) if row["id"] not in silent]
    shapes = {name: re.compile(pattern) for name, pattern in raw.get("shapes", {}).items()}
    _check(rules, groups.keys() | shapes.keys() | {HIDDEN}, scale)
    unheard: dict[str, set[str]] = defaultdict(set)
    for one in extra:
        if one.silenced:
            unheard[one.id].update(map(_plain, one.words))
    words = {name: frozenset(them) for name, them in unheard.items() if them}
    ruled = RuleSet(tuple(rules), tuple(cues), groups, words, silent, shapes, scale == CONDUCT)
    if heard := raw.get("heard"):
        told = [name for name in groups if name in heard or name.startswith("any.")]
        ruled.ear = Ear(list(dict.fromkeys(word for name in told for word in groups[name])))
    return ruled


def _rule(row: Mapping[str, Any], groups: dict[str, tuple[str, ...]], variants: Mapping[str, str]) -> Rule:
    needs = [tuple(part.strip() for part in line.split("+")) for line in row.get("all", [])]
    if "any" in row:
        groups[f"any.{row['id']}"] = _words(row["any"], variants)
        needs.insert(0, (f"any.{row['id']}",))
    return Rule(
        id=row["id"],
        kind=row["kind"],
        verdict=row["verdict"],
        needs=tuple(needs),
        within=row.get("within", 10),
        deaf=frozenset(row.get("deaf", [])),
        sentence=row.get("sentence", ""),
        sentence_en=row.get("sentence_en", ""),
    )


def _added(one: CommunityRule, groups: dict[str, tuple[str, ...]], variants: Mapping[str, str]) -> Rule:
    needs = []
    for number, word in enumerate(one.words):
        parts = [part for part in word.split("+") if _plain(part)]
        names = tuple(f"own.{one.id}.{number}.{place}" for place in range(len(parts)))
        groups.update({name: _words(part, variants) for name, part in zip(names, parts, strict=True)})
        if names:
            needs.append(names)
    # The same id as a rule of the file: both hold, the staff's words beside ours.
    return Rule(
        one.id, one.kind, one.verdict, tuple(needs), 10, frozenset(), one.sentence, one.sentence_en, own=True
    )


def _cue(row: Mapping[str, Any], groups: dict[str, tuple[str, ...]], variants: Mapping[str, str]) -> Cue:
    for key in ("words", "also", "unless"):
        if key in row:
            groups[f"cue.{row['id']}.{key}"] = _words(row[key], variants)
    if row["where"] not in get_args(Where):
        raise BadRules(f"cue {row['id']}: where = {row['where']!r} is none of {get_args(Where)}")
    return Cue(
        id=row["id"],
        words=f"cue.{row['id']}.words",
        where=row["where"],
        within=row.get("within", 1 if row["where"].startswith("just_") else _FAR),
        makes=row["makes"],
        rules=tuple(row.get("rules", [])),
        also=f"cue.{row['id']}.also" if "also" in row else None,
        unless=f"cue.{row['id']}.unless" if "unless" in row else None,
        only=row.get("only"),
        sentence=row["sentence"],
        sentence_en=row["sentence_en"],
    )


def _check(rules: Iterable[Rule], groups: Set[str], scale: Scale) -> None:
    for rule in rules:
        if rule.verdict not in scale:
            raise BadRules(f"rule {rule.id}: verdict = {rule.verdict!r} is none of {scale}")
        for name in (name for need in rule.needs for name in need):
            if name not in groups:
                raise BadRules(f"rule {rule.id}: there are no words called {name!r}")


def _words(text: str, variants: Mapping[str, str]) -> tuple[str, ...]:
    """Words stand between 、 or line ends; each also in the spellings that people mix up."""
    words = [_plain(part) for part in re.split(r"[、\n]", text)]
    return tuple(dict.fromkeys(form for word in words if word for form in _spellings(word, variants)))


def _spellings(word: str, variants: Mapping[str, str]) -> list[str]:
    return ["".join(form) for form in product(*(one + variants.get(one, "") for one in word))]


def _plain(word: str) -> str:
    return read(word.strip()).plain


def _is_word(plain: str, start: int, end: int) -> bool:
    """Whether a find in Latin letters is a whole word, or one with an ordinary ending (leak-ing, zap-ped)."""
    if start and _is_latin(plain[start]) and _is_latin(plain[start - 1]):
        return False
    return not _is_latin(plain[end - 1]) or _ENDING.match(plain, end - 1) is not None


def _is_latin(one: str) -> bool:
    return one.isascii() and one.isalnum()


def _by_rarest_group(rules: Sequence[Rule], ordinary: bool) -> Starts:
    """Each alternative under its rarest group, so that a common one (person, water) leads to few rules."""
    needs = [
        (number, need)
        for number, rule in enumerate(rules)
        if (not SEVERITY[rule.verdict]) is ordinary
        for need in rule.needs
    ]
    uses = Counter(group for _, need in needs for group in need)
    starts: dict[str, list[tuple[int, tuple[str, ...], frozenset[str]]]] = defaultdict(list)
    for number, need in needs:
        starts[min(need, key=uses.__getitem__)].append((number, need, frozenset(need)))
    return {group: tuple(entries) for group, entries in starts.items()}


def _without_innocent(found: Found) -> Found:
    """A find inside an innocent word (起火 in 一起火锅) is none."""
    covers = found.pop(INNOCENT)
    covered = {span for spans in found.values() for span in spans if _is_covered(span, covers)}
    if not covered:
        return found
    kept = {group: [span for span in spans if span not in covered] for group, spans in found.items()}
    return {group: spans for group, spans in kept.items() if spans}


def _is_covered(span: Span, covers: list[Span]) -> bool:
    start, end = span
    return any(cover[0] <= start and end <= cover[1] and cover != span for cover in covers)


def few(spans: list[Span]) -> list[Span]:
    """The first and the last of very many finds."""
    return spans if len(spans) <= 2 * _MOST else spans[:_MOST] + spans[-_MOST:]
