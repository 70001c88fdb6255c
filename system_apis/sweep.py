"""This file exists to make a change feed of a vendor's collection that can only be read whole.

Owns   the last reading of each stream, so that its pages cost the vendor nothing more.
Fails  INVALID for a cursor that is none of ours, and what reading fails with.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from chassis import clock
from contracts.problem import Fault, Problem

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Row(Struct, frozen=True):
    """One record as it came. stamp: when the vendor says it changed, None when it does not."""

    id: str
    stamp: datetime | None
    record: dict[str, Any]


class Cursor(Struct, frozen=True):
    """mark: of the last finished reading, newest its latest stamp.

    reading: the mark of the one going on, of which everything up to (stamp, id) was given.
    """

    mark: str = ""
    newest: datetime | None = None
    reading: str = ""
    stamp: datetime | None = None
    id: str = ""


class Seen(Struct, frozen=True):
    """A whole collection. at: when it was first seen like this."""

    mark: str
    at: datetime
    rows: tuple[Row, ...]


class Given(Struct, frozen=True):
    """A page. gone: rows of the reading before that are not there any more."""

    rows: tuple[Row, ...]
    gone: tuple[Row, ...]
    at: datetime
    cursor: str
    more: bool


class Sweeps:
    """overlap: how far behind the newest stamp of the last reading a changed row may lie.

    What vanished is told only while this process remembers the reading in which it was there.
    """

    def __init__(self, overlap: timedelta) -> None:
        self._overlap = overlap
        self._seen: dict[str, Seen] = {}

    async def page(
        self,
        stream: str,
        read: Callable[[], Awaitable[list[Row]]],
        cursor: str | None,
        limit: int,
    ) -> Given:
        """The next page of what changed, in the order of (stamp, id)."""
        at = _read(cursor)
        had = self._seen.get(stream)
        going_on = had is not None and bool(at.reading) and had.mark == at.reading
        seen = had if had is not None and going_on else self._looked(stream, await read())
        if not at.reading and at.mark == seen.mark:
            return Given((), (), seen.at, cursor or "", False)
        since = at.newest - self._overlap if at.newest else _NEVER
        place = (at.stamp or _NEVER, at.id)
        waiting = [
            row
            for row in seen.rows
            if (row.stamp is None or row.stamp >= since) and (not at.reading or _place(row) > place)
        ]
        here = tuple(waiting[:limit])
        reading = at.reading or seen.mark
        if len(waiting) > limit:
            last = here[-1]
            after = Cursor(at.mark, at.newest, reading, last.stamp, last.id)
            return Given(here, (), seen.at, _written(after), True)
        newest = max((row.stamp for row in seen.rows if row.stamp), default=at.newest)
        now = {row.id for row in seen.rows}
        known = had is not None and not going_on and had.mark == at.mark
        gone = tuple(row for row in had.rows if row.id not in now) if had and known else ()
        return Given(here, gone, seen.at, _written(Cursor(reading, newest)), False)

    def _looked(self, stream: str, rows: list[Row]) -> Seen:
        rows.sort(key=_place)
        body = msgspec.json.encode([[row.id, row.record] for row in rows], order="deterministic")
        mark = hashlib.sha256(body).hexdigest()[:32]
        had = self._seen.get(stream)
        seen = Seen(mark, had.at if had and had.mark == mark else clock.now(), tuple(rows))
        self._seen[stream] = seen
        return seen


def _place(row: Row) -> tuple[datetime, str]:
    return row.stamp or _NEVER, row.id


def _read(cursor: str | None) -> Cursor:
    if not cursor:
        return Cursor()
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError as error:
        raise Problem(Fault.INVALID, "The cursor is not one of ours.") from error


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
