"""Agents: who may act for whom, by a written proxy or as a guardian; staff enter what the paper says."""

import re
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, or_, select

from conversations.errors import Refused
from conversations.homes import PROXY
from conversations.words import Say
from handlers.actions import action
from handlers.joining import find_home
from handlers.people import homes_of, is_guest
from handlers.talk import Known, ask, here, know, no_facts, start
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.tables import Agent, Home, HomeRole, Person, Talk

DAY = re.compile(r"(?:(\d{4})\s*[-年/.]\s*)?(\d{1,2})\s*[-月/.]\s*(\d{1,2})\s*日?")


# --- who may act for whom ---------------------------------------------------------------------------


def standing(tx: Tx, principal: Person) -> list[Agent]:
    """The agents whose power holds now."""
    rows = select(Agent).where(Agent.principal_id == principal.id, *_holding(tx))
    return list(tx.session.exec(rows.order_by(col(Agent.id))))


def acts_for(tx: Tx, agent: Person, principal: Person, home: Home) -> Agent | None:
    """By which power the agent may act for the principal about a home now; None: by none."""
    rows = select(Agent).where(
        Agent.agent_id == agent.id,
        Agent.principal_id == principal.id,
        or_(col(Agent.home_id).is_(None), col(Agent.home_id) == home.id),
        *_holding(tx),
    )
    return tx.session.exec(rows.order_by(col(Agent.id)).limit(1)).first()


def _holding(tx: Tx) -> tuple[Any, ...]:
    return (
        col(Agent.revoked_at).is_(None),
        col(Agent.starts_at) <= tx.now,
        or_(col(Agent.ends_at).is_(None), col(Agent.ends_at) >= tx.now),
    )


def revoke_all(tx: Tx, who: Person, home: Home | None = None) -> None:
    """End what somebody gave or was given, about a home that they leave or about everything."""
    rows = select(Agent).where(
        or_(col(Agent.principal_id) == who.id, col(Agent.agent_id) == who.id)
        if home is None
        else (col(Agent.principal_id) == who.id),
        col(Agent.revoked_at).is_(None),
    )
    for each in tx.session.exec(rows).all():
        if home is None or each.home_id == home.id:
            each.revoked_at = tx.now
            tx.session.add(each)


# --- appointing -------------------------------------------------------------------------------------


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """An agent must be somebody whom the community knows, and a day one that is to come."""
    wrong = ""
    if "agent" in changed and one_named(tx, person.community_id, talk.answers["agent"]) is None:
        wrong = "agent"
    elif talk.answers.get("until") and "until" in changed and _day(tx, person, talk.answers["until"]) is None:
        wrong = "until"
    if not wrong:
        return False
    talk.answers = {name: answer for name, answer in talk.answers.items() if name != wrong}
    tx.session.add(talk)
    tx.session.flush()
    ask(tx, person, talk, lead="agent.nobody" if wrong == "agent" else "agent.no_day")
    return True


know(Known(PROXY, no_facts, heard))


def one_named(tx: Tx, community_id: int, text: str) -> Person | None:
    """Who is meant by a name, or by an address with a name ("3-2-1201 陈女士"); None if nobody or several."""
    words = text.split()
    people = named(tx, community_id, words[-1]) if words else []
    if len(words) > 1:
        home = find_home(tx, community_id, " ".join(words[:-1]))
        people = [each for each in people if home is not None and home in homes_of(tx, each)]
    return people[0] if len(people) == 1 else None


def named(tx: Tx, community_id: int, name: str) -> list[Person]:
    """The people of a community who have this name and are tied to it."""
    same = select(Person).where(Person.community_id == community_id, Person.name == name.strip())
    found = tx.session.exec(same.order_by(col(Person.id)).limit(50))
    return [each for each in found if not is_guest(tx, each)]


def _day(tx: Tx, person: Person, text: str) -> datetime | None:
    """The end of the day that was written ("2026-12-31", "12月31日": the next one); None if it is none, or past."""
    match = DAY.search(text)
    if match is None:
        return None
    zone = ZoneInfo(tx.community(person.community_id).time_zone)
    today = tx.now.astimezone(zone).date()
    try:
        day = date(int(match[1] or today.year), int(match[2]), int(match[3]))
        if match[1] is None and day < today:
            day = day.replace(year=today.year + 1)
    except ValueError:
        return None
    return datetime.combine(day + timedelta(days=1), time(), zone) if day >= today else None


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
        ends_at=_day(tx, person, answers["until"]) if answers["until"] else None,
    )
    tx.session.add(made)
    tx.session.flush()
    facts: dict[str, Any] = {"line": line(tx, made), "principal": principal.name}
    tell(tx, here(tx, person), "agent.made", buttons=[f"agent.revoke:{made.id}"], **facts)
    tell(tx, principal, "agent.made_principal", buttons=[f"agent.revoke:{made.id}"], **facts)
    tell(tx, agent, "agent.made_agent", **facts)


# --- looking and ending -----------------------------------------------------------------------------


def line(tx: Tx, agent: Agent) -> Say:
    """One power in words: who, as what, about what, until when."""
    return Say(
        "agent.line",
        who=tx.session.get_one(Person, agent.agent_id).name or Say("person.forgotten"),
        kind=Say(f"proxy.kind.{agent.kind}"),
        scope=agent.scope or Say("agent.everything"),
        until=Say("agent.until", day=agent.ends_at - timedelta(minutes=1))
        if agent.ends_at
        else Say("agent.for_good"),
    )


def agent_lines(tx: Tx, principal: Person) -> list[Say]:
    """Everybody who may act for somebody now."""
    return [line(tx, each) for each in standing(tx, principal)]


def acts_for_lines(tx: Tx, agent: Person) -> list[Say]:
    """Everybody for whom somebody may act now."""
    rows = select(Agent).where(Agent.agent_id == agent.id, *_holding(tx)).order_by(col(Agent.id))
    return [
        Say("agent.for_whom", who=tx.session.get_one(Person, each.principal_id).name, line=line(tx, each))
        for each in tx.session.exec(rows)
    ]


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
        buttons=revoke_buttons(tx, given),
    )


def revoke_buttons(tx: Tx, agents: list[Agent]) -> list[Button]:
    """What ends each of these powers."""
    reader = tx.reader(agents[0].community_id) if agents else None
    return [
        Button(
            f"agent.revoke:{each.id}",
            label=reader.say("agent.revoke", who=tx.session.get_one(Person, each.agent_id).name[:20]),
        )
        for each in agents
        if reader is not None
    ]


@action("agent.revoke", Agent, button=True)
def revoke(tx: Tx, person: Person, agent: Agent) -> None:
    """The power ends now; both are told."""
    if agent.revoked_at is not None:
        raise Refused("agent.over")
    agent.revoked_at = tx.now
    tx.session.add(agent)
    tx.session.flush()
    facts: dict[str, Any] = {
        "line": line(tx, agent),
        "principal": tx.session.get_one(Person, agent.principal_id).name,
    }
    told = [tx.session.get_one(Person, each) for each in (agent.principal_id, agent.agent_id)]
    for each in told:
        tell(tx, each, "agent.revoked", **facts)
    if person not in told or here(tx, person) is not person:
        tell(tx, here(tx, person), "agent.revoked", **facts)
