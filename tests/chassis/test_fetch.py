"""Documents from addresses that others name: what was judged is what is called, and no more."""

import asyncio
import socket
import ssl
import subprocess

import pytest

from chassis.fetch import Unfetched, fetch

METADATA = "169.254.169.254"


class Answering:
    """A server that notes who it was called, and answers as told."""

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self.heads: list[str] = []
        self.names: list[str | None] = []
        self.body = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    async def start(self, folder=None) -> int:
        tls = None
        if folder is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(folder / "s.pem", folder / "s.key")
            tls.sni_callback = lambda _, name, __: self.names.append(name)
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(self.body)
        writer.close()


@pytest.fixture
async def answering():
    found = Answering()
    yield found
    if found.server is not None:
        found.server.close()


@pytest.fixture
async def resolver(monkeypatch):
    """Says one after the other; the last for ever. How often it was asked."""
    told: list[list[str]] = []
    asked: list[str] = []

    async def getaddrinfo(host, port, **_):
        asked.append(host)
        found = told.pop(0) if len(told) > 1 else told[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return told, asked


@pytest.fixture
def certificate(tmp_path):
    """A folder with one for issuer.test."""
    words = (
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "2", "-subj", "/CN=issuer.test", "-keyout", "s.key", "-out", "s.pem",
        "-addext", "subjectAltName=DNS:issuer.test",
        "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    return tmp_path


def judge(scheme, addresses):
    return "not there" if any(str(each) == METADATA for each in addresses) else ""


async def got(url, **more):
    return await fetch(url, judge, **{"wait_s": 5.0, "most_bytes": 1000, **more})


async def test_a_name_that_changes_its_mind_is_called_where_it_was_judged(answering, resolver):
    """Asked once; no other resolver knows the name. What it says later is judged again."""
    told, asked = resolver
    told += [["127.0.0.1"], [METADATA]]
    port = await answering.start()
    assert await got(f"http://Rebind.test:{port}/keys?a=1") == b"ok"
    assert asked == ["rebind.test"]
    assert answering.heads[0].startswith("get /keys?a=1 http/1.1")
    assert f"host: rebind.test:{port}" in answering.heads[0]
    with pytest.raises(Unfetched, match="not there"):
        await got(f"http://rebind.test:{port}/keys")
    assert (len(asked), len(answering.heads)) == (2, 1)


async def test_one_bad_address_among_good_ones_spoils_them(resolver):
    """A name may not hide one behind another; of good ones the second is tried when need be."""
    told, _ = resolver
    told.append(["127.0.0.1", METADATA])
    with pytest.raises(Unfetched, match="not there"):
        await got("http://two.test:1/")


async def test_the_next_address_is_tried_where_nobody_listens(answering, resolver):
    """Two addresses, one of them dead."""
    told, _ = resolver
    told.append(["127.0.0.2", "127.0.0.1"])
    port = await answering.start()
    assert await got(f"http://two.test:{port}/") == b"ok"


async def test_tls_is_for_the_name_not_for_the_address(
    answering, resolver, certificate, monkeypatch
):
    """SNI and certificate: an address that answers with another's certificate is nobody."""
    told, _ = resolver
    told.append(["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "s.pem"))
    port = await answering.start(certificate)
    assert await got(f"https://issuer.test:{port}/keys") == b"ok"
    assert answering.names == ["issuer.test"]
    with pytest.raises(Unfetched):
        await got(f"https://other.test:{port}/keys")
    assert len(answering.heads) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "302",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, "more than 1000"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n" + b"x" * 200_000, "more than"),
        (b"nonsense\r\n\r\n", "does not answer"),
    ],
)
async def test_no_redirect_and_no_endless_body(answer, why, answering, resolver):
    """Bounded while it comes, whatever a length claims."""
    resolver[0].append(["127.0.0.1"])
    answering.body = answer
    port = await answering.start()
    with pytest.raises(Unfetched, match=why):
        await got(f"http://slow.test:{port}/")


async def test_who_answers_drop_by_drop_is_not_waited_for(answering, resolver):
    """One bound for all of it."""
    resolver[0].append(["127.0.0.1"])
    port = await answering.start()
    held = asyncio.Event()

    async def serve(reader, writer):
        await held.wait()
        writer.close()

    answering.server.close()
    answering.server = await asyncio.start_server(serve, "127.0.0.1", port)
    with pytest.raises(Unfetched, match="within"):
        await got(f"http://slow.test:{port}/", wait_s=0.2)
    held.set()


@pytest.mark.parametrize(
    "url",
    [
        "http://a@b.test/", "ftp://a.test/", "http:///x", "http://a.test\\@b.test/",
        "http://%61.test/", "http://\u00e4.test/", "http://a.test:0/", "http://a.test:99999/",
        "http://a b/",
    ],
)  # fmt: skip
async def test_what_two_readers_could_read_differently_is_no_address(url, resolver):
    """Nothing is looked up for it."""
    with pytest.raises(Unfetched, match="not an address"):
        await got(url)
    assert resolver[1] == []
