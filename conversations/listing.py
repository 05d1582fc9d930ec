"""Listings: the questions, and what free or forwarded words say of kind, title, price and of a flat to let."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conversations.errors import Unclear
from conversations.money import money_in
from conversations.said import Said
from conversations.steps import (
    Answers,
    Applies,
    Choice,
    Confirm,
    Facts,
    Money,
    Number,
    Photos,
    Script,
    Step,
    Text,
    visible,
    with_more,
)
from conversations.work import Message

KINDS = ("rent", "sale", "wanted", "gift", "lost", "found")
PRICED = ("sale", "wanted")
LONGEST = 1500
LONGEST_TITLE = 40
MOST_PHOTOS = 6
HIGHEST = 10**10
"""The most that anything may cost, in 0.01 yuan."""
LARGEST = 2000
"""Of a home, in square metres."""
DETAILS = ("home", "building", "area", "deposit", "lets", "people")
"""What a rental shows beside its rent, in this order."""

# --- what words say ---------------------------------------------------------------------------------

CHINESE = "\u3400-\u9fff"
# What a clear offer begins with, or says of itself; the kinds in the order in which they are looked for.
CLEAR: dict[str, str] = {
    "gift": r"免费(?:送|转|领|拿|自取|赠)|赠送|白送|送人|求领养|待领养"
    r"|free to (?:a )?good home|giv(?:e|ing) away|for free",
    "found": r"捡到|拾到|捡着|捡了|招领|谁(?:家)?(?:的\S{0,8})?丢(?:了|的)"
    r"|\bfound (?:an?|some|the|keys?)\b|^found\b",
    "lost": r"寻物|寻(?:狗|猫|宠)|丢失|遗失|走丢|走失|弄丢|(?:丢|掉)了?(?:一|个|把|串|只|条|张)"
    r"|不见了.*(?:联系|看到|捡)|(?:看到|捡到|见到)的?.*(?:联系|告诉|酬谢)|^lost\b|\blost (?:an?|my|our|the)\b",
    "wanted": r"求(?:购|租|收|转让|一|个|辆|台|二手)|想(?:买|收|租|找)(?!个人|师傅)|诚收|高价收"
    r"|^收(?:购|一|个|台|辆|二手|闲置)|谁(?:家)?有\S{0,12}(?:出|卖|转|不用|闲置)"
    r"|有没有(?:人|邻居)?\S{0,8}(?:出|卖|转让|转手)|^wanted\b|\bwtb\b|\blooking (?:for|to buy)\b",
    "rent": r"出租(?!车)|招租|转租|整租|合租|招(?:合租)?室友|月租|房源|\bfor rent\b|\bto let\b|\bsublet\b",
    "sale": r"出售|转让|转卖|转手|闲置|低价(?:出|转)|(?:便宜|贱)(?:卖|出|转)"
    r"|(?:^|[\s，,。;；!！、】\]])(?:出|卖|转)(?=[一二两三四五六几个台张套把辆只条件自闲全旧\d])"
    r"|(?:想|要|打算)(?:卖|出掉|出手|转)|\bfor sale\b|\bselling\b|\bwts\b|^sell\b",
}
# What is less clear, and counts where it is known that something is to be published.
VAGUE: dict[str, str] = {
    "gift": r"送(?:给|邻居|掉)|不要钱|\bfree\b",
    "found": r"谁的",
    "lost": r"丢了|不见了|落在|找不到",
    "wanted": r"求|收|\bneed\b|\bwant\b",
    "rent": r"租(?!车)",
    "sale": r"(?:^|[\s，,。;；!！、】\]])[出卖转](?![水差门现来去入租了问错血])"
    r"|二手|成新|全新|包邮|自提|卖|\bsell\b|\bbrand new\b",
}
SOLD = re.compile(r"[出卖](?![水差门现来去入租了问错血口气火风事])|转让")
"""How an offer begins that is clear if it names a price, too."""
LEAD = re.compile(
    r"^(?:[【\[（(]?(?:出租(?!车)|招租|出售|转让|转卖|求购|求租|求收|免费赠?送|免费转|赠送|寻物启事|寻物|失物招领|招领"
    r"|捡到|拾到|丢失|遗失|出闲置|闲置|二手|出(?![水差门现来去入租了问错血])|卖|转|求|收)(?:了|个)?[】\]）)]?"
    r"|wanted|for sale|selling|free|found|lost|sell|looking for)\s*[:：,，、]?\s*",
    re.IGNORECASE,
)
CLAUSE = re.compile(rf"[，,。;；!！?？|]|(?<=[{CHINESE}\d])\s+(?=[{CHINESE}\d])")
COUNTED = re.compile(
    r"^(?:一|1\s*)[张台个辆套把只条件部盒袋块本箱串](?!\d)|^(?:an?|my|our|some)\s", re.IGNORECASE
)
SPACE = (
    r"车位|车库|商铺|门面|店面|储藏[室间]|储物[室间]|仓库|办公室?|写字楼|parking|garage|storage|shop|office"
)
ROOM = r"单间|主卧|次卧|合租|[一1]间(?:房|卧)|床位|室友|\broom\b(?!s)"
WHOLE = r"整租|整套|[一二两三四五1-5]\s*[室房居](?!间)|套房|公寓|whole|entire|\bflat\b|apartment"
LIVED_IN = r"住人|可住|居住|能住"
BARRED = re.compile(
    r"(?:厨房|卫生间|厕所|洗手间|阳台|地下储藏[室间])(?:改[造建]?|隔)?(?:成|出来)?(?:的)?(?:单间|房间|小间|卧室|间)?\s*"
    r"(?:出租|招租|转租|可住|能住|住人|有?床位)"
    r"|(?:出租|招租|转租)\s*(?:一[个间])?(?:厨房|卫生间|厕所|洗手间|阳台|地下储藏[室间])(?!.{0,4}(?:齐|全|独立))"
)
WITH = re.compile(r"[带有含配连共公独朝双两南北大小和及、,]|干湿")
"""Before it: the flat has one; it is not what is let."""
METRES = r"\s*(?:个?平方?米?|㎡|m2|m²|sqm|sq\.? ?m)"
AREA = re.compile(rf"(?<![\d.])(\d{{1,4}}(?:\.\d{{1,2}})?){METRES}", re.IGNORECASE)
ONLY_AREA = re.compile(
    rf"(?:约|大约|大概|about )?\s*(\d{{1,4}}(?:\.\d{{1,2}})?)(?:{METRES})?\s*(?:左右)?", re.IGNORECASE
)
DEPOSIT = re.compile(
    r"押[一二两三四半1-4][付押][一二两三四六年半1-6]|[免无零0]押金?(?:付[一三六])?"
    r"|押金\s*[\d一二两三四五六七八九十百千万]+\s*元?"
)
LETS = {
    "sublet": r"转租|sublet",
    "owner": r"(?:业主|房主|房东)(?:直租|本人|自[己租])|本人房|自有住?房|自家的?房|by owner",
}
PEOPLE = re.compile(r"(?:限|最多|不超过)住?\s*([1-9一二两三四五六])\s*(?:个)?人")
DIGITS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6}

NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d{1,2})?\s*(?:[千万kw](?:\d(?!\d))?)?"
    r"|[一二两三四五六七八九][百千万][零〇一二两三四五六七八九百千十]*|[一二三四五六七八九]?十[一二三四五六七八九]?"
)
OTHER_SUMS = (
    r"原价|入手价?|买时|买的|当时|官网|市场价|押金|定金|物业费|水电费?|邮费|运费|停车费|网费|酬谢|中介费"
)
"""What stands before an amount that is not asked for it now."""
ASKED = (
    r"自提价?|价格?|售价|一口价|转让价|打包价?|只要|仅要?|仅售|便宜[出卖]?|月租金?|租金|房租|预算|出价?|卖"
    r"|price|for|rent|rmb|budget"
)
AMOUNT = re.compile(
    rf"(?P<before>[¥￥$]\s*|(?:{OTHER_SUMS})[:：]?\s*|(?:{ASKED})\s*(?:是|为|[:：])?\s*)?"
    rf"(?<![\d.A-Za-z\-+])(?P<number>{NUMBER})(?![\d.])\s*"
    r"(?P<after>(?:元|块钱?|圆|rmb|yuan)(?:/|每|一个?)?月?|/\s*月|一个?月|每个?月|以[内下]|左右|包邮|自提|可[小刀]刀?"
    r"|不[议刀]|出(?!头)|a month|/\s*month)?",
    re.IGNORECASE,
)
NOT_PRICE = re.compile(rf"^(?:{OTHER_SUMS})")
UNIT = re.compile(
    r"^\s*(?:[米寸岁年月日号楼室平㎡%％个台张把辆套只条件本册双斤升瓦匹码成人层次天位新串房厅卫口款色英折]"
    r"|小?时|分钟?|公[斤里分]|[/.\-~～—至到xX*×](?=\s*\d)"
    r"|(?:cm|mm|kg|km|gb?|tb?|ml|l|m|w|v|inch|years?|months?|days?|pm|am)(?![a-z]))",
    re.IGNORECASE,
)
"""What after a number makes it no price."""
SURE, LIKELY, LONE = range(3)


def kind_in(text: str, *, clear: bool = False) -> str:
    """The kind of listing that words are, or empty; `clear`: only if they could hardly be anything else."""
    words = _plain(text)
    for patterns in (CLEAR,) if clear else (CLEAR, VAGUE):
        for kind, pattern in patterns.items():
            if re.search(pattern, words):
                return kind
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().strip()


def price_in(text: str) -> int | None:
    """The one amount that is asked or offered, in 0.01 yuan; None if there is none, or several."""
    found = list(_amounts(unicodedata.normalize("NFKC", text)))
    surest = min((rank for rank, _ in found), default=LONE)
    amounts = {cents for rank, cents in found if rank == surest}
    return amounts.pop() if len(amounts) == 1 else None


def _amounts(text: str) -> Iterator[tuple[int, int]]:
    """The amounts in words, each with how surely it is a price."""
    for match in AMOUNT.finditer(text):
        before, after = (match["before"] or "").strip().lower(), (match["after"] or "").strip().lower()
        cents = money_in(match["number"])
        if cents is None or not 0 < cents <= HIGHEST or NOT_PRICE.match(before):
            continue
        if not after and UNIT.match(text[match.end("number") :]):
            continue
        digits = re.sub(r"\D", "", match["number"])
        if len(digits) > 6 and not before and not after:
            continue  # a telephone number
        marked = before[:1] in "¥￥$" if before else False
        if marked or re.match(r"元|块|圆|rmb|yuan|/|一个?月|每个?月|a month", after):
            yield SURE, cents
        elif before or after:
            yield LIKELY, cents
        elif text[match.start("number") - 1 : match.start("number")] in ROOMS:
            continue
        elif _ends_clause(text, match.end("number")) and (
            digits or _begins_clause(text, match.start("number"))
        ):
            yield LONE, cents


ROOMS = ("楼", "栋", "座", "幢", "元")
"""Before a number: it is a room."""
BREAKS = " \n，,。;；!！、"


def _ends_clause(text: str, end: int) -> bool:
    return not text[end:].strip() or text[end] in BREAKS


def _begins_clause(text: str, start: int) -> bool:
    return not text[:start].strip() or text[start - 1] in BREAKS


def title_in(text: str) -> str:
    """The first clause as a title, without what only says the kind; empty if there is no word in it."""
    lines = [each.strip() for each in visible(text).splitlines() if _has_word(each)]
    bare = [COUNTED.sub("", LEAD.sub("", each, count=1), count=1).strip() for each in lines]
    line = next(filter(_has_word, [*bare, *lines]), "")
    ends = [found.start() for found in CLAUSE.finditer(line)]
    title = next((begun for end in ends if _has_word(begun := line[:end].strip())), line)
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def _has_word(text: str) -> bool:
    """Whether there are two letters or digits in it: marks and emoji alone are no title."""
    return sum(each.isalnum() for each in text) > 1


def home_in(text: str) -> str:
    """What is let: a whole flat, a room, or a space in which nobody lives."""
    words = _plain(text)
    kinds = {"space": SPACE, "room": ROOM, "whole": WHOLE}
    found = [kind for kind, pattern in kinds.items() if re.search(pattern, words)]
    if re.search(LIVED_IN, words):
        found = [kind for kind in found if kind != "space"]
    if "space" in found and len(found) > 1:  # a flat that has a garage, too
        found.remove("space")
    return found[0] if found else ""


def is_barred(text: str) -> bool:
    """Whether a kitchen, bathroom, balcony or underground store is let to live in, which the law forbids."""
    words = _plain(text)
    if home_in(words) == "space":
        return False
    return any(
        not WITH.search(words[max(0, found.start() - 3) : found.start()]) for found in BARRED.finditer(words)
    )


def read(text: str) -> Answers:
    """The answers that free words give; of a price both what it is for goods and for a home to let."""
    words = unicodedata.normalize("NFKC", text)
    area, deposit, people = AREA.search(words), DEPOSIT.search(words), PEOPLE.search(words)
    lets = [who for who, pattern in LETS.items() if re.search(pattern, _plain(text))]
    price = price_in(text)
    found: dict[str, Any] = {
        "kind": kind_in(text),
        "title": title_in(text),
        "price": price,
        "rent": price,
        "home": home_in(text),
        "area": _area(area[1]) if area is not None else "",
        "deposit": deposit[0] if deposit is not None else "",
        "lets": lets[0] if lets else "",
        "people": (DIGITS.get(people[1]) or int(people[1])) if people is not None else None,
    }
    return {name: answer for name, answer in found.items() if answer not in ("", None)}


def filled(answers: Answers) -> Answers:
    """The answers with what the words of the listing give besides; what was read of earlier words is read anew."""
    before = answers.get("read") or {}
    said = {
        name: answer for name, answer in answers.items() if before.get(name) != answer or name not in before
    }
    said.pop("read", None)
    found = {name: answer for name, answer in read(said.get("text") or "").items() if name not in said}
    return {**said, **found, "read": found}


def offers(text: str) -> bool:
    """Whether a free sentence clearly offers, looks for, has lost or has found something."""
    clear = kind_in(text, clear=True) or (SOLD.match(_plain(text)) and price_in(text) is not None)
    return bool(clear) and bool(title_in(text)) and len(text) <= LONGEST


# --- the questions ----------------------------------------------------------------------------------


@dataclass(frozen=True, init=False)
class Kind(Choice):
    """The kind, or at once the whole listing in one's own words, which must not be too long to stand there."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        words = visible(said.text)
        if chosen is None and len(words) > LONGEST:
            raise Unclear("unclear.long", max=LONGEST, length=len(words))
        return super().read(said, chosen, before)


