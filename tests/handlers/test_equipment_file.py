"""The equipment register as a file in the admin group: what is wrong, what would change, and then done by a button."""

import io

import pytest
import xlsxwriter
from sqlmodel import col, select

from store.tables import Audit, Equipment, RosterFile
from tests.handlers.test_roster_chat import SOLD, file
from tests.people import Building, Phone

pytestmark = pytest.mark.by_hand
TABLE = """设备,楼栋,位置,数量,安装年份,备注
电动车充电桩,3号楼,东侧,4个,2021年,维保到 2027
电梯,1栋,,1,2008-05-01,
道闸,全小区,南门,,,
合计,,,5,,
"""


def rows(building: Building) -> list[tuple[object, ...]]:
    found = building.read(select(Equipment).order_by(col(Equipment.number)))
    return [(each.kind, each.building, each.spot, each.count, each.since, each.note) for each in found]


LINES: list[tuple[object, ...]] = [
    ("电动车充电桩", "3", "东侧", 4, 2021, "维保到 2027"),
    ("电梯", "1", "", 1, 2008, ""),
    ("道闸", "", "南门", 1, None, ""),
]


async def test_a_file_is_shown_and_then_imported(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    shown = office.sees("「设备.csv」可以导入设备登记：新增 3 条", "导入", "不导入")
    assert rows(building) == []
    await building.restart()
    await office.taps("导入")
    office.sees("设备登记「设备.csv」已导入：新增 3 条", "设备")
    assert (shown.buttons, rows(building)) == ({}, LINES)
    (row,) = building.read(select(RosterFile))
    assert row.storage == ""
    assert building.read(select(Audit.action)) == [f"equipment.apply:{row.id}"]
    await office.forges(f"equipment.apply:{row.id}")
    office.sees("这份设备表已经导入")
    await owner.says("设备")
    owner.sees("道闸 1 个 · 南门 · 近一年没有报修")


async def test_importing_again_changes_what_is_said_and_nothing_else(
    building: Building, office: Phone
) -> None:
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    await office.taps("导入")
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    office.sees("「设备.csv」里的 3 条和现在的设备登记一样")
    assert office.last.buttons == {}
    fewer = "设备,楼栋,位置,数量,安装年份\n电动车充电桩,3,东侧,6,\n电梯,三号楼,,2,2015\n"
    await office.says("", files=[file(building, fewer, "新.csv")])
    shown = office.sees("「新.csv」可以导入设备登记：新增 1 条、改动 1 条").text
    assert "#1 电动车充电桩：数量 4 → 6" in shown
    await office.taps("导入")
    changed = ("电动车充电桩", "3", "东侧", 6, 2021, "维保到 2027")
    assert rows(building) == [changed, *LINES[1:], ("电梯", "3", "", 2, 2015, "")]


async def test_every_problem_is_told_with_its_row_and_stops_it_all(building: Building, office: Phone) -> None:
    bad = (
        "小区设备一览表\n\n设备名称*,楼栋,安装位置,数量（个）,启用年份,备注\n"
        "电梯,3号楼,,1,2008,\n,3号楼,东侧,1,,\n电梯,3,,1,,\n门禁,9号楼,,1,,\n门禁,1,,很多,,\n"
        f"门禁,2,,0,2030,\n监控,1,,1,去年,{'长' * 300}\n路灯,,,=A1,,\n"
    )
    await office.says("", files=[file(building, bad, "设备.csv")])
    told = office.sees("「设备.csv」没有导入，什么都没有改。请改好下面 8 处").text
    assert told.splitlines()[1:] == [
        "第 5 行：没有写是什么设备",
        "第 6 行：与第 4 行是同一种设备、同一个地方。请写清各自的位置，或合成一行写总数",
        "第 7 行：没有「9号楼」这一栋，现有：1 号楼、2 号楼、3 号楼。不属于哪一栋就空着",
        "第 8 行：数量「很多」不对，请写 1 到 9999 的整数",
        "第 9 行：数量「0」不对，请写 1 到 9999 的整数",
        "第 9 行：年份「2030」不对，请写成 2021，不晚于 2026 年；不知道就空着",
        f"第 10 行：「{'长' * 20!a}」太长或含有看不见的字符，最多 200 个字",
        "第 11 行：「数量」是没有算出结果的公式。请复制这一列，选择性粘贴为「数值」。",
    ]
    assert (rows(building), office.last.buttons) == ([], {})
    assert building.read(select(RosterFile.storage)) == [""]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("设备,楼栋,数量\n", "列名下面没有一行设备"),
        ("设备,数量\n" + "".join(f"灯{number},1\n" for number in range(2001)), "一次最多 2000 行"),
        ("设备,楼栋,房号,数量\n空调,3,1201,1\n", "缺少列：专有面积、姓名"),
        ("楼栋,备注\n3,好\n", "缺少列"),
    ],
)
async def test_what_is_no_register_changes_nothing(
    building: Building, office: Phone, data: str, words: str
) -> None:
    await office.says("", files=[file(building, data, "a.csv")])
    assert words in office.sees("「a.csv」没有导入，什么都没有改").text
    assert (rows(building), office.last.buttons) == ([], {})


async def test_a_workbook_with_merged_buildings_dates_and_english_headings(
    building: Building, office: Phone
) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["Equipment", "Building", "Location", "Quantity", "Year", "Note"])
        sheet.merge_range(1, 1, 2, 1, "3")
        sheet.write_row(1, 0, ["Lift"])
        sheet.write_row(1, 2, ["entrance 1", 2, 2015])
        sheet.write_row(2, 0, ["Camera"])
        sheet.write_row(2, 2, ["gate", 8])
        sheet.write_number(2, 4, 44_000, day)
    await office.says("", files=[file(building, out.getvalue(), "equipment.xlsx")])
    await office.taps("导入")
    assert rows(building) == [("Lift", "3", "entrance 1", 2, 2015, ""), ("Camera", "3", "gate", 8, 2020, "")]


async def test_a_file_is_put_aside_and_only_the_newest_of_any_kind_has_buttons(
    building: Building, office: Phone
) -> None:
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    first = office.last
    await office.says("", files=[file(building, SOLD)])
    assert (first.buttons, set(office.last.buttons)) == ({}, {"导入", "不导入"})
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    await office.taps("不导入")
    office.sees("好的，「设备.csv」没有导入，什么都没有改。")
    for row in building.read(select(RosterFile)):
        for name in ("equipment.apply", "roster.apply"):
            await office.forges(f"{name}:{row.id}")
            office.sees("需要的话请再发一次文件")
    assert rows(building) == []


async def test_a_button_of_the_other_table_imports_nothing(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, SOLD)])
    (row,) = building.read(select(RosterFile))
    await office.forges(f"equipment.apply:{row.id}")
    office.sees("「名册.csv」没有导入，什么都没有改")
    assert rows(building) == []


async def test_a_file_that_is_gone_is_asked_for_again(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, TABLE, "设备.csv")])
    key = building.read(select(RosterFile.storage))[0]
    (building.app.media.folder / key[:2] / key).unlink()
    await office.taps("导入")
    office.sees("没有传完整")
    assert rows(building) == []


async def test_the_button_says_how(building: Building, office: Phone) -> None:
    await office.says("设备")
    await office.taps("导入设备")
    office.sees("设备、楼栋、位置、数量、安装年份、备注")
