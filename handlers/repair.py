"""Repairs: reported, judged, paged or put on the board, worked on, and confirmed by who reported them."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, func, select

from conversations.errors import NotNow, Refused
from conversations.repair import DONE, EMERGENCY, MORE, REOPEN, REPAIR, WALK_IN, where_in
from conversations.said import File
from conversations.steps import Answers, LazyFacts
from conversations.words import LANGUAGES, Say, texts
from handlers import judge
from handlers.actions import action, perform
from handlers.calendar import working_deadline
from handlers.matters import timeline
from handlers.numbers import next_number
from handlers.people import (
    best_for,
    buildings_of,
    communities_of,
    crew_of,
    homes_of,
    is_resident,
    on_duty,
    roles_of,
    speak_as,
)
from handlers.policy import policy_of
from handlers.repair_cards import (
    ON_IT,
    WORK,
    add_event,
    add_photos,
    address,
    advice,
    assigned,
    because,
    board,
    brief,
    buttons_for,
    called,
    can_be_reached,
    close_cards,
    events,
    looked_at,
    name_of,
    office,
    owner_buttons,
    photos_of,
    private,
    public,
    refresh,
    show_card,
    staff_card,
    tell_owner,
    to_reporter,
    where,
)
from handlers.talk import Known, ask, end, end_about, here, know, no_facts, open_talk, start
from handlers.tell import URGENT, Button, publish, reader_of, take_back, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from moderation.urgency import Verdict
from store.tables import HomeRole, Person, Repair, Talk

OPEN = (*WORK, "done")
SAME_EMERGENCY = timedelta(hours=1)
ANY_DANGER = ("other", "hazard")  # kinds of a cry for help that names no danger
OVERDUE_AGAIN = timedelta(days=1)
UNSAID = timedelta(minutes=10)
"""How long who says that it is not repaired has to say what is wrong; then the crew hears of it without."""
LONGEST = 4096


# --- the talks --------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions of a repair need to know: homes, buildings (one's own first), and the judgement."""
    reader = tx.reader(person.community_id, person.language)
    owner = _for_whom(tx, person, answers)

    def homes() -> list[tuple[str, str]]:
        return [(str(home.id), reader.show(address(home))) for home in homes_of(tx, owner)]

    def buildings() -> list[tuple[str, str]]:
        own = [home.building for home in homes_of(tx, owner)]
        names = sorted(buildings_of(tx, person.community_id), key=lambda name: name not in own)
        return [(name, reader.say("where.building", building=name)) for name in names]

    def verdict() -> str:
        return _judged(tx, person, answers).verdict if answers.get("what") else ""

    def communities() -> list[tuple[str, str]]:
        return [(str(each.id), each.name) for _, each in communities_of(tx)]

    return {"homes": homes, "buildings": buildings, "verdict": verdict, "communities": communities}


def _for_whom(tx: Tx, person: Person, answers: Answers) -> Person:
    """Whose report it is: the speaker's, or that of an owner for whom staff speak (only a talk of staff names one)."""
    return tx.session.get_one(Person, answers["for"]) if "for" in answers else person


def of_whom(tx: Tx, talk: Talk) -> dict[str, Any]:
    """For whom staff speak, for the words of the questions."""
    owner = tx.session.get_one(Person, talk.answers["for"])
    return {"who": owner.name or Say("person.forgotten")}


def _judged(tx: Tx, person: Person, answers: Answers, language: str = "zh") -> Verdict:
    """The judgement of a report; the place counts as said, since "里面困了人" means a lift after 电梯."""
    place, what = answers.get("place", ""), answers.get("what", "")
    label = texts("zh")[f"repair.place.{place}"] if place in ("lift", "garage", "hall") else ""
    return judge.urgency(tx, person.community_id, f"{label}，{what}" if label else what, language)


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Danger never waits for the end of the form: the page leaves with the answer that shows it."""
    if "community" in changed and answers_elsewhere(tx, person, talk):
        return True
    if "what" in changed and "danger" not in changed:  # "no danger" was said of other words
        talk.answers = {name: answer for name, answer in talk.answers.items() if name != "danger"}
    answers = talk.answers
    if not answers.get("what"):
        return False
    verdict = _judged(tx, person, answers).verdict
    if answers.get("danger") == "now" or verdict == "urgent":
        end(tx, talk)
        _page_at_once(tx, person, answers)
        return True
    if verdict == "ask" and "danger" not in answers:
        _doubt(tx, talk)
    else:
        stop_timer(tx, f"repair.unconfirmed:{talk.id}")
    return False


def _page_at_once(tx: Tx, person: Person, answers: Answers) -> None:
    """Who speaks for an owner must be staff still."""
    of_owner = f"repair.enter_urgent:{answers['for']}" if "for" in answers else ""
    perform(tx, person, of_owner or "repair.emergency", answers=answers)


def answers_elsewhere(tx: Tx, person: Person, talk: Talk) -> bool:
    """It is about another community of the same person: the talk goes on there. False if it is about this one."""
    answers = talk.answers
    there = [account for account, each in communities_of(tx) if str(each.id) == answers["community"]]
    if not there or there[0].community_id == person.community_id:
        return False
    end(tx, talk)
    kept: Answers = {
        name: answers[name]
        for name in ("community", "what", "danger", "photos", "place", "spot", "entry")
        if name in answers
    }
    start(tx, speak_as(tx, there[0]), "repair", answers=kept)
    return True


def _doubt(tx: Tx, talk: Talk) -> None:
    """It sounds dangerous: unless the person answers soon, it is paged as not confirmed."""
    wait = timedelta(seconds=policy_of(tx, talk.community_id).unconfirmed_seconds)
    set_timer(tx, talk.community_id, f"repair.unconfirmed:{talk.id}", tx.now + wait, move=False)


def _is_doubtful(tx: Tx, person: Person, talk: Talk) -> bool:
    answers = talk.answers
    return (
        bool(answers.get("what"))
        and "danger" not in answers
        and _judged(tx, person, answers).verdict != "normal"
    )


def rescue(tx: Tx, person: Person, talk: Talk) -> bool:
    """A form that sounds dangerous is pushed aside by another talk: page it as not confirmed."""
    if not _is_doubtful(tx, person, talk):
        return False
    emergency(tx, person, talk.answers, confirmed=False, ask_where=False)
    return True


def urgent_in_form(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger in the midst of a report: what the form holds goes with it."""
    said, form = _spoken_report(tx, person, text, files, {}), talk.answers
    said |= {name: form[name] for name in ("for",) if name in form}
    end(tx, talk)
    if any(name in said and form.get(name) not in (None, said[name]) for name in ("place", "building")):
        tell(tx, person, "talk.dropped")  # it is somewhere else, and another matter
        _page_at_once(tx, person, said)
        return
    what = "；".join(filter(None, (text, form.get("what"))))
    photos = {"files": [*_files(form), *_files(said)], "done": True}
    _page_at_once(tx, person, {**form, **said, "what": what, "photos": photos})


