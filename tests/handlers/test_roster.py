"""The roster: read whole or not at all, with every problem named; importing again changes only what changed."""

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xlsxwriter
from sqlmodel import col, select

from conversations.words import Reader
from handlers import roster_file
from handlers.people import bind_account, homes_of, is_resident, new_person
from handlers.phones import phone_of
from handlers.roster import BadRoster, add_community, import_roster, plan_roster, read_roster
from handlers.roster_file import MOST_BYTES
from handlers.roster_lines import COLUMNS, Address
from handlers.roster_plan import Plan
from handlers.roster_template import write_template
from handlers.tx import Tx
from store.database import Database
from store.tables import Agent, Code, Community, Home, HomeRole, Parking, Person, Role
from tests.benchmarks.roster import CREW, HOMES, PEOPLE, as_csv, as_xlsx, big_roster
from tests.people import HOUSE, MORNING

HEAD = "楼栋,单元,房号,面积,姓名,身份,工种,值班时间,编号\n"
PLAIN = (
    HEAD
    + "3号楼,2单元,1201,89.35,陈女士,业主,,,\n,,,,李师傅,维修,lift gas,08:00-20:00,\n,,,,刘经理,物业,,,\n"
)
HOMES_HEAD = "楼栋,单元,房号,面积,业主,电话,份额,共有人,共有人电话,代表,车位,状态,开发商\n"
TABLES = (Person, Home, HomeRole, Role, Parking, Code, Agent)
ZH = Reader("zh", "Asia/Shanghai", MORNING)


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


def work(database: Database, do: Callable[[Tx, Community], Any]) -> Any:
    """What `do` returns, in one transaction."""
    return database.write_now(
        lambda session: do(Tx(session, MORNING, HOUSE), session.exec(select(Community)).one())
    )


def imported(database: Database, text: str | bytes) -> Plan:
    roster = read_roster(text if isinstance(text, bytes) else text.encode())
    plan: Plan = work(database, lambda tx, community: import_roster(tx, community, roster))
    return plan


def new(plan: Plan) -> tuple[int, int, int]:
    """How many homes, people and roles are new."""
    return len(plan.homes), len(plan.people), len(plan.ties) + len(plan.work)


def rows(database: Database) -> list[Any]:
    """Everything that an import could change."""
    with database.read() as session:
        return [
            [row.model_dump() for row in session.exec(select(table).order_by(col(table.id)))]
            for table in TABLES
        ]


def ties(database: Database) -> list[tuple[str, str, str, int]]:
    """Room, name, role and whose it is."""
    with database.read() as session:
        found = session.exec(
            select(Home.room, Person.name, HomeRole.role, Person.id)
            .select_from(HomeRole)
            .join(Home)
            .join(Person, col(Person.id) == col(HomeRole.person_id))
            .order_by(col(Home.room), col(HomeRole.id))
        )
        return [tuple(row) for row in found]


def said(words: Any) -> list[str]:
    return [ZH.show(each) for each in words]


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(BadRoster) as caught:
        read_roster(text if isinstance(text, bytes) else text.encode())
    return said(caught.value.problems)


