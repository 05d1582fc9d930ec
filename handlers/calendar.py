"""The community's calendar: working days and hours, and the deadlines that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from handlers.policy import policy_of
from handlers.tx import Tx
from store.tables import CalendarDay

DAY = timedelta(days=1)
LONGEST_REST = 60
"""Days in a row without work, at most: a calendar without any working day must not hang us."""


@dataclass(frozen=True)
class Calendar:
    """When people work: each working day from `starts` to `ends`, by the clocks of the zone.

    Monday to Friday are working days; `special` are the days that depart from it.
    """

    zone: ZoneInfo
    starts: time
    ends: time
    special: Mapping[date, bool] = field(default_factory=dict)

    def works(self, day: date) -> bool:
        """Whether it is a working day."""
        return self.special.get(day, day.isoweekday() <= 5)

    def in_days(self, now: datetime, days: int) -> datetime:
        """The end of the working day that lies `days` working days after today."""
        day = now.astimezone(self.zone).date()
        for _ in range(max(days, 1)):
            day = self._next(day, DAY)
        return datetime.combine(day, self.ends, self.zone)

    def in_hours(self, now: datetime, hours: float) -> datetime:
        """The instant at which so many working hours have passed since `now`."""
        left, day, now = timedelta(hours=hours), self._nearest(now, DAY), now.astimezone(UTC)
        while True:
            opens, closes = self._hours_of(day)
            begins = max(now, opens)
            if begins + left <= closes:
                return (begins + left).astimezone(self.zone)
            left -= max(closes - begins, timedelta())
            day = self._next(day, DAY)

    def hours_before(self, end: datetime, hours: float) -> datetime:
        """The instant after which so many working hours are left until `end`."""
        left, day, end = timedelta(hours=hours), self._nearest(end, -DAY), end.astimezone(UTC)
        while True:
            opens, closes = self._hours_of(day)
            until = min(end, closes)
            if until - left >= opens:
                return (until - left).astimezone(self.zone)
            left -= max(until - opens, timedelta())
            day = self._next(day, -DAY)

    def _hours_of(self, day: date) -> tuple[datetime, datetime]:
        """When a day's work begins and ends, in UTC: within one zone Python counts the clocks' hours."""
        begins, ends = (datetime.combine(day, at, self.zone) for at in (self.starts, self.ends))
        return begins.astimezone(UTC), ends.astimezone(UTC)

    def _nearest(self, at: datetime, step: timedelta) -> date:
        """The day of an instant, if people work then; else the next one in that direction."""
        day = at.astimezone(self.zone).date()
        return day if self.works(day) else self._next(day, step)

    def _next(self, day: date, step: timedelta) -> date:
        for _ in range(LONGEST_REST):
            day += step
            if self.works(day):
                return day
        return day


def working_deadline(tx: Tx, community_id: int, days: int) -> datetime:
    """The end of the working day that lies `days` working days after today."""
    return _calendar(tx, community_id).in_days(tx.now, days)


def working_hours(tx: Tx, community_id: int, hours: float) -> datetime:
    """The instant at which so many working hours have passed."""
    return _calendar(tx, community_id).in_hours(tx.now, hours)


def working_hours_before(tx: Tx, community_id: int, hours: float, end: datetime) -> datetime:
    """The instant after which so many working hours are left until `end`, which lies in the future."""
    return _calendar(tx, community_id).hours_before(end, hours)


def working_morning(tx: Tx, community_id: int, *, weekday: int = 0) -> datetime:
    """The next instant at which a working day begins; with a weekday (1: Monday) the first of that week or later."""
    calendar = _calendar(tx, community_id)
    day = tx.now.astimezone(calendar.zone).date()
    if weekday:
        day += DAY * ((weekday - day.isoweekday()) % 7)
        day = day if _begins(calendar, day) > tx.now else day + DAY * 7
    for _ in range(LONGEST_REST):
        if calendar.works(day) and _begins(calendar, day) > tx.now:
            break
        day += DAY
    return _begins(calendar, day)


def _begins(calendar: Calendar, day: date) -> datetime:
    return datetime.combine(day, calendar.starts, calendar.zone)


def _calendar(tx: Tx, community_id: int) -> Calendar:
    return tx.once("calendar", community_id, lambda: _read(tx, community_id))


def _read(tx: Tx, community_id: int) -> Calendar:
    zone, policy = ZoneInfo(tx.community(community_id).time_zone), policy_of(tx, community_id)
    days = select(CalendarDay).where(
        CalendarDay.community_id == community_id, col(CalendarDay.day) >= tx.now.astimezone(zone).date()
    )
    special = {row.day: row.working for row in tx.session.exec(days)}
    starts, ends = (time.fromisoformat(each) for each in (policy.day_starts, policy.day_ends))
    return Calendar(zone, starts, ends, special)
