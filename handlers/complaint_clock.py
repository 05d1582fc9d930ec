"""The clocks of complaints: on staff, until they answer in public, and on the author, who says whether it helped."""

from datetime import timedelta

from handlers.actions import action
from handlers.complaint_cards import (
    about,
    add_event,
    card,
    late,
    refresh,
    staff_card,
    tell_joiners,
    tell_owner,
)
from handlers.people import committee_of, managers_of
from handlers.policy import policy_of
from handlers.talk import end_about
from handlers.tell import Button, close_everywhere, tell
from handlers.timers import awake, set_due, set_timer, stop_due
from handlers.tx import Tx
from store.tables import Complaint

BEFORE = timedelta(days=2)
AGAIN = timedelta(days=7)
"""How often staff are told again of what they have not answered in time."""
LEAST_DAYS = 3
"""At least so many days staff have for a further question, however few there are for the first."""


def run_clock(tx: Tx, complaint: Complaint) -> None:
    """Staff have to answer by then: they are reminded before, and afterwards everybody sees that they did not."""
    stop_clocks(tx, complaint)
    days = policy_of(tx, complaint.community_id).answer_days
    if complaint.round > 1:
        days = max(LEAST_DAYS, days // 2)
    # At an hour at which those who are told are awake.
    complaint.due_at = awake(tx, complaint.community_id, tx.now + timedelta(days=days))
    complaint.overdue_at = complaint.answered_at = None
    tx.session.add(complaint)
    tx.session.flush()
    reminded = awake(tx, complaint.community_id, complaint.due_at - BEFORE, until=complaint.due_at)
    set_due(tx, complaint.community_id, about(complaint), complaint.due_at, reminded)


def stop_clocks(tx: Tx, complaint: Complaint) -> None:
    """Nobody has to do anything until then any more."""
    complaint.due_at = None
    tx.session.add(complaint)
    stop_due(tx, about(complaint), "silence")
    close_everywhere(tx, late(complaint))


def wait_for_word(tx: Tx, complaint: Complaint) -> None:
    """Its author says whether the answer helped; their silence ends it."""
    stop_clocks(tx, complaint)
    days = policy_of(tx, complaint.community_id).confirm_days
    complaint.due_at = awake(tx, complaint.community_id, tx.now + timedelta(days=days))
    tx.session.add(complaint)
    set_timer(tx, complaint.community_id, f"complaint.silence:{complaint.id}", complaint.due_at)


@action("complaint.remind", Complaint)
def remind(tx: Tx, person: None, complaint: Complaint) -> None:
    """Two days are left; not when we were down until its time was over."""
    if complaint.state == "open" and complaint.due_at is not None and tx.now < complaint.due_at:
        staff_card(tx, complaint, key="complaint.remind_staff", anew=True)


@action("complaint.overdue", Complaint)
def overdue(tx: Tx, person: None, complaint: Complaint) -> None:
    """The deadline has passed: everybody sees it; committee and managers hear it once, staff again and again."""
    if complaint.state != "open" or complaint.due_at is None or complaint.due_at > tx.now:
        return
    first = complaint.overdue_at is None
    if first:
        complaint.overdue_at = complaint.due_at
        add_event(tx, complaint, "complaint.event.overdue", None)
        tell_owner(tx, complaint, "complaint.late")
        tell_joiners(tx, complaint, "complaint.late_joiner")
        _tell_above(tx, complaint)
    refresh(tx, complaint, "complaint.overdue_staff", anew=True)
    set_timer(tx, complaint.community_id, f"complaint.overdue:{complaint.id}", tx.now + AGAIN)


def _tell_above(tx: Tx, complaint: Complaint) -> None:
    """The owners' committee, and who manages the property company's people."""
    both = [*committee_of(tx, complaint.community_id), *managers_of(tx, complaint.community_id)]
    for person in {each.id: each for each in both if each.id != complaint.person_id}.values():
        tell(
            tx,
            person,
            "complaint.overdue_above",
            shown=card(tx, complaint),
            buttons=[Button(f"complaint.show:{complaint.id}", number=complaint.number)],
            card=late(complaint),
        )


@action("complaint.silence", Complaint)
def silence(tx: Tx, person: None, complaint: Complaint) -> None:
    """Its author said nothing about the answer: it ends."""
    if complaint.state != "answered" or complaint.due_at is None or complaint.due_at > tx.now:
        return
    close(tx, complaint)
    add_event(tx, complaint, "complaint.event.silent", None)
    refresh(tx, complaint)
    tell_owner(tx, complaint, "complaint.closed_silent")


def close(tx: Tx, complaint: Complaint, helped: bool | None = None) -> None:
    """It has ended: `helped` is what its author says of the answer."""
    complaint.state, complaint.helped, complaint.closed_at = "closed", helped, tx.now
    stop_clocks(tx, complaint)
    end_about(tx, about(complaint))
