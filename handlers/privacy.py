"""What is stored about people: shown to them, erased at their wish, and erased by the clock."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import and_, delete, false, func, or_, true, update
from sqlmodel import SQLModel, col, select

from conversations.errors import Refused
from conversations.words import Say
from handlers import complaints, conduct, listing_cards, listings, preferences
from handlers.actions import action
from handlers.agents import acts_for_lines, agent_lines, revoke_all
from handlers.ballot_log import receipt
from handlers.ballots import in_words
from handlers.conduct import WAITING
from handlers.people import accounts_of, is_guest, owns
from handlers.phones import masked, phone_of
from handlers.policy import policy_of
from handlers.repair_cards import address, office, where
from handlers.talk import end
from handlers.tell import Button, reader_of, stranger_card, tell, tell_staff
from handlers.timers import CLEARED_AFTER, next_at, set_timer
from handlers.turnout import delivered_times
from handlers.tx import Tx
from handlers.votes import ballots_of
from handlers.work import release
from store import scrub
from store.scrub import Word
from store.tables import (
    Account,
    Announcement,
    Attempt,
    Audit,
    Code,
    Community,
    Complaint,
    Edition,
    Entry,
    Event,
    Example,
    Flag,
    Follower,
    Home,
    HomeRole,
    Inbox,
    JoinRequest,
    Letter,
    Link,
    Listing,
    Media,
    Member,
    Notice,
    Objection,
    Opening,
    Outgoing,
    Paper,
    Person,
    Place,
    Post,
    Preference,
    Purchase,
    Reading,
    Repair,
    Rest,
    Role,
    Ruling,
    Supporter,
    Talk,
    Vote,
    Voter,
)

OVER = ("closed", "withdrawn")
PURCHASE_OVER = ("declined", "withdrawn", "rejected", "done")
LISTING_OVER = ("closed", "expired", "withdrawn", "refused")
PAPER_PHOTOS = "paper:"
EDITION_FILES = "edition:"
SHORTEST_NAME = 2
SHORTEST_LATIN = 3
SHORTEST_NUMBER = 5
AT = time(3, 30)
"""When old things are erased, in the community's time."""
SOON = timedelta(seconds=5)
BATCH = 2000
LOOKED_AT = timedelta(days=30)
"""After which the photos of a last look go that came to nothing; a talk lasts no longer."""
FEW = 5


# --- what is stored ---------------------------------------------------------------------------------


@action("mydata", button=True, stays=True)
def mydata(tx: Tx, person: Person) -> None:
    """All that is stored about oneself, in one's own chat."""
    reader = reader_of(tx, person)
    lists: dict[str, Sequence[Any]] = {
        "accounts": _accounts(tx, person),
        "homes": _homes(tx, person),
        "roles": _work(tx, person),
        "requests": _requests(tx, person),
        "repairs": _repairs(tx, person),
        "purchases": _purchases(tx, person),
        "listings": _listings(tx, person),
        "complaints": complaints.said_by(tx, person),
        "votes": [*_votes(tx, person), *_objections(tx, person)],
        "wishes": preferences.lines(tx, person),
        "notices": _notices(tx, person),
        "open": _open(tx, person),
        "said": _said(tx, person),
    }
    below: dict[str, Any] = {
        name: "\n".join(str(reader.show(line)) for line in lines) or Say("talk.none")
        for name, lines in lists.items()
    }
    phone = phone_of(tx, person)
    tell(
        tx,
        person,
        "mydata.all",
        name=person.name,
        phone=phone or Say("talk.none"),
        language=Say("mydata.language"),
        since=person.created_at,
        agents=agent_lines(tx, person) or Say("talk.none"),
        received=acts_for_lines(tx, person) or Say("talk.none"),
        tickets=_count(tx, Repair, col(Repair.crew_id) == person.id),
        invited=_count(tx, Code, col(Code.person_id) == person.id),
        pictures=_count(tx, Media, (col(Media.person_id) == person.id) & (col(Media.kind) == "photo")),
        recordings=_count(tx, Media, (col(Media.person_id) == person.id) & (col(Media.kind) != "photo")),
        told=_count(tx, Outgoing, col(Outgoing.person_id) == person.id),
        acts=_count(tx, Audit, col(Audit.pseudonym) == person.pseudonym),
        buttons=("forget",),
        **below,
    )


