"""This file exists to stay within a peer's quota: calls at once, calls a second, pauses, lanes.

Owns   the places and the schedule of one peer in this process.
Fails  TimeoutError when no place comes free in time, Shed when somebody who could ask again later
       would use up the little that is left; then nothing was sent.
Source GCRA, ITU-T I.371, as a schedule: every call gets its own moment, none is sent early.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from chassis import clock, metrics

TIGHT_S = 60.0
_ABOUT_NOW_S = 0.05


class Lane(Enum):
    """For what a call is made, first things first. INTERACTIVE: somebody looks at a screen, in the

    experience tier or by a system API itself. SYNC: journeys and feeds. BULK: master data.
    """

    POSTING = "posting"
    INTERACTIVE = "interactive"
    SYNC = "sync"
    BULK = "bulk"


# Below which part of a quota a lane keeps quiet. A screen is given up first: its reader can ask
# again, or be shown what the replica knows; nothing is lost. What is billed goes out to the end.
KEPT_SHARE = {Lane.INTERACTIVE: 0.2, Lane.BULK: 0.2, Lane.SYNC: 0.1, Lane.POSTING: 0.0}


class Shed(Exception):
    """The quota is nearly used up, and what is left is for posting. wait_s: until it may change."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"what is left of the quota is kept for posting, for {wait_s:.1f} s")
        self.wait_s = wait_s


class Limits(Struct, frozen=True):
    """concurrency: calls at once. rate_per_s: sustained calls a second, None without limit.

    burst: calls that may go out together after a rest. *_share: the part of concurrency and rate
    that a lane and all lanes below it may take together; the rest is kept for those above, so
    that master data never starves the lane that bills. At least one place, also of one.
    """

    concurrency: int = 16
    rate_per_s: float | None = None
    burst: int = 1
    bulk_share: float = 0.5
    sync_share: float = 0.7
    interactive_share: float = 0.9

    def share(self, lane: Lane) -> float:
        """Of this lane; never less than that of a lane below."""
        shares = {
            Lane.POSTING: 1.0,
            Lane.INTERACTIVE: max(self.interactive_share, self.sync_share, self.bulk_share),
            Lane.SYNC: max(self.sync_share, self.bulk_share),
            Lane.BULK: self.bulk_share,
        }
        return min(1.0, shares[lane])


class Use(Struct):
    """Of one lane. waiting: calls now. waited, shed: since the beginning, those that did not go
    out at once, and those refused. quiet_s: for so long none goes out.
    """

    waiting: int = 0
    waited: int = 0
    shed: int = 0
    quiet_s: float = 0.0


