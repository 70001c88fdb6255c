"""Configure, start and stop the engine of durable runs, so that a killed process goes on.

The executor id and the application version are fixed: a process that starts again is the same
executor of the same version and takes up what it left, at once. Replicas need an id each; code
that changes the steps of a run does so behind DBOS.patch, not with a new version.
Source  DBOS 3.4: recovery by executor id and application version, database-backed queues.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig
from msgspec import Struct
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from chassis.log import log
from process_apis.persisted import Json

APPLICATION = "firmwire-process"
VERSION = "1"
_log = log("process.durable")


class Durable(Struct, frozen=True, kw_only=True):
    """url: of the engine's own tables; empty means an SQLite file in the home folder.

    executor: tells replicas apart. poll_s: how soon a freed place in a queue is seen.
    """

    url: str = ""
    executor: str = "process-1"
    poll_s: float = 0.05


class Lane(Struct, frozen=True, kw_only=True):
    """A queue. places: runs at once over all replicas, None for no limit."""

    name: str
    places: int | None = None


def database_url(settings: Durable, home: Path) -> str:
    """Where the engine's tables are."""
    return settings.url or f"sqlite:///{home / 'process-runs.db'}"


@asynccontextmanager
async def running(settings: Durable, home: Path) -> AsyncIterator[None]:
    """The engine at work, on this event loop. Import every journey and bind `around` before.

    Runs this executor had not finished are taken up before the first statement inside.
    """
    url = database_url(settings, home)
    engine = _sqlite(url) if url.startswith("sqlite") else None
    _into_our_log()
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url,
        "application_version": VERSION,
        "executor_id": settings.executor,
        "serializer": Json(),
        "log_level": "CRITICAL",  # a run that fails says so itself, in its status and our log
        "notification_listener_polling_interval_sec": settings.poll_s,
        "scheduler_polling_interval_sec": 5.0,
        "max_executor_threads": 32,
    }
    if engine is not None:
        config["system_database_engine"] = engine
    runs = DBOS(config=config)
    DBOS.launch()
    _log.info("runs.launched", executor=settings.executor, version=VERSION)
    try:
        yield
    finally:
        await _stop(runs)
        if engine is not None:
            engine.dispose()


async def _stop(runs: DBOS) -> None:
    """Runs under way are dropped where they are: they are taken up at the next start."""
    # The engine has no public way to let go of runs on a loop that lives on.
    under_way = list(runs._workflow_tasks)
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)
    with ThreadPoolExecutor(1) as stopping:
        await asyncio.get_running_loop().run_in_executor(stopping, DBOS.destroy)
    # It made its own pool the loop's default and has closed it.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


async def open_lane(lane: Lane, poll_s: float) -> None:
    """Make or change a queue."""
    await DBOS.register_queue_async(
        lane.name,
        global_concurrency=lane.places,
        polling_interval_sec=poll_s,
        on_conflict="always_update",
    )


def _sqlite(url: str) -> Engine:
    """DBOS's own way with SQLite, plus a write-ahead log: readers and the writer never wait."""
    file = make_url(url).database
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=20, max_overflow=10)

    @event.listens_for(engine, "connect")
    def prepared(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (
            "busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _into_our_log() -> None:
    """DBOS writes to the console unless its logger has a handler already."""
    engine_log = logging.getLogger("dbos")
    if not engine_log.handlers:
        engine_log.addHandler(logging.NullHandler())
