"""This file exists to turn a caller away who sends more than its plan or the route allows.

Reads   client, route; the caller when there is one
Writes  meter
Fails   RATE_LIMITED with the seconds to wait; REDUCED_CAPACITY where a limit may not be guessed
        and the store is away. All limits of a request are decided together: a rejected call costs
        nothing anywhere. A quota gives back what the gateway itself refuses later in the pipe.
Source  draft-ietf-httpapi-ratelimit-headers-11.
"""

from collections.abc import Coroutine
from typing import Annotated, Any

from msgspec import Meta, Struct

from contracts.problem import Problem
from gateway.metering import told
from gateway.metering.bound import Bound
from gateway.metering.gauges import Gauge
from gateway.metering.limit import UNSAID, Limit, repeated
from gateway.metering.meters import Meters
from gateway.metering.who import subscriber
from gateway.policy import Exchange, Policy, Stage, Tools

_BOUND_MOST = 100_000


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """What a request counts for. The first that fits holds; an empty part fits everything."""

    cost: Annotated[int, Meta(ge=0, le=1_000_000)]
    methods: tuple[str, ...] = ()
    prefix: str = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """limits: for everybody on this route, beside those of the plan. costs: of operations."""

    limits: tuple[Limit, ...] = ()
    costs: tuple[Cost, ...] = ()

    def __post_init__(self) -> None:
        if twice := repeated(self.limits):
            raise ValueError(f"limits: two are named {twice}")


class _Meter:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._route = tools.route.name if tools.route else ""
        self._meters = tools.meters or Meters(tools.monotonic, tools.unix, tools.share.count)
        self._version = -1
        self._bound: dict[Any, Bound] = {}
        self._costs = tuple(
            (frozenset(m.encode() for m in cost.methods), cost.prefix.encode(), cost.cost)
            for cost in config.costs
        )

    def on_request(self, x: Exchange) -> Problem | Coroutine[Any, Any, Problem | None] | None:
        meters = self._meters
        if meters.version != self._version or len(self._bound) > _BOUND_MOST:
            self._bound.clear()
            self._version = meters.version
        bound = self._bound.get(x.caller) or self._bind(x)
        cost = x.cost if not self._costs else self._cost(x)
        now_ns = meters.now_ns()
        if bound.decide(cost, now_ns):
            return self._not_yet(x, bound, cost, now_ns)
        if bound.shadows:
            self._admitted(x, bound, cost, now_ns)
        else:
            x.facts["meter"] = bound, cost, bound.held
            x.down += bound.policy, bound.nearest(now_ns)
        return None

    def on_response(self, x: Exchange) -> None:
        if x.refused and "meter" in x.facts:
            bound, cost, _ = x.facts["meter"]
            for gauge in bound.gauges:
                gauge.back(cost)

    def on_end(self, x: Exchange) -> None:
        if "meter" in x.facts:
            for gauge in x.facts["meter"][2]:
                gauge.done()

    def _admitted(self, x: Exchange, bound: Bound, cost: int, now_ns: int) -> None:
        x.facts["meter"] = bound, cost, bound.held
        x.down += bound.policy, bound.nearest(now_ns)
        taken = list(bound.held)
        # Each by itself: what is counted in the shadow decides nothing.
        for gauge in bound.shadows:
            if gauge.wait(cost, now_ns) == 0:
                gauge.take(cost, now_ns)
                taken.append(gauge)
            else:
                shadowed = self._meters.shadowed
                shadowed[gauge.limit.name] = shadowed.get(gauge.limit.name, 0) + 1
        x.facts["meter"] = bound, cost, taken

    def _not_yet(
        self, x: Exchange, bound: Bound, cost: int, now_ns: int
    ) -> Problem | Coroutine[Any, Any, Problem | None]:
        refusing = bound.refusing(cost, now_ns)
        if refusing is None:
            return self._asked(x, bound, cost, now_ns)
        return self._refused(x, bound, *refusing, cost, now_ns)

    async def _asked(self, x: Exchange, bound: Bound, cost: int, now_ns: int) -> Problem | None:
        """Some of it only the store knows."""
        refusing = await self._meters.ask(bound, cost, now_ns, lambda: x.over)
        now_ns = self._meters.now_ns()
        if refusing is not None:
            return self._refused(x, bound, *refusing, cost, now_ns)
        if not x.over:
            self._admitted(x, bound, cost, now_ns)
        return None

    def _refused(
        self, x: Exchange, bound: Bound, gauge: Gauge, wait_ns: int, cost: int, now_ns: int
    ) -> Problem:
        throttled = self._meters.throttled
        throttled[gauge.limit.name] = throttled.get(gauge.limit.name, 0) + 1
        x.down.append(bound.policy)
        left = 0 if wait_ns > 0 and cost == 1 else gauge.left(now_ns)
        x.down.append(told.remaining(gauge, left, max(0, wait_ns)))
        return told.refusal(gauge, wait_ns, cost)

    def _cost(self, x: Exchange) -> int:
        for methods, prefix, cost in self._costs:
            if (not methods or x.method in methods) and x.path.startswith(prefix):
                return cost
        return x.cost

    def _bind(self, x: Exchange) -> Bound:
        caller = x.caller
        limits = self._config.limits + (caller.limits if caller is not None else ())
        by_address = caller is None or any("address" in limit.per for limit in limits)
        key: Any = caller if not by_address else (caller, x.client)
        found = self._bound.get(key)
        if found is None:
            found = self._bound[key] = self._made(x)
        return found

    def _made(self, x: Exchange) -> Bound:
        caller = x.caller
        address = subscriber(x.client)
        who = dict.fromkeys(("consumer", "key"), f"@{address}") | {"plan": "@"}
        if caller is not None:
            who = {"consumer": caller.consumer, "key": caller.key_id, "plan": caller.plan}
        who |= {"route": self._route, "address": address}
        of_plan = caller.limits if caller is not None else ()
        of_route = self._config.limits
        if not any(limit.kind == "rate" and not limit.shadow for limit in of_plan + of_route):
            of_route = (*of_route, UNSAID)
        bind = self._meters.bind
        gauges = bind(of_plan, ("plan", who["plan"]), who)
        gauges += bind(of_route, ("route", self._route), who)
        return Bound(
            tuple(gauge for gauge in gauges if not gauge.limit.shadow),
            tuple(gauge for gauge in gauges if gauge.limit.shadow),
        )


class _NoRoute:
    """Nothing is served there: there is nothing to count."""


def _bind(config: Config, tools: Tools) -> object:
    return _NoRoute() if tools.route is None else _Meter(config, tools)


POLICY = Policy(
    stage=Stage.METER,
    config=Config,
    bind=_bind,
    reads=frozenset({"client", "route"}),
    writes=frozenset({"meter"}),
    always=True,
)
