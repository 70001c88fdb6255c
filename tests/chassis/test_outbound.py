"""A call ends in an answer, in `nothing happened` or in `it may have happened`; never a guess."""

import asyncio
import socket
from datetime import UTC, datetime

import httpx
import pytest
from litestar import get
from msgspec import Struct

from chassis import identity, metrics, server, travel, wire
from chassis.breaker import BreakerRules
from chassis.limiter import Lane, Limits
from chassis.outbound import INSIDE, Outbound
from chassis.service import service
from contracts.problem import Fault, Problem


class Thing(Struct):
    id: str


@pytest.fixture
async def door(peer):
    made = Outbound(peer.url, peer="shop", deadline_s=2.0)
    yield made
    await made.aclose()


@pytest.fixture
async def dead():
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        made = Outbound(f"http://127.0.0.1:{taken.getsockname()[1]}", peer="dead")
        yield made
        await made.aclose()


async def failing(call):
    with pytest.raises(Problem) as caught:
        await call
    return caught.value


async def test_an_answer_is_an_answer_whatever_it_says(door, peer, said):
    """4xx and 5xx are for the caller to read."""
    peer.answers = [said(404, b"gone", x_a="1"), said(500, b"no")]
    reply = await door.send("POST", "/a")
    assert (reply.status, reply.body, reply.headers["x-a"], reply.ok) == (404, b"gone", "1", False)
    assert (await door.send("GET", "/a")).status == 500
    assert len(peer.requests) == 2


async def test_query_json_form_and_headers_reach_the_wire(door, peer):
    """None is left out, lists are repeated, booleans and dates are words."""
    at = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    query = {"a": [1, 2], "none": None, "yes": True, "at": at, "s": "x y"}
    await door.send("GET", "/find", query=query, headers={"X-One": "1"})
    await door.send("POST", "/make", json=Thing("7"))
    await door.send("POST", "/form", form={"grant_type": "x"})
    first, second, third = peer.requests
    assert first.startswith(
        b"GET /find?a=1&a=2&yes=true&at=2026-11-02T08%3A00%3A00Z&s=x+y HTTP/1.1\r\n"
    ) or first.startswith(
        b"GET /find?a=1&a=2&yes=true&at=2026-11-02T08%3A00%3A00Z&s=x%20y HTTP/1.1\r\n"
    )
    assert b"x-one: 1" in first.lower()
    assert second.endswith(b'\r\n\r\n{"id":"7"}')
    assert b"content-type: application/json" in second.lower()
    assert third.endswith(b"\r\n\r\ngrant_type=x")


async def test_a_complete_address_is_followed(door, peer):
    """A vendor's `next` link."""
    await door.send("GET", f"{peer.url}/page/2?x=1")
    assert peer.requests[0].startswith(b"GET /page/2?x=1 ")


async def test_json_is_a_shape_or_confusion(door, peer, said):
    """VENDOR_CONFUSED is ambiguous: the write before it may have happened."""
    peer.answers = [said(200, b'{"id":"7"}'), said(200, b"<html>")]
    assert (await door.send("GET", "/")).json(Thing) == Thing("7")
    reply = await door.send("GET", "/")
    with pytest.raises(Problem) as caught:
        reply.json(Thing)
    assert caught.value.fault is Fault.VENDOR_CONFUSED
    assert caught.value.ambiguous


async def test_refused_connection_means_nothing_was_done(dead):
    """Also for a write."""
    problem = await failing(dead.send("POST", "/"))
    assert problem.fault is Fault.VENDOR_DOWN
    assert not problem.ambiguous
    assert "Connection refused" in problem.because
    assert "Connection refused" not in problem.say


async def test_unknown_host_means_nothing_was_done():
    """DNS."""
    door = Outbound("http://nowhere.invalid", peer="nowhere")
    assert (await failing(door.send("POST", "/"))).fault is Fault.VENDOR_DOWN
    await door.aclose()


@pytest.mark.parametrize(
    "answer",
    [b"", None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"nonsense\r\n\r\n"],
    ids=["cut", "never", "half", "nonsense"],
)
async def test_a_line_lost_after_sending_is_ambiguous(door, peer, answer):
    """The client underneath calls this a connect error; we must not believe it."""
    peer.answers = [answer]
    problem = await failing(door.send("POST", "/", deadline_s=0.3))
    assert problem.fault is Fault.VENDOR_SILENT
    assert problem.ambiguous
    assert len(peer.requests) == 1


