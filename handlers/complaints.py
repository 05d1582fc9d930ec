"""Complaints and suggestions: the talk, publication, what their authors change, and the neighbours who say the same."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, delete, func, select, update

from conversations.complaint import (
    COMPLAINT,
    LONGEST,
    MOST_PHOTOS,
    REWORD,
    WHOLE,
    complains,
    kind_in,
    kind_said,
    number_named,
    read,
    told_in,
)
from conversations.errors import NotNow, Refused, Unclear
from conversations.said import File
from conversations.steps import Answers
from conversations.words import Say, below, normal
from handlers import complaint_cards, judge, repair
from handlers.actions import action, perform
from handlers.complaint_cards import (
    OFFICE,
    OWNER,
    about,
    add_event,
    announce,
    author_of,
    called,
    complaint_of,
    latest_of,
    preview,
    refresh,
    seen,
    staff_card,
    state,
    statements,
    tell_joiners,
    tell_owner,
    to_author,
    to_joiners,
)
from handlers.complaint_clock import run_clock, stop_clocks
from handlers.complaint_words import Masked, masked
from handlers.matters import looked_at, photos_of, set_files
from handlers.notices import take_back, take_down
from handlers.numbers import next_number
from handlers.people import homes_of, is_resident
from handlers.policy import policy_of
from handlers.repair_cards import cut_short
from handlers.talk import Known, end_about, hear, know, no_facts, open_talk, start
from handlers.tell import close_everywhere
from handlers.tx import Tx
from store.tables import Complaint, Joiner, Notice, Outgoing, Person, Statement, Talk

BRIEF = 60
"""Characters of a free sentence by which its author knows it again."""
MOST_WORDS_A_DAY = 20
"""So many new words, changed ones and further questions of one person are published in a day."""


# --- the talk ---------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions need to know: who could read it, the whole community or one's own building."""
    reader = tx.reader(person.community_id, person.language)

    def scopes() -> list[tuple[str, str]]:
        names = dict.fromkeys(home.building for home in homes_of(tx, person) if home.building)
        own = [
            (name, reader.say("complaint.scope.only", where=Say("where.building", building=name)))
            for name in names
        ]
        return [(WHOLE, reader.say("complaint.scope.whole")), *own]

    return {"scopes": scopes}


def of_preview(tx: Tx, talk: Talk) -> dict[str, Any]:
    """What the questions say besides; in the end it as everybody will read it, and why something of it is masked."""
    answers = talk.answers
    person = tx.session.get_one(Person, talk.person_id)
    kind, topic, text = (answers.get(name) or "" for name in ("kind", "topic", "text"))
    found = (
        masked(tx, talk.community_id, person, text)
        if kind and topic and "photos" in answers
        else Masked("", [])
    )
    shown: Any = ""
    if found.shown:
        only = _building(answers)
        shown = preview(tx, person, kind=kind, topic=topic, words=found.shown, building=only)
    return {
        "words": cut_short(text, BRIEF),
        "preview": shown,
        "masked": masked_mark(found),
        "days": policy_of(tx, talk.community_id).answer_days,
        "hint": Say(f"complaint.hint_{kind or 'complaint'}"),
    }


def masked_mark(found: Masked) -> Any:
    """Why something is masked, each reason in a line; empty if nothing is."""
    return Say("complaint.masked_mark", why=below(found.why)) if found.why else ""


def _building(answers: Answers) -> str:
    """Whose people alone may read it; empty: everybody."""
    scope = str(answers.get("scope") or WHOLE)
    return "" if scope == WHOLE else scope


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """What the words say of their topic is not asked; a repair goes to its form; what says nothing is asked again."""
    answers = talk.answers
    if answers.get("meant") == "repair":
        repair.meant_instead(tx, person, talk)
        return True
    if "text" in changed:
        must_say_something(masked(tx, talk.community_id, person, answers["text"]))
        talk.answers = {**read(answers["text"]), **answers}
        tx.session.add(talk)
        tx.session.flush()
    return False


