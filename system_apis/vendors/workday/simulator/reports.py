"""The tenant's custom reports (RaaS): every value is text, what is absent is left out."""

from collections.abc import Mapping
from datetime import UTC, datetime
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
_KEYS = {
    "Employee_ID": "Employee_ID",
    "Worker!Employee_ID": "Employee_ID",
    "WID": "_id",
    "Worker!WID": "_id",
}
"""Prompts that choose rows, and the field they look at."""


def entries(store: Store, report: str, prompts: Mapping[str, str]) -> list[dict[str, str]]:
    """All rows of a report at once. Prompts: Updated_From (inclusive), and a worker's key."""
    where: dict[str, object] = {
        field: prompts[name] for name, field in _KEYS.items() if name in prompts
    }
    since = _utc(prompts["Updated_From"]) if prompts.get("Updated_From") else None
    return [entry(doc) for doc in store.list(REPORTS[report], updated_since=since, where=where)]


def entry(doc: Document) -> dict[str, str]:
    """One row. The instant carries milliseconds and an offset, as the vendor's exports do [U]."""
    at = datetime.fromisoformat(doc["_updated_at"])
    row = {
        name: _text(value)
        for name, value in doc.items()
        if not name.startswith("_") and value not in (None, "")
    }
    row["Last_Updated"] = at.isoformat(timespec="milliseconds")
    row["WID"] = doc["_id"]
    return row


def _text(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _utc(text: str) -> str:
    """A blank stands for the `+` an unescaped query lost; without an offset it is UTC [U]."""
    at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).isoformat(timespec="microseconds")
