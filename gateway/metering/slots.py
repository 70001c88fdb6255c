"""This file exists to serve one limit on requests at once from slots a worker was lent.

Owns   how many run here, and how many slots are this worker's until when.
Fails  never. A worker that is gone renews nothing: its slots are free when its lease has ended.
"""

import asyncio
from typing import Any

from gateway.metering.gauges import ASK, CLOSED
from gateway.metering.limit import Limit
from gateway.metering.periods import NS
from gateway.metering.shared import Shared

_LEASE_S = 10
_IDLE_NS = NS
_PAUSE_NS = NS // 20
_SAFE = 0.8


class LeasedSlots:
    """slots: this worker's. running: never more of them than slots while the store is there."""

    __slots__ = (
        "_dry_ns", "_left", "_used_ns", "asked", "key", "limit", "most", "running", "shared",
        "slots", "until_ns", "waiters",
    )  # fmt: skip

    def __init__(self, limit: Limit, key: str, shared: Shared) -> None:
        self.key = key
        self.shared = shared
        self.running = self.slots = self.until_ns = self.waiters = self._dry_ns = self._used_ns = 0
        self.asked: asyncio.Future[bool] | None = None
        self.limit = limit
        self.most = self._left = limit.amount

    @property
    def holds(self) -> bool:
        """There is something to renew or to give back."""
        return self.slots > 0 or self.running > 0

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        self.limit = limit
        self.most = limit.amount
        self._dry_ns = 0

    def wait(self, cost: int, now_ns: int) -> int:
        if self.running < self.slots and now_ns < self.until_ns:
            return 0
        if self.shared.away:
            return self.without(cost, now_ns)
        return NS if now_ns < self._dry_ns else ASK

    def without(self, cost: int, now_ns: int) -> int:
        """What `wait` says when the store does not answer."""
        how = self.limit.when_store_down
        if how == "local":
            if not self.shared.away:
                return NS
            return 0 if self.running < max(1, self.most // self.shared.workers) else NS
        return 0 if how == "open" else CLOSED

    def take(self, cost: int, now_ns: int) -> None:
        self.running += 1
        self._used_ns = now_ns
        self.shared.late(self)

    def back(self, cost: int) -> None:
        """`done` follows."""

    def done(self) -> None:
        self.running -= 1

    def left(self, now_ns: int) -> int:
        return max(0, min(self.most, self.slots + self._left) - self.running)

    def reset_ns(self, now_ns: int) -> int:
        return 0

    def idle(self, now_ns: int) -> bool:
        return not self.holds and self.asked is None

    def due(self, now_ns: int) -> str:
        """`back`: slots nobody uses. `keep`: renew."""
        if self.slots > self.running and now_ns - self._used_ns > _IDLE_NS:
            return "back"
        renew = self.until_ns - now_ns < _LEASE_S * NS // 2
        return "keep" if renew and self.holds else ""

    def ask(self, cost: int, now_ns: int, *, back: bool = False) -> list[Any]:
        """What to send: see script.py."""
        if back:
            self.slots = self.running
        need = self.running + 1 if cost else 0
        want = max(self.slots, self.running + (1 + self.waiters if cost else 0))
        return [0, 3, need, want, self.running, int(back), 0, 0, 0.0, self.most, 0,
                2000 * _LEASE_S, _LEASE_S * 1_000_000]  # fmt: skip

    def heard(self, ask: list[Any], answer: list[Any], sent_ns: int) -> None:
        """The store's answer to an ask."""
        self.slots, self._left = int(answer[0]), int(answer[1])
        self.until_ns = sent_ns + int(_LEASE_S * NS * _SAFE)
        if self.slots < ask[2]:
            self._dry_ns = sent_ns + _PAUSE_NS
