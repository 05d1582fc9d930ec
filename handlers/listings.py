"""Listings: what neighbours let, sell, look for, give away, lost or found; judged before it stands on the board."""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, delete, func, select, update

from conversations import steps
from conversations.errors import NotNow, Refused, Unclear
from conversations.listing import (
    CHANGE_LISTING,
    DETAILS,
    LISTING,
    LONGEST,
    MOST_PHOTOS,
    PARTS,
    PRICED,
    WHY_REPORTED,
    filled,
    is_barred,
    offers,
    price_in,
    read,
)
from conversations.said import File
from conversations.steps import Answers
from conversations.words import Say
from handlers import judge, repair
from handlers.actions import action
from handlers.conduct import (
    BY_NEIGHBOURS,
    WAITING,
    Judged,
    about,
    drop_ruling,
    flags,
    know_judged,
    must_not_ask_too_often,
    reported,
    rule_on,
    take_up_reports,
    tell_author,
    weigh,
)
from handlers.listing_cards import (
    CHANGEABLE,
    COUNTS,
    announce,
    card,
    card_of,
    content_of,
    happened,
    looking_buttons,
    of_listing,
    own_buttons,
    refresh,
    seen,
    state,
    tell_owner,
    to_author,
    words_of,
)
from handlers.matters import looked_at, photos_of, set_files, timeline
from handlers.notices import take_down
from handlers.numbers import next_number
from handlers.people import homes_of, is_resident
from handlers.policy import policy_of
from handlers.public import put
from handlers.repair_cards import address, cut_short
from handlers.talk import Known, end_about, hear, here, know, no_facts, open_talk, start
from handlers.tell import Button, reader_of, tell, tell_staff
from handlers.timers import awake, set_timer, stop_timer
from handlers.tx import Tx
from store.tables import Flag, Listing, Media, Notice, Outgoing, Person, Ruling, Talk

BEFORE_END = timedelta(days=2)
HIDES = 3
"""So many neighbours have to report a listing for it to be hidden until staff decide."""
REPORTS_A_DAY = 10
DEPOSITS = ("one_one", "one_three", "none")
CLOCKS = ("remind", "expire")
BRIEF = 60
"""Characters of a free sentence by which its author knows it again."""
GOODS = ("kind", "text", "title")
"""The questions to which people answer with what they offer."""
TYPED = re.compile(r"(?:/sell(?:@\w+)?\s+|(?:发布|sell)[:：]\s*|发布[ \n]+)(\S.*)", re.IGNORECASE | re.DOTALL)


# --- the talk ---------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions need to know: one's own buildings, usual deposits, and what can be changed."""
    reader = tx.reader(person.community_id, person.language)

    def buildings() -> list[tuple[str, str]]:
        names = dict.fromkeys(home.building for home in homes_of(tx, person))
        return [(name, reader.say("where.building", building=name)) for name in names]

    def deposits() -> list[tuple[str, str]]:
        return [
            (str(place), reader.say(f"listing.deposit.{usual}")) for place, usual in enumerate(DEPOSITS, 1)
        ]

    def parts() -> list[tuple[str, str]]:
        return [(part, reader.say(f"listing.{part}.name")) for part in PARTS if part in answers]

    return {"buildings": buildings, "deposits": deposits, "parts": parts}


def of_preview(tx: Tx, talk: Talk) -> dict[str, Any]:
    """What the questions say besides: an example of this kind, and in the end how neighbours will see it."""
    answers = talk.answers
    kind = answers.get("kind", "sale")
    complete = all(answers.get(name) for name in ("kind", "text", "title"))
    person = tx.session.get_one(Person, talk.person_id)
    return {
        "hint": Say(f"listing.hint.{kind}"),
        "words": cut_short(answers.get("text") or "", BRIEF),
        "preview": card(tx, person, _content(answers)) if complete else "",
        "days": policy_of(tx, talk.community_id).listing_days,
        "most": policy_of(tx, talk.community_id).listing_limit,
    }


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """What the words say is not asked; a kitchen or a balcony is not let; what was a repair goes there."""
    answers = talk.answers
    if answers.get("meant") == "repair":
        repair.meant_instead(tx, person, talk)
        return True
    if "part" in changed:
        answers = {**steps.change(CHANGE_LISTING, answers, answers["part"]), "chosen": True}
        del answers["part"]
    if "text" in changed:
        answers = filled(answers)
    _must_not_be_barred(answers)
    talk.answers = answers
    tx.session.add(talk)
    tx.session.flush()
    return False


