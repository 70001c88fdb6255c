"""This file exists to keep the clients of our authorization server: whose they are, what they may.

Owns   the table oauth_client; secrets as hashes. A client belongs to a consumer, and one of its
       plans says what its tokens may at most.
Fails  NOT_FOUND, INVALID (naming the field), CONFLICT.
Source RFC 6749 section 2, RFC 7591 section 2 (names of methods), RFC 8252 (native apps' addresses).
"""

import hmac
import secrets
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from msgspec import Meta, Struct
from sqlalchemy import Connection, Row, insert, or_, select, update

from chassis import clock
from contracts.ids import uuid7
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control import audit
from gateway.control.rows import instant, invalid, like, maybe, ms, named, page
from gateway.control.shapes import Scope, Text
from gateway.control.subscriptions import plan_for
from gateway.control.tables import consumer, plan
from gateway.identity.jose import Unfit, public_key
from gateway.identity.sessions import hashed
from gateway.identity.tables import client
from gateway.routes import Name
from gateway.snapshot import within

Method = Literal[
    "client_secret_basic", "client_secret_post", "private_key_jwt", "self_signed_tls_client_auth",
    "tls_client_auth", "none",
]  # fmt: skip
Grant = Literal["client_credentials", "authorization_code", "refresh_token"]
Bound = Literal["", "mtls", "dpop"]
_WITH_SECRET = ("client_secret_basic", "client_secret_post")


