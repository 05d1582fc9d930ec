"""The PostgreSQL that the test run starts itself comes up, clones databases, and never outlives its run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.people import unique
from tests.postgres import Server

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for this file."""
    with Server() as server:
        yield server


def ask(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in one transaction: the rows of the last, if it has any."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_a_database_is_in_utf8_and_sorts_by_code_point(server: Server) -> None:
    url = server.create_database("plain")
    assert ask(url, "SHOW server_encoding") == [("UTF8",)]
    assert ask(url, "SELECT x FROM (VALUES ('邻里'), ('b'), ('A'), ('a')) t(x) ORDER BY x") == [
        ("A",),
        ("a",),
        ("b",),
        ("邻里",),
    ]


def test_databases_of_one_template_are_separate(server: Server) -> None:
    template = server.create_database("template")
    ask(template, "CREATE TABLE repair (id integer)", "INSERT INTO repair VALUES (1)")
    one = server.create_database("one", template="template")
    two = server.create_database("two", template="template")
    ask(one, "INSERT INTO repair VALUES (2)")
    assert ask(one, "SELECT id FROM repair ORDER BY id") == [(1,), (2,)]
    assert ask(two, "SELECT id FROM repair ORDER BY id") == [(1,)]


def test_a_partial_index_serves_its_predicate(server: Server) -> None:
    url = server.create_database("outbox")
    ask(
        url,
        "CREATE TABLE outgoing (id integer PRIMARY KEY, sent_at timestamptz)",
        "INSERT INTO outgoing SELECT n, now() FROM generate_series(1, 20000) n",
        "INSERT INTO outgoing VALUES (20001, NULL)",
        "CREATE INDEX waiting ON outgoing (id) WHERE sent_at IS NULL",
        "ANALYZE outgoing",
    )
    query = "SELECT id FROM outgoing WHERE sent_at IS NULL ORDER BY id"
    assert ask(url, query) == [(20001,)]
    assert any("using waiting" in str(line) for (line,) in ask(url, f"EXPLAIN {query}"))


def test_a_dropped_database_is_gone_even_while_in_use(server: Server) -> None:
    url = server.create_database('odd "name"')
    engine = create_engine(url, poolclass=NullPool)
    connection = engine.connect()
    server.drop_database('odd "name"')
    connection.invalidate()
    connection.close()
    assert server.create_database('odd "name"') == url


@pytest.fixture(scope="module")
def pattern(server: Server) -> str:
    """A template with an empty table, which only grows, and a full one."""
    url = server.create_database("pattern")
    ask(
        url,
        "CREATE TABLE matter (id serial PRIMARY KEY, words text)",
        "CREATE TABLE fixed (name text)",
        "INSERT INTO fixed VALUES ('a')",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''it only grows''; END'",
        "CREATE TRIGGER grows BEFORE DELETE ON matter FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    return "pattern"


def test_a_database_that_is_given_back_is_lent_again_as_if_it_were_new(server: Server, pattern: str) -> None:
    name = server.lend("used", pattern)
    url = server.url_of(name)
    ask(url, "INSERT INTO matter (words) VALUES ('x'), ('y')")
    engine = create_engine(url, poolclass=NullPool)
    connection = engine.connect()  # somebody forgot to end this
    connection.execute(text("INSERT INTO matter (words) VALUES ('z')"))
    server.give_back(name)
    connection.invalidate()
    connection.close()
    assert server.lend("another", pattern) == name
    assert ask(url, "SELECT * FROM matter") == []
    assert ask(url, "INSERT INTO matter (words) VALUES ('x') RETURNING id") == [(1,)]
    assert ask(url, "SELECT * FROM fixed") == [("a",)]
    server.give_back(name)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE matter ADD more text",
        "ALTER TABLE matter DISABLE TRIGGER grows",
        "ALTER TABLE matter ADD CHECK (id < 9)",
        "CREATE INDEX by_words ON matter (words)",
        "CREATE TABLE made ()",
        "DROP TABLE matter",
        "ANALYZE matter",
        "UPDATE fixed SET name = name",
        "DELETE FROM fixed",
        "INSERT INTO matter (words) SELECT md5(n::text) FROM generate_series(1, 40000) n",
    ],
)
def test_what_has_become_another_database_is_not_lent_again(
    server: Server, pattern: str, change: str
) -> None:
    name = server.lend(unique("before"), pattern)
    ask(server.url_of(name), "INSERT INTO matter (words) VALUES ('x')", change)
    server.give_back(name)
    assert name not in server.created
    after = server.lend(unique("after"), pattern)
    assert after != name
    assert ask(server.url_of(after), "SELECT * FROM matter") == []
    server.give_back(after)
    server.drop_database(server.spare[pattern].pop())


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_a_run_that_is_killed(way: signal.Signals) -> None:
    code = "import tests.postgres as p; s = p.Server(); s.start(); print(s.folder, flush=True); input()"
    environment = {name: value for name, value in os.environ.items() if name != "LINLI_TEST_POSTGRES"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        folder = Path(run.stdout.readline().strip())
        pid = int((folder / "data/postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 0)
        run.send_signal(way)
    assert gone(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def gone(folder: Path, within: float = 60.0) -> bool:
    """Whether the folder goes away within so many seconds."""
    end = time.monotonic() + within
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return not folder.exists()


def test_a_server_named_by_the_setting_is_used_and_left_clean(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINLI_TEST_POSTGRES", server.admin.render_as_string(hide_password=False))
    with Server() as other:
        url = other.create_database("guest")
        assert ask(url, "SELECT 1") == [(1,)]
    found = server.create_database("after")
    assert ask(found, "SELECT count(*) FROM pg_database WHERE datname = 'guest'") == [(0,)]
