"""This file exists to be the admin API's part about files: what they would change, and changing it.

Owns   the HTTP face of control.state.
Fails  as control.state does; then the state in force stays, whole.
"""

import msgspec
from litestar import get, post
from litestar.params import RawBody
from sqlalchemy import Connection

from gateway.control.asked import Asked, actor, database, publisher
from gateway.control.shapes import Applied, Change
from gateway.control.state import Around, State, Wanted, current, make_so


@post("/gateway/plan", status_code=200, opt={"action": "gateway:read"})
async def dry_run(request: Asked, body: RawBody) -> Applied:
    """What applying would change: done in full, and rolled back."""
    wanted = msgspec.json.decode(body, type=Wanted)
    who, here = actor(request), publisher(request)
    around = Around(here.policies, here.own_upstreams, here.own_routes)

    def work(connection: Connection) -> tuple[Change, ...]:
        return make_so(connection, wanted, here.snapshot, around, who)

    return Applied(await here.rehearse(work), here.snapshot.version)


@post("/gateway/apply", status_code=200, opt={"action": "gateway:write"})
async def apply(request: Asked, body: RawBody) -> Applied:
    """All of it or nothing; a second time changes nothing and publishes nothing."""
    wanted = msgspec.json.decode(body, type=Wanted)
    who, here = actor(request), publisher(request)
    around = Around(here.policies, here.own_upstreams, here.own_routes)

    def work(connection: Connection) -> tuple[Change, ...]:
        return make_so(connection, wanted, here.snapshot, around, who)

    changes = await here.rehearse(work)
    if changes:
        changes = await here.change(work)
    return Applied(changes, here.snapshot.version)


@get("/gateway/state", opt={"action": "gateway:read"})
async def state(request: Asked) -> State:
    """What is in force, in the form of the files."""
    now = publisher(request).snapshot
    return await database(request).read(lambda c: current(c, now))


HANDLERS = (dry_run, apply, state)
