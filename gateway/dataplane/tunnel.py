"""This file exists to let a WebSocket through: judge the handshake, then pass raw bytes both ways.

Owns   the line after a 101: back-pressure, the silence it may keep, the largest message. Only a
       reply that proves the switch opens it; after any other reply the line is closed, so that
       bytes meant for a tunnel are never read as a request.
Fails  MALFORMED (a handshake that is none), FORBIDDEN (a page of another origin).
Source RFC 6455 sections 4.2 (handshake), 5.2 (frames), 10.2 (origin); RFC 9110 section 7.8.
"""

import asyncio
from base64 import b64decode, b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.dataplane.heads import status_line
from gateway.policy import Exchange

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Compiled
    from gateway.dataplane.upstream import Upstream

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY, _VERSION, _ORIGIN = b"sec-websocket-key", b"sec-websocket-version", b"origin"
_SWITCH = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"))
_EARLY_BYTES = 65_536
_CONTINUES = 0
_CONTROLS_FROM = 8


class BadFrame(Exception):
    """What came is not a frame, or more of a message than is taken."""


class Tunnel:
    """One of an exchange, from its head on. `early`: bytes that came before the answer."""

    __slots__ = ("_down", "_early", "_key", "_lines", "_up", "_x")

    def __init__(self, x: Exchange) -> None:
        self._x = x
        self._key = x.known.get(_KEY, b"")
        self._early = bytearray()
        self._lines: list[bytes] = []
        self._down: Half | None = None
        self._up: Half | None = None

    def feed_data(self, data: bytes) -> None:
        """Stands where the parser stood: nothing a caller sends now is a request."""
        self._early += data
        if len(self._early) > _EARLY_BYTES:
            self._x.link.abort()

    def refusal(self) -> Problem | None:
        """After the caller was let in: is this a handshake, and from a page that may?"""
        x = self._x
        route = x.route
        if route is None or not route.websocket:
            return Problem(Fault.MALFORMED, "No other protocol is spoken here.")
        if x.known.get(_VERSION) != b"13" or not _is_key(self._key):
            return Problem(Fault.MALFORMED, "This is not a WebSocket handshake of version 13.")
        origin = x.known.get(_ORIGIN)
        if origin is None or "*" in route.origins or origin.decode() in route.origins:
            return None
        if origin.lower().partition(b"://")[2] == x.known.get(b"host", b"").lower():
            return None
        return Problem(Fault.FORBIDDEN, "Pages of this origin may not open a WebSocket here.")

    def agreed(self, lines: list[bytes]) -> None:
        """The upstream's 101: ValueError unless it answers this very handshake."""
        proof = b64encode(sha1(self._key + _GUID, usedforsecurity=False).digest())
        pairs = [(lines[at].lower(), lines[at + 2]) for at in range(1, len(lines), 4)]
        if [value for name, value in pairs if name == b"sec-websocket-accept"] != [proof]:
            raise ValueError("a switch of protocols that answers another handshake")
        self._lines = lines

    def open(self, upstream: "Upstream", rest: bytes) -> None:
        """From here on both lines carry bytes that nobody but their ends understands."""
        x = self._x
        link = x.link
        x.status = 101
        for step in x.pipe.up[x.finished]:
            step(x)
        out = [status_line(101), *self._lines[1:], x.down_lines]
        for name, value in (*x.down, *_SWITCH):
            out += (name, b": ", value, b"\r\n")
        out.append(b"\r\n")
        link.write(b"".join(out))
        x.head_sent = True
        most_bytes = x.body_limit_bytes
        self._down = Half(self, link.transport, upstream.transport, most_bytes)
        self._up = Half(self, upstream.transport, link.transport, 0)
        self._up.owner = upstream
        upstream.transport.set_protocol(self._up)
        link.transport.set_protocol(self._down)
        upstream.resume()
        link.switched()
        if rest:
            self._up.data_received(rest)
        early, self._early = bytes(self._early), bytearray()
        if early:
            self._down.data_received(early)

    def passed(self, half: "Half", size_bytes: int) -> None:
        """So many bytes went on."""
        x = self._x
        x.progress_s = clock.monotonic()
        if half is self._down:
            x.received_bytes += size_bytes
        else:
            x.sent_bytes += size_bytes

    def refused(self, half: "Half", error: BadFrame) -> None:
        """The caller sent what no WebSocket sends, or too much."""
        self._x.link.end(self._x, Problem(Fault.TOO_LARGE, str(error)))

    def lost(self, half: "Half", exc: Exception | None) -> None:
        """One end is gone: what it said is still passed on, then the other goes too."""
        x = self._x
        if half is self._down:
            upstream = x.upstream
            if upstream is not None:
                upstream.transport.close()
                x.upstream = None
            x.link.connection_lost(exc)
            return
        if half.owner is not None:
            half.owner.x = None
            half.owner.connection_lost(exc)
        x.upstream = None
        if not x.over:
            x.link.close_soon()


