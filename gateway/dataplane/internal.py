"""This file exists to answer /health, /ready and /metrics on a port that is never public.

Owns   a listener of its own; it must answer when the public one is full. With several workers
       whichever is asked answers for all of them (siblings.py).
Fails  404 for anything else; a line that is not HTTP is cut.
"""

import asyncio
from typing import cast

import httptools

from gateway.dataplane.listeners import bind
from gateway.dataplane.siblings import Answer, Siblings
from gateway.dataplane.worker import Worker

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class Internal(asyncio.Protocol):
    """One connection, one reply."""

    transport: asyncio.Transport

    def __init__(self, worker: Worker, siblings: Siblings | None) -> None:
        self._worker = worker
        self._siblings = siblings
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.transport.abort()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_message_complete(self) -> None:
        path = self._target.partition(b"?")[0]
        mine = self._answer(path)
        if self._siblings is None:
            self._reply(mine)
        else:
            self._worker.spawn(self._reply_for_all(self._siblings, path, mine))

    async def _reply_for_all(self, siblings: Siblings, path: bytes, mine: Answer) -> None:
        self._reply(await siblings.merged(path, mine))

    def _reply(self, answer: Answer) -> None:
        status, body = answer
        self.transport.write(
            b"HTTP/1.1 %d \r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, _TEXT, len(body), body)
        )
        self.transport.close()

    def _answer(self, path: bytes) -> Answer:
        worker = self._worker
        if path == b"/health":
            return 200, b"alive\n"
        if path == b"/ready":
            told = b"snapshot %d\n" % worker.snapshot.version
            return (200, told) if worker.ready else (503, b"not ready, " + told)
        if path == b"/metrics":
            return 200, worker.metrics()
        return 404, b"not found\n"


class Inside:
    """What `serve_internal` opened."""

    def __init__(self, servers: list[asyncio.Server]) -> None:
        self.port = int(servers[0].sockets[0].getsockname()[1])
        self._servers = servers

    def close(self) -> None:
        for server in self._servers:
            server.close()


async def serve_internal(
    worker: Worker, host: str, port: int, siblings: Siblings | None = None
) -> Inside:
    """Open it; the caller closes it."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Internal(worker, siblings), sock=one)
        for one in bind(host, port, share_port=siblings is not None)
    ]
    if siblings is not None:
        servers.append(await loop.create_unix_server(lambda: Internal(worker, None), siblings.own))
    return Inside(servers)
