"""The community's calendar: working days, and the deadlines that follow from them."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from handlers.policy import policy_of
from handlers.tx import Tx
from store.tables import CalendarDay


def working_deadline(tx: Tx, community_id: int, days: int) -> datetime:
    """The end of the working day that lies `days` working days after today.

    Monday to Friday, unless the community's calendar says otherwise for a day.
    """
    zone = ZoneInfo(tx.community(community_id).time_zone)
    today = tx.now.astimezone(zone).date()
    calendar = tx.session.exec(
        select(CalendarDay).where(CalendarDay.community_id == community_id, col(CalendarDay.day) > today)
    )
    special = {row.day: row.working for row in calendar}
    day = today
    for _ in range(max(days, 1)):
        day = _next_working_day(day, special)
    end = time.fromisoformat(policy_of(tx, community_id).day_ends)
    return datetime.combine(day, end, zone)


def _next_working_day(day: date, special: dict[date, bool]) -> date:
    for _ in range(60):  # a calendar without any working day must not hang us
        day += timedelta(days=1)
        if special.get(day, day.isoweekday() <= 5):
            return day
    return day
