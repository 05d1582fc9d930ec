"""Statutory votes are opened by the owners' committee: one member begins, a second one confirms."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from conversations.errors import Refused
from conversations.purchase import DROP
from conversations.words import Say
from handlers import holding
from handlers.actions import action
from handlers.law import pack_of
from handlers.people import committee_of, roles_of
from handlers.policy import policy_of
from handlers.purchase_cards import (
    add_event,
    board,
    masked,
    opening_buttons,
    refresh,
    staff_card,
    tell_owner,
)
from handlers.purchases import run_clock
from handlers.talk import Known, end_about, know, no_facts, start
from handlers.tell import close_everywhere, tell
from handlers.timers import awake, set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Opening, Person, Purchase, Talk

TOGETHER = 2
"""How many of the committee it takes to open a vote."""
WAITS = ("proposed", "seconding")
DAILY = timedelta(days=1)


# --- proposed ---------------------------------------------------------------------------------------


def propose(tx: Tx, purchase: Purchase, vote: Mapping[str, Any]) -> Opening:
    """Ask the committee to open this vote on a request; it is reminded daily."""
    opening = Opening(
        community_id=purchase.community_id, purchase_id=purchase.id, vote=dict(vote), created_at=tx.now
    )
    tx.session.add(opening)
    tx.session.flush()
    _show_everybody(tx, opening, anew=True)
    set_timer(tx, opening.community_id, f"opening.remind:{opening.id}", tx.now + DAILY)
    return opening


def _card(opening: Opening) -> str:
    return f"opening:{opening.id}"


def _purchase(tx: Tx, opening: Opening) -> Purchase | None:
    return tx.session.get(Purchase, opening.purchase_id) if opening.purchase_id is not None else None


def _show_everybody(tx: Tx, opening: Opening, *, anew: bool = False, reminder: bool = False) -> None:
    """Let each member see how it stands, and what they can do."""
    for member in committee_of(tx, opening.community_id):
        _show(tx, opening, member, anew=anew, reminder=reminder)


def _show(tx: Tx, opening: Opening, member: Person, *, anew: bool = False, reminder: bool = False) -> None:
    vote, purchase = opening.vote, _purchase(tx, opening)
    theirs = opening.opened_by == member.id and opening.state == "seconding"
    tell(
        tx,
        member,
        "opening.card",
        card=_card(opening),
        anew=anew,
        buttons=opening_buttons(opening, member, purchase),
        reminder=Say("opening.reminder_mark") if reminder else "",
        title=vote["title"],
        text=vote["text"],
        rule=Say(f"opening.rule.{vote['rule']}"),
        scope=[Say("where.building", building=each) for each in vote["buildings"] or ()]
        or Say("purchase.whole"),
        opens=Say("opening.opens_at", at=opening_at(tx, opening), days=_notice_days(tx, opening)),
        days=vote["days"],
        state=Say("opening.state.yours" if theirs else f"opening.state.{opening.state}"),
    )


def _notice_days(tx: Tx, opening: Opening) -> int:
    return pack_of(policy_of(tx, opening.community_id).city).notice_days


def opening_at(tx: Tx, opening: Opening) -> datetime:
    """When the vote opens if its notice is published now: as was chosen, but no earlier than the law lets it.

    The ballots come with a sound, so that it is an hour at which people are awake.
    """
    earliest = tx.now + timedelta(days=_notice_days(tx, opening))
    chosen = opening.vote["opens"]
    at = max(datetime.fromisoformat(chosen), earliest) if chosen else earliest
    return awake(tx, opening.community_id, at)


@action("opening.remind", Opening)
def remind(tx: Tx, person: None, opening: Opening) -> None:
    """It waits for the committee still."""
    if opening.state not in WAITS:
        return
    _show_everybody(tx, opening, anew=True, reminder=True)
    set_timer(tx, opening.community_id, f"opening.remind:{opening.id}", tx.now + DAILY)


# --- opened by two ----------------------------------------------------------------------------------


@action("opening.open", Opening, button=True)
def open_(tx: Tx, person: Person, opening: Opening) -> None:
    """One of the committee opens it; a second one has to confirm."""
    if opening.state == "seconding" and opening.opened_by == person.id:
        _show(tx, opening, person, anew=True)
        return
    if opening.state != "proposed":
        raise Refused("opening.begun" if opening.state == "seconding" else "opening.over")
    _begun_by(tx, opening, person)


def _begun_by(tx: Tx, opening: Opening, person: Person) -> None:
    opening.state, opening.opened_by = "seconding", person.id
    tx.session.add(opening)
    tx.session.flush()
    purchase = _purchase(tx, opening)
    if purchase is not None:
        add_event(tx, purchase, "purchase.event.opened", person)
        refresh(tx, purchase)
    for member in committee_of(tx, opening.community_id):
        _show(tx, opening, member, anew=True)


@action("opening.confirm", Opening, button=True)
def confirm(tx: Tx, person: Person, opening: Opening) -> None:
    """A second member confirms: the vote is made, and its notice begins to run now."""
    if opening.state != "seconding":
        raise Refused("opening.not_begun" if opening.state == "proposed" else "opening.over")
    if opening.opened_by == person.id:
        raise Refused("opening.second_person")
    opener = tx.session.get(Person, opening.opened_by) if opening.opened_by is not None else None
    if opener is None or "committee" not in roles_of(tx, opener):  # who has left it opens nothing
        _begun_by(tx, opening, person)
        return
    purchase, what = _purchase(tx, opening), opening.vote
    opens_at = opening_at(tx, opening)
    vote = holding.hold(
        tx,
        opening.community_id,
        person,
        purchase=purchase,
        kind="statutory",
        rule=what["rule"],
        title=what["title"],
        text=what["text"],
        options={"scope": {"buildings": what["buildings"]}},
        notice_at=tx.now,
        opens_at=opens_at,
        deadline=opens_at + timedelta(days=what["days"]),
    )
    opening.state = "made"
    _over(tx, opening)
    for member in committee_of(tx, opening.community_id):
        tell(
            tx,
            member,
            "opening.made",
            last=_card(opening),
            title=what["title"],
            vote=vote.number,
            opens=vote.opens_at,
            deadline=vote.deadline,
        )
    if purchase is not None:
        purchase.state = "voting"
        add_event(tx, purchase, "purchase.event.confirmed", person, vote=vote.number, at=vote.opens_at)
        refresh(tx, purchase)


def _over(tx: Tx, opening: Opening) -> None:
    tx.session.add(opening)
    tx.session.flush()
    stop_timer(tx, f"opening.remind:{opening.id}")
    end_about(tx, _card(opening))
    close_everywhere(tx, _card(opening))


# --- or not -----------------------------------------------------------------------------------------


def of_opening(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which vote a question is about."""
    opening = tx.session.get_one(Opening, int(talk.about.partition(":")[2]))
    return {"title": opening.vote["title"]}


