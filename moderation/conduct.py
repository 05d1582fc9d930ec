"""Judges whether a post keeps the rules of the neighbourhood, and says which words and which rule decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from moderation import segment
from moderation.cloak import KEPT, Heard, is_plain, is_spelled, uncloak
from moderation.rulebook import (
    CONDUCT,
    HIDDEN,
    SEVERITY,
    CommunityRule,
    Found,
    RuleSet,
    Span,
    Weight,
    compile_rules,
)
from moderation.scene import Match, Scene, Why, reasons, shortened
from moderation.text import Read, folded
from moderation.tone import Tone, load_tone, pieces_of

__all__ = [
    "CATEGORIES",
    "DEFAULT",
    "CommunityRule",
    "RuleSet",
    "Verdict",
    "Why",
    "fingerprint",
    "innocent",
    "judge",
    "load",
    "warm",
]

CATEGORIES = (
    "ad", "fraud", "gambling", "porn", "drugs", "weapons", "insult", "privacy", "illegal_trade",
)  # fmt: skip
DEFAULT = Path(__file__).parent / "rules" / "conduct.toml"
TONE = Path(__file__).parent / "rules" / "conduct-tone.json"
INNOCENT = Path(__file__).parent / "rules" / "innocent-posts.txt"

# The second opinion's part, measured on texts that it was not taught. By what the rules say: below the first it is let
# go, below the second held, from there on deleted, always for the rule's reason. What they find nothing in, it holds:
# from the first on if words of theirs stand about, from the second on if none do. It deletes nothing alone.
_BANDS: dict[Weight, tuple[int, int]] = {"violation": (-400, -200), "hold": (-50, 100)}
_SUSPECTS, _ALARMED = 25, 50
_SOUNDS = {
    "hold": (
        "听起来像违规信息，请物业看一下",
        "this sounds like a post that breaks the rules; staff will look",
    ),
    "ok": (
        "说到了敏感的词，但听起来是平常的事",
        "a sensitive word is named, but this sounds like an ordinary matter",
    ),
}
_MANY = 4  # so many words of rules that hold are no accident together
_ENOUGH = 3  # so many reasons to delete a post need no further ones
_FEWEST = 5  # so short a text has no tone
_SURE = 4  # a shorter word that is only heard is a hint, and decides nothing alone


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a post is. `hold`: it may break a rule, so that staff decide; `violation`: it surely does."""

    verdict: Weight
    category: str = ""
    why: tuple[Why, ...] = ()


_OK = Verdict("ok")


def load(path: Path = DEFAULT, extra: Sequence[CommunityRule] = ()) -> RuleSet:
    """Compile the rule file, with a community's own rules on top. Raises BadRules or OSError."""
    # What staff write is read as posts are, so that a word of theirs is found however it is hidden.
    added = [replace(one, words=tuple(map(_uncloaked, one.words))) for one in extra]
    return compile_rules(path, added, CONDUCT)


def innocent() -> tuple[str, ...]:
    """Posts that break no rule: what new words of staff are tried on before they count."""
    lines = INNOCENT.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def warm() -> None:
    """Load what the first judgement needs: the rules and jieba. For a thread beside the start."""
    standard()
    _tone()
    segment.warm()


def judge(text: str, rules: RuleSet | None = None, language: str = "zh", tone: Tone | None = None) -> Verdict:
    """Judge one post. Never raises, whatever the text is; the same text and rules give the same verdict."""
    rules = rules or standard()
    text = shortened(text)
    tricks = 0
    if is_plain(text):
        plain = folded(text)
        if not rules.may_hold(plain):
            return _OK
        said = Read(plain, text)
    else:
        said, tricks = uncloak(text)
        if not tricks and not rules.may_hold(said.plain) and not is_spelled(said.plain):
            return _OK
    found, hints = _find(said.plain, rules, tricks)
    ruled, own = _rule(said, rules, found, hints, language)
    if own or "tone" in rules.silent or len(said.plain) < _FEWEST:
        return ruled  # what staff have ruled themselves stands
    tone = tone or _tone()
    score = tone.score(said.plain, signs(found))
    if ruled.verdict != "ok":
        calm, sure = _BANDS[ruled.verdict]
        verdict: Weight = "ok" if score < calm else "hold" if score < sure else "violation"
        return _let_go(ruled, language) if verdict == "ok" else replace(ruled, verdict=verdict)
    if score < (_ALARMED if rules.alarming.isdisjoint(found) else _SUSPECTS) or _is_silenced(text, rules):
        return ruled
    return _suspected(said, ruled, tone, language)


def signs(found: Iterable[str]) -> set[str]:
    """What the second opinion is told of the finds: which of the file's lists have a word in the text."""
    return {f"<{group}>" for group in found if not group.startswith(("any.", "own.", "cue."))}


def pieces(text: str) -> set[str]:
    """What the second opinion learns from a text."""
    said, tricks = uncloak(shortened(text))
    found, _ = _find(said.plain, standard(), tricks)
    return pieces_of(said.plain, words=False) | signs(found)


