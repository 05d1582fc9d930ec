"""The roster: a community's homes and people, brought as a CSV file, all of it or nothing."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlmodel import select

from handlers.people import new_person
from handlers.privacy import begin_retention
from handlers.tx import Tx
from store.tables import Community, Home, HomeRole, Person, Place, Role

COLUMNS = {
    "building": ("楼栋", "楼号", "building"),
    "entrance": ("单元", "entrance"),
    "room": ("房号", "室号", "room"),
    "area": ("面积", "建筑面积", "专有面积", "area"),
    "name": ("姓名", "业主", "name"),
    "role": ("身份", "角色", "role"),
    "skills": ("工种", "技能", "skills"),
    "duty": ("值班", "值班时间", "duty"),
    "number": ("编号", "人员编号", "number"),
}
ROLES = {
    "业主": "owner", "owner": "owner", "": "owner",
    "租户": "tenant", "tenant": "tenant",
    "物业": "staff", "staff": "staff",
    "维修": "crew", "crew": "crew",
}  # fmt: skip
AT_HOME = ("owner", "tenant")
# A building's name stands on buttons, which hold 64 bytes.
LONGEST = {"name": 60, "building": 12, "entrance": 12, "room": 20, "number": 40}
DUTY = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
MOST_BYTES = 20 * 1024 * 1024


class BadRoster(Exception):
    """The file cannot be imported; `problems` are sentences, each with its row."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Line:
    """One row: a person with a home, or a person who works for the community.

    `area` is in 0.001 m². Rows of one `number` speak of one person: two owners of one name are two people.
    """

    row: int
    name: str
    role: str
    building: str = ""
    entrance: str = ""
    room: str = ""
    area: int = 0
    skills: tuple[str, ...] = ()
    duty: str = ""
    number: str = ""


@dataclass
class Imported:
    """What an import changed."""

    homes: int = 0
    people: int = 0
    roles: int = 0


def read_roster(data: bytes) -> list[Line]:
    """The lines of a CSV file in UTF-8 (with or without BOM) or GB 18030; BadRoster with every problem in it."""
    if len(data) > MOST_BYTES:
        raise BadRoster(["文件超过 20 MB。The file is larger than 20 MB."])
    try:
        rows = list(csv.reader(io.StringIO(_decoded(data), newline="")))
    except csv.Error as error:
        raise BadRoster([f"这不像 CSV 文件：{error}。This does not look like a CSV file."]) from None
    columns = _columns(rows[0] if rows else [])
    problems: list[str] = []
    lines = []
    for number, row in enumerate(rows[1:], 2):
        cells = {name: row[at].strip() if at < len(row) else "" for name, at in columns.items()}
        if not any(cells.values()):
            continue
        try:
            lines.append(_line(number, cells))
        except ValueError as error:
            problems.append(f"第 {number} 行：{error}")
    problems += _contradictions(lines)
    if not lines and not problems:
        problems.append("文件里没有一行住户。There is no row below the headings.")
    if problems:
        raise BadRoster(problems)
    return lines


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadRoster(["文件不是 UTF-8 或 GBK 编码的 CSV。The file is not a CSV in UTF-8 or GBK."])


def _columns(header: list[str]) -> dict[str, int]:
    """Where each known column stands; others are passed over."""
    titles = [title.strip().lower() for title in header]
    found = {
        name: titles.index(title) for name, usual in COLUMNS.items() for title in usual if title in titles
    }
    missing = [
        usual[0]
        for name, usual in COLUMNS.items()
        if name in ("name", "building", "room", "area") and name not in found
    ]
    if missing:
        raise BadRoster([f"第 1 行缺少列：{'、'.join(missing)}。Missing columns in row 1."])
    return found


def _line(number: int, cells: Mapping[str, str]) -> Line:
    role = ROLES.get(cells.get("role", "").lower())
    if role is None:
        raise ValueError(f"身份「{cells['role']}」不认识，请写 业主、租户、物业 或 维修")
    if not cells["name"]:
        raise ValueError("没有姓名")
    for name, longest in LONGEST.items():
        cell = cells.get(name, "")
        if len(cell) > longest or not cell.isprintable():
            raise ValueError(f"「{cell[:20]!r}」太长或含有看不见的字符，最多 {longest} 个字")
    duty = cells.get("duty", "").replace("：", ":").replace("—", "-").replace("–", "-").replace(" ", "")
    if duty and not DUTY.fullmatch(duty):
        raise ValueError(f"值班时间「{cells['duty']}」请写成 08:00-20:00")
    skills = tuple(filter(None, re.split(r"[、,，;；\s]+", cells.get("skills", ""))))
    if role not in AT_HOME:
        return Line(number, cells["name"], role, skills=skills, duty=duty)
    if not cells["building"] or not cells["room"]:
        raise ValueError("没有楼栋或房号")
    return Line(
        number,
        cells["name"],
        role,
        building=_plain(cells["building"]),
        entrance=_plain(cells.get("entrance", "")),
        room=_plain(cells["room"]),
        area=_area(cells["area"]),
        number=cells.get("number", ""),
    )


