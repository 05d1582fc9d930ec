"""What a roster would change in a community, and the change itself: planned first, shown, then done at once."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlmodel import SQLModel, col

from conversations.words import Say
from handlers import proxies
from handlers.codes import end_codes
from handlers.phones import masked
from handlers.roster_lines import Address, HomeLine, Line, Roster
from handlers.talk import end
from handlers.tx import Tx
from store.tables import Agent, Code, Community, Home, HomeRole, Parking, Person, Role, Talk

T = TypeVar("T")
BATCH = 500
Progress = Callable[[int, int], None]
"""Told how many rows of how many are written."""


@dataclass(eq=False)
class Somebody:
    """Somebody whom the community knows, or who is new (`id` is None until they are written)."""

    name: str
    id: int | None = None
    phone: str = ""
    """The number to keep, if it is another than the known one."""
    is_developer: bool = False


@dataclass
class Plan:
    """What would change; `changes` says it of what stands already, what is new is only counted."""

    community_id: int
    homes: list[HomeLine] = field(default_factory=list)
    people: list[Somebody] = field(default_factory=list)
    ties: list[tuple[Address, Somebody, dict[str, Any]]] = field(default_factory=list)
    work: list[tuple[Somebody, dict[str, Any]]] = field(default_factory=list)
    parking: list[tuple[str, Address]] = field(default_factory=list)
    updates: dict[type[SQLModel], dict[int, dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    """Of rows that stand, by table and id. A person's number is not sealed yet, a parking space has an Address."""
    ended: list[Row[Any]] = field(default_factory=list)
    """The ties that end."""
    left: list[int] = field(default_factory=list)
    """Who then has neither a home nor work here."""
    home_ids: dict[Address, int] = field(default_factory=dict)
    changes: list[Say] = field(default_factory=list)
    remarks: list[Say] = field(default_factory=list)
    unnamed: int = 0
    """How many homes of the community the file does not name."""

    @property
    def is_empty(self) -> bool:
        """Whether the community is already as the file says."""
        new: tuple[list[Any], ...] = (self.homes, self.people, self.ties, self.work, self.parking)
        return not any(new) and not self.touches

    @property
    def touches(self) -> bool:
        """Whether something changes that stands already."""
        return bool(self.ended or any(self.updates.values()))

    def counts(self) -> list[Say]:
        """How much is new, how much changes, and how many ties end; what is none is not said."""
        ties = len(self.ties) + len(self.work)
        changed = sum(len(rows) for rows in self.updates.values())
        counted = (
            (len(self.homes), Say("roster.count.homes", count=len(self.homes))),
            (len(self.people), Say("roster.count.people", count=len(self.people))),
            (ties, Say("roster.count.ties", count=ties)),
            (len(self.parking), Say("roster.count.parking", count=len(self.parking))),
            (changed, Say("roster.count.changed", count=changed)),
            (len(self.ended), Say("roster.count.ended", count=len(self.ended))),
        )
        return [words for count, words in counted if count] or [Say("roster.count.none")]


def plan_roster(tx: Tx, community: Community, roster: Roster) -> Plan:
    """What the roster would change; nothing is changed yet.

    Somebody is known by the name within a home or within their work, or by name and telephone number. A column that
    the file does not have changes nothing; nor does an empty telephone number. What it
    does not name, homes and work, stays.
    """
    return _Planning(tx, community.id, roster).plan()


# --- what is there ----------------------------------------------------------------------------------


class _Present:
    """The community as it is, read in a few statements."""

    def __init__(self, tx: Tx, community_id: int) -> None:
        tx.session.flush()

        def rows(table: type[SQLModel], *names: str) -> Sequence[Row[Any]]:
            columns = table.__table__.c  # type: ignore[attr-defined]
            chosen = select(columns.id, *(columns[name] for name in names))
            found = chosen.where(columns.community_id == community_id).order_by(columns.id)
            return tx.session.connection().execute(found).all()

        people = rows(Person, "name", "name_hash", "phone_hash", "is_developer")
        homes = rows(Home, "building", "entrance", "room", "area", "status")
        ties = rows(HomeRole, "home_id", "person_id", "role", "share", "represents", "from_roster")
        self.people = {row.id: row for row in people}
        self.homes = {Address(row.building, row.entrance, row.room): row for row in homes}
        self.work = rows(Role, "person_id", "role", "skills", "buildings", "duty")
        self.parking = {row.number: row for row in rows(Parking, "number", "home_id")}
        self.ties: dict[int, list[Row[Any]]] = defaultdict(list)
        for row in ties:
            self.ties[row.home_id].append(row)


