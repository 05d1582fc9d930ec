"""The log of acts, as staff read it in their group."""

from collections.abc import Callable

from sqlmodel import select

from handlers.tx import Tx
from store.tables import Audit, Person
from tests.handlers.test_homes import opens, write
from tests.handlers.test_repair import report
from tests.handlers.test_rest import read_on
from tests.people import Building, Phone


async def test_the_log_names_who_did_what_about_whom(
    building: Building, owner: Phone, office: Phone, plumber: Phone
) -> None:
    await report(owner, "厨房水龙头滴水")
    await plumber.taps("接单")
    await office.taps("升级为紧急")
    await opens(office, "1202", "周先生", "发邀请码")
    await opens(office, "1202", "周先生", "移出", "确定移出")
    await office.says("操作记录")
    text = office.sees("操作记录，最新的在前：\n今天 09:00 刘经理：移出住户 · 周先生\n").text
    for line in (
        "今天 09:00 刘经理：发邀请码 · 周先生",
        "今天 09:00 刘经理：升级为紧急 · 报修 1",
        "今天 09:00 王师傅：接单 · 报修 1",
    ):
        assert line in text.splitlines()
    assert "陈女士" not in text  # what residents do is no act of staff


async def test_the_log_itself_names_nobody(building: Building, office: Phone) -> None:
    await opens(office, "1202", "周先生", "移出", "确定移出")
    rows = building.read(select(Audit))
    assert "周" not in str([row.model_dump() for row in rows])
    (zhou,) = building.read(select(Person).where(Person.name == "周先生"))
    assert rows[-1].facts == {"about": zhou.pseudonym}


async def test_whoever_was_forgotten_has_no_name_in_it(
    building: Building, office: Phone, neighbour: Phone
) -> None:
    await opens(office, "1202", "周先生")
    await neighbour.says("/forget")
    await neighbour.taps("确定注销")
    await office.says("/audit")
    assert "查看住户 · 已注销的住户" in office.last.text
    assert not any("周先生" in line for line in office.last.text.splitlines())


async def test_a_long_log_goes_on(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        for number in range(150):
            tx.session.add(
                Audit(community_id=1, at=tx.now, pseudonym=5, action="gone.act." + "很长" * 20 + f"{number}")
            )

    write(building, work)
    await office.says("操作记录")
    pieces = await read_on(office)
    assert len(pieces) > 1
    assert "".join(pieces).count("gone.act") == 100


async def test_the_log_is_for_the_group_alone(
    building: Building, office: Phone, owner: Phone, crew: Phone, phone: Callable[[str], Phone]
) -> None:
    for who in (owner, crew, phone("刘经理")):
        await who.says("/audit")
        who.sees("这件事不归您办理，所以没有改动。")
    await office.says("/audit")
    office.sees("还没有操作记录。")


async def test_a_group_that_reads_english(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        tx.community(1).language = "en"

    write(building, work)
    await opens_in_english(office)
    await office.says("log")
    office.sees("What was done, the latest first:\ntoday 09:00 刘经理: looked at a resident · 陈女士")


async def opens_in_english(office: Phone) -> None:
    await office.says("home")
    await office.says("1201")
    await office.taps("陈女士")
