"""NetSuite's own words, as its REST record service and SuiteQL spell them.

SuiteQL gives lower-case columns, values mostly as text, and leaves nulls out.
Source  shared vendor facts: record browser extract; [unverified] where the facts say so.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from system_apis.fields import field_names, words


class Ref(Struct, frozen=True):
    id: str
    refName: str = ""


class Rows(Struct, frozen=True):
    """The envelope of SuiteQL and of record collections."""

    items: list[dict[str, Any]]
    hasMore: bool = False
    totalResults: int = 0


class Subsidiary(Struct, frozen=True):
    id: str
    changed: str
    name: str = ""
    externalid: str = ""
    currency: str = ""
    country: str = ""
    custrecord_fw_tz: str = ""
    custrecord_fw_tax_number: str = ""
    custrecord_fw_tax_fx: str = ""


class Customer(Struct, frozen=True):
    id: str
    changed: str
    externalid: str = ""
    companyname: str = ""
    subsidiary: str = ""
    currency: str = ""
    email: str = ""
    terms: str = ""
    vatregnumber: str = ""
    defaultaddress: str = ""
    isinactive: str = "F"
    custentity_fw_client: str = ""
    custentity_fw_country: str = ""
    custentity_fw_tax_treatment: str = ""
    custentity_fw_delivery: str = ""
    custentity_fw_endpoint: str = ""
    custentity_fw_buyer_reference: str = ""
    custentity_fw_po_required: str = "F"


class Job(Struct, frozen=True):
    id: str
    changed: str
    externalid: str = ""
    companyname: str = ""


class Period(Struct, frozen=True):
    id: str
    changed: str
    periodname: str = ""
    start: str = ""
    finish: str = ""
    closed: str = "F"
    alllocked: str = "F"
    arlocked: str = "F"
    isquarter: str = "F"
    isyear: str = "F"


class CurrencyRate(Struct, frozen=True):
    id: str
    changed: str
    basecurrency: str
    transactioncurrency: str
    exchangerate: Decimal
    day: str


class Named(Struct, frozen=True):
    """An item, department or tax code: its id and our key."""

    id: str
    externalid: str = ""
    externalId: str = ""


class InvoiceRow(Struct, frozen=True):
    """A transaction in SuiteQL. subtotal, taxtotal: [unverified] as SuiteQL columns."""

    id: str
    tranid: str = ""
    externalid: str = ""
    entity: str = ""
    currency: str = ""
    subtotal: Decimal = Decimal(0)
    taxtotal: Decimal = Decimal(0)
    foreigntotal: Decimal = Decimal(0)
    status: str = ""
    day: str = ""
    custbody_fw_content_hash: str = ""


class Sublist(Struct, frozen=True):
    items: list[dict[str, Any]] = []


class Invoice(Struct, frozen=True):
    """The record, with its lines when expandSubResources was asked for."""

    id: str
    entity: Ref
    currency: Ref
    status: Ref = Ref("Open")
    tranId: str = ""
    externalId: str = ""
    tranDate: str = ""
    subtotal: Decimal = Decimal(0)
    taxTotal: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    item: Sublist = Sublist()
    custbody_fw_content_hash: str = ""


class Limits(Struct, frozen=True):
    """Calls at once. integration*: of ours, when it has a share of its own; account*Unallocated*:

    what all integrations without one have together.
    """

    accountConcurrencyLimit: int
    accountUnallocatedConcurrencyLimit: int | None = None
    integrationConcurrencyLimit: int | None = None
    integrationLimitType: str = ""

    @property
    def ours(self) -> int:
        """An account whose places are all given away leaves us none; one call still tells so."""
        if self.integrationLimitType == "integrationSpecific" and self.integrationConcurrencyLimit:
            return self.integrationConcurrencyLimit
        open_to_all = self.accountUnallocatedConcurrencyLimit
        return self.accountConcurrencyLimit if open_to_all is None else open_to_all


class ErrorDetail(Struct, frozen=True):
    detail: str = ""
    code: str = field(default="", name="o:errorCode")
    path: str = field(default="", name="o:errorPath")


class Error(Struct, frozen=True):
    title: str = ""
    status: int = 0
    details: list[ErrorDetail] = field(default_factory=list, name="o:errorDetails")


_ALL = words("externalId id links lastModifiedDate subsidiary currency refName")
# By record: what the vendor's record browser lists, and our own custom fields. More is drift.
KNOWN = {
    "invoice": _ALL
    | field_names(Invoice)
    | words(
        "approvalStatus amountPaid amountRemaining asOfDate billAddress class createdDate"
        " createdFrom department dueDate email endDate startDate exchangeRate job location memo"
        " message number originator otherRefNum postingPeriod terms void"
    ),
    "customer": _ALL
    | frozenset(name for name in field_names(Customer) if name.startswith("custentity"))
    | words(
        "entityId companyName isPerson isInactive email phone terms taxItem vatRegNumber"
        " defaultAddress addressBook comments dateCreated"
    ),
    "job": _ALL
    | words(
        "entityId companyName parent isInactive entityStatus startDate projectedEndDate"
        " calculatedEndDate comments dateCreated"
    ),
    "salesTaxItem": _ALL | words("itemId rate isInactive description"),
}
