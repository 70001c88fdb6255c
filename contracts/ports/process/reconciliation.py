"""Our ledger against the ERP's own store, both ways."""

from datetime import date, datetime
from typing import Protocol

from msgspec import Struct

from contracts.money import Money
from contracts.operation import operation
from contracts.paging import Page


class ReconciliationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Invoices dated start <= day < end in one ERP."""

    erp_instance: str
    start: date
    end: date


class Difference(Struct, frozen=True, kw_only=True):
    """code: RECON_MISSING_IN_ERP, RECON_EXTRA_IN_ERP or ERP_TOTAL_MISMATCH, DUPLICATE."""

    code: str
    external_ref: str
    ours: Money | None
    theirs: Money | None


class ReconciliationReport(Struct, frozen=True, kw_only=True):
    """duplicates: references the ERP holds more than once. lost: ours POSTED, absent there."""

    id: str
    erp_instance: str
    start: date
    end: date
    ran_at: datetime
    ours: int
    theirs: int
    matched: int
    duplicates: int
    lost: int
    extra: int
    our_totals: tuple[Money, ...]
    their_totals: tuple[Money, ...]
    differences: tuple[Difference, ...]


class Reconciliation(Protocol):
    """Nightly, and on demand."""

    @operation(
        "POST",
        "/reconciliations",
        scope="process:reconciliation:write",
        deadline_s=60.0,
        status=201,
    )
    async def reconcile(
        self, body: ReconciliationRequest, idempotency_key: str = ""
    ) -> ReconciliationReport:
        """Compare now; differences become work items."""
        ...

    @operation("GET", "/reconciliations", scope="process:reconciliation:read")
    async def reports(
        self, cursor: str | None = None, limit: int = 50
    ) -> Page[ReconciliationReport]:
        """Newest first."""
        ...
