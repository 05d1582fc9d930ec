"""The questions of staff about a spot that gets a QR code on its wall."""

from conversations.steps import Choice, Confirm, Script, Step, Text

LONGEST_WORDS = 40
PLACES = ("hall", "lift", "garage", "other")
NOWHERE = "0"
"""What stands for no building among the buildings, and can be typed for it."""

STEPS: dict[str, Step] = {
    "building": Choice(source="buildings", by_value=True),
    "place": Choice(*PLACES),
    "words": Text(max=LONGEST_WORDS),
    "sure": Confirm(),
}

SPOT = Script(name="spot", finish="spot.added", steps=STEPS)

# The same questions with the present answers filled in: its code stays.
RESPOT = Script(name="respot", finish="spot.changed", words="spot", steps=STEPS)
