"""Votes in the database: how they are made, cast, kept and closed, and what anybody can count again from the log."""

import io
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from conversations.errors import Refused
from conversations.words import LANGUAGES, Reader
from handlers import tally
from handlers.ballot_log import START, canonical, hash_of, sha256, written
from handlers.bundle import case_of, verify
from handlers.people import new_person
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from handlers.vote_roster import floor_of, shown_area, unit_id
from handlers.votes import (
    GRACE,
    Cast,
    bundle_of,
    cast,
    extend,
    head_of,
    log_of,
    open_vote,
    roster_of,
    voter_of,
)
from store.tables import (
    Agent,
    Ballot,
    Community,
    Home,
    HomeRole,
    Outgoing,
    Person,
    Role,
    RosterEntry,
    Timer,
    Vote,
    Voter,
)
from tests.people import ROSTER, Building, Phone

HOURS = 72
STATUTORY = {"kind": "statutory", "rule": "ordinary"}
by_hand = pytest.mark.by_hand


def write(building: Building, work: Callable[[Tx], Any]) -> Any:
    """Do something in a transaction, at the time of the building's clock."""

    def in_tx(session: Session) -> Any:
        return work(Tx(session, building.clock.now(), building.app.house))

    return building.app.database.write_now(in_tx)


def one(tx: Tx, name: str) -> Person:
    return tx.session.exec(select(Person).where(Person.name == name)).one()


def home(tx: Tx, room: str) -> Home:
    return tx.session.exec(select(Home).where(Home.room == room)).one()


def begin(tx: Tx, **options: Any) -> Vote:
    """A poll that is open for three days from now; a statutory vote whose notice is old enough."""
    given: dict[str, Any] = {
        "kind": "poll",
        "title": "充电桩",
        "opens_at": tx.now,
        "deadline": tx.now + timedelta(hours=HOURS),
        "notice_at": tx.now - timedelta(days=15),
        **options,
    }
    return open_vote(tx, 1, **given)


def the_vote(tx: Tx, number: int = 1) -> Vote:
    return tx.session.exec(select(Vote).where(Vote.number == number)).one()


def votes(tx: Tx, name: str, choice: Any = "for", *, vote: int = 1, **options: Any) -> Cast:
    """Somebody casts a ballot in the vote of this number."""
    if isinstance(options.get("on_behalf_of"), str):
        options["on_behalf_of"] = one(tx, options["on_behalf_of"])
    if "rooms" in options:
        options["homes"] = [home(tx, room) for room in options.pop("rooms")]
    return cast(tx, the_vote(tx, vote), one(tx, name), choice=choice, **options)


def refusal(building: Building, work: Callable[[Tx], Any]) -> str:
    """The key of what is refused; it is said in every language, and nothing is left behind."""
    before = counted(building)
    with pytest.raises(Refused) as caught:
        write(building, work)
    for language in LANGUAGES:
        reader = Reader(language, "Asia/Shanghai", building.clock.now())
        assert "{" not in reader.say(caught.value.key, **caught.value.facts)
    assert counted(building) == before
    return caught.value.key


def counted(building: Building) -> list[int]:
    return [
        building.read(select(func.count()).select_from(table))[0]
        for table in (Vote, RosterEntry, Voter, Ballot)
    ]


def reaches(tx: Tx, name: str, *, vote: int = 1, state: str = "sent", to: str = "") -> None:
    """The ledger says what became of somebody's ballot, which was sent to them or `to` their agent."""
    voter = voter_of(tx, the_vote(tx, vote), one(tx, name))
    assert voter is not None
    row = Outgoing(
        community_id=1,
        person_id=one(tx, to or name).id,
        lane=3,
        card=f"ballot:{voter.id}",
        text="…",
        state=state,
        created_at=tx.now,
        sent_at=tx.now if state == "sent" else None,
    )
    tx.session.add(row)
    tx.session.flush()


def number_of(tx: Tx, name: str) -> str:
    voter = voter_of(tx, the_vote(tx), one(tx, name))
    assert voter is not None
    return voter.number


def adds_home(
    tx: Tx, room: str, *owners: Person | str, building: str = "9", entrance: str = "", **options: Any
) -> Home:
    """A home with its owners, who are new unless they are given as persons."""
    made = Home(community_id=1, building=building, entrance=entrance, room=room, **{"area": 50000, **options})
    tx.session.add(made)
    tx.session.flush()
    for each in owners:
        person = new_person(tx, 1, each) if isinstance(each, str) else each
        tx.session.add(HomeRole(community_id=1, home_id=made.id, person_id=person.id, role="owner"))
    tx.session.flush()
    return made


