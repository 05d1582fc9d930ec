"""Linli on WeChat under WeChat's own limits: what goes back at once, and the rungs by which the rest reaches people."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

import bot.wechat
import bot.wechat_words
import handlers.inbox
from bot.wechat_words import CLOSING, shortened, template_fields
from conversations.said import Said
from handlers.digests import begin_digests
from handlers.inbox import Receipt
from handlers.notices import publish, take_back
from handlers.people import bind_account
from handlers.phones import set_phone
from handlers.roster import add_community, import_roster, read_roster
from handlers.tell import BROADCAST, NEWS, URGENT, tell
from handlers.tx import Tx
from moderation.segment import boundaries
from store.database import StoreUnavailable
from store.tables import Attempt, Person, Place, Repair
from tests.bot.estate import GRANNY, NEIGHBOUR, OWNER, Estate, Stopwatch, estate
from tests.bot.hall import move_to_next_try
from tests.handlers.test_privacy import clean, traces
from tests.people import MORNING
from tests.wechat_api import Answer
from tests.wechat_api_facts import fits
from tests.wechat_people import ADDRESS

CUSTOM, TEMPLATE, BIZSEND = "message/custom/send", "message/template/send", "message/subscribe/bizsend"
NO_ROOM = ("free", "nothing may be written freely now")
NO_TEMPLATE = ("template", "no template is set")
NO_NOTIFICATION = ("notification", "no notification is set")
NO_CONSENT = ("notification", "the reader has agreed to no further notification")
NOBODY = ("", "no rung reaches its reader")
SENTENCE = "今天下午三点物业来修。"


@pytest.fixture
async def there(tmp_path: Path, database_url: str) -> AsyncIterator[Estate]:
    async with estate(tmp_path / "data", database_url) as made:
        yield made


def answers_with(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Let whatever is said freely be answered by so many messages, each of which begins with its words."""

    def answer(tx: Tx, person: Person, place: Place, said: Any) -> None:
        for each in words:
            tell(tx, person, "thanks.answer", lead=each)

    monkeypatch.setattr(handlers.inbox, "_free", answer)


def texts(answers: list[Answer]) -> list[str]:
    return [each.text for each in answers]


