"""What stands in somebody's list (/my), kind by kind: what waits for them, what they wait for, what ended of late."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import col, or_, select

from conversations.words import Say
from handlers import public
from handlers.ballots import uncast
from handlers.conduct import WAITING
from handlers.listing_cards import brief as title_of
from handlers.listing_cards import content_of, price, state
from handlers.matters import events_of
from handlers.my import LATELY, Item, know_waits
from handlers.people import committee_of, is_guest, roles_of
from handlers.purchase_cards import COMES, DECIDES
from handlers.purchases import brief
from handlers.repair_cards import OPEN, amount, brief_to, cut_short, state_of, where
from handlers.results import decides
from handlers.tell import Button
from handlers.tx import Tx
from store.tables import (
    Follower,
    JoinRequest,
    Letter,
    Listing,
    Objection,
    Opening,
    Person,
    Purchase,
    Repair,
    Ruling,
    Supporter,
    Talk,
    Timer,
    Vote,
)

MOST = 100
"""Matters of one kind that are looked at."""
SOON = timedelta(days=2)
"""So long before its end a listing waits for its author."""
Part = Literal["yours", "open", "over"]


def due_of(tx: Tx, action: str) -> datetime | None:
    """When the clock will perform an action, if it will."""
    waits = select(Timer.due_at).where(Timer.action == action, Timer.state == "waiting")
    return tx.session.exec(waits).first()


def ended(tx: Tx, about: str, begun: datetime) -> datetime:
    """When something came to its end: its last line of the timeline, else when it began."""
    events = events_of(tx, about)
    return events[-1].at if events else begun


def show_button(kind: str, row: Any) -> Button | None:
    """The button that opens a matter which stands on the board; None while nothing shows its kind."""
    matter = public.MATTERS.get(kind)
    return (
        Button(f"{matter.show}:{row.id}", number=row.number) if matter is not None and matter.show else None
    )


def lately(tx: Tx, items: Iterable[Item]) -> list[Item]:
    """Without what ended long ago."""
    return [each for each in items if each.part != "over" or each.since > tx.now - LATELY]


# --- repairs ----------------------------------------------------------------------------------------


def repairs(tx: Tx, person: Person) -> list[Item]:
    """What somebody reported, and what they follow."""
    since = tx.now - LATELY
    shown = or_(col(Repair.state).in_(OPEN), col(Repair.reported_at) > since, col(Repair.done_at) > since)
    own = select(Repair).where(Repair.person_id == person.id, col(Repair.incident).is_(False), shown)
    found = tx.session.exec(own.order_by(col(Repair.id).desc()).limit(MOST)).all()
    theirs = (
        select(Repair, Follower)
        .join(Follower, col(Follower.repair_id) == col(Repair.id))
        .where(Follower.person_id == person.id, col(Repair.state).in_(OPEN))
    )
    followed = tx.session.exec(theirs.order_by(col(Repair.id).desc()).limit(MOST)).all()
    return lately(
        tx,
        [
            *(_own_repair(tx, each, person) for each in found if each.state != "merged"),
            *(_followed(tx, each, row, person) for each, row in followed),
        ],
    )


def _own_repair(tx: Tx, repair: Repair, person: Person) -> Item:
    if repair.state == "done":
        until = due_of(tx, f"repair.silence:{repair.id}")
        since = repair.done_at or repair.reported_at
        return _repair(tx, repair, person, since, part="yours", state=Say("my.repaired"), until=until)
    if repair.state not in OPEN:
        since = ended(tx, f"repair:{repair.id}", repair.reported_at)
        return _repair(tx, repair, person, since, part="over")
    if repair.cost_state == "asked":
        priced = [each.at for each in events_of(tx, f"repair:{repair.id}") if each.key == "event.price_asked"]
        since = priced[-1] if priced else repair.reported_at
        return _repair(tx, repair, person, since, part="yours", state=Say("my.priced", amount=amount(repair)))
    if not repair.confirmed and repair.state == "waiting":
        return _repair(tx, repair, person, repair.reported_at, part="yours", state=Say("my.unconfirmed"))
    return _repair(tx, repair, person, repair.reported_at)


def _followed(tx: Tx, repair: Repair, row: Follower, person: Person) -> Item:
    """What was taken for the same without being asked waits for a word of whoever reported it, too."""
    if row.sure:
        return _repair(tx, repair, person, row.at)
    return _repair(tx, repair, person, row.at, part="yours", state=Say("my.same"))


def _repair(
    tx: Tx,
    repair: Repair,
    person: Person,
    since: datetime,
    *,
    part: Part = "open",
    state: Any = None,
    until: datetime | None = None,
) -> Item:
    """One repair: what waits for its crew says until when, as far as that is known."""
    own = repair.person_id == person.id
    return Item(
        part,
        "repair" if own else "followed",
        Say(
            "my.repair",
            mark="🚨 " if repair.urgent and repair.state in OPEN else "",
            where=where(tx, repair, public=not own),
            what=brief_to(tx, repair, person),
        ),
        state or state_of(tx, repair),
        since,
        repair.number,
        (repair.due_at or Say("due.now")) if part == "open" else until,
        Button(f"repair.show:{repair.id}", number=repair.number),
    )


# --- requests for equipment -------------------------------------------------------------------------


def purchases(tx: Tx, person: Person) -> list[Item]:
    """What somebody asks for, and what they support."""
    own = select(Purchase).where(Purchase.person_id == person.id).order_by(col(Purchase.id).desc())
    supported = (
        select(Purchase, Supporter)
        .join(Supporter, col(Supporter.purchase_id) == col(Purchase.id))
        .where(Supporter.person_id == person.id, col(Purchase.state).in_((*DECIDES, *COMES)))
        .order_by(col(Purchase.id).desc())
    )
    return lately(
        tx,
        [
            *(_own_purchase(tx, each) for each in tx.session.exec(own.limit(MOST))),
            *(
                _purchase(tx, each, "open", row.at, kind="supported")
                for each, row in tx.session.exec(supported.limit(MOST))
            ),
        ],
    )


def _own_purchase(tx: Tx, purchase: Purchase) -> Item:
    at = ended(tx, f"purchase:{purchase.id}", purchase.created_at)
    if purchase.state == "installed":
        until = due_of(tx, f"purchase.silence:{purchase.id}")
        return _purchase(tx, purchase, "yours", at, state=Say("my.installed"), until=until)
    if purchase.state == "declined" and at > tx.now - LATELY:
        collects = any(
            each.key == "purchase.event.collects" for each in events_of(tx, f"purchase:{purchase.id}")
        )
        if not collects:
            return _purchase(tx, purchase, "yours", at, state=Say("my.declined"))
        return _purchase(tx, purchase, "open", at, state=Say("my.collects"))
    opened = purchase.state in (*DECIDES, *COMES)
    return _purchase(tx, purchase, "open" if opened else "over", purchase.created_at if opened else at)


def _purchase(
    tx: Tx,
    purchase: Purchase,
    part: Part,
    since: datetime,
    *,
    kind: str = "purchase",
    state: Any = None,
    until: datetime | None = None,
) -> Item:
    return Item(
        part,
        kind,
        brief(tx, purchase),
        state or Say(f"purchase.state.{purchase.state}"),
        since,
        purchase.number,
        until or (purchase.due_at if part == "open" else None),
        Button(f"purchase.show:{purchase.id}", number=purchase.number),
    )


# --- listings, and what was judged ------------------------------------------------------------------


def listings(tx: Tx, person: Person) -> list[Item]:
    """What somebody published, or tried to."""
    own = select(Listing).where(Listing.person_id == person.id, Listing.state != "withdrawn")
    found = tx.session.exec(own.order_by(col(Listing.id).desc()).limit(MOST)).all()
    return lately(tx, [_listing(tx, each) for each in found])


def _listing(tx: Tx, listing: Listing) -> Item:
    ruling = tx.session.get(Ruling, listing.ruling_id) if listing.ruling_id is not None else None
    waits = ruling is not None and ruling.state in WAITING
    begun = listing.published_at or listing.created_at
    until: datetime | None = None
    part: Part
    if listing.state in ("held", "refused") and ruling is not None and waits:
        part, since, until = "open", ruling.appealed_at or ruling.at, ruling.due_at
    elif listing.state == "refused":  # whoever has let it lie for so long wants nothing of it any more
        since = ruling.at if ruling is not None else begun
        part = "yours" if since > tx.now - LATELY else "over"
    elif listing.state == "held":
        part, since = "open", begun
    elif listing.state == "open":
        until = listing.expires_at
        part, since = "yours" if until is not None and until <= tx.now + SOON else "open", begun
    else:
        part, since = "over", listing.closed_at or begun
    words: Any = state(listing)
    if part == "yours":
        words = Say("my.refused" if listing.state == "refused" else "my.expires")
    cost = price(content_of(listing))
    title = Say("my.costs", title=title_of(listing), price=cost) if cost else title_of(listing)
    button = Button(f"listing.show:{listing.id}", number=listing.number)
    return Item(part, "listing", title, words, since, listing.number, until, button)


def rulings(tx: Tx, person: Person) -> list[Item]:
    """What somebody wrote in the group and staff have to decide on; and, where these are late, the committee."""
    waits = select(Ruling).where(col(Ruling.state).in_(WAITING), Ruling.community_id == person.community_id)
    theirs = waits.where(Ruling.person_id == person.id).order_by(col(Ruling.id).desc()).limit(MOST)
    found = [
        _ruling(each, "open", Say(f"ruling.state.{each.state}"))
        for each in tx.session.exec(theirs)
        if each.about.startswith("post:")
    ]
    if "committee" in roles_of(tx, person):
        late = waits.where(col(Ruling.due_at) <= tx.now, col(Ruling.person_id).is_distinct_from(person.id))
        found += [
            _ruling(each, "yours", Say("my.stand_in"))
            for each in tx.session.exec(late.order_by(col(Ruling.id)).limit(MOST))
        ]
    return found


def _ruling(ruling: Ruling, part: Part, state: Any) -> Item:
    return Item(
        part,
        "ruling",
        cut_short(ruling.text),
        state,
        ruling.appealed_at or ruling.at,
        ruling.number,
        ruling.due_at,
        Button(f"ruling.show:{ruling.id}", number=ruling.number),
    )


# --- votes ------------------------------------------------------------------------------------------


def ballots(tx: Tx, person: Person) -> list[Item]:
    """The votes in which somebody has not voted yet."""
    votes = {vote.id: vote for vote, _ in uncast(tx, person)}
    return [_vote(each, "yours", Say("my.ballot"), each.opens_at, each.deadline) for each in votes.values()]


def _vote(vote: Vote, part: Part, state: Any, since: datetime, until: datetime | None) -> Item:
    button = Button(f"vote.show:{vote.id}", "button.vote.show_one", number=vote.number)
    return Item(part, "vote", cut_short(vote.title), state, since, vote.number, until, button)


def objections(tx: Tx, person: Person) -> list[Item]:
    """What somebody says against a result; and what the committee has to decide on."""
    waits = select(Objection, Vote).join(Vote, col(Vote.id) == col(Objection.vote_id))
    waits = waits.where(Objection.state == "waiting", Objection.community_id == person.community_id)
    found = []
    for filed, vote in tx.session.exec(waits.order_by(col(Objection.id)).limit(MOST)).all():
        if filed.person_id == person.id:
            found.append(_vote(vote, "open", Say("my.objected"), filed.at, None))
        elif person.id in {each.id for each in decides(tx, vote, filed)}:
            button = Button(f"objection.show:{filed.id}", number=filed.id)
            found.append(
                Item(
                    "yours",
                    "objection",
                    cut_short(filed.what),
                    Say("my.decide"),
                    filed.at,
                    vote.number,
                    None,
                    button,
                )
            )
    return found


def openings(tx: Tx, person: Person) -> list[Item]:
    """The votes that wait for the committee, but for those that this member has begun to open."""
    if person.id not in {each.id for each in committee_of(tx, person.community_id)}:
        return []
    rows = select(Opening, Purchase).join(Purchase, col(Purchase.id) == col(Opening.purchase_id))
    rows = rows.where(
        Opening.community_id == person.community_id, col(Opening.state).in_(("proposed", "seconding"))
    )
    return [
        Item(
            "yours",
            "opening",
            cut_short(opening.vote["title"]),
            Say(f"opening.state.{opening.state}"),
            opening.created_at,
            purchase.number,
            None,
            Button(f"purchase.show:{purchase.id}", number=purchase.number),
        )
        for opening, purchase in tx.session.exec(rows.order_by(col(Opening.id)).limit(MOST))
        if not (opening.state == "seconding" and opening.opened_by == person.id)
    ]


# --- letters, asking to come in, and what was not filled in to its end --------------------


def letters(tx: Tx, person: Person) -> list[Item]:
    """What somebody wrote to the property office, which has not answered yet."""
    waits = select(Letter).where(Letter.person_id == person.id, col(Letter.due_at).is_not(None))
    written = [
        (each, tx.session.get_one(Repair, int(each.about.removeprefix("repair:"))))
        for each in tx.session.exec(waits.order_by(col(Letter.id)).limit(MOST))
    ]
    return [
        Item(
            "open",
            "letter",
            cut_short(letter.text) or Say("letter.files", count=len(letter.files)),
            Say("my.to_office"),
            letter.at,
            repair.number,
            letter.due_at,
            Button(f"repair.show:{repair.id}", number=repair.number),
        )
        for letter, repair in written
    ]


def joining(tx: Tx, person: Person) -> list[Item]:
    """The request of a guest to come in."""
    own = select(JoinRequest).where(JoinRequest.person_id == person.id).order_by(col(JoinRequest.id).desc())
    return [
        Item(
            "open" if asked.state == "waiting" else "over",
            "join",
            cut_short(asked.home),
            Say(f"join.state.{asked.state}"),
            asked.decided_at or asked.created_at,
            0,
            asked.due_at if asked.state == "waiting" else None,
            Button(f"join.show:{asked.id}", number=asked.id),
        )
        for asked in tx.session.exec(own.limit(1))
        if is_guest(tx, person)
    ]


def forms(tx: Tx, person: Person) -> list[Item]:
    """What they have begun to fill in, in whichever chat."""
    begun: Sequence[Talk] = tx.session.exec(select(Talk).where(Talk.person_id == person.id)).all()
    return [
        Item(
            "yours",
            "form",
            Say("my.form"),
            Say("my.form_here" if tx.place is not None and tx.place.id == talk.place_id else "my.form_there"),
            talk.touched_at,
            until=due_of(tx, f"talk.expire:{talk.id}"),
        )
        for talk in begun
    ]


for each in (
    repairs,
    purchases,
    listings,
    rulings,
    ballots,
    objections,
    openings,
    letters,
    joining,
    forms,
):
    know_waits(each)
