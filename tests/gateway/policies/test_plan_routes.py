"""A plan may be for some routes only, whatever its scopes hold."""

import msgspec
import pytest

from gateway.routes import tier_routes
from gateway.snapshot import SnapshotRefused


async def test_a_plan_for_other_routes_does_not_open_this_one(gate, upstream):
    """The refusal names the plan, not the scope, which is held."""
    policies = tier_routes()[0].policies
    gate.more_routes = (
        {"name": "other", "prefix": "/other/v1", "upstream": "system", "policies": policies},
    )
    gate.plan = msgspec.structs.replace(gate.plan, routes=("other",))
    gate.publish()
    refused = await gate.ask()
    assert (refused.status, refused.problem) == (403, "forbidden")
    assert b"The plan gold is not for this address." in refused.body
    assert (await gate.ask("GET", "/other/v1/things")).status == 200
    assert len(upstream.seen) == 1
    gate.plan = msgspec.structs.replace(gate.plan, routes=("other", "system"))
    gate.publish()
    assert (await gate.ask()).status == 200


async def test_a_plan_for_a_route_that_is_not_there_is_refused(gate):
    """With the snapshot it came in; the one before stays."""
    before, gate.plan = gate.plan, msgspec.structs.replace(gate.plan, routes=("gone",))
    with pytest.raises(SnapshotRefused, match="plan gold: no route gone"):
        gate.publish()
    gate.plan = before
    assert (await gate.ask()).status == 200
