"""Judges many texts: one a line for the command line, and labelled ones to see what rules would change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from moderation import conduct, urgency
from moderation.rulebook import RuleSet


class Judge(Protocol):
    """A judgement: of repairs or of posts."""

    def __call__(self, text: str, rules: RuleSet | None = None, language: str = "zh") -> Any: ...


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what it is: urgent or normal, violation or ok."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Differs:
    """A labelled text that the rules judge differently, and why they do; `ask` and `hold` differ from any label."""

    example: Labelled
    verdict: urgency.Verdict | conduct.Verdict


def dry_run(
    examples: Iterable[Labelled],
    rules: RuleSet | None = None,
    language: str = "zh",
    judge: Judge = urgency.judge,
) -> list[Differs]:
    """Which labelled texts these rules judge differently from their label, in the order of the texts."""
    judged = ((example, judge(example.text, rules, language)) for example in examples)
    return [Differs(example, verdict) for example, verdict in judged if verdict.verdict != example.label]


def judge_lines(
    lines: Iterable[str], rules: RuleSet | None = None, judge: Judge = urgency.judge
) -> Iterator[dict[str, Any]]:
    """Judge plain lines or JSON Lines with `id` and `text`; blank lines are skipped.

    A plain line's id is its line number; a line that is no such JSON is judged as the plain text it is.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, text = _read_line(line.strip(), str(number))
        verdict = judge(text, rules)
        about = (
            {"category": verdict.category or None}
            if isinstance(verdict, conduct.Verdict)
            else {"kind": verdict.kind}
        )
        yield {
            "id": name,
            "verdict": verdict.verdict,
            **about,
            "why": [
                {"rule": why.rule, "words": list(why.words), "sentence": why.sentence} for why in verdict.why
            ],
        }


def _read_line(line: str, number: str) -> tuple[str, str]:
    if not line.startswith("{"):
        return number, line
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return number, line
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return number, line
    return str(row.get("id", number)), row["text"]
