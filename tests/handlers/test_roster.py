"""The roster: read whole or not at all, with every problem named; importing again changes only what changed."""

from collections.abc import Iterator

import pytest
from sqlmodel import Session, col, select

from handlers.roster import BadRoster, Imported, add_community, import_roster, read_roster
from handlers.tx import Tx
from store.database import Database
from store.tables import Community, Home, HomeRole, Person, Role
from tests.people import HOUSE, MORNING

HEAD = "楼栋,单元,房号,面积,姓名,身份,工种,值班时间,编号\n"
PLAIN = (
    HEAD
    + "3号楼,2单元,1201,89.35,陈女士,业主,,,\n,,,,李师傅,维修,lift gas,08:00-20:00,\n,,,,刘经理,物业,,,\n"
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url, durable=False)
    made.write_now(
        lambda session: add_community(
            Tx(session, MORNING, HOUSE), "阳光花园", time_zone="Asia/Shanghai", language="zh"
        )
    )
    yield made
    made.close()


def imported(database: Database, text: str) -> Imported:
    lines = read_roster(text.encode())

    def work(session: Session) -> Imported:
        community = session.exec(select(Community)).one()
        return import_roster(Tx(session, MORNING, HOUSE), community, lines)

    return database.write_now(work)


def ties(database: Database) -> list[tuple[str, str, str, int]]:
    """Room, name, role and whose it is."""
    with database.read() as session:
        rows = session.exec(
            select(Home.room, Person.name, HomeRole.role, Person.id)
            .select_from(HomeRole)
            .join(Home)
            .join(Person, col(Person.id) == col(HomeRole.person_id))
            .order_by(col(HomeRole.id))
        )
        return [tuple(row) for row in rows]


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(BadRoster) as caught:
        read_roster(text if isinstance(text, bytes) else text.encode())
    return caught.value.problems


def test_a_roster_is_imported_once(database: Database) -> None:
    assert imported(database, PLAIN) == Imported(homes=1, people=3, roles=3)
    assert imported(database, PLAIN) == Imported()
    with database.read() as session:
        home = session.exec(select(Home)).one()
        role = session.exec(select(Role).where(Role.role == "crew")).one()
    assert (home.building, home.entrance, home.room, home.area) == ("3", "2", "1201", 89_350)
    assert (role.skills, role.duty) == (["lift", "gas"], "08:00-20:00")


def test_areas_skills_hours_and_roles_are_brought_up_to_date(database: Database) -> None:
    imported(database, PLAIN)
    changed = PLAIN.replace("89.35", "90.1").replace("业主", "租户").replace("lift gas,08:00-20:00", "tap,")
    assert imported(database, changed) == Imported(roles=1)
    with database.read() as session:
        assert session.exec(select(Home.area)).one() == 90_100
        assert session.exec(select(Role.skills, Role.duty).where(Role.role == "crew")).one() == (["tap"], "")
    assert [tie[:3] for tie in ties(database)] == [("1201", "陈女士", "tenant")]


def test_two_people_of_one_name_are_two_unless_they_have_one_number(database: Database) -> None:
    rows = "1号楼,1单元,101,50,张伟,业主,,,{0}\n2号楼,1单元,202,60,张伟,业主,,,{1}\n3号楼,1单元,303,70,张伟,业主,,,9\n"
    imported(database, HEAD + rows.format("7", "7"))
    first, second, third = (tie[3] for tie in ties(database))
    assert (first == second, first == third) == (True, False)


def test_a_further_home_of_a_number_goes_to_the_same_person(database: Database) -> None:
    imported(database, HEAD + "1号楼,1单元,101,50,张伟,业主,,,\n")
    again = HEAD + "2号楼,1单元,202,60,张伟,业主,,,7\n1号楼,1单元,101,50,张伟,业主,,,7\n"
    assert imported(database, again) == Imported(homes=1, people=0, roles=1)
    assert len({tie[3] for tie in ties(database)}) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_the_usual_encodings_are_read(encoding: str) -> None:
    assert [line.name for line in read_roster(PLAIN.encode(encoding))] == ["陈女士", "李师傅", "刘经理"]


def test_every_problem_is_named_with_its_row() -> None:
    rows = [
        "3号楼,2单元,1201,abc,陈女士,业主,,,",
        "3号楼,2单元,1202,89.35,,业主,,,",
        "3号楼,,,89.35,周先生,业主,,,",
        "3号楼,2单元,1203,-1,周先生,业主,,,",
        "3号楼,2单元,1204,89.35,周先生,房东,,,",
        ",,,,李师傅,维修,,25:00-08:00,",
        "1号楼,1单元,101,50,张伟,业主,,,7",
        "1号楼,1单元,101,51,李伟,业主,,,7",
        "1号楼,1单元,101,50,张伟,租户,,,7",
    ]
    assert problems(HEAD + "\n".join(rows)) == [
        "第 2 行：面积「abc」不是数字",
        "第 3 行：没有姓名",
        "第 4 行：没有楼栋或房号",
        "第 5 行：面积「-1」不对，请写成 89.35 这样的平方米数",
        "第 6 行：身份「房东」不认识，请写 业主、租户、物业 或 维修",
        "第 7 行：值班时间「25:00-08:00」请写成 08:00-20:00",
        "第 9 行：编号 7 与第 8 行同号不同名",
        "第 9 行：面积与第 8 行同一户不一致",
        "第 10 行：与第 8 行重复",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "缺少列"),
        ("姓名,电话\n陈女士,1\n".encode(), "缺少列：楼栋、房号、面积"),
        (b"\xff\xfe\x00\x01" * 50, "不是 UTF-8 或 GBK"),
        (HEAD.encode() + b'"' + b"x" * 200_000 + b'"', "不像 CSV 文件"),
        (b"x" * (20 * 1024 * 1024 + 1), "超过 20 MB"),
    ],
)
def test_what_is_no_roster_is_said_to_be_none(data: bytes, words: str) -> None:
    assert words in problems(data)[0]


def test_empty_rows_and_unknown_columns_are_passed_over() -> None:
    text = "电话,姓名,楼栋,单元,房号,面积\n138,陈女士,3,2,1201,89.35\n,,,,,\n"
    assert [(line.name, line.role, line.area) for line in read_roster(text.encode())] == [
        ("陈女士", "owner", 89_350)
    ]
