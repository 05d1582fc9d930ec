"""The picture of a result: all of it can be read, it says what the words say, and no bar is on the wrong side."""

import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conversations.words import LANGUAGES
from handlers.bundle import Bundle, case_of
from handlers.drawing import (
    GREEN,
    INNER,
    LEFT,
    RED,
    WIDTH,
    Box,
    Drawing,
    Line,
    Sign,
    drawable,
    fitted,
    glyphs,
    width_of,
    wrapped,
)
from handlers.tally import count_poll
from handlers.vote_picture import BAR, MARK, MOST_CHOICES, OVER, TITLE_LINES, drawing, picture
from tests.published import OPTIONS, Vote, ballot, unit

NAMES = [
    "方案甲：在三号楼东侧和五号楼西侧各装十个电动车充电桩，由物业统一管理，收费标准公示半年",
    "Plan B: build a covered bicycle shed with cameras, lights and twelve charging points next to gate 2",
    "🐱🐶", "方案👍", "方案👎", "Ünïcödé – café", "1234567890" * 12, "健身器材", "长椅", "路灯", "沙坑", "\u202eشجرة",
]  # fmt: skip
LONG = "请问是否同意使用公共收益，在三号楼、五号楼的架空层加装电动自行车集中充电设施，并更换老旧路灯？" * 3


def homes(many: int, area: str = "100.00") -> list[dict[str, Any]]:
    return [unit(100 + number, str(number), area=area) for number in range(many)]