class Half(asyncio.Protocol):
    """What reads one end and writes the other. most_bytes: of a message; 0 does not look."""

    __slots__ = ("_frames", "_other", "_tunnel", "owner", "transport")

    def __init__(
        self,
        tunnel: Tunnel,
        transport: asyncio.Transport,
        other: asyncio.Transport,
        most_bytes: int,
    ) -> None:
        self.transport = transport
        self.owner: Upstream | None = None
        self._tunnel = tunnel
        self._other = other
        self._frames = Frames(most_bytes) if most_bytes else None

    def data_received(self, data: bytes) -> None:
        if self._frames is not None:
            try:
                self._frames.feed(data)
            except BadFrame as error:
                self._tunnel.refused(self, error)
                return
        self._tunnel.passed(self, len(data))
        if not self._other.is_closing():
            self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost(self, exc)


class Frames:
    """Reads no more of a caller's frames than their heads, to know how large a message gets."""

    __slots__ = ("_head", "_left_bytes", "_message_bytes", "_most_bytes")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._head = b""
        self._left_bytes = self._message_bytes = 0

    def feed(self, data: bytes) -> None:
        """Raises BadFrame before anything of the frame goes on."""
        at, end = 0, len(data)
        while at < end:
            if self._left_bytes:
                step = min(self._left_bytes, end - at)
                self._left_bytes -= step
                at += step
                continue
            head = self._head + data[at : at + 14 - len(self._head)]
            need = _head_bytes(head)
            if len(head) < need:
                self._head = head
                return
            at += need - len(self._head)
            self._head = b""
            self._begin(head[:need])

    def _begin(self, head: bytes) -> None:
        if not head[1] & 0x80:
            raise BadFrame("A caller's frames are masked.")
        short = head[1] & 0x7F
        length = short if short < 126 else int.from_bytes(head[2 : 4 if short == 126 else 10])
        code = head[0] & 0x0F
        if code < _CONTROLS_FROM:
            before = self._message_bytes if code == _CONTINUES else 0
            self._message_bytes = before + length
            if self._message_bytes > self._most_bytes:
                raise BadFrame(f"At most {self._most_bytes} bytes a message are taken.")
        elif length > 125:
            raise BadFrame("A control frame has at most 125 bytes.")
        self._left_bytes = length


def prepare(x: Exchange, compiled: "Compiled") -> Tunnel | None:
    """A tunnel for a request that asks for one where the route has them."""
    if x.old or x.method != b"GET" or x.known.get(b"upgrade", b"").lower() != b"websocket":
        return None
    methods = compiled.table.find(x.path)
    use = methods.get(x.method) if methods is not None else None
    if use is None or not use.route.websocket:
        return None
    x.up.extend(_SWITCH)
    x.close = True
    return Tunnel(x)


def _head_bytes(head: bytes) -> int:
    """How long a frame's head is, as far as can be told."""
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    longer = 2 if short == 126 else 8 if short == 127 else 0
    return 2 + longer + (4 if head[1] & 0x80 else 0)


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False
