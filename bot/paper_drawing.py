"""What is drawn on paper: lines of text that always fit, QR codes, and where to cut."""

import re

import segno
from fpdf import FPDF
from fpdf.fonts import TTFFont
from pylopdf_fonts_zh_cn import sans_path

QUIET = 4
"""The white around a QR code, in modules."""
SMALLEST = 0.6
"""How much of its size a line that is too long keeps before it is cut."""
TEXT, CODE = "text", "courier"
BLACK, GREY = 0, 110
BOARD = "公示栏 The board"
"""What stands above the code of the board's page."""
UNKNOWN = "〓"
"""How printers show a character that the font has not."""


def a4(title: str) -> FPDF:
    """A document of A4 pages in millimetres, with the font of its texts."""
    pdf = FPDF(format="A4", unit="mm")
    pdf.set_auto_page_break(False)
    pdf.set_title(title)
    pdf.add_font(TEXT, fname=sans_path())
    return pdf


def text_line(
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


def qr_code(pdf: FPDF, x: float, y: float, text: str, size: float) -> None:
    """The QR code as rectangles, a run of dark modules each: sharp on any printer."""
    rows = segno.make(text, error="m", micro=False).matrix
    module = size / (len(rows) + 2 * QUIET)
    pdf.set_fill_color(BLACK)
    for at, row in enumerate(rows, QUIET):
        for run in re.finditer(rb"[\x01-\xff]+", bytes(row)):
            start, end = run.span()
            pdf.rect(x + (start + QUIET) * module, y + at * module, (end - start) * module, module, "F")


def named_qr(pdf: FPDF, right: float, y: float, name: str, text: str, *, size: float) -> None:
    """One of two QR codes, below the name of what reads it."""
    text_line(pdf, right - size + 2, y, name, size=6.5, width=size - 4)
    qr_code(pdf, right - size, y, text, size)


def cut_lines(
    pdf: FPDF, left: float, top: float, width: float, height: float, *, columns: int, rows: int
) -> None:
    """Dashed lines around cards of this size, from a corner of the page."""
    right, bottom = left + columns * width, top + rows * height
    pdf.set_draw_color(GREY)
    pdf.set_line_width(0.1)
    pdf.set_dash_pattern(dash=1, gap=1)
    for column in range(columns + 1):
        pdf.line(left + column * width, top, left + column * width, bottom)
    for row in range(rows + 1):
        pdf.line(left, top + row * height, right, top + row * height)
    pdf.set_dash_pattern()
