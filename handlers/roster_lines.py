"""What a roster says: its columns by their usual names, its people and homes, and every problem with its row."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from typing import NamedTuple, TypeVar

from conversations.words import LANGUAGES, Say, normal, texts
from handlers.phones import normal_phone
from handlers.roster_file import BadRoster, Row, columns_in, sheets_of

T = TypeVar("T")

# The first name is the one that the template writes.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "building": ("楼栋", "楼号", "楼幢", "幢号", "栋号", "幢", "栋", "building"),
    "entrance": ("单元", "单元号", "entrance"),
    "room": ("房号", "室号", "房间号", "门牌号", "room"),
    "area": ("专有面积", "产权面积", "建筑面积", "面积", "area"),
    "status": ("状态", "房屋状态", "交付状态", "销售状态", "status"),
    "name": ("姓名", "业主", "业主姓名", "产权人", "户主", "name", "owner"),
    "phone": ("电话", "手机", "手机号", "手机号码", "电话号码", "联系电话", "联系方式", "业主电话", "phone"),
    "role": ("身份", "角色", "人员类型", "role"),
    "share": ("份额", "产权份额", "share"),
    "represents": ("代表", "业主代表", "representative"),
    "co_owners": ("共有人", "共有人姓名", "co-owners"),
    "co_owners_phone": ("共有人电话", "共有人手机", "co-owners'phone"),
    "tenants": ("租户", "租客", "承租人", "tenants"),
    "tenants_phone": ("租户电话", "租客电话", "tenants'phone"),
    "family": ("家人", "家属", "家庭成员", "family"),
    "family_phone": ("家人电话", "家属电话", "family'sphone"),
    "parking": ("车位", "车位号", "parking"),
    "developer": ("开发商", "开发企业", "建设单位", "developer"),
    "skills": ("工种", "技能", "skills"),
    "buildings": ("负责楼栋", "楼栋范围", "buildings"),
    "duty": ("值班", "值班时间", "duty"),
    "number": ("编号", "人员编号", "number"),
}
NEEDED = ("building", "room", "area", "name")
ROLES = {
    "owner": "业主 产权人 户主 共有人 owner co-owner",
    "tenant": "租户 租客 承租人 tenant",
    "family": "家人 家属 家庭成员 family",
    "developer": "开发商 建设单位 developer",
    "staff": "物业 物业人员 staff",
    "crew": "维修 师傅 维修师傅 维修工 crew",
    "committee": "业委会 业委会成员 committee",
}
STATUSES = {
    "delivered": "已交付 交付 已入住 入住 空置 自住 出租 已售 delivered sold",
    "undelivered": "未交付 已售未交付 undelivered",
    "unsold": "未售 待售 unsold",
}
MORE_PEOPLE = {"co_owners": "owner", "tenants": "tenant", "family": "family"}
AT_WORK = ("staff", "crew", "committee")
# A building's name stands on buttons, which hold 64 bytes.
LONGEST = {"name": 60, "building": 12, "entrance": 12, "room": 20, "number": 40, "parking": 40}
DUTY = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
YES = {"是", "√", "✓", "✔", "y", "yes", "1", "true", "对"}
NO = {"", "否", "不是", "×", "n", "no", "0", "false"}
NO_SHARE = {"", "-", "—", "/", "共同共有", "共有"}
TOTALS = re.compile(r"(合|总|小)\s*计")
HEADINGS_WITHIN = 10
SHORTENED = re.compile(r"\d(\.\d+)?E\+?\d+", re.IGNORECASE)


class Address(NamedTuple):
    """Which home it is, in one spelling: ("3", "2", "1201")."""

    building: str
    entrance: str
    room: str

    def say(self) -> Say:
        """The address in words."""
        where = {"building": self.building, "room": self.room}
        if self.entrance:
            return Say("where.home", entrance=self.entrance, **where)
        return Say("where.home_plain", **where)


@dataclass
class HomeLine:
    """What the file says about a home; `area` in 0.001 m², 0 where no row says it."""

    row: int
    address: Address
    area: int = 0
    status: str = ""
    parking: dict[str, int] = field(default_factory=dict)
    """The parking spaces, each with its row."""


@dataclass
class Line:
    """Somebody at a home (owner, tenant, family), or at work for the community (staff, crew, committee)."""

    row: int
    name: str
    role: str
    home: Address | None = None
    phone: str = ""
    number: str = ""
    share: str = ""
    represents: bool = False
    is_developer: bool = False
    skills: tuple[str, ...] = ()
    buildings: tuple[str, ...] = ()
    duty: str = ""


@dataclass
class Roster:
    """A file without problems: its people, its homes, which columns it has, and what is worth a look."""

    lines: list[Line]
    homes: dict[Address, HomeLine]
    columns: frozenset[str]
    remarks: list[Say]


class _Wrong(Exception):
    """One cell of a row is wrong."""

    def __init__(self, what: Say) -> None:
        super().__init__(what.key)
        self.what = what


def read_roster(data: bytes) -> Roster:
    """The roster that a file holds; BadRoster with every problem in it."""
    columns, rows = _table(data)
    reading = _Reading(columns)
    for row in rows:
        reading.take(row)
    return reading.done()


# --- columns ----------------------------------------------------------------------------------------


def _table(data: bytes) -> tuple[dict[str, int], list[Row]]:
    """Where each known column stands, and the rows below the headings, of the first sheet that has what is needed."""
    best: tuple[int, list[str]] = (-1, [])
    for sheet in sheets_of(data):
        for at, row in enumerate(sheet[:HEADINGS_WITHIN]):
            columns = columns_in(row.cells, COLUMNS)
            missing = [COLUMNS[name][0] for name in NEEDED if name not in columns]
            if not missing:
                return columns, sheet[at + 1 :]
            if len(columns) > best[0]:
                best = (len(columns), missing)
    raise BadRoster([Say("roster.file.columns", missing=best[1] or [COLUMNS[name][0] for name in NEEDED])])


# --- rows -------------------------------------------------------------------------------------------


class _Reading:
    """Takes the rows one after another and keeps what they say and what is wrong with them."""

    def __init__(self, columns: dict[str, int]) -> None:
        self.columns = columns
        self.lines: list[Line] = []
        self.homes: dict[Address, HomeLine] = {}
        self.problems: list[tuple[int, Say]] = []
        self.remarks: list[Say] = []
        self.above: Address | None = None
        self.filled: list[int] = []
        self.spoken_for: dict[Address, str] = {}
        """By home the name that the column of representatives holds."""
        self.plain_owners: dict[Address, int] = {}
        """By home the row that names its owner without saying what somebody is there."""

    def problem(self, row: int, what: Say) -> None:
        self.problems.append((row, Say("roster.row", row=row, what=what)))

    def take(self, row: Row) -> None:
        """Read one row."""
        cells = {n: row.cells[at] if at < len(row.cells) else "" for n, at in self.columns.items()}
        if not any(cells.values()) and not row.odd.keys() & set(self.columns.values()):
            return
        if any(TOTALS.fullmatch(cell) for cell in cells.values()):
            self.remarks.append(Say("roster.remark.total", row=row.number))
            return
        for name, at in self.columns.items():
            if at in row.odd:
                key = "roster.problem.date" if row.odd[at] == "date" else "roster.problem.formula"
                self.problem(row.number, Say(key, column=COLUMNS[name][0]))
                return
        self._take(row.number, cells)

    def _tried(self, row: int, read: Callable[[], T]) -> T | None:
        """What is read; None if it is wrong. Every cell that is wrong is named, not only the first."""
        try:
            return read()
        except _Wrong as wrong:
            self.problem(row, wrong.what)
            return None

    def _take(self, row: int, cells: dict[str, str]) -> None:
        self._tried(row, lambda: _check_lengths(cells))
        roles = self._tried(row, lambda: _roles(cells.get("role", "")))
        if roles is None:
            return
        role = next((role for role in roles if role not in AT_WORK), "")
        if not roles or (roles == ["committee"] and cells["room"]):
            role = "owner"
        home = self._tried(row, lambda: self._home(row, cells)) if role else None
        if role and home is None:
            return
        status = home.status if home is not None else ""
        people = self._tried(row, lambda: _people(cells, role, status))
        if people is None:
            return
        if home is not None:
            self._at_home(row, cells, people, home.address)
        for work in filter(AT_WORK.__contains__, roles):
            line = self._tried(row, lambda work=work: _at_work(row, cells, people[0], work))  # type: ignore[misc]
            self.lines += [line] if line is not None else []

    def _home(self, row: int, cells: Mapping[str, str]) -> HomeLine:
        address = self._address(row, cells)
        home = self.homes.setdefault(address, HomeLine(row, address))
        area = self._tried(row, lambda: _area(cells["area"]) if cells["area"] else 0)
        status = self._tried(row, lambda: _status(cells.get("status", "")))
        if area and home.area and area != home.area:
            self.problem(row, Say("roster.problem.other_area", first=home.row))
        if status and home.status and status != home.status:
            self.problem(row, Say("roster.problem.other_status", first=home.row))
        home.area, home.status = home.area or area or 0, home.status or status or ""
        for space in _parts(cells.get("parking", "")):
            home.parking.setdefault(_plain_words(space), row)
        self._not_doubled(row, cells, address)
        return home

    def _address(self, row: int, cells: Mapping[str, str]) -> Address:
        building, entrance, room = (_plain(cells.get(name, "")) for name in ("building", "entrance", "room"))
        if room and not building and self.above is not None:  # what was merged stands in its first row alone
            building, entrance = self.above.building, entrance or self.above.entrance
            self.filled.append(row)
        if not building or not room:
            raise _Wrong(Say("roster.problem.no_home"))
        self.above = Address(building, entrance, room)
        return self.above

    def _not_doubled(self, row: int, cells: Mapping[str, str], address: Address) -> None:
        """Where co-owners have a column, a second row of a home that says nothing of who this is, is a mistake."""
        if "co_owners" not in self.columns or cells.get("role") or not cells["name"]:
            return
        first = self.plain_owners.setdefault(address, row)
        if first != row:
            self.problem(row, Say("roster.problem.doubled_home", first=first))

    def _at_home(
        self, row: int, cells: Mapping[str, str], people: list[tuple[str, str, str]], home: Address
    ) -> None:
        mine = [
            Line(
                row,
                name,
                "owner" if role == "developer" else role,
                home,
                phone=phone,
                number=cells.get("number", "") if at == 0 else "",
                is_developer=role == "developer",
            )
            for at, (name, role, phone) in enumerate(people)
        ]
        self.lines += mine
        self._tried(row, lambda: _set_shares([line for line in mine if line.role == "owner"], cells))
        self._tried(row, lambda: self._represents(cells, mine, home))

    def _represents(self, cells: Mapping[str, str], mine: list[Line], home: Address) -> None:
        cell = cells.get("represents", "")
        if normal(cell) in NO:
            return
        name = mine[0].name if normal(cell) in YES and mine else _name(cell)
        if self.spoken_for.setdefault(home, name) != name:
            raise _Wrong(Say("roster.problem.two_represent", other=self.spoken_for[home]))

    # --- when all rows are read ---

    def done(self) -> Roster:
        """The roster, after what only the rows together show to be wrong."""
        self._doubled_people()
        self._homes()
        self._parking()
        self._numbers()
        self._speakers()
        self._full_shares()
        if not self.homes and not self.lines and not self.problems:
            raise BadRoster([Say("roster.file.nobody")])
        if self.problems:
            raise BadRoster([what for _, what in sorted(self.problems, key=lambda each: each[0])])
        self._remark_phones()
        self._remark_committee()
        if self.filled:
            rows = "、".join(map(str, self.filled[:20]))
            self.remarks.append(Say("roster.remark.filled", rows=rows, count=len(self.filled)))
        return Roster(self.lines, self.homes, frozenset(self.columns), self.remarks)

    def _doubled_people(self) -> None:
        people: dict[tuple[object, ...], Line] = {}
        for line in self.lines:
            first = people.setdefault((line.home, line.name, "" if line.home else line.role), line)
            if first is not line:
                self.problem(line.row, Say("roster.problem.doubled", first=first.row))

    def _homes(self) -> None:
        wrong = {row for row, _ in self.problems}
        for home in self.homes.values():
            if not home.area and home.row not in wrong:
                self.problem(home.row, Say("roster.problem.no_area"))

    def _parking(self) -> None:
        spaces: dict[str, tuple[Address, int]] = {}
        for home in self.homes.values():
            for number, row in home.parking.items():
                address, first = spaces.setdefault(number, (home.address, row))
                if address != home.address:
                    self.problem(row, Say("roster.problem.parking", number=number, first=first))

    def _numbers(self) -> None:
        numbers: dict[str, Line] = {}
        for line in self.lines:
            first = numbers.setdefault(line.number, line) if line.number else line
            if first.name != line.name:
                self.problem(line.row, Say("roster.problem.number", number=line.number, first=first.row))

    def _speakers(self) -> None:
        owners = {(line.home, line.name): line for line in self.lines if line.home and line.role == "owner"}
        for address, name in self.spoken_for.items():
            line = owners.get((address, name))
            if line is None:
                self.problem(self.homes[address].row, Say("roster.problem.no_owner", name=name))
            else:
                line.represents = True

    def _full_shares(self) -> None:
        sums: dict[Address, Fraction] = {}
        for line in self.lines:
            if line.share and line.home:
                sums[line.home] = sums.get(line.home, Fraction(0)) + Fraction(line.share)
                if sums[line.home] > 1 and sums[line.home] - Fraction(line.share) <= 1:
                    self.problem(line.row, Say("roster.problem.over", where=line.home.say()))

    def _remark_phones(self) -> None:
        named: dict[str, Line] = {}
        for line in self.lines:
            first = named.setdefault(line.phone, line) if line.phone else line
            if first.name != line.name:
                self.remarks.append(
                    Say(
                        "roster.remark.one_phone",
                        row=line.row,
                        first=first.row,
                        names=[first.name, line.name],
                    )
                )

    def _remark_committee(self) -> None:
        """Somebody of the committee who is named without a home cannot be known to be an owner of the same name."""
        owners = {line.name: line for line in self.lines if line.home and line.role == "owner"}
        tied = {(line.row, line.name) for line in self.lines if line.home}
        for line in self.lines:
            lonely = line.role == "committee" and not (line.number or line.phone)
            if lonely and line.name in owners and (line.row, line.name) not in tied:
                self.remarks.append(Say("roster.remark.committee", row=line.row, name=line.name))


# --- cells ------------------------------------------------------------------------------------------


def _parts(cell: str) -> list[str]:
    """The things that stand in one cell; a comma parts Chinese words, but "Smith Co., Ltd" is one name."""
    han = re.search(r"[\u3400-\u9fff]", cell) or not re.search(r"[A-Za-z]", cell)
    return [
        part.strip() for part in re.split(r"[、,，;；/\n]" if han else r"[、;；/\n]", cell) if part.strip()
    ]


def _plain_words(words: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", words).split())


def _plain(name: str) -> str:
    """ "3号楼", "3 栋", "３" and "3#" are one building; "2单元" and "2" one entrance."""
    return re.sub(r"\s*(号楼|栋|幢|单元|室|号|#楼|#)$", "", _plain_words(name))


def _name(cell: str) -> str:
    """A name as it is compared: "张　三" is 张三, but "Mr Smith" keeps its blank."""
    words = " ".join(cell.split())
    name = re.sub(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])", "", words)
    if len(name) > LONGEST["name"] or not name.isprintable():
        raise _Wrong(Say("roster.problem.unreadable", cell=ascii(name[:20]), most=LONGEST["name"]))
    return name


def _check_lengths(cells: Mapping[str, str]) -> None:
    for name, longest in LONGEST.items():
        cell = cells.get(name, "").replace("\u3000", " ")
        parted = _parts(cell) if name in ("name", "parking") else [cell]
        if any(len(part) > longest or not part.isprintable() for part in parted):
            raise _Wrong(Say("roster.problem.unreadable", cell=ascii(cell[:20]), most=longest))


def _people(cells: Mapping[str, str], role: str, status: str) -> list[tuple[str, str, str]]:
    """Name, role and number of everybody whom a row names, the one in the column of names first."""
    found = _with_phones(cells["name"], cells.get("phone", ""))
    if found and role == "owner" and status == "unsold":
        role = "developer"
    people = [(name, role, phone) for name, phone in found]
    for column, other in MORE_PEOPLE.items():
        more = _with_phones(cells.get(column, ""), cells.get(f"{column}_phone", ""))
        people += [(name, other, phone) for name, phone in more]
    if not found and status == "unsold":
        company = cells.get("developer", "").strip()
        return [(_name(company), "developer", ""), *people] if company else people
    if not found:
        raise _Wrong(Say("roster.problem.no_name"))
    return people


def _with_phones(names: str, phones: str) -> list[tuple[str, str]]:
    found = [_name(part) for part in _parts(names)]
    numbers = [_phone(part) for part in _parts(phones)]
    if len(found) > 1 and len(numbers) > 1 and len(found) != len(numbers):
        raise _Wrong(Say("roster.problem.phones", names=found, count=len(numbers)))
    return [(name, numbers[at] if at < len(numbers) else "") for at, name in enumerate(found)]


def _phone(cell: str) -> str:
    if SHORTENED.fullmatch(cell):  # as Excel shows long numbers; with few digits the others are lost
        exact = Decimal(cell)
        cell = str(int(exact)) if len(exact.as_tuple().digits) >= 10 else cell
    phone = normal_phone(cell)
    if not phone:
        raise _Wrong(Say("roster.problem.phone", cell=cell[:30]))
    return phone


def _roles(cell: str) -> list[str]:
    """What somebody is, perhaps several things: 业主、业委会."""
    roles = []
    for part in _parts(cell):
        role = _known(part, ROLES)
        if not role:
            raise _Wrong(Say("roster.problem.role", cell=part[:30]))
        roles.append(role)
    return roles


def _status(cell: str) -> str:
    status = _known(cell, STATUSES)
    if not status and cell:
        raise _Wrong(Say("roster.problem.status", cell=cell[:30]))
    return status


def _known(cell: str, table: Mapping[str, str]) -> str:
    return next((name for name, words in table.items() if normal(cell) in words.split()), "")


def _area(cell: str) -> int:
    """In 0.001 m², exactly; what is beyond a millionth is the noise of a computer's number."""
    words = re.sub(r"(㎡|m²|m2|平方米|平米|平)$", "", cell.replace(",", "").replace("，", "").strip())
    try:
        exact = Decimal(words) * 1000
    except InvalidOperation:
        raise _Wrong(Say("roster.problem.area", cell=cell[:30])) from None
    if not exact.is_finite() or not 0 < exact < 10**9:
        raise _Wrong(Say("roster.problem.area", cell=cell[:30]))
    area = int(exact.to_integral_value())
    if abs(exact - area) > Decimal("0.000001"):
        raise _Wrong(Say("roster.problem.decimals", cell=cell[:30]))
    return area


