"""Agents: who may act for whom, by a written proxy or as a guardian; staff enter what the paper says."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import and_, col, or_, select

from conversations.errors import Refused
from conversations.homes import PROXY
from conversations.moments import day_in
from conversations.words import Reader, Say
from handlers import ballots, proxies
from handlers.actions import action
from handlers.addresses import one_named
from handlers.people import holding
from handlers.repair_cards import address
from handlers.talk import Known, ask, here, know, no_facts, start
from handlers.tell import Button, distinct, reader_of, tell
from handlers.tx import Tx
from store.tables import Agent, Home, HomeRole, Person, Talk

AROUND = re.compile(r"[到至止前\s]|until")


# --- who may act for whom ---------------------------------------------------------------------------


def standing(tx: Tx, principal: Person) -> list[Agent]:
    """The agents whose power holds now."""
    rows = select(Agent).where(Agent.principal_id == principal.id, *holding(tx))
    return list(tx.session.exec(rows.order_by(col(Agent.id))))


def acts_for(tx: Tx, agent: Person, principal: Person, home: Home) -> Agent | None:
    """By which power the agent may act for the principal, an owner of the home, now; None: by none."""
    owned = select(HomeRole.id).where(
        HomeRole.person_id == principal.id, HomeRole.home_id == home.id, HomeRole.role == "owner"
    )
    rows = select(Agent).where(
        Agent.agent_id == agent.id,
        Agent.principal_id == principal.id,
        or_(col(Agent.home_id).is_(None), col(Agent.home_id) == home.id),
        owned.exists(),
        *holding(tx),
    )
    return tx.session.exec(rows.order_by(col(Agent.id)).limit(1)).first()


def revoke_all(tx: Tx, who: Person, home: Home | None = None) -> list[Agent]:
    """End what somebody gave or was given: about a home that they leave what they gave, or everything."""
    rows = select(Agent).where(
        or_(col(Agent.principal_id) == who.id, col(Agent.agent_id) == who.id)
        if home is None
        else and_(col(Agent.principal_id) == who.id, col(Agent.home_id) == home.id),
        col(Agent.revoked_at).is_(None),
    )
    ended = list(tx.session.exec(rows).all())
    for each in ended:
        each.revoked_at = tx.now
        tx.session.add(each)
    proxies.revoked(tx, ended)
    return ended


# --- appointing -------------------------------------------------------------------------------------


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """An agent must be another person whom the community knows, and a day one that is to come."""
    answers = talk.answers
    lead = ""
    if "agent" in changed:
        agent, tie = one_named(tx, person.community_id, answers["agent"]), tie_of(tx, talk)
        if agent is None:
            lead = "agent.nobody"
        elif tie is not None and agent.id == tie.person_id:
            lead = "agent.not_oneself"
    if answers.get("until") and "until" in changed:
        day = _day(tx, person, answers["until"])
        if day is None:
            lead = "agent.no_day"
        else:
            answers = {**answers, "until": day.isoformat()}
    if lead:
        answers = {name: answer for name, answer in answers.items() if name not in changed}
    talk.answers = answers
    tx.session.add(talk)
    tx.session.flush()
    if lead:
        ask(tx, person, talk, lead=lead)
    return bool(lead)


def tie_of(tx: Tx, talk: Talk) -> HomeRole | None:
    """The tie that a talk is about, unless it has ended meanwhile."""
    return tx.session.get(HomeRole, int(talk.about.partition(":")[2]))


def of_whom(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Whom a question about somebody of a home is about, for its words."""
    tie = tie_of(tx, talk)
    if tie is None:
        return {"who": Say("person.forgotten"), "home": "—"}
    who, home = tx.session.get_one(Person, tie.person_id), tx.session.get_one(Home, tie.home_id)
    return {"who": who.name or Say("person.forgotten"), "home": address(home)}


know(Known(PROXY, no_facts, heard, about=of_whom))


def _day(tx: Tx, person: Person, text: str) -> date | None:
    """The day that was written ("2026-12-31", "12月31日": the next one); None if it is none, or past."""
    today = tx.now.astimezone(_zone(tx, person.community_id)).date()
    day, rest = day_in(AROUND.sub("", unicodedata.normalize("NFKC", text)), today)
    return day if day is not None and not rest and day >= today else None


def _zone(tx: Tx, community_id: int) -> ZoneInfo:
    return ZoneInfo(tx.community(community_id).time_zone)


def _end_of(tx: Tx, community_id: int, day: str) -> datetime:
    """The first moment after a day."""
    return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), _zone(tx, community_id))


@action("agent.new", HomeRole, button=True, stays=True)
def new(tx: Tx, person: Person, tie: HomeRole) -> None:
    """Ask who may act for an owner, about what and until when."""
    if tie.role != "owner":
        raise Refused("home.only_owner")
    start(tx, person, "proxy", about=f"home_role:{tie.id}")


