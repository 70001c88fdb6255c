"""What the ERP knows that billing needs: periods, exchange rates, items, and posted invoices."""

from datetime import date
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from contracts.entities.record import Record
from contracts.ids import Ref
from contracts.money import Money


class AccountingPeriod(Record, frozen=True, kw_only=True, tag="accounting_period"):
    """start and end: first and last business day, both inside. legal_entity None means all."""

    code: str
    legal_entity: Ref | None = None
    start: date
    end: date
    state: Literal["FUTURE", "OPEN", "SOFT_CLOSED", "CLOSED", "LOCKED"] = "OPEN"


class ExchangeRate(Record, frozen=True, kw_only=True, tag="exchange_rate"):
    """How many quote units one base unit buys on a day."""

    code: str
    base: str
    quote: str
    day: date
    rate: Decimal


class InvoiceDocumentLine(Struct, frozen=True, kw_only=True):
    """One line as the ERP gets it. quantity: hours with six decimals. net: the rounded amount.

    item, tax_code: the ERP's own ids. project: the ERP's job id, when there is one.
    """

    line_no: int
    description: str
    quantity: Decimal
    unit_price: Decimal
    net: Money
    item: str
    tax_code: str = ""
    project: str = ""


class InvoiceDocument(Struct, frozen=True, kw_only=True):
    """A customer invoice for the ERP to post. reference: our key, unique for ever.

    customer, legal_entity: the ERP's own ids. content_hash: of what we send, to compare later.
    """

    reference: str
    customer: str
    legal_entity: str
    currency: str
    invoice_date: date
    due_date: date | None = None
    service_from: date
    service_to: date
    po: str = ""
    memo: str = ""
    content_hash: str
    net: Money
    lines: tuple[InvoiceDocumentLine, ...]


class ErpInvoice(Struct, frozen=True, kw_only=True):
    """An invoice as it stands in the ERP. number: the legal number, given by the ERP when posted.

    content_hash: what the ERP kept of ours; empty when it has no place for it.
    """

    ref: Ref
    reference: str
    number: str
    status: Literal["DRAFT", "POSTED", "PAID", "VOIDED"]
    customer: str
    currency: str
    net: Money
    tax: Money
    total: Money
    invoice_date: date
    content_hash: str = ""
    line_count: int = 0
