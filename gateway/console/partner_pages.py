"""This file exists to show a partner its own keys, use, limits and versions, and nobody else's.

Owns   the page and its JSON, reached through the gateway with the partner's own key; the gateway
       says who is calling, and this believes only the gateway.
Fails  UNAUTHENTICATED, FORBIDDEN, NOT_FOUND; JSON for programs, a page for people.
"""

from datetime import timedelta
from typing import Any

from litestar import Response, Router, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock, identity
from contracts.principal import Principal
from contracts.problem import Fault, Problem
from gateway.console.chart import chart
from gateway.console.frame import FILES, HEADERS, Asked, page
from gateway.control import key_store, quota_store, store, usage_store, version_store
from gateway.control.asked import database
from gateway.control.shapes import KeyView, LimitView, UsageHour, VersionUse
from gateway.control.version_shapes import VersionView

PORTAL = "/portal"
_OPEN = {"public": True, "operation": "portal"}


class Mine(Struct, frozen=True):
    """What a consumer may know of itself. usage: the last 7 days, by hour."""

    consumer: str
    plan: str
    scopes: tuple[str, ...]
    limits: tuple[LimitView, ...]
    keys: tuple[KeyView, ...]
    usage: tuple[UsageHour, ...]
    calls: tuple[VersionUse, ...]
    versions: tuple[VersionView, ...]


async def only_partners(
    connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
) -> None:
    """Guard: proven by the gateway itself; what another service signed does not count."""
    assertion = connection.headers.get(identity.HEADER)
    if not assertion:
        raise Problem(Fault.UNAUTHENTICATED, "Nobody is known to be calling.")
    principal: Principal = connection.app.state.verifier.principal(assertion)
    if principal.issuer != "gateway":
        raise Problem(Fault.FORBIDDEN, "This page is reached through the gateway.")
    connection.state.consumer, connection.state.key = principal.subject, principal.actor


@get(PORTAL, opt=_OPEN, guards=[only_partners])
async def own_page(request: Asked) -> Response[str]:
    mine = await database(request).read(lambda c: _mine(c, request.state.consumer))
    until = clock.now()
    drawn = chart(mine.usage, until - timedelta(days=7), until)
    return page(
        request, "partner.html", mine=mine, chart=drawn, key_used=request.state.key,
        style=f"{PORTAL}/static/{_STYLE}", icon=f"{PORTAL}/static/{_ICON}",
    )  # fmt: skip


@get(f"{PORTAL}/v1/me", opt=_OPEN, guards=[only_partners])
async def own_data(request: Asked) -> Mine:
    """The same for programs."""
    return await database(request).read(lambda c: _mine(c, request.state.consumer))


@get(f"{PORTAL}/static/{{name:str}}", opt=_OPEN, guards=[only_partners])
async def own_static(name: FromPath[str]) -> Response[bytes]:
    if name not in FILES:
        raise Problem(Fault.NOT_FOUND, "There is no such file.")
    body, kind = FILES[name]
    headers = {**HEADERS, "cache-control": "private, max-age=86400"}
    return Response(body, media_type=kind, headers=headers)


portal = Router(path="", route_handlers=[own_page, own_data, own_static])

_STYLE, _ICON = FILES


def _mine(connection: Connection, name: str) -> Mine:
    until = clock.now()
    since = (until - timedelta(days=7)).replace(minute=0, second=0, microsecond=0)
    quota = quota_store.quota_of(connection, name)
    return Mine(
        consumer=name,
        plan=quota.plan,
        scopes=store.plan_of(connection, quota.plan).scopes,
        limits=quota.limits,
        keys=key_store.keys_page(connection, limit=100, owner=name).items,
        usage=usage_store.by_hour(connection, since, until, consumer=name),
        calls=usage_store.by_version(connection, since, until, name),
        # How many others still call a version is nobody's business.
        versions=tuple(
            VersionView(
                version=view.version, state=view.state, tells=view.tells,
                deprecated_at=view.deprecated_at, sunset_at=view.sunset_at, link=view.link,
                brownouts=view.brownouts,
            )
            for view in version_store.views(connection)
        ),
    )  # fmt: skip
