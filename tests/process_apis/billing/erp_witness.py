"""An ERP that remembers everything and believes nothing: the other side of exactly-once.

It speaks the Erp port over a real socket. It may refuse a second document of one reference
(class A) or take it without a word (class D), so that a duplicate would be seen. Each call of
`post_invoice` takes the next fault of `faults`; an empty queue means none.
"""

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager
from datetime import date

from msgspec import Struct

from chassis import identity
from chassis.serve import routes
from chassis.server import serving
from chassis.service import service
from contracts.entities.finance import ErpInvoice, InvoiceDocument
from contracts.ids import Ref
from contracts.money import Money
from contracts.paging import Page
from contracts.ports.system.erp import CustomerDraft, Erp, JobDraft, PostingTraits
from contracts.ports.system.system import Health, Placed
from contracts.problem import Fault, Problem, Vendor
from contracts.quota import Quota

INSTANCE = "erp-test"
PREFIX = f"/system/v1/{INSTANCE}/erp"


class Kept(Struct):
    """A document in the ERP. visible_at: loop time before which reads do not show it."""

    invoice: ErpInvoice
    visible_at: float = 0.0


class Witness:
    """settle_s, lanes: what it says of itself. unique: refuses a reference it holds."""

    def __init__(
        self, *, settle_s: float = 0.4, lanes: int = 4, unique: bool = True, latency_s: float = 0.0
    ) -> None:
        self.settle_s, self.lanes, self.unique, self.latency_s = settle_s, lanes, unique, latency_s
        self.documents: list[Kept] = []
        self.faults: deque[str] = deque()
        self.posts: Counter[str] = Counter()
        self.lookups: Counter[str] = Counter()
        self.inside = self.most_inside = 0
        self.state = "UP"
        self.answer_s = 0.0
        self.seen = asyncio.Event()
        self.before_commit: asyncio.Event | None = None
        self.after_commit: asyncio.Event | None = None
        self.busy_s = 0.0

    # ---- what tests ask

    def of(self, reference: str) -> list[ErpInvoice]:
        """Every document under a reference, seen or not."""
        return [kept.invoice for kept in self.documents if kept.invoice.reference == reference]

    def duplicates(self) -> int:
        """Documents beyond the first of their reference."""
        counts = Counter(kept.invoice.reference for kept in self.documents)
        return sum(counts.values()) - len(counts)

    # ---- the port

    async def health(self) -> Health:
        return Health(state=self.state, latency_ms=1)

    async def quota(self) -> Quota:
        return Quota(concurrency=self.lanes, settle_s=self.settle_s)

    async def streams(self) -> tuple[str, ...]:
        return ()

    async def changes(self, stream: str, cursor: str | None = None, limit: int = 200) -> Page:
        raise Problem(Fault.NOT_FOUND, "no streams")

    async def posting_traits(self) -> PostingTraits:
        kind = "A" if self.unique else "D"
        return PostingTraits(idempotency=kind, settle_s=self.settle_s, lanes=self.lanes)

    async def invoices(
        self, prefix: str, start: date, end: date, cursor: str | None = None, limit: int = 200
    ) -> Page[ErpInvoice]:
        found = [
            kept.invoice
            for kept in self.documents
            if kept.invoice.reference.startswith(prefix)
            and start <= kept.invoice.invoice_date < end
        ]
        first = int(cursor or 0)
        rest = len(found) > first + limit
        after = str(first + limit) if rest else None
        return Page(tuple(found[first : first + limit]), after, rest)

    async def invoice_by_reference(self, reference: str) -> ErpInvoice | None:
        self.lookups[reference] += 1
        now = asyncio.get_running_loop().time()
        for kept in self.documents:
            if kept.invoice.reference == reference and kept.visible_at <= now:
                return kept.invoice
        return None

    async def invoice(self, id: str) -> ErpInvoice | None:
        return next((k.invoice for k in self.documents if k.invoice.ref.id == id), None)

    async def post_invoice(self, body: InvoiceDocument) -> ErpInvoice:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            return await self._post(body)
        finally:
            self.inside -= 1

    async def customer_by_reference(self, reference: str) -> Placed | None:
        return None

    async def put_customer(self, reference: str, body: CustomerDraft) -> Placed:
        return Placed(ref=Ref(INSTANCE, f"cust-{reference}"), created=True)

    async def job_by_reference(self, reference: str) -> Placed | None:
        return None

    async def put_job(self, reference: str, body: JobDraft) -> Placed:
        return Placed(ref=Ref(INSTANCE, f"job-{reference}"), created=True)

    async def close_job(self, id: str) -> None:
        return None

    async def _post(self, body: InvoiceDocument) -> ErpInvoice:
        self.posts[body.reference] += 1
        self.seen.set()
        if self.before_commit is not None:
            await self.before_commit.wait()
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        fault, _, argument = (self.faults.popleft() if self.faults else "").partition(":")
        refuse(fault, argument)
        taken = any(k.invoice.reference == body.reference for k in self.documents)
        if taken and self.unique:
            raise Problem(Fault.CONFLICT, "The reference is taken.")
        if fault == "silent":
            raise Problem(Fault.VENDOR_SILENT, "No answer.")
        if fault == "late_commit":
            loop = asyncio.get_running_loop()
            self._keep(body, visible_at=loop.time() + float(argument))
            raise Problem(Fault.VENDOR_SILENT, "No answer.")
        made = self._keep(body)
        if self.after_commit is not None:
            await self.after_commit.wait()
        if fault == "silent_after_commit":
            raise Problem(Fault.VENDOR_SILENT, "No answer.")
        if fault == "error_after_commit":
            raise Problem(Fault.VENDOR_CONFUSED, "500 from the vendor.")
        return made

    def _keep(self, body: InvoiceDocument, visible_at: float = 0.0) -> ErpInvoice:
        number = len(self.documents) + 1
        tax = body.net.minor // 5
        made = ErpInvoice(
            ref=Ref(INSTANCE, str(1000 + number)),
            reference=body.reference,
            number=f"INV{number:05d}",
            status="POSTED",
            customer=body.customer,
            currency=body.currency,
            net=body.net,
            tax=Money(tax, body.currency),
            total=Money(body.net.minor + tax, body.currency),
            invoice_date=body.invoice_date,
            content_hash=body.content_hash,
            line_count=len(body.lines),
        )
        self.documents.append(Kept(made, visible_at))
        return made


def refuse(fault: str, argument: str) -> None:
    """Faults of calls that did nothing."""
    if fault == "throttled":
        raise Problem(Fault.VENDOR_THROTTLED, "Quota.", retry_after_s=1)
    if fault == "maintenance":
        raise Problem(Fault.VENDOR_MAINTENANCE, "Maintenance.", retry_after_s=1)
    if fault == "auth":
        raise Problem(Fault.VENDOR_AUTH, "Credentials.")
    if fault == "down":
        raise Problem(Fault.VENDOR_DOWN, "Nothing was sent.")
    if fault == "rejected":
        vendor = Vendor(system=INSTANCE, status=400, code="BAD", exception_code=argument)
        raise Problem(Fault.VENDOR_REJECTED, "Refused.", vendor=vendor)


@asynccontextmanager
async def witnessing(witness: Witness, home, port: int = 0):
    """Serve the witness; yields the base URL. Keys of the house lie in home."""
    jwks = identity.ensure(home)
    app = service(
        "witness",
        handlers=routes(Erp, witness, prefix=PREFIX, name="erp"),
        verifier=identity.Verifier(jwks),
    )
    async with serving(app, port=port) as url:
        yield url
