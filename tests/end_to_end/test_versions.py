"""A partner of the first version talks to today's platform, and does not notice."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chassis import versions
from contracts.change import FIRST

BATCH = "/process/v1/time-entries"
BAD = [{"id": "1", "source": "/test", "type": "firmwire.time_entry.approved.v1", "data": 7}]


@pytest.fixture
def old(firm: Any) -> Iterator[httpx.Client]:
    headers = {"x-api-key": firm.key().secret, "firmwire-version": FIRST}
    with httpx.Client(base_url=firm.platform.gateway_url, headers=headers, timeout=20) as client:
        yield client


def test_refusals_feeds_and_waivers_as_they_were(old: httpx.Client) -> None:
    """Both ways: a reply walked down, and a request walked up to where the tier understands it."""
    reply = old.post(BATCH, json=BAD)
    assert (reply.status_code, reply.headers["firmwire-version"]) == (202, FIRST)
    assert [(each["index"], each["field"]) for each in reply.json()["refused"]] == [(0, "data")]
    feeds = old.get("/process/v1/master-data/streams").json()
    assert all(isinstance(feed["lag_s"], float) for feed in feeds)
    waiver = {"reason": "the client agreed by letter", "expires": "2026-12-31"}
    reply = old.post("/process/v1/exceptions/nothing/waive", json=waiver)
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    wrong = old.post("/process/v1/exceptions/nothing/waive", json=waiver | {"expires": "soon"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/expires")


def test_the_same_at_head(old: httpx.Client) -> None:
    """A header moves a call to today's shapes; the documents of both are at the door."""
    now = {"firmwire-version": versions.head()}
    refused = old.post(BATCH, json=BAD, headers=now).json()["refused"]
    assert [each["pointer"] for each in refused] == ["/0/data"]
    waiver = {"reason": "the client agreed by letter", "expires": "2026-12-31"}
    reply = old.post("/process/v1/exceptions/nothing/waive", json=waiver, headers=now)
    assert reply.status_code == 422
    told = httpx.get(f"{old.base_url}/openapi").json()
    assert [each["version"] for each in told["versions"]] == [*reversed(versions.versions())]
    for version in (FIRST, versions.head()):
        document = httpx.get(f"{old.base_url}/openapi/process/{version}.json").json()
        assert document["info"]["version"] == version
