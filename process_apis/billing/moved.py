"""Entries follow their rows onto drafts, off them and into the books, and dashboards are told.

Set-based, but for one event an entry: a dashboard that counts entries by state must hear of each.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Executable, Row, Select, bindparam, select, update

from contracts.entities.time_entry import Approval
from contracts.ids import uuid7
from contracts.money import Money
from process_apis import bulk
from process_apis.billing.telling import Telling
from process_apis.events import Fact
from process_apis.intake.evaluate import Evaluated
from process_apis.journeys.approved_time_to_invoice.rules import Snapshot
from process_apis.tables import LIVE_ITEM_STATES, ledger, time_entry, work_item

EVALUATED = "firmwire.time_entry.evaluated.v1"


class _Approved(Struct):
    approval: Approval | None = None


_approved = msgspec.json.Decoder(_Approved)
_encode = msgspec.json.Encoder().encode


def client_of(snapshot: Snapshot, contract: str) -> str:
    """The client of a contract, by code; empty when it is not known."""
    record: Any = snapshot.get("contract", contract)
    return snapshot.resolve("client", record.client) or "" if record is not None else ""


def move_entries(
    connection: Connection,
    ids: Sequence[str],
    before: str,
    after: str,
    *,
    snapshot: Snapshot,
    at: datetime,
    telling: Telling,
) -> None:
    """Entries on these invoices in state `before` are now `after`. Told entry by entry."""
    asked = {"of": bulk.params(connection, ids), "was": before, "to": after}
    rows = connection.execute(_moved(bulk.plain(connection)), asked).all()
    telling.count(f"entries:{before}", -len(rows))
    telling.count(f"entries:{after}", len(rows))
    telling.tell(_facts(connection, rows, after, snapshot, at))


def _facts(
    connection: Connection,
    rows: Sequence[Row[Any]],
    state: str,
    snapshot: Snapshot,
    at: datetime,
) -> Iterable[Fact]:
    if not rows:
        return
    codes = _codes(connection, [row.entry_id for row in rows])
    clients = {row.contract: client_of(snapshot, row.contract) for row in rows}
    name = uuid7(at)
    for number, row in enumerate(sorted(rows, key=lambda row: row.entry_id)):
        approval = _approved.decode(row.payload).approval
        data = Evaluated(
            entry_id=row.entry_id,
            source_version=row.source_version,
            billing_state=state,
            work_date=row.work_date,
            resource=row.resource,
            project=row.project,
            contract=row.contract,
            client=clients[row.contract],
            minutes=row.minutes,
            amount=None if row.amount_minor is None else Money(row.amount_minor, row.currency),
            exceptions=tuple(sorted(codes.get(row.entry_id, ()))),
            approved_at=None if approval is None else approval.decided_at,
            received_at=row.received_at,
            evaluated_at=at,
        )
        id, partition = f"{name}-{number}", f"contract:{row.contract}"
        yield Fact(id, EVALUATED, row.entry_id, at, _encode(data), partition)


def _codes(connection: Connection, entry_ids: Sequence[str]) -> dict[str, list[str]]:
    """What is still said of these entries: warnings stay visible on a draft."""
    query = _said(bulk.plain(connection))
    found: dict[str, list[str]] = {}
    asked = {"of": bulk.params(connection, entry_ids)}
    for entry_id, code in connection.execute(query, asked):
        found.setdefault(entry_id, []).append(code)
    return found


@cache
def _moved(sqlite: bool) -> Executable:
    sources = select(ledger.c.source_id).where(bulk.within(sqlite, ledger.c.invoice_id, "of"))
    return (
        update(time_entry)
        .where(time_entry.c.entry_id.in_(sources), time_entry.c.billing_state == bindparam("was"))
        .values(billing_state=bindparam("to"))
        .returning(*time_entry.columns)
    )


@cache
def _said(sqlite: bool) -> Select[str, str]:
    return select(work_item.c.subject_id, work_item.c.code).where(
        bulk.within(sqlite, work_item.c.subject_id, "of"),
        work_item.c.subject_type == "time_entry",
        work_item.c.state.in_(LIVE_ITEM_STATES),
    )
