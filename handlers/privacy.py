"""What is stored about people: shown to them, erased at their wish, and erased by the clock."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, or_, update
from sqlmodel import SQLModel, col, select

from conversations.errors import Refused
from conversations.words import Say
from handlers.actions import action
from handlers.agents import agent_lines, revoke_all
from handlers.people import accounts_of, is_guest, owns, roles_of
from handlers.phones import masked, phone_of
from handlers.policy import policy_of
from handlers.repair_cards import address, office, where
from handlers.talk import end
from handlers.tell import reader_of, tell
from handlers.timers import set_timer
from handlers.tx import Tx
from store.scrub import scrub
from store.tables import (
    Account,
    Attempt,
    Audit,
    Code,
    Community,
    Home,
    HomeRole,
    Inbox,
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

OVER = ("closed", "withdrawn")
AFTER = timedelta(minutes=1)
"""How long the last word to somebody who is forgotten may take; then their chat is cleared, too."""
AT = time(3, 30)
"""When old things are erased, in the community's time."""
SOON = timedelta(seconds=5)
BATCH = 2000


# --- what is stored ---------------------------------------------------------------------------------


@action("mydata", button=True, stays=True)
def mydata(tx: Tx, person: Person) -> None:
    """All that is stored about oneself, in one's own chat."""
    phone = phone_of(tx, person)
    tell(
        tx,
        person,
        "mydata.all",
        name=person.name,
        phone=phone or Say("talk.none"),
        language=Say("mydata.language"),
        since=person.created_at,
        accounts=_accounts(tx, person),
        homes=_homes(tx, person),
        roles=[Say(f"role.{role}") for role in sorted(roles_of(tx, person))] or Say("talk.none"),
        agents=agent_lines(tx, person) or Say("talk.none"),
        requests=_requests(tx, person),
        repairs=_repairs(tx, person),
        pictures=_count(tx, Media, col(Media.person_id) == person.id),
        told=_count(tx, Outgoing, col(Outgoing.person_id) == person.id),
        acts=_count(tx, Audit, col(Audit.pseudonym) == person.pseudonym),
        said=_said(tx, person),
        buttons=("forget",),
    )


def _count(tx: Tx, table: type[SQLModel], which: Any) -> int:
    return tx.session.exec(select(func.count()).select_from(table).where(which)).one()


def _below(tx: Tx, person: Person, lines: Sequence[Any]) -> Any:
    """The lines, one below the other; or that there is nothing."""
    reader = reader_of(tx, person)
    return "\n".join(str(reader.show(line)) for line in lines) or Say("talk.none")


def _accounts(tx: Tx, person: Person) -> Any:
    return _below(
        tx,
        person,
        [
            Say(
                "mydata.account",
                messenger=each.messenger,
                number=each.external_id,
                agreed=each.agreed_at or Say("talk.none"),
            )
            for each in accounts_of(tx, person)
        ],
    )


def _homes(tx: Tx, person: Person) -> Any:
    ties = tx.session.exec(
        select(Home, HomeRole)
        .join(HomeRole, col(HomeRole.home_id) == col(Home.id))
        .where(HomeRole.person_id == person.id)
        .order_by(col(HomeRole.id))
    )
    return _below(
        tx,
        person,
        [
            Say("mydata.home", home=address(home), role=Say(f"role.{tie.role}"), share=tie.share or "—")
            for home, tie in ties
        ],
    )


def _requests(tx: Tx, person: Person) -> Any:
    asked = select(JoinRequest).where(JoinRequest.person_id == person.id).order_by(col(JoinRequest.id))
    return _below(
        tx,
        person,
        [
            Say("mydata.request", at=each.created_at, home=each.home, name=each.name)
            for each in tx.session.exec(asked)
        ],
    )


