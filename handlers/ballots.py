"""Ballots: in the own chat of everybody who may vote, cast by a tap, a number or a word, with a receipt at once."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.steps import Answers
from conversations.votes import CHOOSE
from conversations.words import LANGUAGES, Say, normal, texts
from handlers.actions import action
from handlers.ballot_log import receipt
from handlers.ballot_sheet import is_sealed
from handlers.casting import Cast, cast
from handlers.matters import photos_of
from handlers.proxies import powers_given_to
from handlers.repair_cards import address
from handlers.talk import Known, ask, know, open_talk, start
from handlers.tell import Button, close_last, distinct, place_of, tell
from handlers.turnout import ballot_card
from handlers.tx import Tx
from handlers.vote_log import entry_in, voter_of
from handlers.vote_roster import is_about_votes
from handlers.vote_words import rule_in_words
from handlers.votes import GRACE
from store.tables import Agent, Ballot, Home, Person, Purchase, RosterEntry, Talk, Vote, Voter

SIDES = ("for", "against", "abstain")
NONE, ABSTAIN = "=none", "=abstain"
ALONE: dict[str, Any] = {NONE: [], ABSTAIN: "abstain"}
"""What can be chosen besides the choices of a poll, each alone, and how a ballot says it."""
BRIEF = 400
LONGEST_LABEL = 40
SHOWN_HOMES = 3
CASTS = re.compile(r"ballot\.(?:for|against|abstain|choose):(\d{1,18})")
AT_ONCE = 5
"""How many ballots somebody who comes back is shown at once."""


# --- whose ballot it is -----------------------------------------------------------------------------


def vote_of(tx: Tx, voter: Voter) -> Vote:
    """The vote in which somebody has this number."""
    return tx.session.get_one(Vote, voter.vote_id)


def ballots_for(tx: Tx, vote: Vote, person: Person) -> list[Voter]:
    """The ballots that somebody may cast in a vote: their own first, then those of whom they act for."""
    principals = [each.principal_id for each in powers_given_to(tx, person)]
    rows = select(Voter).where(Voter.vote_id == vote.id, col(Voter.person_id).in_([person.id, *principals]))
    found = [each for each in tx.session.exec(rows.order_by(col(Voter.id))) if each.homes]
    return sorted(found, key=lambda each: each.person_id != person.id)


def wards_of(vote: Vote) -> set[str]:
    """The numbers of those for whom a guardian votes."""
    return {each["principal"] for each in vote.roster["legal_agents"]}


def is_represented(tx: Tx, vote: Vote, voter: Voter) -> bool:
    """Whether each home of this number has a representative who is somebody else, and so votes for it."""
    rows = select(RosterEntry.unit).where(
        RosterEntry.vote_id == vote.id, col(RosterEntry.position).in_(voter.homes)
    )
    return all(unit["rep"] not in (None, voter.number) for unit in tx.session.exec(rows))


def capacity_of(tx: Tx, vote: Vote, person: Person, voter: Voter) -> str:
    """As what somebody casts a ballot."""
    if voter.person_id == person.id:
        return "self"
    mine = voter_of(tx, vote, person)
    pairs = [(each["agent"], each["principal"]) for each in vote.roster["legal_agents"]]
    return "guardian" if mine is not None and (mine.number, voter.number) in pairs else "proxy"


def homes_in_words(tx: Tx, vote: Vote, voter: Voter) -> Any:
    """The homes for which a ballot speaks."""
    rows = (
        select(Home)
        .join(RosterEntry, col(RosterEntry.home_id) == col(Home.id))
        .where(RosterEntry.vote_id == vote.id, col(RosterEntry.position).in_(voter.homes[:SHOWN_HOMES]))
        .order_by(col(RosterEntry.position))
    )
    named = [address(home) for home in tx.session.exec(rows)]
    more = len(voter.homes) - len(named)
    return Say("ballot.more_homes", homes=named, count=len(voter.homes)) if more > 0 else named


# --- shown ------------------------------------------------------------------------------------------


def give(
    tx: Tx, vote: Vote, voter: Voter, to: Person, *, key: str = "ballot.ask", lane: int | None = None
) -> None:
    """Put a ballot into somebody's chat, as the last message about it: whoever votes for another gets it, too."""
    tell(
        tx,
        to,
        key,
        card=ballot_card(voter),
        anew=True,
        lane=lane,
        photos=_photos(tx, vote) if key == "ballot.ask" else (),
        buttons=buttons(tx, vote, voter, to),
        **_facts(tx, vote, voter, to),
    )


