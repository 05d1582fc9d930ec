"""No danger is lost: not to somebody else's report, an incident, a merge, a pause, or a talk about what is over."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers.people import crew_of
from handlers.tx import Tx
from store.tables import Event, Follower, Person, Repair, Timer
from tests.handlers.test_incidents import opens
from tests.handlers.test_repair import report
from tests.people import Building, Phone


def states(building: Building) -> list[tuple[int, bool, str]]:
    found = building.read(select(Repair.number, Repair.urgent, Repair.state).order_by(Repair.id))
    return [(number, urgent, state) for number, urgent, state in found]


def rings(building: Building) -> int:
    return len(building.read(select(Event).where(Event.key.startswith("event.paged"))))


def holder(building: Building) -> Phone:
    """Who of the crew has the only repair."""
    return building.phone(building.read(select(Person.name).join(Repair, Repair.crew_id == Person.id))[0])


# --- not the same ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incident", "said"),
    [
        ("3号楼电梯停运检修", "3号楼电梯里困了人"),
        ("3号楼燃气检修停气", "家里煤气漏了"),
        ("3号楼消防演习", "家里着火了"),
        ("3号楼停电，在抢修", "停电了，老人的呼吸机停了"),
        ("3号楼停暖，在抢修", "家里暖气爆管，水喷出来了"),
    ],
)
async def test_an_incident_takes_no_danger(
    building: Building, owner: Phone, office: Phone, crew: Phone, incident: str, said: str
) -> None:
    await opens(office, incident, when="")
    await owner.says(said)
    crew.sees("紧急报修 2", "接单")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("停电了，老人的呼吸机停了", "家里停电了，呼吸机停了，我妈快不行了"),
        ("3号楼1单元电梯里困了人", "3号楼2单元电梯里困了人"),
        ("3号楼2楼楼道着火了", "3号楼25楼楼道着火了"),
    ],
)
async def test_two_dangers_are_two(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone, first: str, second: str
) -> None:
    await neighbour.says(first)
    await owner.says(second)
    owner.sees("已按紧急报修处理，编号 2")


async def test_a_failed_supply_is_one(building: Building, owner: Phone, neighbour: Phone) -> None:
    await neighbour.says("3号楼整栋楼都停电了")
    await owner.says("整栋楼停电了")
    owner.sees("已有 2 户报了这件事")


async def test_who_does_not_say_whether_it_is_the_same_is_paged_for(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await neighbour.says("漏气了")
    await owner.says("漏气了")
    owner.sees("您说的也是", "是，同一处", "不是，在别处")
    await crew.taps("接单")
    await building.restart()
    await building.later(minutes=2)
    crew.sees("紧急报修 2", "接单")
    assert building.read(select(Follower)) == []


async def test_what_waits_for_parts_takes_nobody_s_emergency(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await neighbour.says("3号楼楼道水管爆了")
    await crew.taps("接单")
    await crew.taps("等配件")
    await crew.says("3月9日")
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    owner.sees("已按紧急报修处理，编号 2")


# --- put together by staff ---------------------------------------------------------------------------


async def test_gathering_and_merging_leave_a_danger_alone(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    await owner.says("3号楼电梯里困了人")
    await opens(office, "3号楼电梯停运检修", when="")
    await office.taps("并入同类报修")
    office.sees("已把 0 件")
    await report(neighbour, "厨房水龙头滴水")
    await office.forges("repair.merge:1")
    await office.says("3")
    assert states(building)[0] == (1, True, "waiting")
    before = rings(building)
    await building.later(minutes=4)
    assert rings(building) == before + 1


# --- what becomes dangerous --------------------------------------------------------------------------


async def test_what_somebody_had_for_another_day_is_paged_when_it_becomes_dangerous(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    who = holder(building)
    await who.taps("接单")
    await who.taps("等配件")
    await who.says("3月9日")
    await owner.taps("补充照片或说明")
    await owner.says("水管爆了，到处喷水")
    crew.sees("紧急报修 1", "接单")
    (repair,) = building.read(select(Repair))
    assert (repair.state, repair.crew_id, repair.due_at, repair.paused_at) == ("waiting", None, None, None)


async def test_danger_told_about_what_is_over_is_reported_by_itself(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await report(neighbour, "卫生间地面渗水")
    await owner.taps("补充照片或说明")
    await office.forges("repair.merge:1")
    await office.says("1")
    await owner.says("水管爆了，到处喷水")
    owner.sees("已按紧急报修处理，编号 3")
    crew.sees("紧急报修 3", "接单")


# --- the paging goes on ------------------------------------------------------------------------------


async def test_one_number_that_nobody_can_open_stops_no_ring(
    building: Building, owner: Phone, office: Phone
) -> None:
    def spoil(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        for person, _ in crew_of(tx, building.community.id):
            person.phone = "deadbeef:" + "x" * 40
            session.add(person)

    building.app.database.write_now(spoil)
    await owner.says("电梯里困了人")
    for _ in range(5):
        await building.later(minutes=3)
    assert rings(building) == 6
    assert "没有留电话" in office.last.text


async def test_a_ring_that_fails_is_tried_again_for_ever(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    await owner.says("电梯里困了人")
    with monkeypatch.context() as patch:
        patch.setattr("handlers.paging.ring", broken)
        for _ in range(20):
            await building.later(minutes=1)
    (timer,) = building.read(select(Timer).where(Timer.action.startswith("repair.page")))
    assert timer.state == "waiting"
    assert timer.due_at <= building.clock.now() + timedelta(seconds=31)
    before = rings(building)
    await building.later(minutes=1)
    assert rings(building) == before + 1


async def test_a_tap_that_comes_twice_rings_once(building: Building, owner: Phone, crew: Phone) -> None:
    await owner.says("电梯里困了人")
    await crew.forges("repair.decline:1")
    after = rings(building)
    await crew.forges("repair.decline:1")
    await crew.forges("repair.decline:1")
    assert rings(building) == after


# --- who may know ------------------------------------------------------------------------------------


async def test_a_strangers_home_cannot_be_joined(building: Building, owner: Phone) -> None:
    granny = building.phone("王奶奶")
    await report(owner, "厨房水龙头滴水")
    await granny.forges("repair.join:1")
    granny.sees("这件事不归您办理")


async def test_whoever_inherits_a_report_reads_nothing_that_was_told_to_the_crew_alone(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await owner.says("报修")
    for answer in ("楼道", "灯不亮，我住1201室，电话13800138000", "3号楼", "跳过", "提交"):
        await owner.says(answer)
    await owner.taps("补充照片或说明")
    await owner.says("跳过")
    await owner.says("门锁密码 8848")
    await neighbour.taps("我也是")
    await owner.taps("撤回")
    neighbour.sees("最先报修的邻居已撤回")
    await neighbour.says("我的")
    await neighbour.taps("查看 1")
    for private in ("8848", "13800138000", "1201"):
        assert private not in str(neighbour)


async def test_an_incident_is_the_office_s_alone(building: Building, owner: Phone, office: Phone) -> None:
    await opens(office)
    await owner.taps("我也是")
    await office.taps("已恢复")
    await office.taps("跳过")
    await owner.forges("repair.dispute:1")
    owner.sees("事件 1 由物业宣布结束")
    assert states(building) == [(1, False, "closed")]


async def test_what_is_said_after_a_lone_photo_is_shown_anew_and_asks_where(
    building: Building, owner: Phone, crew: Phone, neighbour: Phone
) -> None:
    await owner.sends_photo()
    await building.later(seconds=61)
    crew.sees("只发来照片或语音", "接单")
    assert all(shown.photos == 0 for shown in neighbour.chat.messages)  # nobody has said what it shows
    await owner.says("电梯里困了人")
    crew.sees("电梯故障", "接单")
    assert "只发来照片或语音" not in crew.last.text
    owner.sees("在哪一栋？", "3 号楼")


async def test_what_is_said_while_one_waits_goes_to_those_who_are_called(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("电梯里困了人")
    await owner.says("取消")
    await owner.says("没人来啊，在3号楼2单元电梯")
    owner.sees("已补充到报修 1")
    assert "3号楼2单元电梯" in crew.last.text
    assert states(building) == [(1, True, "waiting")]


async def test_the_board_keeps_its_dates(building: Building, owner: Phone, board: Phone) -> None:
    await owner.says("报修")
    for answer in ("楼道", "灯不亮", "3号楼", "跳过", "提交"):
        await owner.says(answer)
    await building.later(days=2)
    who = holder(building)
    await who.taps("接单")
    assert "***" not in board.last.text


@pytest.mark.parametrize("word", ["提交", "submit", "啊？", "什么意思", "？？？", "huh?"])
async def test_a_word_that_comes_too_early_or_in_doubt_is_no_part_of_the_report(
    building: Building, owner: Phone, word: str
) -> None:
    await owner.says("大门口路灯不亮")
    await owner.says(word)
    await owner.says("其他地方")
    await owner.says("大门口")
    assert word not in owner.last.text.partition("位置")[2]


async def test_what_neighbours_say_of_it_is_for_the_crew_alone(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    """Neither reads the other's room and number: not in the card, not in the list, not when they urge."""
    told = {owner: "灯不亮，我住1201室，电话13800138000", neighbour: "灯坏了，我住1202室，打13900139000"}
    for phone, what in told.items():
        await phone.says("报修")
        for answer in ("楼道", what, "3号楼"):
            await phone.says(answer)
        if phone is neighbour:
            await phone.taps("1 3 号楼 楼道 · 灯（1 户已报）我也是")
            continue
        for answer in ("跳过", "提交"):
            await phone.says(answer)
    for phone in (owner, neighbour):
        await phone.says("我的")
        await phone.taps("查看 1")
        await phone.says("催一下")
    for private in ("1202", "13900139000"):
        assert private not in str(owner)
        assert private in office.last.text
    heard = [message.text for message in neighbour.chat.messages if "灯不亮" in message.text]
    assert heard
    assert not any("1201" in text or "13800138000" in text for text in heard)


async def test_where_a_merged_one_is_reaches_the_crew_and_no_neighbour(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    await neighbour.says("3号楼楼道水管爆了")
    await owner.says("水管爆了，水喷出来了")
    await owner.says("不是")
    await office.forges("repair.merge:2")
    await office.says("1")
    await owner.says("我家")
    assert "1201" in crew.last.text
    await neighbour.says("我的")
    await neighbour.taps("查看 1")
    assert "1201" not in str(neighbour)


async def test_each_who_was_asked_answers_for_themselves(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    """The silence of one takes no question away from another."""
    granny = building.phone("王奶奶")
    await granny.says("3号楼楼道漏气了")
    await owner.says("漏气了")
    await building.later(seconds=40)
    await neighbour.says("漏气了")
    await building.later(seconds=30)
    crew.sees("紧急报修 2", "接单")
    await neighbour.says("是的")
    neighbour.sees("已记下：报修")
