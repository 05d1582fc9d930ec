"""Invitations on paper: A4 pages of cards to cut out, and every building begins a page of its own."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fpdf import FPDF

from bot.paper_drawing import BLACK, BOARD, CODE, GREY, a4, cut_lines, named_qr, qr_code, text_line
from conversations.words import Reader, Say
from handlers.codes import Invitation

# In millimetres; the cards fill an A4 page but for what a printer leaves white.
LEFT, TOP, WIDTH, HEIGHT = 10.0, 12.0, 95.0, 55.0
COLUMNS, ROWS = 2, 5
INSIDE = 4.0
QR = 30.0
LARGE, SMALL = 28.0, 18.0
"""The sizes of two on a card: WeChat's, and below it Telegram's."""
BOARD_SIZE = 17.0
"""That of the board's page, beside the name."""
GAP = 2.0
BESIDE = WIDTH - 2 * INSIDE - GAP - QR
STARS = "**"


@dataclass(frozen=True)
class Letterhead:
    """What stands on every card; `bot` is empty without Telegram."""

    community: str
    bot: str
    phone: str
    until: datetime
    reader: Reader
    board: str = ""
    """The address of the board's page; empty: nobody could open it."""


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
    pdf = a4(head.community)
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
            rows = -(-len(page) // COLUMNS)
            cut_lines(pdf, LEFT, TOP, WIDTH, HEIGHT, columns=COLUMNS, rows=rows)
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
    text_line(pdf, LEFT, TOP - 3, words, size=8, width=WIDTH * COLUMNS, grey=GREY)


def _card(
    pdf: FPDF, corner: tuple[float, float], head: Letterhead, each: Invitation, *, name: str, scene: str
) -> None:
    x, y = corner[0] + INSIDE, corner[1]
    above = BESIDE - BOARD_SIZE - GAP if head.board else BESIDE
    text_line(pdf, x, y + 7, head.community, size=9, width=above, grey=GREY)
    text_line(pdf, x, y + 14, each.about, size=14, width=above)
    text_line(pdf, x, y + 20.5, head.reader.say("invitation.person", name=name), size=11, width=above)
    text_line(pdf, x, y + 30.5, each.code, size=22, width=BESIDE, font=CODE)
    if head.board:
        named_qr(pdf, x + BESIDE, y + 5, BOARD, head.board, size=BOARD_SIZE)
    right = x + BESIDE + GAP + QR
    both = bool(head.bot and scene)
    if both:
        named_qr(pdf, right, y + 4.5, "微信 WeChat", scene, size=LARGE)
        named_qr(pdf, right, y + 35.5, "Telegram", link(head.bot, each.code), size=SMALL)
    else:
        qr_code(pdf, right - QR, y + 2, scene or link(head.bot, each.code), QR)
    room = BESIDE + QR - SMALL if both else BESIDE + GAP + QR
    way = "both" if both else "wechat" if scene else "telegram"
    for row, (words, grey) in enumerate(_small_print(head, way)):
        text_line(pdf, x, y + 36 + 4 * row, words, size=8, width=room, grey=grey)


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
