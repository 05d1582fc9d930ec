"""How well reports are judged, per stratum of the labelled texts, and how fast beside jieba cutting the same texts."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moderation import segment
from moderation.urgency import judge, load, warm
from tests.benchmarks.measure import Figure, out, table

TEXTS = Path(__file__).parents[1] / "moderation"
SETS = {
    "urgency": "development",
    "own": "our own",
    "unseen": "written by somebody who had not seen the rules",
}
ROUNDS = 5
FEWEST = 8  # a smaller stratum is counted under "other notes"

Judged = list[tuple[dict[str, Any], str]]


def main() -> None:
    """Quality, then speed."""
    for name, title in SETS.items():
        _quality(name, title)
    _speed()


def _quality(name: str, title: str) -> None:
    rows = [json.loads(line) for line in (TEXTS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    judged = [(row, judge(row["text"]).verdict) for row in rows]
    strata: dict[str, Judged] = {"all": judged}
    for hard in (False, True):
        strata["hard" if hard else "plain"] = [each for each in judged if each[0]["hard"] is hard]
    notes: dict[str, Judged] = defaultdict(list)
    for each in judged:
        notes[each[0]["note"]].append(each)
    notes.pop("", None)
    few: Judged = []
    for note, those in sorted(notes.items()):
        if len(those) < FEWEST:
            few += those
        else:
            strata[note] = those
    strata["other notes"] = few
    table(
        f"Urgency, {name}.jsonl ({title})",
        ("", "texts", "right, ask ½", "95 %", "urgent missed", "paged for nothing", "asked"),
        [(stratum, *_figures(those)) for stratum, those in strata.items() if those],
    )


def _figures(judged: Judged) -> tuple[str, ...]:
    """A missed emergency is judged normal, and a page for nothing urgent; to be asked is neither."""
    points = sum(1 if found == row["label"] else 0.5 if found == "ask" else 0 for row, found in judged)
    urgent = [found for row, found in judged if row["label"] == "urgent"]
    normal = [found for row, found in judged if row["label"] == "normal"]
    low, high = _interval(points, len(judged))
    return (
        str(len(judged)),
        f"{points / len(judged):.1%}",
        f"{low:.0%}–{high:.0%}",
        f"{urgent.count('normal')}/{len(urgent)}",
        f"{normal.count('urgent')}/{len(normal)}",
        str([found for _, found in judged].count("ask")),
    )


def _interval(points: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of a share."""
    z, share = 1.96, points / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def _speed() -> None:
    rules_took = _took(load)
    jieba_took = _took(warm)
    rules, texts = load(), _mix()
    cut: Callable[[str], list[str]] = segment._loaded().lcut
    judged, cuts = [], []
    for _ in range(ROUNDS):  # turn by turn, so that a busy moment hits both
        judged.append(len(texts) / _took(lambda: [judge(text, rules) for text in texts]))
        cuts.append(len(texts) / _took(lambda: [cut(text) for text in texts]))
    table(
        f"Speed: {len(texts):,} texts as of an ordinary day",
        ("", "texts/s", "to jieba.lcut"),
        [
            ("jieba.lcut", Figure(cuts), "1.00×"),
            ("judge", Figure(judged), Figure(judged).beside(Figure(cuts))),
        ],
    )
    out.print(f"rules load in {rules_took * 1000:.0f} ms, jieba in {jieba_took:.2f} s")


def _mix() -> list[str]:
    """What comes in on a day: mostly ordinary messages, and the hard reports once."""
    ordinary = (TEXTS / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    hard = [json.loads(line)["text"] for line in (TEXTS / "urgency.jsonl").read_text("utf-8").splitlines()]
    return ordinary * 8 + hard


def _took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
