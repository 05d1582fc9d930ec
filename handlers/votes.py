"""Votes of the owners: made, cast into a log that only grows, and closed by the clock.

What is counted, and how, is docs/votes.md; what the law lets one do is handlers/law.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, insert
from sqlmodel import col, select

from conversations.errors import Refused
from conversations.words import LANGUAGES, Say, normal, spoken, texts
from handlers import tally
from handlers import vote_shapes as shapes
from handlers.actions import action
from handlers.ballot_log import entry_after, sha256, written
from handlers.bundle import Bundle, case_of, pack
from handlers.casting import Cast, cast
from handlers.law import MULTI_UNIT, OPTIONS, POLL, SCOPE, Pack, pack_of
from handlers.numbers import next_number
from handlers.people import committee_of
from handlers.policy import policy_of
from handlers.proxies import appointed, log_proxy, revoked
from handlers.talk import number_in
from handlers.tell import NEWS, places_of_kind, tell
from handlers.timers import next_at, set_timer, stop_timer
from handlers.turnout import delivered_times
from handlers.tx import Tx
from handlers.vote_log import append, ballots_of, file_hash, head_of, locked, log_of, voter_of
from handlers.vote_roster import Frozen, freeze
from handlers.vote_words import readme
from store.tables import Ballot, Person, Place, RosterEntry, Vote, Voter

__all__ = [
    "Cast",
    "appointed",
    "ballots_of",
    "bundle_of",
    "cast",
    "extend",
    "head_of",
    "log_of",
    "open_vote",
    "published",
    "revoked",
    "roster_of",
    "voter_of",
]

HEAD_AT = time(20, 0)
"""When the head of an open vote's log is published, in the community's time."""
GRACE = timedelta(seconds=5)
"""How long after its deadline a vote is closed: what came in on time and waits for its turn is still written."""
BATCH = 500


# --- made -------------------------------------------------------------------------------------------


def open_vote(
    tx: Tx,
    community_id: int,
    *,
    kind: str,
    title: str,
    opens_at: datetime,
    deadline: datetime,
    text: str = "",
    rule: str | None = None,
    options: Mapping[str, Any] | None = None,
    poll: Mapping[str, Any] | None = None,
    clause: str = "",
    notice_at: datetime | None = None,
) -> Vote:
    """Make a vote: its roster and its policy are frozen now, and its log begins with the hashes of both.

    `options` and `poll` say what differs from the lawful defaults; `clause` names what lets silence speak;
    `notice_at` is when the notice of a statutory vote was published, now unless it is given. Raises Refused where the
    law, the roster or docs/votes.md forbid such a vote, and ValueError for values that do not exist.
    """
    pack = pack_of(policy_of(tx, community_id).city)
    made = _options(pack, kind, options or {})
    asked = _poll(pack, poll or {}) if kind == "poll" else None
    if asked is not None:
        made["multi_unit"] = MULTI_UNIT[asked["electorate"]]
    _check_kind(pack, kind, rule, made, clause)
    _check_times(tx, pack, kind, opens_at=opens_at, deadline=deadline, notice_at=notice_at or tx.now)
    frozen = freeze(
        tx,
        community_id,
        made["scope"],
        areas=asked is None or asked["weight"] != "heads",
        named=asked is not None and asked["visible"] == "named",
        staff=pack.staff_may_be_agents,
    )
    made["proxy_barred"] = [*made["proxy_barred"], *frozen.barred]
    policy = {
        "kind": kind,
        "rule": rule,
        "title": title,
        "text": text,
        "options": made,
        "poll": asked,
        "clause": clause or None,
        "time_zone": tx.community(community_id).time_zone,
        "opens_at": written(opens_at),
        "deadline": written(deadline),
    }
    roster = {"units": frozen.units, **frozen.rest}
    # What could not be published in the end is not begun.
    wrong = (shapes.misfit_of_policy(policy), shapes.misfit_of_roster(roster))
    if wrong != (None, None):
        raise ValueError(f"no such vote or roster: {wrong}")
    vote = Vote(
        community_id=community_id,
        number=next_number(tx, community_id, "vote"),
        kind=kind,
        title=title,
        policy=policy,
        policy_hash=file_hash(policy),
        roster=frozen.rest,
        roster_hash=file_hash(roster),
        record_date=tx.now.astimezone(ZoneInfo(tx.community(community_id).time_zone)).date(),
        opens_at=opens_at,
        deadline=deadline,
    )
    tx.session.add(vote)
    tx.session.flush()
    _keep(tx, vote, frozen)
    append(tx, vote, "open", {"roster": vote.roster_hash, "policy": vote.policy_hash})
    for each in frozen.proxies:
        log_proxy(tx, vote, each)
    set_timer(tx, community_id, f"vote.close:{vote.id}", deadline + GRACE)
    set_timer(tx, community_id, f"vote.head:{vote.id}", next_at(tx, community_id, HEAD_AT, after=opens_at))
    return vote


def _options(pack: Pack, kind: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    """All options; whoever makes the vote changes what they want, within what exists."""
    made = {**pack.options(kind), **changed}
    made["scope"] = {**SCOPE, **made["scope"]}
    _check_values(made, OPTIONS, shapes.STATUTORY)
    if set(made["scope"]) != set(SCOPE):
        raise ValueError(f"no such scope: {made['scope']}")
    return made


def _poll(pack: Pack, changed: Mapping[str, Any]) -> dict[str, Any]:
    """All of policy.poll."""
    made = {**pack.poll(), **changed}
    if made["question"] == "choose":
        if not are_told_apart(made["choices"]):
            raise Refused("vote.choices")
        if not 1 <= made["most"] <= len(made["choices"]):
            raise Refused("vote.most", count=len(made["choices"]))
    _check_values(made, POLL, shapes.POLL)
    if Fraction(made["quorum"]) > 1:
        raise ValueError(f"no such quorum: {made['quorum']}")
    return made


def are_told_apart(names: Sequence[str]) -> bool:
    """Whether people can tell the choices from each other, and from what can be chosen besides."""
    own = ("count.none_of_these", "count.side.abstain", "choose.picked.done")
    taken = {"", *(normal(texts(language)[key]) for language in LANGUAGES for key in own), *spoken("control")}
    read = [normal(str(name)) for name in names]
    # Several that were chosen stand side by side with a 、 between them; what is chosen already has a ✓ before it.
    apart = len(set(read)) == len(names) and not any("、" in name or name.startswith("✓") for name in read)
    # Whoever types "2" means the second.
    numbers = {str(number) for number in range(1, len(names) + 1)}
    others = any(number_in(each) in numbers - {str(at)} for at, each in enumerate(read, 1))
    return len(names) >= 2 and apart and not others and not taken & {*read}


def _check_values(made: Mapping[str, Any], known: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
    wrong = [name for name in made if name not in known]
    misfit = shapes.misfit(made, shape)
    if wrong or misfit is not None:
        raise ValueError(f"no such option or value: {', '.join(wrong) or misfit}")


def _check_kind(pack: Pack, kind: str, rule: str | None, options: Mapping[str, Any], clause: str) -> None:
    """What the law and docs/votes.md say of this kind of vote, whatever its time and roster."""
    if kind == "poll" and rule is None:
        if options["silence"] != "not_participating":
            raise Refused("vote.silence_poll")
        return
    if kind != "statutory" or rule not in ("ordinary", "special"):
        raise ValueError(f"no such kind and rule: {kind}, {rule}")
    if not pack.statutory_here:
        raise Refused("vote.poll_only", reason=dict(pack.reasons))
    if any(options[name] != value for name, value in pack.fixed.items()):
        raise Refused("vote.fixed", city=pack.city)
    if options["silence"] != "not_participating":
        if not clause.strip():
            raise Refused("vote.silence_clause")
        if options["multi_unit"] == "per_unit":
            raise Refused("vote.silence_by_home")


def _check_times(
    tx: Tx, pack: Pack, kind: str, *, opens_at: datetime, deadline: datetime, notice_at: datetime
) -> None:
    if deadline <= max(opens_at, tx.now):
        raise Refused("vote.deadline")
    if kind != "statutory":
        return
    earliest = notice_at + timedelta(days=pack.notice_days)
    if opens_at < earliest:
        raise Refused("vote.notice", days=pack.notice_days, at=earliest)
    if pack.period_days is not None:
        least, most = pack.period_days
        if not timedelta(days=least) <= deadline - opens_at <= timedelta(days=most):
            raise Refused("vote.period", city=pack.city, least=least, most=most)


def _keep(tx: Tx, vote: Vote, frozen: Frozen) -> None:
    """Write the roster and everybody's number down."""
    common = {"community_id": vote.community_id, "vote_id": vote.id}
    entries = [
        {**common, "home_id": home.id, "position": position, "unit": unit}
        for position, (home, unit) in enumerate(zip(frozen.homes, frozen.units, strict=True))
    ]
    voters = [
        {
            **common,
            "person_id": key if isinstance(key, int) else None,
            "number": number,
            "homes": frozen.entitled.get(number, []),
            "delivered_at": None,
        }
        for key, number in frozen.numbers.items()
    ]
    for table, rows in ((RosterEntry, entries), (Voter, voters)):
        for start in range(0, len(rows), BATCH):
            tx.session.connection().execute(insert(table), rows[start : start + BATCH])


