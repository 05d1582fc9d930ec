"""The review of a request by staff, as talks."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers.people import roles_of
from handlers.tx import Tx
from store.tables import Audit, Equipment, Home, Opening, Person, Purchase, Role, Talk, Vote
from tests.handlers.test_purchases import THING, ask_for, neighbours, posted, requests
from tests.people import Building, Phone

NOTE = "3 号楼东侧有 4 个，2021 年装"


def committee(building: Building, *names: str) -> None:
    """Let these be the owners' committee."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        for name in names:
            person = session.exec(select(Person).where(Person.name == name)).one()
            assert "committee" not in roles_of(tx, person)
            session.add(Role(community_id=person.community_id, person_id=person.id, role="committee"))

    building.app.database.write_now(work)


async def noted(office: Phone, note: str = NOTE) -> None:
    """Staff say what there is already."""
    await office.taps("补充现有设备说明")
    await office.says(note)


async def reviewed(office: Phone, *answers: str, until: str = "") -> None:
    """The whole talk of a review that has its note, or up to the question that holds some words."""
    await office.taps("审核并发起投票")
    for words in answers:
        if until and until in office.last.text:
            return
        await office.says(words)


# What staff answer when the fund pays and nothing is altered, and they follow the law in everything.
LAWFUL = ("专项维修资金", "更换或添置，不改建", "1", "0", "1", "15", "确认，发起")
POLL = ("物业出资", "更换或添置，不改建", "1", "0", "1", "3", "确认，发起")


def vote_of(building: Building) -> Vote:
    (vote,) = building.read(select(Vote))
    return vote


# --- the note ---------------------------------------------------------------------------------------


async def test_nothing_opens_before_the_note(building: Building, owner: Phone, office: Phone) -> None:
    await ask_for(owner)
    assert "审核并发起投票" not in office.last.buttons
    (purchase,) = requests(building)
    await office.forges(f"review.start:{purchase.id}")
    office.sees("必须先补充现有设备说明，才能发起投票")
    await noted(office)
    office.sees(f"现有设备：{NOTE}", "审核并发起投票", "退回并说明理由")
    assert f"现有设备：{NOTE}" in posted(building.board)
    assert "待补充" not in office.last.text


async def test_the_register_is_offered_as_the_note(building: Building, owner: Phone, office: Phone) -> None:
    def work(session: Session) -> None:
        row = {"community_id": building.community.id, "created_at": building.clock.now()}
        session.add(Equipment(**row, number=1, kind="充电桩", building="3", count=4, since=2021))

    building.app.database.write_now(work)
    await ask_for(owner)
    await office.taps("查看登记的设备")
    line = office.sees("登记的设备里有：\n").text.splitlines()[1]
    assert "充电桩" in line
    await office.taps("补充现有设备说明")
    question = office.sees("小区现在有什么？")
    assert line in question.text
    await office.taps(next(label for label in question.buttons if label[:8] == line[:8]))
    assert requests(building)[0].note == line
    office.sees(f"现有设备：{line}")


@pytest.mark.parametrize("words", ["有", "字" * 501])
async def test_a_note_is_a_sentence(building: Building, owner: Phone, office: Phone, words: str) -> None:
    await ask_for(owner)
    await noted(office, words)
    assert requests(building)[0].note == ""
    await building.restart()
    await office.says(NOTE)
    assert requests(building)[0].note == NOTE


# --- turned down ------------------------------------------------------------------------------------