def book(*cells: list[Any], merge: tuple[Any, ...] = (), sheet: str = "名册") -> bytes:
    """A workbook with one sheet of these rows."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd"}) as made:
        page = made.add_worksheet(sheet)
        for at, row in enumerate(cells):
            page.write_row(at, 0, row)
        for where in merge:
            page.merge_range(*where)
    return out.getvalue()


# --- what is new, what changes ----------------------------------------------------------------------


def test_a_roster_is_imported_once(database: Database) -> None:
    assert new(imported(database, PLAIN)) == (1, 3, 3)
    before = rows(database)
    assert imported(database, PLAIN).is_empty
    assert rows(database) == before
    with database.read() as session:
        home = session.exec(select(Home)).one()
        role = session.exec(select(Role).where(Role.role == "crew")).one()
    assert (home.building, home.entrance, home.room, home.area) == ("3", "2", "1201", 89_350)
    assert (role.skills, role.duty) == (["lift", "gas"], "08:00-20:00")


def test_areas_skills_hours_and_roles_are_brought_up_to_date(database: Database) -> None:
    imported(database, PLAIN)
    changed = PLAIN.replace("89.35", "90.1").replace("业主", "租户").replace("lift gas,08:00-20:00", "tap,")
    plan = imported(database, changed)
    assert (new(plan), said(plan.changes)) == (
        (0, 0, 0),
        [
            "3 号楼 2 单元 1201：面积 89.35 → 90.1 ㎡",
            "3 号楼 2 单元 1201 · 陈女士：业主 → 租户",
            "李师傅（维修）：工种、楼栋或值班时间有变",
        ],
    )
    with database.read() as session:
        assert session.exec(select(Home.area)).one() == 90_100
        assert session.exec(select(Role.skills, Role.duty).where(Role.role == "crew")).one() == (["tap"], "")
    assert [tie[:3] for tie in ties(database)] == [("1201", "陈女士", "tenant")]
    assert imported(database, changed).is_empty


def test_a_plan_changes_nothing(database: Database) -> None:
    imported(database, PLAIN)
    before = rows(database)
    roster = read_roster(PLAIN.replace("89.35", "90").replace("陈女士", "王女士").encode())
    with database.read() as session:
        plan = plan_roster(Tx(session, MORNING, HOUSE), session.exec(select(Community)).one(), roster)
        assert not session.dirty and not session.new
    assert (plan.touches, len(plan.ended), len(plan.people)) == (True, 1, 1)
    assert rows(database) == before


def test_five_thousand_homes_are_imported_and_then_nothing_changes(database: Database) -> None:
    data = as_xlsx(big_roster())
    assert new(imported(database, data))[:2] == (HOMES, PEOPLE)
    before = rows(database)
    assert [len(before[TABLES.index(table)]) for table in (Person, Home, Role)] == [PEOPLE, HOMES, CREW]
    assert imported(database, data).is_empty
    assert rows(database) == before


def test_csv_and_xlsx_of_the_same_rows_say_the_same() -> None:
    few = big_roster(200, 400)
    assert read_roster(as_csv(few)) == read_roster(as_xlsx(few))


def test_a_home_with_all_that_it_can_have(database: Database) -> None:
    text = (
        HOMES_HEAD
        + "3栋,2,1201,89.35,陈女士,138 0013 8000,1/2、50%,陈先生,13900139000,陈先生,B1-023、B1-024,已交付,\n"
        + "3栋,2,1202,126.8,,,,,,,,未售,阳光置业有限公司\n3栋,2,1203,126.8,阳光置业有限公司,,,,,,,未售,\n"
        + "3栋,2,1204,70,周先生,0755-12345678,,,,,,未交付,阳光置业有限公司\n"
    )
    imported(database, text)
    before = rows(database)
    assert imported(database, text).is_empty
    assert rows(database) == before
    with database.read() as session:
        tx = Tx(session, MORNING, HOUSE)
        people = {person.name: person for person in session.exec(select(Person))}
        found = {
            (tie.home_id, tie.person_id): (tie.share, tie.represents)
            for tie in session.exec(select(HomeRole))
        }
        homes = {home.room: home for home in session.exec(select(Home))}
        assert {name: phone_of(tx, person) for name, person in people.items()} == {
            "陈女士": "13800138000",
            "陈先生": "13900139000",
            "阳光置业有限公司": "",
            "周先生": "075512345678",
        }
        assert [name for name, person in people.items() if person.is_developer] == ["阳光置业有限公司"]
        owned = [home.room for home in homes_of(tx, people["阳光置业有限公司"])]
        spaces = [(space.number, space.home_id) for space in session.exec(select(Parking))]
    assert {room: home.status for room, home in homes.items()} == {
        "1201": "delivered", "1202": "unsold", "1203": "unsold", "1204": "undelivered",
    }  # fmt: skip
    assert owned == ["1202", "1203"]
    first = homes["1201"].id
    assert found[first, people["陈女士"].id] == ("1/2", False)
    assert found[first, people["陈先生"].id] == ("1/2", True)
    assert spaces == [("B1-023", first), ("B1-024", first)]


def test_a_row_for_each_person(database: Database) -> None:
    text = """楼栋,房号,面积,姓名,身份,份额,代表,电话,负责楼栋,工种
1,101,80,张伟,业主、业委会,60%,,13800000001,,
1,101,,李娜,业主,0.4,是,13800000002,,
1,101,,小张,家人,,,,,
1,102,80,Mr Smith,租户,,,+4915112345678,,
,,,王师傅,维修,,,13800000003,1号楼、2号楼,水龙头、电梯
"""
    plan = imported(database, text)
    assert new(plan) == (2, 5, 6)
    assert said(plan.remarks) == ["第 6 行：王师傅负责的楼栋 2 没有住户。"]
    assert imported(database, text).is_empty
    with database.read() as session:
        roles = {row.role: row for row in session.exec(select(Role))}
        committee = session.get_one(Person, roles["committee"].person_id)
        assert [home.room for home in homes_of(Tx(session, MORNING, HOUSE), committee)] == ["101"]
        shares = list(session.exec(select(HomeRole.share, HomeRole.represents).order_by(col(HomeRole.id))))
    assert shares == [("3/5", False), ("2/5", True), ("", False), ("", False)]
    assert (roles["crew"].skills, roles["crew"].buildings) == (["tap", "lift"], ["1", "2"])


def test_a_column_that_is_missing_changes_nothing(database: Database) -> None:
    imported(
        database,
        HOMES_HEAD + "3,2,1201,89.35,陈女士,13800138000,1/2,陈先生,,陈先生,B1-023,未交付,\n",
    )
    before = rows(database)
    assert imported(database, "楼栋,单元,房号,面积,业主,共有人\n3,2,1201,89.35,陈女士,陈先生\n").is_empty
    assert rows(database) == before


def test_what_the_columns_leave_empty_is_none(database: Database) -> None:
    imported(database, HOMES_HEAD + "3,2,1201,89.35,陈女士,13800138000,1/2,陈先生,,陈先生,B1-023,未交付,\n")
    plan = imported(database, HOMES_HEAD + "3,2,1201,89.35,陈女士,,,陈先生,,,,,\n")
    assert said(plan.changes) == [
        "3 号楼 2 单元 1201：未交付 → 已交付",
        "3 号楼 2 单元 1201 · 陈女士：份额 1/2 → —",
        "3 号楼 2 单元 1201 · 陈先生：不再是代表",
        "车位 B1-023：3 号楼 2 单元 1201 → 没有房屋",
    ]
    with database.read() as session:
        assert session.exec(select(Parking.home_id)).one() is None
        owner = session.exec(select(Person).where(Person.name == "陈女士")).one()
        assert phone_of(Tx(session, MORNING, HOUSE), owner) == "13800138000"


# --- who is who -------------------------------------------------------------------------------------


def test_two_people_of_one_name_are_two_unless_they_have_one_number(database: Database) -> None:
    text = "1号楼,1单元,101,50,张伟,业主,,,{0}\n2号楼,1单元,202,60,张伟,业主,,,{1}\n3号楼,1单元,303,70,张伟,业主,,,9\n"
    imported(database, HEAD + text.format("7", "7"))
    first, second, third = (tie[3] for tie in ties(database))
    assert (first == second, first == third) == (True, False)


def test_a_further_home_of_a_number_goes_to_the_same_person(database: Database) -> None:
    imported(database, HEAD + "1号楼,1单元,101,50,张伟,业主,,,\n")
    again = HEAD + "2号楼,1单元,202,60,张伟,业主,,,7\n1号楼,1单元,101,50,张伟,业主,,,7\n"
    assert new(imported(database, again)) == (1, 0, 1)
    assert len({tie[3] for tie in ties(database)}) == 1


def test_one_name_and_one_phone_are_one_person_also_in_another_file(database: Database) -> None:
    head = "楼栋,房号,面积,姓名,电话\n"
    imported(database, head + "1,101,50,张伟,13800138000\n2,202,60,张伟,138-0013-8000\n3,303,60,张伟,\n")
    imported(database, head + "4,404,60,张伟,+86 13800138000\n5,505,60,李伟,13800138000\n")
    whose = {room: person for room, _, _, person in ties(database)}
    assert whose["101"] == whose["202"] == whose["404"]
    assert len({whose["101"], whose["303"], whose["505"]}) == 3


def test_a_new_phone_replaces_the_old_one_and_an_empty_one_does_not(database: Database) -> None:
    head = "楼栋,房号,面积,姓名,电话\n"
    for phone, words in (("13800138000", []), ("", []), ("13900139000", ["张伟：电话改为 139****9000"])):
        assert said(imported(database, f"{head}1,101,50,张伟,{phone}\n").changes) == words
    with database.read() as session:
        person = session.exec(select(Person)).one()
        assert phone_of(Tx(session, MORNING, HOUSE), person) == "13900139000"


def test_couples_share_a_phone_and_somebody_may_have_two(database: Database) -> None:
    text = """楼栋,房号,面积,姓名,电话,编号
