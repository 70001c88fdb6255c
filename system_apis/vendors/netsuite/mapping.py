"""NetSuite's words to ours and back. Pure: no clock, no network, no settings.

Which custom fields carry our words is in README.md.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import msgspec

from contracts.entities.finance import (
    AccountingPeriod,
    ErpInvoice,
    ExchangeRate,
    InvoiceDocument,
)
from contracts.entities.party import BillingAccount, LegalEntity
from contracts.entities.record import Alias, coded
from contracts.ids import Ref
from contracts.money import money
from contracts.ports.system.erp import CustomerDraft, JobDraft
from system_apis.vendors.netsuite import wire

_NUMBERS = msgspec.json.Encoder(decimal_format="number")
Currencies = Mapping[str, str]
"""ISO code by NetSuite's currency id."""

# detail text or path of a refusal -> work-item code; texts are [unverified], paths are not
_BY_PATH = {
    "entity": "CUSTOMER_REF_MISSING",
    "subsidiary": "LEGAL_ENTITY_UNMAPPED",
    "currency": "RATE_CURRENCY_MISMATCH",
    "taxCode": "TAX_CODE_UNMAPPED",
    "department": "GL_DIMENSION_MISSING",
    "item": "ITEM_UNMAPPED",
    "tranDate": "PERIOD_NOT_DEFINED",
    "postingPeriod": "PERIOD_CLOSED",
}


