"""The file of a roster: Excel or CSV as people have it, read into rows of words, or refused in a clear sentence."""

import csv
import io
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from conversations.words import Say

MOST_BYTES = 20 * 1024 * 1024
MOST_UNPACKED = 100 * 1024 * 1024
MOST_PARTS = 2000
MOST_CELLS = 3_000_000
SEPARATORS = ",;\t"
DATE, FORMULA = "date", "formula"

OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LOCKED, WORKBOOK = ("EncryptedPackage".encode("utf-16-le"), "Workbook".encode("utf-16-le"))
CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*[^/>])>")
ADDRESS = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")
# A cell whose formula has no result yet, or an error as its result.
UNSOLVED = re.compile(
    rb"""<(?:\w+:)?c\s([^>]*)>\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"""
    rb"""(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"""
)
ERROR = re.compile(rb"""<(?:\w+:)?c\s([^>]*\bt\s*=\s*["']e["'][^>]*)>""")


class BadRoster(Exception):
    """The file cannot be imported; `problems` are sentences, each with its row if it has one."""

    def __init__(self, problems: list[Say]) -> None:
        super().__init__(", ".join(problem.key for problem in problems))
        self.problems = problems


@dataclass
class Row:
    """One row with its number as the program that made it shows it, from 1.

    `odd` are the columns whose cell is no word: a date that Excel made of something, a formula without a result.
    """

    number: int
    cells: list[str]
    odd: dict[int, str] = field(default_factory=dict)


Sheet = list[Row]


def sheets_of(data: bytes) -> Iterator[Sheet]:
    """Each sheet of a workbook; of a text the rows by each separator, since only one of them makes sense."""
    if len(data) > MOST_BYTES:
        raise _bad(Say("roster.file.too_large"))
    if not data.strip():
        raise _bad(Say("roster.file.empty"))
    if data.startswith(b"PK"):
        return _xlsx(data)
    if data.startswith(OLD_OFFICE):
        return _xls(data)
    return _csv(data)


def _bad(what: Say) -> BadRoster:
    return BadRoster([what])


def columns_in(cells: Iterable[str], usual: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where each column stands in a row of headings, by the names that it usually has, the first of them first."""
    titles: dict[str, int] = {}
    for at, cell in enumerate(cells):
        titles.setdefault(_title(cell), at)
    found = {name: [titles[title] for title in called if title in titles] for name, called in usual.items()}
    return {name: places[0] for name, places in found.items() if places}


def _title(cell: str) -> str:
    """A heading without its unit and marks: "建筑面积（㎡）*" is 建筑面积."""
    return re.sub(r"\(.*?\)|[\s*:]", "", unicodedata.normalize("NFKC", cell)).lower()


# --- CSV --------------------------------------------------------------------------------------------


def _csv(data: bytes) -> Iterator[Sheet]:
    text = _decoded(data)
    for separator in SEPARATORS:
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
        except csv.Error:
            raise _bad(Say("roster.file.no_table")) from None
        yield [_csv_row(number, row) for number, row in enumerate(rows, 1)]


def _csv_row(number: int, cells: list[str]) -> Row:
    words = [_unmarked(cell.strip()) for cell in cells]
    return Row(number, words, {at: FORMULA for at, word in enumerate(words) if word.startswith("=")})


def _unmarked(cell: str) -> str:
    """Programs write ="0101" or '0101 so that Excel leaves a number alone; the mark is no part of it."""
    marked = re.fullmatch(r'="([^"]*)"', cell)
    return marked[1] if marked else cell.removeprefix("'")


def _decoded(data: bytes) -> str:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _bad(Say("roster.file.no_table"))


# --- Excel ------------------------------------------------------------------------------------------


def _xlsx(data: bytes) -> Iterator[Sheet]:
    try:
        parts = _unpacked(data)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, NotImplementedError):
        raise _bad(Say("roster.file.damaged")) from None
    if "xl/workbook.xml" not in parts:
        raise _bad(Say("roster.file.no_excel"))
    for xml in parts.values():
        _check_size(xml)
    book = _opened(data)
    files = _files_of_sheets(parts)
    for number in range(len(book.sheet_names)):
        if _is_shown(book, number):
            xml = parts.get(files[number], b"") if number < len(files) else b""
            yield _rows(book, number, _unsolved(xml))


