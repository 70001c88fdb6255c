"""This file exists to let a WebSocket through: judge the handshake, then pass raw bytes both ways.

Owns   the line after a 101: back-pressure, the silence it may keep, the largest message, how many
       a second. Only a reply that proves the switch opens it; after any other reply the line is
       closed, so that bytes meant for a tunnel are never read as a request.
Fails  MALFORMED (a handshake that is none), FORBIDDEN (a page of another origin).
Source RFC 6455 sections 4.2 (handshake), 5.2 (frames), 10.2 (origin); RFC 9110 section 7.8.
"""

import asyncio
from base64 import b64decode, b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.dataplane.frames import BadFrame, Frames
from gateway.dataplane.heads import status_line
from gateway.policy import Exchange

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Compiled
    from gateway.dataplane.upstream import Upstream

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY, _VERSION, _ORIGIN = b"sec-websocket-key", b"sec-websocket-version", b"origin"
_SWITCH = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"))
_EARLY_BYTES = 65_536
_FULL, _RATE = 1, 2  # why an end is not read: the other takes no more, or it says too much


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
        route = x.route
        frames = Frames(x.body_limit_bytes, 0 if route is None else route.messages_per_s)
        self._down = Half(self, link.transport, frames)
        self._up = Half(self, upstream.transport, None)
        self._down.other, self._up.other = self._up, self._down
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
    """What reads one end and writes the other. frames: None does not look at what is said."""

    __slots__ = ("_frames", "_held", "_tunnel", "_why", "other", "owner", "transport")

    other: "Half"

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, frames: Frames | None) -> None:
        self.transport = transport
        self.owner: Upstream | None = None
        self._tunnel = tunnel
        self._frames = frames
        self._held = b""
        self._why = 0

    def data_received(self, data: bytes) -> None:
        if self._frames is None:
            self._pass(data)
        elif self._held:
            self._held += data  # the transport had read it already
        else:
            self._judge(self._frames, data)

    def _judge(self, frames: Frames, data: bytes) -> None:
        """Pass on what may be said now; the rest waits, and nothing more is read meanwhile."""
        try:
            may = frames.feed(data)
        except BadFrame as error:
            self._tunnel.refused(self, error)
            return
        self._held = data[may:]
        if self._held:
            self._hold(_RATE)
            asyncio.get_running_loop().call_later(frames.wait_s, self._go_on, frames)
        if may:
            self._pass(data[:may])

    def _go_on(self, frames: Frames) -> None:
        if self.transport.is_closing():
            return
        self._judge(frames, self._held)
        if not self._held:
            self._release(_RATE)

    def _pass(self, data: bytes) -> None:
        self._tunnel.passed(self, len(data))
        to = self.other.transport
        if not to.is_closing():
            to.write(data)

    def pause_writing(self) -> None:
        self.other._hold(_FULL)

    def resume_writing(self) -> None:
        self.other._release(_FULL)

    def _hold(self, why: int) -> None:
        self._why |= why
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _release(self, why: int) -> None:
        self._why &= ~why
        if not self._why and not self.transport.is_closing():
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost(self, exc)


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


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False
