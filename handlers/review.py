"""The review of a request by staff: what there is already, whether it is turned down, by which rule it is decided."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from conversations.errors import Refused
from conversations.moments import moment_in
from conversations.purchase import DECLINE, NOTE, REVIEW, WHOLE
from conversations.steps import Answers
from conversations.words import Reader, Say
from handlers import equipment, holding, openings
from handlers.actions import action
from handlers.law import SCOPE, Pack, pack_of
from handlers.people import buildings_of, committee_of
from handlers.policy import policy_of
from handlers.purchase_cards import (
    about,
    add_event,
    masked,
    money,
    refresh,
    tell_owner,
    where,
)
from handlers.purchases import must_be, stop_clocks
from handlers.talk import Known, ask, end_about, here, know, no_facts, open_talk, start
from handlers.tell import reader_of, tell
from handlers.tx import Tx
from handlers.vote_roster import freeze
from store.tables import Person, Purchase, Talk

WRITTEN = "%Y-%m-%d %H:%M"
LONGEST_TITLE = 120
LINES = 8
LONGEST_NOTE = 500


def _about_talk(tx: Tx, talk: Talk) -> Purchase:
    """The request that a talk is about."""
    return tx.session.get_one(Purchase, int(talk.about.partition(":")[2]))


def _begin(tx: Tx, person: Person, purchase: Purchase, script: str) -> None:
    """Ask the questions about a request, or go on with them; its number is an answer, since facts see only these."""
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == (script, about(purchase)):
        ask(tx, person, talk)
        return
    start(tx, person, script, about=about(purchase), answers={"for": purchase.id})


# --- what there is already --------------------------------------------------------------------------


def existing(tx: Tx, purchase: Purchase, reader: Reader) -> list[str]:
    """What the register has like it, a line each."""
    found = equipment.lines_for(tx, purchase.community_id, purchase.what, purchase.building)
    return [str(reader.show(equipment.facts(tx, each))) for each in found[:LINES]]


def note_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the register knows, to be taken as the note."""
    reader = reader_of(tx, here(tx, person))

    def register() -> list[tuple[str, str]]:
        lines = existing(tx, tx.session.get_one(Purchase, answers["for"]), reader)
        return [("register", "；".join(lines)[:LONGEST_NOTE])] if lines else []

    return {"register": register}


