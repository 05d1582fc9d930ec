"""The numbers of a month: pure counts, the months of a calendar, and the picture and the file made of them."""

import zipfile
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conversations.words import Reader, Say
from handlers.drawing import INNER, LEFT, WIDTH, Line, width_of
from handlers.month import (
    Facts,
    Month,
    Within,
    complaints_in,
    conduct_in,
    is_empty,
    month_of,
    repairs_in,
    share,
    times_of,
    votes_in,
)
from handlers.month_picture import drawing, picture
from handlers.month_sheet import sheet
from handlers.month_words import change, lines, percent, took, turnout
from store.tables import Complaint, Repair, Ruling, Vote

ZONE = ZoneInfo("Asia/Shanghai")
MARCH = Month(2026, 3)
SPAN = Within(MARCH.begins(ZONE), MARCH.ends(ZONE))
AT = datetime(2026, 3, 10, 1, tzinfo=UTC)
NOW = datetime(2026, 4, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
RANDOM = settings(deadline=None, derandomize=True, database=None, max_examples=200)
READER = Reader("zh", "Asia/Shanghai", NOW)


# --- the calendar -----------------------------------------------------------------------------------


def test_a_month_begins_and_ends_in_the_time_of_its_community() -> None:
    begins = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert (MARCH.begins(ZONE), MARCH.ends(ZONE)) == (begins, datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert begins in SPAN
    assert begins - timedelta(microseconds=1) not in SPAN
    assert SPAN.ends not in SPAN
    assert None not in SPAN
    assert month_of(begins, ZONE) == MARCH
    assert month_of(begins, ZoneInfo("UTC")) == Month(2026, 2)
    assert (str(MARCH), MARCH.number) == ("2026-03", 202603)


@RANDOM
@given(st.integers(2000, 2100), st.integers(1, 12), st.integers(-400, 400))
def test_months_are_counted_over_years(year: int, month: int, by: int) -> None:
    here = Month(year, month)
    there = here.later(by)
    assert there.later(-by) == here
    assert (there.year - year) * 12 + there.month - month == by
    assert 1 <= there.month <= 12


# --- counted ----------------------------------------------------------------------------------------


def repair(**columns: Any) -> Repair:
    return Repair(
        **{"community_id": 1, "number": 1, "person_id": 1, "what": "坏了", "reported_at": AT, **columns}
    )


def later(hours: int) -> datetime:
    return AT + hours * HOUR


def test_repairs_are_counted_where_they_were_reported_and_where_they_were_done() -> None:
    before = {"reported_at": later(-30 * 24), "due_at": later(-1), "paused_seconds": 60, "urgent": True}
    rows = [
        repair(
            state="closed", accepted_at=later(1), done_at=later(3), due_at=later(3), stars=5, building="3"
        ),
        repair(state="done", accepted_at=later(2), done_at=later(9), due_at=later(8), kind="tap", stars=4),
        repair(state="accepted", accepted_at=later(4), done_at=later(5)),  # reopened: not done
        repair(state="closed", done_at=AT, **before),
        repair(state="withdrawn"),
        repair(state="merged"),
        repair(state="waiting", incident=True),
    ]
    found = repairs_in(rows, SPAN)
    assert (found["reported"], found["done"]) == (3, 3)
    assert found["response"] == [7200, 14400, 3]
    assert found["repair"] == [9 * 3600, 30 * 86400 - 60, 3]
    assert found["in_time"] == [1, 3]
    assert found["stars"] == [9, 2]
    month = 30 * 86400 - 60
    urgent = {"reported": 0, "done": 1, "response": None, "repair": [month, month, 1], "in_time": [0, 1]}
    assert found["urgent"] == urgent
    assert {name: each["reported"] for name, each in found["buildings"].items()} == {"": 2, "3": 1}
    assert {name: each["reported"] for name, each in found["kinds"].items()} == {"other": 2, "tap": 1}


def test_complaints_are_answered_in_time_or_not() -> None:
    def complaint(number: int, **columns: Any) -> Complaint:
        fixed = {"id": number, "community_id": 1, "number": number, "person_id": 1, "created_at": AT}
        return Complaint(**{**fixed, "kind": "complaint", "topic": "noise", **columns})

    rows = [
        complaint(1, helped=True),
        complaint(2, overdue_at=AT, helped=False, kind="suggestion", topic=""),
        complaint(3, overdue_at=AT),
        complaint(4),  # its time runs still
        complaint(5, state="withdrawn"),
        complaint(6, created_at=AT - timedelta(days=40)),
    ]
    day = timedelta(days=1)
    found = complaints_in(rows, {1: AT + day, 2: AT + 12 * day, 6: AT}, SPAN)
    assert found == {
        "new": 4,
        "complaints": 3,
        "answered": 2,
        "in_time": [1, 3],
        "took": [86400, 12 * 86400, 2],
        "helped": [1, 2],
        "topics": {"noise": 3, "other": 1},
    }


def test_rulings_tell_what_became_of_them() -> None:
    def ruling(**columns: Any) -> Ruling:
        fixed = {
            "community_id": 1,
            "number": 1,
            "about": "listing:1",
            "text": "",
            "verdict": "hold",
            "at": AT,
        }
        return Ruling(**{**fixed, "state": "held", **columns})

    rows = [
        ruling(),
        ruling(verdict="violation", state="deleted"),
        ruling(verdict="violation", state="restored", appealed_at=AT + HOUR, decided_at=AT + 3 * HOUR),
        ruling(state="upheld", at=AT - timedelta(days=30), decided_at=AT),
        ruling(state="moot", decided_at=AT),
    ]
    assert conduct_in(rows, SPAN) == {
        "judged": 4,
        "held": 2,
        "deleted": 2,
        "appealed": 1,
        "restored": 1,
        "upheld": 1,
        "took": [7200, 30 * 86400, 2],
    }


def test_the_turnout_is_that_of_all_votes_together() -> None:
    def vote(number: int, **result: Any) -> Vote:
        fixed = {"community_id": 1, "number": number, "title": "<b>", "policy_hash": "", "roster_hash": ""}
        return Vote(
            **fixed, kind="poll", record_date=AT.date(), opens_at=AT, deadline=AT, closed_at=AT, result=result
        )

    half = vote(1, cast={"area": "50.00", "heads": 1}, total={"area": "100.00", "heads": 2})
    none = vote(2, cast={"area": "0.000", "people": 0}, total={"area": "0.000", "people": 0})
    third = vote(3, cast={"area": "0.50", "people": 1}, total={"area": "51.50", "people": 4})
    found = votes_in([half, none, third], SPAN)
    assert [each["people"] for each in found] == [[1, 2], None, [1, 4]]
    assert turnout(found, "people") == [2, 6]
    area = turnout(found, "area")
    assert area is not None
    assert Fraction(*area) == Fraction(1, 3)
    assert turnout(found[1:2], "area") is None
    assert "title" not in found[0]


def test_of_nothing_nothing_is_said() -> None:
    assert (times_of([]), times_of([None]), share(0, 0), share(0, 3)) == (None, None, None, [0, 3])
    empty = nothing()
    assert is_empty(empty)
    assert [READER.show(each) for each in lines(empty, None)] == ["这个月没有报修、投诉、申请、投票和信息。"]
    assert [READER.show(each) for each in lines(empty, empty, staff=True)] == []


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("requests", "decided"),
        ("repairs", "done"),
        ("listings", "sold"),
        ("conduct", "appealed"),
        ("conduct", "restored"),
    ],
)
def test_a_month_in_which_only_something_ended_has_its_line(group: str, name: str) -> None:
    month = nothing()
    month[group] = {**month[group], name: 2}
    assert not is_empty(month)
    for before in (None, nothing()):
        assert [each.key for each in lines(month, before)] == [f"figures.{group}"]


