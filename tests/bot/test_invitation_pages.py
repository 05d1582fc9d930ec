"""Invitations on paper: what a reader of the PDF finds on its pages, and what a camera sees."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import segno

from bot.invitation_pages import Letterhead, invitation_pages, link
from conversations.words import Reader, texts
from handlers.codes import Invitation

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
POINTS = 72 / 25.4  # a millimetre


def head(language: str = "zh", community: str = "阳光花园", bot: str = "linli_test_bot") -> Letterhead:
    reader = Reader(language, "Asia/Shanghai", NOW, lasting=True)
    return Letterhead(community, bot, "021-5555 0110", NOW + timedelta(days=30), reader)


def home(name: str, room: str = "1201", building: str = "3", code: str = "") -> Invitation:
    about = f"{building} 号楼 2 单元 {room}"
    return Invitation(name, about, code or f"{building:0>5}-{room:0>5}", building)


CREW = Invitation("王师傅", "维修", "WWWWW-22222")
STAFF = Invitation("刘经理", "物业、业委会", "LLLLL-33333")


# --- a small reader of PDF, for what our pages hold -------------------------------------------------


def streams(pdf: bytes) -> list[bytes]:
    """What is compressed in the file, in its order: the pages come first."""
    found = []
    for match in re.finditer(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(match[1]))
        except zlib.error:
            found.append(match[1])
    return found


def letters(pdf: bytes) -> dict[int, str]:
    """The characters of the embedded font by their number in the pages: what makes the text selectable."""
    (table,) = [each for each in streams(pdf) if b"beginbfchar" in each]
    return {
        int(number, 16): bytes.fromhex(letter.decode()).decode("utf-16-be")
        for number, letter in re.findall(
            rb"<([0-9A-F]{4})> <([0-9A-F]{4,8})>\n", table.split(b"bfchar", 1)[1]
        )
    }


def page_streams(pdf: bytes) -> list[bytes]:
    return [each for each in streams(pdf) if b" Tj " in each]


def lines(pdf: bytes) -> list[list[str]]:
    """The lines of text on each page."""
    known = letters(pdf)
    return [list(_lines(page, known)) for page in page_streams(pdf)]


def _lines(page: bytes, known: dict[int, str]) -> Iterator[str]:
    for font, written in re.findall(rb"/F(\d+) [\d.]+ Tf|Td \(((?:\\.|[^\\)])*)\) Tj", page, re.DOTALL):
        if font:
            embedded = font == b"1"
            continue
        plain = re.sub(
            rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r"}.get(m[1], m[1]), written, flags=re.DOTALL
        )
        if not embedded:
            yield plain.decode()
            continue
        yield "".join(known[int.from_bytes(plain[at : at + 2])] for at in range(0, len(plain), 2))


def squares(pdf: bytes, page: int = 0) -> list[tuple[float, float, float, float]]:
    """The filled rectangles of a page: left, top, width and height in millimetres."""
    found = re.findall(rb"(-?[\d.]+) (-?[\d.]+) (-?[\d.]+) (-?[\d.]+) re f", page_streams(pdf)[page])
    numbers = [[float(number) / POINTS for number in each] for each in found]
    return [(x, 297 - y, width, -height) for x, y, width, height in numbers]


# --- the pages --------------------------------------------------------------------------------------


def test_every_building_begins_a_page_of_its_own_and_work_comes_last() -> None:
    made = [CREW, *(home("陈女士", str(room), "10") for room in range(101, 112)), STAFF, home("周先生")]
    pages = lines(invitation_pages(made, head()))
    assert [page[0] for page in pages] == [
        "阳光花园 · 3 号楼 · 第 1 页，共 1 页",
        "阳光花园 · 10 号楼 · 第 1 页，共 2 页",
        "阳光花园 · 10 号楼 · 第 2 页，共 2 页",
        "阳光花园 · 物业、维修和业委会 · 第 1 页，共 1 页",
    ]
    assert [sum(each.code in page for each in made) for page in pages] == [1, 10, 1, 2]


def test_cards_lie_in_the_order_of_the_letter_boxes() -> None:
    made = [home("陈女士", room) for room in ("1001", "201", "1101", "101")]
    (page,) = lines(invitation_pages(made, head()))
    assert re.findall(r"单元 (\d+)", "\n".join(page)) == ["101", "201", "1001", "1101"]


def test_a_card_says_who_where_what_to_do_and_until_when() -> None:
    (page,) = lines(invitation_pages([home("陈女士", code="K7PQ2-9MXTR")], head()))
    assert page[1:] == [
        "阳光花园",
        "3 号楼 2 单元 1201",
        "陈** 本人用",
        "K7PQ2-9MXTR",
        "1. 手机装好 Telegram，用相机扫右上角的二维码",
        "2. 在打开的聊天里按「开始」",
        "3. 扫不了？在 Telegram 里找 @linli_test_bot，发给它上面的码",
        texts("en")["invitation.telegram.brief"].format(bot="linli_test_bot"),
        "只能用一次，12月24日周四 12:00 前有效 · 物业电话 021-5555 0110",
    ]


def test_a_community_that_reads_english_gets_its_card_in_english() -> None:
    (page,) = lines(invitation_pages([home("Mr Smith")], head("en")))
    assert "For M** S** only" in page
    assert texts("zh")["invitation.telegram.brief"].format(bot="linli_test_bot") in page


def test_without_a_telephone_the_card_is_silent_about_it() -> None:
    plain = Letterhead("阳光花园", "linli_test_bot", "", NOW, head().reader)
    (page,) = lines(invitation_pages([home("陈女士")], plain))
    assert page[-1] == "只能用一次，11月24日周二 12:00 前有效"


# --- whose card it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "shown"),
    [
        (["陈女士"], ["陈**"]),
        (["陈建国", "周丽"], ["周**", "陈**"]),
        (["孙小姐", "孙先生"], ["孙**姐", "孙**生"]),
        (["孙建国", "孙小国", "孙伟"], ["孙**伟", "孙小国", "孙建国"]),
        (["王", "王伟"], ["王**伟", "王"]),
        (["王伟", "王伟"], ["王伟", "王伟"]),
        (["Mr Smith", "Ms Smith"], ["M**r S**h", "M**s S**h"]),
        (["Mr  Smith", "Mr Brown"], ["M** B**", "M** S**"]),
    ],
)
def test_of_a_name_in_the_lobby_stands_what_tells_the_people_of_a_home_apart(
    people: list[str], shown: list[str]
) -> None:
    made = [home(name, code=f"AAAAA-{number:05}") for number, name in enumerate(people)]
    (page,) = lines(invitation_pages(made, head()))
    assert sorted(line.removesuffix(" 本人用") for line in page if "本人用" in line) == sorted(shown)


def test_names_in_other_homes_do_not_matter() -> None:
    (page,) = lines(invitation_pages([home("孙小姐", "101"), home("孙先生", "102")], head()))
    assert page.count("孙** 本人用") == 2


def test_whoever_works_here_is_called_by_name() -> None:
    (page,) = lines(invitation_pages([CREW, STAFF], head()))
    assert {"维修", "王师傅 本人用", "物业、业委会", "刘经理 本人用"} <= set(page)


# --- what is odd ------------------------------------------------------------------------------------


def test_what_is_too_long_is_set_smaller_then_cut_in_its_middle() -> None:
    long = Invitation("陈女士", "翠园东区临街商铺 号楼 东边 单元 12345678901234567890", "K7PQ2-9MXTR", "翠园")
    (page,) = lines(invitation_pages([long], head(community="阳光花园" * 20, bot="a" * 32)))
    where = page[2]
    assert where.startswith("翠园东区") and "…" in where and where.endswith("34567890")
    assert page[1].startswith("阳光花园") and len(page[1]) < 60
    assert "a" * 32 in page[7]


def test_a_character_that_the_font_has_not_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    (page,) = lines(invitation_pages([home("𠮷野")], head(community="阳光花园😀")))
    assert {"〓** 本人用", "阳光花园〓"} <= set(page)
    assert "missing" not in caplog.text


@pytest.mark.parametrize("name", ["(本)", "\\n", "{name}", "<b>", "%s", ")) Tj"])
def test_names_and_places_stand_as_typed(name: str) -> None:
    (page,) = lines(invitation_pages([Invitation(name, name, "K7PQ2-9MXTR")], head()))
    assert page[2:4] == [name, f"{name} 本人用"]


# --- the code that a camera reads -------------------------------------------------------------------


def test_the_qr_code_is_that_of_the_link() -> None:
    assert link("linli_test_bot", "K7PQ2-9MXTR") == "https://t.me/linli_test_bot?start=K7PQ2-9MXTR"
    pdf = invitation_pages([home("陈女士", code="K7PQ2-9MXTR")], head())
    rows = segno.make(link("linli_test_bot", "K7PQ2-9MXTR"), error="m", micro=False).matrix
    assert dark(squares(pdf)) == {
        (y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module
    }
    assert squares(pdf)[0][3] > 0.6  # millimetres: cameras want a third of one


def dark(drawn: list[tuple[float, float, float, float]]) -> set[tuple[int, int]]:
    """Row and column of each dark module of one QR code."""
    module = drawn[0][3]
    left, top = min(x for x, *_ in drawn), min(y for _, y, *_ in drawn)
    return {
        (round((y - top) / module), round((x - left) / module) + step)
        for x, y, width, _ in drawn
        for step in range(round(width / module))
    }


SCENES = {"K7PQ2-9MXTR": "http://weixin.qq.com/q/kZgfwMTm72WWPkovabbI"}

BOARD = "https://linli.example/board/1-86cf460ca6c852292253"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("bot", "scenes"), [("linli_test_bot", {}), ("linli_test_bot", SCENES), ("", SCENES)]
)
def test_the_small_code_beside_the_name_is_that_of_the_board(
    language: str, bot: str, scenes: dict[str, str]
) -> None:
    made = [home("陈女士", code="K7PQ2-9MXTR")]
    plain = invitation_pages(made, head(language, bot=bot), scenes=scenes)
    pdf = invitation_pages(made, replace(head(language, bot=bot), board=BOARD), scenes=scenes)
    others = squares(plain)
    added = [each for each in squares(pdf) if each not in others]
    rows = segno.make(BOARD, error="m", micro=False).matrix
    assert dark(added) == {(y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
    assert len(added) + len(others) == len(squares(pdf)) and added[0][3] > 0.33
    # White on all sides: nothing else is drawn within four modules.
    left, top, right, bottom = (
        min(x for x, *_ in added) - 4 * added[0][3],
        min(y for _, y, *_ in added) - 4 * added[0][3],
        max(x + width for x, _, width, _ in added) + 4 * added[0][3],
        max(y + high for _, y, _, high in added) + 4 * added[0][3],
    )
    assert not [
        each for each in others
        if each[0] < right and each[0] + each[2] > left and each[1] < bottom and each[1] + each[3] > top
    ]  # fmt: skip
    assert left > 10 and top > 12 and bottom < 12 + 55
    words, before = lines(pdf)[0], lines(plain)[0]
    assert "公示栏 The board" in words and [each for each in words if each != "公示栏 The board"] == before


def test_with_both_messengers_the_code_for_wechat_is_the_large_one() -> None:
    pdf = invitation_pages([home("陈女士", code="K7PQ2-9MXTR")], head(), scenes=SCENES)
    large, small = (
        [each for each in squares(pdf) if (each[1] < 44) == is_large] for is_large in (True, False)
    )
    for drawn, text in (
        (large, SCENES["K7PQ2-9MXTR"]),
        (small, link("linli_test_bot", "K7PQ2-9MXTR")),
    ):
        rows = segno.make(text, error="m", micro=False).matrix
        assert dark(drawn) == {(y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
    assert large[0][3] > 0.6 > small[0][3] > 0.4
    # The white between them, and to the line where one cuts, is that of the wider code at least.
    assert min(y for _, y, *_ in small) - max(y + high for _, y, _, high in large) > 4 * large[0][3]
    assert 12 + 55 - max(y + high for _, y, _, high in small) > 4 * small[0][3]
    (page,) = lines(pdf)
    assert page[5:] == [
        "微信 WeChat",
        "Telegram",
        "1. 打开微信，扫右上角的大码，点「关注公众号」",
        "2. 用 Telegram：手机相机扫小码，按「开始」",
        "3. 扫不了？把上面的码发给公众号或 @linli_test_bot",
        texts("en")["invitation.both.brief"],
        "只能用一次，12月24日周四 12:00 前有效 · 物业电话 021-5555 0110",
    ]


def test_without_telegram_only_the_code_for_wechat_stands_on_the_card() -> None:
    pdf = invitation_pages([home("陈女士", code="K7PQ2-9MXTR")], head(bot=""), scenes=SCENES)
    rows = segno.make(SCENES["K7PQ2-9MXTR"], error="m", micro=False).matrix
    assert dark(squares(pdf)) == {
        (y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module
    }
    (page,) = lines(pdf)
    assert not [line for line in page if "Telegram" in line or "@" in line]
    assert page[5:9] == [
        "1. 打开微信，扫右上角的二维码",
        "2. 点「关注公众号」，按收到的话做",
        "3. 扫不了？关注物业的公众号，把上面的码发给它",
        texts("en")["invitation.wechat.brief"],
    ]


def test_nothing_leaves_the_part_of_the_page_that_printers_print() -> None:
    pdf = invitation_pages([home("陈女士", str(room)) for room in range(10)], head())
    for x, y, width, height in squares(pdf):
        assert x >= 10 and x + width <= 200 and y >= 12 and y + height <= 287


def test_a_page_of_ten_is_small() -> None:
    """Of the font of 8 MB only the letters that are used are in the file."""
    made = [home("陈女士", str(room)) for room in range(101, 111)]
    assert len(invitation_pages(made, head())) < 60_000


def test_each_card_is_told_of() -> None:
    told: list[None] = []
    invitation_pages([home("陈女士"), CREW], head(), lambda: told.append(None))
    assert len(told) == 2