def _unpacked(data: bytes) -> dict[str, bytes]:
    """The parts that are XML, unpacked in full here, since the sizes that the archive names may be lies."""
    found = {}
    left = MOST_UNPACKED
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_PARTS:
            raise _bad(Say("roster.file.bomb"))
        for entry in entries:
            if entry.flag_bits & 1:
                raise _bad(Say("roster.file.locked"))
            entry.file_size = left + 1  # so that it is read to its real end
            with archive.open(entry) as stream:
                content = stream.read(left + 1)
            left -= len(content)
            if left < 0:
                raise _bad(Say("roster.file.bomb"))
            if entry.filename.lower().endswith((".xml", ".rels")):
                found[entry.filename] = content
    return found


def _check_size(xml: bytes) -> None:
    """The reader makes a cell of every place up to the last one, so one far away would fill the memory."""
    rows = columns = 1
    for cell in CELL.finditer(xml):
        address = ADDRESS.search(cell[1])
        if address is not None:
            columns, rows = max(columns, _column(address[1]) + 1), max(rows, int(address[2]))
    if rows * columns > MOST_CELLS:
        raise _bad(Say("roster.file.too_many_cells"))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def _files_of_sheets(parts: dict[str, bytes]) -> list[str]:
    """The part of the archive in which each sheet lies, in the workbook's order."""
    targets = {}
    for relation in re.findall(r"<Relationship\s[^>]*>", _text(parts, "xl/_rels/workbook.xml.rels")):
        name, target = re.search(r'\bId="([^"]*)"', relation), re.search(r'\bTarget="([^"]*)"', relation)
        if name and target:
            targets[name[1]] = target[1].removeprefix("/xl/").removeprefix("./")
    ids = re.findall(r'<(?:\w+:)?sheet\s[^>]*\b\w+:id="([^"]*)"', _text(parts, "xl/workbook.xml"))
    return [f"xl/{targets.get(each, '')}" for each in ids]


def _text(parts: dict[str, bytes], name: str) -> str:
    return parts.get(name, b"").decode("utf-8", "replace")


def _unsolved(xml: bytes) -> set[tuple[int, int]]:
    """Row and column, from 0, of the formulas without a result."""
    found = set()
    for cell in (*UNSOLVED.finditer(xml), *ERROR.finditer(xml)):
        address = ADDRESS.search(cell[1])
        if address is not None:
            found.add((int(address[2]) - 1, _column(address[1])))
    return found


def _xls(data: bytes) -> Iterator[Sheet]:
    if LOCKED in data:
        raise _bad(Say("roster.file.locked"))
    if WORKBOOK not in data and "Book".encode("utf-16-le") not in data:
        raise _bad(Say("roster.file.no_excel"))
    book = _opened(data)
    for number in range(len(book.sheet_names)):
        if _is_shown(book, number):
            yield _rows(book, number, set())


def _is_shown(book: CalamineWorkbook, number: int) -> bool:
    sheet = book.sheets_metadata[number]
    return sheet.typ is SheetTypeEnum.WorkSheet and sheet.visible is SheetVisibleEnum.Visible


def _opened(data: bytes) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(data))
    except CalamineError as error:
        locked = "password" in str(error).lower()
        raise _bad(Say("roster.file.locked" if locked else "roster.file.damaged")) from None
    except BaseException as error:
        raise _checked(error) from None


def _checked(error: BaseException) -> BaseException:
    """A damaged file can make the library panic, which Python does not count among ordinary exceptions."""
    return _bad(Say("roster.file.damaged")) if type(error).__name__ == "PanicException" else error


def _rows(book: CalamineWorkbook, number: int, unsolved: set[tuple[int, int]]) -> Sheet:
    try:
        sheet = book.get_sheet_by_index(number)
        if sheet.total_height * sheet.total_width > MOST_CELLS:
            raise _bad(Say("roster.file.too_many_cells"))
        values = list(sheet.iter_rows())
    except CalamineError:
        raise _bad(Say("roster.file.damaged")) from None
    except BaseException as error:
        raise _checked(error) from None
    _fill_down(sheet, values)
    rows = [_row(at, cells) for at, cells in enumerate(values)]
    for row, column in unsolved:
        if row < len(rows):
            rows[row].odd[column] = FORMULA
    return rows


def _fill_down(sheet: CalamineSheet, values: list[list[Any]]) -> None:
    """What stands in a merged cell holds for all of its rows."""
    for (top, column), (bottom, _) in sheet.merged_cell_ranges or []:
        for row in values[top + 1 : bottom + 1]:
            if top < len(values) and column < len(row) and row[column] == "":
                row[column] = values[top][column]


def _row(at: int, values: list[Any]) -> Row:
    odd = {column: DATE for column, value in enumerate(values) if isinstance(value, date | time | timedelta)}
    return Row(at + 1, [_word(value) for value in values], odd)


def _word(value: Any) -> str:
    """What a cell shows: a room that Excel keeps as 1201.0 is 1201."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).strip()
