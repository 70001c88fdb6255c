"""Pages of a table, by cursors that stay right while rows are added.

Fails  INVALID for a cursor that is none of ours.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, Connection, Row, Select, Table, and_, or_, select

from contracts.paging import LIMIT_MAX
from contracts.problem import Fault, FieldError, Problem

T = TypeVar("T")


def newest(
    connection: Connection,
    table: Table,
    cursor: str | None,
    limit: int,
    *clauses: Any,
    by: str = "created_at",
) -> tuple[Sequence[Row[Any]], str | None]:
    """At most limit rows by (by, id) descending, and the cursor of the next page."""
    size = max(1, min(limit, LIMIT_MAX))
    at: Column[Any] = table.c[by]
    query = select(table).where(*clauses)
    if cursor is not None:
        seen_at, seen_id = _read(cursor, tuple[datetime, str])
        if seen_at.tzinfo is None or "\0" in seen_id:
            raise _unknown(cursor)
        query = query.where(or_(at < seen_at, and_(at == seen_at, table.c.id < seen_id)))
    rows = connection.execute(query.order_by(at.desc(), table.c.id.desc()).limit(size + 1)).all()
    if len(rows) <= size:
        return rows, None
    last = rows[size - 1]
    return rows[:size], _written((getattr(last, by), last.id))


def by_id(
    connection: Connection,
    query: Select[Any],
    id: Column[Any],
    cursor: str | None,
    limit: int,
    *,
    descending: bool = False,
) -> tuple[Sequence[Row[Any]], str | None]:
    """At most limit rows of the query in the order of a unique text, and the next cursor."""
    size = max(1, min(limit, LIMIT_MAX))
    if cursor is not None:
        (seen,) = _read(cursor, tuple[str])
        if "\0" in seen:  # PostgreSQL has no such text
            raise _unknown(cursor)
        query = query.where(id < seen if descending else id > seen)
    query = query.order_by(id.desc() if descending else id)
    rows = connection.execute(query.limit(size + 1)).all()
    if len(rows) <= size:
        return rows, None
    return rows[:size], _written((getattr(rows[size - 1], id.name),))


def _written(place: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _read(cursor: str, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=shape)
    except ValueError as error:
        raise _unknown(cursor) from error


def _unknown(cursor: str) -> Problem:
    error = FieldError("?cursor", "is unknown", "Use next_cursor as it was given.")
    return Problem(
        Fault.INVALID, "The cursor is not one of ours.", because=repr(cursor[:80]), errors=(error,)
    )
