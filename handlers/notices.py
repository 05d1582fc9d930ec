"""Notices: one message to many, written in batches; what stands on the board beside; and copies that are taken back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, func, insert
from sqlmodel import Session, col, select

from conversations.words import LANGUAGES, pack, unpack
from handlers import public, wishes
from handlers.tell import (
    BROADCAST,
    FRESH,
    NEWS,
    ONLY_TRIED,
    OWN_CHAT,
    Button,
    change,
    fitting,
    latest,
    look_again,
    places_of_kind,
    served,
    shown_buttons,
    tell,
    waits_for_digest,
    write_row,
)
from handlers.tx import Tx
from store.tables import (
    Account,
    HomeRole,
    Notice,
    Outgoing,
    Person,
    Place,
)

FAN_OUT = 40
"""Rows that are written in one transaction: so few that nobody waits for it."""
COPIES = "copies"
"""The audience of what takes back the copies of a matter, from all who were sent one ..."""
OUTDATED = "outdated"
"""... and of what says above them that they hold no more."""


def publish(
    tx: Tx,
    community_id: int,
    key: str,
    *,
    about: str,
    photos: Sequence[int] = (),
    silent: bool = True,
    but: Person | None = None,
    buttons: Sequence[Button] = (),
    wish: str = "",
    **facts: Any,
) -> None:
    """Put a message on the board and, in batches that follow, into every owner's own chat.

    `but` is the person who knows already; `buttons` stand in the owners' chats only, where they can be pressed; `wish`
    as in `notify`.
    """
    shown: dict[str, Any] = {"about": about, "photos": photos, **facts}
    post(tx, community_id, key, **shown)
    notify(tx, community_id, key, silent=silent, but=but, buttons=buttons, wish=wish, **shown)


def notify(
    tx: Tx,
    community_id: int,
    key: str,
    *,
    about: str,
    photos: Sequence[int] = (),
    silent: bool = True,
    but: Person | None = None,
    buttons: Sequence[Button] = (),
    audience: str = "",
    lane: int = BROADCAST,
    wish: str = "",
    **facts: Any,
) -> None:
    """Put a message into the own chat of everybody whom it is for (see `_readers`), in batches that follow.

    `wish` is the kind by which its readers may have chosen to hear otherwise of it; without one it always comes.
    """
    tx.session.add(
        Notice(
            community_id=community_id,
            about=about,
            key=key,
            facts=pack(facts),
            photos=list(photos),
            buttons=[
                {"action": each.action, "number": each.number, "owners": each.owners} for each in buttons
            ],
            but_person_id=but.id if but else None,
            audience=audience,
            lane=lane,
            silent=silent,
            wish=wish,
            created_at=tx.now,
        )
    )


def post(
    tx: Tx,
    community_id: int,
    key: str,
    *,
    about: str,
    photos: Sequence[int] = (),
    anew: bool = False,
    **facts: Any,
) -> None:
    """Put a matter on the board, or change what stands there about it; `anew`: as a new message all the same."""
    public.put(tx, about)
    for place in places_of_kind(tx, community_id, "board"):
        tell(
            tx,
            place,
            key,
            card=f"board:{about}",
            anew=anew,
            photos=photos,
            lane=NEWS,
            silent=not anew,
            **facts,
        )


def take_back(tx: Tx, community_id: int, about: str) -> None:
    """Delete the copies of what was published about a matter from the owners' chats; the board keeps its own.

    In batches that follow, as they went out. A copy that still waits is sent and deleted: it may be in the messenger's
    hand at this very moment. One that is too old to be deleted is changed into the words of the deletion.
    """
    _change_copies(tx, community_id, about, COPIES, "notice.taken_back")


def outdate(tx: Tx, community_id: int, about: str, key: str, **facts: Any) -> None:
    """Say above each copy of what was published about a matter that it holds no more; what still waits does not come.

    In batches that follow. Where nothing that was sent can be changed, its reader has to hear it otherwise.
    """
    _change_copies(tx, community_id, about, OUTDATED, key, **facts)


def _change_copies(tx: Tx, community_id: int, about: str, how: str, key: str, **facts: Any) -> None:
    """Let batches change the copies that were written until now; whom a notice has not reached it need not reach."""
    told = tx.session.exec(select(Notice).filter_by(community_id=community_id, about=about)).all()
    for notice in told:
        if notice.done_at is None and notice.audience not in (COPIES, OUTDATED):
            notice.done_at = tx.now
            tx.session.add(notice)
    if told:
        last = tx.session.exec(select(func.max(Outgoing.id))).one() or 0
        notify(tx, community_id, key, about=about, audience=how, last=last, **facts)
        tx.session.flush()


def pin(tx: Tx, community_id: int, about: str, *, off: bool = False) -> None:
    """Pin what stands on the board about a matter, so that nobody has to look for it; or no more."""
    card = f"board:{about}"
    for place in places_of_kind(tx, community_id, "board"):
        shown = latest(tx, card, place.id)
        if shown is not None and shown.change != "delete":
            # Whoever looks what stands there sees the same.
            now = {"text": shown.text, "buttons": shown.buttons}
            write_row(tx, place, change="unpin" if off else "pin", card=card, lane=NEWS, **now)


def take_down(tx: Tx, community_id: int, about: str) -> None:
    """Delete what was published about a matter from the board, too; with its photos, which no change takes away."""
    take_back(tx, community_id, about)
    public.put(tx, about)
    words = tx.reader(community_id).say("notice.taken_back")
    for place in places_of_kind(tx, community_id, "board"):
        shown = latest(tx, f"board:{about}", place.id)
        if shown is not None and shown.change != "delete":
            change(tx, shown, "delete", words, [], lane=NEWS, silent=True)


def _change_batch(tx: Tx, notice: Notice) -> bool:
    """Take back, or outdate, the copies in the next chats; whether these were all."""
    table = Outgoing.__table__  # type: ignore[attr-defined]
    card, last = f"board:{notice.about}", unpack(notice.facts)["last"]
    copies = (table.c.card == card) & table.c.notice_id.is_not(None) & (table.c.change == "send")
    beyond = select(table.c.place_id).where(table.c.card == card, table.c.place_id > notice.reached)
    asked = beyond.distinct().order_by(table.c.place_id).limit(FAN_OUT)
    chats = tx.session.connection().execute(asked).scalars().all()
    if not chats:
        return True
    notice.reached = chats[-1]
    columns = [table.c[name] for name in (*SAME, "id", "state", "text")]
    columns += [col(Person.language), col(Place.messenger)]
    found = tx.session.connection().execute(
        select(*columns)
        .join(Person, col(Person.id) == table.c.person_id)
        .join(Place, col(Place.id) == table.c.place_id)
        .where(copies, table.c.id <= last, table.c.place_id.in_(chats))
        .where(table.c.state.in_(("sent", "waiting", "digested", "held")))
        .order_by(table.c.id)
    )
    rows = [dict(each) for each in found.mappings()]
    unseen = ("held",) if notice.audience == COPIES else ("held", "waiting")
    dropped = [each["id"] for each in rows if each["state"] in unseen]
    facts = unpack(notice.facts)
    words = {
        language: replace(tx.reader(notice.community_id, language), lasting=True).say(notice.key, **facts)
        for language in LANGUAGES
    }
    changes = (_taken_back if notice.audience == COPIES else _outdated)(tx, rows, words)
    execute = tx.session.connection().execute
    if dropped:
        execute(table.update().where(table.c.id.in_(dropped)).values(state="dropped"))
        look_again(tx)
    if changes:
        fixed = {"buttons": [], "photos": [], "silent": True, **FRESH, "created_at": tx.now}
        execute(insert(Outgoing), [{**fixed, **each} for each in changes])
    return len(chats) < FAN_OUT


SAME = ("community_id", "notice_id", "person_id", "place_id", "lane", "card")
"""What a change has from the row that it changes."""


def _taken_back(tx: Tx, rows: Sequence[dict[str, Any]], words: Mapping[str, str]) -> list[dict[str, Any]]:
    """The deletions of copies.

    What went into a digest cannot be deleted from it: where nothing can, that is said in words, and elsewhere its
    button tells what became of the matter.
    """
    return [
        {
            **{name: each[name] for name in SAME},
            "change": "delete",
            "text": words[each["language"]],
            "state": "held" if waits_for_digest(tx, each["messenger"]) else "waiting",
        }
        for each in rows
        if each["state"] in ("sent", "waiting")
        or (each["state"] == "digested" and each["messenger"] in tx.house.scarce)
    ]


def _outdated(tx: Tx, rows: Sequence[dict[str, Any]], words: Mapping[str, str]) -> list[dict[str, Any]]:
    """The changes of the last copy in each chat that it was sent to and that can be changed."""
    latest_in = {each["place_id"]: each for each in rows}
    return [
        {
            **{name: each[name] for name in SAME},
            "change": "edit",
            "text": f"{words[each['language']]}\n\n{each['text']}",
        }
        for each in latest_in.values()
        if each["state"] == "sent" and each["messenger"] not in tx.house.scarce
    ]


def open_notice(session: Session) -> int | None:
    """The id of the oldest notice whose rows are not all written; what is ordinary comes after all else."""
    opened = select(Notice.id).where(col(Notice.done_at).is_(None))
    return session.exec(opened.order_by(col(Notice.wish) != "", col(Notice.id)).limit(1)).first()


def fan_out(tx: Tx, notice_id: int) -> bool:
    """Write the next batch of rows of a notice; False if another process is at it or has done it."""
    notice = tx.session.exec(
        select(Notice)
        .where(Notice.id == notice_id, col(Notice.done_at).is_(None))
        .with_for_update(skip_locked=True)
    ).first()
    if notice is None:
        return False
    if notice.audience in (COPIES, OUTDATED):
        notice.done_at = tx.now if _change_batch(tx, notice) else None
        tx.session.add(notice)
        return True
    people = tx.session.exec(
        select(Person)
        .where(
            Person.community_id == notice.community_id,
            col(Person.id) > notice.reached,
            _readers(notice.audience),
        )
        .order_by(col(Person.id))
        .limit(FAN_OUT)
    ).all()
    _write_batch(tx, notice, [person for person in people if person.id != notice.but_person_id])
    if len(people) < FAN_OUT:
        notice.done_at = tx.now
    else:
        notice.reached = people[-1].id
    tx.session.add(notice)
    return True


Audience = Callable[[str], ColumnElement[bool]]
"""Which people a notice is for, by what stands behind the colon: the "17" of "followers:17"."""

AUDIENCES: dict[str, Audience] = {
    "": lambda _: col(Person.id).in_(select(HomeRole.person_id)),
}


def know_audience(kind: str, audience: Audience) -> None:
    """Let notices be for an audience of this kind."""
    AUDIENCES[kind] = audience


def _readers(audience: str) -> ColumnElement[bool]:
    """Whom a notice is for: everybody who owns a home here or lives in one, unless it names an audience."""
    kind, _, number = audience.partition(":")
    return AUDIENCES[kind](number)


def lay_aside(tx: Tx, notice_id: int, error: str) -> None:
    """Keep the error of a notice that cannot be written, so that it holds no other one up."""
    notice = tx.session.get_one(Notice, notice_id)
    notice.error, notice.done_at = error, tx.now
    tx.session.add(notice)


def _write_batch(tx: Tx, notice: Notice, people: list[Person]) -> None:
    """One row a person, rendered once a language; none for whoever wants such things on the board only."""
    ids = [person.id for person in people]
    hows = wishes.chosen(tx, notice.wish, ids) if notice.wish else {}
    people = [person for person in people if hows.get(person.id) != "board"]
    chats: dict[int | None, tuple[int, str]] = {}
    for person_id, place_id, messenger in tx.session.exec(
        select(Account.person_id, Place.id, Place.messenger)
        .join(Place, OWN_CHAT)
        .where(col(Account.person_id).in_(ids), served(tx))
        .where(col(Place.blocked_at).is_(None))
        .order_by(ONLY_TRIED.desc(), col(Place.heard_at).asc().nulls_first(), col(Place.id).desc())
    ):
        chats[person_id] = (place_id, messenger)  # the one heard last stays
    facts = unpack(notice.facts)
    owning = select(HomeRole.person_id).where(HomeRole.role == "owner", col(HomeRole.person_id).in_(ids))
    owners = set(tx.session.exec(owning))
    buttons = [Button(**each) for each in notice.buttons]
    words, below = {}, {}
    for language in {person.language for person in people}:
        reader = replace(tx.reader(notice.community_id, language), lasting=True)
        words[language], rest = fitting(tx, reader.say(notice.key, **facts), notice.community_id)
        for owns in (True, False):
            theirs = [each for each in buttons if owns or not each.owners]
            below[language, owns] = shown_buttons(reader, [*theirs, *rest])
    fixed = {
        "community_id": notice.community_id,
        "notice_id": notice.id,
        "lane": notice.lane,
        "card": notice.about if notice.audience.startswith("followers") else f"board:{notice.about}",
        "change": "send",
        "photos": notice.photos,
        **FRESH,
        "created_at": tx.now,
    }
    rows = [
        {
            **fixed,
            "person_id": person.id,
            "text": words[person.language],
            "buttons": below[person.language, person.id in owners],
            **_way(tx, notice, hows.get(person.id, ""), chats.get(person.id)),
        }
        for person in people
    ]
    if rows:
        tx.session.connection().execute(insert(Outgoing), rows)


def _way(tx: Tx, notice: Notice, how: str, chat: tuple[int, str] | None) -> dict[str, Any]:
    """Where a copy of a notice goes, and whether now, by what its reader chose ("": nothing)."""
    silent = notice.silent if not how else how != "now"
    if chat is None:
        return {"place_id": None, "silent": silent, "state": "unreachable", "error": "no chat", "digest": ""}
    place_id, messenger = chat
    gathered = how in wishes.DIGESTS
    held = gathered or (silent and waits_for_digest(tx, messenger))
    return {
        "place_id": place_id,
        "silent": silent,
        "state": "held" if held else "waiting",
        "digest": how if gathered else "",
    }
