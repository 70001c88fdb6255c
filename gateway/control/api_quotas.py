"""This file exists to be the admin API's part about what is used of limits: see, reset, raise.

Owns   the HTTP face of control.quota_store.
Fails  as control.quota_store does.
"""

import msgspec
from litestar import get, post
from litestar.params import FromPath, RawBody

from contracts.paging import Page
from gateway.control import quota_store as store
from gateway.control.asked import Asked, actor, database, publisher
from gateway.control.shapes import QuotaRaise, QuotaReset, QuotaView


@get("/quotas/{consumer:str}", opt={"action": "quotas:read"})
async def quotas(request: Asked, consumer: FromPath[str]) -> Page[QuotaView]:
    """One for each of its plans, the default first."""
    return Page(await database(request).read(lambda c: store.quotas_of(c, consumer)))


@post("/quotas/{consumer:str}/reset", status_code=200, opt={"action": "quotas:write"})
async def reset(request: Asked, consumer: FromPath[str], body: RawBody) -> QuotaView:
    """Every data plane forgets what it counted, within a second."""
    data, who = msgspec.json.decode(body, type=QuotaReset), actor(request)
    return await publisher(request).change(lambda c: store.reset(c, consumer, data, who))


@post("/quotas/{consumer:str}/raise", status_code=200, opt={"action": "quotas:write"})
async def raise_limit(request: Asked, consumer: FromPath[str], body: RawBody) -> QuotaView:
    """For a while; the plan stays as it is."""
    data, who = msgspec.json.decode(body, type=QuotaRaise), actor(request)
    return await publisher(request).change(lambda c: store.raise_limit(c, consumer, data, who))


HANDLERS = (quotas, reset, raise_limit)
