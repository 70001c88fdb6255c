"""This file exists to take up what a replica left behind that has gone for good.

Owns   the table executor_beat. Every replica counts its row up; one whose count stands still for
       SILENT_S is dead to the others, and its runs go on in them. No clock of another machine is
       believed: who watches measures the silence itself.
Fails  never by itself. Whoever was only held up comes back to runs that others have taken: each
       move of an invoice is committed before it is made, and no call goes out later than
       DEADLINE_S after its commit, which is sooner than anybody takes over.
"""

import asyncio

from dbos import DBOS
from sqlalchemy import Connection, delete, insert, select, update

from chassis import clock
from chassis.database import Database
from chassis.log import log
from process_apis.billing import recovery
from process_apis.billing.posting import DEADLINE_S
from process_apis.tables import executor_beat

BEAT_S = 10.0
SILENT_S = DEADLINE_S + 3 * BEAT_S
_log = log("process.replicas")


class Beats:
    """One replica's own beat, and what it has seen of the others."""

    def __init__(
        self, database: Database, executor: str, beat_s: float = BEAT_S, silent_s: float = SILENT_S
    ) -> None:
        self._database, self._executor = database, executor
        self._beat_s, self._silent_s = beat_s, silent_s
        self._seen: dict[str, tuple[int, float]] = {}

    async def run(self) -> None:
        """Beat and look, until cancelled."""
        while True:
            await self._database.write(self._beat)
            for executor in self._silent(await self._database.read(_others)):
                await self._take_over(executor)
            await asyncio.sleep(self._beat_s)

    def _beat(self, connection: Connection) -> None:
        mine = executor_beat.c.executor == self._executor
        more = update(executor_beat).where(mine).values(beat=executor_beat.c.beat + 1)
        if not connection.execute(more).rowcount:
            connection.execute(insert(executor_beat).values(executor=self._executor, beat=1))

    def _silent(self, beats: dict[str, int]) -> list[str]:
        """Those whose count has not moved for so long, by our own clock."""
        now_s = clock.monotonic()
        self._seen = {
            name: self._seen[name] if self._seen.get(name, (0, 0.0))[0] == beat else (beat, now_s)
            for name, beat in beats.items()
            if name != self._executor
        }
        return [name for name, (_, at_s) in self._seen.items() if now_s - at_s >= self._silent_s]

    async def _take_over(self, executor: str) -> None:
        """Twice, or by two of us, is as once: the engine hands a run to one."""
        beat, _ = self._seen.pop(executor)
        taken = await asyncio.to_thread(DBOS._recover_pending_workflows, [executor])
        lost = await recovery.recover()
        # Only now: should we die before, another one begins anew.
        gone = executor_beat.c.executor == executor, executor_beat.c.beat == beat
        await self._database.write(lambda c: c.execute(delete(executor_beat).where(*gone)))
        _log.warning("replica.taken_over", executor=executor, runs=len(taken), invoices=lost)


def _others(connection: Connection) -> dict[str, int]:
    return {row.executor: row.beat for row in connection.execute(select(executor_beat))}
