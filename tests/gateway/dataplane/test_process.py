"""A data plane as a process of its own: what it keeps in memory, and how it ends."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from chassis import identity
from gateway import keys
from gateway.routes import Route, Upstream
from gateway.snapshot import Consumer, Key, Plan, Shelf, Snapshot, encode

RUN = """
import sys
from pathlib import Path
from gateway.app import run_data_plane
from gateway.settings import GatewaySettings, Limits
port, internal = int(sys.argv[2]), int(sys.argv[3])
run_data_plane(GatewaySettings(port=port, internal_port=internal,
               control_url="http://127.0.0.1:9", limits=Limits(drain_s=5.0)), Path(sys.argv[1]))
"""
PIECE = b"z" * 65_536
PIECES = 1_600  # 100 MB
FLAT_MB = 8.0
IDLE_MB = 60.0


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """The gateway alone: this process plays caller and upstream."""

    def __init__(self, home: Path, upstream_port: int) -> None:
        identity.ensure(home)
        peppers = keys.peppers(home)
        self.home = home
        self.key = keys.mint("live")
        pepper, digest = peppers.digest(self.key.encode())
        policies = {
            "authenticate": {}, "authorise": {"scope": "system"},
            "size_limit": {"limit_bytes": 300_000_000},
        }  # fmt: skip
        snapshot = Snapshot(
            version=1,
            upstreams=(Upstream(name="system", urls=(f"http://127.0.0.1:{upstream_port}",)),),
            routes=(Route("system", "/system/v1", "system", policies),),
            plans=(Plan("gold", ("system:*",)),),
            consumers=(Consumer("acme", ("gold",)),),
            keys=(Key("key_1", digest, pepper, "acme", ("system:read",)),),
        )
        Shelf(home / "gateway" / "snapshot").keep(encode(snapshot))
        self.port = _free_port()

    async def start(self) -> None:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, str(self.home), str(self.port), str(_free_port()),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    def line(self):
        return asyncio.open_connection("127.0.0.1", self.port, limit=65_536)

    def head(self, method: str = "GET", *lines: str) -> bytes:
        first = (f"{method} /system/v1/x HTTP/1.1", "Host: a", f"X-Api-Key: {self.key}", *lines)
        return "\r\n".join(first).encode() + b"\r\n\r\n"

    def forget_peak(self) -> float:
        """MB resident now; the peak counts from here."""
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")
        return self._told("VmRSS")

    def peak_mb(self) -> float:
        return self._told("VmHWM")

    def _told(self, what: str) -> float:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition(what + ":")[2].split()[0]) / 1024


@pytest.fixture
async def process(tmp_path, upstream, eventually):
    process = Process(tmp_path, upstream.port)
    await process.start()

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", process.port)) == 0

    await eventually(listens, within_s=20)
    yield process
    if process.child.returncode is None:
        process.child.kill()
        await process.child.wait()


async def _until(reader, mark: bytes) -> None:
    await reader.readuntil(mark)


async def test_an_idle_worker_takes_at_most_60_mb(process, upstream):
    """With a snapshot in force, after its first request, and while it asks for the next one."""
    reader, writer = await process.line()
    writer.write(process.head("GET", "Connection: close"))
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
    assert process.peak_mb() < IDLE_MB


@pytest.mark.parametrize("chunked", [False, True])
async def test_100_mb_each_way_in_flat_memory(process, upstream, chunked):
    """Bodies stream: 100 MB up and 100 MB down cost the gateway at most 8 MB more than idling."""
    total = PIECES * len(PIECE)
    taken = 0

    async def take_and_give(seen, writer):
        if chunked:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(PIECES):
            writer.write(b"10000\r\n" + PIECE + b"\r\n" if chunked else PIECE)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        return False

    async def swallow(reader, writer):
        """By hand: the upstream of the other tests would keep the body."""
        nonlocal taken
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                while not taken or taken < total:
                    piece = await reader.read(65_536)
                    if not piece:
                        return
                    taken += len(piece)
                writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            else:
                await take_and_give(head, writer)
            await writer.drain()
        finally:
            writer.close()

    upstream.server.close()
    server = await asyncio.start_server(swallow, "127.0.0.1", upstream.port, limit=65_536)
    async with asyncio.timeout(50):
        idle_mb = process.forget_peak()
        reader, writer = await process.line()
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {total}"
        writer.write(process.head("POST", framing))
        for _ in range(PIECES):
            writer.write(b"10000\r\n" + PIECE + b"\r\n" if chunked else PIECE)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204")
        writer.close()
        up_mb = process.peak_mb() - idle_mb
        reader, writer = await process.line()
        writer.write(process.head("GET", "Connection: close"))
        got = 0
        while piece := await reader.read(65_536):
            got += len(piece)
        writer.close()
    server.close()
    assert taken >= total
    assert got > total
    assert up_mb < FLAT_MB
    assert process.peak_mb() - idle_mb < FLAT_MB


async def test_a_slow_caller_costs_no_memory_either(process, upstream):
    """While the caller does not read, the upstream is held back, not the gateway filled."""

    async def endless(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + PIECE + b"\r\n")
            await writer.drain()
            pushed.append(1)

    pushed: list[int] = []
    upstream.answer = endless
    idle_mb = process.forget_peak()
    lines = [await asyncio.open_connection("127.0.0.1", process.port, limit=1024) for _ in range(8)]
    for _, writer in lines:
        writer.write(process.head())
    async with asyncio.timeout(20):
        still, before = 0, -1
        while still < 10:
            still = still + 1 if before == len(pushed) else 0
            before = len(pushed)
            await asyncio.sleep(0.02)
    assert pushed
    assert process.peak_mb() - idle_mb < 2.0 * len(lines)
    for _, writer in lines:
        writer.transport.abort()


async def test_sigterm_finishes_what_runs_and_ends_with_0(process, upstream, eventually):
    """A stream that is running is finished; nobody new is taken; the process is gone after it."""
    go_on = asyncio.Event()

    async def slow(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        return True

    upstream.answer = slow
    reader, writer = await process.line()
    writer.write(process.head())
    async with asyncio.timeout(15):
        await _until(reader, b"first")
        process.child.send_signal(signal.SIGTERM)

        def refused():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", process.port)) != 0

        await eventually(refused)
        go_on.set()
        await _until(reader, b"last\r\n0\r\n\r\n")
        assert await reader.read(1) == b""
        assert await process.child.wait() == 0
    writer.close()
