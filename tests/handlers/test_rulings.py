"""Rulings, as talks: what was judged wrongly comes back unchanged, and whoever must decide has a clock."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from handlers.people import bind_account, new_person
from handlers.tx import Tx
from store.tables import Audit, Example, Listing, Place, Role, Ruling
from tests.people import Building, Phone

BAD = "出代代券，面值500卖300"
DOUBTFUL = "出一张闪闪券，卖200"


@pytest.fixture(autouse=True)
def ruled(building: Building) -> None:
    """Two rules of the community's own, so that these tests do not depend on the words of the file."""

    building.add_rule("C1", "代代券", "violation")
    building.add_rule("C2", "闪闪券", "hold")


def member(building: Building) -> None:
    """Somebody sits in the committee, and can be reached."""

    def work(session: Session) -> None:
        tx = Tx(session, building.clock.now(), building.app.house)
        found = new_person(tx, building.community.id, "委员")
        bind_account(tx, found, building.messenger_of("委员"), building.account("委员"), agreed=True)
        session.add(Role(community_id=found.community_id, person_id=found.id, role="committee"))
        for chat in session.exec(select(Place).where(Place.messenger == "wechat")):
            chat.free_until, chat.free_left = building.clock.now() + timedelta(days=900), 900
            session.add(chat)

    building.app.database.write_now(work)


def state(building: Building) -> list[str]:
    return building.read(select(Listing.state).order_by(Listing.id))


async def test_what_was_judged_wrongly_is_published_unchanged_and_never_judged_so_again(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await owner.offers(BAD)
    told = owner.sees("这条信息没有发布。\n不得买卖券（规则 C1）：「代代券」", "判错了，申诉")
    assert "物业 24 小时内答复" in told.text
    assert state(building) == ["refused"]
    office.sees_nothing()  # what is certain needs nobody
    await building.restart()
    await owner.taps("判错了，申诉")
    owner.sees("已申诉（裁定 1）。物业最晚")
    card = office.sees("🧾 裁定 1 · 信息 1 · 有申诉，待裁定", "没违规，放行 1", "违规，删除 1")
    assert BAD in card.text and "陈女士" in card.text
    await office.taps("没违规，放行 1")
    owner.sees("物业看过了，没有违规：已按您写的原样发布")
    assert BAD in board.last.text
    assert state(building) == ["open"]
    assert "没有违规，已放行" in office.chat.messages[-1].text or any(
        "没有违规，已放行" in each.text for each in office.chat.messages
    )
    (example,) = building.read(select(Example))
    assert (example.judgement, example.verdict, example.label, example.kind) == (
        "conduct",
        "violation",
        "ok",
        "ad",
    )
    assert "ruling.allow:1" in building.read(select(Audit.action))

    await neighbour.offers("出 代代券 ， 面值５００卖３００")
    neighbour.sees("信息 2 已发布到公示栏")


async def test_what_staff_uphold_stays_away_and_its_author_hears_why(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    await owner.offers(DOUBTFUL)
    owner.sees("这条信息要等物业看一下再发布。\n不得买卖券（规则 C2）：「闪闪券」")
    assert "申诉" not in owner.last.text
    office.sees("裁定 1 · 信息 1 · 待裁定", "没违规，放行 1", "违规，删除 1")
    assert state(building) == ["held"]
    await office.taps("违规，删除 1")
    told = owner.sees("物业看过了：确实不能发布。\n不得买卖券（规则 C2）：「闪闪券」")
    assert "申诉" not in "".join(told.buttons)
    assert state(building) == ["refused"]
    board.sees_nothing()
    building.set_policy("said_days", 1)
    await building.later(days=2)
    assert building.read(select(Ruling.text, Ruling.why)) == [("", [])]  # the words go, the decision holds
    await owner.offers("出一张闪闪 券，卖200")
    owner.sees("同样的内容，物业裁定过违规", "判错了，申诉")


async def test_the_clock_runs_on_those_who_must_decide(
    building: Building, owner: Phone, office: Phone, board: Phone
) -> None:
    member(building)
    committee = building.phone("委员")
    await owner.offers(DOUBTFUL)
    office.sees("裁定 1 · 信息 1 · 待裁定")
    await building.later(hours=17)
    office.sees_nothing()
    await building.later(hours=1, minutes=1)
    office.sees("⏳ 裁定 1", "没违规，放行 1", "违规，删除 1")
    await building.restart()
    await building.later(hours=6)
    office.sees("⏰ 裁定 1 · 信息 1 · 待裁定，已经过期")
    owner.sees("信息 1：物业没有在期限内答复")
    committee.sees("物业没有按时裁定，请业委会来定：裁定 1", "没违规，放行 1", "违规，删除 1")
    await building.later(hours=24)
    office.sees("⏰ 裁定 1")
    await committee.taps("没违规，放行 1")
    committee.sees("已裁定 1：没有违规，已放行。")
    owner.sees("物业看过了，没有违规")
    assert DOUBTFUL in board.last.text
    office.sees("裁定 1 · 信息 1 · 没有违规，已放行")
    for _ in range(2):
        office.sees("今早待办 1 件，其中 1 件超期：发布待裁定 1（超期 1）")
    await building.later(hours=48)
    office.sees_nothing()


async def test_a_committee_in_time_and_an_owner_never_decide(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    member(building)
    await owner.offers(DOUBTFUL)
    number = building.read(select(Ruling.id))[0]
    for phone in (building.phone("委员"), owner, neighbour):
        await phone.forges(f"ruling.allow:{number}")
        phone.sees("这件事不归您办理")
    assert state(building) == ["held"]
    await neighbour.forges(f"ruling.appeal:{number}")
    neighbour.sees("这件事不归您办理")


async def test_what_was_changed_meanwhile_is_not_decided_and_two_of_staff_decide_once(
    building: Building, owner: Phone, office: Phone
) -> None:
    await owner.offers(DOUBTFUL)
    office.sees("裁定 1 · 信息 1 · 待裁定")
    await owner.taps("撤下信息")
    await office.forges(f"ruling.allow:{building.read(select(Ruling.id))[0]}")
    office.sees("裁定 1 已经是「已改过或撤回」")
    assert state(building) == ["withdrawn"]
    await owner.offers(DOUBTFUL)
    await office.taps("违规，删除 2")
    await office.forges(f"ruling.allow:{building.read(select(Ruling.id))[1]}")
    office.sees("裁定 2 已经是「违规，已删除」")
    assert building.read(select(Ruling.state).order_by(Ruling.id)) == ["moot", "upheld"]


async def test_staff_see_what_waits_and_give_back_what_nobody_appealed(
    building: Building, owner: Phone, neighbour: Phone, office: Phone, board: Phone
) -> None:
    await office.says("/rulings")
    office.sees("现在没有待裁定的内容")
    await owner.offers(BAD)
    await neighbour.offers(DOUBTFUL)
    await office.says("待裁定")
    office.sees(
        "待裁定 1 条，后面是最近删除的：\n2 · 信息 2 · 待裁定 · 出一张闪闪券，卖200 · C2\n1 · 信息 1 · 已删除"
    )
    await office.taps("裁定 1")
    office.sees("裁定 1 · 信息 1 · 已删除", "没违规，放行 1")
    await office.taps("没违规，放行 1")
    assert BAD in board.last.text
    owner.sees("物业看过了，没有违规")
