"""Judgement as a community has it: the rules of the file, with what its staff added or silenced."""

from functools import lru_cache

from sqlmodel import col, select

import moderation.urgency
from conversations.repair import COMMON
from conversations.steps import Answers
from conversations.words import LANGUAGES, texts
from handlers.masking import without_private
from handlers.tx import Tx
from moderation.rulebook import CommunityRule as Extra
from moderation.rulebook import RuleSet
from moderation.urgency import Verdict
from store.tables import CommunityRule, Example, Person, Repair


def urgency(tx: Tx, community_id: int, text: str, language: str = "zh") -> Verdict:
    """How urgent a report is, with the reasons in the reader's language."""
    extra = tx.once("rules", community_id, lambda: _extra(tx, community_id))
    return moderation.urgency.judge(text, _rules(extra) if extra else None, language)


def report(tx: Tx, community_id: int, answers: Answers, language: str = "zh") -> Verdict:
    """The judgement of a report; the place counts as said, since "里面困了人" means a lift after 电梯."""
    place, what = answers.get("place", ""), answers.get("what", "")
    label = texts("zh")[f"repair.place.{place}"] if place in COMMON else ""
    return urgency(tx, community_id, f"{label}，{what}" if label else what, language)


def reasons(tx: Tx, community_id: int, answers: Answers) -> list[dict[str, str]]:
    """The rules' sentences in every language, each with the words of the report that decided."""
    judged = {language: report(tx, community_id, answers, language).why for language in LANGUAGES}
    return [
        {
            language: f"{why.sentence}（{'、'.join(why.words)}）"
            for language, why in zip(judged, reason, strict=True)
        }
        for reason in zip(*judged.values(), strict=True)
    ]


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


def corrections(tx: Tx) -> list[tuple[Example, Verdict]]:
    """What people corrected, oldest first, each with what the rules of its community say of it now: the dry run."""
    rows = tx.session.exec(
        select(Example).where(Example.judgement == "urgency").order_by(col(Example.id))
    ).all()
    return [(each, urgency(tx, each.community_id, each.text)) for each in rows]


def _extra(tx: Tx, community_id: int) -> tuple[Extra, ...]:
    rows = tx.session.exec(
        select(CommunityRule)
        .where(CommunityRule.community_id == community_id, CommunityRule.judgement == "urgency")
        .order_by(col(CommunityRule.id))
    )
    return tuple(
        Extra(
            row.rule,
            words=tuple(row.words),
            verdict=row.verdict,  # type: ignore[arg-type]  # checked when the row was written
            kind=row.kind,
            sentence=row.sentence,
            silenced=row.silenced,
        )
        for row in rows
    )


@lru_cache(maxsize=64)
def _rules(extra: tuple[Extra, ...]) -> RuleSet:
    return moderation.urgency.load(extra=extra)