def was_extended(tx: Tx, vote: Vote) -> bool:
    """Whether a poll has had its more time."""
    before = select(Ballot.id).where(Ballot.vote_id == vote.id, Ballot.kind == "extend")
    return tx.session.exec(before).first() is not None


# --- by the clock -----------------------------------------------------------------------------------


def extend(tx: Tx, vote: Vote, deadline: datetime) -> None:
    """Give a poll more time, once, before it is over."""
    vote = locked(tx, vote)
    if vote.kind != "poll":
        raise Refused("vote.extend_poll")
    if vote.state != "open" or tx.now >= vote.deadline:
        raise Refused("vote.closed")
    if was_extended(tx, vote):
        raise Refused("vote.extend_once")
    if deadline <= vote.deadline:
        raise Refused("vote.extend_later", at=vote.deadline)
    vote.deadline = deadline
    append(tx, vote, "extend", {"deadline": written(deadline)})
    set_timer(tx, vote.community_id, f"vote.close:{vote.id}", deadline + GRACE)


@action("vote.head", Vote)
def publish_head(tx: Tx, person: None, vote: Vote) -> None:
    """Publish the head of an open vote's log, once a day."""
    if vote.state != "open" or tx.now > vote.deadline:
        return
    _tell_head(tx, vote, "vote.head")
    set_timer(tx, vote.community_id, f"vote.head:{vote.id}", next_at(tx, vote.community_id, HEAD_AT))


