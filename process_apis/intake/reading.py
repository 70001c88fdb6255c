"""Answer where recorded time stands: one entry with all its rows, pages of entries, progress."""

from sqlalchemy import Connection, func, select

from contracts.paging import Page
from contracts.ports.process.time_entries import EntryStatus, IntakeProgress
from process_apis import counters
from process_apis.pages import by_id
from process_apis.records import entry_status_of, transaction_of, work_item_of
from process_apis.tables import inbox, ledger, time_entry, work_item


def entry(connection: Connection, entry_id: str) -> EntryStatus | None:
    """Everything about one entry; RECEIVED while it waits in the inbox."""
    row = connection.execute(select(time_entry).where(time_entry.c.entry_id == entry_id)).first()
    if row is None:
        return None
    rows = select(ledger).where(ledger.c.source_id == entry_id)
    items = select(work_item).where(
        work_item.c.subject_id == entry_id, work_item.c.subject_type == "time_entry"
    )
    return entry_status_of(
        row,
        [transaction_of(r) for r in connection.execute(rows.order_by(ledger.c.id))],
        [work_item_of(r) for r in connection.execute(items.order_by(work_item.c.id))],
        whole=True,
    )


def entries(
    connection: Connection,
    filters: dict[str, str | None],
    cursor: str | None,
    limit: int,
) -> Page[EntryStatus]:
    """By canonical id, descending. filters: column to value, None for any."""
    query = select(time_entry)
    for name, value in filters.items():
        if value is not None:
            query = query.where(time_entry.c[name] == value)
    rows, after = by_id(connection, query, time_entry.c.entry_id, cursor, limit, descending=True)
    return Page(tuple(entry_status_of(row) for row in rows), after, after is not None)


def progress(connection: Connection) -> IntakeProgress:
    """From counters kept in the transactions that changed them."""
    states = {k: v for k, v in counters.read(connection, "entries:").items() if v}
    drops = counters.read(connection, "intake:")
    waiting = connection.execute(
        select(func.count()).select_from(inbox).where(inbox.c.state == "WAITING")
    ).scalar_one()
    return IntakeProgress(
        by_state=states,
        inbox_waiting=waiting,
        duplicates=drops.get("duplicates", 0),
        stale=drops.get("stale", 0),
        conflicts=drops.get("conflicts", 0),
    )
