"""What every vendor connector answers, whatever it connects: health, quota, change feeds."""

from typing import Literal, Protocol

from msgspec import Struct

from contracts.entities.master import MasterRecord
from contracts.ids import Ref
from contracts.operation import operation
from contracts.paging import Page
from contracts.quota import Quota


class Health(Struct, frozen=True, kw_only=True):
    """state: UP, DEGRADED (slow or throttled), MAINTENANCE, DOWN. latency_ms: of the probe."""

    state: Literal["UP", "DEGRADED", "MAINTENANCE", "DOWN"]
    latency_ms: int
    say: str = ""
    drifted_fields: int = 0


class Placed(Struct, frozen=True, kw_only=True):
    """The outcome of create-or-match: where the record is now, and whether this call made it."""

    ref: Ref
    created: bool


class System(Protocol):
    """The floor of every system port."""

    @operation("GET", "/health", scope="system:read")
    async def health(self) -> Health:
        """One cheap read at the vendor."""
        ...

    @operation("GET", "/quota", scope="system:read")
    async def quota(self) -> Quota:
        """As the vendor told last, asked first when it never was; else as configured."""
        ...

    @operation("GET", "/streams", scope="system:read")
    async def streams(self) -> tuple[str, ...]:
        """Names of the change feeds this connector has, e.g. `client`, `alias`."""
        ...

    @operation("GET", "/changes/{stream}", scope="system:read", deadline_s=30.0)
    async def changes(
        self, stream: str, cursor: str | None = None, limit: int = 200
    ) -> Page[MasterRecord]:
        """Records changed since the cursor, oldest first, by (updated_at, id) with an overlap.

        None starts from the beginning. The same record may come twice; readers drop what they
        have by (ref, source_version). next_cursor is never None. Unknown stream: NOT_FOUND.
        """
        ...
