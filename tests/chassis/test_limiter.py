"""Not one call beyond a vendor's quota, and hardly one below."""

import asyncio

import pytest

from chassis import clock
from chassis.limiter import Limiter, Limits


async def test_never_more_at_once_than_allowed():
    """All get their turn."""
    limiter = Limiter(Limits(concurrency=3))
    inside = most = done = 0

    async def work():
        nonlocal inside, most, done
        async with limiter.place(5):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            done += 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, done) == (3, 20)


async def test_calls_are_spread_over_time():
    """Twenty calls at 200 a second take 95 ms, no two closer than 5 ms on the schedule."""
    limiter = Limiter(Limits(concurrency=50, rate_per_s=200))
    began = clock.monotonic()
    moments = []

    async def work():
        async with limiter.place(5):
            moments.append(clock.monotonic() - began)

    await asyncio.gather(*(work() for _ in range(20)))
    assert all(moment >= index / 200 - 0.002 for index, moment in enumerate(sorted(moments)))


async def test_a_burst_goes_out_together():
    """As many as allowed, then spread."""
    limiter = Limiter(Limits(concurrency=50, rate_per_s=0.5, burst=4))
    for _ in range(4):
        async with limiter.place(0.1):
            pass
    with pytest.raises(TimeoutError):
        async with limiter.place(0.1):
            pass
    assert limiter.wait_s() > 1


async def test_a_full_house_is_a_timeout():
    """And the place is free again afterwards."""
    limiter = Limiter(Limits(concurrency=1))
    async with limiter.place(1):
        with pytest.raises(TimeoutError):
            async with limiter.place(0.02):
                pass
    async with limiter.place(0.02):
        pass


async def test_a_pause_holds_for_everybody(fixed):
    """Retry-After is the peer's word."""
    limiter = Limiter()
    limiter.pause(30)
    limiter.pause(10)
    assert limiter.wait_s() == 30
    with pytest.raises(TimeoutError):
        async with limiter.place(5):
            pass
    fixed.move(30)
    async with limiter.place(5):
        pass


async def test_bulk_never_takes_all_places():
    """The lane that bills finds a free place at once."""
    limiter = Limiter(Limits(concurrency=4, bulk_share=0.5))
    async with limiter.place(1, bulk=True), limiter.place(1, bulk=True):
        with pytest.raises(TimeoutError):
            async with limiter.place(0.02, bulk=True):
                pass
        async with limiter.place(0.02), limiter.place(0.02):
            pass


async def test_a_place_given_up_while_waiting_is_not_lost():
    """Cancelled callers leave the queue."""
    limiter = Limiter(Limits(concurrency=1))
    async with limiter.place(1):

        async def waiting():
            async with limiter.place(10):
                pass

        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with limiter.place(0.02):
        pass
