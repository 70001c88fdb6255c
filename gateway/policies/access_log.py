"""This file exists to leave one JSON line for every exchange, without secrets.

Reads   request, route, client
Writes  nothing
Fails   never: lines are buffered; the query is left out because secrets end up there.
"""

from msgspec import Struct

from gateway.policy import Exchange, Policy, Stage, Tools

_LINE = (
    b'{"at_ms":%%d,"id":"%%b",%%b,"route":"%b","version":"%%b","method":"%%b","path":"%%b",'
    b'"status":%%d,"in_bytes":%%d,"out_bytes":%%d,"took_us":%%d,"problem":"%%b","client":"%%b"}\n'
)

_NOBODY = b'"consumer":"","key":""'


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to choose."""


class _AccessLog:
    """No JSON encoder: every value was checked before and cannot hold a quote or a control."""

    def __init__(self, config: Config, tools: Tools) -> None:
        self._write = tools.log.write
        self._line = _LINE % (tools.route.name.encode() if tools.route else b"")
        self._unix_minus_monotonic_s = tools.unix() - tools.monotonic()

    def on_end(self, x: Exchange) -> None:
        caller = x.caller
        ended_s = x.progress_s
        self._write(
            self._line
            % (
                int((ended_s + self._unix_minus_monotonic_s) * 1000),
                x.request_id,
                caller.tag if caller is not None else _NOBODY,
                x.version,
                x.method,
                x.path,
                x.status,
                x.received_bytes,
                x.sent_bytes,
                int((ended_s - x.started_s) * 1_000_000),
                b"" if x.problem is None else x.problem.fault.code.encode(),
                x.client.encode(),
            )
        )


POLICY = Policy(
    stage=Stage.TRACE,
    config=Config,
    bind=_AccessLog,
    reads=frozenset({"request", "route", "client"}),
    always=True,
)
