"""What the public page of a vote shows: nobody's name, no choice before the end, and of each home whether it voted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import col, select

from conversations.words import Reader, Say
from handlers.ballot_sheet import is_sealed
from handlers.board_page import open_address
from handlers.bundle import Bundle, case_of
from handlers.matters import timeline
from handlers.tally import area_of, counted
from handlers.tx import Tx
from handlers.vote_log import head_of
from handlers.vote_words import BOTH, HEADS, MEASURES, PARTICIPATES, Bar, bar_of, enough_in_words, one_line
from store.tables import Objection, Purchase, Vote

MOST_NAMED = 12
"""So many homes, floors or entrances are named in a scope."""


@dataclass(frozen=True)
class Turnout:
    """Of one building how many homes and how much area took part, and which homes cast no ballot that counts."""

    building: str
    homes: int
    voted: int
    area: str
    voted_area: str
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """A vote as its page shows it to one reader; `vote` is the row, apart from any session."""

    vote: Vote
    community: str
    reader: Reader
    state: str
    rule: tuple[str, ...]
    objections: Mapping[str, int]
    """How many by their state; none, if nobody objected."""
    purchase: int | None
    """The number of the request that it decides."""
    timeline: tuple[str, ...]
    head: str
    board: str
    """The address of the board's page, unless it is a secret or nobody could open it."""

    def time(self, at: datetime) -> str:
        """A moment in the community's time."""
        return f"{at.astimezone(ZoneInfo(self.reader.zone)):%Y-%m-%d %H:%M}"


def find(tx: Tx, community_id: int, number: int) -> Vote | None:
    """The vote of this number in a community."""
    rows = select(Vote).where(Vote.community_id == community_id, Vote.number == number)
    return tx.session.exec(rows).first()


def look(tx: Tx, vote: Vote, language: str | None) -> Look:
    """What the page shows now; `language` None: that of the community."""
    community = tx.community(vote.community_id)
    reader = Reader(language or community.language, vote.policy["time_zone"], tx.now, lasting=True)
    purchase = tx.session.exec(select(Purchase).where(Purchase.vote_id == vote.id)).first()
    states = select(Objection.state, func.count()).where(Objection.vote_id == vote.id)
    return Look(
        vote=vote,
        community=community.name,
        reader=reader,
        state=state_of(vote, tx.now),
        rule=tuple(rule_lines(vote.policy, reader)),
        objections=dict(tx.session.exec(states.group_by(col(Objection.state))).all()),
        purchase=purchase.number if purchase is not None else None,
        timeline=tuple(timeline(tx, f"purchase:{purchase.id}", reader)) if purchase is not None else (),
        head=str(head_of(vote)),
        board=open_address(tx, vote.community_id),
    )


def state_of(vote: Vote, now: datetime) -> str:
    """Where a vote stands: notice, open, counting, published, objecting, answering, final or annulled."""
    if vote.state == "open":
        return "notice" if now < vote.opens_at else "open" if now <= vote.deadline else "counting"
    if vote.annulled_at is not None:
        return "annulled"
    if vote.final_at is not None:
        return "final"
    if vote.objections_until is None:
        return "published"
    return "objecting" if now <= vote.objections_until else "answering"


# --- by which rule ----------------------------------------------------------------------------------


def rule_lines(policy: Mapping[str, Any], reader: Reader) -> Iterator[str]:
    """Who decides, and what is enough, as it was fixed before the vote began."""
    say, options = reader.say, policy["options"]
    yield say("vote_page.scope", scope=scope_in_words(options["scope"]))
    if options["parking_votes"]:
        yield say("vote_page.parking")
    if policy["poll"]:
        yield from _poll_lines(policy, reader)
    else:
        rule = Say(f"count.rule.{policy['rule']}")
        both = _measures(BOTH, "person")
        yield say("vote_page.takes_part", measures=both, bar=PARTICIPATES.text("eligible"))
        yield say("vote_page.agrees", measures=both, bar=enough_in_words(policy), rule=rule)
        if options["multi_unit"] == "per_unit":
            yield say("count.by_home").replace("\n", " ")
    clause = Say("count.clause_mark", clause=one_line(policy["clause"])) if policy.get("clause") else ""
    yield say("count.silence", reading=Say(f"count.silent.{options['silence']}"), clause=clause)
    yield say("vote_page.revote_first" if options["revote"] == "first" else "vote_page.revote_last")
    visible = policy["poll"]["visible"] if policy["poll"] else "by_room"
    yield say(f"vote_page.visible.{visible}")


