"""Keeps the firm's records: writes with their side effects, and references.

Owns: the rules between projects, time, submissions and invoices. Fails: Refused.
"""

from collections.abc import Iterable
from typing import Any

from system_apis.simulator import Document, Kit
from system_apis.vendors.kantata.simulator.feed import Feed
from system_apis.vendors.kantata.simulator.refusals import Refused, invalid, missing
from system_apis.vendors.kantata.simulator.resources import RESOURCES
from system_apis.vendors.kantata.simulator.values import money, parsed, required, status

_STORY_TYPES = ("task", "deliverable", "milestone", "issue")
_RESOLVED = {"approve": "approved", "reject": "rejected", "cancel": "cancelled"}
_REFERENCE = ("service_name", "service_model", "service_model_ref")


class Firm:
    """All writes."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock
        self._feed = Feed(kit)
        for kind, fields in {
            "time_entries": ("workspace_id",),
            "external_references": ("service_model_ref",),
            "stories": ("workspace_id",),
            "rate_card_roles": ("rate_card_version_id",),
        }.items():
            kit.store.index(kind, *fields)
        kit.store.index("external_references", "subject_type", "subject_id")

    def create(self, collection: str, given: dict[str, Any], user: str | None) -> Document:
        """A POST. user: who the token speaks for."""
        resource = RESOURCES[collection]
        if not resource.creates:
            raise missing()
        new = parsed(resource, given, resource.creates)
        required(resource, new)
        with self._store.transaction():
            self._complete(collection, new, user)
            id = str(self._store.next_id(collection))
            doc = self._store.put(collection, id, new)
            self._link(collection, doc, given.get("external_reference"))
            self._after_create(collection, doc)
            self._feed.tell(collection, "created", id, None, user)
            return self._store.get(collection, id) or doc

    def change(self, collection: str, id: str, given: dict[str, Any], user: str | None) -> Document:
        """A PUT."""
        resource = RESOURCES[collection]
        if not resource.updates:
            raise missing()
        with self._store.transaction():
            before = self._store.get(collection, id)
            if before is None:
                raise missing()
            if collection == "time_entries" and before.get("is_invoiced"):
                raise invalid("time_entry", "cannot be edited: it has been invoiced")
            new = before | parsed(resource, given, resource.updates)
            self._check(collection, new)
            self._store.put(collection, id, new)
            self._link(collection, before, given.get("external_reference"))
            self._feed.tell(collection, "updated", id, before, user)
            return self._store.get(collection, id) or new

    def remove(self, collection: str, id: str, user: str | None) -> None:
        """Hard, without restore."""
        with self._store.transaction():
            before = self._store.get(collection, id)
            if before is None or not RESOURCES[collection].creates:
                raise missing()
            if collection == "time_entries" and before.get("is_invoiced"):
                raise invalid("time_entry", "cannot be deleted: it has been invoiced")
            if collection == "invoices":
                self._release(before, user)
            if collection == "workspaces" and self._count("time_entries", workspace_id=id):
                raise invalid("workspace", "cannot be deleted: time has been logged on it")
            self._store.delete(collection, id)
            self._feed.tell(collection, "deleted", id, before, user)

    def resolve(self, id: str, action: str, words: str, user: str | None) -> Document:
        """Approve, reject or cancel a submission, with its time entries."""
        with self._store.transaction():
            before = self._store.get("timesheet_submissions", id)
            if before is None:
                raise missing()
            allowed = ("pending", "approved") if action == "cancel" else ("pending",)
            if before["status"] not in allowed:
                raise invalid("status", f"is {before['status']}: it cannot be changed")
            new = before | {
                "status": _RESOLVED[action],
                "resolution_description": words,
                "current_resolution_description": words,
                "current_resolution_creator_id": user,
                "current_resolution_created_at_date": self._clock().date().isoformat(),
            }
            self._store.put("timesheet_submissions", id, new)
            active = id if action == "approve" else None
            for entry in before["time_entry_ids"]:
                change = {"approved": action == "approve", "active_submission_id": active}
                self._touch("time_entries", entry, change, user)
            self._feed.tell("timesheet_submissions", "updated", id, before, user)
            return self._store.get("timesheet_submissions", id) or new

    def cancel_invoice(self, id: str, user: str | None) -> Document:
        """Its time can be invoiced again."""
        with self._store.transaction():
            before = self._store.get("invoices", id)
            if before is None:
                raise missing()
            self._release(before, user)
            return self._touch("invoices", id, {"status": "cancelled", "balance_in_cents": 0}, user)

    def _complete(self, collection: str, new: Document, user: str | None) -> None:
        """Defaults, and what belongs to what."""
        if collection == "workspaces":
            if new.pop("creator_role") not in ("maven", "buyer"):
                raise invalid("creator_role", "is not included in the list")
            money(new, new.get("currency") or "USD")
            flags = {
                "archived": False,
                "require_time_approvals": True,
                "access_level": "invitation",
            }
            new |= {name: value for name, value in flags.items() if new.get(name) is None}
            new["status_key"] = new.get("status_key") or 100
            new["creator_id"] = user
        if collection == "workspace_allocations":
            new["workspace_resource_id"] = new.pop("resource_id")
            staffed = self._need("workspace_resources", new["workspace_resource_id"], "resource_id")
            new["workspace_id"] = staffed["workspace_id"]
        if collection == "time_entries":
            self._complete_time(new, user)
        if collection == "timesheet_submissions":
            self._complete_submission(new, user)
        if collection == "invoices":
            self._complete_invoice(new, user)
        self._check(collection, new)

    def _check(self, collection: str, new: Document) -> None:
        resource = RESOURCES[collection]
        for foreign, other in resource.links.values():
            if foreign in new and not foreign.endswith("_ids") and new[foreign] is not None:
                self._need(other, new[foreign], foreign)
        if collection == "workspaces":
            new["status"] = status(new["status_key"])
        if collection == "stories" and new["story_type"] not in _STORY_TYPES:
            raise invalid("story_type", "is not included in the list")
        if collection == "time_entries":
            if new["time_in_minutes"] <= 0:
                raise invalid("time_in_minutes", "must be greater than 0")
            story = self._store.get("stories", new["story_id"]) if new.get("story_id") else None
            if story and story["workspace_id"] != new["workspace_id"]:
                raise invalid("story_id", "is not in the workspace")
        if collection == "workspace_resources":
            for given, kept in (
                ("bill_rate", "resource_bill_rate"),
                ("cost_rate", "resource_cost_rate"),
            ):
                if given in new:
                    new[kept] = new.pop(given)

    def _complete_time(self, new: Document, user: str | None) -> None:
        project = self._need("workspaces", new["workspace_id"], "workspace_id")
        money(new, project.get("currency") or "USD")
        new["user_id"] = new.get("user_id") or user
        if new.get("billable") is None:
            new["billable"] = not project.get("tasks_default_non_billable", False)
        if new.get("rate_in_cents") is None:
            new["rate_in_cents"] = self._rate(project, new)
        new["approved"] = project.get("require_time_approvals") is False
        new |= {"is_invoiced": False, "user_can_edit": True}

    def _rate(self, project: Document, new: Document) -> int:
        """The project's rate card on the day, by role; its default; nothing."""
        versions = self._store.list(
            "rate_card_versions", where={"rate_card_id": project.get("rate_card_id") or "0"}
        )
        day = new["date_performed"]
        known = [one for one in versions if (one.get("effective_date") or "") <= day]
        if not known:
            return 0
        version = max(known, key=lambda one: str(one.get("effective_date") or ""))
        where = {"rate_card_version_id": version["_id"], "role_id": new.get("role_id") or "0"}
        roles = self._store.list("rate_card_roles", where=where)
        return int(roles[0]["rate"] if roles else version.get("default_rate") or 0)

    def _complete_submission(self, new: Document, user: str | None) -> None:
        new["time_entry_ids"] = new.pop("line_item_ids")
        new["user_id"] = new.get("user_id") or user
        entries = [self._need("time_entries", id, "line_item_ids") for id in new["time_entry_ids"]]
        for entry in entries:
            if entry["workspace_id"] != new["workspace_id"]:
                raise invalid("line_item_ids", "must be of one workspace")
            if entry.get("is_invoiced"):
                raise invalid("line_item_ids", "have been invoiced")
        days = sorted(entry["date_performed"] for entry in entries)
        new |= {"start_date": days[0], "end_date": days[-1], "status": "pending"}
        new["type"] = "TimesheetSubmission"
        money(new, entries[0].get("currency") or "USD")
        # An hour's rate for minutes: the vendor's own rounding is not documented [U].
        new["line_item_total_in_cents"] = sum(_value(entry) for entry in entries)

    def _complete_invoice(self, new: Document, user: str | None) -> None:
        new["time_entry_ids"] = new.get("time_entry_ids") or []
        entries = [self._need("time_entries", id, "time_entry_ids") for id in new["time_entry_ids"]]
        if any(entry.get("is_invoiced") for entry in entries):
            raise invalid("time_entry_ids", "have been invoiced")
        one = new.pop("workspace_id", None)
        new["workspace_ids"] = new.get("workspace_ids") or ([one] if one else [])
        if not new["workspace_ids"]:
            raise invalid("workspace_id", "can't be blank")
        project = self._need("workspaces", new["workspace_ids"][0], "workspace_ids")
        money(new, project.get("currency") or "USD")
        new["user_id"] = user
        new["invoice_date"] = new.get("invoice_date") or self._clock().date().isoformat()
        new["draft"] = bool(new.get("draft"))
        new["status"] = "draft" if new["draft"] else "new"
        new["balance_in_cents"] = sum(_value(entry) for entry in entries)

    def _after_create(self, collection: str, doc: Document) -> None:
        """A new submission takes its entries and voids an approval; an invoice marks them."""
        if collection == "timesheet_submissions":
            change = {
                "active_submission_id": doc["_id"],
                "recent_submission_id": doc["_id"],
                "approved": False,
            }
        elif collection == "invoices":
            change = {"is_invoiced": True, "invoice_id": doc["_id"]}
        else:
            return
        for entry in doc["time_entry_ids"]:
            self._touch("time_entries", entry, change, doc.get("user_id"))

    def _release(self, invoice: Document, user: str | None) -> None:
        for entry in invoice["time_entry_ids"]:
            if self._store.get("time_entries", entry):
                free = {"is_invoiced": False, "invoice_id": None}
                self._touch("time_entries", entry, free, user)

    def _touch(
        self, collection: str, id: str, change: dict[str, Any], user: str | None
    ) -> Document:
        before = self._store.get(collection, id) or {}
        new = self._store.put(collection, id, before | change)
        self._feed.tell(collection, "updated", id, before, user)
        return new

    def _link(self, collection: str, doc: Document, reference: Any) -> None:
        """`external_reference` in a create or update: one reference a service, changed in place."""
        if not isinstance(reference, dict):
            return
        if any(not reference.get(name) for name in _REFERENCE):
            raise invalid("external_reference", "needs service_name, service_model, _ref")
        subject = {"subject_type": RESOURCES[collection].subject, "subject_id": doc["_id"]}
        same = subject | {"service_name": str(reference["service_name"])}
        known = self._store.list("external_references", where=same)
        id = known[0]["_id"] if known else str(self._store.next_id("external_references"))
        resource = RESOURCES["external_references"]
        new = parsed(resource, reference, resource.creates) | subject
        self._store.put("external_references", id, new | {"locked": False})

    def _need(self, collection: str, id: str, field: str) -> Document:
        doc = self._store.get(collection, id)
        if doc is None:
            raise invalid(field, "does not exist")
        return doc

    def _count(self, collection: str, **where: object) -> int:
        return self._store.count(collection, where)


def bulk_ids(body: dict[str, Any], wrapper: str) -> Iterable[str]:
    """The submissions of a bulk resolution [U: the name of the list]."""
    inner = body.get(wrapper, body)
    ids = inner.get("timesheet_submission_ids") if isinstance(inner, dict) else None
    if not isinstance(ids, list) or not ids:
        raise Refused(400, "system", "param is missing: timesheet_submission_ids")
    return [str(id) for id in ids]


def _value(entry: Document) -> int:
    """Cents of an entry, half a cent up."""
    cents = entry["time_in_minutes"] * (entry.get("rate_in_cents") or 0)
    return int((cents * 2 + 60) // 120) if entry.get("billable") else 0
