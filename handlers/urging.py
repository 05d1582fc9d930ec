"""催单: who waits for a repair urges, once in a while; the crew and the staff see it anew, and the timeline says so."""

import re
from datetime import timedelta
from typing import Any

from sqlmodel import col, or_, select

from conversations.errors import Unclear
from conversations.words import spoken
from handlers.actions import action, perform
from handlers.policy import policy_of
from handlers.repair_cards import (
    ON_IT,
    WORK,
    add_event,
    assigned,
    brief_to,
    may_be_urged,
    must_be,
    office,
    owner_buttons,
    private,
    show_card,
    staff_card,
    to_reporter,
)
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Follower, Person, Repair

NUMBERED = re.compile(r"(\D+?)(\d{1,9})?")
MOST = 10


@action("repair.urge", Repair, button=True)
def urge(tx: Tx, person: Person, repair: Repair) -> None:
    """Show it anew to whoever has it and to the staff; before the interval has passed, say when it was urged."""
    must_be(repair, "waiting", *ON_IT)
    if not may_be_urged(repair):
        _answer(tx, person, repair, "urge.paging", phone=office(tx, repair.community_id))
        return
    interval = timedelta(hours=policy_of(tx, repair.community_id).urge_hours)
    if repair.urged_at is not None and tx.now < repair.urged_at + interval:
        _answer(tx, person, repair, "urge.already", at=repair.urged_at, again=repair.urged_at + interval)
        return
    repair.urged_at = tx.now
    add_event(tx, repair, "event.urged", person)
    if repair.crew_id is not None:
        show_card(tx, repair, tx.session.get_one(Person, repair.crew_id), key="urge.crew", anew=True)
    staff_card(tx, repair, key="urge.staff", anew=True)
    key = "urge.done" if repair.crew_id is not None else "urge.done_staff"
    _answer(tx, person, repair, key, again=tx.now + interval)


def _answer(tx: Tx, person: Person, repair: Repair, key: str, **facts: Any) -> None:
    """Answer whoever urged: its reporter, who has buttons, or somebody who follows it."""
    buttons = owner_buttons(repair) if person.id == repair.person_id else []
    known = {name: fact for name, fact in private(tx, repair).items() if name in ("number", "due", "state")}
    words = {**known, "assigned": assigned(tx, repair), **facts}
    tell(tx, person, key, buttons=buttons, last=to_reporter(repair), **words)


def urge_typed(tx: Tx, person: Person, word: str) -> bool:
    """催单 typed, alone or with a number: their open repair is urged; of several they choose. False: no such word."""
    match = NUMBERED.fullmatch(word)
    if match is None or match[1] not in spoken("urge"):
        return False
    theirs = _open_of(tx, person)
    chosen = [each for each in theirs if match[2] is None or each.number == int(match[2])]
    if len(chosen) == 1:
        perform(tx, person, f"repair.urge:{chosen[0].id}")
    elif not theirs:
        raise Unclear("urge.none")
    else:
        buttons = [
            Button(f"repair.urge:{each.id}", key="urge.number", number=each.number) for each in theirs[:MOST]
        ]
        reader = reader_of(tx, person)
        lines = [
            reader.say("urge.line", number=each.number, what=brief_to(tx, each, person))
            for each in theirs[:MOST]
        ]
        tell(tx, person, "urge.which", list="\n".join(lines), buttons=buttons)
    return True


def _open_of(tx: Tx, person: Person) -> list[Repair]:
    """What a person waits for: what they reported, and what they follow."""
    followed = select(Follower.repair_id).where(Follower.person_id == person.id)
    theirs = select(Repair).where(
        Repair.community_id == person.community_id,
        col(Repair.state).in_(WORK),
        or_(Repair.person_id == person.id, col(Repair.id).in_(followed)),
    )
    return list(tx.session.exec(theirs.order_by(col(Repair.id))))
