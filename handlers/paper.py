"""Ballots on paper: one of the staff enters them with a photo, another one confirms them, and then they are cast."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from conversations.errors import Refused
from conversations.paper import PAPER, picked_in
from conversations.steps import Answers
from conversations.words import Say
from handlers.actions import action
from handlers.addresses import homes_at
from handlers.ballot_sheet import is_sealed
from handlers.ballots import in_words, must_go_on, tell_receipt
from handlers.casting import Cast, cast
from handlers.matters import add_photos, photos_of
from handlers.repair_cards import address, can_be_reached
from handlers.talk import Known, ask, here, know, open_talk, start
from handlers.tally import instant, owners_of
from handlers.tell import Button, distinct, reader_of, tell, tell_staff
from handlers.timers import set_timer
from handlers.tx import Tx
from store.tables import Ballot, Home, Paper, Person, RosterEntry, Talk, Vote, Voter

BEFORE = timedelta(hours=1)
"""How long before the deadline the group hears which papers still wait."""
LONGEST_LABEL = 40


# --- the talk ---------------------------------------------------------------------------------------


def facts_for(tx: Tx, person: Person, answers: Answers) -> dict[str, Callable[[], Any]]:
    """What the questions need to know: how one chooses in this vote, and who may vote for the home that was named."""
    vote = tx.session.get_one(Vote, answers["vote"])

    def owners() -> list[tuple[str, str]]:
        entry = _entry(tx, vote, answers["home"]) if answers.get("home") else None
        found = _owners(tx, vote, entry) if entry is not None else []
        forgotten = tx.reader(person.community_id).say("person.forgotten")
        names = distinct((who.name or forgotten)[:LONGEST_LABEL] for _, who in found)
        return [(str(voter.id), name) for (voter, _), name in zip(found, names, strict=True)]

    def choices() -> list[tuple[str, str]]:
        names = distinct(name[:LONGEST_LABEL] for name in _choices(vote))
        return [(str(number), name) for number, name in enumerate(names, 1)]

    return {"owners": owners, "choices": choices, "most": lambda: _most(vote)}


def _choices(vote: Vote) -> list[str]:
    """What can be chosen, where it is not yes or no."""
    poll = vote.policy["poll"]
    return list(poll["choices"]) if poll is not None and poll["question"] == "choose" else []


def _most(vote: Vote) -> int:
    """How many of its choices one ballot may choose; 0: it is yes or no."""
    return int(vote.policy["poll"]["most"]) if _choices(vote) else 0


def _entry(tx: Tx, vote: Vote, text: str) -> RosterEntry | None:
    """The one home of the frozen roster that an address names; None if none or several fit."""
    homes = [each.id for each in homes_at(tx, vote.community_id, text)]
    rows = select(RosterEntry).where(RosterEntry.vote_id == vote.id, col(RosterEntry.home_id).in_(homes))
    found = tx.session.exec(rows.limit(2)).all()
    return found[0] if len(found) == 1 else None


def _owners(tx: Tx, vote: Vote, entry: RosterEntry) -> list[tuple[Voter, Person]]:
    """Who may vote for a home, as it was frozen: its owners, or the one who speaks for them."""
    numbers = [entry.unit["rep"]] if entry.unit["rep"] is not None else owners_of(entry.unit)
    rows = (
        select(Voter, Person)
        .join(Person, col(Person.id) == col(Voter.person_id))
        .where(Voter.vote_id == vote.id, col(Voter.number).in_(numbers))
        .order_by(col(Voter.id))
    )
    return [(voter, who) for voter, who in tx.session.exec(rows) if entry.position in voter.homes]


def heard(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """A home must stand in the roster with an owner, and choices must be some of the vote's."""
    vote, answers = tx.session.get_one(Vote, talk.answers["vote"]), dict(talk.answers)
    lead = ""
    if "home" in changed:
        answers.pop("who", None)  # it was one of another home
        entry = _entry(tx, vote, answers["home"])
        if entry is None:
            lead = "paper.no_home"
        elif not _owners(tx, vote, entry):
            lead = "paper.no_owner"
        if entry is None or lead:
            answers.pop("home")
        else:
            answers["home"] = _in_full(tx, person, vote, entry) or answers["home"]
    elif "several" in changed and picked_in(answers["several"], _choices(vote), _most(vote)) is None:
        lead = "paper.wrong_several"
        answers.pop("several")
    talk.answers = answers
    tx.session.add(talk)
    tx.session.flush()
    if lead:
        ask(tx, person, talk, lead=lead, most=_most(vote))
    return bool(lead)


