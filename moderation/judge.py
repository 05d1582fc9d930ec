"""Judges many texts, one a line, for the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from moderation.urgency import RuleSet, judge


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