def _must_not_be_barred(answers: Answers) -> None:
    """The law forbids to let some parts of a flat to live in."""
    if (
        answers.get("kind") == "rent"
        and answers.get("home") != "space"
        and is_barred(answers.get("text") or "")
    ):
        raise Unclear("unclear.barred")


def urgent_in_listing(tx: Tx, person: Person, talk: Talk, text: str, files: Sequence[File]) -> None:
    """In the midst of it a repair goes first; not what is offered (a charger, a gas stove) and only sounds urgent."""
    goods = _open_question(tx, person, talk) in GOODS or offers(text) or price_in(text) is not None
    repair.urgent_in_another(tx, person, talk, text, files, sounds_so=goods)


for _script in (LISTING, CHANGE_LISTING):
    know(Known(_script, facts_for, heard, urgent=urgent_in_listing, about=of_preview, photos=looked_at))


@action("listing.start", button=True, stays=True)
def begin(tx: Tx, person: Person, text: str = "", files: Sequence[File] = ()) -> None:
    """Open the form in one's own chat, perhaps with what was said already, or go on with one that is half filled in."""
    if tx.place is None or tx.place.kind != "private":
        raise Refused("listing.in_private")
    talk = open_talk(tx, person, tx.place)
    if talk is not None and tx.said is not None and _open_question(tx, person, talk) == "sure":
        sure = tx.said.model_copy(update={"text": "", "tap": f"{talk.id}.sure=yes"})
        hear(tx, person, talk, sure)  # 发布, typed under the last look
        return
    _not_too_many(tx, person, anew=True)
    start(tx, person, LISTING.name, answers=_told(text, files))


def offered_in(text: str) -> str:
    """What somebody wants to publish: 出书桌 180 in "/sell 出书桌 180"; empty if they do not."""
    found = TYPED.fullmatch(text.strip())
    return found[1] if found is not None else ""


def _told(text: str, files: Sequence[File], **more: Any) -> Answers:
    """The answers in a text and its photos; Unclear if it is too long, or may not be let."""
    if len(text) > LONGEST:
        raise Unclear("unclear.long", max=LONGEST, length=len(text))
    answers = filled({"text": text, **more}) if text else {}
    _must_not_be_barred(answers)
    photos = [file.model_dump() for file in files if file.kind == "photo"][:MOST_PHOTOS]
    return {**answers, "photos": {"files": photos, "done": True}} if photos else answers


def _open_question(tx: Tx, person: Person, talk: Talk) -> str:
    """The open question of a listing that is being written or changed; empty in another talk."""
    scripts = {LISTING.name: LISTING, CHANGE_LISTING.name: CHANGE_LISTING}
    script = scripts.get(talk.script)
    facts = steps.LazyFacts(facts_for(tx, person, talk.answers))
    return steps.pending(script, talk.answers, facts) or "" if script is not None else ""


def read_free(tx: Tx, person: Person, text: str, files: Sequence[File]) -> bool:
    """A free sentence that clearly offers or looks for something: one tap puts it on the board. False: it does not.

    What a rule finds urgent is a repair, whatever else it is; what only sounds so (a gas stove) is asked about.
    """
    if not (text and is_resident(tx, person) and offers(text)):
        return False
    if judge.danger(tx, person.community_id, text):
        return False
    _not_too_many(tx, person, anew=True)
    start(tx, person, LISTING.name, answers=_told(text, files, spoken=True))
    return True


def _not_too_many(tx: Tx, person: Person, *, anew: bool = False) -> None:
    """One person has so many open, and publishes no more than so many `anew` in a day, since each is shown to all."""
    theirs = select(func.count()).where(Listing.person_id == person.id)
    most = policy_of(tx, person.community_id).listing_limit
    if tx.session.exec(theirs.where(col(Listing.state).in_(COUNTS))).one() >= most:
        raise NotNow("listing.too_many", most=most)
    today = theirs.where(col(Listing.created_at) > tx.now - timedelta(days=1))
    if anew and tx.session.exec(today).one() >= most:
        raise NotNow("listing.too_many_today", most=most)


# --- what it says -----------------------------------------------------------------------------------


