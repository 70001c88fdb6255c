"""This file exists to count one limit for one somebody, in the memory of one worker.

Owns   the arithmetic: whole nanoseconds, rounded so that never more than the limit is admitted.
Fails  never. `wait` says how long until so much would be admitted, and changes nothing; `take`
       counts it. Who asks several gauges takes from all or from none.
Source GCRA as in ITU-T I.371 annex A (virtual scheduling).
"""

from typing import Protocol

from gateway.metering.limit import Limit
from gateway.metering.periods import NS, Calendar

NEVER = -1  # it costs more than the limit ever gives at once
ASK = -2  # only the store knows
CLOSED = -3  # the store is away, and without it nobody passes


class Gauge(Protocol):
    """One limit for one somebody. Times are whole nanoseconds of the monotonic clock."""

    limit: Limit
    most: int

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        """The limit is another from now on; what was counted still counts."""
        ...

    def wait(self, cost: int, now_ns: int) -> int:
        """0: it may. More: nanoseconds until it may. Less: NEVER, ASK or CLOSED."""
        ...

    def take(self, cost: int, now_ns: int) -> None:
        """Count it; only after `wait` said 0 at the same instant."""
        ...

    def back(self, cost: int) -> None:
        """It was counted, and then the gateway itself turned it away."""
        ...

    def done(self) -> None:
        """It has ended."""
        ...

    def left(self, now_ns: int) -> int:
        """How much would be admitted now."""
        ...

    def reset_ns(self, now_ns: int) -> int:
        """Until all of it is there again."""
        ...

    def idle(self, now_ns: int) -> bool:
        """It means the same as a new one."""
        ...


class Rate:
    """amount in every window, burst at once. In any t: at most burst + amount * t / window.

    The time of one is rounded up to a nanosecond: at most a thousandth slower, never faster.
    """

    __slots__ = ("_each_ns", "_full_ns", "_most_ns", "limit", "most")

    def __init__(self, limit: Limit, share: int = 1) -> None:
        self._full_ns = -(2**62)
        self.define(limit, share, 0)

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        self.limit = limit
        self.most = max(1, limit.most // share)
        self._each_ns = -(-limit.window_s * NS * share // limit.amount)
        self._most_ns = self.most * self._each_ns
        # Empty is empty: a limit that was raised does not wait for the debts of the old one.
        self._full_ns = min(self._full_ns, now_ns + self._most_ns)

    def wait(self, cost: int, now_ns: int) -> int:
        full_ns = self._full_ns
        if full_ns < now_ns:
            full_ns = now_ns
        over_ns = full_ns + cost * self._each_ns - now_ns - self._most_ns
        if over_ns <= 0:
            return 0
        return over_ns if cost <= self.most else NEVER

    def take(self, cost: int, now_ns: int) -> None:
        full_ns = self._full_ns
        self._full_ns = (full_ns if full_ns > now_ns else now_ns) + cost * self._each_ns

    def back(self, cost: int) -> None:
        """Stays counted: the time it came at cannot be given to somebody else."""

    def done(self) -> None:
        """Nothing lasts."""

    def left(self, now_ns: int) -> int:
        behind_ns = self._full_ns - now_ns
        return self.most if behind_ns <= 0 else (self._most_ns - behind_ns) // self._each_ns

    def reset_ns(self, now_ns: int) -> int:
        return max(0, self._full_ns - now_ns)

    def idle(self, now_ns: int) -> bool:
        return self._full_ns <= now_ns

    def empty(self, now_ns: int) -> None:
        """Begin with nothing: it may have been given away elsewhere."""
        self._full_ns = now_ns + self._most_ns


class Quota:
    """amount in a calendar period. used: in the one that began at `_begins_s`."""

    __slots__ = ("_begins_s", "_calendar", "limit", "most", "used")

    def __init__(self, limit: Limit, calendar: Calendar, share: int = 1) -> None:
        self.used = 0
        self._calendar = calendar
        self._begins_s = 0
        self.define(limit, share, 0)

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        self.limit = limit
        self.most = max(1, limit.amount // share)

    def wait(self, cost: int, now_ns: int) -> int:
        if self._calendar.turn(now_ns) != self._begins_s:
            self._begins_s, self.used = self._calendar.begins_s, 0
        if self.used + cost <= self.most:
            return 0
        return max(1, self._calendar.ends_ns - now_ns) if cost <= self.most else NEVER

    def take(self, cost: int, now_ns: int) -> None:
        self.used += cost

    def back(self, cost: int) -> None:
        self.used = max(0, self.used - cost)

    def done(self) -> None:
        """Nothing lasts."""

    def left(self, now_ns: int) -> int:
        return max(0, self.most - self.used)

    def reset_ns(self, now_ns: int) -> int:
        return max(0, self._calendar.ends_ns - now_ns)

    def idle(self, now_ns: int) -> bool:
        return not self.used or self._calendar.turn(now_ns) != self._begins_s

    def kept(self) -> tuple[int, int, int]:
        """Beginning and end of its period, Unix seconds, and what was used; unless it is idle."""
        return self._begins_s, self._calendar.ends_s, self.used

    def remember(self, begins_s: int, used: int) -> None:
        """It was used before; a new period forgets it."""
        self._begins_s, self.used = begins_s, used


class Held:
    """amount at the same time, whatever each costs. Who took must say `done`."""

    __slots__ = ("limit", "most", "running")

    def __init__(self, limit: Limit, share: int = 1) -> None:
        self.running = 0
        self.define(limit, share, 0)

    def define(self, limit: Limit, share: int, now_ns: int) -> None:
        self.limit = limit
        self.most = max(1, limit.amount // share)

    def wait(self, cost: int, now_ns: int) -> int:
        return 0 if self.running < self.most else NS  # nobody knows when one ends

    def take(self, cost: int, now_ns: int) -> None:
        self.running += 1

    def back(self, cost: int) -> None:
        """`done` follows."""

    def done(self) -> None:
        self.running -= 1

    def left(self, now_ns: int) -> int:
        return max(0, self.most - self.running)

    def reset_ns(self, now_ns: int) -> int:
        return 0

    def idle(self, now_ns: int) -> bool:
        return not self.running
