"""Groups that are claimed, with topics; one-time codes; messages in several parts; texts in several messages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    # Plain ALTER TABLE: a table of millions of rows is not copied.
    op.add_column("place", sa.Column("forum", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("place", sa.Column("topics", JSON, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("outgoing", sa.Column("thread", sa.String(), nullable=False, server_default=sa.text("''")))
    op.add_column("outgoing", sa.Column("parts", JSON, nullable=False, server_default=sa.text("'[]'")))
    op.add_column("repair", sa.Column("added", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.create_index("ix_outgoing_message", "outgoing", ["place_id", "message_id"], unique=False)
    op.create_table(
        "code",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("person_id", BIG, nullable=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name=op.f("fk_code_community_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_code_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code")),
        sa.UniqueConstraint("hash", name=op.f("uq_code_hash")),
    )
    op.create_index(op.f("ix_code_community_id"), "code", ["community_id"], unique=False)
    op.create_table(
        "rest",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("person_id", BIG, nullable=True),
        sa.Column("place_id", BIG, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["community_id"], ["community.id"], name=op.f("fk_rest_community_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_rest_person_id")),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_rest_place_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rest")),
    )


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
