"""The questions of staff about who works in the community: whom to add, what they do, where and when."""

import re

from conversations.steps import Confirm, Script, Text, whole_number
from conversations.words import normal, spoken

HIRE = Script(
    name="hire",
    finish="crew.added",
    steps={"name": Text(min=2, max=30), "phone": Text(max=30, optional=True)},
)

SKILLS = Script(name="skills", finish="crew.skilled", steps={"kinds": Text(max=200)})

BUILDINGS = Script(name="served", finish="crew.served", steps={"buildings": Text(max=200)})

HOURS = Script(name="hours", finish="crew.timed", steps={"hours": Text(max=20)})

DISMISS = Script(name="dismiss", finish="crew.removed", steps={"sure": Confirm()})

ELECT = Script(name="elect", finish="committee.added", steps={"who": Text(min=2, max=60)})

# What the words of a trade mean: the kinds of repair that it does.
WATER = ("pipe", "tap", "leak", "drain", "toilet", "sewage", "water", "flood")
POWER = ("power", "electric", "lamp")
TRADES: dict[str, tuple[str, ...]] = {
    "plumber": WATER,
    "electrician": POWER,
    "both": (*WATER, *POWER),
    "lift": ("lift",),
    "carpenter": ("door", "window", "furniture"),
    "mason": ("paint", "leak", "structure", "facade"),
    "doors": ("door", "lock"),
    "weak": ("intercom", "net"),
    "heating": ("heat",),
    "gas": ("gas",),
    "garden": ("garden",),
}

NUMERAL = re.compile(r"[一二两三四五六七八九十]+")
TIME = re.compile(r"(\d{1,2})(?:[点时:](半|\d{2})?)?分?")


def hours_in(text: str) -> str | None:
    """Duty hours ("8点到20点", "早8点-晚8点半", "8am-8pm") as "08:00-20:00"; always is ""; None if they are none."""
    word = normal(text)
    if word in spoken("all"):
        return ""
    ends = [_time(part) for part in re.split(r"[-~—–到至]+|to", NUMERAL.sub(_digits, word), maxsplit=1)]
    start, end = ends if len(ends) == 2 else (None, None)
    if start is None or end is None:
        return None
    return f"{start}-{end}" if start != end else ""


def _digits(match: re.Match[str]) -> str:
    return str(whole_number(match[0]) or match[0])


def _time(text: str) -> str | None:
    """One end of duty hours: "8", "8:30", "晚8点半", "8pm" as "20:00"; 24 is 00:00; None if it is none."""
    half = ""
    for word in sorted(spoken("hour"), key=len, reverse=True):
        if text.startswith(word) or (word.isascii() and text.endswith(word)):
            text, half = text.removeprefix(word).removesuffix(word), spoken("hour")[word]
            break
    match = TIME.fullmatch(text)
    if match is None:
        return None
    hour, minute = int(match[1]), 30 if match[2] == "半" else int(match[2] or 0)
    hour += _shift(half, hour)
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        return None
    return f"{hour % 24:02}:{minute:02}"


def _shift(half: str, hour: int) -> int:
    """What a word for a part of the day adds to its hour: 下午3点 is 15, 晚上8点 is 20, 晚上12点 and 12am are 0."""
    if half in ("morning", "night") and hour == 12:
        return -12
    first = {"noon": 1, "afternoon": 1, "night": 5}.get(half, 24)
    last = 3 if half == "noon" else 11
    return 12 if first <= hour <= last else 0
