"""This file exists to read Kantata's collections: pages of records, and cursors that lose none.

Touches  the vendor, reading only. Keeps what it saw of collections without a time of change.
Fails    VENDOR_THROTTLED, VENDOR_AUTH, VENDOR_MAINTENANCE, VENDOR_CONFUSED, INVALID (cursor).
Source   shared vendor facts: Brainstem envelope, updated_after, order, page, per_page.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.outbound import Outbound, Reply
from contracts.problem import Fault, Problem, Vendor
from system_apis.drift import Drift
from system_apis.vendors.kantata import wire

T = TypeVar("T")
API = "/api/v1"
OVERLAP = timedelta(seconds=5)
PAGE_MAX = 200

_FAULTS = {
    400: Fault.VENDOR_REJECTED,
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_AUTH,
    404: Fault.NOT_FOUND,
    409: Fault.CONFLICT,
    422: Fault.VENDOR_REJECTED,
    429: Fault.VENDOR_THROTTLED,
    503: Fault.VENDOR_MAINTENANCE,
}


class Cursor(Struct, frozen=True):
    """since: records updated from then on (less an overlap). page: of that reading, from 1.

    idle: (newest, count) at the end of the last reading; the same again means nothing is new.
    """

    since: datetime | None = None
    page: int = 1
    idle_newest: str = ""
    idle_count: int = -1


class Pages:
    """Reads pages through one Outbound."""

    def __init__(self, door: Outbound, instance: str, drift: Drift) -> None:
        self._door = door
        self._instance = instance
        self._drift = drift

    async def get(self, path: str, query: Mapping[str, Any], *, bulk: bool = True) -> "Records":
        """One page as records; every failure is a Problem."""
        reply = await self._door.send("GET", API + path, query=query, bulk=bulk)
        refuse(self._instance, reply)
        return Records(reply, self._drift)

    async def all(self, path: str, query: Mapping[str, Any] | None = None) -> "list[Records]":
        """Every page of a small collection."""
        found: list[Records] = []
        page = 1
        while True:
            here = await self.get(path, {**(query or {}), "page": page, "per_page": PAGE_MAX})
            found.append(here)
            if page >= here.meta.page_count:
                return found
            page += 1

    async def changed(
        self, path: str, query: Mapping[str, Any], cursor: Cursor, limit: int
    ) -> "tuple[Records | None, Cursor, bool]":
        """The next page of what changed, the cursor after it, and whether more waits now.

        Records that share a moment are paged through, not skipped; the overlap makes some come
        twice, which readers expect. None when one small look shows that nothing is new.
        """
        since = cursor.since - OVERLAP if cursor.since else None
        asked = dict(query)
        if since:
            asked["updated_after"] = since.astimezone(UTC).isoformat()
        if cursor.idle_count >= 0 and await self._quiet(path, asked, cursor):
            return None, cursor, False
        size = min(limit, PAGE_MAX)
        asked |= {"order": "updated_at:asc", "page": cursor.page, "per_page": size}
        here = await self.get(path, asked)
        newest = here.newest() or cursor.since
        if cursor.page >= here.meta.page_count:
            count = here.meta.count
            # The count belongs to the window of this reading; a moved window is counted anew.
            if newest != cursor.since:
                return here, Cursor(newest), count > 0
            # Kantata tells whole seconds: one that may not be over yet can still have a change.
            over = newest is None or clock.now() - newest > OVERLAP
            seen = newest.isoformat() if newest else ""
            return here, Cursor(newest, 1, seen, count) if over else Cursor(newest), False
        moved = newest is not None and (cursor.since is None or newest - OVERLAP > cursor.since)
        return here, Cursor(newest) if moved else Cursor(cursor.since, cursor.page + 1), True

    async def _quiet(self, path: str, asked: Mapping[str, Any], cursor: Cursor) -> bool:
        look = await self.get(path, {**asked, "order": "updated_at:desc", "page": 1, "per_page": 1})
        newest = look.newest()
        seen = newest.isoformat() if newest else ""
        return look.meta.count == cursor.idle_count and (
            seen == cursor.idle_newest or not look.meta.count
        )


class Records:
    """One Brainstem reply: the results in order, and what was side-loaded."""

    def __init__(self, reply: Reply, drift: Drift) -> None:
        envelope = reply.json(wire.Envelope)
        self.meta = envelope.meta
        self._order = envelope.results
        self._all = reply.json(dict[str, Any])
        self._drift = drift

    def of(self, shape: type[T]) -> list[T]:
        """The results, in the vendor's order."""
        return [self._one(r.key, r.id, shape) for r in self._order]

    def side(self, key: str, shape: type[T]) -> dict[str, T]:
        """Side-loaded records by id."""
        return {id: self._one(key, id, shape) for id in self._all.get(key, {})}

    def newest(self) -> datetime | None:
        """The latest updated_at among the results."""
        stamps = [self._all[r.key][r.id].get("updated_at") for r in self._order]
        found = [datetime.fromisoformat(stamp) for stamp in stamps if stamp]
        return max(found, default=None)

    def raw(self) -> list[Any]:
        """The results as they came, for comparing content."""
        return [self._all[r.key][r.id] for r in self._order]

    def _one(self, key: str, id: str, shape: type[T]) -> T:
        record = self._all[key][id]
        self._drift.look(key, record)
        try:
            return msgspec.convert(record, shape, strict=False)
        except msgspec.ValidationError as error:
            because = f"{key} {id}: {error}"
            raise Problem(
                Fault.VENDOR_CONFUSED, "A record of the vendor is unusable.", because=because
            ) from error


def read(cursor: str | None) -> Cursor:
    """A cursor from its text; INVALID when it is none of ours."""
    if not cursor:
        return Cursor()
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError as error:
        raise Problem(Fault.INVALID, "The cursor is not one of ours.") from error


def written(cursor: Cursor) -> str:
    """A cursor as text."""
    return msgspec.json.encode(cursor).decode()


def content_mark(*parts: Any) -> str:
    """What a whole collection looks like; it changes when any record does."""
    body = msgspec.json.encode(parts, order="deterministic")
    return "h:" + hashlib.sha256(body).hexdigest()[:32]


def refuse(instance: str, reply: Reply) -> None:
    """A Problem for everything that is not 2xx; 5xx after a write may have happened."""
    if reply.ok:
        return
    fault = _FAULTS.get(reply.status, Fault.VENDOR_SILENT)
    try:
        first = next(iter(msgspec.json.decode(reply.body, type=wire.Errors).errors), None)
    except msgspec.DecodeError:
        first = None
    said = first.message if first else reply.body[:200].decode(errors="replace")
    vendor = Vendor(
        system=instance,
        status=reply.status,
        code=first.type if first else "",
        message=said[:500],
    )
    raise Problem(
        fault,
        f"{instance}: {fault.title.lower()}.",
        because=f"{reply.status} {said[:300]}",
        retry_after_s=reply.retry_after_s(),
        vendor=vendor,
    )
