"""This file exists to tell the main job as a story anyone can watch: approved time to invoices.

Owns   the order of the chapters and what each must prove; the platform does the work.
Fails  StoryFailed, naming the chapter and what was not as it must be.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from chassis import clock
from contracts.entities.master import MasterRecord
from contracts.entities.record import CrossReference
from contracts.ports.process.billing import (
    BillingRun,
    BillingRunRequest,
    Decision,
    InvoiceSummary,
    LineTrace,
)
from contracts.ports.process.exceptions import Group
from contracts.ports.process.journeys import Run
from contracts.ports.process.master_data import StreamState, SyncRequest
from contracts.ports.process.reconciliation import ReconciliationReport, ReconciliationRequest
from contracts.problem import Problem, Retry
from firmwire.office import Office
from firmwire.platform import PATIENCE
from sandbox.firm.load import Truth

T = TypeVar("T")
MASTER = tuple(sorted(str(kind.__struct_config__.tag) for kind in get_args(MasterRecord)))
ENDED = frozenset({"POSTED", "POST_REJECTED", "ERP_CONFLICT", "CANCELLED"})
SETTLED = ("READY", "EXCEPTION", "HELD", "NON_BILLABLE", "WITHDRAWN", "ON_DRAFT", "BILLED")


class StoryFailed(Exception):
    """str() says which chapter and why."""


class Difference(Struct, frozen=True):
    """An entry that did not come to what the generator knows it must."""

    entry: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


class Story:
    """Chapters over one office. Each may be watched through a callback (done, of how many)."""

    def __init__(self, office: Office, truth: Truth, erp: str = "netsuite") -> None:
        self.office = office
        self.truth = truth
        self.erp = erp
        self.patience = PATIENCE.get(truth.size, 1)

    async def sync(self) -> tuple[StreamState, ...]:
        """Read master data from all systems now; time, which is far more, has its own chapter."""
        ask = SyncRequest(streams=MASTER, wait=True)
        return await patient(lambda: self.office.master.sync(ask), 60 * self.patience)

    async def evaluated(self, watch: Callable[[int, int], None]) -> dict[str, int]:
        """Wait until every approved entry has been judged; counts by state."""

        async def look() -> dict[str, int] | None:
            progress = await self.office.time.progress()
            known = {name: progress.by_state.get(name, 0) for name in SETTLED}
            watch(sum(known.values()), self.truth.entries)
            done = sum(known.values()) >= self.truth.entries and not progress.inbox_waiting
            return progress.by_state if done else None

        return await until(look, 60 * self.patience, "not every entry was judged")

    async def groups(self) -> tuple[Group, ...]:
        """Exceptions by cause."""
        return await self.office.exceptions.groups()

    async def differences(self) -> tuple[Difference, ...]:
        """Every entry whose BLOCK and HOLD items are not what the generator knows."""
        found: dict[str, set[str]] = {}
        cursor: str | None = None
        while True:
            page = await self.office.exceptions.items(cursor=cursor, limit=500)
            for item in page.items:
                if item.subject_type == "time_entry" and item.severity != "WARN":
                    id = item.subject_id.partition(":")[2]
                    found.setdefault(id, set()).add(item.code)
            cursor = page.next_cursor
            if cursor is None:
                break
        expected = {id: set(codes) for id, codes in self.truth.expected.items()}
        return tuple(
            Difference(id, tuple(sorted(expected.get(id, ()))), tuple(sorted(found.get(id, ()))))
            for id in sorted(expected.keys() | found.keys())
            if expected.get(id, set()) != found.get(id, set())
        )

    async def preview(self, seed: str, legal_entities: tuple[str, ...]) -> BillingRun:
        """A billing run up to its preview."""
        month_end = (self.truth.month.replace(day=28) + timedelta(days=4)).replace(day=1)
        request = BillingRunRequest(
            cutoff=month_end,
            invoice_date=month_end,
            legal_entities=legal_entities,
            seed=seed,
        )
        run = await self.office.billing.start_run(request, idempotency_key=f"story-{seed}")

        async def look() -> BillingRun | None:
            seen = await self.office.billing.run(run.id)
            return seen if seen is not None and seen.state != "PREVIEWING" else None

        seen = await until(look, 30 * self.patience, "the preview did not come")
        if seen.state != "PREVIEW":
            raise StoryFailed(f"billing run {seen.id}: {seen.state} {seen.say}")
        return seen

    async def release(self, run: BillingRun) -> None:
        """Approve, then release to the ERP."""
        billing = self.office.billing
        reason = Decision(reason="checked against the preview")
        await billing.approve_run(run.id, reason, idempotency_key=f"approve-{run.id}")
        await billing.release_run(run.id, reason, idempotency_key=f"release-{run.id}")

    async def posted(
        self, run: BillingRun, watch: Callable[[int, int], Awaitable[None] | None]
    ) -> tuple[InvoiceSummary, ...]:
        """Wait until every invoice of the run has ended; all must be POSTED."""

        async def look() -> tuple[InvoiceSummary, ...] | None:
            invoices = await self.invoices(run)
            ended = [i for i in invoices if i.status in ENDED]
            told = watch(len(ended), run.invoices)
            if told is not None:
                await told
            return invoices if len(ended) >= run.invoices else None

        invoices = await until(look, 75 * self.patience, "posting did not end")
        wrong = [f"{i.external_ref} {i.status}" for i in invoices if i.status != "POSTED"]
        if wrong:
            raise StoryFailed(f"not posted: {', '.join(wrong[:5])}")
        return invoices

    async def invoices(self, run: BillingRun) -> tuple[InvoiceSummary, ...]:
        """Every invoice of a run."""
        found: list[InvoiceSummary] = []
        cursor: str | None = None
        while True:
            page = await self.office.billing.invoices(run=run.id, cursor=cursor, limit=200)
            found.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def trace(self, invoice: InvoiceSummary) -> LineTrace:
        """Everything behind the first line of an invoice."""
        traced = await self.office.billing.trace(invoice.id, 1)
        if traced is None:
            raise StoryFailed(f"invoice {invoice.external_ref} has no first line")
        return traced

    async def mend(self) -> tuple[str, str, int]:
        """Map the workspace nobody knew: its id, the project it stands for, entries set free."""
        workspace, project = next(iter(self.truth.legacy.items()))
        reference = CrossReference(
            entity="project", code=project, system="kantata", external_id=workspace
        )
        key = f"story-map-{workspace}"
        redrive = await self.office.master.put_cross_reference(reference, idempotency_key=key)
        group = f"xref:project:kantata:{workspace}"

        async def gone() -> bool | None:
            left = [g for g in await self.office.exceptions.groups() if g.root == group]
            return True if not left else None

        await until(gone, 20 * self.patience, "the group was not set free")
        return workspace, project, redrive.redriven

    async def won(self, deal: str) -> Run:
        """A won deal becomes contract, project, job and bookings; waits for the end."""
        ask = Raw(msgspec.json.encode({"deal_id": deal}))
        start = self.office.journeys.start
        key = f"story-deal-{deal}"
        began = await start("opportunity_to_project", ask, idempotency_key=key)

        async def look() -> Run | None:
            seen = await self.office.journeys.run(began.id)
            return seen if seen is not None and seen.state in ("DONE", "FAILED") else None

        return await until(look, 30, "the journey did not end")

    async def reconcile(self) -> ReconciliationReport:
        """Our ledger against the ERP, both ways."""
        start = self.truth.month
        request = ReconciliationRequest(
            erp_instance=self.erp, start=start, end=start + timedelta(days=120)
        )
        return await self.office.books.reconcile(request)

    async def states(self) -> dict[str, int]:
        """Entries by billing state now."""
        return (await self.office.time.progress()).by_state


async def until(look: Callable[[], Awaitable[T | None]], within_s: float, why: str) -> T:
    """Look until there is an answer. A tier that is starting again is waited for."""
    end_s = clock.monotonic() + within_s
    while clock.monotonic() < end_s:
        try:
            found = await look()
        except Problem as trouble:
            if trouble.fault.retry is Retry.NEVER:
                raise
            found = None
        if found is not None:
            return found
        await asyncio.sleep(0.15)
    raise StoryFailed(f"{why} within {within_s:.0f} s")


async def patient(ask: Callable[[], Awaitable[T]], within_s: float) -> T:
    """Ask until it is answered; only for what may be asked twice."""

    async def once() -> T | None:
        return await ask()

    return await until(once, within_s, "no answer")


def totals(run: BillingRun) -> str:
    """A run's sums for the eye."""
    return ", ".join(str(m) for m in run.totals)


def lines_of(trace: LineTrace) -> list[tuple[str, Any]]:
    """A trace as labelled facts, from the invoice down to the contract."""
    line, rows = trace.line, trace.transactions
    rate = rows[0].rate_trace if rows else None
    approvals = {e.approval.approver for e in trace.entries if e.approval}
    return [
        ("invoice", f"{trace.invoice.erp_number} ({trace.invoice.external_ref})"),
        ("line", f"{line.line_no}: {line.description}, {line.quantity:f} h x {line.unit_price:f}"),
        ("net", str(line.net)),
        ("ledger rows", f"{len(rows)}, {sum(r.bill_minutes for r in rows)} minutes"),
        (
            "entries",
            f"{len(trace.entries)}, first {trace.entries[0].ref}" if trace.entries else "0",
        ),
        ("approved by", ", ".join(sorted(str(a) for a in approvals if a)) or "-"),
        (
            "rate decision",
            f"{rate.rate:f} from {rate.card} v{rate.card_version} line {rate.line} "
            f"({rate.tier}, score {rate.score})"
            if rate
            else "-",
        ),
        ("contract", str(trace.contract.get("code", trace.invoice.contract))),
        ("posting", f"{len(trace.attempts)} attempts"),
    ]
