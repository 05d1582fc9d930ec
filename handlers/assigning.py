"""Who has an ordinary repair, and until when: the crew in charge, the deadline, and what happens when it has passed."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from handlers.actions import action
from handlers.calendar import working_deadline
from handlers.people import best_for, crew_of
from handlers.policy import policy_of
from handlers.repair_cards import (
    WORK,
    add_event,
    board,
    brief,
    can_be_reached,
    events,
    private,
    show_card,
    staff_card,
    tell_owner,
)
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Person, Repair

OVERDUE_AGAIN = timedelta(days=1)
IN_ORDER = (col(Repair.urgent).desc(), col(Repair.due_at).nulls_first(), col(Repair.id))


def assign(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Put one member of the crew in charge (who can do it and has the fewest open tickets), with a deadline.

    A deadline that was promised stays. With nobody left, the admin group is told.
    """
    chosen = _least_busy(tx, repair, but)
    repair.crew_id = chosen.id if chosen else None
    if repair.due_at is None:
        days = policy_of(tx, repair.community_id).repair_days
        set_deadline(tx, repair, working_deadline(tx, repair.community_id, days))
    tx.session.add(repair)
    tx.session.flush()
    if chosen is not None:
        show_card(tx, repair, chosen, key="repair.ticket", anew=True)
        staff_card(tx, repair)
    else:
        staff_card(tx, repair, key="repair.unassigned_staff", anew=True)


def set_deadline(tx: Tx, repair: Repair, due_at: Any) -> None:
    repair.due_at = due_at
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", due_at)


def _least_busy(tx: Tx, repair: Repair, but: Person | None) -> Person | None:
    """Who can do it and has the fewest open tickets; between equals, whose own trade it is."""
    crew = [
        each
        for each in crew_of(tx, repair.community_id)
        if (but is None or each[0].id != but.id) and can_be_reached(tx, each[0])
    ]
    able = best_for(crew, repair.kind, repair.building)
    ranked = sorted(
        able, key=lambda each: (tickets_of(tx, each[0]), repair.kind not in each[1].skills, each[0].id)
    )
    return ranked[0][0] if ranked else None


@action("repair.overdue", Repair)
def overdue(tx: Tx, person: None, repair: Repair) -> None:
    """The deadline has passed: the crew in charge, the admin group, the board and the owner are told, once a day."""
    if repair.state not in WORK or repair.due_at is None:
        return
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, key="repair.overdue_crew", anew=True)
    staff_card(tx, repair, key="repair.overdue_staff", anew=True)
    told = [
        event for event in events(tx, repair) if event.key == "event.overdue" and event.at >= repair.due_at
    ]
    if not told:  # the owner and the board hear of it once
        tell_owner(tx, repair, "repair.overdue", **{**private(tx, repair), "what": brief(repair)})
        add_event(tx, repair, "event.overdue", None)
        board(tx, repair)
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", tx.now + OVERDUE_AGAIN)


def tickets_of(tx: Tx, person: Person) -> int:
    """How many tickets a member of the crew has in hand."""
    theirs = select(func.count()).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    return tx.session.exec(theirs).one()
