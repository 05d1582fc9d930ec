"""How somebody hears of what is published: chosen by kind, and muted."""

from typing import Any

import pytest
from sqlmodel import Session, col, select

from handlers.notices import notify
from handlers.preferences import asks_to_mute, muted_in
from handlers.tx import Tx
from store.tables import Outgoing, Person, Preference
from tests.people import Building, Phone

DESK = "出一张实木书桌，1.4米，自提180"
LAMP = "出一盏台灯，八成新，自提30"


def copies(building: Building, name: str = "陈女士") -> list[Outgoing]:
    """What was written to somebody by notices."""
    theirs = select(Outgoing).join(Person, col(Person.id) == col(Outgoing.person_id))
    rows = theirs.where(Person.name == name, col(Outgoing.notice_id).is_not(None))
    return building.read(rows.order_by(Outgoing.id))


def write(building: Building, work: Any) -> Any:
    def within(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(within)


async def chooses(phone: Phone, kind: str, how: str) -> None:
    for label in ("通知设置", kind, how):
        await (phone.says if label == "通知设置" else phone.taps)(label)


async def test_one_kind_is_chosen_in_place(building: Building, owner: Phone, neighbour: Phone) -> None:
    await owner.says("通知设置")
    shown = owner.sees("集市信息：马上，无声（默认）", "报修", "集市信息", "物业通知", "免打扰")
    assert "物业通知：马上，有声（默认）" in shown.text and "总会通知您" in shown.text
    await owner.taps("集市信息")
    owner.sees("「集市信息」怎么通知您？", "马上，有声", "每天汇总", "只看公示栏", "通知设置")
    await building.restart()
    await owner.taps("马上，有声")
    owner.sees("集市信息：马上，有声\n")
    assert len(owner.chat.messages) == 1 or not building.changes
    await neighbour.offers(DESK)
    assert not owner.sees("【二手】实木书桌").silent or not building.changes
    assert [row.silent for row in copies(building)] == [False]


async def test_only_the_board_writes_nothing_and_nobody_counts_as_unreached(
    building: Building, owner: Phone, neighbour: Phone, board: Phone, office: Phone
) -> None:
    await chooses(owner, "集市信息", "只看公示栏")
    await chooses(owner, "报修", "马上，无声")
    owner.sees("集市信息：只看公示栏")
    await neighbour.offers(DESK)
    owner.sees_nothing()
    board.sees("实木书桌")
    assert copies(building) == []
    await neighbour.says("卧室灯不亮")
    await neighbour.taps("提交")
    assert [row.silent for row in copies(building)] == [True]
    await office.says("/canvass")
    assert "陈女士" not in office.last.text


@pytest.mark.parametrize(
    ("typed", "span"),
    [
        ("免打扰 7天", "168h"),
        ("免打扰：7天", "168h"),
        ("静音 两小时", "2h"),
        ("/mute 1w", "168h"),
        ("mute for 3 days", "72h"),
        ("静音一个月", "720h"),
        ("免打扰半天", "12h"),
        ("静音半小时", "1h"),
        ("静音 三十天", "720h"),
        ("免打扰十五天", "360h"),
        ("静音二十一天", "504h"),
        ("静音 天", "24h"),
        ("mute a day", "24h"),
        ("静音 0天", ""),
        ("静音 99999999天", ""),
        ("免打扰 9999天", "ever"),
        ("静音模式坏了", ""),
        ("楼上太吵，能不能静音 7天", ""),
    ],
)
def test_how_long_is_read_from_what_was_typed(typed: str, span: str) -> None:
    assert muted_in(typed) == span


@pytest.mark.parametrize(
    ("typed", "asks"),
    [
        ("免打扰到明天早上", True),
        ("免打扰 过年期间", True),
        ("mute until Monday", True),
        ("静音模式坏了", False),
        ("免打扰", False),
        ("免打扰 7天", False),
        ("免打扰功能怎么用", False),
    ],
)
async def test_a_time_that_cannot_be_read_is_asked_for(
    building: Building, owner: Phone, typed: str, asks: bool
) -> None:
    assert asks_to_mute(typed) == asks
    if asks:
        await owner.says(typed)
        owner.sees("多久不收一般通知？", "1 周")
        assert building.read(select(Preference)) == []


async def test_a_mute_really_mutes_and_ends_by_itself(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await owner.says("静音")
    owner.sees("多久不收一般通知？", "1 天", "1 周", "直到我说", "通知设置")
    await owner.taps("1 周")
    owner.sees("好的，免打扰到 3月9日周一 09:00，到时自动恢复", "取消免打扰")
    for kind in ("now", "day"):  # a mute goes before what was chosen for one kind
        choice = {"kind": "listing" if kind == "now" else "repair", "how": kind}
        write(building, lambda tx, choice=choice: tx.session.add(_choice(tx, "陈女士", **choice)))
    await neighbour.offers(DESK)
    await neighbour.says("卧室灯不亮")
    await neighbour.taps("提交")
    owner.sees_nothing()
    assert copies(building) == []
    await owner.says("厨房水龙头滴水")  # one's own matters come
    await owner.taps("提交")
    owner.sees("报修 2 已登记")
    facts: Any = {"about": "停水", "silent": False, "begun": "停水", "words": "马上停水。"}
    write(building, lambda tx: notify(tx, building.community.id, "reach.taken_back", **facts))
    await building.settle()
    owner.sees("马上停水")  # as what concerns all
    await building.later(days=7, minutes=1)
    await neighbour.offers(LAMP)
    owner.sees("台灯")


def _choice(tx: Tx, name: str, **what: str) -> Preference:
    person = tx.session.exec(select(Person).where(Person.name == name)).one()
    return Preference.model_validate({"community_id": person.community_id, "person_id": person.id, **what})


async def test_a_mute_takes_back_what_waits_of_others_and_nothing_else(
    building: Building, owner: Phone, neighbour: Phone
) -> None:
    await chooses(owner, "集市信息", "每天汇总")
    await neighbour.offers(DESK)
    assert [row.state for row in copies(building)] == ["held"]
    await owner.says("免打扰 3天")
    assert [row.state for row in copies(building)] == ["dropped"]
    await building.later(days=2)
    owner.sees("好的，免打扰到 3月5日")
    owner.sees_nothing()
    await owner.says("取消静音")
    owner.sees("已恢复通知。这段时间错过的都在公示栏", "通知设置")
    await neighbour.offers(LAMP)
    await building.later(days=1)
    assert "台灯" in owner.last.text and "书桌" not in owner.last.text
    await owner.says("取消静音")
    owner.sees("现在没有免打扰")


async def test_until_i_say_so_lasts(building: Building, owner: Phone, neighbour: Phone) -> None:
    await owner.says("mute")
    await owner.taps("直到我说")
    owner.sees("好的，免打扰，直到您回复「取消静音」")
    await building.later(days=400)
    await neighbour.offers(DESK)
    owner.sees_nothing()
    await owner.says("通知设置")
    owner.sees("现在免打扰，直到您取消", "取消免打扰")
    await owner.says("/mydata")
    assert "· 免打扰" in "".join(message.text for message in owner.chat.messages)


@pytest.mark.by_hand
async def test_forged_choices_change_nothing(building: Building, owner: Phone, crew: Phone) -> None:
    for value in ("wish.kind:vote", "wish.choose:listing.never", "wish.choose:all.board", "quiet.for:9x"):
        await owner.forges(value)
    for value in ("wish.choose:", "wish.choose", "quiet.for", "digest.more", "digest.more:1.p5"):
        await owner.forges(value)
    await crew.forges("wish.choose:listing.day")
    crew.sees("不归您办理")
    assert building.read(select(Preference)) == []


async def test_two_taps_at_once_are_one_choice(building: Building, owner: Phone) -> None:
    await owner.says("通知设置")
    await owner.taps("报修")
    await owner.taps("每周汇总")
    await owner.says("通知设置")
    await owner.taps("报修")
    await owner.taps("每天汇总")
    owner.sees("报修：每天汇总")
    assert [(each.kind, each.how) for each in building.read(select(Preference))] == [("repair", "day")]
