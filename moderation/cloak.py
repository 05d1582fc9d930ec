"""Undoes what hides words from a rule: look-alikes, pictures, pieces, separators, numbers in words, and sounds.

Nothing here lists what somebody once hid. Every trick is undone for whatever text, and the places are kept, so that a
verdict can show the words as their author wrote them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ahocorasick_rs import AhoCorasick

from moderation.text import HAN, Read, cut, read

RULES = Path(__file__).parent / "rules"

_LETTERS = {
    **dict(zip("авсԁеһіјкӏмпорԛгѕтуѵԝхз", "abcdehijklmnopqrstuvwx3", strict=True)),
    **dict(zip("αβεικνορτυχωη", "abeiknoptuxwn", strict=True)),
    **{chr(0x1F150 + place): letter for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")},
    **{chr(0x1F170 + place): letter for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")},
    **{chr(0x1F1E6 + place): letter for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")},
    **{chr(0x2776 + place): str(place + 1) for place in range(9)},
    **{chr(0x2780 + place): str(place + 1) for place in range(9)},
    **{chr(0x278A + place): str(place + 1) for place in range(9)},
}
_PICTURES = dict(
    zip(
        "➕✚✛✙➖🐷🐖🐽🐶🐕🐴🐎🐔🐓🐮🐂🐄🐢🐍🐭🐟🐠🐦🦆🦢🔫💊🔪🗡💩✉🛰🉑🈶🈚🈲🐻🐵🐒💣🧨👮💵💴🚬🍚🚗🏠",
        "加加加加减猪猪猪狗狗马马鸡鸡牛牛牛龟蛇鼠鱼鱼鸟鸭鹅枪药刀刀屎信微可有无禁熊猴猴炸爆警钱钱烟饭车房",
        strict=True,
    )
)
# One character for one, so that the places stay. The last are mistaken for 微 in 微信, and used so.
_LIKE = dict(
    zip(
        "卄仩丅岀髙収囯圀夶亣亽朩氺伱沵莪峩哋菂喑仝孑曰囬炛迏汏尐吥鈈",
        "开上下出高收国国大大人木水你你我我地的音同子日回光达大小不不",
        strict=True,
    )
)
_SHAPES = str.maketrans(_LETTERS | _PICTURES | _LIKE | dict.fromkeys("徵徴嶶溦", "微") | {"🅥": "v"})

# Pictures between two characters of a word say nothing there. Those that a rule may ask for are kept.
_PICTURE = "[\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u29ff\u2b00-\u2bff\U0001f000-\U0001faff]"
KEPT = "🎰🎲🃏🀄❄🍬🍃🌿🍁🔞🍄🧊🧧"
_SIGN = f"(?:(?![{KEPT}]){_PICTURE}|[*_|·•・^`#+=丨/~\\\\-])"
_MARKS = r"[\s.,。·•・|丨/\\_~*^`'\"#+=!?;:、()\[\]{}<>「」【】《》—–-]{1,3}"
_FILLED = re.compile(f"(?<=[{HAN}]) ?(?:{_SIGN} ?)+(?=[{HAN}])")
# 刷，单，返，佣 · 信用/卡套/现: short pieces one after another, each cut from the next.
_CHOPPED = re.compile(
    f"(?<![{HAN}])[{HAN}](?:{_MARKS}[{HAN}]){{2,}}(?![{HAN}])"
    rf"|(?<![{HAN}])[{HAN}]{{1,2}}(?P<mark>[./\\~| -])[{HAN}]{{1,2}}(?:(?P=mark)[{HAN}]{{1,2}})+(?![{HAN}])"
)
# V X · w.e.i.x.i.n · 加/V/送
_LETTERED = re.compile(
    r"(?<![a-z0-9])[a-z](?:[ ./_*+·-]{1,2}[a-z])+(?![a-z0-9])"
    f"|(?<=[{HAN}])[ ./_*+·-]{{1,2}}(?=(?:v|vx|wx|w|q|qq|tg)(?![a-z]))"
)
# Nobody writes these by accident: hidden characters within a word, marks within words time and again, letters of other
# scripts among characters, a picture for a letter.
_DELIBERATE = re.compile(
    f"(?<=[{HAN}])[\u200b-\u200f\u2060\ufeff\u00ad]+(?=[{HAN}])"
    f"|(?<=[{HAN}])(?P<mark>[*_|.·•/\\\\^~+-])[{HAN}](?:(?P=mark)[{HAN}])+"
    f"|[➕✚🐷🐶🛰🅥🅠卄仩丅岀髙収囯夶亣亽朩氺伱沵莪]|[а-яѵ𝐀-𝟋ⓐ-ⓩⓋ]"
    f"|(?<![{HAN}])[{HAN}](?:[、，,。；;：:]{{1,2}}[{HAN}]){{3,}}(?![{HAN}])"
    f"|(?<=[{HAN}]) [{HAN}](?: [{HAN}]){{2,}}(?![{HAN}])|(?:^|\n)[{HAN}]\n[{HAN}](?:\n[{HAN}])+"
)
# Marks between characters, letters one by one, numbers in words: a text with these is read with care.
_ODD = re.compile(
    f"(?<=[{HAN}])[\\s*_|·./~^`#+=-]{{1,3}}(?=[{HAN}])|(?<![A-Za-z])[A-Za-z][ ./_*+·-]{{1,2}}[A-Za-z](?![A-Za-z])"
)
_ALONE = re.compile(f"(?<![{HAN}])[{HAN}][、，,。；;：:]{{1,2}}[{HAN}][、，,。；;：:]")
# Most messages have none of these: a search for one character after another is quick.
_MAY_BE_ODD = re.compile(r"[\s*_|·./~^`#+=-]")
_MAY_BE_ALONE = re.compile(
    f"[、，,。；;：:零一二三四五六七八九幺](?:(?<=[、，,。；;：:])[{HAN}][、，,。；;：:]|[零一二三四五六七八九幺]{{6}})"
)
_NUMBER = re.compile("[零一二三四五六七八九幺]{7}")
_LATIN = re.compile("[A-Za-z]{2}")
_USUAL = " \n.,:;!?()-/~%@#&*'\"=_<>，。！？：；、（）“”‘’《》【】…—～·￥"
_MARK = re.compile(f"[^{HAN}a-z0-9]+")
_DIGITS = str.maketrans("〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖ol", "00123456789112345678901")
_COUNTED = re.compile(
    r"[0-9〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖](?:[ .-]?[0-9ol〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖]){6,}"
)

_VETOED = 2  # so short a word that sounds like one of a rule is only a hint


@dataclass(frozen=True, slots=True)
class Heard:
    """A place of a text that sounds like a word of a rule and is written otherwise."""

    word: str
    start: int
    end: int
    mixed: bool  # some of it is spelled in Latin letters: nobody writes so by accident


def is_plain(text: str) -> bool:
    """Whether a text is written as most are, so that its words can be looked for as it stands."""
    unusual, unlike, may_be_pieces = _prefilters()
    return not (
        (
            # Most messages have neither Latin letters nor marks that may stand within a word.
            unlike.search(text)
            and (
                unusual.search(text)
                or (_MAY_BE_ODD.search(text) and _ODD.search(text))
                or (_LATIN.search(text) and is_spelled(text.lower()))
            )
        )
        or (_MAY_BE_ALONE.search(text) and (_ALONE.search(text) or _NUMBER.search(text)))
        or (may_be_pieces.search(text) and _pieces()[0].find_matches_as_indexes(text))
    )


@lru_cache(maxsize=1)
def _prefilters() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Any character that may stand for another; the same or any that may stand within a word; any two pieces."""
    characters, _ = _syllables()
    own = set(map(chr, characters)) | set(string.ascii_letters + string.digits + _USUAL)
    usual = own - set(map(chr, _SHAPES))
    within = {one for one in usual if _MAY_BE_ODD.search(one) or one in string.ascii_letters}
    unusual, unlike = (re.escape("".join(sorted(ones))) for ones in (usual, usual - within))
    first, second = (
        re.escape("".join(dict.fromkeys(ones))) for ones in zip(*(pair for pair, _ in _pairs()), strict=True)
    )
    return re.compile(f"[^{unusual}]"), re.compile(f"[^{unlike}]"), re.compile(f"[{first}][{second}]")


