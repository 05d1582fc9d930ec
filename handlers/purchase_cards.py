"""What is said about a request for equipment: its facts for each reader, its buttons, and the cards that show it."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, func, select

from conversations.money import yuan
from conversations.words import Say
from handlers import matters
from handlers.masking import without_private
from handlers.notices import post
from handlers.people import homes_of, owns, roles_of
from handlers.policy import policy_of
from handlers.repair_cards import address
from handlers.tell import Button, close_everywhere, tell, tell_staff
from handlers.tx import Tx
from store.tables import Opening, Outgoing, Person, Purchase, Supporter

DECIDES = ("signing", "review", "opening", "voting", "objecting")
COMES = ("approved", "ordered", "delivered", "installed")
OPEN = (*DECIDES, *COMES)
SUPPORTED = ("signing", "review", "opening", "declined")
"""In which states one can support it."""
NEWS = ("purchase.event.ordered", "purchase.event.delivered", "purchase.event.installed")


# --- facts ------------------------------------------------------------------------------------------


def about(purchase: Purchase) -> str:
    """How photos, events and talks name it."""
    return f"purchase:{purchase.id}"


def proposer_of(tx: Tx, purchase: Purchase) -> Person:
    """Who asks for it."""
    return tx.session.get_one(Person, purchase.person_id)


def masked(tx: Tx, purchase: Purchase, text: str) -> str:
    """Free words as the public may read them: no telephone numbers, no rooms, not the name of who asks for it."""
    return without_private(tx, proposer_of(tx, purchase), text)


def where(tx: Tx, purchase: Purchase) -> Say:
    """The building, or that it is for all, with the spot."""
    building = (
        Say("where.building", building=purchase.building) if purchase.building else Say("purchase.whole")
    )
    spot = masked(tx, purchase, purchase.spot)
    return Say("where.spot", place=building, spot=spot) if spot else building


def supporters(tx: Tx, purchase: Purchase) -> int:
    """How many support it besides whoever asks for it."""
    rows = select(func.count()).where(Supporter.purchase_id == purchase.id)
    return tx.session.exec(rows).one()


def needed(tx: Tx, purchase: Purchase) -> int:
    """How many must support it to bring it on; 0: it needs nobody more."""
    policy = policy_of(tx, purchase.community_id)
    if purchase.state == "declined":
        return policy.insist_cosigners
    return policy.cosigners if purchase.state == "signing" else 0


def money(cents: int | None) -> Any:
    """An amount in words; that nobody knows it."""
    return Say("money.yuan", amount=yuan(cents)) if cents is not None else Say("money.unknown")


def public(tx: Tx, purchase: Purchase) -> dict[str, Any]:
    """The facts for the board and the owners: no name, no telephone number, no room."""
    said = {"count": supporters(tx, purchase), "needed": needed(tx, purchase)}
    news = _news(tx, purchase) if purchase.state in COMES else ""
    return {
        "number": purchase.number,
        "what": masked(tx, purchase, purchase.what),
        "count": purchase.count,
        "where": where(tx, purchase),
        "why": masked(tx, purchase, purchase.why),
        "state": Say(f"purchase.state.{purchase.state}"),
        "due": _due(tx, purchase),
        "cost": Say("purchase.cost_mark", cost=money(purchase.cost)) if purchase.cost is not None else "",
        "payer": Say("purchase.payer_mark", payer=Say(f"review.payer.{purchase.payer}"))
        if purchase.payer
        else "",
        "note": Say("purchase.note_mark", note=masked(tx, purchase, purchase.note)) if purchase.note else "",
        "reason": Say("purchase.reason_mark", reason=masked(tx, purchase, purchase.reason))
        if purchase.state == "declined"
        else "",
        "support": Say("purchase.support_of_mark" if said["needed"] else "purchase.support_mark", **said)
        if said["count"] or said["needed"]
        else "",
        "spent": Say("purchase.spent_mark", spent=money(purchase.spent))
        if purchase.spent is not None
        else "",
        "news": Say("purchase.news_mark", note=news) if news else "",
    }


def _due(tx: Tx, purchase: Purchase) -> Any:
    """Until when staff have to do the next thing; in public also that they did not."""
    if purchase.due_at is None or purchase.state not in ("review", "approved"):
        return ""
    if purchase.due_at >= tx.now:
        return Say(
            "purchase.due_review_mark" if purchase.state == "review" else "purchase.due_order_mark",
            due=purchase.due_at,
        )
    return Say("purchase.late_review_mark" if purchase.state == "review" else "purchase.late_order_mark")


def _news(tx: Tx, purchase: Purchase) -> str:
    """What staff said of its last step."""
    said = [
        event.facts.get("note", "") for event in matters.events_of(tx, about(purchase)) if event.key in NEWS
    ]
    return str(said[-1]) if said else ""


def private(tx: Tx, purchase: Purchase) -> dict[str, Any]:
    """The facts for staff, who know who asks for it."""
    proposer = proposer_of(tx, purchase)
    homes = homes_of(tx, proposer)
    return {
        **public(tx, purchase),
        "who": proposer.name or Say("person.forgotten"),
        "home": address(homes[0]) if homes else "",
        "todo": Say("purchase.todo_mark") if purchase.state == "review" and not purchase.note else "",
    }


# --- buttons ----------------------------------------------------------------------------------------


def _buttons(purchase: Purchase, *names: str) -> list[Button]:
    return [Button(f"{name}:{purchase.id}", number=purchase.number) for name in names]


def proposer_buttons(purchase: Purchase) -> list[Button]:
    """What whoever asks for it can do with it now."""
    names = {
        "signing": ["purchase.withdraw"],
        "review": ["purchase.withdraw"],
        "declined": ["purchase.insist"],
        "installed": ["purchase.confirm", "purchase.problem"],
    }.get(purchase.state, [])
    return _buttons(purchase, *names, "purchase.show")


def staff_buttons(purchase: Purchase) -> list[Button]:
    """What the admin group can do with it now."""
    start = ["review.start"] if purchase.note else []
    decline = [] if purchase.insisted else ["purchase.decline"]
    names = {
        "review": [*start, "purchase.note", "purchase.register", *decline],
        "approved": ["purchase.order"],
        "ordered": ["purchase.deliver"],
        "delivered": ["purchase.install"],
    }.get(purchase.state, [])
    return _buttons(purchase, *names, "purchase.show")


def support_button(purchase: Purchase) -> list[Button]:
    """Below what is published, as long as it can be supported."""
    if purchase.state not in SUPPORTED:
        return []
    return [Button(f"purchase.support:{purchase.id}", number=purchase.number, owners=True)]


def opening_of(tx: Tx, purchase: Purchase) -> Opening | None:
    """The vote on it that waits for the committee."""
    waits = select(Opening).where(
        Opening.purchase_id == purchase.id, col(Opening.state).in_(["proposed", "seconding"])
    )
    return tx.session.exec(waits.order_by(col(Opening.id).desc())).first()


def opening_buttons(opening: Opening, person: Person, purchase: Purchase | None) -> list[Button]:
    """What a member of the committee can do with it now."""
    names = {
        "proposed": ["opening.open", "opening.drop"],
        "seconding": ["opening.confirm", "opening.drop"],
    }.get(opening.state, [])
    if opening.opened_by == person.id:
        names = [name for name in names if name != "opening.confirm"]
    number = purchase.number if purchase is not None else 0
    made = [Button(f"{name}:{opening.id}", number=number) for name in names]
    return made + (_buttons(purchase, "purchase.show") if purchase is not None else [])


def buttons_for(tx: Tx, purchase: Purchase, person: Person) -> list[Button]:
    """What somebody who looks at it in their own chat can do with it, beside looking."""
    opening = opening_of(tx, purchase) if "committee" in roles_of(tx, person) else None
    theirs = opening_buttons(opening, person, None) if opening is not None else []
    if purchase.person_id == person.id:
        theirs = [*proposer_buttons(purchase)[:-1], *theirs]
    elif owns(tx, person) and not is_supporter(tx, purchase, person):
        theirs = [*theirs, *support_button(purchase)]
    return theirs


def is_supporter(tx: Tx, purchase: Purchase, person: Person) -> bool:
    """Whether they support it already."""
    signed = select(Supporter.id).where(
        Supporter.purchase_id == purchase.id, Supporter.person_id == person.id
    )
    return tx.session.exec(signed).first() is not None


# --- cards ------------------------------------------------------------------------------------------


def staff_card(tx: Tx, purchase: Purchase, *, key: str = "", anew: bool = False, **facts: Any) -> None:
    """Show the admin group the request, as a new message (with its photos) or in the one it has."""
    tell_staff(
        tx,
        purchase.community_id,
        key or "purchase.card_staff",
        card=about(purchase),
        anew=anew,
        alone=bool(key),
        photos=matters.photos_of(tx, about(purchase)) if anew else (),
        buttons=staff_buttons(purchase),
        **private(tx, purchase),
        **facts,
    )


def board(tx: Tx, purchase: Purchase) -> None:
    """Let the board show the present state."""
    post(tx, purchase.community_id, "purchase.board", about=about(purchase), **public(tx, purchase))


def refresh(tx: Tx, purchase: Purchase, *, anew: bool = False) -> None:
    """Let the admin group's card (as a new message, if that is what was asked for) and the board show the present."""
    tx.session.add(purchase)
    tx.session.flush()
    close_everywhere(tx, seen(purchase))
    shown = select(Outgoing.id).where(Outgoing.card == about(purchase)).limit(1)
    if anew or tx.session.exec(shown).first() is not None:  # staff are not asked before enough have signed
        staff_card(tx, purchase, anew=anew)
    board(tx, purchase)


