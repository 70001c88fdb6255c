"""This file exists to speak HTTP/1.1 to callers: one protocol a connection, no task a request.

Owns   the connection of one caller: requests in order (pipelining), back-pressure both ways,
       time limits, refusals as problem documents.
Fails  MALFORMED and a closed line on anything only some parsers would agree on; TOO_LARGE,
       DEADLINE_EXCEEDED; whatever a policy or the upstream answers.
Source RFC 9112 sections 9.3 (persistence, pipelining), 9.6 (closing without losing the reply),
       RFC 9110 section 10.1.1 (Expect), RFC 9457 (problem documents).
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from contracts.problem import Fault, Problem
from gateway.dataplane import bodies, forwarding, hops, replies, tunnel
from gateway.dataplane.heads import CONTINUE
from gateway.dataplane.listeners import thumbprint
from gateway.dataplane.reading import HELD, QUEUE, SWITCH, UPSTREAM, WRITING, Reading
from gateway.pipeline import Waiting
from gateway.policy import Answer, Exchange, Pair

if TYPE_CHECKING:
    from gateway.dataplane.compiled import Compiled, Use
    from gateway.dataplane.worker import Worker

HELD_BYTES = 65_536
_CLOSED_BY_CALLER = 499


class Downstream(Reading):
    """One caller's connection."""

    __slots__ = ("_forwarded", "_pumping", "_scheme", "certificate")

    def __init__(self, worker: "Worker") -> None:
        super().__init__()
        self.worker = worker
        self._monotonic = worker.monotonic
        self._hops = worker.trusted_hops
        self._pumping = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else "local"
        tls = transport.get_extra_info("ssl_object")
        self.certificate = thumbprint(tls)
        self._scheme = b"https" if tls is not None else b"http"
        self._forwarded = forwarding.lines(self.client, self._scheme)
        self.active_s = self._monotonic()
        self.worker.opened(self)

    def eof_received(self) -> bool:
        """Half a close and a whole one look the same; nobody works for a caller who left."""
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self.worker.closed(self)
        queue, self._queue = self._queue, deque()
        for x in queue:
            x.over = True
            upstream, x.upstream = x.upstream, None
            if upstream is not None:
                upstream.drop()
            if x.started:
                x.status = x.status if x.head_sent else _CLOSED_BY_CALLER
                self.worker.ended(x)

    def pause_writing(self) -> None:
        self.blocked = True
        running = self._queue[0] if self._queue else None
        if running is not None and running.upstream is not None:
            running.upstream.pause()
        # Whoever does not read its replies asks for no more of them. A body on its way is taken:
        # there are callers who send all of it before they read.
        if running is None or running.request_done:
            self._pause(WRITING)

    def resume_writing(self) -> None:
        self.blocked = False
        if self._queue and (upstream := self._queue[0].upstream) is not None:
            upstream.resume()
        self._unpause(WRITING)
        self._pump()

    # The life of an exchange.

    def _behind_proxies(self, x: Exchange, headers: list[Pair]) -> None:
        x.client = hops.client(headers, self._hops, self.client)
        x.forward += forwarding.lines(x.client, hops.scheme(headers, self._scheme))

    def _asked_to_switch(self, x: Exchange) -> None:
        x.tunnel = tunnel.prepare(x, self.worker.compiled)

    def switched(self) -> None:
        """The line is a tunnel's now: bytes are taken again."""
        self._unpause(HELD | UPSTREAM | QUEUE | SWITCH)

    def close_soon(self) -> None:
        """When the caller has read what was written, or does not."""
        self._settle()
        self._lingers_until_s = self._monotonic() + self.worker.limits.linger_s
        self.transport.close()

    def _start(self, x: Exchange) -> None:
        worker = self.worker
        compiled = worker.compiled
        x.started = True
        use = x.use
        if use is None or compiled.hosts:
            use = x.use = self._use_of(x, compiled)
            if use is None:
                return
        x.route = use.route
        pipe = x.pipe = use.pipe
        told = x.known.get(b"firmwire-deadline-ms")
        x.deadline_s = x.started_s + (forwarding.budget_s(told, use) if told else use.deadline_s)
        worker.running.add(x)
        refusal = pipe.walk(x)
        if refusal is not None or x.length_bytes or x.answer or x.rewrite_request or x.tunnel:
            self._decided(x, use, refusal)
        else:
            self._forward(x, use)

    def _use_of(self, x: Exchange, compiled: "Compiled") -> "Use | None":
        """What serves an exchange; when there is nothing, it is answered here."""
        x.pipe = compiled.unrouted
        x.use = None
        if x.malformed:
            x.close = True
            self._unserved(x)
            self.fail(x, Problem(Fault.MALFORMED, x.malformed))
            return None
        methods = compiled.table.find(x.path)
        use = methods.get(x.method) if methods is not None else None
        served = not compiled.hosts or compiled.serves(x.known.get(b"host", b""))
        if use is not None and served:
            return use
        self._unserved(x)
        if methods is None or not served:
            self.fail(x, Problem(Fault.NOT_FOUND, "Nothing is served at this address."))
        else:
            x.down.append((b"allow", b", ".join(sorted(methods))))
            self.fail(x, Problem(Fault.METHOD_NOT_ALLOWED, "Not with this method."))
        return None

    def _unserved(self, x: Exchange) -> None:
        """Nothing is behind this one, so nothing is waited for: it gets its id and its count."""
        waited = x.pipe.walk(x)
        if waited is not None and not isinstance(waited, Problem):
            waited.close()

    async def _wait(self, x: Exchange, use: "Use", waited: Waiting) -> None:
        try:
            refusal = await x.pipe.go_on(x, waited)
        except Exception as error:  # house: except one bad policy is one 500, not a dead worker
            if not x.over:
                self._crashed(error)
            return
        if not x.over:
            self._decided(x, use, refusal)

    def _decided(self, x: Exchange, use: "Use", refusal: Problem | Waiting | None) -> None:
        if refusal is not None:
            if isinstance(refusal, Problem):
                x.refused = True
                self.fail(x, refusal)
            else:
                self.worker.spawn(self._wait(x, use, refusal))
            return
        if x.received_bytes > x.body_limit_bytes:
            self._too_large(x)  # it came while the exchange waited for its turn
            return
        if x.tunnel is not None and (refusal := x.tunnel.refusal()) is not None:
            x.refused = True
            self.fail(x, refusal)
            return
        if x.answer is not None:
            self._answer(x, x.answer)
            return
        if x.expects and not x.received_bytes:
            self.write(CONTINUE)
        if x.rewrite_request is None:
            self._forward(x, use)
            return
        x.collecting = True
        self.hold(x, 0)
        if x.request_done:
            self._rewrite(x)

    def _forward(self, x: Exchange, use: "Use") -> None:
        if x.rewrite_reply is not None:
            x.hide(b"accept-encoding")  # a policy reads plain bytes
        forwarded = b"" if self._hops else self._forwarded
        x.rest = forwarding.head(x, use, forwarded, self.worker)
        caller = x.caller
        pool = use.pool if caller is None or not caller.test else use.sandbox
        assert pool is not None  # a test key without a sandbox was refused by `authorise`
        pool.take(x)

    def _rewrite(self, x: Exchange) -> None:
        """The whole body is here."""
        use = x.use
        assert use is not None
        if (refusal := bodies.rewrite_request(x)) is not None:
            x.refused = True
            self.fail(x, refusal)
        else:
            self._forward(x, use)

    def _answer(self, x: Exchange, answer: Answer) -> None:
        x.progress_s = self._monotonic()
        self._last_of_line(x)
        self.write(replies.whole(x, answer.status, answer.headers, answer.body))
        self.finish(x)

    def rewritten(self, x: Exchange, held: bodies.HeldReply) -> bytes:
        """The upstream's whole reply as the policies want it."""
        self._last_of_line(x)
        return bodies.rewritten(x, held, self.worker.crashed)

    def _last_of_line(self, x: Exchange) -> None:
        if not x.request_done:
            x.close = x.discard = True
        if self.worker.draining:
            x.close = True

    def hold(self, x: Exchange, size_bytes: int) -> None:
        """So much of the body waits for a connection; read no more when it is a lot."""
        x.held_bytes = size_bytes
        if size_bytes > HELD_BYTES:
            self._pause(HELD)
        else:
            self._unpause(HELD)

    def reply_head(
        self, x: Exchange, status: int, out: list[bytes], length: bytes | None, *, bodiless: bool
    ) -> None:
        """The head of the upstream's reply has come: finish it in place."""
        if not x.request_done or self.worker.draining:
            x.close = True
        replies.finish_head(x, status, out, length, bodiless=bodiless)

    def fail(self, x: Exchange, problem: Problem) -> None:
        """Answer with a problem document; nothing of the reply went out yet."""
        x.progress_s = self._monotonic()
        self._last_of_line(x)
        self.write(replies.refusal(x, problem))
        if problem.fault.status >= 500 and not x.refused:
            self.worker.failed(x, problem)
        self.finish(x)

    def finish(self, x: Exchange) -> None:
        """The reply has gone out whole."""
        x.over = True
        self.worker.ended(x)
        self._queue.popleft()
        if x.close:
            self._close(x)
        elif self._queue:
            self._pump()
        elif self._paused or self.worker.draining:
            self._rest()

    def _rest(self) -> None:
        """Between two requests."""
        self._unpause(QUEUE | UPSTREAM | HELD)
        if self.worker.draining:
            self._settle()
            self.transport.close()

    def write(self, data: bytes) -> None:
        """To the caller, now, behind what waits for it."""
        self._settle()
        self.transport.write(data)

    def _settle(self) -> None:
        if self.worker.outbox.waiting:
            self.worker.outbox.flush()

    def abort(self) -> None:
        """Cut the line: the only honest end of a reply that stopped half way."""
        self._settle()
        self.transport.abort()

    def _pump(self) -> None:
        """Start what waits. A loop, because a hundred refusals in a row must not recurse."""
        if self._pumping:
            return
        self._pumping = True
        while self._queue and not (self._queue[0].started or self._lingers_until_s or self.blocked):
            try:
                self._start(self._queue[0])
            except Exception as error:  # house: except one bad policy is one 500
                self._crashed(error)
        self._pumping = False
        if len(self._queue) <= 1:
            self._unpause(QUEUE | UPSTREAM)

    def _close(self, x: Exchange) -> None:
        """At once when all was read; else let the caller read the reply before the line is cut."""
        self._queue.clear()
        self._deaf = True
        self._memo = None
        self._settle()
        if x.request_done and self._reading is None:
            self.transport.close()
            return
        self._lingers_until_s = self._monotonic() + self.worker.limits.linger_s
        self._unpause(HELD | UPSTREAM | QUEUE | WRITING)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # Trouble and time.

    def _unreadable(self, why: str) -> None:
        x = self._reading
        self._reading = None
        if self._deaf or (self._queue and self._queue[-1].close and x is not self._queue[-1]):
            return
        if x is not None and x in self._queue:  # its head was fine, its body is not
            if x is self._queue[0]:
                self._cut_off(x, Problem(Fault.MALFORMED, why))
            else:
                x.malformed = why
            return
        x = Exchange(self, self.client, self.active_s)
        x.malformed = why
        x.close = True
        self._queue.append(x)
        if len(self._queue) == 1:
            self._start(x)

    def _too_large(self, x: Exchange) -> None:
        self._cut_off(x, Problem(Fault.TOO_LARGE, f"At most {x.body_limit_bytes} bytes are taken."))

    def _crashed(self, error: BaseException) -> None:
        self.worker.crashed(error)
        if self._queue:
            say = "An unexpected error; it is logged."
            self._cut_off(self._queue[0], Problem(Fault.INTERNAL, say))
        else:
            self.abort()

    def _cut_off(self, x: Exchange, problem: Problem) -> None:
        """End a running exchange from our side."""
        upstream, x.upstream = x.upstream, None
        x.discard = x.close = True
        if upstream is not None:
            upstream.drop()
        if x.over:
            return
        if x.head_sent:
            x.problem = problem
            self.abort()
        else:
            self.fail(x, problem)

    end = _cut_off

    def check_running(self, x: Exchange, now_s: float) -> None:
        """Called ten times a second for a running exchange."""
        if not x.head_sent and now_s > x.deadline_s:
            say = "The service did not answer in time."
            self._cut_off(x, Problem(Fault.DEADLINE_EXCEEDED, say))
        elif x.use is not None and now_s - x.progress_s > x.use.stall_s:
            self._cut_off(x, Problem(Fault.MALFORMED, "The rest of the request did not come."))

    def check_idle(self, now_s: float) -> None:
        """Called once a second: a head that does not come, an idle line, a lingering one."""
        limits = self.worker.limits
        if self._lingers_until_s:
            if now_s > self._lingers_until_s:
                self.transport.abort()
        elif self._queue and self._queue[0].started:
            return
        elif now_s - self.active_s > limits.idle_s:
            (self.transport.abort if self.blocked else self.transport.close)()
        elif self._reading is not None and not self._queue:
            if self._paused:
                self._reading.started_s = now_s  # its head is kept waiting by us
            elif now_s - self._reading.started_s > limits.head_s:
                self._unreadable("The head of the request did not come in time.")

    def drain(self) -> None:
        """Close now when idle; else after the running exchanges. A tunnel never ends by itself."""
        if not self._queue and self._reading is None:
            self.transport.close()
        elif self._queue and self._queue[0].status == 101:
            self.close_soon()

    def wait_for_upstream(self, full: bool) -> None:
        """The upstream takes no more of the body for now."""
        (self._pause if full else self._unpause)(UPSTREAM)