def _in_full(tx: Tx, person: Person, vote: Vote, entry: RosterEntry) -> str:
    """The whole address of a home, if it is read as that home again; else nothing."""
    home = tx.session.get_one(Home, entry.home_id)
    full = str(reader_of(tx, here(tx, person)).show(address(home)))
    again = _entry(tx, vote, full)
    return full if again is not None and again.id == entry.id else ""


def of_which(tx: Tx, talk: Talk) -> dict[str, Any]:
    """Which vote a question is about, and whose ballot, for its words."""
    vote = tx.session.get_one(Vote, talk.answers["vote"])
    entry = _entry(tx, vote, talk.answers["home"]) if talk.answers.get("home") else None
    owners = _owners(tx, vote, entry) if entry is not None else []
    chosen = [who for voter, who in owners if talk.answers.get("who", str(voter.id)) == str(voter.id)]
    return {
        "number": vote.number,
        "title": vote.title,
        "who": [who.name or Say("person.forgotten") for who in chosen],
        "most": _most(vote),
        "choices": "\n".join(f"{number}. {name}" for number, name in enumerate(_choices(vote), 1)),
    }


know(Known(PAPER, facts_for, heard, about=of_which))


# --- entered ----------------------------------------------------------------------------------------


@action("papers")
def choose(tx: Tx, person: Person) -> None:
    """Enter a paper: of the only open vote that takes some, or of one that is chosen."""
    rows = select(Vote).where(Vote.community_id == person.community_id, Vote.state == "open")
    found = [
        each
        for each in tx.session.exec(rows.order_by(col(Vote.id)))
        if each.opens_at <= tx.now <= each.deadline and not is_sealed(each.policy)
    ]
    if len(found) == 1:
        new(tx, person, found[0])
        return
    reader = reader_of(tx, here(tx, person))
    labels = distinct(
        reader.say("paper.vote_label", number=each.number, title=each.title)[:LONGEST_LABEL] for each in found
    )
    buttons = [Button(f"paper.new:{each.id}", label=name) for each, name in zip(found, labels, strict=True)]
    tell(tx, here(tx, person), "paper.which" if found else "paper.no_vote", buttons=buttons)


@action("paper.new", Vote, button=True, stays=True)
def new(tx: Tx, person: Person, vote: Vote) -> None:
    """Ask whose ballot it is, and what stands on it; or go on with one that is half entered."""
    _check(tx, vote)
    talk = open_talk(tx, person, tx.place) if tx.place is not None else None
    if talk is not None and (talk.script, talk.about) == ("paper", f"vote:{vote.id}"):
        ask(tx, person, talk, lead="paper.already")
    else:
        start(tx, person, "paper", about=f"vote:{vote.id}", answers={"vote": vote.id})


def _check(tx: Tx, vote: Vote) -> None:
    """Whether a paper can be entered now."""
    must_go_on(tx, vote)
    if is_sealed(vote.policy):
        raise Refused("paper.sealed")


@action("paper.enter", Vote)
def enter(tx: Tx, person: Person, vote: Vote, home: str, photos: Mapping[str, Any], **answers: Any) -> None:
    """Write the paper down, and show it to the group: a second person has to confirm it."""
    _check(tx, vote)
    entry = _entry(tx, vote, home)
    owners = _owners(tx, vote, entry) if entry is not None else []
    voter = next((each for each, _ in owners if answers.get("who", str(each.id)) == str(each.id)), None)
    if entry is None or voter is None:
        raise Refused("paper.no_home")
    choice = _choice(vote, answers)
    if choice is None or not photos["files"]:
        raise Refused("vote.unknown_choice" if choice is None else "paper.no_photo")
    if _waiting(tx, vote, voter):
        raise Refused("paper.waits_already")
    paper = Paper(
        community_id=vote.community_id,
        vote_id=vote.id,
        voter_id=voter.id,
        choice=choice,
        evidence=photos["files"][0]["storage"],
        entered_by=person.pseudonym,
        received_at=tx.now,
    )
    tx.session.add(paper)
    tx.session.flush()
    paper.photos = add_photos(tx, person, f"paper:{paper.id}", photos)
    tx.session.add(paper)
    tx.session.flush()
    _card(tx, paper, anew=True)
    if vote.deadline - BEFORE > tx.now:
        set_timer(tx, vote.community_id, f"paper.remind:{vote.id}", vote.deadline - BEFORE)


