"""What a posted invoice does to the books: rows BILLED to the cent, entries BILLED, and told."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from process_apis.billing.around import around
from process_apis.billing.moved import move_entries
from process_apis.billing.telling import Telling
from process_apis.tables import invoice_transaction, ledger

_MINOR = (
    select(invoice_transaction.c.billed_minor)
    .where(
        invoice_transaction.c.invoice_id == bindparam("of"),
        invoice_transaction.c.transaction_id == ledger.c.id,
        invoice_transaction.c.live,
    )
    .scalar_subquery()
)
_BILLED = (
    update(ledger)
    .where(ledger.c.invoice_id == bindparam("of"), ledger.c.status == "ON_DRAFT")
    .values(status="BILLED", billed_minor=_MINOR)
)


def settle_books(connection: Connection, invoice_id: str, at: datetime, telling: Telling) -> None:
    """Spread billed minor units onto the rows of an invoice; its entries are BILLED."""
    connection.execute(_BILLED, {"of": invoice_id})
    move_entries(
        connection, [invoice_id], "ON_DRAFT", "BILLED",
        snapshot=around().snapshot(), at=at, telling=telling,
    )  # fmt: skip
