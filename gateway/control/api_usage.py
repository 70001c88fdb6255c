"""This file exists to be the admin API's part about use: data planes tell, admins ask.

Owns   the HTTP face of control.usage_store.
Fails  INVALID for a span that is too long or ends before it begins.
"""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import FromQuery, QueryParameter, RawBody

from chassis import clock, metrics
from chassis.metrics import Kind, Metric
from chassis.versions import versions
from contracts.paging import Page
from gateway.control import usage_store as store
from gateway.control.asked import Asked, database
from gateway.control.rows import invalid
from gateway.control.shapes import ConsumerUse, UsageHour, VersionUse
from gateway.control.tokens import only_data_planes
from gateway.usage import UsageBatch

SPAN_DAYS_MOST = 62
_WHO = ("version", "consumer")
metrics.declare(
    Metric("control_version_requests_total", Kind.COUNTER, "Requests in an old version.", _WHO),
    Metric("control_version_last_seen_seconds", Kind.GAUGE, "Unix time of the last one.", _WHO),
)
Since = FromQuery[datetime | None]


@post("/usage", status_code=204, opt={"public": True, "operation": "usage_push"},
      guards=[only_data_planes])  # fmt: skip
async def push(request: Asked, body: RawBody) -> None:
    """A worker tells what was used; the same batch twice counts once."""
    batch = msgspec.json.decode(body, type=UsageBatch)
    if await request.app.state.database.write(lambda c: store.take(c, batch)):
        _behind(batch)


@get("/usage", opt={"action": "usage:read"})
async def usage(
    request: Asked,
    consumer: FromQuery[str | None] = None,
    key: FromQuery[str | None] = None,
    route: FromQuery[str | None] = None,
    version: FromQuery[str | None] = None,
    since: Since = None,
    until: Since = None,
) -> Page[UsageHour]:
    """By hour, the last day unless told otherwise."""
    begin, end = span(since, until)
    return Page(
        await database(request).read(
            lambda c: store.by_hour(
                c, begin, end, consumer=consumer, key=key, route=route, version=version
            )
        )
    )


@get("/usage/consumers", opt={"action": "usage:read"})
async def usage_by_consumer(
    request: Asked,
    since: Since = None,
    until: Since = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Page[ConsumerUse]:
    """Who asked most."""
    begin, end = span(since, until)
    return Page(await database(request).read(lambda c: store.by_consumer(c, begin, end, limit)))


@get("/usage/versions", opt={"action": "usage:read"})
async def usage_by_version(
    request: Asked,
    consumer: FromQuery[str | None] = None,
    since: Since = None,
    until: Since = None,
) -> Page[VersionUse]:
    """Who still calls which version; the last 30 days unless told otherwise."""
    begin, end = span(since, until, days=30)
    return Page(await database(request).read(lambda c: store.by_version(c, begin, end, consumer)))


def span(
    since: datetime | None, until: datetime | None, *, days: int = 1
) -> tuple[datetime, datetime]:
    """Whole hours: the running one is in it."""
    end = until or clock.now()
    begin = since or end - timedelta(days=days)
    for pointer, at in (("/since", begin), ("/until", end)):
        if at.tzinfo is None:
            raise invalid(pointer, "must name its offset, e.g. end with Z")
    if begin >= end:
        raise invalid("/until", "is not after since")
    if end - begin > timedelta(days=SPAN_DAYS_MOST):
        raise invalid("/since", f"spans more than {SPAN_DAYS_MOST} days")
    return begin.replace(minute=0, second=0, microsecond=0), end


def _behind(batch: UsageBatch) -> None:
    """Who is not at head. Known consumers of known versions only, so that series stay few."""
    old = versions()[:-1]
    for row in batch.rows:
        if row.consumer and row.version in old:
            who = {"version": row.version, "consumer": row.consumer}
            metrics.count("control_version_requests_total", row.requests, **who)
            metrics.gauge("control_version_last_seen_seconds", row.last_s, **who)


HANDLERS = (usage, usage_by_consumer, usage_by_version)
