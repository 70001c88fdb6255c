"""From which sites' pages a plan may be used: none named is any that a route allows, as before."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.Column("origins", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("plan", named)


def downgrade() -> None:
    with op.batch_alter_table("plan") as table:
        table.drop_column("origins")
