"""The public page behind its web pages: who opens it, what stands there through a matter's life, and at which cost."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import Session, select

from handlers import links
from handlers.board_entries import BATCH, DONE, REACHED, begin_entries
from handlers.board_page import (
    MANY,
    Wanted,
    address,
    buildings,
    changed,
    enter,
    find,
    is_late,
    lines,
    open_address,
    overdue,
    overdue_count,
    personal_address,
    photo,
)
from handlers.listings import expire
from handlers.public import put, state_in
from handlers.roster import add_community
from handlers.tx import Tx
from store.tables import CommunitySetting, Entry, HomeRole, Listing, Person, Place
from tests.bot.board_scene import PHONE, furnish, many, one, repair, write
from tests.handlers.test_ballots import held
from tests.people import Building, Phone


def open_page(building: Building) -> None:
    """Let there be an address at which pages can be opened."""
    building.app.house = replace(
        building.app.house, board_page=lambda path: f"https://linli.example/board/{path}"
    )


def entries(building: Building) -> dict[str, Entry]:
    return {each.about: each for each in building.read(select(Entry))}


def words(building: Building, entry: Entry) -> str:
    """The state that a line tells, in Chinese."""
    return str(write(building, lambda tx: tx.reader(1).show(state_in(entry))))


def door(building: Building) -> str:
    return str(write(building, lambda tx: address(tx, 1))).rpartition("/")[2]


def opens(building: Building, name: str) -> bool | None:
    """Whether a door opens; None if it only says how to get in."""

    def look(tx: Tx) -> bool | None:
        found = enter(tx, name)
        return found is not None if found is None or not found.barred else None

    return write(building, look)  # type: ignore[no-any-return]


# --- through a matter's life -------------------------------------------------------------------------


async def report(owner: Phone, what: str) -> None:
    """A report from somebody's home, in the shortest way."""
    await owner.says("报修")
    await owner.taps("我家")
    await owner.says(what)
    for answer in ("随时可以", "跳过", "提交"):
        await owner.taps(answer)
    owner.sees("报修 1 已登记")


async def test_a_repair_stands_there_until_it_is_done(
    building: Building, owner: Phone, plumber: Phone
) -> None:
    await report(owner, f"厨房水龙头滴水，找陈女士，1201室，{PHONE}")
    line = entries(building)["repair:1"]
    assert (line.kind, line.number, line.open, line.wide) == ("repair", 1, True, True)
    assert line.title == "厨房水龙头滴水，找***，***室，***" and line.due_at is not None
    assert (line.building, words(building, line)) == ("3", "等待接单")
    await plumber.taps("接单")
    assert words(building, entries(building)["repair:1"]) == "已接单"
    await plumber.taps("修好了")
    await plumber.taps("跳过")
    await plumber.says("换了阀芯")
    line = entries(building)["repair:1"]
    assert (line.open, line.due_at) == (False, None)
    await owner.taps("确认修好")
    assert words(building, entries(building)["repair:1"]) == "已修好"


async def test_what_is_taken_back_goes(building: Building, owner: Phone) -> None:
    await report(owner, "水龙头滴水")
    assert list(entries(building)) == ["repair:1"]
    await owner.taps("撤回")
    owner.sees("报修 1 已撤回")
    assert entries(building) == {}


@pytest.mark.by_hand
async def test_everything_has_its_line_and_nothing_private(building: Building) -> None:
    furnish(building)
    found = entries(building)
    assert {each: (line.open, line.due_at is not None) for each, line in found.items()} == {
        "repair:1": (True, True),
        "repair:2": (True, True),
        "repair:3": (False, False),
        "repair:5": (True, False),
        "purchase:1": (True, True),
        "listing:1": (True, False),
        "listing:2": (False, False),
        "vote:1": (True, False),
        "vote:2": (True, False),
    }
    told = "\n".join(f"{each.title} {each.state}" for each in found.values())
    assert not [each for each in ("陈女士", PHONE, "1201", "周先生") if each in told]
    assert found["repair:5"].title == "其他"
    assert words(building, found["vote:1"]).endswith("前可以提异议")
    assert words(building, found["vote:2"]).startswith("正在投票")
    # Its time for objections runs out by the clock.
    await building.later(days=8)
    final = entries(building)["vote:1"]
    assert (final.open, words(building, final)) == (False, "参与的不够，没有结果 · 已生效")


