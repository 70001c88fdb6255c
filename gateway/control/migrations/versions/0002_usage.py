"""Who to ask about a consumer, when a key was last used, and usage by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger()
    with op.batch_alter_table("consumer") as consumer:
        consumer.add_column(sa.Column("contact", sa.String(), nullable=False, server_default=""))
        consumer.add_column(sa.Column("tenant", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("api_key") as api_key:
        api_key.add_column(sa.Column("last_used_ms", number, nullable=True))
    op.create_table(
        "usage_hour",
        sa.Column("hour_s", number, primary_key=True),
        sa.Column("consumer", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("route", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("requests", number, nullable=False),
        sa.Column("refused", number, nullable=False),
        sa.Column("throttled", number, nullable=False),
        sa.Column("failed", number, nullable=False),
    )
    op.create_index("ix_usage_hour_consumer", "usage_hour", ["consumer", "hour_s"])
    op.create_table(
        "usage_batch",
        sa.Column("worker", sa.String(), primary_key=True),
        sa.Column("sequence", number, nullable=False),
        sa.Column("seen_ms", number, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("usage_batch")
    op.drop_table("usage_hour")
    with op.batch_alter_table("api_key") as api_key:
        api_key.drop_column("last_used_ms")
    with op.batch_alter_table("consumer") as consumer:
        consumer.drop_column("tenant")
        consumer.drop_column("contact")