def _poll_lines(policy: Mapping[str, Any], reader: Reader) -> Iterator[str]:
    say, poll = reader.say, policy["poll"]
    quorum, bar, chooses = Bar(Fraction(poll["quorum"])), bar_of(policy), poll["question"] == "choose"
    measures, rule = _measures(MEASURES[poll["weight"]], HEADS[poll["electorate"]]), enough_in_words(policy)
    yield say(f"vote_page.each.{poll['electorate']}")
    if quorum.threshold:
        yield say("vote_page.takes_part", measures=measures, bar=quorum.text("eligible"))
    if chooses:
        yield say("vote_page.choices", names=list(map(one_line, poll["choices"])), most=poll["most"])
        yield say("vote_page.chosen", rule=Say("count.most_votes"), measures=measures)
    elif bar is None:
        yield say("vote_page.in_favour_more", rule=rule, measures=measures)
    if bar is not None:
        key = "vote_page.chosen_bar" if chooses else "vote_page.in_favour"
        yield say(key, rule=rule, measures=measures)


def _measures(measures: Sequence[str], head: str) -> list[Say]:
    return [Say("count.area") if measure == "area" else Say(f"count.{head}s") for measure in measures]


def scope_in_words(scope: Mapping[str, Any]) -> Any:
    """Whose vote it is: places of a kind, or the whole community."""
    parts = [
        Say(
            f"vote_page.scope_{name}",
            names=[_place(name, str(each)) for each in only[:MOST_NAMED]],
            more=Say("vote_page.scope_more_mark", count=len(only)) if len(only) > MOST_NAMED else "",
        )
        for name, only in scope.items()
        if only is not None
    ]
    return parts or Say("vote_page.scope_all")


def _place(name: str, place: str) -> Any:
    """One place of a scope as people call it; an entrance stands behind its building."""
    if name == "buildings":
        return Say("where.building", building=place)
    if name == "entrances":
        building, _, entrance = place.partition("/")
        return Say("vote_page.entrance", building=Say("where.building", building=building), entrance=entrance)
    return place


# --- who took part ----------------------------------------------------------------------------------


def turnout_by_building(bundle: Bundle) -> list[Turnout]:
    """Of each building who took part, from what is published of a closed vote; nothing where only totals are.

    A home takes part if it has a choice in the end: the areas are together those that the result calls cast.
    """
    if is_sealed(bundle.policy):
        return []
    votes = counted(case_of(bundle.policy, bundle.roster, bundle.log))
    rows: dict[str, list[tuple[str, bool, bool, Decimal]]] = {}
    for unit in bundle.roster["units"]:
        if (slot := votes.electorate.slot_of.get(unit["id"])) is not None:
            found, area = votes.electorate.slots[slot], Decimal(area_of(unit) or "0")
            home = (unit["id"], found.choice is not None, not found.ballots, area)
            rows.setdefault(unit["building"], []).append(home)
    return [
        Turnout(
            building=building,
            homes=len(homes),
            voted=sum(voted for _, voted, _, _ in homes),
            area=_summed(area for *_, area in homes),
            voted_area=_summed(area for _, voted, _, area in homes if voted),
            silent=tuple(name for name, _, silent, _ in homes if silent),
        )
        for building, homes in rows.items()
    ]


def _summed(areas: Iterator[Decimal]) -> str:
    return f"{sum(areas, Decimal('0.00')):f}"
