"""WebSockets and long streams on real sockets, with a client and a server nobody here wrote."""

import asyncio
import base64
import ssl
from contextlib import suppress
from hashlib import sha1

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chassis import clock
from gateway import keys
from gateway.dataplane.frames import BadFrame, Frames
from gateway.dataplane.listeners import Tls
from gateway.routes import Route
from gateway.settings import Limits

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HANDSHAKE = {
    "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": base64.b64encode(b"0123456789abcdef").decode(),
}  # fmt: skip


class Echo:
    """A WebSocket server that says what it was told, and what headers it saw."""

    def __init__(self):
        self.requests = []
        self.open = 0
        self.server = None

    async def handle(self, connection):
        self.requests.append(connection.request)
        self.open += 1
        try:
            async for message in connection:
                await connection.send(message)
        finally:
            self.open -= 1


@pytest.fixture
async def echo(gate):
    """A gate whose upstream is a WebSocket server."""
    made = Echo()
    async with serve(made.handle, "127.0.0.1", 0, max_size=2**26, ping_interval=None) as server:
        port = server.sockets[0].getsockname()[1]
        gate.urls = (f"http://127.0.0.1:{port}",)
        gate.route = {"websocket": True}
        gate.publish()
        yield made


def dial(gate, scheme="ws", key="", **more):
    headers = {"X-Api-Key": key or gate.key} if key is not None else {}
    headers |= more.pop("headers", {})
    return connect(
        f"{scheme}://127.0.0.1:{gate.port}/system/v1/live", additional_headers=headers,
        proxy=None, ping_interval=None, **more,
    )  # fmt: skip


async def test_messages_pass_both_ways_with_identity_and_a_subprotocol(gate, echo):
    """A real client and a real server agree through the gateway; the key stays here."""
    async with dial(gate, max_size=2**26) as line:
        for message in ("hello", b"\x00\xff" * 10, "x" * 200_000, b"y" * 1_000_000):
            await line.send(message)
            assert await line.recv() == message
    (seen,) = echo.requests
    assert seen.headers["firmwire-identity"]
    assert "x-api-key" not in seen.headers
    assert (seen.headers["connection"], seen.headers["upgrade"]) == ("upgrade", "websocket")


async def test_the_same_over_tls(gate, echo, tmp_path):
    """The line is a tunnel inside TLS as well."""
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "pair.pem")
    )
    gate.worker._listener.close()
    gate.port = await gate.worker.listen("127.0.0.1", 0, Tls(str(tmp_path / "pair.pem")))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with dial(gate, "wss", ssl=context) as line:
        await line.send("hello")
        assert await line.recv() == "hello"


async def test_nobody_without_a_key_and_no_page_of_another_origin(gate, echo):
    """The pipe runs on the handshake; a browser's ambient password must not be enough."""
    for status, more in (
        (401, {"key": None}),
        (401, {"key": "fw_live_wrong"}),
        (403, {"origin": "https://evil.test"}),
        (403, {"origin": "null"}),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await dial(gate, **more)
        assert status == refused.value.response.status_code
    assert echo.requests == []
    async with dial(gate, origin=f"http://127.0.0.1:{gate.port}") as line:
        await line.send("own host")
    gate.route = {"websocket": True, "origins": ("https://portal.test",)}
    gate.publish()
    async with dial(gate, origin="https://portal.test") as line:
        await line.send("listed")


async def test_a_route_that_does_not_say_so_has_no_websocket(gate, echo, upstream):
    """The upgrade is ignored, and the request answered as any other."""
    gate.route, gate.urls = {}, (f"http://127.0.0.1:{upstream.port}",)
    gate.publish()
    assert (await gate.ask(**HANDSHAKE)).status == 200
    assert upstream.seen[0].header("upgrade") == []


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (400, {"Sec_WebSocket_Version": "8"}),
        (400, {"Sec_WebSocket_Key": "short"}),
        (400, {"Content_Length": "20"}),
        (400, {"Transfer_Encoding": "chunked"}),
    ],
)
async def test_400_for_a_handshake_that_is_none(gate, echo, status, more):
    """No tunnel is left behind: what follows on the line is not read as anything."""
    smuggled = b"GET /system/v1/admin HTTP/1.1\r\nHost: a\r\n\r\n"
    seen = await gate.raw(gate.request(**{**HANDSHAKE, **more}) + smuggled)
    assert seen.startswith(b"HTTP/1.1 %d " % status)
    assert seen.count(b"HTTP/1.1 ") == 1
    assert echo.requests == []


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", 426),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Accept: wrong\r\n\r\n", 502),
        (b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 502),
    ],
)  # fmt: skip
async def test_a_reply_that_is_no_switch_leaves_no_tunnel(gate, upstream, reply, status):
    """The upstream must prove that it answered this handshake; else the line is closed."""

    async def answer(seen, writer):
        writer.write(reply)
        return True

    upstream.answer = answer
    gate.route = {"websocket": True}
    gate.publish()
    smuggled = b"GET /system/v1/admin HTTP/1.1\r\nHost: a\r\n\r\n"
    seen = await gate.raw(gate.request(**HANDSHAKE) + smuggled)
    assert seen.startswith(b"HTTP/1.1 %d " % status)
    assert seen.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in seen
    assert not [one for one in upstream.seen if b"admin" in one.head]


