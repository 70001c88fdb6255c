"""This file exists to know the HTTP client underneath: its transport and what its errors mean.

Owns   nothing that lasts.
Fails  never.
Source RFC 9110 section 10.2.3 (Retry-After). Error causes observed with pyreqwest 0.15: it
       reports ConnectError and ConnectTimeout also for connections lost after the request was
       written; only the cause `client error (Connect)` means that nothing was sent.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from pyreqwest.client import ClientBuilder
from pyreqwest.compatibility.httpx import HttpxTransport
from pyreqwest.exceptions import BuilderError, DetailedPyreqwestError

Sent = list[tuple[str, str | int | float | bool | None]]

CONNECT_TIMEOUT_S = 3
IDLE_S = 30
_NEVER_CONNECTED = "client error (Connect)"


def transport(base_url: str, connections: int) -> httpx.AsyncBaseTransport:
    """hyper underneath httpx. Redirects and cookies stay off: a vendor's API has neither."""
    builder = (
        ClientBuilder()
        .follow_redirects(False)
        .default_cookie_store(False)
        .gzip(False).brotli(False).zstd(False).deflate(False)
        .http1_only()
        .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
        .pool_idle_timeout(timedelta(seconds=IDLE_S))
        .pool_max_idle_per_host(connections)
    )  # fmt: skip
    if _loopback(base_url):
        builder = builder.no_proxy()
    return HttpxTransport(builder.build())


def in_process(app: Any) -> httpx.AsyncBaseTransport:
    """A transport straight into an ASGI app, for tests that need no socket."""
    return httpx.ASGITransport(app=app)


def may_have_been_sent(error: BaseException) -> bool:
    """False only when it is certain that not a byte of the request left."""
    cause = error.__cause__
    if isinstance(cause, BuilderError):
        return False
    if isinstance(cause, DetailedPyreqwestError):
        return all(step["message"] != _NEVER_CONNECTED for step in cause.details["causes"] or ())
    never = (
        httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol
    )
    return not isinstance(error, never)


def because(error: BaseException) -> str:
    """What happened, for our log."""
    cause = error.__cause__
    if isinstance(cause, DetailedPyreqwestError):
        steps = [step["message"] for step in cause.details["causes"] or ()]
        return f"{type(error).__name__}: " + ": ".join(steps[1:] or steps)
    return repr(error)


def query(
    pairs: Mapping[str, Any] | Iterable[tuple[str, Any]] | None,
) -> Sent | None:
    """Query parameters as text: None left out, lists repeated, true and false, ISO dates."""
    if pairs is None:
        return None
    sent: Sent = []
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        plain = msgspec.to_builtins(value)
        for item in plain if isinstance(plain, list | tuple) else [plain]:
            if item is not None:
                sent.append(
                    (name, ("false", "true")[item] if isinstance(item, bool) else str(item))
                )
    return sent


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds or an HTTP date, as seconds from now, never negative."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - now).total_seconds())


def _loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
