"""A vote in the chats: the ballot comes to everybody who may vote, is cast, changed, reminded of, and counted once."""

from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from handlers.holding import hold
from handlers.tx import Tx
from store.tables import Ballot, Vote
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
    board.sees("结果：参与的不够，没有结果")
    office.sees("结果：参与的不够，没有结果")
    await owner.taps("我要异议")
    owner.sees("您认为哪里不对")
