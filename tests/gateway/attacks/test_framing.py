"""Cases 5, 15, 16, 23 and 24: where one message ends, whose headers travel, and who may go slow."""

import asyncio
import base64
import gzip

import pytest

from chassis import clock
from gateway.settings import Limits

FRAMES = {
    "CL.TE": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "TE.TE": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "xchunked": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunkedx": "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    "quoted": 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "identity after": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": "Transfer-Encoding: identity\r\n\r\n",
    "empty coding": "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "comma coding": "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "NUL in coding": "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "high byte in coding": "Transfer-Encoding: chunked\u00a0\r\n\r\n0\r\n\r\n",
    "space before colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "leading space": " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded coding": "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare LF": "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF ends the head": "X: y\r\n\nGET",
    "bare CR": "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
    "two equal lengths": "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "length list": "Content-Length: 5,5\r\n\r\nabcde",
    "length plus": "Content-Length: +5\r\n\r\nabcde",
    "length minus": "Content-Length: -0\r\n\r\n",
    "length underscore": "Content-Length: 1_0\r\n\r\nabcdeabcde",
    "length hex": "Content-Length: 0x5\r\n\r\nabcde",
    "length float": "Content-Length: 5.0\r\n\r\nabcde",
    "length words": "Content-Length: 5 5\r\n\r\nabcde",
    "length empty": "Content-Length:\r\n\r\nabcde",
    "length arabic": "Content-Length: \u0665\r\n\r\nabcde",
    "length beyond": "Content-Length: 18446744073709551616\r\n\r\n",
    "chunk then LF": "Transfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n",
    "chunk data then LF": "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\n0\r\n\r\n",
    "chunk data then junk": "Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n",
    "chunk minus": "Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "chunk plus": "Transfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
    "chunk prefix": "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "chunk underscore": "Transfer-Encoding: chunked\r\n\r\n0_5\r\nabcde\r\n0\r\n\r\n",
    "chunk space": "Transfer-Encoding: chunked\r\n\r\n 5\r\nabcde\r\n0\r\n\r\n",
    "chunk empty": "Transfer-Encoding: chunked\r\n\r\n\r\nabcde\r\n0\r\n\r\n",
    "chunk beyond": "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n",
    "extension with LF": "Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nabcde\r\n0\r\n\r\n",
    "extension with CR": "Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nabcde\r\n0\r\n\r\n",
    "last chunk then junk": "Transfer-Encoding: chunked\r\n\r\n0\r\nX",
}


@pytest.mark.parametrize("tail", FRAMES.values(), ids=FRAMES.keys())
async def test_case_05_no_frame_with_two_readings_is_forwarded(gate, upstream, tail):
    """One 400, a closed line, and what follows is never a request."""
    head = f"POST /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: {gate.key}\r\n"
    next_one = f"GET /system/v1/smuggled HTTP/1.1\r\nHost: a\r\nX-Api-Key: {gate.key}\r\n\r\n"
    seen = await gate.raw(head.encode() + tail.encode("utf-8") + next_one.encode())
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert seen.count(b"HTTP/1.1 ") == 1
    assert b"connection: close\r\n" in seen
    assert not [one for one in upstream.seen if b"smuggled" in one.head]


@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"GET /system/v1/x HTTP/2\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/3.0\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/01.1\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x http/1.1\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x\r\n\r\n",
        b"GET  /system/v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\t/system/v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET /system/v1/x HTTP/1.1\nHost: a\n\n",
        b"get /system/v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\x00ET /system/v1/x HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_case_05_no_other_protocol_by_the_back_door(gate, upstream, sent):
    """No HTTP/2 to be downgraded, no HTTP/0.9, no first line that is only nearly one."""
    seen = await gate.raw(sent)
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert seen.count(b"HTTP/1.1 ") == 1
    assert upstream.seen == []


async def test_case_05_trailers_and_extensions_end_here(gate, upstream):
    """What hides behind or inside chunks is read, counted, and not passed on."""
    head = gate.request("POST", Transfer_Encoding="chunked", Connection="close")
    body = b'5;name="value"\r\nabcde\r\n0\r\nX-Consumer: root\r\nHost: evil\r\n\r\n'
    assert (await gate.raw(head + body)).startswith(b"HTTP/1.1 200 ")
    (seen,) = upstream.seen
    assert (seen.body, seen.header("x-consumer"), b"evil" in seen.head) == (b"abcde", [], False)
    smuggling = b"0\r\nContent-Length: 9\r\n\r\n"
    assert (await gate.raw(head + smuggling)).startswith(b"HTTP/1.1 400 ")


