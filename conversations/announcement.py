"""The questions of a notice: its words, for whom it is and when it goes out; how places and titles are read; pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conversations.said import Said
from conversations.steps import (
    Answers,
    Choice,
    Confirm,
    Facts,
    Option,
    Photos,
    Script,
    Text,
    visible,
    whole_number,
)
from conversations.words import LANGUAGES, normal, spoken, texts

LONGEST = 3000
LONGEST_TITLE = 40
MOST_FILES = 9
TOPICS = ("services", "quality", "fees", "fund", "revenue")
"""What the Civil Code, article 943, wants disclosed."""
USUAL: Answers = {
    **{"files": None, "where": "全小区", "who": "everybody", "receipt": "no", "urgent": "no"},
    **{"when": "", "topic": "none"},
}
"""What is not asked unless somebody wants it otherwise: to everybody, now, without proof."""


# --- for whom ---------------------------------------------------------------------------------------

Where = list[list[str]]
"""Buildings (["3"]) and entrances (["3", "2"]); none: the whole community."""
BETWEEN = re.compile(r"以及|[、,，;；\n和及与]")
NUMERAL = re.compile(r"\d+|[一二两三四五六七八九十]+")
OF_BUILDING = re.compile(r"^(?:号楼|楼|栋|幢|座|号|#)")
ENTRANCE = re.compile(r"^[-/]?(?:单元|entrance|unit)?(\d+|[一二三四五六七八九十]+)(?:单元|门)?$")
SPAN = re.compile(r"^(\d+)(?:号楼|楼|栋|幢|座|号)?(?:到|至|~|—|--?)(\d+)(?:号楼|楼|栋|幢|座)$")
PEOPLE = re.compile(r"的?(?:全部|所有|全体)?(?:业主|住户|居民|邻居)们?$")
LEADING = re.compile(r"^(?:building|bldg\.?|no\.)(?=\d)")


class NoSuch(ValueError):
    """A building, or an entrance of one, that does not exist; `there` are those that do."""

    def __init__(self, building: str, entrance: str, there: Sequence[str]) -> None:
        super().__init__(building)
        self.building, self.entrance, self.there = building, entrance, list(there)


def places_in(words: str, homes: Mapping[str, Sequence[str]]) -> Where:
    """The buildings and entrances that were written, of those that there are; none: all of them.

    "3、5号楼", "3号楼2单元", "3号楼1、2单元", "3到5号楼". Raises NoSuch for what does not exist.
    """
    text = PEOPLE.sub("", _plain(words))
    whole = {normal(texts(language)["announcement.everywhere"]) for language in LANGUAGES}
    if text in {"", *whole, *spoken("whole")}:
        return []
    found: Where = []
    for part in [text] if text in map(_plain, homes) else filter(None, BETWEEN.split(text)):
        found += _place(PEOPLE.sub("", part), homes, found)
    return [each for number, each in enumerate(found) if each not in found[:number]]


def _place(part: str, homes: Mapping[str, Sequence[str]], before: Where) -> Where:
    span = SPAN.match(part)
    if span is not None:
        numbers = range(int(span[1]), min(int(span[2]), int(span[1]) + 200) + 1)
        return [_checked(str(number), "", homes) for number in numbers]
    alone = ENTRANCE.match(part)
    if alone is not None and before and "单元" in part:  # 3号楼1、2单元
        return [_checked(before[-1][0], _number(alone[1]), homes)]
    part = LEADING.sub("", part)
    named = sorted((name for name in homes if part.startswith(_plain(name))), key=len, reverse=True)
    numeral = NUMERAL.match(part)
    building, rest = part, ""
    if numeral is not None:  # 12号楼 is not building 1
        building, rest = _number(numeral[0]), part[numeral.end() :]
        whole = [name for name in named if len(_plain(name)) > numeral.end()]
        if whole:
            building, rest = whole[0], part[len(_plain(whole[0])) :]
    elif named:
        building, rest = named[0], part[len(_plain(named[0])) :]
    rest = OF_BUILDING.sub("", rest)
    entrance = ENTRANCE.match(rest) if rest else None
    if rest and entrance is None:
        raise NoSuch(part, "", list(homes))
    return [_checked(building, _number(entrance[1]) if entrance is not None else "", homes)]


def _checked(building: str, entrance: str, homes: Mapping[str, Sequence[str]]) -> list[str]:
    if building not in homes:
        raise NoSuch(building, "", list(homes))
    if entrance and entrance not in homes[building]:
        raise NoSuch(building, entrance, homes[building])
    return [building, entrance] if entrance else [building]


def _plain(words: str) -> str:
    return "".join(unicodedata.normalize("NFKC", words).lower().split()).strip("。.!")


def _number(numeral: str) -> str:
    """A number as addresses have it; what is none stays."""
    number = whole_number(numeral)
    return numeral if number is None else str(number)


# --- the title --------------------------------------------------------------------------------------

SALUTATION = re.compile(
    r"^(?:尊敬的|亲爱的|各位|全体)?.{0,12}(?:业主|住户|居民|邻居|residents?|owners?|neighbou?rs?).{0,8}[:：,，]?$",
    re.IGNORECASE,
)
ONLY_NOTICE = ("通知", "公告", "通告", "温馨提示", "紧急通知", "notice", "announcement")
CLAUSE = re.compile(r"[。！？；!?;]|[，,](?=.)")
WORD = re.compile(r"[^\W\d_]{2}")


def title_in(text: str) -> str:
    """A title in the first words of a notice that say something; empty if there is none."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in lines if WORD.search(line)]
    telling = [line for line in lines if normal(line) not in ONLY_NOTICE and not SALUTATION.match(line)]
    for line in [*telling, *lines][:1]:
        if len(line) <= LONGEST_TITLE:
            return line.rstrip("。：:；;，,")
        begun = CLAUSE.split(line)[0].strip()
        if WORD.search(begun) and len(begun) <= LONGEST_TITLE:
            return begun
        return f"{line[: LONGEST_TITLE - 1]}…"
    return ""


