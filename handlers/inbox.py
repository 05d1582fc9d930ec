"""The one door in: each message is kept, acts once, and is answered, or is kept with the error that it met."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, text
from sqlmodel import Session, col, select

from conversations.complaint import number_named
from conversations.errors import Refused, Unclear
from conversations.said import MOST_CHARACTERS, Said
from conversations.steps import attachments_in, file_problem, visible
from conversations.words import LANGUAGES, named_language, normal, spoken
from handlers import (
    announcement_changes,
    announcement_lists,
    announcements,
    ballots,
    board,
    complaint_answers,
    complaints,
    judge,
    listings,
    posts,
    preferences,
    reach,
    repair,
    roster_chat,
    spots,
    urging,
)
from handlers.actions import perform, stays, tap
from handlers.codes import TypedSpot, code_in, code_quoted, spot_in
from handlers.greeting import greet, show_waiting
from handlers.joining import ask_consent, begin, communities, join_buttons, use_contact
from handlers.menu import COMMANDS, IN_GROUP
from handlers.people import communities_of, is_guest, is_resident, speak_as
from handlers.places import ANONYMOUS, changed, heard_in_group, join_staff, use_code
from handlers.policy import policy_of
from handlers.repair_cards import advice, office
from handlers.talk import (
    VALUE,
    ask,
    chooses,
    end,
    expects_words,
    hear,
    here,
    interrupt,
    number_in,
    numbers,
    open_talk,
)
from handlers.tell import ANSWER, REST, URGENT, close, reader_of, shown_under, stranger_card, tell, tell_staff
from handlers.tx import House, Mark, Tx
from store.tables import Account, Community, Inbox, JoinRequest, Outgoing, Person, Place, Repair, Spot, Talk
from store.vault import Vault

HEARD_STEP = timedelta(minutes=1)
AWAY = timedelta(days=7)
MENUS = 60
LONGEST_NAME = 40
LONGEST_CRY = 500
CRY_LASTS = timedelta(minutes=30)
MOST_CRIES = 10
"""Messages in that time, in all admin groups, of one who is not in."""
JOIN_START = re.compile(r"join\.start:(\d{1,17})", re.ASCII)
ABOUT_REPAIR = re.compile(r"repair\.\w+:(\d{1,17})", re.ASCII)
CHINESE = re.compile(r"[\u3400-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{2,}")
FIND = re.compile(r"(?:/home(?:@\w+)?\s+|查户[\s:：]*)(\S.*)", re.IGNORECASE)  # whom is said at once
SAME_PRESS = timedelta(minutes=1)
ASKING = ("repair", "home", "sell", "complain", "notice")
"""Commands that ask a question of their own."""
WORN_OUT = (
    *("refused.taken", "refused.over", "refused.unknown", "roster.over", "unclear.stale", "vote.closed"),
    *("refused.not_in_charge", "refused.price_over"),
    *("vote.late", "objection.late", "objection.over"),
    *("equipment.over", "equipment.gone"),
    *("listing.over_now", "listing.waits_for_staff"),
    *("complaint.over", "complaint.answered_already"),
    *("announcement.over", "announcement.asks_nobody"),
)


@dataclass(frozen=True)
class Receipt:
    """What became of a message: `state` is done or failed; `new` is False when it had been seen before."""

    inbox_id: int
    state: str
    new: bool

    @property
    def reference(self) -> str:
        """What the person and the log call it."""
        return reference(self.inbox_id)


def reference(inbox_id: int) -> str:
    """The short name of a message, for people: 7F3A."""
    return f"{inbox_id:04X}"


def receive(session: Session, said: Said, *, house: House, now: datetime) -> Receipt:
    """Keep a message and let it act; one that was seen before acts no more.

    Raises Unclear and Refused (answer them by `reply`) and anything else (keep it by `keep_failed`), each in
    a new transaction, since this one must be rolled back.
    """
    seen, said = _seen(session, said)
    if seen is not None:
        return seen
    tx = _enter(session, said, house, now)
    route(tx, said)
    assert tx.inbox_id is not None
    return Receipt(tx.inbox_id, "done", new=True)


def reply(session: Session, said: Said, error: Unclear | Refused, *, house: House, now: datetime) -> Receipt:
    """Keep a message that was not understood or not allowed, and say so; an open question is asked again."""
    seen, said = _seen(session, said)
    if seen is not None:
        return seen
    tx = _enter(session, said, house, now)
    _explain(tx, error)
    assert tx.inbox_id is not None
    return Receipt(tx.inbox_id, "done", new=True)


def _explain(tx: Tx, error: Unclear | Refused) -> None:
    assert tx.place is not None
    if tx.said is not None and tx.said.tap and error.key in WORN_OUT:
        shown = shown_under(tx, tx.place, tx.said.on)
        # It would be refused again and again.
        if shown is not None and _holds(shown, tx.said.tap) and not _is_open_question(tx, tx.said.tap):
            close(tx, shown, _without(shown, tx.said.tap))
    if isinstance(error, Refused) and tx.talk is not None and tx.talk.id == error.ends:
        end(tx, tx.talk)
    if isinstance(error, Unclear) and tx.talk is not None and tx.person is not None:
        ask(tx, tx.person, tx.talk, lead=error.key, **error.facts)
    elif tx.person is not None:
        tell(tx, here(tx, tx.person), error.key, buttons=("my", "help"), **error.facts)
    else:
        tell(tx, tx.place, error.key, **error.facts)


def keep_failed(session: Session, said: Said, error: str, *, house: House, now: datetime) -> Receipt:
    """Keep a message with the error of ours that it met, and apologise with its reference."""
    seen, said = _seen(session, said)
    if seen is not None:
        return seen
    tx = _enter(session, said, house, now, error=error)
    assert tx.place is not None and tx.inbox_id is not None
    if tx.place.kind in ("group", "board") and not said.text.startswith("/"):
        return Receipt(tx.inbox_id, "failed", new=True)  # members talk with each other there: nobody asked us
    phone = policy_of(tx, tx.place.community_id).office_phone if tx.place.community_id else ""
    key = "failed.with_phone" if phone else "failed.plain"
    tell(
        tx,
        (tx.person and here(tx, tx.person)) or tx.place,
        key,
        reference=reference(tx.inbox_id),
        phone=phone,
    )
    return Receipt(tx.inbox_id, "failed", new=True)


def failed(session: Session) -> list[Inbox]:
    """The messages that met an error, oldest first."""
    return list(session.exec(select(Inbox).where(Inbox.state == "failed").order_by(col(Inbox.id))))


def run_again(session: Session, inbox_id: int, *, house: House, now: datetime) -> None:
    """Let a kept message act after the mend; raises as `receive` does. LookupError if it did not fail."""
    tx, said = _take_up(session, inbox_id, house, now)
    route(tx, said)


def explain_again(
    session: Session, inbox_id: int, error: Unclear | Refused, *, house: House, now: datetime
) -> None:
    """Answer a kept message that cannot act any more: it has been understood, and its sender hears why not."""
    tx, _ = _take_up(session, inbox_id, house, now)
    _explain(tx, error)


def _take_up(session: Session, inbox_id: int, house: House, now: datetime) -> tuple[Tx, Said]:
    row = session.exec(
        select(Inbox).where(Inbox.id == inbox_id, Inbox.state == "failed").with_for_update()
    ).first()
    if row is None:
        raise LookupError(inbox_id)
    said = said_in(row, house.vault).model_copy(update={"opens": None})  # that was when it came
    tx = _surroundings(session, said, house, now)
    tx.inbox_id = row.id
    row.state, row.error = "done", ""
    session.add(row)
    return tx, said


def _seen(session: Session, said: Said) -> tuple[Receipt | None, Said]:
    """What became of a message that was seen before; else None and what of it is new: some photos, perhaps."""
    if session.get_bind().dialect.name == "postgresql":  # one chat's messages act one after another
        session.connection().execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 0))"),
            {"place": f"{said.messenger} {said.place}"},
        )
    inbox = Inbox.__table__.c  # type: ignore[attr-defined]
    keys = (said.key, *said.also)
    rows = session.connection().execute(
        select(inbox.key, inbox.id, inbox.state)
        .where(inbox.messenger == said.messenger, inbox.key.in_(keys))
        .order_by(inbox.id)
    )
    seen = {row.key: Receipt(row.id, row.state, new=False) for row in rows}
    new = [number for number, key in enumerate(keys) if key not in seen]
    if not new:
        return seen[said.key], said
    if seen:
        files = tuple(said.files[number] for number in new)
        key, *also = (keys[number] for number in new)
        words = "" if said.key in seen else said.text  # an album's words come with its first photo
        said = said.model_copy(update={"key": key, "also": tuple(also), "files": files, "text": words})
    return None, said


def _enter(session: Session, said: Said, house: House, now: datetime, error: str = "") -> Tx:
    """Find who speaks and where, and write the row of the message."""
    tx = _surroundings(session, said, house, now)
    assert tx.place is not None
    row = session.connection().execute(
        insert(Inbox).returning(Inbox.__table__.c.id),  # type: ignore[attr-defined]
        {
            "community_id": tx.place.community_id,
            "messenger": said.messenger,
            "key": said.key,
            "place": said.place,
            "sender": said.sender,
            "payload": _payload(tx, said, failed=bool(error)),
            "state": "failed" if error else "done",
            "error": error,
            "received_at": said.at,
        },
    )
    tx.inbox_id = row.scalar_one()
    if said.also:
        _keep_keys(session, said, tx)
    return tx


def _payload(tx: Tx, said: Said, *, failed: bool) -> dict[str, Any]:
    """What is kept of a message: not what people say to each other in a group, unless it failed and has to be judged.

    A telephone number that was shared, and a code, which may still open something, are sealed.
    """
    place, hide = tx.place, tx.house.vault.hide
    assert place is not None
    if said.contact is not None:
        hidden = said.contact.model_copy(update={"phone": hide(said.contact.phone)})
        said = said.model_copy(update={"contact": hidden})
    if place.kind == "group" or (place.kind == "board" and not failed):
        words = said.text if said.text.startswith("/") else ""
        said = said.model_copy(update={"text": words, "files": (), "beside": (), "origin": ""})
    if code_in(said.text) or code_quoted(said.text):
        said = said.model_copy(update={"text": hide(said.text)})
    return said.model_dump(mode="json")


def said_in(row: Inbox, vault: Vault) -> Said:
    """What a row keeps, with what is sealed in it opened."""
    kept = {**row.payload, "text": vault.reveal(row.payload.get("text", ""))}
    if kept.get("contact"):
        kept["contact"] = {**kept["contact"], "phone": vault.reveal(kept["contact"]["phone"])}
    return Said.model_validate(kept)


def _keep_keys(session: Session, said: Said, tx: Tx) -> None:
    """The further messages of an album are known by their keys; what they brought stands in the first one's row."""
    rest = said.model_dump(mode="json", exclude={"text", "files", "also"})
    session.connection().execute(
        insert(Inbox),
        [
            {
                "community_id": tx.place and tx.place.community_id,
                "messenger": said.messenger,
                "key": key,
                "place": said.place,
                "sender": said.sender,
                "payload": {**rest, "key": key},
                "state": "done",
                "error": "",
                "received_at": said.at,
            }
            for key in said.also
        ],
    )


