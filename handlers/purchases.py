"""Requests for equipment: made by an owner, supported by others, decided by a vote; what they all may look at."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from sqlmodel import case, col, func, select

from conversations.errors import NotNow, Refused
from conversations.purchase import PURCHASE, WHOLE
from conversations.steps import Answers
from conversations.words import Reader, Say
from handlers import equipment
from handlers.actions import action, perform
from handlers.calendar import working_deadline
from handlers.matters import add_photos, events_of, timeline
from handlers.notices import publish, take_back
from handlers.numbers import next_number
from handlers.overdue import refresh_list
from handlers.people import buildings_of, homes_of, owns
from handlers.policy import policy_of
from handlers.purchase_cards import (
    DECIDES,
    OPEN,
    SUPPORTED,
    about,
    add_event,
    board,
    buttons_for,
    happened,
    is_supporter,
    masked,
    needed,
    photos_of,
    private,
    public,
    refresh,
    seen,
    staff_buttons,
    staff_card,
    support_button,
    supporters,
    tell_owner,
    to_proposer,
    where,
)
from handlers.repair_cards import BRIEF
from handlers.talk import Known, end, end_about, know, start
from handlers.tell import Button, reader_of, tell
from handlers.timers import set_due, set_timer, stop_due
from handlers.tx import Tx
from moderation.likeness import alike
from store.tables import Person, Purchase, Supporter, Talk, Vote

SAME_FOR = timedelta(days=90)
"""How long a request that was turned down is shown to who asks for the same."""
KINDS = 6
SIMILAR = 5
AGAIN = timedelta(days=1)


# --- the request ------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions need to know: kinds of the register, buildings (one's own first), requests of the same."""
    reader = tx.reader(person.community_id, person.language)

    def kinds() -> list[tuple[str, str]]:
        found = dict.fromkeys(kind[:100] for kind in equipment.kinds(tx, person.community_id))
        return [(str(place), kind) for place, kind in enumerate(list(found)[:KINDS], 1)]

    def similar() -> list[tuple[str, str]]:
        building = _building(answers)
        found = like_these(tx, person.community_id, answers.get("what", ""), building)
        return [(str(each.id), _similar_line(tx, reader, each, person)) for each in found[:SIMILAR]]

    return {"kinds": kinds, "buildings": lambda: building_choices(tx, person, reader), "similar": similar}


def building_choices(tx: Tx, person: Person, reader: Reader) -> list[tuple[str, str]]:
    """The buildings, one's own first, and the whole community."""
    own = [home.building for home in homes_of(tx, person)]
    names = sorted(buildings_of(tx, person.community_id), key=lambda name: name not in own)
    shown = [(name, reader.say("where.building", building=name)) for name in names]
    return [*shown, (WHOLE, reader.say("purchase.whole"))]


def _building(answers: Answers) -> str:
    """The building that was chosen; empty: the whole community."""
    chosen = str(answers.get("building") or "")
    return "" if chosen == WHOLE else chosen


def _can_be_supported(purchase: Purchase, person: Person) -> bool:
    return purchase.state in SUPPORTED and purchase.person_id != person.id


def _similar_line(tx: Tx, reader: Reader, purchase: Purchase, person: Person) -> str:
    facts = {
        "number": purchase.number,
        "what": brief(tx, purchase),
        "count": purchase.count,
        "where": where(tx, purchase),
        "state": Say(f"purchase.state.{purchase.state}"),
    }
    return reader.say(
        "purchase.like.support" if _can_be_supported(purchase, person) else "purchase.like.look", **facts
    )


def brief(tx: Tx, purchase: Purchase) -> str:
    """What is asked for, in one line of a list."""
    what = " ".join(masked(tx, purchase, purchase.what).split())
    return what if len(what) <= BRIEF else f"{what[: BRIEF - 1]}…"


def like_these(tx: Tx, community_id: int, what: str, building: str) -> list[Purchase]:
    """Requests of the same thing for the same building or for all: the open ones, and what was turned down lately."""
    states = col(Purchase.state).in_([*OPEN, "declined", "rejected"])
    rows = select(Purchase).where(Purchase.community_id == community_id, states)
    found = tx.session.exec(rows.order_by(col(Purchase.id).desc())).all()
    near = [each for each in found if not building or each.building in ("", building)]
    return [each for each in near if alike(each.what, what) and _is_of_now(tx, each)]


