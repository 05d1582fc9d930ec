"""The questions of staff about a home and its people: which one, and who may act for whom."""

from conversations.steps import Choice, Confirm, Script, Text

FIND = Script(name="find", finish="home.found", steps={"home": Text(max=60)})

EXPEL = Script(name="expel", finish="tie.removed", steps={"sure": Confirm()})

PROXY = Script(
    name="proxy",
    finish="agent.appoint",
    steps={
        "kind": Choice("proxy", "guardian"),
        "agent": Text(min=2, max=60),
        "scope": Text(max=200, optional=True),
        "until": Text(max=20, optional=True),
        "sure": Confirm(),
    },
)
