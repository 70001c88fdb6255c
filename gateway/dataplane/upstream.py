"""This file exists to speak HTTP/1.1 to the tiers: one protocol a connection.

Owns   the framing of replies; which request may be sent a second time when the line was cut.
Fails  through the exchange's link: UPSTREAM_BROKEN (the line was cut, or the reply cannot be used).
Source RFC 9112 sections 6.3 (length of a reply), 9.3.1 (retrying), RFC 9110 section 15.2 (1xx).
"""

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from chassis import clock
from contracts.problem import Fault, Problem
from gateway.dataplane import bodies, plain, replies
from gateway.dataplane.bodies import HeldReply
from gateway.dataplane.heads import REPLY_DROPS
from gateway.policy import Exchange

if TYPE_CHECKING:
    from gateway.dataplane.pool import Instance, Pool

_PASS, _DROP, _LENGTH, _CODING = range(4)
_FATES: dict[bytes, int] = {}
_FATES_MAX = 1_000
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
# A body this small that came with its head is kept, in case its keyed request must go again.
_KEPT_BYTES = 65_536


class Upstream(asyncio.Protocol):
    """One connection to one instance of a tier."""

    __slots__ = (
        "_bodiless", "_chunks", "_in_head", "_interim", "_left", "_stays", "_until_close",
        "complete",
        "idle_since_s", "instance", "length", "out", "parser", "paused", "pool", "replied",
        "reused", "transport", "whole", "x",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, pool: "Pool", instance: "Instance") -> None:
        self.pool = pool
        self.instance = instance
        self.parser = httptools.HttpResponseParser(self)
        self.x: Exchange | None = None
        self.reused = self.paused = self.replied = self.complete = False
        self._in_head = self._interim = self._until_close = self._chunks = self._bodiless = (
            self._stays
        ) = False
        self.length: bytes | None = None
        self.whole: HeldReply | None = None
        self._left = 0
        self.idle_since_s = 0.0
        self.out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.idle_since_s = clock.monotonic()

    def begin(self, x: Exchange) -> None:
        """Send the head of a request, and what of its body has come already."""
        self.x = x
        x.upstream = self
        self.replied = False
        head = x.method, b" ", x.target, self.instance.host_line, x.rest
        if x.length_bytes:
            if x.request_done and x.received_bytes <= _KEPT_BYTES and b"idempotency-key" in x.known:
                x.kept = x.held
            self.transport.write(b"".join((*head, bodies.on_the_wire(x))))
            x.link.hold(x, 0)
        else:
            x.link.worker.outbox.add(self.transport, b"".join(head))
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
                if x.tunnel is None:
                    raise ValueError("a switch of protocols nobody asked for")
                x.tunnel.agreed(self.out)
            self._interim = True
            return
        if self._chunks and self.length is not None:
            raise ValueError("a length and a transfer coding")
        self._bodiless = x.method == b"HEAD" or status in (204, 304)
        self._until_close = not (self._bodiless or self._chunks or self.length is not None)
        if x.rewrite_reply is not None and self._held(x, status):
            self.whole = HeldReply(status, self.out)
            self.out = []
        else:
            x.link.reply_head(x, status, self.out, self.length, bodiless=self._bodiless)
        if x.method == b"HEAD":
            # The parser cannot know that no body follows, so it has done its duty.
            self.complete = True
            self._stays = self.parser.should_keep_alive()

    def _held(self, x: Exchange, status: int) -> bool:
        """Does the policy that rewrites want this reply, now that its head is known?"""
        if x.rewrite_if is None:
            return True
        lines = self.out
        names = (name.lower() for name in lines[1::4])
        return x.rewrite_if(status, list(zip(names, lines[3::4], strict=True)), self.length)

    def on_body(self, body: bytes) -> None:
        x = self.x
        if x is None or self._bodiless:
            raise ValueError("a body where none may be")
        if self.whole is not None:
            self.whole.add(body)
            return
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
        x.progress_s = self.idle_since_s = clock.monotonic()
        if not self.replied:
            self.replied = True
            if self.instance.troubled_until_s:
                self.instance.answered(x.progress_s)
            if x.method != b"HEAD" and x.rewrite_reply is None and self._plain(x, data):
                return
        elif self._left:
            self._more(x, data)
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._broken(x, error)
            return
        except httptools.HttpParserUpgrade as switch:
            if x.tunnel is None:
                self._broken(x, switch)
            else:
                x.tunnel.open(self, data[switch.args[0] :])
            return
        if x.head_sent or self.whole is not None:
            if self.complete:
                self._finish(x, self._stays)
            elif self.out:
                out, self.out = self.out, []
                x.link.write(b"".join(out))

    def _plain(self, x: Exchange, data: bytes) -> bool:
        """The first bytes of a reply: when they are plain, no parser is asked."""
        found = plain.head(data)
        if found is None:
            return False
        status, lines, length, at = found
        left = length - (len(data) - at)
        if left < 0:
            return False  # more than a reply: the parser knows what to do
        body = data[at:]
        x.sent_bytes = len(body)
        link = x.link
        link.worker.outbox.add(link.transport, replies.plain(x, status, lines, length, body))
        if left:
            self._left = left
        else:
            self._end(x, True)
        return True

    def _more(self, x: Exchange, data: bytes) -> None:
        """The rest of a plain reply's body, as it comes."""
        left = self._left - len(data)
        if left < 0:
            data = data[: self._left]
        x.sent_bytes += len(data)
        x.link.write(data)
        if left > 0:
            self._left = left
        else:
            self._left = 0
            self._end(x, left == 0)

    def _end(self, x: Exchange, reusable: bool) -> None:
        self.x = x.upstream = None
        if reusable and x.request_done:
            if self.paused:
                self.resume()
            self.pool.give(self)
        else:
            self.transport.abort()
        x.link.finish(x)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.pool.lost(self)
        x = self.x
        if x is None:
            return
        if (x.head_sent or self.whole is not None) and self._until_close and exc is None:
            self._finish(x, False)
            return
        self.x = x.upstream = None
        if x.over:
            return
        if not self.replied and not self.reused:
            self.instance.failed()
        if x.head_sent:
            x.link.abort()
        elif self._again(x):
            pass
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
        """Nobody wants the rest of this reply, or nobody waits for it any longer."""
        x, self.x = self.x, None
        if x is not None and not self.replied:
            if clock.monotonic() > x.deadline_s:
                self.instance.failed()
            else:
                self.instance.breaker.abandoned()
        self.transport.abort()

    def _again(self, x: Exchange) -> bool:
        """Send it once more? Only what is safe or keyed, and of which no reply began.

        A line that was idle may have been closed before it saw the request: that costs no budget
        (RFC 9112 section 9.3.1). A keyed request goes again with the same key: the tier's own
        record of keys makes it happen once.
        """
        if self.replied or x.retried:
            return False
        if x.kept is not None:
            x.held, x.held_bytes = x.kept, 0
        elif x.length_bytes or not (x.method in _SAFE or b"idempotency-key" in x.known):
            return False
        if self.reused:
            x.retried = True
            self.pool.take(x, fresh=True)
            return True
        return self.pool.second(x)

    def _finish(self, x: Exchange, reusable: bool) -> None:
        out, self.out = self.out, []
        if self.whole is not None:
            out = [x.link.rewritten(x, self.whole)]
            self.whole = None
        elif x.chunked_reply:
            out.append(b"0\r\n\r\n")
        if out:
            x.link.write(b"".join(out))
        if x.method == b"HEAD":
            self.parser = httptools.HttpResponseParser(self)
        reusable = reusable and self.complete
        self.complete = self._until_close = self._chunks = self._bodiless = False
        self._end(x, reusable)

    def _broken(self, x: Exchange, error: BaseException) -> None:
        because = repr(error.__context__ or error)
        self.x = x.upstream = None
        self.transport.abort()
        if x.head_sent:
            if self.complete:  # the reply was whole; what came after it is not for this client
                out, self.out = self.out, []
                x.link.write(b"".join(out))
                x.link.finish(x)
            else:
                x.link.abort()
        else:
            x.link.fail(
                x, Problem(Fault.UPSTREAM_BROKEN, "The service answered badly.", because=because)
            )


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
