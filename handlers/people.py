"""People: who is who in a community, what they do there, and who is on duty."""

import secrets
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, or_, select

from handlers.tx import Tx
from store.tables import Account, Agent, Community, Complaint, Home, HomeRole, Joiner, Person, Place, Role


def roles_of(tx: Tx, person: Person) -> set[str]:
    """The person's work: staff, crew, committee, manager."""
    roles = select(Role.role).where(Role.person_id == person.id)
    return tx.once("roles", person.id, lambda: set(tx.session.exec(roles)))


def is_resident(tx: Tx, person: Person) -> bool:
    """Whether the person owns a home, rents one or lives in one."""
    return bool(homes_of(tx, person))


def is_guest(tx: Tx, person: Person) -> bool:
    """Whether nothing ties the person to the community: not let in yet, or gone."""
    return not is_resident(tx, person) and not roles_of(tx, person)


def ties_of(tx: Tx, home: Home) -> list[tuple[Person, HomeRole]]:
    """Everybody of a home: owners (the one who represents them first), then tenants and family."""
    ties = (
        select(Person, HomeRole)
        .join(HomeRole, col(HomeRole.person_id) == col(Person.id))
        .where(HomeRole.home_id == home.id)
        .order_by(col(HomeRole.role) != "owner", col(HomeRole.represents).desc(), col(HomeRole.id))
    )
    return list(tx.session.exec(ties))


def owns(tx: Tx, person: Person) -> bool:
    """Whether the person owns a home."""
    owned = select(HomeRole.id).where(HomeRole.person_id == person.id, HomeRole.role == "owner")
    return tx.session.exec(owned.limit(1)).first() is not None


def homes_of(tx: Tx, person: Person) -> list[Home]:
    """The person's homes, in the order of their addresses."""
    homes = (
        select(Home)
        .join(HomeRole, col(HomeRole.home_id) == col(Home.id))
        .where(HomeRole.person_id == person.id)
        .order_by(col(Home.building), col(Home.entrance), col(Home.room))
    )
    return tx.once("homes", person.id, lambda: list(tx.session.exec(homes)))


def lives_in(tx: Tx, person: Person, building: str) -> bool:
    """Whether the person owns a home in a building, rents one or lives in one."""
    return any(home.building == building for home in homes_of(tx, person))


def joiner_of(tx: Tx, complaint: Complaint, person: Person) -> Joiner | None:
    """Somebody's row as one who says the same."""
    theirs = select(Joiner).where(Joiner.complaint_id == complaint.id, Joiner.person_id == person.id)
    return tx.session.exec(theirs).first()


def buildings_of(tx: Tx, community_id: int) -> list[str]:
    """The community's buildings, 2 before 10."""
    names = select(Home.building).where(Home.community_id == community_id).distinct()
    return tx.once("buildings", community_id, lambda: sorted(tx.session.exec(names), key=numbers_as_numbers))


def numbers_as_numbers(name: str) -> tuple[bool, int, str]:
    """How names of buildings, entrances and rooms are sorted: 2 before 10, and words last."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def holding(tx: Tx) -> tuple[Any, ...]:
    """What tells the agents whose power holds now."""
    return (
        col(Agent.revoked_at).is_(None),
        col(Agent.starts_at) <= tx.now,
        or_(col(Agent.ends_at).is_(None), col(Agent.ends_at) > tx.now),
    )


def crew_of(tx: Tx, community_id: int) -> list[tuple[Person, Role]]:
    """The whole repair crew with what each can do and when."""
    return list(
        tx.session.exec(
            select(Person, Role)
            .join(Role, col(Role.person_id) == col(Person.id))
            .where(Role.community_id == community_id, Role.role == "crew")
            .order_by(col(Person.id))
        )
    )


def works(tx: Tx, person: Person) -> bool:
    """Whether the person takes repairs in hand: the crew, and managers."""
    return bool(roles_of(tx, person) & {"crew", "manager"})


def managers_of(tx: Tx, community_id: int) -> list[Person]:
    """The managers: who is called when nobody of the crew answers, and told of what is long overdue."""
    return _with_role(tx, community_id, "manager")


def committee_of(tx: Tx, community_id: int) -> list[Person]:
    """The members of the owners' committee."""
    return _with_role(tx, community_id, "committee")


def _with_role(tx: Tx, community_id: int, role: str) -> list[Person]:
    people = (
        select(Person)
        .join(Role, col(Role.person_id) == col(Person.id))
        .where(Role.community_id == community_id, Role.role == role, Person.name != "")
        .order_by(col(Person.id))
    )
    return list(tx.session.exec(people))


