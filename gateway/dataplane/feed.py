"""This file exists to keep a worker's snapshot fresh and to push on what its callers used.

Owns   the only calls of the data plane to the control plane: long polls, and a push of usage every
       few seconds. The last good snapshot is on disk.
Fails  never for callers: without a control plane the worker serves what it has, and goes on asking.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from chassis import clock
from chassis.log import log
from chassis.outbound import INSIDE, Outbound
from contracts.problem import Problem
from gateway.dataplane.worker import Worker
from gateway.snapshot import Shelf, decode
from gateway.usage import Tally

_LOG = log("gateway.feed")
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
        self._control = Outbound(url, peer="control", words=INSIDE, deadline_s=_WAIT_S + 10.0)

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
            await self._control.aclose()

    async def push(self) -> bool:
        """Tell the control plane what was used; True when nothing is left to tell."""
        self._tally.gather(clock.now().timestamp())
        while (batch := self._tally.batch()) is not None:
            try:
                reply = await self._control.send(
                    "POST",
                    "/usage",
                    json=batch,
                    headers={"authorization": f"Bearer {self._token()}"},
                    safe=False,
                )
            except Problem as problem:
                _LOG.warning("control.unreachable", because=problem.because)
                return False
            if reply.status != 204:
                _LOG.error("usage.refused", status=reply.status)
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
            reply = await self._control.send(
                "GET",
                "/snapshot",
                query=[*asked.items(), *(("unknown", name) for name in unknown)],
                headers={"authorization": f"Bearer {self._token()}"},
                safe=False,
            )
        except Problem as problem:
            _LOG.warning("control.unreachable", because=problem.because)
            return False
        if reply.status == 204:
            return True
        if reply.status != 200:
            _LOG.error("control.refused", status=reply.status)
            return False
        try:
            snapshot = decode(reply.body)
            self._worker.swap(snapshot)
        except ValueError as error:
            _LOG.error("snapshot.refused", error=str(error))
            return False
        self._shelf.keep(reply.body)
        _LOG.info("snapshot.taken", version=snapshot.version, source="control")
        return True
