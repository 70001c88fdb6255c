"""Tryton's words to ours and back. Pure: no clock, no network, no settings.

Where our codes sit in Tryton's records, and what Tryton has no word for, is in README.md.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any, Literal

from contracts.entities.engagement import (
    Assignment,
    Contract,
    ContractLine,
    Project,
    RateCard,
    RateLine,
    Task,
)
from contracts.entities.finance import (
    AccountingPeriod,
    ErpInvoice,
    InvoiceDocument,
    InvoiceDocumentLine,
)
from contracts.entities.party import BillingAccount, Client, LegalEntity, Resource, Role
from contracts.entities.record import Alias, coded
from contracts.entities.time_entry import Approval, TimeEntry
from contracts.ids import Ref
from contracts.money import money, quantum
from system_apis.vendors.tryton import wire

ROLE = "CONSULTANT"
EVER = date(2000, 1, 1)
"""Tryton's projects have no agreed beginning: without one, time counts from here."""
PRICE_DIGITS = 4

_CODED = re.compile(r"\[([^\]]+)\] *(.*)", re.DOTALL)
_HASH = re.compile(r"\[firmwire:([^\]\s]+)\]\s*$")
_STATES: dict[str, Literal["DRAFT", "POSTED", "PAID", "VOIDED"]] = {
    "draft": "DRAFT", "validated": "DRAFT", "posted": "POSTED", "paid": "PAID",
    "cancelled": "VOIDED",
}  # fmt: skip
_PERIODS: dict[str, Literal["OPEN", "CLOSED", "LOCKED"]] = {
    "open": "OPEN", "close": "CLOSED", "closed": "CLOSED", "lock": "LOCKED", "locked": "LOCKED",
}  # fmt: skip
# words of a refusal -> work-item code, first match counts
_CODES = (
    (re.compile(r"period|fiscal year", re.I), "PERIOD_NOT_DEFINED"),
    (re.compile(r'field "(Party|Invoice Address)"'), "CUSTOMER_REF_MISSING"),
    (re.compile(r'field "Product"'), "ITEM_UNMAPPED"),
    (re.compile(r'field "Tax(es)?"|^A tax '), "TAX_CODE_UNMAPPED"),
    (re.compile(r'field "Currency"'), "RATE_CURRENCY_MISMATCH"),
    (re.compile(r'field "Company"'), "LEGAL_ENTITY_UNMAPPED"),
)


def micros(at: datetime) -> int:
    """A version that grows with every change."""
    return int(at.timestamp() * 1_000_000)


def stamped(instance: str, id: object, at: datetime) -> dict[str, Any]:
    """What every record of ours carries."""
    return {
        "ref": Ref(instance, str(id)), "source_version": micros(at), "source_updated_at": at,
    }  # fmt: skip


def _of(instance: str, row: wire.Row) -> dict[str, Any]:
    return stamped(instance, row.id, row.changed)


def legal_entity(
    instance: str, c: wire.Company, code: str, tax_registration: str, country: str
) -> LegalEntity:
    """code: ours, from settings: Tryton numbers its parties by itself."""
    return LegalEntity(
        **_of(instance, c), code=code, name=c.party.name or code, country=country,
        functional_currency=c.currency.code or "", timezone=c.timezone or "UTC",
        tax_registration=tax_registration,
    )  # fmt: skip


def client(instance: str, p: wire.Party, country: str, currency: str) -> Client:
    """A party that is neither ourselves nor one of us."""
    return Client(
        **_of(instance, p), code=p.code or str(p.id), name=p.name or p.code or "", country=country,
        default_currency=currency, status="ACTIVE" if p.active else "INACTIVE",
    )  # fmt: skip


def billing_account(
    instance: str,
    p: wire.Party,
    company: LegalEntity,
    address: wire.Address | None,
    tax_id: str,
) -> BillingAccount:
    """The same party as a customer: Tryton makes no difference between the two."""
    abroad = country_of(address, company.country) != company.country
    treatment: Literal["DOMESTIC", "REVERSE_CHARGE", "EXPORT"] = "DOMESTIC"
    if abroad:
        treatment = "REVERSE_CHARGE" if tax_id else "EXPORT"
    return BillingAccount(
        **_of(instance, p), code=p.code or str(p.id), client=Ref(instance, str(p.id)),
        legal_entity=coded(company.code), currency=company.functional_currency,
        bill_to_name=p.name or "", bill_to_address=(address.full_address or "") if address else "",
        bill_to_country=country_of(address, company.country), contact_email=p.email or "",
        tax_id=tax_id, tax_treatment=treatment, active=p.active,
    )  # fmt: skip


def country_of(address: wire.Address | None, otherwise: str) -> str:
    """ISO 3166; an address without a country is at home."""
    return (address.country.code if address and address.country else None) or otherwise


