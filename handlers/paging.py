"""Paging: an urgent repair calls whoever is on duty, ring after ring, until somebody accepts."""

from datetime import timedelta

from handlers.actions import action
from handlers.people import crew_of, on_duty
from handlers.policy import policy_of
from handlers.repair_cards import add_event, can_be_reached, office, show_card, staff_card, tell_owner
from handlers.tell import URGENT
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Person, Repair


def ring(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Page whoever is on duty, from the second time on the whole crew and the admin group, until somebody accepts.

    `but` has just said that they cannot go.
    """
    repair.ring += 1
    everybody = [
        person
        for person, _ in crew_of(tx, repair.community_id)
        if (but is None or person.id != but.id) and can_be_reached(tx, person)
    ]
    duty = {person.id for person in on_duty(tx, repair.community_id, repair.kind, repair.building)}
    chosen = [person for person in everybody if repair.ring > 1 or person.id in duty]
    for person in chosen or everybody:
        show_card(tx, repair, person, key="repair.page", anew=True, lane=URGENT)
    louder = repair.ring > 1 or not chosen
    staff_card(
        tx,
        repair,
        key="repair.page_staff_again" if louder else "repair.page_staff",
        anew=True,
        lane=URGENT,
    )
    if repair.ring == 2:
        tell_owner(tx, repair, "repair.still_nobody", lane=URGENT, phone=office(tx, repair.community_id))
    tx.session.add(repair)
    minutes = policy_of(tx, repair.community_id).page_again_minutes
    set_timer(tx, repair.community_id, f"repair.page:{repair.id}", tx.now + timedelta(minutes=minutes))
    add_event(tx, repair, "event.paged", None, count=len(chosen or everybody))


@action("repair.page", Repair)
def page(tx: Tx, person: None, repair: Repair) -> None:
    """Nobody has accepted yet: page again, louder."""
    if repair.state == "waiting" and repair.urgent:
        ring(tx, repair)
