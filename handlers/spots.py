"""Spots: places with a QR code on the wall. Staff keep them; whoever scans one need not say where they are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.said import Said
from conversations.spots import NOWHERE, RESPOT, SPOT
from conversations.steps import Answers
from conversations.words import LANGUAGES, Say, normal
from handlers.actions import action, perform
from handlers.codes import TypedSpot, new_spot_code
from handlers.equipment import tidy
from handlers.numbers import next_number
from handlers.people import buildings_of, communities_of, is_resident, numbers_as_numbers, speak_as
from handlers.repair import answers_elsewhere
from handlers.repair_cards import common, office
from handlers.talk import Known, ask, end_about, here, know, open_talk, start, take
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Account, Outgoing, Person, Place, Spot, Talk

MOST_BUTTONS = 20
NOTED_LASTS = timedelta(minutes=30)
NOTED = "at:"
"""The card of what somebody who is not in is told of a spot: it says where they are when they cry for help."""


# --- what a spot is ---------------------------------------------------------------------------------


def spots_of(tx: Tx, community_id: int, *, retired: bool = False) -> list[Spot]:
    """The community's spots, from the first building to the last; those without one come first."""
    found = select(Spot).where(Spot.community_id == community_id)
    if not retired:
        found = found.where(col(Spot.retired_at).is_(None))
    return sorted(
        tx.session.exec(found.order_by(col(Spot.number))).all(),
        key=lambda each: (
            each.retired_at is not None,
            each.building != "",
            numbers_as_numbers(each.building),
        ),
    )


def whereabouts(spot: Spot) -> Say | str:
    """Where it is, in words."""
    place = common(spot.place, spot.building)
    return Say("where.spot", place=place, spot=spot.spot) if place else spot.spot


def add_spot(tx: Tx, community_id: int, *, place: str, building: str, words: str) -> tuple[Spot, bool]:
    """A new spot with its number and code, and True; or the one that stands there already, and False."""
    words = tidy(words)
    known = _same(tx, community_id, place, building, words)
    if known is not None:
        return known, False
    spot = Spot(
        community_id=community_id,
        number=next_number(tx, community_id, "spot"),
        code=new_spot_code(tx),
        place=place,
        building=building,
        spot=words,
        created_at=tx.now,
    )
    tx.session.add(spot)
    tx.session.flush()
    return spot, True


def _same(tx: Tx, community_id: int, place: str, building: str, words: str) -> Spot | None:
    wanted = (place, building, normal(words))
    known = spots_of(tx, community_id)
    return next((each for each in known if (each.place, each.building, normal(each.spot)) == wanted), None)


def _must_stand(spot: Spot) -> None:
    if spot.retired_at is not None:
        raise Refused("spot.retired", code=spot.code)


# --- staff keep them --------------------------------------------------------------------------------


@action("spots", button=True, stays=True)
def show_spots(tx: Tx, person: Person) -> None:
    """All spots, with what staff can do."""
    found = spots_of(tx, person.community_id, retired=True)
    reader = reader_of(tx, here(tx, person))
    lines = [
        reader.say(
            "spot.line",
            number=each.number,
            where=whereabouts(each),
            code=each.code,
            retired=Say("spot.retired_mark") if each.retired_at else "",
        )
        for each in found
    ]
    shown = [Button(f"spot.show:{each.id}", number=each.number) for each in found[:MOST_BUTTONS]]
    tell(
        tx,
        here(tx, person),
        "spot.list" if lines else "spot.none",
        list="\n".join(lines),
        buttons=["spot.add", *shown],
    )


@action("spot.show", Spot, button=True, stays=True)
def show(tx: Tx, person: Person, spot: Spot) -> None:
    """One spot: its code, its link, and what staff can do with it."""
    _show(tx, person, spot)


def _show(tx: Tx, person: Person, spot: Spot, *, lead: Say | str = "") -> None:
    names = ("restore",) if spot.retired_at else ("change", "retire")
    tell(
        tx,
        here(tx, person),
        "spot.card_retired" if spot.retired_at else "spot.card",
        lead=reader_of(tx, here(tx, person)).show(lead),
        number=spot.number,
        where=whereabouts(spot),
        code=spot.code,
        ways=_ways(tx, spot),
        buttons=[Button(f"spot.{name}:{spot.id}", number=spot.number) for name in names],
        last=f"spot:{spot.id}",
    )


