"""The end of a repair: its owner confirms and rates it, or says that it is not repaired; silence confirms, too."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlmodel import select

from conversations.errors import Refused
from conversations.said import File
from conversations.words import Say
from conversations.work import PRAISE, REOPEN, WRONG
from handlers import judge
from handlers.actions import action, perform
from handlers.assigning import assign, deadline_for, set_deadline
from handlers.paging import danger_about, ring
from handlers.people import can_do, crew_of, works
from handlers.policy import policy_of
from handlers.repair_cards import (
    add_event,
    add_words,
    brief,
    can_be_reached,
    events,
    must_be,
    owner_buttons,
    private,
    refresh,
    show_card,
    staff_card,
    stars,
    tell_followers,
    tell_owner,
)
from handlers.talk import Known, end, end_about, know, no_facts, start
from handlers.tell import Button, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Person, Repair, Talk

UNSAID = timedelta(minutes=10)
"""How long who says that it is not repaired has to say what is wrong; then nobody waits for it any more."""
MOST_STARS = 5
GOOD, BAD = 4, 2
"""From how many stars on the crew hears of it, and up to how many the admin group does."""


def still_works(tx: Tx, crew: Person) -> bool:
    """Whether somebody who had a repair is of the crew still, and can be told."""
    return works(tx, crew) and can_be_reached(tx, crew)


def ask_again_later(tx: Tx, repair: Repair) -> datetime:
    """Give its owner time to say whether it is repaired; until when."""
    days = policy_of(tx, repair.community_id).confirm_days
    if repair.incident:  # it has no owner to ask
        return tx.now
    set_timer(tx, repair.community_id, f"repair.silence:{repair.id}", tx.now + timedelta(days=days))
    return tx.now + timedelta(days=days)


# --- it is repaired ---------------------------------------------------------------------------------


@action("repair.silence", Repair)
def silence(tx: Tx, person: None, repair: Repair) -> None:
    """The owner has not said whether it is repaired: ask once more, then take it as repaired."""
    if repair.state != "done":
        return
    finished = [event for event in events(tx, repair) if event.key in ("event.done", "event.reminded")]
    if finished[-1].key == "event.done":
        add_event(tx, repair, "event.reminded", None)
        tell_owner(tx, repair, "repair.remind", until=ask_again_later(tx, repair), what=brief(repair))
        return
    repair.state = "closed"
    add_event(tx, repair, "event.closed_silent", None)
    tell_owner(tx, repair, "repair.closed_silent", what=brief(repair))
    tell_followers(tx, repair, "follow.closed")
    refresh(tx, repair)


@action("repair.confirm", Repair, button=True)
def confirm(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is repaired: the end. They are asked how it was, and may leave it at that."""
    must_be(repair, "done")
    repair.state = "closed"
    stop_timer(tx, f"repair.silence:{repair.id}")
    end_about(tx, f"repair:{repair.id}", REOPEN.name)
    add_event(tx, repair, "event.closed", person)
    tell_owner(tx, repair, "repair.closed", buttons=[*_star_buttons(repair), *owner_buttons(repair)])
    tell_followers(tx, repair, "follow.closed")
    refresh(tx, repair)


def _star_buttons(repair: Repair) -> list[Button]:
    """The best first; each is typed by its number of stars."""
    return [
        Button(f"repair.stars{count}:{repair.id}", number=repair.number, typed=str(count))
        for count in range(MOST_STARS, 0, -1)
    ]


def _rating(count: int) -> Callable[[Tx, Person, Repair], None]:
    def rate(tx: Tx, person: Person, repair: Repair) -> None:
        """The owner says how it was: the crew hears of what was good, the admin group of what was bad."""
        must_be(repair, "closed")
        new, repair.stars = repair.stars != count, count
        tell_owner(
            tx,
            repair,
            "repair.rated",
            stars=stars(count),
            buttons=[Button(f"repair.praise:{repair.id}", number=repair.number), *owner_buttons(repair)],
        )
        refresh(tx, repair)
        if new:
            _tell_of_rating(tx, repair)

    return rate


for each in range(1, MOST_STARS + 1):
    action(f"repair.stars{each}", Repair, button=True)(_rating(each))


def _tell_of_rating(tx: Tx, repair: Repair) -> None:
    given = repair.stars or 0
    crew = tx.session.get(Person, repair.crew_id) if repair.crew_id is not None else None
    if given >= GOOD and crew is not None and still_works(tx, crew):
        words = Say("work.praise_mark", words=repair.praise) if repair.praise else ""
        tell(tx, crew, "work.rated", number=repair.number, stars=stars(given), words=words)
    elif 0 < given <= BAD:
        staff_card(tx, repair, key="work.rated_staff", anew=True)


