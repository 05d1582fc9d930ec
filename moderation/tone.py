"""A learned second opinion: whether a report that matched no rule still sounds like an emergency.

The rules decide and explain; this may only make them ask. It knows no words of its own: it is a logistic
regression on pieces of one to three characters (English: words), learned from labelled texts and kept as a
readable file, and it can be learned again with the corrections of staff.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from moderation.text import HAN, read

_RUN = re.compile(f"[{HAN}]+|[a-z']+")
_ROUNDS = 60
_RATE = 0.5
_KEEP = 0.95  # of every weight after each round, so that no single piece grows to decide alone
_TOO_SMALL = 0.05


@dataclass(frozen=True, slots=True)
class Tone:
    """What each piece of text speaks for, in hundredths: above nought an emergency, below it an ordinary matter.

    Whole numbers, because their sum is the same in whatever order they are added.
    """

    weights: Mapping[str, int]
    bias: int
    threshold: int

    def alarm(self, plain: str) -> tuple[str, ...]:
        """The pieces that sound most like an emergency, or nothing if the text as a whole does not."""
        known = self.weights.keys() & _pieces(plain)
        total = sum(self.weights[piece] for piece in known)
        if self.bias + total * _norm(len(known)) <= self.threshold:
            return ()
        telling = sorted(known, key=lambda piece: (len(piece) == 1, -self.weights[piece], piece))
        return tuple(telling[:3])


def load_tone(path: Path) -> Tone:
    """Read what was learned. Raises OSError or ValueError."""
    row = json.loads(path.read_text(encoding="utf-8"))
    return Tone(row["weights"], row["bias"], row["threshold"])


def save_tone(tone: Tone, path: Path) -> None:
    """Write it so that two versions can be compared line by line."""
    row = {"threshold": tone.threshold, "bias": tone.bias, "weights": dict(sorted(tone.weights.items()))}
    path.write_text(json.dumps(row, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def learn(examples: Iterable[tuple[str, bool]], threshold: int = 70) -> Tone:
    """Learn from texts and whether each is urgent; the same examples in the same order give the same weights."""
    texts = [(sorted(_pieces(read(text).plain)), urgent) for text, urgent in examples]
    often = Counter(piece for pieces, _ in texts for piece in pieces)
    known = [([piece for piece in pieces if often[piece] > 1], urgent) for pieces, urgent in texts]
    weights: defaultdict[str, float] = defaultdict(float)
    bias = 0.0
    for turn in range(_ROUNDS):
        for pieces, urgent in _shuffled(known, turn):
            norm = _norm(len(pieces))
            score = bias + norm * sum(weights[piece] for piece in pieces)
            step = _RATE * (urgent - 1 / (1 + math.exp(-score)))
            bias += step / 10
            for piece in pieces:
                weights[piece] += step * norm
        for piece in weights:
            weights[piece] *= _KEEP
    kept = {piece: round(weight * 100) for piece, weight in weights.items() if abs(weight) >= _TOO_SMALL}
    return Tone(kept, round(bias * 100), threshold)


def _pieces(plain: str) -> set[str]:
    pieces: set[str] = set()
    for run in _RUN.findall(plain):
        if run.isascii():
            pieces.add(run)
            continue
        pieces.update(run)
        pieces.update(map("".join, pairwise(run)))
        pieces.update(map("".join, zip(run, run[1:], run[2:], strict=False)))
    return pieces


def _norm(count: int) -> float:
    return 1 / math.sqrt(count or 1)


def _shuffled(texts: Sequence[tuple[list[str], bool]], turn: int) -> Iterable[tuple[list[str], bool]]:
    """Another order in every round, without chance: steps of a number that shares no factor with the count."""
    count = len(texts)
    step = next(
        n for n in range(2 * turn + count // 3 + 1, 4 * count + 200) if math.gcd(n, max(count, 1)) == 1
    )
    return (texts[(at * step) % count] for at in range(count))
