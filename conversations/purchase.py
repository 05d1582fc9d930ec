"""The questions of a request for equipment: the request, its review, the opening of its vote, and how it comes."""

from conversations.steps import Answers, Choice, Confirm, Facts, Money, Number, Photos, Script, Text

LONGEST = 500
WHOLE = "0"
"""The whole community, where a building is asked for: a number that no building has, so that it can be typed."""
PAYERS = ("fund", "revenue", "owners", "company")
NATURES = ("same", "alter", "business")


def of_several_buildings(answers: Answers, facts: Facts) -> bool:
    """There is more than one building, and the one that is always there: the whole community."""
    return len(facts["buildings"]) > 2


def like_others(answers: Answers, facts: Facts) -> bool:
    """Somebody has asked for such a thing already."""
    return bool(facts["similar"])


PURCHASE = Script(
    name="purchase",
    finish="purchase.submit",
    steps={
        "what": Text(max=100, source="kinds"),
        "building": Choice(source="buildings", by_value=True, when=of_several_buildings),
        "similar": Choice("none", source="similar", when=like_others),
        "spot": Text(max=100, optional=True),
        "why": Text(min=2, max=300),
        "count": Number(most=9999),
        "cost": Money(optional=True),
        "photos": Photos(most=6, optional=True),
        "sure": Confirm(),
    },
)

# Staff, in the admin group.
NOTE = Script(
    name="existing", finish="purchase.noted", steps={"note": Text(min=2, max=LONGEST, source="register")}
)

DECLINE = Script(
    name="turn_down",
    finish="purchase.declined",
    steps={"reason": Text(min=2, max=LONGEST), "sure": Confirm()},
)


def without_estimate(answers: Answers, facts: Facts) -> bool:
    """Nobody has said what it costs."""
    return not facts["estimated"]


REVIEW = Script(
    name="review",
    finish="review.finish",
    steps={
        "cost": Money(optional=True, when=without_estimate),
        "payer": Choice(*PAYERS),
        "nature": Choice(*NATURES),
        "kind": Choice(source="kinds"),
        "scope": Choice(source="scopes", by_value=True, when=of_several_buildings),
        "opens": Text(max=120, source="openings"),
        "lasts": Number(most=120, source="lengths"),
        "sure": Confirm(),
    },
)

# The committee.
DROP = Script(name="drop_opening", finish="opening.dropped", steps={"reason": Text(min=2, max=LONGEST)})

# How it comes: staff, and in the end whoever asked for it.
ORDER = Script(
    name="order",
    finish="purchase.ordered",
    steps={
        "spent": Money(optional=True),
        "note": Text(max=300, optional=True),
        "photos": Photos(most=6, optional=True),
    },
)

DELIVER = Script(
    name="deliver",
    finish="purchase.delivered",
    steps={"photos": Photos(most=6, optional=True), "note": Text(max=300, optional=True)},
)

INSTALL = Script(
    name="install",
    finish="purchase.installed",
    steps={"photos": Photos(most=6, optional=True), "note": Text(max=300, optional=True)},
)

PROBLEM = Script(name="problem", finish="purchase.reported", steps={"what": Text(min=2, max=300)})
