"""What one can do here: help for each role, one's own matters, the language, and reading on."""

from conversations.words import LANGUAGES
from handlers import repair
from handlers.actions import action
from handlers.people import is_resident, roles_of
from handlers.talk import here
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import Person, Rest

COMMANDS = {
    "help": "help",
    "thanks": "thanks",
    "my": "my",
    "repair": "repair.start",
    "tickets": "repair.open",
    "language": "language",
    "link": "link",
    "roster": "roster",
}


@action("help", button=True, stays=True)
def help_(tx: Tx, person: Person) -> None:
    """Show each role just what it can do."""
    roles = roles_of(tx, person)
    if tx.place is not None and tx.place.kind == "staff":
        tell(tx, tx.place, "help.staff", buttons=("repair.open",))
    elif is_resident(tx, person):
        tell(tx, person, "help.resident", name=person.name, buttons=("repair.start", "my", "language"))
    elif "crew" in roles:
        tell(tx, person, "help.crew", name=person.name, buttons=("repair.open", "language"))
    else:
        tell(tx, person, "help.staff_private", name=person.name, buttons=("repair.open", "language"))


@action("thanks")
def thanks(tx: Tx, person: Person) -> None:
    """Courtesy is answered; among colleagues it is not ours."""
    if tx.place is None or tx.place.kind != "staff":
        tell(tx, person, "thanks.answer")


@action("my", button=True, stays=True)
def my(tx: Tx, person: Person) -> None:
    """One's own matters: what an owner reported, what the crew has to do, what staff have to watch."""
    if is_resident(tx, person) and not (tx.place is not None and tx.place.kind == "staff"):
        repair.mine(tx, person)
    else:
        repair.open_list(tx, person)


@action("language", button=True, stays=True)
def language(tx: Tx, person: Person) -> None:
    """Go on in the next language."""
    position = LANGUAGES.index(person.language) if person.language in LANGUAGES else 0
    person.language = LANGUAGES[(position + 1) % len(LANGUAGES)]
    tx.session.add(person)
    tell(tx, here(tx, person), "language.changed", buttons=("help", "language"))


@action("rest.show", Rest, button=True, stays=True)
def show_rest(tx: Tx, person: Person, rest: Rest) -> None:
    """The rest of a text that did not fit into one message; of what was published, in one's own chat."""
    in_public = tx.place is not None and tx.place.kind == "board"
    tell(tx, person if in_public else here(tx, person), "rest.text", text=rest.text)