# --- the plan ---------------------------------------------------------------------------------------


class _Planning:
    def __init__(self, tx: Tx, community_id: int, roster: Roster) -> None:
        self.vault = tx.house.vault
        self.roster = roster
        self.present = _Present(tx, community_id)
        self.result = Plan(community_id, remarks=list(roster.remarks))
        self.known: dict[int, Somebody] = {}
        self.phones: dict[Somebody, tuple[str, int]] = {}
        """The number that the file gives somebody, and its row."""
        self.kept: set[int] = set()
        """The ties that the file names."""
        self.speakers = {line.home for line in roster.lines if line.represents}
        named = {(row.name, row.phone_hash): row.id for row in reversed(self.present.people.values())}
        self.by_phone = {key: id_ for key, id_ in named.items() if all(key)}
        self.developers = {
            row.name: row.id
            for row in reversed(self.present.people.values())
            if row.is_developer and row.name
        }

    def plan(self) -> Plan:
        self.result.home_ids = {address: row.id for address, row in self.present.homes.items()}
        self.result.unnamed = len(self.present.homes.keys() - self.roster.homes.keys())
        self._homes()
        for lines in _people_of(self.roster.lines):
            self._person(lines)
        self._phones()
        self._end()
        self._parking()
        self._unknown_buildings()
        return self.result

    def _change(self, table: type[SQLModel], row: Row[Any], words: Say, **values: Any) -> None:
        """Plan what differs, and say it."""
        differing = {name: value for name, value in values.items() if getattr(row, name) != value}
        if differing:
            self.result.updates[table][row.id].update(differing)
            self.result.changes.append(words)

    def _homes(self) -> None:
        for address, home in self.roster.homes.items():
            row = self.present.homes.get(address)
            if row is None:
                self.result.homes.append(home)
                continue
            areas = {"was": square_metres(row.area), "now": square_metres(home.area)}
            words = Say("roster.change.area", where=address.say(), **areas)
            self._change(Home, row, words, area=home.area)
            if "status" in self.roster.columns:
                status = home.status or "delivered"
                was, now = Say(f"roster.status.{row.status}"), Say(f"roster.status.{status}")
                words = Say("roster.change.status", where=address.say(), was=was, now=now)
                self._change(Home, row, words, status=status)

    # --- people ---

    def _person(self, lines: list[Line]) -> None:
        """Everything that the file says of one person."""
        ties = [self._tie(line) for line in lines]
        work = [self._work(line) for line in lines]
        found = [row.person_id for row in (*ties, *work) if row is not None]
        main = self._somebody(found[0] if found else self._by_mark(lines), lines[0].name)
        for line, tie, job in zip(lines, ties, work, strict=True):
            row = tie if tie is not None else job
            who = main if row is None else self._somebody(row.person_id, line.name)
            if line.home is not None:
                self._at_home(line, tie, who)
            else:
                self._at_work(line, self._work(line, main) if job is None else job, who)
            self._marks(line, who)

    def _somebody(self, id_: int | None, name: str) -> Somebody:
        if id_ is None:
            new = Somebody(name)
            self.result.people.append(new)
            return new
        return self.known.setdefault(id_, Somebody(self.present.people[id_].name, id_))

    def _is(self, person_id: int, name: str) -> bool:
        """Whether somebody has this name; of the forgotten only its hash is known."""
        person = self.present.people.get(person_id)
        if person is None:
            return False
        return bool(person.name == name or (not person.name and self.vault.hash(name) == person.name_hash))

    def _tie(self, line: Line) -> Row[Any] | None:
        home = self.present.homes.get(line.home) if line.home is not None else None
        ties = self.present.ties[home.id] if home is not None else []
        return next((tie for tie in ties if self._is(tie.person_id, line.name)), None)

    def _work(self, line: Line, who: Somebody | None = None) -> Row[Any] | None:
        if line.home is not None:
            return None
        same = (row for row in self.present.work if row.role == line.role)
        if who is not None:
            return next((row for row in same if row.person_id == who.id), None)
        return next((row for row in same if self._is(row.person_id, line.name)), None)

    def _by_mark(self, lines: list[Line]) -> int | None:
        """Somebody who is known by name and number, or as the developer."""
        for line in lines:
            id_: int | None = self.by_phone.get((line.name, self.vault.hash(line.phone)))
            if id_ is None and line.is_developer:
                id_ = self.developers.get(line.name)
            if id_ is not None:
                return id_
        return None

    def _at_home(self, line: Line, tie: Row[Any] | None, who: Somebody) -> None:
        assert line.home is not None
        owner, columns = line.role == "owner", self.roster.columns
        values: dict[str, Any] = {"role": line.role, "from_roster": True}
        if "share" in columns or not owner:
            values["share"] = line.share if owner else ""
        if "represents" in columns or not owner:
            values["represents"] = line.represents and owner
        if tie is None:
            self.result.ties.append((line.home, who, {"share": "", "represents": False, **values}))
            return
        self.kept.add(tie.id)
        what = self._tie_words(tie, values)
        words = Say("roster.change.tie", where=line.home.say(), who=who.name or _FORGOTTEN, what=what)
        self._change(HomeRole, tie, words, **values)

    def _tie_words(self, tie: Row[Any], values: dict[str, Any]) -> list[Say]:
        words = []
        if tie.role != values["role"]:
            roles = {"was": Say(f"roster.role.{tie.role}"), "now": Say(f"roster.role.{values['role']}")}
            words.append(Say("roster.change.role", **roles))
        if tie.share != values.get("share", tie.share):
            words.append(Say("roster.change.share", was=tie.share or "—", now=values["share"] or "—"))
        if tie.represents != values.get("represents", tie.represents):
            now = values["represents"]
            words.append(Say("roster.change.represents" if now else "roster.change.represents_not"))
        return words or [Say("roster.change.confirmed")]

    def _at_work(self, line: Line, row: Row[Any] | None, who: Somebody) -> None:
        said = {"skills": list(line.skills), "buildings": list(line.buildings), "duty": line.duty}
        if row is None:
            self.result.work.append((who, {"role": line.role, **said}))
            return
        values = {name: value for name, value in said.items() if name in self.roster.columns}
        role = Say(f"roster.role.{line.role}")
        self._change(Role, row, Say("roster.change.work", who=who.name or _FORGOTTEN, role=role), **values)

    def _marks(self, line: Line, who: Somebody) -> None:
        """Note the number, and that somebody is the developer."""
        if line.is_developer and not who.is_developer:
            who.is_developer = True
            if who.id is not None:
                row = self.present.people[who.id]
                self._change(Person, row, Say("roster.change.developer", who=line.name), is_developer=True)
        if not line.phone or (who.id is not None and not who.name):
            return
        phone, first = self.phones.setdefault(who, (line.phone, line.row))
        if phone != line.phone:
            self.result.remarks.append(
                Say(
                    "roster.remark.two_phones", row=line.row, first=first, name=line.name, phone=masked(phone)
                )
            )

    def _phones(self) -> None:
        for who, (phone, _) in self.phones.items():
            who.phone = phone
            if who.id is None or self.present.people[who.id].phone_hash == self.vault.hash(phone):
                continue
            self.result.updates[Person][who.id]["phone"] = phone
            known = bool(self.present.people[who.id].phone_hash)
            key = "roster.change.phone" if known else "roster.change.phone_new"
            self.result.changes.append(Say(key, who=who.name, phone=masked(phone)))

    # --- who leaves, and where cars stand ---

    def _end(self) -> None:
        for address in self.roster.homes:
            home = self.present.homes.get(address)
            ties = self.present.ties.get(home.id, []) if home is not None else []
            gone = [tie for tie in ties if tie.id not in self.kept]
            sold = self._is_sold(ties)
            for tie in gone:
                if tie.from_roster or sold:
                    self._ends(address, tie)
                elif address in self.speakers:
                    what = Say("roster.change.represents_not")
                    words = Say("roster.change.tie", where=address.say(), who=self._named(tie), what=what)
                    self._change(HomeRole, tie, words, represents=False)
        left = {tie.person_id for tie in self.result.ended} - self._staying()
        self.result.left = sorted(left)

    def _is_sold(self, ties: Sequence[Row[Any]]) -> bool:
        """Whether all owners whom the roster named have gone; a developer's buyer may have been let in before."""
        owners = [tie for tie in ties if tie.role == "owner" and tie.from_roster]
        people = [self.present.people.get(tie.person_id) for tie in owners]
        by_developer = all(person is not None and person.is_developer for person in people)
        return bool(owners) and not by_developer and not any(tie.id in self.kept for tie in owners)

    def _ends(self, address: Address, tie: Row[Any]) -> None:
        self.result.ended.append(tie)
        role = Say(f"roster.role.{tie.role}")
        self.result.changes.append(
            Say("roster.change.ended", where=address.say(), who=self._named(tie), role=role)
        )

    def _named(self, tie: Row[Any]) -> Any:
        person = self.present.people.get(tie.person_id)
        return (person is not None and person.name) or _FORGOTTEN

    def _staying(self) -> set[int]:
        """Who has a home or work here when all is done."""
        ended = {tie.id for tie in self.result.ended}
        staying = {
            tie.person_id for ties in self.present.ties.values() for tie in ties if tie.id not in ended
        }
        staying |= {row.person_id for row in self.present.work}
        new = (who for _, who, _ in self.result.ties), (who for who, _ in self.result.work)
        return staying | {who.id for several in new for who in several if who.id is not None}

    def _parking(self) -> None:
        if "parking" not in self.roster.columns:
            return
        wanted = {number: home.address for home in self.roster.homes.values() for number in home.parking}
        addresses = {row.id: address for address, row in self.present.homes.items()}
        for number, address in wanted.items():
            if number not in self.present.parking:
                self.result.parking.append((number, address))
        for number, row in self.present.parking.items():
            before = addresses.get(row.home_id)
            after = wanted.get(number)
            if after != before and (after is not None or before in self.roster.homes):
                self.result.updates[Parking][row.id]["home_id"] = after
                facts = {"was": _where(before), "now": _where(after)}
                self.result.changes.append(Say("roster.change.parking", number=number, **facts))

    def _unknown_buildings(self) -> None:
        known = {address.building for address in (*self.present.homes, *self.roster.homes)}
        for line in self.roster.lines:
            unknown = [building for building in line.buildings if building not in known]
            if unknown:
                self.result.remarks.append(
                    Say("roster.remark.building", row=line.row, name=line.name, buildings=unknown)
                )


