"""This file exists to turn the bytes of one caller into exchanges, in order.

Owns   the parser of a connection, what it is in the middle of, and whether bytes are taken at all.
Fails  through `unreadable`, for whatever only some parsers would agree on; `too_large`.
Source RFC 9112 sections 2 and 7.1 (parsing, chunks); RFC 9110 section 7.8 (Upgrade).
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import httptools

from gateway.dataplane.heads import malformed
from gateway.dataplane.memo import Memo, may_repeat, remember
from gateway.policy import Exchange, Pair

if TYPE_CHECKING:
    from gateway.dataplane.downstream import Downstream
    from gateway.dataplane.worker import Worker

HEAD_FED_BYTES = 65_536
HELD, UPSTREAM, QUEUE, SWITCH, WRITING = 1, 2, 4, 8, 16  # why no bytes are taken for now
# The parser takes more, and does not tell: other spaces, other protocols.
_FIRST = re.compile(rb"[A-Z]+ [^ \t\r\n]+ HTTP/1\.[01]\r\n").match


class Reading(asyncio.Protocol):
    """The half of a connection that reads; `Downstream` is the half that acts."""

    __slots__ = (
        "_began", "_deaf", "_first", "_head_fed", "_headers", "_hops", "_in_head", "_line",
        "_lingers_until_s", "_memo", "_monotonic", "_parser", "_paused", "_queue",
        "_reading", "_tail", "active_s", "blocked", "client", "transport", "worker",
    )  # fmt: skip

    transport: asyncio.Transport
    client: str
    worker: "Worker"
    _monotonic: Callable[[], float]

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        self._queue: deque[Exchange] = deque()
        self._reading: Exchange | None = None
        self._headers: list[Pair] = []
        self._first = b""  # of a first line that is not whole yet
        self._tail = b""  # the last bytes fed of a message
        self._memo: Memo | None = None
        self._line: tuple[Exchange, bytes, bytes] | None = None
        self._in_head = self._began = self._deaf = self.blocked = False
        self._head_fed = self._paused = self._hops = 0
        self._lingers_until_s = 0.0
        self.active_s = 0.0

    def data_received(self, data: bytes) -> None:
        self.active_s = self._monotonic()
        if self._lingers_until_s:
            return
        between = self._reading is None and not self._first
        if (
            (memo := self._memo) is not None
            and between
            and data.endswith(memo.block)
            and not self._queue
            and (x := memo.exchange(cast("Downstream", self), data, self.worker.compiled))
        ):
            self._queue.append(x)
            try:
                self._start(x)
            except Exception as error:  # house: except one bad policy is one 500
                self._crashed(error)
            return
        if between and data.find(b"\r\n\r\n") == len(data) - 4 and _FIRST(data):
            self._feed(data)
        else:
            self._piecewise(data)
        if len(self._queue) > 1:
            self._pause(QUEUE)
        if self._line is not None:
            x, line, forward = self._line
            self._line = None
            if between and self._reading is None and not self._deaf:
                self._memo = remember(x, data, line, forward) or self._memo

    def _piecewise(self, data: bytes) -> None:
        """Each first line is judged before the parser sees its end."""
        at, end = 0, len(data)
        while at < end and not self._deaf:
            if self._paused & SWITCH:
                self._parser.feed_data(data[at:])
                return
            if self._reading is None or self._first:
                stop = data.find(b"\n", at) + 1
                self._first += data[at : stop or end]
                if not stop:
                    self._feed(data[at:])
                    self._tail = self._first[-3:]
                    return
                line, self._first = self._first, b""
                self._tail = line[: -(stop - at)][-3:]
                if line == b"\r\n":  # an empty line before a request is no harm
                    self._feed(data[at:stop])
                    at = stop
                    continue
                if not _FIRST(line):
                    self._unreadable("The first line is not METHOD, address, HTTP/1.1.")
                    return
            stop = self._piece_end(data, at)
            if not self._feed(data[at:stop]):
                return
            self._tail = b"" if self._reading is None else (self._tail + data[at:stop])[-3:]
            at = stop

    def _piece_end(self, data: bytes, at: int) -> int:
        """Where a message may end at the earliest: nothing of the next may be fed with it."""
        x = self._reading
        if x is not None and not self._in_head and not x.chunked:
            left_bytes = x.length_bytes - x.received_bytes
            return len(data) if x.discard else min(len(data), at + left_bytes)
        seam = (self._tail + data[at : at + 3]).find(b"\r\n\r\n")
        if seam >= 0:
            return at + seam + 4 - len(self._tail)
        stop = data.find(b"\r\n\r\n", at)
        return stop + 4 if stop >= 0 else len(data)

    def _feed(self, data: bytes) -> bool:
        """False when nothing more of this line can be read."""
        self._began = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as asked:
            rest = data[asked.args[0] :]
            if self._queue and (tunnel := self._queue[-1].tunnel) is not None:
                self._parser = tunnel
                self._pause(SWITCH)
                tunnel.feed_data(rest)
                return True
            # An upgrade may be ignored (RFC 9110 section 7.8), and Java clients ask for h2c by
            # default. The parser has stopped behind the request; a new one goes on from there.
            self._parser = httptools.HttpRequestParser(self)
            return True
        except httptools.HttpParserCallbackError as error:
            self._crashed(error.__context__ or error)
            return False
        except httptools.HttpParserError as error:
            self._unreadable(f"The request cannot be read: {error}.")
            return False
        if self._in_head and not self._began:
            self._head_fed += len(data)
            if self._head_fed > HEAD_FED_BYTES:
                self._unreadable("The head of the request is too long.")
                return False
        elif (x := self._reading) is not None and x.chunked:
            x.wire_bytes += len(data)
            # Chunk heads, extensions and trailers are bytes too, and cost somebody memory.
            if x.wire_bytes > 8 * x.body_limit_bytes + HEAD_FED_BYTES:
                self._too_large(x)
        return True

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._reading = Exchange(cast("Downstream", self), self.client, self.active_s)
        self._headers = []
        self._in_head = self._began = True
        self._head_fed = 0

    def on_url(self, url: bytes) -> None:
        if self._reading is not None:
            self._reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        x = self._reading
        self._in_head = False
        if x is None or self._deaf or (self._queue and self._queue[-1].close):
            self._reading = None  # the line closes before this one's turn
            return
        parser = self._parser
        x.method = parser.get_method()
        x.close = not parser.should_keep_alive()
        x.malformed = malformed(x, self._headers, parser.get_http_version())
        if parser.should_upgrade() and not x.malformed:
            if x.length_bytes:
                # The parser takes what follows for the other protocol's bytes, not for this body.
                x.malformed = "A request with a body cannot ask for another protocol."
            else:
                self._asked_to_switch(x)
        x.request_done = not x.chunked and x.length_bytes == 0
        if self._hops:
            self._behind_proxies(x, self._headers)
        self._headers = []  # trailers land here, and stay here
        self._line = None
        if may_repeat(x, parser.should_upgrade()):
            self._line = x, b"%b %b HTTP/1.1\r\n" % (x.method, x.target), x.forward
        self._queue.append(x)
        if len(self._queue) == 1 and not self.blocked:
            self._start(x)

    def on_body(self, body: bytes) -> None:
        x = self._reading
        if x is None or x.discard:
            return
        x.received_bytes += len(body)
        x.progress_s = self.active_s
        if x.received_bytes > x.body_limit_bytes:
            self._too_large(x)
            return
        if x.upstream is not None:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if x.chunked else body
            x.upstream.transport.write(piece)
            return
        if x.held is None:
            x.held = []
        x.held.append(body)
        if not x.collecting:
            self.hold(x, x.held_bytes + len(body))

    def on_message_complete(self) -> None:
        x = self._reading
        self._reading = None
        if x is None:
            return
        x.request_done = True
        if x.discard:
            return
        if x.collecting:
            self._rewrite(x)
        elif x.chunked and x.upstream is not None:
            x.upstream.transport.write(b"0\r\n\r\n")

    # What the acting half does.

    def _start(self, x: Exchange) -> None:
        raise NotImplementedError

    def _asked_to_switch(self, x: Exchange) -> None:
        raise NotImplementedError

    def _behind_proxies(self, x: Exchange, headers: list[Pair]) -> None:
        raise NotImplementedError

    def _rewrite(self, x: Exchange) -> None:
        raise NotImplementedError

    def hold(self, x: Exchange, size_bytes: int) -> None:
        raise NotImplementedError

    def _unreadable(self, why: str) -> None:
        raise NotImplementedError

    def _too_large(self, x: Exchange) -> None:
        raise NotImplementedError

    def _crashed(self, error: BaseException) -> None:
        raise NotImplementedError

    # Whether bytes are taken.

    def _pause(self, why: int) -> None:
        if not self._paused and not self.transport.is_closing():
            self.transport.pause_reading()
        self._paused |= why

    def _unpause(self, why: int) -> None:
        if self._paused:
            self._paused &= ~why
            if not self._paused and not self.transport.is_closing():
                self.transport.resume_reading()
