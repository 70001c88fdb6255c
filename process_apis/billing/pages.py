"""Pages of a table, newest first, by a cursor that stays right while rows are added."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Row, Table, and_, or_, select

from contracts.paging import LIMIT_MAX
from contracts.problem import Fault, FieldError, Problem


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
        seen_at, seen_id = _read(cursor)
        query = query.where(or_(at < seen_at, and_(at == seen_at, table.c.id < seen_id)))
    rows = connection.execute(query.order_by(at.desc(), table.c.id.desc()).limit(size + 1)).all()
    if len(rows) <= size:
        return rows, None
    last = rows[size - 1]
    return rows[:size], _write(getattr(last, by), last.id)


def _write(at: datetime, id: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((at, id))).decode()


def _read(cursor: str) -> tuple[datetime, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[datetime, str])
    except ValueError as error:
        raise Problem(
            Fault.INVALID, "The cursor is not one of ours.", because=repr(error),
            errors=(FieldError("?cursor", "is unknown", "Use next_cursor as it was given."),),
        ) from error  # fmt: skip