def close(tx: Tx, vote: Vote) -> bool:
    """End a vote whose deadline is over: its log's last entry holds the result's hash, and its head is published.

    False if it has ended already, or goes on, because its deadline was moved.
    """
    vote = locked(tx, vote)
    if vote.state != "open":
        return False
    if tx.now <= vote.deadline:
        set_timer(tx, vote.community_id, f"vote.close:{vote.id}", vote.deadline + GRACE)
        return False
    body = {"entries": vote.entries, "undelivered": _undelivered(tx, vote)}
    # The result needs whom the ballot did not reach, which only this entry says.
    unwritten = entry_after(vote.entries + 1, vote.head, "close", body, tx.now)
    log = [*log_of(tx, vote, opened=True), unwritten]
    vote.result = tally.result(case_of(vote.policy, roster_of(tx, vote), log))
    vote.readme = readme(vote.policy, vote.result, vote.record_date.isoformat())
    hashes = {"result": file_hash(vote.result), "readme": sha256(vote.readme.encode())}
    append(tx, vote, "close", {**body, **hashes})
    vote.state, vote.closed_at = "closed", tx.now
    tx.session.add(vote)
    tx.session.flush()
    stop_timer(tx, f"vote.head:{vote.id}")
    _tell_head(tx, vote, "vote.head_last")
    return True


def _undelivered(tx: Tx, vote: Vote) -> list[str]:
    """The numbers of those who may vote and whom the ballot did not reach; when it reached the others is kept."""
    times = delivered_times(tx, vote)
    rows = [{"voter": number, "at": at} for number, at in times.items()]
    table = Voter.__table__  # type: ignore[attr-defined]
    kept = table.update().where(table.c.id == bindparam("voter")).values(delivered_at=bindparam("at"))
    for start in range(0, len(rows), BATCH):
        tx.session.connection().execute(kept, rows[start : start + BATCH])
    voters = select(Voter).where(Voter.vote_id == vote.id).execution_options(populate_existing=True)
    numbers = [each.number for each in tx.session.exec(voters) if each.homes and each.id not in times]
    return sorted(numbers, key=lambda number: int(number[1:]))


def _tell_head(tx: Tx, vote: Vote, key: str) -> None:
    """The head goes, without a sound, to the board, to the admin group and to the committee, who keep it."""
    readers: list[Person | Place] = [
        place for kind in ("board", "staff") for place in places_of_kind(tx, vote.community_id, kind)
    ]
    head = str(head_of(vote))
    for each in [*readers, *committee_of(tx, vote.community_id)]:
        tell(
            tx,
            each,
            key,
            number=vote.number,
            title=vote.title,
            kind=Say(f"count.kind.{vote.kind}"),
            entries=vote.entries,
            head=head,
            lane=NEWS,
            silent=True,
        )


# --- what is published ------------------------------------------------------------------------------


def roster_of(tx: Tx, vote: Vote) -> dict[str, Any]:
    """The content of roster.json."""
    rows = select(RosterEntry.unit).where(RosterEntry.vote_id == vote.id)
    return {"units": list(tx.session.exec(rows.order_by(col(RosterEntry.position)))), **vote.roster}


def bundle_of(tx: Tx, vote: Vote) -> bytes:
    """The file by which anybody can count a closed vote again."""
    return pack(published(tx, vote))


def published(tx: Tx, vote: Vote) -> Bundle:
    """What is published of a closed vote."""
    if vote.state != "closed":
        raise ValueError(f"vote {vote.number} is open")
    log = log_of(tx, vote)
    return Bundle(dict(vote.policy), roster_of(tx, vote), log, dict(vote.result), vote.readme)