def _repairs(tx: Tx, person: Person) -> Any:
    reported = select(Repair).where(Repair.person_id == person.id).order_by(col(Repair.id))
    return _below(
        tx,
        person,
        [
            Say(
                "mydata.repair",
                number=each.number,
                where=where(tx, each),
                what="；".join(filter(None, (each.what, each.added))),
                state=Say(f"state.{each.state}"),
            )
            for each in tx.session.exec(reported)
        ],
    )


def _said(tx: Tx, person: Person) -> Any:
    heard = tx.session.exec(select(Inbox).where(_from(tx, person)).order_by(col(Inbox.id)))
    return _below(
        tx,
        person,
        [
            Say(
                "mydata.said",
                at=row.received_at,
                text=row.payload.get("text") or row.payload.get("tap") or "…",
            )
            for row in heard
        ],
    )


def _from(tx: Tx, person: Person) -> Any:
    """The messages that came from the person's accounts, and stand for this community or for none."""
    accounts = accounts_of(tx, person)
    theirs = or_(
        False,
        *(
            (col(Inbox.messenger) == each.messenger) & (col(Inbox.sender) == each.external_id)
            for each in accounts
        ),
    )
    return theirs & or_(col(Inbox.community_id) == person.community_id, col(Inbox.community_id).is_(None))


# --- erased at one's wish ---------------------------------------------------------------------------


@action("forget", button=True, stays=True)
def forget(tx: Tx, person: Person) -> None:
    """Say what would be erased and what remains, and ask."""
    tell(
        tx,
        person,
        "forget.ask",
        remains=Say("forget.remains_owner" if owns(tx, person) else "forget.remains"),
        days=policy_of(tx, person.community_id).sent_days,
        buttons=("erase", "help"),
        last="forget",
    )


@action("erase", button=True)
def forget_surely(tx: Tx, person: Person) -> None:
    """Unbind and erase oneself; only in one's own chat."""
    if tx.place is None or tx.place.kind != "private":
        raise Refused("forget.in_private")
    tell(tx, tx.place, "forget.done", phone=office(tx, person.community_id))
    erase(tx, person)


def erase(tx: Tx, person: Person) -> None:
    """Unbind somebody and erase what may be erased; an owner stays one of the home's owners, by a number alone."""
    known = _words_about(tx, person)
    was_guest = is_guest(tx, person)
    for talk in tx.session.exec(select(Talk).where(Talk.person_id == person.id)).all():
        end(tx, talk)
    revoke_all(tx, person)
    _end_ties(tx, person)
    _forget_requests(tx, person)
    _erase_matters(tx, person)
    _erase_messages(tx, person)
    _unbind(tx, person)
    mark = tx.reader(person.community_id).say("person.erased")
    name, person.name = person.name, ""
    person.name_hash = tx.house.vault.hash(name) if not was_guest else ""
    person.phone = person.phone_hash = ""
    person.left_at = person.left_at or tx.now
    tx.session.add(person)
    tx.session.flush()
    tx.known.clear()
    for word in known:
        scrub(tx.session, person.community_id, word, mark)
    tx.session.expire_all()
    tx.mark = None  # the message with the button has gone, too


def _words_about(tx: Tx, person: Person) -> list[str]:
    """What names the person in what others wrote or read; not what another person is called, too, or a lone letter.

    Nobody has checked the name of a guest, who could call themselves "电梯": only their number is certain.
    """
    phone = phone_of(tx, person)
    words = [each.external_id for each in accounts_of(tx, person) if len(each.external_id) > 4]
    words += [phone, masked(phone)] if phone else []
    asked = [] if is_guest(tx, person) else [person.name]
    for name in asked:
        same = select(Person.id).where(Person.community_id == person.community_id, Person.name == name)
        if len(name) > 1 and len(tx.session.exec(same.limit(2)).all()) == 1:
            words.append(name)
    return words


def _end_ties(tx: Tx, person: Person) -> None:
    """Tenants, family and crew have gone; an owner remains one, since the law counts owners."""
    for role in tx.session.exec(select(Role).where(Role.person_id == person.id)).all():
        tx.session.delete(role)
    for tie in tx.session.exec(select(HomeRole).where(HomeRole.person_id == person.id)).all():
        if tie.role != "owner":
            tx.session.delete(tie)
    for code in tx.session.exec(select(Code).where(Code.person_id == person.id)).all():
        tx.session.delete(code)
    tx.session.flush()


