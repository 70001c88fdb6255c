"""Keeps the org's records: what may be written, and what a write brings about.

Fails: Refused, in the vendor's codes. The order in which several faults of one record are told is
[U]; so are the activation rules of a contract beyond "made as a draft, activated later".
"""

import calendar
from datetime import date, timedelta
from typing import Any

from system_apis.simulator import Document, Kit, Taken
from system_apis.vendors.salesforce.simulator import numbers
from system_apis.vendors.salesforce.simulator.fitting import fitting
from system_apis.vendors.salesforce.simulator.objects import OBJECTS, Field, Object
from system_apis.vendors.salesforce.simulator.refusals import Refused, missing
from system_apis.vendors.salesforce.simulator.values import (
    MADE,
    STATUS_CODES,
    full_id,
    record_id,
)  # fmt: skip


class Org:
    """Records and their rules."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock, self._faults = kit.store, kit.clock, kit.faults
        for one in OBJECTS.values():
            for field in one.fields.values():
                if field.lookup and field.name != "Id":
                    self._store.index(one.name, field.name)
        for name, field_name in (("Contract_Line__c", "Contract__c"), ("Opportunity", "AccountId")):
            self._store.index(name, field_name)

    def read(self, one: Object, id: str) -> Document:
        """By id; 404 tells a deleted one from one that never was."""
        full = full_id(id)
        if full is None:
            raise Refused(400, "MALFORMED_ID", f"malformed id {id}")
        if found := self._store.get(one.name, full):
            return found
        if self._store.get(f"deleted.{one.name}", full):
            raise Refused(404, "ENTITY_IS_DELETED", "entity is deleted")
        raise missing()

    def matching(self, one: Object, field_name: str, wanted: str) -> list[Document]:
        """By a field that may be looked up by: none, one, or more where it is not unique."""
        field = one.field(field_name)
        if field is None or not field.lookup:
            words = f"Provided external ID field does not exist or is not accessible: {field_name}"
            raise Refused(404, "NOT_FOUND", words)
        if field.name == "Id":
            return [self.read(one, wanted)]
        if field.name == "Firm_Ext_Id__c" and (held := self._store.by_unique(one.name, wanted)):
            return [held]
        return self._store.list(one.name, where={field.name: wanted}, order="id")

    def create(self, one: Object, given: dict[str, Any], user: str) -> str:
        """A new record; its id."""
        self._locked()
        doc = self._checked(one, given, creating=True)
        self._required(one, doc)
        doc = {"OwnerId": user, "CreatedById": user, "LastModifiedById": user} | doc
        self._derive_new(one, doc)
        id = record_id(one.name, self._store.next_id(one.name), MADE)
        doc["CreatedDate"] = self._clock().isoformat(timespec="microseconds")
        self._put(one, id, doc)
        return id

    def update(self, one: Object, id: str, given: dict[str, Any], user: str) -> str:
        """What is named is set, null blanks it, the rest stays."""
        self._locked()
        before = self.read(one, id)
        changes = self._checked(one, given, creating=False)
        doc = before | changes | {"LastModifiedById": user}
        self._required(one, doc)
        if one.name == "Contract":
            self._derive_contract(before, doc, changes, user)
        if one.name == "Opportunity" and doc.get("StageName") != before.get("StageName"):
            doc["LastStageChangeDate"] = self._clock().isoformat()
            if "Probability" not in changes:
                doc["Probability"] = None
        if one.name == "OpportunityLineItem":
            _total(doc, changes)
        self._put(one, before["_id"], doc)
        return str(before["_id"])

    def upsert(
        self, one: Object, field_name: str, wanted: Any, given: dict[str, Any], user: str
    ) -> tuple[str, bool]:
        """Id, and whether it is new. More than one match raises Many."""
        if field_name.lower() == "id" and not wanted:
            return self.create(one, given, user), True
        found = self.matching(one, field_name, str(wanted))
        if len(found) > 1:
            raise Many(one, [doc["_id"] for doc in found])
        if found:
            return self.update(one, found[0]["_id"], given, user), False
        field = one.field(field_name)
        name = field.name if field else field_name
        return self.create(one, given | {name: str(wanted)}, user), True

    def remove(self, one: Object, id: str) -> None:
        """To the recycle bin."""
        self._locked()
        doc = self.read(one, id)
        with self._store.transaction():
            kept = {"CreatedDate": doc["_created_at"]} | doc | {"IsDeleted": True}
            self._store.put(f"deleted.{one.name}", doc["_id"], kept)
            self._store.delete(one.name, doc["_id"])

    def _put(self, one: Object, id: str, doc: Document) -> None:
        for field in one.fields.values():
            wanted = doc.get(field.name)
            if not field.unique or wanted is None:
                continue
            for held in self.matching(one, field.name, wanted):
                if held["_id"] != id:
                    raise _duplicate(field, wanted, held["_id"])
        # A record without external id holds its own id as key, so that the old one comes free.
        unique = (doc.get("Firm_Ext_Id__c") or f"~{id}") if one.field("Firm_Ext_Id__c") else None
        try:
            self._store.put(one.name, id, doc, unique=unique)
        except Taken as taken:
            raise _duplicate(one.fields["firm_ext_id__c"], unique, taken.holder) from taken

    def _checked(self, one: Object, given: dict[str, Any], creating: bool) -> dict[str, Any]:
        doc: dict[str, Any] = {}
        for name, found in given.items():
            if name == "attributes":
                continue
            field = one.field(name)
            if field is None:
                words = f"No such column '{name}' on sobject of type {one.name}"
                raise Refused(400, "INVALID_FIELD", words)
            if not (field.createable if creating else field.updateable):
                words = f"Unable to create/update fields: {field.name}. Please check the security settings of this field and verify that it is read/write for your profile or permission set."  # noqa: E501
                raise Refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", words, field.name)
            doc[field.name] = fitting(field, found)
            if field.type == "reference" and doc[field.name] is not None:
                doc[field.name] = self._reference(field, found)
        return doc

    def _reference(self, field: Field, found: Any) -> str:
        full = full_id(found)
        if full is None:
            words = f"{field.name}: id value of incorrect type: {found}"
            raise Refused(400, "MALFORMED_ID", words, field.name)
        target = OBJECTS.get(field.refers_to.lower())
        if target is None:
            return full
        if self._store.get(f"deleted.{target.name}", full):
            raise Refused(400, "ENTITY_IS_DELETED", "entity is deleted", field.name)
        if self._store.get(target.name, full) is None:
            words = f"invalid cross reference id: {found}"
            raise Refused(400, "INVALID_CROSS_REFERENCE_KEY", words, field.name)
        return full

    def _required(self, one: Object, doc: Document) -> None:
        lacking = [f.name for f in one.fields.values() if f.required and doc.get(f.name) is None]
        if lacking:
            words = f"Required fields are missing: [{', '.join(lacking)}]"
            raise Refused(400, "REQUIRED_FIELD_MISSING", words, *lacking)

    def _derive_new(self, one: Object, doc: Document) -> None:
        if "currencyisocode" in one.fields and not doc.get("CurrencyIsoCode"):
            doc["CurrencyIsoCode"] = "USD"
        if one.name == "Contract":
            doc.setdefault("Status", "Draft")
            if STATUS_CODES.get(doc["Status"]) != "Draft":
                words = "Choose a valid contract status and save your changes. Ask your admin for details."  # noqa: E501
                raise Refused(400, "FAILED_ACTIVATION", words, "Status")  # [U] code and words
            number = self._store.next_id("ContractNumber")
            doc["ContractNumber"] = f"{90000000 + number}"
            _end(doc)
        elif one.name.endswith("__c") and not doc.get("Name"):
            doc["Name"] = doc.get("Firm_Ext_Id__c") or f"{one.name}-{self._clock():%y%m%d%H%M%S}"
        elif one.name == "OpportunityLineItem":
            self._price(doc)

    def _derive_contract(
        self, before: Document, doc: Document, changes: Document, user: str
    ) -> None:
        now, was = doc.get("Status") or "Draft", before.get("Status") or "Draft"
        if now != was and now not in STATUS_CODES:
            raise Refused(400, "INVALID_STATUS", f"Invalid contract status: {now}", "Status")
        if now == "Activated" and was != "Activated" and not before.get("ActivatedDate"):
            doc["ActivatedDate"] = self._clock().isoformat()
            doc["ActivatedById"] = user
        again_draft = now != was and STATUS_CODES.get(now) == "Draft"
        if again_draft and before.get("ActivatedDate"):
            words = "An activated contract cannot be a draft again"  # [U] code and words
            raise Refused(400, "INVALID_STATUS", words, "Status")
        if changes.keys() & {"StartDate", "ContractTerm"} and "EndDate" not in changes:
            _end(doc)

    def _price(self, doc: Document) -> None:
        entry = self._store.get("PricebookEntry", str(doc.get("PricebookEntryId")))
        if entry:
            doc["Product2Id"], doc["ListPrice"] = entry.get("Product2Id"), entry.get("UnitPrice")
        product = self._store.get("Product2", str(doc.get("Product2Id"))) or {}
        doc["ProductCode"], doc["Name"] = product.get("ProductCode"), product.get("Name")
        _total(doc, doc)

    def _locked(self) -> None:
        fault = self._faults.current()
        if fault and fault.name == "x_lock_row":
            words = "unable to obtain exclusive access to this record or 1 records"
            raise Refused(400, "UNABLE_TO_LOCK_ROW", words)


class Many(Exception):
    """An upsert that fits more than one record."""

    def __init__(self, one: Object, ids: list[str]) -> None:
        super().__init__(f"{len(ids)} records of {one.name}")
        self.one, self.ids = one, ids

    def refused(self) -> Refused:
        """As one result of a collection [U]."""
        words = f"More than one record found for external id field: {self.ids}"
        return Refused(300, "DUPLICATE_EXTERNAL_ID", words)


def _total(doc: Document, changes: Document) -> None:
    quantity, unit, total = (
        None if doc.get(name) is None else numbers.exact(doc[name])
        for name in ("Quantity", "UnitPrice", "TotalPrice")
    )
    if quantity is None:
        return
    if unit is not None and (total is None or "TotalPrice" not in changes):
        doc["TotalPrice"] = quantity * unit
    elif total is not None and quantity:
        doc["UnitPrice"] = numbers.price(total, quantity)


def _end(doc: Document) -> None:
    """The last day of the term; given by hand where there is no term [U]."""
    start, months = doc.get("StartDate"), doc.get("ContractTerm")
    if not start or not months:
        return
    first = date.fromisoformat(start)
    year, month = divmod(first.year * 12 + first.month - 1 + int(months), 12)
    day = min(first.day, calendar.monthrange(year, month + 1)[1])
    doc["EndDate"] = (date(year, month + 1, day) - timedelta(days=1)).isoformat()


def _duplicate(field: Field, wanted: Any, holder: str) -> Refused:
    words = f"duplicate value found: {field.name} duplicates value on record with id: {holder}"
    return Refused(400, "DUPLICATE_VALUE", words, field.name)
