"""A port called from the other side is the port; anything else that comes is a problem document."""

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar import get

from chassis import call, idempotency, identity, serve, server, travel
from chassis.identity import Signer
from chassis.service import service
from contracts.paging import Page
from contracts.principal import Principal
from contracts.problem import Fault, Problem


@pytest.fixture
async def url(orders, shop, verifier):
    """The shop on a socket, under /shop, with an answer memory."""
    memory = idempotency.ProcessMemory()
    handlers = serve.routes(orders, shop, prefix="/shop", memory=memory)
    async with server.serving(service("shop", handlers=handlers, verifier=verifier)) as base:
        yield base


@pytest.fixture
async def remote(orders, url, signer):
    """The port, from the other side."""
    made = call.client(orders, url, signer=signer, prefix="/shop")
    yield made
    await call.close(made)


@pytest.fixture
async def http(url, bearer):
    """A caller with bare hands."""
    async with httpx.AsyncClient(base_url=f"{url}/shop", headers=bearer) as client:
        yield client


def code(response):
    assert response.headers["content-type"] == "application/problem+json"
    shown = response.json()
    assert shown["status"] == response.status_code
    assert shown["instance"] == response.headers["firmwire-request-id"]
    return shown["code"]


async def test_a_call_is_the_method(remote, shop, order):
    """Path, query, body and header arrive typed; the reply comes back as the struct."""
    assert await remote.order("a b:c") == order("a b:c")
    page = await remote.orders(since=date(2026, 1, 2), tags=("x", "y"), paid=True, limit=5)
    assert isinstance(page, Page)
    assert (page.items[0].lines[0].day, page.next_cursor, page.more) == (
        date(2026, 11, 2), "next", True,
    )  # fmt: skip
    assert shop.seen.pop() == (None, date(2026, 1, 2), ("x", "y"), True, 5)
    assert await remote.place(order("7"), idempotency_key="k-1") == order("7")
    assert shop.seen.pop() == (order("7"), "k-1")
    assert await remote.remove("7", if_match='"3"') is None
    assert shop.seen.pop() == ("7", '"3"')
    assert await remote.weigh(msgspec.Raw(b"[1, 2]")) == 6


async def test_none_is_an_answer_and_a_wrong_address_is_not(remote, orders, url, signer):
    """A 404 of a route that is not there must never look like `there is none`."""
    assert await remote.order("none") is None
    lost = call.client(orders, url, signer=signer, prefix="/nowhere")
    with pytest.raises(Problem) as caught:
        await lost.order("none")
    assert caught.value.fault is Fault.NOT_FOUND
    await call.close(lost)


async def test_wrong_arguments_are_a_type_error_here(remote, order):
    """Before anything is sent."""
    with pytest.raises(TypeError, match="needs body"):
        await remote.place()
    with pytest.raises(TypeError, match="takes no"):
        await remote.place(order("1"), nope=1)


async def test_a_problem_arrives_as_it_was_raised(remote, shop, order):
    """Fault, words and waiting time; never the reason kept for the log."""
    shop.fault = Fault.CONFLICT
    with pytest.raises(Problem) as caught:
        await remote.place(order("1"))
    problem = caught.value
    assert (problem.fault, problem.say, problem.retry_after_s) == (Fault.CONFLICT, "No.", 7)
    assert problem.because == ""


async def test_a_bug_is_internal_and_says_nothing(http):
    """500, ambiguous, without a word of the exception."""
    response = await http.get("/broken")
    assert (response.status_code, code(response)) == (500, "internal")
    assert "hunter2" not in response.text
    assert response.json()["retry"] == "ask_first"


async def test_who_calls_travels(remote):
    """The tier is the caller, the principal behind it the actor; ids and deadline go along."""
    behind = Principal("acme", frozenset(), "gateway", "key-7")
    with travel.using(travel.begin(correlation_id="c-9", deadline_s=3, principal=behind)):
        subject, issuer, actor, correlation, left_s = await remote.who()
    assert (subject, issuer, actor, correlation) == ("process", "process", "key-7", "c-9")
    assert 0 < float(left_s) <= 3
    assert (await remote.who())[2] == ""


