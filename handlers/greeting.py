"""What somebody is told who comes in, comes back, or asks for help: what they can do, and what waits for them."""

from sqlmodel import select

from conversations.words import Say
from handlers import ballots, progress, repair_lists
from handlers.people import communities_of, is_guest, is_resident, owns, roles_of
from handlers.policy import policy_of
from handlers.repair_cards import office
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import JoinRequest, Person

FOR_ROLE: dict[str, tuple[str, ...]] = {
    "help.owner": (
        "repair.start",
        "board",
        "listing.start",
        "complaint.start",
        "purchase.start",
        "votes",
        "equipment",
        "my",
        "agents",
    ),
    "help.resident": ("repair.start", "board", "listing.start", "complaint.start", "equipment", "my"),
    "help.crew": ("repair.open",),
    "help.committee": ("votes", "poll.start"),
    "help.manager": ("repair.open",),
    "help.staff_private": (),
}


def greet(tx: Tx, person: Person) -> None:
    """Show each role just what it can do in its own chat, and what waits for it."""
    if is_guest(tx, person):
        _greet_guest(tx, person)
        return
    key = _help_key(tx, person)
    several = ["communities"] if len(communities_of(tx)) > 1 else []
    asks = ["poll.start"] if "committee" in roles_of(tx, person) and "poll.start" not in FOR_ROLE[key] else []
    roles = roles_of(tx, person)
    more = [
        *([Say("role.manager")] if "manager" in roles and key != "help.manager" else []),
        *([Say("role.committee")] if "committee" in roles and key != "help.committee" else []),
    ]
    tell(
        tx,
        person,
        key,
        name=person.name,
        community=tx.community(person.community_id).name,
        limit=policy_of(tx, person.community_id).listing_limit,
        more=Say("help.more", roles=more) if more else "",
        buttons=[*FOR_ROLE[key], *asks, *several, "language"],
    )
    show_waiting(tx, person)


def _help_key(tx: Tx, person: Person) -> str:
    """Whose help somebody needs, by what they do here most."""
    roles = roles_of(tx, person)
    if "crew" in roles:
        return "help.crew"
    if is_resident(tx, person):
        return "help.owner" if owns(tx, person) else "help.resident"
    if "manager" in roles:
        return "help.manager"
    return "help.committee" if "committee" in roles else "help.staff_private"


def _greet_guest(tx: Tx, person: Person) -> None:
    """What somebody who is not in can do."""
    waits = _waits(tx, person)
    tell(
        tx,
        person,
        "help.guest",
        community=tx.community(person.community_id).name,
        phone=office(tx, person.community_id),
        state=Say("help.guest_waits" if waits else "help.guest_asks"),
        buttons=[*([] if waits else [f"join.start:{person.community_id}"]), "language"],
    )


def _waits(tx: Tx, person: Person) -> bool:
    waits = select(JoinRequest.id).where(JoinRequest.person_id == person.id, JoinRequest.state == "waiting")
    return tx.session.exec(waits.limit(1)).first() is not None


def show_waiting(tx: Tx, person: Person) -> None:
    """Show what waits for an answer of somebody who comes in or comes back."""
    repair_lists.show_waiting(tx, person)
    progress.show_waiting(tx, person)
    ballots.show_waiting(tx, person)