def votes(yes: int, no: int = 0, neither: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Ballots of as many of the homes' owners."""
    said = ["for"] * yes + ["against"] * no + ["abstain"] * neither
    return [ballot(str(number), choice) for number, choice in enumerate(said)]


def large_and_small() -> Vote:
    """Three large homes say nothing: enough people, too little area."""
    units = [
        unit(100 + number, str(number), area="1000.00" if number < 3 else "10.00") for number in range(30)
    ]
    return Vote(units, [ballot(str(number)) for number in range(3, 27)])


def choosing(many: int, **poll: Any) -> Vote:
    names = [*NAMES, *(f"第 {number} 处" for number in range(len(NAMES), many))][:many]
    acts = [ballot(str(number), [names[number * number % many]]) for number in range(50)]
    acts += [ballot("50", []), ballot("51", "abstain")]
    return Vote(homes(60), acts, poll={"question": "choose", "choices": names, "most": 3, **poll})


SPEAKING = {"options": {**OPTIONS, "silence": "abstain_participating"}, "clause": "议事规则第 12 条"}
VOTES: dict[str, Vote] = {
    "passed": Vote(homes(30), votes(21, 3, 1)),
    "of all kinds": Vote(policy={"title": LONG, "text": "全文"}),
    "too little area": large_and_small(),
    "special, exactly 3/4": Vote(homes(40), votes(30, 10), policy={"rule": "special"}),
    "special, just short of 3/4": Vote(homes(400), votes(299, 101), policy={"rule": "special"}),
    "exactly 1/2": Vote(homes(30), votes(15, 15)),
    "exactly 2/3": Vote(homes(30), votes(20)),
    "a hair short of 2/3": Vote([*homes(30, "100000.00"), unit(900, "900", area="0.01")], votes(20)),
    "no ballots": Vote(homes(30), []),
    "nobody": Vote([], []),
    "silence abstains": Vote(homes(30), votes(14, 3), policy=SPEAKING),
    "yes": Vote(homes(30), votes(15, 5, 2), poll={}, policy={"title": "🎉"}),
    "tied": Vote(homes(30), votes(10, 10), poll={}),
    "no": Vote(homes(30), votes(5, 15), poll={"electorate": "persons"}),
    "both": Vote(homes(30), votes(15, 5, 2), poll={"weight": "both", "threshold": "2/3", "of": "cast"}),
    "no quorum": Vote(homes(30), votes(2), poll={"quorum": "1/1"}),
    "a low quorum": Vote(homes(300, "12345.678"), votes(31), poll={"quorum": "1/10", "weight": "area"}),
    "no quorum needed": Vote(homes(30), votes(2), poll={"quorum": "0/1", "threshold": "plurality"}),
    "twelve choices": choosing(12, threshold="plurality"),
    "twelve choices by both": choosing(12, weight="both", quorum="1/2"),
    "forty choices": choosing(40, threshold="plurality"),
    "sealed": Vote(homes(30), votes(21, 3), poll={"visible": "totals"}),
}  # fmt: skip
every = pytest.mark.parametrize("name", VOTES)
in_each_language = pytest.mark.parametrize("language", LANGUAGES)


@cache
def bundle_of(name: str) -> Bundle:
    return VOTES[name].bundle()


def drawn(name: str, language: str = "zh") -> Drawing:
    bundle = bundle_of(name)
    return drawing(bundle.policy, bundle.result, language)


def lines(made: Drawing) -> list[str]:
    return [item.text for item in made.items if isinstance(item, Line)]


def room(item: Line | Box | Sign) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge."""
    if isinstance(item, Line):
        return item.x, item.y, item.x + item.width, item.y + item.size * 1.3
    if isinstance(item, Sign):
        return item.x, item.y, item.x + item.size, item.y + item.size
    return item.x, item.y, item.x + item.width, item.y + item.height


def overlap(one: Line | Box | Sign, other: Line | Box | Sign) -> bool:
    left, top, right, low = room(one)
    from_left, from_top, to_right, to_low = room(other)
    return left < to_right and from_left < right and top < to_low and from_top < low


@every
@in_each_language
def test_every_word_can_be_read(name: str, language: str) -> None:
    """Each text fits its room, all its letters are in the font, and nothing lies upon another text."""
    made = drawn(name, language)
    texts = [item for item in made.items if isinstance(item, Line)]
    for item in made.items:
        left, top, right, low = room(item)
        assert left >= 0 and top >= 0 and right <= WIDTH and low <= made.height, item
    for text in texts:
        assert text.text and width_of(text.text, text.size) <= text.width + 0.01, text
        assert {each for each in text.text if ord(each) not in glyphs()} == set(), text
        assert (
            text.size >= 18 and text.x >= LEFT and text.x + width_of(text.text, text.size) <= LEFT + INNER + 1
        )
    marks = [
        item
        for item in made.items
        if isinstance(item, Sign) or (isinstance(item, Box) and item.width == MARK)
    ]
    for number, text in enumerate(texts):
        shown = Line(text.x, text.y, text.text, text.size, width_of(text.text, text.size))
        assert [other for other in (*texts[:number], *marks) if overlap(shown, other)] == [], text


@pytest.mark.parametrize("name", ["of all kinds", "no quorum", "forty choices", "twelve choices by both"])
def test_it_is_a_small_png_and_always_the_same(name: str) -> None:
    bundle = bundle_of(name)
    data = picture(bundle.policy, bundle.result, "zh")
    assert data == picture(bundle.policy, bundle.result, "zh")
    assert len(data) < 300_000
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.width) == ("PNG", WIDTH)
        assert image.width + image.height < 10_000 and image.height < 20 * image.width  # what Telegram takes


def test_it_says_what_a_layman_asks() -> None:
    assert lines(drawn("too little area")) == [
        "业主大会表决",
        "3 号楼加装充电桩",
        "投票时间：2026-11-01 08:00 至 2026-11-16 08:00",
        "未通过",
        "参与的面积不够",
        "面积（平方米）",
        *("不够，还差 1940.00 平方米", "参与  7.34 %", "弃权（未投票）", "至少 2/3", "240.00 ÷ 3270.00 = 8/109"),
        *("够", "同意（占参与者）  100.00 %", "超过 1/2", "240.00 ÷ 240.00 = 1/1"),
        "人数",
        *("够", "参与  80.00 %", "至少 2/3", "24 ÷ 30 = 4/5"),
        *("够", "同意（占参与者）  100.00 %", "超过 1/2", "24 ÷ 24 = 1/1"),
        "赞成：24 人，240.00 平方米",
        "反对：0 人，0.00 平方米",
        "弃权：0 人，0.00 平方米",
        "弃权（未投票）：6 人，3030.00 平方米",
        "没投票的人怎么算",
        "没投票的不算参与（本次规则）：未通过，参与的面积不够",
        "没投票的算参与、弃权：未通过，同意的面积不够",
        "没投票的随多数：通过",
        "按事先公布的规则：未通过，参与的面积不够。换一种算法，结",
        "果会不一样。",
    ]  # fmt: skip


def test_a_poll_says_that_it_decides_nothing() -> None:
    for name in ("yes", "tied", "no", "no quorum", "twelve choices"):
        assert lines(drawn(name))[0] == "征求意见，非业主大会决定"
    assert lines(drawn("passed", "en"))[0] == "Statutory vote of the owners"


@pytest.mark.parametrize(
    ("name", "verdict", "sign"),
    [
        ("passed", "通过", "yes"),
        ("special, exactly 3/4", "通过", "yes"),
        ("special, just short of 3/4", "未通过", "no"),
        ("exactly 1/2", "未通过", "no"),
        ("no ballots", "未通过", "no"),
        ("yes", "赞成够了", "yes"),
        ("tied", "赞成不够", "no"),
        ("no", "赞成不够", "no"),
        ("no quorum", "没有结果", "neither"),
        ("twelve choices", "已选定", "yes"),
        ("twelve choices by both", "没有选定", "no"),
    ],
)
def test_the_verdict_is_the_largest_word_and_has_a_sign(name: str, verdict: str, sign: str) -> None:
    made = drawn(name)
    largest = max((item for item in made.items if isinstance(item, Line)), key=lambda line: line.size)
    biggest = max((item for item in made.items if isinstance(item, Sign)), key=lambda found: found.size)
    assert (largest.text, biggest.kind) == (verdict, sign)


def bars(made: Drawing) -> Iterator[tuple[Box, float, str, str]]:
    """Of each bar with a threshold: what is filled up to where its colour ends, where its line is, percent and sign."""
    boxes = [item for item in made.items if isinstance(item, Box)]
    values = [text for text in lines(made) if re.search(r"\d %$|—$", text)]
    signs = [item.kind for item in made.items if isinstance(item, Sign) and item.size == 36]
    marks = [box for box in boxes if box.width == MARK and box.height == BAR + 2 * OVER]
    for mark, value, sign in zip(marks, values, signs, strict=True):
        fills = [box for box in boxes if box.y == mark.y + OVER and box.fill in (GREEN, RED)]
        for fill in fills:
            yield fill, mark.x + MARK / 2, value, sign


@pytest.mark.parametrize(
    "name",
    ("passed", "too little area", "special, exactly 3/4", "special, just short of 3/4", "exactly 1/2",
     "exactly 2/3", "a hair short of 2/3", "of all kinds", "both"),
)  # fmt: skip
def test_no_bar_and_no_percentage_is_rounded_across_its_threshold(name: str) -> None:
    found = list(bars(drawn(name)))
    assert found
    for fill, mark, value, sign in found:
        assert (fill.fill == GREEN) == (sign == "yes"), value
        end = fill.x + fill.width
        assert end >= mark if sign == "yes" else end <= mark, value


def test_a_hair_short_is_seen_and_said() -> None:
    made = drawn("a hair short of 2/3")
    [(fill, mark, value, sign), *_] = bars(made)
    assert (value, sign) == ("参与  66.666666 %", "no") and fill.x + fill.width < mark - MARK / 2
    assert "不够，还差 0.01 平方米" in lines(made)
    made = drawn("exactly 2/3")
    [(fill, mark, value, sign), *_] = bars(made)
    assert (value, sign, fill.x + fill.width) == ("参与  66.67 %", "yes", mark)
    assert "正好够" in lines(made) and "2000.00 ÷ 3000.00 = 2/3" in lines(made)


def test_silence_that_counts_is_told_apart() -> None:
    shown = lines(drawn("silence abstains"))
    assert "没投票的算参与、弃权（本次规则）：未通过，同意的面积和人数都不够" in "".join(shown)
    assert "未投票的已送达业主（13 人，1300.00 平方米）按规则算作「弃权」。" in "".join(shown)
    assert "弃权：0 人，0.00 平方米" in shown


def test_a_robust_result_says_so() -> None:
    assert lines(drawn("passed"))[-1] == "三种算法结果一样，结论稳健。"


def test_choices_that_differ_by_an_emoji_are_told_apart_by_their_numbers() -> None:
    shown = lines(drawn("twelve choices"))
    for name in ("3. 第 3 项", "4. 方案", "5. 方案", "12. 第 12 项", "以上都不选"):
        assert name in shown


def test_of_very_many_choices_those_with_the_most_votes_are_shown() -> None:
    made = drawn("forty choices")
    numbered = [text for text in lines(made) if re.match(r"\d+\. ", text)]
    assert MOST_CHOICES <= len(numbered) <= MOST_CHOICES + 8  # those that are chosen stand above, too
    assert any("另有" in text and "网页" in text for text in lines(made))


def test_a_long_title_is_cut() -> None:
    head = lines(drawn("of all kinds"))[1 : TITLE_LINES + 2]
    assert head[TITLE_LINES - 1].endswith("…") and head[TITLE_LINES].startswith("投票时间")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("充电桩\n结果：通过", "充电桩 结果：通过"),
        ("好👍🏽 的", "好 的"),
        ("👨‍👩‍👧", ""),
        ("a\u202eb\u0000c", "abc"),
        ("cafe\u0301", "café"),
    ],
)
def test_what_the_font_cannot_show_is_left_out(text: str, shown: str) -> None:
    assert drawable(text) == shown


@settings(deadline=None, derandomize=True, database=None, max_examples=80)
@given(st.text(max_size=200), st.integers(1, 3), st.integers(120, 968))
def test_any_text_fits(text: str, most: int, width: int) -> None:
    shown = drawable(text)
    for size in (30, 84):
        found = wrapped(shown, size, width, most)
        assert len(found) <= most and all(width_of(line, size) <= width for line in found)
        line, small = fitted(shown, size, width)
        assert width_of(line, small) <= width and small <= size
    assert set(shown) <= {" ", *map(chr, glyphs())}


def test_the_poll_that_is_drawn_is_the_one_that_is_counted() -> None:
    """What the tests call tied is a tie."""
    bundle = bundle_of("tied")
    assert count_poll(case_of(bundle.policy, bundle.roster, bundle.log))["reason"] == "TIED"
