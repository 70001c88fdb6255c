"""Corrections of time that stands on an invoice: pulled, deferred, or put on finance's desk."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from contracts.ports.process.billing import BillingRunRequest
from process_apis.billing import drafts
from process_apis.billing.telling import Telling
from process_apis.intake import worker
from process_apis.tables import (
    billing_run,
    inbox,
    invoice,
    invoice_line,
    invoice_transaction,
    ledger,
    time_entry,
    work_item,
)

AT = datetime(2026, 6, 1, tzinfo=UTC)
ASK = BillingRunRequest(cutoff=date(2026, 6, 1), invoice_date=date(2026, 6, 1))


def draft(world: Any) -> None:
    """All that is ready, on drafts of one run, as billing makes them."""

    def work(connection: Any) -> None:
        connection.execute(
            billing_run.insert().values(
                id="run", state="PREVIEW", request=msgspec.json.encode(ASK), requested_by="ann",
                created_at=AT, updated_at=AT,
            )
        )  # fmt: skip
        telling = Telling("/acme/process")
        with world.replica.reading(connection) as snapshot:
            rows = drafts.ready_rows(connection, ASK, snapshot)
            drafts.make(
                connection, rows, snapshot, ASK, tenant="acme", run="run", at=AT, telling=telling
            )
        telling.done(connection)

    world.do(work)


def stand(world: Any, status: str, rows: str | None = None) -> None:
    """The invoice has come this far."""
    world.do(lambda c: c.execute(invoice.update().values(status=status)))
    if rows is not None:
        sales = ledger.c.status == "ON_DRAFT"
        world.do(lambda c: c.execute(ledger.update().where(sales).values(status=rows)))
        world.do(lambda c: c.execute(time_entry.update().values(billing_state=rows)))


@pytest.mark.parametrize("status", ["DRAFT", "APPROVED", "POST_REJECTED"])
async def test_a_correction_pulls_its_row_from_the_draft(world: Any, status: str) -> None:
    """The draft is summed anew without it and needs approval again."""
    await world.deliver(world.entry("1"), world.entry("2", work_date=date(2026, 5, 5)))
    draft(world)
    stand(world, status)
    assert world.scalar(select(invoice.c.net_minor)) == 28_000
    await world.deliver(world.entry("1", version=2, minutes=30))
    made = world.rows(select(invoice))[0]
    assert (made.status, made.net_minor) == ("DRAFT", 14_000)
    assert world.scalar(select(func.sum(invoice_line.c.net_minor))) == 14_000
    assert (world.state("1"), world.state("2")) == ("READY", "ON_DRAFT")
    live = select(invoice_transaction.c.transaction_id).where(invoice_transaction.c.live)
    assert len(world.rows(live)) == 1


async def test_a_correction_waits_while_the_invoice_is_on_its_way(world: Any) -> None:
    """Nothing moves under a posting; a warning says why, and afterwards it goes on by itself."""
    await world.deliver(world.entry())
    draft(world)
    stand(world, "POSTING")
    await world.deliver(world.entry(version=2, minutes=30))
    assert world.codes() == {"CORRECTION_PENDING_POST"}
    assert world.state() == "ON_DRAFT"
    assert [row.state for row in world.rows(select(inbox).order_by(inbox.c.seq))] == [
        "DONE", "DEFERRED",
    ]  # fmt: skip
    world.do(worker.resume)
    await world.worker.drain()
    assert world.count(work_item) == 1
    stand(world, "DRAFT")
    world.do(worker.resume)
    await world.worker.drain()
    assert world.state() == "READY"
    assert [row.bill_minutes for row in world.live_rows() if row.type != "COST"] == [30]
    assert world.codes() == set()


async def test_billed_time_stays_billed_and_the_difference_is_on_a_desk(world: Any) -> None:
    """The ledger of a posted invoice does not move; finance sees hours and money."""
    await world.deliver(world.entry())
    draft(world)
    stand(world, "POSTED", "BILLED")
    before = world.live_rows()
    await world.deliver(world.entry(version=2, minutes=30))
    assert world.state() == "BILLED"
    assert world.live_rows() == before
    item = world.rows(select(work_item))[0]
    assert item.code == "CORRECTION_AFTER_BILLING"
    context = msgspec.json.decode(item.context)
    assert (context["minutes"], context["amount"]) == (-30, {"minor": -7000, "currency": "GBP"})


async def test_a_new_version_that_bills_the_same_needs_nobody(world: Any) -> None:
    """A narrative mended after billing is history, not an exception."""
    await world.deliver(world.entry())
    draft(world)
    stand(world, "POSTED", "BILLED")
    await world.deliver(world.entry(version=2, narrative="better words"))
    assert world.state() == "BILLED"
    assert world.count(work_item) == 0
