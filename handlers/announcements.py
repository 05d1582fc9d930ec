"""Notices of the property office: written in the admin group, sent now or later, corrected, withdrawn."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from conversations.announcement import (
    ANNOUNCEMENT,
    LONGEST,
    TOPICS,
    USUAL,
    NoSuch,
    places_in,
    settled,
    titled,
)
from conversations.errors import NotNow, Refused, Unclear
from conversations.moments import moment_in
from conversations.said import File
from conversations.steps import Answers, file_problem, taken_in
from conversations.words import LANGUAGES, Say, normal, texts
from handlers.actions import action
from handlers.announcement_cards import (
    TO_COME,
    about,
    audience_of,
    audience_words,
    content,
    content_of,
    count_of,
    is_for_all,
    of_announcement,
    send_copies,
    show_on_board,
    staff_card,
    state,
    tell_here,
)
from handlers.announcement_changes import answers_of, correct_to, must_be, remind_later, write_edition
from handlers.matters import add_event, set_files
from handlers.notices import pin
from handlers.numbers import next_number
from handlers.people import buildings_of, numbers_as_numbers, roles_of
from handlers.rights import staff
from handlers.talk import Known, ask, end_about, here, know, open_talk, start
from handlers.tell import reader_of
from handlers.timers import awake, set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Announcement, Home, Media, Person, Talk

WRITTEN = "%Y-%m-%d %H:%M"
TYPED = re.compile(r"(?:/notice(?:@\w+)?\s+|发通知\s*[:：\s]\s*)(\S.*)", re.IGNORECASE | re.DOTALL)
NUMBER = re.compile(r"\d{1,17}", re.ASCII)
MOST_BUILDINGS = 12
"""How many buildings have a button where is asked for whom it is; the others are written."""
MOST_NAMED = 30
LATE = timedelta(hours=3)
"""So long after its time a notice does not go out by itself any more: what it says of tonight may be past."""
ASKED_AGAIN = timedelta(days=1)
"""How long colleagues have to decide on what somebody planned who has left, until they are asked again."""


# --- the talk ---------------------------------------------------------------------------------------


def _facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What can be chosen: the community's buildings, and when people are likely to send it."""
    reader = reader_of(tx, here(tx, person))

    def places() -> list[tuple[str, str]]:
        names = buildings_of(tx, person.community_id)[:MOST_BUILDINGS]
        shown = [(name, reader.say("where.building", building=name)) for name in names]
        return [("0", reader.say("announcement.everywhere")), *shown]

    def moments() -> list[tuple[str, str]]:
        return [(each, reader.say(f"announcement.at.{each}")) for each in ("now", "tomorrow")]

    return {"places": places, "moments": moments}


def _heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """A setting is turned, a title is read; a place that there is not, or a time that is past, is asked for again."""
    answers = settled(talk.answers) if "sure" in changed else talk.answers
    answers = titled(answers) if "text" in changed else answers
    error: Unclear | None = None
    if "where" in changed:
        error = _wrong_place(tx, talk.community_id, answers["where"])
    if "when" in changed:
        at = _moment(tx, talk.community_id, answers["when"])
        answers = {**answers, "when": at}
        error = error or (Unclear("announcement.no_time") if at is None else None)
    if error is not None:
        answers = {name: answer for name, answer in answers.items() if name not in changed}
    talk.answers = answers
    tx.session.add(talk)
    tx.session.flush()
    if error is not None:
        ask(tx, person, talk, lead=error.key, **error.facts)
    return error is not None


def _wrong_place(tx: Tx, community_id: int, words: str) -> Unclear | None:
    """What to say of a building or an entrance that does not exist; None if all of them do."""
    try:
        places_in(words, entrances_of(tx, community_id))
    except NoSuch as error:
        there = error.there[:MOST_NAMED]
        if error.entrance:
            building = Say("where.building", building=error.building)
            return Unclear(
                "announcement.no_entrance", building=building, entrance=error.entrance, there=there
            )
        return Unclear("announcement.no_building", named=error.building[:20], there=there)
    return None