def check_chain(log: list[dict[str, Any]]) -> None:
    """Every entry has its number, the hash of the one before, and its own."""
    before = START
    for n, entry in enumerate(log, 1):
        assert (entry["n"], entry["prev"]) == (n, before)
        assert entry["hash"] == hash_of(entry)
        before = entry["hash"]


def appoint(
    tx: Tx, principal: str, agent: str, kind: str = "proxy", *, room: str = "", **options: Any
) -> Agent:
    """A power that holds from now on, entered by the paper's words."""
    made = Agent(
        community_id=1,
        kind=kind,
        principal_id=one(tx, principal).id,
        agent_id=one(tx, agent).id,
        home_id=home(tx, room).id if room else None,
        **{"starts_at": tx.now, **options},
    )
    tx.session.add(made)
    tx.session.flush()
    return made


# --- made -------------------------------------------------------------------------------------------


def test_a_vote_begins_with_the_hashes_of_its_roster_and_its_policy(building: Building) -> None:
    def work(tx: Tx) -> None:
        vote = begin(tx, text="加装十个充电桩")
        (entry,) = log_of(tx, vote)
        files = [canonical(content) + b"\n" for content in (roster_of(tx, vote), vote.policy)]
        assert (entry["kind"], entry["n"], entry["prev"]) == ("open", 1, START)
        assert entry["body"] == dict(zip(("roster", "policy"), map(sha256, files), strict=True))
        assert (vote.number, vote.state, vote.entries, vote.head) == (1, "open", 1, entry["hash"])
        assert vote.record_date.isoformat() == "2026-03-02"
        assert vote.policy["poll"] == {
            "electorate": "homes",
            "weight": "heads",
            "quorum": "1/2",
            "threshold": "1/2",
            "of": "for_against",
            "question": "yes_no",
            "choices": [],
            "most": 1,
            "visible": "by_room",
        }
        assert vote.policy["options"]["multi_unit"] == "per_unit"
        assert (vote.policy["kind"], vote.policy["rule"], vote.policy["clause"]) == ("poll", None, None)
        assert vote.policy["opens_at"] == written(tx.now)

    write(building, work)


def test_what_is_read_again_has_the_same_hashes(building: Building) -> None:
    """The database may keep JSON in another order, but not another content."""
    write(building, lambda tx: begin(tx, title="“充电桩” 𠮷\n第二行"))

    def work(tx: Tx) -> None:
        vote = the_vote(tx)
        assert sha256(canonical(roster_of(tx, vote)) + b"\n") == vote.roster_hash
        assert sha256(canonical(vote.policy) + b"\n") == vote.policy_hash

    write(building, work)


def test_the_roster_is_as_the_homes_are(building: Building) -> None:
    def work(tx: Tx) -> None:
        vote = begin(tx)
        roster = roster_of(tx, vote)
        assert [unit["id"] for unit in roster["units"]] == [
            "1栋1单元101",
            "1栋2单元803",
            "2栋1单元1504",
            "3栋2单元1201",
            "3栋2单元1202",
        ]
        assert roster["legal_agents"] == []
        assert "names" not in roster
        grandmother = number_of(tx, "王奶奶")
        assert roster["units"][0] == {
            "id": "1栋1单元101",
            "building": "1",
            "entrance": "1",
            "floor": "1",
            "kind": "residential",
            "status": "sold_delivered",
            "area": "102.46",
            "owners": [grandmother],
            "developer": None,
            "buyers": [],
            "rep": None,
        }
        assert roster["units"][1]["owners"] == [grandmother]
        (unnamed,) = roster["units"][2]["owners"]  # only a tenant is known there
        voter = tx.session.exec(select(Voter).where(Voter.number == unnamed)).one()
        assert (voter.person_id, voter.homes) == (None, [2])
        everybody = {owner for unit in roster["units"] for owner in unit["owners"]}
        assert everybody == {"P1", "P2", "P3", "P4"}

    write(building, work)


def test_the_numbers_are_given_by_chance(building: Building) -> None:
    def work(tx: Tx) -> None:
        for number in range(12):
            adds_home(tx, f"{number + 1}01", f"业主{number}")
        orders = []
        for _ in range(2):
            vote = begin(tx)
            orders.append([unit["owners"] for unit in roster_of(tx, vote)["units"]])
        assert orders[0] != orders[1]
        flat = [owner for owners in orders[0] for owner in owners]
        assert {int(owner[1:]) for owner in flat} == set(range(1, 17))
        assert flat != sorted(flat, key=lambda owner: int(owner[1:]))

    write(building, work)


