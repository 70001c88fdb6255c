"""This file exists to keep all gauges of one worker, and to hand each request those that count it.

Owns   gauges by key, for as long as they mean something; what admins adjusted; the counts of who
       was turned away by which limit.
Fails  never. Too many gauges: the idle ones go; when that is not enough, newcomers of the same
       limit share one, so that nobody gets room by making up identities.
"""

from collections.abc import Callable, Iterable

from gateway.metering.bound import ANSWER_NS, Bound, Refusing
from gateway.metering.gauges import Gauge, Held, Quota, Rate
from gateway.metering.lease import LeasedQuota, LeasedRate
from gateway.metering.limit import Adjusted, Limit, raised
from gateway.metering.periods import NS, Calendar
from gateway.metering.shared import Shared
from gateway.metering.slots import LeasedSlots
from gateway.metering.who import key_of

GAUGES_MOST = 200_000
Used = dict[str, tuple[int, int, int]]
"""Quotas in memory by gauge: beginning and end of the period in Unix seconds, and what was used."""
_CROWD = "everybody else"


class Meters:
    """version: grows when what was bound before must be bound anew."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        unix: Callable[[], float],
        workers: int = 1,
        shared: Shared | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._unix = unix
        self._workers = workers
        self.shared = shared
        self._gauges: dict[str, Gauge] = {}
        self._before: Used = {}
        self._calendars: dict[str, Calendar] = {}
        self._adjusted: dict[tuple[str, ...], dict[str, Adjusted]] = {}
        self._told: tuple[Adjusted, ...] = ()
        self._sweep_at = GAUGES_MOST
        self._swept_ns = -NS
        self.version = 0
        self.throttled: dict[str, int] = {}
        self.shadowed: dict[str, int] = {}

    def now_ns(self) -> int:
        """Of the monotonic clock."""
        return int(self._monotonic() * NS)

    def adjust(self, adjusted: tuple[Adjusted, ...]) -> None:
        """What a snapshot says. Callers are bound anew: their plans may have changed."""
        self.version += 1
        self._told = adjusted
        now_s = self._unix()
        self._adjusted = {}
        for one in adjusted:
            if one.amount and one.until_s <= now_s:
                one = Adjusted(one.consumer, one.plan, one.limit, one.generation)
            self._adjusted.setdefault((one.consumer, "plan", one.plan), {})[one.limit] = one

    def tick(self) -> None:
        """Once a second: a raise may have ended."""
        now_s = self._unix()
        for of_one in self._adjusted.values():
            for one in of_one.values():
                if one.amount and one.until_s <= now_s:
                    self.adjust(self._told)
                    return

    def bind(
        self,
        limits: Iterable[Limit],
        owner: tuple[str, ...],
        who: dict[str, str],
        *,
        alone: bool = False,
    ) -> tuple[Gauge, ...]:
        """owner: who set the limits: `plan` or `route`, and its name. who: by what `per` may say.

        alone: not shared through the store.
        """
        adjusted = self._adjusted.get((who.get("consumer", ""), *owner), {})
        gauges = []
        for limit in limits:
            generation = 0
            named = [f"{per}={who[per]}" for per in sorted(limit.per)]
            if "consumer" not in limit.per and "key" not in limit.per:
                named.append(f"of {who.get('plan', '')}")  # many count together: nobody's to reset
            elif (one := adjusted.get(limit.name)) is not None:
                generation = one.generation
                limit = raised(limit, one.amount) if one.amount else limit
            kind = f"{limit.kind} {limit.period} {'shadow' if limit.shadow else ''}"
            parts = (*owner, kind, limit.name, str(generation))
            gauges.append(self._gauge(limit, parts, named, alone=alone))
        return tuple(gauges)

    async def ask(
        self, bound: Bound, cost: int, now_ns: int, gone: Callable[[], bool]
    ) -> Refusing | None:
        """For whom `decide` had no answer yet: see Bound.ask."""
        if self.shared is None:
            return bound.refusing(cost, now_ns)
        return await bound.ask(self.shared, cost, now_ns + ANSWER_NS, gone)

    def remember(self, used: Used) -> None:
        """What was used before this worker began."""
        self._before = used

    def used(self) -> Used:
        """What a worker after this one should know."""
        now_ns, now_s = self.now_ns(), self._unix()
        found = {key: row for key, row in self._before.items() if row[1] > now_s}
        for key, gauge in self._gauges.items():
            if isinstance(gauge, Quota) and not gauge.idle(now_ns):
                found[key] = gauge.kept()
        return found

    def metrics(self) -> dict[str, float]:
        """By limit: how many were turned away, and how many would have been."""
        shown = {"firmwire_gateway_limit_gauges": float(len(self._gauges))}
        if self.shared is not None:
            shown |= self.shared.metrics()
        for name, counts in (("throttled", self.throttled), ("shadow_throttled", self.shadowed)):
            for limit, number in sorted(counts.items()):
                shown[f'firmwire_gateway_{name}{{limit="{limit}"}}'] = float(number)
        return shown

    def _gauge(
        self, limit: Limit, parts: tuple[str, ...], named: list[str], *, alone: bool
    ) -> Gauge:
        key = key_of((*parts, *named))
        gauge = self._gauges.get(key)
        if gauge is None and len(self._gauges) >= self._sweep_at:
            if self.now_ns() - self._swept_ns > NS:
                self._sweep()
            if len(self._gauges) >= GAUGES_MOST:
                key = key_of((*parts, _CROWD))
                gauge = self._gauges.get(key)
        if gauge is None:
            gauge = self._gauges[key] = self._made(limit, key, alone=alone)
        elif gauge.limit != limit:
            gauge.define(limit, self._workers, self.now_ns())
        return gauge

    def _made(self, limit: Limit, key: str, *, alone: bool) -> Gauge:
        shared = None if alone or limit.shadow else self.shared
        workers = self._workers if shared is None else shared.workers
        name = f"firmwire:meter:{key}"
        if limit.kind == "rate":
            rate = Rate(limit, workers)
            return rate if shared is None else LeasedRate(limit, name, shared, rate)
        if limit.kind == "quota":
            calendar = self._calendar(limit.period)
            quota = Quota(limit, calendar, workers)
            if shared is not None:
                return LeasedQuota(limit, name, shared, quota, calendar)
            if (before := self._before.pop(key, None)) is not None:
                quota.remember(before[0], before[2])
            return quota
        return Held(limit, workers) if shared is None else LeasedSlots(limit, name, shared)

    def _calendar(self, period: str) -> Calendar:
        """Shared by all quotas of this kind of period."""
        found = self._calendars.get(period)
        if found is None:
            found = self._calendars[period] = Calendar(period, self._now_unix)
        return found

    def _now_unix(self) -> float:
        """The store's clock where there is one: workers must agree when a month ends."""
        if self.shared is not None and self.shared.unix_minus_monotonic_s is not None:
            return self._monotonic() + self.shared.unix_minus_monotonic_s
        return self._unix()

    def _sweep(self) -> None:
        """Forget what means the same as nothing; who still holds such a one is bound anew."""
        self._swept_ns = now_ns = self.now_ns()
        for key in [key for key, gauge in self._gauges.items() if gauge.idle(now_ns)]:
            del self._gauges[key]
        self._sweep_at = min(GAUGES_MOST, max(GAUGES_MOST // 2, 2 * len(self._gauges)))
        self.version += 1
