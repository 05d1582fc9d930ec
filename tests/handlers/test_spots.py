"""Spots: staff keep the codes on the walls, and whoever scans one need not say where they are."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session, col, select

from handlers.codes import SPOT_ALPHABET, SPOT_LENGTH, code_in, new_code, new_spot_code, spot_in
from handlers.people import bind_account
from handlers.roster import add_community, import_roster, read_roster
from handlers.spots import add_spot
from handlers.tx import Tx
from store.tables import Account, Community, Person, Place, Repair, Spot, Talk
from tests.handlers.test_homes import write
from tests.people import Building, Phone

LIFT = ("lift", "3", "2 号梯")
GARAGE = ("garage", "", "B2 东区配电间旁")
GATE = ("other", "", "南门岗亭旁")


def spot(building: Building, place: str = "lift", block: str = "3", words: str = "2 号梯") -> str:
    """The code of a new spot."""

    def work(session: Session) -> str:
        tx = Tx(session, building.clock.now(), building.app.house)
        made, _ = add_spot(tx, building.community.id, place=place, building=block, words=words)
        return made.code

    return building.app.database.write_now(work)


def repairs(building: Building) -> list[tuple[Any, ...]]:
    found = building.read(select(Repair).order_by(col(Repair.id)))
    return [(each.place, each.building, each.spot, each.what, each.urgent) for each in found]


def other_letter(code: str, at: int = 1) -> str:
    """The code with one letter wrong."""
    wrong = next(each for each in SPOT_ALPHABET if each != code[at])
    return code[:at] + wrong + code[at + 1 :]


# --- the codes --------------------------------------------------------------------------------------


def test_no_slip_of_one_character_and_no_swap_makes_another_code(building: Building) -> None:
    codes = [write(building, new_spot_code) for _ in range(20)]
    for code in codes:
        assert len(code) == SPOT_LENGTH and set(code) <= set(SPOT_ALPHABET)
        assert re.search("[A-Z]", code) and re.search("[0-9]", code)
        wrong = {code[:at] + each + code[at + 1 :] for at in range(5) for each in SPOT_ALPHABET} - {code}
        wrong |= {code[:at] + code[at + 1] + code[at] + code[at + 2 :] for at in range(4)} - {code}
        assert [each for each in wrong if spot_in(each) is not None] == []
        assert spot_in(code) is not None


def test_no_code_of_a_spot_is_an_invitation_nor_the_other_way_round(building: Building) -> None:
    def invitation(tx: Tx) -> str:
        return new_code(tx, building.community.id, "person", hours=1)

    for _ in range(20):
        code, invited = write(building, new_spot_code), write(building, invitation)
        assert [code_in(form.format(code)) for form in ("{}", "/start {}", "位置 {}")] == [""] * 3
        assert [spot_in(form.format(invited)) for form in ("{}", "/start {}", "位置 {}")] == [None] * 3


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/start P7K2R", "P7K2R"),
        ("位置 P7K2R", "P7K2R"),
        ("位置P7K2R", "P7K2R"),
        ("位置：p7k2r", "P7K2R"),
        ("位置码: P7 K2R ", "P7K2R"),
        ("ｓｐｏｔ　Ｐ７Ｋ２Ｒ", "P7K2R"),
        ("Spot p-7-k-2-r", "P7K2R"),
        ("位置 94635", "94635"),  # an A read as a 4
        ("94635", None),
        ("位置 1201", None),
        ("位置 B2", None),
        ("位置：3号楼电梯", None),
        ("位置码", None),
        ("P7K2R", None),  # alone it must be without a slip
        ("HAPPY", None),
        ("13912", None),
        ("/start " + "A2" * 200, None),
        ("位置 P7K2R 灯坏了", None),
    ],
)
def test_what_is_read_as_a_code(text: str, code: str | None) -> None:
    found = spot_in(text)
    assert (found and found.code) == code


# --- staff keep them --------------------------------------------------------------------------------


async def test_staff_add_change_retire_and_restore(building: Building, office: Phone, owner: Phone) -> None:
    await office.says("/spots")
    office.sees("还没有位置码", "新位置")
    await office.taps("新位置")
    office.sees("贴在哪一栋？", "不属于哪一栋", "1 号楼", "3 号楼")
    await office.taps("3 号楼")
    office.sees("是什么地方？", "楼道", "电梯", "车库", "其他地方")
    await building.restart()
    await office.taps("电梯")
    office.sees("具体是哪里？")
    await office.says("2 号梯")
    office.sees("楼栋：3 号楼\n地方：电梯\n位置：2 号梯", "保存")
    await office.taps("保存")
    (code,) = building.read(select(Spot.code))
    office.sees("位置码已经能用了", "修改", "停用")
    card = office.last.text
    assert f"#1 3 号楼 电梯（2 号梯）\n扫不了可以打字：位置 {code}" in card
    if building.messenger == "telegram":
        assert re.search(rf"https://t\.me/\w+\?start={code}", card)
    for _ in range(2):
        await office.says("位置码")
        office.sees(f"#1 3 号楼 电梯（2 号梯） · {code}", "新位置", "位置 1")
    await office.taps("位置 1")
    await office.taps("修改")
    office.sees("#1 现在是这样", "保存", "修改")
    await office.taps("修改")
    await office.taps("位置")
    await office.says("客梯")
    await office.taps("保存")
    office.sees("已改好，墙上的码不用换。", "停用")
    await owner.says(f"位置 {code}")
    owner.sees("您在：3 号楼 电梯（客梯）")
    await office.says("停用")
    office.sees(f"#1 3 号楼 电梯（客梯） · {code}\n已停用", "恢复")
    await owner.says(f"位置 {code}")
    owner.sees(f"位置码「{code}」已经停用了")
    await office.taps("恢复")
    office.sees(f"位置 {code}", "停用")
    await office.says("/audit")
    assert "停用位置码 · 位置码 1" in office.sees("操作记录").text


async def test_one_place_has_one_code(building: Building, office: Phone) -> None:
    code = spot(building, *GATE)
    await office.says("/spots")
    await office.taps("新位置")
    for answer in ("0", "其他地方", "南门岗亭旁 ", "保存"):
        await office.says(answer)
    office.sees(f"这一处已经有位置码了，没有重复添加：\n\n#1 南门岗亭旁\n扫不了可以打字：位置 {code}")
    assert building.read(select(Spot.number)) == [1]


async def test_staff_see_a_spot_by_its_code_and_talk_undisturbed(building: Building, office: Phone) -> None:
    code = spot(building)
    await office.says(f"位置 {code}")
    office.sees("#1 3 号楼 电梯（2 号梯）", "修改", "停用")
    for words in (f"位置 {other_letter(code)}", "位置 B2F105", f"{code} 那张纸掉了", "位置 3A25"):
        await office.says(words)
        office.sees_nothing()


async def test_owners_keep_no_spots(building: Building, owner: Phone) -> None:
    spot(building)
    await owner.says("/spots")
    owner.sees("这件事不归您办理")
    (number,) = building.read(select(Spot.id))
    for name in ("show", "change", "retire", "restore"):
        await owner.forges(f"spot.{name}:{number}")
        owner.sees("这件事不归您办理")


async def test_staff_who_report_for_an_owner_take_the_code_that_is_read_out(
    building: Building, office: Phone, board: Phone
) -> None:
    code = spot(building)
    await office.says("查户 陈女士")
    await office.taps("陈女士")
    await office.taps("代报修")
    office.sees("替陈女士报修：哪里坏了？")
    await office.says(f"位置 {code.lower()}")
    office.sees("您在：3 号楼 电梯（2 号梯）。\n\n什么坏了？")
    await office.says("按钮没反应")
    await office.says("跳过")
    await office.says("提交")
    assert repairs(building) == [("lift", "3", "2 号梯", "按钮没反应", False)]


# --- an owner scans one -----------------------------------------------------------------------------


async def test_one_more_sentence_suffices(
    building: Building, owner: Phone, crew: Phone, board: Phone, neighbour: Phone
) -> None:
    code = spot(building)
    await owner.says(f"/start {code}")
    owner.sees("您在：3 号楼 电梯（2 号梯）。\n\n什么坏了？", "取消")
    await building.restart()
    await owner.says("按钮没反应")
    owner.sees("报修 1 已登记：3 号楼 电梯（2 号梯） · 按钮没反应", "补充照片或说明", "撤回")
    assert repairs(building) == [("lift", "3", "2 号梯", "按钮没反应", False)]
    board.sees("报修 1 · 3 号楼 电梯（2 号梯）")
    neighbour.sees("报修 1 · 3 号楼 电梯（2 号梯）")
    assert building.read(select(Talk)) == []


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (GARAGE, "车库（B2 东区配电间旁）"),
        (GATE, "南门岗亭旁"),
        (("other", "3", "1201 室门口消防栓"), "3 号楼（1201 室门口消防栓）"),
    ],
)
async def test_a_spot_needs_no_building_and_its_words_are_public(
    building: Building, owner: Phone, board: Phone, where: tuple[str, str, str], words: str
) -> None:
    code = spot(building, *where)
    await owner.says(f"位置 {code}")
    owner.sees(f"您在：{words}。\n\n什么坏了？")
    await owner.says("灯不亮了")
    owner.sees(f"报修 1 已登记：{words} · 灯不亮了")
    board.sees(f"报修 1 · {words} · 灯")
    assert repairs(building) == [(*where, "灯不亮了", False)]


async def test_words_that_name_nothing_are_shown_before_they_count(building: Building, owner: Phone) -> None:
    code = spot(building, *GATE)
    await owner.says(f"位置 {code}")
    await owner.says("没事，看看")
    owner.sees("位置：其他地方\n问题：没事，看看\n具体位置：南门岗亭旁", "提交", "取消")
    await owner.taps("取消")
    assert repairs(building) == []


async def test_photos_sent_at_a_spot_go_along(building: Building, owner: Phone, crew: Phone) -> None:
    code = spot(building)
    await owner.says(f"位置 {code}")
    await owner.sends_photo()
    owner.sees("照片收到了。\n\n什么坏了？")
    await owner.says("按钮没反应")
    owner.sees("收到 1 张", "好了")
    await owner.taps("好了")
    owner.sees("报修 1 已登记：3 号楼 电梯（2 号梯）")


async def test_danger_at_a_spot_is_paged_with_the_place(
    building: Building, owner: Phone, crew: Phone, board: Phone
) -> None:
    code = spot(building)
    await owner.says(f"位置 {code}")
    await owner.says("里面困了人")
    crew.sees("🚨 紧急报修 1 · 3 号楼 电梯（2 号梯）", "接单")
    owner.sees("不要扒门")
    owner.sees("安全的话拍张照片发来")  # nothing about the place is asked
    board.sees("报修 1 · 3 号楼 电梯（2 号梯）")


async def test_danger_at_a_spot_without_a_building_asks_for_none(
    building: Building, owner: Phone, crew: Phone
) -> None:
    code = spot(building, *GARAGE)
    await owner.says(f"位置 {code}")
    await owner.says("着火了")
    crew.sees("🚨 紧急报修 1 · 车库（B2 东区配电间旁）\n", "接单")
    owner.sees("安全的话拍张照片发来")  # nothing about the place is asked
    await owner.taps("跳过")
    owner.sees("谢谢，已告诉师傅：报修 1 · 车库（B2 东区配电间旁）")


async def test_doubtful_words_at_a_spot_ask_whether_it_is_danger(building: Building, owner: Phone) -> None:
    code = spot(building)
    await owner.says(f"位置 {code}")
    await owner.says("电梯抖得厉害")
    owner.sees("听起来可能有危险", "是，马上派人", "不是，普通报修")
    await owner.taps("不是，普通报修")
    owner.sees("报修 1 已登记：3 号楼 电梯（2 号梯）")


# --- in the midst of something ----------------------------------------------------------------------


async def test_it_fills_in_the_place_of_an_open_form(building: Building, owner: Phone) -> None:
    code = spot(building, "hall", "1", "一层大堂")
    await owner.says("灯不亮")
    owner.sees("哪里需要报修？")
    await owner.says(f"位置 {code}")
    shown = owner.sees("您在：1 号楼 楼道（一层大堂）。\n\n请看一下", "提交", "修改").text
    assert "位置：楼道\n问题：灯不亮\n楼栋：1 号楼\n具体位置：一层大堂" in shown
    await owner.taps("提交")
    assert repairs(building) == [("hall", "1", "一层大堂", "灯不亮", False)]


async def test_it_corrects_the_place_and_a_changed_place_forgets_it(building: Building, owner: Phone) -> None:
    code = spot(building)
    for answer in ("/repair", "车库", "按钮没反应", "2 号楼", f"位置 {code}", "跳过"):
        await owner.says(answer)
    owner.sees("位置：电梯\n问题：按钮没反应\n楼栋：3 号楼\n具体位置：2 号梯", "修改")
    await owner.taps("修改")
    await owner.taps("楼栋")
    await owner.says("1 号楼")
    shown = owner.sees("位置：电梯\n问题：按钮没反应\n楼栋：1 号楼").text
    assert "2 号梯" not in shown
    await owner.says("提交")
    owner.sees("报修 1 已登记：1 号楼 电梯 · 按钮没反应")


async def test_twice_in_a_row_and_another_wall_before_a_word_was_said(
    building: Building, owner: Phone
) -> None:
    first, second = spot(building), spot(building, *GARAGE)
    for code, words in (
        (first, "3 号楼 电梯（2 号梯）"),
        (first, "3 号楼 电梯（2 号梯）"),
        (second, "车库（B2"),
    ):
        await owner.says(f"/start {code}")
        owner.sees(f"您在：{words}")
        owner.sees_nothing() if building.messenger == "test" else None
    await owner.says("灯不亮")
    assert repairs(building) == [(*GARAGE, "灯不亮", False)]


async def test_it_says_where_the_crew_should_go(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    code = spot(building)
    await owner.says("救命，有人晕倒了，着火了")
    owner.sees("师傅该去哪里？")
    await crew.taps("接单")
    await owner.says(code)  # alone
    owner.sees("您在：3 号楼 电梯（2 号梯）。已告诉师傅。\n\n安全的话拍张照片发来")
    assert "3 号楼 电梯（2 号梯）" in crew.last.text or not building.changes
    assert repairs(building)[0][:3] == LIFT
    await owner.says("跳过")
    owner.sees("谢谢，已告诉师傅：报修 1 · 3 号楼 电梯（2 号梯）")


async def test_it_does_not_move_a_danger_that_was_left(building: Building, owner: Phone, crew: Phone) -> None:
    code = spot(building)
    await owner.says("厨房煤气味好大")
    await crew.taps("接单")
    await owner.says(f"位置 {code}")
    owner.sees("已补充到报修 1")
    (repair,) = building.read(select(Repair))
    assert (repair.place, repair.spot) == ("home", "")
    assert repair.added == "报修人现在在：3 号楼 电梯（2 号梯）"
    assert "安全的话拍张照片发来" in owner.last.text


async def test_another_form_is_not_dropped(building: Building, owner: Phone) -> None:
    code = spot(building)
    await owner.says("/purchase")
    await owner.says("长椅")
    asked = owner.last.text
    await owner.says(f"位置 {code}")
    owner.sees("您在：3 号楼 电梯（2 号梯）。", "在这里报修")
    assert owner.last.text.endswith(asked.rpartition("\n\n")[2])
    assert [each.script for each in building.read(select(Talk))] == ["purchase"]
    await owner.says("在这里报修")
    owner.sees("您在：3 号楼 电梯（2 号梯）。\n\n什么坏了？")


@pytest.mark.parametrize("form", ["{}", "位置 {}", "/start {}"])
@pytest.mark.parametrize(
    "change", [str.lower, " ".join, lambda code: "".join(chr(ord(c) + 0xFEE0) for c in code)]
)
async def test_it_is_understood_however_it_is_typed(
    building: Building, owner: Phone, form: str, change: Callable[[str], str]
) -> None:
    await owner.says(form.format(change(spot(building))))
    owner.sees("您在：3 号楼 电梯（2 号梯）。")


async def test_a_wrong_code_is_said_to_be_wrong_and_asked_again(building: Building, owner: Phone) -> None:
    code = spot(building)
    wrong = other_letter(code)
    for form in ("位置 {}", "/start {}"):
        await owner.says(form.format(wrong))
        owner.sees(f"没有「{wrong}」这个位置码", "帮助")
    await owner.says("灯不亮")
    await owner.says(f"位置 {wrong}")
    owner.sees(f"没有「{wrong}」这个位置码")
    assert "哪里需要报修？" in owner.last.text
    await owner.says("其他地方")
    await owner.says("位置 B2-105")  # a parking space, and no code
    owner.sees("具体位置：位置 B2-105", "提交")
    await owner.says("/start " + "A2" * 31)
    assert repairs(building) == []


async def test_a_retired_code_in_a_form_asks_again(building: Building, owner: Phone, office: Phone) -> None:
    code = spot(building)
    await office.says("/spots")
    await office.taps("位置 1")
    await office.says("停用")
    await owner.says("灯不亮")
    await owner.says(code)
    owner.sees(f"位置码「{code}」已经停用了。请直接说在哪里、什么坏了")
    assert "哪里需要报修？" in owner.last.text


# --- who is not in, and who is elsewhere ------------------------------------------------------------


async def test_a_stranger_hears_how_to_come_in_and_a_cry_has_the_place(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    code, guest = spot(building), phone("路人")
    await guest.says(f"/start {code}")
    guest.sees("已认出您的位置：阳光花园 · 3 号楼 电梯（2 号梯）。\n有危险请先打物业电话：021-5555 0110")
    guest.sees("我还不认识您", "申请登记")
    await guest.says("电梯里困了人")
    guest.sees("021-5555 0110")
    office.sees("说：电梯里困了人 · 3 号楼 电梯（2 号梯）")
    await guest.says(f"位置 {code}")
    office.sees("说：3 号楼 电梯（2 号梯）\n")
    assert repairs(building) == []


async def test_a_stranger_with_a_wrong_code_hears_how_to_come_in(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    wrong, guest = other_letter(spot(building)), phone("路人")
    await guest.says(f"/start {wrong}")
    guest.sees(f"没有「{wrong}」这个位置码")
    guest.sees("我还不认识您", "申请登记")


async def test_a_guest_goes_on_with_the_request(building: Building, phone: Callable[[str], Phone]) -> None:
    code, guest = spot(building), phone("路人")
    await guest.says("登记")
    await guest.says("同意，开始")
    asked = guest.last.text
    await guest.says(f"位置 {code}")
    guest.sees("已认出您的位置：阳光花园 · 3 号楼 电梯（2 号梯）")
    assert guest.last.text.endswith(asked.rpartition("\n\n")[2])


async def test_whoever_has_not_agreed_is_asked_first(building: Building, owner: Phone) -> None:
    code = spot(building)

    def work(session: Session) -> None:
        for account in session.exec(select(Account)).all():
            account.agreed_at = None
            session.add(account)

    building.app.database.write_now(work)
    await owner.says(f"/start {code}")
    owner.sees("已认出您的位置：3 号楼 电梯（2 号梯）。同意以后再扫一次")
    owner.sees("开始之前请看一下", "同意，开始")


async def test_the_crew_is_told_where_it_is(building: Building, crew: Phone) -> None:
    await crew.says(f"位置 {spot(building)}")
    crew.sees("这里是：3 号楼 电梯（2 号梯）。您在这个小区没有房屋")
    assert building.read(select(Talk)) == []


ELSEWHERE = """楼栋,单元,房号,面积,姓名,身份,工种,值班,编号
7号楼,1单元,301,70,陈女士,业主,,,
,,,,孙师傅,维修,,,
"""


@pytest.fixture
def there(building: Building) -> str:
    """The code of a spot in 江南苑, where 陈女士 owns a home, too."""

    def work(session: Session) -> str:
        tx = Tx(session, building.clock.now(), building.app.house)
        community = add_community(tx, "江南苑", time_zone="Asia/Shanghai", language="zh")
        import_roster(tx, community, read_roster(ELSEWHERE.encode()))
        for person in session.exec(select(Person).where(Person.community_id == community.id)).all():
            messenger = building.messenger_of(person.name)
            bind_account(tx, person, messenger, building.account(person.name), agreed=True)
        here = session.get_one(Community, building.community.id)
        for person in session.exec(select(Person).where(Person.community_id == here.id)).all():
            chats = select(Place).where(Place.external_id == building.account(person.name))
            for chat in session.exec(chats).all():
                chat.person_id, chat.community_id = person.id, here.id
        return add_spot(tx, community.id, place="lift", building="7", words="货梯")[0].code

    return building.app.database.write_now(work)


async def test_a_wall_of_another_of_ones_communities(
    building: Building, owner: Phone, phone: Callable[[str], Phone], there: str
) -> None:
    await owner.says("按钮没反应")
    await owner.says(f"位置 {there}")
    owner.sees("您在：江南苑 · 7 号楼 电梯（货梯）。")
    if "什么坏了？" in owner.last.text:
        await owner.says("按钮没反应")
    else:
        await owner.says("跳过")
        await owner.says("提交")
    owner.sees("报修 1 已登记：7 号楼 电梯（货梯） · 按钮没反应")
    phone("孙师傅").sees("报修 1 · 7 号楼 电梯（货梯）", "接单")
    await owner.says(f"位置 {spot(building)}")
    owner.sees("您在：阳光花园 · 3 号楼 电梯（2 号梯）。\n\n什么坏了？")
    await owner.says("按钮没反应")
    owner.sees("报修 1 已登记：3 号楼 电梯（2 号梯） · 按钮没反应")


async def test_a_half_filled_report_goes_along_to_the_other_community(
    building: Building, owner: Phone, phone: Callable[[str], Phone], there: str
) -> None:
    await owner.says("灯不亮")
    owner.sees("是哪个小区的事？")
    await owner.says(f"/start {there}")
    owner.sees("您在：江南苑 · 7 号楼 电梯（货梯）。\n\n有照片吗")
    await owner.says("跳过")
    await owner.says("提交")
    phone("孙师傅").sees("报修 1 · 7 号楼 电梯（货梯）", "接单")


async def test_a_wall_of_a_community_where_one_does_not_live(
    building: Building, neighbour: Phone, there: str
) -> None:
    await neighbour.says("灯不亮")
    await neighbour.says(f"/start {there}")
    neighbour.sees("这是「江南苑」的位置码，您在那里还没有登记")
    assert "哪里需要报修？" in neighbour.last.text
    (number,) = building.read(select(Spot.id))
    await neighbour.forges(f"spot.report:{number}")
    neighbour.sees("这个选项已经不能用了")
