"""Read billing runs, invoices and the trace of a line, always as contract structs."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, select

from contracts.entities.ledger import Invoice, InvoiceLine
from contracts.money import Money
from contracts.ports.process.billing import (
    BillingRun,
    BillingRunRequest,
    InvoiceSummary,
    LineTrace,
)
from process_apis import bulk
from process_apis.records import entry_of, transaction_of, work_item_of
from process_apis.tables import (
    billing_run,
    invoice,
    invoice_line,
    invoice_transaction,
    ledger,
    master_record,
    posting_attempt,
    time_entry,
    work_item,
)

_requests = msgspec.json.Decoder(BillingRunRequest)
_objects = msgspec.json.Decoder(dict[str, Any])
OPEN = frozenset({"DRAFT", "APPROVED", "QUEUED", "POSTING", "IN_DOUBT"})


def request_of(row: Row[Any]) -> BillingRunRequest:
    """What a run was asked to do."""
    return _requests.decode(row.request)


def invoice_of(row: Row[Any], lines: tuple[InvoiceLine, ...] = ()) -> Invoice:
    """A whole row of `invoice`."""
    return Invoice(
        id=row.id,
        external_ref=row.external_ref,
        billing_run=row.billing_run,
        legal_entity=row.legal_entity,
        erp_instance=row.erp_instance,
        billing_account=row.billing_account,
        currency=row.currency,
        contract=row.contract,
        po=row.po,
        service_from=row.service_from,
        service_to=row.service_to,
        invoice_date=row.invoice_date,
        status=row.status,
        net=Money(row.net_minor, row.currency),
        content_hash=row.content_hash,
        lines=lines,
        erp_id=row.erp_id,
        erp_number=row.erp_number,
        tax_erp=_money(row.tax_minor, row.currency),
        total_erp=_money(row.total_minor, row.currency),
        posted_at=row.posted_at,
        detail=_objects.decode(row.detail),
    )


def summary_of(row: Row[Any]) -> InvoiceSummary:
    """A whole row of `invoice`, short."""
    return InvoiceSummary(
        id=row.id,
        external_ref=row.external_ref,
        billing_run=row.billing_run,
        legal_entity=row.legal_entity,
        erp_instance=row.erp_instance,
        billing_account=row.billing_account,
        contract=row.contract,
        po=row.po,
        status=row.status,
        net=Money(row.net_minor, row.currency),
        lines=row.line_count,
        erp_number=row.erp_number,
        invoice_date=row.invoice_date,
        posted_at=row.posted_at,
    )


def invoice_by_id(connection: Connection, id: str) -> Invoice | None:
    """One invoice with its lines and the ledger rows of each."""
    row = connection.execute(select(invoice).where(invoice.c.id == id)).one_or_none()
    return None if row is None else invoice_of(row, lines_of(connection, row))


_CLAIMS = (
    select(invoice_transaction.c.line_no, invoice_transaction.c.transaction_id)
    .where(invoice_transaction.c.invoice_id == bindparam("of"), invoice_transaction.c.live)
    .order_by(invoice_transaction.c.transaction_id)
)
_LINES = (
    select(invoice_line)
    .where(invoice_line.c.invoice_id == bindparam("of"))
    .order_by(invoice_line.c.line_no)
)


def lines_of(connection: Connection, row: Row[Any]) -> tuple[InvoiceLine, ...]:
    """Lines in order. row: of `invoice`."""
    members: dict[int, list[str]] = {}
    of = {"of": row.id}
    for line_no, transaction in connection.execute(_CLAIMS, of):
        members.setdefault(line_no, []).append(transaction)
    return tuple(
        InvoiceLine(
            line_no=line.line_no,
            description=line.description,
            quantity=line.quantity,
            unit_price=line.unit_price,
            net=Money(line.net_minor, row.currency),
            project=line.project,
            item=line.item,
            tax_key=line.tax_key,
            period_from=line.period_from,
            period_to=line.period_to,
            transactions=tuple(members.get(line.line_no, ())),
        )
        for line in connection.execute(_LINES, of)
    )


def runs_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[BillingRun]:
    """Rows of `billing_run` with the totals of their invoices, in the same order."""
    ids = [row.id for row in rows]
    statuses: dict[str, dict[str, int]] = {}
    totals: dict[str, dict[str, int]] = {}
    lines: dict[str, int] = {}
    query = (
        select(
            invoice.c.billing_run, invoice.c.status, invoice.c.currency,
            func.count().label("invoices"), func.sum(invoice.c.net_minor).label("minor"),
            func.sum(invoice.c.line_count).label("lines"),
        )
        .where(bulk.among(connection, invoice.c.billing_run, ids))
        .group_by(invoice.c.billing_run, invoice.c.status, invoice.c.currency)
    )  # fmt: skip
    for row in connection.execute(query) if ids else ():
        statuses.setdefault(row.billing_run, {}).setdefault(row.status, 0)
        statuses[row.billing_run][row.status] += row.invoices
        if row.status != "CANCELLED":
            per = totals.setdefault(row.billing_run, {})
            per[row.currency] = per.get(row.currency, 0) + int(row.minor)
            lines[row.billing_run] = lines.get(row.billing_run, 0) + int(row.lines)
    return [
        _run(row, statuses.get(row.id, {}), totals.get(row.id, {}), lines.get(row.id, 0))
        for row in rows
    ]


def run_by_id(connection: Connection, id: str) -> BillingRun | None:
    """One run."""
    rows = connection.execute(select(billing_run).where(billing_run.c.id == id)).all()
    return runs_of(connection, rows)[0] if rows else None


def _run(
    row: Row[Any], by_status: Mapping[str, int], totals: Mapping[str, int], lines: int
) -> BillingRun:
    state = row.state
    if state == "RELEASED" and not OPEN & by_status.keys():
        state = "DONE"
    return BillingRun(
        id=row.id,
        state=state,
        request=request_of(row),
        requested_by=row.requested_by,
        approved_by=row.approved_by,
        released_by=row.released_by,
        created_at=row.created_at,
        invoices=sum(by_status.values()) - by_status.get("CANCELLED", 0),
        lines=lines,
        transactions=row.transactions,
        totals=tuple(Money(totals[currency], currency) for currency in sorted(totals)),
        by_status=dict(sorted(by_status.items())),
        say=row.say,
    )


def trace_of(connection: Connection, id: str, line_no: int) -> LineTrace | None:
    """Everything behind one line, in a handful of statements."""
    row = connection.execute(select(invoice).where(invoice.c.id == id)).one_or_none()
    if row is None:
        return None
    line = next((each for each in lines_of(connection, row) if each.line_no == line_no), None)
    if line is None:
        return None
    transactions = tuple(
        transaction_of(each)
        for each in connection.execute(
            select(ledger)
            .where(bulk.among(connection, ledger.c.id, line.transactions))
            .order_by(ledger.c.work_date, ledger.c.id)
        )
    )
    sources = sorted({each.source_id for each in transactions})
    entries = connection.execute(
        select(time_entry.c.payload)
        .where(bulk.among(connection, time_entry.c.entry_id, sources))
        .order_by(time_entry.c.work_date, time_entry.c.entry_id)
    )
    items = connection.execute(
        select(work_item)
        .where(bulk.among(connection, work_item.c.subject_id, [id, *sources]))
        .order_by(work_item.c.opened_at)
    )
    return LineTrace(
        invoice=summary_of(row),
        line=line,
        transactions=transactions,
        entries=tuple(entry_of(payload) for (payload,) in entries),
        contract=_contract(connection, transactions[0].contract if transactions else ""),
        attempts=attempts_of(connection, id),
        work_items=tuple(work_item_of(each) for each in items),
    )


def attempts_of(connection: Connection, invoice_id: str) -> tuple[dict[str, object], ...]:
    """Posts and lookups, in order."""
    query = (
        select(posting_attempt)
        .where(posting_attempt.c.invoice_id == invoice_id)
        .order_by(posting_attempt.c.attempt_no)
    )
    return tuple(
        {
            "attempt_no": row.attempt_no,
            "kind": row.kind,
            "outcome": row.outcome,
            "sent_at": row.sent_at,
            "finished_at": row.finished_at,
            "erp_code": row.erp_code,
            **_objects.decode(row.detail),
        }
        for row in connection.execute(query)
    )


def _contract(connection: Connection, code: str) -> dict[str, object]:
    query = select(master_record.c.payload).where(
        master_record.c.entity == "contract", master_record.c.key == code
    )
    payload = connection.execute(query).scalar_one_or_none()
    return {} if payload is None else _objects.decode(payload)


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)