def _forget_requests(tx: Tx, person: Person) -> None:
    about = or_(col(JoinRequest.person_id) == person.id, col(JoinRequest.match_id) == person.id)
    for asked in tx.session.exec(select(JoinRequest).where(about)).all():
        cards = update(Outgoing).where(col(Outgoing.card) == f"join:{asked.id}")
        gone = tx.reader(person.community_id).say("join.card_erased")
        tx.session.connection().execute(cards.values(text=gone, buttons=[]))
        tx.session.delete(asked)
    tx.session.flush()


def _erase_matters(tx: Tx, person: Person) -> None:
    """Photos of matters that are over; the matters stay with the home, without who brought them."""
    open_ones = select(Repair.id).where(Repair.person_id == person.id, col(Repair.state).not_in(OVER))
    kept = [f"repair:{number}" for number in tx.session.exec(open_ones)]
    gone = delete(Media).where(col(Media.person_id) == person.id, col(Media.about).not_in(kept))
    tx.session.connection().execute(gone)


def _erase_messages(tx: Tx, person: Person) -> None:
    """What the person said, and what was said to them; the message at hand is cleared with its chat."""
    connection = tx.session.connection()
    connection.execute(delete(Rest).where(col(Rest.person_id) == person.id))
    theirs = select(Inbox.id).where(_from(tx, person), col(Inbox.id) != (tx.inbox_id or 0))
    _delete_heard(tx, theirs)
    told = select(Outgoing.id).where(Outgoing.person_id == person.id)
    connection.execute(delete(Attempt).where(col(Attempt.outgoing_id).in_(told)))
    connection.execute(delete(Outgoing).where(col(Outgoing.person_id) == person.id))


def _delete_heard(tx: Tx, which: Any) -> None:
    connection = tx.session.connection()
    connection.execute(update(Outgoing).where(col(Outgoing.inbox_id).in_(which)).values(inbox_id=None))
    connection.execute(delete(Inbox).where(col(Inbox.id).in_(which)))


def _unbind(tx: Tx, person: Person) -> None:
    """The accounts are nobody's; their chats are cleared as soon as the last word is out."""
    for account in accounts_of(tx, person):
        chats = select(Place).where(
            Place.messenger == account.messenger, Place.external_id == account.external_id
        )
        tx.session.delete(account)
        tx.session.flush()
        other = select(Account.id).where(
            Account.messenger == account.messenger, Account.external_id == account.external_id
        )
        if tx.session.exec(other.limit(1)).first() is not None:
            continue  # they are somebody in another community: the chat is needed there
        for place in tx.session.exec(chats).all():
            place.person_id = None
            tx.session.add(place)
            set_timer(tx, person.community_id, f"forget.clear:{place.id}", tx.now + AFTER)
    tx.session.flush()


@action("forget.clear", Place)
def clear(tx: Tx, person: None, place: Place) -> None:
    """The chat of somebody who was forgotten: its messages go, and then itself, unless somebody has come in there."""
    waiting = select(Outgoing.id).where(Outgoing.place_id == place.id, Outgoing.state == "waiting")
    here = select(Account.id).where(
        Account.messenger == place.messenger, Account.external_id == place.external_id
    )
    if place.kind != "private" or tx.session.exec(here.limit(1)).first() is not None:
        return
    if tx.session.exec(waiting.limit(1)).first() is not None and place.blocked_at is None:
        assert place.community_id is not None
        set_timer(tx, place.community_id, f"forget.clear:{place.id}", tx.now + AFTER)
        return
    connection = tx.session.connection()
    heard = select(Inbox.id).where(Inbox.messenger == place.messenger, Inbox.place == place.external_id)
    _delete_heard(tx, heard)
    sent = select(Outgoing.id).where(Outgoing.place_id == place.id)
    connection.execute(delete(Attempt).where(col(Attempt.outgoing_id).in_(sent)))
    connection.execute(delete(Attempt).where(col(Attempt.place_id) == place.id))
    for table in (Outgoing, Rest, Talk):
        connection.execute(delete(table).where(col(table.place_id) == place.id))
    tx.session.delete(place)


