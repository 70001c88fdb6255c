"""This file exists to make every call that leaves a process: one client, one set of manners.

Owns   the connections to one peer; its deadline, quota, breaker and retry budget.
Fails  `down` (VENDOR_DOWN): nothing was sent, it may be sent again. `silent` (VENDOR_SILENT):
       it may have happened. `throttled`: no place within the quota in time; RATE_LIMITED: what is
       left of it is kept for posting; nothing was sent.
       Any answer at all, also 4xx and 5xx, is a Reply: what it means is the caller's to say.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, TypeVar

import httpx
import msgspec
from msgspec import Struct

from chassis import clock, metrics, problems, spans, trace, travel, wire
from chassis.breaker import Breaker, BreakerRules, RetryBudget
from chassis.limiter import Lane, Limiter, Limits, Shed
from contracts.problem import Fault, Problem

T = TypeVar("T")
Query = Mapping[str, Any] | Iterable[tuple[str, Any]]

ATTEMPTS_MAX = 3
QUIET_S = 0.5
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_PAUSE = frozenset({429, 503})


class Outgoing(Struct, frozen=True):
    """A call about to be signed. url: complete, with its query."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Auth = Callable[[Outgoing], Awaitable[Mapping[str, str]]]
"""Headers to add to a call: a token, a signature. Called again for every attempt."""


class Reply(Struct, frozen=True):
    """What the peer answered. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    def json(self, shape: type[T]) -> T:
        """The body as a shape; VENDOR_CONFUSED, which is ambiguous after a write, if it is none."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.DecodeError as error:
            because = f"{self.status} {error}: {self.body[:300]!r}"
            raise Problem(
                Fault.VENDOR_CONFUSED, "The answer is unusable.", because=because
            ) from error

    def retry_after_s(self) -> float | None:
        """Seconds the peer asks us to wait, None when it says nothing we understand."""
        return wire.retry_after_s(self.headers.get("retry-after"), clock.now())


class Words(Struct, frozen=True):
    """Which faults the three ways to get no answer are called."""

    down: Fault = Fault.VENDOR_DOWN
    silent: Fault = Fault.VENDOR_SILENT
    throttled: Fault = Fault.VENDOR_THROTTLED


INSIDE = Words(Fault.UNAVAILABLE, Fault.UPSTREAM_BROKEN, Fault.UNAVAILABLE)


