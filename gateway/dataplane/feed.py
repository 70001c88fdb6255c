"""This file exists to keep a worker's snapshot fresh and to push on what its callers used.

Owns   the only calls of the data plane to the control plane: long polls, and a push of usage every
       few seconds. The last good snapshot is on disk.
Fails  never for callers: without a control plane the worker serves what it has, and goes on asking.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from chassis import clock
from chassis.log import log
from gateway.dataplane.asking import Line
from gateway.dataplane.worker import Worker
from gateway.snapshot import Shelf
from gateway.usage import Tally

_LOG = log("gateway.feed")
_ANSWER_S = 10.0
_WAIT_S = 3  # short: a control plane that stops waits for its open polls
_PAUSE_FIRST_S, _PAUSE_MOST_S = 0.1, 2.0
_PUSH_EVERY_S = 2.0
_LAST_PUSH_S = 1.0


class Feed:
    """token: read anew before each poll, because the control plane may make it later."""

    def __init__(self, worker: Worker, shelf: Shelf, url: str, token: Callable[[], str]) -> None:
        self._worker = worker
        self._shelf = shelf
        self._token = token
        self._tally = Tally(worker.memory("usage"))
        self._told_s = 0.0
        self._polls, self._pushes = Line(url), Line(url)

    def begin_from_disk(self) -> bool:
        """True when a trusted snapshot lay there."""
        last = self._shelf.last()
        if last is None:
            return False
        try:
            self._worker.swap(last)
        except ValueError as error:
            _LOG.error("snapshot.refused", version=last.version, error=str(error))
            return False
        _LOG.info("snapshot.taken", version=last.version, source="disk")
        return True

    async def run(self) -> None:
        """Until cancelled; then what was used and not told yet is told, if that is quick."""
        pushing = asyncio.create_task(self._push_on())
        pause_s = _PAUSE_FIRST_S
        try:
            while True:
                if await self._poll():
                    pause_s = _PAUSE_FIRST_S
                    continue
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MOST_S)
        finally:
            pushing.cancel()
            await asyncio.wait({pushing})
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_PUSH_S):
                    await self.push()
            self._polls.close()
            self._pushes.close()

    async def push(self) -> bool:
        """Tell the control plane what was used; True when nothing is left to tell."""
        self._tally.gather(clock.now().timestamp())
        while (batch := self._tally.batch()) is not None:
            try:
                status, _ = await self._pushes.ask(
                    "POST",
                    "/usage",
                    json=msgspec.json.encode(batch),
                    token=self._token(),
                    within_s=_ANSWER_S,
                )
            except OSError as error:
                _LOG.warning("control.unreachable", because=repr(error))
                return False
            if status != 204:
                _LOG.error("usage.refused", status=status)
                return False
            self._tally.done()
        return True

    async def _push_on(self) -> None:
        while True:
            await asyncio.sleep(_PUSH_EVERY_S)
            await self.push()

    def _unknown(self) -> set[str]:
        """Issuers that may have new keys; not more often than once a second."""
        now_s = clock.monotonic()
        if now_s - self._told_s < 1.0 or not self._worker.unknown_issuers:
            return set()
        self._told_s = now_s
        unknown = set(self._worker.unknown_issuers)
        self._worker.unknown_issuers.clear()
        return unknown

    async def _poll(self) -> bool:
        """False when it is better to wait a moment before the next."""
        unknown = self._unknown()
        asked = {"after": self._worker.snapshot.version, "wait_s": 0 if unknown else _WAIT_S}
        try:
            status, body = await self._polls.ask(
                "GET",
                "/snapshot",
                query=[*asked.items(), *(("unknown", name) for name in unknown)],
                token=self._token(),
                within_s=_WAIT_S + _ANSWER_S,
            )
        except OSError as error:
            _LOG.warning("control.unreachable", because=repr(error))
            return False
        if status == 204:
            return True
        if status != 200:
            _LOG.error("control.refused", status=status)
            return False
        try:
            await self._worker.take(body)
        except ValueError as error:
            _LOG.error("snapshot.refused", error=str(error))
            return False
        await asyncio.to_thread(self._shelf.keep, body)  # which waits for the disk
        _LOG.info("snapshot.taken", version=self._worker.snapshot.version, source="control")
        return True
