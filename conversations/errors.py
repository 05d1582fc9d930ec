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
    """A rule says no; `key` names the words that say which.

    `ends` is the number of the talk whose end was refused: it is over, since asking again would be refused again.
    """

    ends: int | None = None


class NotNow(Refused):
    """A rule says no today; the same may be allowed tomorrow."""
