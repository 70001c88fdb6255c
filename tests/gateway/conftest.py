"""A real gateway worker before a real upstream, on loopback sockets, in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis import clock, identity
from chassis.discovery import plugs
from gateway import keys
from gateway.dataplane.access import LogFile
from gateway.dataplane.worker import Worker
from gateway.metering.limit import Limit
from gateway.policy import Policy
from gateway.routes import Route, Upstream
from gateway.settings import Limits
from gateway.snapshot import Consumer, Key, Plan, Snapshot


class Seen(msgspec.Struct):
    """What the upstream was sent."""

    head: bytes
    body: bytes

    def header(self, name: str) -> list[str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(": ") for line in lines)
        return [value for found, _, value in pairs if found.lower() == name]


class TestUpstream:
    """Reads HTTP/1.1 by hand, so that nobody agrees by accident. `answer` may be replaced."""

    __test__ = False

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.answer: Callable[[Seen, asyncio.StreamWriter], Awaitable[bool]] = self.plain
        self.server: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()

    async def plain(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
        return True

    async def start(self, port: int = 0) -> int:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in tuple(self.writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen = Seen(head, b"")
                if seen.header("transfer-encoding"):
                    seen.body = await read_chunks(reader)
                elif length := seen.header("content-length"):
                    seen.body = await reader.readexactly(int(length[0]))
                self.seen.append(seen)
                if not await self.answer(seen, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


class Answered(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> str:
        """The code of the problem document."""
        return str(msgspec.json.decode(self.body)["code"])


class Gate:
    """A worker with one consumer `acme`, one route `/system/v1`, and what tests turn."""

    def __init__(self, home: Path, upstream_port: int, **limits: float) -> None:
        identity.ensure(home)
        self.home = home
        self.peppers = keys.peppers(home)
        self.access_file = home / "access.jsonl"
        self.worker = Worker(
            limits=Limits(**limits),
            peppers=self.peppers,
            signer=identity.Signer.of(home, "gateway"),
            policies=plugs("gateway.policies", "POLICY", Policy),
            access_log=LogFile(self.access_file),
        )
        self.urls = (f"http://127.0.0.1:{upstream_port}",)
        self.upstream: dict[str, Any] = {}
        self.key = keys.mint("live")
        self.version = 0
        self.port = 0
        fast = Limit(name="rate", kind="rate", amount=1_000_000)
        self.plan = Plan(name="gold", scopes=("system:*",), limits=(fast,))
        self.key_rows = (self.row(self.key),)
        self.route: dict[str, Any] = {}
        self.more_routes: tuple[dict[str, Any], ...] = ()
        self.more: dict[str, Any] = {}
        self.more_plans: tuple[Plan, ...] = ()
        self.consumers = (Consumer(name="acme", plans=("gold",)),)
        self.publish()

    def row(self, key: str, **more: Any) -> Key:
        pepper, hashed = self.peppers.digest(key.encode())
        values: dict[str, Any] = {"scopes": ("system:read",), "consumer": "acme", **more}
        return Key(id=f"key_{hashed.hex()[:8]}", digest=hashed, pepper=pepper, **values)

    def add_consumer(self, name: str) -> str:
        """Another consumer of the same plan; their key."""
        key = keys.mint("live")
        self.consumers = (*self.consumers, Consumer(name=name, plans=("gold",)))
        self.key_rows = (*self.key_rows, self.row(key, consumer=name))
        self.publish()
        return key

    def publish(self) -> None:
        """Put what the attributes say in force."""
        self.version += 1
        policies = {
            "authenticate": {},
            "authorise": {"scope": "system"},
            "meter": {},
            "size_limit": {},
        }
        values: dict[str, Any] = {
            "name": "system", "prefix": "/system/v1", "upstream": "system",
            "policies": policies, **self.route,
        }  # fmt: skip
        self.worker.swap(
            Snapshot(
                version=self.version,
                upstreams=(Upstream(name="system", urls=self.urls, **self.upstream),),
                routes=(Route(**values), *(Route(**more) for more in self.more_routes)),
                plans=(self.plan, *self.more_plans),
                consumers=self.consumers,
                keys=self.key_rows,
                **self.more,
            )
        )

    async def raw(self, sent: bytes, *, wait_s: float = 5.0) -> bytes:
        """Everything that comes back until the gateway closes, or nothing more comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        try:
            async with asyncio.timeout(wait_s):
                return await reader.read(-1)
        finally:
            writer.close()

    def request(
        self,
        method: str = "GET",
        path: str = "/system/v1/things",
        body: bytes | None = None,
        key: str | None = "",
        **headers: str,
    ) -> bytes:
        """Bytes of a request; key "" is the valid one, None is none."""
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway.test"]
        if key is not None:
            lines.append(f"Authorization: Bearer {key or self.key}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")

    async def ask(self, *positional: Any, **named: Any) -> Answered:
        """One request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(self.request(*positional, **named))
            method = positional[0] if positional else "GET"
            async with asyncio.timeout(10):
                return await read_reply(reader, bodiless=method == "HEAD")
        finally:
            writer.close()


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


async def read_reply(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answered:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split(" ")[1])
    body = b""
    if status == 100:
        return await read_reply(reader)
    if not bodiless and status not in (204, 304):
        if headers.get("transfer-encoding") == "chunked":
            body = await read_chunks(reader)
        elif "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read(-1)
    return Answered(status, headers, body)


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Poll a condition; fails when it does not come true in time."""
    ends_s = clock.monotonic() + within_s
    while not condition():
        assert clock.monotonic() < ends_s, "the condition did not come true in time"
        await asyncio.sleep(0.005)


@pytest.fixture
async def upstream() -> AsyncIterator[TestUpstream]:
    server = TestUpstream()
    server.port = await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def second_upstream() -> AsyncIterator[TestUpstream]:
    server = TestUpstream()
    server.port = await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def gate(tmp_path: Path, upstream: TestUpstream) -> AsyncIterator[Gate]:
    gate = Gate(tmp_path, upstream.port, head_s=1.0, idle_s=30.0, linger_s=2.0, drain_s=3.0)
    gate.port = await gate.worker.listen("127.0.0.1", 0)
    yield gate
    gate.worker.limits = Limits(drain_s=0.05)
    await gate.worker.drain()


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def reply_from() -> Callable[..., Awaitable[Answered]]:
    return read_reply