def _ways(tx: Tx, spot: Spot) -> Say:
    """Where the code leads: a link of its own, the account on WeChat, or nowhere yet."""
    if tx.house.link is not None:
        return Say("spot.way_link", link=tx.house.link(spot.code))
    return Say("spot.way_follow") if tx.house.follow else Say("spot.no_way")


def _facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    reader = reader_of(tx, here(tx, person))

    def buildings() -> list[tuple[str, str]]:
        ours = buildings_of(tx, person.community_id)
        return [(NOWHERE, reader.say("spot.no_building"))] + [
            (name, reader.say("where.building", building=name)) for name in ours
        ]

    return {"buildings": buildings}


def _which(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which spot a change is about, for its words."""
    spot = tx.session.get(Spot, int(talk.about.partition(":")[2] or 0))
    return {"number": spot.number if spot is not None else ""}


know(Known(SPOT, _facts))
know(Known(RESPOT, _facts, about=_which))


@action("spot.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask where it is."""
    start(tx, person, "spot")


@action("spot.added")
def added(tx: Tx, person: Person, **answers: Any) -> None:
    """A new spot; one that has its code already is shown instead."""
    spot, is_new = add_spot(tx, person.community_id, **_told(answers))
    _show(tx, person, spot, lead=Say("spot.added" if is_new else "spot.already"))


def _told(answers: Answers) -> dict[str, Any]:
    building = "" if answers["building"] == NOWHERE else answers["building"]
    return {"place": answers["place"], "building": building, "words": tidy(answers["words"])}


@action("spot.change", Spot, button=True, stays=True)
def change(tx: Tx, person: Person, spot: Spot) -> None:
    """Ask what has changed: the sticker was moved, or its words mislead. The code stays the same."""
    _must_stand(spot)
    present = {"building": spot.building or NOWHERE, "place": spot.place, "words": spot.spot}
    start(tx, person, "respot", about=f"spot:{spot.id}", answers=present)


@action("spot.changed", Spot)
def changed(tx: Tx, person: Person, spot: Spot, **answers: Any) -> None:
    """The spot is where staff say now; never the same as another one."""
    _must_stand(spot)
    told = _told(answers)
    other = _same(tx, spot.community_id, **told)
    if other is not None and other.id != spot.id:
        _show(tx, person, other, lead=Say("spot.already"))
        return
    spot.place, spot.building, spot.spot = told["place"], told["building"], told["words"]
    tx.session.add(spot)
    tx.session.flush()
    _show(tx, person, spot, lead=Say("spot.changed"))


@action("spot.retire", Spot, button=True, grave=True)
def retire(tx: Tx, person: Person, spot: Spot) -> None:
    """Its sticker is gone: whoever still scans the code hears so."""
    _must_stand(spot)
    spot.retired_at = tx.now
    tx.session.add(spot)
    end_about(tx, f"spot:{spot.id}")
    _show(tx, person, spot)


@action("spot.restore", Spot, button=True)
def restore(tx: Tx, person: Person, spot: Spot) -> None:
    """It hangs there after all; but not beside another of the same words."""
    other = _same(tx, spot.community_id, spot.place, spot.building, spot.spot)
    if other is not None and other.id != spot.id:
        _show(tx, person, other, lead=Say("spot.already"))
        return
    spot.retired_at = None
    tx.session.add(spot)
    _show(tx, person, spot)


# --- somebody scans one -----------------------------------------------------------------------------


def find(tx: Tx, typed: TypedSpot) -> Spot | None:
    """The spot of a code, retired or not."""
    return tx.session.exec(select(Spot).where(Spot.code == typed.code)).first()


def in_group(tx: Tx, person: Person, spot: Spot) -> None:
    """Staff typed a code: it answers where, if they speak for an owner who reads it out, or else is shown."""
    assert tx.place is not None
    talk = open_talk(tx, person, tx.place)
    name = "report" if talk is not None and talk.script == "walk_in" else "show"
    perform(tx, person, f"spot.{name}:{spot.id}")


def scanned(tx: Tx, person: Person, spot: Spot) -> None:
    """Somebody who is in stands at the spot: their report has its place; what else they were at is not dropped."""
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if not is_resident(tx, person):
        tell(tx, person, "spot.at_work", where=whereabouts(spot))
    elif talk is not None and talk.script not in ("repair", "emergency"):
        tell(
            tx,
            person,
            "spot.busy",
            where=whereabouts(spot),
            buttons=[f"spot.report:{spot.id}"],
            last=f"spot:{spot.id}",
        )
    else:
        perform(tx, person, f"spot.report:{spot.id}")
        return
    if talk is not None:
        ask(tx, person, talk, lead="talk.where_we_were")


@action("spot.report", Spot, button=True, stays=True)
def report(tx: Tx, person: Person, spot: Spot) -> None:
    """A report from this spot: it answers where, in the form or the emergency that is open, or begins a form."""
    _must_stand(spot)
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and talk.script == "emergency":
        _emergency_at(tx, person, talk, spot)
    elif talk is not None and talk.script in ("repair", "walk_in"):
        began = talk.script == "repair" and not talk.answers.get("what")
        take(tx, person, talk, _with(talk.answers, spot, scanned=began), "spot.here", where=_named(tx, spot))
    elif tx.place is not None and tx.place.kind == "staff":
        _show(tx, person, spot)
    else:
        known = _with({}, spot, scanned=True)
        start(tx, person, "repair", answers=known, lead="spot.here", where=_named(tx, spot))


def _with(answers: Answers, spot: Spot, *, scanned: bool = False) -> Answers:
    """The answers of a form whose place is the spot."""
    at = {"place": spot.place, "building": spot.building}
    kept = {name: answer for name, answer in answers.items() if name not in ("building", "same", "sure")}
    known: Answers = {"place": spot.place, "spot": spot.spot, "at": at}
    if spot.building:
        known["building"] = spot.building
    if scanned:
        known["scanned"] = True
    if "for" not in answers:  # the wall says of which community it is
        known["community"] = str(spot.community_id)
    return {**kept, **known}


def _named(tx: Tx, spot: Spot) -> Say | str:
    """Where it is, for somebody of several communities with its name."""
    where = whereabouts(spot)
    if len(communities_of(tx)) < 2:
        return where
    return Say("spot.of_community", community=tx.community(spot.community_id).name, where=where)


def _emergency_at(tx: Tx, person: Person, talk: Talk, spot: Spot) -> None:
    """Where the crew should go; but whoever has left a danger and scans the next wall does not move it there."""
    told = talk.answers
    elsewhere = any(
        told.get(name) and told[name] != now
        for name, now in (("place", spot.place), ("building", spot.building))
    )
    if elsewhere:
        note = tx.reader(spot.community_id).say("spot.note", where=whereabouts(spot))
        perform(tx, person, f"repair.add{talk.about.removeprefix('repair')}", photos=None, note=note)
        ask(tx, person, talk)
        return
    words = [each for each in (told.get("spot"), spot.spot) if each]
    answers = {**_with(told, spot), "spot": "；".join(dict.fromkeys(words))}
    take(tx, person, talk, answers, "spot.here_told", where=_named(tx, spot))


def go_there(tx: Tx, person: Person, account: Account) -> Person:
    """Somebody scans a wall of another of their communities: there they speak now; a half-filled report goes along."""
    talk = tx.talk
    if talk is not None and talk.script == "repair" and account.agreed_at is not None:
        said = ("what", "danger", "photos")
        kept: Answers = {name: talk.answers[name] for name in said if name in talk.answers}
        talk.answers = {**kept, "community": str(account.community_id)}
        answers_elsewhere(tx, person, talk)
        return tx.session.get_one(Person, account.person_id)
    return speak_as(tx, account)


# --- somebody who is not in -------------------------------------------------------------------------


def note(tx: Tx, said: Said, place: Place, person: Person | None, spot: Spot) -> None:
    """Tell somebody who is not in that the spot was understood; it goes along with a cry for help."""
    tell(
        tx,
        person or place,
        "spot.noted",
        last=f"{NOTED}{spot.id}",
        reads=said.language if person is None and said.language in LANGUAGES else "",
        community=tx.community(spot.community_id).name,
        where=whereabouts(spot),
        phone=office(tx, spot.community_id),
    )


def noted(tx: Tx, place: Place) -> Spot | None:
    """The spot that somebody who is not in scanned last, a short while ago."""
    told = (
        select(Outgoing.card)
        .where(
            Outgoing.place_id == place.id,
            col(Outgoing.card).startswith(NOTED),
            Outgoing.created_at > tx.now - NOTED_LASTS,
        )
        .order_by(col(Outgoing.id).desc())
        .limit(1)
    )
    card = tx.session.exec(told).first()
    return tx.session.get(Spot, int(card.removeprefix(NOTED))) if card else None
