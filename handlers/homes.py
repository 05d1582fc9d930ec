"""Homes as staff see them: who belongs to one, who speaks for it, and what staff do for them."""

from typing import Any

from sqlmodel import select

from conversations.errors import Refused
from conversations.homes import EXPEL, FIND
from conversations.words import Say
from handlers.actions import action
from handlers.agents import agent_lines, named, revoke_all, revoke_buttons, standing
from handlers.codes import INVITED_HOURS, invitation_of
from handlers.joining import find_home
from handlers.people import accounts_of, homes_of, is_guest, ties_of
from handlers.phones import masked, phone_of
from handlers.repair_cards import address
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Home, HomeRole, Parking, Person

MOST_FOUND = 10

know(Known(FIND, no_facts))
know(Known(EXPEL, no_facts))


# --- finding ----------------------------------------------------------------------------------------


@action("home.find", button=True, stays=True)
def find(tx: Tx, person: Person) -> None:
    """Ask which home, or whose."""
    start(tx, person, "find")


@action("home.found")
def found(tx: Tx, person: Person, home: str) -> None:
    """Show the home of this address, or those of everybody of this name."""
    there = find_home(tx, person.community_id, home)
    homes = (
        [there]
        if there
        else [each for who in named(tx, person.community_id, home) for each in homes_of(tx, who)]
    )
    if len(homes) == 1:
        show_home(tx, person, homes[0])
        return
    reader = reader_of(tx, here(tx, person))
    unique = {each.id: each for each in homes[:MOST_FOUND]}
    tell(
        tx,
        here(tx, person),
        "home.which" if homes else "home.none",
        said=home,
        buttons=[
            *(
                Button(f"home.show:{each.id}", label=reader.show(address(each))[:40])
                for each in unique.values()
            ),
            "home.find",
        ],
    )


# --- the card of a home -----------------------------------------------------------------------------


@action("home.show", Home, button=True, stays=True)
def show_home(tx: Tx, person: Person, home: Home) -> None:
    """One home: its area and state, its people, its parking; each person can be looked at."""
    ties = ties_of(tx, home)
    spaces = tx.session.exec(
        select(Parking.number).where(Parking.home_id == home.id).order_by(Parking.number)
    )
    tell(
        tx,
        here(tx, person),
        "home.card",
        home=address(home),
        area=f"{home.area // 1000}.{home.area % 1000:03}".rstrip("0").rstrip("."),
        status=Say(f"home.status.{home.status}"),
        people=[_line(each, tie) for each, tie in ties] or Say("where.nobody"),
        parking=list(spaces) or Say("talk.none"),
        buttons=[
            *(Button(f"tie.show:{tie.id}", label=(each.name or "—")[:30]) for each, tie in ties[:20]),
            "home.find",
        ],
    )


def _line(person: Person, tie: HomeRole) -> Say:
    return Say(
        "home.person",
        name=person.name or Say("person.forgotten"),
        role=Say(f"role.{tie.role}"),
        share=f" {tie.share}" if tie.share else "",
        represents=Say("home.represents") if tie.represents else "",
    )


# --- the card of a person in a home -----------------------------------------------------------------


@action("tie.show", HomeRole, button=True, stays=True)
def show_tie(tx: Tx, person: Person, tie: HomeRole) -> None:
    """One person of a home, and what staff can do for them."""
    who, home = tx.session.get_one(Person, tie.person_id), tx.session.get_one(Home, tie.home_id)
    phone = masked(phone_of(tx, who))
    owner = tie.role == "owner"
    tell(
        tx,
        here(tx, person),
        "home.person_card",
        line=_line(who, tie),
        home=address(home),
        phone=phone or Say("talk.none"),
        accounts=[each.messenger for each in accounts_of(tx, who)] or Say("home.not_in"),
        agents=agent_lines(tx, who) or Say("talk.none"),
        buttons=[
            f"repair.for:{tie.id}",
            f"tie.invite:{tie.id}",
            *([f"tie.represent:{tie.id}", f"agent.new:{tie.id}"] if owner else []),
            f"tie.remove:{tie.id}",
            *revoke_buttons(tx, standing(tx, who)),
        ],
    )


@action("tie.invite", HomeRole, button=True, stays=True)
def invite(tx: Tx, person: Person, tie: HomeRole) -> None:
    """A new code for one person of a home, which staff pass on."""
    tell_code(tx, person, tx.session.get_one(Person, tie.person_id))


def tell_code(tx: Tx, person: Person, who: Person) -> None:
    """Give staff a code that brings somebody in; it is sealed in the row of the message."""
    code = invitation_of(tx, who)
    link = tx.house.link(code) if tx.house.link is not None else ""
    tell(
        tx,
        here(tx, person),
        "home.invited",
        name=who.name,
        code=tx.house.vault.hide(code),
        link=Say("home.invited_link_mark", link=tx.house.vault.hide(link)) if link else "",
        days=INVITED_HOURS // 24,
    )


@action("tie.represent", HomeRole, button=True)
def represent(tx: Tx, person: Person, tie: HomeRole) -> None:
    """This owner speaks for all owners of the home, or no longer does."""
    if tie.role != "owner":
        raise Refused("home.only_owner")
    chosen = not tie.represents
    for each in tx.session.exec(select(HomeRole).where(HomeRole.home_id == tie.home_id)).all():
        each.represents = chosen and each.id == tie.id
        tx.session.add(each)
    tx.session.flush()
    home = tx.session.get_one(Home, tie.home_id)
    for owner, owned in ties_of(tx, home):
        if owned.role == "owner":
            key = "home.represented" if chosen else "home.unrepresented"
            who = tx.session.get_one(Person, tie.person_id)
            tell(tx, owner, key, who=who.name, home=address(home))
    show_tie(tx, person, tie)


@action("tie.remove", HomeRole, button=True, stays=True)
def remove(tx: Tx, person: Person, tie: HomeRole) -> None:
    """Ask whether somebody really belongs to the home no more."""
    start(tx, person, "expel", about=f"home_role:{tie.id}")


@action("tie.removed", HomeRole)
def removed(tx: Tx, person: Person, tie: HomeRole, **answers: Any) -> None:
    """Somebody belongs to the home no more: their rights end now."""
    who, home = tx.session.get_one(Person, tie.person_id), tx.session.get_one(Home, tie.home_id)
    revoke_all(tx, who, home)
    tx.session.delete(tie)
    tx.session.flush()
    tx.known.clear()
    if is_guest(tx, who):
        who.left_at = tx.now
        tx.session.add(who)
    tell(tx, who, "home.you_left", home=address(home))
    tell(
        tx, here(tx, person), "home.left", name=who.name, home=address(home), buttons=[f"home.show:{home.id}"]
    )
