"""This file exists to be the admin API's part about clients, admins, issuers and signing keys.

Owns   the HTTP face of the identity room's stores, and the mount of its app.
Fails  as they do; FORBIDDEN for whoever would make somebody stronger than itself.
"""

import asyncio
from typing import Any

import msgspec
from litestar import asgi, get, post, put
from litestar.params import FromPath, FromQuery, RawBody
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from contracts.paging import Page
from gateway.control.asked import Asked, Limit, actor, database, peppers, publisher
from gateway.control.shapes import Revocation
from gateway.identity import admin_tokens, clients, issuers, people, signing
from gateway.identity.admin_tokens import AdminTokenDraft, AdminTokenMade
from gateway.identity.clients import ClientDraft, ClientMade, ClientView
from gateway.identity.issuers import IssuerDraft, IssuerRemoval, IssuerView, Keeper
from gateway.identity.people import NewRole, Password, PersonDraft, PersonMade, PersonView
from gateway.identity.roles import Admin, Role
from gateway.identity.signing import SigningKeyView
from gateway.settings import ControlSettings


class Me(Struct, frozen=True):
    """Who is asking."""

    name: str
    role: Role


@get("/me", opt={"action": "self:read"})
async def me(request: Asked) -> Me:
    admin = _admin(request)
    return Me(admin.name, admin.role)


