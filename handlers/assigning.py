"""Who has an ordinary repair, and until when: the crew in charge, the deadline, and what happens when it has passed."""

from datetime import datetime, timedelta

from sqlmodel import col, func, select

from handlers.actions import action
from handlers.calendar import working_deadline, working_hours, working_hours_before
from handlers.overdue import refresh_list
from handlers.people import best_for, crew_of, managers_of
from handlers.policy import deadlines_in, policy_of
from handlers.repair_cards import (
    WORK,
    add_event,
    assigned,
    board,
    brief,
    can_be_reached,
    events,
    for_crew,
    private,
    runs,
    show_card,
    staff_card,
    tell_owner,
)
from handlers.tell import tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair

OVERDUE_AGAIN = timedelta(days=1)
MANAGERS_AFTER = 2
"""Days after a deadline from which the managers hear of it, too."""


def assign(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Put one member of the crew in charge (who can do it and has the fewest open tickets), with a deadline.

    A deadline that was promised stays. With nobody left, the admin group is told.
    """
    chosen = _least_busy(tx, repair, but)
    repair.crew_id = chosen.id if chosen else None
    if repair.due_at is None:
        set_deadline(tx, repair, deadline_for(tx, repair))
    tx.session.add(repair)
    tx.session.flush()
    if chosen is not None:
        show_card(tx, repair, chosen, key="repair.ticket", anew=True)
        staff_card(tx, repair)
    else:
        staff_card(tx, repair, key="repair.unassigned_staff", anew=True)


def deadline_for(tx: Tx, repair: Repair) -> datetime:
    """Until when it is to be done if it is promised now: an emergency soon, of others a kind may have its own time."""
    policy = policy_of(tx, repair.community_id)
    if repair.urgent:
        return tx.now + timedelta(hours=policy.urgent_hours)
    count, unit = deadlines_in(policy.kind_deadlines).get(repair.kind, (policy.repair_days, "d"))
    if unit == "h":
        return working_hours(tx, repair.community_id, count)
    return working_deadline(tx, repair.community_id, count)


def set_deadline(tx: Tx, repair: Repair, due_at: datetime) -> None:
    """Promise it until then: the crew is warned some time before, unless it is nearer than that from the start."""
    repair.due_at = due_at
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", due_at)
    hours = policy_of(tx, repair.community_id).warn_hours
    if repair.urgent:  # for which people work at night, too
        warn_at = due_at - timedelta(hours=hours)
    else:
        warn_at = working_hours_before(tx, repair.community_id, hours, due_at)
    if hours and warn_at > tx.now:
        set_timer(tx, repair.community_id, f"repair.warn:{repair.id}", warn_at)
    else:
        stop_timer(tx, f"repair.warn:{repair.id}")
    refresh_list(tx, repair.community_id)


def stop_deadline(tx: Tx, repair: Repair) -> None:
    """Nothing has to be done until a certain time any more, or not now: no warning, and not on the overdue list."""
    for clock in ("warn", "overdue"):
        stop_timer(tx, f"repair.{clock}:{repair.id}")
    refresh_list(tx, repair.community_id, but=repair)


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


@action("repair.warn", Repair)
def warn(tx: Tx, person: None, repair: Repair) -> None:
    """The deadline comes near: whoever is in charge hears of it once, or the admin group if nobody is."""
    if not runs(repair) or repair.due_at is None or repair.due_at <= tx.now:
        return
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, key="deadline.warn_crew", anew=True)
    else:
        staff_card(tx, repair, key="deadline.warn_staff", anew=True)


@action("repair.overdue", Repair)
def overdue(tx: Tx, person: None, repair: Repair) -> None:
    """The deadline has passed: the crew in charge and the admin group are told, each day; after days the managers, too.

    The owner and the board hear of it once.
    """
    if not runs(repair) or repair.due_at is None:
        return
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, key="repair.overdue_crew", anew=True)
    staff_card(tx, repair, key="repair.overdue_staff", anew=True)
    days = (tx.now - repair.due_at) // timedelta(days=1)
    if days >= MANAGERS_AFTER:
        _tell_managers(tx, repair, days)
    told = [
        event for event in events(tx, repair) if event.key == "event.overdue" and event.at >= repair.due_at
    ]
    if not told:
        tell_owner(tx, repair, "repair.overdue", **{**private(tx, repair), "what": brief(repair)})
        add_event(tx, repair, "event.overdue", None)
        board(tx, repair)
    refresh_list(tx, repair.community_id)
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", tx.now + OVERDUE_AGAIN)


def _tell_managers(tx: Tx, repair: Repair, days: int) -> None:
    for manager in managers_of(tx, repair.community_id):
        facts = {**for_crew(tx, repair), "assigned": assigned(tx, repair), "days": days}
        tell(tx, manager, "deadline.overdue_manager", last=f"late:{repair.id}", **facts)


def tickets_of(tx: Tx, person: Person) -> int:
    """How many tickets a member of the crew has in hand."""
    theirs = select(func.count()).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    return tx.session.exec(theirs).one()
