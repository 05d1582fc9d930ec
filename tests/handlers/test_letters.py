"""Letters: owner and crew write to each other through a repair."""

import pytest
from sqlmodel import select

from handlers.letters import MOST_A_DAY
from store.tables import Letter, Repair
from tests.handlers.test_repair import finish, report
from tests.handlers.test_work import TAP, follow, the_repair
from tests.people import Building, Phone


async def accepted(owner: Phone, plumber: Phone) -> None:
    await report(owner, TAP)
    await plumber.taps("接单")


async def test_owner_and_crew_write_to_each_other(
    building: Building, owner: Phone, plumber: Phone, board: Phone, office: Phone
) -> None:
    await accepted(owner, plumber)
    await owner.taps("写给师傅")
    owner.sees("请写给报修 1 的师傅", "取消")
    await owner.says("门禁密码 1234，小狗在家")
    owner.sees("已发给王师傅（报修 1）")
    plumber.sees("报修人 · 3 号楼 2 单元 1201（报修 1）：\n门禁密码 1234，小狗在家", "回复")
    await plumber.taps("回复")
    await plumber.says("好的，十点到")
    plumber.sees("已发给业主")
    owner.sees("王师傅（报修 1）：\n好的，十点到", "回复")
    await owner.taps("回复")
    await owner.sends_photo()
    assert plumber.sees("1 个附件", "回复").photos == 1
    assert "1234" not in str([message.text for message in board.chat.messages])
    await building.later(minutes=1)
    for reader in (owner, plumber):
        await reader.says("我的")
        await reader.taps("查看 1")
        shown = reader.sees("来往消息：")
        assert "陈女士：门禁密码 1234，小狗在家" in shown.text
        assert "王师傅：好的，十点到" in shown.text
    await office.taps("查看 1")
    office.sees("王师傅：好的，十点到")


