"""This file exists to show a consumer's limits and what is used, to reset counters and to raise.

Owns   the statements on the table adjusted. Synchronous; called inside a transaction.
Fails  NOT_FOUND, or INVALID naming the field. What is used comes from usage by hour: it is a few
       seconds behind what data planes count, and counts what they let in.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from chassis import clock
from gateway.control import audit, store
from gateway.control.limit_words import said
from gateway.control.rows import invalid
from gateway.control.shapes import LimitView, QuotaRaise, QuotaReset, QuotaView
from gateway.control.tables import adjusted, usage_hour
from gateway.metering.limit import Adjusted, Limit

RAISED_DAYS_MOST = 92


def quota_of(connection: Connection, name: str) -> QuotaView:
    """The limits of a consumer's plan, what was changed of them, what is used of quotas."""
    plan = store.plan_of(connection, store.consumer_of(connection, name).plan)
    changes = {one.limit: one for one in adjusted_of(connection, name)}
    now = clock.now()
    views = []
    for limit in plan.limits:
        change = changes.get(limit.name)
        live = change is not None and change.amount and change.until_s > now.timestamp()
        used = _used(connection, name, limit, now)
        views.append(
            LimitView(
                limit.name, limit.kind, said(limit), limit.amount,
                raised_to=change.amount if live and change else None,
                raised_until=datetime.fromtimestamp(change.until_s, UTC)
                if live and change else None,
                used=used, resets=change.generation if change else 0,
            )
        )  # fmt: skip
    return QuotaView(name, plan.name, tuple(views))


def adjusted_of(connection: Connection, name: str | None = None) -> tuple[Adjusted, ...]:
    """For the snapshot: everybody's, or one consumer's."""
    wanted = select(adjusted).order_by(adjusted.c.consumer, adjusted.c.limit_name)
    if name is not None:
        wanted = wanted.where(adjusted.c.consumer == name)
    return tuple(
        Adjusted(row.consumer, row.limit_name, row.generation, row.amount, row.until_s)
        for row in connection.execute(wanted)
    )


def reset(connection: Connection, name: str, told: QuotaReset, actor: str) -> QuotaView:
    """Forget what was counted, of one limit or of all of the plan."""
    for limit in _chosen(connection, name, told.limit):
        before = _row(connection, name, limit.name)
        _put(connection, name, limit.name, generation=before.generation + 1)
    audit.append(
        connection, actor=actor, action="quota.reset", subject=name, reason=told.reason,
        after={"limit": told.limit or "all"},
    )  # fmt: skip
    return quota_of(connection, name)


def raise_limit(connection: Connection, name: str, told: QuotaRaise, actor: str) -> QuotaView:
    """Another amount for a while; 0 ends it."""
    if not told.limit:
        raise invalid("/limit", "must be named")
    (limit,) = _chosen(connection, name, told.limit)
    now = clock.now()
    if told.amount and told.until is None:
        raise invalid("/until", "must say when it ends")
    if told.until is not None and (told.until.tzinfo is None or told.until <= now):
        raise invalid("/until", "must lie ahead, and name its offset")
    if told.until is not None and told.until > now + timedelta(days=RAISED_DAYS_MOST):
        raise invalid("/until", f"at most {RAISED_DAYS_MOST} days; change the plan for longer")
    before = _row(connection, name, limit.name)
    until_s = int(told.until.timestamp()) if told.until and told.amount else 0
    _put(connection, name, limit.name, amount=told.amount, until_s=until_s)
    audit.append(
        connection, actor=actor, action="quota.raised", subject=name, reason=told.reason,
        before={"limit": limit.name, "amount": before.amount or limit.amount},
        after={"limit": limit.name, "amount": told.amount or limit.amount, "until": told.until},
    )  # fmt: skip
    return quota_of(connection, name)


def _chosen(connection: Connection, name: str, limit: str) -> tuple[Limit, ...]:
    plan = store.plan_of(connection, store.consumer_of(connection, name).plan)
    found = tuple(one for one in plan.limits if limit in ("", one.name))
    if not found:
        raise invalid("/limit", f"the plan {plan.name} has no limit {limit or 'at all'}")
    return found


def _row(connection: Connection, name: str, limit: str) -> Adjusted:
    same = (one for one in adjusted_of(connection, name) if one.limit == limit)
    return next(same, Adjusted(name, limit))


def _put(connection: Connection, name: str, limit: str, **values: int) -> None:
    here = (adjusted.c.consumer == name) & (adjusted.c.limit_name == limit)
    if not connection.execute(update(adjusted).where(here).values(**values)).rowcount:
        connection.execute(insert(adjusted).values(consumer=name, limit_name=limit, **values))


def _used(connection: Connection, name: str, limit: Limit, now: datetime) -> int | None:
    """Of a quota whose period begins with an hour; None for what only data planes know."""
    begin = _began(limit.period, now)
    if limit.kind != "quota" or begin is None:
        return None
    columns = usage_hour.c
    let_in: Any = func.sum(columns.requests - columns.throttled)
    wanted = select(let_in).where(
        columns.consumer == name, columns.hour_s >= int(begin.timestamp())
    )
    return int(connection.execute(wanted).scalar() or 0)


def _began(period: str, now: datetime) -> datetime | None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    begins = {
        "hour": hour,
        "day": day,
        "month": day.replace(day=1),
        "year": day.replace(day=1, month=1),
    }
    return begins.get(period)
