"""This file exists to keep routes, upstreams and hosts that were applied from files.

Owns   the table applied. What is in it stands before the settings.
Fails  msgspec's ValidationError when a row was made by a newer version.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select

from gateway.control.tables import applied

T = TypeVar("T")
Kind = Literal["plan", "consumer", "upstream", "route", "hosts", "issuer"]


def applied_of(connection: Connection, kind: Kind, shape: type[T]) -> list[T]:
    """By name; empty when the settings count."""
    wanted = select(applied.c.definition).where(applied.c.kind == kind).order_by(applied.c.name)
    return [msgspec.convert(row, shape) for row in connection.execute(wanted).scalars()]


def keep(connection: Connection, kind: Kind, things: Mapping[str, Any] | None) -> None:
    """Instead of what was applied of this kind before; None leaves it."""
    if things is None:
        return
    connection.execute(delete(applied).where(applied.c.kind == kind))
    rows = [
        {"kind": kind, "name": name, "definition": msgspec.to_builtins(thing)}
        for name, thing in things.items()
    ]
    if rows:
        connection.execute(insert(applied), rows)
