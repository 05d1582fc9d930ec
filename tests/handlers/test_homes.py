"""Staff look homes and people up in the admin group, report for who telephones, and take out who has gone."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from handlers.addresses import find_home, homes_at, named, one_named, parts_of
from handlers.people import new_person
from handlers.phones import set_phone
from handlers.tx import Tx
from store.tables import Account, Home, HomeRole, Parking, Person, Repair, Talk
from tests.handlers.test_repair import report
from tests.people import Building, Phone

CHEN = "3 号楼 2 单元 1201"


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    return building.app.database.write_now(
        lambda session: work(Tx(session, building.clock.now(), building.app.house))
    )


def add_home(tx: Tx, building: str, entrance: str, room: str, *people: str, role: str = "owner") -> Home:
    home = Home(community_id=1, building=building, entrance=entrance, room=room, area=89_350)
    tx.session.add(home)
    tx.session.flush()
    for name in people:
        person = new_person(tx, 1, name)
        tx.session.add(HomeRole(community_id=1, home_id=home.id, person_id=person.id, role=role))
    tx.session.flush()
    return home


def without_account(building: Building, name: str) -> None:
    """Somebody of the roster who has no chat yet."""

    def work(tx: Tx) -> None:
        person = tx.session.exec(select(Person).where(Person.name == name)).one()
        for account in tx.session.exec(select(Account).where(Account.person_id == person.id)):
            tx.session.delete(account)

    write(building, work)


async def finds(office: Phone, said: str) -> None:
    await office.says("查户")
    await office.says(said)


async def opens(office: Phone, said: str, *labels: str) -> None:
    """Find a home and tap one's way through its cards."""
    await finds(office, said)
    for label in labels:
        await office.taps(label)


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("3号楼2单元1201", ["3", "2", "1201"]),
        ("３－２－１２０１", ["3", "2", "1201"]),
        ("三号楼二单元一二零一室", ["3", "2", "1201"]),
        ("十二栋0501", ["12", "501"]),
        ("第3幢 2门 1201 房", ["3", "2", "1201"]),
        ("Building 3, entrance 2, 1201", ["3", "2", "1201"]),
        ("A座1201", ["A", "1201"]),
        ("陈女士", ["陈女士"]),
        ("。，", []),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, parts: list[str]) -> None:
    assert parts_of(text) == parts


@pytest.mark.by_hand
async def test_an_address_means_the_homes_that_it_fits(building: Building) -> None:
    def work(tx: Tx) -> dict[str, list[str]]:
        add_home(tx, "A座", "", "1201")
        add_home(tx, "3", "1", "1201")
        return {
            text: [f"{home.building}/{home.entrance}/{home.room}" for home in homes_at(tx, 1, text)]
            for text in ("3-2-1201", "3-1201", "2单元1201", "1201", "A座1201", "a座2单元1201", "9-9-9", "")
        }

    assert write(building, work) == {
        "3-2-1201": ["3/2/1201"],
        "3-1201": ["3/1/1201", "3/2/1201"],
        "2单元1201": ["3/2/1201"],
        "1201": ["3/1/1201", "3/2/1201", "A座//1201"],
        "A座1201": ["A座//1201"],
        "a座2单元1201": ["A座//1201"],
        "9-9-9": [],
        "": [],
    }


@pytest.mark.by_hand
async def test_a_name_means_one_person_or_none(building: Building) -> None:
    def work(tx: Tx) -> dict[str, str]:
        add_home(tx, "5", "1", "101", "陈女士")
        found = {
            text: one_named(tx, 1, text)
            for text in (
                "周先生",
                "陈女士",
                "3-2-1201 陈女士",
                "3号楼2单元1201陈女士",
                "mr smith",
                "1504 周先生",
            )
        }
        assert find_home(tx, 1, "1504") is None  # a request to come in says more than a room
        assert [each.name for each in named(tx, 1, "师傅", part=True)] == ["李师傅", "王师傅", "张师傅"]
        return {text: who.name if who else "" for text, who in found.items()}

    assert write(building, work) == {
        "周先生": "周先生",
        "陈女士": "",
        "3-2-1201 陈女士": "陈女士",
        "3号楼2单元1201陈女士": "陈女士",
        "mr smith": "Mr Smith",
        "1504 周先生": "",
    }


# --- finding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["3号楼2单元1201", "3-2-1201", "3栋1201", "1201", "三号楼1201", "３号楼１２０１", "陈女士", "陈"]
)
async def test_a_home_is_found_as_staff_write_it(office: Phone, said: str) -> None:
    await finds(office, said)
    office.sees(f"🏠 {CHEN} · 89.35 ㎡ · 已交付\n陈女士（业主）\n车位：无\n点姓名可以", "陈女士", "查户")


