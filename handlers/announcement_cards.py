"""What is said of a notice: its words, for whom it is, what became of its copies, its card in the admin group."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, func, select

from conversations.words import Reader, Say
from handlers import matters, public
from handlers.notices import know_audience, notify, post
from handlers.repair_cards import cut_short
from handlers.tell import NEWS, Button, tell, tell_staff
from handlers.tx import Tx
from store.tables import Announcement, Edition, Home, HomeRole, Notice, Outgoing, Person, Reading, Talk

OUT = ("sent", "withdrawn")
"""The states of what its readers have got."""
TO_COME = ("scheduled", "asks")
BRIEF = 24


def about(announcement: Announcement) -> str:
    """The name of a notice, by which its copies and its line of the board are found."""
    return f"announcement:{announcement.id}"


def of_announcement(tx: Tx, talk: Talk) -> Announcement | None:
    """The notice that a talk is about; None for a new one."""
    _, _, number = talk.about.partition(":")
    return tx.session.get_one(Announcement, int(number)) if number else None


def edition_of(tx: Tx, announcement: Announcement) -> Edition:
    """The edition of a notice that counts."""
    which = (Edition.announcement_id == announcement.id, Edition.version == announcement.version)
    return tx.session.exec(select(Edition).where(*which)).one()


def editions_of(tx: Tx, announcement: Announcement) -> Sequence[Edition]:
    """All editions of a notice, the oldest first."""
    theirs = select(Edition).where(Edition.announcement_id == announcement.id)
    return tx.session.exec(theirs.order_by(col(Edition.version))).all()


def files_of(tx: Tx, edition: Edition) -> list[int]:
    """The ids of the photos and files of an edition."""
    return matters.files_of(tx, f"edition:{edition.id}")


# --- for whom ---------------------------------------------------------------------------------------


def is_for_all(audience: Mapping[str, Any]) -> bool:
    """Whether everybody may read it, and it stands in the community's group: not what is for owners only."""
    return not (audience.get("places") or audience.get("owners"))


def ties_in(audience: Mapping[str, Any]) -> ColumnElement[bool]:
    """Which ties of people to homes make a notice theirs; of HomeRole joined with Home."""
    chosen: list[ColumnElement[bool]] = [] if not audience.get("owners") else [col(HomeRole.role) == "owner"]
    places = [
        and_(col(Home.building) == building, *(col(Home.entrance) == each for each in entrance))
        for building, *entrance in audience.get("places") or ()
    ]
    return and_(col(HomeRole.id).is_not(None), *chosen, *([or_(*places)] if places else []))


def readers_in(audience: Mapping[str, Any]) -> ColumnElement[bool]:
    """The people for whom a notice is."""
    tied = select(HomeRole.person_id).join(Home, col(Home.id) == col(HomeRole.home_id))
    return col(Person.id).in_(tied.where(ties_in(audience)))


def has_copy(number: int) -> ColumnElement[bool]:
    """The people whom an edition of a notice has reached."""
    got = select(Outgoing.person_id).where(
        Outgoing.card == f"board:announcement:{number}",
        col(Outgoing.notice_id).is_not(None),
        Outgoing.change == "send",
        col(Outgoing.state).in_(["sent", "digested"]),
    )
    return col(Person.id).in_(got)


def has_read(number: int, version: int) -> ColumnElement[bool]:
    """The people who said that they have read an edition of a notice."""
    read = select(Reading.person_id).where(Reading.announcement_id == number, Reading.version == version)
    return col(Person.id).in_(read)


def audience_of(announcement: Announcement, kind: str = "announcement") -> str:
    """An audience by which a notice is sent; it holds all that it needs, since a batch of it reads nothing else.

    announcement: whom it is for; editions: they, and whoever got an earlier edition; copies: who got any; unread: whom
    it is for and who have not read the edition that counts.
    """
    facts = {"id": announcement.id, "version": announcement.version, "for": announcement.audience}
    return f"{kind}:{json.dumps(facts, ensure_ascii=False)}"


