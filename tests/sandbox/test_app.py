"""The sandbox over a real socket: faults, counters, truth, restart. Its vendor is a notebook."""

import socket
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox import serve
from sandbox.app import Sandbox
from system_apis.simulator import Simulator


def notebook(kit):
    async def write(request):
        note = kit.store.put("note", str(kit.store.next_id("note")), await request.json())
        return JSONResponse(note, 201)

    async def search(request):
        return JSONResponse(kit.store.list("note"))

    async def read(request):
        return JSONResponse(kit.store.get("note", request.path_params["id"]))

    return Starlette(
        routes=[
            Route("/notes", write, methods=["POST"]),
            Route("/notes", search),
            Route("/notes/{id}", read),
        ]
    )


@pytest.fixture
def start(tmp_path, monkeypatch):
    def create(home, *, seed=7, vendors=None):
        return Sandbox(home, [Simulator(vendor="notebook", open=notebook)], seed)

    monkeypatch.setattr(serve, "create", create)
    return lambda: serve.running(tmp_path)


@pytest.fixture
def client(start):
    with start() as up, httpx.Client(base_url=up.url, timeout=5) as client:
        yield client


def write(client, fault=None, text="x", **more):
    headers = {"Sandbox-Fault": fault} if fault else {}
    return client.post("/notebook/notes", json={"text": text}, headers=headers, **more)


def notes(client):
    return client.get("/_sandbox/notebook/documents/note").json()["total"]


def test_what_was_written_survives_a_restart(start):
    """A second server over the same home finds the documents."""
    with start() as up:
        write(httpx.Client(base_url=up.url))
    with start() as up:
        assert httpx.get(f"{up.url}/notebook/notes/1").json()["text"] == "x"


@pytest.mark.parametrize(
    ("fault", "done", "error"),
    [
        ("cut_line", 0, (httpx.RemoteProtocolError, httpx.ReadError)),
        ("timeout_before;hang_s=0.05", 0, (httpx.RemoteProtocolError, httpx.ReadError)),
        ("timeout_after_commit;hang_s=0.05", 1, (httpx.RemoteProtocolError, httpx.ReadError)),
        ("timeout_after_commit;hang_s=9", 1, httpx.ReadTimeout),
    ],
)
def test_a_cut_line_answers_nothing_and_the_work_is_done_or_not(client, fault, done, error):
    """Not one byte of an answer reaches the caller; only *_after_commit has done the work."""
    with pytest.raises(error):
        write(client, fault, timeout=0.5)
    assert notes(client) == done


def test_a_cut_line_carries_no_byte(client):
    """The raw socket reads nothing: not even a status line."""
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=5) as line:
        line.sendall(b"GET /notebook/notes HTTP/1.1\r\nhost: x\r\nsandbox-fault: cut_line\r\n\r\n")
        try:
            heard = line.recv(100)
        except ConnectionResetError:
            heard = b""
    assert heard == b""


def test_an_error_after_commit_has_done_the_work(client):
    """5xx and yet the note is there."""
    assert write(client, "error_after_commit;status=502").status_code == 502
    assert notes(client) == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [("rate_limited", 429), ("server_error;status=500", 500), ("maintenance", 503)],
)
def test_a_refusal_does_nothing(client, fault, status):
    """The vendor's no has no effect."""
    assert write(client, fault).status_code == status
    assert notes(client) == 0


def test_a_late_commit_is_invisible_first_and_there_later(client):
    """The line is cut at once; the write shows up after its delay."""
    with pytest.raises(httpx.TransportError):
        write(client, "late_commit;delay_s=0.3")
    assert notes(client) == 0
    until = time.monotonic() + 5
    while notes(client) == 0 and time.monotonic() < until:
        time.sleep(0.02)
    assert notes(client) == 1


def test_a_late_commit_is_done_at_the_latest_when_the_sandbox_stops(start):
    """A stop loses nothing that a vendor would have kept."""
    with start() as up, pytest.raises(httpx.TransportError):
        write(httpx.Client(base_url=up.url), "late_commit;delay_s=60")
    with start() as up:
        assert notes(httpx.Client(base_url=up.url)) == 1


def test_a_stale_search_misses_the_young_but_a_read_by_id_does_not(client):
    """Search lags; get does not."""
    write(client)
    stale = {"Sandbox-Fault": "stale_search;lag_s=60"}
    assert client.get("/notebook/notes", headers=stale).json() == []
    assert client.get("/notebook/notes/1", headers=stale).json()["text"] == "x"
    assert len(client.get("/notebook/notes").json()) == 1


def test_latency_is_slow_and_right(client):
    """Late, but done."""
    began = time.monotonic()
    assert write(client, "latency;ms=120").status_code == 201
    assert time.monotonic() - began >= 0.12


def test_a_schedule_strikes_by_rule_and_says_how_often(client):
    """every_nth, count, skip, method and prefix; an empty schedule ends it."""
    rules = [
        {"match": {"method": "POST"}, "fault": "rate_limited", "every_nth": 3},
        {"match": {"path_prefix": "/notes/"}, "fault": "maintenance", "count": 1, "skip": 1},
    ]
    assert client.put("/_sandbox/notebook/faults", json=rules).status_code == 200
    assert [write(client).status_code for _ in range(4)] == [429, 201, 201, 429]
    reads = [client.get("/notebook/notes/1").status_code for _ in range(3)]
    assert reads == [200, 503, 200]
    now = client.get("/_sandbox/notebook/faults").json()
    assert [(rule["matched"], rule["struck"]) for rule in now] == [(4, 2), (3, 1)]
    client.put("/_sandbox/notebook/faults", json=[])
    assert write(client).status_code == 201


def test_an_unknown_fault_is_refused_by_name(client):
    """A typo never passes for good weather."""
    assert write(client, "rate_limted").status_code == 400
    rule = [{"fault": "late_comit"}]
    assert client.put("/_sandbox/notebook/faults", json=rule).status_code == 400
    assert client.get("/_sandbox/nobody/faults").status_code == 404


def test_calls_are_counted_by_template_and_outcome(client):
    """A test can ask how many writes arrived, also those that were never answered."""
    write(client)
    with pytest.raises(httpx.TransportError):
        write(client, "timeout_after_commit;hang_s=0")
    with pytest.raises(httpx.TransportError):
        write(client, "cut_line")
    client.get("/notebook/notes/1")
    client.get("/notebook/notes/2")
    assert client.get("/_sandbox/notebook/calls").json() == [
        {"method": "GET", "path": "/notes/{id}", "calls": 2, "outcomes": {"200": 2}},
        {"method": "POST", "path": "/notes", "calls": 3, "outcomes": {"201": 2, "cut_line": 1}},
    ]


def test_documents_can_be_put_through_the_door(client):
    """What a test seeds by HTTP a simulator reads, with the past it was given."""
    row = {"id": "5", "doc": {"text": "old"}, "updated_at": "2020-01-01T00:00:00.000000+00:00"}
    client.post("/_sandbox/notebook/documents/note", json=[row])
    found = client.get("/notebook/notes/5").json()
    assert (found["text"], found["_updated_at"]) == ("old", row["updated_at"])
    assert write(client).json()["_id"] == "6"
