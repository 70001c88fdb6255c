"""This file exists to stay within a peer's quota: calls at once, calls a second, pauses.

Owns   the places and the schedule of one peer in this process.
Fails  TimeoutError when no place comes free in time; then nothing was sent.
Source GCRA, ITU-T I.371, as a schedule: every call gets its own moment, none is sent early.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from chassis import clock


class Limits(Struct, frozen=True):
    """concurrency: calls at once. rate_per_s: sustained calls a second, None without limit.

    burst: calls that may go out together after a rest. bulk_share: the part of concurrency and
    rate that bulk calls may take, so that master data never starves the lane that bills.
    """

    concurrency: int = 16
    rate_per_s: float | None = None
    burst: int = 1
    bulk_share: float = 0.5


class Limiter:
    """One peer's places. Waiting is fair: first come, first served in each lane."""

    def __init__(self, limits: Limits | None = None) -> None:
        rules = limits or Limits()
        self.limits = rules
        self._places = asyncio.Semaphore(rules.concurrency)
        self._bulk_places = asyncio.Semaphore(max(1, int(rules.concurrency * rules.bulk_share)))
        self._all = _Schedule(rules.rate_per_s, rules.burst)
        bulk_rate = rules.rate_per_s and rules.rate_per_s * rules.bulk_share
        self._bulk = _Schedule(bulk_rate, max(1, int(rules.burst * rules.bulk_share)))
        self._paused_until_s = 0.0

    def pause(self, seconds: float) -> None:
        """The peer asked for quiet: nobody calls before."""
        self._paused_until_s = max(self._paused_until_s, clock.monotonic() + seconds)

    def wait_s(self) -> float:
        """Seconds until the next call could go out by rate and pause, 0 for now."""
        now_s = clock.monotonic()
        return max(0.0, self._paused_until_s - now_s, self._all.wait_s(now_s))

    @asynccontextmanager
    async def place(self, within_s: float, *, bulk: bool = False) -> AsyncIterator[None]:
        """Wait for a place for at most so long, and hold it."""
        lanes = [self._bulk_places, self._places] if bulk else [self._places]
        held: list[asyncio.Semaphore] = []
        until_s = clock.monotonic() + within_s
        try:
            async with asyncio.timeout(within_s):
                for lane in lanes:
                    await lane.acquire()
                    held.append(lane)
            wait_s = self._moment_s(until_s, bulk)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            yield
        finally:
            for lane in held:
                lane.release()

    def _moment_s(self, until_s: float, bulk: bool) -> float:
        """Reserve this call's moment; seconds until it comes."""
        now_s = clock.monotonic()
        schedules = [self._all, self._bulk] if bulk else [self._all]
        waits = [schedule.wait_s(now_s) for schedule in schedules]
        wait_s = max(0.0, self._paused_until_s - now_s, *waits)
        if wait_s > 0 and now_s + wait_s > until_s:
            raise TimeoutError(f"the next free moment is {wait_s:.1f} s away")
        for schedule in schedules:
            schedule.take(now_s + wait_s)
        return wait_s


class _Schedule:
    """tat_s: the theoretical arrival time of the next call at a steady rate."""

    def __init__(self, rate_per_s: float | None, burst: int) -> None:
        self._gap_s = 1 / rate_per_s if rate_per_s else 0.0
        self._slack_s = self._gap_s * (burst - 1)
        self._tat_s = 0.0

    def wait_s(self, now_s: float) -> float:
        return max(0.0, self._tat_s - self._slack_s - now_s) if self._gap_s else 0.0

    def take(self, at_s: float) -> None:
        self._tat_s = max(self._tat_s, at_s) + self._gap_s
