"""This file exists to say an invoice of ours in the ids of Tryton's books.

Touches  the vendor, reading only.
Fails    VENDOR_REJECTED with the work-item code of what the books do not have.
"""

from typing import Any

from contracts.entities.finance import InvoiceDocument
from contracts.problem import Fault, Problem, Vendor
from system_apis.vendors.tryton import mapping, wire
from system_apis.vendors.tryton.feeds.calls import Reader


class Books:
    """Of one company."""

    def __init__(self, reader: Reader, instance: str) -> None:
        self._read, self._instance = reader, instance

    async def content(self, body: InvoiceDocument) -> dict[str, Any]:
        """The new record. Accounts are the first open ones of their kind."""
        read, company = self._read, number(body.legal_entity)
        common = {"company": company, "currency": await self._currency(body.currency)}
        home = await read.first("party.address", ["party", "=", number(body.customer)])
        if home is None:
            said = "there is no such customer with an address"
            raise refused(self._instance, said, "CUSTOMER_REF_MISSING")
        revenue, receivable = await self._account("revenue"), await self._account("receivable")
        lines = [
            mapping.invoice_line(line, await self._product(line.item), revenue, common)
            for line in body.lines
        ]
        return {
            **common, "type": "out", "party": number(body.customer), "invoice_address": home,
            "journal": await read.first("account.journal", ["type", "=", "revenue"]),
            "account": receivable,
            "payment_term": await read.first("account.invoice.payment_term"),
            "invoice_date": body.invoice_date, "reference": body.reference,
            "comment": mapping.comment(body), "lines": [["create", lines]],
        }  # fmt: skip

    async def _account(self, kind: str) -> int:
        """A closed one would be refused."""
        mine = ["company", "=", await self._read.company_id()]
        usable = ([f"type.{kind}", "=", True], ["closed", "!=", True], mine)
        found = await self._read.first("account.account", *usable)
        if found is None:
            raise refused(self._instance, f"there is no {kind} account", "GL_DIMENSION_MISSING")
        return found

    async def _currency(self, code: str) -> int:
        found = await self._read.first("currency.currency", ["code", "=", code])
        if found is None:
            raise refused(self._instance, f"there is no currency {code}", "RATE_CURRENCY_MISMATCH")
        return found

    async def _product(self, id: str) -> wire.Product:
        found = await self._read.one(wire.Product, id)
        if found is None:
            raise refused(self._instance, f"there is no product {id}", "ITEM_UNMAPPED")
        return found


def refused(instance: str, say: str, code: str) -> Problem:
    """As if Tryton had said it."""
    vendor = Vendor(system=instance, message=say, exception_code=code)
    return Problem(Fault.VENDOR_REJECTED, f"{instance}: {say}.", vendor=vendor)


def number(text: str) -> int:
    """Tryton's ids are numbers; what is none belongs to nothing there."""
    return int(text) if text.isdecimal() else 0
