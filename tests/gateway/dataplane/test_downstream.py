"""The public port over real sockets: framing, limits, order, streams, refusals, the end."""

import asyncio
import resource
import socket

import msgspec
import pytest

SMUGGLING = {
    "length and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": b"Content-Length: +3\r\n\r\nabc",
    "negative length": b"Content-Length: -3\r\n\r\nabc",
    "hex length": b"Content-Length: 0x3\r\n\r\nabc",
    "length overflow": b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding with a tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "folded header": b"X-One: a\r\n b\r\n\r\n",
    "bare line feed": b"X-One: a\nX-Two: b\r\n\r\n",
    "bare carriage return": b"X-One: a\rX-Two: b\r\n\r\n",
    "NUL in a value": b"X-One: a\x00b\r\n\r\n",
    "NUL in a name": b"X\x00One: ab\r\n\r\n",
    "space before the colon": b"X-One : ab\r\n\r\n",
    "no name": b": ab\r\n\r\n",
    "second host": b"Host: other.test\r\n\r\n",
    "two keys": b"Authorization: Bearer other\r\n\r\n",
    "unknown expectation": b"Expect: 200-maybe\r\n\r\n",
    "negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    "hex prefix in a chunk": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk too short": b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "space after a chunk size": b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
    "line feed after a chunk": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
    "chunk overflow": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
}

PATHS = (
    "/system/v1/../admin", "/system/v1/%2e%2e/admin", "/system/v1/..%2fadmin", "/system/v1//x",
    "/system/v1/x;v=1", "/system/v1/%252e", "/system/v1/a%5cb", "/system/v1/a%00", "/system/v1/.",
    "/system/v1/x#y", "http://other.test/system/v1/x", "*", "/system/v1/a%0d%0ab",
)  # fmt: skip


@pytest.mark.parametrize("tail", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_400_and_a_closed_line_for_what_parsers_disagree_on(gate, upstream, tail):
    """Ambiguous framing is refused, the line is closed, and what follows is never a request."""
    head = f"POST /system/v1/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {gate.key}\r\n"
    smuggled = f"GET /system/v1/smuggled HTTP/1.1\r\nHost: a\r\nX-Api-Key: {gate.key}\r\n\r\n"
    seen = await gate.raw(head.encode() + tail + smuggled.encode())
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert seen.count(b"HTTP/1.1 400 ") == 1
    assert b'"code":"malformed"' in seen
    assert b"connection: close" in seen
    assert not [one for one in upstream.seen if b"smuggled" in one.head]


@pytest.mark.parametrize("path", PATHS)
async def test_400_for_a_path_not_in_plain_form(gate, upstream, path):
    """Two readers of a path must not see two paths."""
    assert (await gate.ask("GET", path)).status == 400
    assert upstream.seen == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /system/v1/x HTTP/1.1\r\n\r\n",
        b"GET /system/v1/x HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"POST /system/v1/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_400_for_what_is_not_our_http(gate, sent):
    """No host, another version, an upgrade, TLS bytes, too much of anything."""
    seen = await gate.raw(sent)
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert seen.count(b"HTTP/1.1 400 ") == 1


async def test_400_when_the_head_never_ends(gate, eventually):
    """A slow or endless head costs at most its limit in time and bytes."""
    assert (await gate.raw(b"GET /system/v1/x HTTP/1.1\r\nHos")).startswith(b"HTTP/1.1 400 ")
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(12):
        writer.write(b"y" * 65_536)
        await writer.drain()
    async with asyncio.timeout(5):
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_200_with_identity_trace_and_nothing_a_caller_made_up(gate, upstream):
    """The upstream learns who calls from us alone; the key itself never gets there."""
    answered = await gate.ask(
        Firmwire_Identity="forged", X_Forwarded_For="6.6.6.6", X_Consumer="root",
        Firmwire_Scopes="all", Keep_Alive="9", TE="trailers", X_Drop="1",
        Connection="keep-alive, X-Drop", X_Own="kept", Idempotency_Key="k1",
    )  # fmt: skip
    assert (answered.status, answered.body) == (200, b"ok")
    (seen,) = upstream.seen
    (proof,) = seen.header("firmwire-identity")
    principal = _verified(gate, proof)
    assert ("acme", frozenset({"system:read"})) == (principal.subject, principal.scopes)
    assert seen.header("x-forwarded-for") == ["127.0.0.1"]
    assert seen.header("x-own") == ["kept"]
    assert seen.header("idempotency-key") == ["k1"]
    for gone in ("x-consumer", "firmwire-scopes", "keep-alive", "te", "x-drop", "authorization"):
        assert seen.header(gone) == []
    assert gate.key.encode() not in seen.head
    assert [answered.headers["firmwire-request-id"]] == seen.header("firmwire-request-id")
    assert seen.header("traceparent")[0].startswith("00-")
    assert 0 < int(seen.header("firmwire-deadline-ms")[0]) <= 30_000


async def test_200_adopts_a_plain_id_trace_and_shorter_deadline(gate, upstream):
    """What travels goes on travelling; a longer deadline than the route's does not."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await gate.ask(
        Firmwire_Request_Id="order-1234", traceparent=f"00-{trace}-00f067aa0ba902b7-01",
        Firmwire_Deadline_Ms="1500",
    )  # fmt: skip
    (seen,) = upstream.seen
    assert seen.header("firmwire-request-id") == ["order-1234"]
    assert seen.header("traceparent")[0].startswith(f"00-{trace}-")
    assert "00f067aa0ba902b7" not in seen.header("traceparent")[0]
    assert int(seen.header("firmwire-deadline-ms")[0]) <= 1500


async def test_an_upgrade_is_ignored_and_never_passed_on(gate, upstream, reply_from):
    """Java clients ask for h2c on every plain line; the request itself is answered."""
    asks = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAA"}
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request(**asks) + gate.request())
    async with asyncio.timeout(5):
        assert [(await reply_from(reader)).status for _ in range(2)] == [200, 200]
    writer.close()
    assert len(upstream.seen) == 2
    refused = gate.request("POST", body=b"GET / HTTP/1.1", **asks)
    assert (await gate.raw(refused)).startswith(b"HTTP/1.1 400 ")
    assert upstream.seen[0].header("upgrade") + upstream.seen[0].header("http2-settings") == []


async def test_pipelined_requests_are_answered_in_order(gate, upstream, reply_from):
    """Many requests in one packet: one after the other, refusals in their place."""

    async def echo(seen, writer):
        path = seen.head.split(b" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
        return True

    upstream.answer = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    sent = []
    for number in range(300):
        body = b"x" * number if number % 3 == 0 else None
        key = None if number % 5 == 0 else ""
        path = f"/system/v1/{number}"
        sent.append(gate.request("POST" if body is not None else "GET", path, body, key))
    writer.write(b"".join(sent))
    async with asyncio.timeout(10):
        for number in range(300):
            answered = await reply_from(reader)
            if number % 5 == 0:
                assert answered.status == 401
            else:
                assert f"/system/v1/{number}".encode() == answered.body
    writer.close()
    assert upstream.connections == 1


async def test_100_continue_only_for_callers_let_in(gate, upstream, reply_from):
    """A large body is asked for after the checks, and not at all when they fail."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    head, _, body = gate.request("POST", body=b"abc", Expect="100-continue").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reply_from(reader)).status == 200
    writer.close()
    assert [one.body for one in upstream.seen] == [b"abc"]
    assert upstream.seen[0].header("expect") == []
    refused = gate.request("POST", body=b"abc", key=None, Expect="100-continue")
    seen = await gate.raw(refused.removesuffix(b"abc"))
    assert seen.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("method", "reply", "body"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a"),
    ],
)  # fmt: skip
async def test_replies_keep_their_framing_and_the_line(
    gate, upstream, reply_from, method, reply, body
):
    """Without a body, with an interim reply, chunked: the next request on the line is answered."""

    async def once(seen, writer):
        writer.write(reply)
        return True

    upstream.answer = once
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    async with asyncio.timeout(5):
        for _ in range(3):
            writer.write(gate.request(method))
            assert body == (await reply_from(reader, bodiless=method == "HEAD")).body
    writer.close()
    assert upstream.connections == 1


