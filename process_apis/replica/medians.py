"""The usual hourly price of a role at a client, from what was lately priced, for RATE_OUTLIER.

One grouped walk over the sales rows; only its few groups reach Python. A role priced in several
currencies at one client has no usual price: numbers of two currencies cannot be compared.
Source  domain.md C.2 stage 7 (RATE_OUTLIER).
"""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from process_apis.journeys.approved_time_to_invoice.rules import Snapshot
from process_apis.tables import ledger

DAYS = 180
ROWS_MIN = 5
Medians = dict[tuple[str, str], Decimal]
Group = tuple[str, str, str, Decimal, int]


def groups(connection: Connection, today: date) -> list[Group]:
    """(role, contract, currency, rate, how many rows) of the last DAYS days of work."""
    columns = (ledger.c.role, ledger.c.contract, ledger.c.currency, ledger.c.rate)
    query = select(*columns, func.count()).where(
        ledger.c.type == "UNBILLED_SALES",
        ledger.c.chargeable == "CHARGEABLE",
        ledger.c.status != "REVERSED",
        ledger.c.work_date > today - timedelta(days=DAYS),
    )
    return [
        (role, contract, currency, rate, rows)
        for role, contract, currency, rate, rows in connection.execute(query.group_by(*columns))
    ]


def medians(found: Sequence[Group], snapshot: Snapshot) -> Medians:
    """By (role, client), where there are at least ROWS_MIN rows in one currency."""
    rates: dict[tuple[str, str], dict[Decimal, int]] = {}
    currencies: dict[tuple[str, str], set[str]] = {}
    for role, contract, currency, rate, rows in found:
        record: Any = snapshot.get("contract", contract)
        client = snapshot.resolve("client", record.client) if record is not None else None
        if not client or not role:
            continue
        held = rates.setdefault((role, client), {})
        held[rate] = held.get(rate, 0) + rows
        currencies.setdefault((role, client), set()).add(currency)
    return {
        key: _median(held)
        for key, held in rates.items()
        if len(currencies[key]) == 1 and sum(held.values()) >= ROWS_MIN
    }


def _median(held: dict[Decimal, int]) -> Decimal:
    """Of rates by how often they occur: the middle one, or halfway between the middle two."""
    size = sum(held.values())
    lower, upper = (size - 1) // 2, size // 2
    seen, first = 0, None
    for rate in sorted(held):
        seen += held[rate]
        if first is None and seen > lower:
            first = rate
        if first is not None and seen > upper:
            return (first + rate) / 2
    raise ValueError("no rates")
