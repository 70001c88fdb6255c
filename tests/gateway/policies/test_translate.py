"""Callers of an older version and tiers at head understand each other, on real sockets."""

import asyncio
import json
from pathlib import Path

import pytest

from chassis import versions
from contracts.change import FIRST
from gateway.policies.translate import POLICY, Config
from gateway.policy import Exchange
from gateway.snapshot import Plan

HEAD = versions.head()
GOLDEN = Path(__file__).parents[2] / "contracts" / "changes" / "golden"
WAIVE = "/process/v1/exceptions/0193/waive"
BATCH = "/process/v1/time-entries"
OLD_WAIVER = b'{"reason":"the client agreed by letter","expires":"2026-12-31"}'
NEW_WAIVER = b'{"reason":"the client agreed by letter","last_day":"2026-12-31"}'
JSON = "application/json"


@pytest.fixture
def dated(gate):
    gate.plan = Plan("gold", ("process:*",))
    gate.route = {"prefix": "/process/v1", "policies": {
        "authenticate": {}, "authorise": {"scope": "process"}, "size_limit": {}}}  # fmt: skip
    gate.key_rows = (gate.row(gate.key, scopes=()),)
    gate.publish()
    return gate


@pytest.fixture
def tier(upstream):
    """What the tier answers next."""

    def says(body, status=200, kind=JSON, *more):
        async def answer(seen, writer):
            lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *more,
                     f"Content-Length: {len(body)}", "", ""]  # fmt: skip
            sent = b"" if seen.head.startswith(b"HEAD") else body
            writer.write("\r\n".join(lines).encode() + sent)
            return True

        upstream.answer = answer

    return says


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())["replies"]


@pytest.mark.parametrize("version", versions.versions())
async def test_golden_replies_are_byte_equal_on_the_socket(dated, tier, version):
    """Each published version sees its own bytes, whatever the tier speaks today."""
    told = golden("post_time_entries")
    tier(told[HEAD].encode(), 202)
    reply = await dated.ask("POST", BATCH, b"[]", Firmwire_Version=version, Content_Type=JSON)
    assert (reply.status, reply.body.decode()) == (202, told[version])
    assert reply.headers["content-length"] == str(len(told[version].encode()))
    assert (reply.headers["firmwire-version"], reply.headers["vary"]) == (
        version, "firmwire-version",
    )  # fmt: skip


async def test_a_request_goes_up_with_a_length_of_its_own(dated, tier, upstream):
    """Also when it came in chunks; the tier sees head's body and nothing else."""
    tier(b"{}")
    await dated.ask("POST", WAIVE, OLD_WAIVER, Firmwire_Version=FIRST, Content_Type=JSON)
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        10, OLD_WAIVER[:10], len(OLD_WAIVER) - 10, OLD_WAIVER[10:],
    )  # fmt: skip
    head = dated.request(
        "POST", WAIVE, Firmwire_Version=FIRST, Content_Type=JSON, Transfer_Encoding="chunked",
        Connection="close",
    )  # fmt: skip
    assert (await dated.raw(head + chunks)).startswith(b"HTTP/1.1 200 ")
    assert [seen.body for seen in upstream.seen] == [NEW_WAIVER, NEW_WAIVER]
    assert [seen.header("content-length") for seen in upstream.seen] == [[str(len(NEW_WAIVER))]] * 2
    assert [seen.header("transfer-encoding") for seen in upstream.seen] == [[], []]


async def test_at_head_and_where_nothing_changed_bytes_pass_untouched(dated, tier, upstream):
    """No body is held, no validator weakened, spaces stay."""
    odd = b'{ "refused" : [],\n "accepted": 1.50 }'
    tier(odd, 200, JSON, 'ETag: "abc"')
    for path, version in ((BATCH, HEAD), ("/process/v1/invoices", FIRST)):
        reply = await dated.ask("POST", path, odd, Firmwire_Version=version, Content_Type=JSON)
        assert (reply.body, reply.headers["etag"]) == (odd, '"abc"')
    assert [seen.body for seen in upstream.seen] == [odd, odd]