def _count(tx: Tx, table: type[SQLModel], which: Any) -> int:
    return tx.session.exec(select(func.count()).select_from(table).where(which)).one()


def _accounts(tx: Tx, person: Person) -> list[Say]:
    return [
        Say(
            "mydata.account",
            messenger=each.messenger,
            number=each.external_id,
            agreed=each.agreed_at or Say("talk.none"),
        )
        for each in accounts_of(tx, person)
    ]


def _homes(tx: Tx, person: Person) -> list[Say]:
    ties = tx.session.exec(
        select(Home, HomeRole)
        .join(HomeRole, col(HomeRole.home_id) == col(Home.id))
        .where(HomeRole.person_id == person.id)
        .order_by(col(HomeRole.id))
    )
    return [
        Say("mydata.home", home=address(home), role=Say(f"role.{tie.role}"), share=tie.share or "—")
        for home, tie in ties
    ]


def _work(tx: Tx, person: Person) -> list[Say]:
    roles = select(Role).where(Role.person_id == person.id).order_by(col(Role.role))
    return [
        Say(
            "mydata.role",
            role=Say(f"role.{each.role}"),
            skills=[Say(f"kind.{kind}") for kind in each.skills] or Say("crew.all_kinds"),
            buildings=[Say("where.building", building=one) for one in each.buildings]
            or Say("crew.all_buildings"),
            hours=each.duty or Say("crew.all_hours"),
        )
        if each.role == "crew"
        else Say(f"role.{each.role}")
        for each in tx.session.exec(roles)
    ]


def _open(tx: Tx, person: Person) -> list[str]:
    """What was answered in talks that are not finished: the words of forms that nobody has seen yet."""
    talks = tx.session.exec(select(Talk).where(Talk.person_id == person.id).order_by(col(Talk.id)))
    return [words for talk in talks for words in _words_in(talk.answers)]


def _words_in(answer: Any) -> list[str]:
    if isinstance(answer, dict):
        return [words for each in answer.values() for words in _words_in(each)]
    if isinstance(answer, list):
        return [words for each in answer for words in _words_in(each)]
    return [answer] if isinstance(answer, str) and answer else []


def _requests(tx: Tx, person: Person) -> list[Say]:
    asked = select(JoinRequest).where(JoinRequest.person_id == person.id).order_by(col(JoinRequest.id))
    return [
        Say(
            "mydata.request",
            at=each.created_at,
            name=each.name,
            role=Say(f"role.{each.role}"),
            home=each.home,
            state=Say(f"join.state.{each.state}"),
        )
        for each in tx.session.exec(asked)
    ]


def _repairs(tx: Tx, person: Person) -> list[Say]:
    """The repairs that one reported or follows, and what one wrote and read through them."""
    reported = select(Repair).where(Repair.person_id == person.id).order_by(col(Repair.id))
    followed = (
        select(Repair, Follower)
        .join(Follower, col(Follower.repair_id) == col(Repair.id))
        .where(Follower.person_id == person.id)
        .order_by(col(Follower.id))
    )
    letters = select(Letter).where(or_(col(Letter.person_id) == person.id, col(Letter.to_id) == person.id))
    return [
        *(
            Say(
                "mydata.repair",
                number=each.number,
                where=where(tx, each),
                what="；".join(filter(None, (each.what, each.added))),
                state=Say(f"state.{each.state}"),
            )
            for each in tx.session.exec(reported)
        ),
        *(
            Say("mydata.followed", number=repair.number, at=each.at, what=each.what or Say("talk.none"))
            for repair, each in tx.session.exec(followed).all()
        ),
        *(
            Say(
                "mydata.letter" if each.person_id == person.id else "mydata.letter_got",
                at=each.at,
                text=each.text,
            )
            for each in tx.session.exec(letters.order_by(col(Letter.id)))
        ),
    ]


def _purchases(tx: Tx, person: Person) -> list[Say]:
    """The requests that one made or supports, and the votes that one opened for the committee."""
    made = select(Purchase).where(Purchase.person_id == person.id).order_by(col(Purchase.id))
    supported = (
        select(Purchase.number, Supporter.at)
        .join(Supporter, col(Supporter.purchase_id) == col(Purchase.id))
        .where(Supporter.person_id == person.id)
        .order_by(col(Supporter.id))
    )
    opened = select(Opening).where(Opening.opened_by == person.id).order_by(col(Opening.id))
    return [
        *(
            Say(
                "mydata.purchase",
                number=each.number,
                at=each.created_at,
                what=each.what,
                count=each.count,
                where=" ".join(filter(None, (each.building, each.spot))) or Say("talk.none"),
                why=each.why or Say("talk.none"),
            )
            for each in tx.session.exec(made)
        ),
        *(Say("mydata.supported", number=number, at=at) for number, at in tx.session.exec(supported).all()),
        *(
            Say("mydata.opening", title=each.vote.get("title", ""), at=each.created_at)
            for each in tx.session.exec(opened)
        ),
    ]


