"""Scripts: the questions of one conversation, declared as data; the answers are their only state.

There is no step pointer: the next question is the first step that applies and has no answer yet. So "back",
"change an answer", a restart, and a release that adds or drops a step all need nothing of their own.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from conversations.errors import Unclear
from conversations.money import money_in
from conversations.said import File, Said

RECORDINGS = ("voice", "video")
"""The kinds of files that are heard or watched."""
DOCUMENTS = (
    *(
        ".pdf",
        ".ofd",
        ".doc",
        ".docx",
        ".xls",
        ".xlsx",
        ".ppt",
        ".pptx",
        ".wps",
        ".et",
        ".dps",
        ".csv",
        ".txt",
    ),
)
"""How the names of files end that everybody can open, and that are passed on."""
Answers = dict[str, Any]
Facts = Mapping[str, Any]
"""What the questions need to know about the world, such as the homes of the person."""


class LazyFacts(Mapping[str, Any]):
    """Facts that are found out when a question first needs them."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self.makers = makers
        self.found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.found:
            self.found[name] = self.makers[name]()
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


Applies = Callable[[Answers, Facts], bool]


def always(answers: Answers, facts: Facts) -> bool:
    """The step applies in every talk."""
    return True


@dataclass(frozen=True)
class Option:
    """One choice: its value, its label if that comes from the facts and not from the texts.

    `number` is what to type for it; empty: its place in the list, from 1.
    """

    value: str
    label: str = ""
    number: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One question. `optional` ones can be skipped (the answer is then None).

    `yes` and `no` are the options that a plain "yes" or "no" means.
    """

    when: Applies = always
    optional: bool = False
    yes: str = ""
    no: str = ""

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        """What can be chosen, in the order in which it is shown and numbered."""
        return []

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        """The answer in what was said, or Unclear; `chosen` is the option that was tapped, typed or numbered.

        `before` is the answer so far, for steps that take several messages.
        """
        raise NotImplementedError

    def complete(self, answer: Any) -> bool:
        """Whether the answer needs nothing more."""
        return True

    def reopened(self, answer: Any) -> Any:
        """What stays of an answer when somebody goes back to its question; None: nothing, it is asked anew."""
        return None


@dataclass(frozen=True, init=False)
class Choice(Step):
    """One of several; `source` names the fact that holds them as pairs of value and label.

    With `by_value` a typed number is a value and not a place in the list: 3 is building 3.
    """

    values: tuple[str, ...]
    source: str = ""
    by_value: bool = False

    def __init__(
        self,
        *values: str,
        source: str = "",
        by_value: bool = False,
        when: Applies = always,
        optional: bool = False,
        yes: str = "",
        no: str = "",
    ) -> None:
        fields = {
            "values": values,
            "source": source,
            "by_value": by_value,
            "when": when,
            "optional": optional,
            "yes": yes,
            "no": no,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        dynamic = [
            Option(str(value), label, str(value) if self.by_value else "")
            for value, label in facts.get(self.source, ())
        ]
        return dynamic + [Option(value) for value in self.values]

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        if chosen is None:
            raise Unclear("unclear.choice")
        return chosen


SUGGESTED = 40
"""How many characters of a suggestion its button shows."""


@dataclass(frozen=True, kw_only=True)
class Text(Step):
    """Free words, `min` to `max` characters that show.

    `source` names the fact that holds suggestions as pairs of value and label: whose label is chosen, its label is
    the answer.
    """

    min: int = 1
    max: int = 500
    source: str = ""

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        short = [
            (value, label if len(label) <= SUGGESTED else f"{label[: SUGGESTED - 1]}…")
            for value, label in facts.get(self.source, ())
        ]
        return [Option(str(value), label) for value, label in short]

    def suggested(self, chosen: str, facts: Facts) -> str:
        """The words of the suggestion that was chosen."""
        return next((label for value, label in facts.get(self.source, ()) if str(value) == chosen), "")

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        words = visible(said.text)
        if not words:
            raise Unclear("unclear.text")
        if len(words) < self.min:
            raise Unclear("unclear.short", min=self.min)
        if len(words) > self.max:
            raise Unclear("unclear.long", max=self.max, length=len(words))
        return words


@dataclass(frozen=True, kw_only=True)
class Number(Step):
    """A whole number from `least` to `most`; Chinese and full-width digits are read too.

    `source` names the fact that holds suggestions as pairs of number and label; typed, a number is itself.
    """

    least: int = 1
    most: int = 999
    source: str = ""

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        return [Option(str(number), label, str(number)) for number, label in facts.get(self.source, ())]

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        number = whole_number(said.text) if chosen is None else int(chosen)
        if number is None:
            raise Unclear("unclear.number")
        if not self.least <= number <= self.most:
            raise Unclear("unclear.range", least=self.least, most=self.most)
        return number


@dataclass(frozen=True, kw_only=True)
class Money(Step):
    """An amount of money, in 0.01 yuan; who does not know it may skip an optional one."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        if not visible(said.text):
            raise Unclear("unclear.text")
        cents = money_in(said.text)
        if cents is None:
            raise Unclear("unclear.money")
        return cents


