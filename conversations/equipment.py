"""The questions of staff about a line of the equipment register, and the year in an answer."""

import re
import unicodedata

from conversations.steps import CHINESE_DIGITS, Choice, Confirm, Number, Script, Step, Text

LONGEST_KIND, LONGEST_SPOT, LONGEST_NOTE = 40, 60, 200
MOST = 9999
WHOLE = "0"
"""What stands for the whole community among the buildings, and can be typed for it."""
YEAR = re.compile(r"[^\d-]{0,4}(\d{4})(?:\d{4})?(?!\d)")
DIGITS = str.maketrans({word: str(digit) for word, digit in CHINESE_DIGITS.items()})


def year_in(text: str) -> int | None:
    """The year that is written: "2021", "2021年", "二〇二一年", "2021-05-01"; None if there is none."""
    found = YEAR.match(unicodedata.normalize("NFKC", text).translate(DIGITS).strip())
    return int(found[1]) if found else None


STEPS: dict[str, Step] = {
    "kind": Text(max=LONGEST_KIND),
    "building": Choice(source="buildings", by_value=True),
    "spot": Text(max=LONGEST_SPOT, optional=True),
    "count": Number(most=MOST),
    "since": Text(max=20, optional=True),
    "note": Text(max=LONGEST_NOTE, optional=True),
    "sure": Confirm(),
}

EQUIP = Script(name="equip", finish="equipment.added", steps=STEPS)

# The same questions with the present answers filled in.
REEQUIP = Script(name="reequip", finish="equipment.changed", words="equip", steps=STEPS)

PICK = Script(name="pick", finish="equipment.found", steps={"number": Text(max=20)})
