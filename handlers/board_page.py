"""What the public page of the board shows: who may open it, its lines by kind, building and state, and each matter.

Every list is read from the head of an index, so that its cost does not grow with what stands on the board.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal, text, true, tuple_, union_all
from sqlmodel import col, select

from conversations.words import Say
from handlers import links
from handlers.people import is_guest
from handlers.policy import policy_of
from handlers.public import MATTERS, Matter, matter_of
from handlers.tx import Tx
from store.tables import Account, Community, CommunitySetting, Entry, Media, Person, Place, Report, UtcTime

MOST = 30
"""Lines on a page."""
FED = 50
"""What the feed tells of."""
PRINTED, NOTICES = 60, 5
"""Open matters, and announcements, on the printed page."""
MONTHS = 36
MANY = 99
"""So many overdue matters are counted, and no more."""
ANNOUNCEMENT = "announcement"
NOT_WORKED_ON = ("announcement", "listing", "report")
"""Kinds that stand there for months without anybody having to do anything: they are not what is being done."""
LINK_HOURS = 30 * 24
TURN = "board_page.turn"
"""How often a community's secret address was changed."""
SECRET = 20
"""Characters of the secret in it, 80 bits."""
NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
WITH_SECRET = re.compile(rf"([1-9][0-9]{{0,8}})-([0-9a-f]{{{SECRET}}})", re.ASCII)
PERSONAL = re.compile(rf"[0-9a-f]{{{links.LENGTH}}}", re.ASCII)


# --- who may open it --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """The community whose board an address leads to; `barred`: only its members get in, each by a link of their own."""

    community: Community
    barred: bool = False


def address(tx: Tx, community_id: int) -> str:
    """Where everybody opens a community's board, or reads how to get in; "" if nobody could."""
    page = tx.house.board_page
    seen_by = policy_of(tx, community_id).board_page
    if page is None or seen_by == "off":
        return ""
    return page(f"{community_id}-{_secret(tx, community_id)}" if seen_by == "link" else f"{community_id}")


def page_mark(tx: Tx, community_id: int) -> Say | str:
    """The board's page, for the end of a sentence that sends people to the board; empty if there is none."""
    found = address(tx, community_id)
    return Say("public.address_mark", address=found) if found else ""


def open_address(tx: Tx, community_id: int) -> str:
    """The same for what strangers read, too: "" where the address is a secret."""
    return "" if policy_of(tx, community_id).board_page == "link" else address(tx, community_id)


def personal_address(tx: Tx, person: Person, place: Place) -> str:
    """Where one member opens it, for a month; "" if nobody could."""
    page = tx.house.board_page
    if page is None or policy_of(tx, person.community_id).board_page == "off":
        return ""
    community_id = person.community_id
    return page(links.new_link(tx, place, hours=LINK_HOURS, leads=links.BOARD, community_id=community_id))


def change_address(tx: Tx, community_id: int) -> None:
    """Let the secret address be another one from now on; the old one leads nowhere."""
    turn = tx.session.get(CommunitySetting, (community_id, TURN))
    if turn is None:
        turn = CommunitySetting(community_id=community_id, name=TURN, value=0)
    turn.value += 1
    tx.session.add(turn)
    tx.session.flush()


def _secret(tx: Tx, community_id: int) -> str:
    """Made from the installation's key, so that it can be told again and is nowhere written down."""
    turn = tx.session.get(CommunitySetting, (community_id, TURN))
    return tx.house.vault.hash(f"board {community_id} {turn.value if turn is not None else 0}")[:SECRET]


def enter(tx: Tx, door: str) -> Opened | None:
    """Whose board this part of an address opens; None for one that leads nowhere, whatever the reason."""
    if PERSONAL.fullmatch(door):
        community = _of_member(tx, door)
        return Opened(community) if community is not None and _shown_to(tx, community) != "off" else None
    secret = WITH_SECRET.fullmatch(door)
    if secret is None and NUMBER.fullmatch(door) is None:
        return None
    community = tx.session.get(Community, int(secret[1] if secret is not None else door))
    if community is None:
        return None
    if secret is not None and not hmac.compare_digest(_secret(tx, community.id), secret[2]):
        return None
    seen_by = _shown_to(tx, community)
    if seen_by == "members":
        return Opened(community, barred=True)
    # What was printed while the address was a secret leads there, too, once everybody may look.
    opens = seen_by == "all" or (seen_by == "link" and secret is not None)
    return Opened(community) if opens else None


def _shown_to(tx: Tx, community: Community) -> str:
    return policy_of(tx, community.id).board_page


def _of_member(tx: Tx, token: str) -> Community | None:
    """The community of a personal link, as long as its holder belongs there."""
    link = links.find(tx.session, token, tx.now, links.BOARD)
    if link is None or link.community_id is None:
        return None
    place = tx.session.get_one(Place, link.place_id)
    theirs = select(Account).where(
        Account.messenger == place.messenger,
        Account.external_id == place.external_id,
        Account.community_id == link.community_id,
    )
    account = tx.session.exec(theirs).first()
    if account is None or is_guest(tx, tx.session.get_one(Person, account.person_id)):
        return None
    return tx.community(link.community_id)


