"""Deadlines: working days and hours, holidays, the warning before, what follows after, the overdue list, and urging."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlmodel import Session, col, select

from handlers import holidays
from handlers.assigning import stop_deadline
from handlers.calendar import Calendar
from handlers.holidays import Day, begin_calendar, forget_day, official_days, read_days, set_days, spans_of
from handlers.policy import Policy, deadlines_in
from handlers.repair_cards import refresh
from handlers.roster import BadRoster
from handlers.tx import Tx
from store.tables import CalendarDay, Event, Follower, Outgoing, Person, Repair, Role, Timer
from tests.handlers.test_repair import finish, report
from tests.people import Building, Phone

SHANGHAI, NEW_YORK, LONDON = (
    ZoneInfo(name) for name in ("Asia/Shanghai", "America/New_York", "Europe/London")
)
RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=300)
NEW_YEAR = {day: each.working for day, each in official_days(2026).items() if day < date(2026, 3, 1)}
"""元旦 1–3 January with work on Sunday the 4th; 春节 15–23 February with work on the Saturdays 14th and 28th."""


def calendar(
    zone: ZoneInfo = SHANGHAI, starts: str = "08:30", ends: str = "18:00", **special: bool
) -> Calendar:
    """A calendar; `special` as m0101=False."""
    days = {date(2026, int(name[1:3]), int(name[3:])): working for name, working in special.items()}
    return Calendar(zone, time.fromisoformat(starts), time.fromisoformat(ends), days)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """ "03-06 17:00" of 2026 in the zone."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone)


# --- working days and hours -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "days", "ends"),
    [
        ("03-02 09:00", 2, "03-04 18:00"),
        ("03-02 23:30", 1, "03-03 18:00"),
        ("03-06 09:00", 1, "03-09 18:00"),  # over a week end
        ("03-07 09:00", 1, "03-09 18:00"),  # begun on a Saturday
        ("02-13 12:00", 1, "02-14 18:00"),  # a Saturday on which people work
        ("02-14 12:00", 1, "02-24 18:00"),  # over 春节
        ("02-27 12:00", 2, "03-02 18:00"),  # the make-up Saturday counts
    ],
)
def test_days_are_working_days(now: str, days: int, ends: str) -> None:
    made = Calendar(SHANGHAI, time(8, 30), time(18), NEW_YEAR)
    assert made.in_days(at(now), days) == at(ends)


@pytest.mark.parametrize(
    ("now", "hours", "ends"),
    [
        ("03-02 09:00", 4, "03-02 13:00"),
        ("03-02 08:30", 9.5, "03-02 18:00"),  # a whole day ends with it, not on the next morning
        ("03-02 16:00", 4, "03-03 10:30"),
        ("03-02 22:00", 4, "03-03 12:30"),  # at night nobody has begun
        ("03-02 03:00", 4, "03-02 12:30"),
        ("03-06 17:00", 4, "03-09 11:30"),  # over a week end
        ("03-07 12:00", 4, "03-09 12:30"),
        ("03-02 09:00", 40, "03-06 11:00"),
        ("02-14 17:00", 2, "02-24 09:30"),  # over 春节
        ("02-28 09:00", 2, "02-28 11:00"),  # on a make-up Saturday
    ],
)
def test_hours_are_working_hours(now: str, hours: float, ends: str) -> None:
    made = Calendar(SHANGHAI, time(8, 30), time(18), NEW_YEAR)
    assert made.in_hours(at(now), hours) == at(ends)
    if time(8, 30) <= at(now).time() < time(18) and made.works(at(now).date()):
        assert made.hours_before(at(ends), hours) == at(now)


@pytest.mark.parametrize(
    ("end", "hours", "begins"),
    [
        ("03-04 18:00", 4, "03-04 14:00"),
        ("03-04 09:30", 4, "03-03 15:00"),
        ("03-09 09:30", 4, "03-06 15:00"),  # over a week end
        ("03-04 23:00", 4, "03-04 14:00"),  # due at night: what counts is the day before it
        ("03-08 12:00", 4, "03-06 14:00"),
        ("02-24 09:30", 2, "02-14 17:00"),
    ],
)
def test_hours_before_an_instant_are_working_hours(end: str, hours: float, begins: str) -> None:
    made = Calendar(SHANGHAI, time(8, 30), time(18), NEW_YEAR)
    assert made.hours_before(at(end), hours) == at(begins)