SPOOFED = (
    "X-Consumer", "X-Consumer-Id", "X-Consumer-Username", "X-Forwarded-User", "X-Forwarded-Host",
    "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert", "X-Real-IP", "X-Tenant",
    "X_Consumer", "X_Forwarded_For", "Firmwire_Identity", "Firmwire-Identity", "Firmwire-Scopes",
    "FIRMWIRE-IDENTITY", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "Client-Cert", "Via",
    "X-Original-URL", "X-Rewrite-URL", "Forwarded", "True-Client-IP", "Proxy-Authorization",
    "Content_Length", "Transfer_Encoding", "X-Client-Ip", "x-CONSUMER-custom-id",
)  # fmt: skip


@pytest.mark.parametrize("public", [False, True])
async def test_case_15_what_only_we_may_say_is_said_by_us_alone(gate, upstream, public):
    """Trusted headers, also with underscores, also where nobody has to say who they are."""
    if public:
        gate.route = {"public": True, "policies": {"size_limit": {}}}
        gate.publish()
    lines = "".join(f"{name}: forged\r\n" for name in SPOOFED)
    sent = f"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: {gate.key}\r\n{lines}"
    assert (await gate.raw(f"{sent}Connection: close\r\n\r\n".encode())).startswith(b"HTTP/1.1 200")
    (seen,) = upstream.seen
    assert b"forged" not in seen.head
    assert gate.key.encode() not in seen.head
    assert seen.header("authorization") + seen.header("x-api-key") == []
    assert len(seen.header("firmwire-identity")) == (0 if public else 1)


@pytest.mark.parametrize("public", [False, True])
async def test_case_15_a_credential_never_reaches_the_tier(gate, upstream, public):
    """Neither a good one nor a stranger's; Basic and Bearer and X-Api-Key alike."""
    if public:
        gate.route = {"public": True, "policies": {"size_limit": {}}}
        gate.publish()
    basic = base64.b64encode(f"user:{gate.key}".encode()).decode()
    for given in (f"Bearer {gate.key}", f"Basic {basic}"):
        assert (await gate.ask(key=None, Authorization=given)).status == 200
    for seen in upstream.seen:
        assert seen.header("authorization") + seen.header("x-api-key") == []
        assert gate.key.encode() not in seen.head


@pytest.mark.parametrize(
    "line",
    [
        b"X: a\x00b", b"X: a\rb", b"X: a\nInjected: 1", b"X\x00: a", b"X y: a", b"X\x7f: a",
        b"(X): a", b"X[]: a", b"X\xe9: a", b"X: a\r\n\tfolded", b": a", b"X", b"X: a\x0bb\x01",
    ],
)  # fmt: skip
async def test_case_16_no_control_character_in_a_header(gate, upstream, line):
    """NUL, CR, LF, folds and names that are no tokens: 400, never repaired."""
    sent = b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\nX-Api-Key: %b\r\n%b\r\n\r\n"
    seen = await gate.raw(sent % (gate.key.encode(), line))
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert upstream.seen == []


@pytest.mark.parametrize("bad", [b"a\x00b", b"a\rInjected: 1", b"a\nSet-Cookie: 1", b"a\r\n b"])
async def test_case_16_a_split_reply_of_the_upstream_does_not_pass(gate, upstream, bad):
    """What a tier was tricked into is 502 here, and the line to it is not used again."""

    async def split(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Echo: " + bad + b"\r\nContent-Length: 0\r\n\r\n")
        return True

    upstream.answer = split
    assert (await gate.ask()).status == 502
    upstream.answer = upstream.plain
    assert (await gate.ask()).status == 200
    assert upstream.connections == 2


async def test_case_16_an_id_of_the_caller_cannot_split_our_reply(gate):
    """What is echoed is plain or replaced."""
    for given in ("a%0d%0aSet-Cookie:1", 'x"y', "x" * 65, "é" * 8, "<script>"):
        answered = await gate.ask(Firmwire_Request_Id=given)
        assert answered.headers["firmwire-request-id"] != given
        assert "set-cookie" not in answered.headers


async def test_case_16_nominating_a_header_removes_only_the_callers_own(gate, upstream):
    """`Connection: firmwire-identity` does not take away what we say."""
    for nominated in (
        "X-Forwarded-For, Firmwire-Identity, Firmwire-Deadline-Ms, Traceparent",
        "Host, Content-Length, Authorization", "close, X-Own, transfer-encoding",
    ):  # fmt: skip
        await gate.ask("POST", body=b"abc", Connection=nominated, X_Own="1")
    for seen in upstream.seen:
        for name in ("firmwire-identity", "firmwire-deadline-ms", "x-forwarded-for", "traceparent"):
            assert len(seen.header(name)) == 1
        assert (seen.body, len(seen.header("host")), seen.header("connection")) == (b"abc", 1, [])
    assert [len(seen.header("x-own")) for seen in upstream.seen] == [1, 1, 0]


async def test_case_23_a_slow_head_costs_its_time_and_no_more(gate):
    """A byte now and then does not keep a line open beyond head_s."""
    began_s = clock.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"GET /system/v1/x HTTP/1.1\r\nHost: a\r\n")
    seen = b""
    while not reader.at_eof() and clock.monotonic() - began_s < 6:
        try:
            writer.write(b"X")
            async with asyncio.timeout(0.1):
                seen += await reader.read(1000)
        except TimeoutError:
            continue
        except ConnectionError:
            break
    writer.close()
    assert seen.startswith(b"HTTP/1.1 400 ")
    assert clock.monotonic() - began_s < 4


