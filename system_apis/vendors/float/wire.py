"""Float's own words, as its JSON spells them. Every field may be null or absent.

Source  shared vendor facts: vendor tutorial, shapes an independent client has seen.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct

from system_apis.fields import words


class Person(Struct, frozen=True):
    people_id: int
    name: str | None = None
    email: str | None = None
    active: int | None = None
    modified: str | None = None


class Project(Struct, frozen=True):
    project_id: int
    name: str | None = None
    notes: str | None = None
    tags: list[Any] | None = None
    active: int | None = None
    modified: str | None = None


class Task(Struct, frozen=True):
    """An allocation. hours: a day. end_date: its last day. status: 1 draft, 2 confirmed."""

    task_id: int
    project_id: int | None = None
    people_id: int | None = None
    people_ids: list[int] | None = None
    start_date: str | None = None
    end_date: str | None = None
    hours: Decimal | None = None
    notes: str | None = None
    status: int | None = None
    modified: str | None = None


class Error(Struct, frozen=True):
    """field: only in the list form, with status 422."""

    message: str = ""
    name: str = ""
    field: str = ""


# What has been seen beside the above; anything more is drift.
SEEN = {
    "people": words(
        "job_title role_id avatar avatar_file auto_email employee_type work_days_hours notes"
        " people_type_id tags start_date end_date default_hourly_rate region_id contracts managers"
        " department account account_id created cost_rate"
    ),
    "projects": words(
        "status client_id start_date end_date budget budget_total budget_type budget_priority"
        " hourly_rate default_hourly_rate created color project_manager non_billable tentative"
        " locked all_pms_schedule"
    ),
    "tasks": words(
        "name estimated_hours actual_hours priority created task_type billable repeat_state"
        " repeat_end phase_id task_meta_id created_by modified_by root_task_id start_time"
    ),
}
