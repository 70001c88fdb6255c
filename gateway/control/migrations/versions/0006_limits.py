"""A plan holds a list of limits instead of one rate and one monthly quota."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("plan", sa.Column("limits", sa.JSON(), nullable=False, server_default="[]"))
    plan = sa.table(
        "plan",
        sa.column("name", sa.String),
        sa.column("rate_per_s", sa.Float),
        sa.column("burst", sa.Integer),
        sa.column("quota_per_month", sa.BigInteger),
        sa.column("limits", sa.JSON),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(plan)).all():
        limits = _limits(row.rate_per_s, row.burst, row.quota_per_month)
        connection.execute(sa.update(plan).where(plan.c.name == row.name).values(limits=limits))
    for column in ("rate_per_s", "burst", "quota_per_month"):
        op.drop_column("plan", column)
    _routes(connection)


def _routes(connection: sa.Connection) -> None:
    """Routes from files named two policies that are one now."""
    applied = sa.table(
        "applied",
        sa.column("kind", sa.String),
        sa.column("name", sa.String),
        sa.column("definition", sa.JSON),
    )
    for row in connection.execute(sa.select(applied).where(applied.c.kind == "route")).all():
        policies = dict(row.definition.get("policies", {}))
        if not {"rate_limit", "quota"} & policies.keys():
            continue
        policies.pop("quota", None)
        rate = policies.pop("rate_limit", {})
        limits = _limits(rate.get("rate_per_s", 0.0), rate.get("burst", 100), 0)
        policies["meter"] = {"limits": limits} if limits else {}
        at = (applied.c.kind == "route") & (applied.c.name == row.name)
        definition = {**row.definition, "policies": policies}
        connection.execute(sa.update(applied).where(at).values(definition=definition))


def downgrade() -> None:
    op.add_column("plan", sa.Column("rate_per_s", sa.Float(), nullable=False, server_default="0"))
    op.add_column("plan", sa.Column("burst", sa.Integer(), nullable=False, server_default="0"))
    quota = sa.Column("quota_per_month", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("plan", quota)
    op.drop_column("plan", "limits")


def _limits(rate_per_s: float, burst: int, quota_per_month: int) -> list[dict[str, object]]:
    limits: list[dict[str, object]] = []
    if rate_per_s:
        # The shortest whole window in which the rate is a whole number, at worst nearly.
        windows = (1, 2, 5, 10, 60, 600, 3600, 86_400)
        exact = (w for w in windows if (rate_per_s * w).is_integer())
        window_s = next(exact, 3600 if rate_per_s * 3600 >= 1 else 86_400)
        rate: dict[str, object] = {
            "name": "rate", "kind": "rate", "amount": max(1, round(rate_per_s * window_s)),
            "burst": burst or 1,
        }  # fmt: skip
        limits.append(rate | ({"window_s": window_s} if window_s != 1 else {}))
    if quota_per_month:
        limits.append(
            {"name": "month", "kind": "quota", "amount": quota_per_month, "period": "month"}
        )
    return limits
