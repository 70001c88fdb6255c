"""This file exists to be the admin API's part about versions: how they end, who still calls which.

Owns   the HTTP face of control.version_store.
Fails  as control.version_store does.
"""

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, RawBody

from contracts.paging import Page
from gateway.control import key_store
from gateway.control import version_store as store
from gateway.control.asked import Asked, actor, database, publisher
from gateway.control.shapes import KeyView
from gateway.control.version_shapes import Pin, VersionCaller, VersionDraft, VersionView


@get("/versions", opt={"action": "versions:read"})
async def all_versions(request: Asked) -> Page[VersionView]:
    """Newest first."""
    return Page(await database(request).read(store.views))


@get("/versions/callers", opt={"action": "versions:read"})
async def all_callers(request: Asked) -> Page[VersionCaller]:
    """Who still calls what, oldest version first."""
    return Page(await database(request).read(store.callers))


@get("/versions/{version:str}", opt={"action": "versions:read"})
async def version_of(request: Asked, version: FromPath[str]) -> VersionView:
    return await database(request).read(lambda c: store.view_of(c, version))


@get("/versions/{version:str}/callers", opt={"action": "versions:read"})
async def callers_of(request: Asked, version: FromPath[str]) -> Page[VersionCaller]:
    return Page(await database(request).read(lambda c: store.callers(c, version)))


@put("/versions/{version:str}", opt={"action": "versions:write"})
async def set_version(request: Asked, version: FromPath[str], body: RawBody) -> VersionView:
    data, who = msgspec.json.decode(body, type=VersionDraft), actor(request)
    return await publisher(request).change(lambda c: store.put(c, version, data, who))


@post("/keys/{id:str}/pin", status_code=200, opt={"action": "keys:write"})
async def pin_key(request: Asked, id: FromPath[str], body: RawBody) -> KeyView:
    data, who = msgspec.json.decode(body, type=Pin), actor(request)
    return await publisher(request).change(
        lambda c: key_store.pin_key(c, id, data.version, data.reason, who)
    )


HANDLERS = (all_versions, all_callers, version_of, callers_of, set_version, pin_key)
