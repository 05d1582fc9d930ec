"""Learns the second opinion from the labelled texts: python -m tests.moderation.learn_tone writes its file."""

from __future__ import annotations

import json
from pathlib import Path

from moderation.tone import Tone, learn, save_tone
from moderation.urgency import TONE

HERE = Path(__file__).parent


def examples() -> list[tuple[str, bool]]:
    """All labelled texts, and the ordinary messages."""
    rows = [
        json.loads(line)
        for name in ("urgency.jsonl", "own.jsonl")
        for line in (HERE / name).read_text(encoding="utf-8").splitlines()
    ]
    ordinary = (HERE / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    return [(row["text"], row["label"] == "urgent") for row in rows] + [(text, False) for text in ordinary]


def learned() -> Tone:
    return learn(examples())


if __name__ == "__main__":
    save_tone(learned(), TONE)