# --- its lines --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """Which lines somebody wants: of one kind, of one building, open or done; `before`: older than that line.

    What is open, of whatever kind, is what somebody has to do something about.
    """

    kind: str = ""
    building: str = ""
    open: bool | None = None
    before: Entry | None = None


def lines(tx: Tx, community_id: int, wanted: Wanted, most: int = MOST) -> list[Entry]:
    """The newest lines of what is wanted; one more than `most`, if there are more.

    What concerns one building only stands under that building. Each kind and state is the head of an index of its own.
    """
    kinds = [wanted.kind] if wanted.kind else [*MATTERS]
    if wanted.open and not wanted.kind:
        kinds = [each for each in kinds if each not in NOT_WORKED_ON]
    parts = [
        _head(community_id, wanted, kind, opened, most + 1).subquery()
        for kind in kinds
        for opened in ([wanted.open] if wanted.open is not None else (True, False))
    ]
    heads = union_all(*(select(part.c.id, part.c.at) for part in parts)).subquery()
    newest = select(heads.c.id).order_by(heads.c.at.desc(), heads.c.id.desc()).limit(most + 1)
    return _entries(tx, list(tx.session.exec(newest).all()))


def _head(community_id: int, wanted: Wanted, kind: str, opened: bool, most: int) -> Any:
    found = select(Entry.id, Entry.at).where(
        Entry.community_id == community_id,
        Entry.building == wanted.building if wanted.building else col(Entry.wide) == true(),
        Entry.kind == kind,
        col(Entry.open) == opened,
    )
    if wanted.before is not None:
        found = found.where(tuple_(col(Entry.at), col(Entry.id)) < _key(wanted.before.at, wanted.before))
    return found.order_by(col(Entry.at).desc(), col(Entry.id).desc()).limit(most)


def _key(moment: datetime, entry: Entry) -> ColumnElement[Any]:
    """Where a line stands in an order of time."""
    return tuple_(literal(moment, UtcTime), literal(entry.id))


def _entries(tx: Tx, ids: Sequence[int]) -> list[Entry]:
    """These lines, in this order."""
    found = {each.id: each for each in tx.session.exec(select(Entry).where(col(Entry.id).in_(ids)))}
    return [found[each] for each in ids if each in found]


def line_of(tx: Tx, community_id: int, entry_id: int) -> Entry | None:
    """The line of this number, if it is the community's."""
    entry = tx.session.get(Entry, entry_id)
    return entry if entry is not None and entry.community_id == community_id else None


def overdue(tx: Tx, community_id: int, after: Entry | None = None, most: int = MOST) -> list[Entry]:
    """What should have been done by now and was not, the longest first; one more than `most`, if there are more."""
    late = _overdue(tx, community_id)
    if after is not None and after.due_at is not None:
        late = late.where(tuple_(col(Entry.due_at), col(Entry.id)) > _key(after.due_at, after))
    found = late.order_by(col(Entry.due_at), col(Entry.id)).limit(most + 1)
    return _entries(tx, list(tx.session.exec(found).all()))


def overdue_count(tx: Tx, community_id: int) -> int:
    """How many are overdue; one more than MANY, if there are more."""
    return len(tx.session.exec(_overdue(tx, community_id).limit(MANY + 1)).all())


def _overdue(tx: Tx, community_id: int) -> Any:
    return select(Entry.id).where(
        Entry.community_id == community_id,
        col(Entry.wide) == true(),
        col(Entry.open) == true(),
        col(Entry.due_at) < tx.now,
    )


def is_late(entry: Entry, now: datetime) -> bool:
    """Whether what has to be done next about it should have been done."""
    return entry.open and entry.due_at is not None and entry.due_at < now


def changed(tx: Tx, community_id: int) -> list[Entry]:
    """What has changed of late, the newest first."""
    found = (
        select(Entry.id)
        .where(Entry.community_id == community_id, col(Entry.wide) == true())
        .order_by(col(Entry.changed_at).desc(), col(Entry.id).desc())
        .limit(FED)
    )
    return _entries(tx, list(tx.session.exec(found).all()))


# Each step finds the next building in the index of the homes, however many homes there are in one.
BUILDINGS = text("""
    WITH RECURSIVE found(building) AS (
        SELECT min(building) FROM home WHERE community_id = :community
        UNION ALL
        SELECT (SELECT min(building) FROM home WHERE community_id = :community AND building > found.building)
        FROM found WHERE found.building IS NOT NULL
    )
    SELECT building FROM found WHERE building IS NOT NULL
""")


def buildings(tx: Tx, community_id: int) -> list[str]:
    """The buildings of a community, 2 before 10."""
    found = tx.session.connection().execute(BUILDINGS, {"community": community_id}).scalars()
    return sorted(filter(None, found), key=lambda name: (len(name), name))


# --- one matter, and the months ---------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A matter that stands on the board: its line, its kind and its row."""

    entry: Entry
    matter: Matter
    row: Any


def find(tx: Tx, community_id: int, kind: str, number: str) -> Found | None:
    """The matter with this row of this kind, if it stands on this board."""
    known = matter_of(f"{kind}:{number}") if NUMBER.fullmatch(number) else None
    if known is None:
        return None
    entry = tx.session.exec(select(Entry).where(Entry.about == f"{kind}:{number}")).first()
    row = tx.session.get(known[0].table, known[1])
    if entry is None or row is None or entry.community_id != community_id:
        return None
    return Found(entry, known[0], row)


def photo(tx: Tx, found: Found, photo_id: int) -> Media | None:
    """A photo or a file of a matter, if everybody may see it."""
    shown = photo_id in found.matter.photos(tx, found.row)
    return tx.session.get(Media, photo_id) if shown else None


def months(tx: Tx, community_id: int) -> list[Report]:
    """The months of which figures were published, the newest first."""
    rows = select(Report).where(Report.community_id == community_id)
    return list(tx.session.exec(rows.order_by(col(Report.month).desc()).limit(MONTHS)))


def month_file(tx: Tx, community_id: int, month: str, name: str) -> Media | None:
    """The picture or the sheet of a month."""
    rows = select(Report).where(Report.community_id == community_id, Report.month == month)
    report = tx.session.exec(rows).first()
    number = None if report is None else report.picture_id if name == "picture" else report.sheet_id
    return tx.session.get(Media, number) if number is not None else None