async def test_401_without_proof(url):
    """No header, or one nobody signed."""
    async with httpx.AsyncClient(base_url=f"{url}/shop") as client:
        for headers in ({}, {identity.HEADER: "forged"}):
            response = await client.get("/orders", headers=headers)
            assert (response.status_code, code(response)) == (401, "unauthenticated")


async def test_403_without_the_scope(http):
    """It names the scope that is missing."""
    response = await http.get("/admin")
    assert (response.status_code, code(response)) == (403, "forbidden")
    assert "shop:admin" in response.json()["detail"]


async def test_404_405_and_415(http):
    """Unknown address, wrong method with Allow, wrong content type."""
    response = await http.get("/nowhere")
    assert (response.status_code, code(response)) == (404, "not_found")
    response = await http.put("/orders")
    assert (response.status_code, code(response)) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))
    response = await http.post("/orders", content=b"x", headers={"content-type": "text/plain"})
    assert (response.status_code, code(response)) == (415, "unsupported_media_type")


async def test_413_before_the_body_is_read_to_its_end(http):
    """By the operation's own limit, with and without Content-Length."""
    json = {"content-type": "application/json"}
    fits = await http.post("/orders/raw", content=b"1" * 900, headers=json)
    assert fits.text == "900"
    response = await http.post("/orders/raw", content=b"1" * 2000, headers=json)
    assert (response.status_code, code(response)) == (413, "too_large")

    async def chunks():
        for _ in range(20):
            yield b"1" * 100

    response = await http.post("/orders/raw", content=chunks(), headers=json)
    assert (response.status_code, code(response)) == (413, "too_large")


async def test_400_for_what_is_no_json(http):
    """Malformed, empty."""
    for body in (b"{", b"", b"\xff"):
        response = await http.post("/orders", content=body)
        assert (response.status_code, code(response)) == (400, "malformed")


async def test_422_names_every_wrong_field(http):
    """Body by JSON pointer, query by ?name; text is no number in JSON, but is in a query."""
    response = await http.post("/orders", json={"id": 7, "lines": [{"minutes": "30"}], "x": 1})
    assert (response.status_code, code(response)) == (422, "invalid")
    assert {error["pointer"] for error in response.json()["errors"]} == {
        "/id", "/lines/0/minutes", "/x",
    }  # fmt: skip
    response = await http.get("/orders?limit=many&since=soon&order=asc")
    assert (response.status_code, code(response)) == (422, "invalid")
    assert {error["pointer"] for error in response.json()["errors"]} == {
        "?limit", "?since", "?order",
    }  # fmt: skip


async def test_504_when_the_operation_takes_too_long(http):
    """Its own deadline, or the caller's shorter one."""
    response = await http.get("/slow")
    assert (response.status_code, code(response)) == (504, "deadline_exceeded")
    began = asyncio.get_running_loop().time()
    await http.get("/slow", headers={"firmwire-deadline-ms": "10"})
    assert asyncio.get_running_loop().time() - began < 0.09


async def test_the_same_key_is_answered_once(http, shop):
    """Same request: same answer. Other request: 422. Other caller: another key."""
    key = {"idempotency-key": "k-1"}
    first = await http.post("/orders", json={"id": "1"}, headers=key)
    again = await http.post("/orders", json={"id": "1"}, headers=key)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert shop.placed == 1
    other = await http.post("/orders", json={"id": "2"}, headers=key)
    assert (other.status_code, code(other)) == (422, "key_reused")


async def test_ids_are_kept_or_made(http):
    """Every answer says its request id, also a 404."""
    kept = await http.get("/orders", headers={"firmwire-request-id": "mine-1"})
    assert kept.headers["firmwire-request-id"] == "mine-1"
    assert (await http.get("/nowhere")).headers["firmwire-request-id"]