def _is_of_now(tx: Tx, purchase: Purchase) -> bool:
    return purchase.state in OPEN or events_of(tx, about(purchase))[-1].at > tx.now - SAME_FOR


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Whoever finds that it was asked for already supports that, and is done."""
    chosen = talk.answers.get("similar", "none") if "similar" in changed else "none"
    if chosen == "none":
        return False
    purchase = tx.session.get_one(Purchase, int(chosen))
    end(tx, talk)
    act = "support" if _can_be_supported(purchase, person) else "show"
    perform(tx, person, f"purchase.{act}:{purchase.id}")
    return True


know(Known(PURCHASE, facts_for, heard))


@action("purchase.start", button=True, stays=True)
def begin(tx: Tx, person: Person) -> None:
    """Open the form, or go on with one that is half filled in: in one's own chat, as an owner."""
    if tx.place is None or tx.place.kind != "private":
        raise Refused("purchase.in_private")
    if not owns(tx, person):
        raise Refused("purchase.owners_ask")
    _not_too_many(tx, person)
    start(tx, person, "purchase")


def _not_too_many(tx: Tx, person: Person) -> None:
    theirs = select(func.count()).where(Purchase.person_id == person.id, col(Purchase.state).in_(DECIDES))
    most = policy_of(tx, person.community_id).open_requests
    if tx.session.exec(theirs).one() >= most:
        raise NotNow("purchase.too_many", most=most)


@action("purchase.submit")
def submit(tx: Tx, person: Person, **answers: Any) -> None:
    """Register and publish it; then owners co-sign, if the community wants that, and staff review it."""
    _not_too_many(tx, person)
    cosigners = policy_of(tx, person.community_id).cosigners
    purchase = Purchase(
        community_id=person.community_id,
        number=next_number(tx, person.community_id, "purchase"),
        person_id=person.id,
        what=answers["what"],
        building=_building(answers),
        spot=answers.get("spot") or "",
        why=answers["why"],
        count=answers["count"],
        cost=answers.get("cost"),
        state="signing" if cosigners else "review",
        created_at=tx.now,
    )
    tx.session.add(purchase)
    tx.session.flush()
    add_photos(tx, person, about(purchase), answers.get("photos"))
    add_event(tx, purchase, "purchase.event.made", person)
    if cosigners:
        after = Say("purchase.next_signing", needed=cosigners)
    else:
        _to_staff(tx, purchase)
        after = Say("purchase.next_review", due=purchase.due_at)
    announce(tx, purchase, but=person)
    tell_owner(
        tx, purchase, "purchase.submitted", after=after, count=purchase.count, where=where(tx, purchase)
    )


def announce(tx: Tx, purchase: Purchase, *, but: Person | None = None, photos: Sequence[int] = ()) -> None:
    """Put its present state on the board and, without a sound, into every owner's own chat."""
    publish(
        tx,
        purchase.community_id,
        "purchase.board",
        about=about(purchase),
        photos=photos or photos_of(tx, purchase),
        but=but,
        buttons=[*support_button(purchase), Button(f"purchase.show:{purchase.id}", number=purchase.number)],
        wish="purchase",
        **public(tx, purchase),
    )


# --- the clock of the staff -------------------------------------------------------------------------


def to_review(tx: Tx, purchase: Purchase) -> None:
    """It is the staff's turn: they are shown it, and a new clock runs."""
    purchase.state = "review"
    _to_staff(tx, purchase)
    board(tx, purchase)


def _to_staff(tx: Tx, purchase: Purchase) -> None:
    run_clock(tx, purchase)
    staff_card(tx, purchase, anew=True)


def run_clock(tx: Tx, purchase: Purchase) -> None:
    """Give staff as many working days as a review takes; they are reminded a day before, and then daily."""
    stop_clocks(tx, purchase)
    days = policy_of(tx, purchase.community_id).review_days
    purchase.due_at = working_deadline(tx, purchase.community_id, days)
    tx.session.add(purchase)
    tx.session.flush()
    set_due(tx, purchase.community_id, about(purchase), purchase.due_at, purchase.due_at - AGAIN)


def stop_clocks(tx: Tx, purchase: Purchase) -> None:
    """Nobody has to do anything until then any more."""
    late, purchase.due_at = purchase.due_at is not None and purchase.due_at <= tx.now, None
    stop_due(tx, about(purchase), "silence")
    if late:
        tx.session.add(purchase)
        tx.session.flush()
        refresh_list(tx, purchase.community_id)


def _waits_for_staff(purchase: Purchase) -> bool:
    return purchase.state in ("review", "approved") and purchase.due_at is not None


