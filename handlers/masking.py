"""Free words as everybody may read them: without telephone numbers, rooms, and the name of whom they are about."""

import re

from handlers.people import homes_of
from handlers.tx import Tx
from store.tables import Person

# Telephone numbers, however they are broken up, and rooms ("1301室", "2单元1301").
# A word between digits makes them several numbers (晚上10点30到12点, 13号楼2单元1201).
PHONE = re.compile(r"\d(?:[^\w\n]{0,3}\d){6,}")
ROOM = re.compile(r"(?<=单元)\s*\d{3,4}|\d{3,4}(?=\s*(?:室|号房|房|户))")
PLAIN = re.compile(
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}(?:\s+\d{1,2}(?::\d{2})?)?|\d{1,3}(?:,\d{3}){2,3}(?:\.\d{1,2})?", re.ASCII
)
"""What has as many digits as a telephone number and is none: a day, an amount."""
TIME = re.compile(r"(?<!\d)(?:[01]?\d|2[0-4])[:：][0-5]\d(?!\d)|(?<!\d)\d{4}([-/.])\d{1,2}\1\d{1,2}(?!\d)")
SHORTEST = 7
"""Digits of a telephone number."""


def without_numbers(text: str) -> str:
    """Words without telephone numbers; days and amounts stay."""
    return PHONE.sub(lambda found: found[0] if _is_plain(found[0]) else "***", text)


def _is_plain(numbers: str) -> bool:
    """Whether numbers are an amount, or times of days with too few digits beside them for a telephone number."""
    rest = sum(each.isdecimal() for each in TIME.sub("", numbers))
    return PLAIN.fullmatch(numbers) is not None or rest < SHORTEST


def without_private(tx: Tx, whose: Person | None, text: str) -> str:
    """Words without telephone numbers and rooms, and without the name and the rooms of whom they are about."""
    text = ROOM.sub("***", without_numbers(text))
    known = [] if whose is None else [*(home.room for home in homes_of(tx, whose)), whose.name]
    for each in filter(None, known):
        text = text.replace(each, "***")
    return text