def test_co_owners_a_representative_and_what_is_not_sold_or_handed_over(building: Building) -> None:
    def work(tx: Tx) -> None:
        builder = new_person(tx, 1, "阳光置业")
        builder.is_developer = True
        adds_home(tx, "101", "甲", "乙")
        adds_home(tx, "102", builder, status="unsold")
        adds_home(tx, "103", "丙", status="undelivered")
        tie = tx.session.exec(select(HomeRole).join(Person).where(Person.name == "乙")).one()
        tie.represents = True
        tx.session.flush()
        vote = begin(tx, options={"scope": {"buildings": ["9"]}})
        both, unsold, bought = roster_of(tx, vote)["units"]
        first, second, developer, buyer = (number_of(tx, name) for name in ("甲", "乙", "阳光置业", "丙"))
        assert set(both["owners"]) == {first, second}
        assert both["owners"] == sorted(both["owners"], key=lambda number: int(number[1:]))
        assert (both["rep"], both["developer"]) == (second, None)
        assert (unsold["status"], unsold["owners"], unsold["developer"]) == ("unsold", [], developer)
        assert (bought["status"], bought["owners"]) == ("sold_undelivered", [])
        assert (bought["developer"], bought["buyers"]) == (developer, [buyer])
        assert voter_of(tx, vote, one(tx, "丙")).homes == []  # type: ignore[union-attr]
        assert voter_of(tx, vote, builder).homes == [1, 2]  # type: ignore[union-attr]

    write(building, work)


def test_a_home_that_is_not_sold_needs_a_developer(building: Building) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", status="undelivered")
        begin(tx)

    assert refusal(building, work) == "vote.no_developer"


FLOORS = {"1201": "12", "302": "3", "101": "1", "0302": "3", "0002": None, "12": None, "A101": None}
FLOORS |= {"10101": None, "": None, "１２０１": None}


@pytest.mark.parametrize(("room", "floor"), FLOORS.items())
def test_a_room_tells_its_floor(room: str, floor: str | None) -> None:
    assert floor_of(room) == floor


@pytest.mark.parametrize(
    ("area", "shown"),
    [(89350, "89.35"), (88500, "88.50"), (126_800, "126.80"), (89_351, "89.351"), (5, "0.005")],
)
def test_an_area_is_an_exact_decimal(area: int, shown: str) -> None:
    assert shown_area(area) == shown


def test_two_homes_whose_addresses_read_alike_have_two_ids(building: Building) -> None:
    def work(tx: Tx) -> None:
        homes = [
            adds_home(tx, "1201", "甲", building="5栋2单元"),
            adds_home(tx, "1201", "乙", building="5", entrance="2"),
        ]
        assert len({unit_id(each) for each in homes}) == 1
        ids = [unit["id"] for unit in roster_of(tx, begin(tx))["units"]]
        assert len(set(ids)) == len(ids) == 7

    write(building, work)


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        ({"buildings": ["1", "3"]}, ["1栋1单元101", "1栋2单元803", "3栋2单元1201", "3栋2单元1202"]),
        ({"entrances": ["1/2", "3/2"]}, ["1栋2单元803", "3栋2单元1201", "3栋2单元1202"]),
        ({"floors": ["12", "1"]}, ["1栋1单元101", "3栋2单元1201", "3栋2单元1202"]),
        ({"homes": ["3栋2单元1202", "nowhere"]}, ["3栋2单元1202"]),
        ({"buildings": ["3"], "homes": ["3栋2单元1201", "1栋1单元101"]}, ["3栋2单元1201"]),
    ],
)
def test_the_scope_keeps_some_homes(building: Building, scope: dict[str, Any], kept: list[str]) -> None:
    def work(tx: Tx) -> list[str]:
        vote = begin(tx, options={"scope": scope})
        assert set(vote.policy["options"]["scope"]) == {"buildings", "entrances", "floors", "homes"}
        return [unit["id"] for unit in roster_of(tx, vote)["units"]]

    assert write(building, work) == kept


def test_only_a_named_poll_has_names(building: Building) -> None:
    def work(tx: Tx) -> None:
        vote = begin(tx, poll={"visible": "named"})
        names = roster_of(tx, vote)["names"]
        assert names == {number_of(tx, name): name for name in ("陈女士", "周先生", "王奶奶")}

    write(building, work)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("vote.nobody", {"options": {"scope": {"buildings": ["99"]}}}),
    ("vote.silence_poll", {"options": {"silence": "follow_majority"}}),
    ("vote.silence_clause", {**STATUTORY, "options": {"silence": "follow_majority"}}),
    ("vote.silence_clause", {**STATUTORY, "clause": " ", "options": {"silence": "abstain_participating"}}),
    (
        "vote.silence_by_home",
        {
            **STATUTORY,
            "clause": "第 12 条",
            "options": {"silence": "follow_majority", "multi_unit": "per_unit"},
        },
    ),
    ("vote.choices", {"poll": {"question": "choose"}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲"]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲", "甲"]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲", ""]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲", " "]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲", "甲 "]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["甲", "弃权"]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["水", "电", "水、电"]}}),
    ("vote.choices", {"poll": {"question": "choose", "choices": ["以上都不选", "甲"]}}),
    ("vote.most", {"poll": {"question": "choose", "choices": ["甲", "乙"], "most": 3}}),
    ("vote.most", {"poll": {"question": "choose", "choices": ["甲", "乙"], "most": 0}}),
]