def stamp(changed: str) -> datetime:
    """`2026-01-31 08:00:00` as SuiteQL's TO_CHAR gives it here, in UTC."""
    return datetime.strptime(changed, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _meta(instance: str, row: Any) -> dict[str, Any]:
    at = stamp(row.changed)
    return {
        "ref": Ref(instance, row.id),
        "source_version": int(at.timestamp() * 1_000_000),
        "source_updated_at": at,
    }


def legal_entity(instance: str, s: wire.Subsidiary, currencies: Currencies) -> LegalEntity | Alias:
    """A subsidiary without our code is an alias nobody has mapped."""
    if not s.externalid:
        return Alias(**_meta(instance, s), of="legal_entity", name=s.name)
    return LegalEntity(
        **_meta(instance, s),
        code=s.externalid,
        name=s.name,
        country=s.country,
        functional_currency=currencies.get(s.currency, ""),
        timezone=s.custrecord_fw_tz or "UTC",
        tax_registration=s.custrecord_fw_tax_number,
        tax_fx=s.custrecord_fw_tax_fx == "T",
    )


def billing_account(
    instance: str, c: wire.Customer, currencies: Currencies
) -> BillingAccount | Alias:
    """A customer without our code is an alias nobody has mapped."""
    if not c.externalid:
        return Alias(**_meta(instance, c), of="billing_account", name=c.companyname)
    return BillingAccount(
        **_meta(instance, c),
        code=c.externalid,
        client=coded(c.custentity_fw_client),
        legal_entity=Ref(instance, c.subsidiary),
        currency=currencies.get(c.currency, ""),
        bill_to_name=c.companyname,
        bill_to_address=c.defaultaddress,
        bill_to_country=c.custentity_fw_country,
        contact_email=c.email,
        tax_id=c.vatregnumber,
        tax_treatment=msgspec.convert(
            c.custentity_fw_tax_treatment or "DOMESTIC",
            Literal["DOMESTIC", "REVERSE_CHARGE", "EXPORT", "INTERCOMPANY", "EXEMPT"],
        ),
        payment_terms=c.terms,
        delivery=msgspec.convert(
            c.custentity_fw_delivery or "EMAIL", Literal["EMAIL", "PEPPOL", "PORTAL", "EDI"]
        ),
        endpoint_id=c.custentity_fw_endpoint,
        buyer_reference=c.custentity_fw_buyer_reference,
        po_required=c.custentity_fw_po_required == "T",
        active=c.isinactive != "T",
    )


def period(instance: str, p: wire.Period) -> AccountingPeriod | None:
    """Months only: quarters and years are folders. AR locked is closed for us."""
    if p.isquarter == "T" or p.isyear == "T":
        return None
    state: Literal["OPEN", "CLOSED", "LOCKED"] = "OPEN"
    if p.closed == "T":
        state = "CLOSED"
    elif p.alllocked == "T" or p.arlocked == "T":
        state = "LOCKED"
    return AccountingPeriod(
        **_meta(instance, p),
        code=p.periodname,
        start=date.fromisoformat(p.start),
        end=date.fromisoformat(p.finish),
        state=state,
    )


def exchange_rate(instance: str, r: wire.CurrencyRate, currencies: Currencies) -> ExchangeRate:
    """NetSuite: one unit of the transaction currency costs so many of the base currency."""
    base = currencies.get(r.transactioncurrency, r.transactioncurrency)
    quote = currencies.get(r.basecurrency, r.basecurrency)
    return ExchangeRate(
        **_meta(instance, r),
        code=f"{base}/{quote}/{r.day}",
        base=base,
        quote=quote,
        day=date.fromisoformat(r.day),
        rate=r.exchangerate,
    )


def alias(instance: str, of: str, named: wire.Named, at: datetime) -> Alias:
    """Our key of an item, tax code or dimension is its external id."""
    return Alias(
        ref=Ref(instance, named.id),
        source_version=int(at.timestamp() * 1_000_000),
        source_updated_at=at,
        of=of,
        code=named.externalid or named.externalId or None,
    )


def status(seen: str) -> Literal["DRAFT", "POSTED", "PAID", "VOIDED"]:
    """From the record's text or SuiteQL's letter."""
    if seen in ("B", "Paid In Full"):
        return "PAID"
    if seen in ("V", "Voided"):
        return "VOIDED"
    return "DRAFT" if seen in ("D", "Pending Approval") else "POSTED"


def invoice(instance: str, n: wire.Invoice, currencies: Currencies) -> ErpInvoice:
    """As the record stands; amounts in the invoice's own currency."""
    currency = currencies.get(n.currency.id, n.currency.refName)
    return ErpInvoice(
        ref=Ref(instance, n.id),
        reference=n.externalId,
        number=n.tranId,
        status=status(n.status.refName or n.status.id),
        customer=n.entity.id,
        currency=currency,
        net=money(n.subtotal, currency),
        tax=money(n.taxTotal, currency),
        total=money(n.total, currency),
        invoice_date=date.fromisoformat(n.tranDate),
        content_hash=n.custbody_fw_content_hash,
        line_count=len(n.item.items),
    )


def invoice_row(instance: str, r: wire.InvoiceRow, currencies: Currencies) -> ErpInvoice:
    """As SuiteQL lists it, without lines."""
    currency = currencies.get(r.currency, r.currency)
    return ErpInvoice(
        ref=Ref(instance, r.id),
        reference=r.externalid,
        number=r.tranid,
        status=status(r.status),
        customer=r.entity,
        currency=currency,
        net=money(r.subtotal, currency),
        tax=money(r.taxtotal, currency),
        total=money(r.foreigntotal, currency),
        invoice_date=date.fromisoformat(r.day),
        content_hash=r.custbody_fw_content_hash,
    )


def invoice_body(document: InvoiceDocument, currency_id: str) -> bytes:
    """JSON whose numbers are exact decimals: no amount passes through a float."""
    body: dict[str, Any] = {
        "externalId": document.reference,
        "entity": {"id": document.customer},
        "subsidiary": {"id": document.legal_entity},
        "currency": {"id": currency_id},
        "tranDate": document.invoice_date.isoformat(),
        "otherRefNum": document.po,
        "memo": document.memo,
        "custbody_fw_content_hash": document.content_hash,
        "item": {"items": [_line(line) for line in document.lines]},
    }
    if document.due_date:
        body["dueDate"] = document.due_date.isoformat()
    return _NUMBERS.encode(body)


def _line(line: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "item": {"id": line.item},
        "description": line.description,
        "quantity": line.quantity,
        "rate": line.unit_price,
        "amount": line.net.amount,
    }
    if line.tax_code:
        body["taxCode"] = {"id": line.tax_code}
    if line.project:
        body["job"] = {"id": line.project}
    return body


def customer_body(draft: CustomerDraft, currency_id: str) -> dict[str, Any]:
    """A new customer; the rest of its record is finance's."""
    return {
        "companyName": draft.name,
        "subsidiary": {"id": draft.legal_entity},
        "currency": {"id": currency_id},
        "email": draft.email,
        "vatRegNumber": draft.tax_id,
        "defaultAddress": draft.address,
        "custentity_fw_country": draft.country,
    }


def job_body(draft: JobDraft) -> dict[str, Any]:
    """A new project in the books."""
    return {"companyName": draft.name, "parent": {"id": draft.customer}}


def exception_code(error: wire.Error) -> str:
    """The work item a refusal becomes."""
    for d in error.details:
        if "closed" in d.detail.lower() and "period" in d.detail.lower():
            return "PERIOD_CLOSED"
        last = d.path.rpartition(".")[2]
        if last in _BY_PATH:
            return _BY_PATH[last]
    return "ERP_REJECTED"


def minus(at: datetime, overlap: timedelta) -> str:
    """A moment for TO_TIMESTAMP, the overlap earlier."""
    return (at.astimezone(UTC) - overlap).strftime("%Y-%m-%d %H:%M:%S")
