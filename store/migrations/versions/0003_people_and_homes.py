"""People with phones, agents and consent; homes with a state, shares and parking; requests to come in; rosters sent"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Plain ALTER TABLE: a table of millions of rows is not copied.
    for table, column, kind, default in (
        ("person", "name_hash", sa.String(), "''"),
        ("person", "phone", sa.Text(), "''"),
        ("person", "phone_hash", sa.String(), "''"),
        ("person", "is_developer", sa.Boolean(), "false"),
        ("home", "status", sa.String(), "'delivered'"),
        ("home_role", "share", sa.String(), "''"),
        ("home_role", "represents", sa.Boolean(), "false"),
        ("home_role", "from_roster", sa.Boolean(), "true"),
        ("role", "buildings", JSON, "'[]'"),
        ("place", "wrong_codes", sa.Integer(), "0"),
        ("outgoing", "keyboard", sa.String(), "''"),
    ):
        op.add_column(table, sa.Column(column, kind, nullable=False, server_default=sa.text(default)))
    op.add_column("person", sa.Column("left_at", TIME, nullable=True))
    op.add_column("account", sa.Column("agreed_at", TIME, nullable=True))
    op.add_column("place", sa.Column("codes_barred_until", TIME, nullable=True))
    op.create_index(op.f("ix_person_phone_hash"), "person", ["phone_hash"], unique=False)
    _table("parking", ("number", sa.String()), home_id="home?")
    _table(
        "agent",
        ("kind", sa.String()),
        ("scope", sa.String()),
        ("starts_at", TIME),
        ("ends_at", TIME, True),
        ("revoked_at", TIME, True),
        principal_id="person",
        agent_id="person",
        home_id="home?",
    )
    _table(
        "join_request",
        ("name", sa.String()),
        ("home", sa.String()),
        ("role", sa.String()),
        ("state", sa.String()),
        ("created_at", TIME),
        ("decided_at", TIME, True),
        person_id="person",
        home_id="home?",
        match_id="person?",
    )
    _table(
        "roster_file",
        ("storage", sa.String()),
        ("name", sa.String()),
        ("created_at", TIME),
        person_id="person",
    )
    for table, column in (
        ("parking", "home_id"),
        ("agent", "principal_id"),
        ("agent", "agent_id"),
        ("join_request", "person_id"),
    ):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _table(name: str, *columns: tuple[Any, ...], **refs: str) -> None:
    """A table of a community's rows; `refs` name the tables that columns point to, with ? if they may be empty."""
    refs = {"community_id": "community", **refs}
    op.create_table(
        name,
        sa.Column("id", BIG, nullable=False),
        *(sa.Column(ref, BIG, nullable=target.endswith("?")) for ref, target in refs.items()),
        *(sa.Column(column, kind, nullable=bool(empty)) for column, kind, *empty in columns),
        *(
            sa.ForeignKeyConstraint([ref], [f"{target.rstrip('?')}.id"], name=op.f(f"fk_{name}_{ref}"))
            for ref, target in refs.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *(
            [sa.UniqueConstraint("community_id", "number", name=op.f("uq_parking_community_id_number"))]
            if name == "parking"
            else []
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
