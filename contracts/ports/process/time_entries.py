"""Intake and fate of recorded time. Mounted under /process/v1."""

from datetime import date, datetime
from typing import Any, Literal, Protocol

from msgspec import Raw, Struct

from contracts.entities.ledger import BillableTransaction, TransactionDraft
from contracts.entities.time_entry import TimeEntry
from contracts.entities.work_item import Finding, WorkItem
from contracts.money import Money
from contracts.operation import operation
from contracts.paging import Page

BillingState = Literal[
    "RECEIVED",
    "EVALUATING",
    "EXCEPTION",
    "HELD",
    "NON_BILLABLE",
    "READY",
    "ON_DRAFT",
    "BILLED",
    "WITHDRAWN",
]


class Refused(Struct, frozen=True, kw_only=True):
    """One item of a batch that was not taken. index: its place in the batch, from 0.

    pointer: JSON pointer into the request body, as in problem documents, e.g. `/3/data/minutes`.
    """

    index: int
    pointer: str
    reason: str
    hint: str = ""


class BatchResult(Struct, frozen=True, kw_only=True):
    """accepted + duplicates + len(refused) = items sent. Accepted items are durable."""

    accepted: int
    duplicates: int
    refused: tuple[Refused, ...] = ()


class EntryStatus(Struct, frozen=True, kw_only=True):
    """Where a piece of time stands. entry_id: canonical, `<system>:<id>`."""

    entry_id: str
    source_version: int
    billing_state: BillingState
    work_date: date | None
    resource: str
    project: str
    contract: str
    minutes: int
    amount: Money | None
    received_at: datetime
    evaluated_at: datetime | None
    transactions: tuple[BillableTransaction, ...] = ()
    work_items: tuple[WorkItem, ...] = ()
    entry: TimeEntry | None = None


class EvaluationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """entries: at most 500, judged but not stored."""

    entries: tuple[TimeEntry, ...]


class EvaluationReply(Struct, frozen=True, kw_only=True):
    """What would happen to one entry now."""

    entry_id: str
    billing_state: BillingState
    findings: tuple[Finding, ...]
    transactions: tuple[TransactionDraft, ...]
    amount: Money | None


class IntakeProgress(Struct, frozen=True, kw_only=True):
    """Counts by billing state, the queue's length, and drops since the start."""

    by_state: dict[str, int]
    inbox_waiting: int
    duplicates: int
    stale: int
    conflicts: int


class TimeEntries(Protocol):
    """The transactional lane."""

    @operation(
        "POST",
        "/time-entries",
        scope="process:time:write",
        safe=False,
        deadline_s=30.0,
        status=202,
        body_limit_bytes=9_000_000,
    )
    async def receive(self, body: Raw, idempotency_key: str = "") -> BatchResult:
        """A JSON array of 1 to 5,000 CloudEvents `firmwire.time_entry.*.v1`, data = TimeEntry.

        Good items are taken, bad ones are listed by index. Not an array: MALFORMED.
        """
        ...

    @operation("POST", "/time-entries/evaluate", scope="process:time:read", safe=True)
    async def evaluate(self, body: EvaluationRequest) -> tuple[EvaluationReply, ...]:
        """Dry run: nothing is stored."""
        ...

    @operation("GET", "/time-entries", scope="process:time:read")
    async def entries(
        self,
        state: str | None = None,
        project: str | None = None,
        resource: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[EntryStatus]:
        """Newest first by canonical id."""
        ...

    @operation("GET", "/time-entries/progress", scope="process:time:read")
    async def progress(self) -> IntakeProgress:
        """How far evaluation has come."""
        ...

    @operation("GET", "/time-entries/{entry_id}", scope="process:time:read")
    async def entry(self, entry_id: str) -> EntryStatus | None:
        """One entry with its ledger rows and work items."""
        ...


def event_data_example() -> dict[str, Any]:
    """The smallest acceptable data of a time-entry event, for documents and tests."""
    return {
        "entity": "time_entry",
        "ref": {"system": "kantata", "id": "1"},
        "source_version": 1,
        "source_updated_at": "2026-11-02T08:00:00Z",
        "resource": {"system": "kantata", "id": "17"},
        "project": {"system": "kantata", "id": "1001"},
        "work_date": "2026-11-02",
        "minutes": 480,
        "status": "APPROVED",
    }
