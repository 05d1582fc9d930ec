"""The one door in: hostile and clumsy messages end in a clear sentence, and nothing is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import Session, select

from conversations.said import Said
from handlers import repair
from handlers.people import bind_account
from handlers.tx import Tx
from store.database import StoreUnavailable
from store.tables import Inbox, Outgoing, Person, Repair, Talk
from tests.people import NAME, Building, Phone, photo


@pytest.mark.by_hand
async def test_a_repeated_message_acts_once(building: Building, owner: Phone) -> None:
    for _ in range(3):
        await owner.says("着火了", key="one")
    assert len(building.read(select(Repair))) == 1
    assert len(building.read(select(Inbox))) == 1


@pytest.mark.by_hand
async def test_three_overlapping_deliveries_of_one_message_act_once(building: Building) -> None:
    said = Said(
        messenger=NAME, key="one", place="陈女士", sender="陈女士", at=building.clock.now(), text="着火了"
    )
    receipts = await asyncio.gather(*(building.app.receive(said) for _ in range(3)))
    assert len({receipt.inbox_id for receipt in receipts}) == 1
    assert sorted(receipt.new for receipt in receipts) == [False, False, True]
    assert len(building.read(select(Repair))) == 1


@pytest.mark.by_hand
async def test_fifty_messages_in_a_second_are_all_answered(building: Building, owner: Phone) -> None:
    def said(number: int) -> Said:
        return Said(
            messenger=NAME,
            key=f"flood-{number}",
            place="陈女士",
            sender="陈女士",
            at=building.clock.now(),
            text="帮助",
        )

    await asyncio.gather(*(building.app.receive(said(number)) for number in range(50)))
    await building.settle()
    assert len(owner.chat.messages) == 50
    assert [row.state for row in building.read(select(Inbox))] == ["done"] * 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u200f\u202e",
        "🙂" * 200,
        "👨‍👩‍👧",
        "\x00\x01",
        "<b>x</b> {x} %s *_`[",
        "' OR 1=1; --",
        "1" * 4096,
        "漏" * 4096,
        "漏" * 5000,
        "\ud83d",
        "-1",
        "٣",
        "999999999999999999999",
        "/",
        "/repair extra words",
        "repair.accept:1",
    ],
)
@pytest.mark.parametrize("before", ["", "报修"])
async def test_every_text_is_answered(building: Building, owner: Phone, text: str, before: str) -> None:
    if before:
        await owner.says(before)
    await owner.says(text)
    assert [message for message in owner.chat.messages if not message.seen]
    assert building.read(select(Inbox.state)) == ["done"] * (2 if before else 1)


@pytest.mark.parametrize("step", range(6))
async def test_every_question_says_what_it_wants_instead_of_a_sticker(
    building: Building, owner: Phone, step: int
) -> None:
    await owner.says("报修")
    for answer in ("我家", "水龙头滴水", "随时可以", "跳过", "提交")[:step]:
        await owner.says(answer)
    question = owner.last.text
    await owner.says("", other="sticker")
    assert owner.last.text != question
    assert question in owner.last.text or step == 5


async def test_a_photo_where_a_choice_was_asked_is_kept_for_its_question(
    building: Building, owner: Phone
) -> None:
    await owner.says("报修")
    await owner.sends_photo()
    owner.sees("照片收到了。\n\n哪里需要报修？", "我家")
    for answer in ("我家", "水龙头滴水", "随时可以"):
        await owner.says(answer)
    owner.sees("收到 1 张，还可以再发 5 张", "好了")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"hello", "这个文件不是照片"), (b"", "这个文件不是照片"), (b"\xff\xd8" + b"0" * 21_000_000, "太大了")],
)
async def test_a_file_that_is_no_photo_is_refused_with_help(
    building: Building, owner: Phone, data: bytes, words: str
) -> None:
    await owner.sends_photo(data)
    owner.sees(words)


async def test_a_photo_of_ten_megabytes_is_taken(building: Building, owner: Phone) -> None:
    await owner.sends_photo(photo(4000, 3000, exif=b"Exif\x00\x00" + b"0" * 60_000))
    owner.sees("收到了。现在有危险", "不是，普通报修")


async def test_the_marks_of_hidden_text_open_nothing_when_people_write_them(
    building: Building, owner: Phone, crew: Phone
) -> None:
    sealed = building.app.house.vault.seal("13800138000")  # as in a copy of the database
    await owner.says(f"电梯里困了人 \ue000{sealed}\ue001")
    await owner.says("\ue000着火了\ue001")
    crew.sees("紧急报修")
    assert not any("13800138000" in each.text for chat in building.chats.values() for each in chat.messages)
    assert {row.state for row in building.read(select(Outgoing))} == {"sent"}


async def test_a_button_of_last_week_is_stale(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    old = owner.last.buttons["电梯"]
    await building.later(days=7)
    owner.sees("已经关闭，没有提交")
    await owner.forges(old)
    owner.sees("这个选项是以前的")
    await owner.says("报修")
    await owner.forges(old)
    owner.sees("这个选项是以前的，已经不能用了。\n\n哪里需要报修？", "我家")


async def test_a_button_of_an_earlier_question_changes_that_answer(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    lift = owner.last.buttons["电梯"]
    await owner.taps("我家")
    owner.sees("什么坏了？")
    await owner.forges(lift)
    owner.sees("什么坏了？")
    await owner.says("灯不亮")
    owner.sees("在哪一栋？")


async def test_a_button_of_somebody_elses_matter_is_refused(
    building: Building, owner: Phone, neighbour: Phone, crew: Phone
) -> None:
    await owner.says("着火了")
    value = owner.chat.messages[0].buttons["撤回"]
    await neighbour.forges(value)
    neighbour.sees("这件事不归您办理")
    await neighbour.forges(crew.last.buttons["接单"])
    neighbour.sees("这件事不归您办理")
    await crew.forges(value)
    crew.sees("这件事不归您办理")
    assert [row.state for row in building.read(select(Repair))] == ["waiting"]


async def test_an_answer_in_the_group_is_not_one_in_the_private_chat(
    building: Building, office: Phone, phone: Callable[[str], Phone]
) -> None:
    await office.says("大家好，今天谁值班")
    office.sees_nothing()
    await office.says("工单")
    office.sees("没有未完成的报修")


async def test_a_stranger_learns_how_to_come_in_and_what_to_do_in_danger(
    building: Building, phone: Callable[[str], Phone], crew: Phone
) -> None:
    stranger = phone("路人")
    await stranger.says("你好")
    stranger.sees("我还不认识您")
    await stranger.says("电梯里困了人")
    stranger.sees("不要扒门")
    await stranger.forges("repair.start")
    stranger.sees("我还不认识您")
    crew.sees_nothing()


async def test_an_error_of_ours_keeps_the_message_and_says_so(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> bool:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(repair, "read_free", broken)
        await owner.says("厨房水龙头滴水")
    (row,) = building.read(select(Inbox))
    owner.sees(
        f"这一步我们出错了（编号 {row.id:04X}）。您发的内容已保存，修好后会继续处理，不用重发。"
        "急事请打物业电话 021-5555 0110。"
    )
    assert (row.state, row.payload["text"], row.error) == (
        "failed",
        "厨房水龙头滴水",
        "RuntimeError('a bug')",
    )
    await building.app.run_again(row.id)
    await building.settle()
    owner.sees("请看一下对不对", "提交")
    assert [row.state for row in building.read(select(Inbox))] == ["done"]


async def test_an_error_of_ours_leaves_nothing_half_done(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(repair, "publish", broken)
        await owner.says("着火了")
    assert building.read(select(func.count()).select_from(Repair)) == [0]
    assert building.read(select(func.count()).select_from(Talk)) == [0]
    assert building.read(select(func.count()).select_from(Outgoing)) == [1]


async def test_a_refusal_leaves_nothing_half_done(building: Building, owner: Phone) -> None:
    building.set_policy("reports_a_day", 1)
    for what in ("水龙头滴水", "卧室灯不亮"):
        await owner.says("报修")
        for answer in ("我家", what, "随时可以", "跳过", "提交"):
            await owner.says(answer)
    assert len(building.read(select(Repair))) == 1
    assert len(building.read(select(Talk))) == 1  # the answers are still there


@pytest.mark.by_hand
async def test_when_nothing_can_be_kept_the_caller_hears_it(
    building: Building, owner: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("database or disk is full")

    monkeypatch.setattr(building.app.database, "write", full)
    with pytest.raises(StoreUnavailable):
        await building.app.receive(
            Said(
                messenger=NAME,
                key="k",
                place="陈女士",
                sender="陈女士",
                at=building.clock.now(),
                text="着火了",
            )
        )


async def test_commands_in_mid_talk_come_back_to_the_question(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    await owner.taps("电梯")
    await owner.says("我的")
    owner.sees("没填完的内容 · 接着填")
    owner.sees("接着刚才的问题：\n\n什么坏了？")
    await owner.says("报修")
    owner.sees("您有一份报修还没填完，接着填吧；不要了就点「取消」。\n\n什么坏了？")


async def test_back_and_change_keep_the_other_answers(building: Building, owner: Phone) -> None:
    await owner.says("报修")
    for answer in ("我家", "水龙头滴水", "随时可以", "跳过"):
        await owner.says(answer)
    await owner.says("返回")
    owner.sees("有照片吗？")
    await owner.says("上一步")
    owner.sees("师傅什么时候可以上门？")
    await owner.says("2")
    await owner.says("跳过")
    await owner.taps("修改")
    owner.sees("要改哪一项？", "位置", "问题", "上门")
    await owner.taps("问题")
    owner.sees("什么坏了？")
    await owner.says("马桶堵了")
    owner.sees("位置：我家\n问题：马桶堵了\n上门：先打电话\n附件：无", "提交")


@pytest.mark.by_hand
async def test_who_wrote_before_they_were_known_is_known_afterwards(
    building: Building, phone: Callable[[str], Phone]
) -> None:
    newcomer = phone("新业主")
    await newcomer.says("你好")
    newcomer.sees("我还不认识您")

    def bind(session: Session) -> None:
        person = session.exec(select(Person).where(Person.name == "周先生")).one()
        bind_account(
            Tx(session, building.clock.now(), building.app.house), person, NAME, "新业主", agreed=True
        )

    building.app.database.write_now(bind)
    await newcomer.says("我的")
    newcomer.sees("现在没有等您处理的事")


async def test_no_answer_is_longer_than_a_messenger_takes(building: Building, owner: Phone) -> None:
    await owner.says("电梯里困了人" + "快来" * 2040)
    owner.sees("已按紧急报修处理")
    await owner.says("查看 1")
    assert all(len(message.text) <= 4096 for message in owner.chat.messages)
    assert building.read(select(Outgoing.state).where(Outgoing.state == "failed")) == []


async def test_what_a_stranger_adds_to_a_cry_reaches_staff(
    building: Building, phone: Callable[[str], Phone], office: Phone
) -> None:
    stranger = phone("路人")
    await stranger.says("电梯里困了人")
    stranger.sees("在哪一栋、哪个单元？打字告诉我，我转告物业。")
    office.sees("说：电梯里困了人")
    await stranger.says("3号楼2单元，有老人")
    stranger.sees("已转告物业")
    office.sees("说：3号楼2单元，有老人")
    await stranger.says("申请登记")
    stranger.sees("申请登记之前请看一下")
    for _ in range(20):
        await stranger.says("快点")
    assert len([each for each in office.chat.messages if "快点" in each.text]) < 10
    await building.later(minutes=31)
    await stranger.says("到了吗")
    assert "到了吗" not in office.last.text
