"""The reconciliation port: our posted invoices against the ERP's own store, both directions.

Every difference is a work item: ours absent there, theirs unknown here, amounts that differ, a
reference the ERP holds twice. Nothing is mended by itself.
Source  domain.md C.4 (9).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection, Row, select

from chassis import clock, travel
from chassis.limiter import Lane
from contracts.entities.finance import ErpInvoice
from contracts.ids import uuid7
from contracts.money import Money
from contracts.paging import Page
from contracts.ports.process.reconciliation import (
    Difference,
    ReconciliationReport,
    ReconciliationRequest,
)
from contracts.ports.system.erp import Erp
from contracts.problem import Fault, FieldError, Problem
from process_apis import audit, events, work_items
from process_apis.billing.around import around, who
from process_apis.billing.findings import finding
from process_apis.billing.telling import Telling
from process_apis.events import fact
from process_apis.journey import port
from process_apis.pages import newest
from process_apis.tables import invoice, reconciliation
from process_apis.work_items import Change, Subject

PAGE = 200
# The catalogue has no code of its own for a second document: to finance it is one too many.
_ITEM_CODES = {"DUPLICATE": "RECON_EXTRA_IN_ERP"}
_UNSURE = frozenset({"QUEUED", "POSTING", "IN_DOUBT", "ERP_CONFLICT"})


class Reconciler:
    """Implements contracts.ports.process.reconciliation.Reconciliation over `around()`."""

    async def reconcile(
        self, body: ReconciliationRequest, idempotency_key: str = ""
    ) -> ReconciliationReport:
        if body.start >= body.end:
            raise Problem(
                Fault.INVALID, "The period is empty.",
                errors=(FieldError("/end", "is not after start", "end is the day after."),),
            )  # fmt: skip
        actor = who()
        with travel.in_lane(Lane.SYNC):
            theirs = await _theirs(body.erp_instance, body.start, body.end)
        done = await around().database.write(lambda c: _compared(c, body, theirs, actor))
        events.wake()
        return done

    async def reports(
        self, cursor: str | None = None, limit: int = 50
    ) -> Page[ReconciliationReport]:
        def look(connection: Connection) -> Page[ReconciliationReport]:
            rows, after = newest(connection, reconciliation, cursor, limit, by="ran_at")
            found = tuple(
                msgspec.json.decode(row.report, type=ReconciliationReport) for row in rows
            )
            return Page(found, after, after is not None)

        return await around().database.read(look)


async def _theirs(instance: str, start: date, end: date) -> list[ErpInvoice]:
    """Everything the ERP holds under our prefix."""
    erp, found, cursor = port(Erp, instance), list[ErpInvoice](), None
    while True:
        page = await erp.invoices(f"{around().tenant}-", start, end, cursor, PAGE)
        found.extend(page.items)
        if not page.items or page.next_cursor is None or page.next_cursor == cursor:
            return found
        cursor = page.next_cursor


def differences(
    ours: Sequence[Row[tuple[object, ...]]], theirs: Sequence[ErpInvoice]
) -> tuple[list[Difference], int]:
    """What does not agree, by reference, and how many do. Voided documents do not count.

    An invoice on its way is neither lost nor extra: posting will say.
    """
    by_reference: dict[str, ErpInvoice] = {}
    live = [each for each in theirs if each.status != "VOIDED"]
    counts = Counter(each.reference for each in live)
    for each in live:
        by_reference.setdefault(each.reference, each)
    known = {row.external_ref: row for row in ours}
    found: list[Difference] = []
    matched = 0
    for reference in sorted(known.keys() | by_reference.keys()):
        row, there = known.get(reference), by_reference.get(reference)
        mine = None if row is None else Money(row.net_minor, row.currency)
        net = None if there is None else there.net
        code = ""
        if counts[reference] > 1:
            code = "DUPLICATE"
        elif row is not None and row.status in _UNSURE:
            continue
        elif row is not None and row.status == "POSTED" and there is None:
            code = "RECON_MISSING_IN_ERP"
        elif there is not None and (row is None or row.status != "POSTED"):
            code = "RECON_EXTRA_IN_ERP"
        elif there is not None and mine != net:
            code = "ERP_TOTAL_MISMATCH"
        if code:
            found.append(Difference(code=code, external_ref=reference, ours=mine, theirs=net))
        elif row is not None and row.status == "POSTED":
            matched += 1
    return found, matched


def _compared(
    connection: Connection,
    request: ReconciliationRequest,
    theirs: Sequence[ErpInvoice],
    actor: str,
) -> ReconciliationReport:
    at, telling = clock.now(), Telling(around().source)
    dated = select(invoice).where(
        invoice.c.erp_instance == request.erp_instance,
        invoice.c.invoice_date >= request.start,
        invoice.c.invoice_date < request.end,
    )
    ours = list(connection.execute(dated.order_by(invoice.c.external_ref)))
    found, matched = differences(ours, theirs)
    posted = [row for row in ours if row.status == "POSTED"]
    kinds = Counter(each.code for each in found)
    report = ReconciliationReport(
        id=uuid7(at),
        erp_instance=request.erp_instance,
        start=request.start,
        end=request.end,
        ran_at=at,
        ours=len(posted),
        theirs=len(theirs),
        matched=matched,
        duplicates=kinds["DUPLICATE"],
        lost=kinds["RECON_MISSING_IN_ERP"],
        extra=kinds["RECON_EXTRA_IN_ERP"],
        our_totals=_totals(Money(row.net_minor, row.currency) for row in posted),
        their_totals=_totals(each.net for each in theirs if each.status != "VOIDED"),
        differences=tuple(found),
    )
    _kept(connection, report, actor, at, telling)
    return report


def _kept(
    connection: Connection,
    report: ReconciliationReport,
    actor: str,
    at: datetime,
    telling: Telling,
) -> None:
    connection.execute(
        reconciliation.insert().values(
            id=report.id, erp_instance=report.erp_instance, start=report.start, end=report.end,
            ran_at=at, report=msgspec.json.encode(report),
        )
    )  # fmt: skip
    audit.append(connection, actor=actor, action="reconciliation.ran", subject=report.id)
    telling.tell([fact(f"recon:{report.id}", "recon.completed", report.id, at, report)])
    references = [each.external_ref for each in report.differences]
    live = work_items.live_of(connection, "invoice", references)
    changes = [
        Change(
            Subject("invoice", each.external_ref, 0),
            [
                finding(
                    _ITEM_CODES.get(each.code, each.code), f"invoice:{each.external_ref}",
                    erp_instance=report.erp_instance, observed=str(each.theirs),
                    expected=str(each.ours), difference=each.code,
                )
            ],
            each.ours or each.theirs,
            live.get(each.external_ref, ()),
        )
        for each in report.differences
    ]  # fmt: skip
    telling.tell(work_items.settle(connection, changes, at))
    telling.done(connection)


def _totals(amounts: Iterable[Money]) -> tuple[Money, ...]:
    sums: dict[str, Money] = {}
    for amount in amounts:
        sums[amount.currency] = (
            sums[amount.currency] + amount if amount.currency in sums else amount
        )
    return tuple(sums[currency] for currency in sorted(sums))
