"""A small port, its implementation, keys, and a peer on a real socket that can misbehave."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

import pytest
from msgspec import Raw, Struct

from chassis import clock, identity, travel
from chassis.identity import Signer, Verifier
from contracts.operation import operation
from contracts.paging import Page
from contracts.problem import Fault, Problem

AT = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    minutes: int
    day: date | None = None


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    lines: tuple[Line, ...] = ()


class Orders(Protocol):
    @operation("GET", "/orders/{id}", scope="shop:read")
    async def order(self, id: str) -> Order | None:
        """One order."""
        ...

    @operation("GET", "/orders", scope="shop:read")
    async def orders(
        self,
        state: str | None = None,
        since: date | None = None,
        tags: tuple[str, ...] = (),
        paid: bool = False,
        limit: int = 100,
    ) -> Page[Order]:
        """Orders, newest first."""
        ...

    @operation("POST", "/orders", scope="shop:write", status=201)
    async def place(self, body: Order, idempotency_key: str = "") -> Order:
        """Place an order."""
        ...

    @operation("POST", "/orders/raw", scope="shop:write", safe=True, body_limit_bytes=1000)
    async def weigh(self, body: Raw) -> int:
        """The size of a body nobody read."""
        ...

    @operation("DELETE", "/orders/{id}", scope="shop:write")
    async def remove(self, id: str, if_match: str = "") -> None:
        """Remove an order."""
        ...

    @operation("GET", "/slow", scope="shop:read", deadline_s=0.1)
    async def slow(self) -> str:
        """Never in time."""
        ...

    @operation("GET", "/broken", scope="shop:read")
    async def broken(self) -> str:
        """A bug."""
        ...

    @operation("GET", "/who", scope="shop:read")
    async def who(self) -> tuple[str, ...]:
        """Caller, issuer, actor, correlation id, and seconds left."""
        ...

    @operation("GET", "/admin", scope="shop:admin")
    async def admin(self) -> str:
        """For few."""
        ...


class Shop:
    """What it was called with is in `seen`."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []
        self.placed = 0
        self.fault: Fault | None = None

    async def order(self, id):
        return None if id == "none" else Order(id)

    async def orders(self, state=None, since=None, tags=(), paid=False, limit=100):
        self.seen.append((state, since, tags, paid, limit))
        return Page((Order("1", (Line(30, date(2026, 11, 2)),)),), "next", True)

    async def place(self, body, idempotency_key=""):
        self.placed += 1
        self.seen.append((body, idempotency_key))
        if self.fault is not None:
            raise Problem(self.fault, "No.", because="internal detail", retry_after_s=7)
        return body

    async def weigh(self, body):
        return len(bytes(body))

    async def remove(self, id, if_match=""):
        self.seen.append((id, if_match))

    async def slow(self):
        await asyncio.Event().wait()

    async def broken(self):
        raise RuntimeError("password=hunter2 in /etc/secret")

    async def who(self):
        by = travel.caller()
        now = travel.current()
        assert now is not None
        assert now.until_s is not None
        left_s = now.until_s - clock.monotonic()
        return (by.subject, by.issuer, by.actor, now.correlation_id, str(left_s))

    async def admin(self):
        return "welcome"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with keys."""
    folder = tmp_path_factory.mktemp("home")
    identity.ensure(folder)
    return folder


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def orders() -> type:
    return Orders


@pytest.fixture
def order() -> type[Order]:
    return Order


@pytest.fixture
def signer(home: Path) -> Signer:
    return Signer.of(home, "process")


@pytest.fixture
def verifier(home: Path) -> Verifier:
    return Verifier(identity.jwks_file(home))


@pytest.fixture
def bearer(signer: Signer) -> dict[str, str]:
    """Headers of a proven caller."""
    return {identity.HEADER: signer.assertion("partner", ["shop:read", "shop:write"])}


class Peer:
    """A server whose behaviour is a list of raw answers, one a request; the last one repeats.

    b"" cuts the line after the request was read; None answers never.
    """

    def __init__(self) -> None:
        self.answers: list[bytes | None] = [answer(200, b'"fine"')]
        self.requests: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0
        self.url = ""
        self.hold = asyncio.Event()
        self.hold.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                             if line.startswith(b"content-length")), 0)  # fmt: skip
                self.requests.append(head + await reader.readexactly(size))
                self.at_once += 1
                self.most_at_once = max(self.at_once, self.most_at_once)
                await self.hold.wait()
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                self.at_once -= 1
                if said is None:
                    await reader.read()
                    return
                if said == b"":
                    return
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def said() -> Callable[..., bytes]:
    return answer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@pytest.fixture
def fixed() -> Iterator[clock.Fixed]:
    """The clock stands still at 2026-11-02 08:00 UTC."""
    with clock.using(clock.Fixed(AT)) as standing:
        yield standing


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