def urgent_again(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger while the place is asked for: more of the same, at the place that is known, or another."""
    answers = {**_known_place(talk.answers), **_spoken_report(tx, person, text, files, {})}
    perform(tx, person, "repair.emergency", answers=answers)


def urgent_in_more(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger among what is added: it counts at once."""
    photos = {"files": [*_files(talk.answers), *(file.model_dump() for file in files)], "done": True}
    note = "；".join(filter(None, (talk.answers.get("note"), text)))
    end(tx, talk)
    perform(tx, person, f"repair.add{talk.about.removeprefix('repair')}", photos=photos, note=note)


def urgent_in_reopening(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """What is still wrong is dangerous."""
    end(tx, talk)
    perform(tx, person, f"repair.reopen{talk.about.removeprefix('repair')}", why=text)


def reopen_without_words(tx: Tx, person: Person, talk: Talk) -> bool:
    """Take a dispute whose question stays unanswered for what it is: it is not repaired."""
    repair = tx.session.get(Repair, int(talk.about.removeprefix("repair:")))
    if repair is None or repair.state not in ("done", "closed"):
        return False
    reopen(tx, person, repair, "")
    return True


def _files(answers: Answers) -> list[Any]:
    return list((answers.get("photos") or {}).get("files", []))


def heard_place(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Each word and photo of where the emergency is reaches the crew at once."""
    if changed:
        perform(tx, person, f"repair.locate{talk.about.removeprefix('repair')}", answers=talk.answers)
    return False


know(Known(REPAIR, facts_for, heard, urgent=urgent_in_form, dropped=rescue))
know(Known(WALK_IN, facts_for, heard, urgent=urgent_in_form, dropped=rescue, about=of_whom))
know(Known(EMERGENCY, facts_for, heard_place, urgent=urgent_again, ends_in_silence=True))
know(Known(MORE, no_facts, urgent=urgent_in_more))
know(Known(DONE, no_facts))
know(Known(REOPEN, no_facts, urgent=urgent_in_reopening, dropped=reopen_without_words))


@action("repair.start", button=True, stays=True)
def begin(tx: Tx, person: Person) -> None:
    """Open the form, or go on with one that is half filled in."""
    talk = open_talk(tx, person, tx.place) if tx.place else None
    if talk is not None and talk.script == "repair" and talk.answers:
        ask(tx, person, talk, lead="talk.already")
    else:
        start(tx, person, "repair")


def read_free(tx: Tx, person: Person, text: str, files: Sequence[File] = ()) -> bool:
    """A free sentence, or a lone photo, of somebody who may report: True if it was taken as a report.

    A photo alone belongs to the emergency that is going on. What is urgent is reported and paged at once; what names
    something to repair opens the form with what is known already. Whoever does not live here reports emergencies only.
    """
    going_on = _same_emergency(tx, person, "other", {}) if files and not text else None
    if going_on is not None:
        photos = {"files": [file.model_dump() for file in files], "done": True}
        perform(tx, person, f"repair.add:{going_on.id}", photos=photos)
        return True
    verdict = judge.urgency(tx, person.community_id, text, person.language)
    if verdict.verdict == "urgent":
        perform(tx, person, "repair.emergency", answers=_spoken_report(tx, person, text, files, {}))
        return True
    if not is_resident(tx, person) or not (files or verdict.verdict == "ask" or verdict.kind != "other"):
        return False
    talk = start(tx, person, "repair", answers=_spoken_report(tx, person, text, files, {}))
    if verdict.verdict == "ask":
        _doubt(tx, talk)
    return True


def _spoken_report(tx: Tx, person: Person, text: str, files: Sequence[File], before: Answers) -> Answers:
    """What a free sentence and its photos answer, beside what was answered before."""
    answers: Answers = {}
    if text:
        answers = {"what": text[:LONGEST], **where_in(text, before, LazyFacts(facts_for(tx, person, {})))}
    if files:
        answers["photos"] = {"files": [*_files(before), *(file.model_dump() for file in files)], "done": True}
    return answers


# --- a report comes in ------------------------------------------------------------------------------


@action("repair.emergency")
def emergency(
    tx: Tx, person: Person, answers: Answers, confirmed: bool = True, ask_where: bool = True
) -> None:
    """Register and page at once; then ask only what helps the crew to find the place."""
    by, person = person, _for_whom(tx, person, answers)
    verdict = _judged(tx, person, answers)
    before = _same_emergency(tx, person, verdict.kind, answers)
    if before is not None:
        _more_of_it(tx, person, before, answers, verdict, confirmed=confirmed)
        if by is not person:
            _tell_entered(tx, by, person, before)
        return
    repair = _register(tx, person, answers, verdict, urgent=True, confirmed=confirmed)
    tell(
        tx,
        person,
        "repair.emergency" if confirmed else "repair.emergency_unconfirmed",
        lane=URGENT,
        number=repair.number,
        entered=Say("repair.entered_mark") if by is not person else "",
        community=_which_community(tx, by),
        advice=advice(repair.kind),
        why=because(repair),
        phone=office(tx, person.community_id),
        buttons=[
            *(each for each in owner_buttons(repair) if not each.action.startswith("repair.more")),
            *(["communities"] if len(communities_of(tx)) > 1 and by is person else []),
        ],
        last=to_reporter(repair),
    )
    if by is not person:
        _tell_entered(tx, by, person, repair)
    _ring(tx, repair)
    publish(
        tx,
        repair.community_id,
        "repair.board",
        about=f"repair:{repair.id}",
        photos=photos_of(tx, repair),
        silent=repair.place in ("", "home"),
        but=person,
        **public(tx, repair),
    )
    if ask_where and tx.place is not None and tx.place.kind == "private":
        start(tx, person, "emergency", about=f"repair:{repair.id}", answers=_known_place(answers))


def _which_community(tx: Tx, by: Person) -> Any:
    """Where it was reported, for somebody of several communities, who may have meant another."""
    if len(communities_of(tx)) < 2 or (tx.place is not None and tx.place.kind != "private"):
        return ""
    return Say("repair.community_mark", community=tx.community(by.community_id).name)


def _known_place(answers: Answers) -> Answers:
    return {
        name: answers[name] for name in ("place", "home", "building", "spot", "photos") if name in answers
    }


def _same_emergency(tx: Tx, person: Person, kind: str, answers: Answers) -> Repair | None:
    """The emergency that somebody in fear is telling us about again: no other place, and no other danger."""
    recent = tx.session.exec(
        select(Repair)
        .where(
            Repair.person_id == person.id,
            col(Repair.urgent),
            col(Repair.state).in_(WORK),
            Repair.reported_at > tx.now - SAME_EMERGENCY,
        )
        .order_by(col(Repair.id).desc())
        .with_for_update()
    )
    for repair in recent:
        same_kind = repair.kind == kind or repair.kind in ANY_DANGER or kind in ANY_DANGER
        elsewhere = any(
            known and answers.get(name) and known != answers[name]
            for name, known in (("place", repair.place), ("building", repair.building))
        )
        if same_kind and not elsewhere:
            return repair
    return None


def _more_of_it(
    tx: Tx, person: Person, repair: Repair, answers: Answers, verdict: Verdict, *, confirmed: bool
) -> None:
    """Add what is told again to an emergency; whoever has accepted it sees it as a new message."""
    named = repair.kind in ANY_DANGER and verdict.kind not in ANY_DANGER
    repair.kind = verdict.kind if named else repair.kind
    repair.confirmed = repair.confirmed or confirmed
    _add_words(repair, answers.get("what", ""))
    _locate(tx, person, repair, answers)
    add_photos(tx, person, repair, answers.get("photos"))
    _show_to_who_has_it(tx, repair)
    first = reader_of(tx, person).show(advice(repair.kind)) if named else ""
    tell_owner(tx, repair, "repair.added", lead=first)
    refresh(tx, repair)
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None:
        ask(tx, person, talk)


def _show_to_who_has_it(tx: Tx, repair: Repair) -> None:
    if repair.crew_id is not None and repair.state in WORK:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, anew=True, lane=URGENT if repair.urgent else None)


@action("repair.unconfirmed", Talk)
def unconfirmed(tx: Tx, person: None, talk: Talk) -> None:
    """It sounds dangerous, and the person went silent: page it as not confirmed."""
    owner = tx.session.get_one(Person, talk.person_id)
    if talk.script in ("repair", "walk_in") and _is_doubtful(tx, owner, talk):
        end(tx, talk)
        emergency(tx, owner, talk.answers, confirmed=False)


@action("repair.affirm", Repair, button=True)
def affirm(tx: Tx, person: Person, repair: Repair) -> None:
    """What was paged without an answer is really happening."""
    _must_be(repair, *WORK)
    repair.confirmed = True
    _show_to_who_has_it(tx, repair)
    tell_owner(tx, repair, "repair.affirmed")
    refresh(tx, repair)


@action("repair.report")
def report(tx: Tx, person: Person, **answers: Any) -> None:
    """Register an ordinary repair: board, owners' chats, the crew in charge, a deadline."""
    policy = policy_of(tx, person.community_id)
    if _reports_today(tx, person) >= policy.reports_a_day:
        raise NotNow(
            "refused.too_many_reports", most=policy.reports_a_day, phone=office(tx, person.community_id)
        )
    _report(tx, person, answers)


@action("repair.for", HomeRole, button=True, stays=True)
def begin_for(tx: Tx, person: Person, tie: HomeRole) -> None:
    """Staff report something for an owner who telephones or walks in."""
    about = f"person:{tie.person_id}"
    talk = open_talk(tx, person, tx.place) if tx.place else None
    if talk is not None and (talk.script, talk.about) == ("walk_in", about):
        ask(tx, person, talk, lead="talk.already")
        return
    start(tx, person, "walk_in", about=about, answers={"for": tie.person_id, "home": str(tie.home_id)})


@action("repair.enter", Person)
def enter(tx: Tx, person: Person, owner: Person, **answers: Any) -> None:
    """What staff reported for an owner is the owner's report."""
    _tell_entered(tx, person, owner, _report(tx, owner, answers, entered=True))


@action("repair.enter_urgent", Person)
def enter_urgent(tx: Tx, person: Person, owner: Person, answers: Answers) -> None:
    """The danger that staff were told of pages in the owner's name."""
    emergency(tx, person, {**answers, "for": owner.id})


def _tell_entered(tx: Tx, by: Person, owner: Person, repair: Repair) -> None:
    """Answer whoever entered it; in danger with what to say on the telephone, which the owner may be holding."""
    key = "repair.entered" if can_be_reached(tx, owner) else "repair.entered_unreached"
    entered = Say(key, number=repair.number, name=owner.name or Say("person.forgotten"))
    if repair.urgent:
        tell(tx, here(tx, by), "repair.read_out", entered=entered, advice=advice(repair.kind))
    else:
        tell(tx, here(tx, by), "rest.text", text=entered)


def _report(tx: Tx, person: Person, answers: Answers, *, entered: bool = False) -> Repair:
    repair = _register(tx, person, answers, _judged(tx, person, answers), urgent=False)
    _assign(tx, repair)
    tell_owner(
        tx,
        repair,
        "repair.reported",
        **private(tx, repair),
        entered=Say("repair.entered_mark") if entered else "",
        assigned=assigned(tx, repair),
    )
    publish(
        tx,
        repair.community_id,
        "repair.board",
        about=f"repair:{repair.id}",
        photos=photos_of(tx, repair),
        but=person,
        **public(tx, repair),
    )
    return repair


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
        number=next_number(tx, person.community_id, "repair"),
        person_id=person.id,
        what=answers.get("what", "")[:LONGEST],
        kind=verdict.kind,
        urgent=urgent,
        confirmed=confirmed,
        why=_reasons(tx, person, answers) if urgent else [],
        reported_at=tx.now,
    )
    _locate(tx, person, repair, answers)
    tx.session.add(repair)
    tx.session.flush()
    add_photos(tx, person, repair, answers.get("photos"))
    add_event(tx, repair, "event.reported_urgent" if urgent else "event.reported", person)
    return repair


def _reasons(tx: Tx, person: Person, answers: Answers) -> list[dict[str, str]]:
    """The rules' sentences in every language, each with the words of the report that decided."""
    judged = {language: _judged(tx, person, answers, language).why for language in LANGUAGES}
    return [
        {
            language: f"{why.sentence}（{'、'.join(why.words)}）"
            for language, why in zip(judged, reason, strict=True)
        }
        for reason in zip(*judged.values(), strict=True)
    ]


def _locate(tx: Tx, person: Person, repair: Repair, answers: Answers) -> None:
    """Write down what the answers say of the place; a person's only home or the only building needs no words."""
    homes = homes_of(tx, person)
    repair.place = answers.get("place") or repair.place
    repair.entry = answers.get("entry") or repair.entry
    repair.spot = answers.get("spot") or repair.spot
    repair.building = answers.get("building") or repair.building
    if repair.place not in ("", "home"):
        repair.home_id = None
    elif repair.place == "":  # staff know whose home they speak for, but not whether it is there
        named = [each.id for each in homes if str(each.id) == answers.get("home")]
        repair.home_id = named[0] if named else repair.home_id
    elif homes:
        chosen = [home for home in homes if str(home.id) == answers.get("home")]
        if chosen or len(homes) == 1:
            repair.home_id = (chosen or homes)[0].id
            repair.building = (chosen or homes)[0].building
    if repair.place and not repair.building:
        buildings = buildings_of(tx, repair.community_id)
        repair.building = buildings[0] if len(buildings) == 1 else ""


@action("repair.locate", Repair)
def locate(tx: Tx, person: Person, repair: Repair, answers: Answers) -> None:
    """Show the crew at once where the emergency is, and what it looks like."""
    _locate(tx, person, repair, answers)
    if add_photos(tx, person, repair, answers.get("photos")):
        _show_photos(tx, repair)
    refresh(tx, repair)


def _show_photos(tx: Tx, repair: Repair) -> None:
    """New photos need a new message: a message that stands cannot be given more."""
    if repair.crew_id is not None:
        _show_to_who_has_it(tx, repair)
        return
    for person in called(tx, repair):
        show_card(tx, repair, person, anew=True, lane=URGENT if repair.urgent else None)


@action("repair.located", Repair)
def located(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The questions after an emergency are over."""
    locate(tx, person, repair, answers)
    tell_owner(
        tx,
        repair,
        "repair.located",
        where=where(tx, repair),
        state=Say(f"state.{repair.state}"),
    )


# --- paging and assigning ---------------------------------------------------------------------------


def _ring(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Page whoever is on duty, from the second time on the whole crew and the admin group, until somebody accepts.

    `but` has just said that they cannot go.
    """
    repair.ring += 1
    everybody = [
        person
        for person, _ in crew_of(tx, repair.community_id)
        if (but is None or person.id != but.id) and can_be_reached(tx, person)
    ]
    duty = {person.id for person in on_duty(tx, repair.community_id, repair.kind, repair.building)}
    chosen = [person for person in everybody if repair.ring > 1 or person.id in duty]
    for person in chosen or everybody:
        show_card(tx, repair, person, key="repair.page", anew=True, lane=URGENT)
    louder = repair.ring > 1 or not chosen
    staff_card(
        tx,
        repair,
        key="repair.page_staff_again" if louder else "repair.page_staff",
        anew=True,
        lane=URGENT,
    )
    if repair.ring == 2:
        tell_owner(tx, repair, "repair.still_nobody", lane=URGENT, phone=office(tx, repair.community_id))
    tx.session.add(repair)
    minutes = policy_of(tx, repair.community_id).page_again_minutes
    set_timer(tx, repair.community_id, f"repair.page:{repair.id}", tx.now + timedelta(minutes=minutes))
    add_event(tx, repair, "event.paged", None, count=len(chosen or everybody))


@action("repair.page", Repair)
def page(tx: Tx, person: None, repair: Repair) -> None:
    """Nobody has accepted yet: page again, louder."""
    if repair.state == "waiting" and repair.urgent:
        _ring(tx, repair)


def _assign(tx: Tx, repair: Repair, but: Person | None = None) -> None:
    """Put one member of the crew in charge (who can do it and has the fewest open tickets), with a deadline.

    A deadline that was promised stays. With nobody left, the admin group is told.
    """
    chosen = _least_busy(tx, repair, but)
    repair.crew_id = chosen.id if chosen else None
    if repair.due_at is None:
        days = policy_of(tx, repair.community_id).repair_days
        _set_deadline(tx, repair, working_deadline(tx, repair.community_id, days))
    tx.session.add(repair)
    tx.session.flush()
    if chosen is not None:
        show_card(tx, repair, chosen, key="repair.ticket", anew=True)
        staff_card(tx, repair)
    else:
        staff_card(tx, repair, key="repair.unassigned_staff", anew=True)


def _set_deadline(tx: Tx, repair: Repair, due_at: Any) -> None:
    repair.due_at = due_at
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", due_at)


def _least_busy(tx: Tx, repair: Repair, but: Person | None) -> Person | None:
    """Who can do it and has the fewest open tickets; between equals, whose own trade it is."""
    crew = [
        each
        for each in crew_of(tx, repair.community_id)
        if (but is None or each[0].id != but.id) and can_be_reached(tx, each[0])
    ]
    able = best_for(crew, repair.kind, repair.building)
    ranked = sorted(
        able, key=lambda each: (tickets_of(tx, each[0]), repair.kind not in each[1].skills, each[0].id)
    )
    return ranked[0][0] if ranked else None


@action("repair.overdue", Repair)
def overdue(tx: Tx, person: None, repair: Repair) -> None:
    """The deadline has passed: the crew in charge, the admin group, the board and the owner are told, once a day."""
    if repair.state not in WORK or repair.due_at is None:
        return
    if repair.crew_id is not None:
        crew = tx.session.get_one(Person, repair.crew_id)
        show_card(tx, repair, crew, key="repair.overdue_crew", anew=True)
    staff_card(tx, repair, key="repair.overdue_staff", anew=True)
    told = [
        event for event in events(tx, repair) if event.key == "event.overdue" and event.at >= repair.due_at
    ]
    if not told:  # the owner and the board hear of it once
        tell_owner(tx, repair, "repair.overdue", **{**private(tx, repair), "what": brief(repair)})
        add_event(tx, repair, "event.overdue", None)
        board(tx, repair)
    set_timer(tx, repair.community_id, f"repair.overdue:{repair.id}", tx.now + OVERDUE_AGAIN)


# --- the crew's taps --------------------------------------------------------------------------------


@action("repair.accept", Repair, button=True)
def accept(tx: Tx, person: Person, repair: Repair) -> None:
    """One tap, and it is theirs; a second tap of the same person does no harm. An emergency now has a deadline."""
    if repair.state in ON_IT and repair.crew_id == person.id:
        show_card(tx, repair, person, anew=True)
        return
    if repair.state in ON_IT:
        raise Refused("refused.taken", who=name_of(tx, repair.crew_id))
    _must_be(repair, "waiting")
    repair.state, repair.crew_id = "accepted", person.id
    stop_timer(tx, f"repair.page:{repair.id}")
    if repair.urgent:
        hours = policy_of(tx, repair.community_id).urgent_hours
        _set_deadline(tx, repair, tx.now + timedelta(hours=hours))
    add_event(tx, repair, "event.accepted", person)
    tell_owner(tx, repair, "repair.accepted", who=person.name, lane=URGENT if repair.urgent else None)
    refresh(tx, repair)


def tickets_of(tx: Tx, person: Person) -> int:
    """How many tickets a member of the crew has in hand."""
    theirs = select(func.count()).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    return tx.session.exec(theirs).one()


def release(tx: Tx, person: Person) -> tuple[int, int]:
    """Give the tickets of somebody who has left the crew to others; how many, and for how many nobody was left."""
    theirs = select(Repair).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    given = tx.session.exec(theirs.order_by(*IN_ORDER).with_for_update()).all()
    for repair in given:
        promised = repair.state in ON_IT
        _give_back(tx, person, repair)
        if repair.crew_id is not None and not promised:  # its owner was told who would come
            tell_owner(tx, repair, "repair.reassigned", who=assigned(tx, repair), due=repair.due_at)
    close_cards(tx, person)
    return len(given), sum(repair.crew_id is None and not repair.urgent for repair in given)


@action("repair.decline", Repair, button=True)
def decline(tx: Tx, person: Person, repair: Repair) -> None:
    """Cannot go: an emergency goes on paging the others, an ordinary ticket goes to somebody else."""
    if repair.crew_id not in (None, person.id):
        raise Refused("refused.taken", who=name_of(tx, repair.crew_id))
    _must_be(repair, *WORK)
    tell(tx, person, "repair.declined", number=repair.number)
    _give_back(tx, person, repair)


def _give_back(tx: Tx, person: Person, repair: Repair) -> None:
    """Somebody else has to go."""
    was_theirs, was_promised = repair.crew_id == person.id, repair.state in ON_IT
    repair.state, repair.crew_id = "waiting", None
    end_about(tx, f"repair:{repair.id}", "done")
    add_event(tx, repair, "event.declined", person)
    if was_promised:
        tell_owner(tx, repair, "repair.declined_owner", who=person.name)
    if repair.urgent:
        repair.due_at = None
        stop_timer(tx, f"repair.overdue:{repair.id}")
        _ring(tx, repair, but=person)
    elif was_theirs:
        _assign(tx, repair, but=person)
    refresh(tx, repair)


@action("repair.go", Repair, button=True)
def go(tx: Tx, person: Person, repair: Repair) -> None:
    """On the way."""
    _must_be(repair, *ON_IT)
    if repair.state == "accepted":
        repair.state = "on_way"
        add_event(tx, repair, "event.on_way", person)
        tell_owner(tx, repair, "repair.on_way", who=person.name)
    refresh(tx, repair)


@action("repair.finish", Repair, button=True, stays=True)
def finish(tx: Tx, person: Person, repair: Repair) -> None:
    """Ask for a photo and a word on what was done; both may be skipped."""
    _must_be(repair, *ON_IT)
    start(tx, person, "done", about=f"repair:{repair.id}")


@action("repair.done", Repair)
def done(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """The work is done: the owner is asked whether it is."""
    _must_be(repair, *ON_IT)
    repair.state = "done"
    photos = add_photos(tx, person, repair, answers.get("photos"))
    note = answers.get("note") or ""
    add_event(tx, repair, "event.done", person, note=note)
    stop_timer(tx, f"repair.overdue:{repair.id}")
    tell(tx, person, "repair.done_crew", number=repair.number)
    tell_owner(
        tx,
        repair,
        "repair.done",
        who=person.name,
        note=Say("repair.note", note=note) if note else "",
        photos=photos,
    )
    _ask_again_later(tx, repair)
    refresh(tx, repair)


def _still_works(tx: Tx, crew: Person) -> bool:
    return "crew" in roles_of(tx, crew) and can_be_reached(tx, crew)


def _ask_again_later(tx: Tx, repair: Repair) -> Any:
    days = policy_of(tx, repair.community_id).confirm_days
    set_timer(tx, repair.community_id, f"repair.silence:{repair.id}", tx.now + timedelta(days=days))
    return tx.now + timedelta(days=days)


@action("repair.silence", Repair)
def silence(tx: Tx, person: None, repair: Repair) -> None:
    """The owner has not said whether it is repaired: ask once more, then take it as repaired."""
    if repair.state != "done":
        return
    finished = [event for event in events(tx, repair) if event.key in ("event.done", "event.reminded")]
    if finished[-1].key == "event.done":
        add_event(tx, repair, "event.reminded", None)
        tell_owner(tx, repair, "repair.remind", until=_ask_again_later(tx, repair), what=brief(repair))
        return
    repair.state = "closed"
    add_event(tx, repair, "event.closed_silent", None)
    tell_owner(tx, repair, "repair.closed_silent", what=brief(repair))
    refresh(tx, repair)


# --- the owner's taps -------------------------------------------------------------------------------


@action("repair.confirm", Repair, button=True)
def confirm(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is repaired: the end."""
    _must_be(repair, "done")
    repair.state = "closed"
    stop_timer(tx, f"repair.silence:{repair.id}")
    end_about(tx, f"repair:{repair.id}", REOPEN.name)
    add_event(tx, repair, "event.closed", person)
    tell_owner(tx, repair, "repair.closed")
    refresh(tx, repair)


@action("repair.dispute", Repair, button=True, stays=True)
def dispute(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner says that it is not repaired: ask what is wrong."""
    _must_be(repair, "done", "closed")
    start(tx, person, "reopen", about=f"repair:{repair.id}")
    set_timer(tx, repair.community_id, f"repair.disputed:{repair.id}", tx.now + UNSAID)


@action("repair.disputed", Repair)
def disputed(tx: Tx, person: None, repair: Repair) -> None:
    """It is not repaired, the owner said, and did not say what is wrong: the crew hears of it all the same."""
    asked = select(Talk).where(Talk.script == REOPEN.name, Talk.about == f"repair:{repair.id}")
    for talk in tx.session.exec(asked).all():
        owner = tx.session.get_one(Person, talk.person_id)
        end(tx, talk)
        reopen_without_words(tx, owner, talk)


@action("repair.reopen", Repair)
def reopen(tx: Tx, person: Person, repair: Repair, why: str) -> None:
    """Back to the crew in charge with a new deadline; an emergency, or what has become one, is paged."""
    _must_be(repair, "done", "closed")
    repair.state, repair.due_at = "waiting", None
    for clock in ("silence", "disputed"):
        stop_timer(tx, f"repair.{clock}:{repair.id}")
    _add_words(repair, why)
    add_event(tx, repair, "event.reopened", person)
    said = {"what": why, "place": repair.place}
    verdict = _judged(tx, person, said)
    if verdict.verdict == "urgent":
        repair.urgent, repair.kind, repair.why = True, verdict.kind, _reasons(tx, person, said)
    if repair.urgent:
        repair.ring, repair.crew_id = 0, None
        _ring(tx, repair)
    elif repair.crew_id is not None and _still_works(tx, crew := tx.session.get_one(Person, repair.crew_id)):
        days = policy_of(tx, repair.community_id).repair_days
        _set_deadline(tx, repair, working_deadline(tx, repair.community_id, days))
        show_card(tx, repair, crew, key="repair.reopened_crew", anew=True)
    else:
        _assign(tx, repair)
    after = Say("repair.next_due", due=repair.due_at) if repair.due_at else Say("repair.next_urgent")
    tell_owner(tx, repair, "repair.reopened", after=after, **private(tx, repair))
    refresh(tx, repair)


@action("repair.more", Repair, button=True, stays=True)
def more(tx: Tx, person: Person, repair: Repair) -> None:
    """Photos or words to add."""
    _must_be(repair, *OPEN)
    start(tx, person, "more", about=f"repair:{repair.id}")


@action("repair.add", Repair)
def add(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """Add photos or words, also to what is said to be done; words that show danger raise the report."""
    _must_be(repair, *OPEN)
    photos = add_photos(tx, person, repair, answers.get("photos"))
    _add_words(repair, answers.get("note") or "")
    said = {"what": answers.get("note") or "", "place": repair.place}
    verdict = _judged(tx, person, said)
    if verdict.verdict == "urgent" and repair.state == "done":
        reopen(tx, person, repair, said["what"])
        return
    if verdict.verdict == "urgent" and not repair.urgent:
        repair.kind, repair.why = verdict.kind, _reasons(tx, person, said)
        _raise(tx, repair, person)
        tell_owner(
            tx,
            repair,
            "repair.raised",
            advice=advice(repair.kind),
            phone=office(tx, person.community_id),
        )
    else:
        dangerous = verdict.verdict == "urgent"
        if photos or dangerous:
            _show_photos(tx, repair)
        tell_owner(
            tx,
            repair,
            "repair.added",
            lead=reader_of(tx, person).show(advice(verdict.kind)) if dangerous else "",
        )
    refresh(tx, repair)


@action("repair.raise", Repair, button=True, grave=True)
def raise_(tx: Tx, person: Person, repair: Repair) -> None:
    """It has become urgent, the owner or the staff say: no rule is asked."""
    _must_be(repair, *WORK)
    by_owner = repair.person_id == person.id
    if not repair.urgent:
        key = "repair.why_reporter" if by_owner else "repair.why_staff"
        repair.why = [{language: texts(language)[key] for language in LANGUAGES}]
        _raise(tx, repair, person)
    refresh(tx, repair)
    tell_owner(
        tx,
        repair,
        "repair.raised" if by_owner else "repair.raised_by_staff",
        advice=advice(repair.kind),
        phone=office(tx, person.community_id),
    )


def _raise(tx: Tx, repair: Repair, person: Person) -> None:
    repair.urgent, repair.ring = True, 0
    add_event(tx, repair, "event.raised", person)
    if repair.state == "waiting":
        repair.crew_id, repair.due_at = None, None
        stop_timer(tx, f"repair.overdue:{repair.id}")
        _ring(tx, repair)
    else:
        _show_to_who_has_it(tx, repair)
        staff_card(tx, repair, anew=True)


@action("repair.withdraw", Repair, button=True, grave=True)
def withdraw(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner needs it no more."""
    _must_be(repair, *WORK)
    repair.state = "withdrawn"
    end_about(tx, f"repair:{repair.id}")
    stop_timer(tx, f"repair.page:{repair.id}")
    stop_timer(tx, f"repair.overdue:{repair.id}")
    add_event(tx, repair, "event.withdrawn", person)
    tell(tx, person, "repair.withdrawn", number=repair.number, last=to_reporter(repair))
    for crew in called(tx, repair):
        if repair.crew_id in (None, crew.id):
            tell(tx, crew, "repair.withdrawn_crew", **private(tx, repair))
    take_back(tx, repair.community_id, f"repair:{repair.id}")
    refresh(tx, repair)


# --- looking ----------------------------------------------------------------------------------------


@action("repair.show", Repair, button=True, stays=True)
def show(tx: Tx, person: Person, repair: Repair) -> None:
    """One repair with its timeline, and what the person can do with it."""
    staff_here = tx.place is not None and tx.place.kind == "staff"
    to = tx.place if staff_here and tx.place else person
    reader = reader_of(tx, to)
    lines = timeline(tx, f"repair:{repair.id}", reader)
    tell(
        tx,
        to,
        "repair.show",
        **private(tx, repair),
        assigned=assigned(tx, repair),
        timeline="\n".join(lines),
        photos=photos_of(tx, repair),
        buttons=() if staff_here else buttons_for(tx, repair, person),
        last=None if staff_here else looked_at(tx, repair, person),
    )


@action("repair.open", button=True, stays=True)
def open_list(tx: Tx, person: Person) -> None:
    """The open tickets: the crew's own in the order in which to go, or all of them for staff in the group."""
    in_group = tx.place is not None and tx.place.kind == "staff"
    all_of_them = in_group or "crew" not in roles_of(tx, person)
    repairs = _open_repairs(tx, person.community_id) if all_of_them else _to_do(tx, person)
    _list(tx, person, repairs, "repair.tickets")


def show_waiting(tx: Tx, person: Person) -> None:
    """What waits for an answer: work that its reporter has not confirmed, tickets that the crew has in hand."""
    asked = select(Repair).where(Repair.person_id == person.id, Repair.state == "done")
    for repair in tx.session.exec(asked.order_by(col(Repair.id)).limit(10)).all():
        tell_owner(tx, repair, "repair.waits", what=brief(repair))
    if "crew" in roles_of(tx, person) and _to_do(tx, person):
        open_list(tx, person)


def mine(tx: Tx, person: Person) -> None:
    """What the person reported, newest first: the open ones, else the last few."""
    everything = select(Repair).where(Repair.person_id == person.id).order_by(col(Repair.id).desc())
    opened = tx.session.exec(everything.where(col(Repair.state).in_(OPEN)).limit(10)).all()
    _list(tx, person, opened or tx.session.exec(everything.limit(3)).all(), "repair.mine")


def _list(tx: Tx, person: Person, repairs: Sequence[Repair], key: str) -> None:
    to = tx.place if tx.place is not None and tx.place.kind == "staff" else person
    reader = reader_of(tx, to)
    lines = [
        reader.say(
            "repair.line_urgent" if repair.urgent else "repair.line",
            **{**private(tx, repair), "what": brief(repair)},
        )
        for repair in repairs
    ]
    tell(
        tx,
        to,
        key if lines else f"{key}_none",
        list="\n".join(lines),
        buttons=[Button(f"repair.show:{repair.id}", number=repair.number) for repair in repairs[:10]],
    )


IN_ORDER = (col(Repair.urgent).desc(), col(Repair.due_at).nulls_first(), col(Repair.id))


def _open_repairs(tx: Tx, community_id: int) -> Sequence[Repair]:
    at_work = select(Repair).where(Repair.community_id == community_id, col(Repair.state).in_(WORK))
    return tx.session.exec(at_work.order_by(*IN_ORDER).limit(20)).all()


def _tickets(tx: Tx, person: Person) -> Sequence[Repair]:
    """What a member of the crew has in hand."""
    theirs = select(Repair).where(Repair.crew_id == person.id, col(Repair.state).in_(WORK))
    return tx.session.exec(theirs.order_by(*IN_ORDER).limit(20)).all()


def _to_do(tx: Tx, person: Person) -> Sequence[Repair]:
    """What a member of the crew has in hand, and what waits for anybody."""
    free = select(Repair).where(
        Repair.community_id == person.community_id, Repair.state == "waiting", col(Repair.crew_id).is_(None)
    )
    waiting = tx.session.exec(free.order_by(*IN_ORDER).limit(20)).all()
    return [
        *(each for each in waiting if each.urgent),
        *_tickets(tx, person),
        *(e for e in waiting if not e.urgent),
    ]


# --- small things -----------------------------------------------------------------------------------


def _must_be(repair: Repair, *states: str) -> None:
    if repair.state not in states:
        raise Refused("refused.over", number=repair.number, state=Say(f"state.{repair.state}"))


def _add_words(repair: Repair, words: str) -> None:
    """What is told after the report is for the crew and the staff: it may hold a door's code."""
    if words and words not in (*repair.what.split("；"), *repair.added.split("；")):
        repair.added = "；".join(filter(None, (repair.added, words)))[:LONGEST]
