"""Requests for equipment, as talks."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers.people import bind_account, new_person
from handlers.tx import Tx
from store.tables import Equipment, Event, Home, HomeRole, Media, Person, Place, Purchase, Supporter, Talk
from tests.people import Building, Phone

THING = "电动车充电桩"
WHY = "晚上排队充电，有人拉飞线"


async def ask_for(
    owner: Phone,
    what: str = THING,
    *,
    building: str = "3 号楼",
    why: str = WHY,
    count: str = "10",
    cost: str = "4.2万",
    until: str = "",
) -> None:
    """The whole talk of a request, or up to the question that holds some words."""
    await owner.says("/purchase")
    for words in (what, building, "跳过", why, count, cost, "跳过", "提交"):
        if until and until in owner.last.text:
            return
        await owner.says(words)


def neighbours(building: Building, *names: str) -> None:
    """More owners, each of a home of their own, who can be reached."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        for place, name in enumerate(names, 1):
            home = Home(
                community_id=building.community.id,
                building="1",
                entrance="1",
                room=f"9{place:02}",
                area=90000,
            )
            session.add(home)
            person = new_person(tx, building.community.id, name)
            session.flush()
            row = {"community_id": building.community.id, "home_id": home.id, "person_id": person.id}
            session.add(HomeRole(**row, role="owner"))
            bind_account(tx, person, building.messenger_of(name), building.account(name), agreed=True)
        for chat in session.exec(select(Place).where(Place.messenger == "wechat")):
            chat.free_until, chat.free_left = (
                building.clock.now() + timedelta(days=900),
                900,
            )  # as if they had written
            session.add(chat)

    building.app.database.write_now(work)


def posted(phone: Phone) -> str:
    """What stands about the request where this phone looks, among all else."""
    about = [each.text for each in phone.chat.messages if "申请 1 · " in each.text]
    return about[-1]


def requests(building: Building) -> list[Purchase]:
    return building.read(select(Purchase).order_by(Purchase.id))


# --- the talk ---------------------------------------------------------------------------------------


