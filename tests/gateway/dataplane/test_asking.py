"""A worker and its control plane: one line, deadlines, and no answer taken for another one."""

import asyncio
import ssl

import pytest
import trustme

from gateway.dataplane.asking import Line


class Plane:
    """Answers by script: a list of what to send for each question; None closes the line."""

    def __init__(self):
        self.script, self.heads, self.lines = [], [], 0

    async def serve(self, reader, writer):
        self.lines += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
                body = (await reader.readexactly(int(length or 0))).decode()
                self.heads.append(head + body)
                told = self.script.pop(0)
                if told is None:
                    break
                writer.write(told)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def open(self, context=None):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        self.port = self.server.sockets[0].getsockname()[1]


@pytest.fixture
async def plane():
    plane = Plane()
    await plane.open()
    yield plane
    plane.server.close()


@pytest.fixture
async def line(plane):
    line = Line(f"http://127.0.0.1:{plane.port}/below/")
    yield line
    line.close()


def said(body, *lines):
    head = "\r\n".join(("HTTP/1.1 200 OK", f"content-length: {len(body)}", *lines, "", ""))
    return head.encode() + body


async def get(line, within_s=5.0, **more):
    return await line.ask("GET", "/snapshot", within_s=within_s, token="t", **more)


async def test_questions_share_a_line(plane, line):
    """Query and body as they are, each answer with its own question."""
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    plane.script = [said(b"one"), b"HTTP/1.1 204 No Content\r\n\r\n", chunked]
    assert await get(line, query=[("after", 1), ("unknown", "https://i?&")]) == (200, b"one")
    assert await line.ask("POST", "/usage", within_s=5, token="t", json=b"[1]") == (204, b"")
    assert await get(line) == (200, b"abc")
    assert plane.lines == 1
    first, second, _ = plane.heads
    host = f"host: 127.0.0.1:{plane.port}\r\nauthorization: Bearer t\r\n"
    assert first == (
        f"GET /below/snapshot?after=1&unknown=https%3A%2F%2Fi%3F%26 HTTP/1.1\r\n{host}\r\n"
    )
    assert second == (
        f"POST /below/usage HTTP/1.1\r\n{host}content-type: application/json\r\n"
        "content-length: 3\r\n\r\n[1]"
    )


@pytest.mark.parametrize("end", ["connection: close", "x: 1"])
async def test_a_line_closed_while_idle_costs_nothing(plane, line, end):
    """Said or unsaid: the next question goes out on a new one."""
    plane.script = [said(b"one", end), None, said(b"two")]
    if "close" in end:
        plane.script.remove(None)
    assert await get(line) == (200, b"one")
    assert await get(line) == (200, b"two")
    assert plane.lines == 2


async def test_a_new_line_that_is_closed_is_no_answer(plane, line):
    """Not asked twice: whoever asks knows when it is worth it."""
    plane.script = [None, said(b"two")]
    with pytest.raises(ConnectionError):
        await get(line)
    assert (len(plane.heads), await get(line)) == (1, (200, b"two"))


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"SSH-2.0-x\r\n\r\n",
        said(b"one") + said(b"two"),
    ],
)
async def test_half_a_reply_or_more_than_one_is_no_answer(plane, line, broken):
    """Cut, another protocol, or bytes behind the reply: refused, and the line is not used again."""
    plane.script = [broken, said(b"good")]

    async def cut(reader, writer):
        plane.lines += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(plane.script.pop(0))
        writer.close()

    plane.server.close()
    plane.server = await asyncio.start_server(cut, "127.0.0.1", plane.port)
    with pytest.raises(ConnectionError):
        await get(line)
    assert await get(line) == (200, b"good")
    assert plane.lines == 2


async def test_an_answer_too_late_is_nobodys(plane, line):
    """The line of a question that timed out is closed: its answer never meets the next one."""
    plane.script = [b"", said(b"next")]
    with pytest.raises(TimeoutError):
        await get(line, within_s=0.05)
    assert await get(line) == (200, b"next")
    assert plane.lines == 2


async def test_nobody_there(plane, line):
    """An OSError, as everything else that goes wrong on the way."""
    plane.server.close()
    with pytest.raises(OSError, match=r"refused|Connect"):
        await get(line)


async def test_tls_is_verified(tmp_path, monkeypatch):
    """A certificate of an authority this machine trusts, for this name; else nothing is told."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    plane = Plane()
    await plane.open(context)
    plane.script = [said(b"one")]
    strange, known = (Line(f"https://127.0.0.1:{plane.port}") for _ in range(2))
    with pytest.raises(ssl.SSLCertVerificationError):
        await get(strange)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert await get(known) == (200, b"one")
    wrong_name = Line(f"https://localhost:{plane.port}")
    with pytest.raises(ssl.SSLCertVerificationError):
        await get(wrong_name)
    assert len(plane.heads) == 1
    known.close()
    plane.server.close()
