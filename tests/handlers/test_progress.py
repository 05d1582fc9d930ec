"""What becomes of a request after the owners have decided, as talks."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers import purchases
from handlers.tx import Tx
from store.tables import Equipment, Purchase, Vote
from tests.handlers.test_purchases import THING, ask_for, posted, requests
from tests.handlers.test_review import POLL, noted, reviewed
from tests.people import Building, Phone


async def voting(building: Building, owner: Phone, office: Phone) -> None:
    """Owners vote on a request, and nobody closes that vote by the clock."""
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *POLL[:-2], "120", POLL[-1])


async def decide(building: Building, *steps: Callable[[Tx, Purchase, Vote], None]) -> None:
    """Let the result be counted, become final, or be annulled."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        purchase, vote = session.exec(select(Purchase)).one(), session.exec(select(Vote)).one()
        for step in steps:
            step(tx, purchase, vote)

    building.app.database.write_now(work)
    await building.settle()


def passes(tx: Tx, purchase: Purchase, vote: Vote) -> None:
    purchases.finally_decided(tx, purchase, vote, passed=True)


def fails(tx: Tx, purchase: Purchase, vote: Vote) -> None:
    purchases.finally_decided(tx, purchase, vote, passed=False)


async def approved(building: Building, owner: Phone, office: Phone) -> None:
    await voting(building, owner, office)
    await decide(building, purchases.counted, passes)


async def installed(building: Building, owner: Phone, office: Phone) -> None:
    await approved(building, owner, office)
    for button, answers in (("已下单", 3), ("已到货", 2), ("已安装", 2)):
        await office.taps(button)
        for _ in range(answers):
            await office.taps("跳过")


