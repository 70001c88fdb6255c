"""This file exists to make and end admin tokens for machines: with a role, and with an end.

Owns   rows of the table admin_token but the first, which is the bootstrap's.
Fails  FORBIDDEN for a token stronger than who makes it; NOT_FOUND.
"""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import Connection, insert, select, update

from chassis import clock
from contracts.ids import uuid7
from contracts.problem import Fault, Problem
from gateway import tokens
from gateway.control import audit
from gateway.control.rows import ms
from gateway.control.shapes import Text
from gateway.control.tables import admin_token
from gateway.identity.roles import Admin, Role, demand_not_stronger
from gateway.identity.sessions import hashed
from gateway.routes import Name


class AdminTokenDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """days: until it ends."""

    name: Name
    role: Role
    days: Annotated[int, Meta(ge=1, le=365)] = 90
    reason: Text = ""


class AdminTokenMade(Struct, frozen=True):
    """secret: shown this once."""

    secret: str
    id: str
    role: Role
    expires_at: datetime


def create(connection: Connection, draft: AdminTokenDraft, by: Admin) -> AdminTokenMade:
    demand_not_stronger(by, draft.role)
    now, secret = clock.now(), tokens.mint()
    made = AdminTokenMade(
        secret, f"admin_{uuid7(now).replace('-', '')}", draft.role, now + timedelta(days=draft.days)
    )
    connection.execute(
        insert(admin_token).values(
            id=made.id, digest=hashed(secret), created_ms=ms(now), role=draft.role,
            name=draft.name, expires_ms=ms(made.expires_at),
        )
    )  # fmt: skip
    after = {"name": draft.name, "role": draft.role, "expires_at": made.expires_at}
    audit.append(
        connection, actor=by.name, action="admin_token.created", subject=made.id,
        reason=draft.reason, after=after,
    )  # fmt: skip
    return made


def revoke(connection: Connection, id: str, reason: str, by: Admin) -> None:
    """Sessions begun with it end too; twice is once."""
    row = connection.execute(select(admin_token).where(admin_token.c.id == id)).one_or_none()
    if row is None:
        raise Problem(Fault.NOT_FOUND, f"There is no admin token {id}.")
    demand_not_stronger(by, row.role)
    alive = (admin_token.c.id == id) & admin_token.c.revoked_ms.is_(None)
    connection.execute(update(admin_token).where(alive).values(revoked_ms=ms(clock.now())))
    audit.append(connection, actor=by.name, action="admin_token.revoked", subject=id, reason=reason)
