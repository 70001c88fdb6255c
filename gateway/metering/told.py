"""This file exists to tell callers their limits in headers, and why they were turned away.

Owns   the text of RateLimit-Policy and RateLimit, and the problems of METER.
Fails  never.
Source draft-ietf-httpapi-ratelimit-headers-11: sections 3 and 4 (structured fields), 5 (problem
       types `quota-exceeded` and `temporary-reduced-capacity`); RFC 9651 (structured fields).
"""

from collections.abc import Sequence

from contracts.problem import Fault, Problem
from gateway.metering.gauges import CLOSED, NEVER, Gauge
from gateway.metering.limit import Limit
from gateway.metering.periods import NS

Pair = tuple[bytes, bytes]
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "month": 2_592_000, "year": 31_536_000}
_MOST_S = 10**9


def window_s(limit: Limit) -> int:
    """In which as much as may come at once comes again; 0 when no time says it."""
    if limit.kind == "rate":
        return max(1, -(-limit.most * limit.window_s // limit.amount))
    return _SECONDS.get(limit.period, 0)


def policy(limits: Sequence[Limit]) -> Pair:
    """RateLimit-Policy: every limit in force."""
    told = []
    for limit in limits:
        most = limit.most if limit.kind == "rate" else limit.amount
        unit = b';qu="concurrent-requests"' if limit.kind == "concurrency" else b""
        time = b";w=%d" % window_s(limit) if window_s(limit) else b""
        told.append(b'"%b";q=%d%b%b' % (limit.name.encode(), most, time, unit))
    return b"ratelimit-policy", b", ".join(told)


def remaining(gauge: Gauge, left: int, wait_ns: int) -> Pair:
    """RateLimit: of the limit that matters most now. t: seconds until it gives (more) again."""
    if gauge.limit.kind == "concurrency":
        return b"ratelimit", b'"%b";r=%d' % (gauge.limit.name.encode(), left)
    seconds = min(_MOST_S, -(-wait_ns // NS))
    return b"ratelimit", b'"%b";r=%d;t=%d' % (gauge.limit.name.encode(), left, seconds)


def refusal(gauge: Gauge, wait_ns: int, cost: int) -> Problem:
    """What a caller is told whom this limit turned away."""
    limit = gauge.limit
    if wait_ns == CLOSED:
        return Problem(
            Fault.REDUCED_CAPACITY,
            "The count of requests cannot be kept right now; nothing was done.",
            because=f"limit {limit.name}: the store is away",
            retry_after_s=1.0,
            policies=(limit.name,),
        )
    if wait_ns == NEVER:
        say = f"This costs {cost}, and the limit {limit.name} never gives more than {gauge.most}."
        return Problem(Fault.RATE_LIMITED, say, policies=(limit.name,))
    words = {
        "rate": f"Too many requests: the limit {limit.name} is reached.",
        "quota": f"The quota {limit.name} of this {limit.period} is used up.",
        "concurrency": f"Too many requests at once: {limit.name} allows {limit.amount}.",
    }
    return Problem(
        Fault.RATE_LIMITED,
        words[limit.kind],
        retry_after_s=max(1.0, wait_ns / NS),
        policies=(limit.name,),
    )
