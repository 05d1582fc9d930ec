"""How many reports a second are judged, beside jieba cutting the same texts in the same run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moderation import segment
from moderation.urgency import judge, load, warm

TEXTS = Path(__file__).parents[1] / "moderation"
ROUNDS = 5


def main() -> None:
    """Print medians of several rounds; times differ from machine to machine, the ratio hardly."""
    rules_took = _took(load)
    jieba_took = _took(warm)
    rules, texts = load(), _mix()
    cut = _jieba()
    judged, cuts = [], []
    for _ in range(ROUNDS):  # turn by turn, so that a busy moment hits both
        judged.append(len(texts) / _took(lambda: [judge(text, rules) for text in texts]))
        cuts.append(len(texts) / _took(lambda: [cut(text) for text in texts]))
    ours, theirs = statistics.median(judged), statistics.median(cuts)
    print(f"texts {len(texts)}, rounds {ROUNDS}")
    print(f"load rules {rules_took * 1000:.0f} ms, warm jieba {jieba_took:.2f} s")
    print(f"judge {ours:,.0f} texts/s, jieba.lcut {theirs:,.0f} texts/s, ratio {ours / theirs:.1f}")


def _mix() -> list[str]:
    """What comes in on a day: mostly ordinary messages, and the hard reports once."""
    ordinary = (TEXTS / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    hard = [json.loads(line)["text"] for line in (TEXTS / "urgency.jsonl").read_text("utf-8").splitlines()]
    return ordinary * 8 + hard


def _jieba() -> Callable[[str], list[str]]:
    tokenizer: Any = segment._loaded()
    return tokenizer.lcut  # type: ignore[no-any-return]


def _took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