@pytest.mark.parametrize(
    ("zone", "now", "hours", "ends"),
    [
        (NEW_YORK, "03-06 17:00", 2, "03-09 09:30"),  # the clocks went on in the night to Sunday
        (NEW_YORK, "10-30 17:00", 2, "11-02 09:30"),  # and back again
        (LONDON, "03-27 17:30", 1, "03-30 09:00"),
        (LONDON, "10-23 17:30", 1, "10-26 09:00"),
    ],
)
def test_a_change_of_the_clocks_moves_no_deadline(zone: ZoneInfo, now: str, hours: float, ends: str) -> None:
    made = calendar(zone)
    assert made.in_hours(at(now, zone), hours) == at(ends, zone)
    assert made.hours_before(at(ends, zone), hours) == at(now, zone)


def test_a_night_with_a_change_of_the_clocks_is_as_long_as_it_is() -> None:
    """Who works on the Sunday of the change has an hour less: hours are hours, not the clock's numbers."""
    night = calendar(NEW_YORK, "00:00", "12:00", m0308=True)
    assert night.in_hours(at("03-08 00:00", NEW_YORK), 4) == at("03-08 05:00", NEW_YORK)


def test_the_day_is_that_of_the_community() -> None:
    """17:00 UTC on a Friday is Saturday in Shanghai."""
    friday = datetime.fromisoformat("2026-03-06T17:00:00+00:00")
    assert calendar().in_hours(friday, 1) == at("03-09 09:30")
    assert calendar(NEW_YORK).in_hours(friday, 1) == at("03-06 13:00", NEW_YORK)


def test_a_calendar_without_a_working_day_comes_to_an_end() -> None:
    never = Calendar(
        SHANGHAI, time(8, 30), time(18), {date(2026, 1, 1) + timedelta(n): False for n in range(900)}
    )
    assert never.in_days(at("03-02 09:00"), 2) > at("03-02 09:00")
    assert never.in_hours(at("03-02 09:00"), 20) > at("03-02 09:00")
    assert never.hours_before(at("12-02 09:00"), 20) < at("12-02 09:00")


@RANDOM
@given(
    st.integers(0, 365 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 200),
    st.sampled_from([SHANGHAI, NEW_YORK, LONDON]),
    st.sets(st.dates(date(2026, 1, 1), date(2027, 3, 1)), max_size=40),
)
def test_hours_before_a_deadline_are_those_until_it(
    since: timedelta, hours: int, zone: ZoneInfo, off: set[date]
) -> None:
    made = Calendar(zone, time(8, 30), time(18), dict.fromkeys(off, False))
    begin = at("01-01", zone) + since
    end = made.in_hours(begin, hours)
    back = made.hours_before(end, hours)
    assert begin.timestamp() <= end.timestamp() - hours * 3600
    assert made.works(end.astimezone(zone).date())
    assert made.in_hours(back, hours).timestamp() == pytest.approx(end.timestamp())
    opens = datetime.combine(begin.date(), time(8, 30), zone)
    closes = datetime.combine(begin.date(), time(18), zone)
    if made.works(begin.date()) and opens <= begin < closes:
        assert back.timestamp() == pytest.approx(begin.timestamp())


# --- what a community may set -----------------------------------------------------------------------


