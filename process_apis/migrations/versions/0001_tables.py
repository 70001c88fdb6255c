"""The process tier's first tables."""

import sqlalchemy as sa
from alembic import op

from process_apis.columns import Exact, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("prev_hash", name=op.f("uq_audit_entry_prev_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"], unique=False)

    op.create_table(
        "billing_run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("approved_by", sa.String(), server_default="", nullable=False),
        sa.Column("released_by", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("preview", sa.LargeBinary(), nullable=True),
        sa.Column("invoices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lines", sa.Integer(), server_default="0", nullable=False),
        sa.Column("transactions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("say", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_run")),
    )
    op.create_index("ix_billing_run_created_at", "billing_run", ["created_at"], unique=False)

    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "cross_reference",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("match", sa.String(), nullable=False),
        sa.Column("matched_by", sa.String(), server_default="", nullable=False),
        sa.Column("valid_from", Instant(), nullable=False),
        sa.Column("valid_to", Instant(), nullable=True),
        sa.Column("change_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cross_reference")),
    )
    op.create_index("ix_cross_reference_change_no", "cross_reference", ["change_no"], unique=False)
    op.create_index(
        "ix_cross_reference_code", "cross_reference", ["entity", "code", "system"], unique=False
    )
    op.create_index(
        "uq_cross_reference_live_id",
        "cross_reference",
        ["entity", "system", "external_id"],
        unique=True,
        sqlite_where=sa.text(
            "valid_to IS NULL AND entity NOT IN ('item', 'tax_code', 'gl_dimension')"
        ),
        postgresql_where=sa.text(
            "valid_to IS NULL AND entity NOT IN ('item', 'tax_code', 'gl_dimension')"
        ),
    )
    op.create_index(
        "uq_cross_reference_live_map",
        "cross_reference",
        ["entity", "system", "code"],
        unique=True,
        sqlite_where=sa.text("valid_to IS NULL AND entity IN ('item', 'tax_code', 'gl_dimension')"),
        postgresql_where=sa.text(
            "valid_to IS NULL AND entity IN ('item', 'tax_code', 'gl_dimension')"
        ),
    )

    op.create_table(
        "entry_version",
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("replaced_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "source_version", name=op.f("pk_entry_version")),
    )
    op.create_table(
        "event_log",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("partitionkey", sa.String(), server_default="", nullable=False),
        sa.Column("time", Instant(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("traceparent", sa.String(), server_default="", nullable=False),
        sa.Column("correlationid", sa.String(), server_default="", nullable=False),
        sa.Column("causationid", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_event_log")),
        sa.UniqueConstraint("id", "source", name=op.f("uq_event_log_id_source")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reply", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"], unique=False)

    op.create_table(
        "inbox",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(), server_default="WAITING", nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_inbox_source_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_inbox_deferred",
        "inbox",
        ["entry_id"],
        unique=False,
        sqlite_where=sa.text("state = 'DEFERRED'"),
        postgresql_where=sa.text("state = 'DEFERRED'"),
    )
    op.create_index(
        "ix_inbox_waiting",
        "inbox",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("state = 'WAITING'"),
        postgresql_where=sa.text("state = 'WAITING'"),
    )

    op.create_table(
        "ledger",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(), server_default="", nullable=False),
        sa.Column("task", sa.String(), server_default="", nullable=False),
        sa.Column("contract", sa.String(), server_default="", nullable=False),
        sa.Column("contract_line", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resource", sa.String(), server_default="", nullable=False),
        sa.Column("role", sa.String(), server_default="", nullable=False),
        sa.Column("legal_entity", sa.String(), server_default="", nullable=False),
        sa.Column("employer", sa.String(), server_default="", nullable=False),
        sa.Column("billing_account", sa.String(), server_default="", nullable=False),
        sa.Column("work_date", sa.Date(), nullable=False),
        sa.Column("op_minutes", sa.Integer(), nullable=False),
        sa.Column("bill_minutes", sa.Integer(), nullable=False),
        sa.Column("rate", Exact(), nullable=False),
        sa.Column("multiplier", Exact(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount_exact", Exact(), nullable=False),
        sa.Column("chargeable", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("hold_reason", sa.String(), server_default="", nullable=False),
        sa.Column("po", sa.String(), server_default="", nullable=False),
        sa.Column("item", sa.String(), server_default="", nullable=False),
        sa.Column("tax_key", sa.String(), server_default="", nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("cause_ref", sa.String(), server_default="", nullable=False),
        sa.Column("rate_trace", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("reverses", sa.String(), server_default="", nullable=False),
        sa.Column("invoice_id", sa.String(), server_default="", nullable=False),
        sa.Column("invoice_line", sa.Integer(), server_default="0", nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint(
            "source_id",
            "source_version",
            "type",
            "seq",
            "cause_ref",
            name=op.f("uq_ledger_source_id_source_version_type_seq_cause_ref"),
        ),
    )
    op.create_index(
        "ix_ledger_invoice",
        "ledger",
        ["invoice_id"],
        unique=False,
        sqlite_where=sa.text("invoice_id <> ''"),
        postgresql_where=sa.text("invoice_id <> ''"),
    )
    op.create_index(
        "ix_ledger_sales",
        "ledger",
        ["status", "contract", "work_date"],
        unique=False,
        sqlite_where=sa.text("type = 'UNBILLED_SALES'"),
        postgresql_where=sa.text("type = 'UNBILLED_SALES'"),
    )
    op.create_index(
        "uq_ledger_reverses",
        "ledger",
        ["reverses"],
        unique=True,
        sqlite_where=sa.text("reverses <> ''"),
        postgresql_where=sa.text("reverses <> ''"),
    )

    op.create_table(
        "master_record",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), server_default="", nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("change_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "key", name=op.f("pk_master_record")),
    )
    op.create_index("ix_master_record_change_no", "master_record", ["change_no"], unique=False)
    op.create_index("ix_master_record_code", "master_record", ["code"], unique=False)

    op.create_table(
        "reconciliation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("erp_instance", sa.String(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.Column("ran_at", Instant(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_index("ix_reconciliation_ran_at", "reconciliation", ["ran_at"], unique=False)

    op.create_table(
        "sync_cursor",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("port", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("cursor", sa.String(), server_default="", nullable=False),
        sa.Column("state", sa.String(), server_default="IDLE", nullable=False),
        sa.Column("records", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_polled_at", Instant(), nullable=True),
        sa.Column("say", sa.String(), server_default="", nullable=False),
        sa.Column("held_by", sa.String(), server_default="", nullable=False),
        sa.Column("held_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("system", "port", "stream", name=op.f("pk_sync_cursor")),
    )
    op.create_table(
        "time_entry",
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("source_version", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("billing_state", sa.String(), nullable=False),
        sa.Column("contract", sa.String(), server_default="", nullable=False),
        sa.Column("project", sa.String(), server_default="", nullable=False),
        sa.Column("resource", sa.String(), server_default="", nullable=False),
        sa.Column("work_date", sa.Date(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("evaluated_at", Instant(), nullable=True),
        sa.Column("snapshot_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("redrive", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_time_entry")),
    )
    op.create_index(
        "ix_time_entry_project",
        "time_entry",
        ["project", "resource", "billing_state", "minutes"],
        unique=False,
    )
    op.create_index(
        "ix_time_entry_redrive",
        "time_entry",
        ["entry_id"],
        unique=False,
        sqlite_where=sa.text("redrive"),
        postgresql_where=sa.text("redrive"),
    )
    op.create_index(
        "ix_time_entry_resource_work_date", "time_entry", ["resource", "work_date"], unique=False
    )

    op.create_table(
        "unblock_key",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("work_item_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", "work_item_id", name=op.f("pk_unblock_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_unblock_key_work_item_id", "unblock_key", ["work_item_id"], unique=False)

    op.create_table(
        "work_item",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), server_default="", nullable=False),
        sa.Column("subject_type", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("subject_version", sa.BigInteger(), nullable=False),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), server_default="", nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("unblock_keys", sa.LargeBinary(), nullable=False),
        sa.Column("at_risk_minor", sa.BigInteger(), nullable=True),
        sa.Column("at_risk_currency", sa.String(), server_default="", nullable=False),
        sa.Column("assignee", sa.String(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=True),
        sa.Column("resolution", sa.String(), server_default="", nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("resolved_by", sa.String(), server_default="", nullable=False),
        sa.Column("waived_until", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_item")),
    )
    op.create_index("ix_work_item_group_key", "work_item", ["group_key"], unique=False)
    op.create_index(
        "ix_work_item_owner_live",
        "work_item",
        ["owner", "opened_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
        postgresql_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
    )
    op.create_index(
        "ix_work_item_subject", "work_item", ["subject_id", "subject_version"], unique=False
    )
    op.create_index(
        "uq_work_item_live",
        "work_item",
        ["subject_id", "subject_version", "code", "subject_type"],
        unique=True,
        sqlite_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
        postgresql_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
    )

    op.create_table(
        "invoice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("external_ref", sa.String(), nullable=False),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("billing_run", sa.String(), nullable=False),
        sa.Column("legal_entity", sa.String(), nullable=False),
        sa.Column("erp_instance", sa.String(), nullable=False),
        sa.Column("billing_account", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("contract", sa.String(), server_default="", nullable=False),
        sa.Column("po", sa.String(), server_default="", nullable=False),
        sa.Column("service_from", sa.Date(), nullable=False),
        sa.Column("service_to", sa.Date(), nullable=False),
        sa.Column("invoice_date", sa.Date(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("erp_id", sa.String(), server_default="", nullable=False),
        sa.Column("erp_number", sa.String(), server_default="", nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=True),
        sa.Column("total_minor", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("posted_at", Instant(), nullable=True),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_run"], ["billing_run.id"], name=op.f("fk_invoice_billing_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("external_ref", name=op.f("uq_invoice_external_ref")),
    )
    op.create_index("ix_invoice_billing_account", "invoice", ["billing_account"], unique=False)
    op.create_index("ix_invoice_billing_run", "invoice", ["billing_run", "status"], unique=False)
    op.create_index(
        "ix_invoice_erp_date", "invoice", ["erp_instance", "invoice_date"], unique=False
    )
    op.create_index("ix_invoice_status", "invoice", ["status"], unique=False)

    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("quantity", Exact(), nullable=False),
        sa.Column("unit_price", Exact(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.String(), server_default="", nullable=False),
        sa.Column("item", sa.String(), server_default="", nullable=False),
        sa.Column("tax_key", sa.String(), server_default="", nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_to", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "line_no", name=op.f("pk_invoice_line")),
    )
    op.create_table(
        "invoice_transaction",
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), nullable=True),
        sa.Column("live", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_transaction_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger.id"], name=op.f("fk_invoice_transaction_transaction_id")
        ),
        sa.PrimaryKeyConstraint(
            "invoice_id", "transaction_id", name=op.f("pk_invoice_transaction")
        ),
    )
    op.create_index(
        "uq_invoice_transaction_live",
        "invoice_transaction",
        ["transaction_id"],
        unique=True,
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )

    op.create_table(
        "posting_attempt",
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), server_default="POST", nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=False),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("outcome", sa.String(), server_default="", nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("erp_code", sa.String(), server_default="", nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_posting_attempt_invoice_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "attempt_no", name=op.f("pk_posting_attempt")),
    )
    op.create_index("ix_posting_attempt_outcome", "posting_attempt", ["outcome"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_posting_attempt_outcome", "posting_attempt")

    op.drop_table("posting_attempt")
    op.drop_index(
        "uq_invoice_transaction_live",
        "invoice_transaction",
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )

    op.drop_table("invoice_transaction")
    op.drop_table("invoice_line")
    op.drop_index("ix_invoice_status", "invoice")
    op.drop_index("ix_invoice_erp_date", "invoice")
    op.drop_index("ix_invoice_billing_run", "invoice")
    op.drop_index("ix_invoice_billing_account", "invoice")

    op.drop_table("invoice")
    op.drop_index(
        "uq_work_item_live",
        "work_item",
        sqlite_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
        postgresql_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
    )
    op.drop_index("ix_work_item_subject", "work_item")
    op.drop_index(
        "ix_work_item_owner_live",
        "work_item",
        sqlite_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
        postgresql_where=sa.text("state IN ('OPEN', 'ASSIGNED', 'WAITING', 'SNOOZED', 'RETRYING')"),
    )
    op.drop_index("ix_work_item_group_key", "work_item")

    op.drop_table("work_item")
    op.drop_index("ix_unblock_key_work_item_id", "unblock_key")

    op.drop_table("unblock_key")
    op.drop_index("ix_time_entry_resource_work_date", "time_entry")
    op.drop_index(
        "ix_time_entry_redrive",
        "time_entry",
        sqlite_where=sa.text("redrive"),
        postgresql_where=sa.text("redrive"),
    )
    op.drop_index("ix_time_entry_project", "time_entry")

    op.drop_table("time_entry")
    op.drop_table("sync_cursor")
    op.drop_index("ix_reconciliation_ran_at", "reconciliation")

    op.drop_table("reconciliation")
    op.drop_index("ix_master_record_code", "master_record")
    op.drop_index("ix_master_record_change_no", "master_record")

    op.drop_table("master_record")
    op.drop_index(
        "uq_ledger_reverses",
        "ledger",
        sqlite_where=sa.text("reverses <> ''"),
        postgresql_where=sa.text("reverses <> ''"),
    )
    op.drop_index(
        "ix_ledger_sales",
        "ledger",
        sqlite_where=sa.text("type = 'UNBILLED_SALES'"),
        postgresql_where=sa.text("type = 'UNBILLED_SALES'"),
    )
    op.drop_index(
        "ix_ledger_invoice",
        "ledger",
        sqlite_where=sa.text("invoice_id <> ''"),
        postgresql_where=sa.text("invoice_id <> ''"),
    )

    op.drop_table("ledger")
    op.drop_index(
        "ix_inbox_waiting",
        "inbox",
        sqlite_where=sa.text("state = 'WAITING'"),
        postgresql_where=sa.text("state = 'WAITING'"),
    )
    op.drop_index(
        "ix_inbox_deferred",
        "inbox",
        sqlite_where=sa.text("state = 'DEFERRED'"),
        postgresql_where=sa.text("state = 'DEFERRED'"),
    )

    op.drop_table("inbox")
    op.drop_index("ix_idempotency_expires_at", "idempotency")

    op.drop_table("idempotency")
    op.drop_table("event_log")
    op.drop_table("entry_version")
    op.drop_index(
        "uq_cross_reference_live_map",
        "cross_reference",
        sqlite_where=sa.text("valid_to IS NULL AND entity IN ('item', 'tax_code', 'gl_dimension')"),
        postgresql_where=sa.text(
            "valid_to IS NULL AND entity IN ('item', 'tax_code', 'gl_dimension')"
        ),
    )
    op.drop_index(
        "uq_cross_reference_live_id",
        "cross_reference",
        sqlite_where=sa.text(
            "valid_to IS NULL AND entity NOT IN ('item', 'tax_code', 'gl_dimension')"
        ),
        postgresql_where=sa.text(
            "valid_to IS NULL AND entity NOT IN ('item', 'tax_code', 'gl_dimension')"
        ),
    )
    op.drop_index("ix_cross_reference_code", "cross_reference")
    op.drop_index("ix_cross_reference_change_no", "cross_reference")

    op.drop_table("cross_reference")
    op.drop_table("counter")
    op.drop_index("ix_billing_run_created_at", "billing_run")

    op.drop_table("billing_run")
    op.drop_index("ix_audit_entry_subject", "audit_entry")

    op.drop_table("audit_entry")
