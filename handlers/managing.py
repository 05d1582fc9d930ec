"""Managers: who is called, with the numbers to telephone, when nobody of the crew answers an emergency."""

from conversations.errors import Refused
from conversations.paging import MANAGE
from handlers import crew
from handlers.actions import action
from handlers.addresses import one_named
from handlers.homes import tell_code
from handlers.people import accounts_of, roles_of
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import reader_of, tell
from handlers.tx import Tx
from store.tables import Person, Role

know(Known(MANAGE, no_facts, crew.heard))


@action("manager.list", button=True, stays=True)
def list_managers(tx: Tx, person: Person) -> None:
    """The managers, and what staff can change."""
    crew.show_holders(tx, person, "manager")


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
        crew.show_holders(tx, person, "manager", lead=reader.say("manager.already", name=manager.name))
        return
    tx.session.add(Role(community_id=manager.community_id, person_id=manager.id, role="manager"))
    tx.session.flush()
    tx.known.clear()
    if accounts_of(tx, manager):
        tell(tx, manager, "manager.you_are", buttons=("help",))
        crew.show_holders(tx, person, "manager", lead=reader.say("manager.added", name=manager.name))
    else:
        crew.show_holders(
            tx, person, "manager", lead=reader.say("manager.added_unreached", name=manager.name)
        )
        tell_code(tx, person, manager)
