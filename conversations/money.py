"""Money as people write it: "4.2万", "42000", "三千", "约5000元"; kept as whole 0.01 yuan."""

import re
import unicodedata
from decimal import Decimal

DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "俩": 2}
UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8, "k": 1000, "w": 10**4}
MOST = 10**13
AROUND = re.compile(r"^(?:大约|大概|估计|预计|预算|总共|一共|差不多|约|人民币|cny|rmb|¥|￥|:)+")
AFTER = re.compile(r"(?:左右|上下|人民币|cny|rmb|yuan|元|块钱|块|圆|钱|整|吧)+$")
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
PART = re.compile(r"\d+(?:\.\d+)?|[零一二三四五六七八九两俩〇十百千万亿kw]")


def money_in(text: str) -> int | None:
    """The amount in 0.01 yuan; None if it is none, or not certain ("三四千", "3-5万")."""
    words = "".join(unicodedata.normalize("NFKC", text).lower().split()).strip("。.!，,")
    words = AFTER.sub("", AROUND.sub("", words))
    words = GROUPED.sub(lambda found: found[0].replace(",", ""), words)
    parts = PART.findall(words)
    if not parts or "".join(parts) != words:
        return None
    amount = _amount(parts)
    cents = amount * 100 if amount is not None else Decimal(-1)
    return int(cents) if cents == cents.to_integral_value() and 0 <= cents <= MOST else None


def _amount(parts: list[str]) -> Decimal | None:
    """The value of "4.2 万", "三 千 五" (3500), "三 千 零 五" (3005) or "42000"."""
    total, section = Decimal(0), Decimal(0)
    number: Decimal | None = None
    unit, gap = 0, False
    for part in parts:
        if part in UNITS:
            number, size, gap = number if number is not None else _lone(part, section), UNITS[part], False
            large = size >= UNITS["万"]
            if unit and size >= unit and not (large and unit < UNITS["万"]):
                return None
            if large:
                section += number or 0
                if not section or (total and section * size >= total):
                    return None
                total, section = total + section * size, Decimal(0)
            elif number is None:
                return None
            else:
                section += number * size
            number, unit = None, size
        elif number is not None and not gap:
            return None  # "三四千"
        else:
            gap = part in "零〇"
            number = Decimal(DIGITS[part]) if part in DIGITS else Decimal(part)
    if number is None:
        return total + section
    if unit and not _stands_alone(parts, number, unit):
        number *= unit // 10 if unit > 10 else 1
    return None if unit and number >= unit else total + section + number


def _lone(part: str, section: Decimal) -> Decimal | None:
    """What a unit without a number counts: 十 is ten, 万 takes what stands before it."""
    return Decimal(1) if part == "十" else None


def _stands_alone(parts: list[str], number: Decimal, unit: int) -> bool:
    """Whether the last number means itself: "4万500", "三千零五"; but "4万2" is 42000."""
    return number >= 10 or (len(parts) > 1 and parts[-2] in "零〇")


def yuan(cents: int) -> dict[str, str]:
    """The amount as each language writes it before or after its 元: 4.2 万 and 42,000, or 5,000.50."""
    whole, rest = divmod(cents, 100)
    plain = f"{whole:,}" + (f".{rest:02}" if rest else "")
    short = f"{Decimal(whole) / 10**4:f}"
    in_wan = whole >= 10**4 and not rest and len(short) <= len(plain) - 2
    return {"zh": f"{short} 万" if in_wan else f"{plain} ", "en": plain}
