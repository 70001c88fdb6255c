"""This file exists to turn an address away that sends too much, before anybody looks at its keys.

Reads   client, route
Writes  address_rate
Fails   RATE_LIMITED, with the seconds to wait. Counted by each worker in its own memory, its part
        of the rate: guessing keys must cost nothing but this. Behind proxies of ours
        `trusted_hops` must be set, or everybody is one address.
Source  GCRA as in ITU-T I.371 annex A; an IPv6 subscriber is a /64.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.problem import Problem
from gateway.metering import told
from gateway.metering.gauges import Gauge
from gateway.metering.limit import Limit
from gateway.metering.meters import Meters
from gateway.metering.who import subscriber
from gateway.policy import Exchange, Policy, Stage, Tools

_KNOWN_MOST = 50_000


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """amount in every window_s seconds, burst at once, for each address on this route."""

    amount: Annotated[int, Meta(ge=1)] = 100
    window_s: Annotated[int, Meta(ge=1)] = 1
    burst: Annotated[int, Meta(ge=1)] = 200


class _AddressRate:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._limit = Limit(
            name="address", kind="rate", amount=config.amount, window_s=config.window_s,
            burst=config.burst, per=("address",),
        )  # fmt: skip
        self._owner = ("address", tools.route.name if tools.route else "")
        self._meters = tools.meters or Meters(tools.monotonic, tools.unix, tools.share.count)
        self._version = -1
        self._known: dict[str, Gauge] = {}

    def on_request(self, x: Exchange) -> Problem | None:
        meters = self._meters
        if meters.version != self._version or len(self._known) > _KNOWN_MOST:
            self._known.clear()
            self._version = meters.version
        gauge = self._known.get(x.client)
        if gauge is None:
            who = {"address": subscriber(x.client)}
            (gauge,) = meters.bind((self._limit,), self._owner, who, alone=True)
            self._known[x.client] = gauge
        now_ns = meters.now_ns()
        if wait_ns := gauge.wait(1, now_ns):
            meters.throttled["address"] = meters.throttled.get("address", 0) + 1
            x.down.append(told.policy((self._limit,)))
            x.down.append(told.remaining(gauge, 0, wait_ns))
            return told.refusal(gauge, wait_ns, 1)
        gauge.take(1, now_ns)
        return None


POLICY = Policy(
    stage=Stage.SHIELD,
    config=Config,
    bind=_AddressRate,
    reads=frozenset({"client", "route"}),
    writes=frozenset({"address_rate"}),
)
