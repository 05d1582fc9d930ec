"""Moments as people write them: "12月31日 9:00", "明天 9点", "三天后", "2026-12-31 18:30"."""

import re
import unicodedata
from datetime import date, datetime, time, timedelta

from conversations.steps import whole_number

DAYS = {"今天": 0, "今日": 0, "明天": 1, "明日": 1, "后天": 2, "大后天": 3, "today": 0, "tomorrow": 1}
WEEKDAYS = {c: n for n, c in enumerate("一二三四五六日", 1)} | {"天": 7}
NEXT = re.compile(r"(下)?(?:个)?(?:周|星期|礼拜)([一二三四五六日天])")
AHEAD = re.compile(r"(\d{1,3})(天|周|个?星期|个?礼拜)[以之]?后")
SOON = re.compile(r"(\d{1,3}|半)个?(半)?(小时|钟头|分钟)[以之]?后")
TONIGHT = re.compile(r"^([今明后])([早晚])上?")
NUMERAL = re.compile(r"[一二两三四五六七八九十]+")
DATE = re.compile(
    r"(?:(\d{4})\s*[-年/.]\s*)?(\d{1,2})\s*(?:月|[-/.])\s*(\d{1,2})\s*[日号]?(?:周[一二三四五六日\d])?"
)
TIME = re.compile(
    r"(上午|早上|早|凌晨|中午|下午|晚上|晚)?(\d{1,2})(?:[:点时](半|\d{1,2}(?=\D|$))?分?)(am|pm)?"
)
LATE = ("下午", "晚上", "晚", "pm")
MORNING = time(9)


def moment_in(text: str, now: datetime) -> datetime | None:
    """The moment that was written, in the zone of `now`, at 9:00 if no hour was; None if it is none.

    A day without a year is the next one; an hour without a day, too. What is past is returned as it is.
    """
    words = "".join(unicodedata.normalize("NFKC", text).lower().split()).strip("。.!")
    words = re.sub(r"[起开始吧就]+$|^[从在]", "", words)
    soon = SOON.fullmatch(_with_digits(words))
    if soon is not None:
        return now + _span(soon)
    day, rest = day_in(TONIGHT.sub(r"\1天\2上", words), now.date())
    at = _time(rest)
    if (rest and at is None) or (not rest and day is None):
        return None
    found = datetime.combine(day or now.date(), at or MORNING, now.tzinfo)
    return found + timedelta(days=1) if day is None and found <= now else found


def day_in(words: str, today: date) -> tuple[date | None, str]:
    """The day at the beginning of words without blanks, and what stands behind it; one without a year is the next."""
    for word in sorted(DAYS, key=len, reverse=True):
        if words.startswith(word):
            return today + timedelta(days=DAYS[word]), words[len(word) :]
    week = NEXT.match(words)
    if week is not None:
        ahead = WEEKDAYS[week[2]] - today.isoweekday()
        ahead += 7 if week[1] or ahead < 0 else 0
        return today + timedelta(days=ahead), words[week.end() :]
    words = _with_digits(words)
    ahead_of = AHEAD.match(words)
    if ahead_of is not None:
        days = int(ahead_of[1]) * (1 if ahead_of[2] == "天" else 7)
        return today + timedelta(days=days), words[ahead_of.end() :]
    match = DATE.match(words)
    if match is None:
        return None, words
    try:
        day = date(int(match[1] or today.year), int(match[2]), int(match[3]))
        if match[1] is None and day < today:
            day = day.replace(year=today.year + 1)
    except ValueError:
        return None, "?"
    return day, words[match.end() :]


def _with_digits(words: str) -> str:
    return NUMERAL.sub(lambda numeral: str(whole_number(numeral[0]) or numeral[0]), words)


def _span(soon: re.Match[str]) -> timedelta:
    """How long "半小时后", "2个半小时后" or "30分钟后" is."""
    whole = 0.5 if soon[1] == "半" else int(soon[1]) + (0.5 if soon[2] else 0)
    return timedelta(minutes=whole) if soon[3] == "分钟" else timedelta(hours=whole)


def _time(words: str) -> time | None:
    words = _with_digits(words)
    match = TIME.fullmatch(words)
    if match is None:
        return None
    hour, minute = int(match[2]), 30 if match[3] == "半" else int(match[3] or 0)
    if hour < 12 and (match[1] in LATE or match[4] == "pm"):
        hour += 12
    return time(hour, minute) if hour < 24 and minute < 60 else None
