"""The questions of the work on a repair: when it goes on, who takes it over, what it costs, letters, and its end."""

from dataclasses import dataclass
from typing import Any

from conversations.errors import Unclear
from conversations.money import money_in
from conversations.repair import NOTE, free_note
from conversations.said import Said
from conversations.steps import (
    Answers,
    Choice,
    Facts,
    Money,
    Option,
    Photos,
    Script,
    Text,
    attachments_in,
    file_problem,
    visible,
)

HIGHEST = 10_000_000
"""The most that can be asked for a repair, in 0.01 yuan."""


@dataclass(frozen=True, kw_only=True)
class Day(Text):
    """A day in words; of a suggestion (a date and its label) the date."""

    def suggested(self, chosen: str, facts: Facts) -> str:
        return chosen


@dataclass(frozen=True, kw_only=True)
class Price(Money):
    """What has to be paid; `source` names the fact that holds suggestions as pairs of whole yuan and label."""

    source: str

    def options(self, answers: Answers, facts: Facts) -> list[Option]:
        return [Option(yuan, label, yuan) for yuan, label in facts.get(self.source, ())]

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        cents = money_in(said.text) if chosen is None else int(chosen) * 100
        if cents is None or not 0 < cents <= HIGHEST:
            raise Unclear("unclear.price")
        return cents


@dataclass(frozen=True, kw_only=True)
class Message(Text):
    """One message as it comes: words, photos or recordings; the answer is {"text": …, "files": […]}."""

    most: int = 6

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        files = attachments_in(said)
        words = visible(said.text)
        if not words and not files:
            raise Unclear(file_problem(said, recordings=True) or "unclear.message")
        if len(words) > self.max:
            raise Unclear("unclear.long", max=self.max, length=len(words))
        return {"text": words, "files": [file.model_dump() for file in files[: self.most]]}


DONE = Script(
    name="done",
    finish="repair.done",
    free=free_note,
    steps={
        "photos": Photos(most=6, optional=True, recordings=True),
        "note": Text(max=NOTE, optional=True, source="did"),
    },
)

PARTS = Script(name="parts", finish="repair.wait_parts", steps={"until": Day(max=30, source="days")})

ACCESS = Script(name="access", finish="repair.wait_access", steps={"until": Day(max=30, source="days")})

HAND = Script(name="hand", finish="repair.handed", steps={"to": Choice(source="colleagues")})

PRICE = Script(
    name="price",
    finish="repair.priced",
    steps={
        "amount": Price(source="amounts"),
        "purpose": Text(max=60, optional=True, source="purposes"),
    },
)

# What owner and crew write to each other.
LETTER = Script(name="letter", finish="repair.wrote", steps={"message": Message(max=1000)})

LETTER_TO_OWNER = Script(
    name="letter_to_owner", finish="repair.wrote_owner", steps={"message": Message(max=1000)}
)

REPLY = Script(name="reply", finish="letter.replied", steps={"message": Message(max=1000)})

# It is not repaired: the first time it is open again already, and words only help; later they are needed.
WRONG = Script(name="wrong", finish="repair.explain", steps={"why": Text(max=NOTE, optional=True)})

REOPEN = Script(name="reopen", finish="repair.reopen", steps={"why": Text(max=NOTE)})

PRAISE = Script(name="praise", finish="repair.praised", steps={"words": Text(max=NOTE)})