def test_nothing_is_set_at_head():
    """The hooks that make the data plane hold a body stay away: nothing is paid for versions."""
    policy = POLICY.bind(Config(), None)
    for version, method, path, request, reply in (
        (HEAD, b"POST", WAIVE, False, False),
        (b"".decode(), b"POST", WAIVE, False, False),
        (FIRST, b"POST", WAIVE, True, True),
        (FIRST, b"POST", BATCH, False, True),
        (FIRST, b"GET", "/process/v1/invoices", False, False),
        (FIRST, b"GET", BATCH, False, False),
        ("2026-11-08", b"POST", BATCH, False, False),
        ("2026-11-08", b"GET", "/process/v1/master-data/streams", False, True),
    ):
        x = Exchange(None, "127.0.0.1", 0.0)
        x.version, x.method, x.path, x.length_bytes = version.encode(), method, path.encode(), -1
        assert policy.on_request(x) is None
        assert (x.rewrite_request is not None, x.rewrite_reply is not None) == (request, reply)
        assert (x.rewrite_if is not None) is reply


async def test_a_validator_is_weak_after_walking(dated, tier):
    """Other bytes, the same meaning; what names other bytes is dropped."""
    tier(golden("get_streams")[HEAD].encode(), 200, JSON, 'ETag: "abc"', "Content-Digest: x=:y:")
    path = "/process/v1/master-data/streams"
    reply = await dated.ask("GET", path, Firmwire_Version=FIRST)
    assert reply.headers["etag"] == 'W/"abc"'
    assert "content-digest" not in reply.headers
    head = await dated.ask("HEAD", path, Firmwire_Version=FIRST)
    assert (head.status, head.headers["etag"]) == (200, 'W/"abc"')
    assert "content-length" not in head.headers


async def test_a_problem_points_into_the_callers_body(dated, tier):
    """`expires` is what this caller sent, whatever it is called today."""
    document = {
        "type": "urn:firmwire:problem:invalid", "title": "A field is missing or wrong",
        "status": 422, "code": "invalid", "retry": "never",
        "errors": [{"pointer": "/last_day", "reason": "lies in the past", "hint": "Correct it."}],
    }  # fmt: skip
    tier(json.dumps(document).encode(), 422, "application/problem+json")
    old = await dated.ask("POST", WAIVE, OLD_WAIVER, Firmwire_Version=FIRST, Content_Type=JSON)
    assert (old.status, json.loads(old.body)["errors"][0]["pointer"]) == (422, "/expires")
    new = await dated.ask("POST", WAIVE, NEW_WAIVER, Content_Type=JSON)
    assert json.loads(new.body)["errors"][0]["pointer"] == "/last_day"


async def test_a_stream_is_not_held(dated, upstream):
    """Events go through as they come, also where JSON would be walked."""

    async def stream(seen, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
        )
        return True

    upstream.answer = stream
    reader, writer = await asyncio.open_connection("127.0.0.1", dated.port)
    writer.write(dated.request("GET", "/process/v1/master-data/streams", Firmwire_Version=FIRST))
    async with asyncio.timeout(5):
        await reader.readuntil(b"data: 1\n\n")
    writer.close()


async def test_a_reply_that_is_not_heads_is_our_mistake(dated, tier):
    """500 without a word of it; the line lives on."""
    tier(b'{"refused":[{"index":1}]}', 202)
    reply = await dated.ask("POST", BATCH, b"[]", Firmwire_Version=FIRST, Content_Type=JSON)
    assert (reply.status, reply.problem) == (500, "internal")
    assert b"pointer" not in reply.body


async def test_a_kept_answer_is_heads_and_walked_for_each_caller(dated, tier, upstream):
    """The cache holds what the tier said; versions never see each other's bytes."""
    told = golden("get_streams")
    path = "/process/v1/master-data/streams"
    tier(told[HEAD].encode(), 200, JSON, 'ETag: "abc"')
    policies = {**dated.route["policies"], "cache": {"fresh_s": 60}}
    dated.route = {**dated.route, "policies": policies}
    dated.publish()
    for version in (FIRST, HEAD, FIRST, "2026-11-08", HEAD):
        reply = await dated.ask("GET", path, Firmwire_Version=version)
        assert (reply.status, reply.body.decode()) == (200, told[version])
    assert len(upstream.seen) == 3
    known = await dated.ask("GET", path, Firmwire_Version=FIRST, If_None_Match='W/"abc"')
    assert (known.status, len(upstream.seen)) == (304, 3)
