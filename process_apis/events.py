"""Append facts to the event log in the transaction that made them true, and wake who waits.

Positions must become visible in their order, or a reader that saw 8 would never see 7: on
PostgreSQL every appender takes one lock, late in its transaction; SQLite has one writer anyway.
Source  CloudEvents 1.0; domain.md B.0, J.3.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, func, or_, select, text

from contracts.events import CloudEvent
from process_apis import bulk
from process_apis.tables import event_log

_LOG_LOCK = 0x6669726D  # any number that nobody else locks
_COLUMNS = (
    "id", "source", "type", "subject", "partitionkey", "time", "payload", "traceparent",
    "correlationid", "causationid",
)  # fmt: skip
_waiting: set[asyncio.Future[None]] = set()
_generation = 0


class Fact(Struct, frozen=True):
    """One event to be. id: unique per source, e.g. `invoice:<id>:3`. payload: JSON of the data."""

    id: str
    type: str
    subject: str
    time: datetime
    payload: bytes
    partitionkey: str = ""
    traceparent: str = ""
    correlationid: str = ""
    causationid: str = ""


def fact(
    id: str, type: str, subject: str, time: datetime, data: Any, *, partitionkey: str = ""
) -> Fact:
    """A fact of a full record. type: `invoice.posted`, its prefix and version are added."""
    return Fact(
        id, f"firmwire.{type}.v1", subject, time, msgspec.json.encode(data), partitionkey or subject
    )


def append(connection: Connection, source: str, facts: Sequence[Fact]) -> None:
    """Write facts. source: `/<tenant>/process`. Call it last in the transaction, before counters.

    Call `wake` once the transaction is committed.
    """
    if not facts:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOG_LOCK})
    instant = bulk.form(connection).instant
    rows = [
        (f.id, source, f.type, f.subject, f.partitionkey, instant(f.time), f.payload,
         f.traceparent, f.correlationid, f.causationid)
        for f in facts
    ]  # fmt: skip
    bulk.insert(connection, event_log, _COLUMNS, rows)


def after(
    connection: Connection, position: int, limit: int, prefixes: Sequence[str] = ()
) -> tuple[list[CloudEvent], int]:
    """Events behind a position, oldest first, and the position to read on from."""
    seen = head(connection)  # before reading: what is behind it is read the next time
    query = select(event_log).where(event_log.c.position > position)
    if prefixes:
        query = query.where(
            or_(*(event_log.c.type.startswith(prefix, autoescape=True) for prefix in prefixes))
        )
    rows = connection.execute(query.order_by(event_log.c.position).limit(limit)).all()
    found = [event_of(row) for row in rows]
    last = int(rows[-1].position) if rows else position
    return found, last if len(rows) == limit else max(last, seen, position)


def head(connection: Connection) -> int:
    """The last position, 0 for an empty log."""
    return connection.execute(select(func.max(event_log.c.position))).scalar() or 0


def event_of(row: Row[Any]) -> CloudEvent:
    """A row of the log as it goes out."""
    return CloudEvent(
        id=row.id,
        source=row.source,
        type=row.type,
        subject=row.subject,
        time=row.time,
        data=msgspec.Raw(row.payload),
        partitionkey=row.partitionkey,
        traceparent=row.traceparent,
        correlationid=row.correlationid,
        causationid=row.causationid,
        position=row.position,
    )


def generation() -> int:
    """Grows with every `wake`; take it before looking into the log, then hand it to `growth`."""
    return _generation


def wake() -> None:
    """Tell the readers of this process that the log has grown. Only from the event loop."""
    global _generation
    _generation += 1
    for waiter in list(_waiting):
        if not waiter.done():
            waiter.set_result(None)


async def growth(seen: int, wait_s: float) -> bool:
    """True when woken since `seen`, within wait_s. Other processes' events: look again."""
    if seen != _generation:
        return True
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    _waiting.add(waiter)
    try:
        await asyncio.wait_for(waiter, wait_s)
        return True
    except TimeoutError:
        return False
    finally:
        _waiting.discard(waiter)