def _content(answers: Answers) -> dict[str, Any]:
    """What was answered, by column."""
    kind = answers["kind"]
    asked = answers.get("rent") if kind == "rent" else answers.get("price") if kind in PRICED else None
    details = {name: answers[name] for name in DETAILS if kind == "rent" and answers.get(name) is not None}
    return {
        "kind": kind,
        "title": answers["title"],
        "text": answers["text"],
        "price": asked,
        "details": details,
    }


def _answers(tx: Tx, listing: Listing) -> Answers:
    """What a listing says, or will say once its edit is decided on, as answers to the questions."""
    content = {**content_of(listing), **listing.draft}
    kind = content["kind"]
    answers: Answers = {name: content[name] for name in ("kind", "title", "text")}
    if kind in PRICED:
        answers["price"] = content["price"]
    elif kind == "rent":
        answers["rent"] = content["price"]
    answers |= content["details"]
    shown = _draft(listing) if listing.draft else about(listing)
    photos = tx.session.exec(select(Media).where(Media.about == shown).order_by(col(Media.id))).all()
    files = [{"kind": "photo", "storage": p.storage, "mime": p.mime, "size": p.size} for p in photos]
    answers["photos"] = {"files": files, "done": True} if files else None
    answers["read"] = {
        name: found for name, found in read(content["text"]).items() if answers.get(name) == found
    }
    return answers


def _draft(listing: Listing) -> str:
    """How the photos of an edit that waits are named."""
    return f"draft:{listing.id}"


# --- published --------------------------------------------------------------------------------------


@action("listing.publish")
def publish(tx: Tx, person: Person, **answers: Any) -> None:
    """It is judged; what is fine stands on the board at once."""
    _not_too_many(tx, person, anew=True)
    listing = Listing(
        community_id=person.community_id,
        number=next_number(tx, person.community_id, "listing"),
        person_id=person.id,
        state="held",
        created_at=tx.now,
        **_content(answers),
    )
    tx.session.add(listing)
    tx.session.flush()
    set_files(tx, person, about(listing), answers.get("photos"))
    _put_up(tx, person, listing)


def _put_up(tx: Tx, person: Person, listing: Listing) -> None:
    """Let it stand on the board, if nothing is wrong with it."""
    if _passes(tx, person, listing, content_of(listing)):
        _go_public(tx, listing)
        tell_owner(tx, listing, "listing.published", until=listing.expires_at)


def _passes(tx: Tx, person: Person, listing: Listing, content: dict[str, Any]) -> bool:
    """Whether it may stand there; if not, its author is told why, and it is refused or waits for staff."""
    words = words_of(content)
    verdict = weigh(tx, listing.community_id, words, person.language)
    if verdict.verdict == "ok":
        if not _is_reported(tx, listing):
            drop_ruling(tx, listing)
        return True
    if _is_reported(tx, listing):  # another ruling would end that one
        raise NotNow("listing.waits_for_staff", number=listing.number)
    if verdict.verdict == "hold":
        must_not_ask_too_often(tx, person)
    ruling = rule_on(tx, listing, words, verdict, person=person)
    if listing.state != "open":
        listing.state = "held" if ruling.state in WAITING else "refused"
        happened(tx, listing, f"listing.event.{listing.state}", person)
    tx.session.add(listing)
    tx.session.flush()
    stands = Say("listing.stands_mark", number=listing.number) if listing.state == "open" else ""
    tell_author(tx, person, ruling, more=stands)
    return False


def _is_reported(tx: Tx, listing: Listing) -> bool:
    """Whether staff have to decide on it because neighbours reported it: its author does not change that."""
    ruling = tx.session.get(Ruling, listing.ruling_id) if listing.ruling_id is not None else None
    return ruling is not None and ruling.state in WAITING and BY_NEIGHBOURS in ruling.rules


def _go_public(tx: Tx, listing: Listing) -> None:
    """It stands on the board from now on, for as many days as a listing does."""
    listing.state, listing.published_at = "open", tx.now
    happened(tx, listing, "listing.event.open")
    _run(tx, listing)
    announce(tx, listing)


def _run(tx: Tx, listing: Listing) -> None:
    """Let its days begin; they end, and are said to end, at an hour at which people are awake."""
    days = policy_of(tx, listing.community_id).listing_days
    listing.expires_at = awake(tx, listing.community_id, tx.now + timedelta(days=days))
    tx.session.add(listing)
    tx.session.flush()
    reminded = listing.expires_at - BEFORE_END
    if reminded > tx.now:
        set_timer(tx, listing.community_id, f"listing.remind:{listing.id}", reminded)
    set_timer(tx, listing.community_id, f"listing.expire:{listing.id}", listing.expires_at)


