"""A test key goes to the sandbox of an upstream or nowhere; a live one never goes there."""

import asyncio

import pytest
from msgspec import structs

from gateway import keys
from gateway.routes import Upstream


@pytest.fixture
def test_key(gate, second_upstream):
    """Of the same consumer, with the same scopes; `second_upstream` is the sandbox."""
    key = keys.mint("test")
    gate.key_rows = (*gate.key_rows, gate.row(key, test=True))
    gate.upstream = {"sandbox_origins": (f"http://127.0.0.1:{second_upstream.port}",)}
    gate.publish()
    return key


async def test_each_key_reaches_its_own_side(gate, upstream, second_upstream, test_key):
    """On lines of their own and on one line in turn, where the head before was the other's."""
    for _ in range(3):
        assert (await gate.ask(key=test_key)).status == 200
        assert (await gate.ask()).status == 200
    both = (gate.request(key=test_key) + gate.request()) * 5
    await gate.raw(both + gate.request(connection="close"))
    assert (len(upstream.seen), len(second_upstream.seen)) == (3 + 5 + 1, 3 + 5)
    gate.worker.access_log.flush()
    lines = gate.access_file.read_text()
    live, test = (row.id for row in gate.key_rows)
    assert (lines.count(live), lines.count(test)) == (9, 8)


async def test_without_a_sandbox_a_test_key_is_refused(gate, upstream, test_key):
    """In words that say what to do; nothing is sent, and limits give it back."""
    gate.upstream = {}
    gate.publish()
    answer = await gate.ask(key=test_key)
    assert (answer.status, answer.problem) == (403, "no_sandbox")
    assert b"urn:firmwire:problem:no_sandbox" in answer.body
    assert b"live key" in answer.body
    assert (await gate.ask(method="POST", key=test_key, body=b"{}")).status == 403
    assert upstream.seen == []


async def test_the_key_decides_not_how_it_looks(gate, upstream, second_upstream, test_key):
    """The letters of a key are its holder's word; what the snapshot says of it is ours."""
    odd = keys.mint("test")
    gate.key_rows = (*gate.key_rows, gate.row(odd))
    gate.publish()
    assert (await gate.ask(key=odd)).status == 200
    assert (len(upstream.seen), len(second_upstream.seen)) == (1, 0)


async def test_where_all_is_a_sandbox_both_go_there(gate, upstream, test_key):
    """One pool, the same lines."""
    gate.upstream = {"sandbox_origins": gate.urls}
    gate.publish()
    assert (await gate.ask(key=test_key)).status == 200
    assert (await gate.ask()).status == 200
    assert (len(upstream.seen), upstream.connections) == (2, 1)


async def test_a_sandbox_that_is_taken_away_ends_its_streams(
    gate, second_upstream, test_key, eventually
):
    """What a test key opened does not outlive the sandbox; the next call is refused."""

    async def endless(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
        await writer.drain()
        await asyncio.sleep(30)
        return False

    second_upstream.answer = endless
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(gate.request(key=test_key))
    await reader.readuntil(b"hello")
    gate.upstream = {}
    gate.publish()
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(100_000)
    writer.close()
    assert (await gate.ask(key=test_key)).problem == "no_sandbox"


async def test_what_was_kept_for_live_keys_is_not_given_to_test_keys(
    gate, upstream, second_upstream, test_key
):
    """The same consumer, the same address, the same scopes: still another answer."""

    async def told(text):
        async def answer(seen, writer):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(text) + text)
            return True

        return answer

    upstream.answer, second_upstream.answer = await told(b"live"), await told(b"sandbox")
    policies = {"authenticate": {}, "authorise": {"scope": "system"}, "cache": {"fresh_s": 60}}
    gate.route = {"policies": policies}
    gate.publish()
    bodies = [(await gate.ask(key=key)).body for key in ("", test_key, "", test_key)]
    assert bodies == [b"live", b"sandbox"] * 2
    assert (len(upstream.seen), len(second_upstream.seen)) == (1, 1)


async def test_each_side_fails_by_itself(gate, upstream, second_upstream, test_key):
    """A sandbox that is down says so, the live side does not notice; metrics tell them apart."""
    await second_upstream.stop()
    assert (await gate.ask(key=test_key)).status == 503
    assert (await gate.ask()).status == 200
    assert 'upstream="system:sandbox"' in gate.worker.metrics().decode()


def test_one_origin_is_not_both():
    """Live for some and a sandbox for others would mean live data for test keys."""
    one, other = "http://127.0.0.1:1", "http://127.0.0.1:2"
    with pytest.raises(ValueError, match=r"sandbox_origins: .*:1 serves live keys as well"):
        Upstream("a", (one, other), sandbox_origins=("http://127.0.0.1:1/",))
    with pytest.raises(ValueError, match="serves live keys as well"):
        Upstream("a", ("https://erp.test", one), sandbox_origins=("https://ERP.test:443",))
    with pytest.raises(ValueError, match="sandbox_origins: the address of one host"):
        Upstream("a", (one,), sandbox_origins=("http://169.254.169.254",))
    assert Upstream("a", (one, other), sandbox_origins=(other, one)).all_sandbox
    assert not structs.replace(Upstream("a", (one,)), sandbox_origins=(other,)).all_sandbox
