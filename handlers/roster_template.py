"""The roster's template: an empty table with the usual headings, examples, and a word on each column."""

import csv
import io
from collections.abc import Mapping

import xlsxwriter

from conversations.words import LANGUAGES, texts
from handlers.roster_lines import COLUMNS

# What the examples write: the first two are homes, the last one works there.
EXAMPLES: tuple[Mapping[str, str], ...] = (
    {
        "building": "3号楼", "entrance": "2单元", "room": "1201", "area": "89.35", "status": "已交付",
        "name": "陈女士", "phone": "13800138000", "share": "1/2、1/2", "represents": "陈女士",
        "co_owners": "陈先生", "co_owners_phone": "13900139000", "parking": "B1-023",
    },
    {
        "building": "3号楼", "entrance": "2单元", "room": "1202", "area": "126.8", "status": "未售",
        "developer": "阳光置业有限公司",
    },
    {"name": "王师傅", "phone": "13700137000", "role": "维修", "skills": "水龙头、电梯", "buildings": "3号楼",
     "duty": "08:00-20:00"},
)  # fmt: skip
CHOICES = {
    "role": ["业主", "租户", "家人", "物业", "维修", "业委会", "开发商"],
    "status": ["已交付", "未交付", "未售"],
}
HEADINGS = [usual[0] for usual in COLUMNS.values()]
LAST_ROW = 20_000


def write_template(kind: str) -> bytes:
    """The template as ".xlsx" or ".csv"."""
    rows = [HEADINGS, *([example.get(name, "") for name in COLUMNS] for example in EXAMPLES)]
    if kind == ".xlsx":
        return _xlsx(rows)
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _xlsx(rows: list[list[str]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        words, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True})
        sheet = book.add_worksheet(texts("zh")["roster.template.homes"])
        sheet.set_column(0, len(HEADINGS) - 1, 12, words)  # so that Excel makes no date of room 2-1
        sheet.freeze_panes(1, 0)
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row, words if at else bold)
        for column, choices in CHOICES.items():
            at = list(COLUMNS).index(column)
            # Two roles may be written, so that another word is only warned of.
            how = {"validate": "list", "source": choices, "error_type": "warning"}
            sheet.data_validation(1, at, LAST_ROW, at, how)
        _explain(book, bold)
    return out.getvalue()


def _explain(book: xlsxwriter.Workbook, bold: object) -> None:
    sheet = book.add_worksheet(texts("zh")["roster.template.columns"])
    sheet.set_column(0, 0, 14)
    sheet.set_column(1, 3, 60)
    titles = ("heading", "other", "meaning", "meaning")
    languages = (*LANGUAGES[:1] * 3, *LANGUAGES[1:])
    said = [
        texts(language)[f"roster.template.{title}"] for title, language in zip(titles, languages, strict=True)
    ]
    sheet.write_row(0, 0, said, bold)
    for at, (name, usual) in enumerate(COLUMNS.items(), 1):
        meanings = [texts(language)[f"roster.column.{name}"] for language in LANGUAGES]
        sheet.write_row(at, 0, [usual[0], "、".join(usual[1:]), *meanings])