def titled(answers: Answers) -> Answers:
    """The answers with the title that their words give, unless somebody wrote one themselves."""
    own = answers.get("title")
    if own is not None and own != answers.get("read"):
        return answers
    found = title_in(answers.get("text") or "")
    without = {name: answer for name, answer in answers.items() if name not in ("title", "read")}
    return {**without, "title": found, "read": found} if found else without


# --- the questions ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Line(Text):
    """A few words in one line."""

    def read(self, said: Said, chosen: str | None, before: object) -> str:
        words = " ".join(str(super().read(said, chosen, before)).split())
        return visible(words)


@dataclass(frozen=True, kw_only=True)
class Look(Confirm):
    """The last look, from which each setting is changed with one tap; such a tap is an answer that is not yet a yes."""

    more: tuple[str, ...] = (
        *("where", "owners", "everybody", "receipt", "no_receipt", "urgent", "not_urgent", "when"),
    )

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        offered = ["yes"]
        if not is_correction(answers, facts):
            offered += [
                "where",
                "owners" if answers.get("who") == "everybody" else "everybody",
                "receipt" if answers.get("receipt") == "no" else "no_receipt",
                "urgent" if answers.get("urgent") == "no" else "not_urgent",
                "when",
            ]
        return [Option(each) for each in offered]

    def read(self, said: Said, chosen: str | None, before: object) -> object:
        return chosen if chosen in self.more else super().read(said, chosen, before)

    def complete(self, answer: object) -> bool:
        return answer is True


def settled(answers: Answers) -> Answers:
    """The answers after a tap under the last look: a setting is turned, or its question is open again."""
    tapped = answers.get("sure")
    without = {name: answer for name, answer in answers.items() if name != "sure"}
    turned = {
        "owners": {"who": "owners"},
        "everybody": {"who": "everybody"},
        "receipt": {"receipt": "yes"},
        "no_receipt": {"receipt": "no"},
        "urgent": {"urgent": "yes"},
        "not_urgent": {"urgent": "no"},
    }
    if tapped in ("where", "when"):
        del without[tapped]
        return without
    return {**without, **turned[tapped]} if tapped in turned else answers


def is_correction(answers: Answers, facts: Facts) -> bool:
    """It corrects what was sent already: for whom that is stays."""
    return "base" in answers


def is_new(answers: Answers, facts: Facts) -> bool:
    """It was not sent yet."""
    return not is_correction(answers, facts)


def free_words(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """What is written under the last look of a correction, or where its files are asked for, are its new words."""
    fits = 2 <= len(text) <= LONGEST
    return {"text": text} if is_correction(answers, facts) and step in ("files", "sure") and fits else {}


ANNOUNCEMENT = Script(
    name="announcement",
    finish="announcement.publish",
    free=free_words,
    steps={
        "text": Text(min=2, max=LONGEST),
        "title": Line(min=2, max=LONGEST_TITLE),
        "files": Photos(most=MOST_FILES, optional=True, documents=True),
        "where": Text(max=200, source="places", when=is_new),
        "who": Choice("everybody", "owners", when=is_new),
        "receipt": Choice("no", "yes", when=is_new),
        "urgent": Choice("no", "yes", when=is_new),
        "when": Text(max=40, source="moments", when=is_new),
        "topic": Choice("none", *TOPICS, when=is_new),
        "sure": Look(),
    },
)

WITHDRAWAL = Script(
    name="withdrawal",
    finish="announcement.withdrawn",
    steps={"reason": Text(min=2, max=300), "sure": Confirm()},
)