@action("purchase.remind", Purchase)
def remind(tx: Tx, person: None, purchase: Purchase) -> None:
    """A day is left."""
    if _waits_for_staff(purchase):
        staff_card(tx, purchase, key="purchase.remind_staff", anew=True)


@action("purchase.overdue", Purchase)
def overdue(tx: Tx, person: None, purchase: Purchase) -> None:
    """The deadline has passed: staff are told daily; the board and the proposer hear of it once."""
    if not _waits_for_staff(purchase) or purchase.due_at is None:
        return
    staff_card(tx, purchase, key="purchase.overdue_staff", anew=True)
    late = "purchase.event.not_reviewed" if purchase.state == "review" else "purchase.event.not_ordered"
    told = [e for e in events_of(tx, about(purchase)) if e.key == late and e.at >= purchase.due_at]
    if not told:
        if purchase.state == "review":
            add_event(tx, purchase, "purchase.event.not_reviewed", None)
        else:
            add_event(tx, purchase, "purchase.event.not_ordered", None)
        tell_owner(tx, purchase, "purchase.late")
        board(tx, purchase)
        refresh_list(tx, purchase.community_id)
    set_timer(tx, purchase.community_id, f"purchase.overdue:{purchase.id}", tx.now + AGAIN)


# --- supporters -------------------------------------------------------------------------------------


@action("purchase.support", Purchase, button=True)
def support(tx: Tx, person: Person, purchase: Purchase) -> None:
    """An owner wants it, too; enough of them bring it to the staff, and back to them."""
    if not owns(tx, person):
        raise Refused("purchase.owners_support")
    if purchase.person_id == person.id:
        raise Refused("purchase.own", number=purchase.number, count=supporters(tx, purchase))
    must_be(purchase, *SUPPORTED)
    if not is_supporter(tx, purchase, person):
        row = {"community_id": person.community_id, "purchase_id": purchase.id, "person_id": person.id}
        tx.session.add(Supporter.model_validate({**row, "at": tx.now}))
        tx.session.flush()
        _supported(tx, purchase)
    count, enough = supporters(tx, purchase), needed(tx, purchase)
    tell(
        tx,
        person,
        "purchase.supported",
        number=purchase.number,
        what=purchase.what,
        count=count,
        missing=Say("purchase.missing_mark", missing=enough - count) if enough > count else "",
        buttons=[Button(f"purchase.show:{purchase.id}", number=purchase.number)],
        last=seen(purchase),
    )


def _supported(tx: Tx, purchase: Purchase) -> None:
    """What one more signature brings about; the proposer and the board hear of each quarter, not of each one."""
    count, enough = supporters(tx, purchase), needed(tx, purchase)
    if enough and count >= enough and _brought_on(tx, purchase):
        return
    quarters = [ceil(enough * part / 4) for part in (1, 2, 3, 4)] if enough else []
    if count in quarters:
        key = "purchase.enough_to_insist" if count >= enough else "purchase.quarter"
        tell_owner(tx, purchase, key, count=count, needed=enough)
    if count in quarters or (not enough and (count in (1, 5) or count % 10 == 0)):
        refresh(tx, purchase)


def _brought_on(tx: Tx, purchase: Purchase) -> bool:
    """Enough have signed: it goes to the staff, or back to them; False if its proposer has not asked for that yet."""
    if purchase.state == "declined" and not happened(tx, purchase, "purchase.event.collects"):
        return False
    count = supporters(tx, purchase)
    if purchase.state == "declined":
        purchase.insisted = True
        add_event(tx, purchase, "purchase.event.insisted", None, count=count)
    else:
        add_event(tx, purchase, "purchase.event.signed", None, count=count)
    to_review(tx, purchase)
    tell_owner(
        tx,
        purchase,
        "purchase.back" if purchase.insisted else "purchase.signed",
        count=count,
        due=purchase.due_at,
    )
    return True


