"""This file exists to be the console's pages about plans: what they hold, and changing all of it.

Owns   forms and what they become; the work is control.store's.
Fails  the form again, with what is wrong beside its field; a page for anything else.
"""

import re
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from msgspec import Struct
from sqlalchemy import Connection

from chassis import problems
from chassis.versions import versions
from contracts.problem import FieldError, Problem
from gateway.console.frame import HOME, Asked, form, go, may_do, page
from gateway.control import audit, store, subscriptions
from gateway.control.asked import actor, database, publisher
from gateway.control.shapes import PlanDraft, PlanView
from gateway.metering.limit import Limit
from gateway.routes import Name

PLANS = f"{HOME}/plans"
PAGE = 50
ROWS_FREE = 2
_PLACE = re.compile(r"limit\.([0-9]{1,3})\.")
_ROW = ("name", "kind", "amount", "window_s", "burst", "period", "per", "when_store_down", "shadow")
_NUMBERS = ("amount", "window_s", "burst")
_LISTS = ("scopes", "routes", "origins")


class Told(Struct):
    """A plan as its form shows it: what was sent, or what there is."""

    name: str = ""
    scopes: str = ""
    routes: str = ""
    origins: str = ""
    version_default: str = ""
    reason: str = ""
    rows: list[dict[str, str]] = []


@get(PLANS, **may_do("plans:read"))
async def plans(
    request: Asked, search: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        return {
            "plans": store.plans_page(connection, PAGE, cursor, search=search),
            "counts": subscriptions.by_plan(connection),
        }

    seen = await database(request).read(look)
    return page(request, "plans.html", search=search, cursor=cursor, **seen)


@get(f"{PLANS}/new", **may_do("plans:write"))
async def new(request: Asked) -> Response[str]:
    return _form(request, "plan_new.html", Told())


@post(PLANS, status_code=303, **may_do("plans:write"))
async def make(request: Asked) -> Response[str]:
    told = _told(await form(request))
    try:
        if await database(request).read(lambda c: store.plan_there(c, told.name)):
            raise problems.invalid(FieldError("/name", "is taken by another plan"))
        await _save(request, told)
    except Problem as problem:
        return _form(request, "plan_new.html", told, problem)
    return go(f"{PLANS}/{told.name}", "saved")


@get(f"{PLANS}/{{name:str}}", **may_do("plans:read"))
async def plan(request: Asked, name: FromPath[str]) -> Response[str]:
    return await _plan(request, name)


@post(f"{PLANS}/{{name:str}}", status_code=303, **may_do("plans:write"))
async def change(request: Asked, name: FromPath[str]) -> Response[str]:
    """All of it: what the form does not name is gone."""
    told = _told(await form(request))
    told.name = name
    try:
        await _save(request, told)
    except Problem as problem:
        return await _plan(request, name, told, problem)
    return go(f"{PLANS}/{name}", "saved")


@post(f"{PLANS}/{{name:str}}/remove", status_code=303, **may_do("plans:write"))
async def remove(request: Asked, name: FromPath[str]) -> Response[str]:
    reason = (await form(request)).get("reason", "")
    try:
        await publisher(request).change(
            lambda c: store.remove_plan(c, name, reason, actor(request))
        )
    except Problem as problem:
        return await _plan(request, name, problem=problem)
    return go(PLANS, "removed")


async def _save(request: Asked, told: Told) -> None:
    draft = _draft(told, frozenset(route.name for route in publisher(request).snapshot.routes))
    await publisher(request).change(lambda c: store.put_plan(c, told.name, draft, actor(request)))


def _draft(told: Told, routes: frozenset[str]) -> PlanDraft:
    """INVALID with every wrong field."""
    wrong: list[FieldError] = []
    wanted: dict[str, Any] = {name: getattr(told, name).split() for name in _LISTS}
    wanted |= {"version_default": told.version_default, "reason": told.reason}
    wanted["limits"] = [_limit(row, f"/limits/{n}", wrong) for n, row in enumerate(told.rows)]
    if unknown := set(wanted["routes"]) - routes:
        wrong.append(FieldError("/routes", f"there is no route {', '.join(sorted(unknown))}"))
    wrong += problems.field_errors(told.name, Name, "/name")
    seen = {error.pointer for error in wrong}
    wrong += [e for e in problems.field_errors(wanted, PlanDraft) if e.pointer not in seen]
    if wrong:
        raise problems.invalid(*wrong)
    return msgspec.convert(wanted, PlanDraft)


def _limit(row: dict[str, str], at: str, wrong: list[FieldError]) -> dict[str, Any]:
    """A row as a limit; fields left empty are left out."""
    limit: dict[str, Any] = {name: value for name, value in row.items() if value}
    for name in _NUMBERS:
        if name not in limit:
            continue
        if limit[name].isdigit() and len(limit[name]) <= 15:
            limit[name] = int(limit[name])
        else:
            wrong.append(FieldError(f"{at}/{name}", "is not a whole number"))
    limit["per"] = row["per"].replace(",", " ").split() or ["consumer"]
    limit["shadow"] = bool(row["shadow"])
    return limit


def _told(sent: dict[str, str]) -> Told:
    """Rows without a name and an amount are no limits."""
    places = sorted({int(found[1]) for name in sent if (found := _PLACE.match(name))})
    rows = [{name: sent.get(f"limit.{n}.{name}", "") for name in _ROW} for n in places]
    told = Told(rows=[row for row in rows if row["name"] or row["amount"]])
    for name in ("name", *_LISTS, "version_default", "reason"):
        setattr(told, name, sent.get(name, ""))
    return told


def _shown(plan: PlanView) -> Told:
    lists = {name: "\n".join(getattr(plan, name)) for name in _LISTS}
    rows = [_row(limit) for limit in plan.limits]
    return Told(plan.name, version_default=plan.version_default, rows=rows, **lists)


def _row(limit: Limit) -> dict[str, str]:
    rate = limit.kind == "rate"
    return {
        "name": limit.name, "kind": limit.kind, "amount": str(limit.amount),
        "window_s": str(limit.window_s) if rate else "", "burst": str(limit.burst or ""),
        "period": limit.period, "per": " ".join(limit.per),
        "when_store_down": limit.when_store_down, "shadow": "on" if limit.shadow else "",
    }  # fmt: skip


def _form(
    request: Asked, template: str, told: Told, problem: Problem | None = None, **more: Any
) -> Response[str]:
    blank = {**dict.fromkeys(_ROW, ""), "kind": "rate", "per": "consumer"}
    return page(
        request, template, 200 if problem is None else problem.fault.status, told=told,
        rows=[*told.rows, *[blank] * ROWS_FREE], problem=problem, versions=versions(),
        routes=sorted(route.name for route in publisher(request).snapshot.routes), **more,
    )  # fmt: skip


async def _plan(
    request: Asked, name: str, told: Told | None = None, problem: Problem | None = None
) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        return {
            "plan": store.plan_of(connection, name),
            "consumers": store.consumers_page(connection, 200, None, on_plan=name),
            "trail": audit.entries(connection, limit=20, subject=name, action="plan").items,
        }

    seen = await database(request).read(look)
    return _form(request, "plan.html", told or _shown(seen["plan"]), problem, **seen)


HANDLERS = (plans, new, make, plan, change, remove)
