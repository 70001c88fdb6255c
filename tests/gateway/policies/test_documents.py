"""What is published can be read by anybody, of every version, with no tier running."""

import json
from pathlib import Path

import pytest

from chassis import versions
from contracts.change import FIRST
from gateway.lifecycle import Life
from gateway.routes import document_route

ROOT = Path(__file__).parents[3]
HEAD = versions.head()


@pytest.fixture
def open_gate(gate):
    route = document_route()
    gate.route = {
        "name": route.name, "prefix": route.prefix, "policies": route.policies,
        "methods": route.methods, "public": True,
    }  # fmt: skip
    gate.publish()
    return gate


async def ask(gate, path, method="GET", **headers):
    return await gate.ask(method, path, key=None, **headers)


@pytest.mark.parametrize("version", versions.versions()[:-1])
async def test_every_old_version_has_its_frozen_document(open_gate, upstream, version):
    """To the byte what was published; for a tier it did not change, the one before."""
    for tier, file in (("process", version), ("system", FIRST)):
        reply = await ask(open_gate, f"/openapi/{tier}/{version}.json")
        there = ROOT / "openapi" / tier
        frozen = (there / f"{file}.json").read_bytes()
        if tier == "system":
            frozen = (there / "head.json").read_bytes()
        assert (reply.status, reply.body) == (200, frozen)
        assert reply.headers["content-type"] == "application/json"
    assert upstream.seen == []


async def test_the_newest_is_what_the_code_says(open_gate):
    """It may have grown since it was frozen."""
    reply = await ask(open_gate, f"/openapi/process/{HEAD}.json")
    assert reply.body == (ROOT / "openapi" / "process" / "head.json").read_bytes()
    assert reply.headers["cache-control"] == "public, max-age=300"
    old = await ask(open_gate, f"/openapi/process/{FIRST}.json")
    assert old.headers["cache-control"] == "public, max-age=86400"


async def test_a_document_is_not_sent_twice(open_gate):
    """Who has it is told so."""
    first = await ask(open_gate, f"/openapi/experience/{HEAD}.json")
    again = await ask(
        open_gate, f"/openapi/experience/{HEAD}.json", If_None_Match=first.headers["etag"]
    )
    assert (again.status, again.body) == (304, b"")
    head = await ask(open_gate, f"/openapi/experience/{HEAD}.json", "HEAD")
    assert (head.status, head.headers["etag"]) == (200, first.headers["etag"])


async def test_the_list_tells_how_versions_end(open_gate):
    """Newest first, with where each document is."""
    open_gate.more = {"versions": (Life(FIRST, 1_800_000_000, 1_900_000_000, "/moving"),)}
    open_gate.publish()
    told = json.loads((await ask(open_gate, "/openapi")).body)
    assert told["head"] == HEAD
    assert [each["version"] for each in told["versions"]] == [*reversed(versions.versions())]
    oldest = told["versions"][-1]
    assert (oldest["sunset_s"], oldest["link"]) == (1_900_000_000, "/moving")
    for each in told["versions"]:
        for path in each["documents"]:
            assert (await ask(open_gate, path)).status == 200


@pytest.mark.parametrize(
    "path",
    ["/openapi/process/2020-01-01.json", "/openapi/process/head.json", "/openapi/process",
     f"/openapi/process/{HEAD}", "/openapi/gateway/2026-11-01.json", "/openapi/published.lock",
     f"/openapi/process/{HEAD}.json/x"],
)  # fmt: skip
async def test_404_nothing_else_is_served_and_nothing_goes_on(open_gate, upstream, path):
    """No file of ours, no alias, no way through to a tier."""
    assert (await ask(open_gate, path)).status == 404
    assert upstream.seen == []


async def test_405_it_is_for_reading(open_gate):
    """Nothing is written there."""
    assert (await ask(open_gate, "/openapi", "POST")).status == 405
