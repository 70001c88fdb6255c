"""This file exists to build and run a tier's service: one ASGI app with the manners of the house.

Owns   the process's HTTP server; /health, /ready, /metrics; identity and scope of every route;
       request ids, access log, problem replies.
Fails  never by itself: every exception becomes a problem document.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from msgspec import Struct
from msgspec.structs import replace

from chassis import identity, metrics, problems, spans, travel
from chassis.identity import Verifier
from chassis.limiter import Lane
from chassis.log import log
from chassis.spans import Span
from contracts.problem import Fault, Problem

BODY_LIMIT_BYTES = 2_000_000
DEADLINE_S = 60.0

Check = Callable[[], Awaitable[None]]
"""Raises when the service could not do its work now."""
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

_log = log("chassis.service")
_QUIET = frozenset({"health", "ready", "metrics"})
_UNTRACED = frozenset({"/health", "/ready", "/metrics"})


class Service(Struct, frozen=True):
    """app: what a server runs. litestar: the application inside the frame."""

    name: str
    app: Any
    litestar: Litestar


def service(
    name: str,
    *,
    handlers: Sequence[Any],
    verifier: Verifier,
    ready: Mapping[str, Check] | None = None,
    lifespan: Sequence[Lifespan] = (),
    lane: Lane = Lane.INTERACTIVE,
    **options: Any,
) -> Service:
    """A tier's service. handlers: of `serve.routes`, and Litestar handlers of the tier's own.

    A handler's opt says who may call it: `scope="process:time:read"`, or `public=True`; one that
    says neither is refused. ready: by name, what must work. lifespan: async context managers,
    entered in order before the first request. lane: of requests that come with none. options: for
    Litestar (template_config, ...).
    """
    app = Litestar(
        route_handlers=[_health, _ready(ready or {}), _metrics, *handlers],
        guards=[_guard(verifier)],
        exception_handlers={Exception: reply},
        lifespan=list(lifespan),
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=None,
        logging_config=None,
        **options,
    )
    return Service(name, _framed(app, lane), app)


def reply(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Any exception as a problem document, and in the log when it is ours to mend.

    Headers of the exception (Allow, WWW-Authenticate) go along.
    """
    if isinstance(error, HTTPException):
        problem = problems.of_status(error.status_code, because=repr(error))
    else:
        problem = problems.problem(error)
    fault = problem.fault
    if fault is Fault.INTERNAL:
        _log.error("request.failed", because=problem.because, exc_info=error)
    elif fault.status >= 500 or problem.because:
        _log.warning("request.refused", code=fault.code, say=problem.say, because=problem.because)
    now = travel.current()
    status, headers, body = problems.reply(problem, now.request_id if now else "")
    headers.update(getattr(error, "headers", None) or {})
    media_type = headers.pop("content-type")
    return Response(body, status_code=status, headers=headers, media_type=media_type)


def _guard(verifier: Verifier) -> Any:
    async def known_and_allowed(
        connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        if handler.opt.get("public"):
            return
        assertion = connection.headers.get(identity.HEADER)
        if not assertion:
            raise Problem(Fault.UNAUTHENTICATED, "Nobody is known to be calling.")
        principal = verifier.principal(assertion)
        travel.adopt(principal)
        scope = handler.opt.get("scope")
        if scope is None or not principal.may(scope):
            raise Problem(Fault.FORBIDDEN, f"This needs the scope {scope or 'of nobody'}.")

    return known_and_allowed


@get("/health", opt={"public": True, "operation": "health"}, include_in_schema=False)
async def _health() -> dict[str, str]:
    return {"status": "up"}


@get("/metrics", opt={"public": True, "operation": "metrics"}, include_in_schema=False)
async def _metrics() -> Response[bytes]:
    return Response(metrics.exposition(), media_type=metrics.MEDIA_TYPE)


def _ready(checks: Mapping[str, Check]) -> Any:
    @get("/ready", opt={"public": True, "operation": "ready"}, include_in_schema=False)
    async def ready() -> Response[bytes]:
        states = {name: await _state(name, check) for name, check in checks.items()}
        fine = all(state == "up" for state in states.values())
        body = msgspec.json.encode({"status": "up" if fine else "down", "checks": states})
        return Response(body, status_code=200 if fine else 503, media_type=MediaType.JSON)

    return ready


async def _state(name: str, check: Check) -> str:
    try:
        await check()
    # A probe's whole work is to say that something failed, whatever it was.
    except Exception as error:  # house: except a readiness check may fail in any way
        _log.warning("readiness.failed", check=name, because=repr(error))
        return "down"
    return "up"


def _framed(app: Litestar, lane: Lane) -> Any:
    """What surrounds every exchange: ids, deadline, metrics, one line in the log."""

    async def framed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        sent = {name.decode("latin-1"): value for name, value in scope["headers"]}

        def header(name: str) -> str | None:
            found = sent.get(name)
            return None if found is None else found.decode("latin-1")

        arrived = travel.received(header, DEADLINE_S, lane)
        if not spans.recording() or scope["path"] in _UNTRACED:
            with travel.using(arrived):
                await _exchange(app, scope, receive, send, arrived.request_id)
            return
        told = {"url.path": scope["path"], "url.scheme": scope.get("scheme", "http")}
        if (host := header("host")) is not None:
            told["server.address"] = host.rpartition(":")[0] or host
        with spans.serving(scope["method"], arrived.trace, told) as span:
            here = replace(arrived, trace=span.trace) if span else arrived
            with travel.using(here):
                await _exchange(app, scope, receive, send, here.request_id, span)

    return framed


async def _exchange(
    app: Litestar, scope: Any, receive: Any, send: Any, request_id: str, span: Span | None = None
) -> None:
    began, status, size_bytes = perf_counter(), 500, 0

    async def sending(message: Any) -> None:
        nonlocal status, size_bytes
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [*message.get("headers", ()), (b"firmwire-request-id", request_id.encode())]
            message = {**message, "headers": headers}
        else:
            size_bytes += len(message.get("body", b""))
        await send(message)

    in_flight = metrics.metric("http_in_flight")
    in_flight.inc()
    try:
        await app(scope, receive, sending)
    finally:
        in_flight.dec()
        took_s = perf_counter() - began
        handler = scope.get("route_handler")
        operation = str(handler.opt.get("operation") or handler.name or "own") if handler else ""
        label = operation or "unmatched"
        metrics.count("http_requests_total", operation=label, status=str(status))
        metrics.observe("http_request_seconds", took_s, operation=label)
        if span is not None:
            span.served(status, handler.opt.get("route", "") if handler else "", label)
        if label not in _QUIET:
            _log.info(
                "request.answered",
                method=scope["method"], path=scope["path"], status=status, operation=label,
                took_ms=round(took_s * 1000, 1), size_bytes=size_bytes,
            )  # fmt: skip