def _known_audiences() -> None:
    def readers(facts: str) -> ColumnElement[bool]:
        return readers_in(json.loads(facts)["for"])

    def copies(facts: str) -> ColumnElement[bool]:
        return has_copy(json.loads(facts)["id"])

    def unread(facts: str) -> ColumnElement[bool]:
        found = json.loads(facts)
        return and_(readers_in(found["for"]), ~has_read(found["id"], found["version"]))

    know_audience("announcement", readers)
    know_audience("editions", lambda facts: or_(readers(facts), copies(facts)))
    know_audience("copies", copies)
    know_audience("unread", unread)


_known_audiences()


def is_reader(tx: Tx, person: Person, announcement: Announcement) -> bool:
    """Whether a notice is for somebody."""
    theirs = select(Person.id).where(Person.id == person.id, readers_in(announcement.audience))
    return tx.session.exec(theirs).first() is not None


def has_read_it(tx: Tx, person: Person, announcement: Announcement) -> bool:
    """Whether somebody has said that they have read the edition that counts."""
    read = select(Person.id).where(Person.id == person.id, has_read(announcement.id, announcement.version))
    return tx.session.exec(read).first() is not None


def count_of(
    tx: Tx, community_id: int, audience: Mapping[str, Any], *which: ColumnElement[bool]
) -> tuple[int, int]:
    """How many homes and how many people a notice is for, or those of them of whom something else is true."""
    tied = (
        select(
            func.count(func.distinct(col(HomeRole.home_id))),
            func.count(func.distinct(col(HomeRole.person_id))),
        )
        .join(Home, col(Home.id) == col(HomeRole.home_id))
        .join(Person, col(Person.id) == col(HomeRole.person_id))
        .where(HomeRole.community_id == community_id, ties_in(audience), *which)
    )
    homes, people = tx.session.exec(tied).one()
    return homes, people


def audience_words(audience: Mapping[str, Any]) -> Say:
    """For whom it is, in words."""
    places = [
        Say("announcement.entrance", building=Say("where.building", building=building), entrance=entrance[0])
        if entrance
        else Say("where.building", building=building)
        for building, *entrance in audience.get("places") or ()
    ]
    whose = "announcement.owners_of" if audience.get("owners") else "announcement.everybody_of"
    return Say(whose, where=places or Say("announcement.all_places"))


# --- its words --------------------------------------------------------------------------------------


def content(announcement: Announcement, title: str, text: str, version: int) -> Say:
    """A notice as its readers see it, before it is sent or afterwards."""
    begins = " ".join(text.split()).startswith(title.removesuffix("…"))
    number = Say("announcement.number_mark", number=announcement.number) if announcement.number else ""
    topic = (
        Say("announcement.topic_mark", topic=Say(f"announcement.topic.{announcement.topic}"))
        if announcement.topic
        else ""
    )
    return Say(
        "announcement.words",
        mark=Say("announcement.mark_urgent" if announcement.urgent else "announcement.mark"),
        number=number,
        edition=Say("announcement.edition_mark", version=version) if version > 1 else "",
        topic=topic,
        title="" if begins else Say("announcement.title_mark", title=title),
        text=text,
        ask=Say("announcement.read_mark") if announcement.receipt else "",
    )


def content_of(tx: Tx, announcement: Announcement) -> Say:
    """The edition that counts, as its readers see it."""
    edition = edition_of(tx, announcement)
    return content(announcement, edition.title, edition.text, edition.version)


def brief(tx: Tx, announcement: Announcement) -> str:
    """Its title in one short line."""
    return cut_short(edition_of(tx, announcement).title, BRIEF)


def board_facts(tx: Tx, announcement: Announcement) -> dict[str, Any]:
    """What the board says of it."""
    words = content_of(tx, announcement)
    if announcement.state == "withdrawn":
        return {"shown": Say("announcement.void", reason=_reason(tx, announcement), shown=words)}
    return {"shown": words}


def _reason(tx: Tx, announcement: Announcement) -> str:
    """Why it was withdrawn."""
    events = [each for each in matters.events_of(tx, about(announcement)) if "reason" in each.facts]
    return str(events[-1].facts["reason"]) if events else ""


# --- sent -------------------------------------------------------------------------------------------