def _stop(tx: Tx, listing: Listing, state: str) -> None:
    """It does not stand there any more: no clock, no open question and no edit of it is left."""
    listing.state, listing.closed_at = state, tx.now
    happened(tx, listing, f"listing.event.{state}")
    _drop_draft(tx, listing)
    tx.session.add(listing)
    for clock in CLOCKS:
        stop_timer(tx, f"listing.{clock}:{listing.id}")
    end_about(tx, about(listing))


# --- changed ----------------------------------------------------------------------------------------


@action("listing.change", Listing, button=True, stays=True)
def change(tx: Tx, person: Person, listing: Listing) -> None:
    """Ask what is to be changed."""
    _must_be_changeable(tx, listing)
    start(tx, person, CHANGE_LISTING.name, about=about(listing), answers=_answers(tx, listing))


@action("listing.changed", Listing, makes="ruling")
def changed(tx: Tx, person: Person, listing: Listing, **answers: Any) -> None:
    """The edit is judged; what may not stand there leaves what is published as it is."""
    _must_be_changeable(tx, listing)
    if listing.state not in COUNTS:
        _not_too_many(tx, person)
    content = _content(answers)
    _drop_draft(tx, listing)
    if listing.state == "open":
        if not _passes(tx, person, listing, content):
            listing.draft = content
            set_files(tx, person, _draft(listing), answers.get("photos"))
            tx.session.add(listing)
            return
        before = _pictures(tx, listing)
        _take_over(tx, listing, content)
        set_files(tx, person, about(listing), answers.get("photos"))
        refresh(tx, listing, anew=_pictures(tx, listing) != before)
        happened(tx, listing, "listing.event.changed", person)
        tell_owner(tx, listing, "listing.changed_now")
        return
    _take_over(tx, listing, content)
    set_files(tx, person, about(listing), answers.get("photos"))
    _put_up(tx, person, listing)


def _must_be_changeable(tx: Tx, listing: Listing) -> None:
    """Whoever published it cannot bring back what neighbours' reports have hidden."""
    _must_be(listing, *CHANGEABLE)
    if listing.state == "held" and _is_reported(tx, listing):
        raise NotNow("listing.waits_for_staff", number=listing.number)


def _take_over(tx: Tx, listing: Listing, content: dict[str, Any]) -> None:
    for name, value in content.items():
        setattr(listing, name, value)
    tx.session.add(listing)
    tx.session.flush()


def _pictures(tx: Tx, listing: Listing) -> set[str]:
    """What its photos show."""
    return set(tx.session.exec(select(Media.storage).where(Media.about == about(listing))))


def _drop_draft(tx: Tx, listing: Listing) -> None:
    listing.draft = {}
    tx.session.connection().execute(delete(Media).where(col(Media.about) == _draft(listing)))


def _must_be(listing: Listing, *states: str) -> None:
    if listing.state not in states:
        raise Refused("listing.over_now", number=listing.number, state=state(listing))


# --- the decision of staff --------------------------------------------------------------------------


def restore(tx: Tx, listing: Listing, ruling: Ruling) -> None:
    """It breaks no rule: it stands on the board as it was written, the edit too if that is what was judged."""
    if listing.draft and BY_NEIGHBOURS not in ruling.rules:
        connection, content, before = tx.session.connection(), listing.draft, _pictures(tx, listing)
        connection.execute(delete(Media).where(col(Media.about) == about(listing)))
        connection.execute(
            update(Media).where(col(Media.about) == _draft(listing)).values(about=about(listing))
        )
        listing.draft = {}
        _take_over(tx, listing, content)
        if listing.state == "open":
            refresh(tx, listing, anew=_pictures(tx, listing) != before)
    if listing.state in ("held", "refused"):
        _go_public(tx, listing)


