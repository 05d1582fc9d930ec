"""How well reports and posts are judged, per stratum of the labelled texts, and how fast beside jieba cutting them."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moderation import conduct, segment
from moderation.rulebook import CommunityRule
from moderation.tone import learn
from moderation.urgency import Verdict, judge, load, warm
from tests.benchmarks.measure import Figure, out, table
from tests.moderation.learn_tone import calm, learned_posts, ordinary, reports

TEXTS = Path(__file__).parents[1] / "moderation"
SETS = {
    "urgency": "development, rules and second opinion are tuned on it",
    "own": "our own, tuned on",
    "pairs": "our own pairs of happens and does not, tuned on",
    "voices": "written by people who had not seen the rules, tuned on since",
    "unseen": "written by people who had not seen the rules, and never read by who tunes them",
}
TAUGHT = ("urgency", "own", "pairs")
POSTS = {
    "violation": "development, rules and second opinion are tuned on it",
    "posts": "written by people who had not seen the rules, tuned on since",
    "own-posts": "our own, tuned on",
    "unseen-posts": "written by people who had not seen the rules, and never read by who tunes them",
}
UNREAD = "innocent-posts-unread"  # innocent messages by people who had not seen the rules, never read by who tunes them
MANY = (1_000, 10_000)  # rule words
FOLDS = 8
ROUNDS = 5
FEWEST = 8  # a smaller stratum is counted under "other notes"

Judged = list[tuple[dict[str, Any], Verdict]]


def main() -> None:
    """Quality, then speed."""
    for name, title in SETS.items():
        rows = _rows(name)
        if rows:
            _quality(f"{name}.jsonl ({title})", [(row, judge(row["text"])) for row in rows])
    judged, found = _crossed()
    _quality(f"voices.jsonl, by a second opinion learned without the {FOLDS}th that it judges", judged)
    paged, interval = _share(found.count("urgent"), len(found))
    out.print(
        f"ordinary.txt, everyday.txt and answers.txt, likewise: {len(found)} everyday messages, "
        f"paged {paged} ({interval}), asked {found.count('ask')}"
    )
    for name, title in POSTS.items():
        rows = _rows(name)
        if rows:
            _conduct(f"{name}.jsonl ({title})", [(row, conduct.judge(row["text"])) for row in rows])
    _conduct(
        f"posts.jsonl, by a second opinion learned without the {FOLDS}th that it judges; the rules have seen them",
        _crossed_posts(),
    )
    unread = TEXTS / f"{UNREAD}.txt"
    if unread.exists():
        _innocent(unread.name, [line for line in unread.read_text("utf-8").splitlines() if line.strip()])
    _innocent(
        "calm.txt, ordinary.txt, everyday.txt, answers.txt and the innocent posts of the product (tuned on)",
        calm(),
    )
    _innocent("reports of repairs (tuned on)", reports())
    _speed()
    _conduct_speed()


def _crossed_posts() -> list[tuple[dict[str, Any], conduct.Verdict]]:
    rows, others = _rows("posts"), [row for name in ("violation", "own-posts") for row in _rows(name)]
    plain = [(text, False) for text in calm() + reports()]
    judged: list[tuple[dict[str, Any], conduct.Verdict]] = []
    for fold in range(FOLDS):
        taught = others + [row for place, row in enumerate(rows) if place % FOLDS != fold]
        tone = learned_posts([(row["text"], row["label"] == "violation") for row in taught] + plain)
        judged += [(row, conduct.judge(row["text"], tone=tone)) for row in rows[fold::FOLDS]]
    return judged


def _conduct(title: str, judged: list[tuple[dict[str, Any], conduct.Verdict]]) -> None:
    """By kind, note, evasion and hardness; what is deleted, what is held, what is let through."""
    strata: dict[str, list[tuple[dict[str, Any], conduct.Verdict]]] = {"all": judged}
    for name, field in (("hard", "hard"), ("", "category"), ("evasion ", "evasion"), ("note ", "note")):
        parts: dict[str, list[tuple[dict[str, Any], conduct.Verdict]]] = defaultdict(list)
        for each in judged:
            value = each[0].get(field)
            if field == "hard":
                parts["hard" if value else "plain"].append(each)
            elif value:
                parts[f"{name}{value}"].append(each)
        strata |= dict(sorted(parts.items()))
    table(
        f"Conduct, {title}",
        (
            "",
            "texts",
            "right, hold ½",
            "95 %",
            "deleted rightly",
            "95 %",
            "violations deleted",
            "or held",
            "ok held",
        ),
        [(stratum, *_conduct_figures(those)) for stratum, those in strata.items() if those],
    )


def _conduct_figures(judged: list[tuple[dict[str, Any], conduct.Verdict]]) -> tuple[str, ...]:
    found = [(row["label"], verdict.verdict) for row, verdict in judged]
    points = sum(1 if what == label else 0.5 if what == "hold" else 0 for label, what in found)
    deleted = [label for label, what in found if what == "violation"]
    violations = [what for label, what in found if label == "violation"]
    fine = [what for label, what in found if label == "ok"]
    return (
        str(len(judged)),
        *_share(points, len(judged)),
        *_share(deleted.count("violation"), len(deleted)),
        _share(violations.count("violation"), len(violations))[0],
        _share(len(violations) - violations.count("ok"), len(violations))[0],
        _share(fine.count("hold"), len(fine))[0],
    )


def _innocent(title: str, texts: list[str]) -> None:
    found = [conduct.judge(text).verdict for text in texts]
    touched, interval = _share(len(found) - found.count("ok"), len(found))
    out.print(
        f"{title}: {len(found):,} innocent messages, held {found.count('hold')}, deleted "
        f"{found.count('violation')}: {touched} ({interval})"
    )


def _conduct_speed() -> None:
    conduct.warm()
    texts = _day()
    for title, mix in (
        (f"as of a day in a group, {len(_rows('violation'))} of them violations", texts),
        ("of every day, no violations", ordinary()),
        (
            "each once, most of them written to be hard for the rules",
            calm() + [row["text"] for row in _rows("violation")],
        ),
    ):
        judged, cuts = _beside_jieba(mix)
        table(
            f"Speed of conduct: {len(mix):,} texts {title}",
            ("", "texts/s", "to jieba.lcut"),
            [("jieba.lcut", cuts, "1.00×"), ("judge", judged, judged.beside(cuts))],
        )
    sizes = {size: conduct.load(extra=[_words(size)]) for size in MANY}
    rates: dict[int, list[float]] = {size: [] for size in MANY}
    for _ in range(ROUNDS):
        for size, rules in sizes.items():
            rates[size].append(
                len(texts) / _took(lambda rules=rules: [conduct.judge(text, rules) for text in texts])
            )  # type: ignore[misc]
    few, many = (Figure(rates[size]) for size in MANY)
    table(
        "Speed of conduct with further rule words",
        ("", "texts/s", f"to {MANY[0]:,}"),
        [(f"{MANY[0]:,}", few, "1.00×"), (f"{MANY[1]:,}", many, many.beside(few))],
    )


def _day() -> list[str]:
    """What neighbours write on a day: mostly ordinary messages, and once what is hard to judge and the violations."""
    return ordinary() * 7 + calm() + [row["text"] for row in _rows("violation")]


def _beside_jieba(texts: list[str]) -> tuple[Figure, Figure]:
    """How many texts a second are judged, and how many jieba cuts: turn by turn, so that a busy moment hits both."""
    cut: Callable[[str], list[str]] = segment._loaded().lcut
    judged, cuts = [], []
    for _ in range(ROUNDS):
        judged.append(len(texts) / _took(lambda: [conduct.judge(text) for text in texts]))
        cuts.append(len(texts) / _took(lambda: [cut(text) for text in texts]))
    return Figure(judged), Figure(cuts)


def _words(count: int) -> CommunityRule:
    """So many words of a community: pairs of names and trades as neighbours would not write them."""
    first = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏"
    words = [f"{a}{b}{c}" for a in first for b in first for c in first][:count]
    return CommunityRule("own.many", tuple(words), "violation", "ad", "x")


def _rows(name: str) -> list[dict[str, Any]]:
    path = TEXTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _crossed() -> tuple[Judged, list[str]]:
    """What the second opinion is worth on texts that it was not taught; the rules have seen them.

    Verdicts of the voices, and of the ordinary messages.
    """
    voices, others, plain = _rows("voices"), [row for name in TAUGHT for row in _rows(name)], ordinary()
    judged: Judged = []
    found: list[str] = []
    for fold in range(FOLDS):
        taught = others + [row for place, row in enumerate(voices) if place % FOLDS != fold]
        tone = learn(
            [(row["text"], row["label"] == "urgent") for row in taught]
            + [(text, False) for place, text in enumerate(plain) if place % FOLDS != fold]
        )
        judged += [(row, judge(row["text"], tone=tone)) for row in voices[fold::FOLDS]]
        found += [judge(text, tone=tone).verdict for text in plain[fold::FOLDS]]
    return judged, found


def _quality(title: str, judged: Judged) -> None:
    strata: dict[str, Judged] = {"all": judged}
    for hard in (False, True):
        strata["hard" if hard else "plain"] = [each for each in judged if each[0]["hard"] is hard]
    notes: dict[str, Judged] = defaultdict(list)
    for each in judged:
        notes[each[0]["note"]].append(each)
    notes.pop("", None)
    few: Judged = []
    for note, those in sorted(notes.items()):
        if len(those) < FEWEST:
            few += those
        else:
            strata[note] = those
    strata["other notes"] = few
    table(
        f"Urgency, {title}",
        (
            "", "texts", "right, ask ½", "95 %", "urgent found", "95 %", "paged for nothing", "95 %",
            "asked", "kind",
        ),
        [(stratum, *_figures(those)) for stratum, those in strata.items() if those],
    )  # fmt: skip


def _figures(judged: Judged) -> tuple[str, ...]:
    """A missed emergency is judged normal, and a page for nothing urgent; to be asked is neither."""
    found = [(row, verdict.verdict) for row, verdict in judged]
    points = sum(1 if what == row["label"] else 0.5 if what == "ask" else 0 for row, what in found)
    urgent = [what for row, what in found if row["label"] == "urgent"]
    normal = [what for row, what in found if row["label"] == "normal"]
    kinds = [verdict.kind == row["kind"] for row, verdict in judged if "kind" in row]
    return (
        str(len(judged)),
        *_share(points, len(judged)),
        *_share(len(urgent) - urgent.count("normal"), len(urgent)),
        *_share(normal.count("urgent"), len(normal)),
        str([what for _, what in found].count("ask")),
        f"{sum(kinds) / len(kinds):.0%}" if kinds else "–",
    )


def _share(points: float, count: int) -> tuple[str, str]:
    if not count:
        return "–", "–"
    low, high = _interval(points, count)
    return f"{points / count:.1%}", f"{low:.1%}–{high:.1%}"


def _interval(points: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of a share."""
    z, share = 1.96, points / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - spread) / (1 + z * z / count)), (middle + spread) / (1 + z * z / count)


def _speed() -> None:
    rules_took = _took(load)
    jieba_took = _took(warm)
    rules, texts = load(), _mix()
    cut: Callable[[str], list[str]] = segment._loaded().lcut
    judged, cuts = [], []
    for _ in range(ROUNDS):  # turn by turn, so that a busy moment hits both
        judged.append(len(texts) / _took(lambda: [judge(text, rules) for text in texts]))
        cuts.append(len(texts) / _took(lambda: [cut(text) for text in texts]))
    table(
        f"Speed: {len(texts):,} texts as of an ordinary day",
        ("", "texts/s", "to jieba.lcut"),
        [
            ("jieba.lcut", Figure(cuts), "1.00×"),
            ("judge", Figure(judged), Figure(judged).beside(Figure(cuts))),
        ],
    )
    out.print(f"rules load in {rules_took * 1000:.0f} ms, jieba in {jieba_took:.2f} s")


def _mix() -> list[str]:
    """What comes in on a day: mostly ordinary messages, and the hard reports once."""
    everyday = (TEXTS / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    return everyday * 8 + [row["text"] for row in _rows("urgency")]


def _took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
