"""The one door out: every message to a person or a chat becomes a row of the same transaction."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, true, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from conversations.words import Reader, cut
from handlers.tx import Tx
from store.tables import (
    Account,
    Member,
    Outgoing,
    Person,
    Place,
    Rest,
)
from store.vault import HIDDEN, without_hidden

# Lanes: a lower one always goes first.
URGENT, ANSWER, NEWS, BROADCAST = range(4)
REMOVAL = -1
"""What takes something away from a chat, or from whoever broke its rules: no message, and so behind none of them."""
REST = "rest.show:"
MOST = 4000  # characters that every messenger takes
CAUGHT_UP = "what it changes was not sent yet, and says the same"


@dataclass(frozen=True)
class Button:
    """One thing that can be tapped: the action it performs, and its label's key or its literal label."""

    action: str
    key: str = ""
    label: str = ""
    number: int = 0
    typed: str = ""
    """What to type for it instead of its place among the others."""
    owners: bool = False
    """Of a notice: it stands below the copies of owners only."""

    def shown(self, reader: Reader) -> dict[str, str]:
        """The button as the row keeps it: with the number of its matter, so that "接单 17" can be typed."""
        label = self.label or reader.say(
            self.key or f"button.{self.action.partition(':')[0]}", number=self.number
        )
        number = {"number": f"{self.number}"} if self.number else {}
        return {
            "label": label,
            "value": self.action,
            **number,
            **({"typed": self.typed} if self.typed else {}),
        }

    @classmethod
    def of(cls, shown: Mapping[str, str]) -> "Button":
        """A button that a row keeps, to stand below another message."""
        number = int(shown.get("number", 0))
        return cls(shown["value"], label=shown["label"], number=number, typed=shown.get("typed", ""))


def distinct(labels: Iterable[str]) -> list[str]:
    """The labels, those that were there before with a number: two people of one name are two buttons."""
    made: list[str] = []
    for label in labels:
        same = sum(each == label or each.startswith(f"{label} ·") for each in made)
        made.append(f"{label} ·{same + 1}" if same else label)
    return made


def tell(
    tx: Tx,
    to: Person | Place,
    key: str,
    *,
    buttons: Iterable[Button | str] = (),
    photos: Sequence[int] = (),
    card: str | None = None,
    anew: bool = False,
    last: str | None = None,
    lane: int | None = None,
    silent: bool = False,
    alone: bool = False,
    lead: str = "",
    keyboard: str = "",
    reads: str = "",
    thread: str = "",
    **facts: Any,
) -> None:
    """Write the words of `key` as one message to a person or a place; `lead` are words to put before them.

    A second message with the same `card` to the same chat changes the first one in place, unless `anew`; one
    that this transaction sent is left as it is. Of the messages with one `card` sent anew, or with the same
    `last`, only the last one in a chat has buttons.
    `photos` are ids of Media; `keyboard` "contact" lets people share their own number below a message without
    buttons, until one with "remove". Without a lane, what goes to the chat that just spoke is an answer.
    `alone` is what has a clock shorter than a day, or is overdue: it comes by itself to the admin group, however much
    else does. `reads` is the language of a chat whose people we do not know yet, `thread` a topic of the group.
    """
    place = to if isinstance(to, Place) else place_of(tx, to)
    reader = replace(reader_of(tx, to), lasting=card is not None)
    reader = replace(reader, language=reads) if reads else reader
    answer = tx.place is not None and place is not None and place.id == tx.place.id
    lane = lane if lane is not None else (ANSWER if answer else NEWS)
    state = "waiting" if answer else _state(tx, place, silent=silent)
    name = card or last
    before = latest(tx, name, place.id) if name is not None and place is not None else None
    if before is not None and before.change == "delete":  # what was taken down stands there anew
        before = None
    whose = {"person_id": to.id} if isinstance(to, Person) else {"place_id": to.id}
    words, rest = fitting(tx, f"{lead}\n\n{reader.say(key, **facts)}".strip(), to.community_id, **whose)
    below = shown_buttons(reader, [*buttons, *rest])
    if name is not None and place is not None:
        if card is None or anew:
            _supersede(tx, before)
        elif (name, place.id) in tx.fresh:
            return
        elif before is not None:
            if before.buttons != below or not _shows(tx, before.text, words):
                change(tx, before, "edit", words, below, lane=lane, silent=silent)
            return
        tx.fresh.add((name, place.id))
        tx.changes.pop((name, place.id), None)
    elif below:
        name = f"one:{secrets.token_urlsafe(9)}"  # so that its buttons can go when they have done their work
    gathered = (
        place is not None
        and (place.kind, state) == ("staff", "waiting")
        and not (answer or alone)
        and card is not None
        and lane >= NEWS
        and any(gathers(tx, place) for gathers in GATHERING)
    )
    tx.session.connection().execute(
        insert(Outgoing),
        {
            "community_id": to.community_id,
            "inbox_id": tx.inbox_id if answer else None,
            "person_id": to.id if isinstance(to, Person) else None,
            "place_id": None if place is None else place.id,
            "lane": lane,
            "card": name,
            "change": "send",
            "text": words,
            "buttons": below,
            "photos": list(photos),
            "silent": silent,
            **FRESH,
            "keyboard": keyboard,
            "thread": thread or (tx.said.thread if answer and tx.said is not None else ""),
            "state": "held" if gathered else state,
            "digest": GROUP if gathered else "",
            "error": "no chat" if place is None else "",
            "created_at": tx.now,
        },
    )