def _listings(tx: Tx, person: Person) -> list[Say]:
    """What one published, what was ruled on one's words, and what of others one reported."""
    published = select(Listing).where(Listing.person_id == person.id).order_by(col(Listing.id))
    ruled = select(Ruling).where(Ruling.person_id == person.id).order_by(col(Ruling.id))
    reported = select(Flag).where(Flag.person_id == person.id).order_by(col(Flag.id))
    return [
        *(
            Say(
                "mydata.listing",
                number=each.number,
                at=each.created_at,
                shown=listing_cards.card_of(tx, each),
                draft=" · ".join(_words_in(each.draft)) or Say("talk.none"),
                state=listing_cards.state(each),
            )
            for each in tx.session.exec(published)
        ),
        *(
            Say(
                "mydata.ruling",
                number=each.number,
                at=each.at,
                text=each.text,
                state=Say(f"ruling.state.{each.state}"),
            )
            for each in tx.session.exec(ruled)
        ),
        *(
            Say("mydata.flag", about=each.about, at=each.at, why=each.reason or Say("talk.none"))
            for each in tx.session.exec(reported)
        ),
    ]


def _notices(tx: Tx, person: Person) -> list[Say]:
    """The notices that one wrote for the office, and those that one said to have read."""
    written = (
        select(Announcement, Edition)
        .join(Edition, col(Edition.announcement_id) == col(Announcement.id))
        .where(Edition.pseudonym == person.pseudonym)
        .order_by(col(Edition.id))
    )
    read = (
        select(Announcement.number, Reading.at)
        .join(Reading, col(Reading.announcement_id) == col(Announcement.id))
        .where(Reading.person_id == person.id)
        .order_by(col(Reading.id))
    )
    return [
        *(
            Say("mydata.announcement", number=each.number, at=edition.at, title=edition.title)
            for each, edition in tx.session.exec(written).all()
        ),
        *(Say("mydata.reading", number=number, at=at) for number, at in tx.session.exec(read).all()),
    ]


def _objections(tx: Tx, person: Person) -> list[Say]:
    """What one said against results, and what was answered."""
    filed = (
        select(Objection, Vote.number)
        .join(Vote, col(Vote.id) == col(Objection.vote_id))
        .where(Objection.person_id == person.id)
        .order_by(col(Objection.id))
    )
    return [
        Say(
            "mydata.objection",
            number=number,
            at=each.at,
            what=each.what,
            answer=each.answer or Say("talk.none"),
        )
        for each, number in tx.session.exec(filed).all()
    ]


def _votes(tx: Tx, person: Person) -> list[Say]:
    """The votes in which one has a number, and what stands in their logs of oneself, a sealed ballot as it was cast."""
    mine = (
        select(Vote, Voter)
        .join(Voter, col(Voter.vote_id) == col(Vote.id))
        .where(Voter.person_id == person.id)
    )
    lines = []
    for vote, voter in tx.session.exec(mine.order_by(col(Vote.id))).all():
        reached = voter.delivered_at or delivered_times(tx, vote, only=voter).get(voter.id)
        at = reached or Say("mydata.not_delivered")
        lines.append(Say("mydata.vote", number=vote.number, title=vote.title, voter=voter.number, at=at))
        lines += [
            Say(
                "mydata.ballot",
                number=vote.number,
                receipt=str(receipt(row.n, json.loads(row.entry)["hash"])),
                entry=f"{row.entry} {row.opened}".strip(),
            )
            for row in ballots_of(tx, voter)
        ]
        papers = select(Paper).where(Paper.voter_id == voter.id).order_by(col(Paper.id))
        lines += [
            Say(
                "mydata.paper",
                number=vote.number,
                paper=each.id,
                at=each.received_at,
                choice=in_words(each.choice),
                state=Say(f"paper.state.{each.state}"),
            )
            for each in tx.session.exec(papers)
        ]
    return lines


