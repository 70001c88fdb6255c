"""What a policy may do besides turning away: answer by itself, rewrite bodies, send elsewhere."""

import asyncio

import pytest
from msgspec import Struct

from contracts.problem import Fault, Problem
from gateway.policy import Answer, Policy, Reply, Stage


class Nothing(Struct, frozen=True):
    pass


@pytest.fixture
def probe(gate):
    """Put a policy of the test's own in force, in the stage TRANSLATE."""

    def put(on_request, **more):
        bound = type("Probe", (), {"on_request": staticmethod(on_request), **more})
        policy = Policy(Stage.TRANSLATE, Nothing, lambda config, tools: bound)
        gate.worker._policies = {**gate.worker._policies, "probe": policy}
        gate.route = {"policies": {
            "authenticate": {}, "authorise": {"scope": "system"}, "meter": {},
            "probe": {}, "size_limit": {"limit_bytes": 300_000},
        }}  # fmt: skip
        gate.publish()

    return put


def upper(x, body):
    return body.upper()


def doubled(x, reply):
    return Reply(reply.status, [*reply.headers, (b"x-seen", b"yes")], reply.body * 2)


async def test_an_answer_is_given_without_anyone_upstream(gate, upstream, probe, reply_from):
    """Status, headers and body of the policy; what other policies add; the line stays open."""

    def on_request(x):
        x.answer = Answer(200, [(b"etag", b'"1"'), (b"content-length", b"9")], b"cached")

    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    async with asyncio.timeout(5):
        for method in ("GET", "HEAD", "GET"):
            writer.write(gate.request(method))
            answered = await reply_from(reader, bodiless=method == "HEAD")
            assert answered.status == 200
            assert answered.headers["content-length"] == "6"
            assert answered.headers["etag"] == '"1"'
            assert "ratelimit" in answered.headers
            assert answered.body == (b"" if method == "HEAD" else b"cached")
    writer.close()
    assert upstream.seen == []


async def test_a_304_answer_has_no_body_and_keeps_the_line(gate, probe, reply_from):
    """A revalidated copy costs the upstream nothing."""

    def on_request(x):
        x.answer = Answer(304, [(b"etag", b'"1"')], b"never sent")

    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    async with asyncio.timeout(5):
        for _ in range(2):
            writer.write(gate.request())
            assert (await reply_from(reader)).status == 304
    writer.close()


async def test_an_answer_before_the_body_came_closes_the_line(gate, upstream, probe):
    """Nobody waits for a body nobody reads, and it is never taken for a request."""

    def on_request(x):
        x.answer = Answer(200, (), b"enough")

    probe(on_request)
    head = gate.request("POST", Transfer_Encoding="chunked")
    seen = await gate.raw(head + b"10000\r\n" + b"x" * 65_536 + b"\r\n0\r\n\r\n" + gate.request())
    assert seen.endswith(b"enough")
    assert b"connection: close" in seen
    assert seen.count(b"HTTP/1.1 200") == 1
    assert upstream.seen == []


async def test_nothing_runs_behind_an_answer(gate, probe):
    """The walk stops: what stands further down is not asked."""
    asked = []

    def on_request(x):
        x.answer = Answer(204)

    probe(on_request)
    later = Policy(
        Stage.REUSE, Nothing,
        lambda config, tools: type("L", (), {"on_request": staticmethod(asked.append)}),
        always=True,
    )  # fmt: skip
    gate.worker._policies = {**gate.worker._policies, "later": later}
    gate.publish()
    assert (await gate.ask()).status == 204
    assert asked == []


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 3, 200_000])
async def test_a_request_body_is_rewritten_whole(gate, upstream, probe, chunked, size):
    """However it was framed, it goes on with a length of its own."""

    def on_request(x):
        x.rewrite_request = upper

    probe(on_request)
    body = b"a" * size
    if chunked:
        pieces = [body[at : at + 1000] for at in range(0, size, 1000)]
        wire = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        sent = gate.request("POST", Transfer_Encoding="chunked", Connection="close") + wire
    else:
        sent = gate.request("POST", body=body, Connection="close")
    assert (await gate.raw(sent)).startswith(b"HTTP/1.1 200 ")
    (seen,) = upstream.seen
    assert seen.body == body.upper()
    assert seen.header("transfer-encoding") == []
    assert seen.header("content-length") == ([] if chunked and not size else [str(size)])