def uncloak(text: str) -> tuple[Read, int]:
    """Read a text and undo what hides its words; also how much of it was hidden in ways that are no accident."""
    said = read(text.translate(_SHAPES))
    tricks = len(_DELIBERATE.findall(text))
    plain, offsets, tails = said.plain, said.offsets, said.tails
    if not plain.isascii():
        gaps = [found.span() for found in _FILLED.finditer(plain)]
        for found in _CHOPPED.finditer(plain):
            gaps += _marks(plain, *found.span())
        plain, offsets = _without(plain, offsets, sorted(set(gaps)))
        plain, offsets, tails = _joined(plain, offsets)
        tricks += len(tails)
        if _COUNTED.search(plain):
            counted = _COUNTED.sub(lambda found: found.group().translate(_DIGITS), plain)
            tricks += counted != plain
            plain = counted
    gaps = [gap for found in _LETTERED.finditer(plain) for gap in _marks(plain, *found.span())]
    plain, offsets = _without(plain, offsets, gaps)
    return Read(plain, text, offsets, tails), tricks


def _marks(plain: str, start: int, end: int) -> list[tuple[int, int]]:
    return [found.span() for found in _MARK.finditer(plain, start, end)]


def _without(
    plain: str, offsets: tuple[int, ...] | None, gaps: list[tuple[int, int]]
) -> tuple[str, tuple[int, ...] | None]:
    return cut(plain, tuple(offsets or range(len(plain))), gaps) if gaps else (plain, offsets)