def _photos(tx: Tx, vote: Vote) -> list[int]:
    asked = tx.session.exec(select(Purchase.id).where(Purchase.vote_id == vote.id)).first()
    return photos_of(tx, f"purchase:{asked}") if asked is not None else []


def buttons(tx: Tx, vote: Vote, voter: Voter, to: Person) -> list[Button]:
    """What can be pressed below a ballot."""
    show = Button(f"vote.show:{vote.id}", number=vote.number)
    ward = voter.person_id == to.id and voter.number in wards_of(vote)
    if not _is_open(tx, vote) or ward or is_represented(tx, vote, voter):
        return [show]
    names = ["choose"] if _chooses(vote) else SIDES
    return [*(Button(f"ballot.{name}:{voter.id}", number=vote.number) for name in names), show]


def _chooses(vote: Vote) -> bool:
    """Whether one of several is asked, or more of them."""
    return vote.policy["poll"] is not None and vote.policy["poll"]["question"] == "choose"


def _is_open(tx: Tx, vote: Vote) -> bool:
    return vote.state == "open" and vote.opens_at <= tx.now <= vote.deadline


def must_go_on(tx: Tx, vote: Vote) -> None:
    """Refuse what is only possible while people vote."""
    if vote.state != "open":
        raise Refused("vote.closed")
    if tx.now < vote.opens_at:
        raise Refused("vote.early", at=vote.opens_at)
    if tx.now > vote.deadline:
        raise Refused("vote.late", at=vote.deadline)


def still_open(tx: Tx, person: Person, values: Iterable[str]) -> list[str]:
    """Buttons of the same words without the ballots of votes that are over; if nothing is open, the latest of those."""
    found = list(values)
    gone = {each for each in found for vote in _votes(tx, [each]) if not _is_open(tx, vote)}
    left = [each for each in found if each not in gone]
    return left if left or not found or _has_ballot(tx, person) else found[:1]


def _has_ballot(tx: Tx, person: Person) -> bool:
    """Whether there is something on which somebody can vote now."""
    votes = [each for each in open_votes_of(tx, person.community_id) if _is_open(tx, each)]
    return any(ballots_for(tx, each, person) for each in votes)


def votes_among(tx: Tx, values: Sequence[str]) -> int:
    """In how many votes these buttons cast; 0 if one of them casts no ballot."""
    return len({vote.id for vote in _votes(tx, values)}) if all(map(CASTS.fullmatch, values)) else 0


def _votes(tx: Tx, values: Sequence[str]) -> list[Vote]:
    """The votes of those of the buttons that cast a ballot."""
    numbers = [int(found[1]) for found in map(CASTS.fullmatch, values) if found is not None]
    voters = [tx.session.get(Voter, number) for number in numbers]
    return [vote_of(tx, voter) for voter in voters if voter is not None]


def facts_of(vote: Vote) -> dict[str, Any]:
    """What is said of a vote wherever it is shown."""
    return {
        "number": vote.number,
        "title": vote.title,
        "kind": Say(f"count.kind.{vote.kind}"),
        "rule": rule_in_words(vote.policy),
        "deadline": vote.deadline,
    }


def matter_of(vote: Vote, most: int | None = None) -> dict[str, Any]:
    """What is asked: the explanation, of at most so many characters, and the choices, if there are some."""
    text, names = vote.policy["text"], vote.policy["poll"]["choices"] if _chooses(vote) else []
    shown = text if most is None or len(text) <= most else f"{text[: most - 1]}…"
    return {
        "text": Say("ballot.text_mark", text=shown) if shown else "",
        "choices": Say("ballot.choices_mark", names=list(names)) if names else "",
    }