def must_say_something(found: Masked) -> None:
    """Unclear for words of which nothing is left to read."""
    if not found.says_something:
        raise Unclear("unclear.all_masked")


def urgent_in_complaint(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """In the midst of it a danger goes first; not what only sounds so."""
    repair.urgent_in_another(tx, person, talk, text, files, sounds_so=True)


know(Known(COMPLAINT, facts_for, heard, urgent=urgent_in_complaint, about=of_preview, photos=looked_at))


@action("complaint.start", button=True, stays=True)
def begin(tx: Tx, person: Person, text: str = "", files: Sequence[File] = ()) -> None:
    """Open the form in one's own chat, perhaps with what was said already; 投诉 and 建议 say which it is."""
    if tx.place is None or tx.place.kind != "private":
        raise Refused("complaint.in_private")
    said = tx.said.text.strip() if tx.said is not None and not tx.said.tap else ""
    kind = kind_in(normal(said.removesuffix(text)))
    talk = open_talk(tx, person, tx.place)
    if talk is not None and talk.script == COMPLAINT.name and tx.said is not None and kind and not text:
        hear(tx, person, talk, tx.said.model_copy(update={"text": "", "tap": f"{talk.id}.kind={kind}"}))
        return  # its kind, typed
    _not_too_many(tx, person)
    start(tx, person, COMPLAINT.name, answers=_told(text, files, kind=kind))


def take_typed(tx: Tx, person: Person, text: str, files: Sequence[File]) -> bool:
    """Take what somebody says together with the command, or the number of what they want to see."""
    number = number_named(text)
    if number is not None:
        _show_numbered(tx, person, number)
        return True
    told = told_in(text)
    if told and judge.danger(tx, person.community_id, told):
        return False
    if told:
        perform(tx, person, "complaint.start", text=told, files=files)
    return bool(told)


def read_free(tx: Tx, person: Person, text: str, files: Sequence[File]) -> bool:
    """A free sentence that says of itself that it is one: one tap goes on. What may be urgent never waits for that."""
    if not (text and is_resident(tx, person) and complains(text)):
        return False
    if judge.urgency(tx, person.community_id, text).verdict != "normal":
        return False
    _not_too_many(tx, person)
    start(tx, person, COMPLAINT.name, answers=_told(text, files, kind=kind_said(text), spoken=True))
    return True


def _told(text: str, files: Sequence[File], **more: Any) -> Answers:
    """The answers in a text and its photos; Unclear if it is too long."""
    if len(text) > LONGEST:
        raise Unclear("unclear.long", max=LONGEST, length=len(text))
    photos = [file.model_dump() for file in files if file.kind == "photo"][:MOST_PHOTOS]
    sent = {"photos": {"files": photos, "done": True}} if photos else {}
    return {**(read(text) if text else {}), **{name: each for name, each in more.items() if each}, **sent}


def _not_too_many(tx: Tx, person: Person) -> None:
    """What one person publishes in a day has a limit: each is shown to all, and somebody has to answer it."""
    most = policy_of(tx, person.community_id).complaints_a_day
    today = select(func.count()).where(
        Complaint.person_id == person.id, col(Complaint.created_at) > tx.now - timedelta(days=1)
    )
    if tx.session.exec(today).one() >= most:
        raise NotNow("complaint.too_many", most=most)


# --- published --------------------------------------------------------------------------------------


@action("complaint.publish")
def publish(tx: Tx, person: Person, **answers: Any) -> None:
    """It stands on the board at once, without what is abusive or private; staff have to answer from now on."""
    _not_too_many(tx, person)
    found = masked(tx, person.community_id, person, answers["text"])
    must_say_something(found)
    complaint = Complaint(
        community_id=person.community_id,
        number=next_number(tx, person.community_id, "complaint"),
        person_id=person.id,
        kind=answers["kind"],
        topic=answers["topic"],
        building=_building(answers),
        created_at=tx.now,
    )
    tx.session.add(complaint)
    tx.session.flush()
    add_statement(tx, complaint, person, OWNER, answers["text"], found=found)
    set_files(tx, person, about(complaint), answers.get("photos"))
    add_event(tx, complaint, "complaint.event.made", person)
    run_clock(tx, complaint)
    announce(tx, complaint)
    staff_card(tx, complaint, anew=True)
    tell_owner(tx, complaint, "complaint.published", masked=masked_mark(found))


def add_statement(
    tx: Tx, complaint: Complaint, person: Person, side: str, text: str, *, found: Masked, round_: int = 0
) -> Statement:
    """Keep one more version of what a side says in a round, the present one unless it is named."""
    round_ = round_ or complaint.round
    before = latest_of(tx, complaint, side, round_)
    said = Statement(
        community_id=complaint.community_id,
        complaint_id=complaint.id,
        round=round_,
        side=side,
        version=before.version + 1 if before is not None else 1,
        person_id=person.id,
        text=text,
        shown=found.shown,
        why=found.why,
        at=tx.now,
    )
    tx.session.add(said)
    tx.session.flush()
    return said


def must_be(complaint: Complaint, *states: str) -> None:
    """Refuse what its state does not allow."""
    if complaint.state not in states:
        raise Refused("complaint.over", name=called(complaint), state=state(complaint))


def not_too_many_words(tx: Tx, person: Person) -> None:
    """Changing words and asking further has a limit a day, too."""
    today = select(func.count()).where(
        Statement.person_id == person.id, Statement.side == OWNER, Statement.at > tx.now - timedelta(days=1)
    )
    if tx.session.exec(today).one() >= MOST_WORDS_A_DAY:
        raise NotNow("complaint.too_many_words", most=MOST_WORDS_A_DAY)


# --- changed, taken back ----------------------------------------------------------------------------


def of_words(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which complaint new words belong to, what stands there now, and the new ones as everybody will read them."""
    complaint = complaint_of(tx, talk)
    stands = latest_of(tx, complaint, OWNER)
    found = masked(tx, talk.community_id, author_of(tx, complaint), talk.answers.get("what") or "")
    return {
        **complaint_cards.of_complaint(tx, talk),
        "now": stands.text if stands is not None else "",
        "preview": found.shown,
        "masked": masked_mark(found),
    }


def heard_words(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Words of which nothing is left to read are asked for again."""
    if "what" in changed and talk.answers.get("what"):
        must_say_something(masked(tx, talk.community_id, person, talk.answers["what"]))
    return False


know(Known(REWORD, no_facts, heard_words, urgent=urgent_in_complaint, about=of_words))


@action("complaint.reword", Complaint, button=True, stays=True)
def reword(tx: Tx, person: Person, complaint: Complaint) -> None:
    """Ask for other words, as long as nobody has answered these."""
    _must_be_unanswered(tx, complaint)
    start(tx, person, REWORD.name, about=about(complaint))


@action("complaint.reworded", Complaint)
def reworded(tx: Tx, person: Person, complaint: Complaint, what: str, **rest: Any) -> None:
    """The new words stand there; the earlier ones are kept."""
    _must_be_unanswered(tx, complaint)
    not_too_many_words(tx, person)
    found = masked(tx, complaint.community_id, person, what)
    must_say_something(found)
    stands = latest_of(tx, complaint, OWNER)
    if stands is None or stands.text != what:
        said = add_statement(tx, complaint, person, OWNER, what, found=found)
        add_event(tx, complaint, "complaint.event.reworded", person, version=said.version)
        refresh(tx, complaint)
    tell_owner(tx, complaint, "complaint.reworded", masked=masked_mark(found))


def _must_be_unanswered(tx: Tx, complaint: Complaint) -> None:
    must_be(complaint, "open")
    if latest_of(tx, complaint, OFFICE) is not None:
        raise Refused("complaint.answered_already", name=called(complaint))


@action("complaint.withdraw", Complaint, button=True, grave=True)
def withdraw(tx: Tx, person: Person, complaint: Complaint) -> None:
    """Its author takes it back: the board says that, and nothing else of it."""
    must_be(complaint, "open")
    take_away(tx, complaint, person)
    tell_owner(tx, complaint, "complaint.withdrawn")


def take_away(tx: Tx, complaint: Complaint, person: Person | None) -> None:
    """Its words go from everywhere, with its photos, which no change of a message takes away."""
    complaint.state, complaint.closed_at = "withdrawn", tx.now
    tell_joiners(tx, complaint, "complaint.withdrawn_joiner", brief="")
    stop_clocks(tx, complaint)
    end_about(tx, about(complaint))
    add_event(tx, complaint, "complaint.event.withdrawn", person)
    tx.session.flush()
    if photos_of(tx, about(complaint)):
        take_down(tx, complaint.community_id, about(complaint))
    else:
        take_back(tx, complaint.community_id, about(complaint))
    close_everywhere(tx, seen(complaint))
    refresh(tx, complaint)


def forget(tx: Tx, person: Person) -> None:
    """Whoever is forgotten has complained of nothing: what was shown of it goes, and its rows are empty."""
    connection = tx.session.connection()
    connection.execute(delete(Joiner).where(col(Joiner.person_id) == person.id))
    theirs = tx.session.exec(select(Complaint).where(Complaint.person_id == person.id)).all()
    for complaint in theirs:
        if complaint.state != "withdrawn":
            take_away(tx, complaint, None)
        for said in statements(tx, complaint):
            said.text = said.shown = ""
            said.why = []
            tx.session.add(said)
    tx.session.flush()
    named = [name for each in theirs for name in (about(each), to_joiners(each))]
    gone = col(Notice.about).in_(named) & (col(Notice.key) != "complaint.withdrawn_joiner")
    connection.execute(update(Notice).where(gone).values(facts={}))
    words = tx.reader(person.community_id).say("notice.taken_back")
    cards = [
        name
        for each in theirs
        for name in (
            *(about(each), f"board:{about(each)}", f"board:{to_joiners(each)}"),
            *(to_author(each), seen(each), complaint_cards.late(each)),
        )
    ]
    connection.execute(update(Outgoing).where(col(Outgoing.card).in_(cards)).values(text=words, buttons=[]))


# --- by its number, and all of somebody's ---------------------------------------------------------------


def _show_numbered(tx: Tx, person: Person, number: int) -> None:
    named = select(Complaint).where(Complaint.community_id == person.community_id, Complaint.number == number)
    complaint = tx.session.exec(named).first()
    if complaint is None:
        raise Refused("complaint.unknown", number=number)
    perform(tx, person, f"complaint.show:{complaint.id}")


def said_by(tx: Tx, person: Person) -> list[Say]:
    """What is stored of somebody: their complaints in every version, their answers, and which they joined."""
    said = (
        select(Statement, Complaint)
        .join(Complaint, col(Complaint.id) == col(Statement.complaint_id))
        .where(Statement.person_id == person.id)
    )
    joined_ = (
        select(Joiner, Complaint)
        .join(Complaint, col(Complaint.id) == col(Joiner.complaint_id))
        .where(Joiner.person_id == person.id)
    )
    return [
        *(
            Say(
                "mydata.statement",
                name=called(complaint),
                at=each.at,
                text=each.text,
                state=state(complaint),
            )
            for each, complaint in tx.session.exec(said.order_by(col(Statement.id))).all()
        ),
        *(
            Say("mydata.joined", name=called(complaint), at=each.at)
            for each, complaint in tx.session.exec(joined_.order_by(col(Joiner.id))).all()
        ),
    ]
