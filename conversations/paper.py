"""The questions of staff about a ballot on paper: whose it is, what stands on it, and its photo."""

import re
from collections.abc import Sequence

from conversations.steps import Answers, Choice, Confirm, Facts, Photos, Script, Text, whole_number
from conversations.words import LANGUAGES, normal, texts

BETWEEN = re.compile(r"[\s,，;；/]+|、")


def of_several_owners(answers: Answers, facts: Facts) -> bool:
    """The home has more than one owner who may vote."""
    return "home" in answers and len(facts["owners"]) > 1


def asks_yes_no(answers: Answers, facts: Facts) -> bool:
    """The vote asks for or against."""
    return bool(facts["most"] == 0)


def asks_for_one(answers: Answers, facts: Facts) -> bool:
    """The vote lets one choose one of several."""
    return bool(facts["most"] == 1)


def asks_for_several(answers: Answers, facts: Facts) -> bool:
    """The vote lets one choose several."""
    return bool(facts["most"] > 1)


PAPER = Script(
    name="paper",
    finish="paper.enter",
    steps={
        "home": Text(max=60),
        "who": Choice(source="owners", when=of_several_owners),
        "choice": Choice("for", "against", "abstain", when=asks_yes_no),
        "one": Choice("none", "abstain", source="choices", when=asks_for_one),
        "several": Text(max=1000, when=asks_for_several),
        "photos": Photos(),
        "sure": Confirm(),
    },
)


def picked_in(text: str, choices: Sequence[str], most: int) -> list[str] | str | None:
    """The choices that "1 3", "1、3" or their names mean; [] is none of these, None: no such choices, or too many."""
    word = normal(text)
    if word in [normal(texts(language)["paper.one.none"]) for language in LANGUAGES]:
        return []
    if word in [normal(texts(language)["paper.one.abstain"]) for language in LANGUAGES]:
        return "abstain"
    names = {normal(name): name for name in choices}
    numbers = dict(enumerate(choices, 1))
    for parts in (text.split("、"), BETWEEN.split(text.strip())):
        found = [names.get(normal(part)) or numbers.get(whole_number(part) or 0) for part in parts if part]
        picked = [name for name in dict.fromkeys(found) if name is not None]
        if found and None not in found and len(picked) <= most:
            return picked
    return None
