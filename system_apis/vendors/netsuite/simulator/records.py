"""Keeps the records: create, read, change, upsert, delete, with references and external ids.

Fails: Refused. A second create with an external id in use is USER_ERROR "already exists" [U].
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from system_apis.simulator import Document, Kit, Taken
from system_apis.vendors.netsuite.simulator import ledger
from system_apis.vendors.netsuite.simulator.fields import LINE, RECORDS
from system_apis.vendors.netsuite.simulator.refusals import Refused, invalid, missing, user_error
from system_apis.vendors.netsuite.simulator.values import instant, parsed, shown

_NEEDS = {
    "customer": {"companyName": "Company Name", "subsidiary": "Primary Subsidiary"},
    "job": {"companyName": "Project Name", "parent": "Customer"},
    "serviceItem": {"itemId": "Item Name/Number"},
    "subsidiary": {"name": "Name", "currency": "Currency"},
    "accountingPeriod": {"periodName": "Period Name", "startDate": "From", "endDate": "To"},
    "currency": {"name": "Name", "symbol": "ISO Code"},
    "department": {"name": "Name"},
    "salesTaxItem": {"itemId": "Tax Name", "rate": "Rate"},
}


class How(Struct, frozen=True):
    """names: X-NetSuite-PropertyNameValidation. replace: sublists to replace, not to merge."""

    names: str = "Warning"
    replace: frozenset[str] = frozenset()


class Records:
    """The account's records."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._store = kit, kit.store
        self._ledger = ledger.Ledger(kit)
        self._store.index("transaction", "recordType")
        self._store.index("entity", "recordType")

    def find(self, record: str, id: str) -> Document:
        """By internal id or `eid:<external id>`; a strong read."""
        kind = _spec(record).kind
        if id.startswith("eid:"):
            doc = self._store.by_unique(kind, id.removeprefix("eid:"))
        else:
            doc = self._store.get(kind, id)
        if doc is None or doc.get("recordType", record) != record:
            raise missing(record, id)
        return doc

    def create(self, record: str, body: Mapping[str, Any], how: How) -> str:
        """The new internal id."""
        new = self._parsed(record, body, how)
        with self._store.transaction():
            kind = _spec(record).kind
            external = new.get("externalId")
            if external and self._store.by_unique(kind, external):
                raise ledger.duplicate()
            return self._write(record, str(self._store.next_id(kind)), new, None)

    def change(self, record: str, id: str, body: Mapping[str, Any], how: How) -> str:
        """PATCH: given fields replace, lines merge by `line` unless replaced."""
        with self._store.transaction():
            before = self.find(record, id)
            new = self._parsed(record, body, how)
            lines = new.get("item")
            if lines is not None and "item" not in how.replace:
                new["item"] = _merged(before.get("item") or [], lines)
            return self._write(record, before["_id"], before | new, before)

    def upsert(self, record: str, id: str, body: Mapping[str, Any], how: How) -> str:
        """PUT eid:X. The id of the path is an external one, with or without `eid:`."""
        external = id.removeprefix("eid:")
        body = dict(body) | {"externalId": external}
        if self._store.by_unique(_spec(record).kind, external):
            return self.change(record, f"eid:{external}", body, how)
        return self.create(record, body, how)

    def remove(self, record: str, id: str) -> None:
        """Gone for good, but for the deletedRecord that SuiteQL shows."""
        doc = self.find(record, id)
        kind = _spec(record).kind
        if kind == "transaction":
            self._ledger.check_open(doc)
        where: dict[str, object] = {"entity.id": doc["_id"]}
        if kind == "entity" and self._store.count("transaction", where):
            raise user_error("This record cannot be deleted because it has dependent records.")
        with self._store.transaction():
            self._store.delete(kind, doc["_id"])
            gone = {
                "recordid": doc["_id"],
                "recordType": record,
                "name": doc.get("refName", ""),
                "deleteddate": self._kit.clock().isoformat(timespec="seconds"),
            }
            self._store.put("deletedRecord", str(self._store.next_id("deletedRecord")), gone)

    def transform(self, record: str, id: str, into: str, body: Mapping[str, Any], how: How) -> str:
        """Only invoice -> creditMemo: same party and lines unless the body says otherwise."""
        if (record, into) != ("invoice", "creditMemo"):
            raise Refused(400, "INVALID_PARAMETER", f"Cannot transform {record} into {into}.")
        with self._store.transaction():
            source = self.find(record, id)
            copied = {name: source[name] for name in ("entity", "subsidiary", "currency")}
            copied["createdFrom"] = {"id": source["_id"], "recordType": "invoice"}
            copied["item"] = [_copied(line) for line in source["item"]]
            external = body.get("externalId")
            if external and self._store.by_unique("transaction", external):
                raise ledger.duplicate()
            new = copied | self._parsed(into, body, how)
            return self._write(into, str(self._store.next_id("transaction")), new, None)

    def show(self, record: str, doc: Document, base: str, query: Mapping[str, str]) -> Any:
        """A record as GET shows it; sublists are links unless expanded."""
        spec, here = _spec(record), f"{base}/{record}/{doc['_id']}"
        simple = query.get("simpleEnumFormat") == "true"
        out = shown(spec.fields, doc, base, simple)
        out["lastModifiedDate"] = instant(doc["_updated_at"])
        made = {"transaction": "createdDate", "entity": "dateCreated"}.get(spec.kind)
        if made:
            out[made] = instant(doc["_created_at"])
        if "item" in spec.fields:
            out["item"] = {"links": [{"rel": "self", "href": f"{here}/item"}]}
            if query.get("expandSubResources") == "true":
                out["item"] |= self.lines(doc, base, simple)
        if wanted := query.get("fields"):
            out = {name: out[name] for name in wanted.split(",") if name in out}
        return {"links": [{"rel": "self", "href": here}]} | out | {"id": doc["_id"]}

    def lines(self, doc: Document, base: str, simple: bool) -> dict[str, Any]:
        """The sublist wrapper."""
        items = [shown(LINE, line, base, simple) for line in doc.get("item") or []]
        count = {"count": len(items), "offset": 0, "totalResults": len(items)}
        return {"items": items, "hasMore": False} | count

    def _parsed(self, record: str, body: Mapping[str, Any], how: How) -> Document:
        return parsed(_spec(record).fields, body, how.names, self._resolve)

    def _write(self, record: str, id: str, new: Document, before: Document | None) -> str:
        spec = _spec(record)
        new["recordType"] = record
        if spec.kind == "transaction":
            new = self._ledger.booked(record, new, before)
        else:
            self._complete(record, id, new)
        try:
            self._store.put(spec.kind, id, new, unique=new.get("externalId"))
        except Taken as taken:
            raise ledger.duplicate() from taken
        return id

    def _complete(self, record: str, id: str, new: Document) -> None:
        """What the other records need and get by default."""
        if record == "job" and new.get("parent"):
            customer = self.find("customer", new["parent"]["id"])
            for name in ("subsidiary", "currency"):
                new[name] = new.get(name) or customer.get(name)
        for name, label in _NEEDS.get(record, {}).items():
            if new.get(name) in (None, ""):
                raise user_error(f"Please enter value(s) for: {label}", name)
        if record == "customer" and not new.get("currency"):
            home = self._store.get("subsidiary", new["subsidiary"]["id"]) or {}
            new["currency"] = home.get("currency")
        if record in ("customer", "job"):
            new["entityId"] = new.get("entityId") or new.get("companyName")

    def _resolve(self, what: str, value: Any, where: str) -> dict[str, Any]:
        """A reference by id or external id to one that exists, with its name."""
        given = value if isinstance(value, dict) else {"id": value}
        id, external = given.get("id"), given.get("externalId")
        if id is None and external is None:
            raise invalid(where, f"Invalid reference for field '{where}': id or externalId.")
        for record in what.split("|"):
            if record not in RECORDS and record != "transaction":
                return {"id": str(id)}
            kind = RECORDS[record].kind if record in RECORDS else record
            doc = (
                self._store.get(kind, str(id))
                if id is not None
                else self._store.by_unique(kind, str(external))
            )
            if doc and doc.get("recordType", record) in (record, *_any_of(record)):
                found = {"id": doc["_id"], "refName": name_of(doc)}
                return found | ({"recordType": doc["recordType"]} if "recordType" in doc else {})
        named = external if id is None else id
        raise invalid(where, f"Invalid reference key {named} for field '{where}'.")


def name_of(doc: Document) -> str:
    """What refName shows."""
    names = ("refName", "entityId", "companyName", "displayName", "itemId", "periodName", "name")
    return str(next((doc[name] for name in names if doc.get(name)), doc["_id"]))


def _any_of(record: str) -> tuple[str, ...]:
    return ("invoice", "creditMemo") if record == "transaction" else ()


def _spec(record: str) -> Any:
    if record not in RECORDS:
        words = f"Record type '{record}' does not exist."
        raise Refused(404, "NONEXISTENT_ID", words)
    return RECORDS[record]


def _copied(line: Mapping[str, Any]) -> dict[str, Any]:
    computed = ("taxRate1", "tax1Amt", "grossAmt", "itemType")
    return {name: value for name, value in line.items() if name not in computed}


def _merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines with a known key change, others are added."""
    by_key = {line["line"]: dict(line) for line in old}
    added = []
    for line in new:
        if line.get("line") in by_key:
            kept = by_key[line["line"]]
            if "amount" not in line and ("rate" in line or "quantity" in line):
                kept.pop("amount", None)
            kept.update(line)
        else:
            added.append(line)
    return [*by_key.values(), *added]
