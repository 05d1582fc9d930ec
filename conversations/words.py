"""Every word that a person reads: looked up by key, in the reader's language, with times in the reader's form."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, reduce
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FOLDER = Path(__file__).parent / "texts"
LANGUAGES = ("zh", "en")


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of one language, by their dotted key ("repair.place.ask"); they stand in one file a matter."""
    flat: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        _flatten("", tomllib.loads(path.read_text("utf-8")), flat)
    return flat


def _flatten(prefix: str, tree: Mapping[str, Any], flat: dict[str, str]) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _flatten(f"{prefix}{name}.", value, flat)
        else:
            assert prefix + name not in flat, f"{prefix}{name} stands in two files"
            flat[prefix + name] = value


@dataclass(frozen=True, init=False)
class Say:
    """A fact that is itself a text with facts: rendered in the reader's language."""

    key: str
    facts: Mapping[str, Any]

    def __init__(self, key: str, **facts: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "facts", facts)


def below(lines: Sequence[Any]) -> Any:
    """Facts one below the other, each rendered for its reader; empty for none."""
    return reduce(lambda first, next_: Say("list.below", first=first, next=next_), lines) if lines else ""


@dataclass(frozen=True)
class Reader:
    """How one reader wants words: language, time zone, and what "today" is.

    `lasting`: the words will stand for days (a card, the board), so that "tomorrow" would become wrong.
    """

    language: str
    zone: str
    now: datetime
    lasting: bool = False

    def say(self, key: str, /, **facts: Any) -> str:
        """The text of `key` with its facts filled in; KeyError for a text that does not exist.

        Facts that are Say are rendered too, aware datetimes become "周四 18:00", lists are joined, and of a
        dict by language the reader's own is taken.
        """
        shown = {name: self.show(value) for name, value in facts.items()}
        return texts(self.language)[key].format_map(shown)

    def show(self, value: Any) -> Any:
        """One fact in the reader's form."""
        if isinstance(value, Say):
            return self.say(value.key, **value.facts)
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, dict):
            return value[self.language]
        if isinstance(value, (list, tuple)):
            return texts(self.language)["list.comma"].join(str(self.show(each)) for each in value)
        return value

    def moment(self, when: datetime) -> str:
        """A time as people say it: 今天 18:00, 明天 09:00, 周四 18:00 within the week, else 12月3日 18:00."""
        zone = ZoneInfo(self.zone)
        local, today = when.astimezone(zone), self.now.astimezone(zone).date()
        days = (local.date() - today) / timedelta(days=1)
        words = texts(self.language)
        if self.lasting and local.year != today.year:
            day = words["day.other_year"].format(year=local.year, month=local.month, day=local.day)
        elif self.lasting:
            day = words["day.full"].format(
                month=local.month, day=local.day, weekday=words[f"day.{local.isoweekday()}"]
            )
        elif days in (-1, 0, 1):
            day = words[{-1: "day.yesterday", 0: "day.today", 1: "day.tomorrow"}[int(days)]]
        elif 1 < days < 7:
            day = words[f"day.{local.isoweekday()}"]
        else:
            day = words["day.date"].format(month=local.month, day=local.day)
        return f"{day} {local:%H:%M}"


@cache
def spoken(group: str) -> Mapping[str, str]:
    """What people type for a thing, in all languages: {"返回": "back", …} for the texts below `say.<group>`."""
    prefix = f"say.{group}."
    return {
        normal(word): key.removeprefix(prefix)
        for language in LANGUAGES
        for key, value in texts(language).items()
        if key.startswith(prefix)
        for word in value.split("|")
    }


def named_language(text: str) -> str:
    """The language whose own name was typed; "" if it was none."""
    names = {normal(texts(language)["mydata.language"]): language for language in LANGUAGES}
    return names.get(normal(text), "")


def normal(text: str) -> str:
    """The text for comparing with labels: lower case, ordinary width, no blanks and no closing marks."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split()).strip("。.!！?？,，「」“”\"'/[]【】")


SENTENCE = re.compile(r"(?:[。！？!?…\n]|[.;；](?=\s))[」』”’）)\"]*\s*")


def cut(text: str, most: int) -> tuple[str, str]:
    """The text's beginning of at most `most` characters, up to the end of a sentence if there is one, and the rest.

    Together they are the text. No character that people see as one is cut through.
    """
    if len(text) <= most:
        return text, ""
    begun = text[:most]
    ends = [match.end() for match in SENTENCE.finditer(begun)]
    at = next((end for end in (*ends[-1:], begun.rfind(" ") + 1) if end > most // 2), most)
    whole = at
    while whole > 1 and _joined(text, whole):
        whole -= 1
    at = whole if whole > most // 2 else at  # a text of nothing but joined marks is cut anyhow
    return text[:at], text[at:]


def _joined(text: str, at: int) -> bool:
    """Whether the characters before and at a place are seen as one: an accent, parts of an emoji, halves of a flag."""
    before, after = text[at - 1], text[at]
    return (
        unicodedata.category(after)[0] == "M"
        or "\u200d" in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or (_is_half_flag(after) and _half_flags_before(text, at) % 2 == 1)
    )


def _half_flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_half_flag(text[at - count - 1]):
        count += 1
    return count


def _is_half_flag(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"


def pack(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as JSON, so that a row can be rendered later for any reader."""
    return {name: _packed(value) for name, value in facts.items()}


def unpack(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `pack` was given."""
    return {name: _unpacked(value) for name, value in facts.items()}


def _packed(value: Any) -> Any:
    if isinstance(value, Say):
        return {"text": value.key, "facts": pack(value.facts)}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, (list, tuple)):
        return [_packed(each) for each in value]
    return value


def _unpacked(value: Any) -> Any:
    match value:
        case {"text": key, "facts": facts}:
            return Say(key, **unpack(facts))
        case {"time": moment}:
            return datetime.fromisoformat(moment)
        case list():
            return [_unpacked(each) for each in value]
    return value