GROUP = "group"
"""Of a card that was gathered for the admin group: it comes when somebody there opens it."""
GATHERING: list[Callable[[Tx, Place], bool]] = []
"""Whether one more ordinary card is too much for an admin group, which then gets it in a summary; at most one."""


def know_gathering(gathers: Callable[[Tx, Place], bool]) -> None:
    """Let this decide which cards are gathered."""
    GATHERING[:] = [gathers]


def _state(tx: Tx, place: Place | None, *, silent: bool) -> str:
    """How a new row begins: where pushes are scarce, what is soundless is held for the next digest."""
    if place is None:
        return "unreachable"
    return "held" if silent and waits_for_digest(tx, place.messenger) else "waiting"


def waits_for_digest(tx: Tx, messenger: str) -> bool:
    """Whether what is soundless goes into a digest there."""
    return bool(tx.house.digest_at) and messenger in tx.house.scarce


def close(tx: Tx, row: Outgoing | None, buttons: Sequence[dict[str, str]] = ()) -> None:
    """Take the buttons of a message away, but for these and the way to its rest; below it stands what was chosen.

    `row` is what the message shows last. The change goes out after what is new, and is no news to anybody.
    """
    if row is None or row.state not in ("waiting", "held", "sent", "digested"):
        return
    if row.state == "digested" and not row.message_id:  # its buttons never stood in the chat
        return
    left = [each for each in row.buttons if each in buttons or each["value"].startswith(REST)]
    if left != row.buttons:
        change(tx, row, "close", row.text, left, lane=NEWS, silent=True)


def _supersede(tx: Tx, before: Outgoing | None) -> None:
    """Something new stands for it from now on; what nobody has opened from a summary need not stand there, too."""
    if before is not None and before.state == "held" and before.digest == GROUP:
        before.state = "dropped"
        tx.session.add(before)
        tx.session.flush()
    else:
        close(tx, before)


def close_last(tx: Tx, card: str, place_id: int) -> None:
    """Take the buttons of a card's last message in a chat away."""
    close(tx, latest(tx, card, place_id))


def close_everywhere(tx: Tx, card: str) -> None:
    """Take the buttons of a card's last message away, in each chat that has one."""
    last = select(func.max(Outgoing.id)).where(Outgoing.card == card).group_by(col(Outgoing.place_id))
    for row in tx.session.exec(select(Outgoing).where(col(Outgoing.id).in_(last))).all():
        close(tx, row)