def _choice(vote: Vote, answers: Mapping[str, Any]) -> Any:
    """What stands on the paper, as a ballot has it; None: it is no choice of this vote."""
    names, most = _choices(vote), _most(vote)
    if not most:
        return answers.get("choice")
    if most > 1:
        return picked_in(answers.get("several", ""), names, most)
    one = answers.get("one", "")
    if one in ("none", "abstain"):
        return [] if one == "none" else one
    number = int(one) if one.isascii() and one.isdigit() else 0
    return [names[number - 1]] if 1 <= number <= len(names) else None


def _waiting(tx: Tx, vote: Vote, voter: Voter | None = None) -> Sequence[Paper]:
    """The papers of a vote, or of one voter, that nobody has confirmed or refused."""
    rows = select(Paper).where(Paper.vote_id == vote.id, Paper.state == "waiting").order_by(col(Paper.id))
    return tx.session.exec(rows if voter is None else rows.where(Paper.voter_id == voter.id)).all()


# --- confirmed, or given back -----------------------------------------------------------------------


@action("paper.show", Paper, button=True, stays=True)
def show(tx: Tx, person: Person, paper: Paper) -> None:
    """One paper with its photos, and what can be decided."""
    _card(tx, paper, anew=True)


@action("paper.confirm", Paper, button=True)
def confirm(tx: Tx, person: Person, paper: Paper) -> None:
    """A second person has compared the photo with what was entered: the ballot is cast."""
    _check_second(tx, person, paper)
    vote, voter = tx.session.get_one(Vote, paper.vote_id), tx.session.get_one(Voter, paper.voter_id)
    if _is_overtaken(tx, vote, voter, paper):
        raise Refused("paper.overtaken")
    owner = tx.session.get_one(Person, voter.person_id)
    made = cast(
        tx,
        vote,
        owner,
        choice=paper.choice,
        channel="paper",
        at=paper.received_at,
        evidence=paper.evidence,
    )
    paper.state = "confirmed"
    tx.session.add(paper)
    tx.session.flush()
    _card(tx, paper)
    _tell_receipt(tx, vote, made, owner, paper)


@action("paper.refuse", Paper, button=True)
def refuse(tx: Tx, person: Person, paper: Paper) -> None:
    """What was entered is not what stands on the photo: it is not counted, and can be entered anew."""
    if paper.state != "waiting":
        raise Refused("paper.over")
    paper.state = "refused"
    tx.session.add(paper)
    tx.session.flush()
    _card(tx, paper)


def _check_second(tx: Tx, person: Person, paper: Paper) -> None:
    if paper.state != "waiting":
        raise Refused("paper.over")
    voter = tx.session.get_one(Voter, paper.voter_id)
    if person.pseudonym == paper.entered_by or person.id == voter.person_id:
        raise Refused("paper.second")


def _is_overtaken(tx: Tx, vote: Vote, voter: Voter, paper: Paper) -> bool:
    """Whether the owner has voted anew since the paper came in: the log keeps the last entry, not the last choice."""
    options = vote.policy["options"]
    if (options["channel_conflict"], options["revote"]) != ("latest", "last"):
        return False
    rows = select(Ballot.entry).where(
        Ballot.voter_id == voter.id, Ballot.principal_id == voter.id, Ballot.kind == "ballot"
    )
    entries = tx.session.exec(rows).all()
    return any(instant(json.loads(entry)["body"]["at"]) > paper.received_at for entry in entries)


