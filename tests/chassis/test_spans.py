"""A call through two services is one trace, told in OpenTelemetry's words; off, nothing is made."""

import io
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from chassis import call, log, serve, server, spans, trace, travel
from chassis.outbound import INSIDE, Outbound
from chassis.service import service
from contracts.problem import Problem

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PARTNER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def recorded():
    """What was recorded, in the order it ended."""
    memory = InMemorySpanExporter()
    spans.switch_on("test", SimpleSpanProcessor(memory))
    yield memory.get_finished_spans
    spans.switch_off()


@pytest.fixture
async def front(orders, shop, verifier, signer):
    """A service that asks the shop behind it; both on sockets."""
    behind = service("shop", handlers=serve.routes(orders, shop, prefix="/shop"), verifier=verifier)

    class Front(type(shop)):
        async def order(self, id):
            return await remote.order(id)

        async def broken(self):
            return await remote.broken()

    async with server.serving(behind) as behind_url:
        remote = call.client(orders, behind_url, signer=signer, prefix="/shop")
        handlers = serve.routes(orders, Front(), prefix="/front")
        async with server.serving(service("front", handlers=handlers, verifier=verifier)) as url:
            yield url
        await call.close(remote)


def shape(span):
    return span.kind.name, span.name


def hexed(number, digits):
    return format(number, f"0{digits}x")


async def test_two_services_one_trace(front, recorded, bearer):
    """Partner -> SERVER -> CLIENT -> SERVER, each below the one before."""
    async with httpx.AsyncClient(base_url=front, headers=bearer) as http:
        reply = await http.get("/front/orders/7", headers={"traceparent": PARTNER})
    assert reply.status_code == 200
    last, between, first = recorded()
    assert [shape(span) for span in (first, between, last)] == [
        ("SERVER", "GET /front/orders/{id}"),
        ("CLIENT", "GET /orders/{id}"),
        ("SERVER", "GET /shop/orders/{id}"),
    ]
    assert {hexed(s.context.trace_id, 32) for s in recorded()} == {PARTNER[3:35]}
    assert hexed(first.parent.span_id, 16) == PARTNER[36:52]
    assert between.parent.span_id == first.context.span_id
    assert last.parent.span_id == between.context.span_id


async def test_attributes_are_the_conventions(front, recorded, bearer):
    """Those OpenTelemetry requires of HTTP; no query."""
    async with httpx.AsyncClient(base_url=front, headers=bearer) as http:
        await http.get("/front/orders/7")
    last, between, _ = recorded()
    port = httpx.URL(between.attributes["url.full"]).port
    assert dict(last.attributes) == {
        "http.request.method": "GET", "http.route": "/shop/orders/{id}",
        "http.response.status_code": 200, "url.path": "/shop/orders/7", "url.scheme": "http",
        "server.address": "127.0.0.1", "firmwire.operation": "orders.order",
    }  # fmt: skip
    assert dict(between.attributes) == {
        "http.request.method": "GET", "url.template": "/orders/{id}", "server.port": port,
        "http.response.status_code": 200, "server.address": "127.0.0.1",
        "url.full": f"http://127.0.0.1:{port}/shop/orders/7", "firmwire.peer": "orders.shop",
    }  # fmt: skip


async def test_an_error_is_one(front, recorded, bearer):
    """500 is one on both sides; what our caller did wrong is none of ours."""
    async with httpx.AsyncClient(base_url=front, headers=bearer) as http:
        await http.get("/front/broken")
        await http.get("/front/orders?nonsense=1")
    states = [(*shape(s), s.status.status_code.name, s.attributes.get("error.type"))
              for s in recorded()]  # fmt: skip
    assert ("SERVER", "GET /shop/broken", "ERROR", "500") in states
    assert ("CLIENT", "GET /broken", "ERROR", "500") in states
    assert ("SERVER", "GET /front/orders", "UNSET", None) in states


