"""Managers: who is called, with the numbers to telephone, when nobody of the crew answers an emergency."""

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.paging import MANAGE
from conversations.words import Say
from handlers import crew
from handlers.actions import action
from handlers.addresses import one_named
from handlers.homes import tell_code
from handlers.people import accounts_of, roles_of
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import Button, distinct, reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Role

MOST_SHOWN = 20

know(Known(MANAGE, no_facts, crew.heard))


@action("manager.list", button=True, stays=True)
def list_managers(tx: Tx, person: Person) -> None:
    """The managers, and what staff can change."""
    _show(tx, person)


def _show(tx: Tx, person: Person, *, lead: str = "") -> None:
    managers = tx.session.exec(
        select(Person, Role)
        .join(Role, col(Role.person_id) == col(Person.id))
        .where(Role.community_id == person.community_id, Role.role == "manager")
        .order_by(col(Role.id))
    ).all()
    reader = reader_of(tx, here(tx, person))
    labels = distinct(
        reader.say("manager.remove", name=each.name[:20] or "—") for each, _ in managers[:MOST_SHOWN]
    )
    tell(
        tx,
        here(tx, person),
        "manager.list",
        lead=lead,
        names=[each.name or Say("person.forgotten") for each, _ in managers] or Say("where.nobody"),
        buttons=[
            *(
                Button(f"crew.remove:{role.id}", label=label)
                for (_, role), label in zip(managers, labels, strict=False)
            ),
            "manager.add",
        ],
    )


@action("manager.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask who is one."""
    start(tx, person, "manage")


@action("manager.added")
def added(tx: Tx, person: Person, who: str) -> None:
    """Somebody is a manager now; whoever is on no messenger yet comes in by a code."""
    manager = one_named(tx, person.community_id, who)
    if manager is None:
        raise Refused("crew.wrong_who")
    reader = reader_of(tx, here(tx, person))
    if "manager" in roles_of(tx, manager):
        _show(tx, person, lead=reader.say("manager.already", name=manager.name))
        return
    tx.session.add(Role(community_id=manager.community_id, person_id=manager.id, role="manager"))
    tx.session.flush()
    tx.known.clear()
    if accounts_of(tx, manager):
        tell(tx, manager, "manager.you_are", buttons=("help",))
        _show(tx, person, lead=reader.say("manager.added", name=manager.name))
    else:
        _show(tx, person, lead=reader.say("manager.added_unreached", name=manager.name))
        tell_code(tx, person, manager)