def _tell_receipt(tx: Tx, vote: Vote, made: Cast, owner: Person, paper: Paper) -> None:
    """The receipt goes to the group, for the paper's stub, to the owner, and to every co-owner."""
    facts: dict[str, Any] = {"number": vote.number, "title": vote.title, "receipt": str(made.receipt)}
    tell_staff(tx, vote.community_id, "paper.counted", paper=paper.id, **facts)
    if can_be_reached(tx, owner):
        tell(tx, owner, "paper.receipt", choice=in_words(paper.choice), **facts)
    tell_receipt(tx, vote, made, owner, by=None)


# --- what is shown ----------------------------------------------------------------------------------


def _card(tx: Tx, paper: Paper, *, anew: bool = False) -> None:
    """Show the group a paper with its photos, or its present state where it stands."""
    vote, voter = tx.session.get_one(Vote, paper.vote_id), tx.session.get_one(Voter, paper.voter_id)
    buttons = [Button(f"paper.{name}:{paper.id}", number=paper.id) for name in ("confirm", "refuse")]
    by = tx.session.exec(select(Person).where(Person.pseudonym == paper.entered_by)).first()
    tell_staff(
        tx,
        paper.community_id,
        {"waiting": "paper.card", "confirmed": "paper.card_confirmed", "refused": "paper.card_refused"}[
            paper.state
        ],
        card=f"paper:{paper.id}",
        anew=anew,
        photos=photos_of(tx, f"paper:{paper.id}") if anew else (),
        buttons=buttons if paper.state == "waiting" else (),
        by=(by.name if by is not None else "") or Say("person.forgotten"),
        at=paper.received_at,
        number=vote.number,
        title=vote.title,
        deadline=vote.deadline,
        standing=_standing(tx, vote, voter) if paper.state == "waiting" else "",
        **_facts(tx, paper, voter),
    )


def _facts(tx: Tx, paper: Paper, voter: Voter) -> dict[str, Any]:
    """Whose paper it is, for which homes, and what stands on it."""
    rows = (
        select(Home)
        .join(RosterEntry, col(RosterEntry.home_id) == col(Home.id))
        .where(RosterEntry.vote_id == voter.vote_id, col(RosterEntry.position).in_(voter.homes))
        .order_by(col(RosterEntry.position))
    )
    return {
        "paper": paper.id,
        "homes": [address(home) for home in tx.session.exec(rows)],
        "who": tx.session.get_one(Person, voter.person_id).name or Say("person.forgotten"),
        "choice": in_words(paper.choice),
    }


def _standing(tx: Tx, vote: Vote, voter: Voter) -> Say | str:
    """That a ballot of this home stands already, and which of the two will count."""
    units = select(RosterEntry.unit).where(
        RosterEntry.vote_id == vote.id, col(RosterEntry.position).in_(voter.homes)
    )
    numbers = {owner for unit in tx.session.exec(units) for owner in owners_of(unit)}
    owners = select(Voter.id).where(Voter.vote_id == vote.id, col(Voter.number).in_(numbers))
    cast_before = select(Ballot.id).where(Ballot.kind == "ballot", col(Ballot.principal_id).in_(owners))
    if tx.session.exec(cast_before.limit(1)).first() is None:
        return ""
    return Say(
        "paper.standing_mark", rule=Say(f"paper.conflict.{vote.policy['options']['channel_conflict']}")
    )


@action("paper.remind", Vote)
def remind(tx: Tx, person: None, vote: Vote) -> None:
    """An hour before the end the group hears which papers wait; they count only if they are confirmed in time."""
    if vote.state != "open":
        return
    if vote.deadline - BEFORE > tx.now:  # it was extended
        set_timer(tx, vote.community_id, f"paper.remind:{vote.id}", vote.deadline - BEFORE)
        return
    lines = [
        Say("paper.line", **_facts(tx, each, tx.session.get_one(Voter, each.voter_id)))
        for each in _waiting(tx, vote)
    ]
    if lines:
        reader = tx.reader(vote.community_id)
        tell_staff(
            tx,
            vote.community_id,
            "paper.waiting",
            number=vote.number,
            title=vote.title,
            deadline=vote.deadline,
            count=len(lines),
            list="\n".join(str(reader.show(line)) for line in lines),
        )
