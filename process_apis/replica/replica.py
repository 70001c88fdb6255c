"""Hold the snapshot evaluation reads, up to date with the tables whichever process changed them.

Every change of the replica takes the next number. A turn takes the replica's lock shared, loads
what is above its number, judges and commits: so a change is either seen by the turn, or finds the
work items the turn wrote. Nothing falls between.
"""

import gc
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from msgspec import Struct
from sqlalchemy import Connection, text

from chassis import clock
from chassis.database import Database
from contracts.entities.master import MasterRecord
from contracts.entities.party import LegalEntity
from contracts.entities.record import CrossReference
from process_apis import counters, work_items
from process_apis.journeys.approved_time_to_invoice.rules import Policies, Snapshot
from process_apis.replica import medians, store
from process_apis.replica.medians import Medians

T = TypeVar("T")
CHANGES = "replica:changes"
_LOCK = 0x6D617374  # any number that nobody else locks


class Taken(Struct, frozen=True):
    """records, references: new ones. redriven: entries to be judged again. keys: unblocked."""

    records: int
    references: int
    redriven: int
    keys: tuple[str, ...] = ()


Mended = Callable[[Taken], Awaitable[None]]
"""What is done after a change is committed: judge again, post again."""


class Replica:
    """One a process. erp_instance_of: by legal entity; default_erp for the others."""

    def __init__(
        self,
        *,
        erp_instance_of: Mapping[str, str],
        default_erp: str = "",
        policies: Policies | None = None,
    ) -> None:
        self._erp_instance_of = dict(erp_instance_of)
        self._default_erp = default_erp
        self._policies = policies or Policies()
        self._guard = threading.RLock()
        self._medians: Medians = {}
        self._snapshot = self._empty()
        self._number = -1

    @contextmanager
    def reading(self, connection: Connection) -> Iterator[Snapshot]:
        """The snapshot as of this transaction; nobody changes it meanwhile."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})
        with self._guard:
            self._catch_up(connection)
            yield self._snapshot

    @property
    def snapshot(self) -> Snapshot:
        """Master data as last seen, without a lock: for looks, not for decisions of a turn."""
        return self._snapshot

    async def load(self, database: Database) -> None:
        """Make the snapshot as of now, e.g. at start."""

        def look(connection: Connection) -> None:
            with self.reading(connection):
                return

        await database.read(look)
        await self.reprice(database)
        gc.collect()
        gc.freeze()  # the snapshot stays; the collector need not walk it again and again

    async def reprice(self, database: Database) -> None:
        """Find the usual prices anew. Judgements kept in memory go only when a price has moved."""

        def look(connection: Connection) -> None:
            found = medians.groups(connection, clock.now().date())
            with self._guard:
                usual = medians.medians(found, self._snapshot)
                if usual != self._medians:
                    self._medians = usual
                    self._snapshot.set_medians(usual)

        await database.read(look)

    async def take(
        self,
        database: Database,
        records: Sequence[MasterRecord] = (),
        references: Sequence[CrossReference] = (),
    ) -> Taken:
        """Store what is new, and ask for another evaluation of all it unblocks."""
        return await self.write(database, lambda c: self.taken(c, records, references))

    async def write(self, database: Database, work: Callable[[Connection], T]) -> T:
        """A transaction that calls `taken`. When it fails, the snapshot is built anew."""
        try:
            return await database.write(work)
        except BaseException:
            self.forget()
            raise

    def taken(
        self,
        connection: Connection,
        records: Sequence[MasterRecord] = (),
        references: Sequence[CrossReference] = (),
    ) -> Taken:
        """As `take`, in the caller's transaction (run by `write`)."""
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        with self._guard:
            self._catch_up(connection)
            fresh = store.newer(connection, records)
            if not fresh and not references:
                return Taken(0, 0, 0)
            number, at = counters.next_number(connection, CHANGES), clock.now()
            applied = self._snapshot.apply(fresh, references, version=str(number))
            self._route(fresh)
            self._number = number
        store.put_records(connection, fresh, number, at)
        made = store.put_references(connection, [*applied.references, *references], number, at)
        redriven = work_items.redrive(connection, applied.keys)
        return Taken(len(fresh), made, redriven, applied.keys)

    def forget(self) -> None:
        """Build the snapshot anew from the tables at the next use."""
        with self._guard:
            self._number = -1

    def _catch_up(self, connection: Connection) -> None:
        number = counters.read(connection, CHANGES).get("", 0)
        if self._number < 0:
            self._snapshot, self._number = self._empty(), 0
            if not number:
                self._snapshot.version = "0"
                return
        if number <= self._number:
            return
        records = store.records_since(connection, self._number)
        references = store.references_since(connection, self._number)
        self._snapshot.apply(records, references, version=str(number))
        self._route(records)
        self._number = number

    def _empty(self) -> Snapshot:
        made = Snapshot.build(
            (), (), erp_instance_of=self._erp_instance_of, policies=self._policies, version="0"
        )
        made.set_medians(self._medians)
        return made

    def _route(self, records: Sequence[MasterRecord]) -> None:
        """Legal entities without a route of their own go to the default ERP."""
        if self._default_erp:
            for record in records:
                if isinstance(record, LegalEntity):
                    self._snapshot.erp_instance_of.setdefault(record.code, self._default_erp)