_FORGOTTEN = Say("roster.forgotten")


def _where(address: Address | None) -> Say:
    return address.say() if address is not None else Say("roster.nowhere")


def square_metres(area: int) -> str:
    """An area as people write it: 89.35."""
    return f"{(Decimal(area) / 1000).normalize():f}"


def _people_of(lines: list[Line]) -> list[list[Line]]:
    """The lines of each person: those of one number, of one row and name, or of one name and telephone number."""
    leaders = list(range(len(lines)))
    first: dict[tuple[object, ...], int] = {}

    def leader(at: int) -> int:
        while leaders[at] != at:
            leaders[at] = at = leaders[leaders[at]]
        return at

    for at, line in enumerate(lines):
        for key in _marks_of(line):
            low, high = sorted((leader(at), leader(first.setdefault(key, at))))
            leaders[high] = low
    people: dict[int, list[Line]] = defaultdict(list)
    for at, line in enumerate(lines):
        people[leader(at)].append(line)
    return list(people.values())


def _marks_of(line: Line) -> Iterator[tuple[object, ...]]:
    yield "row", line.row, line.name
    if line.number:
        yield "number", line.number
    if line.phone:
        yield "phone", line.name, line.phone
    if line.is_developer:
        yield "developer", line.name


# --- the change -------------------------------------------------------------------------------------