class Limiter:
    """One peer's places. Waiting is fair: first come, first served in each lane.

    peer: its name in metrics; without one nothing is measured.
    """

    def __init__(self, limits: Limits | None = None, *, peer: str = "") -> None:
        rules = limits or Limits()
        self.limits, self._peer = rules, peer
        # From the lowest to the highest: a call passes its own gate and all above it.
        gates = [_Gate(rules, lane) for lane in reversed(Lane)]
        self._gates = {lane: gates[-1 - at :] for at, lane in enumerate(Lane)}
        self._uses = {lane: Use() for lane in Lane}
        self._paused_until_s = 0.0
        self._left_share, self._told_until_s = 1.0, 0.0

    @property
    def in_use(self) -> int:
        """Places taken."""
        return self._gates[Lane.POSTING][0].places.held

    def use(self, lane: Lane) -> Use:
        """What a lane goes through."""
        return replace(self._uses[lane], quiet_s=self._quiet_s(lane))

    def resize(self, limits: Limits) -> None:
        """Other figures from now on. Who waits keeps its turn, who has its moment keeps that; who
        is out stays out, so that fewer places come true as calls come back.
        """
        self.limits = limits
        for gate in self._gates[Lane.BULK]:
            gate.resize(limits)

    def pause(self, seconds: float) -> None:
        """The peer asked for quiet: nobody calls before."""
        self._paused_until_s = max(self._paused_until_s, clock.monotonic() + seconds)

    def told(self, left_share: float, for_s: float = TIGHT_S) -> None:
        """What the peer says is left of its quota, 0 to 1: lanes keep quiet by KEPT_SHARE.

        Not for ever, because only an answer tells that there is more again.
        """
        if self._peer:
            metrics.gauge("outbound_quota_left_share", left_share, peer=self._peer)
        self._left_share, self._told_until_s = left_share, clock.monotonic() + for_s

    def wait_s(self, lane: Lane = Lane.POSTING) -> float:
        """Seconds until the next call could go out by rate and pause, 0 for now."""
        now_s = clock.monotonic()
        waits = [gate.schedule.wait_s(now_s) for gate in self._gates[lane]]
        return max(self._quiet_s(lane), *waits)

    @asynccontextmanager
    async def place(self, within_s: float, *, lane: Lane = Lane.POSTING) -> AsyncIterator[None]:
        """Wait for a place for at most so long, and hold it. INTERACTIVE does not wait for quiet:

        who looks at a screen is told at once, and does not stand in the way of the others.
        """
        until_s = clock.monotonic() + within_s
        self._shed(lane)
        held: list[_Places] = []
        try:
            with self._waiting(lane):
                async with asyncio.timeout(within_s):
                    for gate in self._gates[lane]:
                        await gate.places.acquire()
                        held.append(gate.places)
                self._shed(lane)
                # Each gate's moment is awaited before the next is reserved: a moment far ahead,
                # taken from the schedule of all, would hold up the lanes above.
                for gate in self._gates[lane]:
                    wait_s = self._moment_s(gate.schedule, lane, until_s)
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
            yield
        finally:
            for places in held:
                places.release()

    @contextmanager
    def _waiting(self, lane: Lane) -> Iterator[None]:
        use, began_s = self._uses[lane], clock.monotonic()
        use.waiting += 1
        try:
            yield
        finally:
            use.waiting -= 1
            if clock.monotonic() - began_s > _ABOUT_NOW_S:
                use.waited += 1
                self._count("outbound_waited_total", lane)

    def _shed(self, lane: Lane) -> None:
        if lane is Lane.INTERACTIVE and (quiet_s := self._quiet_s(lane)) > _ABOUT_NOW_S:
            self._uses[lane].shed += 1
            self._count("outbound_shed_total", lane)
            raise Shed(quiet_s)

    def _count(self, metric: str, lane: Lane) -> None:
        if self._peer:
            metrics.count(metric, peer=self._peer, lane=lane.value)

    def _quiet_s(self, lane: Lane) -> float:
        """Seconds this lane has to keep quiet."""
        until_s = self._paused_until_s
        if self._left_share < KEPT_SHARE[lane]:
            until_s = max(until_s, self._told_until_s)
        return max(0.0, until_s - clock.monotonic())

    def _moment_s(self, schedule: "_Schedule", lane: Lane, until_s: float) -> float:
        """Reserve this call's moment; seconds until it comes."""
        now_s = clock.monotonic()
        wait_s = max(self._quiet_s(lane), schedule.wait_s(now_s))
        if wait_s > 0 and now_s + wait_s > until_s:
            raise TimeoutError(f"the next free moment is {wait_s:.1f} s away")
        schedule.take(now_s + wait_s)
        return wait_s


class _Gate:
    """What a lane and those below it may take together."""

    def __init__(self, rules: Limits, lane: Lane) -> None:
        self._lane = lane
        self.places, self.schedule = _Places(), _Schedule()
        self.resize(rules)

    def resize(self, rules: Limits) -> None:
        share = rules.share(self._lane)
        self.places.resize(max(1, int(rules.concurrency * share)))
        rate_per_s = rules.rate_per_s and rules.rate_per_s * share
        self.schedule.resize(rate_per_s, max(1, int(rules.burst * share)))


class _Places:
    """A semaphore whose size may change under those who wait."""

    def __init__(self) -> None:
        self.held = self._size = 0
        self._turns: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        if self.held < self._size and not self._turns:
            self.held += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:  # The place came in the same moment; the next in turn gets it.
                self.release()
            raise

    def release(self) -> None:
        self.held -= 1
        self._admit()

    def resize(self, size: int) -> None:
        self._size = size
        self._admit()

    def _admit(self) -> None:
        """The next in turn, as far as there are places; those who gave up are passed over."""
        while self._turns and (self._turns[0].cancelled() or self.held < self._size):
            turn = self._turns.popleft()
            if not turn.cancelled():
                self.held += 1
                turn.set_result(None)


class _Schedule:
    """tat_s: the theoretical arrival time of the next call at a steady rate."""

    def __init__(self) -> None:
        self._gap_s = self._slack_s = self._tat_s = 0.0

    def resize(self, rate_per_s: float | None, burst: int) -> None:
        self._gap_s = 1 / rate_per_s if rate_per_s else 0.0
        self._slack_s = self._gap_s * (burst - 1)

    def wait_s(self, now_s: float) -> float:
        return max(0.0, self._tat_s - self._slack_s - now_s) if self._gap_s else 0.0

    def take(self, at_s: float) -> None:
        self._tat_s = max(self._tat_s, at_s) + self._gap_s