def holds_back(there: Estate, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let each message take so long that its request is old."""
    stopwatch = Stopwatch()
    monkeypatch.setattr(bot.wechat, "time", stopwatch)
    receive = there.app.receive

    async def slow(said: Said, claim: Any = None) -> Receipt:
        stopwatch.at += seconds
        return await receive(said, claim)

    monkeypatch.setattr(there.app, "receive", slow)


# --- the passive reply ------------------------------------------------------------------------------


async def test_the_first_words_go_back_with_the_request(there: Estate) -> None:
    answers = await there.says(OWNER, "厨房水龙头滴水")
    assert [each.status for each in answers] == [200]
    assert "请看一下对不对" in there.last(OWNER).text
    assert [rung for rung, _ in there.screen(OWNER)] == ["passive"]
    assert there.api.calls == []
    (row,) = there.rows(OWNER)
    assert (row.state, row.message_id, row.sent_at) == ("sent", str(row.id), there.clock.now())
    assert there.tries(row) == [("passive", "")]
    assert there.place(OWNER).free_left == 5  # it is none of the five


REPETITIONS: dict[str, dict[str, Any]] = {
    "one after another": {"deliveries": 3},
    "overlapping": {"deliveries": 3, "overlapping": True},
}


@pytest.mark.parametrize("how", REPETITIONS)
@pytest.mark.parametrize("long", [False, True], ids=["short", "with a link"])
async def test_a_repeated_delivery_gets_the_same_reply_and_acts_once(
    there: Estate, monkeypatch: pytest.MonkeyPatch, how: str, long: bool
) -> None:
    answers_with(monkeypatch, SENTENCE * (100 if long else 1))
    answers = await there.says(OWNER, "请问", **REPETITIONS[how])
    assert [each.status for each in answers] == [200] * 3
    assert len({each.xml for each in answers}) == 1
    assert (f"{ADDRESS}/p/" in answers[0].text) == long
    assert len(there.heard()) == len(there.rows(OWNER)) == len(there.screen(OWNER)) == 1
    assert len(there.links()) == int(long)
    assert there.sent == []


@pytest.mark.parametrize("long", [False, True], ids=["short", "with a link"])
async def test_the_same_reply_after_a_restart(
    there: Estate, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """Each delivery finds another program, and some seconds have passed."""
    answers_with(monkeypatch, SENTENCE * (100 if long else 1), "再说一句。")
    deliver = there.deliver

    async def restarts(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        answer = await deliver(method, query, body)
        await there.restart()
        await there.later(seconds=5)
        return answer

    there.api.deliver = restarts
    answers = await there.says(OWNER, "请问", deliveries=3)
    assert len(set(texts(answers))) == 1
    assert SENTENCE in answers[0].text
    assert (f"{ADDRESS}/p/" in answers[0].text) == long
    assert len(there.heard()) == 1
    assert len(there.rows(OWNER)) == 2


async def test_a_talk_s_question_and_its_numbers_are_the_same_after_a_restart(there: Estate) -> None:
    async def restarts(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        answer = await there.deliver(method, query, body)
        await there.restart()
        return answer

    there.api.deliver = restarts
    for words in ("报修", "1", "厨房水龙头滴水", "1", "跳过", "1"):
        answers = await there.says(OWNER, words, deliveries=3)
        assert len(set(texts(answers))) == 1, words
    assert "报修 1 已登记" in there.last(OWNER).text
    assert len(there.read(select(Repair))) == 1
    assert len(there.heard()) == 6


async def test_an_old_request_is_not_answered_but_its_answers_climb_the_ladder(
    there: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds_back(there, monkeypatch, bot.wechat.PATIENCE + 0.1)
    answers = await there.says(OWNER, "厨房水龙头滴水", deliveries=3)
    assert texts(answers) == ["", "", ""]
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom"]
    assert "请看一下对不对" in there.last(OWNER).text
    (row,) = there.rows(OWNER)
    assert there.tries(row) == [("free", "")]
    await there.restart()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom"]


async def test_a_request_that_is_just_young_enough_is_answered(
    there: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds_back(there, monkeypatch, bot.wechat.PATIENCE)
    await there.says(OWNER, "厨房水龙头滴水")
    assert [rung for rung, _ in there.screen(OWNER)] == ["passive"]


async def test_an_old_message_whose_repetition_came_just_now_is_answered(
    there: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the age of the delivery that waits, not that of the message."""
    stopwatch = Stopwatch()
    monkeypatch.setattr(bot.wechat, "time", stopwatch)
    receive = there.app.receive
    again: list[asyncio.Task[tuple[int, bytes]]] = []

    async def slow(said: Said, claim: Any = None) -> Receipt:
        stopwatch.at += 5  # WeChat has given the first one up, and brings it again
        known = len(taken)
        again.append(asyncio.create_task(there.deliver("POST", *callback)))
        while len(taken) == known:
            await asyncio.sleep(0)
        return await receive(said, claim)

    taken: list[str] = []
    take = bot.wechat.Wechat.take

    async def watched(self: bot.wechat.Wechat, fields: Any) -> str:
        taken.append(fields["MsgId"])
        return await take(self, fields)

    monkeypatch.setattr(there.app, "receive", slow)
    monkeypatch.setattr(bot.wechat.Wechat, "take", watched)
    callback = there.sealed(OWNER, MsgType="text", Content="你好", MsgId=7)
    first = await there.deliver("POST", *callback)
    second = await again[0]
    assert first[0] == second[0] == 200
    assert there.opened(first[1]) == there.opened(second[1])
    assert "阳光花园的邻里" in there.opened(first[1])


async def test_several_answers_go_back_as_one_text(there: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    answers_with(monkeypatch, "第一句。", "第二句。", "第三句。")
    (answer,) = await there.says(OWNER, "请问")
    assert [answer.text.index(each) for each in ("第一句。", "第二句。", "第三句。")] == sorted(
        answer.text.index(each) for each in ("第一句。", "第二句。", "第三句。")
    )
    assert [row.state for row in there.rows(OWNER)] == ["sent"] * 3
    assert there.sent == []


async def test_an_urgent_answer_goes_first(there: Estate) -> None:
    await there.says(OWNER, "厨房水龙头滴水")
    (answer,) = await there.says(OWNER, "电梯里困了人")
    assert answer.text.startswith("请别着急")
    assert there.last(OWNER).rung == "passive"


async def test_what_does_not_fit_into_the_reply_follows_by_the_next_rung(
    there: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"第{number}段：{SENTENCE * 32}" for number in range(4)]  # two of them are more than 2,048 bytes
    answers_with(monkeypatch, *words)
    await there.says(OWNER, "请问", deliveries=3)
    assert there.screen(OWNER) == [
        ("passive", words[0]), ("custom", words[1]), ("custom", words[2]), ("custom", words[3])
    ]  # fmt: skip
    assert [there.tries(row) for row in there.rows(OWNER)] == [[("passive", "")]] + [[("free", "")]] * 3


@pytest.mark.parametrize("seed", range(4))
async def test_of_answers_of_any_length_nothing_is_lost(
    there: Estate, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each stands whole on the screen, or begins there with a link to the whole."""
    chance = random.Random(seed)
    lengths = [
        chance.choice([0, 1, 30, 59, 60, 61, 62, 63, 90, 200, 300]) for _ in range(chance.randint(2, 6))
    ]
    words = [f"〔{number}〕{SENTENCE * length}完。" for number, length in enumerate(lengths)]
    answers_with(monkeypatch, *words)
    await there.says(OWNER, "请问")
    shown = "".join(each.text for each in there.user(OWNER).chat)
    for number, each in enumerate(words):
        (part,) = re.findall(rf"〔{number}〕[^〔]*", shown)
        assert part.startswith(each) or await page_of(there, part) == each
    assert [row.state for row in there.rows(OWNER)] == ["sent"] * len(words)


async def page_of(there: Estate, text: str) -> str:
    """The first line of the page to which a message leads."""
    (token,) = re.findall(rf"{re.escape(ADDRESS)}(/p/\w+)", text)
    page = await there.http.get(token)
    assert page.status_code == 200
    (words,) = re.findall('<p class="words">(.*?)\n', page.text)
    return str(words)


@pytest.mark.parametrize("late", [False, True], ids=["passive", "custom"])
async def test_a_reply_may_say_anything(there: Estate, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """Nothing of what it says breaks out of the reply, or keeps it from being read."""
    words = "<xml>]]>&amp;<![CDATA[ ]]]]>\x0b\x1b\ufffe\u2028\\u4e00\"'%s🏠"
    answers_with(monkeypatch, words)
    if late:
        holds_back(there, monkeypatch, 5)
    await there.says(OWNER, "请问")
    shown = there.last(OWNER)
    assert shown.rung == ("custom" if late else "passive")
    forbidden = "" if late else "\x0b\x1b\ufffe"
    assert shown.text.startswith(words.translate(dict.fromkeys(map(ord, forbidden))))


@pytest.mark.parametrize("how", REPETITIONS)
async def test_what_could_not_be_kept_is_asked_for_again(
    there: Estate, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    write, failures = there.app.database.write, [StoreUnavailable("gone")] * 3

    async def away(work: Any, **_: Any) -> Any:
        if failures:
            raise failures.pop()
        return await write(work)

    monkeypatch.setattr(there.app.database, "write", away)
    options = REPETITIONS[how] if how == "overlapping" else {"deliveries": 1}
    answers = await there.user(OWNER).writes("厨房水龙头滴水", **options)
    assert [each.status for each in answers] == [503] * 3
    assert (there.heard(), there.rows()) == ([], [])
    assert [rung for rung, _ in there.screen(OWNER)] == [""]  # WeChat's own words of trouble
    failures[:] = [StoreUnavailable("gone")] * 2
    answers = await there.says(OWNER, "厨房水龙头滴水")
    assert [each.status for each in answers] == [503, 503, 200]
    assert len(there.heard()) == 1
    assert there.last(OWNER).rung == "passive"


class Killed(OSError):
    """The program was killed: nothing comes over this connection any more."""


@pytest.mark.parametrize("moment", ["after the commit", "before the commit"])
async def test_a_kill_loses_no_message_and_no_reply(
    there: Estate, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whether or not it had acted, the message acts once, and its repetition is answered by the new program."""
    replies: list[str] = []

    async def killed(method: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if replies:
            return await there.deliver(method, query, body)
        with monkeypatch.context() as patched:
            receive = there.app.receive

            async def dies(said: Said, claim: Any = None) -> Receipt:
                if moment == "before the commit":
                    raise Killed
                await receive(said, claim)
                raise Killed

            patched.setattr(there.app, "receive", dies)
            with pytest.raises(Killed):
                await there.deliver(method, query, body)
        replies.append("none")
        await there.kill()
        raise Killed

    there.api.deliver = killed
    for words, seen in (
        ("报修", "哪里需要报修"),
        ("我家", "什么坏了"),
        ("厨房水龙头滴水", "上门"),
        ("随时可以", "照片"),
        ("跳过", "提交"),
        ("提交", "已登记"),
    ):
        replies.clear()
        answers = await there.says(OWNER, words)
        assert [each.status for each in answers] == [0, 200]
        assert seen in answers[1].text
        assert there.last(OWNER).rung == "passive"
    assert len(there.heard()) == 6
    assert len(there.read(select(Repair))) == 1
    assert {row.state for row in there.rows(OWNER)} == {"sent"}


# --- the ladder -------------------------------------------------------------------------------------


async def test_five_messages_within_two_days_and_then_templates(there: Estate) -> None:
    await there.says(OWNER, "你好")
    there.clear()
    for number in range(7):
        there.tells(OWNER, f"第{number}条")
        await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom"] * 5 + ["template"] * 2
    assert there.tries(there.row(OWNER, "第4条")) == [("free", "")]
    assert there.tries(there.row(OWNER, "第5条")) == [NO_ROOM, ("template", "")]
    assert there.sent == [CUSTOM] * 5 + [TEMPLATE] * 2  # WeChat had to refuse nothing


async def test_the_two_days_end_to_the_minute(there: Estate) -> None:
    await there.says(OWNER, "你好")
    await there.later(hours=47, minutes=59)
    there.clear()
    there.tells(OWNER, "还行")
    await there.settle()
    await there.later(minutes=1)
    there.tells(OWNER, "晚了")
    await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom", "template"]
    assert there.sent == [CUSTOM, TEMPLATE]
    await there.says(OWNER, "你好")
    there.tells(OWNER, "又行")
    await there.settle()
    assert there.last(OWNER).rung == "custom"


@pytest.mark.parametrize("code", [45015, 45047])
async def test_if_wechat_says_that_there_is_no_room_it_is_the_next_rung(there: Estate, code: int) -> None:
    await there.says(OWNER, "你好")
    there.api.choose = lambda path, _: code if path == CUSTOM else None
    there.tells(OWNER, "第一条")
    await there.settle()
    assert there.last(OWNER).rung == "template"
    (free, template) = there.tries(there.row(OWNER, "第一条"))
    assert (free[0], free[1][:5], template) == ("free", str(code), ("template", ""))
    there.tells(OWNER, "第二条")
    await there.settle()
    assert there.sent == [CUSTOM, TEMPLATE, TEMPLATE]  # believed at once
    assert there.place(OWNER).free_left == 0


async def test_who_does_not_follow_is_unreachable(there: Estate) -> None:
    await there.says(OWNER, "你好")
    there.user(OWNER).following = False  # and its event was lost
    there.tells(OWNER, "第一条")
    there.tells(OWNER, "第二条")
    await there.settle()
    first, second = there.row(OWNER, "第一条"), there.row(OWNER, "第二条")
    assert (first.state, second.state) == ("unreachable", "unreachable")
    assert [rung for rung, _ in there.tries(first)] == ["free", "template", "notification", ""]
    assert [error[:5] for _, error in there.tries(first)[:2]] == ["43004", "43004"]
    assert there.place(OWNER).blocked_at == there.clock.now()
    there.user(OWNER).following = True
    await there.says(OWNER, "你好")
    assert there.place(OWNER).blocked_at is None
    there.tells(OWNER, "第三条")
    await there.settle()
    assert there.row(OWNER, "第三条").state == "sent"


@pytest.mark.parametrize("follows", [False, True], ids=["does not follow", "has no room"])
async def test_whom_no_rung_reaches_is_written_to_in_their_other_chat(there: Estate, follows: bool) -> None:
    there.write(lambda tx: bind_account(tx, there.person(tx, OWNER), "test", "另一处", agreed=True))
    await there.says(OWNER, "你好")
    await there.sets(template="")
    await there.later(hours=48 if follows else 1)
    there.user(OWNER).following = follows
    there.tells(OWNER, "第一条")
    await there.settle()
    assert there.chats["另一处"].messages[-1].text.startswith("第一条")
    (row,) = [row for row in there.rows() if row.text.startswith("第一条")]
    assert (row.state, row.place_id != there.place(OWNER).id) == ("sent", True)
    assert (there.place(OWNER).blocked_at is None) == follows


async def test_without_a_template_it_is_held_until_the_owner_is_heard(there: Estate) -> None:
    await there.sets(template="")
    for words, lane in (("新闻甲", NEWS), ("急事", URGENT), ("公告", BROADCAST), ("新闻乙", NEWS)):
        there.tells(OWNER, words, lane=lane)
    await there.delivers()
    assert there.screen(OWNER) == []
    row = there.row(OWNER, "新闻甲")
    assert (row.state, row.error) == ("held", NOBODY[1])
    assert there.tries(row) == [NO_ROOM, NO_TEMPLATE, NO_NOTIFICATION, NOBODY]
    await there.later(days=2)
    assert len(there.tries(row)) == 4  # it is not tried all the time
    await there.says(OWNER, "你好")
    assert [words for _, words in there.screen(OWNER)][1:] == ["急事", "新闻甲", "新闻乙", "公告"]
    assert [rung for rung, _ in there.screen(OWNER)] == ["passive"] + ["custom"] * 4
    assert {row.state for row in there.rows(OWNER)} == {"sent"}


async def test_more_than_five_are_held_and_come_with_the_next_words(there: Estate) -> None:
    await there.sets(template="")
    for number in range(12):
        there.tells(OWNER, f"第{number:02}条")
    await there.delivers()
    for _ in range(3):
        await there.says(OWNER, "你好")
        await there.delivers()
    news = [words for rung, words in there.screen(OWNER) if rung == "custom"]
    assert news == [f"第{number:02}条" for number in range(12)]
    assert {row.state for row in there.rows(OWNER)} == {"sent"}


async def test_a_choice_that_is_refused_is_not_offered_again(there: Estate) -> None:
    """43101: whoever does not want notifications any more gets none, and what was for them is held."""
    await there.sets(template="", notification=there.api.notification)
    await there.user(OWNER).answers_consent(there.api.notification)
    await there.user(OWNER).answers_consent(there.api.notification)
    there.user(OWNER).consents.clear()  # and the event that says so was lost
    there.tells(OWNER, "第一条")
    await there.settle()
    row = there.row(OWNER, "第一条")
    assert row.state == "held"
    assert [(rung, error[:5]) for rung, error in there.tries(row)][2] == ("notification", "43101")
    assert sum(there.place(OWNER).consents.values()) == 0
    there.tells(OWNER, "第二条")
    await there.settle()
    assert there.sent == [BIZSEND]


LATER: dict[str, int | str] = {
    "busy": -1, "its daily limit": 45009, "500": "500", "timeout": "timeout", "garbage": "garbage", "cut": "cut",
}  # fmt: skip
RUNGS = {CUSTOM: "custom", TEMPLATE: "template", BIZSEND: "subscribe"}


@pytest.mark.parametrize("path", RUNGS)
@pytest.mark.parametrize("fault", LATER)
async def test_what_fails_for_a_while_comes_again_by_the_same_rung(
    there: Estate, monkeypatch: pytest.MonkeyPatch, fault: str, path: str
) -> None:
    """Not a message is lost, and what WeChat did not take has used nothing up."""
    await there.sets(
        template=there.api.template if path == TEMPLATE else "",
        notification=there.api.notification if path == BIZSEND else "",
    )
    if path == CUSTOM:
        await there.says(OWNER, "你好")
    if path == BIZSEND:
        await there.user(OWNER).answers_consent(there.api.notification)
    there.clear()
    failures = [LATER[fault]] * (1 if fault == "cut" else 7)
    there.api.choose = lambda called, _: failures.pop() if called == path and failures else None
    there.tells(OWNER, "第一条")
    there.tells(OWNER, "第二条")
    with monkeypatch.context() as impatient:
        if fault == "timeout":
            impatient.setattr("bot.wechat_client.ANSWER_SECONDS", 0.1)
        await there.settle()
        first = there.row(OWNER, "第一条")
        assert first.state == "waiting"
        (tried,) = {error for _, error in there.tries(first)[-1:]}
        assert first.error == tried != ""
        assert first.retry_at is not None
        if fault == "its daily limit":
            assert (first.retry_at - there.clock.now()).total_seconds() == bot.wechat.LATER
        for _ in range(len(failures)):
            move_to_next_try(there.app)
            await there.settle()
    await there.delivers()
    first, second = there.row(OWNER, "第一条"), there.row(OWNER, "第二条")
    if (fault, path) == (
        "cut",
        BIZSEND,
    ):  # it has arrived, and WeChat takes no second one: it will come again
        assert (first.state, [rung for rung, _ in there.screen(OWNER)]) == ("held", ["subscribe"])
        return
    assert (first.state, first.error) == ("sent", "")
    came = [rung for rung, _ in there.screen(OWNER)]
    if path != BIZSEND:
        assert second.state == "sent"
        doubled = int(fault == "cut" and path == CUSTOM)
        assert came == [RUNGS[path]] * (2 + doubled)
    else:
        assert second.state == "held"  # there was one consent, for the first
        assert came == ["subscribe"]
    assert there.place(OWNER).free_left == (3 if path == CUSTOM else 0)


@pytest.mark.parametrize("expired", [False, True], ids=["40001", "42001"])
@pytest.mark.parametrize("free", [True, False], ids=["free", "template"])
async def test_a_token_that_ends_is_renewed_once(there: Estate, expired: bool, free: bool) -> None:
    if free:
        await there.says(OWNER, "你好")
    there.tells(OWNER, "第一条")
    await there.settle()
    there.api.end_tokens(expired=expired)
    there.tells(OWNER, "第二条")
    await there.settle()
    assert there.last(OWNER).text.startswith("第二条" if free else "工单进度提醒")
    assert [row.state for row in there.rows(OWNER, inbox_id=None)] == ["sent"] * 2
    assert len(there.calls("stable_token")) == 2


@pytest.mark.parametrize("code", [40001, 42001, 40125, 40164])
async def test_while_wechat_lets_us_in_nowhere_everything_waits(there: Estate, code: int) -> None:
    """That says nothing about a reader: nobody is to be called because of it."""
    there.api.choose = lambda path, _: code if code > 40100 or path != "stable_token" else None
    there.tells(OWNER, "第一条")
    for _ in range(4):
        await there.settle()
        assert there.row(OWNER, "第一条").state == "waiting"
        move_to_next_try(there.app)
    there.api.choose = None
    await there.delivers()
    assert there.row(OWNER, "第一条").state == "sent"
    assert there.last(OWNER).rung == "template"


@pytest.mark.parametrize("deliveries", [1, 3])
@pytest.mark.parametrize("status", ["failed:user block", "failed: system failed"])
async def test_a_template_that_did_not_arrive_is_held(there: Estate, status: str, deliveries: int) -> None:
    there.tells(OWNER, "第一条")
    there.tells(OWNER, "第二条")
    await there.settle()
    (_, job), there.api.methods.jobs = there.api.methods.jobs, there.api.methods.jobs[:1]
    await there.api.finish_templates()
    there.api.methods.jobs = [job]
    if deliveries == 3:
        deliver = there.deliver
        there.api.deliver = lambda *callback: thrice(deliver, *callback)
    await there.api.finish_templates(status)
    await there.settle()
    first, second = there.row(OWNER, "第一条"), there.row(OWNER, "第二条")
    assert (first.state, second.state, second.error) == ("sent", "held", status)
    assert there.tries(second) == [NO_ROOM, ("template", ""), ("template", status)]
    assert there.place(OWNER).free_left == 0  # nobody was heard
    assert there.place(OWNER).heard_at is None
    there.api.deliver = there.deliver
    await there.says(OWNER, "你好")
    assert there.last(OWNER).text.startswith("第二条")
    assert there.tries(there.row(OWNER, "第二条"))[-1] == ("free", "")


async def thrice(deliver: Any, *callback: Any) -> tuple[int, bytes]:
    """WeChat brings it three times."""
    answers = [await deliver(*callback) for _ in range(3)]
    assert answers == [answers[0]] * 3
    return answers[0]  # type: ignore[no-any-return]


async def test_an_unspent_consent_is_used_once(there: Estate) -> None:
    await there.sets(template="", notification=there.api.notification)
    for _ in range(2):
        await there.user(OWNER).answers_consent(there.api.notification, deliveries=3)
    assert there.place(OWNER).consents == {there.api.notification: 2}
    for number in range(3):
        there.tells(OWNER, f"第{number}条")
    await there.delivers()
    assert [rung for rung, _ in there.screen(OWNER)] == ["subscribe"] * 2
    assert there.place(OWNER).consents == {there.api.notification: 0}
    assert there.tries(there.row(OWNER, "第1条")) == [NO_ROOM, NO_TEMPLATE, ("notification", "")]
    assert there.tries(there.row(OWNER, "第2条")) == [NO_ROOM, NO_TEMPLATE, NO_CONSENT, NOBODY]
    assert there.sent == [BIZSEND] * 2
    assert "第1条" in await page_of(there, there.user(OWNER).chat[1].url)


async def test_a_consent_that_is_taken_back_is_none(there: Estate) -> None:
    await there.sets(template="", notification=there.api.notification)
    await there.user(OWNER).answers_consent(there.api.notification)
    await there.user(OWNER).answers_consent(there.api.notification, accept=False)
    assert there.place(OWNER).consents == {there.api.notification: 1}
    await there.user(OWNER).changes_consent(there.api.notification)
    assert there.place(OWNER).consents == {there.api.notification: 0}
    there.tells(OWNER, "第一条")
    await there.settle()
    assert there.sent == []


async def test_at_the_end_of_a_talk_one_is_asked_for_consent(there: Estate) -> None:
    """Only if there is none, and with a link that says the same in each repetition."""
    await there.sets(notification=there.api.notification)
    for words in ("报修", "我家", "厨房水龙头滴水", "随时可以", "跳过"):
        await there.says(OWNER, words)
        assert "点开同意" not in there.last(OWNER).text
    answers = await there.says(OWNER, "提交", deliveries=3)
    assert "报修 1 已登记" in answers[0].text
    assert "点开同意一次通知" in answers[0].text
    assert len(set(texts(answers))) == 1
    (token,) = re.findall(rf"{re.escape(ADDRESS)}(/p/\w+)", answers[0].text)
    assert there.api.notification in (await there.http.get(token)).text
    await there.user(OWNER).answers_consent(there.api.notification)
    for words in ("卧室灯不亮", "提交"):
        await there.says(OWNER, words)
    assert "报修 2 已登记" in there.last(OWNER).text
    assert "点开同意" not in there.last(OWNER).text


async def test_without_a_notification_nobody_is_asked_for_consent(there: Estate) -> None:
    for words in ("厨房水龙头滴水", "提交"):
        await there.says(OWNER, words)
    assert "报修 1 已登记" in there.last(OWNER).text
    assert "同意" not in there.last(OWNER).text


async def test_a_tap_on_the_menu_opens_one_minute(there: Estate) -> None:
    await there.user(OWNER).clicks("my", deliveries=3)
    await there.settle()
    assert there.screen(OWNER)[0][0] == "passive"
    there.clear()
    for number in range(4):
        there.tells(OWNER, f"第{number}条")
    await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom"] * 3 + ["template"]
    await there.user(OWNER).clicks("my")
    there.clear()
    await there.later(seconds=59)
    there.tells(OWNER, "还行")
    await there.settle()
    await there.later(seconds=1)
    there.tells(OWNER, "晚了")
    await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom", "template"]
    assert set(there.sent) == {CUSTOM, TEMPLATE}


async def test_a_tap_on_the_menu_takes_nothing_of_the_two_days_away(there: Estate) -> None:
    await there.says(OWNER, "你好")
    await there.user(OWNER).clicks("my")
    await there.later(minutes=2)
    there.clear()
    for number in range(5):
        there.tells(OWNER, f"第{number}条")
    await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["custom"] * 5


async def test_a_choice_below_a_free_message_acts_as_its_button(there: Estate) -> None:
    await there.says(OWNER, "你好")
    there.tells(OWNER, "看看吧", buttons=("my", "agents"))
    await there.settle()
    shown = there.last(OWNER)
    assert (shown.kind, [label for _, label in shown.options]) == ("menu", ["1. 我的", "2. 委托"])
    await there.later(hours=49)
    answers = await there.user(OWNER).taps(*shown.options[0], deliveries=3)
    await there.settle()
    assert len(set(texts(answers))) == 1
    assert "没有报修" in there.last(OWNER).text or "报修" in there.last(OWNER).text
    assert [each.payload["tap"] for each in there.heard()[1:]] == ["my"]
    there.clear()
    await there.later(seconds=61)  # it was no message: it opened a minute
    there.tells(OWNER, "晚了")
    await there.settle()
    assert [rung for rung, _ in there.screen(OWNER)] == ["template"]


async def test_the_page_of_a_template_acts_once(there: Estate) -> None:
    for words in ("厨房水龙头滴水", "提交"):
        await there.says(OWNER, words)
    await there.later(hours=49)
    there.clear()
    there.tells(OWNER, "还要修吗？", buttons=("repair.withdraw:1", "my"), card="mine:1")
    await there.settle()
    shown = there.last(OWNER)
    assert shown.kind == "template"
    path = shown.url.removeprefix(ADDRESS)
    page = await there.http.get(path)
    assert (page.status_code, "还要修吗？" in page.text, "撤回" in page.text) == (200, True, True)
    (press,) = set(re.findall('name="press" value="([^"]+)"', page.text))
    pressed = {"value": "repair.withdraw:1", "press": press}
    first = await there.http.post(path, data=pressed)
    await there.settle()
    second = await there.http.post(path, data=pressed)
    await there.settle()
    assert first.status_code == 200, first.text
    (repair,) = there.read(select(Repair))
    assert repair.state == "withdrawn"
    assert len([row for row in there.heard() if row.payload.get("tap") == "repair.withdraw:1"]) == 1
    assert second.status_code in (200, 409)


# --- what WeChat cannot change ----------------------------------------------------------------------


async def test_a_change_is_said_in_words_and_a_closing_not_at_all(there: Estate) -> None:
    await there.says(OWNER, "你好")
    there.clear()
    there.tells(OWNER, "周三停水。", card="停水", buttons=("my",))
    await there.settle()
    there.tells(OWNER, "周四停水。", card="停水", buttons=("my",))
    await there.settle()
    assert [words for _, words in there.screen(OWNER)] == ["周三停水。", "（更新）"]
    assert "周四停水。" in there.last(OWNER).text
    there.tells(OWNER, "周五停水。", card="停水", anew=True)  # the older one loses its buttons
    await there.settle()
    assert [words for _, words in there.screen(OWNER)][2:] == ["周五停水。"]
    (closed,) = there.rows(OWNER, change="close")
    assert (closed.state, there.tries(closed)) == ("sent", [("", "")])
    assert there.sent == [CUSTOM] * 3


async def test_what_is_taken_back_is_said_in_words(there: Estate) -> None:
    for name in (OWNER, NEIGHBOUR):
        await there.says(name, "你好")
    there.clear()
    await there.publishes("停水", "周三停水。")
    there.write(lambda tx: take_back(tx, there.community.id, "停水"))
    await there.settle()
    for name in (OWNER, NEIGHBOUR):
        assert [rung for rung, _ in there.screen(name)] == ["custom"] * 2
        assert there.last(name).text.startswith("「「停水」周三停水。」")
    assert {row.state for row in there.rows(change="delete")} <= {"sent", "held", "unreachable"}


# --- the digest -------------------------------------------------------------------------------------

DIGEST = "公示栏有"


@pytest.fixture
async def quiet(tmp_path: Path, database_url: str) -> AsyncIterator[Estate]:
    """An estate with a digest at 18:30; it is 09:00, and 陈女士 has just written."""
    async with estate(tmp_path / "data", database_url, digest_at="18:30") as made:
        await made.restart()
        made.write(begin_digests)
        await made.says(OWNER, "你好")
        made.clear()
        yield made


async def test_many_soundless_notices_are_one_message_in_the_evening(quiet: Estate) -> None:
    for number in range(4):
        await quiet.publishes(f"事{number}", f"第{number}件。")
    await quiet.later(hours=9, minutes=29)
    assert quiet.screen(OWNER) == []
    assert {row.state for row in quiet.rows(OWNER, silent=True)} == {"held"}
    await quiet.later(minutes=1)
    assert quiet.screen(OWNER) == [("custom", "公示栏有 4 条新消息（3月2日周一）：")]
    words = quiet.last(OWNER).text
    assert [words.index(f"第{number}件。") for number in range(4)] == sorted(
        words.index(f"第{number}件。") for number in range(4)
    )
    assert quiet.screen(NEIGHBOUR)[0][0] == "template"  # who was not heard gets one, too
    await quiet.later(days=3)
    assert len(quiet.screen(OWNER)) == 1
    assert [row.state for row in quiet.rows(OWNER, silent=True)] == ["digested"] * 4 + ["sent"]


async def test_what_has_a_sound_does_not_wait_for_the_evening(quiet: Estate) -> None:
    await quiet.publishes("停水", "马上停水。", silent=False)
    assert quiet.screen(OWNER) == [("custom", "「停水」马上停水。")]


async def test_a_long_digest_leads_to_the_whole(quiet: Estate) -> None:
    for number in range(30):
        await quiet.publishes(f"事{number:02}", f"〔{number}〕{SENTENCE * 8}")
    await quiet.later(hours=9, minutes=30)
    (shown,) = quiet.user(OWNER).chat
    assert "公示栏有 30 条新消息（" in shown.text and "另有 20 件" in shown.text
    assert len(shown.text.encode()) <= 2048
    for number, last in ((11, 19), (11, 29)):
        await quiet.says(OWNER, f"{number}")
        assert f"事{last}" in quiet.last(OWNER).text
    await quiet.says(OWNER, "10")
    assert f"〔29〕{SENTENCE * 8}" in quiet.last(OWNER).text


@pytest.mark.parametrize("change", ["before", "after"])
async def test_a_notice_that_is_taken_back(quiet: Estate, change: str) -> None:
    """Before the digest it never appears; after it that is said in words, in the next one."""
    await quiet.publishes("停水", "周三停水。")
    await quiet.publishes("停电", "周四停电。")
    if change == "after":
        await quiet.later(hours=9, minutes=30)
        assert "周三停水。" in quiet.last(OWNER).text
        quiet.clear()
    quiet.write(lambda tx: take_back(tx, quiet.community.id, "停水"))
    await quiet.settle()
    assert quiet.screen(OWNER) == []
    if change == "before":
        await quiet.later(hours=9, minutes=30)
        assert "周四停电。" in quiet.last(OWNER).text
        assert "停水" not in quiet.last(OWNER).text
    else:
        await quiet.later(days=1)
        assert quiet.last(OWNER).text.startswith("「「停水」周三停水。」")
    assert len(quiet.screen(OWNER)) == 1
    await quiet.later(days=2)
    assert len(quiet.screen(OWNER)) == 1


async def test_a_digest_that_reaches_nobody_is_merged_with_the_next(quiet: Estate) -> None:
    await quiet.sets(template="")
    await quiet.later(days=3)
    quiet.clear()
    for number in range(3):
        await quiet.publishes(f"事{number}", f"第{number}件。")
        await quiet.later(days=1)
        await quiet.delivers()
    assert quiet.screen(OWNER) == quiet.screen(NEIGHBOUR) == []
    await quiet.says(OWNER, "你好")
    await quiet.delivers()
    assert [rung for rung, _ in quiet.screen(OWNER)] == ["passive", "custom"]
    assert "公示栏有 3 条新消息（" in quiet.last(OWNER).text
    assert [quiet.last(OWNER).text.count(f"· 「事{number}」第{number}件。\n") for number in range(3)] == [
        1,
        1,
        1,
    ]
    await quiet.later(days=3)
    await quiet.says(OWNER, "你好")
    await quiet.delivers()
    assert len([words for _, words in quiet.screen(OWNER) if words.startswith(DIGEST)]) == 1
    held = quiet.rows(NEIGHBOUR, state="held")
    assert len(held) == 1  # one digest waits for whoever was never heard


async def test_a_held_digest_is_not_sent_twice(quiet: Estate) -> None:
    await quiet.publishes("停水", "周三停水。")
    await quiet.publishes("停电", "周四停电。")
    await quiet.later(hours=9, minutes=30)
    assert "公示栏有 2 条" in (await page_of_template(quiet, NEIGHBOUR))
    before = quiet.sent
    await quiet.api.finish_templates("failed: system failed")
    await quiet.later(days=1)
    await quiet.delivers()
    assert quiet.sent == before
    quiet.clear()
    await quiet.says(NEIGHBOUR, "你好")
    await quiet.says(NEIGHBOUR, "你好")
    found = [shown.text for shown in quiet.user(NEIGHBOUR).chat if shown.text.startswith(DIGEST)]
    assert len(found) == 1
    assert "周三停水。" in found[0] and "周四停电。" in found[0]


async def page_of_template(there: Estate, name: str) -> str:
    return (await there.http.get(there.last(name).url.removeprefix(ADDRESS))).text


async def test_the_digest_survives_a_restart(quiet: Estate) -> None:
    await quiet.publishes("停水", "周三停水。")
    await quiet.publishes("停电", "周四停电。")
    await quiet.kill()
    quiet.write(begin_digests)
    quiet.clock.at += timedelta(hours=10)  # it was away at half past six
    await quiet.kill()
    quiet.write(begin_digests)
    await quiet.settle()
    assert quiet.screen(OWNER) == [("custom", "公示栏有 2 条新消息（3月2日周一）：")]
    await quiet.restart()
    assert len(quiet.screen(OWNER)) == 1


async def test_each_community_has_its_digest_by_its_own_clock(quiet: Estate) -> None:
    def second(tx: Tx) -> None:
        community = add_community(tx, "泰晤士花园", time_zone="Europe/London", language="zh")
        import_roster(
            tx, community, read_roster("楼栋,单元,房号,面积,姓名,身份\n1号楼,1,101,70,高女士,业主\n".encode())
        )
        (person,) = tx.session.exec(select(Person).where(Person.name == "高女士"))
        bind_account(tx, person, "wechat", quiet.user("高女士").openid, agreed=True)
        for words in ("一。", "二。"):
            publish(tx, community.id, "reach.taken_back", about=words, begun="伦敦", words=words)

    quiet.write(second)
    await quiet.publishes("事1", "上海。")
    await quiet.publishes("事2", "上海。")
    await quiet.later(hours=9, minutes=30)  # 18:30 in Shanghai
    assert quiet.screen(OWNER) == [("custom", "公示栏有 2 条新消息（3月2日周一）：")]
    assert quiet.screen("高女士") == []
    await quiet.later(hours=7, minutes=59)
    assert quiet.screen("高女士") == []
    await quiet.later(minutes=1)  # 18:30 in London
    assert quiet.screen("高女士")[0][0] == "template"
    page = await page_of_template(quiet, "高女士")
    assert "一。" in page and "二。" in page and "上海。" not in page
    assert len(quiet.screen(OWNER)) == 1


# --- whom nothing reached ---------------------------------------------------------------------------


async def canvassed(there: Estate) -> str:
    await there.office.says("名单")
    await there.settle()
    return there.chats["staff"].messages[-1].text


async def test_whom_no_rung_reaches_stands_on_the_list_until_they_are_heard(
    there: Estate, tmp_path: Path
) -> None:
    await there.sets(template="")
    there.write(lambda tx: set_phone(tx, there.person(tx, OWNER), "13912345678"))
    await there.says(NEIGHBOUR, "你好")
    for name in (OWNER, NEIGHBOUR, GRANNY):
        there.tells(name, "周三停水。")
    there.tells(GRANNY, "马上停电。", lane=URGENT)
    await there.settle()
    words = await canvassed(there)
    lines = words.splitlines()[1:]
    assert len(lines) == 2
    assert lines[0].startswith("· 1 号楼 1 单元 101 王奶奶")  # what is urgent goes first
    assert lines[0].endswith("（另有 1 条）")
    assert lines[1] == "· 3 号楼 2 单元 1201 陈女士 13912345678：周三停水。"
    assert traces(there, tmp_path, ("13912345678",)) == []  # it is opened on its way to staff only
    assert NEIGHBOUR not in words
    await there.later(minutes=5)
    await there.says(GRANNY, "你好")
    assert [OWNER in line for line in (await canvassed(there)).splitlines()[1:]] == [True]
    await there.later(minutes=5)
    await there.user(OWNER).clicks("my")
    await there.settle()
    assert await canvassed(there) == "近 7 天该通知的人都通知到了。"


async def test_who_was_reached_by_a_template_stands_there_only_if_it_did_not_arrive(there: Estate) -> None:
    there.tells(OWNER, "周三停水。")
    await there.settle()
    assert OWNER not in await canvassed(there)
    await there.api.finish_templates("failed:user block")
    assert OWNER in await canvassed(there)
    await there.later(days=8)
    assert OWNER not in await canvassed(there)


async def test_who_waits_for_a_digest_or_lives_elsewhere_stands_on_no_list(quiet: Estate) -> None:
    await quiet.sets(template="")

    def second(tx: Tx) -> None:
        community = add_community(tx, "泰晤士花园", time_zone="Europe/London", language="zh")
        import_roster(
            tx, community, read_roster("楼栋,单元,房号,面积,姓名,身份\n1号楼,1,101,70,高女士,业主\n".encode())
        )
        (person,) = tx.session.exec(select(Person).where(Person.name == "高女士"))
        bind_account(tx, person, "wechat", quiet.user("高女士").openid, agreed=True)
        tell(tx, person, "thanks.answer", lead="急事", lane=URGENT)

    quiet.write(second)
    await quiet.publishes("停水", "周三停水。")
    await quiet.later(hours=10)
    assert quiet.row("高女士", "急事").state == "held"
    assert len(quiet.rows(NEIGHBOUR, state="held")) == 1
    words = await canvassed(quiet)
    assert "高女士" not in words
    assert NEIGHBOUR not in words


# --- leaving ----------------------------------------------------------------------------------------


async def test_who_leaves_is_unreachable_and_who_comes_back_is_greeted(there: Estate) -> None:
    for words in ("厨房水龙头滴水", "提交"):
        await there.says(OWNER, words)
    there.clear()
    answers = await there.user(OWNER).unfollows(deliveries=3)
    assert texts(answers) == ["", "", ""]
    assert there.place(OWNER).blocked_at == there.clock.now()
    before = there.sent
    there.tells(OWNER, "第一条")
    await there.settle()
    assert there.screen(OWNER) == []
    assert there.rows(state="unreachable")[-1].text.startswith("第一条")
    assert there.sent == before
    await there.user(OWNER).follows(deliveries=3)
    await there.settle()
    assert there.place(OWNER).blocked_at is None
    assert there.screen(OWNER)[0][0] == "passive"
    there.tells(OWNER, "第二条")
    await there.settle()
    assert there.last(OWNER).text.startswith("第二条")


async def test_of_somebody_who_forgets_themselves_nothing_remains(there: Estate, tmp_path: Path) -> None:
    """Neither links nor consents, nor what was held for them."""
    await there.sets(template="", notification=there.api.notification, digest_at="18:30")
    openid = there.user(OWNER).openid
    for words in ("厨房水龙头滴水", "提交"):
        await there.says(OWNER, words)
    await there.user(OWNER).answers_consent(there.api.notification)
    await there.later(hours=49)
    for words in ("口令芝麻", "口令芝麻"):
        there.tells(OWNER, words)
    there.tells(OWNER, "口令绿豆", silent=True)
    await there.settle()
    assert len(there.rows(OWNER, state="held")) == 2
    assert len(there.links()) == 2
    place_id = there.place(OWNER).id
    await there.says(OWNER, "注销")
    await there.user(OWNER).writes("确定注销")
    assert "已注销" in there.last(OWNER).text
    await there.settle()
    await clean(there)
    assert traces(there, tmp_path, (openid, OWNER, "口令芝麻", "口令绿豆")) == []
    assert there.read(select(Place).where(Place.external_id == openid)) == []
    assert [link for link in there.links() if link.place_id == place_id] == []
    assert there.read(select(Attempt).where(Attempt.place_id == place_id)) == []
    answers = await there.says(OWNER, "你好")
    assert "还没" in answers[0].text or "登记" in answers[0].text


# --- what a template shows --------------------------------------------------------------------------

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
WORDS = st.text(
    st.one_of(
        st.sampled_from(
            "电梯停了一会儿，请从楼梯走。今天下午三点！谢谢；好吗？ \n\t\r\x0b\x1b\x7f\u2028\u2029…、："
        ),
        st.characters(codec="utf-8"),
        st.sampled_from("abc hello"),
    ),
    max_size=120,
)


@given(WORDS, st.integers(5, 32))
@settings(deadline=None, max_examples=500)
def test_a_shortened_text_is_a_whole_beginning(text: str, most: int) -> None:
    """One line, not too long, its beginning, and cut between words only."""
    short = shortened(text, most)
    line = " ".join(CONTROL.sub(" ", text).split())
    assert len(short) <= most
    if len(line) <= most:
        assert short == line
        return
    clauses = {line[: found.end()].rstrip(CLOSING) for found in re.finditer(r"[。！？；，,;!?]|$", line)}
    words = {f"{line[:end].rstrip(CLOSING)}…" for end in {*boundaries(line), most - 1}}
    assert short in clauses | words
    if short not in clauses and len(short) < most // 2:  # so little only if a longer beginning does not fit
        assert not [
            end for end in boundaries(line) if len(short) <= end < most and line[end - 1] not in CLOSING
        ]


@given(WORDS)
@settings(deadline=None, max_examples=300)
def test_template_fields_are_as_wechat_wants_them(words: str) -> None:
    shows = {"thing1": "about", "thing2": "words", "time3": "time", "const4": "words"}
    fields = template_fields(shows, words, "小区通知", MORNING, "Asia/Shanghai")
    assert fields.keys() == shows.keys()
    assert {name: fits(name, value) for name, value in fields.items()} == dict.fromkeys(shows, True)
    assert fields["time3"] == "2026年3月2日 09:00"


def test_no_word_is_cut_through() -> None:
    """As people would shorten it."""
    for text, short in (
        ("厨房水龙头滴水", "厨房水龙头滴水"),
        ("师傅今天下午三点到，请留人。如果不方便请改时间", "师傅今天下午三点到，请留人"),
        ("请各位业主注意本周三上午九点到十一点地下车库停电检修", "请各位业主注意本周三上午九点到十一点…"),
        ("Please mind the stairwell maintenance", "Please mind the…"),
    ):
        assert shortened(text, 20) == short
