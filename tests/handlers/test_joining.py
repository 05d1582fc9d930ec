"""How people come in: by an invitation, their own number, or a request that staff approve; and what they agree to."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert
from sqlmodel import select

from handlers.codes import invitation_of
from handlers.inbox import said_in
from handlers.joining import find_home
from handlers.phones import set_phone
from handlers.roster import add_community, import_roster, read_roster
from handlers.tell import tell
from handlers.tx import Tx
from store.tables import Account, CommunitySetting, HomeRole, Inbox, JoinRequest, Outgoing, Person, Place
from tests.people import Building, Phone

PHONE = "13800138000"


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    return building.app.database.write_now(
        lambda session: work(Tx(session, building.clock.now(), building.app.house))
    )


def named(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).first()  # type: ignore[return-value]


def give_phone(building: Building, name: str, phone: str = PHONE) -> None:
    write(building, lambda tx: set_phone(tx, named(tx, name), phone))


def code_for(building: Building, name: str) -> str:
    return str(write(building, lambda tx: invitation_of(tx, named(tx, name))))


def accounts(building: Building, name: str) -> list[Account]:
    people = select(Person.id).where(Person.name == name)
    return building.read(select(Account).where(Account.person_id.in_(people)))  # type: ignore[attr-defined]


async def asks_to_come_in(new: Phone, *, home: str, name: str, role: str) -> None:
    await new.says("你好")
    await new.taps("申请登记")
    new.sees("申请登记之前", "同意，开始", "不同意")
    await new.taps("同意，开始")
    new.sees("您住哪一户？")
    await new.says(home)
    await new.says(name)
    await new.taps(role)
    new.sees(home, "提交", "修改")
    await new.taps("提交")
    new.sees("申请已经发给物业")


# --- by an invitation -------------------------------------------------------------------------------


async def test_an_invitation_is_a_code_and_a_yes(building: Building, phone: Callable[[str], Phone]) -> None:
    new = phone("新手机")
    await new.says(code_for(building, "周先生"))
    new.sees("周先生，您好，欢迎来到阳光花园", "同意，开始", "不同意", "English")
    await building.restart()
    await new.says("好的")
    new.sees("周先生，您好", "报修", "我的")


async def test_without_a_yes_nothing_is_done_but_what_saves_lives(
    building: Building, phone: Callable[[str], Phone], office: Phone, crew: Phone
) -> None:
    new = phone("新手机")
    await new.says(code_for(building, "周先生"))
    for words in ("厨房水龙头滴水", "/repair", "/my", "/mydata", "啊"):
        await new.says(words)
        new.sees("开始之前请看一下")
    await new.says("电梯里困了人")
    new.sees("已按紧急报修处理")
    new.sees("在哪一栋？")
    crew.sees("紧急报修")
    await new.taps("1 号楼")
    await new.taps("跳过")
    new.sees("谢谢，已告诉师傅")
    await new.says("/my")
    new.sees("开始之前请看一下")


async def test_who_does_not_agree_is_forgotten(building: Building, phone: Callable[[str], Phone]) -> None:
    new = phone("新手机")
    await new.says(code_for(building, "周先生"))
    await new.taps("不同意")
    new.sees("没有登记，您的账号已删除")
    assert len(accounts(building, "周先生")) == 1
    await new.says("你好")
    new.sees("我还不认识您")


async def test_who_does_not_agree_in_one_community_goes_on_in_another(
    building: Building, owner: Phone
) -> None:
    def elsewhere(tx: Tx) -> str:
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        roster = "楼栋,单元,房号,面积,姓名\n1,1,101,80,陈太太\n"
        import_roster(tx, other, read_roster(roster.encode()))
        return invitation_of(tx, named(tx, "陈太太"))

    code = write(building, elsewhere)
    await owner.says(f"/start {code}")
    owner.sees("陈太太，您好，欢迎来到月光花园")
    await owner.taps("不同意")
    owner.sees("没有登记")
    await owner.says("你好")
    owner.sees("陈女士，您好", "报修")
    await building.later(minutes=2)
    assert not accounts(building, "陈太太")
    assert len(accounts(building, "陈女士")) == 1


async def test_two_accounts_use_one_code_at_the_same_instant(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    code = code_for(building, "周先生")
    both = [phone("甲"), phone("乙")]
    await asyncio.gather(*(each.says(code) for each in both))
    for row in building.read(select(Place)):
        assert row.wrong_codes <= 1
    assert len(accounts(building, "周先生")) == 2  # the one before, and one of the two
    welcomed = [each for each in both if any("欢迎来到" in message.text for message in each.chat.messages)]
    refused = [each for each in both if any("已经用过" in message.text for message in each.chat.messages)]
    assert len(welcomed) == len(refused) == 1


async def test_a_second_phone_is_told_to_the_first(
    building: Building, phone: Callable[[str], Phone], neighbour: Phone
) -> None:
    await neighbour.says("你好")
    await phone("新手机").says(code_for(building, "周先生"))
    neighbour.sees("有一个新账号用您的身份登记进来了")


async def test_guessing_is_slowed_down_then_stopped_and_staff_are_told(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    await office.says("/help")
    thief, right = phone("贼"), code_for(building, "周先生")
    for _ in range(2):
        await thief.says("ABCDE-FGHJK")
        thief.sees("这个码不对")
    await thief.says("ABCDE-FGHJK")
    thief.sees("请等到")
    await thief.says(right)  # also the right one waits
    thief.sees("请等到")
    for _ in range(7):
        await building.later(hours=2)
        await thief.says("ABCDE-FGHJK")
        thief.sees("这个码不对")
    office.sees("连续 10 次输错邀请码")
    await building.later(hours=12)
    await thief.says(right)
    thief.sees("请等到")
    await building.later(hours=13)
    await thief.says(right)
    thief.sees("欢迎来到")


async def test_a_few_slips_cost_nothing(building: Building, phone: Callable[[str], Phone]) -> None:
    new, code = phone("新手机"), code_for(building, "周先生")
    for _ in range(2):
        await new.says("ABCDE-FGHJK")
    await new.says(code)
    new.sees("欢迎来到")


async def test_the_code_is_kept_in_no_row(building: Building, office: Phone) -> None:
    await office.says("/home")
    await office.says("3-2-1201")
    await office.taps("陈女士")
    await office.taps("发邀请码")
    shown = office.sees("给陈女士的邀请码：").text
    assert ("在微信里：关注公众号，把码发给它。" in shown) == (building.messenger == "wechat")
    code = shown.partition("：")[2][:11]
    rows = building.read(select(Outgoing.text))
    assert not [text for text in rows if code in text or code.replace("-", "") in text]
    new = building.phone("新手机")
    await new.says(code)
    new.sees("陈女士，您好，欢迎来到")


# --- by one's own number ----------------------------------------------------------------------------


async def test_ones_own_number_is_enough(building: Building, phone: Callable[[str], Phone]) -> None:
    give_phone(building, "周先生")
    new = phone("新手机")
    await new.says("你好")
    new.sees("我还不认识您", "申请登记")
    if building.changes:  # where there is a button for it
        new.sees("手机号在物业名册里的")
    await new.shares_contact(PHONE)
    new.sees("收到手机号 138****8000")
    new.sees("周先生，您好，欢迎来到阳光花园")
    await new.taps("同意，开始")
    new.sees("周先生，您好", "报修")


async def test_the_number_of_somebody_else_lets_nobody_in(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    give_phone(building, "周先生")
    new = phone("新手机")
    await new.says("你好")
    await new.shares_contact(PHONE, own=False)
    new.sees("这不是您自己的手机号")
    assert len(accounts(building, "周先生")) == 1


async def test_a_number_that_the_roster_does_not_have(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    new = phone("新手机")
    await new.says("你好")
    await new.shares_contact("13900139000")
    new.sees("名册里没有 139****9000", "申请登记")


async def test_two_people_with_one_number_say_which_they_are(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    give_phone(building, "周先生")
    give_phone(building, "陈女士")
    new = phone("新手机")
    await new.says("你好")
    await new.shares_contact(PHONE)
    new.sees("几个人共用", "周先生 3 号楼 2 单元 1202", "陈女士 3 号楼 2 单元 1201")
    await new.taps("周先生 3 号楼 2 单元 1202")
    new.sees("周先生，您好，欢迎来到")
    assert len(accounts(building, "周先生")) == 2


async def test_a_shared_number_is_no_key_to_others(building: Building, phone: Callable[[str], Phone]) -> None:
    give_phone(building, "周先生")
    give_phone(building, "陈女士")
    new = phone("新手机")
    await new.says("你好")
    await new.shares_contact(PHONE)
    for person in building.read(select(Person)):
        if person.name not in ("周先生", "陈女士"):
            await new.forges(f"join.as:{person.id}")
    assert [each.person_id for each in building.read(select(Account))].count(
        building.read(select(Person.id).where(Person.name == "王奶奶"))[0]
    ) == 1


async def test_the_number_that_a_roster_gives_is_no_key(building: Building) -> None:
    def moves_out(tx: Tx) -> int:
        person = named(tx, "周先生")
        for tie in tx.session.exec(select(HomeRole).where(HomeRole.person_id == person.id)):
            tx.session.delete(tie)
        return named(tx, "陈女士").id

    give_phone(building, "周先生")
    give_phone(building, "陈女士")
    other = write(building, moves_out)
    await building.phone("周先生").forges(f"join.as:{other}")
    assert [each.external_id for each in accounts(building, "陈女士")] == ["陈女士"]


async def test_a_number_is_sealed_wherever_it_is_kept(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    new = phone("新手机")
    await new.says("你好")
    await new.shares_contact(PHONE)
    with building.app.database.read() as session:
        dump = str([row.model_dump() for table in (Person, Outgoing) for row in session.exec(select(table))])
        dump += str(list(session.connection().exec_driver_sql("SELECT payload FROM inbox")))
    assert PHONE not in dump


# --- by a request -----------------------------------------------------------------------------------


async def test_staff_let_somebody_of_the_roster_in_with_one_tap(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="3号楼2单元1202", name="周先生", role="业主")
    office.sees(
        "自称：周先生，业主，3号楼2单元1202\n名册：3 号楼 2 单元 1202：周先生（业主，已登记）",
        "通过：就是周先生",
        "不通过",
    )
    await office.taps("通过：就是周先生")
    office.sees("✅ 已通过")
    new.sees("周先生，物业核对好了")
    new.sees("周先生，您好", "报修")
    assert len(accounts(building, "周先生")) == 2
    await new.says("厨房水龙头滴水")
    new.sees("请看一下对不对", "提交")


async def test_staff_let_a_tenant_in(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="3-2-1202", name="小吴", role="租户")
    await office.taps("通过：登记为租户")
    new.sees("小吴，您好", "报修")
    (tie,) = building.read(select(HomeRole).where(HomeRole.role == "tenant", ~HomeRole.from_roster))
    assert tie.person_id == accounts(building, "小吴")[0].person_id


async def test_a_home_that_is_none_cannot_be_approved(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="9号楼1单元101", name="周先生", role="业主")
    card = office.sees("没有找到这一户", "不通过")
    assert list(card.buttons) == ["不通过"]
    (asked,) = building.read(select(JoinRequest))
    await office.forges(f"join.approve:{asked.id}")
    assert building.read(select(JoinRequest.state)) == ["waiting"]
    await office.taps("不通过")
    new.sees("没有通过", "申请登记")


async def test_a_request_is_decided_once(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="3-2-1202", name="周先生", role="业主")
    await new.says("登记")
    new.sees("还在核对")
    (asked,) = building.read(select(JoinRequest))
    await office.taps("不通过")
    await office.forges(f"join.approve:{asked.id}")
    assert building.read(select(JoinRequest.state)) == ["declined"]
    assert len(accounts(building, "周先生")) == 1


async def test_who_came_in_meanwhile_is_no_second_person_of_the_home(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="3-2-1202", name="老周", role="业主")
    await new.says(code_for(building, "周先生"))
    await office.taps("通过：登记为业主")
    office.sees("名册刚刚变了")
    await office.taps("通过：就是周先生")
    office.sees("已通过")
    new.sees("周先生，您好")
    assert building.read(select(Person.name).where(Person.name == "老周")) == []
    assert len(accounts(building, "周先生")) == 2
    assert {row.state for row in building.read(select(Inbox))} == {"done"}


async def test_somebody_types_that_they_want_to_come_in(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    new = phone("新手机")
    await new.says("登记")
    new.sees("申请登记之前", "同意，开始", "不同意")


async def test_who_asks_to_come_in_waits_for_nobody_else_s_message(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    if building.app.database.is_sqlite:  # it has one writer
        return
    new = phone("新手机")
    await new.says("登记")
    await new.taps("同意，开始")
    with building.app.database.engine.begin() as other:  # a message of the same community is being taken
        community = building.community.id
        row = {"community_id": community, "name": "a", "value": 1}
        other.execute(insert(CommunitySetting), row)
        await asyncio.wait_for(new.forges(f"join.start:{community}"), 5)
    new.sees("您住哪一户？")


async def test_requests_have_an_end(building: Building, phone: Callable[[str], Phone], office: Phone) -> None:
    new = phone("新手机")
    await asks_to_come_in(new, home="3-2-1202", name="某人", role="业主")
    await office.taps("不通过")
    for _ in range(2):
        await new.taps("申请登记")
        for words in ("3-2-1202", "某人", "业主", "提交"):
            await new.says(words)
        new.sees("申请已经发给物业")
        await office.taps("不通过")
    last = new.sees("没有通过")
    assert last.buttons == {}
    await new.says("登记")
    new.sees("请带证件到物业前台")


async def test_clumsy_answers_on_the_way_in(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    new = phone("新手机")
    await new.says("申请登记")
    new.sees("我还不认识您", "申请登记")
    await new.says("1")
    new.sees("申请登记之前")
    await new.sends_photo()
    new.sees("申请登记之前")
    await new.says("同意")
    new.sees("您住哪一户？")
    await new.sends_photo()
    new.sees("请用文字")
    await new.says("3")
    new.sees("至少 2 个字")
    await new.says("3-2-1202")
    await new.says("返回")
    new.sees("您住哪一户？")
    await building.restart()
    await new.says("3-2-1202")
    new.sees("怎么称呼您？")
    await new.says("周先生")
    await new.says("老板")
    new.sees("没看懂您选哪一个")
    await new.says("业主")
    new.sees("请看一下对不对", "提交")
    await new.says("取消")
    new.sees("已取消")
    await new.says("厨房水龙头滴水")
    new.sees("您还没有登记进来", "申请登记")


async def test_the_danger_of_a_stranger_reaches_the_staff(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    await office.says("/help")
    new = phone("路人")
    await new.says("电梯里困了人")
    new.sees("请马上打物业电话")
    office.sees("没登记的人")
    await new.taps("申请登记")
    await new.taps("同意，开始")
    await new.says("着火了")
    new.sees("119")
    office.sees("着火了")


async def test_staff_read_where_a_waiting_guest_lives(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    await office.says("/help")
    new = phone("路人")
    for words in ("登记", "同意", "3-2-1201", "陈小妹", "家人", "姓名", "陈太太", "提交"):
        await new.says(words)
    await new.says("你好")
    assert "申请登记" not in new.sees("您还没有登记进来").buttons
    await new.says("燃气漏了")
    office.sees("陈太太 · 3-2-1201）说：燃气漏了")


async def test_a_stranger_is_answered_in_the_language_they_write(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    new = phone("Nancy")
    await new.says("The tap in my kitchen leaks")
    new.sees("This is not registered as a repair yet", "Ask to come in")
    await new.says("Hello, is anybody there?")
    new.sees("I do not know you yet", "Ask to come in")
    await new.says("gas smell in my kitchen")
    new.sees("Please call the property office now")
    await building.later(minutes=31)  # until then what is written belongs to the danger
    await new.says("我家水龙头坏了")
    new.sees("这一句还没有登记成报修")
    await new.taps("申请登记")
    await new.taps("不同意")
    new.sees("随时再发一句话给我")


async def test_what_waits_is_shown_to_who_comes_back(
    building: Building, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("厨房水龙头滴水")
    await owner.taps("提交")
    for label in ("接单", "修好了", "跳过", "跳过"):
        await plumber.taps(label)
    await owner.says("/start")
    owner.sees("陈女士，您好")
    owner.sees("等您看一下", "确认修好", "还没修好")


@pytest.mark.parametrize(
    ("written", "home"),
    [
        ("3号楼2单元1201", "3 2 1201"),
        ("3-2-1201", "3 2 1201"),
        ("３－２－１２０１", "3 2 1201"),
        ("3栋1201", "3 2 1201"),
        ("3 1201", "3 2 1201"),
        ("3号楼 2单元 1201室", "3 2 1201"),
        ("1201", ""),
        ("3-1-1201", ""),
        ("三号楼", ""),
        ("9-9-9", ""),
        ("", ""),
    ],
)
@pytest.mark.by_hand
async def test_an_address_names_one_home(building: Building, written: str, home: str) -> None:
    def work(tx: Tx) -> str:
        found = find_home(tx, building.community.id, written)
        return f"{found.building} {found.entrance} {found.room}" if found else ""

    assert write(building, work) == home


async def test_somebody_who_left_has_no_rights_but_their_account(
    building: Building, neighbour: Phone
) -> None:
    def leave(tx: Tx) -> None:
        for tie in tx.session.exec(select(HomeRole).where(HomeRole.person_id == named(tx, "周先生").id)):
            tx.session.delete(tie)

    await neighbour.says("厨房水龙头滴水")
    write(building, leave)
    await neighbour.taps("提交")
    neighbour.sees("不归您办理")
    await neighbour.says("/help")
    neighbour.sees("还没有登记进来", "申请登记")


async def test_a_long_silence_ends_with_what_waits(building: Building, owner: Phone) -> None:
    await owner.says("/help")
    await building.later(days=8)
    await owner.says("/my")
    owner.sees("现在没有等您处理的事")


async def test_owners_hear_who_was_let_into_their_home(
    building: Building, phone: Callable[[str], Phone], office: Phone, neighbour: Phone
) -> None:
    await neighbour.says("/help")
    await asks_to_come_in(phone("新手机"), home="3-2-1202", name="小吴", role="租户")
    await office.taps("通过：登记为租户")
    neighbour.sees("物业通过了登记申请：小吴是 3 号楼 2 单元 1202 的租户")


@pytest.mark.by_hand
async def test_a_code_that_may_still_open_something_is_kept_sealed(building: Building) -> None:
    code = code_for(building, "周先生")
    thief = Phone(building, "thief", "thief")
    for _ in range(3):
        await thief.says("ABCDE-FGHJK")
    await thief.says(f"/start {code}")  # barred: it is still good
    rows = building.read(select(Inbox).order_by(Inbox.id))
    assert [row for row in rows if code in str(row.payload)] == []
    assert said_in(rows[-1], building.app.house.vault).text == f"/start {code}"


@pytest.mark.by_hand
async def test_a_number_of_two_communities_opens_those_in_which_it_is_free(building: Building) -> None:
    """In one of them the account is somebody else already, whose new account nobody need hear of."""

    def elsewhere(tx: Tx) -> None:
        other = add_community(tx, "月光花园", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, other, read_roster(f"楼栋,房号,面积,姓名,电话\n9,101,80,林先生,{PHONE}\n".encode()))

    write(building, elsewhere)
    give_phone(building, "周先生")
    owner, neighbour = building.phone("陈女士"), building.phone("周先生")
    await neighbour.says("/help")
    neighbour.sees("周先生，您好")
    write(building, lambda tx: tell(tx, named(tx, "陈女士"), "stranger.contact", keyboard="contact"))
    await building.settle()
    await owner.shares_contact(PHONE)
    owner.sees("林先生，您好，欢迎来到月光花园")
    neighbour.sees_nothing()
    assert len(accounts(building, "周先生")) == 1
