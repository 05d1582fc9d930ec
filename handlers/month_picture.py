"""The picture of a month's numbers, to be read on a phone: a few large numbers, each with the bars of the last months.

Pure, and drawn with what `drawing.py` has. First everything gets its place, then it is painted.
"""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from conversations.words import Reader
from handlers.drawing import (
    GREEN,
    GREY,
    INNER,
    LEADING,
    LEFT,
    LIGHT,
    MIDDLE,
    PALE,
    RULE,
    WHITE,
    WIDTH,
    Box,
    Drawing,
    Line,
    Sign,
    drawable,
    fitted,
    painted,
    width_of,
    wrapped,
)
from handlers.month import Facts, Month, is_empty
from handlers.month_words import Tile, tiles

GAP, INSIDE = 28, 28
TILE = (INNER - GAP) // 2
HEIGHT, BARS = 430, 104
TITLE, VALUE, NOTE, LABEL = 34, 76, 28, 24


def picture(
    name: str, months: Sequence[tuple[Month, Facts]], language: str, *, zone: str, now: datetime
) -> bytes:
    """The last of these months, which come the oldest first, as a PNG; the same ones make the same bytes."""
    return painted(drawing(name, months, Reader(language, zone, now)))


def drawing(name: str, months: Sequence[tuple[Month, Facts]], reader: Reader) -> Drawing:
    """The picture, before it is painted."""
    made = Drawing()
    month, facts = months[-1]
    made.items.append(Box(0, 0, WIDTH, 104, GREEN))
    made.skip(20)
    made.one(reader.say("figures.picture.head"), 46, colour=WHITE, bold=True)
    made.skip(108)
    made.lines(drawable(name), 44, most=2, bold=True)
    made.lines(reader.say("figures.month", year=month.year, month=month.month), 36, most=1, colour=GREY)
    made.skip(20)
    if is_empty(facts):
        made.lines(reader.say("figures.empty"), 36, most=3)
        made.skip(20)
    names = [f"{each.month}" for each, _ in months]
    some = any(not is_empty(each) for _, each in months)
    for at, tile in enumerate(tiles([each for _, each in months], reader) if some else ()):
        x = LEFT + (TILE + GAP) * (at % 2)
        _draw_tile(made, tile, names, x)
        if at % 2:
            made.skip(HEIGHT + GAP)
    if some:
        made.lines(reader.say("figures.picture.foot", count=len(months)), 26, most=3, colour=GREY)
    made.skip(40)
    return made


def _draw_tile(made: Drawing, tile: Tile, names: Sequence[str], x: float) -> None:
    """One number with its bars, at the present height, which stays."""
    y, left, width = made.height, x + INSIDE, TILE - 2 * INSIDE
    made.items.append(Box(x, y, TILE, HEIGHT, LIGHT, RULE))
    made.items.append(_one(tile.title, TITLE, (left, y + 18), width, colour=GREY))
    made.items.append(_one(tile.value, VALUE, (left, y + 64), width, bold=True))
    for at, line in enumerate(wrapped(tile.note, NOTE, width, 2)):
        made.items.append(Line(left, y + 172 + at * 38, line, NOTE, width, colour=GREY))
    made.items += _bars(tile.series, names, (left, y + HEIGHT - 26 - LABEL), width)


def _one(text: str, size: int, at: tuple[float, float], width: float, **look: Any) -> Line:
    """One line, set smaller if it is too long."""
    shown, small = fitted(drawable(text), size, width)
    return Line(at[0], at[1] + (size - small) * LEADING / 2, shown, small, width, **look)


def _bars(
    series: Sequence[Fraction | None], names: Sequence[str], at: tuple[float, float], width: float
) -> list[Line | Box | Sign]:
    """A bar a month, the present one in another colour; a month in which nothing could be measured has none."""
    items: list[Line | Box | Sign] = []
    x, floor = at
    most = max((each for each in series if each is not None), default=Fraction(0))
    step = width / max(len(series), 1)
    for place, (each, name) in enumerate(zip(series, names, strict=True)):
        left, wide = x + step * place, step * 0.62
        colour, ink = (GREEN, GREEN) if place == len(series) - 1 else (MIDDLE, GREY)
        items.append(Box(left, floor, wide, 3, PALE))
        if each:  # what is not nothing is seen, however small it is beside the largest
            high = max(4, round(BARS * each / most))
            items.append(Box(left, floor - high, wide, high, colour))
        label = width_of(name, LABEL)
        items.append(Line(left + (wide - label) / 2, floor + 4, name, LABEL, label, colour=ink))
    return items
