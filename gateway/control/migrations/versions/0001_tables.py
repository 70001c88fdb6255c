"""The control plane's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger()
    op.create_table(
        "plan",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), nullable=False),
        sa.Column("burst", sa.Integer(), nullable=False),
        sa.Column("quota_per_month", number, nullable=False),
    )
    op.create_table(
        "consumer",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("plan", sa.String(), sa.ForeignKey("plan.name"), nullable=False),
        sa.Column("owner", sa.String(), nullable=False, server_default=""),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), nullable=False),
        sa.Column("display", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("pepper", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("label", sa.String(), nullable=False, server_default=""),
        sa.Column("created_ms", number, nullable=False),
        sa.Column("expires_ms", number, nullable=True),
        sa.Column("revoked_ms", number, nullable=True),
        sa.Column("replaces", sa.String(), nullable=True),
    )
    op.create_index("ix_api_key_consumer", "api_key", ["consumer"])
    op.create_table(
        "admin_token",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("created_ms", number, nullable=False),
        sa.Column("revoked_ms", number, nullable=True),
    )
    op.create_table(
        "audit_entry",
        sa.Column(
            "seq", number.with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at_ms", number, nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("after", sa.LargeBinary(), nullable=False),
        # Unique: two writers cannot both follow the same entry, whatever the isolation.
        sa.Column("previous_hash", sa.String(), nullable=False, unique=True),
        sa.Column("hash", sa.String(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "published",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("version", number, nullable=False),
        sa.Column("configuration", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("published", "audit_entry", "admin_token", "api_key", "consumer", "plan"):
        op.drop_table(table)
