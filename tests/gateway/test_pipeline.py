"""Order, reads and writes, and denial by default."""

import pytest
from msgspec import Struct, structs

from chassis.discovery import plugs
from gateway.pipeline import PipeRefused, chosen, order
from gateway.policy import Policy, Stage
from gateway.routes import Route, Table, Upstream, tier_routes
from gateway.snapshot import Snapshot, SnapshotRefused, check, decode, encode


class Empty(Struct):
    pass


def policy(stage, reads=(), writes=()):
    return Policy(stage, Empty, lambda c, t: object(), frozenset(reads), frozenset(writes))


def test_order_is_stage_then_name():
    """Never a number of its own."""
    policies = {
        "b": policy(Stage.METER), "a": policy(Stage.METER), "z": policy(Stage.TRACE),
    }  # fmt: skip
    assert order(policies) == ("z", "a", "b")


def test_the_order_of_our_own_policies():
    """Pinned: a change of order is a decision, not an accident."""
    expected = (
        "access_log", "request_id", "span", "usage", "address_rate", "cors", "size_limit",
        "authenticate", "authorise", "version", "meter", "introduce", "public_host",
        "translate", "cache", "documents",
    )  # fmt: skip
    assert expected == order(plugs("gateway.policies", "POLICY", Policy))


def test_reading_before_anyone_writes_is_refused():
    """The message names the policy and the fact."""
    with pytest.raises(PipeRefused, match=r"a reads .'caller'. before anyone writes it"):
        order({"a": policy(Stage.TRACE, reads=["caller"])})


def test_writing_twice_is_refused():
    """Two truths about one fact."""
    with pytest.raises(PipeRefused, match="written already"):
        order({"a": policy(Stage.TRACE, writes=["x"]), "b": policy(Stage.TRACE, writes=["x"])})


@pytest.mark.parametrize(
    ("policies", "public", "why"),
    [
        ({}, False, "no policies"),
        ({"authenticate": {}}, False, "never authorises"),
        ({"size_limit": {}}, False, "must either authenticate"),
        ({"authenticate": {}, "authorise": {"scope": "system"}}, True, "must either authenticate"),
        ({"nonsense": {}}, True, "unknown policies"),
    ],
)
def test_a_route_without_its_guards_is_refused(policies, public, why):
    """Nothing is open by omission."""
    route = Route(name="r", prefix="/r", upstream="u", policies=policies, public=public)
    with pytest.raises(PipeRefused, match=why):
        chosen(plugs("gateway.policies", "POLICY", Policy), route)


def test_a_snapshot_survives_the_wire_and_refuses_damage():
    """Cut or altered, it is not served."""
    upstream = Upstream(name="system", urls=("http://127.0.0.1:1",))
    snapshot = Snapshot(version=3, upstreams=(upstream,), routes=tier_routes()[:1])
    raw = encode(snapshot)
    assert snapshot == decode(raw)
    for wrong in (raw[:-1], raw.replace(b"system", b"sysadm"), b"", b"{}"):
        with pytest.raises(SnapshotRefused):
            decode(wrong)
    with pytest.raises(SnapshotRefused, match="no upstream"):
        check(structs.replace(snapshot, upstreams=()))
    bare = structs.replace(snapshot.routes[0], policies={})
    with pytest.raises(SnapshotRefused, match="denied by default"):
        check(structs.replace(snapshot, routes=(bare,)))


def test_the_longest_prefix_wins_on_whole_segments():
    """`/a/b` takes `/a/b` and `/a/b/c`, never `/a/bc`."""

    def route(name, prefix, *methods):
        return Route(name=name, prefix=prefix, upstream="u", policies={"x": {}}, methods=methods)

    table = Table(
        [(route("1", "/a", "GET"), 1), (route("2", "/a/b", "GET"), 2),
         (route("3", "/a/b", "POST"), 3), (route("4", "/a/b/c/d", "GET"), 4)]
    )  # fmt: skip
    found = {
        path: (table.find(path) or {}).get(b"GET")
        for path in (
            b"/a",
            b"/a/",
            b"/a/b",
            b"/a/b/",
            b"/a/bc",
            b"/a/b/c",
            b"/a/b/c/d/e",
            b"/x",
            b"/",
        )
    }
    expected = {
        b"/a": 1, b"/a/": 1, b"/a/b": 2, b"/a/b/": 2, b"/a/bc": 1, b"/a/b/c": 2,
        b"/a/b/c/d/e": 4, b"/x": None, b"/": None,
    }  # fmt: skip
    assert expected == found
    assert table.find(b"/a/b/x") == {b"GET": 2, b"POST": 3}
    with pytest.raises(ValueError, match="two routes"):
        Table([(route("1", "/a", "GET"), 1), (route("2", "/a", "GET"), 2)])
