"""This file exists to read NetSuite: SuiteQL pages, change feeds, records, and its refusals.

Touches  the vendor, reading only. Keeps the account's currency ids, which never change.
Fails    VENDOR_THROTTLED, VENDOR_AUTH, VENDOR_MAINTENANCE, VENDOR_REJECTED, VENDOR_SILENT.
Source   shared vendor facts: SuiteQL (Prefer: transient), lastmodifieddate with overlap.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.outbound import Outbound, Reply
from contracts.problem import Fault, Problem, Vendor
from system_apis.drift import Drift
from system_apis.vendors.netsuite import mapping, wire

T = TypeVar("T")
RECORD = "/services/rest/record/v1"
SUITEQL = "/services/rest/query/v1/suiteql"
LIMIT_MAX = 1000
OVERLAP = timedelta(minutes=5)
CHANGED = "TO_CHAR(lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS changed"

_FAULTS = {
    400: Fault.VENDOR_REJECTED,
    401: Fault.VENDOR_AUTH,
    403: Fault.VENDOR_AUTH,
    404: Fault.NOT_FOUND,
    429: Fault.VENDOR_THROTTLED,
}
_THROTTLED = ("SSS_REQUEST_LIMIT_EXCEEDED", "CONCURRENCY_LIMIT_EXCEEDED", "WS_REQUEST_BLOCKED")


class Cursor(Struct, frozen=True):
    """since: records modified from then on. offset: into this reading. began: when it began.

    A reading walks by id, so a record that changes meanwhile is neither moved nor lost: the next
    reading begins an overlap before this one did.
    """

    since: datetime | None = None
    offset: int = 0
    began: datetime | None = None


class Reader:
    """Reads through one Outbound."""

    def __init__(self, door: Outbound, instance: str, drift: Drift) -> None:
        self._door = door
        self._instance = instance
        self._drift = drift
        self._currencies: dict[str, str] = {}

    async def query(
        self, text: str, *, limit: int, offset: int = 0, bulk: bool = True
    ) -> wire.Rows:
        """One page of SuiteQL rows."""
        reply = await self._door.send(
            "POST",
            SUITEQL,
            query={"limit": limit, "offset": offset},
            json={"q": text},
            headers={"prefer": "transient"},
            safe=True,
            bulk=bulk,
        )
        refuse(self._instance, reply)
        return reply.json(wire.Rows)

    async def changed(
        self, table: str, columns: str, shape: type[T], cursor: str | None, limit: int
    ) -> tuple[list[T], str, bool]:
        """The next page of a change feed: rows, the cursor after them, whether more waits."""
        at = _read(cursor)
        # The offset must be a multiple of the limit.
        size = min(limit, LIMIT_MAX)
        began = at.began or clock.now()
        where = ""
        if at.since:
            moment = mapping.minus(at.since, OVERLAP)
            where = f" WHERE lastmodifieddate >= TO_TIMESTAMP('{moment}', 'YYYY-MM-DD HH24:MI:SS')"
        text = f"SELECT {columns}, {CHANGED} FROM {table}{where} ORDER BY id"
        page = await self.query(text, limit=size, offset=at.offset)
        rows = self.shaped(table, page.items, shape)
        if page.hasMore:
            return rows, _written(Cursor(at.since, at.offset + size, began)), True
        return rows, _written(Cursor(began)), False

    async def all(self, text: str, table: str, shape: type[T]) -> list[T]:
        """Every row of a small query."""
        rows: list[T] = []
        while True:
            page = await self.query(text, limit=LIMIT_MAX, offset=len(rows))
            rows.extend(self.shaped(table, page.items, shape))
            if not page.hasMore:
                return rows

    def shaped(self, table: str, items: list[dict[str, Any]], shape: type[T]) -> list[T]:
        """Rows as structs; values come as text, so conversion is lax."""
        try:
            return [msgspec.convert(item, shape, strict=False) for item in items]
        except msgspec.ValidationError as error:
            raise Problem(
                Fault.VENDOR_CONFUSED,
                "A row of the vendor is unusable.",
                because=f"{table}: {error}",
            ) from error

    async def currencies(self) -> dict[str, str]:
        """ISO codes by the account's own currency ids."""
        if not self._currencies:
            page = await self.query("SELECT id, symbol FROM currency ORDER BY id", limit=LIMIT_MAX)
            self._currencies = {str(row["id"]): str(row["symbol"]) for row in page.items}
        return self._currencies

    async def currency_id(self, symbol: str) -> str:
        """The account's id of a currency; VENDOR_REJECTED when it does not trade in it."""
        for id, known in (await self.currencies()).items():
            if known == symbol:
                return id
        raise Problem(
            Fault.VENDOR_REJECTED,
            f"{self._instance} has no currency {symbol}.",
            vendor=Vendor(system=self._instance, exception_code="RATE_CURRENCY_MISMATCH"),
        )

    async def record(self, kind: str, id: str, shape: type[T], *, lines: bool = False) -> T | None:
        """A strong read by internal id or `eid:<external id>`; None when there is none."""
        query = {"expandSubResources": "true"} if lines else {}
        reply = await self._door.send("GET", f"{RECORD}/{kind}/{id}", query=query)
        if reply.status == 404:
            return None
        refuse(self._instance, reply)
        self._drift.look(kind, reply.json(dict))
        return reply.json(shape)

    async def named(self, kind: str) -> list[wire.Named]:
        """A small set of records that SuiteQL does not list: ids first, then each one."""
        reply = await self._door.send(
            "GET", f"{RECORD}/{kind}", query={"limit": LIMIT_MAX}, bulk=True
        )
        refuse(self._instance, reply)
        found = []
        for item in reply.json(wire.Rows).items:
            made = await self.record(kind, str(item["id"]), wire.Named)
            if made is not None:
                found.append(made)
        return found


def _read(cursor: str | None) -> Cursor:
    if not cursor:
        return Cursor()
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError as error:
        raise Problem(Fault.INVALID, "The cursor is not one of ours.") from error


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def refuse(instance: str, reply: Reply) -> None:
    """A Problem for everything that is not 2xx; the vendor's words go along."""
    if reply.ok:
        return
    try:
        error = msgspec.json.decode(reply.body, type=wire.Error)
    except msgspec.DecodeError:
        error = wire.Error()
    first = error.details[0] if error.details else wire.ErrorDetail()
    vendor = Vendor(
        system=instance,
        status=reply.status,
        code=first.code,
        message=first.detail[:500],
        exception_code=mapping.exception_code(error) if reply.status == 400 else "",
    )
    raise Problem(
        _fault(reply, first),
        f"{instance}: {first.detail[:200] or 'refused.'}",
        because=f"{reply.status} {reply.body[:300]!r}",
        retry_after_s=reply.retry_after_s(),
        vendor=vendor,
    )


def _fault(reply: Reply, first: wire.ErrorDetail) -> Fault:
    if first.code in _THROTTLED:
        return Fault.VENDOR_THROTTLED
    if first.code == "RCRD_HAS_BEEN_CHANGED":
        return Fault.VENDOR_SILENT  # the first call may still be committing
    if "already exists" in first.detail:
        return Fault.CONFLICT
    if reply.status == 503 and "maintenance" in reply.body.decode(errors="replace").lower():
        return Fault.VENDOR_MAINTENANCE
    return _FAULTS.get(reply.status, Fault.VENDOR_SILENT)


def mark(found: object) -> str:
    """What small collections look like; it changes when any record does."""
    body = msgspec.json.encode(found, order="deterministic")
    return "h:" + hashlib.sha256(body).hexdigest()[:32]
