"""What is said about a listing: its facts for each reader, its buttons, and the cards that show it."""

from collections.abc import Mapping
from typing import Any

from conversations.listing import DETAILS, PRICED
from conversations.money import yuan
from conversations.words import Say
from handlers.conduct import about
from handlers.matters import add_event, photos_of
from handlers.notices import notify, post, take_down
from handlers.people import homes_of
from handlers.repair_cards import cut_short
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.tables import Listing, Person, Talk

COUNTS = ("held", "open")
"""The states in which a listing counts towards what one person may have."""
CHANGEABLE = ("held", "open", "refused", "expired")
BRIEF = 24


# --- facts ------------------------------------------------------------------------------------------


def content_of(listing: Listing) -> dict[str, Any]:
    """What a listing says, by column."""
    return {name: getattr(listing, name) for name in ("kind", "title", "text", "price", "details")}


def words_of(content: Mapping[str, Any]) -> str:
    """All that is judged: title, text, and what was typed about a rental."""
    title, text = content["title"], content["text"]
    plain = "".join(text.split())
    typed = [content["details"].get("deposit", "")]
    return "\n".join([*([] if "".join(title.split()) in plain else [title]), text, *filter(None, typed)])


def card(tx: Tx, author: Person, content: Mapping[str, Any], number: int = 0, until: Any = "") -> Say:
    """A listing as everybody sees it, before or after it is published; nobody's name stands there."""
    title, text = content["title"], content["text"]
    return Say(
        "listing.card",
        kind=Say(f"listing.kind.{content['kind']}"),
        title=title,
        price=price(content),
        facts=_details(content),
        words=Say("listing.words_mark", text=text) if " ".join(text.split()) != title else "",
        where=_building(tx, author, content),
        number=Say("listing.number_mark", number=number) if number else "",
        until=Say("listing.until_mark", until=until) if until else "",
    )


def price(content: Mapping[str, Any]) -> Any:
    """What it costs, a month if it is let; that it is to be agreed."""
    if content["price"] is not None:
        key = "listing.rent_mark" if content["kind"] == "rent" else "listing.price_mark"
        return Say(key, price=Say("money.yuan", amount=yuan(content["price"])))
    return Say("listing.no_price_mark") if content["kind"] in PRICED else ""


def _details(content: Mapping[str, Any]) -> Any:
    """What a rental has to show, in one line."""
    details = content["details"]
    shown = [_detail(name, details[name]) for name in DETAILS if name != "building" and details.get(name)]
    return Say("listing.details_mark", details=shown) if shown else ""


def _detail(name: str, told: Any) -> Any:
    if name == "home":
        return Say(f"listing.home.{told}")
    if name == "lets":
        return Say(f"listing.lets.{told}")
    if name == "area":
        return Say("listing.area_mark", area=told)
    if name == "people":
        return Say("listing.people_mark", count=told)
    return told


def _building(tx: Tx, author: Person, content: Mapping[str, Any]) -> Any:
    """The building of what is let, or of who published it."""
    homes = [home.building for home in homes_of(tx, author)]
    building = content["details"].get("building") or next(iter(homes), "")
    return Say("where.building", building=building) if building else ""


def public(tx: Tx, listing: Listing) -> dict[str, Any]:
    """The facts for the board: all of it while it is open, else what became of it."""
    if listing.state == "open":
        return {"shown": Say("listing.board_open", shown=card_of(tx, listing), number=listing.number)}
    return {"shown": over(listing, listing.title if listing.state in ("closed", "expired") else "")}


def over(listing: Listing, title: str) -> Say:
    """What became of one that is open no more."""
    kind = Say(f"listing.kind.{listing.kind}")
    return Say("listing.over", kind=kind, title=title, state=state(listing), number=listing.number)


def of_listing(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which listing a talk is about, for the words of its questions."""
    listing = tx.session.get_one(Listing, int(talk.about.removeprefix("listing:")))
    return {"number": listing.number, "title": brief(listing)}


def card_of(tx: Tx, listing: Listing) -> Say:
    """A listing as everybody sees it, with its number, and until when it stands there."""
    author = tx.session.get_one(Person, listing.person_id)
    until = listing.expires_at or ""
    return card(tx, author, content_of(listing), listing.number, until)


def state(listing: Listing) -> Say:
    """What became of it: sold, let, found …"""
    if listing.state == "closed":
        return Say(f"listing.done.{listing.kind}")
    return Say(f"listing.state.{listing.state}")


def brief(listing: Listing) -> str:
    """Its title in one short line."""
    return cut_short(listing.title, BRIEF)


# --- buttons ----------------------------------------------------------------------------------------


def own_buttons(listing: Listing) -> list[Button]:
    """What whoever published it can do with it now."""
    names = {
        "held": ["change", "withdraw"],
        "open": ["change", "close", "renew", "withdraw"],
        "refused": ["change", "withdraw"],
        "expired": ["renew", "change"],
    }.get(listing.state, [])
    return [_button(listing, name) for name in names]


def _button(listing: Listing, name: str) -> Button:
    key = f"listing.close_{listing.kind}" if name == "close" else ""
    return Button(f"listing.{name}:{listing.id}", key, number=listing.number)


def looking_buttons(listing: Listing) -> list[Button]:
    """What a neighbour can do with it."""
    return [_button(listing, name) for name in ("write", "report")] if listing.state == "open" else []


def show_button(listing: Listing) -> Button:
    """The way to all of it."""
    return Button(f"listing.show:{listing.id}", number=listing.number)


# --- its timeline -----------------------------------------------------------------------------------


def happened(tx: Tx, listing: Listing, key: str, person: Person | None = None) -> None:
    """Write one line of a listing's timeline; nobody did what the clock did."""
    add_event(tx, about(listing), key, person, community_id=listing.community_id)


# --- cards ------------------------------------------------------------------------------------------


def to_author(listing: Listing) -> str:
    """The name of what its author is told about it: only the last of these messages has buttons."""
    return f"offer:{listing.id}"


def seen(listing: Listing) -> str:
    """The name of what is shown to somebody who only looks at it."""
    return f"item:{listing.id}"


def tell_owner(tx: Tx, listing: Listing, key: str, **options: Any) -> None:
    """Say something to who published it, with what they can do now."""
    author = tx.session.get_one(Person, listing.person_id)
    given = {"number": listing.number, "title": brief(listing), "state": state(listing)}
    own = {"buttons": own_buttons(listing), "last": to_author(listing)}
    tell(tx, author, key, **{**given, **own, **options})


def announce(tx: Tx, listing: Listing) -> None:
    """Put it on the board and, without a sound, into every neighbour's own chat."""
    photos = photos_of(tx, about(listing))
    post(
        tx, listing.community_id, "listing.board", about=about(listing), photos=photos, **public(tx, listing)
    )
    notify(
        tx,
        listing.community_id,
        "listing.notice",
        about=about(listing),
        photos=photos,
        but=tx.session.get_one(Person, listing.person_id),
        buttons=[show_button(listing)],
        wish="listing",
        shown=card_of(tx, listing),
    )


def refresh(tx: Tx, listing: Listing, *, anew: bool = False) -> None:
    """Let the board show the present state, if it has ever stood there.

    `anew`: the photos have changed, which no change of a message shows; what stands anywhere with the old ones goes.
    """
    tx.session.add(listing)
    tx.session.flush()
    if anew:
        take_down(tx, listing.community_id, about(listing))
    if listing.published_at is not None:
        post(
            tx,
            listing.community_id,
            "listing.board",
            about=about(listing),
            photos=photos_of(tx, about(listing)) if listing.state == "open" else (),
            **public(tx, listing),
        )
