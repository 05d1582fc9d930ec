"""Digests: what is soundless and may wait, as one short message a day or a week; one tap opens each matter."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, insert, update
from sqlmodel import Session, col, select

from conversations.words import Reader, Say, texts
from handlers import public
from handlers.actions import action, perform
from handlers.board_page import page_mark
from handlers.public import Line
from handlers.repair_cards import cut_short
from handlers.rights import may
from handlers.tell import BROADCAST, FRESH, Button, distinct, fitting, reader_of, shown_buttons, tell
from handlers.timers import next_at, set_timer
from handlers.tx import Tx
from handlers.wishes import DIGESTS, KINDS, is_ordinary, muted
from store.tables import Community, Entry, Outgoing, Person, Place

AT_ONCE = 4
"""Chats whose digests are written in one transaction: others write between two of them."""
USUAL = "18:30"
"""When a digest comes to whoever chose one, where none is set for the messengers that need them."""
FITS = 10
"""Matters in one message, each with a button."""
BRIEF = 24
LONGEST_BEGINNING = 40
LONGEST_LABEL = 12
CARD = "digest:"
DAILY, WEEKLY = ("", "day"), ("week",)
GATHERED = "gathered"
PAGE = re.compile(r"(\d{1,17})\.p(\d{1,4})")


# --- when -------------------------------------------------------------------------------------------


def begin_digests(tx: Tx) -> None:
    """Let each community have its digests."""
    for community_id in tx.session.exec(select(Community.id)).all():
        set_timer(tx, community_id, f"digest.send:{community_id}", _next(tx, community_id), move=False)
        set_timer(tx, community_id, f"digest.week:{community_id}", _monday(tx, community_id), move=False)


def _next(tx: Tx, community_id: int) -> Any:
    return next_at(tx, community_id, time.fromisoformat(tx.house.digest_at or USUAL))


def _monday(tx: Tx, community_id: int) -> Any:
    """The next Monday, at the same hour."""
    at = _next(tx, community_id)
    zone = ZoneInfo(tx.community(community_id).time_zone)
    days = -at.astimezone(zone).weekday() % 7
    after = at.astimezone(zone) + timedelta(days=days, minutes=-1)
    return next_at(tx, community_id, at.astimezone(zone).time(), after=after)


@action("digest.send", Community)
def send_digests(tx: Tx, person: None, community: Community) -> None:
    """Write the daily digest of each chat for which something is held; some now, the others soon."""
    due = DAILY if tx.house.digest_at else ("day",)
    more = _send(tx, community, due)
    set_timer(tx, community.id, f"digest.send:{community.id}", tx.now if more else _next(tx, community.id))


@action("digest.week", Community)
def send_weekly(tx: Tx, person: None, community: Community) -> None:
    """Likewise, what people want to read once a week."""
    more = _send(tx, community, WEEKLY)
    set_timer(tx, community.id, f"digest.week:{community.id}", tx.now if more else _monday(tx, community.id))


def _send(tx: Tx, community: Community, due: Collection[str]) -> bool:
    """Write the digests of some chats; whether there are more."""
    chats = (
        select(Outgoing.place_id)
        .where(Outgoing.state == "held", Outgoing.community_id == community.id, Outgoing.silent)
        .where(col(Outgoing.digest).in_(due), _is_news())
        .distinct()
        .order_by(col(Outgoing.place_id))
        .limit(AT_ONCE)
    )
    places = tx.session.exec(chats).all()
    found = tx.session.exec(select(Place).where(col(Place.id).in_(places))).all()
    _digest(tx, found, due)
    return len(places) == AT_ONCE


def _is_news() -> ColumnElement[bool]:
    """A digest that reached nobody waits for what is new."""
    return ~func.coalesce(Outgoing.card, "").startswith(CARD)


def gather(tx: Tx, place: Place) -> None:
    """Let everything that is held for a chat until it is heard go out, what is soundless as one digest."""
    aloud = update(Outgoing).where(
        col(Outgoing.place_id) == place.id, col(Outgoing.state) == "held", ~col(Outgoing.silent)
    )
    tx.session.connection().execute(aloud.values(state="waiting", retry_at=None))
    _digest(tx, [place], ("",))


# --- what -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One matter in a digest, however many messages there were about it."""

    rows: Sequence[Outgoing]
    line: str
    label: str
    kind: str

    @property
    def row(self) -> Outgoing:
        """The latest of its messages."""
        return self.rows[-1]