async def test_a_tunnel_ends_when_its_key_is_revoked(gate, echo, eventually):
    """Within a second, both ends; another caller's goes on."""
    other = keys.mint("live")
    gate.key_rows = (gate.row(gate.key), gate.row(other))
    gate.publish()
    async with dial(gate) as line, dial(gate, key=other) as stays:
        await line.send("still here")
        assert await line.recv() == "still here"
        gate.key_rows = (gate.row(other),)
        gate.publish()
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(1):
                await line.recv()
        await stays.send("still here")
        assert await stays.recv() == "still here"
        await eventually(lambda: echo.open == 1)


async def test_a_tunnel_ends_when_its_key_expires(gate, echo):
    """Nobody has to do anything for it."""
    gate.key_rows = (gate.row(gate.key, expires_s=int(gate.worker.unix()) + 2),)
    gate.publish()
    async with dial(gate) as line:
        await line.send("still here")
        assert await line.recv() == "still here"
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(5):
                await line.recv()


async def test_a_silent_tunnel_is_closed_and_a_talking_one_is_not(gate, echo):
    """stall_s of the route, counted from the last byte either way."""
    gate.route = {"websocket": True, "stall_s": 0.5}
    gate.publish()
    async with dial(gate) as line:
        for _ in range(4):
            await asyncio.sleep(0.25)  # house: sleep time itself is what is tested
            await line.send("tick")
            assert await line.recv() == "tick"
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(3):
                await line.recv()


async def test_a_message_beyond_the_limit_ends_the_tunnel(gate, echo):
    """The route's size limit is one message's, in however many frames it comes."""
    gate.route = {"websocket": True, "policies": {
        "authenticate": {}, "authorise": {"scope": "system"}, "size_limit": {"limit_bytes": 1000},
    }}  # fmt: skip
    gate.publish()
    for pieces in (["x" * 1001], ["x" * 600, "x" * 600]):
        async with dial(gate, compression=None) as line:
            await line.send(["x" * 500, "x" * 500])
            assert len(await line.recv()) == 1000
            await line.send(pieces)
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(3):
                    await line.recv()


async def test_an_end_that_does_not_read_holds_the_other_back(gate, upstream, eventually):
    """Bounded memory: the server cannot push what the client does not take."""
    pushed = 0

    async def switch(seen, writer):
        nonlocal pushed
        key = seen.header("sec-websocket-key")[0].encode()
        accept = base64.b64encode(sha1(key + GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\nfirst" % accept
        )
        while True:
            writer.write(b"z" * 65_536)
            await writer.drain()
            pushed += 65_536

    upstream.answer = switch
    gate.route = {"websocket": True}
    gate.publish()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, limit=1024)
    writer.write(gate.request(**HANDSHAKE))
    assert (await reader.readuntil(b"first")).startswith(b"HTTP/1.1 101 ")
    await eventually(lambda: pushed > 500_000)
    level, same = 0, 0
    while same < 20:
        same = same + 1 if pushed == level else 0
        level = pushed
        await asyncio.sleep(0.01)
    assert pushed < 40_000_000
    writer.transport.abort()
    await eventually(lambda: not upstream.writers)


async def sent_in(line, number, *, ping=False):
    """Seconds until so many messages, or pings, came back in their order."""
    began_s = clock.monotonic()
    if ping:
        await asyncio.gather(*[await line.ping() for _ in range(number)])
    else:
        for n in range(number):
            await line.send(f"{n}")
        assert [await line.recv() for _ in range(number)] == [f"{n}" for n in range(number)]
    return clock.monotonic() - began_s


@pytest.mark.parametrize("ping", [False, True])
async def test_messages_beyond_the_rate_are_read_later(gate, echo, ping):
    """All arrive, in order, none before its time; what the server says is not counted."""
    gate.route = {"websocket": True, "messages_per_s": 20}
    gate.publish()
    async with dial(gate) as line, dial(gate) as another:
        slow, other = await asyncio.gather(sent_in(line, 40, ping=ping), sent_in(another, 10))
        assert 1.0 <= slow < 3.0  # 20 at once, 20 more in a second
        assert other < 0.9  # another tunnel has its own
        await line.send(["x" * 300_000, "y" * 300_000])
        assert len(await line.recv()) == 600_000


