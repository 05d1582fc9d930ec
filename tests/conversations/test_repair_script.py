"""The repair's reading of free sentences: which place, which building, and where the words belong."""

from typing import Any

import pytest

from conversations.repair import (
    EMERGENCY,
    LONGEST,
    REPAIR,
    building_in,
    free_place,
    free_report,
    place_in,
)
from conversations.steps import Answers, pending
from conversations.words import LANGUAGES, texts

BUILDINGS = ["1", "2", "12", "A"]
FACTS: dict[str, Any] = {
    "homes": [("7", "3 号楼 2 单元 1201")],
    "buildings": [(name, f"{name} 号楼") for name in BUILDINGS],
    "verdict": "normal",
}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("厨房水管爆了", "home"),
        ("楼道灯不亮", "hall"),
        ("电梯里困了人", "lift"),
        ("地库积水", "garage"),
        ("The lift is stuck", "lift"),
        ("LIFT", "lift"),
        ("car park light is out", "garage"),
        ("water in my kitchen", "home"),
        ("my flat smells of gas", "home"),
        ("水管爆了", ""),
        ("电梯口的楼道灯不亮", ""),
        ("从地库到电梯", ""),
        ("upstairs is leaking", ""),
        ("the stairs are dark", "hall"),
        ("公共卫生间的灯不亮", ""),
        ("会所漏水", "other"),
        ("厨房和卫生间都漏水", "home"),
        ("", ""),
    ],
)
def test_place_is_read_when_the_sentence_names_exactly_one(text: str, place: str) -> None:
    assert place_in(text) == place


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("place", ["home", "hall", "lift", "garage"])
def test_every_word_for_a_place_is_found_in_a_sentence(language: str, place: str) -> None:
    words = texts(language)[f"say.place.{place}"].split("|")
    assert {word: place_in(f"喂 {word} 坏了") for word in words} == dict.fromkeys(words, place)


@pytest.mark.parametrize(
    ("text", "building"),
    [
        ("1号楼电梯坏了", "1"),
        ("12 栋门口", "12"),
        ("2幢", "2"),
        ("A座大堂", "A"),
        ("2#楼道灯不亮", "2"),
        ("1#", "1"),
        ("从9号楼走到2号楼", "2"),
        ("9号楼", ""),
        ("112号楼", ""),
        ("100012号楼", ""),
        ("1 楼漏水", ""),
        ("三号楼", ""),
        ("1单元", ""),
        ("", ""),
    ],
)
def test_building_is_read_when_it_is_one_of_ours(text: str, building: str) -> None:
    assert building_in(text, FACTS) == building


def test_no_building_is_read_where_there_is_none() -> None:
    assert building_in("1号楼", {"buildings": []}) == ""


@pytest.mark.parametrize(
    ("step", "text", "answers", "found"),
    [
        # A place where a place was asked, once it is known what is broken.
        ("place", "在厨房", {"what": "漏水"}, {"place": "home"}),
        ("place", "1号楼电梯", {"what": "坏了"}, {"place": "lift", "building": "1"}),
        ("building", "是 2 号楼", {"what": "坏了", "place": "lift"}, {"building": "2"}),
        # Else it is part of what is broken, and nothing that was said is lost.
        ("place", "厨房漏水", {}, {"place": "home", "what": "厨房漏水"}),
        ("place", "就是那个坏了", {}, {"what": "就是那个坏了"}),
        ("place", "就是那个", {"what": "漏水"}, {"what": "漏水；就是那个"}),
        ("entry", "很急", {"what": "漏水", "place": "home"}, {"what": "漏水；很急"}),
        (
            "photos",
            "就在2号楼电梯门口右边",
            {"what": "坏了", "place": "lift"},
            {"what": "坏了；就在2号楼电梯门口右边", "building": "2"},
        ),
        # A long sentence leaves the answers that were given; a few words correct them.
        (
            "entry",
            "还有楼下的电梯好像也坏了",
            {"what": "漏水", "place": "home"},
            {"what": "漏水；还有楼下的电梯好像也坏了"},
        ),
        ("entry", "不对，在电梯里", {"what": "漏水", "place": "home"}, {"place": "lift"}),
        ("photos", "2号楼", {"what": "坏了", "place": "lift", "building": "1"}, {"building": "2"}),
    ],
)
def test_free_words_in_a_report_find_their_question(
    step: str, text: str, answers: Answers, found: Answers
) -> None:
    assert free_report(step, text, answers, FACTS) == found


def test_free_words_that_make_a_report_too_long_are_not_taken() -> None:
    assert free_report("entry", "二" * 10, {"what": "一" * (LONGEST - 5), "place": "home"}, FACTS) == {}


def test_free_words_that_just_fit_are_taken_whole() -> None:
    found = free_report("entry", "二二", {"what": "一" * (LONGEST - 3), "place": "home"}, FACTS)
    assert found == {"what": "一" * (LONGEST - 3) + "；二二"}


@pytest.mark.parametrize(
    ("step", "text", "answers", "found"),
    [
        ("place", "在电梯里", {}, {"place": "lift"}),
        ("place", "1号楼", {}, {"place": "other", "building": "1"}),
        ("place", "2号楼电梯", {}, {"place": "lift", "building": "2"}),
        ("place", "2号楼顶楼电梯", {}, {"place": "lift", "building": "2", "spot": "2号楼顶楼电梯"}),
        ("place", "南门岗亭旁边", {}, {"place": "other", "spot": "南门岗亭旁边"}),
        ("building", "2号楼", {"place": "lift"}, {"building": "2"}),
        ("building", "在12楼和13楼之间", {"place": "lift"}, {"spot": "在12楼和13楼之间"}),
        ("photos", "快来", {"place": "lift", "spot": "不知道"}, {"spot": "不知道；快来"}),
        ("place", "长" * (LONGEST + 1), {}, {}),
    ],
)
def test_free_words_about_an_emergency_say_where(
    step: str, text: str, answers: Answers, found: Answers
) -> None:
    assert free_place(step, text, answers, FACTS) == found


@pytest.mark.parametrize(
    ("answers", "facts", "step"),
    [
        ({"what": "冒烟"}, {"verdict": "ask"}, "danger"),
        ({"what": "冒烟", "danger": "calm"}, {"verdict": "ask"}, "place"),
        ({}, {}, "place"),
        ({"place": "home"}, {}, "what"),
        ({"place": "home", "what": "漏水"}, {}, "entry"),
        ({"place": "home", "what": "漏水"}, {"homes": [("7", "a"), ("8", "b")]}, "home"),
        ({"place": "lift", "what": "坏了"}, {}, "building"),
        ({"place": "lift", "what": "坏了"}, {"buildings": [("1", "1 号楼")]}, "photos"),
        ({"place": "other", "what": "坏了"}, {}, "spot"),
        ({"place": "home", "what": "漏水", "entry": "any_time", "photos": None}, {}, "sure"),
    ],
)
def test_a_report_asks_only_what_is_needed(answers: Answers, facts: dict[str, Any], step: str) -> None:
    assert pending(REPAIR, answers, {**FACTS, **facts}) == step


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        ({}, "place"),
        ({"place": "home"}, "photos"),
        ({"place": "lift"}, "building"),
        ({"place": "lift", "building": "2"}, "photos"),
        ({"place": "other"}, "spot"),
        ({"place": "other", "spot": "南门", "photos": None}, None),
    ],
)
def test_an_emergency_asks_only_where(answers: Answers, step: str | None) -> None:
    assert pending(EMERGENCY, answers, FACTS) == step
