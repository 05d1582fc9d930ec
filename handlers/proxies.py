"""Written proxies in the logs of votes: who may vote for whom, from when, until when or until it was revoked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from handlers.ballot_log import written
from handlers.people import holding
from handlers.tx import Tx
from handlers.vote_log import append, numbered, open_votes, voter_of
from handlers.vote_roster import is_about_votes
from store.tables import Agent, Ballot, Person, RosterEntry, Vote, Voter

FOR_GOOD = "9999-12-31T23:59:59.999999Z"
"""Until when a proxy holds that has no end."""


@dataclass(frozen=True)
class Paper:
    """A proxy in the log, and when it was revoked."""

    n: int
    body: Mapping[str, Any]
    revoked_at: str | None


def powers_of(tx: Tx, principals: Sequence[int]) -> list[Agent]:
    """The powers to vote that hold now, of these principals."""
    rows = select(Agent).where(col(Agent.principal_id).in_(principals), *holding(tx)).order_by(col(Agent.id))
    return [each for each in tx.session.exec(rows) if is_about_votes(each)]


def powers_given_to(tx: Tx, agent: Person) -> list[Agent]:
    """The powers to vote for others that somebody holds now."""
    rows = select(Agent).where(Agent.agent_id == agent.id, *holding(tx)).order_by(col(Agent.id))
    return [each for each in tx.session.exec(rows) if is_about_votes(each)]


def papers(tx: Tx, vote: Vote, agent: Voter, principal: Voter) -> list[Paper]:
    """The proxies of this agent and this principal in the log."""
    rows = select(Ballot).where(
        Ballot.vote_id == vote.id,
        Ballot.voter_id == agent.id,
        Ballot.principal_id == principal.id,
        col(Ballot.kind).in_(["proxy", "revoke"]),
    )
    entries = [json.loads(row.entry) for row in tx.session.exec(rows.order_by(col(Ballot.n)))]
    ends = {each["body"]["proxy"]: each["at"] for each in entries if each["kind"] == "revoke"}
    return [
        Paper(each["n"], each["body"], ends.get(each["n"])) for each in entries if each["kind"] == "proxy"
    ]


def appointed(tx: Tx, agent: Agent) -> None:
    """Somebody may act for another from now on: each open vote in which that one may vote writes it down."""
    for vote in open_votes(tx, agent.community_id):
        log_proxy(tx, vote, agent)


def revoked(tx: Tx, agents: Sequence[Agent]) -> None:
    """Powers have ended, all of one community: each open vote that wrote them down writes that, too."""
    papers = [each for each in agents if _is_proxy(each)]
    for vote in open_votes(tx, papers[0].community_id) if papers else ():
        for each in papers:
            _log_end(tx, vote, each)


def _is_proxy(agent: Agent) -> bool:
    """Guardians are frozen with the roster; a paper that is given for other things lets nobody vote."""
    return agent.kind == "proxy" and is_about_votes(agent)


def _covered(tx: Tx, vote: Vote, agent: Agent) -> tuple[Voter, list[str] | str] | None:
    """The principal and the units for which a paper holds in a vote; None: for none."""
    principal = voter_of(tx, vote, tx.session.get_one(Person, agent.principal_id))
    if principal is None or not principal.homes:
        return None
    if agent.home_id is None:
        return principal, "all"
    units = select(RosterEntry.unit).where(
        RosterEntry.vote_id == vote.id,
        RosterEntry.home_id == agent.home_id,
        col(RosterEntry.position).in_(principal.homes),
    )
    ids = [unit["id"] for unit in tx.session.exec(units)]
    return (principal, ids) if ids else None


def _until(agent: Agent) -> str:
    """The end of a paper is the first moment after it, that of an entry its last."""
    return written(agent.ends_at - timedelta(microseconds=1)) if agent.ends_at is not None else FOR_GOOD


def log_proxy(tx: Tx, vote: Vote, agent: Agent) -> None:
    covered = _covered(tx, vote, agent) if _is_proxy(agent) else None
    if covered is None:
        return
    principal, units = covered
    who = numbered(tx, vote, tx.session.get_one(Person, agent.agent_id))
    body = {
        "agent": who.number,
        "principal": principal.number,
        "units": units,
        "from": written(agent.starts_at),
        "until": _until(agent),
        "instruction": None,
        "form": "written",
    }
    append(tx, vote, "proxy", body, voter=who, principal=principal)


def _log_end(tx: Tx, vote: Vote, agent: Agent) -> None:
    covered = _covered(tx, vote, agent)
    who = voter_of(tx, vote, tx.session.get_one(Person, agent.agent_id))
    if covered is None or who is None:
        return
    principal, units = covered
    same = {"units": units, "from": written(agent.starts_at), "until": _until(agent)}
    standing = [each for each in papers(tx, vote, who, principal) if each.revoked_at is None]
    ended = next((each for each in standing if {**each.body, **same} == each.body), None)
    if ended is not None:
        append(tx, vote, "revoke", {"proxy": ended.n}, voter=who, principal=principal)