def _shows(tx: Tx, shown: str, words: str) -> bool:
    """Whether a message says these words already, but for what was chosen; what is hidden is sealed anew each time."""
    reveal = tx.house.vault.reveal
    return reveal(words) in (reveal(shown), reveal(without_mark(shown)))


def without_mark(text: str) -> str:
    """The words of a message without the line that says what was chosen."""
    words, mark, line = text.rpartition("\n\n✓ ")
    return words if mark and "\n" not in line else text


def change(
    tx: Tx,
    before: Outgoing,
    change: str,
    words: str,
    buttons: list[dict[str, str]],
    *,
    lane: int,
    silent: bool,
) -> None:
    """Write the row that changes what a message shows ("edit", "close" or "delete"); `before` is what it shows last."""
    assert before.card is not None and before.place_id is not None
    if before.state == "digested" and not before.message_id:
        return  # whoever opens the matter from their digest sees it as it is
    key = (before.card, before.place_id)
    caught_up = change == "edit" and before.state == "waiting"
    if caught_up:
        _catch_up(tx, before, words, buttons)
    if before.state == "held":  # nobody has seen it yet, unless it goes out this very moment
        unseen = update(Outgoing).where(col(Outgoing.id) == before.id, col(Outgoing.state) == "held")
        changed = tx.session.connection().execute(unseen.values(text=words, buttons=buttons))
        tx.session.refresh(before)
        if changed.rowcount:
            return
    if tx.mark is not None and (tx.mark.card, tx.mark.place_id) == key:
        words, tx.mark.used = f"{words}\n\n{tx.mark.line}", True
    table = Outgoing.__table__  # type: ignore[attr-defined]
    values = {"change": change, "text": words, "buttons": buttons, "lane": lane}
    if key in tx.changes:
        tx.session.connection().execute(table.update().where(table.c.id == tx.changes[key]).values(**values))
        return
    place = tx.session.get_one(Place, before.place_id)
    here = tx.place is not None and tx.place.id == place.id
    held = change == "edit" and not here and _state(tx, place, silent=silent) == "held"
    row = tx.session.connection().execute(
        insert(Outgoing).returning(table.c.id),
        {
            "community_id": before.community_id,
            # What is only closed answers nobody.
            "inbox_id": tx.inbox_id if here and change != "close" else None,
            "person_id": before.person_id,
            "place_id": before.place_id,
            "card": before.card,
            "photos": [],
            "silent": silent,
            **values,
            **FRESH,
            "state": "held" if held else "waiting",
            "error": CAUGHT_UP if caught_up else "",
            "created_at": tx.now,
        },
    )
    tx.changes[key] = row.scalar_one()


def _catch_up(tx: Tx, row: Outgoing, words: str, buttons: list[dict[str, str]]) -> None:
    """Let what still waits to be sent of a message say at once what it is changed to; it may be on its way already."""
    of_card = (col(Outgoing.card) == row.card, col(Outgoing.place_id) == row.place_id)
    made = select(func.max(Outgoing.id)).where(*of_card, Outgoing.change == "send").scalar_subquery()
    unsent = update(Outgoing).where(*of_card, col(Outgoing.id) >= made, col(Outgoing.state) == "waiting")
    unsent = unsent.where(col(Outgoing.change).in_(["send", "edit"]))
    tx.session.connection().execute(unsent.values(text=words, buttons=buttons))
    tx.session.refresh(row)


def hush(tx: Tx, card: str) -> None:
    """What a card's messages say that were not sent yet is no news any more: the last in each chat comes silently.

    Earlier ones that still wait in the same chat do not come at all.
    """
    unsent = (
        col(Outgoing.card) == card,
        col(Outgoing.state).in_(["waiting", "held"]),
        col(Outgoing.change) == "send",
    )
    last = select(func.max(Outgoing.id)).where(Outgoing.card == card, Outgoing.change == "send")
    last = last.group_by(col(Outgoing.place_id))
    execute = tx.session.connection().execute
    execute(update(Outgoing).where(*unsent, col(Outgoing.id).not_in(last)).values(state="dropped"))
    execute(update(Outgoing).where(*unsent).values(silent=True))
    _drop_changes_of_nothing(tx, card)
    look_again(tx)


