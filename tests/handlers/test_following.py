"""The same thing, reported by many: offered, joined, told together; and of a thousand emergencies one page."""

import asyncio

import pytest
from sqlmodel import Session, func, select

from conversations.said import Said
from handlers.people import bind_account
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from store.tables import Event, Follower, Outgoing, Person, Repair
from tests.handlers.test_repair import report
from tests.people import NAME, ROSTER, Building, Phone

MANY = 1000


def repairs(building: Building) -> list[tuple[int, str, int]]:
    found = building.read(select(Repair.number, Repair.state, Repair.homes).order_by(Repair.id))
    return [(number, state, homes) for number, state, homes in found]


async def in_the_hall(phone: Phone, what: str = "灯不亮") -> None:
    """Report something in the corridor of building 3, up to where it is submitted or offered as another's."""
    await phone.says("报修")
    for answer in ("楼道", what, "3号楼"):
        await phone.says(answer)


# --- what is not urgent is offered ------------------------------------------------------------------


async def test_a_similar_report_is_offered_and_joined(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, crew: Phone
) -> None:
    await in_the_hall(owner)
    for answer in ("跳过", "提交"):
        await owner.says(answer)
    owner.sees("报修 1 已登记：3 号楼 楼道 · 灯不亮")
    neighbour.sees("报修 1 · 3 号楼 楼道 · 灯")
    await in_the_hall(neighbour, "楼道灯坏了")
    neighbour.sees("已经有人报了类似的", "1 3 号楼 楼道 · 灯（1 户已报）我也是", "不是，另外一件")
    await neighbour.taps("1 3 号楼 楼道 · 灯（1 户已报）我也是")
    neighbour.sees("已记下：报修 1（3 号楼 楼道），您也是，一共 2 户报了", "不用通知我了")
    assert repairs(building) == [(1, "waiting", 2)]
    holder = building.phone(building.read(select(Person.name).join(Repair, Repair.crew_id == Person.id))[0])
    await holder.taps("接单")
    assert "共 2 户报" in holder.last.text
    assert "楼道灯坏了" in holder.last.text
    for phone in (owner, neighbour):
        phone.sees(f"{holder.account}已接单")
    await holder.taps("修好了")
    await holder.taps("跳过")
    await holder.taps("跳过")
    owner.sees("修好了吗", "确认修好")
    neighbour.sees("报修 1", "还没修好")
    await neighbour.says("我的")
    neighbour.sees("1 · 3 号楼 楼道 · 灯不亮 · 已修，等业主确认 · 周三", "查看 1")
    await neighbour.taps("查看 1")
    assert neighbour.sees("报修 1 · 3 号楼 楼道 · 灯").text.count("1201") == 0


