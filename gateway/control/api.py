"""This file exists to be the admin API: plans, consumers, routes, and the snapshot.

Owns   the HTTP face on the admin port, never the public one. Every route has a guard of its own.
Fails  as control.store does; UNAUTHENTICATED by control.tokens.
"""

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.control import (
    api_audit,
    api_identity,
    api_keys,
    api_quotas,
    api_state,
    api_usage,
    api_vendors,
    api_versions,
    store,
)
from gateway.control.asked import Asked, Limit, actor, database, publisher
from gateway.control.shapes import ConsumerDraft, ConsumerView, PlanDraft, PlanView
from gateway.control.tokens import only_admins, only_data_planes
from gateway.routes import Name, Route

WAIT_MOST_S = 30.0
# The chassis asks for the gateway's own assertion unless told otherwise; here the tokens count.
_OWN_GUARD = {"public": True}


@get("/plans", opt={"action": "plans:read"})
async def plans(
    request: Asked, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> Page[PlanView]:
    return await database(request).read(lambda c: store.plans_page(c, limit, cursor))


@get("/plans/{name:str}", opt={"action": "plans:read"})
async def plan(request: Asked, name: FromPath[str]) -> PlanView:
    return await database(request).read(lambda c: store.plan_of(c, name))


@put("/plans/{name:str}", opt={"action": "plans:write"})
async def set_plan(request: Asked, name: FromPath[str], body: RawBody) -> PlanView:
    data = msgspec.json.decode(body, type=PlanDraft)
    who, named = actor(request), _name(name)
    return await publisher(request).change(lambda c: store.put_plan(c, named, data, who))


@delete("/plans/{name:str}", status_code=204, opt={"action": "plans:write"})
async def remove_plan(request: Asked, name: FromPath[str], reason: FromQuery[str] = "") -> None:
    who = actor(request)
    await publisher(request).change(lambda c: store.remove_plan(c, name, reason, who))


@get("/consumers", opt={"action": "consumers:read"})
async def consumers(
    request: Asked,
    limit: Limit = 50,
    cursor: FromQuery[str | None] = None,
    plan: FromQuery[str | None] = None,
    search: FromQuery[str] = "",
) -> Page[ConsumerView]:
    return await database(request).read(
        lambda c: store.consumers_page(c, limit, cursor, on_plan=plan, search=search)
    )


@get("/consumers/{name:str}", opt={"action": "consumers:read"})
async def consumer(request: Asked, name: FromPath[str]) -> ConsumerView:
    return await database(request).read(lambda c: store.consumer_of(c, name))


@put("/consumers/{name:str}", opt={"action": "consumers:write"})
async def set_consumer(request: Asked, name: FromPath[str], body: RawBody) -> ConsumerView:
    data = msgspec.json.decode(body, type=ConsumerDraft)
    who, named = actor(request), _name(name)
    return await publisher(request).change(lambda c: store.put_consumer(c, named, data, who))


@delete("/consumers/{name:str}", status_code=204, opt={"action": "consumers:write"})
async def remove_consumer(request: Asked, name: FromPath[str], reason: FromQuery[str] = "") -> None:
    who = actor(request)
    await publisher(request).change(lambda c: store.remove_consumer(c, name, reason, who))


@put("/consumers/{name:str}/plans/{plan:str}", opt={"action": "consumers:write"})
async def subscribe(
    request: Asked, name: FromPath[str], plan: FromPath[str], reason: FromQuery[str] = ""
) -> ConsumerView:
    """One plan more; the first one stays the default."""
    who = actor(request)
    return await publisher(request).change(lambda c: store.subscribe(c, name, plan, reason, who))


@delete(
    "/consumers/{name:str}/plans/{plan:str}", status_code=200, opt={"action": "consumers:write"}
)
async def unsubscribe(
    request: Asked, name: FromPath[str], plan: FromPath[str], reason: FromQuery[str] = ""
) -> ConsumerView:
    """Refused while a key, a client or an issuer is for the plan."""
    who = actor(request)
    return await publisher(request).change(lambda c: store.unsubscribe(c, name, plan, reason, who))


@get("/routes", opt={"action": "routes:read"})
async def routes(request: Asked) -> Page[Route]:
    return Page(publisher(request).snapshot.routes)


@get("/snapshot", opt={**_OWN_GUARD, "operation": "snapshot"}, guards=[only_data_planes])
async def snapshot(
    request: Asked,
    after: FromQuery[int] = -1,
    wait_s: Annotated[float, QueryParameter(ge=0)] = 0.0,
    unknown: FromQuery[list[str] | None] = None,
) -> Response[bytes]:
    """The snapshot when it is another than `after`; 204 when nothing changed within wait_s.

    unknown: issuers whose tokens named a key the data plane does not know.
    """
    for issuer in unknown or ():
        request.app.state.keeper.noticed(issuer)
    found = await publisher(request).after(after, min(wait_s, WAIT_MOST_S))
    if found is None:
        return Response(b"", status_code=204)
    return Response(found, media_type="application/octet-stream")


admin = Router(
    path="/admin/v1",
    route_handlers=[
        plans, plan, set_plan, remove_plan, consumers, consumer, set_consumer, remove_consumer,
        subscribe, unsubscribe, routes, *api_keys.HANDLERS, *api_audit.HANDLERS,
        *api_identity.HANDLERS, *api_quotas.HANDLERS, *api_usage.HANDLERS, *api_versions.HANDLERS,
        *api_state.HANDLERS, *api_vendors.HANDLERS,
    ],
    guards=[only_admins],
    opt=_OWN_GUARD,
)  # fmt: skip


def _name(name: str) -> str:
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise Problem(Fault.MALFORMED, "A name is lower case, a-z 0-9 . _ -.") from error
