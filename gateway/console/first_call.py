"""This file exists to find a call that a key can make as its first: one that reads, and asks for
nothing but the key.

Owns   looking through the published documents of today, once a process.
Fails  never: a key that may read nothing of the tiers still may read its own page.
"""

from functools import cache
from pathlib import Path

import msgspec

from gateway.control.shapes import KeyView
from gateway.routes import Table
from gateway.snapshot import Held, Snapshot, scopes_of, within

_FOLDER = Path(__file__).parents[2] / "openapi"
_TIERS = ("process", "experience", "system")
OWN = "/portal/v1/me"


def first_call(key: KeyView, snapshot: Snapshot) -> str:
    """Its path. key: an active one."""
    plan = Held(snapshot).plan(key.consumer, key.plan)
    if plan is None:
        return OWN
    scopes = scopes_of(key.scopes, plan)
    sandboxed = {one.name for one in snapshot.upstreams if one.sandbox_origins}
    table = Table((route, route) for route in snapshot.routes)
    for path, scope in _simple():
        route = (table.find(path.encode()) or {}).get(b"GET")
        if route is None or not within(scope, scopes):
            continue
        if key.environment == "test" and route.upstream not in sandboxed:
            continue
        if not plan.routes or route.name in plan.routes:
            return path
    return OWN


@cache
def _simple() -> tuple[tuple[str, str], ...]:
    """Paths that a GET reads without any parameter, and the scope each needs."""
    found = []
    for tier in _TIERS:
        file = _FOLDER / tier / "head.json"
        paths = msgspec.json.decode(file.read_bytes())["paths"] if file.exists() else {}
        for path, methods in paths.items():
            told = methods.get("get")
            if told is None or "{" in path:
                continue
            if not any(parameter.get("required") for parameter in told.get("parameters", ())):
                found.append((path, told["security"][0]["identity"][0]))
    return tuple(found)
