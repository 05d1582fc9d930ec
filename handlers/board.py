"""The neighbourhood market: what is offered and looked for now, by kind, by words, page by page."""

import re
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, func, or_, select

from conversations.listing import KINDS
from conversations.words import Say
from handlers.actions import action
from handlers.listing_cards import brief, content_of, price, show_button
from handlers.people import is_resident
from handlers.talk import here
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Listing, Person

FITS = 6
"""Listings on a page, each with a button."""
ALL = "all"
LONGEST = 10
"""Characters of what is looked for: they stand in the buttons of the pages."""
TERMS = 4
TYPED = re.compile(
    r"(?:/board(?:@\w+)?\s+|(?:集市|搜索?|board|market)[\s:：]+)(\S.*)", re.IGNORECASE | re.DOTALL
)
PAGE = re.compile(rf"({'|'.join((ALL, *KINDS))})\.(\d{{1,3}})(?:\.(.{{1,{LONGEST}}}))?", re.DOTALL)


def sought_in(text: str) -> str:
    """What somebody looks for: 自行车 in "/board 自行车"; empty if they do not."""
    found = TYPED.fullmatch(text.strip())
    return found[1] if found is not None else ""


@action("board", button=True, stays=True)
def show(tx: Tx, person: Person, words: str = "") -> None:
    """The newest listings, or those in which these words stand."""
    _show(tx, person, ALL, 0, " ".join(words.split())[:LONGEST].strip())


@action("market.page", button=True, stays=True, words=PAGE)
def page(tx: Tx, person: Person, which: str) -> None:
    """One page, of one kind or of all: "sale.2.自行车"."""
    found = PAGE.fullmatch(which)
    kind, number, words = found.groups() if found is not None else (ALL, "0", "")
    _show(tx, person, kind, int(number), words or "")


def _show(tx: Tx, person: Person, kind: str, number: int, words: str) -> None:
    to = here(tx, person)
    reader = reader_of(tx, to)
    which = _open(person.community_id, kind, words)
    total = tx.session.exec(select(func.count()).select_from(Listing).where(*which)).one()
    number = min(number, max(0, (total - 1) // FITS))
    newest = select(Listing).where(*which).order_by(col(Listing.id).desc())
    found = tx.session.exec(newest.offset(number * FITS).limit(FITS)).all()
    lines = [
        reader.say(
            "board.line",
            number=each.number,
            kind=Say(f"listing.kind.{each.kind}"),
            title=brief(each),
            price=price(content_of(each)),
        )
        for each in found
    ]
    pages = [
        Button(f"market.page:{_page(kind, at, words)}", f"board.{way}") for way, at in _ways(number, total)
    ]
    offer = [Button("listing.start")] if to is person and is_resident(tx, person) else []
    facts: dict[str, Any] = {
        "what": Say("board.of_words", words=words)
        if words
        else Say(f"listing.kind.{kind}")
        if kind != ALL
        else Say("board.everything"),
        "list": "\n".join(lines),
        "count": total,
        "page": Say("board.page_mark", page=number + 1, pages=(total - 1) // FITS + 1)
        if total > FITS
        else "",
    }
    tell(
        tx,
        to,
        "board.list" if lines else "board.none_found" if words else "board.none",
        buttons=[*map(show_button, found), *pages, *_kinds(tx, person, kind, words), *offer],
        last="market",
        **facts,
    )


def _open(community_id: int, kind: str, words: str) -> list[Any]:
    """What tells the open listings of a kind in which each of the words stands."""
    which = [col(Listing.community_id) == community_id, col(Listing.state) == "open"]
    if kind != ALL:
        which.append(col(Listing.kind) == kind)
    for term in words.split()[:TERMS]:
        holds = (col(column).icontains(term, autoescape=True) for column in (Listing.title, Listing.text))
        which.append(or_(*holds))
    return which


def _ways(number: int, total: int) -> list[tuple[str, int]]:
    ways = [("earlier", number - 1)] if number else []
    return [*ways, ("later", number + 1)] if (number + 1) * FITS < total else ways


def _page(kind: str, number: int, words: str) -> str:
    return ".".join((kind, str(number), *([words] if words else [])))


def _kinds(tx: Tx, person: Person, kind: str, words: str) -> Sequence[Button]:
    """From all of it to each kind that there is, and back."""
    if kind != ALL or words:
        return [Button(f"market.page:{ALL}.0", "board.all")]
    rows = (
        select(Listing.kind, func.count()).where(*_open(person.community_id, ALL, "")).group_by(Listing.kind)
    )
    counts = dict(tx.session.exec(rows).all())
    if len(counts) < 2:
        return []
    reader = reader_of(tx, here(tx, person))
    return [
        Button(
            f"market.page:{each}.0",
            label=reader.say("board.kind", kind=Say(f"listing.kind.{each}"), count=counts[each]),
        )
        for each in KINDS
        if each in counts
    ]