def _digest(tx: Tx, places: Sequence[Place], due: Collection[str]) -> None:
    """Of each chat everything soundless that is held, as one message; what nobody chose to gather goes alone as it is.

    Who is at home in two communities gets one for each: a row is erased with the person to whom it was sent.

    The clock may be at it in another process: the second of them waits here, and finds nothing left.
    """
    chats = {place.id: place for place in places}
    locked = select(Place.id).where(col(Place.id).in_(chats)).order_by(col(Place.id))
    tx.session.exec(locked.with_for_update(key_share=True)).all()
    held = select(Outgoing).where(
        col(Outgoing.place_id).in_(chats), Outgoing.state == "held", Outgoing.silent
    )
    which = col(Outgoing.digest).in_((*due, GATHERED))
    found = tx.session.exec(held.where(which).order_by(col(Outgoing.id))).all()
    ids = {row.person_id for row in found if row.person_id is not None}
    silenced = muted(tx, ids)
    people = {each.id: each for each in tx.session.exec(select(Person).where(col(Person.id).in_(ids)))}
    made: list[tuple[dict[str, Any], list[Outgoing]]] = []
    for place_id, place in chats.items():
        theirs = _held(tx, [row for row in found if row.place_id == place_id], due)
        for whose in dict.fromkeys((row.community_id, row.person_id) for row in theirs):
            rows = [row for row in theirs if (row.community_id, row.person_id) == whose]
            if whose[1] in silenced:
                rows = _without(tx, rows, [row for row in rows if is_ordinary(tx, row)])
            if len(rows) == 1 and rows[0].digest not in DIGESTS:
                rows[0].state = "waiting"
                tx.session.add(rows[0])
            elif rows:
                made += _made(tx, place, people.get(whose[1] or 0), rows)
    _write(tx, chats, made)


def _held(tx: Tx, found: Sequence[Outgoing], due: Collection[str]) -> list[Outgoing]:
    """Of what is held for a chat, with what was in a digest that reached nobody, all that was not taken back."""
    stale = [row for row in found if (row.card or "").startswith(CARD)]
    rows = [row for row in found if row not in stale]
    if not rows:
        return stale if "" in due else []
    if stale:
        numbers = [row.id for row in stale]
        within = tx.session.exec(select(Outgoing).where(col(Outgoing.digest_id).in_(numbers))).all()
        rows = sorted([*within, *rows], key=lambda row: row.id)
    unread = {row.card for row in rows if row.change != "delete"}
    gone = unread & {row.card for row in rows if row.change == "delete"}
    return _without(tx, [*stale, *rows], [*stale, *(row for row in rows if row.card in gone)])


def _without(tx: Tx, rows: Sequence[Outgoing], dropped: Sequence[Outgoing]) -> list[Outgoing]:
    """The rows that are left when some are not to be read any more."""
    for row in dropped:
        row.state = "dropped"
        tx.session.add(row)
    return [row for row in rows if row not in dropped]


def items_of(tx: Tx, rows: Sequence[Outgoing], reader: Reader) -> list[Item]:
    """One item a matter, by kind; none for what does not stand on the board any more."""
    groups: dict[str, list[Outgoing]] = {}
    for row in rows:
        groups.setdefault(_about(row), []).append(row)
    found = [_item(tx, about, theirs, reader) for about, theirs in groups.items()]
    order = [*KINDS, ""]
    return sorted(
        (each for each in found if each is not None),
        key=lambda each: order.index(each.kind) if each.kind in order else len(KINDS),
    )


def _about(row: Outgoing) -> str:
    return (row.card or f"{CARD}{row.id}").removeprefix("board:")


def _item(tx: Tx, about: str, rows: Sequence[Outgoing], reader: Reader) -> Item | None:
    row = rows[-1]
    if public.matter_of(about) is None or row.change == "delete":
        first = words_of(tx.session, row, reader.language).strip()
        line = begun(first.replace("\n", " ") if row.change != "send" else first)
        return Item(rows, reader.say("digest.line_mark", line=line), line[:LONGEST_LABEL], "")
    shown: Entry | Line | None = tx.once(f"entry {about}", 0, lambda: _shown(tx, about))
    if shown is None:
        return None
    name = about.partition(":")[0]
    kind = Say(f"board_page.kind.{name}")
    title = cut_short(shown.title, BRIEF)
    state = public.state_in(shown) if isinstance(shown, Entry) else shown.state
    line = reader.say("digest.line", kind=kind, number=shown.number, title=title, state=state)
    label = reader.say("digest.label", kind=kind, number=shown.number)
    return Item(rows, line, label, name)


def _shown(tx: Tx, about: str) -> Entry | Line | None:
    """How a matter stands on the board, or is for those to whom alone it was sent."""
    return public.entry_of(tx, about) or public.inner_line(tx, about)


