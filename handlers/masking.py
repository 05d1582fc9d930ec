"""Free words as everybody may read them: without telephone numbers, rooms, and the name of whom they are about."""

import re

from handlers.people import homes_of
from handlers.tx import Tx
from store.tables import Person

# Telephone numbers, however they are broken up, and rooms ("1301室", "2单元1301").
PHONE = re.compile(r"\d(?:[^\w\n]{0,3}\d){6,}", re.ASCII)
ROOM = re.compile(r"(?<=单元)\s*\d{3,4}|\d{3,4}(?=\s*(?:室|号房|房|户))")
PLAIN = re.compile(
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}(?:\s+\d{1,2}(?::\d{2})?)?|\d{1,3}(?:,\d{3}){2,3}(?:\.\d{1,2})?", re.ASCII
)
"""What has as many digits as a telephone number and is none: a day, an amount."""


def without_numbers(text: str) -> str:
    """Words without telephone numbers; days and amounts stay."""
    return PHONE.sub(lambda found: found[0] if PLAIN.fullmatch(found[0]) else "***", text)


def without_private(tx: Tx, whose: Person | None, text: str) -> str:
    """Words without telephone numbers and rooms, and without the name and the rooms of whom they are about."""
    text = ROOM.sub("***", without_numbers(text))
    known = [] if whose is None else [*(home.room for home in homes_of(tx, whose)), whose.name]
    for each in filter(None, known):
        text = text.replace(each, "***")
    return text
