"""Not one call beyond a vendor's quota, and hardly one below."""

import asyncio

import pytest

from chassis import clock
from chassis.limiter import Lane, Limiter, Limits, Shed


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
    async with limiter.place(1, lane=Lane.BULK), limiter.place(1, lane=Lane.BULK):
        with pytest.raises(TimeoutError):
            async with limiter.place(0.02, lane=Lane.BULK):
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


LOWER = {Lane.POSTING: 16, Lane.INTERACTIVE: 14, Lane.SYNC: 11, Lane.BULK: 8}


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_lane_leaves_alone_what_is_kept_for_those_above(lane):
    """However many come in a lane and below it, its share of the places is all they get."""
    limiter, free = Limiter(Limits(concurrency=16)), asyncio.Event()
    inside = {each: 0 for each in Lane}

    async def work(each):
        async with limiter.place(60, lane=each):
            inside[each] += 1
            await free.wait()

    below = list(Lane)[list(Lane).index(lane) :]
    tasks = [asyncio.create_task(work(each)) for _ in range(20) for each in below]
    await settled()
    assert sum(inside.values()) == LOWER[lane]
    for higher in list(Lane)[: list(Lane).index(lane)]:
        async with limiter.place(0.02, lane=higher):
            pass
    free.set()
    await asyncio.gather(*tasks)
    assert set(inside.values()) == {0, 20} or set(inside.values()) == {20}


async def test_a_queue_of_bulk_takes_no_moment_of_posting():
    """Bulk's moments far ahead do not move the next free moment of the lane that bills."""
    limiter = Limiter(Limits(concurrency=50, rate_per_s=20, bulk_share=0.1))

    async def work():
        async with limiter.place(60, lane=Lane.BULK):
            pass

    tasks = [asyncio.create_task(work()) for _ in range(5)]
    await settled()
    assert limiter.wait_s(Lane.BULK) > 0.3
    assert limiter.wait_s(Lane.POSTING) <= 0.05
    async with limiter.place(0.2):
        pass
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_left_of_a_quota_is_for_posting(fixed):
    """Screens are told at once how long, feeds wait, invoices go out; until the peer says more."""
    limiter = Limiter()
    limiter.told(0.09, for_s=30)
    with pytest.raises(Shed) as shed:
        async with limiter.place(100, lane=Lane.INTERACTIVE):
            pass
    assert shed.value.wait_s == 30
    for lane in (Lane.SYNC, Lane.BULK):
        with pytest.raises(TimeoutError):
            async with limiter.place(5, lane=lane):
                pass
    async with limiter.place(5, lane=Lane.POSTING):
        pass
    limiter.told(0.2)
    for lane in Lane:
        async with limiter.place(5, lane=lane):
            pass


async def test_a_screen_is_given_up_first(fixed):
    """While a fifth is left, feeds and journeys go on; whoever looks at a screen asks later."""
    limiter = Limiter()
    limiter.told(0.15, for_s=30)
    with pytest.raises(Shed):
        async with limiter.place(100, lane=Lane.INTERACTIVE):
            pass
    with pytest.raises(TimeoutError):
        async with limiter.place(5, lane=Lane.BULK):
            pass
    for lane in (Lane.SYNC, Lane.POSTING):
        async with limiter.place(5, lane=lane):
            pass


async def test_the_last_of_a_quota_is_not_kept_for_ever(fixed):
    """Only an answer tells that there is more again, so somebody has to ask."""
    limiter = Limiter()
    limiter.told(0.0, for_s=30)
    fixed.move(30)
    async with limiter.place(5, lane=Lane.INTERACTIVE):
        pass


async def test_quiet_is_not_waited_for_at_a_screen(fixed):
    """The peer asked for quiet: INTERACTIVE is refused even when it had the time."""
    limiter = Limiter()
    limiter.pause(2)
    with pytest.raises(Shed):
        async with limiter.place(5, lane=Lane.INTERACTIVE):
            pass


