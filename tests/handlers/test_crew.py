"""Staff keep the crew and the committee in the admin group; who is on duty, and for what, is computed."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from conversations.crew import hours_in
from handlers.crew import buildings_in, kinds_in
from handlers.people import bind_account, new_person, on_duty
from handlers.phones import set_phone
from handlers.tx import Tx
from store.tables import HomeRole, Person, Repair, Role, Talk
from tests.handlers.test_homes import add_home, write
from tests.handlers.test_repair import report
from tests.people import Building, Phone


def role_of(building: Building, name: str) -> Role:
    rows = building.read(select(Role).join(Person).where(Person.name == name, Role.role == "crew"))
    (role,) = rows
    assert isinstance(role, Role)
    return role


async def card(office: Phone, name: str, *labels: str) -> None:
    """Open a member's card from the list, and go on."""
    await office.says("师傅")
    for label in (name, *labels):
        await office.taps(label)


async def adds(office: Phone, name: str, phone: str = "跳过") -> None:
    await office.says("师傅")
    await office.taps("加师傅")
    await office.says(name)
    await office.says(phone)


def code_in_chat(office: Phone) -> str:
    """The latest invitation that staff were shown."""
    text = [message.text for message in office.chat.messages if "邀请码：" in message.text][-1]
    return text.partition("邀请码：")[2][:11]


# --- what staff write -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("全部", []),
        ("什么都修", None),
        ("水管、灯", ["pipe", "lamp"]),
        ("水管 灯，门", ["pipe", "lamp", "door"]),
        ("修灯", ["lamp"]),
        ("电梯", ["lift"]),
        ("电工", ["power", "electric", "lamp"]),
        ("电", ["power", "electric", "lamp"]),
        ("木工和油漆", ["door", "window", "furniture", "paint", "leak", "structure", "facade"]),
        ("门禁", ["intercom", "net"]),
        ("tap, lamp", ["tap", "lamp"]),
        ("all", []),
        ("水管、天文", None),
        ("、", None),
    ],
)
def test_trades_are_read_as_people_say_them(text: str, kinds: list[str] | None) -> None:
    assert kinds_in(text) == kinds


@pytest.mark.parametrize("text", ["水电", "水电工", "水、电", "水工电工", "plumber, electrician"])
def test_water_and_power_are_one_trade_or_two(text: str) -> None:
    assert {"pipe", "tap", "power", "lamp"} <= set(kinds_in(text) or ()) or text == "水工电工"


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("08:00-20:00", "08:00-20:00"),
        ("8:00-20:00", "08:00-20:00"),
        ("8-20", "08:00-20:00"),
        ("8点-20点", "08:00-20:00"),
        ("20点到8点", "20:00-08:00"),
        ("８：３０—１７：３０", "08:30-17:30"),
        ("8点半到17点半", "08:30-17:30"),
        ("早上8点到晚上8点", "08:00-20:00"),
        ("早八点到晚六点半", "08:00-18:30"),
        ("上午9点到下午5点", "09:00-17:00"),
        ("八点到十二点", "08:00-12:00"),
        ("8am-8pm", "08:00-20:00"),
        ("8 am to 8 pm", "08:00-20:00"),
        ("12am-12pm", "00:00-12:00"),
        ("中午12点到晚上12点", "12:00-00:00"),
        ("晚上8点到凌晨2点", "20:00-02:00"),
        ("夜里2点到下午1点", "02:00-13:00"),
        ("0点-24点", ""),
        ("全天", ""),
        ("24小时", ""),
        ("always", ""),
        ("25点到8点", None),
        ("8:70-9:00", None),
        ("白天", None),
        ("8点", None),
        ("-", None),
    ],
)
def test_hours_are_read_as_people_say_them(text: str, hours: str | None) -> None:
    assert hours_in(text) == hours


@pytest.mark.by_hand
async def test_buildings_are_read_as_people_say_them(building: Building) -> None:
    def work(tx: Tx) -> list[list[str] | None]:
        add_home(tx, "A座", "", "1")
        texts = ("1、3", "1号楼 3栋", "三号楼", "３", "a座", "A", "全部", "9", "1、9", "好的")
        return [buildings_in(tx, 1, text) for text in texts]

    assert write(building, work) == [
        *(["1", "3"], ["1", "3"], ["3"], ["3"], ["A座"], ["A座"], []),
        *(None, None, None),
    ]


# --- a new member -----------------------------------------------------------------------------------


