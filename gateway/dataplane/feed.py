"""This file exists to keep a worker's snapshot fresh: long polls, and the last good one on disk.

Owns   the only call of the data plane to the control plane.
Fails  never for callers: without a control plane the worker serves what it has, and goes on asking.
"""

import asyncio
from collections.abc import Callable

from chassis.log import log
from chassis.outbound import INSIDE, Outbound
from contracts.problem import Problem
from gateway.dataplane.worker import Worker
from gateway.snapshot import Shelf, decode

_LOG = log("gateway.feed")
_WAIT_S = 3  # short: a control plane that stops waits for its open polls
_PAUSE_FIRST_S, _PAUSE_MOST_S = 0.1, 2.0


class Feed:
    """token: read anew before each poll, because the control plane may make it later."""

    def __init__(self, worker: Worker, shelf: Shelf, url: str, token: Callable[[], str]) -> None:
        self._worker = worker
        self._shelf = shelf
        self._token = token
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
        """Until cancelled."""
        pause_s = _PAUSE_FIRST_S
        try:
            while True:
                if await self._poll():
                    pause_s = _PAUSE_FIRST_S
                    continue
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MOST_S)
        finally:
            await self._control.aclose()

    async def _poll(self) -> bool:
        """False when it is better to wait a moment before the next."""
        try:
            reply = await self._control.send(
                "GET",
                "/snapshot",
                query={"after": self._worker.snapshot.version, "wait_s": _WAIT_S},
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