# Who speaks, where, and what they were talking about: one statement a message, since each message needs it.
SURROUNDINGS = (
    select(Place, Person, Community, Talk)
    .add_columns(Account)
    .outerjoin(
        Account,
        and_(
            col(Account.messenger) == col(Place.messenger),
            col(Account.external_id) == bindparam("sender"),
            or_(col(Place.community_id).is_(None), col(Account.community_id) == col(Place.community_id)),
        ),
    )
    .outerjoin(Person, col(Person.id) == col(Account.person_id))
    .outerjoin(Community, col(Community.id) == col(Person.community_id))
    .outerjoin(Talk, and_(col(Talk.person_id) == col(Person.id), col(Talk.place_id) == col(Place.id)))
    .where(col(Place.messenger) == bindparam("messenger"), col(Place.external_id) == bindparam("place"))
    .order_by(col(Account.id))
    .limit(1)
)


def _surroundings(session: Session, said: Said, house: House, now: datetime) -> Tx:
    """The place (made if it is new), the person and their open talk, with the place's last sign of life."""
    where = {"messenger": said.messenger, "place": said.place, "sender": said.sender}
    found = session.execute(SURROUNDINGS, where).first()
    if found is None:
        session.add(Place(messenger=said.messenger, external_id=said.place, kind=said.place_kind))
        session.flush()
        found = session.execute(SURROUNDINGS, where).one()
    place, person, community, talk, account = found
    if person is not None and place.kind == "private":
        place.person_id, place.community_id = person.id, person.community_id
    came_back = person is not None and (
        place.blocked_at is not None or (place.heard_at is not None and now - place.heard_at > AWAY)
    )
    if said.change is None or said.change.kind not in ("undelivered", "blocked"):
        if place.heard_at is None or now - place.heard_at > HEARD_STEP or place.blocked_at is not None:
            place.heard_at = now
        if said.opens is not None or said.messenger not in house.scarce:  # a page of ours opens no chat
            place.blocked_at = None
    if said.forum and not place.forum:
        place.forum = True
    tx = Tx(session, now, house, said, place, person, talk, account, came_back=came_back)
    if community is not None:
        tx.known["community", community.id] = community
    if said.opens is not None:
        reach.heard(tx, place, said.opens)
    return tx