@pytest.mark.by_hand
async def test_a_listing_ends_by_its_own_clock(building: Building) -> None:
    furnish(building)
    building.clock.at += timedelta(days=40)
    write(building, lambda tx: expire(tx, None, tx.session.get_one(Listing, 1)))
    line = entries(building)["listing:1"]
    assert (line.open, words(building, line)) == (False, "二手 · 已到期")


# --- lists -------------------------------------------------------------------------------------------


@pytest.mark.by_hand
async def test_lists_are_filtered_and_go_on_page_by_page(building: Building) -> None:
    furnish(building)

    def work(tx: Tx) -> None:
        many(tx, 70)
        tx.session.flush()
        newest = lines(tx, 1, Wanted(kind="repair", open=True))
        seen, before = [], None
        while True:
            found = lines(tx, 1, Wanted(kind="repair", open=True, before=before))
            seen += found[:30]
            if len(found) <= 30:
                break
            before = found[29]
        assert len(newest) == 31 and len(seen) == 73 and len({each.id for each in seen}) == 73
        assert [each.at for each in seen] == sorted((each.at for each in seen), reverse=True)
        third = lines(tx, 1, Wanted(building="3"))
        assert {each.about for each in third} == {"repair:1", "repair:2", "repair:3"}
        assert {each.kind for each in lines(tx, 1, Wanted(open=False))} == {"repair", "listing"}
        assert lines(tx, 2, Wanted()) == []
        assert buildings(tx, 1) == ["1", "2", "3"]
        late = overdue(tx, 1)
        assert [each.about for each in late] == ["purchase:1", "repair:2", "repair:1"]
        assert [each.about for each in overdue(tx, 1, after=late[0])] == ["repair:2", "repair:1"]
        assert all(is_late(each, tx.now) for each in late) and overdue_count(tx, 1) == 3
        assert len(changed(tx, 1)) == 50

    write(building, work)


@pytest.mark.by_hand
async def test_what_is_for_one_building_stands_under_it_only(building: Building) -> None:
    def work(tx: Tx) -> None:
        made = repair(tx, 1, "漏水", due_at=tx.now - timedelta(hours=1))
        entry = tx.session.exec(select(Entry)).one()
        entry.wide = False
        tx.session.add(entry)
        tx.session.flush()
        assert [each.about for each in lines(tx, 1, Wanted(building="3"))] == [f"repair:{made.id}"]
        assert lines(tx, 1, Wanted()) == lines(tx, 1, Wanted(building="1")) == []
        assert overdue(tx, 1) == changed(tx, 1) == []

    write(building, work)


@pytest.mark.by_hand
async def test_no_list_reads_more_than_the_head_of_an_index(building: Building) -> None:
    asked: list[tuple[str, Any]] = []

    def work(tx: Tx) -> None:
        many(tx, 200, building="3")
        tx.session.flush()
        engine = tx.session.get_bind()
        begin = tx.session.exec(select(Entry).limit(1)).one()

        def note(connection: Any, cursor: Any, statement: str, given: Any, *rest: Any) -> None:
            asked.append((statement, given))

        event.listen(engine, "before_cursor_execute", note)
        for kind in ("", "repair"):
            for building_ in ("", "3"):
                for opened in (None, True):
                    for before in (None, begin):
                        lines(tx, 1, Wanted(kind, building_, opened, before))
        overdue(tx, 1)
        overdue(tx, 1, begin)
        overdue_count(tx, 1)
        changed(tx, 1)
        buildings(tx, 1)
        event.remove(engine, "before_cursor_execute", note)
        connection = tx.session.connection()
        sqlite = connection.dialect.name == "sqlite"
        if not sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, given in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{statement}", given)
            steps = "\n".join(" ".join(map(str, row)) for row in plan)
            assert not re.search(r"SCAN (entry|home)\b|Seq Scan on (entry|home)", steps), (statement, steps)
            if "ORDER BY entry." in statement and sqlite:
                sorts = steps.count("USE TEMP B-TREE")
                assert sorts <= 1, steps  # the heads of the indexes are merged; none of them is sorted

    write(building, work)
    assert len(asked) > 30


