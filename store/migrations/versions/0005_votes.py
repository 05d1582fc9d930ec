"""Votes: their frozen rosters, who has which number in them, and their logs, which only grow"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
# What tells a row from all others of its table, besides its id.
KEYS = {"roster_entry": ("vote_id", "position"), "ballot": ("vote_id", "n")}


def only_grows(dialect: str, table: str, key: tuple[str, ...]) -> tuple[str, ...]:
    """What lets the database refuse to change, delete or overwrite rows, whatever a later program believes."""
    words = f"{table} only grows"
    if dialect == "postgresql":
        return (
            f"CREATE FUNCTION {table}_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN RAISE EXCEPTION '{words}'; END $$",
            f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" EXECUTE FUNCTION {table}_only_grows()",
        )
    same = " AND ".join(f"{name} = NEW.{name}" for name in key)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE deletes without asking the trigger above.
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"  # noqa: S608
        f" WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id OR ({same})) {refuse}",
    )


def upgrade() -> None:
    op.create_table(
        "vote",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("policy_hash", sa.String(), nullable=False),
        sa.Column("roster", JSON, nullable=False),
        sa.Column("roster_hash", sa.String(), nullable=False),
        sa.Column("record_date", sa.Date(), nullable=False),
        sa.Column("opens_at", TIME, nullable=False),
        sa.Column("deadline", TIME, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("result", JSON, nullable=False),
        sa.Column("readme", sa.Text(), nullable=False),
        *_keys("vote", "community"),
        sa.UniqueConstraint("community_id", "number", name=op.f("uq_vote_community_id_number")),
    )
    op.create_index("ix_vote_state", "vote", ["community_id", "state"], unique=False)
    op.create_table(
        "roster_entry",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("vote_id", BIG, nullable=False),
        sa.Column("home_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("unit", JSON, nullable=False),
        *_keys("roster_entry", "community", "vote", "home"),
        sa.UniqueConstraint("vote_id", "position", name=op.f("uq_roster_entry_vote_id_position")),
    )
    op.create_table(
        "voter",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("vote_id", BIG, nullable=False),
        sa.Column("person_id", BIG, nullable=True),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("homes", JSON, nullable=False),
        sa.Column("delivered_at", TIME, nullable=True),
        *_keys("voter", "community", "vote", "person"),
        sa.UniqueConstraint("vote_id", "number", name=op.f("uq_voter_vote_id_number")),
        sa.UniqueConstraint("vote_id", "person_id", name=op.f("uq_voter_vote_id_person_id")),
    )
    op.create_index(op.f("ix_voter_person_id"), "voter", ["person_id"], unique=False)
    op.create_table(
        "ballot",
        sa.Column("id", BIG, nullable=False),
        sa.Column("community_id", BIG, nullable=False),
        sa.Column("vote_id", BIG, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("voter_id", BIG, nullable=True),
        sa.Column("principal_id", BIG, nullable=True),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("opened", sa.Text(), nullable=False),
        *_keys("ballot", "community", "vote"),
        *(
            sa.ForeignKeyConstraint([name], ["voter.id"], name=op.f(f"fk_ballot_{name}"))
            for name in ("voter_id", "principal_id")
        ),
        sa.UniqueConstraint("vote_id", "n", name=op.f("uq_ballot_vote_id_n")),
    )
    op.create_index("ix_ballot_voter", "ballot", ["voter_id", "kind"], unique=False)
    op.create_index("ix_ballot_principal", "ballot", ["principal_id"], unique=False)
    for table, key in KEYS.items():
        for statement in only_grows(op.get_bind().dialect.name, table, key):
            op.execute(statement)


def _keys(table: str, *targets: str) -> list[sa.Constraint]:
    """The primary key, and what refers to other tables."""
    return [
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        *(
            sa.ForeignKeyConstraint([f"{target}_id"], [f"{target}.id"], name=op.f(f"fk_{table}_{target}_id"))
            for target in targets
        ),
    ]


def downgrade() -> None:
    raise NotImplementedError("restore the backup that the upgrade made")
