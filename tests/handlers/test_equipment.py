"""The equipment register: everybody sees it, staff keep it in chat, and repairs speak for it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session, col, select

from conversations.equipment import year_in
from conversations.words import Reader
from handlers.equipment import add_line, facts, kinds, lines_for, put_up
from handlers.tx import Tx
from store.tables import Audit, Equipment, Person, Repair, Talk
from tests.handlers.test_homes import write
from tests.handlers.test_repair import report
from tests.people import Building, Phone


async def registers(office: Phone, *answers: str) -> None:
    """Staff add a line by its questions."""
    await office.says("设备")
    await office.taps("登记设备")
    for answer in answers:
        await office.says(answer)


async def opens(office: Phone, number: str) -> None:
    """Staff look at the line of this number."""
    await office.says("设备")
    await office.taps("改设备")
    await office.says(number)


def rows(building: Building) -> list[tuple[Any, ...]]:
    found = building.read(select(Equipment).order_by(col(Equipment.number)))
    return [
        (each.number, each.kind, each.building, each.spot, each.count, each.since, each.note)
        for each in found
    ]


CHARGERS = ("电动车充电桩", "3", "东侧", "4", "2021年", "跳过", "保存")


# --- in the chats -----------------------------------------------------------------------------------


async def test_staff_register_and_everybody_sees(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await owner.says("/equipment")
    owner.sees("还没有登记设备")
    await office.says("设备")
    office.sees("还没有登记设备", "登记设备", "导入设备")
    assert "改设备" not in office.last.buttons
    await office.taps("登记设备")
    office.sees("登记什么设备", "取消")
    await office.says("电动车充电桩")
    office.sees("在哪一栋", "全小区", "1 号楼", "2 号楼", "3 号楼")
    await building.restart()
    await office.taps("3 号楼")
    office.sees("具体在哪里", "跳过")
    await office.says("东侧")
    await office.says("看着办吧")
    office.sees("没看懂数量")
    await office.says("四个")
    office.sees("哪一年装的")
    await office.says("很久以前")
    office.sees("没看懂「很久以前」是哪一年。请写成「2021」", "跳过")
    await office.says("2027")
    office.sees("「2027」还没有到，现在是 2026 年", "跳过")
    await office.says("二〇二一年")
    await office.says("维保：小张 13912345678")
    shown = office.sees("请看一下对不对", "保存", "修改").text
    assert "设备名称：电动车充电桩\n楼栋：3 号楼\n位置：东侧\n数量：4\n安装年份：2021" in shown
    await office.taps("保存")
    card = office.sees("已登记", "修改", "停用").text
    assert "#1 电动车充电桩 4 个 · 3 号楼东侧 · 2021 年装 · 近一年没有报修" in card
    assert "备注：维保：小张" in card
    assert rows(building) == [(1, "电动车充电桩", "3", "东侧", 4, 2021, "维保：小张 13912345678")]
    for phone in (owner, crew):
        await phone.says("设备")
        line = phone.sees("小区的设备：\n电动车充电桩 4 个 · 3 号楼东侧 · 2021 年装 · 近一年没有报修")
        assert (line.buttons, "小张" in line.text, "#1" in line.text) == ({}, False, False)
    await office.says("设备")
    office.sees("#1 电动车充电桩 4 个", "登记设备", "改设备", "导入设备")


async def test_a_line_is_changed_and_retired_and_restored(
    building: Building, owner: Phone, office: Phone
) -> None:
    await registers(office, *CHARGERS)
    await opens(office, "99")
    office.sees("没有编号是「99」的设备", "改设备")
    await opens(office, "随便")
    office.sees("没有编号是「随便」的设备")
    await opens(office, "#１")
    office.sees("#1 电动车充电桩 4 个", "修改", "停用")
    await office.taps("修改")
    office.sees("#1 现在是这样", "保存", "修改", "取消")
    await office.taps("修改")
    office.sees("要改哪一项", "数量", "安装年份")
    await office.taps("数量")
    office.sees("#1 有几个")
    await office.says("6")
    await office.taps("保存")
    office.sees("已改好", "修改", "停用")
    assert rows(building) == [(1, "电动车充电桩", "3", "东侧", 6, 2021, "")]
    await office.taps("停用")
    office.sees("已停用", "恢复")
    await owner.says("设备")
    owner.sees("还没有登记设备")
    (line,) = building.read(select(Equipment.id))
    for name in ("change", "retire"):
        await office.forges(f"equipment.{name}:{line}")
        office.sees("#1 已经停用了")
    await office.taps("恢复")
    office.sees("#1 电动车充电桩 6 个", "修改", "停用")
    assert building.read(select(Equipment.retired_at)) == [None]
    await office.says("/audit")
    assert "停用设备 · 设备 1" in office.sees("操作记录").text


async def test_one_place_has_one_line_of_a_kind(building: Building, office: Phone) -> None:
    await registers(office, *CHARGERS)
    await registers(office, "电动车充电桩", "3 号楼", "东侧", "9", "跳过", "跳过", "保存")
    office.sees("这一处已经有登记了，没有重复添加", "修改")
    await registers(office, "电梯", "0", "跳过", "6", "跳过", "跳过", "保存")
    assert [row[:5] for row in rows(building)] == [
        (1, "电动车充电桩", "3", "东侧", 4),
        (2, "电梯", "", "", 6),
    ]
    await opens(office, "2")
    await office.taps("修改")
    for answer in ("修改", "设备名称", "电动车充电桩", "修改", "楼栋", "3", "修改", "位置", "东侧", "保存"):
        if answer in office.last.buttons:
            await office.taps(answer)
        else:
            await office.says(answer)
    office.sees("这一处已经有登记了")
    assert [row[1] for row in rows(building)] == ["电动车充电桩", "电梯"]


async def test_a_line_that_is_retired_while_it_is_changed(building: Building, office: Phone) -> None:
    await registers(office, *CHARGERS)
    await opens(office, "1")
    await office.taps("修改")
    (line,) = building.read(select(Equipment.id))
    await office.forges(f"equipment.retire:{line}")
    assert building.read(select(Talk).where(Talk.script == "reequip")) == []
    await office.says("保存")
    assert [row[4] for row in rows(building)] == [4]


async def test_who_is_not_in_sees_nothing(building: Building, phone: Any, office: Phone) -> None:
    await registers(office, *CHARGERS)
    guest = phone("生人")
    await guest.says("设备")
    assert all("充电桩" not in message.text for message in guest.chat.messages)


async def test_owners_keep_nothing(building: Building, owner: Phone, office: Phone) -> None:
    await registers(office, *CHARGERS)
    (line,) = building.read(select(Equipment.id))
    before = rows(building)
    for what in ("add", "find", "explain", f"change:{line}", f"retire:{line}", f"restore:{line}", "apply:1"):
        await owner.forges(f"equipment.{what}")
    for what in ("equipment.added", f"equipment.changed:{line}"):
        await office.forges(what)
    assert rows(building) == before
    assert building.read(select(Equipment.retired_at)) == [None]
    acts = [each.partition(":")[0] for each in building.read(select(Audit.action))]
    assert acts == ["equipment.add", "equipment.added"]


async def test_repairs_speak_for_a_line(building: Building, owner: Phone, office: Phone) -> None:
    await registers(office, "门禁", "3", "2单元门", "1", "跳过", "跳过", "保存")
    await report(owner, "门禁刷不开")
    await owner.says("设备")
    owner.sees("门禁 1 个 · 3 号楼2单元门 · 近一年报修 1 次，最近一次 3月2日")
    await owner.taps("撤回")
    await owner.says("设备")
    owner.sees("门禁 1 个 · 3 号楼2单元门 · 近一年没有报修")


async def test_a_long_register_is_read_on(building: Building, owner: Phone, office: Phone) -> None:
    def work(tx: Tx) -> None:
        for number in range(300):
            add_line(tx, 1, kind="垃圾桶", spot=f"第 {number} 处")

    write(building, work)
    await owner.says("设备")
    while "接着看" in owner.last.buttons:
        await owner.taps("接着看")
    assert "第 299 处" in owner.last.text


# --- what others ask --------------------------------------------------------------------------------


def repair(tx: Tx, number: int, what: str, **more: Any) -> None:
    person = tx.session.exec(select(Person).where(Person.name == "陈女士")).one()
    said = {"community_id": 1, "number": number, "person_id": person.id, "what": what, "building": "3"}
    tx.session.add(Repair.model_validate({**said, "reported_at": tx.now, "place": "hall", **more}))
    tx.session.flush()


def shown(tx: Tx, line: Equipment, language: str = "zh") -> str:
    return str(Reader(language, "Asia/Shanghai", tx.now).show(facts(tx, line)))


@pytest.mark.by_hand
def test_only_the_year_s_repairs_of_this_thing_count(building: Building) -> None:
    def work(tx: Tx) -> list[str]:
        charger = add_line(tx, 1, kind="电动车充电桩", building="3", count=4)
        lift = add_line(tx, 1, kind="电梯", building="3", since=2008)
        barrier = add_line(tx, 1, kind="道闸")
        lamp = add_line(tx, 1, kind="路灯", spot="南门 13912345678")
        ago = timedelta(days=1)
        repair(tx, 1, "充电桩没电", kind="power", reported_at=tx.now - 3 * ago)
        repair(tx, 2, "楼道没电", kind="power")
        repair(tx, 3, "别的", added="两个充电口都坏了", reported_at=tx.now - 9 * ago)
        repair(tx, 4, "充电桩坏了", building="1")
        repair(tx, 5, "充电桩坏了", building="", reported_at=tx.now - 5 * ago)
        repair(tx, 6, "充电桩坏了", reported_at=tx.now - 366 * ago)
        repair(tx, 7, "充电桩坏了", state="withdrawn")
        repair(tx, 8, "按钮不灵", place="lift")
        repair(tx, 9, "轿厢晃", kind="lift", building="1")
        repair(tx, 10, "轿厢晃", kind="lift")
        repair(tx, 11, "东门道闸不抬杆", building="2")
        return [shown(tx, each) for each in (charger, lift, barrier, lamp)]

    assert write(building, work) == [
        "电动车充电桩 4 个 · 3 号楼 · 近一年报修 3 次，最近一次 2月27日",
        "电梯 1 个 · 3 号楼 · 2008 年装 · 近一年报修 2 次，最近一次 3月2日",
        "道闸 1 个 · 全小区 · 近一年报修 1 次，最近一次 3月2日",
        "路灯 1 个 · 南门 *** · 近一年没有报修",
    ]


@pytest.mark.by_hand
def test_facts_are_complete_in_english(building: Building) -> None:
    def work(tx: Tx) -> list[str]:
        charger = add_line(tx, 1, kind="EV charger", building="3", spot="east side", count=4, since=2021)
        repair(tx, 1, "Both chargers are dead")
        whole = add_line(tx, 1, kind="Lift")
        return [shown(tx, each, "en") for each in (charger, whole)]

    assert write(building, work) == [
        "EV charger × 4 · Building 3, east side · since 2021 · repairs in the last year: 1, the latest on 3/2",
        "Lift × 1 · Whole community · no repairs in the last year",
    ]


@pytest.mark.by_hand
def test_hundreds_of_lines_ask_for_the_repairs_once(building: Building) -> None:
    def work(session: Session) -> list[str]:
        tx = Tx(session, building.clock.now(), building.app.house)
        lines = [add_line(tx, 1, kind=f"电梯{number % 9}", spot=f"{number}") for number in range(500)]
        for number in range(50):
            repair(tx, number + 1, "电梯坏了")
        asked: list[str] = []
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *args: asked.append(args[2]))
        for line in lines:
            facts(tx, line)
        return [each for each in asked if "FROM repair" in each]

    assert len(building.app.database.write_now(work)) == 1


@pytest.mark.by_hand
def test_lines_like_some_words_nearest_first(building: Building) -> None:
    def work(tx: Tx) -> tuple[list[list[int]], list[str]]:
        for kind, where in (
            ("电动车充电桩", "1"),
            ("电动车充电桩", "3"),
            ("电动车充电桩", ""),
            ("电动车充电桩", "10"),
            ("单元门禁", "3"),
            ("电梯", "3"),
            ("充电桩", "2"),
        ):
            add_line(tx, 1, kind=kind, building=where)
        retired = add_line(tx, 1, kind="充电桩", building="3")
        retired.retired_at = tx.now
        tx.session.add(retired)
        asked = (("充电桩", "3"), ("EV Chargers", ""), ("门禁", "1"), ("路灯", "3"), ("", "3"))
        found = [[each.number for each in lines_for(tx, 1, *words)] for words in asked]
        return found, kinds(tx, 1)

    found, used = write(building, work)
    assert found == [[2, 3, 7, 1, 4], [3, 1, 2, 4, 7], [5], [], []]
    assert (used[0], sorted(used)) == ("电动车充电桩", sorted(["电动车充电桩", "单元门禁", "充电桩", "电梯"]))


@pytest.mark.by_hand
def test_what_was_installed_is_put_up(building: Building) -> None:
    def work(tx: Tx) -> None:
        place = {"building": "3", "spot": "东侧"}
        put_up(tx, 1, kind="电动车充电桩", **place, count=4, since=2021)
        put_up(tx, 1, kind="电动车充电桩 ", **place, count=10, since=2026)
        put_up(tx, 1, kind="电动车充电桩", building="3", spot="", count=1, since=None)
        put_up(tx, 1, kind="长" * 500, building="", spot="远" * 500, count=1, since=2026)

    write(building, work)
    assert rows(building)[:3] == [
        (1, "电动车充电桩", "3", "东侧", 14, 2021, "2026 年新装 10 个"),
        (2, "电动车充电桩", "3", "", 1, None, ""),
        (3, "长" * 40, "", "远" * 60, 1, 2026, ""),
    ]


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2021", 2021),
        (" ２０２１年 ", 2021),
        ("二〇二一年", 2021),
        ("约2021年", 2021),
        ("2021-05-01 00:00:00", 2021),
        ("20210501", 2021),
        ("2021年5月", 2021),
        ("21年", None),
        ("12021", None),
        ("去年", None),
        ("", None),
        ("-2021", None),
        ("👍", None),
    ],
)
def test_years_are_read_as_people_write_them(text: str, year: int | None) -> None:
    assert year_in(text) == year
