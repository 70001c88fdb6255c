"""A real Tryton for the tests that ask for one: built once a machine, a fresh database a module."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sandbox.servers.launch import Died, Missing


@pytest.fixture(scope="session")
def server():
    """Skipped where nobody has built one and FIRMWIRE_TEST_REAL_ERP does not ask for it."""
    from sandbox.servers import tryton

    if not _ready() and not os.environ.get("FIRMWIRE_TEST_REAL_ERP"):
        pytest.skip("python -m sandbox.servers.tryton build, or FIRMWIRE_TEST_REAL_ERP=1")
    try:
        with tryton.tryton() as serving:
            yield serving
    except (Missing, Died) as trouble:
        pytest.skip(str(trouble).splitlines()[0])


def _ready():
    from sandbox.servers import tryton

    return any(tryton.cache().glob("**/*.dump"))


@pytest.fixture(scope="module")
def erp(server):
    return server.fresh()


@pytest.fixture(scope="module")
def admin(erp):
    """Tryton's own client, a second witness."""
    session = erp.admin()
    yield session
    session.close()


@pytest.fixture(scope="module")
def rows(server, erp):
    """Looks into the tables, past Tryton."""

    def look(text, *values):
        with psycopg.connect(server.tables(erp), autocommit=True) as connection:
            asked = connection.execute(text, values)
            return asked.fetchall() if asked.description else []

    return look


class Line:
    """A line to a server that loses what it is told to lose; `async with`."""

    def __init__(self, url):
        self._place = urlsplit(url)
        self._how, self._marker, self._left = "", b"", 0
        self._writers, self._calls = set(), set()

    async def __aenter__(self):
        self._door = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._door.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_trouble):
        await self.down()

    def strike(self, how, marker, count=1):
        """The next calls with this marker. cut_line: the call is lost. timeout_after_commit: its
        answer is lost. error_after_commit: its answer is a 500."""
        self._how, self._marker, self._left = how, marker.encode(), count

    def calm(self):
        self._left = 0

    async def down(self):
        """Nobody answers any more."""
        self._door.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._calls.add(asyncio.current_task())
        up_reader, up_writer = await asyncio.open_connection(
            self._place.hostname, self._place.port
        )  # fmt: skip
        self._writers |= {writer, up_writer}
        struck = []
        there = self._there(reader, up_writer, struck)
        back = self._back(up_reader, writer, struck)
        await asyncio.gather(there, back, return_exceptions=True)

    async def _there(self, reader, up_writer, struck):
        while data := await reader.read(65536):
            if self._left and self._marker in data:
                self._left -= 1
                struck.append(self._how)
                if self._how == "cut_line":
                    break
            up_writer.write(data)
            await up_writer.drain()
        up_writer.close()

    async def _back(self, up_reader, writer, struck):
        while data := await up_reader.read(65536):
            if struck:
                data = b"HTTP/1.1 500 Lost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                data = data if struck[0] == "error_after_commit" else b""
            writer.write(data)
            await writer.drain()
            if struck:
                break
        writer.close()


@pytest.fixture
def line_to():
    return Line