async def test_a_rewritten_body_that_comes_slowly_and_after_100_continue(
    gate, upstream, probe, reply_from
):
    """It is asked for, collected, and sent once it is whole; the line stays usable."""

    def on_request(x):
        x.rewrite_request = upper

    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    head = gate.request("POST", body=b"abcdef", Expect="100-continue").removesuffix(b"abcdef")
    async with asyncio.timeout(5):
        for _ in range(2):
            writer.write(head)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            for letter in b"abcdef":
                writer.write(bytes([letter]))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reply_from(reader)).status == 200
    writer.close()
    assert [one.body for one in upstream.seen] == [b"ABCDEF"] * 2


async def test_a_request_without_a_body_is_rewritten_into_one(gate, upstream, probe):
    """The policy is asked once, with nothing in hand."""

    def on_request(x):
        x.rewrite_request = lambda x, body: b"made" + body

    probe(on_request)
    assert (await gate.ask()).status == 200
    assert upstream.seen[0].body == b"made"


async def test_pipelined_bodies_wait_and_are_rewritten_in_order(gate, upstream, probe, reply_from):
    """A body that came before its turn is collected all the same."""

    def on_request(x):
        x.rewrite_request = upper

    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"".join(gate.request("POST", body=b"b" * n) for n in (0, 1, 70_000, 150_000, 2)))
    async with asyncio.timeout(10):
        for _ in range(5):
            assert (await reply_from(reader)).status == 200
    writer.close()
    assert [len(one.body) for one in upstream.seen] == [0, 1, 70_000, 150_000, 2]
    assert {byte for one in upstream.seen for byte in one.body} == set(b"B")


async def test_a_body_too_large_to_rewrite_is_refused(gate, upstream, probe):
    """The bound is the route's, told or untold."""

    def on_request(x):
        x.rewrite_request = upper

    probe(on_request)
    assert (await gate.ask("POST", body=b"x" * 300_001)).status == 413
    head = gate.request("POST", Transfer_Encoding="chunked")
    seen = await gate.raw(head + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 5)
    assert seen.startswith(b"HTTP/1.1 413 ")
    assert upstream.seen == []


async def test_a_body_that_cannot_be_rewritten_is_the_callers_problem(gate, upstream, probe):
    """The policy's problem is the answer; a policy that breaks is a 500."""

    def on_request(x):
        x.rewrite_request = lambda x, body: Problem(Fault.INVALID, "This field is gone.")

    probe(on_request)
    answered = await gate.ask("POST", body=b"{}")
    assert (answered.status, answered.problem) == (422, "invalid")

    assert upstream.seen == []

    def breaks(x):
        x.rewrite_request = lambda x, body: body if body == b"{}" else 1 / 0

    probe(breaks)
    fine, broken = gate.request("POST", body=b"{}"), gate.request("POST", body=b"[]")
    assert (await gate.raw(broken + fine)).startswith(b"HTTP/1.1 500 ")
    seen = await gate.raw(fine + broken + fine)
    assert [part[:3] for part in seen.split(b"HTTP/1.1 ")[1:]] == [b"200", b"500"]


REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nab",
    "chunked": b"HTTP/1.1 200 K\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab",
    "interim": b"HTTP/1.1 103 H\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_a_reply_is_rewritten_whole(gate, upstream, probe, reply):
    """However it was framed, it comes back with the length it has now; nothing is compressed."""

    def on_request(x):
        x.rewrite_reply = doubled

    async def once(seen, writer):
        writer.write(reply)
        return b"Connection: close" not in reply

    upstream.answer = once
    probe(on_request)
    for _ in range(2):
        answered = await gate.ask(Accept_Encoding="gzip")
        assert answered.body == b"abab"
        assert answered.headers["content-length"] == "4"
        assert "transfer-encoding" not in answered.headers
        assert answered.headers["x-seen"] == "yes"
    assert upstream.seen[0].header("accept-encoding") == []
    assert upstream.connections == (2 if b"Connection: close" in reply else 1)


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
)
async def test_a_rewritten_reply_without_a_body(gate, upstream, probe, reply_from, method, reply):
    """No length is invented where none is known; the line stays usable."""

    def on_request(x):
        x.rewrite_reply = doubled

    async def once(seen, writer):
        writer.write(reply)
        return True

    upstream.answer = once
    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    async with asyncio.timeout(5):
        for _ in range(3):
            writer.write(gate.request(method))
            answered = await reply_from(reader, bodiless=True)
            assert "content-length" not in answered.headers
            assert answered.headers["x-seen"] == "yes"
    writer.close()


