"""Turnout: by building and without any choice; whom the ballot has not reached; and the doors to knock at."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event, insert
from sqlmodel import Session, col, select
from starlette.applications import Starlette

from bot.canvass_pages import routes
from handlers.phones import set_phone
from handlers.turnout import canvass_of, delivered_times, turnout_of, unreached_voters
from handlers.tx import Tx
from store.tables import Home, HomeRole, Link, Outgoing, Person, Place, Role, Voter
from tests.handlers.test_votes import (
    HOURS,
    STATUTORY,
    adds_home,
    appoint,
    begin,
    home,
    number_of,
    one,
    reaches,
    the_vote,
    votes,
    write,
)
from tests.people import Building, Phone

ADDRESS = "https://linli.example/canvass/"


def unreached(tx: Tx) -> set[str]:
    """The names of those whom the ballot has not reached; the owner whom nobody knows is ""."""
    found = unreached_voters(tx, the_vote(tx))
    return {tx.session.get_one(Person, each.person_id).name if each.person_id else "" for each in found}


def doors(tx: Tx) -> list[tuple[str, list[str]]]:
    return [(each.home.room, [who.name for who in each.owners]) for each in canvass_of(tx, the_vote(tx))]


# --- whom it has reached ----------------------------------------------------------------------------


def test_the_ballot_reached_whom_it_was_sent_to_and_who_voted(building: Building) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", "乙", "丙", "丁")
        begin(tx)
        assert unreached(tx) == {"甲", "乙", "丙", "丁", "陈女士", "周先生", "王奶奶", ""}
        reaches(tx, "甲")
        reaches(tx, "乙", state="digested")
        for state in ("waiting", "held", "failed", "unreachable", "dropped"):
            reaches(tx, "丙", state=state)
        votes(tx, "陈女士")
        assert unreached(tx) == {"丙", "丁", "周先生", "王奶奶", ""}
        vote = the_vote(tx)
        times = delivered_times(tx, vote)
        assert set(times.values()) == {tx.now}
        assert len(times) == 3

    write(building, work)


def test_the_first_time_counts(building: Building) -> None:
    def first(tx: Tx) -> None:
        begin(tx)
        reaches(tx, "陈女士")
        votes(tx, "周先生")

    start = building.clock.now()
    write(building, first)
    building.clock.at += timedelta(hours=1)

    def again(tx: Tx) -> None:
        for name in ("陈女士", "周先生"):
            votes(tx, name)
            reaches(tx, name)
        vote = the_vote(tx)
        assert set(delivered_times(tx, vote).values()) == {start}
        (chen,) = tx.session.exec(select(Voter).where(Voter.number == number_of(tx, "陈女士"))).all()
        assert delivered_times(tx, vote, only=chen) == {chen.id: start}

    write(building, again)


def test_what_an_agent_was_sent_reached_the_agent_alone(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "周先生")
        begin(tx)
        reaches(tx, "陈女士", to="周先生")
        assert {"陈女士", "周先生"} <= unreached(tx)
        votes(tx, "周先生", on_behalf_of="陈女士", capacity="proxy")
        assert "陈女士" not in unreached(tx)  # nobody has to knock there
        assert "周先生" in unreached(tx)
        assert delivered_times(tx, the_vote(tx)) == {}

    write(building, work)


def test_a_sealed_ballot_says_when_it_came(building: Building) -> None:
    def work(tx: Tx) -> None:
        begin(tx, poll={"visible": "totals"})
        votes(tx, "陈女士")
        assert list(delivered_times(tx, the_vote(tx)).values()) == [tx.now]
        assert turnout_of(tx, the_vote(tx)).total.voted == 1

    write(building, work)


def test_another_vote_s_ballot_reaches_nobody_of_this_one(building: Building) -> None:
    def work(tx: Tx) -> None:
        begin(tx)
        begin(tx, title="门禁")
        reaches(tx, "陈女士", vote=2)
        votes(tx, "周先生", vote=2)
        assert {"陈女士", "周先生"} <= unreached(tx)
        assert turnout_of(tx, the_vote(tx)).total.voted == 0

    write(building, work)


# --- the turnout ------------------------------------------------------------------------------------


async def test_the_turnout_stands_by_building_and_shows_no_choice(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        begin(tx, **STATUTORY)
        votes(tx, "陈女士", "against")
        votes(tx, "王奶奶", "for")
        reaches(tx, "周先生")

    write(building, work)
    await office.forges("vote.turnout:1")
    card = office.sees("投票 1「充电桩」（业主大会表决）", "录入纸质票", "上门名单")
    assert card.text.splitlines()[1:] == [
        "1 号楼：2/2 户，面积 100.00 %",
        "2 号楼：0/1 户，面积 0.00 %",
        "3 号楼：1/2 户，面积 41.34 %",
        "合计：3/5 户，面积 60.39 %",
        "离 2/3 还差 1 人、32.20 ㎡。",
        "投票已送到 3 位业主，1 位还没送到。这里只有投没投，没有投什么。",
    ]
    assert "赞成" not in card.text and "反对" not in card.text
    await office.taps("录入纸质票")
    office.sees("录入投票 1「充电桩」的纸质票")


@pytest.mark.by_hand
async def test_two_thirds_are_reached(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        begin(tx, **STATUTORY)
        for name in ("陈女士", "周先生", "王奶奶"):
            votes(tx, name)

    write(building, work)
    await office.forges("vote.turnout:1")
    office.sees("面积和人数都到了 2/3。")


@pytest.mark.by_hand
async def test_a_poll_has_no_bar_of_two_thirds_and_no_areas(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        begin(tx)
        votes(tx, "王奶奶", rooms=["803"])

    write(building, work)
    await office.forges("vote.turnout:1")
    card = office.sees("1 号楼：1/2 户")
    assert "合计：1/5 户" in card.text
    assert "2/3" not in card.text and "面积" not in card.text


@pytest.mark.by_hand
async def test_after_the_end_it_stands_without_buttons(building: Building, office: Phone) -> None:
    write(building, begin)
    await building.later(hours=HOURS, minutes=1)
    await office.forges("vote.turnout:1")
    assert not office.sees("投票 1「充电桩」（征求意见，非业主大会决定）· 已截止").buttons
    await office.forges("vote.canvass:1")
    office.sees("这次投票已经结束")


async def test_the_committee_sees_it_in_their_own_chat_and_owners_do_not(
    building: Building, office: Phone, owner: Phone, neighbour: Phone
) -> None:
    write(building, begin)
    write(
        building,
        lambda tx: tx.session.add(Role(community_id=1, person_id=one(tx, "周先生").id, role="committee")),
    )
    await neighbour.forges("vote.turnout:1")
    assert "合计：0/5 户" in neighbour.sees("投票 1「充电桩」").text
    await neighbour.forges("vote.canvass:1")
    await owner.forges("vote.turnout:1")
    for each in (neighbour, owner):
        assert not any("上门" in message.text for message in each.chat.messages)
    assert not any("合计" in message.text for message in owner.chat.messages)


def test_a_ballot_speaks_for_the_homes_that_it_reaches(building: Building) -> None:
    """Each home by itself, or all homes of one set of owners; where one speaks for a home, nobody else's counts."""

    def work(tx: Tx) -> None:
        wang = one(tx, "王奶奶")
        both = adds_home(tx, "101", wang, "甲")
        represented = adds_home(tx, "102", wang, "乙")
        ties = select(HomeRole).where(HomeRole.home_id == represented.id)
        for tie in tx.session.exec(ties):
            tie.represents = tie.person_id != wang.id
        begin(tx)
        votes(tx, "王奶奶", rooms=["803"])
        assert turnout_of(tx, the_vote(tx)).total.voted == 1
        begin(tx, **STATUTORY)
        votes(tx, "王奶奶", rooms=["803"], vote=2)
        shares = turnout_of(tx, the_vote(tx, 2)).buildings
        assert (shares["1"].voted, shares["9"].voted) == (2, 0)
        votes(tx, "王奶奶", vote=2)
        assert turnout_of(tx, the_vote(tx, 2)).buildings["9"].voted == 1  # 101, which is theirs and 甲's
        assert both.id != represented.id

    write(building, work)