# --- who may open it ---------------------------------------------------------------------------------


@pytest.mark.by_hand
async def test_each_community_says_who_may_open_its_page(building: Building) -> None:
    building.app.house = replace(building.app.house, board_page=None)
    assert write(building, lambda tx: address(tx, 1)) == ""  # nobody could open it
    open_page(building)
    secret = door(building)
    assert re.fullmatch(r"1-[0-9a-f]{20}", secret) and write(building, lambda tx: open_address(tx, 1)) == ""
    other = f"1-{'0' * 20}"
    wrong = ("1", other, "2", "0", "x", "", "1-", f"2-{secret[2:]}", "f" * 40, "1" * 12, "１", f"{secret} ")
    assert opens(building, secret) and not any(opens(building, each) for each in wrong)
    building.set_policy("board_page", "all")
    assert door(building) == "1" and opens(building, "1") and opens(building, secret)
    assert not opens(building, other)
    building.set_policy("board_page", "members")
    assert door(building) == "1" and opens(building, "1") is None and opens(building, secret) is None
    building.set_policy("board_page", "off")
    assert write(building, lambda tx: address(tx, 1)) == ""
    assert not opens(building, "1") and not opens(building, secret)


def link(building: Building, name: str) -> str:
    def work(tx: Tx) -> str:
        person = one(tx, name)
        place = tx.session.exec(select(Place).where(Place.person_id == person.id)).first()
        if place is None:
            place = Place(
                community_id=1, messenger="test", external_id=name, kind="private", person_id=person.id
            )
            tx.session.add(place)
            tx.session.flush()
        return personal_address(tx, person, place)

    return str(write(building, work)).rpartition("/")[2]


@pytest.mark.by_hand
async def test_a_member_s_own_link_ends_with_what_ties_them(building: Building) -> None:
    open_page(building)
    building.set_policy("board_page", "members")
    smith, chen = link(building, "Mr Smith"), link(building, "陈女士")
    assert smith != chen and opens(building, smith) and opens(building, chen)
    assert link(building, "陈女士") == chen  # the same again

    def leave(tx: Tx) -> None:
        tie = select(HomeRole).where(HomeRole.person_id == one(tx, "Mr Smith").id)
        tx.session.delete(tx.session.exec(tie).one())

    write(building, leave)
    assert not opens(building, smith)
    await building.later(days=29)
    assert opens(building, chen)
    await building.later(days=2)
    assert not opens(building, chen)
    building.set_policy("board_page", "off")
    assert not opens(building, link(building, "周先生"))


def named(tx: Tx, title: str) -> None:
    """A line whose title names somebody."""
    made = repair(tx, 8, title, who="周先生")
    line = tx.session.exec(select(Entry).where(Entry.about == f"repair:{made.id}")).one()
    line.title = title
    tx.session.add(line)


@pytest.mark.by_hand
async def test_who_is_forgotten_opens_nothing_and_stands_nowhere(building: Building, owner: Phone) -> None:
    open_page(building)
    building.set_policy("board_page", "members")
    furnish(building)
    own = link(building, "陈女士")
    assert opens(building, own)
    # A line that names her, as what staff write may do.
    write(building, lambda tx: named(tx, "陈女士家门口的灯坏了"))
    assert "陈女士" in entries(building)["repair:6"].title
    await owner.says("/forget")
    await owner.taps("确定注销")
    assert building.read(select(Person).where(Person.name == "陈女士")) == []
    assert not opens(building, own)
    found = entries(building)
    assert not [each for each in found.values() if "陈女士" in each.title]
    assert "listing:1" not in found and "listing:2" not in found


# --- one matter --------------------------------------------------------------------------------------