def _said(tx: Tx, person: Person) -> list[Say]:
    """What the person wrote to us, and in the community's group, whose words do not stand with the messages."""
    heard = tx.session.exec(select(Inbox).where(_from(tx, person)).order_by(col(Inbox.id)))
    posts = tx.session.exec(select(Post).where(_posted(tx, person)).order_by(col(Post.id)))
    in_group = [Say("mydata.post", at=post.at, text=post.text or Say("mydata.file")) for post in posts]
    return [*_written(tx, heard), *in_group]


def _written(tx: Tx, heard: Iterable[Inbox]) -> list[Say]:
    return [
        Say(
            "mydata.said",
            at=row.received_at,
            text=tx.house.vault.reveal(row.payload.get("text", ""))
            or Say("mydata.tapped" if row.payload.get("tap") else "mydata.file"),
        )
        for row in heard
        if row.payload.get("place_kind") == "private" or row.payload.get("text") or row.payload.get("tap")
    ]


def _posted(tx: Tx, person: Person) -> Any:
    """What came into the community's group from the person's accounts, whoever they were to us then."""
    return or_(col(Post.person_id) == person.id, *_there(tx, person, Post))


def _there(tx: Tx, person: Person, table: type[Post] | type[Member]) -> list[Any]:
    """The rows of groups that are about the person's accounts."""
    return [
        (col(table.account) == each.external_id)
        & (col(table.community_id) == person.community_id)
        & col(table.place_id).in_(select(Place.id).where(Place.messenger == each.messenger))
        for each in accounts_of(tx, person)
    ]


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


@action("forget", button=True, stays=True, grave=True)
def forget(tx: Tx, person: Person) -> None:
    """Say what would be erased and what remains, and ask."""
    tell(
        tx,
        person,
        "forget.ask",
        remains=Say("forget.remains_owner" if owns(tx, person) else "forget.remains"),
        days=policy_of(tx, person.community_id).sent_days,
        buttons=("erase", Button("help", "forget.keep")),
        last="forget",
    )


@action("erase", button=True, grave=True)
def forget_surely(tx: Tx, person: Person) -> None:
    """Unbind and erase oneself; only in one's own chat."""
    if tx.place is None or tx.place.kind != "private":
        raise Refused("forget.in_private")
    tell(tx, tx.place, "forget.done", phone=office(tx, person.community_id))
    erase(tx, person)


def erase(tx: Tx, *people: Person) -> None:
    """Unbind people of one community and erase what may be erased; an owner stays one, by a number alone."""
    words = [word for person in people for word in _words_about(tx, person, people)]
    for person in people:
        _erase(tx, person)
    for person in people[:1]:
        mark = tx.reader(person.community_id).say("person.erased")
        scrub.scrub(tx.session, person.community_id, words, mark)
    tx.session.expire_all()
    tx.mark = None  # the message with the button has gone, too


def _erase(tx: Tx, person: Person) -> None:
    keeps_hash = not is_guest(tx, person)
    release(tx, person)
    for talk in tx.session.exec(select(Talk).where(Talk.person_id == person.id)).all():
        end(tx, talk)
    revoke_all(tx, person)
    _end_ties(tx, person)
    _forget_requests(tx, person)
    listings.forget(tx, person)
    complaints.forget(tx, person)
    conduct.forget(tx, person, [f"{each.messenger}:{each.external_id}" for each in accounts_of(tx, person)])
    _erase_matters(tx, person)
    _erase_messages(tx, person)
    _unbind(tx, person)
    name, person.name = person.name, ""
    person.name_hash = tx.house.vault.hash(name) if keeps_hash else ""
    person.phone = person.phone_hash = ""
    person.left_at = person.left_at or tx.now
    tx.session.add(person)
    tx.session.flush()
    tx.known.clear()


def _words_about(tx: Tx, person: Person, people: Sequence[Person]) -> list[Word]:
    """What names one of some people in what others wrote or read; not what somebody else is called, too.

    Nobody has checked the name of a guest, who could call themselves "电梯": only their number is certain.
    """
    phone = phone_of(tx, person)
    numbers = [each.external_id for each in accounts_of(tx, person)]
    words = [scrub.exact(each) for each in numbers if each.isascii() and len(each) >= SHORTEST_NUMBER]
    words += [scrub.number(phone), scrub.exact(masked(phone))] if phone else []
    if not is_guest(tx, person) or person.left_at is not None:
        words += [scrub.name(each) for each in _names(person) if not _is_shared(tx, each, people)]
    return words


