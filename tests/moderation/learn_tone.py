"""Learns the second opinion from the labelled texts: python -m tests.moderation.learn_tone [FILE...] writes its file.

More texts, such as the corrections of staff, are JSON Lines with `text` and `label` (urgent or normal).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from moderation.tone import Tone, learn, save_tone
from moderation.urgency import TONE

HERE = Path(__file__).parent
LABELLED = ("urgency", "own", "pairs", "voices")
ORDINARY = ("ordinary", "everyday", "answers")


def examples(more: Iterable[Path] = ()) -> list[tuple[str, bool]]:
    """All labelled texts, and the ordinary messages of a day: without these, whatever is said would sound alarming."""
    files = [*(HERE / f"{name}.jsonl" for name in LABELLED), *more]
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [(row["text"], row["label"] == "urgent") for row in rows] + [(text, False) for text in ordinary()]


def ordinary() -> list[str]:
    """What people write on a day that is no emergency, and mostly not even a report."""
    return [line for name in ORDINARY for line in (HERE / f"{name}.txt").read_text("utf-8").splitlines()]


def learned(more: Iterable[Path] = ()) -> Tone:
    return learn(examples(more))


if __name__ == "__main__":
    save_tone(learned(Path(name) for name in sys.argv[1:]), TONE)
