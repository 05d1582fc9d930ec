"""Coming in: by an invitation, by one's telephone number, or by a request that staff approve; and consent to it."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from conversations.errors import Refused
from conversations.joining import JOIN
from conversations.said import Said
from conversations.words import LANGUAGES, Say, normal
from handlers import office_clocks
from handlers.actions import action
from handlers.addresses import find_home
from handlers.greeting import greet
from handlers.matters import add_event, timeline
from handlers.people import (
    accounts_of,
    bind_account,
    communities_of,
    homes_of,
    is_guest,
    new_person,
    roles_of,
    speak_as,
    ties_of,
)
from handlers.phones import masked, normal_phone, phone_of, set_phone
from handlers.policy import policy_of, resting
from handlers.repair_cards import address, office
from handlers.talk import Known, end, here, know, no_facts, start
from handlers.tell import ANSWER, Button, latest, place_of, reader_of, tell, tell_staff
from handlers.timers import CLEARED_AFTER, set_timer
from handlers.tx import Tx
from store.tables import (
    Account,
    Audit,
    Community,
    Home,
    HomeRole,
    JoinRequest,
    Media,
    Outgoing,
    Person,
    Place,
    Repair,
    Rest,
    Role,
    Talk,
)

LONGEST_NAME = 30
WHICH = "which"
"""The name of the question which of several people of one number somebody is."""
MOST_REQUESTS = 3
"""How many requests one guest may send before staff must have declined or approved them otherwise."""


# --- as whom an account speaks ----------------------------------------------------------------------


def come_in(tx: Tx, said: Said, place: Place, person: Person) -> None:
    """Let the sender be this person, in this private chat; then ask for consent, or say what they can do.

    Refused if the account is somebody else of the same community already.
    """
    known = tx.session.exec(
        select(Account).where(
            Account.messenger == said.messenger,
            Account.external_id == said.sender,
            Account.community_id == person.community_id,
        )
    ).first()
    chat, is_new = place_of(tx, person), known is None or known.person_id != person.id
    if known is None:
        known = bind_account(tx, person, said.messenger, said.sender)
    elif is_new:
        _becomes(tx, known, person)
    _warn(tx, person, chat if is_new else None)
    if said.language in LANGUAGES:
        person.language = said.language
    place.person_id, place.community_id = person.id, person.community_id
    tx.session.add_all([place, person])
    tx.session.flush()
    tx.known.clear()
    tx.person, tx.account = person, known
    if known.agreed_at is None:
        ask_consent(tx, person)
    else:
        greet(tx, person)


def _warn(tx: Tx, person: Person, chat: Place | None) -> None:
    """Tell somebody, in the chat that they had, that a new account is theirs: a stolen letter must not stay unseen."""
    if chat is not None:
        tell(tx, chat, "join.new_account", office=office(tx, person.community_id))


def _becomes(tx: Tx, account: Account, person: Person) -> None:
    """An account of a guest, or of whoever only spoke in the admin group, turns out to be somebody of the roster."""
    before = tx.session.get_one(Person, account.person_id)
    if homes_of(tx, before) or not roles_of(tx, before) <= {"staff"}:
        raise Refused("code.known_already")
    for role in tx.session.exec(select(Role).where(Role.person_id == before.id)).all():
        if role.role not in roles_of(tx, person):
            role.person_id = person.id
            tx.session.add(role)
        else:
            tx.session.delete(role)
    account.person_id = person.id
    tx.session.add(account)
    tx.session.flush()
    if not accounts_of(tx, before):
        _take_over(tx, before, person)


def _take_over(tx: Tx, before: Person, person: Person) -> None:
    """Whatever is about a guest is about the person now."""
    for talk in tx.session.exec(select(Talk).where(Talk.person_id == before.id)).all():
        end(tx, talk)
    connection = tx.session.connection()
    for table in (JoinRequest, Outgoing, Rest, Repair, Media):
        about = col(table.person_id) == before.id
        connection.execute(update(table).where(about).values(person_id=person.id))
    if before.phone and not person.phone:
        person.phone, person.phone_hash = before.phone, before.phone_hash
    _take_number(tx, before, person)
    before.name = before.phone = before.phone_hash = ""  # the row stays: the log of acts may name its number
    before.left_at = tx.now
    tx.session.add_all([before, person])


def _take_number(tx: Tx, before: Person, person: Person) -> None:
    """Whoever has not acted yet takes over the number of who did, so that the log of acts names them."""
    acted = select(Audit.id).where(Audit.pseudonym == person.pseudonym)
    if tx.session.exec(acted.limit(1)).first() is None:
        number, before.pseudonym = before.pseudonym, secrets.randbits(62)
        tx.session.add(before)
        tx.session.flush()
        person.pseudonym = number


# --- consent ----------------------------------------------------------------------------------------


def ask_consent(tx: Tx, person: Person, *, again: bool = False) -> None:
    """Say in plain words what is stored, and ask; `again`: what they said was no yes and no no."""
    guest = is_guest(tx, person)
    key = "consent.ask_guest" if guest else "consent.ask"
    tell(
        tx,
        person,
        key,
        buttons=("consent.agree", "consent.refuse", "language"),
        last="consent",
        lead=reader_of(tx, person).say("consent.please") if again else "",
        name=person.name,
        community=tx.community(person.community_id).name,
        office=office(tx, person.community_id),
        days=policy_of(tx, person.community_id).said_days,
    )


@action("consent.agree", button=True)
def agree(tx: Tx, person: Person) -> None:
    """The holder of this account agrees to what is stored."""
    if tx.account is None:
        raise Refused("refused.unknown")
    if tx.account.agreed_at is None:
        tx.account.agreed_at = tx.now
        tx.session.add(tx.account)
        tx.session.flush()
    if is_guest(tx, person) and not _requests(tx, person):
        start(tx, person, "join")
    else:
        greet(tx, person)


@action("consent.refuse", button=True)
def refuse(tx: Tx, person: Person) -> None:
    """Without consent the account is forgotten; a guest is, too."""
    if tx.account is None or tx.account.agreed_at is not None or tx.place is None:
        raise Refused("refused.unknown")
    key = "consent.refused_guest" if is_guest(tx, person) else "consent.refused"
    tell(tx, person, key, phone=office(tx, person.community_id))
    others = [account for account, _ in communities_of(tx) if account is not tx.account]
    tx.session.delete(tx.account)
    tx.place.person_id = None
    tx.session.add(tx.place)
    if others:  # in another community they are known, and go on there
        speak_as(tx, others[0])
    set_timer(tx, person.community_id, f"forget.clear:{tx.place.id}", tx.now + CLEARED_AFTER)
    if is_guest(tx, person) and not _requests(tx, person):
        person.name = person.phone = person.phone_hash = ""
        tx.session.add(person)
    tx.session.flush()


# --- by one's telephone number ----------------------------------------------------------------------


def use_contact(tx: Tx, said: Said, place: Place) -> None:
    """A number that was shared by the messenger's button: whoever has it in a roster comes in."""
    assert said.contact is not None
    phone = normal_phone(said.contact.phone)
    if not said.contact.own or not phone:
        tell(tx, place, "contact.not_own", keyboard="contact")
        return
    tell(tx, place, "contact.received", phone=masked(phone), keyboard="remove")
    found = _with_phone(tx, phone)
    if not found:
        _unknown_number(tx, said, place, phone)
        return
    refusals = []
    for people in found.values():
        try:
            if len(people) == 1:
                come_in(tx, said, place, people[0])
            else:
                _which_one(tx, said, place, phone, people)
        except (
            Refused
        ) as error:  # there they are somebody else; the other communities let them in all the same
            refusals.append(error)
    if len(refusals) == len(found):
        raise refusals[0]


