"""Hold posting to what one ERP can take: as many calls at once as it has lanes, none while it

is closed, few while it warms up. One gate an instance and process.
States: OPEN; CLOSED (throttled, in maintenance, credentials refused, down: calls under way end,
no new one starts); WARMUP (one lane, then half, then all, each step earned by a good call).
Source  domain.md C.5, C.6.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

from msgspec import Struct

from chassis.log import log

_log = log("process.posting")
PROBE_MAX_S = 60.0

State = Literal["OPEN", "CLOSED", "WARMUP"]
Probe = Callable[[], Awaitable[bool]]
Told = Callable[[str], Awaitable[None]]


class Pace(Struct, frozen=True):
    """probe_s: first wait before looking whether the ERP is back; doubles up to a minute."""

    probe_s: float = 1.0


class Gate:
    """lanes: calls at once. probe: True when the ERP answers again. told: the reason, or empty."""

    def __init__(
        self, instance: str, lanes: int, probe: Probe, told: Told, pace: Pace | None = None
    ) -> None:
        self.instance, self.lanes = instance, max(1, lanes)
        self.state: State = "OPEN"
        self._allowed = self.lanes
        self._inside = 0
        self._owes = False  # an item about this ERP is open
        self._probe, self._told, self._pace = probe, told, pace or Pace()
        self._changed = asyncio.Condition()
        self._waking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[None]:
        """Wait until a call may be made, and hold the place for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._inside < self._allowed)
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    async def went_well(self) -> None:
        """A call was answered as it should: a gate that warms up opens further."""
        if self.state != "WARMUP":
            return
        if self._owes:
            self._owes = False
            await self._told("")
        async with self._changed:
            half = max(1, self.lanes // 2)
            self._allowed = half if self._allowed < half else self.lanes
            if self._allowed == self.lanes:
                self.state = "OPEN"
            self._changed.notify_all()
        if self.state == "OPEN":
            _log.info("gate.opened", instance=self.instance)

    async def close(self, code: str, wait_s: float | None) -> None:
        """No new calls; look again after wait_s. Closing twice is as once."""
        async with self._changed:
            again = self.state == "CLOSED"
            self.state, self._allowed = "CLOSED", 0
        if again:
            return
        _log.warning("gate.closed", instance=self.instance, code=code, wait_s=wait_s)
        if code:
            self._owes = True
            await self._told(code)
        if self._waking is None or self._waking.done():
            self._waking = asyncio.create_task(self._wake(wait_s or self._pace.probe_s))

    def stop(self) -> None:
        """At shutdown: look no further."""
        if self._waking is not None:
            self._waking.cancel()

    async def _wake(self, wait_s: float) -> None:
        while True:
            await asyncio.sleep(wait_s)
            if await self._probe():
                break
            wait_s = min(PROBE_MAX_S, wait_s * 2)
        async with self._changed:
            self.state, self._allowed = "WARMUP", 1
            self._changed.notify_all()
        _log.info("gate.warming", instance=self.instance)
