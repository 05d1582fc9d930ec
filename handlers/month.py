"""The numbers of one month: whole numbers and divisions, exact, as they are published and kept (Report.facts).

A share is a pair [part, whole], a time [median, 90th percentile, of how many] in seconds; None where there is none.
Nobody's name and no room stand in them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col, func, or_, select

from handlers.repair_cards import WORK
from handlers.times import Done, done_of, quantile
from handlers.tx import Tx
from store.tables import (
    Complaint,
    Event,
    Inbox,
    JoinRequest,
    Listing,
    Purchase,
    Repair,
    Ruling,
    Statement,
    Vote,
)

DECIDED = ("purchase.event.approved", "purchase.event.rejected", "purchase.event.declined")
Facts = dict[str, Any]


@dataclass(frozen=True, order=True)
class Month:
    """A month of the calendar, in a community's time."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def number(self) -> int:
        """As a number that grows: 202611."""
        return self.year * 100 + self.month

    def later(self, months: int) -> "Month":
        """So many months later, or before."""
        at = self.year * 12 + self.month - 1 + months
        return Month(at // 12, at % 12 + 1)

    def begins(self, zone: ZoneInfo) -> datetime:
        """Its first instant; the last one is before that of the next month."""
        return datetime(self.year, self.month, 1, tzinfo=zone)

    def ends(self, zone: ZoneInfo) -> datetime:
        """The first instant that is no longer in it."""
        return self.later(1).begins(zone)


def month_of(at: datetime, zone: ZoneInfo) -> Month:
    """In which month something was."""
    local = at.astimezone(zone)
    return Month(local.year, local.month)


@dataclass(frozen=True)
class Within:
    """From an instant, which belongs to it, to another, which does not."""

    begins: datetime
    ends: datetime

    def __contains__(self, at: datetime | None) -> bool:
        return at is not None and self.begins <= at < self.ends


# --- counted, pure ----------------------------------------------------------------------------------


def times_of(values: Iterable[int | None]) -> list[int] | None:
    """The median, the 90th percentile, and of how many; None for nothing."""
    known = [each for each in values if each is not None]
    return [quantile(known, 50), quantile(known, 90), len(known)] if known else None


def share(part: int, whole: int) -> list[int] | None:
    """A part of a whole; None of nothing."""
    return [part, whole] if whole else None


def repairs_in(rows: Sequence[Repair], span: Within) -> Facts:
    """Repairs: what was reported in a month is answered, what was done in it was done in time or not, and took so long.

    Not those that were withdrawn, are part of another one, or were announced by staff.
    """
    counted = [each for each in rows if each.state not in ("withdrawn", "merged") and not each.incident]
    kinds, buildings = ({getattr(each, name) for each in counted} for name in ("kind", "building"))
    stars = [each.stars for each in counted if each.stars is not None and each.done_at in span]
    return {
        **_group(counted, span),
        "urgent": _group([each for each in counted if each.urgent], span),
        "ordinary": _group([each for each in counted if not each.urgent], span),
        "stars": share(sum(stars), len(stars)),
        "kinds": {
            kind: _group([each for each in counted if each.kind == kind], span) for kind in sorted(kinds)
        },
        "buildings": {
            name: _group([each for each in counted if each.building == name], span)
            for name in sorted(buildings)
        },
    }


def _group(rows: Sequence[Repair], span: Within) -> Facts:
    reported = [done_of(each) for each in rows if each.reported_at in span]
    ended = [each for each in rows if each.done_at in span and each.state not in WORK]
    done: list[Done] = [done_of(each) for each in ended]
    clocked = [each for each in ended if each.due_at is not None and each.done_at is not None]
    return {
        "reported": len(reported),
        "done": len(ended),
        "response": times_of(each.response for each in reported),
        "repair": times_of(each.repair for each in done),
        "in_time": share(
            sum(bool(each.done_at and each.due_at and each.done_at <= each.due_at) for each in clocked),
            len(clocked),
        ),
    }


def complaints_in(rows: Sequence[Complaint], answers: Mapping[int, datetime], span: Within) -> Facts:
    """Complaints and suggestions made in a month; `answers` says when each was first answered."""
    new = [each for each in rows if each.created_at in span and each.state != "withdrawn"]
    answered = [each for each in new if each.id in answers]
    # One that is still in its time counts neither way.
    judged = [each for each in new if each.id in answers or each.overdue_at is not None]
    took = [int((answers[each.id] - each.created_at).total_seconds()) for each in answered]
    said = [each.helped for each in answered if each.helped is not None]
    return {
        "new": len(new),
        "complaints": sum(each.kind == "complaint" for each in new),
        "answered": len(answered),
        "in_time": share(sum(each.overdue_at is None for each in judged), len(judged)),
        "took": times_of(took),
        "helped": share(sum(said), len(said)),
        "topics": dict(sorted(Counter(each.topic or "other" for each in new).items())),
    }


def votes_in(rows: Sequence[Vote], span: Within) -> list[Facts]:
    """Each vote that was closed in a month, with who took part: by people (or homes, where these count) and by area."""
    return [
        {
            "number": each.number,
            "kind": each.kind,
            "people": share(*(_heads(each.result[name]) for name in ("cast", "total"))),
            "area": [each.result[name]["area"] for name in ("cast", "total")],
        }
        for each in rows
        if each.closed_at in span and each.result
    ]


def _heads(amount: Mapping[str, Any]) -> int:
    return int(amount["people"] if "people" in amount else amount["heads"])


def conduct_in(rows: Sequence[Ruling], span: Within) -> Facts:
    """What was not simply fine, what became of it, and how fast staff decided."""
    found = [each for each in rows if each.at in span]
    decided = [each for each in rows if each.decided_at in span and each.state in ("restored", "upheld")]
    took = [
        int((each.decided_at - (each.appealed_at or each.at)).total_seconds())
        for each in decided
        if each.decided_at is not None
    ]
    return {
        "judged": len(found),
        "held": sum(each.verdict == "hold" for each in found),
        "deleted": sum(each.verdict == "violation" for each in found),
        "appealed": sum(each.appealed_at in span for each in rows),
        "restored": sum(each.state == "restored" for each in decided),
        "upheld": sum(each.state == "upheld" for each in decided),
        "took": times_of(took),
    }


def is_empty(facts: Facts) -> bool:
    """Whether nothing at all happened in a month that people would look for."""
    return not any(
        (
            facts["repairs"]["reported"],
            facts["repairs"]["done"],
            facts["complaints"]["new"],
            facts["requests"]["new"],
            facts["requests"]["decided"],
            facts["votes"],
            facts["conduct"]["judged"],
            facts["conduct"]["appealed"],
            facts["conduct"]["restored"],
            facts["listings"]["new"],
            facts["listings"]["sold"],
        )
    )


# --- read -------------------------------------------------------------------------------------------


def read(tx: Tx, community_id: int, month: Month) -> Facts:
    """The numbers of a month, as far as it has come."""
    zone = ZoneInfo(tx.community(community_id).time_zone)
    span = Within(month.begins(zone), month.ends(zone))
    return {
        "repairs": repairs_in(_rows(tx, Repair, community_id, span, "reported_at", "done_at"), span),
        "complaints": _complaints(tx, community_id, span),
        "requests": _requests(tx, community_id, span),
        "votes": votes_in(_rows(tx, Vote, community_id, span, "closed_at"), span),
        "conduct": conduct_in(_rows(tx, Ruling, community_id, span, "at", "appealed_at", "decided_at"), span),
        "listings": _listings(tx, community_id, span),
        "joins": _joins(tx, community_id, span),
        "messages": _count(tx, Inbox, community_id, span, "received_at"),
    }


def _in(column: Any, span: Within) -> Any:
    return (col(column) >= span.begins) & (col(column) < span.ends)


def _rows(tx: Tx, table: Any, community_id: int, span: Within, *names: str) -> Sequence[Any]:
    """The rows of which one of these instants lies in the span."""
    within = or_(*(_in(getattr(table, name), span) for name in names))
    found = select(table).where(table.community_id == community_id, within).order_by(table.id)
    return tx.session.exec(found).all()


def _count(tx: Tx, table: Any, community_id: int, span: Within, name: str, *more: Any) -> int:
    rows = select(func.count()).select_from(table).where(table.community_id == community_id, *more)
    return tx.session.exec(rows.where(_in(getattr(table, name), span))).one()


def _complaints(tx: Tx, community_id: int, span: Within) -> Facts:
    rows = _rows(tx, Complaint, community_id, span, "created_at")
    first = select(Statement.complaint_id, func.min(Statement.at)).where(
        Statement.side == "office", col(Statement.complaint_id).in_([each.id for each in rows])
    )
    answers = dict(tx.session.exec(first.group_by(col(Statement.complaint_id))).all())
    return complaints_in(rows, answers, span)


def _requests(tx: Tx, community_id: int, span: Within) -> Facts:
    ids = tx.session.exec(select(Purchase.id).where(Purchase.community_id == community_id)).all()
    decided = select(func.count()).where(
        col(Event.about).in_([f"purchase:{each}" for each in ids]),
        col(Event.key).in_(DECIDED),
        _in(Event.at, span),
    )
    return {
        "new": _count(tx, Purchase, community_id, span, "created_at"),
        "decided": tx.session.exec(decided).one(),
    }


def _listings(tx: Tx, community_id: int, span: Within) -> Facts:
    return {
        "new": _count(tx, Listing, community_id, span, "published_at"),
        "sold": _count(tx, Listing, community_id, span, "closed_at", col(Listing.state) == "closed"),
    }


def _joins(tx: Tx, community_id: int, span: Within) -> Facts:
    return {
        "new": _count(tx, JoinRequest, community_id, span, "created_at"),
        "approved": _count(
            tx, JoinRequest, community_id, span, "decided_at", col(JoinRequest.state) == "approved"
        ),
    }
