"""What could not be billed: whose desk it is on, its worth, its mend (domain.md C.2)."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from contracts.money import Money

Severity = Literal["BLOCK", "HOLD", "WARN"]
Team = Literal["FINANCE", "PMO", "HR", "INTEGRATION", "SALES_OPS"]
WorkItemState = Literal[
    "OPEN",
    "ASSIGNED",
    "WAITING",
    "SNOOZED",
    "RETRYING",
    "RESOLVED",
    "WAIVED",
    "WRITTEN_OFF",
    "SUPERSEDED",
]


class Finding(Struct, frozen=True, kw_only=True):
    """One rule that fired on one subject.

    root: the record that causes it, `<entity>:<code or system:id>`; code + root is the group.
    unblock_keys: records whose change makes a new evaluation worth while, in the same form.
    context: what was observed and expected, for the eye.
    """

    code: str
    severity: Severity
    owner: Team
    root: str
    unblock_keys: tuple[str, ...] = ()
    context: dict[str, Any] = {}
    hint: str = ""

    @property
    def group_key(self) -> str:
        """Items with the same cause share it; fixing the cause re-drives them all."""
        return f"{self.code}|{self.root}"


class WorkItem(Struct, frozen=True, kw_only=True):
    """An exception in the queue. At most one live item per (subject, version, code).

    subject_type: time_entry, invoice, system or deal. due_at: opened_at plus the code's SLA hours.
    amount_at_risk: what the subject would bill, when it can be priced at all.
    """

    id: str
    code: str
    severity: Severity
    owner: Team
    state: WorkItemState
    stage: str
    subject_type: str
    subject_id: str
    subject_version: int
    group_key: str
    root: str
    unblock_keys: tuple[str, ...]
    hint: str
    context: dict[str, Any]
    amount_at_risk: Money | None
    assignee: str
    attempts: int
    opened_at: datetime
    due_at: datetime
    resolved_at: datetime | None = None
    resolution: str = ""
