"""The roster in the admin group: sent as a file, answered with what is wrong or what would change, done by a button."""

import pytest
from sqlmodel import col, select

from conversations.said import File
from store.tables import Audit, Home, Person, RosterFile
from tests.benchmarks.roster import as_csv, as_xlsx, big_roster
from tests.people import ROSTER, Building, Phone

pytestmark = pytest.mark.by_hand
SOLD = ROSTER.replace("周先生", "新业主").replace("89.35", "90.35")


def file(building: Building, data: bytes | str, name: str = "名册.csv") -> File:
    """A file as the messenger's adapter hands it on."""
    kept = building.app.media.keep_file(data if isinstance(data, bytes) else data.encode())
    return File(kind="file", storage=kept.storage, size=kept.size, problem=kept.problem, name=name)


def names(building: Building) -> list[str]:
    return building.read(select(Person.name).order_by(col(Person.id)))


async def test_a_roster_is_shown_and_then_imported(
    building: Building, office: Phone, neighbour: Phone
) -> None:
    await office.says("", files=[file(building, SOLD)])
    shown = office.sees(
        "「名册.csv」可以导入：新增 1 人、新增 1 个身份、改动 1 处、结束 1 个身份。", "导入", "不导入"
    )
    assert "3 号楼 2 单元 1201：面积 89.35 → 90.35 ㎡" in shown.text
    assert "3 号楼 2 单元 1202 · 周先生不再是业主，马上失去权限" in shown.text
    assert "新业主" not in names(building)
    await building.restart()
    await office.taps("导入")
    office.sees("名册「名册.csv」已导入：新增 1 人、新增 1 个身份、改动 1 处、结束 1 个身份。")
    assert shown.buttons == {}
    assert "新业主" in names(building)
    assert building.read(select(Home.area).where(Home.room == "1201")) == [90_350]
    (row,) = building.read(select(RosterFile))
    assert row.storage == ""
    assert building.read(select(Audit.action)) == [f"roster.apply:{row.id}"]
    await neighbour.says("/repair")
    neighbour.sees("这件事不归您办理")


async def test_the_same_roster_again_has_nothing_to_import(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, ROSTER)])
    office.sees("和现在的名册一样，不用导入")
    assert office.last.buttons == {}


async def test_problems_are_told_with_their_rows_to_the_last(building: Building, office: Phone) -> None:
    rows = big_roster(400, 700)
    for row in rows[2:]:
        row[3] = "abc" if row[3] else ""
    await office.says("", files=[file(building, as_xlsx(rows), "住户.XLSX")])
    first = office.sees("「住户.XLSX」没有导入，什么都没有改。请改好下面 399 处再发一次", "接着看")
    assert "第 3 行：面积「abc」不对，请写成 89.35 这样的平方米数" in first.text
    while "接着看" in office.last.buttons:
        await office.taps("接着看")
    assert "第 401 行：面积「abc」" in office.last.text
    assert building.read(select(RosterFile.storage)) == [""]


async def test_a_file_is_put_aside(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, SOLD)])
    await office.taps("不导入")
    office.sees("好的，「名册.csv」没有导入，什么都没有改。")
    (row,) = building.read(select(RosterFile))
    assert row.storage == ""
    await office.forges(f"roster.apply:{row.id}")
    office.sees("这份名册已经导入，或者已经放下")
    assert "新业主" not in names(building)


async def test_only_the_newest_file_can_be_imported(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, SOLD)])
    first = office.last
    (row,) = building.read(select(RosterFile))
    await office.says("", files=[file(building, SOLD.replace("新业主", "另一位"), "新名册.csv")])
    assert (first.buttons, set(office.last.buttons)) == ({}, {"导入", "不导入"})
    await office.forges(f"roster.apply:{row.id}")
    office.sees("后面又发了新的")
    await office.taps("导入")
    assert {"新业主", "另一位"} & set(names(building)) == {"另一位"}


async def test_what_stands_by_then_counts(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, SOLD)])
    building.app.database.write_now(
        lambda session: session.add(
            Home(community_id=building.community.id, building="9", room="901", area=1000)
        )
    )
    await office.taps("导入")
    office.sees("已导入")
    assert "新业主" in names(building)


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.csv", "是空的"),
        (b"PK\3\4junk", "a.xlsx", "打不开"),
        ("姓名\n".encode(), "a.csv", "缺少列"),
        ("楼栋,房号,面积,姓名\n1,101,,甲\n".encode("gbk"), "旧.csv", "第 2 行：没有面积"),
    ],
)
async def test_a_bad_file_is_answered(
    building: Building, office: Phone, data: bytes, name: str, words: str
) -> None:
    before = names(building)
    await office.says("", files=[file(building, data, name)])
    assert words in office.sees(f"「{name}」没有导入，什么都没有改").text
    assert names(building) == before


@pytest.mark.parametrize(("problem", "words"), [("too_large", "20 MB 以内"), ("not_fetched", "没有传完整")])
async def test_a_file_that_was_not_kept_is_asked_for_again(
    building: Building, office: Phone, problem: str, words: str
) -> None:
    await office.says("", files=[File(kind="file", name="名册.xlsx", problem=problem)])
    office.sees(words)


async def test_a_file_that_is_gone_is_asked_for_again(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, SOLD)])
    key = building.read(select(RosterFile.storage))[0]
    (building.app.media.folder / key[:2] / key).unlink()
    await office.taps("导入")
    office.sees("没有传完整")
    assert "新业主" not in names(building)


async def test_other_files_are_the_staff_s_own(building: Building, office: Phone) -> None:
    await office.says(
        "", files=[file(building, b"x", "通知.docx"), File(kind="photo", problem="not_a_photo")]
    )
    office.sees_nothing()


async def test_a_roster_sent_elsewhere_is_none(building: Building, owner: Phone, board: Phone) -> None:
    await owner.says("", files=[file(building, SOLD)])
    owner.sees("这个文件不是照片")
    await board.says("", files=[file(building, SOLD)])
    assert building.read(select(RosterFile)) == []


async def test_the_command_says_how(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("/roster")
    office.sees("把 Excel（.xlsx、.xls）或 CSV 文件直接发到这个群")
    await owner.says("/roster")
    owner.sees("这件事不归您办理")


async def test_thousands_of_homes_are_imported_in_the_chat(building: Building, office: Phone) -> None:
    await office.says("", files=[file(building, as_csv(big_roster()), "全部.csv")])
    office.sees("新增 4998 户、新增 8000 人", "导入")
    await office.taps("导入")
    office.sees("已导入")
    await office.says("", files=[file(building, as_csv(big_roster()), "全部.csv")])
    office.sees("和现在的名册一样")
