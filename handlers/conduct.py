"""Conduct: what people write for others is judged before it stands; a ruling says what was found and who decides."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import and_, col, func, or_, select, update

import moderation.conduct
from conversations.errors import NotNow
from conversations.words import Say, below
from handlers import judge
from handlers.masking import without_private
from handlers.matters import add_event
from handlers.numbers import next_number
from handlers.overdue import refresh_list
from handlers.policy import policy_of
from handlers.repair_cards import office
from handlers.tell import Button, tell, tell_staff
from handlers.timers import set_due, stop_due
from handlers.tx import Tx
from moderation.conduct import Verdict, fingerprint
from moderation.urgency import Why
from store.tables import Example, Flag, Listing, Outgoing, Person, Post, Ruling

WAITING = ("held", "appealed")
"""The states in which staff have to decide."""
BY_STAFF = "staff"
BY_NEIGHBOURS = "neighbours"
MOST_A_DAY = 20
"""So often one person may let staff decide on their words."""


# --- what is judged ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A kind of thing that is judged: how it is called, and what a decision does to it.

    `restore` lets it stand as it was written, `uphold` takes it away; both get the row, locked, and its ruling. `fix`
    gives the buttons with which its author puts it right. `author` names whoever wrote it, for staff.
    """

    name: str
    table: type[Listing] | type[Post]
    restore: Callable[[Tx, Any, Ruling], None]
    uphold: Callable[[Tx, Any, Ruling], None]
    author: Callable[[Tx, Any], Any]
    fix: Callable[[Any], Sequence[Button]] = lambda row: ()


JUDGED: dict[str, Judged] = {}


def know_judged(judged: Judged) -> None:
    """Let things of this kind be ruled on."""
    JUDGED[judged.name] = judged


def about(row: Listing | Post) -> str:
    """What a ruling calls a thing that was judged: listing:5."""
    return f"{type(row).__name__.lower()}:{row.id}"


def judged_of(ruling: Ruling) -> Judged:
    """The kind of thing a ruling is about."""
    return JUDGED[ruling.about.partition(":")[0]]


def subject_of(tx: Tx, ruling: Ruling, *, locked: bool = False) -> Any:
    """The thing that a ruling is about, as it is now; None if it is gone."""
    judged, number = judged_of(ruling), int(ruling.about.partition(":")[2])
    found = select(judged.table).where(col(judged.table.id) == number)
    if locked:
        found = found.with_for_update(key_share=True).execution_options(populate_existing=True)
    return tx.session.exec(found).first()


def known_author(tx: Tx, ruling: Ruling) -> Person | None:
    """Who wrote what was ruled on; None if nobody knows them, or they are forgotten."""
    author = tx.session.get(Person, ruling.person_id) if ruling.person_id is not None else None
    return author if author is not None and author.name else None


# --- the judgement ----------------------------------------------------------------------------------


def weigh(tx: Tx, community_id: int, text: str, language: str = "zh") -> Verdict:
    """What the rules of the community say of a text; but what its staff decided on the very same text stands."""
    decided = _decided(tx, community_id, text)
    if decided is not None and decided.label == "ok":
        return Verdict("ok")
    if decided is not None:
        sentence = tx.reader(community_id, language).say("ruling.decided_before")
        return Verdict("violation", decided.kind, (Why(BY_STAFF, (), sentence),))
    return moderation.conduct.judge(text, judge.conduct_rules(tx, community_id), language)


def _decided(tx: Tx, community_id: int, text: str) -> Example | None:
    mark = _mark(text)
    if not mark:
        return None
    same = select(Example).where(Example.community_id == community_id, Example.mark == mark)
    return tx.session.exec(same.order_by(col(Example.id).desc()).limit(1)).first()


def _mark(text: str) -> str:
    """By what the very same text is known again; empty for one of which nothing is left to compare."""
    plain = fingerprint(text)
    return hashlib.sha256(plain.encode()).hexdigest() if plain else ""


def rule_on(
    tx: Tx,
    row: Listing | Post,
    text: str,
    verdict: Verdict,
    *,
    person: Person | None,
    account: str = "",
    why: Sequence[dict[str, str]] = (),
) -> Ruling:
    """Write down a verdict on something that is not simply fine: what breaks a rule is deleted, what may is held.

    It is what decides on the row from now on; an earlier ruling on it that waits is moot. What is held goes to staff
    at once. `account` is by which it was said ("telegram:7345"), where that is not a chat of their own with us; `why`
    are the reasons, in every language, where it is not the words that decided.
    """
    found = list(why) or _reasons(tx, row.community_id, text)
    return _new(tx, row, text, verdict, found, person=person, account=account)


def _reasons(tx: Tx, community_id: int, text: str) -> list[dict[str, str]]:
    """Why a text is not simply fine, in every language."""
    return judge.in_every_language(
        lambda language: [
            because(tx, community_id, why, language) for why in weigh(tx, community_id, text, language).why
        ]
    )