def crowd(session: Session, many: int) -> None:
    """So many homes with an owner each, in buildings of two hundred."""
    now = begin_at()
    people = [
        {"id": 1000 + n, "community_id": 1, "name": f"业主{n}", "pseudonym": 10**9 + n, "created_at": now}
        for n in range(many)
    ]
    homes = [
        {
            "id": 1000 + n,
            "community_id": 1,
            "building": f"{100 + n // 200}",
            "room": f"{n % 200 + 101}",
            "area": 90000,
        }
        for n in range(many)
    ]
    ties = [
        {"community_id": 1, "home_id": 1000 + n, "person_id": 1000 + n, "role": "owner"} for n in range(many)
    ]
    for table, rows in ((Person, people), (Home, homes), (HomeRole, ties)):
        for start in range(0, many, 500):
            session.connection().execute(insert(table), rows[start : start + 500])


def begin_at() -> Any:
    from tests.people import MORNING

    return MORNING


async def test_a_thousand_homes_are_counted_with_a_few_questions(building: Building) -> None:
    """Not one a home: ten thousand take a third of a second."""
    many = 1000
    asked: list[str] = []

    def work(tx: Tx) -> None:
        crowd(tx.session, many)
        vote = begin(tx)
        voters = tx.session.exec(select(Voter).where(col(Voter.person_id) >= 1000)).all()
        for voter in voters[: many // 10]:
            votes(tx, tx.session.get_one(Person, voter.person_id).name)
        rows = [
            {
                "community_id": 1,
                "person_id": voter.person_id,
                "lane": 3,
                "card": f"ballot:{voter.id}",
                "text": "…",
                "state": "sent",
                "created_at": tx.now,
                "sent_at": tx.now,
            }
            for voter in voters[: many // 2]
        ]
        tx.session.connection().execute(insert(Outgoing), rows)
        tx.session.flush()
        event.listen(tx.session.connection(), "before_cursor_execute", lambda *args: asked.append(args[2]))
        turnout, missing = turnout_of(tx, vote), unreached_voters(tx, vote)
        assert 0 < len(asked) < 10
        assert (turnout.total.voted, turnout.total.homes) == (many // 10, many + 5)
        assert len(missing) == many - many // 2 + 4

    write(building, work)


# --- the canvass list -------------------------------------------------------------------------------


def test_where_to_knock(building: Building) -> None:
    """A home with an owner who was reached, or with a ballot, is none; nor one of another owner who voted for it."""

    def work(tx: Tx) -> None:
        adds_home(tx, "102", "甲", "乙")
        adds_home(tx, "101", "丙", "丁")
        begin(tx)
        reaches(tx, "甲")
        votes(tx, "王奶奶", rooms=["803"])
        assert doors(tx) == [
            ("1504", []),
            ("1201", ["陈女士"]),
            ("1202", ["周先生"]),
            ("101", ["丙", "丁"]),
        ]

    write(building, work)


@pytest.mark.by_hand
async def test_the_list_has_names_and_numbers_and_the_number_is_sealed(
    building: Building, office: Phone, owner: Phone
) -> None:
    def work(tx: Tx) -> None:
        begin(tx)
        set_phone(tx, one(tx, "陈女士"), "13912345678")
        reaches(tx, "周先生")

    write(building, work)
    await office.forges("vote.canvass:1")
    shown = office.sees("投票 1「充电桩」：还有 4 户没送到、也没投。请打电话或上门：")
    assert shown.text.splitlines()[1:] == [
        "· 1 号楼 1 单元 101 王奶奶 （没有电话）",
        "· 1 号楼 2 单元 803 王奶奶 （没有电话）",
        "· 2 号楼 1 单元 1504 （名册上没有业主）",
        "· 3 号楼 2 单元 1201 陈女士 13912345678",
    ]
    assert not any("13912345678" in text for text in building.read(select(Outgoing.text)))
    for name in ("陈女士", "王奶奶"):
        write(building, lambda tx, name=name: reaches(tx, name))
    await office.forges("vote.canvass:1")
    office.sees("还有 1 户没送到")
    await owner.forges("vote.canvass:1")
    assert not any("上门" in message.text for message in owner.chat.messages)


@pytest.mark.by_hand
async def test_nobody_to_visit(building: Building, office: Phone) -> None:
    def work(tx: Tx) -> None:
        begin(tx, options={"scope": {"buildings": ["3"]}})
        reaches(tx, "陈女士")
        votes(tx, "周先生")

    write(building, work)
    await office.forges("vote.canvass:1")
    office.sees("没有要上门的户")


# --- its page ---------------------------------------------------------------------------------------


@pytest.fixture
def printable(building: Building) -> Callable[[str], Any]:
    """Let there be an address for the pages; what it shows under a path."""
    building.app.house = replace(building.app.house, canvass_page=lambda token: f"{ADDRESS}{token}")
    building.app.ticker.house = building.app.house
    transport = httpx.ASGITransport(Starlette(routes=routes(building.app)))

    async def get(path: str, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="https://linli.example") as client:
            return await client.request(method, f"/canvass/{path}")

    return get


def link_in(phone: Phone) -> str:
    """The token in the last link that somebody was sent."""
    texts = [message.text for message in phone.chat.messages if ADDRESS in message.text]
    found = re.search(rf"{re.escape(ADDRESS)}(\w+)", texts[-1])
    assert found is not None
    return found[1]


@pytest.mark.by_hand
async def test_the_page_to_print_comes_into_one_s_own_chat(
    building: Building, office: Phone, printable: Any
) -> None:
    def work(tx: Tx) -> None:
        for room in range(101, 141):
            adds_home(tx, f"{room}", "甲" if room == 101 else f"业主{room}")
        begin(tx)
        set_phone(tx, one(tx, "甲"), "13912345678")

    write(building, work)
    await office.forges("vote.canvass:1")
    shown = office.sees("还有 45 户没送到、也没投（先列 30 户）")
    assert shown.text.count("· ") == 30
    assert "链接已私聊发给您" in "".join(message.text for message in office.chat.messages)
    manager = building.phone("刘经理")
    manager.sees("投票 1「充电桩」的上门名单，45 户")
    token = link_in(manager)
    assert not any(token in text for text in building.read(select(Outgoing.text)))
    page = await printable(token)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    for words in ("上门名单：投票 1「充电桩」", "<h2>9 号楼</h2>", "13912345678", "已告知", "签字", "陈女士"):
        assert words in page.text
    assert page.text.count("<tr><td>") == 45
    assert (await printable("canvass.css")).headers["content-type"].startswith("text/css")
    write(building, lambda tx: votes(tx, "陈女士"))
    assert "陈女士" not in (await printable(token)).text  # the list as it is now


@pytest.mark.by_hand
async def test_who_has_not_read_a_notice_stands_on_such_a_page(
    building: Building, office: Phone, printable: Any
) -> None:
    await office.says("/notice <b>消防演习</b>")
    for label in ("要已读", "发出去", "没读的"):
        await office.taps(label)
    office.sees("链接已私聊发给您")
    manager = building.phone("刘经理")
    manager.sees("通知 1「<b>消防演习</b>」的上门名单，5 户")
    page = await printable(link_in(manager))
    for words in ("上门名单：通知 1「&lt;b&gt;消防演习", "没人点已读", "陈女士", "周先生"):
        assert words in page.text
    await building.phone("周先生").taps("已读")
    assert "周先生" not in (await printable(link_in(manager))).text


@pytest.mark.by_hand
async def test_a_hostile_name_is_only_words_on_the_page(
    building: Building, office: Phone, printable: Any
) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "<b>1", '<script>alert(1)</script>"')
        begin(tx, title="<i>桩</i>")

    write(building, work)
    await office.forges("vote.canvass:1")
    page = await printable(link_in(building.phone("刘经理")))
    assert "<script" not in page.text and "<i>" not in page.text and "<b>" not in page.text


@pytest.mark.by_hand
async def test_the_page_is_nobody_else_s_and_not_for_ever(
    building: Building, office: Phone, printable: Any
) -> None:
    write(building, begin)
    await office.forges("vote.canvass:1")
    token = link_in(building.phone("刘经理"))
    assert (await printable(token)).status_code == 200
    for wrong in (token[:-1], f"{token}0", "x", "canvass.js", "%00"):
        assert (await printable(wrong)).status_code == 404
    assert (await printable(token, "POST")).status_code == 405
    hours = building.app.house.link_hours
    building.clock.at += timedelta(hours=hours, seconds=-1)
    assert (await printable(token)).status_code == 200
    building.clock.at += timedelta(seconds=1)
    assert (await printable(token)).status_code == 404


@pytest.mark.by_hand
async def test_who_is_of_the_staff_no_more_sees_no_list(
    building: Building, office: Phone, printable: Any
) -> None:
    write(building, begin)
    await office.forges("vote.canvass:1")
    token = link_in(building.phone("刘经理"))

    def leaves(tx: Tx) -> None:
        role = select(Role).join(Person).where(Person.name == "刘经理", Role.role == "staff")
        tx.session.delete(tx.session.exec(role).one())

    write(building, leaves)
    assert (await printable(token)).status_code == 404


@pytest.mark.by_hand
async def test_a_link_to_another_message_opens_no_list(
    building: Building, owner: Phone, printable: Any
) -> None:
    from handlers.links import new_link

    await owner.says("/help")

    def link(tx: Tx) -> list[str]:
        place = tx.session.exec(select(Place).where(Place.external_id == "陈女士")).one()
        row = tx.session.exec(select(Outgoing).where(Outgoing.place_id == place.id)).first()
        assert row is not None
        return [new_link(tx, place, outgoing_id=each, hours=1) for each in (row.id, None)]

    write(building, begin)
    for token in write(building, link):
        assert (await printable(token)).status_code == 404


@pytest.mark.by_hand
async def test_who_has_no_chat_reads_how_to_get_one(
    building: Building, office: Phone, printable: Any
) -> None:
    write(building, begin)
    newcomer = building.group("周经理")
    await newcomer.says("/home")
    await newcomer.says("取消")

    def nowhere(tx: Tx) -> None:
        for place in tx.session.exec(select(Place).where(Place.external_id == "周经理")):
            tx.session.delete(place)

    write(building, nowhere)
    await newcomer.forges("vote.canvass:1")
    newcomer.sees("全部名单可以打印：请先私聊我发一句「你好」")
    assert building.read(select(Link)) == []


@pytest.mark.by_hand
async def test_in_english(building: Building, office: Phone, printable: Any) -> None:
    from store.tables import Community

    def english(tx: Tx) -> None:
        tx.session.get_one(Community, 1).language = "en"
        one(tx, "刘经理").language = "en"
        begin(tx, **STATUTORY)
        assert home(tx, "1201").building == "3"

    write(building, english)
    await office.forges("vote.turnout:1")
    office.sees("To two thirds are missing: 3 people, ", "Enter a paper", "Doors to knock at")
    await office.taps("Doors to knock at")
    office.sees("5 homes were not reached and have not voted. Please call or visit them:")
    page = await printable(link_in(building.phone("刘经理")))
    assert "Doors to knock at: vote 1" in page.text and "Signature" in page.text