def _names(person: Person) -> list[str]:
    """The person's name, if it is long enough to be told from other words."""
    shortest = SHORTEST_LATIN if person.name.isascii() else SHORTEST_NAME
    return [person.name] if len(person.name) >= shortest else []


def _is_shared(tx: Tx, name: str, people: Sequence[Person]) -> bool:
    """Whether somebody else of the community has this name, too, and it is known to be theirs."""
    tied = select(HomeRole.person_id).union(select(Role.person_id))
    others = select(Person.id).where(
        Person.community_id == people[0].community_id,
        Person.name == name,
        col(Person.id).not_in([each.id for each in people]),
        or_(col(Person.id).in_(tied), col(Person.left_at).is_not(None)),
    )
    return tx.session.exec(others.limit(1)).first() is not None


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
    gone = tx.reader(person.community_id).say("join.card_erased")
    for asked in tx.session.exec(select(JoinRequest).where(about)).all():
        tell_staff(tx, person.community_id, "join.card_erased", card=f"join:{asked.id}")
        if (
            asked.person_id != person.id and asked.state == "waiting"
        ):  # it named whom nobody may name any more
            declined = tx.session.get_one(Person, asked.person_id)
            again = [f"join.start:{person.community_id}"]
            phone = office(tx, person.community_id)
            tell(tx, declined, "join.declined", phone=phone, buttons=again)
        cards = update(Outgoing).where(col(Outgoing.card) == f"join:{asked.id}")
        tx.session.connection().execute(cards.values(text=gone, buttons=[]))
        tx.session.delete(asked)
    tx.session.flush()


def _erase_matters(tx: Tx, person: Person) -> None:
    """Photos and recordings of matters that are over, and the name in one's own.

    The matters stay with the home or the community.
    """
    _drop_photos(tx, col(Media.person_id) == person.id)
    _drop_papers(tx, col(Voter.person_id) == person.id)
    connection = tx.session.connection()
    followed = select(Follower.repair_id).where(Follower.person_id == person.id)
    fewer = update(Repair).where(col(Repair.id).in_(followed)).values(homes=col(Repair.homes) - 1)
    connection.execute(fewer)
    for table in (Follower, Preference, Reading):
        connection.execute(delete(table).where(col(table.person_id) == person.id))
    connection.execute(
        delete(Letter).where(or_(col(Letter.person_id) == person.id, col(Letter.to_id) == person.id))
    )
    own = {
        "repair": _ids(tx, Repair, col(Repair.person_id) == person.id),
        "purchase": _ids(tx, Purchase, col(Purchase.person_id) == person.id),
        "objection": _ids(tx, Objection, col(Objection.person_id) == person.id),
        "paper": _ids(
            tx, Paper, col(Paper.voter_id).in_(select(Voter.id).where(Voter.person_id == person.id))
        ),
    }
    asked = select(Purchase.vote_id).where(
        Purchase.person_id == person.id, col(Purchase.vote_id).is_not(None)
    )
    votes = [number for number in tx.session.exec(asked) if number is not None]
    openings = _ids(tx, Opening, col(Opening.purchase_id).in_(own["purchase"]))
    about = [f"{kind}:{number}" for kind, numbers in {**own, "vote": votes}.items() for number in numbers]
    cards = [f"{kind}{each}" for kind in ("", "board:") for each in about]
    cards += [f"{kind}:{number}" for kind in ("mine", "look") for number in own["repair"]]
    cards += [f"seen:{number}" for number in own["purchase"]] + [f"opening:{number}" for number in openings]
    scrub.scrub(
        tx.session,
        person.community_id,
        [scrub.name(each) for each in _names(person)],
        tx.reader(person.community_id).say("person.erased"),
        {
            "repair": col(Repair.person_id) == person.id,
            "example": col(Example.about).in_(about),
            "purchase": col(Purchase.person_id) == person.id,
            "opening": col(Opening.id).in_(openings),
            "objection": col(Objection.person_id) == person.id,
            "event": col(Event.about).in_(about),
            "entry": col(Entry.about).in_(about),
            "notice": col(Notice.about).in_(about),
            "outgoing": col(Outgoing.card).in_(cards),
        },
    )


