"""Learns a second opinion: python -m tests.moderation.learn_tone urgency|conduct [FILE...] writes its file.

More texts, such as the corrections of staff, are JSON Lines with `text` and `label`: urgent or normal, violation or ok.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moderation import conduct, urgency
from moderation.tone import Tone, learn, learn_pieces, save_tone

HERE = Path(__file__).parent
LABELLED = ("urgency", "own", "pairs", "voices")
ORDINARY = ("ordinary", "everyday", "answers", "offers")
POSTS = ("violation", "posts", "own-posts")


def examples(more: Iterable[Path] = ()) -> list[tuple[str, bool]]:
    """All labelled texts, and the ordinary messages of a day: without these, whatever is said would sound alarming."""
    return [(row["text"], row["label"] == "urgent") for row in _rows(LABELLED, more)] + [
        (text, False) for text in ordinary()
    ]


def ordinary() -> list[str]:
    """What people write on a day that is no emergency, and mostly not even a report."""
    return _lines(*ORDINARY)


def posts(more: Iterable[Path] = ()) -> list[tuple[str, bool]]:
    """All labelled posts, and what neighbours write that breaks no rule."""
    return [(row["text"], row["label"] == "violation") for row in _rows(POSTS, more)] + [
        (text, False) for text in calm() + reports()
    ]


def calm() -> list[str]:
    """What neighbours write to one another."""
    return [*_lines("calm"), *conduct.innocent(), *ordinary()]


def reports() -> list[str]:
    """What they report to the property office: none of it breaks a rule, however angry it is."""
    return [row["text"] for row in _rows(LABELLED, ())]


def learned(more: Iterable[Path] = ()) -> Tone:
    """Of repairs."""
    return learn(examples(more))


def learned_posts(texts: Iterable[tuple[str, bool]]) -> Tone:
    """Of posts; from their characters, and from the lists of rules that have a word in them."""
    return learn_pieces([(conduct.pieces(text), bad) for text, bad in texts], words=False)


def _rows(names: Iterable[str], more: Iterable[Path]) -> list[dict[str, Any]]:
    files = [*(HERE / f"{name}.jsonl" for name in names), *more]
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _lines(*names: str) -> list[str]:
    return [
        line
        for name in names
        for line in (HERE / f"{name}.txt").read_text("utf-8").splitlines()
        if line.strip()
    ]


if __name__ == "__main__":
    which, *files = sys.argv[1:]
    learning: dict[str, tuple[Callable[[list[Path]], Tone], Path]] = {
        "urgency": (learned, urgency.TONE),
        "conduct": (lambda more: learned_posts(posts(more)), conduct.TONE),
    }
    teach, path = learning[which]
    save_tone(teach([Path(name) for name in files]), path)
