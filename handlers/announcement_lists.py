"""Notices looked at: the card with its numbers, all of one with its editions, and the last ones."""

import re

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.words import Say, normal
from handlers.actions import action, perform
from handlers.announcement_cards import (
    OUT,
    about,
    audience_words,
    board_facts,
    brief,
    edition_of,
    editions_of,
    files_of,
    is_for_all,
    is_reader,
    read_buttons,
    staff_buttons,
    staff_card,
    state,
)
from handlers.rights import may, staff
from handlers.talk import here
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from store.tables import Announcement, Person

NUMBERED = re.compile(r"(?:看|查看)?\s*(?:通知|notice)\s*(?:no\.?|#|号)?\s*([0-9]{1,9})", re.ASCII)
MOST_LISTED = 12
"""Notices in a list; the earlier ones stand on the public page."""


@action("announcement.card", Announcement, button=True, stays=True)
def show_card(tx: Tx, person: Person, made: Announcement) -> None:
    """Its card with the present counts, where the group speaks now."""
    staff_card(tx, made, anew=True)


@action("announcement.show", Announcement, button=True, stays=True)
def show(tx: Tx, person: Person, made: Announcement) -> None:
    """All of it, with every edition that there was."""
    to = here(tx, person)
    reader = reader_of(tx, to)
    earlier = [each for each in editions_of(tx, made) if each.version < made.version]
    lines = [
        reader.say("announcement.edition_line", version=each.version, at=each.at, text=each.text)
        for each in reversed(earlier)
    ]
    in_group = tx.place is not None and tx.place.kind == "staff"
    reads = not in_group and is_reader(tx, person, made)
    tell(
        tx,
        to,
        "announcement.shown",
        last=f"shown_{about(made)}",
        buttons=staff_buttons(made)[:-1] if in_group else read_buttons(made) if reads else (),
        photos=files_of(tx, edition_of(tx, made)),
        state=state(made),
        audience=audience_words(made.audience),
        editions=Say("announcement.editions_mark", list="\n\n".join(lines)) if lines else "",
        **board_facts(tx, made),
    )


def number_named(text: str) -> int | None:
    """The number in "通知 12"."""
    found = NUMBERED.fullmatch(normal(text))
    return int(found[1]) if found is not None else None


def show_numbered(tx: Tx, person: Person, number: int) -> None:
    """Show the notice of a number, as its button does."""
    named = select(Announcement).where(
        Announcement.community_id == person.community_id, Announcement.number == number
    )
    made = tx.session.exec(named).first()
    shown = "announcement.card" if staff(tx, person, None) else "announcement.show"
    if made is None or may(tx, person, shown, made) is None:
        raise Refused("announcement.unknown", number=number)
    perform(tx, person, f"{shown}:{made.id}")


@action("announcement.list", button=True, stays=True)
def show_all(tx: Tx, person: Person) -> None:
    """The last notices: for staff all of them, for others what they have got."""
    to, in_group = here(tx, person), staff(tx, person, None)
    rows = select(Announcement).where(Announcement.community_id == person.community_id)
    if not in_group:
        rows = rows.where(col(Announcement.state).in_(OUT))
    found = [
        each
        for each in tx.session.exec(rows.order_by(col(Announcement.id).desc()).limit(5 * MOST_LISTED))
        if in_group or is_for_all(each.audience) or is_reader(tx, person, each)
    ][:MOST_LISTED]
    reader = reader_of(tx, to)
    lines = [
        reader.say(
            "announcement.line",
            number=each.number,
            title=brief(tx, each),
            state=state(each),
            topic=Say("announcement.topic_mark", topic=Say(f"announcement.topic.{each.topic}"))
            if each.topic
            else "",
        )
        for each in found
    ]
    opens = "announcement.card" if in_group else "announcement.show"
    buttons: list[Button | str] = [
        Button(f"{opens}:{each.id}", "announcement.open", number=each.number) for each in found
    ]
    tell(
        tx,
        to,
        "announcement.list" if lines else "announcement.list_none",
        list="\n".join(lines),
        buttons=[*buttons, "disclosures", *(["announcement.start"] if in_group else [])],
    )