async def test_health_ready_and_metrics_need_no_identity(url):
    """What supervisors and scrapers ask."""
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/health")).json() == {"status": "up"}
        assert (await client.get("/ready")).json() == {"status": "up", "checks": {}}
        metrics = await client.get("/metrics")
        assert "firmwire_http_requests_total{" in metrics.text


async def test_not_ready_is_503_and_says_which(verifier):
    """A check that raises is down, and only it."""

    async def fine():
        pass

    async def broken():
        raise OSError("db is gone")

    made = service("x", handlers=[], verifier=verifier, ready={"a": fine, "b": broken})
    async with server.serving(made) as base, httpx.AsyncClient(base_url=base) as client:
        response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "down", "checks": {"a": "up", "b": "down"}}


async def test_own_handlers_are_closed_until_they_say_who_may(verifier, bearer):
    """Forgetting the scope locks a route; it does not open it."""

    @get("/own")
    async def forgot() -> str:
        return "x"

    @get("/open", opt={"public": True})
    async def public() -> str:
        return "x"

    made = service("x", handlers=[forgot, public], verifier=verifier)
    async with server.serving(made) as base, httpx.AsyncClient(base_url=base) as client:
        assert (await client.get("/own", headers=bearer)).status_code == 403
        assert (await client.get("/own")).status_code == 401
        assert (await client.get("/open")).text == "x"


async def test_the_lifespan_surrounds_the_service(verifier):
    """Entered before the first request, left after the last."""
    story = []

    @asynccontextmanager
    async def life(_app):
        story.append("begin")
        yield
        story.append("end")

    async with (
        server.serving(service("x", handlers=[], verifier=verifier, lifespan=[life])) as base,
        httpx.AsyncClient(base_url=base) as client,
    ):
        story.append((await client.get("/health")).status_code)
    assert story == ["begin", 200, "end"]


async def test_a_service_that_cannot_start_says_so(verifier):
    """It does not hang."""

    @asynccontextmanager
    async def life(_app):
        raise RuntimeError("no database")
        yield

    made = service("x", handlers=[], verifier=verifier, lifespan=[life])
    with pytest.raises(server.NotStarted):
        async with server.serving(made):
            pass


def test_a_signer_per_tier(home: Path):
    """Each speaks for itself."""
    assert Signer.of(home, "gateway").issuer == "gateway"


MAIN = """
import asyncio, sys
from pathlib import Path
from litestar import get
from chassis import identity, log, server
from chassis.service import service
log.configure("drain")
@get("/work", opt={"public": True})
async def work() -> str:
    print("working", flush=True)
    await asyncio.sleep(0.5)
    return "done"
verifier = identity.Verifier(identity.jwks_file(Path(sys.argv[1])))
server.run(service("drain", handlers=[work], verifier=verifier), port=int(sys.argv[2]))
"""


async def test_term_drains_and_ends_clean(home, tmp_path, unused_port):
    """A request under way is answered; the exit code is 0."""
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, str(main), str(home), str(unused_port)],
        cwd=root, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_port}") as client:
            await _up(client)
            answer = asyncio.create_task(client.get("/work"))
            await asyncio.to_thread(_read_until, process, "working")
            process.send_signal(signal.SIGTERM)
            assert (await answer).text == "done"
        assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _up(client):
    until = asyncio.get_running_loop().time() + 15
    while True:
        try:
            await client.get("/health")
            return
        except httpx.ConnectError:
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.05)


def _read_until(process, word):
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"it never said {word}")


@pytest.mark.parametrize("limit", ["0", "-1", "5001", "9" * 30])
async def test_a_page_of_an_impossible_size_is_refused(http, shop, limit):
    """Not clamped in silence: the caller hears which field is wrong, and nothing is asked."""
    response = await http.get(f"/orders?limit={limit}")
    assert (response.status_code, code(response)) == (422, "invalid")
    assert [error["pointer"] for error in response.json()["errors"]] == ["?limit"]
    assert shop.seen == []
