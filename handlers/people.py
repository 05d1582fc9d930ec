"""People: who is who in a community, what they do there, and who is on duty."""

import secrets
from datetime import datetime, time
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from handlers.tx import Tx
from store.tables import Account, Home, HomeRole, Person, Place, Role


def roles_of(tx: Tx, person: Person) -> set[str]:
    """The person's work: staff, crew."""
    roles = select(Role.role).where(Role.person_id == person.id)
    return tx.once("roles", person.id, lambda: set(tx.session.exec(roles)))


def is_resident(tx: Tx, person: Person) -> bool:
    """Whether the person owns or rents a home."""
    return bool(homes_of(tx, person))


def homes_of(tx: Tx, person: Person) -> list[Home]:
    """The person's homes, in the order of their addresses."""
    homes = (
        select(Home)
        .join(HomeRole, col(HomeRole.home_id) == col(Home.id))
        .where(HomeRole.person_id == person.id)
        .order_by(col(Home.building), col(Home.entrance), col(Home.room))
    )
    return tx.once("homes", person.id, lambda: list(tx.session.exec(homes)))


def buildings_of(tx: Tx, community_id: int) -> list[str]:
    """The community's buildings, 2 before 10."""
    names = select(Home.building).where(Home.community_id == community_id).distinct()
    return tx.once("buildings", community_id, lambda: sorted(tx.session.exec(names), key=_numbers_as_numbers))


def _numbers_as_numbers(name: str) -> tuple[bool, int, str]:
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


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


def on_duty(tx: Tx, community_id: int, kind: str) -> list[Person]:
    """The crew whose hours it is and who can do this kind; without such, whoever's hours it is."""
    zone = ZoneInfo(tx.community(community_id).time_zone)
    present = [(person, role) for person, role in crew_of(tx, community_id) if duty(role.duty, tx.now, zone)]
    skilled = [person for person, role in present if can_do(role, kind)]
    return skilled or [person for person, _ in present]


def can_do(role: Role, kind: str) -> bool:
    """Whether somebody with this role can do a kind of repair; no skills named: all kinds."""
    return not role.skills or kind in role.skills


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


def add_account(tx: Tx, person: Person, messenger: str, external_id: str) -> None:
    """Let an account of a messenger be this person."""
    tx.session.add(
        Account(
            community_id=person.community_id,
            person_id=person.id,
            messenger=messenger,
            external_id=external_id,
        )
    )


def bind_account(tx: Tx, person: Person, messenger: str, external_id: str) -> None:
    """Let an account of a messenger be this person, with a private chat of the same name."""
    add_account(tx, person, messenger, external_id)
    # Somebody who wrote before they were known has a chat already.
    place = tx.session.exec(
        select(Place).where(Place.messenger == messenger, Place.external_id == external_id)
    ).first() or Place(messenger=messenger, external_id=external_id)
    place.person_id, place.community_id = person.id, person.community_id
    tx.session.add(place)
