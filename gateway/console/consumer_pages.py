"""This file exists to be the console's pages about consumers.

Owns   forms and what they become; the work is control.store's.
Fails  the form again with what is wrong; a page for anything else.
"""

from datetime import timedelta
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy import Connection

from chassis import clock, problems
from contracts.problem import Problem
from gateway.console.chart import chart
from gateway.console.frame import HOME, Asked, form, go, may_do, page
from gateway.control import audit, key_store, quota_store, store, usage_store
from gateway.control.asked import actor, database, publisher
from gateway.control.rows import invalid
from gateway.control.shapes import ConsumerDraft, QuotaRaise, QuotaReset
from gateway.routes import Name

CONSUMERS = f"{HOME}/consumers"
PAGE = 50
RAISED_FOR = ((1, "1 day"), (7, "7 days"), (31, "31 days"), (92, "92 days"))
_TOLD = ("owner", "contact", "tenant")


@get(CONSUMERS, **may_do("consumers:read"))
async def consumers(
    request: Asked,
    search: FromQuery[str] = "",
    plan: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        until = clock.now()
        since = until - timedelta(days=1)
        used = usage_store.by_consumer(connection, since, until, 1000)
        return {
            "consumers": store.consumers_page(
                connection, PAGE, cursor, on_plan=plan or None, search=search
            ),
            "plans": store.plans_page(connection, 500, None).items,
            "used": {use.consumer: use for use in used},
        }

    seen = await database(request).read(look)
    return page(request, "consumers.html", search=search, plan=plan, cursor=cursor, **seen)


@post(CONSUMERS, status_code=303, **may_do("consumers:write"))
async def make(request: Asked) -> Response[str]:
    told = await form(request)
    return await _save(request, told.get("name", ""), told)


@get(f"{CONSUMERS}/new", **may_do("consumers:write"))
async def new(request: Asked) -> Response[str]:
    return await _new(request, {})


@get(f"{CONSUMERS}/{{name:str}}", **may_do("consumers:read"))
async def consumer(request: Asked, name: FromPath[str]) -> Response[str]:
    return await _consumer(request, name)


@post(f"{CONSUMERS}/{{name:str}}", status_code=303, **may_do("consumers:write"))
async def change(request: Asked, name: FromPath[str]) -> Response[str]:
    return await _save(request, name, await form(request), known=True)


@post(f"{CONSUMERS}/{{name:str}}/subscribe", status_code=303, **may_do("consumers:write"))
async def subscribe(request: Asked, name: FromPath[str]) -> Response[str]:
    return await _subscribed(request, name, store.subscribe, "subscribed")


@post(f"{CONSUMERS}/{{name:str}}/unsubscribe", status_code=303, **may_do("consumers:write"))
async def unsubscribe(request: Asked, name: FromPath[str]) -> Response[str]:
    return await _subscribed(request, name, store.unsubscribe, "unsubscribed")


@post(f"{CONSUMERS}/{{name:str}}/reset", status_code=303, **may_do("quotas:write"))
async def reset(request: Asked, name: FromPath[str]) -> Response[str]:
    told = await form(request)
    draft = QuotaReset(
        plan=told.get("plan", ""), limit=told.get("limit", ""), reason=told.get("reason", "")
    )
    try:
        await publisher(request).change(lambda c: quota_store.reset(c, name, draft, actor(request)))
    except Problem as problem:
        return await _consumer(request, name, problem)
    return go(f"{CONSUMERS}/{name}", "reset")


@post(f"{CONSUMERS}/{{name:str}}/raise", status_code=303, **may_do("quotas:write"))
async def raise_limit(request: Asked, name: FromPath[str]) -> Response[str]:
    told = await form(request)
    days, amount = told.get("days", ""), told.get("amount", "")
    try:
        if not amount.isdigit() or len(amount) > 15:
            raise invalid("/amount", "is not a whole number")
        if not days.isdigit() or int(days) not in dict(RAISED_FOR):
            raise invalid("/days", "is none of those offered")
        draft = QuotaRaise(
            plan=told.get("plan", ""), limit=told.get("limit", ""), amount=int(amount),
            reason=told.get("reason", ""),
            until=clock.now() + timedelta(days=int(days)) if int(amount) else None,
        )  # fmt: skip
        await publisher(request).change(
            lambda c: quota_store.raise_limit(c, name, draft, actor(request))
        )
    except Problem as problem:
        return await _consumer(request, name, problem)
    return go(f"{CONSUMERS}/{name}", "raised")


async def _save(
    request: Asked, name: str, told: dict[str, str], *, known: bool = False
) -> Response[str]:
    default = told.get("plan", "")
    wanted = {"plans": [default], "reason": told.get("reason", "")}
    wanted |= {field: told.get(field, "") for field in _TOLD}
    try:
        msgspec.convert(name, Name)
        draft = msgspec.convert(wanted, ConsumerDraft)

        def work(connection: Connection) -> None:
            plans = store.consumer_of(connection, name).plans if known else ()
            all_of_them = (default, *(plan for plan in plans if plan != default))
            full = msgspec.structs.replace(draft, plans=all_of_them)
            store.put_consumer(connection, name, full, actor(request))

        await publisher(request).change(work)
    except (Problem, msgspec.ValidationError) as error:
        problem = problems.problem(error)
        if known:
            return await _consumer(request, name, problem)
        return await _new(request, told, problem)
    return go(f"{CONSUMERS}/{name}", "saved")


async def _subscribed(request: Asked, name: str, do: Any, done: str) -> Response[str]:
    told = await form(request)
    plan, reason = told.get("plan", ""), told.get("reason", "")
    try:
        await publisher(request).change(lambda c: do(c, name, plan, reason, actor(request)))
    except Problem as problem:
        return await _consumer(request, name, problem)
    return go(f"{CONSUMERS}/{name}", done)


async def _new(
    request: Asked, told: dict[str, str], problem: Problem | None = None
) -> Response[str]:
    found = await database(request).read(lambda c: store.plans_page(c, 500, None))
    status = 200 if problem is None else problem.fault.status
    return page(request, "consumer_new.html", status, told=told, problem=problem, plans=found.items)


async def _consumer(request: Asked, name: str, problem: Problem | None = None) -> Response[str]:
    until = clock.now()
    since = until - timedelta(days=7)

    def look(connection: Connection) -> dict[str, Any]:
        seen = store.consumer_of(connection, name)
        begin = since.replace(minute=0)
        return {
            "consumer": seen,
            "held": [store.plan_of(connection, plan) for plan in seen.plans],
            "plans": store.plans_page(connection, 500, None).items,
            "keys": key_store.keys_page(connection, limit=100, owner=name).items,
            "used": usage_store.by_hour(connection, begin, until, consumer=name),
            "quotas": quota_store.quotas_of(connection, name),
            "versions": usage_store.by_version(connection, begin, until, name),
            "trail": audit.entries(connection, limit=20, subject=name).items,
        }

    seen = await database(request).read(look)
    drawn = chart(seen.pop("used"), since, until)
    status = 200 if problem is None else problem.fault.status
    return page(
        request,
        "consumer.html",
        status,
        problem=problem,
        chart=drawn,
        raised_for=RAISED_FOR,
        **seen,
    )


HANDLERS = (
    consumers, make, new, consumer, change, subscribe, unsubscribe, reset, raise_limit,
)  # fmt: skip