async def test_a_safe_call_is_tried_again_a_write_is_not(door, peer, said):
    """Unless the caller vouches that the write is idempotent."""
    peer.answers = [b"", said(200, b"1")]
    assert (await door.send("GET", "/")).status == 200
    peer.answers = [said(503), said(200, b"1")]
    assert (await door.send("PUT", "/", safe=True)).status == 200
    peer.answers = [said(503), said(200, b"1")]
    assert (await door.send("POST", "/")).status == 503
    assert len(peer.requests) == 5


async def test_at_most_three_attempts(door, peer, said):
    """Then the last answer counts."""
    peer.answers = [said(502)]
    assert (await door.send("GET", "/")).status == 502
    assert len(peer.requests) == 3


async def test_a_quiet_asked_for_is_kept_by_all(door, peer, said):
    """429 with Retry-After: who cannot wait is told how long, and nothing is sent."""
    peer.answers = [said(429, retry_after="30")]
    assert (await door.send("POST", "/")).retry_after_s() == 30
    with travel.in_lane(Lane.POSTING):
        problem = await failing(door.send("POST", "/"))
    assert problem.fault is Fault.VENDOR_THROTTLED
    assert 25 < problem.retry_after_s <= 30
    assert len(peer.requests) == 1


async def test_the_travelling_deadline_cuts_the_own(door, peer):
    """The caller's caller has given up: so do we, and say that nothing was sent."""
    peer.answers = [None]
    with travel.using(travel.begin(deadline_s=0.2)):
        began = asyncio.get_running_loop().time()
        assert (await failing(door.send("POST", "/"))).fault is Fault.VENDOR_SILENT
        assert asyncio.get_running_loop().time() - began < 1
    with travel.using(travel.begin(deadline_s=0.0)):
        assert (await failing(door.send("POST", "/"))).fault is Fault.VENDOR_DOWN
    assert len(peer.requests) == 1


async def test_an_open_breaker_sends_nothing(peer):
    """Until its rest is over; then one probe closes it again."""
    rules = BreakerRules(consecutive=2, open_s=0.2)
    door = Outbound(peer.url, peer="breaking", breaker=rules)
    peer.answers = [b"", b"", peer.answers[0]]
    for _ in range(2):
        assert (await failing(door.send("POST", "/"))).fault is Fault.VENDOR_SILENT
    problem = await failing(door.send("POST", "/"))
    assert problem.fault is Fault.VENDOR_DOWN
    assert 0 < problem.retry_after_s <= 0.2
    assert len(peer.requests) == 2
    until = asyncio.get_running_loop().time() + 5
    while door.breaker.open and asyncio.get_running_loop().time() < until:
        try:
            await door.send("POST", "/")
        except Problem:
            await asyncio.sleep(0.02)
    assert not door.breaker.open
    await door.aclose()


async def test_the_quota_holds_on_the_wire(peer):
    """Never more at once than allowed, counted by the peer."""
    door = Outbound(peer.url, peer="quota", limits=Limits(concurrency=3), deadline_s=5)
    peer.hold.clear()
    with travel.in_lane(Lane.POSTING):
        calls = [asyncio.create_task(door.send("GET", "/")) for _ in range(12)]
    while peer.at_once < 3:
        await asyncio.sleep(0.005)
    peer.hold.set()
    replies = await asyncio.gather(*calls)
    assert [reply.status for reply in replies] == [200] * 12
    assert peer.most_at_once == 3
    await door.aclose()


async def test_every_attempt_is_signed_anew(peer, said):
    """A 401 fetches a new token once, also for a write: nothing was done."""
    signed, refreshed = [], []

    async def auth(call):
        signed.append((call.method, call.url, call.body))
        return {"Authorization": f"Bearer {len(refreshed)}"}

    async def refused():
        refreshed.append(1)
        return True

    door = Outbound(peer.url, peer="signed", auth=auth, refused=refused)
    peer.answers = [said(401), said(200)]
    assert (await door.send("POST", "/x", query={"a": 1}, body=b"b")).status == 200
    assert signed == [("POST", f"{peer.url}/x?a=1", b"b")] * 2
    assert b"Bearer 1" in peer.requests[1]
    peer.answers = [said(401)]
    assert (await door.send("POST", "/x")).status == 401
    assert len(peer.requests) == 4
    await door.aclose()


