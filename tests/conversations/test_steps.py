"""The steps one by one, and the engine on random scripts: whatever the order, the answers alone decide."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversations.errors import Unclear
from conversations.said import File, Said
from conversations.steps import (
    Answers,
    Choice,
    Confirm,
    Number,
    Option,
    Photos,
    Script,
    Step,
    Text,
    answered,
    back,
    change,
    final,
    pending,
    visible,
    whole_number,
)

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
# The same examples in every run: a test that fails says so to everybody.
RANDOM = settings(deadline=None, derandomize=True, database=None)


def said(text: str = "", *files: File) -> Said:
    return Said(messenger="test", key="1", place="p", sender="s", at=AT, text=text, files=files)


def photo(name: str = "a") -> File:
    return File(storage=name, mime="image/jpeg", size=1)


def why(step: Step, *words: Any, before: Any = None) -> tuple[str, dict[str, Any]]:
    """The key and the facts with which the step does not understand."""
    with pytest.raises(Unclear) as caught:
        step.read(words[0] if words and isinstance(words[0], Said) else said(*words), None, before)
    return caught.value.key, caught.value.facts


# --- one step ---------------------------------------------------------------------------------------


def test_a_choice_shows_what_the_facts_name_before_its_own() -> None:
    step = Choice("other", source="homes")
    shown = step.options({}, {"homes": [(1, "1201"), ("2", "803")]})
    assert shown == [Option("1", "1201"), Option("2", "803"), Option("other")]
    assert step.options({}, {}) == [Option("other")]


def test_a_choice_by_value_is_typed_as_its_value() -> None:
    step = Choice("other", source="buildings", by_value=True)
    shown = step.options({}, {"buildings": [("3", "3 号楼"), ("1", "1 号楼")]})
    assert shown == [Option("3", "3 号楼", "3"), Option("1", "1 号楼", "1"), Option("other")]


def test_a_choice_is_what_was_chosen() -> None:
    assert Choice("a", "b").read(said("whatever"), "b", None) == "b"
    assert why(Choice("a", "b"), "c") == ("unclear.choice", {})


@pytest.mark.parametrize(
    ("typed", "key", "facts"),
    [
        ("", "unclear.text", {}),
        ("  \n\t ", "unclear.text", {}),
        ("\u200b\u2060\ufeff", "unclear.text", {}),
        ("a", "unclear.short", {"min": 2}),
        ("a\u200b\u202e", "unclear.short", {"min": 2}),
        ("abcdef", "unclear.long", {"max": 5, "length": 6}),
    ],
)
def test_a_text_says_what_is_wrong_with_it(typed: str, key: str, facts: dict[str, Any]) -> None:
    assert why(Text(min=2, max=5), typed) == (key, facts)


@pytest.mark.parametrize("typed", ["ab", "abcde", "  ab  ", "漏水"])
def test_a_text_within_its_limits_is_taken_trimmed(typed: str) -> None:
    assert Text(min=2, max=5).read(said(typed), None, None) == typed.strip()


@pytest.mark.parametrize(
    ("typed", "key", "facts"),
    [
        ("很多", "unclear.number", {}),
        ("", "unclear.number", {}),
        ("0", "unclear.range", {"least": 1, "most": 20}),
        ("二十一", "unclear.range", {"least": 1, "most": 20}),
    ],
)
def test_a_number_says_what_is_wrong_with_it(typed: str, key: str, facts: dict[str, Any]) -> None:
    assert why(Number(most=20), typed) == (key, facts)


@pytest.mark.parametrize(("typed", "number"), [("1", 1), ("二十", 20), ("两台", 2)])
def test_a_number_within_its_limits_is_taken(typed: str, number: int) -> None:
    assert Number(most=20).read(said(typed), None, None) == number


def test_photos_gather_until_enough() -> None:
    step = Photos(most=3)
    one = step.read(said("", photo("a")), None, None)
    assert one == {"files": [photo("a").model_dump()], "done": False}
    assert not step.complete(one)
    four = step.read(said("", photo("b"), photo("c"), photo("d")), None, one)
    assert four == {"files": [photo(name).model_dump() for name in "abc"], "done": True}
    assert step.complete(four)


def test_photos_end_when_told() -> None:
    some = {"files": [photo().model_dump()], "done": False}
    assert Photos().read(said(), "done", some) == {**some, "done": True}
    assert Photos().read(said(), "done", None) == {"files": [], "done": True}


def test_photos_offer_an_end_only_after_the_first() -> None:
    assert Photos().options({}, {"photos_so_far": 0}) == []
    assert Photos().options({}, {"photos_so_far": 1}) == [Option("done")]


def test_skipped_photos_are_complete() -> None:
    assert Photos().complete(None)


@pytest.mark.parametrize(
    ("files", "key"),
    [
        ([], "unclear.photo"),
        ([File(kind="voice", storage="v")], "unclear.voice"),
        ([File(kind="video", storage="v")], "unclear.video"),
        ([File(kind="file", storage="v")], "unclear.not_a_photo"),
        ([File(kind="voice", problem="not_fetched")], "unclear.not_fetched"),
        ([File(problem="not_a_photo")], "unclear.not_a_photo"),
        ([File(problem="too_large")], "unclear.photo_too_large"),
    ],
)
def test_what_is_no_photo_is_said_to_be_none(files: list[File], key: str) -> None:
    assert why(Photos(), said("好了吗", *files)) == (key, {})


def test_a_bad_file_among_photos_does_not_lose_the_photos() -> None:
    answer = Photos().read(said("", File(problem="too_large"), photo("b")), None, None)
    assert answer == {"files": [photo("b").model_dump()], "done": False}


def test_a_confirmation_is_a_yes_and_nothing_else() -> None:
    assert Confirm().options({}, {}) == [Option("yes")]
    assert Confirm().read(said(), "yes", None) is True
    assert why(Confirm(), "ok") == ("unclear.confirm", {})


# --- numbers and marks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("2", 2),
        ("２", 2),
        (" 12 个 ", 12),
        ("3个。", 3),
        ("007", 7),
        ("两台", 2),
        ("三天", 3),
        ("3 天", 3),
        ("二", 2),
        ("零", 0),
        ("〇", 0),
        ("十", 10),
        ("十二", 12),
        ("二十", 20),
        ("二十三台", 23),
        ("九十九盏", 99),
        ("两\u200b台", 2),
    ],
)
def test_a_whole_number_is_read_as_people_write_it(typed: str, number: int) -> None:
    assert whole_number(typed) == number


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "台",
        "很多",
        "2.5",
        "-2",
        "+2",
        "1e3",
        "2 3",
        "1,000",
        "二三",
        "十十",
        "二十三十",
        "百",
        "两三个",
        "大概两个",
        "12人",
        "٣",
        "\u200b",
        "😀",
        "12345678901234567890",
    ],
)
def test_what_is_no_certain_number_is_none(typed: str) -> None:
    assert whole_number(typed) is None


@settings(RANDOM)
@given(st.text(max_size=20))
def test_a_whole_number_never_raises_and_is_never_negative(typed: str) -> None:
    assert (whole_number(typed) or 0) >= 0


@settings(RANDOM)
@given(st.integers(0, 99))
def test_every_chinese_number_below_a_hundred_is_read(number: int) -> None:
    digits = "零一二三四五六七八九"
    tens, ones = divmod(number, 10)
    written = (
        digits[ones]
        if not tens
        else ("" if tens == 1 else digits[tens]) + "十" + (digits[ones] if ones else "")
    )
    assert whole_number(written) == number


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  漏水 ", "漏水"),
        ("\u3000漏水\u3000", "漏水"),
        ("\u202e漏水\u202c", "漏水"),
        ("\u200f漏\u200b水\u2060", "漏水"),
        ("漏水\x00\x07", "漏水"),
        ("一行\r\n两行", "一行\n两行"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("👍🏽", "👍🏽"),
        ("\ud83d", ""),
        ("\u200d", ""),
        (" \u200d ", ""),
        ("\u200d \u200d", ""),
        ("\u200d\n\u200d", ""),
        (" \u200d漏水\u200d ", "漏水"),
        ("\ufeff", ""),
        ("", ""),
    ],
)
def test_visible_keeps_what_shows(typed: str, shown: str) -> None:
    assert visible(typed) == shown


@settings(RANDOM, max_examples=120)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\u200d\u200b \n漏")), max_size=6))
def test_visible_text_is_stable_and_never_blank(typed: str) -> None:
    shown = visible(typed)
    assert visible(shown) == shown
    assert shown == "" or shown.replace("\u200d", "").strip() != ""
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n", "\u200d"}


# --- the engine on one plain script -----------------------------------------------------------------


def at_home(answers: Answers, facts: Mapping[str, Any]) -> bool:
    return answers.get("place") == "home"


PLAIN = Script(
    name="plain",
    finish="plain.done",
    steps={
        "place": Choice("home", "lift"),
        "entry": Choice("any_time", "call_first", when=at_home),
        "what": Text(),
        "photos": Photos(optional=True),
        "sure": Confirm(),
    },
)
SOME = {"files": [], "done": False}
SENT = {"files": [{"kind": "photo"}], "done": False}
ALL = {**SENT, "done": True}


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        ({}, "place"),
        ({"place": "home"}, "entry"),
        ({"place": "lift"}, "what"),
        ({"what": "漏水"}, "place"),
        ({"place": "lift", "what": "漏水"}, "photos"),
        ({"place": "lift", "what": "漏水", "photos": SOME}, "photos"),
        ({"place": "lift", "what": "漏水", "photos": None}, "sure"),
        ({"place": "lift", "what": "漏水", "photos": None, "sure": True}, None),
        ({"place": "lift", "gone": 1, "what": "漏水", "photos": None, "sure": True}, None),
    ],
)
def test_pending_is_the_first_question_that_applies_and_is_open(answers: Answers, step: str | None) -> None:
    assert pending(PLAIN, answers, {}) == step


def test_answered_leaves_out_what_does_not_apply_or_is_half_done() -> None:
    answers = {"photos": SOME, "what": "漏水", "entry": "any_time", "place": "lift"}
    assert answered(PLAIN, answers, {}) == ["place", "what"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"what": "漏水"}, {"what": "漏水"}),
        ({"place": "home"}, {}),
        ({"place": "home", "what": "漏水"}, {"what": "漏水"}),
        ({"place": "lift", "entry": "any_time", "what": "漏水"}, {"place": "lift", "entry": "any_time"}),
        ({"place": "lift", "what": "漏水", "photos": SENT}, {"place": "lift", "photos": SENT}),
        ({"place": "lift", "what": "漏水", "photos": SOME}, {"place": "lift"}),
        (
            {"place": "lift", "what": "漏水", "photos": None, "sure": True},
            {"place": "lift", "what": "漏水", "photos": None},
        ),
        ({"place": "lift", "what": "漏水", "photos": ALL}, {"place": "lift", "what": "漏水", "photos": SENT}),
        ({"place": "lift", "what": "漏水", "photos": None}, {"place": "lift", "what": "漏水"}),
    ],
)
def test_back_takes_the_latest_answer_before_the_open_question(before: Answers, after: Answers) -> None:
    assert back(PLAIN, before, {}) == after


def test_change_opens_one_question_and_the_confirmation() -> None:
    full = {"place": "home", "entry": "any_time", "what": "漏水", "photos": None, "sure": True}
    assert change(PLAIN, full, "what") == {"place": "home", "entry": "any_time", "photos": None}
    assert full["sure"] is True


def test_final_holds_only_what_applies() -> None:
    full = {"place": "lift", "entry": "any_time", "what": "漏水", "photos": None, "sure": True, "gone": 1}
    assert final(PLAIN, full, {}) == {"place": "lift", "what": "漏水", "photos": None, "sure": True}


def kept(answers: Answers, facts: Mapping[str, Any]) -> bool:
    return answers.get("entry") == "call_first"


def test_an_answer_that_no_longer_applies_decides_nothing() -> None:
    steps = {**PLAIN.steps, "phone": Text(when=kept)}
    script = Script(name="chain", finish="chain.done", steps=steps)
    moved = {"place": "lift", "entry": "call_first", "what": "漏水", "photos": None, "sure": True}
    assert pending(script, moved, {}) is None
    assert final(script, {**moved, "phone": "1"}, {}) == {
        "place": "lift",
        "what": "漏水",
        "photos": None,
        "sure": True,
    }
    assert pending(script, {**moved, "place": "home"}, {}) == "phone"


# --- the engine on random scripts -------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How one random step is made: it applies if the step at `of` applies and has the answer `value`."""

    kind: str
    optional: bool
    of: int | None
    value: Any


