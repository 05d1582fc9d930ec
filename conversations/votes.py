"""The questions of votes: a poll, what is chosen in one, more time for it, an objection, and what is decided on it."""

import re

from conversations.steps import Answers, Choice, Confirm, Facts, Number, Script, Several, Text

LONGEST_TITLE = 100
MOST_CHOICES = 20


def changes(answers: Answers, facts: Facts) -> bool:
    """Something else than the usual is wanted."""
    return answers.get("how") == "change"


def has_choices(answers: Answers, facts: Facts) -> bool:
    """It asks which of several, and how many one may choose is to be said."""
    return changes(answers, facts) and bool(answers.get("choices"))


def has_share(answers: Answers, facts: Facts) -> bool:
    """It needs a share, of something."""
    return changes(answers, facts) and answers.get("threshold") not in (None, "plurality")


def choices_in(text: str) -> list[str]:
    """The choices that were written, one a line or with 、 or ; between them."""
    return [each.strip() for each in re.split(r"[\n;；、]", text) if each.strip()]


POLL = Script(
    name="poll",
    finish="poll.open",
    steps={
        "question": Text(min=2, max=LONGEST_TITLE),
        "detail": Text(max=1000, optional=True),
        "choices": Text(max=1000, optional=True),
        "how": Choice("usual", "change"),
        "most": Number(most=MOST_CHOICES, when=has_choices),
        "scope": Text(max=500, optional=True, when=changes),
        "days": Number(most=60, when=changes),
        "electorate": Choice("homes", "persons", when=changes),
        "weight": Choice("heads", "area", "both", when=changes),
        "quorum": Number(least=0, most=100, when=changes),
        "threshold": Choice("half", "two_thirds", "three_quarters", "plurality", when=changes),
        "of": Choice("for_against", "cast", "eligible", when=has_share),
        "visible": Choice("by_room", "totals", "named", when=changes),
        "sure": Confirm(),
    },
)

CHOOSE = Script(name="choose", finish="ballot.chosen", steps={"picked": Several(source="choices")})

EXTEND = Script(name="extend", finish="vote.extended", steps={"days": Number(most=60)})

OBJECTION = Script(
    name="objection",
    finish="objection.file",
    steps={"what": Text(min=2, max=500), "sure": Confirm()},
)

UPHOLD = Script(
    name="uphold", finish="objection.upheld", steps={"why": Text(min=2, max=500), "sure": Confirm()}
)

REJECT = Script(
    name="reject", finish="objection.rejected", steps={"why": Text(min=2, max=500), "sure": Confirm()}
)
