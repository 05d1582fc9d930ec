"""Spots on the command line and on paper: cards for walls, whose QR codes lead somewhere for good."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import segno

from bot.spot_pages import SpotCard, SpotHead, spot_pages
from conversations.words import Reader
from tests.bot.test_command_line import linli, said
from tests.bot.test_invitation_pages import dark, lines, squares
from tests.bot.test_wechat_command import account, ran
from tests.bot_api import BotApi
from tests.wechat_api import WeChatApi

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path) -> str:
    made = str(tmp_path / "data")
    for command in (("community", "add", "阳光花园"), ("roster", "import", "bot/demo/roster.csv")):
        assert linli(*command, "--data", made).returncode == 0
    return made


def head(language: str = "zh", bot: str = "linli_test_bot", phone: str = "021-5555 0110") -> SpotHead:
    return SpotHead("阳光花园", bot, phone, Reader(language, "Asia/Shanghai", NOW))


def card(number: int) -> SpotCard:
    return SpotCard(f"3 号楼 电梯（{number} 号梯）", f"P7K{number:02}")


def test_a_card_says_where_it_hangs_and_what_to_type() -> None:
    (page,) = lines(spot_pages([SpotCard("3 号楼 电梯（2 号梯）", "P7K2R")], head()))
    assert page == [
        "阳光花园 · 位置码 · 第 1 页，共 1 页",
        "报修请扫码",
        "3 号楼 电梯（2 号梯）",
        "扫不了？在 Telegram 给 @linli_test_bot 发：",
        "位置 P7K2R",
        "Scan to report what is broken here · spot P7K2R",
        "阳光花园 · 有危险请打物业电话 021-5555 0110",
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("both", [True, False])
def test_the_small_code_is_that_of_the_board(language: str, both: bool) -> None:
    scenes = {card(1).code: "http://weixin.qq.com/q/P7K01"} if both else {}
    plain = spot_pages([card(1)], head(language), scenes=scenes)
    board = "https://linli.example/board/1-86cf460ca6c852292253"
    pdf = spot_pages([card(1)], replace(head(language), board=board), scenes=scenes)
    added = [each for each in squares(pdf) if each not in squares(plain)]
    rows = segno.make(board, error="m", micro=False).matrix
    assert dark(added) == {(y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
    assert min(y for _, y, *_ in added) > max(y + high for _, y, _, high in squares(plain)) + 2
    assert [each for each in lines(pdf)[0] if each != "公示栏 The board"] == lines(plain)[0]


def test_each_messenger_has_its_code_and_four_cards_fill_a_page() -> None:
    cards = [card(number) for number in range(1, 6)]
    scenes = {each.code: f"http://weixin.qq.com/q/{each.code}" for each in cards}
    first, second = lines(spot_pages(cards, head(phone=""), scenes=scenes))
    assert (first.count("微信 WeChat"), first.count("Telegram"), second.count("微信 WeChat")) == (4, 4, 1)
    assert "扫不了？给物业的公众号或 @linli_test_bot 发：" in first
    (alone,) = lines(spot_pages(cards[:1], head("en", bot=""), scenes=scenes))
    assert "No camera? Send the office's account:" in alone
    for made in (spot_pages(cards[:4], head()), spot_pages(cards[:4], head(), scenes=scenes)):
        assert all(
            x >= 10 and x + width <= 200 and y >= 12 and y + height <= 284
            for x, y, width, height in squares(made)
        )


def test_without_a_messenger_nothing_is_printed_that_leads_nowhere(data: str, tmp_path: Path) -> None:
    file = tmp_path / "spots.pdf"
    none = linli("spots", "pdf", str(file), "--data", data)
    assert (none.returncode, "二维码扫了没有去处" in said(none), file.exists()) == (1, True, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2 号梯", "--place", "roof"), "地方只有 hall、lift、garage、other"),
        (("2 号梯", "--building", "99"), "没有「99」这栋楼"),
        ((" ",), "请写 1 到 40 个字"),
        (("梯" * 41,), "请写 1 到 40 个字"),
    ],
)
def test_what_cannot_be_added_is_said(data: str, arguments: tuple[str, ...], words: str) -> None:
    done = linli("spots", "add", *arguments, "--data", data)
    assert (done.returncode, words in said(done)) == (1, True)


async def test_spots_are_added_listed_and_printed_for_both_messengers(data: str, tmp_path: Path) -> None:
    added = said(linli("spots", "add", "2 号梯", "--building", "3号楼", "--place", "lift", "--data", data))
    assert added.startswith("#1 3 号楼 电梯（2 号梯）：位置 ")
    code = added.split()[-1]
    again = said(linli("spots", "add", "2号梯", "--building", "3", "--place", "lift", "--data", data))
    assert "已经有了" in again and code in again
    linli("spots", "add", "南门岗亭旁", "--data", data)
    listed = said(linli("spots", "list", "--data", data)).splitlines()
    assert [each.split()[0] for each in listed] == ["2", "1"]  # what is of no building comes first
    file = tmp_path / "spots.pdf"
    async with WeChatApi() as api, BotApi() as telegram:
        both = {"LINLI_TELEGRAM__TOKEN": telegram.token, "LINLI_TELEGRAM__BASE_URL": telegram.url}
        result, words = await ran("spots", "pdf", str(file), "--data", data, **account(api), **both)
        assert (result, "2 个位置码" in words) == (0, True)
        made = [payload for path, payload in api.calls if path == "qrcode/create"]
        assert api.mistakes == []
        empty = await ran("spots", "pdf", str(tmp_path / "x.pdf"), "--building", "1", "--data", data, **both)
        assert (empty[0], "还没有位置码" in empty[1], (tmp_path / "x.pdf").exists()) == (1, True, False)
    assert {each["action_name"] for each in made} == {
        "QR_LIMIT_STR_SCENE"
    }  # a wall is not reprinted each month
    assert code in {each["action_info"]["scene"]["scene_str"] for each in made}
    (page,) = lines(file.read_bytes())
    assert page.count("微信 WeChat") == 2 and f"位置 {code}" in page