def _with_phone(tx: Tx, phone: str) -> dict[int, list[Person]]:
    """The people of this number who are tied to a community, by community."""
    found: dict[int, list[Person]] = {}
    same = select(Person).where(Person.phone_hash == tx.house.vault.hash(phone)).order_by(col(Person.id))
    for person in tx.session.exec(same):
        if not is_guest(tx, person):
            found.setdefault(person.community_id, []).append(person)
    return found


def _unknown_number(tx: Tx, said: Said, place: Place, phone: str) -> None:
    """Whoever is in keeps it as theirs, and so does a guest, for staff to see that it is verified."""
    if tx.person is not None and tx.account is not None and tx.account.agreed_at is None:
        ask_consent(tx, tx.person)
        return
    if tx.person is not None:
        set_phone(tx, tx.person, phone)
    if tx.person is not None and not is_guest(tx, tx.person):
        tell(tx, tx.person, "contact.kept", phone=masked(phone), buttons=("help",))
        return
    offer = join_buttons(tx, place) if tx.person is None else [f"join.start:{tx.person.community_id}"]
    tell(tx, tx.person or place, "contact.unknown", phone=masked(phone), buttons=offer)


def _which_one(tx: Tx, said: Said, place: Place, phone: str, people: Sequence[Person]) -> None:
    """Two people have one number: who has it in hand says which."""
    guest = guest_of(tx, said, place, people[0].community_id)
    if not is_guest(tx, guest):
        greet(tx, guest)
        return
    set_phone(tx, guest, phone)
    tx.session.flush()
    reader = reader_of(tx, guest)
    buttons = [
        Button(f"join.as:{each.id}", label=f"{each.name} {_home_line(tx, each, reader)}".strip()[:40])
        for each in people[:8]
    ]
    tell(tx, guest, "join.which", last=WHICH, buttons=buttons)


