"""Limits on the wire while Redis is well, slow, and gone."""

import asyncio

import pytest

from chassis import clock
from chassis.store import Store
from gateway.metering.limit import Limit
from gateway.metering.shared import Shared
from gateway.snapshot import Plan


@pytest.fixture
async def shared_gate(gate, redis_url):
    """The same gate with a store. Its own worker makes no difference to what is tested."""
    shared = Shared(Store(redis_url), "w1", clock.monotonic)
    gate.worker._around.meters.shared = gate.worker._shared = shared  # closed when it drains
    gate.publish()
    return gate


def plan(*limits):
    return Plan(name="gold", scopes=("system:*",), limits=limits)


async def test_what_redis_admits_is_admitted(shared_gate, upstream):
    """Rate, quota and slots, asked for by requests that wait for their answer once."""
    shared_gate.plan = plan(
        Limit(name="rate", kind="rate", amount=1, window_s=3600, burst=5),
        Limit(name="q", kind="quota", amount=100, period="day"),
        Limit(name="at-once", kind="concurrency", amount=3),
    )
    shared_gate.publish()
    statuses = [(await shared_gate.ask()).status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert len(upstream.seen) == 5
    assert b"firmwire_gateway_limits_degraded 0" in shared_gate.worker.metrics()


@pytest.mark.parametrize(
    ("how", "expected"),
    [("closed", [503] * 4), ("open", [200] * 4), ("local", [200, 200, 429, 429])],
)
async def test_without_redis_each_limit_does_what_it_says(gate, how, expected):
    """Closed says that less can be served; open and local serve; the metrics tell all."""
    gate.worker._around.meters.shared = shared = Shared(
        Store("redis://127.0.0.1:1/0"), "w1", clock.monotonic
    )
    await shared._talk([], tell=True)
    gate.plan = plan(
        Limit(name="rate", kind="rate", amount=1, window_s=3600, burst=2, when_store_down=how)
    )
    gate.publish()
    answered = [await gate.ask() for _ in range(4)]
    assert [one.status for one in answered] == expected
    if how == "closed":
        assert answered[0].problem == "temporary_reduced_capacity"
        assert answered[0].headers["retry-after"] == "1"
    assert b"firmwire_gateway_limits_degraded 1" in gate.worker.metrics()
    await shared.aclose()


async def test_who_leaves_while_it_waits_costs_nothing(shared_gate, upstream):
    """No slot stays taken by somebody who is gone."""
    shared_gate.plan = plan(Limit(name="at-once", kind="concurrency", amount=1))
    shared_gate.publish()
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", shared_gate.port)
        writer.write(shared_gate.request())
        writer.transport.abort()
    ends_s = clock.monotonic() + 5
    while (await shared_gate.ask()).status != 200:
        assert clock.monotonic() < ends_s


async def test_a_worker_that_drains_gives_back_what_it_borrowed(gate, redis_url, upstream):
    """The next one need not wait for a lease to end."""
    quota = Limit(name="q", kind="quota", amount=100, period="year")
    shared = Shared(Store(redis_url), "w1", clock.monotonic)
    gate.worker._around.meters.shared = gate.worker._shared = shared
    gate.plan = plan(quota, Limit(name="rate", kind="rate", amount=100_000))
    gate.publish()
    assert [(await gate.ask()).status for _ in range(30)] == [200] * 30
    await gate.worker.drain()
    assert all(lease.tokens == 0 for lease in shared._active)
