"""Run turns as long as there is work, and set aside the one entry that no turn can digest.

A failing batch is tried again in tenths, down to one entry; that one is given up after
ATTEMPTS_MAX turns with a work item, so that a single bad entry never stops all others.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from chassis import clock, metrics
from chassis.database import Database
from chassis.log import log
from chassis.metrics import Kind, Metric
from process_apis import bulk, events, work_items
from process_apis.intake import evaluate
from process_apis.intake.evaluate import Recalculate, Turn
from process_apis.journeys.approved_time_to_invoice.rules import schema_invalid
from process_apis.replica.replica import Replica
from process_apis.tables import inbox, time_entry
from process_apis.work_items import Subject

BATCH = 2_000
ATTEMPTS_MAX = 3
_log = log("process.intake")
_JUDGED = Metric("entries_judged_total", Kind.COUNTER, "Entries judged.")
_TURN = Metric("evaluation_turn_seconds", Kind.HISTOGRAM, "Time a turn took.")


class Worker:
    """One a process. batch: inbox rows a turn. recalculate: see `evaluate.turn`."""

    def __init__(
        self,
        database: Database,
        replica: Replica,
        *,
        source: str,
        recalculate: Recalculate,
        batch: int = BATCH,
    ) -> None:
        self._database, self._replica = database, replica
        self._source, self._recalculate = source, recalculate
        self._batch = self._limit = batch
        self._poked = asyncio.Event()
        metrics.declare(_JUDGED, _TURN)

    def poke(self) -> None:
        """There is work: do not wait for the next look."""
        self._poked.set()

    async def once(self) -> Turn:
        """One turn, committed."""
        began = clock.monotonic()
        done = await self._database.write(self._turn(self._limit))
        if done.judged:
            metrics.count("entries_judged_total", done.judged)
            metrics.observe("evaluation_turn_seconds", clock.monotonic() - began)
        if done.events:
            events.wake()
        self._limit = min(self._batch, self._limit * 2)
        return done

    async def drain(self) -> int:
        """Turns until nothing waits; how many entries were judged."""
        judged = 0
        while (done := await self.once()).settled or done.judged:
            judged += done.judged
        return judged

    async def run(self, idle_s: float) -> None:
        """For ever. idle_s: how long to wait before looking again for other processes' work."""
        while True:
            self._poked.clear()
            try:
                done = await self.once()
                busy = bool(done.settled or done.judged)
            except Exception as error:  # house: except whatever a turn raises, the lane goes on
                busy = await self._stumbled(error)
            if not busy:
                await self._rest(idle_s)

    async def _rest(self, idle_s: float) -> None:
        try:
            await asyncio.wait_for(self._poked.wait(), idle_s)
        except TimeoutError:
            return

    async def _stumbled(self, error: Exception) -> bool:
        """True when it is worth trying again at once."""
        _log.exception("turn.failed", limit=self._limit, error=str(error))
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return False
        if self._limit > 1:
            self._limit = max(1, self._limit // 10)
            return True
        await self._database.write(lambda c: _give_up(c, self._source, str(error)))
        return False

    def _turn(self, limit: int) -> Callable[[Connection], Turn]:
        def work(connection: Connection) -> Turn:
            with self._replica.reading(connection) as snapshot:
                return evaluate.turn(
                    connection, snapshot, source=self._source, at=clock.now(), limit=limit,
                    recalculate=self._recalculate,
                )  # fmt: skip

        return work


def _give_up(connection: Connection, source: str, reason: str) -> None:
    """One failure more for the entry at the head; after the last it is dead and on a desk."""
    again = select(time_entry.c.entry_id).where(time_entry.c.redrive)
    stuck = connection.execute(again.order_by(time_entry.c.entry_id).limit(1)).scalar()
    if stuck is not None:  # it stays as it is; the next change of its cause tries again
        connection.execute(
            time_entry.update().where(time_entry.c.entry_id == stuck).values(redrive=False)
        )
    head = select(inbox).where(inbox.c.state == "WAITING").order_by(inbox.c.seq).limit(1)
    row = connection.execute(head).one_or_none()
    if row is None:
        return
    dead = row.attempts + 1 >= ATTEMPTS_MAX
    connection.execute(
        inbox.update()
        .where(inbox.c.seq == row.seq)
        .values(attempts=row.attempts + 1, state="DEAD" if dead else "WAITING")
    )
    if dead:
        found = schema_invalid(row.entry_id, "", reason[:500])
        subject = Subject("time_entry", row.entry_id, row.source_version)
        live = work_items.live_of(connection, "time_entry", [row.entry_id])
        taken = {(r.code, r.subject_version) for r in live.get(row.entry_id, ())}
        if (found.code, row.source_version) not in taken:
            item = work_items.new_item(subject, found, None, clock.now())
            events.append(connection, source, work_items.open_items(connection, [item]))


def resume(connection: Connection) -> int:
    """Corrections that waited for an invoice try again; those still waiting wait on."""
    waits = inbox.update().where(inbox.c.state == "DEFERRED").values(state="WAITING")
    return connection.execute(waits).rowcount


def ask_again(connection: Connection, entry_ids: list[str]) -> int:
    """Have these entries judged again."""
    if not entry_ids:
        return 0
    return connection.execute(
        time_entry.update()
        .where(bulk.among(connection, time_entry.c.entry_id, entry_ids))
        .values(redrive=True)
    ).rowcount
