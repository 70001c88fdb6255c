"""How versions end, and which version a key or a plan speaks.

Keys that are there were made when there was only the first version: they keep it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger()
    op.create_table(
        "version_life",
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("deprecated_ms", number, nullable=True),
        sa.Column("sunset_ms", number, nullable=True),
        sa.Column("link", sa.String(), nullable=False, server_default=""),
        sa.Column("brownouts", sa.JSON(), nullable=False),
    )
    empty = sa.Column("version_default", sa.String(), nullable=False, server_default="")
    op.add_column("plan", empty)
    pin = sa.Column("version_pin", sa.String(), nullable=False, server_default="")
    op.add_column("api_key", pin)
    op.execute("UPDATE api_key SET version_pin = '2026-11-01'")


def downgrade() -> None:
    with op.batch_alter_table("api_key") as table:
        table.drop_column("version_pin")
    with op.batch_alter_table("plan") as table:
        table.drop_column("version_default")
    op.drop_table("version_life")
