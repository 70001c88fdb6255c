"""This file exists to serve one limit for one somebody from what a worker was lent of it.

Owns   how much is left of the lease, until when it may be used, and how much to ask for next.
Fails  never. ASK: the lease is used up, and only the store knows whether there is more.
"""

import asyncio
from typing import Any

from gateway.metering.gauges import ASK, CLOSED, NEVER, Quota, Rate
from gateway.metering.limit import Limit
from gateway.metering.periods import NS, Calendar
from gateway.metering.shared import Shared

_SAFE = 0.8  # our clock and the server's need not run alike
_AHEAD_NS = NS // 5  # a lease should last about as long
_PAUSE_NS = NS // 50  # where all is used up, it gathers so long before it is asked for
_KNOWN_NS = 60 * NS
_KEEP_MS = 120_000


class Leased:
    """What rate and quota have in common. tokens: left of the lease. used: since this began.

    local: this worker's share, for when the store is away. late: what was used of it, and the
    store was not told yet. asked: set while an answer is on its way. waiters: who wait for it.
    """

    kind = 1
    lease_s = 3
    idle_ns = NS // 2

    __slots__ = (
        "_asked_ns", "_asked_used", "_dry_cost", "_dry_ns", "_free_ns", "_grant", "_late",
        "_late_told", "_left", "_low", "_outage", "asked", "key", "known_ns", "limit", "local",
        "most", "name", "shared", "tokens", "until_ns", "used", "used_ns", "waiters",
    )  # fmt: skip

    def __init__(self, limit: Limit, name: str, shared: Shared, local: Rate | Quota) -> None:
        self.name = self.key = name
        self.shared = shared
        self.local = local
        self.tokens = self.used = self.until_ns = self.used_ns = self.known_ns = self.waiters = 0
        self._asked_ns = self._asked_used = self._dry_cost = self._dry_ns = self._free_ns = 0
        self._grant = self._late = self._late_told = self._outage = 0
        self._low = -1
        self.asked: asyncio.Future[bool] | None = None
        self.limit = limit
        self.most = self._left = limit.most

    @property
    def holds(self) -> bool:
        """There is something to give back."""
        return self.tokens > 0 or self._late > 0

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        self.limit = limit
        self.most = limit.most
        self._dry_ns = 0
        self.local.define(limit, self.shared.workers, now_ns)

    def wait(self, cost: int, now_ns: int) -> int:
        if self.tokens >= cost and now_ns < self.until_ns:
            return 0
        if cost > self.most:
            return NEVER
        if self.shared.away:
            return self.without(cost, now_ns)
        if now_ns < self._dry_ns and cost >= self._dry_cost:
            return max(1, self._free_ns - now_ns)
        return ASK

    def without(self, cost: int, now_ns: int) -> int:
        """What `wait` says when the store does not answer."""
        if self._outage != self.shared.outages:
            self._outage = self.shared.outages
            self._alone(now_ns)
        how = self.limit.when_store_down
        if how == "local":
            if not self.shared.away and (self.asked is not None or now_ns < self.known_ns):
                return NS  # it is only late: what others may have is not given out a second time
            return self.local.wait(cost, now_ns)
        return 0 if how == "open" else CLOSED

    def take(self, cost: int, now_ns: int) -> None:
        if self.tokens >= cost and now_ns < self.until_ns:
            self.tokens -= cost
            self.used += cost
            self.used_ns = now_ns
            if self.tokens <= self._low:
                self.shared.ask_ahead(self, now_ns)
            return
        self._late += cost
        self.local.take(cost, now_ns)
        self.shared.late(self)

    def back(self, cost: int) -> None:
        """A rate's time is gone; see the quota."""

    def done(self) -> None:
        """Nothing lasts."""

    def left(self, now_ns: int) -> int:
        if self.shared.away:
            return self.local.left(now_ns)
        return min(self.most, self.tokens + self._left)

    def reset_ns(self, now_ns: int) -> int:
        limit = self.limit
        return (self.most - self.left(now_ns)) * limit.window_s * NS // limit.amount

    def idle(self, now_ns: int) -> bool:
        return not self.holds and self.asked is None and now_ns > self.known_ns

    def due(self, now_ns: int) -> str:
        """`back`: give up what is left. `keep`: renew it. Empty: nothing to say."""
        if self.tokens and now_ns - self.used_ns > self.idle_ns:
            return "back"
        if self._late or (self.tokens and self.until_ns - now_ns < self.lease_s * NS // 2):
            return "keep"
        return ""

    def ask(self, cost: int, now_ns: int, *, back: bool = False) -> list[Any]:
        """What to send: see script.py. The key's place is filled in by the sender."""
        took = self.used - self._asked_used
        took_ns = max(1, now_ns - self._asked_ns)
        self._asked_used, self._asked_ns = self.used, now_ns
        want = took * _AHEAD_NS // took_ns + cost * (1 + self.waiters)
        want = max(cost, min(want, 2 * self._grant + cost * (1 + self.waiters), self.most))
        if back:
            want = self.tokens = 0
            self._grant = 1
        self._late_told = self._late
        each_us = self.limit.window_s * 1e6 / self.limit.amount
        return [
            0, self.kind, cost, want, self.used, int(back), self._still_late(now_ns),
            int(now_ns < self.known_ns), each_us, self.most, self.floor(), self._keep_ms(),
            self.lease_s * 1_000_000,
        ]  # fmt: skip

    def heard(self, ask: list[Any], answer: list[Any], sent_ns: int) -> None:
        """The store's answer to an ask."""
        granted, self._left, wait_us, total = answer
        need, want = ask[2], ask[3]
        before = self.tokens
        self.tokens = max(0, int(granted) - self.used)
        self.until_ns = sent_ns + int(self.lease_s * NS * _SAFE)
        self.known_ns = sent_ns + _KNOWN_NS
        self._late -= min(self._late, self._late_told)
        self._told(int(total))
        got = self.tokens - before
        if self.tokens < need:
            self._dry_cost = need
            self._free_ns = sent_ns + self._until_free_ns(int(wait_us), sent_ns)
            self._dry_ns = min(self._free_ns, sent_ns + self._longest_pause_ns(sent_ns))
        elif 0 < got < want:
            # Scarce: when this is used up, let some gather instead of asking for each.
            self._dry_cost, self._dry_ns = 1, sent_ns + self._pause_ns()
            self._free_ns = self._dry_ns
        if want:
            self._grant = max(1, got)
        self._low = self.tokens // 4 if self.tokens >= 4 else -1

    def floor(self) -> int:
        """Of a quota: what was given out for certain."""
        return 0

    def _still_late(self, now_ns: int) -> int:
        """What was used without the store, as far as time has not brought it back."""
        return min(self._late, self.local.most - self.local.left(now_ns))

    def _keep_ms(self) -> int:
        return _KEEP_MS

    def _told(self, total: int) -> None:
        """How much of a quota is given out by now."""

    def _pause_ns(self) -> int:
        """Where some come meanwhile; and the bucket holds ten times as much, so none is lost."""
        each_ns = self.limit.window_s * NS // self.limit.amount
        return 0 if each_ns > _PAUSE_NS else min(_PAUSE_NS, self.most * each_ns // 10)

    def _until_free_ns(self, wait_us: int, now_ns: int) -> int:
        return wait_us * 1000

    def _longest_pause_ns(self, now_ns: int) -> int:
        return NS

    def _alone(self, now_ns: int) -> None:
        """The store has just gone: what it had may have been given to others."""
        self.local.define(self.limit, self.shared.workers, now_ns)
        if isinstance(self.local, Rate) and now_ns < self.known_ns:
            self.local.empty(now_ns)


class LeasedRate(Leased):
    """A rate shared by workers."""

    __slots__ = ()

    def heard(self, ask: list[Any], answer: list[Any], sent_ns: int) -> None:
        super().heard(ask, answer, sent_ns)
        if self.tokens < ask[2]:
            # At least the pause: or every token that comes is asked for by every worker.
            self._dry_ns = max(self._dry_ns, sent_ns + self._pause_ns())
            self._free_ns = max(self._free_ns, self._dry_ns)


class LeasedQuota(Leased):
    """A quota shared by workers. Every period has a key of its own."""

    kind = 2
    lease_s = 60
    idle_ns = 2 * NS

    __slots__ = ("_begins_s", "_calendar", "_total")

    def __init__(
        self, limit: Limit, name: str, shared: Shared, local: Quota, calendar: Calendar
    ) -> None:
        super().__init__(limit, name, shared, local)
        self._calendar = calendar
        self._begins_s = -1
        self._total = 0

    def wait(self, cost: int, now_ns: int) -> int:
        if self.tokens >= cost and now_ns < self.until_ns:
            return 0
        if self._calendar.turn(now_ns) != self._begins_s:
            self._turn()
        return super().wait(cost, now_ns)

    def heard(self, ask: list[Any], answer: list[Any], sent_ns: int) -> None:
        super().heard(ask, answer, sent_ns)
        self.until_ns = min(self.until_ns, self._calendar.ends_ns)

    def back(self, cost: int) -> None:
        if self.used >= cost:
            self.used -= cost
            self.tokens += cost

    def left(self, now_ns: int) -> int:
        if self.shared.away:
            return super().left(now_ns)
        return max(0, min(self.most, self.tokens + self._left))

    def reset_ns(self, now_ns: int) -> int:
        return max(0, self._calendar.ends_ns - now_ns)

    def floor(self) -> int:
        return self._total

    def _keep_ms(self) -> int:
        left_s = self._calendar.ends_s - self._calendar.begins_s
        return int(left_s * 1000) + _KEEP_MS

    def _still_late(self, now_ns: int) -> int:
        return self._late

    def _told(self, total: int) -> None:
        self._total = total

    def _pause_ns(self) -> int:
        return 0

    def _until_free_ns(self, wait_us: int, now_ns: int) -> int:
        return max(1, self._calendar.ends_ns - now_ns)

    def _alone(self, now_ns: int) -> None:
        """Of what is certainly left, its part."""
        super()._alone(now_ns)
        self.local.wait(0, now_ns)
        if isinstance(self.local, Quota) and self._total:
            mine = max(0, self.most - self._total) // self.shared.workers
            self.local.used = max(0, self.local.most - mine)

    def _turn(self) -> None:
        """A new period: all begins anew. What is on its way belongs to the old one."""
        self._begins_s = self._calendar.begins_s
        self.key = f"{self.name}:{self._begins_s}"
        self.tokens = self.until_ns = self.known_ns = self._late = self._total = 0
        self._dry_ns = 0
        self._left = self.most
        self._low = -1
