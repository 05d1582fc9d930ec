"""The whole way in one community of 300 owners: from a request to a final decision, on every messenger."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers.bundle import verify
from handlers.people import bind_account
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from handlers.votes import bundle_of
from store.tables import Equipment, Person, Place, Purchase, Vote
from tests.handlers.test_agents import appoints
from tests.handlers.test_paper import enters
from tests.handlers.test_purchases import THING, ask_for
from tests.handlers.test_review import LAWFUL, committee, noted, reviewed
from tests.handlers.test_votes import write
from tests.people import ROSTER, Building, Phone

OWNERS = 300
PROGRESS = [("已到货", ("跳过", "跳过")), ("已安装", ("跳过", "跳过"))]
MORE = [f"业主{number}" for number in range(1, OWNERS - 2)]
"""All but the three of every test."""


@pytest.fixture
def town(building: Building) -> Building:
    """Six more buildings with 297 homes, whose owners can all be reached, but for the last ten."""
    rows = [
        f"{4 + at // 50}号楼,{1 + at % 2}单元,{1 + at % 50 // 4}0{1 + at % 4},{80 + at % 40}.00,{name},业主,,,\n"
        for at, name in enumerate(MORE)
    ]

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        import_roster(tx, building.community, read_roster((ROSTER + "".join(rows)).encode()))
        for name in MORE[:-10]:
            person = session.exec(select(Person).where(Person.name == name)).one()
            bind_account(tx, person, building.messenger_of(name), building.account(name), agreed=True)
        for chat in session.exec(select(Place).where(Place.messenger == "wechat")):
            ends = building.clock.now() + timedelta(days=900)
            chat.free_until, chat.free_left = ends, 900  # as if they had written
            session.add(chat)

    building.app.database.write_now(work)
    return building


@pytest.mark.playground
async def test_from_a_request_to_a_final_decision(
    town: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    colleague, third = town.group("周经理"), town.phone("王奶奶")
    committee(town, "周先生", "王奶奶")
    # An owner asks for it, staff say what there is and by which rule it is decided, the committee opens the vote.
    await ask_for(owner)
    owner.sees(f"采购申请 1 已登记：{THING} 10 个")
    await town.settle()
    last, voters = town.phone(MORE[0]), [town.phone(name) for name in MORE[:-10]]
    last.sees(f"申请 1 · {THING}", "支持")
    await last.taps("支持")
    await noted(office)
    await reviewed(office, *LAWFUL)
    await neighbour.taps("发起表决")
    await town.restart()
    await third.taps("确认发起")
    await town.settle()
    last.sees(f"公告 · 投票 1：3 号楼：{THING} 10 个")
    # The notice takes fifteen days; then the ballot is in every owner's chat, and who asked is asked first.
    await town.later(days=15)
    await town.restart()
    for _ in range(4):
        await town.later(seconds=1)
    owner.sees("您的申请现在开始投票，请您先投", "赞成")
    assert all("赞成" in each.last.buttons for each in voters)
    await owner.taps("赞成")
    owner.sees("已记录：赞成")
    # A proxy, a ballot on paper, a changed vote, and most of the owners.
    await appoints(
        office, "书面委托", "陈女士", "业主大会投票", "跳过", "提交", whose=MORE[1], home=home_of(1)
    )
    owner.sees(f"您代{MORE[1]}投票")
    await owner.taps("赞成")
    voters[1].sees("陈女士代您投了一票：赞成")
    await enters(office, "反对", where=home_of(len(MORE) - 1))
    await colleague.taps("确认无误")
    colleague.sees("已记入投票 1")
    for number, each in enumerate(voters[2:230]):
        await each.taps("反对" if number % 4 == 0 else "赞成")
    voters[2].sees("已记录：反对")
    await voters[2].taps("赞成")
    voters[2].sees("已记录：赞成")
    # Two reminders, only to those who have not voted.
    before = {each.place: len(each.chat.messages) for each in voters}
    silent, done = voters[250], voters[100]
    await town.later(days=13)
    await town.restart()
    for _ in range(4):
        await town.later(seconds=1)
    assert "还没收到您的一票" in silent.last.text
    await town.later(hours=34, minutes=59, seconds=55)
    for _ in range(4):
        await town.later(seconds=1)
    reminded = [each for each in silent.chat.messages[before[silent.place] :] if "还没收到" in each.text]
    assert len(reminded) == 2
    assert not [each for each in done.chat.messages if "还没收到" in each.text]
    await office.says("/votes")
    await office.taps("投票 1")
    office.sees("范围：全小区")
    await office.taps("投票进度")
    office.sees("4 号楼")
    # The deadline passes while nothing runs: it is counted once, when we are back.
    town.clock.at += timedelta(hours=14)
    await town.restart()
    await town.settle()
    (vote,) = town.read(select(Vote))
    shown = board.sees("【业主大会表决】")
    assert shown.photos == 1
    assert "结果：通过" in shown.text
    assert "由业主委员会答复" in shown.text
    assert "结果：通过" in silent.sees("结果", "我要异议").text
    # An objection, answered by the committee; then it is final, and what was decided is bought.
    await silent.taps("我要异议")
    await silent.says("我没有收到票")
    await silent.taps("提交")
    neighbour.sees("异议 · 投票 1", "异议不成立")
    await neighbour.taps("异议不成立")
    await neighbour.says("票已送达，提醒过两次，记录在案")
    await neighbour.taps("异议不成立")
    silent.sees("您的异议不成立")
    await town.later(days=7, seconds=5)
    done.sees("的结果今天生效：通过")
    owner.sees("申请 1")
    (purchase,) = town.read(select(Purchase))
    assert purchase.state == "approved"
    for act, answers in (("已下单", ("42000", "跳过", "跳过")), *PROGRESS):
        await office.taps(act)
        for words in answers:
            await office.says(words)
    await owner.taps("确认完成")
    assert town.read(select(Purchase.state)) == ["done"]
    assert [each.kind for each in town.read(select(Equipment))] == [THING]
    # Anybody can count it again.
    assert verify(write(town, lambda tx: bundle_of(tx, tx.session.get_one(Vote, vote.id))))


def home_of(at: int) -> str:
    """The address of one of the further owners."""
    return f"{4 + at // 50}-{1 + at % 2}-{1 + at % 50 // 4}0{1 + at % 4}"
