"""The roster of a vote: who owns what at one moment, under numbers that tell nothing, as it is frozen and published."""

import re
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from handlers.people import holding, numbers_as_numbers
from handlers.repair_cards import address
from handlers.tx import Tx
from store.tables import Agent, Home, HomeRole, Person, Role

STATUSES = {"delivered": "sold_delivered", "undelivered": "sold_undelivered", "unsold": "unsold"}
ABOUT_VOTES = re.compile(
    r"投票|表决|业主大会|业主会议|vot(?:e|ing)|ballot|owners' (?:meeting|assembly)", re.IGNORECASE
)
"""What a paper says that is given for votes; one that says nothing is given for everything."""
Nobody = tuple[str, int]
"""The owner of a home whom the roster does not name, by the home's position."""


@dataclass
class Frozen:
    """A roster as it is written down when a vote is made."""

    units: list[dict[str, Any]]
    homes: list[Home]
    """Whose unit stands at the same position."""
    numbers: dict[int | Nobody, str]
    """Everybody's number in this vote."""
    entitled: dict[str, list[int]]
    """The positions of the homes for which a number may vote."""
    proxies: list[Agent]
    barred: list[str]
    """The numbers of those who may be nobody's agent."""
    rest: dict[str, Any] = field(default_factory=dict)
    """What roster.json has beside its units."""


def freeze(
    tx: Tx,
    community_id: int,
    scope: Mapping[str, Sequence[str] | None],
    *,
    areas: bool,
    named: bool,
    staff: bool,
) -> Frozen:
    """The community's homes in `scope` with their owners, as they are now.

    `areas`: they decide, so that each must be known. `named`: the names are published. Without `staff` nobody of
    the property company may be an agent. Raises Refused if the roster does not suffice.
    """
    units, homes = _in_scope(tx, community_id, scope)
    if not homes:
        raise Refused("vote.nobody")
    unknown = [home for home in homes if home.area <= 0]
    if areas and unknown:
        raise Refused("vote.no_area", count=len(unknown), home=address(unknown[0]))
    who = _Owners(tx, community_id, homes)
    proxies = _powers(tx, community_id, "proxy", who.entitled)
    guardians = _powers(tx, community_id, "guardian", who.entitled)
    workers = [] if staff else _workers(tx, community_id)
    agents = [each.agent_id for each in [*proxies, *guardians]]
    numbers = _numbered([*who.everybody, *agents, *workers])

    def of(people: Sequence[int | Nobody]) -> list[str]:
        return sorted((numbers[each] for each in people), key=lambda number: int(number[1:]))

    for position, unit in enumerate(units):
        theirs = of(who.owners[position])
        if unit["status"] == "sold_delivered":
            unit["owners"] = theirs
            rep = who.represents.get(position)
            unit["rep"] = numbers[rep] if rep is not None else None
        else:
            unit["developer"] = theirs[0]
            unit["buyers"] = of(who.buyers.get(position, []))
    entitled: dict[str, list[int]] = defaultdict(list)
    for position, owners in enumerate(who.owners):
        for each in owners:
            entitled[numbers[each]].append(position)
    pairs = {(numbers[each.agent_id], numbers[each.principal_id]) for each in guardians}
    rest: dict[str, Any] = {
        "legal_agents": [
            {"agent": agent, "principal": principal, "kind": "guardian"} for agent, principal in sorted(pairs)
        ]
    }
    if named:
        rest["names"] = {numbers[key]: who.names[key] for key in who.names if who.names[key]}
    return Frozen(units, homes, numbers, dict(entitled), proxies, of(workers), rest)


def _in_scope(
    tx: Tx, community_id: int, scope: Mapping[str, Sequence[str] | None]
) -> tuple[list[dict[str, Any]], list[Home]]:
    """The units that are kept, with their homes, in the order of their addresses."""
    rows = tx.session.exec(select(Home).where(Home.community_id == community_id)).all()
    rows = sorted(
        rows, key=lambda each: [*map(numbers_as_numbers, (each.building, each.entrance, each.room))]
    )
    taken: set[str] = set()
    units, homes = [], []
    for home in rows:
        name = unit_id(home)
        while name in taken:  # "3-2" and "1201" reads like "3", "2" and "1201"
            name += "'"
        taken.add(name)
        unit: dict[str, Any] = {
            "id": name,
            "building": home.building,
            "entrance": home.entrance,
            "floor": floor_of(home.room),
            "kind": "residential",
            "status": STATUSES[home.status],
            "area": shown_area(home.area),
            "owners": [],
            "developer": None,
            "buyers": [],
            "rep": None,
        }
        if _is_kept(unit, scope):
            units.append(unit)
            homes.append(home)
    return units, homes


def _is_kept(unit: Mapping[str, Any], scope: Mapping[str, Sequence[str] | None]) -> bool:
    asked = {
        "buildings": unit["building"],
        "entrances": f"{unit['building']}/{unit['entrance']}",
        "floors": unit["floor"],
        "homes": unit["id"],
    }
    kept = {name: scope.get(name) for name in asked}
    return all(only is None or asked[name] in only for name, only in kept.items())


