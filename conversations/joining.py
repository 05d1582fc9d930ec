"""The questions of a request to come in: who, and in which home."""

from conversations.steps import Choice, Confirm, Script, Text

JOIN = Script(
    name="join",
    finish="join.request",
    steps={
        "home": Text(min=2, max=60),
        "name": Text(min=2, max=30),
        "role": Choice("owner", "tenant", "family"),
        "sure": Confirm(),
    },
)
