"""Keeps the team's records: what may be written, and what a write brings about.

Fails: Refused 404; 422 with every wrong field at once. A retried create makes a second record.
"""

from typing import Any

from system_apis.simulator import Document, Store
from system_apis.vendors.float.simulator.refusals import Refused
from system_apis.vendors.float.simulator.shapes import SHAPES

_POINTS_TO = {
    "people_id": "people",
    "project_id": "projects",
    "client_id": "clients",
    "phase_id": "phases",
    "role_id": "roles",
}
_HOURS_MAX = 24


class Team:
    """Records and their rules."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.index("tasks", "project_id")
        store.index("logged-time", "project_id")

    def one(self, name: str, id: str) -> Document:
        """By id: a strong read."""
        doc = self._store.get(name, id)
        if doc is None:
            raise Refused(404, f"Object not found: {id}")
        return doc

    def create(self, name: str, given: dict[str, Any]) -> Document:
        """A new record; fields nobody knows, or nobody may write, are passed over [U]."""
        shape = SHAPES[name]
        doc = {
            field.name: given.get(field.name, field.default)
            for field in shape.fields.values()
            if field.writable and (field.name in given or field.default is not None)
        }
        self._settle(name, doc)
        self._check(name, doc, doc)
        number = self._store.next_id(name)
        id = f"{number:024x}" if name == "logged-time" else str(number)
        doc[shape.key] = id if name == "logged-time" else number
        if name == "tasks" and doc.get("name"):
            self._project_task(doc)
        return self._store.put(name, id, doc)

    def change(self, name: str, id: str, given: dict[str, Any]) -> Document:
        """Only what is given changes."""
        fields = SHAPES[name].fields
        changes = {
            key: value for key, value in given.items() if key in fields and fields[key].writable
        }
        doc = self.one(name, id) | changes
        self._settle(name, doc)
        self._check(name, doc, changes)
        return self._store.put(name, id, doc)

    def _settle(self, name: str, doc: dict[str, Any]) -> None:
        """people_id and people_ids say the same of one person."""
        several = doc.get("people_ids")
        if name in ("tasks", "timeoffs") and not doc.get("people_id") and isinstance(several, list):
            doc["people_id"] = several[0] if several else None

    def _check(self, name: str, doc: dict[str, Any], written: dict[str, Any]) -> None:
        wrong: dict[str, str] = {}
        for field in SHAPES[name].fields.values():
            if field.writable and (words := field.wrong(doc.get(field.name))):
                wrong[field.name] = words
        for field_name, kind in _POINTS_TO.items():
            value = written.get(field_name)
            if value is None or field_name in wrong or field_name not in SHAPES[name].fields:
                continue
            if self._store.get(kind, str(value)) is None:
                wrong[field_name] = f"{field_name.replace('_', ' ').capitalize()} is invalid."
        hours = doc.get("hours")
        if "hours" not in wrong and hours is not None and not 0 <= hours <= _HOURS_MAX:
            wrong["hours"] = f"Hours must be no greater than {_HOURS_MAX} and no less than 0."
        start, end = doc.get("start_date"), doc.get("end_date")
        if start and end and not {"start_date", "end_date"} & set(wrong) and end < start:
            wrong["end_date"] = "End date must not be before start date."
        if wrong:
            raise Refused(422, "Data Validation Failed.", list(wrong.items()))

    def _project_task(self, doc: dict[str, Any]) -> None:
        """An allocation's name makes a task of the project, or matches the one there."""
        key = {"project_id": doc["project_id"], "task_names": doc["name"]}
        if not self._store.list("project-tasks", where=key, limit=1):
            number = self._store.next_id("project-tasks")
            new = key | {"project_task_id": number, "phase_id": doc.get("phase_id")}
            self._store.put("project-tasks", str(number), new)
