"""Put what stands in the way of an invoice, or of a whole ERP, on somebody's desk."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from contracts.catalogue import CATALOGUE
from contracts.entities.work_item import Finding
from contracts.money import Money
from process_apis import work_items
from process_apis.events import Fact
from process_apis.work_items import Change, Subject


def finding(code: str, root: str, *unblock: str, **context: object) -> Finding:
    """With the catalogue's severity, owner and hint. Without keys the root unblocks."""
    kind = CATALOGUE.get(code) or CATALOGUE["ERP_REJECTED"]
    return Finding(
        code=kind.code,
        severity=kind.severity,
        owner=kind.owner,
        root=root,
        unblock_keys=unblock or (root,),
        context=context,
        hint=kind.hint,
    )


def about_invoice(
    connection: Connection, invoice: Row[Any], findings: Sequence[Finding], at: datetime
) -> list[Fact]:
    """The live items of an invoice are now exactly these. invoice: a row of `invoice`."""
    subject = Subject("invoice", invoice.id, invoice.version)
    live = work_items.live_of(connection, "invoice", [invoice.id]).get(invoice.id, [])
    if not live and not findings:
        return []
    at_risk = Money(invoice.net_minor, invoice.currency)
    return work_items.settle(connection, [Change(subject, findings, at_risk, live)], at)


def about_system(
    connection: Connection, instance: str, findings: Sequence[Finding], at: datetime
) -> list[Fact]:
    """The live items of a vendor system: one for its trouble, however many invoices wait."""
    live = work_items.live_of(connection, "system", [instance]).get(instance, [])
    if not live and not findings:
        return []
    return work_items.settle(
        connection, [Change(Subject("system", instance, 0), findings, None, live)], at
    )
