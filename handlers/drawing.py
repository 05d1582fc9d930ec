"""What pictures are drawn with, to be read on a phone: the font, lines that fit, boxes and signs.

Pure. First everything gets its place, then it is painted: so that tests can measure what nobody can read.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from pylopdf_fonts_zh_cn import sans_path

WIDTH, LEFT = 1080, 56
INNER = WIDTH - 2 * LEFT
SMALLEST = 0.6
"""How much of its size a line that is too long keeps before it is cut."""
LEADING = 1.4
COLOURS = 64
INK, GREY, PALE, WHITE, LIGHT, RULE = "#14201c", "#4d5a54", "#e3e8e5", "#ffffff", "#eef4f1", "#c3cac5"
GREEN, RED, AMBER, MIDDLE, DARK = "#0b6b5d", "#a8321f", "#8a5a00", "#8fb5ac", "#8a938e"
CHECK = ((0.24, 0.53), (0.43, 0.71), (0.76, 0.33))
CROSS = ((0.31, 0.31), (0.69, 0.69)), ((0.69, 0.31), (0.31, 0.69))
DASH = ((0.28, 0.5), (0.72, 0.5))


# --- letters ----------------------------------------------------------------------------------------


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Without Raqm, which not every machine has: everywhere the same picture.
    return ImageFont.truetype(sans_path(), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def glyphs() -> frozenset[int]:
    """The characters that the font has."""
    from fontTools.ttLib import TTFont  # a fifth of a second, which only the first picture waits for

    with TTFont(sans_path(), lazy=True) as font:
        return frozenset(font.getBestCmap())


def drawable(text: str) -> str:
    """The text in one line, without what the font cannot show, such as emoji."""
    known = glyphs()
    one = " ".join(unicodedata.normalize("NFC", text).split())
    kept = "".join(each for each in one if ord(each) in known and each.isprintable() and each != "\ufffd")
    return " ".join(kept.split())


def width_of(text: str, size: int) -> float:
    """How wide a text is."""
    return _font(size).getlength(text)


PIECES = re.compile(r"[!-~\u00a1-\u024f]+ *| +|.[，。、；：！？）」』”’…]*", re.DOTALL)


def wrapped(text: str, size: int, width: float, most: int) -> list[str]:
    """The text in at most so many lines; words are kept whole where they fit, and what is too much ends with …"""
    lines = [""]
    for piece in PIECES.findall(text):
        parts = [piece] if width_of(piece.rstrip(), size) <= width else list(piece)
        for part in parts:
            if width_of((lines[-1] + part).rstrip(), size) <= width:
                lines[-1] += part
            else:
                lines.append(part.lstrip())
    lines = [line.rstrip() for line in lines if line.strip()]
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(f"{lines[most - 1]}…", size, width)]
    return lines


def _cut(text: str, size: int, width: float) -> str:
    """What fits of one line; its end tells that there was more."""
    shown = text
    while width_of(shown, size) > width and len(shown) > 1:
        text = text[:-1]
        shown = f"{text.rstrip('…')[:-1]}…"
    return shown


def fitted(text: str, size: int, width: float) -> tuple[str, int]:
    """The text in one line and its size: what is too long is set smaller, and at last cut."""
    least = int(size * SMALLEST)
    while size > least and width_of(text, size) > width:
        size -= 1
    return _cut(text, size, width), size


# --- what is drawn ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A text in one line, with the room that it has."""

    x: float
    y: float
    text: str
    size: int
    width: float
    colour: str = INK
    bold: bool = False

    def paint(self, brush: ImageDraw.ImageDraw) -> None:
        middle = self.y + self.size * LEADING / 2
        brush.text(
            (round(self.x), round(middle)),
            self.text,
            self.colour,
            _font(self.size),
            anchor="lm",
            stroke_width=1 if self.bold else 0,
        )


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    outline: str | None = None

    def paint(self, brush: ImageDraw.ImageDraw) -> None:
        corner = (self.x + self.width - 1, self.y + self.height - 1)
        brush.rectangle((self.x, self.y, *corner), self.fill, self.outline, 2)


@dataclass(frozen=True)
class Sign:
    """What tells yes, no and neither apart without any colour: a check, a cross, a dash."""

    x: float
    y: float
    size: float
    kind: str
    """yes, no or neither"""

    def paint(self, brush: ImageDraw.ImageDraw) -> None:
        colour, strokes = {
            "yes": (GREEN, (CHECK,)),
            "no": (RED, CROSS),
            "neither": (AMBER, (DASH,)),
        }[self.kind]
        x, y, size = self.x, self.y, self.size
        brush.ellipse((x, y, x + size, y + size), colour)
        for stroke in strokes:
            points = [(x + size * across, y + size * down) for across, down in stroke]
            brush.line(points, WHITE, max(3, round(size / 9)), joint="curve")


@dataclass
class Drawing:
    """What stands where; `height` is how far it has come."""

    items: list[Line | Box | Sign] = field(default_factory=list)
    height: int = 0

    def skip(self, pixels: int) -> None:
        """Leave some room."""
        self.height += pixels

    def one(
        self, text: str, size: int, *, x: float = LEFT, width: float = INNER, right: bool = False, **look: Any
    ) -> Line:
        """One line at the present height, which stays."""
        text, small = fitted(text, size, width)
        needed, y = width_of(text, small), self.height + (size - small) * LEADING / 2
        line = Line(x + width - needed if right else x, y, text, small, needed, **look)
        self.items.append(line)
        return line

    def lines(
        self, text: str, size: int, *, x: float = LEFT, width: float = INNER, most: int = 3, **look: Any
    ) -> None:
        """A text over several lines."""
        for line in wrapped(text, size, width, most):
            self.items.append(Line(x, self.height, line, size, width, **look))
            self.skip(round(size * LEADING))

    def rule(self) -> None:
        """A thin line between two parts."""
        self.skip(26)
        self.items.append(Box(LEFT, self.height, INNER, 2, RULE))
        self.skip(24)


def painted(drawing: Drawing) -> bytes:
    """The drawing as a PNG; the same one makes the same bytes."""
    image = Image.new("RGB", (WIDTH, drawing.height), WHITE)
    brush = ImageDraw.Draw(image)
    for item in drawing.items:
        item.paint(brush)
    out = BytesIO()
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(out, "PNG", optimize=True)
    return out.getvalue()
