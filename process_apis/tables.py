"""Every table of the process tier, in one place, so that the ledger's laws are the database's.

Figures of a ledger row never change; only status, invoice_id, invoice_line and billed_minor do.
Money: `*_minor` are whole minor units; rates and exact amounts are `Exact` decimals, unrounded.
Source  domain.md B.4, B.5.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from process_apis.columns import Exact, Instant
from process_apis.invoice_tables import (
    billing_run,
    invoice,
    invoice_line,
    invoice_transaction,
    posting_attempt,
    reconciliation,
)
from process_apis.journal_tables import audit_entry, counter, event_log, idempotency
from process_apis.metadata import GROWING, code, metadata

LIVE_ITEM_STATES = ("OPEN", "ASSIGNED", "WAITING", "SNOOZED", "RETRYING")
_LIVE_ITEM = text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')")
# ---- intake and fate of time -------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    Column("seq", GROWING, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("entry_id", String, nullable=False),
    Column("source_version", BigInteger, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # JSON of the TimeEntry; empty once DONE
    Column("received_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # WAITING, DEFERRED (its invoice is being posted), DONE, DEAD
    Column("state", String, nullable=False, server_default="WAITING"),
    UniqueConstraint("source", "event_id"),
    sqlite_autoincrement=True,
)
Index(
    "ix_inbox_deferred",
    inbox.c.entry_id,
    sqlite_where=text("state = 'DEFERRED'"),
    postgresql_where=text("state = 'DEFERRED'"),
)
Index(
    "ix_inbox_waiting",
    inbox.c.seq,
    sqlite_where=text("state = 'WAITING'"),
    postgresql_where=text("state = 'WAITING'"),
)

time_entry = Table(
    "time_entry",
    metadata,
    Column("entry_id", String, primary_key=True),  # <system>:<id>
    Column("source_version", BigInteger, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("billing_state", String, nullable=False),
    code("contract"),
    code("project"),
    code("resource"),
    Column("work_date", Date),
    Column("minutes", Integer, nullable=False),
    Column("amount_minor", BigInteger),
    code("currency"),
    Column("received_at", Instant, nullable=False),
    Column("evaluated_at", Instant),
    Column("snapshot_version", BigInteger, nullable=False, server_default="0"),
    # Someone asked for another evaluation: a mended cause, a waiver, an earlier entry of the day.
    Column("redrive", Boolean, nullable=False, server_default=text("false")),
    Index("ix_time_entry_resource_work_date", "resource", "work_date"),
    # Covers the sum of a person's hours on a project, which every turn asks for.
    Index("ix_time_entry_project", "project", "resource", "billing_state", "minutes"),
)
Index(
    "ix_time_entry_redrive",
    time_entry.c.entry_id,
    sqlite_where=text("redrive"),
    postgresql_where=text("redrive"),
)

entry_version = Table(  # what a newer version replaced; the newest lives in time_entry
    "entry_version",
    metadata,
    Column("entry_id", String, primary_key=True),
    Column("source_version", BigInteger, primary_key=True),
    Column("content_hash", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("replaced_at", Instant, nullable=False),
)

# ---- master-data replica -----------------------------------------------------------------------

master_record = Table(
    "master_record",
    metadata,
    Column("entity", String, primary_key=True),
    Column("key", String, primary_key=True),  # <system>:<id>; of an alias <of>:<system>:<id>
    code("code"),
    Column("source_version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("change_no", BigInteger, nullable=False),  # the replica's own clock
    Index("ix_master_record_change_no", "change_no"),
    Index("ix_master_record_code", "code"),
)

cross_reference = Table(
    "cross_reference",
    metadata,
    Column("id", String, primary_key=True),
    Column("entity", String, nullable=False),
    Column("system", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("code", String, nullable=False),
    Column("match", String, nullable=False),
    code("matched_by"),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    Column("change_no", BigInteger, nullable=False),
    Index("ix_cross_reference_change_no", "change_no"),
    Index("ix_cross_reference_code", "entity", "code", "system"),
)
# A foreign id stands for one record; in an ERP map many of our codes may share one foreign id.
_LIVE_ID = text("valid_to IS NULL AND entity NOT IN ('item', 'tax_code', 'gl_dimension')")
_LIVE_MAP = text("valid_to IS NULL AND entity IN ('item', 'tax_code', 'gl_dimension')")
Index(
    "uq_cross_reference_live_id",
    cross_reference.c.entity,
    cross_reference.c.system,
    cross_reference.c.external_id,
    unique=True,
    sqlite_where=_LIVE_ID,
    postgresql_where=_LIVE_ID,
)
Index(
    "uq_cross_reference_live_map",
    cross_reference.c.entity,
    cross_reference.c.system,
    cross_reference.c.code,
    unique=True,
    sqlite_where=_LIVE_MAP,
    postgresql_where=_LIVE_MAP,
)

sync_cursor = Table(
    "sync_cursor",
    metadata,
    Column("system", String, primary_key=True),
    Column("port", String, primary_key=True),
    Column("stream", String, primary_key=True),
    code("cursor"),
    Column("state", String, nullable=False, server_default="IDLE"),
    Column("records", BigInteger, nullable=False, server_default="0"),
    Column("last_polled_at", Instant),
    code("say"),
    code("held_by"),  # the process that polls it, and until when if it says no more
    Column("held_until", Instant),
)

# ---- the ledger --------------------------------------------------------------------------------

ledger = Table(
    "ledger",
    metadata,
    Column("id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("source_id", String, nullable=False),
    Column("source_version", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    code("project"),
    code("task"),
    code("contract"),
    Column("contract_line", Integer, nullable=False, server_default="0"),
    code("resource"),
    code("role"),
    code("legal_entity"),
    code("employer"),
    code("billing_account"),
    Column("work_date", Date, nullable=False),
    Column("op_minutes", Integer, nullable=False),
    Column("bill_minutes", Integer, nullable=False),
    Column("rate", Exact(), nullable=False),
    Column("multiplier", Exact(), nullable=False),
    Column("currency", String, nullable=False),
    Column("amount_exact", Exact(), nullable=False),
    Column("chargeable", String, nullable=False),
    Column("status", String, nullable=False),
    code("hold_reason"),
    code("po"),
    code("item"),
    code("tax_key"),
    Column("cause", String, nullable=False),
    code("cause_ref"),
    Column("rate_trace", LargeBinary),  # JSON of RateTrace
    Column("created_at", Instant, nullable=False),
    code("reverses"),
    code("invoice_id"),
    Column("invoice_line", Integer, nullable=False, server_default="0"),
    Column("billed_minor", BigInteger),
    UniqueConstraint("source_id", "source_version", "type", "seq", "cause_ref"),
)
Index(
    "uq_ledger_reverses",  # a row is reversed at most once
    ledger.c.reverses,
    unique=True,
    sqlite_where=text("reverses <> ''"),
    postgresql_where=text("reverses <> ''"),
)
Index(
    "ix_ledger_sales",  # billing runs and re-rating walk this
    ledger.c.status,
    ledger.c.contract,
    ledger.c.work_date,
    sqlite_where=text("type = 'UNBILLED_SALES'"),
    postgresql_where=text("type = 'UNBILLED_SALES'"),
)
Index(
    "ix_ledger_invoice",
    ledger.c.invoice_id,
    sqlite_where=text("invoice_id <> ''"),
    postgresql_where=text("invoice_id <> ''"),
)

# ---- the exception queue -----------------------------------------------------------------------

work_item = Table(
    "work_item",
    metadata,
    Column("id", String, primary_key=True),
    Column("code", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("state", String, nullable=False),
    code("stage"),
    Column("subject_type", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("subject_version", BigInteger, nullable=False),
    Column("group_key", String, nullable=False),
    Column("root", String, nullable=False),
    code("hint"),
    Column("context", LargeBinary, nullable=False),  # JSON object
    Column("unblock_keys", LargeBinary, nullable=False),  # JSON array; unblock_key is the index
    Column("at_risk_minor", BigInteger),
    code("at_risk_currency"),
    code("assignee"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    code("resolution"),
    code("reason"),
    code("resolved_by"),
    Column("waived_until", Date),
    Index("ix_work_item_group_key", "group_key"),
    Index("ix_work_item_subject", "subject_id", "subject_version"),
)
Index(
    "uq_work_item_live",
    work_item.c.subject_id,
    work_item.c.subject_version,
    work_item.c.code,
    work_item.c.subject_type,
    unique=True,
    sqlite_where=_LIVE_ITEM,
    postgresql_where=_LIVE_ITEM,
)
Index(
    "ix_work_item_owner_live",
    work_item.c.owner,
    work_item.c.opened_at,
    sqlite_where=_LIVE_ITEM,
    postgresql_where=_LIVE_ITEM,
)

unblock_key = Table(
    "unblock_key",
    metadata,
    Column("key", String, primary_key=True),
    Column("work_item_id", String, primary_key=True),
    Index("ix_unblock_key_work_item_id", "work_item_id"),
    sqlite_with_rowid=False,
)

# Of each replica of the tier: a number that grows while it lives.
executor_beat = Table(
    "executor_beat",
    metadata,
    Column("executor", String, primary_key=True),
    Column("beat", BigInteger, nullable=False),
)


__all__ = [
    "LIVE_ITEM_STATES",
    "audit_entry",
    "billing_run",
    "counter",
    "cross_reference",
    "entry_version",
    "event_log",
    "executor_beat",
    "idempotency",
    "inbox",
    "invoice",
    "invoice_line",
    "invoice_transaction",
    "ledger",
    "master_record",
    "metadata",
    "posting_attempt",
    "reconciliation",
    "sync_cursor",
    "time_entry",
    "unblock_key",
    "work_item",
]
