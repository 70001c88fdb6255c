"""Two keys of one consumer for two of its plans: rights and counters of each are its own."""

import pytest

from gateway import keys
from gateway.metering.limit import Adjusted, Limit
from gateway.snapshot import Client, Consumer, Issuer, Key, Plan, Snapshot, SnapshotRefused, check

TWO = Limit(name="rate", kind="rate", amount=2, window_s=3600)


@pytest.fixture
def other(gate):
    """A key of acme for `tin`."""
    secret = keys.mint("live")
    gate.plan = Plan("gold", ("system:*",), (TWO,))
    gate.more_plans = (Plan("tin", ("system:read",), (TWO,)), Plan("no", ()))
    gate.consumers = (Consumer("acme", ("gold", "tin", "no")),)
    gate.key_rows = (*gate.key_rows, gate.row(secret, plan="tin"))
    gate.publish()
    return secret


async def test_one_plan_does_not_eat_the_quota_of_the_other(gate, other):
    """A reset of one says nothing of the other either."""
    assert [(await gate.ask()).status for _ in range(3)] == [200, 200, 429]
    assert [(await gate.ask(key=other)).status for _ in range(3)] == [200, 200, 429]
    gate.more["adjusted"] = (Adjusted("acme", "tin", "rate", 1),)
    gate.publish()
    assert [(await gate.ask()).status, (await gate.ask(key=other)).status] == [429, 200]


async def test_a_limit_of_the_route_counts_the_consumer(gate, other):
    """It guards the route, whatever plan a call came by; a raise of a plan's limit is not its."""
    meter = {"limits": [{"name": "slow", "kind": "rate", "amount": 3, "window_s": 3600}]}
    gate.route["policies"] = {
        "authenticate": {}, "authorise": {"scope": "system"}, "meter": meter, "size_limit": {},
    }  # fmt: skip
    gate.more["adjusted"] = (Adjusted("acme", "gold", "slow", amount=99, until_s=2**40),)
    gate.publish()
    asked = [await gate.ask(), await gate.ask(), await gate.ask(key=other)]
    assert [answer.status for answer in asked] == [200, 200, 200]
    assert b"slow" in (await gate.ask(key=other)).body


async def test_a_key_has_the_rights_of_its_plan(gate, other):
    """Moving it to a plan that holds nothing ends them with the next snapshot."""
    assert (await gate.ask(key=other)).status == 200
    gate.key_rows = (gate.key_rows[0], gate.row(other, plan="no"))
    gate.publish()
    assert (await gate.ask(key=other)).status == 403


@pytest.mark.parametrize(
    "more",
    [
        {"keys": (Key("key_1", b"1", "p", "acme", (), plan="tin"),)},
        {"clients": (Client("client_1", "acme", plan="tin"),)},
        {"issuers": (Issuer("https://a.test", "b", (), consumer="acme", plan="tin"),)},
    ],
)
def test_nobody_is_for_a_plan_that_is_not_subscribed_to(more):
    """Such a snapshot is refused whole."""
    plans = (Plan("gold", ()), Plan("tin", ()))
    with pytest.raises(SnapshotRefused, match="acme does not subscribe to the plan tin"):
        check(Snapshot(1, plans=plans, consumers=(Consumer("acme", ("gold",)),), **more))
    check(Snapshot(1, plans=plans, consumers=(Consumer("acme", ("gold", "tin")),), **more))