@dataclass(frozen=True, kw_only=True)
class Title(Text):
    """A few words, of which two characters at least can be read aloud."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        words = " ".join(str(super().read(said, chosen, before)).split())
        if not _has_word(words):
            raise Unclear("unclear.title")
        return words


@dataclass(frozen=True, kw_only=True)
class Price(Money):
    """What is asked or offered; more than nothing, since a gift is a kind of its own."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        if not visible(said.text):
            raise Unclear("unclear.text")
        cents = money_in(said.text)
        if cents is None:
            cents = price_in(said.text)
        if cents is None or not 0 < cents <= HIGHEST:
            raise Unclear("unclear.listing_price")
        return cents


@dataclass(frozen=True, kw_only=True)
class Area(Text):
    """An area in square metres, as people write it."""

    def read(self, said: Said, chosen: str | None, before: Any) -> Any:
        words = unicodedata.normalize("NFKC", visible(said.text)).strip()
        found = ONLY_AREA.fullmatch(words)
        area = _area(found[1]) if found is not None else ""
        if not area:
            raise Unclear("unclear.area")
        return area


def _area(number: str) -> str:
    """The number, if it can be the area of a home; else empty."""
    return number if 1 <= float(number) <= LARGEST else ""


def _of_kind(*kinds: str) -> Applies:
    def applies(answers: Answers, facts: Facts) -> bool:
        return answers.get("kind") in kinds

    return applies


