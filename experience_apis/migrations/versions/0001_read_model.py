"""The read model's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fact",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "total",
        sa.Column("board", sa.String(), primary_key=True),
        sa.Column("a", sa.String(), primary_key=True),
        sa.Column("b", sa.String(), primary_key=True),
        sa.Column("c", sa.String(), primary_key=True),
        sa.Column("currency", sa.String(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("measure", sa.BigInteger(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_total_board", "total", ["board"])
    op.create_table(
        "progress",
        sa.Column("feed", sa.String(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True)),
        sa.Column("events", sa.Integer(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    for name in ("progress", "total", "fact"):
        op.drop_table(name)
