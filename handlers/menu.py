"""What one can do here: help for each role, one's own matters, the language, the community, and reading on."""

from conversations.words import LANGUAGES, named_language
from handlers import (  # noqa: F401  whose actions the commands name
    admin_group,
    announcement_doors,
    announcement_lists,
    announcements,
    appointing,
    audit,
    board,
    board_chat,
    board_entries,
    canvass,
    complaint_answers,
    complaint_clock,
    complaint_readers,
    crew,
    disclosures,
    equipment,
    equipment_file,
    figures,
    homes,
    incidents,
    joining,
    letters,
    listing_letters,
    listings,
    managing,
    my,
    my_board,
    my_matters,
    office_silence,
    openings,
    overdue,
    paper,
    pausing,
    polls,
    posts,
    preferences,
    price,
    privacy,
    progress,
    purchases,
    repair,
    repair_lists,
    review,
    rules,
    rulings,
    spots,
    times,
    urging,
    vote_cards,
    waiting,
    waiting_matters,
    work,
)
from handlers.actions import action
from handlers.greeting import greet
from handlers.people import communities_of, speak_as
from handlers.talk import here
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.tables import Account, Person, Rest

COMMANDS = {
    "help": "help",
    "thanks": "thanks",
    "my": "my",
    "repair": "repair.start",
    "purchase": "purchase.start",
    "purchases": "purchases",
    "tickets": "repair.open",
    "language": "language",
    "link": "link",
    "join": "join",
    "community": "communities",
    "home": "home.find",
    "crew": "crew.list",
    "committee": "committee.list",
    "manager": "manager.list",
    "audit": "audit",
    "canvass": "canvass",
    "agents": "agents",
    "mydata": "mydata",
    "forget": "forget",
    "roster": "roster.explain",
    "papers": "papers",
    "votes": "votes",
    "poll": "poll.start",
    "incidents": "incident.list",
    "equipment": "equipment",
    "spots": "spots",
    "overdue": "overdue",
    "times": "times",
    "figures": "figures",
    "waiting": "waiting",
    "rulings": "ruling.list",
    "rules": "rules",
    "board": "board",
    "public": "public",
    "sell": "listing.start",
    "complain": "complaint.start",
    "notify": "notify",
    "mute": "mute",
    "unmute": "quiet.end",
    "notice": "announcement.start",
    "notices": "announcement.list",
    "disclosures": "disclosures",
}
FOR_STAFF = (
    "waiting",
    "repair.open",
    "announcement.list",
    "incident.list",
    "overdue",
    "figures",
    "ruling.list",
    "rules",
    "purchases",
    "votes",
    "public",
    "board",
    "home.find",
    "crew.list",
    "committee.list",
    "manager.list",
    "roster.explain",
    "equipment",
    "spots",
    "canvass",
    "audit",
    "link",
)
IN_GROUP = {"repair": "home.find", "purchase": "purchases"}
"""What a command means in the admin group, where staff speak for others."""


@action("help", button=True, stays=True)
def help_(tx: Tx, person: Person) -> None:
    """Show each role just what it can do, and what waits for it."""
    if tx.place is not None and tx.place.kind == "staff":
        tell(tx, tx.place, "help.staff", buttons=FOR_STAFF)
    else:
        greet(tx, person)


@action("thanks")
def thanks(tx: Tx, person: Person) -> None:
    """Courtesy is answered; among colleagues it is not ours."""
    if tx.place is None or tx.place.kind != "staff":
        tell(tx, person, "thanks.answer")


@action("language", button=True, stays=True)
def language(tx: Tx, person: Person) -> None:
    """Go on in the language that was named, else in the next one."""
    position = LANGUAGES.index(person.language) if person.language in LANGUAGES else 0
    named = named_language(tx.said.text) if tx.said is not None else ""
    person.language = named or LANGUAGES[(position + 1) % len(LANGUAGES)]
    tx.session.add(person)
    tell(tx, here(tx, person), "language.changed", buttons=("help", "language"))


@action("communities", button=True, stays=True)
def choose_community(tx: Tx, person: Person) -> None:
    """Let somebody of several communities choose the one they speak of from now on."""
    theirs = communities_of(tx)
    name = tx.community(person.community_id).name
    if len(theirs) < 2:
        tell(tx, person, "community.only", name=name)
        return
    buttons = [Button(f"community.enter:{account.id}", label=each.name[:40]) for account, each in theirs[:20]]
    tell(tx, person, "community.which", name=name, buttons=buttons)


@action("community.enter", Account, button=True, stays=True, abroad=True)
def enter_community(tx: Tx, person: Person, account: Account) -> None:
    """From now on the sender speaks of this community."""
    there = speak_as(tx, account)
    if account.agreed_at is None:
        joining.ask_consent(tx, there)
    else:
        greet(tx, there)


@action("rest.show", Rest, button=True, stays=True)
def show_rest(tx: Tx, person: Person, rest: Rest) -> None:
    """The rest of a text that did not fit into one message; of what was published, in one's own chat."""
    in_public = tx.place is not None and tx.place.kind == "board"
    tell(tx, person if in_public else here(tx, person), "rest.text", text=rest.text)
