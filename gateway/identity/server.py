"""This file exists to be the authorization server: who gets which token, by authlib's grants.

Owns   the rules of ours on top: PKCE always and S256 only, one way to prove a client and one
       answer to all that fail, tokens bound where the client's must be. Synchronous; one instance
       a request and transaction.
Fails  OAuth errors (RFC 6749 section 5.2), as replies.
Source RFC 6749, 7009, 7636, 7662, 8705, 9068, 9449, 9700.
"""

import secrets
from collections import defaultdict
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Payload, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
)
from authlib.oauth2.rfc7636 import CodeChallenge
from msgspec import Struct
from sqlalchemy import Connection, select

from chassis import clock
from gateway.identity import grants as kept
from gateway.identity import signing
from gateway.identity.clients import Client, known
from gateway.identity.dpop import LEEWAY_S, WINDOW_S, checked
from gateway.identity.endpoints import Introspection, Revocation
from gateway.identity.jose import Unfit
from gateway.identity.prove import Given, Pairs, prove
from gateway.identity.tables import person
from gateway.keys import Peppers

_METHODS = ["any"]  # which one is for `prove` to see


class Context(Struct, frozen=True):
    """What lives longer than a request. issuer: an origin; tokens are for the same."""

    issuer: str
    peppers: Peppers
    access_token_s: int
    refresh_days: int


class Answered(Struct, frozen=True):
    status: int
    body: dict[str, Any] | str
    headers: tuple[tuple[str, str], ...]


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    @property
    def data(self) -> dict[str, str]:
        return dict(self._pairs)

    @property
    def datalist(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, value in self._pairs:
            found[name].append(value)
        return found


class Asked(OAuth2Request):  # type: ignore[misc]
    """authlib's request. The address is the issuer's: TLS ends before us."""

    def __init__(self, given: Given, issuer: str) -> None:
        super().__init__(given.method, "https://" + issuer.partition("://")[2] + given.path,
                         headers=given.headers)  # fmt: skip
        self.given = given
        self.payload = _Payload(given.query + given.form)
        self.jkt = ""

    @property
    def args(self) -> dict[str, str]:
        return dict(self.given.query)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.given.form)


class Person(Struct, frozen=True):
    """Who grants."""

    id: str
    name: str

    def get_user_id(self) -> str:
        return self.id


class InvalidProofError(OAuth2Error):  # type: ignore[misc]
    error = "invalid_dpop_proof"