async def test_who_says_too_much_is_not_read(gate, eventually):
    """Back-pressure, not memory: a flood of tiny frames stays with its sender."""
    got = 0

    async def swallow(reader, writer):
        nonlocal got
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        key = base64.b64encode(b"0123456789abcdef")
        assert b"sec-websocket-key: " + key.lower() in head
        writer.write(
            b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(sha1(key + GUID).digest())
        )
        while piece := await reader.read(65_536):
            got += len(piece)
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    gate.urls = (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",)
    gate.route = {"websocket": True, "messages_per_s": 50}
    gate.publish()
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request(**HANDSHAKE))
    await reader.readuntil(b"\r\n\r\n")
    frame, sent = b"\x81\x81maskx", 0
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.3):
                writer.write(frame * 10_000)
                await writer.drain()
            sent += 10_000
            assert sent < 10_000_000
    began, began_s = got, clock.monotonic()
    await eventually(lambda: got >= began + 20 * len(frame))
    assert got - began <= (clock.monotonic() - began_s + 0.1) * 50 * len(frame) + len(frame)
    assert got % len(frame) == 0
    writer.transport.abort()
    server.close()


def test_a_route_without_tunnels_has_no_messages():
    """Told where it is said, not found out by a flood."""
    with pytest.raises(ValueError, match="messages_per_s: only a route with websocket = true"):
        Route("live", "/live", "system", {}, messages_per_s=5)


async def test_a_drain_closes_tunnels_and_counts_them(gate, echo, eventually):
    """A tunnel never ends by itself; the worker does not wait for it."""
    async with dial(gate) as line:
        await line.send("hello")
        await line.recv()
        gate.worker.limits = Limits(drain_s=30)
        async with asyncio.timeout(3):
            await gate.worker.drain()
        with pytest.raises(ConnectionClosed):
            await line.recv()
    assert b'requests_total{route="system",status="101"} 1\n' in gate.worker.metrics()
    await eventually(lambda: echo.open == 0)


async def test_an_event_stream_comes_unbuffered_and_ends_with_its_key(gate, upstream):
    """The first event is there before the second is made; a revoked key ends the stream."""
    second = asyncio.Event()

    async def events(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await second.wait()
        writer.write(b"data: 2\n\n")
        await asyncio.Event().wait()

    upstream.answer = events
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request())
    async with asyncio.timeout(5):
        await reader.readuntil(b"data: 1\n\n")
        second.set()
        await reader.readuntil(b"data: 2\n\n")
    gate.plan = gate.plan.__class__(name="gold", scopes=("process:*",))
    gate.publish()  # its plan no longer holds the scope
    async with asyncio.timeout(1):
        with suppress(ConnectionResetError):
            assert await reader.read(-1) in (b"", b"\r\n")
    writer.close()


def test_frame_heads_are_found_however_the_bytes_come():
    """Cut anywhere: the same frames, the same refusals."""

    def frame(code, body, fin=True):
        size = len(body)
        first = bytes([(0x80 if fin else 0) | code])
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 65_536:
            length = bytes([0x80 | 126]) + size.to_bytes(2)
        else:
            length = bytes([0x80 | 127]) + size.to_bytes(8)
        return first + length + b"mask" + body

    good = (
        frame(1, b"a" * 10) + frame(2, b"b" * 300, fin=False) + frame(9, b"ping")
        + frame(0, b"c" * 70_000) + frame(8, b"")
    )  # fmt: skip
    for step in (1, 2, 3, 7, 100, 1 << 20):
        frames = Frames(70_300)
        for at in range(0, len(good), step):
            frames.feed(good[at : at + step])
        with pytest.raises(BadFrame):
            frames.feed(frame(1, b"z" * 70_301))
    for bad in (
        b"\x81\x05hello",  # not masked
        frame(2, b"b" * 300, fin=False) + frame(0, b"c" * 70_001),
        frame(9, b"p" * 126),
        b"\x82\xff" + b"\xff" * 8 + b"mask",
    ):
        with pytest.raises(BadFrame):
            Frames(70_300).feed(bad)


@pytest.mark.parametrize("step", [1, 2, 5, 7, 100])
def test_the_rate_holds_however_the_bytes_come(monkeypatch, step):
    """Cut anywhere, also inside a head: two frames a second, no byte of a third, all at last."""
    now_s = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now_s)
    said = b"".join(b"\x82\x83mask%d--" % n for n in range(6))
    frames, passed, rest = Frames(1000, 2), b"", b""
    for at in range(0, len(said), step):
        rest += said[at : at + step]
        may = frames.feed(rest)
        passed, rest = passed + rest[:may], rest[may:]
        while rest:
            assert 0 < frames.wait_s <= 0.5
            assert passed.count(b"--") <= 2 + (now_s - 100.0) * 2
            now_s += frames.wait_s + 1e-9
            may = frames.feed(rest)
            passed, rest = passed + rest[:may], rest[may:]
    assert passed == said
    assert now_s == pytest.approx(102.0, abs=0.01)
