"""The line to the tiers: reuse, retries, and what a caller is told when it breaks."""

import asyncio
import contextlib

import pytest


async def test_connections_are_reused(gate, upstream, reply_from):
    """A hundred requests, one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    for _ in range(100):
        writer.write(gate.request())
        assert (await reply_from(reader)).status == 200
    writer.close()
    assert upstream.connections == 1


async def test_503_when_nothing_listens(gate, upstream):
    """Nothing was sent, so it may be sent again."""
    await upstream.stop()
    answered = await gate.ask("POST", body=b"x")
    assert (answered.status, answered.problem) == (503, "unavailable")
    assert "retry-after" in answered.headers


async def test_a_safe_request_outlives_a_stale_connection(gate, upstream):
    """A pooled line the upstream closed meanwhile costs a GET nothing."""

    async def closing(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        upstream.answer = cut
        return True

    async def cut(seen, writer):
        upstream.answer = upstream.plain
        return False

    upstream.answer = closing
    assert (await gate.ask()).status == 200
    assert (await gate.ask()).status == 200
    assert len(upstream.seen) == 3


async def test_502_for_an_unsafe_request_on_a_line_that_was_cut(gate, upstream):
    """It may have happened, so it is not sent twice behind the caller's back."""

    async def cut(seen, writer):
        return False

    upstream.answer = cut
    answered = await gate.ask("POST", body=b"x")
    assert (answered.status, answered.problem) == (502, "upstream_broken")
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ],
)
async def test_502_for_a_reply_that_cannot_be_trusted(gate, upstream, reply):
    """A reply with two framings could carry a second reply inside."""

    async def bad(seen, writer):
        writer.write(reply)
        return True

    upstream.answer = bad
    assert (await gate.ask()).status == 502


async def test_a_reply_cut_half_way_is_not_ended_properly(gate, upstream):
    """The caller must be able to see that something is missing."""

    async def half(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        return False

    upstream.answer = half
    seen = b""
    with contextlib.suppress(ConnectionError):
        seen = await gate.raw(gate.request())
    assert not seen.endswith(b"0\r\n\r\n")


async def test_bytes_after_a_reply_reach_nobody(gate, upstream, reply_from):
    """An answer nobody asked for poisons its connection, not the next caller."""

    async def two(seen, writer):
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        writer.write(good + good.replace(b"ok", b"no"))
        return True

    upstream.answer = two
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    for _ in range(5):
        writer.write(gate.request())
        assert (await reply_from(reader)).body == b"ok"
    writer.close()


async def test_504_when_no_reply_comes_in_time(gate, upstream, eventually):
    """The deadline of the route ends the wait, and the upstream's line is not used again."""
    gate.route = {"deadline_ms": 150}
    gate.publish()

    async def silent(seen, writer):
        await asyncio.sleep(30)
        return False

    upstream.answer = silent
    answered = await gate.ask()
    assert (answered.status, answered.problem) == (504, "deadline_exceeded")


async def test_a_caller_that_left_frees_its_upstream(gate, upstream, eventually):
    """Nobody works for somebody who is gone."""
    cut = asyncio.Event()

    async def silent(seen, writer):
        try:
            while not writer.transport.is_closing():
                await asyncio.sleep(0.005)
        finally:
            cut.set()
        return False

    upstream.answer = silent
    _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request())
    await eventually(lambda: len(upstream.seen) == 1)
    writer.transport.abort()
    await eventually(lambda: not gate.worker.running)


async def test_an_upstream_killed_under_load_gives_only_5xx_problems(gate, upstream):
    """Every caller gets a reply or a problem, and service resumes with the upstream."""
    asked = [asyncio.create_task(gate.ask()) for _ in range(50)]
    await asyncio.sleep(0)
    await upstream.stop()
    for answered in await asyncio.gather(*asked):
        assert answered.status in (200, 502, 503)
    await upstream.start(upstream.port)
    assert (await gate.ask()).status == 200