1,101,50,张伟,13800138000,
1,101,50,李娜,13800138000,
2,202,50,王强,13800138001,7
3,303,50,王强,13800138002,7
"""
    plan = imported(database, text)
    assert said(plan.remarks) == [
        "第 3 行和第 2 行是同一个电话：张伟、李娜。",
        "第 5 行：王强的电话和第 4 行不同，只记 138****8001。",
    ]
    assert imported(database, text).is_empty


def test_somebody_who_was_forgotten_stays_forgotten(database: Database) -> None:
    text = "楼栋,房号,面积,姓名,电话\n1,101,50,张伟,13800138000\n"
    imported(database, text)

    def forget(tx: Tx, community: Community) -> None:
        person = tx.session.exec(select(Person)).one()
        person.name, person.name_hash = "", tx.house.vault.hash("张伟")
        person.phone = person.phone_hash = ""
        tx.session.add(person)

    work(database, forget)
    before = rows(database)
    assert imported(database, text).is_empty
    assert rows(database) == before


def test_names_are_compared_without_the_blanks_that_only_align_them(database: Database) -> None:
    imported(database, "楼栋,房号,面积,姓名\n1,101,50,张　伟\n１号楼,102,50,Mr  Smith\n")
    assert [tie[1] for tie in ties(database)] == ["张伟", "Mr Smith"]
    assert imported(database, "楼栋,房号,面积,姓名\n1幢,101室,50,张伟\n1#,102,50.0,Mr Smith\n").is_empty


# --- who leaves -------------------------------------------------------------------------------------


def test_who_is_no_longer_named_leaves_at_once(database: Database) -> None:
    head = "楼栋,房号,面积,姓名,身份\n"
    imported(database, head + "1,101,50,张伟,业主\n1,101,50,小李,租户\n2,202,50,张伟,业主\n")

    def come_in(tx: Tx, community: Community) -> None:
        seller = tx.session.exec(select(Person).where(Person.name == "张伟").order_by(col(Person.id))).first()
        assert seller is not None
        bind_account(tx, seller, "test", "seller")
        for used in (None, MORNING - timedelta(days=1)):
            later = MORNING + timedelta(days=1)
            code = Code(community_id=community.id, purpose="person", person_id=seller.id, hash=f"{used}",
                        expires_at=later, used_at=used)  # fmt: skip
            tx.session.add(code)
        friend = tx.session.exec(select(Person).where(Person.name == "小李")).one()
        stays = tx.session.exec(select(Person).where(Person.name == "张伟", Person.id != seller.id)).one()
        for principal, agent in ((seller, friend), (stays, seller)):  # given by who leaves, and given to them
            power = Agent(community_id=community.id, kind="proxy", principal_id=principal.id,
                          agent_id=agent.id, starts_at=MORNING)  # fmt: skip
            tx.session.add(power)

    work(database, come_in)
    plan = imported(database, head + "1,101,50,王芳,业主\n2,202,50,张伟,业主\n")
    assert said(plan.changes) == [
        "1 号楼 101 · 张伟不再是业主，马上失去权限",
        "1 号楼 101 · 小李不再是租户，马上失去权限",
    ]
    assert [tie[:2] for tie in ties(database)] == [("101", "王芳"), ("202", "张伟")]

    def check(tx: Tx, community: Community) -> None:
        seller = tx.session.exec(select(Person).where(Person.name == "张伟").order_by(col(Person.id))).first()
        assert seller is not None
        assert not is_resident(tx, seller)
        used = [code.used_at for code in tx.session.exec(select(Code).order_by(col(Code.id)))]
        assert used == [MORNING, MORNING - timedelta(days=1)]
        assert [each.revoked_at for each in tx.session.exec(select(Agent))] == [MORNING, MORNING]

    work(database, check)


def test_whoever_staff_let_in_stays_until_the_home_is_sold(database: Database) -> None:
    text = "楼栋,房号,面积,姓名\n1,101,50,张伟\n1,102,50,李娜\n"
    imported(database, text)

    def let_in(tx: Tx, community: Community) -> None:
        for name, room in (("租客", "101"), ("亲戚", "102")):
            person = new_person(tx, community.id, name)
            home = tx.session.exec(select(Home).where(Home.room == room)).one()
            tx.session.add(
                HomeRole(
                    community_id=community.id,
                    home_id=home.id,
                    person_id=person.id,
                    role="tenant",
                    from_roster=False,
                )
            )

    work(database, let_in)
    assert imported(database, text).is_empty
    imported(database, text.replace("张伟", "王芳"))
    assert [tie[1] for tie in ties(database)] == ["王芳", "李娜", "亲戚"]
    plan = imported(database, text.replace("张伟", "王芳") + "1,102,50,亲戚\n")
    assert said(plan.changes) == ["1 号楼 102 · 亲戚：租户 → 业主"]
    imported(database, text.replace("张伟", "王芳"))
    assert [tie[1] for tie in ties(database)] == ["王芳", "李娜"]


def test_the_developer_s_buyer_who_is_in_already_stays(database: Database) -> None:
    head = "楼栋,房号,面积,业主,状态,开发商\n"
    imported(database, head + "1,101,50,,未售,阳光置业\n")

    def let_in(tx: Tx, community: Community) -> None:
        person = new_person(tx, community.id, "买家")
        home = tx.session.exec(select(Home)).one()
        tx.session.add(
            HomeRole(
                community_id=community.id,
                home_id=home.id,
                person_id=person.id,
                role="owner",
                from_roster=False,
            )
        )

    work(database, let_in)
    plan = imported(database, head + "1,101,50,买家,已交付,阳光置业\n")
    assert said(plan.changes) == [
        "1 号楼 101：未售 → 已交付",
        "1 号楼 101 · 买家：物业登记的，名册里也有了",
        "1 号楼 101 · 阳光置业不再是业主，马上失去权限",
    ]


def test_a_file_of_one_building_leaves_the_others_alone(database: Database) -> None:
    head = "楼栋,房号,面积,姓名,身份,车位\n"
    imported(database, head + "1,101,50,张伟,业主,A1\n2,201,50,李娜,业主,A2\n,,,王师傅,维修,\n")
    plan = imported(database, head + "1,101,50,王芳,业主,A2\n")
    assert (plan.unnamed, said(plan.changes)) == (
        1,
        [
            "1 号楼 101 · 张伟不再是业主，马上失去权限",
            "车位 A1：1 号楼 101 → 没有房屋",
            "车位 A2：2 号楼 201 → 1 号楼 101",
        ],
    )
    assert [tie[1] for tie in ties(database)] == ["王芳", "李娜"]
    with database.read() as session:
        assert session.exec(select(Role.role)).all() == ["crew"]


# --- problems, each with its row --------------------------------------------------------------------


def test_every_problem_is_named_with_its_row() -> None:
    text = [
        "3号楼,2单元,1201,abc,陈女士,业主,,,",
        "3号楼,2单元,1202,89.35,,业主,,,",
        "3号楼,,,89.35,周先生,业主,,,",
        "3号楼,2单元,1203,-1,周先生,业主,,,",
        "3号楼,2单元,1204,89.35,周先生,房东,,,",
        ",,,,李师傅,维修,,25:00-08:00,",
        "1号楼,1单元,101,50,张伟,业主,,,7",
        "1号楼,1单元,101,51,李伟,业主,,,7",
        "1号楼,1单元,101,50,张伟,租户,,,7",
        "1号楼,1单元,102,,张三,业主,,,",
        "1号楼,1单元,103,50.1234,张三,业主,,,",
        ",,,,王师傅,维修,魔法,,",
    ]
    assert problems(HEAD + "\n".join(text)) == [
        "第 2 行：面积「abc」不对，请写成 89.35 这样的平方米数",
        "第 3 行：没有姓名；还没卖出的房屋，请在「状态」写 未售",
        "第 4 行：没有楼栋或房号",
        "第 5 行：面积「-1」不对，请写成 89.35 这样的平方米数",
        "第 6 行：身份「房东」不认识，请写 业主、租户、家人、物业、维修、业委会 或 开发商",
        "第 7 行：值班时间「25:00-08:00」请写成 08:00-20:00",
        "第 9 行：面积与第 8 行同一户不一致",
        "第 9 行：编号 7 与第 8 行同号不同名",
        "第 10 行：与第 8 行重复",
        "第 11 行：没有面积，请写成 89.35 这样的平方米数",
        "第 12 行：面积「50.1234」的小数太多，最多三位，例如 89.355",
        "第 13 行：工种「魔法」不认识，请写报修的种类，例如 水龙头、电梯、门禁",
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,1,101,50,张伟,1380013800,,,,,,,", "电话「1380013800」不对"),
        ("1,1,101,50,张伟,1.38E+10,,,,,,,", "电话「1.38E+10」不对"),
        ("1,1,101,50,张伟,,60%,李娜,,,,,", None),
        ("1,1,101,50,张伟,,60%、41%,李娜,,,,,", "1 号楼 1 单元 101 的份额加起来超过 100 %"),
        ("1,1,101,50,张伟,,1/2、1/4、1/4,李娜,,,,,", "每位业主一个（这一行有 2 位）"),
        ("1,1,101,50,张伟,,一半,,,,,,", "份额「一半」看不懂"),
        ("1,1,101,50,张伟,,2/1,,,,,,", "份额「2/1」看不懂"),
        ("1,1,101,50,张伟,,1/0,,,,,,", "份额「1/0」看不懂"),
        ("1,1,101,50,张伟,,,李娜,,王芳,,,", "代表「王芳」不是这一户的业主"),
        ("1,1,101,50,张伟,,,,,,,出售中,", "状态「出售中」不认识"),
        ("1,1,101,50,张伟、李娜、王芳,13800138000、13800138001,,,,,,,", "张伟、李娜、王芳 共有 2 个电话"),
        ("1,1,101,50,张伟,,,,,,B1,,\n1,1,102,50,李娜,,,,,,B1,,", "第 3 行：车位 B1 在第 2 行已经属于另一户"),
        ("1,1,101,50,张伟,,,,,,,,\n1,1,101,50,李娜,,,,,,,,", "第 3 行：这一户在第 2 行已经有了"),
        ("1,1,101,50,张伟,,,张伟,,,,,", "第 2 行：与第 2 行重复"),
        ("=A1,1,101,50,张伟,,,,,,,,", "「楼栋」是没有算出结果的公式"),
        (f"{'很长' * 20},1,101,50,张伟,,,,,,,,", "最多 12 个字"),
    ],
)
def test_a_problem_of_one_row(row: str, words: str | None) -> None:
    if words is None:
        read_roster((HOMES_HEAD + row + "\n").encode())
    else:
        assert words in "\n".join(problems(HOMES_HEAD + row + "\n"))


# --- files as people have them ----------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_usual_encodings_and_separators_are_read(encoding: str, separator: str) -> None:
    lines = read_roster(PLAIN.replace(",", separator).encode(encoding)).lines
    assert [line.name for line in lines] == ["陈女士", "李师傅", "刘经理"]


def test_a_title_above_the_headings_and_the_usual_names_are_read() -> None:
    text = "阳光花园业主名册,,,,,\n2026 年 11 月,,,,,\n\n"
    text += "栋号,房间号,建筑面积（㎡）,产权人*,手机号码,备注\n3栋,1201,89.35㎡,陈女士,,x\n合计,,89.35,,,\n"
    roster = read_roster(text.encode())
    (line,) = roster.lines
    assert (line.row, line.home, line.name) == (5, Address("3", "", "1201"), "陈女士")
    assert (roster.homes[Address("3", "", "1201")].area, said(roster.remarks)) == (
        89_350,
        ["第 6 行是合计，略过。"],
    )


def test_a_building_that_stands_only_in_its_first_row_holds_below_it() -> None:
    roster = read_roster(
        "楼栋,单元,房号,面积,业主\n3,2,101,50,甲\n,,102,50,乙\n,3,103,50,丙\n4,,104,50,丁\n".encode()
    )
    assert [line.home for line in roster.lines] == [
        Address("3", "2", "101"), Address("3", "2", "102"), Address("3", "3", "103"), Address("4", "", "104"),
    ]  # fmt: skip
    assert said(roster.remarks) == ["有 2 行没有写楼栋，按上一行的楼栋算：第 3、4 行。"]


def test_merged_cells_hold_for_all_their_rows() -> None:
    head = ["楼栋", "单元", "房号", "面积", "业主"]
    data = book(
        ["业主名册"], head, ["", "", 101, 89.35, "甲"], ["", "", "", "", "乙"], ["", "", 102.0, 126.8, "丙"],
        merge=((0, 0, 0, 4, "业主名册"), (2, 0, 4, 0, "3号楼"), (2, 1, 4, 1, 2), (2, 2, 3, 2, 101),
               (2, 3, 3, 3, 89.35)),
    )  # fmt: skip
    roster = read_roster(data)
    assert [(line.row, line.home, line.name) for line in roster.lines] == [
        (3, Address("3", "2", "101"), "甲"),
        (4, Address("3", "2", "101"), "乙"),
        (5, Address("3", "2", "102"), "丙"),
    ]


def test_numbers_are_read_as_they_were_meant() -> None:
    head = ["楼栋", "房号", "面积", "业主", "电话", "份额"]
    data = book(
        head,
        [3.0, 1201.0, 89.35000000000001, "甲", 13800138000.0, 0.5],
        ["3", "0102", "70", "乙", "1.3800138000E+10", ""],
    )
    roster = read_roster(data)
    assert [(line.home, line.phone, line.share) for line in roster.lines] == [
        (Address("3", "", "1201"), "13800138000", "1/2"),
        (Address("3", "", "0102"), "13800138000", ""),
    ]
    assert [home.area for home in roster.homes.values()] == [89_350, 70_000]


def test_the_first_sheet_with_homes_is_taken() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as made:
        made.add_worksheet("说明").write_row(0, 0, ["请看第二张表"])
        hidden = made.add_worksheet("旧")
        hidden.write_row(0, 0, ["楼栋", "房号", "面积", "业主"])
        hidden.hide()
        sheet = made.add_worksheet("名册")
        for at, row in enumerate((["楼栋", "房号", "面积", "业主"], ["3", "1201", 89.35, "陈女士"])):
            sheet.write_row(at + 1, 2, row)
    assert [(line.row, line.name) for line in read_roster(out.getvalue()).lines] == [(3, "陈女士")]


def test_a_date_and_a_formula_without_a_result_are_problems() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd"}) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["楼栋", "房号", "面积", "业主"])
        sheet.write_row(1, 0, ["3", "", 89.35, "甲"])
        sheet.write_datetime(1, 1, datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None))
        sheet.write_row(2, 0, ["3", "102", "", "乙"])
        sheet.write_formula(2, 2, "=C2+1", value="")
        sheet.write_row(3, 0, ["3", "103", "", "丙"])
        sheet.write_formula(3, 2, "=1/0", value="#DIV/0!")
        sheet.write_row(4, 0, ["3", "104", "", "丁"])
        sheet.write_formula(4, 2, "=C2+1", value=90.35)
    assert problems(out.getvalue()) == [
        "第 2 行：「房号」被 Excel 变成了日期。请把这一列设为「文本」，再写一遍，例如 2-1。",
        "第 3 行：「专有面积」是没有算出结果的公式。请复制这一列，选择性粘贴为「数值」。",
        "第 4 行：「专有面积」是没有算出结果的公式。请复制这一列，选择性粘贴为「数值」。",
    ]


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_the_template_can_be_imported_as_it_is(database: Database, kind: str) -> None:
    assert new(imported(database, write_template(kind))) == (2, 4, 4)
    assert read_roster(write_template(kind)).columns == set(COLUMNS)


def test_no_heading_means_two_columns() -> None:
    names = [name for usual in COLUMNS.values() for name in usual]
    assert sorted(names) == sorted(set(names))


# --- bad files --------------------------------------------------------------------------------------


def zipped(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def liar(data: bytes, size: int) -> bytes:
    """The archive says of each entry that it is small."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            true = entry.file_size.to_bytes(4, "little")
            if entry.file_size > size:
                data = data.replace(true, size.to_bytes(4, "little"))
    return data


