"""A Kantata OX account to test against: projects, people, time, submissions, rates, event feed.

Written from the vendor's public notes and gem; what is only guessed is marked [U] where it stands.
Tokens never expire, a retried POST makes a second record, deletes are hard, the `approved` filter
is always true, events are unordered and kept nine days, every answer carries x-request-id.

Documents in the store (for a seeder). Kind = collection name, id = the vendor's id as digits, ids
inside documents are text, money is integer cents, days are ISO; created_at and updated_at are the
row's own (Row.updated_at). What has no value may be left out.
- setting, id "account": account_id, subscribed_events (true), duplicate_events_every (0)
- client, id = client id: {client_secret, user_id}; access_token, id = token: {client_id, user_id}
- workspaces: {title, currency, currency_base_unit, currency_symbol, status_key: 300, status: {key,
  message}, archived: false, require_time_approvals: true, rate_card_id, workspace_group_ids,
  primary_workspace_group_id, start_date, due_date, budgeted, price_in_cents, ...}
- workspace_groups: {name, company: true}; users: {full_name, email_address, role_id, disabled}
- roles: {name}; stories: {title, workspace_id, story_type: "task", archived: false, billable}
- workspace_resources: {workspace_id, user_id, role_id, full_name, role_name, resource_bill_rate}
- workspace_allocations: {workspace_resource_id, workspace_id, start_date, end_date, minutes, hard}
- assignments: {story_id, assignee_id, current, estimated_minutes}
- time_entries: {workspace_id, user_id, story_id, role_id, date_performed, time_in_minutes,
  billable, notes, rate_in_cents, currency, currency_base_unit, currency_symbol, approved,
  is_invoiced: false, user_can_edit: true, active_submission_id, recent_submission_id}
- timesheet_submissions: {workspace_id, user_id, status: "pending" | "approved" | "rejected" |
  "cancelled", time_entry_ids, start_date, end_date, title}
- rate_cards: {currency, rate_card_set_id, title}; rate_card_versions: {rate_card_id,
  effective_date, default_rate}; rate_card_roles: {rate_card_version_id, role_id, rate} in cents
- external_references: {subject_type: "TimeEntry", subject_id, service_name, service_model,
  service_model_ref, status}; invoices: {workspace_ids, time_entry_ids, status, ...}
- subscribed_events: written by API calls only; a bulk_put tells nobody.
"""

from system_apis.simulator import Simulator
from system_apis.vendors.kantata.simulator.door import Door
from system_apis.vendors.kantata.simulator.refusals import refusal

SIMULATOR = Simulator(vendor="kantata", open=Door, refusal=refusal)
