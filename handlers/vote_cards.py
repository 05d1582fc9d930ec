"""Looking at votes: the list of those that are open, and everything about one."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.words import Say
from handlers import ballots, results
from handlers.actions import action
from handlers.ballot_log import receipt
from handlers.ballots import ballots_for, facts_of, give, homes_in_words, in_words, open_votes_of, standing
from handlers.holding import about, announcement
from handlers.matters import timeline
from handlers.people import roles_of
from handlers.talk import here
from handlers.tell import Button, reader_of, tell
from handlers.turnout import ballot_card
from handlers.tx import Tx
from handlers.vote_log import entry_in, voter_of
from handlers.vote_page import scope_in_words
from store.tables import Person, Vote

LATELY = timedelta(days=30)
MOST = 10


@action("votes", button=True, stays=True)
def list_votes(tx: Tx, person: Person) -> None:
    """The open votes, and one's ballots in them; the results of the last weeks; and for staff what they can do."""
    opened = open_votes_of(tx, person.community_id)[:MOST]
    closed = _closed_lately(tx, person.community_id)
    to = here(tx, person)
    reader = reader_of(tx, to)
    lines = [
        reader.say(
            "votes.soon" if vote.opens_at > tx.now else "votes.open", opens=vote.opens_at, **facts_of(vote)
        )
        for vote in opened
    ]
    lines += [
        reader.say("votes.closed", verdict=results.verdict_of(vote), **facts_of(vote)) for vote in closed
    ]
    tell(
        tx,
        to,
        "votes.list" if lines else "votes.none",
        list="\n".join(lines),
        buttons=[
            *(
                Button(f"vote.show:{vote.id}", "button.vote.show_one", number=vote.number)
                for vote in [*opened, *closed]
            ),
            *(["poll.start"] if _may_poll(tx, person) else []),
        ],
    )
    if to is person:
        for vote in opened:
            for voter in ballots_for(tx, vote, person) if vote.opens_at <= tx.now <= vote.deadline else ():
                give(tx, vote, voter, person)


def _closed_lately(tx: Tx, community_id: int) -> list[Vote]:
    rows = select(Vote).where(
        Vote.community_id == community_id, Vote.state == "closed", col(Vote.closed_at) > tx.now - LATELY
    )
    return list(tx.session.exec(rows.order_by(col(Vote.id).desc()).limit(MOST)))


def _may_poll(tx: Tx, person: Person) -> bool:
    in_group = tx.place is not None and tx.place.kind == "staff"
    return in_group or "committee" in roles_of(tx, person)


@action("vote.show", Vote, button=True, stays=True)
def show(tx: Tx, person: Person, vote: Vote) -> None:
    """All of a vote: what it is about, by which rule, how it stands, and what one did in it."""
    to = here(tx, person)
    reader = reader_of(tx, to)
    facts = {
        **announcement(tx, vote),
        "timeline": "\n".join(timeline(tx, about(vote), reader)),
        "mine": _mine(tx, vote, person) if to is person else "",
        "scope": scope_in_words(vote.policy["options"]["scope"]),
    }
    if vote.state == "closed":
        tell(
            tx,
            to,
            "vote.show_closed",
            buttons=_after(tx, vote, person) if to is person else (),
            **{**facts, **results.shown(tx, vote)},
        )
        return
    own = ballots_for(tx, vote, person)[:1] if to is person else []
    tell(
        tx,
        to,
        "vote.show_open",
        buttons=[
            each
            for voter in own
            for each in ballots.buttons(tx, vote, voter, person)
            if not each.action.startswith("vote.show")
        ],
        last=ballot_card(own[0]) if own else None,
        **facts,
    )


def _after(tx: Tx, vote: Vote, person: Person) -> list[Button]:
    """Who may vote may object, until the result is final."""
    voter = voter_of(tx, vote, person)
    opened = vote.final_at is None and vote.annulled_at is None
    entitled = voter is not None and bool(voter.homes)
    return [Button(f"objection.start:{vote.id}", number=vote.number)] if opened and entitled else []


def _mine(tx: Tx, vote: Vote, person: Person) -> Any:
    """What somebody did in a vote, with the receipts; or that they cannot vote in it, and why."""
    theirs = ballots_for(tx, vote, person)
    if not theirs:
        return Say("vote.not_yours", date=vote.record_date.isoformat())
    lines = []
    for voter in theirs:
        before = standing(tx, vote, voter, person)
        if before is None and ballots.is_represented(tx, vote, voter):
            lines.append(Say("ballot.represented", homes=homes_in_words(tx, vote, voter)))
            continue
        if before is None:
            lines.append(Say("vote.mine_none", homes=homes_in_words(tx, vote, voter)))
            continue
        code = str(receipt(before.n, entry_in(before, opened=False)["hash"]))
        choice = in_words(ballots.choice_in(before))
        lines.append(Say("vote.mine", homes=homes_in_words(tx, vote, voter), choice=choice, receipt=code))
    return lines
