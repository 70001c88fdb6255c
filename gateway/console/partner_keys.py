"""This file exists to give a partner keys for the sandbox: to its programs, and by a form.

Owns   the HTTP face of control.sandbox_keys, and what makes the form safe: a browser sends the key
       by itself, so a form counts only when it comes from a page of this very address, with the
       mark that was put into it for this key.
Fails  as control.sandbox_keys does, NO_SANDBOX where there is none; FORBIDDEN for a form of another
       site or of another day. As JSON for programs, on the page for people.
"""

import hmac
from datetime import timedelta

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, RawBody

from chassis import clock, problems
from contracts.paging import Page
from contracts.problem import Fault, Problem
from gateway.console.first_call import first_call
from gateway.console.frame import Asked, fields_of, go, page
from gateway.console.partner_pages import LOOKS, PORTAL, address, mark, only_partners, shown
from gateway.control import key_store, sandbox_keys
from gateway.control.asked import Limit, database, peppers, publisher
from gateway.control.sandbox_keys import SandboxKeyDraft
from gateway.control.shapes import KeyMade, KeyView

API = f"{PORTAL}/v1/test-keys"
FORM = f"{PORTAL}/test-keys"
_OPEN = {"public": True, "operation": "portal.test_keys"}


@get(API, opt=_OPEN, guards=[only_partners])
async def own_test_keys(
    request: Asked, limit: Limit = 50, cursor: FromQuery[str | None] = None
) -> Page[KeyView]:
    owner = request.state.consumer
    return await database(request).read(
        lambda c: key_store.keys_page(c, limit=limit, after=cursor, owner=owner, environment="test")
    )


@post(API, opt=_OPEN, guards=[only_partners], status_code=201)
async def make(request: Asked, body: RawBody) -> Response[KeyMade]:
    """The body may be left out."""
    made = await _make(request, msgspec.json.decode(body or b"{}", type=SandboxKeyDraft))
    return Response(made, headers={"cache-control": "no-store"})


@delete(f"{API}/{{id:str}}", opt=_OPEN, guards=[only_partners], status_code=200)
async def end(request: Asked, id: FromPath[str]) -> KeyView:
    return await _end(request, id)


@post(FORM, opt=_OPEN, guards=[only_partners], status_code=201)
async def make_by_form(request: Asked) -> Response[str]:
    try:
        told = await _form(request)
        made = await _make(request, msgspec.convert(told, SandboxKeyDraft))
    except (Problem, msgspec.ValidationError) as error:
        return await shown(request, problems.problem(error))
    call = f"{address(request)}{first_call(made.key, publisher(request).snapshot)}"
    return page(request, "partner_key.html", 201, made=made, call=call, **LOOKS)


@post(f"{FORM}/{{id:str}}/revoke", opt=_OPEN, guards=[only_partners], status_code=303)
async def end_by_form(request: Asked, id: FromPath[str]) -> Response[str]:
    try:
        await _form(request)
        await _end(request, id)
    except Problem as problem:
        return await shown(request, problem)
    return go(PORTAL, "revoked")


HANDLERS = (own_test_keys, make, end, make_by_form, end_by_form)


async def _make(request: Asked, draft: SandboxKeyDraft) -> KeyMade:
    here, secrets = publisher(request), peppers(request)
    if not sandbox_keys.sandboxed(here.snapshot, here.own_routes):
        say = "There is no sandbox here so far: ask whoever gave you your key for one."
        raise Problem(Fault.NO_SANDBOX, say)
    owner, shown = request.state.consumer, request.state.key
    return await here.change(
        lambda c: sandbox_keys.make(c, sandbox_keys.asking(c, owner, shown), draft, secrets)
    )


async def _end(request: Asked, id: str) -> KeyView:
    owner, shown = request.state.consumer, request.state.key
    return await publisher(request).change(
        lambda c: sandbox_keys.end(c, sandbox_keys.asking(c, owner, shown), id)
    )


async def _form(request: Asked) -> dict[str, str]:
    """The fields of a form of our own page. A browser says with every form where it is from."""
    if request.headers.get("origin", "").lower() != address(request).lower():
        raise Problem(Fault.FORBIDDEN, "Forms are taken from your own page only.")
    fields = await fields_of(request)
    given, today = fields.pop("mark", ""), clock.now().date()
    good = [mark(request, day) for day in (today, today - timedelta(days=1))]
    if not any([hmac.compare_digest(given.encode(), one.encode()) for one in good]):
        raise Problem(Fault.FORBIDDEN, "The page is out of date: load it again.")
    return fields
