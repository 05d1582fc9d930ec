"""/my: what waits for somebody, what they wait for, and what has ended, in one message."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from handlers.my import FITS
from handlers.openings import propose
from handlers.tx import Tx
from store.tables import Complaint, Letter, Person, Purchase, Repair, Role, Supporter
from tests.handlers.test_announcements import WORDS, writes
from tests.handlers.test_complaints import complains
from tests.handlers.test_joining import asks_to_come_in
from tests.handlers.test_purchases import ask_for
from tests.handlers.test_repair import finish, report
from tests.people import Building, Phone

TAP = "厨房水龙头滴水"
DESK = "出九成新书桌 180 元"


def write(building: Building, do: Callable[[Session], Any]) -> Any:
    return building.app.database.write_now(do)


def person_id(session: Session, name: str) -> int:
    return session.exec(select(Person.id).where(Person.name == name)).one()


def add_complaint(building: Building, **columns: Any) -> None:
    """A complaint of 陈女士."""

    def work(session: Session) -> None:
        now = building.clock.now()
        session.add(
            Complaint(
                **{
                    "community_id": building.community.id,
                    "number": 1,
                    "person_id": person_id(session, "陈女士"),
                    "kind": "complaint",
                    "created_at": now,
                    "due_at": now + timedelta(days=10),
                    **columns,
                }
            )
        )

    write(building, work)


async def test_one_message_says_what_waits_for_whom(
    building: Building, owner: Phone, plumber: Phone, neighbour: Phone
) -> None:
    await owner.says("我的")
    owner.sees("现在没有等您处理的事，您也没有在等的事", "报修")
    await report(owner, TAP)
    await owner.offers(DESK)
    before = len(owner.chat.messages)
    await owner.says("我的")
    assert len(owner.chat.messages) == before + 1
    shown = owner.sees("【您在等】", "查看 1", "看信息 1")
    assert "【等您处理】" not in shown.text
    assert f"报修 1 · 3 号楼 2 单元 1201 · {TAP} · 等待接单 · 周三 18:00 前（今天 09:00 起）" in shown.text
    assert "信息 1 · 九成新书桌 · 180 元 · 公示中 · 4月1日" in shown.text
    await finish(plumber)
    await owner.says("我的")
    yours, theirs = owner.sees("【等您处理】", "查看 1", "看信息 1").text.split("\n\n")
    assert f"{TAP} · 师傅说修好了，请您确认 · 周四 09:00 前（今天 09:00 起）" in yours
    assert theirs.startswith("【您在等】\n信息 1")
    await owner.taps("查看 1")
    owner.sees("报修 1", "确认修好")
    await owner.taps("确认修好")
    await owner.says("我的")
    assert owner.sees("【您在等】").text.endswith("近 30 天结束：报修 1 件。")
    await neighbour.says("我的")
    neighbour.sees("现在没有等您处理的事")


async def test_what_has_ended_is_shown_if_nothing_else_is(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    await owner.says("我的")
    owner.sees(f"【近期结束】\n报修 1 · 3 号楼 2 单元 1201 · {TAP} · 已修好（今天 09:00 结束）", "查看 1")
    await building.later(days=31)
    await owner.says("我的")
    owner.sees("现在没有等您处理的事")


async def test_a_price_and_a_danger_wait_for_a_word(building: Building, owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")
    await plumber.taps("要收费")
    await plumber.says("80")
    await plumber.says("换阀芯")
    await owner.says("我的")
    assert "师傅报价 80 元，请您决定" in owner.sees("【等您处理】", "查看 1").text


async def test_a_request_is_seen_from_both_sides(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await ask_for(owner)
    await neighbour.forges("purchase.support:1")
    await neighbour.says("我的")
    assert (
        "【您在等】\n您支持的申请 1 · 电动车充电桩 · 物业审核中" in neighbour.sees("申请 1", "看申请 1").text
    )
    await owner.says("我的")
    assert "【您在等】\n申请 1 · 电动车充电桩 · 物业审核中" in owner.sees("申请 1", "看申请 1").text
    await office.taps("退回并说明理由")
    await office.says("电容量不够")
    await office.taps("退回并公示")
    await owner.says("我的")
    assert "【等您处理】\n申请 1 · 电动车充电桩 · 已退回，可以征集联名再提" in owner.sees("申请 1").text


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({}, "【您在等】\n投诉 1 · 您的投诉 · 等物业答复 · 3月12日 09:00 前（今天 09:00 起）"),
        ({"overdue_at": "now"}, "【您在等】\n投诉 1 · 您的投诉 · 物业逾期未答复"),
        (
            {"state": "answered", "answered_at": "now", "due_at": None},
            "【等您处理】\n投诉 1 · 您的投诉 · 物业已答复，请说有没有用",
        ),
        (
            {"state": "closed", "closed_at": "now", "due_at": None, "kind": "suggestion"},
            "【近期结束】\n建议 1 · 您的建议 · 已结束",
        ),
    ],
)
async def test_a_complaint_has_a_state(
    building: Building, owner: Phone, columns: dict[str, Any], shown: str
) -> None:
    now = building.clock.now()
    add_complaint(building, **{name: now if value == "now" else value for name, value in columns.items()})
    await owner.says("我的")
    owner.sees(shown)


async def test_what_one_says_the_same_as_is_waited_for_until_it_is_answered(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await complains(owner)
    await neighbour.taps("我也有同感")
    await neighbour.says("我的")
    neighbour.sees(
        "【您在等】\n您有同感的投诉 1 · 3 号楼楼道三天没打扫，垃圾堆在门口 · 等物业答复 · 3月12日 09:00 前"
    )
    await owner.says("我的")
    owner.sees("【您在等】\n投诉 1 · 3 号楼楼道三天没打扫")
    await office.replies("明天打扫", to=office.sees("【投诉 1"))
    await neighbour.says("我的")
    assert "投诉 1" not in neighbour.last.text
    await owner.says("我的")
    owner.sees("【等您处理】\n投诉 1 · 3 号楼楼道三天没打扫", "看全文 1")


async def test_a_notice_that_asks_to_be_read_waits_for_its_reader_also_when_muted(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.says("免打扰 7天")
    await writes(office, WORDS, "要已读")
    await owner.says("我的")
    owner.sees("【等您处理】\n通知 1 · ", "通知 1")
    await owner.taps("通知 1")
    await owner.taps("已读")
    await owner.says("我的")
    assert "通知 1" not in owner.last.text


async def test_what_has_begun_in_another_chat_stands_there_too(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    await owner.says("我的")
    owner.sees("表格 · 没填完的内容 · 接着填，或点「取消」 · 明天 09:00 前")


async def test_many_are_turned_over(building: Building, owner: Phone) -> None:
    def work(session: Session) -> None:
        who = person_id(session, "陈女士")
        for number in range(1, 21):
            session.add(
                Repair(
                    community_id=building.community.id,
                    number=number,
                    person_id=who,
                    what=f"<b>第{number}处</b> *坏* 😀" + "长" * 200,
                    reported_at=building.clock.now() + timedelta(minutes=number),
                )
            )

    write(building, work)
    await owner.says("我的")
    first = owner.sees("第1处", "查看 1", f"查看 {FITS}", "往后")
    assert "<b>第1处</b> *坏* 😀" in first.text
    assert "还有 12 件" in first.text
    await owner.taps("往后")
    owner.sees("第9处", "查看 16", "往前", "往后")
    await owner.taps("往后")
    last = owner.sees("第17处", "查看 20", "往前")
    assert "往后" not in last.buttons
    await owner.forges("mine.page:p999")
    owner.sees("第17处", "查看 20")


async def test_the_crew_see_their_tickets_and_staff_what_waits(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await plumber.says("我的")
    plumber.sees("还没完成的报修", "查看 1")
    await plumber.says("待办")
    plumber.sees("还没完成的报修", "查看 1")
    await office.says("我的")
    office.sees("没有等着办的事")
    await building.later(days=2, hours=10)
    await office.says("我的")
    office.sees("📋 待办 1 件，其中 1 件超期：逾期的报修 1（超期 1）", "查看 1")


async def test_a_letter_to_the_office_is_waited_for(building: Building, owner: Phone, office: Phone) -> None:
    write(building, unassigned(building))
    await owner.forges("repair.write:1")
    await owner.says("有人在家吗")
    await owner.says("我的")
    shown = owner.sees("写给物业的信 · 报修 1 · 有人在家吗 · 等物业回信 · 周四 18:00 前", "查看 1")
    assert "灯不亮 · 等待接单 · 立即（今天 09:00 起）" in shown.text
    await office.taps("回复")
    await office.says("在的")
    assert building.read(select(Letter.due_at)) == [None, None]
    await owner.says("我的")
    assert "写给物业的信" not in owner.sees("【您在等】").text


def unassigned(building: Building) -> Callable[[Session], None]:
    """A repair of 陈女士 that nobody has."""

    def work(session: Session) -> None:
        session.add(
            Repair(
                community_id=building.community.id,
                number=1,
                person_id=person_id(session, "陈女士"),
                what="灯不亮",
                reported_at=building.clock.now(),
            )
        )

    return work


async def test_a_guest_waits_for_the_office(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    guest = phone("新手机")
    await guest.says("你好")
    await asks_to_come_in(guest, home="3-2-1202", name="周先生", role="业主")
    assert "最晚 周四 18:00 核对好告诉您" in guest.last.text
    await guest.says("我的")
    guest.sees("【您在等】\n登记申请 · 3-2-1202 · 待核对 · 周四 18:00 前", "看登记申请 1")
    await guest.taps("看登记申请 1")
    guest.sees("登记申请 · 待核对\n3-2-1202\n经过：\n今天 09:00 提出登记申请")


async def test_the_committee_hears_what_it_has_to_open(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    await ask_for(owner)

    def work(session: Session) -> None:
        member = person_id(session, "周先生")
        session.add(Role(community_id=building.community.id, person_id=member, role="committee"))
        purchase = session.exec(select(Purchase)).one()
        purchase.state = "opening"
        session.add(purchase)
        session.flush()
        tx = Tx(session, building.clock.now(), building.app.house)
        vote = {"title": "3 号楼加装充电桩", "text": "10 个", "rule": "ordinary", "buildings": []}
        propose(tx, purchase, {**vote, "days": 15, "opens": ""})

    write(building, work)
    await phone("周先生").says("我的")
    phone("周先生").sees("【等您处理】\n发起投票 1 · 3 号楼加装充电桩 · ", "看申请 1")
    assert building.read(select(Supporter)) == []
