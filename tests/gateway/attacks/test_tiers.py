"""Cases 23, 29 and 30: bodies that mean two things, through the gateway, to a real process tier."""

import asyncio
import gzip
import re

import msgspec
import pytest

from chassis import identity
from chassis.database import Database, url_of
from chassis.identity import Signer, Verifier
from chassis.server import serving
from contracts.ports.process.time_entries import event_data_example
from gateway.snapshot import Plan
from process_apis import app
from process_apis.settings import ProcessSettings

BATCH = "/process/v1/time-entries"
LEAKS = re.compile(rb"Traceback|\.py\b|sqlite|sqlalchemy|msgspec|litestar|0x[0-9a-f]{6}")
JSON = {"Content_Type": "application/json"}


def event(number, **data):
    more = {"ref": {"system": "kantata", "id": f"case-{number}"}, **data}
    return {
        "specversion": "1.0", "id": f"time_entry:case-{number}:1", "source": "/acme/kantata",
        "type": "firmwire.time_entry.approved.v1", "subject": f"kantata:case-{number}",
        "time": "2026-05-04T09:00:00Z", "data": event_data_example() | more,
    }  # fmt: skip


def batch(*numbers, **data):
    return msgspec.json.encode([event(number, **data) for number in numbers])


@pytest.fixture
async def tier(gate, tmp_path):
    """The gate before a process tier with an empty database."""
    identity.ensure(tmp_path)
    verifier, signer = Verifier(identity.jwks_file(tmp_path)), Signer.of(tmp_path, "process")
    database = Database(url_of(tmp_path, "process"), name="process", durable=False)
    database.migrate("process_apis.migrations")
    served = app.create(
        ProcessSettings(sources=(), idle_s=0.1), verifier, signer, database, tmp_path
    )
    async with serving(served) as url:
        gate.urls = (url,)
        gate.plan = Plan(name="gold", scopes=("process:*",))
        gate.route = {"prefix": "/process/v1", "policies": {
            "authenticate": {}, "authorise": {"scope": "process"}, "size_limit": {}}}  # fmt: skip
        gate.key_rows = (gate.row(gate.key, scopes=()),)
        gate.publish()
        yield gate


async def post(gate, body, **more):
    return await gate.ask("POST", BATCH, body, **{**JSON, **more})


def refused(answered, *statuses):
    assert answered.status in statuses, (answered.status, answered.body[:300])
    assert answered.headers["content-type"].partition(";")[0] == "application/problem+json"
    assert LEAKS.search(answered.body) is None, answered.body


async def test_case_23_json_that_is_a_weapon_is_a_problem_document(tier):
    """Depth, a million keys, doubled keys, numbers beyond reason, no UTF-8: 4xx; life goes on."""
    deep, wide = b"[" * 100_000, b'{"a":{%b}}' % b",".join(b'"k%d":1' % n for n in range(60_000))
    one = batch(1)
    doubled = one.replace(b'"minutes":', b'"minutes":1,"minutes":', 1)
    weapons = {
        "deep": deep, "deep closed": b"[" * 5_000 + b"]" * 5_000, "deep objects": b'{"a":' * 50_000,
        "many keys": wide, "no utf-8": b'[{"specversion":"\xff\xfe"}]',
        "utf-16": "[]".encode("utf-16"),
        "NUL": b"[]\x00", "two values": b"[][]", "NaN": b"[NaN]", "Infinity": b"[1e999999]",
        "big number": b"[" + b"9" * 100_000 + b"]", "comment": b"[/**/]",
        "lone surrogate": b'["\\ud800"]',
        "BOM": b"\xef\xbb\xbf[]", "empty": b"", "text": b"nonsense",
    }  # fmt: skip
    for name, body in weapons.items():
        answered = await post(tier, body)
        if answered.status == 202:  # a batch whose only item is wrong says so by its index
            told = msgspec.json.decode(answered.body)
            assert (told["accepted"], len(told["refused"])) == (0, 1), name
        else:
            assert answered.status in (400, 413, 422), name
            refused(answered, 400, 413, 422)
    answered = await post(tier, doubled)
    assert answered.status < 500
    assert (await post(tier, batch(2))).status == 202
    assert (await tier.ask("GET", f"{BATCH}/progress")).status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x"])
