"""This file exists to prove admins and data planes to the control plane: no default secret.

Owns   the table admin_token (hashes only); `gateway/admin.token` in the home folder (0600), the
       bootstrap secret of the first start, for the operator to take and remove.
Fails  UNAUTHENTICATED, in the same words for a missing and a wrong token.
"""

import hashlib
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
from gateway.keys import write_private

Asking = ASGIConnection[Any, Any, Any, Any]
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
            digest=hashed(secret),
            created_ms=int(now.timestamp() * 1000),
        )
    )
    file = home / "gateway" / "admin.token"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, secret.encode())
    _LOG.info("bootstrap.secret_written", file=str(file))


def hashed(token: str) -> bytes:
    """SHA-256 is enough: our tokens are 256 random bits, there is nothing to guess."""
    return hashlib.sha256(token.encode()).digest()


def admin_of(connection: Connection, token: str) -> str | None:
    """The id of the admin token, when it is one of ours and not revoked."""
    wanted = select(admin_token.c.id).where(
        admin_token.c.digest == hashed(token), admin_token.c.revoked_ms.is_(None)
    )
    found: str | None = connection.execute(wanted).scalar()
    return found


async def only_admins(connection: Asking, _handler: BaseRouteHandler) -> None:
    """Guard of every admin route; the actor of the audit is the token's id."""
    token = _bearer(connection)
    database = connection.app.state.database
    actor = await database.read(lambda c: admin_of(c, token)) if token else None
    if actor is None:
        raise Problem(Fault.UNAUTHENTICATED, "A valid admin token is needed.")
    connection.state.actor = actor


async def only_data_planes(connection: Asking, _handler: BaseRouteHandler) -> None:
    """Guard of the snapshot: it tells who may call what."""
    token = _bearer(connection)
    expected = connection.app.state.data_plane_token
    if not hmac.compare_digest(hashed(token), hashed(expected)):
        raise Problem(Fault.UNAUTHENTICATED, "A valid data-plane token is needed.")


def _bearer(connection: Asking) -> str:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
