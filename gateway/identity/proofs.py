"""This file exists to take a DPoP proof once, whichever worker of whichever gateway it reaches.

Owns   the folder `gateway/proofs` under the home folder, and the keys `firmwire:proof:` in Redis.
       All workers of a gateway append to one file for each minute in which proofs were issued. The
       order of the file decides: who finds the proof before its own line was not first. Nobody
       locks, nobody waits, and a restart forgets nothing. With Redis the gateways agree there.
Fails  Forgetful where it cannot be known that a proof is new: then it must not be taken. OSError.
Source RFC 9449 section 11.1.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from chassis import clock
from chassis.log import log
from chassis.store import Store, StoreAway
from gateway.identity.dpop import ID_BYTES, WINDOW_S, Proof

SEEN_MOST = 400_000  # a gateway and minute
_SPAN_S = 60
_ANSWER_S = 0.025  # no request waits longer for the store
_REST_S = 0.2
_KEEP_MS = b"130000"  # WINDOW_S, and what clocks may differ
_BATCH_MOST = 64
_TURNS = 6
_LOG = log("gateway.proofs")
_SCRIPT = """
local first = {}
for i, key in ipairs(KEYS) do
  first[i] = redis.call('SET', key, '', 'NX', 'PX', ARGV[1]) and 1 or 0
end
return cmsgpack.pack(first)
"""


class Forgetful(Exception):
    """Whether it was seen before cannot be known now."""


class Proofs:
    """One a worker. folder: shared by the workers of a gateway; None where there is one worker and
    nothing to outlive it. local: while Redis is away, what this gateway has seen is enough.
    """

    def __init__(
        self, folder: Path | None = None, store: Store | None = None, *, local: bool = False
    ) -> None:
        self._folder = folder
        self._pages: dict[int, _Page] = {}
        self.shared = None if store is None else _Shared(store)
        self._local = local

    def first(self, proof: Proof, now_s: float) -> bool:
        """It was not seen by any worker of this gateway."""
        at = proof.issued_s // _SPAN_S
        page = self._pages.get(at)
        if page is None:
            page = self._pages[at] = self._opened(at, now_s)
        return page.first(proof.id)

    async def first_anywhere(self, proof: Proof) -> bool:
        """Nor by another gateway. Forgetful when nobody says so in time."""
        assert self.shared is not None
        told = await self.shared.first(proof.id)
        if told is None and not self._local:
            raise Forgetful
        return told is not False

    async def aclose(self) -> None:
        for page in self._pages.values():
            page.close()
        if self.shared is not None:
            await self.shared.aclose()

    def _opened(self, at: int, now_s: float) -> "_Page":
        """On the way, forget those of which no proof is taken any more."""
        over = int(now_s - WINDOW_S) // _SPAN_S - 1
        for old in [old for old in self._pages if old < over]:
            self._pages.pop(old).close()
        if self._folder is None:
            return _Page(-1)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in self._folder.iterdir():
            if file.name.isdigit() and int(file.name) < over:
                file.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return _Page(os.open(self._folder / str(at), flags, 0o600))


class _Page:
    """Proofs issued in one minute. file: -1 for memory alone."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._seen: set[bytes] = set()
        self._read_bytes = 0

    def first(self, id: bytes) -> bool:
        if id in self._seen:
            return False
        if len(self._seen) >= SEEN_MOST:
            raise Forgetful
        fresh = self._file < 0 or self._noted(id)
        self._seen.add(id)
        return fresh

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def _noted(self, id: bytes) -> bool:
        """Whole lines of a size that divides a block: one is there, or it is not."""
        os.write(self._file, id)
        end_bytes = os.lseek(self._file, 0, os.SEEK_CUR)
        lines = os.pread(self._file, end_bytes - self._read_bytes - ID_BYTES, self._read_bytes)
        self._read_bytes = end_bytes
        self._seen.update(lines[at : at + ID_BYTES] for at in range(0, len(lines), ID_BYTES))
        return id not in self._seen


class _Shared:
    """The one conversation with Redis; who comes meanwhile goes together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[str, asyncio.Future[bool | None]]] = []
        self._talking: asyncio.Task[None] | None = None
        self._rest_until_s = 0.0

    async def first(self, id: bytes) -> bool | None:
        """None: no answer in time. Then it may be known there, or not."""
        if clock.monotonic() < self._rest_until_s:
            return None
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bool | None] = loop.create_future()
        self._waiting.append((f"firmwire:proof:{id.hex()}", answered))
        if self._talking is None or self._talking.done():
            self._talking = loop.create_task(self._talk())
        await asyncio.wait({answered}, timeout=_ANSWER_S)
        for _ in range(0 if answered.done() else _TURNS):
            await asyncio.sleep(0)  # it may be here, and only this loop was busy
        return answered.result() if answered.done() else None

    async def aclose(self) -> None:
        if self._talking is not None:
            await asyncio.wait({self._talking})
        await self._store.aclose()

    async def _talk(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH_MOST], self._waiting[_BATCH_MOST:]
            told: list[bool | None] = [None] * len(batch)
            try:
                raw = await self._store.run(_SCRIPT, [key for key, _ in batch], [_KEEP_MS])
                told = [one == 1 for one in msgspec.msgpack.decode(raw)]
            except StoreAway as error:
                self._rest_until_s = clock.monotonic() + _REST_S
                _LOG.warning("proofs.store_away", because=str(error))
            for (_, answered), first in zip(batch, told, strict=True):
                answered.set_result(first)