# --- what a message means ---------------------------------------------------------------------------


def route(tx: Tx, said: Said) -> None:
    """Let a message act: as a tap, a command, an answer of the open talk, a typed button, or a free sentence."""
    place = tx.place
    assert place is not None
    if len(said.text) > MOST_CHARACTERS:
        raise Unclear("unclear.long", max=MOST_CHARACTERS, length=len(said.text))
    if _is_about_the_chat(tx, said, place):
        return
    spot = spot_in(visible(said.text)) if not (said.tap or said.files or said.edited) else None
    if spot is not None and _takes_spot(tx, said, place, spot):
        return
    person = tx.person
    if person is None:
        _stranger(tx, said, place)
        return
    if (place.kind == "private" or said.outsider) and not _has_agreed(tx, said):
        if said.outsider:  # whoever is in the group works there, and is asked in their own chat
            raise Refused("refused.not_yours")
        _before_consent(tx, person, said)
        return
    _act(tx, person, place, said)
    if tx.came_back and place.kind == "private":
        show_waiting(tx, person)


def _has_agreed(tx: Tx, said: Said) -> bool:
    """Whether the holder agreed to what is stored; an emergency that they reported, or that calls them, waits not."""
    if tx.account is None or tx.account.agreed_at is not None:
        return True
    return _is_about_emergency(tx, said.tap) or _says_where(tx, said)


def _is_about_emergency(tx: Tx, value: str) -> bool:
    about = ABOUT_REPAIR.fullmatch(value)
    repair = tx.session.get(Repair, int(about[1])) if about else None
    return repair is not None and repair.urgent


def _says_where(tx: Tx, said: Said) -> bool:
    """Whether it answers where the emergency is."""
    if tx.talk is None or tx.talk.script != "emergency":
        return False
    return bool(VALUE.fullmatch(said.tap)) if said.tap else normal(said.text) not in spoken("command")


