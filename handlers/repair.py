"""Repairs: reported, judged, paged or put on the board, worked on, and confirmed by who reported them."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.repair import DONE, EMERGENCY, MORE, REOPEN, REPAIR, where_in
from conversations.steps import Answers, LazyFacts
from conversations.words import Say, pack, texts, unpack
from handlers import judge
from handlers.actions import action, perform
from handlers.calendar import working_deadline
from handlers.people import buildings_of, can_do, crew_of, homes_of, on_duty, roles_of
from handlers.policy import policy_of
from handlers.talk import Known, ask, end, end_about, know, open_talk, start
from handlers.tell import URGENT, Button, holders, post, publish, tell, tell_staff
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from moderation.urgency import Verdict
from store.tables import Counter, Event, Home, Media, Person, Repair, Talk

OPEN = ("waiting", "accepted", "on_way", "done")
WORK = ("waiting", "accepted", "on_way")
SAME_EMERGENCY = timedelta(hours=1)
OVERDUE_AGAIN = timedelta(days=1)
LONGEST = 2000
BRIEF = 40


# --- the talk ---------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions of a repair need to know: homes, buildings (one's own first), and the judgement."""
    reader = tx.reader(person.community_id, person.language)

    def homes() -> list[tuple[str, str]]:
        return [(str(home.id), reader.show(address(home))) for home in homes_of(tx, person)]

    def buildings() -> list[tuple[str, str]]:
        own = [home.building for home in homes_of(tx, person)]
        names = sorted(buildings_of(tx, person.community_id), key=lambda name: name not in own)
        return [(name, reader.say("where.building", building=name)) for name in names]

    def verdict() -> str:
        return _judged(tx, person, answers).verdict if answers.get("what") else ""

    return {"homes": homes, "buildings": buildings, "verdict": verdict}


def _judged(tx: Tx, person: Person, answers: Answers) -> Verdict:
    """The judgement of a report; the place counts as said, since "里面困了人" means a lift after 电梯."""
    place = answers.get("place", "")
    label = texts("zh")[f"repair.place.{place}"] if place in ("lift", "garage", "hall") else ""
    said = f"{label}，{answers['what']}" if label else answers["what"]
    return judge.urgency(tx, person.community_id, said, person.language)


def heard(tx: Tx, person: Person, talk: Talk) -> bool:
    """Danger never waits for the end of the form: the page leaves with the answer that shows it."""
    answers = talk.answers
    if not answers.get("what"):
        return False
    verdict = _judged(tx, person, answers).verdict
    if answers.get("danger") == "now" or verdict == "urgent":
        perform(tx, person, "repair.emergency", answers=answers)
        return True
    if verdict == "ask" and "danger" not in answers:
        _doubt(tx, talk)
    return False


def _doubt(tx: Tx, talk: Talk) -> None:
    """It sounds dangerous: unless the person answers soon, it is paged as not confirmed."""
    wait = timedelta(seconds=policy_of(tx, talk.community_id).unconfirmed_seconds)
    set_timer(tx, talk.community_id, f"repair.unconfirmed:{talk.id}", tx.now + wait)


def heard_place(tx: Tx, person: Person, talk: Talk) -> bool:
    """Each word about the place reaches the crew at once."""
    perform(tx, person, f"repair.locate{talk.about.removeprefix('repair')}", answers=talk.answers)
    return False


know(Known(REPAIR, facts_for, heard))
know(Known(EMERGENCY, facts_for, heard_place, expires_in_silence=True))
for script in (MORE, DONE, REOPEN):
    know(Known(script, lambda tx, person, answers: {}))


@action("repair.start", button=True)
def begin(tx: Tx, person: Person) -> None:
    """Open the form, or go on with one that is half filled in."""
    talk = open_talk(tx, person, tx.place) if tx.place else None
    if talk is not None and talk.script == "repair" and talk.answers:
        ask(tx, person, talk, lead="talk.already")
    else:
        start(tx, person, "repair")