async def test_a_declined_request_comes_back_with_enough_signatures(
    building: Building,
    owner: Phone,
    neighbour: Phone,
    office: Phone,
    board: Phone,
    phone: Callable[[str], Phone],
) -> None:
    building.set_policy("insist_cosigners", 3)
    neighbours(building, "甲先生", "乙先生")
    await ask_for(owner)
    await neighbour.says("支持 1")  # signed before
    await office.taps("退回并说明理由")
    await office.says("电容量不够，联系电话 13800138000")
    office.sees("理由马上公示", "退回并公示")
    await office.taps("退回并公示")
    owner.sees("被物业退回，理由已公示：\n电容量不够", "征集联名")
    assert "已退回" in posted(board)
    assert "退回理由：电容量不够，联系电话 ***" in posted(board)
    assert "退回并说明理由" not in office.last.buttons
    await owner.taps("征集联名")
    owner.sees("正在征集联名：现有 1 位，满 3 位就回到物业审核")
    phone("甲先生").sees("支持：1 位业主（需要 3 位）", "支持")
    await phone("甲先生").says("支持 1")
    assert requests(building)[0].state == "declined"
    await phone("乙先生").says("支持 1")
    owner.sees("3 位业主联名，已回到物业审核，这次不能再退回")
    assert "退回并说明理由" not in office.sees("🧾 采购申请 1 · 物业审核中", "补充现有设备说明").buttons
    (purchase,) = requests(building)
    await office.forges(f"purchase.decline:{purchase.id}")
    office.sees("是业主联名要求的，不能退回")
    assert building.read(select(Talk)) == []


async def test_who_has_enough_already_only_has_to_ask(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    building.set_policy("insist_cosigners", 1)
    await ask_for(owner)
    await neighbour.says("支持 1")
    await office.taps("退回并说明理由")
    for words in ("电容量不够", "退回并公示"):
        await office.says(words)
    assert requests(building)[0].state == "declined"
    await owner.taps("征集联名")
    owner.sees("已回到物业审核")


# --- the clock --------------------------------------------------------------------------------------


async def test_a_review_that_is_late_is_said_on_the_board_and_daily_to_staff(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await ask_for(owner)
    office.sees("🧾 采购申请 1")
    await building.later(days=6, hours=8)  # a day before Monday 18:00
    assert not any("还剩一天" in message.text for message in office.chat.messages)
    await building.later(hours=2)
    office.sees("⏳ 采购申请 1 还剩一天", "补充现有设备说明")
    await building.restart()
    await building.later(days=1)
    office.sees("⏰ 采购申请 1 已过期", "补充现有设备说明")
    owner.sees("物业没有按时处理，公示栏上已写明")
    board.sees("物业审核中 · 物业未按时审核")
    await building.later(days=1)
    office.sees("⏰ 采购申请 1 已过期")
    assert [m.text for m in owner.chat.messages if "没有按时处理" in m.text and not m.seen] == []
    await noted(office)
    await reviewed(office, *POLL)
    said = len(office.chat.messages)
    await building.later(days=2)
    assert [m.text for m in office.chat.messages[said:] if "已过期" in m.text] == []


# --- the rule ---------------------------------------------------------------------------------------


async def test_what_the_company_pays_is_a_poll_at_once(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *POLL[:2])
    office.sees("法律没有要求业主大会表决", "只征求意见（按规定）", "业主大会表决")
    await building.restart()
    for words in POLL[2:-1]:
        await office.says(words)
    last = office.sees("资金：物业出资", "确认，发起")
    assert "⚠" not in last.text
    await office.taps("确认，发起")
    office.sees("🧾 采购申请 1 · 已发起投票")
    vote = vote_of(building)
    assert (vote.kind, vote.title) == ("poll", f"3 号楼：{THING} 10 个")
    assert (vote.opens_at, vote.deadline) == (building.clock.now(), building.clock.now() + timedelta(days=3))
    assert vote.policy["options"]["scope"]["buildings"] is None
    assert f"物业说明的现有设备：{NOTE}" in vote.policy["text"]
    assert "陈女士" not in vote.policy["text"]
    (purchase,) = requests(building)
    assert (purchase.vote_id, purchase.state, purchase.payer) == (vote.id, "voting", "company")
    assert "已发起投票" in posted(board)
    assert building.read(select(Audit).where(Audit.action == f"review.finish:{purchase.id}")) != []


@pytest.mark.parametrize(
    ("payer", "nature", "rule", "item"),
    [
        ("专项维修资金", "更换或添置，不改建", "ordinary", "第 5 项"),
        ("公共收益", "更换或添置，不改建", "ordinary", "第 9 项"),
        ("业主分摊", "更换或添置，不改建", "special", "第 6 项"),
        ("专项维修资金", "改建或加装固定设施", "special", "第 7 项"),
        ("物业出资", "利用共有部位经营", "special", "第 8 项"),
    ],
)
async def test_the_lawful_rule_is_the_first_choice(
    building: Building, owner: Phone, office: Phone, payer: str, nature: str, rule: str, item: str
) -> None:
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, payer, nature)
    question = office.sees(item, "业主大会表决（按规定）", "只征求意见")
    assert next(iter(question.buttons)) == "业主大会表决（按规定）"
    for words in ("业主大会表决（按规定）", "全小区（按规定）", "1", "15", "确认，发起"):
        await office.says(words)
    (opening,) = building.read(select(Opening))
    assert opening.vote["rule"] == rule
    owner.sees("按规定要开业主大会表决，正在等业委会两位成员发起")


async def test_what_departs_from_the_law_is_warned_of_at_the_last_look(
    building: Building, owner: Phone, office: Phone
) -> None:
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, "业主分摊", "改建或加装固定设施", "只征求意见", "3 号楼", "1", "5")
    office.sees("⚠ 按规定应该开业主大会表决：按民法典 278 条第 7 项", "确认，发起")
    await office.says("修改")
    await office.taps("方式")
    await office.says("业主大会表决")
    for words in ("3 号楼", "1", "20"):
        await office.says(words)
    warned = office.sees("⚠ 按规定业主大会表决由全体业主参加", "确认，发起")
    assert "征求意见的结果" not in warned.text
    await office.taps("确认，发起")
    (opening,) = building.read(select(Opening))
    assert (opening.vote["buildings"], opening.vote["days"]) == (["3"], 20)