def _before_consent(tx: Tx, person: Person, said: Said) -> None:
    """Only consent, the language, and an emergency."""
    chosen = spoken("consent").get(normal(said.text), "")
    name = said.tap or (f"consent.{chosen}" if chosen else "")
    words = visible(said.text)
    if name in ("consent.agree", "consent.refuse") or name.startswith("join.as:"):
        tap(tx, person, name)
        return
    if name == "language" or COMMANDS.get(spoken("command").get(normal(said.text), "")) == "language":
        perform(tx, person, "language")
    elif words and _is_urgent(tx, person, words):
        repair.read_free(tx, person, words, attachments_in(said))
        return
    elif is_guest(tx, person):
        _in_danger(tx, said, tx.community(person.community_id), person)
    ask_consent(tx, person, again=bool(words))


def _act(tx: Tx, person: Person, place: Place, said: Said) -> None:
    talk = tx.talk
    if is_guest(tx, person):
        community = tx.community(person.community_id)
        if _in_danger(tx, said, community, person):
            _ask_again(tx, person, talk)
            return
        if _adds_to_a_cry(tx, said, community, person):
            return
    if said.edited:
        _edited(tx, person, talk, said)
        return
    command = spoken("command").get(normal(said.text))
    sought = FIND.fullmatch(said.text.strip()) if place.kind == "staff" else None
    if said.tap:
        _tap(tx, person, talk, said)
    elif sought is not None:
        perform(tx, person, "home.found", home=sought[1])
        _ask_again(tx, person, talk)
    elif (
        _says_at_once(tx, person, place, said)
        or _about_complaint(tx, person, talk, said)
        or _tells_all(tx, person, talk, said)
    ):
        _ask_again(tx, person, talk)
    elif command:
        in_group = place.kind == "staff" and command in IN_GROUP
        perform(tx, person, IN_GROUP[command] if in_group else COMMANDS[command])
        if command not in ASKING and not (place.kind == "staff" and command == "thanks"):
            _ask_again(tx, person, talk)
    elif place.kind == "staff" and normal(said.text) in spoken("chatter"):
        return  # said to a colleague
    elif talk is not None:
        _hear(tx, person, talk, said)
    elif not _typed_button(tx, person, place, said):
        _free(tx, person, place, said)


def _says_at_once(tx: Tx, person: Person, place: Place, said: Said) -> bool:
    """Take a command that says what it is about: "/board 自行车", "/sell 书桌 180", "免打扰 7天"."""
    span = preferences.muted_in(said.text) if place.kind == "private" else ""
    goods = board.sought_in(said.text)
    offer = listings.offered_in(said.text) if place.kind == "private" else ""
    if span:
        perform(tx, person, f"quiet.for:{span}")
    elif place.kind == "private" and preferences.asks_to_mute(said.text):
        perform(tx, person, "mute")
        return True
    elif goods:
        perform(tx, person, "board", words=goods)
    elif offer:
        perform(tx, person, "listing.start", text=offer, files=attachments_in(said))
    return bool(span or goods or offer)


def _about_complaint(tx: Tx, person: Person, talk: Talk | None, said: Said) -> bool:
    """Take a complaint that comes with its command, or the number of one; in the midst of a talk words are answers."""
    if said.place_kind != "private":
        return False
    asks = said.text.startswith("/") or number_named(said.text) is not None
    if talk is not None and not asks:
        return False
    return complaints.take_typed(tx, person, said.text, attachments_in(said))


def _tells_all(tx: Tx, person: Person, talk: Talk | None, said: Said) -> bool:
    """Take a notice whose words are said at once, "/notice 明天停水", or the number of one to be shown."""
    number = announcement_lists.number_named(said.text) if talk is None else None
    if number is not None:
        announcement_lists.show_numbered(tx, person, number)
        return True
    notice = announcements.told_in(said.text)
    if notice:
        perform(tx, person, "announcement.start", text=notice)
    return bool(notice)


def _is_about_the_chat(tx: Tx, said: Said, place: Place) -> bool:
    """Take what concerns the chat itself: who came and went, a code, words in a group that is not the staff's.

    In the staff's own, what one of them replies to a card of ours.
    """
    if said.change is not None:
        changed(tx, said)
        if place.kind == "board":
            posts.changed(tx, place, said.change)
        return True
    if said.contact is not None and place.kind == "private":
        use_contact(tx, said, place)
        return True
    code = code_in(said.text)
    # In groups people say all sorts of words, and so do those who are in already.
    alone = place.kind == "private" and (tx.person is None or is_guest(tx, tx.person))
    if not code and alone and spot_in(said.text) is None:  # "start P7K2R" looks like both halves of one
        code = code_quoted(said.text)
    if code and (alone or said.text.startswith("/")):
        use_code(tx, said, code)
        return True
    if place.kind in ("group", "board"):
        if said.tap.startswith(REST) and tx.person is not None and place.kind == "board":
            with suppress(Refused):  # a forged button: not a word to the whole community
                tap(tx, tx.person, said.tap)
        elif place.kind == "group" or said.tap or posts.heard(tx, said, place):
            heard_in_group(tx, said, place)
        return True
    if place.kind == "staff":
        tx.person = join_staff(tx, said, place)
        return complaint_answers.take_reply(tx, tx.person, said)
    return False


