"""Polls: what staff or the committee ask the owners, in a minute; they decide nothing by law, and say so."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import select

from conversations.errors import Refused
from conversations.steps import Answers
from conversations.votes import MOST_CHOICES, POLL, choices_in
from handlers.actions import action
from handlers.addresses import find_home, parts_of
from handlers.holding import hold
from handlers.masking import without_private
from handlers.policy import policy_of
from handlers.talk import Known, ask, here, know, no_facts, open_talk, start
from handlers.tell import tell
from handlers.tx import Tx
from handlers.vote_roster import floor_of, unit_id
from handlers.votes import are_told_apart
from store.tables import Home, Person, Talk

SHARES = {"half": "1/2", "two_thirds": "2/3", "three_quarters": "3/4", "plurality": "plurality"}
PUBLISHED = ("question", "detail", "choices")
ENTRANCE = re.compile(r"(?:单元|门)$|entrance", re.IGNORECASE)
FLOOR = re.compile(r"第?\s*(\d{1,2})\s*层|floor\s*(\d{1,2})", re.IGNORECASE)


@action("poll.start", button=True, stays=True)
def begin(tx: Tx, person: Person) -> None:
    """Ask what is to be asked, or go on with what is half filled in."""
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and talk.script == POLL.name and talk.answers:
        ask(tx, person, talk, lead="talk.already")
    else:
        start(tx, person, POLL.name)


def _heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Choices must be told apart, and a scope must hold homes; what may not be published is masked."""
    answers, lead = _published(tx, person, talk.answers), ""
    if "choices" in changed and answers.get("choices"):
        named = choices_in(answers["choices"])
        if len(named) > MOST_CHOICES:
            lead = "poll.too_many_choices"
        elif not are_told_apart(named):
            lead = "vote.choices"
    if (
        "scope" in changed
        and answers.get("scope")
        and scope_in(tx, person.community_id, answers["scope"]) is None
    ):
        lead = "poll.no_scope"
    if "most" in changed and answers.get("most", 1) > len(choices_in(answers.get("choices") or "")):
        lead = "poll.most_of"
    if not lead:
        if answers != talk.answers:
            talk.answers = answers
            tx.session.add(talk)
            tx.session.flush()
        return False
    count = len(choices_in(answers.get("choices") or ""))
    talk.answers = {name: answer for name, answer in answers.items() if name not in changed}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead=lead, most=MOST_CHOICES, count=count)
    return True


def _published(tx: Tx, person: Person, answers: Answers) -> Answers:
    """The answers as everybody will read them: what is published with a vote can never be taken out of it again."""
    words = {name: without_private(tx, person, answers[name]) for name in PUBLISHED if answers.get(name)}
    return {**answers, **words}


def _usual(tx: Tx, talk: Talk) -> dict[str, Any]:
    return {"days": policy_of(tx, talk.community_id).poll_days}


know(Known(POLL, no_facts, _heard, about=_usual))


def scope_in(tx: Tx, community_id: int, text: str) -> dict[str, list[str]] | None:
    """The homes that somebody names: buildings ("3号楼"), entrances ("3号楼2单元"), floors ("1层") or single homes.

    None: one of the parts is none of these, they are of several kinds, or there is no such thing here.
    """
    homes = tx.session.exec(select(Home).where(Home.community_id == community_id)).all()
    found: dict[str, list[str]] = {}
    for part in filter(None, map(str.strip, re.split(r"[,，、;；\n]+", unicodedata.normalize("NFKC", text)))):
        each = _part_of(tx, community_id, part, homes)
        for kind, name in [each] if each is not None else _spaced(tx, community_id, part, homes):
            found.setdefault(kind, []).append(name)
    if len(found) != 1 or "" in found:
        return None
    return {kind: list(dict.fromkeys(names)) for kind, names in found.items()}


def _spaced(tx: Tx, community_id: int, part: str, homes: Sequence[Home]) -> list[tuple[str, str]]:
    """Parts with nothing but blanks between them."""
    return [_part_of(tx, community_id, each, homes) or ("", each) for each in part.split()]


def _part_of(tx: Tx, community_id: int, part: str, homes: Sequence[Home]) -> tuple[str, str] | None:
    floor, parts = FLOOR.fullmatch(part), parts_of(part)
    if floor is not None:
        number = floor[1] or floor[2]
        return ("floors", number) if number in {floor_of(home.room) for home in homes} else None
    entrances = {(home.building, home.entrance) for home in homes}
    if ENTRANCE.search(part) and len(parts) == 2 and tuple(parts) in entrances:
        return "entrances", "/".join(parts)
    if len(parts) == 1 and parts[0] in {home.building for home in homes}:
        return "buildings", parts[0]
    home = find_home(tx, community_id, part)
    return ("homes", unit_id(home)) if home is not None else None


@action("poll.open")
def open_poll(tx: Tx, person: Person, **answers: Any) -> None:
    """It is open at once, with what was not asked as it usually is."""
    policy, answers = policy_of(tx, person.community_id), _published(tx, person, answers)
    named = choices_in(answers.get("choices") or "")
    poll: dict[str, Any] = {"question": "choose" if named else "yes_no", "choices": named}
    if answers["how"] == "change":
        poll |= {name: answers[name] for name in ("electorate", "weight", "visible")}
        poll |= {"quorum": f"{answers['quorum']}/100", "threshold": SHARES[answers["threshold"]]}
        poll |= {"of": answers.get("of", "for_against"), "most": answers.get("most", 1)}
    scope = scope_in(tx, person.community_id, answers["scope"]) if answers.get("scope") else {}
    if scope is None:
        raise Refused("poll.no_scope")
    vote = hold(
        tx,
        person.community_id,
        person,
        kind="poll",
        title=" ".join(answers["question"].split()),
        text=answers.get("detail") or "",
        opens_at=tx.now,
        deadline=tx.now + timedelta(days=answers.get("days", policy.poll_days)),
        options={"scope": scope} if scope else None,
        poll=poll,
    )
    if here(tx, person) is person:  # the admin group sees its card
        tell(tx, person, "poll.opened", number=vote.number, title=vote.title, deadline=vote.deadline)