def seen(purchase: Purchase) -> str:
    """The name of what is shown to somebody who only looks at it."""
    return f"seen:{purchase.id}"


def to_proposer(purchase: Purchase) -> str:
    """The name of what its proposer is told about it: only the last of these messages has buttons."""
    return f"request:{purchase.id}"


def tell_owner(tx: Tx, purchase: Purchase, key: str, **options: Any) -> None:
    """Say something to whoever asks for it, with what they can do now."""
    tell(
        tx,
        proposer_of(tx, purchase),
        key,
        **{
            "number": purchase.number,
            "what": purchase.what,
            "buttons": proposer_buttons(purchase),
            "last": to_proposer(purchase),
            **options,
        },
    )


# --- the timeline, and what belongs to it -----------------------------------------------------------


def add_event(tx: Tx, purchase: Purchase, key: str, person: Person | None, **facts: Any) -> None:
    """Write one line of the timeline; nobody did what the clock did."""
    matters.add_event(tx, about(purchase), key, person, community_id=purchase.community_id, **facts)


def happened(tx: Tx, purchase: Purchase, key: str) -> bool:
    """Whether this stands in its timeline."""
    return any(event.key == key for event in matters.events_of(tx, about(purchase)))


def photos_of(tx: Tx, purchase: Purchase) -> Sequence[int]:
    """The ids of its photos, oldest first."""
    return matters.photos_of(tx, about(purchase))
