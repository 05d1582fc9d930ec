"""The board in a chat: what is open now, with one tap each, what is overdue, and where all of it stands."""

from typing import Any

from conversations.errors import Refused
from conversations.words import Say
from handlers.actions import action
from handlers.board_page import (
    MANY,
    Wanted,
    address,
    change_address,
    is_late,
    lines,
    overdue_count,
    personal_address,
)
from handlers.policy import policy_of
from handlers.public import matter_of, state_in
from handlers.repair_cards import cut_short
from handlers.rights import may
from handlers.talk import here
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Entry, Person

FITS = 8
"""Matters in one message."""
BRIEF = 24


@action("public", button=True, stays=True)
def show(tx: Tx, person: Person) -> None:
    """The newest open matters, each with its button for whom it may be opened; the page with all of them."""
    to = here(tx, person)
    reader = reader_of(tx, to)
    newest = lines(tx, person.community_id, Wanted(open=True), FITS)[:FITS]
    late = overdue_count(tx, person.community_id)
    shown = [
        reader.say(
            "public.line",
            kind=Say(f"board_page.kind.{each.kind}"),
            number=each.number,
            title=cut_short(each.title, BRIEF),
            state=state_in(each),
            late=Say("public.late_mark") if is_late(each, tx.now) else "",
        )
        for each in newest
    ]
    opens = [button for each in newest for button in _opens(tx, person, each)]
    tell(
        tx,
        to,
        "public.list" if shown else "public.none",
        list="\n".join(shown),
        overdue=_overdue(late),
        page=_page(tx, person, mine=to is person),
        buttons=[*opens, *(["overdue"] if late else []), *_staff(tx, person)],
        last="public",
    )


def _opens(tx: Tx, person: Person, entry: Entry) -> list[Button]:
    """The way to a matter, for whom it may be opened."""
    known = matter_of(entry.about)
    if known is None or not known[0].show:
        return []
    row = tx.session.get(known[0].table, known[1])
    if may(tx, person, known[0].show, row) is None:
        return []
    kind = Say(f"board_page.kind.{entry.kind}")
    label = reader_of(tx, here(tx, person)).say("public.open", kind=kind, number=entry.number)
    return [Button(f"{known[0].show}:{known[1]}", label=label)]


def _overdue(count: int) -> Any:
    if not count:
        return ""
    return (
        Say("public.overdue_many_mark", count=MANY)
        if count > MANY
        else Say("public.overdue_mark", count=count)
    )


def _page(tx: Tx, person: Person, *, mine: bool) -> Any:
    """Where all of it stands; to members only by a link of their own, which no group may read."""
    if policy_of(tx, person.community_id).board_page == "members":
        if not mine or tx.place is None:
            return Say("public.page_private_mark") if address(tx, person.community_id) else ""
        own = personal_address(tx, person, tx.place)
        return Say("public.page_own_mark", address=own) if own else ""
    page = address(tx, person.community_id)
    return Say("public.page_mark", address=page) if page else ""


def _staff(tx: Tx, person: Person) -> list[str]:
    in_group = tx.place is not None and tx.place.kind == "staff"
    return ["address.ask"] if in_group and _is_secret(tx, person) else []


def _is_secret(tx: Tx, person: Person) -> bool:
    secret = policy_of(tx, person.community_id).board_page == "link"
    return secret and bool(address(tx, person.community_id))


@action("address.ask", button=True, stays=True)
def ask(tx: Tx, person: Person) -> None:
    """Say what another secret address means, and ask."""
    _must_be_secret(tx, person)
    tell(
        tx,
        here(tx, person),
        "public.ask",
        buttons=["address.change", Button("public", "public.keep")],
        last="address",
    )


@action("address.change", button=True, grave=True)
def change(tx: Tx, person: Person) -> None:
    """From now on the page has another secret address."""
    _must_be_secret(tx, person)
    change_address(tx, person.community_id)
    tell(tx, here(tx, person), "public.changed", address=address(tx, person.community_id))


def _must_be_secret(tx: Tx, person: Person) -> None:
    if not _is_secret(tx, person):
        raise Refused("public.no_secret")
