"""This file exists to show a partner its own keys, use, limits and versions, and nobody else's.

Owns   the page and its JSON, reached through the gateway with the partner's own key; the gateway
       says who is calling, and this believes only the gateway.
Fails  UNAUTHENTICATED, FORBIDDEN, NOT_FOUND; JSON for programs, a page for people.
"""

import hmac
from datetime import date, timedelta
from typing import Any

from litestar import Response, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock, identity
from contracts.principal import Principal
from contracts.problem import Fault, Problem
from gateway.console.chart import chart
from gateway.console.first_call import OWN, first_call
from gateway.console.frame import FILES, HEADERS, Asked, page
from gateway.control import (
    key_store,
    quota_store,
    sandbox_keys,
    store,
    usage_store,
    version_store,
)
from gateway.control.asked import database, peppers, publisher
from gateway.control.shapes import KeyView, LimitView, UsageHour, VersionUse
from gateway.control.version_shapes import VersionView
from gateway.routes import PUBLIC_HOST

PORTAL = "/portal"
_STYLE, _ICON = FILES
LOOKS = {"style": f"{PORTAL}/static/{_STYLE}", "icon": f"{PORTAL}/static/{_ICON}"}
_OPEN = {"public": True, "operation": "portal"}


class Mine(Struct, frozen=True):
    """What a consumer may know of itself. plan, scopes, limits: of the key that asks, or else of
    the default plan. keys: without sandbox keys that have ended. usage: the last 7 days, by hour.
    """

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
    return await shown(request)


@get(f"{PORTAL}/v1/me", opt=_OPEN, guards=[only_partners])
async def own_data(request: Asked) -> Mine:
    """The same for programs."""
    mine, _ = await database(request).read(lambda c: _mine(c, *_who(request)))
    return mine


@get(f"{PORTAL}/static/{{name:str}}", opt=_OPEN, guards=[only_partners])
async def own_static(name: FromPath[str]) -> Response[bytes]:
    if name not in FILES:
        raise Problem(Fault.NOT_FOUND, "There is no such file.")
    body, kind = FILES[name]
    headers = {**HEADERS, "cache-control": "private, max-age=86400"}
    return Response(body, media_type=kind, headers=headers)


HANDLERS = (own_page, own_data, own_static)


async def shown(request: Asked, problem: Problem | None = None) -> Response[str]:
    """The page; problem: why what was asked on it was not done."""
    mine, key = await database(request).read(lambda c: _mine(c, *_who(request)))
    snapshot = publisher(request).snapshot
    until = clock.now()
    return page(
        request, "partner.html", 200 if problem is None else problem.fault.status,
        mine=mine, key=key, problem=problem, mark=mark(request, clock.now().date()),
        sandboxed=sandbox_keys.sandboxed(snapshot, publisher(request).own_routes),
        chart=chart(mine.usage, until - timedelta(days=7), until),
        call=f"{address(request)}{OWN if key is None else first_call(key, snapshot)}", **LOOKS,
    )  # fmt: skip


def address(request: Asked) -> str:
    """Of the gateway, as this caller reached it."""
    scheme = request.headers.get("x-forwarded-proto", "http")
    return f"{scheme}://{request.headers.get(PUBLIC_HOST, '')}"


def mark(request: Asked, day: date) -> str:
    """What a form of this key's page carries on that day; nobody else can make it."""
    secrets = peppers(request)
    said = f"portal form {request.state.consumer} {request.state.key} {day}"
    return hmac.digest(secrets.secrets[secrets.current], said.encode(), "sha256").hex()


def _who(request: Asked) -> tuple[str, str]:
    """The consumer, and what it showed: a key's id or a client's."""
    return request.state.consumer, request.state.key


def _mine(connection: Connection, name: str, shown: str) -> tuple[Mine, KeyView | None]:
    """With the key it showed, when it was one."""
    key = sandbox_keys.key_shown(connection, name, shown)
    until = clock.now()
    since = (until - timedelta(days=7)).replace(minute=0, second=0, microsecond=0)
    quota = quota_store.quota_of(connection, name, "" if key is None else key.plan)
    mine = Mine(
        consumer=name,
        plan=quota.plan,
        scopes=store.plan_of(connection, quota.plan).scopes,
        limits=quota.limits,
        keys=(
            *key_store.keys_page(connection, limit=100, owner=name, environment="live").items,
            *key_store.keys_page(
                connection, limit=100, owner=name, environment="test", state="active"
            ).items,
        ),
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
    return mine, key
