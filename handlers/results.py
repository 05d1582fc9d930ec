"""Results: published at once to everybody, open to objections for some days, then final."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.votes import OBJECTION, REJECT, UPHOLD
from conversations.words import LANGUAGES, Say
from handlers import holding, purchases
from handlers.actions import action
from handlers.ballot_sheet import is_sealed
from handlers.ballots import arrived, facts_of
from handlers.calendar import working_deadline
from handlers.holding import about, of_vote, page_of
from handlers.masking import without_private
from handlers.matters import add_event
from handlers.notices import notify, post
from handlers.overdue import DECIDE as LATE
from handlers.overdue import refresh_list
from handlers.people import committee_of
from handlers.policy import policy_of
from handlers.talk import Known, end_about, here, know, no_facts, start
from handlers.tell import Button, close_everywhere, tell, tell_staff
from handlers.timers import set_timer, stop_timer
from handlers.tx import Tx
from handlers.vote_log import voter_of
from handlers.vote_page import turnout_by_building
from handlers.vote_picture import picture
from handlers.vote_words import in_words, verdict_in_words
from handlers.votes import GRACE, close, published
from store.tables import Media, Objection, Person, Purchase, Talk, Vote

ASK_AGAIN = timedelta(days=1)


# --- published --------------------------------------------------------------------------------------


@action("vote.close", Vote)
def close_and_publish(tx: Tx, person: None, vote: Vote) -> None:
    """At the deadline, once: it is counted, and the result goes to the board and to everybody's chat with sound."""
    if not close(tx, vote):
        return
    holding.stop(tx, vote)
    vote.turnout = [
        {"building": each.building, "homes": each.homes, "voted": each.voted}
        for each in turnout_by_building(published(tx, vote))
    ]
    vote.objections_until = tx.now + timedelta(days=policy_of(tx, vote.community_id).objection_days)
    tx.session.add(vote)
    tx.session.flush()
    add_event(
        tx,
        about(vote),
        "event.vote_closed",
        None,
        community_id=vote.community_id,
        verdict=verdict_in_words(vote.policy, vote.result),
    )
    photos = _draw(tx, vote)
    _show_board(tx, vote, anew=True, photos=photos)
    names = ("vote.show", "objection.start")
    _notify(tx, vote, "result.published", names, photos=photos, **shown(tx, vote))
    _tell_staff(tx, vote)
    if (purchase := purchase_of(tx, vote)) is not None:
        purchases.counted(tx, purchase, vote)
    set_timer(tx, vote.community_id, f"vote.final:{vote.id}", vote.objections_until + GRACE)


def has_passed(vote: Vote) -> bool:
    """Whether a closed vote came out for what was asked, or for one of the choices."""
    return bool(vote.result["passed"] if vote.kind == "statutory" else vote.result["adopted"])


def verdict_of(vote: Vote) -> Say:
    """What came out, and whether it holds."""
    if vote.annulled_at is not None:
        return Say("result.annulled_short")
    return verdict_in_words(vote.policy, vote.result)


def purchase_of(tx: Tx, vote: Vote) -> Purchase | None:
    """The request that a vote decides."""
    return tx.session.exec(select(Purchase).where(Purchase.vote_id == vote.id)).first()


def shown(tx: Tx, vote: Vote) -> dict[str, Any]:
    """What is said of a result, as it stands now."""
    words = {language: in_words(vote.policy, vote.result, language) for language in LANGUAGES}
    return {
        **facts_of(vote),
        "words": words,
        "turnout": _turnout(vote),
        "stands": _stands(tx, vote),
        "page": page_of(tx, vote),
        "again": _again(tx, vote),
    }


def _turnout(vote: Vote) -> Any:
    """Who took part by building; nothing where only totals are published: it could be one of three homes."""
    parts = [
        Say(
            "result.building",
            building=Say("where.building", building=each["building"]),
            voted=each["voted"],
            homes=each["homes"],
        )
        for each in vote.turnout
    ]
    return Say("result.turnout", list=parts) if parts else ""


