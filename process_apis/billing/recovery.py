"""At start: nothing that was released is forgotten, whatever the last process did not get to say.

The engine brings its own runs back. This looks for what no run is at work on: a crash between a
commit of ours and the start of its run, or a run that gave up. Later: invoices refused by the ERP
go again once their cause is mended.
"""

from collections.abc import Iterable, Sequence

import msgspec
from dbos import DBOS, SetWorkflowID
from sqlalchemy import Connection, Row, select

from chassis import clock
from chassis.log import log
from contracts.ids import uuid7
from contracts.ports.process.billing import BillingRunRequest
from process_apis import audit, bulk, events
from process_apis.billing import attempts, preview
from process_apis.billing.around import around
from process_apis.billing.gates import open_queue
from process_apis.billing.posting import Target, enqueue, settle_invoice
from process_apis.billing.telling import Telling
from process_apis.tables import (
    LIVE_ITEM_STATES,
    billing_run,
    unblock_key,
    work_item,
)

_ALIVE = ["PENDING", "ENQUEUED", "DELAYED"]
_log = log("process.posting")


async def recover() -> int:
    """Give every unfinished run and invoice somebody who works on it; how many had nobody."""
    await _previews()
    rows = await around().database.read(
        lambda c: attempts.among_statuses(c, ["QUEUED", "POSTING", "IN_DOUBT"])
    )
    for instance in sorted({row.erp_instance for row in rows}):
        await open_queue(instance)
    alive = await _alive(rows)
    lost = [row for row in rows if row.external_ref not in alive]
    for row in lost:
        _log.warning("posting.taken_up", reference=row.external_ref, status=row.status)
        target = Target(row.id, row.external_ref, row.erp_instance, row.version)
        if row.status == "QUEUED" and not await _ended(target.run_id):
            await enqueue(target)  # the same run whoever starts it: the release may be under way
        elif row.status == "IN_DOUBT":
            with SetWorkflowID(f"settle_invoice:{row.external_ref}:{uuid7(clock.now())}"):
                await DBOS.start_workflow_async(settle_invoice, target)
        else:
            await _queue_again([row.id], ("QUEUED", "POSTING"))
    return len(lost)


async def post_again(ids: Sequence[str], actor: str, reason: str) -> int:
    """Send refused invoices again, under the same reference; how many were POST_REJECTED."""

    def note(connection: Connection) -> None:
        for id in ids:
            audit.append(
                connection, actor=actor, action="invoice.queued_again", subject=id, reason=reason
            )

    await around().database.write(note)
    return await _queue_again(ids, ("POST_REJECTED",))


async def mended(keys: Iterable[str]) -> int:
    """Records or maps changed: refused invoices that wait for one of these keys go again."""
    wanted = list(dict.fromkeys(keys))

    def waiting(connection: Connection) -> list[str]:
        query = (
            select(work_item.c.subject_id)
            .join(unblock_key, unblock_key.c.work_item_id == work_item.c.id)
            .where(
                bulk.among(connection, unblock_key.c.key, wanted),
                work_item.c.subject_type == "invoice",
                work_item.c.state.in_(LIVE_ITEM_STATES),
            )
        )
        return sorted(set(connection.execute(query).scalars()))

    ids = await around().database.read(waiting) if wanted else []
    return await _queue_again(ids, ("POST_REJECTED",)) if ids else 0


async def _queue_again(ids: Sequence[str], statuses: Sequence[str]) -> int:
    def work(connection: Connection) -> list[Target]:
        at, telling = clock.now(), Telling(around().source)
        targets = []
        for id in ids:
            row = attempts.locked(connection, id)
            if row.status in statuses:
                version = attempts.queue_again(connection, id, at)
                targets.append(Target(id, row.external_ref, row.erp_instance, version))
        if targets:
            queued = [target.invoice for target in targets]
            attempts.tell_queued(connection, queued, at, telling)
        telling.done(connection)
        return targets

    targets = await around().database.write(work)
    for instance in sorted({target.instance for target in targets}):
        await open_queue(instance)
    for target in targets:
        await enqueue(target)
    events.wake()
    return len(targets)


async def _alive(rows: Sequence[Row[tuple[object, ...]]]) -> set[str]:
    """References that a run is at work on, or waits to be."""
    if not rows:
        return set()
    found = await DBOS.list_workflows_async(
        name=["post_invoice", "settle_invoice"], status=_ALIVE, load_input=False, load_output=False
    )
    return {each.workflow_id.split(":")[1] for each in found}


async def _ended(run_id: str) -> bool:
    """Was there a run of this id that will do nothing more."""
    status = await DBOS.get_workflow_status_async(run_id)
    return status is not None and status.status not in _ALIVE


async def _previews() -> None:
    def read(connection: Connection) -> list[preview.Ask]:
        query = select(billing_run).where(billing_run.c.state == "PREVIEWING")
        return [
            preview.Ask(
                request=msgspec.json.decode(row.request, type=BillingRunRequest),
                requested_by=row.requested_by,
            )
            for row in connection.execute(query)
        ]

    for ask in await around().database.read(read):
        await preview.start(ask)