def apply(tx: Tx, plan: Plan, progress: Progress = lambda done, total: None) -> None:
    """Do what was planned in this very transaction."""
    _Writing(tx, plan, progress).write()


class _Writing:
    def __init__(self, tx: Tx, plan: Plan, progress: Progress) -> None:
        self.tx = tx
        self.plan = plan
        self.progress = progress
        self.done = 0
        new: tuple[Sequence[Any], ...] = (
            plan.homes,
            plan.people,
            plan.ties,
            plan.work,
            plan.parking,
            plan.ended,
        )
        self.total = sum(len(rows) for rows in new) + sum(len(rows) for rows in plan.updates.values())

    def write(self) -> None:
        plan, community = self.plan, {"community_id": self.plan.community_id}
        self._insert_homes()
        self._insert_people()
        self._delete_ended()
        self._insert(
            HomeRole,
            (
                {**community, "home_id": plan.home_ids[at], "person_id": who.id, **rest}
                for at, who, rest in plan.ties
            ),
        )
        self._insert(Role, ({**community, "person_id": who.id, **rest} for who, rest in plan.work))
        self._insert(
            Parking,
            ({**community, "number": number, "home_id": plan.home_ids[at]} for number, at in plan.parking),
        )
        for table, rows in plan.updates.items():
            self._update(table, rows)
        self._end_rights()
        self._forget_loaded()

    def _insert_homes(self) -> None:
        homes = Home.__table__.c  # type: ignore[attr-defined]
        statement = insert(Home).returning(homes.id, homes.building, homes.entrance, homes.room)
        for batch in self._batches(self.plan.homes):
            rows = [
                {
                    "community_id": self.plan.community_id,
                    **home.address._asdict(),
                    "area": home.area,
                    "status": home.status or "delivered",
                }
                for home in batch
            ]
            for row in self._run(statement, rows):
                self.plan.home_ids[Address(row.building, row.entrance, row.room)] = row.id

    def _insert_people(self) -> None:
        people, vault = Person.__table__.c, self.tx.house.vault  # type: ignore[attr-defined]
        language = self.tx.community(self.plan.community_id).language
        statement = insert(Person).returning(people.id, people.pseudonym)
        for batch in self._batches(self.plan.people):
            named = {secrets.randbits(62): who for who in batch}
            rows = [
                {
                    "community_id": self.plan.community_id,
                    "name": who.name,
                    "name_hash": "",
                    "phone": vault.seal(who.phone),
                    "phone_hash": vault.hash(who.phone),
                    "is_developer": who.is_developer,
                    "language": language,
                    "pseudonym": pseudonym,
                    "created_at": self.tx.now,
                }
                for pseudonym, who in named.items()
            ]
            for row in self._run(statement, rows):
                named[row.pseudonym].id = row.id

    def _delete_ended(self) -> None:
        for batch in self._batches([row.id for row in self.plan.ended]):
            self._run(delete(HomeRole).where(col(HomeRole.id).in_(batch)))

    def _insert(self, table: type[SQLModel], rows: Iterable[dict[str, Any]]) -> None:
        for batch in self._batches(list(rows)):
            self._run(insert(table), list(batch))

    def _update(self, table: type[SQLModel], rows: dict[int, dict[str, Any]]) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for id_, values in rows.items():
            ready = self._ready(table, values)
            alike[tuple(sorted(ready))].append(
                {f"new_{name}": value for name, value in ready.items()} | {"row": id_}
            )
        columns = table.__table__.c  # type: ignore[attr-defined]
        for names, several in alike.items():
            new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            statement = update(table).where(columns.id == bindparam("row")).values(new)
            for batch in self._batches(several):
                self._run(statement, list(batch))

    def _ready(self, table: type[SQLModel], values: dict[str, Any]) -> dict[str, Any]:
        """The values as the table keeps them."""
        if table is Person and "phone" in values:
            vault, phone = self.tx.house.vault, values["phone"]
            return {**values, "phone": vault.seal(phone), "phone_hash": vault.hash(phone)}
        if table is Parking:
            address = values["home_id"]
            return {"home_id": self.plan.home_ids[address] if address is not None else None}
        return values

    def _end_rights(self) -> None:
        """As `leaving.lost_a_tie`, for many at once: talks, codes and powers of whoever left end."""
        left = set(self.plan.left)
        end_codes(self.tx, self.plan.community_id, sorted(left))
        for batch in _batches(sorted(left)):
            for talk in self.tx.session.scalars(select(Talk).where(col(Talk.person_id).in_(batch))).all():
                end(self.tx, talk)
            self._run(update(Person).where(col(Person.id).in_(batch)).values(left_at=self.tx.now))
        ended = {(row.person_id, row.home_id) for row in self.plan.ended}
        agents = select(Agent.id, Agent.principal_id, Agent.agent_id, Agent.home_id).where(  # type: ignore[call-overload]
            col(Agent.community_id) == self.plan.community_id, col(Agent.revoked_at).is_(None)
        )
        over = [
            row.id
            for row in self._run(agents)
            if (row.principal_id, row.home_id) in ended or {row.principal_id, row.agent_id} & left
        ]
        for batch in _batches(over):
            self._run(update(Agent).where(col(Agent.id).in_(batch)).values(revoked_at=self.tx.now))
            ended_powers = select(Agent).where(col(Agent.id).in_(batch)).order_by(col(Agent.id))
            proxies.revoked(self.tx, self.tx.session.scalars(ended_powers).all())

    def _forget_loaded(self) -> None:
        """What this session has read of these rows is old."""
        self.tx.known.clear()
        changed = self.plan.updates.get(Person, {})
        for row in list(self.tx.session.identity_map.values()):
            if isinstance(row, Home | HomeRole | Role | Parking | Code | Agent) or (
                isinstance(row, Person) and row.id in changed
            ):
                self.tx.session.expire(row)

    def _run(self, statement: Any, rows: list[dict[str, Any]] | None = None) -> Any:
        return self.tx.session.connection().execute(statement, rows)

    def _batches(self, rows: Sequence[T]) -> Iterator[Sequence[T]]:
        for batch in _batches(rows):
            yield batch
            self.done += len(batch)
            self.progress(self.done, self.total)


def _batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
