"""Serves the sandbox on a port of this machine, by a server that can cut a line in mid-call.

Owns: the listening socket and, in `running`, the thread of a server for tests and demos.
Fails: OSError when the port is taken; RuntimeError when the server does not come up.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from msgspec import Struct
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import Sandbox, create
from sandbox.vendor import CUT

HOST = "127.0.0.1"


class CuttableProtocol(HttpToolsProtocol):
    """Lets the app close the connection without a byte, as broken networks do."""

    def on_message_begin(self) -> None:
        """Hand the app its scissors."""
        super().on_message_begin()
        self.scope["extensions"] = {CUT: self._cut}  # type: ignore[dict-item]

    async def _cut(self) -> None:
        self.transport.abort()
        if self.cycle is not None:
            # So that the server does not miss the answer that never comes.
            self.cycle.disconnected = True


class AnnouncedServer(Server):
    """Says when it answers, to a thread that waits for it. Signals are its caller's to hear."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The server's own would raise them again at the end: a death instead of a clean end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As the server's own, and then up."""
        await super().startup(sockets)
        self.up.set()


class Running(Struct, frozen=True):
    """A sandbox that answers. url: without a trailing slash; a vendor is at url/<vendor>."""

    url: str
    sandbox: Sandbox
    server: Server


def server_for(sandbox: Sandbox) -> AnnouncedServer:
    """A server for one process and one thread: the stores allow no more."""
    config = Config(
        sandbox,
        http=CuttableProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    return AnnouncedServer(config)


async def serve(home: Path, port: int, *, seed: int = 7) -> None:
    """Serve until SIGINT or SIGTERM."""
    with _listener(port) as listener:
        server = server_for(create(home, seed=seed))

        def stop() -> None:
            server.should_exit = True

        for told in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(told, stop)
        await server.serve(sockets=[listener])


@contextmanager
def running(
    home: Path, *, port: int = 0, seed: int = 7, vendors: Iterable[str] | None = None
) -> Iterator[Running]:
    """A sandbox in a thread of its own, up when the block starts, down when it ends."""
    listener = _listener(port)
    sandbox = create(home, seed=seed, vendors=vendors)
    server = server_for(sandbox)
    loop = uvloop.new_event_loop()
    serving = server.serve(sockets=[listener])
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,), daemon=True)
    thread.start()
    try:
        if not server.up.wait(timeout=10):
            raise RuntimeError("the sandbox did not come up in 10 s")
        yield Running(f"http://{HOST}:{listener.getsockname()[1]}", sandbox, server)
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        loop.close()


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener
