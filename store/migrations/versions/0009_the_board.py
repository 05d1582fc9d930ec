"""The board: one line a matter, complaints and their answers, announcements, what each reader wants, monthly figures"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
Column = sa.Column[Any]
ADDED = {
    "notice": ("wish", sa.String()),
    "outgoing": ("digest", sa.String()),
    "media": ("name", sa.Text()),
    "link": ("leads", sa.String()),
}


def upgrade() -> None:
    for table, (name, kind) in ADDED.items():
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text("''")))
    for table in ("join_request", "letter"):
        op.add_column(table, sa.Column("due_at", TIME, nullable=True))
    op.create_index("ix_inbox_received", "inbox", ["community_id", "received_at"])
    op.create_index("ix_letter_due", "letter", ["community_id", "due_at"])
    held = sa.text("state = 'held'")
    op.create_index(
        "ix_outgoing_digest",
        "outgoing",
        ["community_id", "digest", "place_id"],
        sqlite_where=held,
        postgresql_where=held,
    )
    _table(
        "entry",
        {"community_id": "community"},
        *_words("about", "kind", "building"),
        *_numbers("number"),
        *_flags("wide", "open"),
        *_texts("title"),
        sa.Column("state", JSON, nullable=False),
        *_times("due_at?", "at", "changed_at"),
        _unique("entry", "about"),
    )
    op.create_index("ix_entry_list", "entry", ["community_id", "wide", "kind", "open", "at", "id"])
    op.create_index("ix_entry_building", "entry", ["community_id", "building", "kind", "open", "at", "id"])
    op.create_index("ix_entry_due", "entry", ["community_id", "wide", "open", "due_at", "id"])
    op.create_index("ix_entry_changed", "entry", ["community_id", "wide", "changed_at", "id"])
    _table(
        "complaint",
        {"community_id": "community", "person_id": "person"},
        *_numbers("number", "round"),
        *_words("kind", "topic", "building", "state"),
        sa.Column("helped", sa.Boolean(), nullable=True),
        *_times("created_at", "due_at?", "overdue_at?", "answered_at?", "closed_at?"),
        _unique("complaint", "community_id", "number"),
    )
    _index("complaint", "person_id")
    op.create_index("ix_complaint_state", "complaint", ["community_id", "state", "id"])
    _table(
        "statement",
        {
            "community_id": "community",
            "complaint_id": "complaint",
            "person_id?": "person",
            "place_id?": "place",
        },
        *_numbers("round", "version"),
        *_words("side", "message_id"),
        *_texts("text", "shown"),
        sa.Column("why", JSON, nullable=False),
        *_times("at"),
        _unique("statement", "complaint_id", "round", "side", "version"),
    )
    _index("statement", "person_id")
    op.create_index("ix_statement_message", "statement", ["place_id", "message_id"])
    _table(
        "joiner",
        {"community_id": "community", "complaint_id": "complaint", "person_id": "person"},
        *_times("at"),
        _unique("joiner", "complaint_id", "person_id"),
    )
    _index("joiner", "person_id")
    _table(
        "announcement",
        {"community_id": "community", "person_id": "person"},
        *_numbers("number", "version"),
        *_words("topic", "state"),
        sa.Column("audience", JSON, nullable=False),
        *_flags("urgent", "receipt"),
        *_times("send_at", "sent_at?", "created_at"),
        _unique("announcement", "community_id", "number"),
    )
    _index("announcement", "person_id")
    op.create_index("ix_announcement_state", "announcement", ["community_id", "state", "id"])
    _table(
        "edition",
        {"community_id": "community", "announcement_id": "announcement"},
        *_numbers("version"),
        *_texts("title", "text"),
        sa.Column("pseudonym", BIG, nullable=False),
        *_times("at"),
        _unique("edition", "announcement_id", "version"),
    )
    _table(
        "reading",
        {"community_id": "community", "announcement_id": "announcement", "person_id": "person"},
        *_numbers("version"),
        *_times("at"),
        _unique("reading", "announcement_id", "person_id"),
    )
    _index("reading", "person_id")
    _table(
        "preference",
        {"community_id": "community", "person_id": "person"},
        *_words("kind", "how"),
        *_times("until?"),
        _unique("preference", "person_id", "kind"),
    )
    _table(
        "report",
        {"community_id": "community", "picture_id?": "media", "sheet_id?": "media"},
        *_words("month"),
        sa.Column("facts", JSON, nullable=False),
        *_times("at"),
        _unique("report", "community_id", "month"),
    )


def _words(*names: str) -> list[Column]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _texts(*names: str) -> list[Column]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _numbers(*names: str) -> list[Column]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _flags(*names: str) -> list[Column]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names]


def _times(*names: str) -> list[Column]:
    """Columns of instants; those with a question mark may be unknown."""
    return [sa.Column(name.rstrip("?"), TIME, nullable=name.endswith("?")) for name in names]


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


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
