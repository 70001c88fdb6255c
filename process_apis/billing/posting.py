"""Post released invoices exactly once: one durable run an invoice, in the queue of its ERP.

What has been done is in our own tables (attempts.py), committed before each call; the engine only
brings a run back to life. So a run that starts again, however it ended, reads where it stands.
An invoice nobody is sure of leaves the queue: another run settles it, outside the ERP's lanes.
Source  domain.md C.4, C.5.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from dbos import DBOS, SetWorkflowID
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock, metrics, travel
from chassis.limiter import Lane
from chassis.log import log
from chassis.metrics import Kind, Metric
from chassis.travel import Travel
from contracts.entities.finance import ErpInvoice
from contracts.ports.system.erp import Erp, PostingTraits
from contracts.problem import Problem
from process_apis import events
from process_apis.billing import attempts
from process_apis.billing.around import around
from process_apis.billing.attempts import Look, Rest, Send
from process_apis.billing.findings import finding
from process_apis.billing.gate import Gate
from process_apis.billing.gates import gate_of, open_queue, queue_of, traits_of
from process_apis.billing.telling import Telling
from process_apis.billing.verdict import pause_code, refusal_code, verdict
from process_apis.journey import port
from process_apis.persisted import persisted

T = TypeVar("T")

DEADLINE_S = 60.0
LATER_S = (900.0, 3600.0)
HOUR_S = 3600.0
FRESH_S = 60.0
_log = log("process.posting")
metrics.declare(
    Metric("posting_moves_total", Kind.COUNTER, "Moves of invoices.", ("instance", "outcome"))
)


@persisted("posting.Target")
class Target(Struct, frozen=True):
    """version: of the invoice when it was queued; a refused one is queued again as the next."""

    invoice: str
    reference: str
    instance: str
    version: int

    @property
    def run_id(self) -> str:
        """The same invoice queued once is one run."""
        return f"post_invoice:{self.reference}:{self.version}"


@DBOS.workflow(name="post_invoice", max_recovery_attempts=None)
async def post_invoice(target: Target) -> str:
    """The status the invoice ends in, IN_DOUBT when another run goes on with it."""
    status = await attempt(target)
    if status == "IN_DOUBT":
        with SetWorkflowID(f"settle_invoice:{target.reference}:{target.version}"):
            await DBOS.start_workflow_async(settle_invoice, target)
    return status


@DBOS.workflow(name="settle_invoice", max_recovery_attempts=None)
async def settle_invoice(target: Target) -> str:
    """Look until it is certain. Absent twice, a settle time apart: sent again, same reference."""
    number = 0
    while True:
        await DBOS.sleep_async(await until_look(target, number))
        seen = await look(target)
        if seen in attempts.FINAL:
            return seen
        if seen == "SEND_AGAIN":
            await enqueue(await queue_again(target))
            return "QUEUED"
        number += 1


@DBOS.step(name="post_invoice.attempt", retries_allowed=True, max_attempts=50, backoff_rate=1.5)
async def attempt(target: Target) -> str:
    """Send, unless it is there or may be. Waits while the ERP takes nothing."""
    gate = await gate_of(target.instance)
    traits = await traits_of(target.instance)
    while True:
        async with gate.lane():
            with travel.using(_journey(target)):
                move = await _begin(target, traits)
                answer = await _called(target, move)
        # Booking needs no place at the ERP: the next call goes out meanwhile.
        with travel.using(_journey(target)):
            status = await _booked(target, gate, move, answer)
        if status:
            metrics.count("posting_moves_total", instance=target.instance, outcome=status)
            return status


@DBOS.step(name="settle_invoice.until_look", retries_allowed=True, max_attempts=50)
async def until_look(target: Target, number: int) -> float:
    """Seconds until lookup `number`: settle, twice that, 15 min, 1 h, then hourly, since the

    doubt arose; and never sooner than a settle time after the lookup before it.
    """
    settle_s = (await traits_of(target.instance)).settle_s
    now = clock.now()

    def read(connection: Connection) -> tuple[datetime, list[datetime]]:
        since = attempts.doubted_at(connection, target.invoice) or now
        return since, attempts.absences(connection, target.invoice, since)

    since, seen = await around().database.read(read)
    due = since + timedelta(seconds=_offset_s(settle_s, number))
    if seen:
        due = max(due, seen[-1] + timedelta(seconds=settle_s))
    return max(0.0, (due - now).total_seconds())


@DBOS.step(name="settle_invoice.look", retries_allowed=True, max_attempts=50, backoff_rate=1.5)
async def look(target: Target) -> str:
    """POSTED, ERP_CONFLICT, ABSENT, or SEND_AGAIN once it is certain that it is not there."""
    gate = await gate_of(target.instance)
    settle_s = (await traits_of(target.instance)).settle_s
    while True:
        with travel.using(_journey(target)):
            seen = await _look(target, gate, None)
        if seen:
            break

    def certain(connection: Connection) -> bool:
        since = attempts.doubted_at(connection, target.invoice)
        absent = attempts.absences(connection, target.invoice, since) if since else []
        return len(absent) > 1 and (absent[-1] - absent[0]).total_seconds() >= settle_s

    if seen == "ABSENT" and await around().database.read(certain):
        return "SEND_AGAIN"
    return seen


@DBOS.step(name="settle_invoice.queue_again", retries_allowed=True, max_attempts=50)
async def queue_again(target: Target) -> Target:
    """The invoice is QUEUED as its next version; done once is done."""

    def work(connection: Connection) -> int:
        row = attempts.locked(connection, target.invoice)
        if row.status != "IN_DOUBT":
            return int(row.version)
        return attempts.queue_again(connection, target.invoice, clock.now())

    version = await around().database.write(work)
    return Target(target.invoice, target.reference, target.instance, version)


async def enqueue(target: Target) -> None:
    """Put an invoice in the queue of its ERP; twice is as once."""
    with SetWorkflowID(target.run_id):
        await DBOS.enqueue_workflow_async(queue_of(target.instance), post_invoice, target)


@DBOS.step(name="release_run.targets", retries_allowed=True, max_attempts=5)
async def targets_of(run: str) -> tuple[Target, ...]:
    """The queued invoices of a run, and a queue for each of their ERPs."""

    def read(connection: Connection) -> tuple[Target, ...]:
        rows = attempts.among_statuses(connection, ["QUEUED"])
        return tuple(
            Target(row.id, row.external_ref, row.erp_instance, row.version)
            for row in rows
            if row.billing_run == run
        )

    return await around().database.read(read)


@DBOS.workflow(name="release_run", max_recovery_attempts=1000)
async def release_run(run: str) -> int:
    """Queue every invoice of a released run; how many."""
    targets = await targets_of(run)
    for target in targets:
        await enqueue(target)
    return len(targets)


async def queue_run(run: str) -> None:
    """Begin to post a released run."""
    for instance in {target.instance for target in await targets_of(run)}:
        await open_queue(instance)
    with SetWorkflowID(f"release_run:{run}"):
        await DBOS.start_workflow_async(release_run, run)


async def _begin(target: Target, traits: PostingTraits) -> Send | Look | Rest:
    return await _write(
        lambda c, told: attempts.begin(
            c, target.invoice, clock.now(), told, deadline_s=DEADLINE_S,
            fresh_s=max(traits.settle_s, FRESH_S), careful=traits.idempotency == "D",
        )
    )  # fmt: skip


async def _called(target: Target, move: Send | Look | Rest) -> ErpInvoice | Problem | None:
    """What the ERP said to this move; a Problem is an answer too."""
    erp = port(Erp, target.instance)
    try:
        if isinstance(move, Send):
            return await erp.post_invoice(move.document)
        if isinstance(move, Look):
            return await erp.invoice_by_reference(target.reference)
    except Problem as problem:
        return problem
    return None


async def _booked(
    target: Target, gate: Gate, move: Send | Look | Rest, answer: ErpInvoice | Problem | None
) -> str:
    """Commit what the answer means; the status when there is nothing more to do, else empty."""
    if isinstance(move, Rest):
        return move.status
    if isinstance(move, Look):
        seen = await _seen(target, gate, answer, None)
        return "" if seen == "ABSENT" else seen
    if isinstance(answer, Problem):
        return await _troubled(target, gate, move, answer)
    if answer is None or not answer.number or answer.status == "DRAFT":
        return await _doubt(target, move, "answered without a number")
    found = answer
    await gate.went_well()
    await _write(
        lambda c, told: attempts.post(c, target.invoice, move.attempt_no, found, clock.now(), told)
    )
    return "POSTED"


async def _troubled(target: Target, gate: Gate, move: Send, problem: Problem) -> str:
    means = verdict(problem)
    _log.warning(
        "posting.troubled", reference=target.reference, code=problem.fault.code, means=means,
        because=problem.because or problem.say,
    )  # fmt: skip
    if means == "WAIT":
        await _write(
            lambda c, _: attempts.not_sent(c, target.invoice, move.attempt_no, problem, clock.now())
        )
        await gate.close(pause_code(problem), problem.retry_after_s)
        return ""
    if means == "THERE":
        return await _there(target, gate, move)
    if means == "DOUBT":
        return await _doubt(target, move, problem.fault.code)
    await gate.went_well()
    vendor = problem.vendor
    found = finding(
        refusal_code(problem), f"invoice:{target.invoice}", say=problem.say,
        vendor_code=vendor.code if vendor else "", vendor_says=vendor.message if vendor else "",
    )  # fmt: skip
    return await _write(
        lambda c, told: attempts.reject(
            c, target.invoice, move.attempt_no, [found], clock.now(), told
        )
    )


async def _there(target: Target, gate: Gate, move: Send) -> str:
    """The reference was taken: by us in an earlier life, or by somebody else. Look."""
    seen = await _look(target, gate, move.attempt_no)
    if seen in ("POSTED", "ERP_CONFLICT"):
        return seen
    return await _doubt(target, move, "the reference is taken, yet it is not found")


async def _doubt(target: Target, move: Send, because: str) -> str:
    return await _write(
        lambda c, told: attempts.doubt(
            c, target.invoice, move.attempt_no, because, clock.now(), told
        )
    )


async def _look(target: Target, gate: Gate, attempt_no: int | None) -> str:
    """What a strong read says, booked; empty when the ERP could not be asked."""
    async with gate.lane():
        with travel.using(_journey(target)):
            answer = await _called(target, Look())
    return await _seen(target, gate, answer, attempt_no)


async def _seen(
    target: Target, gate: Gate, answer: ErpInvoice | Problem | None, attempt_no: int | None
) -> str:
    if isinstance(answer, Problem):
        _log.warning("lookup.failed", reference=target.reference, because=str(answer))
        await gate.close(pause_code(answer), answer.retry_after_s)
        return ""
    await gate.went_well()
    return await _write(
        lambda c, told: attempts.looked(c, target.invoice, answer, attempt_no, clock.now(), told)
    )


async def _write(work: Callable[[Connection, Telling], T]) -> T:
    """One transaction with what it tells, and readers of the log woken."""
    source = around().source

    def whole(connection: Connection) -> tuple[T, int]:
        telling = Telling(source)
        result = work(connection, telling)
        return result, telling.done(connection)

    result, told = await around().database.write(whole)
    if told:
        events.wake()
    return result


def _journey(target: Target) -> Travel:
    """What is kept of an ERP's quota is kept for this. Whoever is held up for DEADLINE_S between

    the commit of an attempt and its call sends nothing any more: others may be at it.
    """
    return travel.begin(correlation_id=target.reference, deadline_s=DEADLINE_S, lane=Lane.POSTING)


def _offset_s(settle_s: float, number: int) -> float:
    """Seconds after the doubt at which lookup `number` (0, 1, ...) is due; strictly growing."""
    planned = [settle_s, 2 * settle_s]
    planned += [each for each in LATER_S if each > planned[-1]]
    if number < len(planned):
        return planned[number]
    return planned[-1] + HOUR_S * (number - len(planned) + 1)
