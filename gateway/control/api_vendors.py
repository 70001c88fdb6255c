"""This file exists to be the admin API's part about vendors: what they grant us, and its use.

Owns   the HTTP face of control.vendors.
Fails  as control.vendors does.
"""

from litestar import get
from litestar.params import FromQuery

from gateway.control.asked import Asked, Limit
from gateway.control.vendors import SystemTier, VendorPage


def system_tier(request: Asked) -> SystemTier:
    """Who knows."""
    found: SystemTier = request.app.state.system_tier
    return found


@get("/vendors", opt={"action": "vendors:read"})
async def vendors(
    request: Asked, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> VendorPage:
    return await system_tier(request).quotas(limit, cursor)


HANDLERS = (vendors,)