def _facts(tx: Tx, vote: Vote, voter: Voter, to: Person) -> dict[str, Any]:
    own = voter.person_id == to.id
    whose = Say("ballot.own", homes=homes_in_words(tx, vote, voter))
    if own and voter.number in wards_of(vote):
        whose = Say("ballot.ward")
    elif is_represented(tx, vote, voter):
        whose = Say("ballot.represented", homes=homes_in_words(tx, vote, voter))
    elif not own:
        principal = tx.session.get_one(Person, voter.person_id)
        whose = Say("ballot.of_other", who=name_of(principal), homes=homes_in_words(tx, vote, voter))
    before = standing(tx, vote, voter, to)
    return {
        **facts_of(vote),
        **matter_of(vote, BRIEF),
        "visible": Say(f"ballot.visible.{visible(vote)}"),
        "whose": whose,
        "before": Say("ballot.before_mark", choice=in_words(choice_in(before))) if before is not None else "",
    }


def visible(vote: Vote) -> str:
    """What will be published: all ballots of a statutory vote are, by their homes."""
    return str(vote.policy["poll"]["visible"]) if vote.policy["poll"] else "by_room"


def name_of(person: Person) -> Any:
    """Somebody's name, for whoever acts for them."""
    return person.name or Say("person.forgotten")


def in_words(choice: Any) -> Any:
    """What a ballot says, in words."""
    if choice in SIDES:
        return Say(f"count.side.{choice}")
    return list(choice) if choice else Say("count.none_of_these")


def standing(tx: Tx, vote: Vote, voter: Voter, by: Person) -> Ballot | None:
    """The last ballot that somebody has cast with this number, themselves or for its owner."""
    mine = voter_of(tx, vote, by)
    if mine is None:
        return None
    rows = select(Ballot).where(
        Ballot.vote_id == vote.id,
        Ballot.kind == "ballot",
        Ballot.voter_id == mine.id,
        Ballot.principal_id == voter.id,
    )
    return tx.session.exec(rows.order_by(col(Ballot.n).desc()).limit(1)).first()


def choice_in(ballot: Ballot) -> Any:
    """What an entry of the log chose."""
    return entry_in(ballot, opened=True)["body"]["choice"]


# --- cast -------------------------------------------------------------------------------------------


@action("ballot.for", Voter, button=True, stays=True)
def vote_for(tx: Tx, person: Person, voter: Voter) -> None:
    """For it; the last ballot before the deadline counts."""
    _cast(tx, person, voter, "for")


@action("ballot.against", Voter, button=True, stays=True)
def vote_against(tx: Tx, person: Person, voter: Voter) -> None:
    """Against it."""
    _cast(tx, person, voter, "against")


@action("ballot.abstain", Voter, button=True, stays=True)
def abstain(tx: Tx, person: Person, voter: Voter) -> None:
    """Neither; it counts as taking part."""
    _cast(tx, person, voter, "abstain")


def _cast(tx: Tx, person: Person, voter: Voter, choice: Any) -> None:
    vote = vote_of(tx, voter)
    principal = tx.session.get_one(Person, voter.person_id)
    before = standing(tx, vote, voter, person)
    if before is not None and choice_in(before) == choice and _is_open(tx, vote):
        # A tap that came twice is one ballot.
        code = str(receipt(before.n, entry_in(before, opened=False)["hash"]))
        _tell_cast(tx, voter, person, "ballot.same", choice=choice, code=code)
        return
    capacity = capacity_of(tx, vote, person, voter)
    made = cast(
        tx,
        vote,
        person,
        on_behalf_of=None if capacity == "self" else principal,
        capacity=capacity,
        choice=choice,
        at=arrived(tx),
    )
    _tell_cast(tx, voter, person, "ballot.cast", choice=made.choice, code=str(made.receipt))
    tell_receipt(tx, vote, made, principal, by=person)


def arrived(tx: Tx) -> datetime:
    """When the message came in: what waited its turn for a moment was not late, what a messenger brings later is."""
    said = tx.said.at if tx.said is not None else tx.now
    return min(tx.now, max(said, tx.now - GRACE))


def _tell_cast(tx: Tx, voter: Voter, person: Person, key: str, *, choice: Any, code: str) -> None:
    """Say what stands now, with its receipt, and let it be changed."""
    vote = vote_of(tx, voter)
    own = voter.person_id == person.id
    principal = tx.session.get_one(Person, voter.person_id)
    tell(
        tx,
        person,
        key,
        last=ballot_card(voter),
        buttons=buttons(tx, vote, voter, person),
        choice=in_words(choice),
        homes=homes_in_words(tx, vote, voter),
        whose="" if own else Say("ballot.for_whom_mark", who=name_of(principal)),
        receipt=code,
        **facts_of(vote),
    )