async def test_case_23_a_bomb_is_not_opened(tier, coding):
    """Nobody asked for compressed bodies: they are not understood, however small they look."""
    bomb = gzip.compress(b" " * 20_000_000)
    refused(await post(tier, bomb, Content_Encoding=coding), 400, 413, 415, 422)


async def test_case_23_many_parts_are_no_batch(tier):
    """A form of 10^5 parts costs its bytes and no more."""
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = part * 30_000 + b"--x--\r\n"
    answered = await post(tier, body, Content_Type="multipart/form-data; boundary=x")
    refused(answered, 400, 413, 415, 422)


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonx",
        "application/json;x", "application/json; charset=utf-16", "application/json, text/plain",
        "multipart/form-data; boundary=x", "*/*", "json", "",
    ],
)  # fmt: skip
async def test_case_29_a_body_has_one_type_or_is_read_as_json_all_the_same(tier, kind):
    """Whatever it calls itself: it is JSON by its bytes, or it is refused. Never something else."""
    answered = await post(tier, batch(1), Content_Type=kind)
    if answered.status != 202:
        refused(answered, 400, 415, 422)
    other = await post(tier, b"a=1&b=2", Content_Type=kind)
    refused(other, 400, 415, 422)


@pytest.mark.parametrize(
    "query",
    [
        "limit=1&limit=2", "limit[]=1", "limit=1,2", "limit=1;limit=2", "limit=%31&Limit=2",
        "limit=1e1", "limit=-1", "limit=9999999999999999999999", "limit=", "limit", "limit=0x10",
        "limit=1%00",
        "state=READY&state=HELD", "cursor=%ff", "unknown=1",
    ],
)  # fmt: skip
async def test_case_29_a_query_with_two_readings_is_no_accident(tier, query):
    """The same answer each time, below 500: nobody behind the gateway guesses in silence."""
    answers = [await tier.ask("GET", f"{BATCH}?{query}") for _ in range(2)]
    assert answers[0].status == answers[1].status < 500
    if answers[0].status != 200:
        refused(answers[0], 400, 422)


async def test_case_30_a_key_is_one_callers_and_one_requests(tier):
    """Another consumer's same key is another; another body under it is refused."""
    other = tier.add_consumer("other")
    tier.key_rows = (tier.key_rows[0], tier.row(other, consumer="other", scopes=()))
    tier.publish()
    first = await post(tier, batch(1), Idempotency_Key="k-1")
    assert (first.status, msgspec.json.decode(first.body)["accepted"]) == (202, 1)
    assert (await post(tier, batch(1), Idempotency_Key="k-1")).body == first.body
    stranger = await post(tier, batch(2), Idempotency_Key="k-1", key=other)
    assert (stranger.status, msgspec.json.decode(stranger.body)["accepted"]) == (202, 1)
    reused = await post(tier, batch(3), Idempotency_Key="k-1")
    refused(reused, 422)
    assert reused.problem == "key_reused"
    twice = tier.request("POST", BATCH, batch(4), Idempotency_Key="k-2").replace(
        b"Idempotency-Key: k-2\r\n", b"Idempotency-Key: k-2\r\nIdempotency-Key: k-3\r\n"
    )
    assert (await tier.raw(twice)).startswith(b"HTTP/1.1 400 ")
    for wrong in ("k" * 201, "k 1"):
        refused(await post(tier, batch(5), Idempotency_Key=wrong), 400, 422)


async def test_case_30_many_at_once_are_done_once(tier):
    """One is worked on; the others get its answer, or are told to come back."""
    asked = await asyncio.gather(
        *(post(tier, batch(*range(10, 30)), Idempotency_Key="same") for _ in range(12))
    )
    done = {one.body for one in asked if one.status == 202}
    assert len(done) == 1
    assert msgspec.json.decode(done.pop())["accepted"] == 20
    for one in asked:
        if one.status != 202:
            refused(one, 409)
            assert one.problem == "in_progress"
