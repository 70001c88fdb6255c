"""This file exists to be the admin API's part about who changed what.

Owns   the HTTP face of control.audit.
Fails  as control.audit does.
"""

from datetime import datetime

from litestar import get
from litestar.params import FromQuery

from contracts.paging import Page
from gateway.control import audit
from gateway.control.asked import Asked, Limit, database
from gateway.control.shapes import AuditView


@get("/audit", opt={"action": "audit:read"})
async def audit_entries(
    request: Asked,
    limit: Limit = 50,
    cursor: FromQuery[int | None] = None,
    actor: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    subject: FromQuery[str | None] = None,
    search: FromQuery[str] = "",
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Page[AuditView]:
    return await database(request).read(
        lambda c: audit.entries(
            c, limit=limit, before=cursor, actor=actor, action=action, subject=subject,
            search=search, since=since, until=until,
        )
    )  # fmt: skip


@get("/audit/verdict", opt={"action": "audit:read"})
async def audit_verdict(request: Asked) -> dict[str, int | None]:
    """broken_at: the first entry that does not follow from the one before."""
    return {"broken_at": await database(request).read(audit.broken_at)}


HANDLERS = (audit_entries, audit_verdict)
