"""Rings: whom an emergency calls the next time, and whom to telephone when nobody answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlmodel import col, select

from conversations.words import Reader, Say, unpack
from handlers.people import crew_of, managers_of, on_duty, present
from handlers.phones import number_to_call
from handlers.policy import is_demo, policy_of, rings_in
from handlers.tell import place_of
from handlers.tx import Tx
from store.tables import Event, Person, Repair

MOST_NUMBERS = 12
"""How many people to telephone one message names; what is hidden in it is long, and must not be cut through."""
BEGINS = ("event.reported_urgent", "event.raised", "event.reopened")
CALLED = ("event.paged", "event.paged_again")


@dataclass(frozen=True)
class Ring:
    """Whom one ring calls: those with a chat, and, if by the web hook too, those with a telephone."""

    whom: str = "everybody"
    """duty, present or everybody"""
    people: list[Person] = field(default_factory=list)
    by_phone: list[Person] = field(default_factory=list)
    hook: bool = False

    @property
    def count(self) -> int:
        """How many people it calls, in one way or another."""
        return len({person.id for person in (*self.people, *self.by_phone)})


def next_ring(tx: Tx, repair: Repair, but: Person | None = None) -> Ring:
    """Whom to call now: where a ring reaches nobody, it is the next one's people at once.

    Who has said that they cannot go is called again when nobody else is left; `but` has said so just now.
    """
    rings = rings_in(policy_of(tx, repair.community_id).rings)
    declined = _declined(tx, repair)
    for again in (False, True):
        for whom, by_hook in rings[min(repair.ring, len(rings)) - 1 :]:
            theirs = [
                person
                for person in PEOPLE[whom](tx, repair)
                if (again or person.pseudonym not in declined) and (but is None or person.id != but.id)
            ]
            hook = by_hook and tx.house.hook and not is_demo(tx.session, repair.community_id)
            ring = Ring(
                whom,
                [person for person in theirs if place_of(tx, person) is not None],
                [person for person in theirs if hook and person.phone],
                hook,
            )
            if ring.count:
                return ring
    return Ring()


def _everybody(tx: Tx, repair: Repair) -> list[Person]:
    crew = [person for person, _ in crew_of(tx, repair.community_id)]
    return list({person.id: person for person in (*crew, *managers_of(tx, repair.community_id))}.values())


PEOPLE: dict[str, Callable[[Tx, Repair], list[Person]]] = {
    "duty": lambda tx, repair: on_duty(tx, repair.community_id, repair.kind, repair.building),
    "present": lambda tx, repair: present(tx, repair.community_id),
    "everybody": _everybody,
}


def _declined(tx: Tx, repair: Repair) -> set[int]:
    """The numbers of those who have said that they cannot go, since it began."""
    declined: set[int] = set()
    for event in _events(tx, repair, (*BEGINS, "event.declined")):
        declined = set() if event.key in BEGINS else declined | {event.pseudonym}
    return declined


def _events(tx: Tx, repair: Repair, keys: tuple[str, ...]) -> list[Event]:
    of_repair = select(Event).where(Event.about == f"repair:{repair.id}", col(Event.key).in_(keys))
    return list(tx.session.exec(of_repair.order_by(col(Event.id))))


def last_whom(tx: Tx, repair: Repair) -> str:
    """Whom its last ring called; "" for none that says so."""
    called = _events(tx, repair, CALLED)
    return str(unpack(called[-1].facts).get("whom", "")) if called else ""


def has_declined(tx: Tx, person: Person, repair: Repair) -> bool:
    """Whether somebody has said that they cannot go, since it began."""
    return person.pseudonym in _declined(tx, repair)


def to_call(tx: Tx, repair: Repair, reader: Reader) -> str:
    """Whom to telephone, one a line: who is on duty first, then the others, then the managers.

    The numbers are opened on their way out, and not kept in the message.
    """
    duty = {person.id for person in PEOPLE["duty"](tx, repair)}
    managers = {person.id for person in managers_of(tx, repair.community_id)}
    declined = _declined(tx, repair)
    people = sorted(
        _everybody(tx, repair),
        key=lambda each: (each.pseudonym in declined, each.id not in duty, each.id in managers, each.id),
    )
    lines = [
        reader.say(
            "repair.call_line",
            name=person.name or Say("person.forgotten"),
            manager=Say("repair.manager_mark") if person.id in managers else "",
            declined=Say("repair.cannot_go_mark") if person.pseudonym in declined else "",
            phone=number_to_call(tx, person) or Say("repair.no_phone"),
        )
        for person in people[:MOST_NUMBERS]
    ]
    if len(people) > MOST_NUMBERS:
        lines.append(reader.say("repair.call_more", count=len(people) - MOST_NUMBERS))
    return "\n".join(lines) or reader.say("repair.call_nobody")