async def test_http_1_0_is_answered_without_chunks_and_closed(gate, upstream):
    """An old caller gets what it understands, whatever framing the upstream chose."""

    async def chunked(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        return True

    upstream.answer = chunked
    sent = f"GET /system/v1/x HTTP/1.0\r\nX-Api-Key: {gate.key}\r\n\r\n".encode()
    seen = await gate.raw(sent)
    head, _, body = seen.partition(b"\r\n\r\n")
    assert body == b"ab"
    assert b"chunked" not in head


async def test_a_body_until_close_is_passed_on_whole(gate, upstream):
    """An upstream that ends its reply by closing; ours ends it in chunks."""

    async def until_close(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        return False

    upstream.answer = until_close
    assert (await gate.ask()).body == b"all of it"


async def test_30_mb_both_ways_in_bounded_memory(gate, upstream, reply_from):
    """Neither direction is collected: a slow end holds the other back."""
    gate.route = {"policies": {
        "authenticate": {}, "authorise": {"scope": "system"},
        "size_limit": {"limit_bytes": 40_000_000},
    }}  # fmt: skip
    gate.publish()
    piece, pieces = b"z" * 65_536, 480
    sizes = []

    async def stream(seen, writer):
        sizes.append(len(seen.body))
        seen.body = b""
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(pieces):
            writer.write(b"10000\r\n" + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True

    upstream.answer = stream
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, limit=65_536)
    head = gate.request("POST", Transfer_Encoding="chunked")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    writer.write(head)
    async with asyncio.timeout(30):
        for _ in range(pieces):
            writer.write(b"10000\r\n" + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        got = len((await reply_from(reader)).body)
    writer.close()
    assert [pieces * 65_536] == sizes
    assert pieces * 65_536 == got
    # This process also plays caller and upstream, which hold one copy each way.
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < 2 * 31.5 + 40


async def test_a_caller_that_does_not_read_holds_the_upstream_back(gate, upstream, eventually):
    """Back-pressure reaches the upstream: it cannot push what the caller does not take."""
    pushed = 0

    async def endless(seen, writer):
        nonlocal pushed
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"z" * 65_536 + b"\r\n")
            await writer.drain()
            pushed += 65_536

    upstream.answer = endless
    _reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, limit=1024)
    writer.write(gate.request())
    await eventually(lambda: pushed > 1_000_000)
    level, same = 0, 0
    while same < 20:
        same = same + 1 if pushed == level else 0
        level = pushed
        await asyncio.sleep(0.01)
    assert pushed < 40_000_000
    writer.transport.abort()
    await eventually(lambda: not upstream.writers)


async def test_a_caller_that_does_not_read_is_not_read_either(gate, upstream, reply_from):
    """Refusals cost no upstream, so they must be held back here; none is lost, order is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, limit=1024)
    writer.write(gate.request())
    async with asyncio.timeout(5):
        assert (await reply_from(reader)).status == 200
    (link,) = gate.worker._links
    for transport in (link.transport, writer.transport):  # or the kernel takes it all
        transport.set_write_buffer_limits(0)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 8_192)
    body, sent = gate.request(key=None) * 200, 0
    held = []
    for _ in range(200):
        writer.write(body)
        sent += 200
        try:
            async with asyncio.timeout(0.3):
                await writer.drain()
        except TimeoutError:
            break
        held.append(link.transport.get_write_buffer_size())
    assert sent < 40_000
    assert max(held) < 1_000_000
    async with asyncio.timeout(30):
        statuses = [(await reply_from(reader)).status for _ in range(sent)]
    assert statuses == [401] * sent
    writer.write(gate.request())
    async with asyncio.timeout(5):
        assert (await reply_from(reader)).status == 200
    writer.close()


async def test_sse_arrives_event_by_event(gate, upstream):
    """Nothing is collected: an event is there while the stream goes on."""
    go_on = asyncio.Event()

    async def events(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await go_on.wait()
        writer.write(b"data: 2\n\n")
        return False

    upstream.answer = events
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request())
    async with asyncio.timeout(5):
        await reader.readuntil(b"data: 1\n\n")
        go_on.set()
        await reader.readuntil(b"data: 2\n\n")
    writer.close()


async def test_413_for_10_mb_told_and_untold(gate, upstream):
    """By its length before a byte of the body is read, by its chunks while they come."""
    answered = await gate.ask("POST", body=b"x" * 10_000_000)
    assert (answered.status, answered.problem) == (413, "too_large")
    head = gate.request("POST", Transfer_Encoding="chunked")
    seen = await gate.raw(head + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 160)
    assert seen.startswith(b"HTTP/1.1 413 ")


async def test_404_and_405_are_problem_documents(gate):
    """Unknown addresses need no key to be told apart from nothing."""
    answered = await gate.ask("GET", "/nowhere", key=None)
    assert (answered.status, answered.problem) == (404, "not_found")
    assert answered.headers["content-type"] == "application/problem+json"
    document = msgspec.json.decode(answered.body)
    assert document["type"] == "urn:firmwire:problem:not_found"
    assert document["instance"] == answered.headers["firmwire-request-id"]
    assert (await gate.ask("GET", "/system/v12/x")).status == 404
    gate.route = {"methods": ("GET",)}
    gate.publish()
    answered = await gate.ask("POST", body=b"")
    assert (answered.status, answered.headers["allow"]) == (405, "GET")


async def test_drain_finishes_what_runs_and_takes_nothing_new(gate, upstream, eventually):
    """The end of a worker loses no running exchange."""
    go_on = asyncio.Event()

    async def slow(seen, writer):
        await go_on.wait()
        return await upstream.plain(seen, writer)

    upstream.answer = slow
    running = asyncio.create_task(gate.ask())
    await eventually(lambda: len(upstream.seen) == 1)
    draining = asyncio.create_task(gate.worker.drain())
    await eventually(lambda: gate.worker.draining)
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", gate.port)
    go_on.set()
    answered = await running
    assert (answered.status, answered.headers["connection"]) == (200, "close")
    await asyncio.wait_for(draining, 2)


async def test_one_access_line_an_exchange_without_secrets(gate, upstream):
    """Who, what, how it ended; never the key, never the query."""
    await gate.ask("GET", "/system/v1/a?token=secret")
    await gate.ask("GET", "/system/v1/b", key=None)
    gate.worker.access_log.flush()
    raw = gate.access_file.read_bytes()
    first, second = (msgspec.json.decode(line) for line in raw.splitlines())
    assert (
        first["consumer"], first["route"], first["path"], first["status"], first["out_bytes"],
    ) == ("acme", "system", "/system/v1/a", 200, 2)  # fmt: skip
    assert (
        second["consumer"], second["status"], second["problem"],
    ) == ("", 401, "unauthenticated")  # fmt: skip
    assert b"secret" not in raw
    assert gate.key.encode() not in raw


def _verified(gate, proof):
    from chassis.identity import Verifier, jwks_file

    return Verifier(jwks_file(gate.home)).principal(proof)
