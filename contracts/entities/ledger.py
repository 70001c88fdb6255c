"""The append-only ledger of billable transactions, and the invoices made of it (domain.md B.5)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from contracts.money import Money

TransactionType = Literal["COST", "UNBILLED_SALES", "IC_SALES", "RESOURCING_COST"]
TransactionStatus = Literal[
    "READY", "HELD", "ON_DRAFT", "BILLED", "REVERSED", "WRITTEN_OFF", "RECORDED"
]
InvoiceStatus = Literal[
    "DRAFT",
    "APPROVED",
    "QUEUED",
    "POSTING",
    "IN_DOUBT",
    "POSTED",
    "POST_REJECTED",
    "ERP_CONFLICT",
    "CANCELLED",
]


class RateTrace(Struct, frozen=True, kw_only=True):
    """Why this price: the tier and line that won, and up to three that lost.

    score: person 32, task 16, role 8, grade 4, location 2, work type 1.
    """

    mode: str
    tier: str
    card: str
    card_version: int
    line: str
    score: int
    rate: Decimal
    multiplier: Decimal
    rejected: tuple[str, ...] = ()


class TransactionDraft(Struct, frozen=True, kw_only=True):
    """A ledger row before it is written. amount_exact: unrounded, in currency.

    op_minutes: worked, only on COST rows. bill_minutes: billed, 0 on COST rows.
    All ids are canonical codes; status RECORDED is for rows that are never invoiced (COST, ...).
    """

    type: TransactionType
    source_id: str
    source_version: int
    seq: int
    project: str
    task: str
    contract: str
    contract_line: int
    resource: str
    role: str
    legal_entity: str
    employer: str
    billing_account: str
    work_date: date
    op_minutes: int
    bill_minutes: int
    rate: Decimal
    multiplier: Decimal
    currency: str
    amount_exact: Decimal
    chargeable: Literal["CHARGEABLE", "NON_CHARGEABLE", "COMPLIMENTARY"]
    status: TransactionStatus
    hold_reason: str = ""
    po: str = ""
    item: str = ""
    tax_key: str = ""
    cause: str = "ORIGINAL"
    cause_ref: str = ""
    rate_trace: RateTrace | None = None


class BillableTransaction(TransactionDraft, frozen=True, kw_only=True):
    """A ledger row. Its figures never change; only status, invoice_line and billed_minor do."""

    id: str
    created_at: datetime
    reverses: str = ""
    invoice_id: str = ""
    invoice_line: int = 0
    billed_minor: int | None = None


class InvoiceLine(Struct, frozen=True, kw_only=True):
    """quantity: hours, six decimals. net: the first rounding point. transactions: ledger ids."""

    line_no: int
    description: str
    quantity: Decimal
    unit_price: Decimal
    net: Money
    project: str
    item: str
    tax_key: str
    period_from: date
    period_to: date
    transactions: tuple[str, ...]


class Invoice(Struct, frozen=True, kw_only=True):
    """A customer invoice on its way to the ERP. number: the ERP's legal number, once posted."""

    id: str
    external_ref: str
    billing_run: str
    legal_entity: str
    erp_instance: str
    billing_account: str
    currency: str
    contract: str
    po: str
    service_from: date
    service_to: date
    invoice_date: date
    status: InvoiceStatus
    net: Money
    content_hash: str
    lines: tuple[InvoiceLine, ...] = ()
    erp_id: str = ""
    erp_number: str = ""
    tax_erp: Money | None = None
    total_erp: Money | None = None
    posted_at: datetime | None = None
    detail: dict[str, Any] = {}
