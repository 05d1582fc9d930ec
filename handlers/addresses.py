"""Addresses as people write them: 3号楼2单元1201, 3-2-1201, 三栋1201, 1201; the homes and people that they mean."""

import re
import unicodedata
from collections.abc import Sequence

from sqlmodel import col, select

from conversations.steps import CHINESE_DIGITS, whole_number
from conversations.words import normal
from handlers.people import homes_of, is_guest
from handlers.tx import Tx
from store.tables import Home, Person

NUMERAL = re.compile(f"[{''.join(CHINESE_DIGITS)}十]+")
# What people write behind or before a number; it says no more than its place does, but in "2单元1201".
MARK = re.compile(
    r"第|号楼|栋|幢|座|楼|单元|门|室|号|房|户|BUILDING|BLOCK|BLD|ENTRANCE|UNIT|ROOM|FLAT|HOME|APARTMENT|APT"
)
ENTRANCE_FIRST = re.compile(r"第?[0-9A-Z]{1,3}\s*(?:单元|门)|(?:ENTRANCE|UNIT)\b")
ADDRESS_AND_NAME = re.compile(r"(.*\d[室号户房]?)[\s，,]*(\D+)")
MOST_NAMED = 50


def parts_of(text: str) -> list[str]:
    """The numbers and names of an address, without what stands around them: "三号楼2单元０１室" is 3, 2, 1."""
    return [part.lstrip("0") or "0" for part in re.split(r"[\W_]+", MARK.sub(" ", _plain(text))) if part]


def _plain(text: str) -> str:
    return NUMERAL.sub(_digits, unicodedata.normalize("NFKC", text).upper()).strip()


def _digits(match: re.Match[str]) -> str:
    """十二 as 12, 一二零一 as 1201."""
    number = whole_number(match[0])
    each = [CHINESE_DIGITS.get(digit) for digit in match[0]]
    return (
        str(number)
        if number is not None
        else match[0]
        if None in each
        else "".join(f"{digit}" for digit in each)
    )


def homes_at(tx: Tx, community_id: int, text: str) -> list[Home]:
    """The homes that an address may mean: the one it names in full, else all that what is written fits."""
    parts = parts_of(text)
    if not parts:
        return []
    rows = tx.session.exec(
        select(Home.id, Home.building, Home.entrance, Home.room).where(Home.community_id == community_id)
    ).all()
    entrance_first = ENTRANCE_FIRST.match(_plain(text)) is not None
    fitting = [(number, _fits(parts, place, entrance_first)) for number, *place in rows]
    best = max((how for _, how in fitting), default=0)
    ids = [number for number, how in fitting if how == best and how]
    homes = select(Home).where(col(Home.id).in_(ids[:MOST_NAMED]))
    return list(tx.session.exec(homes.order_by(col(Home.building), col(Home.entrance), col(Home.room))))


def _fits(parts: list[str], place: Sequence[str], entrance_first: bool) -> int:
    """How well an address fits a home: 3 in full, 2 without its entrance, 1 without its building, 0 not."""
    building, entrance, room = (parts_of(each) for each in place)
    if parts == [*building, *entrance, *room]:
        return 3
    if entrance_first:
        return 1 if parts == [*entrance, *room] else 0
    more = len(parts) > len(building) + len(room)  # an entrance, where the roster has none
    ends = parts[: len(building)] == building and parts[-len(room) :] == room
    if parts == [*building, *room] or (more and ends and not entrance):
        return 2
    return 1 if parts == room else 0


def find_home(tx: Tx, community_id: int, text: str) -> Home | None:
    """The one home that an address names, with its building; None if none or several fit."""
    homes = homes_at(tx, community_id, text) if len(parts_of(text)) > 1 else []
    return homes[0] if len(homes) == 1 else None


# --- people -----------------------------------------------------------------------------------------


def named(tx: Tx, community_id: int, name: str, *, part: bool = False) -> list[Person]:
    """The people who have this name, or one with this `part` in it, and are tied to the community."""
    wanted = normal(name)
    if not wanted:
        return []
    similar = select(Person).where(
        Person.community_id == community_id, col(Person.name).icontains(wanted[0], autoescape=True)
    )
    found = [
        each
        for each in tx.session.exec(similar.order_by(col(Person.id)))
        if (wanted in normal(each.name) if part else wanted == normal(each.name))
    ]
    return [each for each in found[: 2 * MOST_NAMED] if not is_guest(tx, each)][:MOST_NAMED]


def one_named(tx: Tx, community_id: int, text: str) -> Person | None:
    """Who is meant by a name, or by an address with a name ("3-2-1201 陈女士"); None if nobody or several."""
    people = named(tx, community_id, text)
    both = ADDRESS_AND_NAME.fullmatch(text.strip())
    if not people and both is not None:
        home = find_home(tx, community_id, both[1])
        people = [each for each in named(tx, community_id, both[2]) if home in homes_of(tx, each)]
    return people[0] if len(people) == 1 else None