def is_numbered(rule: str) -> bool:
    """Whether a reason is a rule that people can look up (F2, C1), not the tone, neighbours or staff."""
    return rule[-1:].isdigit()


def because(tx: Tx, community_id: int, why: Why, language: str) -> str:
    """One reason in words: the rule's sentence with its number, and what of the text decided."""
    words = " ".join(" … ".join(why.words).split())
    if is_numbered(why.rule):
        key = "ruling.because" if words else "ruling.because_rule"
    elif words:  # the tone, a neighbour, staff: no rule with a number
        key = "ruling.because_words"
    else:
        return why.sentence
    return tx.reader(community_id, language).say(key, sentence=why.sentence, rule=why.rule, words=words)


def _new(
    tx: Tx,
    row: Listing | Post,
    text: str,
    verdict: Verdict,
    why: list[dict[str, str]],
    *,
    person: Person | None,
    account: str,
) -> Ruling:
    drop_ruling(tx, row)
    ruling = Ruling(
        community_id=row.community_id,
        number=next_number(tx, row.community_id, "ruling"),
        about=about(row),
        person_id=person.id if person is not None else None,
        account=account,
        text=text,
        verdict=verdict.verdict,
        category=verdict.category,
        rules=[each.rule for each in verdict.why],
        why=why,
        state="held" if verdict.verdict == "hold" else "deleted",
        at=tx.now,
    )
    tx.session.add(ruling)
    tx.session.flush()
    row.ruling_id = ruling.id
    tx.session.add(row)
    happened(tx, ruling, f"ruling.event.{ruling.state}")
    if ruling.state in WAITING:
        wait_for_staff(tx, ruling)
    return ruling


def drop_ruling(tx: Tx, row: Listing | Post) -> None:
    """What waits to be decided on a thing need not be decided any more: it was changed, or taken back."""
    waits = select(Ruling).where(Ruling.about == about(row), col(Ruling.state).in_(WAITING))
    # One that staff decide on at this very moment waits for this row, and finds that another ruling counts.
    for ruling in tx.session.exec(waits.with_for_update(skip_locked=True, key_share=True)).all():
        end_ruling(tx, ruling, "moot")
    row.ruling_id = None
    tx.session.add(row)


def reported(tx: Tx, row: Listing, text: str, person: Person) -> int:
    """A neighbour reports something published; how many have by now.

    Staff decide on it; what they decided before on the very same words stands, and does not ring at them again.
    """
    known = select(Flag).where(Flag.about == about(row), Flag.person_id == person.id)
    if tx.session.exec(known).first() is None:
        flag = Flag(community_id=row.community_id, about=about(row), person_id=person.id, at=tx.now)
        tx.session.add(flag)
        tx.session.flush()
    ruling = tx.session.get(Ruling, row.ruling_id) if row.ruling_id is not None else None
    if ruling is not None and ruling.state in WAITING:
        show_to_staff(tx, ruling)
    else:
        take_up_reports(tx, row, text)
    return flags(tx, about(row))


def take_up_reports(tx: Tx, row: Listing, text: str) -> None:
    """Let staff decide on what neighbours reported, unless they let the very same words stand before."""
    decided = _decided(tx, row.community_id, text)
    if decided is not None and decided.label == "ok":
        return
    why = judge.in_every_language(
        lambda language: [tx.reader(row.community_id, language).say("ruling.reported")]
    )
    verdict = Verdict("hold", "", (Why(BY_NEIGHBOURS, (), ""),))
    author = tx.session.get(Person, row.person_id)
    _new(tx, row, text, verdict, why, person=author, account="")


def flags(tx: Tx, what: str) -> int:
    """How many neighbours have reported something since staff last let it stand."""
    counted = select(func.count()).where(Flag.about == what)
    let_stand = select(func.max(Ruling.decided_at)).where(Ruling.about == what, Ruling.state == "restored")
    since = tx.session.exec(let_stand).one()
    return tx.session.exec(counted if since is None else counted.where(Flag.at > since)).one()


def happened(tx: Tx, ruling: Ruling, key: str, person: Person | None = None) -> None:
    """Write one line of a ruling's timeline; who decided stands in its row and in the audit log."""
    add_event(tx, f"ruling:{ruling.id}", key, person, community_id=ruling.community_id)


# --- the ruling and its clock -----------------------------------------------------------------------


def wait_for_staff(tx: Tx, ruling: Ruling) -> None:
    """Staff have to decide, and their clock runs."""
    hours = policy_of(tx, ruling.community_id).ruling_hours
    ruling.due_at = tx.now + timedelta(hours=hours)
    tx.session.add(ruling)
    reminded = ruling.due_at - timedelta(hours=hours / 4)
    set_due(tx, ruling.community_id, f"ruling:{ruling.id}", ruling.due_at, reminded)
    show_to_staff(tx, ruling, anew=True)


def must_not_ask_too_often(tx: Tx, person: Person) -> None:
    """What rings at staff has a limit a day: their cards are not for one person alone."""
    since = tx.now - timedelta(days=1)
    asked = or_(col(Ruling.appealed_at) > since, and_(Ruling.verdict == "hold", Ruling.at > since))
    today = select(func.count()).where(Ruling.person_id == person.id, asked)
    if tx.session.exec(today).one() >= MOST_A_DAY:
        raise NotNow("ruling.too_many", most=MOST_A_DAY)


