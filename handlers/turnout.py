"""Turnout: which homes have a ballot, whom the ballot has not reached, and the list of doors to knock at.

What was chosen is nobody's business before the end: here is only whether there is a ballot.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Any, TypeVar

from sqlalchemy import String, cast, func, literal, null, union_all
from sqlmodel import SQLModel, and_, col, select

from conversations.errors import Refused
from conversations.words import Reader, Say
from handlers.actions import action
from handlers.ballot_sheet import is_sealed
from handlers.links import new_link
from handlers.people import roles_of
from handlers.phones import phone_of
from handlers.repair_cards import address
from handlers.talk import here
from handlers.tally import PARTICIPATION, Electorate, collector_paused, electorate_of, instant, owners_of
from handlers.tell import ANSWER, Button, latest, place_of, reader_of, tell
from handlers.tx import Tx
from handlers.vote_words import percent
from store.tables import Account, Ballot, Home, Link, Outgoing, Person, Place, RosterEntry, Vote, Voter

MOST_SHOWN = 30
"""How many homes of the canvass list stand in a message, if there is a page for all of them."""
BATCH = 500
T = TypeVar("T", bound=SQLModel)
LINK = "\ue002"
"""Stands in the words of a message for the link to its page, which needs the message first."""

# --- whom the ballot has reached --------------------------------------------------------------------


def ballot_card(voter: Voter) -> str:
    """The name of all that is told of somebody's ballot: only the last of these messages has buttons."""
    return f"ballot:{voter.id}"


def delivered_times(tx: Tx, vote: Vote, *, only: Voter | None = None) -> dict[int, datetime]:
    """When the ballot reached each, by the voter's id: it was sent to them, or they have cast one themselves.

    What was sent to an agent reached the agent alone.
    """
    theirs = (col(Voter.vote_id) == vote.id) if only is None else (col(Voter.id) == only.id)
    at = func.min(func.coalesce(col(Outgoing.sent_at), col(Outgoing.created_at)), type_=Outgoing.sent_at.type)  # type: ignore[union-attr]
    sent = (
        select(col(Voter.id), at, literal(""))
        .join(
            Outgoing,
            and_(
                col(Outgoing.card) == literal("ballot:").concat(cast(col(Voter.id), String)),
                col(Outgoing.person_id) == col(Voter.person_id),
            ),
        )
        .where(theirs, col(Outgoing.state).in_(["sent", "digested"]))
        .group_by(col(Voter.id))
    )
    voted = (
        select(col(Voter.id), null(), col(Ballot.opened).concat("\n").concat(col(Ballot.entry)))
        .join(Ballot, and_(col(Ballot.voter_id) == col(Voter.id), col(Ballot.principal_id) == col(Voter.id)))
        .where(theirs, Ballot.kind == "ballot")
    )
    found: dict[int, datetime] = {}
    voter_id: int
    when: datetime | None
    written: str
    for voter_id, when, written in tx.session.connection().execute(union_all(sent, voted)):
        came: datetime = when or instant(_body(*written.split("\n", 1))["at"])
        found[voter_id] = min(found.get(voter_id, came), came)
    return found


def _body(opened: str, entry: str) -> Mapping[str, Any]:
    """What a ballot says; a sealed one as it was cast."""
    body: Mapping[str, Any] = json.loads(opened or entry)["body"]
    return body


@collector_paused()
def unreached_voters(tx: Tx, vote: Vote) -> list[Voter]:
    """Those who may vote, whom the ballot has not reached, and for whom nobody has cast one."""
    voted = select(Ballot.principal_id).where(Ballot.vote_id == vote.id, Ballot.kind == "ballot")
    reached = {*delivered_times(tx, vote), *tx.session.exec(voted)}
    missing = [each for each in _entitled(tx, vote) if each not in reached]
    return sorted(_rows(tx, Voter, missing), key=lambda each: each.id)


def _entitled(tx: Tx, vote: Vote) -> list[int]:
    """The ids of those who may vote."""
    voters = select(Voter.id, Voter.homes).where(Voter.vote_id == vote.id)
    return [number for number, homes in tx.session.exec(voters) if homes]


