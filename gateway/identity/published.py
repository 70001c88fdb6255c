"""This file exists to put into a snapshot what data planes need to believe a token.

Owns   nothing; it reads.
Fails  never.
"""

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from gateway.identity import grants, signing
from gateway.identity.jose import keys_of
from gateway.identity.tables import client, issuer
from gateway.routes import Route
from gateway.settings import ControlSettings
from gateway.snapshot import Client, Issuer


class Known(Struct, frozen=True):
    """Fields of a snapshot."""

    issuers: tuple[Issuer, ...]
    clients: tuple[Client, ...]
    revoked: tuple[str, ...]


def known(connection: Connection, settings: ControlSettings) -> Known:
    """As the database has it now. Our own issuer comes first."""
    name = settings.issuer
    own = Issuer(name, name, signing.published(connection))
    others = connection.execute(select(issuer).where(issuer.c.issuer != name))
    trusted = tuple(
        Issuer(
            row.issuer, row.audience, _fit(row.keys), tuple(row.types), row.consumer,
            tuple(row.scopes), row.plan,
        )
        for row in others
    )  # fmt: skip
    alive = select(client).where(client.c.revoked_ms.is_(None)).order_by(client.c.id)
    clients = tuple(
        Client(row.id, row.consumer, tuple(row.scopes), row.bound, row.plan)
        for row in connection.execute(alive)
    )
    token_ms = settings.identity.access_token_s * 1000
    return Known((own, *trusted), clients, grants.revoked(connection, token_ms))


def routes_of(settings: ControlSettings) -> tuple[Route, ...]:
    """The public way to the authorization server, where there is one."""
    if not settings.issuer_url:
        return ()
    policies: dict[str, dict[str, Any]] = {"introduce": {}, "size_limit": {"limit_bytes": 65_536}}
    return tuple(
        Route(name, prefix, "control", policies, ("GET", "POST"), 15_000, public=True)
        for name, prefix in (
            ("oauth", "/oauth"),
            ("oauth-metadata", "/.well-known/oauth-authorization-server"),
            ("openid-metadata", "/.well-known/openid-configuration"),
        )
    )


def _fit(keys: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Data planes are sent only what they would believe."""
    fit = keys_of(keys)
    return tuple(key for key in keys if key.get("kid") in fit)