async def test_case_23_a_slow_body_is_cut_at_the_routes_stall_limit(gate, upstream):
    """Slowloris in the body: the caller is answered and the tier is let go."""
    gate.route = {"stall_s": 0.3}
    gate.publish()
    head = gate.request("POST", Content_Length="1000")
    began_s = clock.monotonic()
    assert (await gate.raw(head + b"x")).startswith(b"HTTP/1.1 400 ")
    assert clock.monotonic() - began_s < 4


async def test_case_23_header_floods_are_refused(gate, upstream):
    """Many, long, or a long target: 400 before any policy asks who it is."""
    for flood in (b"X: y\r\n" * 101, b"X: " + b"y" * 33_000 + b"\r\n", b"X" * 33_000 + b": y\r\n"):
        sent = gate.request().removesuffix(b"\r\n") + flood + b"\r\n"
        assert (await gate.raw(sent)).startswith(b"HTTP/1.1 400 ")
    assert (await gate.ask("GET", "/system/v1/" + "y" * 8_200)).status == 400
    assert (await gate.ask("GET", "/system/v1/x?" + "y" * 8_200)).status == 400
    assert upstream.seen == []


async def test_case_23_a_compressed_bomb_counts_what_it_weighs_and_is_not_opened(gate, upstream):
    """The gateway passes bytes on; only the tier that wants gzip opens it, with its own limit."""
    bomb = gzip.compress(b"\0" * 50_000_000, 9)
    assert (await gate.ask("POST", body=bomb, Content_Encoding="gzip")).status == 200
    assert upstream.seen[0].body == bomb


async def test_case_23_connections_beyond_the_limit_cost_nobody_else(gate, eventually):
    """Idle lines do not keep others out for longer than their time."""
    gate.worker.limits = Limits(connections=3, idle_s=0.5, head_s=0.5)
    idle = [await asyncio.open_connection("127.0.0.1", gate.port) for _ in range(3)]
    await eventually(lambda: len(gate.worker._links) == 3)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await gate.ask()
    await eventually(lambda: not gate.worker._links)
    assert (await gate.ask()).status == 200
    for _, writer in idle:
        writer.close()


async def test_case_05_a_line_that_was_refused_reads_no_more(gate, upstream, reply_from):
    """Also when what follows comes later, and looks like the good request before."""
    good = gate.request()
    for bad in (
        b"GET /x\r\n\r\n",
        b"POST /system/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(good)
        async with asyncio.timeout(5):
            assert (await reply_from(reader)).status == 200
            writer.write(good)
            assert (await reply_from(reader)).status == 200
            before = len(upstream.seen)
            writer.write(bad)
            assert (await reply_from(reader)).status == 400
            for _ in range(3):
                writer.write(good)
                await asyncio.sleep(0.02)
            assert await reader.read(-1) == b""
        writer.close()
        assert len(upstream.seen) == before


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 11, 1000])
async def test_case_05_a_bad_first_line_is_seen_wherever_the_packets_end(gate, upstream, size):
    """Behind a body of any framing, cut anywhere: two spaces are two spaces."""
    key = f"Host: a\r\nX-Api-Key: {gate.key}\r\n"
    chunked = f"POST /system/v1/1 HTTP/1.1\r\n{key}Transfer-Encoding: chunked\r\n\r\n"
    first = (
        f"GET /system/v1/0 HTTP/1.1\r\n{key}\r\n\r\n{chunked}4\r\n\r\n\r\n\r\n0\r\n\r\n"
        f"POST /system/v1/2 HTTP/1.1\r\n{key}Content-Length: 4\r\n\r\nabcd"
        f"{chunked}1\r\na\r\n0\r\nX: y\r\n\r\n"
    ).encode()
    bad = f"GET  /system/v1/evil HTTP/1.1\r\n{key}\r\n".encode()
    for sent in (first + bad, first + b"\r" + bad.replace(b"  ", b" ")):
        upstream.seen.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        for at in range(0, len(sent), size):
            writer.write(sent[at : at + size])
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            seen = await reader.read(-1)
        writer.close()
        assert seen.count(b"HTTP/1.1 200 ") == 4
        assert seen.count(b"HTTP/1.1 400 ") == 1
        assert [one.head.split(b" ")[1][-1:] for one in upstream.seen] == [b"0", b"1", b"2", b"1"]
        assert [one.body for one in upstream.seen] == [b"", b"\r\n\r\n", b"abcd", b"a"]
