"""Names and types of the resources, from the vendor's gem and the types a tap has seen.

A type is `id` (text outside, text kept), `ids`, `int`, `num`, `bool`, `str`, `date`, `any`, or
`number-id` (an id that the vendor shows as a number). `ids` of associations are shown only when
the association is included. Fields marked [U] are in the public notes, not in the gem.
"""

from msgspec import Struct

MOST_PER_PAGE = 200
STATUSES = {  # [U]: the numbers
    100: "Not Started",
    300: "Active",
    400: "On Hold",
    500: "Completed",
    600: "Cancelled",
}


class Resource(Struct, frozen=True, kw_only=True):
    """singular: the request's wrapper and the event's subject. fields: all that is shown.

    optional: shown only when asked by optional_fields. required: on create. creates: what a
    create takes, none means no POST; updates: what a PUT takes; `*` stands for external_reference.
    links: include name to (foreign key, collection). hidden: not shown by default where true.
    """

    singular: str
    fields: dict[str, str]
    creates: frozenset[str] = frozenset()
    updates: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    links: dict[str, tuple[str, str]] = {}
    hidden: str = ""
    most_per_page: int = MOST_PER_PAGE
    subject: str = ""


def _typed(**groups: str) -> dict[str, str]:
    return {name: kind for kind, names in groups.items() for name in names.split()}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_REFERENCES = {"external_references": ("external_reference_ids", "external_references")}
_STAMPS = "created_at updated_at"

