"""The rules of conduct as a community has them: everybody reads them, staff change them after a dry run."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlmodel import col, select

import moderation.conduct
from conversations import steps
from conversations.errors import Unclear
from conversations.rules import ALLOWED, CATEGORIES, DROP, RULE, SILENCE
from conversations.steps import Answers
from conversations.words import Reader, Say, normal
from handlers import judge
from handlers.actions import action
from handlers.listing_cards import content_of, words_of
from handlers.numbers import next_number
from handlers.posts_ladder import ladder
from handlers.repair_cards import cut_short
from handlers.talk import Known, here, know, no_facts, start
from handlers.tell import Button, reader_of, tell
from handlers.tx import Tx
from moderation.rulebook import SEVERITY, RuleSet
from moderation.rulebook import CommunityRule as Extra
from store.tables import CommunityRule, Listing, Person, Post, Talk

JUDGEMENT = "conduct"
MOST_POSTS, MOST_LISTINGS, MOST_SHOWN = 1000, 300, 5


# --- what holds -------------------------------------------------------------------------------------


@action("rules", button=True, stays=True)
def show_rules(tx: Tx, person: Person) -> None:
    """The rules in force, in their own sentences; staff also get what they can change."""
    to = here(tx, person)
    in_group = tx.place is not None and tx.place.kind == "staff"
    drops = [Button(f"rule.drop:{each.id}", number=each.id) for each in _own(tx, person.community_id)]
    tell(
        tx,
        to,
        "rules.all",
        buttons=["rule.add", "rule.silence", *drops] if in_group else [],
        **in_force(tx, person.community_id, reader_of(tx, to)),
    )


def in_force(tx: Tx, community_id: int, reader: Reader) -> dict[str, Any]:
    """The facts of "rules.all": every rule, what this community changed in them, and what follows in the group."""
    rules = judge.conduct_rules(tx, community_id)
    of_file: dict[str, dict[str, list[str]]] = {name: {} for name in CATEGORIES}
    for rule in rules.rules:
        if not rule.own:
            of_file[rule.kind].setdefault(rule.says(reader.language), []).append(rule.id)
    lines = [
        reader.say(
            "rules.category",
            category=Say(f"rule.category.{name}"),
            rules="\n".join(
                reader.say("rules.rule", rule=numbers, sentence=sentence)
                for sentence, numbers in found.items()
            ),
        )
        for name, found in of_file.items()
    ]
    own = _own(tx, community_id)
    names = [reader.say("rules.own_line", number=each.id, line=_line(each)) for each in own]
    return {
        "rules": "\n".join(lines),
        "own": Say("rules.own", list="\n".join(names)) if names else "",
        "group": ladder(tx, community_id),
    }


def _own(tx: Tx, community_id: int) -> Sequence[CommunityRule]:
    rows = select(CommunityRule).where(
        CommunityRule.community_id == community_id, CommunityRule.judgement == JUDGEMENT
    )
    return tx.session.exec(rows.order_by(col(CommunityRule.id))).all()


def _line(row: CommunityRule) -> Say:
    """One line of what a community changed."""
    words = "、".join(row.words)
    known = {"rule": row.rule, "words": words}
    if row.silenced:
        return Say("rules.silenced" if words else "rules.silenced_whole", **known)
    if row.verdict == ALLOWED:
        return Say("rules.context", **known)
    verdict, category = Say(f"rule.verdict.{row.verdict}"), Say(f"rule.category.{row.kind}")
    return Say("rules.added", **known, verdict=verdict, category=category, sentence=row.sentence)


# --- what staff change ------------------------------------------------------------------------------


@action("rule.add", button=True, stays=True)
def add(tx: Tx, person: Person) -> None:
    """Ask for a word that shall count, and what for."""
    start(tx, person, RULE.name)


@action("rule.added")
def added(tx: Tx, person: Person, **answers: Any) -> None:
    """From now on it counts."""
    number = f"C{next_number(tx, person.community_id, 'rule')}"
    _change(tx, person, [_from_answers(tx, person.community_id, answers, number)])


@action("rule.silence", button=True, stays=True)
def silence(tx: Tx, person: Person) -> None:
    """Ask for a rule or a word that shall count no longer."""
    start(tx, person, SILENCE.name)


@action("rule.silenced")
def silenced(tx: Tx, person: Person, what: str, sure: bool) -> None:
    """From now on it counts no longer."""
    _change(tx, person, _to_silence(tx, person.community_id, what))


@action("rule.drop", CommunityRule, button=True, stays=True)
def drop(tx: Tx, person: Person, row: CommunityRule) -> None:
    """Ask whether a change of theirs shall hold no longer."""
    start(tx, person, DROP.name, about=f"rule:{row.id}")


@action("rule.dropped", CommunityRule)
def dropped(tx: Tx, person: Person, row: CommunityRule, sure: bool) -> None:
    """A change of theirs holds no longer."""
    line = _line(row)
    tx.session.delete(row)
    tx.session.flush()
    tell(tx, here(tx, person), "rules.dropped", line=line, buttons=("rules",))


def _change(tx: Tx, person: Person, rows: Sequence[CommunityRule]) -> None:
    tx.session.add_all(rows)
    tx.session.flush()
    lines = [reader_of(tx, here(tx, person)).show(_line(each)) for each in rows]
    tell(tx, here(tx, person), "rules.changed", lines="\n".join(lines), buttons=("rules",))


def _from_answers(tx: Tx, community_id: int, answers: Answers, number: str) -> CommunityRule:
    """What was answered as a rule."""
    words = _words(answers["words"])
    verdict, category = answers["verdict"], answers.get("category") or "other"
    sentence = answers.get("sentence") or ""
    if verdict != ALLOWED and not sentence:
        sentence = tx.reader(community_id).say("rules.sentence", category=Say(f"rule.category.{category}"))
    return CommunityRule(
        community_id=community_id,
        judgement=JUDGEMENT,
        rule=number,
        words=words,
        verdict=verdict,
        kind=category,
        sentence=sentence,
        created_at=tx.now,
    )


def _words(answer: str) -> list[str]:
    """The words of an answer; Unclear if there is none in it."""
    words = [word.strip() for part in answer.splitlines() for word in part.replace("，", "、").split("、")]
    words = [word for word in words if moderation.conduct.fingerprint(word)]
    if not words:
        raise Unclear("rule.no_words")
    return words


def _to_silence(tx: Tx, community_id: int, what: str) -> list[CommunityRule]:
    """A rule by its number, or each rule that has the word; Unclear if there is none."""
    rules = judge.compiled(JUDGEMENT)
    every = [*(each.id for each in rules.rules), *(each.id for each in rules.cues)]
    numbers = {normal(each): each for each in every}
    whole = numbers.get(normal(what))
    found = {whole: []} if whole else {each: [what.strip()] for each in rules.with_word(what)}
    if not found:
        raise Unclear("rule.unknown", what=what)
    return [
        CommunityRule(
            community_id=community_id,
            judgement=JUDGEMENT,
            rule=rule,
            words=words,
            silenced=True,
            created_at=tx.now,
        )
        for rule, words in found.items()
    ]


# --- the dry run ------------------------------------------------------------------------------------


def _trial(tx: Tx, community_id: int, after: Sequence[Extra]) -> Say:
    """What other rules would do to what was posted of late, and to innocent texts."""
    now = judge.conduct_rules(tx, community_id)
    then = judge.compiled(JUDGEMENT, tuple(after))
    posts = _posts(tx, community_id)
    innocent = moderation.conduct.innocent()
    stricter, looser = _differ(posts, now, then)
    wrong, _ = _differ(innocent, now, then)
    return Say(
        "rules.trial",
        posts=len(posts),
        innocent=len(innocent),
        stricter=_shown("stricter", stricter),
        looser=_shown("looser", looser),
        wrong=_shown("wrong", wrong),
    )


def _posts(tx: Tx, community_id: int) -> list[str]:
    """What was said and offered of late, the newest first."""
    said = select(Post.text).where(Post.community_id == community_id, Post.text != "")
    offered = select(Listing).where(Listing.community_id == community_id, Listing.title != "")
    posts = tx.session.exec(said.order_by(col(Post.id).desc()).limit(MOST_POSTS)).all()
    listings = tx.session.exec(offered.order_by(col(Listing.id).desc()).limit(MOST_LISTINGS)).all()
    return list(dict.fromkeys([*posts, *(words_of(content_of(each)) for each in listings)]))


def _differ(texts: Sequence[str], now: RuleSet, then: RuleSet) -> tuple[list[str], list[str]]:
    stricter: list[str] = []
    looser: list[str] = []
    for text in texts:
        before = SEVERITY[moderation.conduct.judge(text, now).verdict]
        after = SEVERITY[moderation.conduct.judge(text, then).verdict]
        if after != before:
            (stricter if after > before else looser).append(text)
    return stricter, looser


def _shown(name: str, texts: Sequence[str]) -> Say:
    if not texts:
        return Say(f"rules.{name}_none")
    lines = "\n".join(f"· {cut_short(each)}" for each in texts[:MOST_SHOWN])
    return Say(f"rules.{name}", count=len(texts), lines=lines)


def _about_rule(tx: Tx, talk: Talk) -> dict[str, Any]:
    answers = talk.answers
    if steps.pending(RULE, answers, {}) != "sure":  # something is asked first, perhaps once more
        return {"trial": ""}
    row = _from_answers(tx, talk.community_id, answers, "C0")
    after = [*judge.own_rules(tx, talk.community_id, JUDGEMENT), judge.extra_of(row)]
    return {"trial": _trial(tx, talk.community_id, after)}


def _about_silence(tx: Tx, talk: Talk) -> dict[str, Any]:
    if "what" not in talk.answers:
        return {"trial": "", "found": ""}
    rows = _to_silence(tx, talk.community_id, talk.answers["what"])
    after = [*judge.own_rules(tx, talk.community_id, JUDGEMENT), *map(judge.extra_of, rows)]
    lines = "\n".join(str(tx.reader(talk.community_id).show(_line(each))) for each in rows)
    return {"trial": _trial(tx, talk.community_id, after), "found": lines}


def _about_drop(tx: Tx, talk: Talk) -> dict[str, Any]:
    number = int(talk.about.removeprefix("rule:"))
    row = tx.session.get(CommunityRule, number)
    if row is None:
        return {"trial": "", "line": ""}
    after = [judge.extra_of(each) for each in _own(tx, talk.community_id) if each.id != number]
    return {"trial": _trial(tx, talk.community_id, after), "line": _line(row)}


def _heard_rule(tx: Tx, person: Person, talk: Talk, changed: Collection[str]) -> bool:
    """What has no word in it is asked again at once."""
    if "words" in changed:
        _words(talk.answers["words"])
    return False


know(Known(RULE, no_facts, _heard_rule, about=_about_rule))
know(Known(SILENCE, no_facts, about=_about_silence))
know(Known(DROP, no_facts, about=_about_drop))