async def test_an_opening_before_the_notice_is_refused_with_the_earliest_lawful_time(
    building: Building, owner: Phone, office: Phone
) -> None:
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:4])
    office.sees("要先公告 15 天", "公告满 15 天后开始，最早 2026-03-17 09:00（按规定）")
    for words, answer in (
        ("明天 9点", "要先公告 15 天，最早 3月17日 09:00 开始"),
        ("3月17日 8:59", "最早 3月17日 09:00 开始"),
        ("昨天", "没看懂时间"),
        ("看情况", "没看懂时间"),
        ("2026-01-01 9:00", "这个时间已经过了"),
        ("2029-01-01 9:00", "这个时间太远了"),
    ):
        await office.says(words)
        office.sees(answer)
    await office.says("3月20日 10点")
    office.sees("投几天？", "15 天（默认）")
    for words, answer in (("0", "请回复 1 到 120"), ("121", "请回复 1 到 120"), ("很多天", "没看懂数量")):
        await office.says(words)
        office.sees(answer)
    await office.says("20")
    office.sees("开始：2026-03-20 10:00\n天数：20", "确认，发起")
    await office.taps("确认，发起")
    assert building.read(select(Opening))[0].vote["opens"].startswith("2026-03-20T10:00")


async def test_a_city_has_its_own_period(building: Building, owner: Phone, office: Phone) -> None:
    building.set_policy("city", "杭州")
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:5])
    office.sees("杭州规定投票 5 到 60 天")
    await office.says("61")
    office.sees("杭州规定投票时间为 5 到 60 天")
    await office.says("60")
    office.sees("天数：60", "确认，发起")


async def test_where_the_city_has_its_own_platform_it_is_a_poll(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("city", "北京")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:2])
    question = office.sees("北京要求业主大会的网上表决在主管部门自己的平台上进行", "只征求意见（按规定）")
    assert "业主大会表决" not in question.buttons
    for words in ("只征求意见（按规定）", "0", "1", "3"):
        await office.says(words)
    office.sees("⚠ 按规定应该开业主大会表决")
    await office.taps("确认，发起")
    assert vote_of(building).kind == "poll"


