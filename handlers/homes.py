"""Homes as staff see them: who belongs to one, who speaks for it, and what staff do for them."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.homes import EXPEL, FIND
from conversations.words import Say
from handlers.actions import action
from handlers.addresses import homes_at, named, one_named
from handlers.agents import agent_lines, of_whom, revoke_all, revoke_buttons, standing, tell_revoked
from handlers.codes import INVITED_HOURS, invitation_of
from handlers.leaving import lost_a_tie
from handlers.people import accounts_of, homes_of, ties_of
from handlers.phones import masked, normal_phone, phone_of
from handlers.repair_cards import address, office
from handlers.talk import Known, end_about, end_all, here, know, no_facts, start
from handlers.tell import Button, distinct, reader_of, tell
from handlers.tx import Tx
from store.tables import Home, HomeRole, Parking, Person, Role

MOST_FOUND = 10
MOST_PEOPLE = 80
LONGEST_LABEL = 40

know(Known(FIND, no_facts))
know(Known(EXPEL, no_facts, about=of_whom))


# --- finding ----------------------------------------------------------------------------------------


@action("home.find", button=True, stays=True)
def find(tx: Tx, person: Person) -> None:
    """Ask which home, or whose."""
    start(tx, person, "find")


@action("home.found")
def found(tx: Tx, person: Person, home: str) -> None:
    """Show the home that this address or name means, or let staff choose among those that it may mean."""
    homes: list[tuple[Home, str]] = [(each, "") for each in homes_at(tx, person.community_id, home)]
    people = [] if homes else _people(tx, person.community_id, home)
    homes += [(each, who.name) for who in people for each in homes_of(tx, who)]
    workers = _workers(tx, people)
    unique = {each.id: (each, whose) for each, whose in reversed(homes)}
    if len(unique) == 1 and not workers:
        show_home(tx, person, homes[0][0])
        return
    reader = reader_of(tx, here(tx, person))
    shown = [unique[number] for number in sorted(unique, key=[each.id for each, _ in homes].index)][
        :MOST_FOUND
    ]
    labels = [f"{reader.show(address(each))} {whose}".strip()[:LONGEST_LABEL] for each, whose in shown]
    buttons: list[Button | str] = [
        *(
            Button(f"home.show:{each.id}", label=label)
            for (each, _), label in zip(shown, labels, strict=True)
        ),
        *workers[: MOST_FOUND - len(shown)],
        "home.find",
    ]
    some = "home.many" if len(unique) > len(shown) else "home.which"
    key = some if unique or workers else "home.none"
    tell(tx, here(tx, person), key, said=home, count=len(unique), most=MOST_FOUND, buttons=buttons)


def _people(tx: Tx, community_id: int, name: str) -> list[Person]:
    """Who is meant: by the home and the name, by the number that rings, by the name, or by a part of it."""
    phone = normal_phone(name)
    if phone:
        of_number = Person.phone_hash == tx.house.vault.hash(phone)
        found = select(Person).where(Person.community_id == community_id, of_number).order_by(col(Person.id))
        return list(tx.session.exec(found))
    one = one_named(tx, community_id, name)
    return (
        [one]
        if one is not None
        else named(tx, community_id, name) or named(tx, community_id, name, part=True)
    )


def _workers(tx: Tx, people: Sequence[Person]) -> list[Button]:
    """Those of the crew among them, whose cards show what they do."""
    ids = [each.id for each in people]
    roles = select(Role).where(col(Role.person_id).in_(ids), Role.role == "crew").order_by(col(Role.id))
    who = {each.id: each.name for each in people}
    found = list(tx.session.exec(roles))
    labels = distinct(who[role.person_id][:LONGEST_LABEL] for role in found)
    return [Button(f"crew.show:{role.id}", label=label) for role, label in zip(found, labels, strict=True)]


# --- the card of a home -----------------------------------------------------------------------------


@action("home.show", Home, button=True, stays=True)
def show_home(tx: Tx, person: Person, home: Home) -> None:
    """One home: its area and state, its people, its parking; each person can be looked at."""
    ties = ties_of(tx, home)
    spaces = tx.session.exec(
        select(Parking.number).where(Parking.home_id == home.id).order_by(Parking.number)
    )
    names = distinct((each.name or "—")[:30] for each, _ in ties[:MOST_PEOPLE])
    tell(
        tx,
        here(tx, person),
        "home.card",
        home=address(home),
        area=f"{home.area // 1000}.{home.area % 1000:03}".rstrip("0").rstrip("."),
        status=Say(f"home.status.{home.status}"),
        people=[_line(each, tie) for each, tie in ties] or Say("where.nobody"),
        parking=list(spaces) or Say("talk.none"),
        next=Say("home.tap_mark") if ties else "",
        buttons=[
            *(Button(f"tie.show:{tie.id}", label=name) for (_, tie), name in zip(ties, names, strict=False)),
            "home.find",
        ],
    )


def _line(person: Person, tie: HomeRole) -> Say:
    return Say(
        "home.person",
        name=person.name or Say("person.forgotten"),
        role=Say(f"role.{tie.role}"),
        share=f" {tie.share}" if tie.share else "",
        represents=Say("home.represents_mark") if tie.represents else "",
    )


# --- the card of a person in a home -----------------------------------------------------------------


@action("tie.show", HomeRole, button=True, stays=True)
def show_tie(tx: Tx, person: Person, tie: HomeRole) -> None:
    """One person of a home, and what staff can do for them."""
    who, home = tx.session.get_one(Person, tie.person_id), tx.session.get_one(Home, tie.home_id)
    phone = masked(phone_of(tx, who))
    speaks = Button(f"tie.represent:{tie.id}", "home.unrepresent" if tie.represents else "")
    for_owner: list[Button | str] = [speaks, f"agent.new:{tie.id}"]
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
            *(for_owner if tie.role == "owner" else []),
            f"tie.remove:{tie.id}",
            *revoke_buttons(tx, standing(tx, who), reader_of(tx, here(tx, person))),
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
        wechat=Say("home.invited_wechat_mark") if tx.house.follow else "",
        days=INVITED_HOURS // 24,
    )


@action("tie.represent", HomeRole, button=True)
def represent(tx: Tx, person: Person, tie: HomeRole) -> None:
    """This owner speaks for all owners of the home, or no longer does."""
    if tie.role != "owner":
        raise Refused("home.only_owner")
    chosen = not tie.represents
    ties = select(HomeRole).where(HomeRole.home_id == tie.home_id).order_by(col(HomeRole.id))
    for each in tx.session.exec(ties.with_for_update()).all():  # of two that choose at once one is heard last
        each.represents = chosen and each.id == tie.id
        tx.session.add(each)
    tx.session.flush()
    home = tx.session.get_one(Home, tie.home_id)
    for owner, owned in ties_of(tx, home):
        if owned.role == "owner":
            key = "home.represented" if chosen else "home.unrepresented"
            who = tx.session.get_one(Person, tie.person_id)
            tell(tx, owner, key, who=who.name, home=address(home), office=office(tx, home.community_id))
    show_tie(tx, person, tie)


@action("tie.remove", HomeRole, button=True, stays=True)
def remove(tx: Tx, person: Person, tie: HomeRole) -> None:
    """Ask whether somebody really belongs to the home no more."""
    start(tx, person, "expel", about=f"home_role:{tie.id}")


@action("tie.removed", HomeRole)
def removed(tx: Tx, person: Person, tie: HomeRole, **answers: Any) -> None:
    """Somebody belongs to the home no more: their rights end now, in mid-talk as well, and so do their powers."""
    who, home = tx.session.get_one(Person, tie.person_id), tx.session.get_one(Home, tie.home_id)
    end_about(tx, f"home_role:{tie.id}")
    tx.session.delete(tie)
    tx.session.flush()
    tell(tx, who, "home.you_left", home=address(home), office=office(tx, who.community_id))
    end_all(tx, who)
    for each in [*revoke_all(tx, who, home), *lost_a_tie(tx, who)]:
        tell_revoked(tx, each)
    tell(
        tx,
        here(tx, person),
        "home.left",
        name=who.name or Say("person.forgotten"),
        home=address(home),
        buttons=[f"home.show:{home.id}"],
    )