def _again(tx: Tx, vote: Vote) -> Say:
    """By which command anybody can count it again."""
    if is_sealed(vote.policy):
        return Say("result.again_sealed", number=vote.number)
    key = "result.again" if tx.house.vote_page is not None else "result.again_keeper"
    return Say(key, number=vote.number)


def _stands(tx: Tx, vote: Vote) -> Say:
    """Whether the result can still be objected to, until when, and who decides."""
    filed = objections_to(tx, vote)
    waiting = sum(each.state == "waiting" for each in filed)
    if vote.annulled_at is not None:
        upheld = next(each for each in filed if each.state == "upheld")
        return Say("result.annulled", why=_public_answer(tx, upheld), decider=decider(vote))
    if vote.final_at is not None:
        return Say("result.is_final", at=vote.final_at, count=len(filed))
    if waiting:
        return Say(
            "result.objected",
            count=len(filed),
            waiting=waiting,
            until=vote.objections_until,
            decider=decider(vote),
        )
    if filed:
        return Say("result.answered", count=len(filed), until=vote.objections_until, decider=decider(vote))
    return Say("result.open_to_objections", until=vote.objections_until, decider=decider(vote))


def _public_answer(tx: Tx, filed: Objection) -> str:
    """What was said to an objection, as everybody may read it."""
    return without_private(tx, tx.session.get_one(Person, filed.person_id), filed.answer)


def _draw(tx: Tx, vote: Vote) -> list[int]:
    """The picture of the result, in the community's language."""
    if tx.house.keep is None:
        return []
    kept = tx.house.keep(picture(vote.policy, vote.result, tx.community(vote.community_id).language))
    made = Media(
        community_id=vote.community_id,
        about=about(vote),
        storage=kept.storage,
        mime=kept.mime,
        size=kept.size,
        created_at=tx.now,
    )
    tx.session.add(made)
    tx.session.flush()
    return [made.id]


def _show_board(tx: Tx, vote: Vote, *, anew: bool = False, photos: Sequence[int] = ()) -> None:
    """Let the board show the result as it stands; what has changed for everybody comes there as a new message."""
    facts = shown(tx, vote)
    post(tx, vote.community_id, "result.published", about=about(vote), anew=anew, photos=photos, **facts)


def _notify(tx: Tx, vote: Vote, key: str, names: Sequence[str] = ("vote.show",), **facts: Any) -> None:
    """Tell everybody in their own chat, with sound: it is what they were asked."""
    facts["buttons"] = [
        Button(f"{name}:{vote.id}", number=vote.number, owners=name != "vote.show") for name in names
    ]
    notify(tx, vote.community_id, key, about=about(vote), silent=False, **facts)
    holding.tell_former(tx, vote, key, **facts)


def _tell_staff(tx: Tx, vote: Vote) -> None:
    tell_staff(
        tx,
        vote.community_id,
        "result.staff",
        card=about(vote),
        anew=True,
        alone=True,
        buttons=[Button(f"vote.show:{vote.id}", number=vote.number)],
        **shown(tx, vote),
    )


# --- objected to ------------------------------------------------------------------------------------


def objections_to(tx: Tx, vote: Vote) -> list[Objection]:
    """All objections to a vote, the oldest first."""
    rows = select(Objection).where(Objection.vote_id == vote.id).order_by(col(Objection.id))
    return list(tx.session.exec(rows))


def decider(vote: Vote) -> Say:
    """Who decides on objections: the committee on a vote of the owners' assembly, staff on a poll."""
    return Say(f"result.decider.{vote.kind}")


def decides(tx: Tx, vote: Vote, filed: Objection) -> list[Person]:
    """The people who decide in their own chats, but for whoever filed it; nobody, if that is for the admin group."""
    if vote.kind != "statutory":
        return []
    return [each for each in committee_of(tx, vote.community_id) if each.id != filed.person_id]


