"""Billing runs, invoices, and the trace of every line back to its entries."""

from datetime import date, datetime
from typing import Literal, Protocol

from msgspec import Struct

from contracts.entities.ledger import BillableTransaction, Invoice, InvoiceLine
from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import WorkItem
from contracts.money import Money
from contracts.operation import operation
from contracts.paging import Page


class BillingRunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bill work done before `cutoff` (exclusive). Empty filters mean all. seed: tells runs apart.

    The same request is the same run: its id is a digest of these fields.
    """

    cutoff: date
    invoice_date: date
    legal_entities: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    seed: str = "1"


class BillingRun(Struct, frozen=True, kw_only=True):
    """totals: one sum per currency. by_status: invoices by status. say: why it failed, if so."""

    id: str
    state: Literal["PREVIEWING", "PREVIEW", "APPROVED", "RELEASED", "DONE", "CANCELLED", "FAILED"]
    request: BillingRunRequest
    requested_by: str
    approved_by: str
    released_by: str
    created_at: datetime
    invoices: int
    lines: int
    transactions: int
    totals: tuple[Money, ...]
    by_status: dict[str, int]
    say: str = ""


class Decision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """reason: kept in the audit trail."""

    reason: str = ""


class InvoiceSummary(Struct, frozen=True, kw_only=True):
    """An invoice without its lines."""

    id: str
    external_ref: str
    billing_run: str
    legal_entity: str
    erp_instance: str
    billing_account: str
    contract: str
    po: str
    status: str
    net: Money
    lines: int
    erp_number: str
    invoice_date: date
    posted_at: datetime | None


class LineTrace(Struct, frozen=True, kw_only=True):
    """Everything behind one invoice line: ledger rows with rate traces, entries with approvals."""

    invoice: InvoiceSummary
    line: InvoiceLine
    transactions: tuple[BillableTransaction, ...]
    entries: tuple[TimeEntry, ...]
    contract: dict[str, object]
    attempts: tuple[dict[str, object], ...] = ()
    work_items: tuple[WorkItem, ...] = ()


class Billing(Protocol):
    """From READY transactions to posted invoices."""

    @operation(
        "POST",
        "/billing-runs",
        scope="process:billing:write",
        status=202,
        deadline_s=30.0,
    )
    async def start_run(self, body: BillingRunRequest, idempotency_key: str = "") -> BillingRun:
        """Begin a preview; its drafts claim their rows until the run is cancelled."""
        ...

    @operation("GET", "/billing-runs", scope="process:billing:read")
    async def runs(self, cursor: str | None = None, limit: int = 50) -> Page[BillingRun]:
        """Newest first."""
        ...

    @operation("GET", "/billing-runs/{id}", scope="process:billing:read")
    async def run(self, id: str) -> BillingRun | None:
        """State and counts of one run."""
        ...

    @operation("POST", "/billing-runs/{id}/approve", scope="process:billing:approve", deadline_s=30)
    async def approve_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        """Finance approves the preview. Not in PREVIEW: CONFLICT."""
        ...

    @operation("POST", "/billing-runs/{id}/release", scope="process:billing:release", deadline_s=30)
    async def release_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        """Queue the approved invoices for posting. The requester may not release: FORBIDDEN,

        unless settings allow one person to do both (single-person firms, the sandbox).
        """
        ...

    @operation("POST", "/billing-runs/{id}/cancel", scope="process:billing:write", deadline_s=30)
    async def cancel_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        """Drop drafts; transactions are READY again. After release: CONFLICT."""
        ...

    @operation("GET", "/invoices", scope="process:billing:read")
    async def invoices(
        self,
        run: str | None = None,
        status: str | None = None,
        billing_account: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[InvoiceSummary]:
        """Newest first."""
        ...

    @operation("GET", "/invoices/{id}", scope="process:billing:read")
    async def invoice(self, id: str) -> Invoice | None:
        """One invoice with its lines."""
        ...

    @operation("GET", "/invoices/{id}/lines/{line_no}/trace", scope="process:billing:read")
    async def trace(self, id: str, line_no: int) -> LineTrace | None:
        """Why this line says what it says."""
        ...
