"""Holding a vote: it is made and announced, its ballots go out, and who has not voted is reminded."""

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.votes import EXTEND
from conversations.words import Say
from handlers import ballots
from handlers.actions import action
from handlers.ballots import facts_of, give
from handlers.matters import add_event
from handlers.notices import post, publish
from handlers.policy import hours_in, policy_of
from handlers.proxies import powers_of
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import BROADCAST, NEWS, Button, tell, tell_staff
from handlers.timers import LAST_CALL, awake, is_set, set_timer, stop_timer
from handlers.tx import Tx
from handlers.votes import extend, open_vote, was_extended
from store.tables import Ballot, HomeRole, Person, Purchase, Talk, Vote, Voter

BATCH = 10
"""Ballots that are written at a time, so that nobody who writes to us waits for them."""
REMINDED = 100
"""Voters of whom those who have not voted are reminded at a time; who has voted is looked up each time."""
SOON = timedelta(hours=6)
"""How long after the opening nobody is reminded yet."""
AFTER_BALLOTS = timedelta(minutes=10)
"""How long a reminder waits for ballots that are still being sent."""


def about(vote: Vote) -> str:
    """The matter of a vote: its timeline, its line on the board."""
    return f"vote:{vote.id}"


# --- made and announced -----------------------------------------------------------------------------


def hold(
    tx: Tx, community_id: int, by: Person | None, *, purchase: Purchase | None = None, **what: Any
) -> Vote:
    """Make a vote of `what` open_vote takes, and let everybody know of it; Refused as open_vote says."""
    vote = open_vote(tx, community_id, **what)
    if purchase is not None:
        purchase.vote_id = vote.id
        tx.session.add(purchase)
        tx.session.flush()
    add_event(tx, about(vote), "event.vote_made", by, community_id=community_id)
    if vote.opens_at > tx.now:
        publish(
            tx,
            community_id,
            "ballot.announced",
            about=about(vote),
            silent=False,
            buttons=[Button(f"vote.show:{vote.id}", number=vote.number)],
            **announcement(tx, vote),
        )
        show_staff(tx, vote)
        set_timer(tx, community_id, f"vote.begin:{vote.id}", vote.opens_at)
    else:
        begin(tx, None, vote)
    return vote


def announcement(tx: Tx, vote: Vote) -> dict[str, Any]:
    """What the board says of a vote that is to come or goes on; of what was chosen nothing."""
    return {
        **facts_of(vote),
        **ballots.matter_of(vote),
        "opens": vote.opens_at,
        "visible": Say(f"ballot.visible.{ballots.visible(vote)}"),
        "roster": vote.roster_hash,
        "rules": vote.policy_hash,
        "page": page_of(tx, vote),
    }


def page_of(tx: Tx, vote: Vote) -> Any:
    """Where all of it stands, if there is an address."""
    page = tx.house.vote_page
    return Say("ballot.page", address=page(vote.community_id, vote.number)) if page is not None else ""


@action("vote.begin", Vote)
def begin(tx: Tx, person: None, vote: Vote) -> None:
    """It is open: whoever asked for it gets the ballot first, then everybody who may vote."""
    if vote.state != "open":
        return
    add_event(tx, about(vote), "event.vote_opened", None, community_id=vote.community_id)
    show_board(tx, vote)
    show_staff(tx, vote)
    asked = _proposer(tx, vote)
    if asked is not None:
        for voter in ballots.ballots_for(tx, vote, asked):
            own = voter.person_id == asked.id
            give(tx, vote, voter, asked, key="ballot.ask_first" if own else "ballot.ask")
    vote.reached = 0
    tx.session.add(vote)
    set_timer(tx, vote.community_id, f"vote.send:{vote.id}", tx.now)
    remind_next(tx, vote)


def tell_former(tx: Tx, vote: Vote, key: str, **options: Any) -> None:
    """Tell who may vote and owns nothing here any more, whom no notice to the owners reaches."""
    tied = select(HomeRole.person_id).where(HomeRole.community_id == vote.community_id)
    rows = (
        select(Voter.homes, Person)
        .join(Person, col(Person.id) == col(Voter.person_id))
        .where(Voter.vote_id == vote.id, Person.name != "", col(Person.id).not_in(tied))
        .order_by(col(Person.id))
    )
    for homes, person in tx.session.exec(rows).all():
        if homes:
            tell(tx, person, key, lane=NEWS, **options)


def show_board(tx: Tx, vote: Vote) -> None:
    """Let the board show a vote that goes on."""
    post(tx, vote.community_id, "ballot.board", about=about(vote), **announcement(tx, vote))


def show_staff(tx: Tx, vote: Vote) -> None:
    """Let the admin group have a card of a vote that is to come or goes on."""
    names = [
        "vote.turnout",
        "vote.show",
        *(["vote.extend"] if vote.kind == "poll" and not was_extended(tx, vote) else []),
    ]
    tell_staff(
        tx,
        vote.community_id,
        "ballot.staff" if vote.opens_at <= tx.now else "ballot.staff_soon",
        card=about(vote),
        buttons=[Button(f"{name}:{vote.id}", number=vote.number) for name in names],
        opens=vote.opens_at,
        **facts_of(vote),
    )


def _proposer(tx: Tx, vote: Vote) -> Person | None:
    row = select(Person).join(Purchase, col(Purchase.person_id) == col(Person.id))
    found = tx.session.exec(row.where(Purchase.vote_id == vote.id)).first()
    return found if found is not None and found.name else None


# --- sent and reminded ------------------------------------------------------------------------------