def _home_line(tx: Tx, person: Person, reader: Any) -> str:
    homes = homes_of(tx, person)
    return str(reader.show(address(homes[0]))) if homes else ""


@action("join.as", Person, button=True)
def join_as(tx: Tx, person: Person, chosen: Person) -> None:
    """A guest whose number is that of several people is this one.

    The number that a roster gives somebody proves nothing: only who shared it here, and was asked, may say so.
    """
    asked = latest(tx, WHICH, tx.place.id) if tx.place is not None else None
    if asked is None or f"join.as:{chosen.id}" not in [button["value"] for button in asked.buttons]:
        raise Refused("refused.unknown")
    assert tx.said is not None and tx.place is not None
    come_in(tx, tx.said, tx.place, chosen)


# --- by a request -----------------------------------------------------------------------------------


def guest_of(tx: Tx, said: Said, place: Place, community_id: int) -> Person:
    """Who the sender is in a community: a guest, unless they are known there."""
    known = tx.session.exec(
        select(Person)
        .join(Account, col(Account.person_id) == col(Person.id))
        .where(
            Account.messenger == said.messenger,
            Account.external_id == said.sender,
            Account.community_id == community_id,
        )
    ).first()
    if known is None:
        known = new_person(tx, community_id, said.name[:LONGEST_NAME] or "访客")
        if said.language in LANGUAGES:
            known.language = said.language
        tx.account = bind_account(tx, known, said.messenger, said.sender)
    tx.person = known
    place.person_id, place.community_id = known.id, community_id
    tx.session.add_all([known, place])
    tx.session.flush()
    return known


def join_buttons(tx: Tx, place: Place) -> list[Button]:
    """What a stranger can ask for: to come in to one of the communities."""
    found = communities(tx, place)
    if len(found) == 1:
        return [Button(f"join.start:{found[0].id}")]
    reader = reader_of(tx, place)
    return [
        Button(f"join.start:{each.id}", label=f"{reader.say('button.join.start')} · {each.name}")
        for each in found[:8]
    ]


def communities(tx: Tx, place: Place) -> list[Community]:
    """The community of a chat, or all that are not put aside."""
    if place.community_id is not None:
        return [tx.community(place.community_id)]
    shown = select(Community).where(col(Community.id).not_in(resting(tx.session)))
    return list(tx.session.exec(shown.order_by(col(Community.id))))


def begin(tx: Tx, said: Said, place: Place, community_id: int) -> None:
    """A stranger wants to come in: they become a guest, and are asked for consent first."""
    guest = guest_of(tx, said, place, community_id)
    assert tx.account is not None
    if tx.account.agreed_at is None:
        ask_consent(tx, guest)
    else:
        start_join(tx, guest, tx.community(community_id))


@action("join")
def join(tx: Tx, person: Person) -> None:
    """Whoever types that they want to come in."""
    if is_guest(tx, person):
        start_join(tx, person, tx.community(person.community_id))
    else:
        tell(tx, here(tx, person), "code.known_already", buttons=("help",))


@action("join.start", Community, button=True, stays=True)
def start_join(tx: Tx, person: Person, community: Community) -> None:
    """Open the form of a request, unless one waits already."""
    waiting = [each for each in _requests(tx, person) if each.state == "waiting"]
    if waiting:
        tell(tx, person, "join.waits", phone=office(tx, person.community_id))
    elif len(_requests(tx, person)) >= MOST_REQUESTS:
        raise Refused("join.too_many", phone=office(tx, person.community_id))
    else:
        start(tx, person, "join")