def period(instance: str, p: wire.Period) -> AccountingPeriod | None:
    """Months; Tryton's adjustment periods take no invoice."""
    if p.type != "standard":
        return None
    return AccountingPeriod(
        **_of(instance, p), code=p.name, start=p.start_date, end=p.end_date,
        state=_PERIODS.get(p.state, "CLOSED"),
    )  # fmt: skip


def alias(instance: str, of: str, id: object, code: str, at: datetime) -> Alias:
    """Tryton's id for a key of ours."""
    return Alias(**stamped(instance, id, at), of=of, code=code)


def resource(instance: str, e: wire.Employee, company: LegalEntity) -> Resource | Alias:
    """An employee; the party's code is the person number."""
    if not e.party.code:
        return Alias(
            **_of(instance, e), of="resource", email=e.party.email, name=e.party.name or ""
        )
    return Resource(
        **_of(instance, e), code=e.party.code, name=e.party.name or e.party.code,
        email=e.party.email or "", legal_entity=coded(company.code), home_role=coded(ROLE),
        timezone=company.timezone, country=company.country, hire_date=e.start_date,
        termination_date=e.end_date,
        manager=Ref(instance, str(e.supervisor)) if e.supervisor else None,
    )  # fmt: skip


def role(instance: str, at: datetime) -> Role:
    """Tryton has no roles: everybody is a consultant."""
    return Role(**stamped(instance, ROLE, at), code=ROLE, name="Consultant")


def project_code(w: wire.Work) -> str:
    """What stands in brackets before the name, else Tryton's own number of the work."""
    named = _CODED.fullmatch(w.name)
    return named.group(1) if named else w.number or str(w.id)


def title(code: str, name: str) -> str:
    """A project's name in Tryton."""
    return f"{code_mark(code)} {name}"


def code_mark(code: str) -> str:
    """What the names of a coded project begin with."""
    return f"[{code}]"


def closed(w: wire.Work) -> bool:
    """Of all statuses only one that means 100 % is known to be the end."""
    return w.status is not None and w.status.progress == 1


def project(instance: str, w: wire.Work) -> Project:
    """A work of type project, also one below another."""
    named = _CODED.fullmatch(w.name)
    end = w.timesheet_end_date
    return Project(
        **_of(instance, w), code=project_code(w), name=named.group(2) if named else w.name,
        client=Ref(instance, str(w.party)) if w.party else None,
        contract=coded(project_code(w)) if w.party else None,
        status="CLOSED" if closed(w) else "ACTIVE", start=w.timesheet_start_date,
        end=end + timedelta(days=1) if end else None,
    )  # fmt: skip


def task(instance: str, w: wire.Work, project_id: int) -> Task:
    """A work of type task. The number is its code: two tasks may have one name."""
    return Task(
        **_of(instance, w), code=w.number or str(w.id), project=Ref(instance, str(project_id)),
        name=w.name, status="CLOSED" if closed(w) else "OPEN",
        closed_on=w.changed.date() if closed(w) else None,
        work_type="TRAVEL" if w.name.lower().startswith("travel") else "DELIVERY",
    )  # fmt: skip


def owner_of(w: wire.Work, works: Mapping[int, wire.Work]) -> int | None:
    """The nearest project at or above a work."""
    seen: wire.Work | None = w
    while seen is not None and seen.type != "project":
        seen = works.get(seen.parent) if seen.parent else None
    return seen.id if seen else None


def contract(instance: str, w: wire.Work, company: LegalEntity, card: str) -> Contract | None:
    """Tryton has no contracts: a customer's project stands for its own. None without customer."""
    if not w.party or w.customer is None or w.type != "project":
        return None
    code = project_code(w)
    line = ContractLine(line_no=1, project=Ref(instance, str(w.id)), rate_card=coded(card))
    return Contract(
        **_of(instance, w), code=code, client=Ref(instance, str(w.party)),
        billing_account=coded(w.customer.code or str(w.party)), legal_entity=coded(company.code),
        currency=company.functional_currency, start=w.timesheet_start_date or EVER,
        lines=(line,), rate_card=coded(card),
    )  # fmt: skip


def assignment(instance: str, w: wire.Work, e: wire.Employee) -> Assignment:
    """Tryton assigns nobody: whoever may write time is on every open project."""
    newer = max(w.changed, e.changed)
    # A price at the project counts per hour only together with a product.
    price = w.list_price if w.list_price and w.product else None
    return Assignment(
        **stamped(instance, f"{w.id}:{e.id}", newer), code=f"{w.id}:{e.id}",
        project=Ref(instance, str(w.id)), resource=Ref(instance, str(e.id)), role=coded(ROLE),
        bill_rate_override=price, status="ENDED" if closed(w) else "ACTIVE",
    )  # fmt: skip


