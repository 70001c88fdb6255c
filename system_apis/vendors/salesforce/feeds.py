"""This file exists to read Salesforce: SOQL in keyset order, so that no page moves under us.

Touches  the vendor, reading only. Keeps the address the token came with; passes on the quota told.
Fails    VENDOR_THROTTLED, VENDOR_AUTH, VENDOR_MAINTENANCE, VENDOR_CONFUSED, INVALID (cursor).
Source   shared vendor facts: queryAll (deleted rows too), SystemModstamp, Sforce-Limit-Info.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from chassis import clock
from chassis.outbound import Outbound, Outgoing, Reply
from contracts.problem import Fault, Problem
from system_apis.allowance import Allowance
from system_apis.tokens import Token, Tokens
from system_apis.vendors.salesforce import auth, mapping, wire

T = TypeVar("T")
R = TypeVar("R", bound=wire.Row)
OVERLAP = timedelta(minutes=5)
PAGE_MAX = 500
DAY_S = 86_400
_USAGE = re.compile(r"(?<![-\w])api-usage=(\d+)/(\d+)")


class Position(Struct, frozen=True):
    """After the record with this stamp and id, in that order; without an id, from the stamp on."""

    stamp: datetime | None = None
    id: str = ""


class Cursor(Struct, frozen=True):
    """began: when this reading began, None between readings. lines: of contracts only.

    A record can become visible a little after its stamp (its transaction was slow), so the next
    reading starts an overlap before this one began, unless nothing newer was seen anyway.
    """

    rows: Position = Position()
    lines: Position = Position()
    began: datetime | None = None


class Reader:
    """Reads and writes through one Outbound, at the address the token came with."""

    def __init__(
        self,
        door: Outbound,
        plain: Outbound,
        instance: str,
        client_id: str,
        secret: str,
        api: str,
        allowance: Allowance,
    ) -> None:
        self._door, self._plain, self._instance = door, plain, instance
        self._allowance = allowance
        self._client_id, self._secret = client_id, secret
        self._api = f"/services/data/{api}"
        self._address = ""
        self.tokens = Tokens(self._token)

    async def _token(self) -> Token:
        token, self._address = await auth.fetch(
            self._plain, self._instance, self._client_id, self._secret
        )
        return token

    async def call(self, method: str, path: str, **how: Any) -> Reply:
        """One call below the API's root, or from the origin when the path says so."""
        if not self._address:
            await self.tokens.auth(Outgoing("GET", "", {}, b""))
        where = path if path.startswith("/services/") else self._api + path
        reply = await self._door.send(method, self._address + where, **how)
        if found := _USAGE.search(reply.headers.get("sforce-limit-info", "")):
            self._allowance.window(int(found[1]), int(found[2]), DAY_S)
        return reply

    def refuse(self, reply: Reply) -> None:
        """A Problem for everything that is not 2xx."""
        wire.refuse(self._instance, reply.status, reply.body, reply.retry_after_s())

    async def query(self, text: str, shape: type[T], *, bulk: bool = True) -> list[T]:
        """Every row of a query, deleted ones too, in as many parts as Salesforce likes."""
        found: list[T] = []
        path, query = "/queryAll/", {"q": text}
        while True:
            reply = await self.call("GET", path, query=query, bulk=bulk)
            self.refuse(reply)
            part: wire.Found[T] = reply.json(wire.Found[shape])  # type: ignore[valid-type]
            found.extend(part.records)
            if part.done or not part.nextRecordsUrl:
                return found
            path, query = part.nextRecordsUrl, {}

    async def after(
        self, thing: str, columns: str, shape: type[R], at: Position, limit: int
    ) -> tuple[list[R], Position]:
        """The next rows in keyset order, and the position after them."""
        where = ""
        if at.stamp:
            moment = mapping.instant(at.stamp)
            where = f" WHERE SystemModstamp >= {moment}"
            if at.id:
                where = (
                    f" WHERE SystemModstamp > {moment}"
                    f" OR (SystemModstamp = {moment} AND Id > {mapping.literal(at.id)})"
                )
        text = f"SELECT {columns} FROM {thing}{where} ORDER BY SystemModstamp, Id LIMIT {limit}"
        rows = await self.query(text, shape)
        return rows, Position(rows[-1].SystemModstamp, rows[-1].Id) if rows else at

    async def changed(
        self, thing: str, columns: str, shape: type[R], cursor: str | None, limit: int
    ) -> tuple[list[R], str, bool]:
        """The next page of a change feed of one object."""
        at = read(cursor)
        began, size = at.began or clock.now(), min(limit, PAGE_MAX)
        rows, position = await self.after(thing, columns, shape, at.rows, size)
        if len(rows) == size:
            return rows, written(Cursor(position, began=began)), True
        return rows, written(Cursor(rested(position, began))), False

    async def row(self, path: str, query: Mapping[str, str] | None = None) -> Reply | None:
        """A strong read by id or external id; None when there is none."""
        reply = await self.call("GET", f"/sobjects/{path}", query=query or {})
        first = next(iter(wire.errors(reply.body)), wire.Error()) if not reply.ok else wire.Error()
        if reply.status == 404 or first.errorCode in ("MALFORMED_ID", "ENTITY_IS_DELETED"):
            return None
        self.refuse(reply)
        return reply


def rested(at: Position, began: datetime) -> Position:
    """Where the next reading starts: never later than an overlap before this one began."""
    edge = began - OVERLAP
    return at if at.stamp is None or at.stamp < edge else Position(edge)


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
