"""Say an invoice in the ERP's own ids; what cannot be said is a finding, never a crash."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from contracts.entities.finance import ErpInvoice, InvoiceDocument, InvoiceDocumentLine
from contracts.entities.ledger import InvoiceLine
from contracts.entities.work_item import Finding
from contracts.money import Money
from process_apis import bulk
from process_apis.billing.findings import finding
from process_apis.billing.reading import lines_of
from process_apis.journeys.approved_time_to_invoice.rules.keys import map_key
from process_apis.tables import cross_reference

_MISSING = {
    "billing_account": "CUSTOMER_REF_MISSING",
    "legal_entity": "LEGAL_ENTITY_UNMAPPED",
    "item": "ITEM_UNMAPPED",
    "tax_code": "TAX_CODE_UNMAPPED",
}
Known = dict[tuple[str, str], str]


def document(connection: Connection, row: Row[Any]) -> tuple[InvoiceDocument | None, list[Finding]]:
    """What is sent for a row of `invoice`, or what is missing to say it."""
    lines = lines_of(connection, row)
    needed = _needed(row, lines)
    known = externals(connection, row.erp_instance, [*needed, *_jobs(lines)])
    missing = [
        finding(
            _MISSING[entity], map_key(entity, row.erp_instance, code),
            expected=code, erp_instance=row.erp_instance,
        )
        for entity, code in needed
        if (entity, code) not in known
    ]  # fmt: skip
    if missing:
        return None, missing
    return _written(row, lines, known), []


def externals(connection: Connection, instance: str, codes: list[tuple[str, str]]) -> Known:
    """The instance's id of each (entity, code) that it has; the first in text order."""
    asked = {
        "system": instance,
        "entities": bulk.params(connection, sorted({e for e, _ in codes})),
        "codes": bulk.params(connection, sorted({c for _, c in codes})),
    }
    rows = connection.execute(_maps(bulk.plain(connection)), asked)
    return {(row.entity, row.code): row.id for row in rows}


@cache
def _maps(sqlite: bool) -> Select[Any]:
    columns = cross_reference.c
    return (
        select(columns.entity, columns.code, func.min(columns.external_id).label("id"))
        .where(
            columns.system == bindparam("system"),
            columns.valid_to.is_(None),
            bulk.within(sqlite, columns.entity, "entities"),
            bulk.within(sqlite, columns.code, "codes"),
        )
        .group_by(columns.entity, columns.code)
    )


def same(ours: InvoiceDocument, theirs: ErpInvoice) -> dict[str, object]:
    """What differs between what we sent and what the ERP holds; empty when they are the same."""
    if theirs.content_hash:
        pairs = {"content_hash": (ours.content_hash, theirs.content_hash)}
    else:
        pairs = {"currency": (ours.currency, theirs.currency)}
        if theirs.line_count:
            pairs["lines"] = (str(len(ours.lines)), str(theirs.line_count))
    pairs["net"] = (str(ours.net), str(theirs.net))
    pairs["customer"] = (ours.customer, theirs.customer or ours.customer)
    if theirs.status == "VOIDED":
        pairs["status"] = ("POSTED", "VOIDED")
    return {
        name: {"ours": mine, "theirs": other}
        for name, (mine, other) in pairs.items()
        if mine != other
    }


def _needed(row: Row[Any], lines: tuple[InvoiceLine, ...]) -> list[tuple[str, str]]:
    wanted = [("billing_account", row.billing_account), ("legal_entity", row.legal_entity)]
    wanted += [("item", line.item or "TIME") for line in lines]
    wanted += [("tax_code", line.tax_key) for line in lines if line.tax_key]
    return list(dict.fromkeys(wanted))


def _jobs(lines: tuple[InvoiceLine, ...]) -> list[tuple[str, str]]:
    return [("project", project) for project in dict.fromkeys(line.project for line in lines)]


def _written(row: Row[Any], lines: tuple[InvoiceLine, ...], known: Known) -> InvoiceDocument:
    return InvoiceDocument(
        reference=row.external_ref,
        customer=known["billing_account", row.billing_account],
        legal_entity=known["legal_entity", row.legal_entity],
        currency=row.currency,
        invoice_date=row.invoice_date,
        service_from=row.service_from,
        service_to=row.service_to,
        po=row.po,
        memo=f"Services {row.service_from.isoformat()} to {row.service_to.isoformat()}",
        content_hash=row.content_hash,
        net=Money(row.net_minor, row.currency),
        lines=tuple(
            InvoiceDocumentLine(
                line_no=line.line_no,
                description=line.description,
                quantity=line.quantity,
                unit_price=line.unit_price,
                net=line.net,
                item=known["item", line.item or "TIME"],
                tax_code=known["tax_code", line.tax_key] if line.tax_key else "",
                project=known.get(("project", line.project), ""),
            )
            for line in lines
        ),
    )