def unit_id(home: Home) -> str:
    """How a vote names a home: 3栋2单元1201; as 3-2-2001 a program for tables would take it for a day."""
    parts = ((home.building, "栋"), (home.entrance, "单元"), (home.room, ""))
    return "".join(part + (word if part.isascii() else "") for part, word in parts if part)


def floor_of(room: str) -> str | None:
    """The floor that a room's number tells: 1201 is on the 12th, 302 on the 3rd; None: it tells none."""
    return room[:-2].lstrip("0") or None if re.fullmatch(r"[0-9]{3,4}", room) else None


def shown_area(area: int) -> str:
    """An area in 0.001 m² as a decimal with two places, or with three if it needs them."""
    text = f"{area // 1000}.{area % 1000:03}"
    return text.removesuffix("0")


class _Owners:
    """Who votes for each of the homes, who bought it, and who speaks for it."""

    def __init__(self, tx: Tx, community_id: int, homes: Sequence[Home]) -> None:
        ties = (
            select(HomeRole, Person)
            .join(Person, col(Person.id) == col(HomeRole.person_id))
            .where(HomeRole.community_id == community_id, HomeRole.role == "owner")
            .order_by(col(HomeRole.id))
        )
        of_home: dict[int, list[tuple[HomeRole, Person]]] = defaultdict(list)
        for tie, person in tx.session.exec(ties):
            of_home[tie.home_id].append((tie, person))
        builders = select(Person.id, Person.name).where(
            Person.community_id == community_id, Person.is_developer
        )
        self.developers = dict(tx.session.exec(builders).all())
        self.owners: list[list[int | Nobody]] = []
        self.buyers: dict[int, list[int]] = {}
        self.represents: dict[int, int] = {}
        self.names: dict[int | Nobody, str] = {}
        without = []
        for position, home in enumerate(homes):
            people = of_home[home.id]
            self.names |= {person.id: person.name for _, person in people}
            if home.status == "delivered":
                # An owner whom the roster does not name is one all the same, and counts.
                self.owners.append([person.id for _, person in people] or [("nobody", position)])
                for tie, person in people:
                    if tie.represents:
                        self.represents.setdefault(position, person.id)
                continue
            developer = self._developer([person for _, person in people])
            without += [home] if developer is None else []
            self.owners.append([developer] if developer is not None else [])
            self.buyers[position] = [person.id for _, person in people if person.id != developer]
        if without:
            raise Refused("vote.no_developer", count=len(without), home=address(without[0]))

    def _developer(self, people: Sequence[Person]) -> int | None:
        """Who votes for a home that is not sold or not handed over: the one tied to it, else the only one there is."""
        tied = [person.id for person in people if person.is_developer]
        only = list(self.developers) if len(self.developers) == 1 else []
        developer = next(iter([*tied, *only]), None)
        if developer is not None:
            self.names[developer] = self.developers[developer]
        return developer

    @property
    def entitled(self) -> dict[int, set[int]]:
        """The homes, by position, for which somebody may vote."""
        found: dict[int, set[int]] = defaultdict(set)
        for position, owners in enumerate(self.owners):
            for each in owners:
                if isinstance(each, int):
                    found[each].add(position)
        return found

    @property
    def everybody(self) -> list[int | Nobody]:
        bought = [each for theirs in self.buyers.values() for each in theirs]
        return [*(each for theirs in self.owners for each in theirs), *bought]


def _powers(tx: Tx, community_id: int, kind: str, principals: Mapping[int, set[int]]) -> list[Agent]:
    """The powers of this kind that hold now, of those who may vote."""
    rows = select(Agent).where(Agent.community_id == community_id, Agent.kind == kind, *holding(tx))
    found = tx.session.exec(rows.order_by(col(Agent.id))).all()
    return [each for each in found if each.principal_id in principals and is_about_votes(each)]


def is_about_votes(agent: Agent) -> bool:
    """Whether a power holds for votes: a guardian's always, a paper's unless it says that it is for other things."""
    return agent.kind == "guardian" or not agent.scope or ABOUT_VOTES.search(agent.scope) is not None


def _workers(tx: Tx, community_id: int) -> list[int]:
    """Who works for the property company."""
    found = select(Role.person_id).where(
        Role.community_id == community_id, col(Role.role).in_(["staff", "crew"])
    )
    return sorted(set(tx.session.exec(found)))


def _numbered(people: Sequence[int | Nobody]) -> dict[int | Nobody, str]:
    """A number for each of them, by chance: it tells neither where somebody lives nor what they do."""
    everybody = list(dict.fromkeys(people))
    secrets.SystemRandom().shuffle(everybody)
    return {each: f"P{number}" for number, each in enumerate(everybody, 1)}
