"""What may be sent freely to a chat, personal links, digests, and tokens of messengers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
HELD = sa.text("state = 'held'")


def upgrade() -> None:
    # Plain ALTER TABLE: a table of millions of rows is not copied.
    op.add_column("place", sa.Column("free_until", TIME, nullable=True))
    op.add_column("place", sa.Column("free_left", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("place", sa.Column("consents", JSON, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("attempt", sa.Column("rung", sa.String(), nullable=False, server_default=sa.text("''")))
    op.add_column("outgoing", sa.Column("digest_id", BIG, nullable=True))
    op.create_index(op.f("ix_outgoing_digest_id"), "outgoing", ["digest_id"], unique=False)
    op.create_index(
        "ix_outgoing_held",
        "outgoing",
        ["place_id", "id"],
        unique=False,
        sqlite_where=HELD,
        postgresql_where=HELD,
    )
    op.create_table(
        "link",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=True),
        sa.Column("place_id", BIG, nullable=False),
        sa.Column("outgoing_id", BIG, nullable=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        *(
            sa.ForeignKeyConstraint([f"{target}_id"], [f"{target}.id"], name=op.f(f"fk_link_{target}_id"))
            for target in ("community", "place", "outgoing")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
        sa.UniqueConstraint("hash", name=op.f("uq_link_hash")),
    )
    for column in ("place_id", "outgoing_id"):
        op.create_index(op.f(f"ix_link_{column}"), "link", [column], unique=False)
    op.create_table(
        "token",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_token")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
