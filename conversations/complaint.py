"""Complaints and suggestions: the questions, and what free words say of kind and topic."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from conversations.errors import Unclear
from conversations.said import Said
from conversations.steps import (
    Answers,
    Choice,
    Confirm,
    Facts,
    Photos,
    Script,
    Text,
    file_problem,
    photos_in,
    visible,
    with_more,
)
from conversations.work import Message

KINDS = ("complaint", "suggestion")
TOPICS = ("staff", "cleaning", "security", "noise", "parking", "green", "fees", "facility", "other")
LONGEST = 2000
SHORTEST = 2
MOST_PHOTOS = 6
WHOLE = "0"
"""As the answer to who may read it: the whole community."""

SAYS_KIND = {"complaint": r"投诉|complaint|complain(?:ing)? ", "suggestion": r"建议|意见|suggest"}
SAYS_TOPIC = {
    "cleaning": r"保洁|打扫|清扫|垃圾|卫生|脏|\bclean|\bdirty|rubbish|trash|litter",
    "security": r"保安|门岗|门禁|巡逻|安保|陌生人|外卖员|security|guard\b|guards\b",
    "noise": r"噪音|噪声|扰民|太吵|很吵|好吵|吵得|吵死|吵闹|施工声|noise|noisy|loud",
    "parking": r"停车|车位|乱停|占道|消防通道被占|parking|parked",
    "green": r"绿化|树枝|草坪|花坛|除草|杂草|lawn|\btrees?\b|garden",
    "fees": r"物业费|收费|费用|公共收益|账目|停车费|\bfees?\b|charges",
    "facility": r"电梯|路灯|健身|滑梯|监控|快递柜|充电桩|大门|水泵|\blifts?\b|elevator|street ?lamp|gym",
    "staff": r"前台|管家|客服|态度|物业经理|项目经理|师傅|staff|manager|rude",
}
# What begins like a complaint or a suggestion and says it in so many words.
SPEAKS = re.compile(
    r"(?:(?:你|您)好|物业)?[\s，,。!！]*(?:我们?|本人|业主|居民)?(?:们)?(?:现在|今天|必须|强烈|真的|还)*(?:要|想|来)?"
    r"(?:投诉(?!电话|热线|信箱|渠道|处理|结果|进度|记录|怎么|在哪|找谁|\s*[？?]|\s*$)|强烈建议|建议(?!\s*[？?]|\s*$)"
    r"|[提有](?:一?[个条点些]|几[个条点])?(?:小|好)?(?:建议|意见)(?!\s*[？?]|\s*$))"
    r"|(?:i|we)(?: want| would like|'d like|’d like) to (?:complain |make a complaint|suggest|make a suggestion)"
    r"|i(?: am|'m|’m) complaining |(?:complaint|suggestion)\s*:",
    re.IGNORECASE,
)
TYPED = re.compile(
    r"(?:/complain(?:@\w+)?\s+|(?:我要|我想)?(?:投诉|建议)(?:[:：]\s*|\s+)|(?:complaint|suggestion):\s*)(\S.*)",
    re.IGNORECASE | re.DOTALL,
)
NUMBERED = re.compile(r"(?:看|查看)?\s*(?:投诉|建议|complaint|suggestion)\s*(?:no\.?|#|号)?\s*([0-9]{1,9})")


def kind_in(text: str) -> str:
    """Whether words say that they are a complaint or a suggestion; empty if they say neither, or both."""
    words = _plain(text)
    found = [kind for kind, pattern in SAYS_KIND.items() if re.search(pattern, words)]
    return found[0] if len(found) == 1 else ""


def topic_in(text: str) -> str:
    """What words are about; empty if they name nothing of it, or several things."""
    words = _plain(text)
    found = [topic for topic, pattern in SAYS_TOPIC.items() if re.search(pattern, words)]
    return found[0] if len(found) == 1 else ""


def complains(text: str) -> bool:
    """Whether a free sentence says of itself that it is a complaint or a suggestion."""
    return SPEAKS.match(text.strip()) is not None and len(text) <= LONGEST


def kind_said(text: str) -> str:
    """The kind that a free sentence says in its beginning, whatever stands in it later."""
    found = SPEAKS.match(text.strip())
    return kind_in(found[0]) if found is not None else ""


def told_in(text: str) -> str:
    """What somebody says together with the command: 保安不管 in "投诉：保安不管"; empty if they say nothing."""
    found = TYPED.fullmatch(text.strip())
    return found[1] if found is not None else ""


def number_named(text: str) -> int | None:
    """The number in "投诉 12": somebody wants to see it."""
    found = NUMBERED.fullmatch(_plain(text))
    return int(found[1]) if found is not None else None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().strip()


def read(text: str) -> Answers:
    """The answers in free words: the words, and their topic if they name one."""
    topic = topic_in(text)
    return {"text": text, **({"topic": topic} if topic else {})}


# --- the questions ----------------------------------------------------------------------------------


def spoken(answers: Answers, facts: Facts) -> bool:
    """It was said outside any talk: whether it was meant to be published is asked first."""
    return bool(answers.get("spoken"))


def has_choice(answers: Answers, facts: Facts) -> bool:
    """There is a building whose people alone could read it."""
    return len(facts["scopes"]) > 1


def has_words(answers: Answers, facts: Facts) -> bool:
    """There is something to look at before it is published."""
    return bool(answers.get("what"))


def free_complaint(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words where something else was asked are what the complaint says, or more of it."""
    words = with_more(answers.get("text"), text)
    if step not in ("meant", "kind", "topic", "photos", "scope") or len(words) > LONGEST:
        return {}
    kind = kind_in(text) if step == "kind" else ""
    return {**read(words), **({"kind": kind} if kind else {})}


