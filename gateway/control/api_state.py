"""This file exists to be the admin API's part about files: what they would change, and changing it.

Owns   the HTTP face of control.state.
Fails  as control.state does; then the state in force stays, whole.
"""

from collections.abc import Callable

import msgspec
from litestar import get, post
from litestar.params import RawBody
from sqlalchemy import Connection

from gateway.control.asked import Asked, actor, database, publisher
from gateway.control.shapes import Applied, Change
from gateway.control.state import Around, State, Wanted, current, issuers_to_ask, make_so
from gateway.identity.issuers import Keeper
from gateway.identity.roles import demand


@post("/gateway/plan", status_code=200, opt={"action": "gateway:read"})
async def dry_run(request: Asked, body: RawBody) -> Applied:
    """What applying would change: done in full, and rolled back."""
    here, work = publisher(request), await _work(request, body)
    return Applied(await here.rehearse(work), here.snapshot.version)


@post("/gateway/apply", status_code=200, opt={"action": "gateway:write"})
async def apply(request: Asked, body: RawBody) -> Applied:
    """All of it or nothing; a second time changes nothing and publishes nothing."""
    here, work = publisher(request), await _work(request, body)
    changes = await here.rehearse(work)
    if changes:
        changes = await here.change(work)
    return Applied(changes, here.snapshot.version)


async def _work(request: Asked, body: bytes) -> Callable[[Connection], tuple[Change, ...]]:
    """What to do in a transaction; keys of issuers are fetched before it."""
    wanted = msgspec.json.decode(body, type=Wanted)
    who, here = actor(request), publisher(request)
    if wanted.state.issuers is not None:
        # Whose tokens are believed is for those who may say so anyway.
        looking = request.url.path.endswith("/plan")
        demand(request.state.admin, "issuers:read" if looking else "issuers:write")
    asking = await database(request).read(lambda c: issuers_to_ask(c, wanted))
    keeper: Keeper = request.app.state.keeper
    found = {draft.issuer: await keeper.discovered(draft) for draft in asking}
    around = Around(here.policies, here.own_upstreams, here.own_routes, found)
    return lambda connection: make_so(connection, wanted, here.snapshot, around, who)


@get("/gateway/state", opt={"action": "gateway:read"})
async def state(request: Asked) -> State:
    """What is in force, in the form of the files."""
    now = publisher(request).snapshot
    return await database(request).read(lambda c: current(c, now))


HANDLERS = (dry_run, apply, state)
