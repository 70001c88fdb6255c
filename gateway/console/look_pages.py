"""This file exists to be the console's pages that only look: overview, usage, versions, audit.

Owns   what they ask the stores for; nothing is changed here.
Fails  a page that says what is wrong.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, get
from litestar.params import FromQuery
from sqlalchemy import Connection

from chassis import clock
from gateway.console.chart import chart
from gateway.console.frame import HOME, Asked, may_do, page
from gateway.control import audit, key_store, store, usage_store, version_store
from gateway.control.asked import database, publisher
from gateway.control.rows import invalid

SPANS = {"1": "24 hours", "7": "7 days", "30": "30 days", "60": "60 days"}


@get(HOME, **may_do("usage:read"))
async def overview(request: Asked) -> Response[str]:
    until = clock.now()
    since = until - timedelta(hours=23)

    def look(connection: Connection) -> dict[str, Any]:
        begin = since.replace(minute=0)
        return {
            "used": usage_store.by_hour(connection, begin, until),
            "top": usage_store.by_consumer(connection, begin, until, 8),
            "ending": key_store.ending(connection, until + timedelta(days=14), 8),
            "counts": {
                "keys": key_store.active_count(connection),
                "consumers": store.count(connection, "consumer"),
                "plans": store.count(connection, "plan"),
            },
            "trail": audit.entries(connection, limit=8).items,
        }

    seen = await database(request).read(look)
    used = seen.pop("used")
    return page(
        request, "overview.html", chart=chart(used, since, until), sums=_sums(used),
        snapshot=publisher(request).snapshot, **seen,
    )  # fmt: skip


@get(f"{HOME}/usage", **may_do("usage:read"))
async def usage(
    request: Asked,
    days: FromQuery[str] = "7",
    consumer: FromQuery[str] = "",
    route: FromQuery[str] = "",
) -> Response[str]:
    if days not in SPANS:
        raise invalid("/days", "is none of those offered")
    until = clock.now()
    since = until - timedelta(days=int(days)) + timedelta(hours=1)

    def look(connection: Connection) -> dict[str, Any]:
        begin = since.replace(minute=0)
        return {
            "used": usage_store.by_hour(
                connection, begin, until, consumer=consumer or None, route=route or None
            ),
            "top": usage_store.by_consumer(connection, begin, until, 100),
        }

    seen = await database(request).read(look)
    used = seen.pop("used")
    return page(
        request, "usage.html", chart=chart(used, since, until), sums=_sums(used), days=days,
        spans=SPANS, consumer=consumer, route=route, hours=used[-200:],
        routes=[route.name for route in publisher(request).snapshot.routes], **seen,
    )  # fmt: skip


@get(f"{HOME}/versions", **may_do("versions:read"))
async def versions(request: Asked) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        return {
            "versions": version_store.views(connection),
            "callers": version_store.callers(connection),
        }

    return page(request, "versions.html", **await database(request).read(look))


@get(f"{HOME}/audit", **may_do("audit:read"))
async def trail(
    request: Asked,
    search: FromQuery[str] = "",
    action: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    cursor: FromQuery[int | None] = None,
    verify: FromQuery[str] = "",
) -> Response[str]:
    begin, last = _day(since, "/since"), _day(until, "/until")
    end = last + timedelta(days=1) if last else None

    def look(connection: Connection) -> dict[str, Any]:
        return {
            "entries": audit.entries(
                connection,
                limit=50,
                before=cursor,
                action=action or None,
                search=search,
                since=begin,
                until=end,
            ),
            "broken_at": audit.broken_at(connection) if verify else None,
        }

    seen = await database(request).read(look)
    return page(
        request, "audit.html", search=search, action=action, since=since, until=until,
        cursor=cursor, verified=bool(verify), **seen,
    )  # fmt: skip


def _sums(used: Any) -> dict[str, int]:
    names = ("requests", "refused", "throttled", "failed")
    return {name: sum(getattr(hour, name) for hour in used) for name in names}


def _day(given: str, pointer: str) -> datetime | None:
    if not given:
        return None
    try:
        return datetime.fromisoformat(given).replace(tzinfo=UTC)
    except ValueError as error:
        raise invalid(pointer, "is not a day, YYYY-MM-DD") from error


HANDLERS = (overview, usage, versions, trail)