BIG = zipped({"xl/workbook.xml": b"", "xl/worksheets/sheet1.xml": b"0" * (roster_file.MOST_UNPACKED + 1)})
FAR = book(["楼栋", "房号", "面积", "业主"])
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


def far_away() -> bytes:
    """A workbook with a cell in the last row and column that there are."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["楼栋", "房号", "面积", "业主"])
        sheet.write(1_048_575, 16_383, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "是空的"),
        (b" \r\n ", "是空的"),
        ("姓名,电话\n陈女士,1\n".encode(), "缺少列：楼栋、房号、专有面积"),
        (HEAD.encode(), "没有一行住户"),
        (b"\xff\xfe\x00\x01" * 50, "缺少列"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\1\2\xff" * 50, "不像表格"),
        (HEAD.encode() + b'"' + b"x" * 200_000 + b'"', "不像表格"),
        (b"x" * (MOST_BYTES + 1), "超过 20 MB"),
        (b"PK\3\4" + b"x" * 500, "打不开"),
        (as_xlsx(big_roster(50, 100))[:-300], "打不开"),
        (zipped({"word/document.xml": b"<x/>"}), "不是 Excel"),
        (zipped({"xl/workbook.xml": b"<broken"}), "打不开"),
        (BIG, "大得不正常"),
        (liar(BIG, 1000), "大得不正常"),
        (zipped({f"{n}.xml": b"" for n in range(2001)}), "大得不正常"),
        (far_away(), "太多格子"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "加了密码"),
        (OLE + "WordDocument".encode("utf-16-le"), "不是 Excel"),
        (OLE + "Workbook".encode("utf-16-le"), "打不开"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_roster_is_said_to_be_none(data: bytes, words: str) -> None:
    assert words in problems(data)[0]


def test_a_hundred_thousand_empty_rows_are_passed_over() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as made:
        sheet, plain = made.add_worksheet(), made.add_format({"bold": True})
        sheet.write_row(0, 0, ["楼栋", "房号", "面积", "业主"])
        sheet.write_row(1, 0, ["3", "1201", 89.35, "陈女士"])
        for at in range(2, 100_000):
            sheet.write_blank(at, 0, None, plain)
        sheet.write_row(100_000, 0, ["3", "1202", 89.35, "周先生"])
    assert [line.row for line in read_roster(out.getvalue()).lines] == [2, 100_001]


@pytest.mark.parametrize("make", [as_csv, as_xlsx])
def test_a_damaged_file_is_refused_and_breaks_nothing(make: Callable[[list[list[str]]], bytes]) -> None:
    whole, chance = make(big_roster(30, 60)), random.Random(1)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with suppress(BadRoster):
            read_roster(bytes(data[: chance.choice([len(data), chance.randrange(len(data))])]))


def test_bad_files_are_refused_in_every_language() -> None:
    english = Reader("en", "Asia/Shanghai", MORNING)
    with pytest.raises(BadRoster) as caught:
        read_roster(f"{HEAD}3,2,1201,,陈女士,业主,,,\n".encode())
    assert english.show(caught.value.problems[0]).startswith("Row 2: there is no area")


def test_empty_rows_and_unknown_columns_are_passed_over() -> None:
    roster = read_roster("备注,姓名,楼栋,单元,房号,面积\n138,陈女士,3,2,1201,89.35\n,,,,,\n".encode())
    assert [(line.name, line.role) for line in roster.lines] == [("陈女士", "owner")]