def test_no_lane_has_less_than_one_below():
    """Whatever a connector chose for bulk."""
    rules = Limits(bulk_share=0.95)
    assert [rules.share(lane) for lane in Lane] == [1.0, 0.95, 0.95, 0.95]


async def settled():
    """Every task has come as far as it can without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def inside(limiter, told, name, lane=Lane.POSTING):
    """Holds a place until told otherwise; its name is in `told` once it has one."""
    async with limiter.place(5, lane=lane):
        told.append(name)
        await asyncio.Event().wait()


async def until(condition):
    ends_s = clock.monotonic() + 2
    while not condition():
        assert clock.monotonic() < ends_s
        await asyncio.sleep(0.005)


async def test_more_places_go_to_those_who_wait_longest():
    """Nobody loses a turn, and nobody who comes later overtakes."""
    limiter, told = Limiter(Limits(concurrency=1)), []
    tasks = [asyncio.create_task(inside(limiter, told, number)) for number in range(5)]
    await until(lambda: told == [0])
    assert limiter.use(Lane.POSTING).waiting == 4
    limiter.resize(Limits(concurrency=3))
    tasks.append(asyncio.create_task(inside(limiter, told, "late")))
    await until(lambda: len(told) == 3)
    assert (told, limiter.in_use) == ([0, 1, 2], 3)
    limiter.resize(Limits(concurrency=9))
    await until(lambda: len(told) == 6)
    assert told == [0, 1, 2, 3, 4, "late"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (limiter.in_use, limiter.use(Lane.POSTING).waiting) == (0, 0)


async def test_fewer_places_come_true_as_calls_come_back():
    """Who is out stays out; the next goes when there are fewer out than allowed."""
    limiter, told = Limiter(Limits(concurrency=3)), []
    tasks = [asyncio.create_task(inside(limiter, told, number)) for number in range(4)]
    await until(lambda: len(told) == 3)
    limiter.resize(Limits(concurrency=1))
    for task in tasks[:2]:
        task.cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    await asyncio.sleep(0)
    assert (told, limiter.in_use) == ([0, 1, 2], 1)
    tasks[2].cancel()
    await until(lambda: told == [0, 1, 2, 3])
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_gives_up_waiting_leaves_its_turn_to_the_next():
    """Also in the very moment in which the place comes: no place is ever lost."""
    limiter, told = Limiter(Limits(concurrency=1)), []
    tasks = [asyncio.create_task(inside(limiter, told, number)) for number in range(4)]
    await until(lambda: told == [0])
    tasks[1].cancel()
    tasks[0].cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    tasks[2].cancel()  # It may have the place by now, and not know it yet.
    await until(lambda: told[-1] == 3)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with limiter.place(0.1):
        assert limiter.in_use == 1
    assert limiter.in_use == 0


async def test_another_pace_holds_from_the_next_call_on():
    """Free without one; held to the old moments again when it is back."""
    limiter = Limiter(Limits(concurrency=9, rate_per_s=0.1))
    async with limiter.place(1):
        pass
    assert limiter.wait_s() > 5
    limiter.resize(Limits(concurrency=9))
    async with limiter.place(0.1):
        pass
    limiter.resize(Limits(concurrency=9, rate_per_s=0.1))
    with pytest.raises(TimeoutError):
        async with limiter.place(0.1):
            pass


async def test_each_lane_is_counted_apart():
    """Who waits, who had to, who was refused, and for how long a lane is quiet."""
    limiter = Limiter(Limits(concurrency=1))
    limiter.told(0.15, for_s=30)
    with pytest.raises(Shed):
        async with limiter.place(1, lane=Lane.INTERACTIVE):
            pass
    async with limiter.place(1):
        with pytest.raises(TimeoutError):
            async with limiter.place(0.1):
                pass
    posting, screens = limiter.use(Lane.POSTING), limiter.use(Lane.INTERACTIVE)
    assert (posting.waited, posting.shed, posting.quiet_s) == (1, 0, 0)
    assert (screens.waited, screens.shed) == (0, 1)
    assert 29 < screens.quiet_s <= 30
