"""Rights end in the middle of things, and two act at the same instant: the moment of acting decides."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from conversations.said import Change, Said
from handlers.codes import invitation_of, new_code
from handlers.phones import set_phone
from handlers.tx import Tx
from store.tables import (
    Account,
    Audit,
    Code,
    HomeRole,
    Inbox,
    JoinRequest,
    Person,
    Place,
    Repair,
    Role,
    Talk,
)
from tests.handlers.test_repair import report
from tests.people import NAME, Building, Phone

pytestmark = pytest.mark.by_hand

PHONE = "13800138000"


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def named(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name).limit(1)).one()


def tie(building: Building, name: str) -> HomeRole:
    ties = select(HomeRole).join(Person).where(Person.name == name)
    found: HomeRole = building.read(ties.order_by(col(HomeRole.id)))[0]
    return found


def role(building: Building, name: str, kind: str) -> Role:
    found: Role = building.read(select(Role).join(Person).where(Person.name == name, Role.role == kind))[0]
    return found


def give_phone(building: Building, name: str) -> None:
    write(building, lambda tx: set_phone(tx, named(tx, name), PHONE))


class Outside(Phone):
    """A chat that somebody presses buttons in, who may not be in it any more."""

    async def _send(self, *, key: str = "", **what: Any) -> None:
        await super()._send(key=key, outsider=True, **what)


def outside(building: Building, member: str) -> Outside:
    """The admin group, as whoever was in it a moment ago."""
    return Outside(building, member, "staff", "staff")


async def leaves(building: Building, member: str) -> None:
    """The messenger says that somebody is in the admin group no more."""
    await building.group("刘经理")._send(change=Change(kind="left", account=member))


async def at_once(building: Building, *taps: tuple[str, str, str]) -> None:
    """Several people do something in the same instant: account, chat, and what they tap or type."""
    said = [
        Said(
            messenger=NAME,
            key=f"at once {number}",
            place=chat,
            sender=account,
            at=building.clock.now(),
            place_kind="private" if chat == account else "group",
            tap=what if re.search("[:=]", what) else "",
            text="" if re.search("[:=]", what) else what,
        )
        for number, (account, chat, what) in enumerate(taps)
    ]
    await asyncio.gather(*(building.app.receive(each) for each in said))
    await building.settle()


def failed(building: Building) -> list[str]:
    """The errors that messages met."""
    return building.read(select(Inbox.error).where(Inbox.state == "failed"))


# --- at the same instant ----------------------------------------------------------------------------


async def test_one_code_lets_one_of_ten_in(building: Building) -> None:
    code = write(building, lambda tx: invitation_of(tx, named(tx, "周先生")))
    before = building.read(select(Account))
    await at_once(building, *((f"手机{number}", f"手机{number}", code) for number in range(10)))
    after = building.read(select(Account))
    assert len(after) == len(before) + 1
    assert [each.used_at for each in building.read(select(Code))] == [building.clock.now()]
    assert failed(building) == []


async def test_two_codes_of_one_person_let_one_phone_in(building: Building) -> None:
    def two(tx: Tx) -> tuple[str, str]:
        who = named(tx, "周先生")
        made = [new_code(tx, who.community_id, "person", hours=1, person_id=who.id) for _ in range(2)]
        return made[0], made[1]

    codes = write(building, two)
    before = building.read(select(Account))
    await at_once(building, ("甲", "甲", codes[0]), ("乙", "乙", codes[1]))
    assert len(building.read(select(Account))) == len(before) + 1
    assert failed(building) == []


async def test_one_claim_code_makes_one_admin_group(building: Building) -> None:
    code = write(building, lambda tx: new_code(tx, building.community.id, "staff", hours=1))
    await at_once(building, *((f"某{number}", f"群{number}", f"/claim {code}") for number in range(4)))
    staff = building.read(select(Place).where(Place.kind == "staff"))
    assert len(staff) == 1  # and the one before is none any more
    assert staff[0].external_id != "staff"
    assert failed(building) == []


async def asked(building: Building) -> JoinRequest:
    def request(tx: Tx) -> JoinRequest:
        guest = named(tx, "访客")
        owner = tx.session.exec(select(HomeRole).where(HomeRole.person_id == named(tx, "周先生").id)).one()
        made = JoinRequest(
            community_id=guest.community_id,
            person_id=guest.id,
            name="小周",
            home="3-2-1202",
            role="family",
            home_id=owner.home_id,
            created_at=tx.now,
        )
        tx.session.add(made)
        tx.session.flush()
        return made

    guest = building.phone("访客")
    await guest.says("你好")
    await guest.taps("申请登记")
    await guest.taps("同意，开始")
    made: JoinRequest = write(building, request)
    return made


@pytest.mark.parametrize(
    "taps", [("approve", "decline"), ("approve", "approve"), ("decline", "approve"), ("decline", "decline")]
)
async def test_a_request_is_decided_by_one_of_two_who_tap_at_once(
    building: Building, taps: tuple[str, str]
) -> None:
    request = await asked(building)
    await building.group("王经理").says("大家好")
    values = [f"join.{each}:{request.id}" for each in taps]
    await at_once(building, ("刘经理", "staff", values[0]), ("王经理", "staff", values[1]))
    (after,) = building.read(select(JoinRequest))
    ties = building.read(select(HomeRole).where(HomeRole.person_id == request.person_id))
    assert (after.state, len(ties)) in (("approved", 1), ("declined", 0))
    acts = [row.action for row in building.read(select(Audit)) if row.action in values]
    assert acts == [f"join.{'approve' if ties else 'decline'}:{request.id}"]
    assert failed(building) == []


async def test_a_ticket_is_accepted_by_one_of_two_who_tap_at_once(building: Building) -> None:
    await building.phone("陈女士").says("电梯里困了人")
    (repair,) = building.read(select(Repair))
    crews = ("李师傅", "王师傅", "张师傅")
    await at_once(building, *((name, name, f"repair.accept:{repair.id}") for name in crews))
    (after,) = building.read(select(Repair))
    log = [row.action for row in building.read(select(Audit))]
    assert (after.state, log) == ("accepted", [f"repair.accept:{repair.id}"])
    assert failed(building) == []


async def test_a_tenant_is_removed_while_they_report(building: Building) -> None:
    """Whichever comes first: a report that was in, or none; but never half of either."""
    tenant, office = building.phone("Mr Smith"), building.group("刘经理")
    await tenant.says("厨房水龙头滴水")
    tenant.sees("请看一下对不对", "提交")
    await office.forges(f"tie.remove:{tie(building, 'Mr Smith').id}")
    sure = {each.script: each.id for each in building.read(select(Talk))}
    await at_once(
        building,
        ("刘经理", "staff", f"{sure['expel']}.sure=yes"),
        ("Mr Smith", "Mr Smith", "提交"),
    )
    assert len(building.read(select(Repair))) < 2
    assert building.read(select(HomeRole).join(Person).where(Person.name == "Mr Smith")) == []
    assert building.read(select(Talk)) == []
    assert failed(building) == []


async def test_a_talk_ends_once_by_the_clock_or_by_its_last_word(building: Building) -> None:
    owner = building.phone("陈女士")
    await owner.says("厨房水龙头滴水")
    building.clock.at += timedelta(hours=25)
    await asyncio.gather(building.app.ticker.tick(), at_once(building, ("陈女士", "陈女士", "提交")))
    await building.settle()
    expired = [message for message in owner.chat.messages if "没填完的内容，放了很久" in message.text]
    assert len(building.read(select(Repair))) + len(expired) == 1
    assert failed(building) == []


# --- staff who are in the group no more -------------------------------------------------------------


@pytest.mark.parametrize("is_told", [True, False])
async def test_staff_who_left_in_mid_talk_add_nobody(building: Building, is_told: bool) -> None:
    """`is_told`: the messenger has said that they left; or a press shows it, before its word has come."""
    office, after = building.group("刘经理"), outside(building, "刘经理")
    await office.forges("crew.add")
    await office.says("新师傅")
    (talk,) = building.read(select(Talk))
    if is_told:
        await leaves(building, "刘经理")
        assert building.read(select(Talk)) == []
    people, log = building.read(select(Person)), len(building.read(select(Audit)))
    await after.forges(f"{talk.id}.phone!skip")
    after.sees("这个选项是以前的" if is_told else "这件事不归您办理")
    assert [each.id for each in building.read(select(Person))] == [each.id for each in people]
    assert building.read(select(Person).where(Person.name == "新师傅")) == []
    assert building.read(select(Code)) == []
    assert len(building.read(select(Audit))) == log
    assert building.read(select(Talk)) == []  # it is over: asking again would be refused again


@pytest.mark.parametrize(
    "begin", ["crew.remove:{crew}", "tie.remove:{tie}", "crew.remove:{committee}", "agent.new:{tie}"]
)
async def test_staff_who_left_end_nobody_s_rights(building: Building, begin: str) -> None:
    def committee(tx: Tx) -> Role:
        member = named(tx, "周先生")
        made = Role(community_id=member.community_id, person_id=member.id, role="committee")
        tx.session.add(made)
        return made

    write(building, committee)
    ids = {
        "crew": role(building, "王师傅", "crew").id,
        "tie": tie(building, "陈女士").id,
        "committee": role(building, "周先生", "committee").id,
    }
    office, after = building.group("刘经理"), outside(building, "刘经理")
    await office.forges(begin.format(**ids))
    (talk,) = building.read(select(Talk))
    await leaves(building, "刘经理")
    before = [building.read(select(table)) for table in (Role, HomeRole)]
    for value in ("sure=yes", "kind=proxy"):
        await after.forges(f"{talk.id}.{value}")
    assert [building.read(select(table)) for table in (Role, HomeRole)] == before


async def test_staff_who_left_reach_nothing_by_their_old_buttons(building: Building) -> None:
    office, after = building.group("刘经理"), outside(building, "刘经理")
    for command in ("/crew", "/committee", "/audit"):
        await office.says(command)
    await leaves(building, "刘经理")
    shown = [value for message in office.chat.messages for value in message.buttons.values()]
    assert len(shown) > 3
    log = len(building.read(select(Audit)))
    for value in shown:
        await after.forges(value)
        after.sees("这件事不归您办理")
    own = building.phone("刘经理")
    for command in ("/crew", "/home", "/audit", "/link", "/tickets"):
        await own.says(command)
        own.sees("这件事不归您办理")
    assert len(building.read(select(Audit))) == log


async def test_who_left_the_group_pages_in_nobody_s_name(building: Building) -> None:
    """A member of the staff who lives here may report for themselves, and for an owner only as staff."""
    office, after = building.group("周先生"), outside(building, "周先生")
    await office.forges(f"repair.for:{tie(building, '陈女士').id}")
    await office.taps("电梯")
    await office.says("电梯有点晃，会不会掉下来")
    (talk,) = building.read(select(Talk))
    await leaves(building, "周先生")
    await after.forges(f"{talk.id}.danger=now")
    after.sees("这件事不归您办理")
    assert building.read(select(Repair)) == []


async def test_staff_page_in_the_name_of_an_owner_and_it_is_logged(building: Building) -> None:
    """Also one who lives here: for the owner they act as staff."""
    office, owner = building.group("周先生"), building.phone("陈女士")
    await office.forges(f"repair.for:{tie(building, '陈女士').id}")
    await office.taps("电梯")
    await office.says("电梯里困了人")
    (repair,) = building.read(select(Repair))
    owner.sees("已按紧急")
    assert (repair.urgent, repair.person_id) == (True, tie(building, "陈女士").person_id)
    assert f"repair.enter_urgent:{repair.person_id}" in [row.action for row in building.read(select(Audit))]


# --- tenants and crew who are gone ------------------------------------------------------------------


async def expelled(building: Building, name: str) -> None:
    office = building.group("刘经理")
    await office.forges(f"tie.remove:{tie(building, name).id}")
    await office.taps("确定移出")


async def dismissed(building: Building, name: str) -> None:
    office = building.group("刘经理")
    await office.forges(f"crew.remove:{role(building, name, 'crew').id}")
    await office.taps("确定结束")


async def test_a_tenant_who_is_removed_in_mid_report_reports_nothing(building: Building) -> None:
    tenant = building.phone("Mr Smith")
    await report(tenant, "厨房水龙头滴水", until="有照片吗")
    (talk,) = building.read(select(Talk))
    await expelled(building, "Mr Smith")
    for value in (f"{talk.id}.photos!skip", f"{talk.id}.sure=yes", "repair.start", "agents"):
        await tenant.forges(value)
    for text in ("跳过", "提交", "/repair", "报修"):
        await tenant.says(text)
    assert building.read(select(Repair)) == []
    assert building.read(select(Talk)) == []
    assert failed(building) == []


async def test_crew_who_are_removed_in_the_middle_of_a_ticket_go_on_with_nothing(building: Building) -> None:
    owner, plumber = building.phone("陈女士"), building.phone("王师傅")
    await owner.says("厨房水龙头滴水")
    await owner.taps("提交")
    (repair,) = building.read(select(Repair))
    assert repair.crew_id == role(building, "王师傅", "crew").person_id
    await plumber.taps("接单")
    await plumber.taps("修好了")
    (talk,) = building.read(select(Talk))
    await dismissed(building, "王师傅")
    (now,) = building.read(select(Repair))
    assert (now.state, now.crew_id == repair.crew_id) == ("waiting", False)
    shown = [value for message in plumber.chat.messages for value in message.buttons.values()]
    for value in (*shown, f"{talk.id}.photos!skip", f"{talk.id}.note!skip"):
        await plumber.forges(value)
    for name in ("accept", "decline", "go", "finish", "show"):
        await plumber.forges(f"repair.{name}:{repair.id}")
        plumber.sees("这件事不归您办理")
    assert building.read(select(Repair)) == [now]
    assert failed(building) == []


async def test_crew_who_are_gone_are_shown_nothing_of_a_ticket(building: Building) -> None:
    owner, plumber = building.phone("陈女士"), building.phone("王师傅")
    await owner.says("水管爆了，厨房全是水")
    plumber.sees("紧急报修")
    await dismissed(building, "王师傅")
    seen = len(plumber.chat.messages), plumber.last.text
    await owner.says("门锁密码是 2580，快来")
    await owner.sends_photo()
    assert (len(plumber.chat.messages), plumber.last.text) == seen


async def test_who_left_is_not_taken_for_another_of_the_same_number(building: Building) -> None:
    """The roster gave a couple one number: who has gone has proved nothing by it, until they share it again."""
    for name in ("周先生", "陈女士", "Mr Smith"):
        give_phone(building, name)
    wife = write(building, lambda tx: named(tx, "陈女士"))
    gone = building.phone("Mr Smith")
    await expelled(building, "Mr Smith")
    await gone.forges(f"join.as:{wife.id}")
    gone.sees("这个选项已经不能用了")
    accounts = select(Account).where(Account.person_id == wife.id)
    assert [each.external_id for each in building.read(accounts)] == ["陈女士"]
    gone.chat.keyboard = "contact"
    await gone.shares_contact(PHONE)
    gone.sees("几个人共用")
    await gone.forges(f"join.as:{wife.id}")
    assert {each.external_id for each in building.read(accounts)} == {"Mr Smith", "陈女士"}


async def test_nobody_comes_in_as_another_by_a_button_of_the_group(building: Building) -> None:
    """Whom they are is asked in their own chat: the admin group stays the group."""
    for name in ("周先生", "陈女士"):
        give_phone(building, name)
    new = building.phone("新手机")
    await new.says("你好")
    await new.taps("申请登记")
    await new.taps("同意，开始")
    await new.shares_contact(PHONE)
    wife = tie(building, "陈女士").person_id
    await outside(building, "新手机").forges(f"join.as:{wife}")
    assert [each.person_id for each in building.read(select(Place).where(Place.kind == "staff"))] == [None]
    accounts = building.read(select(Account).where(Account.person_id == wife))
    assert [each.external_id for each in accounts] == ["陈女士"]