async def test_a_reply_too_large_to_rewrite_or_cut_off_is_a_502(gate, upstream, probe, eventually):
    """Held replies are bounded, and half a reply is none."""

    def on_request(x):
        x.rewrite_reply = doubled

    async def large(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000)
        return True

    async def cut(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        return False

    probe(on_request)
    for answer in (large, cut):
        upstream.answer = answer
        answered = await gate.ask()
        assert (answered.status, answered.problem) == (502, "upstream_broken")


async def test_a_reply_rewrite_that_breaks_is_a_500(gate, probe, reply_from):
    """And only for its own caller: the line to the upstream is fine."""

    def on_request(x):
        x.rewrite_reply = lambda x, reply: 1 / 0

    probe(on_request)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    async with asyncio.timeout(5):
        for _ in range(2):
            writer.write(gate.request())
            answered = await reply_from(reader)
            assert (answered.status, answered.problem) == (500, "internal")
    writer.close()


async def test_a_deadline_counts_while_a_reply_is_collected(gate, upstream, probe):
    """Holding a reply back is no way round the time limit."""

    def on_request(x):
        x.rewrite_reply = doubled

    async def half(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        await asyncio.sleep(3)
        return False

    upstream.answer = half
    probe(on_request)
    answered = await gate.ask(Firmwire_Deadline_Ms="200")
    assert (answered.status, answered.problem) == (504, "deadline_exceeded")


async def test_a_caller_who_leaves_while_its_body_is_held(gate, upstream, probe, eventually):
    """What was held is let go, and nobody upstream hears of it."""

    def on_request(x):
        x.rewrite_request = upper

    probe(on_request)
    _reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request("POST", body=b"abc").removesuffix(b"c"))
    await eventually(lambda: len(gate.worker.running) == 1)
    writer.transport.abort()
    await eventually(lambda: not gate.worker.running)
    assert upstream.seen == []


async def test_target_and_headers_may_be_replaced(gate, upstream, probe):
    """What goes on is what the policy says; what it reads is what the caller sent."""
    read = []

    def on_request(x):
        x.target = b"/elsewhere?b=2"
        read.extend(x.header(n) for n in (b"x-own", b"x-two", b"x-none", b"host", b"wn"))
        x.hide(b"x-own")
        x.version, x.cost = b"2026-11-01", 3

    probe(on_request)
    assert (await gate.ask(X_Own="1", X_Two="a")).status == 200
    (seen,) = upstream.seen
    assert seen.head.startswith(b"GET /elsewhere?b=2 HTTP/1.1\r\n")
    assert seen.header("x-own") == []
    assert seen.header("x-two") == ["a"]
    assert read == [b"1", b"a", None, b"gateway.test", None]


async def test_a_policy_may_wait_for_something_and_the_walk_goes_on_behind_it(
    gate, upstream, probe, reply_from
):
    """Only the request that waits waits; what it refuses is refused; order on the line is kept."""
    go_on = asyncio.Event()

    async def waits(x):
        await go_on.wait()
        return Problem(Fault.GONE, "It is gone.") if x.path.endswith(b"/gone") else None

    def on_request(x):
        return None if x.path.endswith(b"/now") else waits(x)

    probe(on_request)
    assert (await gate.ask("GET", "/system/v1/now")).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    for path in ("/system/v1/later", "/system/v1/gone", "/system/v1/now"):
        writer.write(gate.request("GET", path))
    assert (await gate.ask("GET", "/system/v1/now")).status == 200
    assert len(upstream.seen) == 2
    go_on.set()
    async with asyncio.timeout(5):
        assert [(await reply_from(reader)).status for _ in range(3)] == [200, 410, 200]
    writer.close()


async def test_a_caller_who_leaves_while_a_policy_waits(gate, upstream, probe, eventually):
    """Nothing goes on for nobody; a policy that breaks after waiting is a 500."""
    go_on = asyncio.Event()

    async def waits(x):
        await go_on.wait()
        if x.method == b"DELETE":
            raise RuntimeError("broken")

    probe(waits)
    _reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request())
    await eventually(lambda: len(gate.worker.running) == 1)
    writer.transport.abort()
    await eventually(lambda: not gate.worker.running)
    go_on.set()
    assert (await gate.ask("DELETE")).status == 500
    assert upstream.seen == []
