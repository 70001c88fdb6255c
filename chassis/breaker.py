"""This file exists to stop calling a peer that is down, and to ration second attempts.

Owns   the state of one breaker and one retry budget, in memory.
Fails  never: it answers whether a call may go out, and after how many seconds to ask again.
Source M. Nygard, Release It!, "Circuit Breaker"; Google SRE book, "Handling Overload" (budgets).
"""

from collections import deque

from msgspec import Struct

from chassis import clock


class BreakerRules(Struct, frozen=True):
    """Opens after `consecutive` faults in a row, or when of at least `calls_min` calls in the

    last `window_s` seconds the part `ratio` failed. Closed to all but one probe for `open_s`
    seconds, doubling to `open_max_s` while probes fail.
    """

    consecutive: int = 5
    ratio: float = 0.5
    calls_min: int = 20
    window_s: float = 60.0
    open_s: float = 2.0
    open_max_s: float = 60.0


class Breaker:
    """Counts faults of transport, never answers: a peer that answers 500 is there."""

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self._rules = rules or BreakerRules()
        self._seen: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._in_a_row = 0
        self._opened_s: float | None = None
        self._open_for_s = self._rules.open_s
        self._probing = False

    @property
    def open(self) -> bool:
        """True until a probe has succeeded."""
        return self._opened_s is not None

    def wait_s(self) -> float:
        """0 when a call may go out now (it is the probe when half open), else seconds to wait."""
        if self._opened_s is None:
            return 0.0
        left_s = self._opened_s + self._open_for_s - clock.monotonic()
        if left_s > 0:
            return left_s
        if self._probing:
            return self._rules.open_s
        self._probing = True
        return 0.0

    def answered(self) -> None:
        """The peer answered, whatever it said."""
        self._in_a_row = 0
        if self._opened_s is not None:
            self._opened_s, self._open_for_s = None, self._rules.open_s
            self._seen.clear()
            self._failed = 0
        self._probing = False
        self._count(False)

    def failed(self) -> None:
        """The transport failed."""
        self._in_a_row += 1
        self._count(True)
        if self._probing:
            self._open_for_s = min(self._open_for_s * 2, self._rules.open_max_s)
        if self._probing or (self._opened_s is None and self._too_many()):
            self._opened_s = clock.monotonic()
        self._probing = False

    def abandoned(self) -> None:
        """The call was given up by us: it says nothing about the peer."""
        self._probing = False

    def _too_many(self) -> bool:
        rules, calls = self._rules, len(self._seen)
        often = calls >= rules.calls_min and self._failed >= rules.ratio * calls
        return self._in_a_row >= rules.consecutive or often

    def _count(self, failed: bool) -> None:
        now_s = clock.monotonic()
        self._seen.append((now_s, failed))
        self._failed += failed
        while self._seen and self._seen[0][0] < now_s - self._rules.window_s:
            self._failed -= self._seen.popleft()[1]


class RetryBudget:
    """Second attempts are at most `share` of first ones, plus a small reserve.

    So a peer in trouble gets 15 % more load, not three times as much.
    """

    def __init__(self, share: float = 0.15, reserve: float = 5.0) -> None:
        self._share = share
        self._most = reserve
        self._left = reserve

    def called(self) -> None:
        """A first attempt went out."""
        left = self._left + self._share
        self._left = left if left < self._most else self._most

    def take(self) -> bool:
        """True when a second attempt may go out."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