def of_request(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which request a question is about, and what the register has like it."""
    purchase = _about_talk(tx, talk)
    lines = existing(tx, purchase, tx.reader(purchase.community_id))
    return {
        "number": purchase.number,
        "what": purchase.what,
        "register": "\n".join(lines) or Say("purchase.register_none"),
    }


know(Known(NOTE, note_facts, about=of_request))
know(Known(DECLINE, no_facts, about=of_request))


@action("purchase.register", Purchase, button=True, stays=True)
def show_register(tx: Tx, person: Person, purchase: Purchase) -> None:
    """What the register has like it."""
    reader = reader_of(tx, here(tx, person))
    tell(
        tx,
        here(tx, person),
        "purchase.registered",
        number=purchase.number,
        what=purchase.what,
        register="\n".join(existing(tx, purchase, reader)) or Say("purchase.register_none"),
    )


@action("purchase.note", Purchase, button=True, stays=True)
def note(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask what there is already."""
    must_be(purchase, "review")
    _begin(tx, person, purchase, "existing")


@action("purchase.noted", Purchase)
def noted(tx: Tx, person: Person, purchase: Purchase, note: str) -> None:
    """What staff say of the existing equipment is published with the request."""
    must_be(purchase, "review")
    purchase.note = note
    add_event(tx, purchase, "purchase.event.noted", person)
    refresh(tx, purchase, anew=True)


# --- turned down ------------------------------------------------------------------------------------


@action("purchase.decline", Purchase, button=True, stays=True)
def decline(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask for the reason, which everybody will read."""
    _may_be_declined(purchase)
    start(tx, person, "turn_down", about=about(purchase))


@action("purchase.declined", Purchase)
def declined(tx: Tx, person: Person, purchase: Purchase, reason: str, sure: bool = True) -> None:
    """Turned down, with the reason in public; its proposer can ask the owners to bring it back."""
    _may_be_declined(purchase)
    purchase.state, purchase.reason = "declined", reason
    stop_clocks(tx, purchase)
    end_about(tx, about(purchase))
    add_event(tx, purchase, "purchase.event.declined", person, reason=masked(tx, purchase, reason))
    needed = policy_of(tx, purchase.community_id).insist_cosigners
    refresh(tx, purchase, anew=True)
    tell_owner(tx, purchase, "purchase.declined", reason=reason, needed=needed)


def _may_be_declined(purchase: Purchase) -> None:
    must_be(purchase, "review")
    if purchase.insisted:
        raise Refused("purchase.insisted_no", number=purchase.number)


# --- the rule ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Due:
    """What the law wants for a purchase: the kind of vote, its rule, and the item of art. 278 ("poll": none)."""

    kind: str
    rule: str | None
    item: str


def due(payer: str, nature: str) -> Due:
    """By which rule the law lets owners decide, from who pays and what is done (art. 278 of the Civil Code)."""
    if (payer, nature) == ("company", "same"):
        return Due("poll", None, "poll")
    if nature == "same" and payer in ("fund", "revenue"):
        return Due("statutory", "ordinary", "5" if payer == "fund" else "9")
    return Due("statutory", "special", {"alter": "7", "business": "8"}.get(nature, "6"))


def _pack(tx: Tx, community_id: int) -> Pack:
    return pack_of(policy_of(tx, community_id).city)


def _lawful(tx: Tx, community_id: int, answers: Mapping[str, Any]) -> Due:
    """What the law wants, as far as the city lets it be held here."""
    wanted = due(str(answers.get("payer", "")), str(answers.get("nature", "")))
    return wanted if _pack(tx, community_id).statutory_here else Due("poll", None, wanted.item)


def review_facts(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What can be chosen, the lawful default first."""
    reader, community_id = reader_of(tx, here(tx, person)), person.community_id
    statutory = answers.get("kind") == "statutory"
    mark = reader.say("review.lawful_mark" if statutory else "review.usual_mark")

    def kinds() -> list[tuple[str, str]]:
        lawful = _lawful(tx, community_id, answers).kind
        both = [lawful, *(each for each in ("statutory", "poll") if each != lawful)]
        offered = both if _pack(tx, community_id).statutory_here else ["poll"]
        names = [(each, reader.say(f"review.kind_{each}")) for each in offered]
        return [
            (each, name + (reader.say("review.lawful_mark") if each == lawful else ""))
            for each, name in names
        ]

    def scopes() -> list[tuple[str, str]]:
        names = buildings_of(tx, community_id)
        shown = [(name, reader.say("where.building", building=name)) for name in names]
        return [(WHOLE, reader.say("purchase.whole") + mark), *shown]

    def openings_() -> list[tuple[str, str]]:
        if not statutory:
            return [("default", reader.say("review.opens_now") + mark)]
        pack = _pack(tx, community_id)
        at = _stamp(tx, community_id, tx.now + timedelta(days=pack.notice_days))
        return [("default", reader.say("review.opens_noticed", days=pack.notice_days, at=at) + mark)]

    def lengths() -> list[tuple[int, str]]:
        days = _usual_days(tx, community_id, statutory=statutory)
        return [(days, reader.say("review.days", days=days) + reader.say("review.usual_mark"))]

    def estimated() -> bool:
        return tx.session.get_one(Purchase, answers["for"]).cost is not None

    return {
        "estimated": estimated,
        "kinds": kinds,
        "scopes": scopes,
        "buildings": scopes,
        "openings": openings_,
        "lengths": lengths,
    }


def _usual_days(tx: Tx, community_id: int, *, statutory: bool) -> int:
    policy, period = policy_of(tx, community_id), _pack(tx, community_id).period_days
    if not statutory:
        return policy.poll_days
    least, most = period or (1, 120)
    return min(max(policy.statutory_days, least), most)


def _zone(tx: Tx, community_id: int) -> ZoneInfo:
    return ZoneInfo(tx.community(community_id).time_zone)


def _stamp(tx: Tx, community_id: int, at: datetime) -> str:
    return at.astimezone(_zone(tx, community_id)).strftime(WRITTEN)


def _moment(tx: Tx, community_id: int, opens: str) -> datetime | None:
    """The moment that was chosen; None: as early as the law lets it."""
    try:
        return datetime.strptime(opens, WRITTEN).replace(tzinfo=_zone(tx, community_id))
    except ValueError:
        return None


FOLLOWS = {
    "payer": ("kind", "scope", "opens", "lasts"),
    "nature": ("kind", "scope", "opens", "lasts"),
    "kind": ("scope", "opens", "lasts"),
}
"""Which answers lose their ground when one is changed."""


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """What the law forbids is said at once; what follows from an answer that was changed is asked again."""
    answers = dict(talk.answers)
    for name in changed:
        for each in FOLLOWS.get(name, ()):
            if each not in changed:
                answers.pop(each, None)
    lead, facts = "", dict[str, Any]()
    if "kind" in changed and answers["kind"] == "statutory":
        lead, facts = _check_committee(tx, person, answers)
    if "opens" in changed and not lead:
        lead, facts = _read_opening(tx, person, answers)
    if "lasts" in changed and not lead:
        lead, facts = _check_length(tx, person, answers)
    talk.answers = answers
    tx.session.add(talk)
    tx.session.flush()
    if lead:
        ask(tx, person, talk, lead=lead, **facts)
    return bool(lead)


def _read_opening(tx: Tx, person: Person, answers: Answers) -> tuple[str, dict[str, Any]]:
    """Make the opening that was written a moment, or take it away with the key of what to say."""
    community_id, text = person.community_id, answers["opens"]
    suggested = review_facts(tx, person, answers)["openings"]()
    if text == suggested[0][1]:
        return "", {}
    at = moment_in(text, tx.now.astimezone(_zone(tx, community_id)))
    lead, facts = "", dict[str, Any]()
    pack = _pack(tx, community_id)
    earliest = tx.now + timedelta(days=pack.notice_days)
    if at is None:
        lead = "review.no_moment"
    elif at <= tx.now:
        lead = "review.past"
    elif at > tx.now + timedelta(days=365):
        lead = "review.too_far"
    elif answers.get("kind") == "statutory" and at < earliest:
        lead, facts = "vote.notice", {"days": pack.notice_days, "at": earliest}
    if lead or at is None:
        del answers["opens"]
    else:
        answers["opens"] = at.strftime(WRITTEN)
    return lead, facts


def _check_committee(tx: Tx, person: Person, answers: Answers) -> tuple[str, dict[str, Any]]:
    """Whether there is a committee that could open it."""
    count = len(committee_of(tx, person.community_id))
    if count >= openings.TOGETHER:
        return "", {}
    del answers["kind"]
    number = tx.session.get_one(Purchase, answers["for"]).number
    return "review.no_committee", {"count": count, "number": number}


def _check_length(tx: Tx, person: Person, answers: Answers) -> tuple[str, dict[str, Any]]:
    pack = _pack(tx, person.community_id)
    if answers.get("kind") != "statutory" or pack.period_days is None:
        return "", {}
    least, most = pack.period_days
    if least <= answers["lasts"] <= most:
        return "", {}
    del answers["lasts"]
    return "vote.period", {"city": pack.city, "least": least, "most": most}


def of_review(tx: Tx, talk: Talk) -> dict[str, Any]:
    """What the law says to the answers so far, and at the last look what departs from it."""
    purchase, answers = _about_talk(tx, talk), talk.answers
    pack = _pack(tx, purchase.community_id)
    wanted = due(str(answers.get("payer", "")), str(answers.get("nature", "")))
    warnings = []
    if purchase.cost is None and answers.get("cost") is None:
        warnings.append(Say("review.warn_cost"))
    if answers.get("kind") == "poll" and wanted.kind == "statutory":
        warnings.append(Say("review.warn_poll", law=Say(f"review.law.{wanted.item}")))
    if answers.get("kind") == "statutory" and answers.get("scope", WHOLE) != WHOLE:
        warnings.append(Say("review.warn_scope"))
    usual = _usual_days(tx, purchase.community_id, statutory=answers.get("kind") == "statutory")
    if "lasts" in answers and answers["lasts"] < usual:
        warnings.append(Say("review.warn_short", days=answers["lasts"], usual=usual))
    statutory = answers.get("kind") == "statutory"
    period = pack.period_days
    reader = tx.reader(purchase.community_id)
    return {
        "number": purchase.number,
        "what": purchase.what,
        "law": Say(f"review.law.{wanted.item}"),
        "city": Say("review.city_mark", reason=dict(pack.reasons)) if not pack.statutory_here else "",
        "notice": Say("review.notice_statutory", days=pack.notice_days)
        if statutory
        else Say("review.notice_poll"),
        "period": Say("review.period_mark", city=pack.city, least=period[0], most=period[1])
        if period and statutory
        else "",
        "scopes": Say("review.scope_statutory" if statutory else "review.scope_poll"),
        "warning": "".join(f"\n⚠ {reader.show(each)}" for each in warnings),
    }


know(Known(REVIEW, review_facts, heard, about=of_review))


@action("review.start", Purchase, button=True, stays=True)
def begin(tx: Tx, person: Person, purchase: Purchase) -> None:
    """Ask by which rule it is decided; not before staff have said what there is already."""
    must_be(purchase, "review")
    if not purchase.note:
        raise Refused("review.note_first", number=purchase.number)
    _begin(tx, person, purchase, "review")


@action("review.finish", Purchase)
def finish(tx: Tx, person: Person, purchase: Purchase, **answers: Any) -> None:
    """Begin a poll; a statutory vote is proposed to the committee, which alone can open it."""
    must_be(purchase, "review")
    if not purchase.note:
        raise Refused("review.note_first", number=purchase.number)
    purchase.payer, purchase.nature = answers["payer"], answers["nature"]
    purchase.cost = answers.get("cost") or purchase.cost
    scope = str(answers.get("scope") or WHOLE)
    buildings = None if scope == WHOLE else [scope]
    opens = _moment(tx, purchase.community_id, str(answers["opens"]))
    title, text = _title(tx, purchase), _text(tx, purchase)
    if answers["kind"] == "poll":
        opens_at = max(opens or tx.now, tx.now)
        _leaves_review(tx, purchase)
        holding.hold(
            tx,
            purchase.community_id,
            person,
            purchase=purchase,
            kind="poll",
            title=title,
            text=text,
            opens_at=opens_at,
            deadline=opens_at + timedelta(days=answers["lasts"]),
            options={"scope": {"buildings": buildings}},
        )
        purchase.state = "voting"
        add_event(tx, purchase, "purchase.event.polled", person)
        refresh(tx, purchase, anew=True)
        return
    _can_be_statutory(tx, purchase, buildings)
    _leaves_review(tx, purchase)
    wanted = due(purchase.payer, purchase.nature)
    purchase.state = "opening"
    add_event(tx, purchase, "purchase.event.proposed", person)
    openings.propose(
        tx,
        purchase,
        {
            "rule": wanted.rule or "ordinary",
            "title": title,
            "text": text,
            "buildings": buildings,
            "opens": opens.isoformat() if opens is not None else None,
            "days": answers["lasts"],
        },
    )
    refresh(tx, purchase, anew=True)
    tell_owner(tx, purchase, "purchase.proposed")


def _leaves_review(tx: Tx, purchase: Purchase) -> None:
    stop_clocks(tx, purchase)
    end_about(tx, about(purchase))


def _can_be_statutory(tx: Tx, purchase: Purchase, buildings: list[str] | None) -> None:
    """Refuse at once what could not be opened later: no committee, or a roster that does not suffice."""
    pack, members = _pack(tx, purchase.community_id), committee_of(tx, purchase.community_id)
    if not pack.statutory_here:
        raise Refused("vote.poll_only", reason=dict(pack.reasons))
    if len(members) < openings.TOGETHER:
        raise Refused("review.no_committee", count=len(members), number=purchase.number)
    scope = {**SCOPE, "buildings": buildings}
    freeze(tx, purchase.community_id, scope, areas=True, named=False, staff=pack.staff_may_be_agents)


def _title(tx: Tx, purchase: Purchase) -> str:
    """What is decided, short, in the community's language."""
    title = tx.reader(purchase.community_id).say(
        "review.title",
        what=masked(tx, purchase, purchase.what),
        count=purchase.count,
        building=Say("where.building", building=purchase.building)
        if purchase.building
        else Say("purchase.whole"),
    )
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def _text(tx: Tx, purchase: Purchase) -> str:
    """Why, for how much and from which money, and what there is already: published with the vote."""
    return tx.reader(purchase.community_id).say(
        "review.text",
        number=purchase.number,
        where=where(tx, purchase),
        why=masked(tx, purchase, purchase.why),
        cost=money(purchase.cost),
        payer=Say(f"review.payer.{purchase.payer}"),
        nature=Say(f"review.nature.{purchase.nature}"),
        note=masked(tx, purchase, purchase.note),
    )
