"""Tables of billing runs, invoices, their posting, and reconciliation."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from process_apis.columns import Exact, Instant
from process_apis.metadata import code, metadata

# ---- billing runs, invoices, posting -----------------------------------------------------------

billing_run = Table(
    "billing_run",
    metadata,
    Column("id", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("request", LargeBinary, nullable=False),  # JSON of BillingRunRequest
    Column("requested_by", String, nullable=False),
    code("approved_by"),
    code("released_by"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("preview", LargeBinary),  # JSON, while nothing is claimed yet
    Column("invoices", Integer, nullable=False, server_default="0"),
    Column("lines", Integer, nullable=False, server_default="0"),
    Column("transactions", Integer, nullable=False, server_default="0"),
    code("say"),
    Index("ix_billing_run_created_at", "created_at"),
)

invoice = Table(
    "invoice",
    metadata,
    Column("id", String, primary_key=True),
    Column("external_ref", String, nullable=False),
    Column("group_key", String, nullable=False),
    Column("billing_run", String, ForeignKey("billing_run.id"), nullable=False),
    Column("legal_entity", String, nullable=False),
    Column("erp_instance", String, nullable=False),
    Column("billing_account", String, nullable=False),
    Column("currency", String, nullable=False),
    code("contract"),
    code("po"),
    Column("service_from", Date, nullable=False),
    Column("service_to", Date, nullable=False),
    Column("invoice_date", Date, nullable=False),
    Column("status", String, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("content_hash", String, nullable=False),
    code("erp_id"),
    code("erp_number"),
    Column("tax_minor", BigInteger),
    Column("total_minor", BigInteger),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("posted_at", Instant),
    Column("detail", LargeBinary, nullable=False),  # JSON object
    Column("version", Integer, nullable=False, server_default="1"),
    UniqueConstraint("external_ref"),
    Index("ix_invoice_billing_run", "billing_run", "status"),
    Index("ix_invoice_billing_account", "billing_account"),
    Index("ix_invoice_erp_date", "erp_instance", "invoice_date"),
    Index("ix_invoice_status", "status"),
)

invoice_line = Table(
    "invoice_line",
    metadata,
    Column("invoice_id", String, ForeignKey("invoice.id"), primary_key=True),
    Column("line_no", Integer, primary_key=True),
    Column("description", String, nullable=False),
    Column("quantity", Exact(), nullable=False),
    Column("unit_price", Exact(), nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    code("project"),
    code("item"),
    code("tax_key"),
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
)

invoice_transaction = (
    Table(  # which ledger row stands on which line; live until pulled or cancelled
        "invoice_transaction",
        metadata,
        Column("invoice_id", String, ForeignKey("invoice.id"), primary_key=True),
        Column("transaction_id", String, ForeignKey("ledger.id"), primary_key=True),
        Column("line_no", Integer, nullable=False),
        Column("billed_minor", BigInteger),
        Column("live", Boolean, nullable=False, server_default=text("true")),
    )
)
Index(
    "uq_invoice_transaction_live",  # a ledger row is on at most one live line
    invoice_transaction.c.transaction_id,
    unique=True,
    sqlite_where=text("live"),
    postgresql_where=text("live"),
)

posting_attempt = Table(
    "posting_attempt",
    metadata,
    Column("invoice_id", String, ForeignKey("invoice.id"), primary_key=True),
    Column("attempt_no", Integer, primary_key=True),
    Column("kind", String, nullable=False, server_default="POST"),  # POST, LOOKUP
    Column("request_hash", String, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    code("outcome"),  # empty until known: SUCCESS, REJECTED, AMBIGUOUS, NOT_SENT
    Column("finished_at", Instant),
    Column("http_status", Integer),
    code("erp_code"),
    Column("detail", LargeBinary, nullable=False),  # JSON object: lookups, vendor's words
    Index("ix_posting_attempt_outcome", "outcome"),
)

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("id", String, primary_key=True),
    Column("erp_instance", String, nullable=False),
    Column("start", Date, nullable=False),
    Column("end", Date, nullable=False),
    Column("ran_at", Instant, nullable=False),
    Column("report", LargeBinary, nullable=False),  # JSON of ReconciliationReport
    Index("ix_reconciliation_ran_at", "ran_at"),
)
