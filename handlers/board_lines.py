"""What stands on the board of repairs, requests, votes and listings: the line, the words, the photos of each."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import func, select

from conversations.words import Reader, Say
from handlers import listing_cards, matters, purchase_cards, repair_cards, results
from handlers.complaint_words import without_people
from handlers.conduct import about as listing_about
from handlers.holding import about as vote_about
from handlers.holding import announcement
from handlers.masking import without_private
from handlers.overdue import DECIDE
from handlers.policy import policy_of
from handlers.public import Line, Matter, know_matter
from handlers.tx import Tx
from handlers.vote_words import one_line
from store.tables import Event, Listing, Objection, Person, Purchase, Repair, Vote

LONGEST = 80
"""Characters of a title."""
TAKEN_BACK = ("withdrawn", "merged")
"""A report that was taken back, or is part of another one, does not stand there."""
SHOWN = ("open", "closed", "expired")
"""The states in which a listing stands on the board."""


UNTOUCHED = ("amount", "building")
"""Facts that only look like rooms."""


def _short(text: str) -> str:
    return repair_cards.cut_short(text, LONGEST)


def _for_strangers(tx: Tx, community_id: int, value: Any) -> Any:
    """What owners wrote, without rooms, numbers and names of anybody: neighbours may read more than a page for all."""
    if isinstance(value, str):
        return without_people(tx, community_id, value)
    if isinstance(value, Say):
        return Say(value.key, **_each_for_strangers(tx, community_id, value.facts))
    if isinstance(value, Mapping):
        return _each_for_strangers(tx, community_id, value)
    return [_for_strangers(tx, community_id, each) for each in value] if isinstance(value, list) else value


def _each_for_strangers(tx: Tx, community_id: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: fact if name in UNTOUCHED else _for_strangers(tx, community_id, fact)
        for name, fact in facts.items()
    }


def _steps(tx: Tx, row: Repair | Purchase, about: str, reader: Reader, masked: Any) -> list[str]:
    """The timeline of what an owner brought, for strangers."""
    return matters.timeline(
        tx, about, reader, lambda words: without_people(tx, row.community_id, masked(words))
    )


# --- repairs ----------------------------------------------------------------------------------------


def _repair_line(tx: Tx, repair: Repair) -> Line | None:
    if repair.state in TAKEN_BACK:
        return None
    own = without_private(tx, tx.session.get_one(Person, repair.person_id), repair.what)
    words = _for_strangers(tx, repair.community_id, own)
    return Line(
        number=repair.number,
        title=_short(words) or tx.reader(repair.community_id).say(f"kind.{repair.kind}"),
        state=repair_cards.state_of(tx, repair),
        at=repair.reported_at,
        building=repair.building,
        open=repair.state in repair_cards.WORK,
        due=_repair_due(tx, repair),
    )


def _repair_due(tx: Tx, repair: Repair) -> datetime | None:
    """By when what comes next should be done: an emergency is late as soon as its first call was for nothing."""
    if not repair_cards.is_paged(repair):
        return repair.due_at if repair_cards.runs(repair) else None
    calls = select(func.max(Event.at)).where(Event.about == f"repair:{repair.id}", Event.key == "event.paged")
    called = tx.session.exec(calls).one()
    return called and called + timedelta(minutes=policy_of(tx, repair.community_id).page_again_minutes)


def _repair_card(tx: Tx, repair: Repair) -> Say:
    return Say(
        "incident.board" if repair.incident else "repair.board",
        expected=repair_cards.expected_mark(repair),
        **_each_for_strangers(tx, repair.community_id, repair_cards.public(tx, repair)),
    )


def _repair_timeline(tx: Tx, repair: Repair, reader: Reader) -> list[str]:
    """As in a neighbour's chat: of what belongs to all; who comes into a home and when is nobody else's business."""
    if not repair_cards.is_common(repair):
        return []
    person = tx.session.get_one(Person, repair.person_id)
    about = f"repair:{repair.id}"
    return _steps(tx, repair, about, reader, lambda words: without_private(tx, person, words))


def _repair_photos(tx: Tx, repair: Repair) -> Sequence[int]:
    """Of what belongs to all: nobody sees into a home, and what nobody has placed yet may be one."""
    return repair_cards.photos_of(tx, repair) if repair_cards.is_common(repair) else ()


know_matter(
    Matter(
        "repair",
        Repair,
        _repair_line,
        _repair_card,
        _repair_timeline,
        _repair_photos,
        show="repair.show",
    )
)


# --- requests ---------------------------------------------------------------------------------------


def _purchase_line(tx: Tx, purchase: Purchase) -> Line:
    waits = purchase.state in ("review", "approved")
    return Line(
        number=purchase.number,
        title=_short(
            _for_strangers(tx, purchase.community_id, purchase_cards.masked(tx, purchase, purchase.what))
        ),
        state=Say(f"purchase.state.{purchase.state}"),
        at=purchase.created_at,
        building=purchase.building,
        open=purchase.state in purchase_cards.OPEN,
        due=purchase.due_at if waits else None,
    )


def _purchase_card(tx: Tx, purchase: Purchase) -> Say:
    facts = _each_for_strangers(tx, purchase.community_id, purchase_cards.public(tx, purchase))
    return Say("purchase.board", **facts)


def _purchase_timeline(tx: Tx, purchase: Purchase, reader: Reader) -> list[str]:
    about = purchase_cards.about(purchase)
    return _steps(tx, purchase, about, reader, lambda words: purchase_cards.masked(tx, purchase, words))


know_matter(
    Matter(
        "purchase",
        Purchase,
        _purchase_line,
        _purchase_card,
        _purchase_timeline,
        purchase_cards.photos_of,
        show="purchase.show",
    )
)


# --- votes ------------------------------------------------------------------------------------------


def _vote_line(tx: Tx, vote: Vote) -> Line:
    return Line(
        number=vote.number,
        title=_short(one_line(vote.title)),
        state=_vote_state(tx, vote),
        at=_made_at(tx, vote),
        open=vote.final_at is None and vote.annulled_at is None,
        due=min(each.at for each in waiting) + DECIDE if (waiting := _waiting(tx, vote)) else None,
    )


def _waiting(tx: Tx, vote: Vote) -> list[Objection]:
    """What was said against its result and is not decided; nothing once it does not hold anyway."""
    if vote.state != "closed" or vote.annulled_at is not None:
        return []
    return [each for each in results.objections_to(tx, vote) if each.state == "waiting"]


def _made_at(tx: Tx, vote: Vote) -> Any:
    """When it was announced."""
    events = matters.events_of(tx, vote_about(vote))
    return events[0].at if events else min(vote.opens_at, tx.now)


def _vote_state(tx: Tx, vote: Vote) -> Say:
    """How it stands, in words that stay true until the next thing happens to it."""
    if vote.state == "open":
        if vote.opens_at > tx.now:
            return Say("board_page.vote.soon", opens=vote.opens_at)
        return Say("board_page.vote.open", deadline=vote.deadline)
    verdict = results.verdict_of(vote)
    if vote.annulled_at is not None:
        return verdict
    if vote.final_at is not None:
        return Say("board_page.vote.final", verdict=verdict)
    if waiting := _waiting(tx, vote):
        return Say("board_page.vote.objected", verdict=verdict, count=len(waiting))
    return Say("board_page.vote.objecting", verdict=verdict, until=vote.objections_until or vote.deadline)


def _vote_card(tx: Tx, vote: Vote) -> Say:
    """What was announced, or what came out; the page of the vote and its files have links of their own."""
    if vote.state == "closed":
        return Say("result.published", **{**results.shown(tx, vote), "page": "", "again": ""})
    key = "ballot.announced" if vote.opens_at > tx.now else "ballot.board"
    return Say(key, **{**announcement(tx, vote), "page": ""})


def _vote_timeline(tx: Tx, vote: Vote, reader: Reader) -> list[str]:
    return matters.timeline(tx, vote_about(vote), reader)


know_matter(Matter("vote", Vote, _vote_line, _vote_card, _vote_timeline, show="vote.show"))


# --- listings ---------------------------------------------------------------------------------------


def _listing_line(tx: Tx, listing: Listing) -> Line | None:
    """None unless it stands there: not one that is held, refused, withdrawn, or whose author is forgotten."""
    if listing.state not in SHOWN or listing.published_at is None or not listing.title:
        return None
    content = _masked(tx, listing)
    return Line(
        number=listing.number,
        title=_short(content["title"]),
        state=Say(
            "board_page.listing", kind=Say(f"listing.kind.{listing.kind}"), state=listing_cards.state(listing)
        ),
        at=listing.published_at,
        building=str(listing.details.get("building") or ""),
        open=listing.state == "open",
    )


def _masked(tx: Tx, listing: Listing) -> Mapping[str, Any]:
    """What it says without numbers, rooms and names: neighbours may see more in the group than strangers on a page."""
    author = tx.session.get_one(Person, listing.person_id)
    content = listing_cards.content_of(listing)
    free = {name: _free(tx, author, value) for name, value in content.items()}
    return _each_for_strangers(tx, listing.community_id, free)


def _free(tx: Tx, author: Person, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _free(tx, author, each) for name, each in value.items()}
    return without_private(tx, author, value) if isinstance(value, str) else value


def _listing_card(tx: Tx, listing: Listing) -> Say:
    if listing.state != "open":
        return listing_cards.over(listing, _masked(tx, listing)["title"])
    author = tx.session.get_one(Person, listing.person_id)
    shown = listing_cards.card(
        tx, author, _masked(tx, listing), listing.number, until=listing.expires_at or ""
    )
    return Say("board_page.listing_open", shown=shown, number=listing.number)


def _listing_photos(tx: Tx, listing: Listing) -> Sequence[int]:
    return matters.photos_of(tx, listing_about(listing)) if listing.state == "open" else ()


know_matter(
    Matter(
        "listing",
        Listing,
        _listing_line,
        _listing_card,
        lambda tx, listing, reader: [],
        _listing_photos,
        show="listing.show",
    )
)
