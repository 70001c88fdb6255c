"""This file exists to be the console's page about the people who sign in: list, add, role, out.

Owns   forms and what they become; the work, and who may make whom, is identity.people's.
Fails  the page again, with what is wrong beside its field.
"""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from chassis import problems
from contracts.problem import Problem
from gateway.console.frame import HOME, Asked, admin_of, form, go, may_do, page
from gateway.control.asked import database
from gateway.identity import people as kept
from gateway.identity.people import NewRole, PersonDraft, PersonMade
from gateway.identity.roles import ROLES, covers

ADMINS = f"{HOME}/admins"
PAGE = 50


@get(ADMINS, **may_do("admins:read"))
async def admins(
    request: Asked, search: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[str]:
    return await _admins(request, search=search, cursor=cursor)


@post(ADMINS, status_code=303, **may_do("admins:write"))
async def add(request: Asked) -> Response[str]:
    """Without a subject at the provider a password is made, and shown once."""
    told, by = await form(request), admin_of(request)
    wanted = {name: told.get(name, "") for name in ("name", "role", "subject", "reason")}
    provider = request.app.state.settings.identity.oidc_issuer
    try:
        if errors := problems.field_errors(wanted, PersonDraft):
            raise problems.invalid(*errors)
        draft = msgspec.convert(wanted, PersonDraft)
        fresh = "" if draft.subject else kept.fresh()
        hashed = await asyncio.to_thread(kept.hashed, fresh) if fresh else None
        made = await database(request).write(lambda c: kept.create(c, draft, hashed, provider, by))
    except Problem as problem:
        return await _admins(request, told, problem)
    if not fresh:
        return go(ADMINS, "saved")
    return page(request, "person_made.html", 201, made=PersonMade(fresh, made))


@post(f"{ADMINS}/{{name:str}}/role", status_code=303, **may_do("admins:write"))
async def role(request: Asked, name: FromPath[str]) -> Response[str]:
    told, by = await form(request), admin_of(request)
    wanted = {"role": told.get("role", ""), "reason": told.get("reason", "")}
    try:
        if errors := problems.field_errors(wanted, NewRole):
            raise problems.invalid(*errors)
        draft = msgspec.convert(wanted, NewRole)
        await database(request).write(lambda c: kept.set_role(c, name, draft, by))
    except Problem as problem:
        return await _admins(request, problem=problem)
    return go(ADMINS, "saved")


@post(f"{ADMINS}/{{name:str}}/disable", status_code=303, **may_do("admins:write"))
async def disable(request: Asked, name: FromPath[str]) -> Response[str]:
    reason, by = (await form(request)).get("reason", ""), admin_of(request)
    try:
        await database(request).write(lambda c: kept.disable(c, name, reason, by))
    except Problem as problem:
        return await _admins(request, problem=problem)
    return go(ADMINS, "disabled")


@post(f"{ADMINS}/{{name:str}}/password", status_code=200, **may_do("admins:write"))
async def password(request: Asked, name: FromPath[str]) -> Response[str]:
    """A new one, shown once; every session of theirs ends."""
    reason, by = (await form(request)).get("reason", ""), admin_of(request)
    fresh = kept.fresh()
    try:
        hashed = await asyncio.to_thread(kept.hashed, fresh)
        seen = await database(request).write(
            lambda c: kept.set_password(c, name, hashed, reason, by)
        )
    except Problem as problem:
        return await _admins(request, problem=problem)
    return page(request, "person_made.html", 201, made=PersonMade(fresh, seen))


async def _admins(
    request: Asked,
    told: dict[str, str] | None = None,
    problem: Problem | None = None,
    *,
    search: str = "",
    cursor: str | None = None,
) -> Response[str]:
    found = await database(request).read(lambda c: kept.people_page(c, PAGE, cursor, search=search))
    mine: Any = admin_of(request).role
    return page(
        request, "admins.html", 200 if problem is None else problem.fault.status, people=found,
        told=told or {"role": "auditor"}, problem=problem, search=search, cursor=cursor,
        roles=[one for one in ROLES if covers(mine, one)],
    )  # fmt: skip


HANDLERS = (admins, add, role, disable, password)
