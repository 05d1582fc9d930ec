"""Casting: a ballot becomes an entry with a receipt, or is refused in words; agents vote by papers in the log."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from conversations.errors import Refused
from handlers import agents, privacy
from handlers.ballot_log import receipt, written
from handlers.roster import import_roster, read_roster
from handlers.tx import Tx
from handlers.votes import extend, head_of, log_of, roster_of
from store.tables import Agent, Ballot, Community, HomeRole, Person, RosterEntry, Voter
from tests.handlers.test_votes import (
    HOURS,
    STATUTORY,
    adds_home,
    appoint,
    begin,
    check_chain,
    number_of,
    one,
    refusal,
    the_vote,
    votes,
    write,
)
from tests.people import ROSTER, Building

# --- cast -------------------------------------------------------------------------------------------


def test_a_ballot_is_an_entry_with_a_receipt(building: Building) -> None:
    write(building, begin)

    def work(tx: Tx) -> None:
        made = votes(tx, "陈女士", "against", at=tx.now)
        vote = the_vote(tx)
        first, entry = log_of(tx, vote)
        assert entry == made.entry
        assert entry["prev"] == first["hash"]
        assert entry["body"] == {
            "voter": number_of(tx, "陈女士"),
            "on_behalf_of": None,
            "capacity": "self",
            "units": "all",
            "choice": "against",
            "channel": "bot",
            "at": written(tx.now),
            "evidence": None,
        }
        assert made.receipt == receipt(2, entry["hash"]) == head_of(vote)
        assert made.owners == []

    write(building, work)


def test_the_receipt_belongs_to_the_co_owners_too(building: Building) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", "乙", "丙")
        adds_home(tx, "102", one(tx, "甲"))
        begin(tx, poll={"electorate": "persons"})
        assert [each.name for each in votes(tx, "乙").owners] == ["甲", "丙"]
        assert [each.name for each in votes(tx, "甲", rooms=["102"]).owners] == []
        assert [each.name for each in votes(tx, "甲").owners] == ["乙", "丙"]
        privacy.erase(tx, one(tx, "丙"))
        assert [each.name for each in votes(tx, "甲").owners] == ["乙"]

    write(building, work)


@pytest.mark.parametrize("channel", ["bot", "paper"])
def test_no_ballot_comes_in_before_it_does(building: Building, channel: str) -> None:
    write(building, begin)
    with pytest.raises(ValueError, match="come in yet"):
        write(building, lambda tx: votes(tx, "陈女士", channel=channel, at=tx.now + timedelta(seconds=1)))


@pytest.mark.parametrize("visible", ["by_room", "totals"])
def test_what_no_published_log_may_hold_is_not_written(building: Building, visible: str) -> None:
    write(building, lambda tx: begin(tx, poll={"visible": visible}))
    with pytest.raises(ValueError, match="no such ballot: evidence"):
        write(building, lambda tx: votes(tx, "陈女士", channel="paper", evidence="photo.jpg"))
    with pytest.raises(ValueError, match="no such extend: deadline"):
        write(building, lambda tx: extend(tx, the_vote(tx), datetime(2300, 1, 1, tzinfo=UTC)))


def test_a_paper_ballot_has_its_photo_and_came_in_earlier(building: Building) -> None:
    def work(tx: Tx) -> None:
        begin(tx, opens_at=tx.now - timedelta(hours=2))
        at = tx.now - timedelta(hours=1)
        body = votes(tx, "陈女士", channel="paper", at=at, evidence="ab" * 32).entry["body"]
        assert (body["channel"], body["at"], body["evidence"]) == ("paper", written(at), "ab" * 32)

    write(building, work)


def test_a_ballot_names_homes(building: Building) -> None:
    def work(tx: Tx) -> None:
        begin(tx)
        assert votes(tx, "王奶奶", rooms=["803"]).entry["body"]["units"] == ["1栋2单元803"]
        assert votes(tx, "王奶奶", rooms=["803", "1201", "101"]).entry["body"]["units"] == [
            "1栋1单元101",
            "1栋2单元803",
        ]

    write(building, work)
    assert refusal(building, lambda tx: votes(tx, "王奶奶", rooms=["1201"])) == "vote.not_entitled"


async def test_only_between_the_opening_and_the_deadline(building: Building) -> None:
    write(building, lambda tx: begin(tx, opens_at=tx.now + timedelta(hours=1)))
    assert refusal(building, lambda tx: votes(tx, "陈女士")) == "vote.early"
    building.clock.at += timedelta(hours=1)
    write(building, lambda tx: votes(tx, "陈女士"))
    building.clock.at += timedelta(hours=HOURS - 1)
    write(building, lambda tx: votes(tx, "陈女士"))  # the instant itself is in time
    building.clock.at += timedelta(seconds=2)
    assert refusal(building, lambda tx: votes(tx, "陈女士")) == "vote.late"
    write(
        building, lambda tx: votes(tx, "陈女士", at=tx.now - timedelta(seconds=2))
    )  # it had come in on time
    await building.later(minutes=1)
    in_time = {"at": building.clock.now() - timedelta(hours=1)}
    assert refusal(building, lambda tx: votes(tx, "陈女士", **in_time)) == "vote.closed"


@pytest.mark.parametrize("name", ["Mr Smith", "李师傅", "刘经理"])
def test_who_owns_nothing_in_scope_has_no_ballot(building: Building, name: str) -> None:
    write(building, begin)
    assert refusal(building, lambda tx: votes(tx, name)) == "vote.not_entitled"


def test_who_owns_something_elsewhere_only_has_no_ballot(building: Building) -> None:
    write(building, lambda tx: begin(tx, options={"scope": {"buildings": ["3"]}}))
    assert refusal(building, lambda tx: votes(tx, "王奶奶")) == "vote.not_entitled"


@pytest.mark.parametrize("choice", [None, "", "yes", "FOR", [], ["for"], 1, True])
def test_a_choice_is_one_of_the_vote_s(building: Building, choice: Any) -> None:
    write(building, begin)
    assert refusal(building, lambda tx: votes(tx, "陈女士", choice)) == "vote.unknown_choice"


def test_a_blank_ballot_may_be_an_abstention(building: Building) -> None:
    write(building, lambda tx: begin(tx, options={"blank_ballot": "abstain"}))
    assert write(building, lambda tx: votes(tx, "陈女士", None)).entry["body"]["choice"] is None


@pytest.mark.parametrize(
    ("choice", "kept"),
    [(["丙", "甲"], ["甲", "丙"]), (("乙",), ["乙"]), ([], []), ("abstain", "abstain")],
)
def test_several_are_chosen_in_one_order(building: Building, choice: Any, kept: Any) -> None:
    poll = {"question": "choose", "choices": ["甲", "乙", "丙"], "most": 2}
    write(building, lambda tx: begin(tx, poll=poll))
    assert write(building, lambda tx: votes(tx, "陈女士", choice)).entry["body"]["choice"] == kept


@pytest.mark.parametrize(
    ("choice", "key"),
    [
        (["甲", "乙", "丙"], "vote.too_many"),
        (["甲", "甲"], "vote.too_many"),
        (["丁"], "vote.unknown_choice"),
        ("甲", "vote.unknown_choice"),
        ("for", "vote.unknown_choice"),
        (None, "vote.unknown_choice"),
        ([["甲"]], "vote.unknown_choice"),
    ],
)
def test_what_cannot_be_chosen_is_refused(building: Building, choice: Any, key: str) -> None:
    poll = {"question": "choose", "choices": ["甲", "乙", "丙"], "most": 2}
    write(building, lambda tx: begin(tx, poll=poll))
    assert refusal(building, lambda tx: votes(tx, "陈女士", choice)) == key


def test_only_the_representative_reaches_a_home(building: Building) -> None:
    def work(tx: Tx) -> None:
        adds_home(tx, "901", "甲", "乙")
        tie = tx.session.exec(select(HomeRole).join(Person).where(Person.name == "乙")).one()
        tie.represents = True
        adds_home(tx, "902", one(tx, "甲"))
        begin(tx)

    write(building, work)
    assert refusal(building, lambda tx: votes(tx, "甲", rooms=["901"])) == "vote.represented"
    write(building, lambda tx: votes(tx, "乙"))
    assert write(building, lambda tx: votes(tx, "甲")).owners == []  # for their own home alone


def test_connected_owners_are_one_person_where_the_vote_says_so(building: Building) -> None:
    """A, who shares a home with B, who shares one with C: the receipt of C's ballot is A's, too."""

    def work(tx: Tx) -> None:
        adds_home(tx, "101", "甲", "乙")
        adds_home(tx, "102", one(tx, "乙"), "丙")
        adds_home(tx, "103", one(tx, "甲"))
        begin(tx, **STATUTORY, options={"person_merge": "any_common_owner"})
        assert [each.name for each in votes(tx, "丙").owners] == ["甲", "乙"]
        begin(tx, **STATUTORY)
        assert [each.name for each in votes(tx, "丙", vote=2).owners] == ["乙"]

    write(building, work)


def test_a_ballot_reads_no_more_than_its_own_homes(building: Building) -> None:
    def work(tx: Tx) -> None:
        for number in range(300):
            adds_home(tx, f"{number + 101}", f"业主{number}")
        begin(tx, **STATUTORY)

    write(building, work)

    def reads(tx: Tx) -> int:
        votes(tx, "王奶奶")
        return sum(isinstance(row, RosterEntry | Voter | Ballot) for row in tx.session.identity_map.values())

    assert write(building, reads) < 5


# --- agents -----------------------------------------------------------------------------------------


BY_PROXY = {"capacity": "proxy", "on_behalf_of": "陈女士"}


def test_proxies_that_hold_stand_right_after_the_opening(building: Building) -> None:
    def work(tx: Tx) -> None:
        ends = tx.now + timedelta(days=1)
        appoint(tx, "陈女士", "刘经理", ends_at=ends)
        appoint(tx, "王奶奶", "周先生", room="803", scope="业主大会投票")
        appoint(tx, "周先生", "陈女士", scope="代收快递")  # given for other things
        appoint(tx, "周先生", "王奶奶", revoked_at=tx.now)
        appoint(tx, "周先生", "李师傅", starts_at=tx.now + timedelta(days=1))
        vote = begin(tx)
        _, first, second = log_of(tx, vote)
        assert first["body"] == {
            "agent": number_of(tx, "刘经理"),
            "principal": number_of(tx, "陈女士"),
            "units": "all",
            "from": written(tx.now),
            "until": written(ends - timedelta(microseconds=1)),
            "instruction": None,
            "form": "written",
        }
        assert second["kind"] == "proxy"
        assert (second["body"]["units"], second["body"]["until"][:4]) == (["1栋2单元803"], "9999")
        made = votes(tx, "刘经理", **BY_PROXY)
        assert made.entry["body"]["on_behalf_of"] == number_of(tx, "陈女士")
        assert [each.name for each in made.owners] == ["陈女士"]

    write(building, work)


def test_a_proxy_for_one_home_is_not_one_for_both(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "王奶奶", "周先生", room="803")
        begin(tx)
        begin(tx, **STATUTORY)

    write(building, work)
    for_her = {"capacity": "proxy", "on_behalf_of": "王奶奶"}
    assert refusal(building, lambda tx: votes(tx, "周先生", **for_her)) == "vote.no_proxy"
    write(building, lambda tx: votes(tx, "周先生", **for_her, rooms=["803"]))
    # One choice for all homes of a person needs a paper for all of them.
    one_home = {**for_her, "rooms": ["803"], "vote": 2}
    assert refusal(building, lambda tx: votes(tx, "周先生", **one_home)) == "vote.no_proxy"


def test_a_proxy_that_is_over_lets_nobody_vote(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "周先生", ends_at=tx.now + timedelta(hours=1))
        begin(tx)

    write(building, work)
    write(building, lambda tx: votes(tx, "周先生", **BY_PROXY))
    building.clock.at += timedelta(hours=1)
    assert refusal(building, lambda tx: votes(tx, "周先生", **BY_PROXY)) == "vote.no_proxy"
    assert refusal(building, lambda tx: votes(tx, "王奶奶", **BY_PROXY)) == "vote.no_proxy"


def test_a_power_that_is_given_and_taken_during_the_vote(building: Building) -> None:
    write(building, begin)

    def given(tx: Tx) -> None:
        tie = tx.session.exec(select(HomeRole).join(Person).where(Person.name == "陈女士")).one()
        answers = {"kind": "proxy", "agent": "刘经理", "scope": None, "until": None}
        agents.appoint(tx, one(tx, "刘经理"), tie, **answers)
        (*_, entry) = log_of(tx, the_vote(tx))
        assert (entry["kind"], entry["body"]["units"]) == ("proxy", ["3栋2单元1201"])
        assert (
            entry["body"]["agent"] == number_of(tx, "刘经理") == "P5"
        )  # who owns nothing gets the next number
        votes(tx, "刘经理", **BY_PROXY)

    write(building, given)
    building.clock.at += timedelta(minutes=1)

    def taken(tx: Tx) -> None:
        agents.revoke(tx, one(tx, "陈女士"), tx.session.exec(select(Agent)).one())
        (_, proxy, _, end) = log_of(tx, the_vote(tx))
        assert (end["kind"], end["body"]) == ("revoke", {"proxy": proxy["n"]})

    write(building, taken)
    assert refusal(building, lambda tx: votes(tx, "刘经理", **BY_PROXY)) == "vote.no_proxy"
    # What had come in before counts.
    before = {**BY_PROXY, "at": building.clock.now() - timedelta(seconds=30)}
    write(building, lambda tx: votes(tx, "刘经理", **before))


def test_of_two_powers_of_one_moment_the_one_that_is_taken_ends(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "周先生")
        short = appoint(tx, "陈女士", "周先生", ends_at=tx.now + timedelta(hours=1))
        begin(tx)
        agents.revoke(tx, one(tx, "陈女士"), short)
        (_, _, second, end) = log_of(tx, the_vote(tx))
        assert second["body"]["until"][:4] != "9999"
        assert end["body"] == {"proxy": second["n"]}

    write(building, work)


def test_all_powers_of_somebody_end_at_once(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "周先生")
        appoint(tx, "陈女士", "王奶奶", room="1201")
        appoint(tx, "王奶奶", "陈女士")
        begin(tx)
        agents.revoke_all(tx, one(tx, "陈女士"))
        agents.revoke_all(tx, one(tx, "陈女士"))
        kinds = [entry["kind"] for entry in log_of(tx, the_vote(tx))]
        assert kinds == ["open", "proxy", "proxy", "proxy", "revoke", "revoke", "revoke"]
        ended = [entry["body"]["proxy"] for entry in log_of(tx, the_vote(tx))[4:]]
        assert ended == [2, 3, 4]
        check_chain(log_of(tx, the_vote(tx)))

    write(building, work)


def test_a_new_roster_ends_powers_in_the_log_too(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "周先生")
        begin(tx)
        community = tx.session.get_one(Community, 1)
        sold = ROSTER.replace("89.35,陈女士", "89.35,新业主")
        import_roster(tx, community, read_roster(sold.encode()))
        assert [entry["kind"] for entry in log_of(tx, the_vote(tx))] == ["open", "proxy", "revoke"]

    write(building, work)


def test_a_guardian_votes_and_the_ward_does_not(building: Building) -> None:
    def work(tx: Tx) -> None:
        appoint(tx, "陈女士", "Mr Smith", "guardian", scope="看病")
        vote = begin(tx)
        ward, guardian = number_of(tx, "陈女士"), number_of(tx, "Mr Smith")
        assert roster_of(tx, vote)["legal_agents"] == [
            {"agent": guardian, "principal": ward, "kind": "guardian"}
        ]

    write(building, work)
    assert refusal(building, lambda tx: votes(tx, "陈女士")) == "vote.ward"
    as_guardian = {"capacity": "guardian", "on_behalf_of": "陈女士"}
    write(building, lambda tx: votes(tx, "Mr Smith", **as_guardian))
    assert refusal(building, lambda tx: votes(tx, "周先生", **as_guardian)) == "vote.no_guardian"
    as_legal = {"capacity": "legal_rep", "on_behalf_of": "陈女士"}
    assert refusal(building, lambda tx: votes(tx, "Mr Smith", **as_legal)) == "vote.no_guardian"
    assert refusal(building, lambda tx: votes(tx, "Mr Smith", **BY_PROXY)) == "vote.no_proxy"


def test_an_agent_has_no_more_principals_than_the_city_allows(building: Building) -> None:
    building.set_policy("city", "潍坊")

    def work(tx: Tx) -> None:
        for number in range(4):
            adds_home(tx, f"{number + 1}01", f"业主{number}")
            appoint(tx, f"业主{number}", "周先生")
        begin(tx)
        for number in (0, 1, 2, 1):
            votes(tx, "周先生", capacity="proxy", on_behalf_of=f"业主{number}")
        votes(tx, "周先生")  # their own vote is apart

    write(building, work)
    fourth = {"capacity": "proxy", "on_behalf_of": "业主3"}
    assert refusal(building, lambda tx: votes(tx, "周先生", **fourth)) == "vote.proxy_limit"
    write(building, lambda tx: votes(tx, "周先生", capacity="proxy", on_behalf_of="业主0"))


@pytest.mark.parametrize(
    "options",
    [{"capacity": "proxy"}, {"on_behalf_of": "周先生"}, {"channel": "letter"}],
)
def test_ballots_that_cannot_be_are_an_error(building: Building, options: dict[str, Any]) -> None:
    write(building, begin)
    with pytest.raises(ValueError, match="no such ballot"):
        write(building, lambda tx: votes(tx, "陈女士", **options))


# --- and the tally ----------------------------------------------------------------------------------


def every_outcome(building: Building) -> list[str]:
    return list(write(building, lambda tx: the_vote(tx).result)["ballot_outcomes"])


@pytest.mark.parametrize("merge", ["exact_owner_set", "any_common_owner"])
@pytest.mark.parametrize("people", ["interp9", "per_unit"])
async def test_what_was_taken_is_never_rejected_by_the_tally(
    building: Building, merge: str, people: str
) -> None:
    """Whoever got a receipt for a ballot is never told afterwards that it did not count because of the rules."""

    def work(tx: Tx) -> None:
        adds_home(tx, "901", "甲", "乙")
        adds_home(tx, "902", one(tx, "乙"), "丙")
        adds_home(tx, "903", one(tx, "甲"))
        tie = tx.session.exec(select(HomeRole).join(Person).where(Person.name == "丙")).one()
        tie.represents = True
        appoint(tx, "甲", "丙")
        appoint(tx, "王奶奶", "周先生")
        appoint(tx, "陈女士", "周先生", "guardian")
        options = {"person_merge": merge, "people_count": people, "proxy_max_principals": 1}
        begin(tx, **STATUTORY, options=options)

    write(building, work)
    tried: list[tuple[str, Mapping[str, Any]]] = [
        (name, {}) for name in ("甲", "乙", "丙", "陈女士", "周先生", "王奶奶", "Mr Smith")
    ]
    for agent in ("丙", "周先生", "乙"):
        for principal in ("甲", "王奶奶", "陈女士", "乙"):
            for capacity in ("proxy", "guardian"):
                tried.append((agent, {"capacity": capacity, "on_behalf_of": principal}))
    tried += [("甲", {"rooms": [room]}) for room in ("901", "902", "903")]
    taken = 0
    for name, options in tried:
        try:
            write(building, lambda tx, name=name, options=options: votes(tx, name, **options))
            taken += 1
        except Refused:
            pass
    assert 5 <= taken < len(tried)
    await building.later(hours=HOURS, seconds=6)
    outcomes = every_outcome(building)
    assert len(outcomes) == taken
    assert [outcome for outcome in outcomes if outcome.startswith("rejected")] == []
