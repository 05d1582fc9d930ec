"""What WeChat shows of the rows to send: numbers for buttons, texts and fields shortened with sense; pure."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from zoneinfo import ZoneInfo

from conversations.words import cut, texts
from handlers.talk import VALUE
from handlers.talk import numbers as numbers_of
from handlers.tell import without_mark
from moderation.segment import boundaries
from store.tables import Outgoing

LONGEST_TEXT = 2048
"""Bytes in UTF-8 of one text."""
LONGEST_HEAD = 1024
LONGEST_ID = 64
LONGEST_LABEL = 128
MOST_OPTIONS = 10
LONGEST_CHOICES, LONGEST_TYPED = 1000, 300
"""Bytes of the numbered lines, and of the words to type, below a text that is too long; its page has them all."""
FIELD = 20
FIELDS = {"phrase": 5, "symbol": 5, "name": 10, "character_string": 32, "letter": 32, "number": 32}
"""Characters that a template's field takes, by its kind; the others take 20."""
CLAUSE = re.compile(r"(?<=[。！？；，,;!?])")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What a template's field does not take."""
CLOSING = "。！？；，,;!?、：: "

FILES = ("photo", "voice", "video", "file")

Link = Callable[[Outgoing], str]
"""The address of the page of a row."""
Kinds = Callable[[Outgoing], Sequence[str]]
"""The kind of each file of a row."""


def all_photos(row: Outgoing) -> list[str]:
    """The kinds of the files of a row that has only photos."""
    return ["photo"] * len(row.photos)


@dataclass(frozen=True)
class Menu:
    """A message that WeChat shows with lines to tap: its words, and each line's id and label."""

    head: str
    options: list[tuple[str, str]]


def size(text: str) -> int:
    """Bytes in UTF-8, as WeChat counts."""
    return len(text.encode())


def together(
    rows: Sequence[tuple[Outgoing, str]], language: str, link: Link, *, asks: bool, kinds: Kinds = all_photos
) -> str:
    """Several rows, each with its words, as one text; the buttons of one of them are numbered.

    That is the question's; without one the newest row's with buttons, unless `asks`: a question that stands elsewhere.
    """
    numbered = _numbered([row for row, _ in rows], asks)
    shown = [_text(row, words, language, link, kinds, numbers=row is numbered) for row, words in rows]
    return "\n\n".join(filter(None, shown))


def fitting(
    rows: Sequence[tuple[Outgoing, str]], language: str, link: Link, *, asks: bool, kinds: Kinds = all_photos
) -> int:
    """How many of the rows fit into one text, from the first on; the first one always does."""
    count = 1
    while count < len(rows):
        if size(together(rows[: count + 1], language, link, asks=asks, kinds=kinds)) > LONGEST_TEXT:
            break
        count += 1
    return count if rows else 0


def menu(
    row: Outgoing, words: str, language: str, link: Link, *, asks: bool, kinds: Kinds = all_photos
) -> Menu | None:
    """The row as a message with lines to tap; None if it has none, or if WeChat has no room for them.

    The lines have their numbers, too: what is typed means the message that stands last. `asks` as in `together`.
    """
    numbers = numbers_of(row.buttons) if is_question(row) or not asks else [""] * len(row.buttons)
    options = [
        (f"{row.id}:{each['value']}", f"{number}. {each['label']}" if number else each["label"])
        for number, each in zip(numbers, row.buttons, strict=True)
    ]
    head = "\n".join(filter(None, [words, _files(row, language, link, kinds)]))
    small = all(size(name) <= LONGEST_ID and size(label) <= LONGEST_LABEL for name, label in options)
    if not (0 < len(options) <= MOST_OPTIONS and small and size(head) <= LONGEST_HEAD):
        return None
    return Menu(head, options)


def _numbered(rows: Sequence[Outgoing], asks: bool) -> Outgoing | None:
    with_buttons = [row for row in rows if any(numbers_of(row.buttons))]
    questions = [row for row in with_buttons if is_question(row)]
    if questions or asks:
        return questions[-1] if questions else None
    return max(with_buttons, key=lambda row: row.id, default=None)  # as a typed number is understood


def is_question(row: Outgoing) -> bool:
    """Whether its buttons are the answers to an open question."""
    return any(VALUE.fullmatch(each["value"]) for each in row.buttons)


