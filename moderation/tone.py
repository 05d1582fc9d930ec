"""A learned second opinion: how much a report sounds like an emergency, whatever the rules find in it.

It is a logistic regression on pieces of one to three characters, on words and on pairs of neighbouring words. It
knows no words of its own: it is learned from labelled texts, kept as a readable file, and can be learned again with
the corrections of staff. What it may say is decided where it is asked (`urgency.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise, repeat
from operator import add
from pathlib import Path

from moderation import segment
from moderation.text import HAN, read

_HAN = re.compile(f"[{HAN}]+")
_OTHER = re.compile(f"[a-z]+|[^{HAN}a-z0-9\\s]")
_ROUNDS = 40
_RATE = 4.0
_TOO_SMALL = 5
_MOST_TELLING = 3


@dataclass(frozen=True, slots=True)
class Tone:
    """What each piece of text speaks for, in hundredths: above nought an emergency, below it an ordinary matter.

    Whole numbers, because their sum is the same in whatever order they are added.
    """

    weights: Mapping[str, int]
    bias: int
    words: bool = True  # whether it knows words, for which jieba must cut each text

    def score(self, plain: str, signs: Iterable[str] = ()) -> int:
        """What the whole text sounds like; signs are what else is known of it, as it was when this was learned."""
        pieces = pieces_of(plain, self.words)
        pieces.update(signs)
        total = sum(map(self.weights.get, pieces, repeat(0)))
        return round(self.bias + total * _norm(pieces))

    def alarming(self, plain: str) -> tuple[str, ...]:
        """What sounds most like an emergency and can be shown: words first, and none inside another."""
        heavy = sorted(
            (
                piece
                for piece in self.weights.keys() & pieces_of(plain, self.words)
                if self.weights[piece] > 0
            ),
            key=lambda piece: (not _is_telling(piece, self.words), -self.weights[piece], piece),
        )
        chosen: list[str] = []
        for words in map(_shown, heavy):
            if words in plain and not any(words in other or other in words for other in chosen):
                chosen.append(words)
            if len(chosen) == _MOST_TELLING:
                break
        return tuple(chosen)


def load_tone(path: Path) -> Tone:
    """Read what was learned. Raises OSError or ValueError."""
    row = json.loads(path.read_text(encoding="utf-8"))
    # Equal numbers share their place in memory, so that more of them stay near at hand.
    same: dict[int, int] = {}
    return Tone(
        {piece: same.setdefault(weight, weight) for piece, weight in row["weights"].items()},
        row["bias"],
        row["words"],
    )


def save_tone(tone: Tone, path: Path) -> None:
    """Write it so that two versions can be compared line by line."""
    row = {"bias": tone.bias, "words": tone.words, "weights": dict(sorted(tone.weights.items()))}
    path.write_text(json.dumps(row, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def learn(examples: Iterable[tuple[str, bool]]) -> Tone:
    """Learn from texts and whether each is urgent; the same examples in the same order give the same weights."""
    return learn_pieces([(pieces_of(read(text).plain), urgent) for text, urgent in examples])


def learn_pieces(texts: Sequence[tuple[Set[str], bool]], words: bool = True) -> Tone:
    """Learn from the pieces of texts, whatever they are, and whether each text is what the tone shall sound."""
    often = Counter(piece for pieces, _ in texts for piece in pieces)
    # What stands in one text alone teaches nothing about others.
    kept = sorted(piece for piece, count in often.items() if count > 1)
    places = {piece: place for place, piece in enumerate(kept)}
    # A rare word says more than a common one, so it learns faster.
    gains = [(1 + math.log((1 + len(texts)) / (1 + often[piece]))) ** 2 / 25 for piece in kept]
    known = [
        (sorted(places[piece] for piece in pieces & places.keys()), _norm(pieces), urgent)
        for pieces, urgent in texts
    ]
    weights = [0.0] * len(kept)
    bias = 0.0
    for turn in range(_ROUNDS):
        rate = _RATE * 10 / (10 + turn)
        for at in _shuffled(len(known), turn):
            pieces, norm, urgent = known[at]
            score = bias + norm * sum([weights[piece] for piece in pieces])
            step = rate * (urgent - 1 / (1 + math.exp(-score)))
            bias += step / 10
            step *= norm
            for piece in pieces:
                weights[piece] += step * gains[piece]
    hundredths = {piece: round(weight * 100) for piece, weight in zip(kept, weights, strict=True)}
    return Tone(
        {piece: weight for piece, weight in hundredths.items() if abs(weight) >= _TOO_SMALL},
        round(bias * 100),
        words,
    )


def pieces_of(plain: str, words: bool = True) -> set[str]:
    """Characters, pairs and threes of them; "[word]" and "[word word]" are whole words and neighbours."""
    pieces: set[str] = set()
    for run in _HAN.findall(plain):
        pieces.update(run)
        pairs = list(map(add, run, run[1:]))
        pieces.update(pairs)
        pieces.update(map(add, pairs, run[2:]))
    if words:
        cut = ["#" if word[0].isdigit() else word for word in segment.words(plain) if not word.isspace()]
        pieces.update([f"[{word}]" for word in cut])
        pieces.update([f"[{one} {two}]" for one, two in pairwise(cut)])
    else:
        pieces.update([f"[{word}]" for word in _OTHER.findall(plain)])
    return pieces


def _is_telling(piece: str, words: bool) -> bool:
    """Whether it is one word or two, and not a cut through them; without words, more than a character."""
    if not words:
        return len(piece) > 1 and not piece.startswith("[")
    return piece.startswith("[") and len(piece) > len("[好]") and piece[1:-1].replace(" ", "").isalpha()


def _shown(piece: str) -> str:
    """A piece as it stands in a text: words of Chinese stand together."""
    words = piece.removeprefix("[").removesuffix("]")
    return words.replace(" ", "") if _HAN.search(words) else words


def _norm(pieces: Set[str]) -> float:
    return 1 / math.sqrt(len(pieces) or 1)


def _shuffled(count: int, turn: int) -> Iterable[int]:
    """Another order in every round, without chance: steps of a number that shares no factor with the count."""
    step = next(
        n for n in range(2 * turn + count // 3 + 1, 4 * count + 200) if math.gcd(n, max(count, 1)) == 1
    )
    return ((at * step) % count for at in range(count))
