"""Answers SuiteQL from the records: flat rows, lower-case names, text values, nulls left out.

Dates come out as M/D/YYYY, also of an instant, unless TO_CHAR says otherwise: a trap of the real
one. Tables: transaction, transactionLine, customer, job, subsidiary, accountingPeriod, item,
currency, department, currencyRate, deletedRecord.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from system_apis.simulator import Document, Store
from system_apis.vendors.netsuite.simulator.fields import LINE, RECORDS, is_custom
from system_apis.vendors.netsuite.simulator.records import name_of
from system_apis.vendors.netsuite.simulator.sql import (
    Column,
    Either,
    Literal,
    Select,
    Test,
    parse,
    wrong,
)

MOST_ROWS = 100_000
Row = dict[str, Any]
_TYPES = {"invoice": "CustInvc", "creditMemo": "CustCred"}
_STATES = {"Open": "A", "Paid In Full": "B", "Pending Approval": "D", "Voided": "V"}
_ONE_TYPE = {"customer": "customer", "job": "job"}
_TABLES = {
    "transaction": "transaction",
    "transactionline": "transaction",
    "customer": "entity",
    "job": "entity",
    "subsidiary": "subsidiary",
    "accountingperiod": "accountingPeriod",
    "item": "serviceItem",
    "currency": "currency",
    "department": "department",
    "currencyrate": "currencyRate",
    "deletedrecord": "deletedRecord",
}
_RECORDS = {
    "transaction": RECORDS["invoice"].fields,
    "transactionline": LINE,
    "customer": RECORDS["customer"].fields,
    "job": RECORDS["job"].fields,
    "subsidiary": RECORDS["subsidiary"].fields,
    "accountingperiod": RECORDS["accountingPeriod"].fields,
    "item": RECORDS["serviceItem"].fields,
    "currency": RECORDS["currency"].fields,
    "department": RECORDS["department"].fields,
}
_MORE = {
    "transaction": "type abbrevtype trandisplayname foreigntotal foreignamountpaid"
    " foreignamountunpaid recordtype",
    "transactionline": "transaction id linesequencenumber",
    "customer": "fullname",
    "job": "customer fullname",
    "subsidiary": "fullname",
    "item": "itemtype fullname",
    "currencyrate": "basecurrency transactioncurrency exchangerate effectivedate",
    "deletedrecord": "recordid type recordtype deleteddate name",
}
_COLUMNS = {
    "foreigntotal": "total",
    "foreignamountpaid": "amountPaid",
    "foreignamountunpaid": "amountRemaining",
    "fullname": "companyName",
    "trandisplayname": "refName",
}


class Named(str):
    """A reference: its value is the id, its display value the name."""

    name: str


def answer(store: Store, text: str) -> list[Row]:
    """All rows of a query, in order."""
    select = parse(text)
    if select.table not in _TABLES:
        raise wrong(f"Record '{select.table}' was not found.")
    _check_columns(select)
    rows = [row for row in _rows(store, select) if _all(select.where, row)]
    if select.counts:
        return [{select.columns[0].name: str(len(rows))}]
    for field, downwards in reversed(select.order):
        rows.sort(key=lambda row: _sortable(row.get(field)), reverse=downwards)
    return [_projected(select.columns, row) for row in rows[:MOST_ROWS]]


def _check_columns(select: Select) -> None:
    """A misspelt column is an error, not an absent value."""
    known = {name.lower() for name in _RECORDS.get(select.table, {})} - {"links", "item"}
    known |= {"", "id", "lastmodifieddate", "createddate"} | set(
        _MORE.get(select.table, "").split()
    )
    if select.table == "transactionline":
        known |= {"item"}
    used = [column.field for column in select.columns] + [field for field, _ in select.order]
    for field in [*used, *_fields(select.where)]:
        if field not in known and not is_custom(field):
            raise wrong(f"Field '{field}' for record '{select.table}' was not found.")


def _fields(tests: Iterable[Test | Either]) -> Iterator[str]:
    for test in tests:
        if isinstance(test, Either):
            for way in test.ways:
                yield from _fields(way)
        else:
            yield test.field


def _rows(store: Store, select: Select) -> Iterator[Row]:
    kind = _TABLES[select.table]
    for doc in store.list(kind, where=_hints(select), order="id"):
        row = _flat(doc)
        if select.table == "transaction":
            yield row | {"foreigntotal": row.get("total")}
        elif select.table == "transactionline":
            for line in doc.get("item") or []:
                yield _flat(line) | {"transaction": doc["_id"], "id": str(line["line"])}
        else:
            yield row | ({"customer": row.get("parent")} if select.table == "job" else {})


def _flat(doc: Document) -> Row:
    """A document as a row; instants and days as datetimes, flags as T and F."""
    row: Row = {}
    for name, value in doc.items():
        column = name.lower()
        if isinstance(value, dict) and "id" in value:
            row[column] = _named(str(value["id"]), str(value.get("refName", value["id"])))
        elif isinstance(value, bool):
            row[column] = "T" if value else "F"
        elif isinstance(value, str) and column.endswith("date"):
            row[column] = _moment(value)
        elif not isinstance(value, list | dict) and not name.startswith("_"):
            row[column] = value
    if "_id" in doc:
        row |= {"id": doc["_id"], "lastmodifieddate": _moment(doc["_updated_at"])}
        row["createddate"] = _moment(doc["_created_at"])
        row["abbrevtype"] = row["type"] = _TYPES.get(doc.get("recordType", ""), row.get("type"))
        row["status"] = _state(doc.get("status"))
        row |= {column: doc[name] for column, name in _COLUMNS.items() if name in doc}
        row.setdefault("name", name_of(doc))
    return row


def _state(status: Any) -> Any:
    if not isinstance(status, str):
        return status
    return _named(_STATES.get(status, status), status)


def _named(value: str, name: str) -> Named:
    named = Named(value)
    named.name = name
    return named


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None, microsecond=0) if found.tzinfo else found


def _hints(select: Select) -> dict[str, object]:
    """What the store can leave out before we look: never more than the query does."""
    hints: dict[str, object] = {}
    if select.table in _ONE_TYPE:
        hints["recordType"] = _ONE_TYPE[select.table]
    for test in select.where:
        if not isinstance(test, Test) or test.negated or select.table == "transactionline":
            continue
        wanted = test.wanted[0]
        if test.field == "lastmodifieddate" and test.operator in (">", ">="):
            if isinstance(wanted, datetime):
                text = wanted.replace(tzinfo=UTC).isoformat(timespec="microseconds")
                hints["_updated_at >="] = text
        elif test.field == "externalid" and test.operator in ("=", "like", "in"):
            sign = "=" if test.operator == "in" else test.operator
            hints[f"externalId {sign}"] = test.wanted if test.operator == "in" else wanted
        elif test.field == "type" and test.operator == "=":
            types = [record for record, abbreviation in _TYPES.items() if abbreviation == wanted]
            hints["recordType"] = types
    return hints


def _all(tests: Iterable[Test | Either], row: Row) -> bool:
    return all(
        any(_all(way, row) for way in test.ways) if isinstance(test, Either) else _one(test, row)
        for test in tests
    )


def _one(test: Test, row: Row) -> bool:
    value = row.get(test.field)
    if test.wanted == (None,):
        return (value is None) != test.negated
    if value is None:
        return False
    if test.operator == "in":
        return any(_equal(value, wanted) for wanted in test.wanted) != test.negated
    wanted = test.wanted[0]
    if test.operator == "like":
        pattern = re.escape(str(wanted)).replace("%", ".*").replace("_", ".")
        return bool(re.fullmatch(pattern, str(value), re.DOTALL)) != test.negated
    return _COMPARED[test.operator](*_alike(value, wanted))


def _equal(value: Any, wanted: Literal) -> bool:
    left, right = _alike(value, wanted)
    return bool(left == right)


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _alike(value: Any, wanted: Literal) -> tuple[Any, Any]:
    """Both sides in one type: numbers if both look like it, days as instants."""
    if isinstance(value, datetime):
        if isinstance(wanted, datetime):
            return value, wanted
        try:
            return value, datetime.strptime(str(wanted), "%m/%d/%Y")  # noqa: DTZ007
        except ValueError as error:
            raise wrong(f"Invalid or unsupported date: {wanted}.") from error
    if isinstance(wanted, Decimal):
        try:
            return Decimal(str(value)), wanted
        except ArithmeticError:
            return str(value), str(wanted)
    return str(value), str(wanted)


def _projected(columns: tuple[Column, ...], row: Row) -> Row:
    out: Row = {"links": []}
    wanted = columns or tuple(Column(name, name) for name in row)
    for column in wanted:
        value = row.get(column.field)
        if value is not None:
            out[column.name] = _text(value, column.shape)
    return out


def _text(value: Any, shape: str) -> str:
    if isinstance(value, date):
        return value.strftime(shape) if shape else f"{value.month}/{value.day}/{value.year}"
    if shape == "DF" and isinstance(value, Named):
        return value.name
    return str(value)


def _sortable(value: Any) -> tuple[int, Any]:
    """Nulls last, numbers among themselves as numbers."""
    if value is None:
        return (3, "")
    if isinstance(value, datetime):
        return (0, value)
    text = str(value)
    return (1, int(text)) if text.isdecimal() else (2, text)