@pytest.mark.parametrize(("key", "options"), REFUSED)
def test_what_may_not_be_voted_so_is_refused(building: Building, key: str, options: dict[str, Any]) -> None:
    assert refusal(building, lambda tx: begin(tx, **options)) == key


@pytest.mark.parametrize("hours", [(0, 0), (5, 5), (5, 4), (-5, -1), (-5, 0)])
def test_the_deadline_comes_after_the_opening_and_after_now(
    building: Building, hours: tuple[int, int]
) -> None:
    opens, ends = (timedelta(hours=each) for each in hours)
    work = lambda tx: begin(tx, opens_at=tx.now + opens, deadline=tx.now + ends)  # noqa: E731
    assert refusal(building, work) == "vote.deadline"


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "other"},
        {"rule": "ordinary"},
        {"kind": "statutory"},
        {"kind": "statutory", "rule": "simple"},
        {"options": {"silent": "follow_majority"}},
        {"options": {"revote": "never"}},
        {"options": {"proxy_max_principals": -1}},
        {"options": {"scope": {"rooms": ["1"]}}},
        {"poll": {"quorum": "3/2"}},
        {"poll": {"threshold": "1/3"}},
        {"poll": {"wieght": "area"}},
        # What could be counted, but not be published: no published file may say it.
        {"poll": {"quorum": "0.5"}},
        {"poll": {"quorum": 0.5}},
        {"poll": {"most": 0}},
        {"poll": {"choices": ["甲", "甲"]}},
        {"poll": {"question": "choose", "choices": [1, 2]}},
        {"options": {"proxy_max_principals": 10**10}},
        {"options": {"proxy_barred": [3]}},
        {"title": "长" * 10_001},
        {"clause": "长" * 10_001},
        {"deadline": datetime(2300, 1, 1, tzinfo=UTC)},
    ],
)
def test_values_that_do_not_exist_are_an_error(building: Building, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such"):
        write(building, lambda tx: begin(tx, **options))


@pytest.mark.parametrize("options", [STATUTORY, {"poll": {"weight": "area"}}, {"poll": {"weight": "both"}}])
def test_where_areas_decide_they_must_be_known(building: Building, options: dict[str, Any]) -> None:
    def work(tx: Tx) -> None:
        home(tx, "803").area = home(tx, "1202").area = 0
        begin(tx, **options)

    assert refusal(building, work) == "vote.no_area"
    with pytest.raises(Refused) as caught:
        write(building, work)
    assert caught.value.facts["count"] == 2
    reader = Reader("zh", "Asia/Shanghai", building.clock.now())
    assert "有 2 户没有登记面积" in reader.say("vote.no_area", **caught.value.facts)
    assert "1 号楼 2 单元 803" in reader.say("vote.no_area", **caught.value.facts)


def test_where_heads_decide_an_unknown_area_is_no_bar(building: Building) -> None:
    def work(tx: Tx) -> None:
        home(tx, "803").area = 0
        begin(tx)

    write(building, work)


# --- the law ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("city", ["北京", "潍坊", "清远"])
def test_where_the_city_has_its_own_platform_only_polls_are_held(building: Building, city: str) -> None:
    building.set_policy("city", city)
    assert refusal(building, lambda tx: begin(tx, **STATUTORY)) == "vote.poll_only"
    with pytest.raises(Refused) as caught:
        write(building, lambda tx: begin(tx, **STATUTORY))
    for language, words in (("zh", f"{city}要求"), ("en", "requires online statutory votes")):
        reader = Reader(language, "Asia/Shanghai", building.clock.now())
        assert words in reader.say("vote.poll_only", **caught.value.facts)
    write(building, begin)


def test_a_statutory_vote_needs_fifteen_days_of_notice(building: Building) -> None:
    def at(days: int) -> Callable[[Tx], Vote]:
        return lambda tx: begin(
            tx,
            **STATUTORY,
            notice_at=None,
            opens_at=tx.now + timedelta(days=days),
            deadline=tx.now + timedelta(days=30),
        )

    assert refusal(building, at(14)) == "vote.notice"
    vote = write(building, at(15))
    assert (vote.policy["rule"], vote.policy["poll"]) == ("ordinary", None)
    assert vote.policy["options"]["multi_unit"] == "owner_wide"


def test_hangzhou_has_bounds_for_the_period(building: Building) -> None:
    building.set_policy("city", "杭州")

    def lasts(**time: float) -> Callable[[Tx], Vote]:
        return lambda tx: begin(tx, **STATUTORY, deadline=tx.now + timedelta(**time))

    assert refusal(building, lasts(days=4, hours=23)) == "vote.period"
    assert refusal(building, lasts(days=60, seconds=1)) == "vote.period"
    write(building, lasts(days=5))
    write(building, lasts(days=60))
    write(building, begin)  # a poll may be shorter


def test_in_ningbo_parking_never_counts(building: Building) -> None:
    building.set_policy("city", "宁波")
    parking = {"options": {"parking_votes": True}}
    assert refusal(building, lambda tx: begin(tx, **STATUTORY, **parking)) == "vote.fixed"
    write(building, lambda tx: begin(tx, **STATUTORY))


def test_in_zhoushan_property_staff_are_nobody_s_agents(building: Building) -> None:
    building.set_policy("city", "舟山")

    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "刘经理")
        appoint(tx, "王奶奶", "周先生")
        vote = begin(tx)
        barred = set(vote.policy["options"]["proxy_barred"])
        assert {number_of(tx, name) for name in ("刘经理", "李师傅", "王师傅", "张师傅")} == barred

    write(building, work)
    by_proxy = {"capacity": "proxy", "on_behalf_of": "陈女士"}
    assert refusal(building, lambda tx: votes(tx, "刘经理", **by_proxy)) == "vote.barred"
    write(building, lambda tx: votes(tx, "周先生", capacity="proxy", on_behalf_of="王奶奶"))


