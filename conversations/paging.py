"""The questions of staff about who goes to a repair, and who is called when nobody does."""

from conversations.steps import Choice, Script, Text

APPOINT = Script(name="appoint", finish="repair.appointed", steps={"who": Choice(source="crew")})

MANAGE = Script(name="manage", finish="manager.added", steps={"who": Text(min=2, max=60)})
