"""This file exists to record spans for OpenTelemetry, where an operator switched that on.

Owns   the process's one recorder; which attributes a span has. Switched off, a span costs one look
       at a variable.
Fails  BadSettings at start when the extra `otel` is not installed; never afterwards.
Source OpenTelemetry semantic conventions for HTTP spans, 1.23 and later (stable).
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from msgspec import Struct, field

from chassis import settings
from chassis.settings import BadSettings, Secret, Wrong
from chassis.trace import Trace
from contracts.problem import Problem

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
Attributes = Mapping[str, str | int]
_EXPORT_WITHIN_S = 5
_next_trace_id: ContextVar[int] = ContextVar("firmwire_next_trace_id", default=0)
_next_span_id: ContextVar[int] = ContextVar("firmwire_next_span_id", default=0)


class TraceSettings(Struct, frozen=True, kw_only=True):
    """endpoint: where OTLP over HTTP is taken, whole, e.g. http://collector:4318/v1/traces.

    headers: for the collector's door. share: of traces that are recorded, by their id, so that
    all tiers agree; what a caller does not sample is never recorded.
    """

    endpoint: str | None = None
    headers: dict[str, Secret] = field(default_factory=dict)
    share: float = 1.0


class Passed(Struct, frozen=True):
    """A request that is over, of one who counts rather than waits (the gateway's data plane)."""

    method: str
    route: str
    status: int
    started_unix_s: float
    ended_unix_s: float
    told: Attributes


class Span:
    """One span under way. trace: what the next hop is told as its parent."""

    __slots__ = ("_method", "_span", "trace")

    def __init__(self, span: Any, method: str) -> None:
        self._span = span
        self._method = method
        seen = span.get_span_context()
        sampled = bool(seen.trace_flags.sampled)
        self.trace = Trace(f"{seen.trace_id:032x}", f"{seen.span_id:016x}", sampled)

    def served(self, status: int, route: str, operation: str) -> None:
        """How a request we answered ended. Only what is our own fault is an error."""
        if route:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attribute("firmwire.operation", operation)
        if status >= 500:
            self.failed(str(status))

    def replied(self, status: int) -> None:
        """What a peer answered. Anything from 400 on is an error of this call."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 400:
            self.failed(str(status))

    def failed(self, kind: str) -> None:
        """kind: from a small set of words: a status, a fault's code, a class."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


class _Recorder:
    """Makes spans with the ids that are in our log, too."""

    def __init__(self, service: str, processor: Any, share: float) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        class OurIds(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                return _next_trace_id.get() or super().generate_trace_id()

            def generate_span_id(self) -> int:
                return _next_span_id.get() or super().generate_span_id()

        some = TraceIdRatioBased(share)
        self._provider = TracerProvider(
            # A sampled caller is not enough: the gateway samples everything it begins.
            sampler=ParentBased(some, remote_parent_sampled=some),
            resource=Resource.create({"service.name": service, "service.namespace": "firmwire"}),
            id_generator=OurIds(),
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("firmwire")

    @contextmanager
    def span(
        self, kind: str, method: str, template: str, above: Trace | None, told: Attributes
    ) -> Iterator[Span]:
        """A span of kind SERVER or CLIENT; its name has no ids in it."""
        from opentelemetry import trace
        from opentelemetry.trace import SpanKind

        below = self._below(above, remote=kind == "SERVER")
        known = method if method in METHODS else "_OTHER"
        attributes = {"http.request.method": known, **told}
        if template:
            attributes["url.template"] = template
        name = f"{known} {template}".rstrip()
        started = self._tracer.start_span(name, below, SpanKind[kind], attributes)
        own = Span(started, known)
        with trace.use_span(
            started, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                yield own
            except Problem as problem:
                own.failed(problem.fault.code)
                raise
            except BaseException as error:
                own.failed(type(error).__name__)
                raise

    def passed(self, own: Trace, above: Trace | None, seen: "Passed") -> None:
        """A SERVER span that is over, under the ids the next hop was told."""
        from opentelemetry.trace import SpanKind

        known = seen.method if seen.method in METHODS else "_OTHER"
        told = {"http.request.method": known, **seen.told}
        begun = Trace(own.trace_id, own.span_id, own.sampled, begun_here=True)
        below = self._below(above or begun, remote=True)
        _next_span_id.set(int(own.span_id, 16))
        try:
            span = self._tracer.start_span(
                known, below, SpanKind.SERVER, told, start_time=int(seen.started_unix_s * 1e9)
            )
        finally:
            _next_span_id.set(0)
        Span(span, known).served(seen.status, seen.route, "")
        span.end(int(seen.ended_unix_s * 1e9))

    def _below(self, above: Trace | None, *, remote: bool) -> Any:
        """The context of a new span; a trace that begins here keeps the id that is in the log."""
        from opentelemetry import context, trace
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

        below = context.Context()
        if above is not None and not above.begun_here:
            ids = SpanContext(
                int(above.trace_id, 16), int(above.span_id, 16),
                is_remote=remote, trace_flags=TraceFlags(int(above.sampled)),
            )  # fmt: skip
            below = trace.set_span_in_context(NonRecordingSpan(ids), below)
        _next_trace_id.set(int(above.trace_id, 16) if above is not None else 0)
        return below

    def close(self) -> None:
        self._provider.shutdown()


_recorder: _Recorder | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


def serving(method: str, above: Trace, told: Attributes) -> AbstractContextManager[Span | None]:
    """A SERVER span below what the caller told; None when nothing is recorded."""
    if _recorder is None:
        return _NOTHING
    return _recorder.span("SERVER", method, "", above, told)


def calling(
    method: str, template: str, above: Trace | None, told: Attributes
) -> AbstractContextManager[Span | None]:
    """A CLIENT span, one an attempt; None when nothing is recorded. template: may be empty."""
    if _recorder is None:
        return _NOTHING
    return _recorder.span("CLIENT", method, template, above, told)


def passed(own: Trace, above: Trace | None, seen: Passed) -> None:
    """Record a SERVER span after the fact. own: what the next hop was told; above: the caller's."""
    if _recorder is not None:
        _recorder.passed(own, above, seen)


def recording() -> bool:
    """True when spans are recorded: only then is it worth to gather attributes."""
    return _recorder is not None


def switch_on(service: str, processor: Any, *, share: float = 1.0) -> None:
    """Record from now on. processor: an OpenTelemetry SpanProcessor."""
    global _recorder
    switch_off()
    _recorder = _Recorder(service, processor, share)


def switch_off() -> None:
    """Send off what is recorded, and record no more."""
    global _recorder
    if _recorder is not None:
        _recorder.close()
        _recorder = None


def configure(service: str) -> None:
    """Once at start: exports to the collector of section [trace], when one is set."""
    told = settings.load(TraceSettings, "trace")
    if told.endpoint is None:
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        hint = "Install the extra: pip install 'firmwire[otel]'; or unset it."
        raise BadSettings([Wrong("trace.endpoint", "OpenTelemetry is not installed", hint)])
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(
        endpoint=told.endpoint,
        headers={name: secret.reveal() for name, secret in told.headers.items()},
        timeout=_EXPORT_WITHIN_S,
    )
    switch_on(service, BatchSpanProcessor(exporter), share=told.share)
