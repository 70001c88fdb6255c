"""Several instances of a tier: who gets the next request, who rests, what is sent twice."""

import asyncio

import pytest

from chassis import clock


@pytest.fixture
async def two(gate, upstream, second_upstream):
    """A route with two instances behind it."""
    gate.urls = (*gate.urls, f"http://127.0.0.1:{second_upstream.port}")
    gate.publish()
    return upstream, second_upstream


async def cut(seen, writer):
    return False


async def test_both_instances_are_used(gate, two):
    """Lines are spread, fewest first."""
    await asyncio.gather(*(gate.ask() for _ in range(20)))
    assert all(instance.seen for instance in two)


async def test_an_instance_that_is_gone_costs_no_caller_anything(gate, two):
    """Nothing was sent to it, so the other one takes the request."""
    await two[0].stop()
    answered = [await gate.ask("POST", body=b"x") for _ in range(10)]
    assert {one.status for one in answered} == {200}
    assert len(two[1].seen) == 10


async def test_an_instance_that_cuts_lines_is_ejected(gate, two):
    """After a row of faults it is left alone, and safe requests never showed any of them."""
    two[0].answer = cut
    answered = [await gate.ask() for _ in range(40)]
    assert {one.status for one in answered} == {200}
    before = len(two[0].seen)
    assert before < 15
    for _ in range(20):
        assert (await gate.ask()).status == 200
    assert len(two[0].seen) == before


async def test_a_keyed_request_goes_again_with_its_key_and_body(gate, upstream):
    """The tier's record of keys makes it happen once."""

    async def once(seen, writer):
        upstream.answer = upstream.plain
        return False

    upstream.answer = once
    answered = await gate.ask("POST", body=b'{"a":1}', Idempotency_Key="k-1")
    assert answered.status == 200
    assert [seen.header("idempotency-key") for seen in upstream.seen] == [["k-1"], ["k-1"]]
    assert [seen.body for seen in upstream.seen] == [b'{"a":1}', b'{"a":1}']


async def test_an_unkeyed_request_never_goes_twice(gate, upstream):
    """It may have happened."""
    upstream.answer = cut
    assert (await gate.ask("POST", body=b"x")).status == 502
    assert len(upstream.seen) == 1


async def test_second_attempts_are_rationed(gate, upstream):
    """A tier in trouble gets a little more load, not twice as much."""
    upstream.answer = cut
    for _ in range(100):
        await gate.ask()
    assert len(upstream.seen) <= 100 * 1.15 + 5


async def test_a_tier_whose_every_instance_fails_is_refused_at_once_and_comes_back(
    gate, upstream
):
    """The breaker is open: no caller waits for a timeout; one probe closes it again."""
    upstream.answer = cut
    for _ in range(10):
        await gate.ask()
    seen = len(upstream.seen)
    answered = await gate.ask()
    assert (answered.status, answered.problem) == (503, "unavailable")
    assert len(upstream.seen) == seen
    upstream.answer = upstream.plain
    ends_s = clock.monotonic() + 6
    while (await gate.ask()).status != 200:
        assert clock.monotonic() < ends_s, "the tier never came back"
        await asyncio.sleep(0.05)


async def test_an_instance_that_says_it_is_unwell_is_left_alone(gate, two, eventually):
    """Its health page fails: new lines go to the other one."""

    async def unwell(seen, writer):
        status = b"503 No" if b"GET /health " in seen.head else b"200 OK"
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        return True

    two[0].answer = unwell
    gate.upstream = {"health": "/health", "health_every_s": 0.1}
    gate.publish()
    told = f'firmwire_gateway_instance_well{{upstream="system",instance="{gate.urls[0]}"}} 0'
    await eventually(lambda: told.encode() in gate.worker.metrics())
    before = [seen for seen in two[0].seen if b"/health" not in seen.head]
    for _ in range(10):
        assert (await gate.ask()).status == 200
    assert [seen for seen in two[0].seen if b"/health" not in seen.head] == before
