"""Implement the TimeEntries port over the inbox, the worker and the tables."""

from msgspec import Raw
from sqlalchemy import Connection

from chassis import clock
from chassis.database import Database
from contracts.paging import Page
from contracts.ports.process.time_entries import (
    BatchResult,
    EntryStatus,
    EvaluationReply,
    EvaluationRequest,
    IntakeProgress,
)
from contracts.problem import Fault, Problem
from process_apis.intake import claim, hours, reading, receive
from process_apis.intake.evaluate import state_of
from process_apis.intake.worker import Worker
from process_apis.journeys.approved_time_to_invoice.rules import Peer, case_of, evaluate, peer_of
from process_apis.replica.replica import Replica

DRY_RUN_MAX = 500


class TimeEntriesPort:
    """The transactional lane as its callers see it."""

    def __init__(self, database: Database, replica: Replica, worker: Worker) -> None:
        self._database, self._replica, self._worker = database, replica, worker

    async def receive(self, body: Raw, idempotency_key: str = "") -> BatchResult:
        good, refused = receive.read(body)
        accepted = duplicates = 0
        if good:
            at = clock.now()
            accepted, duplicates = await self._database.write(
                lambda connection: receive.store(connection, good, at)
            )
        if accepted:
            self._worker.poke()
        return BatchResult(accepted=accepted, duplicates=duplicates, refused=tuple(refused))

    async def evaluate(self, body: EvaluationRequest) -> tuple[EvaluationReply, ...]:
        if len(body.entries) > DRY_RUN_MAX:
            raise Problem(Fault.INVALID, f"Send at most {DRY_RUN_MAX} entries at once.")
        return await self._database.read(lambda connection: self._judged(connection, body))

    async def entries(
        self,
        state: str | None = None,
        project: str | None = None,
        resource: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[EntryStatus]:
        filters = {"billing_state": state, "project": project, "resource": resource}
        return await self._database.read(
            lambda connection: reading.entries(connection, filters, cursor, limit)
        )

    async def progress(self) -> IntakeProgress:
        return await self._database.read(reading.progress)

    async def entry(self, entry_id: str) -> EntryStatus | None:
        return await self._database.read(lambda connection: reading.entry(connection, entry_id))

    def _judged(
        self, connection: Connection, body: EvaluationRequest
    ) -> tuple[EvaluationReply, ...]:
        """Each entry among the others of the request that fall on the same person and day."""
        today = clock.now().date()
        stored = claim.load(connection, {str(entry.ref) for entry in body.entries})
        with self._replica.reading(connection) as snapshot:
            worked = [
                hours.Worked(
                    e, snapshot.person(e.resource), stored.get(str(e.ref)), case_of(e, snapshot)
                )
                for e in body.entries
            ]
            minutes = hours.others(connection, worked)
            by_day: dict[tuple[str, object], list[Peer]] = {}
            for entry in body.entries:
                day = (snapshot.person(entry.resource), entry.work_date)
                by_day.setdefault(day, []).append(peer_of(entry, snapshot))
            outcomes = [
                evaluate(
                    entry,
                    snapshot,
                    today=today,
                    worked_minutes=minutes.get(str(entry.ref)),
                    peers=by_day[snapshot.person(entry.resource), entry.work_date],
                )
                for entry in body.entries
            ]
        return tuple(
            EvaluationReply(
                entry_id=outcome.entry_id,
                billing_state=state_of(outcome, entry),
                findings=outcome.findings,
                transactions=outcome.transactions,
                amount=outcome.amount,
            )
            for outcome, entry in zip(outcomes, body.entries, strict=True)
        )
