"""Who follows a repair, what is written through it, spots with a code, corrected judgements, and all of the work"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
Column = sa.Column[Any]


def upgrade() -> None:
    # Plain ALTER TABLE, but for the reference of a merged repair, for which SQLite copies that table.
    _add("notice", sa.Column("audience", sa.String(), nullable=False, server_default=sa.text("''")))
    _add("repair", sa.Column("incident", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    for name in ("expected_at", "accepted_at", "done_at", "paused_at", "paused_until", "urged_at"):
        _add("repair", sa.Column(name, TIME, nullable=True))
    for name, default in (("homes", "1"), ("paused_seconds", "0"), ("reopened", "0")):
        _add("repair", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text(default)))
    for name in ("cost_for", "praise"):
        _add("repair", sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    _add("repair", sa.Column("cost_state", sa.String(), nullable=False, server_default=sa.text("''")))
    _add("repair", sa.Column("cost", BIG, nullable=True), sa.Column("stars", sa.Integer(), nullable=True))
    with op.batch_alter_table("repair") as repair:
        repair.add_column(sa.Column("merged_id", BIG, nullable=True))
        repair.create_foreign_key(op.f("fk_repair_merged_id"), "repair", ["merged_id"], ["id"])
    _index("repair", "merged_id")
    _table(
        "follower",
        {"community_id": "community", "repair_id": "repair", "person_id": "person"},
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("sure", sa.Boolean(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.UniqueConstraint("repair_id", "person_id", name=op.f("uq_follower_repair_id_person_id")),
    )
    _index("follower", "person_id")
    _table(
        "letter",
        {"community_id": "community", "person_id": "person", "to_id?": "person"},
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    _index("letter", "about", "person_id", "to_id")
    _table(
        "spot",
        {"community_id": "community"},
        sa.Column("number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("code", "place", "building")),
        sa.Column("spot", sa.Text(), nullable=False),
        sa.Column("retired_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("code", name=op.f("uq_spot_code")),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_spot_community_id_number")),
    )
    _table(
        "example",
        {"community_id": "community"},
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("text", "reason")),
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("judgement", "verdict", "label", "kind", "about")
        ),
        sa.Column("pseudonym", BIG, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    _index("example", "community_id")


def _add(table: str, *columns: Column) -> None:
    for column in columns:
        op.add_column(table, column)


def _table(name: str, refers: dict[str, str], *parts: Column | sa.Constraint) -> None:
    """A table with its number, what it refers to (those with a question mark may be unknown), and the rest."""
    targets = {column.rstrip("?"): target for column, target in refers.items()}
    op.create_table(
        name,
        sa.Column("id", BIG, nullable=False),
        *(sa.Column(column.rstrip("?"), BIG, nullable=column.endswith("?")) for column in refers),
        *parts,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        *(
            sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{name}_{column}"))
            for column, target in targets.items()
        ),
    )


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