def _rows(tx: Tx, table: type[T], ids: Sequence[int]) -> list[T]:
    """The rows of a table with these ids: of thousands only those that are needed."""
    key = table.__table__.c.id  # type: ignore[attr-defined]
    return [
        row
        for start in range(0, len(ids), BATCH)
        for row in tx.session.exec(select(table).where(key.in_(ids[start : start + BATCH])))
    ]


# --- which homes have a ballot ----------------------------------------------------------------------


@dataclass
class Share:
    """Homes and their area, all of them and those with a ballot."""

    homes: int = 0
    voted: int = 0
    area: int = 0
    area_voted: int = 0

    def add(self, area: int, voted: bool) -> None:
        """One more home."""
        self.homes, self.area = self.homes + 1, self.area + area
        if voted:
            self.voted, self.area_voted = self.voted + 1, self.area_voted + area


@dataclass(frozen=True)
class Turnout:
    """How far a vote has come: by building, in the order of the roster, and in all."""

    buildings: Mapping[str, Share]
    total: Share
    people: int
    people_voted: int
    """By the law's count of people, those of whom any home has a ballot."""
    places: int
    """Decimals of the areas."""

    @property
    def people_missing(self) -> int:
        """How many people more make two thirds."""
        return max(0, ceil(self.people * PARTICIPATION) - self.people_voted)

    @property
    def area_missing(self) -> int:
        """How much more area makes two thirds."""
        return max(0, ceil(self.total.area * PARTICIPATION) - self.total.area_voted)


@collector_paused()
def turnout_of(tx: Tx, vote: Vote) -> Turnout:
    """Count the homes of the frozen roster that a ballot in the log speaks for."""
    rows = select(RosterEntry.unit).where(RosterEntry.vote_id == vote.id)
    units = tx.session.exec(rows.order_by(col(RosterEntry.position))).all()
    electorate = _electorate(vote, units)
    voted = _voted(tx, vote, electorate)
    buildings: dict[str, Share] = {}
    total = Share()
    for unit in units:
        area, has_one = electorate.units[unit["id"]].area, electorate.slot_of[unit["id"]] in voted
        for share in (buildings.setdefault(unit["building"], Share()), total):
            share.add(area, has_one)
    people = {electorate.slots[slot].person for slot in voted}
    return Turnout(buildings, total, len(electorate.persons), len(people), electorate.places)


def _electorate(vote: Vote, units: Sequence[Mapping[str, Any]]) -> Electorate:
    return electorate_of({**vote.policy, "roster": {"units": units}})


def _voted(tx: Tx, vote: Vote, electorate: Electorate) -> set[int]:
    """The slots that a ballot reaches; whatever stands in the log was admitted when it was cast."""
    found: set[int] = set()
    ballots = select(Ballot.opened, Ballot.entry).where(Ballot.vote_id == vote.id, Ballot.kind == "ballot")
    for opened, entry in tx.session.exec(ballots):
        body = _body(opened, entry)
        principal = body["on_behalf_of"] or body["voter"]
        for slot in electorate.touched(principal, body["units"]):
            reps = electorate.slots[slot].reps
            if not reps or principal in reps:
                found.add(slot)
    return found


@action("vote.turnout", Vote, button=True, stays=True)
def show(tx: Tx, person: Person, vote: Vote) -> None:
    """The turnout by building, without any choice."""
    turnout = turnout_of(tx, vote)
    entitled, times = _entitled(tx, vote), delivered_times(tx, vote)
    reached = sum(each in times for each in entitled)
    running = vote.state == "open" and tx.now <= vote.deadline
    in_group = tx.place is not None and tx.place.kind == "staff"
    paper = [] if is_sealed(vote.policy) else [Button(f"paper.new:{vote.id}", number=vote.number)]
    canvass = Button(f"vote.canvass:{vote.id}", number=vote.number)
    reader = reader_of(tx, here(tx, person))
    tell(
        tx,
        here(tx, person),
        "turnout.card",
        last=f"turnout:{vote.id}",
        buttons=[*paper, canvass] if running and in_group else (),
        number=vote.number,
        title=vote.title,
        kind=Say(f"count.kind.{vote.kind}"),
        state=Say("turnout.until", at=vote.deadline) if running else Say("turnout.over"),
        list="\n".join(
            reader.say(
                "turnout.line",
                building=Say("where.building", building=building),
                share=_share(vote, share),
            )
            for building, share in turnout.buildings.items()
        ),
        total=_share(vote, turnout.total),
        bar=_bar(turnout) if vote.kind == "statutory" else "",
        reached=reached,
        missing=len(entitled) - reached,
    )


