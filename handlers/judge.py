"""Judgement as a community has it: the rules of the file, with what its staff added or silenced."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlmodel import col, select

import moderation.conduct
import moderation.urgency
from conversations.repair import COMMON
from conversations.steps import Answers
from conversations.words import LANGUAGES, texts
from handlers.masking import without_private
from handlers.tx import Tx
from moderation.conduct import Verdict as Conduct
from moderation.rulebook import CommunityRule as Extra
from moderation.rulebook import RuleSet
from moderation.urgency import Verdict
from store.tables import CommunityRule, Example, Person, Repair


def urgency(tx: Tx, community_id: int, text: str, language: str = "zh") -> Verdict:
    """How urgent a report is, with the reasons in the reader's language."""
    return moderation.urgency.judge(text, _rules(tx, community_id, "urgency"), language)


def danger(tx: Tx, community_id: int, text: str) -> bool:
    """Whether a rule finds something urgent, or perhaps so; what only sounds so is none where people offer goods."""
    verdict = urgency(tx, community_id, text)
    return verdict.verdict != "normal" and any(why.rule != "tone" for why in verdict.why)


def conduct_rules(tx: Tx, community_id: int) -> RuleSet:
    """The rules by which a community judges what people write for others."""
    return _rules(tx, community_id, "conduct")


def report(tx: Tx, community_id: int, answers: Answers, language: str = "zh") -> Verdict:
    """The judgement of a report; the place counts as said, since "里面困了人" means a lift after 电梯."""
    place, what = answers.get("place", ""), answers.get("what", "")
    label = texts("zh")[f"repair.place.{place}"] if place in COMMON else ""
    return urgency(tx, community_id, f"{label}，{what}" if label else what, language)


def reasons(tx: Tx, community_id: int, answers: Answers) -> list[dict[str, str]]:
    """The rules' sentences in every language, each with the words of the report that decided."""
    return in_every_language(
        lambda language: [
            f"{why.sentence}（{'、'.join(why.words)}）"
            for why in report(tx, community_id, answers, language).why
        ]
    )


def in_every_language(said: Callable[[str], Sequence[str]]) -> list[dict[str, str]]:
    """The same lines by language, as rows keep them for any reader: [{"zh": …, "en": …}, …]."""
    lines = zip(*map(said, LANGUAGES), strict=True)
    return [dict(zip(LANGUAGES, each, strict=True)) for each in lines]


def keep_example(tx: Tx, repair: Repair, label: str, person: Person, reason: str = "") -> None:
    """Keep what people say a report is, if the rules say something else of it: the next rules learn from it."""
    answers = {"what": repair.what, "place": repair.place}
    verdict = report(tx, repair.community_id, answers)
    if verdict.verdict == label or not repair.what:
        return
    tx.session.add(
        Example(
            community_id=repair.community_id,
            text=without_private(tx, tx.session.get_one(Person, repair.person_id), repair.what),
            verdict=verdict.verdict,
            label=label,
            kind=verdict.kind,
            about=f"repair:{repair.id}",
            reason=reason,
            pseudonym=person.pseudonym,
            at=tx.now,
        )
    )


def corrections(tx: Tx, judgement: str) -> list[tuple[Example, Verdict | Conduct]]:
    """What people corrected or decided, oldest first, each with what the rules of its community say of it now."""
    rows = tx.session.exec(
        select(Example).where(Example.judgement == judgement).order_by(col(Example.id))
    ).all()
    judge = moderation.conduct.judge if judgement == "conduct" else moderation.urgency.judge
    return [(each, judge(each.text, _rules(tx, each.community_id, judgement))) for each in rows]


def _rules(tx: Tx, community_id: int, judgement: str) -> RuleSet:
    extra = tx.once(f"rules.{judgement}", community_id, lambda: own_rules(tx, community_id, judgement))
    return compiled(judgement, extra)


def own_rules(tx: Tx, community_id: int, judgement: str) -> tuple[Extra, ...]:
    """What a community's staff added to the rules of a judgement, or silenced in them, oldest first."""
    rows = tx.session.exec(
        select(CommunityRule)
        .where(CommunityRule.community_id == community_id, CommunityRule.judgement == judgement)
        .order_by(col(CommunityRule.id))
    )
    return tuple(map(extra_of, rows))


def extra_of(row: CommunityRule) -> Extra:
    """A row as the rulebook takes it."""
    return Extra(
        row.rule,
        words=tuple(row.words),
        verdict=row.verdict,  # type: ignore[arg-type]  # checked when the row was written
        kind=row.kind,
        sentence=row.sentence,
        silenced=row.silenced,
    )


@lru_cache(maxsize=64)
def compiled(judgement: str, extra: tuple[Extra, ...] = ()) -> RuleSet:
    """The rules of a judgement with these of a community on top; those that were asked for of late are kept."""
    standard, load = {
        "urgency": (moderation.urgency.standard, moderation.urgency.load),
        "conduct": (moderation.conduct.standard, moderation.conduct.load),
    }[judgement]
    return load(extra=extra) if extra else standard()