@dataclass(frozen=True, kw_only=True)
class Answer(Message):
    """What staff answer in public: words, perhaps with photos below which they stand."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        return answer_in(said, self.max)


def answer_in(said: Said, most: int = LONGEST) -> dict[str, Any]:
    """A public answer, from one message; Unclear for one without words, or with what cannot be shown."""
    words, photos = visible(said.text), photos_in(said)
    problem = file_problem(said)
    if problem:
        raise Unclear(problem)
    if len(words) < SHORTEST:
        raise Unclear("unclear.answer")
    if len(words) > most:
        raise Unclear("unclear.long", max=most, length=len(words))
    return {"text": words, "files": [file.model_dump() for file in photos[:MOST_PHOTOS]]}


COMPLAINT = Script(
    name="complaint",
    finish="complaint.publish",
    free=free_complaint,
    steps={
        "meant": Choice("publish", "repair", yes="publish", when=spoken),
        "kind": Choice(*KINDS),
        "text": Text(min=SHORTEST, max=LONGEST),
        "topic": Choice(*TOPICS),
        "photos": Photos(most=MOST_PHOTOS, optional=True),
        "scope": Choice(source="scopes", when=has_choice),
        "sure": Confirm(),
    },
)

REWORD = Script(
    name="reword",
    finish="complaint.reworded",
    steps={"what": Text(min=SHORTEST, max=LONGEST), "sure": Confirm()},
)

# Who was not helped says what is missing, or lets it end so; who asks further has to say what.
UNSOLVED = Script(
    name="unsolved",
    finish="complaint.followed",
    steps={"what": Text(min=SHORTEST, max=LONGEST, optional=True), "sure": Confirm(when=has_words)},
)
ASK_MORE = Script(
    name="ask_more",
    finish="complaint.followed",
    steps={"what": Text(min=SHORTEST, max=LONGEST), "sure": Confirm()},
)

ANSWER = Script(name="answer", finish="complaint.answered", steps={"message": Answer(max=LONGEST)})