def _ids(tx: Tx, table: Any, which: Any) -> list[int]:
    return list(tx.session.exec(select(table.id).where(which)))


def _drop_photos(tx: Tx, whose: Any) -> None:
    """Delete the photos and recordings of repairs and requests that are over; those of open ones are needed still.

    The photo of a ballot is none of whoever took it, but evidence; what stands with a notice is the office's.
    """
    kept: list[str] = []
    for table, name, over in (
        (Repair, "repair", OVER),
        (Purchase, "purchase", PURCHASE_OVER),
        (Listing, "listing", LISTING_OVER),
        (Complaint, "complaint", OVER),
    ):
        named = select(Media.about).where(whose, col(Media.about).startswith(f"{name}:")).distinct()
        numbers = [int(each.removeprefix(f"{name}:")) for each in tx.session.exec(named)]
        opened = col(table.id).in_(numbers) & col(table.state).not_in(over)
        kept += [f"{name}:{number}" for number in _ids(tx, table, opened)]
    gone = delete(Media).where(
        whose,
        col(Media.about).not_in(kept),
        *(col(Media.about).not_like(f"{each}%") for each in (PAPER_PHOTOS, EDITION_FILES)),
    )
    tx.session.connection().execute(gone)


def _drop_papers(tx: Tx, whose: Any) -> None:
    """Delete photos of ballots whose votes are final: until then an objection may need them.

    Their hashes stand in the logs.
    """
    rows = (
        select(Paper.id)
        .join(Vote, col(Vote.id) == col(Paper.vote_id))
        .join(Voter, col(Voter.id) == col(Paper.voter_id))
        .where(func.coalesce(col(Vote.final_at), col(Vote.annulled_at)).is_not(None), whose)
    )
    about = [f"{PAPER_PHOTOS}{number}" for number in tx.session.exec(rows)]
    tx.session.connection().execute(delete(Media).where(col(Media.about).in_(about)))


def _erase_messages(tx: Tx, person: Person) -> None:
    """What the person said, and what was said to them; the message at hand is cleared with its chat."""
    connection = tx.session.connection()
    connection.execute(delete(Rest).where(col(Rest.person_id) == person.id))
    connection.execute(delete(Post).where(_posted(tx, person)))
    connection.execute(delete(Member).where(or_(false(), *_there(tx, person, Member))))
    theirs = select(Inbox.id).where(_from(tx, person), col(Inbox.id) != (tx.inbox_id or 0))
    _delete_heard(tx, theirs)
    _delete_sent(tx, col(Outgoing.person_id) == person.id)


def _delete_sent(tx: Tx, which: Any) -> None:
    """The rows to send that `which` describes, with the tries to send them and the links to their pages."""
    connection, ids = tx.session.connection(), select(Outgoing.id).where(which)
    for table in (Attempt, Link):
        connection.execute(delete(table).where(col(table.outgoing_id).in_(ids)))
    connection.execute(delete(Outgoing).where(which))


def _delete_heard(tx: Tx, which: Any) -> None:
    connection = tx.session.connection()
    connection.execute(update(Outgoing).where(col(Outgoing.inbox_id).in_(which)).values(inbox_id=None))
    connection.execute(delete(Inbox).where(col(Inbox.id).in_(which)))


def _unbind(tx: Tx, person: Person) -> None:
    """The accounts are nobody's; their chats are cleared as soon as the last word is out."""
    for account in accounts_of(tx, person):
        tx.session.delete(account)
        tx.session.flush()
        chats = select(Place).where(
            Place.messenger == account.messenger, Place.external_id == account.external_id
        )
        others = tx.session.exec(_holders(account.messenger, account.external_id)).all()
        for place in tx.session.exec(chats).all():
            _let_go(tx, place, others)
            set_timer(tx, person.community_id, f"forget.clear:{place.id}", tx.now + CLEARED_AFTER)
    tx.session.flush()


def _holders(messenger: str, external_id: str) -> Any:
    """As whom an account is known, in whichever community."""
    return (
        select(Account)
        .where(Account.messenger == messenger, Account.external_id == external_id)
        .order_by(col(Account.id))
    )


def _let_go(tx: Tx, place: Place, others: Sequence[Account]) -> None:
    """The chat is nobody's any more, or that of who its holder is in another community."""
    place.person_id = others[0].person_id if others else None
    place.community_id = others[0].community_id if others else place.community_id
    tx.session.add(place)


