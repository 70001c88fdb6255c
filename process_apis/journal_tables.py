"""Tables of what happened: events, audit, remembered replies, counters."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from process_apis.columns import Instant
from process_apis.metadata import GROWING, code, metadata

# ---- what happened -----------------------------------------------------------------------------

event_log = Table(
    "event_log",
    metadata,
    Column("position", GROWING, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("source", String, nullable=False),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    code("partitionkey"),
    Column("time", Instant, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # JSON of the event's data
    code("traceparent"),
    code("correlationid"),
    code("causationid"),
    UniqueConstraint("id", "source"),
    sqlite_autoincrement=True,
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("seq", GROWING, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    code("reason"),
    Column("detail", LargeBinary, nullable=False),  # JSON object: before and after
    Column("prev_hash", String, nullable=False),
    Column("hash", String, nullable=False),
    UniqueConstraint("prev_hash"),  # a chain has one link after each
    Index("ix_audit_entry_subject", "subject"),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request_hash", String, nullable=False),
    Column("status", Integer),  # empty while the first request is still at work
    Column("reply", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("ix_idempotency_expires_at", "expires_at"),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
