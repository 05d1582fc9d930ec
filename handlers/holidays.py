"""Holidays and make-up working days as data: China's official ones, those of a file, and single days."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from sqlmodel import col, select

from conversations.words import Say, normal
from handlers.roster_file import BadRoster, Row, Sheet, columns_in, sheets_of
from handlers.tx import Tx
from store.tables import CalendarDay, Community

CHINA = ("Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Harbin", "Asia/Kashgar", "PRC")
"""The time zones in which China's official holidays hold."""
COLUMNS = {
    "day": ("日期", "日子", "date", "day"),
    "how": ("休/班", "休班", "类型", "off/work", "type"),
    "name": ("名称", "节日", "说明", "name"),
}
HOW = {
    **dict.fromkeys(("休", "休息", "放假", "节假日", "off", "holiday"), False),
    **dict.fromkeys(("班", "上班", "补班", "调休上班", "工作日", "work", "working"), True),
}
WRITTEN = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 00:00:00)?", re.ASCII)
LONGEST_NAME = 40


@dataclass(frozen=True)
class Day:
    """Whether people work on a day, and what it is called."""

    working: bool
    name: str = ""


Days = Mapping[date, Day]


@dataclass(frozen=True)
class Span:
    """Days in a row that are of one kind and name."""

    first: date
    last: date
    day: Day


def official_days(year: int) -> Days:
    """China's holidays and make-up working days of a year; none if the library does not know them yet.

    The State Council publishes them in the November before, and the library follows with a new release.
    """
    from chinese_calendar.constants import Holiday, holidays, workdays

    names = {each.value: each.chinese for each in Holiday}
    off = {day: Day(False, names[name]) for day, name in holidays.items() if day.year == year}
    return off | {day: Day(True, names[name]) for day, name in workdays.items() if day.year == year}


def known_years() -> list[int]:
    """The years whose official days the library knows."""
    from chinese_calendar.constants import holidays

    return sorted({day.year for day in holidays})


def begin_calendar(tx: Tx, community: Community) -> list[int]:
    """Give a new community in China the official days from this year on, as far as they are known; of which years."""
    years = [year for year in known_years() if year >= tx.now.year] if community.time_zone in CHINA else []
    for year in years:
        set_days(tx, community.id, official_days(year))
    return years


def set_days(tx: Tx, community_id: int, days: Days) -> int:
    """Let a community's calendar say this of these days; of how many it said something else."""
    kept = select(CalendarDay).where(
        CalendarDay.community_id == community_id, col(CalendarDay.day).in_(list(days))
    )
    rows = {row.day: row for row in tx.session.exec(kept)}
    changed = 0
    for at, day in days.items():
        row = rows.get(at) or CalendarDay(community_id=community_id, day=at, working=day.working)
        changed += at not in rows or (row.working, row.name) != (day.working, day.name)
        row.working, row.name = day.working, day.name
        tx.session.add(row)
    return changed


def forget_day(tx: Tx, community_id: int, day: date) -> bool:
    """Let a day be what it is by its weekday; False if it was."""
    row = tx.session.get(CalendarDay, (community_id, day))
    if row is not None:
        tx.session.delete(row)
        tx.session.flush()
    return row is not None


def spans_of(tx: Tx, community_id: int, since: date) -> list[Span]:
    """What a community's calendar says of the days since one, in order; days in a row that are alike together."""
    rows = select(CalendarDay).where(CalendarDay.community_id == community_id, col(CalendarDay.day) >= since)
    spans: list[Span] = []
    for row in tx.session.exec(rows.order_by(col(CalendarDay.day))):
        day = Day(row.working, row.name)
        if spans and spans[-1].day == day and (row.day - spans[-1].last).days == 1:
            spans[-1] = Span(spans[-1].first, row.day, day)
        else:
            spans.append(Span(row.day, row.day, day))
    return spans


# --- a file -----------------------------------------------------------------------------------------


def read_days(data: bytes) -> Days:
    """The days of a CSV or a workbook with the columns 日期, 休/班 and 名称; BadRoster says what is wrong, by row."""
    for sheet in sheets_of(data):
        for at, row in enumerate(sheet[:10]):
            columns = columns_in(row.cells, COLUMNS)
            if {"day", "how"} <= set(columns):
                return _read(sheet[at + 1 :], columns)
    raise BadRoster([Say("calendar.no_columns")])


def _read(sheet: Sheet, columns: Mapping[str, int]) -> Days:
    days: dict[date, Day] = {}
    problems: list[Say] = []
    for row in sheet:
        cells = {name: row.cells[at] if at < len(row.cells) else "" for name, at in columns.items()}
        if not any(cells.values()):
            continue
        found = list(_problems(cells))
        if not found:
            at, day = _day_in(cells["day"]), Day(HOW[normal(cells["how"])], cells.get("name", "").strip())
            assert at is not None
            if days.setdefault(at, day).working != day.working:
                found = [Say("calendar.both", day=at.isoformat())]
        problems += [_at(row, problem) for problem in found]
    if not days and not problems:
        problems = [Say("calendar.no_days")]
    if problems:
        raise BadRoster(problems)
    return days


def _problems(cells: Mapping[str, str]) -> Iterator[Say]:
    if _day_in(cells["day"]) is None:
        yield Say("calendar.no_day", cell=cells["day"][:20])
    if normal(cells["how"]) not in HOW:
        yield Say("calendar.no_how", cell=cells["how"][:20])
    name = cells.get("name", "")
    if len(name) > LONGEST_NAME or not name.isprintable():
        yield Say("roster.problem.unreadable", cell=ascii(name[:20]), most=LONGEST_NAME)


def _at(row: Row, problem: Say) -> Say:
    return Say("roster.row", row=row.number, what=problem)


def _day_in(cell: str) -> date | None:
    match = WRITTEN.fullmatch(cell.strip())
    try:
        return date(*map(int, match.groups())) if match is not None else None
    except ValueError:
        return None
