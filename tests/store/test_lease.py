"""A lease belongs to one holder at a time, and to nobody for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from store.database import Database
from store.lease import hold, let_go

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url, durable=False)
    yield made
    made.close()


def test_a_lease_is_held_until_it_runs_out(database: Database) -> None:
    def ask(holder: str, after: int) -> bool:
        now = AT + timedelta(seconds=after)
        return database.write_now(lambda session: hold(session, "delivery", holder, now=now, seconds=15))

    assert [ask("a", 0), ask("b", 1), ask("a", 10), ask("b", 16), ask("b", 25), ask("a", 26)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_leases_of_other_names_are_free(database: Database) -> None:
    for name in ("delivery", "clock"):
        assert database.write_now(lambda session, name=name: hold(session, name, name, now=AT, seconds=15))


def test_a_lease_that_was_given_back_is_free_at_once(database: Database) -> None:
    def ask(holder: str) -> bool:
        return database.write_now(lambda session: hold(session, "delivery", holder, now=AT, seconds=15))

    assert [ask("a"), ask("b")] == [True, False]
    database.write_now(lambda session: let_go(session, "delivery", "b"))  # not theirs
    assert ask("b") is False
    database.write_now(lambda session: let_go(session, "delivery", "a"))
    assert ask("b") is True
