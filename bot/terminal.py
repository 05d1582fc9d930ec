"""What every command has: how it prints, and how it ends with a sentence."""

from datetime import UTC, datetime
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from conversations.words import LANGUAGES, Reader, Say

# What people wrote is printed, too: nothing in it is markup.
out = Console(soft_wrap=True, markup=False, highlight=False)
err = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


def fail(sentence: str) -> NoReturn:
    """End with a sentence for the person at the terminal."""
    complain(sentence)
    raise typer.Exit(1)


def complain(sentence: str) -> None:
    """Say what is wrong, marked in red."""
    err.print(Text.assemble(("✗ ", "red"), sentence))


def in_both(words: Say | list[Say]) -> str:
    """Words in Chinese and in English."""
    return " ".join(_in_each(words))


def in_lines(words: Say) -> str:
    """The same, each language in a line of its own."""
    return "\n".join(_in_each(words))


def _in_each(words: Say | list[Say]) -> list[str]:
    now = datetime.now(UTC)
    return [Reader(language, "Asia/Shanghai", now).show(words) for language in LANGUAGES]
