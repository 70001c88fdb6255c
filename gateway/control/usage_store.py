"""This file exists to keep what was used by hour, and to answer who used what and when.

Owns   the statements on usage_hour and usage_batch, and api_key.last_used_ms. Synchronous; called
       inside a transaction.
Fails  never by itself; a batch that comes again changes nothing.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, cast, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chassis import clock
from gateway.control.rows import instant, maybe, ms
from gateway.control.shapes import ConsumerUse, UsageHour, VersionUse
from gateway.control.tables import api_key, usage_batch, usage_hour
from gateway.usage import UsageBatch

KEPT_DAYS = 400
_WORKER_KEPT_MS = 7 * 86_400_000
_LAST_USED_STEP_MS = 60_000
_NUMBERS = ("requests", "refused", "throttled", "failed")


def take(connection: Connection, batch: UsageBatch) -> bool:
    """Add a worker's batch; False when it was here before."""
    now_ms = ms(clock.now())
    insert = _insert(connection)
    mark = insert(usage_batch).values(worker=batch.worker, sequence=batch.sequence, seen_ms=now_ms)
    marked = connection.execute(
        mark.on_conflict_do_update(
            index_elements=["worker"],
            set_={"sequence": batch.sequence, "seen_ms": now_ms},
            where=usage_batch.c.sequence < batch.sequence,
        )
    )
    if not marked.rowcount:
        return False
    rows = [
        {
            "hour_s": row.hour_s, "consumer": row.consumer, "key": row.key, "route": row.route,
            "version": row.version, "plan": row.plan,
            **{name: getattr(row, name) for name in _NUMBERS},
        }
        for row in batch.rows
    ]  # fmt: skip
    if rows:
        add: Any = insert(usage_hour)
        more = {name: usage_hour.c[name] + add.excluded[name] for name in _NUMBERS}
        where = ["hour_s", "consumer", "key", "route", "version", "plan"]
        connection.execute(add.on_conflict_do_update(index_elements=where, set_=more), rows)
    _last_used(connection, batch)
    return True


def told_at(connection: Connection) -> datetime | None:
    """When a data plane last told what was used; it does when something was."""
    last_ms = connection.execute(select(func.max(usage_batch.c.seen_ms))).scalar()
    return maybe(last_ms)


def by_hour(
    connection: Connection,
    since: datetime,
    until: datetime,
    *,
    consumer: str | None = None,
    key: str | None = None,
    route: str | None = None,
    version: str | None = None,
) -> tuple[UsageHour, ...]:
    """Hours in which something was asked, in order."""
    columns = usage_hour.c
    wanted = _sums(select(columns.hour_s), since, until).group_by(columns.hour_s)
    for column, value in (
        (columns.consumer, consumer), (columns.key, key), (columns.route, route),
        (columns.version, version),
    ):  # fmt: skip
        if value is not None:
            wanted = wanted.where(column == value)
    rows = connection.execute(wanted.order_by(columns.hour_s))
    return tuple(
        UsageHour(instant(row.hour_s * 1000), row.requests, row.refused, row.throttled, row.failed)
        for row in rows
    )


def by_consumer(
    connection: Connection, since: datetime, until: datetime, limit: int
) -> tuple[ConsumerUse, ...]:
    """Who asked most; "" is strangers, whom nobody could tell."""
    columns = usage_hour.c
    wanted = _sums(select(columns.consumer), since, until).group_by(columns.consumer)
    wanted = wanted.order_by(func.sum(columns.requests).desc(), columns.consumer).limit(limit)
    return tuple(
        ConsumerUse(row.consumer, row.requests, row.refused, row.throttled, row.failed)
        for row in connection.execute(wanted)
    )


def by_version(
    connection: Connection, since: datetime, until: datetime, consumer: str | None = None
) -> tuple[VersionUse, ...]:
    """Who still calls which version, oldest version first."""
    columns = usage_hour.c
    last = func.max(columns.hour_s).label("last_s")
    wanted = _sums(select(columns.version, columns.consumer, last), since, until)
    wanted = wanted.where(columns.consumer != "", columns.version != "")
    if consumer is not None:
        wanted = wanted.where(columns.consumer == consumer)
    wanted = wanted.group_by(columns.version, columns.consumer)
    wanted = wanted.order_by(columns.version, func.sum(columns.requests).desc())
    return tuple(
        VersionUse(row.version, row.consumer, row.requests, instant(row.last_s * 1000))
        for row in connection.execute(wanted)
    )


def forget(connection: Connection) -> None:
    """What is too old to be asked for."""
    now_s = int(clock.now().timestamp())
    kept_s = now_s - KEPT_DAYS * 86_400
    connection.execute(delete(usage_hour).where(usage_hour.c.hour_s < kept_s))
    old_ms = now_s * 1000 - _WORKER_KEPT_MS
    connection.execute(delete(usage_batch).where(usage_batch.c.seen_ms < old_ms))


def _sums(wanted: Select[Any], since: datetime, until: datetime) -> Select[Any]:
    columns = usage_hour.c
    for name in _NUMBERS:
        # PostgreSQL's sum of bigint is a decimal, which would go out as text.
        whole = cast(func.sum(columns[name]), BigInteger)
        wanted = wanted.add_columns(whole.label(name))
    return wanted.where(
        columns.hour_s >= int(since.timestamp()), columns.hour_s < int(until.timestamp())
    )


def _last_used(connection: Connection, batch: UsageBatch) -> None:
    """At most once a minute a key, so that a busy key does not write all the time."""
    last_s: dict[str, int] = {}
    for row in batch.rows:
        if row.key and row.requests > row.throttled:
            last_s[row.key] = max(last_s.get(row.key, 0), row.last_s)
    for key, at_s in last_s.items():
        at_ms, columns = at_s * 1000, api_key.c
        stale = or_(
            columns.last_used_ms.is_(None), columns.last_used_ms <= at_ms - _LAST_USED_STEP_MS
        )
        connection.execute(
            update(api_key).where(columns.id == key, stale).values(last_used_ms=at_ms)
        )


def _insert(connection: Connection) -> Any:
    """INSERT ... ON CONFLICT, in the database's own words."""
    lite = connection.dialect.name == "sqlite"
    return sqlite.insert if lite else postgresql.insert