def uphold(tx: Tx, listing: Listing, ruling: Ruling) -> None:
    """It breaks a rule: it goes, or its edit does."""
    if listing.draft and BY_NEIGHBOURS not in ruling.rules:
        _drop_draft(tx, listing)
        tx.session.add(listing)
        count = flags(tx, about(listing)) if listing.state == "open" else 0
        if count:  # neighbours reported what stands there, while staff had to decide on the edit
            take_up_reports(tx, listing, words_of(content_of(listing)))
            _hide_if_many(tx, listing, count)
    elif listing.state in COUNTS:
        was_open = listing.state == "open"
        _stop(tx, listing, "refused")
        tx.session.flush()
        if was_open:
            take_down(tx, listing.community_id, about(listing))


def author_of(tx: Tx, listing: Listing) -> Any:
    """Who published it, as staff call them."""
    author = tx.session.get_one(Person, listing.person_id)
    homes = homes_of(tx, author)
    name = author.name or Say("person.forgotten")
    return Say("listing.author", who=name, home=address(homes[0])) if homes else name


def fix(listing: Listing) -> list[Button]:
    """With what its author puts it right."""
    buttons = own_buttons(listing) if listing.state in CHANGEABLE else []
    return buttons[:1] if listing.state == "open" else buttons


know_judged(Judged("listing", Listing, restore, uphold, author_of, fix))


# --- its end ----------------------------------------------------------------------------------------


@action("listing.close", Listing, button=True, makes="ruling")
def close(tx: Tx, person: Person, listing: Listing) -> None:
    """Sold, let, found: it goes from the list, and the board says so."""
    _must_be(listing, "open")
    _stop(tx, listing, "closed")
    drop_ruling(tx, listing)
    refresh(tx, listing)
    tell_owner(tx, listing, "listing.closed")


@action("listing.withdraw", Listing, button=True, grave=True, makes="ruling")
def withdraw(tx: Tx, person: Person, listing: Listing) -> None:
    """Whoever published it takes it back."""
    _must_be(listing, "held", "open", "refused")
    take_away(tx, listing)
    tell_owner(tx, listing, "listing.withdrawn")


def take_away(tx: Tx, listing: Listing) -> None:
    """It goes, with all that was shown of it."""
    _stop(tx, listing, "withdrawn")
    drop_ruling(tx, listing)
    tx.session.flush()
    if listing.published_at is not None:
        take_down(tx, listing.community_id, about(listing))


def leave(tx: Tx, person: Person) -> None:
    """Whoever has left offers nothing here any more."""
    theirs = select(Listing).where(Listing.person_id == person.id, col(Listing.state).in_(CHANGEABLE))
    for listing in tx.session.exec(theirs).all():
        take_away(tx, listing)


def forget(tx: Tx, person: Person) -> None:
    """Whoever is forgotten has published nothing: their listings are empty rows, and what was shown of them goes."""
    leave(tx, person)
    theirs = tx.session.exec(select(Listing).where(Listing.person_id == person.id)).all()
    for listing in theirs:
        _take_over(tx, listing, {"title": "", "text": "", "price": None, "details": {}})
        put(tx, about(listing))
    connection, named = tx.session.connection(), [about(each) for each in theirs]
    connection.execute(update(Notice).where(col(Notice.about).in_(named)).values(facts={}))
    words = tx.reader(person.community_id).say("notice.taken_back")
    cards = [name for each in theirs for name in (f"board:{about(each)}", to_author(each), seen(each))]
    connection.execute(update(Outgoing).where(col(Outgoing.card).in_(cards)).values(text=words, buttons=[]))
    connection.execute(delete(Flag).where(col(Flag.person_id) == person.id))


@action("listing.renew", Listing, button=True, makes="ruling")
def renew(tx: Tx, person: Person, listing: Listing) -> None:
    """Its days begin anew; one that had expired is judged once more and stands on the board again."""
    _must_be(listing, "open", "expired")
    if listing.state == "expired":
        _not_too_many(tx, person)
        if not _passes(tx, person, listing, content_of(listing)):
            return
        listing.state = "open"
    happened(tx, listing, "listing.event.renewed", person)
    _run(tx, listing)
    refresh(tx, listing)
    tell_owner(tx, listing, "listing.renewed", until=listing.expires_at)


@action("listing.remind", Listing)
def remind(tx: Tx, person: None, listing: Listing) -> None:
    """Two days are left."""
    if listing.state == "open":
        tell_owner(tx, listing, "listing.expires", until=listing.expires_at)


