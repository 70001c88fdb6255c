"""Answers given again: to whom, for how long, and what is never kept."""

import asyncio

import pytest

from gateway.routes import tier_routes


@pytest.fixture
async def cached(gate):
    """The route keeps answers for a minute."""
    policies = dict(tier_routes()[0].policies)

    def put(**config):
        gate.route = {"policies": {**policies, "cache": {"fresh_s": 60, **config}}}
        gate.publish()

    put()
    gate.put_cache = put
    return gate


def answering(upstream, headers=b"", body=b"ok"):
    async def answer(seen, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(body), body)
        )
        return True

    upstream.answer = answer


async def test_a_fresh_answer_is_given_again(cached, upstream):
    """The tier is asked once; the caller is told how old the answer is."""
    first, second = await cached.ask(), await cached.ask()
    assert (first.body, second.body, len(upstream.seen)) == (b"ok", b"ok", 1)
    assert second.headers["cache-status"] == "firmwire; hit"
    assert second.headers["age"] == "0"
    assert second.headers["firmwire-request-id"] != first.headers["firmwire-request-id"]


async def test_nothing_is_shared_between_consumers(cached, upstream):
    """Another consumer asks the tier itself, whatever is kept."""
    other = cached.add_consumer("globex")
    await cached.ask()
    await cached.ask(key=other)
    assert len(upstream.seen) == 2


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/system/v1/things"), ("GET", "/system/v1/things?page=2")]
)
async def test_only_the_same_get_is_the_same(cached, upstream, method, path):
    """Another method or another query is another question."""
    await cached.ask()
    await cached.ask(method, path)
    assert len(upstream.seen) == 2


@pytest.mark.parametrize(
    "header",
    [
        b"Cache-Control: no-store\r\n", b"Cache-Control: max-age=0\r\n",
        b"Cache-Control: Private, max-age=9\r\n", b"Set-Cookie: a=b\r\n", b"Vary: *\r\n",
        b"Vary: accept, x-other\r\n", b"Content-Type: text/event-stream\r\n",
    ],
)  # fmt: skip
async def test_what_must_not_be_kept_is_not(cached, upstream, header):
    """What belongs to one reply only, or hangs on what we do not look at."""
    answering(upstream, header)
    await cached.ask()
    await cached.ask()
    assert len(upstream.seen) == 2


async def test_an_answer_hangs_on_the_headers_it_names(cached, upstream):
    """Vary: two languages are two answers."""
    answering(upstream, b"Vary: Accept-Language\r\n")
    for language in ("de", "fr", "de"):
        await cached.ask(Accept_Language=language)
    assert len(upstream.seen) == 2


async def test_a_caller_may_ask_for_a_new_answer(cached, upstream):
    """no-cache: asked again, and the new answer is kept."""
    await cached.ask()
    answering(upstream, body=b"new")
    assert (await cached.ask(Cache_Control="no-cache")).body == b"new"
    assert (await cached.ask()).body == b"new"
    assert len(upstream.seen) == 2


async def test_a_known_etag_gets_304(cached, upstream):
    """The caller has it already."""
    answering(upstream, b'ETag: "v1"\r\n')
    await cached.ask()
    answered = await cached.ask(If_None_Match='W/"v1"')
    assert (answered.status, answered.body, len(upstream.seen)) == (304, b"", 1)


async def test_a_stale_answer_is_validated_not_fetched(cached, upstream):
    """The tier says 304, the caller gets the whole answer."""
    answering(upstream, b'ETag: "v1"\r\nCache-Control: max-age=1\r\n', b"long")
    await cached.ask()

    async def still_the_same(seen, writer):
        assert seen.header("if-none-match") == ['"v1"']
        writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nX-Seen: again\r\n\r\n')
        return True

    upstream.answer = still_the_same
    while (answered := await cached.ask()).headers.get("cache-status"):
        await asyncio.sleep(0.05)
    assert (answered.status, answered.body, answered.headers["x-seen"]) == (200, b"long", "again")


async def test_many_who_ask_at_once_are_one_question(cached, upstream):
    """Single flight: one goes to the tier, the others wait for its answer."""
    go = asyncio.Event()

    async def slow(seen, writer):
        await go.wait()
        return await upstream.plain(seen, writer)

    upstream.answer = slow
    asked = [asyncio.create_task(cached.ask()) for _ in range(20)]
    while not upstream.seen:
        await asyncio.sleep(0.005)
    go.set()
    assert {answered.body for answered in await asyncio.gather(*asked)} == {b"ok"}
    assert len(upstream.seen) == 1


async def test_who_waited_for_an_answer_that_failed_asks_for_themselves(cached, upstream):
    """A refused answer is nobody else's."""

    async def fails(seen, writer):
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        return True

    upstream.answer = fails
    answered = await asyncio.gather(*(cached.ask() for _ in range(5)))
    assert {one.status for one in answered} == {500}
    upstream.answer = upstream.plain
    assert (await cached.ask()).status == 200


async def test_memory_is_bounded(cached, upstream):
    """Large answers pass by, old ones make room."""
    cached.put_cache(entry_bytes=1000, total_bytes=2000)
    answering(upstream, body=b"x" * 1001)
    await cached.ask()
    await cached.ask()
    assert len(upstream.seen) == 2
    answering(upstream, body=b"x" * 900)
    for page in (1, 2, 3, 1):
        await cached.ask("GET", f"/system/v1/things?page={page}")
    assert len(upstream.seen) == 6


async def test_an_answer_of_unknown_length_streams_by(cached, upstream, reply_from):
    """Its first piece arrives before its last is made."""
    go = asyncio.Event()

    async def pieces(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await go.wait()
        writer.write(b"0\r\n\r\n")
        return True

    upstream.answer = pieces
    reader, writer = await asyncio.open_connection("127.0.0.1", cached.port)
    writer.write(cached.request())
    assert (await reader.readuntil(b"abc")).startswith(b"HTTP/1.1 200")
    go.set()
    writer.close()