RESOURCES = {
    "workspaces": Resource(
        singular="workspace",
        subject="Workspace",
        fields=_typed(
            id="creator_id primary_counterpart_id primary_maven_id approver_id"
            " primary_workspace_group_id",
            ids="workspace_group_ids participant_ids external_reference_ids",
            int="price_in_cents currency_base_unit percentage_complete target_margin"
            " budget_used_in_cents total_expenses_in_cents",
            bool="archived budgeted change_orders_enabled require_time_approvals"
            " require_expense_approvals tasks_default_non_billable over_budget"
            " stories_are_fixed_fee_by_default has_active_timesheet_submissions time_trackable",
            str="title description access_level currency currency_symbol price budget_used"
            " budget_remaining consultant_role_name client_role_name default_rate stage",
            date="due_date start_date effective_due_date",
            any=f"status status_key {_STAMPS}",
        )
        | {"rate_card_id": "number-id", "account_id": "number-id"},
        creates=_words(
            "title creator_role budgeted description currency price start_date due_date"
            " consultant_role_name client_role_name access_level change_orders_enabled"
            " rate_card_id require_expense_approvals require_time_approvals status_key *"
            " workspace_group_ids primary_workspace_group_id approver_id target_margin"
            " tasks_default_non_billable primary_maven_id stage time_trackable"
            " stories_are_fixed_fee_by_default"
        ),
        updates=_words(
            "title budgeted description archived access_level price start_date due_date"
            " tasks_default_non_billable rate_card_id client_role_name consultant_role_name"
            " currency target_margin approver_id change_orders_enabled status_key *"
            " workspace_group_ids primary_workspace_group_id stage time_trackable"
        ),
        required=("title", "creator_role"),
        links={
            "creator": ("creator_id", "users"),
            "primary_counterpart": ("primary_counterpart_id", "users"),
            "primary_maven": ("primary_maven_id", "users"),
            "approver": ("approver_id", "users"),
            "participants": ("participant_ids", "users"),
            "workspace_groups": ("workspace_group_ids", "workspace_groups"),
            "primary_workspace_group": ("primary_workspace_group_id", "workspace_groups"),
        }
        | _REFERENCES,
        hidden="archived",
    ),
    "workspace_groups": Resource(
        singular="workspace_group",
        subject="WorkspaceGroup",
        fields=_typed(
            ids="workspace_ids external_reference_ids",
            bool="company",
            str="name contact_name email phone_number address website notes",
            any=_STAMPS,
        ),
        creates=_words("name company contact_name email phone_number address website notes *"),
        updates=_words("name company contact_name email phone_number address website notes *"),
        required=("name",),
        links={"workspaces": ("workspace_ids", "workspaces")} | _REFERENCES,
    ),
    "users": Resource(
        singular="user",
        subject="User",
        fields=_typed(
            id="account_id role_id account_membership_id",
            ids="external_reference_ids",
            bool="disabled generic",
            str="full_name photo_path email_address headline account_permission",
        ),
        updates=_words("full_name headline email_address *"),
        links={"role": ("role_id", "roles")} | _REFERENCES,
    ),
    "roles": Resource(
        singular="role",
        subject="Role",
        fields=_typed(str="name", ids="external_reference_ids"),
        creates=_words("name *"),
        updates=_words("name *"),
        required=("name",),
        links=_REFERENCES,
    ),
    "stories": Resource(
        singular="story",
        subject="Story",
        fields=_typed(
            id="workspace_id parent_id root_id creator_id",
            ids="assignee_ids external_reference_ids sub_story_ids ancestor_ids",
            int="position sub_story_count percentage_complete budget_estimate_in_cents"
            " budget_used_in_cents time_estimate_in_minutes logged_billable_time_in_minutes"
            " logged_nonbillable_time_in_minutes",
            bool="billable archived fixed_fee time_trackable",
            num="weight",
            str="title description story_type priority state",
            date="due_date start_date",
            any=f"deleted_at {_STAMPS}",
        ),
        creates=_words(
            "title story_type workspace_id description parent_id start_date due_date archived"
            " assignee_ids budget_estimate_in_cents time_estimate_in_minutes billable state"
            " percentage_complete fixed_fee weight priority time_trackable *"
        ),
        updates=_words(
            "title story_type description parent_id start_date archived due_date assignee_ids"
            " budget_estimate_in_cents time_estimate_in_minutes billable percentage_complete"
            " state fixed_fee weight priority time_trackable *"
        ),
        required=("title", "story_type", "workspace_id"),
        links={
            "workspace": ("workspace_id", "workspaces"),
            "parent": ("parent_id", "stories"),
            "assignees": ("assignee_ids", "users"),
        }
        | _REFERENCES,
        hidden="archived",
    ),
    "workspace_resources": Resource(
        singular="workspace_resource",
        subject="WorkspaceResource",
        fields=_typed(
            id="workspace_id user_id role_id participation_id",
            ids="external_reference_ids",
            int="allocations_count assignments_count total_allocated_minutes"
            " resource_bill_rate resource_cost_rate",
            bool="deletable is_foreign_user",
            str="label role_name full_name workspace_title display_label",
            date="earliest_allocation_date latest_allocation_date",
            any=_STAMPS,
        ),
        creates=_words("workspace_id user_id role_id *"),
        updates=_words("label user_id role_id cost_rate bill_rate *"),
        required=("workspace_id",),
        links={
            "user": ("user_id", "users"),
            "role": ("role_id", "roles"),
            "workspace": ("workspace_id", "workspaces"),
        }
        | _REFERENCES,
    ),
    "workspace_allocations": Resource(
        singular="workspace_allocation",
        subject="WorkspaceAllocation",
        fields=_typed(
            id="workspace_resource_id workspace_id creator_id updater_id",
            ids="external_reference_ids",
            int="minutes",
            num="percentage",
            bool="hard",
            str="notes",
            date="start_date end_date",
            any=_STAMPS,
        ),
        creates=_words("resource_id start_date end_date minutes hard notes *"),
        updates=_words("start_date end_date minutes hard notes *"),
        required=("resource_id", "start_date", "end_date", "minutes"),
        links={
            "workspace_resource": ("workspace_resource_id", "workspace_resources"),
            "workspace": ("workspace_id", "workspaces"),
        }
        | _REFERENCES,
    ),
    "assignments": Resource(
        singular="assignment",
        subject="Assignment",
        fields=_typed(
            id="story_id assignee_id",
            ids="story_allocation_day_ids external_reference_ids",
            int="estimated_minutes allocated_minutes",
            bool="current",
            any=_STAMPS,
        )
        | {"resource_id": "number-id"},
        creates=_words("story_id assignee_id current estimated_minutes resource_id *"),
        updates=_words("assignee_id current estimated_minutes resource_id *"),
        required=("story_id", "assignee_id"),
        links={"story": ("story_id", "stories"), "assignee": ("assignee_id", "users")}
        | _REFERENCES,
    ),
    "time_entries": Resource(
        singular="time_entry",
        subject="TimeEntry",
        fields=_typed(
            id="story_id workspace_id user_id role_id active_submission_id recent_submission_id"
            " invoice_id",
            ids="external_reference_ids",
            int="time_in_minutes rate_in_cents cost_rate_in_cents currency_base_unit",
            bool="billable user_can_edit approved is_invoiced",
            str="notes currency currency_symbol location taxable",
            date="date_performed",
            any=_STAMPS,
        ),
        creates=_words(
            "workspace_id date_performed time_in_minutes billable notes rate_in_cents"
            " cost_rate_in_cents role_id story_id user_id location *"
        ),
        updates=_words(
            "workspace_id date_performed time_in_minutes billable notes rate_in_cents"
            " cost_rate_in_cents role_id story_id user_id location *"
        ),
        required=("workspace_id", "date_performed", "time_in_minutes"),
        links={
            "workspace": ("workspace_id", "workspaces"),
            "user": ("user_id", "users"),
            "story": ("story_id", "stories"),
            "role": ("role_id", "roles"),
            "active_submission": ("active_submission_id", "timesheet_submissions"),
            "recent_submission": ("recent_submission_id", "timesheet_submissions"),
            "invoice": ("invoice_id", "invoices"),
        }
        | _REFERENCES,
        most_per_page=5000,
    ),
    "timesheet_submissions": Resource(
        singular="timesheet_submission",
        subject="TimesheetSubmission",
        fields=_typed(
            id="user_id workspace_id current_resolution_creator_id",
            ids="time_entry_ids external_reference_ids",
            int="line_item_total_in_cents currency_base_unit",
            str="status title comment type resolution_description currency currency_symbol"
            " line_item_total_formatted current_resolution_description",
            date="start_date end_date current_resolution_created_at_date",
            any=_STAMPS,
        ),
        creates=_words("title comment workspace_id user_id line_item_ids *"),
        required=("workspace_id", "line_item_ids"),
        links={
            "user": ("user_id", "users"),
            "workspace": ("workspace_id", "workspaces"),
            "time_entries": ("time_entry_ids", "time_entries"),
        }
        | _REFERENCES,
    ),
    "rate_cards": Resource(
        singular="rate_card",
        subject="RateCard",
        fields=_typed(
            id="rate_card_set_id effective_rate_card_version_id",
            ids="rate_card_version_ids external_reference_ids",
            int="uses",
            str="currency title",  # title [U]
        ),
        creates=_words("rate_card_set_id currency"),
        updates=_words("currency"),
        links={
            "rate_card_versions": ("rate_card_version_ids", "rate_card_versions"),
            "effective_rate_card_version": (
                "effective_rate_card_version_id",
                "rate_card_versions",
            ),
        }
        | _REFERENCES,
    ),
    "rate_card_versions": Resource(
        singular="rate_card_version",
        subject="RateCardVersion",
        fields=_typed(
            id="rate_card_id",
            ids="rate_card_role_ids",
            int="default_rate",
            date="effective_date",  # [U]
        ),
        creates=_words("default_rate rate_card_id effective_date"),
        updates=_words("default_rate"),
        links={
            "rate_card": ("rate_card_id", "rate_cards"),
            "rate_card_roles": ("rate_card_role_ids", "rate_card_roles"),
        },
    ),
    "rate_card_roles": Resource(
        singular="rate_card_role",
        subject="RateCardRole",
        fields=_typed(id="rate_card_version_id role_id", int="rate"),
        creates=_words("rate_card_version_id role_id rate"),
        updates=_words("rate"),
        required=("rate_card_version_id", "role_id", "rate"),
        links={
            "role": ("role_id", "roles"),
            "rate_card_version": ("rate_card_version_id", "rate_card_versions"),
        },
    ),
    "external_references": Resource(
        singular="external_reference",
        subject="ExternalReference",
        fields=_typed(
            id="subject_id",
            bool="locked",
            str="service_name service_model service_model_ref subject_type status external_link"
            " external_message external_status",
            any=f"last_synced_at {_STAMPS}",
        ),
        creates=_words(
            "service_name service_model service_model_ref subject_id subject_type status"
            " external_link external_message external_status locked last_synced_at"
        ),
        updates=_words("service_model_ref status external_link external_message external_status"),
        required=(
            "service_model_ref",
            "service_model",
            "service_name",
            "subject_id",
            "subject_type",
        ),
    ),
    "invoices": Resource(
        singular="invoice",
        subject="Invoice",
        fields=_typed(
            id="user_id recipient_id",
            ids="workspace_ids time_entry_ids external_reference_ids",
            int="balance_in_cents payment_schedule currency_base_unit user_invoice_number",
            num="tax_rate",
            bool="draft",
            str="message title status currency currency_symbol user_invoice_title"
            " purchase_order project_code",
            date="invoice_date due_date",
            any=_STAMPS,
        ),
        creates=_words(
            "time_entry_ids workspace_id workspace_ids payment_schedule invoice_date draft message"
            " user_invoice_number user_invoice_title purchase_order project_code tax_rate *"
            " suppress_emails"
        ),
        updates=_words(
            "payment_schedule invoice_date draft message user_invoice_number user_invoice_title"
            " purchase_order project_code tax_rate *"
        ),
        links={
            "time_entries": ("time_entry_ids", "time_entries"),
            "workspaces": ("workspace_ids", "workspaces"),
            "user": ("user_id", "users"),
        }
        | _REFERENCES,
    ),
    "subscribed_events": Resource(
        singular="subscribed_event",
        fields=_typed(
            id="account_id user_id subject_id",
            str="event_type subject_type subject_ref change_summary",
            any=f"subject_changed_at previous_payload current_payload payload_changes {_STAMPS}",
        ),
        optional=_words("payload_changes change_summary subject_ref"),
    ),
}
