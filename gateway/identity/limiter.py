"""This file exists to slow down guessing: slowapi on signing in and on the token endpoints.

Owns   who counts as one caller: an address as the data plane saw it, or the nearest proxy told
       of that we trust; a /64 where addresses are plenty. Endpoints count, never their paths.
Fails  RATE_LIMITED, a problem document with Retry-After. A store that is down counts in memory.
Source slowapi is synchronous: it runs in the threads of synchronous endpoints, never in the loop.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from math import ceil
from pathlib import Path

from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.requests import Request
from starlette.responses import Response

from chassis import clock, problems
from contracts.problem import Fault, Problem
from gateway.identity import door
from gateway.keys import Peppers
from gateway.settings import IdentitySettings

_OWN_FILE = str(Path(__file__).with_name("limiter.env"))


def limiter_of(settings: IdentitySettings, peppers: Peppers) -> Limiter:
    """One a process; counts in memory unless the settings name a store."""
    return Limiter(
        key_func=address_of(settings, peppers),
        storage_uri=settings.redis_url or "memory://",
        storage_options={},
        in_memory_fallback_enabled=bool(settings.redis_url),
        config_filename=_OWN_FILE,
        key_prefix="firmwire-identity",
        key_style="endpoint",
    )


def came_of(request: Request, peppers: Peppers) -> door.Came:
    """Where a request came from, as far as it is proven."""
    told = request.headers.get(door.HEADER, "")
    came = door.opened(told, peppers, clock.now().timestamp()) if told else None
    return came or door.Came(request.client.host if request.client else "")


def address_of(settings: IdentitySettings, peppers: Peppers) -> Callable[[Request], str]:
    """What slowapi counts by."""

    def address(request: Request) -> str:
        came = came_of(request, peppers)
        hops = settings.trusted_hops
        if hops and not request.headers.get(door.HEADER):
            told = request.headers.get("x-forwarded-for", "").split(",")
            if len(told) >= hops:
                return _one(told[-hops].strip()) or came.client
        return _one(came.client) or "unknown"

    return address


def too_many(request: Request, error: Exception) -> Response:
    """The handler of slowapi's exception."""
    wait_s = 60
    if isinstance(error, RateLimitExceeded) and hasattr(request.state, "view_rate_limit"):
        limit, names = request.state.view_rate_limit
        resets_s = request.app.state.limiter.limiter.get_window_stats(limit, *names)[0]
        wait_s = max(1, ceil(resets_s - clock.now().timestamp()))
    say = "Too many attempts from this address."
    problem = Problem(Fault.RATE_LIMITED, say, retry_after_s=wait_s)
    status, headers, body = problems.reply(problem)
    return Response(body, status, headers)


def _one(address: str) -> str:
    """No separators slowapi could read, and one name for all a caller can choose from."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else f"{int(found) >> 64:016x}"
    return str(found)
