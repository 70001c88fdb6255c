"""This file exists to run a service on a socket: one process, one loop, a clean end.

Owns   the listening socket; the signals TERM and INT, which drain and then stop.
Fails  OSError when the address is taken, NotStarted when a lifespan raises.
Source uvicorn and granian were measured side by side with the same app: equal; uvicorn takes a
       socket that is already bound and can be stopped from inside.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
import uvloop

from chassis import stopping
from chassis.log import log
from chassis.service import Service

DRAIN_S = 10
_log = log("chassis.server")


class NotStarted(RuntimeError):
    """The lifespan of a service raised before the first request."""


class _Server(uvicorn.Server):
    """uvicorn without its own hold on signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def until_stopped(self, listening: socket.socket) -> None:
        """`serve`, but a failed start is an error and not the end of the interpreter."""
        try:
            await self.serve([listening])
        except SystemExit as error:
            raise NotStarted("the service could not start; the log says why") from error


def run(service: Service, *, host: str = "127.0.0.1", port: int) -> None:
    """Serve until TERM or INT; open requests get DRAIN_S seconds to finish. Blocks.

    Exits with status 3 when the service cannot start.
    """
    with _bound(host, port) as listening:
        try:
            uvloop.run(_until_told(service, listening))
        except NotStarted as error:
            _log.error("service.failed", name=service.name, because=str(error))
            sys.exit(3)


@asynccontextmanager
async def serving(
    service: Service, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve beside other work, on a free port by default; yields the base URL. For tests."""
    with _bound(host, port) as listening:
        server = _server(service)
        task = asyncio.create_task(server.until_stopped(listening))
        try:
            while not server.started:
                if task.done():
                    task.result()
                await asyncio.sleep(0.005)
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.wait([task])


async def _until_told(service: Service, listening: socket.socket) -> None:
    server = _server(service)

    def stop() -> None:
        stopping.begin()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for told in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(told, stop)
    host, port = listening.getsockname()[:2]
    _log.info("service.starting", name=service.name, host=host, port=port)
    await server.until_stopped(listening)
    _log.info("service.stopped", name=service.name)


def _server(service: Service) -> _Server:
    return _Server(
        uvicorn.Config(
            service.app, http="httptools", ws="none", lifespan="on", log_config=None,
            access_log=False, server_header=False, date_header=False, proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_S, timeout_keep_alive=75,
        )
    )  # fmt: skip


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: only then does asyncio set TCP_NODELAY on what it accepts.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        yield listening
