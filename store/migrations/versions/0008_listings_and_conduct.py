"""Listings, what is said in the community's group, rulings on both, reports of neighbours, and texts known again"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
Column = sa.Column[Any]


def upgrade() -> None:
    op.add_column("example", sa.Column("mark", sa.String(), nullable=False, server_default=sa.text("''")))
    op.create_index("ix_example_mark", "example", ["community_id", "mark"], unique=False)
    _table(
        "ruling",
        {"community_id": "community", "person_id?": "person"},
        sa.Column("number", sa.Integer(), nullable=False),
        *_words("about", "account", "verdict", "category", "state"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("rules", JSON, nullable=False),
        sa.Column("why", JSON, nullable=False),
        *_times("at", "appealed_at?", "due_at?", "decided_at?"),
        sa.Column("pseudonym", BIG, nullable=False),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_ruling_community_id_number")),
    )
    _index("ruling", "about", "person_id")
    op.create_index("ix_ruling_state", "ruling", ["community_id", "state", "id"], unique=False)
    op.create_index("ix_ruling_account", "ruling", ["community_id", "account", "at"], unique=False)
    _table(
        "listing",
        {"community_id": "community", "person_id": "person", "ruling_id?": "ruling"},
        sa.Column("number", sa.Integer(), nullable=False),
        *_words("kind", "state"),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "text")),
        sa.Column("price", BIG, nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("draft", JSON, nullable=False),
        *_times("created_at", "published_at?", "expires_at?", "closed_at?"),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_listing_community_id_number")),
    )
    _index("listing", "person_id")
    op.create_index("ix_listing_state", "listing", ["community_id", "state", "id"], unique=False)
    _table(
        "post",
        {"community_id": "community", "place_id": "place", "person_id?": "person", "ruling_id?": "ruling"},
        *_words("message_id", "account", "name", "thread"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("parts", JSON, nullable=False),
        *_times("at", "edited_at?", "removed_at?"),
        sa.UniqueConstraint("place_id", "message_id", name=op.f("uq_post_place_id_message_id")),
    )
    _index("post", "person_id")
    op.create_index("ix_post_account", "post", ["place_id", "account", "at"], unique=False)
    _table(
        "member",
        {"community_id": "community", "place_id": "place", "ruling_id?": "ruling"},
        *_words("account"),
        *_times("joined_at?", "heard_at?", "silent_until?"),
        sa.UniqueConstraint("place_id", "account", name=op.f("uq_member_place_id_account")),
    )
    _table(
        "flag",
        {"community_id": "community", "person_id": "person"},
        *_words("about"),
        sa.Column("reason", sa.Text(), nullable=False),
        *_times("at"),
        sa.UniqueConstraint("about", "person_id", name=op.f("uq_flag_about_person_id")),
    )
    _index("flag", "person_id")


def _words(*names: str) -> list[Column]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _times(*names: str) -> list[Column]:
    """Columns of instants; those with a question mark may be unknown."""
    return [sa.Column(name.rstrip("?"), TIME, nullable=name.endswith("?")) for name in names]


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