class Server(AuthorizationServer):  # type: ignore[misc]
    """ended: something was revoked, so the data planes must hear of it."""

    def __init__(self, connection: Connection, context: Context) -> None:
        super().__init__()
        self.connection = connection
        self.context = context
        self.ended = False
        self.register_grant(_ClientCredentials)
        self.register_grant(_AuthorizationCode, [_S256(required=True)])
        self.register_grant(_Refresh)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def query_client(self, client_id: str) -> Client | None:
        return known(self.connection, client_id)

    def authenticate_client(
        self, request: Asked, methods: list[str], endpoint: str = "token"
    ) -> Client:
        client, method = prove(self.connection, request.given, self.context.issuer)
        request.auth_method = method
        if endpoint == "token":
            request.jkt = self._jkt(request, client)
        return client

    def has_ended(self) -> None:
        """Something was revoked."""
        self.ended = True

    def create_oauth2_request(self, request: Any) -> Asked:
        return request if isinstance(request, Asked) else Asked(request, self.context.issuer)

    def handle_response(self, status: int, body: Any, headers: Any) -> Answered:
        return Answered(status, body, tuple(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: dict[str, Any], request: Asked) -> None:
        """Access tokens carry all they are; refresh tokens were kept when they were made."""

    def make(
        self,
        client: Client,
        asked: Asked,
        held: kept.Held | None,
        *,
        user: Person | None = None,
        scope: str | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """The token reply (RFC 6749 section 5.1)."""
        granted = _granted(client, scope)
        now_s = int(clock.now().timestamp())
        jti = secrets.token_urlsafe(16)
        claims: dict[str, Any] = {
            "iss": self.context.issuer, "aud": self.context.issuer, "iat": now_s, "nbf": now_s,
            "exp": now_s + self.context.access_token_s, "client_id": client.id,
            "sub": user.id if user else client.id, "scope": granted,
            "jti": f"{held.grant}.{jti}" if held else jti,
        }  # fmt: skip
        if asked.jkt:
            claims["cnf"] = {"jkt": asked.jkt}
        elif client.bound == "mtls":
            claims["cnf"] = {"x5t#S256": asked.given.certificate}
        key = signing.current(self.connection, self.context.peppers)
        reply = {
            "access_token": key.token(claims), "token_type": "DPoP" if asked.jkt else "Bearer",
            "expires_in": self.context.access_token_s, "scope": granted,
        }  # fmt: skip
        if include_refresh_token and held is not None:
            reply["refresh_token"] = kept.new_refresh(self.connection, held.grant, asked.jkt)
        return reply

    def _jkt(self, asked: Asked, client: Client) -> str:
        """The key a token is to be bound to; what the client's tokens need must be proven here."""
        given = asked.given
        if client.bound == "mtls" and not given.certificate:
            raise InvalidRequestError("This client's tokens are bound to a certificate.")
        proof = given.headers.get("dpop")
        if proof is None:
            if client.bound == "dpop":
                raise InvalidProofError("This client's tokens are bound to a key: prove it.")
            return ""
        host = self.context.issuer.partition("://")[2]
        try:
            found = checked(
                proof.encode(), method=given.method, host=host, path=given.path, token=None,
                now_s=clock.now().timestamp(),
            )  # fmt: skip
        except (Unfit, UnicodeError) as error:
            raise InvalidProofError("The DPoP proof does not hold.") from error
        # In the database, so that it counts once also with several control planes.
        until_ms = (found.issued_s + WINDOW_S + LEEWAY_S) * 1000
        if not kept.first_time(self.connection, "dpop", found.id.hex(), until_ms):
            raise InvalidProofError("The DPoP proof does not hold.")
        return found.thumbprint


class _ClientCredentials(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def generate_token(self, **told: Any) -> dict[str, Any]:
        return _made(self, None, **told)


class _AuthorizationCode(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def generate_token(self, **told: Any) -> dict[str, Any]:
        return _made(self, self.request.authorization_code, **told)

    def generate_authorization_code(self) -> str:
        request, server = self.request, self.server
        return kept.begin(
            server.connection,
            client=request.client.id,
            person=request.user.id,
            scopes=tuple(_granted(request.client, request.scope).split()),
            life_ms=server.context.refresh_days * 86_400_000,
            redirect_uri=request.payload.redirect_uri,
            challenge=request.payload.data["code_challenge"],
        )

    def save_authorization_code(self, code: str, request: Asked) -> None:
        """Kept when it was made."""

    def query_authorization_code(self, code: str, client: Client) -> kept.Held | None:
        return kept.use_code(self.server.connection, code, client.id, self.server.has_ended)

    def delete_authorization_code(self, authorization_code: kept.Held) -> None:
        """Used already; it is kept to notice a second use."""

    def authenticate_user(self, authorization_code: kept.Held) -> Person | None:
        return person_of(self.server.connection, authorization_code.person)


class _Refresh(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def generate_token(self, **told: Any) -> dict[str, Any]:
        return _made(self, self.request.refresh_token, **told)

    def authenticate_refresh_token(self, refresh_token: str) -> kept.Held | None:
        """Used up only when the rest of the request is right: a mistake is no theft."""
        server, client, wanted = self.server, self.request.client, self.request.payload.scope
        found = kept.find_refresh(server.connection, refresh_token)
        if found is not None and found[0].client == client.id:
            held = found[0]
            if held.bound and held.bound != self.request.jkt:
                raise InvalidGrantError("This refresh token is bound to another key.")
            if wanted and not set(wanted.split()) <= set(held.scopes):
                raise InvalidScopeError()
        return kept.use_refresh(server.connection, refresh_token, client.id, server.has_ended)

    def authenticate_user(self, refresh_token: kept.Held) -> Person | None:
        return person_of(self.server.connection, refresh_token.person)

    def revoke_old_credential(self, refresh_token: kept.Held) -> None:
        """Used already."""


class _S256(CodeChallenge):  # type: ignore[misc]
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Asked of every client: a stolen code is worthless to whoever has it."""
        said = grant.request.payload.data
        if not said.get("code_challenge") or said.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is needed: code_challenge with the method S256.")
        super().validate_code_challenge(grant, redirect_uri)


def person_of(connection: Connection, id: str) -> Person | None:
    """Who granted, unless disabled since."""
    wanted = select(person).where(person.c.id == id, person.c.disabled_ms.is_(None))
    row = connection.execute(wanted).one_or_none()
    return None if row is None else Person(row.id, row.name)


def _made(grant: Any, held: kept.Held | None, **told: Any) -> dict[str, Any]:
    request = grant.request
    reply: dict[str, Any] = grant.server.make(request.client, request, held, **told)
    return reply


def _granted(client: Client, scope: str | None) -> str:
    granted = client.get_allowed_scope(scope)
    if granted is None:
        raise InvalidScopeError()
    return granted
