"""The log of a vote and its frozen roster are only ever added to, whatever a later program believes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from store.database import Database
from store.tables import Ballot, Community, Home, RosterEntry, Vote

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TABLES = ("ballot", "roster_entry")
COLUMNS = {
    "ballot": ("id, community_id, vote_id, n, kind, entry, opened", "1, 1, {number}, 'ballot', 'other', ''"),
    "roster_entry": ("id, community_id, vote_id, home_id, position, unit", "1, 1, 1, {number}, '{{}}'"),
}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A vote with a home in its roster and an entry in its log."""

    def furnish(session: Session) -> None:
        session.add(Community(id=1, name="阳光花园", created_at=AT))
        session.flush()
        session.add(Home(id=1, community_id=1, building="3", room="1201", area=89350))
        session.add(
            Vote(
                id=1,
                community_id=1,
                number=1,
                kind="poll",
                title="充电桩",
                policy_hash="",
                roster_hash="",
                record_date=date(2026, 3, 2),
                opens_at=AT,
                deadline=AT,
            )
        )
        session.flush()
        session.add(
            RosterEntry(id=1, community_id=1, vote_id=1, home_id=1, position=1, unit={"id": "3-1201"})
        )
        session.add(Ballot(id=1, community_id=1, vote_id=1, n=1, kind="open", entry="{}"))

    made = Database(database_url, durable=False)
    made.write_now(furnish)
    yield made
    made.close()


def rows(database: Database, table: str) -> list[tuple[object, ...]]:
    with database.read() as session:
        return [
            tuple(row) for row in session.connection().execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def refused(database: Database, table: str, statement: str, words: str = "") -> None:
    """The statement is refused with the words of the trigger, and has changed nothing."""
    before = rows(database, table)
    with (
        pytest.raises(DBAPIError, match=words or f"{table} only grows"),
        database.engine.begin() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert rows(database, table) == before
    assert len(before) == 1


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("ballot", "UPDATE ballot SET entry = 'other'"),
        ("ballot", "UPDATE ballot SET opened = 'other' WHERE id = 1"),
        ("ballot", "UPDATE ballot SET entry = entry"),
        ("ballot", "DELETE FROM ballot"),
        ("ballot", "DELETE FROM ballot WHERE vote_id = 1"),
        ("roster_entry", "UPDATE roster_entry SET unit = '{}'"),
        ("roster_entry", "UPDATE roster_entry SET position = 2 WHERE id = 1"),
        ("roster_entry", "DELETE FROM roster_entry WHERE id = 1"),
    ],
)
def test_nothing_is_changed_or_deleted(database: Database, table: str, statement: str) -> None:
    refused(database, table, statement)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_cannot_be_emptied_at_once(database: Database, table: str) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    refused(database, table, f"TRUNCATE {table}")
    refused(database, table, "TRUNCATE vote CASCADE", "only grows")


@pytest.mark.parametrize("key", ["its id", "its number"])
@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_overwritten_by_its_key(database: Database, table: str, key: str) -> None:
    """By the number of an entry in its vote as well as by the id."""
    names, values = COLUMNS[table]
    row_id, number = (1, 9) if key == "its id" else (9, 1)
    values = f"{row_id}, {values.format(number=number)}"
    if database.is_sqlite:
        refused(database, table, f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({values})")
        refused(database, table, f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({values})")
        return
    target = "id" if key == "its id" else "vote_id, n" if table == "ballot" else "vote_id, position"
    change = "entry = 'other'" if table == "ballot" else "unit = '{}'"
    insert = f"INSERT INTO {table} ({names}) VALUES ({values})"
    refused(database, table, f"{insert} ON CONFLICT ({target}) DO UPDATE SET {change}")


def test_one_more_entry_is_taken(database: Database) -> None:
    more = Ballot(community_id=1, vote_id=1, n=2, kind="ballot", entry="{}")
    database.write_now(lambda session: session.add(more))
    assert len(rows(database, "ballot")) == 2


def test_no_number_is_given_twice(database: Database) -> None:
    again = Ballot(community_id=1, vote_id=1, n=1, kind="ballot", entry="{}")
    with pytest.raises(DBAPIError):
        database.write_now(lambda session: session.add(again))
    assert len(rows(database, "ballot")) == 1