async def test_a_new_member_comes_in_by_the_code_and_gets_tickets(building: Building, office: Phone) -> None:
    await office.says("/crew")
    office.sees("维修师傅（🟢 现在值班）：\n🟢 李师傅 · 全部工种 · 全部楼栋 · 全天", "王师傅", "加师傅")
    await office.taps("加师傅")
    office.sees("新师傅叫什么？", "取消")
    await office.sends_photo()
    office.sees("请用文字回答")
    await office.says("赵师傅")
    office.sees("赵师傅的手机号？", "跳过", "返回")
    await office.says("返回")
    await office.says("赵师傅")
    await office.says("1380013")
    office.sees("这不像手机号", "跳过")
    await building.restart()
    await office.says("138 0013 8000")
    office.sees(
        "🟢 赵师傅 · 全部工种 · 全部楼栋 · 全天\n手机：138****8000\n聊天账号：还没有登记进来\n下面可以设",
        "工种",
    )
    office.sees("给赵师傅的邀请码：")


@pytest.mark.by_hand
async def test_the_code_of_a_new_member_works_once_on_a_new_phone(building: Building, office: Phone) -> None:
    await adds(office, "赵师傅")
    code = code_in_chat(office)
    zhao, thief = Phone(building, "zhao", "zhao"), Phone(building, "thief", "thief")
    await zhao.says(code)
    zhao.sees("赵师傅，您好，欢迎来到阳光花园的邻里", "同意，开始")
    await zhao.says("同意，开始")
    zhao.sees("派给您的工单会直接发到这里", "工单")
    await thief.says(code)
    thief.sees("这个码不对，或者已经用过")
    await card(office, "赵师傅", "工种")
    await office.says("灯")
    zhao.sees("物业更新了您的安排：🟢 赵师傅 · 灯")
    await report(building.phone("陈女士"), "客厅灯不亮")
    zhao.sees("报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_only_the_last_code_works(building: Building, office: Phone) -> None:
    await adds(office, "赵师傅")
    first = code_in_chat(office)
    await card(office, "赵师傅", "邀请码")
    assert code_in_chat(office) != first


async def test_who_is_in_the_crew_is_not_added_twice(building: Building, office: Phone) -> None:
    await adds(office, "李师傅")
    office.sees("李师傅已经在维修师傅里了，没有重复添加。\n\n🟢 李师傅", "工种")
    assert role_of(building, "李师傅")


async def test_an_owner_of_the_same_name_and_number_is_the_same_person(
    building: Building, office: Phone, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    def work(tx: Tx) -> None:
        set_phone(tx, tx.session.exec(select(Person).where(Person.name == "陈女士")).one(), "13800138000")

    write(building, work)
    await adds(office, "陈女士", "13800138000")
    office.sees("陈女士已经登记过，刚通知本人，不用邀请码。", "工种")
    owner.sees("物业已把您登记为维修师傅。", "帮助")
    assert len(building.read(select(Person).where(Person.name == "陈女士"))) == 1
    await adds(office, "周先生", "13800138000")  # the number of a family is no proof
    assert len(building.read(select(Person).where(Person.name == "周先生"))) == 2


async def test_a_resident_is_named_by_the_home(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("师傅")
    await office.taps("加师傅")
    await office.says("3-2-1202 陈女士")
    office.sees("没有找到这个人，或者有几个同名的。", "取消")
    await office.says("3-2-1201 陈女士")
    await office.says("跳过")
    owner.sees("物业已把您登记为维修师傅。")
    assert role_of(building, "陈女士")


# --- what, where and when ---------------------------------------------------------------------------


async def test_trades_buildings_and_hours_are_set_in_words(
    building: Building, office: Phone, crew: Phone
) -> None:
    await card(office, "李师傅", "工种")
    office.sees("李师傅修什么？", "取消")
    await office.says("天文")
    office.sees("没看懂「天文」是修什么的。", "取消")
    await office.says("水管、灯")
    office.sees("🟢 李师傅 · 水管、灯 · 全部楼栋 · 全天", "楼栋")
    await office.taps("楼栋")
    await office.says("9")
    office.sees("没有「9」这样的楼栋，现有：1 号楼、2 号楼、3 号楼。")
    await office.says("三号楼、1")
    office.sees("李师傅 · 水管、灯 · 3 号楼、1 号楼")
    await office.taps("值班时间")
    await office.says("晚上")
    office.sees("没看懂「晚上」是几点到几点。")
    await office.says("20点到8点")
    office.sees("李师傅 · 水管、灯 · 3 号楼、1 号楼 · 20:00-08:00")
    crew.sees("物业更新了您的安排：李师傅 · 水管、灯 · 3 号楼、1 号楼 · 20:00-08:00")
    role = role_of(building, "李师傅")
    assert (role.skills, role.buildings, role.duty) == (["pipe", "lamp"], ["3", "1"], "20:00-08:00")
    await building.later(hours=12)
    await office.says("师傅")
    assert "🟢 李师傅" in office.last.text
    assert "🟢 王师傅" not in office.last.text
    await card(office, "李师傅", "工种")
    await office.says("全部")
    office.sees("🟢 李师傅 · 全部工种")


async def test_a_ticket_goes_to_who_serves_the_building(
    building: Building, office: Phone, phone: Callable[[str], Phone], plumber: Phone, crew: Phone
) -> None:
    for name, buildings in (("李师傅", "1"), ("张师傅", "3"), ("王师傅", "2")):
        await card(office, name, "楼栋")
        await office.says(buildings)
    await report(phone("陈女士"), "厨房水龙头滴水")
    phone("张师傅").sees("报修 1 · 3 号楼 2 单元 1201", "接单")
    await phone("王奶奶").says("1号楼电梯里困了人")
    crew.sees("🚨 紧急报修 2 · 1 号楼 电梯", "接单")
    assert not any("报修 2" in message.text for message in phone("张师傅").chat.messages)
    await building.later(minutes=3)
    assert not any("报修 2" in message.text for message in phone("张师傅").chat.messages)
    await building.later(minutes=3)
    phone("张师傅").sees("🚨🚨 紧急报修 2", "接单")  # the third time everybody is called


async def test_at_night_who_is_on_duty_is_paged_whatever_the_building(
    building: Building, office: Phone, owner: Phone, phone: Callable[[str], Phone], plumber: Phone
) -> None:
    await card(office, "李师傅", "值班时间")
    await office.says("8点到20点")
    await card(office, "张师傅", "楼栋")
    await office.says("1号楼")
    await building.later(hours=13)
    await owner.says("厨房煤气味好大")
    phone("张师傅").sees("🚨 紧急报修 1", "接单")
    plumber.sees_nothing()


@pytest.mark.by_hand
async def test_who_is_on_duty_is_computed(building: Building) -> None:
    def work(tx: Tx) -> list[list[str]]:
        (role,) = tx.session.exec(select(Role).join(Person).where(Person.name == "李师傅"))
        role.skills, role.buildings = ["lift"], ["3"]
        tx.session.add(role)
        tx.session.flush()
        asked = (("lift", "3"), ("lift", "1"), ("lift", ""), ("tap", "3"), ("garden", "1"))
        return [[person.name for person in on_duty(tx, 1, *each)] for each in asked]

    assert write(building, work) == [["李师傅"], ["李师傅"], ["李师傅"], ["王师傅"], ["李师傅", "王师傅"]]


async def test_trades_of_a_roster_that_are_no_kinds_stand_as_written(
    building: Building, office: Phone
) -> None:
    def work(tx: Tx) -> None:
        (role,) = tx.session.exec(select(Role).join(Person).where(Person.name == "李师傅"))
        role.skills = ["水电", "lift"]
        tx.session.add(role)

    write(building, work)
    await office.says("师傅")
    office.sees("🟢 李师傅 · 水电、电梯故障 · 全部楼栋")


# --- who leaves -------------------------------------------------------------------------------------


async def test_the_tickets_of_who_leaves_go_to_others_and_the_owners_hear_it(
    building: Building, office: Phone, owner: Phone, plumber: Phone, phone: Callable[[str], Phone]
) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await report(phone("周先生"), "马桶漏水")
    await plumber.says("修好了 1")
    await card(office, "王师傅", "结束身份")
    office.sees(
        "真的要结束王师傅的维修师傅身份吗？\n权利立即停止，本人会收到通知。手上有", "确定结束", "取消"
    )
    await building.restart()
    await office.taps("确定结束")
    office.sees("王师傅已不再是维修师傅，权利已停止。手上的", "师傅")
    owner.sees("王师傅临时去不了（报修 1），正在另找师傅。")
    phone("张师傅").sees("报修 1 · 3 号楼 2 单元 1201", "接单")  # who has the fewest
    plumber.sees("物业已结束您的维修师傅身份")
    assert [message.buttons for message in plumber.chat.messages if message.buttons] == []
    assert building.read(select(Talk)) == []
    repairs = building.read(select(Repair))
    assert not [each for each in repairs if each.crew_id in {p.id for p in people(building, "王师傅")}]
    await plumber.says("待办")
    plumber.sees("这件事不归您办理")
    before = [message.text for message in plumber.chat.messages]
    await phone("张师傅").says("接单")
    owner.sees("张师傅已接单（报修 1）")
    assert [message.text for message in plumber.chat.messages] == before


def people(building: Building, name: str) -> list[Person]:
    return building.read(select(Person).where(Person.name == name))


async def test_a_promise_of_somebody_who_left_is_passed_on(
    building: Building, office: Phone, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    plumber.sees("报修 1", "接单")
    await card(office, "王师傅", "结束身份", "确定结束")
    owner.sees("报修 1 改由李师傅负责，期限不变：周三 18:00 前。", "撤回")
    crew.sees("报修 1 · 3 号楼 2 单元 1201", "接单")


async def test_an_emergency_of_who_leaves_is_paged_again(
    building: Building, office: Phone, owner: Phone, crew: Phone, plumber: Phone
) -> None:
    await owner.says("电梯里困了人")
    await crew.taps("接单")
    await card(office, "李师傅", "结束身份", "确定结束")
    owner.sees("李师傅临时去不了（报修 1）")
    plumber.sees("🚨 紧急报修 1", "接单")
    office.sees("🚨 紧急报修 1 还没有人接单（第 2 次呼叫）")


async def test_who_left_is_not_called_when_their_work_is_not_accepted(
    building: Building, office: Phone, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    for label in ("接单", "修好了", "跳过", "跳过"):
        await plumber.taps(label)
    await card(office, "王师傅", "结束身份", "确定结束")
    await owner.taps("还没修好")
    await owner.says("还在滴")
    crew.sees("报修 1 业主说还没修好 · 3 号楼 2 单元 1201", "接单")


async def test_with_nobody_left_staff_are_told(
    building: Building, office: Phone, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    await report(owner, "厨房水龙头滴水")
    for name in ("李师傅", "张师傅"):
        await card(office, name, "结束身份", "确定结束")
    await card(office, "王师傅", "结束身份", "确定结束")
    office.sees("报修 1 没有师傅可派，请物业安排")
    office.sees("手上的 1 件里，1 件没有别的师傅可派，请安排。")
    await office.says("师傅")
    office.sees("还没有师傅。点「加师傅」。", "加师傅")


async def test_two_staff_dismiss_the_same_member(building: Building, office: Phone) -> None:
    other = building.group("赵经理")
    await card(office, "张师傅", "结束身份")
    await card(other, "张师傅", "结束身份")
    await other.taps("确定结束")
    other.sees("张师傅已不再是维修师傅")
    await office.says("确定结束")
    await office.says("师傅")
    assert "张师傅" not in office.last.text


async def test_an_old_card_of_who_left_says_that_it_is_old(building: Building, office: Phone) -> None:
    await card(office, "张师傅", "结束身份", "确定结束")
    await office.taps("值班时间")
    office.sees("这个选项已经不能用了")


async def test_who_left_and_comes_again_is_the_same_person(building: Building, office: Phone) -> None:
    await adds(office, "赵师傅", "13800138000")
    await card(office, "赵师傅", "结束身份", "确定结束")
    await adds(office, "赵师傅", "13800138000")
    office.sees("🟢 赵师傅 · 全部工种", "工种")
    (zhao,) = people(building, "赵师傅")
    assert zhao.left_at is None


# --- the committee ----------------------------------------------------------------------------------


async def test_the_committee_is_kept_in_the_group(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("/committee")
    office.sees("业委会成员：没有人", "加成员")
    await office.taps("加成员")
    office.sees("谁是新的业委会成员？", "取消")
    await office.says("查不到的")
    office.sees("没有找到这个人，或者有几个同名的。")
    await office.says("陈女士")
    office.sees("已登记陈女士为业委会成员，本人会收到通知。\n\n业委会成员：陈女士", "移出陈女士", "加成员")
    owner.sees("物业已把您登记为业委会成员。", "帮助")
    await owner.taps("帮助")
    owner.sees("您还是业委会成员。", "报修")
    await office.taps("加成员")
    await office.says("3-2-1201 陈女士")
    office.sees("陈女士已经是业委会成员了。")
    await office.taps("移出陈女士")
    office.sees("真的要结束陈女士的业委会成员身份吗？\n权利立即停止，本人会收到通知。", "确定结束", "取消")
    await office.taps("确定结束")
    office.sees("陈女士已不再是业委会成员，权利已停止。", "业委会")
    owner.sees("物业已结束您的业委会成员身份")
    await owner.says("帮助")
    assert "业委会" not in owner.last.text


async def test_mr_smith_can_be_elected(office: Phone, phone: Callable[[str], Phone]) -> None:
    await office.says("业委会")
    await office.taps("加成员")
    await office.says("Mr Smith")
    office.sees("业委会成员：Mr Smith", "移出Mr Smith")


# --- /help ------------------------------------------------------------------------------------------


def of_the_house(building: Building) -> None:
    """A co-owner, somebody of the family, a member of the committee and a guest."""

    def work(tx: Tx) -> None:
        home = add_home(tx, "6", "1", "601", "吴先生", "吴太太")
        child = new_person(tx, 1, "小吴")
        tx.session.add(HomeRole(community_id=1, home_id=home.id, person_id=child.id, role="family"))
        elected = new_person(tx, 1, "郑主任")
        tx.session.add(Role(community_id=1, person_id=elected.id, role="committee"))
        guest = new_person(tx, 1, "路人")
        coowner = tx.session.exec(select(Person).where(Person.name == "吴太太")).one()
        for person in (child, elected, guest, coowner):
            messenger = building.messenger_of(person.name)
            bind_account(tx, person, messenger, building.account(person.name), agreed=True)

    write(building, work)


@pytest.mark.parametrize(
    ("who", "words", "labels"),
    [
        (
            "陈女士",
            "直接打字告诉我",
            ["报修", "集市", "发布信息", "投诉、建议", "申请设备", "投票", "设备", "我的", "委托", "English"],
        ),
        (
            "吴太太",
            "直接打字告诉我",
            ["报修", "集市", "发布信息", "投诉、建议", "申请设备", "投票", "设备", "我的", "委托", "English"],
        ),
        (
            "小吴",
            "业主的表决由业主本人办",
            ["报修", "集市", "发布信息", "投诉、建议", "设备", "我的", "English"],
        ),
        (
            "Mr Smith",
            "业主的表决由业主本人办",
            ["报修", "集市", "发布信息", "投诉、建议", "设备", "我的", "English"],
        ),
        ("李师傅", "派给您的工单会直接发到这里", ["工单", "English"]),
        ("郑主任", "您是业委会成员", ["投票", "发起征求意见", "English"]),
        ("刘经理", "物业的事请在管理群里办", ["English"]),
        ("路人", "您还没有登记进来", ["申请登记", "English"]),
    ],
)
async def test_help_shows_each_just_what_they_can_do(
    building: Building, phone: Callable[[str], Phone], who: str, words: str, labels: list[str]
) -> None:
    of_the_house(building)
    for command in ("/start", "帮助"):
        await phone(who).says(command)
        shown = phone(who).sees(words, *labels)
        assert list(shown.buttons) == labels
        assert len(shown.text.splitlines()) <= 4
    await phone(who).taps("English")
    phone(who).sees("All right, English from now on.", "Help", "中文")
    await phone(who).says("/help")
    assert "中文" in phone(who).last.buttons
    await phone(who).says("/language")
    phone(who).sees("好的，以后用中文。")


async def test_help_in_the_group_shows_what_staff_can_do(office: Phone) -> None:
    await office.says("/help")
    shown = office.sees("这里是物业管理群")
    assert list(shown.buttons) == [
        "待办",
        "工单",
        "通知",
        "事件",
        "逾期报修",
        "数据",
        "待裁定",
        "发布规则",
        "采购申请",
        "投票",
        "公示栏",
        "集市",
        "查户",
        "师傅",
        "业委会",
        "经理",
        "名册",
        "设备",
        "位置码",
        "电话名单",
        "操作记录",
        "连接业主群",
    ]


async def test_a_group_that_reads_english(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> Any:
        tx.community(1).language = "en"

    write(building, work)
    await office.says("crew")
    office.sees(
        "Repair crew (🟢 on duty now):\n🟢 李师傅 · all trades · all buildings · always", "Add somebody"
    )
    await office.taps("李师傅")
    await office.says("hours")
    office.sees("When is 李师傅 on duty?", "Cancel")
    await office.says("8pm-8am")
    office.sees("李师傅 · all trades · all buildings · 20:00-08:00")


@pytest.mark.by_hand
async def test_a_stranger_who_asks_for_help_by_command_is_no_emergency(
    building: Building, office: Phone
) -> None:
    stranger = Phone(building, "路过", "路过")
    await stranger.says("/help")
    assert not any("119" in message.text for message in stranger.chat.messages)
    office.sees_nothing()
    await stranger.says("救命，着火了")
    stranger.sees("119")
    office.sees("没登记的人")
