"""Statutory votes are opened by two of the committee, as talks."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from store.tables import Event, Opening, Person, Role, Talk, Vote
from tests.handlers.test_purchases import THING, ask_for, posted, requests
from tests.handlers.test_review import LAWFUL, committee, noted, reviewed, vote_of
from tests.people import Building, Phone


@pytest.fixture
def first(building: Building) -> Phone:
    """周先生, who is on the committee when a vote has been proposed."""
    return building.phone("周先生")


@pytest.fixture
def second(building: Building) -> Phone:
    return building.phone("王奶奶")


async def proposed(building: Building, owner: Phone, office: Phone, *answers: str) -> Opening:
    """A request has been reviewed, and its statutory vote waits for the committee."""
    committee(building, "周先生", "王奶奶")
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *(answers or LAWFUL))
    office.sees("等业委会发起表决")
    (opening,) = building.read(select(Opening))
    return opening


async def test_two_of_the_committee_open_a_statutory_vote(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone, board: Phone
) -> None:
    opening = await proposed(building, owner, office)
    for member in (first, second):
        member.sees(f"请业委会发起：3 号楼：{THING} 10 个", "发起表决", "不发起")
    await building.restart()
    await first.taps("发起表决")
    first.sees("您已发起，等另一位成员确认")
    await first.forges(f"opening.confirm:{opening.id}")
    first.sees("您已经发起了，要由另一位成员确认")
    assert building.read(select(Vote)) == []
    second.sees("一位成员已发起，请第二位确认", "确认发起", "不发起")
    assert "purchase.event.opened" in building.read(select(Event.key))
    assert "等业委会发起表决" in posted(board)
    await second.taps("确认发起")
    vote = vote_of(building)
    opens = building.clock.now() + timedelta(days=15)
    assert (vote.kind, vote.policy["rule"], vote.opens_at) == ("statutory", "ordinary", opens)
    assert vote.deadline == opens + timedelta(days=15)
    first.sees(f"业委会已确认：投票 {vote.number}")
    second.sees(f"业委会已确认：投票 {vote.number}")
    (purchase,) = requests(building)
    assert (purchase.state, purchase.vote_id) == ("voting", vote.id)
    assert "已发起投票" in posted(office)
    await second.forges(f"opening.confirm:{opening.id}")
    second.sees("这次表决已经定了")
    assert len(building.read(select(Vote))) == 1


async def test_a_chosen_time_holds_unless_the_notice_would_be_too_short(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone
) -> None:
    await proposed(building, owner, office, *LAWFUL[:4], "4月10日 9点", "20", "确认，发起")
    await first.taps("发起表决")
    await second.taps("确认发起")
    vote = vote_of(building)
    assert vote.opens_at.isoformat()[:16] in ("2026-04-10T01:00", "2026-04-10T09:00")
    assert vote.deadline - vote.opens_at == timedelta(days=20)


async def test_who_confirms_late_gives_the_whole_notice(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone
) -> None:
    await proposed(building, owner, office, *LAWFUL[:4], "3月18日 9点", "20", "确认，发起")
    await first.taps("发起表决")
    await building.later(days=10)
    await second.taps("确认发起")
    assert vote_of(building).opens_at == building.clock.now() + timedelta(days=15)


async def test_the_committee_is_reminded_daily_until_it_is_settled(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone
) -> None:
    await proposed(building, owner, office)
    await first.taps("发起表决")
    await building.later(days=1)
    second.sees("⏳ 还在等业委会", "确认发起")
    await building.restart()
    await building.later(days=1)
    second.sees("⏳ 还在等业委会", "确认发起")
    await second.taps("确认发起")
    said = len(first.chat.messages)
    await building.later(days=3)
    assert [m.text for m in first.chat.messages[said:] if "还在等业委会" in m.text] == []


async def test_the_committee_does_not_open_it_and_says_why(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone, board: Phone
) -> None:
    opening = await proposed(building, owner, office)
    await first.taps("发起表决")
    await second.taps("不发起")
    second.sees("为什么不发起")
    await second.says("方案还不清楚，电话 13800138000")
    office.sees("业委会没有发起表决，原因：方案还不清楚", "审核并发起投票")
    owner.sees("业委会没有发起表决，原因：\n方案还不清楚")
    for phone in (owner, office, board):
        assert [m.text for m in phone.chat.messages if "13800138000" in m.text] == []
    (purchase,) = requests(building)
    assert (purchase.state, purchase.due_at) != ("opening", None)
    assert purchase.due_at is not None
    assert "物业审核中" in posted(board)
    for action in ("open", "confirm", "drop"):
        await first.forges(f"opening.{action}:{opening.id}")
        first.sees("这次表决已经定了")
    await reviewed(office, *LAWFUL)
    assert [each.state for each in building.read(select(Opening).order_by(Opening.id))] == [
        "dropped",
        "proposed",
    ]


async def test_a_reason_that_comes_too_late_changes_nothing(
    building: Building,
    owner: Phone,
    office: Phone,
    first: Phone,
    second: Phone,
    phone: Callable[[str], Phone],
) -> None:
    await proposed(building, owner, office)
    await second.taps("不发起")
    await first.taps("发起表决")
    committee(building, "陈女士")
    (opening,) = building.read(select(Opening))
    await owner.forges(f"opening.confirm:{opening.id}")
    assert building.read(select(Talk)) == []
    assert vote_of(building).kind == "statutory"
    await second.says("还没问清楚")
    assert requests(building)[0].state == "voting"


async def test_who_has_left_the_committee_opens_nothing(
    building: Building, owner: Phone, office: Phone, first: Phone, second: Phone
) -> None:
    await proposed(building, owner, office)
    committee(building, "陈女士")
    await first.taps("发起表决")

    def leave(session: Session) -> None:
        member = session.exec(
            select(Role).join(Person).where(Person.name == "周先生", Role.role == "committee")
        ).one()
        session.delete(member)

    building.app.database.write_now(leave)
    await second.taps("确认发起")
    assert building.read(select(Vote)) == []
    second.sees("您已发起，等另一位成员确认")
    owner.sees("一位成员已发起，请第二位确认", "确认发起")
    await owner.taps("确认发起")
    assert vote_of(building).kind == "statutory"


async def test_nobody_else_opens_a_statutory_vote(
    building: Building, owner: Phone, office: Phone, crew: Phone
) -> None:
    opening = await proposed(building, owner, office)
    for phone in (owner, office, crew):
        for action in ("open", "confirm", "drop"):
            await phone.forges(f"opening.{action}:{opening.id}")
            phone.sees("这件事不归您办理")
    assert building.read(select(Opening.state)) == ["proposed"]
