"""Places: how somebody comes in, how a group becomes the community's, and what happens to a chat."""

from datetime import timedelta

from sqlalchemy import String, cast, literal, update
from sqlmodel import Session, col, select

from conversations.errors import Refused
from conversations.said import Said
from handlers.actions import action
from handlers.codes import find_code, is_open, new_code, use_up
from handlers.disclosures import begin_disclosures
from handlers.joining import come_in
from handlers.leaving import lost_a_tie
from handlers.people import add_account, new_person, roles_of
from handlers.policy import policy_of
from handlers.reach import consented, undelivered
from handlers.talk import here
from handlers.tell import REMOVAL, places_of_kind, stranger_card, tell, tell_staff
from handlers.tx import Tx
from store.tables import Account, Code, Outgoing, Person, Place, Post, Role, Talk

LINK_HOURS = 1
# Wrong codes: a few slips cost nothing, then each costs twice the wait of the one before, then a day.
FREE_SLIPS = 3
MOST_SLIPS = 10
FIRST_WAIT = timedelta(seconds=30)
LONG_WAIT = timedelta(days=1)
ANONYMOUS = "anonymous"
"""The sender of whoever writes in the name of their group, so that nobody knows who it is."""


# --- codes ------------------------------------------------------------------------------------------


def use_code(tx: Tx, said: Said, typed: str) -> None:
    """Let a code do what it is for, here: bring its person in, or make this group the community's."""
    place = tx.place
    assert place is not None
    if place.codes_barred_until is not None and place.codes_barred_until > tx.now:
        tell(tx, here(tx, tx.person) if tx.person else place, "code.barred", until=place.codes_barred_until)
        return
    code = find_code(tx, typed)
    if code is not None and code.used_at is not None and _did_it_before(tx, place, code):
        tell(tx, here(tx, tx.person) if tx.person else place, "code.used_here")
        return
    if code is None or not is_open(tx, code):
        _wrong(tx, said, place)
        return
    place.wrong_codes, place.codes_barred_until = 0, None
    tx.session.add(place)
    if code.purpose == "person" and place.kind != "private":
        tell(tx, place, "code.seen_by_others")
    elif code.purpose == "person":
        come_in(tx, said, place, tx.session.get_one(Person, code.person_id))
    elif place.kind == "private":
        raise Refused("code.for_group")
    elif code.purpose == "staff":
        _claim(tx, place, code)
    else:
        _link(tx, place, code)
    use_up(tx, code)


def _did_it_before(tx: Tx, place: Place, code: Code) -> bool:
    """A link that is opened again, or a code that is sent twice, has done its work here."""
    if code.purpose == "person":
        return tx.person is not None and tx.person.id == code.person_id
    return (place.community_id, place.kind) == (code.community_id, code.purpose)


def _wrong(tx: Tx, said: Said, place: Place) -> None:
    """A code that opens nothing: whoever guesses has to wait longer and longer, and staff hear of it."""
    if place.wrong_codes >= MOST_SLIPS:
        place.wrong_codes = 0  # the day is over
    place.wrong_codes += 1
    slips = place.wrong_codes - FREE_SLIPS
    if place.wrong_codes >= MOST_SLIPS:
        place.codes_barred_until = tx.now + LONG_WAIT
        _tell_of_guessing(tx, said, place)
    elif slips >= 0:
        place.codes_barred_until = tx.now + FIRST_WAIT * 2**slips
    tx.session.add(place)
    to = here(tx, tx.person) if tx.person else place
    tell(tx, to, "code.wrong_own" if place.kind == "private" else "code.wrong")
    if slips >= 0:
        tell(tx, to, "code.barred", until=place.codes_barred_until)


def _tell_of_guessing(tx: Tx, said: Said, place: Place) -> None:
    """Of a chat that belongs to no community yet every admin group is told."""
    groups = select(Place.community_id).where(Place.kind == "staff").distinct()
    ids = [place.community_id] if place.community_id is not None else tx.session.exec(groups).all()
    for community_id in ids:
        if community_id is not None:
            tell_staff(
                tx,
                community_id,
                "code.guessing",
                card=stranger_card(place),
                anew=True,
                name=said.name or "—",
                times=MOST_SLIPS,
            )


def _claim(tx: Tx, place: Place, code: Code) -> None:
    """This is the admin group now; the one before on this messenger is none any more."""
    if place.kind == "board":  # every owner there would be staff
        raise Refused("code.not_in_board")
    for before in places_of_kind(tx, code.community_id, "staff"):
        if before.messenger == place.messenger and before.id != place.id:
            before.kind = "group"
            tx.session.add(before)
            _end_staff(tx, place.messenger, code.community_id)  # whoever acts in the new one is staff again
    _belongs(tx, place, code, "staff")
    begin_disclosures(tx)
    tell(tx, place, "place.claimed", community=tx.community(code.community_id).name, buttons=("link", "help"))


def _link(tx: Tx, place: Place, code: Code) -> None:
    """This is a group of the community's owners now: what is published stands there."""
    if place.kind == "staff":
        raise Refused("code.not_in_staff")
    _belongs(tx, place, code, "board")
    name = tx.community(code.community_id).name
    days = policy_of(tx, code.community_id).posts_days
    tell(tx, place, "place.linked", community=name, days=days)
    tell_staff(tx, code.community_id, "place.linked_staff")


