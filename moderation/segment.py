"""Word boundaries by jieba, loaded once and only when a text needs them."""

from __future__ import annotations

import logging
import threading
import warnings
from functools import lru_cache
from itertools import accumulate
from typing import Any

_lock = threading.Lock()
_tokenizer: Any = None


def warm() -> None:
    """Load jieba (about a second, 80 MB); safe to call from any thread, any number of times."""
    _loaded()


@lru_cache(maxsize=4)
def words(plain: str) -> tuple[str, ...]:
    """`plain` cut into words, spaces and marks; together they are the text again. Rules and tone ask for the same."""
    # Without the hidden Markov model: it glues unknown neighbours together and would veto true hits.
    return tuple(_loaded().cut(plain, HMM=False))


def boundaries(plain: str) -> frozenset[int]:
    """The places in `plain` at which a word begins or ends."""
    return frozenset(accumulate(map(len, words(plain)), initial=0))


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
