"""This file exists to be the admin API's part about keys, and the door for keys found in public.

Owns   the HTTP face of control.key_store.
Fails  as control.key_store does. A stranger who reports a key learns nothing from the answer.
"""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from contracts.paging import Page
from gateway.control import explain
from gateway.control import key_store as store
from gateway.control.asked import Asked, Limit, actor, database, peppers, publisher
from gateway.control.shapes import (
    Expiry,
    KeyDraft,
    KeyMade,
    KeyState,
    KeyView,
    Leak,
    Revocation,
    Rotation,
    WhyDenied,
)


@get("/keys", opt={"action": "keys:read"})
async def list_keys(
    request: Asked,
    consumer: FromQuery[str | None] = None,
    # A handler's parameter called `state` is the framework's own.
    wanted: Annotated[KeyState | None, QueryParameter(name="state")] = None,
    search: FromQuery[str] = "",
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
) -> Page[KeyView]:
    return await database(request).read(
        lambda c: store.keys_page(
            c, limit=limit, after=cursor, owner=consumer, state=wanted, search=search
        )
    )


@get("/keys/{id:str}", opt={"action": "keys:read"})
async def key(request: Asked, id: FromPath[str]) -> KeyView:
    return await database(request).read(lambda c: store.key_of(c, id))


@post("/keys", opt={"action": "keys:write"})
async def create_key(request: Asked, body: RawBody) -> KeyMade:
    data = msgspec.json.decode(body, type=KeyDraft)
    who, secrets = actor(request), peppers(request)
    return await publisher(request).change(lambda c: store.create_key(c, data, secrets, who))


@post("/keys/{id:str}/revoke", status_code=200, opt={"action": "keys:write"})
async def revoke_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyView:
    data = msgspec.json.decode(body, type=Revocation)
    who = actor(request)
    return await publisher(request).change(lambda c: store.revoke_key(c, id, data.reason, who))


@post("/keys/{id:str}/expire", status_code=200, opt={"action": "keys:write"})
async def expire_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyView:
    data = msgspec.json.decode(body, type=Expiry)
    who = actor(request)
    return await publisher(request).change(
        lambda c: store.expire_key(c, id, data.at, data.reason, who)
    )


@post("/keys/{id:str}/rotate", opt={"action": "keys:write"})
async def rotate_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyMade:
    data = msgspec.json.decode(body, type=Rotation)
    who, secrets = actor(request), peppers(request)
    return await publisher(request).change(lambda c: store.rotate_key(c, id, data, secrets, who))


@post("/why-denied", status_code=200, opt={"action": "keys:read"})
async def why_denied(request: Asked, body: RawBody) -> WhyDenied:
    """Nothing is sent and nothing is counted."""
    told, now = msgspec.json.decode(body, type=explain.Asked), publisher(request).snapshot
    return await database(request).read(lambda c: explain.why_denied(c, told, now))


@post("/leaked-keys", status_code=202, opt={"public": True, "operation": "leaked_keys"})
async def report_leak(request: Asked, body: RawBody) -> dict[str, bool]:
    """Whoever found a key in public says so here; the answer is the same for every text."""
    data = msgspec.json.decode(body, type=Leak)
    secrets, grace_s = peppers(request), request.app.state.leak_grace_s
    if await database(request).read(lambda c: store.alive(c, data.key, secrets)):
        await publisher(request).change(
            lambda c: store.end_leaked(c, data.key, secrets, data.found_at, grace_s)
        )
    return {"taken": True}


HANDLERS = (list_keys, key, create_key, revoke_key, expire_key, rotate_key, why_denied)
