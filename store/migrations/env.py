"""Alembic's entrance: runs the migrations on the connection that `upgrade` hands over."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import JSON
from sqlmodel import AutoString, SQLModel

from store.tables import UtcTime


def plain_types(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our column types into a migration as SQLAlchemy's own, so that old migrations need none of ours."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, JSON):
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=plain_types,
    transactional_ddl=True,  # SQLite can, if somebody else begins the transaction, as we do
)
with context.begin_transaction():
    context.run_migrations()