# --- the log ----------------------------------------------------------------------------------------


def test_the_chain_holds_after_fifty_ballots(building: Building) -> None:
    write(building, begin)
    for turn in range(50):
        who = ("陈女士", "周先生", "王奶奶")[turn % 3]
        write(
            building, lambda tx, who=who, turn=turn: votes(tx, who, ("for", "against", "abstain")[turn % 2])
        )

    def work(tx: Tx) -> None:
        vote, log = the_vote(tx), log_of(tx, the_vote(tx))
        check_chain(log)
        assert (len(log), vote.entries, vote.head) == (51, 51, log[-1]["hash"])
        assert len({entry["nonce"] for entry in log}) == 51
        assert all(
            row.entry == canonical(json.loads(row.entry)).decode() for row in tx.session.exec(select(Ballot))
        )

    write(building, work)


def test_two_at_once_write_two_entries_one_after_the_other(building: Building) -> None:
    """On PostgreSQL in two transactions that overlap: the second has read the vote before the first is done."""
    write(building, begin)
    names = ["陈女士", "周先生", "王奶奶"] * 4
    gate = threading.Barrier(len(names)) if not building.app.database.is_sqlite else None
    errors: list[BaseException] = []

    def one_casts(name: str) -> None:
        def in_tx(session: Session) -> None:
            tx = Tx(session, building.clock.now(), building.app.house)
            vote = the_vote(tx)
            assert vote.entries >= 1
            cast(tx, vote, one(tx, name), choice="for")

        try:
            if gate is not None:
                gate.wait(10)
            building.app.database.write_now(in_tx)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one_casts, args=(name,)) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert errors == []

    def work(tx: Tx) -> None:
        log = log_of(tx, the_vote(tx))
        check_chain(log)
        assert len(log) == the_vote(tx).entries == 13

    write(building, work)


def test_an_old_view_of_the_vote_is_read_anew_under_the_lock(building: Building) -> None:
    """Two transactions in fact, one of which holds the row while the other waits for it."""
    if building.app.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    write(building, begin)
    engine, started, seen = building.app.database.engine, threading.Event(), []

    def second() -> None:
        with Session(engine) as session:
            tx = Tx(session, building.clock.now(), building.app.house)
            vote = the_vote(tx)
            seen.append(vote.entries)
            started.set()
            seen.append(cast(tx, vote, one(tx, "周先生"), choice="for").entry["n"])
            session.commit()

    with Session(engine) as session:
        tx = Tx(session, building.clock.now(), building.app.house)
        votes(tx, "陈女士")
        waiting = threading.Thread(target=second)
        waiting.start()
        assert started.wait(10)
        waiting.join(0.3)
        assert waiting.is_alive()  # it waits for the row
        session.commit()
        waiting.join(10)
    assert seen == [1, 3]
    write(building, lambda tx: check_chain(log_of(tx, the_vote(tx))))