def _takes_spot(tx: Tx, said: Said, place: Place, typed: TypedSpot) -> bool:
    """Take the code of a spot; False if it is none, or only words."""
    spot, person = spots.find(tx, typed), tx.person
    if place.kind != "private":
        if spot is None or person is None or place.kind != "staff" or said.outsider:
            return False
        if spot.community_id == person.community_id:
            spots.in_group(tx, person, spot)
        return spot.community_id == person.community_id
    if spot is None or spot.retired_at is not None:
        return _wrong_spot(tx, place, typed, spot)
    if person is None:
        _outsider_at(tx, said, place, None, spot)
        return True
    there = [account for account, community in communities_of(tx) if community.id == spot.community_id]
    if not there:
        community = tx.community(spot.community_id)
        phone = office(tx, spot.community_id)
        tell(tx, person, "spot.elsewhere", community=community.name, phone=phone, buttons=("help",))
        _ask_again(tx, person, tx.talk)
        return True
    if spot.community_id != person.community_id:
        person = spots.go_there(tx, person, there[0])
    if not _has_agreed(tx, said):
        tell(tx, person, "spot.before_consent", where=spots.whereabouts(spot))
        ask_consent(tx, person)
    elif is_guest(tx, person):
        _outsider_at(tx, said, place, person, spot)
    else:
        spots.scanned(tx, person, spot)
    return True


def _wrong_spot(tx: Tx, place: Place, typed: TypedSpot, retired: Spot | None) -> bool:
    """Say that a code leads nowhere; False where more is to be said, or where the words may be an answer."""
    meant = typed.named and (tx.talk is None or typed.is_formed)
    if retired is None and not meant:
        return False
    key = "spot.unknown" if retired is None else "spot.retired"
    if tx.person is None:  # who then hears how to come in
        tell(tx, place, key, code=typed.code)
        return False
    if tx.account is not None and tx.account.agreed_at is None:
        return False
    raise Unclear(key, code=typed.code)


def _outsider_at(tx: Tx, said: Said, place: Place, guest: Person | None, spot: Spot) -> None:
    """Somebody who is not in stands at a spot: it is noted, it goes along with a cry, and they hear how to come in."""
    if guest is None:
        place.community_id = spot.community_id
    spots.note(tx, said, place, guest, spot)
    community = tx.community(spot.community_id)
    where = said.model_copy(update={"text": tx.reader(community.id).show(spots.whereabouts(spot))})
    if _adds_to_a_cry(tx, where, community, guest):
        return
    if guest is None:
        _stranger(tx, said.model_copy(update={"text": "/start"}), place)
    else:
        greet(tx, guest)
        _ask_again(tx, guest, tx.talk)


def _edited(tx: Tx, person: Person, talk: Talk | None, said: Said) -> None:
    """A text that was sent before says something else now: what is urgent counts, and else what was noted stands."""
    assert tx.place is not None
    if tx.place.kind != "private":
        return
    words = visible(said.text)
    if not words or not _is_urgent(tx, person, words):
        raise Unclear("unclear.edited" if talk is not None else "unclear.edited_late")
    if talk is None or not interrupt(tx, person, talk, words, ()):
        repair.read_free(tx, person, words)


def _tap(tx: Tx, person: Person, talk: Talk | None, said: Said) -> None:
    """A button; its message then shows what was chosen, and loses the buttons that have done their work."""
    assert tx.place is not None
    shown = shown_under(tx, tx.place, said.on)
    if shown is not None and shown.community_id not in (None, person.community_id):
        person, talk = _as_in(tx, person, shown.community_id), None
        if not _has_agreed(tx, said):  # here they have, there they have not
            _before_consent(tx, person, said)
            return
    if shown is not None and not _holds(shown, said.tap) and _tapped_before(tx, said):
        return  # a second press of the same button
    if shown is not None and _holds(shown, said.tap) and not stays(said.tap):
        tx.mark = _mark(tx, person, tx.place, shown, said.tap)
    _tap_in_talk(tx, person, talk, said)
    if shown is not None and tx.mark is not None and not tx.mark.used:
        close(tx, shown, _without(shown, said.tap))


def _as_in(tx: Tx, person: Person, community_id: int) -> Person:
    """Who the sender is in another of their communities: a button acts where its message came from."""
    found = [account for account, community in communities_of(tx) if community.id == community_id]
    return speak_as(tx, found[0]) if found else person


def _holds(row: Outgoing, value: str) -> bool:
    return any(button["value"] == value for button in row.buttons)


def _is_open_question(tx: Tx, value: str) -> bool:
    """Whether a question's button belongs to a talk that somebody still has open, perhaps another of the group."""
    question = VALUE.fullmatch(value)
    return question is not None and tx.session.get(Talk, int(question[1])) is not None


def _without(row: Outgoing, value: str) -> list[dict[str, str]]:
    """The buttons that are left: of a question none, else those about other matters."""
    about = value.partition(":")[2]
    return [
        button
        for button in row.buttons
        if not VALUE.fullmatch(value) and button["value"].partition(":")[2] != about
    ]


def _mark(tx: Tx, person: Person, place: Place, row: Outgoing, value: str) -> Mark:
    label = next(button["label"] for button in row.buttons if button["value"] == value)
    reader = reader_of(tx, person if place.kind == "private" else place)
    key = "mark.chosen" if place.kind == "private" else "mark.chosen_by"
    assert row.card is not None
    return Mark(
        row.card, place.id, reader.say(key, label=label[:LONGEST_NAME], who=person.name[:LONGEST_NAME])
    )