def tell_receipt(tx: Tx, vote: Vote, made: Cast, principal: Person, *, by: Person | None) -> None:
    """The receipt goes at once to everybody else whom the ballot concerns: co-owners, and who was spoken for.

    `by` is who cast it; None: it came on paper.
    """
    voter = voter_of(tx, vote, principal)
    if voter is None:
        return
    choice = Say("ballot.hidden") if is_sealed(vote.policy) else in_words(made.choice)
    for owner in made.owners:
        spoken_for = owner.id == principal.id
        who: Any = Say("ballot.on_paper") if by is None else name_of(by)
        theirs = voter_of(tx, vote, owner)
        represented = theirs is not None and is_represented(tx, vote, theirs)
        key = "ballot.receipt_own" if spoken_for else "ballot.receipt"
        if represented and not spoken_for:
            key = "ballot.receipt_represented"
        tell(
            tx,
            owner,
            key,
            choice=choice,
            who=who,
            homes=homes_in_words(tx, vote, voter),
            receipt=str(made.receipt),
            differs=Say(f"ballot.differs.{vote.policy['options']['co_owner_no_rep']}"),
            buttons=[Button(f"vote.show:{vote.id}", number=vote.number)] if theirs is not None else (),
            **facts_of(vote),
        )


# --- one of several ---------------------------------------------------------------------------------


@action("ballot.choose", Voter, button=True, stays=True)
def choose(tx: Tx, person: Person, voter: Voter) -> None:
    """Ask what is chosen."""
    vote = vote_of(tx, voter)
    if not _chooses(vote):
        raise Refused("vote.unknown_choice")
    must_go_on(tx, vote)
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == (CHOOSE.name, f"voter:{voter.id}"):
        ask(tx, person, talk)
        return
    start(tx, person, CHOOSE.name, about=f"voter:{voter.id}", answers={"voter": voter.id})


