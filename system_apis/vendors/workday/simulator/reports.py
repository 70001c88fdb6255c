"""The tenant's custom reports (RaaS): every value is text, what is absent is left out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from system_apis.simulator import Document, Store

OWNER = "ISU_Firmwire"
REPORTS = {
    "Firm_Workers": "worker",
    "Firm_Job_Profiles": "job_profile",
    "Firm_Cost_Centers": "cost_center",
    "Firm_Leave": "leave",
    "Firm_Cost_Rates": "cost_rate",
}


def entries(store: Store, report: str, prompts: Mapping[str, str]) -> list[dict[str, str]]:
    """All rows of a report. Prompts: Updated_From (inclusive), Employee_ID."""
    where: dict[str, object] = {}
    if "Employee_ID" in prompts:
        where["Employee_ID"] = prompts["Employee_ID"]
    since = prompts.get("Updated_From")
    updated_since = (
        datetime.fromisoformat(since).isoformat(timespec="microseconds") if since else None
    )
    found = store.list(REPORTS[report], updated_since=updated_since, where=where)
    return [entry(doc) for doc in found]


def entry(doc: Document) -> dict[str, str]:
    """One row. The instant carries milliseconds and an offset, as the vendor's exports do [U]."""
    at = datetime.fromisoformat(doc["_updated_at"])
    row = {name: _text(value) for name, value in doc.items() if not name.startswith("_") and value}
    row["Last_Updated"] = at.isoformat(timespec="milliseconds")
    row["WID"] = doc["_id"]
    return row


def _text(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)