def _tapped_before(tx: Tx, said: Said) -> bool:
    """Whether the same person has tapped the same button a moment ago."""
    recent = tx.session.exec(
        select(Inbox)
        .where(Inbox.messenger == said.messenger, Inbox.place == said.place, Inbox.id != tx.inbox_id)
        .where(Inbox.received_at > said.at - SAME_PRESS)
        .order_by(col(Inbox.id).desc())
        .limit(MENUS)
    )
    same = (said.sender, said.tap, said.on)
    return any((row.sender, row.payload.get("tap"), row.payload.get("on")) == same for row in recent)


def _tap_in_talk(tx: Tx, person: Person, talk: Talk | None, said: Said) -> None:
    question = VALUE.fullmatch(said.tap)
    asked = tx.session.get(Talk, int(question[1])) if question is not None else None
    if question is None:
        tap(tx, person, said.tap)
    elif asked is not None and tx.place is not None and asked.place_id == tx.place.id:
        if asked.person_id != person.id:
            raise Refused("refused.others_question", who=tx.session.get_one(Person, asked.person_id).name)
        hear(tx, person, asked, said)
    elif talk is None:
        raise Unclear("unclear.stale")
    else:
        hear(tx, person, talk, said)


def _ask_again(tx: Tx, person: Person, before: Talk | None) -> None:
    """After a command in mid-talk, come back to the open question."""
    if before is None or tx.place is None:
        return
    talk = open_talk(tx, person, tx.place)
    if talk is not None and talk.id == before.id:
        ask(tx, person, talk, lead="talk.where_we_were")


def _hear(tx: Tx, person: Person, talk: Talk, said: Said) -> None:
    """An answer; but a typed button of another message is a button, and what sounds urgent waits for no form."""
    assert tx.place is not None
    words = visible(said.text)
    if words and not chooses(tx, person, talk, said.text):
        caption = any(not file.heard for file in said.files)  # which is no button
        button = not expects_words(tx, person, talk) and not caption
        if button and _tap_labelled(tx, person, tx.place, said, normal(words)):
            return
        if _is_urgent(tx, person, words):
            files = attachments_in(said)
            if not interrupt(tx, person, talk, words, files):
                repair.read_free(tx, person, words, files)
            return
    hear(tx, person, talk, said)


def _is_urgent(tx: Tx, person: Person, words: str) -> bool:
    if not is_resident(tx, person):
        return False
    return judge.urgency(tx, person.community_id, words, person.language).verdict == "urgent"


def _typed_button(tx: Tx, person: Person, place: Place, said: Said) -> bool:
    """A number of the last menu in this chat, or the label of a button that stands in it: perform it.

    "接单 17" chooses between several messages with the same label.
    """
    word = normal(said.text)
    if not word:
        return False
    numbered = _numbered(tx, place, word) if place.kind != "staff" else ""  # there numbers are said to people
    if numbered:
        tap(tx, person, numbered)
        return True
    return (
        _says_read(tx, person, place, word)
        or _tap_labelled(tx, person, place, said, word)
        or _says_whether_repaired(tx, person, place, word)
        or (place.kind == "private" and urging.urge_typed(tx, person, word))
        or _says_ballot(tx, person, place, word)
    )


def _says_read(tx: Tx, person: Person, place: Place, word: str) -> bool:
    """A reader says in words of their own that they have read a notice: the latest that asks for it still.

    Not one that was withdrawn, whose button stands where no message can be changed.
    """
    if place.kind != "private" or word not in spoken("read"):
        return False
    standing, _ = _menus(tx, place)
    values = [
        b["value"] for row in standing for b in row.buttons if b["value"].startswith("announcement.read:")
    ]
    asking = [value for value in values if announcement_changes.asks_still(tx, person, value)]
    for value in (asking or values)[:1]:
        tap(tx, person, value)
    return bool(values)


def _says_whether_repaired(tx: Tx, person: Person, place: Place, word: str) -> bool:
    """An owner whose repair waits for their word says it in words of their own."""
    meant = spoken("repaired").get(word) or (
        "dispute" if any(word.startswith(each) for each in _disputes()) else ""
    )
    standing, _ = _menus(tx, place) if meant else ([], [])
    values = [b["value"] for row in standing for b in row.buttons if b["value"].startswith("repair.confirm:")]
    if not values:
        return False
    tap(tx, person, values[0].replace("repair.confirm", f"repair.{meant}"))
    return True


def _says_ballot(tx: Tx, person: Person, place: Place, word: str) -> bool:
    """An owner says in words of their own what they choose; where no ballot lies before them, they hear why."""
    if place.kind != "private":  # colleagues agree with each other
        return False
    meant = spoken("ballot").get(word)
    choosing = ballots.is_choosing(tx, person.community_id)
    if not (meant or choosing):
        return False
    standing, _ = _menus(tx, place)
    buttons = [button["value"] for row in standing for button in row.buttons]
    said = dict.fromkeys(each for each in buttons if meant and each.startswith(f"ballot.{meant}:"))
    values = ballots.still_open(tx, person, said)
    if len(values) > 1:
        several = ballots.votes_among(tx, values) > 1
        raise Unclear("ballot.which" if several else "ballot.which_owner")
    for value in values:
        tap(tx, person, value)
    if values:
        return True
    lies = [
        b["value"] for row in standing[:1] for b in row.buttons if b["value"].startswith("ballot.choose:")
    ]
    picked = ballots.picked_by_name(tx, lies, word) if choosing else None
    if picked is not None:
        perform(tx, person, picked[0], picked=picked[1])
        return True
    return bool(meant) and ballots.answer_without_ballot(tx, person)