def spoken(answers: Answers, facts: Facts) -> bool:
    """It was said outside any talk: whether it was meant for the board is asked first."""
    return bool(answers.get("spoken"))


def to_live_in(answers: Answers, facts: Facts) -> bool:
    """A home or a room is let, not a parking space or a shop."""
    return answers.get("kind") == "rent" and answers.get("home") in ("whole", "room")


def of_several_buildings(answers: Answers, facts: Facts) -> bool:
    """A home is let by somebody who has homes in several buildings."""
    return to_live_in(answers, facts) and len(facts["buildings"]) > 1


def free_listing(step: str, text: str, answers: Answers, facts: Facts) -> Answers:
    """Free words where the kind, or photos, were asked are what the listing says, or more of it."""
    words = with_more(answers.get("text"), text)
    if step not in ("meant", "kind", "photos") or len(words) > LONGEST:
        return {}
    kind = kind_in(words) if step == "kind" else ""
    return {"text": words, **({"kind": kind} if kind else {})}


def _steps(*, first: dict[str, Step]) -> dict[str, Step]:
    return {
        **first,
        "kind": Kind(*KINDS),
        "text": Text(min=2, max=LONGEST),
        "title": Title(max=LONGEST_TITLE),
        "price": Price(optional=True, when=_of_kind(*PRICED)),
        "home": Choice("whole", "room", "space", when=_of_kind("rent")),
        "rent": Price(when=_of_kind("rent")),
        "deposit": Text(max=40, source="deposits", when=to_live_in),
        "area": Area(max=20, when=to_live_in),
        "building": Choice(source="buildings", by_value=True, when=of_several_buildings),
        "lets": Choice("owner", "family", "sublet", when=to_live_in),
        "people": Number(most=20, when=to_live_in),
        "photos": Photos(most=MOST_PHOTOS, optional=True),
        "sure": Confirm(),
    }


LISTING = Script(
    name="listing",
    finish="listing.publish",
    free=free_listing,
    steps=_steps(first={"meant": Choice("publish", "repair", yes="publish", when=spoken)}),
)

PARTS = (
    "text",
    "title",
    "kind",
    "price",
    "home",
    "rent",
    "deposit",
    "area",
    "building",
    "lets",
    "people",
    "photos",
)
"""What of a listing can be changed, as far as it has it."""


def still_asked(answers: Answers, facts: Facts) -> bool:
    """It has not been said yet what is to be changed first."""
    return not answers.get("chosen")


# What of a listing is changed, and then the last look at all of it.
CHANGE_LISTING = Script(
    name="change_listing",
    finish="listing.changed",
    words="listing",
    free=free_listing,
    steps=_steps(first={"part": Choice(source="parts", when=still_asked)}),
)

# A neighbour writes to who published it, and says why something should not stand there.
ASK_ABOUT = Script(name="ask_about", finish="listing.wrote", steps={"message": Message(max=1000)})

WHY_REPORTED = Script(name="why_reported", finish="listing.explained", steps={"why": Text(min=2, max=300)})
