"""What the platform says to what it should never be sent, through the gateway and around it."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contracts.ports.process.time_entries import event_data_example

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]

BATCH = "/process/v1/time-entries"
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|sqlite|sqlalchemy|psycopg|msgspec|litestar|/home/|0x[0-9a-f]{6}"
)
JSON = {"content-type": "application/json"}


def event(number: int, **data: Any) -> dict[str, Any]:
    more = {"ref": {"system": "kantata", "id": f"bad-{number}"}} | data
    return {
        "specversion": "1.0", "id": f"time_entry:bad-{number}:1", "source": "/acme/kantata",
        "type": "firmwire.time_entry.approved.v1", "subject": f"kantata:bad-{number}",
        "time": "2026-05-04T09:00:00Z", "data": event_data_example() | more,
    }  # fmt: skip


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A problem document of the stable form, with nothing of our insides in it."""
    assert reply.status_code == status, reply.text[:500]
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert (body["type"], body["status"]) == (f"urn:firmwire:problem:{code}", status)
    assert body["title"]
    assert LEAKS.search(reply.text) is None, reply.text
    return body


@pytest.mark.parametrize("body", [b"{", b"", b"[1,", b"\xff\xfe", b"nonsense", b"[" * 5_000])
def test_what_is_not_json(partner: httpx.Client, body: bytes) -> None:
    """Malformed, whatever it is, and nothing is kept of it."""
    refused(partner.post(BATCH, content=body, headers=JSON), 400, "malformed")


def test_a_batch_that_is_no_list(partner: httpx.Client) -> None:
    """One event is not a batch."""
    refused(partner.post(BATCH, json=event(1)), 400, "malformed")


@pytest.mark.parametrize("count", [0, 5_001])
def test_too_few_and_too_many(partner: httpx.Client, count: int) -> None:
    """1 to 5,000 items; all or nothing is taken beyond that."""
    body = refused(partner.post(BATCH, json=[event(n) for n in range(count)]), 422, "invalid")
    assert "1 to 5000" in body["detail"]


def test_good_items_go_in_and_bad_ones_are_listed(partner: httpx.Client) -> None:
    """By index, with the field and what to do; the good are durable and can be read at once."""
    wrong_type = event(3, minutes="sixty")
    missing = event(4)
    del missing["data"]["work_date"]
    items = [event(2), wrong_type, missing, 7, {**event(5), "type": "firmwire.other.v1"}, event(6)]
    reply = partner.post(BATCH, json=items)
    assert reply.status_code == 202
    result = reply.json()
    assert (result["accepted"], result["duplicates"]) == (2, 0)
    assert [one["index"] for one in result["refused"]] == [1, 2, 3, 4]
    assert result["refused"][0]["pointer"] == "/1/data/minutes"
    assert LEAKS.search(reply.text) is None
    assert partner.get(f"{BATCH}/kantata:bad-6").status_code in (200, 404)
    again = partner.post(BATCH, json=[event(2), event(6)]).json()
    assert (again["accepted"], again["duplicates"]) == (0, 2)


def test_wrong_types_and_unknown_fields_are_all_named(partner: httpx.Client) -> None:
    """Every wrong field at once, by pointer."""
    body = {"cutoff": "yesterday", "invoice_date": 5, "no_such_field": 1}
    reply = partner.post("/process/v1/billing-runs", json=body)
    errors = refused(reply, 422, "invalid")["errors"]
    assert {"/cutoff", "/invoice_date", "/no_such_field"} <= {error["pointer"] for error in errors}


def test_ten_megabytes(partner: httpx.Client) -> None:
    """Refused before it is read, and the next request is answered."""
    try:
        reply = partner.post(BATCH, content=b" " * 10_000_000, headers=JSON)
    except httpx.WriteError:
        pytest.fail("the answer must be readable although the body was not read")
    refused(reply, 413, "too_large")
    assert partner.get(f"{BATCH}/progress").status_code == 200