def _disputes() -> list[str]:
    return [word for word, meant in spoken("repaired").items() if meant == "dispute"]


def _typed_value(tx: Tx, place: Place, said: Said) -> str:
    """The button that a stranger typed: by its number, or by its label."""
    word = normal(said.text)
    standing, _ = _menus(tx, place) if word else ([], [])
    return _numbered(tx, place, word) or next(iter(_labelled(standing, word)), "")


def _numbered(tx: Tx, place: Place, word: str) -> str:
    """The button of the last menu whose number was typed; empty if none was.

    Also one that has done its work: the number still stands there, and must not mean another menu's button.
    """
    number = number_in(word)
    if not (number.isdigit() and len(number) < 3):
        return ""
    rows = _last_sent(tx, place)
    first = {row.message_id: row.id for row in rows}
    shown = [
        row
        for row in rows
        if row.change in ("send", "edit") and _has_actions(row) and any(numbers(row.buttons))
    ]
    if not shown:
        return ""
    buttons = max(shown, key=lambda row: (first[row.message_id], row.id)).buttons
    chosen = zip(numbers(buttons), buttons, strict=True)
    return next((each["value"] for shown, each in chosen if shown == number), "")


def _tap_labelled(tx: Tx, person: Person, place: Place, said: Said, word: str) -> bool:
    """Perform the button of this label; one that has gone meanwhile says why it has."""
    standing, gone = _menus(tx, place)
    values = ballots.still_open(tx, person, _labelled(standing, word) or _labelled(gone, word))
    if len(values) > 1 and ballots.votes_among(tx, values) == 1:
        raise Unclear("ballot.which_owner")
    if len(values) > 1 and not values[0].startswith(REST):  # of long texts the latest is meant
        numbered = any(
            b.get("number") for row in standing + gone for b in row.buttons if b["value"] in values
        )
        raise Unclear("unclear.which" if numbered else "unclear.which_card", label=said.text.strip())
    for value in values[:1]:
        tap(tx, person, value)
    return bool(values)


def _menus(tx: Tx, place: Place) -> tuple[list[Outgoing], list[Outgoing]]:
    """The last messages of a chat with buttons of actions, the latest first: those that stand, and changed ones.

    An edited card stands where it was first sent, with its present buttons.
    """
    rows = _last_sent(tx, place)
    first = {row.message_id: row for row in rows}
    latest: dict[str, Outgoing] = {}
    gone: list[Outgoing] = []
    for row in rows:
        if latest.setdefault(row.card or row.message_id, row) is not row and _has_actions(row):
            gone.append(row)
    standing = sorted(filter(_has_actions, latest.values()), key=lambda row: -first[row.message_id].id)
    return standing, gone


def _last_sent(tx: Tx, place: Place) -> Sequence[Outgoing]:
    """The last messages of a chat and their changes, the latest first."""
    sent = select(Outgoing).where(Outgoing.place_id == place.id, Outgoing.state == "sent")
    return tx.session.exec(sent.order_by(col(Outgoing.id).desc()).limit(MENUS)).all()


def _has_actions(row: Outgoing) -> bool:
    return bool(row.buttons) and not any(VALUE.fullmatch(button["value"]) for button in row.buttons)


def _labelled(menus: list[Outgoing], word: str) -> list[str]:
    """The actions whose label was typed, alone or followed by the number of the matter, the latest first."""
    buttons = [button for row in menus for button in row.buttons]
    alone = [button["value"] for button in buttons if normal(button["label"]) == word]
    match = re.fullmatch(r"(\D+)(\d{1,9})", word)
    if not alone and match is not None:
        numbered = (match[1], match[2])
        alone = [b["value"] for b in buttons if (normal(b["label"]), b.get("number")) == numbered]
    return list(dict.fromkeys(alone))


def _free(tx: Tx, person: Person, place: Place, said: Said) -> None:
    """A free sentence or a lone photo or recording, outside any talk."""
    words = visible(said.text)
    if place.kind == "staff":
        if words.startswith("/"):
            perform(tx, person, "help")
        for file in filter(roster_chat.is_roster, said.files):
            roster_chat.take_file(tx, person, file)
        return  # staff talk with each other there: we do not interrupt
    files = attachments_in(said)
    if listings.read_free(tx, person, words, files) or complaints.read_free(tx, person, words, files):
        problem = file_problem(said)
        if problem:
            tell(tx, person, problem)
        return
    if (words or files) and repair.read_free(tx, person, words, files):
        problem = file_problem(said, recordings=True)
        if problem:
            tell(tx, person, problem)
        return
    problem = file_problem(said)
    if problem:
        raise Unclear(problem)
    if spoken("control").get(normal(words)):
        raise Unclear("unclear.no_talk")
    if not words:
        raise Unclear("unclear.kind")
    if is_resident(tx, person):
        raise Unclear("unclear.free", phone=office(tx, person.community_id))
    if is_guest(tx, person):
        perform(tx, person, "help")
        return
    raise Unclear("unclear.free_work")


