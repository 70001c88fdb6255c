"""This file exists to be the console's pages about OAuth clients: find, make, rotate, revoke.

Owns   forms and what they become; the work is identity.clients'.
Fails  the form again, with what is wrong beside its field; a page for anything else.
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy import Connection

from chassis import problems
from contracts.problem import FieldError, Problem
from gateway.console.frame import HOME, Asked, form, go, may_do, page
from gateway.control import audit, store
from gateway.control.asked import actor, database, publisher
from gateway.control.rows import invalid
from gateway.identity import clients as kept
from gateway.identity.clients import ClientDraft

CLIENTS = f"{HOME}/clients"
PAGE = 50
METHODS = (
    ("client_secret_basic", "a secret, as HTTP Basic"),
    ("client_secret_post", "a secret, in the form"),
    ("private_key_jwt", "a key of its own"), ("self_signed_tls_client_auth", "a certificate"),
    ("none", "nothing: a public app"),
)  # fmt: skip
ACTS = (
    ("client", "itself", ("client_credentials",)),
    ("person", "people who sign in", ("authorization_code", "refresh_token")),
    ("both", "both", ("client_credentials", "authorization_code", "refresh_token")),
)
BOUND = (
    ("", "nothing: whoever holds them"),
    ("mtls", "its certificate"),
    ("dpop", "its key (DPoP)"),
)


@get(CLIENTS, **may_do("clients:read"))
async def clients(
    request: Asked,
    search: FromQuery[str] = "",
    consumer: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
) -> Response[str]:
    found = await database(request).read(
        lambda c: kept.clients_page(c, PAGE, cursor, consumer or None, search=search)
    )
    return page(
        request, "clients.html", clients=found, search=search, consumer=consumer, cursor=cursor
    )


@get(f"{CLIENTS}/new", **may_do("clients:write"))
async def new(request: Asked, consumer: FromQuery[str] = "") -> Response[str]:
    return await _new(request, {"consumer": consumer})


@post(CLIENTS, status_code=200, **may_do("clients:write"))
async def create(request: Asked) -> Response[str]:
    told = await form(request)
    try:
        draft = _draft(told)
        made = await publisher(request).change(lambda c: kept.create(c, draft, actor(request)))
    except Problem as problem:
        return await _new(request, told, problem)
    return page(request, "client_made.html", 201, made=made, again=False)


@get(f"{CLIENTS}/{{id:str}}", **may_do("clients:read"))
async def client(request: Asked, id: FromPath[str]) -> Response[str]:
    return await _client(request, id)


@post(f"{CLIENTS}/{{id:str}}/rotate", status_code=200, **may_do("clients:write"))
async def rotate(request: Asked, id: FromPath[str]) -> Response[str]:
    reason = (await form(request)).get("reason", "")
    try:
        made = await database(request).write(lambda c: kept.rotate(c, id, reason, actor(request)))
    except Problem as problem:
        return await _client(request, id, problem)
    return page(request, "client_made.html", 201, made=made, again=True)


@post(f"{CLIENTS}/{{id:str}}/revoke", status_code=303, **may_do("clients:write"))
async def revoke(request: Asked, id: FromPath[str]) -> Response[str]:
    if not (reason := (await form(request)).get("reason", "")):
        return await _client(request, id, invalid("/reason", "say why: it is kept"))
    await publisher(request).change(lambda c: kept.revoke(c, id, reason, actor(request)))
    return go(f"{CLIENTS}/{id}", "client_revoked")


def _draft(told: dict[str, str]) -> ClientDraft:
    """INVALID with every wrong field."""
    wanted: dict[str, Any] = {
        name: told.get(name, "")
        for name in ("consumer", "plan", "name", "method", "certificate", "bound", "reason")
    }
    wanted |= {name: told.get(name, "").split() for name in ("redirect_uris", "scopes")}
    acts = {act: grants for act, _, grants in ACTS}
    wanted["grants"] = list(acts.get(told.get("acts", "client"), ()))
    wrong: list[FieldError] = []
    try:
        keys = msgspec.json.decode(told["keys"]) if told.get("keys") else []
        wanted["keys"] = keys.get("keys", [keys]) if isinstance(keys, dict) else keys
    except msgspec.DecodeError:
        wrong.append(FieldError("/keys", "is not JSON: one key, or a set with `keys`"))
    wrong += problems.field_errors(wanted, ClientDraft)
    if wrong:
        raise problems.invalid(*wrong)
    return msgspec.convert(wanted, ClientDraft)


async def _new(
    request: Asked, told: dict[str, str], problem: Problem | None = None
) -> Response[str]:
    found = await database(request).read(lambda c: store.consumers_page(c, 500, None).items)
    return page(
        request, "client_new.html", 200 if problem is None else problem.fault.status, told=told,
        problem=problem, consumers=found, methods=METHODS, acts=[act[:2] for act in ACTS],
        bounds=BOUND,
    )  # fmt: skip


async def _client(request: Asked, id: str, problem: Problem | None = None) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        seen = kept.client_of(connection, id)
        return {
            "client": seen,
            "default": store.consumer_of(connection, seen.consumer).plans[0],
            "trail": audit.entries(connection, limit=20, subject=id).items,
        }

    seen = await database(request).read(look)
    status = 200 if problem is None else problem.fault.status
    return page(
        request, "client.html", status, problem=problem, methods=dict(METHODS),
        bounds=dict(BOUND), **seen,
    )  # fmt: skip


HANDLERS = (clients, new, create, client, rotate, revoke)