def _requests(tx: Tx, person: Person) -> list[JoinRequest]:
    asked = select(JoinRequest).where(JoinRequest.person_id == person.id).order_by(col(JoinRequest.id))
    return list(tx.session.exec(asked))


know(Known(JOIN, no_facts))


@action("join.request")
def request(tx: Tx, person: Person, **answers: Any) -> None:
    """Show staff who wants to come in, beside what the roster says."""
    asked = JoinRequest(
        community_id=person.community_id,
        person_id=person.id,
        name=answers["name"],
        home=answers["home"],
        role=answers["role"],
        created_at=tx.now,
    )
    _look_up(tx, asked)
    tx.session.add(asked)
    tx.session.flush()
    _happened(tx, asked, "join.event.asked", person)
    office_clocks.run(tx, asked, policy_of(tx, person.community_id).join_days)
    tell(tx, person, "join.sent", phone=office(tx, person.community_id), due=asked.due_at)
    _card(tx, asked, anew=True)


def _happened(tx: Tx, asked: JoinRequest, key: str, person: Person) -> None:
    add_event(tx, f"join:{asked.id}", key, person, community_id=asked.community_id)


@action("join.show", JoinRequest, button=True, stays=True)
def show_request(tx: Tx, person: Person, asked: JoinRequest) -> None:
    """A request with its timeline: what staff can decide, or how far it is for whoever asks."""
    to = here(tx, person)
    lines = "\n".join(timeline(tx, f"join:{asked.id}", reader_of(tx, to)))
    if to is person:
        state, phone = Say(f"join.state.{asked.state}"), office(tx, person.community_id)
        tell(tx, person, "join.show", home=asked.home, state=state, timeline=lines, phone=phone)
        return
    shown, buttons = _shown(tx, asked)
    tell(
        tx,
        to,
        "join.show_staff",
        card=f"join:{asked.id}",
        anew=True,
        buttons=buttons,
        shown=Say("join.card", **shown),
        timeline=lines,
    )


def _look_up(tx: Tx, asked: JoinRequest) -> None:
    """Write down which home and whom of it the claim means: themselves, if they have come in there meanwhile."""
    home = find_home(tx, asked.community_id, asked.home)
    asked.home_id = home.id if home else None
    people = [person for person, _ in (ties_of(tx, home) if home else [])]
    same = [person for person in people if person.id == asked.person_id] or [
        person
        for person in people
        if normal(person.name) == normal(asked.name) or _is_forgotten(tx, person, asked.name)
    ]
    asked.match_id = same[0].id if len(same) == 1 else None


def _is_forgotten(tx: Tx, person: Person, name: str) -> bool:
    return bool(person.name_hash) and person.name_hash == tx.house.vault.hash(name)


def _card(tx: Tx, asked: JoinRequest, *, anew: bool = False) -> None:
    facts, buttons = _shown(tx, asked)
    tell_staff(
        tx, asked.community_id, "join.card", card=f"join:{asked.id}", anew=anew, buttons=buttons, **facts
    )


def _shown(tx: Tx, asked: JoinRequest) -> tuple[dict[str, Any], list[Button]]:
    """What staff see of a request beside what the roster says, and what they can do."""
    guest = tx.session.get_one(Person, asked.person_id)
    home = tx.session.get(Home, asked.home_id) if asked.home_id else None
    match = tx.session.get(Person, asked.match_id) if asked.match_id else None
    phone = masked(phone_of(tx, guest))
    facts = {
        "name": asked.name,
        "role": Say(f"role.{asked.role}"),
        "home": asked.home,
        "phone": Say("join.card_phone", phone=phone) if phone else "",
        "roster": _roster_line(tx, home),
        "state": Say(f"join.state.{asked.state}"),
    }
    return facts, _card_buttons(tx, asked, match)


def _roster_line(tx: Tx, home: Home | None) -> Any:
    if home is None:
        return Say("join.no_such_home")
    people = [
        Say(
            "join.roster_person",
            name=person.name or Say("person.forgotten"),
            role=Say(f"role.{tie.role}"),
            here=Say("join.is_in_mark") if accounts_of(tx, person) else "",
        )
        for person, tie in ties_of(tx, home)
    ]
    return Say("join.roster_home", home=address(home), people=people or Say("where.nobody"))


