"""Codes: one-time ones that let somebody in or make a group the community's, and those of spots, which open nothing."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from conversations.words import Say
from handlers.repair_cards import address
from handlers.tx import Tx
from store.tables import Account, Code, Community, Home, HomeRole, Person, Place, Role, Spot

# Without letters and digits that are taken for one another.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CLAIM_HOURS = 24
INVITED_HOURS = 24 * 30
LENGTH = 10  # 49 bits, so that guessing is hopeless
# A code is typed alone, or after a command: /start (which a link sends), /claim, /link.
TYPED = re.compile(r"(?:/(?:start|claim|link)\s+)?([0-9A-Za-z]{5}-?[0-9A-Za-z]{5})", re.ASCII)
# In the letter that brought it, or written off it with a blank: always in two halves.
QUOTED = re.compile(
    rf"(?<![0-9A-Za-z-])([{ALPHABET}]{{5}})[- ]([{ALPHABET}]{{5}})(?![0-9A-Za-z-])", re.IGNORECASE
)
# The code of a spot hangs on a wall for years and is read out over the telephone: no two of these look or sound alike.
# Seventeen is a prime, so that the last character betrays each wrong one, and any two that changed places.
SPOT_ALPHABET = "2345679AFHKMPRWXY"
SPOT_LENGTH = 5
MIXED = re.compile(r"(?=.*[0-9])(?=.*[A-Z])")
# It is typed after its word, or alone; a link sends it after /start.
SPOT_TYPED = re.compile(r"(/START +|(?:位置码?|SPOT)[ :]*)?([0-9A-Z](?:[ -]?[0-9A-Z]){3,5})", re.ASCII)


def new_code(tx: Tx, community_id: int, purpose: str, *, hours: float, person_id: int | None = None) -> str:
    """A new code as people see it, "K7PQ2-9MXTR"; those made before hold until one of them is used."""
    code = _add_code(tx, community_id, purpose, hours, person_id)
    tx.session.flush()
    return code


def _add_code(tx: Tx, community_id: int, purpose: str, hours: float, person_id: int | None) -> str:
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
    return f"{code[:5]}-{code[5:]}"


def code_in(text: str) -> str:
    """The code that a message consists of, perhaps after a command; empty if it is none."""
    match = TYPED.fullmatch(text.strip())
    return match[1] if match else ""


@dataclass(frozen=True)
class TypedSpot:
    """What may be the code of a spot; `named`: it stood after a word that says so, so that it is meant as one."""

    code: str
    named: bool

    @property
    def is_formed(self) -> bool:
        """Whether it has the form of our codes, right or wrong."""
        return len(self.code) == SPOT_LENGTH and set(self.code) <= set(SPOT_ALPHABET)


def spot_in(text: str) -> TypedSpot | None:
    """The code of a spot of which a message consists, however it was typed; alone it must be without a slip."""
    match = SPOT_TYPED.fullmatch(unicodedata.normalize("NFKC", text).strip().upper())
    if match is None:
        return None
    typed = TypedSpot(re.sub("[ -]", "", match[2]), named=bool(match[1]))
    mixed = MIXED.match(typed.code) is not None
    if typed.named:  # meant as one, even if a slip has left it without a letter: an A read as a 4
        return typed if mixed or typed.is_formed else None
    return typed if mixed and _adds_up(typed) else None


def new_spot_code(tx: Tx) -> str:
    """A code that no spot of any community has."""
    while True:
        code = "".join(secrets.choice(SPOT_ALPHABET) for _ in range(SPOT_LENGTH - 1))
        code += next(each for each in SPOT_ALPHABET if not _sum(code + each))
        taken = select(Spot.id).where(Spot.code == code)
        if MIXED.match(code) and tx.session.exec(taken).first() is None:
            return code


def _adds_up(typed: TypedSpot) -> bool:
    return typed.is_formed and not _sum(typed.code)


def _sum(code: str) -> int:
    """What is 0 for a code without a slip."""
    values = (number * SPOT_ALPHABET.index(each) for number, each in enumerate(code, 1))
    return sum(values) % len(SPOT_ALPHABET)


def code_quoted(text: str) -> str:
    """The one code that stands among other words, as when a whole letter is passed on; empty if there is none."""
    found = {f"{first}-{second}".upper() for first, second in QUOTED.findall(text)}
    with_digit = [code for code in found if any(each.isdigit() for each in code)]
    return with_digit[0] if len(with_digit) == 1 else ""


def find_code(tx: Tx, code: str) -> Code | None:
    """The row of a code, locked, whether it can still be used or not."""
    found = select(Code).where(Code.hash == _hash(code)).with_for_update()
    return tx.session.exec(found).first()


def is_open(tx: Tx, code: Code | None) -> bool:
    """Whether the code can be used now."""
    return code is not None and code.used_at is None and code.expires_at > tx.now


@dataclass(frozen=True)
class Invitation:
    """A code that lets one person in, with what tells them from others of the same name.

    `about` is the home, or else the work, in the community's language; `building` is empty without a home.
    """

    name: str
    about: str
    code: str
    building: str = ""


def invitations(
    tx: Tx, community: Community, name: str, *messengers: str, building: str = "", again: bool = False
) -> list[Invitation]:
    """A new code for everybody of this name who is on none of the messengers yet; the codes they had end.

    Without a name: for everybody with a home or work here who has no open code; `again`: whether they have or not.
    """
    outside = _outside(tx, community, messengers, building)
    if name:
        outside = outside.where(Person.name == name)
    elif not again:
        outside = outside.where(~_is_invited(tx, community))
    people = tx.session.exec(outside.order_by(col(Person.id))).all()
    homes, work = _homes(tx, community, building, people if name else ()), _work(tx, community)
    if not name:  # whoever has moved out is still known, but not asked in
        people = [person for person in people if person.id in homes or person.id in work]
    if name or again:
        end_codes(tx, community.id, [person.id for person in people])
    reader = tx.reader(community.id)
    made = [
        Invitation(
            person.name,
            reader.show(address(homes[person.id]) if person.id in homes else work.get(person.id, [])),
            _add_code(tx, community.id, "person", INVITED_HOURS, person.id),
            homes[person.id].building if person.id in homes else "",
        )
        for person in people
    ]
    tx.session.flush()
    return made


def invitation_of(tx: Tx, person: Person) -> str:
    """A new code for one person; the codes they had end."""
    end_codes(tx, person.community_id, [person.id])
    return new_code(tx, person.community_id, "person", hours=INVITED_HOURS, person_id=person.id)


def withdraw(tx: Tx, made: Sequence[Invitation]) -> None:
    """These invitations were never handed out: their codes open no door."""
    _end(tx, col(Code.hash), [_hash(each.code) for each in made])


def _outside(
    tx: Tx, community: Community, messengers: Collection[str], building: str
) -> SelectOfScalar[Person]:
    """Whoever is on none of these, and lives in the building, if one is named; but nobody who was forgotten."""
    known = select(Account.person_id).where(col(Account.messenger).in_(messengers))
    people = select(Person).where(
        Person.community_id == community.id, Person.name != "", col(Person.id).not_in(known)
    )
    if not building:
        return people
    ties = select(HomeRole.person_id).join(Home, col(Home.id) == col(HomeRole.home_id))
    here = ties.where(Home.community_id == community.id, Home.building == building)
    return people.where(col(Person.id).in_(here))


def _is_invited(tx: Tx, community: Community) -> ColumnElement[bool]:
    """Whether a person has an open invitation."""
    invited = select(Code.person_id).where(
        Code.community_id == community.id,
        col(Code.person_id).is_not(None),
        col(Code.used_at).is_(None),
        Code.expires_at > tx.now,
    )
    return col(Person.id).in_(invited)


def _homes(tx: Tx, community: Community, building: str, people: Sequence[Person]) -> dict[int, Home]:
    """The first home, in the building, if one is named, of each of these people; without such, of everybody."""
    ties = (
        select(HomeRole.person_id, Home)
        .join(Home, col(Home.id) == col(HomeRole.home_id))
        .where(Home.community_id == community.id)
        .order_by(col(Home.building).desc(), col(Home.entrance).desc(), col(Home.room).desc())
    )
    if building:
        ties = ties.where(Home.building == building)
    if people:
        ties = ties.where(col(HomeRole.person_id).in_([person.id for person in people]))
    return dict(tx.session.exec(ties).all())  # of several, the last stays: the first address


def _work(tx: Tx, community: Community) -> dict[int, list[Say]]:
    """What each person does for the community."""
    roles = (
        select(Role.person_id, Role.role).where(Role.community_id == community.id).order_by(col(Role.role))
    )
    work: dict[int, list[Say]] = {}
    for person_id, role in tx.session.exec(roles):
        work.setdefault(person_id, []).append(Say(f"invitation.role.{role}"))
    return work


def end_codes(tx: Tx, community_id: int, people: Sequence[int]) -> None:
    """The letters of these people open no door any more: they are invited again, or have left."""
    _end(tx, col(Code.person_id), people, col(Code.community_id) == community_id)


def _end(tx: Tx, column: Any, values: Sequence[object], *more: ColumnElement[bool]) -> None:
    """The open codes with one of these values are open no more."""
    for start in range(0, len(values), 1000):  # a statement takes only so many values
        these = column.in_(values[start : start + 1000])
        tx.session.exec(update(Code).where(these, col(Code.used_at).is_(None), *more).values(used_at=tx.now))


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