def _made(
    tx: Tx, place: Place, person: Person | None, rows: list[Outgoing]
) -> list[tuple[dict[str, Any], list[Outgoing]]]:
    """The digest of these messages, and those that are in it; none if nothing of it stands on the board any more."""
    reader = reader_of(tx, person or place)
    items = items_of(tx, rows, reader)
    rows = _without(tx, rows, [row for row in rows if not any(row in each.rows for each in items)])
    if not items:
        return []
    community_id = rows[0].community_id
    board = page_mark(tx, community_id) if community_id is not None else ""
    lines, buttons = _page(items, reader, (rows[-1].id, 0, board))
    head = next((row.digest for row in rows if row.digest in DIGESTS), "new")
    words = reader.say(f"digest.{head}", day=_day(tx, reader), count=len(items), lines=lines)
    whose = {"person_id": person.id} if person else {"place_id": place.id}
    text, rest = fitting(tx, words, community_id, **whose)
    digest = {
        "community_id": community_id,
        "person_id": rows[0].person_id,
        "place_id": place.id,
        "lane": BROADCAST,
        "card": f"{CARD}{rows[-1].id}",
        "change": "send",
        "text": text,
        "buttons": shown_buttons(reader, [*buttons, *rest]),
        "photos": [],
        "silent": True,
        "digest": GATHERED,
        **FRESH,
        "created_at": tx.now,
    }
    return [(digest, rows)]


def _write(tx: Tx, chats: Mapping[int, Place], made: Sequence[tuple[dict[str, Any], list[Outgoing]]]) -> None:
    """Write digests, and into which of them each message went."""
    if not made:
        return
    table: Any = Outgoing.__table__  # type: ignore[attr-defined]
    written = insert(table).returning(table.c.card, table.c.id)
    found = tx.session.connection().execute(written, [digest for digest, _ in made])
    numbers: dict[str, int] = {row.card: row.id for row in found}
    for digest, rows in made:
        there = chats[digest["place_id"]].messenger in tx.house.scarce
        for row in rows:
            row.state, row.digest_id = "digested", numbers[digest["card"]]
            row.message_id = str(row.id) if there else ""  # there its words were said
        tx.session.add_all(rows)
    tx.session.flush()


def _page(
    items: Sequence[Item], reader: Reader, which: tuple[int, int, Say | str]
) -> tuple[str, list[Button]]:
    """Ten matters of a digest, each with its button, and the way to the others.

    `which`: the number of its last message, the page, and where the board stands.
    """
    number, page, board = which
    shown = items[page * FITS : (page + 1) * FITS]
    left = len(items) - page * FITS - len(shown)
    lines = [each.line for each in shown]
    labels = distinct(each.label for each in shown)
    buttons = [
        Button(f"digest.open:{each.row.id}", label=label) for each, label in zip(shown, labels, strict=True)
    ]
    if left:
        lines.append(reader.say("digest.left", count=left, page=board))
        buttons.append(
            Button(f"digest.more:{number}.p{page + 1}", label=reader.say("digest.next", count=left))
        )
    return "\n".join(lines), buttons


def _day(tx: Tx, reader: Reader) -> str:
    day = tx.now.astimezone(ZoneInfo(reader.zone))
    return reader.say("day.full", month=day.month, day=day.day, weekday=Say(f"day.{day.isoweekday()}"))


@action("digest.open", Outgoing, button=True, stays=True)
def open_matter(tx: Tx, person: Person, row: Outgoing) -> None:
    """The matter as it is now; what cannot be shown as one, as it was published."""
    found = public.matter_of(_about(row))
    if found is not None and found[0].show:
        matter, number = found
        what = f"{matter.show}:{number}"
        if may(tx, person, matter.show, tx.session.get(matter.table, number)) is not None:
            perform(tx, person, what)
            return
    tell(
        tx,
        person,
        "rest.text",
        text=row.text if row.change == "send" else words_of(tx.session, row, person.language),
        photos=row.photos,
        buttons=[Button.of(each) for each in row.buttons],
        last=f"opened:{row.card}",
    )


@action("digest.more", button=True, stays=True, words=PAGE)
def show_more(tx: Tx, person: Person, which: str) -> None:
    """The next matters of one's own digest."""
    number, _, page = (which or "0.p0").partition(".p")
    last = select(Outgoing.digest_id).where(Outgoing.id == int(number)).scalar_subquery()
    digested = select(Outgoing).where(Outgoing.digest_id == last, Outgoing.person_id == person.id)
    rows = tx.session.exec(digested.order_by(col(Outgoing.id))).all()
    reader = reader_of(tx, person)
    items = items_of(tx, rows, reader)
    more = (int(number), int(page), page_mark(tx, person.community_id))
    words, buttons = _page(items, reader, more)
    tell(tx, person, "rest.text" if words else "digest.no_more", text=words, buttons=buttons, last="digest")


def words_of(session: Session, row: Outgoing, language: str) -> str:
    """What a row says where nothing that was sent can be changed: also what became of which message."""
    if row.change == "edit":
        return f"{texts(language)['reach.changed']}\n{row.text}"
    if row.change != "delete":
        return row.text
    made = select(Outgoing.text).where(
        Outgoing.card == row.card, Outgoing.place_id == row.place_id, Outgoing.change == "send"
    )
    before = session.exec(made.order_by(col(Outgoing.id).desc()).limit(1)).first() or ""
    return texts(language)["reach.taken_back"].format(begun=begun(before), words=row.text)


def begun(text: str) -> str:
    """The first line of a message, for naming it."""
    return cut_short(text.strip().partition("\n")[0], LONGEST_BEGINNING)