async def test_whoever_means_another_one_reports_it(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await in_the_hall(owner)
    for answer in ("跳过", "提交"):
        await owner.says(answer)
    await in_the_hall(neighbour)
    await neighbour.says("随便")
    neighbour.sees("已经有人报了类似的")
    await neighbour.sends_photo()
    await neighbour.says("不是")
    await neighbour.says("好了")
    await neighbour.says("提交")
    neighbour.sees("报修 2 已登记")
    assert repairs(building) == [(1, "waiting", 1), (2, "waiting", 1)]


async def test_what_one_has_reported_oneself_is_added_to(building: Building, owner: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await owner.says("厨房水龙头滴得更快了")
    owner.sees("已经有人报了类似的", "1 您报过的 · 3 号楼 · 水龙头")
    await owner.taps("1 您报过的 · 3 号楼 · 水龙头")
    owner.sees("已补充到报修 1")
    assert repairs(building) == [(1, "waiting", 1)]


async def test_a_home_is_nobody_elses(building: Building, owner: Phone, neighbour: Phone) -> None:
    await report(owner, "厨房水龙头滴水")
    await report(neighbour, "厨房水龙头滴水")
    neighbour.sees("报修 2 已登记")
    await neighbour.forges("repair.show:1")
    neighbour.sees("这件事不归您办理")


async def test_many_make_it_due_earlier(building: Building, owner: Phone, neighbour: Phone) -> None:
    building.set_policy("many_homes", 2)
    building.set_policy("repair_days", 5)
    await in_the_hall(owner)
    for answer in ("跳过", "提交"):
        await owner.says(answer)
    owner.sees("3月9日 18:00 前处理")
    await neighbour.taps("我也是")
    owner.sees("报修 1 已有 2 户报了，提前到 明天 18:00 前处理")


async def test_the_first_reporter_goes_and_the_others_keep_it(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await in_the_hall(owner)
    for answer in ("跳过", "提交"):
        await owner.says(answer)
    await neighbour.taps("我也是")
    await neighbour.forges("repair.join:1")
    assert repairs(building) == [(1, "waiting", 2)]
    await owner.says("撤回")
    owner.sees("还有别的邻居在等")
    neighbour.sees("最先报修的邻居已撤回", "撤回")
    assert repairs(building) == [(1, "waiting", 1)]
    await neighbour.says("撤回")
    assert repairs(building) == [(1, "withdrawn", 1)]
    await owner.forges("repair.join:1")
    owner.sees("报修 1", "我的")


async def test_who_wants_to_hear_no_more_hears_no_more(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await in_the_hall(owner)
    for answer in ("跳过", "提交"):
        await owner.says(answer)
    await neighbour.taps("我也是")
    await neighbour.taps("不用通知我了")
    neighbour.sees("报修 1 的进展不再告诉您")
    await neighbour.forges("repair.leave:1")
    neighbour.sees("这件事不归您办理")
    holder = building.phone(building.read(select(Person.name).join(Repair, Repair.crew_id == Person.id))[0])
    await holder.taps("接单")
    assert "已接单" not in neighbour.last.text


# --- what is urgent is joined -----------------------------------------------------------------------


async def test_an_emergency_of_others_pages_nobody_twice(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    owner.sees("已按紧急报修处理，编号 1")
    pages = len(crew.chat.messages)
    await neighbour.says("3号楼楼道里水管爆了！")
    neighbour.sees("已有 2 户报了这件事", "不是同一件", "不用通知我了")
    assert len(crew.chat.messages) == pages or building.changes
    assert "共 2 户报" in crew.last.text
    assert repairs(building) == [(1, "waiting", 2)]
    await crew.taps("接单")
    neighbour.sees("报修 1：李师傅已接单")


async def test_another_one_is_paged_by_itself(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    await neighbour.says("3号楼楼道水管爆了")
    await neighbour.taps("不是同一件")
    neighbour.sees("已按紧急报修处理，编号 2")
    crew.sees("紧急报修 2", "接单")
    assert repairs(building) == [(1, "waiting", 1), (2, "waiting", 1)]


@pytest.mark.parametrize("answer", ["不是", "在我家厨房"])
async def test_without_a_place_it_is_asked_whether_it_is_the_same(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone, answer: str
) -> None:
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    await neighbour.says("水管爆了！")
    neighbour.sees("您说的也是3 号楼 楼道这一处吗（报修 1）？", "是，同一处", "不是，在别处")
    await building.restart()
    await neighbour.says(answer)
    neighbour.sees("已按紧急报修处理，编号 2")
    crew.sees("紧急报修 2", "接单")


async def test_the_same_is_the_same(building: Building, owner: Phone, neighbour: Phone) -> None:
    await owner.says("3号楼楼道水管爆了，水喷出来了")
    await neighbour.says("水管爆了！")
    await neighbour.says("是的")
    neighbour.sees("已记下：报修 1（3 号楼 楼道），您也是")
    assert repairs(building) == [(1, "waiting", 2)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3号楼楼道水管爆了", "厨房水管爆了，水喷出来了"),
        ("3号楼楼道水管爆了", "1号楼楼道水管爆了"),
        ("3号楼楼道水管爆了", "3号楼楼道着火了"),
        ("3号楼电梯困了人", "3号楼楼道有人晕倒了"),
    ],
)
async def test_what_may_be_another_danger_is_never_joined(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone, first: str, second: str
) -> None:
    await owner.says(first)
    await neighbour.says(second)
    neighbour.sees("已按紧急报修处理，编号 2")
    crew.sees("紧急报修 2", "接单")


def neighbours(building: Building) -> list[str]:
    """A thousand more owners in building 3, each with an account."""
    names = [f"业主{number}" for number in range(MANY - 1)]
    rows = [f"3号楼,9单元,{1000 + number},50,{name},业主,,,\n" for number, name in enumerate(names)]

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        import_roster(tx, building.community, read_roster((ROSTER + "".join(rows)).encode()))
        for person in session.exec(select(Person).where(Person.name.startswith("业主"))).all():
            bind_account(tx, person, NAME, person.name, agreed=True)

    building.app.database.write_now(work)
    return names


@pytest.mark.by_hand
async def test_a_thousand_reports_of_one_burst_pipe_are_one_matter(
    building: Building, owner: Phone, crew: Phone
) -> None:
    """All at the same moment, in many words; then nobody accepts for two rings, and then somebody does."""
    words = (
        "3号楼楼道水管爆了",
        "水管爆了，3号楼楼道全是水",
        "楼道里水管炸裂了！！",
        "三号楼走廊水管爆裂，水喷出来",
    )
    everybody = ["陈女士", *neighbours(building)]
    said = [
        Said(
            messenger=NAME,
            key=f"pipe {number}",
            place=name,
            sender=name,
            at=building.clock.now(),
            text=words[number % len(words)],
        )
        for number, name in enumerate(everybody)
    ]
    receipts = await asyncio.gather(*(building.app.receive(each) for each in said))
    assert {receipt.state for receipt in receipts} == {"done"}
    assert repairs(building) == [(1, "waiting", MANY)]
    assert building.read(select(func.count()).select_from(Follower)) == [MANY - 1]
    assert paged(building) == 1
    await building.later(minutes=3)
    assert paged(building) == 2
    await building.settle()
    await crew.taps("接单")
    await building.later(minutes=10)
    assert paged(building) == 2
    heard = select(Outgoing.person_id).where(
        Outgoing.text.contains("报修 1：李师傅已接单") | Outgoing.text.contains("已接单（报修 1）")
    )
    assert len(set(building.read(heard.distinct()))) == MANY
    await finish_it(crew)
    await building.later(minutes=1)
    assert repairs(building) == [(1, "done", MANY)]


def paged(building: Building) -> int:
    """How many pages each member of the crew got: one a ring, however many have reported it."""
    (crew_id,) = building.read(select(Person.id).where(Person.name == "李师傅"))
    pages = select(func.count()).where(
        Outgoing.person_id == crew_id, Outgoing.change == "send", Outgoing.card.startswith("repair:")
    )
    rings = building.read(select(func.count()).where(Event.key.startswith("event.paged")))[0]
    assert building.read(pages) == [rings]
    return rings


async def finish_it(crew: Phone) -> None:
    for label in ("修好了", "跳过", "跳过"):
        await crew.taps(label)
