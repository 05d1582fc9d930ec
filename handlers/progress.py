"""After the owners have decided: it is ordered, delivered, installed, and confirmed by who asked for it."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.purchase import DELIVER, INSTALL, ORDER, PROBLEM
from handlers import equipment
from handlers.actions import action
from handlers.matters import add_photos
from handlers.policy import policy_of
from handlers.purchase_cards import about, add_event, board, happened, masked, refresh, staff_card, tell_owner
from handlers.purchases import announce, must_be, stop_clocks
from handlers.review import of_request
from handlers.talk import Known, end_about, know, no_facts, start
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Purchase

for script in (ORDER, DELIVER, INSTALL, PROBLEM):
    know(Known(script, no_facts, about=of_request))


# --- the staff --------------------------------------------------------------------------------------


@action("purchase.order", Purchase, button=True, stays=True)
def order(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask what it costs in the end, and for a word and a photo."""
    must_be(purchase, "approved")
    start(tx, person, "order", about=about(purchase))


@action("purchase.ordered", Purchase)
def ordered(tx: Tx, person: Person, purchase: Purchase, **answers: Any) -> None:
    """It is ordered."""
    must_be(purchase, "approved")
    purchase.state, purchase.spent = "ordered", answers.get("spent")
    stop_clocks(tx, purchase)
    add_event(tx, purchase, "purchase.event.ordered", person, note=_note(tx, purchase, answers))
    _went_on(tx, person, purchase, answers)
    tell_owner(tx, purchase, "purchase.ordered")


@action("purchase.deliver", Purchase, button=True, stays=True)
def deliver(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask for a photo and a word of what came."""
    must_be(purchase, "ordered")
    start(tx, person, "deliver", about=about(purchase))


@action("purchase.delivered", Purchase)
def delivered(tx: Tx, person: Person, purchase: Purchase, **answers: Any) -> None:
    """It has come."""
    must_be(purchase, "ordered")
    purchase.state = "delivered"
    add_event(tx, purchase, "purchase.event.delivered", person, note=_note(tx, purchase, answers))
    _went_on(tx, person, purchase, answers)
    tell_owner(tx, purchase, "purchase.delivered")


@action("purchase.install", Purchase, button=True, stays=True)
def install(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask for a photo and a word of how it stands there."""
    must_be(purchase, "delivered")
    start(tx, person, "install", about=about(purchase))


@action("purchase.installed", Purchase)
def installed(tx: Tx, person: Person, purchase: Purchase, **answers: Any) -> None:
    """It stands there: it is in the register from now on, and its proposer is asked whether it is as they wanted."""
    must_be(purchase, "delivered")
    again = happened(tx, purchase, "purchase.event.installed")
    purchase.state = "installed"
    add_event(tx, purchase, "purchase.event.installed", person, note=_note(tx, purchase, answers))
    if not again:
        made = equipment.put_up(
            tx,
            purchase.community_id,
            kind=masked(tx, purchase, purchase.what),
            building=purchase.building,
            spot=masked(tx, purchase, purchase.spot),
            count=purchase.count,
            since=tx.now.astimezone(ZoneInfo(tx.community(purchase.community_id).time_zone)).year,
        )
        purchase.equipment_id = made.id
    days = policy_of(tx, purchase.community_id).confirm_days
    until = tx.now + timedelta(days=days)
    set_timer(tx, purchase.community_id, f"purchase.silence:{purchase.id}", until)
    _went_on(tx, person, purchase, answers)
    tell_owner(tx, purchase, "purchase.installed", until=until)


def _note(tx: Tx, purchase: Purchase, answers: dict[str, Any]) -> str:
    return masked(tx, purchase, answers.get("note") or "")


def _went_on(tx: Tx, person: Person, purchase: Purchase, answers: dict[str, Any]) -> None:
    """The board, the admin group and, without a sound, every owner see how far it is."""
    end_about(tx, about(purchase))
    tx.session.add(purchase)
    tx.session.flush()
    photos = add_photos(tx, person, about(purchase), answers.get("photos"))
    staff_card(tx, purchase, anew=True)
    announce(tx, purchase, but=tx.session.get_one(Person, purchase.person_id), photos=photos)


# --- who asked for it -------------------------------------------------------------------------------


@action("purchase.confirm", Purchase, button=True)
def confirm(tx: Tx, person: Person, purchase: Purchase) -> None:
    """It is as they wanted: the end."""
    must_be(purchase, "installed")
    purchase.state = "done"
    stop_timer(tx, f"purchase.silence:{purchase.id}")
    end_about(tx, about(purchase))
    add_event(tx, purchase, "purchase.event.done", person)
    tell_owner(tx, purchase, "purchase.done")
    refresh(tx, purchase)


@action("purchase.problem", Purchase, button=True, stays=True)
def problem(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask what is wrong with it."""
    must_be(purchase, "installed")
    start(tx, person, "problem", about=about(purchase))


@action("purchase.reported", Purchase)
def reported(tx: Tx, person: Person, purchase: Purchase, what: str) -> None:
    """Something is wrong: staff have to see to it, and say again that it is installed."""
    must_be(purchase, "installed")
    purchase.state = "delivered"
    stop_timer(tx, f"purchase.silence:{purchase.id}")
    wrong = masked(tx, purchase, what)
    add_event(tx, purchase, "purchase.event.problem", person, what=wrong)
    tx.session.add(purchase)
    tx.session.flush()
    staff_card(tx, purchase, key="purchase.problem_staff", anew=True, wrong=what)
    board(tx, purchase)
    tell_owner(tx, purchase, "purchase.problem_told")


@action("purchase.silence", Purchase)
def silence(tx: Tx, person: None, purchase: Purchase) -> None:
    """Whoever asked for it has not said anything: it is taken as they wanted it."""
    if purchase.state != "installed":
        return
    purchase.state = "done"
    add_event(tx, purchase, "purchase.event.done_silent", None)
    tell_owner(tx, purchase, "purchase.done_silent")
    refresh(tx, purchase)


def show_waiting(tx: Tx, person: Person) -> None:
    """What was installed and waits for the word of whoever asked for it."""
    waits = select(Purchase).where(Purchase.person_id == person.id, Purchase.state == "installed")
    for purchase in tx.session.exec(waits.order_by(col(Purchase.id)).limit(5)).all():
        tell_owner(tx, purchase, "purchase.waits")
