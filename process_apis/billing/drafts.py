"""Make invoices of ready ledger rows and give the rows back, a whole run in one transaction.

Every function works in the caller's transaction and returns facts for its event log. A ledger
row stands on one live invoice at most: the partial unique index of `invoice_transaction` says so.
Source  domain.md C.3; B.6 (rows pulled from a draft).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Update, func, select, text, update

from contracts.entities.ledger import BillableTransaction, Invoice
from contracts.ids import uuid7
from contracts.ports.process.billing import BillingRunRequest
from process_apis import bulk
from process_apis.billing.moved import client_of, move_entries
from process_apis.billing.reading import invoice_of, request_of
from process_apis.billing.telling import Telling
from process_apis.events import Fact, fact
from process_apis.journeys.approved_time_to_invoice.invoicing import (
    DraftInvoice,
    content_hash,
    group,
)
from process_apis.journeys.approved_time_to_invoice.rules import Snapshot
from process_apis.records import transaction_of
from process_apis.tables import (
    billing_run,
    inbox,
    invoice,
    invoice_line,
    invoice_transaction,
    ledger,
)

_RUN_LOCK = 0x62696C6C  # any number that nobody else locks
_INVOICE_COLUMNS = (
    "id", "external_ref", "group_key", "billing_run", "legal_entity", "erp_instance",
    "billing_account", "currency", "contract", "po", "service_from", "service_to", "invoice_date",
    "status", "net_minor", "line_count", "content_hash", "created_at", "updated_at", "detail",
)  # fmt: skip
_LINE_COLUMNS = (
    "invoice_id", "line_no", "description", "quantity", "unit_price", "net_minor", "project",
    "item", "tax_key", "period_from", "period_to",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode


def alone(connection: Connection) -> None:
    """One run at a time makes drafts; on SQLite every writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _RUN_LOCK})


def ready_rows(
    connection: Connection, request: BillingRunRequest, snapshot: Snapshot
) -> list[BillableTransaction]:
    """Rows this request may bill, locked."""
    query = select(ledger).where(
        ledger.c.type == "UNBILLED_SALES",
        ledger.c.status == "READY",
        ledger.c.chargeable == "CHARGEABLE",
        ledger.c.work_date < request.cutoff,
    )
    if request.legal_entities:
        query = query.where(bulk.among(connection, ledger.c.legal_entity, request.legal_entities))
    if request.contracts:
        query = query.where(bulk.among(connection, ledger.c.contract, request.contracts))
    rows = [transaction_of(row) for row in connection.execute(query.with_for_update())]
    if not request.clients:
        return rows
    wanted = set(request.clients)
    return [row for row in rows if client_of(snapshot, row.contract) in wanted]


def make(
    connection: Connection,
    rows: Iterable[BillableTransaction],
    snapshot: Snapshot,
    request: BillingRunRequest,
    *,
    tenant: str,
    run: str,
    at: datetime,
    telling: Telling,
) -> tuple[list[Invoice], int]:
    """Write the drafts of a run and claim their rows. Also how many groups were left out.

    Left out are groups without a positive net or without an ERP: their rows stay READY.
    """
    drafts = group(
        rows, snapshot, tenant=tenant, run=run,
        cutoff=request.cutoff, invoice_date=request.invoice_date,
    )  # fmt: skip
    kept = [each for each in drafts if each.flag == "INVOICE" and each.key.erp_instance]
    invoices = [each.invoice(uuid7(at), run) for each in kept]
    _insert(connection, list(zip(invoices, kept, strict=True)), at)
    _claim(connection, list(zip(invoices, kept, strict=True)))
    ids = [each.id for each in invoices]
    move_entries(
        connection, ids, "READY", "ON_DRAFT", snapshot=snapshot, at=at, telling=telling
    )
    headers = connection.execute(select(invoice).where(bulk.among(connection, invoice.c.id, ids)))
    telling.tell(invoice_fact("invoice.drafted", each, at) for each in headers.all())
    return invoices, len(drafts) - len(kept)


def give_back(
    connection: Connection,
    ids: Sequence[str],
    snapshot: Snapshot,
    at: datetime,
    telling: Telling,
) -> None:
    """Cancel drafts: their rows are READY again."""
    release_waiting(connection, ids)
    move_entries(
        connection, ids, "ON_DRAFT", "READY", snapshot=snapshot, at=at, telling=telling
    )
    connection.execute(
        update(ledger)
        .where(bulk.among(connection, ledger.c.invoice_id, ids), ledger.c.status == "ON_DRAFT")
        .values(status="READY", invoice_id="", invoice_line=0)
    )
    connection.execute(
        update(invoice_transaction)
        .where(bulk.among(connection, invoice_transaction.c.invoice_id, ids))
        .values(live=False)
    )
    restate(connection, ids, "CANCELLED", "invoice.cancelled", at, telling)


def restate(
    connection: Connection,
    ids: Sequence[str],
    status: str,
    event: str,
    at: datetime,
    telling: Telling,
) -> None:
    """Another status for many invoices, and the facts of it."""
    connection.execute(
        update(invoice)
        .where(bulk.among(connection, invoice.c.id, ids))
        .values(status=status, updated_at=at)
    )
    rows = connection.execute(select(invoice).where(bulk.among(connection, invoice.c.id, ids)))
    telling.tell(invoice_fact(event, row, at) for row in rows.all())