def _card_buttons(tx: Tx, asked: JoinRequest, match: Person | None) -> list[Button]:
    if asked.state != "waiting":
        return []
    reader = tx.reader(asked.community_id)
    approve = []
    if match is not None:
        label = reader.say("join.approve_match", name=(match.name or asked.name)[:20])
        approve = [Button(f"join.approve:{asked.id}", label=label)]
    elif asked.home_id is not None:
        label = reader.say("join.approve_new", role=Say(f"role.{asked.role}"))
        approve = [Button(f"join.approve:{asked.id}", label=label)]
    return [*approve, Button(f"join.decline:{asked.id}")]


@action("join.approve", JoinRequest, button=True)
def approve(tx: Tx, person: Person, asked: JoinRequest) -> None:
    """Staff let somebody in: as whom the roster has, or as one more person of the home."""
    _must_wait(asked)
    before = (asked.home_id, asked.match_id)
    _look_up(tx, asked)
    if (asked.home_id, asked.match_id) != before or asked.home_id is None:
        _card(tx, asked)  # the roster has changed since staff looked
        tell(tx, here(tx, person), "join.look_again", name=asked.name)
        return
    _decided(tx, asked, "approved")
    _happened(tx, asked, "join.event.approved", person)
    guest = tx.session.get_one(Person, asked.person_id)
    tx.session.add(asked)
    tx.session.flush()
    if asked.match_id is not None:
        let_in = tx.session.get_one(Person, asked.match_id)
        let_in.name, let_in.name_hash = let_in.name or asked.name, ""
        tx.session.add(let_in)
        for account in accounts_of(tx, guest) if guest is not let_in else ():
            _rebind(tx, account, let_in)
    else:
        guest.name, let_in = asked.name, guest
        tie = HomeRole(
            community_id=asked.community_id,
            home_id=asked.home_id,
            person_id=guest.id,
            role=asked.role,
            from_roster=False,
        )
        tx.session.add_all([guest, tie])
        _tell_owners(tx, asked)
    tx.session.flush()
    tx.known.clear()
    _card(tx, asked)
    tell(tx, let_in, "join.approved", lane=ANSWER, name=let_in.name)
    greet(tx, let_in)


def _tell_owners(tx: Tx, asked: JoinRequest) -> None:
    """Whoever comes into a home does not come in behind its owners' backs."""
    home = tx.session.get_one(Home, asked.home_id)
    for owner, tie in ties_of(tx, home):
        if tie.role == "owner" and owner.id != asked.person_id:
            tell(
                tx,
                owner,
                "join.in_your_home",
                home=address(home),
                name=asked.name,
                role=Say(f"role.{asked.role}"),
                office=office(tx, asked.community_id),
            )


def _rebind(tx: Tx, account: Account, person: Person) -> None:
    """The guest's account is the roster's person now."""
    chat = place_of(tx, person)
    _becomes(tx, account, person)
    _warn(tx, person, chat)
    chats = select(Place).where(
        Place.messenger == account.messenger, Place.external_id == account.external_id
    )
    for chat in tx.session.exec(chats):
        chat.person_id = person.id
        tx.session.add(chat)
    tx.session.flush()


@action("join.decline", JoinRequest, button=True)
def decline(tx: Tx, person: Person, asked: JoinRequest) -> None:
    """Staff do not know who that is."""
    _must_wait(asked)
    _decided(tx, asked, "declined")
    _happened(tx, asked, "join.event.declined", person)
    tx.session.add(asked)
    tx.session.flush()
    _card(tx, asked)
    guest = tx.session.get_one(Person, asked.person_id)
    again = len(_requests(tx, guest)) < MOST_REQUESTS
    tell(
        tx,
        guest,
        "join.declined",
        phone=office(tx, asked.community_id),
        buttons=[f"join.start:{asked.community_id}"] if again else (),
    )


def _decided(tx: Tx, asked: JoinRequest, state: str) -> None:
    asked.state, asked.decided_at = state, tx.now
    office_clocks.stop(tx, asked)


def _must_wait(asked: JoinRequest) -> None:
    if asked.state != "waiting":
        raise Refused("join.decided", name=asked.name, state=Say(f"join.state.{asked.state}"))
