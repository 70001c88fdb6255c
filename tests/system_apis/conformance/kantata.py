"""What the conformance suite must know of Kantata to hold its connector to the ports."""

from contextlib import contextmanager
from datetime import date

from chassis.settings import Secret
from contracts.ports.system.psa import ProjectDraft
from system_apis.simulator import Row
from system_apis.vendors.kantata.connector import Settings
from system_apis.vendors.kantata.simulator.resources import RESOURCES

STREAM, KIND = "project", "workspaces"


def seed(store):
    store.put("client", "app", {"client_secret": "s", "user_id": "1"})
    store.put("users", "1", {"full_name": "Ann", "email_address": "ann@x.test"})
    store.put("roles", "1", {"name": "Consultant"})
    store.put("workspace_groups", "1", {"name": "Client", "company": True})
    reference = {"subject_type": "WorkspaceGroup", "subject_id": "1", "service_name": "firmwire"}
    reference |= {"service_model": "client", "service_model_ref": "CL-1"}
    store.put("external_references", "1", reference)
    store.put("stories", "1", {"title": "Build", "workspace_id": "1", "story_type": "task"})


def settings(url, **changed):
    own = {"client_id": "app", "client_secret": Secret("s"), "deadline_s": 1.0}
    return Settings(base_url=url, **(own | changed))


WRONG = {"client_secret": Secret("not it")}


def row(number, at=None, name="P"):
    doc = {"title": f"{name}{number}", "currency": "USD", "archived": False}
    return Row(str(number), doc, updated_at=at)


def _draft(code):
    return ProjectDraft(
        code=code, name="New", client="CL-1", contract="C-1", currency="USD",
        start=date(2026, 1, 1), end=date(2026, 7, 1), tasks=("Build", "Travel"),
    )  # fmt: skip


PUTS = {
    "project": (
        lambda c: c.put_project("P-9", _draft("P-9")),
        lambda c: c.project_by_reference("P-9"),
        "workspaces",
        ("POST", "/api/v1/workspaces"),
    )
}
ABSENT = (lambda c: c.project_by_reference("P-404"), lambda c: c.time_entry("404"))


@contextmanager
def growing(store):
    """The vendor's roles get a field nobody knows."""
    RESOURCES["workspaces"].fields["brand_new"] = "str"
    try:
        yield lambda c: c.changes("project")
    finally:
        del RESOURCES["workspaces"].fields["brand_new"]


def waiting(id, submission):
    """A time entry that somebody has handed in."""
    doc = {"workspace_id": "1", "story_id": "1", "user_id": "1", "time_in_minutes": 60}
    doc |= {"date_performed": "2026-02-03", "approved": False, "active_submission_id": submission}
    return Row(id, doc)


def submission(id, entries):
    """What its approver decides on."""
    doc = {"workspace_id": "1", "user_id": "1", "status": "pending", "time_entry_ids": entries}
    return Row(id, doc)


def recorded(there, numbers, at="2026-01-05T08:00:00.000000+00:00"):
    """At one moment."""
    rows = [_recorded(number, 60, at) for number in numbers]
    there.store.bulk_put("time_entries", rows)
    return {row.id for row in rows}


def corrected(there, number):
    row = _recorded(number, 7)
    there.store.put("time_entries", row.id, row.doc)
    return row.id


def _recorded(number, minutes, at=None):
    doc = {"workspace_id": "1", "story_id": "1", "user_id": "1", "time_in_minutes": minutes}
    doc |= {"date_performed": "2026-02-03", "approved": False}
    return Row(str(number), doc, updated_at=at)