def invoice_fact(event: str, row: Row[Any], at: datetime) -> Fact:
    """The invoice, without its lines, as an event. Its id tells status and version apart."""
    return fact(
        f"invoice:{row.id}:{event}:{row.version}:{at.timestamp():.6f}", event, row.id, at,
        invoice_of(row), partitionkey=row.contract or row.billing_account,
    )  # fmt: skip


def recalculate(
    connection: Connection,
    ids: Sequence[str],
    snapshot: Snapshot,
    at: datetime,
    telling: Telling,
) -> None:
    """Sum drafts anew that lost rows; one that lost all is CANCELLED."""
    query = select(invoice, billing_run.c.request.label("request")).join(billing_run)
    for row in connection.execute(query.where(bulk.among(connection, invoice.c.id, ids))).all():
        claimed = select(invoice_transaction.c.transaction_id).where(
            invoice_transaction.c.invoice_id == row.id, invoice_transaction.c.live
        )
        left = connection.execute(select(ledger).where(ledger.c.id.in_(claimed)))
        members = [msgspec.structs.replace(transaction_of(r), status="READY") for r in left]
        connection.execute(invoice_line.delete().where(invoice_line.c.invoice_id == row.id))
        drafts = group(
            members, snapshot, tenant="", run=row.billing_run,
            cutoff=request_of(row).cutoff, invoice_date=row.invoice_date,
        )  # fmt: skip
        if len(drafts) == 1 and drafts[0].flag == "INVOICE":
            telling.tell([_summed_anew(connection, row, drafts[0], at)])
        else:
            give_back(connection, [row.id], snapshot, at, telling)


def _summed_anew(connection: Connection, row: Row[Any], draft: DraftInvoice, at: datetime) -> Fact:
    """The invoice keeps its id and its reference: nothing of it was sent."""
    form = bulk.form(connection)
    digest = content_hash(row.external_ref, draft.key, row.invoice_date, draft.lines)
    lines = draft.invoice(row.id, row.billing_run)
    bulk.insert(connection, invoice_line, _LINE_COLUMNS, _line_rows([lines], form))
    connection.execute(
        invoice_transaction.delete().where(
            invoice_transaction.c.invoice_id == row.id, invoice_transaction.c.live
        )
    )
    _claim(connection, [(lines, draft)])
    connection.execute(
        update(invoice)
        .where(invoice.c.id == row.id)
        .values(
            status="DRAFT", net_minor=draft.net.minor, line_count=len(draft.lines),
            content_hash=digest, service_from=draft.service_from, service_to=draft.service_to,
            updated_at=at, version=row.version + 1,
        )
    )  # fmt: skip
    changed = connection.execute(select(invoice).where(invoice.c.id == row.id)).one()
    return invoice_fact("invoice.drafted", changed, at)


def _insert(
    connection: Connection, made: Sequence[tuple[Invoice, DraftInvoice]], at: datetime
) -> None:
    form = bulk.form(connection)
    stamp = form.instant(at)
    rows = [
        (i.id, i.external_ref, "|".join(draft.key), i.billing_run, i.legal_entity,
         i.erp_instance, i.billing_account, i.currency, i.contract, i.po,
         form.day(i.service_from), form.day(i.service_to), form.day(i.invoice_date), i.status,
         i.net.minor, len(i.lines), i.content_hash, stamp, stamp, _encode(i.detail))
        for i, draft in made
    ]  # fmt: skip
    bulk.insert(connection, invoice, _INVOICE_COLUMNS, rows)
    bulk.insert(connection, invoice_line, _LINE_COLUMNS, _line_rows([i for i, _ in made], form))


def _line_rows(invoices: Iterable[Invoice], form: bulk.Form) -> list[tuple[Any, ...]]:
    return [
        (i.id, line.line_no, line.description, str(line.quantity), str(line.unit_price),
         line.net.minor, line.project, line.item, line.tax_key, form.day(line.period_from),
         form.day(line.period_to))
        for i in invoices
        for line in i.lines
    ]  # fmt: skip


def _claim(connection: Connection, made: Sequence[tuple[Invoice, DraftInvoice]]) -> None:
    bulk.insert(
        connection, invoice_transaction,
        ("invoice_id", "transaction_id", "line_no", "billed_minor"),
        [(i.id, id, line, minor) for i, draft in made for id, line, minor in draft.billed],
    )  # fmt: skip
    bulk.update(
        connection, ledger, "id", ("status", "invoice_id", "invoice_line"),
        [("ON_DRAFT", i.id, line, id) for i, draft in made for id, line, _ in draft.billed],
    )  # fmt: skip


def release_waiting(connection: Connection, ids: Sequence[str]) -> int:
    """Corrections that waited for these invoices may be judged now (domain.md B.6, 3)."""
    asked = {"of": bulk.params(connection, ids)}
    return connection.execute(_undeferred(bulk.plain(connection)), asked).rowcount


@cache
def _undeferred(sqlite: bool) -> Update:
    sources = select(ledger.c.source_id).where(bulk.within(sqlite, ledger.c.invoice_id, "of"))
    return (
        update(inbox)
        .where(inbox.c.state == "DEFERRED", inbox.c.entry_id.in_(sources))
        .values(state="WAITING")
    )


def count_transactions(connection: Connection, run: str) -> int:
    """Ledger rows on the invoices of a run."""
    ids = select(invoice.c.id).where(invoice.c.billing_run == run)
    query = select(func.count()).where(
        invoice_transaction.c.invoice_id.in_(ids), invoice_transaction.c.live
    )
    return connection.execute(query).scalar_one()
