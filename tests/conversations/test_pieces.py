"""Long texts in pieces: nothing lost, nothing doubled, and cut where a reader would."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversations.words import cut

RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=300)
LETTERS = st.sampled_from(
    [
        *"水灯。！？…\n .!?a1」”",
        "👨\u200d👩\u200d👧",
        "🇨🇳",
        "👍🏽",
        "e\u0301",
        "‼\ufe0f",
        "\r\n",
        "3.5",
        "\u3000",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(LETTERS, max_size=120).map("".join))


def pieces(text: str, most: int) -> list[str]:
    found = []
    while text:
        head, text = cut(text, most)
        found.append(head)
    return found


@RANDOM
@given(TEXTS, st.integers(1, 40))
@example("字" * 10_000, 4000)
def test_the_pieces_are_the_text_and_each_fits(text: str, most: int) -> None:
    found = pieces(text, most)
    assert "".join(found) == text
    assert all(0 < len(piece) <= most for piece in found)


@RANDOM
@given(TEXTS, st.integers(16, 40))
def test_what_is_seen_as_one_character_stays_whole(text: str, most: int) -> None:
    for before, after in pairwise(pieces(text, most)):
        split = "\u200d" in (before[-1], after[0]) or unicodedata.category(after[0])[0] == "M"
        split = split or before[-1:] + after[:1] == "\r\n" or after[0] == "🏽"
        # Only where nothing else is there to cut at.
        glued = before[most // 2 :]
        assert not split or all(
            unicodedata.category(c)[0] in "MC" or c == "🏽" or d == "\u200d"
            for d, c in pairwise(glued + after[0])
        )


@pytest.mark.parametrize(
    ("text", "most", "head"),
    [
        ("灯坏了。快来修。", 7, "灯坏了。"),
        ("灯坏了！快来修。谢谢", 8, "灯坏了！快来修。"),
        ("他说「灯坏了。」快来修", 9, "他说「灯坏了。」"),
        ("第一行\n第二行很长很长", 6, "第一行\n"),
        ("It is broken. Please come", 20, "It is broken. "),
        ("about 3.5 metres of pipe", 9, "about "),
        ("about 3.51", 9, "about "),
        ("no sentence here at all", 15, "no sentence "),
        ("没有句号没有空格没有", 6, "没有句号没有"),
        ("a。bcdefghijkl", 10, "a。bcdefghi"[:10]),
        ("一二三👨\u200d👩\u200d👧四", 5, "一二三"),
        ("一二三🇨🇳🇨🇳", 6, "一二三🇨🇳"),
        ("一二三👍🏽", 4, "一二三"),
        ("abcde\u0301f", 5, "abcd"),
        ("短", 5, "短"),
        ("", 5, ""),
    ],
)
def test_it_is_cut_where_a_reader_would(text: str, most: int, head: str) -> None:
    assert cut(text, most) == (head, text[len(head) :])