async def test_ids_travel_inside_the_house_and_not_to_vendors(door, peer):
    """A vendor learns nothing of us."""
    inside = Outbound(peer.url, peer="inside", words=INSIDE)
    with travel.using(travel.begin(correlation_id="c-1", deadline_s=5)):
        await door.send("GET", "/")
        await inside.send("GET", "/")
    vendor, own = (request.lower() for request in peer.requests)
    assert b"firmwire" not in vendor
    assert b"traceparent" not in vendor
    assert b"firmwire-correlation-id: c-1" in own
    assert b"firmwire-deadline-ms: " in own
    assert b"traceparent: 00-" in own
    await inside.aclose()


async def test_inside_the_house_the_faults_are_our_own(peer):
    """UNAVAILABLE and UPSTREAM_BROKEN instead of the vendor's."""
    inside = Outbound(peer.url, peer="inside", words=INSIDE)
    peer.answers = [b""]
    assert (await failing(inside.send("POST", "/"))).fault is Fault.UPSTREAM_BROKEN
    await inside.aclose()


async def test_calls_are_counted_by_outcome(door, peer, said, dead):
    """What an operator looks at first."""
    await door.send("GET", "/")
    await failing(dead.send("POST", "/"))
    text = metrics.exposition().decode()
    assert 'firmwire_outbound_requests_total{outcome="2xx",peer="shop"}' in text
    assert 'firmwire_outbound_requests_total{outcome="down",peer="dead"}' in text


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0), (None, None), ("", None), ("soon", None),
        ("Mon, 02 Nov 2026 08:01:00 GMT", 60.0), ("Mon, 02 Nov 2026 07:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header, expected):
    """RFC 9110, 10.2.3."""
    assert wire.retry_after_s(header, datetime(2026, 11, 2, 8, 0, tzinfo=UTC)) == expected


def test_other_transports_keep_their_own_word():
    """httpx without pyreqwest underneath."""
    request = httpx.Request("GET", "http://x")
    assert not wire.may_have_been_sent(httpx.ConnectError("x", request=request))
    assert wire.may_have_been_sent(httpx.ReadError("x", request=request))
    assert "ReadError" in wire.because(httpx.ReadError("x", request=request))
    assert wire.query(None) is None


async def test_the_lane_of_a_request_is_kept_at_the_vendor(peer, said, signer, verifier):
    """Over two hops: the vendor asked for quiet, a screen is refused at once, posting waits."""
    door = Outbound(peer.url, peer="quiet", deadline_s=5)
    peer.answers = [said(429, retry_after="1"), said(200)]

    @get("/ask", opt={"scope": "shop:read"})
    async def ask() -> int:
        return (await door.send("POST", "/")).status

    async with server.serving(service("shop", handlers=[ask], verifier=verifier)) as url:
        proof = {identity.HEADER: signer.assertion("ann", frozenset({"shop:read"}))}
        tier = Outbound(url, peer="tier", words=INSIDE, headers=proof, deadline_s=5)
        with travel.using(travel.begin(lane=Lane.POSTING)):
            assert (await tier.send("GET", "/ask")).json(int) == 429
        with travel.using(travel.begin(lane=Lane.INTERACTIVE)):
            refused = await tier.send("GET", "/ask", safe=False)
        assert (refused.status, refused.retry_after_s()) == (429, 1.0)
        assert len(peer.requests) == 1
        with travel.using(travel.begin(lane=Lane.POSTING)):
            assert (await tier.send("GET", "/ask")).json(int) == 200
        await tier.aclose()
    await door.aclose()


async def test_a_call_that_is_cancelled_ends(peer, said):
    """Also in the moment its reply comes: whoever calls again and again stops when told to."""
    door = Outbound(peer.url, peer="cancelled", deadline_s=5)
    peer.answers = [said(200)] * 10_000

    async def calling():
        while True:
            await door.send("GET", "/")

    for number in range(100):
        task = asyncio.create_task(calling())
        await asyncio.sleep(0.0003 * (number % 40))
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        if not done:  # the next cancel may reach it
            while not task.done():
                task.cancel()
                await asyncio.sleep(0.001)
        assert done, f"cancelled, and yet it went on calling ({number})"
    await door.aclose()
