"""Runs as finance sees them: one request one run, two people, every row on one draft."""

import asyncio
from time import perf_counter

import msgspec
import pytest
from erp_witness import Witness
from office import request_of, until
from sqlalchemy import func, select

from chassis import clock
from contracts.ports.process.billing import Decision
from contracts.problem import Fault, Problem
from process_apis import audit
from process_apis.billing.around import around
from process_apis.billing.drafts import recalculate
from process_apis.billing.telling import Telling
from process_apis.runs import Runs
from process_apis.tables import audit_entry, event_log, invoice_transaction, ledger, time_entry


async def previewed(office, **more):
    with office.acting("ann"):
        run = await office.desk.start_run(request_of(**more))
    await until(lambda: office.state_of(run.id), "PREVIEW")
    return await office.desk.run(run.id)


async def test_preview_claims_each_row_once_and_rounds_at_the_line(opened):
    """Golden 2: seven entries of 10.. minutes are one line; Σ billed = line."""
    async with opened(Witness(), contracts=2) as office:
        run = await previewed(office)
        assert (run.invoices, run.lines, run.transactions) == (2, 2, 14)
        assert [str(total) for total in run.totals] == ["585.66 GBP"]
        page = await office.desk.invoices(run=run.id)
        whole = await office.desk.invoice(page.items[0].id)
        assert (whole.net.minor, len(whole.lines[0].transactions)) == (29283, 7)

        def spread(c):
            query = select(func.sum(invoice_transaction.c.billed_minor)).where(
                invoice_transaction.c.invoice_id == whole.id
            )
            return c.execute(query).scalar(), set(c.execute(select(ledger.c.status)).scalars())

        assert await office.database.read(spread) == (29283, {"ON_DRAFT"})


async def test_same_request_is_the_same_run(opened):
    """However often it comes; another seed is another run, with nothing left to bill."""
    async with opened(Witness()) as office:
        with office.acting("ann"):
            both = await asyncio.gather(*(office.desk.start_run(request_of()) for _ in range(3)))
        assert len({run.id for run in both}) == 1
        await until(lambda: office.state_of(both[0].id), "PREVIEW")
        other = await previewed(office, seed="2")
        assert (other.invoices, other.totals) == (0, ())


async def test_who_asked_may_not_release_and_order_is_kept(opened):
    """Separation of duties, and no step out of turn."""
    async with opened(Witness()) as office:
        run = await previewed(office)
        with office.acting("ann"):
            with pytest.raises(Problem) as early:
                await office.desk.release_run(run.id, Decision())
            await office.desk.approve_run(run.id, Decision(reason="looks right"))
            with pytest.raises(Problem) as self_release:
                await office.desk.release_run(run.id, Decision())
        assert early.value.fault is Fault.CONFLICT
        assert self_release.value.fault is Fault.FORBIDDEN
        assert await office.state_of(run.id) == "APPROVED"

        def trail(c):
            query = select(audit_entry.c.action, audit_entry.c.actor).order_by(audit_entry.c.seq)
            return audit.broken_at(c), [tuple(row) for row in c.execute(query)]

        broken, actions = await office.database.read(trail)
        assert broken is None
        assert actions == [("billing_run.started", "ann"), ("billing_run.approved", "ann")]


async def test_cancelled_run_gives_every_row_back(opened):
    """Rows and entries are READY, another run may bill them; a released run cannot be cancelled."""
    async with opened(Witness()) as office:
        run = await previewed(office)
        with office.acting("bob"):
            assert (await office.desk.cancel_run(run.id, Decision())).state == "CANCELLED"

        def states(c):
            return (
                set(c.execute(select(ledger.c.status)).scalars()),
                set(c.execute(select(time_entry.c.billing_state)).scalars()),
            )

        assert await office.database.read(states) == ({"READY"}, {"READY"})
        released = await office.released(request_of(seed="2"))
        with office.acting("bob"), pytest.raises(Problem) as late:
            await office.desk.cancel_run(released, Decision())
        assert late.value.fault is Fault.CONFLICT
        await until(lambda: office.state_of(released), "DONE")


