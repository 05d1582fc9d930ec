"""Whether two short names mean the same kind of thing: 充电桩 and 电动车充电桩, "EV chargers" and "charger"."""

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache

from moderation.segment import boundaries
from moderation.text import HAN, read

LONGEST, LONGEST_SAID = 500, 2000
_PARTS = re.compile(f"[{HAN}]+|[a-z]+")
# They say where, for whom, how or that it shall come: things that share only these are not alike.
_COMMON = frozenset(
    """
    设备 设施 器材 系统 装置 工程 项目 公共 公用 共用 小区 社区 园区 物业 业主 居民 老人 儿童
    一个 一台 一些 一套 几个 多个 我们
    楼道 楼下 楼上 楼栋 单元 车库 门口 大厅 地下 地上 地面 室内 室外 户外
    附近 旁边 东侧 西侧 南侧 北侧 东边 西边 南边 北边
    智能 自动 电动 新型 新能源 电动车 电瓶车 电动汽车 汽车 自行车 单车 停车
    安装 加装 增设 增加 新增 更换 更新 添置 购买 采购 改造 升级 维修 申请 需要 希望 建议
    equipment facility device system public common electric smart automatic ev car bike
    building block community new old more some the and for with near from into our
    please buy install add replace want need
    """.split()  # noqa: SIM905 - a list of so many words is not to be read
)
# Different words for one kind, also across the languages.
_GROUPS = (
    ("电梯", "升降机", "lift", "elevator"),
    ("充电桩", "充电站", "充电口", "充电插座", "charger", "charging"),
    ("监控", "摄像头", "摄像机", "camera", "cctv"),
    ("门禁", "intercom"),
    ("道闸", "车闸", "barrier"),
    ("路灯", "streetlight", "lamppost"),
    ("快递柜", "locker"),
    ("垃圾桶", "垃圾箱", "bin"),
    ("除颤仪", "除颤器", "aed", "defibrillator"),
    ("健身", "gym", "fitness"),
    ("水泵", "pump"),
    ("长椅", "座椅", "bench"),
)
_SAME = {word: group[0] for group in _GROUPS for word in group}
_CALLED = {group[0]: group for group in _GROUPS}


def alike(a: str, b: str) -> bool:
    """Whether two names, or a name and a short description, share a word that says what it is."""
    one, other = plain(a), plain(b)
    if not one or not other:
        return False
    if one == other:
        return True
    words, others = _telling(one), _telling(other)
    if words & others:
        return True
    return any(_is_in(word, other) for word in words) or any(_is_in(word, one) for word in others)


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody's words, read once to be compared with many names."""

    han: str
    latin: frozenset[str]


def said(text: str) -> Said:
    """Words as `names` compares them."""
    words = plain(text, LONGEST_SAID)
    return Said(words, frozenset(_singular(word) for word in words.split(" ") if word.isascii()))


def names(thing: str, words: Said) -> bool:
    """Whether somebody's words name the thing: 充电桩坏了 names 电动车充电桩."""
    return any(word in (words.latin if word.isascii() else words.han) for word in _called(thing))


@lru_cache(maxsize=1024)
def _called(thing: str) -> tuple[str, ...]:
    """By which words a thing is named; what has none that is telling, by its whole name."""
    own = plain(thing)
    telling = {each for word in _telling(own) for each in _CALLED.get(word, (word,))}
    return tuple(telling) or tuple(filter(None, [own]))


def _is_in(word: str, plain: str) -> bool:
    """English words count as wholes: there is no car in a card reader."""
    return not word.isascii() and word in plain


def plain(name: str, most: int = LONGEST) -> str:
    """The words of a name, simplified and small, without numbers and marks."""
    return " ".join(_PARTS.findall(read(name[:most]).plain))


@lru_cache(maxsize=4096)
def _telling(plain: str) -> frozenset[str]:
    """The words of two letters or more that say what a thing is."""
    words: set[str] = set()
    for part in plain.split(" "):
        found = [_singular(part)] if part.isascii() else _chinese(part)
        words.update(_SAME.get(word, word) for word in found if len(word) > 1 and word not in _COMMON)
    return frozenset(words)


def _chinese(part: str) -> list[str]:
    """Words; a single character is no word of a name, but the end of the one before it: 充电 + 桩."""
    places = sorted(boundaries(part))
    words: list[str] = []
    for start, end in itertools.pairwise(places):
        if end - start == 1 and words:
            words[-1] += part[start:end]
        else:
            words.append(part[start:end])
    return words


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
