"""Judgement as a community has it: the rules of the file, with what its staff added or silenced."""

from functools import lru_cache

from sqlmodel import col, select

import moderation.urgency
from handlers.tx import Tx
from moderation.rulebook import CommunityRule as Extra
from moderation.rulebook import RuleSet
from moderation.urgency import Verdict
from store.tables import CommunityRule


def urgency(tx: Tx, community_id: int, text: str, language: str = "zh") -> Verdict:
    """How urgent a report is, with the reasons in the reader's language."""
    extra = tx.once("rules", community_id, lambda: _extra(tx, community_id))
    return moderation.urgency.judge(text, _rules(extra) if extra else None, language)


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
