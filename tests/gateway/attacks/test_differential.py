"""Two servers, one meaning: what we forward, hyper reads the same way; all else we refuse.

Quick by default; FIRMWIRE_TEST_FUZZ=2000 runs so many batches, with fresh randomness.
"""

import asyncio
import base64
import os
import re
import socket
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

BATCHES = int(os.environ.get("FIRMWIRE_TEST_FUZZ", "0"))
BATCH = 32
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What we take away by design, and what we say ourselves: neither is a difference.
OURS = re.compile(
    r"host|connection|keep-alive|proxy-connection|proxy-authorization|te|trailer|upgrade|expect"
    r"|http2-settings|forwarded|via|x-real-ip|x-original-url|x-rewrite-url|x-client-ip|x-tenant"
    r"|true-client-ip|(x-|ssl-)?client-cert(-chain)?|content-length|transfer-encoding"
    r"|authorization|x-api-key|traceparent|firmwire-.*|x-forward.*|x-consume.*|x-ssl-cli.*|.*_.*"
)


class Read(msgspec.Struct, frozen=True):
    """A request as a server read it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str


async def replies(port, sent, quiet_s, *, warm=False):
    """What each reply of a connection says was read; None for a refusal.

    warm: a good request went before on the same line, so that what is remembered of it counts.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(2 if warm else 0):
            writer.write(CORPUS[0])
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        raw = b""
        try:
            while True:
                async with asyncio.timeout(quiet_s):
                    piece = await reader.read(65_536)
                if not piece:
                    break
                raw += piece
        except (TimeoutError, ConnectionError):
            pass
    finally:
        writer.transport.abort()
    found = []
    while raw.startswith(b"HTTP/1."):
        head, _, raw = raw.partition(b"\r\n\r\n")
        if head[9:12] == b"100":
            continue
        lines = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
        told = re.search(rb"(?im)^x-read: (\S+)\r?$", head)
        found.append(msgspec.json.decode(base64.b64decode(told[1]), type=Read) if told else None)
        length = int(lines.get(b"content-length", b"0"))
        raw = raw[length:] if not told else raw
    return found


def plain(read):
    """Without what differs by design: our own headers, and the one spelling of a path."""
    nominated = {
        name.strip().lower()
        for key, value in read.headers if key == "connection"
        for name in value.split(",")
    }  # fmt: skip
    headers = sorted(
        (name, value) for name, value in read.headers
        if not OURS.fullmatch(name) and name not in nominated
    )  # fmt: skip

    def spelled(escape):
        letter = chr(int(escape[1], 16))
        known = letter.isascii() and (letter.isalnum() or letter in "-_~")
        return letter if known else escape[0].upper()

    path, mark, query = read.target.partition("?")
    path = re.sub(r"%([0-9A-Fa-f]{2})", spelled, path)
    return read.method, path + (mark if query else "") + query, headers, read.body


def ours_to_serve(read):
    path = plain(read)[1].partition("?")[0]
    return read.method in METHODS and (path == "/x" or path.startswith("/x/"))


async def compare(gate_port, peer_port, sent, *, warm=False):
    """Nothing, or what is wrong. Slow answers are asked for again, patiently."""
    for quiet_s in (0.1, 2.0):
        ours, theirs = await asyncio.gather(
            replies(gate_port, sent, quiet_s, warm=warm), replies(peer_port, sent, quiet_s)
        )
        forwarded = [plain(read) for read in ours if read is not None]
        read = [plain(one) for one in theirs if one is not None and ours_to_serve(one)]
        if forwarded == read[: len(forwarded)]:
            return None
    return {"sent": sent, "forwarded": forwarded, "hyper read": read}


# ---- what is sent --------------------------------------------------------------------------