@pytest.mark.parametrize("members", [(), ("周先生",)])
async def test_without_a_committee_staff_hear_how_to_elect_one(
    building: Building, owner: Phone, office: Phone, members: tuple[str, ...]
) -> None:
    committee(building, *members)
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:3])  # at once, not after all questions
    office.sees(f"得由业委会两位成员发起，现在登记了 {len(members)} 位。请发 /committee", "只征求意见")
    assert requests(building)[0].state == "review"
    assert building.read(select(Opening)) == []


async def test_a_committee_that_has_gone_meanwhile_opens_nothing(
    building: Building, owner: Phone, office: Phone
) -> None:
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:-1])

    def leave(session: Session) -> None:
        for role in session.exec(select(Role).where(Role.role == "committee")).all():
            session.delete(role)

    building.app.database.write_now(leave)
    await office.says(LAWFUL[-1])
    office.sees("得由业委会两位成员发起，现在登记了 0 位。请发 /committee")
    assert requests(building)[0].state == "review"
    await office.taps("审核并发起投票")
    office.sees("钱从哪里来")


async def test_a_home_without_an_area_is_said_before_the_committee_is_asked(
    building: Building, owner: Phone, office: Phone
) -> None:
    committee(building, "周先生", "王奶奶")

    def work(session: Session) -> None:
        home = session.exec(select(Home).where(Home.room == "803")).one()
        home.area = 0
        session.add(home)

    building.app.database.write_now(work)
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL)
    office.sees("有 1 户没有登记面积")
    assert requests(building)[0].state == "review"


async def test_two_staff_do_not_open_it_twice(building: Building, owner: Phone, office: Phone) -> None:
    """The talk of the second one is over when the first one has come to the end."""
    await ask_for(owner)
    await noted(office)
    second = building.group("王奶奶")
    await second.says("/tickets")
    (purchase,) = requests(building)
    await reviewed(office, *POLL[:-1])
    await second.forges(f"review.start:{purchase.id}")
    await office.says("确认，发起")
    assert building.read(select(Talk)) == []
    assert len(building.read(select(Vote))) == 1
    await second.forges(f"review.start:{purchase.id}")
    second.sees("申请 1 现在是「已发起投票」")


async def test_what_was_typed_about_a_name_is_not_in_the_vote(
    building: Building, owner: Phone, office: Phone
) -> None:
    await ask_for(owner, why="我是陈女士，电话 13800138000，没处充电")
    await noted(office, "4 个，问王师傅 13900139000")
    await reviewed(office, *POLL)
    text = vote_of(building).policy["text"]
    assert [word for word in ("陈女士", "13800138000", "13900139000") if word in text] == []
    assert len(building.read(select(Purchase))) == 1


async def test_staff_say_what_it_costs_if_nobody_has(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await ask_for(owner, cost="跳过")
    await noted(office)
    await office.taps("审核并发起投票")
    office.sees("还没有预算。大约多少钱？", "跳过")
    await office.says("挺贵的")
    office.sees("没看懂金额")
    await office.says("4.2万")
    for words in POLL[:-1]:
        await office.says(words)
    assert "预算还没有写" not in office.sees("请看一下对不对").text
    await office.says(POLL[-1])
    board.sees("预算：约 4.2 万元")


async def test_a_vote_without_an_estimate_warns(building: Building, owner: Phone, office: Phone) -> None:
    await ask_for(owner, cost="跳过")
    await noted(office)
    await office.taps("审核并发起投票")
    await office.taps("跳过")
    for words in POLL[:-1]:
        await office.says(words)
    office.sees("⚠ 预算还没有写：业主不知道要花多少钱。", "确认，发起")


async def test_a_shorter_vote_than_usual_warns(building: Building, owner: Phone, office: Phone) -> None:
    """Whoever types "1" for the only length that is offered gets one day, and must see it."""
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *LAWFUL[:5])
    office.sees("投几天？", "15 天（默认）")
    await office.says("1")
    office.sees("⚠ 只投 1 天，通常是 15 天：很多业主可能来不及投。", "确认，发起")
