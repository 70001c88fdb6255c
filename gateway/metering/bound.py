"""This file exists to decide about one request over all limits that count it: all of them or none.

Owns   the gauges of one caller on one route.
Fails  never.
"""

from collections.abc import Callable

from gateway.metering import told
from gateway.metering.gauges import ASK, Gauge
from gateway.metering.lease import Leased
from gateway.metering.periods import NS
from gateway.metering.shared import Shared
from gateway.metering.slots import LeasedSlots

ANSWER_NS = 25_000_000  # no request waits longer for the store
Refusing = tuple[Gauge, int]


class Bound:
    """The gauges of one caller on one route. policy: the header that names them."""

    __slots__ = ("_first", "_others", "gauges", "held", "policy", "shadows")

    def __init__(self, gauges: tuple[Gauge, ...], shadows: tuple[Gauge, ...]) -> None:
        self.gauges = gauges
        self.shadows = shadows
        self.held = tuple(gauge for gauge in gauges if gauge.limit.kind == "concurrency")
        begun = [
            (gauge, b'"%b";r=' % gauge.limit.name.encode(), gauge.limit.kind != "concurrency")
            for gauge in gauges
        ]
        self._first, self._others = begun[0], tuple(begun[1:])
        self.policy = told.policy([gauge.limit for gauge in gauges])

    def decide(self, cost: int, now_ns: int) -> int:
        """0 and all of them counted it; else none did."""
        for gauge in self.gauges:
            if wait_ns := gauge.wait(cost, now_ns):
                return wait_ns
        for gauge in self.gauges:
            gauge.take(cost, now_ns)
        return 0

    def nearest(self, now_ns: int) -> told.Pair:
        """RateLimit of the one of which least is left."""
        best, begin, timed = self._first
        left = best.left(now_ns)
        for one in self._others:
            gauge = one[0]
            its = gauge.left(now_ns)
            if its * best.most < left * gauge.most:
                (best, begin, timed), left = one, its
        if not timed:
            return b"ratelimit", b"%b%d" % (begin, left)
        return b"ratelimit", b"%b%d;t=%d" % (begin, left, -(-best.reset_ns(now_ns) // NS))

    def refusing(self, cost: int, now_ns: int) -> Refusing | None:
        """Which one refuses most gravely, and its wait; None where only the store knows."""
        waits = [(gauge, gauge.wait(cost, now_ns)) for gauge in self.gauges]
        return max((one for one in waits if one[1] not in (0, ASK)), key=_gravest, default=None)

    async def ask(
        self, shared: Shared, cost: int, until_ns: int, gone: Callable[[], bool]
    ) -> Refusing | None:
        """The same as `decide`, after asking the store: None, and all of them counted it.

        gone: nobody waits for it any more; then nothing is counted.
        """
        now_ns = shared.now_ns()
        while True:
            asking = [
                gauge
                for gauge in self.gauges
                if isinstance(gauge, Leased | LeasedSlots) and gauge.wait(cost, now_ns) == ASK
            ]
            heard = not asking or await shared.ask(asking, cost, until_ns)
            if gone():
                return None
            now_ns = shared.now_ns()
            if not self.decide(cost, now_ns):
                return None
            if (refusing := self.refusing(cost, now_ns)) is not None:
                return refusing
            if not heard or now_ns >= until_ns:
                return self._alone(cost, now_ns)

    def _alone(self, cost: int, now_ns: int) -> Refusing | None:
        """The store did not answer in time."""
        waits = []
        for gauge in self.gauges:
            wait_ns = gauge.wait(cost, now_ns)
            if wait_ns == ASK and isinstance(gauge, Leased | LeasedSlots):
                wait_ns = gauge.without(cost, now_ns)
            waits.append((gauge, wait_ns))
        refusing = max((one for one in waits if one[1]), key=_gravest, default=None)
        if refusing is None:
            for gauge in self.gauges:
                gauge.take(cost, now_ns)
        return refusing


def _gravest(one: Refusing) -> tuple[bool, int]:
    """What can never be stands before what takes long."""
    return one[1] < 0, abs(one[1])
