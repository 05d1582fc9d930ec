"""/waiting (待办): everything that waits for the office, since when, for whom; and the clocks on its silence."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from handlers.timers import is_set
from handlers.tx import Tx
from store.tables import (
    Announcement,
    Complaint,
    Edition,
    Event,
    Joiner,
    JoinRequest,
    Letter,
    Objection,
    Person,
    Repair,
    Role,
    Timer,
    Vote,
)
from tests.handlers.test_joining import asks_to_come_in
from tests.handlers.test_my import unassigned
from tests.handlers.test_purchases import ask_for
from tests.handlers.test_repair import finish, report
from tests.people import Building, Phone

TAP = "厨房水龙头滴水"


def write(building: Building, do: Callable[[Session], Any]) -> Any:
    return building.app.database.write_now(do)


def person_id(session: Session, name: str) -> int:
    return session.exec(select(Person.id).where(Person.name == name)).one()


def give_role(building: Building, name: str, role: str) -> None:
    def work(session: Session) -> None:
        session.add(Role(community_id=building.community.id, person_id=person_id(session, name), role=role))

    write(building, work)


def everything(building: Building) -> Callable[[Session], None]:
    """One of each kind that needs no talk: a complaint with a neighbour, an objection, a notice without an author."""

    def work(session: Session) -> None:
        here, now = {"community_id": building.community.id}, building.clock.now()
        chen, zhou = person_id(session, "陈女士"), person_id(session, "周先生")
        complaint = Complaint(
            **here, number=1, person_id=chen, kind="complaint", created_at=now, due_at=now + timedelta(days=1)
        )
        session.add(complaint)
        vote = Vote(
            **here,
            number=3,
            kind="poll",
            title="长椅",
            policy_hash="",
            roster_hash="",
            record_date=now.date(),
            opens_at=now,
            deadline=now,
            state="closed",
        )
        notice = Announcement(**here, number=5, person_id=zhou, send_at=now, created_at=now)
        session.add_all([vote, notice])
        session.flush()
        session.add(Joiner(**here, complaint_id=complaint.id, person_id=zhou, at=now))
        session.add(Objection(**here, vote_id=vote.id, person_id=chen, what="<b>票数不对</b>", at=now))
        session.add(Edition(**here, announcement_id=notice.id, version=1, title="停水", text="停水", at=now))
        for number, columns in enumerate(
            ({"urgent": True}, {"what": "门坏了", "cost_state": "asked", "cost": 8000, "crew_id": zhou}), 1
        ):
            found = {"what": "灯不亮", "state": "waiting", **columns}
            session.add(Repair(**here, number=number, person_id=chen, reported_at=now, **found))

    return work


async def test_all_that_waits_stands_there_with_its_counts(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await office.says("/waiting")
    office.sees("没有等着办的事。")
    await ask_for(owner)
    await neighbour.forges("purchase.support:1")
    await owner.offers("招聘兼职刷单，日结三百")
    await asks_to_come_in(phone("新手机"), home="3-2-1202", name="周先生", role="业主")
    write(building, everything(building))
    await office.says("待办")
    shown = office.sees("📋 待办 ", "看申请 1", "看登记申请 1", "看异议 1", "查看 1", "查看 2")
    head, *lines = shown.text.splitlines()
    assert "没人接的报修 1（超期 1）" in head
    assert "等决定发不发的通知 1（超期 1）" in head
    for kind in ("申请待审核 1", "登记待核对 1", "投诉待答复 1", "异议待裁定 1", "报修报价待业主答复 1"):
        assert kind in head
    assert sum("⏰" in line for line in lines) == 2
    assert lines[0].startswith("⏰ ")
    text = "\n".join(lines)
    assert "申请待审核 1 · 电动车充电桩 · 今天 09:00 起，3月9日 18:00 前 · 等物业 · 2 户在等" in text
    assert "投诉待答复 1 · 全小区 · 今天 09:00 起，明天 09:00 前 · 等物业 · 2 户在等" in text
    assert "<b>票数不对</b>" in text
    assert "等业主" in text
    for label, words in (
        ("看申请 1", "采购申请 1"),
        ("看登记申请 1", "登记申请 · 待核对"),
        ("查看 1", "报修 1"),
    ):
        await office.says("待办")
        await office.taps(label)
        office.sees(words)


async def test_a_notice_whose_time_has_come_without_its_author_waits_still(
    building: Building, office: Phone
) -> None:
    write(building, everything(building))

    def asks(session: Session) -> None:
        for notice in session.exec(select(Announcement)):
            notice.state = "asks"
            session.add(notice)

    write(building, asks)
    await office.says("待办")
    office.sees("等决定发不发的通知 1（超期 1）", "通知 5")
    await office.taps("通知 5")
    office.sees("停水", "现在发")


async def test_who_is_not_in_the_group_sees_their_own(
    building: Building, owner: Phone, office: Phone
) -> None:
    await ask_for(owner)
    await owner.says("待办")
    owner.sees("【您在等】\n申请 1")
    before = len(owner.chat.messages)
    await owner.forges("waits.page:p0")
    assert not any("📋" in each.text for each in owner.chat.messages[before:])


async def test_many_are_turned_over(building: Building, office: Phone) -> None:
    def work(session: Session) -> None:
        who = person_id(session, "陈女士")
        for number in range(1, 25):
            at = building.clock.now() + timedelta(minutes=number)
            found = {"number": number, "person_id": who, "what": "灯" * 300, "reported_at": at}
            session.add(Repair(community_id=building.community.id, **found))

    write(building, work)
    await office.says("待办")
    first = office.sees("📋 待办 24 件：没人接的报修 24", "查看 1", "查看 10", "往后")
    assert "查看 11" not in first.buttons
    await office.taps("往后")
    office.sees("📋 待办 24 件", "查看 11", "查看 20", "往前", "往后")
    await office.forges("waits.page:p99")
    office.sees("📋 待办 24 件", "查看 21", "查看 24", "往前")


# --- by the clock -----------------------------------------------------------------------------------


async def test_each_working_morning_what_waits_is_said_once(
    building: Building, owner: Phone, office: Phone, plumber: Phone
) -> None:
    await building.later(days=1)
    assert not any("今早" in each.text for each in office.chat.messages)
    await ask_for(owner)
    await building.later(days=1)  # Wednesday
    quiet = office.sees("📋 今早待办 1 件：申请待审核 1", "看申请 1")
    assert quiet.silent or not building.changes
    await building.later(days=4)  # Sunday
    assert sum("今早" in each.text for each in office.chat.messages) == 2
    await building.later(days=3)  # Wednesday: one day late
    loud = office.sees("📋 今早待办 1 件，其中 1 件超期：申请待审核 1（超期 1）")
    assert not loud.silent
    await building.restart()
    said = sum("今早" in each.text for each in office.chat.messages)
    await building.settle()
    assert sum("今早" in each.text for each in office.chat.messages) == said


async def test_the_committee_hears_once_a_week_how_much_is_late(
    building: Building, owner: Phone, phone: Callable[[str], Phone]
) -> None:
    give_role(building, "周先生", "committee")
    member = phone("周先生")
    await ask_for(owner)
    await building.later(days=7)
    assert not any("本周" in each.text for each in member.chat.messages)
    await building.later(days=7)
    shown = member.sees("📋 本周还有 1 件事超期：\n申请待审核 1 件 · 等物业 · 最久超期 6 天 15 小时", "我的")
    assert "充电桩" not in shown.text
    await building.later(days=3)
    assert sum("本周" in each.text for each in member.chat.messages) == 1


async def test_what_is_late_stands_in_public_without_names(
    building: Building, owner: Phone, board: Phone, office: Phone, neighbour: Phone
) -> None:
    await ask_for(owner)
    write(building, everything(building))

    def late(session: Session) -> None:
        for complaint in session.exec(select(Complaint)):
            complaint.overdue_at = building.clock.now()
            session.add(complaint)

    write(building, late)
    await building.later(days=8)
    shown = board.sees("物业逾期还没办的（办完就移出）：\n")
    assert "⏰ 投诉 1 · 未答复，3月3日周二 09:00 起逾期" in shown.text
    assert "⏰ 申请 1 · 电动车充电桩 · 未审核，3月9日周一 18:00 起逾期" in shown.text
    assert "⏰ 超过 7 天未裁定的异议 1 件" in shown.text
    for private in ("陈女士", "1201", "票数不对"):
        assert private not in shown.text
    await neighbour.says("逾期")
    neighbour.sees("⏰ 申请 1")
    await office.taps("退回并说明理由")
    await office.says("电容量不够")
    await office.taps("退回并公示")
    assert "申请 1" not in next(m.text for m in reversed(board.chat.messages) if "逾期还没办" in m.text)


# --- nobody answers ---------------------------------------------------------------------------------


async def test_a_request_to_come_in_has_a_clock(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    give_role(building, "周先生", "manager")
    guest = phone("新手机")
    await asks_to_come_in(guest, home="3-2-1202", name="周先生", role="业主")
    office.sees("🙋 登记申请 · 待核对", "不通过")
    await building.later(days=2, hours=9)  # Wednesday 18:00
    office.sees("⏳ 还剩一天：登记申请 · 3-2-1202（", "看登记申请 1")
    await building.later(days=1)
    office.sees("⏰ 超期没有答复：登记申请 · 3-2-1202（", "看登记申请 1")
    phone("周先生").sees("⏰ 物业超期没有答复：登记申请 · 3-2-1202（")
    assert "抱歉" not in guest.last.text
    await building.later(days=1)
    guest.sees("抱歉，您的登记申请到 昨天 18:00 还没有人核对。请打物业电话：021-5555 0110")
    await building.later(days=5)
    assert sum("抱歉" in each.text for each in guest.chat.messages) == 1
    assert [each.key for each in building.read(select(Event).where(Event.about == "join:1"))] == [
        "join.event.asked",
        "join.event.late",
    ]
    await office.taps("看登记申请 1")
    office.sees("🙋 登记申请 · 待核对", "不通过")
    await office.taps("不通过")
    assert building.read(select(JoinRequest.state, JoinRequest.due_at)) == [("declined", None)]
    await office.says("待办")
    office.sees("没有等着办的事")


async def test_a_letter_to_the_office_has_a_clock(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone]
) -> None:
    give_role(building, "周先生", "manager")
    write(building, unassigned(building))
    await owner.forges("repair.write:1")
    await owner.says("<b>什么时候来</b>")
    await building.later(days=2, hours=9)
    office.sees("⏳ 还剩一天：写给物业的信 · 报修 1：<b>什么时候来</b>（", "回复")
    await building.later(days=1)
    office.sees("⏰ 超期没有答复：写给物业的信 · 报修 1", "回复")
    phone("周先生").sees("⏰ 物业超期没有答复：写给物业的信 · 报修 1")
    await building.later(days=1)
    owner.sees("抱歉，您写给物业的信（报修 1）到 昨天 18:00 还没有答复。请打物业电话：021-5555 0110")
    await office.taps("回复")
    await office.says("今天来")
    assert building.read(select(Letter.due_at)) == [None, None]
    assert [
        each
        for each in building.read(select(Timer))
        if each.action.startswith("letter.") and each.state == "waiting"
    ] == []


async def test_a_letter_about_what_is_over_waits_for_nobody(
    building: Building, owner: Phone, office: Phone
) -> None:
    write(building, unassigned(building))
    await owner.forges("repair.write:1")
    await owner.says("明天有人来吗")
    await owner.forges("repair.withdraw:1")
    await building.later(days=9)
    assert not any("超期没有答复" in each.text for each in office.chat.messages)
    assert building.read(select(Letter.due_at)) == [None]


async def test_an_answer_ends_the_clock(building: Building, owner: Phone, office: Phone) -> None:
    write(building, unassigned(building))
    await owner.forges("repair.write:1")
    await owner.says("明天有人来吗")
    await office.taps("回复")
    await office.says("在")

    def waits(session: Session) -> bool:
        return is_set(Tx(session, building.clock.now(), building.app.house), "letter.overdue:1")

    assert write(building, waits) is False
    await building.later(days=9)
    assert not any("超期没有答复" in each.text for each in office.chat.messages)


@pytest.mark.parametrize("name", ["陈女士", "王师傅"])
async def test_a_ruling_shows_its_author_what_became_of_it(
    building: Building, owner: Phone, office: Phone, phone: Callable[[str], Phone], name: str
) -> None:
    building.add_rule("F99", "代代券", "violation")
    await owner.offers("转让代代券 10 元")
    await phone(name).forges("ruling.show:1")
    if name == "陈女士":
        owner.sees("裁定 1 · 已删除\n您写的：", "判错了，申诉")
        await owner.taps("判错了，申诉")
        await owner.forges("ruling.show:1")
        owner.sees("经过：\n今天 09:00 违规，已删除\n今天 09:00 作者申诉")
        await office.says("待办")
        office.sees("申诉待裁定 1", "裁定 1")
        await office.taps("裁定 1")
        office.sees("今天 09:00 作者申诉", "没违规，放行 1")
    else:
        assert "代代券" not in str(phone(name))


async def test_a_listing_has_a_timeline(building: Building, owner: Phone, neighbour: Phone) -> None:
    await owner.offers("出九成新书桌 180 元")
    await neighbour.taps("看信息 1")
    neighbour.sees("经过：\n今天 09:00 公示")
    await building.later(days=30)
    await owner.taps("续期")
    await owner.forges("listing.show:1")
    owner.sees("到期，不再显示\n今天 09:00 续期")


async def test_what_is_done_waits_no_more(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await report(owner, TAP)
    await building.later(days=3)
    await office.says("待办")
    office.sees("逾期的报修 1（超期 1）")
    await finish(plumber)
    await office.says("待办")
    office.sees("没有等着办的事")
