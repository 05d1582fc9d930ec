"""The register of equipment, requests, who supports them, openings of votes, ballots on paper, and objections"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
Column = sa.Column[Any]


def upgrade() -> None:
    # Plain ALTER TABLE: a table of millions of rows is not copied.
    op.add_column("notice", sa.Column("buttons", JSON, nullable=False, server_default=sa.text("'[]'")))
    op.add_column("vote", sa.Column("reached", BIG, nullable=False, server_default=sa.text("0")))
    op.add_column("vote", sa.Column("turnout", JSON, nullable=False, server_default=sa.text("'[]'")))
    for name in ("objections_until", "final_at", "annulled_at"):
        op.add_column("vote", sa.Column(name, TIME, nullable=True))
    with op.batch_alter_table("media") as media:  # what the house itself draws is nobody's
        media.alter_column("person_id", existing_type=BIG, nullable=True)
    _table(
        "equipment",
        {"community_id": "community"},
        *_texts("kind", "building", "spot", size=sa.String),
        *_texts("note"),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("number", "count")),
        sa.Column("since", sa.Integer(), nullable=True),
        sa.Column("retired_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_equipment_community_id_number")),
    )
    _table(
        "purchase",
        {
            "community_id": "community",
            "person_id": "person",
            "equipment_id?": "equipment",
            "vote_id?": "vote",
        },
        *_texts("building", "state", "payer", "nature", size=sa.String),
        *_texts("what", "spot", "why", "note", "reason"),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("number", "count")),
        *(sa.Column(name, BIG, nullable=True) for name in ("cost", "spent")),
        sa.Column("insisted", sa.Boolean(), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_purchase_community_id_number")),
    )
    op.create_index("ix_purchase_state", "purchase", ["community_id", "state"], unique=False)
    _index("purchase", "person_id", "vote_id")
    _table(
        "supporter",
        {"community_id": "community", "purchase_id": "purchase", "person_id": "person"},
        sa.Column("at", TIME, nullable=False),
        sa.UniqueConstraint("purchase_id", "person_id", name=op.f("uq_supporter_purchase_id_person_id")),
    )
    _index("supporter", "person_id")
    _table(
        "opening",
        {"community_id": "community", "purchase_id?": "purchase"},
        sa.Column("vote", JSON, nullable=False),
        sa.Column("opened_by", BIG, nullable=True),
        *_texts("state", size=sa.String),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["opened_by"], ["person.id"], name=op.f("fk_opening_opened_by")),
    )
    _index("opening", "purchase_id")
    _table(
        "paper",
        {"community_id": "community", "vote_id": "vote", "voter_id": "voter"},
        sa.Column("choice", JSON, nullable=True),
        sa.Column("photos", JSON, nullable=False),
        *_texts("evidence", "state", size=sa.String),
        sa.Column("entered_by", BIG, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
    )
    _index("paper", "vote_id")
    _table(
        "objection",
        {"community_id": "community", "vote_id": "vote", "person_id": "person"},
        *_texts("what", "answer"),
        *_texts("state", size=sa.String),
        sa.Column("at", TIME, nullable=False),
        sa.Column("decided_at", TIME, nullable=True),
    )
    _index("objection", "vote_id", "person_id")


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


def _texts(*names: str, size: type[sa.String] = sa.Text) -> list[Column]:
    return [sa.Column(name, size(), nullable=False) for name in names]


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
