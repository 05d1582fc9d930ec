"""Reads a text once: one plain form for the rules to search, and the way back to what the person wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zhconv_rs import zhconv

HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"

# Every entry is one character for one character, so that the places in the text stay the same.
_FOLD: dict[int, str] = {
    **{code: chr(code - 0xFEE0).lower() for code in range(0xFF01, 0xFF5F)},
    **{code: chr(code).lower() for code in range(ord("A"), ord("Z") + 1)},
    ord("\u3000"): " ",
    ord("\u00a0"): " ",
    ord("\t"): " ",
    ord("\r"): "\n",
    ord("…"): ",",
    ord("\u2019"): "'",
}
_FOLDED = re.compile(f"[{''.join(re.escape(chr(code)) for code in _FOLD)}]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Zero-width and bidirectional marks, soft hyphen, control characters, variation selectors, skin tones.
_HIDDEN = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\u20e3\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef]+"
)
# A mark that nobody puts between two characters of a word: always dropped there ("漏*气").
_MARK = f"(?<=[{HAN}])[*_|·•^`#+=]+(?=[{HAN}])"
# A space or dot may end a clause, so it is dropped only beside a character that stands alone ("着 火 了").
_BETWEEN = "[ .\\-/~]{1,3}"
_SPACED = re.compile(
    f"(?<![{HAN}])(?P<alone>[{HAN}]){_BETWEEN}(?=[{HAN}])|(?<=[{HAN}]){_BETWEEN}(?=[{HAN}](?![{HAN}]))"
)
_DROP = re.compile(f"{_HIDDEN}|{_MARK}")
# Most messages hold nothing to drop: one search says so.
_SUSPECT = re.compile(f"{_HIDDEN}|[{HAN}][*_|·•^`#+= .\\-/~]{{1,3}}[{HAN}]")


@dataclass(frozen=True, slots=True)
class Read:
    """A text as the rules see it (`plain`) and as it was written (`original`)."""

    plain: str
    original: str
    offsets: tuple[int, ...] | None = None  # place in plain → place in original; None: the same
    tails: Mapping[int, int] = field(
        default_factory=dict
    )  # where what stands for several pieces ends in original

    def words(self, start: int, end: int) -> str:
        """What the person wrote where `plain[start:end]` was found."""
        if start >= end:
            return ""
        if self.offsets is None:
            return self.original[start:end]
        last = self.offsets[end - 1]
        return self.original[self.offsets[start] : self.tails.get(last, last) + 1]


def read(text: str) -> Read:
    """Full-width, traditional, capital, hidden and spaced-out characters become their plain form."""
    plain = _SURROGATE.sub("?", text).translate(_FOLD)
    offsets: tuple[int, ...] | None = None
    if not plain.isascii() and not unicodedata.is_normalized("NFKC", plain):
        plain, offsets = _each(plain, None, lambda one: unicodedata.normalize("NFKC", one).lower())
    if _SUSPECT.search(plain):
        plain, offsets = _without(plain, offsets)
    if not plain.isascii():
        plain, offsets = _simplified(plain, offsets)
    return Read(plain, text, offsets)


def folded(text: str) -> str:
    """The plain form of a text that has nothing to drop, join or simplify: only capitals and marks change."""
    return text.translate(_FOLD) if _FOLDED.search(text) else text


def _simplified(plain: str, offsets: tuple[int, ...] | None) -> tuple[str, tuple[int, ...] | None]:
    """Traditional to simplified; a phrase that changes its length is converted by the character instead."""
    simple = zhconv(plain, "zh-hans")
    if len(simple) == len(plain):
        return simple, offsets
    return _each(plain, offsets, lambda one: zhconv(one, "zh-hans"))


def _each(
    plain: str, offsets: tuple[int, ...] | None, change: Callable[[str], str]
) -> tuple[str, tuple[int, ...]]:
    parts = [change(one) for one in plain]
    places = offsets or range(len(plain))
    spread = tuple(place for place, part in zip(places, parts, strict=True) for _ in part)
    return "".join(parts), spread


def _without(plain: str, offsets: tuple[int, ...] | None) -> tuple[str, tuple[int, ...]]:
    """Drop hidden marks first, because they may stand between spaced-out characters."""
    plain, places = cut(plain, tuple(offsets or range(len(plain))), _spans(_DROP, plain))
    gaps = [(max(run.end("alone"), run.start()), run.end()) for run in _SPACED.finditer(plain)]
    return cut(plain, places, gaps)


def _spans(pattern: re.Pattern[str], plain: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(plain)]


def cut(plain: str, places: tuple[int, ...], gaps: list[tuple[int, int]]) -> tuple[str, tuple[int, ...]]:
    """Take the gaps out of a text and of its places."""
    parts: list[str] = []
    kept: list[int] = []
    at = 0
    for start, end in [*gaps, (len(plain), len(plain))]:
        parts.append(plain[at:start])
        kept.extend(places[at:start])
        at = end
    return "".join(parts), tuple(kept)