def _joined(
    plain: str, offsets: tuple[int, ...] | None
) -> tuple[str, tuple[int, ...] | None, Mapping[int, int]]:
    """Characters that were written in pieces become whole; also where the last pieces stand."""
    automaton, wholes = _pieces()
    found = automaton.find_matches_as_indexes(plain)
    if not found:
        return plain, offsets, {}
    places = offsets or tuple(range(len(plain)))
    parts: list[str] = []
    kept: list[int] = []
    at = 0
    for index, start, end in found:
        parts += (plain[at:start], wholes[index])
        kept += places[at : start + 1]
        at = end
    tails = {places[start]: places[end - 1] for _, start, end in found}
    return "".join([*parts, plain[at:]]), (*kept, *places[at:]), tails


@lru_cache(maxsize=1)
def _pieces() -> tuple[AhoCorasick, list[str]]:
    pairs = _pairs()
    return AhoCorasick([pair for pair, _ in pairs]), [whole for _, whole in pairs]


def _pairs() -> list[tuple[str, str]]:
    return [
        (first + rest[0], rest[1])
        for line in (RULES / "splits.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
        for first, *others in [line.split(" ")]
        for rest in others
    ]


@lru_cache(maxsize=1)
def _syllables() -> tuple[dict[int, str], dict[str, str]]:
    """One sign for each sound: by character, and by its spelling. Sounds that are confused are the same."""
    characters: dict[int, str] = {}
    spellings: dict[str, str] = {}
    signs: dict[str, str] = {}
    for line in (RULES / "sounds.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        spelling, same = line.split(" ")
        sign = signs.setdefault(_confused(spelling), chr(0xE000 + len(signs)))
        spellings[spelling] = sign
        characters.update({ord(one): sign for one in same})
    return characters, spellings


def _confused(spelling: str) -> str:
    """微信 and 威兴, 四 and 是."""
    spelling = re.sub("^([zcs])h", r"\1", spelling)
    return re.sub("(?<=[ie])ng$", "n", spelling)


class Ear:
    """Finds what sounds like some words; built once with the rules."""

    def __init__(self, words: list[str]) -> None:
        characters, _ = _syllables()
        self._words = [
            word for word in words if len(word) >= _VETOED and all(ord(one) in characters for one in word)
        ]
        self._automaton = AhoCorasick([word.translate(characters) for word in self._words])

    def hear(self, plain: str) -> Iterator[Heard]:
        """Where `plain` sounds like a word and is not it."""
        characters, _ = _syllables()
        sounds, places = plain.translate(characters), None
        if _LATIN.search(plain) and is_spelled(plain):
            sounds, places = _spelled(sounds)
        for index, start, end in self._automaton.find_matches_as_indexes(sounds, overlapping=True):
            first, last = (places[start], places[end]) if places else (start, end)
            word = self._words[index]
            if plain[first:last] != word and not _is_cut(plain, first, last):
                yield Heard(word, first, last, last - first != len(word))


def _is_cut(plain: str, first: int, last: int) -> bool:
    """Whether a piece of a longer word in Latin letters was heard: mo te in remote."""
    letters = string.ascii_lowercase
    return (first > 0 and plain[first - 1] in letters and plain[first] in letters) or (
        last < len(plain) and plain[last] in letters and plain[last - 1] in letters
    )


_RUN = re.compile("[a-z]{2,}(?:[ '][a-z]+)*")


def is_spelled(plain: str) -> bool:
    """Whether Latin letters may stand for sounds here: 裸liao, jia我."""
    return any(_spell(run.group()) for run in _RUN.finditer(plain))


def _spelled(sounds: str) -> tuple[str, list[int]]:
    """Latin letters that spell syllables become their signs; with the place of each sign, and of the end."""
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for run in _RUN.finditer(sounds):
        signs = _spell(run.group())
        if signs:
            parts += (sounds[at : run.start()], *(sign for sign, _ in signs))
            places += (*range(at, run.start()), *(run.start() + place for _, place in signs))
            at = run.end()
    return "".join([*parts, sounds[at:]]), [*places, *range(at, len(sounds) + 1)]


@lru_cache(maxsize=4096)
def _spell(letters: str) -> tuple[tuple[str, int], ...]:
    """Letters as syllables, the longest first; nothing if they are no syllables."""
    _, spellings = _syllables()
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(letters):
        if letters[at] in " '":
            at += 1
            continue
        for size in range(min(6, len(letters) - at), 0, -1):
            if letters[at : at + size] in spellings:
                found.append((spellings[letters[at : at + size]], at))
                at += size
                break
        else:
            return ()
    return tuple(found)
