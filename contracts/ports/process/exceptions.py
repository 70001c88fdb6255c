"""The exception queue: work items, their groups by cause, and what people do with them."""

from datetime import date
from typing import Protocol

from msgspec import Struct

from contracts.entities.work_item import Severity, Team, WorkItem
from contracts.money import Money
from contracts.operation import operation
from contracts.paging import Page


class Group(Struct, frozen=True, kw_only=True):
    """All live items with one cause. at_risk: one sum per currency. hint: how to mend it."""

    group_key: str
    code: str
    root: str
    severity: Severity
    owner: Team
    items: int
    at_risk: tuple[Money, ...]
    hint: str
    oldest_opened_at: str


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """assignee: who takes it."""

    assignee: str


class Resolution(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a person closed an item. resolution: DATA_FIX, CORRECTION or WRITE_OFF."""

    resolution: str
    reason: str


class Waiver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let it pass: reason (10 characters or more) and the last day on which the waiver holds."""

    reason: str
    last_day: date


class Exceptions(Protocol):
    """Finance, PMO, HR, integration and sales operations work here."""

    @operation("GET", "/exceptions", scope="process:exceptions:read")
    async def items(
        self,
        owner: str | None = None,
        code: str | None = None,
        state: str | None = None,
        severity: str | None = None,
        group_key: str | None = None,
        subject_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[WorkItem]:
        """Live items by default, oldest first; state=ALL for every state."""
        ...

    @operation("GET", "/exceptions/groups", scope="process:exceptions:read")
    async def groups(self, owner: str | None = None) -> tuple[Group, ...]:
        """Live items grouped by cause, the dearest first."""
        ...

    @operation("GET", "/exceptions/{id}", scope="process:exceptions:read")
    async def item(self, id: str) -> WorkItem | None:
        """One item."""
        ...

    @operation("POST", "/exceptions/{id}/claim", scope="process:exceptions:write")
    async def claim(self, id: str, body: Claim, idempotency_key: str = "") -> WorkItem:
        """Take it. A closed item: CONFLICT."""
        ...

    @operation("POST", "/exceptions/{id}/resolve", scope="process:exceptions:write")
    async def resolve(self, id: str, body: Resolution, idempotency_key: str = "") -> WorkItem:
        """Close it by hand and evaluate the subject again."""
        ...

    @operation("POST", "/exceptions/{id}/waive", scope="process:exceptions:write")
    async def waive(self, id: str, body: Waiver, idempotency_key: str = "") -> WorkItem:
        """Let a HOLD or WARN pass until a day. A BLOCK cannot be waived: CONFLICT."""
        ...