def test_kinds_have_deadlines_of_their_own() -> None:
    found = deadlines_in("lift 4h, water 8h,lamp 3d, paint 5d")
    assert found == {"lift": (4, "h"), "water": (8, "h"), "lamp": (3, "d"), "paint": (5, "d")}
    assert deadlines_in("") == {}
    assert deadlines_in(Policy().kind_deadlines)["lift"] == (8, "h")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("lift", "not like"),
        ("lift 4", "not like"),
        ("lift 4w", "not like"),
        ("lift -4h", "not like"),
        ("lift ４h", "not like"),
        ("elevator 4h", "no kind of repair"),
        ("lift 0h", "not between"),
        ("paint 61d", "not between"),
        ("lift 999h", "not between"),
        ("lift 4h, lift 2d", "twice"),
    ],
)
def test_a_deadline_that_means_nothing_is_refused(bad: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Policy(kind_deadlines=bad)


def test_a_day_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="not before"):
        Policy(day_starts="18:00", day_ends="08:30")


# --- holidays as data -------------------------------------------------------------------------------


@pytest.fixture
def tx(building: Building) -> Iterator[Tx]:
    with Session(building.app.database.engine) as session:
        yield Tx(session, building.clock.now(), building.app.house)


def test_the_official_days_of_a_year() -> None:
    days = official_days(2026)
    assert days[date(2026, 2, 17)] == Day(False, "春节")
    assert days[date(2026, 2, 28)] == Day(True, "春节")
    assert days[date(2026, 10, 1)].working is False
    assert official_days(2999) == {}


def table(text: str, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_a_file_of_days(encoding: str) -> None:
    text = "2027年安排,,\n日期,休/班,名称\n2027-01-01,休,元旦\n2027/1/2,放假,元旦\n2027年1月9日,班,元旦\n,,\n"
    assert read_days(table(text, encoding)) == {
        date(2027, 1, 1): Day(False, "元旦"),
        date(2027, 1, 2): Day(False, "元旦"),
        date(2027, 1, 9): Day(True, "元旦"),
    }
    assert read_days(b"Date;Off/Work\n2027-01-01;OFF\n") == {date(2027, 1, 1): Day(False)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "calendar.no_columns"),
        ("日期,休/班\n", "calendar.no_days"),
        ("日期,休/班\n2027-02-30,休\n", "calendar.no_day"),
        ("日期,休/班\n1/2/2027,休\n", "calendar.no_day"),
        ("日期,休/班\n2027-01-01,也许\n", "calendar.no_how"),
        ("日期,休/班\n2027-01-01,休\n2027-1-1,班\n", "calendar.both"),
        (f"日期,休/班,名称\n2027-01-01,休,{'长' * 41}\n", "roster.problem.unreadable"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, problem: str) -> None:
    with pytest.raises(BadRoster) as refused:
        read_days(table(text))
    (found,) = refused.value.problems
    assert problem in (found.key, getattr(found.facts.get("what"), "key", ""))


def test_a_community_in_china_begins_with_the_official_days(building: Building, tx: Tx) -> None:
    assert begin_calendar(tx, building.community) == [2026]
    (first, *_) = spans_of(tx, building.community.id, date(2026, 2, 1))
    assert (first.first, first.last, first.day) == (date(2026, 2, 14), date(2026, 2, 14), Day(True, "春节"))
    assert set_days(tx, building.community.id, official_days(2026)) == 0
    assert set_days(tx, building.community.id, {date(2026, 12, 31): Day(False, "公司年假")}) == 1
    assert forget_day(tx, building.community.id, date(2026, 12, 31))
    assert not forget_day(tx, building.community.id, date(2026, 12, 31))


def test_elsewhere_nothing_is_known(building: Building, tx: Tx) -> None:
    building.community.time_zone = "Europe/London"
    assert begin_calendar(tx, building.community) == []
    assert tx.session.exec(select(CalendarDay)).all() == []
    assert 2026 in holidays.known_years()


# --- deadlines of repairs ---------------------------------------------------------------------------


async def set_calendar(building: Building, *off: date) -> None:
    days = {day: Day(False, "假") for day in off}
    building.app.database.write_now(
        lambda session: set_days(
            Tx(session, building.clock.now(), building.app.house), building.community.id, days
        )
    )


async def test_a_deadline_is_that_of_its_kind(building: Building, owner: Phone, plumber: Phone) -> None:
    building.set_policy("kind_deadlines", "tap 4h, lamp 3d")
    await report(owner, "厨房水龙头滴水")
    plumber.sees("3月2日周一 13:00 前", "接单")
    await report(owner, "客厅灯不亮")
    owner.sees("报修 2 已登记")
    (_, lamp) = building.read(select(Repair).order_by(col(Repair.id)))
    assert lamp.due_at == at("03-05 18:00")


async def test_a_deadline_knows_the_holidays(building: Building, owner: Phone, plumber: Phone) -> None:
    await set_calendar(building, date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5))
    await report(owner, "厨房水龙头滴水")
    plumber.sees("3月9日周一 18:00 前", "接单")