KINDS = ("choice", "choice", "text", "number", "photos", "confirm")
VALUES: dict[str, list[Any]] = {"choice": ["a", "b"], "text": ["漏水", "停电"], "number": [1, 2]}


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    made: list[Plan] = []
    for _ in range(draw(st.integers(1, 6))):
        earlier = [at for at, plan in enumerate(made) if plan.kind in VALUES]
        of = draw(st.sampled_from([None, *earlier[-2:]]))
        value = draw(st.sampled_from(VALUES[made[of].kind])) if of is not None else None
        made.append(Plan(draw(st.sampled_from(KINDS)), draw(st.booleans()), of, value))
    return made


def script_of(made: Mapping[str, Plan]) -> Script:
    names = list(made)
    kinds = {
        "choice": lambda **options: Choice("a", "b", **options),
        "text": Text,
        "number": Number,
        "photos": lambda **options: Photos(most=2, **options),
        "confirm": Confirm,
    }

    def when(plan: Plan) -> Any:
        if plan.of is None:
            return lambda answers, facts: True
        return lambda answers, facts: answers.get(names[plan.of or 0]) == plan.value

    steps = {
        name: kinds[plan.kind](when=when(plan), optional=plan.optional and plan.kind != "confirm")
        for name, plan in made.items()
    }
    return Script(name="random", finish="random.done", steps=steps)


