"""This file exists to be the console's pages about whose tokens count: issuers, and our own keys.

Owns   forms and what they become; the work is identity.issuers' and identity.signing's.
Fails  the page again, with what is wrong beside its field.
"""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery
from sqlalchemy import Connection

from chassis import problems
from contracts.problem import Problem
from gateway.console.frame import HOME, Asked, form, go, may_do, page
from gateway.control import store
from gateway.control.asked import actor, database, peppers, publisher
from gateway.control.rows import instant
from gateway.control.rows import page as paged
from gateway.identity import issuers as kept
from gateway.identity import signing
from gateway.identity.issuers import IssuerDraft, Keeper

ISSUERS, SIGNING = f"{HOME}/issuers", f"{HOME}/signing-keys"
PAGE = 50


@get(ISSUERS, **may_do("issuers:read"))
async def issuers(
    request: Asked,
    search: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    edit: FromQuery[str] = "",
) -> Response[str]:
    """edit: the issuer that the form below shows."""
    told = None
    if edit:
        seen = await database(request).read(lambda c: kept.issuer_of(c, edit))
        told = {name: getattr(seen, name) for name in ("issuer", "audience", "consumer", "plan")}
        told |= {"jwks_uri": seen.jwks_uri, "types": " ".join(seen.types)}
        told["scopes"] = "\n".join(seen.scopes)
    return await _issuers(request, told, search=search, cursor=cursor)


@post(ISSUERS, status_code=303, **may_do("issuers:write"))
async def trust(request: Asked) -> Response[str]:
    """Its keys are fetched before it is believed."""
    told = await form(request)
    wanted: dict[str, Any] = {
        name: told.get(name, "") for name in ("issuer", "audience", "consumer", "plan", "reason")
    }
    wanted |= {"scopes": told.get("scopes", "").split(), "jwks_uri": told.get("jwks_uri") or None}
    wanted["types"] = told.get("types", "").split()
    try:
        if errors := problems.field_errors(wanted, IssuerDraft):
            raise problems.invalid(*errors)
        draft = msgspec.convert(wanted, IssuerDraft)
        uri, keys = await _keeper(request).discovered(draft)
        await publisher(request).change(lambda c: kept.put(c, draft, uri, keys, actor(request)))
    except Problem as problem:
        return await _issuers(request, told, problem)
    return go(ISSUERS, "saved")


@post(f"{ISSUERS}/refresh", status_code=303, **may_do("issuers:write"))
async def refresh(request: Asked) -> Response[str]:
    fresh = await _keeper(request).refresh((await form(request)).get("issuer", ""))
    return go(ISSUERS, "keys_new" if fresh else "keys_same")


@post(f"{ISSUERS}/remove", status_code=303, **may_do("issuers:write"))
async def remove(request: Asked) -> Response[str]:
    told = await form(request)
    name, reason = told.get("issuer", ""), told.get("reason", "")
    try:
        await publisher(request).change(lambda c: kept.remove(c, name, reason, actor(request)))
    except Problem as problem:
        return await _issuers(request, problem=problem)
    return go(ISSUERS, "removed")


@get(SIGNING, **may_do("signing:read"))
async def signing_keys(request: Asked) -> Response[str]:
    found = await database(request).read(signing.views)
    keys = [
        (key.kid, instant(key.created_ms), instant(key.retired_ms) if key.retired_ms else None)
        for key in found
    ]
    published = publisher(request).snapshot.issuers[:1]
    known = {key["kid"] for own in published for key in own.keys}
    return page(request, "signing_keys.html", keys=keys, known=known)


@post(f"{SIGNING}/rotate", status_code=303, **may_do("signing:write"))
async def rotate(request: Asked) -> Response[str]:
    reason = (await form(request)).get("reason", "")
    await publisher(request).change(
        lambda c: signing.rotate(c, peppers(request), actor=actor(request), reason=reason)
    )
    return go(SIGNING, "rotated")


def _keeper(request: Asked) -> Keeper:
    found: Keeper = request.app.state.keeper
    return found


async def _issuers(
    request: Asked,
    told: dict[str, str] | None = None,
    problem: Problem | None = None,
    *,
    search: str = "",
    cursor: str | None = None,
) -> Response[str]:
    def look(connection: Connection) -> dict[str, Any]:
        found = [
            one
            for one in kept.views(connection)
            if search.lower() in f"{one.issuer} {one.consumer} {one.audience}".lower()
            and (cursor is None or one.issuer > cursor)
        ]
        return {
            "issuers": paged(found[: PAGE + 1], PAGE, lambda one: one.issuer),
            "consumers": store.consumers_page(connection, 500, None).items,
        }

    seen = await database(request).read(look)
    return page(
        request, "issuers.html", 200 if problem is None else problem.fault.status,
        told=told or {"types": "at+jwt"}, problem=problem, search=search, cursor=cursor, **seen,
    )  # fmt: skip


HANDLERS = (issuers, trust, refresh, remove, signing_keys, rotate)
