"""The questions of a repair: the report, the place of an emergency, and what is added."""

import re
from functools import cache

from conversations.steps import Answers, Choice, Confirm, Facts, Photos, Script, Step, Text
from conversations.words import LANGUAGES, normal, spoken, texts

LONGEST = 500
NOTE = 300
FEW = 8  # characters: no more than a place, such as 在电梯里 or 3号楼2单元
BUILDING = re.compile(r"([0-9A-Za-z]{1,4})\s*(?:号楼|栋|幢|座|#楼?)")
COMMON = ("hall", "lift", "garage")
WIDE = ("power", "water", "heat", "net", "intercom")
"""Kinds of what fails for a whole building at once, so that it is the same wherever in the building it is noticed."""


def of_several_communities(answers: Answers, facts: Facts) -> bool:
    """The person lives in several communities, and nobody speaks for them."""
    return "for" not in answers and len(facts.get("communities", ())) > 1


def sounds_dangerous(answers: Answers, facts: Facts) -> bool:
    """The words may mean danger; the door judged them."""
    return facts.get("verdict") == "ask"


def of_several_homes(answers: Answers, facts: Facts) -> bool:
    """It is in the person's home, and there is more than one."""
    return answers.get("place") == "home" and len(facts["homes"]) > 1


def at_spot(answers: Answers, facts: Facts) -> bool:
    """The place is that of a spot whose code was scanned (`at`), and was not changed since."""
    at = answers.get("at")
    return at is not None and all(answers.get(name, "") == at[name] for name in ("place", "building"))


def told_by_scanning(answers: Answers, facts: Facts) -> bool:
    """A report that began with the code on a wall: one sentence completes it, if it names what we know."""
    return bool(answers.get("scanned")) and at_spot(answers, facts)


def of_several_buildings(answers: Answers, facts: Facts) -> bool:
    """It is in a common part of a building, and there is more than one building."""
    if at_spot(answers, facts):
        return bool(answers.get("building"))
    return answers.get("place") in COMMON and len(facts["buildings"]) > 1


def elsewhere(answers: Answers, facts: Facts) -> bool:
    """It is neither at home nor in a common part that has a name, or at a spot that has words of its own."""
    return answers.get("place") == "other" or at_spot(answers, facts)


def wants_a_look(answers: Answers, facts: Facts) -> bool:
    """It is shown before it counts, unless a code was scanned and the sentence names a thing."""
    return not told_by_scanning(answers, facts) or facts.get("kind", "other") == "other"


def at_home(answers: Answers, facts: Facts) -> bool:
    """Somebody has to open the door."""
    return answers.get("place") == "home"


def wordless(answers: Answers, facts: Facts) -> bool:
    """Only a photo or a recording has come, without a word: it may be anything."""
    return bool(answers.get("wordless")) and not answers.get("what")


def seen_before(answers: Answers, facts: Facts) -> bool:
    """Something like it has been reported and is not repaired yet."""
    return bool(facts.get("similar"))


def asked_at_home(answers: Answers, facts: Facts) -> bool:
    """Somebody has to open the door, and the form is filled in step by step."""
    return at_home(answers, facts) and not answers.get("spoken")


def by_steps(answers: Answers, facts: Facts) -> bool:
    """The form is filled in step by step, or photos came; who said it in one sentence needs one tap more, or none."""
    brief = answers.get("spoken") or told_by_scanning(answers, facts)
    return not brief or bool(answers.get("photos"))


def place_in(text: str) -> str:
    """The place that a sentence names, if it names exactly one: "厨房水管爆了" → home; else empty."""
    words = normal(text)
    found = {place for word, place in spoken("place").items() if not word.isascii() and word in words}
    found |= {place for word, place in _latin_places() if re.search(word, text.lower())}
    return found.pop() if len(found) == 1 else ""


@cache
def _latin_places() -> list[tuple[str, str]]:
    """The English words for places, as patterns: stairs is none in upstairs."""
    return [
        (rf"(?<![a-z]){re.escape(word)}(?![a-z])", key.rpartition(".")[2])
        for language in LANGUAGES
        for key, text in texts(language).items()
        if key.startswith("say.place.")
        for word in text.split("|")
        if word.isascii()
    ]


def building_in(text: str, facts: Facts) -> str:
    """The building that a sentence names ("3号楼", "3 栋"; "三号楼" is not read); empty if it is none of ours."""
    for number in BUILDING.findall(text):
        if number in dict(facts["buildings"]):
            return str(number)
    return ""


