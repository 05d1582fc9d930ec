"""Bad luck and bad input in votes, as talks: each has one right answer in words, and nothing is lost."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from conversations.said import Said
from handlers.people import bind_account
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from store.tables import (
    Ballot,
    Community,
    Equipment,
    Objection,
    Opening,
    Person,
    Purchase,
    Supporter,
    Talk,
    Timer,
    Vote,
    Voter,
)
from tests.handlers.test_agents import appoints
from tests.handlers.test_ballots import cast_in, co_owner, committee, held, one, write
from tests.handlers.test_openings import proposed
from tests.handlers.test_paper import enters
from tests.handlers.test_purchases import ask_for, neighbours
from tests.handlers.test_review import POLL, noted, reviewed
from tests.people import ROSTER, Building, Phone

pytestmark = pytest.mark.by_hand
KEYS = itertools.count(1)
ANY = {"quorum": "0/1"}


def said(building: Building, phone: Phone, **what: Any) -> Said:
    """What a phone sends, with a key of its own."""
    given = {
        "messenger": building.messenger_of(phone.account),
        "key": f"once-{next(KEYS)}",
        "place": phone.place,
        "sender": phone.account,
        "at": building.clock.now(),
        "place_kind": "private" if phone.kind == "private" else "group",
    }
    return Said(**{**given, **what})


async def at_once(building: Building, *what: Said) -> None:
    """All of it comes at the same moment."""
    for phone in building.chats.values():
        for message in phone.messages:
            message.seen = True
    await asyncio.gather(*(building.app.receive(each) for each in what))
    await building.settle()


def voter_named(building: Building, name: str, vote: int = 1) -> Voter:
    rows = select(Voter).join(Person).join(Vote, col(Vote.id) == col(Voter.vote_id))
    (found,) = building.read(rows.where(Person.name == name, Vote.number == vote))
    return found


def result(building: Building) -> dict[str, Any]:
    return dict(building.read(select(Vote))[0].result)


def asked_of(phone: Phone, number: int = 1) -> list[str]:
    """The ballots and reminders that came to a phone."""
    words = (f"投票 {number}：", f"还没收到您的一票：投票 {number}「")
    return [each.text for each in phone.chat.messages if each.text.startswith(words)]


# --- too late, or just in time ----------------------------------------------------------------------


async def test_of_two_ballots_around_the_deadline_the_one_in_time_counts(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await held(building, poll=ANY)
    building.clock.at += timedelta(days=3)
    in_time = said(building, owner, text="赞成")
    building.clock.at += timedelta(microseconds=1)
    late = said(building, neighbour, text="反对")
    building.clock.at += timedelta(seconds=4)  # both waited for their turn
    await at_once(building, in_time, late)
    owner.sees("已记录：赞成")
    neighbour.sees("截止，这一票没有记")
    await building.later(seconds=2)
    assert {name: each["heads"] for name, each in result(building)["counts"].items()} == {
        "for": 1,
        "against": 0,
    }
    owner.sees("结果：赞成的够了")


async def test_the_deadline_passes_while_nothing_runs(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await held(building, poll=ANY)
    await owner.taps("赞成")
    sent = said(building, neighbour, text="反对")  # and the messenger keeps it
    building.clock.at += timedelta(days=4)
    await building.restart()
    await at_once(building, sent)
    neighbour.sees("投票已")
    await neighbour.forges(f"ballot.against:{voter_named(building, '周先生').id}")
    neighbour.sees("这次投票已经结束")
    assert len(cast_in(building)) == 1
    assert result(building)["counts"]["for"]["heads"] == 1


async def test_a_ballot_of_a_closed_vote_takes_no_words_from_an_open_one(
    building: Building, owner: Phone
) -> None:
    await held(building)
    await building.later(days=3, seconds=10)
    await held(building, title="门禁")
    await owner.says("赞成")
    owner.sees("已记录：赞成")
    assert len(cast_in(building)) == 1


# --- at once ----------------------------------------------------------------------------------------


async def test_one_owner_on_two_phones_at_once_has_one_ballot(building: Building, owner: Phone) -> None:
    def second(tx: Tx) -> None:
        person = one(tx, "陈女士")
        bind_account(tx, person, building.messenger, "second", agreed=True)

    write(building, second)
    other = Phone(building, "second", "second")
    await other.says("/votes")
    await held(building)
    tap = f"ballot.for:{voter_named(building, '陈女士').id}"
    await at_once(building, *(said(building, each, tap=tap) for each in (owner, other)))
    assert len(cast_in(building)) == 1
    shown = owner.last.text + other.last.text
    assert "已记录：赞成" in shown and "已经投过：赞成" in shown
    against = f"ballot.against:{voter_named(building, '陈女士').id}"
    await at_once(building, said(building, owner, tap=tap), said(building, other, tap=against))
    assert len(cast_in(building)) in (2, 3)  # the same again is none
    await building.later(days=3, seconds=10)
    assert result(building)["conflict"]["heads"] == 0
    assert result(building)["ballot_outcomes"].count("counted") == 1


async def test_two_co_owners_at_once_are_both_written_and_both_hear_of_it(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    write(building, lambda tx: co_owner(tx, "周先生", "1201"))
    await held(building, poll=ANY)
    mine, theirs = (voter_named(building, name).id for name in ("陈女士", "周先生"))
    await at_once(
        building,
        said(building, owner, tap=f"ballot.for:{mine}"),
        said(building, neighbour, tap=f"ballot.against:{theirs}"),
    )
    owner.sees("已记录：赞成")
    assert "有一票：反对（周先生投）" in owner.sees("您共有的 3 号楼 2 单元 1201").text
    neighbour.sees("已记录：反对")
    shown = neighbour.sees("您共有的 3 号楼 2 单元 1201 有一票：赞成（陈女士投）")
    assert "共有人投得不一样，这一户就不计" in shown.text
    await building.later(days=3, seconds=10)
    # The shared home takes no part; 周先生's other home does.
    assert result(building)["conflict"]["heads"] == 1
    assert {name: each["heads"] for name, each in result(building)["counts"].items()} == {
        "for": 0,
        "against": 1,
    }
    owner.sees("共有人意见不一，不计入：1 户")


async def test_two_of_the_staff_review_one_request_at_once(
    building: Building, owner: Phone, office: Phone
) -> None:
    colleague = building.group("周经理")
    await colleague.says("/my")
    await ask_for(owner)
    await noted(office)
    for each in (office, colleague):
        await reviewed(each, *POLL[:-1])
    talks = building.read(select(Talk).where(Talk.script == "review").order_by(col(Talk.id)))
    taps = [f"{talk.id}.sure=yes" for talk in talks]
    await at_once(
        building, *(said(building, p, tap=t) for p, t in zip((office, colleague), taps, strict=True))
    )
    assert len(building.read(select(Vote))) == 1
    assert building.read(select(Talk)) == []
    office.sees("这个选项是以前的，已经不能用了")


async def test_two_of_the_committee_confirm_at_the_same_instant(
    building: Building, owner: Phone, office: Phone, neighbour: Phone
) -> None:
    opening = await proposed(building, owner, office)
    grandmother = building.phone("王奶奶")

    def third(tx: Tx) -> None:
        from store.tables import Role

        tx.session.add(Role(community_id=1, person_id=one(tx, "陈女士").id, role="committee"))

    write(building, third)
    await neighbour.taps("发起表决")
    confirm = f"opening.confirm:{opening.id}"
    await at_once(building, *(said(building, each, tap=confirm) for each in (owner, grandmother)))
    assert len(building.read(select(Vote))) == 1
    assert building.read(select(Opening.state)) == ["made"]
    shown = [
        m.text for each in (owner, grandmother) for m in each.chat.messages if "这次表决已经定了" in m.text
    ]
    assert len(shown) == 1


async def test_two_of_the_committee_begin_at_the_same_instant(
    building: Building, owner: Phone, office: Phone, neighbour: Phone
) -> None:
    opening = await proposed(building, owner, office)
    both = (neighbour, building.phone("王奶奶"))
    await at_once(building, *(said(building, each, tap=f"opening.open:{opening.id}") for each in both))
    assert building.read(select(Opening.state)) == ["seconding"]
    assert building.read(select(Vote)) == []


async def test_support_tapped_twice_at_once_is_one(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await ask_for(owner)
    (purchase,) = building.read(select(Purchase))
    tap = f"purchase.support:{purchase.id}"
    await at_once(building, *(said(building, neighbour, tap=tap) for _ in range(3)))
    assert len(building.read(select(Supporter))) == 1
    neighbour.sees("现在有 1 位业主支持")


async def test_two_of_the_staff_decide_on_an_objection_at_once(
    building: Building, owner: Phone, office: Phone
) -> None:
    colleague = building.group("周经理")
    await colleague.says("/my")
    await objected(building, owner)
    await office.taps("异议不成立")
    await office.says("票已送达")
    await colleague.taps("异议成立")
    await colleague.says("楼号写错")
    await at_once(
        building,
        said(building, office, text="异议不成立"),
        said(building, colleague, text="异议成立，结果不生效"),
    )
    (filed,) = building.read(select(Objection))
    (vote,) = building.read(select(Vote))
    assert (filed.state == "upheld") == (vote.annulled_at is not None)
    answers = [m.text for m in owner.chat.messages if "您的异议" in m.text and "成立" in m.text]
    assert len(answers) == 1
    assert building.read(select(Talk)) == []


async def objected(building: Building, *who: Phone) -> None:
    """A poll is over, and its result objected to."""
    await held(building, poll=ANY)
    await building.later(days=3, seconds=10)
    for each in who:
        await objects(each)


async def objects(phone: Phone, what: str = "算错了，我家没有收到票") -> None:
    await phone.taps("我要异议")
    await phone.says(what)
    await phone.taps("提交")


# --- who has no ballot, and who has ------------------------------------------------------------------


async def test_a_tenant_who_says_yes_hears_that_only_owners_vote(building: Building) -> None:
    await held(building)
    tenant = building.phone("Mr Smith")
    await tenant.says("/votes")
    await tenant.forges("vote.show:1")
    tenant.sees("租客和家人不能投")
    for choice in ("for", "against", "abstain", "choose"):
        await tenant.forges(f"ballot.{choice}:{voter_named(building, '陈女士').id}")
        tenant.sees("不归您办理")
    assert cast_in(building) == []


async def test_an_agent_over_the_limit_of_the_city_hears_it_and_the_owner_can_vote(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("city", "潍坊")
    names = ["甲先生", "乙先生", "丙先生", "丁先生"]
    neighbours(building, *names)
    for place, name in enumerate(names, 1):
        paper = ("书面委托", "陈女士", "业主大会投票", "跳过", "提交")
        await appoints(office, *paper, whose=name, home=f"1-1-9{place:02}")
    await held(building, poll=ANY)
    for name in names[:3]:
        await owner.forges(f"ballot.for:{voter_named(building, name).id}")
        owner.sees(f"已记录（代{name}）：赞成")
    await owner.forges(f"ballot.for:{voter_named(building, '丁先生').id}")
    owner.sees("一个人最多代 3 位业主投票，您已经代满了")
    await owner.forges(f"ballot.against:{voter_named(building, '丙先生').id}")
    owner.sees("已记录（代丙先生）：反对")
    await building.phone("丁先生").says("反对")
    building.phone("丁先生").sees("已记录：反对")
    await owner.forges(f"ballot.for:{voter_named(building, '陈女士').id}")
    owner.sees("已记录：赞成")
    await building.later(days=3, seconds=10)
    assert not [each for each in result(building)["ballot_outcomes"] if each.startswith("rejected")]


SOLD = ROSTER.replace("89.35,陈女士", "89.35,新业主")


def sells(building: Building) -> None:
    """陈女士 sells her home, and the new owner is in the roster."""

    def work(tx: Tx) -> None:
        import_roster(tx, tx.session.get_one(Community, 1), read_roster(SOLD.encode()))
        bind_account(tx, one(tx, "新业主"), building.messenger, "新业主", agreed=True)

    write(building, work)


async def test_a_home_that_is_sold_is_voted_for_by_who_had_it_when_the_vote_was_made(
    building: Building, owner: Phone
) -> None:
    await held(building, poll=ANY)
    sells(building)
    buyer = building.phone("新业主")
    await buyer.says("/votes")
    await buyer.forges("vote.show:1")
    buyer.sees("名册（2026-03-02）上，在它的范围里没有由您投票的房屋")
    await buyer.forges(f"ballot.for:{voter_named(building, '陈女士').id}")
    buyer.sees("不归您办理")
    await owner.taps("赞成")
    owner.sees("已记录：赞成（3 号楼 2 单元 1201）")
    await owner.says("/votes")
    owner.sees("投票 1：3号楼充电桩", "赞成", "反对")
    await building.later(days=3, seconds=10)
    assert result(building)["counts"]["for"]["heads"] == 1
    owner.sees("结果：赞成的够了", "我要异议")  # who has voted hears what came of it
    await owner.says("/votes")
    await owner.taps("投票 1")
    await objects(owner)
    owner.sees("的异议已交给")


async def test_a_roster_that_comes_in_the_midst_changes_no_open_vote(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await held(building, poll=ANY)
    await neighbour.taps("反对")
    smaller = "".join(line for line in ROSTER.splitlines(keepends=True) if "1202" not in line)
    grown = smaller + "8号楼,,801,70,又一位,业主,,,\n"

    def work(tx: Tx) -> None:
        import_roster(tx, tx.session.get_one(Community, 1), read_roster(grown.encode()))
        bind_account(tx, one(tx, "又一位"), building.messenger, "又一位", agreed=True)

    write(building, work)
    added = building.phone("又一位")
    await added.says("/votes")
    await added.forges("vote.show:1")
    added.sees("没有由您投票的房屋")
    await neighbour.says("/votes")
    await neighbour.says("赞成")
    neighbour.sees("已记录：赞成（3 号楼 2 单元 1202）")
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    assert result(building)["counts"]["for"]["heads"] == 2
    assert result(building)["total"]["heads"] == 5


async def test_an_account_that_comes_in_during_the_vote_finds_the_ballot(
    building: Building, owner: Phone
) -> None:
    def work(tx: Tx) -> None:
        from store.tables import Account

        for each in tx.session.exec(select(Account).where(Account.external_id == "周先生")):
            tx.session.delete(each)

    write(building, work)
    await held(building)
    turn = building.group("刘经理")
    await turn.taps("投票进度")
    turn.sees("投票 1")

    def bound(tx: Tx) -> None:
        bind_account(tx, one(tx, "周先生"), building.messenger, "new phone", agreed=True)

    write(building, bound)
    late = Phone(building, "new phone", "new phone")
    await late.says("/start")
    late.sees("投票 1：3号楼充电桩", "赞成", "反对")
    await late.taps("赞成")
    late.sees("已记录：赞成")
    await building.later(hours=24)
    assert not any("还没收到" in each.text for each in late.chat.messages)


async def test_a_poll_of_one_building_is_nothing_that_others_are_asked(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await held(building, options={"scope": {"buildings": ["3"]}})
    elsewhere = building.phone("王奶奶")
    assert asked_of(elsewhere) == []
    assert len(asked_of(owner)) == len(asked_of(neighbour)) == 1
    await elsewhere.says("/votes")
    await elsewhere.taps("投票 1")
    shown = elsewhere.sees("范围：3 号楼")
    assert "在它的范围里没有由您投票的房屋" in shown.text
    await elsewhere.forges(f"ballot.for:{voter_named(building, '陈女士').id}")
    elsewhere.sees("不归您办理")
    await building.later(days=3, seconds=10)
    await elsewhere.forges("objection.start:1")
    elsewhere.sees("不能提异议")


async def test_who_forgets_themselves_in_an_open_vote_leaves_a_ballot_that_counts(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    write(building, lambda tx: co_owner(tx, "周先生", "1201"))
    await held(building, poll=ANY)
    await owner.taps("赞成")
    await owner.says("/forget")
    await owner.taps("确定注销")
    owner.sees("注销")
    await building.later(minutes=5)
    await building.restart()
    await neighbour.taps("赞成")
    neighbour.sees("已记录：赞成")
    await building.later(hours=24)
    await building.later(days=2)
    assert result(building)["counts"]["for"]["heads"] == 2
    assert "陈女士" not in str(building.read(select(Vote.policy)) + building.read(select(Ballot.entry)))
    await neighbour.forges("vote.show:1")
    neighbour.sees("结果：")


async def test_an_objection_of_who_forgot_themselves_is_still_decided(
    building: Building, owner: Phone, office: Phone
) -> None:
    await objected(building, owner)
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(minutes=5)
    await office.taps("异议不成立")
    await office.says("票已送达")
    await office.taps("异议不成立")
    office.sees("异议不成立")
    await building.later(days=8)
    assert building.read(select(Vote))[0].final_at is not None


# --- more time --------------------------------------------------------------------------------------


async def test_more_time_moves_the_ballots_the_reminders_and_the_end(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await held(building, poll=ANY)  # until Thursday 09:00
    await building.later(days=2, hours=23)
    before = len(asked_of(neighbour))
    await office.taps("延长")
    await office.says("4")
    neighbour.sees("改为 3月9日周一 09:00 截止")
    assert [
        t.action for t in building.read(select(Timer).where(col(Timer.action).startswith("vote.close")))
    ] == ["vote.close:1"]
    await building.later(hours=1, seconds=10)  # when the old timer would have fired
    assert building.read(select(Vote))[0].state == "open"
    await owner.taps("赞成")
    assert "周一 09:00 截止" in owner.sees("已记录：赞成").text
    await building.restart()
    await building.later(days=2)
    assert len(asked_of(neighbour)) > before
    assert "周一 09:00" in asked_of(neighbour)[-1] or "3月9日" in asked_of(neighbour)[-1]
    await building.later(days=2)
    owner.sees("结果：赞成的够了")
    assert len([each for each in owner.chat.messages if "结果：" in each.text]) == 1


async def test_an_old_timer_that_fires_after_more_time_closes_nothing(
    building: Building, owner: Phone, office: Phone
) -> None:
    await held(building, poll=ANY)
    building.clock.at += timedelta(days=3)  # the very last moment
    building.clock.at -= timedelta(seconds=1)
    await office.taps("延长")
    await office.says("1")

    def old(tx: Tx) -> None:
        row = tx.session.exec(select(Timer).where(Timer.action == "vote.close:1")).one()
        row.due_at = tx.now

    write(building, old)
    await building.settle()
    assert building.read(select(Vote))[0].state == "open"
    (timer,) = building.read(select(Timer).where(Timer.action == "vote.close:1"))
    assert timer.state == "waiting"
    await building.later(days=1, seconds=10)
    assert building.read(select(Vote))[0].state == "closed"


# --- batches ----------------------------------------------------------------------------------------


async def test_a_stop_between_two_batches_gives_nobody_two_ballots_and_nobody_none(
    building: Building, owner: Phone, neighbour: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handlers import holding

    monkeypatch.setattr(holding, "BATCH", 1)
    neighbours(building, "甲先生", "乙先生", "丙先生")
    everybody = [owner, neighbour, *map(building.phone, ("甲先生", "乙先生", "丙先生", "王奶奶"))]
    await held(building)
    for _ in range(10):
        await building.restart()
        await building.later(seconds=1)
    assert [len(asked_of(each)) for each in everybody] == [1] * 6


async def test_a_reminder_that_is_due_before_all_ballots_are_out_waits_for_them(
    building: Building, owner: Phone, neighbour: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program was down for most of the vote: both timers are due, and each voter is asked before reminded."""
    from handlers import holding

    monkeypatch.setattr(holding, "BATCH", 1)
    neighbours(building, "甲先生", "乙先生", "丙先生")
    everybody = [owner, neighbour, *map(building.phone, ("甲先生", "乙先生", "丙先生", "王奶奶"))]
    await held(building)
    building.clock.at += timedelta(days=1, hours=1)  # the first reminder is 48 hours before the end
    for _ in range(20):
        await building.restart()
        await building.later(minutes=2)
    for each in everybody:
        texts = asked_of(each)
        assert [text.startswith("投票") for text in texts] == [True, False], (each.account, texts)