def _drop_changes_of_nothing(tx: Tx, card: str) -> None:
    """What would only take the buttons of a message away that does not come at all need not come either."""
    other = aliased(Outgoing)
    same = (
        col(other.card) == card,
        col(other.place_id) == col(Outgoing.place_id),
        col(other.change) == "send",
    )
    before = col(other.id) < col(Outgoing.id)
    dropped = select(other.id).where(*same, before, col(other.state) == "dropped").exists()
    comes = select(other.id).where(*same, before, col(other.state) != "dropped").exists()
    close_only = update(Outgoing).where(
        col(Outgoing.card) == card, col(Outgoing.state) == "waiting", col(Outgoing.change) == "close"
    )
    changes = close_only.where(dropped, ~comes).execution_options(synchronize_session=False)
    tx.session.connection().execute(changes.values(state="dropped"))


def drop(tx: Tx, card: str, person: Person | None = None) -> None:
    """Take back what still waits to be sent under this name, to everybody or to one person."""
    unsent = update(Outgoing).where(
        col(Outgoing.card) == card,
        col(Outgoing.state).in_(["waiting", "held"]),
        col(Outgoing.person_id) == person.id if person is not None else true(),
    )
    tx.session.connection().execute(unsent.values(state="dropped"))
    look_again(tx)


def forget_hidden(tx: Tx, card: str) -> None:
    """Take what was hidden in a card's messages out of the ledger: whom to call matters no more."""
    table = Outgoing.__table__  # type: ignore[attr-defined]
    execute = tx.session.connection().execute
    kept = select(table.c.id, table.c.text).where(table.c.card == card, table.c.text.contains(HIDDEN[0]))
    for row in execute(kept).all():
        execute(table.update().where(table.c.id == row.id).values(text=without_hidden(row.text)))
    look_again(tx)


def look_again(tx: Tx) -> None:
    """Rows that were changed behind the session are read again."""
    for row in list(tx.session.identity_map.values()):
        if isinstance(row, Outgoing):
            tx.session.expire(row)


def take_away(tx: Tx, card: str, place: Place) -> None:
    """Delete what we said under a card in one chat; what still waits is sent first, since it may be on its way."""
    before = latest(tx, card, place.id)
    if before is None or before.change == "delete":
        return
    write_row(tx, place, change="delete", card=card, lane=NEWS, text=before.text)


def remove(tx: Tx, place: Place, message_id: str, parts: Sequence[str] = (), *, card: str) -> None:
    """Delete a member's message in a group, before all else."""
    write_row(tx, place, change="remove", card=card, lane=REMOVAL, message_id=message_id, parts=list(parts))


def silence(tx: Tx, place: Place, member: Member) -> None:
    """Let the messenger know what a member of a group may do, as their row says when it is sent."""
    write_row(tx, place, change="silence", card=f"member:{member.id}", lane=REMOVAL)


def write_row(tx: Tx, place: Place, **values: Any) -> None:
    """A row that brings nobody words to read."""
    row = {"text": "", "buttons": [], "photos": [], "silent": True, **FRESH, **values}
    row |= {"community_id": place.community_id, "place_id": place.id, "created_at": tx.now}
    tx.session.connection().execute(insert(Outgoing), row)


def hand_over(tx: Tx, place: Place, body: str, *, card: str) -> None:
    """Write what goes to a machine: words that must stay whole, urgently."""
    write_row(tx, place, change="send", card=card, lane=URGENT, text=body, silent=False)


FRESH = {
    "state": "waiting",
    "tries": 0,
    "error": "",
    "message_id": "",
    "parts": [],
    "thread": "",
    "keyboard": "",
}


