"""The billing port: what finance does with runs and invoices, every decision in the audit trail."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from chassis import clock
from contracts.entities.ledger import Invoice
from contracts.paging import Page
from contracts.ports.process.billing import (
    BillingRun,
    BillingRunRequest,
    Decision,
    InvoiceSummary,
    LineTrace,
)
from contracts.problem import Fault, FieldError, Problem
from process_apis import audit, events
from process_apis.billing import drafts, posting, preview, reading
from process_apis.billing.around import around, who
from process_apis.billing.telling import Telling
from process_apis.pages import newest
from process_apis.tables import billing_run, invoice

Decide = Callable[[Connection, Row[Any], datetime, Telling], None]


class Desk:
    """Implements contracts.ports.process.billing.Billing over `around()`."""

    async def start_run(self, body: BillingRunRequest, idempotency_key: str = "") -> BillingRun:
        _sound(body)
        ask = preview.Ask(request=body, requested_by=who())
        await preview.start(ask)
        return await self._run(preview.run_id(body))

    async def runs(self, cursor: str | None = None, limit: int = 50) -> Page[BillingRun]:
        def look(connection: Connection) -> Page[BillingRun]:
            rows, after = newest(connection, billing_run, cursor, limit)
            return Page(tuple(reading.runs_of(connection, rows)), after, after is not None)

        return await around().database.read(look)

    async def run(self, id: str) -> BillingRun | None:
        return await around().database.read(lambda c: reading.run_by_id(c, id))

    async def approve_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        actor = who()

        def approve(connection: Connection, row: Row[Any], at: datetime, telling: Telling) -> None:
            _in_state(row, "PREVIEW")
            _state(connection, id, at, state="APPROVED", approved_by=actor)
            audit.append(
                connection, actor=actor, action="billing_run.approved", subject=id,
                reason=body.reason,
            )  # fmt: skip
            ids = _ids(connection, id, "DRAFT")
            drafts.restate(connection, ids, "APPROVED", "invoice.approved", at, telling)

        return await self._decide(id, approve)

    async def release_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        actor = who()

        def release(connection: Connection, row: Row[Any], at: datetime, telling: Telling) -> None:
            if row.state == "RELEASED":
                return
            _in_state(row, "APPROVED")
            if actor == row.requested_by and not around().allow_self_release:
                say = "Who asked for a run may not release it."
                raise Problem(Fault.FORBIDDEN, say)
            _state(connection, id, at, state="RELEASED", released_by=actor)
            audit.append(
                connection, actor=actor, action="billing_run.released", subject=id,
                reason=body.reason,
            )  # fmt: skip
            ids = _ids(connection, id, "APPROVED")
            drafts.restate(connection, ids, "QUEUED", "invoice.released", at, telling)

        run = await self._decide(id, release)
        await posting.queue_run(id)
        return run

    async def cancel_run(self, id: str, body: Decision, idempotency_key: str = "") -> BillingRun:
        actor = who()

        def cancel(connection: Connection, row: Row[Any], at: datetime, telling: Telling) -> None:
            if row.state == "CANCELLED":
                return
            _in_state(row, "PREVIEWING", "PREVIEW", "APPROVED", "FAILED")
            _state(connection, id, at, state="CANCELLED")
            audit.append(
                connection, actor=actor, action="billing_run.cancelled", subject=id,
                reason=body.reason,
            )  # fmt: skip
            ids = _ids(connection, id, "DRAFT", "APPROVED")
            drafts.give_back(connection, ids, around().snapshot(), at, telling)

        return await self._decide(id, cancel)

    async def invoices(
        self,
        run: str | None = None,
        status: str | None = None,
        billing_account: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[InvoiceSummary]:
        wanted = {
            invoice.c.billing_run: run,
            invoice.c.status: status,
            invoice.c.billing_account: billing_account,
        }
        clauses = [column == value for column, value in wanted.items() if value is not None]

        def look(connection: Connection) -> Page[InvoiceSummary]:
            rows, after = newest(connection, invoice, cursor, limit, *clauses)
            found = tuple(reading.summary_of(row) for row in rows)
            return Page(found, after, after is not None)

        return await around().database.read(look)

    async def invoice(self, id: str) -> Invoice | None:
        return await around().database.read(lambda c: reading.invoice_by_id(c, id))

    async def trace(self, id: str, line_no: int) -> LineTrace | None:
        return await around().database.read(lambda c: reading.trace_of(c, id, line_no))

    async def _run(self, id: str) -> BillingRun:
        found = await self.run(id)
        if found is None:
            raise Problem(Fault.NOT_FOUND, "There is no such billing run.")
        return found

    async def _decide(self, id: str, decide: Decide) -> BillingRun:
        """One decision about one run in one transaction."""
        source = around().source

        def work(connection: Connection) -> None:
            query = select(billing_run).where(billing_run.c.id == id).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                raise Problem(Fault.NOT_FOUND, "There is no such billing run.")
            telling = Telling(source)
            decide(connection, row, clock.now(), telling)
            telling.done(connection)

        await around().database.write(work)
        events.wake()
        return await self._run(id)


def _sound(request: BillingRunRequest) -> None:
    if not request.seed:
        raise Problem(
            Fault.INVALID, "The seed may not be empty.",
            errors=(FieldError("/seed", "is empty", "Leave it out, or give it a text."),),
        )  # fmt: skip


def _in_state(row: Row[Any], *states: str) -> None:
    if row.state not in states:
        raise Problem(Fault.CONFLICT, f"The run is {row.state}.")


def _state(connection: Connection, id: str, at: datetime, **values: str) -> None:
    connection.execute(
        update(billing_run).where(billing_run.c.id == id).values(updated_at=at, **values)
    )


def _ids(connection: Connection, run: str, *statuses: str) -> Sequence[str]:
    query = select(invoice.c.id).where(invoice.c.billing_run == run, invoice.c.status.in_(statuses))
    return list(connection.execute(query).scalars())
