"""Schema changes, by Alembic, on SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

HERE = Path(__file__).parent
UPGRADING = 0x6C696E6C69  # "linli"


def upgrade(engine: Engine) -> bool:
    """Bring the schema to the newest revision; True if there was something to do.

    An SQLite file that already holds data is copied first, to `<file>.before-<revision>-<time>`.
    """
    config = Config()
    config.set_main_option("script_location", str(HERE))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == newest:
        return False
    if current is not None and engine.dialect.name == "sqlite":
        backup(engine, Path(f"{engine.url.database}.before-{newest}-{datetime.now(UTC):%Y%m%d%H%M%S}"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # of several processes that start at once, one upgrades
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADING})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def backup(engine: Engine, target: Path) -> None:
    """Write a complete copy of a SQLite database to `target`, while it is in use; the file must not exist."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.driver_connection.execute("VACUUM INTO ?", (str(target),))  # type: ignore[union-attr]
