"""This file exists to hold what every store of the control plane says the same way.

Owns   instants as Unix milliseconds, pages with a cursor, refusals that name a field.
Fails  never.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, insert, select, update

from contracts.paging import Page
from contracts.problem import Fault, FieldError, Problem

T = TypeVar("T")
Found = Row[Any]


def named(connection: Connection, table: Table, name: str) -> Found | None:
    """The row of this name."""
    return connection.execute(select(table).where(table.c.name == name)).one_or_none()


def put(
    connection: Connection, table: Table, name: str, values: dict[str, Any], *, exists: bool
) -> None:
    """Make or replace the row of this name."""
    if exists:
        connection.execute(update(table).where(table.c.name == name).values(**values))
    else:
        connection.execute(insert(table).values(name=name, **values))


def page(found: list[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """Of limit + 1 rows asked for: the first `limit`, and where to go on."""
    more = len(found) > limit
    shown = tuple(found[:limit])
    return Page(shown, cursor(shown[-1]) if more else None, more)


def invalid(pointer: str, reason: str) -> Problem:
    """INVALID, naming one field."""
    return Problem(Fault.INVALID, f"{pointer}: {reason}", errors=(FieldError(pointer, reason),))


def like(text: str) -> str:
    """A pattern for LIKE ... ESCAPE '/' that finds the text anywhere."""
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return f"%{text}%"


def ms(at: datetime) -> int:
    """Unix milliseconds."""
    return int(at.timestamp() * 1000)


def instant(at_ms: int) -> datetime:
    """UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def maybe(at_ms: int | None) -> datetime | None:
    """`instant` of what may be missing."""
    return None if at_ms is None else instant(at_ms)