know(Known(DROP, no_facts, about=of_opening))


@action("opening.drop", Opening, button=True, stays=True)
def drop(tx: Tx, person: Person, opening: Opening) -> None:
    """Ask why the committee does not open it."""
    if opening.state not in WAITS:
        raise Refused("opening.over")
    start(tx, person, "drop_opening", about=_card(opening))


@action("opening.dropped", Opening)
def dropped(tx: Tx, person: Person, opening: Opening, reason: str) -> None:
    """The committee does not open it: it is the staff's turn again, who are told why, as its proposer is."""
    if opening.state not in WAITS:
        raise Refused("opening.over")
    opening.state = "dropped"
    _over(tx, opening)
    for member in committee_of(tx, opening.community_id):
        tell(tx, member, "opening.dropped", last=_card(opening), title=opening.vote["title"], reason=reason)
    purchase = _purchase(tx, opening)
    if purchase is None or purchase.state != "opening":
        return
    reason = masked(tx, purchase, reason)
    purchase.state = "review"
    add_event(tx, purchase, "purchase.event.dropped", person, reason=reason)
    run_clock(tx, purchase)
    staff_card(tx, purchase, key="purchase.dropped_staff", anew=True, because=reason)
    board(tx, purchase)
    tell_owner(tx, purchase, "purchase.dropped", reason=reason, due=purchase.due_at)