def on_duty(tx: Tx, community_id: int, kind: str, building: str = "") -> list[Person]:
    """The crew whose hours it is and who do this kind in this building; without such, whoever's hours it is."""
    present = [(person, role) for person, role in crew_of(tx, community_id) if is_on_duty(tx, role)]
    return [person for person, _ in best_for(present, kind, building)]


def present(tx: Tx, community_id: int) -> list[Person]:
    """The crew whose hours it is, whatever they do and wherever."""
    return [person for person, role in crew_of(tx, community_id) if is_on_duty(tx, role)]


def is_on_duty(tx: Tx, role: Role) -> bool:
    """Whether it is the hour of somebody with this role."""
    return duty(role.duty, tx.now, ZoneInfo(tx.community(role.community_id).time_zone))


def best_for(crew: list[tuple[Person, Role]], kind: str, building: str) -> list[tuple[Person, Role]]:
    """Of a crew those who do this kind in this building; without such, who do this kind; else all of them."""
    able = [each for each in crew if can_do(each[1], kind)]
    return [each for each in able if serves(each[1], building)] or able or crew


def can_do(role: Role, kind: str) -> bool:
    """Whether somebody with this role can do a kind of repair; no skills named: all kinds."""
    return not role.skills or kind in role.skills


def serves(role: Role, building: str) -> bool:
    """Whether somebody with this role is there for a building; no buildings named: all; "": not known which."""
    return not role.buildings or not building or building in role.buildings


def duty(hours: str, now: datetime, zone: ZoneInfo) -> bool:
    """Whether `now` lies in "08:00-20:00" of the zone; hours may pass midnight; empty: always."""
    if not hours:
        return True
    start, end = (time.fromisoformat(part) for part in hours.split("-"))
    at = now.astimezone(zone).time()
    return start <= at < end if start < end else at >= start or at < end


def new_person(tx: Tx, community_id: int, name: str) -> Person:
    """Somebody whom the community did not know."""
    person = Person(
        community_id=community_id,
        name=name,
        language=tx.community(community_id).language,
        pseudonym=secrets.randbits(62),
        created_at=tx.now,
    )
    tx.session.add(person)
    tx.session.flush()
    return person


def add_account(tx: Tx, person: Person, messenger: str, external_id: str, *, agreed: bool = False) -> Account:
    """Let an account of a messenger be this person, who has `agreed` to what is stored or is asked when they write."""
    account = Account(
        community_id=person.community_id,
        person_id=person.id,
        messenger=messenger,
        external_id=external_id,
        agreed_at=tx.now if agreed else None,
    )
    tx.session.add(account)
    return account


def accounts_of(tx: Tx, person: Person) -> list[Account]:
    """The person's accounts, the oldest first."""
    accounts = select(Account).where(Account.person_id == person.id).order_by(col(Account.id))
    return list(tx.session.exec(accounts))


def communities_of(tx: Tx) -> list[tuple[Account, Community]]:
    """The communities in which the sender's account is known, each with its row there."""
    account = tx.account
    if account is None:
        return []
    known = (
        select(Account, Community)
        .join(Community, col(Community.id) == col(Account.community_id))
        .where(Account.messenger == account.messenger, Account.external_id == account.external_id)
        .order_by(col(Account.id))
    )
    return tx.once("communities", account.id, lambda: list(tx.session.exec(known)))


def speak_as(tx: Tx, account: Account) -> Person:
    """From now on the holder of this private chat speaks as who they are in another of their communities."""
    person = tx.session.get_one(Person, account.person_id)
    if tx.place is not None and tx.place.kind == "private":
        tx.place.person_id, tx.place.community_id = person.id, person.community_id
        tx.session.add(tx.place)
        tx.session.flush()
    tx.person, tx.account, tx.talk = person, account, None
    return person


def bind_account(
    tx: Tx, person: Person, messenger: str, external_id: str, *, agreed: bool = False
) -> Account:
    """Let an account of a messenger be this person, with a private chat of the same name."""
    account = add_account(tx, person, messenger, external_id, agreed=agreed)
    # Somebody who wrote before they were known has a chat already.
    place = tx.session.exec(
        select(Place).where(Place.messenger == messenger, Place.external_id == external_id)
    ).first() or Place(messenger=messenger, external_id=external_id)
    place.person_id, place.community_id = person.id, person.community_id
    tx.session.add(place)
    tx.session.flush()
    return account