def test_a_sealed_ballot_shows_nothing_and_opens_for_the_keeper(building: Building) -> None:
    def work(tx: Tx) -> None:
        vote = begin(tx, poll={"visible": "totals"})
        made = votes(tx, "陈女士", "against")
        row = tx.session.exec(select(Ballot).where(Ballot.kind == "ballot")).one()
        kept = json.loads(row.opened)
        assert list(made.entry["body"]) == ["sealed"]
        assert "against" not in row.entry
        assert number_of(tx, "陈女士") not in row.entry
        assert made.entry["body"]["sealed"] == sha256(row.opened.encode())
        assert set(kept) == {"body", "nonce"}
        assert kept["nonce"] != made.entry["nonce"]
        assert log_of(tx, vote)[1]["body"] == made.entry["body"]
        assert log_of(tx, vote, opened=True)[1]["body"]["choice"] == "against"
        check_chain(log_of(tx, vote))

    write(building, work)


def test_what_is_not_sealed_is_kept_once(building: Building) -> None:
    write(building, begin)
    write(building, lambda tx: votes(tx, "陈女士"))
    assert set(building.read(select(Ballot.opened))) == {""}


# --- frozen -----------------------------------------------------------------------------------------


def test_a_home_that_is_sold_meanwhile_votes_by_the_frozen_roster(building: Building) -> None:
    def sells(tx: Tx) -> None:
        begin(tx)
        before = canonical(roster_of(tx, the_vote(tx)))
        community = tx.session.get_one(Community, 1)
        sold = ROSTER.replace("89.35,陈女士", "99.99,新业主") + "8号楼,,801,70,又一位,业主,,,\n"
        import_roster(tx, community, read_roster(sold.encode()))
        assert canonical(roster_of(tx, the_vote(tx))) == before

    write(building, sells)
    write(building, lambda tx: votes(tx, "陈女士"))
    assert refusal(building, lambda tx: votes(tx, "新业主")) == "vote.not_entitled"
    assert refusal(building, lambda tx: votes(tx, "又一位")) == "vote.not_entitled"

    def next_vote(tx: Tx) -> None:
        begin(tx)
        votes(tx, "新业主", vote=2)
        assert the_vote(tx, 2).number == 2

    write(building, next_vote)
    assert refusal(building, lambda tx: votes(tx, "陈女士", vote=2)) == "vote.not_entitled"


def test_each_community_numbers_its_own_votes(building: Building) -> None:
    def work(tx: Tx) -> list[int]:
        other = Community(name="月光花园", created_at=tx.now)
        tx.session.add(other)
        tx.session.flush()
        import_roster(tx, other, read_roster(ROSTER.encode()))
        begin(tx)
        end = tx.now + timedelta(days=1)
        there = open_vote(tx, other.id, kind="poll", title="门禁", opens_at=tx.now, deadline=end)
        return [there.number, begin(tx).number]

    assert write(building, work) == [1, 2]


# --- by the clock -----------------------------------------------------------------------------------


@by_hand
async def test_the_head_is_published_each_evening_and_at_the_end(
    building: Building, board: Phone, office: Phone, neighbour: Phone, owner: Phone
) -> None:
    write(
        building,
        lambda tx: tx.session.add(Role(community_id=1, person_id=one(tx, "周先生").id, role="committee")),
    )
    write(building, begin)
    write(building, lambda tx: votes(tx, "陈女士"))
    await building.later(hours=10, minutes=59)
    board.sees_nothing()
    await building.later(minutes=1)  # 20:00
    head = write(building, lambda tx: str(head_of(the_vote(tx))))
    assert head.startswith("2-")
    for each in (board, office, neighbour):
        shown = each.sees(
            f"投票 1「充电桩」（征求意见，非业主大会决定）进行中：记录共 2 条，最后一条的回执是\n{head}"
        )
        assert shown.silent
    owner.sees_nothing()
    await building.later(hours=24)
    assert len(board.chat.messages) == 2
    await building.later(hours=37, minutes=0, seconds=10)
    last = write(building, lambda tx: str(head_of(the_vote(tx))))
    assert last.startswith("3-")
    board.sees(f"投票 1「充电桩」（征求意见，非业主大会决定）已截止：记录共 3 条，最后一条的回执是\n{last}")
    owner.sees("参与的不够，没有结果", "我要异议")
    many = len(board.chat.messages)
    await building.later(days=3)
    assert len(board.chat.messages) == many


@by_hand
async def test_no_head_before_the_opening(building: Building, board: Phone) -> None:
    write(building, lambda tx: begin(tx, opens_at=tx.now + timedelta(days=2)))
    await building.later(days=2)
    board.sees_nothing()
    await building.later(hours=12)
    board.sees("进行中：记录共 1 条")