def _cancelled() -> Callable[[], None]:
    """Raises CancelledError when asked after this task was told to end.

    pyreqwest 0.15 loses the telling when it comes in the moment of the reply: whoever calls in a
    loop would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0

    def look() -> None:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError

    return look


class Outbound:
    """The door to one peer. One instance a peer and process; close it at the end.

    peer: its name in logs and metrics. auth: headers for every attempt. refused: called on a
    401; True to try once more (a new token was fetched): a 401 did nothing, so this is safe.
    """

    def __init__(
        self,
        base_url: str,
        *,
        peer: str,
        auth: Auth | None = None,
        refused: Callable[[], Awaitable[bool]] | None = None,
        deadline_s: float = 10.0,
        limits: Limits | None = None,
        breaker: BreakerRules | None = None,
        headers: Mapping[str, str] | None = None,
        words: Words | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.peer = peer
        self.base_url = base_url.rstrip("/")
        self.limiter = Limiter(limits, peer=peer)
        self.breaker = Breaker(breaker)
        self._auth = auth
        self._refused = refused
        self._deadline_s = deadline_s
        self._words = words or Words()
        self._budget = RetryBudget()
        self._travels = words is INSIDE
        self._http = httpx.AsyncClient(
            transport=transport or wire.transport(base_url, self.limiter.limits.concurrency),
            headers=dict(headers or {}),
            timeout=None,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        body: bytes | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
        deadline_s: float | None = None,
        bulk: bool = False,
        template: str = "",
    ) -> Reply:
        """One call: its answer, or a Problem that says whether it may have happened.

        path: below base_url, or a complete https address (a `next` link). json: encoded by
        msgspec. safe: may be sent again, by default GET and HEAD; say True for an idempotent
        write. deadline_s: for all attempts together, never more than the travelling deadline.
        bulk: in the lane of master data; else in that of the journey, which among ourselves is
        none. A quiet after 429 or Retry-After is kept by all.
        template: the path with its parameters unfilled, for the name of the span.
        """
        until_s = clock.monotonic() + self._time_s(deadline_s)
        again = method in ("GET", "HEAD") if safe is None else safe
        request = self._request(method, path, query, json, body, form, headers)
        request.extensions["template"], request.extensions["resend"] = template, 0
        self._budget.called()
        return await self._until_answered(request, again, until_s, self._lane(bulk))

    async def _until_answered(
        self, request: httpx.Request, again: bool, until_s: float, lane: Lane
    ) -> Reply:
        attempt, asked_anew = 1, False
        while True:
            trouble: Problem | None = None
            reply: Reply | None = None
            try:
                reply = await self._attempt(request, until_s, lane)
            except Problem as problem:
                trouble = problem
            if reply is not None:
                if reply.status == 401 and self._refused and not asked_anew:
                    asked_anew = True
                    if await self._refused():
                        request.extensions["resend"] += 1
                        continue
                if reply.status not in _TRY_AGAIN or not again:
                    return reply
            pause_s = self._pause_s(attempt, reply, trouble, again, until_s)
            if pause_s is None:
                if trouble is not None:
                    raise trouble
                assert reply is not None
                return reply
            attempt += 1
            request.extensions["resend"] += 1
            metrics.count("outbound_retries_total", peer=self.peer)
            await asyncio.sleep(pause_s)

    def _time_s(self, deadline_s: float | None) -> float:
        """Time for this call. Running out before it is sent is `down`: nothing has happened."""
        try:
            return travel.budget_s(deadline_s or self._deadline_s)
        except Problem as problem:
            raise self._problem(self._words.down, f"{problem.say} (before the call)") from problem

    def _request(
        self,
        method: str,
        path: str,
        query: Query | None,
        json: Any,
        body: bytes | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Request:
        url = path if "://" in path else self.base_url + path
        sent = {**(travel.headers() if self._travels else {}), **(headers or {})}
        if json is not None:
            body = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        return self._http.build_request(
            method, url, params=wire.query(query), content=body, data=form, headers=sent
        )

    async def _attempt(self, request: httpx.Request, until_s: float, lane: Lane) -> Reply:
        """One request on the wire, within its place. Tells the breaker and the metrics."""
        self._pass_breaker()
        waited = perf_counter()
        answered = False
        try:
            await self._sign(request)
            async with self.limiter.place(until_s - clock.monotonic(), lane=lane):
                metrics.observe("outbound_wait_seconds", perf_counter() - waited, peer=self.peer)
                reply = await self._recorded(request, until_s)
                answered = True
        except TimeoutError as error:
            wait_s = self.limiter.wait_s(lane)
            raise self._problem(
                self._words.throttled, repr(error), retry_after_s=wait_s or 1.0
            ) from error
        except Shed as shed:
            raise self._problem(Fault.RATE_LIMITED, str(shed), shed.wait_s) from shed
        finally:
            if not answered:
                self.breaker.abandoned()
        if self._wants_quiet(reply):
            self._keep_quiet(reply)
        return reply

    def _keep_quiet(self, reply: Reply) -> None:
        """For so long as the peer says; a moment after a 429 that names no time."""
        quiet_s = reply.retry_after_s()
        if quiet_s is None and reply.status == 429:
            quiet_s = QUIET_S * random.uniform(0.5, 1.5)
        if quiet_s is not None:
            self.limiter.pause(quiet_s)

    def _lane(self, bulk: bool) -> Lane:
        if bulk:
            return Lane.BULK
        return Lane.POSTING if self._travels else travel.lane()

    def _wants_quiet(self, reply: Reply) -> bool:
        """A tier that passes on a vendor's trouble with one lane asks no quiet of the others."""
        if reply.status not in _PAUSE or not self._travels:
            return reply.status in _PAUSE
        told = problems.received(reply.status, reply.headers.get("content-type", ""), reply.body)
        return told.fault is Fault.UNAVAILABLE

    async def _recorded(self, request: httpx.Request, until_s: float) -> Reply:
        """As `_on_the_wire`, in a span of its own when spans are recorded."""
        if not spans.recording():
            return await self._on_the_wire(request, until_s)
        now = travel.current()
        above = now.trace if now else None
        template = request.extensions["template"]
        with spans.calling(request.method, template, above, self._told(request)) as span:
            if span is not None and self._travels:
                request.headers[trace.HEADER] = span.trace.header()
            reply = await self._on_the_wire(request, until_s)
            if span is not None:
                span.replied(reply.status)
            return reply

    def _told(self, request: httpx.Request) -> dict[str, str | int]:
        """What a span says of a call. Not its query: that may name people."""
        url = request.url
        told: dict[str, str | int] = {
            "server.address": url.host,
            "url.full": str(url.copy_with(query=None, fragment=None, userinfo=b"")),
            "firmwire.peer": self.peer,
        }
        if url.port is not None:
            told["server.port"] = url.port
        if request.extensions["resend"]:
            told["http.request.resend_count"] = request.extensions["resend"]
        return told

    async def _on_the_wire(self, request: httpx.Request, until_s: float) -> Reply:
        left_s = until_s - clock.monotonic()
        if left_s <= 0:
            raise self._problem(self._words.down, "no time left to send it")
        # One total for the transport underneath, which adds the four of httpx together.
        request.extensions["timeout"] = {"read": left_s}
        began, outcome = perf_counter(), "silent"
        cancelled = _cancelled()
        try:
            async with asyncio.timeout(left_s + 0.25):
                response = await self._http.send(request)
            cancelled()
        except (httpx.HTTPError, TimeoutError) as error:
            cancelled()
            self.breaker.failed()
            sent = wire.may_have_been_sent(error)
            outcome = "silent" if sent else "down"
            fault = self._words.silent if sent else self._words.down
            raise self._problem(fault, wire.because(error)) from error
        except asyncio.CancelledError:
            outcome = "abandoned"
            raise
        else:
            self.breaker.answered()
            outcome = f"{response.status_code // 100}xx"
            return Reply(response.status_code, dict(response.headers), response.content)
        finally:
            metrics.count("outbound_requests_total", peer=self.peer, outcome=outcome)
            metrics.observe("outbound_request_seconds", perf_counter() - began, peer=self.peer)
            metrics.gauge("outbound_breaker_open", float(self.breaker.open), peer=self.peer)

    async def _sign(self, request: httpx.Request) -> None:
        if self._auth is None:
            return
        outgoing = Outgoing(request.method, str(request.url), request.headers, request.content)
        request.headers.update(await self._auth(outgoing))

    def _pass_breaker(self) -> None:
        wait_s = self.breaker.wait_s()
        if wait_s > 0:
            metrics.count("outbound_requests_total", peer=self.peer, outcome="breaker")
            raise self._problem(self._words.down, "the breaker is open", retry_after_s=wait_s)

    def _pause_s(
        self,
        attempt: int,
        reply: Reply | None,
        trouble: Problem | None,
        again: bool,
        until_s: float,
    ) -> float | None:
        """Seconds before the next attempt, None when there shall be none."""
        unsent = trouble is not None and trouble.fault is self._words.down
        if attempt >= ATTEMPTS_MAX or not (again or unsent) or self.breaker.open:
            return None
        if trouble is not None and trouble.fault in (self._words.throttled, Fault.RATE_LIMITED):
            return None
        pause_s = random.uniform(0.5, 1.0) * 0.1 * 2.0 ** (attempt - 1)
        if reply is not None:
            pause_s = max(pause_s, reply.retry_after_s() or 0.0)
        if clock.monotonic() + pause_s >= until_s or not self._budget.take():
            return None
        return pause_s

    def _problem(self, fault: Fault, because: str, retry_after_s: float | None = None) -> Problem:
        return Problem(
            fault, f"{self.peer}: {fault.title.lower()}.",
            because=f"{self.peer}: {because}", retry_after_s=retry_after_s,
        )  # fmt: skip