def _text(row: Outgoing, words: str, language: str, link: Link, kinds: Kinds, *, numbers: bool) -> str:
    if row.buttons:  # there is nothing to tap
        tap, reply = texts(language)["reach.tap"], texts(language)["reach.reply"]
        words = words.replace(tap, reply).replace(tap.capitalize(), reply.capitalize())
    files = _files(row, language, link, kinds)
    whole = "\n\n".join(filter(None, [words, files, _choices(row, language, numbers=numbers)]))
    if size(whole) <= LONGEST_TEXT:
        return whole
    choices = _choices(row, language, numbers=numbers, short=True)
    below = "\n\n".join(filter(None, [files, choices]))
    more = texts(language)["reach.whole"].format(link=link(row))
    left = LONGEST_TEXT - size(f"…\n\n{more}\n\n{below}")
    return "\n\n".join(filter(None, [f"{_within(words, left)}…", more, below]))


def _within(words: str, most: int) -> str:
    """The words' beginning of so many bytes at most, up to the end of a sentence if there is one."""
    characters = len(words.encode()[:most].decode("utf-8", "ignore"))
    return cut(words, characters)[0].rstrip()


def _files(row: Outgoing, language: str, link: Link, kinds: Kinds) -> str:
    """How many photos and recordings a row has, and where: a page of ours shows and plays them."""
    if not row.photos:
        return ""
    said = texts(language)
    counted = Counter(kinds(row))
    named = [said[f"files.{kind}"].format(count=counted[kind]) for kind in FILES if counted[kind]]
    # Those of a matter that is over may have been erased.
    return said["reach.photos"].format(files=said["list.comma"].join(named), link=link(row)) if named else ""


def _choices(row: Outgoing, language: str, *, numbers: bool, short: bool = False) -> str:
    """The buttons as lines with numbers, and as words to type those that have none; `short`: those that fit."""
    joined = texts(language)["list.comma"]
    lines: list[str] = []
    alone: list[str] = []
    for number, each in zip(numbers_of(row.buttons), row.buttons, strict=True):
        if numbers and number:
            lines.append(f"{number}. {each['label']}")
        else:
            alone.append(_label(each))
    lines.sort(key=lambda line: int(line.partition(".")[0]) if line.partition(".")[0].isdigit() else 0)
    if short:
        lines, alone = _first_of(lines, LONGEST_CHOICES), _first_of(alone, LONGEST_TYPED)
    if not lines:
        return texts(language)["reach.type"].format(labels=joined.join(alone)) if alone else ""
    if alone:
        return "\n".join([*lines, texts(language)["reach.number_also"].format(labels=joined.join(alone))])
    return "\n".join([*lines, texts(language)["reach.type_number"]])


def _first_of(texts: list[str], most: int) -> list[str]:
    """The first of them that go into so many bytes, with what stands between them."""
    lengths = accumulate(size(each) + len("、".encode()) for each in texts)
    return [each for each, length in zip(texts, lengths, strict=True) if length <= most]


def _label(button: dict[str, str]) -> str:
    """What to type for a button: with the number of its matter, so that it is the right one's."""
    number, label = button.get("number", ""), button["label"]
    return label if not number or label.endswith(f" {number}") else f"{label} {number}"


# --- templates --------------------------------------------------------------------------------------


def template_fields(shows: dict[str, str], words: str, kind: str, at: datetime, zone: str) -> dict[str, str]:
    """What each field of a template holds, as `shows` says: what a message is about, its words or its time."""
    about, _, more = words.strip().partition("\n")
    if not more.strip():  # one sentence: what it is about is said by its kind
        about, more = kind, about
    values = {
        "about": about,
        "words": more,
        "time": f"{at.astimezone(ZoneInfo(zone)):%Y年%-m月%-d日 %H:%M}",
    }
    return {
        name: values[what] if what == "time" else shortened(values[what], _room(name)) or "…"
        for name, what in shows.items()
    }


def _room(field: str) -> int:
    return FIELDS.get(field.rstrip("0123456789"), FIELD)


def shortened(text: str, most: int) -> str:
    """The text in one line of at most `most` characters: whole clauses if enough of it fits, else whole words."""
    line = " ".join(CONTROL.sub(" ", text).split())
    if len(line) <= most:
        return line
    kept = ""
    for clause in CLAUSE.split(line):
        if len((kept + clause).rstrip(CLOSING)) > most:
            break
        kept += clause
    kept = kept.rstrip(CLOSING)
    if len(kept) * 2 >= most:
        return kept
    end = max(at for at in boundaries(line) if at < most)
    return f"{line[: end or most - 1].rstrip(CLOSING)}…"


def plain(row: Outgoing) -> str:
    """The words of a row without the line that says what was chosen: whoever chose it knows."""
    return without_mark(row.text)