async def test_a_vote_closes_at_its_deadline_with_its_result(building: Building) -> None:
    write(building, begin)

    def work(tx: Tx) -> None:
        votes(tx, "陈女士", "for")
        votes(tx, "周先生", "against")
        votes(tx, "周先生", "for")
        votes(tx, "王奶奶", "for", rooms=["803"])
        reaches(tx, "周先生", state="failed")

    write(building, work)
    await building.later(hours=HOURS)
    assert building.read(select(Vote.state)) == ["open"]  # what came in by now may still be written
    await building.later(seconds=6)

    def closed(tx: Tx) -> None:
        vote = the_vote(tx)
        log = log_of(tx, vote)
        check_chain(log)
        end = log[-1]
        assert (vote.state, vote.closed_at, end["kind"]) == ("closed", tx.now, "close")
        assert end["body"]["entries"] == 5 == len(log) - 1
        reached = {number_of(tx, name) for name in ("陈女士", "周先生", "王奶奶")}  # who voted has seen it
        assert set(end["body"]["undelivered"]) == {"P1", "P2", "P3", "P4"} - reached
        result = vote.result
        assert end["body"]["result"] == sha256(canonical(result) + b"\n")
        assert result["reason"] == "ADOPTED"
        assert result["counts"]["for"]["heads"] == 3
        assert result["ballot_outcomes"] == ["counted", "superseded", "counted", "counted"]

    write(building, closed)


async def test_whom_the_ballot_reached_is_written_down_at_the_end(building: Building) -> None:
    """Sent, read in a digest, or answered; what failed, waits, or went to an agent did not reach the owner."""

    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", "乙", "丙", "丁", "戊")
        begin(tx)
        reaches(tx, "甲")
        reaches(tx, "乙", state="digested")
        reaches(tx, "丙", state="unreachable")
        reaches(tx, "丁", to="周先生")
        reaches(tx, "陈女士", state="waiting")

    write(building, work)
    building.clock.at += timedelta(hours=1)
    write(building, lambda tx: reaches(tx, "甲"))
    write(building, lambda tx: votes(tx, "陈女士"))
    assert set(building.read(select(Voter.delivered_at))) == {None}
    start = building.clock.now() - timedelta(hours=1)
    await building.later(hours=HOURS)

    def closed(tx: Tx) -> None:
        vote = the_vote(tx)
        names = ("甲", "乙", "丙", "丁", "戊", "陈女士", "周先生", "王奶奶")
        known = {name: voter_of(tx, vote, one(tx, name)) for name in names}
        at = {name: voter.delivered_at for name, voter in known.items() if voter and voter.delivered_at}
        assert at == {"甲": start, "乙": start, "陈女士": start + timedelta(hours=1)}
        reached = {number_of(tx, name) for name in at}
        nobody = {f"P{number}" for number in range(1, 10)}  # and the owner whom the roster does not name
        assert set(log_of(tx, vote)[-1]["body"]["undelivered"]) == nobody - reached

    write(building, closed)


async def test_a_vote_closes_once_even_if_the_bot_was_down(building: Building) -> None:
    write(building, begin)
    write(building, lambda tx: votes(tx, "陈女士"))
    building.clock.at += timedelta(days=9)
    write(building, lambda tx: votes(tx, "周先生", at=tx.now - timedelta(days=7)))  # it waited for us
    await building.restart()
    await building.later(seconds=1)

    def again(tx: Tx) -> None:
        from handlers.votes import close

        vote = the_vote(tx)
        close(tx, vote)
        assert [entry["kind"] for entry in log_of(tx, vote)] == ["open", "ballot", "ballot", "close"]
        assert vote.result["ballot_outcomes"] == ["counted", "counted"]

    write(building, again)
    timers = dict(
        building.read(select(Timer.action, Timer.state).where(col(Timer.action).startswith("vote.")))
    )
    assert timers == {"vote.close:1": "done", "vote.head:1": "done", "vote.final:1": "waiting"}


def test_a_vote_is_not_closed_before_its_time(building: Building) -> None:
    from handlers.votes import close

    def work(tx: Tx) -> None:
        begin(tx)
        close(tx, the_vote(tx))
        assert the_vote(tx).state == "open"

    write(building, work)
    due = building.read(select(Timer.due_at).where(col(Timer.action).startswith("vote.close")))
    assert due == [building.clock.now() + timedelta(hours=HOURS) + GRACE]