@action("listing.expire", Listing)
def expire(tx: Tx, person: None, listing: Listing) -> None:
    """Its days are over; one tap puts it there again."""
    if listing.state != "open" or listing.expires_at is None or listing.expires_at > tx.now:
        return
    _stop(tx, listing, "expired")
    drop_ruling(tx, listing)
    refresh(tx, listing)
    tell_owner(tx, listing, "listing.expired")


# --- looking ----------------------------------------------------------------------------------------


@action("listing.show", Listing, button=True, stays=True)
def show(tx: Tx, person: Person, listing: Listing) -> None:
    """All of it with its photos; of one that is over only its author and staff see what it said."""
    staff_here = tx.place is not None and tx.place.kind == "staff"
    own = listing.person_id == person.id and not staff_here
    if not (own or staff_here):
        _must_be(listing, "open")
    buttons = own_buttons(listing) if own else looking_buttons(listing)
    lines = timeline(tx, about(listing), reader_of(tx, here(tx, person)))
    tell(
        tx,
        here(tx, person),
        "listing.show",
        shown=card_of(tx, listing),
        state=Say("listing.state_mark", state=state(listing)) if listing.state != "open" else "",
        draft=Say("listing.draft_mark") if own and listing.draft else "",
        who=Say("listing.who_mark", who=author_of(tx, listing)) if staff_here else "",
        timeline=Say("listing.timeline_mark", lines="\n".join(lines)) if lines else "",
        photos=photos_of(tx, about(listing)),
        buttons=buttons[1:] if staff_here else buttons,
        last=to_author(listing) if own else seen(listing),
    )


# --- reported by neighbours -------------------------------------------------------------------------


@action("listing.report", Listing, button=True, makes="ruling")
def report(tx: Tx, person: Person, listing: Listing) -> None:
    """One tap: staff decide on it; when several neighbours have reported it, it is hidden until then."""
    _must_be(listing, "open")
    if listing.person_id == person.id:
        raise Refused("listing.own", number=listing.number)
    today = select(func.count()).where(Flag.person_id == person.id, Flag.at > tx.now - timedelta(days=1))
    if tx.session.exec(today).one() >= REPORTS_A_DAY:
        raise NotNow("listing.too_many_reports", most=REPORTS_A_DAY)
    count = reported(tx, listing, words_of(content_of(listing)), person)
    _hide_if_many(tx, listing, count)
    explain = [] if tx.place is None or tx.place.kind == "staff" else [Button(f"listing.reason:{listing.id}")]
    tell(
        tx,
        here(tx, person),
        "listing.reported",
        number=listing.number,
        hours=policy_of(tx, listing.community_id).ruling_hours,
        buttons=explain,
    )


def _hide_if_many(tx: Tx, listing: Listing, count: int) -> None:
    if count < HIDES or not _is_reported(tx, listing):
        return
    listing.state = "held"
    happened(tx, listing, "listing.event.hidden")
    tx.session.add(listing)
    for clock in CLOCKS:
        stop_timer(tx, f"listing.{clock}:{listing.id}")
    tx.session.flush()
    take_down(tx, listing.community_id, about(listing))
    ruling = tx.session.get_one(Ruling, listing.ruling_id)
    buttons = own_buttons(listing)[1:]  # it cannot be changed until staff have decided
    tell_owner(tx, listing, "listing.hidden", count=HIDES, due=ruling.due_at, buttons=buttons)


@action("listing.reason", Listing, button=True, stays=True)
def reason(tx: Tx, person: Person, listing: Listing) -> None:
    """Ask whoever reported it why."""
    _own_report(tx, person, listing)
    start(tx, person, WHY_REPORTED.name, about=about(listing))


@action("listing.explained", Listing)
def explained(tx: Tx, person: Person, listing: Listing, why: str) -> None:
    """Staff read why it was reported."""
    flag = _own_report(tx, person, listing)
    flag.reason = why
    tx.session.add(flag)
    tell_staff(
        tx,
        listing.community_id,
        "listing.reason_card",
        card=f"flag:{flag.id}",
        number=listing.number,
        why=why,
    )
    tell(tx, person, "listing.reason_noted")


def _own_report(tx: Tx, person: Person, listing: Listing) -> Flag:
    found = select(Flag).where(Flag.about == about(listing), Flag.person_id == person.id)
    flag = tx.session.exec(found).first()
    if flag is None:
        raise Refused("listing.not_reported", number=listing.number)
    return flag


know(Known(WHY_REPORTED, no_facts, about=of_listing))
