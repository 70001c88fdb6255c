"""This file exists to remember the answer to an Idempotency-Key, so that sending twice is once.

Owns   the rule; what is remembered lies in a Memory (SqlMemory: a table of the tier).
Fails  KEY_REUSED: same key, another request. IN_PROGRESS: the first is still being worked on.
Source IETF draft-ietf-httpapi-idempotency-key-header-07, sections 2.2 to 2.6.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from chassis import clock, travel
from chassis.database import Database
from contracts.problem import Fault, Problem

KEEP = timedelta(days=8)
STUCK_AFTER = timedelta(minutes=2)
_FIT = re.compile(r"^[\x21-\x7e]{1,200}\Z")


class Slot(Struct, frozen=True):
    """scope: who sent the key; two callers may use the same one. key: the header."""

    scope: str
    key: str


class Remembered(Struct, frozen=True):
    """digest: of the request. status: None while it is being worked on. at: when it began."""

    digest: str
    status: int | None
    body: bytes
    at: datetime


class Memory(Protocol):
    """Where answers lie."""

    async def begin(self, slot: Slot, fresh: Remembered) -> Remembered | None:
        """Place `fresh` and return None, unless the slot is taken: then what is there. Atomic.

        Taken no longer: what is older than KEEP, and what was left unfinished for STUCK_AFTER.
        """
        ...

    async def finish(self, slot: Slot, status: int, body: bytes) -> None:
        """Keep the answer."""
        ...

    async def forget(self, slot: Slot) -> None:
        """Nothing happened: the slot is free again."""
        ...


class ProcessMemory:
    """A memory of this process, for tests and tools. Lost at the end."""

    def __init__(self) -> None:
        self._kept: dict[Slot, Remembered] = {}

    async def begin(self, slot: Slot, fresh: Remembered) -> Remembered | None:
        there = self._kept.get(slot)
        if there is not None and _holds(there, fresh.at):
            return there
        self._kept[slot] = fresh
        return None

    async def finish(self, slot: Slot, status: int, body: bytes) -> None:
        began = self._kept[slot]
        self._kept[slot] = Remembered(began.digest, status, body, began.at)

    async def forget(self, slot: Slot) -> None:
        self._kept.pop(slot, None)


class SqlMemory:
    """A memory in a table: scope, key (primary key), request_hash, status, reply, created_at,

    expires_at. Expired rows go when their slot is used again, and by `sweep`.
    """

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table

    async def begin(self, slot: Slot, fresh: Remembered) -> Remembered | None:
        table = self._table

        def place(connection: Connection) -> Remembered | None:
            found = select(table).where(*self._at(slot)).with_for_update()
            if (row := connection.execute(found).one_or_none()) is not None:
                there = Remembered(row.request_hash, row.status, row.reply or b"", row.created_at)
                if _holds(there, fresh.at):
                    return there
                connection.execute(delete(table).where(*self._at(slot)))
            connection.execute(
                insert(table).values(
                    scope=slot.scope, key=slot.key, request_hash=fresh.digest, status=None,
                    reply=None, created_at=fresh.at, expires_at=fresh.at + KEEP,
                )
            )  # fmt: skip
            return None

        try:
            return await self._database.write(place)
        except IntegrityError:  # another process placed it at the same moment: now it is there
            return await self._database.write(place)

    async def finish(self, slot: Slot, status: int, body: bytes) -> None:
        kept = update(self._table).where(*self._at(slot)).values(status=status, reply=body)
        await self._database.write(lambda connection: connection.execute(kept))

    async def forget(self, slot: Slot) -> None:
        gone = delete(self._table).where(*self._at(slot))
        await self._database.write(lambda connection: connection.execute(gone))

    async def sweep(self) -> int:
        """Delete what has expired; how many rows."""
        old = delete(self._table).where(self._table.c.expires_at < clock.now())
        return await self._database.write(lambda connection: connection.execute(old).rowcount)

    def _at(self, slot: Slot) -> tuple[ColumnElement[bool], ...]:
        return self._table.c.scope == slot.scope, self._table.c.key == slot.key


async def answered_once(
    memory: Memory,
    key: str,
    about: str,
    body: bytes,
    answer: Callable[[], Awaitable[tuple[int, bytes]]],
) -> tuple[int, bytes]:
    """The answer, made now or remembered. about: method and path, which belong to the request.

    A Problem frees the key, since nothing was done; an ambiguous one, or a crash, leaves it
    IN_PROGRESS for STUCK_AFTER, so that nobody repeats it blindly at once.
    """
    if not _FIT.match(key):
        raise Problem(Fault.MALFORMED, "Idempotency-Key must be 1 to 200 visible characters.")
    travelling = travel.current()
    who = travelling.principal.subject if travelling and travelling.principal else ""
    slot = Slot(who, key)
    digest = hashlib.sha256(about.encode() + b"\n" + body).hexdigest()
    there = await memory.begin(slot, Remembered(digest, None, b"", clock.now()))
    if there is not None:
        return _again(there, digest)
    try:
        status, reply = await answer()
    except Problem as problem:
        if not problem.ambiguous:
            await memory.forget(slot)
        raise
    await memory.finish(slot, status, reply)
    return status, reply


def _again(there: Remembered, digest: str) -> tuple[int, bytes]:
    if there.digest != digest:
        raise Problem(Fault.KEY_REUSED, "This Idempotency-Key came with another request.")
    if there.status is None:
        say = "The first request with this Idempotency-Key is not done yet."
        raise Problem(Fault.IN_PROGRESS, say, retry_after_s=1.0)
    return there.status, there.body


def _holds(there: Remembered, now: datetime) -> bool:
    return now - there.at < (STUCK_AFTER if there.status is None else KEEP)
