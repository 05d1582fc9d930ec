"""The numbers of a month as an Excel file: text is text, and nothing is computed when it opens."""

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import xlsxwriter

from conversations.words import Reader, Say
from handlers.month import Facts, Month
from handlers.month_words import lines, turnout
from handlers.times import building_named

MIME = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HOUR, DAY = 3600, 86400
WIDE, NARROW = 26, 16
Cell = Any
"""A number, a Fraction (a share, shown in percent), words, or None for what nobody can say."""


def sheet(
    name: str, months: Sequence[tuple[Month, Facts]], titles: Mapping[int, str], reader: Reader
) -> bytes:
    """The last of these months with all that is counted, and those before it; `titles` are those of its votes."""
    out = io.BytesIO()
    month, facts = months[-1]
    # What somebody wrote must not become a formula or a link.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"created": reader.now.replace(tzinfo=None)})
        file = _File(book, reader)
        before = months[-2][1] if len(months) > 1 else None
        said = [[reader.show(each)] for each in lines(facts, before, staff=True)]
        when = reader.say("figures.month", year=month.year, month=month.month)
        file.add("overview", [f"{name} · {when}"], said, wide=100)
        groups = (("kinds", _kind), ("buildings", building_named))
        file.add(
            "repairs",
            _heads(reader, "group", *TIMED),
            [
                _repairs(reader.say("figures.sheet.all"), facts["repairs"]),
                _repairs(reader.say("figures.sheet.urgent"), facts["repairs"]["urgent"]),
                _repairs(reader.say("figures.sheet.ordinary"), facts["repairs"]["ordinary"]),
                *(
                    _repairs(str(reader.show(called(key))), group)
                    for part, called in groups
                    for key, group in facts["repairs"][part].items()
                ),
            ],
        )
        file.add("complaints", _heads(reader, "measure", "value"), _complaints(facts["complaints"], reader))
        file.add(
            "votes",
            _heads(reader, *VOTED),
            [_vote(each, titles, reader) for each in facts["votes"]],
        )
        conduct = facts["conduct"]
        file.add(
            "conduct",
            _heads(reader, "measure", "value"),
            [
                *([reader.say(f"figures.sheet.{key}"), conduct[key]] for key in CONDUCT),
                [reader.say("figures.sheet.decided_hours"), _part(conduct["took"], 0, HOUR)],
                [reader.say("figures.sheet.decided_most"), _part(conduct["took"], 1, HOUR)],
            ],
        )
        file.add(
            "months",
            _heads(reader, "month", *MONTHLY),
            [_month(each, found) for each, found in reversed(months)],
        )
    return out.getvalue()


CONDUCT = ("judged", "held", "deleted", "appealed", "restored", "upheld")
MONTHLY = (
    "reported",
    "done",
    "response",
    "repair",
    "in_time",
    "complaints",
    "answered_in_time",
    "requests",
    "votes",
    "people_share",
    "area_share",
    "deleted",
    "appealed",
    "restored",
    "listings",
    "joins",
    "messages",
)


TIMED = ("reported", "done", "response", "response_most", "repair", "repair_most", "in_time")
VOTED = (
    *("number", "title", "kind", "people", "people_all", "people_share"),
    *("area", "area_all", "area_share"),
)


def _heads(reader: Reader, *names: str) -> list[str]:
    return [reader.say(f"figures.sheet.{name}") for name in names]


class _File:
    """The workbook while it is written."""

    def __init__(self, book: xlsxwriter.Workbook, reader: Reader) -> None:
        self.book, self.reader = book, reader
        self.bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        self.text = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top"})
        self.percent = book.add_format({"num_format": "0.0%"})
        self.number = book.add_format({"num_format": "#,##0.##"})

    def add(
        self, name: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, wide: float = WIDE
    ) -> None:
        """One sheet with its frozen head."""
        page = self.book.add_worksheet(self.reader.say(f"figures.sheet.{name}_sheet"))
        page.freeze_panes(1, 0)
        page.set_column(0, 0, wide)
        page.set_column(1, max(len(heads) - 1, 1), NARROW)
        for column, head in enumerate(heads):
            page.write_string(0, column, head, self.bold)
        for row, cells in enumerate(rows, 1):
            for column, cell in enumerate(cells):
                self._write(page, row, column, cell)

    def _write(self, page: Any, row: int, column: int, cell: Cell) -> None:
        if cell is None:
            page.write_string(row, column, "—", self.text)
        elif isinstance(cell, Fraction):
            page.write_number(row, column, float(cell), self.percent)
        elif isinstance(cell, int | float):
            page.write_number(row, column, cell, self.number)
        else:
            page.write_string(row, column, str(cell), self.text)


def _kind(kind: str) -> Say:
    return Say(f"kind.{kind}")


def _part(times: Sequence[int] | None, at: int, unit: int) -> float | None:
    """One of the numbers of a time, in hours or days, to two decimals."""
    return round(times[at] / unit, 2) if times is not None else None


def _share(found: Sequence[int] | None) -> Fraction | None:
    return Fraction(*found) if found else None


def _repairs(name: str, group: Facts) -> list[Cell]:
    return [
        name,
        group["reported"],
        group["done"],
        _part(group["response"], 0, HOUR),
        _part(group["response"], 1, HOUR),
        _part(group["repair"], 0, HOUR),
        _part(group["repair"], 1, HOUR),
        _share(group["in_time"]),
    ]


def _complaints(facts: Facts, reader: Reader) -> list[list[Cell]]:
    return [
        [reader.say("figures.sheet.new"), facts["new"]],
        [reader.say("figures.sheet.complaints"), facts["complaints"]],
        [reader.say("figures.sheet.answered"), facts["answered"]],
        [reader.say("figures.sheet.answered_in_time"), _share(facts["in_time"])],
        [reader.say("figures.sheet.answered_days"), _part(facts["took"], 0, DAY)],
        [reader.say("figures.sheet.helped"), _share(facts["helped"])],
        *([reader.say(f"complaint.topic.{topic}"), count] for topic, count in facts["topics"].items()),
    ]


def _vote(vote: Facts, titles: Mapping[int, str], reader: Reader) -> list[Cell]:
    people = vote["people"] or [0, 0]
    area = [Fraction(each) for each in vote["area"]]
    return [
        vote["number"],
        titles.get(vote["number"], ""),
        reader.say(f"count.kind.{vote['kind']}"),
        *people,
        _share(vote["people"]),
        *(float(each) for each in area),
        area[0] / area[1] if area[1] else None,
    ]


def _month(month: Month, facts: Facts) -> list[Cell]:
    repairs, complaints, conduct = facts["repairs"], facts["complaints"], facts["conduct"]
    return [
        str(month),
        repairs["reported"],
        repairs["done"],
        _part(repairs["response"], 0, HOUR),
        _part(repairs["repair"], 0, HOUR),
        _share(repairs["in_time"]),
        complaints["new"],
        _share(complaints["in_time"]),
        facts["requests"]["new"],
        len(facts["votes"]),
        _share(turnout(facts["votes"], "people")),
        _share(turnout(facts["votes"], "area")),
        conduct["deleted"],
        conduct["appealed"],
        conduct["restored"],
        facts["listings"]["new"],
        facts["joins"]["new"],
        facts["messages"],
    ]