async def test_the_crew_is_warned_once_before(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(days=2, hours=4, minutes=59)
    plumber.sees("报修 1", "接单")
    plumber.sees_nothing()
    await building.later(minutes=1)
    plumber.sees("⏳ 快到期了：报修 1 · 3 号楼 2 单元 1201\n水龙头：厨房水龙头滴水\n", "接单", "去不了")
    await building.later(hours=3, minutes=59)
    plumber.sees_nothing()
    await plumber.taps("接单")
    owner.sees("王师傅已接单")
    await building.later(minutes=2)
    plumber.sees("⏰ 报修 1 已过期")
    assert "快到期" not in str([message.text for message in office.chat.messages])


async def test_the_admin_group_is_warned_where_nobody_has_it(
    building: Building, owner: Phone, office: Phone
) -> None:
    def nobody(session: Session) -> None:
        for role in session.exec(select(Role).where(Role.role == "crew")).all():
            session.delete(role)

    building.app.database.write_now(nobody)
    await report(owner, "厨房水龙头滴水")
    await building.later(days=2, hours=5)
    office.sees("⏳ 快到期了，还没有师傅：报修 1")


async def test_nobody_is_warned_of_what_is_due_soon_from_the_start(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    building.set_policy("kind_deadlines", "tap 4h")
    await report(owner, "厨房水龙头滴水")
    assert timers(building, "repair.warn") == []
    building.set_policy("kind_deadlines", "tap 5h")
    await report(owner, "卫生间水龙头滴水")
    assert timers(building, "repair.warn") == ["repair.warn:2"]
    building.set_policy("warn_hours", 0)
    await report(owner, "阳台水龙头滴水")
    assert timers(building, "repair.warn") == ["repair.warn:2"]


def timers(building: Building, name: str) -> list[str]:
    """The actions of this name that are due, now or later."""
    waiting = select(Timer.action).where(Timer.state == "waiting", col(Timer.action).startswith(name))
    return sorted(building.read(waiting))


async def test_what_is_done_has_no_deadline_any_more(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    assert timers(building, "repair.warn") + timers(building, "repair.overdue")
    await finish(plumber)
    assert timers(building, "repair.warn") + timers(building, "repair.overdue") == []
    await owner.taps("还没修好")
    await owner.says("还在滴")
    assert len(timers(building, "repair.warn") + timers(building, "repair.overdue")) == 2
    await owner.taps("撤回")
    assert timers(building, "repair.warn") + timers(building, "repair.overdue") == []


async def test_a_warning_that_is_late_is_none(building: Building, owner: Phone, plumber: Phone) -> None:
    """The bot was down until after the deadline: then it is overdue, and nobody is warned of it."""
    await report(owner, "厨房水龙头滴水")
    await building.later(days=3)
    plumber.sees("⏰ 报修 1 已过期")
    assert "快到期" not in str([message.text for message in plumber.chat.messages])


async def test_a_deadline_survives_a_restart(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.restart()
    await building.later(days=2, hours=5)
    plumber.sees("⏳ 快到期了")
    await building.restart()
    await building.later(hours=4)
    plumber.sees("⏰ 报修 1 已过期")
    assert sum("快到期" in message.text for message in plumber.chat.messages) <= 1


async def test_managers_hear_of_it_from_the_second_day_on(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, office: Phone
) -> None:
    def name_one(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "周先生")).one()
        session.add(Role(community_id=person.community_id, person_id=person.id, role="manager"))

    building.app.database.write_now(name_one)
    await report(owner, "厨房水龙头滴水")
    neighbour.sees("报修 1")
    await building.later(days=2, hours=9)
    for _ in range(2):
        plumber.sees("⏰ 报修 1 已过期")
        office.sees("⏰ 报修 1 已过期")
        assert not any("逾期" in message.text for message in neighbour.chat.messages)
        await building.later(days=1)
    neighbour.sees("⏰ 报修 1 已逾期 2 天（")
    await building.later(days=1)
    neighbour.sees("⏰ 报修 1 已逾期 3 天（")
    plumber.sees("⏰ 报修 1 已过期")
    assert [m.text[:6] for m in owner.chat.messages].count("抱歉，报修 ") == 1
    await finish(plumber)
    told = len(neighbour.chat.messages)
    await building.later(days=1)
    assert not any("逾期" in message.text for message in neighbour.chat.messages[told:])


# --- the overdue list -------------------------------------------------------------------------------

LIST = "逾期的报修"


def lists(board: Phone) -> list[str]:
    """The overdue lists that stand on the board."""
    return [m.text for m in board.chat.messages if m.text.startswith((LIST, "没有逾期"))]


async def test_the_board_has_one_list_of_what_is_overdue(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, crew: Phone, board: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await report(neighbour, "卫生间水龙头滴水")
    await finish(crew)
    await neighbour.taps("还没修好")
    await neighbour.says("还在滴")
    assert lists(board) == []
    await building.later(days=2, hours=9)
    (shown,) = lists(board)
    line = "⏰ {} · 3 号楼 · 水龙头 · 3月4日周三 18:00 起逾期"
    assert shown.splitlines()[1:] == [line.format(1), line.format(2)]
    assert "1201" not in shown and "陈女士" not in shown
    await finish(plumber)
    (shown,) = lists(board)
    assert shown.splitlines()[1:] == [line.format(2)]
    await neighbour.taps("撤回")
    assert lists(board) == ["没有逾期的报修，物业也没有逾期的事。"]
    sent = select(Outgoing).where(Outgoing.card == "board:overdue", Outgoing.change == "send")
    assert len(building.read(sent)) == 1


async def test_what_waits_for_parts_is_not_on_the_list(
    building: Building, owner: Phone, board: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await building.later(days=2, hours=9)
    assert lists(board)[0].startswith(LIST)

    def pause(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        repair = session.exec(select(Repair)).one()
        stop_deadline(tx, repair)
        repair.paused_at = tx.now
        refresh(tx, repair)

    building.app.database.write_now(pause)
    await building.settle()
    assert lists(board) == ["没有逾期的报修，物业也没有逾期的事。"]


async def test_a_long_list_says_how_many_more(building: Building, owner: Phone) -> None:
    def many(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "陈女士")).one()
        for number in range(1, 24):
            session.add(
                Repair(
                    community_id=person.community_id,
                    number=number,
                    person_id=person.id,
                    place="hall",
                    building="3",
                    kind="lamp",
                    what="楼道灯不亮",
                    reported_at=building.clock.now(),
                    due_at=building.clock.now() - timedelta(hours=number),
                )
            )

    building.app.database.write_now(many)
    await owner.says("逾期")
    text = owner.sees(LIST).text
    assert text.splitlines()[1].startswith("⏰ 23 · 3 号楼 楼道 · 灯 · ")
    assert text.splitlines()[-1] == "另有 3 件"


async def test_everybody_of_the_community_can_ask_for_the_list(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, plumber: Phone
) -> None:
    await neighbour.says("/overdue")
    neighbour.sees("没有逾期的报修，物业也没有逾期的事。")
    await report(owner, "厨房水龙头滴水")
    await building.later(days=2, hours=9)
    await neighbour.says("逾期")
    assert "1201" not in neighbour.sees("⏰ 1 · 3 号楼 · 水龙头").text
    await office.says("/overdue")
    office.sees("⏰ 1 · 3 号楼 · 水龙头", "查看 1")
    await plumber.says("逾期报修")
    plumber.sees("⏰ 1 · 3 号楼 · 水龙头")


# --- 催单 -------------------------------------------------------------------------------------------


async def test_urging_shows_it_anew_once_in_a_while(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await owner.taps("催单")
    owner.sees(
        "已替您催单：报修 1 由王师傅负责，期限是 周三 18:00，现在已接单。今天 21:00 之后可以再催。", "撤回"
    )
    plumber.sees("🔔 业主催单：报修 1 · 3 号楼 2 单元 1201", "我出发了")
    office.sees("🔔 业主催单：报修 1")
    before = len(plumber.chat.messages)
    await building.later(hours=11)
    await owner.taps("催单")
    owner.sees("报修 1 在今天 09:00已经催过")
    assert len(plumber.chat.messages) == before
    await building.later(hours=1)
    await owner.taps("催单")
    owner.sees("已替您催单")
    assert len(plumber.chat.messages) == before + 1
    assert len(building.read(select(Event).where(Event.key == "event.urged"))) == 2
    await owner.says("我的")
    await owner.taps("查看 1")
    assert owner.last.text.count("业主催单") == 2


async def test_a_word_urges_the_only_one(building: Building, owner: Phone, plumber: Phone) -> None:
    await owner.says("催单")
    owner.sees("您没有正在处理的报修")
    await report(owner, "厨房水龙头滴水")
    await owner.says("催一下")
    owner.sees("已替您催单：报修 1")
    plumber.sees("🔔 业主催单：报修 1", "接单")


async def test_of_several_one_is_chosen(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await report(owner, "卫生间水龙头滴水")
    await owner.says("催一下")
    owner.sees(
        "您有几件报修正在处理，催哪一件？\n1 · 厨房水龙头滴水\n2 · 卫生间水龙头滴水", "催单 1", "催单 2"
    )
    await owner.taps("催单 2")
    crew.sees("🔔 业主催单：报修 2")
    await owner.says("催一下 1")
    plumber.sees("🔔 业主催单：报修 1")
    await owner.says("催一下 9")
    owner.sees("催哪一件")


async def test_where_nobody_has_it_the_office_is_urged(
    building: Building, owner: Phone, office: Phone
) -> None:
    def nobody(session: Session) -> None:
        for role in session.exec(select(Role).where(Role.role == "crew")).all():
            session.delete(role)

    building.app.database.write_now(nobody)
    await report(owner, "厨房水龙头滴水")
    await owner.taps("催单")
    owner.sees("已替您催单：报修 1 还没有师傅，已请物业安排")
    office.sees("🔔 业主催单：报修 1")


async def test_an_emergency_that_is_paged_needs_no_urging(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人")
    await owner.says("取消")
    assert not any("催单" in message.buttons for message in owner.chat.messages)
    await owner.says("催一下")
    owner.sees("报修 1 正在呼叫师傅，有人接单才停")
    await crew.taps("接单")
    owner.sees("李师傅已接单", "催单")
    await owner.taps("催单")
    crew.sees("🔔 业主催单：🚨 紧急报修 1")


async def test_what_is_over_cannot_be_urged(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await finish(plumber)
    await owner.forges("repair.urge:1")
    owner.sees("报修 1 现在是「已修，等业主确认」")
    await owner.says("催一下")
    owner.sees("您没有正在处理的报修")


async def test_who_follows_it_may_urge_too(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, phone: Callable[[str], Phone]
) -> None:
    def follow(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "周先生")).one()
        repair = session.exec(select(Repair)).one()
        session.add(
            Follower(
                community_id=person.community_id,
                repair_id=repair.id,
                person_id=person.id,
                at=building.clock.now(),
            )
        )

    await report(owner, "厨房水龙头滴水")
    building.app.database.write_now(follow)
    stranger = phone("王奶奶")
    await stranger.forges("repair.urge:1")
    stranger.sees("不归您办理")
    await neighbour.says("催单")
    neighbour.sees("已替您催单：报修 1")
    plumber.sees("🔔 业主催单：报修 1")
    await owner.taps("催单")
    owner.sees("已经催过")