async def test_a_batch_that_fails_is_tried_again_and_loses_nobody(
    building: Building, owner: Phone, neighbour: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handlers import holding

    monkeypatch.setattr(holding, "BATCH", 1)
    give, broken = holding.give, [2]

    def fails(tx: Tx, vote: Vote, voter: Voter, to: Person, **options: Any) -> None:
        if broken[0]:
            broken[0] -= 1
            raise RuntimeError("no room")
        give(tx, vote, voter, to, **options)

    monkeypatch.setattr(holding, "give", fails)
    await held(building)
    for _ in range(15):
        await building.later(minutes=5)
    for each in (owner, neighbour, building.phone("王奶奶")):
        assert len(asked_of(each)) == 1


async def test_a_vote_that_cannot_be_closed_for_hours_is_closed_after_the_mend(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from handlers import results

    draw = results._draw
    await held(building, poll=ANY)
    await owner.taps("赞成")

    def fails(tx: Tx, vote: Vote) -> list[int]:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(results, "_draw", fails)
    await building.later(days=3, seconds=10)
    for _ in range(40):
        await building.later(minutes=30)
    assert building.read(select(Vote))[0].state == "open"
    monkeypatch.setattr(results, "_draw", draw)
    await building.later(hours=1)
    owner.sees("结果：赞成的够了")


async def test_who_is_awake_over_midnight_is_reminded(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    building.set_policy("waking", "20:00-02:00")
    await held(building)
    for _ in range(71):
        await building.later(hours=1)
    reminded = [text for text in asked_of(neighbour) if text.startswith("还没收到")]
    assert len(reminded) == 2


# --- long words -------------------------------------------------------------------------------------


async def test_a_title_of_four_thousand_characters_is_asked_for_again(
    building: Building, office: Phone
) -> None:
    await office.says("/poll")
    await office.says("门" * 4000)
    office.sees("最多 100 个字")
    await office.says("{number}{0}{title!r} 100% %s")
    for _ in range(2):
        await office.says("跳过")
    await office.taps("按通常的规则")
    await office.taps("现在发起")
    building.phone("陈女士").sees("投票 1：{number}{0}{title!r} 100% %s", "赞成")


async def test_choices_that_begin_alike_are_told_apart(building: Building, owner: Phone) -> None:
    begun = "在本小区的三号楼和五号楼之间的空地上靠近儿童游乐场的那一侧建一个有顶棚可以防雨的电动自行车"
    choices = [f"{begun}{each}" for each in ("充电棚", "停放棚", "停放兼充电棚")]
    await held(building, poll={**ANY, "question": "choose", "choices": choices, "most": 2})
    await owner.taps("去投票")
    shown = owner.sees("请选")
    assert len([label for label in shown.buttons if label.startswith(begun[:30])]) == 3
    await owner.says("2")
    assert choices[2] in shown.text  # the buttons have no room for it
    await owner.taps("选好了")
    owner.sees(f"已记录：{choices[1]}")


@pytest.mark.parametrize("word", ["取消", "返回", "选好了", "✓ 保留", "跳过", "1", "1 个", "第一", "back"])
async def test_no_choice_is_called_like_a_button_or_like_the_number_of_another(
    building: Building, office: Phone, word: str
) -> None:
    await office.says("/poll")
    await office.says("长椅怎么办？")
    await office.says("跳过")
    await office.says(f"保留\n{word}")
    office.sees("「取消」这样的按钮，或别的选项的序号")
    await office.says("保留\n拆掉")
    office.sees("按通常的规则吗？")


@pytest.mark.parametrize("word", ["2", "2 个", "投票", "详情", "赞成", "=1", "done"])
async def test_a_choice_may_have_any_other_name(building: Building, owner: Phone, word: str) -> None:
    await held(building, poll={**ANY, "question": "choose", "choices": ["保留", word], "most": 1})
    await owner.taps("去投票")
    owner.sees("请选", "保留", word)
    await owner.taps(word)
    owner.sees(f"已记录：{word}")


# --- objections -------------------------------------------------------------------------------------


async def test_an_objection_in_the_very_second_of_its_deadline_is_taken(
    building: Building, owner: Phone, office: Phone
) -> None:
    await held(building, poll=ANY)
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    building.clock.at = vote.objections_until - timedelta(hours=1)
    await owner.taps("我要异议")
    await owner.says("算错了，我家没有收到票")
    building.clock.at = vote.objections_until
    last = said(building, owner, text="提交")
    await building.app.ticker.tick()  # the clock is there first
    building.clock.at += timedelta(seconds=2)
    await at_once(building, last)
    owner.sees("的异议已交给物业服务中心")
    await building.later(days=1)
    assert building.read(select(Vote))[0].final_at is None
    office.sees("异议 · 投票 1")


async def test_an_objection_a_moment_late_is_refused(building: Building, owner: Phone) -> None:
    await held(building, poll=ANY)
    await building.later(days=3, seconds=10)
    (vote,) = building.read(select(Vote))
    building.clock.at = vote.objections_until - timedelta(hours=1)
    await owner.taps("我要异议")
    await owner.says("算错了，我家没有收到票")
    building.clock.at = vote.objections_until + timedelta(seconds=1)
    await at_once(building, said(building, owner, text="提交"))
    owner.sees("异议要在")
    assert building.read(select(Objection)) == []
    await building.later(minutes=1)
    assert building.read(select(Vote))[0].final_at is not None


async def test_one_objection_upheld_while_another_waits(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await objected(building, owner, neighbour)
    first, second = building.read(select(Objection).order_by(col(Objection.id)))
    await office.forges(f"objection.uphold:{first.id}")
    await office.says("楼号写错，重新征求")
    await office.says("异议成立，结果不生效")
    owner.sees("您的异议成立，结果不生效")
    board.sees("异议成立（物业服务中心：楼号写错，重新征求），这次结果不生效")
    await building.later(days=10)
    office.sees("异议 · 投票 1")  # each objection is answered
    await office.forges(f"objection.reject:{second.id}")
    await office.says("票已送达")
    await office.says("异议不成立")
    neighbour.sees("您的异议不成立")
    (vote,) = building.read(select(Vote))
    assert (vote.final_at, vote.annulled_at is not None) == (None, True)
    await building.later(days=10)
    assert building.read(select(Vote))[0].final_at is None


async def test_of_two_objections_the_last_decision_makes_it_final(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await objected(building, owner, neighbour)
    first, second = building.read(select(Objection).order_by(col(Objection.id)))
    await building.later(days=8)
    for number, filed in enumerate((first, second)):
        assert building.read(select(Vote))[0].final_at is None, number
        await office.forges(f"objection.reject:{filed.id}")
        await office.says("票已送达")
        await office.says("异议不成立")
    assert building.read(select(Vote))[0].final_at is not None


async def test_nobody_decides_on_an_objection_of_their_own(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    write(building, lambda tx: committee(tx, "陈女士"))
    opens = building.clock.now() + timedelta(days=15)
    lasts = {"opens_at": opens, "deadline": opens + timedelta(days=10)}
    await held(building, kind="statutory", rule="ordinary", **lasts)
    await building.later(days=25, seconds=10)
    await objects(owner)
    await owner.forges("objection.uphold:1")
    owner.sees("不归您办理")
    assert "没有别的成员" in office.sees("异议 · 投票 1").text
    assert not office.last.buttons
    write(building, lambda tx: committee(tx, "周先生"))
    await building.later(days=1)
    await neighbour.taps("异议不成立")
    await neighbour.says("票已送达")
    await neighbour.taps("异议不成立")
    owner.sees("您的异议不成立。业主委员会的理由：票已送达")


# --- requests and papers ----------------------------------------------------------------------------


async def test_a_request_withdrawn_in_the_midst_of_its_review(
    building: Building, owner: Phone, office: Phone
) -> None:
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *POLL[:-1])
    (purchase,) = building.read(select(Purchase))
    await owner.forges(f"purchase.withdraw:{purchase.id}")
    owner.sees("撤回")
    assert building.read(select(Talk)) == []
    office.sees("撤回")
    await office.says("确认，发起")
    assert building.read(select(Vote)) == []
    await office.forges(f"review.start:{purchase.id}")
    office.sees("这一步不用再做了")


async def test_a_paper_confirmed_after_the_deadline_is_not_counted_and_says_so(
    building: Building, owner: Phone, office: Phone
) -> None:
    colleague = building.group("周经理")
    await held(building, poll=ANY)
    await enters(office, "赞成")
    await building.later(days=3, seconds=2)
    await colleague.says("/my")
    await building.later(seconds=20)
    await colleague.forges("paper.confirm:1")
    colleague.sees("这次投票已经结束")
    assert cast_in(building) == []


# --- personal data ----------------------------------------------------------------------------------

PRIVATE = "陈女士 13800138000 住 3号楼2单元1201 室"
LEAKS = ("13800138000", "1201")


def leaks(building: Building) -> list[str]:
    """What everybody reads that holds any of it: the board, the notices, what is published of the vote."""
    shown = [m.text for m in building.board.chat.messages]
    shown += [m.text for m in building.phone("王奶奶").chat.messages]
    shown += [str(each.policy) + each.readme for each in building.read(select(Vote))]
    return [text for text in shown if any(each in text for each in LEAKS)]


async def test_what_staff_write_into_a_poll_is_masked(building: Building, office: Phone) -> None:
    await office.says("/poll")
    await office.says(f"楼道杂物 {PRIVATE}")
    await office.says(f"有意见找 {PRIVATE}")
    await office.says("同意，电话 13800138000\n不同意")
    await office.taps("按通常的规则")
    await office.taps("现在发起")
    building.phone("王奶奶").sees("楼道杂物")
    await building.later(days=3, seconds=10)
    assert leaks(building) == []


@pytest.mark.parametrize("upheld", [False, True])
async def test_an_answer_to_an_objection_is_masked(
    building: Building, owner: Phone, office: Phone, board: Phone, upheld: bool
) -> None:
    await held(building, poll=ANY)
    await building.later(days=3, seconds=10)
    await objects(owner, f"我是 {PRIVATE}，没收到票")
    office.sees("13800138000")  # whoever answers it may call
    word = "异议成立" if upheld else "异议不成立"
    await office.taps(word)
    await office.says(f"{PRIVATE} 已电话说明")
    await office.taps("异议成立，结果不生效" if upheld else "异议不成立")
    await building.later(days=8)
    building.phone("王奶奶").sees("投票 1")
    await building.phone("王奶奶").forges("vote.show:1")
    assert leaks(building) == []
    assert not [m for m in building.phone("王奶奶").chat.messages if "陈女士" in m.text]


async def test_what_is_asked_for_is_masked_in_the_vote_and_in_the_register(
    building: Building, owner: Phone, office: Phone
) -> None:
    await ask_for(owner, f"充电桩 {PRIVATE}", why=f"{PRIVATE} 家里没法充")
    await noted(office, f"现有 2 个，{PRIVATE}")
    await reviewed(office, *POLL)
    (vote,) = building.read(select(Vote))
    assert vote.policy["title"].startswith("3 号楼：充电桩")
    await building.phone("王奶奶").taps("赞成")
    await owner.taps("赞成")
    await building.phone("周先生").taps("赞成")
    await building.later(days=3, seconds=10)
    await building.later(days=8)
    assert building.read(select(Purchase.state)) == ["approved"]
    for act, answers in (
        ("已下单", ("42000", f"找 {PRIVATE}", "跳过")),
        ("已到货", ("跳过", f"找 {PRIVATE}")),
        ("已安装", ("跳过", f"找 {PRIVATE}")),
    ):
        await office.taps(act)
        for words in answers:
            await office.says(words)
    other = building.phone("王奶奶")
    await other.says("/equipment")
    for name in ("purchases",):
        await other.forges(name)
    await other.forges("purchase.show:1")
    assert leaks(building) == []
    assert not [kind for kind in building.read(select(Equipment.kind)) if "138" in kind or "1201" in kind]