def named(made: list[Plan]) -> dict[str, Plan]:
    return {f"s{at}": plan for at, plan in enumerate(made)}


def applying(made: Mapping[str, Plan], answers: Answers) -> list[str]:
    """The steps that apply, said in another way than the engine says it."""
    names: list[str] = []
    all_names = list(made)
    for name, plan in made.items():
        cause = all_names[plan.of] if plan.of is not None else ""
        if plan.of is None or (cause in names and answers.get(cause) == plan.value):
            names.append(name)
    return names


def answer(script: Script, answers: Answers, name: str, pick: int) -> Answers:
    """The answers with one more message heard for a question."""
    step = script.steps[name]
    before = answers.get(name)
    match step:
        case Choice():
            found = step.read(said(), ["a", "b"][pick % 2], before)
        case Text():
            found = step.read(said(VALUES["text"][pick % 2]), None, before)
        case Number():
            found = step.read(said(str(VALUES["number"][pick % 2])), None, before)
        case Photos():
            done = pick % 3 == 0 and before is not None
            found = step.read(said("", photo(str(pick))), "done" if done else None, before)
        case _:
            found = step.read(said(), "yes", before)
    return {**answers, name: found}


DOINGS = st.lists(
    st.tuples(st.sampled_from(["answer", "answer", "back", "skip", "change"]), st.integers(0, 9)),
    max_size=14,
)


