"""A consumer subscribes to further plans beside its own, and a key may be for one of them.

Nobody's rights change: what names no plan is for consumer.plan, as all was before. What was used
and what an admin adjusted belongs to the plan the consumer is on now.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NUMBERS = "requests, refused, throttled, failed"
_USED = f"hour_s, consumer, key, route, version, {_NUMBERS}"
_CHANGED = "consumer, limit_name, generation, amount, until_s"
_THEIRS = "coalesce((SELECT plan FROM consumer WHERE name = {0}.consumer), '')"


def upgrade() -> None:
    op.create_table(
        "subscription",
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), primary_key=True),
        sa.Column("plan", sa.String(), sa.ForeignKey("plan.name"), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
    )
    for table in ("api_key", "oauth_client", "trusted_issuer"):
        op.add_column(table, sa.Column("plan", sa.String(), nullable=False, server_default=""))
    plan = sa.Column("plan", sa.String(), primary_key=True)
    _usage(plan, f"INSERT INTO usage_hour_now ({_USED}, plan) "
                 f"SELECT {_USED}, {_THEIRS.format('usage_hour')} FROM usage_hour")  # fmt: skip
    since = [
        sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        for name in ("reset_s", "forgiven")
    ]
    plan = sa.Column("plan", sa.String(), primary_key=True)
    _adjusted([plan, *since], f"INSERT INTO adjusted_now ({_CHANGED}, plan) "
              f"SELECT {_CHANGED}, {_THEIRS.format('adjusted')} FROM adjusted")  # fmt: skip


def downgrade() -> None:
    """Further subscriptions are lost, and what was used and adjusted of them."""
    sums = ", ".join(f"sum({name})" for name in _NUMBERS.split(", "))
    at = "hour_s, consumer, key, route, version"
    _usage(None, f"INSERT INTO usage_hour_now ({_USED}) "
                 f"SELECT {at}, {sums} FROM usage_hour GROUP BY {at}")  # fmt: skip
    _adjusted([], f"INSERT INTO adjusted_now ({_CHANGED}) SELECT {_CHANGED} FROM adjusted "
                  f"WHERE plan = {_THEIRS.format('adjusted')}")  # fmt: skip
    for table in ("api_key", "oauth_client", "trusted_issuer"):
        with op.batch_alter_table(table) as altered:
            altered.drop_column("plan")
    op.drop_table("subscription")


def _usage(plan: sa.Column[Any] | None, fill: str) -> None:
    number = sa.BigInteger()
    hour = sa.Column("hour_s", number, primary_key=True)
    who = ("consumer", "key", "route", "version")
    key = [sa.Column(name, sa.String(), primary_key=True) for name in who]
    numbers = [sa.Column(name, number, nullable=False) for name in _NUMBERS.split(", ")]
    op.create_table("usage_hour_now", hour, *key, *([] if plan is None else [plan]), *numbers)
    _instead("usage_hour", fill)
    op.create_index("ix_usage_hour_consumer", "usage_hour", ["consumer", "hour_s"])


def _adjusted(more: list[sa.Column[Any]], fill: str) -> None:
    number = sa.BigInteger()
    op.create_table(
        "adjusted_now",
        sa.Column("consumer", sa.String(), sa.ForeignKey("consumer.name"), primary_key=True),
        sa.Column("limit_name", sa.String(), primary_key=True),
        sa.Column("generation", number, nullable=False, server_default="0"),
        sa.Column("amount", number, nullable=False, server_default="0"),
        sa.Column("until_s", number, nullable=False, server_default="0"),
        *more,
    )
    _instead("adjusted", fill)


def _instead(table: str, fill: str) -> None:
    """A primary key cannot be altered on SQLite: the table is made anew and takes the name."""
    op.execute(fill)
    op.drop_table(table)
    op.rename_table(f"{table}_now", table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX {table}_now_pkey RENAME TO {table}_pkey")
