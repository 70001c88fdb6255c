"""This file exists to speak HTTP/1.1 to the tiers: one protocol a connection, one pool an upstream.

Owns   connections, kept alive and reused last in first out; the framing of replies.
Fails  through the exchange's link: UNAVAILABLE (no connection: nothing happened),
       UPSTREAM_BROKEN (the line was cut, or the reply cannot be used).
Source RFC 9112 sections 6.3 (length of a reply), 9.3.1 (retrying), RFC 9110 section 15.2 (1xx).
"""

import asyncio
import ssl
from collections import deque
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.dataplane.heads import REPLY_DROPS
from gateway.policy import Exchange
from gateway.routes import Upstream as Definition

_PASS, _DROP, _LENGTH, _CODING = range(4)
_FATES: dict[bytes, int] = {}
_FATES_MAX = 1_000
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class Upstream(asyncio.Protocol):
    """One connection to one instance of a tier."""

    __slots__ = (
        "_bodiless", "_chunks", "_in_head", "_interim", "_stays", "_until_close", "complete",
        "host_line", "idle_since_s", "length", "out", "parser", "paused", "pool", "replied",
        "reused", "transport", "x",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, pool: "Pool", host_line: bytes) -> None:
        self.pool = pool
        self.host_line = host_line
        self.parser = httptools.HttpResponseParser(self)
        self.x: Exchange | None = None
        self.reused = self.paused = self.replied = self.complete = False
        self._in_head = self._interim = self._until_close = self._chunks = self._bodiless = (
            self._stays
        ) = False
        self.length: bytes | None = None
        self.idle_since_s = 0.0
        self.out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def begin(self, x: Exchange) -> None:
        """Send the head of a request, and what of its body has come already."""
        self.x = x
        x.upstream = self
        self.replied = self.complete = self._until_close = self._chunks = self._bodiless = False
        first, rest = x.head
        self.transport.write(b"".join((first, self.host_line, rest)))
        if x.held is not None:
            held, x.held = x.held, None
            self.transport.write(b"".join(held))
            x.link.hold(x, 0)
        if x.link.blocked:
            self.pause()

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("bytes after the end of the reply")
        self.length = None
        self._in_head = True
        self._chunks = False
        self.out = [b""]

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        fate = _FATES.get(name)
        if fate is None:
            fate = _fate(name)
        if fate is _PASS:
            self.out += (name, b": ", value, b"\r\n")
        elif fate is _LENGTH:
            if self.length is not None:
                raise ValueError("two lengths")
            self.length = value
        elif fate is _CODING:
            if value.lower() != b"chunked":
                raise ValueError("a transfer coding other than chunked")
            self._chunks = True

    def on_headers_complete(self) -> None:
        self._in_head = False
        status = self.parser.get_status_code()
        x = self.x
        if x is None:
            raise ValueError("a reply nobody asked for")
        if status < 200:
            if status == 101:
                raise ValueError("a switch of protocols nobody asked for")
            self._interim = True
            return
        if self._chunks and self.length is not None:
            raise ValueError("a length and a transfer coding")
        self._bodiless = x.method == b"HEAD" or status in (204, 304)
        self._until_close = not (self._bodiless or self._chunks or self.length is not None)
        x.link.reply_head(x, status, self.out, self.length, bodiless=self._bodiless)
        if x.method == b"HEAD":
            # The parser cannot know that no body follows, so it has done its duty.
            self.complete = True
            self._stays = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        x = self.x
        if x is None or self._bodiless:
            raise ValueError("a body where none may be")
        x.sent_bytes += len(body)
        if x.chunked_reply:
            self.out += (b"%x\r\n" % len(body), body, b"\r\n")
        else:
            self.out.append(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            self.out = []
            return
        self.complete = True
        self._stays = self.parser.should_keep_alive()

    # What the loop calls.

    def data_received(self, data: bytes) -> None:
        x = self.x
        if x is None:
            self.transport.abort()  # an idle connection has nothing to say
            return
        self.replied = True
        x.progress_s = clock.monotonic()
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._broken(x, error)
            return
        if x.head_sent:
            if self.complete:
                self._finish(x, self._stays)
            elif self.out:
                out, self.out = self.out, []
                x.link.transport.write(b"".join(out))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.pool.lost(self)
        x = self.x
        if x is None:
            return
        if x.head_sent and self._until_close and exc is None:
            self._finish(x, False)
            return
        self.x = x.upstream = None
        if x.over:
            return
        if x.head_sent:
            x.link.abort()
        elif self.reused and not self.replied and self._repeatable(x):
            x.retried = True
            self.pool.take(x, fresh=True)
        else:
            x.link.fail(
                x, Problem(Fault.UPSTREAM_BROKEN, "The service closed the line.", because=repr(exc))
            )

    def pause_writing(self) -> None:
        if self.x is not None:
            self.x.link.wait_for_upstream(True)

    def resume_writing(self) -> None:
        if self.x is not None:
            self.x.link.wait_for_upstream(False)

    def pause(self) -> None:
        """Stop reading: the client takes no more for now."""
        if not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self.transport.resume_reading()

    def drop(self) -> None:
        """Nobody wants the rest of this reply."""
        self.x = None
        self.transport.abort()

    def _repeatable(self, x: Exchange) -> bool:
        """Safe, without a body, and not tried twice (RFC 9112 section 9.3.1)."""
        return x.method in _SAFE and x.length_bytes == 0 and not x.retried

    def _finish(self, x: Exchange, reusable: bool) -> None:
        out, self.out = self.out, []
        if x.chunked_reply:
            out.append(b"0\r\n\r\n")
        if out:
            x.link.transport.write(b"".join(out))
        self.x = x.upstream = None
        if x.method == b"HEAD":
            self.parser = httptools.HttpResponseParser(self)
        if reusable and x.request_done and self.complete:
            self.resume()
            self.pool.give(self)
        else:
            self.transport.abort()
        x.link.finish(x)

    def _broken(self, x: Exchange, error: BaseException) -> None:
        because = repr(error.__context__ or error)
        self.x = x.upstream = None
        self.transport.abort()
        if x.head_sent:
            if self.complete:  # the reply was whole; what came after it is not for this client
                out, self.out = self.out, []
                x.link.transport.write(b"".join(out))
                x.link.finish(x)
            else:
                x.link.abort()
        else:
            x.link.fail(
                x, Problem(Fault.UPSTREAM_BROKEN, "The service answered badly.", because=because)
            )


class Pool:
    """Connections to one upstream. Waiting exchanges are served first come, first served."""

    def __init__(self, definition: Definition, loop: asyncio.AbstractEventLoop) -> None:
        self.definition = definition
        self._loop = loop
        self._origins = tuple(_origin(url) for url in definition.urls)
        self._turn = 0
        self._idle: list[Upstream] = []
        self._waiting: deque[Exchange] = deque()
        self.open = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False

    def take(self, x: Exchange, *, fresh: bool = False) -> None:
        """Begin on an idle connection, else on a new one, else wait. fresh: on a new one."""
        idle = self._idle
        while idle and not fresh:
            ready = idle.pop()
            if not ready.transport.is_closing():
                ready.reused = True
                ready.begin(x)
                return
        if self.open < self.definition.connections or fresh:
            self._connect_for(x)
        else:
            self._waiting.append(x)

    def give(self, connection: Upstream) -> None:
        """Back for the next exchange."""
        while self._waiting:
            x = self._waiting.popleft()
            if not x.over:
                connection.reused = True
                connection.begin(x)
                return
        if self.closed:
            connection.transport.close()
            return
        connection.idle_since_s = clock.monotonic()
        self._idle.append(connection)

    def lost(self, connection: Upstream) -> None:
        """A connection is gone; who waits may have its place."""
        if connection.x is None and connection in self._idle:
            self._idle.remove(connection)
        self._gone()

    def _gone(self) -> None:
        self.open -= 1
        while self._waiting and self.open < self.definition.connections:
            x = self._waiting.popleft()
            if not x.over:
                self._connect_for(x)

    def sweep(self, now_s: float) -> None:
        """Close what was idle for too long, oldest first."""
        limit_s = self.definition.idle_s
        while self._idle and now_s - self._idle[0].idle_since_s > limit_s:
            self._idle.pop(0).transport.close()

    def close(self) -> None:
        """No more reuse: the upstream is no longer wanted. Running exchanges end in peace."""
        self.closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.transport.close()

    def _connect_for(self, x: Exchange) -> None:
        self.open += 1
        task = self._loop.create_task(self._connect(x))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, x: Exchange) -> None:
        """Every instance once, the next in turn first: no byte was sent, so this is safe."""
        because = ""
        for _ in self._origins:
            host, port, context, line = self._origins[self._turn % len(self._origins)]
            self._turn += 1
            try:
                async with asyncio.timeout(self.definition.connect_s):
                    _, connection = await self._loop.create_connection(
                        lambda line=line: Upstream(self, line),
                        host, port, ssl=context,
                    )  # fmt: skip
            except OSError as error:  # TimeoutError is one
                because = f"{host}:{port}: {error!r}"
                continue
            if x.over:
                self.give(connection)
            else:
                connection.begin(x)
            return
        if not x.over:
            say = "The service cannot be reached; nothing was done."
            x.link.fail(x, Problem(Fault.UNAVAILABLE, say, because=because, retry_after_s=1))
        self._gone()


def _fate(name: bytes) -> int:
    """What becomes of a reply's header; remembered as it is spelt, upstreams spell alike."""
    lower = name.lower()
    fate = _DROP if lower in REPLY_DROPS else _PASS
    if lower == b"content-length":
        fate = _LENGTH
    elif lower == b"transfer-encoding":
        fate = _CODING
    if len(_FATES) < _FATES_MAX:
        _FATES[name] = fate
    return fate


def _origin(url: str) -> tuple[str, int, ssl.SSLContext | None, bytes]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"an upstream is an origin, http(s)://host:port, not {url!r}")
    context = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if context else 80)
    line = b" HTTP/1.1\r\nhost: %b\r\n" % parts.netloc.rpartition("@")[2].encode()
    return parts.hostname, port, context, line
