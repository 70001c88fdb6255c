"""This file exists to write the log: one event a line, named noun.verb, never a secret.

Owns   structlog's configuration, and the bridge from the standard library's logging into it.
Fails  never: what JSON cannot say is logged as its text.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, Protocol, TextIO, cast

import msgspec
import structlog

from chassis import clock, travel

_HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:authorization|cookie|password|passwd|passphrase|secret|token|assertion|pepper"
    r"|credentials?|api[_\-]?key|private[_\-]?key|key[_\-]?secret|signature|firmwire[_\-]identity)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?i:\b(?:bearer|basic|digest|negotiate|oauth)\s+)[A-Za-z0-9._~+/=\-]{8,}"
    r"|\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"
    r"|\bfw[a-z]*_[A-Za-z0-9_]{12,}"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)

Form = Literal["json", "console"]


class Log(Protocol):
    """What writes events. event: noun.verb in the past tense or as it stands: `invoice.posted`."""

    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...
    def exception(self, event: str, **fields: Any) -> None: ...


def log(room: str) -> Log:
    """The log of one room, e.g. `log("process.billing")`. Cheap; make it once a module."""
    return cast(Log, structlog.get_logger(room=room))


def configure(
    service: str, *, form: Form = "json", level: str = "info", stream: TextIO | None = None
) -> None:
    """Once at start. service: in every line. level: debug, info, warning or error."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    out = stream or sys.stdout
    renderer: Any = _json if form == "json" else structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamped(service),
            structlog.processors.format_exc_info,
            _redacted,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=max(threshold, logging.WARNING), force=True)


def redact(value: Any, name: str = "") -> Any:
    """The value without secrets, at any depth: by the name of a field, or by its look."""
    if name and _SECRET_NAME.search(name) and value is not None:
        return _HIDDEN
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: redact(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner) for inner in value]
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        return {field: redact(getattr(value, field), field) for field in fields}
    if isinstance(value, bytes):
        return redact(value[:2000].decode(errors="replace"))
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


Event = MutableMapping[str, Any]


def _stamped(service: str) -> Any:
    def stamp(_logger: Any, _method: str, event: Event) -> Event:
        event["at"] = clock.now().isoformat(timespec="milliseconds")
        event["service"] = service
        now = travel.current()
        if now is not None:
            event.setdefault("request_id", now.request_id)
            event.setdefault("correlation_id", now.correlation_id)
            event.setdefault("trace_id", now.trace.trace_id)
            if now.principal is not None:
                event.setdefault("caller", now.principal.subject)
        return event

    return stamp


def _redacted(_logger: Any, _method: str, event: Event) -> Event:
    return {name: redact(value, name) for name, value in event.items()}


def _json(_logger: Any, _method: str, event: Event) -> str:
    first = {name: event.pop(name) for name in ("at", "level", "event") if name in event}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


class _Bridge(logging.Handler):
    """What libraries log, as events of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        events = structlog.get_logger(room=record.name)
        events.log(
            min(record.levelno, logging.CRITICAL),
            "library.said",
            message=record.getMessage(),
            exc_info=record.exc_info or None,
        )
