"""What Firmwire asks of any ERP: companies, customers, periods, and posting an invoice once.

Streams: legal_entity, billing_account, accounting_period, exchange_rate, alias.
"""

from datetime import date
from typing import Literal, Protocol

from msgspec import Struct

from contracts.entities.finance import ErpInvoice, InvoiceDocument
from contracts.operation import operation
from contracts.paging import Page
from contracts.ports.system.system import Placed, System


class CustomerDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """legal_entity: the ERP's own id. country: ISO 3166 alpha-2."""

    code: str
    name: str
    legal_entity: str
    currency: str
    address: str = ""
    country: str = ""
    email: str = ""
    tax_id: str = ""


class JobDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project in the books. customer: the ERP's own id."""

    code: str
    name: str
    customer: str


class PostingTraits(Struct, frozen=True, kw_only=True):
    """How this ERP can be posted to exactly once (domain.md C.4).

    idempotency: A upsert by external id, B unique document field, C header, D nothing.
    settle_s: after this long a lost call has either committed or never will.
    lanes: invoices that may be posted at once; 1 where the ERP serialises per company.
    """

    idempotency: Literal["A", "B", "C", "D"]
    settle_s: float
    lanes: int


class Erp(System, Protocol):
    """NetSuite, Tryton, ..."""

    @operation("GET", "/posting-traits", scope="system:read")
    async def posting_traits(self) -> PostingTraits:
        """What the posting protocol must know."""
        ...

    @operation("GET", "/invoices", scope="system:read", deadline_s=30.0)
    async def invoices(
        self, prefix: str, start: date, end: date, cursor: str | None = None, limit: int = 200
    ) -> Page[ErpInvoice]:
        """Customer invoices whose reference starts with prefix, start <= invoice_date < end."""
        ...

    @operation("GET", "/invoices/by-reference/{reference}", scope="system:read")
    async def invoice_by_reference(self, reference: str) -> ErpInvoice | None:
        """A strong read (never a search index) by our reference."""
        ...

    @operation("GET", "/invoices/{id}", scope="system:read")
    async def invoice(self, id: str) -> ErpInvoice | None:
        """A strong read by the ERP's id."""
        ...

    @operation("POST", "/invoices", scope="system:write", deadline_s=60.0, status=201)
    async def post_invoice(self, body: InvoiceDocument) -> ErpInvoice:
        """Create and post, create-only. A reference already there: CONFLICT, nothing changed.

        Refused content: VENDOR_REJECTED with vendor.exception_code. VENDOR_SILENT: it may have
        happened. VENDOR_DOWN, VENDOR_THROTTLED, VENDOR_MAINTENANCE: it did not.
        An ERP that creates and posts in two calls resumes its own half-done document here.
        """
        ...

    @operation("GET", "/customers/by-reference/{reference}", scope="system:read")
    async def customer_by_reference(self, reference: str) -> Placed | None:
        """The customer that carries this billing account code."""
        ...

    @operation("PUT", "/customers/by-reference/{reference}", scope="system:write", deadline_s=30.0)
    async def put_customer(self, reference: str, body: CustomerDraft) -> Placed:
        """Create or match by code."""
        ...

    @operation("GET", "/jobs/by-reference/{reference}", scope="system:read")
    async def job_by_reference(self, reference: str) -> Placed | None:
        """The job that carries this project code."""
        ...

    @operation("PUT", "/jobs/by-reference/{reference}", scope="system:write", deadline_s=30.0)
    async def put_job(self, reference: str, body: JobDraft) -> Placed:
        """Create or match by code."""
        ...

    @operation("POST", "/jobs/{id}/close", scope="system:write", status=204)
    async def close_job(self, id: str) -> None:
        """Close a job so that nothing more is booked on it. Twice is as once."""
        ...
