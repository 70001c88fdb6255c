"""This file exists to keep the dashboards' totals up to date from the process tier's events.

Owns   the read model's tables. Facts, totals and position change in one transaction, so a crash
       neither loses nor doubles an event; neither do two followers of one database.
Fails  what the database raises; the same events may be applied again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from chassis.database import Database
from contracts.events import CloudEvent
from experience_apis.facts import (
    Amount,
    Cell,
    Fact,
    cells_of,
    facts_of,
    straight_cells,
    sum_cells,
)
from experience_apis.tables import fact, progress, total

FEED = "process"
_CHUNK = 300
Key = tuple[str, str]


class ReadModel:
    """One read model in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def position(self) -> int:
        """The last event applied, 0 before the first."""
        return await self._database.read(lambda c: _progress(c)[0])

    async def apply(self, events: Sequence[CloudEvent], position: int) -> None:
        """Take events in order and remember the position to read on from.

        Events at or before the position already reached are passed over, so that a page which
        arrives twice, or through two processes at once, counts once.
        """
        await self._database.write(lambda c: _apply(c, events, position))

    async def totals(self, *boards: str) -> tuple[dict[Cell, Amount], int, datetime | None]:
        """Cells of these totals, the position they stand for, and the newest event's instant."""

        def look(connection: Connection) -> tuple[dict[Cell, Amount], int, datetime | None]:
            rows = connection.execute(select(total).where(total.c.board.in_(boards)))
            cells = {Cell(r.board, r.a, r.b, r.c, r.currency): Amount(*r[5:8]) for r in rows}
            return cells, *_progress(connection)

        return await self._database.read(look)


def _progress(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(select(progress).where(progress.c.feed == FEED)).one_or_none()
    if row is None:
        return 0, None
    as_of = row.as_of
    if as_of is not None and as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=UTC)  # SQLite keeps no zone; it was UTC when written
    return int(row.position), as_of


def _apply(connection: Connection, events: Sequence[CloudEvent], position: int) -> None:
    reached, as_of = _held(connection)
    events = [e for e in events if e.position is None or e.position > reached]
    newest: dict[Key, Fact] = {}
    for event in events:
        for found in facts_of(event):
            newest[found.kind, found.key] = found
    entries = {key for kind, key in newest if kind in ("entry", "touch")}
    wanted = set(newest) | {(kind, key) for key in entries for kind in ("entry", "touch")}
    before = _facts(connection, wanted)
    after = before | newest
    parts: list[tuple[dict[Cell, Amount], bool]] = []
    for key, now in newest.items():
        if key in before:
            parts.append((cells_of(before[key]), False))
        parts.append((cells_of(now), True))
    for entry in entries:
        parts.append((_straight(before, entry), False))
        parts.append((_straight(after, entry), True))
    _add(connection, sum_cells(parts))
    _put(
        connection,
        fact,
        [
            {"kind": f.kind, "key": f.key, "state": msgspec.json.encode(f.state)}
            for f in newest.values()
        ],
        ("kind", "key"),
    )
    times = [e.time for e in events] + ([as_of] if as_of else [])
    connection.execute(
        update(progress)
        .where(progress.c.feed == FEED)
        .values(
            position=max(position, reached),
            as_of=max(times, default=None),
            events=progress.c.events + len(events),
        )
    )


def _held(connection: Connection) -> tuple[int, datetime | None]:
    """The progress, held against everybody else who would apply events until we are done."""
    first = _insert(connection, progress).values(feed=FEED, position=0, events=0)
    connection.execute(first.on_conflict_do_nothing(index_elements=["feed"]))
    # SQLite has one writer anyway, and no such words
    connection.execute(select(progress.c.feed).where(progress.c.feed == FEED).with_for_update())
    return _progress(connection)


def _straight(facts: dict[Key, Fact], key: str) -> dict[Cell, Amount]:
    entry = facts.get(("entry", key))
    return straight_cells(entry.state if entry else None, ("touch", key) in facts)


def _facts(connection: Connection, keys: set[Key]) -> dict[Key, Fact]:
    found: dict[Key, Fact] = {}
    for some in _chunks(sorted(keys)):
        query = select(fact).where(tuple_(fact.c.kind, fact.c.key).in_(some))
        for row in connection.execute(query):
            found[row.kind, row.key] = Fact(row.kind, row.key, msgspec.json.decode(row.state))
    return found


def _add(connection: Connection, cells: dict[Cell, Amount]) -> None:
    if not cells:
        return
    insert = _insert(connection, total)
    rows = [
        {
            "board": c.board, "a": c.a, "b": c.b, "c": c.c, "currency": c.currency,
            "count": a.count, "measure": a.measure, "minor": a.minor,
        }
        for c, a in cells.items()
    ]  # fmt: skip
    upsert = insert.on_conflict_do_update(
        index_elements=["board", "a", "b", "c", "currency"],
        set_={
            name: total.c[name] + insert.excluded[name] for name in ("count", "measure", "minor")
        },
    )
    connection.execute(upsert, rows)
    connection.execute(
        delete(total).where(total.c.count == 0, total.c.measure == 0, total.c.minor == 0)
    )


def _put(
    connection: Connection, table: Table, rows: list[dict[str, Any]], key: tuple[str, ...]
) -> None:
    if not rows:
        return
    insert = _insert(connection, table)
    changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=changed), rows)


def _insert(connection: Connection, table: Table) -> Any:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _chunks(keys: Sequence[Key]) -> Iterable[Sequence[Key]]:
    return (keys[at : at + _CHUNK] for at in range(0, len(keys), _CHUNK))
