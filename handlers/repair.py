"""Repairs: reported, judged, paged or put on the board, worked on, and confirmed by who reported them."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import NotNow, Refused, Unclear
from conversations.repair import CORRECT, EMERGENCY, LOWER, MORE, REPAIR, WALK_IN, where_in
from conversations.repair import LONGEST as SAID
from conversations.said import File
from conversations.steps import Answers, LazyFacts
from conversations.words import LANGUAGES, Say, texts
from handlers import judge
from handlers.actions import action, perform
from handlers.assigning import assign, deadline_for, set_deadline, stop_deadline
from handlers.following import follow, locked_row, more_of_others, offered, pass_on, same_emergency
from handlers.notices import publish, take_back
from handlers.numbers import begin_turn, next_number
from handlers.paging import danger_about, ring, stop_paging
from handlers.pausing import settle_clock
from handlers.people import (
    buildings_of,
    communities_of,
    homes_of,
    is_resident,
    speak_as,
)
from handlers.policy import policy_of
from handlers.repair_cards import (
    LONGEST,
    OPEN,
    WORK,
    add_event,
    add_photos,
    add_words,
    address,
    advice,
    assigned,
    because,
    board_buttons,
    called,
    can_be_reached,
    must_be,
    of_repair,
    office,
    owner_buttons,
    photos_of,
    private,
    public,
    refresh,
    show_card,
    show_to_who_has_it,
    staff_card,
    tell_concerned,
    tell_owner,
    to_reporter,
    where,
)
from handlers.repair_end import reopen
from handlers.talk import Known, ask, end, end_about, hear, here, know, no_facts, open_talk, start
from handlers.tell import URGENT, reader_of, tell
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from handlers.work import let_go
from moderation.urgency import Verdict
from store.tables import HomeRole, Person, Repair, Talk

SAME_EMERGENCY = timedelta(hours=1)
ANY_DANGER = ("other", "hazard")  # kinds of a cry for help that names no danger


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
        return judge.report(tx, person.community_id, answers).verdict if answers.get("what") else ""

    def kind() -> str:
        return judge.report(tx, person.community_id, answers).kind if answers.get("what") else ""

    def similar() -> list[tuple[str, str]]:
        if not (answers.get("what") and answers.get("place")):
            return []
        return [(value, reader.show(label)) for value, label in offered(tx, owner, kind(), answers)]

    def communities() -> list[tuple[str, str]]:
        return [(str(each.id), each.name) for _, each in communities_of(tx)]

    return {
        "homes": homes,
        "buildings": buildings,
        "verdict": verdict,
        "kind": kind,
        "communities": communities,
        "similar": similar,
    }


def _for_whom(tx: Tx, person: Person, answers: Answers) -> Person:
    """Whose report it is: the speaker's, or that of an owner for whom staff speak (only a talk of staff names one)."""
    return tx.session.get_one(Person, answers["for"]) if "for" in answers else person


def of_report(tx: Tx, talk: Talk) -> dict[str, Any]:
    """What the last look says beside the answers: how the report is judged."""
    kind = judge.report(tx, talk.community_id, talk.answers).kind
    bare = talk.answers.get("spoken") and not talk.answers.get("photos")
    photos = Say("repair.photos_mark") if bare else ""
    return {"judged": Say("repair.judged", kind=Say(f"kind.{kind}"), photos=photos)}