def read_free(tx: Tx, person: Person, text: str, files: Sequence[Any] = ()) -> bool:
    """A free sentence, or a lone photo, of somebody who lives here: True if it was taken as a report.

    What is urgent is reported and paged at once; what names something to repair opens the form with what is
    known already.
    """
    verdict = judge.urgency(tx, person.community_id, text, person.language)
    if not files and verdict.verdict == "normal" and verdict.kind == "other":
        return False
    answers: Answers = {}
    if text:
        facts = LazyFacts(facts_for(tx, person, {}))
        answers = {"what": text[:LONGEST], **where_in(text, {}, facts)}
    if files:
        answers["photos"] = {"files": [file.model_dump() for file in files], "done": True}
    if verdict.verdict == "urgent":
        perform(tx, person, "repair.emergency", answers=answers)
    else:
        talk = start(tx, person, "repair", answers=answers)
        if verdict.verdict == "ask":
            _doubt(tx, talk)
    return True


# --- a report comes in ------------------------------------------------------------------------------


@action("repair.emergency")
def emergency(tx: Tx, person: Person, answers: Answers, confirmed: bool = True) -> None:
    """Register and page at once; then ask only what helps the crew to find the place."""
    verdict = _judged(tx, person, answers)
    before = _same_emergency(tx, person, verdict.kind)
    if before is not None:
        _add_words(tx, before, answers["what"])
        _add_photos(tx, person, before, answers.get("photos"))
        tell(tx, person, "repair.added", number=before.number, buttons=_owner_buttons(before))
        return
    repair = _register(tx, person, answers, verdict, urgent=True, confirmed=confirmed)
    tell(
        tx,
        person,
        "repair.emergency" if confirmed else "repair.emergency_unconfirmed",
        lane=URGENT,
        number=repair.number,
        advice=advice(repair.kind),
        why=_because(repair),
        phone=_office(tx, person.community_id),
        buttons=[f"repair.withdraw:{repair.id}"],
    )
    _ring(tx, repair)
    publish(
        tx,
        repair.community_id,
        "repair.board",
        about=f"repair:{repair.id}",
        photos=_photos(tx, repair),
        silent=repair.place in ("", "home"),
        but=person,
        **_public(tx, repair),
    )
    if tx.place is not None and tx.place.kind == "private":
        start(tx, person, "emergency", about=f"repair:{repair.id}", answers=_known_place(answers))


def _known_place(answers: Answers) -> Answers:
    return {
        name: answers[name] for name in ("place", "home", "building", "spot", "photos") if name in answers
    }


def _same_emergency(tx: Tx, person: Person, kind: str) -> Repair | None:
    """The emergency that somebody in fear is telling us about again."""
    return tx.session.exec(
        select(Repair)
        .where(
            Repair.person_id == person.id,
            col(Repair.urgent),
            col(Repair.state).in_(WORK),
            Repair.reported_at > tx.now - SAME_EMERGENCY,
            col(Repair.kind).in_([kind, "other"]) if kind != "other" else col(Repair.kind).is_not(None),
        )
        .order_by(col(Repair.id).desc())
        .with_for_update()
    ).first()


@action("repair.unconfirmed", Talk)
def unconfirmed(tx: Tx, person: None, talk: Talk) -> None:
    """It sounds dangerous, and the person went silent: page it as not confirmed."""
    if talk.script != "repair" or "danger" in talk.answers:
        return
    owner, answers = tx.session.get_one(Person, talk.person_id), talk.answers
    end(tx, talk)
    emergency(tx, owner, answers, confirmed=False)


@action("repair.report")
def report(tx: Tx, person: Person, **answers: Any) -> None:
    """Register an ordinary repair: board, owners' chats, the crew in charge, a deadline."""
    policy = policy_of(tx, person.community_id)
    if _reports_today(tx, person) >= policy.reports_a_day:
        raise Refused(
            "refused.too_many_reports", most=policy.reports_a_day, phone=_office(tx, person.community_id)
        )
    repair = _register(tx, person, answers, _judged(tx, person, answers), urgent=False)
    _assign(tx, repair)
    tell(
        tx,
        person,
        "repair.reported",
        **_private(tx, repair),
        assigned=_assigned(tx, repair),
        buttons=_owner_buttons(repair),
    )
    publish(
        tx,
        repair.community_id,
        "repair.board",
        about=f"repair:{repair.id}",
        photos=_photos(tx, repair),
        but=person,
        **_public(tx, repair),
    )


