"""The playground of the real program in a real browser: a whole repair on five screens."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from bot.playground import WORDS
from tests.bot.browsing import opened, unhindered, write

OWNER, NEIGHBOUR, STAFF, CREW, BOARD = (
    f"[data-slot={slot}].phone" for slot in ("owner", "neighbour", "staff", "crew", "board")
)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """The address of a running Linli with the demo community."""
    command = [sys.executable, "-m", "bot", "run", "--data", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+?/playground", process.stdout.readline())
        assert found is not None
        yield found[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.fixture
def desk(browser: Browser, program: str) -> Iterator[Page]:
    yield from opened(browser, program, 1440, 900)


def tap(page: Page, phone: str, label: str) -> None:
    page.locator(phone).get_by_role("button", name=label, exact=True).last.click()


def sees(page: Page, phone: str, text: str) -> None:
    expect(page.locator(f"{phone} .message").filter(has_text=text).last).to_be_visible()


def test_a_whole_repair_on_five_screens(desk: Page, tmp_path: Path) -> None:
    write(desk, OWNER, "报修")
    tap(desk, OWNER, "我家")
    sees(desk, OWNER, "什么坏了？")
    write(desk, OWNER, "厨房水龙头滴水")
    sees(desk, OWNER, "师傅什么时候可以上门？")
    tap(desk, OWNER, "随时可以")
    sees(desk, OWNER, "有照片吗？")
    question = desk.locator(f"{OWNER} .message").filter(has_text="师傅什么时候可以上门？")
    expect(question).to_contain_text("✓ 随时可以")
    expect(question.get_by_role("button")).to_have_count(0)
    expect(question).not_to_contain_text("已编辑")
    picture = tmp_path / "tap.jpg"
    picture.write_bytes(dripping_tap())
    desk.set_input_files(f"{OWNER} input[type=file]", picture)
    desk.press(f"{OWNER} textarea", "Enter")
    sees(desk, OWNER, "收到 1 张")
    tap(desk, OWNER, "好了")
    tap(desk, OWNER, "提交")
    sees(desk, OWNER, "报修 1 已登记：3 号楼 2 单元 1201")
    sees(desk, NEIGHBOUR, "报修 1 · 3 号楼 · 水龙头")
    sees(desk, BOARD, "等待接单")
    sees(desk, STAFF, "🧾 报修 1")
    write(desk, NEIGHBOUR, "电梯里困了人")
    sees(desk, NEIGHBOUR, "不要扒门")
    sees(desk, CREW, "🚨 紧急报修 2")
    sees(desk, STAFF, "🚨 紧急报修 2")
    unhindered(desk)
    take_picture(desk)
    tap(desk, CREW, "接单")
    sees(desk, NEIGHBOUR, "李师傅已接单")
    sees(desk, CREW, "✓ 接单")
    expect(desk.locator(CREW).get_by_role("button", name="接单")).to_have_count(0)
    sees(desk, BOARD, "已接单")
    tap(desk, CREW, "修好了")
    tap(desk, CREW, "跳过")
    sees(desk, CREW, "做了什么？")
    tap(desk, CREW, "跳过")
    sees(desk, NEIGHBOUR, "请看一下，修好了吗？")
    tap(desk, NEIGHBOUR, "确认修好")
    sees(desk, NEIGHBOUR, "报修 2 完成")
    desk.get_by_role("button", name="+1 天").click()
    desk.get_by_role("button", name="+1 天").click()
    desk.get_by_role("button", name="+1 天").click()
    desk.get_by_role("button", name="+1 天").click()
    desk.get_by_role("button", name="+1 天").click()
    sees(desk, OWNER, "抱歉，报修 1")


def test_strangers_have_phones_and_staff_send_files(desk: Page) -> None:
    desk.select_option(f"{OWNER} select", label="陌生人 1 · 未登记")
    desk.select_option(f"{CREW} select", label="陌生人 3 · 未登记")
    for phone in (OWNER, CREW):
        write(desk, phone, "你好")
        sees(desk, phone, "阳光花园")
    roster = {"name": "名册.csv", "mimeType": "text/csv", "buffer": "楼栋,房号".encode()}
    desk.set_input_files(f"{STAFF} input[type=file]", [roster])
    desk.press(f"{STAFF} textarea", "Enter")
    sees(desk, STAFF, "📎 名册.csv")
    expect(desk.locator(f"{STAFF} .waiting .message")).to_have_count(0)


def test_strangers_come_in_each_in_their_own_way(desk: Page) -> None:
    desk.select_option(f"{OWNER} select", label="陌生人 1 · 未登记")
    desk.select_option(f"{NEIGHBOUR} select", label="陌生人 2 · 未登记")
    desk.select_option(f"{CREW} select", label="陌生人 3 · 未登记")
    # One asks, and staff approve.
    write(desk, OWNER, "你好")
    tap(desk, OWNER, "申请登记")
    tap(desk, OWNER, "同意，开始")
    for answer in ("3-2-1201", "陈女士", "业主", "提交"):
        write(desk, OWNER, answer)
    sees(desk, OWNER, "申请已经发给物业")
    sees(desk, STAFF, "自称：陈女士，业主，3-2-1201")
    tap(desk, STAFF, "通过：就是陈女士")
    sees(desk, OWNER, "陈女士，物业核对好了")
    write(desk, OWNER, "厨房水龙头滴水")
    sees(desk, OWNER, "请看一下对不对")
    # One has a number that the roster knows.
    write(desk, NEIGHBOUR, "你好")
    tap(desk, NEIGHBOUR, WORDS["contact"][0])
    desk.locator("#number input").fill("13800000103")
    desk.locator("#number").get_by_role("button", name=WORDS["share"][0]).click()
    sees(desk, NEIGHBOUR, "周先生，您好，欢迎来到")
    tap(desk, NEIGHBOUR, "同意，开始")
    sees(desk, NEIGHBOUR, "周先生，您好，这里是")
    # One works here, and has a code from the admin group.
    write(desk, STAFF, "师傅")
    tap(desk, STAFF, "李师傅")
    tap(desk, STAFF, "邀请码")
    invitation = desk.locator(f"{STAFF} .message").filter(has_text="给李师傅的邀请码").last
    code = re.search(r"\w{5}-\w{5}", invitation.inner_text())
    assert code is not None
    write(desk, CREW, code[0])
    sees(desk, CREW, "李师傅，您好，欢迎来到")
    tap(desk, CREW, "同意，开始")
    sees(desk, CREW, "派给您的工单")
    if target := os.environ.get("LINLI_TEST_PICTURE_JOINING"):
        desk.screenshot(path=target)


def dripping_tap() -> bytes:
    """A drawing for the README's picture."""
    image = Image.new("RGB", (640, 480), "#dfe7e4")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 330, 640, 480), fill="#f7f7f5")
    pen.rounded_rectangle((170, 110, 430, 170), 30, fill="#8d9a9c")
    pen.rounded_rectangle((370, 110, 430, 240), 24, fill="#8d9a9c")
    pen.rounded_rectangle((190, 150, 250, 335), 20, fill="#7b888a")
    pen.rounded_rectangle((150, 70, 290, 100), 14, fill="#b8433a")
    pen.polygon([(400, 262), (378, 312), (422, 312)], fill="#3f86c6")
    pen.ellipse((376, 294, 424, 342), fill="#3f86c6")
    out = BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def test_the_owners_group_stays_clean(desk: Page) -> None:
    write(desk, BOARD, "今晚停水到几点？")
    sees(desk, BOARD, "今晚停水到几点？")
    write(desk, BOARD, "代开发票，餐饮住宿都有，加微信 fp8866")
    sees(desk, BOARD, WORDS["deleted"][0])
    expect(desk.locator(f"{BOARD} .message").filter(has_text="代开发票")).to_have_count(0)
    sees(desk, OWNER, "您在业主群里的一条消息已删除")
    tap(desk, OWNER, "判错了，申诉")
    sees(desk, STAFF, "有申诉，待裁定")
    tap(desk, STAFF, "没违规，放行 1")
    sees(desk, BOARD, "的消息已恢复")
    expect(desk.locator(f"{BOARD} .attach")).to_be_hidden()


def take_picture(page: Page) -> None:
    """Renew the README's picture, when asked to."""
    if target := os.environ.get("LINLI_TEST_PICTURE"):
        page.wait_for_timeout(800)
        page.screenshot(path=target)
