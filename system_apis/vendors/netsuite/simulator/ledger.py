"""Books an invoice or credit memo as the ERP does: party, period, amounts, tax, number, state.

Fails: Refused, in the vendor's words. The texts of the period refusals are [U].
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from system_apis.simulator import Document, Kit
from system_apis.vendors.netsuite.simulator.refusals import Refused, invalid, user_error

OPEN, PENDING, PAID = "Open", "Pending Approval", "Paid In Full"
_PREFIX = {"invoice": "INV", "creditMemo": "CM"}
_DIGITS = {"JPY": 0, "KRW": 0}


class Ledger:
    """All about transactions. What it reads: entity, subsidiary, currency, period, item, tax."""

    def __init__(self, kit: Kit) -> None:
        self._store, self._clock = kit.store, kit.clock

    def booked(self, record: str, doc: Document, before: Document | None) -> Document:
        """doc with everything the system decides. before: as it was, for a change."""
        customer = self._customer(doc)
        self._subsidiary(doc, customer)
        currency = self._currency(doc, customer)
        doc["tranDate"] = doc.get("tranDate") or self._clock().date().isoformat()
        doc["dueDate"] = doc.get("dueDate") or doc["tranDate"]
        if before is not None:
            self.check_open(before)
        self._period(doc, before)
        self._lines(doc, customer, _DIGITS.get(currency.get("symbol", ""), 2))
        self._state(doc)
        doc["exchangeRate"] = doc.get("exchangeRate") or self._rate(doc, currency)
        if before is None:
            self._number(record, doc)
        return doc

    def check_open(self, doc: Document) -> None:
        """A transaction in a closed period cannot be touched."""
        period = self._store.get("accountingPeriod", doc["postingPeriod"]["id"])
        if period and _shut(period):
            raise user_error(
                "You cannot create or edit a transaction in a closed or locked period: "
                f"{period.get('periodName')}.",
                "postingPeriod",
            )

    def _customer(self, doc: Document) -> Document:
        if not doc.get("entity"):
            raise user_error("Please enter value(s) for: Customer", "entity")
        entity = self._store.get("entity", doc["entity"]["id"])
        if entity and entity["recordType"] == "job":
            doc["job"] = doc.get("job") or {"id": entity["_id"]}
            entity = self._store.get("entity", entity["parent"]["id"])
        if entity is None or entity.get("isInactive"):
            raise invalid("entity", "Invalid entity reference key for customer: inactive or gone.")
        return entity

    def _subsidiary(self, doc: Document, customer: Document) -> None:
        doc["subsidiary"] = doc.get("subsidiary") or customer["subsidiary"]
        allowed = {customer["subsidiary"]["id"], *customer.get("additionalSubsidiaries", [])}
        id = doc["subsidiary"]["id"]
        if id not in allowed:
            name = customer.get("entityId", customer["_id"])
            raise invalid(
                "subsidiary", f"Invalid subsidiary reference key {id} for customer {name}."
            )

    def _currency(self, doc: Document, customer: Document) -> Document:
        doc["currency"] = doc.get("currency") or customer["currency"]
        id = doc["currency"]["id"]
        if id not in {customer["currency"]["id"], *customer.get("additionalCurrencies", [])}:
            name = customer.get("entityId", customer["_id"])
            raise invalid("currency", f"Invalid currency reference key {id} for customer {name}.")
        return self._store.get("currency", id) or {}

    def _period(self, doc: Document, before: Document | None) -> None:
        day = doc["tranDate"]
        moved = before is None or before["tranDate"] != day
        if doc.get("postingPeriod") and not (moved and before):
            period = self._store.get("accountingPeriod", doc["postingPeriod"]["id"])
        else:
            found = self._store.list(
                "accountingPeriod", where={"startDate <=": day, "endDate >=": day}
            )
            months = [one for one in found if not (one.get("isQuarter") or one.get("isYear"))]
            period = months[0] if months else None
        if period is None or not period["startDate"] <= day <= period["endDate"]:
            raise user_error(
                "The transaction date you specified is not within the date range of your "
                "accounting period.",
                "tranDate",
            )
        doc["postingPeriod"] = {"id": period["_id"], "refName": period.get("periodName", "")}
        self.check_open(doc)

    def _lines(self, doc: Document, customer: Document, digits: int) -> None:
        lines = doc.get("item") or []
        if not lines:
            raise user_error("You must enter at least one line item for this transaction.", "item")
        subtotal = tax_total = Decimal(0)
        used = max((line.get("line") or 0 for line in lines), default=0)
        for number, line in enumerate(lines):
            path = f"item.items[{number}]"
            if not line.get("line"):
                used += 1
                line["line"] = used
            self._check_line(doc, customer, line, path)
            amount = _amount(line, digits, path)
            rate, tax = self._tax(line, customer, amount, digits)
            line["amount"], line["taxRate1"], line["tax1Amt"] = f"{amount:f}", f"{rate:f}", f"{tax}"
            line["grossAmt"] = f"{amount + tax:f}"
            subtotal, tax_total = subtotal + amount, tax_total + tax
        doc["subtotal"], doc["taxTotal"] = f"{subtotal:f}", f"{tax_total:f}"
        doc["total"] = f"{subtotal + tax_total:f}"

    def _check_line(
        self, doc: Document, customer: Document, line: dict[str, Any], path: str
    ) -> None:
        if not line.get("item"):
            raise user_error("Please enter value(s) for: Item", f"{path}.item")
        item = self._store.get("serviceItem", line["item"]["id"])
        if item is None or item.get("isInactive"):
            raise invalid(f"{path}.item", "Invalid item reference key: inactive or gone.")
        line["itemType"] = {"id": "Service", "refName": "Service"}
        if not line.get("job"):
            return
        job = self._store.get("entity", line["job"]["id"]) or {}
        if job.get("isInactive") or (job.get("parent") or {}).get("id") != customer["_id"]:
            id, name = line["job"]["id"], customer.get("entityId", customer["_id"])
            raise invalid(f"{path}.job", f"Invalid job reference key {id} for customer {name}.")

    def _tax(
        self, line: dict[str, Any], customer: Document, amount: Decimal, digits: int
    ) -> tuple[Decimal, Decimal]:
        code = line.get("taxCode") or customer.get("taxItem")
        if not code or line.get("isTaxable") is False:
            return Decimal(0), _rounded(Decimal(0), digits)
        line["taxCode"] = code
        item = self._store.get("salesTaxItem", code["id"]) or {}
        rate = Decimal(str(item.get("rate", "0")))
        return rate, _rounded(amount * rate / 100, digits)

    def _state(self, doc: Document) -> None:
        account = self._store.get("setting", "account") or {}
        routed = account.get("approval_routing", False)
        doc["approvalStatus"] = doc.get("approvalStatus") or ("1" if routed else "2")
        paid, total = Decimal(str(doc.get("amountPaid") or 0)), Decimal(doc["total"])
        doc["amountPaid"], doc["amountRemaining"] = f"{paid:f}", f"{total - paid:f}"
        if doc["approvalStatus"] == "1":
            doc["status"] = PENDING
        else:
            doc["status"] = PAID if total and paid >= total else OPEN

    def _rate(self, doc: Document, currency: Document) -> str:
        subsidiary = self._store.get("subsidiary", doc["subsidiary"]["id"]) or {}
        home = (subsidiary.get("currency") or {}).get("id")
        if home in (None, doc["currency"]["id"]):
            return "1"
        known = self._store.list(
            "currencyRate",
            where={
                "transactionCurrency.id": doc["currency"]["id"],
                "baseCurrency.id": home,
                "effectiveDate <=": doc["tranDate"],
            },
        )
        if not known:
            return str(currency.get("exchangeRate") or "1")
        return str(max(known, key=lambda rate: str(rate["effectiveDate"]))["exchangeRate"])

    def _number(self, record: str, doc: Document) -> None:
        """Without a gap: the sequence is rolled back with a transaction that fails."""
        id = doc["subsidiary"]["id"]
        number = self._store.next_id(f"number.{record}.{id}")
        subsidiary = self._store.get("subsidiary", id) or {}
        doc["number"] = number
        doc["tranId"] = f"{subsidiary.get('tranPrefix') or ''}{_PREFIX[record]}{number:06d}"
        doc["refName"] = f"{'Invoice' if record == 'invoice' else 'Credit Memo'} #{doc['tranId']}"


def _shut(period: Document) -> bool:
    return bool(period.get("closed") or period.get("allLocked") or period.get("arLocked"))


def _rounded(amount: Decimal, digits: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _amount(line: dict[str, Any], digits: int, path: str) -> Decimal:
    """The given amount wins over quantity times rate, as with a custom price level."""
    if line.get("amount") is not None:
        return _rounded(Decimal(line["amount"]), digits)
    if line.get("rate") is None:
        raise user_error("Please enter value(s) for: Amount", f"{path}.amount")
    quantity = Decimal(line.get("quantity") or "1")
    return _rounded(quantity * Decimal(line["rate"]), digits)


def duplicate() -> Refused:
    """[U]: the text integrations report for a second create with one externalId."""
    return user_error("This entity already exists.")