# --- in words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(1, 3, "33.3 %"), (1, 1, "100 %"), (9999, 10000, "99.9 %"), (0, 7, "0 %"), (1, 2, "50 %")],
)
def test_a_share_is_cut_not_rounded(part: int, whole: int, shown: str) -> None:
    assert READER.show(percent([part, whole])) == shown


def test_a_percentile_is_said_of_five_or_more() -> None:
    said = [READER.show(took(each)) for each in (None, [3600, 7200, 4], [3600, 7200, 5])]
    assert said == ["—", "1 小时", "中位 1 小时，九成在 2 小时 内"]


def test_the_difference_to_the_month_before_is_said() -> None:
    said = [READER.show(change(4, before)) for before in (None, 4, 1, 6)]
    assert said == ["", "（同上月）", "（比上月 +3）", "（比上月 −2）"]


# --- the picture and the file -----------------------------------------------------------------------


def group(count: int, *, scale: int = 1) -> Facts:
    times = [600 * scale, 5400 * scale, count] if count else None
    return {
        "reported": count,
        "done": count,
        "response": times,
        "repair": times,
        "in_time": share(count, count),
    }


RULED = ("judged", "held", "deleted", "appealed", "restored", "upheld")


def nothing() -> Facts:
    return facts(0)


def facts(count: int, *, scale: int = 1) -> Facts:
    """A month in which everything happened so often."""
    times = [600 * scale, 5400 * scale, count] if count else None
    vote = {
        "number": 1,
        "kind": "statutory",
        "people": [count, 2 * count],
        "area": [f"{count}.50", f"{2 * count}.00"],
    }
    kinds = {"kinds": {"tap": group(count)}, "buildings": {"3": group(count), "": group(1)}} if count else {}
    return {
        "repairs": {
            **group(count, scale=scale),
            **{name: group(count, scale=scale) for name in ("urgent", "ordinary")},
            "stars": share(4 * count, count),
            **{"kinds": {}, "buildings": {}, **kinds},
        },
        "complaints": {
            **dict.fromkeys(("new", "complaints", "answered"), count),
            **dict.fromkeys(("in_time", "helped"), share(count, count)),
            "took": times,
            "topics": {"noise": count, "other": count} if count else {},
        },
        "requests": {"new": count, "decided": count},
        "votes": [vote] if count else [],
        "conduct": {**dict.fromkeys(RULED, count), "took": times},
        "listings": {"new": count, "sold": count},
        "joins": {"new": count, "approved": count},
        "messages": count,
    }


