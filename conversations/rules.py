"""The questions of staff about the rules of conduct in their community: a word more, or one that counts no longer."""

from conversations.steps import Answers, Choice, Confirm, Facts, Script, Text

LONGEST_WORDS, LONGEST_SENTENCE, LONGEST_WORD = 200, 60, 40
CATEGORIES = ("ad", "fraud", "gambling", "porn", "drugs", "weapons", "insult", "privacy", "illegal_trade")
ALLOWED = "ok"
"""What the words of a context make of the finds within them."""


def _forbids(answers: Answers, facts: Facts) -> bool:
    return answers.get("verdict") != ALLOWED


RULE = Script(
    name="rule",
    finish="rule.added",
    steps={
        "words": Text(max=LONGEST_WORDS),
        "verdict": Choice("hold", "violation", ALLOWED),
        "category": Choice(*CATEGORIES, when=_forbids),
        "sentence": Text(max=LONGEST_SENTENCE, optional=True, when=_forbids),
        "sure": Confirm(),
    },
)

SILENCE = Script(
    name="silence",
    finish="rule.silenced",
    steps={"what": Text(max=LONGEST_WORD), "sure": Confirm()},
)

DROP = Script(name="drop_rule", finish="rule.dropped", steps={"sure": Confirm()})
