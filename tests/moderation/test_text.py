"""What the rules see of a text, and the way back to what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.text import read


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("ＧＡＳ　漏气！", "gas 漏气!"),
        ("瓦斯漏氣", "瓦斯漏气"),
        ("電梯裡困了人", "电梯里困了人"),
        ("着\u200b火", "着火"),
        ("\u202e着火\u202c", "着火"),
        ("着 火 了", "着火了"),
        ("漏.气", "漏气"),
        ("漏*气", "漏气"),
        ("电梯停了 里面有人", "电梯停了 里面有人"),
        ("Fire in the GARAGE", "fire in the garage"),
        ("Ⅲ单元", "iii单元"),
        ("🔥\ufe0f", "🔥"),
        ("\ud83d", "?"),
        ("", ""),
    ],
)
def test_read_gives_the_plain_form(written: str, plain: str) -> None:
    assert read(written).plain == plain


@pytest.mark.parametrize(
    ("written", "found", "original"),
    [
        ("厨房 瓦 斯 漏氣", "瓦斯漏气", "瓦 斯 漏氣"),
        ("Ⅲ单元著火", "单元", "单元"),
        ("😱着\u200b火了", "着火", "着\u200b火"),
        ("ＦＩＲＥ", "fire", "ＦＩＲＥ"),
    ],
)
def test_words_are_those_the_person_wrote(written: str, found: str, original: str) -> None:
    said = read(written)
    start = said.plain.index(found)
    assert said.words(start, start + len(found)) == original


def test_no_words_stand_in_an_empty_span() -> None:
    assert read("着火").words(1, 1) == ""


@given(st.text(st.characters(), max_size=200))
def test_read_never_raises_and_every_place_leads_back(written: str) -> None:
    said = read(written)
    for place in range(len(said.plain)):
        assert len(said.words(place, place + 1)) == 1


@given(st.text(max_size=200))
def test_read_is_its_own_end(written: str) -> None:
    """What has been read has nothing left to drop or fold."""
    plain = read(written).plain
    assert read(plain).plain.isascii() == plain.isascii()


def test_whole_is_read_from_any_mixture() -> None:
    said = read("電 梯 裡\u200b困*了 人")
    assert said.plain == "电梯里困了人"
    assert said.words(0, len(said.plain)) == "電 梯 裡\u200b困*了 人"
