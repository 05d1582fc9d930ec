"""Amounts of money and moments, as people write them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.moments import moment_in
from conversations.money import money_in, yuan

NOW = datetime(2026, 11, 28, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Saturday


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4.2万", 42000),
        ("42000", 42000),
        ("4万2", 42000),
        ("4万2千", 42000),
        ("4万500", 40500),
        ("三千", 3000),
        ("三千五", 3500),
        ("三千零五", 3005),
        ("一百二", 120),
        ("十五万", 150000),
        ("两万三", 23000),
        ("一千万", 10**7),
        ("1亿", 10**8),
        ("约5000元", 5000),
        ("大概 5,000 块钱左右", 5000),
        ("￥5,000.50", 5000.5),
        ("５０００", 5000),
        ("4.2w", 42000),
        ("5k", 5000),
        ("预算：3千5百元整", 3500),
        ("0", 0),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, amount: float) -> None:
    assert money_in(text) == amount * 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "元",
        "万",
        "三四千",
        "3-5万",
        "3到5万",
        "每个4200",
        "5块5",
        "4,2万",
        "1,2000",
        "0.005",
        "-5",
        "4万20000",
        *("挺贵的", "9" * 4000, "五零零零", "4..2万", "千万", "1百2千"),
    ],
)
def test_what_is_no_certain_amount_is_asked_again(text: str) -> None:
    assert money_in(text) is None


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(st.integers(0, 10**12))
def test_an_amount_that_is_shown_reads_as_itself(cents: int) -> None:
    shown = yuan(cents)
    assert money_in(f"{shown['zh']}元") == money_in(shown["en"]) == cents


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(st.text("0123456789.,零一二两三十百千万亿元块约", max_size=12))
def test_any_words_are_an_amount_or_none(text: str) -> None:
    found = money_in(text)
    assert found is None or found >= 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12月31日 9:00", "2026-12-31 09:00"),
        ("12月31日", "2026-12-31 09:00"),
        ("2026-12-31 18:30", "2026-12-31 18:30"),
        ("2026年12月31日周四 09:00", "2026-12-31 09:00"),
        ("12/31 9:00", "2026-12-31 09:00"),
        ("1月3日 九点半", "2027-01-03 09:30"),
        ("十二月三十一日晚上8点", "2026-12-31 20:00"),
        ("明天 9点", "2026-11-29 09:00"),
        ("明天上午9点开始", "2026-11-29 09:00"),
        ("后天", "2026-11-30 09:00"),
        ("大后天中午12点", "2026-12-01 12:00"),
        ("三天后", "2026-12-01 09:00"),
        ("一周之后 8点", "2026-12-05 08:00"),
        ("周五下午3点", "2026-12-04 15:00"),
        ("下周一", "2026-11-30 09:00"),
        ("周六 9点", "2026-11-28 09:00"),
        ("九点", "2026-11-29 09:00"),
        ("11点", "2026-11-28 11:00"),
        ("今晚8点", "2026-11-28 20:00"),
        ("今晚上八点半", "2026-11-28 20:30"),
        ("明早7点", "2026-11-29 07:00"),
        ("明天凌晨2点", "2026-11-29 02:00"),
        ("2小时后", "2026-11-28 12:00"),
        ("两个半小时之后", "2026-11-28 12:30"),
        ("半小时后", "2026-11-28 10:30"),
        ("四十分钟后", "2026-11-28 10:40"),
        ("tomorrow 3:15pm", "2026-11-29 15:15"),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, moment: str) -> None:
    found = moment_in(text, NOW)
    assert found is not None
    assert found.strftime("%Y-%m-%d %H:%M") == moment


@pytest.mark.parametrize(
    "text", ["", "瞎写", "13月2日", "2月30日", "明天25点", "9", "9:75", "周八", "x" * 4000]
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert moment_in(text, NOW) is None
