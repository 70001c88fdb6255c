"""Case 24: what lasts is asked again; an upgrade is a door that opens one way."""

import asyncio
import base64
from hashlib import sha1

import pytest

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = base64.b64encode(b"0123456789abcdef").decode()
ASKS = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": KEY,
}  # fmt: skip
ACCEPT = base64.b64encode(sha1(KEY.encode() + GUID).digest())
SMUGGLED = b"GET /system/v1/admin HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def line(gate, upstream):
    """An upstream that agrees to everything, and remembers the bytes after."""
    upstream.after = b""

    async def agree(seen, writer):
        writer.write(
            b"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % ACCEPT
        )
        await asyncio.Event().wait()

    upstream.answer = agree
    gate.route = {"websocket": True}
    gate.publish()
    return gate


@pytest.mark.parametrize(
    "more",
    [
        {"Sec_WebSocket_Version": "7"}, {"Sec_WebSocket_Key": "AAAA"}, {"Content_Length": "4"},
        {"Transfer_Encoding": "chunked"}, {"Origin": "https://evil.test"}, {"Origin": "null"},
    ],
)  # fmt: skip
async def test_case_24_a_handshake_that_is_none_opens_no_tunnel(line, upstream, more):
    """However willing the upstream is: it is never asked, and what follows is not a request."""
    seen = await line.raw(line.request(**{**ASKS, **more}) + SMUGGLED)
    assert seen[9:12] in (b"400", b"403")
    assert seen.count(b"HTTP/1.1 ") == 1
    assert upstream.seen == []


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
async def test_case_24_only_get_asks_for_a_tunnel(line, upstream, method):
    """Another method is an ordinary request, and a 101 to it is nobody's."""
    assert (await line.ask(method, **ASKS)).status == 502
    assert upstream.seen[0].header("upgrade") == []


async def test_case_24_h2c_is_not_let_through(line, upstream):
    """A caller that wants to speak HTTP/2 behind our back is answered in HTTP/1.1."""
    upstream.answer = upstream.plain
    asks = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAA"}
    assert (await line.ask(**asks)).status == 200
    assert upstream.seen[0].header("upgrade") + upstream.seen[0].header("http2-settings") == []


@pytest.mark.parametrize("why", ["revoked", "scopeless", "unbound"])
async def test_case_24_a_tunnel_and_a_stream_end_with_what_opened_them(line, upstream, why):
    """A key revoked, a plan cut down, a network closed: both are over within a second."""
    agree = upstream.answer

    async def either(seen, writer):
        if seen.header("upgrade"):
            return await agree(seen, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await asyncio.Event().wait()
        return False

    upstream.answer = either
    ends = []
    for asks in (ASKS, {}):
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writer.write(line.request(**asks))
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n\r\n"))[9:12] in (b"101", b"200")
        ends.append((reader, writer))
    if why == "revoked":
        line.key_rows = ()
    elif why == "scopeless":
        line.plan = line.plan.__class__(name="gold", scopes=("process:*",))
    else:
        line.key_rows = (line.row(line.key, networks=("10.0.0.0/8",)),)
    line.publish()
    for reader, writer in ends:
        async with asyncio.timeout(1):
            try:
                while await reader.read(4096):
                    continue
            except ConnectionResetError:
                continue
            finally:
                writer.close()
    assert not line.worker.running