async def test_every_attempt_is_a_span(peer, said, recorded):
    """A second attempt says that it is one; the peer hears of each span by itself."""
    peer.answers = [said(503), said(200, b"1")]
    outbound = Outbound(peer.url, peer="shop", words=INSIDE)
    with travel.using(travel.begin()) as now:
        await outbound.send("GET", "/thing", query={"name": "somebody"})
    await outbound.aclose()
    first, second = recorded()
    assert [s.attributes["http.response.status_code"] for s in (first, second)] == [503, 200]
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["url.full"] == f"{peer.url}/thing"
    assert {hexed(s.context.trace_id, 32) for s in (first, second)} == {now.trace.trace_id}
    assert first.parent is None
    heard = [hexed(s.context.span_id, 16).encode() in told
             for s, told in zip((first, second), peer.requests, strict=True)]  # fmt: skip
    assert heard == [True, True]


async def test_no_answer_is_an_error(unused_port, recorded):
    """Named by our fault, a small set of words."""
    outbound = Outbound(f"http://127.0.0.1:{unused_port}", peer="shop", deadline_s=0.05)
    with pytest.raises(Problem) as caught:
        await outbound.send("POST", "/thing")
    await outbound.aclose()
    assert {s.attributes["error.type"] for s in recorded()} == {caught.value.fault.code}


async def test_a_vendor_hears_no_trace(peer, recorded):
    """Our trace ids are nobody's business outside."""
    outbound = Outbound(peer.url, peer="vendor")
    await outbound.send("GET", "/thing")
    await outbound.aclose()
    assert len(recorded()) == 1
    assert b"traceparent" not in peer.requests[0].lower()


async def test_a_log_line_has_the_spans_trace(front, recorded, bearer):
    """With no caller's trace too: from a line to its trace and back."""
    lines = io.StringIO()
    log.configure("test", stream=lines)
    async with httpx.AsyncClient(base_url=front, headers=bearer) as http:
        await http.get("/front/orders/7")
        await http.get("/health")
    answered = [json.loads(line) for line in lines.getvalue().splitlines()]
    logged = {line["trace_id"] for line in answered if line["event"] == "request.answered"}
    assert {hexed(s.context.trace_id, 32) for s in recorded()} == logged
    assert recorded()[-1].parent is None
    assert len(recorded()) == 3  # none of /health


async def test_what_is_not_sampled_is_not_recorded(front, recorded, bearer):
    """The caller's flag holds through both services."""
    async with httpx.AsyncClient(base_url=front, headers=bearer) as http:
        await http.get("/front/orders/7", headers={"traceparent": PARTNER[:-1] + "0"})
    assert recorded() == ()


def test_off_nothing_is_made():
    """One shared context that does nothing."""
    assert not spans.recording()
    one = spans.serving("GET", trace.begin(), {})
    assert one is spans.calling("GET", "", None, {})
    with one as span:
        assert span is None


def test_off_opentelemetry_is_not_even_imported():
    """A process without the extra starts and serves; with it, it costs no start time."""
    seen = "import chassis.call, chassis.service, sys; print('opentelemetry.sdk' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "False"


def test_a_collector_gets_them(monkeypatch):
    """FIRMWIRE_TRACE_ENDPOINT and _HEADERS: OTLP over HTTP arrives, key and all."""
    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, self.headers["api-key"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        thread = Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        monkeypatch.setenv("FIRMWIRE_TRACE_ENDPOINT", url)
        monkeypatch.setenv("FIRMWIRE_TRACE_HEADERS", '{"api-key": "k-123"}')
        spans.configure("process")
        with spans.serving("GET", trace.begin(), {"url.path": "/somewhere"}):
            pass
        spans.switch_off()
        collector.shutdown()
        thread.join(timeout=5)
    ((path, key, body),) = got
    assert (path, key) == ("/v1/traces", "k-123")
    assert b"/somewhere" in body
    assert b"process" in body
