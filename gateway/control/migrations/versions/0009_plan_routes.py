"""Which routes a plan is for: none named is all that its scopes open, as before."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.Column("routes", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("plan", named)


def downgrade() -> None:
    with op.batch_alter_table("plan") as table:
        table.drop_column("routes")
