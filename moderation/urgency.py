"""Judges how urgent a repair report is, and says which words and which rule decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from moderation import segment
from moderation.rulebook import SEVERITY, CommunityRule, RuleSet, Weight, compile_rules
from moderation.scene import Match, Scene, Why, reasons, shortened
from moderation.text import Read, read
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a report is. `ask`: it sounds dangerous but is unclear, so the person is asked with one tap.

    `kind` is "other" when the text names nothing to repair.
    """

    verdict: Weight
    kind: str
    why: tuple[Why, ...] = ()


def load(path: Path = DEFAULT, extra: Sequence[CommunityRule] = ()) -> RuleSet:
    """Compile the rule file, with a community's own rules on top. Raises BadRules or OSError."""
    return compile_rules(path, extra)


def warm() -> None:
    """Load what the first judgement needs: the rules and jieba. For a thread beside the start."""
    standard()
    _tone()
    segment.warm()


def judge(text: str, rules: RuleSet | None = None, language: str = "zh", tone: Tone | None = None) -> Verdict:
    """Judge one report. Never raises, whatever the text is; the same text and rules give the same verdict."""
    rules = rules or standard()
    said = read(shortened(text))
    found = rules.find(said.plain)
    if not found:
        return Verdict("normal", "other")
    scene = Scene(said, rules, found)
    dangers = scene.dangers()
    weights: list[Weight] = ["normal", *(match.weight for match in dangers)]
    top = max(weights, key=SEVERITY.__getitem__)
    deciding = sorted((match for match in dangers if match.weight == top), key=Match.place)
    kind = deciding[0].rule.kind if top != "normal" else scene.kind(deciding)
    ruled = Verdict(top, kind, reasons(said, deciding, language))
    if "tone" in rules.silent or any(match.rule.own for match in deciding):
        return ruled  # what staff have ruled themselves stands
    if len(said.plain) <= _CRY if deciding else scene.suspicions() < _SUSPECT:
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
    alarms = SEVERITY[verdict] > SEVERITY[ruled.verdict]
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
    rules = standard()
    return any(match.weight == "urgent" for match in Scene(said, rules, rules.find(said.plain)).dangers())


@lru_cache(maxsize=1)
def _tone() -> Tone:
    return load_tone(TONE)


@lru_cache(maxsize=1)
def standard() -> RuleSet:
    """The rules of the file as they are, compiled once."""
    return load()