def entrances_of(tx: Tx, community_id: int) -> dict[str, list[str]]:
    """The community's buildings, each with its entrances, in the order of their numbers."""
    rows = select(Home.building, Home.entrance).where(Home.community_id == community_id).distinct()
    found: dict[str, list[str]] = {each: [] for each in buildings_of(tx, community_id)}
    for building, entrance in sorted(tx.session.exec(rows), key=lambda row: numbers_as_numbers(row[1])):
        if entrance:
            found[building].append(entrance)
    return found


def _moment(tx: Tx, community_id: int, words: str) -> str | None:
    """The time that was written, in one form; empty: at once. None for none, and for one that is past."""
    if normal(words) in [normal(texts(language)["announcement.at.now"]) for language in LANGUAGES]:
        return ""
    zone = ZoneInfo(tx.community(community_id).time_zone)
    found = moment_in(words, tx.now.astimezone(zone))
    return f"{found:{WRITTEN}}" if found is not None and found > tx.now else None


def _of_preview(tx: Tx, talk: Talk) -> dict[str, Any]:
    """What the last look shows: the notice as its readers will see it, whom it reaches, and when."""
    answers, before = talk.answers, of_announcement(tx, talk)
    needed = (
        "text",
        "title",
        *(() if "base" in answers else ("where", "when", "who", "receipt", "urgent", "topic")),
    )
    if any(answers.get(name) is None for name in needed):
        return {}
    made = _drafted(tx, talk.community_id, answers, before)
    version = made.version + 1 if "base" in answers else made.version
    homes, people = count_of(tx, talk.community_id, made.audience)
    return {
        "preview": content(made, answers["title"], answers["text"], version),
        "audience": audience_words(made.audience),
        "homes": homes,
        "people": people,
        "at": _when_words(tx, made, answers),
        "hint": Say("announcement.hint_correction" if "base" in answers else "announcement.hint_new"),
    }


def _drafted(
    tx: Tx, community_id: int, answers: Mapping[str, Any], before: Announcement | None
) -> Announcement:
    """The notice that the answers make, which is not kept; of a correction only its words are new."""
    if before is not None and "base" in answers:
        return before
    try:
        given = _settings(tx, community_id, answers)
    except Unclear:  # the roster has changed since it was written: it reaches nobody, as the last look says
        gone = {**answers, "where": "全小区"}
        given = _settings(tx, community_id, gone)
        given["audience"] = {**given["audience"], "places": [[answers["where"][:20]]]}
    return Announcement(
        community_id=community_id,
        number=before.number if before else 0,
        person_id=0,
        created_at=tx.now,
        **given,
    )


