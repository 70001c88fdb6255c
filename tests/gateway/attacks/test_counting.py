"""Cases 18 to 20 and 28: what is counted, kept or versioned for one is never another's."""

import asyncio

import pytest

from contracts.change import FIRST
from gateway.metering.limit import Limit
from gateway.snapshot import Plan

SLOW = {"kind": "rate", "window_s": 3600}


def policies(**more):
    return {"authenticate": {}, "authorise": {"scope": "system"}, "meter": {}, **more}


async def statuses(gate, number, *positional, **named):
    return [(await gate.ask(*positional, **named)).status for _ in range(number)]


@pytest.mark.parametrize(
    ("headers", "shared"),
    [
        (b"Set-Cookie: session=1\r\n", False), (b"Cache-Control: private\r\n", False),
        (b"Cache-Control: no-store\r\n", False), (b"Vary: *\r\n", False),
        (b"Vary: X-Unkeyed\r\n", False), (b"Vary: Accept\r\n", True), (b"", True),
    ],
)  # fmt: skip
async def test_case_18_only_what_may_be_kept_is_kept(gate, upstream, headers, shared):
    """Cookies, private answers, and answers that hang on something we do not key by."""
    gate.route = {"policies": policies(cache={"fresh_s": 60})}
    gate.publish()

    async def answer(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % headers)
        return True

    upstream.answer = answer
    await gate.ask()
    await gate.ask()
    assert len(upstream.seen) == (1 if shared else 2)


async def test_case_18_a_kept_answer_never_crosses_consumers_or_scopes(gate, upstream):
    """Nor does an unkeyed header poison what the next one gets."""
    gate.route = {"policies": policies(cache={"fresh_s": 60})}
    other = gate.add_consumer("other")

    async def whose(seen, writer):
        body = b"|".join(
            (*(v.encode() for v in seen.header("x-poison")), b"%d" % len(upstream.seen))
        )
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        return True

    upstream.answer = whose
    mine, theirs = (await gate.ask()).body, (await gate.ask(key=other)).body
    assert mine != theirs
    assert ((await gate.ask()).body, (await gate.ask(key=other)).body) == (mine, theirs)
    assert (await gate.ask(key=None)).status == 401
    assert (await gate.ask("HEAD")).status == 200
    for spelling in ("/system/v1/things?", "/system/v1/things?a=1", "/system/v1/%74hings"):
        await gate.ask("GET", spelling)
    gate.key_rows = tuple(gate.row(gate.key, scopes=("system:write",)) for _ in range(1))
    gate.publish()
    assert (await gate.ask()).body != mine


async def test_case_19_no_two_names_share_a_counter(gate):
    """Consumer and route are parts, not a text: `a-b` on `c` is not `a` on `b-c`."""
    limit = Limit(name="rate", amount=2, per=("consumer", "route"), **SLOW)
    gate.plan = Plan(name="gold", scopes=("system:*",), limits=(limit,))
    names = ("a", "a.b", "a-b", "a.b.c", "ab")
    keys = {name: gate.add_consumer(name) for name in names}
    gate.more_routes = tuple(
        {"name": name, "prefix": f"/system/v1/{name}", "upstream": "system", "policies": policies()}
        for name in ("c", "b.c", "b-c", "bc")
    )
    gate.publish()
    for name in names:
        for route in ("c", "b.c", "b-c", "bc"):
            path = f"/system/v1/{route}"
            assert await statuses(gate, 3, "GET", path, key=keys[name]) == [200, 200, 429]


async def test_case_20_a_refused_costly_call_burns_nothing(gate, upstream):
    """And no caller names a price: it is the route's, whole and never below nothing."""
    limit = Limit(name="rate", amount=10, **SLOW)
    gate.plan = Plan(name="gold", scopes=("system:*",), limits=(limit,))
    costs = [{"prefix": "/system/v1/huge", "cost": 9}]
    gate.route = {"policies": policies(meter={"costs": costs})}
    gate.publish()
    claims = {"X_Cost": "-100", "Firmwire_Cost": "0", "RateLimit": "0", "X_RateLimit_Cost": "0"}
    assert await statuses(gate, 2, **claims) == [200, 200]
    assert await statuses(gate, 5, "GET", "/system/v1/huge") == [429] * 5
    assert await statuses(gate, 9) == [200] * 8 + [429]
    before = gate.worker.snapshot
    for wrong in (-1, 1.5, 10**30, "1", True):
        gate.route = {"policies": policies(meter={"costs": [{"cost": wrong}]})}
        with pytest.raises(ValueError, match=r"."):
            gate.publish()
        assert gate.worker.snapshot is before
    assert len(upstream.seen) == 10


async def test_case_20_a_caller_that_leaves_takes_its_place_at_once(gate, upstream, eventually):
    """Hung up, cut off or done: what was taken at once is given back, once."""
    limit = Limit(name="at-once", kind="concurrency", amount=2)
    gate.plan = Plan(name="gold", scopes=("system:*",), limits=(limit,))
    gate.publish()
    go_on = asyncio.Event()

    async def slow(seen, writer):
        await go_on.wait()
        return await upstream.plain(seen, writer)

    upstream.answer = slow
    lines = []
    for _ in range(2):
        lines.append(await asyncio.open_connection("127.0.0.1", gate.port))
        lines[-1][1].write(gate.request())
    await eventually(lambda: len(upstream.seen) == 2)
    assert (await gate.ask()).status == 429
    for _, writer in lines:
        writer.transport.abort()
    await eventually(lambda: not gate.worker.running)
    go_on.set()
    upstream.answer = upstream.plain
    assert await statuses(gate, 4) == [200] * 4


async def test_case_28_one_version_decides_for_every_policy(gate, upstream):
    """Header, path and alias cannot say two things; what is over is over by every road."""
    gate.plan = Plan(name="gold", scopes=("process:*",))
    gate.route = {"prefix": "/process/v1", "policies": {
        "authenticate": {}, "authorise": {"scope": "process"}}}  # fmt: skip
    gate.key_rows = (gate.row(gate.key, scopes=()),)
    gate.publish()
    path = "/process/v1/invoices"
    for told in ("v1", "v2", "1", "2026-13-01", f"{FIRST} ", "9999-01-01", "*", f"{FIRST},{FIRST}"):
        status = (await gate.ask("GET", path, Firmwire_Version=told)).status
        assert status == (200 if told.strip() == FIRST else 400), told
    upstream.seen.clear()
    lines = f"Firmwire-Version: {FIRST}\r\nFirmwire-Version: 2026-11-22\r\n"
    sent = f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {gate.key}\r\n{lines}\r\n"
    assert b" 400 " in (await gate.raw(sent.encode()))[:14]
    for other in ("/process/v2/invoices", f"/process/{FIRST}/invoices", "/process/V1/invoices"):
        assert (await gate.ask("GET", other, Firmwire_Version=FIRST)).status == 404
    under = await gate.ask("GET", f"{path}?version=v2&Firmwire-Version=v2")
    assert under.status == 200
    assert len(upstream.seen) == 1
    assert upstream.seen[0].header("firmwire-version") == []
