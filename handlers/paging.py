"""Paging: an urgent repair calls people, ring after ring, until somebody accepts."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from conversations.errors import Refused
from conversations.said import File
from handlers.actions import action, perform
from handlers.phones import number_to_call
from handlers.policy import policy_of
from handlers.repair_cards import (
    add_event,
    for_crew,
    is_paged,
    name_of,
    office,
    paged,
    show_card,
    staff_card,
    tell_owner,
    where,
)
from handlers.rings import Ring, next_ring
from handlers.tell import URGENT, drop, forget_hidden, hand_over, hush, reader_of
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Place, Repair

MOST_WORDS = 500


def ring(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Call the next ring's people, louder each time, until somebody accepts; `but` has just said that they can't go."""
    repair.ring += 1
    tx.session.add(repair)
    found = next_ring(tx, repair, but)
    key = "event.paged" if repair.ring == 1 else "event.paged_again"
    add_event(tx, repair, key, None, ring=repair.ring, count=found.count, whom=found.whom)
    for person in found.people:
        show_card(tx, repair, person, anew=True, lane=URGENT)
    staff_card(tx, repair, anew=True, lane=URGENT)
    if found.hook:
        _call_by_hook(tx, repair, found)
    if repair.ring == 2:
        tell_owner(tx, repair, "repair.still_nobody", lane=URGENT, phone=office(tx, repair.community_id))
    minutes = policy_of(tx, repair.community_id).page_again_minutes
    set_timer(tx, repair.community_id, f"repair.page:{repair.id}", tx.now + timedelta(minutes=minutes))


@action("repair.page", Repair)
def page(tx: Tx, person: None, repair: Repair) -> None:
    """Nobody has accepted yet: page again, louder."""
    if is_paged(repair):
        ring(tx, repair)


def stop_paging(tx: Tx, repair: Repair) -> None:
    """Call nobody any more. What waits to be sent is no page any more, and the ledger forgets the numbers to call.

    To be called before anything new is said about it; what the cards say then is for `refresh`.
    """
    stop_timer(tx, f"repair.page:{repair.id}")
    for name in (f"repair:{repair.id}", hook_card(repair)):
        forget_hidden(tx, name)
    hush(tx, f"repair:{repair.id}")
    drop(tx, hook_card(repair))


def danger_about(tx: Tx, person: Person, what: str, text: str, files: Sequence[File], **answers: Any) -> None:
    """Let danger that is told about a repair count there; where nothing can be told about it any more, by itself."""
    try:
        perform(tx, person, what, **answers)
    except Refused:
        photos = {"files": [file.model_dump() for file in files], "done": True}
        perform(tx, person, "repair.emergency", answers={"what": text, "photos": photos})


# --- the web hook -----------------------------------------------------------------------------------


def hook_card(repair: Repair) -> str:
    """The name of what the web hook is told about a repair."""
    return f"hook:{repair.id}"


def _call_by_hook(tx: Tx, repair: Repair, found: Ring) -> None:
    """Let the web hook telephone them; an earlier call that still waits for it is overtaken."""
    drop(tx, hook_card(repair))
    place = _hook_of(tx, repair.community_id)
    reader = reader_of(tx, place)
    words = reader.say("repair.page", **paged(tx, repair, place), **for_crew(tx, repair))
    body = {
        "community": tx.community(repair.community_id).name,
        "number": repair.number,
        "ring": repair.ring,
        "text": words[:MOST_WORDS],
        "where": reader.show(where(tx, repair)),
        "call": [
            {"name": name_of(tx, person.id), "phone": number_to_call(tx, person)} for person in found.by_phone
        ],
    }
    hand_over(tx, place, json.dumps(body, ensure_ascii=False), card=hook_card(repair))


def _hook_of(tx: Tx, community_id: int) -> Place:
    """The web hook as a community's place; two emergencies may begin at once."""
    named = select(Place).where(Place.messenger == "hook", Place.external_id == f"community {community_id}")
    place = tx.session.exec(named).first()
    if place is not None:
        return place
    made = Place(
        community_id=community_id, messenger="hook", external_id=f"community {community_id}", kind="hook"
    )
    try:
        with tx.session.begin_nested():
            tx.session.add(made)
    except IntegrityError:
        return tx.session.exec(named).one()
    return made