def of_whom(tx: Tx, talk: Talk) -> dict[str, Any]:
    """For whom staff speak, for the words of the questions."""
    owner = tx.session.get_one(Person, talk.answers["for"])
    return {"who": owner.name or Say("person.forgotten"), **of_report(tx, talk)}


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Danger never waits for the end of the form: the page leaves with the answer that shows it."""
    if "community" in changed and answers_elsewhere(tx, person, talk):
        return True
    if "what" in changed and "danger" not in changed:  # "no danger" was said of other words
        talk.answers = {name: answer for name, answer in talk.answers.items() if name != "danger"}
    answers = talk.answers
    if answers.get("same") not in (None, "none"):
        _join_instead(tx, person, talk)
        return True
    if answers.get("sight") == "now":
        end(tx, talk)
        _page_at_once(tx, person, answers)
        return True
    if not answers.get("what"):
        if "sight" in answers:
            stop_timer(tx, f"repair.unconfirmed:{talk.id}")
        return False
    verdict = judge.report(tx, person.community_id, answers).verdict
    if answers.get("danger") == "now" or verdict == "urgent":
        end(tx, talk)
        _page_at_once(tx, person, answers)
        return True
    if verdict == "ask" and "danger" not in answers:
        _doubt(tx, talk)
    else:
        stop_timer(tx, f"repair.unconfirmed:{talk.id}")
    return False


def _join_instead(tx: Tx, person: Person, talk: Talk) -> None:
    """It has been reported: who reports it again follows it, or adds to their own report."""
    answers, owner = talk.answers, _for_whom(tx, person, talk.answers)
    end(tx, talk)
    stop_timer(tx, f"repair.unconfirmed:{talk.id}")
    repair = tx.session.get_one(Repair, int(answers["same"]))
    if repair.person_id == owner.id:
        perform(tx, owner, f"repair.add:{repair.id}", photos=answers.get("photos"), note=answers["what"])
    else:
        perform(tx, owner, f"repair.join:{repair.id}", what=answers["what"])
        if _files(answers):
            add_photos(tx, owner, repair, answers["photos"])
            _show_photos(tx, repair)
    if owner is not person:
        _tell_entered(tx, person, owner, repair)


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
        for name in ("community", "what", "danger", "photos", "place", "spot", "entry", "spoken")
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
    return _is_wordless(answers) or (
        bool(answers.get("what"))
        and "danger" not in answers
        and judge.report(tx, person.community_id, answers).verdict != "normal"
    )


def _is_wordless(answers: Answers) -> bool:
    """Only a photo or a recording has come, and nobody has said yet whether it is a danger."""
    return bool(answers.get("wordless")) and not answers.get("what") and "sight" not in answers


def rescue(tx: Tx, person: Person, talk: Talk) -> bool:
    """A form that sounds dangerous is pushed aside by another talk: page it as not confirmed.

    Not a mere photo: whoever goes on to something else is there, and in no fear.
    """
    if _is_wordless(talk.answers) or not _is_doubtful(tx, person, talk):
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
    files_so_far = [*_files(form), *_files(said)]
    kept = {**form, **said, "what": what, "photos": {"files": files_so_far, "done": True}}
    if not files_so_far:  # then they are asked for
        del kept["photos"]
    _page_at_once(tx, person, kept)


def meant_instead(tx: Tx, person: Person, talk: Talk) -> None:
    """What another form was told is a report: its words and photos go into the form of one."""
    answers = talk.answers
    photos = {"photos": answers["photos"]} if "photos" in answers else {}
    end(tx, talk)
    start(tx, person, "repair", answers={**photos, "what": answers["text"], "spoken": True})


def urgent_in_another(
    tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File], *, sounds_so: bool
) -> None:
    """In the midst of another form a danger goes first; what only `sounds_so` there is an answer to its question."""
    if tx.said is None or not sounds_so or judge.danger(tx, person.community_id, text):
        read_free(tx, person, text, files)
    elif tx.said.edited:
        raise Unclear("unclear.edited")
    else:
        hear(tx, person, talk, tx.said)


def urgent_again(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger while the place is asked for: more of the same, at the place that is known, or another."""
    answers = {**_known_place(talk.answers), **_spoken_report(tx, person, text, files, {})}
    perform(tx, person, "repair.emergency", answers=answers)