def _is_silenced(text: str, rules: RuleSet) -> bool:
    """Whether the rules of the file would delete what this community silenced: it must not come back by its tone."""
    return rules.has_silenced and judge(text).verdict == "violation"


def _let_go(ruled: Verdict, language: str) -> Verdict:
    words = tuple(dict.fromkeys(word for why in ruled.why for word in why.words))
    return Verdict("ok", "", (_sounds("ok", words, language),))


def _suspected(said: Read, ruled: Verdict, tone: Tone, language: str) -> Verdict:
    words = tuple(
        said.words(place, place + len(piece))
        for piece in tone.alarming(said.plain)
        if (place := said.plain.find(piece)) >= 0
    )
    return Verdict("hold", "", (_sounds("hold", words, language),)) if words else ruled


def _sounds(verdict: str, words: tuple[str, ...], language: str) -> Why:
    return Why("tone", words, _SOUNDS[verdict][0 if language.startswith("zh") else 1])


def fingerprint(text: str) -> str:
    """A text as evasions leave it: the same for whatever reads the same, and empty if it says nothing."""
    return "".join(one for one in uncloak(text)[0].plain if one.isalnum() or one in KEPT)


def _rule(
    said: Read, rules: RuleSet, found: Found, hints: frozenset[Span], language: str
) -> tuple[Verdict, bool]:
    """What the rules say, and whether it is a rule of the community's own staff that says it."""
    if not found:
        return _OK, False
    matches: list[Match] = []
    for match in Scene(said, rules, found).worst_first():
        matches.append(_weaker(match, hints))
        if sum(each.weight == "violation" for each in matches) >= _ENOUGH:
            break
    weights: list[Weight] = ["ok", *(match.weight for match in matches)]
    top = max(weights, key=SEVERITY.__getitem__)
    deciding = sorted((match for match in matches if match.weight == top), key=Match.place)
    if top == "hold" and _count(match for match in deciding if not match.rule.own) >= _MANY:
        top = "violation"
    category = deciding[0].rule.kind if SEVERITY[top] else ""
    return Verdict(top, category, reasons(said, deciding, language)), any(
        match.rule.own for match in deciding
    )


def _count(matches: Iterable[Match]) -> int:
    """How many places of the text these rules have found, of those that overlap one."""
    count, end = 0, 0
    for start, last in sorted({span for match in matches for span in match.spans}):
        if start >= end:
            count, end = count + 1, last
    return count


def _weaker(match: Match, hints: frozenset[Span]) -> Match:
    """A rule that stands on a hint only holds."""
    if match.weight == "violation" and any(span in hints for span in match.spans):
        return replace(match, weight="hold")
    return match


def _find(plain: str, rules: RuleSet, tricks: int) -> tuple[Found, frozenset[Span]]:
    """The words of the rules, as they are written and as they sound; which of the latter are but hints."""
    found = rules.find(plain)
    heard = [one for one in rules.ear.hear(plain) if _is_meant(one, plain, rules)] if rules.ear else []
    hints: set[Span] = set()
    if heard:
        tricks += _hear(heard, found, hints, rules)
    if found and tricks:
        # It has no words of its own: it stands at the end, near to all.
        found[HIDDEN] = [(len(plain), len(plain))]
    return found, frozenset(hints)


def _hear(heard: list[Heard], found: Found, hints: set[Span], rules: RuleSet) -> int:
    """Put what is heard beside what is found; how much of it is no accident."""
    signs = {(one.start, one.end) for one in heard} | {span for spans in found.values() for span in spans}
    for one in heard:
        span = one.start, one.end
        if not one.mixed and len(one.word) < _SURE:
            if len(signs) < 2:
                continue
            hints.add(span)
        for group in rules.groups_of(one.word):
            if span not in found.setdefault(group, []):
                found[group] = sorted([*found[group], span])
    return sum(one.mixed or len(one.word) >= _SURE for one in heard)


def _is_meant(heard: Heard, plain: str, rules: RuleSet) -> bool:
    """Whether what sounds like a word of a rule is no word of its own: 袋款 for 贷款, but not 待宽."""
    written = plain[heard.start : heard.end]
    if rules.groups_of(written):
        return False
    if heard.mixed:
        return True
    same = sum(one == other for one, other in zip(written, heard.word, strict=True))
    if not same:
        return False
    places = segment.cut(plain)
    if heard.start not in places or heard.end not in places:
        return False
    if len(written) > 2 and 2 * same >= len(written):
        return not segment.is_word(written)
    return all(place in places for place in range(heard.start, heard.end))


def _uncloaked(words: str) -> str:
    return "+".join(uncloak(part.strip())[0].plain for part in words.split("+"))


@lru_cache(maxsize=1)
def _tone() -> Tone:
    return load_tone(TONE)


@lru_cache(maxsize=1)
def standard() -> RuleSet:
    """The rules of the file as they are, compiled once."""
    return load()
