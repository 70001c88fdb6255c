"""What a posted invoice does to the books: rows BILLED to the cent, entries BILLED, and told."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from contracts.money import Money
from process_apis.billing.around import around
from process_apis.billing.drafts import client_of, move_entries
from process_apis.billing.telling import Telling
from process_apis.events import Fact, fact
from process_apis.intake.evaluate import Evaluated
from process_apis.records import entry_of
from process_apis.tables import invoice_transaction, ledger, time_entry


def settle_books(connection: Connection, invoice_id: str, at: datetime, telling: Telling) -> None:
    """Spread billed minor units onto the rows of an invoice; its entries are BILLED."""
    billed = (
        select(invoice_transaction.c.billed_minor)
        .where(
            invoice_transaction.c.invoice_id == invoice_id,
            invoice_transaction.c.transaction_id == ledger.c.id,
            invoice_transaction.c.live,
        )
        .scalar_subquery()
    )
    connection.execute(
        update(ledger)
        .where(ledger.c.invoice_id == invoice_id, ledger.c.status == "ON_DRAFT")
        .values(status="BILLED", billed_minor=billed)
    )
    move_entries(connection, [invoice_id], "ON_DRAFT", "BILLED", telling)
    sources = select(ledger.c.source_id).where(ledger.c.invoice_id == invoice_id)
    rows = connection.execute(
        select(time_entry).where(
            time_entry.c.entry_id.in_(sources), time_entry.c.billing_state == "BILLED"
        )
    )
    telling.tell(_evaluated(row, invoice_id, at) for row in rows)


def _evaluated(row: Row[Any], invoice_id: str, at: datetime) -> Fact:
    entry = entry_of(row.payload)
    data = Evaluated(
        entry_id=row.entry_id,
        source_version=row.source_version,
        billing_state="BILLED",
        work_date=row.work_date,
        resource=row.resource,
        project=row.project,
        contract=row.contract,
        client=client_of(around().snapshot(), row.contract),
        minutes=row.minutes,
        amount=None if row.amount_minor is None else Money(row.amount_minor, row.currency),
        exceptions=(),
        approved_at=None if entry.approval is None else entry.approval.decided_at,
        received_at=row.received_at,
        evaluated_at=at,
    )
    return fact(
        f"{row.entry_id}:{row.source_version}:billed:{invoice_id}",
        "time_entry.evaluated", row.entry_id, at, data, partitionkey=row.contract,
    )  # fmt: skip