@action("forget.clear", Place)
def clear(tx: Tx, person: None, place: Place) -> None:
    """The chat of somebody who was forgotten: its messages go, and then itself, unless somebody has come in there.

    Of who is still known in another community, only the messages of this one go.
    """
    if place.kind != "private":
        return
    known = [each.community_id for each in tx.session.exec(_holders(place.messenger, place.external_id))]
    if place.blocked_at is None and place.community_id is not None and _waits(tx, place, known):
        set_timer(tx, place.community_id, f"forget.clear:{place.id}", tx.now + CLEARED_AFTER)
    else:
        _empty(tx, place, known)


def _waits(tx: Tx, place: Place, known: Sequence[int]) -> bool:
    """Whether something is still to be sent there; what has waited for a day never will be."""
    waiting = select(Outgoing.id).where(
        Outgoing.place_id == place.id,
        Outgoing.state == "waiting",
        Outgoing.created_at > tx.now - timedelta(days=1),
        _foreign(Outgoing, known),
    )
    return tx.session.exec(waiting.limit(1)).first() is not None


def _foreign(table: Any, known: Sequence[int]) -> Any:
    """The rows of communities in which a chat's holder is nobody; all rows if that is everywhere."""
    return col(table.community_id).not_in(known) if known else true()


def _empty(tx: Tx, place: Place, known: Sequence[int] = ()) -> None:
    connection = tx.session.connection()
    heard = select(Inbox.id).where(Inbox.messenger == place.messenger, Inbox.place == place.external_id)
    _delete_heard(tx, heard.where(_foreign(Inbox, known)))
    _delete_sent(tx, and_(col(Outgoing.place_id) == place.id, _foreign(Outgoing, known)))
    for table in (Link, Rest, Talk):
        connection.execute(delete(table).where(col(table.place_id) == place.id, _foreign(table, known)))
    _forget_cries(tx, place)
    if not known:
        connection.execute(update(Attempt).where(col(Attempt.place_id) == place.id).values(place_id=None))
        tx.session.delete(place)


def _forget_cries(tx: Tx, place: Place) -> None:
    """What staff were told of a stranger in this chat."""
    for community_id in tx.session.exec(
        select(Outgoing.community_id).where(Outgoing.card == stranger_card(place)).distinct()
    ).all():
        assert community_id is not None
        gone = tx.reader(community_id).say("stranger.erased")
        cries = update(Outgoing).where(
            col(Outgoing.card) == stranger_card(place), col(Outgoing.community_id) == community_id
        )
        tx.session.connection().execute(cries.values(text=gone))


# --- erased by the clock ----------------------------------------------------------------------------


def begin_retention(tx: Tx) -> None:
    """Let old things be erased each night, in every community that has not begun."""
    for community_id in tx.session.exec(select(Community.id)):
        set_timer(
            tx, community_id, f"privacy.retain:{community_id}", next_at(tx, community_id, AT), move=False
        )


@action("privacy.retain", Community)
def retain(tx: Tx, person: None, community: Community) -> None:
    """Erase a batch of what is older than the community's policy, and come again soon if there is more.

    What belongs to no community, such as the words of strangers, goes with it.
    """
    policy = policy_of(tx, community.id)
    said = tx.now - timedelta(days=policy.said_days)
    sent = tx.now - timedelta(days=policy.sent_days)
    left = tx.now - timedelta(days=policy.guest_days)
    more = [
        _drop_heard(tx, community.id, said),
        _drop_sent(tx, community.id, sent),
        _drop_rest(tx, community.id, said),
        _drop_posts(tx, community.id, tx.now - timedelta(days=policy.posts_days)),
        _drop_strangers(tx, community.id, left),
        _drop_guests(tx, community.id, left),
    ]
    tx.session.connection().execute(
        update(Ruling)
        .where(col(Ruling.community_id) == community.id, col(Ruling.at) < said, col(Ruling.text) != "")
        .where(col(Ruling.state).not_in(WAITING))
        .values(text="", why=[], account="")
    )
    for table in (Code, Link):
        gone = delete(table).where(_of(table, community.id), col(table.expires_at) < left)
        tx.session.connection().execute(gone)
    looked_at = col(Media.about).startswith("talk:") & (col(Media.created_at) < tx.now - LOOKED_AT)
    tx.session.connection().execute(delete(Media).where(_of(Media, community.id), looked_at))
    forgotten = select(Person.id).where(Person.community_id == community.id, Person.name == "")
    # Of matters that were open when they were forgotten; and what was kept long enough.
    _drop_photos(tx, col(Media.person_id).in_(forgotten))
    _drop_papers(tx, col(Voter.person_id).in_(forgotten))
    ended = func.coalesce(col(Vote.final_at), col(Vote.annulled_at))
    _drop_papers(tx, (col(Vote.community_id) == community.id) & (ended < sent))
    again = tx.now + SOON if any(more) else next_at(tx, community.id, AT)
    set_timer(tx, community.id, f"privacy.retain:{community.id}", again)