@action("objection.start", Vote, button=True, stays=True)
def ask_objection(tx: Tx, person: Person, vote: Vote) -> None:
    """Ask what is wrong with the result."""
    _must_be_open(tx, person, vote)
    start(tx, person, OBJECTION.name, about=about(vote))


def _must_be_open(tx: Tx, person: Person, vote: Vote) -> None:
    if vote.state != "closed" or vote.objections_until is None:
        raise Refused("objection.early")
    voter = voter_of(tx, vote, person)
    if voter is None or not voter.homes:
        raise Refused("objection.not_entitled")
    if vote.final_at is not None or vote.annulled_at is not None or arrived(tx) > vote.objections_until:
        raise Refused("objection.late", until=vote.objections_until)
    if any(each.person_id == person.id and each.state == "waiting" for each in objections_to(tx, vote)):
        raise Refused("objection.once")


def _of_objection(tx: Tx, talk: Talk) -> dict[str, Any]:
    filed = tx.session.get_one(Objection, int(talk.about.partition(":")[2]))
    return {**facts_of(tx.session.get_one(Vote, filed.vote_id)), "what": filed.what}


know(Known(OBJECTION, no_facts, about=of_vote))
know(Known(UPHOLD, no_facts, about=_of_objection))
know(Known(REJECT, no_facts, about=_of_objection))


@action("objection.file", Vote)
def file_objection(tx: Tx, person: Person, vote: Vote, what: str, **rest: Any) -> None:
    """Whoever decides gets it, and the board says that there is one."""
    _must_be_open(tx, person, vote)
    filed = Objection(
        community_id=vote.community_id, vote_id=vote.id, person_id=person.id, what=what, at=tx.now
    )
    tx.session.add(filed)
    tx.session.flush()
    add_event(tx, about(vote), "event.objection", person, community_id=vote.community_id)
    until = working_deadline(tx, vote.community_id, policy_of(tx, vote.community_id).review_days)
    tell(tx, person, "objection.filed", decider=decider(vote), until=until, **facts_of(vote))
    _ask_decision(tx, filed, vote)
    _show_board(tx, vote)


def _ask_decision(tx: Tx, filed: Objection, vote: Vote) -> None:
    """Whoever decides has it before them, every day anew until it is decided."""
    facts, buttons, card = _asked(filed, vote)
    people = decides(tx, vote, filed)
    for each in people:
        tell(tx, each, "objection.asked", card=card, anew=True, alone=True, buttons=buttons, **facts)
    if not people and vote.kind == "statutory":
        tell_staff(tx, vote.community_id, "objection.nobody", card=card, anew=True, alone=True, **facts)
    elif not people:
        tell_staff(
            tx,
            vote.community_id,
            "objection.asked",
            card=card,
            anew=True,
            alone=True,
            buttons=buttons,
            **facts,
        )
    set_timer(tx, vote.community_id, f"objection.wait:{filed.id}", tx.now + ASK_AGAIN)


def _asked(filed: Objection, vote: Vote) -> tuple[dict[str, Any], list[Button], str]:
    """What is asked of whoever decides, what they can do, and the name of the card."""
    facts = {**facts_of(vote), "what": filed.what, "at": filed.at}
    buttons = [Button(f"objection.{name}:{filed.id}", number=vote.number) for name in ("reject", "uphold")]
    return facts, buttons, f"objection:{filed.id}"


@action("objection.show", Objection, button=True, stays=True)
def show_objection(tx: Tx, person: Person, filed: Objection) -> None:
    """One objection, with what can be decided, for whoever decides."""
    _must_wait(filed)
    facts, buttons, card = _asked(filed, tx.session.get_one(Vote, filed.vote_id))
    tell(tx, here(tx, person), "objection.asked", card=card, anew=True, buttons=buttons, **facts)


@action("objection.wait", Objection)
def ask_again(tx: Tx, person: None, filed: Objection) -> None:
    """Nobody has decided yet."""
    if filed.state == "waiting":
        _ask_decision(tx, filed, tx.session.get_one(Vote, filed.vote_id))