def _reports_today(tx: Tx, person: Person) -> int:
    day = tx.now - timedelta(days=1)
    return len(
        tx.session.exec(
            select(Repair.id).where(
                Repair.person_id == person.id, Repair.reported_at > day, col(Repair.urgent).is_(False)
            )
        ).all()
    )


def _register(
    tx: Tx, person: Person, answers: Answers, verdict: Verdict, *, urgent: bool, confirmed: bool = True
) -> Repair:
    """The row of a new repair, with its photos and the first line of its timeline."""
    repair = Repair(
        community_id=person.community_id,
        number=_next_number(tx, person.community_id, "repair"),
        person_id=person.id,
        what=answers.get("what", ""),
        kind=verdict.kind,
        urgent=urgent,
        confirmed=confirmed,
        why=_reasons(verdict) if urgent else [],
        reported_at=tx.now,
    )
    _locate(tx, person, repair, answers)
    tx.session.add(repair)
    tx.session.flush()
    _add_photos(tx, person, repair, answers.get("photos"))
    _event(tx, repair, "event.reported_urgent" if urgent else "event.reported", person)
    return repair


def _reasons(verdict: Verdict) -> list[str]:
    """The rules' sentences, each with the words of the report that decided."""
    return [f"{why.sentence}（{'、'.join(why.words)}）" for why in verdict.why]


def _next_number(tx: Tx, community_id: int, name: str) -> int:
    counter = tx.session.exec(
        select(Counter).where(Counter.community_id == community_id, Counter.name == name).with_for_update()
    ).first() or Counter(community_id=community_id, name=name, value=0)
    counter.value += 1
    tx.session.add(counter)
    tx.session.flush()
    return counter.value


def _locate(tx: Tx, person: Person, repair: Repair, answers: Answers) -> None:
    """Write down what the answers say of the place; a person's only home or the only building needs no words."""
    homes = homes_of(tx, person)
    repair.place = answers.get("place", "")
    repair.entry = answers.get("entry", "")
    repair.spot = answers.get("spot", "") or ""
    repair.building = answers.get("building", "")
    if repair.place == "home" and homes:
        chosen = [home for home in homes if str(home.id) == answers.get("home")]
        if chosen or len(homes) == 1:
            repair.home_id = (chosen or homes)[0].id
            repair.building = (chosen or homes)[0].building
    if repair.place and not repair.building:
        buildings = buildings_of(tx, repair.community_id)
        repair.building = buildings[0] if len(buildings) == 1 else ""


@action("repair.locate", Repair)
def locate(tx: Tx, person: Person, repair: Repair, answers: Answers) -> None:
    """Show the crew at once where the emergency is."""
    _locate(tx, person, repair, answers)
    tx.session.add(repair)
    _refresh(tx, repair)