def end_ruling(tx: Tx, ruling: Ruling, state: str) -> None:
    """It is decided, or need not be."""
    waited = ruling.state in WAITING
    late = waited and ruling.due_at is not None and ruling.due_at <= tx.now
    ruling.state, ruling.decided_at, ruling.due_at = state, tx.now, None
    tx.session.add(ruling)
    happened(tx, ruling, f"ruling.event.{state}")
    if late:
        tx.session.flush()
        refresh_list(tx, ruling.community_id)
    stop_due(tx, f"ruling:{ruling.id}")
    if waited:
        show_to_staff(tx, ruling)


def forget(tx: Tx, person: Person, accounts: Sequence[str]) -> None:
    """What was found in the words of who is forgotten: nobody reads it or decides on it any more."""
    theirs = or_(Ruling.person_id == person.id, col(Ruling.account).in_(accounts))
    for ruling in tx.session.exec(select(Ruling).where(theirs).order_by(col(Ruling.id))).all():
        ruling.text, ruling.why, ruling.account = "", [], ""
        if ruling.state in (*WAITING, "deleted"):
            end_ruling(tx, ruling, "moot")
        shown = col(Outgoing.card).in_([f"ruling:{ruling.id}", f"overdue-ruling:{ruling.id}"])
        words = tx.reader(ruling.community_id).say("ruling.forgotten", number=ruling.number)
        tx.session.flush()
        tx.session.connection().execute(update(Outgoing).where(shown).values(text=words, buttons=[]))


def keep_example(tx: Tx, ruling: Ruling, label: str, person: Person) -> None:
    """What staff decided: the same text is judged so from now on, and the next rules learn from it.

    Where it was not the words that decided, such as in a flood, they say nothing.
    """
    if ruling.category not in moderation.conduct.CATEGORIES and ruling.category:
        return
    tx.session.add(
        Example(
            community_id=ruling.community_id,
            judgement="conduct",
            text=without_private(tx, known_author(tx, ruling), ruling.text),
            mark=_mark(ruling.text),
            verdict=ruling.verdict,
            label=label,
            kind=ruling.category,
            about=ruling.about,
            pseudonym=person.pseudonym,
            at=tx.now,
        )
    )


# --- what is said about it --------------------------------------------------------------------------


def facts(tx: Tx, ruling: Ruling) -> dict[str, Any]:
    """A ruling in words, for its author and for staff."""
    row = subject_of(tx, ruling)
    count = flags(tx, ruling.about)
    reasons: list[Any] = [*ruling.why, *([Say("ruling.flags", count=count)] if count else [])]
    return {
        "number": ruling.number,
        "what": Say(f"ruling.what.{judged_of(ruling).name}", number=getattr(row, "number", "")),
        "who": judged_of(ruling).author(tx, row) if row is not None else Say("person.forgotten"),
        "text": ruling.text,
        "why": below(reasons),
        "state": Say(f"ruling.state.{ruling.state}"),
        "due": Say("ruling.due", due=ruling.due_at) if ruling.due_at is not None else "",
        "hours": policy_of(tx, ruling.community_id).ruling_hours,
        "phone": office(tx, ruling.community_id),
    }


def show_to_staff(tx: Tx, ruling: Ruling, key: str = "ruling.card", *, anew: bool = False) -> None:
    """The card of a ruling in the admin group, with what can be decided."""
    tell_staff(
        tx,
        ruling.community_id,
        key,
        card=f"ruling:{ruling.id}",
        anew=anew,
        alone=True,
        silent=key == "ruling.card",
        buttons=staff_buttons(ruling),
        **facts(tx, ruling),
    )


def staff_buttons(ruling: Ruling) -> list[Button]:
    """What staff can decide on a ruling now; what was deleted and nobody appealed can be given back, too."""
    names = {"held": ["allow", "uphold"], "appealed": ["allow", "uphold"], "deleted": ["allow"]}
    return [
        Button(f"ruling.{name}:{ruling.id}", number=ruling.number) for name in names.get(ruling.state, [])
    ]


def tell_author(tx: Tx, person: Person, ruling: Ruling, key: str = "", *, more: Any = "") -> None:
    """Tell who wrote it what was found, with one tap to put it right or to appeal, in their own chat.

    `key` is another text for what became of it; `more` are words of its own kind.
    """
    row = subject_of(tx, ruling)
    appeal = [Button(f"ruling.appeal:{ruling.id}", number=ruling.number)] if ruling.state == "deleted" else []
    tell(
        tx,
        person,
        key or f"ruling.{ruling.state}_{judged_of(ruling).name}",
        last=f"judged:{ruling.about}",
        more=more,
        buttons=[*(judged_of(ruling).fix(row) if row is not None else ()), *appeal],
        **facts(tx, ruling),
    )
