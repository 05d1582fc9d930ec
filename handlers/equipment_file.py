"""The register as a file that staff send in the admin group: read, shown as what would change, and then done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conversations.equipment import LONGEST_KIND, LONGEST_NOTE, LONGEST_SPOT, MOST, year_in
from conversations.errors import Refused
from conversations.steps import whole_number
from conversations.words import LANGUAGES, Say, normal, spoken, texts
from handlers import roster_chat
from handlers.actions import action
from handlers.addresses import parts_of
from handlers.equipment import OLDEST, add_line, key_of, register, this_year, tidy
from handlers.people import buildings_of
from handlers.roster_chat import card_of, shown_lines
from handlers.roster_file import DATE, BadRoster, Row, Sheet, columns_in, sheets_of
from handlers.roster_lines import HEADINGS_WITHIN, TOTALS
from handlers.talk import here
from handlers.tell import Button, tell
from handlers.tx import Tx
from store.tables import Equipment, Person, RosterFile

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "kind": (
        "设备", "设备名称", "名称", "设施", "设施名称", "设备设施", "设备设施名称", "品名", "equipment",
        "equipmentname", "device", "name",
    ),
    "building": ("楼栋", "楼号", "楼幢", "栋号", "幢号", "栋", "幢", "所在楼栋", "building"),
    "spot": ("位置", "地点", "安装位置", "安装地点", "具体位置", "所在位置", "location", "place", "spot"),
    "count": ("数量", "个数", "台数", "count", "quantity", "qty", "howmany"),
    "since": (
        "安装年份", "启用年份", "投用年份", "年份", "安装时间", "启用时间", "安装日期", "启用日期", "投用日期",
        "year", "since", "installed", "yearinstalled",
    ),
    "note": ("备注", "说明", "note", "notes", "remark", "remarks"),
}  # fmt: skip
OF_HOMES = ("房号", "室号", "房间号", "门牌号", "面积", "建筑面积", "专有面积", "room", "area")
"""Headings of a roster: a table that has one is none of ours."""
MOST_ROWS = 2000
LONGEST = {"kind": LONGEST_KIND, "spot": LONGEST_SPOT, "note": LONGEST_NOTE}


@dataclass(frozen=True)
class Line:
    """What a row says; None and "" where it says nothing."""

    row: int
    kind: str
    building: str
    spot: str
    count: int | None
    since: int | None
    note: str


@dataclass
class Plan:
    """What a file would change."""

    new: list[Line] = field(default_factory=list)
    changed: list[tuple[Equipment, dict[str, int | str]]] = field(default_factory=list)
    same: int = 0


# --- reading ----------------------------------------------------------------------------------------


def table_in(data: bytes) -> tuple[dict[str, int], Sheet] | None:
    """Where each column stands and the rows below the headings, of the first sheet that is a register."""
    for sheet in sheets_of(data):
        for at, row in enumerate(sheet[:HEADINGS_WITHIN]):
            columns = columns_in(row.cells, COLUMNS)
            alien = columns_in(row.cells, {name: (name,) for name in OF_HOMES})
            if "kind" in columns and columns.keys() & {"spot", "count", "since"} and not alien:
                return columns, sheet[at + 1 :]
    return None


def lines_in(tx: Tx, community_id: int, columns: Mapping[str, int], rows: Iterable[Row]) -> list[Line]:
    """What the rows say; BadRoster with every problem."""
    reading = _Reading(tx, community_id, columns)
    for row in rows:
        reading.take(row)
    if not reading.lines and not reading.problems:
        raise BadRoster([Say("equipment.problem.nothing")])
    if len(reading.lines) > MOST_ROWS:
        raise BadRoster([Say("equipment.problem.too_many", most=MOST_ROWS)])
    if reading.problems:
        raise BadRoster(reading.problems)
    return reading.lines


class _Reading:
    """Takes the rows one after another and keeps what they say and what is wrong with them."""

    def __init__(self, tx: Tx, community_id: int, columns: Mapping[str, int]) -> None:
        self.columns = columns
        self.now = this_year(tx, community_id)
        self.ours = {tuple(parts_of(name)): name for name in buildings_of(tx, community_id)}
        everywhere = [normal(texts(language)["equipment.whole"]) for language in LANGUAGES]
        self.everywhere = {"", *everywhere, *spoken("all"), *spoken("whole")}
        self.first: dict[tuple[str, str, str], int] = {}
        self.lines: list[Line] = []
        self.problems: list[Say] = []

    def _problem(self, row: Row, what: Say) -> None:
        self.problems.append(Say("roster.row", row=row.number, what=what))

    def take(self, row: Row) -> None:
        """Read one row."""
        cells = {name: row.cells[at] if at < len(row.cells) else "" for name, at in self.columns.items()}
        odd = {name for name, at in self.columns.items() if at in row.odd}
        if (not any(cells.values()) and not odd) or any(TOTALS.fullmatch(cell) for cell in cells.values()):
            return
        before = len(self.problems)
        self._check_cells(row, cells, odd)
        if len(self.problems) > before:
            return
        line = Line(
            row.number,
            tidy(cells["kind"]),
            self._building(row, cells.get("building", "")),
            tidy(cells.get("spot", "")),
            self._count(row, cells.get("count", "")),
            self._since(row, cells.get("since", "")),
            cells.get("note", "").strip(),
        )
        if not line.kind:
            self._problem(row, Say("equipment.problem.no_kind"))
        first = self.first.setdefault(key_of(line.kind, line.building, line.spot), row.number)
        if len(self.problems) == before and first != row.number:
            self._problem(row, Say("equipment.problem.doubled", first=first))
        self.lines.append(line)

    def _check_cells(self, row: Row, cells: Mapping[str, str], odd: set[str]) -> None:
        for name in odd:
            column = COLUMNS[name][0]
            if row.odd[self.columns[name]] != DATE:
                self._problem(row, Say("roster.problem.formula", column=column))
            elif name != "since":  # a day says its year
                self._problem(row, Say("roster.problem.date", column=column))
        for name, longest in LONGEST.items():
            cell = cells.get(name, "")
            if len(cell) > longest or not "".join(cell.split()).isprintable():
                self._problem(row, Say("roster.problem.unreadable", cell=ascii(cell[:20]), most=longest))

    def _building(self, row: Row, cell: str) -> str:
        """ "3号楼", "三栋" and "3" are one building; one that has no homes is a mistake, as it was written."""
        if normal(cell) in self.everywhere:
            return ""
        found = self.ours.get(tuple(parts_of(cell)))
        if found is None:
            ours = [Say("where.building", building=each) for each in self.ours.values()]
            self._problem(
                row, Say("equipment.problem.building", cell=cell[:20], buildings=ours or Say("talk.none"))
            )
        return found or ""

    def _count(self, row: Row, cell: str) -> int | None:
        number = whole_number(cell) if cell else None
        if cell and (number is None or not 1 <= number <= MOST):
            self._problem(row, Say("equipment.problem.count", cell=cell[:20], most=MOST))
        return number

    def _since(self, row: Row, cell: str) -> int | None:
        year = year_in(cell) if cell else None
        if cell and (year is None or not OLDEST <= year <= self.now):
            self._problem(row, Say("equipment.problem.since", cell=cell[:20], year=self.now))
        return year


# --- what it would change ---------------------------------------------------------------------------


def plan_for(tx: Tx, community_id: int, lines: Iterable[Line]) -> Plan:
    """New lines and changed ones; what the file does not name or leaves empty stays as it is."""
    standing = {key_of(each.kind, each.building, each.spot): each for each in register(tx, community_id)}
    plan = Plan()
    for line in lines:
        row = standing.get(key_of(line.kind, line.building, line.spot))
        if row is None:
            plan.new.append(line)
            continue
        said = {"count": line.count, "since": line.since, "note": line.note}
        changes = {name: value for name, value in said.items() if value and value != getattr(row, name)}
        if changes:
            plan.changed.append((row, changes))
        else:
            plan.same += 1
    return plan


def carry_out(tx: Tx, community_id: int, plan: Plan) -> None:
    """Let the register be as planned."""
    for line in plan.new:
        add_line(
            tx,
            community_id,
            kind=line.kind,
            building=line.building,
            spot=line.spot,
            count=line.count or 1,
            since=line.since,
            note=line.note,
        )
    for row, changes in plan.changed:
        for name, value in changes.items():
            setattr(row, name, value)
        tx.session.add(row)


def import_register(tx: Tx, community_id: int, data: bytes) -> None:
    """Let the register be as a file says, without asking."""
    found = table_in(data)
    assert found is not None
    carry_out(tx, community_id, plan_for(tx, community_id, lines_in(tx, community_id, *found)))


# --- in the admin group -----------------------------------------------------------------------------


@action("equipment.explain", button=True, stays=True)
def explain(tx: Tx, person: Person) -> None:
    """How the register is imported."""
    tell(tx, here(tx, person), "equipment.explain")


def offer(tx: Tx, person: Person, row: RosterFile, data: bytes) -> bool:
    """Show what a file would change and ask whether to do it; False if it is no register."""
    try:
        if table_in(data) is None:
            return False
    except BadRoster:
        return False
    plan = _plan(tx, person, row, data)
    if plan is None:
        return True
    if not plan.new and not plan.changed:
        _put_aside(tx, row)
        tell(tx, here(tx, person), "equipment.file_same", last=card_of(row), file=row.name, count=plan.same)
        return True
    tell(
        tx,
        here(tx, person),
        "equipment.plan",
        last=card_of(row),
        file=row.name,
        counts=_counts(plan),
        list=shown_lines(tx, person, _changes(plan) or [Say("equipment.new_only")]),
        buttons=(Button(f"equipment.apply:{row.id}"), Button(f"equipment.drop:{row.id}")),
    )
    return True


roster_chat.OTHER_TABLES.append(offer)


def _plan(tx: Tx, person: Person, row: RosterFile, data: bytes) -> Plan | None:
    """What the file would change now; None if it cannot be imported, which is then said."""
    try:
        columns, rows = table_in(data) or ({}, [])
        return plan_for(tx, row.community_id, lines_in(tx, row.community_id, columns, rows))
    except BadRoster as bad:
        _put_aside(tx, row)
        listed = shown_lines(tx, person, bad.problems)
        tell(
            tx,
            here(tx, person),
            "roster.bad",
            last=card_of(row),
            file=row.name,
            count=len(bad.problems),
            list=listed,
        )
    return None


def _put_aside(tx: Tx, row: RosterFile) -> None:
    row.storage = ""
    tx.session.add(row)


def _counts(plan: Plan) -> list[Say]:
    counts = (
        Say("equipment.count_new", count=len(plan.new)),
        Say("equipment.count_changed", count=len(plan.changed)),
        Say("equipment.count_same", count=plan.same),
    )
    return [each for each in counts if each.facts["count"]]


def _changes(plan: Plan) -> list[Say]:
    """The lines that stand and would be changed, each with what was and what would be."""
    return [
        Say(
            "equipment.file_line",
            number=row.number,
            kind=row.kind,
            what=[_change(name, getattr(row, name), value) for name, value in changes.items()],
        )
        for row, changes in plan.changed
    ]


def _change(name: str, was: int | str | None, now: int | str) -> Say:
    column = {
        "count": Say("equip.count.name"),
        "since": Say("equip.since.name"),
        "note": Say("equip.note.name"),
    }
    return Say("equipment.file_change", name=column[name], was=was or Say("talk.none"), now=now)


@action("equipment.apply", RosterFile, button=True)
def apply_file(tx: Tx, person: Person, row: RosterFile) -> None:
    """Let the register be as the file says, by what is known now."""
    _check_open(row)
    assert tx.house.file is not None
    try:
        plan = _plan(tx, person, row, tx.house.file(row.storage))
    except FileNotFoundError:
        _put_aside(tx, row)
        tell(tx, here(tx, person), "unclear.not_fetched")
        return
    if plan is not None:
        carry_out(tx, row.community_id, plan)
        _put_aside(tx, row)
        tell(
            tx,
            here(tx, person),
            "equipment.done",
            file=row.name,
            counts=_counts(plan),
            buttons=("equipment",),
        )


@action("equipment.drop", RosterFile, button=True)
def drop(tx: Tx, person: Person, row: RosterFile) -> None:
    """Put a file aside."""
    _check_open(row)
    _put_aside(tx, row)
    tell(tx, here(tx, person), "roster.dropped", file=row.name)


def _check_open(row: RosterFile) -> None:
    if not row.storage:
        raise Refused("equipment.over")
