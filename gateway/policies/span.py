"""This file exists to record one OpenTelemetry span an exchange, where an operator wants spans.

Reads   request, request_id, trace
Writes  span
Fails   never. Switched off (the section `trace` names no collector) it is not part of any pipe's
        end: it costs nothing.
Source  OpenTelemetry semantic conventions for HTTP server spans, 1.23 and later (stable).
"""

import re

from msgspec import Struct

from chassis import spans, trace
from gateway.policy import Exchange, Policy, Stage, Tools

_PARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose: where spans go is the operator's setting."""


class _Off:
    """Nobody collects."""


class _Span:
    def __init__(self, config: Config, tools: Tools) -> None:
        self._unix = tools.unix
        self._route = tools.route.prefix if tools.route is not None else ""

    def on_end(self, x: Exchange) -> None:
        if not x.trace:
            return
        parent = x.known.get(b"traceparent")
        above = trace.received(parent.decode()) if parent and _PARENT(parent) else None
        now_s = self._unix()
        told = {"client.address": x.client, "firmwire.request_id": x.request_id.decode()}
        if x.caller is not None:
            told["firmwire.consumer"] = x.caller.consumer
        if x.problem is not None:
            told["error.type"] = x.problem.fault.code
        seen = spans.Passed(
            method=x.method.decode(),
            route=self._route,
            status=x.status,
            started_unix_s=now_s - max(0.0, x.progress_s - x.started_s),
            ended_unix_s=now_s,
            told=told,
        )
        spans.passed(trace.received(x.trace.decode()), above, seen)


def _bind(config: Config, tools: Tools) -> object:
    return _Span(config, tools) if spans.recording() else _Off()


POLICY = Policy(
    stage=Stage.TRACE,
    config=Config,
    bind=_bind,
    reads=frozenset({"request", "request_id", "trace"}),
    writes=frozenset({"span"}),
    always=True,
)