@get("/clients", opt={"action": "clients:read"})
async def list_clients(
    request: Asked,
    consumer: FromQuery[str | None] = None,
    search: FromQuery[str] = "",
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[ClientView]:
    return await database(request).read(
        lambda c: clients.clients_page(c, limit, cursor, consumer, search=search)
    )


@get("/clients/{id:str}", opt={"action": "clients:read"})
async def client(request: Asked, id: FromPath[str]) -> ClientView:
    return await database(request).read(lambda c: clients.client_of(c, id))


@post("/clients", opt={"action": "clients:write"})
async def create_client(request: Asked, body: RawBody) -> ClientMade:
    data = msgspec.json.decode(body, type=ClientDraft)
    who = actor(request)
    return await publisher(request).change(lambda c: clients.create(c, data, who))


@post("/clients/{id:str}/revoke", status_code=200, opt={"action": "clients:write"})
async def revoke_client(request: Asked, id: FromPath[str], body: RawBody) -> ClientView:
    data = msgspec.json.decode(body, type=Revocation)
    who = actor(request)
    return await publisher(request).change(lambda c: clients.revoke(c, id, data.reason, who))


@post("/clients/{id:str}/rotate", opt={"action": "clients:write"})
async def rotate_client(request: Asked, id: FromPath[str], body: RawBody) -> ClientMade:
    """The only reply that holds the new secret; the old one is dead."""
    data = msgspec.json.decode(body, type=Revocation)
    who = actor(request)
    return await database(request).write(lambda c: clients.rotate(c, id, data.reason, who))


@get("/admins", opt={"action": "admins:read"})
async def list_admins(
    request: Asked,
    search: FromQuery[str] = "",
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[PersonView]:
    return await database(request).read(
        lambda c: people.people_page(c, limit, cursor, search=search)
    )


@post("/admins", opt={"action": "admins:write"})
async def create_admin(request: Asked, body: RawBody) -> PersonMade:
    data = msgspec.json.decode(body, type=PersonDraft)
    by, provider = _admin(request), _settings(request).identity.oidc_issuer
    fresh = "" if data.password or data.subject else people.fresh()
    given = data.password or fresh
    kept = await asyncio.to_thread(people.hashed, given) if given else None
    made = await database(request).write(lambda c: people.create(c, data, kept, provider, by))
    return PersonMade(fresh, made)


@post("/admins/{name:str}/role", status_code=200, opt={"action": "admins:write"})
async def set_admin_role(request: Asked, name: FromPath[str], body: RawBody) -> PersonView:
    data = msgspec.json.decode(body, type=NewRole)
    by = _admin(request)
    return await database(request).write(lambda c: people.set_role(c, name, data, by))


@post("/admins/{name:str}/disable", status_code=200, opt={"action": "admins:write"})
async def disable_admin(request: Asked, name: FromPath[str], body: RawBody) -> PersonView:
    data = msgspec.json.decode(body, type=Revocation)
    by = _admin(request)
    return await database(request).write(lambda c: people.disable(c, name, data.reason, by))


@post("/admins/{name:str}/password", status_code=200, opt={"action": "admins:write"})
async def set_admin_password(request: Asked, name: FromPath[str], body: RawBody) -> PersonMade:
    data = msgspec.json.decode(body, type=Password)
    by, fresh = _admin(request), "" if data.password else people.fresh()
    kept = await asyncio.to_thread(people.hashed, data.password or fresh)
    seen = await database(request).write(
        lambda c: people.set_password(c, name, kept, data.reason, by)
    )
    return PersonMade(fresh, seen)


@post("/admin-tokens", opt={"action": "self:write"})
async def create_admin_token(request: Asked, body: RawBody) -> AdminTokenMade:
    """For machines. Never stronger than who makes it."""
    data = msgspec.json.decode(body, type=AdminTokenDraft)
    by = _admin(request)
    return await database(request).write(lambda c: admin_tokens.create(c, data, by))


@post("/admin-tokens/{id:str}/revoke", status_code=204, opt={"action": "admins:write"})
async def revoke_admin_token(request: Asked, id: FromPath[str], body: RawBody) -> None:
    data = msgspec.json.decode(body, type=Revocation)
    by = _admin(request)
    await database(request).write(lambda c: admin_tokens.revoke(c, id, data.reason, by))


@get("/issuers", opt={"action": "issuers:read"})
async def list_issuers(request: Asked) -> Page[IssuerView]:
    return Page(await database(request).read(issuers.views))


@put("/issuers", opt={"action": "issuers:write"})
async def set_issuer(request: Asked, body: RawBody) -> IssuerView:
    data = msgspec.json.decode(body, type=IssuerDraft)
    who, keeper = actor(request), _keeper(request)
    uri, keys = await keeper.discovered(data)
    return await publisher(request).change(lambda c: issuers.put(c, data, uri, keys, who))


@post("/issuers/refresh", status_code=200, opt={"action": "issuers:write"})
async def refresh_issuer(request: Asked, body: RawBody) -> IssuerView:
    """Ask for its keys now, instead of within five minutes; when it is down, it keeps those."""
    data = msgspec.json.decode(body, type=IssuerRemoval)
    await _keeper(request).refresh(data.issuer)
    return await database(request).read(lambda c: issuers.issuer_of(c, data.issuer))


@post("/issuers/remove", status_code=200, opt={"action": "issuers:write"})
async def remove_issuer(request: Asked, body: RawBody) -> IssuerView:
    data = msgspec.json.decode(body, type=IssuerRemoval)
    who = actor(request)
    return await publisher(request).change(
        lambda c: issuers.remove(c, data.issuer, data.reason, who)
    )


@get("/signing-keys", opt={"action": "signing:read"})
async def list_signing_keys(request: Asked) -> Page[SigningKeyView]:
    return Page(await database(request).read(signing.views))


@post("/signing-keys/rotate", opt={"action": "signing:write"})
async def rotate_signing_key(request: Asked, body: RawBody) -> SigningKeyView:
    data = msgspec.json.decode(body, type=Revocation)
    who, secrets = actor(request), peppers(request)
    return await publisher(request).change(
        lambda c: signing.rotate(c, secrets, actor=who, reason=data.reason)
    )


class Mount:
    """The identity app at its paths; opened when the control plane lives."""

    def __init__(self) -> None:
        self.app: Any = None

    def handlers(self) -> list[Any]:
        """For the control plane's service."""

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(_whole(scope), receive, send)

        opt = {"public": True, "operation": "identity"}
        return [
            asgi(path, is_mount=True, copy_scope=True, opt=opt)(served)
            for path in ("/oauth", "/.well-known")
        ]


HANDLERS = (
    me, list_clients, client, create_client, rotate_client, revoke_client, list_admins,
    create_admin, set_admin_role, disable_admin, set_admin_password, create_admin_token,
    revoke_admin_token, list_issuers, set_issuer, refresh_issuer, remove_issuer, list_signing_keys,
    rotate_signing_key,
)  # fmt: skip


def _whole(scope: Scope) -> Scope:
    """A mounted app is shown a path of its own; this one knows the whole."""
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    return {**scope, "path": path, "root_path": "", "state": {}}  # type: ignore[return-value]


def _admin(request: Asked) -> Admin:
    found: Admin = request.state.admin
    return found


def _keeper(request: Asked) -> Keeper:
    found: Keeper = request.app.state.keeper
    return found


def _settings(request: Asked) -> ControlSettings:
    found: ControlSettings = request.app.state.settings
    return found
