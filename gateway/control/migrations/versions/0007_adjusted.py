"""Counters an admin reset, and limits raised for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger()
    op.create_table(
        "adjusted",
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), primary_key=True),
        sa.Column("limit_name", sa.String(), primary_key=True),
        sa.Column("generation", number, nullable=False, server_default="0"),
        sa.Column("amount", number, nullable=False, server_default="0"),
        sa.Column("until_s", number, nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_table("adjusted")
