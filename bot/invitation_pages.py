"""Invitations on paper: A4 pages of cards to cut out, and every building begins a page of its own."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import segno
from fpdf import FPDF
from fpdf.fonts import TTFFont
from pylopdf_fonts_zh_cn import sans_path

from conversations.words import Reader, Say
from handlers.codes import Invitation

# In millimetres; the cards fill an A4 page but for what a printer leaves white.
LEFT, TOP, WIDTH, HEIGHT = 10.0, 12.0, 95.0, 55.0
COLUMNS, ROWS = 2, 5
INSIDE = 4.0
QR = 30.0
LARGE, SMALL = 28.0, 18.0
"""The sizes of two on a card: WeChat's, and below it Telegram's."""
QUIET = 4
"""The white around a QR code, in modules."""
GAP = 2.0
BESIDE = WIDTH - 2 * INSIDE - GAP - QR
SMALLEST = 0.6
"""How much of its size a line that is too long keeps before it is cut."""
TEXT, CODE = "text", "courier"
BLACK, GREY = 0, 110
STARS = "**"
UNKNOWN = "〓"
"""How printers show a character that the font has not."""


@dataclass(frozen=True)
class Letterhead:
    """What stands on every card; `bot` is empty without Telegram."""

    community: str
    bot: str
    phone: str
    until: datetime
    reader: Reader


def link(bot: str, code: str) -> str:
    """What a telephone opens: the chat with the bot, to which Start sends the code."""
    return f"https://t.me/{bot}?start={code}"


def invitation_pages(
    made: Sequence[Invitation],
    head: Letterhead,
    drawn: Callable[[], object] = lambda: None,
    scenes: Mapping[str, str] | None = None,
) -> bytes:
    """The pages as a PDF; `drawn` is called after each card. `scenes` is what WeChat's QR code says, by code."""
    pdf = FPDF(format="A4", unit="mm")
    pdf.set_auto_page_break(False)
    pdf.set_title(head.community)
    pdf.add_font(TEXT, fname=sans_path())
    for building, cards in _by_building(made):
        names = _names(cards) if building else {each.code: each.name for each in cards}
        pages = [cards[start : start + COLUMNS * ROWS] for start in range(0, len(cards), COLUMNS * ROWS)]
        for number, page in enumerate(pages, 1):
            pdf.add_page()
            _heading(pdf, head, building, number, len(pages))
            for corner, each in zip(_corners(), page, strict=False):
                scene = (scenes or {}).get(each.code, "")
                _card(pdf, corner, head, each, name=names[each.code], scene=scene)
                drawn()
            _cut_lines(pdf, -(-len(page) // COLUMNS))
    return bytes(pdf.output())


# --- who stands where -------------------------------------------------------------------------------


def _by_building(made: Sequence[Invitation]) -> list[tuple[str, list[Invitation]]]:
    """The cards in the order of the letter boxes, 2 before 10; whoever has no home comes last."""
    groups: dict[str, list[Invitation]] = {}
    for each in sorted(made, key=lambda each: (_natural(each.building), _natural(each.about), each.name)):
        groups.setdefault(each.building, []).append(each)
    return sorted(groups.items(), key=lambda group: not group[0])


def _natural(text: str) -> list[str | int]:
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", text))]


def _names(cards: Sequence[Invitation]) -> dict[str, str]:
    """For each code the least of the name that tells the people of one home apart.

    A page lies in the lobby, where neighbours and couriers read it: a whole name beside a room is nobody's
    business. But the code is one person's, so that of 孙小明 and 孙大伟 in one home neither may be only 孙**.
    """
    homes: dict[str, list[Invitation]] = {}
    for each in cards:
        homes.setdefault(each.about, []).append(each)
    return {
        each.code: _tells_apart(each.name, [other.name for other in home])
        for home in homes.values()
        for each in home
    }


def _tells_apart(name: str, people: Sequence[str]) -> str:
    for shown in _ways(name):
        if sum(shown in _ways(each) for each in people) == 1:
            return shown
    return name


def _ways(name: str) -> list[str]:
    """A name as strangers may read it, and with more and more of it: 陈**, 陈**国, 陈建国."""
    words = [(word[0], word[-1] if len(word) > 1 else "") for word in name.split()]
    return [
        " ".join(first + STARS for first, _ in words),
        " ".join(first + STARS + last for first, last in words),
        name,
    ]


# --- what is drawn ----------------------------------------------------------------------------------


def _corners() -> Iterator[tuple[float, float]]:
    for row in range(ROWS):
        for column in range(COLUMNS):
            yield LEFT + column * WIDTH, TOP + row * HEIGHT


def _heading(pdf: FPDF, head: Letterhead, building: str, number: int, pages: int) -> None:
    group = Say("where.building", building=building) if building else Say("invitation.work")
    words = head.reader.say(
        "invitation.page", community=head.community, group=group, number=number, all=pages
    )
    _line(pdf, LEFT, TOP - 3, words, size=8, width=WIDTH * COLUMNS, grey=GREY)


def _card(
    pdf: FPDF, corner: tuple[float, float], head: Letterhead, each: Invitation, *, name: str, scene: str
) -> None:
    x, y = corner[0] + INSIDE, corner[1]
    _line(pdf, x, y + 7, head.community, size=9, width=BESIDE, grey=GREY)
    _line(pdf, x, y + 14, each.about, size=14, width=BESIDE)
    _line(pdf, x, y + 20.5, head.reader.say("invitation.person", name=name), size=11, width=BESIDE)
    _line(pdf, x, y + 30.5, each.code, size=22, width=BESIDE, font=CODE)
    right = x + BESIDE + GAP + QR
    both = bool(head.bot and scene)
    if both:
        _named_qr(pdf, right, y + 4.5, "微信 WeChat", scene, size=LARGE)
        _named_qr(pdf, right, y + 35.5, "Telegram", link(head.bot, each.code), size=SMALL)
    else:
        _qr(pdf, right - QR, y + 2, scene or link(head.bot, each.code), QR)
    room = BESIDE + QR - SMALL if both else BESIDE + GAP + QR
    way = "both" if both else "wechat" if scene else "telegram"
    for row, (words, grey) in enumerate(_small_print(head, way)):
        _line(pdf, x, y + 36 + 4 * row, words, size=8, width=room, grey=grey)


def _named_qr(pdf: FPDF, right: float, y: float, name: str, text: str, *, size: float) -> None:
    """One of two QR codes, below the name of what reads it."""
    _line(pdf, right - size + 2, y, name, size=6.5, width=size - 4)
    _qr(pdf, right - size, y, text, size)


def _small_print(head: Letterhead, way: str) -> list[tuple[str, int]]:
    """What to do, once more in the other language, and until when."""
    reader, bot = head.reader, head.bot
    other = replace(reader, language="en" if reader.language == "zh" else "zh")
    until = reader.say("invitation.until", until=head.until)
    phone = reader.say("invitation.phone", phone=head.phone) if head.phone else ""
    return [
        (reader.say(f"invitation.{way}.scan"), BLACK),
        (reader.say(f"invitation.{way}.start"), BLACK),
        (reader.say(f"invitation.{way}.type", bot=bot), BLACK),
        (other.say(f"invitation.{way}.brief", bot=bot), GREY),
        (" · ".join(filter(None, (until, phone))), BLACK),
    ]


def _line(
    pdf: FPDF,
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    width: float,
    grey: int = BLACK,
    font: str = TEXT,
) -> None:
    """One line; what is too long is set smaller, and at last cut."""
    style = "B" if font == CODE else ""
    pdf.set_font(font, style, size)
    words = _drawable(pdf, words)
    needed = pdf.get_string_width(words)
    if needed > width:
        pdf.set_font(font, style, size * max(width / needed, SMALLEST))
        words = _cut(pdf, words, width)
    pdf.set_text_color(grey)
    pdf.text(x, y, words)


def _drawable(pdf: FPDF, words: str) -> str:
    font = pdf.current_font
    if not isinstance(font, TTFFont):
        return words
    return "".join(each if ord(each) in font.cmap else UNKNOWN for each in words)


def _cut(pdf: FPDF, words: str, width: float) -> str:
    """What fits of a line, without its middle: how an address ends counts most."""
    most, shown = len(words), words
    while most and pdf.get_string_width(shown) > width + 0.01:
        most -= 1
        shown = f"{words[: most // 2]}…{words[len(words) - most + most // 2 :]}"
    return shown


def _qr(pdf: FPDF, x: float, y: float, text: str, size: float) -> None:
    """The QR code as rectangles, a run of dark modules each: sharp on any printer."""
    rows = segno.make(text, error="m", micro=False).matrix
    module = size / (len(rows) + 2 * QUIET)
    pdf.set_fill_color(BLACK)
    for at, row in enumerate(rows, QUIET):
        for run in re.finditer(rb"[\x01-\xff]+", bytes(row)):
            start, end = run.span()
            pdf.rect(x + (start + QUIET) * module, y + at * module, (end - start) * module, module, "F")


def _cut_lines(pdf: FPDF, rows: int) -> None:
    right, bottom = LEFT + COLUMNS * WIDTH, TOP + rows * HEIGHT
    pdf.set_draw_color(GREY)
    pdf.set_line_width(0.1)
    pdf.set_dash_pattern(dash=1, gap=1)
    for column in range(COLUMNS + 1):
        pdf.line(LEFT + column * WIDTH, TOP, LEFT + column * WIDTH, bottom)
    for row in range(rows + 1):
        pdf.line(LEFT, TOP + row * HEIGHT, right, TOP + row * HEIGHT)
    pdf.set_dash_pattern()
