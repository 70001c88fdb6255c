"""Finds records by the filters of a collection, and the records beside them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from system_apis.simulator import Document, Kit
from system_apis.vendors.kantata.simulator.refusals import Refused
from system_apis.vendors.kantata.simulator.resources import RESOURCES

RETENTION_DAYS = 9
_STAMPS = {
    "created_after": "_created_at >",
    "created_before": "_created_at <",
    "updated_after": "_updated_at >",
    "updated_before": "_updated_at <",
}
_ORDERS = {
    "updated_at:asc": "updated_at,id",
    "updated_at:desc": "-updated_at,id",
    "updated_at": "updated_at,id",
    "id:asc": "id",
    "id:desc": "-id",
    "created_at:asc": "id",
    "created_at:desc": "-id",
}
_BACKWARDS = {  # ids of "has many" that the other side keeps
    "workspace_ids": ("workspaces", "workspace_group_ids"),
    "rate_card_version_ids": ("rate_card_versions", "rate_card_id"),
    "rate_card_role_ids": ("rate_card_roles", "rate_card_version_id"),
}


class Search:
    """All reads but the one by id."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def find(
        self, collection: str, query: Mapping[str, str], limit: int, offset: int
    ) -> tuple[list[Document], int]:
        """One page and the count of all. `only` skips the default filters and never misses."""
        where = self._where(collection, query)
        order = _ORDERS.get(query.get("order", ""), "id")
        if collection == "subscribed_events":
            self._check_events(query)
            order = "id"
        docs = self._store.list(collection, where=where, limit=limit, offset=offset, order=order)
        if collection == "subscribed_events":
            docs.sort(key=lambda doc: (int(doc["_id"]) * 7 % 11, int(doc["_id"])))  # unordered
        return docs, self._store.count(collection, where)

    def hides(self, collection: str, doc: Document, query: Mapping[str, str]) -> bool:
        """Whether a default filter hides a record that exists."""
        hidden = RESOURCES[collection].hidden
        shown = query.get("include_archived") == "true"
        return bool(hidden and doc.get(hidden) and not shown)

    def linked(self, collection: str, docs: Sequence[Document], included: Sequence[str]) -> None:
        """Fill in the ids that other records keep: references, and the far side of has-many."""
        for name in included:
            foreign = RESOURCES[collection].links.get(name, ("",))[0]
            if foreign == "external_reference_ids":
                kind, field = "external_references", "subject_id"
            elif foreign in _BACKWARDS and collection != "invoices":
                kind, field = _BACKWARDS[foreign]
            else:
                continue
            self._fill(collection, docs, foreign, kind, field)

    def beside(
        self, collection: str, docs: Sequence[Document], included: Sequence[str]
    ) -> Iterator[tuple[str, list[Document]]]:
        """The side-loaded records of each included association."""
        for name in included:
            if name not in RESOURCES[collection].links:
                raise Refused(400, "system", f"Unknown include: {name}")
            foreign, other = RESOURCES[collection].links[name]
            ids: dict[str, None] = {}
            for doc in docs:
                value = doc.get(foreign)
                for id in value if isinstance(value, list) else [value]:
                    if id is not None:
                        ids[str(id)] = None
            found = (self._store.get(other, id) for id in ids)
            yield other, [doc for doc in found if doc is not None]

    def _fill(
        self, collection: str, docs: Sequence[Document], foreign: str, kind: str, field: str
    ) -> None:
        where: dict[str, object] = {}
        if field == "subject_id":
            where["subject_type"] = RESOURCES[collection].subject
        if not field.endswith("_ids"):
            where[field] = [doc["_id"] for doc in docs]
        owned: dict[str, list[str]] = {}
        for one in self._store.list(kind, where=where, order="id"):
            value = one.get(field)
            for owner in value if isinstance(value, list) else [value]:
                owned.setdefault(str(owner), []).append(one["_id"])
        for doc in docs:
            doc[foreign] = owned.get(doc["_id"], [])

    def _where(self, collection: str, query: Mapping[str, str]) -> dict[str, object]:
        resource = RESOURCES[collection]
        where: dict[str, object] = {}
        if "only" in query:
            where["_id"] = query["only"].split(",")
        elif resource.hidden and query.get("include_archived") != "true":
            where[f"{resource.hidden} !="] = True
        for name, column in _STAMPS.items():
            if name in query:
                where[column] = _instant(query[name], name)
        if "approved" in query and "approved" in resource.fields:
            where["approved"] = True  # whatever was sent
        for name in ("billable", "company", "is_invoiced"):
            if name in query and name in resource.fields:
                where[name] = query[name] in ("true", "1")
        for name, kind in resource.fields.items():
            if name in query and (kind in ("id", "number-id") or name in _EXACT):
                where[name] = query[name].split(",")
        if "date_performed_between" in query and "date_performed" in resource.fields:
            first, _, last = query["date_performed_between"].partition(":")
            where |= {"date_performed >=": first, "date_performed <=": last}
        if wanted := query.get("matching") or query.get("search"):
            where[f"{'title' if 'title' in resource.fields else 'name'} like"] = f"%{wanted}%"
        if collection == "subscribed_events":
            where |= self._events(query)
        return self._by_reference(collection, query, where)

    def _by_reference(
        self, collection: str, query: Mapping[str, str], where: dict[str, object]
    ) -> dict[str, object]:
        """external_reference_service_name=, _service_model=, _service_model_ref= [U names]."""
        wanted: dict[str, object] = {
            name.removeprefix("external_reference_"): value
            for name, value in query.items()
            if name.startswith("external_reference_service_")
        }
        if wanted:
            wanted["subject_type"] = RESOURCES[collection].subject
            found = self._store.list("external_references", where=wanted)
            ids = {one["subject_id"] for one in found}
            if "_id" in where:
                ids &= set(where["_id"])  # type: ignore[call-overload]
            where["_id"] = sorted(ids)
        return where

    def _events(self, query: Mapping[str, str]) -> dict[str, object]:
        edge = self._clock() - timedelta(days=RETENTION_DAYS)
        where: dict[str, object] = {"_created_at >=": edge.isoformat(timespec="microseconds")}
        if query.get("event_types"):
            where["event_type"] = query["event_types"].split(",")
        return where

    def _check_events(self, query: Mapping[str, str]) -> None:
        account = self._store.get("setting", "account") or {}
        if account.get("subscribed_events") is False:
            raise Refused(403, "system", "Subscribed events are not enabled for this account")


_EXACT = {
    *("status", "subject_type", "service_name", "service_model", "service_model_ref"),
    *("story_type", "email_address", "currency"),
}


def _instant(text: str, name: str) -> str:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise Refused(400, "system", f"Invalid date: {name}") from error
    at = found if found.tzinfo else found.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat(timespec="microseconds")