@action("repair.located", Repair)
def located(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The questions after an emergency are over."""
    _locate(tx, person, repair, answers)
    _add_photos(tx, person, repair, answers.get("photos"))
    _refresh(tx, repair)
    tell(
        tx,
        person,
        "repair.located",
        number=repair.number,
        where=_where(tx, repair),
        state=Say(f"state.{repair.state}"),
        buttons=_owner_buttons(repair),
    )


# --- paging and assigning ---------------------------------------------------------------------------


def _ring(tx: Tx, repair: Repair) -> None:
    """Page whoever is on duty, from the second time on the whole crew and the admin group, until somebody accepts."""
    repair.ring += 1
    everybody = [person for person, _ in crew_of(tx, repair.community_id)]
    called = on_duty(tx, repair.community_id, repair.kind) if repair.ring == 1 else everybody
    for person in called or everybody:
        _show_card(tx, repair, person, key="repair.page", anew=True, lane=URGENT)
    louder = repair.ring > 1 or not called
    tell_staff(
        tx,
        repair.community_id,
        "repair.page_staff_again" if louder else "repair.page_staff",
        card=f"repair:{repair.id}",
        anew=louder,
        lane=URGENT,
        buttons=_staff_buttons(repair),
        **_private(tx, repair),
        ring=repair.ring,
        names=[person.name for person in called or everybody] or Say("where.nobody"),
    )
    tx.session.add(repair)
    minutes = policy_of(tx, repair.community_id).page_again_minutes
    set_timer(tx, repair.community_id, f"repair.page:{repair.id}", tx.now + timedelta(minutes=minutes))
    _event(tx, repair, "event.paged", None, count=len(called or everybody))


@action("repair.page", Repair)
def page(tx: Tx, person: None, repair: Repair) -> None:
    """Nobody has accepted yet: page again, louder."""
    if repair.state == "waiting" and repair.urgent:
        _ring(tx, repair)


def _assign(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Put one member of the crew in charge (who can do it and has the fewest open tickets), with a deadline."""
    chosen = _least_busy(tx, repair, but)
    repair.crew_id = chosen.id if chosen else None
    days = policy_of(tx, repair.community_id).repair_days
    repair.due_at = working_deadline(tx, repair.community_id, days)
    tx.session.add(repair)
    tx.session.flush()
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", repair.due_at)
    if chosen is not None:
        _show_card(tx, repair, chosen, key="repair.ticket", anew=True)
    _staff_card(tx, repair)


def _least_busy(tx: Tx, repair: Repair, but: Person | None) -> Person | None:
    """Who can do it and has the fewest open tickets; between equals, whose own trade it is."""
    crew = [each for each in crew_of(tx, repair.community_id) if but is None or each[0].id != but.id]
    able = [(person, role) for person, role in crew if can_do(role, repair.kind)] or crew
    ranked = sorted(
        able, key=lambda each: (len(_tickets(tx, each[0])), repair.kind not in each[1].skills, each[0].id)
    )
    return ranked[0][0] if ranked else None


@action("repair.overdue", Repair)
def overdue(tx: Tx, person: None, repair: Repair) -> None:
    """The deadline has passed: the crew in charge, the admin group, the board and the owner are told, once a day."""
    if repair.state not in WORK or repair.due_at is None:
        return
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        _show_card(tx, repair, crew, key="repair.overdue_crew", anew=True)
    tell_staff(
        tx,
        repair.community_id,
        "repair.overdue_staff",
        card=f"repair:{repair.id}",
        anew=True,
        buttons=_staff_buttons(repair),
        assigned=_assigned(tx, repair),
        **_private(tx, repair),
    )
    if repair.due_at > tx.now - OVERDUE_AGAIN:  # the owner and the board hear of it once
        owner = tx.session.get_one(Person, repair.person_id)
        tell(tx, owner, "repair.overdue", **_private(tx, repair), buttons=_owner_buttons(repair))
        _event(tx, repair, "event.overdue", None)
        _board(tx, repair)
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", tx.now + OVERDUE_AGAIN)


# --- the crew's taps --------------------------------------------------------------------------------


@action("repair.accept", Repair, button=True)
def accept(tx: Tx, person: Person, repair: Repair) -> None:
    """One tap, and it is theirs; a second tap of the same person does no harm."""
    if repair.state in ("accepted", "on_way") and repair.crew_id == person.id:
        _show_card(tx, repair, person, key="repair.ticket", anew=True)
        return
    if repair.state in ("accepted", "on_way"):
        raise Refused("refused.taken", who=_name(tx, repair.crew_id))
    _must_be(repair, "waiting")
    repair.state, repair.crew_id = "accepted", person.id
    stop_timer(tx, f"repair.page:{repair.id}")
    _event(tx, repair, "event.accepted", person)
    _tell_owner(tx, repair, "repair.accepted", who=person.name, lane=URGENT if repair.urgent else None)
    _refresh(tx, repair)


@action("repair.decline", Repair, button=True)
def decline(tx: Tx, person: Person, repair: Repair) -> None:
    """Cannot go: an emergency goes on paging the others, an ordinary ticket goes to somebody else."""
    if repair.crew_id not in (None, person.id):
        raise Refused("refused.taken", who=_name(tx, repair.crew_id))
    _must_be(repair, "waiting", "accepted")
    was_theirs = repair.crew_id == person.id
    repair.state, repair.crew_id = "waiting", None
    _event(tx, repair, "event.declined", person)
    tell(tx, person, "repair.declined", number=repair.number)
    if repair.urgent:
        _ring(tx, repair)
    elif was_theirs:
        _assign(tx, repair, but=person)
    _refresh(tx, repair)


@action("repair.go", Repair, button=True)
def go(tx: Tx, person: Person, repair: Repair) -> None:
    """On the way."""
    _must_be(repair, "accepted", "on_way")
    if repair.state == "accepted":
        repair.state = "on_way"
        _event(tx, repair, "event.on_way", person)
        _tell_owner(tx, repair, "repair.on_way", who=person.name)
    _refresh(tx, repair)


@action("repair.finish", Repair, button=True)
def finish(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask for a photo and a word on what was done; both may be skipped."""
    _must_be(repair, "accepted", "on_way")
    start(tx, person, "done", about=f"repair:{repair.id}")


@action("repair.done", Repair)
def done(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The work is done: the owner is asked whether it is."""
    _must_be(repair, "accepted", "on_way")
    repair.state = "done"
    photos = _add_photos(tx, person, repair, answers.get("photos"))
    note = answers.get("note") or ""
    _event(tx, repair, "event.done", person, note=note)
    stop_timer(tx, f"repair.overdue:{repair.id}")
    tell(tx, person, "repair.done_crew", number=repair.number)
    _tell_owner(
        tx,
        repair,
        "repair.done",
        who=person.name,
        note=Say("repair.note", note=note) if note else "",
        photos=photos,
    )
    _refresh(tx, repair)


# --- the owner's taps -------------------------------------------------------------------------------


@action("repair.confirm", Repair, button=True)
def confirm(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is repaired: the end."""
    if repair.state == "closed":
        raise Refused("refused.over", number=repair.number, state=Say("state.closed"))
    _must_be(repair, "done")
    repair.state = "closed"
    _event(tx, repair, "event.closed", person)
    tell(tx, person, "repair.closed", number=repair.number)
    _refresh(tx, repair)


@action("repair.dispute", Repair, button=True)
def dispute(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is not repaired: ask what is wrong."""
    _must_be(repair, "done", "closed")
    start(tx, person, "reopen", about=f"repair:{repair.id}")


@action("repair.reopen", Repair)
def reopen(tx: Tx, person: Person, repair: Repair, why: str) -> None:
    """Back to the crew in charge with a new deadline; if it has become dangerous, paged."""
    _must_be(repair, "done", "closed")
    repair.state = "waiting"
    _add_words(tx, repair, why, show=False)
    _event(tx, repair, "event.reopened", person)
    verdict = _judged(tx, person, {"what": why, "place": repair.place})
    if verdict.verdict == "urgent":
        repair.urgent, repair.ring, repair.crew_id, repair.due_at = True, 0, None, None
        repair.why = _reasons(verdict)
        _ring(tx, repair)
    elif repair.crew_id is not None:
        days = policy_of(tx, repair.community_id).repair_days
        repair.due_at = working_deadline(tx, repair.community_id, days)
        set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", repair.due_at)
        crew = tx.session.get_one(Person, repair.crew_id)
        _show_card(tx, repair, crew, key="repair.reopened_crew", anew=True)
    else:
        _assign(tx, repair)
    after = Say("repair.next_due", due=repair.due_at) if repair.due_at else Say("repair.next_urgent")
    tell(tx, person, "repair.reopened", after=after, **_private(tx, repair), buttons=_owner_buttons(repair))
    _refresh(tx, repair)


@action("repair.more", Repair, button=True)
def more(tx: Tx, person: Person, repair: Repair) -> None:
    """Photos or words to add."""
    _must_be(repair, *WORK)
    start(tx, person, "more", about=f"repair:{repair.id}")


@action("repair.add", Repair)
def add(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """Add photos or words; words that show danger raise the report."""
    _must_be(repair, *WORK)
    _add_photos(tx, person, repair, answers.get("photos"))
    if answers.get("note"):
        _add_words(tx, repair, answers["note"], show=False)
    verdict = _judged(tx, person, {"what": repair.what, "place": repair.place})
    if not repair.urgent and verdict.verdict == "urgent":
        repair.why = _reasons(verdict)
        _raise(tx, repair, person)
    _refresh(tx, repair)
    tell(tx, person, "repair.added", number=repair.number, buttons=_owner_buttons(repair))


@action("repair.raise", Repair, button=True)
def raise_(tx: Tx, person: Person, repair: Repair) -> None:
    """It has become urgent, the owner or the staff say: no rule is asked."""
    _must_be(repair, *WORK)
    if not repair.urgent:
        _raise(tx, repair, person)
    _refresh(tx, repair)
    if repair.person_id == person.id:
        tell(
            tx,
            person,
            "repair.raised",
            number=repair.number,
            advice=advice(repair.kind),
            phone=_office(tx, person.community_id),
            buttons=_owner_buttons(repair),
        )
    else:
        _tell_owner(tx, repair, "repair.raised_by_staff")


def _raise(tx: Tx, repair: Repair, person: Person) -> None:
    repair.urgent, repair.ring = True, 0
    if repair.state == "waiting":
        repair.crew_id = None
        stop_timer(tx, f"repair.overdue:{repair.id}")
        repair.due_at = None
        _ring(tx, repair)
    elif repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        _show_card(tx, repair, crew, key="repair.page", anew=True, lane=URGENT)
    _event(tx, repair, "event.raised", person)


@action("repair.withdraw", Repair, button=True)
def withdraw(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner needs it no more."""
    _must_be(repair, *WORK)
    repair.state = "withdrawn"
    end_about(tx, f"repair:{repair.id}")
    stop_timer(tx, f"repair.page:{repair.id}")
    stop_timer(tx, f"repair.overdue:{repair.id}")
    _event(tx, repair, "event.withdrawn", person)
    tell(tx, person, "repair.withdrawn", number=repair.number)
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        tell(tx, crew, "repair.withdrawn_crew", **_private(tx, repair))
    _refresh(tx, repair)


# --- looking ----------------------------------------------------------------------------------------


@action("repair.show", Repair, button=True)
def show(tx: Tx, person: Person, repair: Repair) -> None:
    """One repair with its timeline, and what the person can do with it."""
    reader = tx.reader(repair.community_id, person.language)
    lines = [
        reader.say("event.line", at=event.at, what=Say(event.key, **unpack(event.facts)))
        for event in _events(tx, repair)
    ]
    staff_here = tx.place is not None and tx.place.kind == "staff"
    tell(
        tx,
        tx.place if staff_here and tx.place else person,
        "repair.show",
        **_private(tx, repair),
        assigned=_assigned(tx, repair),
        timeline="\n".join(lines),
        photos=_photos(tx, repair),
        buttons=() if staff_here else _buttons_for(tx, repair, person),
    )


@action("repair.open", button=True)
def open_list(tx: Tx, person: Person) -> None:
    """The open tickets: the crew's own in the order in which to go, or all of them for staff in the group."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    all_of_them = in_group or "crew" not in roles_of(tx, person)
    repairs = _open_repairs(tx, person.community_id) if all_of_them else _tickets(tx, person)
    _list(tx, person, repairs, "repair.tickets")


def mine(tx: Tx, person: Person) -> None:
    """What the person reported, newest first: the open ones, else the last few."""
    everything = select(Repair).where(Repair.person_id == person.id).order_by(col(Repair.id).desc())
    opened = tx.session.exec(everything.where(col(Repair.state).in_(OPEN)).limit(10)).all()
    _list(tx, person, opened or tx.session.exec(everything.limit(3)).all(), "repair.mine")


def _list(tx: Tx, person: Person, repairs: Sequence[Repair], key: str) -> None:
    reader = tx.reader(person.community_id, person.language)
    lines = [
        reader.say(
            "repair.line_urgent" if repair.urgent else "repair.line",
            **{**_private(tx, repair), "what": _brief(repair)},
        )
        for repair in repairs
    ]
    place = tx.place if tx.place is not None and tx.place.kind == "staff" else None
    tell(
        tx,
        place or person,
        key if lines else f"{key}_none",
        list="\n".join(lines),
        buttons=[Button(f"repair.show:{repair.id}", number=repair.number) for repair in repairs[:10]],
    )


def _open_repairs(tx: Tx, community_id: int) -> Sequence[Repair]:
    return tx.session.exec(
        select(Repair)
        .where(Repair.community_id == community_id, col(Repair.state).in_(WORK))
        .order_by(col(Repair.urgent).desc(), col(Repair.due_at).nulls_first(), col(Repair.id))
        .limit(20)
    ).all()


def _tickets(tx: Tx, person: Person) -> Sequence[Repair]:
    return tx.session.exec(
        select(Repair)
        .where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
        .order_by(col(Repair.urgent).desc(), col(Repair.due_at).nulls_first(), col(Repair.id))
        .limit(20)
    ).all()


# --- words and cards --------------------------------------------------------------------------------


def address(home: Home) -> Say:
    """A home's full address, for those who need it."""
    key = "where.home" if home.entrance else "where.home_plain"
    return Say(key, building=home.building, entrance=home.entrance, room=home.room)


def _where(tx: Tx, repair: Repair, *, public: bool = False) -> Any:
    """The place in words; in public a home is its building only."""
    building = Say("where.building", building=repair.building) if repair.building else ""
    if repair.place == "home" and repair.home_id is not None:
        return building if public else address(tx.session.get_one(Home, repair.home_id))
    if repair.place in ("hall", "lift", "garage"):
        place = Say(f"repair.place.{repair.place}")
        return Say("where.common", building=building, place=place) if building else place
    if repair.spot:
        return _masked(tx, repair, repair.spot) if public else repair.spot
    if building:
        return building
    homes = homes_of(tx, tx.session.get_one(Person, repair.person_id))
    if homes and not public:
        return Say("where.reporter", home=address(homes[0]))
    return Say("where.unknown")


def _masked(tx: Tx, repair: Repair, text: str) -> str:
    """Free words as the public may read them: no phone numbers, and no rooms of who wrote them."""
    text = re.sub(r"\d(?:[\s-]?\d){6,}", "***", text)
    for home in homes_of(tx, tx.session.get_one(Person, repair.person_id)):
        text = text.replace(home.room, "***")
    return text


def _private(tx: Tx, repair: Repair) -> dict[str, Any]:
    """The facts for those who report, repair and administer it."""
    return {
        "mark": Say("repair.mark_urgent" if repair.urgent else "repair.mark"),
        "number": repair.number,
        "where": _where(tx, repair),
        "what": repair.what or Say("talk.none"),
        "kind": Say(f"kind.{repair.kind}"),
        "why": _because(repair),
        "entry": Say("repair.entry_mark", entry=Say(f"repair.entry.{repair.entry}")) if repair.entry else "",
        "state": Say(f"state.{repair.state}"),
        "due": repair.due_at or Say("due.now"),
        "doubt": Say("repair.doubt") if not repair.confirmed else "",
    }


def _public(tx: Tx, repair: Repair) -> dict[str, Any]:
    """The facts for the board: no name, no phone, no room."""
    return {
        "number": repair.number,
        "where": _where(tx, repair, public=True),
        "what": _masked(tx, repair, repair.what) or Say(f"kind.{repair.kind}"),
        "kind": Say(f"kind.{repair.kind}"),
        "state": Say(f"state.{repair.state}"),
        "urgent": Say("repair.urgent_mark") if repair.urgent else "",
        "due": Say("repair.due_mark", due=repair.due_at) if repair.due_at and repair.state in WORK else "",
    }


def _brief(repair: Repair) -> Any:
    """What is broken, in one line of a list."""
    what = " ".join(repair.what.split())
    return (what if len(what) <= BRIEF else f"{what[: BRIEF - 1]}…") or Say(f"kind.{repair.kind}")


def _because(repair: Repair) -> Any:
    return repair.why or Say("repair.said_so")


def advice(kind: str) -> Say:
    """What to do until somebody comes."""
    return Say(f"advice.{kind}" if f"advice.{kind}" in texts("zh") else "advice.other")


def _office(tx: Tx, community_id: int) -> Any:
    return policy_of(tx, community_id).office_phone or Say("where.office")


def _name(tx: Tx, person_id: int | None) -> str:
    return tx.session.get_one(Person, person_id).name if person_id is not None else ""


def _assigned(tx: Tx, repair: Repair) -> Any:
    return _name(tx, repair.crew_id) or Say("where.nobody_yet")


def _owner_buttons(repair: Repair) -> list[str]:
    names = {
        "done": ["confirm", "dispute"],
        "closed": ["dispute"],
        "withdrawn": [],
    }.get(repair.state, ["more", *([] if repair.urgent else ["raise"]), "withdraw"])
    return [f"repair.{name}:{repair.id}" for name in names]


def _crew_buttons(repair: Repair, person: Person) -> list[str]:
    if repair.state == "waiting":
        names = ["accept", "decline"] if repair.crew_id in (None, person.id) else []
    elif repair.crew_id == person.id:
        names = {"accepted": ["go", "finish", "decline"], "on_way": ["finish"]}.get(repair.state, [])
    else:
        names = []
    return [f"repair.{name}:{repair.id}" for name in names]


def _staff_buttons(repair: Repair) -> list[Button]:
    may_raise = not repair.urgent and repair.state in WORK
    names = ["raise", "show"] if may_raise else ["show"]
    return [Button(f"repair.{name}:{repair.id}", number=repair.number) for name in names]


def _buttons_for(tx: Tx, repair: Repair, person: Person) -> list[str]:
    if repair.person_id == person.id:
        return _owner_buttons(repair)
    return _crew_buttons(repair, person) if "crew" in roles_of(tx, person) else []


def _show_card(
    tx: Tx, repair: Repair, person: Person, *, key: str, anew: bool = False, lane: int | None = None
) -> None:
    tell(
        tx,
        person,
        key,
        card=f"repair:{repair.id}",
        anew=anew,
        lane=lane,
        photos=_photos(tx, repair) if anew else (),
        buttons=_crew_buttons(repair, person),
        assigned=_assigned(tx, repair),
        **_private(tx, repair),
    )


def _card_key(repair: Repair) -> str:
    if repair.state != "waiting":
        return "repair.card"
    return "repair.page" if repair.urgent else "repair.ticket"


def _staff_card(tx: Tx, repair: Repair) -> None:
    tell_staff(
        tx,
        repair.community_id,
        "repair.card_staff",
        card=f"repair:{repair.id}",
        buttons=_staff_buttons(repair),
        assigned=_assigned(tx, repair),
        **_private(tx, repair),
    )


def _board(tx: Tx, repair: Repair) -> None:
    post(tx, repair.community_id, "repair.board", about=f"repair:{repair.id}", **_public(tx, repair))


def _refresh(tx: Tx, repair: Repair) -> None:
    """Let every card about the repair show its present state: the crew's, the admin group's, the board's."""
    tx.session.add(repair)
    tx.session.flush()
    for person in holders(tx, f"repair:{repair.id}"):
        _show_card(tx, repair, person, key=_card_key(repair))
    _staff_card(tx, repair)
    _board(tx, repair)


def _tell_owner(tx: Tx, repair: Repair, key: str, **options: Any) -> None:
    owner = tx.session.get_one(Person, repair.person_id)
    tell(tx, owner, key, **{"number": repair.number, "buttons": _owner_buttons(repair), **options})


def _must_be(repair: Repair, *states: str) -> None:
    if repair.state not in states:
        raise Refused("refused.over", number=repair.number, state=Say(f"state.{repair.state}"))


def _event(tx: Tx, repair: Repair, key: str, person: Person | None, **facts: Any) -> None:
    tx.session.add(
        Event(
            community_id=repair.community_id,
            about=f"repair:{repair.id}",
            at=tx.now,
            key=key,
            facts=pack(facts),
            pseudonym=person.pseudonym if person else 0,
        )
    )


def _events(tx: Tx, repair: Repair) -> Sequence[Event]:
    return tx.session.exec(
        select(Event).where(Event.about == f"repair:{repair.id}").order_by(col(Event.id))
    ).all()


def _add_words(tx: Tx, repair: Repair, words: str, *, show: bool = True) -> None:
    if words and words not in repair.what:
        repair.what = "；".join(filter(None, (repair.what, words)))[:LONGEST]
    tx.session.add(repair)
    if show:
        _refresh(tx, repair)


def _add_photos(tx: Tx, person: Person, repair: Repair, answer: Any) -> list[int]:
    """Keep the photos of an answer as the repair's; their ids."""
    rows = [
        Media(
            community_id=person.community_id,
            person_id=person.id,
            about=f"repair:{repair.id}",
            storage=file["storage"],
            mime=file["mime"],
            size=file["size"],
            created_at=tx.now,
        )
        for file in (answer or {}).get("files", [])
    ]
    tx.session.add_all(rows)
    tx.session.flush()
    return [row.id for row in rows]


def _photos(tx: Tx, repair: Repair) -> list[int]:
    return list(
        tx.session.exec(select(Media.id).where(Media.about == f"repair:{repair.id}").order_by(col(Media.id)))
    )
