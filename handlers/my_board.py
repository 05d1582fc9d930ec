"""What stands in somebody's list (/my) of what is said in public: complaints, and notices that they have to read."""

from datetime import datetime

from sqlmodel import col, select

from conversations.words import Say
from handlers import announcement_cards, complaint_cards
from handlers.my import LATELY, Item, know_waits
from handlers.my_matters import MOST, Part, lately, show_button
from handlers.tell import Button
from handlers.tx import Tx
from store.tables import Announcement, Complaint, Joiner, Person


def complaints(tx: Tx, person: Person) -> list[Item]:
    """What somebody complained of or suggested, and what they say the same as."""
    own = select(Complaint).where(Complaint.person_id == person.id).order_by(col(Complaint.id).desc())
    theirs = (
        select(Complaint, Joiner)
        .join(Joiner, col(Joiner.complaint_id) == col(Complaint.id))
        .where(Joiner.person_id == person.id, Complaint.state == "open")
        .order_by(col(Complaint.id).desc())
    )
    return lately(
        tx,
        [
            *(_complaint(tx, each) for each in tx.session.exec(own.limit(MOST))),
            *(_joined(tx, each, row) for each, row in tx.session.exec(theirs.limit(MOST))),
        ],
    )


def _complaint(tx: Tx, complaint: Complaint) -> Item:
    part: Part
    until: datetime | None = None
    if complaint.state == "open":
        part, since, words = "open", complaint.created_at, _state(complaint)
        until = complaint.due_at
    elif complaint.state == "answered" and complaint.helped is None:
        part, since, words = "yours", complaint.answered_at or complaint.created_at, Say("my.answered")
        until = complaint.due_at
    else:
        part, words = "over", Say("my.complained")
        since = complaint.closed_at or complaint.answered_at or complaint.created_at
    title = complaint_cards.brief(tx, complaint) or Say(f"my.complaint.{complaint.kind}")
    button = show_button("complaint", complaint)
    return Item(part, complaint.kind, title, words, since, complaint.number, until, button)


def _joined(tx: Tx, complaint: Complaint, row: Joiner) -> Item:
    return Item(
        "open",
        f"joined_{complaint.kind}",
        complaint_cards.brief(tx, complaint),
        _state(complaint),
        row.at,
        complaint.number,
        complaint.due_at,
        show_button("complaint", complaint),
    )


def _state(complaint: Complaint) -> Say:
    """What is waited for; a deadline that has passed is said in the same place as one that has not."""
    return Say("my.unanswered" if complaint.overdue_at is not None else "my.asked")


def notices(tx: Tx, person: Person) -> list[Item]:
    """The notices of late of which somebody has to say that they have read them, however they hear of notices."""
    asking = select(Announcement).where(
        Announcement.community_id == person.community_id,
        Announcement.state == "sent",
        col(Announcement.receipt),
        col(Announcement.sent_at) > tx.now - LATELY,
    )
    return [
        Item(
            "yours",
            "notice",
            announcement_cards.brief(tx, each),
            Say("my.unread"),
            each.sent_at or each.created_at,
            each.number,
            button=Button(f"announcement.show:{each.id}", "announcement.open", number=each.number),
        )
        for each in tx.session.exec(asking.order_by(col(Announcement.id).desc()).limit(MOST)).all()
        if announcement_cards.is_reader(tx, person, each)
        and not announcement_cards.has_read_it(tx, person, each)
    ]


for each in (complaints, notices):
    know_waits(each)
