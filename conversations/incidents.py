"""The questions of staff about an incident: what has happened where, what is new, and that it is over."""

from conversations.steps import Choice, Confirm, Script, Text

LONGEST = 300
WHEN = 40

INCIDENT = Script(
    name="incident",
    finish="incident.opened",
    steps={
        "what": Text(min=2, max=LONGEST),
        "building": Choice("all", source="buildings", by_value=True),
        "expected": Text(max=WHEN, optional=True),
        "sure": Confirm(),
    },
)

NEWS = Script(
    name="news",
    finish="incident.updated",
    steps={"words": Text(min=2, max=LONGEST), "expected": Text(max=WHEN, optional=True)},
)

OVER = Script(name="over", finish="incident.ended", steps={"words": Text(max=LONGEST, optional=True)})

MERGE = Script(name="merge", finish="repair.merged", steps={"into": Choice(source="targets")})