def rate_card(instance: str, p: wire.Product, code: str, currency: str) -> RateCard:
    """The list price of an hour, for everybody."""
    line = RateLine(id=f"{p.id}", rate=p.list_price_used or Decimal(0))
    return RateCard(
        **_of(instance, p), code=code, name=f"List price of {p.code}", currency=currency,
        lines=(line,),
    )  # fmt: skip


def time_entry(
    instance: str,
    line: wire.Line,
    works: Mapping[int, wire.Work],
    timezone: str,
    *,
    approved: bool,
) -> TimeEntry:
    """approved: the firm's policy is that written time is approved time."""
    work = works.get(work_id(line) or 0)
    owner = owner_of(work, works) if work else None
    minutes = Decimal(line.duration // timedelta(microseconds=1)) / 60_000_000
    meta = _of(instance, line)
    return TimeEntry(
        **meta, resource=Ref(instance, str(line.employee)), project=Ref(instance, str(owner or "")),
        task=Ref(instance, str(work.id)) if work and work.type == "task" else None,
        work_date=line.date, work_timezone=timezone,
        minutes=int(minutes.quantize(Decimal(1), ROUND_HALF_UP)),
        narrative=line.description or "", status="APPROVED" if approved else "SUBMITTED",
        approval=Approval(
            approver=None, decided_at=line.changed, subject_version=meta["source_version"],
            auto=True,
        ) if approved else None,
        created_at=line.create_date,
    )  # fmt: skip


def work_id(line: wire.Line) -> int | None:
    """The project work a line was written for, None when it is for something else."""
    model, _, id = (line.work.origin or "").partition(",")
    return int(id) if model == "project.work" and id.isdecimal() else None


def invoice(instance: str, i: wire.Invoice) -> ErpInvoice:
    """As it stands in the books."""
    currency = i.currency.code or ""
    found = _HASH.search(i.comment or "")
    return ErpInvoice(
        ref=Ref(instance, str(i.id)), reference=i.reference or "", number=i.number or "",
        status=_STATES.get(i.state, "DRAFT"), customer=str(i.party), currency=currency,
        net=money(i.untaxed_amount, currency), tax=money(i.tax_amount, currency),
        total=money(i.total_amount, currency), invoice_date=i.invoice_date or EVER,
        content_hash=found.group(1) if found else "", line_count=len(i.lines),
    )  # fmt: skip


def comment(document: InvoiceDocument) -> str:
    """What the customer may read, and our mark."""
    parts = [document.memo, f"Order {document.po}" if document.po else ""]
    return "\n".join([*(part for part in parts if part), f"[firmwire:{document.content_hash}]"])


def invoice_line(
    line: InvoiceDocumentLine, product: wire.Product, account: int, common: Mapping[str, Any]
) -> dict[str, Any]:
    """Hours at a price where Tryton then reckons the same amount, else one at that amount.

    Tryton rounds half to even and keeps so many digits of an hour and of a price; the amount was
    agreed with the client, so the amount stays and the hours go into the words.
    """
    body: dict[str, Any] = {
        **common, "type": "line", "account": account, "description": line.description,
        "quantity": float(line.quantity), "unit": product.default_uom, "product": product.id,
        "unit_price": line.unit_price,
    }  # fmt: skip
    if line.tax_code and line.tax_code != "0":
        body["taxes"] = [["add", [int(line.tax_code)]]]
    if not _reckons_alike(line, product.unit.digits or 0):
        said = f"{line.description} ({line.quantity.normalize():f} x {line.unit_price:f})"
        body |= {"description": said, "quantity": 1.0, "unit_price": line.net.amount}
        del body["product"], body["unit"]
    return body


def _reckons_alike(line: InvoiceDocumentLine, digits: int) -> bool:
    fits = (line.quantity == round(line.quantity, digits)
            and line.unit_price == round(line.unit_price, PRICE_DIGITS))  # fmt: skip
    exact = line.quantity * line.unit_price
    unit = quantum(line.net.currency)
    return fits and exact.quantize(unit, ROUND_HALF_EVEN) == line.net.amount


def exception_code(words: str) -> str:
    """The work item a refusal becomes."""
    if re.search(r"clos|lock|reopen", words, re.I) and re.search("period", words, re.I):
        return "PERIOD_CLOSED"
    return next((code for sign, code in _CODES if sign.search(words)), "ERP_REJECTED")


def tax_keys(taxes: Sequence[wire.Tax], entity: str) -> dict[str, tuple[str, datetime]]:
    """Our tax keys by the part of a tax's name after the colon: `LE-DE:S`."""
    return {
        f"{entity}:{t.name.rpartition(':')[2]}": (str(t.id), t.changed)
        for t in taxes
        if ":" in t.name
    }
