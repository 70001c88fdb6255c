"""The master-data replica: streams, cursors, cross-references."""

from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from contracts.entities.master import MasterRecord
from contracts.entities.record import CrossReference
from contracts.operation import operation
from contracts.paging import Page


class StreamState(Struct, frozen=True, kw_only=True):
    """One feed of one system. lag_s: seconds since the last successful poll, None before any."""

    system: str
    port: str
    stream: str
    state: Literal["IDLE", "RUNNING", "STALLED", "GAP"]
    records: int
    cursor: str
    last_polled_at: datetime | None
    lag_s: float | None
    say: str = ""


class SyncRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Poll these streams now; empty means all. wait: answer when they are drained."""

    streams: tuple[str, ...] = ()
    wait: bool = True


class Redrive(Struct, frozen=True, kw_only=True):
    """What a mended cross-reference set free."""

    reference: CrossReference
    redriven: int


class RecordRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records the firm itself owns, e.g. transfer prices.

    ref.system names the owner. Taken when the source_version is above the one held.
    """

    records: tuple[MasterRecord, ...]


class Recorded(Struct, frozen=True, kw_only=True):
    """records: taken, the others were not newer. redriven: entries to be judged again."""

    records: int
    redriven: int


class MasterData(Protocol):
    """Fed in its own lane; evaluation reads only this copy."""

    @operation("GET", "/master-data/streams", scope="process:master:read")
    async def states(self) -> tuple[StreamState, ...]:
        """Every feed and how far it has come."""
        ...

    @operation("POST", "/master-data/sync", scope="process:master:write", deadline_s=120.0)
    async def sync(self, body: SyncRequest, idempotency_key: str = "") -> tuple[StreamState, ...]:
        """Poll now instead of at the next turn."""
        ...

    @operation("GET", "/master-data/cross-references", scope="process:master:read")
    async def cross_references(
        self,
        entity: str | None = None,
        system: str | None = None,
        code: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[CrossReference]:
        """Live cross-references."""
        ...

    @operation("PUT", "/master-data/cross-references", scope="process:master:write")
    async def put_cross_reference(self, body: CrossReference, idempotency_key: str = "") -> Redrive:
        """Map a foreign id to our code; every work item it unblocks is evaluated again."""
        ...

    @operation("PUT", "/master-data/records", scope="process:master:write", deadline_s=30.0)
    async def put_records(self, body: RecordRequest, idempotency_key: str = "") -> Recorded:
        """Firm-owned records that no system feeds; every work item they unblock is judged again."""
        ...
