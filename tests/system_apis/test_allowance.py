"""What a vendor says of its quota is believed, kept to and told, over a real socket."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from worlds import CONNECTORS, open_world

from chassis import clock, travel
from chassis.limiter import Lane
from contracts.problem import Fault, Problem


@pytest.fixture
async def worlds(request):
    """`await worlds("netsuite")`"""
    async with AsyncExitStack() as stack:
        yield lambda vendor: stack.enter_async_context(open_world(request, vendor))


async def until(condition, within_s=5.0):
    ends_s = clock.monotonic() + within_s
    while not condition():
        assert clock.monotonic() < ends_s
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("account", "at_once"),
    [
        ({"concurrency_limit": 5}, 5),
        ({"concurrency_limit": 5, "unallocated_limit": 3}, 3),
        ({"concurrency_limit": 20, "unallocated_limit": 8, "integration_limit": 2}, 2),
        ({"concurrency_limit": 99}, 15),
    ],
)
async def test_netsuite_says_how_many_calls_at_once(worlds, account, at_once):
    """Of our integration, else what all without a share of their own have; never above ours."""
    world = await worlds("netsuite")
    world.there.store.put("setting", "account", account)
    assert (await world.connector.quota()).concurrency == at_once
    assert world.connector.allowance.known().source == "VENDOR"
    assert world.connector.allowance.known().told_at is not None


async def test_what_only_administrators_may_ask_leaves_ours(worlds):
    """An integration user gets 403: that is no trouble."""
    world = await worlds("netsuite")
    kid = world.there.store.get("certificate", "kid")
    world.there.store.put("certificate", "kid", kid | {"denied": ["governanceLimits"]})
    quota = await world.connector.quota()
    assert (quota.concurrency, quota.source, quota.told_at) == (15, "CONFIGURED", None)


async def test_what_netsuite_grants_is_never_exceeded(worlds):
    """Twelve calls to an account with three places: all are served, not one refused."""
    world = await worlds("netsuite")
    world.there.store.put("setting", "account", {"concurrency_limit": 3})
    await world.connector.allowance.ask()
    world.there.strike("latency", "GET", "/services/rest/record", None, ms=100)
    with travel.in_lane(Lane.POSTING):
        found = await asyncio.gather(*(world.connector.invoice("404") for _ in range(12)))
    assert found == [None] * 12
    answers = {outcome for row in world.there.house.counted() for outcome in row["outcomes"]}
    assert "429" not in answers
    assert world.connector.allowance.known().lanes[0].waited == 9


async def test_who_asks_now_and_then_hears_that_there_is_more(worlds):
    """A licence was bought: the places grow without a restart; a vendor that is away changes
    nothing, and nobody stops asking."""
    world = await worlds("netsuite")
    known = world.connector.allowance.known
    world.there.store.put("setting", "account", {"concurrency_limit": 5})
    asking = asyncio.create_task(world.connector.allowance.keep_asking("netsuite", 0.02))
    try:
        await until(lambda: known().concurrency == 5)
        world.there.strike("maintenance", "GET", "/services/rest/system", None)
        world.there.store.put("setting", "account", {"concurrency_limit": 7})
        await asyncio.sleep(0)
        assert known().concurrency == 5
        world.there.calm()
        await until(lambda: known().concurrency == 7)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_salesforce_says_how_many_calls_are_left(worlds):
    """Asked at the start, told by every answer after; `known` costs no call."""
    world = await worlds("salesforce")
    assert world.connector.allowance.known().left is None
    first = await world.connector.quota()
    assert (first.per_window, first.window_s, first.source) == (100_000, 86_400, "VENDOR")
    assert first.left == 100_000 - first.used
    again = await world.connector.quota()
    assert again.used == first.used
    await world.connector.health()
    assert world.connector.allowance.known().used == first.used + 1


async def test_a_screen_is_shed_when_little_is_left_and_posting_goes_on(worlds):
    """The refusal says when to come again, and it is counted."""
    world = await worlds("salesforce")
    world.there.store.put("setting", "org", {"daily_limit": 10})
    world.there.store.put("usage", f"usage.{clock.now():%Y-%m-%d}", {"calls": 8})
    await world.connector.allowance.ask()
    with travel.in_lane(Lane.INTERACTIVE), pytest.raises(Problem) as caught:
        await world.connector.client_by_reference("CL-1")
    assert caught.value.fault is Fault.RATE_LIMITED
    assert 0 < caught.value.retry_after_s <= 60
    with travel.in_lane(Lane.POSTING):
        assert await world.connector.client_by_reference("CL-1") is not None
    lanes = {lane.lane: lane for lane in world.connector.allowance.known().lanes}
    assert [lanes[name].shed for name in ("posting", "interactive")] == [0, 1]
    assert lanes["interactive"].quiet_until > clock.now()
    assert lanes["posting"].quiet_until is None


@pytest.mark.parametrize("vendor", sorted(set(CONNECTORS) - {"netsuite", "salesforce", "tryton"}))
async def test_a_vendor_that_tells_nothing_is_known_by_what_is_configured(worlds, vendor):
    """And nobody asks it; there is one lane of each name, first things first."""
    world = await worlds(vendor)
    await asyncio.wait_for(world.connector.allowance.keep_asking(vendor, 60), 1)
    quota = await world.connector.quota()
    assert (quota.source, quota.left, quota.told_at) == ("CONFIGURED", None, None)
    assert [lane.lane for lane in quota.lanes] == ["posting", "interactive", "sync", "bulk"]


@pytest.mark.parametrize("vendor", ["float", "kantata", "netsuite", "workday"])
async def test_a_429_without_a_word_is_a_short_quiet(worlds, vendor):
    """Of all lanes; nothing is made up of what the vendor would allow."""
    world = await worlds(vendor)
    await world.fault("rate_limited")
    with pytest.raises(Problem):
        await world.connector.changes(world.own.STREAM)
    known = world.connector.allowance.known()
    assert all(lane.quiet_until > clock.now() for lane in known.lanes)
    assert (known.source, known.left) == ("CONFIGURED", None)
