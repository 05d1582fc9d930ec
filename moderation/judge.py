"""Judges many texts: one a line for the command line, and labelled ones to see what rules would change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from moderation.urgency import RuleSet, Verdict, judge


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what it is: urgent or normal."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Differs:
    """A labelled text that the rules judge differently, and why they do; `ask` differs from both labels."""

    example: Labelled
    verdict: Verdict


def dry_run(
    examples: Iterable[Labelled], rules: RuleSet | None = None, language: str = "zh"
) -> list[Differs]:
    """Which labelled texts these rules judge differently from their label, in the order of the texts."""
    judged = ((example, judge(example.text, rules, language)) for example in examples)
    return [Differs(example, verdict) for example, verdict in judged if verdict.verdict != example.label]


def judge_lines(lines: Iterable[str], rules: RuleSet | None = None) -> Iterator[dict[str, Any]]:
    """Judge plain lines or JSON Lines with `id` and `text`; blank lines are skipped.

    A plain line's id is its line number; a line that is no such JSON is judged as the plain text it is.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, text = _read_line(line.strip(), str(number))
        verdict = judge(text, rules)
        yield {
            "id": name,
            "verdict": verdict.verdict,
            "kind": verdict.kind,
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
