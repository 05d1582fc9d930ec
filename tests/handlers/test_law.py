"""The law of votes as data: each city's pack, complete lawful options, and a source for every fact."""

import re
from typing import Any

import pytest

from conversations.words import LANGUAGES
from handlers.law import DEFAULT, MARKS, OPTIONS, pack_of, packs
from handlers.policy import policy_of
from handlers.tx import Tx
from tests.people import Building

CITIES = {
    "beijing": "北京",
    "weifang": "潍坊",
    "qingyuan": "清远",
    "hangzhou": "杭州",
    "ningbo": "宁波",
    "zhoushan": "舟山",
}
KINDS = ("statutory", "poll")


def test_there_is_a_pack_for_each_city_and_one_for_all_others() -> None:
    assert {key: pack.city for key, pack in packs().items()} == {DEFAULT: "", **CITIES}


@pytest.mark.parametrize(("key", "city"), CITIES.items())
def test_a_pack_is_found_by_every_name_of_its_city(key: str, city: str) -> None:
    names = (city, f"{city}市", key, key.title(), f" {city} ", f"某省{city}市某区", f"{key.title()} City")
    assert {pack_of(name).key for name in names} == {key}


@pytest.mark.parametrize("city", ["", " ", "上海", "Atlantis", "civil_code"])
def test_where_no_city_says_more_the_civil_code_holds(city: str) -> None:
    assert pack_of(city).key == DEFAULT


@pytest.mark.parametrize("key", [DEFAULT, *CITIES])
def test_every_fact_stands_in_every_language_with_its_source_and_mark(key: str) -> None:
    facts = packs()[key].facts
    assert facts
    for fact in facts:
        assert set(fact.says) == set(LANGUAGES)
        assert all(fact.says.values())
        assert fact.source
        assert fact.mark in MARKS


def test_three_cities_have_no_statutory_vote_here_and_say_why() -> None:
    closed = {key for key, pack in packs().items() if not pack.statutory_here}
    assert closed == {"beijing", "weifang", "qingyuan"}
    for key in closed:
        pack = packs()[key]
        assert pack.city in pack.reason("zh")
        assert key.title() in pack.reason("en")
        assert "S" in {fact.mark for fact in pack.facts}
    assert {
        pack.reason(language) for pack in packs().values() if pack.statutory_here for language in LANGUAGES
    } == {""}


def test_what_each_city_says() -> None:
    assert {key: pack.publish_days for key, pack in packs().items() if pack.publish_days} == {
        "beijing": 3,
        "qingyuan": 7,
    }
    assert {key: pack.period_days for key, pack in packs().items() if pack.period_days} == {
        "hangzhou": (5, 60)
    }
    assert {key for key, pack in packs().items() if pack.paper_on_request} == {"hangzhou"}
    assert {key for key, pack in packs().items() if not pack.staff_may_be_agents} == {"zhoushan"}
    assert {key: dict(pack.fixed) for key, pack in packs().items() if pack.fixed} == {
        "weifang": {"proxy_max_principals": 3},
        "ningbo": {"parking_votes": False},
    }
    assert {pack.notice_days for pack in packs().values()} == {15}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [DEFAULT, *CITIES])
def test_the_options_are_complete_and_lawful(key: str, kind: str) -> None:
    options = packs()[key].options(kind)
    assert set(options) == set(OPTIONS)
    assert options["scope"] == {"buildings": None, "entrances": None, "floors": None, "homes": None}
    assert options["silence"] == "not_participating"
    assert options["proxy_max_principals"] == (3 if key == "weifang" else None)
    assert options["multi_unit"] == ("owner_wide" if kind == "statutory" else "per_unit")


def test_options_that_are_changed_change_nobody_else_s() -> None:
    made = pack_of("").options("poll")
    made["scope"]["buildings"] = ["3"]
    made["proxy_barred"].append("P1")
    pack_of("").poll()["choices"].append("甲")
    assert pack_of("").options("poll")["scope"]["buildings"] is None
    assert pack_of("").options("poll")["proxy_barred"] == []
    assert pack_of("").poll()["choices"] == []


def test_the_packs_speak_of_law_with_numbers_of_articles() -> None:
    assert all(re.search(r"\d", fact.source) for fact in packs()[DEFAULT].facts)


def test_a_community_names_its_city(building: Building) -> None:
    def city(session: Any) -> str:
        return policy_of(Tx(session, building.clock.now(), building.app.house), building.community.id).city

    assert building.app.database.write_now(city) == ""
    building.set_policy("city", "杭州")
    assert pack_of(building.app.database.write_now(city)).key == "hangzhou"
