"""The two errors that are answers: the words were not understood, or a rule says no."""

from typing import Any


class _Answer(Exception):
    def __init__(self, key: str, **facts: Any) -> None:
        super().__init__(key)
        self.key = key
        self.facts = facts


class Unclear(_Answer):
    """What was said does not answer the question; `key` names the words that help."""


class Refused(_Answer):
    """A rule says no; `key` names the words that say which."""
