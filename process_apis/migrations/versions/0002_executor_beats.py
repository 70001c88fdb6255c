"""Replicas of the tier tell each other that they live."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "executor_beat",
        sa.Column("executor", sa.String(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("executor", name=op.f("pk_executor_beat")),
    )


def downgrade() -> None:
    op.drop_table("executor_beat")
