"""What the conformance suite must know of Float to hold its connector to the ports."""

from contextlib import contextmanager
from datetime import date

from chassis.settings import Secret
from contracts.ports.system.scheduling import BookingDraft, ScheduledProjectDraft
from system_apis.simulator import Row
from system_apis.vendors.float.connector import Settings

STREAM, KIND = "allocation", "tasks"


def seed(store):
    store.put("setting", "account", {"token": "s", "gets_per_min": 9999, "writes_per_min": 9999})
    store.put("people", "1", {"people_id": 1, "name": "Ann", "email": "ann@firm.example"})
    project = {"project_id": 1, "name": "One", "notes": "firmwire:P-1", "tags": []}
    store.bulk_put("projects", [Row("1", project)])


def settings(url, **changed):
    own = {"token": Secret("s"), "deadline_s": 1.0, "gets_per_min": 60_000}
    return Settings(base_url=url, **(own | changed))


WRONG = {"token": Secret("not it")}


def row(number, at=None, name="Task"):
    doc = {
        "task_id": number, "people_id": 1, "project_id": 1, "name": f"{name} {number}",
        "start_date": "2026-01-05", "end_date": "2026-01-09", "hours": 7.5, "status": 2,
    }  # fmt: skip
    return Row(str(number), doc, updated_at=at)


def _booking():
    days = {"start": date(2026, 1, 5), "end": date(2026, 1, 10)}
    return BookingDraft(resource="1", project="1", minutes_per_day=450, **days)


PUTS = {
    "project": (
        lambda c: c.put_scheduled_project("P-9", ScheduledProjectDraft(code="P-9", name="Nine")),
        None,
        "projects",
        ("POST", "/v3/projects"),
    ),
    "booking": (
        lambda c: c.put_booking("B-9", _booking()),
        lambda c: c.booking_by_reference("B-9"),
        "tasks",
        ("POST", "/v3/tasks"),
    ),
}
ABSENT = (lambda c: c.booking_by_reference("B-404"),)


@contextmanager
def growing(store):
    """Bookings get a field nobody knows."""
    store.put("tasks", "1", dict(row(1).doc) | {"brand_new": "x"})
    yield lambda c: c.changes("allocation")
