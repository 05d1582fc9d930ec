"""A vote in the chats: the ballot comes to everybody who may vote, is cast, changed, reminded of, and counted once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from conversations.said import Said
from handlers.holding import hold
from handlers.tx import Tx
from store.tables import Ballot, Home, HomeRole, Person, Role, Vote, Voter
from tests.handlers.test_agents import appoints
from tests.handlers.test_homes import opens
from tests.people import Building, Phone


def write(building: Building, work: Any) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


async def held(building: Building, **what: Any) -> Vote:
    """A poll of three days begins."""

    def work(tx: Tx) -> Vote:
        given = {"kind": "poll", "title": "3号楼充电桩", "text": "约 4.2 万元，用公共收益", **what}
        given = {"opens_at": tx.now, "deadline": tx.now + timedelta(days=3), **given}
        return hold(tx, 1, None, **given)

    vote: Vote = write(building, work)
    await building.settle()
    return vote


def cast_in(building: Building) -> list[str]:
    return [
        each.entry
        for each in building.read(select(Ballot).where(Ballot.kind == "ballot").order_by(col(Ballot.n)))
    ]


async def test_a_ballot_comes_is_cast_changed_and_counted(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await held(building)
    owner.sees("投票 1：3号楼充电桩", "赞成", "反对", "弃权", "详情")
    neighbour.sees("征求意见，非业主大会决定", "赞成")
    board.sees("正在投票 1")
    await owner.taps("赞成")
    owner.sees("已记录：赞成（3 号楼 2 单元 1201）", "反对")
    await owner.says("不同意")
    owner.sees("已记录：反对")
    await building.restart()
    await owner.taps("反对")
    owner.sees("您已经投过：反对")
    assert len(cast_in(building)) == 2
    await neighbour.says("1")
    neighbour.sees("已记录：赞成")
    await building.later(days=3, seconds=10)
    owner.sees("结果：参与的不够，没有结果", "我要异议")
    assert "./linli verify linli-vote-1.zip" in board.sees("结果：参与的不够，没有结果").text
    office.sees("结果：参与的不够，没有结果")
    await owner.taps("我要异议")
    owner.sees("您认为哪里不对")


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def co_owner(tx: Tx, name: str, room: str) -> None:
    """Somebody of the roster is a co-owner of another home, too."""
    home = tx.session.exec(select(Home).where(Home.room == room)).one()
    person = one(tx, name)
    tx.session.add(HomeRole(community_id=1, home_id=home.id, person_id=person.id, role="owner"))
    tx.session.flush()


def committee(tx: Tx, *names: str) -> None:
    for name in names:
        tx.session.add(Role(community_id=1, person_id=one(tx, name).id, role="committee"))


async def test_a_co_owner_has_the_receipt_at_once(building: Building, owner: Phone, neighbour: Phone) -> None:
    write(building, lambda tx: co_owner(tx, "周先生", "1201"))
    await held(building)
    neighbour.sees("投票 1", "赞成")
    await owner.taps("赞成")
    shown = owner.sees("回执 2-")
    receipt = next(line for line in shown.text.splitlines() if line.startswith("回执"))
    neighbour.sees("您共有的 3 号楼 2 单元 1201 有一票：赞成（陈女士投）")
    assert receipt in neighbour.last.text
    assert "共有人投得不一样，这一户就不计。" in neighbour.last.text


async def test_where_somebody_represents_the_home_a_co_owner_is_told_so_and_has_no_buttons(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    def represented(tx: Tx) -> None:
        mine = select(HomeRole).join(Person).where(Person.name == "陈女士", HomeRole.role == "owner")
        tie = tx.session.exec(mine).one()
        co_owner(tx, "周先生", "1201")
        tie.represents = True
        tx.session.add(tie)
        other = select(HomeRole).join(Person).where(Person.name == "周先生", HomeRole.home_id != tie.home_id)
        for each in tx.session.exec(other).all():
            tx.session.delete(each)

    write(building, represented)
    await held(building)
    shown = neighbour.sees("3 号楼 2 单元 1201 登记了代表，由代表投票", "详情")
    assert "赞成" not in shown.buttons
    await neighbour.taps("详情")
    assert "您没有投" not in neighbour.last.text
    neighbour.sees("登记了代表，由代表投票")
    await owner.taps("赞成")
    shown = neighbour.sees("您共有的 3 号楼 2 单元 1201 有一票：赞成（陈女士投）")
    assert "这一户登记了代表，由代表投票" in shown.text
    assert "都可以投" not in shown.text


async def test_in_a_sealed_poll_a_co_owner_hears_of_the_ballot_but_not_of_the_choice(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    write(building, lambda tx: co_owner(tx, "周先生", "1201"))
    await held(building, poll={"visible": "totals"})
    owner.sees("只公布总数，谁投了什么不公开。")
    await owner.taps("反对")
    neighbour.sees("有一票：内容不公开")


async def test_one_of_several_is_chosen_by_tap_and_by_number(
    building: Building, owner: Phone, neighbour: Phone, phone: Any
) -> None:
    choices = ["东门装充电桩", "西门装充电桩", "地下车库装"]
    await held(building, poll={"question": "choose", "choices": choices, "most": 2})
    owner.sees("最多选 2 项", "去投票", "详情")
    await owner.taps("去投票")
    owner.sees("请选，最多 2 项", *choices, "以上都不选", "弃权")
    await owner.sends_photo()
    owner.sees("没看懂选哪几项")
    await owner.taps("西门装充电桩")
    owner.sees("请选", "✓ 西门装充电桩", "选好了")
    await building.restart()
    await owner.taps("地下车库装")
    await owner.taps("✓ 西门装充电桩")
    owner.sees("请选", "西门装充电桩", "✓ 地下车库装")
    await owner.taps("选好了")
    owner.sees("已记录：地下车库装", "去投票")
    await neighbour.says("去投票")
    await neighbour.says("1 2 3")
    neighbour.sees("最多选 2 项。请重新选。")
    await neighbour.says("1 9")
    neighbour.sees("没看懂选哪几项")
    await neighbour.says("1、3")
    neighbour.sees("已记录：东门装充电桩、地下车库装")
    other = phone("王奶奶")
    await other.says("去投票")
    await other.says("以上都不选")
    other.sees("已记录：以上都不选")
    assert len(cast_in(building)) == 3


async def test_a_tenant_has_no_ballot_and_hears_why(building: Building, owner: Phone, phone: Any) -> None:
    await held(building)
    tenant = phone("Mr Smith")
    await tenant.says("/language")
    await tenant.says("votes")
    tenant.sees('1 "3号楼充电桩"')
    await tenant.taps("Vote 1")
    tenant.sees("You have no ballot in this vote")
    (voter,) = building.read(select(Voter).join(Person).where(Person.name == "陈女士"))
    await tenant.forges(f"ballot.for:{voter.id}")
    tenant.sees("not yours to")
    assert cast_in(building) == []


@pytest.mark.by_hand
async def test_a_ballot_one_instant_late_does_not_count_and_says_so(building: Building, owner: Phone) -> None:
    await held(building)
    building.clock.at += timedelta(days=3, microseconds=1)
    await building.app.receive(said_of(owner, building))
    await building.settle()
    owner.sees("已在")
    assert cast_in(building) == []


def said_of(phone: Phone, building: Building) -> Any:
    return Said(
        messenger=building.messenger_of(phone.account),
        key="late",
        place=phone.place,
        sender=phone.account,
        at=building.clock.now(),
        text="赞成",
    )


async def test_who_comes_back_finds_the_ballot(building: Building, owner: Phone) -> None:
    await held(building)
    await owner.says("/start")
    owner.sees("投票 1：3号楼充电桩", "赞成")
    await owner.taps("弃权")
    owner.sees("已记录：弃权")
    await owner.says("/start")
    assert "投票 1：3号楼充电桩" not in owner.last.text


async def test_only_those_who_have_not_voted_are_reminded_and_never_at_night(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await held(
        building
    )  # 09:00, until 09:00 three days later: 48 hours before is 09:00, 12 hours before 21:00
    await owner.taps("赞成")
    owner.sees("已记录")
    await building.later(hours=23, minutes=59)
    neighbour.sees("投票 1：3号楼充电桩")
    neighbour.sees_nothing()
    await building.later(minutes=1)
    neighbour.sees("还没收到您的一票", "赞成", "反对", "弃权")
    owner.sees_nothing()
    await building.restart()
    await building.later(hours=24)
    neighbour.sees_nothing()
    await building.later(hours=12)  # 21:00 is too late in the evening, and 08:30 is within the last hour
    await building.later(hours=11)
    neighbour.sees_nothing()


async def test_an_agent_votes_and_the_principal_can_overrule(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await held(building)
    await appoints(
        office, "书面委托", "陈女士", "业主大会投票", "跳过", "提交", whose="周先生", home="3-2-1202"
    )
    owner.sees("您代周先生投票：3 号楼 2 单元 1202", "赞成")
    await owner.taps("反对")
    owner.sees("已记录（代周先生）：反对")
    neighbour.sees("陈女士代您投了一票：反对", "详情")
    await neighbour.says("赞成")
    neighbour.sees("已记录：赞成")
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    assert {name: each["heads"] for name, each in vote.result["counts"].items()} == {"for": 1, "against": 0}


async def test_an_agent_whose_power_ends_has_no_ballot_any_more(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await appoints(
        office, "书面委托", "陈女士", "业主大会投票", "跳过", "提交", whose="周先生", home="3-2-1202"
    )
    await held(building)
    owner.sees("您的房屋：3 号楼 2 单元 1201", "赞成")
    owner.sees("您代周先生投票：3 号楼 2 单元 1202", "赞成")
    for words in ("赞成", "赞成 1", "同意"):
        await owner.says(words)
        owner.sees("这次投票您有几张票")
    (voter,) = building.read(select(Voter).join(Person).where(Person.name == "周先生"))
    await neighbour.says("/agents")
    await neighbour.taps("撤销陈女士")
    await owner.forges(f"ballot.for:{voter.id}")
    owner.sees("不归您办理")
    await owner.says("赞成")
    owner.sees("已记录：赞成（3 号楼 2 单元 1201）")
    assert len(cast_in(building)) == 1


async def test_a_word_means_the_vote_that_goes_on(building: Building, owner: Phone, neighbour: Phone) -> None:
    await held(building)
    await owner.taps("反对")
    await building.later(days=3, seconds=10)
    await held(building)
    for who, words in ((owner, "同意"), (neighbour, "赞成")):
        await who.says(words)
        who.sees("已记录：赞成")
    rows = building.read(select(Ballot.vote_id).where(Ballot.kind == "ballot").order_by(Ballot.id))
    assert rows == [1, 2, 2]


async def test_a_poll_is_extended_once_and_all_hear_of_it(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await held(building)
    await office.taps("延长")
    office.sees("只能延长一次。延长几天？")
    await office.says("看情况")
    office.sees("没看懂数量")
    await office.says("2")
    owner.sees("投票 1「3号楼充电桩」延长：原定 3月5日周四 09:00，改为 3月7日周六 09:00 截止")
    board.sees("3月7日周六 09:00 截止")
    await building.later(days=3, seconds=10)
    await owner.says("赞成")
    owner.sees("已记录：赞成")
    assert "延长" not in office.sees("没投的会自动提醒").buttons
    await office.says("操作记录")
    office.sees("延长投票 · 投票 1")
    await office.forges("vote.extend:1")
    office.sees("已经延长过一次")
    await building.later(days=2)
    owner.sees("结果：")


async def test_a_result_is_objected_to_answered_and_final(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await held(building, poll={"quorum": "0/1"})
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    shown = board.sees("结果：赞成的够了")
    assert (
        "对结果有异议，请在 3月12日周四 09:00 前，在自己的聊天里点「我要异议」，由物业服务中心答复"
        in shown.text
    )
    await neighbour.taps("我要异议")
    await neighbour.says("算错了")
    await neighbour.says("算错了，我家没有收到票")
    await neighbour.taps("提交")
    neighbour.sees("您对投票 1「3号楼充电桩」的异议已交给物业服务中心，应在")
    await neighbour.taps("我要异议")
    neighbour.sees("您的异议正等答复")
    office.sees("异议 · 投票 1「3号楼充电桩」", "异议不成立", "异议成立")
    board.sees("收到异议 1 条，1 条等物业服务中心答复")
    await building.restart()
    await building.later(days=7, seconds=5)
    office.sees("异议 · 投票 1")  # it waits, and is shown each day
    assert building.read(select(Vote))[0].final_at is None
    await office.taps("异议不成立")
    await office.says("票已送达，回执在案")
    await office.taps("异议不成立")
    neighbour.sees("您的异议不成立。物业服务中心的理由：票已送达，回执在案")
    owner.sees("的结果今天生效：赞成的够了", "详情")
    board.sees("结果已在 3月12日周四 09:00 生效，异议 1 条，都已答复")
    await owner.taps("我要异议")
    owner.sees("异议要在")


async def test_an_objection_that_was_answered_stays_in_sight(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await held(building, poll={"quorum": "0/1"})
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    await neighbour.taps("我要异议")
    await neighbour.says("算错了，我家没有收到票")
    await neighbour.taps("提交")
    await office.taps("异议不成立")
    await office.says("票已送达，回执在案")
    await office.taps("异议不成立")
    board.sees("异议 1 条，都已答复，不成立。3月12日周四 09:00 前还可以在自己的聊天里点「我要异议」")


async def test_an_objection_that_is_upheld_ends_the_result(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await held(building, poll={"quorum": "0/1"})
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    await owner.taps("我要异议")
    await owner.says("公告写错了楼号")
    await owner.taps("提交")
    await office.taps("异议成立")
    await office.says("楼号确实写错，重新征求意见")
    await office.taps("异议成立，结果不生效")
    neighbour.sees("投票 1「3号楼充电桩」：异议成立，结果不生效。")
    board.sees("异议成立（物业服务中心：楼号确实写错，重新征求意见），这次结果不生效。")
    await building.later(days=20)
    assert building.read(select(Vote))[0].final_at is None
    await neighbour.says("/votes")
    neighbour.sees("1「3号楼充电桩」异议成立，不生效")


async def test_staff_ask_the_owners_in_a_minute(building: Building, owner: Phone, office: Phone) -> None:
    await office.says("/poll")
    office.sees("想问业主什么？")
    await office.says("门" * 4000)
    office.sees("写了 4000 个字，有点长，最多 100 个字")
    await office.says("3 号楼门厅要不要加装长椅？")
    await office.says("跳过")
    await office.says("跳过")
    office.sees("按通常的规则吗？每户一票，3 天", "按通常的规则", "改规则", "返回")
    await building.restart()
    await office.taps("按通常的规则")
    office.sees("请核对", "现在发起", "修改")
    await office.taps("现在发起")
    owner.sees("投票 1：3 号楼门厅要不要加装长椅？", "赞成")
    owner.sees_nothing()
    office.sees("投票 1：3 号楼门厅要不要加装长椅？", "延长")


async def test_the_committee_asks_with_rules_of_its_own(
    building: Building, owner: Phone, neighbour: Phone, phone: Any
) -> None:
    write(building, lambda tx: committee(tx, "王奶奶"))
    member = phone("王奶奶")
    await member.says("征求意见")
    for answer in (
        "长椅放哪里？",
        "3 号楼的事",
        "东门\n东门",
        "东门\n西门\n南门",
        "改规则",
        "5",
        "2",
        "月球",
        "3号楼",
    ):
        await member.says(answer)
    member.sees("投几天？")
    for answer in ("5", "一人一票", "按票数", "0", "最多的就行", "只公布总数"):
        await member.says(answer)
    member.sees(
        "范围：3号楼\n天数：5\n谁算一票：一人一票\n怎么计：按票数\n参与（%）：0\n通过线：最多的就行",
        "现在发起",
    )
    await member.taps("现在发起")
    member.sees("已经开始，周六 09:00 截止")
    owner.sees("长椅放哪里？", "去投票")
    neighbour.sees("长椅放哪里？", "去投票")
    member.sees_nothing()


async def test_an_owner_cannot_begin_a_poll(building: Building, owner: Phone) -> None:
    await owner.says("/poll")
    owner.sees("这件事不归您办理")


async def test_a_statutory_vote_is_announced_and_begins_by_the_clock(
    building: Building, owner: Phone, neighbour: Phone, phone: Any, office: Phone, board: Phone
) -> None:
    write(building, lambda tx: committee(tx, "王奶奶"))
    opens = building.clock.now() + timedelta(days=15)
    await held(
        building, kind="statutory", rule="ordinary", opens_at=opens, deadline=opens + timedelta(days=10)
    )
    owner.sees("公告 · 投票 1：3号楼充电桩", "详情")
    board.sees("名册指纹")
    office.sees("请同时书面告知居民委员会")
    (voter,) = building.read(select(Voter).join(Person).where(Person.name == "陈女士"))
    await owner.forges(f"ballot.for:{voter.id}")
    owner.sees("投票还没开始")
    await building.restart()
    await building.later(days=15)
    await building.later(seconds=1)
    owner.sees("业主大会表决", "赞成", "反对", "弃权")
    assert "参与的面积和人数都须不少于全体的 2/3，同意的都须超过参与者的 1/2" in owner.last.text
    for each in (owner, neighbour, phone("王奶奶")):
        await each.taps("赞成")
    await building.later(days=10, seconds=10)
    assert "三种算法结果一样，结论稳健。" in board.sees("结果：通过").text
    await owner.taps("我要异议")
    await owner.says("我没有收到公告")
    await owner.taps("提交")
    member = phone("王奶奶")
    member.sees("异议 · 投票 1")
    assert not any("异议 ·" in each.text for each in office.chat.messages)
    await member.taps("异议不成立")
    await member.says("公告已送达")
    await member.taps("异议不成立")
    owner.sees("您的异议不成立。业主委员会的理由：公告已送达")
    await building.later(days=7, seconds=5)
    owner.sees("的结果今天生效：通过")


async def test_a_guardian_votes_and_the_ward_does_not(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await appoints(office, "监护人", "陈女士", "跳过", "跳过", "提交", whose="周先生", home="3-2-1202")
    await held(building)
    owner.sees("您代周先生投票：3 号楼 2 单元 1202", "赞成")
    shown = neighbour.sees("名册上登记了您的监护人，由监护人代投", "详情")
    assert "赞成" not in shown.buttons
    (voter,) = building.read(select(Voter).join(Person).where(Person.name == "周先生"))
    await neighbour.forges(f"ballot.against:{voter.id}")
    neighbour.sees("这次由监护人代投")
    await owner.forges(f"ballot.for:{voter.id}")
    owner.sees("已记录（代周先生）：赞成")
    neighbour.sees("陈女士代您投了一票：赞成")
    assert ['"capacity":"guardian"' in each for each in cast_in(building)] == [True]


async def test_where_a_home_has_a_representative_only_they_vote(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    write(building, lambda tx: co_owner(tx, "王奶奶", "1202"))
    await opens(office, "3-2-1202", "周先生", "设为代表")
    await held(building)
    other = building.phone("王奶奶")
    await neighbour.says("赞成")
    neighbour.sees("已记录：赞成（3 号楼 2 单元 1202）")
    other.sees("您共有的 3 号楼 2 单元 1202 有一票：赞成（周先生投）")
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    assert vote.result["counts"]["for"]["heads"] == 1


async def test_a_home_whose_owners_differ_took_part_nowhere_in_the_result(
    building: Building, owner: Phone, neighbour: Phone, board: Phone
) -> None:
    """What the message says of a building is what the page and the count say of it."""
    write(building, lambda tx: co_owner(tx, "周先生", "1201"))
    await held(building)
    await owner.taps("赞成")
    await neighbour.taps("反对")
    await building.later(days=3, seconds=10)
    text = board.sees("结果：参与的不够，没有结果").text
    assert "共有人意见不一，不计入：1 户" in text
    assert "各楼参与：1 号楼 0/2 户、2 号楼 0/1 户、3 号楼 1/2 户" in text


async def test_who_votes_by_a_word_without_a_ballot_hears_why(
    building: Building, owner: Phone, office: Phone, phone: Any
) -> None:
    opens = building.clock.now() + timedelta(days=15)
    await owner.says("同意")
    owner.sees("没看懂这句话")  # nobody votes on anything
    await held(
        building, kind="statutory", rule="ordinary", opens_at=opens, deadline=opens + timedelta(days=10)
    )
    await owner.says("赞成")
    owner.sees("投票还没开始，3月17日 09:00 开始")
    tenant = phone("Mr Smith")
    await tenant.says("我反对")
    tenant.sees("没有由您投票的房屋。租客和家人不能投")
    before = len(office.chat.messages)
    await office.says("同意")  # said to a colleague
    assert len(office.chat.messages) == before
    await building.later(days=15)
    await building.later(seconds=1)
    await owner.taps("弃权")
    owner.sees("已记录：弃权")


async def test_a_tenant_is_offered_nothing_that_is_the_owners(
    building: Building, owner: Phone, phone: Any
) -> None:
    tenant = phone("Mr Smith")
    await held(building)
    await building.later(days=3, seconds=10)
    owner.sees("结果：", "详情", "我要异议")
    assert list(tenant.sees("结果：").buttons) == ["详情"]
    await tenant.taps("详情")
    assert "我要异议" not in tenant.sees("租客和家人不能投").buttons


async def test_the_buildings_of_a_result_stand_in_their_order(building: Building, board: Phone) -> None:
    """Also where somebody owns homes in several of them."""
    for room, who in (("1202", "陈女士"), ("803", "陈女士"), ("101", "周先生"), ("1504", "周先生")):
        write(building, lambda tx, room=room, who=who: co_owner(tx, who, room))
    await held(building, kind="poll", poll={"electorate": "persons", "quorum": "0/1"})
    await building.later(days=3, seconds=10)
    text = board.sees("各楼参与").text
    assert "各楼参与：1 号楼 0/2 户、2 号楼 0/1 户、3 号楼 0/2 户" in text


async def test_a_choice_is_named_under_its_ballot(building: Building, owner: Phone, neighbour: Phone) -> None:
    await held(building)
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    await held(building, title="门厅颜色", poll={"question": "choose", "choices": ["米白", "浅灰"]})
    owner.sees("选项：米白、浅灰", "去投票")
    await owner.says("浅灰")
    owner.sees("已记录：浅灰")
    await owner.says("弃权")  # the buttons of the first vote still stand above
    owner.sees("已记录：弃权")
    await owner.says("以上都不选")
    owner.sees("已记录：以上都不选")
    await owner.says("赞成")
    owner.sees("投票 2：门厅颜色", "去投票")
    await neighbour.says("/language")
    await neighbour.says("中文")
    await neighbour.says("浅灰")  # another menu lies before them
    neighbour.sees("没看懂这句话")
    assert len(cast_in(building)) == 4