@pytest.mark.by_hand
async def test_a_matter_is_found_on_its_own_board_only(building: Building) -> None:
    furnish(building)

    def work(tx: Tx) -> None:
        add_community(tx, "别的小区", time_zone="Asia/Shanghai", language="zh")
        found = find(tx, 1, "repair", "1")
        assert found is not None
        [shown] = found.matter.photos(tx, found.row)
        assert photo(tx, found, shown) is not None and photo(tx, found, shown + 1) is None
        other = find(tx, 1, "repair", "2")
        assert other is not None and photo(tx, other, shown) is None
        for community, kind, number in (
            *((2, "repair", "1"), (1, "repair", "4"), (1, "repair", "99"), (1, "nothing", "1")),
            *((1, "repair", "x"), (1, "repair", "9" * 30), (1, "listing", "3"), (1, "overdue", "1")),
        ):
            assert find(tx, community, kind, number) is None

    write(building, work)


# --- what is older than the board --------------------------------------------------------------------


@pytest.mark.by_hand
async def test_older_matters_get_their_lines_once(building: Building) -> None:
    furnish(building)
    write(building, lambda tx: [repair(tx, 100 + each, f"第 {each} 盏灯") for each in range(BATCH + 5)])
    write(building, lambda tx: put(tx, "report:1"))
    shape = {each: (line.title, line.open, line.at) for each, line in entries(building).items()}

    def lose(session: Session) -> None:
        for each in session.exec(select(Entry)).all():
            session.delete(each)

    building.app.database.write_now(lose)
    write(building, begin_entries)
    await building.app.ticker.tick()
    assert 0 < len(entries(building)) < len(shape)  # a batch at a time
    for _ in range(4):
        await building.later(seconds=2)
    now = {each: (line.title, line.open, line.at) for each, line in entries(building).items()}
    assert {each: now[each] for each in shape} == shape
    done = select(CommunitySetting.value).where(CommunitySetting.name == REACHED)
    assert building.read(done) == [DONE]
    before = entries(building)
    write(building, begin_entries)
    await building.later(seconds=5)
    assert {each.id for each in entries(building).values()} == {each.id for each in before.values()}


# --- in a chat ---------------------------------------------------------------------------------------


async def test_the_board_in_a_chat(building: Building, owner: Phone, office: Phone) -> None:
    open_page(building)
    write(building, lambda tx: repair(tx, 1, "电梯按钮不亮", due_at=tx.now - timedelta(hours=1)))
    write(building, lambda tx: repair(tx, 2, "我家漏水", who="周先生", place="home"))
    await owner.says("公示栏")
    shown = owner.sees("公示栏 · 正在办的事", "报修 1")
    assert "报修 1 · 电梯按钮不亮 · 等待接单 · 已超期" in shown.text
    assert "报修 2 · 我家漏水" in shown.text and "报修 2" not in shown.buttons
    assert "超期没办的：1 件" in shown.text
    assert f"https://linli.example/board/{door(building)}" in shown.text
    await owner.taps("报修 1")
    owner.sees("电梯按钮不亮")


@pytest.mark.by_hand
async def test_staff_give_the_page_another_address(building: Building, office: Phone) -> None:
    open_page(building)
    await office.says("/public")
    old = door(building)
    await office.taps("换公示栏网址")
    office.sees("已经印出去的二维码都打不开了", "换一个网址", "不换")
    assert opens(building, old)
    await office.taps("换一个网址")
    new = door(building)
    office.sees(f"https://linli.example/board/{new}")
    assert new != old and opens(building, new) and not opens(building, old)
    building.set_policy("board_page", "members")
    await office.says("/public")
    shown = office.sees("请在自己的聊天里发「公示栏」拿链接")
    assert "换公示栏网址" not in shown.buttons


@pytest.mark.by_hand
async def test_a_member_gets_a_link_of_their_own(building: Building, owner: Phone) -> None:
    open_page(building)
    building.set_policy("board_page", "members")
    await owner.says("/public")
    shown = owner.sees("您自己的链接，30 天有效")
    found = re.search(r"/board/([0-9a-f]{40})", shown.text)
    assert found is not None and opens(building, found[1])
    # It speaks for nobody: it is no link to a personal page.
    assert write(building, lambda tx: links.find(tx.session, found[1], tx.now)) is None