async def test_what_was_approved_goes_its_whole_way(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await voting(building, owner, office)
    await decide(building, purchases.counted)
    assert "结果已公布，异议期" in posted(board)
    await decide(building, passes)
    owner.sees("申请 1（电动车充电桩）通过了，结果已经生效。物业应在 3月9日 18:00 前下单")
    office.sees("🧾 采购申请 1 · 已通过，等下单 · 3月9日周一 18:00 前下单", "已下单")
    await office.taps("已下单")
    office.sees("一共花了多少钱", "跳过")
    await office.says("3.9万")
    await office.says("预计下月初到货，找王工 13800138000")
    await building.restart()
    await office.sends_photo()
    await office.taps("好了")
    owner.sees("申请 1（电动车充电桩）已下单")
    notice = neighbour.sees("已下单\n", "看申请 1")
    assert notice.silent or not building.changes
    assert (notice.photos, "支持" in notice.buttons) == (1, False)
    assert "实际花费：3.9 万元\n物业：预计下月初到货，找王工 ***" in posted(board)
    await office.taps("已到货")
    for _ in range(2):
        await office.taps("跳过")
    owner.sees("已到货，装好了告诉您")
    await office.taps("已安装")
    await office.sends_photo()
    await office.taps("好了")
    await office.says("扫码即可使用")
    owner.sees("已装好。请去看一眼", "确认完成", "有问题")
    (line,) = building.read(select(Equipment))
    assert (line.kind, line.building, line.count, line.since) == (THING, "3", 10, 2026)
    await owner.taps("确认完成")
    owner.sees("申请 1（电动车充电桩）完成")
    assert "完成\n" in posted(board)
    assert [each.state for each in requests(building)] == ["done"]
    await owner.taps("看申请 1")
    owner.sees("业主提出申请")
    assert [word for word in ("已下单", "已到货", "已安装", "确认完成") if word not in owner.last.text] == []


async def test_what_is_wrong_goes_back_to_staff_and_into_the_register_once(
    building: Building, owner: Phone, office: Phone
) -> None:
    await installed(building, owner, office)
    await owner.taps("有问题")
    owner.sees("有什么问题")
    await owner.says("有两个充不了电")
    owner.sees("已告诉物业")
    office.sees("申请人说有问题：有两个充不了电", "已安装")
    await building.later(days=5)
    assert requests(building)[0].state == "delivered"
    await office.taps("已安装")
    for _ in range(2):
        await office.taps("跳过")
    owner.sees("已装好", "确认完成")
    assert len(building.read(select(Equipment))) == 1


async def test_silence_confirms(building: Building, owner: Phone, office: Phone, board: Phone) -> None:
    await installed(building, owner, office)
    await building.restart()
    await building.later(days=2, hours=23)
    assert requests(building)[0].state == "installed"
    await building.later(hours=1)
    owner.sees("没有等到您的回复，按完成处理")
    assert [each.state for each in requests(building)] == ["done"]
    await owner.forges(f"purchase.problem:{requests(building)[0].id}")
    owner.sees("申请 1 现在是「完成」")


async def test_staff_who_do_not_order_are_reminded_daily(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await approved(building, owner, office)
    office.sees("等下单")
    await building.later(days=6, hours=10)
    office.sees("⏳ 采购申请 1 还剩一天", "已下单")
    for _ in range(2):
        await building.later(days=1)
        office.sees("⏰ 采购申请 1 已过期", "已下单")
    board.sees("物业未按时下单")
    board.sees("申请 1 · 电动车充电桩 · 未下单，3月9日周一 18:00 起逾期")
    await office.taps("已下单")
    for _ in range(3):
        await office.taps("跳过")
    said = len(office.chat.messages)
    await building.later(days=3)
    assert [m.text for m in office.chat.messages[said:] if "已过期" in m.text] == []


async def test_what_was_rejected_ends(building: Building, owner: Phone, office: Phone, board: Phone) -> None:
    await voting(building, owner, office)
    await decide(building, purchases.counted, fails)
    owner.sees("没有通过，结果已经生效")
    assert "未通过" in posted(board)
    (purchase,) = requests(building)
    await office.forges(f"purchase.order:{purchase.id}")
    office.sees("申请 1 现在是「未通过」")
    await building.later(days=60)
    await ask_for(owner, until="已经有人申请过类似的")
    owner.sees("已经有人申请过类似的", f"看申请 1：{THING} 10 个（3 号楼 · 未通过）", "都不是，继续")
    await owner.taps(f"看申请 1：{THING} 10 个（3 号楼 · 未通过）")
    owner.sees("经过：")


async def test_what_was_rejected_long_ago_can_be_asked_for_anew(
    building: Building, owner: Phone, office: Phone
) -> None:
    await voting(building, owner, office)
    await decide(building, purchases.counted, fails)
    await building.later(days=91)
    await ask_for(owner, until="具体装在哪里")
    owner.sees("具体装在哪里")


@pytest.mark.parametrize(
    "before", [(purchases.counted,), (purchases.counted, passes), (purchases.counted, fails)]
)
async def test_an_annulled_result_brings_it_back_to_staff(
    building: Building, owner: Phone, office: Phone, before: tuple[Callable[[Tx, Purchase, Vote], None], ...]
) -> None:
    await voting(building, owner, office)
    await decide(building, *before, purchases.annulled)
    owner.sees("投票结果作废。物业在 3月9日 18:00 前重新审核")
    office.sees("🧾 采购申请 1 · 物业审核中 · 3月9日周一 18:00 前答复", "审核并发起投票")
    (purchase,) = requests(building)
    assert purchase.due_at is not None
    assert purchase.due_at - building.clock.now() > timedelta(days=5)


async def test_what_waits_for_its_proposer_is_shown_when_they_come_back(
    building: Building, owner: Phone, office: Phone
) -> None:
    building.set_policy("confirm_days", 30)
    await installed(building, owner, office)
    await building.later(days=10)
    await owner.says("/help")
    owner.sees("申请 1（电动车充电桩）已装好，等您确认", "确认完成", "有问题")


async def test_the_clock_brings_the_result_of_its_vote_to_a_request(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *POLL)
    for voter in (owner, neighbour, phone("王奶奶")):
        await voter.taps("赞成")
    await building.later(days=3, minutes=1)
    assert requests(building)[0].state == "objecting"
    await building.restart()
    await building.later(days=7, minutes=1)
    assert requests(building)[0].state == "approved"
    owner.sees("申请 1（电动车充电桩）通过了")
    office.sees("🧾 采购申请 1 · 已通过，等下单", "已下单")


async def test_a_poll_in_which_nobody_voted_rejects_a_request(
    building: Building, owner: Phone, office: Phone
) -> None:
    await ask_for(owner)
    await noted(office)
    await reviewed(office, *POLL)
    await building.later(days=3, minutes=1)
    await building.later(days=7, minutes=1)
    assert requests(building)[0].state == "rejected"
    owner.sees("申请 1（电动车充电桩）没有通过")