# The second question hangs on the first, the third on the second; then the first is answered anew.
CHAIN = [Plan("choice", False, None, None), Plan("choice", False, 0, "b"), Plan("choice", False, 1, "b")]
MOVED = [("answer", 1), ("answer", 1), ("answer", 0), ("change", 0), ("answer", 0)]


def do(script: Script, answers: Answers, what: str, pick: int) -> Answers:
    """One thing that a person does, and then a restart: the answers go to the database and come back."""
    name = pending(script, answers, {})
    if what == "back":
        answers = back(script, answers, {})
    elif what == "change":
        answers = change(script, answers, list(script.steps)[pick % len(script.steps)])
    elif name is not None and what == "skip" and script.steps[name].optional:
        answers = {**answers, name: None}
    elif name is not None:
        answers = answer(script, answers, name, pick)
    restored: Answers = json.loads(json.dumps(answers))
    assert restored == answers
    return restored


def finished(script: Script, answers: Answers) -> Answers:
    """The answers after whoever talks says something to each question that is still asked."""
    for _ in range(2 * len(script.steps)):  # photos take two messages
        name = pending(script, answers, {})
        if name is None:
            return answers
        answers = answer(script, answers, name, 1)
    assert pending(script, answers, {}) is None, "the talk does not end"
    return answers


