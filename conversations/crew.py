"""The questions of staff about who works in the community: whom to add, what they do, where and when."""

from conversations.steps import Confirm, Script, Text

HIRE = Script(
    name="hire",
    finish="crew.added",
    steps={"name": Text(min=2, max=30), "phone": Text(max=30, optional=True)},
)

SKILLS = Script(name="skills", finish="crew.skilled", steps={"kinds": Text(max=200)})

BUILDINGS = Script(name="served", finish="crew.served", steps={"buildings": Text(max=200)})

HOURS = Script(name="hours", finish="crew.timed", steps={"hours": Text(max=20)})

DISMISS = Script(name="dismiss", finish="crew.removed", steps={"sure": Confirm()})

ELECT = Script(name="elect", finish="committee.added", steps={"who": Text(min=2, max=60)})
