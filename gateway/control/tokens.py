"""This file exists to prove admins and data planes to the control plane: no default secret.

Owns   the table admin_token (hashes only); `gateway/admin.token` in the home folder (0600), the
       bootstrap secret of the first start, for the operator to take and remove.
Fails  UNAUTHENTICATED, in the same words for a missing and a wrong token.
"""

import hmac
from pathlib import Path
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from sqlalchemy import Connection, insert, select

from chassis import clock
from chassis.log import log
from contracts.ids import uuid7
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.control.tables import admin_token
from gateway.identity import sessions
from gateway.identity.roles import demand
from gateway.keys import write_private

Asking = ASGIConnection[Any, Any, Any, Any]
CSRF_HEADER = "firmwire-csrf"
_LOG = log("gateway.control")


def bootstrap(connection: Connection, home: Path) -> None:
    """On the first start: mint the first admin token, keep its hash, leave it for the operator."""
    if connection.execute(select(admin_token.c.id).limit(1)).first() is not None:
        return
    secret = tokens.mint()
    now = clock.now()
    connection.execute(
        insert(admin_token).values(
            id=f"admin_{uuid7(now).replace('-', '')}",
            digest=sessions.hashed(secret),
            created_ms=int(now.timestamp() * 1000),
        )
    )
    file = home / "gateway" / "admin.token"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, secret.encode())
    _LOG.info("bootstrap.secret_written", file=str(file))


async def only_admins(connection: Asking, handler: BaseRouteHandler) -> None:
    """Guard of every admin route: somebody, and one whose role may do the handler's `action`.

    A session's cookie also needs its CSRF token for anything that changes something.
    """
    bearer, cookie = _bearer(connection), _cookie(connection)
    database = connection.app.state.database
    admin = None
    if bearer or cookie:
        admin = await database.read(lambda c: sessions.admin_of(c, bearer=bearer, cookie=cookie))
    if admin is None:
        raise Problem(Fault.UNAUTHENTICATED, "A valid admin token is needed.")
    safe = connection.scope.get("method") in ("GET", "HEAD")
    sent_back = connection.headers.get(CSRF_HEADER, "")
    if not safe and not bearer and not sessions.csrf_holds(admin, sent_back):
        raise Problem(Fault.FORBIDDEN, "The page is out of date: load it again.")
    demand(admin, str(handler.opt.get("action") or "unnamed:action"))
    if cookie and not bearer and await database.read(lambda c: sessions.due(c, cookie)):
        await database.write(lambda c: sessions.touch(c, cookie))
    connection.state.admin = admin
    connection.state.actor = admin.name


async def only_data_planes(connection: Asking, _handler: BaseRouteHandler) -> None:
    """Guard of the snapshot: it tells who may call what."""
    token = _bearer(connection)
    expected = connection.app.state.data_plane_token
    if not hmac.compare_digest(sessions.hashed(token), sessions.hashed(expected)):
        raise Problem(Fault.UNAUTHENTICATED, "A valid data-plane token is needed.")


def _bearer(connection: Asking) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _cookie(connection: Asking) -> str:
    """Where the cookie must be secure, the other name is not looked at."""
    secure = connection.app.state.secure_cookies
    return connection.cookies.get(sessions.cookie_name(secure=secure), "")