def where_in(text: str, answers: Answers, facts: Facts) -> Answers:
    """The answers about the place that free words give: open ones, and from a few words also corrections."""
    found = {"place": place_in(text), "building": building_in(text, facts)}
    few = len(text) <= FEW
    return {name: value for name, value in found.items() if value and (few or name not in answers)}


def free_report(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words in the midst of a report: a place where a place was asked, else part of what is broken."""
    found = where_in(text, answers, facts)
    if found and len(text) <= FEW and answers.get("what"):
        return found
    what = "；".join(filter(None, (answers.get("what"), text)))
    return {**found, "what": what} if len(what) <= LONGEST else {}


def free_place(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words where the crew should go: a place that has a name, and the spot as it was written."""
    found = where_in(text, answers, facts)
    if found and not _says_more_than_place(text):
        return found if step != "place" else {"place": "other", **found}
    spot = "；".join(filter(None, (answers.get("spot"), text)))
    if len(spot) > LONGEST:
        return {}
    found["spot"] = spot
    return found if step != "place" or "place" in found else {**found, "place": "other"}


def _says_more_than_place(text: str) -> bool:
    """Whether anything is left of "在3号楼电梯里" without the building, the place and the little words."""
    rest = BUILDING.sub("", normal(text))
    for word in sorted(spoken("place"), key=len, reverse=True):
        rest = rest.replace(word, "")
    return bool(re.sub("[在是就的里我们那这，。不对]", "", rest))


def free_note(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words where photos were asked are the note that is asked for next."""
    note = "；".join(filter(None, (answers.get("note"), text)))
    return {"note": note} if len(note) <= NOTE else {}


def free_whether(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words where it was asked whether it is the same: what names a place of one's own is another one."""
    return {"same": "no", "spot": text} if place_in(text) == "home" else {}


def never(answers: Answers, facts: Facts) -> bool:
    """The step is never asked; its answer comes with another one's."""
    return "spot" in answers


def place_steps(*, optional: bool) -> dict[str, Step]:
    """The questions of where it is."""
    return {
        "place": Choice("home", *COMMON, "other", optional=optional),
        "home": Choice(source="homes", when=of_several_homes, optional=optional),
        "building": Choice(source="buildings", by_value=True, when=of_several_buildings, optional=optional),
        "spot": Text(max=100, when=elsewhere, optional=optional),
    }


PLACE = place_steps(optional=False)

REPAIR = Script(
    name="repair",
    finish="repair.report",
    free=free_report,
    steps={
        "sight": Choice("now", "calm", yes="now", no="calm", when=wordless),
        "danger": Choice("now", "calm", yes="now", no="calm", when=sounds_dangerous),
        "community": Choice(source="communities", when=of_several_communities),
        "place": PLACE["place"],
        "what": Text(max=LONGEST),
        "home": PLACE["home"],
        "building": PLACE["building"],
        "spot": PLACE["spot"],
        "same": Choice("none", source="similar", when=seen_before, no="none", optional=True),
        "entry": Choice("any_time", "call_first", when=asked_at_home),
        "photos": Photos(most=6, optional=True, recordings=True, when=by_steps),
        "sure": Confirm(when=wants_a_look),
    },
)

# Staff bring in a matter for an owner who telephones or walks in.
WALK_IN = Script(name="walk_in", finish="repair.enter", words="repair", free=free_report, steps=REPAIR.steps)

# The page has left already: what follows only makes it easier for the crew to find the place.
EMERGENCY = Script(
    name="emergency",
    finish="repair.located",
    words="repair",
    free=free_place,
    steps={**place_steps(optional=True), "photos": Photos(most=6, optional=True, recordings=True)},
)

# What is wrong in a report is changed under the last look.
CORRECT = Script(
    name="correct",
    finish="repair.corrected",
    words="repair",
    free=free_report,
    steps={
        "place": PLACE["place"],
        "what": Text(max=LONGEST),
        "home": PLACE["home"],
        "building": PLACE["building"],
        "spot": PLACE["spot"],
        "entry": Choice("any_time", "call_first", when=at_home, optional=True),
        "sure": Confirm(),
    },
)

LOWER = Script(name="lower", finish="repair.lowered", steps={"why": Text(min=2, max=200)})

# Somebody else has reported an emergency like it: the page has left already, for that one.
SAME = Script(
    name="same",
    finish="repair.whether_same",
    free=free_whether,
    steps={
        "same": Choice("yes", "no", yes="yes", no="no"),
        "spot": Text(max=LONGEST, when=never, optional=True),
    },
)

MORE = Script(
    name="more",
    finish="repair.add",
    free=free_note,
    steps={"photos": Photos(most=6, optional=True, recordings=True), "note": Text(max=NOTE, optional=True)},
)