def urgent_in_more(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """A sentence of danger among what is added: it counts at once."""
    photos = {"files": [*_files(talk.answers), *(file.model_dump() for file in files)], "done": True}
    note = "；".join(filter(None, (talk.answers.get("note"), text)))
    end(tx, talk)
    what = f"repair.add{talk.about.removeprefix('repair')}"
    danger_about(tx, person, what, text, files, photos=photos, note=note)


def urgent_in_correction(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """What is put right shows danger."""
    end(tx, talk)
    photos = {"files": [file.model_dump() for file in files], "done": True}
    danger_about(
        tx, person, f"repair.add{talk.about.removeprefix('repair')}", text, files, photos=photos, note=text
    )


def _files(answers: Answers) -> list[Any]:
    return list((answers.get("photos") or {}).get("files", []))


def heard_place(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Each word and photo of where the emergency is reaches the crew at once."""
    if changed:
        perform(tx, person, f"repair.locate{talk.about.removeprefix('repair')}", answers=talk.answers)
    return False


know(Known(REPAIR, facts_for, heard, urgent=urgent_in_form, dropped=rescue, about=of_report))
know(Known(WALK_IN, facts_for, heard, urgent=urgent_in_form, dropped=rescue, about=of_whom))
know(Known(EMERGENCY, facts_for, heard_place, urgent=urgent_again, ends_in_silence=True))
know(Known(MORE, no_facts, urgent=urgent_in_more))
know(Known(CORRECT, facts_for, urgent=urgent_in_correction, about=of_repair))
know(Known(LOWER, no_facts, about=of_repair))


@action("repair.start", button=True, stays=True)
def begin(tx: Tx, person: Person) -> None:
    """Open the form, or go on with one that is half filled in."""
    talk = open_talk(tx, person, tx.place) if tx.place else None
    if talk is not None and talk.script == "repair" and talk.answers:
        ask(tx, person, talk, lead="talk.already")
    else:
        start(tx, person, "repair")


def read_free(tx: Tx, person: Person, text: str, files: Sequence[File] = ()) -> bool:
    """A free sentence, or a lone photo or recording, of somebody who may report: True if it was taken as a report.

    A file alone belongs to the emergency that is going on. What is urgent is reported and paged at once; what names
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
    answers = _spoken_report(tx, person, text, files, {})
    own = _same_emergency(tx, person, verdict.kind, answers) if text else None
    says_where = any(name in answers for name in ("place", "building"))
    if own is not None and (verdict.kind == own.kind or (verdict.kind == "other" and says_where)):
        _more_of_it(tx, person, own, answers, verdict, confirmed=True)
        return True
    if not is_resident(tx, person) or not (files or verdict.verdict == "ask" or verdict.kind != "other"):
        return False
    talk = start(tx, person, "repair", answers={**answers, "spoken" if text else "wordless": True})
    if verdict.verdict == "ask" or not text:
        _doubt(tx, talk)
    return True


def _spoken_report(tx: Tx, person: Person, text: str, files: Sequence[File], before: Answers) -> Answers:
    """What a free sentence and its files answer, beside what was answered before."""
    answers: Answers = {}
    if text:
        answers = {"what": text[:LONGEST], **where_in(text, before, LazyFacts(facts_for(tx, person, {})))}
    if files:
        answers["photos"] = {"files": [*_files(before), *(file.model_dump() for file in files)], "done": True}
    return answers


# --- a report comes in ------------------------------------------------------------------------------


@action("repair.emergency")
def emergency(
    tx: Tx,
    person: Person,
    answers: Answers,
    confirmed: bool = True,
    ask_where: bool = True,
    *,
    alone: bool = False,
) -> None:
    """Register and page at once; then ask only what helps the crew to find the place.

    What others have reported already they follow, unless they have said that it is another one (`alone`). Reports of
    one community come one after another from here on, so that of a thousand only the first is new.
    """
    begin_turn(tx, person.community_id, "repair")
    by, person = person, _for_whom(tx, person, answers)
    if answers.get("what"):  # its words may say where
        answers = {**where_in(answers["what"], {}, LazyFacts(facts_for(tx, person, {}))), **answers}
    verdict = judge.report(tx, person.community_id, answers)
    before = _same_emergency(tx, person, verdict.kind, answers)
    if before is not None:
        _more_of_it(tx, person, before, answers, verdict, confirmed=confirmed)
        if by is not person:
            _tell_entered(tx, by, person, before)
        return
    may_ask = confirmed and by is person and tx.place is not None and tx.place.kind == "private"
    found = None if alone else same_emergency(tx, person, verdict.kind, answers, may_ask=may_ask)
    if found is not None:
        others, likeness = found
        more_of_others(tx, person, others, answers, kind=verdict.kind, certain=likeness == "same")
        if add_photos(tx, person, others, answers.get("photos")):
            _show_photos(tx, others)
        if by is not person:
            _tell_entered(tx, by, person, others)
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
    ring(tx, repair)
    quiet = repair.place in ("", "home") or not repair.confirmed
    publish(
        tx,
        repair.community_id,
        "repair.board",
        about=f"repair:{repair.id}",
        photos=photos_of(tx, repair) if repair.place else (),  # nobody has said yet what they show
        silent=quiet,
        but=person,
        buttons=board_buttons(repair),
        wish="repair" if quiet else "",  # what is loud concerns the safety of all
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
    kept = ("place", "home", "building", "spot", "at", "photos")
    return {name: answers[name] for name in kept if name in answers}


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
    wordless = not repair.what
    if named:
        repair.kind, repair.why = verdict.kind, judge.reasons(tx, person.community_id, answers)
    repair.confirmed = repair.confirmed or confirmed
    add_words(repair, answers.get("what", ""))
    _locate(tx, person, repair, answers)
    add_photos(tx, person, repair, answers.get("photos"))
    show_to_who_has_it(tx, repair)
    first = reader_of(tx, person).show(advice(repair.kind)) if named else ""
    tell_owner(tx, repair, "repair.added", lead=first)
    if wordless and repair.state == "waiting":  # only now is it known what it is
        for each in called(tx, repair):
            show_card(tx, repair, each, anew=True, lane=URGENT)
    refresh(tx, repair)
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None:
        ask(tx, person, talk)
    elif wordless and tx.place is not None and tx.place.kind == "private":
        known = {**_known_place(answers), "photos": {"files": [], "done": True}}  # they have sent one
        start(tx, person, "emergency", about=f"repair:{repair.id}", answers=known)


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
    must_be(repair, *WORK)
    repair.confirmed = True
    show_to_who_has_it(tx, repair)
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
    repair = _register(tx, person, answers, judge.report(tx, person.community_id, answers), urgent=False)
    assign(tx, repair)
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
        buttons=board_buttons(repair),
        wish="repair",
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
        why=_why(tx, person, answers) if urgent else [],
        reported_at=tx.now,
    )
    _locate(tx, person, repair, answers)
    tx.session.add(repair)
    tx.session.flush()
    add_photos(tx, person, repair, answers.get("photos"))
    add_event(tx, repair, "event.reported_urgent" if urgent else "event.reported", person)
    return repair


def _why(tx: Tx, person: Person, answers: Answers) -> list[dict[str, str]]:
    """Why it is urgent; a photo or a recording alone may be anything."""
    if not answers.get("what"):
        return [{language: texts(language)["repair.why_wordless"] for language in LANGUAGES}]
    return judge.reasons(tx, person.community_id, answers)


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
    if repair.merged_id is not None:
        _tell_into(tx, person, repair, answers)
        return
    _locate(tx, person, repair, answers)
    if add_photos(tx, person, repair, answers.get("photos")):
        _show_photos(tx, repair)
    refresh(tx, repair)


def _tell_into(tx: Tx, person: Person, repair: Repair, answers: Answers) -> None:
    """It is part of another one: who goes there, and nobody else, reads where this one is."""
    _locate(tx, person, repair, answers)
    into = locked_row(tx, repair.merged_id or repair.id)
    words = reader_of(tx, person).show(where(tx, repair))
    if into.person_id == person.id:
        add_words(into, words)
    else:
        follow(tx, person, into, what=words, silent=True)
    add_photos(tx, person, into, answers.get("photos"))
    show_to_who_has_it(tx, into)
    refresh(tx, into)


def _show_photos(tx: Tx, repair: Repair) -> None:
    """New photos need a new message: a message that stands cannot be given more."""
    if repair.crew_id is not None:
        show_to_who_has_it(tx, repair)
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


@action("repair.more", Repair, button=True, stays=True)
def more(tx: Tx, person: Person, repair: Repair) -> None:
    """Photos or words to add."""
    must_be(repair, *OPEN)
    start(tx, person, "more", about=f"repair:{repair.id}")


@action("repair.add", Repair)
def add(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """Add photos or words, also to what is said to be done; words that show danger raise the report."""
    must_be(repair, *OPEN)
    photos = add_photos(tx, person, repair, answers.get("photos"))
    add_words(repair, answers.get("note") or "")
    said = {"what": answers.get("note") or "", "place": repair.place}
    verdict = judge.report(tx, person.community_id, said)
    if verdict.verdict == "urgent" and repair.state == "done":
        reopen(tx, person, repair, said["what"])
        return
    if verdict.verdict == "urgent" and not repair.urgent:
        repair.kind, repair.why = verdict.kind, judge.reasons(tx, person.community_id, said)
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
    must_be(repair, *WORK)
    by_owner = repair.person_id == person.id
    if not repair.urgent:
        judge.keep_example(tx, repair, "urgent", person)
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
    """It calls people from now on, also where somebody had it for another day; only who is on the way stays."""
    repair.urgent, repair.ring = True, 0
    add_event(tx, repair, "event.raised", person)
    if repair.cost_state == "asked":  # nobody waits for an answer about money now
        repair.cost, repair.cost_for, repair.cost_state = None, "", ""
        stop_timer(tx, f"repair.price_wait:{repair.id}")
    if repair.state == "on_way":
        settle_clock(tx, repair)
        set_deadline(tx, repair, deadline_for(tx, repair))
        show_to_who_has_it(tx, repair)
        staff_card(tx, repair, anew=True)
        return
    let_go(tx, repair)
    ring(tx, repair)


@action("repair.lower", Repair, button=True, stays=True)
def lower(tx: Tx, person: Person, repair: Repair) -> None:
    """It is not urgent, staff say: ask why, since its reporter is told."""
    must_be(repair, *WORK)
    if not repair.urgent:
        raise Refused("repair.not_urgent", number=repair.number)
    start(tx, person, LOWER.name, about=f"repair:{repair.id}")


@action("repair.lowered", Repair)
def lowered(tx: Tx, person: Person, repair: Repair, why: str) -> None:
    """An ordinary repair from now on: nobody is paged any more, and it has a deadline."""
    must_be(repair, *WORK)
    if not repair.urgent:
        raise Refused("repair.not_urgent", number=repair.number)
    judge.keep_example(tx, repair, "normal", person, why)
    stop_paging(tx, repair)
    repair.urgent, repair.ring, repair.due_at = False, 0, None
    add_event(tx, repair, "event.lowered", person, why=why)
    if repair.state == "waiting":
        assign(tx, repair)
    else:
        set_deadline(tx, repair, deadline_for(tx, repair))
        show_to_who_has_it(tx, repair)
    tell_concerned(tx, repair, "repair.lowered", why=why, due=repair.due_at, assigned=assigned(tx, repair))
    refresh(tx, repair)


@action("repair.correct", Repair, button=True, stays=True)
def correct(tx: Tx, person: Person, repair: Repair) -> None:
    """Show what was reported; each answer can be changed."""
    must_be(repair, *WORK)
    answers: Answers = {"place": repair.place, "what": repair.what[:SAID], "building": repair.building}
    answers |= {"home": str(repair.home_id or ""), "spot": repair.spot, "entry": repair.entry}
    known = {name: value for name, value in answers.items() if value}
    start(tx, person, CORRECT.name, about=f"repair:{repair.id}", answers=known)


@action("repair.corrected", Repair, makes="repair")
def corrected(tx: Tx, person: Person, repair: Repair, **answers: Any) -> None:
    """It says something else now; what has become dangerous is raised, nothing is lowered by it."""
    must_be(repair, *WORK)
    moved = any((answers.get(name) or "") != getattr(repair, name) for name in ("place", "building"))
    if moved and pass_on(tx, person, repair):  # others wait for it where it is
        if repair.urgent:
            perform(tx, person, "repair.emergency", answers=answers, alone=True)
        else:
            perform(tx, person, "repair.report", **answers)
        return
    repair.what = answers["what"]
    repair.spot = repair.building = ""
    _locate(tx, person, repair, answers)
    verdict = judge.report(tx, person.community_id, answers)
    add_event(tx, repair, "event.corrected", person)
    if verdict.verdict == "urgent" and not repair.urgent:
        repair.kind, repair.why = verdict.kind, judge.reasons(tx, person.community_id, answers)
        _raise(tx, repair, person)
    else:
        repair.kind = verdict.kind if verdict.kind != "other" else repair.kind
        show_to_who_has_it(tx, repair)
    tell_owner(tx, repair, "repair.corrected", **private(tx, repair))
    refresh(tx, repair)


@action("repair.withdraw", Repair, button=True, grave=True)
def withdraw(tx: Tx, person: Person, repair: Repair) -> None:
    """The owner needs it no more; if others wait for it, it goes on as theirs."""
    must_be(repair, *WORK)
    if pass_on(tx, person, repair):
        return
    repair.state = "withdrawn"
    end_about(tx, f"repair:{repair.id}")
    stop_paging(tx, repair)
    stop_deadline(tx, repair)
    add_event(tx, repair, "event.withdrawn", person)
    tell(tx, person, "repair.withdrawn", number=repair.number, last=to_reporter(repair))
    for crew in called(tx, repair):
        if repair.crew_id in (None, crew.id):
            tell(tx, crew, "repair.withdrawn_crew", **private(tx, repair))
    take_back(tx, repair.community_id, f"repair:{repair.id}")
    refresh(tx, repair)