def show_on_board(tx: Tx, announcement: Announcement) -> None:
    """Let the community's group show it, if it is for all; and its line of the public page."""
    tx.session.add(announcement)
    tx.session.flush()
    if is_for_all(announcement.audience):
        files = files_of(tx, edition_of(tx, announcement)) if announcement.state == "sent" else ()
        shown = board_facts(tx, announcement)
        post(
            tx,
            announcement.community_id,
            "announcement.notice",
            about=about(announcement),
            photos=files,
            **shown,
        )
    else:
        public.put(tx, about(announcement))


def send_copies(tx: Tx, announcement: Announcement, audience: str) -> None:
    """Put it into the own chat of everybody whom it is for, in batches that follow; the urgent before other news."""
    _notify(
        tx,
        announcement,
        "announcement.notice",
        audience,
        photos=files_of(tx, edition_of(tx, announcement)),
        buttons=read_buttons(announcement),
        shown=content_of(tx, announcement),
    )


def tell_readers(tx: Tx, announcement: Announcement, key: str, audience: str, **options: Any) -> None:
    """Say something about a notice to those whom it has reached; under a name of its own, since it changes no copy."""
    facts = {"number": announcement.number, "title": brief(tx, announcement)}
    _notify(tx, announcement, key, audience, about=f"about_{about(announcement)}", **facts, **options)


def _notify(tx: Tx, announcement: Announcement, key: str, audience: str, **options: Any) -> None:
    urgent = {"lane": NEWS} if announcement.urgent else {"wish": "announcement"}
    given = {"about": about(announcement), "silent": False, **urgent, **options}
    notify(tx, announcement.community_id, key, audience=audience, **given)


def read_buttons(announcement: Announcement) -> list[Button]:
    """What is tapped as proof, where it is asked for."""
    asks = announcement.receipt and announcement.state == "sent"
    return [Button(f"announcement.read:{announcement.id}", number=announcement.number)] if asks else []


# --- what has become of its copies ------------------------------------------------------------------


@dataclass(frozen=True)
class Ledger:
    """How many copies of the edition that counts were sent, wait, cannot be sent, and have no chat to go to."""

    sent: int
    waiting: int
    failed: int
    unreachable: int


def last_notice(tx: Tx, announcement: Announcement) -> Notice | None:
    """The notice by which the edition that counts goes to its readers."""
    made = select(Notice).where(
        Notice.community_id == announcement.community_id,
        Notice.about == about(announcement),
        Notice.key == "announcement.notice",
    )
    return tx.session.exec(made.order_by(col(Notice.id).desc()).limit(1)).first()


def ledger_of(tx: Tx, announcement: Announcement) -> Ledger:
    """Counted by the database, whatever the number of its readers."""
    notice = last_notice(tx, announcement)
    if notice is None:
        return Ledger(0, 0, 0, 0)
    states = (
        select(Outgoing.state, func.count())
        .where(Outgoing.card == f"board:{about(announcement)}", Outgoing.notice_id == notice.id)
        .where(Outgoing.change == "send")
        .group_by(col(Outgoing.state))
    )
    counted = dict(tx.session.exec(states).all())
    to_write = 0
    if notice.done_at is None:
        rest = col(Person.id) > notice.reached
        _, to_write = count_of(tx, announcement.community_id, announcement.audience, rest)
    return Ledger(
        counted.get("sent", 0) + counted.get("digested", 0),
        counted.get("waiting", 0) + counted.get("held", 0) + to_write,
        counted.get("failed", 0),
        counted.get("unreachable", 0),
    )


# --- its card in the admin group --------------------------------------------------------------------


def staff_buttons(announcement: Announcement) -> list[Button]:
    """What staff can do with it now."""
    names = {
        "scheduled": ["now", "change", "drop"],
        "asks": ["now", "change", "drop"],
        "sent": ["correct", "withdraw", "canvass", "card"],
        "withdrawn": ["card"],
    }.get(announcement.state, [])
    shown = [_button(announcement, name) for name in names]
    if announcement.receipt and announcement.state == "sent":
        unread = Button(f"announcement.canvass:{announcement.id}", "announcement.unread")
        shown[names.index("canvass")] = unread
    return [*shown, _button(announcement, "show")]