@dataclass(frozen=True, kw_only=True)
class Several(Step):
    """Some of several; `source` names the fact that holds them as pairs of value and label, numbered from 1.

    They are tapped one by one, a second tap takes one back, or typed together ("1 3"); the answer is {"chosen": [...],
    "done": bool}. A value that begins with "=" is chosen alone, and the value "done" ends the choosing.
    """

    source: str

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        return [Option(value, label) for value, label in facts.get(self.source, ())]

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        picked = list((before or {}).get("chosen", []))
        if chosen == "done" and picked:
            return {"chosen": picked, "done": True}
        if chosen is not None and chosen.startswith("="):
            return {"chosen": [chosen], "done": True}
        if chosen is not None and chosen != "done":
            picked = [each for each in picked if each != chosen] if chosen in picked else [*picked, chosen]
            return {"chosen": picked, "done": False}
        numbers = [
            whole_number(part) for part in re.split(r"[\s,，、;；.。和及]+", visible(said.text)) if part
        ]
        if not numbers or None in numbers:
            raise Unclear("unclear.several")
        return {"chosen": [str(each) for each in dict.fromkeys(numbers)], "done": True}

    def complete(self, answer: Any) -> bool:
        return bool(answer["done"])


@dataclass(frozen=True, kw_only=True)
class Photos(Step):
    """Up to `most` photos, sent one by one or together; the answer is {"files": [...], "done": bool}.

    With `recordings` voice messages and videos are taken as well, with `documents` files; they count like photos.
    """

    most: int = 6
    yes: str = "done"
    recordings: bool = False
    documents: bool = False

    def taken(self, said: Said) -> list[File]:
        """The files of a message that are an answer to it."""
        return taken_in(said, recordings=self.recordings, documents=self.documents)

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        return [Option("done")] if facts.get("photos_so_far") else []

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        files = list((before or {}).get("files", []))
        if chosen == "done":
            return {"files": files, "done": True}
        sent = self.taken(said)
        if not sent:
            problem = file_problem(said, recordings=self.recordings, documents=self.documents)
            raise Unclear(problem or ("unclear.document" if self.documents else "unclear.photo"))
        files += [file.model_dump() for file in sent]
        return {"files": files[: self.most], "done": len(files) >= self.most}

    def complete(self, answer: Any) -> bool:
        return answer is None or bool(answer["done"])

    def reopened(self, answer: Any) -> Any:
        return {**answer, "done": False} if answer and answer["files"] else None


@dataclass(frozen=True, kw_only=True)
class Confirm(Step):
    """The last look at everything, before it counts."""

    yes: str = "yes"

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        return [Option("yes")]

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        if chosen != "yes":
            raise Unclear("unclear.confirm")
        return True


@dataclass(frozen=True)
class Script:
    """A conversation: its questions, and `finish`, the action that gets the answers.

    `words` is the script whose names and options it borrows, if it has none of its own. `free` reads what answers
    no option of the named step, as answers to other steps, so that nothing that was said is lost.
    """

    name: str
    finish: str
    steps: Mapping[str, Step]
    words: str = ""
    free: Callable[[str, str, Answers, Facts], Answers] | None = None


def _applying(script: Script, answers: Answers, facts: Facts) -> Iterator[str]:
    """The questions that apply; the answer to one that does not decides nothing about those behind it."""
    deciding = dict(answers)
    for name, step in script.steps.items():
        if step.when(deciding, facts):
            yield name
        else:
            deciding.pop(name, None)


def _is_complete(script: Script, answers: Answers, name: str) -> bool:
    return name in answers and script.steps[name].complete(answers[name])


def pending(script: Script, answers: Answers, facts: Facts) -> str | None:
    """The name of the next question, or None when the script is complete."""
    opened = (name for name in _applying(script, answers, facts) if not _is_complete(script, answers, name))
    return next(opened, None)


def answered(script: Script, answers: Answers, facts: Facts) -> list[str]:
    """The questions that apply and have a complete answer, in the script's order."""
    return [name for name in _applying(script, answers, facts) if _is_complete(script, answers, name)]