async def test_a_request_is_registered_published_and_shown_to_staff(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await owner.says("申请设备")
    owner.sees("想给小区添置什么", "取消")
    await owner.says(THING)
    owner.sees("给哪里用？", "3 号楼", "1 号楼", "2 号楼", "全小区")
    await building.restart()
    await owner.taps("3 号楼")
    owner.sees("具体装在哪里", "跳过")
    await owner.says("东侧车棚")
    owner.sees("为什么需要")
    await owner.says(WHY)
    owner.sees("需要几个")
    await owner.says("看着办吧")
    owner.sees("没看懂数量。请回复一个数字，例如 2")
    await owner.says("十个")
    owner.sees("一共大约多少钱", "跳过")
    await owner.says("挺贵的")
    owner.sees("没看懂金额。请回复一个总数，例如「4.2万」")
    await owner.says("4万2")
    owner.sees("拍一张报价单", "跳过")
    await owner.sends_photo()
    await owner.taps("好了")
    owner.sees(
        f"设备：{THING}\n楼栋：3 号楼\n位置：东侧车棚\n理由：{WHY}\n数量：10\n预算：4.2 万元\n照片（张）：1",
        "提交",
        "修改",
    )
    await owner.taps("提交")
    owner.sees(f"采购申请 1 已登记：{THING} 10 个 · 3 号楼（东侧车棚）", "看申请 1", "撤回申请")
    assert "物业在 3月9日 18:00 前审核" in owner.last.text
    shown = board.sees(
        f"设备申请 1 · {THING} 10 个 · 3 号楼（东侧车棚）\n物业审核中 · 3月9日周一 18:00 前答复"
    )
    assert shown.photos == 1
    assert f"为什么：{WHY}\n预算：约 4.2 万元" in shown.text
    notice = neighbour.sees("设备申请 1", "支持", "看申请 1")
    assert notice.silent or not building.changes
    card = office.sees(
        f"🧾 采购申请 1 · 物业审核中 · 3月9日周一 18:00 前答复 · 待补充现有设备说明\n"
        f"陈女士 3 号楼 2 单元 1201\n{THING} 10 个",
        "补充现有设备说明",
        "查看登记的设备",
        "退回并说明理由",
    )
    assert card.photos == 1
    (purchase,) = requests(building)
    assert (purchase.state, purchase.cost, purchase.count) == ("review", 4_200_000, 10)
    assert len(building.read(select(Media).where(Media.about == f"purchase:{purchase.id}"))) == 1


@pytest.mark.parametrize("words", ["不知道", "不清楚", "跳过", "没有"])
async def test_who_does_not_know_the_cost_skips_it(building: Building, owner: Phone, words: str) -> None:
    await ask_for(owner, cost=words)
    assert [each.cost for each in requests(building)] == [None]
    assert "预算" not in posted(building.board)


async def test_no_name_no_number_and_no_room_is_published(
    building: Building, owner: Phone, neighbour: Phone, board: Phone
) -> None:
    await ask_for(owner, why="我是陈女士，1201 室，电话 138 0013 8000，楼下没地方充电")
    for phone in (board, neighbour):
        text = phone.sees("设备申请 1").text
        assert "楼下没地方充电" in text
        assert [each for each in ("陈女士", "1201", "8000") if each in text] == []


async def test_only_owners_ask_and_only_in_their_own_chat(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    tenant = phone("Mr Smith")
    await tenant.says("/purchase")
    tenant.sees("采购申请由业主提出")
    await office.says("/purchase")
    office.sees("现在没有在办的采购申请")
    assert building.read(select(Talk)) == []


async def test_one_owner_has_only_so_many_open_at_a_time(building: Building, owner: Phone) -> None:
    building.set_policy("open_requests", 2)
    for what in ("充电桩", "路灯"):
        await ask_for(owner, what)
    await owner.says("/purchase")
    owner.sees("您已经有 2 件申请在办")
    assert len(requests(building)) == 2
    await owner.says("撤回申请 1")
    await owner.says("/purchase")
    owner.sees("想给小区添置什么")


async def test_the_limit_holds_when_the_form_was_open_already(building: Building, owner: Phone) -> None:
    building.set_policy("open_requests", 1)
    await ask_for(owner, until="请看一下对不对")

    def work(session: Session) -> None:
        who = session.exec(select(Person).where(Person.name == "陈女士")).one()
        row = {"community_id": who.community_id, "number": 9, "person_id": who.id, "what": "路灯"}
        session.add(Purchase(**row, created_at=building.clock.now()))

    building.app.database.write_now(work)
    await owner.says("提交")
    owner.sees("您已经有 1 件申请在办")
    assert [each.number for each in requests(building)] == [9]


async def test_danger_in_the_midst_of_a_request_is_reported(owner: Phone, crew: Phone) -> None:
    await ask_for(owner, until="为什么需要")
    await owner.says("电梯里困了人")
    owner.sees("已按紧急报修处理")
    crew.sees("🚨 紧急报修 1")


@pytest.mark.parametrize("words", ["x" * 101, "字" * 4000])
async def test_what_is_too_long_is_asked_again(owner: Phone, words: str) -> None:
    await owner.says("/purchase")
    await owner.says(words)
    owner.sees("有点长，最多 100 个字")


async def test_a_photo_where_words_were_asked_is_kept(building: Building, owner: Phone) -> None:
    await ask_for(owner, until="为什么需要")
    await owner.sends_photo()
    owner.sees("照片收到了")
    await owner.says("返回")
    owner.sees("具体装在哪里", "跳过")
    for words in ("跳过", WHY, "10", "4.2万", "好了", "提交"):
        await owner.says(words)
    assert building.board.sees("设备申请 1").photos == 1


@pytest.mark.parametrize("words", ["三号楼", "3号楼", "3 栋", "三"])
async def test_a_building_is_named_as_people_do(building: Building, owner: Phone, words: str) -> None:
    neighbours(building, "钱女士")
    await ask_for(owner, until="给哪里用")
    await owner.says(words)
    owner.sees("具体装在哪里")
    for words in ("跳过", WHY, "10", "跳过", "跳过", "提交"):
        await owner.says(words)
    assert "3 号楼" in posted(building.board)


# --- the same once more -----------------------------------------------------------------------------


async def test_who_asks_for_the_same_is_shown_the_request_and_supports_it(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await ask_for(owner)
    await ask_for(neighbour, "充电桩", until="已经有人申请过类似的")
    neighbour.sees(
        "已经有人申请过类似的", f"支持申请 1：{THING} 10 个（3 号楼 · 物业审核中）", "都不是，继续"
    )
    await neighbour.says("1")
    neighbour.sees(f"已记录：您支持申请 1（{THING}）。现在有 1 位业主支持")
    assert len(requests(building)) == len(building.read(select(Supporter))) == 1
    assert building.read(select(Talk)) == []


async def test_who_wants_something_else_goes_on(building: Building, owner: Phone, neighbour: Phone) -> None:
    await ask_for(owner)
    await ask_for(neighbour, "充电桩", until="已经有人申请过类似的")
    for words in ("都不是，继续", "跳过", WHY, "2", "跳过", "跳过", "提交"):
        await neighbour.says(words)
    assert [each.what for each in requests(building)] == [THING, "充电桩"]


async def test_who_asks_for_the_same_again_is_shown_their_own(building: Building, owner: Phone) -> None:
    await ask_for(owner)
    await ask_for(owner, until="已经有人申请过类似的")
    await owner.taps(f"看申请 1：{THING} 10 个（3 号楼 · 物业审核中）")
    owner.sees("经过：", "撤回申请")
    assert building.read(select(Supporter)) == []


async def test_another_building_is_another_matter(owner: Phone, neighbour: Phone) -> None:
    await ask_for(owner)
    await ask_for(neighbour, "充电桩", building="1 号楼", until="具体装在哪里")
    neighbour.sees("具体装在哪里")


async def test_the_kinds_of_the_register_are_offered(building: Building, owner: Phone) -> None:
    def work(session: Session) -> None:
        row = {"community_id": building.community.id, "created_at": building.clock.now()}
        session.add(Equipment(**row, number=1, kind="路灯", building="3"))

    building.app.database.write_now(work)
    await owner.says("/purchase")
    owner.sees("想给小区添置什么", "路灯")
    await owner.says("路")
    owner.sees("给哪里用")
    await owner.says("返回")
    await owner.says("1")
    await owner.says("返回")
    await owner.taps("路灯")
    await owner.taps("3 号楼")
    for words in ("跳过", WHY, "1", "跳过", "跳过", "提交"):
        await owner.says(words)
    assert [each.what for each in requests(building)] == ["路灯"]


# --- supporters -------------------------------------------------------------------------------------


async def test_staff_are_asked_only_when_enough_owners_have_signed(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    building.set_policy("cosigners", 3)
    names = ("甲先生", "乙先生", "丙先生")
    neighbours(building, *names)
    await ask_for(owner)
    owner.sees("要有 3 位业主支持，物业才审核", "撤回申请")
    office.sees_nothing()
    building.board.sees("征集支持中")
    for name in names[:2]:
        await phone(name).says("支持 1")
        phone(name).sees("已记录：您支持申请 1")
    office.sees_nothing()
    await phone(names[2]).says("支持 1")
    owner.sees("申请 1：3 位业主支持，人数够了。物业在 3月9日 18:00 前审核")
    office.sees("🧾 采购申请 1 · 物业审核中", "补充现有设备说明")
    assert "支持：3 位业主" in posted(building.board)


async def test_everybody_supports_once_and_nobody_their_own(
    building: Building, owner: Phone, neighbour: Phone, phone: Callable[[str], Phone]
) -> None:
    await ask_for(owner)
    (purchase,) = requests(building)
    for _ in range(2):
        await neighbour.forges(f"purchase.support:{purchase.id}")
        neighbour.sees("现在有 1 位业主支持")
    await owner.forges(f"purchase.support:{purchase.id}")
    owner.sees("申请 1 是您自己提的，不用再支持。现在有 1 位业主支持")
    await phone("Mr Smith").forges(f"purchase.support:{purchase.id}")
    phone("Mr Smith").sees("支持采购申请的只能是业主")
    assert len(building.read(select(Supporter))) == 1


async def test_the_proposer_hears_of_quarters_and_not_of_each_signature(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    building.set_policy("cosigners", 8)
    names = [f"{digit}先生" for digit in "甲乙丙丁戊己庚辛"]
    neighbours(building, *names)
    await ask_for(owner)
    owner.sees("采购申请 1 已登记")
    (purchase,) = requests(building)
    for name in names:
        await phone(name).forges(f"purchase.support:{purchase.id}")
    heard = [
        message.text for message in owner.chat.messages if not message.seen and "位业主支持" in message.text
    ]
    assert len(heard) == 4  # 2, 4, 6, and enough


# --- looking and withdrawing ------------------------------------------------------------------------


async def test_a_withdrawn_request_stops_its_clocks(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await ask_for(owner)
    await owner.taps("撤回申请")
    owner.sees("申请 1（电动车充电桩）已撤回")
    assert "已撤回" in posted(board)
    assert "退回并说明理由" not in office.last.buttons
    said = len(office.chat.messages)
    await building.later(days=20)
    assert len(office.chat.messages) == said
    (purchase,) = requests(building)
    await neighbour.forges(f"purchase.support:{purchase.id}")
    neighbour.sees("申请 1 现在是「已撤回」")
    await owner.forges(f"purchase.withdraw:{purchase.id}")
    owner.sees("申请 1 现在是「已撤回」")


async def test_everybody_can_look_at_all_of_it(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await ask_for(owner)
    await neighbour.says("采购申请")
    neighbour.sees("1 · 电动车充电桩 10 个 · 3 号楼 · 物业审核中", "看申请 1", "申请设备")
    await neighbour.taps("看申请 1")
    shown = neighbour.sees("经过：\n今天 09:00 业主提出申请", "支持")
    assert "陈女士" not in shown.text
    await owner.says("我的申请")
    owner.sees("1（您的） · 电动车充电桩")
    await owner.says("我的")
    owner.sees("申请 1 · 电动车充电桩", "看申请 1")
    await office.says("/purchases")
    office.sees("1 · 电动车充电桩", "看申请 1")
    await office.taps("看申请 1")
    office.sees("陈女士", "补充现有设备说明")
    tenant = phone("Mr Smith")
    await tenant.says("/purchases")
    await tenant.says("看申请 1")
    assert "支持" not in tenant.last.buttons


async def test_the_help_of_owners_leads_there(owner: Phone, phone: Callable[[str], Phone]) -> None:
    await owner.says("/help")
    owner.sees("邻里", "报修", "申请设备")
    await phone("Mr Smith").says("/help")
    assert "申请设备" not in phone("Mr Smith").last.buttons


async def test_a_request_in_english(building: Building, phone: Callable[[str], Phone], owner: Phone) -> None:
    await owner.says("/language")
    await owner.says("/purchase")
    owner.sees("What should the community get?")
    for words in ("EV chargers", "Building 3", "skip", "people queue", "2", "5,000.50", "skip", "submit"):
        await owner.says(words)
    owner.sees("Request 1 is registered: EV chargers, 2, Building 3")
    assert "预算：约 5,000.50 元" in posted(building.board)
    assert len(building.read(select(Event).where(Event.about == f"purchase:{requests(building)[0].id}"))) == 1