@action("vote.send", Vote)
def send(tx: Tx, person: None, vote: Vote) -> None:
    """Put the next ballots into the chats of who may cast them; whoever asked for the vote has theirs."""
    if vote.state != "open" or tx.now > vote.deadline:
        return
    asked = _proposer(tx, vote)
    for voter, to in _next_batch(tx, vote, f"vote.send:{vote.id}", BATCH):
        if asked is None or to.id != asked.id:
            give(tx, vote, voter, to, lane=BROADCAST)


@action("vote.remind", Vote)
def remind(tx: Tx, person: None, vote: Vote) -> None:
    """Remind those who have not voted, in waking hours; whose homes have a ballot are left alone."""
    if vote.state != "open" or tx.now > vote.deadline:
        return
    if is_set(tx, f"vote.send:{vote.id}"):  # nobody is reminded of what has not come yet
        set_timer(tx, vote.community_id, f"vote.remind:{vote.id}", tx.now + AFTER_BALLOTS)
        return
    if vote.reached == 0 and awake(tx, vote.community_id, tx.now) != tx.now:
        remind_next(tx, vote, late=True)
        return
    covered = _covered(tx, vote)
    for voter, to in _next_batch(tx, vote, f"vote.remind:{vote.id}", REMINDED):
        if not covered.issuperset(voter.homes) and not ballots.is_represented(tx, vote, voter):
            give(tx, vote, voter, to, key="ballot.remind", lane=BROADCAST)
    if vote.reached == 0:
        remind_next(tx, vote)


def _next_batch(tx: Tx, vote: Vote, action: str, most: int) -> list[tuple[Voter, Person]]:
    """The next ballots and whom they go to, owners and those who act for them; the clock comes again for the rest."""
    rows = select(Voter).where(Voter.vote_id == vote.id, col(Voter.id) > vote.reached)
    voters = tx.session.exec(rows.order_by(col(Voter.id)).limit(most)).all()
    vote.reached = voters[-1].id if len(voters) == most else 0
    tx.session.add(vote)
    if vote.reached:
        set_timer(tx, vote.community_id, action, tx.now)
    theirs = {each.person_id: each for each in voters if each.person_id is not None and each.homes}
    receivers = [(owner_id, owner_id) for owner_id in theirs]
    receivers += [(each.principal_id, each.agent_id) for each in powers_of(tx, list(theirs))]
    ids = {to for _, to in receivers}
    people = {each.id: each for each in tx.session.exec(select(Person).where(col(Person.id).in_(ids)))}
    # Who was forgotten is a number, and has no chat.
    return [(theirs[owner], people[to]) for owner, to in dict.fromkeys(receivers) if people[to].name]


def _covered(tx: Tx, vote: Vote) -> set[int]:
    """The positions of the homes for which a ballot stands."""
    cast = select(Voter.homes).where(
        col(Voter.id).in_(
            select(Ballot.principal_id).where(Ballot.vote_id == vote.id, Ballot.kind == "ballot")
        )
    )
    return {position for homes in tx.session.exec(cast) for position in homes}


def remind_next(tx: Tx, vote: Vote, *, late: bool = False) -> None:
    """Set the clock for the next reminder, if one is still to come; a `late` one comes as soon as people are awake."""
    hours = hours_in(policy_of(tx, vote.community_id).remind_hours)
    wanted = [*(vote.deadline - timedelta(hours=each) for each in hours), *([tx.now] if late else [])]
    last = vote.deadline - LAST_CALL
    times = [awake(tx, vote.community_id, each, until=last) for each in wanted]
    to_come = [each for each in times if each > max(tx.now, vote.opens_at + SOON)]
    waits = {name: is_set(tx, f"vote.{name}:{vote.id}") for name in ("send", "remind")}
    reminding = vote.reached != 0 and waits == {"send": False, "remind": True}  # who is left comes first
    if to_come and not reminding:
        set_timer(tx, vote.community_id, f"vote.remind:{vote.id}", min(to_come))


# --- more time --------------------------------------------------------------------------------------


@action("vote.extend", Vote, button=True, stays=True)
def ask_extension(tx: Tx, person: Person, vote: Vote) -> None:
    """Ask how many days a poll goes on longer."""
    if vote.kind != "poll":
        raise Refused("vote.extend_poll")
    if vote.state != "open":
        raise Refused("vote.closed")
    if was_extended(tx, vote):
        raise Refused("vote.extend_once")
    start(tx, person, EXTEND.name, about=about(vote))


def of_vote(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which vote a question is about, for its words."""
    return facts_of(tx.session.get_one(Vote, int(talk.about.partition(":")[2])))


know(Known(EXTEND, no_facts, about=of_vote))


@action("vote.extended", Vote)
def extended(tx: Tx, person: Person, vote: Vote, days: int) -> None:
    """Its deadline is moved, once, and everybody hears of it; what was cast stands."""
    before = vote.deadline
    extend(tx, vote, vote.deadline + timedelta(days=days))
    add_event(
        tx, about(vote), "event.vote_extended", person, community_id=vote.community_id, until=vote.deadline
    )
    shown: dict[str, Any] = {
        "buttons": [Button(f"vote.show:{vote.id}", number=vote.number)],
        "before": before,
        **facts_of(vote),
    }
    publish(tx, vote.community_id, "ballot.extended", about=about(vote), silent=False, **shown)
    tell_former(tx, vote, "ballot.extended", **shown)
    show_board(tx, vote)
    show_staff(tx, vote)
    remind_next(tx, vote)
    tell(tx, here(tx, person), "ballot.extended", before=before, lane=NEWS, **facts_of(vote))


def stop(tx: Tx, vote: Vote) -> None:
    """It is over: nothing more is sent."""
    for name in ("send", "remind", "begin"):
        stop_timer(tx, f"vote.{name}:{vote.id}")
