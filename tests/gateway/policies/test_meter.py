"""What callers see of their limits, on the wire."""

import asyncio

import http_sf
import msgspec
import pytest

from gateway import keys
from gateway.metering.limit import Adjusted, Limit
from gateway.snapshot import Plan


def plan(*limits, name="gold"):
    return Plan(name=name, scopes=("system:*",), limits=limits)


def rate(amount, **more):
    return Limit(**{"name": "rate", "kind": "rate", "amount": amount, "window_s": 3600, **more})


def quota(amount, **more):
    return Limit(**{"name": "month", "kind": "quota", "amount": amount, "period": "month", **more})


def route_with(**meter):
    return {"policies": {
        "authenticate": {}, "authorise": {"scope": "system"}, "meter": meter,
    }}  # fmt: skip


async def statuses(gate, number, *positional, **named):
    return [(await gate.ask(*positional, **named)).status for _ in range(number)]


async def test_429_with_the_wait_and_nothing_charged(gate, upstream):
    """Refused calls reach no tier, cost no quota, and say when to come back."""
    gate.plan = plan(rate(3), quota(4))
    gate.publish()
    assert await statuses(gate, 8) == [200] * 3 + [429] * 5
    answered = await gate.ask()
    assert answered.problem == "rate_limited"
    shown = msgspec.json.decode(answered.body)
    assert shown["type"].endswith("/http-problem-types#quota-exceeded")
    assert shown["violated-policies"] == ["rate"]
    assert 1 <= int(answered.headers["retry-after"]) <= 1200
    assert len(upstream.seen) == 3
    gate.plan = plan(rate(1_000_000, window_s=1), quota(4))
    gate.publish()
    assert await statuses(gate, 2) == [200, 429]


async def test_the_headers_are_structured_fields_that_name_every_limit(gate):
    """Read by a parser that nobody here wrote: all limits in force, and the nearest one."""
    gate.plan = plan(
        rate(3, burst=2),
        quota(1000),
        Limit(name="at-once", kind="concurrency", amount=50),
        rate(1, name="hidden", shadow=True),
    )
    gate.publish()
    admitted = await gate.ask()
    policies = http_sf.parse(admitted.headers["ratelimit-policy"].encode(), tltype="list")
    assert policies == [
        ("rate", {"q": 2, "w": 2400}),
        ("month", {"q": 1000, "w": 2_592_000}),
        ("at-once", {"q": 50, "qu": "concurrent-requests"}),
    ]
    told = http_sf.parse(admitted.headers["ratelimit"].encode(), tltype="list")
    assert [(name, given["r"]) for name, given in told] == [("rate", 1)]
    assert 1 <= told[0][1]["t"] <= 1200
    await gate.ask()
    refused = await gate.ask()
    ((name, given),) = http_sf.parse(refused.headers["ratelimit"].encode(), tltype="list")
    assert (refused.status, name, given["r"]) == (429, "rate", 0)
    assert given["t"] == int(refused.headers["retry-after"])


async def test_a_swapped_snapshot_and_a_second_key_share_the_bucket(gate):
    """Neither a new snapshot nor a rotation hands out a fresh allowance."""
    gate.plan = plan(rate(2))
    second = keys.mint("live")
    gate.key_rows = (*gate.key_rows, gate.row(second))
    gate.publish()
    assert await statuses(gate, 1) == [200]
    gate.publish()
    assert await statuses(gate, 2, key=second) == [200, 429]


async def test_consumers_and_keys_are_counted_by_themselves(gate):
    """One consumer's flood is not another's; a limit per key is each key's own."""
    other = gate.add_consumer("other")
    gate.plan = plan(rate(1))
    gate.publish()
    assert await statuses(gate, 2) + await statuses(gate, 2, key=other) == [200, 429] * 2
    second = keys.mint("live")
    gate.key_rows = (*gate.key_rows, gate.row(second))
    gate.plan = plan(rate(1, name="each", per=("key",)))
    gate.publish()
    assert await statuses(gate, 2) + await statuses(gate, 2, key=second) == [200, 429] * 2


async def test_a_limit_of_the_plan_is_shared_by_all_who_are_on_it(gate):
    """As much as the whole plan gives."""
    other = gate.add_consumer("other")
    gate.plan = plan(rate(3, per=("plan",)), rate(1000, name="mine"))
    gate.publish()
    assert await statuses(gate, 2) + await statuses(gate, 2, key=other) == [200] * 3 + [429]


