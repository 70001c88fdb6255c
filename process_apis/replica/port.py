"""Implement the MasterData port: where the feeds are, and cross-references mended by hand."""

import asyncio

from sqlalchemy import Connection, select

from chassis import travel
from chassis.database import Database
from contracts.entities.record import CrossReference
from contracts.paging import Page
from contracts.ports.process.master_data import (
    Recorded,
    RecordRequest,
    Redrive,
    StreamState,
    SyncRequest,
)
from contracts.problem import Fault, FieldError, Problem
from process_apis import audit
from process_apis.pages import by_id
from process_apis.replica import poll, store
from process_apis.replica.poll import Poller
from process_apis.replica.replica import Mended, Replica, Taken
from process_apis.tables import cross_reference


class MasterDataPort:
    """The master-data lane as its callers see it. mended: see `Mended`."""

    def __init__(
        self,
        database: Database,
        replica: Replica,
        poller: Poller,
        mended: Mended,
    ) -> None:
        self._database, self._replica = database, replica
        self._poller, self._mended = poller, mended
        self._running: set[asyncio.Task[None]] = set()

    async def states(self) -> tuple[StreamState, ...]:
        return await self._database.read(poll.states)

    async def sync(self, body: SyncRequest, idempotency_key: str = "") -> tuple[StreamState, ...]:
        task = asyncio.create_task(self._poller.sync(body.streams))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if body.wait:
            await asyncio.shield(task)
        return await self.states()

    async def cross_references(
        self,
        entity: str | None = None,
        system: str | None = None,
        code: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[CrossReference]:
        wanted = {"entity": entity, "system": system, "code": code}
        return await self._database.read(lambda c: _page(c, wanted, cursor, limit))

    async def put_cross_reference(self, body: CrossReference, idempotency_key: str = "") -> Redrive:
        _complete(body)
        who = travel.caller().actor or travel.caller().subject
        reference = CrossReference(
            entity=body.entity, code=body.code, system=body.system,
            external_id=body.external_id, match="MANUAL", matched_by=body.matched_by or who,
        )  # fmt: skip

        def work(connection: Connection) -> Taken:
            taken = self._replica.taken(connection, references=[reference])
            audit.append(
                connection,
                actor=who,
                action="cross_reference.put",
                subject=f"{body.entity}:{body.system}:{body.external_id}",
                detail={"code": body.code, "redriven": taken.redriven},
            )
            return taken

        taken = await self._replica.write(self._database, work)
        await self._mended(taken)
        return Redrive(reference=reference, redriven=taken.redriven)

    async def put_records(self, body: RecordRequest, idempotency_key: str = "") -> Recorded:
        who = travel.caller().actor or travel.caller().subject

        def work(connection: Connection) -> Taken:
            taken = self._replica.taken(connection, body.records)
            audit.append(
                connection,
                actor=who,
                action="master_data.put",
                subject=",".join(":".join(store.key_of(record)) for record in body.records)[:500],
                detail={"records": taken.records, "redriven": taken.redriven},
            )
            return taken

        taken = await self._replica.write(self._database, work)
        await self._mended(taken)
        return Recorded(records=taken.records, redriven=taken.redriven)


def _complete(body: CrossReference) -> None:
    wrong = tuple(
        FieldError(f"/{name}", "is empty", "Fill it in.")
        for name in ("entity", "code", "system", "external_id")
        if not getattr(body, name)
    )
    if wrong:
        raise Problem(Fault.INVALID, "The cross-reference is not complete.", errors=wrong)


def _page(
    connection: Connection, wanted: dict[str, str | None], cursor: str | None, limit: int
) -> Page[CrossReference]:
    query = select(cross_reference).where(cross_reference.c.valid_to.is_(None))
    for name, value in wanted.items():
        if value is not None:
            query = query.where(cross_reference.c[name] == value)
    rows, after = by_id(connection, query, cross_reference.c.id, cursor, limit)
    return Page(tuple(store.reference_of(row) for row in rows), after, after is not None)