def _of(table: Any, community_id: int) -> Any:
    return or_(col(table.community_id) == community_id, col(table.community_id).is_(None))


def _drop_heard(tx: Tx, community_id: int, before: datetime) -> bool:
    old = (
        select(Inbox.id)
        .where(_of(Inbox, community_id), Inbox.state == "done", Inbox.received_at < before)
        .order_by(col(Inbox.id))
        .limit(BATCH)
    )
    ids = tx.session.exec(old).all()
    _delete_heard(tx, ids)
    return len(ids) == BATCH


def _drop_sent(tx: Tx, community_id: int, before: datetime) -> bool:
    old = (
        select(Outgoing.id)
        .where(_of(Outgoing, community_id), Outgoing.state != "waiting", Outgoing.created_at < before)
        .order_by(col(Outgoing.id))
        .limit(BATCH)
    )
    ids = tx.session.exec(old).all()
    _delete_sent(tx, col(Outgoing.id).in_(ids))
    return len(ids) == BATCH


def _drop_rest(tx: Tx, community_id: int, before: datetime) -> bool:
    """The rest of long texts; whoever wants it later asks for the whole again."""
    old = select(Rest.id).where(Rest.community_id == community_id, Rest.created_at < before).limit(BATCH)
    ids = tx.session.exec(old).all()
    tx.session.connection().execute(delete(Rest).where(col(Rest.id).in_(ids)))
    return len(ids) == BATCH


def _drop_posts(tx: Tx, community_id: int, before: datetime) -> bool:
    """What was said in the group, unless staff still have to decide on it."""
    waits = select(Ruling.id).where(Ruling.community_id == community_id, col(Ruling.state).in_(WAITING))
    decided = or_(col(Post.ruling_id).is_(None), col(Post.ruling_id).not_in(waits))
    old = select(Post.id).where(Post.community_id == community_id, Post.at < before, decided).limit(BATCH)
    ids = tx.session.exec(old).all()
    connection = tx.session.connection()
    judged = update(Ruling).where(col(Ruling.about).in_([f"post:{each}" for each in ids]))
    connection.execute(judged.values(text="", why=[]))  # that it counts stays
    connection.execute(delete(Post).where(col(Post.id).in_(ids)))
    return len(ids) == BATCH


def _drop_strangers(tx: Tx, community_id: int, before: datetime) -> bool:
    """The private chats of whom nobody knows, and who have not been heard for long."""
    somebody = select(Account.id).where(
        Account.messenger == Place.messenger, Account.external_id == Place.external_id
    )
    waiting = select(Outgoing.id).where(Outgoing.place_id == Place.id, Outgoing.state == "waiting")
    chats = (
        select(Place)
        .where(_of(Place, community_id), Place.kind == "private", col(Place.heard_at) < before)
        .where(~somebody.exists(), ~waiting.exists())
        .order_by(col(Place.id))
        .limit(FEW)
    )
    found = tx.session.exec(chats).all()
    for place in found:
        _empty(tx, place)
    return len(found) == FEW


def _drop_guests(tx: Tx, community_id: int, before: datetime) -> bool:
    """Whoever was not let in, or has left, is forgotten."""
    tied = select(HomeRole.person_id).where(HomeRole.community_id == community_id)
    working = select(Role.person_id).where(Role.community_id == community_id)
    asking = select(JoinRequest.person_id).where(JoinRequest.created_at >= before)
    guests = (
        select(Person)
        .where(Person.community_id == community_id, Person.name != "")
        .where(func.coalesce(col(Person.left_at), col(Person.created_at)) < before)
        .where(*(col(Person.id).not_in(each) for each in (tied, working, asking)))
        .order_by(col(Person.id))
        .limit(FEW)
    )
    found = tx.session.exec(guests).all()
    erase(tx, *found)
    return len(found) == FEW
