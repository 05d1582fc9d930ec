"""/figures: the month so far, and each month published once, with its picture for all and its file for staff."""

import zipfile
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

from PIL import Image
from sqlmodel import Session, select

from handlers.month_sheet import MIME
from handlers.public import state_in
from store.tables import Community, Entry, Media, Notice, Outgoing, Report, Timer
from tests.handlers.test_repair import finish, report
from tests.people import Building, Phone

TAP = "厨房水龙头滴水"


def reports(building: Building) -> list[Report]:
    return building.read(select(Report).order_by(Report.month))  # type: ignore[arg-type]


def files_of(building: Building, row: Outgoing) -> list[Media]:
    return [building.read(select(Media).where(Media.id == each))[0] for each in row.photos]


async def test_a_month_is_published_on_the_first_at_a_waking_hour(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone, office: Phone, board: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    await building.later(days=29, hours=23)  # 1 April, 08:00
    assert reports(building) == []
    await building.later(minutes=30)
    for reader in (board, neighbour):
        shown = reader.sees(
            "📊 阳光花园 · 2026 年 3 月运行数据\n报修 1 件（比上月 +1），修好 1 件，按时修好 100 %"
        )
        assert "处理消息" not in shown.text
        assert (shown.photos, shown.silent or not building.changes) == (1, True)
    office.sees("附表格", "数据")
    (made,) = reports(building)
    assert (made.month, made.facts["repairs"]["reported"]) == ("2026-03", 1)
    written = select(Outgoing).where(Outgoing.text.contains("附表格"))  # type: ignore[attr-defined]
    picture, sheet = files_of(building, building.read(written)[0])
    assert (picture.id, sheet.id) == (made.picture_id, made.sheet_id)
    assert (sheet.kind, sheet.mime, sheet.name) == ("file", MIME, "运行数据 2026-03.xlsx")
    assert (picture.kind, picture.person_id, sheet.person_id) == ("photo", None, None)
    with Image.open(BytesIO(building.app.media.read(picture.storage))) as image:
        assert image.format == "PNG"
    with zipfile.ZipFile(BytesIO(building.app.media.read_file(sheet.storage))) as file:
        words = file.read("xl/sharedStrings.xml").decode()
    assert "总览" not in words
    assert "1201" not in words
    assert "陈女士" not in words
    notices = building.read(select(Notice).where(Notice.about == f"report:{made.id}"))
    assert [(each.wish, each.silent, each.photos) for each in notices] == [
        ("report", True, [made.picture_id])
    ]
    (entry,) = building.read(select(Entry).where(Entry.kind == "report"))
    assert (entry.number, entry.title, entry.open) == (202603, "2026 年 3 月运行数据", False)
    assert state_in(entry).key == "figures.state"
    await building.later(days=3)
    assert len(reports(building)) == 1


async def test_a_month_is_published_once_also_when_we_were_down(
    building: Building, owner: Phone, board: Phone
) -> None:
    await report(owner, TAP)
    building.clock.at += timedelta(days=40)
    await building.restart()
    await building.restart()
    assert [each.month for each in reports(building)] == ["2026-03"]
    board.sees("2026 年 3 月运行数据")
    due = building.read(
        select(Timer.due_at).where(Timer.action == f"figures.publish:{building.community.id}")
    )
    assert [f"{each:%m-%d %H:%M}" for each in due] == ["05-01 00:30"]
    building.clock.at += timedelta(days=70)
    await building.settle()
    assert [each.month for each in reports(building)] == ["2026-03", "2026-05"]


async def test_a_month_with_nothing_says_so(building: Building, board: Phone, office: Phone) -> None:
    await building.later(days=30)
    board.sees("2026 年 3 月运行数据\n这个月没有报修、投诉、申请、投票和信息。")
    await office.says("数据")
    assert "投诉" not in office.sees("📊 2026 年 4 月，到 今天 09:00 为止").text


async def test_a_community_that_was_not_there_yet_publishes_nothing(building: Building, board: Phone) -> None:
    def work(session: Session) -> None:
        row = session.get_one(Community, building.community.id)
        row.created_at = building.clock.now() + timedelta(days=30)
        session.add(row)

    building.app.database.write_now(work)
    await building.later(days=30)
    assert reports(building) == []


async def test_staff_see_the_month_so_far_with_picture_file_and_times(
    building: Building, owner: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await office.says("/figures")
    shown = office.sees(
        "📊 2026 年 3 月，到 今天 09:00 为止\n报修 1 件（比上月 +1），修好 0 件，按时修好 —", "时效"
    )
    assert "处理消息" in shown.text
    await office.taps("本月的图")
    assert office.sees("📊 2026 年 3 月，到 今天 09:00 为止。").photos == 1
    await office.taps("本月的表格")
    office.sees("📊 2026 年 3 月，到 今天 09:00 为止。")
    assert [each.kind for each in building.read(select(Media).where(Media.about == "talk:figures"))] == [
        "photo",
        "file",
    ]
    await office.taps("时效")
    office.sees("近 90 天报修 1 件")
    await building.later(days=30)
    await office.says("/figures")
    await office.taps("看月报 202603")
    office.sees("📊 阳光花园 · 2026 年 3 月运行数据")


async def test_owners_see_what_is_public_and_the_last_month(
    building: Building, owner: Phone, neighbour: Phone, phone: Callable[[str], Phone]
) -> None:
    await report(owner, TAP)
    await neighbour.says("数据")
    shown = neighbour.sees("📊 2026 年 3 月，到 今天 09:00 为止\n报修 1 件")
    assert list(shown.buttons) == []
    assert "处理消息" not in shown.text
    await neighbour.forges("month.sheet")
    assert building.read(select(Media)) == []
    await building.later(days=30)
    await neighbour.says("月报")
    await neighbour.taps("看月报 202603")
    assert neighbour.sees("📊 阳光花园 · 2026 年 3 月运行数据\n报修 1 件").photos == 1
    english = phone("Mr Smith")
    await english.says("English")
    await english.says("figures")
    english.sees("📊 4/2026, as of today 09:00", "See the month 202603")
    await english.taps("See the month 202603")
    english.sees("📊 阳光花园 · figures of 3/2026\nRepairs: 1 reported (+1 on the month before)")


async def test_a_report_of_elsewhere_is_not_shown(building: Building, owner: Phone) -> None:
    def work(session: Session) -> Any:
        there = Community(name="月光花园", created_at=building.clock.now())
        session.add(there)
        session.flush()
        made = Report(community_id=there.id, month="2026-02", facts={}, at=building.clock.now())
        session.add(made)
        session.flush()
        return made.id

    number = building.app.database.write_now(work)
    await owner.forges(f"report.show:{number}")
    assert "2026 年 2 月" not in owner.last.text
