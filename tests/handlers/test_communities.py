"""One person with one account in two communities: each matter goes where it belongs, and it is asked once."""

import pytest
from sqlmodel import Session, select

from handlers.people import bind_account
from handlers.roster import add_community, import_roster, read_roster
from handlers.tx import Tx
from store.tables import Community, Person, Repair
from tests.handlers.test_repair import finish
from tests.people import Building, Phone

ROSTER = """楼栋,单元,房号,面积,姓名,身份,工种,值班,编号
7号楼,1单元,301,70,陈女士,业主,,,
,,,,孙师傅,维修,,,
"""
ASKED = "是哪个小区的事？"


@pytest.fixture(autouse=True)
def second(building: Building) -> None:
    """陈女士 owns a home in 江南苑, too, where 孙师傅 is the crew."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        community = add_community(tx, "江南苑", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ROSTER.encode()))
        for person in session.exec(select(Person).where(Person.community_id == community.id)).all():
            messenger = building.messenger_of(person.name)
            bind_account(tx, person, messenger, building.account(person.name), agreed=True)

    building.app.database.write_now(work)


@pytest.fixture
def sun(building: Building) -> Phone:
    return building.phone("孙师傅")


async def answers(owner: Phone, *said: str) -> None:
    for each in said:
        await owner.says(each)


def reports(building: Building) -> list[tuple[str, str]]:
    rows = building.read(select(Repair, Community).join(Community).order_by(Repair.id))
    return [(community.name, repair.what) for repair, community in rows]


async def test_a_repair_asks_once_and_goes_on_there_with_what_was_said(
    building: Building, owner: Phone, plumber: Phone, sun: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    owner.sees(ASKED, "阳光花园", "江南苑", "取消")
    await building.restart()
    await owner.says("阳光")
    owner.sees("小区：阳光花园\n位置：我家\n问题：厨房水龙头滴水", "提交")
    await owner.says("提交")
    owner.sees("报修 1 已登记：3 号楼 2 单元 1201 · 厨房水龙头滴水")
    plumber.sees("报修 1 · 3 号楼 2 单元 1201", "接单")
    sun.sees_nothing()
    assert [m.text for m in owner.chat.messages if ASKED in m.text] == [ASKED]
    await owner.says("卧室灯不亮")
    await owner.says("江南苑")
    owner.sees("位置：我家\n问题：卧室灯不亮", "提交")
    await owner.says("提交")
    sun.sees("报修 1 · 7 号楼 1 单元 301", "接单")
    assert reports(building) == [("阳光花园", "厨房水龙头滴水"), ("江南苑", "卧室灯不亮")]


@pytest.mark.parametrize("answer", ["我家", "PHOTO", "3"])
async def test_another_answer_is_asked_again(building: Building, owner: Phone, answer: str) -> None:
    await owner.says("厨房水龙头滴水")
    if answer == "PHOTO":
        await owner.sends_photo()
    else:
        await owner.says(answer)
    assert ASKED in owner.last.text
    await owner.says("2")
    assert ASKED not in owner.last.text


async def test_photos_go_along(building: Building, owner: Phone, plumber: Phone, sun: Phone) -> None:
    await owner.sends_photo()
    owner.sees("现在有危险")
    await owner.says("不是")
    owner.sees(ASKED)
    await owner.taps("阳光花园")
    owner.sees("哪里需要报修？")
    await answers(owner, "我家", "水龙头滴水", "随时可以", "好了", "提交")
    assert plumber.sees("报修 1 · 3 号楼 2 单元 1201", "接单").photos == 1


async def test_a_button_acts_where_its_message_came_from(
    building: Building, owner: Phone, plumber: Phone, sun: Phone
) -> None:
    for community in ("阳光花园", "江南苑"):
        await answers(owner, "厨房水龙头滴水", community, "提交")
    await finish(sun)
    owner.sees("报修 1：孙师傅说已经修好。", "确认修好")
    await finish(plumber)
    owner.sees("报修 1：王师傅说已经修好。", "确认修好")
    first = next(m for m in owner.chat.messages if "孙师傅说已经修好" in m.text)
    await owner._send(tap=first.buttons["确认修好"], on=first.id)
    owner.sees("好的，报修 1 完成")
    states = {community.name: repair.state for repair, community in both(building)}
    assert states == {"阳光花园": "done", "江南苑": "closed"}
    await owner.says("我的")
    owner.sees("7 号楼 1 单元 301 · 厨房水龙头滴水 · 已修好")
    await owner.taps("确认修好")
    assert {repair.state for repair, _ in both(building)} == {"closed"}


def both(building: Building) -> list[tuple[Repair, Community]]:
    return building.read(select(Repair, Community).join(Community))


@pytest.mark.in_place
async def test_an_open_question_can_be_tapped_after_the_community_was_changed(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await answers(owner, "报修", "阳光花园", "我家", "厨房水龙头滴水")
    await owner.says("/community")
    owner.sees("您现在说的是「阳光花园」。要换到哪个小区？", "阳光花园", "江南苑")
    menu = next(m for m in owner.chat.messages if "要换到哪个小区" in m.text)
    await owner._send(tap=menu.buttons["江南苑"], on=menu.id)
    owner.sees("这里是江南苑的邻里", "换小区")
    await owner.taps("随时可以")
    owner.sees("有照片吗？")
    await answers(owner, "跳过", "提交")
    plumber.sees("报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_an_emergency_goes_to_the_present_community_and_says_which(
    building: Building, owner: Phone, crew: Phone, sun: Phone
) -> None:
    await owner.says("换小区")
    await owner.taps("江南苑")
    await owner.says("厨房煤气味好大")
    owner.sees("报到了「江南苑」；在别的小区，请点「换小区」再说一次。", "撤回", "换小区")
    sun.sees("🚨 紧急报修 1 · 7 号楼 1 单元 301", "接单")
    crew.sees_nothing()
    await owner.taps("换小区")
    await owner.taps("阳光花园")
    await owner.says("厨房煤气味好大")
    owner.sees("报到了「阳光花园」")
    crew.sees("🚨 紧急报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_who_lives_in_one_community_reads_nothing_of_others(
    neighbour: Phone, building: Building
) -> None:
    await neighbour.says("厨房煤气味好大")
    assert "小区" not in neighbour.chat.messages[0].text + neighbour.last.text
    await neighbour.says("换小区")
    neighbour.sees("您只登记在「阳光花园」。")


async def test_what_is_published_arrives_from_both(
    building: Building, owner: Phone, neighbour: Phone, sun: Phone
) -> None:
    await neighbour.says("3号楼电梯里困了人")
    owner.sees("报修 1 · 3 号楼 电梯 · 电梯故障 · 紧急")
    await owner.says("我的")
    owner.sees("现在没有等您处理的事")


async def test_the_account_of_another_is_not_entered(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await owner.says("/community")
    value = owner.last.buttons["江南苑"]
    await neighbour.forges(value)
    neighbour.sees("这件事不归您办理")


async def test_english_is_each_person_s_own(building: Building, owner: Phone) -> None:
    await owner.says("换小区")
    await owner.taps("江南苑")
    await owner.says("/language")
    await owner.says("kitchen tap drips")
    owner.sees("Which community is it about?", "阳光花园", "江南苑", "Cancel")
    await owner.says("2")
    owner.sees("Is this right?", "Submit")