async def test_of_several_homes_staff_choose(office: Phone) -> None:
    await finds(office, "王奶奶")
    office.sees("「王奶奶」找到这些", "1 号楼 1 单元 101 王奶奶", "1 号楼 2 单元 803 王奶奶", "查户")
    await office.says("1 号楼 2 单元 803 王奶奶")
    office.sees("🏠 1 号楼 2 单元 803")


async def test_two_people_of_one_name_are_told_apart_by_their_homes(
    building: Building, office: Phone
) -> None:
    write(building, lambda tx: add_home(tx, "5", "", "101", "陈女士"))
    await finds(office, "陈女士")
    office.sees("您要看哪一个？", f"{CHEN} 陈女士", "5 号楼 101 陈女士")
    await finds(office, "5号楼101 陈女士")
    office.sees("🏠 5 号楼 101")


async def test_what_fits_many_homes_shows_ten_and_says_so(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        for number in range(20, 32):
            add_home(tx, f"{number}", "1", "707", "赵先生")

    write(building, work)
    await finds(office, "707")
    assert len(office.sees("「707」找到 12 户，先列 10 户", "20 号楼 1 单元 707", "查户").buttons) == 11


async def test_what_is_not_found_says_what_to_write(office: Phone) -> None:
    await finds(office, "查不到的")
    office.sees("没有找到「查不到的」。请点「查户」", "查户")
    await office.taps("查户")
    office.sees("要查哪一户？", "取消")


async def test_a_name_of_the_crew_leads_to_their_card(office: Phone) -> None:
    await finds(office, "李师傅")
    await office.taps("李师傅")
    office.sees("🟢 李师傅 · 全部工种", "值班时间")


async def test_a_home_of_thirty_can_be_looked_through(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        home = add_home(tx, "9", "1", "1", *(f"合租{number}" for number in range(29)), "合租1", role="tenant")
        tx.session.add(Parking(community_id=1, number="B1-07", home_id=home.id))

    write(building, work)
    await finds(office, "9-1-1")
    card = office.sees("车位：B1-07", "合租0", "合租28", "合租1 ·2")
    assert len(card.buttons) == 31
    await office.taps("合租1 ·2")
    office.sees("合租1（租户） · 9 号楼 1 单元 1", "代报修", "移出")
    assert not {"设为代表", "登记委托"} & set(office.last.buttons)


async def test_wrong_answers_are_asked_again(building: Building, office: Phone) -> None:
    await office.says("/home")
    await office.sends_photo()
    office.sees("请用文字回答", "取消")
    await office.says("返回")
    office.sees("已经是第一个问题了", "取消")
    await office.says("查户")
    assert [m.text for m in office.chat.messages if not m.seen and "要查哪一户" in m.text] == [
        "要查哪一户？请写房号、姓名或手机号，例如「3-2-1201」「陈女士」。"
    ]
    await building.restart()
    await office.says("取消")
    office.sees("已取消")


# --- colleagues in one group ------------------------------------------------------------------------


async def test_colleagues_do_not_answer_each_other_s_questions(building: Building, office: Phone) -> None:
    other = building.group("赵经理")
    await office.says("查户")
    for chatter in ("好的", "收到", "3", "陈女士", "下午开会吗"):
        await other.says(chatter)
        other.sees_nothing()
    for chatter in ("好的", "收到", "嗯嗯", "谢谢", "OK"):
        await office.says(chatter)
        office.sees_nothing()
    await other.says("查户")
    await office.says("陈女士")
    office.sees(f"🏠 {CHEN}")
    await other.says("周先生")
    office.sees("🏠 3 号楼 2 单元 1202")


async def test_a_colleague_s_question_is_theirs_to_tap(building: Building, office: Phone) -> None:
    await opens(office, "1201", "陈女士", "移出")
    other = building.group("赵经理")
    await other.taps("确定移出")
    other.sees("这是刘经理正在填的")
    await office.taps("确定移出")
    office.sees("已把陈女士从")


async def test_numbers_and_yes_among_colleagues_confirm_nothing(building: Building, office: Phone) -> None:
    await opens(office, "1201", "陈女士", "移出")
    for said in ("1", "是", "对的"):
        await office.says(said)
        office.sees("还没有提交。没问题就选下面的第一个", "确定移出")
    await office.says("好的")
    office.sees_nothing()
    assert len(building.read(select(HomeRole).join(Home).where(Home.room == "1201"))) == 1
    await office.says("确定移出")
    office.sees("已把陈女士从 3 号楼 2 单元 1201 移出", "看这一户")


async def test_a_label_that_stands_on_two_cards_is_to_be_tapped(office: Phone) -> None:
    await opens(office, "1201", "陈女士")
    await opens(office, "1202", "周先生")
    await office.says("代报修")
    office.sees("有几处都有「代报修」，请直接选")


async def test_owners_have_none_of_this(owner: Phone, office: Phone) -> None:
    await opens(office, "1201", "陈女士")
    for value in office.last.buttons.values():
        await owner.forges(value)
        owner.sees("这件事不归您办理")
    await owner.says("查户")
    owner.sees("这件事不归您办理")


# --- one person of a home ---------------------------------------------------------------------------


async def test_the_card_of_a_person_masks_the_number(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        set_phone(tx, tx.session.exec(select(Person).where(Person.name == "陈女士")).one(), "13800138000")

    write(building, work)
    await opens(office, "1201", "陈女士")
    office.sees(
        f"陈女士（业主） · {CHEN}\n手机：138****8000\n聊天账号：",
        "代报修",
        "发邀请码",
        "设为代表",
        "登记委托",
        "移出",
    )
    assert not any("13800138000" in message.text for message in office.chat.messages)


async def test_one_owner_represents_the_home_and_all_owners_hear_it(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    def work(tx: Tx) -> None:
        home = tx.session.exec(select(Home).where(Home.room == "1201")).one()
        zhou = tx.session.exec(select(Person).where(Person.name == "周先生")).one()
        tx.session.add(
            HomeRole(community_id=1, home_id=home.id, person_id=zhou.id, role="owner", share="1/2")
        )

    write(building, work)
    await opens(office, "1201", "陈女士", "设为代表")
    office.sees("陈女士（业主，代表）", "取消代表")
    for phone in (owner, neighbour):
        phone.sees(f"{CHEN}：陈女士现在代表这一户的业主。有异议请联系021-5555 0110。")
    await opens(office, "1201", "周先生", "设为代表")
    office.sees("周先生（业主 1/2，代表）")
    ties = building.read(select(HomeRole).join(Home).where(Home.room == "1201"))
    assert sorted(tie.represents for tie in ties) == [False, True]
    await office.taps("取消代表")
    owner.sees("周先生不再代表这一户的业主")


async def test_who_is_taken_out_has_no_rights_from_that_moment(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await report(owner, "厨房水龙头滴水", until="什么时候可以上门")
    value = owner.last.buttons["随时可以"]
    await opens(office, "1201", "陈女士", "移出")
    office.sees(f"真的要把陈女士从 {CHEN} 移出吗？", "确定移出", "取消")
    await building.restart()
    await office.taps("确定移出")
    office.sees(f"已把陈女士从 {CHEN} 移出，权利立即停止。", "看这一户")
    owner.sees(f"物业已把您从 {CHEN} 移出")
    assert building.read(select(Talk)) == []
    await owner.forges(value)
    owner.sees("这个选项是以前的")
    await owner.says("厨房水龙头滴水")
    owner.sees("您还没有登记进来")
    assert building.read(select(Repair)) == []


async def test_what_was_said_of_danger_is_not_lost_with_the_rights(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    await owner.says("电梯抖得厉害")
    await opens(office, "1201", "陈女士", "移出", "确定移出")
    crew.sees("（未确认，报修人没有回答）", "接单")


async def test_two_staff_take_the_same_person_out(building: Building, office: Phone) -> None:
    other = building.group("赵经理")
    await opens(office, "1201", "陈女士", "移出")
    await opens(other, "1201", "陈女士", "移出")
    await other.taps("确定移出")
    await office.says("确定移出")
    assert building.read(select(HomeRole).join(Home).where(Home.room == "1201")) == []
    await opens(office, "1201")
    office.sees("没有人\n车位：无", "查户")


# --- an owner who telephones ------------------------------------------------------------------------


async def test_staff_report_for_who_telephones(
    building: Building, owner: Phone, office: Phone, plumber: Phone, board: Phone
) -> None:
    await opens(office, "1201", "陈女士", "代报修")
    office.sees("替陈女士报修：哪里坏了？", "业主家里", "电梯", "取消")
    await office.says("业主家里")
    office.sees("什么坏了？照陈女士说的写", "返回")
    await office.says("返回")
    office.sees("哪里坏了？")
    await office.taps("业主家里")
    await building.restart()
    await office.says("水龙头滴水")
    office.sees("师傅什么时候可以上门？", "先打电话")
    await office.says("好的")
    office.sees_nothing()
    await office.taps("先打电话")
    await office.taps("跳过")
    office.sees("替陈女士报修，请看一下对不对：\n位置：业主家里\n问题：水龙头滴水", "提交", "修改")
    await office.taps("提交")
    office.sees("已替陈女士登记报修 1，本人会收到通知。")
    owner.sees(f"物业替您登记的。报修 1 已登记：{CHEN} · 水龙头滴水", "撤回")
    plumber.sees(f"报修 1 · {CHEN}", "接单")
    board.sees("报修 1 · 3 号楼 · 水龙头")
    await owner.says("我的")
    owner.sees("1 · 3 号楼 2 单元 1201 · 水龙头滴水", "查看 1")
    for label in ("接单", "修好了", "跳过", "跳过"):
        await plumber.taps(label)
    await owner.taps("确认修好")
    owner.sees("报修 1 完成")


async def test_who_has_no_chat_is_told_the_number_by_staff(building: Building, office: Phone) -> None:
    without_account(building, "陈女士")
    await opens(office, "1201", "陈女士", "代报修", "电梯")
    await office.says("按钮不亮")
    await office.says("3号楼")
    await office.says("没有")
    await office.says("提交")
    office.sees("已替陈女士登记报修 1。对方还没有登记聊天账号，请把编号告诉本人。")


async def test_of_several_homes_the_one_that_staff_found_is_meant(
    building: Building, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await opens(office, "803", "王奶奶", "代报修", "业主家里")
    await office.says("下水道堵了")
    await office.says("随时可以")
    await office.says("跳过")
    office.sees("房屋：1 号楼 2 单元 803", "提交")
    await office.taps("提交")
    phone("王奶奶").sees("报修 1 已登记：1 号楼 2 单元 803")


@pytest.mark.parametrize("words", ["着火了", "家里煤气味好大"])
async def test_danger_on_the_telephone_is_paged_before_any_question(
    building: Building, office: Phone, crew: Phone, phone: Callable[[str], Phone], words: str
) -> None:
    await opens(office, "803", "王奶奶", "代报修")
    await office.says(words)
    assert "1 号楼 2 单元 803" in crew.sees("🚨 紧急报修 1", "接单").text
    office.sees("已替王奶奶登记报修 1")
    phone("王奶奶").sees("物业替您登记的。已按紧急报修处理，编号 1", "撤回")
    assert building.read(select(Talk)) == []


async def test_danger_that_staff_who_live_here_write_down_is_the_caller_s(
    building: Building, office: Phone, owner: Phone, crew: Phone
) -> None:
    def work(tx: Tx) -> None:
        person = tx.session.exec(select(Person).where(Person.name == "刘经理")).one()
        home = add_home(tx, "8", "1", "801")
        tx.session.add(HomeRole(community_id=1, home_id=home.id, person_id=person.id, role="owner"))

    write(building, work)
    await opens(office, "1201", "陈女士", "代报修", "业主家里")
    await office.says("厨房着火了")
    crew.sees(f"🚨 紧急报修 1 · {CHEN}", "接单")
    owner.sees("物业替您登记的。")


async def test_the_same_danger_told_twice_is_one_report(
    building: Building, office: Phone, owner: Phone, crew: Phone
) -> None:
    await owner.says("着火了")
    await opens(office, "1201", "陈女士", "代报修")
    await office.says("着火了，烟很大")
    office.sees("已替陈女士登记报修 1")
    owner.sees("已补充到报修 1")
    assert len(building.read(select(Repair))) == 1


async def test_the_daily_limit_is_not_for_staff(building: Building, owner: Phone, office: Phone) -> None:
    building.set_policy("reports_a_day", 1)
    await report(owner, "厨房水龙头滴水")
    await opens(office, "1201", "陈女士", "代报修", "业主家里")
    for said in ("卧室灯不亮", "随时可以", "跳过", "提交"):
        await office.says(said)
    office.sees("已替陈女士登记报修 2")


async def test_another_search_puts_the_call_aside_and_says_so(building: Building, office: Phone) -> None:
    await opens(office, "1201", "陈女士", "代报修", "业主家里")
    await office.says("查户")
    office.sees("刚才没填完的内容先放下了，没有提交。")
    office.sees("要查哪一户？", "取消")
    assert building.read(select(Repair)) == []


async def test_a_call_that_ends_is_cancelled(building: Building, office: Phone, owner: Phone) -> None:
    await opens(office, "1201", "陈女士", "代报修", "业主家里")
    await office.taps("代报修")
    office.sees("还没填完，接着填吧", "取消")
    await office.taps("取消")
    office.sees("已取消，没有提交任何内容。")
    owner.sees_nothing()


# --- in English -------------------------------------------------------------------------------------


async def test_a_group_that_reads_english(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        tx.community(1).language = "en"

    write(building, work)
    await office.says("home")
    office.sees(
        'Which home? Please write an address, a name or a mobile number, for example "3-2-1201"', "Cancel"
    )
    await office.says("Building 3, entrance 2, 1201")
    office.sees("🏠 Building 3, entrance 2, 1201 · 89.35 m² · delivered\n陈女士 (owner)", "Find a home")
    await office.taps("陈女士")
    office.sees("Mobile: none", "Report for them", "Let them represent")
    await office.says("Report for them")
    office.sees("Reporting for 陈女士: where is it?", "Their home")
