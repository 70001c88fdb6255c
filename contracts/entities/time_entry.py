"""Recorded time and its approval (domain.md B.4)."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from contracts.entities.record import Record
from contracts.ids import Ref


class Approval(Struct, frozen=True, kw_only=True):
    """An approval binds to one version of the entry. auto: nobody looked (a policy approved)."""

    approver: Ref | None
    decided_at: datetime
    subject_version: int
    auto: bool = False


class TimeEntry(Record, frozen=True, kw_only=True, tag="time_entry"):
    """One piece of recorded work. work_date: the worker's own calendar day in work_timezone.

    minutes: worked. billable_minutes: what the approver lets be billed, None for all of it.
    created_at: when the entry was first recorded at its source.
    """

    resource: Ref
    project: Ref
    task: Ref | None = None
    role: Ref | None = None
    work_date: date
    work_timezone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    minutes: int
    billable_minutes: int | None = None
    rate_class: Literal["STANDARD", "OT1", "OT2", "WEEKEND", "HOLIDAY", "STANDBY"] = "STANDARD"
    work_type: Literal["DELIVERY", "TRAVEL", "ADMIN", "STANDBY", "TRAINING"] = "DELIVERY"
    billable_flag: Literal["BILLABLE", "NON_BILLABLE", "COMPLIMENTARY"] = "BILLABLE"
    narrative: str = ""
    status: Literal["DRAFT", "SUBMITTED", "APPROVED", "REJECTED", "RETURNED", "UNAPPROVED"]
    approval: Approval | None = None
    created_at: datetime | None = None
