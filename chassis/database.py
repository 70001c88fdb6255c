"""This file exists to open a tier's database: SQLite by default, PostgreSQL by URL, one manner.

Owns   engines, threads and transactions of one database; running its migrations. Synchronous
       Core on threads of its own was measured against aiosqlite: a batch is one hop, not one
       hop a statement.
Fails  whatever SQLAlchemy raises; a transaction that raises is rolled back whole.
Source sqlite.org: WAL, PRAGMA synchronous, "BEGIN IMMEDIATE".
"""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import QueuePool

from chassis import metrics

T = TypeVar("T")

BUSY_MS = 15_000
IDLE_MS = 30_000
_MIGRATION_LOCK = 0x66697265


class Database:
    """One database of this process. Work given to `write` and `read` runs on its own threads.

    SQLite has one writer: `write` and `transaction` take turns in order of arrival, and readers
    never wait. PostgreSQL has `threads` of each. durable: a commit survives a power cut.
    """

    def __init__(self, url: str, *, name: str, threads: int = 4, durable: bool = True) -> None:
        self.name = name
        self.url = normal(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        writers = 1 if self.sqlite else threads
        if self.sqlite:
            self._writing = _sqlite(self.url, writers, durable=durable, reading=False)
            self._reading = _sqlite(self.url, threads, durable=durable, reading=True)
        else:
            self._writing = _server(self.url, writers + threads)
            self._reading = self._writing
        self._writers = ThreadPoolExecutor(writers, f"{name}-write")
        self._readers = ThreadPoolExecutor(threads, f"{name}-read")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction of synchronous code: committed at the end, rolled back when it raises.

        Blocks the calling thread; in a coroutine use `write`.
        """
        began, outcome = perf_counter(), "rolled_back"
        try:
            with self._writing.begin() as connection:
                yield connection
            outcome = "committed"
        finally:
            metrics.count("database_transactions_total", database=self.name, outcome=outcome)
            took_s = perf_counter() - began
            metrics.observe("database_transaction_seconds", took_s, database=self.name)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent look, on SQLite unable to write. Blocks; in a coroutine use `read`."""
        with self._reading.connect() as connection, connection.begin():
            yield connection

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction on a writer thread; its result once it is committed.

        Cancelling the caller does not cancel the transaction: it may still commit.
        """
        return await self._on(self._writers, self._written, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reader thread."""
        return await self._on(self._readers, self._read, work)

    async def check(self) -> None:
        """Raises when the database cannot be read; a readiness check."""
        await self.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def close(self) -> None:
        """Wait for work under way and let go of connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._reading.dispose()
        self._writing.dispose()

    async def aclose(self) -> None:
        """`close` without blocking the loop."""
        await asyncio.to_thread(self.close)

    def migrate(self, scripts: str) -> None:
        """Bring the schema to head. scripts: package of the tier's migrations.

        One process at a time; all of it in one transaction, so a failed one leaves no trace.
        """
        with self._writing.begin() as connection:
            if not self.sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            command.upgrade(_config(scripts, connection), "head")

    async def _on(
        self,
        pool: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        work: Callable[[Connection], T],
    ) -> T:
        context = copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, partial(context.run, run, work))

    def _written(self, work: Callable[[Connection], T]) -> T:
        with self.transaction() as connection:
            return work(connection)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.reading() as connection:
            return work(connection)


def migrate(url: str, scripts: str) -> None:
    """Bring the schema at a URL to head. scripts: e.g. `process_apis.migrations`."""
    database = Database(url, name="migration", threads=1)
    try:
        database.migrate(scripts)
    finally:
        database.close()


def url_of(home: Path, name: str, configured: str = "") -> str:
    """The configured address, or the SQLite file `<name>.sqlite` in the home folder."""
    if configured:
        return configured
    home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home / name}.sqlite"


def normal(url: str) -> URL:
    """`postgres://` and `postgresql://` mean psycopg 3. SQLite needs a file: threads share it."""
    parsed = make_url(url)
    if parsed.get_backend_name() in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(f"{parsed.get_backend_name()} is not supported: use sqlite or postgresql")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("SQLite needs a file here")
    return parsed


def _server(url: URL, connections: int) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=0, pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        # A process that was stopped within a transaction lets go of its rows: others wait for them.
        connection.autocommit = True
        connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}")
        connection.autocommit = False

    return engine


def _sqlite(url: URL, connections: int, *, durable: bool, reading: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_MS / 1000,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late and without IMMEDIATE.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -32000")
        if reading:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _config(scripts: str, connection: Connection) -> Config:
    folder = Path(str(importlib.import_module(scripts).__file__)).parent
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
