"""What Firmwire asks of any professional-services automation system: projects and approved time.

Streams: project, task, assignment, rate_card, alias (resource, role, client ids of the PSA).
"""

from datetime import date
from typing import Protocol

from msgspec import Struct

from contracts.entities.time_entry import TimeEntry
from contracts.operation import operation
from contracts.paging import Page
from contracts.ports.system.system import Placed, System


class ProjectDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """client, contract: canonical codes. tasks: names of the work breakdown, in order."""

    code: str
    name: str
    client: str
    contract: str
    currency: str
    start: date
    end: date | None = None
    tasks: tuple[str, ...] = ()
    rate_card: str = ""


class ApprovalRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """entry_ids: ids at the PSA, at most 500."""

    entry_ids: tuple[str, ...]


class Psa(System, Protocol):
    """Kantata, Tryton, ..."""

    @operation("GET", "/time-entries", scope="system:read", deadline_s=30.0)
    async def time_entries(self, cursor: str | None = None, limit: int = 200) -> Page[TimeEntry]:
        """The transactional feed: entries changed since the cursor, oldest first, all statuses."""
        ...

    @operation("GET", "/time-entries/{id}", scope="system:read")
    async def time_entry(self, id: str) -> TimeEntry | None:
        """A strong read of one entry, None when the PSA has none."""
        ...

    @operation("POST", "/time-entries/approvals", scope="system:write", deadline_s=30.0, status=204)
    async def approve_time(self, body: ApprovalRequest) -> None:
        """Approve these entries. Approving twice is the same as once."""
        ...

    @operation("GET", "/projects/by-reference/{reference}", scope="system:read")
    async def project_by_reference(self, reference: str) -> Placed | None:
        """The project that carries this canonical code."""
        ...

    @operation("PUT", "/projects/by-reference/{reference}", scope="system:write", deadline_s=30.0)
    async def put_project(self, reference: str, body: ProjectDraft) -> Placed:
        """Create or match by code: the same draft twice is one project, also after a lost reply."""
        ...

    @operation("POST", "/projects/{id}/cancel", scope="system:write", status=204)
    async def cancel_project(self, id: str) -> None:
        """Withdraw a project without time on it. With time: CONFLICT. Twice is as once."""
        ...
