"""Kantata's own words, as its JSON spells them. Every field may be null or absent.

Source  shared vendor facts: the vendor gem's attribute lists, recorded tap schemas.
"""

from datetime import date, datetime
from typing import Any

from msgspec import Struct

from system_apis.fields import field_names, words


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
    """resource_bill_rate: in minor units of the workspace's currency [unverified]."""

    id: str
    updated_at: datetime
    workspace_id: str | None = None
    user_id: str | None = None
    role_id: str | None = None
    total_allocated_minutes: int | None = None
    earliest_allocation_date: date | None = None
    latest_allocation_date: date | None = None
    resource_bill_rate: int | None = None


class WorkspaceAllocation(Struct, frozen=True):
    id: str
    workspace_resource_id: str | None = None
    start_date: date | None = None
    end_date: date | None = None


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


# By collection: what we read, and what the vendor's lists name beside it. More is drift.
KNOWN = {
    "workspaces": field_names(Workspace)
    | words(
        "creator_id primary_counterpart_id primary_maven_id approver_id participant_ids"
        " primary_workspace_group_id price_in_cents currency_base_unit percentage_complete"
        " target_margin budget_used_in_cents total_expenses_in_cents budgeted price budget_used"
        " change_orders_enabled require_time_approvals require_expense_approvals over_budget"
        " tasks_default_non_billable stories_are_fixed_fee_by_default account_id time_trackable"
        " has_active_timesheet_submissions description access_level currency_symbol"
        " budget_remaining consultant_role_name client_role_name default_rate stage"
        " effective_due_date status_key created_at"
    ),
    "stories": field_names(Story)
    | words(
        "parent_id root_id creator_id assignee_ids external_reference_ids sub_story_ids"
        " ancestor_ids position sub_story_count percentage_complete budget_estimate_in_cents"
        " budget_used_in_cents time_estimate_in_minutes logged_billable_time_in_minutes"
        " logged_nonbillable_time_in_minutes fixed_fee time_trackable weight description"
        " story_type priority due_date start_date created_at"
    ),
    "workspace_resources": field_names(WorkspaceResource)
    | words(
        "participation_id external_reference_ids allocations_count assignments_count"
        " resource_cost_rate deletable is_foreign_user label role_name full_name workspace_title"
        " display_label created_at"
    ),
    "users": field_names(User)
    | words(
        "account_id role_id account_membership_id external_reference_ids photo_path headline"
        " account_permission"
    ),
    "roles": field_names(Role),
    "workspace_groups": field_names(WorkspaceGroup)
    | words(
        "workspace_ids contact_name email phone_number address website notes created_at updated_at"
    ),
    "rate_cards": field_names(RateCard)
    | words("rate_card_set_id effective_rate_card_version_id uses title"),
    "rate_card_versions": field_names(RateCardVersion),
    "rate_card_roles": field_names(RateCardRole),
    "time_entries": field_names(TimeEntry)
    | words(
        "invoice_id external_reference_ids rate_in_cents cost_rate_in_cents currency_base_unit"
        " user_can_edit is_invoiced currency currency_symbol location taxable"
    ),
}