def _button(announcement: Announcement, name: str) -> Button:
    return Button(f"announcement.{name}:{announcement.id}", number=announcement.number)


def staff_card(tx: Tx, announcement: Announcement, key: str = "", **options: Any) -> None:
    """Show staff how it is now, in place unless `anew`."""
    tx.session.add(announcement)
    tx.session.flush()
    tell_staff(
        tx,
        announcement.community_id,
        key or "announcement.card",
        card=about(announcement),
        alone=bool(key),
        buttons=staff_buttons(announcement),
        **{**card_facts(tx, announcement), **options},
    )


def card_facts(tx: Tx, announcement: Announcement) -> dict[str, Any]:
    """What its card says."""
    homes, people = count_of(tx, announcement.community_id, announcement.audience)
    return {
        "number": announcement.number,
        "title": brief(tx, announcement),
        "state": state(announcement),
        "urgent": Say("announcement.urgent_mark") if announcement.urgent else "",
        "audience": audience_words(announcement.audience),
        "homes": homes,
        "people": people,
        "ledger": _ledger_words(tx, announcement) if announcement.state in OUT else "",
    }


def state(announcement: Announcement) -> Say:
    """How it stands, with its time and its edition."""
    at = announcement.sent_at or announcement.send_at
    version = (
        Say("announcement.edition_mark", version=announcement.version) if announcement.version > 1 else ""
    )
    return Say(f"announcement.state.{announcement.state}", at=at, version=version)


def _ledger_words(tx: Tx, announcement: Announcement) -> Say:
    ledger = ledger_of(tx, announcement)
    return Say(
        "announcement.ledger_mark",
        at=tx.now,
        sent=ledger.sent,
        waiting=ledger.waiting,
        failed=ledger.failed,
        unreachable=ledger.unreachable,
        read=_read_words(tx, announcement) if announcement.receipt else "",
    )


def _read_words(tx: Tx, announcement: Announcement) -> Say:
    """How many have said that they read it, of how many."""
    whose = (tx, announcement.community_id, announcement.audience)
    homes, people = count_of(*whose)
    done_homes, done = count_of(*whose, has_read(announcement.id, announcement.version))
    return Say("announcement.read_count_mark", done=done, people=people, donehomes=done_homes, homes=homes)


def tell_here(tx: Tx, to: Any, announcement: Announcement, key: str, **options: Any) -> None:
    """Say something about a notice to who just spoke."""
    tell(tx, to, key, **{"number": announcement.number, "title": brief(tx, announcement), **options})


# --- what everybody may know of it ------------------------------------------------------------------


def _line(tx: Tx, announcement: Announcement) -> public.Line | None:
    """Its line of the public page: not what is for owners only, or for several buildings."""
    if announcement.audience.get("owners") or len(_buildings(announcement)) > 1:
        return None
    return _inner(tx, announcement)


def _buildings(announcement: Announcement) -> set[str]:
    return {each[0] for each in announcement.audience.get("places") or ()}


def _inner(tx: Tx, announcement: Announcement) -> public.Line | None:
    """Its line for its readers."""
    if announcement.state not in OUT or announcement.sent_at is None:
        return None
    buildings = _buildings(announcement)
    return public.Line(
        number=announcement.number,
        title=edition_of(tx, announcement).title,
        state=Say(f"announcement.public.{announcement.state}"),
        at=announcement.sent_at,
        building=next(iter(buildings), ""),
        wide=not buildings,
        open=announcement.state == "sent",
    )


def _public_card(tx: Tx, announcement: Announcement) -> Say:
    at = announcement.sent_at or announcement.created_at
    return Say("announcement.public_card", at=at, **board_facts(tx, announcement))


def _timeline(tx: Tx, announcement: Announcement, reader: Reader) -> list[str]:
    return matters.timeline(tx, about(announcement), reader)


def _files(tx: Tx, announcement: Announcement) -> list[int]:
    """None of one that was withdrawn, as in the group."""
    return files_of(tx, edition_of(tx, announcement)) if announcement.state == "sent" else []


public.know_matter(
    public.Matter(
        "announcement",
        Announcement,
        _line,
        _public_card,
        _timeline,
        _files,
        show="announcement.show",
        inner=_inner,
    )
)