@action("repair.praise", Repair, button=True, stays=True)
def praise(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner wants to say a word more of how it was."""
    must_be(repair, "closed")
    start(tx, person, PRAISE.name, about=f"repair:{repair.id}")


@action("repair.praised", Repair)
def praised(tx: Tx, person: Person, repair: Repair, words: str) -> None:
    """What they say of it goes where their stars went, and onto the admin group's card."""
    must_be(repair, "closed")
    repair.praise = words
    tell_owner(tx, repair, "repair.praised")
    refresh(tx, repair)
    _tell_of_rating(tx, repair)


# --- it is not repaired -----------------------------------------------------------------------------


@action("repair.dispute", Repair, button=True, stays=True)
def dispute(tx: Tx, person: Person, repair: Repair) -> None:
    """It is not repaired: the first time it is open again at once, and what is wrong is asked afterwards."""
    must_be(repair, "done", "closed")
    if repair.incident:  # it is the office that says when it is over
        raise Refused("incident.over", number=repair.number)
    if repair.reopened:
        start(tx, person, REOPEN.name, about=f"repair:{repair.id}")
    else:
        reopen(tx, person, repair, "")
        if person.id != repair.person_id:  # a neighbour can write to the crew
            return
        start(tx, person, WRONG.name, about=f"repair:{repair.id}")
    set_timer(tx, repair.community_id, f"repair.disputed:{repair.id}", tx.now + UNSAID)


@action("repair.disputed", Repair)
def disputed(tx: Tx, person: None, repair: Repair) -> None:
    """What is wrong was asked and not said: it counts as not repaired all the same."""
    about = f"repair:{repair.id}"
    end_about(tx, about, WRONG.name)
    for talk in tx.session.exec(select(Talk).where(Talk.script == REOPEN.name, Talk.about == about)).all():
        owner = tx.session.get_one(Person, talk.person_id)
        end(tx, talk)
        reopen_without_words(tx, owner, talk)


@action("repair.explain", Repair)
def explain(tx: Tx, person: Person, repair: Repair, why: str | None = None) -> None:
    """What is still wrong with what is open again already."""
    stop_timer(tx, f"repair.disputed:{repair.id}")
    if why:
        perform(tx, person, f"repair.add:{repair.id}", note=why)
    else:
        tell_owner(tx, repair, "repair.no_more_words")


@action("repair.reopen", Repair)
def reopen(tx: Tx, person: Person, repair: Repair, why: str) -> None:
    """Back to the crew with a new deadline; an emergency, or what has become one, is paged.

    The second time another of the crew gets it, if another can do it, and the admin group is told.
    """
    must_be(repair, "done", "closed")
    repair.state, repair.due_at = "waiting", None
    repair.reopened += 1
    repair.stars, repair.praise = None, ""
    for clock in ("silence", "disputed"):
        stop_timer(tx, f"repair.{clock}:{repair.id}")
    end_about(tx, f"repair:{repair.id}", PRAISE.name)
    add_words(repair, why)
    add_event(tx, repair, "event.reopened", person)
    said = {"what": why, "place": repair.place}
    verdict = judge.report(tx, person.community_id, said)
    if verdict.verdict == "urgent":
        repair.urgent, repair.kind, repair.why = (
            True,
            verdict.kind,
            judge.reasons(tx, person.community_id, said),
        )
    tx.session.add(repair)
    tx.session.flush()
    if repair.urgent:
        repair.ring, repair.crew_id = 0, None
        ring(tx, repair)
    else:
        _back_to_crew(tx, repair)
    if repair.reopened > 1:
        staff_card(tx, repair, key="work.reopened_staff", anew=True)
    after = Say("repair.next_due", due=repair.due_at) if repair.due_at else Say("repair.next_urgent")
    tell_owner(tx, repair, "repair.reopened", after=after, **private(tx, repair))
    tell_followers(tx, repair, "follow.reopened", after=after)
    refresh(tx, repair)


def _back_to_crew(tx: Tx, repair: Repair) -> None:
    crew = tx.session.get_one(Person, repair.crew_id) if repair.crew_id is not None else None
    if crew is None or not still_works(tx, crew):
        assign(tx, repair)
    elif repair.reopened > 1 and _others(tx, repair, crew):
        assign(tx, repair, but=crew)
    else:
        set_deadline(tx, repair, deadline_for(tx, repair))
        show_card(tx, repair, crew, key="repair.reopened_crew", anew=True)


def _others(tx: Tx, repair: Repair, crew: Person) -> bool:
    """Whether another of the crew can do it."""
    return any(
        each.id != crew.id and can_do(role, repair.kind) and can_be_reached(tx, each)
        for each, role in crew_of(tx, repair.community_id)
    )


def urgent_in_reopening(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """What is still wrong is dangerous."""
    end(tx, talk)
    danger_about(tx, person, f"repair.reopen{talk.about.removeprefix('repair')}", text, files, why=text)


def urgent_in_words(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """What is still wrong with what is open again already is dangerous."""
    photos = {"files": [file.model_dump() for file in files], "done": True}
    end(tx, talk)
    what = f"repair.add{talk.about.removeprefix('repair')}"
    danger_about(tx, person, what, text, files, photos=photos, note=text)


def reopen_without_words(tx: Tx, person: Person, talk: Talk) -> bool:
    """Take a dispute whose question stays unanswered for what it is: it is not repaired."""
    repair = tx.session.get(Repair, int(talk.about.removeprefix("repair:")))
    if repair is None or repair.state not in ("done", "closed"):
        return False
    reopen(tx, person, repair, "")
    return True


know(Known(REOPEN, no_facts, urgent=urgent_in_reopening, dropped=reopen_without_words))
know(Known(WRONG, no_facts, urgent=urgent_in_words, ends_in_silence=True))
know(Known(PRAISE, no_facts, ends_in_silence=True))
