"""Word boundaries by jieba, loaded once and only when a text needs them."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from bisect import bisect_left
from functools import lru_cache
from itertools import pairwise
from math import log
from typing import Any

# What jieba cuts together. Any other character is a piece of its own, but for a line end of two.
_BLOCK = re.compile(r"[\u4E00-\u9FD5a-zA-Z0-9+#&._%\-]+|\r\n")
_lock = threading.Lock()
_tokenizer: Any = None


def warm() -> None:
    """Load jieba (about a second, 80 MB); safe to call from any thread, any number of times."""
    _loaded()


class Cut:
    """The places in a text at which a word begins or ends; each stretch without marks is cut when it is asked for."""

    def __init__(self, plain: str) -> None:
        self._plain = plain
        self._blocks = [block.span() for block in _BLOCK.finditer(plain)]
        self._places: dict[int, frozenset[int]] = {}

    def __contains__(self, place: int) -> bool:
        number = bisect_left(self._blocks, (place, 0)) - 1
        if number < 0 or place >= self._blocks[number][1]:
            return True
        return place in self._inside(number)

    def all(self) -> list[int]:
        """Every such place, in order."""
        places = set(range(len(self._plain) + 1))
        for number, (start, end) in enumerate(self._blocks):
            places.difference_update(set(range(start + 1, end)) - self._inside(number))
        return sorted(places)

    def _inside(self, number: int) -> frozenset[int]:
        if number not in self._places:
            start, end = self._blocks[number]
            self._places[number] = frozenset(_cut(self._plain[start:end], start))
        return self._places[number]


def _cut(block: str, start: int) -> list[int]:
    """Where the words of a block end, as jieba finds them without its hidden Markov model.

    The model glues unknown neighbours together and would veto true hits.
    """
    if block == "\r\n":
        return []
    tokenizer = _loaded()
    often, whole, size = tokenizer.FREQ.get, log(tokenizer.total), len(block)
    best, ends = [0.0] * (size + 1), [0] * size
    for at in range(size - 1, -1, -1):
        last, end, top = 0, at + 1, 0.0
        count = often(block[at])
        while count is not None:
            if count:
                score = log(count) - whole + best[end]
                if not last or score >= top:
                    last, top = end, score
            if end == size:
                break
            end += 1
            count = often(block[at:end])
        best[at], ends[at] = (top, last) if last else (best[at + 1] - whole, at + 1)
    places: list[int] = []
    at, single = 0, False
    while at < size:
        end = ends[at]
        was, single = single, end == at + 1 and block[at].isascii() and block[at].isalnum()
        if was and single:
            places.pop()  # letters and digits that make up no word stay together
        places.append(start + end)
        at = end
    return places


@lru_cache(maxsize=4)
def cut(plain: str) -> Cut:
    """How `plain` falls into words. Rules and tone ask for the same."""
    return Cut(plain)


@lru_cache(maxsize=4)
def words(plain: str) -> tuple[str, ...]:
    """`plain` cut into words, spaces and marks; together they are the text again."""
    return tuple(plain[start:end] for start, end in pairwise(cut(plain).all()))


def is_word(plain: str) -> bool:
    """Whether the dictionary knows it as one word."""
    return bool(_loaded().FREQ.get(plain))


def boundaries(plain: str) -> frozenset[int]:
    """The places in `plain` at which a word begins or ends."""
    return frozenset(cut(plain).all())


def _loaded() -> Any:
    global _tokenizer  # noqa: PLW0603 - the one dictionary of the process
    if _tokenizer is None:
        with _lock:
            if _tokenizer is None:
                _tokenizer = _load()
    return _tokenizer


def _load() -> Any:
    """A tokenizer of our own, filled without jieba's cache file: its place in /tmp is open to others."""
    with warnings.catch_warnings():
        # jieba 0.42.1 has old escape sequences and may import pkg_resources: nothing that we can mend.
        warnings.simplefilter("ignore")
        import jieba
    logging.getLogger("jieba").setLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