def replayed(script: Script, given: Answers) -> Answers:
    """A fresh talk in which each question gets the answer that was given in the end."""
    answers: Answers = {}
    for _ in script.steps:
        name = pending(script, answers, {})
        if name is None:
            break
        assert name in given, f"{name} is asked, but was not part of the end"
        answers = {**answers, name: given[name]}
    return answers


@settings(RANDOM, max_examples=120)
@example(CHAIN, MOVED)
@given(plans(), DOINGS)
def test_any_order_reaches_what_a_fresh_replay_reaches(made: list[Plan], doings: list[Any]) -> None:
    script = script_of(named(made))
    answers: Answers = {}
    for what, pick in doings:
        answers = do(script, answers, what, pick)
    end = final(script, finished(script, answers), {})
    assert final(script, replayed(script, end), {}) == end


@settings(RANDOM, max_examples=120)
@example(CHAIN, MOVED)
@given(plans(), DOINGS)
def test_pending_is_always_the_first_open_question_that_applies(made: list[Plan], doings: list[Any]) -> None:
    plan = named(made)
    script = script_of(plan)
    answers: Answers = {}
    for what, pick in doings:
        answers = do(script, answers, what, pick)
        still = [
            name
            for name in applying(plan, answers)
            if name not in answers or not script.steps[name].complete(answers[name])
        ]
        assert pending(script, answers, {}) == (still[0] if still else None)
        complete = [name for name in applying(plan, answers) if name not in still]
        assert answered(script, answers, {}) == complete
        assert list(final(script, answers, {})) == complete


@settings(RANDOM, max_examples=120)
@given(plans(), DOINGS)
def test_back_opens_the_question_before_and_loses_no_other_answer(
    made: list[Plan], doings: list[Any]
) -> None:
    script = script_of(named(made))
    answers: Answers = {}
    for what, pick in doings:
        answers = do(script, answers, what, pick)
        now = pending(script, answers, {})
        names = list(script.steps)
        earlier = [
            name
            for name in answered(script, answers, {})
            if now is None or names.index(name) < names.index(now)
        ]
        after = back(script, answers, {})
        opened = {now, *earlier[-1:]}
        sent = {
            name: {**answers[name], "done": False}
            for name in opened & answers.keys()
            if isinstance(script.steps[name], Photos) and answers[name] and answers[name]["files"]
        }
        assert after == sent | {name: value for name, value in answers.items() if name not in opened}
        assert pending(script, after, {}) == (earlier[-1] if earlier else now)


@settings(RANDOM, max_examples=120)
@given(plans(), DOINGS)
def test_going_all_the_way_back_reaches_the_first_question(made: list[Plan], doings: list[Any]) -> None:
    script = script_of(named(made))
    answers: Answers = {}
    for what, pick in doings:
        answers = do(script, answers, what, pick)
    for _ in range(len(script.steps) + 1):
        answers = back(script, answers, {})
    assert back(script, answers, {}) == answers
    first = pending(script, answers, {})
    assert first is not None
    assert [
        n
        for n in answered(script, answers, {})
        if list(script.steps).index(n) < list(script.steps).index(first)
    ] == []


@settings(RANDOM, max_examples=120)
@given(plans(), DOINGS, st.integers(0, 9), st.booleans())
def test_a_release_in_mid_talk_still_lets_the_talk_end(
    made: list[Plan], doings: list[Any], place: int, gains: bool
) -> None:
    before = named(made)
    answers: Answers = {}
    for what, pick in doings:
        answers = do(script_of(before), answers, what, pick)
    steps = dict(script_of(before).steps)
    names = list(steps)
    if gains:
        at = place % (len(names) + 1)
        steps = {**{n: steps[n] for n in names[:at]}, "new": Text(), **{n: steps[n] for n in names[at:]}}
    else:
        del steps[names[place % len(names)]]
    after = Script(name="random", finish="random.done", steps=steps)
    end = finished(after, answers)
    assert set(final(after, end, {})) <= set(steps)
    assert ("new" in final(after, end, {})) == gains