def fitting(
    tx: Tx, words: str, community_id: int | None, *, person_id: int | None = None, place_id: int | None = None
) -> tuple[str, list[Button]]:
    """What fits into one message, and the button that leads to the rest: a person's, a chat's, or everybody's."""
    begun, rest = cut(words, MOST)
    if not rest or community_id is None:
        return begun, []
    whose: dict[str, Any] = {"community_id": community_id, "person_id": person_id, "place_id": place_id}
    row = tx.session.exec(select(Rest).filter_by(**whose, text=rest).limit(1)).first()
    if row is None:
        row = Rest(**whose, text=rest, created_at=tx.now)
        tx.session.add(row)
        tx.session.flush()
    return begun, [Button(f"{REST}{row.id}")]


def shown_buttons(reader: Reader, buttons: Iterable[Button | str]) -> list[dict[str, str]]:
    return [(Button(each) if isinstance(each, str) else each).shown(reader) for each in buttons]


def reader_of(tx: Tx, to: Person | Place) -> Reader:
    """How the person, or the people of a place, want words."""
    if to.community_id is None:
        return Reader("zh", "Asia/Shanghai", tx.now)
    return tx.reader(to.community_id, to.language if isinstance(to, Person) else None)


def place_of(tx: Tx, person: Person) -> Place | None:
    """The private chat in which a person was last heard, the present one first; None: no chat takes anything."""
    here = tx.place
    if here is not None and here.kind == "private" and here.person_id == person.id:
        return here
    return tx.session.exec(
        select(Place)
        .join(Account, OWN_CHAT)
        .where(Account.person_id == person.id, col(Place.blocked_at).is_(None), served(tx))
        .order_by(ONLY_TRIED, col(Place.heard_at).desc().nulls_last(), col(Place.id))
    ).first()


def served(tx: Tx) -> ColumnElement[bool]:
    """Whether a chat's messenger is one that this installation serves."""
    served = tx.house.messengers
    return true() if served is None else col(Place.messenger).in_(served)


# A private chat has the name of the account that holds it; who lives in two communities has one chat for both.
OWN_CHAT = and_(
    col(Account.messenger) == col(Place.messenger),
    col(Account.external_id) == col(Place.external_id),
    col(Place.kind) == "private",
)
# Whoever tries somebody's part in the playground must not take their messages away from their real phone.
ONLY_TRIED = col(Place.messenger) == "browser"


def places_of_kind(tx: Tx, community_id: int, kind: str) -> list[Place]:
    """The community's admin groups ("staff") or boards ("board")."""
    places = select(Place).where(Place.community_id == community_id, Place.kind == kind)
    return list(tx.session.exec(places.where(served(tx)).order_by(col(Place.id))))


def tell_staff(tx: Tx, community_id: int, key: str, **options: Any) -> None:
    """Write one message to the admin group, on each messenger where it has one."""
    for place in places_of_kind(tx, community_id, "staff"):
        tell(tx, place, key, **options)


def stranger_card(place: Place) -> str:
    """The name of what staff are told of somebody whom nobody knows, so that it can be erased."""
    return f"stranger:{place.id}"


def latest(tx: Tx, card: str, place_id: int) -> Outgoing | None:
    """What a card shows in a chat, or will show when all is delivered."""
    rows = select(Outgoing).where(Outgoing.card == card, Outgoing.place_id == place_id)
    return tx.session.exec(rows.order_by(col(Outgoing.id).desc()).limit(1)).first()


def shown_under(tx: Tx, place: Place, message_id: str) -> Outgoing | None:
    """What a message shows, or will show when all is delivered; None for one that is not ours."""
    made = select(Outgoing.card).where(Outgoing.place_id == place.id, Outgoing.message_id == message_id)
    card = tx.session.exec(made.limit(1)).first() if message_id else None
    return latest(tx, card, place.id) if card is not None else None


def holders(tx: Tx, card: str) -> list[Person]:
    """Everybody who was shown the card in a private chat."""
    ids = select(Outgoing.person_id).where(Outgoing.card == card, col(Outgoing.person_id).is_not(None))
    return list(tx.session.exec(select(Person).where(col(Person.id).in_(ids)).order_by(col(Person.id))))