@action("objection.uphold", Objection, button=True, stays=True)
def ask_uphold(tx: Tx, person: Person, filed: Objection) -> None:
    """Ask why it is right."""
    _must_wait(filed)
    start(tx, person, UPHOLD.name, about=f"objection:{filed.id}")


@action("objection.reject", Objection, button=True, stays=True)
def ask_reject(tx: Tx, person: Person, filed: Objection) -> None:
    """Ask why the result holds all the same."""
    _must_wait(filed)
    start(tx, person, REJECT.name, about=f"objection:{filed.id}")


def _must_wait(filed: Objection) -> None:
    if filed.state != "waiting":
        raise Refused("objection.over")


@action("objection.upheld", Objection)
def uphold(tx: Tx, person: Person, filed: Objection, why: str, **rest: Any) -> None:
    """The objection is right: what was decided does not hold, and everybody hears of it."""
    vote = _decide(tx, person, filed, "upheld", why)
    if vote.annulled_at is None:
        vote.annulled_at = tx.now
        tx.session.add(vote)
        tx.session.flush()
        stop_timer(tx, f"vote.final:{vote.id}")
        public = _public_answer(tx, filed)
        _notify(tx, vote, "result.annulled_for_all", why=public, decider=decider(vote), **facts_of(vote))
        _tell_staff(tx, vote)
        _show_board(tx, vote, anew=True)
        if (purchase := purchase_of(tx, vote)) is not None:
            purchases.annulled(tx, purchase, vote)
    else:
        _show_board(tx, vote)


@action("objection.rejected", Objection)
def reject(tx: Tx, person: Person, filed: Objection, why: str, **rest: Any) -> None:
    """The result holds; it becomes final when nothing waits any more."""
    vote = _decide(tx, person, filed, "rejected", why)
    _show_board(tx, vote)
    if vote.objections_until is not None and tx.now >= vote.objections_until + GRACE:
        make_final(tx, None, vote)


def _decide(tx: Tx, person: Person, filed: Objection, state: str, why: str) -> Vote:
    _must_wait(filed)
    filed.state, filed.answer, filed.decided_at = state, why, tx.now
    tx.session.add(filed)
    tx.session.flush()
    stop_timer(tx, f"objection.wait:{filed.id}")
    end_about(tx, f"objection:{filed.id}")
    close_everywhere(tx, f"objection:{filed.id}")
    if filed.at <= tx.now - LATE:
        refresh_list(tx, filed.community_id)
    vote = tx.session.get_one(Vote, filed.vote_id)
    public = _public_answer(tx, filed)
    add_event(tx, about(vote), f"event.objection_{state}", person, community_id=vote.community_id, why=public)
    facts: Mapping[str, Any] = {"why": why, "decider": decider(vote), **facts_of(vote)}
    tell(tx, tx.session.get_one(Person, filed.person_id), f"objection.{state}", **facts)
    tell(tx, here(tx, person), f"objection.{state}_noted", **facts)
    return vote


# --- final ------------------------------------------------------------------------------------------


@action("vote.final", Vote)
def make_final(tx: Tx, person: None, vote: Vote) -> None:
    """The time for objections is over and none waits: the result is final, and everybody hears of it."""
    if vote.state != "closed" or vote.final_at is not None or vote.annulled_at is not None:
        return
    filed = objections_to(tx, vote)
    if any(each.state == "waiting" for each in filed):
        return  # the last decision makes it final
    vote.final_at = tx.now
    tx.session.add(vote)
    tx.session.flush()
    add_event(tx, about(vote), "event.vote_final", None, community_id=vote.community_id)
    verdict = verdict_in_words(vote.policy, vote.result)
    _notify(tx, vote, "result.final", count=len(filed), verdict=verdict, **facts_of(vote))
    _tell_staff(tx, vote)
    _show_board(tx, vote, anew=True)
    if (purchase := purchase_of(tx, vote)) is not None:
        purchases.finally_decided(tx, purchase, vote, passed=has_passed(vote))
