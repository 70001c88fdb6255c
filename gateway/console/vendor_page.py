"""This file exists to be the console's page about vendors: what they grant us, what is used of it.

Owns   what it asks the system tier for; nothing is kept.
Fails  never because of the system tier: the page says that it is away.
"""

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery

from contracts.problem import Fault, Problem
from gateway.console.frame import HOME, Asked, page, signed_in
from gateway.control.api_vendors import system_tier
from gateway.control.vendors import VendorPage

SHOWN_MOST = 50


@get(
    f"{HOME}/vendors",
    guards=[signed_in],
    opt={"public": True, "action": "vendors:read"},
)
async def vendors(request: Asked, cursor: FromQuery[str | None] = None) -> Response[str]:
    shown: dict[str, Any] = {"found": VendorPage(items=()), "trouble": "", "cursor": cursor}
    try:
        shown["found"] = await system_tier(request).quotas(SHOWN_MOST, cursor)
    except Problem as problem:
        if problem.fault is not Fault.UNAVAILABLE:
            raise
        shown["trouble"] = problem.say
    return page(request, "vendors.html", **shown)


HANDLERS = (vendors,)