async def test_operations_cost_what_the_route_says(gate, upstream):
    """A cost that never fits is refused for good, and burns nothing."""
    gate.plan = plan(rate(10))
    gate.route = route_with(
        costs=[
            {"methods": ["POST"], "cost": 4},
            {"prefix": "/system/v1/huge", "cost": 11},
            {"prefix": "/system/v1/free", "cost": 0},
        ]
    )
    gate.publish()
    huge = await gate.ask("GET", "/system/v1/huge")
    assert (huge.status, "retry-after" in huge.headers) == (429, False)
    assert await statuses(gate, 3, "POST", body=b"{}") == [200, 200, 429]
    assert await statuses(gate, 5, "GET", "/system/v1/free") == [200] * 5
    assert await statuses(gate, 3) == [200, 200, 429]
    assert len(upstream.seen) == 9


async def test_all_or_nothing_over_all_limits(gate):
    """The second limit refuses: the first is not charged."""
    gate.plan = plan(rate(4, name="wide"), quota(1))
    gate.publish()
    assert await statuses(gate, 5) == [200] + [429] * 4
    gate.plan = plan(rate(4, name="wide"))
    gate.publish()
    assert await statuses(gate, 4) == [200, 200, 200, 429]


async def test_a_route_without_a_word_about_limits_has_one(gate):
    """No route is unlimited by omission, neither for callers nor for anybody."""
    gate.plan = plan()
    gate.route = {"policies": {"authenticate": {}, "authorise": {"scope": "system"}}}
    gate.publish()
    assert (await gate.ask()).headers["ratelimit-policy"] == '"default";q=100;w=2'
    gate.route = {"public": True, "policies": {"size_limit": {}}}
    gate.publish()
    assert (await gate.ask(key=None)).headers["ratelimit-policy"] == '"default";q=100;w=2'


async def test_a_shadow_is_counted_and_refuses_nobody(gate):
    """What a limit would do is known before it does it."""
    gate.plan = plan(rate(1000), rate(2, name="trial", shadow=True))
    gate.publish()
    assert await statuses(gate, 5) == [200] * 5
    assert b'firmwire_gateway_shadow_throttled{limit="trial"} 3' in gate.worker.metrics()


async def test_at_once_means_until_the_reply_has_gone_out(gate, upstream, eventually):
    """Also when the caller leaves before: nothing stays taken."""
    held = asyncio.Event()

    async def slow(seen, writer):
        await held.wait()
        return await upstream.plain(seen, writer)

    upstream.answer = slow
    gate.plan = plan(Limit(name="at-once", kind="concurrency", amount=2), rate(1000))
    gate.publish()
    first = asyncio.create_task(gate.ask())
    _, leaver = await asyncio.open_connection("127.0.0.1", gate.port)
    leaver.write(gate.request())
    await eventually(lambda: len(upstream.seen) == 2)
    refused = await gate.ask()
    assert (refused.status, refused.problem) == (429, "rate_limited")
    leaver.close()
    running = gate.worker.running
    await eventually(lambda: len(running) == 1)
    second = asyncio.create_task(gate.ask())
    await eventually(lambda: len(upstream.seen) == 3)
    held.set()
    assert [(await first).status, (await second).status] == [200, 200]
    assert await statuses(gate, 3) == [200] * 3


async def test_counters_are_reset_and_limits_raised_by_a_snapshot(gate):
    """A generation forgets what was counted; a raise holds until its time, and no longer."""
    gate.plan = plan(rate(2), quota(100))
    gate.publish()
    assert await statuses(gate, 3) == [200, 200, 429]
    gate.more = {"adjusted": (Adjusted("acme", "gold", "rate", generation=1),)}
    gate.publish()
    assert await statuses(gate, 3) == [200, 200, 429]
    until_s = int(gate.worker.unix()) + 1000
    gate.more = {"adjusted": (Adjusted("acme", "gold", "rate", 1, amount=5, until_s=until_s),)}
    gate.publish()
    assert (await gate.ask()).headers["ratelimit-policy"].startswith('"rate";q=5;')
    over = Adjusted("acme", "gold", "rate", 1, amount=5, until_s=until_s - 2000)
    gate.more = {"adjusted": (over,)}
    gate.publish()
    assert (await gate.ask()).headers["ratelimit-policy"].startswith('"rate";q=2;')


@pytest.mark.parametrize("in_plan", [False, True])
async def test_two_limits_of_one_name_are_refused(gate, in_plan):
    """In a plan and in a route: a reset must know which is meant."""
    if in_plan:
        gate.plan = plan(rate(1), rate(2))
    else:
        gate.route = route_with(limits=[{"name": "rate", "kind": "rate", "amount": 1}] * 2)
    with pytest.raises(ValueError, match="named rate"):
        gate.publish()