class ClientDraft(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """plan: one of the consumer's; the default when left out. scopes: none means all of the plan.
    keys: public JWKs, for private_key_jwt. certificate: SHA-256 of the client's certificate,
    base64url, for mTLS by one certificate; subject: what any certificate signed by one in
    gateway.client_ca must call itself, `dn:CN=orders,O=Partner`, `dns:` or `uri:`, for mTLS by
    name. bound: what its tokens are bound to.
    """

    consumer: Name
    name: Text = ""
    method: Method = "client_secret_basic"
    grants: Annotated[tuple[Grant, ...], Meta(min_length=1)] = ("client_credentials",)
    redirect_uris: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    keys: tuple[dict[str, Any], ...] = ()
    certificate: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?$")] = ""
    subject: Annotated[str, Meta(pattern=r"^((dn|dns|uri):[^\x00-\x1f]{1,400})?$")] = ""
    bound: Bound = ""
    plan: str = ""
    reason: Text = ""


class ClientView(Struct, frozen=True):
    id: str
    consumer: str
    name: str
    method: str
    grants: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    bound: str
    created_at: datetime
    revoked_at: datetime | None = None
    plan: str = ""
    subject: str = ""


class ClientMade(Struct, frozen=True):
    """secret: shown this once; empty where the client proves itself by a key or not at all."""

    secret: str
    client: ClientView


class Client(ClientMixin):  # type: ignore[misc]
    """A row as authlib asks for it. granted: the plan's scopes, now."""

    def __init__(self, row: Row[Any], granted: tuple[str, ...]) -> None:
        self.row = row
        self.id: str = row.id
        self.bound: str = row.bound
        self.granted = frozenset(granted)
        self.caps = frozenset(row.scopes)

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> str | None:
        """None: an address is always to be said, and compared."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What was asked for, if all of it may be; all that may be when nothing was asked for."""
        asked = scope.split() if scope else sorted(filter(self.may, self.caps or self.granted))
        return " ".join(asked) if asked and all(map(self.may, asked)) else None

    def may(self, scope: str) -> bool:
        """Within the plan, and within what the client is limited to."""
        return within(scope, self.granted) and (not self.caps or within(scope, self.caps))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Exactly one of those told; on loopback any port (RFC 8252 section 7.3)."""
        told = self.row.redirect_uris
        return redirect_uri in told or _portless(redirect_uri) in {
            _portless(one) for one in told if _loopback(one)
        }

    def check_client_secret(self, client_secret: str) -> bool:
        kept = self.row.secret
        return kept is not None and hmac.compare_digest(bytes(kept), hashed(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return bool(self.row.method == method)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and "authorization_code" in self.row.grants

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.row.grants


def create(connection: Connection, draft: ClientDraft, actor: str) -> ClientMade:
    """A client, and its secret where it has one."""
    _fits(connection, draft)
    now = clock.now()
    secret = _secret() if draft.method in _WITH_SECRET else ""
    id = f"client_{uuid7(now).replace('-', '')}"
    connection.execute(
        insert(client).values(
            id=id, consumer=draft.consumer, name=draft.name, method=draft.method,
            secret=hashed(secret) if secret else None, keys=list(draft.keys),
            certificate=_proof(draft), grants=list(draft.grants),
            redirect_uris=list(draft.redirect_uris), scopes=list(draft.scopes),
            bound=draft.bound, created_ms=ms(now), plan=draft.plan,
        )
    )  # fmt: skip
    made = client_of(connection, id)
    audit.append(
        connection, actor=actor, action="client.created", subject=id, reason=draft.reason,
        after=made,
    )  # fmt: skip
    return ClientMade(secret, made)


def revoke(connection: Connection, id: str, reason: str, actor: str) -> ClientView:
    """Its tokens are dead with it; twice is once."""
    before = client_of(connection, id)
    if before.revoked_at is not None:
        return before
    at_ms = ms(clock.now())
    connection.execute(update(client).where(client.c.id == id).values(revoked_ms=at_ms))
    after = client_of(connection, id)
    audit.append(
        connection, actor=actor, action="client.revoked", subject=id, reason=reason,
        before=before, after=after,
    )  # fmt: skip
    return after


def rotate(connection: Connection, id: str, reason: str, actor: str) -> ClientMade:
    """Another secret; the old one is dead at once, tokens live on to their end."""
    before = client_of(connection, id)
    if before.revoked_at is not None:
        raise Problem(Fault.CONFLICT, "The client is revoked: make another one.")
    if before.method not in _WITH_SECRET:
        say = f"The client has no secret: it proves itself by {before.method}."
        raise Problem(Fault.CONFLICT, say)
    secret = _secret()
    connection.execute(update(client).where(client.c.id == id).values(secret=hashed(secret)))
    audit.append(connection, actor=actor, action="client.rotated", subject=id, reason=reason)
    return ClientMade(secret, before)


def client_of(connection: Connection, id: str) -> ClientView:
    """NOT_FOUND."""
    row = connection.execute(select(client).where(client.c.id == id)).one_or_none()
    if row is None:
        raise Problem(Fault.NOT_FOUND, f"There is no client {id}.")
    return _view(row)


def clients_page(
    connection: Connection, limit: int, after: str | None, owner: str | None, *, search: str = ""
) -> Page[ClientView]:
    """Oldest first. search: in id, name and consumer."""
    wanted = select(client).order_by(client.c.id).limit(limit + 1)
    if search:
        fields = (client.c.id, client.c.name, client.c.consumer)
        wanted = wanted.where(or_(*(c.ilike(like(search), escape="/") for c in fields)))
    if owner is not None:
        wanted = wanted.where(client.c.consumer == owner)
    if after is not None:
        wanted = wanted.where(client.c.id > after)
    found = [_view(row) for row in connection.execute(wanted)]
    return page(found, limit, lambda view: view.id)


def known(connection: Connection, id: str) -> Client | None:
    """One that may be served."""
    wanted = select(client).where(client.c.id == id, client.c.revoked_ms.is_(None))
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return None
    its = named(connection, plan, plan_for(connection, row.consumer, row.plan))
    return None if its is None else Client(row, tuple(its.scopes))


def _secret() -> str:
    return f"fwcs_{secrets.token_urlsafe(32)}"


def _fits(connection: Connection, draft: ClientDraft) -> None:
    if named(connection, consumer, draft.consumer) is None:
        raise invalid("/consumer", f"there is no consumer {draft.consumer}")
    plan_for(connection, draft.consumer, draft.plan)
    if draft.method == "none" and "client_credentials" in draft.grants:
        raise invalid("/grants", "a client without a secret cannot have client_credentials")
    if draft.method == "private_key_jwt" and not draft.keys:
        raise invalid("/keys", "private_key_jwt needs the client's public keys")
    if draft.method == "self_signed_tls_client_auth" and not draft.certificate:
        raise invalid("/certificate", "mTLS needs the thumbprint of the client's certificate")
    by_name = draft.method == "tls_client_auth"
    if by_name != bool(draft.subject):
        raise invalid("/subject", "tls_client_auth needs what its certificate calls itself")
    if by_name and draft.certificate:
        raise invalid("/certificate", "tls_client_auth knows a client by name: leave it out")
    for at, jwk in enumerate(draft.keys):
        try:
            public_key(jwk)
        except Unfit as error:
            raise invalid(f"/keys/{at}", str(error)) from error
    if "authorization_code" in draft.grants and not draft.redirect_uris:
        raise invalid("/redirect_uris", "authorization_code needs where to send people back to")
    for at, uri in enumerate(draft.redirect_uris):
        if not _fit_to_return(uri):
            raise invalid(f"/redirect_uris/{at}", "https, loopback http, or an app's own scheme")


def _proof(draft: ClientDraft) -> str:
    """What the certificate must be, or call itself."""
    kind, _, name = draft.subject.partition(":")
    return f"{kind}:{name.lower()}" if kind == "dns" else draft.subject or draft.certificate


def _fit_to_return(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    if parts.fragment or "*" in uri or parts.username is not None or not uri.isascii():
        return False
    if parts.scheme == "http":
        return _loopback(uri)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return "." in parts.scheme  # RFC 8252 section 7.1: com.example.app


def _loopback(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1")


def _portless(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        if not _loopback(uri) or parts.fragment or parts.username is not None:
            return None
        return f"{parts.hostname}{parts.path}?{parts.query}" if parts.port else None
    except ValueError:
        return None


def _view(row: Row[Any]) -> ClientView:
    return ClientView(
        row.id, row.consumer, row.name, row.method, tuple(row.grants), tuple(row.redirect_uris),
        tuple(row.scopes), row.bound, instant(row.created_ms), maybe(row.revoked_ms),
        row.plan, row.certificate if row.method == "tls_client_auth" else "",
    )  # fmt: skip