async def test_a_poll_is_extended_once(building: Building) -> None:
    write(building, begin)

    def later(hours: int) -> Callable[[Tx], None]:
        return lambda tx: extend(tx, the_vote(tx), building.clock.now() + timedelta(hours=hours))

    assert refusal(building, later(HOURS)) == "vote.extend_later"
    write(building, later(HOURS + 24))
    assert refusal(building, later(HOURS + 48)) == "vote.extend_once"
    await building.later(hours=HOURS + 1)
    assert building.read(select(Vote.state)) == ["open"]
    write(building, lambda tx: votes(tx, "陈女士"))
    await building.later(hours=24)

    def work(tx: Tx) -> None:
        vote = the_vote(tx)
        _, longer, ballot, _ = log_of(tx, vote)
        assert longer["body"] == {"deadline": written(vote.deadline)}
        assert (vote.state, ballot["kind"]) == ("closed", "ballot")
        assert vote.policy["deadline"] < longer["body"]["deadline"]  # the policy stays as it was published
        assert vote.result["ballot_outcomes"] == ["counted"]

    write(building, work)
    assert refusal(building, later(48)) == "vote.closed"


def test_a_statutory_vote_is_never_extended(building: Building) -> None:
    write(building, lambda tx: begin(tx, **STATUTORY))
    work = lambda tx: extend(tx, the_vote(tx), tx.now + timedelta(days=9))  # noqa: E731
    assert refusal(building, work) == "vote.extend_poll"


def test_a_poll_whose_time_is_over_is_not_extended(building: Building) -> None:
    write(building, begin)
    building.clock.at += timedelta(hours=HOURS)
    work = lambda tx: extend(tx, the_vote(tx), tx.now + timedelta(days=9))  # noqa: E731
    assert refusal(building, work) == "vote.closed"


# --- counted again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("visible", ["by_room", "totals", "named"])
async def test_the_bundle_holds_what_was_hashed(building: Building, visible: str) -> None:
    write(building, lambda tx: begin(tx, poll={"visible": visible}))
    for name, choice in (("陈女士", "for"), ("周先生", "against"), ("王奶奶", "for")):
        write(building, lambda tx, name=name, choice=choice: votes(tx, name, choice))
    await building.later(hours=HOURS, seconds=6)
    data = write(building, lambda tx: bundle_of(tx, the_vote(tx)))
    assert verify(data).entries == 5
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        held = {name: files.read(name) for name in files.namelist()}
    log = [json.loads(line) for line in held["log.jsonl"].splitlines()]
    check_chain(log)
    assert sha256(held["roster.json"]) == log[0]["body"]["roster"]
    assert sha256(held["policy.json"]) == log[0]["body"]["policy"]
    assert sha256(held["result.json"]) == log[-1]["body"]["result"]
    assert ("sealed" in log[1]["body"]) == (visible == "totals")
    assert json.loads(held["result.json"])["reason"] == "ADOPTED"
    if visible != "totals":
        case = case_of(json.loads(held["policy.json"]), json.loads(held["roster.json"]), log)
        assert canonical(tally.result(case)) + b"\n" == held["result.json"]


def test_an_open_vote_has_no_result(building: Building) -> None:
    write(building, begin)
    with pytest.raises(ValueError, match="is open"):
        write(building, lambda tx: bundle_of(tx, the_vote(tx)))


# --- forgotten --------------------------------------------------------------------------------------


@by_hand
async def test_the_log_holds_after_a_voter_is_forgotten(building: Building, owner: Phone) -> None:
    write(building, begin)
    write(building, lambda tx: votes(tx, "陈女士"))
    before = building.read(select(Ballot.entry).order_by(Ballot.n))
    await owner.says("/forget")
    await owner.taps("确定注销")
    await building.later(hours=HOURS, minutes=5)

    def work(tx: Tx) -> None:
        vote = the_vote(tx)
        check_chain(log_of(tx, vote))
        now = building.read(select(Ballot.entry).order_by(Ballot.n))
        assert now[: len(before)] == before
        assert sha256(canonical(roster_of(tx, vote)) + b"\n") == vote.roster_hash
        assert vote.result["ballot_outcomes"] == ["counted"]
        kept = tx.session.exec(select(Person).join(Voter).where(Person.name == "")).all()
        assert len(kept) == 1

    write(building, work)


@by_hand
async def test_mydata_shows_one_s_votes(building: Building, owner: Phone, neighbour: Phone) -> None:
    def work(tx: Tx) -> tuple[str, Cast]:
        begin(tx, poll={"visible": "totals"})
        reaches(tx, "陈女士")
        made = votes(tx, "陈女士", "against")
        votes(tx, "王奶奶", "for")
        return number_of(tx, "陈女士"), made

    number, made = write(building, work)
    await owner.says("/mydata")
    text = "".join(message.text for message in owner.chat.messages)
    assert f"投票 1「充电桩」· 您的编号 {number} · 送达 今天 09:00" in text
    assert f"回执 {made.receipt}" in text
    assert made.entry["hash"] in text
    assert '"choice":"against"' in text  # opened for its voter
    assert '"choice":"for"' not in text
    await neighbour.says("/mydata")
    text = "".join(message.text for message in neighbour.chat.messages)
    assert "送达 还没有" in text
    assert made.entry["hash"] not in text
