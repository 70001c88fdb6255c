"""Keep totals that would be dear to count, e.g. entries by billing state, exact by transaction.

Callers add at the end of their transaction; names are taken in sorted order, so that two
transactions never wait for each other in a circle.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, select, text

from process_apis.tables import counter

_ADD = text(
    "INSERT INTO counter (name, value) VALUES (:name, :delta) "
    "ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value"
)


def add(connection: Connection, deltas: Mapping[str, int]) -> None:
    """Change counters by their deltas; zeros cost nothing."""
    rows = [{"name": name, "delta": deltas[name]} for name in sorted(deltas) if deltas[name]]
    if rows:
        connection.execute(_ADD, rows)


def read(connection: Connection, prefix: str) -> dict[str, int]:
    """Values of the counters below a prefix such as `intake:`, by the rest of their names."""
    query = select(counter).where(counter.c.name.startswith(prefix, autoescape=True))
    return {row.name.removeprefix(prefix): row.value for row in connection.execute(query)}


def next_number(connection: Connection, name: str) -> int:
    """The next of a series without gaps among committed ones; others wait for this transaction."""
    bump = text(
        "INSERT INTO counter (name, value) VALUES (:name, 1) "
        "ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value"
    )
    return int(connection.execute(bump, {"name": name}).scalar_one())