def _end_staff(tx: Tx, messenger: str, community_id: int | None, account: str = "") -> None:
    """This account is property staff no longer, from this moment; without one, nobody on the messenger is."""
    gone = select(Account.person_id).where(
        Account.messenger == messenger, Account.community_id == community_id
    )
    if account:
        gone = gone.where(Account.external_id == account)
    ended = tx.session.exec(select(Role).where(col(Role.person_id).in_(gone), Role.role == "staff")).all()
    for role in ended:
        tx.session.delete(role)
    tx.session.flush()
    for role in ended:
        lost_a_tie(tx, tx.session.get_one(Person, role.person_id))


def _belongs(tx: Tx, place: Place, code: Code, kind: str) -> None:
    if place.kind in ("staff", "board") and place.community_id != code.community_id:
        raise Refused("code.of_others")
    place.community_id, place.kind = code.community_id, kind
    tx.session.add(place)
    tx.session.flush()


@action("link", button=True, stays=True)
def link(tx: Tx, person: Person) -> None:
    """Give staff a code that makes the owners' group the community's."""
    code = new_code(tx, person.community_id, "board", hours=LINK_HOURS)
    tell(tx, here(tx, person), "place.link", code=tx.house.vault.hide(code))


# --- who is in the admin group ----------------------------------------------------------------------


def join_staff(tx: Tx, said: Said, place: Place) -> Person | None:
    """Whoever acts in the admin group is staff; None for somebody without an account, or perhaps not in the group."""
    if place.community_id is None or said.sender in ("", ANONYMOUS):
        return None
    person = tx.person
    if said.outsider:
        return person
    if person is None:
        person = new_person(tx, place.community_id, said.name or said.sender)
        add_account(tx, person, said.messenger, said.sender)
    if "staff" not in roles_of(tx, person):
        tx.session.add(Role(community_id=person.community_id, person_id=person.id, role="staff"))
        tx.session.flush()
        tx.known.pop(("roles", person.id), None)
    return person


# --- what happens to a chat -------------------------------------------------------------------------


def changed(tx: Tx, said: Said) -> None:
    """Take note of what happened to a chat or to who is in it."""
    place, change = tx.place, said.change
    assert place is not None and change is not None
    if change.kind == "left" and place.kind == "staff" and change.account:
        _end_staff(tx, said.messenger, place.community_id, change.account)
    elif change.kind == "added" and place.kind in ("group", "staff"):
        tell(tx, place, "place.added" if place.kind == "group" else "place.back")
    elif change.kind in ("removed", "blocked"):
        place.blocked_at = tx.now
        tx.session.add(place)
    elif change.kind == "moved":
        move(tx.session, place, change.moved_to)
    elif change.kind == "undelivered":
        undelivered(tx, place, change)
    elif change.kind == "consents":
        consented(tx, place, change)


def move(session: Session, place: Place, external_id: str) -> None:
    """The messenger has given a group another id; what waits for it goes there.

    The new chat has none of the old one's messages and topics: a change would hit another message.
    """
    if external_id in ("", place.external_id):
        return
    there = session.exec(
        select(Place).where(Place.messenger == place.messenger, Place.external_id == external_id)
    ).first()
    if there is None:
        place.external_id, place.topics, place.blocked_at = external_id, {}, None
        session.add(place)
        session.flush()
        sent = update(Outgoing).where(col(Outgoing.place_id) == place.id, col(Outgoing.state) == "sent")
        session.connection().execute(sent.values(message_id=""))
        _lose_posts(session, place)
        return
    if place.kind in ("staff", "board"):  # somebody spoke there before we heard of the move
        there.community_id, there.kind = place.community_id, place.kind
    place.community_id, place.kind = None, "group"  # or it would be written to as well
    session.add_all([there, place])
    session.flush()
    _lose_posts(session, place)
    waiting = update(Outgoing).where(col(Outgoing.place_id) == place.id, col(Outgoing.state) == "waiting")
    session.connection().execute(waiting.values(place_id=there.id))
    busy = select(Talk.person_id).where(Talk.place_id == there.id)
    talks = update(Talk).where(col(Talk.place_id) == place.id, col(Talk.person_id).not_in(busy))
    session.connection().execute(talks.values(place_id=there.id))


def _lose_posts(session: Session, place: Place) -> None:
    """What members said in a group that has moved cannot be reached any more."""
    execute = session.connection().execute
    gone = update(Outgoing).where(
        col(Outgoing.place_id) == place.id, col(Outgoing.state) == "waiting", col(Outgoing.lane) == REMOVAL
    )
    execute(gone.values(state="dropped"))
    number = literal("moved ") + cast(col(Post.id), String)
    execute(update(Post).where(col(Post.place_id) == place.id).values(message_id=number, parts=[]))


def heard_in_group(tx: Tx, said: Said, place: Place) -> None:
    """A group that is no community's, or the owners': an explanation to a command, else silence."""
    if said.text.startswith("/"):
        tell(tx, place, "place.added" if place.kind == "group" else "place.in_private")