def _share(vote: Vote, share: Share) -> Say:
    area: Say | str = ""
    if vote.kind == "statutory" and share.area:
        area = Say(
            "turnout.area_mark", percent=percent(Fraction(share.area_voted, share.area), PARTICIPATION)
        )
    return Say("turnout.share", voted=share.voted, homes=share.homes, area=area)


def _bar(turnout: Turnout) -> Say:
    """What is missing to the two thirds without which a statutory vote is invalid."""
    missing = []
    if turnout.people_missing:
        missing.append(Say("turnout.people", count=turnout.people_missing))
    if turnout.area_missing:
        missing.append(Say("turnout.area", area=_shown_area(turnout.area_missing, turnout.places)))
    return Say("turnout.short_mark", missing=missing) if missing else Say("turnout.enough_mark")


def _shown_area(area: int, places: int) -> str:
    return f"{area // 10**places:,}.{area % 10**places:0{places}}"


# --- the canvass list -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Door:
    """A home whose owners the ballot has not reached and that has none, with those of them whom we know."""

    home: Home
    owners: tuple[Person, ...]


@collector_paused()
def canvass_of(tx: Tx, vote: Vote) -> list[Door]:
    """Where to knock, in the order of the addresses: none of the owners was reached, and nobody has voted."""
    rows = select(RosterEntry.unit, RosterEntry.home_id).where(RosterEntry.vote_id == vote.id)
    entries = tx.session.exec(rows.order_by(col(RosterEntry.position))).all()
    electorate = _electorate(vote, [unit for unit, _ in entries])
    voted = _voted(tx, vote, electorate)
    missing = {each.number: each.person_id for each in unreached_voters(tx, vote)}
    doors = [
        (home_id, owners_of(unit))
        for unit, home_id in entries
        if electorate.slot_of[unit["id"]] not in voted and missing.keys() >= set(owners_of(unit))
    ]
    homes = {each.id: each for each in _rows(tx, Home, [home_id for home_id, _ in doors])}
    known = [who for who in missing.values() if who is not None]
    people = {each.id: each for each in _rows(tx, Person, known)}
    return [
        Door(homes[home_id], tuple(people[who] for who in sorted(filter(None, map(missing.get, numbers)))))
        for home_id, numbers in doors
    ]


@action("vote.canvass", Vote, button=True, stays=True)
def canvass(tx: Tx, person: Person, vote: Vote) -> None:
    """The homes at which to knock; the whole list, to be printed, is a page whose link goes to who asked."""
    if vote.state != "open" or tx.now > vote.deadline:
        raise Refused("vote.closed")
    doors = canvass_of(tx, vote)
    facts: dict[str, Any] = {"number": vote.number, "title": vote.title, "count": len(doors)}
    if not doors:
        tell(tx, here(tx, person), "turnout.canvass_none", **facts)
        return
    printed: Say | str = ""
    if tx.house.canvass_page is not None:
        sent = send_sheet(tx, person, f"canvass:{vote.id}", "turnout.link", **facts)
        printed = Say("turnout.link_sent" if sent else "turnout.write_first")
    shown = doors[:MOST_SHOWN] if printed else doors
    reader = reader_of(tx, here(tx, person))
    tell(
        tx,
        here(tx, person),
        "turnout.canvass",
        list="\n".join(
            reader.say(
                "turnout.door",
                home=address(each.home),
                who=[who_to_call(tx, owner) for owner in each.owners] or Say("turnout.unknown"),
            )
            for each in shown
        ),
        first=Say("turnout.first_mark", count=len(shown)) if len(shown) < len(doors) else "",
        printed=printed,
        **facts,
    )


