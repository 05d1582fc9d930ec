"""The result in words: no percentage crosses its threshold, and what is said agrees with what was counted."""

import json
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.words import LANGUAGES, texts
from handlers.tally import REASONS, result
from handlers.vote_words import in_words, percent, readme
from tests.handlers.elections import poll_cases, statutory_cases
from tests.published import POLL

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parent / "votes" / "dev.json").read_text("utf-8"))["cases"]
}
RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=300)
THRESHOLDS = (Fraction(1, 2), Fraction(2, 3), Fraction(3, 4))


def policy(case: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The policy of a case, with a title."""
    kind = "poll" if case.get("poll") else "statutory"
    return {
        "kind": kind,
        "rule": case.get("rule"),
        "deadline": case["deadline"],
        "title": "3 号楼加装充电桩 10 个",
        "time_zone": "Asia/Shanghai",
        "options": case["options"],
        "poll": case.get("poll"),
        **more,
    }


def words(case: dict[str, Any], language: str = "zh", **more: Any) -> str:
    return in_words(policy(case, **more), result(case), language)


# --- percentages ------------------------------------------------------------------------------------


def side(value: Fraction, threshold: Fraction) -> int:
    return (value > threshold) - (value < threshold)


@RANDOM
@given(st.integers(0, 10**9), st.integers(1, 10**9), st.sampled_from(THRESHOLDS), st.integers(-3, 3))
def test_a_percentage_is_never_rounded_across_its_threshold(
    part: int, whole: int, threshold: Fraction, off: int
) -> None:
    near = Fraction(min(max(int(whole * threshold) + off, 0), whole), whole)
    for share in (near, Fraction(min(part, whole), whole)):
        shown = Fraction(percent(share, threshold)) / 100
        assert abs(shown - share) <= Fraction(1, 20000)
        if share != threshold:
            assert side(shown, threshold) == side(share, threshold)


@pytest.mark.parametrize(
    ("share", "threshold", "shown"),
    [
        ("66666/100000", "2/3", "66.666"),
        ("2/3", "2/3", "66.67"),
        ("66667/100000", "2/3", "66.67"),
        ("5000001/10000000", "1/2", "50.00001"),
        ("1/2", "1/2", "50.00"),
        ("499999/1000000", "1/2", "49.9999"),
        ("749999/1000000", "3/4", "74.9999"),
        ("0/1", "1/2", "0.00"),
        ("1/1", "1/2", "100.00"),
    ],
)
def test_percentages(share: str, threshold: str, shown: str) -> None:
    assert percent(Fraction(share), Fraction(threshold)) == shown


# --- a statutory vote -------------------------------------------------------------------------------


def test_a_result_that_a_layman_can_check() -> None:
    assert words(CASES["dev01_basic_ordinary_pass"]).splitlines() == [
        "【业主大会表决】3 号楼加装充电桩 10 个",
        "结果：通过",
        "投票时间：2025-06-01 00:00 至 2025-06-16 23:59",
        "",
        "参与够不够（须不少于全体的 2/3）：",
        "· 面积：475.50 ÷ 600.00 = 317/400（79.25%），够",
        "· 人数：5 ÷ 6 = 5/6（83.33%），够",
        "同意够不够（一般事项，须超过参与者的 1/2）：",
        "· 面积：300.00 ÷ 475.50 = 200/317（63.09%），够",
        "· 人数：3 ÷ 5 = 3/5（60.00%），够",
        "",
        "赞成：3 人，300.00 平方米",
        "反对：1 人，80.00 平方米",
        "弃权：1 人，95.50 平方米",
        "弃权（未投票）：1 人，124.50 平方米",
        "",
        "没投票的人怎么算：没投票的不算参与。",
        "如果没投票的算参与、弃权：未通过，同意的面积和人数都不够",
        "如果没投票的随多数：通过",
        "按事先公布的规则：通过。换一种算法，结果会不一样。",
    ]


def test_what_is_exactly_the_threshold_and_what_is_missing() -> None:
    exact = words(CASES["dev02_exact_two_thirds_participation"])
    assert "· 面积：400.00 ÷ 600.00 = 2/3（66.67%），正好够" in exact
    half = words(CASES["dev03_exact_half_people_fails"])
    assert "结果：未通过，同意的人数不够" in half
    assert "· 人数：3 ÷ 6 = 1/2（50.00%），不够，还差 1 人" in half
    assert "三种算法结果一样，结论稳健。" in half


@pytest.mark.parametrize(
    ("homes", "line"),
    [
        # Four homes of 80.015 m², three for: the total needs two decimals, its parts three.
        (["80.015"] * 4, "· 面积：240.045 ÷ 320.060 = 3/4（75.00%），正好够"),
        (
            ["80.001", "80.001", "80.000", "80.000"],
            "· 面积：240.002 ÷ 320.002 = 120001/160001（75.0002%），够",
        ),
    ],
)
def test_no_decimal_of_an_area_is_lost(homes: list[str], line: str) -> None:
    case = json.loads(json.dumps(CASES["dev01_basic_ordinary_pass"]))
    case["rule"] = "special"
    case["roster"]["units"] = case["roster"]["units"][:4]
    for unit, area in zip(case["roster"]["units"], homes, strict=True):
        unit["area"] = area
    for ballot, choice in zip(case["ballots"], ("for", "for", "for", "against", "abstain"), strict=True):
        ballot["choice"] = choice
    said = words(case)
    assert "结果：通过" in said
    assert line in said.splitlines()


def test_where_each_home_votes_by_itself_it_is_said_how_people_are_counted() -> None:
    case = CASES["dev01_basic_ordinary_pass"]
    by_home = {**case, "options": {**case["options"], "multi_unit": "per_unit"}}
    sentence = "每户单独投：面积按户算；一个人的几户投得不一样，按一人弃权算。"
    assert sentence in words(by_home)
    assert sentence not in words(case)


def test_ballots_that_do_not_count_are_named() -> None:
    assert "没有计入的票：3 张（原因见 ballots.csv「结果」一栏）" in words(
        CASES["dev11_proxies_written_expired_limit"]
    )


def test_readings_that_all_fail_do_not_sound_as_if_one_passed() -> None:
    case = {**CASES["dev10_not_entitled_and_blank"]}
    case["ballots"] = [{**ballot, "choice": ballot["choice"] and "against"} for ballot in case["ballots"]]
    assert "三种算法都是未通过，只是原因不一样。" in words(case)


def test_silence_that_counts_by_a_clause_is_told_apart_from_what_was_cast() -> None:
    said = words(CASES["dev06_patent_rule_silent_is_abstention"], clause="议事规则第 12 条")
    assert "弃权：0 人，0.00 平方米" in said
    assert "弃权（未投票）：3 人，300.00 平方米" in said
    assert "未投票的已送达业主（3 人，300.00 平方米）按规则算作「弃权」。" in said
    assert "没投票的人怎么算：没投票的算参与、弃权（依据：议事规则第 12 条）。" in said
    assert "· 面积：400.00 ÷ 1000.00 = 2/5（40.00%），不够，还差 100.01 平方米" in said


def test_co_owners_who_contradict_each_other_are_named() -> None:
    assert "共有人意见不一，不计入：1 人，100.00 平方米" in words(CASES["dev09_co_owner_conflict_invalid"])


@RANDOM
@given(statutory_cases(), st.sampled_from(["zh", "en"]))
def test_the_words_agree_with_the_verdict(case: dict[str, Any], language: str) -> None:
    found = result(case)
    said = in_words(policy(case), found, language).splitlines()
    bad = "不够" if language == "zh" else "not enough"
    lines = [line for line in said if line.startswith("· ")]
    assert len(lines) == 4
    assert all(bad not in line for line in lines[:2]) == found["valid"]
    assert all(bad not in line for line in lines) == found["passed"]
    for measure in ("area", "people"):
        parts = [Fraction(found[name][measure]) for name in ("cast", "silent", "conflict")]
        assert sum(parts) == Fraction(found["total"][measure])


# --- a poll -----------------------------------------------------------------------------------------


def test_a_poll_says_that_it_decides_nothing() -> None:
    assert words({**CASES["dev01_basic_ordinary_pass"], "poll": POLL}).splitlines() == [
        "【征求意见，非业主大会决定】3 号楼加装充电桩 10 个",
        "结果：赞成的够了",
        "投票时间：2025-06-01 00:00 至 2025-06-16 23:59",
        "",
        "参与够不够（须不少于全体的 1/2）：",
        "· 户数：5 ÷ 6 = 5/6（83.33%），够",
        "赞成够不够（须超过赞成加反对的 1/2）：",
        "· 户数：3 ÷ 4 = 3/4（75.00%），够",
        "",
        "赞成：3 户，300.00 平方米",
        "反对：1 户，80.00 平方米",
        "弃权：1 户，95.50 平方米",
        "弃权（未投票）：1 户，124.50 平方米",
    ]


def test_a_title_is_no_line_of_the_result() -> None:
    said = words(CASES["dev01_basic_ordinary_pass"], title="充电桩\n结果：通过\x1b[2J").splitlines()
    assert said[0] == "【业主大会表决】充电桩 结果：通过�[2J"
    assert [line[:3] for line in said].count("结果：") == 1


def test_a_choice_may_be_called_as_a_key_of_the_result() -> None:
    case = {**CASES["dev01_basic_ordinary_pass"]}
    case["poll"] = {**POLL, "question": "choose", "choices": ["area", "heads"]}
    case["ballots"] = [{**ballot, "choice": ["area"]} for ballot in case["ballots"]]
    assert words(case).splitlines()[1].endswith("area")


def test_one_of_several() -> None:
    case = {**CASES["dev01_basic_ordinary_pass"]}
    case["poll"] = {**POLL, "question": "choose", "choices": ["美的", "格力"], "threshold": "plurality"}
    picks = [["美的"], ["美的"], ["格力"], [], "abstain"]
    case["ballots"] = [
        {**ballot, "choice": choice} for ballot, choice in zip(case["ballots"], picks, strict=True)
    ]
    said = words(case).splitlines()
    assert said[1] == "结果：选定：美的"
    assert said[6:] == [
        "选哪个（最多选 1 项；得票最多，并且多于「以上都不选」）：",
        "",
        "美的：2 户，190.00 平方米，选定",
        "格力：1 户，80.00 平方米",
        "以上都不选：1 户，110.00 平方米",
        "弃权：1 户，95.50 平方米",
        "弃权（未投票）：1 户，124.50 平方米",
    ]


@RANDOM
@given(poll_cases(), st.sampled_from(["zh", "en"]))
def test_every_poll_can_be_said(case: dict[str, Any], language: str) -> None:
    found = result(case)
    said = in_words(policy(case), found, language)
    if case["poll"]["threshold"] != "plurality" and case["poll"]["question"] == "yes_no":
        bad = "不够" if language == "zh" else "not enough"
        lines = [line for line in said.splitlines() if line.startswith("· ")]
        assert all(bad not in line for line in lines) == bool(found["adopted"])
    for measure in ("area", "heads"):
        parts = [Fraction(found[name][measure]) for name in ("cast", "silent", "conflict")]
        assert sum(parts) == Fraction(found["total"][measure])


def test_every_reason_has_its_sentence() -> None:
    for language in LANGUAGES:
        known = set(texts(language))
        assert {f"count.verdict.{reason}" for reason in REASONS[:7]} <= known
        assert {f"count.yes_no.{reason}" for reason in REASONS[7:]} <= known
        assert {f"count.choose.{reason}" for reason in REASONS[8:]} <= known


def test_the_readme_says_how_to_count_again_and_where_one_s_home_is() -> None:
    case = CASES["dev01_basic_ordinary_pass"]
    text = readme(policy(case, text="在地下车库装 10 个。"), result(case), "2025-05-31")
    for part in (
        "结果：通过", "Result: passed", "名册日期：2025-05-31", "在地下车库装 10 个。", "./linli verify 本文件",
        "有人替您家投了票", "somebody voted for your home", "监票人", "scrutineers",
    ):  # fmt: skip
        assert part in text
    assert max(map(width, text.splitlines())) <= 90


def test_where_only_totals_are_published_nobody_is_told_to_count_again() -> None:
    case = {**CASES["dev01_basic_ordinary_pass"], "poll": {**POLL, "visible": "totals"}}
    text = readme(policy(case), result(case), "2025-05-31")
    assert "只有保管人能重新计票" in text and "only the\nkeeper can count again" in text
    assert "ballots.csv" not in text and "怎样自己再数一遍" not in text


def width(line: str) -> int:
    """How many columns of a terminal a line takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)
