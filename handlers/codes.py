"""One-time codes: whoever has one may come in as a person, or make a group the community's."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, select

from handlers.people import homes_of, roles_of
from handlers.tx import Tx
from store.tables import Account, Code, Community, Person, Place

# Without letters and digits that are taken for one another.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CLAIM_HOURS = 24
INVITED_HOURS = 24 * 30
LENGTH = 10  # 49 bits, so that guessing is hopeless
# A code is typed alone, or after a command: /start (which a link sends), /claim, /link.
TYPED = re.compile(r"(?:/(?:start|claim|link)\s+)?([0-9A-Za-z]{5}-?[0-9A-Za-z]{5})", re.ASCII)


def new_code(tx: Tx, community_id: int, purpose: str, *, hours: float, person_id: int | None = None) -> str:
    """A new code as people see it, "K7PQ2-9MXTR"; those made before hold until one of them is used."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    tx.session.add(
        Code(
            community_id=community_id,
            purpose=purpose,
            person_id=person_id,
            hash=_hash(code),
            expires_at=tx.now + timedelta(hours=hours),
        )
    )
    tx.session.flush()
    return f"{code[:5]}-{code[5:]}"


def code_in(text: str) -> str:
    """The code that a message consists of, perhaps after a command; empty if it is none."""
    match = TYPED.fullmatch(text.strip())
    return match[1] if match else ""


def find_code(tx: Tx, code: str) -> Code | None:
    """The row of a code, locked, whether it can still be used or not."""
    found = select(Code).where(Code.hash == _hash(code)).with_for_update()
    return tx.session.exec(found).first()


def is_open(tx: Tx, code: Code | None) -> bool:
    """Whether the code can be used now."""
    return code is not None and code.used_at is None and code.expires_at > tx.now


@dataclass(frozen=True)
class Invitation:
    """A code that lets one person in, with what tells them from others of the same name."""

    name: str
    about: str
    code: str


def invitations(tx: Tx, community: Community, name: str, messenger: str) -> list[Invitation]:
    """A new code for everybody of this name (of any name, if it is empty) who is not on the messenger yet."""
    known = select(Account.person_id).where(Account.messenger == messenger)
    people = select(Person).where(Person.community_id == community.id, col(Person.id).not_in(known))
    if name:
        people = people.where(Person.name == name)
    return [
        Invitation(
            person.name,
            _about(tx, person),
            new_code(tx, community.id, "person", hours=INVITED_HOURS, person_id=person.id),
        )
        for person in tx.session.exec(people.order_by(col(Person.id))).all()
    ]


def _about(tx: Tx, person: Person) -> str:
    homes = homes_of(tx, person)
    if homes:
        return f"{homes[0].building}-{homes[0].entrance}-{homes[0].room}"
    return "、".join(sorted(roles_of(tx, person)))


def claim_codes(tx: Tx, messenger: str, *, but: Collection[int]) -> list[tuple[str, str]]:
    """The name of each community without an admin group that takes messages, with a new code that claims one."""
    claimed = select(Place.community_id).where(
        Place.messenger == messenger, Place.kind == "staff", col(Place.blocked_at).is_(None)
    )
    without = select(Community).where(col(Community.id).not_in(claimed), col(Community.id).not_in(but))
    return [
        (community.name, new_code(tx, community.id, "staff", hours=CLAIM_HOURS))
        for community in tx.session.exec(without.order_by(col(Community.id))).all()
    ]


def use_up(tx: Tx, code: Code) -> None:
    """The code has done its work, and so have the others for the same purpose and person."""
    same = select(Code).where(
        Code.community_id == code.community_id,
        Code.purpose == code.purpose,
        Code.person_id == code.person_id,
        col(Code.used_at).is_(None),
    )
    for each in tx.session.exec(same):
        each.used_at = tx.now
        tx.session.add(each)


def _hash(code: str) -> str:
    return hashlib.sha256(code.replace("-", "").upper().encode()).hexdigest()