def who_to_call(tx: Tx, owner: Person) -> Say:
    """An owner with the whole number, which is to be called: it is opened on its way out."""
    phone = phone_of(tx, owner)
    return Say(
        "turnout.owner",
        name=owner.name or Say("person.forgotten"),
        phone=tx.house.vault.hide(phone) if phone else Say("turnout.no_phone"),
    )


def send_sheet(tx: Tx, person: Person, card: str, key: str, **facts: Any) -> bool:
    """Send the link to the page of a list into the own chat of who asked; False if they have none."""
    place, page = place_of(tx, person), tx.house.canvass_page
    if place is None or page is None:
        return False
    ends = int(tx.house.link_hours)
    tell(tx, person, key, card=card, anew=True, lane=ANSWER, link=LINK, hours=ends, **facts)
    row = latest(tx, card, place.id)
    assert row is not None
    token = new_link(tx, place, outgoing_id=row.id, hours=tx.house.link_hours)
    row.text = row.text.replace(LINK, tx.house.vault.hide(page(token)))
    tx.session.add(row)
    tx.session.flush()
    return True


@dataclass(frozen=True)
class Sheet:
    """A list as it is printed: by building the rooms, each with its people's names and numbers."""

    community: str
    title: Say
    told: Say
    """What is missing in these homes, and since when."""
    nobody: Say
    buildings: Mapping[str, Sequence[tuple[str, str, str]]]


SHEETS: dict[str, Callable[[Tx, int, int], Sheet | None]] = {}
"""The lists that can be printed, by the name of the card with their link: from the community and the matter's id."""


def know_sheet(card: str, sheet: Callable[[Tx, int, int], Sheet | None]) -> None:
    """Let the list behind links of this card be printed."""
    SHEETS[card] = sheet


def sheet_of(tx: Tx, link: Link) -> tuple[Reader, Sheet] | None:
    """What the page of a link shows, and to whom; None if it is no list's, or its reader is of the staff no more."""
    row = tx.session.get(Outgoing, link.outgoing_id) if link.outgoing_id is not None else None
    name, _, number = (row.card or "").partition(":") if row is not None else ("", "", "")
    person, place = (
        (tx.session.get(Person, row.person_id), tx.session.get(Place, link.place_id))
        if row is not None and row.person_id is not None and name in SHEETS
        else (None, None)
    )
    if person is None or place is None:
        return None
    theirs = select(Account.id).where(
        Account.person_id == person.id,
        Account.messenger == place.messenger,
        Account.external_id == place.external_id,
    )
    if tx.session.exec(theirs).first() is None or "staff" not in roles_of(tx, person):
        return None
    sheet = SHEETS[name](tx, person.community_id, int(number))
    return (tx.reader(person.community_id, person.language), sheet) if sheet is not None else None


def door_line(tx: Tx, home: Home, people: Sequence[Person]) -> tuple[str, str, str]:
    """A line of a printed list: the room, the names and the whole numbers."""
    room = " ".join(filter(None, (home.entrance, home.room)))
    names = [each.name or "—" for each in people]
    phones = [phone_of(tx, each) or "—" for each in people]
    return room, "\n".join(names) or "—", "\n".join(phones) or "—"


def _sheet(tx: Tx, community_id: int, number: int) -> Sheet | None:
    vote = tx.session.get(Vote, number)
    if vote is None or vote.community_id != community_id:
        return None
    buildings: dict[str, list[tuple[str, str, str]]] = {}
    for door in canvass_of(tx, vote) if vote.state == "open" else ():
        buildings.setdefault(door.home.building, []).append(door_line(tx, door.home, door.owners))
    return Sheet(
        tx.community(community_id).name,
        Say("turnout.sheet.title", number=vote.number, title=vote.title),
        Say("turnout.sheet.until", at=vote.deadline),
        Say("turnout.sheet.nobody"),
        buildings,
    )


know_sheet("canvass", _sheet)