def test_keys_that_do_not_open(firm: Any, key: str) -> None:
    """Missing, wrong, malformed and revoked cannot be told from each other."""
    made = firm.key("process:time:read")
    path = f"{BATCH}/progress"
    with firm.client(made.secret) as client:
        _until(lambda: client.get(path).status_code == 200)
        firm.revoke(made.key.id)
        _until(lambda: client.get(path).status_code == 401)
        replies = [client.get(path)]
    wrong = key[:-8] + ("A" * 8 if key[-8:] != "A" * 8 else "B" * 8)
    for given in ("", wrong, "nonsense", "fw_live_"):
        with firm.client(given) as client:
            replies.append(client.get(path))
    bodies = [refused(reply, 401, "unauthenticated") for reply in replies]
    for body in bodies:
        body.pop("instance", None)
    assert all(body == bodies[0] for body in bodies)
    challenges = {tuple(r.headers.get_list("www-authenticate")) for r in replies}
    assert len(challenges) == 1


def test_a_key_without_the_scope(firm: Any) -> None:
    """Known, but not allowed."""
    with firm.client(firm.key("process:time:read").secret) as client:
        _until(lambda: client.get(f"{BATCH}/progress").status_code == 200)
        refused(client.post(BATCH, json=[event(9)]), 403, "forbidden")
        refused(client.get("/process/v1/invoices"), 403, "forbidden")
        refused(client.get("/system/v1/kantata/psa/quota"), 403, "forbidden")


@pytest.mark.parametrize("path", ["/nowhere", "/process/v1/nowhere", "/process/v2/time-entries"])
def test_addresses_that_are_not_there(partner: httpx.Client, path: str) -> None:
    """Not found, at the gateway or behind it, in one form."""
    refused(partner.get(path), 404, "not_found")


def test_a_method_that_does_not_fit(partner: httpx.Client) -> None:
    """The reply says which would."""
    reply = partner.delete(BATCH)
    refused(reply, 405, "method_not_allowed")
    assert "POST" in reply.headers["allow"]


def test_a_content_type_that_is_not_understood(partner: httpx.Client) -> None:
    """JSON is what is spoken here."""
    reply = partner.post(BATCH, content=b"<a/>", headers={"content-type": "application/xml"})
    refused(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("tier", "path"),
    [
        ("process", f"{BATCH}/progress"),
        ("experience", "/experience/v1/operations"),
        ("system", "/system/v1/kantata/psa/quota"),
    ],
)
def test_around_the_gateway_nobody_is_known(firm: Any, key: str, tier: str, path: str) -> None:
    """Called directly: 401, without anything, with a partner's key, with a forged identity."""
    url = f"http://127.0.0.1:{getattr(firm.platform.ports, tier)}{path}"
    for headers in (
        {},
        {"authorization": f"Bearer {key}"},
        {"firmwire-identity": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."},
    ):
        refused(httpx.get(url, headers=headers, timeout=10), 401, "unauthenticated")


def test_a_forged_identity_is_taken_off(firm: Any, partner: httpx.Client) -> None:
    """What a caller says of itself does not reach the tiers: no good and no harm comes of it."""
    forged = {"firmwire-identity": "forged", "Firmwire_Identity": "forged"}
    assert partner.get(f"{BATCH}/progress", headers=forged).status_code == 200
    with firm.client() as client:
        refused(client.get(f"{BATCH}/progress", headers=forged), 401, "unauthenticated")


def test_the_same_key_is_the_same_answer(partner: httpx.Client) -> None:
    """Replayed byte for byte; another body under the same key is refused."""
    headers = {"idempotency-key": "bad-input-1"}
    first = partner.post(BATCH, json=[event(20)], headers=headers)
    again = partner.post(BATCH, json=[event(20)], headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.json()["accepted"] == 1
    refused(partner.post(BATCH, json=[event(21)], headers=headers), 422, "key_reused")


@pytest.mark.parametrize("path", [BATCH, "/process/v1/exceptions", "/process/v1/invoices"])
def test_cursors_and_limits_that_make_no_sense(partner: httpx.Client, path: str) -> None:
    """Refused or harmless, never an error of ours."""
    for query in ("cursor=%00", "cursor=nobody-gave-this", "limit=-1", "limit=0", "limit=9" * 3):
        reply = partner.get(f"{path}?{query}")
        assert reply.status_code < 500, (query, reply.text)
        assert LEAKS.search(reply.text) is None
        if reply.status_code == 200:
            assert len(reply.json()["items"]) <= 1_000
    refused(partner.get(f"{path}?limit=many"), 422, "invalid")
    refused(partner.get(f"{path}?no_such_filter=1"), 422, "invalid")


def _until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)