def _share(cell: str) -> str:
    """The exact part: "50%", "1/2" and "0.5" are "1/2"."""
    words = unicodedata.normalize("NFKC", cell).replace(" ", "")
    if words in NO_SHARE:
        return ""
    try:
        part = Fraction(Decimal(words[:-1])) / 100 if words.endswith("%") else Fraction(words)
    except (ValueError, ArithmeticError):
        raise _Wrong(Say("roster.problem.share", cell=cell[:30])) from None
    if not 0 < part <= 1 or part.denominator > 10**9:
        raise _Wrong(Say("roster.problem.share", cell=cell[:30]))
    return str(part)


def _set_shares(owners: list[Line], cells: Mapping[str, str]) -> None:
    shares = [_share(part) for part in re.split(r"[、,，;；\n]", cells.get("share", ""))]
    if not any(shares):
        return
    if not owners or len(shares) not in (1, len(owners)):
        raise _Wrong(Say("roster.problem.shares", count=len(owners)))
    for line, share in zip(owners, shares, strict=False):
        line.share = share


def _at_work(row: int, cells: Mapping[str, str], who: tuple[str, str, str], role: str) -> Line:
    name, _, phone = who
    duty = re.sub(r"\s", "", unicodedata.normalize("NFKC", cells.get("duty", "")))
    duty = re.sub(r"[—–~至]+", "-", duty)
    if duty and not DUTY.fullmatch(duty):
        raise _Wrong(Say("roster.problem.duty", cell=cells["duty"][:30]))
    return Line(
        row,
        name,
        role,
        phone=phone,
        number=cells.get("number", ""),
        skills=tuple(_skill(part) for part in re.split(r"[、,，;；/\s]+", cells.get("skills", "")) if part),
        buildings=tuple(_plain(part) for part in _parts(cells.get("buildings", ""))),
        duty=duty,
    )


def _skill(word: str) -> str:
    """The kind of repair by its name, by its label or by how its label begins: lift, 电梯故障, 电梯."""
    labels, wanted = _labels(), normal(word)
    if wanted in labels.values():
        return wanted
    if wanted in labels:
        return labels[wanted]
    begun = {kind for label, kind in labels.items() if label.startswith(wanted)}
    if len(begun) != 1:
        raise _Wrong(Say("roster.problem.skill", cell=word[:30]))
    return begun.pop()


@cache
def _labels() -> Mapping[str, str]:
    return {
        normal(text): key.removeprefix("kind.")
        for language in LANGUAGES
        for key, text in texts(language).items()
        if key.startswith("kind.")
    }
