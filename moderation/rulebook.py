"""Reads a rule file and compiles it into one automaton that finds all its words in one pass."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from ahocorasick_rs import AhoCorasick

from moderation.text import read

Span = tuple[int, int]
Found = dict[str, list[Span]]
# A group leads to the alternatives that need it: the rule's place in the file, its groups in order and as a set.
Starts = Mapping[str, tuple[tuple[int, tuple[str, ...], frozenset[str]], ...]]
Weight = Literal["urgent", "ask", "normal"]
Where = Literal["just_before", "just_before_all", "just_after", "clause_before", "clause", "after", "text"]

INNOCENT = "innocent"
_ENDING = re.compile(r"(.)(?:\1?(?:e?s|e?d|ing)|'s)?(?![a-z0-9])", re.DOTALL)
# A group's first and last finds are enough to judge by; without a limit a flood of words would cost its square.
_MOST = 12
_FAR = 10_000


class BadRules(ValueError):
    """A rule file says something that cannot be compiled."""


@dataclass(frozen=True, slots=True)
class CommunityRule:
    """What the staff of one community added (words, verdict, kind, sentence) or silenced.

    A word may ask for several together: "道闸 + 砸". A silenced rule without words is silent as a whole; with
    words, only these no longer count in it.
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
    _automaton: AhoCorasick = field(init=False)
    _roles: list[tuple[str, ...]] = field(init=False)
    _latin: list[bool] = field(init=False)
    dangers: Starts = field(init=False)
    ordinary: Starts = field(init=False)
    shades: frozenset[str] = field(init=False)  # groups of cue words
    alarming: frozenset[str] = field(init=False)  # groups of which a rule of danger is made

    def __post_init__(self) -> None:
        roles: dict[str, list[str]] = defaultdict(list)
        for group, words in self.groups.items():
            for word in words:
                if group not in roles[word]:
                    roles[word].append(group)
        self._roles = [tuple(names) for names in roles.values()]
        self._latin = [any(_is_latin(one) for one in word) for word in roles]
        self._automaton = AhoCorasick(list(roles))
        self.dangers = _by_rarest_group(self.rules, ordinary=False)
        self.ordinary = _by_rarest_group(self.rules, ordinary=True)
        dangers = [rule for rule in self.rules if rule.verdict != "normal"]
        self.alarming = frozenset(name for rule in dangers for need in rule.needs for name in need)
        self.shades = frozenset(name for name in self.groups if name.startswith("cue."))

    @property
    def has_silenced(self) -> bool:
        return bool(self.silent or self.silenced)

    def find(self, plain: str) -> Found:
        """Every rule word in `plain`, by group, each in the order of the text."""
        found: Found = {}
        for index, start, end in self._automaton.find_matches_as_indexes(plain, overlapping=True):
            if self._latin[index] and not _is_word(plain, start, end):
                continue  # a piece of a longer English word
            for group in self._roles[index]:
                found.setdefault(group, []).append((start, end))
        return _without_innocent(found) if INNOCENT in found else found


def compile_rules(path: Path, extra: Sequence[CommunityRule] = ()) -> RuleSet:
    """Compile a rule file, with a community's own rules on top. Raises BadRules when a rule cannot work."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    variants: Mapping[str, str] = raw.get("variants", {})
    groups = {name: _words(text, variants) for name, text in raw["words"].items()}
    silent = frozenset(one.id for one in extra if one.silenced and not one.words)
    rules = [_rule(row, groups, variants) for row in raw["rule"] if row["id"] not in silent]
    rules += [_added(one, groups, variants) for one in extra if not one.silenced]
    cues = [_cue(row, groups, variants) for row in raw.get("cue", [])]
    _check(rules, groups)
    words = {one.id: frozenset(_plain(w) for w in one.words) for one in extra if one.silenced and one.words}
    return RuleSet(tuple(rules), tuple(cues), groups, words, silent)


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


def _check(rules: Iterable[Rule], groups: Mapping[str, tuple[str, ...]]) -> None:
    for rule in rules:
        if rule.verdict not in get_args(Weight):
            raise BadRules(f"rule {rule.id}: verdict = {rule.verdict!r} is none of {get_args(Weight)}")
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
        if (rule.verdict == "normal") is ordinary
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
    kept = {
        group: [span for span in spans if not any(_covers(cover, span) for cover in covers)]
        for group, spans in found.items()
    }
    return {group: spans for group, spans in kept.items() if spans}


def _covers(cover: Span, span: Span) -> bool:
    return cover[0] <= span[0] and span[1] <= cover[1] and cover != span


def few(spans: list[Span]) -> list[Span]:
    """The first and the last of very many finds."""
    return spans if len(spans) <= 2 * _MOST else spans[:_MOST] + spans[-_MOST:]