def _plain(name: str) -> str:
    """ "3号楼", "3 栋" and "3" are one building; "2单元" and "2" one entrance."""
    return re.sub(r"\s*(号楼|栋|幢|单元|室|号)$", "", name)


def _area(cell: str) -> int:
    try:
        area = Decimal(cell.replace("㎡", "").replace("m²", "").replace("平方米", "").strip()) * 1000
    except ArithmeticError:
        raise ValueError(f"面积「{cell}」不是数字") from None
    if not area.is_finite() or area != area.to_integral_value() or not 0 < area < 10**9:
        raise ValueError(f"面积「{cell}」不对，请写成 89.35 这样的平方米数")
    return int(area)


def _contradictions(lines: Iterable[Line]) -> list[str]:
    """Rows that speak of one home must agree on its area, and name a person once."""
    problems = []
    areas: dict[tuple[str, str, str], Line] = {}
    people: dict[tuple[str, ...], Line] = {}
    numbers: dict[str, Line] = {}
    for line in lines:
        named = numbers.setdefault(line.number, line) if line.number else line
        if named.name != line.name:
            problems.append(f"第 {line.row} 行：编号 {line.number} 与第 {named.row} 行同号不同名")
        home = (line.building, line.entrance, line.room)
        first = areas.setdefault(home, line)
        if first.area != line.area:
            problems.append(f"第 {line.row} 行：面积与第 {first.row} 行同一户不一致")
        twin = people.setdefault((*home, line.name, "" if line.role in AT_HOME else line.role), line)
        if twin is not line:
            problems.append(f"第 {line.row} 行：与第 {twin.row} 行重复")
    return problems


def import_roster(tx: Tx, community: Community, lines: Iterable[Line]) -> Imported:
    """Add what is new and update areas, skills and duty hours; importing the same file again changes nothing.

    A person is known by the name within a home, staff and crew by the name within their work; several homes are
    one person's only if the roster gives them one number.
    """
    done = Imported()
    lines = list(lines)
    numbered: dict[str, Person] = {}
    for line in lines:
        tie = _tie(tx, community, line) if line.number else None
        if tie is not None:
            numbered.setdefault(line.number, tx.session.get_one(Person, tie.person_id))
    for line in lines:
        if line.role in AT_HOME:
            person = _home_line(tx, community, line, numbered.get(line.number), done)
            if line.number:
                numbered[line.number] = person
        else:
            _work_line(tx, community, line, done)
    return done


def _home_line(tx: Tx, community: Community, line: Line, person: Person | None, done: Imported) -> Person:
    home = _home(tx, community, line)
    if home is None:
        home = Home(
            community_id=community.id,
            building=line.building,
            entrance=line.entrance,
            room=line.room,
            area=line.area,
        )
        done.homes += 1
    home.area = line.area
    tx.session.add(home)
    tx.session.flush()
    tie = _tie(tx, community, line)
    if tie is None:
        person = person or _new_person(tx, community, line.name, done)
        tie = HomeRole(community_id=community.id, home_id=home.id, person_id=person.id, role=line.role)
        done.roles += 1
    elif tie.role != line.role:
        done.roles += 1
    tie.role = line.role
    tx.session.add(tie)
    tx.session.flush()
    return tx.session.get_one(Person, tie.person_id)


def _home(tx: Tx, community: Community, line: Line) -> Home | None:
    return tx.session.exec(
        select(Home).where(
            Home.community_id == community.id,
            Home.building == line.building,
            Home.entrance == line.entrance,
            Home.room == line.room,
        )
    ).first()


def _tie(tx: Tx, community: Community, line: Line) -> HomeRole | None:
    """What ties the person of this name to the home, if something does."""
    home = _home(tx, community, line)
    if home is None:
        return None
    return tx.session.exec(
        select(HomeRole).join(Person).where(HomeRole.home_id == home.id, Person.name == line.name)
    ).first()


def _work_line(tx: Tx, community: Community, line: Line, done: Imported) -> None:
    role = tx.session.exec(
        select(Role)
        .join(Person)
        .where(Role.community_id == community.id, Person.name == line.name, Role.role == line.role)
    ).first()
    if role is None:
        person = _new_person(tx, community, line.name, done)
        role = Role(community_id=community.id, person_id=person.id, role=line.role)
        done.roles += 1
    role.skills, role.duty = list(line.skills), line.duty
    tx.session.add(role)


def _new_person(tx: Tx, community: Community, name: str, done: Imported) -> Person:
    person = new_person(tx, community.id, name)
    done.people += 1
    return person


def add_community(tx: Tx, name: str, *, time_zone: str, language: str) -> Community:
    """A new community; ValueError if the name is taken."""
    if tx.session.exec(select(Community).where(Community.name == name)).first():
        raise ValueError(name)
    community = Community(name=name, time_zone=time_zone, language=language, created_at=tx.now)
    tx.session.add(community)
    tx.session.flush()
    begin_retention(tx)
    return community


def add_place(tx: Tx, community: Community, messenger: str, external_id: str, kind: str) -> None:
    """Let a chat be the community's admin group ("staff") or its board ("board")."""
    tx.session.add(Place(community_id=community.id, messenger=messenger, external_id=external_id, kind=kind))