def _settings(tx: Tx, community_id: int, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What was answered about whom it is for and how it goes out, by column. Unclear for a place that has gone."""
    try:
        places = places_in(answers["where"], entrances_of(tx, community_id))
    except NoSuch as error:
        raise Unclear("announcement.no_building", named=error.building, there=error.there) from error
    urgent, topic = answers["urgent"] == "yes", answers["topic"]
    return {
        "audience": {"places": places, "owners": answers["who"] == "owners"},
        "urgent": urgent,
        "receipt": answers["receipt"] == "yes",
        "topic": "" if topic == "none" else topic,
        "send_at": _goes_at(tx, community_id, _at(tx, community_id, answers["when"]), urgent=urgent),
    }


def _at(tx: Tx, community_id: int, written: str) -> datetime:
    """The time that is kept in the answers."""
    zone = ZoneInfo(tx.community(community_id).time_zone)
    return datetime.strptime(written, WRITTEN).replace(tzinfo=zone) if written else tx.now


def _goes_at(tx: Tx, community_id: int, at: datetime, *, urgent: bool) -> datetime:
    """When it goes out: what is not urgent wakes nobody."""
    at = max(at, tx.now)
    return at if urgent else awake(tx, community_id, at)


def _when_words(tx: Tx, made: Announcement, answers: Mapping[str, Any]) -> Say:
    if "base" in answers and not made.urgent and awake(tx, made.community_id, tx.now) > tx.now:
        return Say("announcement.goes_now_at_night")
    if "base" in answers or made.send_at <= tx.now:
        return Say("announcement.goes_now")
    quiet = made.send_at != _at(tx, made.community_id, answers["when"])
    return Say("announcement.goes_awake" if quiet else "announcement.goes_at", at=made.send_at)


def _preview_photos(tx: Tx, person: Person, talk: Talk) -> Sequence[int]:
    """The photos and files of the last look, kept for it; shown once, and again when they have changed."""
    name = f"talk:{talk.id}"
    set_files(tx, person, name, talk.answers.get("files"))
    files = tx.session.exec(select(Media.id).where(Media.about == name).order_by(col(Media.id))).all()
    seen = talk.answers.get("seen")
    talk.answers = {**talk.answers, "seen": list(files)}
    tx.session.add(talk)
    return () if seen == list(files) else files


know(Known(ANNOUNCEMENT, _facts, _heard, about=_of_preview, photos=_preview_photos))


def told_in(text: str) -> str:
    """What somebody wants to tell: 明天停水 in "/notice 明天停水"; empty if they do not."""
    found = TYPED.fullmatch(text.strip())
    return found[1] if found is not None else ""


@action("announcement.start", button=True, stays=True)
def begin(tx: Tx, person: Person, text: str = "") -> None:
    """Open the form in the admin group, with what was said and shown already, or go on with the one that is open."""
    _must_be_in_group(tx, person)
    said = tx.said
    problem = file_problem(said, documents=True) if said is not None else ""
    if problem:  # nothing of it is kept, or it would go out without its file
        raise Unclear(problem)
    if len(text) > LONGEST:
        raise Unclear("unclear.long", max=LONGEST, length=len(text))
    files = taken_in(said, documents=True) if said is not None else []
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == (ANNOUNCEMENT.name, "") and not (text or files):
        ask(tx, person, talk)
        return
    start(tx, person, ANNOUNCEMENT.name, answers=_begun(text, files))


def _begun(text: str, files: Sequence[File] = (), **more: Any) -> Answers:
    answers: Answers = {**USUAL, **more}
    if files:
        answers["files"] = {"files": [file.model_dump() for file in files], "done": True}
    return titled({**answers, "text": text}) if text else answers


def _must_be_in_group(tx: Tx, person: Person) -> None:
    """Notices are written where colleagues see them."""
    if not staff(tx, person, None):
        raise Refused("announcement.in_group")


@action("announcement.disclose", button=True, stays=True, words=re.compile("|".join(TOPICS)))
def disclose(tx: Tx, person: Person, topic: str) -> None:
    """Open the form for what has to be disclosed."""
    start(tx, person, ANNOUNCEMENT.name, answers=_begun("", topic=topic or "none"))


# --- written ----------------------------------------------------------------------------------------


@action("announcement.publish", words=NUMBER)
def publish(tx: Tx, person: Person, subject: str = "", **answers: Any) -> None:
    """A new notice; another one, that was planned, in new words; or the correction of one that was sent."""
    before = tx.session.get(Announcement, int(subject), with_for_update=True) if subject else None
    if subject and (before is None or before.community_id != person.community_id):
        raise Refused("refused.unknown")
    if before is not None and before.state == "sent":
        correct_to(tx, person, before, answers)
        return
    if before is not None and before.state not in TO_COME:
        raise Refused("announcement.over", number=before.number, state=state(before))
    if "where" not in answers:
        raise Refused("refused.unknown")
    written = answers["when"]
    if written and _at(tx, person.community_id, written) <= tx.now:
        raise NotNow("announcement.past")
    made = before or Announcement(
        community_id=person.community_id,
        number=next_number(tx, person.community_id, "announcement"),
        created_at=tx.now,
        person_id=person.id,
        send_at=tx.now,
    )
    made.person_id = person.id  # whoever changes what was planned answers for it
    for name, value in _settings(tx, person.community_id, answers).items():
        setattr(made, name, value)
    tx.session.add(made)
    tx.session.flush()
    write_edition(tx, person, made, answers)
    _plan(tx, person, made)


def _plan(tx: Tx, person: Person, made: Announcement) -> None:
    """It goes out now, or at its time."""
    if made.send_at <= tx.now:
        _send(tx, made, person)
        return
    made.state = "scheduled"
    set_timer(tx, made.community_id, f"announcement.send:{made.id}", made.send_at)
    end_about(tx, about(made))
    staff_card(tx, made, anew=True)


def _send(tx: Tx, made: Announcement, person: Person | None) -> None:
    """It goes out: onto the board, where it is pinned, and into the chats of those whom it is for."""
    made.state, made.sent_at = "sent", tx.now
    stop_timer(tx, f"announcement.send:{made.id}")
    end_about(tx, about(made))
    add_event(tx, about(made), "announcement.event.sent", person, community_id=made.community_id)
    show_on_board(tx, made)
    if is_for_all(made.audience):
        pin(tx, made.community_id, about(made))
    send_copies(tx, made, audience_of(made))
    remind_later(tx, made)
    staff_card(tx, made, anew=True)


@action("announcement.send", Announcement)
def send_planned(tx: Tx, person: None, made: Announcement) -> None:
    """Its time has come. Whose author has left meanwhile, or whose time is long past, waits for a colleague."""
    if made.state not in TO_COME:
        return
    at = _goes_at(tx, made.community_id, tx.now, urgent=made.urgent)
    author = tx.session.get_one(Person, made.person_id)
    works, missed = "staff" in roles_of(tx, author), at - made.send_at > LATE
    if made.state == "scheduled" and works and not missed:
        if at > tx.now:  # we were away at its time, and people sleep now
            made.send_at = at
            set_timer(tx, made.community_id, f"announcement.send:{made.id}", at)
            staff_card(tx, made)
            return
        _send(tx, made, None)
        return
    made.state = "asks"
    again = awake(tx, made.community_id, tx.now + ASKED_AGAIN)
    set_timer(tx, made.community_id, f"announcement.send:{made.id}", again)
    shown = content_of(tx, made)
    if works and missed:
        staff_card(tx, made, key="announcement.missed", anew=True, due=made.send_at, shown=shown)
        return
    who = author.name or Say("person.forgotten")
    staff_card(tx, made, key="announcement.author_left", anew=True, who=who, shown=shown)


@action("announcement.now", Announcement, button=True)
def send_now(tx: Tx, person: Person, made: Announcement) -> None:
    """Send what was planned at once, or when people wake; whoever taps it answers for it."""
    must_be(made, *TO_COME)
    made.person_id, made.send_at = person.id, _goes_at(tx, made.community_id, tx.now, urgent=made.urgent)
    _plan(tx, person, made)
    if made.state == "scheduled":
        tell_here(tx, here(tx, person), made, "announcement.waits_awake", at=made.send_at)


@action("announcement.change", Announcement, button=True, stays=True)
def change(tx: Tx, person: Person, made: Announcement) -> None:
    """Change what was planned."""
    must_be(made, *TO_COME)
    zone = ZoneInfo(tx.community(made.community_id).time_zone)
    planned = f"{made.send_at.astimezone(zone):{WRITTEN}}" if made.send_at > tx.now else ""
    answers = {
        **answers_of(tx, made),
        "where": _written_places(tx, person, made),
        "who": "owners" if made.audience.get("owners") else "everybody",
        "receipt": "yes" if made.receipt else "no",
        "urgent": "yes" if made.urgent else "no",
        "topic": made.topic or "none",
        "when": planned,
    }
    start(tx, person, ANNOUNCEMENT.name, about=about(made), answers=answers)


def _written_places(tx: Tx, person: Person, made: Announcement) -> str:
    """For whom it is, as it could have been typed."""
    reader = reader_of(tx, here(tx, person))
    places = made.audience.get("places") or ()
    return "、".join("-".join(each) for each in places) or reader.say("announcement.everywhere")


@action("announcement.drop", Announcement, button=True)
def drop(tx: Tx, person: Person, made: Announcement) -> None:
    """What was planned does not go out."""
    must_be(made, *TO_COME)
    made.state = "dropped"
    stop_timer(tx, f"announcement.send:{made.id}")
    end_about(tx, about(made))
    staff_card(tx, made)
    tell_here(tx, here(tx, person), made, "announcement.dropped")
