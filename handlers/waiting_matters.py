"""What stands in the list of staff (/waiting), kind by kind."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from sqlmodel import and_, col, func, or_, select

from conversations.words import Say
from handlers import complaint_cards
from handlers.conduct import BY_NEIGHBOURS, WAITING, flags
from handlers.disclosures import BEFORE, name_of, standing, write_button
from handlers.matters import events_of
from handlers.overdue import DECIDE
from handlers.people import managers_of
from handlers.purchases import brief
from handlers.repair_cards import WORK, amount, cut_short, runs, where
from handlers.repair_cards import brief as what_of
from handlers.tell import Button
from handlers.tx import Tx
from handlers.waiting import Wait, know_queue
from store.tables import (
    Announcement,
    Complaint,
    Edition,
    Joiner,
    JoinRequest,
    Letter,
    Objection,
    Opening,
    Paper,
    Purchase,
    Repair,
    Role,
    Ruling,
    Supporter,
    Vote,
    Voter,
)

BRIEF = 24


def _counts(tx: Tx, column: Any, ids: Iterable[int]) -> dict[int, int]:
    """How many rows each has, in one query."""
    rows = select(column, func.count()).where(col(column).in_(list(ids))).group_by(column)
    return dict(tx.session.exec(rows).all())


# --- requests ---------------------------------------------------------------------------------------


TODO = {"review": "review", "approved": "order", "ordered": "deliver", "delivered": "install"}


def purchases(tx: Tx, community_id: int) -> list[Wait]:
    """Requests that staff have to review, to order, and to bring to their end."""
    rows = select(Purchase).where(Purchase.community_id == community_id, col(Purchase.state).in_(TODO))
    found = tx.session.exec(rows).all()
    count = _counts(tx, Supporter.purchase_id, [each.id for each in found])
    return [
        Wait(
            TODO[each.state],
            brief(tx, each),
            _since(tx, f"purchase:{each.id}", each.created_at),
            each.due_at,
            number=each.number,
            homes=1 + count.get(each.id, 0),
            button=Button(f"purchase.show:{each.id}", number=each.number),
        )
        for each in found
    ]


def _since(tx: Tx, about: str, begun: datetime) -> datetime:
    """Since when it is as it is: the last line of its timeline that is more than that nothing was done."""
    moved = [each.at for each in events_of(tx, about) if not each.key.startswith("purchase.event.not_")]
    return moved[-1] if moved else begun


def openings(tx: Tx, community_id: int) -> list[Wait]:
    """Votes that the committee has to open."""
    rows = select(Opening, Purchase).join(Purchase, col(Purchase.id) == col(Opening.purchase_id))
    rows = rows.where(Opening.community_id == community_id, col(Opening.state).in_(("proposed", "seconding")))
    found = tx.session.exec(rows).all()
    count = _counts(tx, Supporter.purchase_id, [purchase.id for _, purchase in found])
    return [
        Wait(
            "opening",
            cut_short(opening.vote["title"], BRIEF),
            opening.created_at,
            opening.created_at + DECIDE,
            "committee",
            purchase.number,
            1 + count.get(purchase.id, 0),
            Button(f"purchase.show:{purchase.id}", number=purchase.number),
        )
        for opening, purchase in found
    ]


# --- votes ------------------------------------------------------------------------------------------


def objections(tx: Tx, community_id: int) -> list[Wait]:
    """What is said against results, and waits for whoever decides."""
    rows = select(Objection, Vote).join(Vote, col(Vote.id) == col(Objection.vote_id))
    rows = rows.where(Objection.community_id == community_id, Objection.state == "waiting")
    return [
        Wait(
            "objection",
            cut_short(filed.what, BRIEF),
            filed.at,
            filed.at + DECIDE,
            "committee" if vote.kind == "statutory" else "office",
            vote.number,
            button=Button(f"vote.show:{vote.id}", "button.vote.show_one", number=vote.number)
            if vote.kind == "statutory"
            else Button(f"objection.show:{filed.id}", number=filed.id),
        )
        for filed, vote in tx.session.exec(rows).all()
    ]


def papers(tx: Tx, community_id: int) -> list[Wait]:
    """Ballots on paper that a second person has to confirm before their vote is over."""
    rows = select(Paper, Vote).join(Vote, col(Vote.id) == col(Paper.vote_id))
    rows = rows.where(Paper.community_id == community_id, Paper.state == "waiting", Vote.state == "open")
    found = tx.session.exec(rows).all()
    number = {
        each.id: each.number
        for each in tx.session.exec(
            select(Voter).where(col(Voter.id).in_([paper.voter_id for paper, _ in found]))
        )
    }
    return [
        Wait(
            "paper",
            Say("wait.paper", voter=number[paper.voter_id], title=cut_short(vote.title, BRIEF)),
            paper.received_at,
            vote.deadline,
            number=vote.number,
            button=Button(f"paper.show:{paper.id}", number=paper.id),
        )
        for paper, vote in found
    ]


# --- conduct, complaints, letters, asking to come in --------------------------------------------------


def rulings(tx: Tx, community_id: int) -> list[Wait]:
    """What is held, what was appealed, and what neighbours reported."""
    rows = select(Ruling).where(Ruling.community_id == community_id, col(Ruling.state).in_(WAITING))
    return [
        Wait(
            _kind_of(each),
            cut_short(each.text, BRIEF),
            each.appealed_at or each.at,
            each.due_at,
            number=each.number,
            homes=1 + (flags(tx, each.about) if BY_NEIGHBOURS in each.rules else 0),
            button=Button(f"ruling.show:{each.id}", number=each.number),
        )
        for each in tx.session.exec(rows).all()
    ]


def _kind_of(ruling: Ruling) -> str:
    if ruling.state == "appealed":
        return "appeal"
    return "flagged" if BY_NEIGHBOURS in ruling.rules else "held"


def complaints(tx: Tx, community_id: int) -> list[Wait]:
    """Complaints and suggestions that staff have to answer."""
    rows = select(Complaint).where(Complaint.community_id == community_id, Complaint.state == "open")
    found = tx.session.exec(rows).all()
    count = _counts(tx, Joiner.complaint_id, [each.id for each in found])
    return [
        Wait(
            each.kind,
            complaint_cards.brief(tx, each)
            or (Say("where.building", building=each.building) if each.building else Say("purchase.whole")),
            each.created_at,
            each.due_at,
            number=each.number,
            homes=1 + count.get(each.id, 0),
            button=Button(f"complaint.show:{each.id}", number=each.number),
        )
        for each in found
    ]


def letters(tx: Tx, community_id: int) -> list[Wait]:
    """Letters to the property office that nobody has answered."""
    rows = select(Letter).where(Letter.community_id == community_id, col(Letter.due_at).is_not(None))
    found = [
        (each, tx.session.get_one(Repair, int(each.about.removeprefix("repair:"))))
        for each in tx.session.exec(rows)
    ]
    return [
        Wait(
            "letter",
            cut_short(letter.text, BRIEF) or Say("letter.files", count=len(letter.files)),
            letter.at,
            letter.due_at,
            number=repair.number,
            button=Button(f"repair.show:{repair.id}", number=repair.number),
        )
        for letter, repair in found
    ]


def requests(tx: Tx, community_id: int) -> list[Wait]:
    """Who asks to come in."""
    rows = select(JoinRequest).where(JoinRequest.community_id == community_id, JoinRequest.state == "waiting")
    return [
        Wait(
            "join",
            cut_short(each.home, BRIEF),
            each.created_at,
            each.due_at,
            button=Button(f"join.show:{each.id}", number=each.id),
        )
        for each in tx.session.exec(rows)
    ]


# --- repairs ----------------------------------------------------------------------------------------


def repairs(tx: Tx, community_id: int) -> list[Wait]:
    """Repairs that nobody has, that are late, or whose price nobody has agreed to."""
    rows = select(Repair).where(
        Repair.community_id == community_id,
        col(Repair.state).in_(WORK),
        or_(
            Repair.state == "waiting",
            col(Repair.due_at) <= tx.now,
            Repair.cost_state == "asked",
        ),
    )
    managed = bool(managers_of(tx, community_id))
    return [_repair(tx, each, managed) for each in tx.session.exec(rows).all() if _is_stuck(tx, each)]


def _is_stuck(tx: Tx, repair: Repair) -> bool:
    """Not what stands by agreement, and not what its crew has and is on time with."""
    return _is_late(tx, repair) or repair.crew_id is None or repair.cost_state == "asked"


def _is_late(tx: Tx, repair: Repair) -> bool:
    return runs(repair) and repair.due_at is not None and repair.due_at <= tx.now


def _repair(tx: Tx, repair: Repair, managed: bool) -> Wait:
    kind: str
    by: Literal["office", "manager", "crew", "owner"]
    if repair.cost_state == "asked":
        kind, by = "price", "owner"
    elif repair.crew_id is None:
        kind, by = "nobody", "office"
    else:
        kind, by = "repair", "manager" if managed and _is_late(tx, repair) else "crew"
    what: Any = Say(
        "my.repair", mark="🚨 " if repair.urgent else "", where=where(tx, repair), what=what_of(repair)
    )
    if kind == "price":
        what = Say("wait.price", what=what, amount=amount(repair))
    return Wait(
        kind,
        what,
        repair.reported_at,
        # A page that nobody has answered is late at once.
        repair.reported_at if repair.urgent and repair.crew_id is None else repair.due_at,
        by,
        repair.number,
        repair.homes,
        Button(f"repair.show:{repair.id}", number=repair.number),
    )


# --- notices ----------------------------------------------------------------------------------------


def notices(tx: Tx, community_id: int) -> list[Wait]:
    """Notices on which a colleague has to decide: whose author works here no more, or whose time was missed."""
    working = select(Role.person_id).where(Role.community_id == community_id, Role.role == "staff")
    rows = (
        select(Announcement, Edition)
        .join(Edition, col(Edition.announcement_id) == col(Announcement.id))
        .where(
            Announcement.community_id == community_id,
            or_(
                Announcement.state == "asks",  # its time has come, and a colleague has to decide
                and_(Announcement.state == "scheduled", col(Announcement.person_id).not_in(working)),
            ),
            col(Edition.version) == col(Announcement.version),
        )
    )
    return [
        Wait(
            "notice",
            cut_short(edition.title, BRIEF),
            announcement.created_at,
            announcement.send_at,
            number=announcement.number,
            button=Button(
                f"announcement.card:{announcement.id}", "announcement.open", number=announcement.number
            ),
        )
        for announcement, edition in tx.session.exec(rows)
    ]


def disclosed(tx: Tx, community_id: int) -> list[Wait]:
    """What the law wants disclosed soon, or should have been."""
    return [
        Wait(
            "disclosure",
            name_of(each),
            each.last.sent_at
            if each.last is not None and each.last.sent_at is not None
            else each.due - BEFORE,
            each.due,
            button=write_button(each),
        )
        for each in standing(tx, community_id)
        if each.due is not None and each.due - BEFORE <= tx.now
    ]


for each in (
    purchases,
    openings,
    objections,
    papers,
    rulings,
    complaints,
    letters,
    requests,
    repairs,
    notices,
    disclosed,
):
    know_queue(each)
