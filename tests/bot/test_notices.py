"""Notices on the strict Telegram server and in the playground: pinned, and with files by their names."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select

from bot.playground import Upload
from store.tables import Announcement, Outgoing
from tests.bot_api import BotApi
from tests.browser_people import BrowserBuilding
from tests.people import StoppedClock
from tests.telegram_people import TelegramBuilding, TelegramPhone

PDF = b"%PDF-1.7 a plan"
NAME = "年检 报告.pdf"


@pytest.fixture
async def there(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[TelegramBuilding]:
    """A community on Telegram."""
    shutil.copy(sqlite_template, tmp_path / "linli.db")
    clock = StoppedClock()
    async with BotApi(flood=False, now=lambda: clock.now().timestamp()) as api:
        made = TelegramBuilding(tmp_path / "data", f"sqlite:///{tmp_path / 'linli.db'}", clock, api)
        await made.open()
        yield made
        await made.close()
        assert api.mistakes == []


@pytest.fixture
def office(there: TelegramBuilding) -> TelegramPhone:
    phone = there.group("刘经理")
    assert isinstance(phone, TelegramPhone)
    return phone


async def shows(office: TelegramPhone, caption: str, data: bytes = PDF, size: int | None = None) -> None:
    """Send a file with a caption into the admin group."""
    await office._lets(
        lambda: office.user.sends_document(data, NAME, caption=caption, chat=office.where, size=size)
    )


async def test_a_file_with_a_caption_goes_to_everybody_by_its_name_and_once(
    there: TelegramBuilding, office: TelegramPhone
) -> None:
    owner = there.phone("陈女士")
    assert isinstance(owner, TelegramPhone)
    await shows(office, "/notice 电梯年检报告见附件")
    office.sees("📢 通知\n电梯年检报告见附件")
    await office.taps("发出去")
    owner.sees("📢 通知 1\n电梯年检报告见附件")
    (copy,) = [each for each in owner.user.chat.from_bot if "通知 1" in each.text]
    assert (copy.kind, copy.body["document"]["file_name"]) == ("document", NAME)
    uploads = [call for call in there.api.calls if call.method == "sendDocument"]
    known = [str(call.params["document"]) in there.api.files for call in uploads]
    assert known.count(False) < len(known)  # it is uploaded once, and goes to the others by its name
    board = there.group_of("board")
    assert [board.kept[number].body["text"] for number in board.pinned] == ["📢 通知 1\n电梯年检报告见附件"]
    assert [each.kind for each in board.from_bot if each.kind != "pinned_message"] == ["text", "document"]
    await office.taps("更正")
    await office.taps("修改")
    await office.taps("内容")
    await office.says("电梯年检推迟，报告见附件")
    await office.taps("发出去")
    texts = [each.text for each in owner.user.chat.from_bot if "通知 1" in each.text]
    assert texts == [
        "⚠️ 这一版已更正，请看第 2 版。\n\n📢 通知 1\n电梯年检报告见附件",
        "📢 通知 1 · 更正（第 2 版）\n电梯年检推迟，报告见附件",
    ]
    assert [board.kept[number].body["text"] for number in board.pinned] == [texts[1]]
    await office.taps("撤回通知")
    await office.says("写错了")
    await office.taps("确认撤回")
    assert board.pinned == []


async def test_a_file_of_60_mb_gets_a_clear_sentence_and_makes_no_form(
    there: TelegramBuilding, office: TelegramPhone
) -> None:
    await shows(office, "/notice 图纸见附件", size=60 * 1024 * 1024)
    office.sees("文件最多 20 MB")
    await office.says("发出去")
    assert there.read(select(Announcement)) == []


async def test_a_group_that_lets_us_pin_nothing_still_shows_the_notice(
    there: TelegramBuilding, office: TelegramPhone
) -> None:
    there.group_of("board").promotes_bot(can_pin_messages=False)
    for words in ("明天停水", "后天停电"):
        await office.says(f"/notice {words}")
        await office.taps("发出去")
    assert sum("我没有权限置顶" in each.text for each in office.chat.messages) == 1
    assert there.group_of("board").pinned == []
    assert len(there.board.chat.messages) == 2
    failed = there.read(select(Outgoing.change).where(Outgoing.state == "failed"))
    assert failed == ["pin", "pin"]


async def test_the_playground_shows_what_is_pinned_and_hands_files_over(
    sqlite_template: Path, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "linli.db")
    url = f"sqlite:///{tmp_path / 'linli.db'}"
    there = BrowserBuilding(tmp_path / "data", url, StoppedClock())
    try:
        office = there.group("刘经理")
        await office.says("发通知")
        await office.says("见附件")
        browser = there.app.browser
        upload = Upload(NAME, "application/pdf", PDF)
        staff = {"place": there.chat_id("staff"), "who": there.account("刘经理")}
        assert await browser.say(**staff, key="a file", uploads=[upload]) == ""
        await there.settle()
        await office.taps("好了")
        await office.taps("发出去")
        place, who = there.chat_id("board"), there.account("陈女士")
        (shown,) = [each for each in browser.history(place, who) if "通知 1" in each.text]
        assert shown.pinned
        assert [each.name for each in shown.documents] == [NAME]
        key = shown.documents[0].address.rpartition("/")[2]
        assert browser.media(key, place, who) == (PDF, "application/octet-stream")
    finally:
        await there.close()