CASES = {
    "usual": [facts(count) for count in (3, 9, 0, 12, 40, 42)],
    "huge": [facts(count, scale=100_000) for count in (1, 10**9, 98_765_432_101)],
    "first": [facts(5)],
    "nothing now": [facts(5), nothing()],
    "nothing at all": [nothing(), nothing()],
}


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["阳光花园", "<b>😀 A very long name of a community</b> " * 5])
def test_nothing_on_the_picture_runs_over(case: str, language: str, name: str) -> None:
    months = [(MARCH.later(at), each) for at, each in enumerate(CASES[case])]
    made = drawing(name, months, Reader(language, "Asia/Shanghai", NOW))
    texts = [each for each in made.items if isinstance(each, Line)]
    for each in texts:
        assert width_of(each.text, each.size) <= each.width + 1, each
        assert each.x >= LEFT
        assert each.x + width_of(each.text, each.size) <= LEFT + INNER + 1
        assert "�" not in each.text
        assert "😀" not in each.text
    for at, each in enumerate(texts):
        for other in texts[at + 1 :]:
            beside = each.x + each.width <= other.x or other.x + other.width <= each.x
            assert beside or each.y + each.size <= other.y or other.y + other.size <= each.y, (each, other)
    with Image.open(BytesIO(picture(name, months, language, zone="Asia/Shanghai", now=NOW))) as image:
        assert image.size == (WIDTH, made.height)
        assert image.height < 4 * WIDTH


def test_the_same_month_makes_the_same_picture() -> None:
    months = [(MARCH, facts(5))]
    once, again = (picture("阳光花园", months, "zh", zone="Asia/Shanghai", now=NOW) for _ in range(2))
    assert once == again


def cells(data: bytes) -> str:
    """All words and formulas of a file."""
    with zipfile.ZipFile(BytesIO(data)) as file:
        return "\n".join(file.read(name).decode() for name in file.namelist() if name.endswith(".xml"))


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("case", CASES)
def test_the_file_has_every_number_and_no_formula(case: str, language: str) -> None:
    months = [(MARCH.later(at), each) for at, each in enumerate(CASES[case])]
    bad = '=HYPERLINK("http://x.example","y")'
    data = sheet("=1+1", months, {1: bad}, Reader(language, "Asia/Shanghai", NOW))
    words = cells(data)
    assert "<f>" not in words
    assert "<hyperlink " not in words
    with zipfile.ZipFile(BytesIO(data)) as file:
        book = ElementTree.fromstring(file.read("xl/workbook.xml"))
        names = [each.attrib["name"] for each in book.iter() if each.tag.endswith("}sheet")]
        pages = [file.read(f"xl/worksheets/sheet{number}.xml").decode() for number in range(1, 7)]
    assert len(names) == 6
    assert all('state="frozen"' in each for each in pages)
    if months[-1][1]["votes"]:
        assert "=HYPERLINK(" in words
    if case == "huge":
        assert "98765432101" in words


def test_lines_say_what_happened_and_no_more() -> None:
    said = [READER.show(each) for each in lines(facts(6), nothing())]
    assert said[0] == "报修 6 件（比上月 +6），修好 6 件，按时修好 100 %，评分 4.0（6 人）"
    assert (
        said[1]
        == "└ 紧急：接单 中位 10 分钟，九成在 1 小时 30 分 内，修好 中位 10 分钟，九成在 1 小时 30 分 内"
    )
    assert "投票 1 次（比上月 +1），参与：人数 50 %，面积 54.1 %" in said
    assert not any("处理消息" in each for each in said)
    assert "处理消息 6 条" in [READER.show(each) for each in lines(facts(6), None, staff=True)][-1]
    assert isinstance(change(1, 2), Say)
