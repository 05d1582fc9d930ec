"""Spots on paper: A4 pages of cards for walls, each with the QR code that says where it hangs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fpdf import FPDF

from bot.invitation_pages import link
from bot.paper_drawing import BOARD, GREY, a4, cut_lines, named_qr, qr_code, text_line
from conversations.words import Reader

# In millimetres; four cards fill a page but for what a printer leaves white.
LEFT, TOP, WIDTH, HEIGHT = 10.0, 12.0, 95.0, 136.0
COLUMNS, ROWS = 2, 2
INSIDE = 6.0
ROOM = WIDTH - 2 * INSIDE
ALONE, BESIDE = 66.0, 40.0
"""The size of the one QR code, and of each of two ..."""
BOARD_SIZE, GAP = 18.0, 3.0
"""... and of the small one of the board's page, beside what is typed."""


@dataclass(frozen=True)
class SpotCard:
    """What one card says: where it hangs, and the code."""

    where: str
    code: str


@dataclass(frozen=True)
class SpotHead:
    """What stands on every card; `bot` is empty without Telegram."""

    community: str
    bot: str
    phone: str
    reader: Reader
    board: str = ""
    """The address of the board's page; empty: nobody could open it."""


def spot_pages(
    cards: Sequence[SpotCard],
    head: SpotHead,
    drawn: Callable[[], object] = lambda: None,
    scenes: Mapping[str, str] | None = None,
) -> bytes:
    """The pages as a PDF; `drawn` is called after each card. `scenes` is what WeChat's QR code says, by code."""
    pdf = a4(head.community)
    full = COLUMNS * ROWS
    pages = [cards[start : start + full] for start in range(0, len(cards), full)]
    for number, page in enumerate(pages, 1):
        pdf.add_page()
        words = head.reader.say("spot_page.page", community=head.community, number=number, all=len(pages))
        text_line(pdf, LEFT, TOP - 3, words, size=8, width=WIDTH * COLUMNS, grey=GREY)
        for corner, each in zip(_corners(), page, strict=False):
            _card(pdf, corner, head, each, scene=(scenes or {}).get(each.code, ""))
            drawn()
        cut_lines(pdf, LEFT, TOP, WIDTH, HEIGHT, columns=COLUMNS, rows=-(-len(page) // COLUMNS))
    return bytes(pdf.output())


def _corners() -> Iterator[tuple[float, float]]:
    for row in range(ROWS):
        for column in range(COLUMNS):
            yield LEFT + column * WIDTH, TOP + row * HEIGHT


def _card(pdf: FPDF, corner: tuple[float, float], head: SpotHead, each: SpotCard, *, scene: str) -> None:
    x, y = corner[0] + INSIDE, corner[1]
    reader, bot = head.reader, head.bot
    other = replace(reader, language="en" if reader.language == "zh" else "zh")
    text_line(pdf, x, y + 15, reader.say("spot_page.title"), size=30, width=ROOM)
    text_line(pdf, x, y + 26, each.where, size=18, width=ROOM)
    if bot and scene:
        named_qr(pdf, x + BESIDE, y + 42, "微信 WeChat", scene, size=BESIDE)
        named_qr(pdf, x + ROOM, y + 42, "Telegram", link(bot, each.code), size=BESIDE)
        how = reader.say("spot_page.both", bot=bot)
    else:
        qr_code(pdf, x + (ROOM - ALONE) / 2, y + 29, scene or link(bot, each.code), ALONE)
        how = reader.say("spot_page.wechat") if scene else reader.say("spot_page.telegram", bot=bot)
    text_line(pdf, x, y + 103, how, size=11, width=ROOM)
    room = ROOM - BOARD_SIZE - GAP if head.board else ROOM
    if head.board:
        named_qr(pdf, x + ROOM, y + 108, BOARD, head.board, size=BOARD_SIZE)
    text_line(pdf, x, y + 113, reader.say("spot_page.typed", code=each.code), size=22, width=room)
    typed = other.say("spot_page.typed", code=each.code)
    brief = f"{other.say('spot_page.brief')} · {typed}"
    text_line(pdf, x, y + 120, brief, size=9, width=room, grey=GREY)
    phone = reader.say("spot_page.phone", phone=head.phone) if head.phone else ""
    below = " · ".join(filter(None, (head.community, phone)))
    text_line(pdf, x, y + 129, below, size=9, width=ROOM)