def back(script: Script, answers: Answers, facts: Facts) -> Answers:
    """The answers without the latest one before the open question; the same answers if there is none.

    What was begun of the open question goes too; photos that were sent stay, and more can be added.
    """
    now = pending(script, answers, facts)
    names = list(script.steps)
    earlier = names[: names.index(now)] if now else names
    done = [name for name in answered(script, answers, facts) if name in earlier]
    kept = dict(answers)
    for name in answers.keys() & {now, *done[-1:]}:
        left = script.steps[name].reopened(kept.pop(name))
        if left is not None:
            kept[name] = left
    return kept


def change(script: Script, answers: Answers, step: str) -> Answers:
    """The answers without the named one and without the confirmation, so that it is asked again."""
    return {
        name: answer
        for name, answer in answers.items()
        if name != step and not isinstance(script.steps.get(name), Confirm)
    }


def final(script: Script, answers: Answers, facts: Facts) -> Answers:
    """The answers that the finish gets: those of the steps that apply."""
    return {name: answers[name] for name in answered(script, answers, facts)}


def photos_in(said: Said) -> list[File]:
    """The photos of a message that can be shown."""
    return [file for file in said.files if file.kind == "photo" and not file.problem]


def attachments_in(said: Said) -> list[File]:
    """All of a message that can travel along with a matter: photos, and recordings that were kept."""
    kept = [file for file in said.files if file.kind in RECORDINGS and file.storage and not file.problem]
    photos = photos_in(said)
    return [file for file in said.files if file in photos or file in kept]


TOO_LARGE = {"photo": "unclear.photo_too_large", "file": "unclear.file_too_large"}
"""What is said of a file that is too large, by its kind; the others are recordings."""


def taken_in(said: Said, *, recordings: bool = False, documents: bool = False) -> list[File]:
    """The files of a message that are taken: photos, and if so wished recordings and documents."""
    kept = attachments_in(said) if recordings else photos_in(said)
    return [file for file in said.files if file in kept or (documents and is_document(file))]


def is_document(file: File) -> bool:
    """Whether a file was kept that everybody can open."""
    named = PurePath(file.name).suffix.lower() in DOCUMENTS
    return file.kind == "file" and named and bool(file.storage) and not file.problem


def recorded(files: Sequence[File]) -> bool:
    """Whether any of the files is a recording."""
    return any(file.kind in RECORDINGS for file in files)


def file_problem(said: Said, *, recordings: bool = False, documents: bool = False) -> str:
    """The key of the words on a file that could not be taken; empty if there is none.

    Without `recordings` none is taken; a voice message is no problem then if its words are the text.
    """
    taken = taken_in(said, recordings=recordings, documents=documents)
    bad = [file for file in said.files if file not in taken and (recordings or not file.heard)]
    if not bad:
        return ""
    file = bad[0]
    if file.heard:
        return "unclear.voice_lost"
    named = {
        **{"too_large": TOO_LARGE.get(file.kind, "unclear.recording_too_large")},
        **{"not_fetched": "unclear.not_fetched", "not_a_recording": "unclear.not_a_recording"},
    }
    kinds = {"voice": "unclear.voice", "video": "unclear.video"}
    if documents:
        kinds["file"] = "unclear.not_a_document"
    return named.get(file.problem) or kinds.get(file.kind, "unclear.not_a_photo")


def visible(text: str) -> str:
    """The text without marks that show nothing (control, direction, zero-width), trimmed."""
    shown = "".join(c for c in text if c in "\n\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    return re.sub(r"^[\s\u200d]+|[\s\u200d]+$", "", shown)


def with_more(before: str | None, text: str) -> str:
    """What was said before and more of it below; lines that stand there already do not stand there twice."""
    if f"\n{text}\n" in f"\n{before}\n":
        return before or ""
    return "\n".join(filter(None, (before, text)))


CHINESE_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}


def whole_number(text: str) -> int | None:
    """The number in "2", "２", "两台", "3 天" or "十二"; None if there is none or it is not certain."""
    words = unicodedata.normalize("NFKC", visible(text)).rstrip("个台张件只盏把套部户条块份天。.").strip()
    if words.isascii() and words.isdigit() and len(words) < 10:
        return int(words)
    tens, ten, ones = words.rpartition("十")
    digits = [CHINESE_DIGITS.get(part) if part else None for part in (tens, ones)]
    if any(part and digit is None for part, digit in zip((tens, ones), digits, strict=True)) or not words:
        return None
    if not ten:
        return digits[1]
    return (1 if digits[0] is None else digits[0]) * 10 + (digits[1] or 0)
