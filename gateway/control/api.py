"""This file exists to be the admin API: plans, consumers, keys, routes, audit, and the snapshot.

Owns   the HTTP face on the admin port, never the public one. Every route has a guard of its own.
Fails  as control.store does; UNAUTHENTICATED by control.tokens.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from chassis.database import Database
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control import audit, store
from gateway.control.publish import Publisher
from gateway.control.shapes import (
    AuditView,
    ConsumerDraft,
    ConsumerView,
    KeyDraft,
    KeyMade,
    KeyView,
    PlanDraft,
    PlanView,
    Revocation,
    Rotation,
)
from gateway.control.tokens import only_admins, only_data_planes
from gateway.keys import Peppers
from gateway.routes import Name, Route

Asked = Request[Any, Any, Any]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
WAIT_MOST_S = 30.0
# The chassis asks for the gateway's own assertion unless told otherwise; here the tokens count.
_OWN_GUARD = {"public": True}


def publisher(request: Asked) -> Publisher:
    found: Publisher = request.app.state.publisher
    return found


def database(request: Asked) -> Database:
    found: Database = request.app.state.database
    return found


def peppers(request: Asked) -> Peppers:
    found: Peppers = request.app.state.peppers
    return found


def actor(request: Asked) -> str:
    return str(request.state.actor)


@get("/plans")
async def plans(
    request: Asked, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> Page[PlanView]:
    return await database(request).read(lambda c: store.plans_page(c, limit, cursor))


@put("/plans/{name:str}")
async def set_plan(request: Asked, name: FromPath[str], body: RawBody) -> PlanView:
    data = msgspec.json.decode(body, type=PlanDraft)
    who, named = actor(request), _name(name)
    return await publisher(request).change(lambda c: store.put_plan(c, named, data, who))


@get("/consumers")
async def consumers(
    request: Asked, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> Page[ConsumerView]:
    return await database(request).read(lambda c: store.consumers_page(c, limit, cursor))


@put("/consumers/{name:str}")
async def set_consumer(request: Asked, name: FromPath[str], body: RawBody) -> ConsumerView:
    data = msgspec.json.decode(body, type=ConsumerDraft)
    who, named = actor(request), _name(name)
    return await publisher(request).change(lambda c: store.put_consumer(c, named, data, who))


@get("/keys")
async def list_keys(
    request: Asked,
    consumer: FromQuery[str | None] = None,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[KeyView]:
    return await database(request).read(lambda c: store.keys_page(c, consumer, limit, cursor))


@post("/keys")
async def create_key(request: Asked, body: RawBody) -> KeyMade:
    data = msgspec.json.decode(body, type=KeyDraft)
    who, secrets = actor(request), peppers(request)
    return await publisher(request).change(lambda c: store.create_key(c, data, secrets, who))


@post("/keys/{id:str}/revoke", status_code=200)
async def revoke_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyView:
    data = msgspec.json.decode(body, type=Revocation)
    who = actor(request)
    return await publisher(request).change(lambda c: store.revoke_key(c, id, data.reason, who))


@post("/keys/{id:str}/rotate")
async def rotate_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyMade:
    data = msgspec.json.decode(body, type=Rotation)
    who, secrets = actor(request), peppers(request)
    return await publisher(request).change(lambda c: store.rotate_key(c, id, data, secrets, who))


@get("/routes")
async def routes(request: Asked) -> Page[Route]:
    return Page(publisher(request).snapshot.routes)


@get("/audit")
async def audit_entries(
    request: Asked, limit: Limit = 50, cursor: FromQuery[int | None] = None
) -> Page[AuditView]:
    return await database(request).read(lambda c: store.audit_page(c, limit, cursor))


@get("/audit/verdict")
async def audit_verdict(request: Asked) -> dict[str, int | None]:
    """broken_at: the first entry that does not follow from the one before."""
    return {"broken_at": await database(request).read(audit.broken_at)}


@get("/snapshot", opt={**_OWN_GUARD, "operation": "snapshot"}, guards=[only_data_planes])
async def snapshot(
    request: Asked, after: FromQuery[int] = -1, wait_s: Annotated[float, QueryParameter(ge=0)] = 0.0
) -> Response[bytes]:
    """The snapshot when it is another than `after`; 204 when nothing changed within wait_s."""
    found = await publisher(request).after(after, min(wait_s, WAIT_MOST_S))
    if found is None:
        return Response(b"", status_code=204)
    return Response(found, media_type="application/octet-stream")


admin = Router(
    path="/admin/v1",
    route_handlers=[
        plans, set_plan, consumers, set_consumer, list_keys, create_key, revoke_key, rotate_key,
        routes, audit_entries, audit_verdict,
    ],
    guards=[only_admins],
    opt=_OWN_GUARD,
)  # fmt: skip


def _name(name: str) -> str:
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise Problem(Fault.MALFORMED, "A name is lower case, a-z 0-9 . _ -.") from error
