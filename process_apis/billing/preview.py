"""The durable part of a billing run: make the drafts, and later queue what was released.

Both are workflows of one step each or one step an invoice; whatever they decide is committed to
our own tables first, so that running a step again finds it done.
"""

from datetime import datetime

import msgspec
from dbos import DBOS, SetWorkflowID
from msgspec import Struct
from sqlalchemy import Connection, select, update

from chassis import clock
from contracts.ids import digest
from contracts.money import Money
from contracts.ports.process.billing import BillingRunRequest
from contracts.problem import Problem
from process_apis import audit, bulk, events
from process_apis.billing import drafts
from process_apis.billing.around import Around, around
from process_apis.billing.telling import Telling
from process_apis.persisted import persisted
from process_apis.tables import billing_run, invoice

_NEW_RUN = ("id", "state", "request", "requested_by", "created_at", "updated_at")


@persisted("billing.Ask")
class Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """requested_by: set from who is calling, never by the caller's word."""

    request: BillingRunRequest
    requested_by: str = ""


@persisted("billing.Preview")
class Preview(Struct, frozen=True, kw_only=True):
    """left_out: groups without a positive net or without an ERP; their rows stay READY."""

    run: str
    invoices: int
    transactions: int
    left_out: int
    totals: tuple[Money, ...]


def run_id(request: BillingRunRequest) -> str:
    """The same request is the same run, whoever sends it and however often."""
    parts = (
        request.cutoff.isoformat(), request.invoice_date.isoformat(),
        *(",".join(sorted(set(each))) for each in
          (request.legal_entities, request.contracts, request.clients)),
        request.seed,
    )  # fmt: skip
    return f"BR-{digest(parts)[:16]}"


def workflow_id(ask: Ask) -> str:
    """Of the durable run that makes the drafts."""
    return f"approved_time_to_invoice:{run_id(ask.request)}"


def place(connection: Connection, ask: Ask, at: datetime) -> bool:
    """Write the run unless it is there, also when somebody else writes it now. True if new."""
    id, now = run_id(ask.request), bulk.form(connection).instant(at)
    row = id, "PREVIEWING", msgspec.json.encode(ask.request), ask.requested_by, now, now
    if not bulk.insert_new(connection, billing_run, _NEW_RUN, [row]):
        return False
    audit.append(connection, actor=ask.requested_by, action="billing_run.started", subject=id)
    return True


@DBOS.step(name="billing.preview", retries_allowed=True, max_attempts=5)
async def preview(ask: Ask) -> Preview:
    """Drafts, lines and claims in one transaction; done once is done."""
    made = await around().database.write(lambda c: _preview(c, ask, around(), clock.now()))
    events.wake()
    return made


@DBOS.step(name="billing.failed")
async def failed(ask: Ask, say: str) -> None:
    """The run stands as FAILED with what was wrong."""
    run = run_id(ask.request)
    await around().database.write(
        lambda c: c.execute(
            update(billing_run)
            .where(billing_run.c.id == run, billing_run.c.state == "PREVIEWING")
            .values(state="FAILED", say=say, updated_at=clock.now())
        )
    )


@DBOS.workflow(name="approved_time_to_invoice", max_recovery_attempts=1000)
async def billing_run_of(ask: Ask) -> Preview:
    """Approved time up to the cutoff becomes drafts that finance can look at."""
    try:
        return await preview(ask)
    except Problem as problem:
        await failed(ask, problem.say)
        raise


async def start(ask: Ask) -> None:
    """Begin, or go along with the run that is there."""
    await around().database.write(lambda c: place(c, ask, clock.now()))
    with SetWorkflowID(workflow_id(ask)):
        await DBOS.start_workflow_async(billing_run_of, ask)


def _preview(connection: Connection, ask: Ask, here: Around, at: datetime) -> Preview:
    drafts.alone(connection)
    place(connection, ask, at)
    run, request = run_id(ask.request), ask.request
    row = connection.execute(select(billing_run).where(billing_run.c.id == run)).one()
    if row.state != "PREVIEWING":
        return _standing(connection, run)
    snapshot, telling = here.snapshot(), Telling(here.source)
    rows = drafts.ready_rows(connection, request, snapshot)
    made, left_out = drafts.make(
        connection, rows, snapshot, request, tenant=here.tenant, run=run, at=at, telling=telling
    )
    transactions = drafts.count_transactions(connection, run)
    say = f"{left_out} groups without a positive net or an ERP stay ready." if left_out else ""
    connection.execute(
        update(billing_run)
        .where(billing_run.c.id == run)
        .values(
            state="PREVIEW", updated_at=at, invoices=len(made), transactions=transactions,
            lines=sum(len(each.lines) for each in made), say=say,
        )
    )  # fmt: skip
    telling.done(connection)
    return msgspec.structs.replace(_standing(connection, run), left_out=left_out)


def _standing(connection: Connection, run: str) -> Preview:
    sums: dict[str, int] = {}
    count = 0
    for row in connection.execute(select(invoice).where(invoice.c.billing_run == run)):
        sums[row.currency] = sums.get(row.currency, 0) + row.net_minor
        count += 1
    return Preview(
        run=run,
        invoices=count,
        transactions=drafts.count_transactions(connection, run),
        left_out=0,
        totals=tuple(Money(sums[currency], currency) for currency in sorted(sums)),
    )
