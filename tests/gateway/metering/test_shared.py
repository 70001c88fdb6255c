"""Several workers and one limit: never more than it says, and Redis is hardly ever asked."""

import asyncio
import random

import pytest

from chassis import clock
from contracts.ids import uuid7
from gateway.metering.limit import Limit


def named() -> str:
    """A consumer nobody counted before."""
    return f"c{uuid7(clock.now())}"


def rate(amount, **more):
    return Limit(**{"name": "rate", "kind": "rate", "amount": amount, **more})


async def offered(worker, bound, per_s, seconds, admitted, seed):
    """Requests at random, so many a second, each in its own task as on the wire."""
    rng, begins_s, due_s = random.Random(seed), clock.monotonic(), 0.0

    async def one():
        if await worker.admit(bound):
            admitted.append(clock.monotonic())

    async with asyncio.TaskGroup() as tasks:
        while due_s < seconds:
            await asyncio.sleep(max(0.0, begins_s + due_s - clock.monotonic()))
            tasks.create_task(one())
            due_s += rng.expovariate(per_s)


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_one_worker_gives_exactly_the_burst(worker_of, where):
    """The same law wherever it is counted."""
    worker = worker_of(named(), url="" if where == "memory" else None)
    bound = worker.bind(rate(1, window_s=3600, burst=20), consumer=named())
    found = [await worker.admit(bound) for _ in range(25)]
    assert found == [True] * 20 + [False] * 5


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_a_quota_and_a_rate_are_charged_together_or_not(worker_of, where):
    """What the quota refuses costs no rate."""
    worker = worker_of(named(), url="" if where == "memory" else None)
    wide = rate(1, window_s=3600, burst=9, name="wide")
    consumer = named()
    both = worker.bind(
        wide, Limit(name="q", kind="quota", amount=4, period="year"), consumer=consumer
    )
    assert [await worker.admit(both) for _ in range(8)] == [True] * 4 + [False] * 4
    alone = worker.bind(wide, consumer=consumer)
    assert [await worker.admit(alone) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_a_cost_above_the_burst_never_passes_and_burns_nothing(worker_of, where):
    """Rejected for good."""
    worker = worker_of(named(), url="" if where == "memory" else None)
    bound = worker.bind(rate(1, window_s=3600, burst=5), consumer=named())
    assert [await worker.admit(bound, 6) for _ in range(3)] == [False] * 3
    assert [await worker.admit(bound, cost) for cost in (3, 3, 2)] == [True, False, True]


async def test_three_workers_share_one_burst(worker_of):
    """Whoever of them is asked."""
    consumer, limit = named(), rate(1, window_s=3600, burst=30)
    workers = [worker_of(named()) for _ in range(3)]
    bounds = [worker.bind(limit, consumer=consumer) for worker in workers]
    admitted = 0
    for turn in range(120):
        admitted += await workers[turn % 3].admit(bounds[turn % 3])
    assert admitted <= 30
    assert admitted >= 27


async def test_three_workers_share_one_quota_to_the_last(worker_of):
    """What one holds unused it gives back, and another may have it."""
    consumer, limit = named(), Limit(name="q", kind="quota", amount=100, period="year")
    workers = [worker_of(named()) for _ in range(3)]
    bounds = [worker.bind(limit, consumer=consumer) for worker in workers]
    admitted, ends_s = 0, clock.monotonic() + 15
    while admitted < 100 and clock.monotonic() < ends_s:
        for worker, bound in zip(workers, bounds, strict=True):
            admitted += await worker.admit(bound)
        await asyncio.sleep(0.002)
    assert admitted == 100
    assert not any([await w.admit(b) for w, b in zip(workers, bounds, strict=True)])


@pytest.mark.parametrize("load", [0.9, 1, 2, 10])
async def test_never_more_than_the_limit_in_any_span(worker_of, load):
    """Three workers, at less, at, and far above the limit: not one too many, and hardly too few."""
    per_s, burst, seconds, consumer = 400, 100, 2.5, named()
    limit = rate(per_s, burst=burst)
    workers = [worker_of(named()) for _ in range(3)]
    admitted: list[float] = []
    begins_s = clock.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number, worker in enumerate(workers):
            bound = worker.bind(limit, consumer=consumer)
            tasks.create_task(offered(worker, bound, per_s * load / 3, seconds, admitted, number))
    took_s = clock.monotonic() - begins_s
    assert len(admitted) <= burst + per_s * took_s
    admitted.sort()
    for first in range(0, len(admitted), 7):
        for last in range(first, len(admitted), 11):
            span_s = admitted[last] - admitted[first]
            # What is decided is written down a moment later.
            assert last - first + 1 <= burst + per_s * (span_s + 0.05)
    asked = per_s * load * seconds
    if not any(w.shared.failures for w in workers):  # on a machine that is not overloaded
        assert len(admitted) >= 0.9 * min(asked, burst + per_s * seconds)
    assert sum(w.shared.calls for w in workers) < asked / 4


async def test_slots_are_shared_and_come_back(worker_of):
    """At the same time, over all workers; a slot that is free is free for the other."""
    consumer, limit = named(), Limit(name="at-once", kind="concurrency", amount=5)
    one, other = worker_of(named()), worker_of(named())
    mine, theirs = one.bind(limit, consumer=consumer), other.bind(limit, consumer=consumer)
    assert [await one.admit(mine) for _ in range(6)] == [True] * 5 + [False]
    assert not await other.admit(theirs)
    for _ in range(5):
        mine.gauges[0].done()
    ends_s, admitted = clock.monotonic() + 10, 0
    while admitted < 5 and clock.monotonic() < ends_s:
        admitted += await other.admit(theirs)
        await asyncio.sleep(0.02)
    assert (admitted, await other.admit(theirs), await one.admit(mine)) == (5, False, False)


async def test_a_generation_begins_anew_for_all_workers(worker_of):
    """A reset needs nobody to delete anything."""
    from gateway.metering.limit import Adjusted

    consumer, limit = named(), rate(1, window_s=3600, burst=4)
    workers = [worker_of(named()) for _ in range(2)]
    for generation in range(2):
        for worker in workers:
            worker.meters.adjust((Adjusted(consumer, "p", "rate", generation),))
        bounds = [worker.bind(limit, consumer=consumer) for worker in workers]
        found = [await workers[n % 2].admit(bounds[n % 2]) for n in range(8)]
        assert sum(found) == 4
