"""What the conformance suite must know of Workday to hold its connector to the ports."""

from contextlib import contextmanager

from chassis.settings import Secret
from system_apis.simulator import Row
from system_apis.vendors.workday.connector import Settings

STREAM, KIND = "resource", "worker"


def seed(store):
    store.put("setting", "tenant", {"name": "firm", "rate_per_s": 10_000})
    store.put("isu", "ISU_Firmwire", {"password": "s"})
    profile = {"Job_Profile_ID": "SENIOR", "Job_Profile": "Senior", "Substitutable_By": "LEAD"}
    store.put("job_profile", f"{1:032x}", profile, unique="SENIOR")


def settings(url, **changed):
    own = {"tenant": "firm", "password": Secret("s"), "deadline_s": 1.0, "rate_per_s": 1000.0}
    return Settings(base_url=url, **(own | changed))


WRONG = {"password": Secret("not it")}


def row(number, at=None, name="Person"):
    doc = {
        "Employee_ID": f"E{number:04d}", "Worker": f"{name} {number}", "Company": "LE-UK",
        "Email": f"e{number}@firm.example", "FTE": "0.8", "Job_Profile_ID": "SENIOR",
    }  # fmt: skip
    return Row(f"{number:032x}", doc, unique=f"E{number:04d}", updated_at=at)


PUTS = {}
ABSENT = (lambda c: c.worker_by_reference("E9999"), lambda c: c.worker("f" * 32))


@contextmanager
def growing(store):
    """Somebody adds a column to the report of workers."""
    one = row(1)
    store.put("worker", one.id, dict(one.doc) | {"Brand_New": "x"}, unique=one.unique)
    yield lambda c: c.changes("resource")


def hired(there):
    there.put_rows([1])
    return "E0001"
