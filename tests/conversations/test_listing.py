"""What free words say of a listing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.listing import LONGEST_TITLE, filled, is_barred, kind_in, offers, price_in, read, title_in

TEXTS: dict[str, dict[str, Any]] = {
    "出一张实木书桌，1.4米，自提180": {"kind": "sale", "title": "实木书桌", "price": 18000},
    "求购二手儿童自行车 500以内": {"kind": "wanted", "title": "二手儿童自行车", "price": 50000},
    "捡到钥匙一串": {"kind": "found", "title": "钥匙一串"},
    "主卧出租 1800一个月 押一付一": {
        **{"kind": "rent", "title": "主卧出租", "rent": 180000, "home": "room"},
        "deposit": "押一付一",
    },
    "两室一厅整租，89平，4500元/月，业主直租，最多住3人": {
        **{"kind": "rent", "rent": 450000, "home": "whole", "area": "89"},
        **{"lets": "owner", "people": 3},
    },
    "车位出租 300/月 地库B2-115": {"kind": "rent", "rent": 30000, "home": "space"},
    "wanted: baby stroller": {"kind": "wanted", "title": "baby stroller"},
    "For sale: IKEA desk, 120cm, 300 yuan": {"kind": "sale", "title": "IKEA desk", "price": 30000},
    "出空调一台，两百五，2020年买的原价2999": {"kind": "sale", "title": "空调一台", "price": 25000},
    "转让健身卡，还剩8个月，1千2": {"kind": "sale", "title": "健身卡", "price": 120000},
    "寻猫：橘猫走丢了，看到请联系 13800138000": {"kind": "lost", "title": "寻猫：橘猫走丢了"},
    "免费送婴儿床，楼下自取": {"kind": "gift", "title": "婴儿床"},
    "【转让】\n九成新冰箱\n￥800 可小刀": {"kind": "sale", "title": "九成新冰箱", "price": 80000},
}


@pytest.mark.parametrize("text", TEXTS)
def test_kind_title_and_price_are_read_out_of_it(text: str) -> None:
    found = read(text)
    assert {name: found.get(name) for name in TEXTS[text]} == TEXTS[text]
    assert "price" in TEXTS[text] or "rent" in TEXTS[text] or "price" not in found


@pytest.mark.parametrize(
    "text",
    [
        "椅子50元，桌子100元",
        "书桌 1.4米",
        "三四百",
        "电话 13800138000",
        "3号楼1201",
        "押金 500",
        "2020年买的",
    ],
)
def test_what_is_no_price_or_not_certain_is_asked(text: str) -> None:
    assert price_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "灯不亮了",
        "出水了",
        "出差了，帮忙看一下门",
        "出租车撞了大门",
        "水管漏水",
        "你好",
        "🎉🎉🎉",
        "电梯里困了人",
    ],
)
def test_what_is_no_offer_is_none(text: str) -> None:
    assert not offers(text)


def test_emoji_alone_are_no_title() -> None:
    assert (title_in("🎉🎉🎉"), title_in("🎉🎉\n书桌一张")) == ("", "书桌一张")
    assert len(title_in("长" * 500)) == LONGEST_TITLE


@pytest.mark.parametrize(
    ("text", "barred"),
    [
        ("阳台改的单间出租 600", True),
        ("厨房隔的小间招租", True),
        ("地下储藏室可住人 400 一个月", True),
        ("出租地下储藏室，能住", True),
        ("带阳台主卧出租，独立卫生间", False),
        ("两室整租，厨房卫生间齐全", False),
        ("地下储藏室出租，放东西", False),
        ("主卧带阳台出租", False),
    ],
)
def test_parts_of_a_flat_are_not_let_to_live_in(text: str, barred: bool) -> None:
    assert is_barred(text) == barred


def test_what_was_read_of_earlier_words_is_read_anew_and_what_was_said_stays() -> None:
    first = filled({"text": "出书桌 180"})
    assert (first["title"], first["price"], first["kind"]) == ("书桌", 18000, "sale")
    assert filled({**first, "text": "出台灯"})["title"] == "台灯"
    assert "price" not in filled({**first, "text": "出台灯"})
    said = filled({**first, "price": 9900, "text": "出台灯 20"})
    assert (said["price"], said["title"]) == (9900, "台灯")


@settings(deadline=None, derandomize=True, database=None, max_examples=200)
@given(st.text(max_size=200))
def test_nothing_that_anybody_writes_is_an_error(text: str) -> None:
    read(text), kind_in(text), offers(text), is_barred(text)