async def told(office):
    """(entry, state, client, partition) as a dashboard hears it, in order."""

    def look(c):
        query = select(event_log).where(event_log.c.type == "firmwire.time_entry.evaluated.v1")
        rows = c.execute(query.order_by(event_log.c.position)).all()
        return [(msgspec.json.decode(row.payload), row.partitionkey) for row in rows]

    found = await office.database.read(look)
    return [
        (data["entry_id"], data["billing_state"], data["client"], partition)
        for data, partition in found
    ]


async def test_dashboards_hear_where_every_entry_went(opened):
    """Onto a draft, off it when the run is cancelled, onto another, and into the books."""
    async with opened(Witness(), rows_each=2) as office:
        run = await previewed(office)
        with office.acting("bob"):
            await office.desk.cancel_run(run.id, Decision())
        await office.released(request_of(seed="2"))

        async def statuses():
            return sorted(await office.statuses())

        await until(statuses, ["CANCELLED", "POSTED"])
        heard = await told(office)
        for entry in ("psa:1-0", "psa:1-1"):
            states = [state for id, state, _, _ in heard if id == entry]
            assert states == ["ON_DRAFT", "READY", "ON_DRAFT", "BILLED"]
        assert {(client, partition) for _, _, client, partition in heard} == {
            ("CL-0001", "contract:C-0001")
        }


async def test_trace_leads_from_a_line_to_approvals_and_attempts(opened):
    """One line back to its rows, entries with approvals, and what the ERP was asked."""
    async with opened(Witness()) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        row = await office.only()
        trace = await office.desk.trace(row.id, 1)
        assert (len(trace.transactions), len(trace.entries)) == (7, 7)
        assert {entry.approval.approver.id for entry in trace.entries} == {"E0002"}
        assert [attempt["outcome"] for attempt in trace.attempts] == ["SUCCESS"]
        assert sum(each.billed_minor for each in trace.transactions) == trace.line.net.minor
        assert await office.desk.trace(row.id, 2) is None
        assert await office.desk.invoice("none") is None


async def test_draft_that_lost_a_row_is_summed_anew(opened):
    """A correction pulled one entry: the same reference, another net; without rows: cancelled."""
    async with opened(Witness()) as office:
        await previewed(office)
        before = await office.only()

        def pull(rows):
            def work(c):
                claim = invoice_transaction.c
                gone = c.execute(select(claim.transaction_id).limit(rows)).scalars().all()
                c.execute(
                    invoice_transaction.update()
                    .where(claim.transaction_id.in_(gone))
                    .values(live=False)
                )
                c.execute(ledger.update().where(ledger.c.id.in_(gone)).values(status="REVERSED"))
                telling = Telling("/acme/process")
                recalculate(c, [before.id], around().snapshot(), clock.now(), telling)
                telling.done(c)

            return work

        await office.database.write(pull(1))
        after = await office.only()
        assert (after.external_ref, after.net_minor) == (before.external_ref, 25100)
        assert after.content_hash != before.content_hash
        await office.database.write(pull(7))
        assert (await office.only()).status == "CANCELLED"


async def test_runs_port_shows_the_posting_too(opened):
    """All durable work has one face."""
    async with opened(Witness()) as office:
        await office.released()
        await until(office.statuses, ["POSTED"])
        runs = Runs()

        async def states():
            found = (await runs.runs()).items
            return {(run.journey, run.state) for run in found}

        await until(
            states,
            {("approved_time_to_invoice", "DONE"), ("release_run", "DONE"),
             ("post_invoice", "DONE")},
        )  # fmt: skip
        posted = (await runs.runs(journey="post_invoice")).items[0]
        one = await runs.run(posted.id)
        assert [step.name for step in one.steps] == ["post_invoice.attempt"]
        assert one.result == "POSTED"


async def test_twenty_thousand_rows_are_one_preview(opened):
    """Set-based: seconds, not minutes."""
    async with opened(Witness(), contracts=40, rows_each=500) as office:
        began = perf_counter()
        run = await previewed(office)
        took_s = perf_counter() - began
        assert (run.invoices, run.transactions) == (40, 20_000)
        assert took_s < 15
