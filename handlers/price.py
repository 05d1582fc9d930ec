"""What a repair costs is asked and agreed before it is done."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.money import yuan
from conversations.steps import Answers
from conversations.words import Say, texts
from conversations.work import PRICE
from handlers.actions import action
from handlers.pausing import settle_clock
from handlers.repair_cards import (
    IN_HAND,
    WORK,
    add_event,
    amount,
    events,
    may_cost,
    must_be,
    of_repair,
    refresh,
    show_card,
    staff_card,
    tell_owner,
)
from handlers.talk import Known, ask, know, open_talk, start
from handlers.tell import reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Outgoing, Person, Repair

AMOUNTS = (50, 100, 200)
ANSWER_WITHIN = timedelta(days=1)


def numbered(words: str) -> list[tuple[str, str]]:
    """Suggestions that stand in one text, separated by bars."""
    return [(str(number), each) for number, each in enumerate(words.split("|"), 1)]


def price_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What can be tapped: amounts, and what they are for."""
    reader = reader_of(tx, person)

    def amounts() -> list[tuple[str, str]]:
        return [(str(each), reader.say("money.yuan", amount=yuan(each * 100))) for each in AMOUNTS]

    def purposes() -> list[tuple[str, str]]:
        own = f"purpose.{answers.get('kind')}"
        return numbered(texts(reader.language)[own if own in texts("zh") else "purpose.other"])

    return {"amounts": amounts, "purposes": purposes}


know(Known(PRICE, price_facts, about=of_repair))


@action("repair.price", Repair, button=True, stays=True)
def price(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask the crew how much it is."""
    must_be(repair, *IN_HAND)
    _must_be_at_home(repair)
    ask_of_kind(tx, person, repair, PRICE.name)


def ask_of_kind(tx: Tx, person: Person, repair: Repair, script: str) -> None:
    """Ask something whose suggestions depend on the kind of repair; asked twice, it is the same question."""
    about = f"repair:{repair.id}"
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == (script, about):
        ask(tx, person, talk)
    else:
        start(tx, person, script, about=about, answers={"kind": repair.kind})


def _must_be_at_home(repair: Repair) -> None:
    if not may_cost(repair):
        raise Refused("refused.price_home", number=repair.number)


@action("repair.priced", Repair)
def priced(tx: Tx, person: Person, repair: Repair, amount: int, purpose: str | None = None) -> None:
    """The owner is asked; until they answer the clock stands. Asked again, the new question counts."""
    must_be(repair, *IN_HAND)
    _must_be_at_home(repair)
    repair.cost, repair.cost_for, repair.cost_state = amount, purpose or "", "asked"
    settle_clock(tx, repair)
    tx.session.flush()
    add_event(tx, repair, "event.price_asked", person)
    set_timer(tx, repair.community_id, f"repair.price_wait:{repair.id}", tx.now + ANSWER_WITHIN)
    tell_owner(tx, repair, "repair.price_asked", who=person.name, **_cost(repair))
    tell(tx, person, "work.price_sent", number=repair.number, **_cost(repair))
    refresh(tx, repair)


def _cost(repair: Repair) -> dict[str, Any]:
    purpose = Say("work.purpose_mark", purpose=repair.cost_for) if repair.cost_for else ""
    return {"amount": amount(repair), "purpose": purpose}


@action("repair.price_wait", Repair)
def wait(tx: Tx, person: None, repair: Repair) -> None:
    """No answer after a day: the owner is reminded once, and staff hear of it."""
    if repair.cost_state != "asked" or repair.state not in WORK:
        return
    tell_owner(tx, repair, "repair.price_remind", **_cost(repair))
    staff_card(tx, repair, key="work.price_waits_staff", anew=True)


@action("repair.agree", Repair, button=True)
def agree(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner agrees to pay it."""
    if _is_answer(tx, repair):
        repair.cost_state = "agreed"
        _answered(tx, repair)
        add_event(tx, repair, "event.price_agreed", person)
        tell_owner(tx, repair, "repair.price_agreed", **_cost(repair))
        _tell_crew(tx, repair, "work.price_agreed")


@action("repair.refuse", Repair, button=True)
def refuse(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner does not agree: nothing is repaired for money."""
    if _is_answer(tx, repair):
        repair.cost_state = "refused"
        _answered(tx, repair)
        add_event(tx, repair, "event.price_refused", person)
        tell_owner(tx, repair, "repair.price_refused", **_cost(repair))
        _tell_crew(tx, repair, "work.price_refused")


def _is_answer(tx: Tx, repair: Repair) -> bool:
    """Whether it answers the question that is open; the button of an earlier one shows the present question."""
    must_be(repair, *WORK)
    if repair.cost_state != "asked":
        raise Refused("refused.price_over", number=repair.number)
    if _was_another(tx, repair):
        tell_owner(tx, repair, "repair.price_changed", **_cost(repair))
        return False
    return True


def _was_another(tx: Tx, repair: Repair) -> bool:
    """Whether the button that was tapped stands below words that were written before the last question."""
    asked = [event.at for event in events(tx, repair) if event.key == "event.price_asked"]
    if tx.said is None or tx.place is None or not asked:
        return False
    if tx.said.at < asked[-1].replace(microsecond=0):  # written before the last question was asked
        return True
    if not tx.said.on:
        return False
    under = select(Outgoing.created_at).where(
        Outgoing.place_id == tx.place.id, Outgoing.message_id == tx.said.on
    )
    shown = tx.session.exec(under.order_by(col(Outgoing.id)).limit(1)).first()
    return shown is not None and shown < asked[-1]


def _answered(tx: Tx, repair: Repair) -> None:
    settle_clock(tx, repair)
    tx.session.flush()
    stop_timer(tx, f"repair.price_wait:{repair.id}")


def _tell_crew(tx: Tx, repair: Repair, key: str) -> None:
    """Whoever has it hears the answer at once; if nobody has, it stands on the admin group's card."""
    if repair.crew_id is not None:
        show_card(tx, repair, tx.session.get_one(Person, repair.crew_id), key=key, anew=True)
    refresh(tx, repair)


def take_back(tx: Tx, repair: Repair, person: Person) -> None:
    """It costs nothing after all."""
    repair.cost, repair.cost_for, repair.cost_state = None, "", ""
    _answered(tx, repair)
    add_event(tx, repair, "event.price_free", person)
    tell_owner(tx, repair, "repair.free")