@action("agent.appoint", HomeRole)
def appoint(tx: Tx, person: Person, tie: HomeRole, **answers: Any) -> None:
    """Write down what the paper says; the principal and the agent are told."""
    principal = tx.session.get_one(Person, tie.person_id)
    agent = one_named(tx, person.community_id, answers["agent"])
    if agent is None or agent.id == principal.id:
        raise Refused("agent.not_oneself" if agent is not None else "agent.nobody")
    made = Agent(
        community_id=tie.community_id,
        kind=answers["kind"],
        principal_id=principal.id,
        agent_id=agent.id,
        home_id=tie.home_id,
        scope=answers["scope"] or "",
        starts_at=tx.now,
        ends_at=_end_of(tx, tie.community_id, answers["until"]) if answers["until"] else None,
    )
    tx.session.add(made)
    tx.session.flush()
    proxies.appointed(tx, made)
    ballots.offer(tx, made)
    facts = _facts(tx, made)
    tell(tx, here(tx, person), "agent.made", buttons=[f"agent.revoke:{made.id}"], **facts)
    tell(tx, principal, "agent.made_principal", buttons=[f"agent.revoke:{made.id}"], **facts)
    tell(tx, agent, "agent.made_agent", **facts)


# --- looking and ending -----------------------------------------------------------------------------


def line(tx: Tx, agent: Agent) -> Say:
    """One power in words: who, as what, about what, until when."""
    return Say("agent.line", **_facts(tx, agent))


def _facts(tx: Tx, agent: Agent) -> dict[str, Any]:
    home = tx.session.get(Home, agent.home_id) if agent.home_id is not None else None
    return {
        "who": tx.session.get_one(Person, agent.agent_id).name or Say("person.forgotten"),
        "principal": tx.session.get_one(Person, agent.principal_id).name or Say("person.forgotten"),
        "home": address(home) if home is not None else Say("agent.all_homes"),
        "kind": Say(f"proxy.kind.{agent.kind}"),
        "scope": agent.scope or Say("agent.everything"),
        "until": _until(tx, agent),
    }


def _until(tx: Tx, agent: Agent) -> Say:
    if agent.ends_at is None:
        return Say("agent.for_good")
    last = (agent.ends_at - timedelta(minutes=1)).astimezone(_zone(tx, agent.community_id))
    return Say("agent.until", year=last.year, month=last.month, day=last.day)


def agent_lines(tx: Tx, principal: Person) -> list[Say]:
    """Everybody who may act for somebody now."""
    return [line(tx, each) for each in standing(tx, principal)]


def acts_for_lines(tx: Tx, agent: Person) -> list[Say]:
    """Everybody for whom somebody may act now."""
    rows = select(Agent).where(Agent.agent_id == agent.id, *holding(tx)).order_by(col(Agent.id))
    return [Say("agent.for_whom", **_facts(tx, each)) for each in tx.session.exec(rows)]


@action("agents", button=True, stays=True)
def mine(tx: Tx, person: Person) -> None:
    """Who may act for oneself, with what ends it, and for whom one may act."""
    given, received = standing(tx, person), acts_for_lines(tx, person)
    tell(
        tx,
        person,
        "agent.mine",
        given=[line(tx, each) for each in given] or Say("talk.none"),
        received=received or Say("talk.none"),
        buttons=revoke_buttons(tx, given, reader_of(tx, person)),
    )


def revoke_buttons(tx: Tx, agents: Sequence[Agent], reader: Reader) -> list[Button]:
    """What ends each of these powers."""
    names = [
        reader.say("agent.revoke", who=tx.session.get_one(Person, each.agent_id).name[:20]) for each in agents
    ]
    return [
        Button(f"agent.revoke:{each.id}", label=label)
        for each, label in zip(agents, distinct(names), strict=True)
    ]


@action("agent.revoke", Agent, button=True, grave=True)
def revoke(tx: Tx, person: Person, agent: Agent) -> None:
    """The power ends now; both are told."""
    if agent.revoked_at is not None:
        raise Refused("agent.over")
    agent.revoked_at = tx.now
    tx.session.add(agent)
    tx.session.flush()
    proxies.revoked(tx, [agent])
    ballots.take_away(tx, agent)
    tell_revoked(tx, agent)
    if person.id not in (agent.principal_id, agent.agent_id) or here(tx, person) is not person:
        tell(tx, here(tx, person), "agent.revoked", **_facts(tx, agent))


def tell_revoked(tx: Tx, agent: Agent) -> None:
    """Both sides hear that the power has ended."""
    for each in (agent.principal_id, agent.agent_id):
        tell(tx, tx.session.get_one(Person, each), "agent.revoked", **_facts(tx, agent))