def _choices(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """The choices of a poll, those that are chosen marked."""
    vote = vote_of(tx, tx.session.get_one(Voter, answers["voter"]))
    reader = tx.reader(person.community_id, person.language)

    def choices() -> list[tuple[str, str]]:
        chosen = (answers.get("picked") or {}).get("chosen", [])
        names = distinct(name[:LONGEST_LABEL] for name in vote.policy["poll"]["choices"])
        named = [(str(at), name) for at, name in enumerate(names, 1)]
        made = [(value, f"✓ {name}" if value in chosen else name) for value, name in named]
        made.append((NONE, reader.say("count.none_of_these")))
        made.append((ABSTAIN, reader.say("count.side.abstain")))
        return [*made, ("done", reader.say("choose.picked.done"))] if chosen else made

    return {"choices": choices}


def _heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """Where one may choose one thing, the first is the choice; too many, or what is none, are asked again."""
    picked = talk.answers.get("picked")
    if picked is None:
        return False
    poll = vote_of(tx, tx.session.get_one(Voter, talk.answers["voter"])).policy["poll"]
    numbers = [each for each in picked["chosen"] if not each.startswith("=")]
    lead = ""
    if any(not 1 <= int(each) <= len(poll["choices"]) for each in numbers):
        lead = "unclear.several"
    elif len(numbers) > poll["most"]:
        lead = "ballot.too_many"
    if lead:
        talk.answers = {name: answer for name, answer in talk.answers.items() if name != "picked"}
    elif poll["most"] == 1 and numbers:
        talk.answers = {**talk.answers, "picked": {**picked, "done": True}}
    tx.session.add(talk)
    tx.session.flush()
    if lead:
        ask(tx, person, talk, lead=lead, most=poll["most"])
    return bool(lead)


def _asked(tx: Tx, talk: Talk) -> dict[str, Any]:
    vote = vote_of(tx, tx.session.get_one(Voter, talk.answers["voter"]))
    names = vote.policy["poll"]["choices"]
    cut = any(len(name) > LONGEST_LABEL for name in names)
    full = "".join(f"\n{number}. {name}" for number, name in enumerate(names, 1)) if cut else ""
    return {"title": vote.title, "most": vote.policy["poll"]["most"], "full": full}


know(Known(CHOOSE, _choices, _heard, about=_asked))


@action("ballot.chosen", Voter)
def chosen(tx: Tx, person: Person, voter: Voter, picked: Any) -> None:
    """What was chosen is cast."""
    vote, first = vote_of(tx, voter), picked["chosen"][0]
    if not _chooses(vote):
        raise Refused("vote.unknown_choice")
    if first in ALONE:
        _cast(tx, person, voter, ALONE[first])
        return
    named = dict(enumerate(vote.policy["poll"]["choices"], 1))
    _cast(tx, person, voter, [named[int(each)] for each in picked["chosen"]])


# --- what waits -------------------------------------------------------------------------------------


def open_votes_of(tx: Tx, community_id: int) -> list[Vote]:
    """The votes that are made and not over, the one that ends first before the others."""
    rows = select(Vote).where(Vote.community_id == community_id, Vote.state == "open")
    return list(tx.session.exec(rows.order_by(col(Vote.deadline), col(Vote.id))))


def uncast(tx: Tx, person: Person) -> list[tuple[Vote, Voter]]:
    """The ballots that somebody could cast now, and that nobody has cast."""
    return [
        (vote, voter)
        for vote in open_votes_of(tx, person.community_id)
        if _is_open(tx, vote)
        for voter in ballots_for(tx, vote, person)
        if not has_voted(tx, voter)
    ]


def show_waiting(tx: Tx, person: Person) -> None:
    """The ballots that somebody who comes in or comes back has not cast yet."""
    for vote, voter in uncast(tx, person)[:AT_ONCE]:
        give(tx, vote, voter, person)


def picked_by_name(tx: Tx, values: Iterable[str], word: str) -> tuple[str, dict[str, Any]] | None:
    """What names a choice of the poll whose ballot lies open: the action that casts it, and what was picked."""
    for value in values:
        voter = tx.session.get(Voter, int(value.partition(":")[2]))
        if voter is None or not _is_open(tx, vote_of(tx, voter)):
            continue
        named = {
            normal(name): str(at) for at, name in enumerate(vote_of(tx, voter).policy["poll"]["choices"], 1)
        }
        for language in LANGUAGES:
            named[normal(texts(language)["count.none_of_these"])] = NONE
            named[normal(texts(language)["count.side.abstain"])] = ABSTAIN
        if word in named:
            return f"ballot.chosen:{voter.id}", {"chosen": [named[word]], "done": True}
    return None


def is_choosing(tx: Tx, community_id: int) -> bool:
    """Whether there is a poll that asks for one of several."""
    return any(_chooses(each) for each in open_votes_of(tx, community_id))


def answer_without_ballot(tx: Tx, person: Person) -> bool:
    """Somebody votes by a word, and no ballot lies before them: it comes again, or they hear why there is none.

    False if nobody votes on anything at present.
    """
    votes = open_votes_of(tx, person.community_id)
    if not votes:
        return False
    mine = [(vote, voter) for vote in votes for voter in ballots_for(tx, vote, person)]
    if not mine:
        raise Refused("vote.not_yours", date=votes[0].record_date.isoformat())
    opened = [(vote, voter) for vote, voter in mine if _is_open(tx, vote)]
    if not opened:
        must_go_on(tx, mine[0][0])
    for vote, voter in opened[:AT_ONCE]:
        give(tx, vote, voter, person)
    return True


def has_voted(tx: Tx, voter: Voter) -> bool:
    """Whether a ballot for somebody stands, by whomever."""
    rows = select(Ballot.id).where(Ballot.principal_id == voter.id, Ballot.kind == "ballot")
    return tx.session.exec(rows.limit(1)).first() is not None


def offer(tx: Tx, agent: Agent) -> None:
    """Whoever was given the power to vote for somebody gets that one's ballots."""
    if not is_about_votes(agent):
        return
    to = tx.session.get_one(Person, agent.agent_id)
    for vote in open_votes_of(tx, agent.community_id):
        mine = select(Voter).where(Voter.vote_id == vote.id, Voter.person_id == agent.principal_id)
        for voter in tx.session.exec(mine):
            if voter.homes and _is_open(tx, vote):
                give(tx, vote, voter, to)


def take_away(tx: Tx, agent: Agent) -> None:
    """Whoever lost that power loses the buttons."""
    to = place_of(tx, tx.session.get_one(Person, agent.agent_id))
    mine = select(Voter).where(Voter.person_id == agent.principal_id)
    if to is None:
        return
    for voter in tx.session.exec(mine).all():
        close_last(tx, ballot_card(voter), to.id)
