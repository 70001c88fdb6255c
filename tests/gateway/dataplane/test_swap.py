"""A snapshot is put in force in one step, however many steps it took to read and to compile."""

import asyncio
import hashlib

import msgspec
import pytest

from gateway import keys, steps
from gateway.routes import Route, Upstream
from gateway.snapshot import (
    Consumer,
    Key,
    Plan,
    Reader,
    Snapshot,
    SnapshotRefused,
    decode,
    encode,
)
from gateway.steps import finished

POLICIES = {"authenticate": {}, "authorise": {"scope": "system"}, "meter": {}}


def large(gate, version, key, **more):
    """`key` among many keys, and many routes of which one differs by version."""
    many = (Key(f"k{n}", b"%032d" % n, gate.peppers.current, "acme", ()) for n in range(3_000))
    routes = (
        Route(f"r{n}", f"/system/v1/r{n}", "system", POLICIES, deadline_ms=900 + version * (n == 7))
        for n in range(300)
    )
    values = {
        "version": version, "upstreams": (Upstream("system", gate.urls),),
        "routes": (Route("system", "/system/v1", "system", POLICIES), *routes),
        "plans": (Plan("gold", ("system:*",)),), "consumers": (Consumer("acme", ("gold",)),),
        "keys": (gate.row(key), *many), **more,
    }  # fmt: skip
    return encode(Snapshot(**values))


@pytest.fixture
async def two(gate):
    """A gate under a large snapshot; its key, the key of the next one, and that next one."""
    old, new = keys.mint("live"), keys.mint("live")
    await gate.worker.take(large(gate, 1, old))
    return old, new, large(gate, 2, new)


async def test_requests_go_on_while_a_snapshot_is_taken(gate, two):
    """The loop is left every millisecond or so: not one long hold."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await gate.worker.take(two[2])
    beside.cancel()
    assert gate.worker.snapshot.version == 2
    assert turns >= 4


async def test_old_until_new(gate, two, monkeypatch):
    """Seen between any two steps, keys, routes and version are all of one snapshot."""
    monkeypatch.setattr(steps, "HOLD_S", -1.0)
    old, new, raw = two
    seen = set()

    async def look():
        while True:
            worker = gate.worker
            known = [
                worker._around.callers.get(gate.peppers.digest(key.encode())[1]) is not None
                for key in (old, new)
            ]
            use = worker.compiled.use_of("r7")
            seen.add((*known, use.route.deadline_ms, worker.compiled.version, worker.ready))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await gate.worker.take(raw)
    await asyncio.sleep(0)
    looking.cancel()
    assert seen == {(True, False, 901, 1, True), (False, True, 902, 2, True)}
    assert [(await gate.ask(key=key)).status for key in (old, new)] == [401, 200]


async def test_what_did_not_change_is_taken_over(gate, two):
    """Routes and callers of before are the very same; the one route that changed is not."""
    before, callers = gate.worker.compiled, dict(gate.worker._around.callers)
    await gate.worker.take(two[2])
    after = gate.worker.compiled
    kept = [after.use_of(f"r{n}") is before.use_of(f"r{n}") for n in range(300)]
    assert [n for n, same in enumerate(kept) if not same] == [7]
    same = [d for d, caller in gate.worker._around.callers.items() if callers.get(d) is caller]
    assert len(same) == 3_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"plans": ()},
        {"routes": (Route("x", "/x", "system", {"authenticate": {"nonsense": 1}}),)},
        {"routes": tuple(Route(n, "/x", "system", POLICIES) for n in ("a", "b"))},
        {"keys": (Key("k", b"1" * 32, "strange", "acme", ()),)},
    ],
)
async def test_a_refused_snapshot_changes_nothing(gate, two, wrong):
    """However late it is found out: the old one stays in force, and the refusal is counted."""
    old, new, _ = two
    with pytest.raises(ValueError, match=r"."):
        await gate.worker.take(large(gate, 2, new, **wrong))
    assert gate.worker.snapshot.version == 1
    assert [(await gate.ask(key=key)).status for key in (old, new)] == [200, 401]
    assert b"firmwire_gateway_snapshots_refused 1\n" in gate.worker.metrics()
    await gate.worker.take(two[2])
    assert [(await gate.ask(key=key)).status for key in (old, new)] == [401, 200]


def sealed(value):
    """As `encode` does, whatever it is."""
    body = msgspec.msgpack.encode(value)
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "version is missing"),
        ({"version": 1, "doors": []}, "doors is not part of a snapshot"),
        ({"version": "1"}, "version: Expected `int`"),
        ({"version": 1, "keys": [{"id": 1}]}, "keys: Expected `str`"),
        ({"version": 1, "keys": {}}, "keys: Expected `array`"),
        ({"version": 1, "plans": [{"name": "g", "scopes": [], "price": 1}]}, "plans: .*price"),
        ([1], "Expected `object`"),
    ],
)
def test_what_is_no_snapshot_is_told_by_its_part(value, told):
    """Sealed well, and still refused whole."""
    with pytest.raises(SnapshotRefused, match=told):
        decode(sealed(value))


def test_what_comes_again_is_not_read_again(gate):
    """Also after one that was refused in between."""
    reader, raw = Reader(), large(gate, 1, gate.key)
    first = finished(reader.steps(raw))
    with pytest.raises(SnapshotRefused):
        finished(reader.steps(sealed({"version": 2, "keys": [{}]})))
    again = finished(reader.steps(large(gate, 2, gate.key)))
    assert all(a is b for a, b in zip(first.keys, again.keys, strict=True))
    assert [a.name for a, b in zip(first.routes, again.routes, strict=True) if a is not b] == ["r7"]
    assert decode(raw) == first
