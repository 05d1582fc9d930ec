"""Texts are cut into words as jieba would cut them, however few of them are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import segment
from tests.moderation.learn_tone import calm

ODD = [
    "",
    "a",
    "\r\n",
    "好\r\n好 \n\r",
    "abc12好d e1",
    "C++#c 1.5% 3-4_x",
    "K歌T恤a b",
    "𠀀了，。。A1b2楼",
    "卡拉OK吃个饭",
]


def same_as_jieba(text: str) -> bool:
    """In all its words, and at every place of which one is asked alone."""
    words = tuple(segment._loaded().cut(text, HMM=False))
    places = {sum(map(len, words[:count])) for count in range(len(words) + 1)}
    alone = {place for place in range(len(text) + 1) if place in segment.Cut(text)}
    return segment.words(text) == words and segment.boundaries(text) == alone == places


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(text: str) -> None:
    assert same_as_jieba(text)


def test_what_neighbours_write() -> None:
    assert [text for text in calm()[::3] if not same_as_jieba(text)] == []


@given(
    st.text(
        st.sampled_from("的一是不了在人有我他这中大来上国物业电梯漏水停车位abAB019 ,.，。-_%#\r\n"),
        max_size=40,
    )
)
def test_whatever_text(text: str) -> None:
    assert same_as_jieba(text)
