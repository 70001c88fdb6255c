"""This file exists to turn a caller away who sends faster than its plan allows on a route.

Reads   client, route; the caller when there is one
Writes  rate
Fails   RATE_LIMITED, with the seconds to wait. In memory of this worker: exact for one worker.
Source  GCRA as in ITU-T I.371 annex A (virtual scheduling); headers of
        draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
"""

from collections.abc import MutableMapping
from typing import Annotated

from msgspec import Meta, Struct

from contracts.problem import Fault, Problem
from gateway.policy import Exchange, Policy, Stage, Tools

_SWEEP_AT = 100_000
_SLACK = 1e-6


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """For callers whose plan names no rate. rate_per_s: sustained. burst: requests at once."""

    rate_per_s: Annotated[float, Meta(gt=0)] = 50.0
    burst: Annotated[int, Meta(ge=1)] = 100


class Gcra:
    """One number a bucket: when it will be full again, in seconds of the monotonic clock.

    In any span of t seconds at most burst + rate_per_s * t are admitted; a refusal costs nothing.
    """

    def __init__(self, full_at_s: MutableMapping[str, float]) -> None:
        self._full_at_s = full_at_s
        self._sweep_at = _SWEEP_AT

    def take(self, bucket: str, rate_per_s: float, burst: int, now_s: float) -> tuple[float, int]:
        """Seconds to wait (0: admitted) and how many more would be admitted now."""
        each_s = 1.0 / rate_per_s
        full_at_s = self._full_at_s.get(bucket, 0.0)
        if full_at_s < now_s:
            full_at_s = now_s
        # Empty is empty: a plan that was raised does not wait for the debts of the old one.
        behind_s = full_at_s - now_s
        if behind_s > burst * each_s:
            behind_s = burst * each_s
            self._full_at_s[bucket] = now_s + behind_s
        room = burst - behind_s * rate_per_s
        # A millionth of a slot of slack: floats must not refuse what arithmetic allows.
        if room < 1.0 - _SLACK:
            return (1.0 - room) * each_s, 0
        self._full_at_s[bucket] = now_s + behind_s + each_s
        if len(self._full_at_s) > self._sweep_at:
            self._sweep(now_s)
        return 0.0, int(room + _SLACK) - 1

    def _sweep(self, now_s: float) -> None:
        """Forget buckets that are full again; they mean the same as no bucket."""
        for bucket in [b for b, full_at_s in self._full_at_s.items() if full_at_s <= now_s]:
            del self._full_at_s[bucket]
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._full_at_s))


class _RateLimit:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._gcra = Gcra(tools.memory(f"rate_limit {tools.route.name if tools.route else ''}"))
        self._policy: dict[tuple[float, int], tuple[bytes, bytes]] = {}

    def on_request(self, x: Exchange) -> Problem | None:
        caller = x.caller
        # One bucket a consumer, not a key: rotating keys must not reset it. Names cannot
        # hold an @, so an address is never taken for a consumer.
        who = caller.consumer if caller is not None else f"@{x.client}"
        if caller is not None and caller.rate_per_s:
            rate_per_s, burst = caller.rate_per_s, caller.burst or 1
        else:
            rate_per_s, burst = self._config.rate_per_s, self._config.burst
        wait_s, left = self._gcra.take(who, rate_per_s, burst, x.started_s)
        x.facts["rate"] = (rate_per_s, burst, left, wait_s)
        if wait_s:
            self.tell(x)
            return Problem(
                Fault.RATE_LIMITED, "Too many requests for this plan.", retry_after_s=wait_s
            )
        return None

    def on_response(self, x: Exchange) -> None:
        self.tell(x)

    def tell(self, x: Exchange) -> None:
        """RateLimit-Policy and RateLimit; t is the wait for the next one, in whole seconds."""
        rate_per_s, burst, left, wait_s = x.facts["rate"]
        policy = self._policy.get((rate_per_s, burst))
        if policy is None:
            window_s = max(1, round(burst / rate_per_s))
            told = b'"rate";q=%d;w=%d' % (burst, window_s)
            policy = self._policy[rate_per_s, burst] = (b"ratelimit-policy", told)
        x.down.append(policy)
        x.down.append((b"ratelimit", b'"rate";r=%d;t=%d' % (left, -int(-wait_s // 1))))


POLICY = Policy(
    stage=Stage.METER,
    config=Config,
    bind=_RateLimit,
    reads=frozenset({"client", "route"}),
    writes=frozenset({"rate"}),
)
