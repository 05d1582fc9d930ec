"""Whom a notice has not reached, or who has not read it: the doors to knock at, for staff."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, func, select

from conversations.words import Say
from handlers.actions import action
from handlers.announcement_cards import about, brief, has_read, last_notice, ties_in
from handlers.repair_cards import address
from handlers.talk import here
from handlers.tell import reader_of, tell
from handlers.turnout import MOST_SHOWN, Sheet, door_line, know_sheet, send_sheet, who_to_call
from handlers.tx import Tx
from store.tables import Announcement, Home, HomeRole, Outgoing, Person

SHEET = "unread"
BATCH = 500
Door = tuple[Home, list[Person]]


def _done(tx: Tx, made: Announcement) -> Any:
    """Who has said that they read it or, where nobody asked for that, whom a copy has reached."""
    if made.receipt:
        return has_read(made.id, made.version)
    notice = last_notice(tx, made)
    reached = select(Outgoing.person_id).where(
        Outgoing.card == f"board:{about(made)}",
        Outgoing.notice_id == (notice.id if notice is not None else 0),
        col(Outgoing.state).in_(["sent", "digested"]),
    )
    return col(Person.id).in_(reached)


def _shut(tx: Tx, made: Announcement) -> Any:
    """The ids of the homes for which it is and where nobody has got, or read, it."""
    theirs = (
        select(Home.id)
        .join(HomeRole, col(HomeRole.home_id) == col(Home.id))
        .join(Person, col(Person.id) == col(HomeRole.person_id))
        .where(Home.community_id == made.community_id, ties_in(made.audience))
    )
    return theirs.where(col(Home.id).not_in(theirs.where(_done(tx, made)))).distinct()


def count_doors(tx: Tx, made: Announcement) -> int:
    """How many they are, counted by the database."""
    return tx.session.exec(select(func.count()).select_from(_shut(tx, made).subquery())).one()


def doors(tx: Tx, made: Announcement, most: int | None = None) -> list[Door]:
    """The first of them, or all, each with the people there for whom it is, in the order of the roster."""
    shut = select(Home).where(col(Home.id).in_(_shut(tx, made))).order_by(col(Home.id))
    homes = tx.session.exec(shut.limit(most) if most is not None else shut).all()
    people: dict[int, list[Person]] = {}
    for start in range(0, len(homes), BATCH):
        some = [home.id for home in homes[start : start + BATCH]]
        theirs = (
            select(HomeRole.home_id, Person)
            .join(Person, col(Person.id) == col(HomeRole.person_id))
            .join(Home, col(Home.id) == col(HomeRole.home_id))
            .where(col(HomeRole.home_id).in_(some), ties_in(made.audience))
        )
        for home_id, person in tx.session.exec(theirs.order_by(col(HomeRole.id))):
            if person not in people.setdefault(home_id, []):
                people[home_id].append(person)
    return [(home, people.get(home.id, [])) for home in homes]


@action("announcement.canvass", Announcement, button=True, stays=True)
def canvass(tx: Tx, person: Person, made: Announcement) -> None:
    """The first homes of the list; the whole of it, to be printed, is a page whose link goes to who asked."""
    count = count_doors(tx, made)
    facts: dict[str, Any] = {"number": made.number, "title": brief(tx, made), "count": count}
    what = Say("announcement.nobody_read" if made.receipt else "announcement.nobody_got")
    if not count:
        tell(tx, here(tx, person), "announcement.canvass_none", what=what, **facts)
        return
    printed: Say | str = ""
    if tx.house.canvass_page is not None:
        sent = send_sheet(tx, person, f"{SHEET}:{made.id}", "announcement.sheet_link", **facts)
        printed = Say("turnout.link_sent" if sent else "turnout.write_first")
    shown = doors(tx, made, MOST_SHOWN)
    reader = reader_of(tx, here(tx, person))
    tell(
        tx,
        here(tx, person),
        "announcement.canvass",
        what=what,
        list="\n".join(_line(tx, reader, each) for each in shown),
        first=Say("turnout.first_mark", count=len(shown)) if len(shown) < count else "",
        printed=printed,
        **facts,
    )


def _line(tx: Tx, reader: Any, door: Door) -> str:
    home, people = door
    who: Sequence[Say] = [who_to_call(tx, each) for each in people]
    said: str = reader.say("turnout.door", home=address(home), who=who)
    return said


def _sheet(tx: Tx, community_id: int, number: int) -> Sheet | None:
    made = tx.session.get(Announcement, number)
    if made is None or made.community_id != community_id:
        return None
    buildings: dict[str, list[tuple[str, str, str]]] = {}
    for home, people in doors(tx, made) if made.state == "sent" else ():
        buildings.setdefault(home.building, []).append(door_line(tx, home, people))
    what = Say("announcement.nobody_read" if made.receipt else "announcement.nobody_got")
    return Sheet(
        tx.community(community_id).name,
        Say("announcement.sheet_title", number=made.number, title=brief(tx, made)),
        Say("announcement.sheet_told", what=what, at=tx.now),
        Say("announcement.sheet_nobody"),
        buildings,
    )


know_sheet(SHEET, _sheet)