@pytest.mark.by_hand
async def test_many_overdue_are_not_counted_to_the_end(building: Building, owner: Phone) -> None:
    def work(tx: Tx) -> None:
        many(tx, MANY + 3)
        tx.session.flush()
        for each in tx.session.exec(select(Entry)).all():
            each.due_at = tx.now - timedelta(days=1)
            tx.session.add(each)

    write(building, work)
    await owner.says("/public")
    owner.sees("超期没办的：超过 99 件")


async def test_an_emergency_that_nobody_accepts_is_overdue(
    building: Building, owner: Phone, crew: Phone
) -> None:
    def late() -> list[str]:
        return write(building, lambda tx: [each.about for each in overdue(tx, 1)])

    await owner.says("1号楼电梯里困了人")
    crew.sees("🚨 紧急报修 1")
    assert late() == []
    await building.later(minutes=3, seconds=1)
    assert late() == ["repair:1"]
    await building.later(minutes=3)
    assert late() == ["repair:1"]
    await crew.taps("接单")
    assert late() == []


# --- what is nobody else's business ------------------------------------------------------------------


async def test_nobody_sees_into_a_home_and_neighbours_have_no_names(
    building: Building, owner: Phone, crew: Phone
) -> None:
    await owner.says("报修")
    await owner.taps("我家")
    await owner.says("跟楼上周先生家一样灯不亮，他住1202，我住1201")
    await owner.taps("随时可以")
    await owner.sends_photo()
    await owner.taps("好了")
    await owner.taps("提交")
    owner.sees("报修 1 已登记")
    await crew.taps("接单")

    def shown(tx: Tx) -> tuple[str, int, list[str]]:
        found = find(tx, 1, "repair", "1")
        assert found is not None
        told = tx.reader(1).show(found.matter.card(tx, found.row))
        steps = found.matter.timeline(tx, found.row, tx.reader(1))
        return told, len(found.matter.photos(tx, found.row)), steps

    title = entries(building)["repair:1"].title
    assert title == "跟楼上***家一样灯不亮，他住***，我住***"
    told, photos, steps = write(building, shown)
    assert title in told and (photos, steps) == (0, [])
    # Whoever has moved out has no rooms any more that could be looked for in their words.
    write(building, lambda tx: [tx.session.delete(each) for each in tx.session.exec(select(HomeRole)).all()])
    told, _, _ = write(building, shown)
    assert title in told


async def test_what_is_open_is_what_somebody_has_to_do_something_about(
    building: Building, owner: Phone, office: Phone
) -> None:
    furnish(building)
    await office.says("/notice 3月5日停水")
    await office.taps("发出去")
    open_now, notices, market = write(
        building,
        lambda tx: [
            {each.kind for each in lines(tx, 1, Wanted(kind, open=True))}
            for kind in ("", "announcement", "listing")
        ],
    )
    assert open_now == {"repair", "purchase", "vote"}
    assert (notices, market) == ({"announcement"}, {"listing"})
    await owner.says("公示栏")
    told = owner.sees("公示栏 · 正在办的事").text
    assert "信息" not in told and "通知" not in told


async def test_an_objection_that_nobody_answers_is_overdue(
    building: Building, owner: Phone, neighbour: Phone, office: Phone
) -> None:
    await held(building, poll={"quorum": "0/1"})
    await owner.taps("赞成")
    await building.later(days=3, seconds=10)
    await neighbour.taps("我要异议")
    await neighbour.says("算错了，我家没有收到票")
    await neighbour.taps("提交")
    line = entries(building)["vote:1"]
    assert words(building, line).endswith("1 条异议等答复") and line.due_at is not None
    assert write(building, lambda tx: overdue_count(tx, 1)) == 0
    await building.later(days=9)
    assert write(building, lambda tx: [each.about for each in overdue(tx, 1)]) == ["vote:1"]
    await office.says("/public")
    office.sees("超期没办的：1 件")
    await office.taps("异议不成立")
    await office.says("票已送达，回执在案")
    await office.taps("异议不成立")
    line = entries(building)["vote:1"]
    assert words(building, line).endswith("已生效") and (line.due_at, line.open) == (None, False)
