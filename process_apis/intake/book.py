"""Make the ledger of each judged entry equal to its outcome, by adding rows, never by changing one.

Rows are matched by (type, seq). Equal ones stay, one that differs only in status or hold reason
changes status, all others are reversed and replaced. What happened to rows that already stand on
an invoice is decided by how far the invoice is (domain.md B.6):
    DRAFT, APPROVED               pulled from it, the invoice is a draft again (case 2)
    QUEUED, POSTING, IN_DOUBT     the correction waits (case 3)
    POSTED and behind             the ledger stands; a work item says what differs (case 6)
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Connection, select, update

from contracts.entities.ledger import BillableTransaction, TransactionDraft
from process_apis import bulk
from process_apis.intake.claim import Case
from process_apis.journeys.approved_time_to_invoice.rules import Outcome
from process_apis.records import LEDGER_COLUMNS, ledger_row, transaction_of
from process_apis.tables import invoice, invoice_transaction, ledger

Standing = Literal["FREE", "ON_DRAFT", "IN_FLIGHT", "BILLED"]

_IN_FLIGHT = frozenset({"QUEUED", "POSTING", "IN_DOUBT", "ERP_CONFLICT"})
_FINISHED_DRAFT = ("APPROVED", "POST_REJECTED")
_BILLED = frozenset({"BILLED", "WRITTEN_OFF"})
_FIGURES = (
    "source_version", "project", "task", "contract", "contract_line", "resource", "role",
    "legal_entity", "employer", "billing_account", "work_date", "op_minutes", "bill_minutes",
    "rate", "multiplier", "currency", "amount_exact", "chargeable", "po", "item", "tax_key",
)  # fmt: skip


class Book(Struct):
    """All ledger rows of one entry. standing: how far its live rows have come."""

    rows: list[BillableTransaction]
    standing: Standing

    @property
    def live(self) -> list[BillableTransaction]:
        """Rows that count."""
        return [row for row in self.rows if row.status != "REVERSED"]


class Booking(Struct):
    """What one turn writes. new: the draft, why it comes, and the row it follows, if any."""

    new: list[tuple[TransactionDraft, str, str]]
    reversed: list[BillableTransaction]
    restated: list[tuple[str, str, str]]
    pulled: list[BillableTransaction]


def books(connection: Connection, cases: Iterable[Case]) -> dict[str, Book]:
    """The books of entries that were stored before this turn."""
    ids = [case.entry_id for case in cases if case.stored is not None]
    if not ids:
        return {}
    found: dict[str, list[BillableTransaction]] = {entry_id: [] for entry_id in ids}
    query = select(ledger).where(bulk.among(connection, ledger.c.source_id, ids)).with_for_update()
    for row in connection.execute(query.order_by(ledger.c.created_at, ledger.c.id)):
        found[row.source_id].append(transaction_of(row))
    invoices = _invoice_states(connection, found.values())
    return {
        entry_id: Book(rows=rows, standing=_standing(rows, invoices))
        for entry_id, rows in found.items()
    }


def plan(outcome: Outcome, book: Book | None, booking: Booking) -> None:
    """Add to the booking what makes the ledger equal to the outcome."""
    if book is None:
        booking.new.extend((draft, "ORIGINAL", "") for draft in outcome.transactions)
        return
    cause = "ORIGINAL" if not book.rows else "CORRECTION"
    live = {(row.type, row.seq): row for row in book.live}
    for draft in outcome.transactions:
        row = live.pop((draft.type, draft.seq), None)
        if row is None:
            booking.new.append((draft, cause, _follows(book, draft)))
        elif not _same(row, draft):
            _reverse(row, booking)
            booking.new.append((draft, cause, _follows(book, draft)))
        elif row.status != "ON_DRAFT" and (row.status, row.hold_reason) != (
            draft.status, draft.hold_reason,
        ):  # fmt: skip
            booking.restated.append((draft.status, draft.hold_reason, row.id))
    for row in live.values():
        _reverse(row, booking)


def _reverse(row: BillableTransaction, booking: Booking) -> None:
    booking.reversed.append(row)
    if row.status == "ON_DRAFT":
        booking.pulled.append(row)


def differs(outcome: Outcome, book: Book) -> tuple[int, Decimal] | None:
    """Billed rows against what would be billed now: (minutes more, amount more), None if equal."""
    before = [row for row in book.live if row.type == "UNBILLED_SALES"]
    after = [row for row in outcome.transactions if row.type == "UNBILLED_SALES"]
    if {_billing(row) for row in before} == {_billing(row) for row in after}:
        return None
    minutes = sum(r.bill_minutes for r in after) - sum(r.bill_minutes for r in before)
    amount = sum((r.amount_exact for r in after), start=Decimal(0)) - sum(
        (r.amount_exact for r in before), start=Decimal(0)
    )
    return minutes, amount


def write(connection: Connection, booking: Booking, ids: Sequence[str], created_at: Any) -> None:
    """Rows, reversals and status changes in bulk. ids: one for each new row and each reversal."""
    form = bulk.form(connection)
    fresh = iter(ids)
    rows = [
        ledger_row(draft, next(fresh), created_at, form, status=draft.status, cause=cause,
                   cause_ref=cause_ref)
        for draft, cause, cause_ref in booking.new
    ]  # fmt: skip
    rows.extend(
        ledger_row(row, next(fresh), created_at, form, status="REVERSED", cause="CORRECTION",
                   cause_ref=f"reverses:{row.id}", reverses=row.id, sign=-1)
        for row in booking.reversed
    )  # fmt: skip
    bulk.insert(connection, ledger, LEDGER_COLUMNS, rows)
    bulk.update(
        connection,
        ledger,
        "id",
        ("status", "invoice_id", "invoice_line"),
        [("REVERSED", "", 0, row.id) for row in booking.reversed],
    )
    bulk.update(connection, ledger, "id", ("status", "hold_reason"), booking.restated)


def pull(connection: Connection, rows: Sequence[BillableTransaction]) -> list[str]:
    """Take rows off their drafts; the invoices, which are drafts again and must be summed anew."""
    if not rows:
        return []
    invoices = sorted({row.invoice_id for row in rows})
    connection.execute(
        update(invoice_transaction)
        .where(
            bulk.among(connection, invoice_transaction.c.transaction_id, [row.id for row in rows]),
            invoice_transaction.c.live,
        )
        .values(live=False)
    )
    connection.execute(
        update(invoice)
        .where(
            bulk.among(connection, invoice.c.id, invoices), invoice.c.status.in_(_FINISHED_DRAFT)
        )
        .values(status="DRAFT")
    )
    return invoices


def _invoice_states(
    connection: Connection, books: Iterable[Sequence[BillableTransaction]]
) -> dict[str, str]:
    """Status of the invoices rows stand on, locked until the turn ends."""
    ids = sorted({row.invoice_id for rows in books for row in rows if row.status == "ON_DRAFT"})
    if not ids:
        return {}
    query = (
        select(invoice.c.id, invoice.c.status)
        .where(bulk.among(connection, invoice.c.id, ids))
        .order_by(invoice.c.id)
        .with_for_update()
    )
    return {row.id: row.status for row in connection.execute(query)}


def _standing(rows: Sequence[BillableTransaction], invoices: Mapping[str, str]) -> Standing:
    live = [row for row in rows if row.status != "REVERSED"]
    if any(row.status in _BILLED for row in live):
        return "BILLED"
    states = {invoices.get(row.invoice_id, "DRAFT") for row in live if row.status == "ON_DRAFT"}
    if states & _IN_FLIGHT:
        return "IN_FLIGHT"
    if "POSTED" in states:
        return "BILLED"
    return "ON_DRAFT" if states else "FREE"


def _same(row: BillableTransaction, draft: TransactionDraft) -> bool:
    return all(getattr(row, name) == getattr(draft, name) for name in _FIGURES)


def _follows(book: Book, draft: TransactionDraft) -> str:
    """What makes this row unique: empty, or the row whose place it takes."""
    same_place = [
        row
        for row in book.rows
        if not row.reverses
        and (row.source_version, row.type, row.seq) == (draft.source_version, draft.type, draft.seq)
    ]
    return f"replaces:{same_place[-1].id}" if same_place else ""


def _billing(row: TransactionDraft) -> tuple[Any, ...]:
    names = ("project", "contract", "billing_account", "currency", "bill_minutes", "amount_exact",
             "chargeable", "po", "legal_entity")  # fmt: skip
    return tuple(getattr(row, name) for name in names)