# --- erased by the clock ----------------------------------------------------------------------------


def begin_retention(tx: Tx) -> None:
    """Let old things be erased each night, in every community that has not begun."""
    for community_id in tx.session.exec(select(Community.id)):
        set_timer(
            tx, community_id, f"privacy.retain:{community_id}", _next_night(tx, community_id), move=False
        )


def _next_night(tx: Tx, community_id: int) -> datetime:
    zone = ZoneInfo(tx.community(community_id).time_zone)
    night = datetime.combine(tx.now.astimezone(zone).date(), AT, zone)
    return night if night > tx.now else night + timedelta(days=1)


@action("privacy.retain", Community)
def retain(tx: Tx, person: None, community: Community) -> None:
    """Erase a batch of what is older than the community's policy, and come again soon if there is more."""
    policy = policy_of(tx, community.id)
    said = tx.now - timedelta(days=policy.said_days)
    sent = tx.now - timedelta(days=policy.sent_days)
    left = tx.now - timedelta(days=policy.guest_days)
    more = [
        _drop_heard(tx, community.id, said),
        _drop_sent(tx, community.id, sent),
        _drop_rest(tx, community.id, said),
        _drop_guests(tx, community.id, left),
    ]
    gone = delete(Code).where(col(Code.community_id) == community.id, col(Code.expires_at) < left)
    tx.session.connection().execute(gone)
    again = tx.now + SOON if any(more) else _next_night(tx, community.id)
    set_timer(tx, community.id, f"privacy.retain:{community.id}", again)


def _drop_heard(tx: Tx, community_id: int, before: datetime) -> bool:
    old = (
        select(Inbox.id)
        .where(Inbox.community_id == community_id, Inbox.state == "done", Inbox.received_at < before)
        .order_by(col(Inbox.id))
        .limit(BATCH)
    )
    ids = tx.session.exec(old).all()
    _delete_heard(tx, ids)
    return len(ids) == BATCH


def _drop_sent(tx: Tx, community_id: int, before: datetime) -> bool:
    old = (
        select(Outgoing.id)
        .where(
            Outgoing.community_id == community_id, Outgoing.state != "waiting", Outgoing.created_at < before
        )
        .order_by(col(Outgoing.id))
        .limit(BATCH)
    )
    ids = tx.session.exec(old).all()
    connection = tx.session.connection()
    connection.execute(delete(Attempt).where(col(Attempt.outgoing_id).in_(ids)))
    connection.execute(delete(Outgoing).where(col(Outgoing.id).in_(ids)))
    return len(ids) == BATCH


def _drop_rest(tx: Tx, community_id: int, before: datetime) -> bool:
    """The rest of long texts that were for one person or one chat."""
    old = delete(Rest).where(col(Rest.community_id) == community_id, col(Rest.created_at) < before)
    tx.session.connection().execute(old)
    return False


def _drop_guests(tx: Tx, community_id: int, before: datetime) -> bool:
    """Whoever was not let in, or has left, is forgotten."""
    tied = select(HomeRole.person_id).where(HomeRole.community_id == community_id)
    working = select(Role.person_id).where(Role.community_id == community_id)
    guests = (
        select(Person)
        .where(Person.community_id == community_id, Person.name != "")
        .where(func.coalesce(col(Person.left_at), col(Person.created_at)) < before)
        .where(col(Person.id).not_in(tied), col(Person.id).not_in(working))
        .order_by(col(Person.id))
        .limit(20)
    )
    found = tx.session.exec(guests).all()
    for guest in found:
        erase(tx, guest)
    return len(found) == 20