@action("purchase.insist", Purchase, button=True)
def insist(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Its proposer asks the owners to bring it back; who has supported it before counts, too."""
    must_be(purchase, "declined")
    if not happened(tx, purchase, "purchase.event.collects"):
        add_event(tx, purchase, "purchase.event.collects", person)
        if supporters(tx, purchase) < needed(tx, purchase):
            announce(tx, purchase, but=person)
    count, enough = supporters(tx, purchase), needed(tx, purchase)
    if count < enough or not _brought_on(tx, purchase):
        tell_owner(tx, purchase, "purchase.collects", count=count, needed=enough)


@action("purchase.withdraw", Purchase, button=True, grave=True)
def withdraw(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Its proposer wants it no more."""
    must_be(purchase, "signing", "review")
    purchase.state = "withdrawn"
    stop_clocks(tx, purchase)
    end_about(tx, about(purchase))
    add_event(tx, purchase, "purchase.event.withdrawn", person)
    tell_owner(tx, purchase, "purchase.withdrawn")
    take_back(tx, purchase.community_id, about(purchase))
    refresh(tx, purchase)


def must_be(purchase: Purchase, *states: str) -> None:
    """Refuse what its state does not allow."""
    if purchase.state not in states:
        raise Refused("purchase.over", number=purchase.number, state=Say(f"purchase.state.{purchase.state}"))


# --- looking ----------------------------------------------------------------------------------------


@action("purchase.show", Purchase, button=True, stays=True)
def show(tx: Tx, person: Person, purchase: Purchase) -> None:
    """One request with its timeline, and what whoever looks can do with it."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    to = tx.place if in_group and tx.place is not None else person
    last = to_proposer(purchase) if purchase.person_id == person.id else seen(purchase)
    tell(
        tx,
        to,
        "purchase.show",
        begun=Say("purchase.card_staff", **private(tx, purchase))
        if in_group
        else Say("purchase.board", **public(tx, purchase)),
        timeline="\n".join(timeline(tx, about(purchase), reader_of(tx, to))),
        photos=photos_of(tx, purchase),
        buttons=staff_buttons(purchase)[:-1] if in_group else buttons_for(tx, purchase, person),
        last=about(purchase) if in_group else last,
    )


@action("purchases", button=True, stays=True)
def open_list(tx: Tx, person: Person) -> None:
    """The open requests of the community with their states, one's own first."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    to = tx.place if in_group and tx.place is not None else person
    reader = reader_of(tx, to)
    found = _open_requests(tx, person)
    lines = [
        reader.say(
            "purchase.line_own" if each.person_id == person.id and not in_group else "purchase.line",
            number=each.number,
            what=brief(tx, each),
            count=each.count,
            where=where(tx, each),
            state=Say(f"purchase.state.{each.state}"),
        )
        for each in found
    ]
    ask = [] if in_group or not owns(tx, person) else [Button("purchase.start")]
    shown = [Button(f"purchase.show:{each.id}", number=each.number) for each in found[:10]]
    tell(
        tx,
        to,
        "purchase.list" if lines else "purchase.list_none",
        list="\n".join(lines),
        buttons=[*shown, *ask],
    )


def _open_requests(tx: Tx, person: Person) -> Sequence[Purchase]:
    rows = select(Purchase).where(Purchase.community_id == person.community_id, col(Purchase.state).in_(OPEN))
    own_first = case((col(Purchase.person_id) == person.id, 0), else_=1)
    return tx.session.exec(rows.order_by(own_first, col(Purchase.id).desc()).limit(20)).all()


# --- what a vote decides ----------------------------------------------------------------------------


def counted(tx: Tx, purchase: Purchase, vote: Vote) -> None:
    """The result of its vote was published, and can be objected to."""
    if purchase.state != "voting":
        return
    purchase.state = "objecting"
    add_event(tx, purchase, "purchase.event.counted", None, vote=vote.number)
    refresh(tx, purchase)


def finally_decided(tx: Tx, purchase: Purchase, vote: Vote, *, passed: bool) -> None:
    """The result stands: it is bought, or it is not."""
    if purchase.state not in ("voting", "objecting"):
        return
    purchase.state = "approved" if passed else "rejected"
    if passed:
        add_event(tx, purchase, "purchase.event.approved", None, vote=vote.number)
        run_clock(tx, purchase)
        tell_owner(tx, purchase, "purchase.approved", due=purchase.due_at)
    else:
        add_event(tx, purchase, "purchase.event.rejected", None, vote=vote.number)
        tell_owner(tx, purchase, "purchase.rejected")
    refresh(tx, purchase, anew=passed)


def annulled(tx: Tx, purchase: Purchase, vote: Vote) -> None:
    """An objection was upheld: what was decided does not hold, and staff review it once more."""
    if purchase.state in ("withdrawn", "review", "signing", "declined"):
        return
    add_event(tx, purchase, "purchase.event.annulled", None, vote=vote.number)
    to_review(tx, purchase)
    tell_owner(tx, purchase, "purchase.annulled", due=purchase.due_at)
