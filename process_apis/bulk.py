"""Move many rows in one statement, past SQLAlchemy's work per row, where there is volume.

Rows are tuples already in the database's own form: `Form.instant` and `Form.day` make it, and
decimals go in as text. Everything runs in the caller's transaction.
Source  SQLite json_each; PostgreSQL COPY and unnest.
"""

import gc
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

from contracts.ids import uuid7
from process_apis.columns import instant_text

_PLAIN = re.compile(r"[a-z_]+")


class Form(Struct, frozen=True):
    """How the database at hand wants instants and days."""

    instant: Callable[[datetime], Any]
    day: Callable[[date], Any]


_TEXTS = Form(instant_text, date.isoformat)
_NATIVE = Form(lambda at: at, lambda day: day)


def form(connection: Connection) -> Form:
    """Of this connection's database."""
    return _TEXTS if connection.dialect.name == "sqlite" else _NATIVE


def insert(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """All rows or an IntegrityError."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insert_sql(table, columns, "?"), list(rows))
        return
    names = ", ".join(_quoted(name) for name in columns)
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {_quoted(table.name)} ({names}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)


def insert_new(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Rows whose unique keys are free; how many there were."""
    if not rows:
        return 0
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    sql = f"{_insert_sql(table, columns, mark)} ON CONFLICT DO NOTHING"
    return connection.exec_driver_sql(sql, list(rows)).rowcount


def update(
    connection: Connection,
    table: Table,
    key: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set columns by key. Each row: the columns' values, then the key's."""
    if not rows:
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    sets = ", ".join(f"{_quoted(name)} = {mark}" for name in columns)
    sql = f"UPDATE {_quoted(table.name)} SET {sets} WHERE {_quoted(key)} = {mark}"
    connection.exec_driver_sql(sql, list(rows))


def among(
    connection: Connection, column: Column[Any], values: Iterable[str | int]
) -> ColumnElement[bool]:
    """column is one of values, with one bound parameter however many there are."""
    listed = list(values)
    kind = BigInteger if listed and isinstance(listed[0], int) else String
    return _within(plain(connection), column, None, params(connection, listed), kind)


def within(sqlite: bool, column: Column[Any], name: str) -> ColumnElement[bool]:
    """As `among`, for a statement that is built once: its parameter takes what `params` makes."""
    return _within(sqlite, column, name, None, String)


def params(connection: Connection, values: Iterable[str | int]) -> Any:
    """A list as this connection's database takes it in one parameter."""
    listed = list(values)
    return msgspec.json.encode(listed).decode() if plain(connection) else listed


def plain(connection: Connection) -> bool:
    """Is it SQLite, which has neither instants nor lists."""
    return connection.dialect.name == "sqlite"


def _within(
    sqlite: bool, column: Column[Any], name: str | None, given: Any, kind: type[TypeEngine[Any]]
) -> ColumnElement[bool]:
    value = {} if given is None else {"value": given}
    if sqlite:
        each = func.json_each(bindparam(name, type_=String, **value)).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(name, type_=ARRAY(kind), **value))


def ids(at: datetime, count: int) -> list[str]:
    """As many ids as `contracts.ids.uuid7` would make one by one, with one question for chance.

    They share the first, random half of an id of their own and count in the other.
    """
    if not count:
        return []
    first = uuid7(at)
    start = int.from_bytes(os.urandom(5), "big")
    return [f"{first[:24]}{start + n:012x}" for n in range(count)]


@contextmanager
def uncollected() -> Iterator[None]:
    """Work that makes very many objects and no cycles: looking for some took a third of it."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _insert_sql(table: Table, columns: Sequence[str], mark: str) -> str:
    names = ", ".join(_quoted(name) for name in columns)
    marks = ", ".join([mark] * len(columns))
    return f"INSERT INTO {_quoted(table.name)} ({names}) VALUES ({marks})"


def _quoted(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise ValueError(f"not a name of ours: {name!r}")
    return f'"{name}"'