CORPUS = (
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /x/y?z=1&z=%20 HTTP/1.1\r\nHost: a.test:80\r\nAccept: */*\r\nX-One: 1\r\n\r\n",
    b"HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
    b"GET /x/2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"A;q=1\r\nabcdefghij\r\n3\r\n123\r\n0\r\nT: x\r\n\r\nGET /x/3 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n",
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /x/2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"DELETE /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
    b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: https://b.test\r\nX-Two: a, b\r\nX-Two: c\r\n\r\n",
)
EVIL = (
    b"\x00", b"\t", b"\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", b"  ", b":", b";", b",", b"\x0b",
    b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xff", b"0", b"+", b"-", b"x", b"%", b"%61", b"/", b"\\",
    b"?", b"#", b"@", b'"', b"\xc3\xa9", b"\r\n ", b"\r\n\t", b"\n\n", b"\r\r\n",
)  # fmt: skip
LINES = (
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 4", b"Content-Length: 05",
    b"Content-Length:5", b"Content-Length: 5 ", b"Content-Length: 5, 5", b"content-length: 3",
    b"Transfer-Encoding: chunked", b"transfer-encoding: Chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding:chunked",
    b"Transfer-Encoding : chunked",
    b"Connection: close", b"Connection: keep-alive", b"Connection: X-One", b"Connection: upgrade",
    b"Upgrade: h2c", b"Upgrade: websocket", b"Host: b", b"Expect: 100-continue", b"X-One: 2",
    b"X-Three:", b"X-Four: \t a b \t", b"X-Five: \xff\xfe", b"Trailer: T", b"TE: trailers",
    b"Content-Length : 5", b"Content_Length: 5", b"Sec-WebSocket-Key: x", b"Keep-Alive: 5",
)  # fmt: skip


@st.composite
def mutated(draw):
    """A good request, hurt in one to three places."""
    raw = draw(st.sampled_from(CORPUS))
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(("insert", "replace", "cut", "line", "swap", "end", "double")))
        at = draw(st.integers(0, len(raw)))
        if kind == "insert":
            raw = raw[:at] + draw(st.sampled_from(EVIL)) + raw[at:]
        elif kind == "replace":
            raw = raw[:at] + draw(st.sampled_from(EVIL)) + raw[at + 1 :]
        elif kind == "cut":
            raw = raw[:at] + raw[at + draw(st.integers(1, 4)) :]
        elif kind == "end":
            ends = [hit.start() for hit in re.finditer(rb"\r\n", raw)] or [0]
            at = draw(st.sampled_from(ends))
            end = draw(st.sampled_from((b"\n", b"\r", b"\r\r\n", b"", b" \r\n")))
            raw = raw[:at] + end + raw[at + 2 :]
        else:
            lines = raw.split(b"\r\n")
            at = draw(st.integers(1, len(lines)))
            if kind == "line":
                lines.insert(at, draw(st.sampled_from(LINES)))
            elif kind == "double":
                lines.insert(at, lines[min(at, len(lines) - 1)])
            else:
                other = draw(st.integers(0, len(lines) - 1))
                at = min(at, len(lines) - 1)
                lines[at], lines[other] = lines[other], lines[at]
            raw = b"\r\n".join(lines)
    return raw


@st.composite
def built(draw):
    """A request put together from parts that are each nearly right."""
    space = st.sampled_from((b" ", b" ", b" ", b"  ", b"\t", b""))
    method = draw(st.sampled_from((b"GET", b"POST", b"POST", b"PUT", b"get", b"G-T", b"HEAD", b"")))
    target = draw(st.sampled_from((
        b"/x", b"/x", b"/x?a=b", b"/x/%61", b"/x/%2e%2e/y", b"/x#y", b"http://a/x", b"*", b"x",
        b"//x", b"/x/\xc3\xa9", b"/x?\xff", b"/x?a b", b"/x/;a", b"/x?a=%zz", b"/x/\\y",
        b"/x?a=|{}^`",
    )))  # fmt: skip
    version = draw(st.sampled_from((
        b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1",
        b"RTSP/1.0", b"ICE/1.1", b"HTTP/1.1 ", b"HTTP/11", b"",
    )))  # fmt: skip
    lines = [method + draw(space) + target + draw(space) + version]
    if draw(st.booleans()) or draw(st.booleans()):
        lines.append(b"Host: a")
    lines += draw(st.lists(st.sampled_from(LINES), max_size=4))
    body = draw(st.sampled_from((
        b"", b"", b"abcde", b"5\r\nabcde\r\n0\r\n\r\n", b"5;a=b\r\nabcde\r\n0\r\n\r\n",
        b"5 \r\nabcde\r\n0\r\n\r\n", b"005\r\nabcde\r\n000\r\n\r\n", b"5\nabcde\n0\n\n",
        b"5\r\nabcde\r\n0\r\nX-One: 9\r\n\r\n", b"5\r\nabcdef\r\n0\r\n\r\n", b"0\r\n\r\n",
        b"5\r\nabcde\r\n0\r\n\r\nGET /x/2 HTTP/1.1\r\nHost: a\r\n\r\n",
        b'5;"\r\n"\r\nabcde\r\n0\r\n\r\n', b"5\r\nabcde0\r\n\r\n",
        b"ffffffffffffffff5\r\nabcde\r\n0\r\n\r\n", b"5\t\r\nabcde\r\n0\r\n\r\n",
    )))  # fmt: skip
    end = draw(st.sampled_from((b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n")))
    return end.join(lines) + end + end + body


# ---- the two servers -----------------------------------------------------------------------

PEER = """
import base64, json

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    query = scope["query_string"].decode("latin-1")
    read = {
        "method": scope["method"],
        "target": scope["raw_path"].decode("latin-1") + ("?" + query if query else ""),
        "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    told = base64.b64encode(json.dumps(read).encode())
    headers = [(b"x-read", told), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.fixture
async def peer(tmp_path):
    """hyper, as granian runs it: a parser that shares no line with ours."""
    (tmp_path / "peer.py").write_text(PEER)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "granian", "peer:app", "--interface", "asgi", "--http", "1",
        "--no-ws", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--log-level", "critical",
        cwd=Path(tmp_path),
    )  # fmt: skip
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                assert process.returncode is None
                await asyncio.sleep(0.05)
    yield port
    process.terminate()
    async with asyncio.timeout(10):
        await process.wait()


@pytest.fixture
async def pair(gate, upstream, peer):
    """Ports of ours, before an upstream that tells what it was sent, and of hyper."""

    async def tell(seen, writer):
        lines = seen.head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        pairs = [line.partition(": ")[::2] for line in lines[1:] if line]
        read = Read(method, target, tuple(map(tuple, pairs)), seen.body.decode("latin-1"))
        told = base64.b64encode(msgspec.json.encode(read))
        writer.write(b"HTTP/1.1 200 OK\r\nX-Read: %b\r\nContent-Length: 0\r\n\r\n" % told)
        return True

    upstream.answer = tell
    gate.route = {"prefix": "/x", "public": True, "policies": {"size_limit": {}}}
    gate.publish()
    return gate.port, peer


async def test_case_05_both_read_a_good_request_alike(pair):
    """The harness sees what it must see: everything good is forwarded and read the same."""
    assert await asyncio.gather(*(compare(*pair, sent) for sent in CORPUS)) == [None] * len(CORPUS)
    asked = (replies(port, sent, 1.0) for sent in CORPUS for port in pair)
    found = await asyncio.gather(*asked)
    for ours, theirs in zip(found[::2], found[1::2], strict=True):
        assert [read is None for read in ours] == [read is None for read in theirs]
        assert any(read is not None for read in ours)


@settings(
    max_examples=BATCHES or 40, deadline=None, derandomize=not BATCHES, database=None,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate,),  # shrinking takes an hour
)  # fmt: skip
@given(batch=st.lists(mutated() | built(), min_size=BATCH, max_size=BATCH), warm=st.booleans())
async def test_case_05_what_we_forward_hyper_reads_the_same_way(pair, batch, warm):
    """Whatever one of the two would refuse or read otherwise never goes on."""
    found = await asyncio.gather(*(compare(*pair, sent, warm=warm) for sent in batch))
    assert [one for one in found if one is not None] == []
