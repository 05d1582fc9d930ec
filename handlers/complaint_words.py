"""What everybody reads of words that nobody may hold back: all but abuse and private data, which is masked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import col, select

import moderation.conduct
from handlers import judge
from handlers.conduct import because
from handlers.masking import without_numbers, without_private
from handlers.people import homes_of, roles_of
from handlers.tx import Tx
from moderation.rulebook import CommunityRule
from moderation.urgency import Why
from store.tables import Home, Person

MASK = "***"
ABUSE = "insult"
TONELESS = CommunityRule("tone", silenced=True)
ROUNDS = 6
"""So often a text is judged anew without the words that decided before."""
AT_WORK = {"staff", "crew", "manager"}
"""Whose names may stand there: it is their work that is spoken of."""
SHORTEST_NAME = 2
# Rooms as people write them behind a building: 3号楼201, 3-2-1201.
BEHIND_BUILDING = re.compile(r"(?<=[楼栋幢座])(\s*)\d{3,4}(?![\d元块米])|(?<=\d-\d-|-\d\d-)()\d{3,4}(?!\d)")
# Whose car it is, a plate says: 京A12345, 沪AD12345, 京A·12345.
PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]\s?[A-Z]{1,2}\s?[·.\-]?\s?"
    r"(?=[A-Z]{0,5}\d)[A-Z0-9]{5,6}(?![A-Z0-9])",
    re.IGNORECASE,
)
BARE = re.compile(
    r"(?<![\d.A-Za-z¥￥$\-/:：])\d{3,4}(?![\d.A-Za-z%％\-/:：]|\s*(?:元|块|年|月|日|天|次|个|户|人|米|平|点|分|度|号文))"
)


@dataclass(frozen=True)
class Masked:
    """Words as everybody reads them, and why something of them is masked, each reason in every language."""

    shown: str
    why: list[dict[str, str]]

    @property
    def says_something(self) -> bool:
        """Whether any word is left to read."""
        return any(each.isalnum() for each in self.shown)


def masked(tx: Tx, community_id: int, whose: Person | None, text: str) -> Masked:
    """Words that are published whatever they say; `whose` complaint it is, whose name and rooms are masked, too."""
    shown, decided = _without_abuse(tx, community_id, text)
    why = judge.in_every_language(
        lambda language: [because(tx, community_id, each, language) for each in decided(language)]
    )
    unplated = PLATE.sub(MASK, shown)
    plain = without_numbers(unplated)
    roomless = _without_rooms(tx, community_id, whose, plain)
    nameless = _without_names(tx, community_id, whose, roomless)
    if unplated != shown:
        why += _in_every_language(tx, community_id, "complaint.why_plate")
    if plain != unplated:
        why += _in_every_language(tx, community_id, "complaint.why_number")
    if roomless != plain:
        why += _in_every_language(tx, community_id, "complaint.why_room")
    if nameless != roomless:
        why += _in_every_language(tx, community_id, "complaint.why_name")
    return Masked(nameless, why)


def _in_every_language(tx: Tx, community_id: int, key: str) -> list[dict[str, str]]:
    return judge.in_every_language(lambda language: [tx.reader(community_id, language).say(key)])


# --- abuse ------------------------------------------------------------------------------------------


def _findings(tx: Tx, community_id: int) -> Callable[..., list[Why]]:
    """What breaks a rule in a text, by the rules of the file and what staff silenced in them.

    A word that staff added must not blacken what is said of them. Where abuse is named, the second opinion is not
    asked: an angry complaint sounds calm beside what it was taught, and its author loses that word alone.
    """
    silenced = tuple(each for each in judge.own_rules(tx, community_id, "conduct") if each.silenced)
    rules = judge.compiled("conduct", silenced)
    toneless = judge.compiled("conduct", (*silenced, TONELESS))

    def find(text: str, language: str = "zh") -> list[Why]:
        named = moderation.conduct.judge(text, toneless, language)
        verdict = named if named.category == ABUSE else moderation.conduct.judge(text, rules, language)
        return [] if verdict.verdict == "ok" else [why for why in verdict.why if why.rule != TONELESS.id]

    return find


def _without_abuse(tx: Tx, community_id: int, text: str) -> tuple[str, Callable[[str], Sequence[Why]]]:
    """The text without the words that break a rule, and what gives the reasons in a language.

    What merely sounds so stays: nobody waits for a decision here.
    """
    find, shown, judged = _findings(tx, community_id), text, list[str]()
    for _ in range(ROUNDS):
        words = _deciding(find(shown))
        if not words:
            break
        judged.append(shown)
        for word in sorted(words, key=len, reverse=True):
            shown = shown.replace(word, MASK)

    def decided(language: str) -> list[Why]:
        found = [why for each in judged for why in find(each, language)]
        rules_of = dict.fromkeys(why.rule for why in found)
        return [_joined([why for why in found if why.rule == rule]) for rule in rules_of]

    return shown, decided


def _deciding(found: Sequence[Why]) -> set[str]:
    """The words to be masked: not whom abuse is aimed at (保安, 物业), or nobody could read whose work it is about."""
    words = {word for why in found for word in why.words if word.strip("* ")}
    return {word for word in words if not _is_aimed_at(word)} or words


def _is_aimed_at(word: str) -> bool:
    """Whether a word only says of whom something is said: 保安, or 保安都是."""
    rules = moderation.conduct.standard()
    saying = rules.shapes.get("you_are")
    return rules.groups_of(word) == ("target",) or (saying is not None and saying.fullmatch(word) is not None)


def _joined(same: Sequence[Why]) -> Why:
    """One reason for all that a rule found."""
    words = tuple(dict.fromkeys(word for why in same for word in why.words))
    return Why(same[0].rule, words, same[0].sentence)


# --- private data -----------------------------------------------------------------------------------


def without_people(tx: Tx, community_id: int, text: str) -> str:
    """Words for strangers: without numbers, rooms of the community, and the names of who lives there."""
    return _without_names(tx, community_id, None, _without_rooms(tx, community_id, None, text))


def _without_rooms(tx: Tx, community_id: int, whose: Person | None, text: str) -> str:
    """Without rooms, named as such, behind a building, or as a bare number that is a room of the community."""
    text = BEHIND_BUILDING.sub(lambda found: f"{found[1] or ''}{MASK}", text)
    text = without_private(tx, None, text)
    for home in homes_of(tx, whose) if whose is not None else ():
        if not home.room.isdecimal() and len(home.room) >= SHORTEST_NAME:
            text = text.replace(home.room, MASK)
    numbers = set(BARE.findall(text))
    if not numbers:
        return text
    rooms = select(Home.room).where(Home.community_id == community_id, col(Home.room).in_(numbers))
    known = set(tx.session.exec(rooms.distinct()))
    return BARE.sub(lambda found: MASK if found[0] in known else found[0], text)


def _without_names(tx: Tx, community_id: int, whose: Person | None, text: str) -> str:
    """Without the name of whose complaint it is and of neighbours; who works for the community is named."""
    plain = text.lower()
    there = [who for who, name in _people(tx, community_id) if name in plain]
    for person in sorted(_rows(tx, there), key=lambda each: len(each.name), reverse=True):
        own = whose is not None and person.id == whose.id
        if len(person.name) >= SHORTEST_NAME and (own or not roles_of(tx, person) & AT_WORK):
            text = _pattern(person.name).sub(MASK, text)
    return text


def _people(tx: Tx, community_id: int) -> Sequence[tuple[int, str]]:
    """Everybody's name in lower case: to look for each in the words is quicker than to let the database do it."""
    named = select(Person.id, Person.name).where(Person.community_id == community_id, Person.name != "")
    return tx.once(
        "names", community_id, lambda: [(who, name.lower()) for who, name in tx.session.exec(named).all()]
    )


def _rows(tx: Tx, ids: Sequence[int]) -> Sequence[Person]:
    return tx.session.exec(select(Person).where(col(Person.id).in_(ids))).all() if ids else []


def _pattern(name: str) -> re.Pattern[str]:
    """A name of letters is no part of a longer word."""
    exact = re.escape(name)
    return re.compile(rf"(?<![A-Za-z]){exact}(?![A-Za-z])" if name.isascii() else exact, re.IGNORECASE)
