"""This file exists to end tokens before their time, and to tell a client what a token is worth.

Owns   revocation and introspection on top of authlib's. A client sees and ends its own tokens; a
       client of the same consumer may ask about them. Anything else is inactive, or already gone.
Fails  OAuth errors, as replies.
Source RFC 7009, RFC 7662.
"""

from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from msgspec import Struct
from sqlalchemy import Connection

from chassis import clock
from gateway.identity import grants, signing
from gateway.identity.clients import Client, known
from gateway.identity.jose import Unfit, keys_of, taken_apart


class Found(Struct, frozen=True):
    """A token of ours. claims: an access token's; a refresh token has a grant only."""

    client: str
    grant: str
    claims: dict[str, Any]
    alive: bool
    scopes: tuple[str, ...] = ()
    person: str = ""

    def check_client(self, client: Client) -> bool:
        return client.id == self.client

    def is_expired(self) -> bool:
        return not self.alive

    def is_revoked(self) -> bool:
        return not self.alive


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["any"]

    def authenticate_token(self, request: Any, client: Client) -> Found | None:
        """Somebody else's token looks like one that never was."""
        found = find(self.server.connection, request.form.get("token", ""))
        return found if found is not None and found.check_client(client) else None

    def revoke_token(self, token: Found, request: Any) -> None:
        connection = self.server.connection
        if token.claims:
            grants.revoke_token(connection, token.claims["jti"], token.claims["exp"] * 1000)
        else:
            grants.end(connection, token.grant)
        self.server.has_ended()


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = ["any"]

    def authenticate_endpoint_client(self, request: Any) -> Client:
        client: Client = super().authenticate_endpoint_client(request)
        if request.auth_method == "none":
            raise InvalidClientError("Only a proven client may ask.", status_code=401)
        return client

    def authenticate_token(self, request: Any, client: Client) -> Found | None:
        connection = self.server.connection
        found = find(connection, request.form.get("token", ""))
        if found is None or not found.alive:
            return None
        its = client if found.client == client.id else known(connection, found.client)
        return found if its is not None and its.row.consumer == client.row.consumer else None

    def introspect_token(self, token: Found) -> dict[str, Any]:
        shown = ("scope", "client_id", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf")
        if token.claims:
            kind = "DPoP" if "jkt" in token.claims.get("cnf", {}) else "Bearer"
            return {"token_type": kind} | {n: token.claims[n] for n in shown if n in token.claims}
        return {
            "client_id": token.client, "sub": token.person, "scope": " ".join(token.scopes),
            "iss": self.server.context.issuer,
        }  # fmt: skip


def find(connection: Connection, given: str) -> Found | None:
    """Whatever kind of token of ours it is."""
    if given.startswith("eyJ"):
        return _access(connection, given)
    held = grants.find_refresh(connection, given)
    if held is None:
        return None
    kept, alive = held
    return Found(kept.client, kept.grant, {}, alive, kept.scopes, kept.person)


def _access(connection: Connection, given: str) -> Found | None:
    try:
        parsed = taken_apart(given.encode())
        key = keys_of(signing.published(connection)).get(str(parsed.header.get("kid")))
        if key is None or parsed.header.get("typ") != "at+jwt":
            return None
        key.verify(parsed)
    except (Unfit, UnicodeError):
        return None
    claims = parsed.claims
    alive = claims["exp"] > clock.now().timestamp()
    alive = alive and not grants.is_revoked(connection, claims["jti"])
    alive = alive and known(connection, claims["client_id"]) is not None
    return Found(claims["client_id"], claims["jti"].partition(".")[0], claims, alive)
