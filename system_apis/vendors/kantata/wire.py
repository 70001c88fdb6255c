"""Kantata's own words, as its JSON spells them. Every field may be null or absent.

Source  shared vendor facts: the vendor gem's attribute lists, recorded tap schemas.
"""

from datetime import date, datetime
from typing import Any

from msgspec import Struct


class ResultKey(Struct, frozen=True):
    key: str
    id: str


class Meta(Struct, frozen=True):
    count: int = 0
    page_count: int = 1
    page_number: int = 1


class Envelope(Struct, frozen=True):
    """The part of a Brainstem reply that is the same for all; records hang beside it by key."""

    count: int
    results: list[ResultKey]
    meta: Meta = Meta()


class Token(Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"


class ErrorItem(Struct, frozen=True):
    type: str = ""
    message: str = ""
    field: str | None = None


class Errors(Struct, frozen=True):
    errors: list[ErrorItem] = []


class ExternalReference(Struct, frozen=True):
    id: str
    service_name: str | None = None
    service_model: str | None = None
    service_model_ref: str | None = None
    subject_id: str | None = None
    subject_type: str | None = None


class Status(Struct, frozen=True):
    key: int | str | None = None
    message: str | None = None


class Workspace(Struct, frozen=True):
    id: str
    updated_at: datetime
    title: str | None = None
    status: Status | None = None
    start_date: date | None = None
    due_date: date | None = None
    archived: bool | None = None
    currency: str | None = None
    rate_card_id: str | int | None = None
    workspace_group_ids: list[str] | None = None
    external_reference_ids: list[str] | None = None


class Story(Struct, frozen=True):
    id: str
    updated_at: datetime
    workspace_id: str | None = None
    title: str | None = None
    state: str | None = None
    archived: bool | None = None
    deleted_at: datetime | None = None
    billable: bool | None = None


class WorkspaceResource(Struct, frozen=True):
    id: str
    updated_at: datetime
    workspace_id: str | None = None
    user_id: str | None = None
    role_id: str | None = None
    total_allocated_minutes: int | None = None
    earliest_allocation_date: date | None = None
    latest_allocation_date: date | None = None


class User(Struct, frozen=True):
    id: str
    full_name: str | None = None
    email_address: str | None = None
    disabled: bool | None = None
    generic: bool | None = None


class Role(Struct, frozen=True):
    id: str
    name: str | None = None
    external_reference_ids: list[str] | None = None


class WorkspaceGroup(Struct, frozen=True):
    id: str
    name: str | None = None
    company: bool | None = None
    external_reference_ids: list[str] | None = None


class RateCard(Struct, frozen=True):
    id: str
    currency: str | None = None
    rate_card_version_ids: list[str] | None = None
    external_reference_ids: list[str] | None = None


class RateCardVersion(Struct, frozen=True):
    """effective_date: documented in prose, not in the gem's attribute list [unverified]."""

    id: str
    rate_card_id: str | int | None = None
    effective_date: date | None = None
    default_rate: int | None = None
    rate_card_role_ids: list[str] | None = None


class RateCardRole(Struct, frozen=True):
    """rate: in the currency's minor units [unverified]."""

    id: str
    rate_card_version_id: str | int | None = None
    role_id: str | int | None = None
    rate: int | None = None


class Submission(Struct, frozen=True):
    id: str
    status: str | None = None
    current_resolution_creator_id: str | int | None = None
    current_resolution_created_at_date: str | None = None


class TimeEntry(Struct, frozen=True):
    id: str
    updated_at: datetime
    created_at: datetime | None = None
    date_performed: date | None = None
    story_id: str | None = None
    time_in_minutes: int | None = None
    billable: bool | None = None
    notes: str | None = None
    workspace_id: str | None = None
    user_id: str | None = None
    approved: bool | None = None
    role_id: str | int | None = None
    active_submission_id: str | None = None
    recent_submission_id: str | None = None


class SubscribedEvent(Struct, frozen=True):
    id: str
    event_type: str
    subject_id: str | int
    subject_changed_at: datetime | None = None
    created_at: datetime | None = None
    previous_payload: dict[str, Any] | None = None
