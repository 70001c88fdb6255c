"""This file exists to remember the answer to an Idempotency-Key, so that sending twice is once.

Owns   the rule; what is remembered lies in a Memory (SqlMemory: a table of the tier).
Fails  KEY_REUSED: same key, another request. IN_PROGRESS: the first is still being worked on.
Source IETF draft-ietf-httpapi-idempotency-key-header-07, sections 2.2 to 2.6.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from chassis import clock, travel
from contracts.problem import Fault, Problem

KEEP_S = 8 * 24 * 3600
STUCK_AFTER_S = 120
_FIT = re.compile(r"^[\x21-\x7e]{1,200}$")


class Remembered(Struct, frozen=True):
    """digest: of the request. status 0: still being worked on. at_s: POSIX seconds of the start."""

    digest: str
    status: int
    body: bytes
    at_s: float


class Memory(Protocol):
    """Where answers lie."""

    async def begin(self, key: str, fresh: Remembered, stuck_before_s: float) -> Remembered | None:
        """Place `fresh` unless the key is there: then what is there. Atomic.

        An unfinished one that began before stuck_before_s is replaced: its process died.
        """
        ...

    async def finish(self, key: str, status: int, body: bytes) -> None:
        """Keep the answer."""
        ...

    async def forget(self, key: str) -> None:
        """Nothing happened: the key is free again."""
        ...


class ProcessMemory:
    """A memory of this process, for tests and tools. Lost at the end."""

    def __init__(self) -> None:
        self._kept: dict[str, Remembered] = {}

    async def begin(self, key: str, fresh: Remembered, stuck_before_s: float) -> Remembered | None:
        there = self._kept.get(key)
        if there is None or (not there.status and there.at_s < stuck_before_s):
            self._kept[key] = fresh
            return None
        return there

    async def finish(self, key: str, status: int, body: bytes) -> None:
        began = self._kept[key]
        self._kept[key] = Remembered(began.digest, status, body, began.at_s)

    async def forget(self, key: str) -> None:
        self._kept.pop(key, None)


async def answered_once(
    memory: Memory,
    key: str,
    about: str,
    body: bytes,
    answer: Callable[[], Awaitable[tuple[int, bytes]]],
) -> tuple[int, bytes]:
    """The answer, made now or remembered. about: method and path, which belong to the request.

    A Problem is not remembered and frees the key, except an ambiguous one: then the request is
    left IN_PROGRESS until STUCK_AFTER_S, so that nobody repeats it blindly.
    """
    if not _FIT.match(key):
        raise Problem(Fault.MALFORMED, "Idempotency-Key must be 1 to 200 visible characters.")
    caller = travel.current()
    who = caller.principal.subject if caller and caller.principal else ""
    place = hashlib.sha256(f"{who}\n{key}".encode()).hexdigest()
    digest = hashlib.sha256(about.encode() + b"\n" + body).hexdigest()
    now_s = clock.now().timestamp()
    fresh = Remembered(digest, 0, b"", now_s)
    there = await memory.begin(place, fresh, now_s - STUCK_AFTER_S)
    if there is not None:
        if there.digest != digest:
            raise Problem(Fault.KEY_REUSED, "This Idempotency-Key came with another request.")
        if not there.status:
            say = "The first request with this Idempotency-Key is not done yet."
            raise Problem(Fault.IN_PROGRESS, say, retry_after_s=1.0)
        return there.status, there.body
    try:
        status, reply = await answer()
    except Problem as problem:
        if not problem.ambiguous:
            await memory.forget(place)
        raise
    await memory.finish(place, status, reply)
    return status, reply
