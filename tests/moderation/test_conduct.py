"""Which posts break the rules, which are held, and why; and that whatever hides words is undone."""

import json
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zhconv_rs import zhconv

from moderation import conduct
from moderation.cloak import uncloak
from moderation.conduct import (
    CATEGORIES,
    DEFAULT,
    TONE,
    CommunityRule,
    RuleSet,
    fingerprint,
    innocent,
    judge,
    load,
)
from moderation.judge import Labelled, dry_run, judge_lines
from moderation.rulebook import BadRules
from moderation.tone import Tone, load_tone, save_tone
from tests.moderation.learn_tone import calm, learned_posts, posts

HERE = Path(__file__).parent
SEVERITY = {"ok": 0, "hold": 1, "violation": 2}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load()


def points(labelled: list[dict[str, Any]], rules: RuleSet) -> float:
    found = [(row["label"], judge(row["text"], rules).verdict) for row in labelled]
    return sum(1 if label == verdict else 0.5 if verdict == "hold" else 0 for label, verdict in found)


# --- floors on labelled texts


def test_development_set_stays_above_its_floor(rules: RuleSet) -> None:
    assert points(rows("violation.jsonl"), rules) >= 156


def test_posts_stay_above_their_floor(rules: RuleSet) -> None:
    strangers = rows("posts.jsonl")
    assert points(strangers, rules) >= 0.95 * len(strangers)


def test_what_is_deleted_is_a_violation(rules: RuleSet) -> None:
    labelled = rows("violation.jsonl") + rows("posts.jsonl")
    deleted = [row["label"] for row in labelled if judge(row["text"], rules).verdict == "violation"]
    assert deleted.count("ok") <= 0.02 * len(deleted)


def test_what_neighbours_write_is_let_through(rules: RuleSet) -> None:
    found = [judge(text, rules).verdict for text in calm()]
    assert found.count("violation") <= 0.001 * len(found)
    assert found.count("hold") <= 0.004 * len(found)


# --- what is meant


@pytest.mark.parametrize(
    ("does", "does_not"),
    [
        ("代开发票，点数低", "请问代开发票犯法吗"),
        ("兼职刷单，一单一结，加我", "大家注意，群里说兼职刷单的是骗子"),
        ("出仿真枪一把，货到付款", "儿童水枪、泡泡枪打包30元"),
        ("裸聊视频，加我看真人秀", "提醒各位：裸聊都是骗局，已报警"),
        ("推牌九，一把五百起，来的私我", "打麻将三缺一，不来钱的"),
        ("你就是个畜生", "我家乌龟叫王八蛋，跑丢了"),
        ("出冰毒，纯度高，同城闪送", "禁毒宣传：冰毒害人，发现请举报"),
        ("可查开房记录，加我", "有人卖业主名单，物业请查一下"),
        ("烟花爆竹便宜出，可送到楼下", "物业通知：小区内禁止燃放烟花爆竹，违者报警"),
        ("三室隔成六间，上下铺床位出租", "两居室整租，不做隔断，不接受群租"),
        ("专业擦玻璃，优惠价，加微信 qj8808", "求推荐擦玻璃的师傅，价格优惠的"),
    ],
)
def test_the_same_words_do_or_do_not_break_a_rule(does: str, does_not: str) -> None:
    assert (judge(does).verdict, judge(does_not).verdict) == ("violation", "ok")


@pytest.mark.parametrize(
    "text",
    [
        "出一张实木书桌，1.4米，自提180，电话13800138003",
        "主卧出租，1800一个月，押一付一，微信同号13800138001，中介勿扰",
        "转让婴儿床，九成新，可加微信看图",
        "看房提前约，钥匙在我这里，报价315万",
        "卫生间漏水到楼下了，物业联系一下防水师傅",
        "大麻花谁要拼团",
        "我真是个傻子，又把钥匙锁屋里了",
        "",
        "👍",
        "1",
    ],
)
def test_daily_life_is_let_through(text: str) -> None:
    assert judge(text).verdict == "ok"


# --- what is hidden is undone


def separated(mark: str) -> Callable[[str], str]:
    return mark.join


def wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def split(text: str) -> str:
    pieces = {whole: pair for line in SPLITS for pair, whole in line}
    return "".join(pieces.get(one, one) for one in text)


SPLITS = [
    [(line[0] + rest[0], rest[1]) for rest in line.split(" ")[1:]]
    for line in (DEFAULT.parent / "splits.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
CIRCLED = {ord(letter): chr(0x24D0 + place) for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
CYRILLIC = str.maketrans("aceopxy", "асеорху")
TRICKS: dict[str, Callable[[str], str]] = {
    "spaces": separated(" "),
    "dots": separated("."),
    "stars": separated("*"),
    "bars": separated("|"),
    "lines": separated("\n"),
    "hidden": separated("\u200b"),
    "pictures": separated("🌸"),
    "wide": wide,
    "traditional": lambda text: str(zhconv(text, "zh-hant")),
    "split": split,
    "circled": lambda text: text.lower().translate(CIRCLED),
    "cyrillic": lambda text: text.lower().translate(CYRILLIC),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_hides_a_violation(trick: str, rules: RuleSet) -> None:
    """Whatever is deleted as it stands is deleted or held in disguise, but for some in a hundred."""
    plain = [
        row["text"] for row in rows("violation.jsonl") if judge(row["text"], rules).verdict == "violation"
    ]
    escaped = [text for text in plain if judge(TRICKS[trick](text), rules).verdict == "ok"]
    assert len(escaped) <= 0.05 * len(plain), escaped


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        ("刷 单 返 佣 ，动动手指", "刷单返佣 ,动动手指"),
        ("美.容.院.新店开业，加/V/送", "美容院新店开业,加v/送"),
        ("穿山*甲", "穿山甲"),
        ("力口我彳散亻言", "加我微信"),
        ("仿真木仓", "仿真枪"),
        ("加ⓥⓧ", "加vx"),
        ("w e i x i n", "weixin"),
        ("幺三八零零幺三八零零零", "13800138000"),
        ("傻\n逼\n物\n业", "傻逼物业"),
        ("ＶＩＰ年卡", "vip年卡"),
        ("🐷🐶不如", "猪狗不如"),
        ("開鎖", "开锁"),
    ],
)
def test_what_is_hidden_reads_as_it_is_meant(hidden: str, words: str) -> None:
    assert uncloak(hidden)[0].plain == words


@pytest.mark.parametrize(
    "text",
    [
        "裸liao视频，加我看",
        "代开发漂，专票都有",
        "低息袋款，下款快",
        "可查开坊记录、加我",
        "想学炒股的jia我wei信，稳赚",
    ],
)
def test_sounds_do_not_hide_a_violation(text: str) -> None:
    assert judge(text).verdict != "ok"


@pytest.mark.parametrize("text", ["出仿 真 木 仓，货到付款", "代开发漂", "裸\u200b聊，加我"])
def test_a_verdict_shows_the_words_of_its_author(text: str) -> None:
    why = judge(text).why
    assert why
    assert all(word in text for reason in why for word in reason.words)


@pytest.mark.parametrize(
    "text", ["/help 加V看片，裸聊", "@linli 裸聊加我", "裸聊.jpg", "今天天气不错\n\n\n裸聊加我"]
)
def test_what_stands_around_does_not_hide_a_violation(text: str) -> None:
    assert judge(text).verdict == "violation"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_places_always_lead_back(text: str) -> None:
    said, tricks = uncloak(text)
    assert tricks >= 0
    for place in range(len(said.plain)):
        assert said.words(place, place + 1) in text


def test_the_same_reading_has_the_same_fingerprint() -> None:
    same = ["出一把气枪 VX123", "出 一 把 气 枪，vx１２３", "出\u200b一把氣槍!! Vx 123", "出一把气木仓vx123"]
    assert len({fingerprint(text) for text in same}) == 1
    assert fingerprint("出一把水枪") != fingerprint(same[0])
    assert [fingerprint(text) for text in ("", " \n", "!!!")] == ["", "", ""]


# --- never fails


SNIPPETS = st.sampled_from(
    [
        "加我",
        "微信",
        "刷单",
        "枪",
        "傻逼",
        "没有",
        "举报",
        "，",
        "。",
        "\n",
        " ",
        "v",
        "xin",
        "🎰",
        "\u200b",
        "\ud800",
        "13800138000",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(st.characters(), max_size=300), st.lists(SNIPPETS, max_size=60).map("".join)))
def test_judge_never_raises_and_always_says_the_same(text: str) -> None:
    found = judge(text)
    assert found == judge(text)
    assert found.verdict in SEVERITY
    assert found.category in {"", *CATEGORIES}
    assert all(why.words for why in found.why)


@pytest.mark.parametrize(
    "piece", ["加我", "出枪", "a ", "\ud800", "，", "傻逼你", "代开发票私聊加微信优惠", "木仓"]
)
def test_a_flood_of_words_is_judged_too(piece: str) -> None:
    assert judge(piece * 4096).verdict in SEVERITY


def test_every_process_says_the_same() -> None:
    texts = random.Random(1).sample([row["text"] for row in rows("posts.jsonl")], 60)
    code = (
        "import sys, json; from moderation.conduct import judge; "
        "print(json.dumps([repr(judge(text)) for text in json.load(sys.stdin)]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(texts), capture_output=True, text=True, check=True, cwd=HERE.parents[1],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(HERE.parents[1])},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]


# --- the second opinion


UNRULED = "姐，我是楼下水果店的，今天收款码坏了，你先把钱扫我女婿这个码，回头我把找零和赠品送你家"


def test_the_second_opinion_on_file_is_what_the_labelled_texts_teach(tmp_path: Path) -> None:
    taught = learned_posts(posts())
    save_tone(taught, tmp_path / "tone.json")
    assert load_tone(tmp_path / "tone.json") == taught
    kept = load_tone(TONE)
    # Another machine may round a last digit differently.
    assert {word: kept.weights.get(word, 0) for word in taught.weights} == pytest.approx(
        taught.weights, abs=6
    )
    assert kept.bias == pytest.approx(taught.bias, abs=2)


def test_the_second_opinion_never_deletes_alone(rules: RuleSet) -> None:
    quiet = load(extra=[CommunityRule("tone", silenced=True)])
    for row in rows("posts.jsonl"):
        ruled, both = judge(row["text"], quiet), judge(row["text"], rules)
        if both.verdict == "violation":
            assert ruled.verdict != "ok" and both.why == ruled.why, row["text"]


def test_what_a_rule_would_delete_and_sounds_innocent_is_held_or_let_go(rules: RuleSet) -> None:
    calm_tone, sure = Tone({}, -300), Tone({}, 300)
    text = "刷单返佣，动动手指，一天两三百，加V abc520"
    assert judge(text, rules, tone=sure).verdict == "violation"
    held = judge(text, rules, tone=calm_tone)
    assert held.verdict == "hold" and held.why == judge(text, rules, tone=sure).why
    let_go = judge(text, rules, tone=Tone({}, -900))
    assert let_go.verdict == "ok" and let_go.why[0].rule == "tone"


def test_what_was_not_taught_is_judged_well(rules: RuleSet) -> None:
    """Learned without a quarter of the posts, judged on that quarter."""
    strangers = rows("posts.jsonl")
    known = [(row["text"], row["label"] == "violation") for place, row in enumerate(strangers) if place % 4]
    quiet = calm()
    tone = learned_posts(known + [(text, False) for place, text in enumerate(quiet) if place % 4])
    found = [(row["label"], judge(row["text"], rules, tone=tone).verdict) for row in strangers[::4]]
    assert sum(1 if label == verdict else 0.5 if verdict == "hold" else 0 for label, verdict in found) >= (
        0.9 * len(found)
    )
    held = [judge(text, rules, tone=tone).verdict for text in quiet[::4]].count("hold")
    assert held <= 0.01 * len(quiet[::4])


# --- a community's own rules


def test_staff_can_add_a_word_and_it_is_found_in_disguise() -> None:
    own = load(extra=[CommunityRule("own.1", ("跳广场舞 + 收费",), "violation", "ad", "不得收费教舞")])
    assert judge("教跳广场舞，收费三十").verdict != "violation"
    found = judge("教跳 广 场 舞，收*费三十", own)
    assert (found.verdict, found.category) == ("violation", "ad")
    assert [(why.rule, why.sentence) for why in found.why] == [("own.1", "不得收费教舞")]


def test_staff_can_only_hold_if_they_say_so() -> None:
    own = load(extra=[CommunityRule("own.1", ("桂花",), "hold", "ad", "先问物业")])
    assert judge("桂花开了", own).verdict == "hold"


def test_staff_can_silence_a_rule_or_one_of_its_words() -> None:
    text = "代开发票"
    assert judge(text).verdict == "violation"
    assert judge(text, load(extra=[CommunityRule("F2", silenced=True)])).verdict != "violation"
    quiet = load(extra=[CommunityRule("F2", ("代开发票", "发票代开"), silenced=True)])
    assert judge(text, quiet).verdict == "ok"
    assert judge("点数低，先开后付", quiet).verdict == "violation"


def test_a_rule_of_the_other_judgement_is_refused() -> None:
    with pytest.raises(BadRules, match="urgent"):
        load(extra=[CommunityRule("x", ("桂花",), "urgent")])


def test_odd_rules_of_staff_do_no_harm() -> None:
    odd = load(extra=[CommunityRule("x", ("", " + ", "\u200b"), "violation", "ad")])
    assert judge("你好，今天几点停水", odd).verdict == "ok"


def test_new_words_are_tried_on_innocent_posts_first() -> None:
    own = load(extra=[CommunityRule("own.1", ("驾照",), "violation", "illegal_trade", "x")])
    examples = [Labelled(text, "ok") for text in innocent()]
    assert dry_run(examples, judge=conduct.judge) == []
    assert {differs.verdict.verdict for differs in dry_run(examples, own, judge=conduct.judge)} == {
        "violation"
    }
    assert len(innocent()) >= 150


# --- the rule file


def rule_file() -> dict[str, Any]:
    return tomllib.loads(DEFAULT.read_text(encoding="utf-8"))


def test_every_rule_and_every_cue_has_both_sentences() -> None:
    raw = rule_file()
    assert [
        row["id"] for row in raw["rule"] + raw["cue"] if not row["sentence"] or not row["sentence_en"]
    ] == []


def test_ids_begin_with_the_letter_of_their_kind() -> None:
    letters = dict(zip("AFGPDWIVT", CATEGORIES, strict=True))
    raw = rule_file()
    assert len({row["id"] for row in raw["rule"]}) == len(raw["rule"])
    assert all(letters[row["id"][0]] == row["kind"] and row["id"][1:].isdigit() for row in raw["rule"])


def test_every_list_is_used_and_every_softened_rule_exists(rules: RuleSet) -> None:
    raw = rule_file()
    used = {name for rule in rules.rules for need in rule.needs for name in need} | {"innocent"}
    assert {name for name in rules.groups if not name.startswith("cue.")} - used == set()
    assert raw["shapes"].keys() - used == set()
    assert set(raw["heard"]) - set(raw["words"]) == set()
    ids = [rule.id for rule in rules.rules]
    lost = [
        prefix for cue in rules.cues for prefix in cue.rules if not any(one.startswith(prefix) for one in ids)
    ]
    assert lost == []


def test_every_word_is_found_in_itself(rules: RuleSet) -> None:
    """A word that the reading of texts would change could never be found."""
    inside = rules.groups["innocent"]
    lost = [
        (group, word)
        for group, words in rules.groups.items()
        if group != "innocent"
        for word in words
        if uncloak(word)[0].plain.find(word) < 0 and not any(word in other for other in inside)
    ]
    assert lost == []


def test_lines_are_judged_in_order() -> None:
    lines = ["代开发票\n", "\n", '{"id": 7, "text": "桂花开了"}\n']
    found = list(judge_lines(lines, judge=conduct.judge))
    assert [(row["id"], row["verdict"], row["category"]) for row in found] == [
        ("1", "violation", "fraud"),
        ("7", "ok", None),
    ]
    assert found[0]["why"][0]["words"] == ["代开发票"]