async def test_a_photo_of_a_letter_is_none_of_the_repair_s(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await accepted(owner, plumber)
    await owner.taps("写给师傅")
    await owner.sends_photo()
    assert plumber.sees("1 个附件").photos == 1
    await owner.says("我的")
    await owner.taps("查看 1")
    assert owner.sees("报修 1 · 3 号楼").photos == 0


async def test_the_crew_writes_first_and_only_the_reporter_reads_it(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await plumber.taps("接单")
    before = len(neighbour.chat.messages)
    await plumber.taps("写给业主")
    await plumber.says("请把水槽下面腾空")
    owner.sees("王师傅（报修 1）：\n请把水槽下面腾空", "回复")
    assert len(neighbour.chat.messages) == before


async def test_who_follows_writes_to_the_crew_and_is_answered_alone(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await plumber.taps("接单")
    await neighbour.taps("写给师傅")
    await neighbour.says("我家也有水声")
    plumber.sees("同样报修的邻居（报修 1）：\n我家也有水声", "回复")
    told = len(owner.chat.messages)
    await plumber.taps("回复")
    await plumber.says("一会儿也去您家看")
    neighbour.sees("王师傅（报修 1）：\n一会儿也去您家看", "回复")
    assert len(owner.chat.messages) == told
    await building.later(minutes=1)
    await owner.says("我的")
    await owner.taps("查看 1")
    assert "水声" not in owner.sees("报修 1 · 3 号楼").text


async def test_without_anybody_in_charge_the_office_gets_it_and_answers(
    building: Building, owner: Phone, crew: Phone, office: Phone
) -> None:
    await owner.says("电梯里困了人")
    await owner.forges("repair.write:1")
    await owner.says("我们在 3 号楼门口等")
    owner.sees("已发给物业")
    office.sees("（报修 1）：\n我们在 3 号楼门口等", "回复")
    await office.taps("回复")
    await office.says("马上到")
    owner.sees("物业（报修 1）：\n马上到", "回复")
    await crew.taps("接单")
    await owner.taps("回复")
    await owner.says("好的谢谢您")
    office.sees("好的谢谢您", "回复")


async def test_what_was_written_to_who_had_it_goes_to_who_has_it(
    building: Building, owner: Phone, plumber: Phone, crew: Phone
) -> None:
    await accepted(owner, plumber)
    await plumber.taps("写给业主")
    await plumber.says("几点方便")
    await plumber.taps("转给同事")
    await plumber.taps("李师傅（全部工种 · 在班）")
    await owner.taps("回复")
    await owner.says("下午三点")
    crew.sees("（报修 1）：\n下午三点", "回复")
    assert "下午三点" not in str(plumber)


async def test_danger_in_a_letter_raises_the_repair(
    building: Building, owner: Phone, plumber: Phone, office: Phone
) -> None:
    await accepted(owner, plumber)
    await owner.taps("写给师傅")
    await owner.says("水管爆了，水喷到天花板了")
    owner.sees("已升级为紧急")
    plumber.sees("水管爆了，水喷到天花板了", "回复")
    office.sees("🚨 紧急报修 1")
    assert the_repair(building).urgent
    assert len(building.read(select(Repair))) == 1


async def test_who_follows_and_tells_of_danger_hears_what_to_do(
    building: Building, owner: Phone, neighbour: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    follow(building, "周先生")
    await plumber.taps("接单")
    await neighbour.taps("写给师傅")
    await neighbour.says("水管爆了，水喷到天花板了")
    neighbour.sees("请先关总水阀")
    owner.sees("报修 1 已升级为紧急")
    assert the_repair(building).urgent


async def test_letters_have_a_limit_and_danger_none(building: Building, owner: Phone, plumber: Phone) -> None:
    await accepted(owner, plumber)

    def write(session: object) -> None:
        first = session.exec(select(Repair)).one()  # type: ignore[attr-defined]
        for _ in range(MOST_A_DAY):
            letter = Letter(
                community_id=first.community_id,
                about=f"repair:{first.id}",
                person_id=first.person_id,
                to_id=first.crew_id,
                text="在吗",
                at=building.clock.now(),
            )
            session.add(letter)  # type: ignore[attr-defined]

    await owner.taps("写给师傅")
    building.app.database.write_now(write)
    await owner.says("还在吗")
    owner.sees("报修 1 一天最多写 30 条")
    await owner.forges("repair.write:1")
    owner.sees("报修 1 一天最多写 30 条")
    await building.later(days=1, minutes=1)
    await owner.forges("repair.write:1")
    owner.sees("请写给报修 1 的师傅")


async def test_after_the_end_one_can_write_for_a_week(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, TAP)
    await finish(plumber)
    await owner.taps("确认修好")
    await building.later(days=6)
    await owner.taps("写给师傅")
    await owner.says("您的扳手忘在我家了")
    plumber.sees("您的扳手忘在我家了", "回复")
    await building.later(days=2)
    await plumber.taps("回复")
    plumber.sees("报修 1 结束超过 7 天了")


async def test_what_was_withdrawn_takes_no_letters(owner: Phone, plumber: Phone) -> None:
    await accepted(owner, plumber)
    await owner.taps("撤回")
    await owner.forges("repair.write:1")
    owner.sees("报修 1 现在是「已撤回」")


@pytest.mark.parametrize("words", ["x" * 1001, "\u200b"])
async def test_a_letter_that_is_none_is_asked_again(owner: Phone, plumber: Phone, words: str) -> None:
    await accepted(owner, plumber)
    await owner.taps("写给师傅")
    told = len(plumber.chat.messages)
    await owner.says(words)
    owner.sees("请写给报修 1 的师傅")
    assert len(plumber.chat.messages) == told


async def test_the_word_of_a_button_can_be_written(owner: Phone, plumber: Phone) -> None:
    await accepted(owner, plumber)
    await owner.taps("写给师傅")
    await owner.says("还没修好")
    plumber.sees("（报修 1）：\n还没修好")