def _stranger(tx: Tx, said: Said, place: Place) -> None:
    """Somebody whom no community knows: how to come in, and in danger what to do."""
    if place.kind != "private":
        if said.sender == ANONYMOUS and (said.tap or said.text.startswith("/")):
            tell(tx, place, "place.anonymous")
        elif said.outsider:
            tell(tx, place, "place.who_is_it", who=said.name)
        return
    found, reads = communities(tx, place), _reads(said)
    said = said.model_copy(update={"language": reads}) if reads else said
    asked = JOIN_START.fullmatch(said.tap or _typed_value(tx, place, said))
    if asked is not None and int(asked[1]) in [each.id for each in found]:
        begin(tx, said, place, int(asked[1]))
        return
    community = found[0] if len(found) == 1 else None
    if community is not None:
        place.community_id = community.id  # so that it reads the community's language
        if COMMANDS.get(spoken("command").get(normal(said.text), "")) == "join":
            begin(tx, said, place, community.id)
            return
        if not _in_danger(tx, said, community, None) and _adds_to_a_cry(tx, said, community, None):
            return
    one = "stranger.plain"
    if community is not None and _names_something_to_repair(tx, community, said):
        one = "stranger.not_taken"
    tell(
        tx,
        place,
        one if community else "stranger.several" if found else "stranger.nowhere",
        lane=ANSWER,
        reads=reads,
        buttons=join_buttons(tx, place) if found else (),
        community=community.name if community else "",
        phone=(policy_of(tx, community.id).office_phone if community else "") or "—",
    )
    if found and place.messenger not in tx.house.no_contact:
        tell(tx, place, "stranger.contact", lane=ANSWER, keyboard="contact", reads=reads)


def _names_something_to_repair(tx: Tx, community: Community, said: Said) -> bool:
    """Whether a stranger has reported something: they must not believe that it is in hand."""
    words = visible(said.text)
    return bool(words) and judge.urgency(tx, community.id, words).kind != "other"


def _who_cries(tx: Tx, said: Said, guest: Person | None) -> str:
    """The account's name, and where a guest said to live: staff have nowhere else to go."""
    asked = select(JoinRequest).where(JoinRequest.person_id == guest.id) if guest is not None else None
    latest = (
        tx.session.exec(asked.order_by(col(JoinRequest.id).desc())).first() if asked is not None else None
    )
    claimed = [f"{latest.name} · {latest.home}"] if latest is not None else []
    return " · ".join(filter(None, [said.name, *claimed])) or "—"


def _reads(said: Said) -> str:
    """The language of a stranger: named, written, or that of their messenger; "" if nothing tells."""
    named = named_language(said.text)
    if named or CHINESE.search(said.text):
        return named or "zh"
    if not said.text.startswith("/") and len(LATIN.findall(said.text)) > 1:
        return "en"
    return said.language if said.language in LANGUAGES else ""


def _adds_to_a_cry(tx: Tx, said: Said, community: Community, guest: Person | None) -> bool:
    """What somebody who is not in writes after a cry of danger, such as where they are, reaches staff, too."""
    place, words = tx.place, visible(said.text)
    assert place is not None
    if not words or tx.talk is not None or normal(words) in spoken("command") or said.tap:
        return False
    cries = select(func.count(), func.max(Outgoing.created_at)).where(
        Outgoing.card == stranger_card(place), Outgoing.created_at > tx.now - CRY_LASTS
    )
    count, last = tx.session.exec(cries).one()
    if last is None or count >= MOST_CRIES:
        return False
    _tell_staff_of_cry(tx, said, community, guest, words)
    phone = policy_of(tx, community.id).office_phone or "—"
    tell(
        tx,
        guest or place,
        "stranger.passed_on",
        lane=URGENT,
        reads="" if guest else _reads(said),
        phone=phone,
    )
    return True


def _tell_staff_of_cry(tx: Tx, said: Said, community: Community, guest: Person | None, words: str) -> None:
    assert tx.place is not None
    words, spot = words[:LONGEST_CRY], spots.noted(tx, tx.place)
    if spot is not None and spot.community_id == community.id:
        where = tx.reader(community.id).show(spots.whereabouts(spot))
        words = words if where in words else f"{words} · {where}"
    tell_staff(
        tx,
        community.id,
        "stranger.staff",
        card=stranger_card(tx.place),
        anew=True,
        lane=URGENT,
        name=_who_cries(tx, said, guest),
        what=words,
    )


def _in_danger(tx: Tx, said: Said, community: Community, guest: Person | None) -> bool:
    """Whoever is not in gets advice and the office's number; staff hear of it, since nobody else will come."""
    place, words = tx.place, visible(said.text)
    assert place is not None
    is_command = normal(words) in spoken("command")  # "help" alone asks what one can do
    verdict = judge.urgency(tx, community.id, words) if words and not is_command else None
    if verdict is None or verdict.verdict == "normal":
        return False
    phone = policy_of(tx, community.id).office_phone or "—"
    tell(
        tx,
        guest or place,
        "stranger.urgent",
        lane=URGENT,
        reads="" if guest is not None else _reads(said),
        advice=advice(verdict.kind),
        phone=phone,
    )
    _tell_staff_of_cry(tx, said, community, guest, words)
    return True
