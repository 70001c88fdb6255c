"""This file exists to be the console's pages about keys: find, make, rotate, shorten, revoke.

Owns   forms and what they become; the work is control.key_store's.
Fails  the form again with what is wrong; a page for anything else.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import Connection

from chassis import clock, problems
from contracts.problem import Fault, Problem
from gateway.console.chart import chart
from gateway.console.frame import HOME, Asked, form, go, page, signed_in
from gateway.control import audit, key_store, store, usage_store
from gateway.control.asked import actor, database, peppers, publisher
from gateway.control.explain import Asked as Question
from gateway.control.explain import why_denied
from gateway.control.rows import invalid
from gateway.control.shapes import KeyDraft, KeyState, Rotation

KEYS = f"{HOME}/keys"
OVERLAPS = ((0, "none: the old key ends now"), (1, "1 hour"), (24, "1 day"), (168, "7 days"),
            (720, "30 days"), (2160, "90 days"))  # fmt: skip
LIVES = ((0, "no end"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))
PAGE = 50


def _read(**more: Any) -> dict[str, Any]:
    return {"guards": [signed_in], "opt": {"public": True, "action": "keys:read", **more}}


def _write() -> dict[str, Any]:
    return _read(action="keys:write")


@get(KEYS, **_read())
async def keys(
    request: Asked,
    search: FromQuery[str] = "",
    consumer: FromQuery[str] = "",
    wanted: Annotated[str, QueryParameter(name="state")] = "",
    cursor: FromQuery[str | None] = None,
) -> Response[str]:
    state = msgspec.convert(wanted, KeyState) if wanted else None
    found = await database(request).read(
        lambda c: key_store.keys_page(
            c, limit=PAGE, after=cursor, owner=consumer or None, state=state, search=search
        )
    )
    return page(
        request, "keys.html", keys=found, search=search, consumer=consumer, state=wanted,
        cursor=cursor,
    )  # fmt: skip


@get(f"{KEYS}/new", **_write())
async def new(request: Asked, consumer: FromQuery[str] = "") -> Response[str]:
    return await _new(request, {"consumer": consumer})


@post(KEYS, status_code=200, **_write())
async def create(request: Asked) -> Response[str]:
    told = await form(request)
    try:
        draft = _draft(told)
        made = await publisher(request).change(
            lambda c: key_store.create_key(c, draft, peppers(request), actor(request))
        )
    except (Problem, msgspec.ValidationError) as error:
        return await _new(request, told, problems.problem(error))
    return page(request, "key_made.html", 201, made=made, old=None)


@get(f"{KEYS}/{{id:str}}", **_read())
async def key(request: Asked, id: FromPath[str]) -> Response[str]:
    return await _key(request, id)


@post(f"{KEYS}/{{id:str}}/rotate", status_code=200, **_write())
async def rotate(request: Asked, id: FromPath[str]) -> Response[str]:
    told = await form(request)
    rotation = _rotation(told)
    try:
        made = await publisher(request).change(
            lambda c: key_store.rotate_key(c, id, rotation, peppers(request), actor(request))
        )
    except Problem as problem:
        return await _key(request, id, problem)
    old = await database(request).read(lambda c: key_store.key_of(c, id))
    return page(request, "key_made.html", 201, made=made, old=old)


@post(f"{KEYS}/{{id:str}}/revoke", status_code=303, **_write())
async def revoke(request: Asked, id: FromPath[str]) -> Response[str]:
    told = await form(request)
    if not (reason := told.get("reason", "")):
        return await _key(request, id, invalid("/reason", "say why: it is kept"))
    await publisher(request).change(lambda c: key_store.revoke_key(c, id, reason, actor(request)))
    return go(f"{KEYS}/{id}", "revoked")


@post(f"{KEYS}/{{id:str}}/expire", status_code=303, **_write())
async def expire(request: Asked, id: FromPath[str]) -> Response[str]:
    told = await form(request)
    try:
        ends = _day(told.get("ends", ""), "/ends")
        await publisher(request).change(
            lambda c: key_store.expire_key(c, id, ends, told.get("reason", ""), actor(request))
        )
    except Problem as problem:
        return await _key(request, id, problem)
    return go(f"{KEYS}/{id}", "shortened")


@get(f"{HOME}/why", **_read())
async def why(
    request: Asked,
    key: FromQuery[str] = "",
    method: FromQuery[str] = "GET",
    where: Annotated[str, QueryParameter(name="path")] = "",
    client: FromQuery[str] = "",
    tier_scope: Annotated[str, QueryParameter(name="scope")] = "",
) -> Response[str]:
    answer = None
    asked = Question(key_id=key, method=method, path=where, client=client, scope=tier_scope)
    if key and where:
        now = publisher(request).snapshot
        answer = await database(request).read(lambda c: why_denied(c, asked, now))
    return page(request, "why.html", asked=asked, answer=answer)


async def _new(
    request: Asked, told: dict[str, str], problem: Problem | None = None
) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        return {
            "consumers": store.consumers_page(connection, 500, None).items,
            "plans": {p.name: p for p in store.plans_page(connection, 500, None).items},
        }

    seen = await database(request).read(look)
    status = 200 if problem is None else problem.fault.status
    return page(request, "key_new.html", status, told=told, problem=problem, lives=LIVES, **seen)


async def _key(request: Asked, id: str, problem: Problem | None = None) -> Response[str]:
    until = clock.now()
    since = until - timedelta(days=7)

    def look(connection: Connection) -> dict[str, Any]:
        seen = key_store.key_of(connection, id)
        return {
            "key": seen,
            "owner": store.consumer_of(connection, seen.consumer),
            "successors": key_store.successors_of(connection, id),
            "used": usage_store.by_hour(connection, since.replace(minute=0), until, key=id),
            "trail": audit.entries(connection, limit=20, subject=id).items,
        }

    seen = await database(request).read(look)
    drawn = chart(seen.pop("used"), since, until)
    status = 200 if problem is None else problem.fault.status
    return page(
        request, "key.html", status, problem=problem, chart=drawn, overlaps=OVERLAPS,
        today=until.date(), **seen,
    )  # fmt: skip


def _draft(told: dict[str, str]) -> KeyDraft:
    days = told.get("days", "0")
    if not days.isdigit() or int(days) not in dict(LIVES):
        raise invalid("/days", "is none of those offered")
    return msgspec.convert(
        {
            "consumer": told.get("consumer", ""),
            "plan": told.get("plan", ""),
            "environment": told.get("environment", "live"),
            "scopes": told.get("scopes", "").split(),
            "networks": told.get("networks", "").replace(",", " ").split(),
            "expires_at": clock.now() + timedelta(days=int(days)) if int(days) else None,
            "label": told.get("label", ""),
            "reason": told.get("reason", ""),
        },
        KeyDraft,
    )


def _rotation(told: dict[str, str]) -> Rotation:
    hours = told.get("overlap_hours", "")
    if not hours.isdigit() or int(hours) not in dict(OVERLAPS):
        raise Problem(Fault.INVALID, "The overlap is none of those offered.")
    return msgspec.convert(
        {"overlap_s": int(hours) * 3600, "reason": told.get("reason", "")}, Rotation
    )


def _day(given: str, pointer: str) -> datetime | None:
    """The end of that day, UTC; now when none was given."""
    if not given:
        return None
    try:
        return datetime.fromisoformat(f"{given}T00:00:00+00:00") + timedelta(days=1)
    except ValueError as error:
        raise invalid(pointer, "is not a day, YYYY-MM-DD") from error


HANDLERS = (keys, new, create, key, rotate, revoke, expire, why)
